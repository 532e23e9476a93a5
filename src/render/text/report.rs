//! A report for a terminal.

use super::{Layout, Paint, Style};
use crate::plan::Action;
use crate::render::counted;
use crate::render::escape::clean;
use crate::render::view::STALE_HELP;
use crate::render::words::subject;
use crate::report::{Difference, GroupOutcome, GroupReport, Report, StaleGroup, UnmadeChange};

/// The results of each group that changed, then the summary.
#[must_use]
pub fn report(report: &Report, layout: Layout) -> String {
    let paint = Paint::new(layout.color);
    // The plan is printed above.
    let mut lines = vec![String::new()];
    report.groups.iter().filter(|group| group.is_news()).for_each(|group| tell_group(group, paint, &mut lines));
    if lines.len() > 1 {
        lines.push(String::new());
    }
    lines.extend(summary(report).into_iter().map(|line| paint.paint(Style::Title, &line)));
    lines.join("\n") + "\n"
}

fn tell_group(group: &GroupReport, paint: Paint, lines: &mut Vec<String>) {
    let (word, style) = match group.outcome {
        GroupOutcome::Failed => ("failed", Style::Remove),
        GroupOutcome::Stale => ("stale", Style::Warn),
        GroupOutcome::Kept => ("kept", Style::Warn),
        GroupOutcome::Skipped => ("skipped", Style::Warn),
        GroupOutcome::Done | GroupOutcome::InSync | GroupOutcome::Differs | GroupOutcome::NotRead => {
            ("done", Style::Add)
        }
    };
    let figures = format!("{} added, {} removed", group.added.len(), group.removed.len());
    lines.push(format!("{} {}: {figures}", paint.paint(style, word), clean(group.name.as_str())));
    lines.extend(group.failed.iter().map(|failed| unmade("not", failed)));
    lines.extend(group.kept.iter().map(|kept| unmade("not", kept)));
    match &group.stale {
        None => lines.extend(group.skipped.iter().map(|skipped| unmade("skipped: not", skipped))),
        Some(difference) => {
            let left = counted(group.skipped.len() as u64, "change");
            lines.push(format!("  somebody else changed the group meanwhile; {left} not made:"));
            tell_difference(difference, lines);
        }
    }
    lines.extend(group.trouble.as_ref().map(|trouble| format!("  {}", clean(trouble))));
}

fn unmade(not: &str, unmade: &UnmadeChange) -> String {
    let done = match unmade.action {
        Action::Add => "added",
        Action::Remove => "removed",
    };
    format!("  {not} {done}: {}: {}", subject(&unmade.member), clean(&unmade.reason))
}

fn tell_difference(difference: &Difference, lines: &mut Vec<String>) {
    let Difference { added, removed } = difference;
    lines.extend(added.iter().map(|member| format!("    was added: {}", subject(member))));
    lines.extend(removed.iter().map(|member| format!("    was removed: {}", subject(member))));
}

/// The figures of a report in one line, then further lines.
pub fn summary(report: &Report) -> Vec<String> {
    let total = report.groups.len() as u64;
    let count = |outcome| report.groups.iter().filter(|group| group.outcome == outcome).count() as u64;
    let in_sync = report.groups.iter().filter(|group| group.in_sync).count() as u64;
    let read = total - count(GroupOutcome::NotRead);
    let mut lines = vec![headline(report)];
    lines.push(match (report.account_in_sync(), in_sync == read) {
        (true, _) => format!("The account is in sync: {}.", counted(total, "group")),
        (false, true) => format!("{} in sync.", counted(in_sync, "group")),
        (false, false) => format!("{in_sync} of {} in sync.", counted(read, "group")),
    });
    let further = [
        (GroupOutcome::Failed, "failed"),
        (GroupOutcome::Stale, "changed meanwhile"),
        (GroupOutcome::Kept, "with removals that were not made"),
        (GroupOutcome::Skipped, "skipped"),
        (GroupOutcome::Differs, "still different or not fully compared: blocked, held, left out or only observed"),
        (GroupOutcome::NotRead, "not read again, because the plan has no changes there"),
    ];
    for (outcome, what) in further.into_iter().filter(|(outcome, _)| count(*outcome) > 0) {
        lines.push(format!("{} {what}", counted(count(outcome), "group")));
    }
    if report.blocked > 0 {
        lines.push(format!("{} blocked", report.blocked));
    }
    if report.interrupted {
        let rest = match report.has_nothing_left() {
            true => "nothing was left to do",
            false => "no further requests were sent",
        };
        lines.push(format!("Interrupted. Requests in flight were finished; {rest}."));
    }
    if report.credentials_refused {
        lines.push("To apply, the token needs \"Account Settings Write\" or \"SCIM Provisioning\".".into());
    }
    if report.journal_failed.is_some() {
        lines.push("The journal is incomplete: `convoke undo` cannot rely on it.".into());
    }
    if !report.has_nothing_left() {
        lines.push("Resolve the problems above, then run `convoke apply` again.".into());
    }
    lines
}

/// What was done, in one line. Changes that were not made are never worded as made.
fn headline(report: &Report) -> String {
    let word = match (report.made_everything(), report.has_changes()) {
        (true, false) => return "Nothing was changed.".into(),
        (true, true) => "Applied",
        (false, true) => "Applied in part",
        (false, false) => "Not applied",
    };
    format!("{word}: {} added, {} removed.", report.added, report.removed)
}

/// Why a saved plan is stale: who joined and left each group after it was made.
#[must_use]
pub fn stale(groups: &[StaleGroup], layout: Layout) -> String {
    let title = Paint::new(layout.color).paint(Style::Remove, "Stale: the account has changed since the plan was made");
    format!("\n{title}\n{}Nothing was changed. {STALE_HELP}\n", changed_meanwhile(groups))
}

/// Who joined and left each group.
pub(super) fn changed_meanwhile(groups: &[StaleGroup]) -> String {
    let mut lines = Vec::new();
    for group in groups {
        lines.push(format!("  {}", clean(group.name.as_str())));
        if let Some(changed) = &group.permissions {
            lines.push(format!("    the group {}", clean(changed)));
            continue;
        }
        match (&group.difference, &group.renamed_to) {
            (Some(difference), _) => tell_difference(difference, &mut lines),
            (None, Some(name)) => lines.push(format!("    the group is now named {}", clean(name.as_str()))),
            (None, None) => lines.push("    the group no longer exists".into()),
        }
    }
    lines.into_iter().map(|line| line + "\n").collect()
}
