//! The way to a running gateway: its local socket.

use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::UnixStream;
use tonic::transport::{Channel, Endpoint, Uri};

use crate::api::gateway_client::GatewayClient;

/// Connects to the gateway that answers at `path`.
///
/// # Errors
/// If none does; says what to do about it.
pub(super) async fn connect(path: &Path) -> anyhow::Result<GatewayClient<Channel>> {
    // Tried by itself first, because the channel would hide why it failed.
    UnixStream::connect(path).await.map_err(|error| {
        let shown = path.display();
        match error.kind() {
            std::io::ErrorKind::PermissionDenied => {
                anyhow::anyhow!("not permitted to use {shown}: only the gateway's own user may; try it with sudo")
            }
            _ => anyhow::anyhow!(
                "no gateway answers at {shown} ({error}): start one with `isthmus gateway run`, or name its socket \
                 with --socket"
            ),
        }
    })?;
    let path: PathBuf = path.to_owned();
    // The URI is only for HTTP's sake: the connector knows where to go.
    let channel = Endpoint::from_static("http://gateway.localhost")
        .connect_with_connector(tower::service_fn(move |_: Uri| {
            let path = path.clone();
            async move { UnixStream::connect(path).await.map(TokioIo::new) }
        }))
        .await?;
    Ok(GatewayClient::new(channel))
}
