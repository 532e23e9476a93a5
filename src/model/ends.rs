//! The ends of entries that a guard will not let take effect, and the entries that never take effect.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;

use super::{Desired, DesiredGroup, DesiredMember, GroupName, Mode, Origin, PersonRef, Window, last_day};

/// The ends after one time, up to another, that will not be made: those of `protected` people, and those that leave a
/// of these groups with fewer than `min_members`, or empty; and the entries that are never in force. Each with its entry,
/// a message and a remedy.
pub fn kept_ends(
    desired: &Desired,
    covers: impl Fn(&GroupName) -> bool,
    after: Timestamp,
    latest: Timestamp,
) -> Vec<(Origin, String, String)> {
    let is_soon = |end: Timestamp| after < end && end <= latest;
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
        if !group.members.iter().any(|entry| entry.until().is_some_and(is_soon)) {
            continue;
        }
        let people = windows(group);
        let mut ends: BTreeMap<Timestamp, Vec<&PersonRef>> = BTreeMap::new();
        for (person, windows) in &people {
            for end in windows.iter().filter_map(|window| window.until).filter(|end| is_soon(*end)) {
                ends.entry(end).or_default().push(person);
            }
        }
        let mut entries: BTreeMap<(&PersonRef, Timestamp), &DesiredMember> = BTreeMap::new();
        for entry in &group.members {
            if let Some(end) = entry.until() {
                entries.entry((&entry.person, end)).or_insert(entry);
            }
        }
        let left = present_at(&people, ends.keys());
        for ((end, leaving), left) in ends.into_iter().zip(left) {
            let refusal = refusal(name, group, left);
            for person in leaving {
                let reason = match protected.contains(person) {
                    true => Some(("`protected` keeps the person".to_owned(), "remove the person from `protected`")),
                    false => refusal.clone().map(|reason| (reason, "add somebody else before, or end it later")),
                };
                if let (Some((reason, help)), Some(entry)) = (reason, entries.get(&(person, end))) {
                    let (group, end, through) = (name.as_str(), last_day(end), through(entry));
                    let message = format!("{person} will stay in group {group:?}{through} after {end}: {reason}");
                    found.push((entry.origin.clone(), message, help.to_owned()));
                }
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
fn windows(group: &DesiredGroup) -> BTreeMap<&PersonRef, Vec<Window>> {
    let mut people: BTreeMap<&PersonRef, Vec<Window>> = BTreeMap::new();
    for entry in &group.members {
        let window = Window { from: entry.from(), until: entry.until() };
        people.entry(&entry.person).or_default().push(window);
    }
    for windows in people.values_mut() {
        windows.sort_by_key(|window| window.from);
        let mut joined: Vec<Window> = Vec::new();
        for window in windows.drain(..) {
            match joined.last_mut() {
                Some(last) if last.until.is_none_or(|until| window.from.is_none_or(|from| from <= until)) => {
                    last.until = last.until.zip(window.until).map(|(one, other)| one.max(other));
                }
                _ => joined.push(window),
            }
        }
        *windows = joined;
    }
    people
}

/// How many people are present at each of these sorted times.
fn present_at<'t>(
    people: &BTreeMap<&PersonRef, Vec<Window>>,
    times: impl Iterator<Item = &'t Timestamp>,
) -> Vec<usize> {
    let all = || people.values().flatten();
    let mut begins: Vec<Option<Timestamp>> = all().map(|window| window.from).collect();
    let mut ends: Vec<Timestamp> = all().filter_map(|window| window.until).collect();
    begins.sort_unstable();
    ends.sort_unstable();
    let begun = |time: Timestamp| begins.partition_point(|from| from.is_none_or(|from| from <= time));
    times.map(|time| begun(*time) - ends.partition_point(|end| end <= time)).collect()
}
