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
        let (lost, gained) = compare_permissions(&pins.value, summary);
        if lost.is_empty() && gained.is_empty() {
            continue;
        }
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
        let (lost, gained) = compare_permissions(self.permissions.get(&id)?, group);
        (!(lost.is_empty() && gained.is_empty())).then(|| changed_permissions(&lost, &gained))
    }
}

/// The pins that nothing gives, and the grants that no pin names.
pub fn compare_permissions(pins: &[String], group: &GroupSummary) -> (Vec<String>, Vec<String>) {
    let grants = group.grants();
    let lost = pins.iter().filter(|pin| !grants.iter().any(|grant| grant.is(pin))).cloned();
    let gained = grants.iter().filter(|grant| !pins.iter().any(|pin| grant.is(pin))).map(|grant| grant.pin());
    (lost.collect(), gained.collect())
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
    let declared = declared(desired, &People::of(observed));
    let inherited = Inherited::of(observed);
    let mut rows = Vec::new();
    for (id, person) in observed.people.iter().filter(|(_, person)| !person.declined) {
        let grants = inherited.own_grants(*id, person);
        let is_invited = person.status == Some(Status::Pending);
        let standings = [
            (!grants.is_empty(), BesideStanding::Direct),
            (!declared.contains(id), BesideStanding::InNoFile),
            (is_invited, BesideStanding::Invited),
        ];
        for (_, standing) in standings.into_iter().filter(|(applies, _)| *applies) {
            let shown = if standing == BesideStanding::Direct { grants.clone() } else { Vec::new() };
            rows.push(BesideGroups {
                standing,
                person: shown_name(*id, person),
                member_id: *id,
                status: person.status,
                two_factor: person.two_factor,
                grants: shown,
            });
        }
    }
    rows.sort_by(|a, b| (a.standing, &a.person, a.member_id).cmp(&(b.standing, &b.person, b.member_id)));
    rows
}

/// A warning for everybody who has roles or policies of their own, and whom `protected` does not name.
pub fn direct_access(desired: &Desired, observed: &Observed) -> Vec<PlanWarning> {
    let protected: BTreeSet<&PersonRef> = desired.settings.protected.iter().map(|entry| &entry.person).collect();
    let inherited = Inherited::of(observed);
    let warning = |(id, person): (&MemberId, &Person)| {
        let grants = inherited.own_grants(*id, person);
        let mut names = person.emails.iter().cloned().map(PersonRef::Email).chain([PersonRef::Id(*id)]);
        if grants.is_empty() || names.any(|name| protected.contains(&name)) {
            return None;
        }
        let message = format!("{} has access beside the groups: {}", shown_name(*id, person), grants.join(", "));
        let help = "give the access through a group, or name the person in settings.protected";
        Some(PlanWarning { difference: Some(SideDoor::DirectAccess), ..PlanWarning::new(message, help, None) })
    };
    observed.people.iter().filter_map(warning).collect()
}

fn shown_name(id: MemberId, person: &Person) -> Arc<str> {
    person.emails.first().map_or_else(|| id.to_string(), |email| Email::as_str(email).to_owned()).into()
}

/// The policies that members may have from their groups. Whether the API lists those among a member's own policies is
/// not documented, so equal ones do not count.
struct Inherited<'a> {
    observed: &'a Observed,
    of_group: BTreeMap<GroupId, BTreeSet<&'a str>>,
}

impl<'a> Inherited<'a> {
    fn of(observed: &'a Observed) -> Self {
        let contents = |policies: &'a [AccessPolicy]| policies.iter().map(|policy| policy.content.as_str()).collect();
        let of_group = observed.groups.iter().map(|(id, group)| (*id, contents(&group.policies)));
        Self { observed, of_group: of_group.filter(|(_, contents): &(_, BTreeSet<_>)| !contents.is_empty()).collect() }
    }

    fn own_grants(&self, id: MemberId, person: &Person) -> Vec<String> {
        // The members of a group that was not read are not known, so its policies could be anybody's.
        let gives =
            |group: &GroupId| self.observed.memberships.get(group).is_none_or(|members| members.contains_key(&id));
        let inherited = |policy: &AccessPolicy| {
            let mut groups = self.of_group.iter();
            groups.any(|(group, contents)| contents.contains(policy.content.as_str()) && gives(group))
        };
        let own = person.policies.iter().filter(|policy| !inherited(policy));
        let grants: BTreeSet<&Permission> = own.flat_map(|policy| &policy.grants).collect();
        person.roles.iter().cloned().chain(grants.into_iter().map(ToString::to_string)).collect()
    }
}

/// The members whom an entry of any group can mean, at whatever time.
fn declared(desired: &Desired, people: &People<'_>) -> BTreeSet<MemberId> {
    let entries = desired.groups.values().flat_map(|group| &group.members);
    entries.flat_map(|entry| people.may_mean(&entry.person)).collect()
}
