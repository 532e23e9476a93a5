//! Reads the groups of a plan again before the first write: of a saved plan, and after a question.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;

use super::Present;
use crate::cloudflare::{ApiError, ApiErrorKind, Client};
use crate::model::{GroupId, GroupName, GroupRef, GroupSummary, Member, MemberId, Membership};
use crate::plan::{GroupPlan, Guard, Plan, Refusal};
use crate::report::{Difference, StaleGroup};

#[derive(Clone, Debug)]
pub enum Recheck {
    Fresh {
        /// The members of each planned group that was read: those that the plan changes, and those that it relies on.
        present: Present,
        /// The remaining changes, with the guards checked again.
        remaining: Box<Plan>,
    },
    Stale(Vec<StaleGroup>),
}

/// Reads every group that the plan changes or relies on, and compares its name and members with the plan.
///
/// # Errors
///
/// If the groups or their members cannot be read.
pub async fn recheck(client: &Client, plan: &Plan) -> Result<Recheck, ApiError> {
    let changed: Vec<&GroupPlan> = plan.groups.iter().filter(|group| !group.operations.is_empty()).collect();
    let asks_groups = plan.guards.managed.is_some() || !plan.guards.pins.is_empty();
    if changed.is_empty() && !asks_groups {
        return Ok(fresh(plan, &BTreeMap::new(), &BTreeMap::new()));
    }
    let destinations = plan.destinations();
    let relied_on = plan.exclusive.iter().map(|pair| &pair.other).chain(destinations.values().flatten());
    let wanted = changed.iter().map(|group| group.reference()).chain(relied_on.cloned());
    let wanted: BTreeMap<GroupId, GroupRef> = wanted.map(|group| (group.id, group)).collect();
    // The plan identifies a group by its id, readers by its name. Both must still mean the same group.
    let groups = client.user_groups().await?;
    let (mut present, mut stale) = (BTreeMap::new(), Vec::new());
    let mut named = Vec::new();
    for group in wanted.into_values() {
        let changed = groups.get(&group.id).and_then(|found| plan.changed_permissions(group.id, found));
        if changed.is_some() {
            stale.push(StaleGroup { permissions: changed, ..StaleGroup::new(group.name) });
            continue;
        }
        // The plan was made with this name, and refused for it.
        let is_refused = |refusal: &Refusal| {
            refusal.guard == Guard::PinnedName && refusal.group.as_ref().is_some_and(|name| *name == group.name)
        };
        let was_refused = plan.refusals.iter().any(is_refused);
        match moved(&group, &groups) {
            Some((moved, _)) if moved.renamed_to.is_none() || !was_refused => stale.push(moved),
            _ => named.push(group),
        }
    }
    let answers = join_all(named.iter().map(|group| client.group_members(group))).await;
    for (group, answer) in named.into_iter().zip(answers) {
        match answer {
            Ok(members) => {
                present.insert(group.id, Arc::new(members));
            }
            Err(error) if error.kind == ApiErrorKind::NotFound => {
                stale.push(StaleGroup::new(group.name));
            }
            Err(error) => return Err(error),
        }
    }
    for group in changed {
        let Some(members) = present.get(&group.id) else { continue };
        let moved = group.moved_since(&members.keys().copied().collect());
        if !moved.is_empty() {
            let difference = Some(Difference::new(group, members, &moved));
            stale.push(StaleGroup { difference, ..StaleGroup::new(group.name.clone()) });
        }
    }
    stale.extend(broken_moves(plan, &destinations, &present));
    present.retain(|id, _| plan.groups.iter().any(|group| group.id == *id));
    Ok(if stale.is_empty() { fresh(plan, &groups, &present) } else { Recheck::Stale(stale) })
}

/// A group that is gone or has another name now, and the same in words. The API may show no name for a group; then its id
/// has to do.
pub(super) fn moved(group: &GroupRef, groups: &BTreeMap<GroupId, GroupSummary>) -> Option<(StaleGroup, String)> {
    let renamed_to = groups.get(&group.id).map(|found| found.name.clone());
    let reason = match &renamed_to {
        Some(name) if *name == group.name || name.as_str().is_empty() => return None,
        Some(name) => format!("the group {:?} is called {:?} now", group.name.as_str(), name.as_str()),
        None => format!("the group {:?} is gone", group.name.as_str()),
    };
    Some((StaleGroup { renamed_to, ..StaleGroup::new(group.name.clone()) }, reason))
}

/// The groups in which a reading contradicts what the plan relies on: members who stay there while they leave another
/// group, and members who are not there while they join a group that excludes it.
fn broken_moves(
    plan: &Plan,
    destinations: &BTreeMap<MemberId, BTreeSet<GroupRef>>,
    present: &BTreeMap<GroupId, Arc<Membership>>,
) -> Vec<StaleGroup> {
    let mut found: BTreeMap<GroupName, Difference> = BTreeMap::new();
    let groups = plan.by_id();
    let is_added = |group: GroupId, member: &MemberId| {
        groups.get(&group).is_some_and(|group| group.additions().any(|change| change.member.id == *member))
    };
    for (id, group) in destinations.iter().flat_map(|(id, groups)| groups.iter().map(move |group| (id, group))) {
        if present.get(&group.id).is_some_and(|now| !now.contains_key(id)) && !is_added(group.id, id) {
            let known = groups.get(&group.id).and_then(|group| group.observed.get(id));
            let member = known.map_or(Member { id: *id, email: None, status: None }, Member::clone);
            found.entry(group.name.clone()).or_default().removed.push(member);
        }
    }
    for pair in &plan.exclusive {
        let (Some(now), Some(group)) = (present.get(&pair.other.id), groups.get(&pair.group.id)) else { continue };
        for change in group.additions().filter(|change| !change.waits_for(pair.other.id)) {
            if let Some(member) = now.get(&change.member.id) {
                found.entry(pair.other.name.clone()).or_default().added.push(Member::clone(member));
            }
        }
    }
    let stale = |(name, difference)| StaleGroup { difference: Some(difference), ..StaleGroup::new(name) };
    found.into_iter().map(stale).collect()
}

fn fresh(
    plan: &Plan,
    groups: &BTreeMap<GroupId, GroupSummary>,
    present: &BTreeMap<GroupId, Arc<Membership>>,
) -> Recheck {
    let ids = present.iter().map(|(id, members)| (*id, members.keys().copied().collect()));
    Recheck::Fresh { present: ids.collect(), remaining: Box::new(plan.remaining(groups, present)) }
}
