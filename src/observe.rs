//! Reads what a plan needs from the account.

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::future::{join, join_all};
use jiff::Timestamp;

use crate::cloudflare::{ApiError, ApiErrorKind, Client, MemberSearch};
use crate::model::{Desired, Email, GroupId, GroupName, GroupRef, Membership, Observed, PersonRef};
use crate::plan::{self, Needs, People, Plan, Policy};

/// Reads the list of groups and the members of every planned group, and plans. The look-up of `newcomers`, who are
/// probably in none of these groups, begins meanwhile.
///
/// If the API refuses to list a group's members, the group is recorded as unreadable, and the others are read.
///
/// # Errors
///
/// If anything cannot be read completely, for a temporary reason or one that concerns more than one group.
pub async fn read(
    client: &Client,
    desired: &Desired,
    policy: &Policy,
    time: Timestamp,
    newcomers: &BTreeSet<Email>,
) -> Result<(Observed, Plan), ApiError> {
    let declared = desired.groups.values().flat_map(|group| &group.members).filter_map(|member| match &member.person {
        PersonRef::Email(email) => Some(email.clone()),
        PersonRef::Id(_) => None,
    });
    let sample = if newcomers.is_empty() { BTreeSet::new() } else { declared.collect() };
    let mut search = client.member_search(sample);
    let groups = async {
        let mut current = Observed { groups: client.user_groups().await?, ..Observed::default() };
        let wanted = policy.first_groups(desired, &current);
        read_members(client, &mut current, &wanted).await?;
        Ok(current)
    };
    // As many rounds of requests as the groups take. Who is in one of them after all is not looked for any further.
    let first_rounds = async {
        if !newcomers.is_empty() {
            search.advance(newcomers).await;
            search.advance(newcomers).await;
        }
    };
    let (current, ()) = join(groups, first_rounds).await;
    let mut current = current?;
    let make = |current: &Observed| plan::plan(desired, current, policy, time);
    let plan = resolve_by(&mut search, &mut current, policy.accept_self, make).await?;
    Ok((current, plan))
}

/// Plans, and looks up people among the account's members if no group lists them.
///
/// # Errors
///
/// If the account's members are needed and cannot be read completely.
pub async fn plan(
    client: &Client,
    desired: &Desired,
    current: &mut Observed,
    policy: &Policy,
    time: Timestamp,
) -> Result<Plan, ApiError> {
    resolve(client, current, policy.accept_self, |current| plan::plan(desired, current, policy, time)).await
}

/// Makes a plan. If it needs more facts, reads them and plans again: people that no group lists, the user of the
/// token, groups that decide about a change.
///
/// # Errors
///
/// If anything that the plan needs cannot be read completely.
pub async fn resolve(
    client: &Client,
    current: &mut Observed,
    accept_self: bool,
    make: impl Fn(&Observed) -> Plan,
) -> Result<Plan, ApiError> {
    resolve_by(&mut client.member_search(BTreeSet::new()), current, accept_self, make).await
}

async fn resolve_by(
    search: &mut MemberSearch,
    current: &mut Observed,
    accept_self: bool,
    make: impl Fn(&Observed) -> Plan,
) -> Result<Plan, ApiError> {
    let mut plan = make(current);
    // Each round reads what the previous one asked for. Nothing is read twice.
    loop {
        let needs = plan.needs(current, accept_self);
        if needs.is_empty() {
            return Ok(plan);
        }
        look_for(search, current, needs).await?;
        plan = make(current);
    }
}

/// Lets the newest files decide about a saved plan.
///
/// # Errors
///
/// If a group that decides cannot be read completely.
pub async fn decide_by_tip(client: &Client, plan: &Plan, tip: &Desired, time: Timestamp) -> Result<Plan, ApiError> {
    let memberships = plan.groups.iter().map(|group| (group.id, Arc::clone(&group.observed))).collect();
    let mut current = Observed { groups: client.user_groups().await?, memberships, ..Observed::default() };
    loop {
        let decided = plan.clone().decided_by(tip, &current, time);
        let unread = decided.needs(&current, true).groups;
        if unread.is_empty() {
            return Ok(decided);
        }
        read_members(client, &mut current, &unread).await?;
    }
}

/// Asks a saved plan again which people its guards protect.
///
/// # Errors
///
/// If the account's members are needed and cannot be read completely.
pub async fn ask_for_people(client: &Client, plan: &Plan, accept_self: bool) -> Result<Plan, ApiError> {
    let memberships = plan.groups.iter().map(|group| (group.id, Arc::clone(&group.observed))).collect();
    let mut current = Observed { memberships, ..Observed::default() };
    if !accept_self && plan.removes_anybody() {
        current.token_user = client.token_user().await?;
    }
    // The plan has the members of the user for whom it was made. Its blocked entries are not looked up again.
    let knows_user = accept_self || plan.knows_token_user(&current.token_user);
    let mut plan = plan.clone();
    plan.blocked.clear();
    resolve(client, &mut current, knows_user, |current| plan.clone().judged_for_people(current, accept_self)).await
}

async fn look_for(search: &mut MemberSearch, current: &mut Observed, needs: Needs) -> Result<(), ApiError> {
    let Needs { people, everybody, groups, token_user: ask_user } = needs;
    if ask_user {
        current.token_user = search.client.token_user().await?;
    }
    read_members(&search.client, current, &groups).await?;
    let (people, everybody) = search.find(&people, everybody).await?;
    current.people.extend(people);
    current.knows_everybody |= everybody;
    Ok(())
}

/// Looks up an address or id among the account's members, unless it was seen, or they were all read.
///
/// # Errors
///
/// If what is needed cannot be read completely.
pub async fn look_up(client: &Client, current: &mut Observed, person: &PersonRef) -> Result<(), ApiError> {
    let mut needs = Needs::default();
    match person {
        _ if current.knows_everybody || People::of(current).knows(person) => {}
        PersonRef::Email(email) => needs.people.extend([email.clone()]),
        PersonRef::Id(_) => needs.everybody = true,
    }
    look_for(&mut client.member_search(BTreeSet::new()), current, needs).await
}

/// Reads all members of the account, unless that was done.
///
/// # Errors
///
/// If they cannot be read completely.
pub async fn everybody(client: &Client, current: &mut Observed) -> Result<(), ApiError> {
    if !current.knows_everybody {
        current.people.extend(client.account_members().await?);
        current.knows_everybody = true;
    }
    Ok(())
}

/// Reads the members of these groups concurrently.
///
/// # Errors
///
/// As [`read`].
pub async fn read_members(client: &Client, current: &mut Observed, wanted: &BTreeSet<GroupId>) -> Result<(), ApiError> {
    let reading = wanted.iter().map(async |id| {
        let name = current.groups.get(id).map_or_else(|| GroupName::from(""), |group| group.name.clone());
        (*id, client.group_members(&GroupRef { id: *id, name }).await)
    });
    let answers: Vec<(GroupId, Result<Membership, ApiError>)> = join_all(reading).await;
    for (id, answer) in answers {
        match answer {
            Ok(members) => {
                current.memberships.insert(id, Arc::new(members));
            }
            Err(error) if matches!(error.kind, ApiErrorKind::Refused | ApiErrorKind::NotFound) => {
                current.unreadable.insert(id, error.reason());
            }
            Err(error) => return Err(error),
        }
    }
    Ok(())
}
