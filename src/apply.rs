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
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Semaphore;
use tokio::time::Instant;

use crate::cloudflare::{ApiError, Client};
use crate::journal::{Journal, LineKind};
use crate::model::{GroupId, MemberId, RunStatus};
use crate::plan::Plan;
use crate::report::{self, HeldRemoval, Report};

use evidence::Evidence;
use group::GroupRun;
use ledger::State;
pub use recheck::{Recheck, recheck};

/// The total time of a run for repeating readings that contradict acknowledged writes.
pub const SETTLE_WITHIN: Duration = Duration::from_secs(15);

/// The first pause before such a reading is repeated. Each further pause is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(100);

/// The members of the groups that were read again after the plan was made.
pub type Present = BTreeMap<GroupId, BTreeSet<MemberId>>;

pub struct Context<'a> {
    pub client: &'a Client,
    pub journal: &'a Journal,
    /// Called after each operation with the number of completed operations.
    pub progress: &'a (dyn Fn(u64) + Sync),
    /// The total time for repeating contradictory readings.
    pub settle_within: Duration,
    /// Whether this run made the plan, so that it read every group of the plan.
    pub made_plan: bool,
    /// Whether `--accept` lifts the limits for this plan.
    pub limits_lifted: bool,
}

struct ApplyRun<'a> {
    plan: &'a Plan,
    context: Context<'a>,
    /// The client for readings that settle a write. They continue for a short time after a stop.
    reader: Client,
    evidence: Evidence<'a>,
    /// The report, as far as it is known. As long as nothing was changed, its stale groups stop the run.
    report: Mutex<Report>,
    finished: AtomicU64,
    /// The time that this run has paused before repeated readings.
    pauses: Mutex<Pauses>,
    /// Limits how many groups remove members at the same time, so that no request waits behind those of other groups: a
    /// PUT relies on the reading immediately before it.
    turns: Semaphore,
}

/// Applies a plan. The groups in `present` were read again since it was made.
pub async fn apply<'a>(plan: &'a Plan, mut present: Present, context: Context<'a>) -> Report {
    let reads_all = context.made_plan;
    let run = ApplyRun {
        plan,
        reader: context.client.settling(),
        evidence: Evidence::of(plan),
        report: Mutex::new(beginning(plan, reads_all && !plan.narrowed)),
        finished: AtomicU64::new(0),
        pauses: Mutex::new(Pauses { until: Instant::now(), total: Duration::ZERO }),
        turns: Semaphore::new(context.client.concurrency()),
        context,
    };
    let mut groups: Vec<GroupRun<'_>> = plan
        .groups
        .iter()
        .map(|group| match present.remove(&group.id).filter(|_| reads_all || !group.operations.is_empty()) {
            Some(members) => GroupRun::new(&run, group, members, true),
            None => GroupRun::new(&run, group, group.observed.keys().copied().collect(), reads_all),
        })
        .collect();
    for group in &groups {
        run.evidence.note(group.plan.id, &group.present);
    }
    let has_operations = |group: &&GroupRun<'_>| !group.plan.operations.is_empty();
    for group in groups.iter().filter(has_operations) {
        run.record(LineKind::Before { group: group.plan.reference(), members: group.present.clone() }).await;
    }

    join_all(groups.iter_mut().map(|group| group.add())).await;
    run.prove(&mut groups).await;
    for member in &plan.exchanges {
        run.exchange(*member, &mut groups).await;
    }
    run.prove(&mut groups).await;
    join_all(groups.iter_mut().map(|group| group.remove())).await;
    loop {
        run.adopt_readings(&mut groups).await;
        let unsettled = |group: &&mut GroupRun<'_>| group.wrote && (!group.is_whole || group.is_contradicted());
        let changed = groups.iter_mut().filter(unsettled).collect();
        run.read_until_consistent(changed, run.context.settle_within).await;
        // A late reading may have kept a removal that another one allows now.
        let again: Vec<&mut GroupRun<'_>> = groups.iter_mut().filter_map(|group| group.reopen()).collect();
        if again.is_empty() {
            break;
        }
        join_all(again.into_iter().map(|group| group.remove())).await;
    }

    run.note_moved(&mut groups).await;
    for group in groups.iter().filter(has_operations) {
        run.record(LineKind::After { group: group.plan.reference(), members: group.last_whole() }).await;
    }
    let groups = groups.into_iter().map(GroupRun::into_report).collect();
    let (interrupted, requests) = (run.is_stopped(), run.context.client.requests());
    let report = Report { groups, interrupted, requests, ..run.report().clone() }.judged();
    run.record(LineKind::End { complete: report.complete }).await;
    let journal_failed = run.report().journal_failed.clone();
    Report { journal_failed, ..report }.judged()
}

/// The report of a run before its first request.
fn beginning(plan: &Plan, reads_account: bool) -> Report {
    let held = plan.groups.iter().flat_map(|group| {
        group.held.iter().map(|change| HeldRemoval { group: group.name.clone(), change: change.clone() })
    });
    Report {
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
        covers_account: reads_account && !plan.reports_more(),
        interrupted: false,
        credentials_refused: false,
        wrote: false,
        may_have_changed: false,
        journal_failed: None,
        requests: 0,
        stale: Vec::new(),
        groups: Vec::new(),
    }
}

impl ApplyRun<'_> {
    fn report(&self) -> MutexGuard<'_, Report> {
        locked(&self.report)
    }

    /// Why no further requests are sent, if so.
    fn closed_by(&self) -> Option<String> {
        if self.is_stopped() {
            return Some("interrupted before it was sent".into());
        }
        let report = self.report();
        if !report.stale.is_empty() && !report.may_have_changed {
            return Some("the plan is stale".into());
        }
        report.journal_failed.as_ref().map(|error| format!("the journal cannot be written: {error}"))
    }

    fn is_stopped(&self) -> bool {
        self.context.client.settles_until().is_some()
    }

    /// Reads groups again until no reading contradicts an acknowledged write, or the time is over. The last reading
    /// then counts.
    async fn read_until_consistent(&self, mut groups: Vec<&mut GroupRun<'_>>, within: Duration) {
        let mut pause = FIRST_PAUSE;
        loop {
            join_all(groups.iter_mut().map(|group| group.read_back())).await;
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
            let unproven = groups.iter_mut().filter(|group| group.needs_proof()).collect();
            self.read_until_consistent(unproven, self.settle_before_the_end()).await;
        }
    }

    /// Records a line, and returns its number. If this fails, no further lines are written and no further requests sent.
    async fn record(&self, line: LineKind) -> Option<u64> {
        if self.report().journal_failed.is_some() {
            return None;
        }
        let written = self.context.journal.write(line).await;
        if let Err(error) = &written {
            self.report().journal_failed.get_or_insert_with(|| error.to_string());
        }
        written.ok()
    }

    fn note_failure(&self, error: &ApiError) {
        self.report().credentials_refused |= error.may_concern_credentials();
    }

    fn finish_one(&self) {
        (self.context.progress)(self.finished.fetch_add(1, Ordering::Relaxed) + 1);
    }

    /// Removes the member from the groups that exclude those that they join, and adds them once a reading shows them
    /// gone. Nobody is removed from one of these groups unless they may be removed from all, and joined afterwards.
    async fn exchange(&self, member: MemberId, groups: &mut [GroupRun<'_>]) {
        let joins = |group: &GroupRun<'_>| self.evidence.joins_last(group.plan.id, member);
        let leaves = |group: &GroupRun<'_>| self.evidence.leaves_first(group.plan.id, member);
        let mut refusal = None;
        for group in groups.iter_mut() {
            if joins(group) && !group.present.contains(&member) {
                refusal = refusal.or_else(|| group.closed_by());
            } else if leaves(group) && group.present.contains(&member) {
                group.prove_for_guards(member).await;
                refusal = refusal.or_else(|| group.closed_by().or_else(|| group.reason_against_delete(member)));
            }
        }
        for group in groups.iter_mut().filter(|group| leaves(group)) {
            match &refusal {
                None => group.delete(member).await,
                Some(reason) if group.ledger.is_open(member) => {
                    let joins_not = "kept, because the member could not join the other group: ";
                    let beginning = if reason.starts_with("kept") { "" } else { joins_not };
                    group.ledger.keep(member, format!("{beginning}{reason}"), false);
                }
                Some(_) => {}
            }
            self.finish_one();
        }
        let mut shown = Vec::new();
        // Whether the API refused each removal, and a reading confirms that the member is still there.
        let mut stays = true;
        for group in groups.iter_mut().filter(|group| leaves(group)) {
            if refusal.is_none() && group.wrote {
                group.settle().await;
            }
            if group.present.contains(&member) || group.unread.is_some() {
                shown.push(format!("{:?}", group.plan.name.as_str()));
                stays &= group.unread.is_none() && group.ledger.was_refused(member);
            }
        }
        for group in groups.iter_mut().filter(|group| joins(group)) {
            if !group.present.contains(&member) {
                if shown.is_empty() {
                    group.ledger.left_first.insert(member);
                    group.post(vec![member]).await;
                } else {
                    let from = shown.join(" and ");
                    let reason = match &refusal {
                        Some(reason) => format!("not added, because the member stays in {from}: {reason}"),
                        None if stays => format!("not added, because the member is still in {from}"),
                        None => format!(
                            "not added, because no reading shows that the member has left {from}; the member may be \
                             in neither {from} nor {:?}. Apply again",
                            group.plan.name.as_str()
                        ),
                    };
                    group.ledger.give_up([&member], &State::Failed(reason));
                }
            }
            self.finish_one();
        }
    }

    /// How much of the time for readings that contradict acknowledged writes may be spent before the end. An addition
    /// that never shows does not use up the time that the comparison at the end needs.
    fn settle_before_the_end(&self) -> Duration {
        self.context.settle_within / 2
    }

    /// The remaining time that the run may spend before this point.
    fn settling_left(&self, within: Duration) -> Duration {
        let Pauses { until, total } = *locked(&self.pauses);
        let spent = total.saturating_sub(until.saturating_duration_since(Instant::now()));
        let left = within.saturating_sub(spent);
        match self.context.client.settles_until() {
            Some(end) => left.min(end.saturating_duration_since(Instant::now())),
            None => left,
        }
    }

    /// Waits. A signal ends the wait early and shortens the remaining time.
    async fn pause(&self, pause: Duration) {
        let began = Instant::now();
        {
            let mut pauses = locked(&self.pauses);
            let from = pauses.until.max(began);
            let until = from.max(began + pause);
            pauses.total += until - from;
            pauses.until = until;
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = self.context.client.ended(false), if !self.is_stopped() => {}
        }
        self.context.client.note_wait(began);
    }
}

/// The time in which at least one group pauses. Groups pause side by side, and their time counts once.
struct Pauses {
    /// When the last pause that has begun ends or ended.
    until: Instant,
    /// The time of all pauses until then.
    total: Duration,
}

/// These plain values are still valid after a panic of another thread that held the lock.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
