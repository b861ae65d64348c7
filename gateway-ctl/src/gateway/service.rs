//! Answers on the gateway's local socket.
//!
//! Only the socket's owner may connect: it is a file of mode 0600.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::pin::Pin;

use futures::{Stream, StreamExt as _};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{broadcast, mpsc, oneshot};
use tokio_stream::wrappers::{BroadcastStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming};

use super::controller::Command;
use crate::api;
use crate::api::gateway_server::{Gateway, GatewayServer};

/// The socket could not be opened.
#[derive(Debug, thiserror::Error)]
#[error("listen on {}: {reason}", path.display())]
pub struct SocketError {
    path: PathBuf,
    reason: String,
}

/// The local socket; removed when dropped.
#[derive(Debug)]
pub struct Socket {
    path: PathBuf,
    listener: Option<UnixListener>,
}

impl Socket {
    /// Opens the socket, in place of one that nobody answers on.
    ///
    /// # Errors
    /// If another gateway answers there, or the path can't be made.
    pub async fn bind(path: &Path) -> Result<Self, SocketError> {
        let failed = |reason: String| SocketError { path: path.to_owned(), reason };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder)
                .map_err(|error| failed(format!("create {}: {error}", folder.display())))?;
        }
        if path.exists() {
            if UnixStream::connect(path).await.is_ok() {
                return Err(failed(
                    "another gateway answers there; name another socket with --socket".into(),
                ));
            }
            std::fs::remove_file(path).map_err(|error| failed(format!("remove the old one: {error}")))?;
        }
        let listener = UnixListener::bind(path).map_err(|error| failed(error.to_string()))?;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))
            .map_err(|error| failed(error.to_string()))?;
        Ok(Self { path: path.to_owned(), listener: Some(listener) })
    }

    /// Serves until `stop` resolves.
    ///
    /// # Errors
    /// If the server fails.
    pub async fn serve(
        mut self,
        commands: mpsc::Sender<Command>,
        stop: impl Future<Output = ()>,
    ) -> Result<(), tonic::transport::Error> {
        let Some(listener) = self.listener.take() else { return Ok(()) };
        tonic::transport::Server::builder()
            .add_service(GatewayServer::new(Service { commands }))
            .serve_with_incoming_shutdown(UnixListenerStream::new(listener), stop)
            .await
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // Gone already is as good.
        let _ = std::fs::remove_file(&self.path);
    }
}

struct Service {
    commands: mpsc::Sender<Command>,
}

impl Service {
    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, Status> {
        ask(&self.commands, command).await
    }
}

async fn ask<T>(
    commands: &mpsc::Sender<Command>,
    command: impl FnOnce(oneshot::Sender<T>) -> Command,
) -> Result<T, Status> {
    let stopping = || Status::unavailable("the gateway is stopping");
    let (reply, answer) = oneshot::channel();
    commands.send(command(reply)).await.map_err(|_| stopping())?;
    answer.await.map_err(|_| stopping())
}

type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl Gateway for Service {
    async fn status(
        &self,
        _request: Request<api::GatewayStatusRequest>,
    ) -> Result<Response<api::GatewayStatusResponse>, Status> {
        Ok(Response::new(self.ask(Command::Status).await?))
    }

    async fn counters(
        &self,
        _request: Request<api::CountersRequest>,
    ) -> Result<Response<api::CountersResponse>, Status> {
        let counters = self.ask(Command::Counters).await?;
        counters.map(Response::new).map_err(|error| Status::internal(error.to_string()))
    }

    async fn endpoints(
        &self,
        _request: Request<api::EndpointsRequest>,
    ) -> Result<Response<api::EndpointsResponse>, Status> {
        Ok(Response::new(self.ask(Command::Endpoints).await?))
    }

    type EventsStream = Replies<api::Event>;

    async fn events(
        &self,
        request: Request<api::EventsRequest>,
    ) -> Result<Response<Self::EventsStream>, Status> {
        let request = request.into_inner();
        let (mut recent, live) = self.ask(Command::Events).await?;
        let skipped = recent.len().saturating_sub(request.last as usize);
        let recent = futures::stream::iter(recent.split_off(skipped)).map(Ok);
        if request.no_follow {
            return Ok(Response::new(Box::pin(recent)));
        }
        Ok(Response::new(Box::pin(recent.chain(follow(live)))))
    }

    type TraceStream = Replies<api::TraceResponse>;

    async fn trace(
        &self,
        request: Request<Streaming<api::TraceRequest>>,
    ) -> Result<Response<Self::TraceStream>, Status> {
        let commands = self.commands.clone();
        let results = request.into_inner().then(move |request| {
            let commands = commands.clone();
            async move {
                let api::TraceRequest { frame, interface } = request?;
                ask(&commands, |reply| Command::Trace(frame, interface, reply))
                    .await?
                    .map_err(Status::invalid_argument)
            }
        });
        Ok(Response::new(Box::pin(results)))
    }
}

/// A listener that is too slow misses events, as it would if the data plane had not sent them.
fn follow(live: broadcast::Receiver<api::Event>) -> impl Stream<Item = Result<api::Event, Status>> {
    BroadcastStream::new(live).filter_map(|event| async { event.ok().map(Ok) })
}
