//! What a change of the files does after the time of the plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Policy;
use super::blocked::Blocked;
use super::change::{Asked, AskedGroup, Entries, Says, times_in};
use super::contents::PlanWarning;
use super::located::{Located, locate_groups};
use super::people::{People, Similar};
use crate::model::{
    DesiredMember, GroupId, GroupName, Membership, Mode, Observed, Origin, PersonRef, RosterUse, Window, first_day,
    last_day,
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

/// The later changes, and what a reader must do about them.
#[derive(Default)]
pub(super) struct Outlook {
    pub later: Vec<Later>,
    /// People who join later and cannot be found now. They hold nothing.
    pub blocked: Vec<Blocked>,
    pub warnings: Vec<PlanWarning>,
    /// Groups to read, to know whom the change lets go.
    pub unread: BTreeSet<GroupId>,
}

impl Outlook {
    /// `located` has all declared groups that the command line allows.
    pub fn of(
        asked: &Asked<'_>,
        located: &BTreeMap<GroupName, Located>,
        current: &Observed,
        people: &People<'_>,
        policy: &Policy,
        time: Timestamp,
    ) -> Self {
        let (mut outlook, mut similar) = (Self::default(), Similar::new(people));
        let base = policy.base.as_deref();
        let is_dropped = |name: &GroupName| asked.group(name).is_some_and(|group| group.head.is_none());
        let dropped = base.map(|base| locate_groups(base, current, is_dropped)).unwrap_or_default();
        // A group that is declared under another name now is not dropped.
        let managed: BTreeSet<GroupId> = located.values().filter_map(|found| found.as_ref().ok()).copied().collect();
        for (name, group) in asked.groups().filter(|(name, _)| policy.names(name)) {
            let dropped = || dropped.get(name)?.as_ref().ok().filter(|id| !managed.contains(id));
            let id = located.get(name).and_then(|found| found.as_ref().ok()).or_else(dropped);
            let present = id.and_then(|id| current.memberships.get(id));
            let mut seen = BTreeSet::new();
            for (_, entries) in group.touched() {
                let Some(first) = entries.head.first().or(entries.base.first()) else { continue };
                let member = people.resolve(&first.person).ok();
                // A member may be named by the address before and by the id afterwards.
                let all = member.map(|id| group.entries(people.texts(id)));
                let entries = all.as_ref().unwrap_or(entries);
                if member.is_none_or(|id| seen.insert(id)) && group.touches(entries) {
                    let is_there = present.zip(member).is_some_and(|(present, id)| present.contains_key(&id));
                    outlook.compare(name, group, entries, is_there, time);
                }
            }
            match (id, present) {
                (_, Some(present)) => outlook.let_go(name, present, group, people, time),
                (Some(id), None) if !current.unreadable.contains_key(id) => drop(outlook.unread.insert(*id)),
                (_, None) => {}
            }
        }
        let joining = outlook.later.iter().filter(|later| later.what == LaterKind::JoinsLater);
        outlook.blocked = joining.filter_map(|later| unknown(later, people, &mut similar)).collect();
        outlook
    }

    fn compare(
        &mut self,
        group: &GroupName,
        asked: &AskedGroup<'_>,
        entries: &Entries<'_>,
        is_there: bool,
        time: Timestamp,
    ) {
        let (before, after) = (times_in(asked.base, &entries.base), times_in(asked.head, &entries.head));
        let now = |windows: &[Window]| windows.iter().find(|window| window.contains(time)).copied();
        let begins = |window: &&Window| window.from.is_some_and(|from| from > time);
        let row = |what, from, to, origin: &DesiredMember| Later {
            group: group.clone(),
            person: origin.person.clone(),
            what,
            from,
            to,
            origin: origin.origin.clone(),
            via: origin.via.clone(),
            mode: None,
        };
        let ending = |old: Window, new: Window| {
            let what = match (old.until, new.until) {
                (old, new) if old == new => return None,
                (None, _) => LaterKind::EndAdded,
                (_, None) => LaterKind::EndRemoved,
                _ => LaterKind::EndMoved,
            };
            let by = entries.head.iter().find(|entry| entry.until() == new.until).or(entries.head.first())?;
            Some(row(what, old.until.map(last_day), new.until.map(last_day), by))
        };
        let (is_in, was_in) = (now(&after), now(&before));
        self.later.extend(was_in.zip(is_in).and_then(|(old, new)| ending(old, new)));
        for new in after.iter().filter(begins) {
            match before.iter().find(|old| old.from == new.from) {
                Some(old) => self.later.extend(ending(*old, *new)),
                None => {
                    let by = entries.head.iter().find(|entry| entry.from() == new.from).or(entries.head.first());
                    let (from, to) = (new.from.map(first_day), new.until.map(last_day));
                    self.later.extend(by.map(|by| row(LaterKind::JoinsLater, from, to, by)));
                }
            }
        }
        if is_in.is_some() || after.iter().any(|window| begins(&window)) {
            return;
        }
        for old in before.iter().filter(begins) {
            let (from, to) = (old.from.map(first_day), old.until.map(last_day));
            let by = entries.base.iter().find(|entry| entry.from() == old.from).or(entries.base.first());
            self.later.extend(by.map(|by| row(LaterKind::JoinRemoved, from, to, by)));
        }
        // An entry that is over does something if it ends the access of somebody who is there.
        let is_new = |entry: &&&DesiredMember| {
            let same = |old: &&DesiredMember| (old.from(), old.until()) == (entry.from(), entry.until());
            entry.until().is_some_and(|until| until <= time) && !entries.base.iter().any(same)
        };
        for entry in entries.head.iter().filter(is_new).filter(|_| was_in.is_none() && !is_there) {
            let (from, to) = (entry.from().map(first_day), entry.until().map(last_day));
            self.later.push(row(LaterKind::AlreadyOver, from, to, entry));
        }
    }

    /// Members whom the files named or excluded before, and leave to others now.
    fn let_go(
        &mut self,
        name: &GroupName,
        present: &Membership,
        asked: &AskedGroup<'_>,
        people: &People<'_>,
        time: Timestamp,
    ) {
        let Some(list) = asked.head.or(asked.base).map(|group| &group.members_origin) else { return };
        let mut present: Vec<_> = present.iter().collect();
        present.sort_by_cached_key(|(id, member)| (member.email.clone(), **id));
        for (id, member) in present {
            let entries = asked.entries(people.texts(*id));
            let was = asked.said(&entries, time);
            if was == Says::Free || asked.says(&entries, time) != Says::Free {
                continue;
            }
            let ended = entries
                .base
                .iter()
                .filter(|entry| entry.until().is_some_and(|until| until <= time))
                .max_by_key(|entry| entry.until());
            let origin = entries.base.first().map_or(list, |entry| &entry.origin).clone();
            let person = member.person();
            if let Some(entry) = ended.filter(|_| was == Says::Out) {
                let (group, origin) = (name.as_str(), &entry.origin);
                let why = if asked.is_written() { "is gone" } else { "no longer counts" };
                let message = format!(
                    "{person} stays in {group}: the entry that ended the access ({origin}) {why}, and nobody has removed \
                     {person} yet"
                );
                let help = "keep the entry until the access has been removed";
                self.warnings.push(PlanWarning::new(message, help, Some(list.clone())));
            }
            self.later.push(Later {
                group: name.clone(),
                person,
                what: LaterKind::LetGo,
                from: None,
                to: None,
                origin,
                via: None,
                mode: asked.head.map(|head| head.mode),
            });
        }
    }
}

/// Why somebody who joins later cannot be found in the account now.
fn unknown(later: &Later, people: &People<'_>, similar: &mut Similar<'_, '_>) -> Option<Blocked> {
    let reason = people.resolve(&later.person).err()?;
    let reason = similar.suggest(&later.person, reason);
    Some(Blocked::new(later.group.clone(), Some(later.person.clone()), later.origin.clone(), reason))
}
