//! Manifests: text that people write, and everything else that can stand in a file.

use std::fmt::Display;

use fastrand::Rng;
use isthmus::broker::federation::{Change, Federation, Outcome};
use isthmus::manifest::{Declaration, ManifestError, parse, to_yaml};
use isthmus::model::Spec;
use isthmus_common::id::LabelRange;

const FILE: &str = "m.yaml";

/// What does not hold, on which text.
#[derive(Debug, thiserror::Error)]
#[error("{fault}\n  text: {text:?}")]
pub struct Fault {
    fault: String,
    text: String,
}

/// Reads a text as a manifest and declares what stands in it to an empty federation. Mistakes must name their
/// place; what is accepted must come out again as it went in. Tells whether the federation took it.
///
/// # Errors
/// What does not hold.
pub fn run(text: &str) -> Result<bool, Fault> {
    examine(text).map_err(|fault| Fault { fault, text: text.to_owned() })
}

fn examine(text: &str) -> Result<bool, String> {
    let manifest = match parse([(FILE, text)]) {
        Ok(manifest) => manifest,
        Err(error) => return places(&error, text).map(|()| false),
    };
    let specs: Vec<Spec> = manifest.documents().iter().map(|document| document.spec.clone()).collect();
    let declared = specs
        .iter()
        .map(|spec| serde_saphyr::to_string(&Declaration::from(spec)))
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| format!("the objects cannot be written: {error}"))?;
    same(&specs, &declared.join("---\n"))?;

    let mut federation = Federation::new(LabelRange::DEFAULT);
    let changes: Vec<Change> = specs.iter().cloned().map(Change::put).collect();
    if let Err(refusal) = federation.apply(&changes) {
        return places(&manifest.explain(&refusal.violations), text).map(|()| false);
    }
    let stored: Vec<Spec> = federation.objects().map(|object| object.spec.clone()).collect();
    let listed = to_yaml(federation.objects().map(AsRef::as_ref))
        .map_err(|error| format!("the stored objects cannot be written: {error}"))?;
    same(&stored, &listed)?;
    let again =
        federation.apply(&changes).map_err(|refusal| format!("refused the second time: {refusal}"))?;
    if again.results.iter().any(|(outcome, _)| *outcome != Outcome::Unchanged) {
        return Err("the second time changes something".to_owned());
    }
    Ok(true)
}

/// Every mistake starts with the file and a line of it.
fn places(error: &ManifestError, text: &str) -> Result<(), String> {
    let ManifestError::Invalid(problems) = error else { return Err(format!("not about the text: {error}")) };
    if problems.is_empty() {
        return Err("refused without a reason".to_owned());
    }
    // The end of a text that ends in a line break is on a line of its own. YAML counts a lone CR as one, too.
    let lines = text.chars().filter(|char| matches!(char, '\n' | '\r')).count() + 1;
    for problem in problems.iter().map(ToString::to_string) {
        let place = problem.strip_prefix(FILE).and_then(|rest| rest.strip_prefix(':'));
        let line = place.and_then(|place| place.split_once(':')?.0.parse().ok());
        let is_placed = line.is_some_and(|line: usize| (1..=lines).contains(&line));
        // An empty file has no line to name.
        if !is_placed && place.is_none_or(|place| !place.starts_with(" holds no objects")) {
            return Err(format!("this mistake names no line: {problem}"));
        }
    }
    Ok(())
}

/// The text must declare these objects.
fn same(specs: &[Spec], yaml: &str) -> Result<(), String> {
    let complain = |why: &dyn Display| Err(format!("{why}, in what Isthmus wrote itself:\n{yaml}"));
    match parse([(FILE, yaml)]).map(isthmus::manifest::Manifest::into_specs) {
        Ok(read) if read == specs => Ok(()),
        Ok(_) => complain(&"other objects"),
        Err(error) => complain(&error),
    }
}

/// Documents that go together.
const DOCUMENTS: [&str; 9] = [
    "kind: Network\nname: red\nprovider: east\nencapsulation: vxlan\nvni: 42\nudp_port: 4789\nprefixes: [10.0.0.0/24, fd00::/64]\n\
     gateway_address: 10.0.0.254\nendpoints:\n- {address: 10.0.0.1, mac: \"02:00:00:00:00:10\", vtep: 192.0.2.1}\n\
     - address: fd00::1\n  vtep: 192.0.2.1\n",
    "kind: Network\nname: blue\nencapsulation: vxlan\nvni: 77\nprefixes: [10.1.0.0/24]\nendpoints: [{address: 10.1.0.20, vtep: 198.51.100.20}]\n",
    "kind: Gateway\nname: gw-b\naddresses: [192.0.2.9, 2001:db8::9]\nudp_port: 6081\n",
    "kind: Network\nname: tan\nencapsulation: vxlan\nvni: 42\nudp_port: 4790\ngroup_policy: keep\ngateway: gw-b\nprefixes: [10.2.0.0/24]\n\
     endpoints: [{address: 10.2.0.1, vtep: 2001:db8::20}]\n",
    "kind: Network\nname: ovn\nencapsulation: geneve\nvni: 42\novn_port: 3\nprefixes: [10.3.0.0/24]\nendpoints: [{address: 10.3.0.1, vtep: 192.0.2.3, ovn_port: 5}]\n",
    "kind: Network\nname: floor\nencapsulation: vlan\nvlan_id: 100\nlearning: true\nprefixes: [10.4.0.0/24]\nendpoints: [{address: 10.4.0.1}]\n",
    "kind: Network\nname: desk\nencapsulation: port\nprefixes: [10.5.0.0/24]\nendpoints: [{address: 10.5.0.1, mac: \"02:00:00:00:00:50\"}]\n",
    "kind: Resource\nresource_id: web\nnetwork: blue\naddresses: [10.1.0.20]\nprotocol: tcp\nports: [80, 8000-8010]\n",
    "kind: Mapping\nunique_identifier: 7b0d6f0e-8a1c-4c53-9d0e-2f6a4f6d9a11\nsource_network: red\ndestination_network: blue\n\
     mode: switched\nlabel: 15728641\nresource_mapping: {web: connect}\n",
];

/// What means something in a manifest, to YAML, or to a terminal.
const WORDS: &[&str] = &[
    "kind",
    "Gateway",
    "Network",
    "Resource",
    "Mapping",
    "name",
    "provider",
    "encapsulation",
    "vxlan",
    "geneve",
    "vlan",
    "port",
    "vni",
    "udp_port",
    "group_policy",
    "keep",
    "ovn_port",
    "vlan_id",
    "learning",
    "true",
    "gateway",
    "gw-b",
    "prefixes",
    "gateway_address",
    "endpoints",
    "address",
    "mac",
    "vtep",
    "resource_id",
    "network",
    "addresses",
    "protocol",
    "ports",
    "unique_identifier",
    "source_network",
    "destination_network",
    "mode",
    "switched",
    "label",
    "resource_mapping",
    "version",
    "none",
    "observe",
    "connect",
    "full",
    "any",
    "tcp",
    "udp",
    "icmp",
    "red",
    "blue",
    "web",
    "0",
    "1",
    "42",
    "65535",
    "65536",
    "16777215",
    "16777216",
    "18446744073709551616",
    "-1",
    "007",
    "1e3",
    "0x2a",
    "1_000",
    "1.10",
    "10.0.0.0/0",
    "10.0.0.1/33",
    "::ffff:10.0.0.1",
    "fd00::/64",
    "0.0.0.0",
    "255.255.255.255",
    "224.0.0.1",
    "::",
    "80-79",
    "1-65535",
    "~",
    "null",
    "yes",
    "no",
    "true",
    "on",
    "\"",
    "'",
    "[",
    "]",
    "{",
    "}",
    ",",
    ":",
    ": ",
    "- ",
    "-",
    "? ",
    "| ",
    "> ",
    "&a ",
    "*a",
    "!!str ",
    "!",
    "#",
    "%YAML 1.2\n",
    "---\n",
    "...\n",
    "\n",
    "\r\n",
    "\r",
    "\t",
    " ",
    "  ",
    "\u{feff}",
    "\u{0}",
    "\u{1b}[31m",
    "\u{85}",
    "\u{2028}",
    "ä",
    "\u{1f600}",
    "\\n",
    "\"\\x1b\"",
    "\"\\0\"",
    "<<: ",
];

/// Some of the documents, in any order.
#[must_use]
pub fn seed(rng: &mut Rng) -> String {
    let mut documents = DOCUMENTS;
    if rng.bool() {
        rng.shuffle(&mut documents);
    }
    documents[..rng.usize(1..=documents.len())].join("---\n")
}

/// Changes a text where words and lines end, or replaces it by a new seed.
pub fn mutate(text: &mut String, rng: &mut Rng) {
    if text.is_empty() || text.len() > 4000 || rng.u8(..16) == 0 {
        *text = seed(rng);
    }
    for _ in 0..=rng.u8(..3) {
        let (start, end) = (edge(text, rng), edge(text, rng));
        let (start, end) = (start.min(end), start.max(end));
        let word = WORDS[rng.usize(..WORDS.len())];
        match rng.u8(..8) {
            0 | 1 => text.insert_str(start, word),
            2..5 => {
                let end = next_edge(text, start);
                text.replace_range(start..end, word);
            }
            5 => text.replace_range(start..end, ""),
            6 => {
                let copy = text[start..end].to_owned();
                let at = edge(text, rng);
                text.insert_str(at, &copy);
            }
            _ => text.insert_str(start, &word.repeat(rng.usize(1..200))),
        }
    }
}

/// The start of some word, or of what is between words.
fn edge(text: &str, rng: &mut Rng) -> usize {
    next_edge(text, boundary(text, rng.usize(..=text.len())))
}

/// The last place at or before an offset that is not inside a character.
#[must_use]
pub fn boundary(text: &str, offset: usize) -> usize {
    (0..=offset.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap_or(0)
}

fn next_edge(text: &str, from: usize) -> usize {
    let mut chars = text[from..].char_indices();
    let Some((_, first)) = chars.next() else { return from };
    chars
        .find(|(_, char)| char.is_alphanumeric() != first.is_alphanumeric())
        .map_or(text.len(), |(at, _)| from + at)
}
