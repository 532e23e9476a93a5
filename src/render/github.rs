//! A plan or a report for GitHub Actions: annotations on the declaring lines, then the text for the log.
//!
//! The runner obeys commands in the log. Everything in an annotation is therefore escaped, and commands are switched
//! off for the text.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::failure::Failed;
use super::view::{STALE_HELP, View};
use super::words::{DriftKind, base_change, difference, history, last_day, name};
use super::{counted, escape};
use crate::config::Problem;
use crate::model::{GroupName, Mode, Origin};
use crate::plan::{Action, Change, Digest, Plan, Since};
use crate::report::{Report, StaleGroup};

/// The number of annotations of a level that GitHub shows for a step.
const MOST: usize = 10;

/// The maximum number of people in one annotation.
const NAMED: usize = 10;

/// The level of an annotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Error,
    Warning,
    Notice,
}

impl Level {
    const fn command(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
            Self::Notice => "notice",
        }
    }
}

#[derive(Debug)]
struct Annotation {
    level: Level,
    place: Option<Place>,
    title: String,
    message: String,
}

/// The file and position of an annotation.
#[derive(Debug)]
struct Place {
    file: String,
    position: Option<(u32, u32)>,
}

impl From<&Origin> for Place {
    fn from(origin: &Origin) -> Self {
        Self { file: origin.file.to_string(), position: Some((origin.line, origin.column)) }
    }
}

/// The annotations of a plan, then its text. Differences that existed before the change under review are only in the
/// text.
#[must_use]
pub fn plan(plan: &Plan, view: View<'_>, text: &str) -> String {
    let mut annotations: Vec<Annotation> = Vec::new();
    annotations.extend(view.stale.map(|stale| Annotation {
        level: Level::Error,
        place: None,
        title: "Stale".into(),
        message: format!("{}. Nothing was changed. {STALE_HELP}", stale.message(plan.digest)),
    }));
    annotations.extend(plan.refusals.iter().map(|refusal| Annotation {
        level: Level::Error,
        place: refusal.origin.as_ref().map(Place::from),
        title: titled("Refused", refusal.group.as_ref()),
        message: format!("{}. Help: {}", refusal.message, refusal.help),
    }));
    annotations.extend(blocked(plan));
    annotations.extend(loosened(plan));
    annotations.extend(warned(plan));
    annotations.extend(expiring(plan));
    annotations.extend(changes(plan, |change, mode| match (mode, change.action) {
        (Mode::Observe, Action::Add) => "Missing (observed)",
        (Mode::Observe, Action::Remove) => "Not declared (observed)",
        (_, Action::Add) => "To add",
        (_, Action::Remove) => "To remove",
    }));
    written(&annotations) + &inert(text)
}

/// The annotations of a drift, then its text.
#[must_use]
pub fn drift(plan: &Plan, text: &str) -> String {
    let mut annotations: Vec<Annotation> = blocked(plan).collect();
    annotations.extend(expiring(plan));
    annotations.extend(changes(plan, |change, _| match difference(change) {
        DriftKind::Missing => "Missing",
        DriftKind::Unexpected => "Unexpected",
        DriftKind::Expired => "Expired",
    }));
    written(&annotations) + &inert(text)
}

fn blocked(plan: &Plan) -> impl Iterator<Item = Annotation> {
    plan.blocked.iter().map(|blocked| Annotation {
        level: if blocked.since == Some(Since::Before) { Level::Warning } else { Level::Error },
        place: Some((&blocked.origin).into()),
        title: titled("Blocked", Some(&blocked.group)),
        message: blocked.to_string(),
    })
}

/// The settings that the change under review loosens. Other changed settings are only in the text.
fn loosened(plan: &Plan) -> impl Iterator<Item = Annotation> {
    plan.base_changes.iter().filter(|change| change.loosens).map(|change| Annotation {
        level: Level::Warning,
        // A removed setting has no line in the files under review.
        place: change.origin.as_ref().filter(|_| change.after.is_some()).map(Place::from),
        title: titled("Loosened", change.group.as_ref()),
        message: base_change(change, str::to_owned),
    })
}

fn warned(plan: &Plan) -> impl Iterator<Item = Annotation> {
    plan.warnings.iter().map(|warning| Annotation {
        level: Level::Warning,
        place: warning.origin.as_ref().map(Place::from),
        title: "Warning".into(),
        message: format!("{}. Help: {}", warning.message, warning.help),
    })
}

fn expiring(plan: &Plan) -> impl Iterator<Item = Annotation> {
    plan.expiring.iter().map(|expiring| Annotation {
        level: Level::Warning,
        place: Some((&expiring.origin).into()),
        title: titled("Expiring soon", Some(&expiring.group)),
        message: format!("{} is a member until {}", expiring.person, last_day(expiring.until)),
    })
}

/// One annotation for all changes of the same kind that a line causes in a group.
fn changes(plan: &Plan, called: fn(&Change, Mode) -> &'static str) -> Vec<Annotation> {
    let mut by_line: BTreeMap<(&Origin, &GroupName, &str), Vec<&Change>> = BTreeMap::new();
    for group in &plan.groups {
        for change in group.changes.iter().filter(|change| change.since != Some(Since::Before)) {
            by_line.entry((&change.origin, &group.name, called(change, group.mode))).or_default().push(change);
        }
    }
    let annotation = |((origin, group, what), changes): ((&Origin, &GroupName, &str), Vec<&Change>)| {
        let mut names: Vec<String> = changes.iter().take(NAMED).map(|change| named(change)).collect();
        if changes.len() > NAMED {
            names.push(format!("and {} more", changes.len() - NAMED));
        }
        Annotation {
            level: Level::Notice,
            place: Some(Place::from(origin)),
            title: titled(what, Some(group)),
            message: names.join(", "),
        }
    };
    by_line.into_iter().map(annotation).collect()
}

/// The member, and the known history of the difference.
fn named(change: &Change) -> String {
    let name = name(&change.member);
    history(change, escape::clean).map_or_else(|| name.clone(), |history| format!("{name} ({history})"))
}

fn titled(what: &str, group: Option<&GroupName>) -> String {
    match group {
        Some(group) => format!("{what}: {}", group.as_str()),
        None => what.into(),
    }
}

/// The annotations of a report's errors, then its text.
#[must_use]
pub fn report(report: &Report, text: &str) -> String {
    let mut annotations = Vec::new();
    for group in &report.groups {
        let mut add = |level, message| {
            let title = titled("Apply", Some(&group.name));
            annotations.push(Annotation { level, place: None, title, message });
        };
        for failed in &group.failed {
            let done = if failed.action == Action::Add { "added" } else { "removed" };
            add(Level::Error, format!("{} was not {done}: {}", name(&failed.member), failed.reason));
        }
        if let Some(trouble) = &group.trouble {
            add(Level::Error, trouble.clone());
        }
        if group.stale.is_some() {
            add(Level::Error, "somebody else changed the group meanwhile".into());
        }
        for kept in &group.kept {
            add(Level::Warning, format!("{} was not removed: {}", name(&kept.member), kept.reason));
        }
        if !group.skipped.is_empty() {
            let skipped = counted(group.skipped.len() as u64, "change");
            add(Level::Warning, format!("{skipped} not made; see the log for the reason"));
        }
    }
    written(&annotations) + &inert(text)
}

/// An annotation for each changed group of a stale plan, then its text.
#[must_use]
pub fn stale(groups: &[StaleGroup], text: &str) -> String {
    let annotation = |group: &StaleGroup| Annotation {
        level: Level::Error,
        place: None,
        title: titled("Stale", Some(&group.name)),
        message: format!("the group has changed since the plan was made. Nothing was changed. {STALE_HELP}"),
    };
    written(&groups.iter().map(annotation).collect::<Vec<_>>()) + &inert(text)
}

/// The warnings about the files, on their lines.
#[must_use]
pub fn warnings(warnings: &[Problem]) -> String {
    written(&warnings.iter().map(|problem| of_problem(Level::Warning, problem)).collect::<Vec<_>>())
}

/// The failure of a command, with the problems of the files on their lines.
#[must_use]
pub fn failure(failed: &Failed<'_>) -> String {
    let mut annotations: Vec<Annotation> =
        failed.problems.iter().map(|problem| of_problem(Level::Error, problem)).collect();
    if annotations.is_empty() {
        let help = failed.help.map(|help| format!(". Help: {help}")).unwrap_or_default();
        let message = format!("{}{help}", failed.error);
        annotations.push(Annotation { level: Level::Error, place: None, title: "convoke failed".into(), message });
    }
    written(&annotations)
}

fn of_problem(level: Level, problem: &Problem) -> Annotation {
    let mut message = problem.message.clone();
    for (origin, label) in &problem.related {
        let _ = write!(message, ". {origin}: {label}");
    }
    if let Some(help) = &problem.help {
        let _ = write!(message, ". Help: {help}");
    }
    let position = problem.position.map(|position| (position.line, position.column));
    let place = Some(Place { file: problem.file.to_string(), position });
    Annotation { level, place, title: "Configuration".into(), message }
}

/// The annotations of each level, up to the number that GitHub shows. The last one says how many more there are.
fn written(annotations: &[Annotation]) -> String {
    let mut text = String::new();
    for level in [Level::Error, Level::Warning, Level::Notice] {
        let of_level: Vec<&Annotation> = annotations.iter().filter(|annotation| annotation.level == level).collect();
        let shown = if of_level.len() > MOST { MOST - 1 } else { of_level.len() };
        of_level.iter().take(shown).for_each(|annotation| write(&mut text, annotation));
        if shown < of_level.len() {
            let message = format!("{} more, see the log", of_level.len() - shown);
            write(&mut text, &Annotation { level, place: None, title: "convoke".into(), message });
        }
    }
    text
}

fn write(text: &mut String, annotation: &Annotation) {
    let Annotation { level, place, title, message } = annotation;
    let _ = write!(text, "::{} ", level.command());
    if let Some(Place { file, position }) = place {
        let _ = write!(text, "file={},", escape::annotation_property(file));
        if let Some((line, column)) = position {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, parse};
    use crate::render::samples::{self, view};

    fn annotations(of: &Plan) -> String {
        plan(of, view(), "TEXT\n").split("::stop-commands::").next().unwrap().to_owned()
    }

    #[test]
    fn a_plan_without_changes_has_no_annotations() {
        assert_eq!(annotations(&samples::in_sync()), "");
    }

    #[test]
    fn changes_are_annotated_on_their_lines() {
        insta::assert_snapshot!(annotations(&samples::small()), @"
    ::warning file=groups.yaml,line=11,col=9,title=Expiring soon%3A Developers::dave@example.com is a member until 2026-12-03
    ::notice file=groups.yaml,line=5,col=28,title=To add%3A Developers::bob@example.com
    ::notice file=groups.yaml,line=8,col=5,title=To remove%3A Developers::b0000000000000000000000000000003, mallory@example.com
    ::notice file=groups.yaml,line=11,col=9,title=To add%3A Developers::dave@example.com
    ::notice file=groups.yaml,line=14,col=9,title=To remove%3A Developers::gone@example.com
    ::notice file=groups.yaml,line=19,col=5,title=Not declared (observed)%3A Watched::dave@example.com
    ::notice file=groups.yaml,line=19,col=15,title=Missing (observed)%3A Watched::alice@example.com
    ");
    }

    #[test]
    fn earlier_differences_have_no_annotation() {
        insta::assert_snapshot!(annotations(&samples::labeled()), @"
    ::warning file=groups.yaml,line=11,col=9,title=Expiring soon%3A Developers::dave@example.com is a member until 2026-12-03
    ::notice file=groups.yaml,line=11,col=9,title=To add%3A Developers::dave@example.com
    ");
    }

    #[test]
    fn loosened_settings_are_warnings() {
        insta::assert_snapshot!(annotations(&samples::loosened()), @"
        ::warning title=Loosened%3A Old::Old is no longer declared: convoke no longer manages a group of this name
        ::warning file=groups.yaml,line=6,col=3,title=Loosened%3A Developers::Developers: mode changes from exact to additive
        ::warning title=Loosened%3A Developers::Developers: min_members was 2 and is no longer set
        ");
    }

    #[test]
    fn refused_and_blocked_entries_are_errors() {
        let both = annotations(&samples::refused()) + &annotations(&samples::blocked());
        insta::assert_snapshot!(both, @r#"
    ::error file=groups.yaml,line=3,col=15,title=Refused%3A Developers::root@example.com would be removed, but is protected at groups.yaml:3. Help: keep the person in the group's list, or remove the person from settings.protected first
    ::error file=groups.yaml,line=6,col=5,title=Refused%3A Developers::the group would be empty (members now: 1). Help: if you intend an empty group, set allow_empty: true
    ::notice file=groups.yaml,line=6,col=5,title=To remove%3A Developers::root@example.com
    ::error file=groups.yaml,line=5,col=3,title=Blocked%3A Developer::the account has no group with this name; did you mean "Developers"?
    ::error file=groups.yaml,line=4,col=15,title=Blocked%3A Developers::alcie@example.com: not a member of the account; did you mean alice@example.com?
    "#);
    }

    #[test]
    fn hostile_text_is_never_a_command() {
        let shown = plan(&samples::hostile(), view(), "::error::x\n");
        insta::assert_snapshot!(shown, @r#"
        ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=3,col=15,title=Refused%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil is protected in \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}". Help: keep the person in the group's list, or remove the person from settings.protected first
        ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=6,col=5,title=Refused%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil is protected in \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}". Help: if you intend an empty group, set allow_empty: true
        ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=5,col=3,title=Blocked%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
        ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=4,col=15,title=Blocked%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::alcie@example.com: its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
        ::warning title=Loosened%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}" is no longer declared: convoke no longer manages a group of this name
        ::warning file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=6,col=3,title=Loosened%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}": mode changes from \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}" to \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
        ::warning title=Loosened%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}": min_members was \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}" and is no longer set
        ::warning file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=11,col=9,title=Expiring soon%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::dave@example.com is a member until 2026-12-03
        ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=5,col=28,title=To add%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil
        ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=8,col=5,title=To remove%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil, <b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil
        ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=11,col=9,title=To add%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil
        ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=14,col=9,title=To remove%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil
        ::stop-commands::7792eac3d59557e263a23b5a23993bb816d65424f290c277da9ed65d7a90bd15
        ::error::x
        ::7792eac3d59557e263a23b5a23993bb816d65424f290c277da9ed65d7a90bd15::
        "#);
    }

    #[test]
    fn more_annotations_than_github_shows_are_counted() {
        let shown = annotations(&samples::many_groups(300));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines.len(), 10);
        assert_eq!(lines[9], "::notice title=convoke::291 more, see the log");
    }

    #[test]
    fn failures_and_stale_groups_are_errors() {
        let both = report(&samples::partial_report(), "TEXT") + &stale(&samples::stale_groups(), "TEXT");
        insta::assert_snapshot!(both, @r#"
        ::error title=Apply%3A Operators::bob@example.com was not added: bob does not have DSR enabled (400)
        ::error title=Apply%3A Admins::somebody else changed the group meanwhile
        ::error title=Apply%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
        ::warning title=Apply%3A Leads::bob@example.com was not removed: not added elsewhere
        ::warning title=Apply%3A Auditors::1 change not made; see the log for the reason
        ::stop-commands::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386
        TEXT
        ::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386::
        ::error title=Stale%3A Developers::the group has changed since the plan was made. Nothing was changed. Make a new plan and review it.
        ::error title=Stale%3A Leads::the group has changed since the plan was made. Nothing was changed. Make a new plan and review it.
        ::error title=Stale%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::the group has changed since the plan was made. Nothing was changed. Make a new plan and review it.
        ::stop-commands::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386
        TEXT
        ::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386::
        "#);
    }

    #[test]
    fn file_problems_are_annotated_on_their_line() {
        let source = Source { path: "a,b:c.yaml".into(), bytes: "version: 1\ngroup: {}\n".into() };
        let problems = parse(&[source]).unwrap_err();
        insta::assert_snapshot!(failure(&samples::failed(&problems)), @r#"::error file=a%2Cb%3Ac.yaml,line=2,col=1,title=Configuration::unknown key "group" in the file. Help: did you mean "groups"?"#);
    }
}
