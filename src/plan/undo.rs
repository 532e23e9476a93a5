//! Plans the inverse of a run.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, Plan, PlanWarning};
use super::group::GroupPlan;
use super::inputs::{Inputs, Policy};
use super::{exclusive, judge, side_doors};
use crate::model::typos::written;
use crate::model::{
    About, Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Membership, Mode, Observed, Origin,
    PersonRef,
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
    // `--only` may name a group that is called otherwise now.
    let all = Policy { only: BTreeSet::new(), ..policy.clone() };
    let inputs = Inputs::new(desired, current, &all, time);
    let declared = inputs.located.iter().filter_map(|(name, found)| Some((*found.as_ref().ok()?, name)));
    let names: BTreeMap<GroupId, &GroupName> = declared.collect();
    let mut plan = Plan::empty(&inputs);
    for (id, reversal) in reversals {
        let declared = names.get(id).copied();
        let shown = current.groups.get(id).map(|group| &group.name);
        let mut known_as = [Some(&reversal.name), declared, shown].into_iter().flatten();
        if !policy.only.is_empty() && !known_as.any(|name| policy.only.contains(name)) {
            continue;
        }
        match current.memberships.get(id) {
            Some(observed) => {
                let group = declared.and_then(|name| desired.groups.get(name));
                let name = declared.or(shown).unwrap_or(&reversal.name);
                Undoing { id: *id, name, reversal, group, observed, inputs: &inputs }.plan(&mut plan);
            }
            None => plan.blocked.extend(vanished(*id, reversal, current)),
        }
    }
    plan.groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    side_doors::check_permissions(desired, current, &mut plan);
    // A removal that is held shows its member to the groups that exclude it, and an addition that is blocked leaves its
    // member without the group.
    loop {
        plan.unread.clear();
        exclusive::check_presence(desired, current, &mut plan);
        let lost = lost(reversals, current, &plan.groups);
        let mut is_any_held = false;
        for group in &mut plan.groups {
            let held = group.held.len();
            group.hold(|change| Some(lost.get(&change.member.id)?.1.clone()));
            is_any_held |= group.held.len() > held;
            let reason = |change: &Change| unrestored(change, lost.get(&change.member.id)?, &group.name, &plan.blocked);
            plan.warnings.extend(group.held.iter().skip(held).filter_map(reason));
        }
        if !is_any_held {
            break;
        }
    }
    plan.decide(desired);
    let planned: BTreeSet<GroupId> = plan.groups.iter().map(|group| group.id).collect();
    let is_planned = |name: &GroupName| inputs.id(name).is_some_and(|id| planned.contains(&id));
    judge(&mut plan, &inputs, is_planned);
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
    Some(Blocked::new(&reversal.name, Mode::Exact, None, &origin, reason))
}

struct Undoing<'a> {
    id: GroupId,
    name: &'a GroupName,
    reversal: &'a Reversal,
    /// The group of the files, if one declares it now.
    group: Option<&'a DesiredGroup>,
    observed: &'a Arc<Membership>,
    inputs: &'a Inputs<'a>,
}

impl Undoing<'_> {
    fn plan(self, plan: &mut Plan) {
        let (mut changes, mut removals, mut unresolved) = (Vec::new(), Vec::new(), false);
        for (member, attempt) in &self.reversal.attempts {
            if self.observed.contains_key(member) != attempt.added {
                continue;
            }
            let action = if attempt.added { Action::Remove } else { Action::Add };
            let reason = (!attempt.proven).then(|| UNPROVEN.into());
            let subject = self.inputs.people.subject(*member);
            let change = Change { reason, ..Change::new(action, subject, attempt.origin.clone()) };
            if attempt.added {
                removals.push(change);
            } else if let Some((entry, until)) = self.ended(*member) {
                let (person, name, origin) = (&entry.person, self.name.as_str(), &entry.origin);
                let message = format!("{person} is not restored to {name:?}: the access ended at {until} ({origin})");
                let help = "to give the access again, change `until` and apply the files";
                plan.warnings.push(PlanWarning::new(message, help, Some(origin.clone())));
            } else if let Err(reason) = self.allowed(*member) {
                unresolved = true;
                let person = Some(change.member.person());
                plan.blocked.push(Blocked::new(self.name, Mode::Exact, person, &attempt.origin, reason));
            } else {
                changes.push(change);
            }
        }
        let held = if unresolved { std::mem::take(&mut removals) } else { Vec::new() };
        let is_additive = self.group.is_some_and(|group| group.mode == Mode::Additive);
        // In an additive group, only the members whom the run removed count.
        let required = changes.iter().map(|change: &Change| change.member.id).collect();
        changes.extend(removals);
        let first = self.reversal.attempts.values().next().map(|attempt| &attempt.origin);
        let unknown = Origin { file: "".into(), line: 1, column: 1 };
        let origin = self.group.map(|group| &group.origin).or(first).unwrap_or(&unknown);
        let settings = &self.inputs.desired.settings;
        plan.groups.push(GroupPlan {
            changes,
            held,
            required: is_additive.then_some(required),
            blocked: u64::from(unresolved),
            about: About::default(),
            ..GroupPlan::new(self.id, self.name, self.group, origin, settings, self.observed)
        });
    }

    /// Whether the member may be restored by the rules of the group. A membership without an entry has no end and no
    /// reason, and nothing would end it, so it is not restored where the group requires one of them.
    fn allowed(&self, member: MemberId) -> Result<(), BlockedReason> {
        let people = &self.inputs.people;
        people.resolve(&PersonRef::Id(member)).map_err(|reason| match reason {
            BlockedReason::UnknownPerson { .. } => BlockedReason::LeftAccount,
            reason => reason,
        })?;
        let Some(group) = self.group else { return Ok(()) };
        let domains = self.inputs.desired.domains_of(group);
        if let Some(reason) = domains.and_then(|rule| people.outside(member, &rule.value)) {
            return Err(reason);
        }
        let rules = &group.rules;
        let required =
            [(rules.max_duration.is_some(), "max_duration"), (rules.require_reason.is_some(), "require_reason")];
        let rules: Vec<String> = required.iter().filter(|it| it.0).map(|(_, rule)| (*rule).into()).collect();
        if rules.is_empty() || self.entries(member).any(|entry| entry.belongs_at(self.inputs.time)) {
            return Ok(());
        }
        Err(BlockedReason::NoEntry { rules })
    }

    /// The entries of the group that name the member.
    fn entries(&self, member: MemberId) -> impl Iterator<Item = &DesiredMember> {
        let texts: BTreeSet<&str> = self.inputs.people.texts(member).collect();
        let names_them = move |entry: &&DesiredMember| {
            entry.person == PersonRef::Id(member) || texts.contains(written(&entry.person))
        };
        self.group.iter().flat_map(|group| &group.members).filter(names_them)
    }

    /// The entry that ended the member's access, if no entry gives it now.
    fn ended(&self, member: MemberId) -> Option<(&DesiredMember, Timestamp)> {
        let time = self.inputs.time;
        let entry = self.entries(member).filter(|entry| entry.has_ended(time)).max_by_key(|entry| entry.until())?;
        let gives_access = self.entries(member).any(|entry| entry.belongs_at(time));
        entry.until().filter(|_| !gives_access).map(|until| (entry, until))
    }
}
