//! The gRPC face of the broker.

use std::{pin::Pin, sync::Arc};

use futures::Stream;
use isthmus_common::id::LabelRange;
use tonic::{Code, Request, Response, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

use super::{
    federation::{Change, Op, Outcome, Reason},
    state::{ApplyError, Broker},
    store::with_causes,
    watch::watch,
};
use crate::{
    api,
    model::{Kind, ObjectRef, Spec, Violations},
};

/// Most bytes of violations in one answer: they travel in HTTP/2 headers, which peers limit to
/// 16 KiB or less, and grow by half on the way.
const DETAIL_BYTES: usize = 4096;

/// Most bytes of one field or description.
const TEXT_BYTES: usize = 600;

/// Implements the contract.
pub(super) struct Service(pub(super) Arc<Broker>);

#[tonic::async_trait]
impl api::broker_server::Broker for Service {
    async fn apply(
        &self,
        request: Request<api::ApplyRequest>,
    ) -> Result<Response<api::ApplyResponse>, Status> {
        let mut wrong = Violations::default();
        let mut changes = Vec::new();
        for (index, change) in request.into_inner().changes.into_iter().enumerate() {
            match parse_change(change) {
                Ok(change) => changes.push(change),
                Err(violations) => wrong.append(violations.under(&format!("changes[{index}]"))),
            }
        }
        if !wrong.is_empty() {
            return Err(refusal(Code::InvalidArgument, &wrong));
        }
        let applied = self.0.apply(changes).await.map_err(|error| match error {
            ApplyError::Refused(refused) => refusal(code(refused.reason), &refused.violations),
            ApplyError::Store(error) => Status::unavailable(format!(
                "nothing was changed, because it cannot be stored: {}",
                with_causes(&error)
            )),
            ApplyError::Interrupted => Status::internal(error.to_string()),
        })?;
        for (outcome, object) in applied.results.iter().filter(|(outcome, _)| *outcome != Outcome::Unchanged)
        {
            let version = object.metadata.version;
            tracing::info!(object = %object.spec.object_ref(), version, revision = applied.revision, "{outcome}");
        }
        let results = applied.results.iter().map(|(outcome, object)| api::ChangeResult {
            outcome: api::change_result::Outcome::from(*outcome).into(),
            object: Some(object.as_ref().into()),
        });
        Ok(Response::new(api::ApplyResponse { revision: applied.revision, results: results.collect() }))
    }

    async fn get(&self, request: Request<api::GetRequest>) -> Result<Response<api::Object>, Status> {
        let object_ref = request.into_inner().r#ref.unwrap_or_default();
        let object_ref = ObjectRef::try_from(object_ref)
            .map_err(|wrong| refusal(Code::InvalidArgument, &wrong.under("ref")))?;
        self.0.read(|federation| match federation.get(&object_ref) {
            Some(object) => Ok(Response::new(object.as_ref().into())),
            None => Err(Status::not_found(federation.not_found(&object_ref))),
        })
    }

    async fn list(&self, request: Request<api::ListRequest>) -> Result<Response<api::ListResponse>, Status> {
        let kind = match api::Kind::try_from(request.into_inner().kind) {
            Ok(api::Kind::Unspecified) => None,
            Ok(api::Kind::Gateway) => Some(Kind::Gateway),
            Ok(api::Kind::Network) => Some(Kind::Network),
            Ok(api::Kind::Resource) => Some(Kind::Resource),
            Ok(api::Kind::Mapping) => Some(Kind::Mapping),
            Err(_) => return Err(Status::invalid_argument("kind is none that this broker knows")),
        };
        Ok(Response::new(self.0.read(|federation| {
            let objects =
                federation.objects().filter(|object| kind.is_none_or(|kind| object.spec.kind() == kind));
            api::ListResponse {
                objects: objects.map(|object| object.as_ref().into()).collect(),
                revision: federation.revision(),
            }
        })))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<api::WatchResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<api::WatchRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let peer = request.remote_addr().map(|peer| peer.to_string());
        let request = request.into_inner();
        tracing::info!(peer, from_revision = request.from_revision, "watch begins");
        Ok(Response::new(Box::pin(watch(Arc::clone(&self.0), &request))))
    }

    async fn status(
        &self,
        _: Request<api::BrokerStatusRequest>,
    ) -> Result<Response<api::BrokerStatusResponse>, Status> {
        let watchers = self.0.watchers();
        Ok(Response::new(self.0.read(|federation| {
            let count = |kind| federation.of_kind(kind).count() as u64;
            api::BrokerStatusResponse {
                version: env!("CARGO_PKG_VERSION").to_owned(),
                epoch: self.0.epoch().to_string(),
                revision: federation.revision(),
                label_range: Some(federation.label_range().into()),
                networks: count(Kind::Network),
                resources: count(Kind::Resource),
                mappings: count(Kind::Mapping),
                watchers,
                uptime_seconds: self.0.started().elapsed().as_secs(),
                gateways: count(Kind::Gateway),
            }
        })))
    }
}

fn parse_change(wire: api::Change) -> Result<Change, Violations> {
    let op = match wire.op {
        Some(api::change::Op::Put(object)) => match object.spec {
            Some(spec) => Op::Put(Spec::try_from(spec)?),
            None => {
                return Err(missing(
                    "put",
                    "holds no object; give a gateway, a network, a resource or a mapping",
                ));
            }
        },
        Some(api::change::Op::Delete(object_ref)) => {
            Op::Delete(ObjectRef::try_from(object_ref).map_err(|wrong| wrong.under("delete"))?)
        }
        None => return Err(missing("op", "is missing; put or delete something")),
    };
    Ok(Change { op, expected_version: wire.expected_version })
}

fn missing(field: &str, description: &str) -> Violations {
    let mut wrong = Violations::default();
    wrong.add(field, description);
    wrong
}

const fn code(reason: Reason) -> Code {
    match reason {
        Reason::Invalid => Code::InvalidArgument,
        Reason::Conflict => Code::Aborted,
        Reason::NotFound => Code::NotFound,
        Reason::StillReferenced => Code::FailedPrecondition,
    }
}

/// A status that carries as many violations as fit, and says how many don't.
fn refusal(code: Code, violations: &Violations) -> Status {
    let mut details = ErrorDetails::new();
    let mut size = 0;
    for (index, violation) in violations.0.iter().enumerate() {
        let field = shorten(&violation.field);
        let description = shorten(&violation.description);
        size += field.len() + description.len();
        if size > DETAIL_BYTES {
            let rest = violations.0.len() - index;
            details.add_bad_request_violation("", format!("and {rest} more mistakes"));
            break;
        }
        details.add_bad_request_violation(field, description);
    }
    let message = match violations.0.as_slice() {
        [] => String::new(),
        [only] => shorten(&only.to_string()),
        [first, rest @ ..] => format!("{} (and {} more)", shorten(&first.to_string()), rest.len()),
    };
    Status::with_error_details(code, message, details)
}

fn shorten(text: &str) -> String {
    if text.len() <= TEXT_BYTES {
        return text.to_owned();
    }
    let end = text.char_indices().map(|(start, _)| start).take_while(|start| *start <= TEXT_BYTES).last();
    format!("{}…", &text[..end.unwrap_or_default()])
}

impl From<Outcome> for api::change_result::Outcome {
    fn from(outcome: Outcome) -> Self {
        match outcome {
            Outcome::Unchanged => Self::Unchanged,
            Outcome::Created => Self::Created,
            Outcome::Updated => Self::Updated,
            Outcome::Deleted => Self::Deleted,
        }
    }
}

impl From<LabelRange> for api::LabelRange {
    fn from(range: LabelRange) -> Self {
        Self { first: range.first().get(), last: range.last().get() }
    }
}
