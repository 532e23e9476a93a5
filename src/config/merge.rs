//! Merges the declarations of all files, and checks what concerns several files.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::file::Declared;
use super::group::DeclaredGroup;
use super::nearest::nearest;
use super::problem::{Problem, Report, quoted};
use super::rosters::{MOST_COMPARISONS, Rosters};
use crate::model::{AccountId, Desired, DesiredGroup, GroupId, GroupName, Origin, Setting, Settings};

/// Merges the files. If there are problems, the result is incomplete.
pub(super) fn merge(files: Vec<Declared>, all_there: bool, people: usize, report: &mut Report) -> Desired {
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
        let lists = groups.values().map(|declared| (&declared.group.origin, declared.entries.as_slice()));
        rosters.check_names(lists, report);
    }
    let sizes = rosters.measure(report);
    sizes.check_total(groups.values(), report);
    let mut desired = Desired {
        account_id,
        people,
        settings: settings.map(|(_, settings)| settings).unwrap_or_default(),
        ..Desired::default()
    };
    // Rosters with a cycle, or with too many members, cannot be expanded.
    if report.len() == 0 {
        desired.unused_rosters = rosters.unused(groups.values().map(|declared| declared.entries.as_slice()));
        let expanded = groups.into_iter().map(|(name, DeclaredGroup { mut group, entries, .. })| {
            rosters.expand(&mut group, entries);
            (name, group)
        });
        desired.groups = expanded.collect();
    }
    desired
}

fn merge_account(merged: &mut Option<Setting<AccountId>>, found: Option<Setting<AccountId>>, report: &mut Report) {
    match (&merged, &found) {
        (Some(first), Some(second)) if first.value != second.value => {
            if let (Some(first), Some(second)) = (&first.origin, &second.origin) {
                let problem = Problem::at(second, "the files name different accounts")
                    .related(first.clone(), "the other account is named here")
                    .help("keep the groups of each account in a separate folder");
                report.push(problem);
            }
        }
        (Some(_), _) => {}
        (None, _) => *merged = found,
    }
}

fn merge_settings(merged: &mut Option<(Origin, Settings)>, found: Option<(Origin, Settings)>, report: &mut Report) {
    match (&merged, found) {
        (Some((first, _)), Some((second, _))) => {
            let problem = Problem::at(&second, "a second file has `settings`")
                .related(first.clone(), "the first is here")
                .help("keep all settings in one file");
            report.push(problem);
        }
        (Some(_), None) => {}
        (None, found) => *merged = found,
    }
}

fn declare_group(groups: &mut BTreeMap<GroupName, DeclaredGroup>, group: DeclaredGroup, report: &mut Report) {
    match groups.entry(group.name.clone()) {
        Slot::Vacant(slot) => {
            slot.insert(group);
        }
        Slot::Occupied(first) => {
            let message = format!("group {} is declared twice", quoted(group.name.as_str()));
            let problem = Problem::at(&group.group.origin, message)
                .related(first.get().group.origin.clone(), "it is first declared here")
                .help("merge the two");
            report.push(problem);
        }
    }
}

fn check_pins<'g>(groups: impl Iterator<Item = &'g DesiredGroup>, report: &mut Report) {
    let mut pins: BTreeMap<GroupId, &Origin> = BTreeMap::new();
    let mut pinned: Vec<(GroupId, &Origin)> = groups
        .filter_map(|group| group.pin.as_ref())
        .filter_map(|pin| Some((pin.value, pin.origin.as_ref()?)))
        .collect();
    // Sorted by position, so that the first one in the files is called the first.
    pinned.sort_by_key(|(_, origin)| *origin);
    for (id, origin) in pinned {
        match pins.entry(id) {
            Slot::Vacant(slot) => {
                slot.insert(origin);
            }
            Slot::Occupied(first) => {
                let problem = Problem::at(origin, format!("two groups have the id {id}"))
                    .related((*first.get()).clone(), "the first is here")
                    .help("correct one of the ids, or remove it");
                report.push(problem);
            }
        }
    }
}

/// Reports groups in `exclusive_with` that are not declared.
fn check_exclusions(groups: &BTreeMap<GroupName, DeclaredGroup>, report: &mut Report) {
    let mut comparisons = 0;
    for exclusion in groups.values().flat_map(|declared| &declared.group.rules.exclusive_with) {
        if report.is_full() {
            return;
        }
        if groups.contains_key(&exclusion.group) {
            continue;
        }
        comparisons += groups.len();
        let name = exclusion.group.as_str();
        let meant =
            (comparisons <= MOST_COMPARISONS).then(|| nearest(name, groups.keys().map(GroupName::as_str))).flatten();
        let help = match meant {
            Some(meant) => format!("did you mean {}?", quoted(meant)),
            None => "declare the group, or remove it from `exclusive_with`".into(),
        };
        let message = format!("group {} in `exclusive_with` is not declared", quoted(name));
        report.push(Problem::at(&exclusion.origin, message).help(help));
    }
}
