//! `isthmus status`

use clap::Args;
use serde_json::{Map, Value, json};

use super::{Global, client::Client, output, socket};
use crate::api::{GatewayStatusRequest, GatewayStatusResponse};

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
    /// Tables below the lines, ready to print.
    tables: Vec<String>,
    value: Value,
}

impl Status {
    pub(super) async fn run(self, global: &Global) -> anyhow::Result<()> {
        let sections = [broker(global).await, gateway(global).await];
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
                let lines = facts.lines.iter().map(|(name, value)| format!("  {name:<12} {value}"));
                let tables = facts.tables.iter().map(|table| "\n".to_owned() + &indent(table));
                output::lines(lines) + &tables.collect::<String>()
            }
            Err(_) if self.required => "  unreachable\n".to_owned(),
            Err(error) => format!("  {error}\n"),
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
        "gateways": status.gateways,
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
                "{} gateways, {} networks, {} resources, {} mappings",
                status.gateways, status.networks, status.resources, status.mappings
            ),
        ),
        ("labels", format!("{}-{}", range.first, range.last)),
        ("watchers", status.watchers.to_string()),
        ("uptime", format!("{} s", status.uptime_seconds)),
    ];
    Ok(Facts { lines, tables: Vec::new(), value })
}

/// A host may run the broker, or a gateway, or both.
async fn gateway(global: &Global) -> Section {
    let facts = gateway_facts(global).await.map_err(|error| format!("{error:#}"));
    Section { title: "gateway", facts, required: false }
}

async fn gateway_facts(global: &Global) -> anyhow::Result<Facts> {
    let status = socket::connect(&global.socket).await?.status(GatewayStatusRequest {}).await?.into_inner();
    let value = serde_json::to_value(&status)?;
    let broker = if status.connected {
        format!("{}, connected", status.broker)
    } else {
        format!("{}, not connected: stale for {} s", status.broker, status.stale_seconds)
    };
    let mut lines = vec![
        ("socket", global.socket.display().to_string()),
        ("version", status.version.clone()),
        ("broker", broker),
        ("revision", status.applied_revision.to_string()),
        (
            "in force",
            format!(
                "{} networks, {} resources, {} mappings; {} refused",
                status.networks,
                status.resources,
                status.mappings,
                status.refused.len()
            ),
        ),
        ("uptime", format!("{} s", status.uptime_seconds)),
    ];
    if !status.trouble.is_empty() {
        lines.push(("trouble", status.trouble.clone()));
    }
    Ok(Facts { lines, tables: gateway_tables(&status), value })
}

fn gateway_tables(status: &GatewayStatusResponse) -> Vec<String> {
    let interfaces = output::table(
        &["INTERFACE", "MODE", "PROVIDER", "NETWORK", "MTU", "ADDRESSES"],
        status.interfaces.iter().map(|interface| {
            vec![
                interface.name.clone(),
                interface.mode.clone(),
                match (interface.provider.as_str(), interface.network.as_str()) {
                    ("", "") => "any".to_owned(),
                    ("", _) => "-".to_owned(),
                    (provider, _) => provider.to_owned(),
                },
                if interface.network.is_empty() { "-".to_owned() } else { interface.network.clone() },
                interface.mtu.to_string(),
                interface.addresses.join(", "),
            ]
        }),
    );
    let next_hops = output::table(
        &["VTEP", "INTERFACE", "VLAN", "SOURCE", "MAC", "STATE"],
        status.next_hops.iter().map(|hop| {
            vec![
                hop.vtep.clone(),
                hop.interface.clone(),
                match hop.tags[..] {
                    [] => "-".to_owned(),
                    _ => hop.tags.iter().map(u32::to_string).collect::<Vec<_>>().join("."),
                },
                hop.source.clone(),
                hop.mac.clone(),
                hop.state.clone(),
            ]
        }),
    );
    let refused = output::table(
        &["REFUSED", "VERSION", "REASON"],
        status.refused.iter().map(|refusal| {
            vec![
                format!("{}/{}", refusal.kind, refusal.name),
                refusal.version.to_string(),
                refusal.reason.clone(),
            ]
        }),
    );
    let mut tables = vec![interfaces];
    if !status.next_hops.is_empty() {
        tables.push(next_hops);
    }
    if !status.refused.is_empty() {
        tables.push(refused);
    }
    tables
}

fn indent(text: &str) -> String {
    output::lines(text.lines().map(|line| format!("  {line}")))
}
