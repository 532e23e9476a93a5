//! The guards: named checks that look at a finished plan and may refuse it.
//!
//! A guard never changes a plan. What it counts is what the operations would do: neither held removals nor groups
//! that are only observed.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::people::People;
use super::typos::{self, Texts};
use super::{Change, GroupGuards, GroupPlan, Plan, PlanGuards, PlanWarning, PlannedTokenUser, Target};
use crate::model::{
    Desired, DesiredGroup, GroupName, Limit, Member, MemberId, Observed, Origin, PersonRef, Protected, Setting,
    Settings, TokenUser, Unmanaged,
};

/// A percentage of one group's members never comes to less than this many removals.
const LEAST_GROUP_REMOVALS: u64 = 1;

/// A percentage of all memberships never comes to less than this many removals.
const LEAST_TOTAL_REMOVALS: u64 = 5;

/// The checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Guard {
    /// More removals from one group than its limit allows.
    GroupRemovals,
    /// More removals in all than the limit allows.
    TotalRemovals,
    /// Somebody protected would be removed.
    Protected,
    /// A group would be left with fewer members than it must have.
    MinMembers,
    /// A group would become empty.
    AllowEmpty,
    /// The account has groups that no file declares.
    UnmanagedGroups,
    /// A pinned group has another name than the file says.
    PinnedName,
    /// The person the token acts for would be removed.
    Oneself,
}

impl Guard {
    /// Whether accepting a plan by its digest lifts the refusal.
    #[must_use]
    pub const fn is_limit(self) -> bool {
        matches!(self, Self::GroupRemovals | Self::TotalRemovals)
    }

    /// The guard's name, as in the files where it has one there.
    #[must_use]
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

/// A guard's objection to a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Refusal {
    pub guard: Guard,
    /// The group; null where it is about the account.
    pub group: Option<GroupName>,
    /// What it objects to, with the figures.
    pub message: String,
    /// How to proceed.
    pub help: String,
    /// What was compared; null where nothing was.
    pub figures: Option<Figures>,
    /// Where the bound was set; null for a default.
    pub origin: Option<Origin>,
}

/// What a guard compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Figures {
    /// What the plan comes to.
    pub planned: u64,
    /// What is allowed: the most for removals, the least for members.
    pub allowed: u64,
    /// The memberships a share was taken of, or that are there now.
    pub present: u64,
}

impl GroupGuards {
    /// The guards of a declared group.
    #[must_use]
    pub fn of(group: &DesiredGroup, settings: &Settings) -> Self {
        // Where nothing is said about it, the list of members is what would leave the group empty.
        let origin = group.allow_empty.origin.clone().or_else(|| Some(group.members_origin.clone()));
        Self {
            min_members: group.min_members.clone(),
            allow_empty: Setting { value: group.allow_empty.value, origin },
            group_removals: group.group_removals.as_ref().unwrap_or(&settings.limits.group_removals).clone(),
        }
    }

    /// The guards of a group that no file declares: only the limit holds.
    #[must_use]
    pub fn undeclared(settings: &Settings) -> Self {
        let group_removals = settings.limits.group_removals.clone();
        Self { min_members: None, allow_empty: Setting::preset(true), group_removals }
    }

    /// How many of so many members may be removed.
    #[must_use]
    pub fn removals_allowed(&self, present: u64) -> u64 {
        self.group_removals.value.allows(present, LEAST_GROUP_REMOVALS)
    }

    /// The fewest members that removals may leave, at every moment.
    #[must_use]
    pub fn least(&self) -> u64 {
        let least = self.min_members.as_ref().map_or(0, |least| least.value);
        least.max(u64::from(!self.allow_empty.value))
    }
}

impl PlanGuards {
    /// How many of so many memberships may be removed in all.
    #[must_use]
    pub fn removals_allowed(&self, present: u64) -> u64 {
        self.total_removals.value.allows(present, LEAST_TOTAL_REMOVALS)
    }

    #[must_use]
    pub fn of(settings: &Settings) -> Self {
        Self {
            total_removals: settings.limits.total_removals.clone(),
            protected: settings.protected.clone(),
            token_user: None,
        }
    }
}

/// The guards over what the operations would do.
pub(super) fn check_operations(plan: &mut Plan, people: &People<'_>) {
    let mut refusals = operation_refusals(plan, people);
    let (doubts, warnings) = unknown_protected(plan, people);
    refusals.extend(doubts);
    plan.warnings.extend(warnings);
    plan.refusals.extend(refusals);
    sort(plan);
}

/// What the guards object to that can be judged from the members of the planned groups alone.
pub(super) fn operation_refusals(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    let mut refusals = protected(plan, people);
    refusals.extend(total_removals(plan));
    for group in &plan.groups {
        refusals.extend(group_removals(group));
        refusals.extend(min_members(group));
        refusals.extend(allow_empty(group));
    }
    refusals
}

/// The guards over how the files and the account fit together.
pub(super) fn check_account(
    plan: &mut Plan,
    desired: &Desired,
    current: &Observed,
    targets: &BTreeMap<GroupName, Target>,
) {
    plan.refusals.extend(pinned_names(desired, current, targets));
    plan.refusals.extend(unmanaged_groups(plan, desired));
    sort(plan);
}

/// Refuses to remove the user that the token acts for, found by user id or by any of their addresses; records for a
/// saved plan which members that user is.
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
        .map(|(group, change)| Refusal {
            guard: Guard::Oneself,
            group: Some(group.name.clone()),
            message: format!("{}, whom the token acts for, would be removed", shown(&change.member)),
            figures: None,
            origin: Some(group.origin.clone()),
            help: "run with somebody else's token or an account-owned one, or say --accept-self".into(),
        })
        .collect();
    if plan.removes_anybody() {
        let members = members.into_iter().collect();
        plan.guards.token_user = Some(PlannedTokenUser { user_id: user.user_id.clone(), members });
    }
    plan.refusals.extend(refusals);
    sort(plan);
}

/// What is about one group stands with it, in the order of names; what is about the account comes last.
pub(super) fn sort(plan: &mut Plan) {
    plan.refusals.sort_by(|a, b| {
        let key = |refusal: &Refusal| (refusal.group.is_none(), refusal.group.clone(), refusal.guard);
        key(a).cmp(&key(b)).then_with(|| a.message.cmp(&b.message))
    });
}

fn group_removals(group: &GroupPlan) -> Option<Refusal> {
    let limit = &group.guards.group_removals;
    let figures = exceeded(group.removals().count(), group.observed.len(), |n| group.guards.removals_allowed(n))?;
    Some(Refusal {
        guard: Guard::GroupRemovals,
        group: Some(group.name.clone()),
        message: format!(
            "{} of {} members would be removed, at most {} may be ({})",
            figures.planned,
            figures.present,
            figures.allowed,
            source(limit)
        ),
        figures: Some(figures),
        origin: limit.origin.clone(),
        help: "if every one of these removals is meant, accept this very plan by its digest".into(),
    })
}

/// Asked only where several groups lose members: of one group its own limit speaks.
fn total_removals(plan: &Plan) -> Option<Refusal> {
    let limit = &plan.guards.total_removals;
    if !plan.removes_from_several_groups() {
        return None;
    }
    let removals = plan.groups.iter().map(|group| group.removals().count()).sum();
    let present = plan.groups.iter().map(|group| group.observed.len()).sum();
    let figures = exceeded(removals, present, |present| plan.guards.removals_allowed(present))?;
    Some(Refusal {
        guard: Guard::TotalRemovals,
        group: None,
        message: format!(
            "{} of {} memberships would be removed in total, at most {} may be ({})",
            figures.planned,
            figures.present,
            figures.allowed,
            source(limit)
        ),
        figures: Some(figures),
        origin: limit.origin.clone(),
        help: "if every one of these removals is meant, accept this very plan by its digest".into(),
    })
}

fn exceeded(removals: usize, present: usize, allowed: impl Fn(u64) -> u64) -> Option<Figures> {
    let (planned, present) = (removals as u64, present as u64);
    let allowed = allowed(present);
    (planned > allowed).then_some(Figures { planned, allowed, present })
}

fn source(limit: &Setting<Limit>) -> String {
    match &limit.origin {
        Some(origin) => format!("the limit is {}, set at {origin}", limit.value),
        None => format!("the limit is {}, the default", limit.value),
    }
}

fn protected(plan: &Plan, people: &People<'_>) -> Vec<Refusal> {
    let mut protected: BTreeMap<MemberId, &Protected> = BTreeMap::new();
    for entry in &plan.guards.protected {
        let ids = match &entry.person {
            PersonRef::Id(id) => vec![*id],
            PersonRef::Email(email) => people.with_email(email),
        };
        ids.into_iter().for_each(|id| {
            protected.entry(id).or_insert(entry);
        });
    }
    let removed = plan.groups.iter().flat_map(|group| group.removals().map(move |change| (group, change)));
    removed
        .filter_map(|(group, change)| Some((group, change, *protected.get(&change.member.id)?)))
        .map(|(group, change, entry)| protected_removal(group, change, entry))
        .collect()
}

/// Protected entries that name nobody in the account. Where somebody is removed and an entry may mean a member, it
/// refuses the plan: the person it is to protect may be the one who is removed.
fn unknown_protected(plan: &Plan, people: &People<'_>) -> (Vec<Refusal>, Vec<PlanWarning>) {
    /// More names than this would drown the message.
    const NAMED: usize = 5;
    let (mut refusals, mut warnings) = (Vec::new(), Vec::new());
    let removes = plan.removes_anybody();
    let holds = plan.groups.iter().any(|group| !group.held.is_empty());
    let unknown = plan.guards.protected.iter().filter(|entry| (removes || holds) && !people.knows(&entry.person));
    let mut texts: Option<Texts<'_, ()>> = None;
    for entry in unknown {
        let texts = texts.get_or_insert_with(|| {
            let (addresses, ids) = (people.addresses(), people.ids());
            Texts::new(addresses.chain(ids).map(|(text, _)| (text, ())))
        });
        let text = typos::written(&entry.person);
        let near = texts.nearest(text, typos::tolerance(text));
        let message = format!("{} is protected at {}, and no member of the account", entry.person, entry.origin);
        let origin = Some(entry.origin.clone());
        let mut names: Vec<&str> = near.iter().take(NAMED).map(|(_, text, ())| *text).collect();
        names.dedup();
        if names.is_empty() || !removes {
            let help = "correct settings.protected, or take the entry out".into();
            warnings.push(PlanWarning { message, help, origin });
        } else {
            let message = format!("{message}; it may mean {}, and the plan removes members", names.join(", "));
            let help = "correct settings.protected, or take the entry out".into();
            refusals.push(Refusal { guard: Guard::Protected, group: None, message, help, figures: None, origin });
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
    Refusal {
        guard: Guard::Protected,
        group: Some(group.name.clone()),
        message: format!("{subject} would be removed, and is protected at {}", protected.origin),
        figures: None,
        origin: Some(protected.origin.clone()),
        help: "keep them in the group's list, or take them off settings.protected first".into(),
    }
}

fn min_members(group: &GroupPlan) -> Option<Refusal> {
    let least = group.guards.min_members.as_ref()?;
    let (left, present) = (group.members_left() as u64, group.observed.len() as u64);
    if group.operations.is_empty() || left >= least.value {
        return None;
    }
    let place = least.origin.as_ref().map(|origin| format!(", set at {origin}")).unwrap_or_default();
    Some(Refusal {
        guard: Guard::MinMembers,
        group: Some(group.name.clone()),
        message: format!("{left} members would be left, at least {} must be{place}", least.value),
        figures: Some(Figures { planned: left, allowed: least.value, present }),
        origin: least.origin.clone(),
        help: "declare more members, or lower min_members".into(),
    })
}

fn allow_empty(group: &GroupPlan) -> Option<Refusal> {
    if group.guards.allow_empty.value || group.operations.is_empty() || group.members_left() > 0 {
        return None;
    }
    let present = group.observed.len() as u64;
    Some(Refusal {
        guard: Guard::AllowEmpty,
        group: Some(group.name.clone()),
        message: format!("nobody would be left of {present} members"),
        figures: Some(Figures { planned: 0, allowed: 1, present }),
        origin: group.guards.allow_empty.origin.clone(),
        help: "if the group is to be empty, say so: allow_empty: true".into(),
    })
}

/// Looks at every pinned group, also one whose members could not be read.
fn pinned_names(desired: &Desired, current: &Observed, targets: &BTreeMap<GroupName, Target>) -> Vec<Refusal> {
    let mut refusals = Vec::new();
    for name in targets.keys() {
        let Some(pin) = desired.groups.get(name).and_then(|group| group.pin.as_ref()) else { continue };
        let Some(present) = current.groups.get(&pin.value).map(|group| &group.name) else { continue };
        if present != name {
            refusals.push(Refusal {
                guard: Guard::PinnedName,
                group: Some(name.clone()),
                message: format!("the pinned group {} is called {:?} in the account", pin.value, present.as_str()),
                figures: None,
                origin: pin.origin.clone(),
                help: "make sure that it is the group you mean, then rename it in the file or in the account".into(),
            });
        }
    }
    refusals
}

fn unmanaged_groups(plan: &Plan, desired: &Desired) -> Option<Refusal> {
    /// More names than this would drown the message; the plan lists them all.
    const NAMED: usize = 5;
    let setting = &desired.settings.unmanaged_groups;
    if setting.value != Unmanaged::Refuse || plan.unmanaged_groups.is_empty() {
        return None;
    }
    let count = plan.unmanaged_groups.len();
    let mut names: Vec<String> =
        plan.unmanaged_groups.iter().take(NAMED).map(|group| format!("{:?}", group.name.as_str())).collect();
    if count > NAMED {
        names.push(format!("{} more", count - NAMED));
    }
    let noun = if count == 1 { "group of the account is" } else { "groups of the account are" };
    Some(Refusal {
        guard: Guard::UnmanagedGroups,
        group: None,
        message: format!("{count} {noun} declared in no file: {}", names.join(", ")),
        figures: None,
        origin: setting.origin.clone(),
        help: "declare them (export writes them as files), or set unmanaged_groups to report".into(),
    })
}
