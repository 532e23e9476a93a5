//! Applies a plan, and reports only what was seen.
//!
//! [`apply`] has five steps over all groups. Each step ends before the next begins:
//!
//! 1. **Add**: each group's POST. A batch that the API refuses is split until the refused member is found.
//! 2. **Prove**: an addition on which a removal depends, or that no answer has shown, is read back.
//! 3. **Exchange**: members who move between groups that exclude each other, one after another.
//! 4. **Remove**: each group's DELETEs or its PUT, as far as the guards allow at that moment. Members who move to
//!    another group and were not seen there are not removed.
//! 5. **Compare**: every group that received a request is read and compared with its target. No answer to a write is
//!    enough. A removal that waited for a late reading is then tried again.
//!
//! A run makes the plan's changes or fewer, if necessary by other requests. What it learns can prevent a change, but
//! never cause one. One [`GroupRun`] applies each group. Its [`ledger`](ledger::Ledger) records the state of each
//! change when an answer or a reading shows it. Each request asks first whether the [`evidence`] for it is recent.

mod evidence;
mod group;
mod ledger;
mod recheck;
mod requests;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::cloudflare::{ApiError, Client};
use crate::journal::{Journal, LineKind};
use crate::model::{GroupId, GroupName, MemberId, RunStatus};
use crate::plan::Plan;
use crate::report::{self, HeldRemoval, Report, StaleGroup};

use evidence::Evidence;
use group::GroupRun;
pub use recheck::{Recheck, recheck};

/// The total time of a run for repeating readings that contradict acknowledged writes.
pub const SETTLE_WITHIN: Duration = Duration::from_secs(15);

/// The first pause before such a reading is repeated. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The members of the groups that were read again after the plan was made.
pub type Present = BTreeMap<GroupId, BTreeSet<MemberId>>;

#[derive(Clone, Debug)]
pub enum Start {
    Planned,
    /// These groups were read again; the others were read only if the same run made the plan.
    Rechecked {
        present: Present,
        planned: bool,
    },
}

pub struct Context<'a> {
    pub client: &'a Client,
    pub journal: &'a Journal,
    /// Becomes true when no further requests may start. The client is stopped before.
    pub stop: watch::Receiver<bool>,
    /// Called after each operation with the number of completed operations.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// The total time for repeating contradictory readings.
    pub settle_within: Duration,
    pub whole_account: bool,
    /// Whether `--accept` lifts the limits for this plan.
    pub limits_lifted: bool,
}

struct ApplyRun<'a> {
    plan: &'a Plan,
    context: Context<'a>,
    /// The client for readings that settle a write. They continue for a short time after a stop.
    reader: Client,
    evidence: Evidence,
    /// The groups that differ from the plan, as long as nothing was changed.
    stale: Mutex<Vec<StaleGroup>>,
    /// Why the journal can no longer be written.
    journal_failed: Mutex<Option<String>>,
    finished: Mutex<u64>,
    /// Limits how many groups remove members at the same time, so that no request waits behind those of other groups: a
    /// PUT relies on the reading immediately before it.
    turns: Semaphore,
    credentials_refused: AtomicBool,
    wrote: AtomicBool,
    may_have_changed: AtomicBool,
    /// The time that this run has paused before repeated readings.
    pauses: Mutex<Pauses>,
}

pub async fn apply<'a>(plan: &'a Plan, start: Start, context: Context<'a>) -> Report {
    let (mut present, reads_all) = match start {
        Start::Planned => (Present::new(), true),
        Start::Rechecked { present, planned } => (present, planned),
    };
    let run = ApplyRun::new(plan, context);
    let mut groups: Vec<GroupRun<'_>> = plan
        .groups
        .iter()
        .map(|group| match present.remove(&group.id).filter(|_| reads_all || !group.operations.is_empty()) {
            Some(members) => GroupRun::new(group, members, true),
            None => GroupRun::new(group, group.observed.keys().copied().collect(), reads_all),
        })
        .collect();
    for group in &groups {
        run.evidence.note(group.plan.id, &group.present);
    }
    run.record_members(&groups, |group| LineKind::Before { group: group.reference(), members: group.members() }).await;

    join_all(groups.iter_mut().map(|group| group.add(&run))).await;
    run.prove(&mut groups).await;
    for member in &plan.exchanges {
        run.exchange(*member, &mut groups).await;
    }
    run.prove(&mut groups).await;
    join_all(groups.iter_mut().map(|group| group.remove(&run))).await;
    loop {
        run.adopt_readings(&mut groups).await;
        let changed = groups.iter_mut().filter(|group| group.is_to_be_compared()).collect();
        run.read_until_consistent(changed, run.context.settle_within).await;
        // A late reading may have kept a removal that another one allows now.
        let again: Vec<&mut GroupRun<'_>> = groups.iter_mut().filter_map(|group| group.reopen(&run)).collect();
        if again.is_empty() {
            break;
        }
        join_all(again.into_iter().map(|group| group.remove(&run))).await;
    }

    run.note_moved(&mut groups).await;
    run.record_members(&groups, |group| LineKind::After { group: group.reference(), members: group.last_whole() })
        .await;
    run.finish(reads_all, groups).await
}

impl<'a> ApplyRun<'a> {
    fn new(plan: &'a Plan, context: Context<'a>) -> Self {
        let concurrency = context.client.concurrency();
        Self {
            plan,
            reader: context.client.settling(),
            context,
            evidence: Evidence::of(plan),
            stale: Mutex::default(),
            journal_failed: Mutex::default(),
            finished: Mutex::default(),
            turns: Semaphore::new(concurrency),
            credentials_refused: AtomicBool::new(false),
            wrote: AtomicBool::new(false),
            may_have_changed: AtomicBool::new(false),
            pauses: Mutex::default(),
        }
    }

    /// Why no further requests are sent, if so.
    fn closed_by(&self) -> Option<String> {
        if self.is_stopped() {
            return Some("interrupted before it was sent".into());
        }
        if !locked(&self.stale).is_empty() && !self.may_have_changed.load(Ordering::Relaxed) {
            return Some("the plan is stale".into());
        }
        locked(&self.journal_failed).as_ref().map(|error| format!("the journal cannot be written: {error}"))
    }

    fn is_stopped(&self) -> bool {
        *self.context.stop.borrow()
    }

    /// Reads groups again until no reading contradicts an acknowledged write, or the time is over. The last reading
    /// then counts.
    async fn read_until_consistent(&self, mut groups: Vec<&mut GroupRun<'_>>, within: Duration) {
        let mut pause = FIRST_PAUSE;
        loop {
            join_all(groups.iter_mut().map(|group| group.read_back(self))).await;
            groups.retain(|group| group.is_contradicted());
            let left = self.settling_left(within);
            if groups.is_empty() || left.is_zero() {
                return;
            }
            tracing::info!(groups = groups.len(), "waiting until readings show the acknowledged writes");
            self.pause(pause.min(left)).await;
            pause *= 2;
        }
    }

    /// Before a removal, reads back the additions on which one depends.
    async fn prove(&self, groups: &mut [GroupRun<'_>]) {
        if self.plan.removes_anybody() {
            let unproven = groups.iter_mut().filter(|group| group.needs_proof(self)).collect();
            self.read_until_consistent(unproven, self.settle_before_the_end()).await;
        }
    }

    async fn record_members<'p>(&self, groups: &[GroupRun<'p>], line: impl Fn(&GroupRun<'p>) -> LineKind) {
        for group in groups.iter().filter(|group| group.has_operations()) {
            self.record(line(group)).await;
        }
    }

    /// Records a line. If this fails, no further requests are sent.
    async fn record(&self, line: LineKind) {
        if locked(&self.journal_failed).is_some() {
            return;
        }
        if let Err(error) = self.context.journal.write(line).await {
            self.note_journal_failure(&error);
        }
    }

    fn note_journal_failure(&self, error: &std::io::Error) {
        locked(&self.journal_failed).get_or_insert_with(|| error.to_string());
    }

    fn note_failure(&self, error: &ApiError) {
        self.credentials_refused.fetch_or(error.may_concern_credentials(), Ordering::Relaxed);
    }

    fn finish_one(&self) {
        let mut finished = locked(&self.finished);
        *finished += 1;
        (self.context.progress)(*finished);
    }

    async fn finish(self, reads_all: bool, groups: Vec<GroupRun<'_>>) -> Report {
        let plan = self.plan;
        let blocked: BTreeSet<&GroupName> = plan.blocked.iter().map(|blocked| &blocked.group).collect();
        let groups = groups.into_iter().map(|group| {
            let is_blocked = blocked.contains(group.name());
            group.into_report(is_blocked, &self)
        });
        let held = plan.groups.iter().flat_map(|group| {
            group.held.iter().map(|change| HeldRemoval { group: group.name.clone(), change: change.clone() })
        });
        let mut report = Report {
            format_version: report::FORMAT_VERSION,
            digest: plan.digest,
            // `judged` sets these four.
            status: RunStatus::InSync,
            complete: false,
            added: 0,
            removed: 0,
            blocked: plan.blocked.clone(),
            left_out: plan.left_out.clone(),
            present_addresses: plan.present_addresses(),
            held: held.collect(),
            is_blocked: plan.is_blocked(),
            covers_account: reads_all && self.context.whole_account && !plan.reports_more(),
            interrupted: self.is_stopped(),
            credentials_refused: self.credentials_refused.load(Ordering::Relaxed),
            wrote: self.wrote.load(Ordering::Relaxed),
            may_have_changed: self.may_have_changed.load(Ordering::Relaxed),
            journal_failed: locked(&self.journal_failed).clone(),
            requests: self.context.client.requests(),
            stale: std::mem::take(&mut *locked(&self.stale)),
            groups: groups.collect(),
        }
        .judged();
        if let Err(error) = self.context.journal.write(LineKind::End { complete: report.complete }).await {
            report.journal_failed.get_or_insert_with(|| error.to_string());
        }
        report.judged()
    }
}

/// The time in which at least one group paused. Groups pause side by side, and their time counts once.
#[derive(Default)]
struct Pauses {
    /// The groups that pause now, and since when there is any.
    running: usize,
    since: Option<Instant>,
    ended: Duration,
}

impl Pauses {
    fn begin(&mut self) {
        self.running += 1;
        self.since.get_or_insert_with(Instant::now);
    }

    fn end(&mut self) {
        self.running -= 1;
        if self.running == 0 {
            self.ended += self.since.take().map(|since| since.elapsed()).unwrap_or_default();
        }
    }

    fn total(&self) -> Duration {
        self.ended + self.since.map(|since| since.elapsed()).unwrap_or_default()
    }
}

/// The time for readings that contradict acknowledged writes.
impl ApplyRun<'_> {
    /// How much of it may be spent before the end. An addition that never shows does not use up the time that the
    /// comparison at the end needs.
    fn settle_before_the_end(&self) -> Duration {
        self.context.settle_within / 2
    }

    /// The remaining time that the run may spend before this point.
    fn settling_left(&self, within: Duration) -> Duration {
        let spent = locked(&self.pauses).total();
        let left = within.saturating_sub(spent);
        match self.context.client.settles_until() {
            Some(end) => left.min(end.saturating_duration_since(Instant::now())),
            None => left,
        }
    }

    /// Waits. A signal ends the wait early and shortens the remaining time.
    async fn pause(&self, pause: Duration) {
        let began = Instant::now();
        locked(&self.pauses).begin();
        let mut stop = self.context.stop.clone();
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = stop.wait_for(|stop| *stop), if !self.is_stopped() => {}
        }
        locked(&self.pauses).end();
        // A wait of a second or more outdates the readings that a write relies on.
        if began.elapsed() >= Duration::from_secs(1) {
            self.context.client.outdate_readings();
        }
    }
}

/// These plain values are still valid after a panic of another thread that held the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
