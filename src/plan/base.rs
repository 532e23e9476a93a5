//! Compares the files with the same files before the change under review.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{GroupPair, pairs};
use crate::model::{Desired, DesiredGroup, GroupName, Limit, Mode, Origin, PersonRef, Setting};

/// A change of the files that affects no membership directly, but decides about memberships.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BaseChange {
    /// The group; null for a setting of all groups.
    pub group: Option<GroupName>,
    /// The changed key; `group` if the files no longer declare the group.
    pub setting: String,
    /// Null if it was not set.
    pub before: Option<String>,
    /// Null if it is no longer set.
    pub after: Option<String>,
    /// Whether it protects less than before. If that cannot be compared, it counts as less.
    pub loosens: bool,
    /// The place of the new value, or of the old value if it is no longer set; null for a default.
    pub origin: Option<Origin>,
}

/// How the files differ from the base besides memberships.
pub fn compare_base(base: &Desired, head: &Desired) -> Vec<BaseChange> {
    let mut changes = settings(base, head);
    let pairs = pairs(base, head);
    let kept: BTreeSet<&GroupName> = pairs.iter().filter_map(|pair| Some(pair.base?.0)).collect();
    for (name, group) in base.groups.iter().filter(|(name, _)| !kept.contains(name)) {
        changes.push(BaseChange {
            group: Some(name.clone()),
            setting: "group".into(),
            before: Some("declared".into()),
            after: None,
            loosens: true,
            origin: Some(group.origin.clone()),
        });
    }
    for GroupPair { name, head: group, base: before } in pairs {
        if let Some((before, old)) = before {
            changes.extend(group_settings(name, (base, before, old), (head, group)));
        }
    }
    changes
}

fn settings(base: &Desired, head: &Desired) -> Vec<BaseChange> {
    let (old, new) = (&base.settings, &head.settings);
    let mut changes = Changes { group: None, list: Vec::new() };
    if let (Some(old), Some(new)) = (&base.account_id, &head.account_id) {
        changes.set("account_id", old, new, |_, _| true);
    }
    changes.set("limits.group_removals", &old.limits.group_removals, &new.limits.group_removals, allows_more);
    changes.set("limits.total_removals", &old.limits.total_removals, &new.limits.total_removals, allows_more);
    let reports = |reports: bool| Some(if reports { "report" } else { "ignore" }.to_owned());
    let (reported, report) = (old.reports_direct_access, new.reports_direct_access);
    if reported != report {
        changes.push("direct_access", reports(reported), reports(report), reported, None);
    }
    changes.set("unmanaged_groups", &old.unmanaged_groups, &new.unmanaged_groups, |old, new| new < old);
    let protected = |desired: &Desired| -> BTreeMap<PersonRef, Origin> {
        let entries = desired.settings.protected.iter();
        entries.map(|entry| (entry.person.clone(), entry.origin.clone())).collect()
    };
    changes.entries("protected", &protected(base), &protected(head), |_| false);
    changes.list
}

fn group_settings(
    name: &GroupName,
    (base, old_name, old): (&Desired, &GroupName, &DesiredGroup),
    (head, new): (&Desired, &DesiredGroup),
) -> Vec<BaseChange> {
    let mut changes = Changes { group: Some(name), list: Vec::new() };
    if old_name != name {
        let (before, after) = (Some(old_name.to_string()), Some(name.to_string()));
        changes.push("name", before, after, false, Some(new.origin.clone()));
    }
    if old.mode != new.mode {
        let (before, after) = (Some(old.mode.to_string()), Some(new.mode.to_string()));
        changes.push("mode", before, after, strictness(new.mode) < strictness(old.mode), Some(new.origin.clone()));
    }
    changes.set_optional("id", old.pin.as_ref(), new.pin.as_ref(), |old, _| old.is_some());
    // A missing value requires nothing.
    let demands_less = |old: Option<&u64>, new: Option<&u64>| new < old;
    changes.set_optional("min_members", old.min_members.as_ref(), new.min_members.as_ref(), demands_less);
    changes.set("allow_empty", &old.allow_empty, &new.allow_empty, |_, new| *new);
    let limit =
        |desired: &Desired, own: Option<&Limit>| own.copied().unwrap_or(desired.settings.limits.group_removals.value);
    changes.set_optional("group_removals", old.group_removals.as_ref(), new.group_removals.as_ref(), |old, new| {
        allows_more(&limit(base, old), &limit(head, new))
    });
    // Another pin may let the group give more, so every change of one needs a look.
    let pins = |group: &DesiredGroup| joined(group.permissions.as_ref());
    changes.set_optional("permissions", pins(old).as_ref(), pins(new).as_ref(), |old, _| old.is_some());
    let domains = |desired: &Desired, group: &DesiredGroup| joined(desired.domains_of(group));
    changes.set_optional("email_domains", domains(base, old).as_ref(), domains(head, new).as_ref(), |old, new| {
        let (Some(old), Some(new)) = (old, new) else { return new.is_none() };
        new.split(", ").any(|domain| old.split(", ").all(|allowed| allowed != domain))
    });
    let (old_rules, new_rules) = (&old.rules, &new.rules);
    changes.set_optional(
        "max_duration",
        old_rules.max_duration.as_ref(),
        new_rules.max_duration.as_ref(),
        |old, new| old.is_some_and(|old| new.is_none_or(|new| new.length() > old.length())),
    );
    let (required, require) = (old_rules.require_reason.as_ref(), new_rules.require_reason.as_ref());
    if required.is_some() != require.is_some() {
        let said = |origin: Option<&Origin>| origin.map(|_| "true".to_owned());
        let origin = require.or(required).cloned();
        changes.push("require_reason", said(required), said(require), required.is_some(), origin);
    }
    let excluded = |group: &DesiredGroup| -> BTreeMap<GroupName, Origin> {
        group.rules.exclusive_with.iter().map(|it| (it.group.clone(), it.origin.clone())).collect()
    };
    // Either of the two groups may have the rule.
    let named_there = |other: &GroupName| {
        let other = head.groups.get(other);
        other.is_some_and(|other| other.rules.exclusion_of(name).is_some())
    };
    changes.entries("exclusive_with", &excluded(old), &excluded(new), named_there);
    changes.list
}

fn joined(list: Option<&Setting<Vec<String>>>) -> Option<Setting<String>> {
    list.map(|list| Setting { value: list.value.join(", "), origin: list.origin.clone() })
}

const fn strictness(mode: Mode) -> u8 {
    match mode {
        Mode::Observe => 0,
        Mode::Additive => 1,
        Mode::Exact => 2,
    }
}

/// Whether a limit may allow more removals than before. A number and a percentage cannot be compared.
const fn allows_more(old: &Limit, new: &Limit) -> bool {
    match (old, new) {
        (Limit::Count(old), Limit::Count(new)) => *new > *old,
        (Limit::Percent { hundredths: old }, Limit::Percent { hundredths: new }) => *new > *old,
        (_, Limit::Count(0) | Limit::Percent { hundredths: 0 }) => false,
        _ => true,
    }
}

/// Changes of the settings of one group, or of all groups.
struct Changes<'a> {
    group: Option<&'a GroupName>,
    list: Vec<BaseChange>,
}

impl Changes<'_> {
    fn set<T: PartialEq + Display>(
        &mut self,
        setting: &str,
        before: &Setting<T>,
        after: &Setting<T>,
        loosens: impl FnOnce(&T, &T) -> bool,
    ) {
        let loosens = loosens(&before.value, &after.value);
        self.set_optional(setting, Some(before), Some(after), |_, _| loosens);
    }

    fn set_optional<T: PartialEq + Display>(
        &mut self,
        setting: &str,
        before: Option<&Setting<T>>,
        after: Option<&Setting<T>>,
        loosens: impl FnOnce(Option<&T>, Option<&T>) -> bool,
    ) {
        let (old, new) = (before.map(|setting| &setting.value), after.map(|setting| &setting.value));
        if old == new {
            return;
        }
        let origin = after.or(before).and_then(|setting| setting.origin.clone());
        self.push(setting, old.map(T::to_string), new.map(T::to_string), loosens(old, new), origin);
    }

    /// Compares a list whose entries each protect something. A deleted entry loosens nothing if the rule is still
    /// written elsewhere, for example in the other of two exclusive groups.
    fn entries<T: Ord + Display>(
        &mut self,
        setting: &str,
        before: &BTreeMap<T, Origin>,
        after: &BTreeMap<T, Origin>,
        said_elsewhere: impl Fn(&T) -> bool,
    ) {
        for (entry, origin) in before.iter().filter(|(entry, _)| !after.contains_key(entry)) {
            let loosens = !said_elsewhere(entry);
            self.push(setting, Some(entry.to_string()), None, loosens, Some(origin.clone()));
        }
        for (entry, origin) in after.iter().filter(|(entry, _)| !before.contains_key(entry)) {
            self.push(setting, None, Some(entry.to_string()), false, Some(origin.clone()));
        }
    }

    fn push(
        &mut self,
        setting: &str,
        before: Option<String>,
        after: Option<String>,
        loosens: bool,
        origin: Option<Origin>,
    ) {
        let group = self.group.cloned();
        self.list.push(BaseChange { group, setting: setting.into(), before, after, loosens, origin });
    }
}
