//! Where the broker keeps its objects: the contract every store fulfils.
//!
//! Nothing but the code that opens a store knows which one is in use. The contract is
//! asynchronous because a store may sit on another machine.

use futures::future::BoxFuture;
use uuid::Uuid;

use super::federation::{Federation, Plan};
use crate::api;

/// A durable set of objects at one revision, and the changes that led there.
pub trait Store: Send + Sync + 'static {
    /// Reads everything.
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>>;

    /// Makes a plan durable in one transaction: objects, revision, label cursor, change log.
    ///
    /// When this succeeds, the plan survives a crash; when it fails, nothing of it is stored.
    /// Fails with [`StoreError::Moved`] if the store is not at the revision the plan was made for.
    fn commit(&self, plan: &Plan) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The changes after `from`, merged: all of them, or as many as fit one message.
    fn changes_since(&self, from: u64) -> BoxFuture<'_, Result<Changes, StoreError>>;
}

/// What a store holds.
#[derive(Debug)]
pub struct Loaded {
    /// Made with the store: revisions of different epochs don't compare.
    pub epoch: Uuid,
    /// The objects.
    pub federation: Federation,
}

/// An answer to "what happened since?".
#[derive(Debug)]
pub enum Changes {
    /// This.
    Delta(api::Delta),
    /// The log doesn't reach back that far.
    Compacted,
}

/// Why a store can't do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process has it open.
    #[error(
        "state file {path} is in use by another broker; stop that one, or name another file with --state"
    )]
    InUse {
        /// The file.
        path: String,
    },
    /// Its contents make no sense.
    #[error(
        "state file {path} is damaged: {what}; restore a copy, or move it away and apply your manifests anew"
    )]
    Damaged {
        /// The file.
        path: String,
        /// What is wrong with it.
        what: String,
    },
    /// The system refuses to read or write.
    #[error("{act} state file {path}")]
    Io {
        /// "open", "write", …
        act: &'static str,
        /// The file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It was made by a broker of another generation.
    #[error(
        "state file {path} has format {found}, but this broker reads format {known}; use the broker that made it"
    )]
    Format {
        /// The file.
        path: String,
        /// What it has.
        found: u64,
        /// What it should have.
        known: u64,
    },
    /// The new label range contradicts what is stored.
    #[error("cannot change the label range of {path}:\n{violations}")]
    LabelRange {
        /// The file.
        path: String,
        /// Which objects are in the way.
        violations: crate::model::Violations,
    },
    /// Somebody else has written since.
    #[error("the store has moved to another revision")]
    Moved,
}

/// An error with its causes, for places that carry text alone.
pub(super) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
