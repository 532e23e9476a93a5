//! Merges what the files declare, and checks what only shows once all of it is known.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry as Slot;

use super::file::{Declared, DeclaredGroup};
use super::problem::{Problem, Report, quoted};
use super::rosters::Rosters;
use crate::model::{AccountId, Desired, DesiredGroup, GroupId, GroupName, Origin, Setting, Settings};

/// Merges the files. Where anything is wrong, what comes out is not whole.
pub(super) fn merge(files: Vec<Declared>, all_there: bool, report: &mut Report) -> Desired {
    let rosters_known = all_there && !files.iter().any(|file| file.unread_rosters);
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
    if rosters_known {
        let lists = groups.values().map(|declared| (&declared.group.origin, declared.entries.as_slice()));
        rosters.check_names(lists, report);
    }
    let sizes = rosters.measure(report);
    sizes.check_total(groups.values(), report);
    let mut desired = Desired {
        account_id,
        settings: settings.map(|(_, settings)| settings).unwrap_or_default(),
        ..Desired::default()
    };
    // With a cycle, or with too much in the rosters, there is nothing to expand into.
    if report.len() == 0 {
        desired.groups = groups.into_iter().map(|(name, declared)| (name, expanded(declared, &rosters))).collect();
    }
    desired
}

fn merge_account(merged: &mut Option<Setting<AccountId>>, found: Option<Setting<AccountId>>, report: &mut Report) {
    match (&merged, &found) {
        (Some(first), Some(second)) if first.value != second.value => {
            if let (Some(first), Some(second)) = (&first.origin, &second.origin) {
                let problem = Problem::at(second, "the files name different accounts")
                    .related(first.clone(), "another account is named here")
                    .help("keep the groups of each account in a folder of their own");
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
            let problem = Problem::at(&second, "`settings` stands in a second file")
                .related(first.clone(), "it stands here first")
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
                .related(first.get().group.origin.clone(), "it is declared here first")
                .help("put all its members into one of the two");
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
    // By place, so that what is called first stands first.
    pinned.sort_by_key(|(_, origin)| *origin);
    for (id, origin) in pinned {
        match pins.entry(id) {
            Slot::Vacant(slot) => {
                slot.insert(origin);
            }
            Slot::Occupied(first) => {
                let problem = Problem::at(origin, format!("two groups have the id {id}"))
                    .related((*first.get()).clone(), "it stands here first")
                    .help("an id belongs to one group: correct it, or take it out");
                report.push(problem);
            }
        }
    }
}

fn expanded(declared: DeclaredGroup, rosters: &Rosters) -> DesiredGroup {
    let DeclaredGroup { name: _, mut group, entries } = declared;
    group.members = rosters.expand(&group.origin.file, entries);
    group
}
