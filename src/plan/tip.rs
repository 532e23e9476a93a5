//! `--tip`: the change selects what a run makes, and the newest files decide about it.
//!
//! A job that is run again must not take back a newer change. Whatever the newest files do not say as well is left out;
//! their settings, guards and rules count. They are read offline, so nobody is looked up for them.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::change::Says;
use super::contents::{Action, Change, LeftOutKind, Plan};
use super::group::GroupPlan;
use super::guards::{self, GroupGuards, PlanGuards};
use super::inputs::locate_groups;
use super::standing::Standing;
use super::{exclusive, group, side_doors};
use crate::model::typos::written;
use crate::model::{Desired, DesiredGroup, DesiredMember, Email, GroupId, GroupName, MemberId, Mode, Observed, Origin};

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

/// Leaves out each change that the newest files contradict, and takes the groups' guards from them.
pub(super) fn leave_out(plan: &mut Plan, tip: &Desired, current: &Observed, time: Timestamp) {
    for group in &mut plan.groups {
        let found = group_at(tip, &group.name, Some(group.id)).map(|(_, found)| found);
        let mut named: BTreeMap<&str, Vec<&DesiredMember>> = BTreeMap::new();
        let differs = !(group.changes.is_empty() && group.left_alone.is_empty());
        for entry in found.iter().filter(|_| differs).flat_map(|found| &found.members) {
            named.entry(written(&entry.person)).or_default().push(entry);
        }
        let contradicted = |change: &Change| {
            let texts = texts(change, &plan.addresses);
            let entries: Vec<_> = texts.into_iter().filter_map(|text| named.get(text)).flatten().copied().collect();
            contradiction(change.action, found, &entries, time)
        };
        plan.left_out.extend(group.leave_out_for(LeftOutKind::Tip, contradicted));
        // What differs only from older files is no difference.
        group.left_alone.retain(|change| contradicted(change).is_none());
        group.guards = GroupGuards::of(found, &tip.settings);
    }
    keep_movers(plan, tip, current, time);
}

/// Everything that a file may name the member of a change by.
fn texts<'c>(change: &'c Change, addresses: &'c BTreeMap<MemberId, Vec<Email>>) -> BTreeSet<&'c str> {
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
fn keep_movers(plan: &mut Plan, tip: &Desired, current: &Observed, time: Timestamp) {
    let leaves = |change: &Change| Standing::of_change(change) == Standing::Undeclared;
    let leaving = plan.groups.iter().flat_map(|group| &group.changes).filter(|change| leaves(change));
    let leaving: BTreeSet<MemberId> = leaving.map(|change| change.member.id).collect();
    let left = plan.left_out.iter().filter(|it| it.kind == LeftOutKind::Tip).map(|it| &it.change);
    let joins = left.filter(|change| change.action == Action::Add && leaving.contains(&change.member.id));
    let movers: BTreeMap<MemberId, BTreeSet<&str>> =
        joins.map(|change| (change.member.id, texts(change, &plan.addresses))).collect();
    if movers.is_empty() {
        return;
    }
    let found = locate_groups(tip, current, |_| true);
    let mut waiting: BTreeMap<MemberId, (&GroupName, &Origin)> = BTreeMap::new();
    for (member, names) in &movers {
        for (name, group) in tip.groups.iter().filter(|(_, group)| group.mode != Mode::Observe) {
            let mut entries = group.members.iter().filter(|entry| names.contains(written(&entry.person)));
            let Some(entry) = entries.find(|entry| entry.belongs_at(time)) else { continue };
            let id = found.get(name).and_then(|found| found.as_ref().ok());
            let members = id.and_then(|id| current.memberships.get(id));
            let is_shown = members.is_some_and(|members| members.contains_key(member));
            let joins =
                |group: &GroupPlan| Some(&group.id) == id && group.additions().any(|it| it.member.id == *member);
            if !is_shown && !plan.groups.iter().any(joins) {
                waiting.entry(*member).or_insert((name, &entry.origin));
                let is_readable = |id: &&GroupId| members.is_none() && !current.unreadable.contains_key(*id);
                plan.unread.extend(id.filter(is_readable));
            }
        }
    }
    for group in &mut plan.groups {
        plan.left_out.extend(group.leave_out_for(LeftOutKind::Waits, |change| {
            let (name, origin) = waiting.get(&change.member.id).filter(|_| leaves(change))?;
            let other =
                format!("the newest files declare the member in {}, which does not show them yet", name.as_str());
            Some((format!("{other}; run this job again after the newer one"), Some((*origin).clone())))
        }));
    }
}

impl Plan {
    /// The part of a saved plan that the newest files say as well, with their guards and rules.
    #[must_use]
    pub fn decided_by(mut self, tip: &Desired, current: &Observed, time: Timestamp) -> Self {
        leave_out(&mut self, tip, current, time);
        exclusive::check_presence(tip, current, &mut self);
        group::decide(&mut self.groups, self.due);
        self.guards = PlanGuards { token_user: self.guards.token_user.take(), ..PlanGuards::of(tip, time) };
        self.permissions = side_doors::pins(tip, &self);
        self.refusals.clear();
        self.guards.pins = guards::pins(tip, self.groups.iter().map(|group| &group.name));
        guards::check_account(&mut self, tip, current);
        self.recount();
        self
    }

    /// Whether the newest files say otherwise, and leave nothing to make.
    pub fn is_superseded(&self) -> bool {
        self.summary.requests == 0 && self.left_out.iter().any(|it| it.kind == LeftOutKind::Tip)
    }
}
