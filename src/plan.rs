//! The plan: what would change and why, decided whole before anything is done.
//!
//! [`plan`] is pure: the same files, account, policy and time give the same plan. It decides who joins and who
//! leaves which group, by which requests and in which order; applying carries that out and decides nothing.

mod attribution;
mod compare;
mod digest;
pub mod document;
mod freshness;
mod guards;
mod operations;
mod people;
mod review;
mod since;
mod standings;
mod suggestions;
mod targets;
mod undo;
mod why;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use crate::model::{
    AccountId, Desired, DesiredGroup, Email, GroupId, GroupName, Member, MemberId, Membership, Mode, Observed, Origin,
    PersonRef, RosterUse, Settings,
};

pub use attribution::{
    Attribution, Author, AuthorKind, DifferenceOrigin, DifferenceOrigins, RecordedChange, RecordedEffect, attribute,
};
pub use digest::{Digest, DigestError, fingerprint};
pub use freshness::Freshness;
pub use guards::{Figures, Guard, Refusal};
pub use review::{
    Beginnings, Review, ReviewEntry, ReviewFacts, ReviewGroup, ReviewMembership, ReviewMode, ReviewState, ReviewStatus,
    ReviewSummary, review,
};
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

/// The difference between what is desired and what was observed, and the operations that end it.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The account.
    pub account_id: AccountId,
    /// Names the plan: equal for the same account, observed members and changes.
    pub digest: Digest,
    /// Every group planned, by name, changed or not.
    pub groups: Vec<GroupPlan>,
    /// What is declared and cannot be applied.
    pub blocked: Vec<Blocked>,
    /// What the guards object to. A plan with refusals is not applied.
    pub refusals: Vec<Refusal>,
    /// Groups of the account that no file declares, where the settings ask for them.
    pub unmanaged_groups: Vec<UnmanagedGroup>,
    /// Memberships that end soon.
    pub expiring: Vec<Expiring>,
}

/// One group's part of a plan.
#[derive(Clone, Debug)]
pub struct GroupPlan {
    /// The group's id.
    pub id: GroupId,
    /// The group's name, as declared.
    pub name: GroupName,
    /// What the group's list means.
    pub mode: Mode,
    /// Where the group is declared.
    pub origin: Origin,
    /// The members the group was observed to have.
    pub observed: Arc<Membership>,
    /// A hash of the observed members' ids.
    pub fingerprint: Digest,
    /// Who joins and who leaves, additions first, each in the order of addresses.
    pub changes: Vec<Change>,
    /// Removals that wait until what is blocked is resolved: no operation carries them out.
    pub held: Vec<Change>,
    /// The requests that make the changes, in order; none where the mode is [`Mode::Observe`].
    pub operations: Vec<Operation>,
    /// Bounds that also hold at every moment while the changes are made.
    pub guards: GroupGuards,
    /// Who has to be in the group afterwards, where members whom no file declares do not count; nothing where the
    /// whole set counts.
    pub required: Option<BTreeSet<MemberId>>,
}

/// The bounds of one group that applying keeps at every moment, not only at the end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupGuards {
    /// The fewest members that the group may have, where a file sets it.
    pub min_members: Option<u64>,
    /// Whether the group may become empty.
    pub allow_empty: bool,
}

impl GroupGuards {
    #[must_use]
    pub fn of(group: &DesiredGroup) -> Self {
        let min_members = group.min_members.as_ref().map(|least| least.value);
        Self { min_members, allow_empty: group.allow_empty.value }
    }

    /// The fewest members that removals may leave.
    #[must_use]
    pub fn least(self) -> u64 {
        self.min_members.unwrap_or(0).max(u64::from(!self.allow_empty))
    }
}

/// Somebody joins or leaves a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Which of the two.
    pub action: Action,
    /// Who.
    pub member: Member,
    /// For an addition, where the person is declared. For a removal, where the list stands that does not hold
    /// them, or the entry that has expired.
    pub origin: Origin,
    /// The rosters between the group and the entry.
    pub via: Option<Arc<[RosterUse]>>,
    /// Why, in the words of the file.
    pub reason: Option<Arc<str>>,
    /// For a removal: when the entry ran out that held the person until then.
    pub expired: Option<Timestamp>,
    /// Whether the change under review causes the difference, where that was asked.
    pub since: Option<Since>,
    /// For a removal: when the member was added to the group, where that was asked and the API knows.
    pub added_at: Option<Timestamp>,
}

/// Joining or leaving.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The member joins the group.
    Add,
    /// The member leaves the group.
    Remove,
}

/// When a difference came to be, seen from a change under review.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Since {
    /// The change under review causes it.
    Change,
    /// It was there before.
    Before,
}

/// One request of a plan. As JSON each is `{"method": …, "members": […]}`, so that readers need not tell them apart.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "method", content = "members", rename_all = "UPPERCASE")]
pub enum Operation {
    /// Adds these members (`account-user-group-member-create`).
    Post(Vec<MemberId>),
    /// Replaces the whole set (`account-user-group-member-update`).
    Put(Vec<MemberId>),
    /// Removes one member (`account-user-group-member-delete`).
    Delete(
        #[serde(with = "list_of_one")]
        #[schemars(with = "[MemberId; 1]")]
        MemberId,
    ),
}

impl Operation {
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Post(_) => Method::Post,
            Self::Put(_) => Method::Put,
            Self::Delete(_) => Method::Delete,
        }
    }

    /// The members that the request names.
    #[must_use]
    pub fn members(&self) -> &[MemberId] {
        match self {
            Self::Post(members) | Self::Put(members) => members,
            Self::Delete(member) => std::slice::from_ref(member),
        }
    }
}

mod list_of_one {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub fn serialize<T: Serialize, S: Serializer>(value: &T, serializer: S) -> Result<S::Ok, S::Error> {
        [value].serialize(serializer)
    }

    pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<T, D::Error> {
        <[T; 1]>::deserialize(deserializer).map(|[value]| value)
    }
}

/// What a request does to a group's members.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
pub enum Method {
    /// Adds members (`account-user-group-member-create`).
    Post,
    /// Replaces the whole set (`account-user-group-member-update`).
    Put,
    /// Removes one member (`account-user-group-member-delete`).
    Delete,
}

/// Something declared that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocked {
    /// The declared group.
    pub group: GroupName,
    /// The entry, where it is not the group itself.
    pub entry: Option<PersonRef>,
    /// Where it is declared.
    pub origin: Origin,
    /// Why it cannot be applied.
    pub reason: BlockedReason,
    /// Whether the change under review brought it, where that was asked.
    pub since: Option<Since>,
}

/// Why something declared cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum BlockedReason {
    /// No member of the account has this address or id.
    UnknownPerson {
        /// The most similar address of the account.
        nearest: Option<Email>,
    },
    /// The person declined the invitation to the account.
    RejectedInvitation,
    /// Several members of the account have this address.
    AmbiguousPerson {
        /// Their ids.
        candidates: Vec<MemberId>,
    },
    /// No group of the account has this name.
    UnknownGroup {
        /// The most similar name of the account.
        nearest: Option<GroupName>,
    },
    /// No group of the account has the pinned id.
    UnknownPin {
        /// The pinned id.
        pin: GroupId,
        /// The group that has the declared name now.
        namesake: Option<GroupId>,
    },
    /// Several groups of the account have this name.
    AmbiguousGroup {
        /// Their ids.
        candidates: Vec<GroupId>,
    },
    /// The API refuses to list the group's members.
    UnreadableGroup {
        /// In the API's words.
        cause: String,
    },
}

impl fmt::Display for Blocked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(entry) = &self.entry {
            write!(f, "{entry}: ")?;
        }
        self.reason.fmt(f)
    }
}

impl fmt::Display for BlockedReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownPerson { nearest: None } => write!(f, "no member of the account; invite them first"),
            Self::UnknownPerson { nearest: Some(nearest) } => {
                write!(f, "no member of the account; did you mean {nearest}?")
            }
            Self::RejectedInvitation => write!(f, "declined the invitation to the account; invite them again"),
            Self::AmbiguousPerson { candidates } => {
                write!(f, "several members of the account have this address; say which by id: {}", joined(candidates))
            }
            Self::UnknownGroup { nearest: None } => {
                write!(f, "the account has no group of this name; create it first, or pin its id")
            }
            Self::UnknownGroup { nearest: Some(nearest) } => {
                write!(f, "the account has no group of this name; did you mean {:?}?", nearest.as_str())
            }
            Self::UnknownPin { pin, namesake: None } => write!(f, "the account has no group with the pinned id {pin}"),
            Self::UnknownPin { pin, namesake: Some(id) } => {
                write!(f, "the account has no group with the pinned id {pin}; the group of this name has the id {id}")
            }
            Self::AmbiguousGroup { candidates } => {
                write!(f, "several groups of the account have this name; pin one by id: {}", joined(candidates))
            }
            Self::UnreadableGroup { cause } => write!(f, "its members cannot be read: {cause}"),
        }
    }
}

fn joined(ids: &[impl fmt::Display]) -> String {
    ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// A group of the account that no file declares.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnmanagedGroup {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
}

/// A membership that ends soon.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expiring {
    /// The group.
    pub group: GroupName,
    /// Who.
    pub person: PersonRef,
    /// The first instant after it.
    pub until: Timestamp,
    /// Where that is said.
    pub origin: Origin,
}

/// The figures of a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Groups in the plan.
    pub groups: u64,
    /// Groups that applying would change.
    pub changed: u64,
    /// Memberships that applying would add.
    pub adds: u64,
    /// Memberships that applying would remove.
    pub removes: u64,
    /// Differences in groups that are only observed.
    pub observed_only: u64,
    /// Removals that are held.
    pub held: u64,
    /// Declared things that cannot be applied.
    pub blocked: u64,
    /// Objections of the guards.
    pub refused: u64,
    /// Writing requests that applying would send.
    pub requests: u64,
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
    let compared = compare::compare(desired, current, &targets, &people, policy, time);
    let mut plan = assemble(policy.account_id, compared.groups);
    plan.blocked = compared.blocked;
    plan.expiring = compared.expiring;
    plan.unmanaged_groups = targets::unmanaged(desired, current);
    guards::check_operations(&mut plan, desired, &people);
    guards::check_account(&mut plan, desired, current, &targets);
    plan
}

/// Makes a plan of compared groups: orders the changes, decides the operations and names the plan.
fn assemble(account_id: AccountId, mut groups: Vec<GroupPlan>) -> Plan {
    let by_email = |change: &Change| (change.action, change.member.email.clone(), change.member.id);
    for group in &mut groups {
        group.changes.sort_by_cached_key(by_email);
        group.held.sort_by_cached_key(by_email);
    }
    operations::decide(&mut groups);
    let digest = digest::digest(account_id, &groups);
    Plan {
        account_id,
        digest,
        groups,
        blocked: Vec::new(),
        refusals: Vec::new(),
        unmanaged_groups: Vec::new(),
        expiring: Vec::new(),
    }
}

impl GroupPlan {
    /// The changes that operations carry out: none where the group is only observed.
    pub fn carried_out(&self) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(|_| self.mode != Mode::Observe)
    }

    /// Who leaves through the operations.
    pub fn removals(&self) -> impl Iterator<Item = &Change> {
        self.carried_out().filter(|change| change.action == Action::Remove)
    }

    /// Who joins through the operations.
    pub fn additions(&self) -> impl Iterator<Item = &Change> {
        self.carried_out().filter(|change| change.action == Action::Add)
    }

    /// The members the group has once the operations are carried out.
    #[must_use]
    pub fn target(&self) -> BTreeSet<MemberId> {
        let mut target: BTreeSet<MemberId> = self.observed.keys().copied().collect();
        for change in self.carried_out() {
            match change.action {
                Action::Add => target.insert(change.member.id),
                Action::Remove => target.remove(&change.member.id),
            };
        }
        target
    }

    /// How many members the group has once the operations are carried out: those of the target.
    #[must_use]
    pub fn members_left(&self) -> usize {
        (self.observed.len() + self.additions().count()).saturating_sub(self.removals().count())
    }

    /// Whether the group is as it should be.
    #[must_use]
    pub fn in_sync(&self) -> bool {
        self.changes.is_empty() && self.held.is_empty()
    }
}

impl Plan {
    /// The plan's figures.
    #[must_use]
    pub fn summary(&self) -> Summary {
        let mut summary = Summary {
            groups: self.groups.len() as u64,
            blocked: self.blocked.len() as u64,
            refused: self.refusals.len() as u64,
            ..Summary::default()
        };
        for group in &self.groups {
            summary.changed += u64::from(!group.operations.is_empty());
            summary.adds += group.additions().count() as u64;
            summary.removes += group.removals().count() as u64;
            summary.held += group.held.len() as u64;
            summary.requests += group.operations.len() as u64;
            if group.mode == Mode::Observe {
                summary.observed_only += group.changes.len() as u64;
            }
        }
        summary
    }

    /// Whether the account differs from what is declared, in any way the plan knows.
    #[must_use]
    pub fn has_differences(&self) -> bool {
        self.groups.iter().any(|group| !group.in_sync())
    }

    /// Whether applying would remove anybody.
    #[must_use]
    pub fn removes_anybody(&self) -> bool {
        self.groups.iter().any(|group| group.removals().next().is_some())
    }

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
    }

    /// Lifts what the limits refuse, and nothing else. Says how many refusals that were.
    pub fn lift_limits(&mut self) -> u64 {
        let before = self.refusals.len();
        self.refusals.retain(|refusal| !refusal.guard.is_limit());
        (before - self.refusals.len()) as u64
    }

    /// The refusals that stand although the limits are lifted.
    pub fn refusals_beyond_limits(&self) -> impl Iterator<Item = &Refusal> {
        self.refusals.iter().filter(|refusal| !refusal.guard.is_limit())
    }

    /// The groups by id.
    #[must_use]
    pub fn by_id(&self) -> BTreeMap<GroupId, &GroupPlan> {
        self.groups.iter().map(|group| (group.id, group)).collect()
    }
}
