//! The objects in memory, in step with the store.
//!
//! Readers see the last durable state; one writer at a time plans, stores and then publishes. A
//! failed write leaves memory as it was.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use tokio::sync::{Mutex, watch};
use uuid::Uuid;

use super::{
    federation::{Applied, Change, Federation, Refusal},
    store::{Loaded, Store, StoreError, with_causes},
};

/// The broker's state.
pub struct Broker {
    store: Box<dyn Store>,
    epoch: Uuid,
    federation: RwLock<Federation>,
    writer: Mutex<()>,
    revision: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    started: Instant,
}

/// Why an apply changed nothing.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The changes are wrong.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// They could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The broker itself failed while applying.
    #[error("the broker failed while applying; ask for the object to see whether it changed")]
    Interrupted,
}

impl Broker {
    /// Starts from what the store holds.
    ///
    /// # Errors
    /// If it can't be read.
    pub async fn open(store: impl Store) -> Result<Arc<Self>, StoreError> {
        let Loaded { epoch, federation } = store.load().await?;
        Ok(Arc::new(Self {
            store: Box::new(store),
            epoch,
            revision: watch::Sender::new(federation.revision()),
            federation: RwLock::new(federation),
            writer: Mutex::new(()),
            stopping: watch::Sender::new(false),
            started: Instant::now(),
        }))
    }

    /// Made with the store: revisions of different epochs don't compare.
    #[must_use]
    pub const fn epoch(&self) -> Uuid {
        self.epoch
    }

    /// When this process took over.
    #[must_use]
    pub const fn started(&self) -> Instant {
        self.started
    }

    /// Where the changes are read from.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        self.store.as_ref()
    }

    /// Reads something from the objects as they are now. Don't wait for anything inside.
    pub fn read<T>(&self, look: impl FnOnce(&Federation) -> T) -> T {
        look(&self.federation.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Follows the revision.
    #[must_use]
    pub fn revisions(&self) -> watch::Receiver<u64> {
        self.revision.subscribe()
    }

    /// How many watches are open.
    #[must_use]
    pub fn watchers(&self) -> u64 {
        self.revision.receiver_count() as u64
    }

    /// Says when the broker is about to end.
    #[must_use]
    pub fn stopping(&self) -> watch::Receiver<bool> {
        self.stopping.subscribe()
    }

    /// Ends all watches.
    pub fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Applies all changes, or none. Once begun it goes to its end, even if nobody waits for it.
    ///
    /// # Errors
    /// If a change is wrong, or if the result can't be stored.
    pub async fn apply(self: &Arc<Self>, changes: Vec<Change>) -> Result<Applied, ApplyError> {
        let this = Arc::clone(self);
        let work = tokio::spawn(async move { this.apply_to_end(&changes).await });
        work.await.unwrap_or(Err(ApplyError::Interrupted))
    }

    async fn apply_to_end(&self, changes: &[Change]) -> Result<Applied, ApplyError> {
        let _one_at_a_time = self.writer.lock().await;
        loop {
            let plan = self.read(|federation| federation.plan(changes))?;
            if plan.changed.is_empty() {
                return Ok(plan.applied);
            }
            match self.store.commit(&plan).await {
                Ok(()) => {
                    let applied = plan.applied.clone();
                    self.publish(|federation| federation.commit(plan));
                    return Ok(applied);
                }
                // Another writer, or a write of ours that was thought lost: catch up, plan anew.
                Err(StoreError::Moved) => {
                    let loaded = self.store.load().await?;
                    if loaded.federation.revision() == self.read(Federation::revision) {
                        return Err(StoreError::Moved.into());
                    }
                    self.publish(|federation| *federation = loaded.federation);
                }
                Err(error) => {
                    tracing::error!(
                        error = with_causes(&error),
                        "changes could not be stored and are refused"
                    );
                    return Err(error.into());
                }
            }
        }
    }

    fn publish(&self, change: impl FnOnce(&mut Federation)) {
        let mut federation = self.federation.write().unwrap_or_else(PoisonError::into_inner);
        change(&mut federation);
        self.revision.send_replace(federation.revision());
    }
}
