//! Watches: first what was missed, then every change as it happens.
//!
//! A watch holds no queue. It remembers one revision and reads on from the change log when its
//! consumer asks for more, so a slow consumer costs nothing and gets merged deltas, or a new
//! snapshot if the log has moved on without it.

use std::sync::Arc;

use futures::{Stream, stream};
use tokio::sync::watch;
use tonic::Status;

use super::{
    federation::Federation,
    state::Broker,
    store::{Changes, with_causes},
};
use crate::api::{self, watch_response::Event};

struct Watch {
    broker: Arc<Broker>,
    /// `None` asks for a snapshot.
    position: Option<u64>,
    revisions: watch::Receiver<u64>,
    stopping: watch::Receiver<bool>,
}

/// Serves one watcher.
pub(super) fn watch(
    broker: Arc<Broker>,
    request: &api::WatchRequest,
) -> impl Stream<Item = Result<api::WatchResponse, Status>> + Send + use<> {
    let ours = request.epoch == broker.epoch().to_string();
    let known = request.from_revision <= broker.read(Federation::revision);
    let position = (request.from_revision > 0 && ours && known).then_some(request.from_revision);
    let watch = Watch { revisions: broker.revisions(), stopping: broker.stopping(), broker, position };
    stream::unfold(Some(watch), |watch| async {
        let mut watch = watch?;
        match watch.next().await {
            Ok(event) => Some((Ok(api::WatchResponse { event: Some(event) }), Some(watch))),
            Err(status) => Some((Err(status), None)),
        }
    })
}

impl Watch {
    async fn next(&mut self) -> Result<Event, Status> {
        let Some(position) = self.position else { return Ok(self.snapshot()) };
        let stopped = || Status::unavailable("the broker is stopping");
        tokio::select! {
            biased;
            _ = self.stopping.wait_for(|stopping| *stopping) => return Err(stopped()),
            moved = self.revisions.wait_for(|revision| *revision > position) => {
                moved.map_err(|_| stopped())?;
            }
        }
        match self.broker.store().changes_since(position).await {
            Ok(Changes::Delta(delta)) => {
                self.position = Some(delta.to);
                Ok(Event::Delta(delta))
            }
            Ok(Changes::Compacted) => Ok(self.snapshot()),
            Err(error) => {
                Err(Status::unavailable(format!("the changes cannot be read: {}", with_causes(&error))))
            }
        }
    }

    fn snapshot(&mut self) -> Event {
        let snapshot = self.broker.read(|federation| api::Snapshot {
            revision: federation.revision(),
            epoch: self.broker.epoch().to_string(),
            label_range: Some(federation.label_range().into()),
            objects: federation.objects().map(|object| object.as_ref().into()).collect(),
        });
        self.position = Some(snapshot.revision);
        Event::Snapshot(snapshot)
    }
}
