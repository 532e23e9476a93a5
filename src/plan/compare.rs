//! Compares each planned group's list with the members it was observed to have.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::people::{Nearby, People, Suggestions};
use super::{Action, Blocked, BlockedReason, Change, Expiring, GroupPlan, Policy, Target, fingerprint};
use crate::model::{Current, Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode};

/// What comparing all groups comes to.
pub(super) struct Compared {
    pub groups: Vec<GroupPlan>,
    pub blocked: Vec<Blocked>,
    pub expiring: Vec<Expiring>,
}

/// One group's list once everybody on it has been looked for.
struct Resolved<'a> {
    name: &'a GroupName,
    group: &'a DesiredGroup,
    /// The group in the account and its members; nothing where the group itself is blocked.
    found: Option<(GroupId, &'a Arc<Membership>)>,
    /// Who belongs now, ordered by id; nobody twice.
    members: Vec<Belonging<'a>>,
    has_blocked_entry: bool,
}

struct Belonging<'a> {
    id: MemberId,
    entry: &'a DesiredMember,
    /// The latest end of all entries that name the person; nothing where one of them has none.
    until: Option<Timestamp>,
}

pub(super) fn compare(
    desired: &Desired,
    current: &Current,
    targets: &BTreeMap<GroupName, Target>,
    people: &People<'_>,
    policy: &Policy,
    time: Timestamp,
) -> Compared {
    let mut blocked = Vec::new();
    let mut endangered = BTreeSet::new();
    let mut suggestions = None;
    let mut lists = Vec::with_capacity(targets.len());
    for (name, target) in targets {
        let Some(group) = desired.groups.get(name) else { continue };
        let found = find(name, group, target, current, &mut blocked);
        let nearby = Nearby::new(people, found.map(|(_, observed)| &**observed));
        let (members, unresolved) = resolve(group, &nearby, time);
        for (entry, reason) in &unresolved {
            let mut reason = reason.clone();
            if let BlockedReason::UnknownPerson { nearest } = &mut reason {
                let suggestions = suggestions.get_or_insert_with(|| Suggestions::among(people));
                if let Some((email, id)) = suggestions.nearest(&entry.person) {
                    *nearest = Some(email.clone());
                    // Most likely a typo for this person, who may be moving here from another group.
                    endangered.insert(id);
                }
            }
            let (entry, origin) = (Some(entry.person.clone()), entry.origin.clone());
            blocked.push(Blocked { group: name.clone(), entry, origin, reason, since: None });
        }
        if found.is_none() {
            endangered.extend(members.iter().map(|member| member.id));
        }
        lists.push(Resolved { name, group, found, members, has_blocked_entry: !unresolved.is_empty() });
    }
    let soon = time.checked_add(policy.expiring_within).unwrap_or(Timestamp::MAX);
    let expiring = lists.iter().flat_map(|list| expiring(list, soon)).collect();
    let groups = lists.iter().filter_map(|list| compare_group(list, people, &endangered, time)).collect();
    Compared { groups, blocked, expiring }
}

/// The group in the account with its members, or a blocked entry that says why there is none.
fn find<'a>(
    name: &GroupName,
    group: &DesiredGroup,
    target: &Target,
    current: &'a Current,
    blocked: &mut Vec<Blocked>,
) -> Option<(GroupId, &'a Arc<Membership>)> {
    let reason = match target {
        Err(reason) => reason.clone(),
        Ok(id) => match current.memberships.get(id) {
            Some(observed) => return Some((*id, observed)),
            None => BlockedReason::UnreadableGroup {
                cause: current.unreadable.get(id).cloned().unwrap_or_else(|| "its members were not read".into()),
            },
        },
    };
    blocked.push(Blocked { group: name.clone(), entry: None, origin: group.origin.clone(), reason, since: None });
    None
}

type Unresolved<'a> = Vec<(&'a DesiredMember, BlockedReason)>;

/// Looks for everybody who belongs to the group now.
fn resolve<'a>(
    group: &'a DesiredGroup,
    people: &Nearby<'_, '_>,
    time: Timestamp,
) -> (Vec<Belonging<'a>>, Unresolved<'a>) {
    let mut members = Vec::with_capacity(group.members.len());
    let mut unresolved: Unresolved<'a> = Vec::new();
    let mut told = BTreeSet::new();
    for entry in group.members.iter().filter(|entry| entry.belongs_at(time)) {
        match people.resolve(&entry.person) {
            Ok(id) => {
                let until = entry.terms.as_deref().and_then(|terms| terms.window.until);
                members.push(Belonging { id, entry, until });
            }
            Err(reason) if told.insert(&entry.person) => unresolved.push((entry, reason)),
            Err(_) => {}
        }
    }
    // Stable: of several entries for one person, the first of the file speaks for them.
    members.sort_by_key(|member| member.id);
    members.dedup_by(|later, first| {
        let same = later.id == first.id;
        if same {
            first.until = first.until.zip(later.until).map(|(a, b)| a.max(b));
        }
        same
    });
    (members, unresolved)
}

fn expiring<'a>(list: &'a Resolved<'a>, soon: Timestamp) -> impl Iterator<Item = Expiring> + 'a {
    let ending = list.members.iter().filter_map(move |member| {
        let until = member.until.filter(|until| *until <= soon)?;
        Some((member, until))
    });
    ending.map(|(member, until)| Expiring {
        group: list.name.clone(),
        person: member.entry.person.clone(),
        until,
        origin: member.entry.origin.clone(),
    })
}

fn compare_group(
    list: &Resolved<'_>,
    people: &People<'_>,
    endangered: &BTreeSet<MemberId>,
    time: Timestamp,
) -> Option<GroupPlan> {
    let (id, observed) = list.found?;
    let mut changes = additions(list, observed, people);
    let mut held = Vec::new();
    if list.group.mode != Mode::Additive {
        for change in removals(list, observed, people, time) {
            let holds = list.has_blocked_entry || endangered.contains(&change.member.id);
            if holds { &mut held } else { &mut changes }.push(change);
        }
    }
    Some(GroupPlan {
        id,
        name: list.name.clone(),
        mode: list.group.mode,
        origin: list.group.origin.clone(),
        observed: Arc::clone(observed),
        fingerprint: fingerprint(observed.keys()),
        changes,
        held,
        operations: Vec::new(),
    })
}

fn additions(list: &Resolved<'_>, observed: &Membership, people: &People<'_>) -> Vec<Change> {
    let mut is_there = among(observed.keys().copied());
    let missing = list.members.iter().filter(|member| !is_there(member.id));
    missing
        .map(|member| Change {
            action: Action::Add,
            member: people.subject(member.id),
            origin: member.entry.origin.clone(),
            via: member.entry.via.clone(),
            reason: member.entry.terms.as_deref().and_then(|terms| terms.reason.clone()),
            expired: None,
            since: None,
            added_at: None,
        })
        .collect()
}

fn removals(list: &Resolved<'_>, observed: &Membership, people: &People<'_>, time: Timestamp) -> Vec<Change> {
    let mut belongs = among(list.members.iter().map(|member| member.id));
    let leaving: Vec<MemberId> = observed.keys().copied().filter(|id| !belongs(*id)).collect();
    if leaving.is_empty() {
        return Vec::new();
    }
    let expired = expired_entries(list.group, people, time);
    leaving
        .into_iter()
        .map(|id| {
            let entry = expired.get(&id);
            Change {
                action: Action::Remove,
                member: people.subject(id),
                origin: entry.map_or(&list.group.members_origin, |(entry, _)| &entry.origin).clone(),
                via: entry.and_then(|(entry, _)| entry.via.clone()),
                reason: None,
                expired: entry.map(|(_, until)| *until),
                since: None,
                added_at: None,
            }
        })
        .collect()
}

/// Tells of one id after the other, in order, whether it is among others that come in order too.
fn among(others: impl Iterator<Item = MemberId>) -> impl FnMut(MemberId) -> bool {
    let mut others = others.peekable();
    move |id| {
        while others.next_if(|other| *other < id).is_some() {}
        others.peek() == Some(&id)
    }
}

/// The entry of each person whose time has run out; the latest where there are several.
fn expired_entries<'a>(
    group: &'a DesiredGroup,
    people: &People<'_>,
    time: Timestamp,
) -> BTreeMap<MemberId, (&'a DesiredMember, Timestamp)> {
    let mut expired: BTreeMap<MemberId, (&DesiredMember, Timestamp)> = BTreeMap::new();
    for entry in &group.members {
        let Some(until) = entry.terms.as_deref().and_then(|terms| terms.window.until) else { continue };
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
