//! The store in a file of the broker's own host.

use std::{
    collections::BTreeMap,
    fs::{DirBuilder, File, OpenOptions},
    io,
    os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use futures::{FutureExt as _, future::BoxFuture};
use isthmus_common::id::{Label, LabelRange};
use prost::Message as _;
use redb::{Database, ReadableDatabase as _, ReadableTable as _, StorageError, TableDefinition};
use uuid::Uuid;

use super::{
    federation::{Federation, Plan},
    store::{Changes, Loaded, Store, StoreError},
};
use crate::{
    api,
    model::{Object, ObjectRef},
};

/// The layout of the tables below.
const FORMAT: u64 = 1;

/// Revisions a change log holds unless told otherwise.
pub const DEFAULT_KEPT_REVISIONS: u64 = 10_000;

/// A delta stops growing here, in bytes of stored changes; the rest follows in the next one.
const DELTA_BYTES: usize = 4 << 20;

/// Numbers: see the constants below.
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
const META_FORMAT: &str = "format";
const META_REVISION: &str = "revision";
const META_NEXT_LABEL: &str = "next_label";
const META_FIRST_LABEL: &str = "first_label";
const META_LAST_LABEL: &str = "last_label";

/// One entry: the epoch.
const EPOCH: TableDefinition<'_, (), u128> = TableDefinition::new("epoch");

/// (kind, name) → `isthmus.v1.Object`.
const OBJECTS: TableDefinition<'_, (i32, &str), &[u8]> = TableDefinition::new("objects");

/// Revision → `isthmus.v1.Delta` that led to it.
const LOG: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("log");

/// A store in a redb file.
#[derive(Clone)]
pub struct RedbStore(Arc<Inner>);

struct Inner {
    path: PathBuf,
    kept_revisions: u64,
    /// `None` after a failure, until the file could be opened again.
    database: Mutex<Option<Database>>,
}

impl RedbStore {
    /// Opens the file, or makes it (readable by its owner only, like its directory).
    ///
    /// A label range other than the stored one starts a new epoch, so that every gateway learns it.
    ///
    /// # Errors
    /// If the file can't be used; each names the file.
    pub fn open(
        path: &Path,
        label_range: Option<LabelRange>,
        kept_revisions: u64,
    ) -> Result<Self, StoreError> {
        if let Some(parent) =
            path.parent().filter(|parent| !parent.as_os_str().is_empty() && !parent.exists())
        {
            DirBuilder::new().recursive(true).mode(0o700).create(parent).map_err(|source| {
                StoreError::Io { act: "make the directory of", path: path.display().to_string(), source }
            })?;
        }
        let inner = Inner { path: path.to_owned(), kept_revisions, database: Mutex::new(None) };
        let database = inner.open_file(true)?;
        inner.prepare(&database, label_range)?;
        *inner.lock() = Some(database);
        Ok(Self(Arc::new(inner)))
    }

    /// Runs one piece of work where blocking is allowed.
    fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Inner) -> Result<T, StoreError> + Send + 'static,
    ) -> BoxFuture<'static, Result<T, StoreError>> {
        let inner = Arc::clone(&self.0);
        async move {
            let path = inner.name();
            tokio::task::spawn_blocking(move || work(&inner)).await.unwrap_or_else(|error| {
                Err(StoreError::Io { act: "use", path, source: io::Error::other(error) })
            })
        }
        .boxed()
    }
}

impl Store for RedbStore {
    fn load(&self) -> BoxFuture<'_, Result<Loaded, StoreError>> {
        self.run(|inner| inner.with_database("read", |database| inner.load(database)))
    }

    fn commit(&self, plan: &Plan) -> BoxFuture<'_, Result<(), StoreError>> {
        let commit = Commit::new(plan);
        self.run(move |inner| inner.commit(&commit))
    }

    fn changes_since(&self, from: u64) -> BoxFuture<'_, Result<Changes, StoreError>> {
        self.run(move |inner| inner.with_database("read", |database| Ok(changes_since(database, from)?)))
    }
}

/// A plan as it is stored.
struct Commit {
    revision: u64,
    next_label: Label,
    objects: Vec<(ObjectRef, Option<Vec<u8>>)>,
    delta: Vec<u8>,
}

impl Commit {
    fn new(plan: &Plan) -> Self {
        let revision = plan.applied.revision;
        let mut delta = api::Delta { from: revision - 1, to: revision, ..Default::default() };
        let mut objects = Vec::with_capacity(plan.changed.len());
        for (object_ref, object) in &plan.changed {
            let wire = object.as_deref().map(api::Object::from);
            objects.push((object_ref.clone(), wire.as_ref().map(api::Object::encode_to_vec)));
            match wire {
                Some(wire) => delta.upserts.push(wire),
                None => delta.tombstones.push(object_ref.into()),
            }
        }
        Self { revision, next_label: plan.next_label, objects, delta: delta.encode_to_vec() }
    }
}

/// Any of redb's errors, and those of reading what it holds.
enum Failure {
    Redb(redb::Error),
    Store(StoreError),
}

impl<E: Into<redb::Error>> From<E> for Failure {
    fn from(error: E) -> Self {
        Self::Redb(error.into())
    }
}

impl Inner {
    fn name(&self) -> String {
        self.path.display().to_string()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<Database>> {
        self.database.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn damaged(&self, what: impl Into<String>) -> StoreError {
        StoreError::Damaged { path: self.name(), what: what.into() }
    }

    fn explain(&self, act: &'static str, failure: Failure) -> StoreError {
        let io = |source| StoreError::Io { act, path: self.name(), source };
        match failure {
            Failure::Store(error) => error,
            Failure::Redb(redb::Error::DatabaseAlreadyOpen) => StoreError::InUse { path: self.name() },
            Failure::Redb(redb::Error::Io(source)) if source.kind() == io::ErrorKind::InvalidData => {
                self.damaged(source.to_string())
            }
            Failure::Redb(redb::Error::Io(source)) => io(source),
            Failure::Redb(redb::Error::PreviousIo) => io(io::Error::other("an earlier write failed")),
            Failure::Redb(error) => self.damaged(error.to_string()),
        }
    }

    fn open_file(&self, create: bool) -> Result<Database, StoreError> {
        let open = || -> Result<File, io::Error> {
            OpenOptions::new()
                .read(true)
                .write(true)
                .create(create)
                .truncate(false)
                .mode(0o600)
                .open(&self.path)
        };
        let file = open().map_err(|source| StoreError::Io { act: "open", path: self.name(), source })?;
        // A damaged file can make redb panic; that must not look like a bug of the broker's.
        let opened = std::panic::catch_unwind(|| Database::builder().create_file(file));
        match opened {
            Ok(result) => result.map_err(|error| self.explain("open", error.into())),
            Err(_) => Err(self.damaged("it can't be read at all")),
        }
    }

    /// Does some work, reopening the file if an earlier failure closed it.
    fn with_database<T>(
        &self,
        act: &'static str,
        work: impl FnOnce(&Database) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let mut guard = self.lock();
        let database = match guard.take() {
            Some(database) => database,
            None => self.open_file(false)?,
        };
        match work(&database) {
            Err(failure @ Failure::Redb(_)) => {
                // redb refuses everything after an I/O error; a new handle starts from the last
                // commit that is whole.
                drop(database);
                Err(self.explain(act, failure))
            }
            result => {
                *guard = Some(database);
                result.map_err(|failure| self.explain(act, failure))
            }
        }
    }

    /// Brings a new file, or one with another label range, into the wanted shape.
    fn prepare(&self, database: &Database, wanted: Option<LabelRange>) -> Result<(), StoreError> {
        let explain = |failure| self.explain("write", failure);
        let is_new = is_new(database).map_err(explain)?;
        let (federation, epoch) = if is_new {
            (Federation::new(wanted.unwrap_or(LabelRange::DEFAULT)), Uuid::new_v4())
        } else {
            let Loaded { federation, epoch } = self.load(database).map_err(explain)?;
            match wanted.filter(|wanted| *wanted != federation.label_range()) {
                None => return Ok(()),
                Some(range) => {
                    let changed = federation
                        .with_label_range(range)
                        .map_err(|violations| StoreError::LabelRange { path: self.name(), violations })?;
                    tracing::info!(%range, previous_epoch = %epoch, "label range changed, starting a new epoch");
                    (changed, Uuid::new_v4())
                }
            }
        };
        write_meta(database, &federation, epoch).map_err(explain)
    }

    fn load(&self, database: &Database) -> Result<Loaded, Failure> {
        let transaction = database.begin_read()?;
        let meta = transaction.open_table(META)?;
        let number = |name: &'static str| -> Result<u64, Failure> {
            let value = meta.get(name)?.map(|value| value.value());
            value.ok_or_else(|| Failure::Store(self.damaged(format!("{name} is missing"))))
        };
        let label = |name: &'static str| -> Result<Label, Failure> {
            let value = number(name)?;
            let label = u32::try_from(value).ok().and_then(Label::new);
            label.ok_or_else(|| Failure::Store(self.damaged(format!("{name} is {value}"))))
        };
        let format = number(META_FORMAT)?;
        if format != FORMAT {
            let path = self.name();
            return Err(Failure::Store(StoreError::Format { path, found: format, known: FORMAT }));
        }
        let range = LabelRange::new(label(META_FIRST_LABEL)?, label(META_LAST_LABEL)?)
            .ok_or_else(|| Failure::Store(self.damaged("the label range runs backwards")))?;
        let epoch = transaction.open_table(EPOCH)?.get(())?.map(|epoch| Uuid::from_u128(epoch.value()));
        let epoch = epoch.ok_or_else(|| Failure::Store(self.damaged("the epoch is missing")))?;
        let mut objects = Vec::new();
        for entry in transaction.open_table(OBJECTS)?.iter()? {
            let (key, value) = entry?;
            let (_, name) = key.value();
            let broken = |what: String| Failure::Store(self.damaged(format!("object {name}: {what}")));
            let wire = api::Object::decode(value.value()).map_err(|error| broken(error.to_string()))?;
            objects.push(Object::try_from(wire).map_err(|error| broken(error.to_string()))?);
        }
        let federation = Federation::restore(range, label(META_NEXT_LABEL)?, number(META_REVISION)?, objects);
        Ok(Loaded { epoch, federation })
    }

    fn commit(&self, commit: &Commit) -> Result<(), StoreError> {
        let result = self.with_database("write", |database| self.write(database, commit));
        if !matches!(result, Err(StoreError::Io { .. } | StoreError::Damaged { .. })) {
            return result;
        }
        // The failure may have come after the point of no return: look what the file holds now.
        match self.with_database("read", |database| Ok(revision(database)?)) {
            Ok(revision) if revision == commit.revision => Ok(()),
            _ => result,
        }
    }

    fn write(&self, database: &Database, commit: &Commit) -> Result<(), Failure> {
        let transaction = database.begin_write()?;
        {
            let mut meta = transaction.open_table(META)?;
            let stored = meta.get(META_REVISION)?.map(|value| value.value());
            if stored != Some(commit.revision - 1) {
                return Err(Failure::Store(StoreError::Moved));
            }
            meta.insert(META_REVISION, commit.revision)?;
            meta.insert(META_NEXT_LABEL, u64::from(commit.next_label.get()))?;
            let mut objects = transaction.open_table(OBJECTS)?;
            for (object_ref, object) in &commit.objects {
                let key = (api::Kind::from(object_ref.kind) as i32, object_ref.name.as_str());
                match object {
                    Some(bytes) => objects.insert(key, bytes.as_slice())?,
                    None => objects.remove(key)?,
                };
            }
            let mut log = transaction.open_table(LOG)?;
            log.insert(commit.revision, commit.delta.as_slice())?;
            let expired = commit.revision.saturating_sub(self.kept_revisions);
            log.retain_in(..=expired, |_, _| false)?;
        }
        transaction.commit()?;
        Ok(())
    }
}

fn is_new(database: &Database) -> Result<bool, Failure> {
    Ok(database.begin_read()?.list_tables()?.next().is_none())
}

fn revision(database: &Database) -> Result<u64, redb::Error> {
    let meta = database.begin_read()?.open_table(META)?;
    Ok(meta.get(META_REVISION)?.map_or(0, |value| value.value()))
}

fn write_meta(database: &Database, federation: &Federation, epoch: Uuid) -> Result<(), Failure> {
    let transaction = database.begin_write()?;
    {
        let mut meta = transaction.open_table(META)?;
        let range = federation.label_range();
        meta.insert(META_FORMAT, FORMAT)?;
        meta.insert(META_REVISION, federation.revision())?;
        meta.insert(META_NEXT_LABEL, u64::from(federation.next_label().get()))?;
        meta.insert(META_FIRST_LABEL, u64::from(range.first().get()))?;
        meta.insert(META_LAST_LABEL, u64::from(range.last().get()))?;
        transaction.open_table(EPOCH)?.insert((), epoch.as_u128())?;
        transaction.open_table(OBJECTS)?;
        transaction.open_table(LOG)?;
    }
    transaction.commit()?;
    Ok(())
}

fn changes_since(database: &Database, from: u64) -> Result<Changes, redb::Error> {
    let transaction = database.begin_read()?;
    let log = transaction.open_table(LOG)?;
    let mut upserts = BTreeMap::new();
    let mut tombstones = BTreeMap::new();
    let mut to = from;
    let mut size = 0;
    for entry in log.range(from + 1..)? {
        let (revision, bytes) = entry?;
        if revision.value() != to + 1 {
            return Ok(Changes::Compacted);
        }
        to = revision.value();
        let delta = api::Delta::decode(bytes.value())
            .map_err(|error| StorageError::Corrupted(format!("change {to}: {error}")))?;
        for object in delta.upserts {
            let key = key(&object);
            tombstones.remove(&key);
            upserts.insert(key, object);
        }
        for object_ref in delta.tombstones {
            let key = (object_ref.kind, object_ref.name.clone());
            upserts.remove(&key);
            tombstones.insert(key, object_ref);
        }
        size += bytes.value().len();
        if size >= DELTA_BYTES {
            break;
        }
    }
    if to == from {
        return Ok(Changes::Compacted);
    }
    Ok(Changes::Delta(api::Delta {
        from,
        to,
        upserts: upserts.into_values().collect(),
        tombstones: tombstones.into_values().collect(),
    }))
}

/// What names an object on the wire.
fn key(object: &api::Object) -> (i32, String) {
    match &object.spec {
        Some(api::object::Spec::Gateway(gateway)) => (api::Kind::Gateway.into(), gateway.name.clone()),
        Some(api::object::Spec::Network(network)) => (api::Kind::Network.into(), network.name.clone()),
        Some(api::object::Spec::Resource(resource)) => {
            (api::Kind::Resource.into(), resource.resource_id.clone())
        }
        Some(api::object::Spec::Mapping(mapping)) => {
            (api::Kind::Mapping.into(), mapping.unique_identifier.clone())
        }
        None => (api::Kind::Unspecified.into(), String::new()),
    }
}

#[cfg(test)]
mod tests;
