//! Compares the files with the same files before the change under review.

use std::collections::BTreeMap;
use std::fmt::Display;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::change::{GroupPair, pairs};
use crate::model::{Desired, DesiredGroup, GroupName, Limit, Origin, PersonRef, Setting};

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
    settings([base, head], &mut changes);
    let pairs = pairs(base, head);
    for GroupPair { name, base, .. } in pairs.iter().filter(|pair| pair.head.is_none()) {
        changes.group = Some(name);
        let declared = base.map(|(_, old)| set_at(&old.origin, "declared"));
        changes.compare("group", [declared, None], true);
    }
    for pair in &pairs {
        if let (Some((old_name, old)), Some(new)) = (pair.base, pair.head) {
            changes.group = Some(pair.name);
            group_settings([(base, old_name, old), (head, pair.name, new)], &mut changes);
        }
    }
    changes.list
}

fn settings(files: [&Desired; 2], changes: &mut Changes<'_>) {
    let settings = files.map(|files| &files.settings);
    let [old, new] = settings;
    if files.iter().all(|files| files.account_id.is_some()) {
        changes.compare("account_id", files.map(|files| shown(files.account_id.as_ref())), true);
    }
    let limits = settings.map(|settings| &settings.limits.group_removals);
    changes.compare("limits.group_removals", limits.map(|limit| shown(Some(limit))), allows_more(limits));
    let limits = settings.map(|settings| &settings.limits.total_removals);
    changes.compare("limits.total_removals", limits.map(|limit| shown(Some(limit))), allows_more(limits));
    let direct = settings.map(|it| if it.reports_direct_access { "report" } else { "ignore" });
    changes.compare("direct_access", direct.map(|it| Some(Setting::preset(it.into()))), old.reports_direct_access);
    let unmanaged = settings.map(|settings| shown(Some(&settings.unmanaged_groups)));
    changes.compare("unmanaged_groups", unmanaged, new.unmanaged_groups.value < old.unmanaged_groups.value);
    let protected = settings.map(|settings| -> BTreeMap<PersonRef, Origin> {
        settings.protected.iter().map(|entry| (entry.person.clone(), entry.origin.clone())).collect()
    });
    changes.entries("protected", protected.each_ref(), |_| false);
}

fn group_settings(both: [(&Desired, &GroupName, &DesiredGroup); 2], changes: &mut Changes<'_>) {
    let groups = both.map(|(.., group)| group);
    let [(base, _, old), (head, name, new)] = both;
    changes.compare("name", both.map(|(_, name, group)| Some(set_at(&group.origin, name))), false);
    changes.compare("mode", groups.map(|group| Some(set_at(&group.origin, group.mode))), new.mode > old.mode);
    changes.compare("id", groups.map(|group| shown(group.pin.as_ref())), old.pin.is_some());
    // A missing value requires nothing.
    let [least, new_least] = groups.map(|group| group.min_members.as_ref().map(|least| least.value));
    changes.compare("min_members", groups.map(|group| shown(group.min_members.as_ref())), new_least < least);
    changes.compare("allow_empty", groups.map(|group| shown(Some(&group.allow_empty))), new.allow_empty.value);
    let limits =
        both.map(|(files, _, group)| group.group_removals.as_ref().unwrap_or(&files.settings.limits.group_removals));
    let removals = groups.map(|group| shown(group.group_removals.as_ref()));
    changes.compare("group_removals", removals, allows_more(limits));
    // Another pin may let the group give more, so every change of one needs a look.
    changes.compare("permissions", groups.map(|group| joined(group.permissions.as_ref())), old.permissions.is_some());
    let (allowed, allow) = (base.domains_of(old), head.domains_of(new));
    let is_new = |domain: &String| allowed.is_some_and(|allowed| !allowed.value.contains(domain));
    let allows_more = allow.is_none_or(|allow| allow.value.iter().any(is_new));
    changes.compare("email_domains", [allowed, allow].map(joined), allows_more);
    let rules = groups.map(|group| &group.rules);
    let [longest, new_longest] = rules.map(|rules| rules.max_duration.as_ref().map(|rule| rule.value.length()));
    let lasts_longer = longest.is_some_and(|old| new_longest.is_none_or(|new| new > old));
    changes.compare("max_duration", rules.map(|rules| shown(rules.max_duration.as_ref())), lasts_longer);
    let required = rules.map(|rules| rules.require_reason.as_ref().map(|origin| set_at(origin, true)));
    changes.compare("require_reason", required, old.rules.require_reason.is_some());
    // Either of the two groups may have the rule.
    let named_there = |other: &GroupName| {
        let other = head.groups.get(other);
        other.is_some_and(|other| other.rules.exclusive_with.contains_key(name))
    };
    changes.entries("exclusive_with", rules.map(|rules| &rules.exclusive_with), named_there);
}

fn set_at(origin: &Origin, value: impl Display) -> Setting<String> {
    Setting { value: value.to_string(), origin: Some(origin.clone()) }
}

fn shown(setting: Option<&Setting<impl Display>>) -> Option<Setting<String>> {
    setting.map(|setting| Setting { value: setting.value.to_string(), origin: setting.origin.clone() })
}

fn joined(list: Option<&Setting<Vec<String>>>) -> Option<Setting<String>> {
    list.map(|list| Setting { value: list.value.join(", "), origin: list.origin.clone() })
}

/// Whether a limit may allow more removals than before. A number and a percentage cannot be compared.
const fn allows_more(limits: [&Setting<Limit>; 2]) -> bool {
    let [old, new] = limits;
    match (old.value, new.value) {
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
    fn compare(&mut self, setting: &str, [before, after]: [Option<Setting<String>>; 2], loosens: bool) {
        let origin = after.as_ref().or(before.as_ref()).and_then(|setting| setting.origin.clone());
        let [before, after] = [before, after].map(|side| side.map(|setting| setting.value));
        if before != after {
            let group = self.group.cloned();
            self.list.push(BaseChange { group, setting: setting.into(), before, after, loosens, origin });
        }
    }

    /// Compares a list whose entries each protect something. A deleted entry loosens nothing if the rule is still
    /// written elsewhere, for example in the other of two exclusive groups.
    fn entries<T: Ord + Display>(
        &mut self,
        setting: &str,
        [before, after]: [&BTreeMap<T, Origin>; 2],
        said_elsewhere: impl Fn(&T) -> bool,
    ) {
        for (entry, origin) in before.iter().filter(|(entry, _)| !after.contains_key(entry)) {
            self.compare(setting, [Some(set_at(origin, entry)), None], !said_elsewhere(entry));
        }
        for (entry, origin) in after.iter().filter(|(entry, _)| !before.contains_key(entry)) {
            self.compare(setting, [None, Some(set_at(origin, entry))], false);
        }
    }
}
