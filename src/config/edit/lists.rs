//! The lists of all files: groups and rosters, and which rosters lead to which groups.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use crate::config::entry::{Entry, PersonOrRoster};
use crate::config::file::{Declared, DeclaredGroup, DeclaredList};
use crate::config::problem::quoted;
use crate::model::typos::{Texts, tolerance, written};
use crate::model::{DesiredGroup, GroupName, Mode, Origin, PersonRef, Position, Window};

/// The name of a list: a group or a roster; a group whose owners are listed, or a setting.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ListName {
    Group(GroupName),
    Roster(Arc<str>),
    Owners(GroupName),
    Setting(Arc<str>),
}

impl ListName {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Group(name) | Self::Owners(name) => name.as_str(),
            Self::Roster(name) | Self::Setting(name) => name,
        }
    }

    /// The keys that lead to the list in a file.
    pub(super) fn path(&self) -> Vec<&str> {
        match self {
            Self::Group(name) => vec!["groups", name.as_str(), "members"],
            Self::Owners(name) => vec!["groups", name.as_str(), "owners"],
            Self::Roster(name) => vec!["rosters", name],
            Self::Setting(name) => vec!["settings", name],
        }
    }
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self {
            Self::Group(_) => "group ",
            Self::Roster(_) => "roster ",
            Self::Owners(_) => "the owners of group ",
            Self::Setting(_) => "setting ",
        };
        write!(f, "{kind}{}", quoted(self.as_str()))
    }
}

pub(super) struct List<'d> {
    pub index: usize,
    pub name: ListName,
    /// The group without its members; `None` for other lists.
    pub group: Option<&'d DesiredGroup>,
    pub file: usize,
    pub key: &'d Origin,
    pub entries: &'d [Entry],
    /// The rosters that this list uses, also through other rosters.
    rosters: BTreeSet<usize>,
}

impl<'d> List<'d> {
    pub fn mode(&self) -> Option<Mode> {
        self.group.map(|group| group.mode)
    }

    /// Whether its people belong to groups: the list of a group or a roster.
    pub fn is_membership(&self) -> bool {
        matches!(self.name, ListName::Group(_) | ListName::Roster(_))
    }

    pub fn origin(&self, at: Position) -> Origin {
        Origin::new(&self.key.file, at)
    }

    /// Whether it is this list, or uses it.
    pub fn draws_on(&self, list: usize) -> bool {
        self.index == list || self.rosters.contains(&list)
    }

    pub fn people<'l>(&'l self) -> impl Iterator<Item = Found<'l>> + use<'l, 'd> {
        self.entries.iter().enumerate().filter_map(|(index, entry)| {
            Some(Found { list: self, index, entry, person: entry.person()?, window: entry.window() })
        })
    }

    pub fn own(&self, person: &PersonRef) -> Option<Found<'_>> {
        self.people().find(|found| found.person == person)
    }
}

/// An entry for a person: its list and its index there, and the time that it gives in the list that was searched.
#[derive(Clone, Copy)]
pub(super) struct Found<'d> {
    pub list: &'d List<'d>,
    pub index: usize,
    pub entry: &'d Entry,
    pub person: &'d PersonRef,
    pub window: Window,
}

impl Found<'_> {
    pub fn origin(&self) -> Origin {
        self.list.origin(self.entry.at)
    }
}

pub(super) struct Lists<'d> {
    /// In the order of the files and of their lines.
    pub all: Vec<List<'d>>,
    by_name: BTreeMap<ListName, usize>,
}

impl<'d> Lists<'d> {
    pub fn new(declared: &'d [Declared]) -> Self {
        let mut all: Vec<List<'d>> = declared.iter().enumerate().flat_map(of_file).collect();
        all.sort_by_key(|list| (list.file, list.key.position()));
        all.iter_mut().enumerate().for_each(|(index, list)| list.index = index);
        let by_name = all.iter().map(|list| (list.name.clone(), list.index)).collect();
        let mut lists = Self { all, by_name };
        let rosters_of = |list| lists.nested(list).into_iter().map(|(roster, _)| roster.index).collect();
        let rosters: Vec<BTreeSet<usize>> = lists.all.iter().map(rosters_of).collect();
        lists.all.iter_mut().zip(rosters).for_each(|(list, rosters)| list.rosters = rosters);
        lists
    }

    pub fn memberships(&self) -> impl Iterator<Item = &List<'d>> {
        self.all.iter().filter(|list| list.is_membership())
    }

    pub fn find(&self, name: &ListName) -> Option<&List<'d>> {
        self.all.get(*self.by_name.get(name)?)
    }

    /// These lists, and the rosters that they use.
    pub fn with_rosters(&self, lists: &[&List<'d>]) -> impl Iterator<Item = &List<'d>> {
        let indexes: BTreeSet<usize> =
            lists.iter().flat_map(|list| list.rosters.iter().chain([&list.index])).copied().collect();
        indexes.into_iter().filter_map(|index| self.all.get(index))
    }

    /// The groups whose members this list contributes to: itself, or those that use the roster.
    pub fn groups_of(&self, list: usize) -> impl Iterator<Item = &List<'d>> {
        self.all.iter().filter(move |other| other.group.is_some() && other.draws_on(list))
    }

    /// Whether an entry of this list is needed to end a membership of an additive group.
    pub fn ends_additive(&self, list: &List<'_>) -> bool {
        self.groups_of(list.index).any(|group| group.mode() == Some(Mode::Additive))
    }

    /// The rosters that a list uses, directly or through other rosters, each with the time for which it does.
    pub fn nested(&self, list: &List<'d>) -> Vec<(&List<'d>, Window)> {
        let mut nested = Vec::new();
        for entry in list.entries {
            let PersonOrRoster::Roster(name) = &entry.who else { continue };
            let Some(roster) = self.find(&ListName::Roster(Arc::clone(name))) else { continue };
            let window = entry.window();
            nested.push((roster, window));
            nested.extend(self.nested(roster).into_iter().map(|(roster, inner)| (roster, inner.within(window))));
        }
        nested
    }

    /// A person's entries in the rosters that a list uses, each with the time that it gives in the list.
    pub fn through_rosters(&self, list: &List<'d>, person: &PersonRef) -> Vec<Found<'_>> {
        let mut found: Vec<Found<'_>> = Vec::new();
        for (roster, outer) in self.nested(list) {
            let Some(own) = roster.own(person) else { continue };
            let window = own.window.within(outer);
            let is_known = |other: &Found<'_>| (other.list.index, other.window) == (roster.index, window);
            if !window.is_empty() && !found.iter().any(is_known) {
                found.push(Found { window, ..own });
            }
        }
        found
    }
}

/// The known person from whom this unknown one differs by no more than a typo.
pub(super) fn meant<'d>(unknown: &PersonRef, lists: impl Iterator<Item = &'d List<'d>>) -> Option<&'d PersonRef> {
    let known: BTreeSet<&PersonRef> = lists.flat_map(List::people).map(|found| found.person).collect();
    let mut texts = Texts::new(known.into_iter().map(|person| (written(person), person)));
    let near = texts.nearest(written(unknown), tolerance(written(unknown)));
    near.first().map(|(_, _, person)| *person)
}

fn of_file<'d>((file, declared): (usize, &'d Declared)) -> Vec<List<'d>> {
    let mut lists = Vec::new();
    let mut add = |name, group, key: &'d Origin, entries: &'d [Entry]| {
        lists.push(List { index: 0, name, group, file, key, entries, rosters: BTreeSet::new() });
    };
    for DeclaredList { name, origin, entries } in &declared.rosters {
        add(ListName::Roster(Arc::clone(name)), None, origin, entries);
    }
    if let Some(DeclaredList { name, origin, entries }) = &declared.protected {
        add(ListName::Setting(Arc::clone(name)), None, origin, entries);
    }
    for DeclaredGroup { name, group, entries, owners } in &declared.groups {
        add(ListName::Group(name.clone()), Some(group), &group.members_origin, entries);
        if let Some(DeclaredList { origin, entries, .. }) = owners {
            add(ListName::Owners(name.clone()), None, origin, entries);
        }
    }
    lists
}

/// Whether the windows together cover this one completely.
pub(super) fn cover(windows: &mut [Window], wanted: Window) -> bool {
    windows.sort_by_key(|window| window.from);
    // `None` means no beginning here, and no end below.
    let mut from = wanted.from;
    for window in windows {
        if window.from > from {
            return false;
        }
        match window.until {
            None => return true,
            Some(until) => from = from.max(Some(until)),
        }
        if wanted.until.is_some_and(|until| from >= Some(until)) {
            return true;
        }
    }
    false
}

/// Whether a membership ends at or before this time.
pub(super) fn has_ended(window: Window, time: Timestamp) -> bool {
    window.until.is_some_and(|until| until <= time)
}
