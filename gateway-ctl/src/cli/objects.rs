//! What gateways, networks, resources and mappings have in common on the command line.

use serde::Serialize;

use super::{
    Global,
    client::{Client, Refused, read},
    output::{self, Format},
};
use crate::{
    api,
    broker::federation::Outcome,
    manifest::{Stored, to_yaml},
    model::{Kind, Object, ObjectRef, Spec, Violations},
};

/// How objects of one kind are tabulated.
pub(super) struct Columns {
    pub(super) kind: Kind,
    pub(super) header: &'static [&'static str],
    pub(super) row: fn(&Object) -> Vec<String>,
}

#[derive(Serialize)]
struct Listed {
    revision: u64,
    objects: Vec<Stored>,
}

/// The result of an apply, as machines read it.
#[derive(Serialize)]
pub(super) struct Applied {
    revision: u64,
    results: Vec<Changed>,
}

#[derive(Serialize)]
struct Changed {
    outcome: String,
    name: String,
    object: Stored,
}

pub(super) async fn list(global: &Global, columns: &Columns) -> anyhow::Result<()> {
    let (revision, objects) = Client::connect(&global.broker).await?.list(columns.kind).await?;
    match global.output {
        Format::Table if objects.is_empty() => {
            output::complain(&format!("no {}s are declared", columns.kind));
            Ok(())
        }
        Format::Table => Ok(output::print(&output::table(columns.header, objects.iter().map(columns.row)))?),
        Format::Yaml => Ok(output::print(&to_yaml(&objects)?)?),
        Format::Json => {
            let listed = Listed { revision, objects: objects.iter().map(Stored::from).collect() };
            output::show(global.output, &listed, |_| String::new())
        }
    }
}

pub(super) async fn get(global: &Global, columns: &Columns, name: &str) -> anyhow::Result<()> {
    let object_ref = ObjectRef { kind: columns.kind, name: name.to_owned() };
    let object = Client::connect(&global.broker).await?.get(&object_ref).await?;
    match global.output {
        Format::Yaml => Ok(output::print(&to_yaml([&object])?)?),
        format => output::show(format, &Stored::from(&object), |_| {
            output::table(columns.header, [(columns.row)(&object)])
        }),
    }
}

pub(super) async fn delete(
    global: &Global,
    kind: Kind,
    name: &str,
    version: Option<u64>,
) -> anyhow::Result<()> {
    let object_ref = ObjectRef { kind, name: name.to_owned() };
    let change =
        api::Change { op: Some(api::change::Op::Delete((&object_ref).into())), expected_version: version };
    change_one(global, &object_ref, change).await
}

/// Creates an object that must not exist yet.
pub(super) async fn create(global: &Global, spec: Result<Spec, Violations>) -> anyhow::Result<()> {
    let spec = spec?;
    let object_ref = spec.object_ref();
    change_one(global, &object_ref, put(&spec, Some(0))).await
}

pub(super) fn put(spec: &Spec, expected_version: Option<u64>) -> api::Change {
    let object = api::Object { metadata: None, spec: Some(spec.into()) };
    api::Change { op: Some(api::change::Op::Put(object)), expected_version }
}

async fn change_one(global: &Global, object_ref: &ObjectRef, change: api::Change) -> anyhow::Result<()> {
    let answer = Client::connect(&global.broker).await?.apply(vec![change]).await;
    let answer = answer.map_err(|error| match error.downcast::<Refused>() {
        Ok(refused) => about(object_ref, refused),
        Err(error) => error,
    })?;
    let applied = applied(answer)?;
    output::show(global.output, &applied, lines)
}

/// The refusal of a request of one change, told without the request's inner structure.
fn about(object_ref: &ObjectRef, mut refused: Refused) -> anyhow::Error {
    let prefix = format!("changes[0].{}.", object_ref.kind);
    for violation in &mut refused.violations.0 {
        if let Some(field) = violation.field.strip_prefix(&prefix) {
            violation.field = format!("{object_ref}: {field}");
        } else if violation.field.starts_with("changes[0]") {
            violation.field.clear();
        }
    }
    refused.into()
}

pub(super) fn applied(answer: api::ApplyResponse) -> anyhow::Result<Applied> {
    let mut results = Vec::with_capacity(answer.results.len());
    for result in answer.results {
        let outcome = Outcome::from(result.outcome()).to_string();
        let object = read(result.object.unwrap_or_default())?;
        results.push(Changed {
            outcome,
            name: object.spec.object_ref().to_string(),
            object: (&object).into(),
        });
    }
    Ok(Applied { revision: answer.revision, results })
}

impl Applied {
    pub(super) const fn revision(&self) -> u64 {
        self.revision
    }
}

/// `network/red created`, a line an object.
pub(super) fn lines(applied: &Applied) -> String {
    output::lines(applied.results.iter().map(|result| format!("{} {}", result.name, result.outcome)))
}

impl From<api::change_result::Outcome> for Outcome {
    fn from(wire: api::change_result::Outcome) -> Self {
        match wire {
            api::change_result::Outcome::Unchanged => Self::Unchanged,
            api::change_result::Outcome::Created => Self::Created,
            api::change_result::Outcome::Updated => Self::Updated,
            api::change_result::Outcome::Deleted => Self::Deleted,
        }
    }
}

/// `a, b`, or `-` for nothing.
pub(super) fn join(items: impl IntoIterator<Item = impl ToString>) -> String {
    let items: Vec<_> = items.into_iter().map(|item| item.to_string()).collect();
    if items.is_empty() { "-".to_owned() } else { items.join(",") }
}
