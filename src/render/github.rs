//! A plan or a report for GitHub Actions: annotations on the declaring lines, then the text for the log.
//!
//! The runner obeys commands in the log. Everything in an annotation is therefore escaped, and commands are switched
//! off for the text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::sections::{Row, Topic, left, sections};
use super::view::View;
use super::words::{self, done, name};
use super::{Failed, escape};
use crate::config::Problem;
use crate::model::{GroupName, Mode, Origin, Position};
use crate::plan::{Action, Change, Digest, Plan, Since, Standing};
use crate::report::{Report, StaleGroup, UnmadeChange};

/// The number of annotations of a level that GitHub shows for a step.
const MOST: usize = 10;

/// The maximum number of people in one annotation.
const NAMED: usize = 10;

// The runner's commands for annotations, from the most serious level down. GitHub limits the number of each.
const ERROR: &str = "error";
const WARNING: &str = "warning";
const NOTICE: &str = "notice";

#[derive(Debug)]
struct Annotation {
    level: &'static str,
    /// The properties for a place in a file, each with a comma after it.
    place: String,
    title: String,
    message: String,
}

impl Annotation {
    fn new(level: &'static str, origin: Option<&Origin>, title: String, message: String) -> Self {
        let place = origin.map(|origin| place(&origin.file, Some(origin.position()))).unwrap_or_default();
        Self { level, place, title, message }
    }
}

fn place(file: &str, position: Option<Position>) -> String {
    let position = position.map(|at| format!("line={},col={},", at.line, at.column)).unwrap_or_default();
    format!("file={},{position}", escape::annotation_property(file))
}

/// The annotations of a plan, then its text. Differences that existed before the change under review are only in the
/// text.
pub fn plan(plan: &Plan, view: View<'_>, text: &str) -> String {
    let stale = plan.stale.as_ref().map(|stale| {
        let message = format!("{stale}. Nothing was changed. {}", view.stale_help());
        Annotation::new(ERROR, None, "Stale".into(), message)
    });
    // A plan changes no unmanaged group.
    let sections = sections(plan);
    let sections = sections.iter().filter(|(topic, _)| **topic != Topic::Unmanaged).flat_map(of_section);
    let changes = changes(plan, |change, mode| match (mode, change.action) {
        (Mode::Observe, Action::Add) => "Missing (observed)",
        (Mode::Observe, Action::Remove) => "Not declared (observed)",
        (_, Action::Add) => "To add",
        (_, Action::Remove) => "To remove",
    });
    written(stale.into_iter().chain(sections).chain(changes)) + &inert(text)
}

/// The annotations of a drift, then its text. Guards concern its correction only.
pub fn drift(plan: &Plan, text: &str) -> String {
    let sections = sections(plan);
    let is_found = |topic| matches!(topic, Topic::Blocked | Topic::Warned | Topic::Expiring | Topic::Unmanaged);
    let found = sections.iter().filter(|(topic, _)| is_found(**topic)).flat_map(of_section);
    let changes = changes(plan, |change, _| match Standing::of_change(change) {
        Standing::Missing => "Missing",
        Standing::Expired => "Expired",
        Standing::Undeclared | Standing::Declared | Standing::NotNow => "Unexpected",
    });
    written(found.chain(changes)) + &inert(text)
}

/// The annotations of a section's rows. What is not here is only in the text.
fn of_section((topic, rows): (&Topic, &Vec<Row>)) -> Vec<Annotation> {
    let Some(word) = topic.names().1 else { return Vec::new() };
    let level = match topic {
        Topic::Refused | Topic::Blocked => ERROR,
        Topic::Later => NOTICE,
        _ => WARNING,
    };
    let annotation = |row: &Row| {
        let level = if row.since == Some(Since::Before) { WARNING } else { level };
        // A removed setting has no line in the files under review.
        let place = row.place.as_ref().filter(|_| !row.is_gone);
        let message = escape::with_help(&row.text, row.help.as_deref());
        Annotation::new(level, place, titled(word, row.group.as_ref()), message)
    };
    rows.iter().map(annotation).collect()
}

/// One annotation for all changes of the same kind that a line causes in a group.
fn changes(plan: &Plan, called: fn(&Change, Mode) -> &'static str) -> impl Iterator<Item = Annotation> {
    let mut by_line: BTreeMap<(&Origin, &GroupName, &str), Vec<&Change>> = BTreeMap::new();
    for group in &plan.groups {
        for change in group.changes.iter().filter(|change| change.since != Some(Since::Before)) {
            by_line.entry((&change.origin, &group.name, called(change, group.mode))).or_default().push(change);
        }
    }
    by_line.into_iter().map(|((origin, group, what), changes)| {
        let names = words::first(changes.into_iter().map(named).collect(), NAMED);
        Annotation::new(NOTICE, Some(origin), titled(what, Some(group)), names)
    })
}

/// The member, until when, and other known facts.
fn named(change: &Change) -> String {
    let facts: Vec<String> = words::end(change).into_iter().chain(words::facts(change)).collect();
    let name = name(&change.member);
    if facts.is_empty() { name } else { format!("{name} ({})", facts.join(", ")) }
}

fn titled(what: &str, group: Option<&GroupName>) -> String {
    group.map_or_else(|| what.into(), |group| format!("{what}: {group}"))
}

/// The annotations of a report's errors, then its text.
pub fn report(report: &Report, text: &str) -> String {
    let mut annotations: Vec<Annotation> = left(report).iter().flat_map(of_section).collect();
    for group in &report.groups {
        let title = || titled("Apply", Some(&group.name));
        let unmade = |level, change: &UnmadeChange| {
            let (name, why) = (name(&change.member), words::unmade(change, None));
            let message = format!("{name} was not {}: {why}", done(change.action));
            Annotation::new(level, change.origin.as_ref(), title(), message)
        };
        annotations.extend(group.failed.iter().map(|change| unmade(ERROR, change)));
        let meanwhile = group.stale.as_ref().map(|_| "somebody else changed the group meanwhile".to_owned());
        let troubles = group.trouble.iter().cloned().chain(meanwhile);
        annotations.extend(troubles.map(|trouble| Annotation::new(ERROR, None, title(), trouble)));
        annotations.extend(group.kept.iter().chain(&group.skipped).map(|change| unmade(WARNING, change)));
    }
    written(annotations) + &inert(text)
}

/// An annotation for each changed group of a stale plan, then its text.
pub fn stale(groups: &[StaleGroup], help: &str, text: &str) -> String {
    let annotations = groups.iter().map(|group| {
        let what = words::stale(group).join("; ");
        let message = format!("the group has changed since the plan was made: {what}. Nothing was changed. {help}");
        Annotation::new(ERROR, None, titled("Stale", Some(&group.name)), message)
    });
    written(annotations) + &inert(text)
}

/// The warnings about the files, on their lines.
pub fn warnings(warnings: &[Problem]) -> String {
    written(warnings.iter().map(|problem| of_problem(WARNING, problem)))
}

/// The failure of a command, with the problems of the files on their lines.
pub fn failure(failed: &Failed<'_>) -> String {
    if failed.problems.is_empty() {
        let message = escape::with_help(&failed.error, failed.help);
        return written([Annotation::new(ERROR, None, "convoke failed".into(), message)]);
    }
    written(failed.problems.iter().map(|problem| of_problem(ERROR, problem)))
}

fn of_problem(level: &'static str, problem: &Problem) -> Annotation {
    let mut message = problem.message.clone();
    for related in &problem.related {
        message += &format!(". {}: {}", related.origin, related.message);
    }
    let message = escape::with_help(&message, problem.help.as_deref());
    Annotation { level, place: place(&problem.file, problem.position), title: "Configuration".into(), message }
}

/// The annotations of each level, up to the number that GitHub shows. The last one says how many more there are.
fn written(annotations: impl IntoIterator<Item = Annotation>) -> String {
    let mut annotations: Vec<Annotation> = annotations.into_iter().collect();
    let mut text = String::new();
    for level in [ERROR, WARNING, NOTICE] {
        let mut shown: Vec<Annotation> = annotations.extract_if(.., |annotation| annotation.level == level).collect();
        if shown.len() > MOST {
            let more = format!("{} more, see the log", shown.split_off(MOST - 1).len());
            shown.push(Annotation::new(level, None, "convoke".into(), more));
        }
        for Annotation { place, title, message, .. } in shown {
            let (title, message) = (escape::annotation_property(&title), escape::annotation(&message));
            let _ = writeln!(text, "::{level} {place}title={title}::{message}");
        }
    }
    text
}

/// The text with commands switched off. The word that switches them on again is a hash of the text, so the text
/// cannot contain it.
fn inert(text: &str) -> String {
    let word = Digest::of(text.as_bytes());
    format!("::stop-commands::{word}\n{}\n::{word}::\n", text.trim_end())
}
