//! From a document's tree to an object, noting everything that is wrong and where.

mod gateway;
mod network;

use std::collections::{BTreeMap, HashMap};

use super::yaml::{Mark, Node, Value};
use crate::{
    api,
    model::{
        AccessLevel, Mode, PortRange, Protocol, Spec, no_udp_port,
        violation::{did_you_mean, quoted},
    },
};

const KINDS: [&str; 4] = ["Gateway", "Network", "Resource", "Mapping"];
const RESOURCE: &[&str] = &["kind", "version", "resource_id", "network", "addresses", "protocol", "ports"];
const MAPPING: &[&str] = &[
    "kind",
    "version",
    "unique_identifier",
    "source_network",
    "destination_network",
    "mode",
    "label",
    "resource_mapping",
];

/// What one document says.
#[derive(Default)]
pub(super) struct Decoded {
    /// `None` if anything is wrong.
    pub(super) spec: Option<Spec>,
    /// The stored version the document was written against.
    pub(super) version: Option<u64>,
    /// `network/red`, as far as it could be read.
    pub(super) subject: String,
    /// Where each field stands.
    pub(super) marks: Marks,
    /// Place, field and what is wrong with it.
    pub(super) problems: Vec<(Mark, String, String)>,
}

/// Places of fields by their paths, e.g. `endpoints[0].mac`.
#[derive(Debug, Default)]
pub(super) struct Marks(BTreeMap<String, Mark>);

impl Marks {
    fn insert(&mut self, path: String, mark: Mark) -> Option<Mark> {
        self.0.insert(path, mark)
    }

    /// Where a field stands, or else the nearest thing around it that is there.
    pub(super) fn near(&self, field: &str) -> Option<Mark> {
        let mut path = field;
        loop {
            if let Some(mark) = self.0.get(path) {
                return Some(*mark);
            }
            path = &path[..path.rfind(['.', '['])?];
        }
    }
}

/// A mapping node's entries by field.
type Fields<'a> = BTreeMap<&'a str, &'a Node>;

/// Reads one document.
pub(super) fn decode(document: &Node) -> Decoded {
    let mut decoder = Decoded::default();
    let wire = decoder.object(document);
    if let Some(wire) = wire {
        match Spec::try_from(wire) {
            Ok(spec) if decoder.problems.is_empty() => decoder.spec = Some(spec),
            Ok(_) => {}
            Err(violations) => {
                for violation in violations.0 {
                    let field = field_of(&violation.field);
                    // A field that could not even be read needs no second complaint.
                    if !decoder.problems.iter().any(|(_, known, _)| related(known, &field)) {
                        decoder.problems.push((
                            decoder.locate(&field, document.mark),
                            field,
                            violation.description,
                        ));
                    }
                }
            }
        }
    }
    decoder.problems.sort_by_key(|problem| problem.0);
    decoder
}

/// A manifest's name for a field that the contracts name `network.encapsulation.vxlan.vni`.
pub(super) fn field_of(contract: &str) -> String {
    let field = contract.split_once('.').map_or("", |(_object, field)| field);
    let own = field.strip_prefix("encapsulation.").and_then(|field| field.split_once('.'));
    own.map_or(field, |(_kind, field)| field).to_owned()
}

/// Whether one is the other or a part of it.
fn related(a: &str, b: &str) -> bool {
    let inside = |whole: &str, part: &str| {
        part.strip_prefix(whole).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    inside(a, b) || inside(b, a)
}

fn join(path: &str, field: &str) -> String {
    if path.is_empty() { field.to_owned() } else { format!("{path}.{field}") }
}

impl Decoded {
    fn locate(&self, field: &str, start: Mark) -> Mark {
        self.marks.near(field).unwrap_or(start)
    }

    fn problem(&mut self, mark: Mark, field: &str, description: impl Into<String>) {
        self.problems.push((mark, field.to_owned(), description.into()));
    }

    fn object(&mut self, document: &Node) -> Option<api::object::Spec> {
        let Value::Mapping(entries) = &document.value else {
            self.problem(document.mark, "", "a document is a mapping of fields, starting with kind:");
            return None;
        };
        let kind = entries.iter().find_map(|(key, value)| match (&key.value, &value.value) {
            (Value::Scalar { text: key, .. }, Value::Scalar { text: kind, .. }) if key == "kind" => {
                Some((kind.as_str(), value.mark))
            }
            _ => None,
        });
        match kind {
            Some(("Gateway", _)) => self.gateway(document).map(api::object::Spec::Gateway),
            Some(("Network", _)) => self.network(document).map(api::object::Spec::Network),
            Some(("Resource", _)) => self.resource(document).map(api::object::Spec::Resource),
            Some(("Mapping", _)) => self.mapping(document).map(api::object::Spec::Mapping),
            Some((kind, mark)) => {
                let hint = did_you_mean(kind, KINDS);
                self.problem(
                    mark,
                    "kind",
                    format!(
                        "{} is not a kind; use Gateway, Network, Resource or Mapping{hint}",
                        quoted(kind)
                    ),
                );
                None
            }
            None => {
                self.problem(document.mark, "kind", "is missing; use Gateway, Network, Resource or Mapping");
                None
            }
        }
    }

    fn resource(&mut self, document: &Node) -> Option<api::Resource> {
        let fields = self.fields(document, "", RESOURCE)?;
        let resource_id = self.required(&fields, "resource_id", document.mark);
        self.subject = format!("resource/{resource_id}");
        self.version(&fields);
        let protocol = self.parsed::<Protocol>(&fields, "protocol").map_or(api::Protocol::Any, Into::into);
        let mut ports = Vec::new();
        if let Some(node) = fields.get("ports") {
            for (index, item) in self.items(node, "ports", "[8080, 9000-9010]").iter().enumerate() {
                let path = format!("ports[{index}]");
                self.marks.insert(path.clone(), item.mark);
                let range = match self.text(item, &path).map(|text| text.parse::<PortRange>()) {
                    Some(Ok(range)) => range.into(),
                    Some(Err(error)) => {
                        self.problem(item.mark, &path, error);
                        api::PortRange::default()
                    }
                    None => api::PortRange::default(),
                };
                ports.push(range);
            }
        }
        Some(api::Resource {
            resource_id,
            network: self.required(&fields, "network", document.mark),
            addresses: self.texts(&fields, "addresses", document.mark, "[10.0.0.20]"),
            protocol: protocol.into(),
            ports,
        })
    }

    fn mapping(&mut self, document: &Node) -> Option<api::Mapping> {
        let fields = self.fields(document, "", MAPPING)?;
        let unique_identifier = self.required(&fields, "unique_identifier", document.mark);
        self.subject = format!("mapping/{unique_identifier}");
        self.version(&fields);
        self.parsed::<Mode>(&fields, "mode");
        let label = fields.get("label").and_then(|node| {
            let label = self.number(node, "label")?;
            if label == 0 {
                self.problem(node.mark, "label", "0 is not a label; leave it out to let the broker choose");
            }
            Some(label)
        });
        let mut resource_mapping = HashMap::new();
        match fields.get("resource_mapping") {
            None => self.problem(
                document.mark,
                "resource_mapping",
                "is missing; list resources with their access levels, e.g. {inference: connect}",
            ),
            Some(node) => {
                let Value::Mapping(entries) = &node.value else {
                    let message = "must list resources with their access levels, e.g. {inference: connect}";
                    self.problem(node.mark, "resource_mapping", message);
                    return None;
                };
                for (key, value) in entries {
                    self.access(key, value, &mut resource_mapping);
                }
            }
        }
        Some(api::Mapping {
            unique_identifier,
            source_network: self.required(&fields, "source_network", document.mark),
            destination_network: self.required(&fields, "destination_network", document.mark),
            resource_mapping,
            mode: api::Mode::Switched.into(),
            label: label.unwrap_or_default(),
        })
    }

    fn access(&mut self, key: &Node, value: &Node, levels: &mut HashMap<String, i32>) {
        let Some(resource_id) = self.text(key, "resource_mapping") else { return };
        let path = format!("resource_mapping[{resource_id}]");
        if let Some(first) = self.marks.insert(path.clone(), value.mark) {
            self.problem(
                key.mark,
                &path,
                format!("is given twice, first in line {}; remove one", first.line),
            );
        }
        match self.text(value, &path).map(|text| text.parse::<AccessLevel>()) {
            Some(Ok(level)) => {
                levels.insert(resource_id, api::AccessLevel::from(level).into());
            }
            Some(Err(error)) => self.problem(value.mark, &path, error),
            None => {}
        }
    }

    fn version(&mut self, fields: &Fields<'_>) {
        self.version = fields.get("version").and_then(|node| self.number(node, "version"));
    }

    /// The entries of a mapping whose fields are known.
    fn fields<'a>(&mut self, node: &'a Node, path: &str, known: &[&str]) -> Option<Fields<'a>> {
        let Value::Mapping(entries) = &node.value else {
            self.problem(node.mark, path, format!("must be a mapping with the fields {}", known.join(", ")));
            return None;
        };
        let mut fields: Fields<'a> = BTreeMap::new();
        for (key, value) in entries {
            let Value::Scalar { text: name, .. } = &key.value else {
                self.problem(key.mark, path, "a field's name must be plain text");
                continue;
            };
            if !known.contains(&name.as_str()) {
                let hint = did_you_mean(name, known.iter().copied());
                let list = known.join(", ");
                self.problem(
                    key.mark,
                    &join(path, name),
                    format!("there is no field {}{hint} (fields: {list})", quoted(name)),
                );
            } else if fields.insert(name, value).is_some() {
                let is_same = |(key, _): &&(Node, Node)| matches!(&key.value, Value::Scalar { text, .. } if text == name);
                let first = entries.iter().find(is_same).map_or(key.mark.line, |(key, _)| key.mark.line);
                self.problem(
                    key.mark,
                    &join(path, name),
                    format!("is given twice, first in line {first}; remove one"),
                );
            } else {
                self.marks.insert(join(path, name), value.mark);
            }
        }
        Some(fields)
    }

    /// A scalar as written.
    fn text(&mut self, node: &Node, field: &str) -> Option<String> {
        match &node.value {
            Value::Scalar { .. } if node.is_null() => {
                self.problem(node.mark, field, "has no value; give one or remove the field");
                None
            }
            Value::Scalar { text, .. } => Some(text.clone()),
            Value::Sequence(_) => {
                self.problem(node.mark, field, "is a list; give one value");
                None
            }
            Value::Mapping(_) => {
                self.problem(node.mark, field, "is a mapping; give one value");
                None
            }
        }
    }

    /// A plain decimal number: no octals, hexadecimals or strings that look like one.
    fn number<N: std::str::FromStr>(&mut self, node: &Node, field: &str) -> Option<N> {
        let text = self.text(node, field)?;
        let plain = matches!(node.value, Value::Scalar { plain: true, .. });
        let canonical = text == "0" || (!text.starts_with('0') && text.bytes().all(|b| b.is_ascii_digit()));
        if !plain || !canonical {
            self.problem(
                node.mark,
                field,
                format!(
                    "{} is not a number; write decimal digits without quotes or leading zeros",
                    quoted(&text)
                ),
            );
            return None;
        }
        let number = text.parse().ok();
        if number.is_none() {
            self.problem(node.mark, field, format!("{} is too big", quoted(&text)));
        }
        number
    }

    /// A UDP port, 0 if none is given; a 0 that stands there is none.
    fn udp_port(&mut self, fields: &Fields<'_>, default: u16) -> u32 {
        let Some(node) = fields.get("udp_port") else { return 0 };
        let port = self.number(node, "udp_port");
        if port == Some(0) {
            self.problem(node.mark, "udp_port", no_udp_port(0, default));
        }
        port.unwrap_or_default()
    }

    fn optional(&mut self, fields: &Fields<'_>, name: &str) -> String {
        fields.get(name).and_then(|node| self.text(node, name)).unwrap_or_default()
    }

    fn required(&mut self, fields: &Fields<'_>, name: &str, start: Mark) -> String {
        if !fields.contains_key(name) {
            self.problem(start, name, "is missing");
        }
        self.optional(fields, name)
    }

    fn parsed<T: std::str::FromStr<Err = String>>(&mut self, fields: &Fields<'_>, name: &str) -> Option<T> {
        let node = fields.get(name)?;
        match self.text(node, name)?.parse() {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(node.mark, name, error);
                None
            }
        }
    }

    fn items<'a>(&mut self, node: &'a Node, field: &str, example: &str) -> &'a [Node] {
        if let Value::Sequence(items) = &node.value {
            return items;
        }
        self.problem(node.mark, field, format!("must be a list, e.g. {example}"));
        &[]
    }

    fn texts(&mut self, fields: &Fields<'_>, name: &str, start: Mark, example: &str) -> Vec<String> {
        let Some(node) = fields.get(name) else {
            self.problem(start, name, format!("is missing, e.g. {example}"));
            return Vec::new();
        };
        let mut texts = Vec::new();
        for (index, item) in self.items(node, name, example).iter().enumerate() {
            let path = format!("{name}[{index}]");
            self.marks.insert(path.clone(), item.mark);
            texts.push(self.text(item, &path).unwrap_or_default());
        }
        texts
    }
}
