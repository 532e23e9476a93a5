//! What a plan is made of: the files, the account, the policy and the time; and the group of the account for each
//! declared group.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::blocked::BlockedReason;
use super::change::{Asked, asked_by, concerns};
use super::people::People;
use crate::model::{
    AccountId, Desired, DesiredGroup, Email, GroupId, GroupName, GroupRef, Observed, PersonRef, Unmanaged, composed,
};

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
        self.base.as_deref().filter(|_| self.only_changed).map(|base| asked_by(base, desired))
    }

    /// The addresses that the change adds to groups that exist, and that are therefore probably in none of these groups.
    pub fn newcomers(&self, desired: &Desired, time: Timestamp) -> BTreeSet<Email> {
        let asked = self.asked(desired).unwrap_or_default();
        let existing = asked.iter().filter(|(name, group)| self.names(name) && group.base.is_some());
        let added = existing.flat_map(|(_, group)| group.named.values().filter(|entries| entries.base.is_empty()));
        let entries = added.flat_map(|entries| &entries.head);
        let present = entries.filter(|entry| entry.until().is_none_or(|until| until > time));
        let emails = present.filter_map(|entry| match &entry.person {
            PersonRef::Email(email) => Some(email.clone()),
            PersonRef::Id(_) => None,
        });
        emails.collect()
    }

    /// The groups of the account that have to be read first.
    pub fn first_groups(&self, desired: &Desired, current: &Observed) -> BTreeSet<GroupId> {
        let asked = self.asked(desired);
        let is_first = |name: &GroupName| self.names(name) && asked.as_ref().is_none_or(|asked| concerns(asked, name));
        locate_groups(desired, current, is_first).into_values().filter_map(Result::ok).collect()
    }
}

/// Everything that the steps of planning read: the files, the account, the policy, the time, and what follows from them.
pub(super) struct Inputs<'a> {
    pub desired: &'a Desired,
    pub current: &'a Observed,
    pub policy: &'a Policy,
    pub time: Timestamp,
    pub people: People<'a>,
    /// The declared groups that the command line allows.
    pub located: BTreeMap<GroupName, Located>,
    /// What the change under review asks for, if there is a base.
    pub asked: Option<Asked<'a>>,
}

impl<'a> Inputs<'a> {
    pub fn new(desired: &'a Desired, current: &'a Observed, policy: &'a Policy, time: Timestamp) -> Self {
        Self {
            desired,
            current,
            policy,
            time,
            people: People::of(current),
            located: locate_groups(desired, current, |name| policy.names(name)),
            asked: policy.base.as_deref().map(|base| asked_by(base, desired)),
        }
    }

    /// What the change under review asks for, if the plan has nothing else.
    pub fn only_asked(&self) -> Option<&Asked<'a>> {
        self.asked.as_ref().filter(|_| self.policy.only_changed)
    }

    pub fn tip(&self) -> Option<&'a Desired> {
        self.policy.tip.as_deref()
    }

    /// The files whose settings, guards and rules count: the newest ones.
    pub fn rules(&self) -> &'a Desired {
        self.tip().unwrap_or(self.desired)
    }

    /// The group of the account for a declared one, if there is exactly one.
    pub fn id(&self, name: &GroupName) -> Option<GroupId> {
        self.located.get(name)?.as_ref().ok().copied()
    }
}

/// The id of a declared group in the account, or why there is none.
pub type Located = Result<GroupId, BlockedReason>;

/// Finds the account's group for each planned group. A pinned group is found by its id only. Any other group is found
/// by its name, if exactly one group of the account has it.
pub fn locate_groups(
    desired: &Desired,
    current: &Observed,
    covers: impl Fn(&GroupName) -> bool,
) -> BTreeMap<GroupName, Located> {
    let mut by_name: BTreeMap<&GroupName, Vec<GroupId>> = BTreeMap::new();
    // The API may show no name for a group. Only a pin can find it.
    for (id, group) in current.groups.iter().filter(|(_, group)| !group.name.as_str().is_empty()) {
        by_name.entry(&group.name).or_default().push(*id);
    }
    let locate = |name: &GroupName, pin: Option<GroupId>| match (pin, by_name.get(name).map_or(&[][..], Vec::as_slice))
    {
        (Some(pin), _) if current.groups.contains_key(&pin) => Ok(pin),
        (Some(pin), namesakes) => Err(BlockedReason::UnknownPin { pin, namesake: namesakes.first().copied() }),
        (None, [id]) => Ok(*id),
        (None, []) => {
            Err(BlockedReason::UnknownGroup { nearest: nearest_name(name, by_name.keys().copied()).cloned() })
        }
        (None, several) => Err(BlockedReason::AmbiguousGroup { candidates: several.to_vec() }),
    };
    let planned = desired.groups.iter().filter(|(name, _)| covers(name));
    planned.map(|(name, group)| (name.clone(), locate(name, group.pinned()))).collect()
}

/// The name that an unknown name probably means, if one is similar enough.
pub fn nearest_name<'n>(unknown: &GroupName, known: impl IntoIterator<Item = &'n GroupName>) -> Option<&'n GroupName> {
    const SIMILAR: f64 = 0.8;
    let folded = |name: &GroupName| composed(name.as_str()).to_lowercase();
    let wanted = folded(unknown);
    let likeness = |other: &GroupName| strsim::jaro_winkler(&wanted, &folded(other));
    let similar = known.into_iter().map(|other| (likeness(other), other)).filter(|(score, _)| *score >= SIMILAR);
    // Of equally similar names, the first by name.
    similar.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1))).map(|(_, name)| name)
}

/// The groups that no file declares, by name, if the settings ask for them. All declared groups count, not only the
/// planned ones.
pub(super) fn unmanaged(desired: &Desired, current: &Observed) -> Vec<GroupRef> {
    if desired.settings.unmanaged_groups.value == Unmanaged::Ignore {
        return Vec::new();
    }
    let others = all_groups(desired, current).into_iter().filter(|(.., declared)| declared.is_none());
    let mut unmanaged: Vec<GroupRef> =
        others.filter_map(|(name, id, _)| Some(GroupRef { id: id?, name: name.clone() })).collect();
    unmanaged.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    unmanaged
}

/// A group by name: its id, if the account has it, and its declaration, if a file has it.
pub(super) type AnyGroup<'a> = (&'a GroupName, Option<GroupId>, Option<&'a DesiredGroup>);

/// The declared groups with their ids in the account, then the groups that no file declares.
pub(super) fn all_groups<'a>(desired: &'a Desired, current: &'a Observed) -> Vec<AnyGroup<'a>> {
    let located = locate_groups(desired, current, |_| true);
    let id = |name: &GroupName| located.get(name)?.as_ref().ok().copied();
    let mut groups: Vec<_> = desired.groups.iter().map(|(name, group)| (name, id(name), Some(group))).collect();
    let declared: BTreeSet<GroupId> = groups.iter().filter_map(|(_, id, _)| *id).collect();
    let others = current.groups.iter().filter(|(id, _)| !declared.contains(id));
    groups.extend(others.map(|(id, group)| (&group.name, Some(*id), None)));
    groups
}
