//! The members of groups, the account's members, and the token and its user.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Rejection, Success};
use super::request::{Call, PageSizes};
use super::seed::{Invitation, Seed};
use super::state::{Order, State, StoredGroup, StoredPerson, hex};
use crate::model::{AccountId, GroupId, MemberId};

const PAGE_SIZES: PageSizes = PageSizes { least: 1, most: 500, usual: 100 };

fn shown(id: MemberId, person: Option<&StoredPerson>, with_status: bool) -> Value {
    let mut fields = serde_json::Map::from_iter([("id".into(), json!(id))]);
    if let Some(email) = person.and_then(|person| person.group_email.as_ref()) {
        fields.insert("email".into(), json!(email));
    }
    let status = person.map(|person| person.seed.status).filter(|status| *status != Invitation::Rejected);
    if let (true, Some(status)) = (with_status, status) {
        fields.insert("status".into(), json!(status.as_str()));
    }
    Value::Object(fields)
}

/// The group in the path, unless it is too new to have members.
fn settled<'a>(call: &'a mut Call<'_>) -> Result<(GroupId, &'a StoredGroup), Rejection> {
    let id = call.group()?;
    let group = call.state.group_mut(id).ok_or_else(Rejection::no_group)?;
    if group.settles_at.is_some_and(|at| Instant::now() < at) {
        return Err(Rejection::no_group());
    }
    if group.settling > 0 {
        group.settling -= 1;
        return Err(Rejection::no_group());
    }
    Ok((id, group))
}

fn writable<'a>(call: &'a mut Call<'_>) -> Result<(GroupId, &'a StoredGroup), Rejection> {
    let (id, group) = settled(call)?;
    if group.seed.scim {
        return Err(Rejection::scim());
    }
    Ok((id, group))
}

/// All members of the group, as the answers to writes show them.
pub(crate) fn all_shown(state: &mut State, seed: &Seed, id: GroupId) -> Value {
    let sorted = state.members_by_email(id);
    sorted.iter().map(|id| shown(*id, state.person(*id), seed.member_status.unwrap_or(true))).collect()
}

pub(crate) fn list(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let fuzzy = call.query.take("fuzzyEmail").map(|part| part.to_lowercase());
    let paging = call.last_paging(&PAGE_SIZES)?;
    let (id, group) = settled(call)?;
    if group.seed.policy_invalid {
        return Err(Rejection::policy_invalid());
    }

    let mut sorted = match call.as_of {
        Some(at) => call.state.members_by_email_at(id, at),
        None => call.state.members_by_email(id),
    };
    if let Some(part) = fuzzy {
        let matches = |id: &MemberId| {
            let email = call.state.person(*id).and_then(|person| person.group_email.as_ref());
            email.is_some_and(|email| email.folded().contains(&part))
        };
        sorted = sorted.iter().copied().filter(matches).collect();
    }
    let with_status = call.seed.member_status.unwrap_or(true);
    let mut page = Success::page(&sorted, paging, |id| shown(*id, call.state.person(*id), with_status));
    if sorted.is_empty() {
        page.result = Value::Null;
    }
    Ok(page)
}

pub(crate) fn add(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let listed = BTreeSet::from_iter(call.incoming.member_list()?);
    let (id, group) = writable(call)?;
    let joining = listed.iter().copied().filter(|member| !group.has(*member)).collect();
    check_members(call, &listed, &joining)?;
    let effect = call.state.add_members(id, &joining);
    Ok(Success::written(all_shown(call.state, call.seed, id), effect))
}

pub(crate) fn replace(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let listed = BTreeSet::from_iter(call.incoming.member_list()?);
    let (id, group) = writable(call)?;
    let joining = listed.iter().copied().filter(|member| !group.has(*member)).collect();
    check_members(call, &listed, &joining)?;
    let effect = call.state.set_members(id, &listed);
    Ok(Success::written(all_shown(call.state, call.seed, id), effect))
}

/// One bad member makes the API refuse the whole write: all must be account members, and new members must be able to
/// join.
fn check_members(call: &Call<'_>, listed: &BTreeSet<MemberId>, joining: &BTreeSet<MemberId>) -> Result<(), Rejection> {
    let person = |id: &MemberId| call.state.person(*id);
    if let Some(unknown) = listed.iter().find(|id| person(id).is_none()) {
        return Err(Rejection::invalid_member(format!("invalid member: {unknown} is not a member of the account")));
    }
    let joining = || joining.iter().filter_map(person);
    if let Some(rejected) = joining().find(|person| person.seed.status == Invitation::Rejected) {
        let message = format!("invalid member: {} has rejected the invitation to the account", rejected.email);
        return Err(Rejection::invalid_member(message));
    }
    let unjoinable: Vec<&str> =
        joining().filter(|person| !person.seed.joinable).map(|person| person.email.as_str()).collect();
    if unjoinable.is_empty() {
        Ok(())
    } else {
        Err(Rejection::invalid_member(format!("members {} do not have DSR enabled", unjoinable.join(", "))))
    }
}

pub(crate) fn get(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let member = call.member()?;
    let (id, group) = settled(call)?;
    let since = group.since(member);
    let since = match call.as_of {
        Some(at) => call.state.members_at(id, at).get(&member).copied(),
        None => since,
    };
    let since = since.ok_or_else(Rejection::not_in_group)?;
    let person = call.state.person(member);
    let mut result = shown(member, person, call.seed.member_status.unwrap_or(true));
    if let (Some(fields), Some(person)) = (result.as_object_mut(), person) {
        fields.insert("created_at".into(), json!(since.to_string()));
        fields.insert("user".into(), user(member, person));
    }
    Ok(Success::read(result))
}

/// The user of a membership. Before the invitation is accepted there is no user. The reference does not allow a null
/// id in this answer, so the id is left out.
fn user(id: MemberId, person: &StoredPerson) -> Value {
    let mut user = json!({ "email": person.user_email, "first_name": null, "last_name": null });
    if let Some(fields) = user.as_object_mut() {
        fields.extend(person.user_id(id).map(|id| ("id".into(), json!(id))));
    }
    user
}

pub(crate) fn remove(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let member = call.member()?;
    let (id, _) = writable(call)?;
    let removed = shown(member, call.state.person(member), call.seed.member_status.unwrap_or(true));
    if call.state.remove_member(id, member) {
        Ok(Success::written(removed, true))
    } else if call.state.person(member).is_some() {
        Err(Rejection::not_in_group())
    } else {
        Err(Rejection::invalid_member(format!("invalid member: {member} is not a member of the account")))
    }
}

const PEOPLE_SIZES: PageSizes = PageSizes { least: 5, most: 50, usual: 20 };

/// The sandbox has no names of people, so they are all equal when sorted by name.
const ORDERS: [(&str, Order); 4] = [
    ("user.first_name", Order::Id),
    ("user.last_name", Order::Id),
    ("user.email", Order::Email),
    ("status", Order::Status),
];

const STATUSES: [(&str, Invitation); 3] =
    [("accepted", Invitation::Accepted), ("pending", Invitation::Pending), ("rejected", Invitation::Rejected)];

fn shown_person(call: &Call<'_>, id: MemberId, person: &StoredPerson) -> Value {
    let mut user = json!({
        "id": person.user_id(id),
        "email": person.user_email,
        "first_name": null,
        "last_name": null,
    });
    if let (Some(fields), Some(two_factor)) = (user.as_object_mut(), person.seed.two_factor.unwrap_or(Some(false))) {
        fields.insert("two_factor_authentication_enabled".into(), json!(two_factor));
    }
    let policies = person.policies.iter().map(|policy| call.state.catalog.shown(policy, &call.account()));
    json!({
        "id": id,
        "email": person.email,
        "status": person.seed.status.as_str(),
        "roles": person.seed.roles.iter().map(|name| json!({ "id": hex("role", name), "name": name })).collect::<Vec<_>>(),
        "policies": policies.collect::<Vec<_>>(),
        "user": user,
    })
}

pub(crate) fn list_people(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let order = call.query.take_word("order", &ORDERS)?.unwrap_or(Order::Email);
    let status = call.query.take_word("status", &STATUSES)?;
    let paging = call.last_paging(&PEOPLE_SIZES)?;
    let sorted = call.state.people_sorted(order, status);
    Ok(Success::page(&sorted, paging, |id| {
        call.state.person(*id).map_or(Value::Null, |person| shown_person(call, *id, person))
    }))
}

pub(crate) fn get_person(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let id = call.member()?;
    let person = call.state.person(id).ok_or_else(|| Rejection::not_found("Member not found in the account"))?;
    Ok(Success::read(shown_person(call, id, person)))
}

pub(crate) fn token_user(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let owner = call.state.token_owner.and_then(|id| Some((id, call.state.person(id)?)));
    let no_user = || Rejection::forbidden(9109, "Valid user-level authentication not found");
    let (member, person) = owner.ok_or_else(no_user)?;
    Ok(Success::read(json!({
        "id": person.user_id(member).ok_or_else(no_user)?,
        "email": owner_email(call.seed, person),
        "first_name": null,
        "last_name": null,
    })))
}

/// The check of a token. A user's token is known below `/user`, the account's own token below the account.
pub(crate) fn verify_token(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let below_account = call.incoming.id::<AccountId>("account").is_some();
    if below_account == call.state.token_owner.is_some() {
        return Err(Rejection::unauthorized());
    }
    let mut token = json!({ "id": hex("token", "the token"), "status": call.seed.token_status });
    if let (Some(expires), Some(fields)) = (&call.seed.token_expires_on, token.as_object_mut()) {
        fields.insert("expires_on".into(), json!(expires));
    }
    Ok(Success::read(token))
}

pub(crate) fn account(call: &mut Call<'_>) -> Result<Success, Rejection> {
    let name = call.seed.account_name.as_deref().unwrap_or("Sandbox");
    let mut account = json!({ "id": call.account(), "name": name, "type": "standard" });
    if let (Some(name), Some(fields)) = (&call.seed.organization, account.as_object_mut()) {
        let organization = json!({ "parent_org_id": hex("organization", name), "parent_org_name": name });
        fields.insert("managed_by".into(), organization);
    }
    Ok(Success::read(account))
}

pub(crate) fn owner_email(seed: &Seed, owner: &StoredPerson) -> String {
    seed.token_owner_email.clone().unwrap_or_else(|| owner.user_email.to_string())
}
