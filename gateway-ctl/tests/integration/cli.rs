//! What the command line prints and how it exits, with the real binary and a real broker.

use std::process::Stdio;

use crate::support::{Broker, MANIFEST, isthmus, run, state, stderr, stdout};

const ID: &str = "7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11";

/// Arguments, exit code, standard output, standard error.
const SESSION: &[(&[&str], i32, &str, &str)] = &[
    (&["network", "list"], 0, "", "isthmus: no networks are declared\n"),
    (
        &[
            "network",
            "create",
            "red",
            "--vni",
            "42",
            "--prefix",
            "10.0.0.0/24",
            "--endpoint",
            "10.0.0.10=192.0.2.10",
        ],
        0,
        "network/red created\n",
        "",
    ),
    (
        &[
            "network",
            "create",
            "blue",
            "--vni",
            "77",
            "--provider",
            "on-prem",
            "--prefix",
            "10.0.0.0/24,fd00::/64",
            "--gateway-address",
            "10.0.0.1",
            "--udp-port",
            "8472",
            "--endpoint",
            "10.0.0.20=192.0.2.20,02:00:00:00:00:20",
        ],
        0,
        "network/blue created\n",
        "",
    ),
    (
        &["network", "create", "red", "--vni", "43", "--prefix", "10.0.0.0/24"],
        1,
        "",
        "isthmus: network/red exists already, at version 1\n",
    ),
    (
        &["network", "create", "green", "--vni", "42", "--prefix", "10.0.0.0/24"],
        1,
        "",
        "isthmus: network/green: encapsulation.vxlan.vni: 42 is the VNI of network red already; within provider default each vxlan network needs its own\n",
    ),
    (
        &[
            "network",
            "create",
            "green",
            "--encapsulation",
            "geneve",
            "--udp-port",
            "4789",
            "--vni",
            "42",
            "--prefix",
            "10.0.0.0/24",
        ],
        1,
        "",
        "isthmus: network/green: encapsulation.geneve.udp_port: 4789 carries vxlan already, for network red; a port says how its packets are read, so geneve needs another\n",
    ),
    (
        &[
            "network",
            "create",
            "green",
            "--encapsulation",
            "geneve",
            "--vni",
            "42",
            "--prefix",
            "10.0.0.0/24",
        ],
        0,
        "network/green created\n",
        "",
    ),
    (
        &["network", "get", "green", "-o", "yaml"],
        0,
        "# version 1, revision 3\nkind: Network\nname: green\nprovider: default\nencapsulation: geneve\nvni: 42\nudp_port: 6081\n\
             prefixes:\n- 10.0.0.0/24\n",
        "",
    ),
    (
        &["network", "list"],
        0,
        "NAME    PROVIDER   ENCAPSULATION   VNI   VLAN   PREFIXES                GATEWAY ADDRESS   BEHIND   ENDPOINTS   VERSION\n\
             blue    on-prem    vxlan           77    -      10.0.0.0/24,fd00::/64   10.0.0.1          -        1           1\n\
             green   default    geneve          42    -      10.0.0.0/24             -                 -        0           1\n\
             red     default    vxlan           42    -      10.0.0.0/24             -                 -        1           1\n",
        "",
    ),
    (
        &["resource", "create", "inference", "--network", "blu", "--address", "10.0.0.20"],
        1,
        "",
        "isthmus: resource/inference: network: there is no network \"blu\"; did you mean blue?\n",
    ),
    (
        &[
            "resource",
            "create",
            "inference",
            "--network",
            "blue",
            "--address",
            "10.0.0.20",
            "--protocol",
            "tcp",
            "--ports",
            "8080,9000-9010",
        ],
        0,
        "resource/inference created\n",
        "",
    ),
    (
        &["mapping", "create", ID, "--from", "red", "--to", "blue", "--allow", "inference=connect"],
        0,
        "mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11 created\n",
        "",
    ),
    (
        &["mapping", "list"],
        0,
        "IDENTIFIER                             SOURCE   DESTINATION   MODE       LABEL      RESOURCES           VERSION\n\
             7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11   red      blue          switched   15728640   inference=connect   1\n",
        "",
    ),
    (
        &["resource", "get", "inference"],
        0,
        "RESOURCE    NETWORK   ADDRESSES   PROTOCOL   PORTS            VERSION\n\
             inference   blue      10.0.0.20   tcp        8080,9000-9010   1\n",
        "",
    ),
    (
        &["network", "delete", "red"],
        1,
        "",
        "isthmus: network/red is still used by mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11; delete it first\n",
    ),
    (
        &["mapping", "delete", ID, "--version", "9"],
        1,
        "",
        "isthmus: mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11 is at version 1, but the change expects version 9; read it again\n",
    ),
    (
        &["mapping", "delete", ID, "--version", "1"],
        0,
        "mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11 deleted\n",
        "",
    ),
    (&["network", "delete", "red"], 0, "network/red deleted\n", ""),
    (&["network", "delete", "red"], 1, "", "isthmus: network/red does not exist\n"),
    (&["network", "get", "bleu"], 1, "", "isthmus: network/bleu does not exist; did you mean blue?\n"),
    (
        &["network", "get", "blue", "-o", "yaml"],
        0,
        "# version 1, revision 2\nkind: Network\nname: blue\nprovider: on-prem\nencapsulation: vxlan\nvni: 77\nudp_port: 8472\n\
             prefixes:\n- 10.0.0.0/24\n- fd00::/64\ngateway_address: \"10.0.0.1\"\nendpoints:\n\
             - address: \"10.0.0.20\"\n  mac: \"02:00:00:00:00:20\"\n  vtep: \"192.0.2.20\"\n",
        "",
    ),
];

#[test]
fn a_session_from_declaring_to_deleting() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    for (args, code, out, err) in SESSION {
        let output = broker.run(args);
        assert_eq!((stdout(&output).as_str(), stderr(&output).as_str()), (*out, *err), "{args:?}");
        assert_eq!(output.status.code(), Some(*code), "{args:?}");
    }
}

#[test]
fn wrong_usage_exits_with_2() {
    for args in [
        &["network"][..],
        &["netwrok", "list"],
        &["network", "create", "red", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--vni", "0", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--vni", "1", "--prefix", "10.0.0.5/24"],
        &["network", "create", "red", "--encapsulation", "gre", "--vni", "1", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--encapsulation", "vxlan", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--encapsulation", "geneve", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--encapsulation", "vlan", "--prefix", "10.0.0.0/24"],
        &[
            "network",
            "create",
            "red",
            "--encapsulation",
            "vlan",
            "--vlan-id",
            "4095",
            "--prefix",
            "10.0.0.0/24",
        ],
        &["network", "create", "red", "--vni", "1", "--group-policy", "no", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--vni", "1", "--ovn-port", "32768", "--prefix", "10.0.0.0/24"],
        &["network", "create", "red", "--vni", "1", "--prefix", "10.0.0.0/24", "--endpoint", "10.0.0.1=x"],
        &["network", "create", "red", "--vni", "1", "--prefix", "10.0.0.0/24", "--endpoint", "10.0.0.1,2"],
        &["gateway", "create", "gw-b"],
        &["gateway", "create", "gw-b", "--address", "fe80::1"],
        &["gateway", "create", "gw-b", "--address", "192.0.2.9", "--udp-port", "0"],
        &["resource", "create", "r", "--network", "blue", "--address", "10.0.0.1", "--protocol", "tpc"],
        &["mapping", "create", "--from", "red", "--to", "blue", "--allow", "inference=no"],
        &["mapping", "delete", "7b0d"],
        &["apply"],
        &["-o", "xml", "network", "list"],
        &["broker", "run", "--label-range", "9-1"],
        &["broker", "run", "--listen", "localhost"],
    ] {
        let output = run(args);
        assert_eq!(
            (output.status.code(), stdout(&output).as_str()),
            (Some(2), ""),
            "{args:?}: {}",
            stderr(&output)
        );
    }
    let output = run(&["network", "create", "red", "--vni", "1", "--prefix", "10.0.0.5/24"]);
    assert!(stderr(&output).contains("10.0.0.5/24 has host bits set; did you mean 10.0.0.0/24?"));
    let output =
        run(&["network", "create", "red", "--encapsulation", "gre", "--vni", "1", "--prefix", "10.0.0.0/24"]);
    assert!(
        stderr(&output).contains("\"gre\" is not an encapsulation; use one of vxlan, geneve, vlan, port")
    );
}

#[test]
fn nobody_listening_is_said_in_one_sentence() {
    let url = "http://127.0.0.1:1";
    for args in [&["network", "list"][..], &["mapping", "delete", ID], &["network", "get", "red"]] {
        let output = run(&[&["--broker", url], args].concat());
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(
            stderr(&output),
            format!(
                "isthmus: no broker answers at {url}: start one with `isthmus broker run` or name it with --broker\n"
            )
        );
    }
    let output = run(&["--broker", url, "status"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stdout(&output).starts_with("broker\n  unreachable\n"), "{}", stdout(&output));
    let output = run(&["--broker", "127.0.0.1:6190", "status"]);
    assert_eq!(
        stderr(&output),
        "isthmus: --broker 127.0.0.1:6190: not a URL; did you mean http://127.0.0.1:6190?\n"
    );
}

#[test]
fn a_manifest_is_checked_as_a_whole_before_anything_is_sent() {
    // No broker is needed to be told about mistakes.
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("m.yaml");
    std::fs::write(
        &file,
        "kind: Network\nname: Red\nencapsulation: vxlan\nvni: 0\nprefixes: [10.0.0.0/24]\n",
    )
    .unwrap();
    let output = run(&["--broker", "http://127.0.0.1:1", "apply", "-f", file.to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        stderr(&output),
        format!(
            "isthmus: {0}:2:7: document 1, network/Red: name: \"Red\" contains 'R'; did you mean red?\n\
             isthmus: {0}:4:6: document 1, network/Red: vni: 0 is not a VNI; use 1 to 16777215\n",
            file.display()
        )
    );
}

#[test]
fn apply_says_what_became_of_each_object_and_where_a_refused_one_stands() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let mapping = format!("mapping/{ID}");
    let said = |outcomes: [&str; 4], revision: u32| {
        let names = ["network/red", "network/blue", "resource/inference", &mapping];
        let lines: String = names
            .iter()
            .zip(outcomes)
            .fold(String::new(), |text, (name, outcome)| text + &format!("{name} {outcome}\n"));
        format!("{lines}revision {revision}\n")
    };
    assert_eq!(stdout(&broker.apply(MANIFEST)), said(["created"; 4], 1));
    assert_eq!(stdout(&broker.apply(MANIFEST)), said(["unchanged"; 4], 1));
    let changed = MANIFEST.replace("vni: 77", "vni: 78");
    assert_eq!(stdout(&broker.apply(&changed)), said(["unchanged", "updated", "unchanged", "unchanged"], 2));

    for (manifest, line) in [
        (
            MANIFEST.replace("vni: 77", "vni: 42"),
            "stdin:12:6: document 2, network/blue: vni: 42 is the VNI of network red already; within provider default each vxlan network needs its own",
        ),
        (
            MANIFEST.replace("vni: 77", "vni: 77\nversion: 1"),
            "stdin:9:1: document 2, network/blue is at version 2, but the change expects version 1; read it again",
        ),
        (
            MANIFEST.replace("source_network: red", "source_network: rad"),
            "stdin:25:17: document 4, mapping/7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11: source_network: there is no network \"rad\"; did you mean red?",
        ),
    ] {
        let output = broker.apply(&manifest);
        assert_eq!((output.status.code(), stderr(&output)), (Some(1), format!("isthmus: {line}\n")));
    }

    let green = MANIFEST.split("---").next().unwrap().replace("red", "green").replace("vxlan", "geneve");
    assert_eq!(stdout(&broker.apply(&green)), "network/green created\nrevision 3\n");

    // What is shown can be applied as it is.
    for noun in ["network", "resource", "mapping"] {
        let shown = stdout(&broker.run(&[noun, "list", "-o", "yaml"]));
        let again = broker.apply(&shown);
        assert!(again.status.success(), "{}", stderr(&again));
        assert!(stdout(&again).ends_with(" unchanged\nrevision 3\n"), "{}", stdout(&again));
    }
}

#[test]
fn results_can_be_read_by_machines() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    let json = |args: &[&str]| -> serde_json::Value {
        let output = broker.run(&[args, &["-o", "json"]].concat());
        assert!(output.status.success(), "{}", stderr(&output));
        serde_json::from_str(&stdout(&output)).unwrap()
    };
    assert_eq!(json(&["network", "list"])["objects"], serde_json::json!([]));
    let created = json(&["network", "create", "red", "--vni", "42", "--prefix", "10.0.0.0/24"]);
    assert_eq!((&created["revision"], &created["results"][0]["outcome"]), (&1.into(), &"created".into()));
    assert_eq!(created["results"][0]["object"]["vni"], 42);
    json(&[
        "network",
        "create",
        "blue",
        "--vni",
        "77",
        "--prefix",
        "10.0.0.0/24",
        "--endpoint",
        "10.0.0.20=192.0.2.20",
    ]);
    json(&["resource", "create", "r", "--network", "blue", "--address", "10.0.0.20"]);
    let created = json(&["mapping", "create", "--from", "red", "--to", "blue", "--allow", "r=full"]);
    let id = created["results"][0]["object"]["unique_identifier"].as_str().unwrap().to_owned();
    let mapping = json(&["mapping", "get", &id]);
    assert_eq!(mapping["resource_mapping"], serde_json::json!({ "r": "full" }));
    assert_eq!(mapping["label"], 15_728_640);
    assert_eq!(json(&["mapping", "delete", &id])["results"][0]["outcome"], "deleted");
    assert_eq!(json(&["status"])["broker"]["revision"], 5);
}

#[test]
fn a_reader_who_leaves_is_no_failure() {
    let (_dir, state) = state();
    let broker = Broker::start(&state, &[]);
    assert!(broker.apply(MANIFEST).status.success());
    for args in [&["network", "list"][..], &["mapping", "list", "-o", "json"], &["status"]] {
        let (reader, writer) = std::io::pipe().unwrap();
        drop(reader);
        let output = isthmus()
            .args(["--broker", &broker.url])
            .args(args)
            .stdout(Stdio::from(writer))
            .stderr(Stdio::piped())
            .output()
            .unwrap();
        assert_eq!((output.status.code(), stderr(&output).as_str()), (Some(0), ""), "{args:?}");
    }
}

#[test]
fn a_server_that_is_no_broker_is_no_panic() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n");
        }
    });
    let output = run(&["--broker", &format!("http://{address}"), "network", "list"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(
        text.starts_with("isthmus: ") && text.contains(&address.to_string()) && text.lines().count() == 1,
        "{text}"
    );
}
