//! The plan: what would change and why, decided whole before anything is done.
//!
//! [`plan`] is pure: the same files, account, policy and time give the same plan. It decides who joins and who
//! leaves which group, by which requests and in which order; applying carries that out and decides nothing.

mod attribution;
mod base;
mod blocked;
mod compare;
mod contents;
mod digest;
mod exclusive;
mod freshness;
mod guards;
mod moves;
mod operations;
mod people;
mod remaining;
mod review;
mod saved;
mod since;
mod standings;
mod targets;
mod typos;
mod undo;
mod why;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use compare::Compared;
use people::People;

use crate::model::{AccountId, Desired, GroupId, GroupName, Observed, PersonRef, RunStatus, TokenOwner, TokenUser};

pub use attribution::{
    Attribution, Author, AuthorKind, DifferenceOrigin, DifferenceOrigins, RecordedChange, RecordedEffect, attribute,
};
pub use base::{BaseChange, BaseComparison, compare_base};
pub use blocked::{Blocked, BlockedReason};
pub use contents::{
    Action, Change, Expiring, GroupGuards, GroupPlan, Plan, PlanGuards, PlanWarning, PlannedTokenUser, Since, Summary,
};
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
pub use undo::{Attempt, Reversal, undo};
pub use why::{Claim, Standing, Why, WhyGroup, why};

/// What governs a plan besides the files.
#[derive(Clone, Debug)]
pub struct Policy {
    pub account_id: AccountId,
    /// The groups to plan; empty for all that the files declare.
    pub only: BTreeSet<GroupName>,
    /// Of these, only the groups that the change under review touches.
    pub touched: Option<BTreeSet<GroupName>>,
    /// Plan only what the clock brings: additions whose `from` has come, removals whose `until` has passed.
    pub due: bool,
    /// Memberships that end within this time are reported.
    pub expiring_within: SignedDuration,
    /// Whether the user that the token acts for may be removed.
    pub accept_self: bool,
}

impl Policy {
    /// Plans everything that the files declare.
    #[must_use]
    pub fn new(account_id: AccountId) -> Self {
        let (only, touched, expiring_within) = (BTreeSet::new(), None, SignedDuration::ZERO);
        Self { account_id, only, touched, due: false, expiring_within, accept_self: false }
    }

    /// Whether a declared group is planned.
    #[must_use]
    pub fn covers(&self, name: &GroupName) -> bool {
        let touched = self.touched.as_ref().is_none_or(|touched| touched.contains(name));
        touched && (self.only.is_empty() || self.only.contains(name))
    }
}

/// What has to be read before a plan can be trusted, beyond what was read for it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sought {
    /// Whether the account's members are needed, as no group lists somebody who is to be found.
    pub people: bool,
    /// Groups whose members decide about a removal.
    pub groups: BTreeSet<GroupId>,
    /// Whether to ask which user the token acts for.
    pub token_user: bool,
}

impl Sought {
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares what is desired with what was observed at a time, under a policy.
#[must_use]
pub fn plan(desired: &Desired, current: &Observed, policy: &Policy, time: Timestamp) -> Plan {
    let targets = targets(desired, current, |name| policy.covers(name));
    let people = People::of(current);
    let mut compared = compare::compare(desired, current, &targets, &people, policy, time);
    let unread = moves::keep_access(&mut compared, desired, current, policy, &people, time);
    exclusive::check(desired, &people, time, &mut compared);
    if policy.due {
        compared.leave_out_undated();
    }
    count_blocked(&mut compared);
    let mut plan = assemble(policy.account_id, compared.groups, PlanGuards::of(&desired.settings), policy.due, time);
    plan.blocked = compared.blocked;
    plan.expiring = compared.expiring;
    plan.unmanaged_groups = targets::unmanaged(desired, current);
    plan.narrowed = policy.due || desired.groups.keys().any(|name| !policy.covers(name));
    plan.unread = unread;
    guards::check_operations(&mut plan, &people);
    guards::check_account(&mut plan, desired, current, &targets);
    if !policy.accept_self {
        guards::check_token_user(&mut plan, current, &people);
    }
    plan.recount();
    plan
}

/// Notes on each group how many of its entries cannot be applied: such a group is not in sync.
fn count_blocked(compared: &mut Compared) {
    let mut counts: BTreeMap<&GroupName, u64> = BTreeMap::new();
    for blocked in &compared.blocked {
        *counts.entry(&blocked.group).or_default() += 1;
    }
    for group in &mut compared.groups {
        group.blocked = counts.get(&group.name).copied().unwrap_or_default();
    }
}

/// Makes a plan of compared groups: orders the changes, decides the operations and names the plan.
fn assemble(account_id: AccountId, mut groups: Vec<GroupPlan>, guards: PlanGuards, due: bool, time: Timestamp) -> Plan {
    let by_email = |change: &Change| (change.action, change.member.email.clone(), change.member.id);
    for group in &mut groups {
        group.changes.sort_by_cached_key(by_email);
        // Access that has expired and is kept all the same is what a reader has to see first.
        group.held.sort_by_cached_key(|change| (change.expired.is_none(), by_email(change)));
    }
    operations::decide(&mut groups, due);
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
        narrowed: false,
        due,
        warnings: Vec::new(),
        base_changes: Vec::new(),
        requests: None,
        guards,
        checksum: None,
        unread: BTreeSet::new(),
    }
}

impl Plan {
    /// What has to be read before the plan can be trusted. The protected are sought once there is something to
    /// remove, as a group may list them by an address that has changed since; the token's user likewise.
    #[must_use]
    pub fn sought(&self, current: &Observed, accept_self: bool) -> Sought {
        let mut sought = Sought { groups: self.unread.clone(), ..Sought::default() };
        let unknown =
            self.blocked.iter().filter(|blocked| matches!(blocked.reason, BlockedReason::UnknownPerson { .. }));
        let mut wanted: Vec<&PersonRef> = unknown.filter_map(|blocked| blocked.entry.as_ref()).collect();
        let removes = self.removes_anybody();
        if removes || self.groups.iter().any(|group| !group.held.is_empty()) {
            wanted.extend(self.guards.protected.iter().map(|protected| &protected.person));
        }
        let user = match (&current.token_user, removes && !accept_self) {
            (TokenUser::Known(user), true) => Some(user),
            (TokenUser::NotAsked, true) => {
                sought.token_user = true;
                None
            }
            _ => None,
        };
        // Gathering everybody takes a good part of the time of planning: only where there is somebody to look for.
        if current.knows_everybody || (wanted.is_empty() && user.is_none()) {
            return sought;
        }
        let people = People::of(current);
        let found = |user: &TokenOwner| match &user.email {
            Some(email) => people.knows(&PersonRef::Email(email.clone())),
            None => people.of_user(&user.user_id).next().is_some(),
        };
        sought.people = wanted.into_iter().any(|person| !people.knows(person)) || user.is_some_and(|user| !found(user));
        sought
    }

    /// Labels every difference as caused by the change under review or as there before it, given the plan of the
    /// same account for the files before the change.
    #[must_use]
    pub fn labelled_since(mut self, before: &Self) -> Self {
        since::label(&mut self, before);
        self
    }

    /// The plan, with what the change under review does to it and besides it.
    #[must_use]
    pub fn with_base(self, before: &Self, changes: Vec<BaseChange>) -> Self {
        Self { base_changes: changes, ..self.labelled_since(before) }
    }

    /// Whether the plan says itself which members the token's user is.
    #[must_use]
    pub fn knows_token_user(&self, user: &TokenUser) -> bool {
        let planned = self.guards.token_user.as_ref();
        matches!(user, TokenUser::Known(user) if planned.is_some_and(|planned| planned.user_id == user.user_id))
    }

    /// Asks anew, for a saved plan, whether the user is removed whom the token acts for now.
    #[must_use]
    pub fn judged_for_token(mut self, current: &Observed, accept_self: bool) -> Self {
        self.refusals.retain(|refusal| refusal.guard != Guard::Oneself);
        if !accept_self {
            guards::check_token_user(&mut self, current, &People::of(current));
        }
        self.recount();
        self
    }

    /// The same plan without what the limits refuse; all other refusals stay.
    #[must_use]
    pub fn with_limits_lifted(mut self) -> Self {
        self.refusals.retain(|refusal| !refusal.guard.is_limit());
        self.recount();
        self
    }

    /// The same plan, with the number of requests that the run has sent so far.
    #[must_use]
    pub fn with_requests(self, requests: u64) -> Self {
        Self { requests: Some(requests), ..self }
    }

    /// The same plan with another status: how a command judges it that does not apply it.
    #[must_use]
    pub fn with_status(self, status: RunStatus) -> Self {
        Self { status, ..self }
    }
}
