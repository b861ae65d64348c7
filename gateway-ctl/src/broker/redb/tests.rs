//! What is read from the file: objects of older brokers, and changes.

use super::*;
use crate::{broker::federation::Change, manifest};

/// Objects as they were stored when `Network` had fields 1 to 6, `Vxlan` and `Geneve` two,
/// `Endpoint` three; encoded by hand from the contract of that time, not by the code under test.
const STORED: [(&str, &str); 2] = [
    (
        "red",
        "0a040801100112500a03726564120764656661756c741a070a05082a10b525220b31302e302e302e302f3234322a0a09\
         31302e302e302e3130121130323a30303a30303a30303a30303a31301a0a3139322e302e322e3130",
    ),
    (
        "blue",
        "0a040801100112510a04626c7565120764656661756c741a071205084d10c12f220b31302e302e302e302f3234322a0a\
         0931302e302e302e3230121130323a30303a30303a30303a30303a31301a0a3139322e302e322e3130",
    ),
];

/// What they were declared as.
const DECLARED: &str = "
kind: Network
name: blue
encapsulation: geneve
vni: 77
prefixes: [10.0.0.0/24]
endpoints: [{address: 10.0.0.20, mac: 02:00:00:00:00:10, vtep: 192.0.2.10}]
---
kind: Network
name: red
encapsulation: vxlan
vni: 42
prefixes: [10.0.0.0/24]
endpoints: [{address: 10.0.0.10, mac: 02:00:00:00:00:10, vtep: 192.0.2.10}]
";

fn bytes(hex: &str) -> Vec<u8> {
    hex.as_bytes()
        .chunks(2)
        .map(|pair| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap())
        .collect()
}

#[tokio::test]
async fn objects_stored_before_fields_were_added_are_read_without_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("broker.redb");
    drop(RedbStore::open(&path, None, DEFAULT_KEPT_REVISIONS).unwrap());
    let database = Database::open(&path).unwrap();
    let transaction = database.begin_write().unwrap();
    for (name, hex) in STORED {
        // Networks were kind 1, as they are.
        transaction.open_table(OBJECTS).unwrap().insert((1, name), bytes(hex).as_slice()).unwrap();
    }
    transaction.commit().unwrap();
    drop(database);

    let store = RedbStore::open(&path, None, DEFAULT_KEPT_REVISIONS).unwrap();
    let loaded = store.load().await.unwrap();
    let specs: Vec<_> = loaded.federation.objects().map(|object| object.spec.clone()).collect();
    assert_eq!(specs, manifest::parse([("m.yaml", DECLARED)]).unwrap().into_specs());
    for (network, _) in loaded.federation.networks() {
        assert!(!network.learning && network.gateway.is_none(), "{network:?}");
        assert!(network.encapsulation.group_policy().is_none(), "{network:?}");
        assert!(network.encapsulation.ovn_port().is_none(), "{network:?}");
    }
}

#[tokio::test]
async fn what_came_and_went_between_two_revisions_is_told_as_gone() {
    let dir = tempfile::tempdir().unwrap();
    let store = RedbStore::open(&dir.path().join("broker.redb"), None, DEFAULT_KEPT_REVISIONS).unwrap();
    let mut federation = store.load().await.unwrap().federation;
    let text = "kind: Gateway\nname: gw-b\naddresses: [192.0.2.9]\n";
    let spec = manifest::parse([("m.yaml", text)]).unwrap().into_specs().remove(0);
    let gateway = spec.object_ref();
    for change in [Change::put(spec), Change::delete(gateway.clone())] {
        let plan = federation.plan(&[change]).unwrap();
        store.commit(&plan).await.unwrap();
        federation.commit(plan);
    }
    let Changes::Delta(delta) = store.changes_since(0).await.unwrap() else { panic!("compacted") };
    assert_eq!((delta.upserts.len(), delta.tombstones), (0, vec![api::ObjectRef::from(&gateway)]));
    assert_eq!(store.load().await.unwrap().federation.objects().count(), 0);
}
