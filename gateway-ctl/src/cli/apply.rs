//! `isthmus apply`

use std::path::PathBuf;

use clap::Args;

use super::{
    Global,
    client::{Client, Refused},
    objects, output,
};
use crate::manifest;

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus apply -f networks.yaml -f mappings.yaml
  isthmus network get red -o yaml | sed 's/vni: 42/vni: 43/' | isthmus apply -f -

A document may say `version: N` to apply only if the object is at version N (0: does not exist yet).")]
pub(super) struct Apply {
    /// A manifest, or - for standard input; may be repeated
    #[arg(short = 'f', long = "file", value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
}

impl Apply {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let manifest = manifest::load_all(self.files.iter().map(PathBuf::as_path))?;
        let changes = manifest
            .documents()
            .iter()
            .map(|document| objects::put(&document.spec, document.version))
            .collect();
        let answer = Client::connect(&global.broker).await?.apply(changes).await;
        let answer = answer.map_err(|error| match error.downcast::<Refused>() {
            Ok(refused) if !refused.violations.is_empty() => manifest.explain(&refused.violations).into(),
            Ok(refused) => refused.into(),
            Err(error) => error,
        })?;
        let applied = objects::applied(answer)?;
        output::show(global.output, &applied, |applied| {
            format!("{}revision {}\n", objects::lines(applied), applied.revision())
        })
    }
}
