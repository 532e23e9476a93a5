//! Finds the group of the account for each declared group.

use std::collections::{BTreeMap, BTreeSet};

use super::blocked::BlockedReason;
use crate::model::{Desired, DesiredGroup, GroupId, GroupName, GroupRef, Observed, Unmanaged, composed};

/// The id of a declared group in the account, or why there is none.
pub type Located = Result<GroupId, BlockedReason>;

/// Finds the account's group for each planned group. A pinned group is found by its id only. Any other group is found
/// by its name, if exactly one group of the account has it.
pub fn locate_groups(
    desired: &Desired,
    current: &Observed,
    covers: impl Fn(&GroupName) -> bool,
) -> BTreeMap<GroupName, Located> {
    let by_name = groups_by_name(current);
    let planned = desired.groups.iter().filter(|(name, _)| covers(name));
    planned.map(|(name, group)| (name.clone(), locate(name, group, current, &by_name))).collect()
}

fn groups_by_name(current: &Observed) -> BTreeMap<&GroupName, Vec<GroupId>> {
    let mut by_name: BTreeMap<&GroupName, Vec<GroupId>> = BTreeMap::new();
    // The API may show no name for a group. Only a pin can find it.
    for (id, group) in current.groups.iter().filter(|(_, group)| !group.name.as_str().is_empty()) {
        by_name.entry(&group.name).or_default().push(*id);
    }
    by_name
}

fn locate(
    name: &GroupName,
    group: &DesiredGroup,
    current: &Observed,
    by_name: &BTreeMap<&GroupName, Vec<GroupId>>,
) -> Located {
    let namesakes = by_name.get(name).map_or(&[][..], Vec::as_slice);
    if let Some(pin) = &group.pin {
        return if current.groups.contains_key(&pin.value) {
            Ok(pin.value)
        } else {
            Err(BlockedReason::UnknownPin { pin: pin.value, namesake: namesakes.first().copied() })
        };
    }
    match namesakes {
        [id] => Ok(*id),
        [] => Err(BlockedReason::UnknownGroup { nearest: nearest_name(name, by_name.keys().copied()).cloned() }),
        several => Err(BlockedReason::AmbiguousGroup { candidates: several.to_vec() }),
    }
}

/// The name that an unknown name probably means, if one is similar enough.
pub fn nearest_name<'n>(unknown: &GroupName, known: impl IntoIterator<Item = &'n GroupName>) -> Option<&'n GroupName> {
    const SIMILAR: f64 = 0.8;
    let folded = |name: &GroupName| composed(name.as_str()).to_lowercase();
    let wanted = folded(unknown);
    let likeness = |other: &GroupName| strsim::jaro_winkler(&wanted, &folded(other));
    let similar = known.into_iter().map(|other| (likeness(other), other)).filter(|(score, _)| *score >= SIMILAR);
    // Of equally similar names, the first by name.
    similar.max_by(|a, b| a.0.total_cmp(&b.0).then(b.1.cmp(a.1))).map(|(_, name)| name)
}

/// The groups that no file declares, by name, if the settings ask for them. All declared groups count, not only the
/// planned ones.
pub(super) fn unmanaged(desired: &Desired, current: &Observed) -> Vec<GroupRef> {
    if desired.settings.unmanaged_groups.value == Unmanaged::Ignore {
        return Vec::new();
    }
    let declared = locate_groups(desired, current, |_| true);
    let managed: BTreeSet<GroupId> = declared.into_values().filter_map(Result::ok).collect();
    let others = current.groups.iter().filter(|(id, _)| !managed.contains(id));
    let mut unmanaged: Vec<_> = others.map(|(id, group)| GroupRef { id: *id, name: group.name.clone() }).collect();
    unmanaged.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    unmanaged
}
