//! Merges the declarations of all files, checks what concerns several files, and expands the rosters.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;
use std::sync::Arc;

use super::entry::{Entry, PersonOrRoster};
use super::file::{Declared, DeclaredGroup, DeclaredList};
use super::problem::{Problem, ProblemReport, nearest, quoted, shortened};
use crate::model::{
    AccountId, Desired, DesiredGroup, DesiredMember, GroupId, GroupName, Origin, RosterEntry, RosterUse, Setting,
    Settings, Terms,
};

/// The maximum depth of rosters that use each other.
const DEEPEST: usize = 64;

/// The maximum number of memberships of all groups. Rosters inside rosters multiply them.
const MOST_MEMBERSHIPS: u64 = 5_000_000;

/// The search for a similar name stops after this many comparisons.
const MOST_COMPARISONS: usize = 200_000;

/// Merges the files. If there are problems, the result is incomplete.
pub(super) fn merge(files: Vec<Declared>, all_there: bool, people: usize, report: &mut ProblemReport) -> Desired {
    // An unread part of the files may declare the missing names, so they are not reported.
    let all_known = all_there && !files.iter().any(|file| file.unread);
    let mut account_id = None;
    let mut settings = None;
    let mut rosters = Rosters::default();
    let mut groups = BTreeMap::new();
    for file in files {
        merge_account(&mut account_id, file.account_id, report);
        merge_settings(&mut settings, file.settings, report);
        file.rosters.into_iter().for_each(|roster| rosters.declare(roster, report));
        file.groups.into_iter().for_each(|group| declare_group(&mut groups, group, report));
    }
    check_pins(groups.values().map(|declared| &declared.group), report);
    report.explain_rosters(|name| rosters.contains(name));
    if all_known {
        check_exclusions(&groups, report);
        rosters.check_names(groups.values(), report);
    }
    rosters.check_sizes(groups.values(), report);
    let mut desired = Desired {
        account_id,
        people,
        settings: settings.map(|(_, settings)| settings).unwrap_or_default(),
        ..Desired::default()
    };
    // Rosters with a cycle, or with too many members, cannot be expanded.
    if report.len() == 0 {
        desired.unused_rosters = rosters.unused(groups.values().flat_map(DeclaredGroup::lists));
        let expanded = groups.into_iter().map(|(name, DeclaredGroup { mut group, entries, .. })| {
            rosters.expand(&mut group, &entries);
            (name, group)
        });
        desired.groups = expanded.collect();
    }
    desired
}

fn merge_account(
    merged: &mut Option<Setting<AccountId>>,
    found: Option<Setting<AccountId>>,
    report: &mut ProblemReport,
) {
    if let (Some(first), Some(second)) = (&merged, &found)
        && first.value != second.value
        && let (Some(first), Some(second)) = (&first.origin, &second.origin)
    {
        let help = "keep the groups of each account in a separate folder";
        report.push_second(second, "the files name different accounts", first, "the other account is named here", help);
    }
    *merged = merged.take().or(found);
}

fn merge_settings(
    merged: &mut Option<(Origin, Settings)>,
    found: Option<(Origin, Settings)>,
    report: &mut ProblemReport,
) {
    if let (Some((first, _)), Some((second, _))) = (&merged, &found) {
        let help = "keep all settings in one file";
        report.push_second(second, "a second file has `settings`", first, "the first is here", help);
    }
    *merged = merged.take().or(found);
}

fn declare_group(groups: &mut BTreeMap<GroupName, DeclaredGroup>, group: DeclaredGroup, report: &mut ProblemReport) {
    match groups.entry(group.name.clone()) {
        Slot::Vacant(slot) => {
            slot.insert(group);
        }
        Slot::Occupied(first) => {
            let message = format!("group {} is declared twice", quoted(group.name.as_str()));
            let first = &first.get().group.origin;
            report.push_second(&group.group.origin, message, first, "it is first declared here", "merge the two");
        }
    }
}

fn check_pins<'g>(groups: impl Iterator<Item = &'g DesiredGroup>, report: &mut ProblemReport) {
    let mut pins: BTreeMap<GroupId, &Origin> = BTreeMap::new();
    let mut pinned: Vec<(GroupId, &Origin)> = groups
        .filter_map(|group| group.pin.as_ref())
        .filter_map(|pin| Some((pin.value, pin.origin.as_ref()?)))
        .collect();
    // Sorted by position, so that the first one in the files is called the first.
    pinned.sort_by_key(|(_, origin)| *origin);
    for (id, origin) in pinned {
        let first = *pins.entry(id).or_insert(origin);
        if first != origin {
            let message = format!("two groups have the id {id}");
            report.push_second(origin, message, first, "the first is here", "correct one of the ids, or remove it");
        }
    }
}

/// Reports groups in `exclusive_with` that are not declared.
fn check_exclusions(groups: &BTreeMap<GroupName, DeclaredGroup>, report: &mut ProblemReport) {
    let mut search = NameSearch::default();
    for exclusion in groups.values().flat_map(|declared| &declared.group.rules.exclusive_with) {
        if report.is_full() {
            return;
        }
        if groups.contains_key(&exclusion.group) {
            continue;
        }
        let name = exclusion.group.as_str();
        let help = search
            .did_you_mean(name, groups.keys().map(GroupName::as_str))
            .unwrap_or_else(|| "declare the group, or remove it from `exclusive_with`".into());
        let message = format!("group {} in `exclusive_with` is not declared", quoted(name));
        report.push(Problem::at(&exclusion.origin, message).help(help));
    }
}

/// The search for similar names. It stops after [`MOST_COMPARISONS`].
#[derive(Default)]
struct NameSearch {
    comparisons: usize,
}

impl NameSearch {
    fn did_you_mean<'n>(&mut self, name: &str, known: impl ExactSizeIterator<Item = &'n str>) -> Option<String> {
        self.comparisons += known.len();
        let meant = (self.comparisons <= MOST_COMPARISONS).then(|| nearest(name, known)).flatten()?;
        Some(format!("did you mean {}?", quoted(meant)))
    }
}

#[derive(Debug, Default)]
pub(super) struct Rosters(BTreeMap<Arc<str>, DeclaredList>);

impl Rosters {
    /// Adds a roster, and reports a duplicate name.
    pub fn declare(&mut self, roster: DeclaredList, report: &mut ProblemReport) {
        match self.0.entry(Arc::clone(&roster.name)) {
            Slot::Vacant(slot) => {
                slot.insert(roster);
            }
            Slot::Occupied(first) => {
                let message = format!("roster {} is declared twice", quoted(&roster.name));
                let help = "merge the two, or rename one of them";
                report.push_second(&roster.origin, message, &first.get().origin, "it is first declared here", help);
            }
        }
    }

    pub fn contains(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Reports each use of an undeclared roster, in these groups' lists and in the rosters.
    pub fn check_names<'g>(&'g self, groups: impl Iterator<Item = &'g DeclaredGroup>, report: &mut ProblemReport) {
        let mut search = NameSearch::default();
        let lists = groups.flat_map(|declared| declared.lists().map(|list| (&declared.group.origin.file, list)));
        let rosters = self.0.values().map(|roster| (&roster.origin.file, roster.entries.as_slice()));
        for (file, entries) in lists.chain(rosters) {
            for (name, entry) in uses(entries).filter(|(name, _)| !self.contains(name)) {
                if report.is_full() {
                    return;
                }
                let help = search.did_you_mean(name, self.0.keys().map(|name| &**name)).unwrap_or_else(|| {
                    format!("declare it under `rosters:` in any of the files: `{}: […]`", shortened(name))
                });
                let message = format!("roster {} is not declared", quoted(name));
                report.push(Problem::at(&Origin::new(file, entry.at), message).help(help));
            }
        }
    }

    /// Measures each roster. Reports cycles, rosters that are nested too deep, and the first group that exceeds the
    /// maximum number of memberships.
    pub fn check_sizes<'g>(&self, groups: impl Iterator<Item = &'g DeclaredGroup>, report: &mut ProblemReport) {
        let mut survey = Survey { rosters: self, sizes: BTreeMap::new(), path: Vec::new(), report };
        for roster in self.0.values() {
            survey.visit(roster, &roster.origin);
        }
        let mut total: u64 = 0;
        for DeclaredGroup { name, group, entries, .. } in groups {
            total = total.saturating_add(survey.steps(entries));
            if total > MOST_MEMBERSHIPS {
                let name = quoted(name.as_str());
                let message = format!("with group {name}, there are more than {MOST_MEMBERSHIPS} memberships");
                let help = "look for rosters that use each other many times, or split the files by account";
                return survey.report.push(Problem::at(&group.members_origin, message).help(help));
            }
        }
    }

    /// Adds the members and the roster entries to a group, in the order of its own list.
    pub fn expand(&self, group: &mut DesiredGroup, entries: &[Entry]) {
        group.members.reserve(entries.len());
        let file = Arc::clone(&group.origin.file);
        self.expand_into(group, &file, entries, &mut Vec::new(), None);
    }

    /// Adds the people of a list, and of the rosters that it uses. Entries without a reason get that of the roster
    /// entry. [`Self::check_sizes`] must have shown that there is no cycle.
    fn expand_into(
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
                PersonOrRoster::Person(person, number) => {
                    let (person, via) = (person.clone(), via.clone());
                    let is_never = terms.as_deref().is_some_and(|terms| terms.window.is_empty());
                    let list = if is_never { &mut group.never } else { &mut group.members };
                    list.push(DesiredMember { person, number: *number, origin, via, terms });
                }
                PersonOrRoster::Roster(name) => {
                    if path.is_empty() {
                        let reason = terms.as_deref().and_then(|terms| terms.reason.clone());
                        group.roster_entries.push(RosterEntry {
                            roster: Arc::clone(name),
                            origin: origin.clone(),
                            reason,
                        });
                    }
                    let Some(roster) = self.0.get(name) else { continue };
                    path.push(RosterUse { roster: Arc::clone(name), origin });
                    self.expand_into(group, &roster.origin.file, &roster.entries, path, terms.as_deref());
                    path.pop();
                }
            }
        }
    }

    /// The rosters that these groups' lists do not use, directly or through other rosters.
    pub fn unused<'l>(&'l self, lists: impl Iterator<Item = &'l [Entry]>) -> BTreeMap<Arc<str>, Origin> {
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
    report: &'r mut ProblemReport,
}

impl<'n> Survey<'n, '_> {
    /// Measures a roster once. [`DEEPEST`] limits the recursion.
    fn visit(&mut self, roster: &'n DeclaredList, used: &Origin) -> Size {
        if let Some(size) = self.sizes.get(&*roster.name) {
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
        for (name, entry) in uses(&roster.entries) {
            let Some(next) = self.rosters.0.get(name) else { continue };
            let used = Origin::new(&roster.origin.file, entry.at);
            self.path.push((&roster.name, used.clone()));
            let size = self.visit(next, &used);
            self.path.pop();
            depth = depth.max(size.depth);
        }
        // Rosters that use a too deep one are deeper still. Reporting the first is sufficient.
        if depth == DEEPEST {
            self.report_depth(&roster.origin);
        }
        let size = Size { depth: depth + 1, steps: self.steps(&roster.entries).saturating_add(1) };
        self.sizes.insert(&roster.name, size);
        size
    }

    fn steps(&self, entries: &[Entry]) -> u64 {
        let rosters = uses(entries).filter_map(|(name, _)| self.sizes.get(name));
        rosters.fold(entries.len() as u64, |steps, roster| steps.saturating_add(roster.steps))
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

fn uses(entries: &[Entry]) -> impl Iterator<Item = (&str, &Entry)> {
    entries.iter().filter_map(|entry| Some((entry.roster()?, entry)))
}
