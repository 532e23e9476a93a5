//! A request on its way through its operation.

use std::num::NonZeroU32;

use tokio::time::Instant;

use super::answer::ResultInfo;
use super::request::{Ids, Incoming, Paging, Query};
use super::state::State;
use crate::model::{AccountId, MemberId};

/// What the seed sets once for all answers.
#[derive(Clone, Debug)]
pub(crate) struct AnswerSettings {
    pub(crate) account_id: Option<AccountId>,
    pub(crate) token_owner: Option<MemberId>,
    pub(crate) token_owner_email: Option<String>,
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
    /// The instant whose members are shown, where reads lag behind.
    pub(crate) as_of: Option<Instant>,
}

/// The part of a sorted list that a page holds.
pub(crate) fn page<T: Clone>(sorted: &[T], paging: Paging, cap: Option<NonZeroU32>) -> (Vec<T>, ResultInfo) {
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
