//! The words for members, places and times in the formats for people.
//!
//! All returned text is cleaned. Each format adds its own escaping.

use super::counted;
use super::escape::clean;
use crate::model::{Member, Origin, RosterUse, Status, last_day};
use crate::plan::{Action, Attribution, Author, AuthorKind, Change, GroupPlan, Plan, SideDoor, Since, Tally};
use crate::report::{Difference, StaleGroup, UnmadeChange};

/// The address, or the id if there is none.
pub fn name(member: &Member) -> String {
    member.email.as_ref().map_or_else(|| member.id.to_string(), |email| clean(email.as_str()))
}

/// The member, and whether the invitation is still pending.
pub fn subject(member: &Member) -> String {
    let who = name(member);
    match member.status {
        Some(Status::Pending) => format!("{who} (pending)"),
        Some(Status::Accepted) | None => who,
    }
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
    let planned = first(group.expected.iter().map(planned).collect(), NAMED);
    let mut rows: Vec<String> = Vec::new();
    rows.extend(group.refused.as_deref().map(clean));
    match (&group.permissions, &group.difference, &group.renamed_to) {
        _ if group.refused.is_some() => {}
        (Some(changed), ..) => rows.push(format!("the group {}", clean(changed))),
        (None, Some(difference), _) => {
            rows.extend(self::difference(difference).map(|(member, what)| format!("{what}: {}", subject(member))));
        }
        (None, None, Some(name)) => rows.push(format!("the group is now named {}", clean(name.as_str()))),
        (None, None, None) => rows.push("the group no longer exists".into()),
    }
    rows.extend((!planned.is_empty()).then(|| format!("planned: {planned}")));
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
pub fn history(change: &Change) -> Option<String> {
    let verb = match change.action {
        Action::Remove => "added",
        Action::Add => "removed",
    };
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

/// What a change under review that no membership follows is.
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
    let summary = plan.summary;
    let mut lines = Vec::new();
    if !plan.has_planned_differences() && plan.blocked.is_empty() && !plan.is_partial() {
        let in_sync = counted(plan.groups_in_sync(), "group");
        let none = match plan.due {
            true => "No changes are due",
            false if !plan.later.is_empty() => "No changes today",
            false => "No changes",
        };
        lines.push(format!("{none}. {in_sync} in sync."));
    } else {
        let (adds, removes, changed) = (summary.adds, summary.removes, summary.changed);
        let groups = counted(summary.groups, "group");
        lines.push(format!("Plan: {adds} to add, {removes} to remove in {changed} of {groups}"));
    }
    lines.extend(further(plan));
    lines
}

/// The contents of a plan or a drift besides changes, one line each.
pub fn further(plan: &Plan) -> Vec<String> {
    let summary = plan.summary;
    let left_out = plan.groups.iter().filter(|group| group.left_out && !group.differs()).count() as u64;
    let lines = [
        (summary.blocked, "blocked", "blocked"),
        (summary.held, "removal held", "removals held"),
        (plan.left_out.len() as u64, "change left out", "changes left out"),
        (
            summary.observed_only,
            "difference in observed groups, where convoke does not write",
            "differences in observed groups, where convoke does not write",
        ),
        (left_out, "group not fully compared", "groups not fully compared"),
    ];
    let shown = lines.into_iter().filter(|(count, ..)| *count > 0);
    shown.map(|(count, one, many)| format!("{count} {}", if count == 1 { one } else { many })).collect()
}

/// The figures of a drift in one line, then further lines.
pub fn drift_summary(plan: &Plan) -> Vec<String> {
    let beside = beside(plan);
    if !plan.has_differences() && plan.blocked.is_empty() {
        let in_sync = counted(plan.groups_in_sync(), "group");
        if !beside.is_empty() {
            return vec![format!("Drift: {}. The members of {in_sync} are in sync.", beside.join(", "))];
        }
        let mut lines = vec![format!("No drift. {in_sync} in sync.")];
        if plan.account_in_sync() && plan.unmanaged_groups.is_empty() {
            lines.push("The account is in sync.".into());
        }
        return lines;
    }
    let groups = counted(plan.groups.len() as u64, "group");
    let changed = plan.groups.iter().filter(|group| group.differs()).count();
    let Tally { missing, unexpected, expired, .. } = Tally::of(&plan.groups);
    let figures = format!("{missing} missing, {unexpected} unexpected, {expired} expired");
    let mut lines = vec![format!("Drift: {figures} in {changed} of {groups}")];
    lines.extend(beside);
    lines.extend(further(plan));
    lines
}

fn beside(plan: &Plan) -> Vec<String> {
    let (direct, permissions) = (plan.side_doors(SideDoor::DirectAccess), plan.side_doors(SideDoor::Permissions));
    let direct = match direct {
        0 => None,
        1 => Some("1 person with access beside the groups".to_owned()),
        people => Some(format!("{people} people with access beside the groups")),
    };
    let permissions =
        (permissions > 0).then(|| format!("{} with other permissions than pinned", counted(permissions, "group")));
    direct.into_iter().chain(permissions).collect()
}
