//! `--only-changed`: a plan of what the change under review asks for, and of nothing else.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::repeat;

use super::blocked::{Blocked, BlockedReason};
use super::change::{Asked, AskedGroup, Says, TouchedGroup, concerns, times_in};
use super::contents::{Change, LeftOutKind, Plan};
use super::group::GroupPlan;
use super::inputs::{Inputs, Located};
use super::standing::Standing;
use super::tip;
use crate::model::typos::{Texts, tolerance, written};
use crate::model::{DesiredMember, GroupId, GroupName, MemberId, Mode, Origin};

impl Inputs<'_> {
    /// Whether a group is compared. With `--only-changed`, if the change asks something of it, or if it was read for
    /// another reason.
    pub fn compares(&self, name: &GroupName, found: &Located) -> bool {
        let Some(asked) = self.only_asked() else { return true };
        let is_read =
            |id: &GroupId| self.current.memberships.contains_key(id) || self.current.unreadable.contains_key(id);
        // A group that is only observed now is read to see whom the change lets go.
        let is_let_go = asked.get(name).is_some_and(|group| !group.is_written());
        concerns(asked, name) || (!is_let_go && found.as_ref().is_ok_and(is_read)) || found.is_err()
    }
}

/// Keeps what the change asks for. The other differences of its groups are left alone.
pub(super) fn narrow(inputs: &Inputs<'_>, asked: &Asked<'_>, plan: &mut Plan) {
    for group in &mut plan.groups {
        if let Some(asked) = asked.get(&group.name) {
            split(group, asked, inputs);
        }
    }
    plan.groups.retain(|group| concerns(asked, &group.name));
    drop_unrelated_blocks(inputs, asked, plan);
    keep_access(inputs, plan);
}

fn split(group: &mut GroupPlan, asked: &AskedGroup<'_>, inputs: &Inputs<'_>) {
    let entries = |member: MemberId| asked.entries(inputs.people.texts(member));
    let is_asked = |member: MemberId| asked.touches(&entries(member));
    group.left_alone = group.changes.extract_if(.., |change| !is_asked(change.member.id)).collect();
    group.left_alone.extend(group.held.extract_if(.., |change| !is_asked(change.member.id)));
    group.left_out = !group.left_alone.is_empty();
    group.required.get_or_insert_default().retain(|member| is_asked(*member));
    let named = asked.touched().flat_map(|(_, entries)| entries.base.iter().chain(&entries.head));
    let members = named.filter_map(|entry| inputs.people.resolve(&entry.person).ok());
    let leaves = |member: &MemberId| {
        let entries = entries(*member);
        asked.touches(&entries) && asked.says(&entries, inputs.time) == Says::Out
    };
    group.barred = members.filter(leaves).collect();
}

/// Drops the blocked entries and groups that the change does not touch and that hold nothing of it.
fn drop_unrelated_blocks(inputs: &Inputs<'_>, asked: &Asked<'_>, plan: &mut Plan) {
    let held = plan.groups.iter().flat_map(|group| &group.held);
    let holders: BTreeSet<Origin> = held.filter_map(|change| change.held_by.clone()).collect();
    let holding = plan.groups.iter().filter(|group| !group.held.is_empty());
    let holding: BTreeSet<GroupName> = holding.map(|group| group.name.clone()).collect();
    // An ended entry removes its member also beside an unknown one. Look it up first: it may be that member.
    let ends = plan.groups.iter().flat_map(GroupPlan::removals).any(|change| change.expired.is_some());
    let is_open = |blocked: &Blocked| {
        ends && !inputs.current.knows_everybody && matches!(blocked.reason, BlockedReason::UnknownPerson { .. })
    };
    plan.blocked.retain(|blocked| {
        let asked = asked.get(&blocked.group);
        match &blocked.entry {
            _ if is_open(blocked) => true,
            None => {
                let members = inputs.desired.groups.get(&blocked.group).map(|group| &group.members);
                asked.is_some() || members.into_iter().flatten().any(|entry| holders.contains(&entry.origin))
            }
            Some(person) => {
                asked.is_some_and(|group| group.touches_name(person))
                    || holders.contains(&blocked.origin)
                    || holding.contains(&blocked.group)
            }
        }
    });
}

/// A removal waits while the files have the person in another group, no reading shows them there, and this run does not
/// add them. Access that has ended waits for nothing.
fn keep_access(inputs: &Inputs<'_>, plan: &mut Plan) {
    if !plan.removes_anybody() {
        return;
    }
    let is_undeclared = |change: &Change| Standing::of_change(change) == Standing::Undeclared;
    let texts = |change: &Change| inputs.people.texts(change.member.id).zip(repeat(change.member.id));
    let undeclared = plan.removals().filter(|(_, change)| is_undeclared(change));
    let names: BTreeMap<&str, MemberId> = undeclared.flat_map(|(_, change)| texts(change)).collect();
    // An entry elsewhere that may mean somebody holds the removal, also of access that has ended.
    let leaving = Texts::new(plan.removals().flat_map(|(_, change)| texts(change)));
    let joins: BTreeSet<(&GroupName, MemberId)> =
        plan.groups.iter().flat_map(|group| group.additions().map(move |it| (&group.name, it.member.id))).collect();
    let mut unread = BTreeSet::new();
    let mut waiting: BTreeMap<MemberId, (&GroupName, &Origin)> = BTreeMap::new();
    for (name, group) in inputs.desired.groups.iter().filter(|(_, group)| group.mode != Mode::Observe) {
        let Some(id) = inputs.id(name) else { continue };
        let members = inputs.current.memberships.get(&id);
        if members.is_none() && inputs.current.unreadable.contains_key(&id) {
            continue;
        }
        let newest = inputs.tip().map(|tip| tip::group_at(tip, name, Some(id)));
        let is_kept = |entry: &&DesiredMember| entry.belongs_at(inputs.time) && tip::holds(newest, entry, inputs.time);
        for entry in group.members.iter().filter(is_kept) {
            let text = written(&entry.person);
            let may_leave =
                || !inputs.people.knows(&entry.person) && leaving.any_alike(text, |_| tolerance(text)).is_some();
            match names.get(text) {
                Some(member) if joins.contains(&(name, *member)) => {}
                Some(member) if members.is_some_and(|members| members.contains_key(member)) => {}
                Some(member) => {
                    waiting.entry(*member).or_insert((name, &entry.origin));
                    unread.extend(members.is_none().then_some(id));
                }
                None => unread.extend((members.is_none() && may_leave()).then_some(id)),
            }
        }
    }
    for group in &mut plan.groups {
        let mut left = group.leave_out_for(LeftOutKind::Waits, |change| {
            let (name, origin) = waiting.get(&change.member.id).filter(|_| is_undeclared(change))?;
            Some((format!("declared in {} at {origin}, and not there yet", name.as_str()), None))
        });
        left.sort_by_key(|left| left.change.member.id);
        plan.left_out.extend(left);
    }
    plan.unread.extend(unread);
}

/// What the change says of the memberships that it touches.
pub(super) fn touched(inputs: &Inputs<'_>, asked: &Asked<'_>, groups: &[GroupPlan]) -> Vec<TouchedGroup> {
    let planned: BTreeMap<&GroupName, &GroupPlan> = groups.iter().map(|group| (&group.name, group)).collect();
    let touched = asked.iter().filter(|(name, _)| inputs.located.contains_key(**name)).map(|(name, asked)| {
        let times = asked.touched().map(|(text, entries)| (text.to_owned(), times_in(asked.head, &entries.head)));
        let mut memberships: BTreeMap<String, _> = times.collect();
        // Of a group that becomes exact, the members whom nobody declared leave.
        let strangers = planned.get(*name).filter(|it| asked.touches_unnamed() && it.mode == Mode::Exact);
        for member in strangers.iter().flat_map(|group| group.observed.keys()) {
            let entries = asked.entries(inputs.people.texts(*member));
            if entries.base.is_empty() && entries.head.is_empty() {
                memberships.insert(member.to_string(), Vec::new());
            }
        }
        TouchedGroup { id: inputs.id(name), name: GroupName::clone(name), memberships }
    });
    touched.collect()
}
