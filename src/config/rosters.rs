//! Rosters: lists of people that groups and other rosters use.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use super::entry::Entry;
use super::file::{DeclaredGroup, DeclaredRoster};
use super::nearest::nearest;
use super::problem::{Position, Problem, Report, quoted, shortened};
use crate::model::{DesiredMember, Origin, RosterUse};

/// The deepest that rosters may name each other.
const DEEPEST: usize = 64;

/// The most memberships that all groups may come to: rosters of rosters multiply.
const MOST_MEMBERSHIPS: u64 = 5_000_000;

/// Looking for the name somebody meant stops after so many comparisons.
const MOST_COMPARISONS: usize = 200_000;

/// All rosters by name.
#[derive(Debug, Default)]
pub(super) struct Rosters(BTreeMap<Arc<str>, DeclaredRoster>);

impl Rosters {
    /// Takes a roster in; reports one of a name that is taken.
    pub fn declare(&mut self, roster: DeclaredRoster, report: &mut Report) {
        match self.0.entry(Arc::clone(&roster.name)) {
            Slot::Vacant(slot) => {
                slot.insert(roster);
            }
            Slot::Occupied(first) => {
                let message = format!("roster {} is declared twice", quoted(&roster.name));
                let problem = Problem::at(&roster.origin, message)
                    .related(first.get().origin.clone(), "it is declared here first")
                    .help("put all its people into one of the two, or rename one");
                report.push(problem);
            }
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Reports each use of a roster that nobody declares: in these groups' lists and in the rosters themselves.
    pub fn check_names<'l>(&'l self, groups: impl Iterator<Item = (&'l Origin, &'l [Entry])>, report: &mut Report) {
        let mut comparisons = 0;
        let rosters = self.0.values().map(|roster| (&roster.origin, roster.entries.as_slice()));
        for (origin, entries) in groups.chain(rosters) {
            for (name, at) in uses(entries).filter(|(name, _)| !self.contains(name)) {
                if report.is_full() {
                    return;
                }
                comparisons += self.0.len();
                let meant = (comparisons <= MOST_COMPARISONS)
                    .then(|| nearest(name, self.0.keys().map(|name| &**name)))
                    .flatten();
                let help = match meant {
                    Some(meant) => format!("did you mean {}?", quoted(meant)),
                    None => format!("declare it below `rosters:`, in any of the files: `{}: […]`", shortened(name)),
                };
                let message = format!("no file declares a roster {}", quoted(name));
                report.push(Problem::at(&place(origin, at), message).help(help));
            }
        }
    }

    /// Works out what each roster comes to; reports cycles, and rosters that go too deep.
    pub fn measure(&self, report: &mut Report) -> Sizes<'_> {
        let mut survey = Survey { rosters: self, sizes: Sizes::default(), path: Vec::new(), report };
        for roster in self.0.values() {
            survey.visit(roster, &roster.origin);
        }
        survey.sizes
    }

    /// All whom a group's own list names, in its order.
    pub fn expand(&self, file: &Arc<str>, entries: Vec<Entry>) -> Vec<DesiredMember> {
        let mut members = Vec::with_capacity(entries.len());
        let place = |at: Position| Origin { file: Arc::clone(file), line: at.line, column: at.column };
        for entry in entries {
            match entry {
                Entry::Person { person, at, terms } => {
                    members.push(DesiredMember { person, origin: place(at), via: None, terms });
                }
                Entry::Roster { name, at } => {
                    let mut path = vec![RosterUse { roster: name, origin: place(at) }];
                    self.expand_into(&mut members, &mut path);
                }
            }
        }
        members
    }

    /// Appends all whom the roster at the end of the path names. Only for what [`Self::measure`] found to end.
    fn expand_into(&self, members: &mut Vec<DesiredMember>, path: &mut Vec<RosterUse>) {
        let Some(roster) = path.last().and_then(|last| self.0.get(&last.roster)) else { return };
        let via: Arc<[RosterUse]> = path.as_slice().into();
        for entry in &roster.entries {
            match entry {
                Entry::Person { person, at, terms } => members.push(DesiredMember {
                    person: person.clone(),
                    origin: place(&roster.origin, *at),
                    via: Some(Arc::clone(&via)),
                    terms: terms.clone(),
                }),
                Entry::Roster { name, at } => {
                    path.push(RosterUse { roster: Arc::clone(name), origin: place(&roster.origin, *at) });
                    self.expand_into(members, path);
                    path.pop();
                }
            }
        }
    }
}

/// What rosters come to, once all that they name is put in their place.
#[derive(Debug, Default)]
pub(super) struct Sizes<'n>(BTreeMap<&'n str, Size>);

/// What one roster comes to.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// How many rosters deep it goes, itself included.
    depth: usize,
    /// How many memberships a use of it makes, and how many rosters are walked to find them: an empty roster
    /// costs something, too.
    steps: u64,
}

impl Sizes<'_> {
    /// Reports the group with which all groups together come to too much.
    pub fn check_total<'g>(&self, groups: impl Iterator<Item = &'g DeclaredGroup>, report: &mut Report) {
        let mut total: u64 = 0;
        for DeclaredGroup { name, group, entries } in groups {
            total = total.saturating_add(self.steps(entries));
            if total > MOST_MEMBERSHIPS {
                let name = quoted(name.as_str());
                let message = format!("with group {name}, all groups come to more than {MOST_MEMBERSHIPS} memberships");
                let help = "look for rosters that name each other over and over, or split the files by account";
                report.push(Problem::at(&group.members_origin, message).help(help));
                return;
            }
        }
    }

    fn steps(&self, entries: &[Entry]) -> u64 {
        let people = u64::try_from(entries.len()).unwrap_or(u64::MAX);
        uses(entries)
            .filter_map(|(name, _)| self.0.get(name))
            .fold(people, |steps, roster| steps.saturating_add(roster.steps))
    }
}

/// A walk along the uses of rosters in rosters.
struct Survey<'n, 'r> {
    rosters: &'n Rosters,
    sizes: Sizes<'n>,
    /// The rosters that lead here, each with where it names the next one.
    path: Vec<(&'n str, Origin)>,
    report: &'r mut Report,
}

impl<'n> Survey<'n, '_> {
    /// Measures a roster, unless that is done. Its depth is bounded by [`DEEPEST`], and so is the recursion.
    fn visit(&mut self, roster: &'n DeclaredRoster, used: &Origin) -> Size {
        if let Some(size) = self.sizes.0.get(&*roster.name) {
            return *size;
        }
        if let Some(start) = self.path.iter().position(|(name, _)| *name == &*roster.name) {
            self.report_cycle(start);
            return Size::default();
        }
        if self.path.len() >= DEEPEST {
            self.report_depth(used);
            return Size::default();
        }
        let mut depth = 0;
        for (name, at) in uses(&roster.entries) {
            let Some(next) = self.rosters.0.get(name) else { continue };
            let used = place(&roster.origin, at);
            self.path.push((&roster.name, used.clone()));
            let size = self.visit(next, &used);
            self.path.pop();
            depth = depth.max(size.depth);
        }
        // What names a roster that is too deep is deeper still: the first one is enough.
        if depth == DEEPEST {
            self.report_depth(&roster.origin);
        }
        let size = Size { depth: depth + 1, steps: self.sizes.steps(&roster.entries).saturating_add(1) };
        self.sizes.0.insert(&roster.name, size);
        size
    }

    fn report_depth(&mut self, used: &Origin) {
        let message = format!("rosters name each other more than {DEEPEST} deep");
        self.report.push(Problem::at(used, message).help("name the people themselves further up"));
    }

    /// Reports the cycle that begins at this place of the path and ends with its last use.
    fn report_cycle(&mut self, start: usize) {
        let cycle = self.path.get(start..).unwrap_or_default();
        let Some(((last, closing), others)) = cycle.split_last() else { return };
        let names: Vec<String> = cycle.iter().chain(cycle.first()).map(|(name, _)| quoted(name)).collect();
        let problem = Problem::at(closing, format!("rosters name each other in a circle: {}", names.join(" -> ")))
            .help(format!("take one of the rosters out of another, for example this one out of {}", quoted(last)));
        let problem = others.iter().zip(names.iter().skip(1)).fold(problem, |problem, ((name, origin), next)| {
            problem.related(origin.clone(), format!("{} names {next} here", quoted(name)))
        });
        self.report.push(problem);
    }
}

fn uses(entries: &[Entry]) -> impl Iterator<Item = (&str, Position)> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Roster { name, at } => Some((&**name, *at)),
        Entry::Person { .. } => None,
    })
}

fn place(in_file_of: &Origin, at: Position) -> Origin {
    Origin { file: Arc::clone(&in_file_of.file), line: at.line, column: at.column }
}
