//! The guards: named checks of a finished plan that can refuse it.
//!
//! A guard never changes a plan. It counts the effects of the operations, without held removals and observed groups.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::{Change, Plan, PlanWarning};
use super::group::GroupPlan;
use super::inputs::locate_groups;
use super::people::People;
use crate::model::typos::{self, Texts};
use crate::model::{
    Desired, DesiredGroup, GroupId, GroupName, GroupSummary, Limit, MemberId, Observed, Origin, PersonRef, Protected,
    Setting, Settings, TokenUser, Unmanaged, UserId,
};

/// A percentage of one group's members always allows at least this many removals.
const LEAST_GROUP_REMOVALS: u64 = 1;

/// A percentage of all memberships always allows at least this many removals.
const LEAST_TOTAL_REMOVALS: u64 = 5;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// More removals from one group than its limit allows.
    GroupRemovals,
    /// More removals in total than the limit allows.
    TotalRemovals,
    /// A protected person would be removed.
    Protected,
    /// A group would have fewer members than its minimum.
    MinMembers,
    /// A group would become empty.
    AllowEmpty,
    /// The account has groups that no file declares.
    UnmanagedGroups,
    /// A pinned group has another name than in the file.
    PinnedName,
    /// The user of the token would be removed.
    Oneself,
}

impl Guard {
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::GroupRemovals | Self::TotalRemovals)
    }
}

/// The name, which is the key in the files if there is one.
impl fmt::Display for Guard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// The refusal of a plan by a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub guard: Guard,
    /// The group; null if it concerns the account.
    pub group: Option<GroupName>,
    /// The reason, with the figures.
    // The renderers add the place of the setting if the message does not have it.
    pub message: String,
    /// The remedy.
    pub help: String,
    /// The compared figures; null if there are none.
    pub figures: Option<Figures>,
    /// The place of the setting; null for a default.
    pub origin: Option<Origin>,
    /// The members whose removal is refused, if it is not that of all.
    #[serde(skip)]
    pub(super) concerns: Vec<MemberId>,
}

impl Refusal {
    fn new(guard: Guard, group: Option<&GroupName>, origin: &Option<Origin>, message: String, help: &str) -> Self {
        let (group, origin, help) = (group.cloned(), origin.clone(), help.into());
        Self { guard, group, message, help, figures: None, origin, concerns: Vec::new() }
    }

    /// The reason with the guard's name and the place of the setting.
    pub fn reason(&self) -> String {
        let place = self.origin.as_ref().filter(|origin| !self.message.contains(&origin.to_string()));
        let place = place.map(|origin| format!(" ({origin})")).unwrap_or_default();
        format!("{}: {}{place}", self.guard, self.message)
    }
}

/// The figures that a guard compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// The planned number.
    pub planned: u64,
    /// The allowed number: a maximum for removals, a minimum for members.
    pub allowed: u64,
    /// The memberships that a percentage refers to: the present members of the group, or in total those that the files
    /// declare.
    pub present: u64,
}

/// The guards of one group, from its own settings and the files' defaults.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupGuards {
    /// The group must keep at least this many members.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min_members: Option<Setting<u64>>,
    pub allow_empty: Setting<bool>,
    pub group_removals: Setting<Limit>,
}

/// The guards that concern more than one group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanGuards {
    pub total_removals: Setting<Limit>,
    /// The memberships that the files declare: in force, in exact and additive groups, a person once a group. A
    /// percentage refers to them, so that plans of some groups and plans of all are judged alike.
    pub declared: u64,
    /// Who is never removed from any group.
    pub protected: Vec<Protected>,
    /// The names of the pinned groups of the plan, and the places of the pins.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub pins: BTreeMap<GroupId, Setting<GroupName>>,
    /// The declared groups, if the settings refuse a plan where the account has others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub managed: Option<ManagedGroups>,
    /// The user of the token, if the plan removes anybody and the API reported the user.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token_user: Option<PlannedTokenUser>,
}

/// The groups that the files declare, to find others in the account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ManagedGroups {
    pub ids: BTreeSet<GroupId>,
    /// The declared groups that the account did not have.
    pub names: BTreeSet<GroupName>,
    /// The place of `unmanaged_groups: refuse`.
    pub origin: Option<Origin>,
}

/// The user of the token when the plan was made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlannedTokenUser {
    pub user_id: UserId,
    /// The user's members of the account, if known.
    pub members: Vec<MemberId>,
}

impl GroupGuards {
    /// The guards of a group. If no file declares it, only the limit applies.
    pub fn of(group: Option<&DesiredGroup>, settings: &Settings) -> Self {
        let limit = group.and_then(|group| group.group_removals.as_ref()).unwrap_or(&settings.limits.group_removals);
        // Without an `allow_empty`, the list of members is the cause of an empty group.
        let allow_empty = group.map_or(Setting::preset(true), |group| {
            let origin = group.allow_empty.origin.as_ref().unwrap_or(&group.members_origin);
            Setting { value: group.allow_empty.value, origin: Some(origin.clone()) }
        });
        let min_members = group.and_then(|group| group.min_members.clone());
        Self { min_members, allow_empty, group_removals: limit.clone() }
    }

    /// The maximum number of removals from a group with `present` members.
    pub fn removals_allowed(&self, present: u64) -> u64 {
        self.group_removals.value.allows(present, LEAST_GROUP_REMOVALS)
    }

    /// The minimum number of members that removals must leave at every moment.
    pub fn least(&self) -> u64 {
        let least = self.min_members.as_ref().map_or(0, |least| least.value);
        least.max(u64::from(!self.allow_empty.value))
    }
}

impl PlanGuards {
    pub fn removals_allowed(&self) -> u64 {
        self.total_removals.value.allows(self.declared, LEAST_TOTAL_REMOVALS)
    }

    pub fn of(desired: &Desired, time: Timestamp) -> Self {
        Self {
            total_removals: desired.settings.limits.total_removals.clone(),
            declared: desired.memberships_at(time),
            protected: desired.settings.protected.clone(),
            pins: BTreeMap::new(),
            managed: None,
            token_user: None,
        }
    }

    /// Refuses the other groups of the account, if the settings say so.
    pub fn unmanaged_groups(&self, groups: &BTreeMap<GroupId, GroupSummary>) -> Option<Refusal> {
        /// The maximum number of names in the message. The plan lists them all.
        const NAMED: usize = 5;
        let managed = self.managed.as_ref()?;
        let is_other =
            |(id, group): &(&GroupId, &GroupSummary)| !managed.ids.contains(id) && !managed.names.contains(&group.name);
        let mut others: Vec<(&GroupName, &GroupId)> =
            groups.iter().filter(is_other).map(|(id, group)| (&group.name, id)).collect();
        others.sort_unstable();
        let noun = match others.len() {
            0 => return None,
            1 => "1 group of the account is".to_owned(),
            count => format!("{count} groups of the account are"),
        };
        let shown = |(name, id): &(&GroupName, &GroupId)| match name.as_str() {
            "" => id.to_string(),
            name => format!("{name:?}"),
        };
        let mut names: Vec<String> = others.iter().take(NAMED).map(shown).collect();
        names.extend((others.len() > NAMED).then(|| format!("{} more", others.len() - NAMED)));
        let message = format!("{noun} not declared in any file: {}", names.join(", "));
        let help = "declare them (`convoke export` writes the files), or set unmanaged_groups to report";
        Some(Refusal::new(Guard::UnmanagedGroups, None, &managed.origin, message, help))
    }
}

impl Plan {
    /// Adds refusals, sorted by group. Those that concern the account come last.
    pub(super) fn refuse(&mut self, refusals: Vec<Refusal>) {
        self.refusals.extend(refusals);
        self.refusals.sort_by(|a, b| {
            let key = |refusal: &Refusal| (refusal.group.is_none(), refusal.group.clone(), refusal.guard);
            key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
        });
    }
}

/// The refusals that need only the members of the planned groups.
pub(super) fn operation_refusals(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    let mut refusals = protected(plan, people);
    refusals.extend(total_removals(plan));
    for group in &plan.groups {
        refusals.extend(group_removals(group));
        refusals.extend(too_few(group));
    }
    refusals
}

/// The number of removals that one run of `--due` makes, in words.
pub(super) fn cap(guards: &PlanGuards) -> String {
    let limit = &guards.total_removals;
    let most = match guards.removals_allowed() {
        0 => "no run makes removals".to_owned(),
        1 => "one run makes at most 1 removal".to_owned(),
        most => format!("one run makes at most {most} removals"),
    };
    format!("{most} (total_removals: {}{})", limit.value, set_at(&limit.origin, ""))
}

/// The place of a setting, or the words for a default.
fn set_at(origin: &Option<Origin>, default: &str) -> String {
    origin.as_ref().map_or_else(|| default.to_owned(), |origin| format!(", set at {origin}"))
}

pub(super) fn pins<'n>(
    rules: &Desired,
    groups: impl Iterator<Item = &'n GroupName>,
) -> BTreeMap<GroupId, Setting<GroupName>> {
    let pins = groups.filter_map(|name| Some((name, rules.groups.get(name)?.pin.as_ref()?)));
    pins.map(|(name, pin)| (pin.value, Setting { value: name.clone(), origin: pin.origin.clone() })).collect()
}

/// Checks how the files and the account fit together. Records what a saved plan needs to ask it again.
pub(super) fn check_account(plan: &mut Plan, rules: &Desired, current: &Observed) {
    let setting = &rules.settings.unmanaged_groups;
    if setting.value == Unmanaged::Refuse {
        let located = locate_groups(rules, current, |_| true);
        let ids = located.values().filter_map(|found| found.as_ref().ok().copied()).collect();
        let names = located.into_iter().filter_map(|(name, found)| found.is_err().then_some(name)).collect();
        plan.guards.managed = Some(ManagedGroups { ids, names, origin: setting.origin.clone() });
    }
    for (id, pin) in &plan.guards.pins {
        if current.groups.get(id).is_some_and(|group| group.name.as_str().is_empty()) {
            let message = format!("the account shows no name for the group {id}, so the name is not checked");
            let help = "give the group a name in the account, or rely on its pinned id";
            plan.warnings.push(PlanWarning::new(message, help, pin.origin.clone()));
        }
    }
    plan.refuse(account_refusals(plan, &current.groups));
}

/// The pinned groups that have another name in the account, with that name. Some have no name, which is none other.
pub(super) fn renamed_pins<'p>(
    guards: &'p PlanGuards,
    groups: &'p BTreeMap<GroupId, GroupSummary>,
) -> impl Iterator<Item = (GroupId, &'p Setting<GroupName>, &'p GroupName)> {
    let present = guards.pins.iter().filter_map(|(id, pin)| Some((*id, pin, &groups.get(id)?.name)));
    present.filter(|(_, pin, present)| !present.as_str().is_empty() && pin.value != **present)
}

/// The refusals that need only the list of groups.
pub(super) fn account_refusals(plan: &Plan, groups: &BTreeMap<GroupId, GroupSummary>) -> Vec<Refusal> {
    let renamed = renamed_pins(&plan.guards, groups).map(|(id, pin, present)| {
        let message = format!("the pinned group {id} is called {:?} in the account", present.as_str());
        let help =
            "check that this is the group you mean, then correct the name in the file or rename the group in the account";
        Refusal::new(Guard::PinnedName, Some(&pin.value), &pin.origin, message, help)
    });
    renamed.chain(plan.guards.unmanaged_groups(groups)).collect()
}

/// Refuses to remove the user of the token, found by user id or by any of their addresses. Records the user's members
/// for a saved plan.
pub(super) fn check_token_user(plan: &mut Plan, current: &Observed, people: &People<'_>) {
    let TokenUser::Known(user) = &current.token_user else { return };
    let of_user = current.people.iter().filter(|(_, person)| person.user_id.as_ref() == Some(&user.user_id));
    let mut members: BTreeSet<MemberId> = of_user.map(|(id, _)| *id).collect();
    members.extend(user.email.iter().flat_map(|email| people.with_email(email)));
    if let Some(planned) = plan.guards.token_user.take_if(|planned| planned.user_id == user.user_id) {
        members.extend(planned.members);
    }
    let removed = plan.removals().filter(|(_, change)| members.contains(&change.member.id));
    let refusals = removed.map(|(group, change)| {
        let email = change.member.email.as_ref().or(user.email.as_ref());
        let shown = email.map_or_else(|| change.member.id.to_string(), ToString::to_string);
        let message = format!("{shown}, the user of the token, would be removed");
        let help = "use another user's token or an account-owned token, or pass --accept-self";
        let origin = Some(group.origin.clone());
        let refusal = Refusal::new(Guard::Oneself, Some(&group.name), &origin, message, help);
        Refusal { concerns: vec![change.member.id], ..refusal }
    });
    plan.refuse(refusals.collect());
    if plan.removes_anybody() {
        let members = members.into_iter().collect();
        plan.guards.token_user = Some(PlannedTokenUser { user_id: user.user_id.clone(), members });
    }
}

fn group_removals(group: &GroupPlan) -> Option<Refusal> {
    let (planned, present) = (group.counted_removals().count() as u64, group.observed.len() as u64);
    let figures = Figures { planned, allowed: group.guards.removals_allowed(present), present };
    let what = format!("{planned} of {present} members would be removed");
    over_limit(Guard::GroupRemovals, Some(&group.name), figures, &what, &group.guards.group_removals)
}

/// Checked only if several groups lose members. One group has its own limit.
fn total_removals(plan: &Plan) -> Option<Refusal> {
    if plan.groups.iter().filter(|group| group.removals().next().is_some()).count() < 2 {
        return None;
    }
    let planned = plan.groups.iter().map(|group| group.counted_removals().count() as u64).sum();
    let figures = Figures { planned, allowed: plan.guards.removals_allowed(), present: plan.guards.declared };
    let what = format!("{planned} memberships would be removed in total");
    over_limit(Guard::TotalRemovals, None, figures, &what, &plan.guards.total_removals)
}

fn over_limit(
    guard: Guard,
    group: Option<&GroupName>,
    figures: Figures,
    what: &str,
    limit: &Setting<Limit>,
) -> Option<Refusal> {
    if figures.planned <= figures.allowed {
        return None;
    }
    let of = match (guard, limit.value) {
        (Guard::TotalRemovals, Limit::Percent { .. }) => format!(" of {} declared", figures.present),
        _ => String::new(),
    };
    let source = format!("{}{of}{}", limit.value, set_at(&limit.origin, ", the default"));
    let message = format!("{what}, but the limit allows at most {} ({source})", figures.allowed);
    let help = "if you intend all of these removals, pass the digest of this plan with --accept";
    Some(Refusal { figures: Some(figures), ..Refusal::new(guard, group, &limit.origin, message, help) })
}

/// Which of `min_members` and `allow_empty` refuse the changes of a group.
pub(super) fn too_few(group: &GroupPlan) -> Vec<Refusal> {
    let (left, present) = (group.members_left() as u64, group.observed.len() as u64);
    let mut refusals = Vec::new();
    if group.operations.is_empty() {
        return refusals;
    }
    let mut refuse = |guard, allowed, origin: &Option<Origin>, message: String, help: &str| {
        let figures = Some(Figures { planned: left, allowed, present });
        refusals.push(Refusal { figures, ..Refusal::new(guard, Some(&group.name), origin, message, help) });
    };
    if let Some(Setting { value: least, origin }) = group.guards.min_members.as_ref().filter(|it| left < it.value) {
        let message = format!("only {left} would remain, and min_members is {least}{}", set_at(origin, ""));
        refuse(Guard::MinMembers, *least, origin, message, "declare more members, or lower min_members");
    }
    if left == 0 && !group.guards.allow_empty.value {
        let message = format!("the group would be empty (members now: {present})");
        let help = "if you intend an empty group, set allow_empty: true";
        refuse(Guard::AllowEmpty, 1, &group.guards.allow_empty.origin, message, help);
    }
    refusals
}

/// The refusals to remove protected people.
pub(super) fn protected(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    let mut protected: BTreeMap<MemberId, &Protected> = BTreeMap::new();
    for entry in &plan.guards.protected {
        for id in people.may_mean(&entry.person) {
            protected.entry(id).or_insert(entry);
        }
    }
    let refusal = |(group, change): (&GroupPlan, &Change)| {
        let Protected { person, origin } = *protected.get(&change.member.id)?;
        let subject = match &change.member.email {
            Some(email) if PersonRef::Email(email.clone()) != *person => format!("{email} (protected as {person})"),
            _ => person.to_string(),
        };
        let message = format!("{subject} would be removed, but is protected at {origin}");
        let help = "keep the person in the group's list, or remove the person from settings.protected first";
        let refusal = Refusal::new(Guard::Protected, Some(&group.name), &Some(origin.clone()), message, help);
        Some(Refusal { concerns: vec![change.member.id], ..refusal })
    };
    plan.removals().filter_map(refusal).collect()
}

/// Checks `protected` entries that match no member of the account. If the plan removes anybody and the entry may mean
/// a member, the plan is refused, because the removed person may be the protected one.
pub(super) fn unknown_protected(
    plan: &Plan,
    people: &People<'_>,
    knows_everybody: bool,
) -> (Vec<Refusal>, Vec<PlanWarning>) {
    /// The maximum number of names in the message.
    const NAMED: usize = 5;
    const HELP: &str = "correct the entry in settings.protected, or remove it";
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    let removes = plan.removes_anybody();
    // Nobody is looked up for a plan that removes nobody.
    let asked = knows_everybody || removes || plan.groups.iter().any(|group| !group.held.is_empty());
    let unknown = plan.guards.protected.iter().filter(|entry| asked && !people.knows(&entry.person));
    let mut texts: Option<Texts<'_, (&str, MemberId)>> = None;
    for entry in unknown {
        let texts = texts.get_or_insert_with(|| {
            let all = people.addresses().chain(people.ids());
            Texts::new(all.map(|(text, id)| (text, (text, id))))
        });
        let text = typos::written(&entry.person);
        let mut near: Vec<(&str, MemberId)> =
            texts.nearest(text, typos::tolerance(text)).into_iter().map(|(.., found)| found).collect();
        if near.is_empty() {
            // Suggestions have a maximum total cost. Whether there is anybody must be known in any case.
            near.extend(texts.any_near(text, |_| typos::tolerance(text)));
        }
        let message = format!("{} is protected at {}, but is not a member of the account", entry.person, entry.origin);
        let origin = Some(entry.origin.clone());
        if near.is_empty() || !removes {
            warnings.push(PlanWarning::new(message, HELP, origin));
        } else {
            let mut names: Vec<&str> = near.iter().take(NAMED).map(|(text, _)| *text).collect();
            names.dedup();
            let message = format!("{message}; it may mean {}, and the plan removes members", names.join(", "));
            let concerns = near.into_iter().map(|(_, id)| id).collect();
            refusals.push(Refusal { concerns, ..Refusal::new(Guard::Protected, None, &origin, message, HELP) });
        }
    }
    (refusals, warnings)
}
