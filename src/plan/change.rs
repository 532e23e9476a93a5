//! What a change of the files asks for, from the files alone.
//!
//! Files say of each person, group and time: in, out or free. A change touches a membership where the files before and
//! after it say different things at any time, and asks for what the files say now. Neither the account nor the clock
//! decides what is touched, so that a delayed, repeated or partly applied change keeps its meaning.

use std::collections::{BTreeMap, BTreeSet};
use std::mem::{Discriminant, discriminant};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Plan, Since};
use super::people::People;
use crate::model::typos::written;
use crate::model::{Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Mode, PersonRef, Window};

/// What files say of a person in a group at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    In,
    Out,
    Free,
}

impl Says {
    /// What a group says at a time of the person whom these entries name; `None` for a group that is not declared.
    pub fn of(group: Option<&DesiredGroup>, entries: &[&DesiredMember], time: Timestamp) -> Self {
        let is_in = || entries.iter().any(|entry| entry.belongs_at(time));
        let has_ended = || entries.iter().any(|entry| entry.has_ended(time));
        match group.map_or(Mode::Observe, |group| group.mode) {
            Mode::Observe => Self::Free,
            Mode::Exact | Mode::Additive if is_in() => Self::In,
            Mode::Exact => Self::Out,
            Mode::Additive if has_ended() => Self::Out,
            Mode::Additive => Self::Free,
        }
    }
}

/// What a group says over time: each change, from the first instant on.
fn timeline(group: Option<&DesiredGroup>, entries: &[&DesiredMember]) -> Vec<(Timestamp, Says)> {
    let ends = entries.iter().flat_map(|entry| entry.from().into_iter().chain(entry.until()));
    let times: BTreeSet<Timestamp> = ends.chain([Timestamp::MIN]).collect();
    let mut line: Vec<_> = times.into_iter().map(|time| (time, Says::of(group, entries, time))).collect();
    line.dedup_by_key(|(_, says)| *says);
    line
}

/// The times at which a group says "in", in order.
pub(super) fn times_in(group: Option<&DesiredGroup>, entries: &[&DesiredMember]) -> Vec<Window> {
    let line = timeline(group, entries);
    let ends = line.iter().skip(1).map(|(end, _)| Some(*end)).chain([None]);
    let spans = line.iter().zip(ends).filter(|((_, says), _)| *says == Says::In);
    spans.map(|((start, _), until)| Window { from: Some(*start).filter(|it| *it != Timestamp::MIN), until }).collect()
}

/// The entries that name a person, before and after the change.
#[derive(Clone, Debug, Default)]
pub(super) struct Entries<'a> {
    pub base: Vec<&'a DesiredMember>,
    pub head: Vec<&'a DesiredMember>,
}

/// What a change asks for, by group. Groups that only the files before it declare are here too.
pub(super) type Asked<'a> = BTreeMap<&'a GroupName, AskedGroup<'a>>;

/// A group with memberships that the change touches.
#[derive(Debug)]
pub(super) struct AskedGroup<'a> {
    pub base: Option<&'a DesiredGroup>,
    pub head: Option<&'a DesiredGroup>,
    /// By address in lower case, or by id.
    pub named: BTreeMap<&'a str, Entries<'a>>,
}

pub(super) fn asked_by<'a>(base: &'a Desired, head: &'a Desired) -> Asked<'a> {
    let mut asked = Asked::new();
    for GroupPair { name, base, head: new } in pairs(base, head) {
        // Without a dropped group whose name another group has now.
        if new.is_some() || !head.groups.contains_key(name) {
            let group = AskedGroup::new(base.map(|(_, group)| group), new);
            let touches_any = |group: &AskedGroup<'_>| group.touches_unnamed() || group.touched().next().is_some();
            asked.extend(group.filter(touches_any).map(|group| (name, group)));
        }
    }
    asked
}

/// Whether the change may ask somebody to join or leave the group.
pub(super) fn concerns(asked: &Asked<'_>, name: &GroupName) -> bool {
    asked.get(name).is_some_and(AskedGroup::is_written)
}

/// A group before the change and after it.
pub(super) struct GroupPair<'a> {
    pub name: &'a GroupName,
    pub base: Option<(&'a GroupName, &'a DesiredGroup)>,
    pub head: Option<&'a DesiredGroup>,
}

/// Pairs the groups of two versions of the files: each group after the change, then those that are dropped. A pinned
/// group is the same group under another name.
pub(super) fn pairs<'a>(base: &'a Desired, head: &'a Desired) -> Vec<GroupPair<'a>> {
    let pinned: BTreeMap<GroupId, _> =
        base.groups.iter().filter_map(|(name, group)| Some((group.pinned()?, (name, group)))).collect();
    let pins: BTreeSet<GroupId> = head.groups.values().filter_map(DesiredGroup::pinned).collect();
    let namesake = |name: &GroupName| {
        let (name, group) = base.groups.get_key_value(name)?;
        // Another group has its pin now.
        group.pinned().is_none_or(|id| !pins.contains(&id)).then_some((name, group))
    };
    let pair = |(name, head): (&'a GroupName, &'a DesiredGroup)| {
        let same = head.pinned().and_then(|id| pinned.get(&id).copied());
        GroupPair { name, base: same.or_else(|| namesake(name)), head: Some(head) }
    };
    let mut pairs: Vec<GroupPair<'_>> = head.groups.iter().map(pair).collect();
    let kept: BTreeSet<&GroupName> = pairs.iter().filter_map(|pair| Some(pair.base?.0)).collect();
    let dropped = base.groups.iter().filter(|(name, _)| !kept.contains(name));
    pairs.extend(dropped.map(|(name, group)| GroupPair { name, base: Some((name, group)), head: None }));
    pairs
}

impl<'a> AskedGroup<'a> {
    /// `None` if nothing can differ, which is quick to see for most groups.
    fn new(base: Option<&'a DesiredGroup>, head: Option<&'a DesiredGroup>) -> Option<Self> {
        let said = |group: &'a DesiredGroup| group.members.iter().map(|entry| (&entry.person, entry.window()));
        let is_same =
            |(base, head): (&'a DesiredGroup, &'a DesiredGroup)| base.mode == head.mode && said(base).eq(said(head));
        if base.zip(head).is_some_and(is_same) {
            return None;
        }
        let mut named: BTreeMap<&str, Entries<'_>> = BTreeMap::new();
        for entry in base.into_iter().flat_map(|base| &base.members) {
            named.entry(written(&entry.person)).or_default().base.push(entry);
        }
        for entry in head.into_iter().flat_map(|head| &head.members) {
            named.entry(written(&entry.person)).or_default().head.push(entry);
        }
        Some(Self { base, head, named })
    }

    /// Whether convoke writes to the group after the change.
    pub fn is_written(&self) -> bool {
        self.head.is_some_and(|head| head.mode != Mode::Observe)
    }

    /// The entries that name a member, who may be named by the id and by several addresses.
    pub fn entries<'t>(&self, names: impl Iterator<Item = &'t str>) -> Entries<'a> {
        let mut entries = Entries::default();
        for found in names.filter_map(|name| self.named.get(name)) {
            entries.base.extend(&found.base);
            entries.head.extend(&found.head);
        }
        entries
    }

    pub fn said(&self, entries: &Entries<'_>, time: Timestamp) -> Says {
        Says::of(self.base, &entries.base, time)
    }

    pub fn says(&self, entries: &Entries<'_>, time: Timestamp) -> Says {
        Says::of(self.head, &entries.head, time)
    }

    pub fn touches(&self, entries: &Entries<'_>) -> bool {
        timeline(self.base, &entries.base) != timeline(self.head, &entries.head)
    }

    /// Whether the change touches the person whom the files name so.
    pub fn touches_name(&self, person: &PersonRef) -> bool {
        self.named.get(written(person)).is_some_and(|entries| self.touches(entries))
    }

    /// Whether everybody whom no entry names is touched.
    pub fn touches_unnamed(&self) -> bool {
        self.touches(&Entries::default())
    }

    /// The names that are touched, each with its entries.
    pub fn touched(&self) -> impl Iterator<Item = (&'a str, &Entries<'a>)> {
        self.named.iter().filter(|(_, entries)| self.touches(entries)).map(|(name, entries)| (*name, entries))
    }
}

/// What a change says of the memberships that it touches in a group. The digest of a plan with only this change covers
/// these, so that it is the same whatever the account has.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TouchedGroup {
    /// Null if the account does not have the group.
    pub id: Option<GroupId>,
    pub name: GroupName,
    /// By address in lower case or id: the times at which the person is declared.
    pub memberships: BTreeMap<String, Vec<Window>>,
}

/// Labels every difference: exactly what the change asks for is this change.
pub(super) fn label(plan: &mut Plan, asked: &Asked<'_>, people: &People<'_>) {
    for group in &mut plan.groups {
        let asked = asked.get(&group.name);
        let all = group.changes.iter_mut().chain(&mut group.held).chain(&mut group.left_alone);
        for change in all {
            let found = asked.map(|group| (group, group.entries(people.texts(change.member.id))));
            change.since = Some(since(found.as_ref().is_some_and(|(group, entries)| group.touches(entries))));
            // The limits count access that only this change has ended.
            let was_in = |end| found.as_ref().is_some_and(|(group, entries)| group.said(entries, end) == Says::In);
            change.exempt &= change.expired.is_some_and(|end| !was_in(end));
        }
    }
    for left_out in &mut plan.left_out {
        left_out.change.since = Some(Since::Change);
    }
    for blocked in &mut plan.blocked {
        let touches = |group: &AskedGroup<'_>| match &blocked.entry {
            Some(person) => group.touches_name(person),
            None => group.base.is_none(),
        };
        blocked.since = Some(since(asked.get(&blocked.group).is_some_and(touches)));
    }
}

/// Compares with the plan of the files before the change: which entries were not blocked yet, and which removals were
/// held.
pub(super) fn compare(plan: &mut Plan, before: &Plan) {
    let held: BTreeSet<(GroupId, MemberId)> =
        before.groups.iter().flat_map(|group| group.held.iter().map(|change| (group.id, change.member.id))).collect();
    for group in &mut plan.groups {
        let removals = group.changes.iter_mut().filter(|change| change.action == Action::Remove);
        for change in removals.filter(|change| change.since == Some(Since::Before)) {
            change.released = held.contains(&(group.id, change.member.id));
        }
    }
    let mut was_blocked: BTreeMap<(&GroupName, Option<&PersonRef>), Vec<Discriminant<BlockedReason>>> = BTreeMap::new();
    for Blocked { group, entry, reason, .. } in &before.blocked {
        was_blocked.entry((group, entry.as_ref())).or_default().push(discriminant(reason));
    }
    for Blocked { group, entry, reason, since, .. } in &mut plan.blocked {
        let reasons = was_blocked.get(&(&*group, entry.as_ref()));
        if !reasons.is_some_and(|reasons| reasons.contains(&discriminant(reason))) {
            *since = Some(Since::Change);
        }
    }
}

const fn since(touched: bool) -> Since {
    if touched { Since::Change } else { Since::Before }
}
