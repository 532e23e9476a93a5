//! The operations: from a request that was let in to its answer.

use std::num::NonZeroU32;

use super::answer::{Rejection, ResultInfo, Success};
use super::endpoint::{Endpoint, Route};
use super::request::{Ids, Incoming, Paging, Query};
use super::state::State;
use crate::model::{AccountId, MemberId};

mod groups;
mod members;
mod people;

/// What the seed sets once for all answers.
#[derive(Clone, Debug)]
pub(crate) struct AnswerSettings {
    pub(crate) account_id: Option<AccountId>,
    pub(crate) token_owner: Option<MemberId>,
    pub(crate) member_status: bool,
}

/// A request on its way through its operation.
pub(crate) struct RouteCall<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) settings: &'a AnswerSettings,
    pub(crate) incoming: &'a Incoming,
    pub(crate) ids: Ids,
    pub(crate) query: Query,
    /// The most entries of a page.
    pub(crate) page_size_cap: Option<NonZeroU32>,
}

/// Carries a request out.
pub(crate) fn carry_out(
    state: &mut State,
    settings: &AnswerSettings,
    incoming: &Incoming,
    page_size_cap: Option<NonZeroU32>,
) -> Result<Success, Rejection> {
    let route = incoming.route.as_ref().map_err(Clone::clone)?;
    let ids = Ids::read(route)?;
    if let (Some(mine), Some(asked)) = (settings.account_id, ids.account())
        && mine != asked
    {
        return Err(Rejection::forbidden(9109, "Unauthorized to access requested resource"));
    }
    let query = Query::of(incoming)?;
    let call = RouteCall { state, settings, incoming, ids, query, page_size_cap };
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
        Endpoint::GetUser => people::user(call),
    }
}

/// The part of a sorted list that a page holds.
fn page<T: Clone>(sorted: &[T], paging: Paging, cap: Option<NonZeroU32>) -> (Vec<T>, ResultInfo) {
    let Paging { page, per_page, descending } = paging;
    let per_page = cap.map_or(per_page, |cap| per_page.min(usize::try_from(cap.get()).unwrap_or(per_page)));
    let skipped = per_page.saturating_mul(page.saturating_sub(1));
    let entries: Vec<T> = match descending {
        false => sorted.iter().skip(skipped).take(per_page).cloned().collect(),
        true => sorted.iter().rev().skip(skipped).take(per_page).cloned().collect(),
    };
    let info = ResultInfo { page, per_page, count: entries.len(), total_count: sorted.len() };
    (entries, info)
}
