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
use crate::model::{DesiredGroup, GroupName, Mode, Origin, PersonRef, Position, Terms, Window};

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
    /// The list in the words of a command line.
    pub(super) fn words(&self) -> Vec<&str> {
        match self {
            Self::Roster(name) => vec!["--roster", name],
            _ => vec![self.as_str()],
        }
    }

    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Group(name) | Self::Owners(name) => name.as_str(),
            Self::Roster(name) | Self::Setting(name) => name,
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

/// The known person from whom this unknown one differs by no more than a typo.
pub(super) fn meant<'d>(unknown: &PersonRef, known: impl Iterator<Item = &'d PersonRef>) -> Option<&'d PersonRef> {
    let known: BTreeSet<&PersonRef> = known.collect();
    let mut texts = Texts::new(known.into_iter().map(|person| (written(person), person)));
    let near = texts.nearest(written(unknown), tolerance(written(unknown)));
    near.first().map(|(_, _, person)| *person)
}

pub(super) struct List<'d> {
    pub name: ListName,
    /// The group without its members; `None` for other lists.
    pub group: Option<&'d DesiredGroup>,
    pub path: &'d Arc<str>,
    pub file: usize,
    pub key: Position,
    pub entries: &'d [Entry],
    /// The rosters that this list uses, also through other rosters.
    pub reach: BTreeSet<usize>,
}

impl List<'_> {
    pub fn mode(&self) -> Option<Mode> {
        self.group.map(|group| group.mode)
    }

    /// Whether its people belong to groups: the list of a group or a roster.
    pub fn is_membership(&self) -> bool {
        matches!(self.name, ListName::Group(_) | ListName::Roster(_))
    }

    pub fn origin(&self, at: Position) -> Origin {
        Origin::new(self.path, at)
    }
}

/// An entry for a person: its list and its index there, and the time that it gives in the list that was searched.
#[derive(Clone, Copy)]
pub(super) struct Found<'d> {
    pub list: usize,
    pub index: usize,
    pub entry: &'d Entry,
    pub window: Window,
}

pub(super) struct Lists<'d> {
    /// In the order of the files and of their lines.
    pub all: Vec<List<'d>>,
    by_name: BTreeMap<ListName, usize>,
    additive: BTreeSet<usize>,
}

impl<'d> Lists<'d> {
    pub fn new(declared: &'d [Declared]) -> Self {
        let mut all: Vec<List<'d>> = declared.iter().enumerate().flat_map(of_file).collect();
        all.sort_by_key(|list| (list.file, list.key));
        let by_name: BTreeMap<_, _> = all.iter().enumerate().map(|(index, list)| (list.name.clone(), index)).collect();
        let mut lists = Self { all, by_name, additive: BTreeSet::new() };
        let reaches: Vec<BTreeSet<usize>> = (0..lists.all.len()).map(|index| lists.reach(index)).collect();
        for (list, reach) in lists.all.iter_mut().zip(reaches) {
            list.reach = reach;
        }
        let additive = lists.all.iter().filter(|list| list.mode() == Some(Mode::Additive));
        lists.additive = additive.flat_map(|list| list.reach.iter().copied()).collect();
        lists
    }

    #[expect(clippy::indexing_slicing, reason = "every index comes from this list of lists")]
    pub fn get(&self, index: usize) -> &List<'d> {
        &self.all[index]
    }

    pub fn memberships(&self) -> impl Iterator<Item = usize> + '_ {
        self.all.iter().enumerate().filter(|(_, list)| list.is_membership()).map(|(index, _)| index)
    }

    pub fn find(&self, name: &ListName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    fn roster(&self, entry: &Entry) -> Option<usize> {
        match &entry.who {
            PersonOrRoster::Roster(name) => self.find(&ListName::Roster(Arc::clone(name))),
            PersonOrRoster::Person(..) => None,
        }
    }

    fn reach(&self, from: usize) -> BTreeSet<usize> {
        let mut seen = BTreeSet::new();
        let mut open = vec![from];
        while let Some(index) = open.pop() {
            let used = self.get(index).entries.iter().filter_map(|entry| self.roster(entry));
            open.extend(used.filter(|roster| seen.insert(*roster)));
        }
        seen
    }

    /// The lists with these indexes, and the rosters that they use.
    pub fn with_rosters(&self, lists: &[usize]) -> BTreeSet<usize> {
        lists.iter().flat_map(|list| self.get(*list).reach.iter().chain([list])).copied().collect()
    }

    /// The groups whose members this list contributes to: itself, or those that use the roster.
    pub fn groups_of(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let groups = self.all.iter().enumerate().filter(|(_, list)| list.group.is_some());
        groups.filter(move |(at, list)| *at == index || list.reach.contains(&index)).map(|(at, _)| at)
    }

    /// Whether an entry of this list is needed to end a membership of an additive group.
    pub fn ends_additive(&self, index: usize) -> bool {
        self.additive.contains(&index) || self.get(index).mode() == Some(Mode::Additive)
    }

    pub fn people(&self, index: usize) -> impl Iterator<Item = (&'d PersonRef, Found<'d>)> + use<'d> {
        let entries: &'d [Entry] = self.get(index).entries;
        entries.iter().enumerate().filter_map(move |(at, entry)| {
            Some((entry.person()?, Found { list: index, index: at, entry, window: entry.window() }))
        })
    }

    pub fn own(&self, index: usize, person: &PersonRef) -> Option<Found<'d>> {
        self.people(index).find_map(|(other, found)| (other == person).then_some(found))
    }

    /// A person's entries in the rosters that a list uses, each with the time that it gives in the list.
    pub fn through_rosters(&self, index: usize, person: &PersonRef) -> Vec<Found<'d>> {
        let mut found: Vec<Found<'d>> = Vec::new();
        self.add_nested(index, &Terms::default(), &mut |list, outer| {
            let Some(own) = self.own(list, person) else { return };
            let window = own.window.within(outer.window);
            if !window.is_empty() && !found.iter().any(|other| (other.list, other.window) == (list, window)) {
                found.push(Found { window, ..own });
            }
        });
        found
    }

    /// The times for which a list uses a roster, directly or through other rosters.
    pub fn uses(&self, index: usize, roster: usize) -> Vec<Window> {
        let mut windows = Vec::new();
        self.add_nested(index, &Terms::default(), &mut |list, outer| {
            windows.extend((list == roster).then_some(outer.window));
        });
        windows
    }

    /// Visits the rosters that a list uses, each with the terms of the `- roster:` entries that lead to it.
    fn add_nested(&self, index: usize, outer: &Terms, visit: &mut dyn FnMut(usize, &Terms)) {
        for entry in self.get(index).entries {
            let Some(roster) = self.roster(entry) else { continue };
            let terms = entry.terms.as_deref().map_or_else(|| outer.clone(), |own| own.within(outer));
            visit(roster, &terms);
            self.add_nested(roster, &terms, visit);
        }
    }
}

fn of_file<'d>((file, declared): (usize, &'d Declared)) -> impl Iterator<Item = List<'d>> {
    let list = move |name, group, origin: &'d Origin, entries: &'d [Entry]| List {
        name,
        group,
        path: &origin.file,
        file,
        key: origin.position(),
        entries,
        reach: BTreeSet::new(),
    };
    let plain = move |name, declared: &'d DeclaredList| list(name, None, &declared.origin, &declared.entries);
    let rosters = declared.rosters.iter().map(move |roster| plain(ListName::Roster(Arc::clone(&roster.name)), roster));
    let protected = declared.protected.iter().map(move |list| plain(ListName::Setting(Arc::clone(&list.name)), list));
    let owners = declared.groups.iter().filter_map(|group| group.owners.as_ref());
    let owners = owners.map(move |owners| plain(ListName::Owners(owners.name.as_ref().into()), owners));
    let groups = declared.groups.iter().map(move |DeclaredGroup { name, group, entries, .. }| {
        list(ListName::Group(name.clone()), Some(group), &group.members_origin, entries)
    });
    rosters.chain(protected).chain(owners).chain(groups)
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
