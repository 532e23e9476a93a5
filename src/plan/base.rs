//! Compares the files with the same files before the change under review.

use std::collections::BTreeMap;
use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{GroupPair, pairs};
use crate::model::{Desired, DesiredGroup, GroupName, Limit, Origin, PersonRef, Rules, Setting, Settings};

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
    let mut changes = Changes { group: None, list: Vec::new() };
    settings(base, head, &mut changes);
    let pairs = pairs(base, head);
    for GroupPair { name, base, .. } in pairs.iter().filter(|pair| pair.head.is_none()) {
        changes.group = Some(name);
        let declared = base.map(|(_, old)| Setting { value: "declared", origin: Some(old.origin.clone()) });
        changes.compare("group", declared.as_ref(), None, true);
    }
    for pair in &pairs {
        if let (Some((old_name, old)), Some(new)) = (pair.base, pair.head) {
            changes.group = Some(pair.name);
            group_settings((base, old_name, old), (head, pair.name, new), &mut changes);
        }
    }
    changes.list
}

fn settings(base: &Desired, head: &Desired, changes: &mut Changes<'_>) {
    let (old, new) = (&base.settings, &head.settings);
    if base.account_id.is_some() && head.account_id.is_some() {
        changes.compare("account_id", base.account_id.as_ref(), head.account_id.as_ref(), true);
    }
    changes.limit("limits.group_removals", &old.limits.group_removals, &new.limits.group_removals);
    changes.limit("limits.total_removals", &old.limits.total_removals, &new.limits.total_removals);
    let direct =
        |settings: &Settings| Setting::preset(if settings.reports_direct_access { "report" } else { "ignore" });
    changes.compare("direct_access", Some(&direct(old)), Some(&direct(new)), old.reports_direct_access);
    let unmanaged = (&old.unmanaged_groups, &new.unmanaged_groups);
    changes.compare("unmanaged_groups", Some(unmanaged.0), Some(unmanaged.1), unmanaged.1.value < unmanaged.0.value);
    let protected = |settings: &Settings| -> BTreeMap<PersonRef, Origin> {
        settings.protected.iter().map(|entry| (entry.person.clone(), entry.origin.clone())).collect()
    };
    changes.entries("protected", &protected(old), &protected(new), |_| false);
}

fn group_settings(
    (base, old_name, old): (&Desired, &GroupName, &DesiredGroup),
    (head, name, new): (&Desired, &GroupName, &DesiredGroup),
    changes: &mut Changes<'_>,
) {
    let (old_place, new_place) = (Some(old.origin.clone()), Some(new.origin.clone()));
    let old_named = Setting { value: old_name, origin: old_place.clone() };
    changes.compare("name", Some(&old_named), Some(&Setting { value: name, origin: new_place.clone() }), false);
    let old_mode = Setting { value: old.mode, origin: old_place };
    let new_mode = Setting { value: new.mode, origin: new_place };
    changes.compare("mode", Some(&old_mode), Some(&new_mode), new.mode > old.mode);
    changes.compare("id", old.pin.as_ref(), new.pin.as_ref(), old.pin.is_some());
    // A missing value requires nothing.
    let least = |group: &DesiredGroup| group.min_members.as_ref().map(|least| least.value);
    changes.compare("min_members", old.min_members.as_ref(), new.min_members.as_ref(), least(new) < least(old));
    changes.compare("allow_empty", Some(&old.allow_empty), Some(&new.allow_empty), new.allow_empty.value);
    let limit = |desired: &Desired, group: &DesiredGroup| {
        group.group_removals.as_ref().unwrap_or(&desired.settings.limits.group_removals).value
    };
    let allows_more = allows_more(limit(base, old), limit(head, new));
    changes.compare("group_removals", old.group_removals.as_ref(), new.group_removals.as_ref(), allows_more);
    // Another pin may let the group give more, so every change of one needs a look.
    let pins = |group: &DesiredGroup| group.permissions.as_ref().map(joined);
    changes.compare("permissions", pins(old).as_ref(), pins(new).as_ref(), old.permissions.is_some());
    let (allowed, allow) = (base.domains_of(old), head.domains_of(new));
    let is_new = |domain: &String| allowed.is_some_and(|allowed| !allowed.value.contains(domain));
    let allows_more = allow.is_none_or(|allow| allow.value.iter().any(is_new));
    changes.compare("email_domains", allowed.map(joined).as_ref(), allow.map(joined).as_ref(), allows_more);
    let (rules, new_rules) = (&old.rules, &new.rules);
    let longest = |rules: &Rules| rules.max_duration.as_ref().map(|rule| rule.value.length());
    let lasts_longer = longest(rules).is_some_and(|old| longest(new_rules).is_none_or(|new| new > old));
    changes.compare("max_duration", rules.max_duration.as_ref(), new_rules.max_duration.as_ref(), lasts_longer);
    let required = |rules: &Rules| {
        rules.require_reason.as_ref().map(|origin| Setting { value: true, origin: Some(origin.clone()) })
    };
    let was_required = rules.require_reason.is_some();
    changes.compare("require_reason", required(rules).as_ref(), required(new_rules).as_ref(), was_required);
    // Either of the two groups may have the rule.
    let named_there = |other: &GroupName| {
        let other = head.groups.get(other);
        other.is_some_and(|other| other.rules.exclusive_with.contains_key(name))
    };
    changes.entries("exclusive_with", &rules.exclusive_with, &new_rules.exclusive_with, named_there);
}

fn joined(list: &Setting<Vec<String>>) -> Setting<String> {
    Setting { value: list.value.join(", "), origin: list.origin.clone() }
}

/// Whether a limit may allow more removals than before. A number and a percentage cannot be compared.
const fn allows_more(old: Limit, new: Limit) -> bool {
    match (old, new) {
        (Limit::Count(old), Limit::Count(new)) => new > old,
        (Limit::Percent { hundredths: old }, Limit::Percent { hundredths: new }) => new > old,
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
    fn compare<T: PartialEq + Display>(
        &mut self,
        setting: &str,
        before: Option<&Setting<T>>,
        after: Option<&Setting<T>>,
        loosens: bool,
    ) {
        let (old, new) = (before.map(|setting| &setting.value), after.map(|setting| &setting.value));
        if old != new {
            self.list.push(BaseChange {
                group: self.group.cloned(),
                setting: setting.into(),
                before: old.map(T::to_string),
                after: new.map(T::to_string),
                loosens,
                origin: after.or(before).and_then(|setting| setting.origin.clone()),
            });
        }
    }

    fn limit(&mut self, setting: &str, before: &Setting<Limit>, after: &Setting<Limit>) {
        self.compare(setting, Some(before), Some(after), allows_more(before.value, after.value));
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
        let entry = |(value, origin): (_, &Origin)| Setting { value, origin: Some(origin.clone()) };
        for deleted in before.iter().filter(|(entry, _)| !after.contains_key(entry)).map(entry) {
            self.compare(setting, Some(&deleted), None, !said_elsewhere(deleted.value));
        }
        for new in after.iter().filter(|(entry, _)| !before.contains_key(entry)).map(entry) {
            self.compare(setting, None, Some(&new), false);
        }
    }
}
