//! A saved plan: written with its checksum, read back, and compared with the account before it is applied.
//!
//! A plan that is read back must be complete, unedited and consistent.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::contents::{Action, Change, Plan};
use super::digest::{Digest, fingerprint};
use super::group::GroupPlan;
use super::guards::{self, Refusal};
use super::people::People;
use super::{due, group};
use crate::model::{GroupId, GroupSummary, MemberId, Membership, Observed};

/// The format version that this program writes and reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// A saved plan may be from a clock that is ahead by this much.
const CLOCK_TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// Why a text is not a valid plan.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    #[error("it is truncated, or another version of convoke wrote it")]
    Shape(#[from] serde_json::Error),
    #[error("it has format version {0}, this version of convoke reads {FORMAT_VERSION}")]
    Version(u32),
    #[error("it was damaged or edited after it was created: {0}")]
    Edited(&'static str),
}

/// A plan with the checksum of its content.
#[derive(Debug, Serialize)]
pub struct SealedPlan<'p> {
    #[serde(flatten)]
    plan: &'p Plan,
    checksum: Digest,
}

impl Plan {
    /// The plan in the form that is saved and printed.
    pub fn sealed(&self) -> SealedPlan<'_> {
        SealedPlan { plan: self, checksum: Digest::of_json(self) }
    }

    /// Reads a saved plan and checks everything that does not need the account: the checksum, and that the digest,
    /// fingerprints, operations and summary match the rest.
    ///
    /// # Errors
    ///
    /// If it has another version, is truncated, or was changed.
    pub fn parse(bytes: &[u8]) -> Result<Self, SavedPlanError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } = serde_json::from_slice(bytes)?;
        if format_version != FORMAT_VERSION {
            return Err(SavedPlanError::Version(format_version));
        }
        let mut plan: Self = serde_json::from_slice(bytes)?;
        // The checksum does not cover itself: it is left out when the plan is written.
        if plan.checksum.take() != Some(Digest::of_json(&plan)) {
            return Err(SavedPlanError::Edited("its checksum does not match"));
        }
        plan.check()?;
        Ok(plan)
    }

    /// Why a saved plan is no longer valid at this time, if it is not: it is too old, it is from the future, or it
    /// adds access that has ended meanwhile.
    pub fn outdated(&self, now: Timestamp, max_age: SignedDuration) -> Option<String> {
        let age = now.duration_since(self.time);
        if age > max_age {
            return Some(format!("the plan was made for {}, longer ago than --max-age allows", self.time));
        }
        if -age > CLOCK_TOLERANCE {
            return Some(format!("the plan was made for {}, which is in the future", self.time));
        }
        let mut changes = self.groups.iter().flat_map(|group| group.changes.iter().map(move |change| (group, change)));
        let ended = |change: &Change| change.until.is_some_and(|until| until <= now);
        let (group, change) = changes.find(|(_, change)| change.action == Action::Add && ended(change))?;
        let name = change.member.person();
        Some(format!("the plan adds {name} to {:?}, but that access has ended meanwhile", group.name.as_str()))
    }

    fn check(&self) -> Result<(), SavedPlanError> {
        let mut decided = self.groups.clone();
        group::decide(&mut decided, self.due);
        let changes_fit = |group: &GroupPlan| {
            let mut seen = BTreeSet::new();
            let mut changes = group.changes.iter().chain(&group.held);
            changes.all(|change| change.is_open(&group.observed) && seen.insert(change.member.id))
        };
        let has_fingerprint = |group: &GroupPlan| group.fingerprint == fingerprint(group.observed.keys());
        let has_operations = |(group, decided): (&GroupPlan, &GroupPlan)| group.operations == decided.operations;
        let checks = [
            (self.by_id().len() == self.groups.len(), "it has a group twice"),
            (self.groups.iter().all(has_fingerprint), "a group's fingerprint does not match its members"),
            (self.groups.iter().all(changes_fit), "a group's changes do not match its members"),
            (self.groups.iter().zip(&decided).all(has_operations), "a group's operations do not match its changes"),
            (self.digest == self.identity(), "its digest does not match its changes"),
            (self.summary == self.counted(), "its figures do not match its changes"),
        ];
        match checks.into_iter().find(|(passes, _)| !passes) {
            None => Ok(()),
            Some((_, flaw)) => Err(SavedPlanError::Edited(flaw)),
        }
    }

    /// The part of the plan that is still to be applied, for the present members of its groups and the present groups of
    /// the account. It has the digest of the plan. The guards are asked again.
    pub fn remaining(
        &self,
        groups: &BTreeMap<GroupId, GroupSummary>,
        present: &BTreeMap<GroupId, Arc<Membership>>,
    ) -> Self {
        let mut left = self.clone();
        for group in &mut left.groups {
            let Some(members) = present.get(&group.id) else { continue };
            group.changes.retain(|change| change.is_open(members));
            group.fingerprint = fingerprint(members.keys());
            group.observed = Arc::clone(members);
            left.left_out.retain(|left_out| left_out.group != group.name || left_out.change.is_open(members));
        }
        group::decide(&mut left.groups, left.due);
        let memberships = left.groups.iter().map(|group| (group.id, Arc::clone(&group.observed))).collect();
        let current = Observed { memberships, ..Observed::default() };
        let mut refusals = guards::operation_refusals(&left, &People::of(&current));
        refusals.extend(guards::account_refusals(&left, groups));
        left.with_refusals(refusals)
    }

    /// The same plan with these refusals. With `--due`, what they concern is left out instead.
    #[must_use]
    pub fn with_refusals(mut self, refusals: Vec<Refusal>) -> Self {
        self.refusals.clear();
        self.refuse(refusals);
        if self.due {
            due::leave_out_refused(&mut self);
        }
        self.recount();
        self
    }
}

/// The members of a group that was read again who differ from the plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Strays {
    /// Members who are there and should leave.
    pub added: BTreeSet<MemberId>,
    /// Members who are missing and should join.
    pub removed: BTreeSet<MemberId>,
}

impl Strays {
    pub fn is_empty(&self) -> bool {
        self.added.is_empty() && self.removed.is_empty()
    }
}

impl GroupPlan {
    /// The members who joined or left since the plan. Its changes do not count: an earlier run may have made some of
    /// them.
    pub fn moved_since(&self, present: &BTreeSet<MemberId>) -> Strays {
        let changing: BTreeSet<MemberId> = self.carried_out().map(|change| change.member.id).collect();
        let Strays { added, removed } = self.strays(present);
        Strays { added: &added - &changing, removed: &removed - &changing }
    }

    /// The members who differ from the target.
    pub fn strays(&self, present: &BTreeSet<MemberId>) -> Strays {
        match &self.required {
            None => {
                let target = self.target();
                Strays { added: present - &target, removed: &target - present }
            }
            // The plan does not decide about the other members: only `required` must be there, and only those whom the
            // plan removes, or who are `barred`, must not.
            Some(required) => {
                let is_held = |id: &MemberId| self.held.iter().any(|change| change.member.id == *id);
                let leaving = self.removals().map(|change| &change.member.id).chain(&self.barred);
                let added = leaving.filter(|id| present.contains(id) && !is_held(id)).copied().collect();
                Strays { added, removed: required - present }
            }
        }
    }
}
