//! The broker as a server: its address, its services, its end.

use std::{io, net::SocketAddr, path::PathBuf, time::Duration};

use isthmus_common::id::LabelRange;
use tokio::net::TcpListener;
use tonic::transport::{Server, server::TcpIncoming};

use super::{redb::RedbStore, service::Service, state::Broker, store::StoreError};
use crate::api::{FILE_DESCRIPTOR_SET, MAX_MESSAGE_BYTES, broker_server::BrokerServer};

/// How long calls in flight may take once the broker is told to end.
const GRACE: Duration = Duration::from_secs(5);

/// How often a silent connection is asked whether it is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// What a broker needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// Address and port; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The state file.
    pub state: PathBuf,
    /// VNIs that name mappings; `None` keeps what the state file says.
    pub label_range: Option<LabelRange>,
    /// How many revisions a watch can resume over.
    pub kept_revisions: u64,
}

/// Why a broker does not run.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Everybody could reach it.
    #[error(
        "refusing to listen on {0}: without TLS, which the broker does not have yet, anybody who reaches it could \
         change mappings; listen on a loopback address, e.g. 127.0.0.1:6190"
    )]
    NotLoopback(SocketAddr),
    /// The address can't be had.
    #[error("listen on {address}")]
    Listen {
        /// Which.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
    /// The state can't be had.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The services can't be described.
    #[error("describe the services")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// The server failed.
    #[error("serve")]
    Serve(#[from] tonic::transport::Error),
}

/// Serves until `stop` completes. `ready` is called with the address once calls are answered.
///
/// # Errors
/// If the address is no loopback address or taken, or if the state file can't be used.
pub async fn run(
    options: Options,
    ready: impl FnOnce(SocketAddr),
    stop: impl Future<Output = ()>,
) -> Result<(), ServerError> {
    if !options.listen.ip().is_loopback() {
        return Err(ServerError::NotLoopback(options.listen));
    }
    let listen_error = |source| ServerError::Listen { address: options.listen, source };
    let listener = TcpListener::bind(options.listen).await.map_err(listen_error)?;
    let address = listener.local_addr().map_err(listen_error)?;

    let store = RedbStore::open(&options.state, options.label_range, options.kept_revisions)?;
    let broker = Broker::open(store).await?;

    let (health, health_service) = tonic_health::server::health_reporter();
    health.set_serving::<BrokerServer<Service>>().await;
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .with_service_name("isthmus.v1.Broker")
            .with_service_name("grpc.health.v1.Health")
    };
    let service = BrokerServer::new(Service(broker.clone()))
        .max_decoding_message_size(MAX_MESSAGE_BYTES)
        .max_encoding_message_size(MAX_MESSAGE_BYTES);
    let mut stopping = broker.stopping();
    let serving = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(service)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener).with_nodelay(Some(true)), async move {
            // An error means the sender is gone, which is as good a reason to end.
            let _ = stopping.wait_for(|stopping| *stopping).await;
        });
    let (epoch, revision) = (broker.epoch(), *broker.revisions().borrow());
    tracing::info!(%address, state = %options.state.display(), %epoch, revision, "broker listens");
    ready(address);

    let deadline = async {
        stop.await;
        tracing::info!("broker stops");
        broker.stop();
        tokio::time::sleep(GRACE).await;
    };
    tokio::select! {
        result = serving => result?,
        () = deadline => tracing::warn!("calls still in flight were cut off"),
    }
    Ok(())
}
