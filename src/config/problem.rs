//! Problems of the files. They are collected while the files are read, and shown together.

use std::borrow::{Borrow, Cow};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use unicode_width::UnicodeWidthStr as _;

use super::Source;
use crate::model::{Origin, Position, composed};

/// Reading stops after this number of problems, so that a hostile file cannot fill the memory.
pub(super) const MOST_PROBLEMS: usize = 10_000;

/// Longer source lines are not shown.
const LONGEST_LINE: usize = 200;

const LONGEST_QUOTE: usize = 100;

/// Longer words are not compared, because the cost is the product of the two lengths.
const LONGEST_WORD: usize = 64;

#[derive(Clone, Debug, Serialize)]
pub struct Problem {
    /// The path as given, with `/` between its parts.
    pub file: Arc<str>,
    /// `None` if the file could not be read.
    #[serde(flatten, serialize_with = "line_and_column")]
    pub position: Option<Position>,
    /// The source line at the position; `None` if it is blank or too long. Only for people.
    #[serde(skip)]
    pub source_line: Option<String>,
    pub message: String,
    pub help: Option<String>,
    pub related: Vec<Related>,
}

/// Another place that is part of a problem.
#[derive(Clone, Debug, Serialize)]
pub struct Related {
    #[serde(flatten)]
    pub origin: Origin,
    pub message: String,
}

fn line_and_column<S: Serializer>(position: &Option<Position>, serializer: S) -> Result<S::Ok, S::Error> {
    let mut place = serializer.serialize_map(Some(2))?;
    place.serialize_entry("line", &position.map(|position| position.line))?;
    place.serialize_entry("column", &position.map(|position| position.column))?;
    place.end()
}

impl Problem {
    pub(super) fn new(file: Arc<str>, position: Option<Position>, message: impl Into<String>) -> Self {
        Self { file, position, source_line: None, message: message.into(), help: None, related: Vec::new() }
    }

    pub(super) fn at(origin: &Origin, message: impl Into<String>) -> Self {
        Self::new(Arc::clone(&origin.file), Some(origin.position()), message)
    }

    pub(super) fn help(self, help: impl Into<String>) -> Self {
        Self { help: Some(help.into()), ..self }
    }

    pub(super) fn related(mut self, origin: Origin, message: impl Into<String>) -> Self {
        self.related.push(Related { origin, message: message.into() });
        self
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&escaped(&self.file))?;
        if let Some(Position { line, column }) = self.position {
            write!(f, ":{line}:{column}")?;
        }
        writeln!(f, ": {}", escaped(&self.message))?;
        if let (Some(line), Some(position)) = (&self.source_line, self.position) {
            let before = usize::try_from(position.column).unwrap_or(usize::MAX).saturating_sub(1);
            let indent = escaped(&line.chars().take(before).collect::<String>()).width();
            writeln!(f, "  | {}", escaped(line))?;
            writeln!(f, "  | {:indent$}^", "")?;
        }
        for Related { origin, message } in &self.related {
            writeln!(f, "  {}:{}:{}: {}", escaped(&origin.file), origin.line, origin.column, escaped(message))?;
        }
        match &self.help {
            Some(help) => writeln!(f, "  help: {}", escaped(help)),
            None => Ok(()),
        }
    }
}

/// Collects the problems of the files. As an error, it has at least one, and they are ordered by file and position.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(transparent)]
pub struct Problems {
    list: Vec<Problem>,
    #[serde(skip)]
    cut: bool,
}

impl Problems {
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.list.iter()
    }

    /// These problems, sorted and with their source lines; `None` if there are none.
    pub(super) fn of(list: Vec<Problem>, sources: &[Source]) -> Option<Self> {
        (!list.is_empty()).then(|| Self { list: settle(list, sources), cut: false })
    }

    pub(super) fn push(&mut self, problem: Problem) {
        if !self.is_full() {
            self.list.push(problem);
        }
    }

    /// Adds a problem of something that another place already has.
    pub(super) fn push_second(
        &mut self,
        second: &Origin,
        message: impl Into<String>,
        first: &Origin,
        label: &str,
        help: &str,
    ) {
        self.push(Problem::at(second, message).related(first.clone(), label).help(help));
    }

    pub(super) fn is_full(&self) -> bool {
        self.list.len() >= MOST_PROBLEMS
    }

    pub(super) fn len(&self) -> usize {
        self.list.len()
    }

    /// Sorts the problems and adds their source lines.
    ///
    /// # Errors
    ///
    /// If there is any problem.
    pub(super) fn finish(self, sources: &[Source]) -> Result<(), Self> {
        let cut = self.is_full();
        Self::of(self.list, sources).map_or(Ok(()), |problems| Err(Self { cut, ..problems }))
    }

    pub fn summary(&self) -> String {
        match self.list.len() {
            1 => "1 problem".into(),
            count if self.cut => format!("{count} problems or more; reading stopped after these"),
            count => format!("{count} problems"),
        }
    }
}

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.list {
            writeln!(f, "error: {problem}")?;
        }
        f.write_str(&self.summary())
    }
}

impl std::error::Error for Problems {}

pub(super) fn settle(mut list: Vec<Problem>, sources: &[Source]) -> Vec<Problem> {
    list.sort_by(|a, b| (&a.file, a.position, &a.message).cmp(&(&b.file, b.position, &b.message)));
    // An alias repeats a problem.
    list.dedup_by(|a, b| a.file == b.file && a.position == b.position && a.message == b.message);
    let texts: BTreeMap<&str, &[u8]> = sources.iter().map(|s| (s.path.as_str(), s.bytes.as_slice())).collect();
    for of_file in list.chunk_by_mut(|a, b| a.file == b.file) {
        // One pass over the file, because it can be large.
        let text = of_file.first().and_then(|problem| texts.get(&*problem.file));
        let mut lines = numbered_lines(text.copied().unwrap_or_default()).peekable();
        for problem in of_file {
            let Some(position) = problem.position else { continue };
            while lines.next_if(|(number, _)| *number < position.line).is_some() {}
            problem.source_line = lines.peek().and_then(|(_, line)| shown_line(line));
        }
    }
    list
}

fn shown_line(line: &[u8]) -> Option<String> {
    // A character has at most four bytes.
    if line.len() > 4 * LONGEST_LINE {
        return None;
    }
    let text = String::from_utf8_lossy(line);
    let text = text.trim_end();
    (!text.is_empty() && text.chars().count() <= LONGEST_LINE).then(|| text.to_owned())
}

/// The lines of a text with their numbers, by YAML's rules: they end with a line feed, a carriage return, or both, and
/// the first one has no byte order mark.
pub(super) fn numbered_lines(text: &[u8]) -> impl Iterator<Item = (u32, &[u8])> {
    let mut rest = Some(text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text));
    let lines = std::iter::from_fn(move || {
        let text = rest.take()?;
        let Some(end) = text.iter().position(|byte| matches!(byte, b'\n' | b'\r')) else { return Some(text) };
        let (line, tail) = text.split_at_checked(end)?;
        rest = tail.strip_prefix(b"\r\n").or_else(|| tail.get(1..));
        Some(line)
    });
    (1..).zip(lines)
}

/// A text from a file in quotes, shortened if it is long, with control characters escaped.
pub(super) fn quoted(text: &str) -> String {
    format!("\"{}\"", escape_all_but(&shortened(text), &['\'']))
}

/// A text from a file, shortened if it is long.
pub(super) fn shortened(text: &str) -> Cow<'_, str> {
    match text.char_indices().nth(LONGEST_QUOTE) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()).into(),
        None => text.into(),
    }
}

/// A text with control characters escaped, and tabs replaced by spaces.
pub(super) fn escaped(text: &str) -> String {
    escape_all_but(text, &['"', '\'', '\\', '\t']).replace('\t', " ")
}

/// Escapes unprintable characters, quotes and backslashes, except for these.
fn escape_all_but(text: &str, kept: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for piece in text.split_inclusive(kept) {
        let inner = piece.strip_suffix(kept).unwrap_or(piece);
        escaped.extend(inner.escape_debug());
        escaped.extend(piece.chars().next_back().filter(|last| kept.contains(last)));
    }
    escaped
}

/// The nearest candidate that differs in at most a third of its letters. Of several, the first one.
pub(super) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let folded = composed(word).to_lowercase();
    let most = (folded.chars().count() / 3).max(1);
    let short = candidates.into_iter().filter(|candidate| candidate.len().max(word.len()) <= LONGEST_WORD);
    let near = short.map(|other| (strsim::osa_distance(&folded, &composed(other).to_lowercase()), other));
    near.filter(|(distance, _)| *distance <= most).min_by_key(|(distance, _)| *distance).map(|(_, other)| other)
}

/// The remedy for an unknown word: the probable one, or all known words.
pub(super) fn did_you_mean<S: Borrow<str>>(word: &str, known: &[S]) -> String {
    match nearest(word, known.iter().map(Borrow::borrow)) {
        Some(meant) => format!("did you mean \"{meant}\"?"),
        None => format!("expected one of: {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelled_word_is_found() {
        let known = ["members", "mode", "min_members"];
        assert_eq!(nearest("membres", known), Some("members"));
        assert_eq!(nearest("Mode", known), Some("mode"));
        assert_eq!(nearest("modus", known), None);
        assert_eq!(nearest("owner", known), None);
        assert_eq!(nearest("", known), None);
    }

    #[test]
    fn all_words_are_listed_without_a_near_one() {
        assert_eq!(did_you_mean("exakt", &["exact", "additive"]), "did you mean \"exact\"?");
        assert_eq!(did_you_mean("full", &["exact", "additive"]), "expected one of: exact, additive");
    }
}
