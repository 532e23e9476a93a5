//! The plan: what would change and why, decided completely before any request is sent.
//!
//! [`plan`] is pure: the same files, account, policy and time give the same plan. It decides who joins and who leaves
//! which group, by which requests and in which order. Applying may make fewer changes, or use other requests for them.
//! It never changes who joins or leaves.

mod attribution;
mod base;
mod beside;
mod blocked;
mod change;
mod compare;
mod contents;
mod digest;
mod due;
mod exclusive;
mod guards;
mod later;
mod located;
mod narrow;
mod operations;
mod people;
mod permissions;
mod review;
mod saved;
mod standing;
mod tip;
mod undo;
mod why;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use change::Asked;
use compare::Compared;
use later::Outlook;
use narrow::Narrowing;
use people::People;

use crate::model::{
    AccountId, Desired, Email, GroupId, GroupName, Observed, PersonRef, RunStatus, TokenUser, kept_ends,
};

pub use attribution::{
    Attribution, Author, AuthorKind, DifferenceHistories, DifferenceHistory, RecordedChange, RecordedEffect, attribute,
};
pub use base::{BaseChange, compare_base};
pub use beside::{BesideGroups, BesideStanding, direct_access};
pub use blocked::{Blocked, BlockedReason, PresentAddresses};
pub use change::TouchedGroup;
pub use contents::{
    Action, Change, Expiring, GroupPlan, LeftOut, LeftOutKind, Plan, PlanWarning, SideDoor, Since, Summary,
};
pub use digest::{Digest, DigestError, fingerprint};
pub use exclusive::ExclusivePair;
pub use guards::{Figures, GroupGuards, Guard, ManagedGroups, PlanGuards, PlannedTokenUser, Refusal};
pub use later::{Later, LaterKind};
pub use located::{Located, locate_groups, nearest_name};
pub use operations::Operation;
pub use permissions::compare_permissions;
pub use review::{Beginnings, Review, ReviewFacts, ReviewGroup, ReviewMembership, ReviewSummary, review};
pub use saved::{Freshness, SavedPlanError, SealedPlan};
pub use standing::{Claim, Standing, Tally};
pub use undo::{AttemptedChange, Reversal, undo};
pub use why::{UnreadableGroup, Why, WhyGroup, why, why_group};

/// How far ahead a plan names the ends that a guard will keep.
const SOON: SignedDuration = SignedDuration::from_hours(90 * 24);

/// The inputs of a plan other than the files and the account.
#[derive(Clone, Debug)]
pub struct Policy {
    pub account_id: AccountId,
    /// The groups to plan; empty for all declared groups.
    pub only: BTreeSet<GroupName>,
    pub base: Option<Arc<Desired>>,
    /// The newest files, which decide about what the files select.
    pub tip: Option<Arc<Desired>>,
    /// Plan only what the change under review asks for.
    pub only_changed: bool,
    /// Plan only changes that are due: additions whose `from` has come, removals whose `until` has passed.
    pub due: bool,
    /// Memberships that end within this time are reported.
    pub expiring_within: SignedDuration,
    /// Whether the user of the token may be removed.
    pub accept_self: bool,
}

impl Policy {
    pub fn new(account_id: AccountId) -> Self {
        Self {
            account_id,
            only: BTreeSet::new(),
            base: None,
            tip: None,
            only_changed: false,
            due: false,
            expiring_within: SignedDuration::ZERO,
            accept_self: false,
        }
    }

    pub fn names(&self, name: &GroupName) -> bool {
        self.only.is_empty() || self.only.contains(name)
    }

    /// What the change under review asks for, if the plan has nothing else.
    fn asked<'a>(&'a self, desired: &'a Desired) -> Option<Asked<'a>> {
        self.base.as_deref().filter(|_| self.only_changed).map(|base| Asked::by(base, desired))
    }

    /// The addresses that the change adds to groups that exist, and that are therefore probably in none of these groups.
    pub fn newcomers(&self, desired: &Desired, time: Timestamp) -> BTreeSet<Email> {
        let asked = self.asked(desired).unwrap_or_default();
        let existing = asked.groups().filter(|(name, group)| self.names(name) && group.base.is_some());
        let added = existing.flat_map(|(_, group)| group.named.values().filter(|entries| entries.base.is_empty()));
        let entries = added.flat_map(|entries| &entries.head);
        let present = entries.filter(|entry| entry.until().is_none_or(|until| until > time));
        let email = |person: &PersonRef| match person {
            PersonRef::Email(email) => Some(email.clone()),
            PersonRef::Id(_) => None,
        };
        present.filter_map(|entry| email(&entry.person)).collect()
    }

    /// The groups of the account that have to be read first.
    pub fn first_groups(&self, desired: &Desired, current: &Observed) -> BTreeSet<GroupId> {
        let asked = self.asked(desired);
        let is_first = |name: &GroupName| self.names(name) && asked.as_ref().is_none_or(|asked| asked.concerns(name));
        locate_groups(desired, current, is_first).into_values().filter_map(Result::ok).collect()
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
    let mut located = locate_groups(desired, current, |name| policy.names(name));
    let people = People::of(current);
    let asked = policy.base.as_deref().map(|base| Asked::by(base, desired));
    let all = policy.only_changed.then(|| located.clone());
    let narrowing = asked.as_ref().zip(all.as_ref()).map(|(asked, located)| Narrowing {
        asked,
        desired,
        current,
        located,
        people: &people,
        tip: policy.tip.as_deref(),
        time,
    });
    if let Some(narrowing) = narrowing {
        located.retain(|name, found| narrowing.compares(name, found));
    }
    let mut compared = compare::compare(desired, current, &located, &people, policy, time);
    let mut unread = narrowing.map(|it| it.narrow(&mut compared)).unwrap_or_default();
    let addresses = people.addresses_of(compared.groups.iter().flat_map(|group| &group.changes));
    // Settings, guards and rules are those of the newest files.
    let rules = policy.tip.as_deref().unwrap_or(desired);
    if let Some(tip) = &policy.tip {
        let (left, others) = tip::leave_out(&mut compared.groups, tip, current, &addresses, time);
        compared.left_out.extend(left);
        unread.extend(others);
    }
    let mut warnings = permissions::check(rules, current, &mut compared.groups, &mut compared.blocked);
    let exclusions = exclusive::check(rules, current, &people, time, &mut compared);
    unread.extend(exclusions.unread);
    if policy.due {
        compared.leave_out_undated(desired, current, time);
    }
    let outlook = |asked| Outlook::of(asked, all.as_ref().unwrap_or(&located), current, &people, policy, time);
    let outlook = asked.as_ref().map(outlook).unwrap_or_default();
    unread.extend(outlook.unread);
    warnings.extend(outlook.warnings.into_iter().chain(kept_ends_soon(desired, &located, time)));
    compared.blocked.extend(outlook.blocked);
    compared.blocked.sort_by(|a, b| a.group.cmp(&b.group));
    count_blocked(&mut compared);
    let mut plan = assemble(policy.account_id, compared.groups, PlanGuards::of(rules, time), policy.due, time);
    (plan.blocked, plan.expiring, plan.addresses) = (compared.blocked, compared.expiring, addresses);
    plan.unmanaged_groups = located::unmanaged(rules, current);
    plan.narrowed = policy.due || policy.only_changed || desired.groups.keys().any(|name| !policy.names(name));
    (plan.left_out, plan.later) = (compared.left_out, outlook.later);
    plan.first_adoption = policy.base.as_deref().is_some_and(|base| base.groups.is_empty());
    plan.unread = unread;
    plan.warnings = warnings;
    plan.permissions = permissions::pins(rules, &plan);
    (plan.exclusive, plan.exchanges) = (exclusions.pairs, exclusions.exchanges);
    if let Some(asked) = &asked {
        change::label(&mut plan, asked, &people);
    }
    if let Some(narrowing) = narrowing {
        plan.touched = Some(narrowing.touched(&plan.groups));
        plan.digest = plan.identity();
        // Only the pins of groups in the plan are asked.
        located.retain(|name, _| narrowing.asked.concerns(name));
    }
    judge(&mut plan, rules, current, &people, &located, policy.accept_self);
    plan
}

/// Asks the guards. With `--due`, what they refuse is left out.
fn judge(
    plan: &mut Plan,
    rules: &Desired,
    current: &Observed,
    people: &People<'_>,
    located: &BTreeMap<GroupName, Located>,
    accept_self: bool,
) {
    guards::check_operations(plan, people, current.knows_everybody);
    guards::check_account(plan, rules, current, located);
    if !accept_self {
        guards::check_token_user(plan, current, people);
    }
    if plan.due {
        due::block_renamed(plan, &current.groups);
        due::leave_out_refused(plan);
    }
    plan.recount();
}

/// The ends within [`SOON`] that a guard will not let take effect.
fn kept_ends_soon(
    desired: &Desired,
    located: &BTreeMap<GroupName, Located>,
    time: Timestamp,
) -> impl Iterator<Item = PlanWarning> {
    let latest = time.checked_add(SOON).unwrap_or(Timestamp::MAX);
    let ends = kept_ends(desired, |name| located.contains_key(name), time, latest);
    ends.into_iter().map(|(origin, message, help)| PlanWarning::new(message, &help, Some(origin)))
}

/// The whole plan of files, as far as the account was read. It only says something about a plan of a change, so nothing
/// more is read for it.
fn plan_read(files: &Desired, current: &Observed, policy: &Policy, time: Timestamp) -> Plan {
    let whole = Policy { base: None, tip: None, only_changed: false, accept_self: true, ..policy.clone() };
    if !policy.only_changed {
        return plan(files, current, &whole, time);
    }
    let is_read = |found: Located| found.is_ok_and(|id| current.memberships.contains_key(&id));
    let located = locate_groups(files, current, |name| policy.names(name)).into_iter();
    let only: BTreeSet<GroupName> = located.filter_map(|(name, found)| is_read(found).then_some(name)).collect();
    // An empty list would mean all groups.
    let nothing = Desired { settings: files.settings.clone(), ..Desired::default() };
    let files = if only.is_empty() { &nothing } else { files };
    plan(files, current, &Policy { only, ..whole }, time)
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
        later: Vec::new(),
        left_out: Vec::new(),
        stale: None,
        unmanaged_groups: Vec::new(),
        expiring: Vec::new(),
        narrowed: false,
        due,
        warnings: Vec::new(),
        base_changes: Vec::new(),
        first_adoption: false,
        was_refused: false,
        touched: None,
        requests: None,
        paths: Vec::new(),
        addresses: BTreeMap::new(),
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
        use BlockedReason as R;
        let mut needs = Needs { groups: self.unread.clone(), ..Needs::default() };
        let unknown =
            self.blocked.iter().filter(|blocked| matches!(blocked.reason, R::UnknownPerson { .. } | R::LeftAccount));
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
        // A group can show an address at another domain than the account does.
        let is_foreign = self.blocked.iter().any(|blocked| matches!(blocked.reason, BlockedReason::Domain { .. }));
        if current.knows_everybody || !is_foreign && wanted.is_empty() && guarded.is_empty() && user.is_none() {
            return needs;
        }
        let people = People::of(current);
        let by_email = user.and_then(|user| user.email.clone()).map(PersonRef::Email);
        needs.everybody = is_foreign
            || user.is_some_and(|user| user.email.is_none() && people.of_user(&user.user_id).next().is_none());
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

    /// The plan, with the changed settings, and what the plan of the files before the change shows about it.
    #[must_use]
    pub fn with_base(mut self, head: &Desired, current: &Observed, policy: &Policy) -> Self {
        let Some(base) = &policy.base else { return self };
        self.base_changes = compare_base(base, head);
        let before = plan_read(base, current, policy, self.time);
        change::compare(&mut self, &before);
        let mut planned = self.groups.iter().flat_map(|group| group.changes.iter().chain(&group.left_alone));
        let frees = !before.refusals.is_empty() && planned.any(|change| change.since == Some(Since::Before));
        let is_refused = |plan: &Self| !plan.refusals.is_empty();
        self.was_refused = frees
            && !is_refused(&self)
            && !(policy.only_changed && is_refused(&plan_read(head, current, policy, self.time)));
        self
    }

    fn identity(&self) -> Digest {
        match &self.touched {
            Some(touched) => digest::digest_of_change(self.account_id, touched),
            None => digest::digest(self.account_id, &self.groups, &self.left_out),
        }
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

    /// Why this is not the reviewed plan, if the digest that was given with a flag is another one.
    pub fn is_other(&self, flag: &str, given: Digest) -> Option<String> {
        (given != self.digest).then(|| {
            format!(
                "this is not the plan that was reviewed: its digest is {}, but {flag} is {given}. The changes shown are \
                 those that would be made now",
                self.digest
            )
        })
    }

    /// The same plan, which is not the reviewed one.
    #[must_use]
    pub fn with_stale(self, reason: String) -> Self {
        Self { status: RunStatus::Stale, stale: Some(reason), ..self }
    }

    /// The same plan with another status, from a command that does not apply it.
    #[must_use]
    pub fn with_status(self, status: RunStatus) -> Self {
        Self { status, ..self }
    }
}
