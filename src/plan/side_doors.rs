//! Access that the lists of members do not decide: permissions of groups other than the pinned ones; roles and policies
//! of members' own; members in no file; invitations.
//!
//! Nobody joins a group that gives something else than the files pin. Removals are made, because they only take access
//! away. A person who moves to such a group keeps the old one until the move is possible, unless their time there has
//! ended.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::blocked::{Blocked, BlockedReason, changed_permissions};
use super::contents::{Plan, PlanWarning};
use super::people::People;
use crate::model::{
    AccessPolicy, Desired, Email, GroupId, GroupSummary, MemberId, Mode, Observed, Origin, Permission, Person,
    PersonRef, Status,
};

/// A difference beside the memberships.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SideDoor {
    /// A group gives other permissions than the files pin.
    Permissions,
    /// A person has roles or policies beside their groups.
    DirectAccess,
}

/// Blocks the additions to groups whose permissions differ from their pins, and warns of each such group.
pub(super) fn check_permissions(rules: &Desired, current: &Observed, plan: &mut Plan) {
    let mut movers: BTreeMap<MemberId, Origin> = BTreeMap::new();
    for group in &mut plan.groups {
        let pins = rules.groups.get(&group.name).and_then(|declared| declared.permissions.as_ref());
        let (Some(pins), Some(summary)) = (pins, current.groups.get(&group.id)) else { continue };
        let Some((lost, gained)) = compare_permissions(&pins.value, summary) else { continue };
        let message = format!("{} {}", group.name, changed_permissions(&lost, &gained));
        let help = "find out who changed the group's policies, then correct them or `permissions`; \
                    `convoke export --permissions` writes the present ones";
        let warning = PlanWarning::new(message, help, pins.origin.clone());
        plan.warnings.push(PlanWarning { difference: Some(SideDoor::Permissions), ..warning });
        if group.mode == Mode::Observe {
            continue;
        }
        for join in group.take_additions(|_| true) {
            let reason = BlockedReason::Permissions { lost: lost.clone(), gained: gained.clone() };
            let person = Some(join.member.person());
            plan.blocked.push(Blocked::new(&group.name, group.mode, person, &join.origin, reason));
            movers.entry(join.member.id).or_insert(join.origin);
        }
    }
    for group in &mut plan.groups {
        group.hold(|change| movers.get(&change.member.id).filter(|_| change.expired.is_none()).cloned());
    }
    plan.blocked.sort_by(|a, b| a.group.cmp(&b.group));
}

pub(super) fn pins(desired: &Desired, plan: &Plan) -> BTreeMap<GroupId, Vec<String>> {
    let joined = plan.groups.iter().filter(|group| group.additions().next().is_some());
    let pins = joined.filter_map(|group| Some((group.id, desired.groups.get(&group.name)?.permissions.as_ref()?)));
    pins.map(|(id, pins)| (id, pins.value.clone())).collect()
}

impl Plan {
    /// How a group's permissions differ from the pins that the plan was made with, in words.
    pub fn changed_permissions(&self, id: GroupId, group: &GroupSummary) -> Option<String> {
        let (lost, gained) = compare_permissions(self.permissions.get(&id)?, group)?;
        Some(changed_permissions(&lost, &gained))
    }
}

/// The pins that nothing gives, and the grants that no pin names, if there are any.
pub fn compare_permissions(pins: &[String], group: &GroupSummary) -> Option<(Vec<String>, Vec<String>)> {
    let grants = group.grants();
    let lost = pins.iter().filter(|pin| !grants.iter().any(|grant| grant.is(pin))).cloned();
    let gained = grants.iter().filter(|grant| !pins.iter().any(|pin| grant.is(pin))).map(|grant| grant.pin());
    let (lost, gained): (Vec<String>, Vec<String>) = (lost.collect(), gained.collect());
    (!(lost.is_empty() && gained.is_empty())).then_some((lost, gained))
}

/// A member of the account who is worth a look, whatever the groups say.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct BesideGroups {
    pub standing: BesideStanding,
    /// The address, or the id if there is none.
    pub person: Arc<str>,
    pub member_id: MemberId,
    /// The state of the invitation; null if the API does not report it.
    pub status: Option<Status>,
    /// Whether two-factor authentication is on; null if the API does not report it.
    pub two_factor: Option<bool>,
    /// Roles, and permission groups of policies as `NAME` or `NAME on RESOURCE`; only for `direct`.
    pub grants: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BesideStanding {
    /// The member has roles or policies that come from no group.
    Direct,
    /// No file names the member in any group.
    InNoFile,
    Invited,
}

impl fmt::Display for BesideStanding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.serialize(f)
    }
}

/// Everybody with access beside the groups, by standing and person. The account's members must have been read.
pub(super) fn beside_groups(desired: &Desired, observed: &Observed) -> Vec<BesideGroups> {
    let people = People::of(observed);
    // Whom an entry of any group can mean, at whatever time.
    let entries = desired.groups.values().flat_map(|group| &group.members);
    let declared: BTreeSet<MemberId> = entries.flat_map(|entry| people.may_mean(&entry.person)).collect();
    let mut rows = Vec::new();
    for (id, person, grants) in own_grants(observed).filter(|(_, person, _)| !person.declined) {
        let mut add = |standing, grants| {
            rows.push(BesideGroups {
                standing,
                person: shown_name(id, person),
                member_id: id,
                status: person.status,
                two_factor: person.two_factor,
                grants,
            });
        };
        if !grants.is_empty() {
            add(BesideStanding::Direct, grants);
        }
        if !declared.contains(&id) {
            add(BesideStanding::InNoFile, Vec::new());
        }
        if person.status == Some(Status::Pending) {
            add(BesideStanding::Invited, Vec::new());
        }
    }
    rows.sort_by(|a, b| (a.standing, &a.person, a.member_id).cmp(&(b.standing, &b.person, b.member_id)));
    rows
}

/// A warning for everybody who has roles or policies of their own, and whom `protected` does not name.
pub fn direct_access(desired: &Desired, observed: &Observed) -> Vec<PlanWarning> {
    let protected: BTreeSet<&PersonRef> = desired.settings.protected.iter().map(|entry| &entry.person).collect();
    let mut warnings = Vec::new();
    for (id, person, grants) in own_grants(observed) {
        let mut names = person.emails.iter().cloned().map(PersonRef::Email).chain([PersonRef::Id(id)]);
        if !grants.is_empty() && !names.any(|name| protected.contains(&name)) {
            let message = format!("{} has access beside the groups: {}", shown_name(id, person), grants.join(", "));
            let help = "give the access through a group, or name the person in settings.protected";
            let warning = PlanWarning::new(message, help, None);
            warnings.push(PlanWarning { difference: Some(SideDoor::DirectAccess), ..warning });
        }
    }
    warnings
}

fn shown_name(id: MemberId, person: &Person) -> Arc<str> {
    person.emails.first().map_or_else(|| id.as_str(), Email::as_str).into()
}

/// The account's members with their own roles and policies. Whether the API lists the policies of groups among those of
/// their members is not documented, so equal ones do not count.
fn own_grants(observed: &Observed) -> impl Iterator<Item = (MemberId, &Person, Vec<String>)> {
    let mut givers: BTreeMap<&str, Vec<&GroupId>> = BTreeMap::new();
    for (id, group) in &observed.groups {
        for policy in &group.policies {
            givers.entry(&policy.content).or_default().push(id);
        }
    }
    observed.people.iter().map(move |(id, person)| {
        let is_inherited = |policy: &AccessPolicy| {
            let mut givers = givers.get(policy.content.as_str()).into_iter().flatten();
            // The members of a group that was not read are not known, so its policies could be anybody's.
            givers.any(|group| observed.memberships.get(group).is_none_or(|members| members.contains_key(id)))
        };
        let own = person.policies.iter().filter(|policy| !is_inherited(policy));
        let grants: BTreeSet<&Permission> = own.flat_map(|policy| &policy.grants).collect();
        let grants = person.roles.iter().cloned().chain(grants.into_iter().map(ToString::to_string));
        (*id, person, grants.collect())
    })
}
