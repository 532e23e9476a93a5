//! The plan: what would change and why, decided completely before any request is sent.
//!
//! [`plan`] is pure: the same files, account, policy and time give the same plan. It decides who joins and who leaves
//! which group, by which requests and in which order. Applying may make fewer changes, or use other requests for them.
//! It never changes who joins or leaves.

mod attribution;
mod base;
mod beside;
mod blocked;
mod compare;
mod contents;
mod digest;
mod due;
mod exclusive;
mod guards;
mod located;
mod moves;
mod operations;
mod people;
mod permissions;
mod review;
mod saved;
mod since;
mod standing;
mod typos;
mod undo;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use compare::Compared;
use people::People;

use crate::model::{AccountId, Desired, Email, GroupId, GroupName, Observed, PersonRef, RunStatus, TokenUser};

pub use attribution::{
    Attribution, Author, AuthorKind, DifferenceHistories, DifferenceHistory, RecordedChange, RecordedEffect, attribute,
};
pub use base::{BaseChange, BaseComparison, compare_base};
pub use beside::{BesideGroups, BesideStanding, direct_access};
pub use blocked::{Blocked, BlockedReason};
pub use contents::{
    Action, Change, Expiring, GroupPlan, LeftOut, LeftOutKind, Plan, PlanWarning, SideDoor, Since, Summary,
};
pub use digest::{Digest, DigestError, fingerprint};
pub use exclusive::ExclusivePair;
pub use guards::{Figures, GroupGuards, Guard, ManagedGroups, PlanGuards, PlannedTokenUser, Refusal};
pub use located::{Located, locate_groups, nearest_name};
pub use operations::Operation;
pub use permissions::compare_permissions;
pub use review::{Beginnings, Review, ReviewFacts, ReviewGroup, ReviewMembership, ReviewSummary, review};
pub use saved::{Freshness, SavedPlanError, SealedPlan};
pub use standing::{Claim, Standing, Tally};
pub use undo::{AttemptedChange, Reversal, undo};
pub use why::{UnreadableGroup, Why, WhyGroup, why, why_group};

/// The inputs of a plan other than the files and the account.
#[derive(Clone, Debug)]
pub struct Policy {
    pub account_id: AccountId,
    /// The groups to plan; empty for all declared groups.
    pub only: BTreeSet<GroupName>,
    /// If set, only the groups of these that the change under review touches.
    pub touched: Option<BTreeSet<GroupName>>,
    /// Plan only changes that are due: additions whose `from` has come, removals whose `until` has passed.
    pub due: bool,
    /// Memberships that end within this time are reported.
    pub expiring_within: SignedDuration,
    /// Whether the user of the token may be removed.
    pub accept_self: bool,
}

impl Policy {
    pub fn new(account_id: AccountId) -> Self {
        let (only, touched, expiring_within) = (BTreeSet::new(), None, SignedDuration::ZERO);
        Self { account_id, only, touched, due: false, expiring_within, accept_self: false }
    }

    pub fn covers(&self, name: &GroupName) -> bool {
        let touched = self.touched.as_ref().is_none_or(|touched| touched.contains(name));
        touched && (self.only.is_empty() || self.only.contains(name))
    }
}

/// What must still be read before a plan can be used.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Needs {
    /// Addresses to look up among the account's members, because no group lists them.
    pub people: BTreeSet<Email>,
    /// Whether all members of the account are needed, because a person to look up has no known address.
    pub everybody: bool,
    pub groups: BTreeSet<GroupId>,
    /// Whether to read the user of the token.
    pub token_user: bool,
}

impl Needs {
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Compares the desired and the observed memberships at a time, under a policy.
pub fn plan(desired: &Desired, current: &Observed, policy: &Policy, time: Timestamp) -> Plan {
    let located = locate_groups(desired, current, |name| policy.covers(name));
    let people = People::of(current);
    let mut compared = compare::compare(desired, current, &located, &people, policy, time);
    let mut unread = moves::keep_access(&mut compared, desired, current, policy, &people, time);
    let warnings = permissions::check(desired, current, &mut compared.groups, &mut compared.blocked);
    let exclusions = exclusive::check(desired, current, &people, time, &mut compared);
    unread.extend(exclusions.unread);
    if policy.due {
        compared.leave_out_undated(desired, time);
    }
    count_blocked(&mut compared);
    let mut plan = assemble(policy.account_id, compared.groups, PlanGuards::of(desired, time), policy.due, time);
    plan.blocked = compared.blocked;
    plan.left_out = compared.left_out;
    plan.expiring = compared.expiring;
    plan.unmanaged_groups = located::unmanaged(desired, current);
    plan.narrowed = policy.due || desired.groups.keys().any(|name| !policy.covers(name));
    plan.unread = unread;
    plan.warnings = warnings;
    plan.permissions = permissions::pins(desired, &plan);
    (plan.exclusive, plan.exchanges) = (exclusions.pairs, exclusions.exchanges);
    guards::check_operations(&mut plan, &people);
    guards::check_account(&mut plan, desired, current, &located);
    if !policy.accept_self {
        guards::check_token_user(&mut plan, current, &people);
    }
    if plan.due {
        due::leave_out_refused(&mut plan);
    }
    plan.recount();
    plan
}

/// Records for each group how many of its entries are blocked. Such a group is not in sync.
fn count_blocked(compared: &mut Compared) {
    let mut counts: BTreeMap<&GroupName, u64> = BTreeMap::new();
    for blocked in &compared.blocked {
        *counts.entry(&blocked.group).or_default() += 1;
    }
    for group in &mut compared.groups {
        group.blocked = counts.get(&group.name).copied().unwrap_or_default();
    }
}

/// Makes a plan of compared groups: sorts the changes, decides the operations and computes the digest.
fn assemble(account_id: AccountId, mut groups: Vec<GroupPlan>, guards: PlanGuards, due: bool, time: Timestamp) -> Plan {
    let by_email = |change: &Change| (change.action, change.member.email.clone(), change.member.id);
    for group in &mut groups {
        group.changes.sort_by_cached_key(by_email);
        // A held removal of expired access is the most important for a reader.
        group.held.sort_by_cached_key(|change| (change.expired.is_none(), by_email(change)));
    }
    operations::decide(&mut groups, due);
    let digest = digest::digest(account_id, &groups, &[]);
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
        left_out: Vec::new(),
        unmanaged_groups: Vec::new(),
        expiring: Vec::new(),
        narrowed: false,
        due,
        warnings: Vec::new(),
        base_changes: Vec::new(),
        requests: None,
        permissions: BTreeMap::new(),
        guards,
        exclusive: Vec::new(),
        exchanges: Vec::new(),
        checksum: None,
        unread: BTreeSet::new(),
    }
}

impl Plan {
    /// What must still be read before the plan can be used. Protected people and the user of the token are looked up
    /// only if the plan removes anybody; then even if a group shows their address, because another group may list them,
    /// or somebody who shares the address, by a former one.
    pub fn needs(&self, current: &Observed, accept_self: bool) -> Needs {
        let mut needs = Needs { groups: self.unread.clone(), ..Needs::default() };
        let unknown =
            self.blocked.iter().filter(|blocked| matches!(blocked.reason, BlockedReason::UnknownPerson { .. }));
        let wanted: Vec<&PersonRef> = unknown.filter_map(|blocked| blocked.entry.as_ref()).collect();
        let mut guarded: Vec<&PersonRef> = Vec::new();
        // What is left out may be planned when more is known.
        let removes = self.removes_anybody() || self.left_out.iter().any(|it| it.change.action == Action::Remove);
        if removes || self.groups.iter().any(|group| !group.held.is_empty()) {
            guarded.extend(self.guards.protected.iter().map(|protected| &protected.person));
        }
        let user = match (&current.token_user, removes && !accept_self) {
            (TokenUser::Known(user), true) => Some(user),
            (TokenUser::NotAsked, true) => {
                needs.token_user = true;
                None
            }
            _ => None,
        };
        // Collecting all people takes much of the planning time, so do it only if a person is looked for.
        if current.knows_everybody || (wanted.is_empty() && guarded.is_empty() && user.is_none()) {
            return needs;
        }
        let people = People::of(current);
        let by_email = user.and_then(|user| user.email.clone()).map(PersonRef::Email);
        needs.everybody =
            user.is_some_and(|user| user.email.is_none() && people.of_user(&user.user_id).next().is_none());
        let looked_up: BTreeSet<&str> = current.people.values().flat_map(|it| &it.emails).map(Email::folded).collect();
        let is_unknown = |person: &&PersonRef| !people.knows(person);
        let is_open = |person: &&PersonRef| match person {
            PersonRef::Email(email) => !looked_up.contains(email.folded()),
            PersonRef::Id(_) => is_unknown(person),
        };
        let guarded = guarded.into_iter().chain(&by_email).filter(is_open);
        for person in wanted.into_iter().filter(is_unknown).chain(guarded) {
            match person {
                PersonRef::Email(email) => drop(needs.people.insert(email.clone())),
                PersonRef::Id(_) => needs.everybody = true,
            }
        }
        needs
    }

    /// Labels every difference as caused by the change under review or as already there. `before` is the plan of the
    /// same account for the files before the change.
    #[must_use]
    pub fn labeled_since(mut self, before: &Self) -> Self {
        since::label(&mut self, before);
        self
    }

    /// The plan, with the labels and the other effects of the change under review. The limits count the ends that the
    /// change writes.
    #[must_use]
    pub fn with_base(self, base: &Desired, before: &Self, changes: Vec<BaseChange>) -> Self {
        let mut plan = Self { base_changes: changes, ..self.labeled_since(before) };
        guards::count_changed_ends(&mut plan, base);
        plan.recount();
        plan
    }

    /// Whether the plan has the members of the token's user.
    pub fn knows_token_user(&self, user: &TokenUser) -> bool {
        let planned = self.guards.token_user.as_ref();
        matches!(user, TokenUser::Known(user) if planned.is_some_and(|planned| planned.user_id == user.user_id))
    }

    /// Asks a saved plan again which people its guards protect: those that `protected` names now, and the present user of
    /// the token.
    #[must_use]
    pub fn judged_for_people(mut self, current: &Observed, accept_self: bool) -> Self {
        let people = People::of(current);
        self.refusals.retain(|refusal| !matches!(refusal.guard, Guard::Protected | Guard::Oneself));
        self.refusals.extend(guards::protection(&self, &people));
        if !accept_self {
            guards::check_token_user(&mut self, current, &people);
        }
        guards::sort(&mut self);
        self.recount();
        self
    }

    /// The same plan without the refusals of the limits.
    #[must_use]
    pub fn with_limits_lifted(mut self) -> Self {
        self.refusals.retain(|refusal| !refusal.guard.is_limit());
        due::lift_cap(&mut self);
        self.recount();
        self
    }

    /// The same plan, with the number of requests so far.
    #[must_use]
    pub fn with_requests(self, requests: u64) -> Self {
        Self { requests: Some(requests), ..self }
    }

    /// The same plan with another status, from a command that does not apply it.
    #[must_use]
    pub fn with_status(self, status: RunStatus) -> Self {
        Self { status, ..self }
    }
}
