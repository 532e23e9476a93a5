//! What a change of the files does after the time of the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocked::Blocked;
use super::change::{Asked, AskedGroup, Entries, Says, times_in};
use super::contents::{Plan, PlanWarning};
use super::inputs::{Inputs, locate_groups};
use crate::model::{
    DesiredMember, GroupId, GroupName, Membership, Mode, Origin, PersonRef, RosterUse, Window, first_day, last_day,
};

/// What a change does to a membership after the time of the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Later {
    pub group: GroupName,
    pub person: PersonRef,
    pub what: LaterKind,
    /// The end before the change, or the beginning of a membership; as written in a file. Null for none.
    pub from: Option<String>,
    /// The end after the change, or the end of a membership; as written in a file. Null for none.
    pub to: Option<String>,
    pub origin: Origin,
    /// The rosters from the group's list to the entry, outermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Arc<[RosterUse]>>,
    /// Of `let_go`: the group's mode after the change; missing if no file declares the group any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LaterKind {
    EndAdded,
    EndRemoved,
    EndMoved,
    JoinsLater,
    /// A membership that would have begun later no longer does.
    JoinRemoved,
    /// The entry has ended already, so it does nothing.
    AlreadyOver,
    /// A member stays whom the files named or excluded before, and leave to others now.
    LetGo,
}

/// Adds what the change does later, with the people who join later and cannot be found now. These blocked
/// entries hold no removal.
pub(super) fn look_ahead(inputs: &Inputs<'_>, asked: &Asked<'_>, plan: &mut Plan) {
    let (current, people) = (inputs.current, &inputs.people);
    let is_dropped = |name: &GroupName| asked.get(name).is_some_and(|group| group.head.is_none());
    let base = inputs.policy.base.as_deref();
    let dropped = base.map(|base| locate_groups(base, current, is_dropped)).unwrap_or_default();
    // A group that is declared under another name now is not dropped.
    let managed: BTreeSet<&GroupId> = inputs.located.values().filter_map(|found| found.as_ref().ok()).collect();
    for (name, group) in asked.iter().filter(|(name, _)| inputs.policy.names(name)) {
        let dropped = || dropped.get(name)?.as_ref().ok().filter(|id| !managed.contains(id)).copied();
        let id = inputs.id(name).or_else(dropped);
        let present = id.and_then(|id| current.memberships.get(&id));
        let mut seen = BTreeSet::new();
        for (_, entries) in group.touched() {
            let Some(first) = entries.head.first().or(entries.base.first()) else { continue };
            let member = people.resolve(&first.person).ok();
            // A member may be named by the address before and by the id afterwards.
            let all = member.map(|id| group.entries(people.texts(id)));
            let entries = all.as_ref().unwrap_or(entries);
            if member.is_none_or(|id| seen.insert(id)) && group.touches(entries) {
                let is_there = present.zip(member).is_some_and(|(present, id)| present.contains_key(&id));
                plan.later.extend(later(name, group, entries, is_there, inputs.time));
            }
        }
        match (id, present) {
            (_, Some(present)) => let_go(name, present, group, inputs, plan),
            (Some(id), None) if !current.unreadable.contains_key(&id) => drop(plan.unread.insert(id)),
            (_, None) => {}
        }
    }
    let joining = plan.later.iter().filter(|later| later.what == LaterKind::JoinsLater);
    plan.blocked.extend(joining.filter_map(|later| {
        let reason = people.resolve(&later.person).err()?;
        Some(Blocked::new(&later.group, Mode::Exact, Some(later.person.clone()), &later.origin, reason))
    }));
}

fn later(
    group: &GroupName,
    asked: &AskedGroup<'_>,
    entries: &Entries<'_>,
    is_there: bool,
    time: Timestamp,
) -> Vec<Later> {
    let row = |what, from, until: Option<Timestamp>, by: &DesiredMember| Later {
        group: group.clone(),
        person: by.person.clone(),
        what,
        from,
        to: until.map(last_day),
        origin: by.origin.clone(),
        via: by.via.clone(),
        mode: None,
    };
    let lasts = |window: &Window| window.until.is_none_or(|until| until > time);
    let before: Vec<Window> = times_in(asked.base, &entries.base).into_iter().filter(lasts).collect();
    let after: Vec<Window> = times_in(asked.head, &entries.head).into_iter().filter(lasts).collect();
    let begins_later = |window: &Window| window.from > Some(time);
    // Whenever two memberships of now began, they are the same one.
    let start = |window: &Window| window.from.max(Some(time));
    let mut rows = Vec::new();
    for new in &after {
        let (what, from) = match before.iter().find(|old| start(old) == start(new)) {
            Some(old) if old.until == new.until => continue,
            Some(Window { until: None, .. }) => (LaterKind::EndAdded, None),
            Some(old) if new.until.is_none() => (LaterKind::EndRemoved, old.until.map(last_day)),
            Some(old) => (LaterKind::EndMoved, old.until.map(last_day)),
            None if begins_later(new) => (LaterKind::JoinsLater, new.from.map(first_day)),
            None => continue,
        };
        let by = first_or(&entries.head, |entry| match what {
            LaterKind::JoinsLater => entry.from() == new.from,
            _ => entry.until() == new.until,
        });
        rows.extend(by.map(|by| row(what, from, new.until, by)));
    }
    if !after.is_empty() {
        return rows;
    }
    for old in before.iter().filter(|old| begins_later(old)) {
        let by = first_or(&entries.base, |entry| entry.from() == old.from);
        rows.extend(by.map(|by| row(LaterKind::JoinRemoved, old.from.map(first_day), old.until, by)));
    }
    // An entry that is over does something if it ends the access of somebody who is there.
    if !is_there && before.iter().all(begins_later) {
        let is_new = |entry: &DesiredMember| !entries.base.iter().any(|old| old.window() == entry.window());
        for entry in entries.head.iter().filter(|entry| entry.has_ended(time) && is_new(entry)) {
            rows.push(row(LaterKind::AlreadyOver, entry.from().map(first_day), entry.until(), entry));
        }
    }
    rows
}

/// The entry that decides, or the first one.
fn first_or<'d>(entries: &[&'d DesiredMember], decides: impl Fn(&DesiredMember) -> bool) -> Option<&'d DesiredMember> {
    entries.iter().find(|entry| decides(entry)).or(entries.first()).copied()
}

/// Members whom the files named or excluded before, and leave to others now.
fn let_go(name: &GroupName, present: &Membership, asked: &AskedGroup<'_>, inputs: &Inputs<'_>, plan: &mut Plan) {
    let Some(list) = asked.head.or(asked.base).map(|group| &group.members_origin) else { return };
    let mut present: Vec<_> = present.values().collect();
    present.sort_by_cached_key(|member| (member.email.clone(), member.id));
    for member in present {
        let entries = asked.entries(inputs.people.texts(member.id));
        let was = asked.said(&entries, inputs.time);
        if was == Says::Free || asked.says(&entries, inputs.time) != Says::Free {
            continue;
        }
        let person = member.person();
        let ended = entries.base.iter().filter(|entry| entry.has_ended(inputs.time)).max_by_key(|entry| entry.until());
        if let Some(entry) = ended.filter(|_| was == Says::Out) {
            let (group, origin) = (name.as_str(), &entry.origin);
            let why = if asked.is_written() { "is gone" } else { "no longer counts" };
            let message = format!(
                "{person} stays in {group}: the entry that ended the access ({origin}) {why}, and nobody has removed \
                 {person} yet"
            );
            let help = "keep the entry until the access has been removed";
            plan.warnings.push(PlanWarning::new(message, help, Some(list.clone())));
        }
        plan.later.push(Later {
            group: name.clone(),
            person,
            what: LaterKind::LetGo,
            from: None,
            to: None,
            origin: entries.base.first().map_or(list, |entry| &entry.origin).clone(),
            via: None,
            mode: asked.head.map(|head| head.mode),
        });
    }
}
