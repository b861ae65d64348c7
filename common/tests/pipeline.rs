//! The pipeline on tables that no installer would write.
//!
//! What it does on tables that one did write is the subject of `gateway-ctl/tests/packets`.

use etherparse::{PacketBuilder, UdpHeader};
use isthmus_common::address::Address;
use isthmus_common::encapsulation::{Encapsulation, number};
use isthmus_common::host::{BufferFrame, HostTables};
use isthmus_common::id::Label;
use isthmus_common::pipeline::{Packet, process};
use isthmus_common::reason::{Reason, Verdict};
use isthmus_common::rules::{Direction, Leg, Rule, RuleSet, level};
use isthmus_common::scope::{Scope, Underlay};
use isthmus_common::tables::{
    Interface, NextHop, Origin, Policy, PolicyKey, ScopeEntry, Settings, Stamp, Target, TargetKey,
    TunnelPort, hop,
};

const IFINDEX: u32 = 5;
const VNI: u32 = 42;
const LABEL: u32 = 0x00f0_0001;
const SOURCE: [u8; 4] = [10, 0, 0, 1];
const DESTINATION: [u8; 4] = [10, 1, 0, 1];
const VTEP: [u8; 4] = [192, 0, 2, 1];

/// UDP from `SOURCE` to `DESTINATION` in this VNI.
fn frame(vni: u32) -> Vec<u8> {
    let mut inner = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(SOURCE, DESTINATION, 9)
        .udp(1000, 2000)
        .write(&mut inner, b"payload")
        .expect("a small packet");
    let payload = [&[8, 0, 0, 0][..], &(vni << 8).to_be_bytes(), &inner].concat();
    let mut frame = Vec::new();
    PacketBuilder::ethernet2([2; 6], [4; 6])
        .ipv4(VTEP, [192, 0, 2, 254], 64)
        .udp(50_000, 4789)
        .write(&mut frame, &payload)
        .expect("a small packet");
    assert_eq!(frame.len(), 14 + 20 + UdpHeader::LEN + payload.len());
    frame
}

fn scope() -> Scope {
    Scope::network(Underlay::SHARED, Encapsulation::Vxlan, VNI)
}

fn label_scope() -> Scope {
    Scope::label(Label::new(LABEL).expect("a label"))
}

fn key(scope: Scope) -> TargetKey {
    TargetKey { scope, address: Address::v4(DESTINATION) }
}

fn source_key() -> TargetKey {
    TargetKey { scope: label_scope(), address: Address::v4(SOURCE) }
}

/// Tables under which the frame is forwarded, with its network's VNI and with the label.
fn tables() -> HostTables {
    let settings = Settings { label_first: LABEL, label_last: LABEL };
    let mut tables = HostTables { settings, ..HostTables::default() };
    let mut interface = Interface { ifindex: IFINDEX, underlay: 1, ..Interface::NONE };
    interface.ports[0] = TunnelPort { port: 4789, encapsulation: number::VXLAN, reserved: 0 };
    interface.v4[0] = [192, 0, 2, 254];
    let target = Target {
        next_hop: 1,
        rule_set: 1,
        peer: 0,
        number: 77,
        extra: 0,
        port: 4789,
        encapsulation: number::VXLAN,
        flags: 0,
    };
    let mut rules = RuleSet { len: 1, ..RuleSet::default() };
    rules.rules[0] = Rule { mapping: 1, level: level::CONNECT, ..Rule::default() };
    let hop = NextHop { state: hop::V4, ifindex: 6, slot: 6, mtu: 1500, ..NextHop::default() };
    let mut origin = Origin { underlay: 1, ..Origin::default() };
    origin.addresses[0] = Address::v4(VTEP);
    tables.interfaces.insert(IFINDEX, interface);
    tables.scopes.insert(scope(), ScopeEntry::default());
    tables.scopes.insert(label_scope(), ScopeEntry { leg: Leg::new(1, Direction::Forward), learns: 0 });
    tables.targets.insert(key(scope()), target);
    tables.targets.insert(key(label_scope()), target);
    // Where the asker lives.
    tables.targets.insert(source_key(), Target { next_hop: 2, rule_set: 0, peer: 1, number: 42, ..target });
    tables.rule_sets.insert(1, rules);
    tables.stamps.insert(1, Stamp { label: LABEL, epoch: 1 });
    for index in [1, 2] {
        tables.next_hops.insert(index, hop);
        tables.origins.insert(index, origin);
    }
    tables.egress.push(6);
    tables
}

fn edit_target(tables: &mut HostTables, edit: impl FnOnce(&mut Target)) {
    edit(tables.targets.get_mut(&key(scope())).expect("it is there"));
}

/// To another gateway, which gets the identifier.
fn stamp(target: &mut Target) {
    (target.flags, target.encapsulation, target.port) = (Target::STAMP, number::GENEVE, 6081);
}

/// The row's name, the VNI it comes with, how it breaks the tables, and what becomes of the frame.
type Row = (&'static str, u32, fn(&mut HostTables), Reason);

const ROWS: &[Row] = &[
    ("sound tables forward", VNI, |_| {}, Reason::Forwarded),
    ("sound tables forward by label", LABEL, |_| {}, Reason::Forwarded),
    ("sound tables stamp", VNI, |t| edit_target(t, stamp), Reason::Forwarded),
    ("a target may not name a rule set that is not there", VNI, |t| t.rule_sets.clear(), Reason::Internal),
    ("a target may not name a next hop that is not there", VNI, |t| t.next_hops.clear(), Reason::Internal),
    (
        "a target without next hop leads nowhere",
        VNI,
        |t| edit_target(t, |target| target.next_hop = 0),
        Reason::UnknownEndpoint,
    ),
    (
        "a next hop without route leads nowhere",
        VNI,
        |t| t.next_hops.get_mut(&1).expect("it is there").state = hop::UNRESOLVED,
        Reason::NextHopUnresolved,
    ),
    (
        "a target that stamps may not name a mapping without stamp",
        VNI,
        |t| {
            edit_target(t, stamp);
            t.stamps.clear();
        },
        Reason::Internal,
    ),
    (
        "a label of which nobody knows who may use it is nobody's",
        LABEL,
        |t| t.origins.clear(),
        Reason::ForeignIdentifier,
    ),
    (
        "an origin that is empty admits nobody",
        LABEL,
        |t| *t.origins.get_mut(&2).expect("it is there") = Origin::default(),
        Reason::ForeignIdentifier,
    ),
    (
        "an origin on another underlay admits nobody from here",
        LABEL,
        |t| t.origins.get_mut(&2).expect("it is there").underlay = 2,
        Reason::ForeignIdentifier,
    ),
    (
        "an asker whose endpoint is not known may not use the label",
        LABEL,
        |t| t.targets.get_mut(&source_key()).expect("it is there").next_hop = 0,
        Reason::ForeignIdentifier,
    ),
    (
        "under a label, two resources may not talk",
        LABEL,
        |t| t.targets.get_mut(&source_key()).expect("it is there").rule_set = 1,
        Reason::ForeignIdentifier,
    ),
    (
        "under a label, two askers may not talk",
        LABEL,
        |t| t.targets.get_mut(&key(label_scope())).expect("it is there").rule_set = 0,
        Reason::ForeignIdentifier,
    ),
    ("under a label, a rule set has to be there", LABEL, |t| t.rule_sets.clear(), Reason::Internal),
    (
        "a policy may not name a rule set that is not there",
        VNI,
        |t| {
            edit_target(t, |target| (target.rule_set, target.peer) = (0, 7));
            let answer = PolicyKey { peer: 7, address: Address::v4(SOURCE) };
            t.policies.insert(answer, Policy { rule_set: 9 });
        },
        Reason::Internal,
    ),
    (
        "a peer without policies refuses",
        VNI,
        |t| edit_target(t, |target| (target.rule_set, target.peer) = (0, 7)),
        Reason::Unlisted,
    ),
    (
        "a target that serves nobody serves nobody",
        VNI,
        |t| edit_target(t, |target| target.rule_set = 0),
        Reason::Internal,
    ),
    (
        "an empty rule set refuses",
        VNI,
        |t| t.rule_sets.get_mut(&1).expect("it is there").len = 0,
        Reason::PortRefused,
    ),
    (
        "a rule set that claims more rules than fit is read to its end",
        VNI,
        |t| {
            let rules = t.rule_sets.get_mut(&1).expect("it is there");
            rules.len = u32::MAX;
            rules.rules.fill(Rule { mapping: 1, protocol: 1, level: level::FULL, ..Rule::default() });
        },
        Reason::PortRefused,
    ),
    ("no interface, no gateway", VNI, |t| t.interfaces.clear(), Reason::NoInterface),
    ("no device, no egress", VNI, |t| t.egress.clear(), Reason::NoEgress),
    (
        "no scopes and no targets, no gateway",
        VNI,
        |t| (t.scopes.clear(), t.targets.clear()).0,
        Reason::LocalVni,
    ),
];

/// What becomes of a frame with so much room in front of it, and the frame then.
fn run(tables: &HostTables, frame: &[u8], headroom: usize) -> (Verdict, BufferFrame) {
    let mut after = BufferFrame::with_headroom(frame, headroom);
    let verdict = process(&mut after, tables, &mut Packet::default(), IFINDEX);
    (verdict, after)
}

/// It ended for this reason, and was counted once in and once out.
fn check_reason(name: &str, tables: &HostTables, verdict: Verdict, reason: Reason) {
    let record = tables.record.borrow();
    let reasons: Vec<Reason> = record.reasons.keys().copied().collect();
    assert_eq!((verdict, &reasons[..]), (reason.verdict(), &[reason][..]), "{name}");
    assert_eq!(record.reasons[&reason], record.received, "{name}");
    assert_eq!(record.received.packets, 1, "{name}");
}

#[test]
fn broken_tables_drop_packets_and_never_rewrite_them() {
    for (name, vni, edit, reason) in ROWS {
        let mut tables = tables();
        edit(&mut tables);
        let before = frame(*vni);
        let (verdict, after) = run(&tables, &before, isthmus_common::host::HEADROOM);
        check_reason(name, &tables, verdict, *reason);
        assert_eq!(verdict != Verdict::Redirected, before == after.bytes(), "{name}");
    }
}

/// The identifier option is what a stamped frame grows by.
const GROWTH: usize = 12;

#[test]
fn a_frame_that_can_not_grow_is_dropped_as_it_came() {
    for headroom in 0..=GROWTH {
        let mut tables = tables();
        edit_target(&mut tables, stamp);
        let before = frame(VNI);
        let (verdict, after) = run(&tables, &before, headroom);
        if headroom < GROWTH {
            check_reason("no room", &tables, verdict, Reason::NoHeadroom);
            assert_eq!(before, after.bytes());
        } else {
            check_reason("just enough room", &tables, verdict, Reason::Forwarded);
            assert_eq!(after.bytes().len(), before.len() + GROWTH);
        }
    }
}

#[test]
fn a_frame_that_does_not_grow_needs_no_room() {
    let tables = tables();
    let before = frame(VNI);
    let (verdict, after) = run(&tables, &before, 0);
    check_reason("VXLAN to VXLAN", &tables, verdict, Reason::Forwarded);
    assert_eq!(after.bytes().len(), before.len());
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
