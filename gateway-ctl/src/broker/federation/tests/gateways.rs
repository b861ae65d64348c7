//! Gateways, and the networks behind them.

use super::{all, base, network, puts, refuses};
use crate::broker::federation::{Change, Reason};
use crate::model::{Kind, ObjectRef};

fn gateway(name: &str, addresses: &str) -> String {
    format!("kind: Gateway\nname: {name}\naddresses: [{addresses}]\n")
}

fn behind(name: &str, gateway: &str) -> String {
    network(name, 7, &[]).replace("prefixes", &format!("gateway: {gateway}\nprefixes"))
}

#[test]
fn breaking_a_rule_about_gateways_gets_its_text() {
    refuses([
        (
            "the gateway a network is behind exists",
            behind("green", "gw-b"),
            "changes[0].network.gateway: there is no gateway \"gw-b\"".to_owned(),
        ),
        (
            "one with almost that name is suggested",
            all(&[gateway("gw-b", "192.0.2.9"), behind("green", "gw-bb")]),
            "changes[1].network.gateway: there is no gateway \"gw-bb\"; did you mean gw-b?".to_owned(),
        ),
        (
            "a tunnel address belongs to one gateway",
            all(&[gateway("gw-b", "192.0.2.9"), gateway("gw-c", "2001:db8::9, 192.0.2.9")]),
            "changes[1].gateway.addresses[1]: 192.0.2.9 is an address of gateway gw-b already; each gateway needs its own".to_owned(),
        ),
    ]);
}

#[test]
fn what_stays_keeps_its_tunnel_addresses() {
    let mut federation = base();
    let two = all(&[gateway("gw-b", "192.0.2.8"), gateway("gw-c", "192.0.2.9")]);
    federation.apply(&puts(&two)).unwrap();
    let refusal = federation.plan(&puts(&gateway("gw-b", "192.0.2.9"))).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "changes[0].gateway.addresses[0]: 192.0.2.9 is an address of gateway gw-c already; each gateway needs its own"
    );
    // Together, they may swap.
    let swapped = all(&[gateway("gw-b", "192.0.2.9"), gateway("gw-c", "192.0.2.8")]);
    federation.apply(&puts(&swapped)).unwrap();
}

#[test]
fn a_gateway_that_networks_are_behind_is_not_deleted() {
    let mut federation = base();
    let text = all(&[gateway("gw-b", "192.0.2.9"), behind("green", "gw-b")]);
    federation.apply(&puts(&text)).unwrap();
    let first = federation.objects().next().unwrap();
    assert_eq!(first.spec.kind(), Kind::Gateway, "what others refer to comes before them");

    let delete = Change::delete(ObjectRef::gateway("gw-b"));
    let refusal = federation.plan(std::slice::from_ref(&delete)).unwrap_err();
    assert_eq!(
        (refusal.reason, refusal.to_string()),
        (
            Reason::StillReferenced,
            "changes[0]: gateway/gw-b is still used by network/green; delete it first".to_owned()
        )
    );
    let mut both = puts(&network("green", 7, &[]));
    both.push(delete);
    federation.apply(&both).unwrap();
    assert_eq!(federation.of_kind(Kind::Gateway).count(), 0);
    let refusal = federation.plan(&[Change::delete(ObjectRef::gateway("gw-b"))]).unwrap_err();
    assert_eq!(refusal.to_string(), "changes[0]: gateway/gw-b does not exist");
}
