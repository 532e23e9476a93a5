//! Reads what a plan needs to know of the account.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures_util::future::join_all;
use jiff::Timestamp;

use crate::cloudflare::{ApiError, ApiErrorKind, Client};
use crate::model::{Desired, GroupId, GroupName, GroupRef, GroupSummary, Membership, Observed, Sharing, TokenUser};
use crate::plan::{self, Plan, Policy, Sought};

/// Reads the list of groups and the members of every group that the policy plans.
///
/// A group whose members the API refuses to list is noted as unreadable, and does not hold up the others.
///
/// # Errors
///
/// Fails where anything cannot be read whole for a reason that may pass, or that concerns more than one group.
pub async fn read(client: &Client, desired: &Desired, policy: &Policy) -> Result<Observed, ApiError> {
    let mut current = Observed { groups: groups(client).await?, ..Observed::default() };
    let targets = plan::targets(desired, &current, |name| policy.covers(name));
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
    resolve(client, current, policy.accept_self, |current| plan::plan(desired, current, policy, time)).await
}

/// Makes a plan, and makes it again once what it needs to know besides was read: people whom no group lists, the user
/// that the token acts for, groups that decide about a removal.
///
/// # Errors
///
/// Fails where anything that the plan needs cannot be read whole.
pub async fn resolve(
    client: &Client,
    current: &mut Observed,
    accept_self: bool,
    make: impl Fn(&Observed) -> Plan,
) -> Result<Plan, ApiError> {
    let mut plan = make(current);
    // Each round answers what the one before could not ask yet; what was asked is never asked again.
    loop {
        let sought = plan.sought(current, accept_self);
        if sought.is_empty() {
            return Ok(plan);
        }
        look_for(client, current, sought).await?;
        plan = make(current);
    }
}

/// Asks, for a saved plan, whether it removes the user that the token acts for.
///
/// # Errors
///
/// Fails where the account's members are needed and cannot be read whole.
pub async fn check_token_user(client: &Client, plan: &Plan, accept_self: bool) -> Result<Plan, ApiError> {
    let memberships = plan.groups.iter().map(|group| (group.id, Arc::clone(&group.observed))).collect();
    let mut current = Observed { memberships, ..Observed::default() };
    if accept_self || !plan.removes_anybody() {
        return Ok(plan.clone().judged_for_token(&current, accept_self));
    }
    current.token_user = token_user(client).await?;
    if plan.knows_token_user(&current.token_user) {
        return Ok(plan.clone().judged_for_token(&current, accept_self));
    }
    resolve(client, &mut current, accept_self, |current| plan.clone().judged_for_token(current, accept_self)).await
}

async fn token_user(client: &Client) -> Result<TokenUser, ApiError> {
    Ok(client.token_owner().await?.map_or(TokenUser::Nobody, TokenUser::Known))
}

async fn look_for(client: &Client, current: &mut Observed, sought: Sought) -> Result<(), ApiError> {
    let Sought { people, groups, token_user: ask_user } = sought;
    if ask_user {
        current.token_user = token_user(client).await?;
    }
    read_members(client, current, &groups).await?;
    if people {
        current.people.extend(client.account_members().await?);
        current.knows_everybody = true;
    }
    Ok(())
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
