//! The guards: named checks of a finished plan that can refuse it.
//!
//! A guard never changes a plan. It counts the effects of the operations, without held removals and observed groups.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::contents::{Change, GroupPlan, Plan, PlanWarning};
use super::inputs::locate_groups;
use super::people::People;
use crate::model::typos::{self, Texts};
use crate::model::{
    Desired, DesiredGroup, GroupId, GroupName, GroupSummary, Limit, Member, MemberId, Observed, Origin, PersonRef,
    Protected, Setting, Settings, TokenUser, Unmanaged, UserId,
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

    /// The guard's name, which is the key in the files if there is one.
    pub const fn name(self) -> &'static str {
        match self {
            Self::GroupRemovals => "group_removals",
            Self::TotalRemovals => "total_removals",
            Self::Protected => "protected",
            Self::MinMembers => "min_members",
            Self::AllowEmpty => "allow_empty",
            Self::UnmanagedGroups => "unmanaged_groups",
            Self::PinnedName => "pinned_name",
            Self::Oneself => "oneself",
        }
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
    fn new(guard: Guard, group: Option<&GroupName>, message: String, help: &str) -> Self {
        let (group, help) = (group.cloned(), help.into());
        Self { guard, group, message, help, figures: None, origin: None, concerns: Vec::new() }
    }

    /// The reason with the guard's name and the place of the setting.
    pub(super) fn reason(&self) -> String {
        let place = self.origin.as_ref().filter(|origin| !self.message.contains(&origin.to_string()));
        let place = place.map(|origin| format!(" ({origin})")).unwrap_or_default();
        format!("{}: {}{place}", self.guard.name(), self.message)
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
        let (min_members, allow_empty) = match group {
            None => (None, Setting::preset(true)),
            Some(group) => {
                // Without an `allow_empty`, the list of members is the cause of an empty group.
                let origin = group.allow_empty.origin.clone().or_else(|| Some(group.members_origin.clone()));
                (group.min_members.clone(), Setting { value: group.allow_empty.value, origin })
            }
        };
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
}

pub(super) fn check_operations(plan: &mut Plan, people: &People<'_>, knows_everybody: bool) {
    let mut refusals = operation_refusals(plan, people);
    let (doubts, warnings) = unknown_protected(plan, people, knows_everybody);
    refusals.extend(doubts);
    plan.warnings.extend(warnings);
    plan.refusals.extend(refusals);
    sort(plan);
}

/// The refusals to remove protected people, and people whom a mistyped entry of `protected` may mean.
pub(super) fn protection(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    protected(plan, people).into_iter().chain(unknown_protected(plan, people, false).0).collect()
}

/// The refusals that need only the members of the planned groups.
pub(super) fn operation_refusals(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    let mut refusals = protected(plan, people);
    refusals.extend(limits(plan));
    for group in &plan.groups {
        refusals.extend(min_members(group));
        refusals.extend(allow_empty(group));
    }
    refusals
}

/// Which of `min_members` and `allow_empty` refuses the changes of a group.
pub(super) fn too_few(group: &GroupPlan) -> Option<Refusal> {
    min_members(group).or_else(|| allow_empty(group))
}

/// The number of removals that one run of `--due` makes, in words.
pub(super) fn cap(guards: &PlanGuards) -> String {
    let limit = &guards.total_removals;
    let place = limit.origin.as_ref().map(|origin| format!(", set at {origin}")).unwrap_or_default();
    let most = match guards.removals_allowed() {
        0 => "no run makes removals".to_owned(),
        1 => "one run makes at most 1 removal".to_owned(),
        most => format!("one run makes at most {most} removals"),
    };
    format!("{most} (total_removals: {}{place})", limit.value)
}

fn limits(plan: &Plan) -> impl Iterator<Item = Refusal> {
    total_removals(plan).into_iter().chain(plan.groups.iter().filter_map(group_removals))
}

/// The pins of these groups.
pub(super) fn pins<'n>(
    rules: &Desired,
    groups: impl Iterator<Item = &'n GroupName>,
) -> BTreeMap<GroupId, Setting<GroupName>> {
    let pins = groups.filter_map(|name| Some((name, rules.groups.get(name)?.pin.as_ref()?)));
    pins.map(|(name, pin)| (pin.value, Setting { value: name.clone(), origin: pin.origin.clone() })).collect()
}

/// Checks how the files and the account fit together. Records what a saved plan needs to ask it again.
pub(super) fn check_account(plan: &mut Plan, desired: &Desired, current: &Observed) {
    let setting = &desired.settings.unmanaged_groups;
    if setting.value == Unmanaged::Refuse {
        let (mut ids, mut names) = (BTreeSet::new(), BTreeSet::new());
        for (name, found) in locate_groups(desired, current, |_| true) {
            match found {
                Ok(id) => drop(ids.insert(id)),
                Err(_) => drop(names.insert(name)),
            }
        }
        plan.guards.managed = Some(ManagedGroups { ids, names, origin: setting.origin.clone() });
    }
    plan.warnings.extend(unnamed(plan, &current.groups));
    plan.refusals.extend(account_refusals(plan, &current.groups));
    sort(plan);
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
        Refusal { origin: pin.origin.clone(), ..Refusal::new(Guard::PinnedName, Some(&pin.value), message, help) }
    });
    renamed.chain(plan.guards.managed.as_ref().and_then(|managed| unmanaged_groups(managed, groups))).collect()
}

impl Plan {
    /// Which other groups of the account refuse the plan, if the settings say so.
    pub fn refused_by(&self, groups: &BTreeMap<GroupId, GroupSummary>) -> Option<String> {
        self.guards.managed.as_ref().and_then(|managed| unmanaged_groups(managed, groups)).map(|it| it.reason())
    }
}

/// Refuses to remove the user of the token, found by user id or by any of their addresses. Records the user's members
/// for a saved plan.
pub(super) fn check_token_user(plan: &mut Plan, current: &Observed, people: &People<'_>) {
    let TokenUser::Known(user) = &current.token_user else { return };
    let mut members: BTreeSet<MemberId> = people.of_user(&user.user_id).collect();
    members.extend(user.email.iter().flat_map(|email| people.with_email(email)));
    if let Some(planned) = plan.guards.token_user.take_if(|planned| planned.user_id == user.user_id) {
        members.extend(planned.members);
    }
    let shown = |member: &Member| match member.email.as_ref().or(user.email.as_ref()) {
        Some(email) => email.to_string(),
        None => member.id.to_string(),
    };
    let removed = plan.groups.iter().flat_map(|group| group.removals().map(move |change| (group, change)));
    let refusals: Vec<Refusal> = removed
        .filter(|(_, change)| members.contains(&change.member.id))
        .map(|(group, change)| {
            let message = format!("{}, the user of the token, would be removed", shown(&change.member));
            let help = "use another user's token or an account-owned token, or pass --accept-self";
            let refusal = Refusal::new(Guard::Oneself, Some(&group.name), message, help);
            Refusal { concerns: vec![change.member.id], origin: Some(group.origin.clone()), ..refusal }
        })
        .collect();
    if plan.removes_anybody() {
        let members = members.into_iter().collect();
        plan.guards.token_user = Some(PlannedTokenUser { user_id: user.user_id.clone(), members });
    }
    plan.refusals.extend(refusals);
    sort(plan);
}

/// Sorts refusals by group. Those that concern the account come last.
pub(super) fn sort(plan: &mut Plan) {
    plan.refusals.sort_by(|a, b| {
        let key = |refusal: &Refusal| (refusal.group.is_none(), refusal.group.clone(), refusal.guard);
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
}

fn group_removals(group: &GroupPlan) -> Option<Refusal> {
    let present = group.observed.len() as u64;
    let figures = exceeded(group.counted_removals().count(), present, group.guards.removals_allowed(present))?;
    let what = format!("{} of {present} members would be removed", figures.planned);
    let refusal = over_limit(Guard::GroupRemovals, figures, &what, &group.guards.group_removals);
    Some(Refusal { group: Some(group.name.clone()), ..refusal })
}

/// Checked only if several groups lose members. One group has its own limit.
fn total_removals(plan: &Plan) -> Option<Refusal> {
    if !plan.removes_from_several_groups() {
        return None;
    }
    let removals = plan.groups.iter().map(|group| group.counted_removals().count()).sum();
    let figures = exceeded(removals, plan.guards.declared, plan.guards.removals_allowed())?;
    let what = format!("{} memberships would be removed in total", figures.planned);
    Some(over_limit(Guard::TotalRemovals, figures, &what, &plan.guards.total_removals))
}

fn over_limit(guard: Guard, figures: Figures, what: &str, limit: &Setting<Limit>) -> Refusal {
    let of = match (guard, limit.value) {
        (Guard::TotalRemovals, Limit::Percent { .. }) => format!(" of {} declared", figures.present),
        _ => String::new(),
    };
    let source = match &limit.origin {
        Some(origin) => format!("{}{of}, set at {origin}", limit.value),
        None => format!("{}{of}, the default", limit.value),
    };
    let message = format!("{what}, but the limit allows at most {} ({source})", figures.allowed);
    let help = "if you intend all of these removals, pass the digest of this plan with --accept";
    Refusal { figures: Some(figures), origin: limit.origin.clone(), ..Refusal::new(guard, None, message, help) }
}

fn exceeded(removals: usize, present: u64, allowed: u64) -> Option<Figures> {
    let planned = removals as u64;
    (planned > allowed).then_some(Figures { planned, allowed, present })
}

fn protected(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    let mut protected: BTreeMap<MemberId, &Protected> = BTreeMap::new();
    for entry in &plan.guards.protected {
        for id in people.may_mean(&entry.person) {
            protected.entry(id).or_insert(entry);
        }
    }
    let removed = plan.groups.iter().flat_map(|group| group.removals().map(move |change| (group, change)));
    removed
        .filter_map(|(group, change)| Some((group, change, *protected.get(&change.member.id)?)))
        .map(|(group, change, entry)| protected_removal(group, change, entry))
        .collect()
}

/// Checks `protected` entries that match no member of the account. If the plan removes anybody and the entry may mean
/// a member, the plan is refused, because the removed person may be the protected one.
fn unknown_protected(plan: &Plan, people: &People<'_>, knows_everybody: bool) -> (Vec<Refusal>, Vec<PlanWarning>) {
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
        let near = texts.nearest(text, typos::tolerance(text));
        // Suggestions have a maximum total cost. Whether there is anybody must be known in any case.
        let first = || texts.any_near(text, |_| typos::tolerance(text));
        let message = format!("{} is protected at {}, but is not a member of the account", entry.person, entry.origin);
        let origin = Some(entry.origin.clone());
        let mut names: Vec<&str> = near.iter().take(NAMED).map(|(_, text, _)| *text).collect();
        names.dedup();
        let mut concerns: Vec<MemberId> = near.iter().map(|(.., (_, id))| *id).collect();
        if let Some((text, id)) = names.is_empty().then(first).flatten() {
            names.push(text);
            concerns.push(id);
        }
        if names.is_empty() || !removes {
            warnings.push(PlanWarning::new(message, HELP, origin));
        } else {
            let message = format!("{message}; it may mean {}, and the plan removes members", names.join(", "));
            refusals.push(Refusal { origin, concerns, ..Refusal::new(Guard::Protected, None, message, HELP) });
        }
    }
    (refusals, warnings)
}

fn protected_removal(group: &GroupPlan, change: &Change, protected: &Protected) -> Refusal {
    let subject = match &change.member.email {
        Some(email) if PersonRef::Email(email.clone()) != protected.person => {
            format!("{email} (protected as {})", protected.person)
        }
        _ => protected.person.to_string(),
    };
    let message = format!("{subject} would be removed, but is protected at {}", protected.origin);
    let help = "keep the person in the group's list, or remove the person from settings.protected first";
    let refusal = Refusal::new(Guard::Protected, Some(&group.name), message, help);
    Refusal { concerns: vec![change.member.id], origin: Some(protected.origin.clone()), ..refusal }
}

fn min_members(group: &GroupPlan) -> Option<Refusal> {
    let least = group.guards.min_members.as_ref()?;
    let (left, present) = (group.members_left() as u64, group.observed.len() as u64);
    if group.operations.is_empty() || left >= least.value {
        return None;
    }
    let place = least.origin.as_ref().map(|origin| format!(", set at {origin}")).unwrap_or_default();
    let message = format!("only {left} would remain, and min_members is {}{place}", least.value);
    let help = "declare more members, or lower min_members";
    Some(Refusal {
        figures: Some(Figures { planned: left, allowed: least.value, present }),
        origin: least.origin.clone(),
        ..Refusal::new(Guard::MinMembers, Some(&group.name), message, help)
    })
}

fn allow_empty(group: &GroupPlan) -> Option<Refusal> {
    if group.guards.allow_empty.value || group.operations.is_empty() || group.members_left() > 0 {
        return None;
    }
    let present = group.observed.len() as u64;
    let message = format!("the group would be empty (members now: {present})");
    let help = "if you intend an empty group, set allow_empty: true";
    Some(Refusal {
        figures: Some(Figures { planned: 0, allowed: 1, present }),
        origin: group.guards.allow_empty.origin.clone(),
        ..Refusal::new(Guard::AllowEmpty, Some(&group.name), message, help)
    })
}

/// Warnings about pinned groups whose names the account does not show.
fn unnamed(plan: &Plan, groups: &BTreeMap<GroupId, GroupSummary>) -> Vec<PlanWarning> {
    let is_unnamed = |id: &GroupId| groups.get(id).is_some_and(|group| group.name.as_str().is_empty());
    let unnamed = plan.guards.pins.iter().filter(|(id, _)| is_unnamed(id));
    let warning = |(id, pin): (&GroupId, &Setting<GroupName>)| {
        let message = format!("the account shows no name for the group {id}, so the name is not checked");
        PlanWarning::new(message, "give the group a name in the account, or rely on its pinned id", pin.origin.clone())
    };
    unnamed.map(warning).collect()
}

fn unmanaged_groups(managed: &ManagedGroups, groups: &BTreeMap<GroupId, GroupSummary>) -> Option<Refusal> {
    /// The maximum number of names in the message. The plan lists them all.
    const NAMED: usize = 5;
    let is_other =
        |(id, group): &(&GroupId, &GroupSummary)| !managed.ids.contains(id) && !managed.names.contains(&group.name);
    let mut others: Vec<(&GroupName, &GroupId)> =
        groups.iter().filter(is_other).map(|(id, group)| (&group.name, id)).collect();
    others.sort_unstable();
    if others.is_empty() {
        return None;
    }
    let count = others.len();
    let shown = |(name, id): &(&GroupName, &GroupId)| match name.as_str() {
        "" => id.to_string(),
        name => format!("{name:?}"),
    };
    let mut names: Vec<String> = others.iter().take(NAMED).map(shown).collect();
    if count > NAMED {
        names.push(format!("{} more", count - NAMED));
    }
    let noun = if count == 1 { "group of the account is" } else { "groups of the account are" };
    let message = format!("{count} {noun} not declared in any file: {}", names.join(", "));
    let help = "declare them (`convoke export` writes the files), or set unmanaged_groups to report";
    Some(Refusal { origin: managed.origin.clone(), ..Refusal::new(Guard::UnmanagedGroups, None, message, help) })
}
