//! An edit of the files: a unified diff and one line for each change, or a JSON document.

use std::fmt::Write as _;

use serde::Serialize;
use similar::{ChangeTag, TextDiff};

use super::escape::clean;
use super::text::{Paint, Style};
use crate::config::{Edited, ListAction, ListChange, ListName, Problem, Problems, Uncompared};
use crate::model::{Origin, PersonRef, RunStatus};

/// The version of the format.
const FORMAT_VERSION: u32 = 1;

/// The number of unchanged lines around a changed one.
const CONTEXT: usize = 3;

/// The difference between a file and its edit.
#[must_use]
pub fn diff(path: &str, before: &str, after: &str, paint: Paint) -> String {
    let diff = TextDiff::from_lines(before, after);
    let path = clean(path);
    let mut text = paint.paint(Style::Title, &format!("--- a/{path}")) + "\n";
    text += &(paint.paint(Style::Title, &format!("+++ b/{path}")) + "\n");
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let _ = writeln!(text, "{}", paint.paint(Style::Dim, hunk.header().to_string().trim_end()));
        for change in hunk.iter_changes() {
            let line = format!("{}{}", change.tag(), clean(change.value().trim_end_matches(['\n', '\r'])));
            let painted = match change.tag() {
                ChangeTag::Equal => line,
                ChangeTag::Insert => paint.paint(Style::Add, &line),
                ChangeTag::Delete => paint.paint(Style::Remove, &line),
            };
            text += &(painted + "\n");
            if change.missing_newline() {
                text += "\\ No newline at end of file\n";
            }
        }
    }
    text
}

/// The changed and unchanged entries, one line each.
#[must_use]
pub fn summary(edited: &Edited) -> String {
    let mut text = String::new();
    for ListChange { action, person, list, origin } in &edited.changes {
        let preposition = match action {
            ListAction::Add => "to",
            ListAction::Change => "in",
            ListAction::Remove => "from",
        };
        let (person, list) = (clean(&person.to_string()), clean(&list.to_string()));
        let _ = writeln!(text, "{} {person} {preposition} {list} ({})", action.as_str(), place(origin));
    }
    for unchanged in &edited.unchanged {
        let _ = writeln!(text, "unchanged: {} ({})", clean(&unchanged.message), place(&unchanged.origin));
    }
    text
}

/// The entries that could not be compared with the person, one line each; `None` if there are none.
#[must_use]
pub fn uncompared(uncompared: &[Uncompared]) -> Option<String> {
    let kind = match &uncompared.first()?.person {
        PersonRef::Id(_) => "by id, and an address",
        PersonRef::Email(_) => "by address, and an id",
    };
    let mut text = format!(
        "these entries name people {kind} cannot be compared with them; check that none of them is the same person:"
    );
    for Uncompared { person, origin } in uncompared {
        let _ = write!(text, "\n  {} {}", place(origin), clean(&person.to_string()));
    }
    Some(text)
}

fn place(origin: &Origin) -> String {
    clean(&origin.to_string())
}

/// An edit that was made or refused.
#[derive(Clone, Debug, Serialize)]
pub struct EditDocument {
    format_version: u32,
    status: RunStatus,
    written: bool,
    changes: Vec<ChangedEntry>,
    #[serde(skip_serializing_if = "Option::is_none")]
    kept: Option<usize>,
    uncompared: Vec<UncomparedEntry>,
    unchanged: Vec<UnchangedEntry>,
    notes: Vec<String>,
    /// The reasons of a refusal.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    problems: Vec<Problem>,
}

#[derive(Clone, Debug, Serialize)]
struct ChangedEntry {
    action: &'static str,
    person: String,
    #[serde(flatten)]
    list: NamedList,
    file: String,
    line: u32,
}

#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
enum NamedList {
    Group(String),
    Roster(String),
}

#[derive(Clone, Debug, Serialize)]
struct UncomparedEntry {
    #[serde(flatten)]
    person: PersonRef,
    file: String,
    line: u32,
}

#[derive(Clone, Debug, Serialize)]
struct UnchangedEntry {
    message: String,
    file: String,
    line: u32,
}

impl EditDocument {
    /// A possible edit; whether it was written, and whether kept entries are counted.
    #[must_use]
    pub fn new(edited: &Edited, written: bool, counts_kept: bool) -> Self {
        let changes = edited.changes.iter().map(|ListChange { action, person, list, origin }| ChangedEntry {
            action: action.as_str(),
            person: person.to_string(),
            list: match list {
                ListName::Group(name) => NamedList::Group(name.to_string()),
                ListName::Roster(name) => NamedList::Roster(name.to_string()),
            },
            file: origin.file.to_string(),
            line: origin.line,
        });
        let unchanged = edited.unchanged.iter().map(|unchanged| UnchangedEntry {
            message: unchanged.message.clone(),
            file: unchanged.origin.file.to_string(),
            line: unchanged.origin.line,
        });
        Self {
            status: if edited.changes.is_empty() { RunStatus::Unchanged } else { RunStatus::Changes },
            written,
            changes: changes.collect(),
            kept: counts_kept.then_some(edited.kept),
            unchanged: unchanged.collect(),
            ..Self::refused_with(&edited.uncompared, &edited.notes)
        }
    }

    /// A refused edit.
    #[must_use]
    pub fn refused(problems: &Problems, uncompared: &[Uncompared], notes: &[String]) -> Self {
        let problems = problems.iter().cloned().collect();
        Self { problems, ..Self::refused_with(uncompared, notes) }
    }

    fn refused_with(uncompared: &[Uncompared], notes: &[String]) -> Self {
        let uncompared = uncompared.iter().map(|Uncompared { person, origin }| UncomparedEntry {
            person: person.clone(),
            file: origin.file.to_string(),
            line: origin.line,
        });
        Self {
            format_version: FORMAT_VERSION,
            status: RunStatus::Refused,
            written: false,
            changes: Vec::new(),
            kept: None,
            uncompared: uncompared.collect(),
            unchanged: Vec::new(),
            notes: notes.to_vec(),
            problems: Vec::new(),
        }
    }
}
