//! The lists of all files: groups and rosters, and which rosters lead to which groups.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use jiff::Timestamp;

use crate::config::entry::Entry;
use crate::config::file::Declared;
use crate::config::problem::{Position, quoted};
use crate::model::{DesiredGroup, GroupName, Mode, Origin, PersonRef, Terms, Window};

/// The name of a list: a group or a roster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ListName {
    Group(GroupName),
    Roster(Arc<str>),
}

impl fmt::Display for ListName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Group(name) => write!(f, "group {}", quoted(name.as_str())),
            Self::Roster(name) => write!(f, "roster {}", quoted(name)),
        }
    }
}

/// A list as its file declares it.
pub(super) struct List<'d> {
    pub name: ListName,
    /// The group without its members; `None` for a roster.
    pub group: Option<&'d DesiredGroup>,
    pub file: &'d Arc<str>,
    /// The index of the file.
    pub file_index: usize,
    /// The position of the list's key.
    pub key: Position,
    pub entries: &'d [Entry],
    /// The rosters that this list uses, also through other rosters.
    reach: Vec<usize>,
}

/// A person's entry in a list.
#[derive(Clone, Copy)]
pub(super) struct Found<'d> {
    pub list: usize,
    pub index: usize,
    pub person: &'d PersonRef,
    pub at: Position,
    pub terms: Option<&'d Terms>,
}

impl Found<'_> {
    pub fn window(&self) -> Window {
        self.terms.map(|terms| terms.window).unwrap_or_default()
    }
}

pub(super) struct Lists<'d> {
    /// In the order of the files and of their lines.
    pub all: Vec<List<'d>>,
    by_name: BTreeMap<ListName, usize>,
    /// The rosters that additive groups use.
    additive: BTreeSet<usize>,
}

impl<'d> Lists<'d> {
    pub fn new(declared: &'d [Declared]) -> Self {
        let mut all: Vec<List<'d>> = declared.iter().enumerate().flat_map(of_file).collect();
        all.sort_by_key(|list| (list.file_index, list.key));
        let by_name: BTreeMap<_, _> = all.iter().enumerate().map(|(index, list)| (list.name.clone(), index)).collect();
        let uses = uses(&all, &by_name);
        let reaches: Vec<Vec<usize>> = (0..all.len()).map(|index| reach(&uses, index)).collect();
        for (list, reach) in all.iter_mut().zip(reaches) {
            list.reach = reach;
        }
        let is_additive = |list: &&List<'_>| list.group.is_some_and(|group| group.mode == Mode::Additive);
        let additive = all.iter().filter(is_additive).flat_map(|list| list.reach.iter().copied()).collect();
        Self { all, by_name, additive }
    }

    pub fn get(&self, index: usize) -> Option<&List<'d>> {
        self.all.get(index)
    }

    pub fn find(&self, name: &ListName) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub fn names(&self) -> impl Iterator<Item = &ListName> {
        self.by_name.keys()
    }

    /// The rosters that a list uses, also through other rosters.
    pub fn rosters_of(&self, index: usize) -> &[usize] {
        self.get(index).map_or(&[], |list| &list.reach)
    }

    /// The groups whose members this list contributes to: itself, or those that use the roster.
    pub fn groups_of(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let groups = self.all.iter().enumerate().filter(|(_, list)| list.group.is_some());
        groups.filter(move |(at, list)| *at == index || list.reach.binary_search(&index).is_ok()).map(|(at, _)| at)
    }

    /// Whether an entry of this list is needed to end a membership of an additive group.
    pub fn ends_additive(&self, index: usize) -> bool {
        self.additive.contains(&index)
            || self.get(index).and_then(|list| list.group).is_some_and(|group| group.mode == Mode::Additive)
    }

    /// The people of a list.
    pub fn people(&self, index: usize) -> impl Iterator<Item = Found<'d>> + use<'d> {
        let entries: &'d [Entry] = self.get(index).map_or(&[], |list| list.entries);
        entries.iter().enumerate().filter_map(move |(at_index, entry)| match entry {
            Entry::Person { person, at, terms, .. } => {
                Some(Found { list: index, index: at_index, person, at: *at, terms: terms.as_deref() })
            }
            Entry::Roster { .. } => None,
        })
    }

    /// A person's own entry in a list.
    pub fn own(&self, index: usize, person: &PersonRef) -> Option<Found<'d>> {
        self.people(index).find(|found| found.person == person)
    }

    /// A person's entries in the rosters that a list uses.
    pub fn through_rosters(&self, index: usize, person: &PersonRef) -> Vec<Found<'d>> {
        self.rosters_of(index).iter().filter_map(|roster| self.own(*roster, person)).collect()
    }

    pub fn origin(&self, index: usize, at: Position) -> Option<Origin> {
        let list = self.get(index)?;
        Some(Origin { file: Arc::clone(list.file), line: at.line, column: at.column })
    }
}

fn of_file<'d>((file_index, declared): (usize, &'d Declared)) -> Vec<List<'d>> {
    let rosters = declared.rosters.iter().map(move |roster| List {
        name: ListName::Roster(Arc::clone(&roster.name)),
        group: None,
        file: &roster.origin.file,
        file_index,
        key: place(&roster.origin),
        entries: &roster.entries,
        reach: Vec::new(),
    });
    let groups = declared.groups.iter().map(move |declared| List {
        name: ListName::Group(declared.name.clone()),
        group: Some(&declared.group),
        file: &declared.group.origin.file,
        file_index,
        key: place(&declared.group.members_origin),
        entries: &declared.entries,
        reach: Vec::new(),
    });
    rosters.chain(groups).collect()
}

const fn place(origin: &Origin) -> Position {
    Position { line: origin.line, column: origin.column }
}

/// The rosters that each list uses directly.
fn uses(all: &[List<'_>], by_name: &BTreeMap<ListName, usize>) -> Vec<Vec<usize>> {
    let named = |entry: &Entry| match entry {
        Entry::Roster { name, .. } => by_name.get(&ListName::Roster(Arc::clone(name))).copied(),
        Entry::Person { .. } => None,
    };
    all.iter().map(|list| list.entries.iter().filter_map(named).collect()).collect()
}

/// The rosters that a list uses, also through other rosters, each once.
fn reach(uses: &[Vec<usize>], from: usize) -> Vec<usize> {
    let mut seen = BTreeSet::new();
    let mut open = vec![from];
    while let Some(index) = open.pop() {
        let named = uses.get(index).into_iter().flatten();
        open.extend(named.copied().filter(|roster| seen.insert(*roster)));
    }
    seen.into_iter().collect()
}

/// Whether the windows together cover this one completely.
pub(super) fn cover(windows: &mut [Window], wanted: Window) -> bool {
    windows.sort_by_key(|window| (window.from.is_some(), window.from));
    // `None` means no beginning here, and no end below.
    let mut from = wanted.from;
    for window in windows {
        let begins = match (window.from, from) {
            (None, _) => true,
            (Some(_), None) => false,
            (Some(begin), Some(from)) => begin <= from,
        };
        if !begins {
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
