//! The permission groups and resource groups that policies name.

use serde_json::Value;

use crate::model::AccountId;
use crate::sandbox::answer::{Rejection, Success};
use crate::sandbox::call::{RouteCall, page};
use crate::sandbox::policies::Grantable;
use crate::sandbox::request::PageSizes;

/// The API's reference does not document these limits.
const PAGE_SIZES: PageSizes = PageSizes { least: 1, most: 1000, usual: 100 };

pub(super) fn permission_groups(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    let label = call.query.take("label");
    let all = call.state.catalog.permission_groups.clone();
    let labeled = all.into_iter().filter(|group| label.is_none() || group.label == label).collect();
    list(call, labeled, Grantable::as_permission_group)
}

pub(super) fn resource_groups(call: RouteCall<'_>) -> Result<Success, Rejection> {
    let all = call.state.catalog.resource_groups.clone();
    let account = call.ids.account();
    let account = account.as_ref().map_or("", AccountId::as_str).to_owned();
    list(call, all, |group| group.as_resource_group(&account))
}

fn list(
    mut call: RouteCall<'_>,
    mut all: Vec<Grantable>,
    shown: impl Fn(&Grantable) -> Value,
) -> Result<Success, Rejection> {
    let (id, name) = (call.query.take("id"), call.query.take("name"));
    let paging = call.query.take_paging(&PAGE_SIZES)?;
    std::mem::take(&mut call.query).finish()?;
    all.retain(|group| {
        let is_it = id.as_ref().is_none_or(|id| group.id.eq_ignore_ascii_case(id));
        is_it && name.as_ref().is_none_or(|name| group.name == *name)
    });
    let (chosen, info) = page(&all, paging, call.page_size_cap);
    Ok(Success::page(chosen.iter().map(shown).collect(), info))
}
