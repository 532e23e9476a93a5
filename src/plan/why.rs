//! Why people are in groups, should be, or are not: the groups of a person, or the people of a group, with the lines
//! that declare them.

use std::collections::BTreeSet;
use std::sync::Arc;

use jiff::Timestamp;
use serde::Serialize;

use super::blocked::BlockedReason;
use super::contents::{Change, Plan};
use super::inputs::{AnyGroup, all_groups};
use super::people::People;
use super::standing::{Claim, Standing};
use crate::model::typos::{Texts, tolerance, written};
use crate::model::{
    About, Desired, DesiredGroup, DesiredMember, GroupId, GroupName, GroupSummary, Member, MemberId, Mode, Observed,
    PersonRef, RunStatus,
};

const FORMAT_VERSION: u32 = 1;

/// The maximum number of similar people to suggest.
const MOST_SIMILAR: usize = 5;

/// The memberships of a person, or of a group, in the files and the account. Its JSON is the output of
/// `why --format json`.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    pub format_version: u32,
    pub status: RunStatus,
    /// The requested person; null for everybody in the group.
    pub person: Option<String>,
    pub group: Option<GroupName>,
    /// The matching account members: none, or several if an address is ambiguous.
    pub members: Vec<Member>,
    /// If neither the account nor the files know the person: up to five similar addresses or ids, the nearest first.
    pub similar: Vec<String>,
    /// Every group the person is in or is declared for, by name; or the requested group once for each such person, by
    /// person.
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
    /// The person, if everybody in the group was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub person: Option<Arc<str>>,
    /// Null if the account does not have the group.
    pub id: Option<GroupId>,
    pub mode: Option<Mode>,
    #[serde(flatten)]
    pub about: About,
    pub present: bool,
    /// What will become of the membership, in one word.
    #[serde(rename = "standing")]
    pub prospect: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub blocked: Option<String>,
    /// What membership gives: permission groups as `NAME` or `NAME on RESOURCE`.
    pub grants: Vec<String>,
    pub claims: Vec<Claim>,
}

/// Collects the facts about a person, in this group or in all groups that were read; or about everybody who is in the
/// group or is declared for it.
pub fn why(
    person: Option<&PersonRef>,
    group: Option<&GroupName>,
    desired: &Desired,
    current: &Observed,
    plan: &Plan,
    time: Timestamp,
) -> Why {
    let facts = Facts { desired, current, plan, people: People::of(current), time };
    let who = person.map(|person| Who::named(person.clone(), &facts.people));
    let is_asked = |name: &GroupName| group.is_none_or(|asked| asked == name);
    let all = all_groups(desired, current).into_iter().filter(|(name, ..)| is_asked(name));
    let groups = match &who {
        Some(who) => facts.groups(all, who),
        None => facts.people_of(all),
    };
    let unreadable = current.unreadable.iter().filter_map(|(id, cause)| {
        let name = &current.groups.get(id)?.name;
        is_asked(name).then(|| UnreadableGroup { name: name.clone(), id: *id, cause: cause.clone() })
    });
    let unreadable: Vec<UnreadableGroup> = unreadable.collect();
    let members = who.iter().flat_map(|who| &who.ids).map(|id| facts.people.subject(*id)).collect();
    Why {
        format_version: FORMAT_VERSION,
        status: if unreadable.is_empty() { status(&groups) } else { RunStatus::Blocked },
        person: person.map(PersonRef::to_string),
        group: group.cloned(),
        members,
        similar: who.filter(|who| who.ids.is_empty()).map(|who| facts.similar(&who)).unwrap_or_default(),
        groups,
        unreadable,
        requests: None,
    }
}

/// The first status that applies to any of the memberships.
fn status(groups: &[WhyGroup]) -> RunStatus {
    let of_group = |group: &WhyGroup| match group.prospect {
        "blocked" | "held" => RunStatus::Blocked,
        "joins" | "missing" | "leaves" | "unexpected" => RunStatus::Changes,
        _ => RunStatus::InSync,
    };
    groups.iter().map(of_group).min().unwrap_or(RunStatus::InSync)
}

/// A person, by the name in the question or in the files.
struct Who {
    person: PersonRef,
    /// The members whom the name may mean: several if they share an address.
    ids: BTreeSet<MemberId>,
}

impl Who {
    fn named(person: PersonRef, people: &People<'_>) -> Self {
        let ids = match &person {
            PersonRef::Email(email) => people.with_email(email).into_iter().collect(),
            PersonRef::Id(id) => people.resolve(&person).is_ok().then_some(*id).into_iter().collect(),
        };
        Self { person, ids }
    }
}

struct Facts<'a> {
    desired: &'a Desired,
    current: &'a Observed,
    plan: &'a Plan,
    people: People<'a>,
    time: Timestamp,
}

impl<'a> Facts<'a> {
    /// Whether an entry names the person. An ambiguous address may mean any of the members who share it.
    fn is_meant(&self, who: &Who, entry: &PersonRef) -> bool {
        *entry == who.person || self.people.may_mean(entry).iter().any(|id| who.ids.contains(id))
    }

    /// Every group that the person is in or is declared for, by name.
    fn groups(&self, all: impl Iterator<Item = AnyGroup<'a>>, who: &Who) -> Vec<WhyGroup> {
        let membership = |(name, id, group): AnyGroup<'a>| {
            let members = id.and_then(|id| self.current.memberships.get(&id));
            let is_in = |id: &MemberId| members.is_some_and(|members| members.contains_key(id));
            let present = who.ids.iter().any(is_in);
            // An address means the member in the group who has it, not another one who shares it.
            let is_anothers = |person: &PersonRef| match person {
                PersonRef::Email(email) => !present && self.people.with_email(email).iter().any(is_in),
                PersonRef::Id(_) => false,
            };
            let entries =
                group.iter().flat_map(|group| &group.members).filter(|entry| self.is_meant(who, &entry.person));
            let entries: Vec<&DesiredMember> = entries.filter(|entry| !is_anothers(&entry.person)).collect();
            (present || !entries.is_empty()).then(|| self.membership(who, (name, id, group), entries))
        };
        let mut groups: Vec<WhyGroup> = all.filter_map(membership).collect();
        groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
        groups
    }

    /// The group once for everybody who is in it or is declared for it, by person.
    fn people_of(&self, all: impl Iterator<Item = AnyGroup<'a>>) -> Vec<WhyGroup> {
        let mut rows = Vec::new();
        for (name, id, group) in all {
            let members = id.and_then(|id| self.current.memberships.get(&id)).map(|members| &**members);
            let entries = group.iter().flat_map(|group| &group.members);
            for (member, entries) in self.people.by_member(entries, members) {
                let who = match member {
                    Ok(id) => Who { person: self.people.subject(id).person(), ids: BTreeSet::from([id]) },
                    Err(person) => Who::named(person.clone(), &self.people),
                };
                let row = self.membership(&who, (name, id, group), entries);
                rows.push(WhyGroup { person: Some(who.person.to_string().into()), ..row });
            }
        }
        let folded = |row: &WhyGroup| row.person.as_deref().map(str::to_ascii_lowercase);
        rows.sort_by_cached_key(|row| (row.id, folded(row), row.person.clone()));
        rows
    }

    fn membership(&self, who: &Who, (name, id, group): AnyGroup<'a>, entries: Vec<&DesiredMember>) -> WhyGroup {
        let members = id.and_then(|id| self.current.memberships.get(&id));
        let present = members.is_some_and(|members| who.ids.iter().any(|id| members.contains_key(id)));
        let mode = group.map(|group| group.mode);
        let planned = self.plan.groups.iter().find(|planned| mode.is_some() && planned.name == *name);
        let concerns = |change: &&Change| who.ids.contains(&change.member.id);
        let change = planned.and_then(|planned| planned.changes.iter().find(concerns));
        let held = change.is_none() && planned.is_some_and(|planned| planned.held.iter().any(|held| concerns(&held)));
        let standing = change.map_or_else(|| Standing::of(present, &entries, self.time).0, Standing::of_change);
        let unexplained = || {
            let missing = change.is_none() && standing == Standing::Missing;
            missing.then(|| "the plan does not say why".to_owned())
        };
        let blocked = mode.and_then(|_| self.blocked(who, name).map(|reason| reason.to_string()).or_else(unexplained));
        let gives = id.and_then(|id| self.current.groups.get(&id));
        WhyGroup {
            name: name.clone(),
            person: None,
            id,
            mode,
            about: group.map(DesiredGroup::about).unwrap_or_default(),
            present,
            prospect: mode.map_or("unmanaged", |mode| prospect(standing, mode, held, blocked.is_some())),
            blocked,
            grants: gives.map(GroupSummary::shown_grants).unwrap_or_default(),
            claims: entries.into_iter().map(|entry| Claim::of(entry, self.time)).collect(),
        }
    }

    /// Why the person's entry in a group, or the whole group, is blocked. The plan reports a person who is in two
    /// groups that exclude each other in one of them only.
    fn blocked(&self, who: &Who, name: &GroupName) -> Option<BlockedReason> {
        let is_meant = |entry: &PersonRef| self.is_meant(who, entry);
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

    /// Known people whose address or id differs from one that nothing knows by no more than a typo, nearest first.
    fn similar(&self, who: &Who) -> Vec<String> {
        let declared = || self.desired.groups.values().flat_map(|group| &group.members).map(|entry| &entry.person);
        if declared().any(|entry| self.is_meant(who, entry)) {
            return Vec::new();
        }
        let met = self.people.addresses().chain(self.people.ids()).map(|(text, _)| text);
        let known: BTreeSet<&str> = met.chain(declared().map(written)).collect();
        let text = written(&who.person);
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
