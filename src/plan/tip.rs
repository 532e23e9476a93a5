//! `--tip`: the change selects what a run makes, and the newest files decide about it.
//!
//! A job that is run again must not take back a newer change. Whatever the newest files do not say as well is left out;
//! their settings, guards and rules count. They are read offline, so nobody is looked up for them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::change::Says;
use super::contents::{Action, Change, GroupPlan, LeftOut, LeftOutKind, Plan};
use super::guards::{self, GroupGuards, PlanGuards};
use super::located::locate_groups;
use super::standing::Standing;
use super::{exclusive, operations, permissions};
use crate::model::typos::written;
use crate::model::{Desired, DesiredGroup, DesiredMember, Email, GroupId, GroupName, MemberId, Mode, Observed, Origin};

/// The further addresses of members who have several.
pub(super) type Addresses = BTreeMap<MemberId, Vec<Email>>;

/// A declared group with its name.
type NamedGroup<'t> = (&'t GroupName, &'t DesiredGroup);

/// The same group in the newest files: by its pin, else by its name.
pub(super) fn group_at<'t>(tip: &'t Desired, name: &GroupName, id: Option<GroupId>) -> Option<NamedGroup<'t>> {
    let pinned = tip.groups.iter().find(|(_, group)| id.is_some() && group.pinned() == id);
    let is_other = |group: &DesiredGroup| id.is_some() && group.pinned().is_some();
    pinned.or_else(|| tip.groups.get_key_value(name).filter(|(_, group)| !is_other(group)))
}

/// Whether an entry may hold anything: without newer files always, else only if they have its person in the same group
/// as well. `newest` is the result of [`group_at`], if there are newer files.
pub(super) fn holds(newest: Option<Option<NamedGroup<'_>>>, entry: &DesiredMember, time: Timestamp) -> bool {
    let has = |(_, group): NamedGroup<'_>| {
        let mut same = group.members.iter().filter(|other| written(&other.person) == written(&entry.person));
        group.mode != Mode::Observe && same.any(|other| other.belongs_at(time))
    };
    newest.is_none_or(|group| group.is_some_and(has))
}

/// Leaves out each change that the newest files contradict, and takes the groups' guards from them. Returns the groups
/// that must be read first, too.
pub(super) fn leave_out(
    groups: &mut [GroupPlan],
    tip: &Desired,
    current: &Observed,
    addresses: &Addresses,
    time: Timestamp,
) -> (Vec<LeftOut>, BTreeSet<GroupId>) {
    let mut left = Vec::new();
    for group in groups.iter_mut() {
        let found = group_at(tip, &group.name, Some(group.id)).map(|(_, found)| found);
        let mut named: BTreeMap<&str, Vec<&DesiredMember>> = BTreeMap::new();
        let differs = !(group.changes.is_empty() && group.left_alone.is_empty());
        for entry in found.iter().filter(|_| differs).flat_map(|found| &found.members) {
            named.entry(written(&entry.person)).or_default().push(entry);
        }
        let contradicted = |change: &Change| {
            let entries = texts(change, addresses).into_iter().filter_map(|text| named.get(text)).flatten().copied();
            contradiction(change.action, found, &entries.collect::<Vec<_>>(), time)
        };
        left.extend(group.leave_out_for(LeftOutKind::Tip, contradicted));
        // What differs only from older files is no difference.
        group.left_alone.retain(|change| contradicted(change).is_none());
        group.guards = GroupGuards::of(found, &tip.settings);
    }
    let (waiting, unread) = keep_movers(groups, &left, tip, current, addresses, time);
    left.extend(waiting);
    (left, unread)
}

/// Everything that a file may name the member of a change by.
fn texts<'c>(change: &'c Change, addresses: &'c Addresses) -> BTreeSet<&'c str> {
    let further = addresses.get(&change.member.id).into_iter().flatten();
    let emails = change.member.email.iter().chain(further).map(Email::folded);
    emails.chain([change.member.id.as_str()]).collect()
}

/// What the newest files say instead, with their line.
fn contradiction(
    action: Action,
    found: Option<&DesiredGroup>,
    entries: &[&DesiredMember],
    time: Timestamp,
) -> Option<(String, Option<Origin>)> {
    let says = Says::of(found, entries, time);
    if says == if action == Action::Add { Says::In } else { Says::Out } {
        return None;
    }
    let Some(group) = found else { return Some(("the newest files do not declare the group".into(), None)) };
    let entry = entries.iter().find(|entry| entry.belongs_at(time)).or_else(|| entries.last());
    let (reason, origin) = match (group.mode, entry) {
        (Mode::Observe, _) => ("the newest files only observe the group", &group.origin),
        (_, Some(entry)) if says == Says::In => ("the newest files declare the member", &entry.origin),
        (_, Some(entry)) => ("the newest files declare the member for another time", &entry.origin),
        (Mode::Additive, None) if action == Action::Remove => {
            ("the group is additive in the newest files", &group.origin)
        }
        (_, None) => ("the newest files do not declare the member", &group.members_origin),
    };
    Some((reason.into(), Some(origin.clone())))
}

/// A member whose join is left out keeps the old group while the newest files have them in another group that does not
/// show them yet: the newer job adds them there.
fn keep_movers(
    groups: &mut [GroupPlan],
    left: &[LeftOut],
    tip: &Desired,
    current: &Observed,
    addresses: &Addresses,
    time: Timestamp,
) -> (Vec<LeftOut>, BTreeSet<GroupId>) {
    let joins = left.iter().filter(|it| it.change.action == Action::Add).map(|it| &it.change);
    let movers: BTreeMap<MemberId, BTreeSet<&str>> = joins.map(|it| (it.member.id, texts(it, addresses))).collect();
    let leaves = |change: &Change| Standing::of_change(change) == Standing::Undeclared;
    let moving: BTreeSet<MemberId> =
        groups.iter().flat_map(|group| &group.changes).filter(|it| leaves(it)).map(|it| it.member.id).collect();
    let mut waiting: BTreeMap<MemberId, (&GroupName, &Origin)> = BTreeMap::new();
    let mut unread = BTreeSet::new();
    let found = if moving.is_empty() { BTreeMap::new() } else { locate_groups(tip, current, |_| true) };
    for (member, names) in movers.iter().filter(|(member, _)| moving.contains(member)) {
        for (name, group) in tip.groups.iter().filter(|(_, group)| group.mode != Mode::Observe) {
            let mut entries = group.members.iter().filter(|entry| names.contains(written(&entry.person)));
            let Some(entry) = entries.find(|entry| entry.belongs_at(time)) else { continue };
            let id = found.get(name).and_then(|found| found.as_ref().ok());
            let members = id.and_then(|id| current.memberships.get(id));
            let is_shown = members.is_some_and(|members| members.contains_key(member));
            let joins =
                |group: &GroupPlan| Some(&group.id) == id && group.additions().any(|it| it.member.id == *member);
            if !is_shown && !groups.iter().any(joins) {
                waiting.entry(*member).or_insert((name, &entry.origin));
                let is_readable = |id: &&GroupId| members.is_none() && !current.unreadable.contains_key(*id);
                unread.extend(id.filter(is_readable));
            }
        }
    }
    let kept = groups.iter_mut().flat_map(|group| {
        group.leave_out_for(LeftOutKind::Waits, |change| {
            let (name, origin) = waiting.get(&change.member.id).filter(|_| leaves(change))?;
            let other =
                format!("the newest files declare the member in {}, which does not show them yet", name.as_str());
            Some((format!("{other}; run this job again after the newer one"), Some((*origin).clone())))
        })
    });
    (kept.collect(), unread)
}

impl Plan {
    /// The part of a saved plan that the newest files say as well, with their guards and rules.
    #[must_use]
    pub fn decided_by(mut self, tip: &Desired, current: &Observed, time: Timestamp) -> Self {
        let (left, unread) = leave_out(&mut self.groups, tip, current, &self.addresses, time);
        self.left_out.extend(left);
        let exclusions = exclusive::check_presence(tip, current, &mut self.groups, &mut self.blocked);
        (self.exclusive, self.exchanges) = (exclusions.pairs, exclusions.exchanges);
        self.unread = &unread | &exclusions.unread;
        operations::decide(&mut self.groups, self.due);
        self.guards = PlanGuards { token_user: self.guards.token_user.take(), ..PlanGuards::of(tip, time) };
        self.permissions = permissions::pins(tip, &self);
        self.refusals.clear();
        guards::check_account(&mut self, tip, current, &BTreeMap::new());
        self.recount();
        self
    }

    /// The same plan with the digest of the plan that was reviewed, from which the newest files have left out a part.
    #[must_use]
    pub fn reviewed_as(self, reviewed: &Self) -> Self {
        Self { digest: reviewed.digest, ..self }
    }

    /// Whether the newest files say otherwise, and leave nothing to make.
    pub fn is_superseded(&self) -> bool {
        self.summary.requests == 0 && self.left_out.iter().any(|it| it.kind == LeftOutKind::Tip)
    }
}
