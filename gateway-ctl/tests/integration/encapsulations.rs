//! Gateways and every kind of network on the command line, with a real broker.

use crate::support::{Broker, state, stderr, stdout};

/// The page that says what a manifest may hold.
const PAGE: &str = include_str!("../../../docs/manifests.md");

/// Arguments, exit code, standard output, standard error.
type Step = (&'static [&'static str], i32, &'static str, &'static str);

fn session(broker: &Broker, steps: &[Step]) {
    for (args, code, out, err) in steps {
        let output = broker.run(args);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (*out, *err), "{args:?}");
        assert_eq!(output.status.code(), Some(*code), "{args:?}");
    }
}

#[test]
fn gateways_are_declared_shown_and_deleted() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    session(
        &broker,
        &[
            (&["gateway", "list"], 0, "", "isthmus: no gateways are declared\n"),
            (
                &["network", "create", "red", "--vni", "42", "--prefix", "10.0.0.0/24", "--gateway", "gw-b"],
                1,
                "",
                "isthmus: network/red: gateway: there is no gateway \"gw-b\"\n",
            ),
            (
                &["gateway", "create", "gw-b", "--address", "192.0.2.9,2001:db8::9"],
                0,
                "gateway/gw-b created\n",
                "",
            ),
            (
                &["gateway", "create", "gw-c", "--address", "192.0.2.8", "--address", "192.0.2.9"],
                1,
                "",
                "isthmus: gateway/gw-c: addresses[1]: 192.0.2.9 is an address of gateway gw-b already; each gateway needs its own\n",
            ),
            (
                &["gateway", "create", "gw-c", "--address", "192.0.2.8", "--udp-port", "7081"],
                0,
                "gateway/gw-c created\n",
                "",
            ),
            (
                &["network", "create", "red", "--vni", "42", "--prefix", "10.0.0.0/24", "--gateway", "gw-b"],
                0,
                "network/red created\n",
                "",
            ),
            (
                &["gateway", "list"],
                0,
                "NAME   PROVIDER   ADDRESSES               UDP PORT   VERSION\n\
                 gw-b   default    192.0.2.9,2001:db8::9   6081       1\n\
                 gw-c   default    192.0.2.8               7081       1\n",
                "",
            ),
            (
                &["gateway", "get", "gw-b", "-o", "yaml"],
                0,
                "# version 1, revision 1\nkind: Gateway\nname: gw-b\nprovider: default\naddresses:\n- \"192.0.2.9\"\n- 2001:db8::9\nudp_port: 6081\n",
                "",
            ),
            (
                &["gateway", "delete", "gw-b"],
                1,
                "",
                "isthmus: gateway/gw-b is still used by network/red; delete it first\n",
            ),
            (&["network", "delete", "red"], 0, "network/red deleted\n", ""),
            (&["gateway", "delete", "gw-b", "--version", "1"], 0, "gateway/gw-b deleted\n", ""),
            (
                &["gateway", "get", "gw-d"],
                1,
                "",
                "isthmus: gateway/gw-d does not exist; did you mean gw-c?\n",
            ),
        ],
    );
    let listed: serde_json::Value =
        serde_json::from_str(&stdout(&broker.run(&["gateway", "list", "-o", "json"]))).unwrap();
    assert_eq!(
        listed["objects"],
        serde_json::json!([{
            "kind": "Gateway", "name": "gw-c", "provider": "default", "addresses": ["192.0.2.8"], "udp_port": 7081, "version": 1, "revision": 2,
        }])
    );
    let status: serde_json::Value =
        serde_json::from_str(&stdout(&broker.run(&["status", "-o", "json"]))).unwrap();
    assert_eq!((&status["broker"]["gateways"], &status["broker"]["networks"]), (&1.into(), &0.into()));
    let text = stdout(&broker.run(&["status"]));
    assert!(text.contains("1 gateways, 0 networks, 0 resources, 0 mappings"), "{text}");
}

/// Creating one of each kind, with what is refused on the way.
const CREATE: &[Step] = &[
    (&["gateway", "create", "gw-b", "--address", "192.0.2.9"], 0, "gateway/gw-b created\n", ""),
    (
        &[
            "network",
            "create",
            "tan",
            "--vni",
            "42",
            "--udp-port",
            "4790",
            "--group-policy",
            "keep",
            "--prefix",
            "10.2.0.0/24",
            "--gateway",
            "gw-b",
            "--endpoint",
            "10.2.0.10=2001:db8::20,02:00:00:00:00:10",
        ],
        0,
        "network/tan created\n",
        "",
    ),
    (
        &[
            "network",
            "create",
            "ovn",
            "--encapsulation",
            "geneve",
            "--vni",
            "5",
            "--ovn-port",
            "3",
            "--prefix",
            "10.3.0.0/24",
            "--endpoint",
            "10.3.0.10=192.0.2.30",
        ],
        1,
        "",
        "isthmus: endpoints[0].ovn_port: is missing; give the tunnel key of the logical port that has the address\n",
    ),
    (
        &[
            "network",
            "create",
            "ovn",
            "--encapsulation",
            "geneve",
            "--vni",
            "5",
            "--ovn-port",
            "3",
            "--prefix",
            "10.3.0.0/24",
            "--endpoint",
            "10.3.0.10=192.0.2.30,ovn-port=5",
        ],
        0,
        "network/ovn created\n",
        "",
    ),
    (
        &[
            "network",
            "create",
            "floor",
            "--encapsulation",
            "vlan",
            "--vlan-id",
            "100",
            "--vni",
            "7",
            "--prefix",
            "10.4.0.0/24",
        ],
        1,
        "",
        "isthmus: vni: a vlan network has no VNI; use vlan_id\n",
    ),
    (
        &[
            "network",
            "create",
            "floor",
            "--encapsulation",
            "vlan",
            "--vlan-id",
            "100",
            "--prefix",
            "10.4.0.0/24",
            "--learning",
        ],
        0,
        "network/floor created\n",
        "",
    ),
    (
        &[
            "network",
            "create",
            "yard",
            "--encapsulation",
            "vlan",
            "--vlan-id",
            "100",
            "--prefix",
            "10.4.0.0/24",
        ],
        1,
        "",
        "isthmus: network/yard: encapsulation.vlan.vlan_id: 100 is the VLAN of network floor already; within provider default each vlan network needs its own\n",
    ),
    (
        &[
            "network",
            "create",
            "desk",
            "--encapsulation",
            "port",
            "--prefix",
            "10.5.0.0/24",
            "--endpoint",
            "10.5.0.10=192.0.2.1",
        ],
        1,
        "",
        "isthmus: endpoints[0].vtep: a port network has no tunnel endpoints; remove it\n",
    ),
    (
        &[
            "network",
            "create",
            "desk",
            "--encapsulation",
            "port",
            "--prefix",
            "10.5.0.0/24",
            "--endpoint",
            "10.5.0.10",
        ],
        0,
        "network/desk created\n",
        "",
    ),
    (
        &["network", "create", "x", "--vni", "1", "--prefix", "10.0.0.0/24", "--endpoint", "10.0.0.1"],
        1,
        "",
        "isthmus: endpoints[0].vtep: is missing; a vxlan network's endpoints are behind tunnel endpoints, e.g. vtep: 192.0.2.10\n",
    ),
    (
        &["resource", "create", "camera", "--network", "floor", "--address", "10.4.0.30"],
        0,
        "resource/camera created\n",
        "",
    ),
];

#[test]
fn every_encapsulation_can_be_declared_and_what_is_shown_can_be_applied() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    session(&broker, CREATE);
    session(
        &broker,
        &[(
            &["network", "list"],
            0,
            "NAME    PROVIDER   ENCAPSULATION       VNI   VLAN   PREFIXES      GATEWAY ADDRESS   BEHIND   ENDPOINTS   VERSION\n\
             desk    default    port                -     -      10.5.0.0/24   -                 -        1           1\n\
             floor   default    vlan                -     100    10.4.0.0/24   -                 -        0+learned   1\n\
             ovn     default    geneve,ovn-port=3   5     -      10.3.0.0/24   -                 -        1           1\n\
             tan     default    vxlan,group=keep    42    -      10.2.0.0/24   -                 gw-b     1           1\n",
            "",
        )],
    );
    let listed: serde_json::Value =
        serde_json::from_str(&stdout(&broker.run(&["network", "list", "-o", "json"]))).unwrap();
    let objects = listed["objects"].as_array().unwrap();
    assert_eq!(objects[0]["endpoints"], serde_json::json!([{ "address": "10.5.0.10" }]));
    assert_eq!((&objects[1]["vlan_id"], &objects[1]["learning"]), (&100.into(), &true.into()));
    assert_eq!((&objects[2]["ovn_port"], &objects[2]["endpoints"][0]["ovn_port"]), (&3.into(), &5.into()));
    assert_eq!((&objects[3]["group_policy"], &objects[3]["gateway"]), (&"keep".into(), &"gw-b".into()));

    for noun in ["gateway", "network", "resource"] {
        let shown = stdout(&broker.run(&[noun, "list", "-o", "yaml"]));
        let again = broker.apply(&shown);
        assert!(again.status.success(), "{}", stderr(&again));
        assert!(stdout(&again).ends_with(" unchanged\nrevision 6\n"), "{}", stdout(&again));
    }

    // All of it stays when the broker is restarted.
    let list = |broker: &Broker| {
        ["gateway", "network"].map(|noun| stdout(&broker.run(&[noun, "list", "-o", "yaml"])))
    };
    let before = list(&broker);
    assert!(broker.stop().success());
    let broker = Broker::start(&state, &[]);
    assert_eq!(list(&broker), before);
}

#[test]
fn the_documented_example_is_accepted() {
    let example = PAGE.split("## An example\n").nth(1).unwrap();
    let text: String = example
        .lines()
        .fold(String::new(), |text, line| text + line.strip_prefix("    ").unwrap_or(line) + "\n");
    // Indented by four, a list keeps its own indentation of two.
    assert!(text.contains("\n  - {address: 10.2.0.10,"), "{text}");
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let output = broker.apply(&text);
    assert_eq!(
        (stdout(&output).as_str(), stderr(&output).as_str()),
        (
            "gateway/gw-b created\nnetwork/tan created\nnetwork/ovn created\nnetwork/floor created\n\
             network/desk created\nresource/camera created\nrevision 1\n",
            ""
        )
    );
}
