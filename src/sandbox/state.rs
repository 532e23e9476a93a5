//! The account: its people, groups and memberships, and how they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::answer::Reply;
use super::edit::{AuditPlace, AuditRecord};
use super::groups::{Grantable, PolicyBody};
use super::seed::{Invitation, MemberOrder, SeedGroup, SeedPerson};
use crate::model::{Email, EmailError, GroupId, MemberId};

/// A person of the seed, with the addresses that can change.
#[derive(Clone, Debug)]
pub(crate) struct StoredPerson {
    pub(crate) email: Email,
    /// The address of the user of the membership.
    pub(crate) user_email: Email,
    pub(crate) group_email: Option<Email>,
    pub(crate) seed: SeedPerson,
    pub(crate) policies: Vec<PolicyBody>,
}

impl StoredPerson {
    pub(crate) fn new(email: Email, seed: SeedPerson) -> Self {
        Self { user_email: email.clone(), group_email: Some(email.clone()), email, seed, policies: Vec::new() }
    }

    /// The user's id. There is none until the invitation is accepted.
    pub(crate) fn user_id(&self, member: MemberId) -> Option<String> {
        (self.seed.status == Invitation::Accepted).then(|| hex("user", member.as_str()))
    }
}

/// A group of the seed, with everything that can change.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredGroup {
    pub(crate) name: String,
    pub(crate) created_on: Timestamp,
    pub(crate) modified_on: Timestamp,
    pub(crate) policies: Vec<PolicyBody>,
    pub(crate) members: BTreeMap<MemberId, Timestamp>,
    /// What the seed says of the group, but `settling` is counted down.
    pub(crate) seed: SeedGroup,
}

impl StoredGroup {
    /// The API does not change a group that SCIM manages.
    pub(crate) fn check_writable(&self) -> Result<(), Reply> {
        let message = "the user group is synchronized by SCIM and cannot be changed or deleted here";
        if self.seed.scim { Err(Reply::error(400, 400, message)) } else { Ok(()) }
    }
}

/// The present time in whole seconds, as the API writes it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MembershipChange {
    pub group: GroupId,
    pub member: MemberId,
    /// `false` if the member left.
    pub joined: bool,
    /// When the membership began, as the API shows it.
    pub since: Timestamp,
    /// The number of the request that made the change; `None` if another actor made it.
    pub request: Option<u64>,
    /// The number of requests that had arrived by then.
    pub after: u64,
    pub at: Instant,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AccountState {
    people: BTreeMap<MemberId, StoredPerson>,
    /// By address in lower case: texts compare faster than addresses.
    pub(crate) by_email: BTreeMap<String, MemberId>,
    pub(crate) groups: BTreeMap<GroupId, StoredGroup>,
    /// A cache. It is emptied when people change.
    sorted_people: BTreeMap<(&'static str, Option<Invitation>), Arc<[MemberId]>>,
    pub(crate) permission_groups: Vec<Grantable>,
    pub(crate) resource_groups: Vec<Grantable>,
    pub(crate) audit_log: BTreeMap<AuditPlace, AuditRecord>,
    /// How many requests to the members of a group that is created are answered with 404.
    pub(crate) new_groups_settle: u32,
    pub(crate) token_owner: Option<MemberId>,
    pub(crate) member_order: MemberOrder,
    pub(crate) token_revoked: bool,
    pub(crate) history: Vec<MembershipChange>,
    /// The request that is carried out; `None` while another actor changes the account.
    pub(crate) request: Option<u64>,
    /// The number of requests that have arrived so far.
    pub(crate) arrived: u64,
    /// The time of the last change. Each change is one second later. `None` for the real time.
    pub(crate) clock: Option<Timestamp>,
    /// The number of ids created for groups and policies.
    created: u64,
}

impl AccountState {
    pub(crate) fn person(&self, id: MemberId) -> Option<&StoredPerson> {
        self.people.get(&id)
    }

    pub(crate) fn group_named(&self, name: &str) -> Option<GroupId> {
        self.groups.iter().find(|(_, group)| group.name == name).map(|(id, _)| *id)
    }

    pub(crate) fn find_person(&self, who: &str) -> Option<MemberId> {
        let by_id = || who.parse().ok().filter(|id| self.people.contains_key(id));
        who.parse().ok().and_then(|email| self.person_with(&email)).or_else(by_id)
    }

    pub(crate) fn person_with(&self, email: &Email) -> Option<MemberId> {
        self.by_email.get(email.folded()).copied()
    }

    /// The group's members at an instant, with the time each was added; `None` is before every change.
    pub(crate) fn members_at(&self, id: GroupId, at: Option<Instant>) -> BTreeMap<MemberId, Timestamp> {
        let mut members = self.groups.get(&id).map(|group| group.members.clone()).unwrap_or_default();
        let later = self.history.iter().rev().take_while(|change| at.is_none_or(|at| change.at > at));
        for change in later.filter(|change| change.group == id) {
            if change.joined {
                members.remove(&change.member);
            } else {
                members.insert(change.member, change.since);
            }
        }
        members
    }

    /// The ids in the order of lists. Members without an address come first.
    pub(crate) fn sorted(&self, members: &BTreeMap<MemberId, Timestamp>) -> Vec<MemberId> {
        let mut sorted: Vec<MemberId> = members.keys().copied().collect();
        let address = |id: &MemberId| Some(self.person(*id)?.group_email.as_ref()?.folded());
        match self.member_order {
            MemberOrder::Address => sorted.sort_by_cached_key(address),
            MemberOrder::LocalPart => sorted.sort_by_cached_key(|id| address(id)?.split('@').next()),
            MemberOrder::Id => {}
        }
        sorted
    }

    /// The account's members with this status, or all, in an order of the API.
    pub(crate) fn people_sorted(&mut self, order: &'static str, status: Option<Invitation>) -> Arc<[MemberId]> {
        let people = &self.people;
        let sort = || {
            let chosen = people.iter().filter(|(_, person)| status.is_none_or(|status| person.seed.status == status));
            let mut sorted: Vec<(&MemberId, &StoredPerson)> = chosen.collect();
            match order {
                "user.email" => sorted.sort_by_cached_key(|(_, person)| person.user_email.folded()),
                "status" => sorted.sort_by_key(|(_, person)| person.seed.status),
                // The sandbox has no names of people, so they are all equal when sorted by name.
                _ => {}
            }
            sorted.into_iter().map(|(id, _)| *id).collect()
        };
        Arc::clone(self.sorted_people.entry((order, status)).or_insert_with(sort))
    }

    fn tick(&mut self) -> Timestamp {
        self.clock = self.clock.map(|last| last.saturating_add(SignedDuration::from_secs(1)).unwrap_or(last));
        self.clock.unwrap_or_else(now)
    }

    /// Replaces the group's members; returns whether that changed anything. Members who stay keep the time they were
    /// added.
    pub(crate) fn set_members(&mut self, id: GroupId, wanted: &BTreeSet<MemberId>) -> bool {
        if self.groups.get(&id).is_none_or(|group| group.members.keys().eq(wanted)) {
            return false;
        }
        let now = self.tick();
        let Some(group) = self.groups.get_mut(&id) else { return false };
        let since = |member: &MemberId| (*member, group.members.get(member).copied().unwrap_or(now));
        let members = wanted.iter().map(since).collect();
        let before = std::mem::replace(&mut group.members, members);
        group.modified_on = now;
        self.record_changes(id, &before);
        true
    }

    /// Records how the members of a group differ from those before. A group that was deleted has none.
    fn record_changes(&mut self, group: GroupId, before: &BTreeMap<MemberId, Timestamp>) {
        let none = BTreeMap::new();
        let now = self.groups.get(&group).map_or(&none, |group| &group.members);
        let left = before.iter().filter(|(id, _)| !now.contains_key(id)).map(|(id, since)| (*id, *since, false));
        let joined = now.iter().filter(|(id, _)| !before.contains_key(id)).map(|(id, since)| (*id, *since, true));
        let (request, after, at) = (self.request, self.arrived, Instant::now());
        let change = |(member, since, joined)| MembershipChange { group, member, joined, since, request, after, at };
        self.history.extend(left.chain(joined).map(change));
    }

    pub(crate) fn add_members(&mut self, id: GroupId, added: &BTreeSet<MemberId>) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        let wanted = group.members.keys().chain(added).copied().collect();
        self.set_members(id, &wanted)
    }

    /// Removes a member; returns whether the person was a member.
    pub(crate) fn remove_member(&mut self, id: GroupId, member: MemberId) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        let wanted = group.members.keys().copied().filter(|id| *id != member).collect();
        self.set_members(id, &wanted)
    }

    /// Creates a group whose members cannot be reached for a while, if the seed says so.
    pub(crate) fn create_group(&mut self, name: &str, policies: Vec<PolicyBody>) -> GroupId {
        self.created += 1;
        // The number makes the id differ from that of a former group of the same name.
        let id = derive("new group", &format!("{} {name}", self.created));
        let now = self.tick();
        let group = StoredGroup {
            name: name.into(),
            created_on: now,
            modified_on: now,
            policies: self.stored(policies, &[]),
            seed: SeedGroup { settling: self.new_groups_settle, ..SeedGroup::default() },
            ..StoredGroup::default()
        };
        self.groups.insert(id, group);
        id
    }

    /// The stored policies. An unchanged policy keeps its id.
    fn stored(&mut self, policies: Vec<PolicyBody>, before: &[PolicyBody]) -> Vec<PolicyBody> {
        let mut stored = |policy: PolicyBody| {
            let is_same = |old: &&PolicyBody| PolicyBody { id: old.id.clone(), ..policy.clone() } == **old;
            before.iter().find(is_same).cloned().unwrap_or_else(|| {
                self.created += 1;
                PolicyBody { id: Some(hex("new policy", &self.created.to_string())), ..policy }
            })
        };
        policies.into_iter().map(&mut stored).collect()
    }

    /// Changes a group's name, policies, or both; returns whether that changed anything.
    pub(crate) fn update_group(&mut self, id: GroupId, name: Option<&str>, policies: Option<Vec<PolicyBody>>) -> bool {
        let Some(before) = self.groups.get(&id).cloned() else { return false };
        let name = name.unwrap_or(&before.name).to_owned();
        let kept = || before.policies.clone();
        let policies = policies.map_or_else(kept, |policies| self.stored(policies, &before.policies));
        if before.name == name && before.policies == policies {
            return false;
        }
        let modified_on = self.tick();
        self.groups.insert(id, StoredGroup { name, policies, modified_on, ..before });
        true
    }

    pub(crate) fn delete_group(&mut self, id: GroupId) -> bool {
        let Some(group) = self.groups.remove(&id) else { return false };
        self.record_changes(id, &group.members);
        true
    }

    /// Finds a person by email or id. An unknown address becomes an accepted member.
    pub(crate) fn find_or_add_person(&mut self, who: &str) -> Result<MemberId, EmailError> {
        if let Some(id) = self.find_person(who) {
            return Ok(id);
        }
        let email: Email = who.parse()?;
        let id = self.new_person_id(&email);
        self.insert_person(id, StoredPerson::new(email, SeedPerson::from(who.to_owned())));
        Ok(id)
    }

    /// The id of an account member with an address: the first derived id that is free. A person who had the address
    /// before may still have the first one.
    pub(crate) fn new_person_id(&self, email: &Email) -> MemberId {
        let mut id = derive("member", email.folded());
        while self.people.contains_key(&id) {
            id = derive("next member", id.as_str());
        }
        id
    }

    pub(crate) fn record_request(&mut self, time: Timestamp, record: AuditRecord) {
        self.audit_log.insert((time, self.audit_log.len()), record);
    }

    pub(crate) fn insert_person(&mut self, id: MemberId, person: StoredPerson) {
        self.by_email.insert(person.email.folded().to_owned(), id);
        self.people.insert(id, person);
        self.sorted_people.clear();
    }

    /// Removes a person from the account and every group; returns whether they existed.
    pub(crate) fn remove_person(&mut self, id: MemberId) -> bool {
        let Some(person) = self.people.remove(&id) else { return false };
        self.by_email.remove(person.email.folded());
        self.sorted_people.clear();
        for group in self.groups.keys().copied().collect::<Vec<_>>() {
            self.remove_member(group, id);
        }
        true
    }

    /// Changes a person's address, unless it is taken; returns whether that changed anything.
    pub(crate) fn change_email(&mut self, id: MemberId, email: Email) -> bool {
        let taken = self.person_with(&email).is_some_and(|other| other != id);
        let differs = |person: &&StoredPerson| person.email.as_str() != email.as_str();
        let Some(person) = self.people.get(&id).filter(differs).filter(|_| !taken) else { return false };
        self.by_email.remove(person.email.folded());
        let policies = person.policies.clone();
        let person = StoredPerson { policies, ..StoredPerson::new(email, person.seed.clone()) };
        self.insert_person(id, person);
        true
    }
}

pub(crate) fn hex(kind: &str, text: &str) -> String {
    let digest = Sha256::digest(format!("convoke sandbox {kind}\n{text}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::expect_used, reason = "sixteen bytes in hex are an id, whatever the bytes")]
pub(crate) fn derive<T: std::str::FromStr<Err: std::fmt::Debug>>(kind: &str, text: &str) -> T {
    hex(kind, text).parse().expect("sixteen bytes in hex")
}
