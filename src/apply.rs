//! Carries out a plan, and decides nothing that the plan has not decided.
//!
//! First every addition over all groups, then everything that removes. What could not be done is reported, and never
//! hinders what does not depend on it; running again does the rest.

mod add;
mod recheck;
mod remove;
mod replace;
mod run;
mod send;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::join_all;
use tokio::sync::watch;

use crate::cloudflare::{ApiError, ApiErrorKind, Client};
use crate::journal::Journal;
use crate::model::{GroupId, GroupName, MemberId};
use crate::plan::{Action, Method, Plan};
use crate::report::Report;

pub use recheck::{Recheck, recheck};

use run::GroupRun;

/// The members each group of a plan has right now, as far as is known.
pub type Present = BTreeMap<GroupId, BTreeSet<MemberId>>;

/// What carrying out a plan needs besides the plan.
pub struct Means<'a> {
    /// Speaks to the API.
    pub client: &'a Client,
    /// Records each operation.
    pub journal: &'a Journal,
    /// Turns true when nothing further is to be begun.
    pub stop: watch::Receiver<bool>,
    /// Is called after each operation with the number of operations done with.
    pub progress: &'a (dyn Fn(u64) + Sync),
}

/// What the groups' runs share.
struct Shared<'a> {
    means: Means<'a>,
    /// Who could not be added, and to which group: they are not removed from another.
    unadded: Mutex<BTreeMap<MemberId, GroupName>>,
    finished: Mutex<u64>,
    credentials_refused: AtomicBool,
}

/// Carries out a plan on groups that have the given members, and says what came of it.
pub async fn apply(plan: &Plan, present: Present, means: Means<'_>) -> Report {
    let shared = Shared {
        means,
        unadded: Mutex::default(),
        finished: Mutex::default(),
        credentials_refused: AtomicBool::new(false),
    };
    let mut present = present;
    let mut runs: Vec<GroupRun<'_>> = plan
        .groups
        .iter()
        .map(|group| GroupRun::new(group, present.remove(&group.id).unwrap_or_else(|| observed(group))))
        .collect();
    join_all(runs.iter_mut().map(|run| run.add_first(&shared))).await;
    join_all(runs.iter_mut().map(|run| run.remove_then(&shared))).await;
    join_all(runs.iter_mut().map(|run| run.read_back(&shared))).await;
    let interrupted = *shared.means.stop.borrow();
    let groups = runs.into_iter().map(GroupRun::into_report).collect();
    let credentials_refused = shared.credentials_refused.load(Ordering::Relaxed);
    let blocked = plan.blocked.len() as u64;
    let mut report =
        Report { digest: plan.digest, groups, blocked, interrupted, credentials_refused, journal_failed: None };
    let ended = shared.means.journal.end(report.is_complete());
    report.journal_failed = ended.err().map(|error| error.to_string());
    report
}

/// A panic while the lock was held leaves these plain values as sound as they were.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn observed(group: &crate::plan::GroupPlan) -> BTreeSet<MemberId> {
    group.observed.keys().copied().collect()
}

impl GroupRun<'_> {
    /// The first half: the group's POST, if it has one.
    async fn add_first(&mut self, shared: &Shared<'_>) {
        let posts = self.plan.operations.iter().filter(|operation| operation.method() == Method::Post);
        for operation in posts {
            let missing = operation.members().iter().filter(|id| !self.present.contains(id)).copied().collect();
            self.add(missing, shared).await;
            shared.finish_one();
        }
    }

    /// The second half: the group's DELETEs or its PUT.
    async fn remove_then(&mut self, shared: &Shared<'_>) {
        for operation in &self.plan.operations {
            match operation.method() {
                Method::Post => continue,
                Method::Delete => {
                    for member in operation.members() {
                        self.remove(*member, shared).await;
                    }
                }
                Method::Put => self.replace(shared).await,
            }
            shared.finish_one();
        }
    }
}

impl Shared<'_> {
    fn stopped(&self) -> bool {
        *self.means.stop.borrow()
    }

    fn finish_one(&self) {
        let mut finished = locked(&self.finished);
        *finished += 1;
        (self.means.progress)(*finished);
    }

    fn cannot_add(&self, member: MemberId, group: &GroupName) {
        locked(&self.unadded).entry(member).or_insert_with(|| group.clone());
    }

    fn note_failure(&self, error: &ApiError) {
        self.credentials_refused.fetch_or(error.kind() == ApiErrorKind::Credentials, Ordering::Relaxed);
    }

    /// The group that the member could not be added to, if there is one.
    fn kept_for(&self, member: MemberId) -> Option<GroupName> {
        locked(&self.unadded).get(&member).cloned()
    }
}

/// The members a group's plan adds or removes.
fn changed(run: &GroupRun<'_>, action: Action) -> BTreeSet<MemberId> {
    run.plan.carried_out().filter(|change| change.action == action).map(|change| change.member.id).collect()
}
