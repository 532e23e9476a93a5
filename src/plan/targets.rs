//! Which group of the account each declared group means.

use std::collections::{BTreeMap, BTreeSet};

use super::BlockedReason;
use crate::model::{Desired, DesiredGroup, GroupId, GroupName, GroupRef, Observed, Unmanaged};

/// What a declared group comes to in the account: a group's id, or why there is none.
pub type Target = Result<GroupId, BlockedReason>;

/// Finds the account's group for each declared group that is planned. A pin decides alone; else the name does, if it
/// names one group.
#[must_use]
pub fn targets(
    desired: &Desired,
    current: &Observed,
    covers: impl Fn(&GroupName) -> bool,
) -> BTreeMap<GroupName, Target> {
    let by_name = groups_by_name(current);
    let planned = desired.groups.iter().filter(|(name, _)| covers(name));
    planned.map(|(name, group)| (name.clone(), target(name, group, current, &by_name))).collect()
}

fn groups_by_name(current: &Observed) -> BTreeMap<&GroupName, Vec<GroupId>> {
    let mut by_name: BTreeMap<&GroupName, Vec<GroupId>> = BTreeMap::new();
    for (id, group) in &current.groups {
        by_name.entry(&group.name).or_default().push(*id);
    }
    by_name
}

fn target(
    name: &GroupName,
    group: &DesiredGroup,
    current: &Observed,
    by_name: &BTreeMap<&GroupName, Vec<GroupId>>,
) -> Target {
    let namesakes = by_name.get(name).map_or(&[][..], Vec::as_slice);
    if let Some(pin) = &group.pin {
        return match current.groups.contains_key(&pin.value) {
            true => Ok(pin.value),
            false => Err(BlockedReason::UnknownPin { pin: pin.value, namesake: namesakes.first().copied() }),
        };
    }
    match namesakes {
        [id] => Ok(*id),
        [] => Err(BlockedReason::UnknownGroup { nearest: nearest_name(name, by_name.keys().copied()).cloned() }),
        several => Err(BlockedReason::AmbiguousGroup { candidates: several.to_vec() }),
    }
}

/// The name that was probably meant by one that is unknown, if any is similar enough.
pub fn nearest_name<'n>(unknown: &GroupName, known: impl IntoIterator<Item = &'n GroupName>) -> Option<&'n GroupName> {
    /// Below this similarity a suggestion confuses more than it helps.
    const SIMILAR: f64 = 0.8;
    let folded = unknown.as_str().to_lowercase();
    let likeness = |other: &GroupName| strsim::jaro_winkler(&folded, &other.as_str().to_lowercase());
    let similar = known.into_iter().map(|other| (likeness(other), other)).filter(|(score, _)| *score >= SIMILAR);
    // Of several that are as similar, the first in the order of names.
    similar.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1))).map(|(_, name)| name)
}

/// The groups that no file declares, by name, where the settings want them told. All declared groups count, not only
/// those that are planned.
pub(super) fn unmanaged(desired: &Desired, current: &Observed) -> Vec<GroupRef> {
    if desired.settings.unmanaged_groups.value == Unmanaged::Ignore {
        return Vec::new();
    }
    let declared = targets(desired, current, |_| true);
    let managed: BTreeSet<GroupId> = declared.into_values().filter_map(Result::ok).collect();
    let others = current.groups.iter().filter(|(id, _)| !managed.contains(id));
    let mut unmanaged: Vec<_> = others.map(|(id, group)| GroupRef { id: *id, name: group.name.clone() }).collect();
    unmanaged.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    unmanaged
}
