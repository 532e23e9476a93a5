//! Why a person is in a group, should be, or is not: the person's groups with the lines that declare them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::blocked::BlockedReason;
use super::contents::{Change, Plan};
use super::located::locate_groups;
use super::people::People;
use super::standing::{Claim, Standing};
use super::typos::{Texts, tolerance, written};
use crate::model::{
    Desired, DesiredGroup, DesiredMember, GroupId, GroupName, Member, MemberId, Mode, Observed, PersonRef, RunStatus,
};

const FORMAT_VERSION: u32 = 1;

/// The maximum number of similar people to suggest.
const MOST_SIMILAR: usize = 5;

/// All facts about a person in the files and the account. Its JSON is the output of `why --format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    pub format_version: u32,
    pub status: RunStatus,
    #[serde(serialize_with = "as_text")]
    pub person: PersonRef,
    pub group: Option<GroupName>,
    /// The matching account members: none, or several if an address is ambiguous.
    pub members: Vec<Member>,
    /// If neither the account nor the files know the person: up to five similar addresses or ids, the nearest first.
    pub similar: Vec<String>,
    /// Every group the person is in or is declared for, by name.
    pub groups: Vec<WhyGroup>,
    /// The requested groups whose members cannot be read. Whether the person is in them is unknown.
    pub unreadable: Vec<UnreadableGroup>,
    pub requests: Option<u64>,
}

#[derive(Clone, Debug, Serialize)]
pub struct UnreadableGroup {
    pub name: GroupName,
    pub id: GroupId,
    pub cause: String,
}

/// A group that a person is in or is declared for.
#[derive(Clone, Debug, Serialize)]
pub struct WhyGroup {
    pub name: GroupName,
    /// Null if the account does not have the group.
    pub id: Option<GroupId>,
    pub mode: Option<Mode>,
    pub present: bool,
    #[serde(skip)]
    pub standing: Standing,
    /// Whether the person would be removed, and is held until blocked entries are resolved.
    #[serde(skip)]
    pub held: bool,
    /// What will become of the membership, in one word.
    #[serde(rename = "standing")]
    prospect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// What membership gives: permission groups as `NAME` or `NAME on RESOURCE`.
    pub grants: Vec<String>,
    pub claims: Vec<Claim>,
}

fn as_text<S: Serializer>(person: &PersonRef, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(person)
}

/// Collects the facts about a person, in these groups or in all groups that were read.
pub fn why(
    person: &PersonRef,
    desired: &Desired,
    current: &Observed,
    plan: &Plan,
    only: Option<&GroupName>,
    time: Timestamp,
) -> Why {
    let asked = Asked::new(person, desired, current, plan, time);
    let is_asked = |name: &GroupName| only.is_none_or(|only| only == name);
    let groups: Vec<WhyGroup> = asked.groups().into_iter().filter(|group| is_asked(&group.name)).collect();
    let unreadable = current.unreadable.iter().filter_map(|(id, cause)| {
        let name = current.groups.get(id)?.name.clone();
        Some(UnreadableGroup { name, id: *id, cause: cause.clone() })
    });
    let unreadable: Vec<UnreadableGroup> = unreadable.filter(|group| is_asked(&group.name)).collect();
    let members = asked.members();
    Why {
        format_version: FORMAT_VERSION,
        status: if unreadable.is_empty() { status(&groups) } else { RunStatus::Blocked },
        person: person.clone(),
        group: only.cloned(),
        similar: if members.is_empty() { asked.similar() } else { Vec::new() },
        members,
        groups,
        unreadable,
        requests: None,
    }
}

/// The first status that applies to any of the person's groups.
fn status(groups: &[WhyGroup]) -> RunStatus {
    let of_group = |group: &WhyGroup| match group.prospect {
        "blocked" | "held" => RunStatus::Blocked,
        "joins" | "missing" | "leaves" | "unexpected" => RunStatus::Changes,
        _ => RunStatus::InSync,
    };
    groups.iter().map(of_group).min().unwrap_or(RunStatus::InSync)
}

/// The question about a person, with everything that answers it.
struct Asked<'a> {
    person: &'a PersonRef,
    desired: &'a Desired,
    current: &'a Observed,
    plan: &'a Plan,
    people: People<'a>,
    /// The members whom the person's name may mean: several if they share an address.
    ids: BTreeSet<MemberId>,
    time: Timestamp,
}

impl<'a> Asked<'a> {
    fn new(
        person: &'a PersonRef,
        desired: &'a Desired,
        current: &'a Observed,
        plan: &'a Plan,
        time: Timestamp,
    ) -> Self {
        let people = People::of(current);
        let ids = match person {
            PersonRef::Email(email) => people.with_email(email).into_iter().collect(),
            PersonRef::Id(id) => people.resolve(person).is_ok().then_some(*id).into_iter().collect(),
        };
        Self { person, desired, current, plan, people, ids, time }
    }

    /// Whether an entry names the person. An ambiguous address may mean any of the members who share it.
    fn is_meant(&self, entry: &PersonRef) -> bool {
        let may_mean_one = || match entry {
            PersonRef::Email(email) => self.people.with_email(email).iter().any(|id| self.ids.contains(id)),
            PersonRef::Id(id) => self.ids.contains(id),
        };
        entry == self.person || may_mean_one()
    }

    /// Every group that the person is in or is declared for, by name.
    fn groups(&self) -> Vec<WhyGroup> {
        let located = locate_groups(self.desired, self.current, |_| true);
        let mut groups = Vec::new();
        let mut declared_ids = BTreeSet::new();
        for (name, group) in &self.desired.groups {
            let id = located.get(name).and_then(|located| located.as_ref().ok()).copied();
            declared_ids.extend(id);
            groups.extend(self.declared(name, id, group));
        }
        for (id, group) in self.current.groups.iter().filter(|(id, _)| !declared_ids.contains(id)) {
            if self.is_in(*id) {
                groups.push(WhyGroup {
                    name: group.name.clone(),
                    id: Some(*id),
                    mode: None,
                    present: true,
                    standing: Standing::Undeclared,
                    held: false,
                    prospect: "unmanaged",
                    blocked: None,
                    grants: self.grants(Some(*id)),
                    claims: Vec::new(),
                });
            }
        }
        groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        groups
    }

    fn declared(&self, name: &GroupName, id: Option<GroupId>, group: &DesiredGroup) -> Option<WhyGroup> {
        let present = id.is_some_and(|id| self.is_in(id));
        let entries: Vec<&DesiredMember> = group.members.iter().filter(|entry| self.is_meant(&entry.person)).collect();
        if !present && entries.is_empty() {
            return None;
        }
        let planned = self.plan.groups.iter().find(|planned| planned.name == *name);
        let concerns = |change: &&Change| self.ids.contains(&change.member.id);
        let change = planned.and_then(|planned| planned.changes.iter().find(concerns));
        let held = change.is_none() && planned.is_some_and(|planned| planned.held.iter().any(|held| concerns(&held)));
        let standing = change.map_or_else(|| Standing::of(present, &entries, self.time).0, Standing::of_change);
        let unexplained = || {
            let missing = change.is_none() && standing == Standing::Missing;
            missing.then(|| "the plan does not say why".to_owned())
        };
        let blocked = self.blocked(name).map(|reason| reason.to_string()).or_else(unexplained);
        Some(WhyGroup {
            name: name.clone(),
            id,
            mode: Some(group.mode),
            present,
            standing,
            held,
            prospect: prospect(standing, group.mode, held, blocked.is_some()),
            blocked,
            grants: self.grants(id),
            claims: entries.into_iter().map(|entry| Claim::of(entry, self.time)).collect(),
        })
    }

    fn grants(&self, id: Option<GroupId>) -> Vec<String> {
        let group = id.and_then(|id| self.current.groups.get(&id));
        group.map(|group| group.grants().iter().map(ToString::to_string).collect()).unwrap_or_default()
    }

    /// Why the person's entry in a group, or the whole group, is blocked. The plan reports a person who is in two
    /// groups that exclude each other in one of them only.
    fn blocked(&self, name: &GroupName) -> Option<BlockedReason> {
        let is_meant = |entry: &PersonRef| self.is_meant(entry);
        let mut of_person = self.plan.blocked.iter().filter(|blocked| blocked.entry.as_ref().is_none_or(is_meant));
        of_person.find_map(|blocked| match &blocked.reason {
            reason if blocked.group == *name => Some(reason.clone()),
            BlockedReason::Exclusive { group, present: true, .. } if group == name => {
                let (group, origin) = (blocked.group.clone(), blocked.origin.clone());
                Some(BlockedReason::Exclusive { group, origin, present: true })
            }
            _ => None,
        })
    }

    fn is_in(&self, group: GroupId) -> bool {
        self.current.memberships.get(&group).is_some_and(|members| self.ids.iter().any(|id| members.contains_key(id)))
    }

    fn members(&self) -> Vec<Member> {
        let is_listed = |id: &MemberId| self.current.memberships.values().any(|members| members.contains_key(id));
        let known = self.ids.iter().filter(|id| self.current.people.contains_key(id) || is_listed(id));
        known.map(|id| self.people.subject_with_id(*id)).collect()
    }

    /// Known people whose address or id differs from one that nothing knows by no more than a typo, nearest first.
    fn similar(&self) -> Vec<String> {
        let declared = || self.desired.groups.values().flat_map(|group| &group.members).map(|entry| &entry.person);
        if declared().any(|entry| self.is_meant(entry)) {
            return Vec::new();
        }
        let met = self.people.addresses().chain(self.people.ids()).map(|(text, _)| text);
        let known: BTreeSet<&str> = met.chain(declared().map(written)).collect();
        let text = written(self.person);
        let near = Texts::new(known.into_iter().map(|text| (text, ()))).nearest(text, tolerance(text));
        near.into_iter().take(MOST_SIMILAR).map(|(_, text, ())| text.to_owned()).collect()
    }
}

const fn prospect(standing: Standing, mode: Mode, held: bool, blocked: bool) -> &'static str {
    match (standing, mode) {
        _ if blocked => "blocked",
        _ if held => "held",
        (Standing::Declared, _) => "member",
        (Standing::NotNow, _) => "not_now",
        (Standing::Missing, Mode::Observe) => "missing",
        (Standing::Missing, _) => "joins",
        (Standing::Undeclared | Standing::Expired, Mode::Observe) => "unexpected",
        (Standing::Undeclared, Mode::Additive) => "additional",
        (Standing::Undeclared | Standing::Expired, _) => "leaves",
    }
}
