//! The tools for reading any part of a file: the file's name, the report, and the access to mappings.

use std::borrow::Cow;
use std::sync::Arc;

use super::nearest::did_you_mean;
use super::node::{MERGE_KEY, Node, Value};
use super::numbers::Numbers;
use super::problem::{Position, Problem, Report, quoted, shortened};
use crate::model::{Origin, Setting};

/// Reads one file's tree. Problems are added to the report.
pub(super) struct Reader<'r> {
    pub file: Arc<str>,
    pub numbers: &'r mut Numbers,
    pub report: &'r mut Report,
}

/// A key's value, and the position of the key.
pub(super) struct Field<'s> {
    pub key: Position,
    pub node: Node<'s>,
}

impl Reader<'_> {
    pub fn origin(&self, at: Position) -> Origin {
        Origin { file: Arc::clone(&self.file), line: at.line, column: at.column }
    }

    pub fn setting<T>(&self, at: Position, value: T) -> Setting<T> {
        Setting { value, origin: Some(self.origin(at)) }
    }

    pub fn problem(&self, at: Position, message: impl Into<String>) -> Problem {
        Problem::new(Arc::clone(&self.file), Some(at), message)
    }

    /// Reports a problem with its remedy.
    pub fn refuse(&mut self, at: Position, message: impl Into<String>, help: impl Into<String>) {
        let problem = self.problem(at, message).help(help);
        self.report.push(problem);
    }

    /// Reports a duplicate.
    pub fn refuse_again(&mut self, at: Position, message: impl Into<String>, first: Position, label: &str) {
        let problem = self.problem(at, message);
        self.report.push(if at == first {
            problem.help("an alias repeats it: remove the alias")
        } else {
            problem.related(self.origin(first), label).help("remove one of the two")
        });
    }

    /// Reads the values of these keys from a mapping, in this order. Reports unknown and duplicate keys.
    pub fn fields<'s, const N: usize>(
        &mut self,
        what: &str,
        entries: Vec<(Node<'s>, Node<'s>)>,
        known: [&'static str; N],
    ) -> [Option<Field<'s>>; N] {
        let mut found: [Option<Field<'s>>; N] = std::array::from_fn(|_| None);
        for (key, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = key.at;
            let Some(name) = self.key(key) else { continue };
            match found.iter_mut().zip(known).find(|(_, known)| *known == name) {
                None => {
                    self.refuse(at, format!("unknown key {} in {what}", quoted(&name)), did_you_mean(&name, &known))
                }
                Some((slot @ None, _)) => *slot = Some(Field { key: at, node }),
                Some((Some(first), _)) => {
                    let first = first.key;
                    self.refuse_again(at, format!("\"{name}\" is in {what} twice"), first, "the first is here");
                }
            }
        }
        found
    }

    /// The text of a key. Reports lists and mappings, and the merge key.
    pub fn key<'s>(&mut self, key: Node<'s>) -> Option<Cow<'s, str>> {
        match key.value {
            Value::Typed(text) if text == MERGE_KEY => {
                let help = "list the people in `rosters`, and use them with `- roster: NAME`";
                self.refuse(key.at, "merge keys are not supported", help);
                None
            }
            Value::Text(text) | Value::Typed(text) | Value::Null(text) => Some(text),
            Value::Sequence(_) | Value::Mapping(_) => {
                self.refuse(key.at, "a list or a mapping cannot be a key", "write plain text before the \":\"");
                None
            }
        }
    }

    /// The entries of a mapping. Reports any other value.
    pub fn mapping<'s>(&mut self, what: &str, field: Field<'s>, help: &str) -> Option<Vec<(Node<'s>, Node<'s>)>> {
        match field.node.value {
            Value::Mapping(entries) => Some(entries),
            _ => {
                self.refuse_kind(what, &field, "a mapping", help);
                None
            }
        }
    }

    /// The items of a list. Reports any other value.
    pub fn sequence<'s>(&mut self, what: &str, field: Field<'s>, help: &str) -> Option<Vec<Node<'s>>> {
        match field.node.value {
            Value::Sequence(items) => Some(items),
            _ => {
                self.refuse_kind(what, &field, "a list", help);
                None
            }
        }
    }

    /// The text of a scalar of any YAML type. Reports any other value.
    pub fn text<'f>(&mut self, what: &str, field: &'f Field<'_>, help: &str) -> Option<&'f str> {
        match &field.node.value {
            Value::Text(text) | Value::Typed(text) => Some(text),
            _ => {
                self.refuse_kind(what, field, "text", help);
                None
            }
        }
    }

    /// Reports a value of the wrong kind.
    pub fn refuse_kind(&mut self, what: &str, field: &Field<'_>, wanted: &str, help: &str) {
        match &field.node.value {
            // The position of a missing value would be on the next line.
            Value::Null(_) => self.refuse(field.key, format!("{what} has no value"), help),
            other => self.refuse(field.node.at, format!("{what} must be {wanted}, not {}", kind(other)), help),
        }
    }
}

fn kind(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("the text {}", quoted(text)),
        Value::Typed(text) => format!("{} without quotes", shortened(text)),
        Value::Null(_) => "nothing".into(),
        Value::Sequence(_) => "a list".into(),
        Value::Mapping(_) => "a mapping".into(),
    }
}
