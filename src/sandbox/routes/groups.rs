//! User groups: list, create, get, rename, delete.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{AccountId, GroupId};
use crate::sandbox::answer::{Rejection, Success};
use crate::sandbox::call::{RouteCall, page};
use crate::sandbox::policies::PolicyBody;
use crate::sandbox::request::PageSizes;
use crate::sandbox::state::StoredGroup;

const PAGE_SIZES: PageSizes = PageSizes { least: 1, most: 500, usual: 100 };

/// The body of requests that create or update a group.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: Option<String>,
    policies: Option<Vec<PolicyBody>>,
}

/// A group without policies has no `policies` key.
fn shown(call: &RouteCall<'_>, id: GroupId, group: &StoredGroup) -> Value {
    let mut shown = json!({
        "id": id,
        "name": group.name,
        "created_on": group.created_on.to_string(),
        "modified_on": group.modified_on.to_string(),
    });
    let account = call.ids.account();
    let account = account.as_ref().map_or("", AccountId::as_str);
    let policies: Vec<Value> = group.policies.iter().map(|policy| call.state.catalog.shown(policy, account)).collect();
    if let Some(fields) = shown.as_object_mut() {
        fields.extend(group.status.iter().map(|status| ("status".into(), json!(status))));
        fields.extend((!policies.is_empty()).then(|| ("policies".into(), policies.into())));
    }
    shown
}

fn shown_now(call: &RouteCall<'_>, id: GroupId) -> Result<Value, Rejection> {
    call.state.group(id).map(|group| shown(call, id, group)).ok_or_else(Rejection::no_group)
}

fn checked(call: &RouteCall<'_>, of: Option<GroupId>) -> Result<Body, Rejection> {
    let body: Body = call.incoming.json()?;
    match &body.name {
        Some(name) if name.trim().is_empty() => return Err(Rejection::invalid("a user group's name cannot be empty")),
        Some(name) if call.state.groups().any(|(id, group)| group.name == *name && Some(id) != of) => {
            let message = format!("The user group name {name:?} is already in use");
            return Err(Rejection::bad_request(400, message));
        }
        _ => {}
    }
    let policies = body.policies.iter().flatten();
    policies.clone().try_for_each(PolicyBody::check)?;
    match of.is_some() && policies.clone().any(|policy| policy.id.is_some()) {
        true => Err(Rejection::bad_request(400, "Cannot re-use policy IDs")),
        false => Ok(body),
    }
}

pub(super) fn list(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    let id: Option<GroupId> = call.query.take_id("id")?;
    let name = call.query.take("name");
    let fuzzy = call.query.take("fuzzyName").map(|name| name.to_lowercase());
    let paging = call.query.take_paging(&PAGE_SIZES)?;
    std::mem::take(&mut call.query).finish()?;

    let mut groups: Vec<(GroupId, &StoredGroup)> = call
        .state
        .groups()
        .filter(|(group_id, _)| id.is_none_or(|id| id == *group_id))
        .filter(|(_, group)| name.as_ref().is_none_or(|name| group.name == *name))
        .filter(|(_, group)| fuzzy.as_ref().is_none_or(|part| group.name.to_lowercase().contains(part)))
        .collect();
    groups.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let (groups, info) = page(&groups, paging, call.page_size_cap);
    Ok(Success::page(groups.into_iter().map(|(id, group)| shown(&call, id, group)).collect(), info))
}

pub(super) fn create(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let Body { name, policies } = checked(&call, None)?;
    let name = name.ok_or_else(|| Rejection::invalid("a user group needs a name"))?;
    let id = call.state.create_group(&name, policies.unwrap_or_default());
    Ok(Success::written(shown_now(&call, id)?, true))
}

pub(super) fn get(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let id = call.ids.group()?;
    Ok(Success::read(shown_now(&call, id)?))
}

pub(super) fn update(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let id = call.ids.group()?;
    let group = call.state.group(id).ok_or_else(Rejection::no_group)?;
    let (scim, before) = (group.scim, group.name.clone());
    let Body { name, policies } = checked(&call, Some(id))?;
    if scim && name.as_ref().is_some_and(|name| *name != before) {
        return Err(Rejection::scim());
    }
    let effect = call.state.update_group(id, name.as_deref(), policies);
    Ok(Success::written(shown_now(&call, id)?, effect))
}

pub(super) fn delete(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let id = call.ids.group()?;
    if call.state.group(id).ok_or_else(Rejection::no_group)?.scim {
        return Err(Rejection::scim());
    }
    let effect = call.state.delete_group(id);
    Ok(Success::written(json!({ "id": id }), effect))
}
