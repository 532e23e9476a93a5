//! An edit of the files: a unified diff and one line for each change, or a JSON document.

use std::fmt::Write as _;

use similar::{ChangeTag, TextDiff};

use super::escape::clean;
use super::text::{ADD, DIM, REMOVE, TITLE, paint};
use super::words;
use crate::config::{Edited, ListAction, ListChange, Uncompared};
use crate::model::PersonRef;

/// The number of unchanged lines around a changed one.
const CONTEXT: usize = 3;

/// The difference between a file and its edit.
pub fn diff(path: &str, before: &str, after: &str, color: bool) -> String {
    let diff = TextDiff::from_lines(before, after);
    let path = clean(path);
    let mut text = paint(color, TITLE, &format!("--- a/{path}")) + "\n";
    text += &(paint(color, TITLE, &format!("+++ b/{path}")) + "\n");
    for hunk in diff.unified_diff().context_radius(CONTEXT).iter_hunks() {
        let _ = writeln!(text, "{}", paint(color, DIM, hunk.header().to_string().trim_end()));
        for change in hunk.iter_changes() {
            let line = format!("{}{}", change.tag(), clean(change.value().trim_end_matches(['\n', '\r'])));
            let painted = match change.tag() {
                ChangeTag::Equal => line,
                ChangeTag::Insert => paint(color, ADD, &line),
                ChangeTag::Delete => paint(color, REMOVE, &line),
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
pub fn summary(edited: &Edited) -> String {
    let mut text = String::new();
    for ListChange { action, person, uses, list, origin } in &edited.changes {
        let (verb, preposition) = match action {
            ListAction::Add => ("add", "to"),
            ListAction::Change => ("change", "in"),
            ListAction::Remove => ("remove", "from"),
        };
        let used = uses.as_ref().map(ToString::to_string);
        let (entry, list) = (person.iter().chain(&used).map(|entry| clean(entry)), clean(&list.to_string()));
        let _ = writeln!(text, "{verb} {} {preposition} {list} ({})", entry.collect::<String>(), words::origin(origin));
    }
    for unchanged in &edited.unchanged {
        let _ = writeln!(text, "unchanged: {} ({})", clean(&unchanged.message), words::origin(&unchanged.origin));
    }
    if let Some(kept) = edited.kept.filter(|kept| *kept > 0) {
        let entries = if kept == 1 { "entry" } else { "entries" };
        let _ =
            writeln!(text, "kept {kept} ended {entries} of additive groups, because they are needed to end the access");
    }
    text
}

/// The entries that could not be compared with the person, one line each; `None` if there are none.
pub fn uncompared(uncompared: &[Uncompared]) -> Option<String> {
    let kind = match &uncompared.first()?.person {
        PersonRef::Id(_) => "by id, and an address",
        PersonRef::Email(_) => "by address, and an id",
    };
    let mut text = format!(
        "these entries name people {kind} cannot be compared with them; check that none of them is the same person:"
    );
    for Uncompared { person, origin } in uncompared {
        let _ = write!(text, "\n  {} {}", words::origin(origin), clean(&person.to_string()));
    }
    Some(text)
}
