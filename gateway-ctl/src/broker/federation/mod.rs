//! The objects of a federation together, and what they owe each other.
//!
//! One object can be valid alone and wrong in company: a VNI used twice, a resource of an unknown
//! network. This decides it, in memory and without a store, so that the broker and an offline
//! trial of a manifest cannot disagree. A change is first planned, which alters nothing, and then
//! committed, which cannot fail; the broker makes the plan durable in between.

mod check;
mod labels;

use std::{
    collections::{BTreeMap, btree_map::Entry},
    fmt,
    sync::Arc,
};

use isthmus_common::id::{Label, LabelRange};

use self::{check::View, labels::Labels};
use crate::model::{
    Kind, Mapping, Metadata, Network, Object, ObjectRef, Resource, Spec, Violations, violation::did_you_mean,
};

type Objects = BTreeMap<ObjectRef, Arc<Object>>;
/// What becomes of an object; `None` deletes it.
type Changed = BTreeMap<ObjectRef, Option<Arc<Object>>>;

/// A consistent set of objects at one revision.
#[derive(Clone, Debug)]
pub struct Federation {
    label_range: LabelRange,
    next_label: Label,
    revision: u64,
    objects: Objects,
}

/// One wish in a request.
#[derive(Clone, Debug)]
pub struct Change {
    /// What is wished.
    pub op: Op,
    /// Compare-and-set: `None` takes any version, 0 demands that the object does not exist yet.
    pub expected_version: Option<u64>,
}

/// What a change does.
#[derive(Clone, Debug)]
pub enum Op {
    /// Creates or replaces.
    Put(Spec),
    /// Removes.
    Delete(ObjectRef),
}

/// What became of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It was so already.
    Unchanged,
    /// New.
    Created,
    /// Replaced.
    Updated,
    /// Gone.
    Deleted,
}

/// What became of all changes of a request.
#[derive(Clone, Debug)]
pub struct Applied {
    /// The revision that holds the result.
    pub revision: u64,
    /// One a change, in order, with the object as stored (for a delete, as it was).
    pub results: Vec<(Outcome, Arc<Object>)>,
}

/// Changes found to be right, not yet made.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What to answer.
    pub applied: Applied,
    /// What to store; empty if nothing changes, and then there is no new revision.
    pub changed: BTreeMap<ObjectRef, Option<Arc<Object>>>,
    /// Where the search for the next free label starts.
    pub next_label: Label,
}

/// Why changes are refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// An object is wrong, alone or in company.
    Invalid,
    /// An object is not at the version the change was made for.
    Conflict,
    /// A delete names nothing.
    NotFound,
    /// A delete would leave a reference dangling.
    StillReferenced,
}

/// A request refused as a whole.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{violations}")]
pub struct Refusal {
    /// The kind of mistake.
    pub reason: Reason,
    /// All mistakes of that kind; fields start with the change's place, `changes[2]`.
    pub violations: Violations,
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unchanged => "unchanged",
            Self::Created => "created",
            Self::Updated => "updated",
            Self::Deleted => "deleted",
        })
    }
}

impl Change {
    /// Creates or replaces, whatever is there.
    #[must_use]
    pub const fn put(spec: Spec) -> Self {
        Self { op: Op::Put(spec), expected_version: None }
    }

    /// Removes, whatever is there.
    #[must_use]
    pub const fn delete(object_ref: ObjectRef) -> Self {
        Self { op: Op::Delete(object_ref), expected_version: None }
    }

    /// Which object is meant.
    #[must_use]
    pub fn object_ref(&self) -> ObjectRef {
        match &self.op {
            Op::Put(spec) => spec.object_ref(),
            Op::Delete(object_ref) => object_ref.clone(),
        }
    }
}

impl Federation {
    /// An empty one, at revision 0.
    #[must_use]
    pub const fn new(label_range: LabelRange) -> Self {
        Self { label_range, next_label: label_range.first(), revision: 0, objects: BTreeMap::new() }
    }

    /// One that was stored; its objects are taken to be consistent.
    #[must_use]
    pub fn restore(
        label_range: LabelRange,
        next_label: Label,
        revision: u64,
        objects: impl IntoIterator<Item = Object>,
    ) -> Self {
        let objects =
            objects.into_iter().map(|object| (object.spec.object_ref(), Arc::new(object))).collect();
        Self { label_range, next_label, revision, objects }
    }

    /// VNIs that are labels of mappings, never networks.
    #[must_use]
    pub const fn label_range(&self) -> LabelRange {
        self.label_range
    }

    /// Where the search for the next free label starts.
    #[must_use]
    pub const fn next_label(&self) -> Label {
        self.next_label
    }

    /// The same objects with another label range.
    ///
    /// # Errors
    /// The networks and mappings that are in the way.
    pub fn with_label_range(self, label_range: LabelRange) -> Result<Self, Violations> {
        let mut violations = Violations::default();
        for (network, _) in self.networks() {
            if let Some(vni) = network.encapsulation.vni()
                && label_range.contains(vni.get())
            {
                let name = ObjectRef::network(&network.name).to_string();
                violations.add(name, format!("its VNI {vni} lies inside {label_range}"));
            }
        }
        for (mapping, _) in self.mappings() {
            if let Some(label) = mapping.label.filter(|label| !label_range.contains(label.get())) {
                let name = ObjectRef::mapping(mapping.unique_identifier).to_string();
                violations.add(name, format!("its label {label} lies outside {label_range}"));
            }
        }
        let next_label =
            if label_range.contains(self.next_label.get()) { self.next_label } else { label_range.first() };
        violations.into_result(Self { label_range, next_label, ..self })
    }

    /// Counts the changes, from 0.
    #[must_use]
    pub const fn revision(&self) -> u64 {
        self.revision
    }

    /// One object.
    #[must_use]
    pub fn get(&self, object_ref: &ObjectRef) -> Option<&Arc<Object>> {
        self.objects.get(object_ref)
    }

    /// All objects, kind by kind in the order of [`Kind::ALL`], each in name order.
    pub fn objects(&self) -> impl Iterator<Item = &Arc<Object>> {
        self.objects.values()
    }

    /// All objects of one kind, in name order.
    pub fn of_kind(&self, kind: Kind) -> impl Iterator<Item = &Arc<Object>> {
        let first = ObjectRef { kind, name: String::new() };
        self.objects.range(first..).take_while(move |(key, _)| key.kind == kind).map(|(_, object)| object)
    }

    /// All networks, in name order.
    pub fn networks(&self) -> impl Iterator<Item = (&Network, Metadata)> {
        self.of_kind(Kind::Network).filter_map(|object| match &object.spec {
            Spec::Network(network) => Some((network, object.metadata)),
            _ => None,
        })
    }

    /// All resources, in name order.
    pub fn resources(&self) -> impl Iterator<Item = (&Resource, Metadata)> {
        self.of_kind(Kind::Resource).filter_map(|object| match &object.spec {
            Spec::Resource(resource) => Some((resource, object.metadata)),
            _ => None,
        })
    }

    /// All mappings, in the order of their identifiers.
    pub fn mappings(&self) -> impl Iterator<Item = (&Mapping, Metadata)> {
        self.of_kind(Kind::Mapping).filter_map(|object| match &object.spec {
            Spec::Mapping(mapping) => Some((mapping, object.metadata)),
            _ => None,
        })
    }

    /// Makes all changes, or none of them.
    ///
    /// # Errors
    /// All mistakes of the kind that was found first.
    pub fn apply(&mut self, changes: &[Change]) -> Result<Applied, Refusal> {
        let plan = self.plan(changes)?;
        let applied = plan.applied.clone();
        self.commit(plan);
        Ok(applied)
    }

    /// Makes planned changes. The plan must be of this federation's present revision.
    pub fn commit(&mut self, plan: Plan) {
        for (object_ref, object) in plan.changed {
            match object {
                Some(object) => self.objects.insert(object_ref, object),
                None => self.objects.remove(&object_ref),
            };
        }
        self.revision = plan.applied.revision;
        self.next_label = plan.next_label;
    }

    /// Says what all changes together would do.
    ///
    /// # Errors
    /// All mistakes of the kind that was found first.
    pub fn plan(&self, changes: &[Change]) -> Result<Plan, Refusal> {
        let places = places(changes)?;
        self.compare_versions(changes)?;
        self.find_deleted(changes)?;

        let mut labels =
            Labels::new(self.label_range, self.next_label, self.mappings().map(|(mapping, _)| mapping));
        let mut violations = Violations::default();
        let mut specs = Vec::with_capacity(changes.len());
        for change in changes {
            specs.push(match &change.op {
                Op::Put(Spec::Mapping(mapping)) => Some(Spec::Mapping(self.keep_label(mapping, &mut labels))),
                Op::Put(spec) => Some(spec.clone()),
                Op::Delete(_) => None,
            });
        }
        for (index, spec) in specs.iter_mut().enumerate() {
            if let Some(Spec::Mapping(mapping)) = spec
                && mapping.label.is_none()
            {
                mapping.label =
                    violations.check(&format!("changes[{index}].mapping.label"), labels.allocate());
            }
        }

        let mut delta = Changed::new();
        let mut results = Vec::with_capacity(changes.len());
        for (change, spec) in changes.iter().zip(specs) {
            let object_ref = change.object_ref();
            let stored = self.objects.get(&object_ref);
            results.extend(self.settle(object_ref, stored, spec, &mut delta));
        }
        check::all(&View::new(self, &delta, &places), &mut violations);
        refuse(Reason::Invalid, violations)?;
        refuse(Reason::StillReferenced, check::references(&View::new(self, &delta, &places)))?;

        let revision = self.revision + u64::from(!delta.is_empty());
        Ok(Plan { applied: Applied { revision, results }, changed: delta, next_label: labels.next() })
    }

    /// Notes what becomes of one object.
    fn settle(
        &self,
        object_ref: ObjectRef,
        stored: Option<&Arc<Object>>,
        spec: Option<Spec>,
        changed: &mut Changed,
    ) -> Option<(Outcome, Arc<Object>)> {
        let (outcome, object) = match (stored, spec) {
            (Some(stored), Some(spec)) if stored.spec == spec => {
                return Some((Outcome::Unchanged, Arc::clone(stored)));
            }
            (Some(stored), None) => {
                changed.insert(object_ref, None);
                return Some((Outcome::Deleted, Arc::clone(stored)));
            }
            (None, None) => return None,
            (Some(stored), Some(spec)) => (Outcome::Updated, (stored.metadata.version + 1, spec)),
            (None, Some(spec)) => (Outcome::Created, (1, spec)),
        };
        let (version, spec) = object;
        let object = Arc::new(Object { metadata: Metadata { version, revision: self.revision + 1 }, spec });
        changed.insert(object_ref, Some(Arc::clone(&object)));
        Some((outcome, object))
    }

    /// The mapping with the label it has or wishes; a wish is checked with everything else.
    fn keep_label(&self, mapping: &Mapping, labels: &mut Labels) -> Mapping {
        let mut mapping = mapping.clone();
        match mapping.label {
            Some(label) => labels.take(label),
            None => {
                mapping.label = match self.get(&ObjectRef::mapping(mapping.unique_identifier)) {
                    Some(object) => match &object.spec {
                        Spec::Mapping(stored) => stored.label,
                        _ => None,
                    },
                    None => None,
                };
            }
        }
        mapping
    }

    fn compare_versions(&self, changes: &[Change]) -> Result<(), Refusal> {
        let mut violations = Violations::default();
        for (index, change) in changes.iter().enumerate() {
            let Some(expected) = change.expected_version else { continue };
            let name = change.object_ref();
            let current = self.get(&name).map_or(0, |object| object.metadata.version);
            if expected == current {
                continue;
            }
            let what = match (expected, current) {
                (0, _) => format!("{name} exists already, at version {current}"),
                (_, 0) => format!("{name} does not exist, but the change expects version {expected}"),
                _ => format!(
                    "{name} is at version {current}, but the change expects version {expected}; read it again"
                ),
            };
            violations.add(format!("changes[{index}]"), what);
        }
        refuse(Reason::Conflict, violations)
    }

    fn find_deleted(&self, changes: &[Change]) -> Result<(), Refusal> {
        let mut violations = Violations::default();
        for (index, change) in changes.iter().enumerate() {
            if let Op::Delete(object_ref) = &change.op
                && self.get(object_ref).is_none()
            {
                violations.add(format!("changes[{index}]"), self.not_found(object_ref));
            }
        }
        refuse(Reason::NotFound, violations)
    }

    /// A sentence that says an object does not exist.
    #[must_use]
    pub fn not_found(&self, object_ref: &ObjectRef) -> String {
        let names =
            self.objects.keys().filter(|key| key.kind == object_ref.kind).map(|key| key.name.as_str());
        let hint = match object_ref.kind {
            Kind::Mapping => String::new(),
            Kind::Gateway | Kind::Network | Kind::Resource => did_you_mean(&object_ref.name, names),
        };
        format!("{object_ref} does not exist{hint}")
    }
}

fn refuse(reason: Reason, violations: Violations) -> Result<(), Refusal> {
    violations.into_result(()).map_err(|violations| Refusal { reason, violations })
}

/// Which change concerns which object; each may be named once.
fn places(changes: &[Change]) -> Result<BTreeMap<ObjectRef, usize>, Refusal> {
    let mut places = BTreeMap::new();
    let mut violations = Violations::default();
    for (index, change) in changes.iter().enumerate() {
        match places.entry(change.object_ref()) {
            Entry::Vacant(vacant) => {
                vacant.insert(index);
            }
            Entry::Occupied(first) => violations.add(
                format!("changes[{index}]"),
                format!("{} is changed twice, first in changes[{}]", first.key(), first.get()),
            ),
        }
    }
    refuse(Reason::Invalid, violations)?;
    Ok(places)
}

#[cfg(test)]
mod tests;
