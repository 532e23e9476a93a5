//! Compares each planned group's list with the members it was observed to have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::people::{Number, People};
use super::standings::Standings;
use super::suggestions::Suggestions;
use super::{Action, Blocked, BlockedReason, Change, Expiring, GroupGuards, GroupPlan, Policy, Target, fingerprint};
use crate::model::{Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode, Observed};

/// What comparing all groups comes to.
#[derive(Default)]
pub(super) struct Compared {
    pub groups: Vec<GroupPlan>,
    pub blocked: Vec<Blocked>,
    pub expiring: Vec<Expiring>,
}

/// Somebody who belongs to a group now, and an entry that says so.
type Belonging<'a> = (Number, &'a DesiredMember);

type Unresolved<'a> = Vec<(&'a DesiredMember, BlockedReason)>;

pub(super) fn compare(
    desired: &Desired,
    current: &Observed,
    targets: &BTreeMap<GroupName, Target>,
    people: &People<'_>,
    policy: &Policy,
    time: Timestamp,
) -> Compared {
    let mut comparison = Comparison {
        desired,
        current,
        people,
        time,
        soon: time.checked_add(policy.expiring_within).unwrap_or(Timestamp::MAX),
        suggestions: None,
        standings: Standings::of(people),
        endangered: BTreeSet::new(),
        compared: Compared::default(),
    };
    for (name, target) in targets {
        if let Some(group) = desired.groups.get(name) {
            comparison.add(name, group, target);
        }
    }
    comparison.finish()
}

/// A comparison under way, group by group.
struct Comparison<'p, 'a> {
    desired: &'p Desired,
    current: &'p Observed,
    people: &'p People<'a>,
    time: Timestamp,
    /// Memberships that end until then are told.
    soon: Timestamp,
    suggestions: Option<Suggestions<'a>>,
    standings: Standings,
    /// Who may be about to join a group by an entry that cannot be applied: they are removed from none.
    endangered: BTreeSet<MemberId>,
    compared: Compared,
}

impl<'p> Comparison<'p, '_> {
    fn add(&mut self, name: &GroupName, group: &DesiredGroup, target: &Target) {
        let found = self.find(name, group, target);
        let (members, unresolved) = resolve(group, self.people, self.time);
        let has_blocked_entry = !unresolved.is_empty();
        self.compared.expiring.extend(expiring(name, &members, self.people, self.soon));
        unresolved.into_iter().for_each(|(entry, reason)| self.block(name, entry, reason));
        let Some((id, observed)) = found else {
            self.endangered.extend(members.iter().map(|(number, _)| self.people.id(*number)));
            return;
        };
        let (missing, leaving) = self.standings.differ(self.people.members(id), &members);
        let mut changes = additions(&missing, self.people);
        let mut held = Vec::new();
        if group.mode != Mode::Additive {
            let removals = removals(group, &leaving, self.people, self.time);
            if has_blocked_entry { &mut held } else { &mut changes }.extend(removals);
        }
        self.compared.groups.push(GroupPlan {
            id,
            name: name.clone(),
            mode: group.mode,
            origin: group.origin.clone(),
            guards: GroupGuards::of(group, &self.desired.settings),
            observed: Arc::clone(observed),
            fingerprint: fingerprint(observed.keys()),
            changes,
            held,
            operations: Vec::new(),
            required: (group.mode == Mode::Additive)
                .then(|| members.iter().map(|(number, _)| self.people.id(*number)).collect()),
        });
    }

    /// The group in the account with its members; where there is none, it is blocked.
    fn find(
        &mut self,
        name: &GroupName,
        group: &DesiredGroup,
        target: &Target,
    ) -> Option<(GroupId, &'p Arc<Membership>)> {
        let reason = match target {
            Err(reason) => reason.clone(),
            Ok(id) => match (self.current.memberships.get(id), self.current.unreadable.get(id)) {
                (Some(observed), _) => return Some((*id, observed)),
                (None, Some(cause)) => BlockedReason::UnreadableGroup { cause: cause.clone() },
                (None, None) => BlockedReason::UnreadableGroup { cause: "its members were not read".into() },
            },
        };
        self.compared.blocked.push(Blocked::new(name.clone(), None, group.origin.clone(), reason));
        None
    }

    /// Blocks an entry, and suggests whom it probably means.
    fn block(&mut self, name: &GroupName, entry: &DesiredMember, mut reason: BlockedReason) {
        if let BlockedReason::UnknownPerson { nearest } = &mut reason {
            let suggestions = self.suggestions.get_or_insert_with(|| Suggestions::among(self.people));
            if let Some((email, number)) = suggestions.nearest(&entry.person) {
                *nearest = Some(email.clone());
                // Most likely a typo for this person, who may be moving here from another group.
                self.endangered.insert(self.people.id(number));
            }
        }
        let person = Some(entry.person.clone());
        self.compared.blocked.push(Blocked::new(name.clone(), person, entry.origin.clone(), reason));
    }

    /// Holds the removals of all who may be about to join elsewhere, now that all of them are known.
    fn finish(mut self) -> Compared {
        if !self.endangered.is_empty() {
            for group in &mut self.compared.groups {
                let holds = |change: &mut Change| {
                    change.action == Action::Remove && self.endangered.contains(&change.member.id)
                };
                group.held.extend(group.changes.extract_if(.., holds));
            }
        }
        self.compared
    }
}

/// Looks for everybody who belongs to the group now. Somebody whom several entries name is there several times.
fn resolve<'a>(group: &'a DesiredGroup, people: &People<'_>, time: Timestamp) -> (Vec<Belonging<'a>>, Unresolved<'a>) {
    let mut members = Vec::with_capacity(group.members.len());
    let mut unresolved: Unresolved<'a> = Vec::new();
    let mut told = BTreeSet::new();
    for entry in group.members.iter().filter(|entry| entry.belongs_at(time)) {
        match people.find(&entry.person) {
            Ok(number) => members.push((number, entry)),
            Err(reason) if told.insert(&entry.person) => unresolved.push((entry, reason)),
            Err(_) => {}
        }
    }
    (members, unresolved)
}

/// The memberships that end soon, unless another entry for the same person goes on.
fn expiring(name: &GroupName, members: &[Belonging<'_>], people: &People<'_>, soon: Timestamp) -> Vec<Expiring> {
    if members.iter().all(|(_, entry)| entry.until().is_none()) {
        return Vec::new();
    }
    // Of several entries for one person, the first speaks for them.
    let mut ends: BTreeMap<MemberId, (&DesiredMember, Option<Timestamp>)> = BTreeMap::new();
    for (number, entry) in members {
        let end = ends.entry(people.id(*number)).or_insert((entry, entry.until()));
        end.1 = end.1.zip(entry.until()).map(|(a, b)| a.max(b));
    }
    let ending = ends.into_values().filter_map(|(entry, until)| Some((entry, until.filter(|until| *until <= soon)?)));
    let told = ending.map(|(entry, until)| Expiring {
        group: name.clone(),
        person: entry.person.clone(),
        until,
        origin: entry.origin.clone(),
    });
    told.collect()
}

fn additions(missing: &[Belonging<'_>], people: &People<'_>) -> Vec<Change> {
    let addition = |(number, entry): &Belonging<'_>| Change {
        action: Action::Add,
        member: people.subject(*number),
        origin: entry.origin.clone(),
        via: entry.via.clone(),
        reason: entry.terms.as_deref().and_then(|terms| terms.reason.clone()),
        expired: None,
        since: None,
        added_at: None,
    };
    missing.iter().map(addition).collect()
}

fn removals(group: &DesiredGroup, leaving: &[Number], people: &People<'_>, time: Timestamp) -> Vec<Change> {
    if leaving.is_empty() {
        return Vec::new();
    }
    let expired = expired_entries(group, people, time);
    let removal = |number: &Number| {
        let member = people.subject(*number);
        let entry = expired.get(&member.id);
        Change {
            action: Action::Remove,
            origin: entry.map_or(&group.members_origin, |(entry, _)| &entry.origin).clone(),
            via: entry.and_then(|(entry, _)| entry.via.clone()),
            reason: None,
            expired: entry.map(|(_, until)| *until),
            since: None,
            added_at: None,
            member,
        }
    };
    leaving.iter().map(removal).collect()
}

/// The entry of each person whose time has run out; the latest where there are several.
fn expired_entries<'a>(
    group: &'a DesiredGroup,
    people: &People<'_>,
    time: Timestamp,
) -> BTreeMap<MemberId, (&'a DesiredMember, Timestamp)> {
    let mut expired: BTreeMap<MemberId, (&DesiredMember, Timestamp)> = BTreeMap::new();
    for entry in &group.members {
        let Some(until) = entry.until() else { continue };
        if until > time {
            continue;
        }
        let Ok(id) = people.resolve(&entry.person) else { continue };
        let latest = expired.entry(id).or_insert((entry, until));
        if latest.1 < until {
            *latest = (entry, until);
        }
    }
    expired
}
