//! The words for members, places and times in the formats for people.
//!
//! All returned text is cleaned. Each format adds its own escaping.

use super::counted;
use super::escape::clean;
use crate::model::{Member, Origin, RosterUse, Status, last_day};
use crate::plan::{Action, Attribution, Author, AuthorKind, Change, GroupPlan, Plan, SideDoor, Since, Summary, Tally};
use crate::report::{Difference, StaleGroup, UnmadeChange};

/// The address, or the id if there is none.
pub fn name(member: &Member) -> String {
    member.email.as_ref().map_or_else(|| member.id.to_string(), |email| clean(email.as_str()))
}

/// The member, and whether the invitation is still pending.
pub fn subject(member: &Member) -> String {
    let pending = if member.status == Some(Status::Pending) { " (pending)" } else { "" };
    name(member) + pending
}

/// Until when an addition lasts, or when the entry of somebody who leaves ended. Nothing for a member whom no entry
/// names.
pub fn end(change: &Change) -> Option<String> {
    match (change.action, change.until, change.expired) {
        (Action::Add, None, _) => Some("no end".into()),
        (Action::Add, Some(until), _) => Some(format!("until {}", last_day(until))),
        (Action::Remove, _, expired) => expired.map(|expired| format!("expired (until {})", last_day(expired))),
    }
}

/// As [`end`], for a difference: its state says already that an entry has ended.
pub fn drift_end(change: &Change) -> Option<String> {
    change.expired.map(|expired| format!("until {}", last_day(expired))).or_else(|| end(change))
}

/// The reason, whether the invitation is pending, which groups the member leaves before, and who made the difference, as
/// far as known.
pub fn facts(change: &Change) -> impl Iterator<Item = String> {
    let reason = change.reason.as_deref().map(clean);
    let pending = (change.member.status == Some(Status::Pending)).then(|| "pending".to_owned());
    let after = change.after.iter().map(|group| format!("after leaving {}", clean(group.name.as_str())));
    reason.into_iter().chain(pending).chain(after).chain(history(change))
}

/// The line that declares a change, then the uses of rosters that lead to it, from inner to outer. Nothing if no line
/// names the member.
pub fn places(change: &Change) -> Vec<String> {
    let Some(line) = change.named_at() else { return Vec::new() };
    std::iter::once(origin(line)).chain(change.via.iter().flat_map(|via| rosters(via))).collect()
}

/// The uses of rosters, given outermost first, from inner to outer.
pub fn rosters(via: &[RosterUse]) -> impl Iterator<Item = String> {
    via.iter().rev().map(|used| format!("via {} ({})", clean(&used.roster), origin(&used.origin)))
}

/// Why a change was not made, with the end of the access and the line that declares it.
pub fn unmade(unmade: &UnmadeChange, place: Option<String>) -> String {
    let ended = unmade.expired.map(|expired| format!("expired, until {}", last_day(expired)));
    let facts: Vec<String> = ended.into_iter().chain(place).collect();
    if facts.is_empty() { unmade.reason.clone() } else { format!("{} ({})", unmade.reason, facts.join(", ")) }
}

/// What a stale plan would have changed in a group, and what is there now.
pub fn stale(group: &StaleGroup) -> Vec<String> {
    const NAMED: usize = 20;
    let mut rows = match group {
        StaleGroup { refused: Some(refused), .. } => vec![clean(refused)],
        StaleGroup { permissions: Some(changed), .. } => vec![format!("the group {}", clean(changed))],
        StaleGroup { difference: Some(difference), .. } => {
            self::difference(difference).map(|(member, what)| format!("{what}: {}", subject(member))).collect()
        }
        StaleGroup { renamed_to: Some(name), .. } => vec![format!("the group is now named {}", clean(name.as_str()))],
        _ => vec!["the group no longer exists".into()],
    };
    if !group.expected.is_empty() {
        rows.push(format!("planned: {}", first(group.expected.iter().map(planned).collect(), NAMED)));
    }
    rows
}

/// At most this number of names, and how many more there are.
pub fn first(mut names: Vec<String>, most: usize) -> String {
    let more = names.len().saturating_sub(most);
    names.truncate(most);
    names.extend((more > 0).then(|| format!("and {more} more")));
    names.join(", ")
}

/// Who joined and who left because of somebody else, each with what happened.
pub fn difference(difference: &Difference) -> impl Iterator<Item = (&Member, &'static str)> {
    let added = difference.added.iter().map(|member| (member, "was added"));
    added.chain(difference.removed.iter().map(|member| (member, "was removed")))
}

pub const fn done(action: Action) -> &'static str {
    match action {
        Action::Add => "added",
        Action::Remove => "removed",
    }
}

fn planned(change: &Change) -> String {
    let verb = if change.action == Action::Add { "add" } else { "remove" };
    format!("{verb} {}", name(&change.member))
}

/// When and by whom the difference was made, if known.
fn history(change: &Change) -> Option<String> {
    // A member to remove was added, and the other way round.
    let verb = if change.action == Action::Remove { "added" } else { "removed" };
    let attribution = change.by.as_deref();
    let time = change.added_at.or_else(|| attribution?.time);
    let time = time.map(|time| time.strftime(" %Y-%m-%d %H:%M UTC").to_string());
    let Some(Attribution { certain, by, .. }) = attribution else { return time.map(|time| format!("{verb}{time}")) };
    let (probably, time) = (if *certain { "" } else { "probably " }, time.unwrap_or_default());
    let ray = by.ray.as_deref().map(|ray| format!(" (ray {})", clean(ray))).unwrap_or_default();
    Some(format!("{probably}{verb}{time} {}{ray}", author(by)))
}

fn author(by: &Author) -> String {
    let actor = by.actor.as_deref().map(clean);
    // What stands before and after the actor, and what is said without one.
    let (before, after, without) = match by.kind {
        AuthorKind::Convoke => {
            let run = by.run.as_deref().map(|run| format!(" in run {}", clean(run))).unwrap_or_default();
            let token = actor.map(|actor| format!(" (token {actor})")).unwrap_or_default();
            return format!("by convoke{run}{token}");
        }
        AuthorKind::Dashboard => ("by ", " in the dashboard", "in the dashboard"),
        AuthorKind::Token => ("by token ", "", "with an API token"),
        AuthorKind::ApiKey => ("by ", " with an API key", "with an API key"),
        AuthorKind::IdentityProvider => ("by the identity provider (", ", SCIM)", "by the identity provider (SCIM)"),
        AuthorKind::Api => ("by ", " through the API", "through the API"),
        AuthorKind::OauthApp => ("by ", " through an OAuth application", "through an OAuth application"),
        AuthorKind::Service => ("by Cloudflare or a service (", ")", "by Cloudflare or a service"),
        AuthorKind::Other => ("by ", "", "by somebody that the audit log does not name"),
    };
    actor.map_or_else(|| without.into(), |actor| format!("{before}{actor}{after}"))
}

pub fn origin(origin: &Origin) -> String {
    clean(&origin.to_string())
}

/// The title of the differences with this label.
pub const fn since(since: Since) -> &'static str {
    match since {
        Since::Change => "This change",
        Since::Before => "Already there before this change",
    }
}

/// The labels of the differences, each for a separate section. Without a base there is one section without a label.
pub fn labels(plan: &Plan) -> Vec<Option<Since>> {
    let changes = plan.differences().map(|(_, change)| change.since);
    let mut labels = changes.chain(plan.blocked.iter().map(|blocked| blocked.since));
    if labels.any(|label| label.is_some()) { vec![Some(Since::Change), Some(Since::Before)] } else { vec![None] }
}

/// The changes of a group with this label.
pub fn labeled(changes: &[Change], label: Option<Since>) -> impl Iterator<Item = &Change> {
    changes.iter().filter(move |change| change.since == label)
}

/// Whether a group has a difference with this label.
pub fn concerns(group: &GroupPlan, label: Option<Since>) -> bool {
    group.changes.iter().chain(&group.held).any(|change| change.since == label)
}

/// The number of additions and removals. A person who differs in two groups counts twice.
pub fn figures<'a>(changes: impl Iterator<Item = &'a Change>) -> (u64, u64) {
    changes.fold((0, 0), |(adds, removes), change| match change.action {
        Action::Add => (adds + 1, removes),
        Action::Remove => (adds, removes + 1),
    })
}

/// The title of a change under review that makes no difference to a membership.
pub const fn no_difference(plan: &Plan) -> &'static str {
    if plan.was_refused {
        return "This change lifts a refusal";
    }
    match (plan.later.is_empty() && plan.left_out.is_empty(), plan.base_changes.is_empty()) {
        (false, _) => "This change makes no difference today",
        (true, true) => "This change makes no difference",
        (true, false) => "This change makes no difference to any membership",
    }
}

/// The figures of a plan in one line, then further lines.
pub fn summary(plan: &Plan) -> Vec<String> {
    let Summary { adds, removes, changed, groups, .. } = plan.summary;
    let first = if plan.has_planned_differences() || !plan.blocked.is_empty() || plan.is_partial() {
        format!("Plan: {adds} to add, {removes} to remove in {changed} of {}", counted(groups, "group"))
    } else {
        let none = match (plan.due, plan.later.is_empty()) {
            (true, _) => "No changes are due",
            (false, false) => "No changes today",
            (false, true) => "No changes",
        };
        format!("{none}. {} in sync.", counted(plan.groups_in_sync(), "group"))
    };
    std::iter::once(first).chain(further(plan)).collect()
}

/// The contents of a plan or a drift besides changes, one line each.
fn further(plan: &Plan) -> impl Iterator<Item = String> {
    let Summary { blocked, held, observed_only, .. } = plan.summary;
    let not_compared = plan.groups.iter().filter(|group| group.left_out && !group.differs()).count() as u64;
    let left_out = plan.left_out.len() as u64;
    let observed = "in observed groups, where convoke does not write";
    let lines = [
        (blocked, format!("{blocked} blocked")),
        (held, format!("{} held", counted(held, "removal"))),
        (left_out, format!("{} left out", counted(left_out, "change"))),
        (observed_only, format!("{} {observed}", counted(observed_only, "difference"))),
        (not_compared, format!("{} not fully compared", counted(not_compared, "group"))),
    ];
    lines.into_iter().filter(|(count, _)| *count > 0).map(|(_, line)| line)
}

/// The figures of a drift in one line, then further lines.
pub fn drift_summary(plan: &Plan) -> Vec<String> {
    let (direct, permissions) = (plan.side_doors(SideDoor::DirectAccess), plan.side_doors(SideDoor::Permissions));
    let people = if direct == 1 { "person" } else { "people" };
    let direct = (direct > 0).then(|| format!("{direct} {people} with access beside the groups"));
    let permissions =
        (permissions > 0).then(|| format!("{} with other permissions than pinned", counted(permissions, "group")));
    let beside: Vec<String> = direct.into_iter().chain(permissions).collect();
    let in_sync = counted(plan.groups_in_sync(), "group");
    if plan.has_differences() || !plan.blocked.is_empty() {
        let groups = counted(plan.groups.len() as u64, "group");
        let changed = plan.groups.iter().filter(|group| group.differs()).count();
        let Tally { missing, unexpected, expired, .. } = Tally::of(&plan.groups);
        let figures = format!("{missing} missing, {unexpected} unexpected, {expired} expired");
        let first = format!("Drift: {figures} in {changed} of {groups}");
        std::iter::once(first).chain(beside).chain(further(plan)).collect()
    } else if beside.is_empty() {
        let whole = plan.account_in_sync().then(|| "The account is in sync.".into());
        std::iter::once(format!("No drift. {in_sync} in sync.")).chain(whole).collect()
    } else {
        vec![format!("Drift: {}. The members of {in_sync} are in sync.", beside.join(", "))]
    }
}
