//! A plan or a report for GitHub Actions: annotations on the declaring lines, then the text for the log.
//!
//! The runner obeys commands in the log. Everything in an annotation is therefore escaped, and commands are switched
//! off for the text.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;

use super::Failed;
use super::escape;
use super::sections::{Row, Section, Topic, left, sections};
use super::view::View;
use super::words::{self, done, name};
use crate::config::Problem;
use crate::model::{GroupName, Mode, Origin, Position};
use crate::plan::{Action, Change, Digest, Plan, Since, Standing};
use crate::report::{Report, StaleGroup, UnmadeChange};

/// The number of annotations of a level that GitHub shows for a step.
const MOST: usize = 10;

/// The maximum number of people in one annotation.
const NAMED: usize = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Notice,
}

#[derive(Debug)]
struct Annotation {
    level: Level,
    /// A file, and the place in it if there is one.
    place: Option<(Arc<str>, Option<Position>)>,
    title: String,
    message: String,
}

impl Annotation {
    fn new(level: Level, origin: Option<&Origin>, title: String, message: String) -> Self {
        let place = origin.map(|origin| (Arc::clone(&origin.file), Some(origin.position())));
        Self { level, place, title, message }
    }
}

/// The annotations of a plan, then its text. Differences that existed before the change under review are only in the
/// text.
pub fn plan(plan: &Plan, view: View<'_>, text: &str) -> String {
    let stale = plan.stale.as_ref().map(|stale| {
        let message = format!("{stale}. Nothing was changed. {}", view.stale_help());
        Annotation::new(Level::Error, None, "Stale".into(), message)
    });
    // A plan changes no unmanaged group.
    let sections = sections(plan);
    let sections = sections.iter().filter(|section| section.topic != Topic::Unmanaged).flat_map(of_section);
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
    let found = sections.iter().filter(|section| is_found(section.topic)).flat_map(of_section);
    let changes = changes(plan, |change, _| match Standing::of_change(change) {
        Standing::Missing => "Missing",
        Standing::Expired => "Expired",
        Standing::Undeclared | Standing::Declared | Standing::NotNow => "Unexpected",
    });
    written(found.chain(changes)) + &inert(text)
}

/// The annotations of a section's rows. What is not here is only in the text.
fn of_section(section: &Section) -> Vec<Annotation> {
    let Some(word) = section.topic.names().1 else { return Vec::new() };
    let level = match section.topic {
        Topic::Refused | Topic::Blocked => Level::Error,
        Topic::Later => Level::Notice,
        _ => Level::Warning,
    };
    let annotation = |row: &Row| {
        let level = if row.since == Some(Since::Before) { Level::Warning } else { level };
        // A removed setting has no line in the files under review.
        let place = row.place.as_ref().filter(|_| !row.is_gone);
        let message = escape::with_help(&row.text, row.help.as_deref());
        Annotation::new(level, place, titled(word, row.group.as_ref()), message)
    };
    section.rows.iter().map(annotation).collect()
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
        Annotation::new(Level::Notice, Some(origin), titled(what, Some(group)), names)
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
        let mut add = |level, origin: Option<&Origin>, message| {
            annotations.push(Annotation::new(level, origin, titled("Apply", Some(&group.name)), message));
        };
        let unmade = |unmade: &UnmadeChange| {
            format!("{} was not {}: {}", name(&unmade.member), done(unmade.action), words::unmade(unmade, None))
        };
        for failed in &group.failed {
            add(Level::Error, failed.origin.as_ref(), unmade(failed));
        }
        if let Some(trouble) = &group.trouble {
            add(Level::Error, None, trouble.clone());
        }
        if group.stale.is_some() {
            add(Level::Error, None, "somebody else changed the group meanwhile".into());
        }
        for change in group.kept.iter().chain(&group.skipped) {
            add(Level::Warning, change.origin.as_ref(), unmade(change));
        }
    }
    written(annotations) + &inert(text)
}

/// An annotation for each changed group of a stale plan, then its text.
pub fn stale(groups: &[StaleGroup], help: &str, text: &str) -> String {
    let annotations = groups.iter().map(|group| {
        let what = words::stale(group).join("; ");
        let message = format!("the group has changed since the plan was made: {what}. Nothing was changed. {help}");
        Annotation::new(Level::Error, None, titled("Stale", Some(&group.name)), message)
    });
    written(annotations) + &inert(text)
}

/// The warnings about the files, on their lines.
pub fn warnings(warnings: &[Problem]) -> String {
    written(warnings.iter().map(|problem| of_problem(Level::Warning, problem)))
}

/// The failure of a command, with the problems of the files on their lines.
pub fn failure(failed: &Failed<'_>) -> String {
    if failed.problems.is_empty() {
        let help = failed.help.map(|help| format!(". Help: {help}")).unwrap_or_default();
        let message = format!("{}{help}", failed.error);
        return written([Annotation::new(Level::Error, None, "convoke failed".into(), message)]);
    }
    written(failed.problems.iter().map(|problem| of_problem(Level::Error, problem)))
}

fn of_problem(level: Level, problem: &Problem) -> Annotation {
    let mut message = problem.message.clone();
    for related in &problem.related {
        message += &format!(". {}: {}", related.origin, related.message);
    }
    if let Some(help) = &problem.help {
        message += &format!(". Help: {help}");
    }
    let place = Some((problem.file.clone(), problem.position));
    Annotation { level, place, title: "Configuration".into(), message }
}

/// The annotations of each level, up to the number that GitHub shows. The last one says how many more there are.
fn written(annotations: impl IntoIterator<Item = Annotation>) -> String {
    let annotations: Vec<Annotation> = annotations.into_iter().collect();
    let mut text = String::new();
    for (level, command) in [(Level::Error, "error"), (Level::Warning, "warning"), (Level::Notice, "notice")] {
        let of_level: Vec<&Annotation> = annotations.iter().filter(|annotation| annotation.level == level).collect();
        let shown = if of_level.len() > MOST { MOST - 1 } else { of_level.len() };
        of_level.iter().take(shown).for_each(|annotation| write(&mut text, command, annotation));
        if shown < of_level.len() {
            let message = format!("{} more, see the log", of_level.len() - shown);
            write(&mut text, command, &Annotation::new(level, None, "convoke".into(), message));
        }
    }
    text
}

fn write(text: &mut String, command: &str, Annotation { place, title, message, .. }: &Annotation) {
    let _ = write!(text, "::{command} ");
    if let Some((file, position)) = place {
        let _ = write!(text, "file={},", escape::annotation_property(file));
        if let Some(Position { line, column }) = position {
            let _ = write!(text, "line={line},col={column},");
        }
    }
    let _ = writeln!(text, "title={}::{}", escape::annotation_property(title), escape::annotation(message));
}

/// The text with commands switched off. The word that switches them on again is a hash of the text, so the text
/// cannot contain it.
fn inert(text: &str) -> String {
    let word = Digest::of(text.as_bytes());
    format!("::stop-commands::{word}\n{}\n::{word}::\n", text.trim_end())
}
