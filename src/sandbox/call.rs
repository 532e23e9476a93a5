//! A request that is being processed.

use std::num::NonZeroU32;

use tokio::time::Instant;

use super::answer::ResultInfo;
use super::edit::EditActor;
use super::id;
use super::request::{Ids, Incoming, Paging, Query};
use super::state::{State, StoredPerson};
use crate::model::{AccountId, MemberId};

/// The seed's settings for answers.
#[derive(Clone, Debug)]
pub(crate) struct AnswerSettings {
    pub(crate) account_id: Option<AccountId>,
    pub(crate) token_owner: Option<MemberId>,
    pub(crate) token_owner_email: Option<String>,
    pub(crate) token_name: Option<String>,
    pub(crate) member_status: bool,
}

impl AnswerSettings {
    /// The address of the token's user.
    pub(crate) fn owner_email(&self, owner: &StoredPerson) -> String {
        self.token_owner_email.clone().unwrap_or_else(|| owner.user_email.to_string())
    }

    /// The client as the audit log shows it.
    pub(crate) fn actor(&self, state: &State, by_key: bool) -> EditActor {
        let owner = self.token_owner.and_then(|id| Some((id, state.person(id)?)));
        let token_name =
            (!by_key).then(|| self.token_name.clone().unwrap_or_else(|| "the token of the sandbox".into()));
        EditActor {
            id: owner.and_then(|(id, person)| person.user_id(id)),
            email: owner.map(|(_, person)| self.owner_email(person)),
            context: Some(if by_key { "api_key" } else { "api_token" }.into()),
            token_id: token_name.is_some().then(id::of_token),
            token_name,
            kind: Some(if owner.is_some() { "user" } else { "account" }.into()),
        }
    }
}

pub(crate) struct RouteCall<'a> {
    pub(crate) state: &'a mut State,
    pub(crate) settings: &'a AnswerSettings,
    pub(crate) incoming: &'a Incoming,
    pub(crate) ids: Ids,
    pub(crate) query: Query,
    pub(crate) page_size_cap: Option<NonZeroU32>,
    /// The instant whose members are shown, if reads lag behind.
    pub(crate) as_of: Option<Instant>,
}

/// The entries of one page of a list.
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
