//! The plan of a run, its report, and its requests.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use convoke::apply::Present;
use convoke::journal::Record;
use convoke::model::{GroupId, GroupName, MemberId};
use convoke::plan::{Action, GroupPlan, Plan};
use convoke::report::Report;
use convoke::sandbox::{Endpoint, MembershipChange, Request};

use tokio::time::Instant;

use super::asks::Says;
use super::files::Limit;
use super::view::DECIDING;

/// The bounds of a plan, from the files at the time of the plan.
#[derive(Clone, Debug, Default)]
pub struct Bounds {
    pub protected: BTreeSet<MemberId>,
    /// The groups with an unresolved entry in force.
    pub unresolved: BTreeSet<GroupName>,
    /// Everybody whom an unresolved entry may mean.
    pub spared: BTreeSet<MemberId>,
    /// The maximum number of removals from each group.
    pub group_removals: BTreeMap<GroupId, Limit>,
    pub total_removals: Limit,
    /// The memberships that the files declare in groups to which the program writes.
    pub declared: u64,
    /// The minimum number of members of each group.
    pub least: BTreeMap<GroupId, u64>,
    /// Each group with each group that excludes it.
    pub exclusive: BTreeSet<(GroupId, GroupId)>,
    /// Whether only due changes are planned. The run then has one limit, for all of its removals.
    pub due: bool,
    /// The members whose removal from a group the limits do not count.
    pub exempt: BTreeSet<(GroupId, MemberId)>,
    /// The members whose access to a group has ended.
    pub ended: BTreeSet<(GroupId, MemberId)>,
    /// Everything that the change asks for, if the plan has nothing else: who joins (true) and who leaves.
    pub asked: Option<BTreeSet<(GroupId, MemberId, bool)>>,
    /// What the newest files say, of people whom nobody can take for another.
    pub tip_says: BTreeMap<(GroupId, MemberId), Says>,
    /// Everybody whom the simulation knew. Others add people who had left the account, with new ids.
    pub known: BTreeSet<MemberId>,
    /// Everybody whom each group's list may mean. Empty for a plan of `undo`.
    pub listed: BTreeMap<GroupId, BTreeSet<MemberId>>,
    /// Everybody whom each group's list certainly means, so none of them may be removed.
    pub surely_listed: BTreeMap<GroupId, BTreeSet<MemberId>>,
}

impl Bounds {
    /// The maximum number of removals from several groups.
    pub fn total_allowed(&self) -> u64 {
        self.total_removals.allows(self.declared, 5)
    }
}

/// A plan with its bounds.
#[derive(Clone, Debug)]
pub struct Made {
    pub plan: Plan,
    pub bounds: Bounds,
    /// The files that the plan applies; `None` for a plan of `undo`.
    pub terms: Option<Terms>,
    /// The number of changes of memberships when the account was read for it.
    pub seen: usize,
    /// When the account was first read for it.
    pub began: Instant,
}

/// The versions of the files that a plan was made from, by their numbers.
#[derive(Clone, Copy, Debug)]
pub struct Terms {
    pub head: usize,
    /// The files before the change, if only the change is planned.
    pub base: Option<usize>,
    pub tip: Option<usize>,
    pub due: bool,
}

/// A run that tried to apply a plan.
#[derive(Clone, Debug)]
pub struct Chronicle {
    /// The numbers of its requests.
    pub numbers: Range<u64>,
    pub requests: Vec<Request>,
    /// The applied plan; `None` if it was refused or stale, or the account could not be read.
    pub carried: Option<Carried>,
}

#[derive(Clone, Debug)]
pub struct Carried {
    pub made: Made,
    pub accepted: bool,
    /// When a question was answered, if one was asked.
    pub answered: Option<Instant>,
    /// The groups that had another name than in the plan when it was answered.
    pub renamed: BTreeSet<GroupId>,
    /// The members of groups that were read again before the first write.
    pub before: Present,
    /// The report; `None` if the run was killed.
    pub report: Option<Report>,
    /// The content of its journal.
    pub record: Record,
}

impl Chronicle {
    /// The changes of memberships by the run.
    pub fn did<'a>(&'a self, history: &'a [MembershipChange]) -> impl Iterator<Item = &'a MembershipChange> {
        history.iter().filter(|change| change.request.is_some_and(|number| self.numbers.contains(&number)))
    }

    /// The requests for a group and their answers, for the message of a violation.
    pub fn log_of(&self, group: GroupId) -> String {
        let of_group = self.requests.iter().filter(|request| request.group == Some(group));
        let begun = self.requests.first().map_or_else(Instant::now, |request| request.arrived);
        let line = |request: &Request| {
            let Request { number, method, query, status_sent, fault, shown, body_ids, member, .. } = request;
            let (arrived, answered) =
                (request.arrived.duration_since(begun), request.answered.map(|at| at.duration_since(begun)));
            format!(
                "{arrived:?}-{answered:?} {number} {method} {query:?} {member:?} {body_ids:?} -> {status_sent:?} {fault:?} {shown:?}\n"
            )
        };
        of_group.map(line).collect()
    }

    /// Whether an answer about the group showed the member in the time in which the run decided on the request.
    pub fn has_just_shown(&self, before: &Request, group: GroupId, member: MemberId) -> bool {
        let just = |answered| answered <= before.arrived && answered + DECIDING > before.arrived;
        let shows = |request: &&Request| {
            let is_of_group = request.group == Some(group) && request.status_sent == Some(200);
            is_of_group && request.shown.iter().flatten().any(|id| *id == member)
        };
        self.requests.iter().filter(shows).any(|request| request.answered.is_some_and(just))
    }

    /// The members whom earlier requests of the run were to remove from a group, if none of these was refused.
    pub fn may_have_removed(&self, group: &GroupPlan, number: u64) -> BTreeSet<MemberId> {
        let leaving: BTreeSet<MemberId> = group.removals().map(|change| change.member.id).collect();
        let writes = self.requests.iter().filter(|request| request.group == Some(group.id) && request.number < number);
        let mut removed = BTreeSet::new();
        for request in writes {
            let refused = request.status_sent.is_some_and(|status| (400..500).contains(&status));
            match request.operation {
                Some(Endpoint::RemoveMember) if !refused => removed.extend(request.member),
                Some(Endpoint::ReplaceMembers) if !refused => {
                    removed.extend(leaving.iter().filter(|id| !request.body_ids.contains(id)));
                }
                _ => {}
            }
        }
        removed
    }

    /// Whether another actor touched this membership after the account was read for the plan.
    pub fn was_touched(&self, history: &[MembershipChange], seen: usize, group: GroupId, member: MemberId) -> bool {
        let by_others =
            |change: &&MembershipChange| change.request.is_none_or(|number| !self.numbers.contains(&number));
        let mut since = history[seen..].iter().filter(by_others);
        since.any(|change| (change.group, change.member) == (group, member))
    }
}

impl Made {
    pub fn group(&self, id: GroupId) -> Option<&GroupPlan> {
        self.plan.groups.iter().find(|group| group.id == id)
    }

    /// Every change of the plan's operations.
    pub fn changes(&self) -> impl Iterator<Item = (GroupId, Action, MemberId)> {
        self.plan
            .groups
            .iter()
            .flat_map(|group| group.carried_out().map(|change| (group.id, change.action, change.member.id)))
    }
}

/// Whether a change is this addition or removal.
pub fn is(change: &MembershipChange, group: GroupId, member: MemberId, joined: bool) -> bool {
    (change.group, change.member, change.joined) == (group, member, joined)
}
