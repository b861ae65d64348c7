//! YAML as a tree that remembers where everything stood.
//!
//! Deserialising straight into structs stops at the first mistake and turns unquoted scalars into
//! numbers, booleans and sexagesimals by guess. A manifest wants all mistakes with their lines, and
//! its scalars as they were written; what a scalar means is for the field to say. So this keeps
//! the parser's events as they come and decides nothing.

use granit_parser::{Event, Marker, Parser, ScalarStyle};

/// A place in a file; both count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Mark {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// What stands at a place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) mark: Mark,
    pub(super) value: Value,
}

#[derive(Debug)]
pub(super) enum Value {
    /// `plain` means written without quotes.
    Scalar {
        text: String,
        plain: bool,
    },
    Sequence(Vec<Node>),
    Mapping(Vec<(Node, Node)>),
}

impl Node {
    /// Whether it is YAML's null: nothing, `~` or an unquoted `null`.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar { text, plain: true }
            if matches!(text.as_str(), "" | "~" | "null" | "Null" | "NULL"))
    }
}

/// The documents of a file, empty ones left out but counted.
pub(super) struct Stream {
    /// With their numbers, from 1.
    pub(super) documents: Vec<(usize, Node)>,
    /// Where reading had to stop, in which document, and why.
    pub(super) broken: Option<(usize, Mark, String)>,
}

impl From<Marker> for Mark {
    fn from(marker: Marker) -> Self {
        Self { line: marker.line(), column: marker.col() + 1 }
    }
}

/// A collection whose end has not been read yet.
enum Open {
    Sequence(Mark, Vec<Node>),
    Mapping(Mark, Vec<(Node, Node)>, Option<Node>),
}

/// Reads all documents up to the first that isn't YAML.
pub(super) fn read(text: &str) -> Stream {
    let mut stream = Stream { documents: Vec::new(), broken: None };
    let mut number = 0;
    let mut open: Vec<Open> = Vec::new();
    for event in Parser::new_from_str(text.trim_start_matches('\u{feff}')) {
        let (event, span) = match event {
            Ok(event) => event,
            Err(error) => {
                let mark = (*error.marker()).into();
                stream.broken = Some((number.max(1), mark, format!("this is not YAML: {}", error.info())));
                return stream;
            }
        };
        let mark = Mark::from(span.start);
        if event.tag().is_some() {
            stream.broken = Some((number, mark, "manifests have no use for tags (!…); remove it".to_owned()));
            return stream;
        }
        let complete = match event {
            Event::DocumentStart(..) => {
                number += 1;
                None
            }
            Event::Alias(_) => {
                let why = "aliases (*…) are not supported; write the value out".to_owned();
                stream.broken = Some((number, mark, why));
                return stream;
            }
            Event::Scalar(text, style, ..) => {
                let value = Value::Scalar { text: text.into_owned(), plain: style == ScalarStyle::Plain };
                Some(Node { mark, value })
            }
            Event::SequenceStart(..) => {
                open.push(Open::Sequence(mark, Vec::new()));
                None
            }
            Event::MappingStart(..) => {
                open.push(Open::Mapping(mark, Vec::new(), None));
                None
            }
            Event::SequenceEnd | Event::MappingEnd => open.pop().map(Open::close),
            _ => None,
        };
        if let Some(node) = complete {
            match open.last_mut() {
                Some(parent) => parent.take(node),
                None if node.is_null() => {}
                None => stream.documents.push((number, node)),
            }
        }
    }
    stream
}

impl Open {
    fn take(&mut self, node: Node) {
        match self {
            Self::Sequence(_, items) => items.push(node),
            Self::Mapping(_, entries, key) => match key.take() {
                Some(key) => entries.push((key, node)),
                None => *key = Some(node),
            },
        }
    }

    fn close(self) -> Node {
        match self {
            Self::Sequence(mark, items) => Node { mark, value: Value::Sequence(items) },
            Self::Mapping(mark, entries, _) => Node { mark, value: Value::Mapping(entries) },
        }
    }
}
