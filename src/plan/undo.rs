//! Plans the inverse of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::blocked::{Blocked, BlockedReason};
use super::compare::hold;
use super::contents::{Action, Change, GroupPlan, Plan, PlanWarning};
use super::guards::{GroupGuards, PlanGuards};
use super::located::locate_groups;
use super::people::People;
use super::{Policy, assemble, exclusive, judge, permissions};
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode, Observed, Origin, PersonRef,
};

/// Marks a change for which the journal does not prove that the run made it.
const UNPROVEN: &str = "possibly by somebody else";

/// The attempted changes of a run in a group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reversal {
    /// The group's name at the time.
    pub name: GroupName,
    pub attempts: BTreeMap<MemberId, AttemptedChange>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptedChange {
    /// Whether the run added the member; otherwise it removed the member.
    pub added: bool,
    /// Whether the journal proves that the run made the change.
    pub proven: bool,
    /// The line of the journal that announces it.
    pub origin: Origin,
}

/// Plans the inverse of every attempted change whose effect is present now, even if somebody else made it.
///
/// Guards and mode come from the files that declare the group now, found by its id. Groups that are observed or
/// undeclared are planned as observed: the plan shows them, and applying does not change them. Nobody is removed whose
/// restoring addition is not carried out, so undoing a move leaves nobody without both groups.
pub fn undo(
    reversals: &BTreeMap<GroupId, Reversal>,
    desired: &Desired,
    current: &Observed,
    policy: &Policy,
    time: Timestamp,
) -> Plan {
    let people = People::of(current);
    let declared = locate_groups(desired, current, |_| true);
    let names: BTreeMap<GroupId, &GroupName> =
        declared.iter().filter_map(|(name, target)| Some((*target.as_ref().ok()?, name))).collect();
    let (mut groups, mut blocked, mut warnings) = (Vec::new(), Vec::new(), Vec::new());
    for (id, reversal) in reversals {
        let name = names.get(id).copied();
        let known_as = [Some(&reversal.name), name, current.groups.get(id).map(|group| &group.name)];
        let is_named = policy.only.is_empty() || known_as.into_iter().flatten().any(|name| policy.only.contains(name));
        let observed = current.memberships.get(id);
        let group = name.and_then(|name| Some((name, desired.groups.get(name)?)));
        match observed.filter(|_| is_named) {
            Some(observed) => {
                let name = name.or(known_as[2]).unwrap_or(&reversal.name);
                let declared = group.map(|(_, group)| group);
                let undoing = Undoing { id: *id, name, reversal, desired, declared, observed, time };
                groups.push(undoing.plan(&people, &mut blocked, &mut warnings));
            }
            None if is_named => blocked.extend(vanished(*id, reversal, current)),
            None => {}
        }
    }
    groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    warnings.extend(permissions::check(desired, current, &mut groups, &mut blocked));
    // A removal that is held shows its member to the groups that exclude it, and an addition that is blocked leaves its
    // member without the group.
    let exclusions = loop {
        let exclusions = exclusive::check_presence(desired, current, &mut groups, &mut blocked);
        let lost = lost(reversals, current, &groups);
        let mut is_any_held = false;
        for group in groups.iter_mut().filter(|group| group.mode != Mode::Observe) {
            let held = hold(&mut group.changes, |change| Some(lost.get(&change.member.id)?.1.clone()));
            is_any_held |= !held.is_empty();
            let reason = |change: &Change| unrestored(change, lost.get(&change.member.id)?, &group.name, &blocked);
            warnings.extend(held.iter().filter_map(reason));
            group.held.extend(held);
        }
        if !is_any_held {
            break exclusions;
        }
    };
    let planned: BTreeSet<GroupId> = groups.iter().map(|group| group.id).collect();
    let mut plan = assemble(policy.account_id, groups, PlanGuards::of(desired, time), false, time);
    plan.blocked = blocked;
    plan.warnings = warnings;
    plan.permissions = permissions::pins(desired, &plan);
    plan.unread = exclusions.unread;
    (plan.exclusive, plan.exchanges) = (exclusions.pairs, exclusions.exchanges);
    let touched = declared.into_iter().filter(|(_, target)| target.as_ref().is_ok_and(|id| planned.contains(id)));
    judge(&mut plan, desired, current, &people, &touched.collect(), policy.accept_self);
    plan
}

/// Why a removal is held, if no blocked entry says it.
fn unrestored(
    change: &Change,
    (from, origin): &(GroupName, Origin),
    group: &GroupName,
    blocked: &[Blocked],
) -> Option<PlanWarning> {
    if blocked.iter().any(|blocked| blocked.origin == *origin) {
        return None;
    }
    let (who, from) = (change.member.person(), from.as_str());
    let message = format!("{who} stays in {:?}, because this plan does not restore them to {from:?}", group.as_str());
    let help = "undo both groups in one plan, or make the change by hand";
    Some(PlanWarning::new(message, help, Some(origin.clone())))
}

/// Everybody whom the run removed from a group, who is not there and whose addition is not planned, with that group and
/// the line that announces the removal.
fn lost(
    reversals: &BTreeMap<GroupId, Reversal>,
    current: &Observed,
    groups: &[GroupPlan],
) -> BTreeMap<MemberId, (GroupName, Origin)> {
    let mut lost = BTreeMap::new();
    for (id, reversal) in reversals {
        let planned = groups.iter().filter(|group| group.id == *id).flat_map(GroupPlan::additions);
        let mut back: BTreeSet<MemberId> = planned.map(|change| change.member.id).collect();
        back.extend(current.memberships.get(id).into_iter().flat_map(|members| members.keys()));
        for (member, attempt) in reversal.attempts.iter().filter(|(id, attempt)| !attempt.added && !back.contains(id)) {
            lost.entry(*member).or_insert_with(|| (reversal.name.clone(), attempt.origin.clone()));
        }
    }
    lost
}

fn vanished(id: GroupId, reversal: &Reversal, current: &Observed) -> Option<Blocked> {
    let origin = reversal.attempts.values().next()?.origin.clone();
    let reason = match current.unreadable.get(&id) {
        Some(cause) => BlockedReason::UnreadableGroup { cause: cause.clone() },
        None => BlockedReason::UnknownPin { pin: id, namesake: None },
    };
    Some(Blocked::new(reversal.name.clone(), None, origin, reason))
}

struct Undoing<'a> {
    id: GroupId,
    name: &'a GroupName,
    reversal: &'a Reversal,
    desired: &'a Desired,
    declared: Option<&'a DesiredGroup>,
    observed: &'a Arc<Membership>,
    time: Timestamp,
}

impl Undoing<'_> {
    fn plan(self, people: &People<'_>, blocked: &mut Vec<Blocked>, warnings: &mut Vec<PlanWarning>) -> GroupPlan {
        let (mut changes, mut removals) = (Vec::new(), Vec::new());
        let mut unresolved = false;
        for (member, attempt) in &self.reversal.attempts {
            if self.observed.contains_key(member) != attempt.added {
                continue;
            }
            if attempt.added {
                removals.push(change(Action::Remove, *member, attempt, people));
                continue;
            }
            if let Some((entry, until)) = self.ended(*member, people) {
                let (person, name, origin) = (&entry.person, self.name.as_str(), &entry.origin);
                let message = format!("{person} is not restored to {name:?}: the access ended at {until} ({origin})");
                let help = "to give the access again, change `until` and apply the files";
                warnings.push(PlanWarning::new(message, help, Some(origin.clone())));
                continue;
            }
            match self.allowed(*member, people) {
                Ok(()) => changes.push(change(Action::Add, *member, attempt, people)),
                Err(reason) => {
                    unresolved = true;
                    let person = people.subject(*member).person();
                    blocked.push(Blocked::new(self.name.clone(), Some(person), attempt.origin.clone(), reason));
                }
            }
        }
        let held = if unresolved { std::mem::take(&mut removals) } else { Vec::new() };
        let mode = self.declared.map_or(Mode::Observe, |group| group.mode);
        // In an additive group, only the members whom the run removed count.
        let required = changes.iter().map(|change: &Change| change.member.id).collect();
        changes.extend(removals);
        let first = self.reversal.attempts.values().next().map(|attempt| attempt.origin.clone());
        let origin = self.declared.map(|group| group.origin.clone()).or(first);
        let origin = origin.unwrap_or_else(|| Origin { file: "".into(), line: 1, column: 1 });
        let guards = GroupGuards::of(self.declared, &self.desired.settings);
        GroupPlan {
            changes,
            held,
            required: (mode == Mode::Additive).then_some(required),
            blocked: u64::from(unresolved),
            ..GroupPlan::new(self.id, self.name, mode, &origin, guards, self.observed)
        }
    }

    /// Whether the member may be restored by the rules of the group. A membership without an entry has no end and no
    /// reason, and nothing would end it, so it is not restored where the group requires one of them.
    fn allowed(&self, member: MemberId, people: &People<'_>) -> Result<(), BlockedReason> {
        people.resolve(&PersonRef::Id(member)).map_err(|reason| match reason {
            BlockedReason::UnknownPerson { .. } => BlockedReason::LeftAccount,
            reason => reason,
        })?;
        let Some(group) = self.declared else { return Ok(()) };
        let domains = self.desired.domains_of(group);
        if let Some(reason) = domains.and_then(|rule| people.outside(member, &rule.value)) {
            return Err(reason);
        }
        let rules = &group.rules;
        let required =
            [(rules.max_duration.is_some(), "max_duration"), (rules.require_reason.is_some(), "require_reason")];
        let rules: Vec<String> =
            required.iter().filter(|(is_set, _)| *is_set).map(|(_, rule)| (*rule).into()).collect();
        if rules.is_empty() || self.entries(member, people).iter().any(|entry| entry.belongs_at(self.time)) {
            return Ok(());
        }
        Err(BlockedReason::NoEntry { rules })
    }

    /// The entries of the group that name the member.
    fn entries(&self, member: MemberId, people: &People<'_>) -> Vec<&DesiredMember> {
        let texts: BTreeSet<&str> = people.texts(member).collect();
        let names_them = |entry: &&DesiredMember| match &entry.person {
            PersonRef::Id(id) => *id == member,
            PersonRef::Email(email) => texts.contains(email.folded()),
        };
        self.declared.iter().flat_map(|group| &group.members).filter(names_them).collect()
    }

    /// The entry that ended the member's access, if no entry gives it now.
    fn ended(&self, member: MemberId, people: &People<'_>) -> Option<(&DesiredMember, Timestamp)> {
        let entries = self.entries(member, people);
        if entries.iter().any(|entry| entry.belongs_at(self.time)) {
            return None;
        }
        let ended = entries.into_iter().filter_map(|entry| Some((entry, entry.until()?)));
        ended.filter(|(_, until)| *until <= self.time).max_by_key(|(_, until)| *until)
    }
}

fn change(action: Action, member: MemberId, attempt: &AttemptedChange, people: &People<'_>) -> Change {
    Change {
        reason: (!attempt.proven).then(|| UNPROVEN.into()),
        ..Change::new(action, people.subject(member), attempt.origin.clone())
    }
}
