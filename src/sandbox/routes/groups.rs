//! User groups: list, create, get, rename, delete.

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::GroupId;
use crate::sandbox::answer::{Rejection, Success};
use crate::sandbox::call::{RouteCall, page};
use crate::sandbox::request::PageSizes;
use crate::sandbox::state::StoredGroup;

const PAGE_SIZES: PageSizes = PageSizes { least: 1, most: 500, usual: 100 };

/// What creating and updating take. Policies are checked for their shape and then forgotten.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    name: Option<String>,
    #[serde(rename = "policies")]
    _policies: Option<Vec<serde_json::Map<String, Value>>>,
}

fn shown(id: GroupId, group: &StoredGroup) -> Value {
    json!({
        "id": id,
        "name": group.name,
        "created_on": group.created_on.to_string(),
        "modified_on": group.modified_on.to_string(),
        "policies": [],
    })
}

fn missing() -> Rejection {
    Rejection::not_found("user group")
}

fn checked_name(body: Body) -> Result<Option<String>, Rejection> {
    match body.name {
        Some(name) if name.trim().is_empty() => Err(Rejection::invalid("a user group's name cannot be empty")),
        name => Ok(name),
    }
}

pub(super) fn list(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    let id: Option<GroupId> = call.query.take_id("id")?;
    let name = call.query.take("name");
    let fuzzy = call.query.take("fuzzyName").map(|name| name.to_lowercase());
    let paging = call.query.take_paging(&PAGE_SIZES)?;
    call.query.finish()?;

    let mut groups: Vec<(GroupId, &StoredGroup)> = call
        .state
        .groups()
        .filter(|(group_id, _)| id.is_none_or(|id| id == *group_id))
        .filter(|(_, group)| name.as_ref().is_none_or(|name| group.name == *name))
        .filter(|(_, group)| fuzzy.as_ref().is_none_or(|part| group.name.to_lowercase().contains(part)))
        .collect();
    groups.sort_by(|(_, a), (_, b)| a.name.cmp(&b.name));
    let (groups, info) = page(&groups, paging, call.page_size_cap);
    Ok(Success::page(groups.into_iter().map(|(id, group)| shown(id, group)).collect(), info))
}

pub(super) fn create(call: RouteCall<'_>) -> Result<Success, Rejection> {
    call.query.finish()?;
    let name = checked_name(call.incoming.json()?)?.ok_or_else(|| Rejection::invalid("a user group needs a name"))?;
    let id = call.state.create_group(&name);
    let group = call.state.group(id).ok_or_else(missing)?;
    Ok(Success::written(shown(id, group), true))
}

pub(super) fn get(call: RouteCall<'_>) -> Result<Success, Rejection> {
    call.query.finish()?;
    let id = call.ids.group()?;
    let group = call.state.group(id).ok_or_else(missing)?;
    Ok(Success::read(shown(id, group)))
}

pub(super) fn update(call: RouteCall<'_>) -> Result<Success, Rejection> {
    call.query.finish()?;
    let id = call.ids.group()?;
    let name = checked_name(call.incoming.json()?)?;
    let group = call.state.group(id).ok_or_else(missing)?;
    let effect = match name {
        Some(name) if name != group.name => {
            if group.scim {
                return Err(Rejection::scim());
            }
            call.state.rename_group(id, &name)
        }
        _ => false,
    };
    let group = call.state.group(id).ok_or_else(missing)?;
    Ok(Success::written(shown(id, group), effect))
}

pub(super) fn delete(call: RouteCall<'_>) -> Result<Success, Rejection> {
    call.query.finish()?;
    let id = call.ids.group()?;
    match call.state.delete_group(id) {
        true => Ok(Success::written(json!({ "id": id }), true)),
        false => Err(missing()),
    }
}
