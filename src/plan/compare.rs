//! Compares each planned group's list with its observed members.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};

use super::Policy;
use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, Expiring, GroupPlan, LeftOut, LeftOutKind};
use super::located::Located;
use super::people::{People, Similar};
use super::tip;
use crate::model::typos::{self, Texts, local_part};
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode, Observed, Origin, PersonRef,
};

#[derive(Default)]
pub(super) struct Compared {
    pub groups: Vec<GroupPlan>,
    pub blocked: Vec<Blocked>,
    pub expiring: Vec<Expiring>,
    pub left_out: Vec<LeftOut>,
}

impl Compared {
    /// For `--due`, leaves out blocked entries and groups that time alone does not concern. If a removal is held, they
    /// all stay, because they may be the reason. As long as somebody is removed whose addresses are not all known, unknown
    /// people stay too, so that they are looked up: one of them may be that member.
    pub fn leave_out_undated(&mut self, desired: &Desired, current: &Observed, time: Timestamp) {
        if self.groups.iter().any(|group| !group.held.is_empty()) {
            return;
        }
        let dated = due_places(desired, time);
        let removes = self.groups.iter().any(|group| group.removals().next().is_some());
        let is_due = |blocked: &Blocked| match &blocked.reason {
            BlockedReason::UnknownPerson { .. } if removes && !current.knows_everybody => true,
            BlockedReason::Exclusive { origin, .. } => dated.contains(&blocked.origin) || dated.contains(origin),
            _ => dated.contains(&blocked.origin),
        };
        let (due, undated): (Vec<_>, Vec<_>) = std::mem::take(&mut self.blocked).into_iter().partition(is_due);
        self.blocked = due;
        let names: BTreeSet<GroupName> = undated.into_iter().map(|blocked| blocked.group).collect();
        self.groups.iter_mut().filter(|group| names.contains(&group.name)).for_each(|group| group.left_out = true);
    }
}

/// The places of the entries that time alone has begun or ended, and of their groups.
fn due_places(desired: &Desired, time: Timestamp) -> BTreeSet<&Origin> {
    let mut places = BTreeSet::new();
    for group in desired.groups.values() {
        for entry in group.members.iter().filter(|entry| brought_by_clock(entry, time)) {
            places.extend([&group.origin, &entry.origin]);
        }
    }
    places
}

/// A person who belongs to a group now, and an entry that declares it.
type Belonging<'a> = (MemberId, &'a DesiredMember);

type Unresolved<'a> = Vec<(&'a DesiredMember, BlockedReason)>;

pub(super) fn compare(
    desired: &Desired,
    current: &Observed,
    located: &BTreeMap<GroupName, Located>,
    people: &People<'_>,
    policy: &Policy,
    time: Timestamp,
) -> Compared {
    let mut comparison = Comparison {
        desired,
        current,
        people,
        time,
        due: policy.due,
        only_changed: policy.only_changed,
        tip: policy.tip.as_deref(),
        soon: time.checked_add(policy.expiring_within).unwrap_or(Timestamp::MAX),
        similar: Similar::new(people),
        found: vec![None; desired.people],
        declared_elsewhere: BTreeMap::new(),
        compared: Compared::default(),
    };
    for (name, located) in located {
        if let Some(group) = desired.groups.get(name) {
            comparison.add(name, group, located);
        }
    }
    comparison.finish()
}

struct Comparison<'p, 'a> {
    desired: &'p Desired,
    current: &'p Observed,
    people: &'p People<'a>,
    time: Timestamp,
    due: bool,
    /// Whether only what the change under review asks for is planned.
    only_changed: bool,
    tip: Option<&'p Desired>,
    /// Memberships that end before this time are reported.
    soon: Timestamp,
    similar: Similar<'p, 'a>,
    /// Whom the entries mean, by the number of the entry's person: most people are in several lists.
    found: Vec<Option<MemberId>>,
    /// The people declared in groups that cannot be found or read, with the declaring lines.
    declared_elsewhere: BTreeMap<MemberId, Origin>,
    compared: Compared,
}

impl<'p> Comparison<'p, '_> {
    fn add(&mut self, name: &GroupName, group: &'p DesiredGroup, located: &Located) {
        let tip = self.tip.map(|tip| tip::group_at(tip, name, located.as_ref().ok().copied()));
        if located.is_err() && tip.is_some_and(|found| found.is_none()) {
            return;
        }
        let found = self.find(name, group, located);
        let time = self.time;
        let is_kept = |entry: &DesiredMember| tip::holds(tip, entry, time);
        let (members, mut unresolved) = self.resolve(group, found.map(|(_, observed)| &**observed));
        unresolved.retain(|(entry, _)| is_kept(entry));
        self.compared.expiring.extend(expiring(name, &members, self.soon));
        let Some((id, observed)) = found else {
            for (entry, reason) in unresolved {
                self.block(name, group.mode, entry, reason);
            }
            for (id, entry) in members.iter().filter(|(_, entry)| is_kept(entry)) {
                self.declared_elsewhere.entry(*id).or_insert_with(|| entry.origin.clone());
            }
            return;
        };
        let (mut missing, leaving) = differ(observed, &members);
        let foreign = self.foreign(tip.flatten().map_or(group, |(_, found)| found), &members);
        missing.retain(|(id, _)| !foreign.contains_key(id));
        let needs_ends = group.mode == Mode::Additive || self.due || !leaving.is_empty();
        let ended = if needs_ends { Ended::of(group, self.people, self.time) } else { Ended::default() };
        unresolved.extend(foreign.values().cloned());
        // Only entries in force hold removals.
        let holding = unresolved.iter().map(|(entry, _)| entry.origin.clone()).min();
        for (entry, reason) in unresolved {
            self.block(name, group.mode, entry, reason);
        }
        let starts = if self.due { starting(&members) } else { BTreeMap::new() };
        let (mut differences, late, left_out) =
            self.differences(group, (&missing, &members), &leaving, &ended, &starts);
        // Nothing is written to an observed group, so no removal needs to be held.
        let holding = holding.filter(|_| group.mode != Mode::Observe);
        let held = match holding {
            // An entry that names nobody cannot mean a person whom an ended entry names exactly.
            Some(origin) => hold(&mut differences, |change| change.expired.is_none().then(|| origin.clone())),
            None => Vec::new(),
        };
        let partial = group.mode == Mode::Additive || self.due || self.only_changed;
        let required = members.iter().filter(|(id, _)| !self.due || starts.contains_key(id));
        let required = required.filter(|(index, _)| !foreign.contains_key(index));
        let mut planned = GroupPlan {
            changes: differences,
            held,
            required: partial.then(|| required.map(|(id, _)| *id).collect()),
            barred: if partial { ended.ids(&members) } else { BTreeSet::new() },
            left_out,
            ..GroupPlan::declared(id, name, group, &self.desired.settings, observed)
        };
        let reason = "its `from` passed more than 31 days ago; `convoke drift` reports the difference";
        self.compared
            .left_out
            .extend(planned.leave_out(LeftOutKind::Drift, reason, |change| late.contains(&change.member.id)));
        self.compared.groups.push(planned);
    }

    /// The entries by id of members without an address at an allowed domain. They never join; who is present stays.
    fn foreign(
        &self,
        group: &DesiredGroup,
        members: &[Belonging<'p>],
    ) -> BTreeMap<MemberId, (&'p DesiredMember, BlockedReason)> {
        let Some(rule) = self.tip.unwrap_or(self.desired).domains_of(group) else { return BTreeMap::new() };
        let by_id = members.iter().filter(|(_, entry)| matches!(entry.person, PersonRef::Id(_)));
        by_id.filter_map(|(id, entry)| Some((*id, (*entry, self.people.outside(*id, &rule.value)?)))).collect()
    }

    /// The differences to plan; those who should have joined long ago; and whether others are left out because only
    /// due changes are planned.
    fn differences(
        &self,
        group: &DesiredGroup,
        (missing, members): (&[Belonging<'p>], &[Belonging<'p>]),
        leaving: &[MemberId],
        ended: &Ended,
        starts: &BTreeMap<MemberId, Timestamp>,
    ) -> (Vec<Change>, BTreeSet<MemberId>, bool) {
        let mut differences = additions(missing, members, self.people);
        differences.extend(removals(group, leaving, self.people, ended, self.time));
        if group.mode == Mode::Additive {
            differences.retain(|change| change.action == Action::Add || change.expired.is_some());
        }
        let all = differences.len();
        let mut late = BTreeSet::new();
        if self.due {
            differences.retain(|change| match change.action {
                Action::Add => starts.contains_key(&change.member.id),
                Action::Remove => change.expired.is_some(),
            });
            // The limits are for changes of the files. How many removals one run makes has a limit of its own.
            differences.iter_mut().for_each(|change| change.exempt = change.action == Action::Remove);
            late.extend(starts.iter().filter(|(_, from)| !is_recent(**from, self.time)).map(|(id, _)| *id));
        }
        let left_out = differences.len() < all;
        (differences, late, left_out)
    }

    /// Finds everybody who belongs to the group now. A person with several entries occurs several times. A shared address
    /// means its present members; it is ambiguous only for a join.
    fn resolve(
        &mut self,
        group: &'p DesiredGroup,
        present: Option<&Membership>,
    ) -> (Vec<Belonging<'p>>, Unresolved<'p>) {
        let is_present = |member: &MemberId| present.is_some_and(|present| present.contains_key(member));
        let mut members = Vec::with_capacity(group.members.len());
        let mut unresolved = Unresolved::new();
        let (mut seen, time) = (BTreeSet::new(), self.time);
        for entry in group.members.iter().filter(|entry| entry.belongs_at(time)) {
            match self.meant(entry) {
                Ok(member) => members.push((member, entry)),
                Err(BlockedReason::AmbiguousPerson { candidates }) if candidates.iter().any(is_present) => {
                    members.extend(candidates.into_iter().filter(is_present).map(|member| (member, entry)));
                }
                Err(reason) if seen.insert(&entry.person) => unresolved.push((entry, reason)),
                Err(_) => {}
            }
        }
        (members, unresolved)
    }

    fn meant(&mut self, entry: &DesiredMember) -> Result<MemberId, BlockedReason> {
        let mut slot = self.found.get_mut(entry.number as usize);
        if let Some(Some(found)) = slot {
            return Ok(*found);
        }
        let found = self.people.resolve(&entry.person)?;
        slot.iter_mut().for_each(|slot| **slot = Some(found));
        Ok(found)
    }

    /// The group in the account, with its members. If there is none, the group is blocked.
    fn find(
        &mut self,
        name: &GroupName,
        group: &DesiredGroup,
        located: &Located,
    ) -> Option<(GroupId, &'p Arc<Membership>)> {
        let reason = match located {
            Err(reason) => reason.clone(),
            Ok(id) => match (self.current.memberships.get(id), self.current.unreadable.get(id)) {
                (Some(observed), _) => return Some((*id, observed)),
                (None, Some(cause)) => BlockedReason::UnreadableGroup { cause: cause.clone() },
                (None, None) => BlockedReason::UnreadableGroup { cause: "its members were not read".into() },
            },
        };
        let blocked = Blocked::new(name.clone(), None, group.origin.clone(), reason);
        self.compared.blocked.push(blocked.with_mode(group.mode));
        None
    }

    /// Blocks an entry, and suggests members whom it could mean.
    fn block(&mut self, name: &GroupName, mode: Mode, entry: &DesiredMember, reason: BlockedReason) {
        let reason = self.similar.suggest(&entry.person, reason);
        let blocked = Blocked::new(name.clone(), Some(entry.person.clone()), entry.origin.clone(), reason);
        self.compared.blocked.push(blocked.with_mode(mode));
    }

    /// Holds the removals of all members whom a blocked entry could mean, when all blocked entries are known.
    fn finish(mut self) -> Compared {
        let entries = self.compared.blocked.iter();
        let mut blocked: BTreeMap<&str, &Origin> = BTreeMap::new();
        for entry in entries {
            if let Some(person) = &entry.entry {
                blocked.entry(typos::written(person)).or_insert(&entry.origin);
            }
        }
        if blocked.is_empty() && self.declared_elsewhere.is_empty() {
            return self.compared;
        }
        // Who changes to another domain keeps the part before the `@`, however different the rest of the address is.
        let mut renamed: BTreeMap<Cow<'_, str>, &Origin> = BTreeMap::new();
        for (text, origin) in &blocked {
            if let Some(local) = local_part(text) {
                renamed.entry(local).or_insert(origin);
            }
        }
        let blocked = Texts::new(blocked.iter().map(|(text, origin)| (*text, *origin)));
        let mut seen: BTreeMap<MemberId, Option<Origin>> = BTreeMap::new();
        for group in self.compared.groups.iter_mut().filter(|group| group.mode != Mode::Observe) {
            let held = hold(&mut group.changes, |change| {
                let id = change.member.id;
                let meaning = |text: &str| {
                    let moved = || local_part(text).and_then(|local| renamed.get(&*local).copied());
                    blocked.any_near(text, typos::tolerance).or_else(moved)
                };
                let meant = || self.people.texts(id).find_map(meaning).cloned();
                let meant = seen.entry(id).or_insert_with(meant).clone();
                let declared = self.declared_elsewhere.get(&id).filter(|_| change.expired.is_none());
                declared.cloned().or(meant)
            });
            group.held.extend(held);
        }
        self.compared
    }
}

/// The people on the list who are not present, with their first entry, in the order of the list; and the people who are
/// present but not on the list, in the order of the group.
fn differ<'p>(present: &Membership, list: &[Belonging<'p>]) -> (Vec<Belonging<'p>>, Vec<MemberId>) {
    let listed: BTreeSet<MemberId> = list.iter().map(|(id, _)| *id).collect();
    let leaving = present.keys().filter(|id| !listed.contains(id)).copied().collect();
    let mut seen = BTreeSet::new();
    let missing = list.iter().filter(|(id, _)| !present.contains_key(id) && seen.insert(*id)).copied().collect();
    (missing, leaving)
}

/// Whether a scheduled run should have met this instant within the last 31 days.
fn is_recent(instant: Timestamp, time: Timestamp) -> bool {
    time.duration_since(instant) <= SignedDuration::from_hours(744)
}

/// Whether the entry's `from` or `until` alone causes the change.
fn brought_by_clock(entry: &DesiredMember, time: Timestamp) -> bool {
    let ended = entry.until().is_some_and(|until| until <= time);
    ended || (entry.from().is_some() && entry.belongs_at(time))
}

/// Moves the removals that a line holds to the held ones.
pub(super) fn hold(changes: &mut Vec<Change>, mut holder: impl FnMut(&Change) -> Option<Origin>) -> Vec<Change> {
    let (removals, additions): (Vec<Change>, Vec<Change>) =
        std::mem::take(changes).into_iter().partition(|change| change.action == Action::Remove);
    *changes = additions;
    let mut held = Vec::new();
    for removal in removals {
        match holder(&removal) {
            Some(origin) => held.push(Change { held_by: Some(origin), ..removal }),
            None => changes.push(removal),
        }
    }
    held
}

/// The memberships that end soon, unless another entry for the same person lasts longer.
fn expiring(name: &GroupName, members: &[Belonging<'_>], soon: Timestamp) -> Vec<Expiring> {
    if members.iter().all(|(_, entry)| entry.until().is_none()) {
        return Vec::new();
    }
    // If a person has several entries, the first one is reported.
    let mut ends: BTreeMap<MemberId, (&DesiredMember, Option<Timestamp>)> = BTreeMap::new();
    for (id, entry) in members {
        let end = ends.entry(*id).or_insert((entry, entry.until()));
        end.1 = end.1.zip(entry.until()).map(|(a, b)| a.max(b));
    }
    let ending = ends.into_values().filter_map(|(entry, until)| Some((entry, until.filter(|until| *until <= soon)?)));
    let reported = ending.map(|(entry, until)| Expiring {
        group: name.clone(),
        person: entry.person.clone(),
        until,
        origin: entry.origin.clone(),
    });
    reported.collect()
}

/// The additions, each by the entry that ends last: a person with several entries stays as long as one of them says so.
fn additions(missing: &[Belonging<'_>], members: &[Belonging<'_>], people: &People<'_>) -> Vec<Change> {
    let mut lasting: BTreeMap<MemberId, &DesiredMember> = BTreeMap::new();
    if missing.iter().any(|(_, entry)| entry.until().is_some()) {
        for (id, entry) in members {
            let kept = lasting.entry(*id).or_insert(entry);
            let end = |entry: &DesiredMember| entry.until().unwrap_or(Timestamp::MAX);
            if end(kept) < end(entry) {
                *kept = entry;
            }
        }
    }
    let addition =
        |(id, entry): &Belonging<'_>| Change::addition(people.subject(*id), lasting.get(id).copied().unwrap_or(entry));
    missing.iter().map(addition).collect()
}

/// The people all of whose entries have a `from`, with the earliest one.
fn starting(members: &[Belonging<'_>]) -> BTreeMap<MemberId, Timestamp> {
    // A missing `from` is earlier than any time.
    let mut earliest: BTreeMap<MemberId, Option<Timestamp>> = BTreeMap::new();
    for (id, entry) in members {
        let first = earliest.entry(*id).or_insert(entry.from());
        *first = (*first).min(entry.from());
    }
    earliest.into_iter().filter_map(|(id, from)| Some((id, from?))).collect()
}

fn removals(
    group: &DesiredGroup,
    leaving: &[MemberId],
    people: &People<'_>,
    ended: &Ended<'_>,
    time: Timestamp,
) -> Vec<Change> {
    let removal = |id: &MemberId| {
        let member = people.subject(*id);
        match ended.entries.get(&member.id) {
            None => Change::new(Action::Remove, member, group.members_origin.clone()),
            Some((entry, until)) => Change {
                via: entry.via.clone(),
                expired: Some(*until),
                exempt: is_recent(*until, time),
                ..Change::new(Action::Remove, member, entry.origin.clone())
            },
        }
    };
    leaving.iter().map(removal).collect()
}

#[derive(Default)]
struct Ended<'a> {
    /// The entry of each person; the latest if there are several.
    entries: BTreeMap<MemberId, (&'a DesiredMember, Timestamp)>,
}

impl<'a> Ended<'a> {
    fn of(group: &'a DesiredGroup, people: &People<'_>, time: Timestamp) -> Self {
        let mut ended = Self::default();
        for entry in &group.members {
            let Some(until) = entry.until().filter(|until| *until <= time) else { continue };
            let meant = match people.resolve(&entry.person) {
                Ok(id) => vec![id],
                // Sharing an address blocks joins only.
                Err(BlockedReason::AmbiguousPerson { candidates }) => candidates,
                Err(_) => Vec::new(),
            };
            for id in meant {
                let latest = ended.entries.entry(id).or_insert((entry, until));
                if latest.1 < until {
                    *latest = (entry, until);
                }
            }
        }
        ended
    }

    /// Everybody with an ended entry and without another entry that keeps them in the group.
    fn ids(&self, members: &[Belonging<'_>]) -> BTreeSet<MemberId> {
        let mut ids: BTreeSet<MemberId> = self.entries.keys().copied().collect();
        for (id, _) in members {
            ids.remove(id);
        }
        ids
    }
}
