//! Why a person is in a group, should be, or is not: the person's groups with the lines that declare them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::people::People;
use super::typos::{Texts, tolerance, written};
use super::{Action, BlockedReason, GroupPlan, Plan, locate_groups};
use crate::model::{
    Desired, DesiredGroup, GroupId, GroupName, Member, MemberId, Mode, Observed, Origin, PersonRef, RosterUse,
    RunStatus, Window,
};

/// The version of the JSON form.
const FORMAT_VERSION: u32 = 1;

/// The maximum number of similar people to suggest.
const MOST_SIMILAR: usize = 5;

/// All facts about a person in the files and the account. Its JSON is the output of `why --format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    pub format_version: u32,
    pub status: RunStatus,
    /// The requested person.
    #[serde(serialize_with = "as_text")]
    pub person: PersonRef,
    /// The requested group; null for all groups.
    pub group: Option<GroupName>,
    /// The matching account members: none, or several if an address is ambiguous.
    pub members: Vec<Member>,
    /// If neither the account nor the files know the person: up to five similar addresses or ids, the nearest first.
    pub similar: Vec<String>,
    /// Every group the person is in or is declared for, by name.
    pub groups: Vec<WhyGroup>,
    /// The requested groups whose members cannot be read. Whether the person is in them is unknown.
    pub unreadable: Vec<UnreadableGroup>,
    /// The requests sent to the API.
    pub requests: Option<u64>,
}

/// A group whose members cannot be read.
#[derive(Clone, Debug, Serialize)]
pub struct UnreadableGroup {
    pub name: GroupName,
    pub id: GroupId,
    /// The API's reason.
    pub cause: String,
}

/// A group that a person is in or is declared for.
#[derive(Clone, Debug, Serialize)]
pub struct WhyGroup {
    pub name: GroupName,
    /// Null if the account does not have the group.
    pub id: Option<GroupId>,
    /// Null if no file declares the group.
    pub mode: Option<Mode>,
    /// Whether the person is in it now.
    pub present: bool,
    #[serde(flatten)]
    pub standing: Standing,
    /// The lines that name the person.
    pub claims: Vec<Claim>,
}

/// The state of a person's membership.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "standing", content = "blocked", rename_all = "snake_case")]
pub enum Standing {
    Member,
    /// Declared, and to be added.
    Joins,
    /// Declared and not in the group, which is only observed.
    Missing,
    /// Not declared, and to be removed.
    Leaves,
    /// Not declared but in the group, which is only observed.
    Unexpected,
    /// Not declared, and in the group until blocked entries are resolved.
    Held,
    /// Not declared; stays, because the group is additive.
    Additional,
    /// In a group that no file declares.
    Unmanaged,
    /// Declared for another time.
    NotNow,
    /// Declared, but cannot be applied.
    Blocked(String),
}

/// A line that names a person.
#[derive(Clone, Debug, Serialize)]
pub struct Claim {
    #[serde(flatten)]
    pub origin: Origin,
    /// The rosters between the group and the line.
    #[serde(serialize_with = "roster_names")]
    pub via: Arc<[RosterUse]>,
    #[serde(flatten)]
    pub window: Window,
    /// The reason in the file.
    pub reason: Option<Arc<str>>,
    /// Whether the entry applies at the requested time.
    pub holds: bool,
}

fn as_text<S: Serializer>(person: &PersonRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(person)
}

fn roster_names<S: Serializer>(via: &[RosterUse], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(via.iter().map(|used| &used.roster))
}

/// Collects the facts about a person, in these groups or in all groups that were read.
#[must_use]
pub fn why(
    person: &PersonRef,
    desired: &Desired,
    current: &Observed,
    plan: &Plan,
    only: Option<&GroupName>,
    time: Timestamp,
) -> Why {
    let people = People::of(current);
    let ids: BTreeSet<MemberId> = match person {
        PersonRef::Email(email) => people.with_email(email).into_iter().collect(),
        PersonRef::Id(id) => people.resolve(person).is_ok().then_some(*id).into_iter().collect(),
    };
    let known = |id: &MemberId| current.memberships.values().any(|members| members.contains_key(id));
    // An ambiguous address may mean any of the members who share it.
    let is_meant = |entry: &PersonRef| {
        let may_mean_one = || match entry {
            PersonRef::Email(email) => people.with_email(email).iter().any(|id| ids.contains(id)),
            PersonRef::Id(id) => ids.contains(id),
        };
        entry == person || may_mean_one()
    };
    let asked = |name: &GroupName| only.is_none_or(|only| only == name);
    let located = locate_groups(desired, current, |_| true);
    let mut groups = Vec::new();
    let mut declared_ids = BTreeSet::new();
    for (name, group) in &desired.groups {
        let id = located.get(name).and_then(|located| located.as_ref().ok()).copied();
        declared_ids.extend(id);
        let present = id.is_some_and(|id| is_in(current, id, &ids));
        let claims = claims(group, time, is_meant);
        if asked(name) && (present || !claims.is_empty()) {
            let standing = standing(plan, name, group.mode, &ids, present, &claims, is_meant);
            groups.push(WhyGroup { name: name.clone(), id, mode: Some(group.mode), present, standing, claims });
        }
    }
    for (id, group) in current.groups.iter().filter(|(id, _)| !declared_ids.contains(id)) {
        if asked(&group.name) && is_in(current, *id, &ids) {
            groups.push(WhyGroup {
                name: group.name.clone(),
                id: Some(*id),
                mode: None,
                present: true,
                standing: Standing::Unmanaged,
                claims: Vec::new(),
            });
        }
    }
    groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let members = ids.iter().filter(|id| known(id) || current.people.contains_key(id));
    let members: Vec<Member> = members.map(|id| people.subject_with_id(*id)).collect();
    let is_declared = || desired.groups.values().flat_map(|group| &group.members).any(|entry| is_meant(&entry.person));
    let similar = match members.is_empty() && !is_declared() {
        true => similar(person, desired, &people),
        false => Vec::new(),
    };
    let unreadable = current.unreadable.iter().filter_map(|(id, cause)| {
        let name = current.groups.get(id)?.name.clone();
        Some(UnreadableGroup { name, id: *id, cause: cause.clone() })
    });
    let unreadable: Vec<UnreadableGroup> = unreadable.filter(|group| asked(&group.name)).collect();
    Why {
        format_version: FORMAT_VERSION,
        status: if unreadable.is_empty() { status(&groups) } else { RunStatus::Blocked },
        person: person.clone(),
        group: only.cloned(),
        members,
        similar,
        groups,
        unreadable,
        requests: None,
    }
}

/// The first status that applies to any of the person's groups.
fn status(groups: &[WhyGroup]) -> RunStatus {
    let of_group = |group: &WhyGroup| match group.standing {
        Standing::Blocked(_) | Standing::Held => RunStatus::Blocked,
        Standing::Joins | Standing::Missing | Standing::Leaves | Standing::Unexpected => RunStatus::Changes,
        Standing::Member | Standing::Additional | Standing::Unmanaged | Standing::NotNow => RunStatus::InSync,
    };
    groups.iter().map(of_group).min().unwrap_or(RunStatus::InSync)
}

/// Known people whose address or id differs from an unknown one by no more than a typo, nearest first.
fn similar(person: &PersonRef, desired: &Desired, people: &People<'_>) -> Vec<String> {
    let declared = desired.groups.values().flat_map(|group| &group.members).map(|entry| written(&entry.person));
    let met = people.addresses().chain(people.ids()).map(|(text, _)| text);
    let known: BTreeSet<&str> = met.chain(declared).collect();
    let text = written(person);
    let near = Texts::new(known.into_iter().map(|text| (text, ()))).nearest(text, tolerance(text));
    near.into_iter().take(MOST_SIMILAR).map(|(_, text, ())| text.to_owned()).collect()
}

fn is_in(current: &Observed, group: GroupId, ids: &BTreeSet<MemberId>) -> bool {
    current.memberships.get(&group).is_some_and(|members| ids.iter().any(|id| members.contains_key(id)))
}

fn claims(group: &DesiredGroup, time: Timestamp, is_meant: impl Fn(&PersonRef) -> bool) -> Vec<Claim> {
    let entries = group.members.iter().filter(|entry| is_meant(&entry.person));
    let claim = |entry: &crate::model::DesiredMember| {
        let terms = entry.terms.as_deref().cloned().unwrap_or_default();
        Claim {
            origin: entry.origin.clone(),
            via: entry.via.clone().unwrap_or_default(),
            window: terms.window,
            reason: terms.reason,
            holds: entry.belongs_at(time),
        }
    };
    entries.map(claim).collect()
}

fn standing(
    plan: &Plan,
    name: &GroupName,
    mode: Mode,
    ids: &BTreeSet<MemberId>,
    present: bool,
    claims: &[Claim],
    is_meant: impl Fn(&PersonRef) -> bool,
) -> Standing {
    if let Some(reason) = blocked(plan, name, is_meant) {
        return Standing::Blocked(reason.to_string());
    }
    let group = plan.groups.iter().find(|group| group.name == *name);
    let is_held = |group: &GroupPlan| group.held.iter().any(|change| ids.contains(&change.member.id));
    let change = group.and_then(|group| group.changes.iter().find(|change| ids.contains(&change.member.id)));
    if let Some(change) = change {
        return match (change.action, mode) {
            (Action::Add, Mode::Observe) => Standing::Missing,
            (Action::Remove, Mode::Observe) => Standing::Unexpected,
            (Action::Add, _) => Standing::Joins,
            (Action::Remove, _) => Standing::Leaves,
        };
    }
    if group.is_some_and(is_held) {
        return Standing::Held;
    }
    let holds = claims.iter().any(|claim| claim.holds);
    match (present, holds) {
        (true, true) => Standing::Member,
        (true, false) => Standing::Additional,
        (false, false) => Standing::NotNow,
        (false, true) => Standing::Blocked("the plan does not say why".into()),
    }
}

/// Why a person's entry in a group, or the whole group, is blocked. The plan reports a person who is in two groups that
/// exclude each other in one of them only.
fn blocked(plan: &Plan, name: &GroupName, is_meant: impl Fn(&PersonRef) -> bool) -> Option<BlockedReason> {
    let mut of_person = plan.blocked.iter().filter(|blocked| blocked.entry.as_ref().is_none_or(&is_meant));
    of_person.find_map(|blocked| match &blocked.reason {
        reason if blocked.group == *name => Some(reason.clone()),
        BlockedReason::Exclusive { group, present: true, .. } if group == name => {
            let (group, origin) = (blocked.group.clone(), blocked.origin.clone());
            Some(BlockedReason::Exclusive { group, origin, present: true })
        }
        _ => None,
    })
}
