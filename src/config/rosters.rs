//! Rosters: lists of people that groups and other rosters use.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use super::entry::Entry;
use super::file::DeclaredRoster;
use super::group::DeclaredGroup;
use super::nearest::nearest;
use super::problem::{Position, Problem, Report, quoted, shortened};
use crate::model::{DesiredGroup, DesiredMember, Origin, RosterEntry, RosterUse};

/// The maximum depth of rosters that use each other.
const DEEPEST: usize = 64;

/// The maximum number of memberships of all groups. Rosters inside rosters multiply them.
const MOST_MEMBERSHIPS: u64 = 5_000_000;

/// The search for a similar name stops after this many comparisons.
pub(super) const MOST_COMPARISONS: usize = 200_000;

/// The declared rosters by name.
#[derive(Debug, Default)]
pub(super) struct Rosters(BTreeMap<Arc<str>, DeclaredRoster>);

impl Rosters {
    /// Adds a roster, and reports a duplicate name.
    pub fn declare(&mut self, roster: DeclaredRoster, report: &mut Report) {
        match self.0.entry(Arc::clone(&roster.name)) {
            Slot::Vacant(slot) => {
                slot.insert(roster);
            }
            Slot::Occupied(first) => {
                let message = format!("roster {} is declared twice", quoted(&roster.name));
                let problem = Problem::at(&roster.origin, message)
                    .related(first.get().origin.clone(), "it is first declared here")
                    .help("merge the two, or rename one of them");
                report.push(problem);
            }
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Reports each use of an undeclared roster, in these groups' lists and in the rosters.
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
                    None => format!("declare it under `rosters:` in any of the files: `{}: […]`", shortened(name)),
                };
                let message = format!("roster {} is not declared", quoted(name));
                report.push(Problem::at(&place(origin, at), message).help(help));
            }
        }
    }

    /// Measures each roster. Reports cycles and rosters that are nested too deep.
    pub fn measure(&self, report: &mut Report) -> Sizes<'_> {
        let mut survey = Survey { rosters: self, sizes: Sizes::default(), path: Vec::new(), report };
        for roster in self.0.values() {
            survey.visit(roster, &roster.origin);
        }
        survey.sizes
    }

    /// Adds the members and the roster entries to a group, in the order of its own list.
    pub fn expand(&self, group: &mut DesiredGroup, entries: Vec<Entry>) {
        let file = Arc::clone(&group.origin.file);
        let place = |at: Position| Origin { file: Arc::clone(&file), line: at.line, column: at.column };
        group.members.reserve(entries.len());
        for entry in entries {
            match entry {
                Entry::Person { person, number, at, terms } => {
                    group.members.push(DesiredMember { person, number, origin: place(at), via: None, terms });
                }
                Entry::Roster { name, at, reason } => {
                    let origin = place(at);
                    let mut path = vec![RosterUse { roster: Arc::clone(&name), origin: origin.clone() }];
                    self.expand_into(&mut group.members, &mut path, reason.as_ref());
                    group.roster_entries.push(RosterEntry { roster: name, origin, reason });
                }
            }
        }
    }

    /// Appends all people of the roster at the end of the path. Entries without a reason get that of the roster
    /// entry. [`Self::measure`] must have shown that there is no cycle.
    fn expand_into(&self, members: &mut Vec<DesiredMember>, path: &mut Vec<RosterUse>, outer: Option<&Arc<str>>) {
        let Some(roster) = path.last().and_then(|last| self.0.get(&last.roster)) else { return };
        let via: Arc<[RosterUse]> = path.as_slice().into();
        for entry in &roster.entries {
            match entry {
                Entry::Person { person, number, at, terms } => {
                    let mut terms = terms.clone();
                    if let Some(outer) = outer {
                        terms.get_or_insert_default().reason.get_or_insert_with(|| Arc::clone(outer));
                    }
                    members.push(DesiredMember {
                        person: person.clone(),
                        number: *number,
                        origin: place(&roster.origin, *at),
                        via: Some(Arc::clone(&via)),
                        terms,
                    });
                }
                Entry::Roster { name, at, reason } => {
                    path.push(RosterUse { roster: Arc::clone(name), origin: place(&roster.origin, *at) });
                    self.expand_into(members, path, reason.as_ref().or(outer));
                    path.pop();
                }
            }
        }
    }

    /// The rosters that these groups' lists do not use, directly or through other rosters.
    pub fn unused<'l>(&'l self, lists: impl Iterator<Item = &'l [Entry]>) -> BTreeMap<Arc<str>, Origin> {
        let mut unused: BTreeMap<&str, &DeclaredRoster> =
            self.0.iter().map(|(name, roster)| (&**name, roster)).collect();
        let mut waiting: Vec<&str> = lists.flat_map(uses).map(|(name, _)| name).collect();
        while let Some(name) = waiting.pop() {
            if let Some(roster) = unused.remove(name) {
                waiting.extend(uses(&roster.entries).map(|(name, _)| name));
            }
        }
        unused.into_values().map(|roster| (Arc::clone(&roster.name), roster.origin.clone())).collect()
    }
}

/// The sizes of the rosters, with the rosters that they use.
#[derive(Debug, Default)]
pub(super) struct Sizes<'n>(BTreeMap<&'n str, Size>);

/// The size of one roster.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// The nesting depth of rosters in it, including itself.
    depth: usize,
    /// What one use of the roster costs: its entries and those of the rosters in it, plus 1 for each roster, because
    /// empty rosters take time too.
    steps: u64,
}

impl Sizes<'_> {
    /// Reports the first group that exceeds the maximum number of memberships.
    pub fn check_total<'g>(&self, groups: impl Iterator<Item = &'g DeclaredGroup>, report: &mut Report) {
        let mut total: u64 = 0;
        for DeclaredGroup { name, group, entries } in groups {
            total = total.saturating_add(self.steps(entries));
            if total > MOST_MEMBERSHIPS {
                let name = quoted(name.as_str());
                let message = format!("with group {name}, there are more than {MOST_MEMBERSHIPS} memberships");
                let help = "look for rosters that use each other many times, or split the files by account";
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

/// A traversal of the rosters.
struct Survey<'n, 'r> {
    rosters: &'n Rosters,
    sizes: Sizes<'n>,
    /// The rosters on the way here, each with the entry that uses the next one.
    path: Vec<(&'n str, Origin)>,
    report: &'r mut Report,
}

impl<'n> Survey<'n, '_> {
    /// Measures a roster once. [`DEEPEST`] limits the recursion.
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
        // Rosters that use a too deep one are deeper still. Reporting the first is sufficient.
        if depth == DEEPEST {
            self.report_depth(&roster.origin);
        }
        let size = Size { depth: depth + 1, steps: self.sizes.steps(&roster.entries).saturating_add(1) };
        self.sizes.0.insert(&roster.name, size);
        size
    }

    fn report_depth(&mut self, used: &Origin) {
        let message = format!("rosters are nested more than {DEEPEST} deep");
        self.report.push(Problem::at(used, message).help("list the people directly in a roster further up"));
    }

    /// Reports the cycle that begins at this index of the path.
    fn report_cycle(&mut self, start: usize) {
        let cycle = self.path.get(start..).unwrap_or_default();
        let Some(((last, closing), others)) = cycle.split_last() else { return };
        let names: Vec<String> = cycle.iter().chain(cycle.first()).map(|(name, _)| quoted(name)).collect();
        let problem = Problem::at(closing, format!("rosters use each other in a cycle: {}", names.join(" -> ")))
            .help(format!("remove one of these entries, for example this one from roster {}", quoted(last)));
        let problem = others.iter().zip(names.iter().skip(1)).fold(problem, |problem, ((name, origin), next)| {
            problem.related(origin.clone(), format!("{} uses {next} here", quoted(name)))
        });
        self.report.push(problem);
    }
}

fn uses(entries: &[Entry]) -> impl Iterator<Item = (&str, Position)> {
    entries.iter().filter_map(|entry| match entry {
        Entry::Roster { name, at, .. } => Some((&**name, *at)),
        Entry::Person { .. } => None,
    })
}

fn place(in_file_of: &Origin, at: Position) -> Origin {
    Origin { file: Arc::clone(&in_file_of.file), line: at.line, column: at.column }
}
