//! The plan: what would change and why, decided completely before any request is sent.
//!
//! [`plan`] is pure: the same files, account, policy and time give the same plan. It decides who joins and who leaves
//! which group, by which requests and in which order. Applying may make fewer changes, or use other requests for them.
//! It never changes who joins or leaves.

mod attribution;
mod base;
mod blocked;
mod change;
mod compare;
mod contents;
mod digest;
mod due;
mod exclusive;
mod group;
mod guards;
mod inputs;
mod later;
mod narrow;
mod people;
mod review;
mod saved;
mod side_doors;
mod standing;
mod tip;
mod undo;
mod why;

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use inputs::Inputs;

use crate::model::{Desired, Email, GroupId, GroupName, Observed, PersonRef, RunStatus, TokenUser, kept_ends};

pub use attribution::{Attribution, Author, AuthorKind, RecordedChange, RecordedEffect, attribute};
pub use base::{BaseChange, compare_base};
pub use blocked::{Blocked, BlockedReason, PresentAddresses};
pub use change::TouchedGroup;
pub use contents::{Action, Change, Expiring, LeftOut, LeftOutKind, Plan, PlanWarning, Since, Summary};
pub use digest::{Digest, fingerprint};
pub use exclusive::ExclusivePair;
pub use group::{GroupPlan, Operation};
pub use guards::{Figures, GroupGuards, Guard, ManagedGroups, PlanGuards, PlannedTokenUser, Refusal};
pub use inputs::{Located, Policy, locate_groups, nearest_name};
pub use later::{Later, LaterKind};
pub use people::People;
pub use review::{Beginnings, Review, ReviewFacts, ReviewGroup, ReviewMembership, ReviewSummary, review};
pub use saved::{SavedPlanError, SealedPlan, Strays};
pub use side_doors::{BesideGroups, BesideStanding, SideDoor, compare_permissions, direct_access};
pub use standing::{Claim, Standing, Tally};
pub use undo::{AttemptedChange, Reversal, undo};
pub use why::{UnreadableGroup, Why, WhyGroup, why};

/// How far ahead a plan names the ends that a guard will keep.
const SOON: SignedDuration = SignedDuration::from_hours(90 * 24);

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
    let inputs = Inputs::new(desired, current, policy, time);
    let (rules, asked) = (inputs.rules(), inputs.asked.as_ref());
    let mut plan = Plan::empty(&inputs);
    compare::compare(&inputs, &mut plan);
    if let Some(asked) = inputs.only_asked() {
        narrow::narrow(&inputs, asked, &mut plan);
    }
    plan.addresses = inputs.people.addresses_of(plan.groups.iter().flat_map(|group| &group.changes));
    if let Some(tip) = inputs.tip() {
        tip::leave_out(&mut plan, tip, current, time);
    }
    side_doors::check_permissions(rules, current, &mut plan);
    exclusive::check(&inputs, &mut plan);
    if policy.due {
        compare::leave_out_undated(&inputs, &mut plan);
    }
    if let Some(asked) = asked {
        later::look_ahead(&inputs, asked, &mut plan);
    }
    plan.warnings.extend(kept_ends_soon(&inputs));
    people::suggest(&mut plan.blocked, &inputs.people);
    plan.blocked.sort_by(|a, b| a.group.cmp(&b.group));
    count_blocked(&mut plan);
    plan.decide(rules);
    plan.unmanaged_groups = inputs::unmanaged(rules, current);
    plan.narrowed = policy.due || policy.only_changed || desired.groups.keys().any(|name| !policy.names(name));
    plan.first_adoption = policy.base.as_deref().is_some_and(|base| base.groups.is_empty());
    if let Some(asked) = asked {
        change::label(&mut plan, asked, &inputs.people);
    }
    if let Some(asked) = inputs.only_asked() {
        plan.touched = Some(narrow::touched(&inputs, asked, &plan.groups));
        plan.digest = plan.identity();
    }
    // Only the pins of groups that the change concerns are asked.
    judge(&mut plan, &inputs, |name| inputs.only_asked().is_none_or(|asked| change::concerns(asked, name)));
    plan
}

/// Asks the guards, and the pins of these groups. With `--due`, what they refuse is left out.
fn judge(plan: &mut Plan, inputs: &Inputs<'_>, asks_pin: impl Fn(&GroupName) -> bool) {
    let (doubts, warnings) = guards::unknown_protected(plan, &inputs.people, inputs.current.knows_everybody);
    plan.refuse(doubts);
    plan.refuse(guards::operation_refusals(plan, &inputs.people));
    plan.warnings.extend(warnings);
    // Also groups whose members could not be read, and destinations of moves.
    let asked = inputs.located.keys().filter(|name| asks_pin(name));
    plan.guards.pins = guards::pins(inputs.rules(), asked.chain(plan.groups.iter().map(|group| &group.name)));
    guards::check_account(plan, inputs.rules(), inputs.current);
    if !inputs.policy.accept_self {
        guards::check_token_user(plan, inputs.current, &inputs.people);
    }
    if plan.due {
        due::block_renamed(plan, &inputs.current.groups);
        due::leave_out_refused(plan);
    }
    plan.recount();
}

/// The ends within [`SOON`] that a guard will not let take effect.
fn kept_ends_soon(inputs: &Inputs<'_>) -> impl Iterator<Item = PlanWarning> {
    let latest = inputs.time.checked_add(SOON).unwrap_or(Timestamp::MAX);
    let is_compared = |name: &GroupName| inputs.located.get(name).is_some_and(|found| inputs.compares(name, found));
    let ends = kept_ends(inputs.desired, is_compared, inputs.time, latest);
    ends.into_iter().map(|(origin, message, help)| PlanWarning::new(message, &help, Some(origin)))
}

/// The plan of these files for the groups that were read. It is only compared with another plan, so nothing more is read
/// for it.
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

/// Records for each group how many of its entries are blocked. Such a group is not in sync. The entries are sorted by
/// group.
fn count_blocked(plan: &mut Plan) {
    for group in &mut plan.groups {
        let first = plan.blocked.partition_point(|blocked| blocked.group < group.name);
        let blocked = plan.blocked.iter().skip(first).take_while(|blocked| blocked.group == group.name);
        group.blocked = blocked.count() as u64;
    }
}

impl Plan {
    /// A plan without groups, for the steps of planning to fill.
    fn empty(inputs: &Inputs<'_>) -> Self {
        let account_id = inputs.policy.account_id;
        Self {
            format_version: saved::FORMAT_VERSION,
            status: RunStatus::InSync,
            account_id,
            digest: digest::digest(account_id, &[], &[]),
            time: inputs.time,
            summary: Summary::default(),
            groups: Vec::new(),
            blocked: Vec::new(),
            refusals: Vec::new(),
            later: Vec::new(),
            left_out: Vec::new(),
            stale: None,
            unmanaged_groups: Vec::new(),
            expiring: Vec::new(),
            narrowed: false,
            due: inputs.policy.due,
            warnings: Vec::new(),
            base_changes: Vec::new(),
            first_adoption: false,
            was_refused: false,
            touched: None,
            requests: None,
            paths: Vec::new(),
            addresses: BTreeMap::new(),
            permissions: BTreeMap::new(),
            guards: PlanGuards::of(inputs.rules(), inputs.time),
            exclusive: Vec::new(),
            exchanges: Vec::new(),
            checksum: None,
            unread: BTreeSet::new(),
        }
    }

    /// Sorts the changes, decides the operations and computes the digest.
    fn decide(&mut self, rules: &Desired) {
        let by_email = |change: &Change| (change.action, change.member.email.clone(), change.member.id);
        for group in &mut self.groups {
            group.changes.sort_by_cached_key(by_email);
            // A held removal of expired access is the most important for a reader.
            group.held.sort_by_cached_key(|change| (change.expired.is_none(), by_email(change)));
        }
        group::decide(&mut self.groups, self.due);
        self.permissions = side_doors::pins(rules, self);
        self.digest = self.identity();
    }

    /// What must still be read before the plan can be used. Protected people and the user of the token are looked up
    /// only if the plan removes somebody, holds a removal or leaves one out; then even if a group shows their address,
    /// because another group may list them, or somebody who shares the address, by a former one.
    pub fn needs(&self, current: &Observed, accept_self: bool) -> Needs {
        let mut needs = Needs { groups: self.unread.clone(), ..Needs::default() };
        // What is left out may be planned when more is known.
        let removes = self.removes_anybody() || self.left_out.iter().any(|it| it.change.action == Action::Remove);
        let asks_user = removes && !accept_self;
        needs.token_user = asks_user && current.token_user == TokenUser::NotAsked;
        if current.knows_everybody {
            return needs;
        }
        let mut wanted: Vec<&PersonRef> = Vec::new();
        for blocked in &self.blocked {
            match blocked.reason {
                BlockedReason::UnknownPerson { .. } | BlockedReason::LeftAccount => wanted.extend(&blocked.entry),
                // A group can show an address at another domain than the account does.
                BlockedReason::Domain { .. } => needs.everybody = true,
                _ => {}
            }
        }
        let mut guarded: Vec<PersonRef> = Vec::new();
        if removes || self.groups.iter().any(|group| !group.held.is_empty()) {
            guarded.extend(self.guards.protected.iter().map(|protected| protected.person.clone()));
        }
        if let TokenUser::Known(user) = &current.token_user
            && asks_user
        {
            let mut seen = current.people.values().filter_map(|person| person.user_id.as_ref());
            needs.everybody |= user.email.is_none() && !seen.any(|id| *id == user.user_id);
            guarded.extend(user.email.clone().map(PersonRef::Email));
        }
        // Collecting all people takes much of the planning time, so do it only if a person is looked for.
        if wanted.is_empty() && guarded.is_empty() {
            return needs;
        }
        let people = People::of(current);
        let looked_up: BTreeSet<&str> = current.people.values().flat_map(|it| &it.emails).map(Email::folded).collect();
        let is_unknown = |person: &&PersonRef| !people.knows(person);
        let is_open = |person: &&PersonRef| match person {
            PersonRef::Email(email) => !looked_up.contains(email.folded()),
            PersonRef::Id(_) => is_unknown(person),
        };
        for person in wanted.into_iter().filter(is_unknown).chain(guarded.iter().filter(is_open)) {
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
        self.refuse(guards::protected(&self, &people));
        // Also people whom a mistyped entry of `protected` may mean.
        self.refuse(guards::unknown_protected(&self, &people, false).0);
        if !accept_self {
            guards::check_token_user(&mut self, current, &people);
        }
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
}
