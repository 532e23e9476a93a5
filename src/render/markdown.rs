//! A plan as a comment on a pull request.
//!
//! The most important parts for a reviewer come first: what this change does; what is refused, blocked or stale; a
//! table of all changed groups; every removal by name. Diffs, and differences that existed before the change, are
//! folded. The page begins with a hidden marker, so that a workflow can find its comment.

mod changes;
mod drift;
mod failure;
mod page;
mod report;

pub use drift::drift;
pub use failure::failure;
pub use report::{report, stale};

use super::counted;
use super::escape::{code, fence, prose};
use super::view::{Next, STALE_HELP, Stale, View, place, unsaid_origin};
use super::words::{self, figures, labels, last_day};
use crate::model::GroupRef;
use crate::plan::{Blocked, Change, Expiring, GroupPlan, Plan, PlanWarning, Refusal, Since};
use changes::Parts;
use page::{List, Page, REST, alert, fit, folded, least};

const EXPIRED_TITLE: &str = "**Expired access stays**, because its removal is held.";
const BLOCKED_TITLE: &str = "**Blocked.** These entries are declared, but cannot be applied.";
const UNMANAGED_TITLE: &str = "Groups of the account that no file declares:";

/// Marks the comment of a command, so that a workflow can find and replace it. `show` and `undo` write the page of a
/// plan.
fn marker(command: &str) -> String {
    let page = if matches!(command, "show" | "undo") { "plan" } else { command };
    format!("<!-- convoke:{page} -->")
}

/// The plan, on a page of a size that GitHub accepts.
#[must_use]
pub fn plan(plan: &Plan, view: View<'_>) -> String {
    let command = if view.applying { "apply" } else { "plan" };
    let head = format!("{}\n### {}\n\n", marker(command), headline(plan, view));
    let mut page = Page::new(head, foot(plan, view));
    let subtitle = subtitle(plan);
    if !subtitle.is_empty() {
        page.push(&format!("{}\n\n", subtitle.join(" · ")));
    }
    if let Some(stale) = view.stale {
        page.push(&stale_alert(stale, plan));
    }
    let parts = Parts::of(plan, view.repository);
    let lists = lists(plan, view, page.room() / 12);
    let room = room_for_lists(&page, parts.essential(), least(&lists));
    let [refused, expired, loosened, blocked, held, warnings, settings, expiring, unmanaged] = fit(lists, room);
    page.push(&alert("CAUTION", &refused));
    page.push(&alert("WARNING", &(expired + &loosened + &blocked + &held + &warnings)));
    page.push(&settings);
    let unmanaged = fold_unmanaged(plan, unmanaged);
    parts.write(&mut page, expiring.len() + unmanaged.len());
    page.push(&expiring);
    page.push(&unmanaged);
    page.finish()
}

/// The space for the lists: what the table and the removals leave, up to half of the page. If these do not fit anyway,
/// the reasons for a refusal are worth more than a few rows.
fn room_for_lists(page: &Page, essential: usize, least: usize) -> usize {
    /// The frames of the alerts and of the folded list.
    const FRAMES: usize = 3 * REST;
    let room = page.room();
    match room.checked_sub(essential + FRAMES).filter(|free| *free >= least) {
        Some(free) => free.min(room / 2),
        None => room / 6,
    }
}

fn headline(plan: &Plan, view: View<'_>) -> String {
    let not_applied = view.applying && (view.stale.is_some() || !plan.refusals.is_empty());
    let prefix = if not_applied { "Not applied. " } else { "" };
    let labeled = labels(plan).len() > 1;
    if !labeled {
        return format!("{prefix}{}", words::summary(plan).into_iter().next().unwrap_or_default());
    }
    let (adds, removes, groups) = this_change(plan);
    match groups {
        0 if plan.base_changes.is_empty() => format!("{prefix}This change makes no difference"),
        0 => format!("{prefix}This change makes no difference to any membership"),
        _ => format!("{prefix}This change: {} in {}", signed(adds, removes), counted(groups, "group")),
    }
}

/// The additions and removals of the change under review, and the number of groups.
fn this_change(plan: &Plan) -> (u64, u64, u64) {
    let label = Some(Since::Change);
    let groups = plan.groups.iter().filter(|group| group.carried_out().any(|change| change.since == label));
    let changes = plan.groups.iter().flat_map(|group| group.carried_out().filter(|change| change.since == label));
    let (adds, removes) = figures(changes);
    (adds, removes, groups.count() as u64)
}

fn signed(adds: u64, removes: u64) -> String {
    format!("+{adds} −{removes}")
}

/// The facts about the whole plan that the headline does not have.
fn subtitle(plan: &Plan) -> Vec<String> {
    let lines = words::summary(plan);
    match labels(plan).len() > 1 {
        true => lines,
        false => lines.into_iter().skip(1).collect(),
    }
}

/// Everything that is refused, held, loosened, blocked or expiring. The last two lists have at most `few` bytes each.
fn lists(plan: &Plan, view: View<'_>, few: usize) -> [List; 9] {
    let refusals = plan.refusals.iter().map(|it| refusal(it, view));
    let blocked = plan.blocked.iter().map(|it| blocked(it, view));
    let expiring = plan.expiring.iter().map(|it| expiring(it, view));
    [
        List::new("**Refused.** This plan cannot be applied as it is.", refusals).in_alert(),
        List::new(EXPIRED_TITLE, held_expired(plan, view)).in_alert(),
        List::new("**Loosened.** This change loosens protections.", base_changes(plan, true, view)).in_alert(),
        List::new(BLOCKED_TITLE, blocked).in_alert(),
        List::new("**Held.** These members stay until the entries are resolved.", held(plan, view)).in_alert(),
        List::new("**Warnings**", warnings(plan, view)).in_alert(),
        List::new("**Other settings that this change modifies**", base_changes(plan, false, view)),
        List::new("**Expiring soon**", expiring).at_most(few),
        List::new(UNMANAGED_TITLE, unmanaged(plan)).at_most(few),
    ]
}

/// The changes under review that affect no membership directly.
fn base_changes(plan: &Plan, loosens: bool, view: View<'_>) -> Vec<String> {
    let changes = plan.base_changes.iter().filter(|change| change.loosens == loosens);
    changes
        .map(|change| {
            // A removed setting has no line in the files under review to link to.
            let repository = view.repository.filter(|_| change.after.is_some());
            let place = change.origin.as_ref().map(|origin| format!(" ({})", place(origin, repository)));
            format!("{}{}", words::base_change(change, code), place.unwrap_or_default())
        })
        .collect()
}

fn stale_alert(stale: &Stale, plan: &Plan) -> String {
    let text =
        format!("**Stale.** {}. Nothing was changed. {STALE_HELP}", prose(&capitalized(&stale.message(plan.digest))));
    alert("CAUTION", &text)
}

fn capitalized(text: &str) -> String {
    let mut rest = text.chars();
    rest.next().map_or_else(String::new, |first| first.to_uppercase().chain(rest).collect())
}

/// The held removals, without those of expired access, which are listed before.
fn held(plan: &Plan, view: View<'_>) -> Vec<String> {
    let of_group = |group: &GroupPlan| -> Vec<String> {
        let name = code(group.name.as_str());
        let held = group.held.iter().filter(|change| change.expired.is_none());
        held.map(|change| {
            let place = place(&change.origin, view.repository);
            let by = change.held_by.as_ref().map(|by| format!(", held by {}", super::view::place(by, view.repository)));
            let (who, by) = (code(&words::name(&change.member)), by.unwrap_or_default());
            format!("{who} in {name}: {place}{}{by}", facts(change))
        })
        .collect()
    };
    plan.groups.iter().flat_map(of_group).collect()
}

fn held_expired(plan: &Plan, view: View<'_>) -> Vec<String> {
    let groups = plan.groups.iter().flat_map(|group| group.held.iter().map(move |change| (group, change)));
    let expired = groups.filter(|(_, change)| change.expired.is_some());
    let item = |(group, change): (&GroupPlan, &Change)| {
        let (who, name) = (code(&words::name(&change.member)), code(group.name.as_str()));
        let place = place(&change.origin, view.repository);
        let holding = words::holding(plan, change).map(|text| format!("; {}", prose(&text))).unwrap_or_default();
        format!("{who} in {name} ({place}{}){holding}", facts(change))
    };
    expired.map(item).collect()
}

/// The facts about a change besides its place, each after a comma. There is always text between two pieces of code,
/// because their backticks would join otherwise.
fn facts(change: &Change) -> String {
    let reason = change.reason.as_deref().map(prose);
    words::times(change, code).chain(reason).map(|fact| format!(", {fact}")).collect()
}

/// The digest, and the command that applies exactly this plan.
fn foot(plan: &Plan, view: View<'_>) -> String {
    let command = |text: &str, line: String| {
        let fence = fence([line.as_str()].into_iter());
        format!("\n{text}\n\n{fence}sh\n{line}\n{fence}\n")
    };
    let how = match view.next(plan) {
        Next::Nothing => String::new(),
        Next::Resolve => "\nResolve these refusals first; `--accept` does not lift them.\n".into(),
        Next::Accept(line) => {
            command("If you intend all of these removals, lift the limits for exactly this plan:", line)
        }
        Next::Apply(line) => command("To apply exactly this plan:", line),
    };
    format!("\nDigest: `{}`\n{how}", plan.digest)
}

fn refusal(refusal: &Refusal, view: View<'_>) -> String {
    let group = refusal.group.as_ref().map(|group| format!(" in {}", code(group.as_str()))).unwrap_or_default();
    let at = unsaid_origin(refusal).map(|origin| format!(" ({})", place(origin, view.repository))).unwrap_or_default();
    let (message, help) = (prose(&refusal.message), prose(&refusal.help));
    format!("**{}**{group}: {message}{at}. Help: {help}", refusal.guard.name().replace('_', " "))
}

fn blocked(blocked: &Blocked, view: View<'_>) -> String {
    let place = place(&blocked.origin, view.repository);
    let label = blocked.since.map(|label| format!(" ({})", words::since(label).to_lowercase())).unwrap_or_default();
    format!("{place} in {}: {}{label}", code(blocked.group.as_str()), prose(&blocked.to_string()))
}

fn warnings(plan: &Plan, view: View<'_>) -> Vec<String> {
    let item = |warning: &PlanWarning| {
        let place = warning.origin.as_ref().map(|origin| format!("{}: ", place(origin, view.repository)));
        format!("{}{}. Help: {}", place.unwrap_or_default(), prose(&warning.message), prose(&warning.help))
    };
    plan.warnings.iter().map(item).collect()
}

fn expiring(expiring: &Expiring, view: View<'_>) -> String {
    let (who, group) = (code(&expiring.person.to_string()), code(expiring.group.as_str()));
    format!("{who} in {group} until {} ({})", last_day(expiring.until), place(&expiring.origin, view.repository))
}

fn unmanaged(plan: &Plan) -> Vec<String> {
    let item = |group: &GroupRef| format!("{} (`{}`)", code(group.name.as_str()), group.id);
    plan.unmanaged_groups.iter().map(item).collect()
}

fn fold_unmanaged(plan: &Plan, list: String) -> String {
    let title = counted(plan.unmanaged_groups.len() as u64, "unmanaged group");
    if list.is_empty() { list } else { folded(&title, &list) }
}
