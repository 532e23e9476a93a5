//! The ends of entries that a guard will not let take effect, and the entries that never take effect.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{Desired, DesiredGroup, DesiredMember, GroupName, Mode, Origin, PersonRef, Window, last_day};

/// The ends after one time, up to another, that will not be made: those of `protected` people, and those that leave
/// one of these groups with fewer than `min_members`, or empty; and the entries that are never in force. Each with its
/// entry, a message and a remedy.
pub fn kept_ends(
    desired: &Desired,
    covers: impl Fn(&GroupName) -> bool,
    after: Timestamp,
    latest: Timestamp,
) -> Vec<(Origin, String, String)> {
    let is_soon = |end: &Timestamp| after < *end && *end <= latest;
    let mut found = Vec::new();
    let protected: BTreeSet<&PersonRef> = desired.settings.protected.iter().map(|entry| &entry.person).collect();
    let groups = desired.groups.iter().filter(|(name, group)| group.mode != Mode::Observe && covers(name));
    for (name, group) in groups {
        for entry in &group.never {
            let (person, group, through) = (&entry.person, name.as_str(), through(entry));
            let message = format!(
                "{person} is never in group {group:?}{through}: the entry and the use of its roster have no time in common"
            );
            found.push((entry.origin.clone(), message, "change one of the times, or remove the entry".to_owned()));
        }
        // Most groups have no end, and the rest is costly.
        if !group.members.iter().filter_map(DesiredMember::until).any(|end| is_soon(&end)) {
            continue;
        }
        let stays = stays(group);
        let mut begins: Vec<Option<Timestamp>> = stays.iter().map(|(_, window)| window.from).collect();
        begins.sort_unstable();
        let mut ends: Vec<(Timestamp, &PersonRef)> =
            stays.iter().filter_map(|(person, window)| Some((window.until?, *person))).collect();
        ends.sort_unstable();
        for (end, person) in ends.iter().filter(|(end, _)| is_soon(end)) {
            let begun = begins.partition_point(|from| from.is_none_or(|from| from <= *end));
            let left = begun - ends.partition_point(|(other, _)| other <= end);
            let (reason, help) = match refusal(name, group, left) {
                _ if protected.contains(person) => {
                    ("`protected` keeps the person".to_owned(), "remove the person from `protected`")
                }
                Some(reason) => (reason, "add somebody else before, or end it later"),
                None => continue,
            };
            let mut entries = group.members.iter();
            if let Some(entry) = entries.find(|entry| entry.until() == Some(*end) && entry.person == **person) {
                let (group, end, through) = (name.as_str(), last_day(*end), through(entry));
                let message = format!("{person} will stay in group {group:?}{through} after {end}: {reason}");
                found.push((entry.origin.clone(), message, help.to_owned()));
            }
        }
    }
    found
}

/// The rosters from an entry to the group, each with its use.
fn through(entry: &DesiredMember) -> String {
    let uses = entry.via.iter().flat_map(|via| via.iter().rev());
    uses.map(|used| format!(" via {} ({})", used.roster, used.origin)).collect()
}

/// Why a group may not be left with this number of people. Of other groups than exact ones, the list is not complete.
fn refusal(name: &GroupName, group: &DesiredGroup, left: usize) -> Option<String> {
    let least = group.min_members.as_ref().filter(|least| (left as u64) < least.value);
    match least {
        _ if group.mode != Mode::Exact => None,
        Some(least) => Some(format!("{left} would be left, and `min_members` is {}", least.value)),
        None if left == 0 && !group.allow_empty.value => Some(format!("{name} would be left empty")),
        None => None,
    }
}

/// The times of each person, joined where they overlap or touch.
fn stays(group: &DesiredGroup) -> Vec<(&PersonRef, Window)> {
    let mut stays: Vec<_> = group.members.iter().map(|entry| (&entry.person, entry.window())).collect();
    stays.sort_unstable_by_key(|(person, window)| (*person, window.from));
    stays.dedup_by(|(person, next), (before, last)| {
        let joins = person == before && last.until.is_none_or(|until| next.from.is_none_or(|from| from <= until));
        if joins {
            last.until = last.until.zip(next.until).map(|(one, other)| one.max(other));
        }
        joins
    });
    stays
}
