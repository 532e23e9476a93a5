//! Reads the groups of a saved plan again before the first write.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures_util::future::join_all;

use super::Present;
use crate::cloudflare::{ApiError, ApiErrorKind, Client};
use crate::model::{GroupId, GroupRef, Membership};
use crate::plan::{Freshness, GroupPlan, Plan};
use crate::report::{Difference, StaleGroup};

/// Whether a saved plan can still be applied.
#[derive(Clone, Debug)]
pub enum Recheck {
    /// The plan's changes are still valid.
    Fresh {
        /// The members of each group that the plan changes.
        present: Present,
        /// The remaining changes, with the guards checked again.
        remaining: Box<Plan>,
    },
    Stale(Vec<StaleGroup>),
}

/// Reads every group that the plan changes, and compares its name and members with the plan.
///
/// # Errors
///
/// If the groups or their members cannot be read.
pub async fn recheck(client: &Client, plan: &Plan) -> Result<Recheck, ApiError> {
    let changed: Vec<&GroupPlan> = plan.groups.iter().filter(|group| !group.operations.is_empty()).collect();
    if changed.is_empty() {
        return Ok(fresh(plan, &BTreeMap::new()));
    }
    // The plan identifies groups by id, people by name. Both must be the same group as before.
    let groups = client.user_groups().await?;
    let (mut present, mut stale) = (BTreeMap::new(), Vec::new());
    let mut named = Vec::new();
    for group in changed {
        let changed = groups.get(&group.id).and_then(|found| plan.changed_permissions(group.id, found));
        if changed.is_some() {
            stale.push(StaleGroup {
                name: group.name.clone(),
                renamed_to: None,
                difference: None,
                permissions: changed,
            });
            continue;
        }
        match groups.get(&group.id).map(|found| &found.name) {
            // The API may show no name for a group; then its id has to do.
            Some(name) if *name == group.name || name.as_str().is_empty() => named.push(group),
            found => {
                let (name, renamed_to) = (group.name.clone(), found.cloned());
                stale.push(StaleGroup { name, renamed_to, difference: None, permissions: None });
            }
        }
    }
    let reading = named.iter().map(async |group| {
        let target = GroupRef { id: group.id, name: group.name.clone() };
        client.group_members(&target).await
    });
    for (group, answer) in named.iter().zip(join_all(reading).await) {
        let (name, renamed_to) = (group.name.clone(), None);
        let members = match answer {
            Ok(members) => members,
            Err(error) if error.kind == ApiErrorKind::NotFound => {
                stale.push(StaleGroup { name, renamed_to, difference: None, permissions: None });
                continue;
            }
            Err(error) => return Err(error),
        };
        let ids = members.keys().copied().collect();
        if let Freshness::Stale { added, removed } = group.freshness(&ids) {
            let difference = Some(Difference::new(group, &members, &added, &removed));
            stale.push(StaleGroup { name, renamed_to, difference, permissions: None });
        }
        present.insert(group.id, Arc::new(members));
    }
    Ok(if stale.is_empty() { fresh(plan, &present) } else { Recheck::Stale(stale) })
}

fn fresh(plan: &Plan, present: &BTreeMap<GroupId, Arc<Membership>>) -> Recheck {
    let ids = present.iter().map(|(id, members)| (*id, members.keys().copied().collect()));
    Recheck::Fresh { present: ids.collect(), remaining: Box::new(plan.remaining(present)) }
}
