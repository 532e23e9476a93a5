//! A handle on the account of a running sandbox, and what it remembers: memberships that changed, and requests.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::edit::Edit;
use super::fault::Fault;
use super::routes::Endpoint;
use super::rules::FaultRule;
use super::server::Server;
use super::state::{AccountState, StoredGroup};
use crate::model::{GroupId, MemberId};

/// The account of a running sandbox. Clones are handles on the same account, which outlives the server.
///
/// Groups are found by name, people by email or id.
#[derive(Clone, Debug)]
pub struct Account(Arc<Mutex<Server>>);

impl Account {
    pub(crate) fn new(server: Server) -> Self {
        Self(Arc::new(Mutex::new(server)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Server> {
        // After a panic the account is still consistent, because every change is made in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of the members of each group, in order.
    pub fn memberships(&self) -> BTreeMap<String, Vec<String>> {
        let state = &self.lock().state;
        state.groups().map(|(_, group)| (group.name.clone(), emails(state, group))).collect()
    }

    pub fn group_id(&self, name: &str) -> Option<GroupId> {
        self.lock().state.group_named(name)
    }

    pub fn person_id(&self, email: &str) -> Option<MemberId> {
        self.lock().state.find_person(email)
    }

    /// Makes a change as another actor; returns whether it changed anything.
    pub fn edit(&self, edit: &Edit) -> bool {
        self.lock().state.edit(edit)
    }

    pub fn restore_token(&self) {
        self.lock().state.token_revoked = false;
    }

    /// All changes of memberships since the sandbox started, in order.
    pub fn history(&self) -> Vec<MembershipChange> {
        self.lock().state.history.changes.clone()
    }

    /// The members of a group at an instant, independent of what readings showed.
    pub fn members_at(&self, group: GroupId, at: Instant) -> BTreeSet<MemberId> {
        self.lock().state.members_at(group, at).into_keys().collect()
    }

    /// The number of writes that were answered or cut but not carried out yet.
    pub fn unlanded(&self) -> usize {
        self.lock().unlanded
    }

    /// Adds a fault rule after the existing ones.
    pub fn push_fault(&self, rule: FaultRule) {
        self.lock().rules.push(rule);
    }

    /// Makes reads of a group's members lag behind writes from now on.
    pub fn set_lag(&self, lag: Duration) {
        self.lock().lag = lag;
    }

    /// Ends all faults and lag. Late writes are still carried out.
    pub fn clear_faults(&self) {
        let mut server = self.lock();
        server.lag = Duration::ZERO;
        server.rules.clear();
        server.sampler = None;
    }

    /// All requests in the order of arrival, up to the latest 100,000.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().log.requests().cloned().collect()
    }

    pub fn clear_requests(&self) {
        self.lock().log.clear();
    }
}

fn emails(state: &AccountState, group: &StoredGroup) -> Vec<String> {
    let email = |id| state.person(id).map_or_else(|| id.to_string(), |person| person.email.to_string());
    let mut emails: Vec<String> = group.members.keys().copied().map(email).collect();
    emails.sort_by_cached_key(|email| email.to_lowercase());
    emails
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    pub group: GroupId,
    pub member: MemberId,
    /// `false` if the member left.
    pub joined: bool,
    /// When the membership began, as the API shows it.
    pub since: Timestamp,
    /// The number of the request that made the change; `None` if another actor made it.
    pub request: Option<u64>,
    /// The number of requests that had arrived by then.
    pub after: u64,
    pub at: Instant,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct History {
    changes: Vec<MembershipChange>,
    request: Option<u64>,
    arrived: u64,
}

impl History {
    pub(crate) fn arrived(&mut self, number: u64) {
        self.arrived = number;
    }

    /// Attributes the following changes to a request, or to another actor.
    pub(crate) fn attribute(&mut self, request: Option<u64>) {
        self.request = request;
    }

    pub(crate) fn record(
        &mut self,
        group: GroupId,
        before: &BTreeMap<MemberId, Timestamp>,
        now: &BTreeMap<MemberId, Timestamp>,
    ) {
        let left = before.iter().filter(|(id, _)| !now.contains_key(id)).map(|(id, since)| (*id, *since, false));
        let joined = now.iter().filter(|(id, _)| !before.contains_key(id)).map(|(id, since)| (*id, *since, true));
        let (request, after, at) = (self.request, self.arrived, Instant::now());
        self.changes.extend(left.chain(joined).map(|(member, since, joined)| MembershipChange {
            group,
            member,
            joined,
            since,
            request,
            after,
            at,
        }));
    }

    /// The changes of a group after an instant, the latest first.
    fn since(&self, group: GroupId, at: Instant) -> impl Iterator<Item = &MembershipChange> {
        let later = self.changes.iter().rev().take_while(move |change| change.at > at);
        later.filter(move |change| change.group == group)
    }

    /// Whether a group has changed since an instant.
    pub(crate) fn changed_since(&self, group: GroupId, at: Instant) -> bool {
        self.since(group, at).next().is_some()
    }

    /// The members of a group at an instant, given its members now.
    pub(crate) fn members_at(
        &self,
        group: GroupId,
        mut members: BTreeMap<MemberId, Timestamp>,
        at: Instant,
    ) -> BTreeMap<MemberId, Timestamp> {
        for change in self.since(group, at) {
            if change.joined {
                members.remove(&change.member)
            } else {
                members.insert(change.member, change.since)
            };
        }
        members
    }
}

/// The maximum number of stored requests, because a sandbox can run for weeks.
const MOST: usize = 100_000;

/// The maximum number of requests whose listed members are stored.
const MOST_SHOWN: u64 = 10_000;

#[derive(Clone, Debug)]
pub struct Request {
    /// From 1 in the order of arrival; the answer's `cf-ray` contains it.
    pub number: u64,
    pub method: String,
    pub path: String,
    /// The query as it was sent, without the `?`.
    pub query: Option<String>,
    /// `None` if no operation has this method and path.
    pub operation: Option<Endpoint>,
    pub group: Option<GroupId>,
    pub member: Option<MemberId>,
    /// The ids in the body, in its order.
    pub body_ids: Vec<MemberId>,
    pub fault: Option<Fault>,
    /// The status of the answer, received or not; `None` before the answer, or if the connection was cut before the
    /// first byte.
    pub status_sent: Option<u16>,
    pub effect: bool,
    pub arrived: Instant,
    /// When its answer was ready or its connection was closed.
    pub answered: Option<Instant>,
    /// The ids that its answer listed, as sent; `None` if it was not a list.
    pub shown: Option<Vec<MemberId>>,
}

impl Request {
    /// A request that has just arrived, without a number.
    pub(crate) fn new(method: &str, path: &str, query: Option<&str>) -> Self {
        Self {
            number: 0,
            method: method.into(),
            path: path.into(),
            query: query.map(String::from),
            operation: None,
            group: None,
            member: None,
            body_ids: Vec::new(),
            fault: None,
            status_sent: None,
            effect: false,
            arrived: Instant::now(),
            answered: None,
            shown: None,
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    requests: BTreeMap<u64, Request>,
    last: u64,
}

impl RequestLog {
    /// Records a request on arrival; returns its number.
    pub(crate) fn arrived(&mut self, mut request: Request) -> u64 {
        self.last += 1;
        request.number = self.last;
        self.requests.insert(self.last, request);
        if self.requests.len() > MOST {
            self.requests.pop_first();
        }
        self.last
    }

    pub(crate) fn carried_out(&mut self, number: u64, effect: bool) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.effect = effect;
        }
    }

    pub(crate) fn answered(&mut self, number: u64, status_sent: Option<u16>, shown: Option<Vec<MemberId>>) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.status_sent = status_sent;
            request.answered = Some(Instant::now());
            request.shown = shown;
        }
        if let Some(past) = number.checked_sub(MOST_SHOWN).and_then(|number| self.requests.get_mut(&number)) {
            past.shown = None;
        }
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.values()
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_requests_are_remembered() {
        let request = Request::new("GET", "", None);
        let mut log = RequestLog::default();
        let last = (0..=MOST).map(|_| log.arrived(request.clone())).last();
        log.answered(1, Some(200), None);
        let numbers: Vec<u64> = log.requests().map(|request| request.number).collect();
        assert_eq!((numbers.len(), numbers.first(), numbers.last().copied()), (MOST, Some(&2), last));
    }
}
