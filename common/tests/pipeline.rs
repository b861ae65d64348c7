//! The pipeline on tables that no installer would write.
//!
//! What it does on tables that one did write is the subject of `gateway-ctl/tests/packets`.

use etherparse::{PacketBuilder, UdpHeader};
use isthmus_common::address::Address;
use isthmus_common::host::{HostTables, SliceFrame};
use isthmus_common::id::Vni;
use isthmus_common::pipeline::{Packet, process};
use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::{Leg, Rule, RuleSet, level};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{Interface, NextHop, Policy, PolicyKey, Target, TargetKey, Tunnel, TunnelPort};

const IFINDEX: u32 = 5;
const VNI: u32 = 42;
const SOURCE: [u8; 4] = [10, 0, 0, 1];
const DESTINATION: [u8; 4] = [10, 1, 0, 1];

/// UDP from `SOURCE` to `DESTINATION` in VNI 42.
fn frame() -> Vec<u8> {
    let mut inner = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(SOURCE, DESTINATION, 9)
        .udp(1000, 2000)
        .write(&mut inner, b"payload")
        .expect("a small packet");
    let payload = [&[8, 0, 0, 0, 0, 0, 42, 0][..], &inner].concat();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4([192, 0, 2, 1], [192, 0, 2, 254], 64)
        .udp(50_000, 4789)
        .write(&mut frame, &payload)
        .expect("a small packet");
    assert_eq!(frame.len(), 14 + 20 + UdpHeader::LEN + payload.len());
    frame
}

fn scope() -> Scope {
    Scope::network(Underlay::SHARED, Tunnel::Vxlan, Vni::new(VNI).expect("a VNI"))
}

fn key() -> TargetKey {
    TargetKey { scope: scope(), address: Address::v4(DESTINATION) }
}

/// Tables under which the frame is forwarded.
fn tables() -> HostTables {
    let mut tables = HostTables::default();
    let mut interface = Interface { ifindex: IFINDEX, underlay: 1, ..Interface::default() };
    interface.ports[0] = TunnelPort { port: 4789, tunnel: Tunnel::Vxlan.number(), reserved: 0 };
    interface.addresses[0] = [192, 0, 2, 254];
    let target = Target {
        next_hop: 1,
        rule_set: 1,
        peer: 0,
        vni: 77,
        port: 4789,
        forward_underlay: 1,
        return_underlay: 0,
        tunnel: Tunnel::Vxlan.number(),
        reserved: [0; 3],
    };
    let mut rules = RuleSet { len: 1, ..RuleSet::default() };
    rules.rules[0] = Rule { mapping: 1, level: level::CONNECT, ..Rule::default() };
    let hop = NextHop { resolved: 1, ifindex: 6, slot: 6, mtu: 1500, ..NextHop::default() };
    tables.interfaces.insert(IFINDEX, interface);
    tables.scopes.insert(scope(), Leg::NONE);
    tables.targets.insert(key(), target);
    tables.rule_sets.insert(1, rules);
    tables.next_hops.insert(1, hop);
    tables.egress.push(6);
    tables
}

/// The row's name, how it breaks the tables, and what becomes of the frame.
type Row = (&'static str, fn(&mut HostTables), Reason);

const ROWS: &[Row] = &[
    ("sound tables forward", |_| {}, Reason::Forwarded),
    ("a target may not name a rule set that is not there", |t| t.rule_sets.clear(), Reason::Internal),
    ("a target may not name a next hop that is not there", |t| t.next_hops.clear(), Reason::Internal),
    (
        "a policy may not name a rule set that is not there",
        |t| {
            let target = t.targets.get_mut(&key()).expect("it is there");
            (target.rule_set, target.forward_underlay, target.peer, target.return_underlay) = (0, 0, 7, 1);
            let answer = PolicyKey { peer: 7, address: Address::v4(SOURCE) };
            t.policies.insert(answer, Policy { rule_set: 9 });
        },
        Reason::Internal,
    ),
    (
        "an empty rule set refuses",
        |t| t.rule_sets.get_mut(&1).expect("it is there").len = 0,
        Reason::PortRefused,
    ),
    (
        "a rule set that claims more rules than fit is read to its end",
        |t| {
            let rules = t.rule_sets.get_mut(&1).expect("it is there");
            rules.len = u32::MAX;
            rules.rules.fill(Rule { mapping: 1, protocol: 1, level: level::FULL, ..Rule::default() });
        },
        Reason::PortRefused,
    ),
    (
        "a target that serves no underlay serves none",
        |t| t.targets.get_mut(&key()).expect("it is there").forward_underlay = 0,
        Reason::ForeignIdentifier,
    ),
    ("no interface, no gateway", |t| t.interfaces.clear(), Reason::NoInterface),
    ("no device, no egress", |t| t.egress.clear(), Reason::NoEgress),
    ("no scopes and no targets, no gateway", |t| (t.scopes.clear(), t.targets.clear()).0, Reason::LocalVni),
];

#[test]
fn broken_tables_drop_packets_and_never_rewrite_them() {
    for (name, edit, reason) in ROWS {
        let mut tables = tables();
        edit(&mut tables);
        let before = frame();
        let mut after = before.clone();
        let verdict = process(&mut SliceFrame(&mut after), &tables, &mut Packet::default(), IFINDEX);
        let record = tables.record.borrow();
        let reasons: Vec<Reason> = record.reasons.keys().copied().collect();
        assert_eq!((verdict, &reasons[..]), (reason.verdict(), &[*reason][..]), "{name}");
        assert_eq!(verdict != Verdict::Redirected, before == after, "{name}");
        assert_eq!(record.reasons[reason], record.received, "{name}");
    }
}

#[test]
fn a_reason_is_found_by_its_number_and_by_its_name() {
    for reason in Reason::ALL {
        assert_eq!(Reason::from_index(reason.index()), Some(*reason));
        assert_eq!(Reason::from_name(reason.as_str()), Some(*reason));
        assert!(reason.explain().ends_with('.'), "{}: {:?}", reason.as_str(), reason.explain());
    }
    assert_eq!(Reason::from_index(Reason::ALL.len().try_into().expect("few reasons")), None);
    assert_eq!(Reason::from_name("reasonable"), None);
}
