//! What came of a plan, for a person at a terminal.

use super::{Layout, Paint, Style, subject};
use crate::plan::{Action, Subject};
use crate::render::{clean, counted};
use crate::report::{Difference, GroupReport, Outcome, Report, StaleGroup};

/// What came of each group that did not stay as it was, then the sum.
#[must_use]
pub fn report(report: &Report, layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    let mut lines = Vec::new();
    let told = report.groups.iter().filter(|group| match group.outcome() {
        Outcome::InSync => false,
        Outcome::Differs => !(group.added.is_empty() && group.removed.is_empty()),
        Outcome::Done | Outcome::Failed | Outcome::Stale | Outcome::Skipped => true,
    });
    told.for_each(|group| tell_group(group, paint, &mut lines));
    if !lines.is_empty() {
        lines.push(String::new());
    }
    lines.extend(sum(report).into_iter().map(|line| paint.paint(Style::Title, &line)));
    lines.join("\n") + "\n"
}

fn tell_group(group: &GroupReport, paint: Paint, lines: &mut Vec<String>) {
    let (word, style) = match group.outcome() {
        Outcome::Failed => ("failed", Style::Remove),
        Outcome::Stale => ("stale", Style::Warn),
        Outcome::Skipped => ("skipped", Style::Warn),
        Outcome::Done | Outcome::InSync | Outcome::Differs => ("done", Style::Add),
    };
    let figures = format!("{} added, {} removed", group.added.len(), group.removed.len());
    lines.push(format!("{} {}: {figures}", paint.paint(style, word), clean(group.name.as_str())));
    for failed in &group.failed {
        lines.push(undone("not", failed.action, &failed.member, &failed.reason));
    }
    for skipped in &group.skipped {
        lines.push(undone("skipped: not", skipped.action, &skipped.member, &skipped.reason));
    }
    if let Some(difference) = &group.stale {
        lines.push("  somebody changed the group after the plan was made; it was left as it is:".into());
        tell_difference(difference, lines);
    }
    lines.extend(group.trouble.as_ref().map(|trouble| format!("  {}", clean(trouble))));
}

fn undone(not: &str, action: Action, member: &Subject, reason: &str) -> String {
    let done = match action {
        Action::Add => "added",
        Action::Remove => "removed",
    };
    format!("  {not} {done}: {}: {}", subject(member), clean(reason))
}

fn tell_difference(difference: &Difference, lines: &mut Vec<String>) {
    let Difference { added, removed } = difference;
    lines.extend(added.iter().map(|member| format!("    was added: {}", subject(member))));
    lines.extend(removed.iter().map(|member| format!("    was removed: {}", subject(member))));
}

fn sum(report: &Report) -> Vec<String> {
    let (added, removed) = report.changed();
    let total = report.groups.len() as u64;
    let count = |outcome| report.groups.iter().filter(|group| group.outcome() == outcome).count() as u64;
    let in_sync = count(Outcome::InSync) + count(Outcome::Done);
    let mut lines = vec![format!("Applied: {added} added, {removed} removed.")];
    lines.push(match in_sync == total && report.blocked == 0 {
        true => format!("The account is in sync: {}.", counted(total, "group")),
        false => format!("{in_sync} of {} in sync.", counted(total, "group")),
    });
    let further = [
        (count(Outcome::Failed), "failed"),
        (count(Outcome::Stale), "changed meanwhile"),
        (count(Outcome::Skipped), "skipped"),
        (count(Outcome::Differs), "held or only observed"),
        (report.blocked, "blocked"),
    ];
    lines.extend(further.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}")));
    if report.interrupted {
        lines.push("Interrupted: what was in flight is finished, nothing further was begun.".into());
    }
    if !report.is_complete() {
        lines.push("Run apply again to do what is left; see above for what stands in its way.".into());
    }
    lines
}

/// Why a saved plan is stale: who came and went in which group since it was made.
#[must_use]
pub fn stale(groups: &[StaleGroup], layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    let mut lines =
        vec![String::new(), paint.paint(Style::Warn, "Stale: the account has changed since the plan was made")];
    for group in groups {
        lines.push(format!("  {}", clean(group.name.as_str())));
        match &group.difference {
            Some(difference) => tell_difference(difference, &mut lines),
            None => lines.push("    the group is gone".into()),
        }
    }
    lines.push("Nothing was changed. Make the plan anew and look at it again.".into());
    lines.join("\n") + "\n"
}
