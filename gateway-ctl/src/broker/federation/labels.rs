//! Choosing labels: round and round the range, so that a label just freed is not soon given to
//! another mapping while packets and gateways still remember the old one.

use std::collections::BTreeSet;

use isthmus_common::id::{Label, LabelRange};

use crate::model::Mapping;

/// The labels in use and where to look for the next.
pub(super) struct Labels {
    range: LabelRange,
    next: Label,
    taken: BTreeSet<Label>,
}

impl Labels {
    pub(super) fn new<'a>(
        range: LabelRange,
        next: Label,
        mappings: impl Iterator<Item = &'a Mapping>,
    ) -> Self {
        Self { range, next, taken: mappings.filter_map(|mapping| mapping.label).collect() }
    }

    /// Keeps a wished label from being given to somebody else.
    pub(super) fn take(&mut self, label: Label) {
        self.taken.insert(label);
    }

    /// Takes the next free one.
    pub(super) fn allocate(&mut self) -> Result<Label, String> {
        let first = self.after(self.next, 0);
        let mut candidate = first;
        while self.taken.contains(&candidate) {
            candidate = self.after(candidate, 1);
            if candidate == first {
                return Err(format!(
                    "all labels of the range {} are taken; delete mappings or start the broker with a wider --label-range",
                    self.range
                ));
            }
        }
        self.taken.insert(candidate);
        self.next = self.after(candidate, 1);
        Ok(candidate)
    }

    /// Where the next search starts.
    pub(super) const fn next(&self) -> Label {
        self.next
    }

    /// `label + step`, or the range's first label outside of it.
    fn after(&self, label: Label, step: u32) -> Label {
        Label::new(label.get() + step)
            .filter(|label| self.range.contains(label.get()))
            .unwrap_or_else(|| self.range.first())
    }
}
