//! Tests of edits, from texts to texts.

mod granted;
mod properties;
mod pruned;
mod renamed;
mod revoked;
mod shapes;

use super::*;
use crate::config::parse;
use crate::config::tests::sources;

const NOW: &str = "2026-12-01T12:00:00Z";

fn person(text: &str) -> PersonRef {
    text.parse().unwrap()
}

fn list(name: &str) -> ListName {
    match name.strip_prefix("roster ") {
        Some(roster) => ListName::Roster(roster.into()),
        None => ListName::Group(name.into()),
    }
}

/// A request in the form of a command line, with `/` between its words.
fn request(line: &str) -> EditRequest {
    let mut words = line.split('/');
    let command = words.next().unwrap();
    if command == "prune" {
        return EditRequest::Prune { older_than: parse_age(words.next().unwrap_or("30d")).unwrap() };
    }
    if command == "sort" {
        return EditRequest::Sort { check: words.next().is_some() };
    }
    let person = person(words.next().unwrap());
    if command == "rename" {
        return EditRequest::Rename { old: person, new: self::person(words.next().unwrap()) };
    }
    let (mut lists, mut from, mut until, mut reason) = (Vec::new(), None, None, None);
    let (mut everywhere, mut partial) = (false, false);
    while let Some(word) = words.next() {
        match word {
            "--roster" => lists.push(ListName::Roster(words.next().unwrap().into())),
            "--from" => from = Some(words.next().unwrap().parse().unwrap()),
            "--until" => until = Some(words.next().unwrap().parse().unwrap()),
            "--reason" => reason = Some(words.next().unwrap().to_owned()),
            "--everywhere" => everywhere = true,
            "--partial" => partial = true,
            name => lists.push(list(name)),
        }
    }
    match command {
        "grant" => EditRequest::Grant(Grant { person, lists, from, until, reason }),
        _ => EditRequest::Revoke(Revoke { person, lists: (!everywhere).then_some(lists), until, partial }),
    }
}

fn spell(words: &[&str]) -> String {
    format!("convoke {}", words.join("/"))
}

fn try_edit(files: &[(&str, &str)], line: &str) -> Result<Edited, EditError> {
    edit(&sources(files), &request(line), NOW.parse().unwrap(), &spell)
}

/// A possible edit, or the text of the error or the refusal.
fn outcome(files: &[(&str, &str)], line: &str) -> Result<Edited, String> {
    let edited = try_edit(files, line).map_err(|error| shown(&error))?;
    match &edited.problems {
        None => Ok(edited),
        Some(problems) => Err(format!("refused: {}", problems.to_string().replace("error: ", ""))),
    }
}

/// The edited file.
fn edited(text: &str, line: &str) -> String {
    let edited = outcome(&[("a.yaml", text)], line).unwrap_or_else(|error| panic!("{error}"));
    edited.files.get(&0).cloned().unwrap_or_else(|| text.to_owned())
}

fn shown(error: &EditError) -> String {
    match error {
        EditError::Usage { message, help, .. } => format!("usage: {message}\nhelp: {help}"),
        EditError::Files(problems) => format!("files: {problems}"),
    }
}

/// The reason of a refusal.
fn refusal(text: &str, line: &str) -> String {
    outcome(&[("a.yaml", text)], line).unwrap_err()
}

/// The lines that an edit removes and adds.
fn diff(before: &str, after: &str) -> Vec<String> {
    let (before, after): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let diff = similar::TextDiff::from_slices(&before, &after);
    let changed = diff.iter_all_changes().filter(|change| change.tag() != similar::ChangeTag::Equal);
    changed.map(|change| format!("{}{}", change.tag(), change.value())).collect()
}

/// A file with one group of these lines below `members:`.
fn members(lines: &str) -> String {
    format!("version: 1\ngroups:\n  Ops:\n    allow_empty: true\n    members:{lines}")
}
