//! What a change under review touches: the files compared with the same files as they were before it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::{Desired, DesiredGroup, GroupName, Origin, PersonRef, Setting};

/// A change of the files that shows in no membership, and decides about memberships all the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseChange {
    /// The group; null for a setting of all groups.
    pub group: Option<GroupName>,
    /// The key that was changed; `group` where the whole group was dropped from the files.
    pub setting: String,
    /// Null where it was not set.
    pub before: Option<String>,
    /// Null where it is not set any more.
    pub after: Option<String>,
    /// Where it is set now, or was set before.
    pub origin: Option<Origin>,
}

/// How the files differ from the base.
#[derive(Clone, Debug, Default)]
pub struct BaseComparison {
    /// The groups to plan for the change alone: their members, mode, limits or rules differ.
    pub touched: BTreeSet<GroupName>,
    /// What shows in no membership.
    pub changes: Vec<BaseChange>,
}

/// Compares the files with the same files as they were before a change.
#[must_use]
pub fn compare_base(base: &Desired, head: &Desired) -> BaseComparison {
    let mut comparison = BaseComparison { changes: settings(base, head), ..BaseComparison::default() };
    for (name, group) in &base.groups {
        if !head.groups.contains_key(name) {
            let origin = Some(group.origin.clone());
            let before = Some("declared".into());
            comparison.changes.push(BaseChange {
                group: Some(name.clone()),
                setting: "group".into(),
                before,
                after: None,
                origin,
            });
        }
    }
    for (name, group) in &head.groups {
        let Some(before) = base.groups.get(name) else {
            comparison.touched.insert(name.clone());
            continue;
        };
        let changes = group_settings(name, before, group);
        if !changes.is_empty() || members(before) != members(group) {
            comparison.touched.insert(name.clone());
        }
        comparison.changes.extend(changes);
    }
    comparison
}

/// Who belongs and when. The order of the list and its lines do not count.
fn members(group: &DesiredGroup) -> BTreeMap<(&PersonRef, Option<Timestamp>, Option<Timestamp>), usize> {
    let mut members = BTreeMap::new();
    for member in &group.members {
        *members.entry((&member.person, member.from(), member.until())).or_default() += 1;
    }
    members
}

fn settings(base: &Desired, head: &Desired) -> Vec<BaseChange> {
    let (old, new) = (&base.settings, &head.settings);
    let mut changes = Changes { group: None, list: Vec::new() };
    changes.set("limits.group_removals", &old.limits.group_removals, &new.limits.group_removals);
    changes.set("limits.total_removals", &old.limits.total_removals, &new.limits.total_removals);
    let unmanaged = |setting: &Setting<crate::model::Unmanaged>| Setting {
        value: format!("{:?}", setting.value).to_lowercase(),
        origin: setting.origin.clone(),
    };
    changes.set("unmanaged_groups", &unmanaged(&old.unmanaged_groups), &unmanaged(&new.unmanaged_groups));
    let protected = |desired: &Desired| -> BTreeMap<PersonRef, Origin> {
        let entries = desired.settings.protected.iter();
        entries.map(|entry| (entry.person.clone(), entry.origin.clone())).collect()
    };
    let (old, new) = (protected(base), protected(head));
    for (person, origin) in old.iter().filter(|(person, _)| !new.contains_key(person)) {
        changes.push("protected", Some(person.to_string()), None, Some(origin.clone()));
    }
    for (person, origin) in new.iter().filter(|(person, _)| !old.contains_key(person)) {
        changes.push("protected", None, Some(person.to_string()), Some(origin.clone()));
    }
    changes.list
}

fn group_settings(name: &GroupName, old: &DesiredGroup, new: &DesiredGroup) -> Vec<BaseChange> {
    let mut changes = Changes { group: Some(name), list: Vec::new() };
    if old.mode != new.mode {
        let (before, after) = (Some(old.mode.to_string()), Some(new.mode.to_string()));
        changes.push("mode", before, after, Some(new.origin.clone()));
    }
    changes.set_optional("id", old.pin.as_ref(), new.pin.as_ref());
    changes.set_optional("min_members", old.min_members.as_ref(), new.min_members.as_ref());
    changes.set("allow_empty", &old.allow_empty, &new.allow_empty);
    changes.set_optional("group_removals", old.group_removals.as_ref(), new.group_removals.as_ref());
    changes.set_optional("max_duration", old.rules.max_duration.as_ref(), new.rules.max_duration.as_ref());
    let (required, require) = (old.rules.require_reason.as_ref(), new.rules.require_reason.as_ref());
    if required.is_some() != require.is_some() {
        let said = |origin: Option<&Origin>| origin.map(|_| "true".to_owned());
        changes.push("require_reason", said(required), said(require), require.or(required).cloned());
    }
    let excluded = |group: &DesiredGroup| -> BTreeMap<GroupName, Origin> {
        group.rules.exclusive_with.iter().map(|it| (it.group.clone(), it.origin.clone())).collect()
    };
    let (before, after) = (excluded(old), excluded(new));
    for (other, origin) in before.iter().filter(|(other, _)| !after.contains_key(other)) {
        changes.push("exclusive_with", Some(other.to_string()), None, Some(origin.clone()));
    }
    for (other, origin) in after.iter().filter(|(other, _)| !before.contains_key(other)) {
        changes.push("exclusive_with", None, Some(other.to_string()), Some(origin.clone()));
    }
    changes.list
}

/// Changes of one group's settings, or of those of all groups.
struct Changes<'a> {
    group: Option<&'a GroupName>,
    list: Vec<BaseChange>,
}

impl Changes<'_> {
    fn set<T: PartialEq + Display>(&mut self, setting: &str, before: &Setting<T>, after: &Setting<T>) {
        self.set_optional(setting, Some(before), Some(after));
    }

    fn set_optional<T: PartialEq + Display>(
        &mut self,
        setting: &str,
        before: Option<&Setting<T>>,
        after: Option<&Setting<T>>,
    ) {
        if before.map(|setting| &setting.value) == after.map(|setting| &setting.value) {
            return;
        }
        let shown = |setting: Option<&Setting<T>>| setting.map(|setting| setting.value.to_string());
        let origin = after.or(before).and_then(|setting| setting.origin.clone());
        self.push(setting, shown(before), shown(after), origin);
    }

    fn push(&mut self, setting: &str, before: Option<String>, after: Option<String>, origin: Option<Origin>) {
        let group = self.group.cloned();
        self.list.push(BaseChange { group, setting: setting.into(), before, after, origin });
    }
}
