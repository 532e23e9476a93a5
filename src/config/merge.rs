//! Merges the declarations of all files, checks what concerns several files, and expands the rosters.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use super::entry::{Entry, PersonOrRoster};
use super::file::{Declared, DeclaredGroup, DeclaredList};
use super::problem::{Problem, Problems, nearest, quoted};
use crate::model::{Desired, DesiredGroup, DesiredMember, GroupId, GroupName, Origin, RosterUse, Terms};

/// The maximum depth of rosters that use each other.
const DEEPEST: usize = 64;

/// The maximum number of memberships of all groups. Rosters inside rosters multiply them.
const MOST_MEMBERSHIPS: u64 = 5_000_000;

/// The search for a similar name stops after this many comparisons.
const MOST_COMPARISONS: usize = 200_000;

/// Merges the files. If there are problems, the result is incomplete.
pub(super) fn merge(files: Vec<Declared>, all_there: bool, report: &mut Problems) -> Desired {
    // An unread part of the files may declare the missing names, so they are not reported.
    let all_known = all_there && !files.iter().any(|file| file.unread);
    check_accounts(&files, report);
    check_settings(&files, report);
    let mut desired = Desired::default();
    let mut settings = None;
    let mut rosters = Rosters::default();
    let (mut groups, mut pins) = (BTreeMap::new(), BTreeMap::new());
    for file in files {
        desired.account_id = desired.account_id.or(file.account_id);
        settings = settings.or(file.settings);
        file.rosters.into_iter().for_each(|roster| rosters.declare(roster, report));
        for group in file.groups {
            if !groups.contains_key(&group.name) {
                check_pin(&mut pins, &group.group, report);
            }
            declare_group(&mut groups, group, report);
        }
    }
    desired.settings = settings.map(|(_, settings)| settings).unwrap_or_default();
    if all_known {
        check_exclusions(&groups, report);
        rosters.check_names(groups.values(), report);
    }
    rosters.check_sizes(groups.values(), report);
    // Rosters with a cycle, or with too many members, cannot be expanded.
    if report.len() == 0 {
        desired.unused_rosters = rosters.unused(groups.values().flat_map(DeclaredGroup::lists));
        let expanded = groups.into_iter().map(|(name, DeclaredGroup { mut group, entries, .. })| {
            let file = Arc::clone(&group.origin.file);
            group.members.reserve(entries.len());
            rosters.expand(&mut group, &file, &entries, &mut Vec::new(), None);
            (name, group)
        });
        desired.groups = expanded.collect();
    }
    desired
}

fn check_accounts(files: &[Declared], report: &mut Problems) {
    let ids = files.iter().filter_map(|file| file.account_id.as_ref());
    let mut ids = ids.filter_map(|id| Some((id.value, id.origin.as_ref()?)));
    let Some((account, first)) = ids.next() else { return };
    for (_, second) in ids.filter(|(id, _)| *id != account) {
        let help = "keep the groups of each account in a separate folder";
        report.push_second(second, "the files name different accounts", first, "the other account is named here", help);
    }
}

fn check_settings(files: &[Declared], report: &mut Problems) {
    let mut places = files.iter().filter_map(|file| file.settings.as_ref()).map(|(place, _)| place);
    let Some(first) = places.next() else { return };
    for second in places {
        let help = "keep all settings in one file";
        report.push_second(second, "a second file has `settings`", first, "the first is here", help);
    }
}

fn declare_group(groups: &mut BTreeMap<GroupName, DeclaredGroup>, group: DeclaredGroup, report: &mut Problems) {
    match groups.entry(group.name.clone()) {
        Slot::Vacant(slot) => drop(slot.insert(group)),
        Slot::Occupied(first) => {
            let message = format!("group {} is declared twice", quoted(group.name.as_str()));
            let first = &first.get().group.origin;
            report.push_second(&group.group.origin, message, first, "it is first declared here", "merge the two");
        }
    }
}

/// Reports a group with the id of an earlier one.
fn check_pin(pins: &mut BTreeMap<GroupId, Origin>, group: &DesiredGroup, report: &mut Problems) {
    let Some((pin, second)) = group.pin.as_ref().and_then(|pin| Some((pin, pin.origin.as_ref()?))) else { return };
    let first = pins.entry(pin.value).or_insert_with(|| second.clone());
    if first != second {
        let message = format!("two groups have the id {}", pin.value);
        report.push_second(second, message, first, "the first is here", "correct one of the ids, or remove it");
    }
}

/// Reports groups in `exclusive_with` that are not declared.
fn check_exclusions(groups: &BTreeMap<GroupName, DeclaredGroup>, report: &mut Problems) {
    let named = groups.values().flat_map(|declared| &declared.group.rules.exclusive_with);
    let unknown = named.filter(|(name, _)| !groups.contains_key(*name));
    let unknown = unknown.map(|(name, origin)| (name.as_str(), origin.clone()));
    let known: Vec<&str> = groups.keys().map(GroupName::as_str).collect();
    report_unknown("group", unknown, &known, "declare the group, or remove it from `exclusive_with`", report);
}

/// Reports undeclared names, each with a similar name or another remedy. The search for similar names stops after
/// [`MOST_COMPARISONS`].
fn report_unknown<'n>(
    what: &str,
    unknown: impl Iterator<Item = (&'n str, Origin)>,
    known: &[&str],
    help: &str,
    report: &mut Problems,
) {
    for (count, (name, origin)) in (1..).zip(unknown) {
        if report.is_full() {
            return;
        }
        let is_searched = known.len().saturating_mul(count) <= MOST_COMPARISONS;
        let meant = if is_searched { nearest(name, known.iter().copied()) } else { None };
        let help = meant.map_or(help.into(), |meant| format!("did you mean {}?", quoted(meant)));
        report.push(Problem::at(&origin, format!("{what} {} is not declared", quoted(name))).help(help));
    }
}

#[derive(Default)]
struct Rosters(BTreeMap<Arc<str>, DeclaredList>);

impl Rosters {
    /// Adds a roster, and reports a duplicate name.
    fn declare(&mut self, roster: DeclaredList, report: &mut Problems) {
        match self.0.entry(Arc::clone(&roster.name)) {
            Slot::Vacant(slot) => drop(slot.insert(roster)),
            Slot::Occupied(first) => {
                let message = format!("roster {} is declared twice", quoted(&roster.name));
                let help = "merge the two, or rename one of them";
                report.push_second(&roster.origin, message, &first.get().origin, "it is first declared here", help);
            }
        }
    }

    /// Reports each use of an undeclared roster, in these groups' lists and in the rosters.
    fn check_names<'g>(&'g self, groups: impl Iterator<Item = &'g DeclaredGroup>, report: &mut Problems) {
        let lists = groups.flat_map(|declared| declared.lists().map(|list| (&declared.group.origin.file, list)));
        let rosters = self.0.values().map(|roster| (&roster.origin.file, roster.entries.as_slice()));
        let places = lists
            .chain(rosters)
            .flat_map(|(file, entries)| uses(entries).map(move |(name, entry)| (name, Origin::new(file, entry.at))));
        let known: Vec<&str> = self.0.keys().map(|name| &**name).collect();
        let unknown = places.filter(|(name, _)| !self.0.contains_key(*name));
        report_unknown("roster", unknown, &known, "declare it under `rosters:` in any of the files", report);
    }

    /// Measures each roster. Reports cycles, rosters that are nested too deep, and the first group that exceeds the
    /// maximum number of memberships.
    fn check_sizes<'g>(&self, groups: impl Iterator<Item = &'g DeclaredGroup>, report: &mut Problems) {
        let mut survey = Survey { rosters: self, sizes: BTreeMap::new(), path: Vec::new(), report };
        for roster in self.0.values() {
            survey.visit(roster);
        }
        let mut total: u64 = 0;
        for DeclaredGroup { name, group, entries, .. } in groups {
            let rosters = uses(entries).filter_map(|(name, _)| survey.sizes.get(name));
            total = rosters.fold(total + entries.len() as u64, |total, roster| total.saturating_add(roster.steps));
            if total > MOST_MEMBERSHIPS {
                let name = quoted(name.as_str());
                let message = format!("with group {name}, there are more than {MOST_MEMBERSHIPS} memberships");
                let help = "look for rosters that use each other many times, or split the files by account";
                return survey.report.push(Problem::at(&group.members_origin, message).help(help));
            }
        }
    }

    /// Adds the people of a list to a group, in its order, and those of the rosters that it uses. Entries without a
    /// reason get that of the roster entry. [`Self::check_sizes`] must have shown that there is no cycle.
    fn expand(
        &self,
        group: &mut DesiredGroup,
        file: &Arc<str>,
        entries: &[Entry],
        path: &mut Vec<RosterUse>,
        outer: Option<&Terms>,
    ) {
        let via: Option<Arc<[RosterUse]>> = (!path.is_empty()).then(|| path.as_slice().into());
        for Entry { who, at, terms } in entries {
            let origin = Origin::new(file, *at);
            let terms = match (terms, outer) {
                (terms, None) => terms.clone(),
                (None, Some(outer)) => Some(Box::new(outer.clone())),
                (Some(own), Some(outer)) => Some(Box::new(own.within(outer))),
            };
            match who {
                PersonOrRoster::Person(person) => {
                    let (person, via) = (person.clone(), via.clone());
                    let is_never = terms.as_deref().is_some_and(|terms| terms.window.is_empty());
                    let list = if is_never { &mut group.never } else { &mut group.members };
                    list.push(DesiredMember { person, origin, via, terms });
                }
                PersonOrRoster::Roster(name) => {
                    let used = RosterUse { roster: Arc::clone(name), origin };
                    if path.is_empty() && terms.as_deref().is_none_or(|terms| terms.reason.is_none()) {
                        group.rosters_without_reason.push(used.clone());
                    }
                    let Some(roster) = self.0.get(name) else { continue };
                    path.push(used);
                    self.expand(group, &roster.origin.file, &roster.entries, path, terms.as_deref());
                    path.pop();
                }
            }
        }
    }

    /// The rosters that these groups' lists do not use, directly or through other rosters.
    fn unused<'l>(&'l self, lists: impl Iterator<Item = &'l [Entry]>) -> BTreeMap<Arc<str>, Origin> {
        let mut unused: BTreeMap<&str, &DeclaredList> = self.0.iter().map(|(name, roster)| (&**name, roster)).collect();
        let mut waiting: Vec<&str> = lists.flat_map(uses).map(|(name, _)| name).collect();
        while let Some(name) = waiting.pop() {
            if let Some(roster) = unused.remove(name) {
                waiting.extend(uses(&roster.entries).map(|(name, _)| name));
            }
        }
        unused.into_values().map(|roster| (Arc::clone(&roster.name), roster.origin.clone())).collect()
    }
}

/// The size of a roster, with the rosters that it uses.
#[derive(Clone, Copy, Debug, Default)]
struct Size {
    /// The nesting depth of rosters in it, including itself.
    depth: usize,
    /// What one use of the roster costs: its entries and those of the rosters in it, plus 1 for each roster, because
    /// empty rosters take time too.
    steps: u64,
}

struct Survey<'n, 'r> {
    rosters: &'n Rosters,
    sizes: BTreeMap<&'n str, Size>,
    /// The rosters on the way here, each with the entry that uses the next one.
    path: Vec<(&'n str, Origin)>,
    report: &'r mut Problems,
}

impl<'n> Survey<'n, '_> {
    /// Measures a roster once, and reports it if it is nested too deep. [`DEEPEST`] limits the recursion.
    fn visit(&mut self, roster: &'n DeclaredList) -> Size {
        if let Some(size) = self.sizes.get(&*roster.name) {
            return *size;
        }
        if let Some(start) = self.path.iter().position(|(name, _)| *name == &*roster.name) {
            self.report_cycle(start);
            return Size::default();
        }
        // The first roster of the path is then too deep, whatever this one uses.
        if self.path.len() > DEEPEST {
            return Size::default();
        }
        let mut size = Size { depth: 1, steps: roster.entries.len() as u64 + 1 };
        for (name, entry) in uses(&roster.entries) {
            let Some(next) = self.rosters.0.get(name) else { continue };
            self.path.push((&roster.name, Origin::new(&roster.origin.file, entry.at)));
            let inner = self.visit(next);
            self.path.pop();
            size.depth = size.depth.max(inner.depth + 1);
            size.steps = size.steps.saturating_add(inner.steps);
        }
        // Rosters that use a too deep one are deeper still. Reporting the first is sufficient.
        if size.depth == DEEPEST + 1 {
            let message = format!("rosters are nested more than {DEEPEST} deep");
            let help = "list the people directly in a roster further up";
            self.report.push(Problem::at(&roster.origin, message).help(help));
        }
        self.sizes.insert(&roster.name, size);
        size
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

fn uses(entries: &[Entry]) -> impl Iterator<Item = (&str, &Entry)> {
    entries.iter().filter_map(|entry| Some((entry.roster()?, entry)))
}
