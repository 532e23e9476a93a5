//! The operations: from an authenticated request to its answer.

use std::num::NonZeroU32;

use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{Rejection, Success};
use super::call::{AnswerSettings, RouteCall};
use super::endpoint::{Endpoint, Route};
use super::fault::FalseClaim;
use super::request::{Ids, Incoming, Query};
use super::state::State;

mod audit;
mod grants;
mod groups;
mod members;
mod people;

pub(crate) fn carry_out(
    state: &mut State,
    settings: &AnswerSettings,
    incoming: &Incoming,
    page_size_cap: Option<NonZeroU32>,
    as_of: Option<Instant>,
) -> Result<Success, Rejection> {
    let route = incoming.route.as_ref().map_err(Clone::clone)?;
    let ids = Ids::read(route, &incoming.path)?;
    if let (Some(mine), Some(asked)) = (settings.account_id, ids.account())
        && mine != asked
    {
        return Err(Rejection::forbidden(9109, "Unauthorized to access requested resource"));
    }
    let query = Query::of(incoming)?;
    let call = RouteCall { state, settings, incoming, ids, query, page_size_cap, as_of };
    let Route { operation, .. } = route;
    match operation {
        Endpoint::ListGroups => groups::list(call),
        Endpoint::CreateGroup => groups::create(call),
        Endpoint::GetGroup => groups::get(call),
        Endpoint::UpdateGroup => groups::update(call),
        Endpoint::DeleteGroup => groups::delete(call),
        Endpoint::ListMembers => members::list(call),
        Endpoint::AddMembers => members::add(call),
        Endpoint::ReplaceMembers => members::replace(call),
        Endpoint::GetMember => members::get(call),
        Endpoint::RemoveMember => members::remove(call),
        Endpoint::ListPeople => people::list(call),
        Endpoint::GetPerson => people::get(call),
        Endpoint::ListPermissionGroups => grants::permission_groups(call),
        Endpoint::ListResourceGroups => grants::resource_groups(call),
        Endpoint::ListAuditLog => audit::list(call),
        Endpoint::GetUser => people::user(call),
        Endpoint::VerifyToken => people::verify(call),
    }
}

/// The answer that claims an effect without carrying out the request. An invalid request is still refused.
pub(crate) fn claimed(
    state: &State,
    settings: &AnswerSettings,
    incoming: &Incoming,
    claim: FalseClaim,
) -> Result<Success, Rejection> {
    let mut imagined = state.clone();
    let done = carry_out(&mut imagined, settings, incoming, None, None)?;
    let members = |mut of: State| match incoming.group() {
        Some(group) => members::all_shown(&mut of, settings, group),
        None => json!([]),
    };
    let result = match claim {
        FalseClaim::Done => done.result,
        FalseClaim::DoneList => members(imagined),
        FalseClaim::Unchanged => members(state.clone()),
        FalseClaim::Empty => json!([]),
        FalseClaim::Null => Value::Null,
    };
    Ok(Success::written(result, false))
}
