//! The state of each change of a group, and the report that follows from it.

use std::collections::{BTreeMap, BTreeSet};

use super::group::GroupRun;
use crate::model::{MemberId, Mode};
use crate::plan::{Action, Change, GroupPlan};
use crate::report::{Difference, GroupOutcome, GroupReport, RestCause, UnmadeChange};

/// The progress of a change. Whether its effect is present is not recorded here; the members last seen show that.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// No request was sent for it.
    Open,
    /// A request was sent, and its effect is unknown, for this reason.
    Unknown(String),
    /// The API answered that it made the change.
    Acknowledged,
    /// The answer to the request showed the effect. It may be an echo.
    Shown,
    /// A reading after the request has shown the effect.
    Proven,
    /// The change was refused or not sent, for this reason. If a later reading shows its effect, somebody else made it.
    Failed(String),
    /// The API refused the removal because the member is not in the group. Only a reading can confirm that.
    SaidToBeGone(String),
    /// The removal was sent, may still take effect, and is not sent again, to keep a guard or the member's access.
    NotRepeated(String),
    /// The removal is not made, because of a guard or to keep the member's access.
    Kept(String),
    /// As `Kept`, until a reading shows the member in another group.
    Awaiting(String),
    Skipped(String),
}

impl State {
    /// Whether a request was sent for the change and not refused.
    const fn was_tried(&self) -> bool {
        !matches!(self, Self::Open | Self::Failed(_) | Self::Kept(_) | Self::Awaiting(_) | Self::Skipped(_))
    }
}

/// Every change of a group with its state.
pub(super) struct Ledger<'a> {
    changes: BTreeMap<MemberId, (&'a Change, State)>,
    /// The members who were seen to have left the groups that exclude this one.
    pub left_first: BTreeSet<MemberId>,
}

impl<'a> Ledger<'a> {
    pub fn new(plan: &'a GroupPlan) -> Self {
        let changes = plan.carried_out().map(|change| (change.member.id, (change, State::Open))).collect();
        Self { changes, left_first: BTreeSet::new() }
    }

    /// Records why a removal is not made, or not sent again; if it `awaits`, until another group shows the member.
    pub fn keep(&mut self, member: MemberId, reason: String, awaits: bool) {
        if let Some((_, state)) = self.changes.get_mut(&member) {
            *state = match state {
                State::Unknown(lost) => State::NotRepeated(format!("{reason}, and it was not sent again: {lost}")),
                _ if awaits => State::Awaiting(reason),
                _ => State::Kept(reason),
            };
        }
    }

    pub fn members_where(&self, is: impl Fn(MemberId, &Change, &State) -> bool) -> impl Iterator<Item = MemberId> {
        self.changes.iter().filter(move |(id, (change, state))| is(**id, change, state)).map(|(id, _)| *id)
    }

    pub fn is_open(&self, member: MemberId) -> bool {
        matches!(self.changes.get(&member), Some((_, State::Open)))
    }

    /// Whether the API refused the change.
    pub fn was_refused(&self, member: MemberId) -> bool {
        matches!(self.changes.get(&member), Some((_, State::Failed(_) | State::SaidToBeGone(_))))
    }

    pub fn change(&self, member: MemberId) -> Option<&'a Change> {
        self.changes.get(&member).map(|(change, _)| *change)
    }

    /// Records why changes without a request are given up.
    pub fn give_up<'m>(&mut self, members: impl IntoIterator<Item = &'m MemberId>, reason: &State) {
        for member in members {
            if let Some((_, state @ State::Open)) = self.changes.get_mut(member) {
                *state = reason.clone();
            }
        }
    }

    /// The additions that were sent and may have been made, but that no reading shows; each with whether the answer
    /// showed it.
    pub fn unproven_additions(&self, present: &BTreeSet<MemberId>) -> impl Iterator<Item = (MemberId, bool)> {
        self.changes.iter().filter_map(|(member, (change, state))| {
            let is_shown = match state {
                State::Shown => true,
                State::Unknown(_) | State::Acknowledged | State::Proven => false,
                _ => return None,
            };
            (change.action == Action::Add && !present.contains(member)).then_some((*member, is_shown))
        })
    }

    /// Records a state for every change of the request.
    pub fn record_all<'m>(&mut self, members: impl IntoIterator<Item = &'m MemberId>, state: &State) {
        for member in members {
            if let Some((_, recorded)) = self.changes.get_mut(member) {
                *recorded = state.clone();
            }
        }
    }

    /// Records the members seen in the group. Changes that were sent, not refused and are visible are proven.
    pub fn observe(&mut self, present: &BTreeSet<MemberId>) {
        for (member, (change, state)) in &mut self.changes {
            if state.was_tried() && holds(change, present.contains(member)) {
                *state = State::Proven;
            }
        }
    }

    /// The changes of one kind that are not visible and not given up.
    pub fn outstanding(&self, action: Action, present: &BTreeSet<MemberId>) -> BTreeSet<MemberId> {
        let is_outstanding = |member, change: &Change, state: &State| {
            let given_up = matches!(
                state,
                State::Failed(_) | State::NotRepeated(_) | State::Kept(_) | State::Awaiting(_) | State::Skipped(_)
            );
            change.action == action && !given_up && !holds(change, present.contains(&member))
        };
        self.members_where(is_outstanding).collect()
    }

    /// Whether the members contradict an answer of the API, or an earlier observation.
    pub fn is_contradicted_by(&self, present: &BTreeSet<MemberId>) -> bool {
        let contradicts = |member, change: &Change, state: &State| {
            let claimed = matches!(state, State::Acknowledged | State::Shown | State::Proven | State::SaidToBeGone(_));
            claimed && !holds(change, present.contains(&member))
        };
        self.members_where(contradicts).next().is_some()
    }

    /// The members whom requests have removed or may have removed, even if no reading shows it yet.
    pub fn removed(&self) -> BTreeSet<MemberId> {
        self.members_where(|_, change, state| change.action == Action::Remove && state.was_tried()).collect()
    }

    /// The members whom the plan adds, or those whom it removes.
    pub fn members(&self, action: Action) -> impl Iterator<Item = MemberId> {
        self.members_where(move |_, change, _| change.action == action)
    }

    /// Reports the final state of every change, in the order of the plan, for the members last seen. `unread` says why
    /// these prove nothing about a request that may still take effect.
    fn report(self, plan: &GroupPlan, present: &BTreeSet<MemberId>, unread: Option<&str>, report: &mut GroupReport) {
        let unknown = if unread.is_some() { "it is unknown whether the change was made: " } else { "" };
        let in_order = plan.carried_out().filter_map(|change| self.changes.get(&change.member.id));
        for (change, state) in in_order {
            if holds(change, present.contains(&change.member.id)) {
                let made = match change.action {
                    Action::Add => &mut report.added,
                    Action::Remove => &mut report.removed,
                };
                // Otherwise the state was already so, or somebody else made the change.
                if state.was_tried() {
                    made.push(Change::clone(change));
                }
                continue;
            }
            let (list, mut reason) = match state {
                State::Kept(reason) | State::Awaiting(reason) => (&mut report.kept, reason.clone()),
                State::Skipped(reason) => (&mut report.skipped, reason.clone()),
                State::Open => (&mut report.skipped, "somebody else changed the group".into()),
                State::Failed(reason) | State::SaidToBeGone(reason) => (&mut report.failed, reason.clone()),
                State::Unknown(reason) | State::NotRepeated(reason) => {
                    (&mut report.failed, format!("{unknown}{reason}"))
                }
                State::Acknowledged | State::Shown => {
                    let shown = unread.unwrap_or(match change.action {
                        Action::Add => "the member is not in the group",
                        Action::Remove => "the member is still in the group",
                    });
                    (&mut report.failed, format!("{unknown}the API accepted the change, but {shown}"))
                }
                State::Proven => {
                    let reason =
                        "it was made, but the last reading does not show it: it was reversed, or readings are late";
                    (&mut report.failed, reason.into())
                }
            };
            if self.left_first.contains(&change.member.id) {
                let left: Vec<String> = change.after.iter().map(|group| format!("{:?}", group.name.as_str())).collect();
                let neither = format!("{:?} nor {}", plan.name.as_str(), left.join(" nor "));
                reason += &format!("; the member is in neither {neither}");
            }
            list.push(UnmadeChange {
                action: change.action,
                member: change.member.clone(),
                reason,
                origin: change.named_at().cloned(),
                expired: change.expired,
            });
        }
    }
}

/// Whether a change's effect is present, if the member is in the group or not.
fn holds(change: &Change, is_member: bool) -> bool {
    is_member == (change.action == Action::Add)
}

impl GroupRun<'_> {
    /// The outcomes are tested in this order, and the first that fits counts.
    pub fn into_report(self) -> GroupReport {
        let plan = self.plan;
        let renamed = self.renamed();
        let strays = plan.strays(&self.present);
        let was_read_again = !plan.operations.is_empty() || !self.present.iter().eq(plan.observed.keys());
        let names = self.last_read.as_ref().unwrap_or(&plan.observed);
        let moved = plan.moved_since(&self.present);
        let stale = (was_read_again && !moved.is_empty()).then(|| Difference::new(plan, names, &moved));
        let is_observed = plan.mode == Mode::Observe;
        // The changes that the run left out may differ and were not compared.
        let causes = [
            (self.run.plan.blocked.iter().any(|blocked| blocked.group == plan.name), RestCause::Blocked),
            (!plan.held.is_empty(), RestCause::Held),
            (is_observed && plan.differs(), RestCause::Observed),
            (plan.left_out, RestCause::LeftOut),
        ];
        let cause = causes.into_iter().find(|(applies, _)| *applies).map(|(_, cause)| cause);
        let differs = cause.is_some();
        let in_sync = self.is_whole && strays.is_empty() && !differs && renamed.is_none();
        let mut report = GroupReport {
            id: plan.id,
            name: plan.name.clone(),
            outcome: GroupOutcome::InSync,
            cause,
            in_sync,
            members_before: self.before.len() as u64,
            members_after: self.last_whole().map(|members| members.len() as u64),
            added: Vec::new(),
            removed: Vec::new(),
            failed: Vec::new(),
            kept: Vec::new(),
            skipped: Vec::new(),
            stale,
            trouble: self.unread.filter(|_| !self.is_whole).or(renamed),
        };
        let unread = match (self.run.is_stopped(), self.is_whole) {
            (true, _) => Some("the run was interrupted before a reading showed it"),
            (false, false) => Some("the group could not be read afterwards"),
            (false, true) => None,
        };
        self.ledger.report(plan, &self.present, unread, &mut report);
        let outcomes = [
            (!report.failed.is_empty() || report.trouble.is_some(), GroupOutcome::Failed),
            (report.stale.is_some(), GroupOutcome::Stale),
            (!report.kept.is_empty(), GroupOutcome::Kept),
            (!report.skipped.is_empty(), GroupOutcome::Skipped),
            (differs, GroupOutcome::Differs),
            (!in_sync, GroupOutcome::NotRead),
            (!(report.added.is_empty() && report.removed.is_empty()), GroupOutcome::Done),
        ];
        let outcome = outcomes.into_iter().find(|(applies, _)| *applies);
        GroupReport { outcome: outcome.map_or(GroupOutcome::InSync, |(_, outcome)| outcome), ..report }
    }
}
