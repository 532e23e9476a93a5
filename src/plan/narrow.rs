//! `--only-changed`: a plan of what the change under review asks for, and of nothing else.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::blocked::{Blocked, BlockedReason};
use super::change::{Asked, AskedGroup, Entries, Says, TouchedGroup, times_in};
use super::compare::Compared;
use super::contents::{Action, Change, GroupPlan, LeftOutKind};
use super::located::Located;
use super::people::People;
use super::standing::Standing;
use super::tip;
use crate::model::typos::{self, Texts, local_part, written};
use crate::model::{Desired, DesiredMember, GroupId, GroupName, MemberId, Mode, Observed, Origin};

/// Everything that decides which part of a comparison stays.
#[derive(Clone, Copy)]
pub(super) struct Narrowing<'a> {
    pub asked: &'a Asked<'a>,
    pub desired: &'a Desired,
    pub current: &'a Observed,
    /// All groups that the command line allows, also those that are not compared.
    pub located: &'a BTreeMap<GroupName, Located>,
    pub people: &'a People<'a>,
    /// The newest files, which decide what a removal waits for.
    pub tip: Option<&'a Desired>,
    pub time: Timestamp,
}

impl Narrowing<'_> {
    /// Whether a group is compared: if the change asks something of it, or if it was read for another reason.
    pub fn compares(self, name: &GroupName, found: &Located) -> bool {
        let is_read =
            |id: &GroupId| self.current.memberships.contains_key(id) || self.current.unreadable.contains_key(id);
        // A group that is only observed now is read to see whom the change lets go.
        let is_let_go = self.asked.group(name).is_some_and(|group| !group.is_written());
        self.asked.concerns(name) || (!is_let_go && found.as_ref().is_ok_and(is_read)) || found.is_err()
    }

    /// Keeps what the change asks for. The other differences of its groups are left alone. Returns the groups that must
    /// be read first.
    pub fn narrow(self, compared: &mut Compared) -> BTreeSet<GroupId> {
        for group in &mut compared.groups {
            if let Some(asked) = self.asked.group(&group.name) {
                self.split(group, asked);
            }
        }
        compared.groups.retain(|group| self.asked.concerns(&group.name));
        self.drop_unrelated_blocks(compared);
        self.keep_access(compared)
    }

    fn split(self, group: &mut GroupPlan, asked: &AskedGroup<'_>) {
        let is_asked = |member: MemberId| asked.touches(&asked.entries(self.people.texts(member)));
        let (changes, others) = std::mem::take(&mut group.changes).into_iter().partition(|it| is_asked(it.member.id));
        let (held, held_others): (Vec<_>, Vec<_>) =
            std::mem::take(&mut group.held).into_iter().partition(|it| is_asked(it.member.id));
        (group.changes, group.held, group.left_alone) = (changes, held, others);
        group.left_alone.extend(held_others);
        group.left_out = !group.left_alone.is_empty();
        group.required.get_or_insert_default().retain(|member| is_asked(*member));
        let named = asked.touched().flat_map(|(_, entries)| entries.base.iter().chain(&entries.head));
        let members: BTreeSet<MemberId> = named.filter_map(|entry| self.people.resolve(&entry.person).ok()).collect();
        let leaves = |member: &MemberId| {
            let entries = asked.entries(self.people.texts(*member));
            asked.touches(&entries) && asked.says(&entries, self.time) == Says::Out
        };
        group.barred = members.into_iter().filter(leaves).collect();
    }

    /// Drops the blocked entries and groups that the change does not touch and that hold nothing of it.
    fn drop_unrelated_blocks(self, compared: &mut Compared) {
        let held = || compared.groups.iter().flat_map(|group| group.held.iter().map(move |change| (group, change)));
        let holders: BTreeSet<Origin> = held().filter_map(|(_, change)| change.held_by.clone()).collect();
        let holding: BTreeSet<GroupName> = held().map(|(group, _)| group.name.clone()).collect();
        // An ended entry removes its member also beside an unknown one. Look it up first: it may be that member.
        let ends = compared.groups.iter().flat_map(GroupPlan::removals).any(|change| change.expired.is_some());
        let is_open = |blocked: &Blocked| {
            ends && !self.current.knows_everybody && matches!(blocked.reason, BlockedReason::UnknownPerson { .. })
        };
        compared.blocked.retain(|blocked| {
            let asked = self.asked.group(&blocked.group);
            match &blocked.entry {
                _ if is_open(blocked) => true,
                None => {
                    let members = self.desired.groups.get(&blocked.group).map(|group| &group.members);
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

    /// A removal waits while the files have the person in another group, no reading shows them there, and this run
    /// does not add them. Access that has ended waits for nothing.
    fn keep_access(self, compared: &mut Compared) -> BTreeSet<GroupId> {
        let changes = compared.groups.iter().flat_map(|group| &group.changes);
        let leaving: Vec<&Change> = changes.filter(|change| change.action == Action::Remove).collect();
        let texts = || leaving.iter().flat_map(|it| self.people.texts(it.member.id).map(move |text| (text, *it)));
        let undeclared = texts().filter(|(_, change)| Standing::of_change(change) == Standing::Undeclared);
        let names: BTreeMap<&str, MemberId> = undeclared.map(|(text, change)| (text, change.member.id)).collect();
        // An entry elsewhere that may mean somebody holds the removal, also of access that has ended.
        let near = Texts::new(texts().map(|(text, _)| (text, ())));
        let locals: BTreeSet<Cow<'_, str>> = texts().filter_map(|(text, _)| local_part(text)).collect();
        let may_leave = |text: &str| {
            near.any_near(text, |_| typos::tolerance(text)).is_some()
                || local_part(text).is_some_and(|local| locals.contains(&*local))
        };
        let joins: BTreeSet<(&GroupName, MemberId)> = compared
            .groups
            .iter()
            .flat_map(|group| group.additions().map(move |change| (&group.name, change.member.id)))
            .collect();
        let mut unread = BTreeSet::new();
        let mut waiting: BTreeMap<MemberId, (&GroupName, &Origin)> = BTreeMap::new();
        let groups = self.desired.groups.iter().filter(|(_, group)| !leaving.is_empty() && group.mode != Mode::Observe);
        for (name, group) in groups {
            let Some(Ok(id)) = self.located.get(name) else { continue };
            let members = self.current.memberships.get(id);
            if members.is_none() && self.current.unreadable.contains_key(id) {
                continue;
            }
            let newest = self.tip.map(|tip| tip::group_at(tip, name, Some(*id)));
            let is_kept = |entry: &DesiredMember| tip::holds(newest, entry, self.time);
            let entries = group.members.iter().filter(|entry| entry.belongs_at(self.time) && is_kept(entry));
            for entry in entries {
                let text = written(&entry.person);
                let may_mean = || members.is_none() && !self.people.knows(&entry.person) && may_leave(text);
                match names.get(text) {
                    Some(member) if joins.contains(&(name, *member)) => {}
                    Some(member) if members.is_some_and(|members| members.contains_key(member)) => {}
                    Some(member) => {
                        waiting.entry(*member).or_insert((name, &entry.origin));
                        unread.extend(members.is_none().then_some(*id));
                    }
                    None => unread.extend(may_mean().then_some(*id)),
                }
            }
        }
        for group in &mut compared.groups {
            let mut left = group.leave_out_for(LeftOutKind::Waits, |change| {
                let (name, origin) =
                    waiting.get(&change.member.id).filter(|_| Standing::of_change(change) == Standing::Undeclared)?;
                Some((format!("declared in {} at {origin}, and not there yet", name.as_str()), None))
            });
            left.sort_by_key(|left| left.change.member.id);
            compared.left_out.extend(left);
        }
        unread
    }

    pub fn touched(self, groups: &[GroupPlan]) -> Vec<TouchedGroup> {
        let planned: BTreeMap<&GroupName, &GroupPlan> = groups.iter().map(|group| (&group.name, group)).collect();
        let named = self.asked.groups().filter(|(name, _)| self.located.contains_key(*name));
        let touched = named.map(|(name, asked)| {
            let times = |entries: &Entries<'_>| times_in(asked.head, &entries.head);
            let mut memberships: BTreeMap<String, _> =
                asked.touched().map(|(text, entries)| (text.to_owned(), times(entries))).collect();
            // Of a group that becomes exact, the members whom nobody declared leave.
            let strangers = planned.get(name).filter(|it| asked.touches_unnamed() && it.mode == Mode::Exact);
            for member in strangers.iter().flat_map(|group| group.observed.keys()) {
                let entries = asked.entries(self.people.texts(*member));
                if entries.base.is_empty() && entries.head.is_empty() {
                    memberships.insert(member.to_string(), Vec::new());
                }
            }
            let id = self.located.get(name).and_then(|located| located.as_ref().ok()).copied();
            TouchedGroup { id, name: name.clone(), memberships }
        });
        touched.collect()
    }
}
