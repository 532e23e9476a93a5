//! Reads what a plan needs to know of the account.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::cloudflare::{ApiError, ApiErrorKind, Client};
use crate::model::{Desired, GroupId, GroupName, GroupRef, GroupSummary, Membership, Observed, Sharing};
use crate::plan::{self, Plan, Policy};

/// Reads the list of groups and the members of every group that the policy plans.
///
/// A group whose members the API refuses to list is noted as unreadable, and does not hold up the others.
///
/// # Errors
///
/// Fails where anything cannot be read whole for a reason that may pass, or that concerns more than one group.
pub async fn read(client: &Client, desired: &Desired, policy: &Policy) -> Result<Observed, ApiError> {
    let mut current = Observed { groups: groups(client).await?, ..Observed::default() };
    let targets = plan::targets(desired, &current, &policy.only);
    let wanted: BTreeSet<GroupId> = targets.into_values().filter_map(Result::ok).collect();
    read_members(client, &mut current, &wanted).await?;
    Ok(current)
}

/// Plans, and looks for people among the account's members where the groups' own lists leave anybody unknown.
///
/// # Errors
///
/// Fails where the account's members are needed and cannot be read whole.
pub async fn plan(
    client: &Client,
    desired: &Desired,
    current: &mut Observed,
    policy: &Policy,
    time: Timestamp,
) -> Result<Plan, ApiError> {
    resolve(client, desired, current, |current| plan::plan(desired, current, policy, time)).await
}

/// Makes a plan, and makes it again once those it could not find have been looked for among the account's members.
///
/// # Errors
///
/// Fails where the account's members are needed and cannot be read whole.
pub async fn resolve(
    client: &Client,
    desired: &Desired,
    current: &mut Observed,
    make: impl Fn(&Observed) -> Plan,
) -> Result<Plan, ApiError> {
    let plan = make(current);
    let sought = plan.sought(&desired.settings, current);
    if sought.is_empty() {
        return Ok(plan);
    }
    current.people.extend(client.account_members().await?);
    Ok(make(current))
}

/// Every group of the account.
///
/// # Errors
///
/// Fails where the list cannot be read whole.
pub async fn groups(client: &Client) -> Result<BTreeMap<GroupId, GroupSummary>, ApiError> {
    client.user_groups().await
}

/// Reads the members of these groups, side by side.
///
/// # Errors
///
/// As [`read`].
pub async fn read_members(client: &Client, current: &mut Observed, wanted: &BTreeSet<GroupId>) -> Result<(), ApiError> {
    let shared = RefCell::new(Sharing::default());
    let reading = wanted.iter().map(async |id| {
        let name = current.groups.get(id).map_or_else(|| GroupName::from(""), |group| group.name.clone());
        let answer = client.group_members(&GroupRef { id: *id, name }).await;
        (*id, answer.map(|members| shared.borrow_mut().share(members)))
    });
    let answers: Vec<(GroupId, Result<Membership, ApiError>)> = join_all(reading).await;
    for (id, answer) in answers {
        match answer {
            Ok(members) => {
                current.memberships.insert(id, Arc::new(members));
            }
            Err(error) if matches!(error.kind(), ApiErrorKind::Refused | ApiErrorKind::NotFound) => {
                current.unreadable.insert(id, error.reason());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
