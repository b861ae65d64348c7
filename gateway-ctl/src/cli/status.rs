//! `isthmus status`

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Global, client::Client, output};

#[derive(Debug, Args)]
#[command(after_help = "Examples:
  isthmus status
  isthmus status -o json")]
pub(super) struct Status {}

/// One part of the system and how it is doing.
struct Section {
    /// Heading, and key of the machine-readable form.
    title: &'static str,
    /// What is known, or why nothing is.
    facts: Result<Facts, String>,
    /// Whether the command fails without it.
    required: bool,
}

/// The same knowledge for people and for machines.
struct Facts {
    lines: Vec<(&'static str, String)>,
    value: Value,
}

impl Status {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let sections = [broker(global).await];
        let value: Map<String, Value> = sections
            .iter()
            .map(|section| {
                let value = match &section.facts {
                    Ok(facts) => facts.value.clone(),
                    Err(error) => json!({ "error": error }),
                };
                (section.title.to_owned(), value)
            })
            .collect();
        output::show(global.output, &value, |_| {
            sections.iter().map(Section::text).collect::<Vec<_>>().join("\n")
        })?;
        for section in sections.iter().filter(|section| section.required) {
            if let Err(error) = &section.facts {
                anyhow::bail!("{error}");
            }
        }
        Ok(())
    }
}

impl Section {
    fn text(&self) -> String {
        let lines = match &self.facts {
            Ok(facts) => {
                output::lines(facts.lines.iter().map(|(name, value)| format!("  {name:<12} {value}")))
            }
            Err(_) => "  unreachable\n".to_owned(),
        };
        format!("{}\n{lines}", self.title)
    }
}

async fn broker(global: &Global) -> Section {
    let facts = broker_facts(global).await.map_err(|error| format!("{error:#}"));
    Section { title: "broker", facts, required: true }
}

async fn broker_facts(global: &Global) -> anyhow::Result<Facts> {
    let status = Client::connect(&global.broker).await?.status().await?;
    let range = status.label_range.unwrap_or_default();
    let value = json!({
        "url": global.broker,
        "version": status.version,
        "epoch": status.epoch,
        "revision": status.revision,
        "label_range": { "first": range.first, "last": range.last },
        "networks": status.networks,
        "resources": status.resources,
        "mappings": status.mappings,
        "watchers": status.watchers,
        "uptime_seconds": status.uptime_seconds,
    });
    let lines = vec![
        ("url", global.broker.clone()),
        ("version", status.version),
        ("revision", status.revision.to_string()),
        ("epoch", status.epoch),
        (
            "objects",
            format!(
                "{} networks, {} resources, {} mappings",
                status.networks, status.resources, status.mappings
            ),
        ),
        ("labels", format!("{}-{}", range.first, range.last)),
        ("watchers", status.watchers.to_string()),
        ("uptime", format!("{} s", status.uptime_seconds)),
    ];
    Ok(Facts { lines, value })
}
