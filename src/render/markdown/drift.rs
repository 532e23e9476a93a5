//! Drift as an issue: the differences from the files, not the actions of a plan.

use super::page::{Page, alert, folded, list};
use super::{
    BLOCKED_TITLE, EXPIRED_TITLE, UNMANAGED_TITLE, blocked, capitalized, expiring, facts, fold_unmanaged, held_expired,
    marker, unmanaged, warnings,
};
use crate::model::Mode;
use crate::plan::{Change, GroupPlan, Plan, Standing, Tally};
use crate::render::escape::{cell, code, fence};
use crate::render::view::{Next, View, place};
use crate::render::words;

const KINDS: [Standing; 3] = [Standing::Undeclared, Standing::Expired, Standing::Missing];

/// The drift, on a page of a size that GitHub accepts.
#[must_use]
pub fn drift(plan: &Plan, view: View<'_>) -> String {
    let mut lines = words::drift_summary(plan).into_iter();
    let head = format!("{}\n### {}\n\n", marker("drift"), lines.next().unwrap_or_default());
    let mut page = Page::new(head, foot(plan, view));
    let further: Vec<String> = lines.collect();
    if !further.is_empty() {
        page.push(&format!("{}\n\n", further.join(" · ")));
    }
    let most = page.room() / 6;
    let held = list(EXPIRED_TITLE, held_expired(plan, view), most);
    let blocked = list(BLOCKED_TITLE, plan.blocked.iter().map(|it| blocked(it, view)), most);
    let warnings = list("**Warnings**", warnings(plan, view), most);
    page.push(&alert("WARNING", &(held + &blocked + &warnings)));
    page.push(&table(plan, page.room() / 3));
    write_members(plan, view, &mut page);
    let refusals: Vec<String> = plan.refusals.iter().map(|it| super::refusal(it, view)).collect();
    if !refusals.is_empty() {
        let most = page.room() / 3;
        page.push(&folded("Guards that would refuse the correction", &list("", refusals, most)));
    }
    page.push(&list("**Expiring soon**", plan.expiring.iter().map(|it| expiring(it, view)), page.room() / 3));
    page.push(&fold_unmanaged(plan, list(UNMANAGED_TITLE, unmanaged(plan), page.room() / 2)));
    page.finish()
}

/// Lists the members, without links if the page would be too long with them: the names matter more.
fn write_members(plan: &Plan, view: View<'_>, page: &mut Page) {
    let linked = KINDS.map(|kind| members(plan, kind, view, usize::MAX));
    if linked.iter().map(String::len).sum::<usize>() <= page.room() / 2 {
        for list in linked {
            page.push(&list);
        }
        return;
    }
    for kind in KINDS {
        let most = page.room() / 4 * 3;
        page.push(&members(plan, kind, View { repository: None, ..view }, most));
    }
}

fn members(plan: &Plan, kind: Standing, view: View<'_>, most: usize) -> String {
    list(&format!("**{}**", capitalized(kind.drift())), people(plan, kind, view), most)
}

fn foot(plan: &Plan, view: View<'_>) -> String {
    let Next::Apply(line) = view.next(plan) else { return String::new() };
    let fence = fence([line.as_str()].into_iter());
    format!("\nTo make the account match the files:\n\n{fence}sh\n{line}\n{fence}\n")
}

fn table(plan: &Plan, most: usize) -> String {
    let groups: Vec<&GroupPlan> = plan.groups.iter().filter(|group| group.differs()).collect();
    if groups.is_empty() {
        return String::new();
    }
    let mut text =
        String::from("| Group | Missing | Unexpected | Expired | Members |\n| --- | --- | --- | --- | --- |\n");
    let mut shown = 0;
    for group in &groups {
        let Tally { missing, unexpected, expired, .. } = Tally::of([*group]);
        let observed = if group.mode == Mode::Observe { " (observed)" } else { "" };
        let (name, present) = (cell(group.name.as_str()), group.observed.len());
        let row = format!("| {name}{observed} | {missing} | {unexpected} | {expired} | {present} |\n");
        if text.len() + row.len() > most {
            break;
        }
        text.push_str(&row);
        shown += 1;
    }
    if shown < groups.len() {
        text.push_str(&format!("\n… and {}\n", crate::render::counted((groups.len() - shown) as u64, "more group")));
    }
    text + "\n"
}

fn people(plan: &Plan, kind: Standing, view: View<'_>) -> Vec<String> {
    let item = |group: &GroupPlan, change: &Change, held: bool| {
        let (who, name) = (code(&words::name(&change.member)), code(group.name.as_str()));
        let place = place(&change.origin, view.repository);
        let held = if held { ", held" } else { "" };
        format!("{who} in {name}: {place}{}{held}", facts(change))
    };
    let of_group = |group: &GroupPlan| -> Vec<String> {
        let changes = group.changes.iter().map(|change| (change, false));
        let all = changes.chain(group.held.iter().map(|change| (change, true)));
        all.filter(|(change, _)| Standing::of_change(change) == kind)
            .map(|(change, held)| item(group, change, held))
            .collect()
    };
    plan.groups.iter().flat_map(of_group).collect()
}
