//! The gateway's copy of the broker's objects.

use std::collections::BTreeMap;

use isthmus_common::id::LabelRange;
use uuid::Uuid;

use crate::model::{Gateway, Mapping, Metadata, Network, Object, ObjectRef, Resource, Spec};

/// An object and what the broker notes about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Declared<T> {
    /// Version and revision.
    pub metadata: Metadata,
    /// The declaration.
    pub spec: T,
}

/// All objects at one revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replica {
    /// The revision; 0 before the first snapshot.
    pub revision: u64,
    /// The epoch the revision belongs to.
    pub epoch: String,
    /// VNIs that are labels.
    pub label_range: LabelRange,
    /// By name.
    pub gateways: BTreeMap<String, Declared<Gateway>>,
    /// By name.
    pub networks: BTreeMap<String, Declared<Network>>,
    /// By `resource_id`.
    pub resources: BTreeMap<String, Declared<Resource>>,
    /// By `unique_identifier`.
    pub mappings: BTreeMap<Uuid, Declared<Mapping>>,
}

impl Replica {
    /// A replica that holds nothing.
    #[must_use]
    pub fn new(revision: u64, epoch: String, label_range: LabelRange) -> Self {
        Self {
            revision,
            epoch,
            label_range,
            gateways: BTreeMap::new(),
            networks: BTreeMap::new(),
            resources: BTreeMap::new(),
            mappings: BTreeMap::new(),
        }
    }

    /// Adds an object, or replaces its older version.
    pub fn put(&mut self, object: Object) {
        let metadata = object.metadata;
        match object.spec {
            Spec::Gateway(spec) => {
                self.gateways.insert(spec.name.clone(), Declared { metadata, spec });
            }
            Spec::Network(spec) => {
                self.networks.insert(spec.name.clone(), Declared { metadata, spec });
            }
            Spec::Resource(spec) => {
                self.resources.insert(spec.resource_id.clone(), Declared { metadata, spec });
            }
            Spec::Mapping(spec) => {
                self.mappings.insert(spec.unique_identifier, Declared { metadata, spec });
            }
        }
    }

    /// Forgets an object; one that isn't there is forgotten already.
    pub fn remove(&mut self, object: &ObjectRef) {
        match object.kind {
            crate::model::Kind::Gateway => {
                self.gateways.remove(&object.name);
            }
            crate::model::Kind::Network => {
                self.networks.remove(&object.name);
            }
            crate::model::Kind::Resource => {
                self.resources.remove(&object.name);
            }
            crate::model::Kind::Mapping => {
                if let Ok(unique_identifier) = object.name.parse() {
                    self.mappings.remove(&unique_identifier);
                }
            }
        }
    }
}
