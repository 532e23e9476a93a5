//! A handle on the account of a running sandbox: its contents, edits by others, and the requests received.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use super::edit::Edit;
use super::history::MembershipChange;
use super::log::Request;
use super::rules::FaultRule;
use super::server::Server;
use super::state::State;
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

    fn read<T>(&self, read: impl FnOnce(&mut State) -> T) -> T {
        read(&mut self.lock().state)
    }

    /// The emails of every group's members, sorted.
    #[must_use]
    pub fn memberships(&self) -> BTreeMap<String, Vec<String>> {
        self.read(|state| {
            let groups: Vec<(GroupId, String)> = state.groups().map(|(id, group)| (id, group.name.clone())).collect();
            groups.into_iter().map(|(id, name)| (name, emails(state, id))).collect()
        })
    }

    #[must_use]
    pub fn group_id(&self, name: &str) -> Option<GroupId> {
        self.read(|state| state.group_named(name))
    }

    #[must_use]
    pub fn person_id(&self, email: &str) -> Option<MemberId> {
        self.read(|state| state.find_person(email))
    }

    /// Makes a change as another actor; returns whether it changed anything.
    pub fn edit(&self, edit: &Edit) -> bool {
        self.read(|state| state.edit(edit))
    }

    pub fn restore_token(&self) {
        self.lock().state.token_revoked = false;
    }

    /// All changes of memberships since the sandbox started, in order.
    #[must_use]
    pub fn history(&self) -> Vec<MembershipChange> {
        self.read(|state| state.history.changes().to_vec())
    }

    /// The members of a group at an instant, independent of what readings showed.
    #[must_use]
    pub fn members_at(&self, group: GroupId, at: Instant) -> BTreeSet<MemberId> {
        self.read(|state| state.members_at(group, at).into_keys().collect())
    }

    /// The number of writes that were answered or cut but not carried out yet.
    #[must_use]
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
        server.dealer = None;
    }

    /// All requests in the order of arrival, up to the latest 100,000.
    #[must_use]
    pub fn requests(&self) -> Vec<Request> {
        self.lock().log.requests().cloned().collect()
    }

    pub fn clear_requests(&self) {
        self.lock().log.clear();
    }
}

fn emails(state: &mut State, group: GroupId) -> Vec<String> {
    let mut people: Vec<(String, String)> = state
        .members_by_email(group)
        .iter()
        .map(|id| state.person(*id).map_or_else(|| id.to_string(), |person| person.email.to_string()))
        .map(|email| (email.to_lowercase(), email))
        .collect();
    people.sort_unstable();
    people.into_iter().map(|(_, email)| email).collect()
}
