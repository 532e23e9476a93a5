//! A plan, or what came of one, as a comment on a pull request.
//!
//! What a reviewer needs first stands first: the figures, who gains and who loses access to what, what is refused and
//! blocked; then a diff for each group. The page begins with a hidden marker, by which a workflow finds its comment.

mod diff;
mod page;
mod report;

#[cfg(test)]
mod tests;

pub use report::{report, stale};

use std::fmt::Write as _;

use super::escape::{code, fence, html, prose};
use super::text::summary;
use super::words::{ending, since, untold_origin};
use super::{clean, counted, escape};
use crate::model::{Member, Mode, Status};
use crate::plan::{Action, Blocked, Change, GroupPlan, Plan, Refusal, Since};
use diff::diff;
use page::{Page, folded, list};

/// Marks the comment that shows a plan.
pub const PLAN_MARKER: &str = "<!-- convoke:plan -->";

/// Marks the comment that shows what came of a plan.
pub const APPLY_MARKER: &str = "<!-- convoke:apply -->";

/// The most people that are named in one line.
const NAMED: usize = 10;

/// A diff with more lines than this is folded.
const LONGEST_OPEN: usize = 25;

/// The bytes that a diff needs besides its lines: heading, fences, fold, and what it says of missing lines.
const FRAME: usize = 900;

/// The bytes kept free for what is said of diffs that have no room.
const REST: usize = 200;

/// The plan, on a page that GitHub takes whatever its size. `apply` is the command line that applies it.
#[must_use]
pub fn plan(plan: &Plan, apply: &str) -> String {
    let mut page = Page::new(head(plan), foot(plan, apply));
    let room = page.room();
    // Each list has a share of its own, so that a long one drowns none of the others; the diffs take the rest.
    let before = [
        list("**Refused**", plan.refusals.iter().map(refusal), room / 6),
        list("**Blocked**: declared, and cannot be applied", plan.blocked.iter().map(blocked), room / 6),
    ];
    let ending = list("**Ending soon**", plan.expiring.iter().map(expiring), room / 12);
    let unmanaged = plan.unmanaged_groups.iter().map(|group| format!("{} (`{}`)", code(group.name.as_str()), group.id));
    let unmanaged = list("**Groups of the account that no file declares**", unmanaged, room / 12);
    for overview in overviews(plan, room / 6) {
        page.push(&overview);
    }
    for block in before {
        page.push(&block);
    }
    let reserved = ending.len() + unmanaged.len() + REST;
    diffs(plan, &mut page, reserved);
    page.push(&ending);
    page.push(&unmanaged);
    page.finish()
}

fn head(plan: &Plan) -> String {
    let mut lines = summary(plan).into_iter();
    let mut head = format!("{PLAN_MARKER}\n### {}\n\n", lines.next().unwrap_or_default());
    let mut further: Vec<String> = lines.collect();
    if !plan.refusals.is_empty() {
        further.insert(0, "**Refused: this plan is not applied as it is**".into());
    }
    if !further.is_empty() {
        let _ = write!(head, "{}\n\n", further.join(" · "));
    }
    head
}

/// The digest, and how to apply exactly this plan.
fn foot(plan: &Plan, apply: &str) -> String {
    let digest = plan.digest;
    let command = |text: &str, flag: &str| {
        let line = format!("{} --yes {flag} {digest}", clean(apply));
        let fence = fence([line.as_str()].into_iter());
        format!("\n{text}\n\n{fence}sh\n{line}\n{fence}\n")
    };
    let how = if plan.refusals_beyond_limits().next().is_some() {
        "\nNo digest lifts these refusals: what they name has to be resolved first.\n".into()
    } else if !plan.refusals.is_empty() {
        command("If every one of these removals is meant, accept the limits for exactly this plan:", "--accept")
    } else if plan.summary.requests > 0 {
        command("To apply exactly this plan:", "--expect")
    } else {
        String::new()
    };
    format!("\nDigest: `{digest}`\n{how}")
}

/// Who gains and who loses, group by group; what the change under review causes apart from what was there before.
fn overviews(plan: &Plan, most: usize) -> Vec<String> {
    let lists = labels(plan).into_iter().map(|label| {
        let changed: Vec<&GroupPlan> = plan.groups.iter().filter(|group| concerns(group, label)).collect();
        let title = match label {
            None => "**Who gains and who loses**",
            Some(Since::Change) => "**Who gains and who loses by this change**",
            Some(Since::Before) => "**Already there before this change**",
        };
        if changed.is_empty() && label == Some(Since::Change) {
            return "**This change itself makes no difference.**\n\n".into();
        }
        list(title, changed.into_iter().map(|group| gains_and_losses(group, label)), most)
    });
    lists.collect()
}

/// The labels that differences have: none where that was not asked.
fn labels(plan: &Plan) -> Vec<Option<Since>> {
    let mut differences = plan.groups.iter().flat_map(|group| group.changes.iter().chain(&group.held));
    let labelled = differences.any(|change| change.since.is_some());
    if labelled { vec![Some(Since::Change), Some(Since::Before)] } else { vec![None] }
}

fn concerns(group: &GroupPlan, label: Option<Since>) -> bool {
    group.changes.iter().chain(&group.held).any(|change| change.since == label)
}

fn gains_and_losses(group: &GroupPlan, label: Option<Since>) -> String {
    let with = |action| {
        let changes = group.changes.iter().filter(move |change| change.since == label && change.action == action);
        named(&changes.map(|change| &change.member).collect::<Vec<_>>())
    };
    let held: Vec<&Member> =
        group.held.iter().filter(|change| change.since == label).map(|change| &change.member).collect();
    let (gains, losses) = (with(Action::Add), with(Action::Remove));
    let parts = [("gains", gains), ("loses", losses), ("keeps, until what is blocked is resolved,", named(&held))];
    let parts: Vec<String> =
        parts.into_iter().filter(|(_, who)| !who.is_empty()).map(|(verb, who)| format!("{verb} {who}")).collect();
    format!("{} {}{}", code(group.name.as_str()), parts.join("; "), observed_only(group))
}

const fn observed_only(group: &GroupPlan) -> &'static str {
    match group.mode {
        Mode::Observe => " (observed only: nothing is written)",
        Mode::Exact | Mode::Additive => "",
    }
}

/// The first few of these people.
fn named(members: &[&Member]) -> String {
    let mut names: Vec<String> = members.iter().take(NAMED).map(|member| who(member)).collect();
    if members.len() > NAMED {
        names.push(format!("{} more", members.len() - NAMED));
    }
    names.join(", ")
}

fn who(member: &Member) -> String {
    let name = code(&super::words::name(member));
    match member.status {
        Some(Status::Pending) => format!("{name} (pending)"),
        Some(Status::Accepted) | None => name,
    }
}

fn refusal(refusal: &Refusal) -> String {
    let group = refusal.group.as_ref().map(|group| format!(" in {}", code(group.as_str()))).unwrap_or_default();
    let place = untold_origin(refusal).map(|place| format!(" ({})", code(&place))).unwrap_or_default();
    let (message, help) = (prose(&refusal.message), prose(&refusal.help));
    format!("**{}**{group}: {message}{place}. To proceed: {help}", refusal.guard.name().replace('_', " "))
}

fn blocked(blocked: &Blocked) -> String {
    let place = code(&blocked.origin.to_string());
    let label = blocked.since.map(|label| format!(" [{}]", since(label))).unwrap_or_default();
    format!("{place} in {}: {}{label}", code(blocked.group.as_str()), prose(&blocked.to_string()))
}

fn expiring(expiring: &crate::plan::Expiring) -> String {
    let (who, group) = (code(&expiring.person.to_string()), code(expiring.group.as_str()));
    format!("{who} in {group} until the {} ({})", ending(expiring.until), code(&expiring.origin.to_string()))
}

/// The diffs as far as there is room for them, and what there was none for.
fn diffs(plan: &Plan, page: &mut Page, reserved: usize) {
    let (mut groups, mut changes) = (0u64, 0u64);
    for label in labels(plan) {
        for group in plan.groups.iter().filter(|group| concerns(group, label)) {
            let room = page.room().saturating_sub(reserved);
            let fits = room > FRAME && page.push(&group_diff(group, label, room));
            if !fits {
                groups += 1;
                changes +=
                    group.changes.iter().chain(&group.held).filter(|change| change.since == label).count() as u64;
            }
        }
    }
    if groups > 0 {
        let rest =
            format!("… {} with {}, not shown here.\n\n", counted(groups, "more diff"), counted(changes, "difference"));
        page.push(&rest);
    }
}

/// One group's heading, diff and held removals, in no more than so many bytes.
fn group_diff(group: &GroupPlan, label: Option<Since>, room: usize) -> String {
    let diff = diff(group, label);
    let held: Vec<&Change> = group.held.iter().filter(|change| change.since == label).collect();
    let mut shown = Vec::new();
    let (mut used, mut changes) = (FRAME, 0);
    for line in &diff.lines {
        used += line.text.len() + 1;
        if used > room {
            break;
        }
        shown.push(line.text.as_str());
        changes += usize::from(line.changed);
    }
    let mut content = String::new();
    if !shown.is_empty() {
        let fence = fence(shown.iter().copied());
        let _ = write!(content, "{fence}diff\n{}\n{fence}\n\n", shown.join("\n"));
    }
    if changes < diff.changes {
        let _ = write!(
            content,
            "… {} in this group, not shown here.\n\n",
            counted((diff.changes - changes) as u64, "more change")
        );
    }
    let figures = figures(group, label, held.len());
    if shown.len() > LONGEST_OPEN {
        return folded(&format!("<code>{}</code>: {figures}", html(&escape::shortened(group.name.as_str()))), &content);
    }
    format!("**{}**: {figures}\n\n{content}", code(group.name.as_str()))
}

fn figures(group: &GroupPlan, label: Option<Since>, held: usize) -> String {
    let count = |action| group.changes.iter().filter(|c| c.since == label && c.action == action).count();
    let mut parts = vec![format!("{} to add", count(Action::Add)), format!("{} to remove", count(Action::Remove))];
    if held > 0 {
        parts.push(format!("{} held", counted(held as u64, "removal")));
    }
    if label == Some(Since::Before) {
        parts.push("already there before this change".into());
    }
    format!("{}{}", parts.join(", "), observed_only(group))
}
