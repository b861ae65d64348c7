//! Follows the broker's objects.
//!
//! A stream that breaks is opened again from the last revision, after a pause that grows. Nothing
//! is forgotten meanwhile: disconnected is never "empty".

use std::time::Duration;

use backon::{BackoffBuilder as _, ExponentialBuilder};
use isthmus_common::id::{Label, LabelRange};
use tokio::sync::mpsc;
use tonic::transport::{Channel, Endpoint};

use super::plan::Refused;
use super::replica::Replica;
use crate::api::{self, broker_client::BrokerClient, watch_response};
use crate::model::{Object, ObjectRef};

/// What the controller hears from the broker.
#[derive(Debug)]
pub enum Update {
    /// The stream is open, and up to date until told otherwise.
    Connected,
    /// The stream is broken.
    Disconnected(String),
    /// The whole state.
    Snapshot(Box<Replica>, Vec<Refused>),
    /// Changes up to and including `to`, from the last revision sent.
    Delta {
        /// The revision they lead to.
        to: u64,
        /// Created and changed objects.
        upserts: Vec<Object>,
        /// Removed objects.
        tombstones: Vec<ObjectRef>,
        /// Objects that this gateway can't read.
        unreadable: Vec<Refused>,
    },
}

/// How long a connection may stay silent before it is probed, and how long the answer may take.
const KEEP_ALIVE: Duration = Duration::from_secs(5);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Larger messages than gRPC's default 4 MiB: a snapshot comes as one.
const MESSAGE_LIMIT: usize = 1 << 30;

/// Follows the broker at `endpoint` until the receiver of `updates` is dropped.
pub async fn follow(endpoint: Endpoint, updates: mpsc::Sender<Update>) {
    let endpoint = endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true);
    let backoff = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(100))
        .with_max_delay(Duration::from_secs(5))
        .with_jitter()
        .without_max_times();
    let mut position = Position::default();
    let mut pauses = backoff.build();
    loop {
        let before = position.clone();
        let problem = match stream(&endpoint, &mut position, &updates).await {
            Ok(()) => return,
            Err(problem) => problem,
        };
        if updates.send(Update::Disconnected(problem)).await.is_err() {
            return;
        }
        if position != before {
            pauses = backoff.build();
        }
        tokio::time::sleep(pauses.next().unwrap_or(CONNECT_TIMEOUT)).await;
    }
}

/// Where the stream goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Position {
    revision: u64,
    epoch: String,
}

/// Ends with `Ok` when the receiver is gone, with a description when the stream breaks.
async fn stream(
    endpoint: &Endpoint,
    position: &mut Position,
    updates: &mpsc::Sender<Update>,
) -> Result<(), String> {
    let channel: Channel = endpoint.connect().await.map_err(|error| describe(&error))?;
    let mut client = BrokerClient::new(channel).max_decoding_message_size(MESSAGE_LIMIT);
    let request = api::WatchRequest { from_revision: position.revision, epoch: position.epoch.clone() };
    let mut stream = client.watch(request).await.map_err(|status| status.message().to_owned())?.into_inner();
    if updates.send(Update::Connected).await.is_err() {
        return Ok(());
    }
    while let Some(response) = stream.message().await.map_err(|status| status.message().to_owned())? {
        let update = match response.event {
            Some(watch_response::Event::Snapshot(snapshot)) => {
                *position = Position { revision: snapshot.revision, epoch: snapshot.epoch.clone() };
                read_snapshot(snapshot)?
            }
            Some(watch_response::Event::Delta(delta)) => {
                if delta.from != position.revision {
                    let expected = position.revision;
                    *position = Position::default();
                    return Err(format!(
                        "the broker sent changes since revision {} instead of {expected}; asking for a snapshot",
                        delta.from
                    ));
                }
                position.revision = delta.to;
                read_delta(delta)
            }
            None => continue,
        };
        if updates.send(update).await.is_err() {
            return Ok(());
        }
    }
    Err("the broker ended the stream".to_owned())
}

fn read_snapshot(snapshot: api::Snapshot) -> Result<Update, String> {
    let label_range = snapshot
        .label_range
        .and_then(|range| LabelRange::new(Label::new(range.first)?, Label::new(range.last)?))
        .ok_or("the broker's snapshot has no valid label range")?;
    let mut replica = Replica::new(snapshot.revision, snapshot.epoch, label_range);
    let (objects, unreadable) = read_objects(snapshot.objects);
    for object in objects {
        replica.put(object);
    }
    Ok(Update::Snapshot(Box::new(replica), unreadable))
}

fn read_delta(delta: api::Delta) -> Update {
    let (upserts, unreadable) = read_objects(delta.upserts);
    let tombstones = delta.tombstones.into_iter().filter_map(|object| object.try_into().ok()).collect();
    Update::Delta { to: delta.to, upserts, tombstones, unreadable }
}

/// What this gateway can't read, perhaps because the broker is newer, is refused like any other
/// object that can't be put into force.
fn read_objects(objects: Vec<api::Object>) -> (Vec<Object>, Vec<Refused>) {
    let mut readable = Vec::with_capacity(objects.len());
    let mut unreadable = Vec::new();
    for object in objects {
        let name = name(&object);
        let version = object.metadata.as_ref().map_or(0, |metadata| metadata.version);
        match Object::try_from(object) {
            Ok(object) => readable.push(object),
            Err(violations) => unreadable.extend(name.map(|object| Refused {
                object,
                version,
                reason: format!("this gateway can't read it: {violations}"),
            })),
        }
    }
    (readable, unreadable)
}

fn name(object: &api::Object) -> Option<ObjectRef> {
    Some(match object.spec.as_ref()? {
        api::object::Spec::Gateway(gateway) => ObjectRef::gateway(&gateway.name),
        api::object::Spec::Network(network) => ObjectRef::network(&network.name),
        api::object::Spec::Resource(resource) => ObjectRef::resource(&resource.resource_id),
        api::object::Spec::Mapping(mapping) => {
            ObjectRef { kind: crate::model::Kind::Mapping, name: mapping.unique_identifier.clone() }
        }
    })
}

fn describe(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
