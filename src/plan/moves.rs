//! With `--only-changed`, a member who moves to a group that is not planned must not lose access.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::Policy;
use super::blocked::BlockedReason;
use super::compare::{Compared, hold};
use super::contents::{Action, Change, GroupPlan};
use super::located::locate_groups;
use super::people::People;
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode, Observed, Origin, PersonRef,
    Settings,
};

/// The other declarations of people whom the plan removes.
#[derive(Default)]
struct Declarations<'a> {
    groups: BTreeMap<&'a GroupName, Vec<(MemberId, &'a DesiredMember)>>,
    /// The members whom an ambiguous entry could mean.
    ambiguous: BTreeMap<MemberId, Origin>,
}

/// Adds the removed members to the other groups that declare them, if they are not there yet. Holds the removals if
/// that is not possible. Returns the groups that must be read first.
pub(super) fn keep_access(
    compared: &mut Compared,
    desired: &Desired,
    current: &Observed,
    policy: &Policy,
    people: &People<'_>,
    time: Timestamp,
) -> BTreeSet<GroupId> {
    let mut unread = BTreeSet::new();
    if policy.touched.is_none() || policy.due {
        return unread;
    }
    let declared = declarations(compared, desired, policy, people, time);
    let found = locate_groups(desired, current, |name| declared.groups.contains_key(name));
    let mut holders = declared.ambiguous;
    for (name, members) in &declared.groups {
        let Some(group) = desired.groups.get(*name) else { continue };
        let id = found.get(*name).and_then(|target| target.as_ref().ok());
        match id.and_then(|id| Some((*id, current.memberships.get(id)?))) {
            // An observed group cannot be the destination of a move.
            Some(_) if group.mode == Mode::Observe => {}
            Some((id, observed)) => {
                let missing = members.iter().filter(|(member, _)| !observed.contains_key(member));
                let changes: Vec<Change> =
                    missing.map(|(member, entry)| Change::addition(people.subject_with_id(*member), entry)).collect();
                if changes.is_empty() {
                    continue;
                }
                compared.groups.push(destination((id, name), group, &desired.settings, observed, changes));
            }
            None => {
                unread.extend(id.filter(|id| !current.unreadable.contains_key(id)));
                if group.mode != Mode::Observe {
                    for (member, entry) in members {
                        holders.entry(*member).or_insert_with(|| entry.origin.clone());
                    }
                }
            }
        }
    }
    if !holders.is_empty() {
        // Nothing is written to an observed group, so no removal needs to be held.
        for group in compared.groups.iter_mut().filter(|group| group.mode != Mode::Observe) {
            let held = hold(&mut group.changes, |change| holders.get(&change.member.id).cloned());
            group.held.extend(held);
        }
    }
    compared.groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    unread
}

/// The plan of a group that is planned only because members move to it.
fn destination(
    (id, name): (GroupId, &GroupName),
    group: &DesiredGroup,
    settings: &Settings,
    observed: &Arc<Membership>,
    changes: Vec<Change>,
) -> GroupPlan {
    GroupPlan {
        required: Some(changes.iter().map(|change| change.member.id).collect()),
        changes,
        left_out: true,
        ..GroupPlan::declared(id, name, group, settings, observed)
    }
}

/// The entries for removed members in groups that are not planned.
fn declarations<'a>(
    compared: &Compared,
    desired: &'a Desired,
    policy: &Policy,
    people: &People<'_>,
    time: Timestamp,
) -> Declarations<'a> {
    let writing = compared.groups.iter().filter(|group| group.mode != Mode::Observe);
    let changes = writing.flat_map(|group| &group.changes);
    let removed: BTreeSet<MemberId> =
        changes.filter(|change| change.action == Action::Remove).map(|change| change.member.id).collect();
    let mut declared = Declarations::default();
    if removed.is_empty() {
        return declared;
    }
    let texts: BTreeSet<&str> = removed.iter().flat_map(|id| people.texts(*id)).collect();
    let named = |person: &PersonRef| match person {
        PersonRef::Email(email) => texts.contains(email.folded()),
        PersonRef::Id(id) => removed.contains(id),
    };
    for (name, group) in desired.groups.iter().filter(|(name, _)| !policy.covers(name)) {
        let entries = group.members.iter().filter(|entry| named(&entry.person) && entry.belongs_at(time));
        let (mut members, mut seen) = (Vec::new(), BTreeSet::new());
        for entry in entries {
            match people.resolve(&entry.person) {
                Ok(id) if removed.contains(&id) && seen.insert(id) => members.push((id, entry)),
                Err(BlockedReason::AmbiguousPerson { candidates }) => {
                    let held = candidates.into_iter().map(|id| (id, entry.origin.clone()));
                    declared.ambiguous.extend(held);
                }
                _ => {}
            }
        }
        if !members.is_empty() {
            declared.groups.insert(name, members);
        }
    }
    declared
}
