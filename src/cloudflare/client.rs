//! The operations of the API that convoke needs.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use reqwest::Method;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::sync::{Semaphore, watch};

use super::answer::{ListPage, RawAnswer};
use super::call::{Answered, Call, Shared};
use super::config::{ClientConfig, ClientError, Credentials};
use super::error::{ApiError, ApiErrorKind, Fate};
use super::http;
use super::listing::Listing;
use super::pacer::{Pacer, Wait};
use super::retry::Retry;
use super::search::MemberSearch;
use super::wire::{self, ApiOperation, AuditEntry};
use crate::model::{
    AccountInfo, Email, GroupId, GroupRef, GroupSummary, Member, MemberId, Membership, Person, ScimGroup, TokenOwner,
    TokenUser, UserId,
};

/// The maximum page size for groups and for members of a group.
const GROUPS_PER_PAGE: u64 = 500;
const PEOPLE_PER_PAGE: u64 = 50;

/// The result of a change: the members of the group after it, if the answer lists all of them. An error's fate says
/// whether the change may have been made.
pub type Written = Result<Answered<Option<BTreeSet<MemberId>>>, ApiError>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MemberDetail {
    /// When the member was added to the group; `None` if the API does not report it.
    pub added_at: Option<Timestamp>,
}

/// Calls the API for one account. Clones share connections, limits and counts.
///
/// A request can wait for the answer to another. If you stop polling one operation while you await another, both can
/// wait forever: await them together, for example with a join.
#[derive(Clone, Debug)]
pub struct Client {
    pub(super) shared: Arc<Shared>,
    /// Whether its reads may still be sent for a short time after a stop.
    settles: bool,
}

impl Client {
    /// A client that has not connected yet.
    ///
    /// # Errors
    ///
    /// If the credentials cannot be sent, or TLS cannot be set up.
    pub fn new(config: ClientConfig) -> Result<Self, ClientError> {
        let shared = Shared {
            http: http::connections(&config)?,
            pacer: Pacer::default(),
            on_their_way: Semaphore::new(config.concurrency()),
            stopped: watch::Sender::new(None),
            history: Mutex::default(),
            config,
        };
        Ok(Self { shared: Arc::new(shared), settles: false })
    }

    /// The number of HTTP requests sent so far, including retries.
    pub fn requests(&self) -> u64 {
        self.history().requests
    }

    /// The pages of lists that were read, and the number of those that are known to be needed so far.
    pub fn pages(&self) -> (u64, u64) {
        let history = self.history();
        (history.pages_read, history.pages_expected)
    }

    pub fn wait_notice(&self) -> watch::Receiver<Vec<Wait>> {
        self.shared.pacer.waits.subscribe()
    }

    /// Of the waits that have begun and not ended, the one that ends last.
    pub fn longest_wait(&self) -> Option<Wait> {
        self.shared.pacer.longest_wait()
    }

    pub fn concurrency(&self) -> usize {
        self.shared.config.concurrency()
    }

    /// The same client for reads that settle a write. They continue until [`Client::settles_until`].
    pub fn settling(&self) -> Self {
        Self { settles: true, ..self.clone() }
    }

    /// All groups of the account.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; `Incomplete` if every reading of the list contradicts itself.
    pub async fn user_groups(&self) -> Result<BTreeMap<GroupId, GroupSummary>, ApiError> {
        let call = self.read(ApiOperation::ListGroups, None, &["iam", "user_groups"]);
        let (groups, began) = Listing::new(self, call, GROUPS_PER_PAGE, |group: &wire::Group| group.id).read().await?;
        let groups: BTreeMap<GroupId, GroupSummary> =
            groups.into_iter().map(|(id, group)| (id, group.into())).collect();
        let created = groups.iter().filter_map(|(id, group)| Some((*id, group.created_on?)));
        let mut history = self.history();
        history.created.extend(created);
        history.readings.insert(None, began);
        Ok(groups)
    }

    /// All members of a group. A group that the last list of groups shows to be new gets some seconds to be found.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; `Incomplete` if every reading of the list contradicts itself.
    pub async fn group_members(&self, group: &GroupRef) -> Result<Membership, ApiError> {
        let path = ["iam", "user_groups", group.id.as_str(), "members"];
        let call = self.read(ApiOperation::ListGroupMembers, Some(group), &path);
        let (members, began) =
            Listing::new(self, call, GROUPS_PER_PAGE, |member: &wire::GroupMember| member.id).read().await?;
        self.history().readings.insert(Some(group.id), began);
        let member = |(id, wire::GroupMember { email, status, .. })| (id, Member { id, email, status });
        Ok(members.into_iter().map(member).collect())
    }

    /// All members of the account.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]; `Incomplete` if every reading of the list contradicts itself.
    pub async fn account_members(&self) -> Result<BTreeMap<MemberId, Person>, ApiError> {
        Ok(self.member_search(BTreeSet::new()).find(&BTreeSet::new(), true).await?.0)
    }

    /// A search for members by address. A sample of addresses that are probably among theirs makes it faster.
    pub fn member_search(&self, sample: BTreeSet<Email>) -> MemberSearch {
        MemberSearch::new(self.clone(), sample)
    }

    pub(super) fn account_listing(&self) -> Listing<'_, MemberId, wire::AccountMember> {
        // A fixed order prevents rows from moving between pages.
        let mut call = self.read(ApiOperation::ListAccountMembers, None, &["members"]);
        call.url.query_pairs_mut().append_pair("order", "user.email").append_pair("direction", "asc");
        Listing::new(self, call, PEOPLE_PER_PAGE, |member| member.id)
    }

    /// The newest entries of the audit log between two times, or the page of older entries at `cursor`. Entries can
    /// be late or missing, so a missing entry proves nothing.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]. A refusal is not retried.
    pub async fn audit_log(
        &self,
        since: Timestamp,
        before: Timestamp,
        cursor: Option<&str>,
    ) -> Result<ListPage<AuditEntry>, ApiError> {
        let (since, before) = (since.to_string(), before.to_string());
        let mut query = vec![("since", since.as_str()), ("before", before.as_str())];
        query.extend(cursor.map(|cursor| ("cursor", cursor)));
        let call = self.question(ApiOperation::ReadAuditLog, &["logs", "audit"], &query);
        Ok(self.call(&call).await?.result)
    }

    /// One member of a group, or `None` if the API finds no such member or no such group.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`] except `NotFound`.
    pub async fn group_member(&self, group: &GroupRef, member: MemberId) -> Result<Option<MemberDetail>, ApiError> {
        let path = ["iam", "user_groups", group.id.as_str(), "members", member.as_str()];
        let call = self.read(ApiOperation::ReadGroupMember(member), Some(group), &path);
        self.history().pages_expected += 1;
        let answer = self.call::<RawAnswer<wire::GroupMember>>(&call).await.map(|answer| answer.result.result);
        self.history().pages_read += 1;
        match answer {
            Ok(found) => Ok((found.id == member).then_some(MemberDetail { added_at: found.created_at })),
            Err(error) if error.kind == ApiErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The user of the credentials; `Nobody` if they have no user or may not read it.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`] except those that mean that there is no answer.
    pub async fn token_user(&self) -> Result<TokenUser, ApiError> {
        let user: Option<wire::User> = self.ask(ApiOperation::ReadTokenOwner, &["user"]).await?;
        let owner = user.and_then(|wire::User { id, email }| Some(TokenOwner { user_id: UserId::new(&id)?, email }));
        Ok(owner.map_or(TokenUser::Nobody, TokenUser::Known))
    }

    /// What the API tells about the account; nothing if the credentials may not read it.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`] except a refusal.
    pub async fn account_info(&self) -> Result<AccountInfo, ApiError> {
        let account: Option<Value> = self.ask(ApiOperation::ReadAccount, &[]).await?;
        Ok(account.map(|account| wire::account_info(&account)).unwrap_or_default())
    }

    /// The groups as the list for identity providers shows them. Nothing is retried for lack of permission.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`], refusals included.
    pub async fn scim_groups(&self) -> Result<Vec<ScimGroup>, ApiError> {
        let path = ["scim", "v2", "Groups"];
        let mut groups: Vec<ScimGroup> = Vec::new();
        loop {
            let start = (groups.len() + 1).to_string();
            let query = [("startIndex", start.as_str()), ("count", "500")];
            let call = self.question(ApiOperation::ListScimGroups, &path, &query);
            let page: wire::ScimPage = self.call(&call).await?.result;
            let (rows, total) = (page.groups(), page.total);
            if total > 0 && (rows.is_empty() || rows.iter().any(|row| groups.contains(row))) {
                let detail = format!("a page does not continue the list of {total} groups");
                return Err(call.error(ApiErrorKind::Incomplete, Fate::Unknown).with_detail(detail));
            }
            groups.extend(rows);
            if groups.len() >= total {
                return Ok(groups);
            }
        }
    }

    /// The answer to a reading that the credentials may not be allowed to make, as the API sends it. A path that does
    /// not begin with `user` is below the account.
    ///
    /// # Errors
    ///
    /// Any [`ApiError`]. Only a list is retried after a refusal, because the token may be new.
    pub async fn raw(
        &self,
        operation: ApiOperation,
        path: &[&str],
        query: &[(&str, &str)],
    ) -> Result<RawAnswer, ApiError> {
        use ApiOperation as O;
        let mut call = self.question(operation, path, query);
        if matches!(operation, O::ListGroups | O::ListGroupMembers | O::ListAccountMembers) {
            call.retry = Retry::Read;
        }
        let answer: RawAnswer = self.call(&call).await?.result;
        let (fits, kind) = match operation {
            O::ReadAccount | O::ReadTokenOwner | O::VerifyToken => (answer.result.is_object(), "an object"),
            _ => (answer.result.is_array() || answer.result.is_null(), "a list"),
        };
        let wrong = || call.error(ApiErrorKind::Malformed, Fate::Unknown);
        if fits { Ok(answer) } else { Err(wrong().with_detail(format!("its \"result\" is not {kind}"))) }
    }

    /// The answer, or `None` if it was refused.
    async fn ask<T: DeserializeOwned>(&self, operation: ApiOperation, path: &[&str]) -> Result<Option<T>, ApiError> {
        match self.call::<RawAnswer<T>>(&self.question(operation, path, &[])).await {
            Ok(answer) => Ok(Some(answer.result.result)),
            Err(error) if error.is_refusal() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Whether the credentials are a user's API key.
    pub fn uses_key(&self) -> bool {
        matches!(self.shared.config.credentials, Credentials::Key { .. })
    }

    /// How far the API's clock is ahead of this machine's, by the last answer; `None` if no answer had a time.
    pub fn clock_ahead(&self) -> Option<SignedDuration> {
        self.history().clock_ahead
    }

    /// The requests that the last answer left, and for how long.
    pub fn allowance(&self) -> Option<(u64, Duration)> {
        self.history().allowance
    }

    fn question(&self, operation: ApiOperation, path: &[&str], query: &[(&str, &str)]) -> Call {
        let mut call = Call { retry: Retry::ReadIfAllowed, settles: false, ..self.read(operation, None, path) };
        if !query.is_empty() {
            call.url.query_pairs_mut().extend_pairs(query);
        }
        call
    }

    /// Adds members to a group. Members who are already in the group are allowed. One bad member makes the API refuse
    /// all. `may_send` is asked immediately before each attempt, after all waiting.
    pub async fn add_members(&self, group: &GroupRef, members: &[MemberId], may_send: &dyn Fn() -> bool) -> Written {
        self.write(ApiOperation::AddMembers(members.len()), group, members, may_send).await
    }

    /// Makes these the only members of the group. The request is tried once and not delayed for long, because the
    /// caller's reading becomes outdated. The caller must read the group again before another attempt. One bad member
    /// makes the API refuse all.
    pub async fn replace_members(&self, group: &GroupRef, members: &[MemberId]) -> Written {
        self.write(ApiOperation::ReplaceMembers(members.len()), group, members, &|| true).await
    }

    /// Removes a member from a group. The API refuses this if the member is not in the group. `may_send` is asked
    /// immediately before each attempt, after all waiting.
    pub async fn remove_member(&self, group: &GroupRef, member: MemberId, may_send: &dyn Fn() -> bool) -> Written {
        self.write(ApiOperation::RemoveMember(member), group, &[], may_send).await
    }

    /// A reading. A path that does not begin with `user` is below the account.
    fn read(&self, operation: ApiOperation, group: Option<&GroupRef>, path: &[&str]) -> Call {
        let config = &self.shared.config;
        let account = ["accounts", config.account_id.as_str()];
        let above = if path.first() == Some(&"user") { &[] } else { account.as_slice() };
        Call {
            operation,
            group: group.cloned(),
            method: Method::GET,
            url: config.base_url.join(above.iter().chain(path).copied()),
            body: None,
            retry: Retry::Read,
            settles: self.settles,
        }
    }

    async fn write(
        &self,
        operation: ApiOperation,
        group: &GroupRef,
        members: &[MemberId],
        may_send: &dyn Fn() -> bool,
    ) -> Written {
        let mut path = vec!["iam", "user_groups", group.id.as_str(), "members"];
        let (method, retry) = match &operation {
            ApiOperation::ReplaceMembers(_) => (Method::PUT, Retry::Never),
            ApiOperation::RemoveMember(member) => {
                path.push(member.as_str());
                (Method::DELETE, Retry::Unsent)
            }
            _ => (Method::POST, Retry::Unsent),
        };
        // The answer to a POST is known, but not documented, to list the whole group. The answer to a DELETE proves
        // nothing.
        let lists_members = method != Method::DELETE;
        let rows: Value = members.iter().map(|id| json!({ "id": id })).collect();
        let body = lists_members.then(|| rows.to_string().into_bytes());
        let call = Call { method, body, retry, settles: false, ..self.read(operation, Some(group), &path) };
        let Answered { result, ray, began } = self.call_if::<RawAnswer>(&call, may_send).await?;
        Ok(Answered { result: result.members().filter(|_| lists_members), ray, began })
    }
}
