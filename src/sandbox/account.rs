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
use super::seed::Delay;
use super::server::Server;
use super::state::StoredGroup;
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
        let email = |id: &MemberId| state.person(*id).map_or_else(|| id.to_string(), |person| person.email.to_string());
        let emails = |group: &StoredGroup| {
            let mut emails: Vec<String> = group.members.keys().map(email).collect();
            emails.sort_by_cached_key(|email| email.to_lowercase());
            emails
        };
        state.groups.values().map(|group| (group.name.clone(), emails(group))).collect()
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
        self.lock().state.history.clone()
    }

    /// The members of a group at an instant, independent of what readings showed.
    pub fn members_at(&self, group: GroupId, at: Instant) -> BTreeSet<MemberId> {
        self.lock().state.members_at(group, Some(at)).into_keys().collect()
    }

    /// The number of writes that were answered or cut but not carried out yet.
    pub fn unlanded(&self) -> usize {
        self.lock().unlanded
    }

    /// Adds a fault rule after the existing ones.
    pub fn push_fault(&self, rule: FaultRule) {
        self.lock().seed.faults.push(rule);
    }

    /// Makes reads of a group's members lag behind writes from now on.
    pub fn set_lag(&self, lag: Duration) {
        self.lock().seed.lag = Delay(lag);
    }

    /// Ends all faults and lag. Late writes are still carried out.
    pub fn clear_faults(&self) {
        let mut server = self.lock();
        server.seed.lag = Delay::default();
        server.seed.faults.clear();
        server.sampler = None;
    }

    /// All requests in the order of arrival, up to the latest 10,000.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.values().cloned().collect()
    }

    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }
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
