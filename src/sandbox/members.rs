//! The members of groups, the account's members, and the token and its user.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::answer::{Reply, with};
use super::groups::shown_policy;
use super::routes::RoutedCall;
use super::seed::Invitation;
use super::state::{AccountState, StoredGroup, StoredPerson, hex};
use crate::model::{AccountId, GroupId, MemberId};

fn shown(id: MemberId, person: Option<&StoredPerson>) -> Value {
    let email = person.and_then(|person| person.group_email.as_ref());
    let status = person.map(|person| person.seed.status).filter(|status| *status != Invitation::Rejected);
    with(with(json!({ "id": id }), "email", email), "status", status.map(Invitation::as_str))
}

/// The group in the path, unless it is too new to have members.
fn settled<'a>(call: &'a mut RoutedCall<'_>) -> Result<(GroupId, &'a StoredGroup), Reply> {
    let id = call.group()?;
    let group = call.state.groups.get_mut(&id).ok_or_else(Reply::no_group)?;
    if group.seed.settling > 0 {
        group.seed.settling -= 1;
        return Err(Reply::no_group());
    }
    Ok((id, group))
}

/// All members of the group, as the answers to writes show them.
pub(crate) fn all_shown(state: &AccountState, id: Option<GroupId>) -> Value {
    let group = id.and_then(|id| state.groups.get(&id));
    let members = group.map(|group| state.sorted(&group.members)).unwrap_or_default();
    members.into_iter().map(|id| shown(id, state.person(id))).collect()
}

pub(crate) fn list(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let fuzzy = call.query.take("fuzzyEmail").map(|part| part.to_lowercase());
    let (id, group) = settled(call)?;
    if group.seed.policy_invalid {
        return Err(Reply::policy_invalid());
    }
    let mut sorted = call.state.sorted(&call.state.members_at(id, call.as_of));
    if let Some(part) = fuzzy {
        sorted.retain(|id| {
            let email = call.state.person(*id).and_then(|person| person.group_email.as_ref());
            email.is_some_and(|email| email.folded().contains(&part))
        });
    }
    let (page, info) = call.query.page(&sorted, 1..=500, 100)?;
    let entries = page.into_iter().map(|id| shown(id, call.state.person(id))).collect();
    Ok(Reply::list(if sorted.is_empty() { Value::Null } else { entries }, info))
}

pub(crate) fn add(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    write(call, AccountState::add_members)
}

pub(crate) fn replace(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    write(call, AccountState::set_members)
}

/// One bad member makes the API refuse the whole write: all must be account members, and new members must be able to
/// join.
fn write(
    call: &mut RoutedCall<'_>,
    change: fn(&mut AccountState, GroupId, &BTreeSet<MemberId>) -> bool,
) -> Result<Reply, Reply> {
    let listed = BTreeSet::from_iter(call.incoming.member_list()?);
    let (id, group) = settled(call)?;
    group.check_writable()?;
    let present = group.members.clone();
    let person = |id: &MemberId| call.state.person(*id);
    if let Some(unknown) = listed.iter().find(|id| person(id).is_none()) {
        return Err(Reply::invalid_member(format!("{unknown} is not a member of the account")));
    }
    let joining = listed.iter().filter(|id| !present.contains_key(id));
    let mut joining: Vec<&StoredPerson> = joining.filter_map(person).collect();
    if let Some(rejected) = joining.iter().find(|person| person.seed.status == Invitation::Rejected) {
        return Err(Reply::invalid_member(format!("{} has rejected the invitation to the account", rejected.email)));
    }
    joining.retain(|person| !person.seed.joinable);
    if !joining.is_empty() {
        let unjoinable: Vec<&str> = joining.iter().map(|person| person.email.as_str()).collect();
        return Err(Reply::error(400, 400, format!("members {} do not have DSR enabled", unjoinable.join(", "))));
    }
    let effect = change(call.state, id, &listed);
    Ok(Reply::written(all_shown(call.state, Some(id)), effect))
}

pub(crate) fn get(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id = call.member()?;
    let (group, _) = settled(call)?;
    let members = call.state.members_at(group, call.as_of);
    let since = members.get(&id).ok_or_else(Reply::not_in_group)?;
    let person = call.state.person(id);
    // Before the invitation is accepted there is no user. The reference does not allow a null id in this answer.
    let user = |person: &StoredPerson| with(user(person), "id", person.user_id(id));
    let result = with(shown(id, person), "created_at", person.map(|_| since.to_string()));
    Ok(Reply::read(with(result, "user", person.map(user))))
}

pub(crate) fn remove(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let id = call.member()?;
    let (group, stored) = settled(call)?;
    stored.check_writable()?;
    let unknown = || Reply::invalid_member(format!("{id} is not a member of the account"));
    let removed = shown(id, Some(call.state.person(id).ok_or_else(unknown)?));
    let is_member = call.state.remove_member(group, id);
    is_member.then(|| Reply::written(removed, true)).ok_or_else(Reply::not_in_group)
}

/// The user of a membership. The sandbox has no names of people.
fn user(person: &StoredPerson) -> Value {
    json!({ "email": person.user_email, "first_name": null, "last_name": null })
}

fn shown_person(call: &RoutedCall<'_>, id: MemberId, person: &StoredPerson) -> Value {
    let user = with(user(person), "id", Some(person.user_id(id)));
    let two_factor = person.seed.two_factor.unwrap_or(Some(false));
    let policies = person.policies.iter().map(|policy| shown_policy(call, policy));
    json!({
        "id": id,
        "email": person.email,
        "status": person.seed.status.as_str(),
        "roles": person.seed.roles.iter().map(|name| json!({ "id": hex("role", name), "name": name })).collect::<Vec<_>>(),
        "policies": policies.collect::<Vec<_>>(),
        "user": with(user, "two_factor_authentication_enabled", two_factor),
    })
}

pub(crate) fn list_people(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let orders = ["user.first_name", "user.last_name", "user.email", "status"].map(|order| (order, order));
    let order = call.query.take_word("order", &orders)?.unwrap_or("user.email");
    let statuses = [Invitation::Accepted, Invitation::Pending, Invitation::Rejected];
    let status = call.query.take_word("status", &statuses.map(|status| (status.as_str(), status)))?;
    let (page, info) = call.query.page(&call.state.people_sorted(order, status), 5..=50, 20)?;
    let people = page.into_iter().filter_map(|id| Some(shown_person(call, id, call.state.person(id)?)));
    Ok(Reply::list(people.collect(), info))
}

pub(crate) fn token_user(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let owner = call.state.token_owner.and_then(|id| Some((id, call.state.person(id)?)));
    let no_user = || Reply::error(403, 9109, "Valid user-level authentication not found");
    let (member, person) = owner.ok_or_else(no_user)?;
    Ok(Reply::read(with(user(person), "id", Some(person.user_id(member).ok_or_else(no_user)?))))
}

/// The check of a token. A user's token is known below `/user`, the account's own token below the account.
pub(crate) fn verify_token(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let below_account = call.incoming.id::<AccountId>("account").is_some();
    if below_account == call.state.token_owner.is_some() {
        return Err(Reply::unauthorized());
    }
    let token = json!({ "id": hex("token", "the token"), "status": call.seed.token_status });
    Ok(Reply::read(with(token, "expires_on", call.seed.token_expires_on.as_ref())))
}

pub(crate) fn account(call: &mut RoutedCall<'_>) -> Result<Reply, Reply> {
    let name = call.seed.account_name.as_deref().unwrap_or("Sandbox");
    let account = json!({ "id": call.account(), "name": name, "type": "standard" });
    let organization = call.seed.organization.as_ref();
    let organization =
        organization.map(|name| json!({ "parent_org_id": hex("organization", name), "parent_org_name": name }));
    Ok(Reply::read(with(account, "managed_by", organization)))
}
