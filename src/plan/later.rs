//! What a change of the files does after the time of the plan.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocked::Blocked;
use super::change::{Asked, AskedGroup, Entries, Says, times_in};
use super::contents::{GroupPlan, PlanWarning};
use super::people::{People, Similar};
use crate::model::{DesiredMember, GroupName, Mode, Origin, PersonRef, RosterUse, Window, first_day, last_day};

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
}

impl Outlook {
    pub fn of(asked: &Asked<'_>, groups: &[GroupPlan], people: &People<'_>, time: Timestamp) -> Self {
        let (mut outlook, mut similar) = (Self::default(), Similar::new(people));
        for (name, group) in asked.groups().filter(|(_, group)| group.head.mode != Mode::Observe) {
            let mut seen = BTreeSet::new();
            let planned = groups.iter().find(|planned| planned.name == *name);
            for (_, entries) in group.touched() {
                let Some(first) = entries.head.first().or(entries.base.first()) else { continue };
                let member = people.resolve(&first.person).ok();
                // A member may be named by the address before and by the id afterwards.
                let all = member.map(|id| group.entries(people.texts(id)));
                let entries = all.as_ref().unwrap_or(entries);
                if member.is_none_or(|id| seen.insert(id)) && group.touches(entries) {
                    let is_there = planned.zip(member).is_some_and(|(planned, id)| planned.observed.contains_key(&id));
                    outlook.compare(name, group, entries, is_there, time);
                }
            }
            planned.into_iter().for_each(|planned| outlook.let_go(planned, group, people, time));
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
        let (before, after) = (times_in(asked.base, &entries.base), times_in(Some(asked.head), &entries.head));
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
        let has_time = is_in.is_some() || after.iter().any(|window| begins(&window));
        if has_time {
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
    fn let_go(&mut self, planned: &GroupPlan, asked: &AskedGroup<'_>, people: &People<'_>, time: Timestamp) {
        let name = &planned.name;
        for (id, member) in planned.observed.iter() {
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
            let origin = entries.base.first().map_or(&asked.head.members_origin, |entry| &entry.origin).clone();
            let person = member.person();
            if let Some(entry) = ended.filter(|_| was == Says::Out) {
                let message = format!(
                    "{person} stays in {}: the entry that ended the access ({}) is gone, and nobody has removed \
                     {person} yet",
                    name.as_str(),
                    entry.origin
                );
                let help = "keep the entry until the access has been removed";
                self.warnings.push(PlanWarning::new(message, help, Some(asked.head.members_origin.clone())));
            }
            self.later.push(Later {
                group: name.clone(),
                person,
                what: LaterKind::LetGo,
                from: None,
                to: None,
                origin,
                via: None,
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
