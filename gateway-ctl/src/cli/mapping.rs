//! `isthmus mapping`

use clap::{Args, Subcommand};
use isthmus_common::id::Label;
use uuid::Uuid;

use super::{
    Global,
    objects::{self, Columns, join},
};
use crate::{
    api,
    model::{AccessLevel, Kind, Mapping, Mode, Object, Spec, parse_identifier},
};

#[derive(Debug, Subcommand)]
#[command(after_help = "Examples:
  isthmus mapping create --from red --to blue --allow inference=connect
  isthmus mapping list
  isthmus mapping delete 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11")]
pub(super) enum Command {
    /// Declare a mapping that does not exist yet
    Create(Create),
    /// Show one mapping
    #[command(after_help = "Examples:
  isthmus mapping get 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11
  isthmus mapping get 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11 -o yaml > mapping.yaml")]
    Get {
        /// The mapping's UUID
        #[arg(value_parser = parse_identifier)]
        unique_identifier: Uuid,
    },
    /// Show all mappings
    #[command(after_help = "Examples:
  isthmus mapping list
  isthmus mapping list -o json")]
    List,
    /// Remove a mapping; its traffic stops
    #[command(after_help = "Examples:
  isthmus mapping delete 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11
  isthmus mapping delete 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11 --version 3")]
    Delete {
        /// The mapping's UUID
        #[arg(value_parser = parse_identifier)]
        unique_identifier: Uuid,
        /// Only if it is at this version
        #[arg(long, value_name = "N")]
        version: Option<u64>,
    },
}

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus mapping create --from red --to blue --allow inference=connect
  isthmus mapping create 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11 --from red --to blue \\
      --allow inference=full --allow training=observe --label 15728641")]
pub(super) struct Create {
    /// The mapping's UUID; made at random if left out
    #[arg(value_parser = parse_identifier)]
    unique_identifier: Option<Uuid>,
    /// The network whose members ask
    #[arg(long = "from", value_name = "NETWORK")]
    source: String,
    /// The network that holds the resources
    #[arg(long = "to", value_name = "NETWORK")]
    destination: String,
    /// What the source may do with a resource: none, observe, connect or full; may be repeated
    #[arg(long = "allow", value_name = "RESOURCE=LEVEL", required = true, value_delimiter = ',', value_parser = allow)]
    allow: Vec<(String, AccessLevel)>,
    /// How packets are translated: switched
    #[arg(long, default_value_t = Mode::Switched)]
    mode: Mode,
    /// Its number on the wire, inside the broker's label range; chosen by the broker if left out
    #[arg(long, value_parser = label)]
    label: Option<Label>,
}

fn allow(text: &str) -> Result<(String, AccessLevel), String> {
    let (resource_id, level) = text.split_once('=').ok_or("write RESOURCE=LEVEL, e.g. inference=connect")?;
    Ok((resource_id.to_owned(), level.parse()?))
}

fn label(text: &str) -> Result<Label, String> {
    let number = text.parse().ok().and_then(Label::new);
    number.ok_or_else(|| "a label is a number from 1 to 16777215".to_owned())
}

impl Create {
    fn into_mapping(self) -> anyhow::Result<api::Mapping> {
        let mut resource_mapping = std::collections::HashMap::new();
        for (resource_id, level) in self.allow {
            let level = api::AccessLevel::from(level).into();
            if resource_mapping.insert(resource_id.clone(), level).is_some() {
                anyhow::bail!("--allow names {resource_id} twice; give it one level");
            }
        }
        let Mode::Switched = self.mode;
        Ok(api::Mapping {
            unique_identifier: self.unique_identifier.unwrap_or_else(Uuid::new_v4).to_string(),
            source_network: self.source,
            destination_network: self.destination,
            resource_mapping,
            mode: api::Mode::Switched.into(),
            label: self.label.map_or(0, Label::get),
        })
    }
}

const COLUMNS: Columns = Columns {
    kind: Kind::Mapping,
    header: &["IDENTIFIER", "SOURCE", "DESTINATION", "MODE", "LABEL", "RESOURCES", "VERSION"],
    row,
};

fn row(object: &Object) -> Vec<String> {
    let Spec::Mapping(mapping) = &object.spec else { return Vec::new() };
    vec![
        mapping.unique_identifier.to_string(),
        mapping.source_network.clone(),
        mapping.destination_network.clone(),
        mapping.mode.to_string(),
        join(mapping.label),
        join(mapping.resource_mapping.iter().map(|(resource_id, level)| format!("{resource_id}={level}"))),
        object.metadata.version.to_string(),
    ]
}

impl Command {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        match self {
            Self::Create(create) => {
                let mapping = Mapping::try_from(create.into_mapping()?);
                objects::create(global, mapping.map(Spec::Mapping)).await
            }
            Self::Get { unique_identifier } => {
                objects::get(global, &COLUMNS, &unique_identifier.to_string()).await
            }
            Self::List => objects::list(global, &COLUMNS).await,
            Self::Delete { unique_identifier, version } => {
                objects::delete(global, Kind::Mapping, &unique_identifier.to_string(), version).await
            }
        }
    }
}
