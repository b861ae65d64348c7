//! Talking to the broker.

use std::time::Duration;

use anyhow::{Context as _, bail};
use tonic::{
    Code, Status,
    transport::{Channel, Endpoint},
};
use tonic_types::StatusExt as _;

use crate::{
    api::{self, MAX_MESSAGE_BYTES, broker_client::BrokerClient},
    model::{Kind, Object, ObjectRef, Violations},
};

/// How long connecting may take.
const CONNECT: Duration = Duration::from_secs(5);

/// How long a call may take.
const CALL: Duration = Duration::from_secs(60);

/// A broker that answers.
pub struct Client {
    url: String,
    inner: BrokerClient<Channel>,
}

/// A request that the broker refuses.
#[derive(Debug, thiserror::Error)]
#[error("{}", if .violations.is_empty() { .message.clone() } else { .violations.to_string() })]
pub struct Refused {
    /// What kind of refusal.
    pub code: Code,
    message: String,
    /// What is wrong, field by field; may be empty.
    pub violations: Violations,
}

impl Client {
    /// Connects.
    ///
    /// # Errors
    /// If the URL can't be used or nobody answers.
    pub async fn connect(url: &str) -> anyhow::Result<Self> {
        if url.starts_with("https://") {
            bail!("--broker {url}: brokers don't speak TLS yet; use http:// and a loopback address");
        }
        if !url.starts_with("http://") {
            bail!("--broker {url}: not a URL; did you mean http://{url}?");
        }
        let endpoint =
            Endpoint::from_shared(url.to_owned()).with_context(|| format!("--broker {url}: not a URL"))?;
        let channel = endpoint.connect_timeout(CONNECT).timeout(CALL).connect().await.map_err(|error| {
            let cause = io_cause(&error).filter(|cause| cause.kind() != std::io::ErrorKind::ConnectionRefused);
            let cause = cause.map(|cause| format!(" ({cause})")).unwrap_or_default();
            anyhow::anyhow!(
                "no broker answers at {url}: start one with `isthmus broker run` or name it with --broker{cause}"
            )
        })?;
        let inner = BrokerClient::new(channel)
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self { url: url.to_owned(), inner })
    }

    /// Applies changes, all or none.
    ///
    /// # Errors
    /// [`Refused`], or that the broker can't be reached.
    pub async fn apply(&mut self, changes: Vec<api::Change>) -> anyhow::Result<api::ApplyResponse> {
        let answer = self.inner.apply(api::ApplyRequest { changes }).await;
        Ok(answer.map_err(|status| self.explain(&status))?.into_inner())
    }

    /// Reads one object.
    ///
    /// # Errors
    /// [`Refused`] if there is none, or that the broker can't be reached.
    pub async fn get(&mut self, object_ref: &ObjectRef) -> anyhow::Result<Object> {
        let answer = self.inner.get(api::GetRequest { r#ref: Some(object_ref.into()) }).await;
        read(answer.map_err(|status| self.explain(&status))?.into_inner())
    }

    /// Reads all objects of a kind, and the revision they are of.
    ///
    /// # Errors
    /// If the broker can't be reached.
    pub async fn list(&mut self, kind: Kind) -> anyhow::Result<(u64, Vec<Object>)> {
        let answer = self.inner.list(api::ListRequest { kind: api::Kind::from(kind).into() }).await;
        let answer = answer.map_err(|status| self.explain(&status))?.into_inner();
        Ok((answer.revision, answer.objects.into_iter().map(read).collect::<Result<_, _>>()?))
    }

    /// Asks the broker how it is doing.
    ///
    /// # Errors
    /// If it can't be reached.
    pub async fn status(&mut self) -> anyhow::Result<api::BrokerStatusResponse> {
        let answer = self.inner.status(api::BrokerStatusRequest {}).await;
        Ok(answer.map_err(|status| self.explain(&status))?.into_inner())
    }

    fn explain(&self, status: &Status) -> anyhow::Error {
        let mut violations = Violations::default();
        for violation in
            status.get_details_bad_request().into_iter().flat_map(|details| details.field_violations)
        {
            violations.add(violation.field, violation.description);
        }
        let refused = Refused { code: status.code(), message: status.message().to_owned(), violations };
        match status.code() {
            Code::InvalidArgument | Code::Aborted | Code::NotFound | Code::FailedPrecondition => {
                refused.into()
            }
            Code::Unimplemented => {
                anyhow::anyhow!("the server at {} is not a broker that this isthmus knows", self.url)
            }
            Code::Unavailable | Code::Internal | Code::ResourceExhausted => {
                anyhow::anyhow!("broker at {}: {}", self.url, status.message())
            }
            code => anyhow::anyhow!("broker at {}: {} ({code:?})", self.url, status.message()),
        }
    }
}

/// What an answer holds, in our own terms.
///
/// # Errors
/// If this version can't read what the broker sent.
pub fn read(wire: api::Object) -> anyhow::Result<Object> {
    Object::try_from(wire).context("the broker sent an object that this isthmus cannot read")
}

fn io_cause(error: &dyn std::error::Error) -> Option<&std::io::Error> {
    let mut next = error.source();
    while let Some(cause) = next {
        if let Some(io) = cause.downcast_ref() {
            return Some(io);
        }
        next = cause.source();
    }
    None
}
