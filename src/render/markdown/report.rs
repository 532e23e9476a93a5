//! A report as a comment on the pull request: what was done, what was not done, and why.

use super::marker;
use super::page::{Page, REST, alert, folded, list};
use super::signed;
use crate::model::Member;
use crate::plan::Action;
use crate::render::counted;
use crate::render::escape::{cell, code, prose};
use crate::render::text::report_summary;
use crate::render::view::STALE_HELP;
use crate::render::words::subject;
use crate::report::{Difference, GroupOutcome, GroupReport, Report, StaleGroup, UnmadeChange};

/// The results of each group that changed: first the errors, then the changes that were made.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut lines = report_summary(report).into_iter();
    let title = lines.next().unwrap_or_default();
    let lines: Vec<String> = lines.collect();
    let head = format!("{}\n### {title}\n\n", marker("apply"));
    let mut page = Page::new(head, format!("\nDigest: `{}`\n", report.digest));
    match report.made_everything() {
        true => page.push(&format!("{}\n\n", lines.join(" · "))),
        false => page.push(&alert("CAUTION", &format!("**Not everything was applied.** {}", lines.join(" · ")))),
    };
    let groups: Vec<&GroupReport> = report.groups.iter().filter(|group| group.is_news()).collect();
    page.push(&table(&groups, page.room() / 3));
    let undone: Vec<String> = groups.iter().flat_map(|group| not_made(group)).collect();
    let title = format!("**{} not made**", counted(undone.len() as u64, "change"));
    page.push(&list(&title, undone, page.room() / 2));
    let others: Vec<String> = groups.iter().flat_map(|group| by_others(group)).collect();
    page.push(&list("**Changed by somebody else meanwhile**", others, page.room() / 2));
    let troubles: Vec<String> = groups.iter().filter_map(|group| trouble(group)).collect();
    page.push(&list("**Errors**", troubles, page.room() / 2));
    let done = |of: fn(&GroupReport) -> &Vec<Member>, link: &str| -> Vec<String> {
        let of_group = |group: &&GroupReport| -> Vec<String> {
            let name = code(group.name.as_str());
            of(group).iter().map(|member| format!("{} {link} {name}", code(&subject(member)))).collect()
        };
        groups.iter().flat_map(of_group).collect()
    };
    let removed = done(|group| &group.removed, "from");
    let title = format!("**{} made**", counted(removed.len() as u64, "removal"));
    // The additions get the rest of the page, and at least the space to be counted.
    page.push(&list(&title, removed, page.room().saturating_sub(4 * REST)));
    let added = done(|group| &group.added, "to");
    let title = format!("{} made", counted(added.len() as u64, "addition"));
    let added = list("", added, page.room().saturating_sub(title.len() + REST));
    if !added.is_empty() {
        page.push(&folded(&title, added.trim_start()));
    }
    page.finish()
}

fn table(groups: &[&GroupReport], most: usize) -> String {
    if groups.is_empty() {
        return String::new();
    }
    let mut text = String::from("| Group | Result | Change | Members |\n| --- | --- | --- | --- |\n");
    let mut shown = 0;
    for group in groups {
        let word = match group.outcome {
            GroupOutcome::Failed => "failed",
            GroupOutcome::Stale => "changed by somebody else",
            GroupOutcome::Kept => "removals not made",
            GroupOutcome::Skipped => "not finished",
            GroupOutcome::Done | GroupOutcome::InSync | GroupOutcome::Differs | GroupOutcome::NotRead => "done",
        };
        let change = signed(group.added.len() as u64, group.removed.len() as u64);
        let after = group.members_after.map_or_else(|| "?".into(), |after| after.to_string());
        let name = cell(group.name.as_str());
        let row = format!("| {name} | {word} | {change} | {} → {after} |\n", group.members_before);
        if text.len() + row.len() + REST > most {
            break;
        }
        text.push_str(&row);
        shown += 1;
    }
    if shown < groups.len() {
        text.push_str(&format!("\n… and {}\n", counted((groups.len() - shown) as u64, "more group")));
    }
    text + "\n"
}

fn not_made(group: &GroupReport) -> Vec<String> {
    let name = code(group.name.as_str());
    let item = |UnmadeChange { action, member, reason }: &UnmadeChange| {
        let what = match action {
            Action::Add => "not added to",
            Action::Remove => "not removed from",
        };
        format!("{} {what} {name}: {}", code(&subject(member)), prose(reason))
    };
    group.failed.iter().chain(&group.kept).chain(&group.skipped).map(item).collect()
}

fn by_others(group: &GroupReport) -> Vec<String> {
    let name = code(group.name.as_str());
    let changes = group.stale.iter().flat_map(difference);
    changes.map(|change| format!("{name}: {change}")).collect()
}

fn trouble(group: &GroupReport) -> Option<String> {
    group.trouble.as_ref().map(|trouble| format!("{}: {}", code(group.name.as_str()), prose(trouble)))
}

fn difference(difference: &Difference) -> Vec<String> {
    let Difference { added, removed } = difference;
    let added = added.iter().map(|member| format!("{} was added", code(&subject(member))));
    added.chain(removed.iter().map(|member| format!("{} was removed", code(&subject(member))))).collect()
}

/// Why a saved plan is stale: who joined and left each group after it was made.
#[must_use]
pub fn stale(groups: &[StaleGroup]) -> String {
    let head = format!("{}\n### Not applied: the account has changed since the plan was made\n\n", marker("apply"));
    let mut page = Page::new(head, String::new());
    page.push(&alert("CAUTION", &format!("**Stale.** Nothing was changed. {STALE_HELP}")));
    let items = groups.iter().flat_map(|group| -> Vec<String> {
        let name = code(group.name.as_str());
        if let Some(changed) = &group.permissions {
            return vec![format!("{name}: the group {}", prose(changed))];
        }
        match (&group.difference, &group.renamed_to) {
            (Some(changed), _) => difference(changed).iter().map(|change| format!("{name}: {change}")).collect(),
            (None, Some(new)) => vec![format!("{name}: the group is now named {}", code(new.as_str()))],
            (None, None) => vec![format!("{name}: the group no longer exists")],
        }
    });
    let items: Vec<String> = items.collect();
    let room = page.room();
    page.push(&list("**What changed after the plan was made**", items, room));
    page.finish()
}
