//! The plan: what would change and why, decided whole before anything is done.
//!
//! [`plan`] is pure: the same files, account, policy and time give the same plan. It decides who joins and who
//! leaves which group, by which requests and in which order; applying carries that out and decides nothing.

mod attribution;
mod blocked;
mod compare;
mod contents;
mod digest;
mod exclusive;
mod freshness;
mod guards;
mod operations;
mod people;
mod review;
mod saved;
mod since;
mod standings;
mod suggestions;
mod targets;
mod undo;
mod why;

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::model::{AccountId, Desired, Email, GroupName, MemberId, Observed, PersonRef, RunStatus, Settings};

pub use attribution::{
    Attribution, Author, AuthorKind, DifferenceOrigin, DifferenceOrigins, RecordedChange, RecordedEffect, attribute,
};
pub use blocked::{Blocked, BlockedReason};
pub use contents::{Action, Change, Expiring, GroupGuards, GroupPlan, Plan, PlanGuards, Since, Summary};
pub use digest::{Digest, DigestError, fingerprint};
pub use freshness::Freshness;
pub use guards::{Figures, Guard, Refusal};
pub use operations::{Method, Operation};
pub use review::{
    Beginnings, Review, ReviewEntry, ReviewFacts, ReviewGroup, ReviewMembership, ReviewMode, ReviewState, ReviewStatus,
    ReviewSummary, review,
};
pub use saved::{SavedPlanError, SealedPlan};
pub use targets::{Target, nearest_name, targets};
pub use undo::{Before, Reversal, undo};
pub use why::{Claim, Standing, Why, WhyGroup, why};

/// What governs a plan besides the files.
#[derive(Clone, Debug)]
pub struct Policy {
    /// The account planned for.
    pub account_id: AccountId,
    /// The groups to plan; empty for all that the files declare.
    pub only: BTreeSet<GroupName>,
    /// Memberships that end within this time are told.
    pub expiring_within: SignedDuration,
}

/// Whom a plan could not find in the groups' own lists and the account's members should be asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// Addresses without an account member.
    pub emails: BTreeSet<Email>,
    /// Ids that no list showed.
    pub ids: BTreeSet<MemberId>,
}

impl Sought {
    /// Whether nobody is sought.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.emails.is_empty() && self.ids.is_empty()
    }
}

/// Compares what is desired with what was observed at a time, under a policy.
#[must_use]
pub fn plan(desired: &Desired, current: &Observed, policy: &Policy, time: Timestamp) -> Plan {
    let targets = targets(desired, current, &policy.only);
    let people = people::People::of(current);
    let mut compared = compare::compare(desired, current, &targets, &people, policy, time);
    exclusive::check(desired, &people, time, &mut compared);
    let mut plan = assemble(policy.account_id, compared.groups, PlanGuards::of(&desired.settings), time);
    plan.blocked = compared.blocked;
    plan.expiring = compared.expiring;
    plan.unmanaged_groups = targets::unmanaged(desired, current);
    guards::check_operations(&mut plan, &people);
    guards::check_account(&mut plan, desired, current, &targets);
    plan.recount();
    plan
}

/// Makes a plan of compared groups: orders the changes, decides the operations and names the plan.
fn assemble(account_id: AccountId, mut groups: Vec<GroupPlan>, guards: PlanGuards, time: Timestamp) -> Plan {
    let by_email = |change: &Change| (change.action, change.member.email.clone(), change.member.id);
    for group in &mut groups {
        group.changes.sort_by_cached_key(by_email);
        group.held.sort_by_cached_key(by_email);
    }
    operations::decide(&mut groups);
    let digest = digest::digest(account_id, &groups);
    Plan {
        format_version: saved::FORMAT_VERSION,
        status: RunStatus::InSync,
        account_id,
        digest,
        time,
        summary: Summary::default(),
        groups,
        blocked: Vec::new(),
        refusals: Vec::new(),
        unmanaged_groups: Vec::new(),
        expiring: Vec::new(),
        guards,
        checksum: None,
    }
}

impl Plan {
    /// Whom to look for among the account's members before the plan can be trusted. The protected are sought too
    /// once there is something to remove: a group may list them by an address that has changed since.
    #[must_use]
    pub fn sought(&self, settings: &Settings, current: &Observed) -> Sought {
        let mut sought = Sought::default();
        for blocked in &self.blocked {
            match (&blocked.entry, &blocked.reason) {
                (Some(PersonRef::Email(email)), BlockedReason::UnknownPerson { .. }) => {
                    sought.emails.insert(email.clone());
                }
                (Some(PersonRef::Id(id)), BlockedReason::UnknownPerson { .. }) => {
                    sought.ids.insert(*id);
                }
                _ => {}
            }
        }
        let protected = settings.protected.iter().filter_map(|protected| match &protected.person {
            PersonRef::Email(email) => Some(email),
            PersonRef::Id(_) => None,
        });
        let protected: Vec<&Email> = protected.collect();
        let removes = self.removes_anybody() || self.groups.iter().any(|group| !group.held.is_empty());
        // Gathering everybody takes a good part of the time of planning: only where there is somebody to look for.
        if removes && !protected.is_empty() {
            let people = people::People::of(current);
            sought.emails.extend(protected.into_iter().filter(|email| !people.knows(email)).cloned());
        }
        sought
    }

    /// Labels every difference as caused by the change under review or as there before it, given the plan of the
    /// same account for the files before the change.
    pub fn label_since(&mut self, before: &Self) {
        since::label(self, before);
    }

    /// Refuses to remove the person a token acts for.
    pub fn protect_owner(&mut self, owner: &Email, current: &Observed) {
        guards::check_owner(self, owner, &people::People::of(current));
        self.recount();
    }

    /// Lifts what the limits refuse, and nothing else. Says how many refusals that were.
    pub fn lift_limits(&mut self) -> u64 {
        let before = self.refusals.len();
        self.refusals.retain(|refusal| !refusal.guard.is_limit());
        let lifted = before - self.refusals.len();
        self.recount();
        lifted as u64
    }
}
