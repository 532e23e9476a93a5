//! Plans the inverse of a run.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::blocked::{Blocked, BlockedReason};
use super::contents::{Action, Change, Plan, PlanWarning};
use super::group::GroupPlan;
use super::inputs::{Inputs, Policy};
use super::{exclusive, judge, side_doors};
use crate::model::typos::written;
use crate::model::{
    About, Desired, DesiredGroup, DesiredMember, GroupId, GroupName, MemberId, Mode, Observed, Origin, PersonRef,
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
        let Some(first) = reversal.attempts.values().next() else { continue };
        if !policy.only.is_empty() && !known_as.any(|name| policy.only.contains(name)) {
            continue;
        }
        if let Some(observed) = current.memberships.get(id) {
            let group = declared.and_then(|name| desired.groups.get(name));
            let name = declared.or(shown).unwrap_or(&reversal.name);
            let origin = group.map_or(&first.origin, |group| &group.origin);
            let planned = GroupPlan::new(*id, name, group, origin, &desired.settings, observed);
            reverse(reversal, &Undoing { group, inputs: &inputs }, planned, &mut plan);
        } else {
            let reason = match current.unreadable.get(id) {
                Some(cause) => BlockedReason::UnreadableGroup { cause: cause.clone() },
                None => BlockedReason::UnknownPin { pin: *id, namesake: None },
            };
            plan.blocked.push(Blocked::new(&reversal.name, Mode::Exact, None, &first.origin, reason));
        }
    }
    plan.groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    side_doors::check_permissions(desired, current, &mut plan);
    // A removal that is held shows its member to the groups that exclude it, and an addition that is blocked leaves its
    // member without the group.
    loop {
        plan.unread.clear();
        exclusive::check_presence(desired, current, &mut plan);
        if !hold_unrestored(reversals, current, &mut plan) {
            break;
        }
    }
    plan.decide(desired);
    let planned: BTreeSet<GroupId> = plan.groups.iter().map(|group| group.id).collect();
    let is_planned = |name: &GroupName| inputs.id(name).is_some_and(|id| planned.contains(&id));
    judge(&mut plan, &inputs, is_planned);
    plan
}

/// Holds the removals of members whom the plan does not restore to the groups from which the run removed them, and says
/// why if no blocked entry does. Returns whether there was one.
fn hold_unrestored(reversals: &BTreeMap<GroupId, Reversal>, current: &Observed, plan: &mut Plan) -> bool {
    let lost = lost(reversals, current, &plan.groups);
    let mut is_any_held = false;
    for group in &mut plan.groups {
        let held = group.held.len();
        group.hold(|change| Some(lost.get(&change.member.id)?.1.clone()));
        for change in group.held.iter().skip(held) {
            is_any_held = true;
            let Some((from, origin)) = lost.get(&change.member.id) else { continue };
            if plan.blocked.iter().all(|blocked| blocked.origin != **origin) {
                let (who, name, from) = (change.member.person(), group.name.as_str(), from.as_str());
                let message = format!("{who} stays in {name:?}, because this plan does not restore them to {from:?}");
                let help = "undo both groups in one plan, or make the change by hand";
                plan.warnings.push(PlanWarning::new(message, help, Some((*origin).clone())));
            }
        }
    }
    is_any_held
}

/// Everybody whom the run removed from a group, who is not there and whose addition is not planned, with that group and
/// the line that announces the removal.
fn lost<'r>(
    reversals: &'r BTreeMap<GroupId, Reversal>,
    current: &Observed,
    groups: &[GroupPlan],
) -> BTreeMap<MemberId, (&'r GroupName, &'r Origin)> {
    let mut lost = BTreeMap::new();
    for (id, reversal) in reversals {
        let planned = groups.iter().filter(|group| group.id == *id).flat_map(GroupPlan::additions);
        let mut back: BTreeSet<MemberId> = planned.map(|change| change.member.id).collect();
        back.extend(current.memberships.get(id).into_iter().flat_map(|members| members.keys()));
        for (member, attempt) in reversal.attempts.iter().filter(|(id, attempt)| !attempt.added && !back.contains(id)) {
            lost.entry(*member).or_insert((&reversal.name, &attempt.origin));
        }
    }
    lost
}

/// Plans the inverse of a run in a group.
fn reverse(reversal: &Reversal, undoing: &Undoing<'_>, mut planned: GroupPlan, plan: &mut Plan) {
    let mut removals = Vec::new();
    for (member, attempt) in &reversal.attempts {
        if planned.observed.contains_key(member) != attempt.added {
            continue;
        }
        let action = if attempt.added { Action::Remove } else { Action::Add };
        let reason = (!attempt.proven).then(|| UNPROVEN.into());
        let subject = undoing.inputs.people.subject(*member);
        let change = Change { reason, ..Change::new(action, subject, attempt.origin.clone()) };
        if attempt.added {
            removals.push(change);
        } else if let Some((entry, until)) = undoing.ended(*member) {
            let (person, name, origin) = (&entry.person, planned.name.as_str(), &entry.origin);
            let message = format!("{person} is not restored to {name:?}: the access ended at {until} ({origin})");
            let help = "to give the access again, change `until` and apply the files";
            plan.warnings.push(PlanWarning::new(message, help, Some(origin.clone())));
        } else if let Err(reason) = undoing.allows(*member) {
            planned.blocked = 1;
            let person = Some(change.member.person());
            plan.blocked.push(Blocked::new(&planned.name, Mode::Exact, person, &attempt.origin, reason));
        } else {
            planned.changes.push(change);
        }
    }
    if planned.mode == Mode::Additive {
        // Only the members whom the run removed count.
        planned.required = Some(planned.changes.iter().map(|change| change.member.id).collect());
    }
    let waiting = if planned.blocked > 0 { &mut planned.held } else { &mut planned.changes };
    waiting.extend(removals);
    plan.groups.push(GroupPlan { about: About::default(), ..planned });
}

/// What the files say of a group now.
struct Undoing<'a> {
    group: Option<&'a DesiredGroup>,
    inputs: &'a Inputs<'a>,
}

impl Undoing<'_> {
    /// Whether the member may be restored by the rules of the group. A membership without an entry has no end and no
    /// reason, and nothing would end it, so it is not restored where the group requires one of them.
    fn allows(&self, member: MemberId) -> Result<(), BlockedReason> {
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
