//! Manifests: gateways, networks, resources and mappings declared in YAML files.
//!
//! A manifest is read and checked as a whole before anything is done with it, and every mistake
//! is reported with its file, line and field.

mod decode;
mod emit;
mod yaml;

use std::{
    collections::BTreeMap,
    fmt,
    fs::File,
    io::{self, Read},
    path::Path,
};

pub use emit::{Declaration, Stored, to_yaml};

use self::{
    decode::{Decoded, Marks, decode, field_of},
    yaml::Mark,
};
use crate::model::{Spec, Violations};

/// Largest manifest, in bytes: more would not fit one request to the broker.
const LARGEST: u64 = 64 << 20;

/// Objects declared together.
#[derive(Debug, Default)]
pub struct Manifest {
    documents: Vec<Document>,
}

/// One declared object.
#[derive(Debug)]
pub struct Document {
    /// What is declared.
    pub spec: Spec,
    /// `version:`, if given: the stored version this was written against, 0 for "none yet".
    pub version: Option<u64>,
    file: String,
    number: usize,
    start: Mark,
    marks: Marks,
}

/// A mistake in a manifest and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    file: String,
    mark: Option<Mark>,
    document: usize,
    subject: String,
    field: String,
    description: String,
}

/// Why a manifest can't be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file can't be read.
    #[error("read {file}")]
    Read {
        /// Which.
        file: String,
        /// Why.
        source: io::Error,
    },
    /// There are mistakes in it.
    #[error("{}", lines(.0))]
    Invalid(Vec<Problem>),
}

fn lines(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

impl fmt::Display for Problem {
    /// `net.yaml:12:6: document 2, network/red: vni: …`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.file)?;
        if let Some(Mark { line, column }) = self.mark {
            write!(f, ":{line}:{column}: document {}", self.document)?;
        }
        if !self.subject.is_empty() && self.description.starts_with(&self.subject) {
            return write!(f, ", {}", self.description);
        }
        if !self.subject.is_empty() {
            write!(f, ", {}", self.subject)?;
        }
        if !self.field.is_empty() {
            write!(f, ": {}", self.field)?;
        }
        write!(f, ": {}", self.description)
    }
}

/// Reads one manifest; `-` is standard input.
///
/// # Errors
/// If the file can't be read, or with all mistakes in it.
pub fn load(path: &Path) -> Result<Manifest, ManifestError> {
    load_all([path])
}

/// Reads several manifests as if they were one.
///
/// # Errors
/// If one of the files can't be read, or with all mistakes in them.
pub fn load_all<'a>(paths: impl IntoIterator<Item = &'a Path>) -> Result<Manifest, ManifestError> {
    let texts = paths
        .into_iter()
        .map(|path| {
            let file = if path == Path::new("-") { "stdin".to_owned() } else { path.display().to_string() };
            match read(path) {
                Ok(text) => Ok((file, text)),
                Err(source) => Err(ManifestError::Read { file, source }),
            }
        })
        .collect::<Result<Vec<_>, _>>()?;
    parse(texts.iter().map(|(file, text)| (file.as_str(), text.as_str())))
}

fn read(path: &Path) -> io::Result<String> {
    let mut bytes = Vec::new();
    if path == Path::new("-") {
        io::stdin().lock().take(LARGEST + 1).read_to_end(&mut bytes)?;
    } else {
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut bytes)?;
    }
    if bytes.len() as u64 > LARGEST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 64 MiB; split the manifest"));
    }
    String::from_utf8(bytes).map_err(|error| {
        let at = error.utf8_error().valid_up_to();
        io::Error::new(io::ErrorKind::InvalidData, format!("byte {at} is not UTF-8 text"))
    })
}

/// Reads manifests from memory, given as (name, text).
///
/// # Errors
/// All mistakes in them.
pub fn parse<'a>(files: impl IntoIterator<Item = (&'a str, &'a str)>) -> Result<Manifest, ManifestError> {
    let mut manifest = Manifest::default();
    let mut problems = Vec::new();
    for (file, text) in files {
        manifest.read_file(file, text, &mut problems);
    }
    manifest.check_duplicates(&mut problems);
    if problems.is_empty() { Ok(manifest) } else { Err(ManifestError::Invalid(problems)) }
}

impl Manifest {
    /// The declared objects, in the files' order.
    #[must_use]
    pub fn documents(&self) -> &[Document] {
        &self.documents
    }

    /// The declared objects alone.
    #[must_use]
    pub fn into_specs(self) -> Vec<Spec> {
        self.documents.into_iter().map(|document| document.spec).collect()
    }

    /// Finds the places of violations that name their fields `changes[2].network.prefixes[0]`,
    /// where change *n* came from document *n*.
    #[must_use]
    pub fn explain(&self, violations: &Violations) -> ManifestError {
        let problem = |field: &str, description: &str| {
            let (index, rest) = field.strip_prefix("changes[")?.split_once(']')?;
            let document = self.documents.get(index.parse::<usize>().ok()?)?;
            let field = field_of(rest.strip_prefix('.').unwrap_or(rest));
            Some(document.problem(field, description.to_owned()))
        };
        let problems = violations.0.iter().map(|violation| {
            problem(&violation.field, &violation.description).unwrap_or_else(|| Problem {
                file: "manifest".to_owned(),
                mark: None,
                document: 0,
                subject: String::new(),
                field: violation.field.clone(),
                description: violation.description.clone(),
            })
        });
        ManifestError::Invalid(problems.collect())
    }

    fn read_file(&mut self, file: &str, text: &str, problems: &mut Vec<Problem>) {
        let stream = yaml::read(text);
        if stream.documents.is_empty() && stream.broken.is_none() {
            problems.push(Problem {
                file: file.to_owned(),
                mark: None,
                document: 0,
                subject: String::new(),
                field: String::new(),
                description: "holds no objects; declare at least one, e.g. with kind: Network".to_owned(),
            });
        }
        for (number, node) in stream.documents {
            let decoded = decode(&node);
            let Decoded { spec, version, subject, marks, problems: mistakes } = decoded;
            problems.extend(mistakes.into_iter().map(|(mark, field, description)| Problem {
                file: file.to_owned(),
                mark: Some(mark),
                document: number,
                subject: subject.clone(),
                field,
                description,
            }));
            if let Some(spec) = spec {
                let file = file.to_owned();
                self.documents.push(Document { spec, version, file, number, start: node.mark, marks });
            }
        }
        if let Some((document, mark, description)) = stream.broken {
            problems.push(Problem {
                file: file.to_owned(),
                mark: Some(mark),
                document,
                subject: String::new(),
                field: String::new(),
                description,
            });
        }
    }

    fn check_duplicates(&self, problems: &mut Vec<Problem>) {
        let mut first_places: BTreeMap<_, &Document> = BTreeMap::new();
        for document in &self.documents {
            if let Some(first) = first_places.get(&document.spec.object_ref()) {
                let (file, line) = (&first.file, first.start.line);
                problems.push(document.problem(
                    String::new(),
                    format!("is declared twice, first in {file}:{line}; keep one of them"),
                ));
            } else {
                first_places.insert(document.spec.object_ref(), document);
            }
        }
    }
}

impl Document {
    fn problem(&self, field: String, description: String) -> Problem {
        Problem {
            file: self.file.clone(),
            mark: Some(self.marks.near(&field).unwrap_or(self.start)),
            document: self.number,
            subject: self.spec.object_ref().to_string(),
            field,
            description,
        }
    }
}

#[cfg(test)]
mod tests;
