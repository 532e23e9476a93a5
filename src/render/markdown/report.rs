//! What came of a plan, as a comment on the pull request.

use super::marker;
use super::page::{Page, alert, list};
use crate::plan::Action;
use crate::render::escape::{code, prose};
use crate::render::text::report_summary;
use crate::render::view::STALE_HELP;
use crate::render::words::subject;
use crate::report::{Difference, GroupOutcome, GroupReport, Report, StaleGroup, Undone};

/// What came of each group that did not stay as it was, after the sum.
#[must_use]
pub fn report(report: &Report) -> String {
    let mut lines = report_summary(report).into_iter();
    let title = lines.next().unwrap_or_default();
    let head = format!("{}\n### {title}\n\n{}\n\n", marker("apply"), lines.collect::<Vec<_>>().join(" · "));
    let mut page = Page::new(head, format!("\nDigest: `{}`\n", report.digest));
    // What went wrong comes first, and has room before what went well.
    let (done, wrong): (Vec<&GroupReport>, Vec<&GroupReport>) = report
        .groups
        .iter()
        .filter(|group| group.is_news())
        .partition(|group| matches!(group.outcome, GroupOutcome::Done | GroupOutcome::Differs));
    let room = page.room();
    page.push(&list("**Not all done**", wrong.into_iter().map(|group| told(group, room / 4)), room / 2));
    let room = page.room();
    page.push(&list("**Done**", done.into_iter().map(|group| told(group, room)), room));
    page.finish()
}

fn told(group: &GroupReport, most: usize) -> String {
    let word = match group.outcome {
        GroupOutcome::Failed => "failed",
        GroupOutcome::Stale => "changed by somebody else meanwhile",
        GroupOutcome::Kept => "some removals were not made",
        GroupOutcome::Skipped => "skipped",
        GroupOutcome::Done | GroupOutcome::InSync | GroupOutcome::Differs | GroupOutcome::NotRead => "done",
    };
    let (added, removed) = (group.added.len(), group.removed.len());
    let mut text = format!("{}: {word}; {added} added, {removed} removed", code(group.name.as_str()));
    if let Some(trouble) = &group.trouble {
        text.push_str(": ");
        text.push_str(&prose(trouble));
    }
    let mut details: Vec<String> = group.failed.iter().chain(&group.kept).chain(&group.skipped).map(undone).collect();
    details.extend(group.stale.iter().flat_map(difference));
    sublist(&mut text, &details, most);
    text
}

fn undone(Undone { action, member, reason }: &Undone) -> String {
    let done = match action {
        Action::Add => "added",
        Action::Remove => "removed",
    };
    format!("not {done}: {}: {}", code(&subject(member)), prose(reason))
}

fn difference(difference: &Difference) -> Vec<String> {
    let Difference { added, removed } = difference;
    let added = added.iter().map(|member| format!("was added: {}", code(&subject(member))));
    added.chain(removed.iter().map(|member| format!("was removed: {}", code(&subject(member))))).collect()
}

/// Adds details below an item, as many as have room.
fn sublist(text: &mut String, details: &[String], most: usize) {
    for (index, detail) in details.iter().enumerate() {
        if text.len() + detail.len() + 60 > most {
            text.push_str(&format!("\n  - … {} more, not shown here", details.len() - index));
            return;
        }
        text.push_str("\n  - ");
        text.push_str(detail);
    }
}

/// Why a saved plan is stale: who came and went in which group since it was made.
#[must_use]
pub fn stale(groups: &[StaleGroup]) -> String {
    let head =
        format!("{}\n### Not applied. Stale: the account has changed since the plan was made\n\n", marker("apply"));
    let mut page = Page::new(head, String::new());
    page.push(&alert("CAUTION", &format!("**Stale.** Nothing was changed. {STALE_HELP}")));
    let room = page.room();
    let item = |group: &StaleGroup| {
        let mut text = code(group.name.as_str());
        match (&group.difference, &group.renamed_to) {
            (Some(changed), _) => sublist(&mut text, &difference(changed), room / 4),
            (None, Some(name)) => text.push_str(&format!(": the group is now named {}", code(name.as_str()))),
            (None, None) => text.push_str(": the group no longer exists"),
        }
        text
    };
    page.push(&list("**What changed after the plan was made**", groups.iter().map(item), room));
    page.finish()
}
