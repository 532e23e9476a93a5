//! The members of a group: list, add, replace, get, remove.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::model::{GroupId, MemberId};
use crate::sandbox::answer::{Rejection, Success};
use crate::sandbox::call::{AnswerSettings, RouteCall, page};
use crate::sandbox::request::PageSizes;
use crate::sandbox::seed::Invitation;
use crate::sandbox::state::{State, StoredGroup, StoredPerson};

const PAGE_SIZES: PageSizes = PageSizes { least: 1, most: 500, usual: 100 };

fn shown(id: MemberId, person: Option<&StoredPerson>, with_status: bool) -> Value {
    let mut fields = serde_json::Map::from_iter([("id".into(), json!(id))]);
    if let Some(email) = person.and_then(|person| person.group_email.as_ref()) {
        fields.insert("email".into(), json!(email));
    }
    let status = person.map(|person| person.status).filter(|status| *status != Invitation::Rejected);
    if let (true, Some(status)) = (with_status, status) {
        fields.insert("status".into(), json!(status.as_str()));
    }
    Value::Object(fields)
}

/// The group in the path, unless it is too new to have members.
fn settled<'a>(call: &'a mut RouteCall<'_>) -> Result<(GroupId, &'a StoredGroup), Rejection> {
    let id = call.ids.group()?;
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

/// As [`settled`], unless SCIM manages the group.
fn writable<'a>(call: &'a mut RouteCall<'_>) -> Result<(GroupId, &'a StoredGroup), Rejection> {
    let (id, group) = settled(call)?;
    if group.scim {
        return Err(Rejection::scim());
    }
    Ok((id, group))
}

/// All members of the group, as the answers to writes show them.
pub(super) fn all_shown(state: &mut State, settings: &AnswerSettings, id: GroupId) -> Value {
    let sorted = state.members_by_email(id);
    sorted.iter().map(|id| shown(*id, state.person(*id), settings.member_status)).collect()
}

pub(super) fn list(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    let fuzzy = call.query.take("fuzzyEmail").map(|part| part.to_lowercase());
    let paging = call.query.take_paging(&PAGE_SIZES)?;
    std::mem::take(&mut call.query).finish()?;
    let (id, group) = settled(&mut call)?;
    if group.policy_invalid {
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
    let (ids, info) = page(&sorted, paging, call.page_size_cap);
    let with_status = call.settings.member_status;
    let shown = ids.into_iter().map(|id| shown(id, call.state.person(id), with_status)).collect();
    let mut page = Success::page(shown, info);
    if sorted.is_empty() {
        page.result = Value::Null;
    }
    Ok(page)
}

pub(super) fn add(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let listed = BTreeSet::from_iter(call.incoming.member_list()?);
    let (id, group) = writable(&mut call)?;
    let joining = listed.iter().copied().filter(|member| !group.has(*member)).collect();
    check_members(&call, &listed, &joining)?;
    let effect = call.state.add_members(id, &joining);
    Ok(Success::written(all_shown(call.state, call.settings, id), effect))
}

pub(super) fn replace(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let listed = BTreeSet::from_iter(call.incoming.member_list()?);
    let (id, group) = writable(&mut call)?;
    let joining = listed.iter().copied().filter(|member| !group.has(*member)).collect();
    check_members(&call, &listed, &joining)?;
    let effect = call.state.set_members(id, &listed);
    Ok(Success::written(all_shown(call.state, call.settings, id), effect))
}

/// One bad member makes the API refuse the whole write: all must be account members, and new members must be able to
/// join.
fn check_members(
    call: &RouteCall<'_>,
    listed: &BTreeSet<MemberId>,
    joining: &BTreeSet<MemberId>,
) -> Result<(), Rejection> {
    let person = |id: &MemberId| call.state.person(*id);
    if let Some(unknown) = listed.iter().find(|id| person(id).is_none()) {
        return Err(Rejection::invalid_member(format!("invalid member: {unknown} is not a member of the account")));
    }
    let joining = || joining.iter().filter_map(person);
    if let Some(rejected) = joining().find(|person| person.status == Invitation::Rejected) {
        let message = format!("invalid member: {} has rejected the invitation to the account", rejected.email);
        return Err(Rejection::invalid_member(message));
    }
    let unjoinable: Vec<&str> =
        joining().filter(|person| !person.joinable).map(|person| person.email.as_str()).collect();
    match unjoinable.is_empty() {
        true => Ok(()),
        false => Err(Rejection::invalid_member(format!("members {} do not have DSR enabled", unjoinable.join(", ")))),
    }
}

pub(super) fn get(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let member = call.ids.member()?;
    let (id, group) = settled(&mut call)?;
    let since = group.since(member);
    let since = match call.as_of {
        Some(at) => call.state.members_at(id, at).get(&member).copied(),
        None => since,
    };
    let since = since.ok_or_else(Rejection::not_in_group)?;
    let person = call.state.person(member);
    let mut result = shown(member, person, call.settings.member_status);
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

pub(super) fn remove(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let member = call.ids.member()?;
    let (id, _) = writable(&mut call)?;
    let removed = shown(member, call.state.person(member), call.settings.member_status);
    match call.state.remove_member(id, member) {
        true => Ok(Success::written(removed, true)),
        false if call.state.person(member).is_some() => Err(Rejection::not_in_group()),
        false => Err(Rejection::invalid_member(format!("invalid member: {member} is not a member of the account"))),
    }
}
