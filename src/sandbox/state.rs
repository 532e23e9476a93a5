//! The account: its people, groups and memberships, and how they change.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use super::account::History;
use super::audit::{AuditLog, AuditRecord, AuditedRequest};
use super::edit::EditActor;
use super::groups::{Catalog, PolicyBody};
use super::seed::{Delay, Invitation, MemberOrder, SeedGroup, SeedPerson};
use crate::model::{Email, GroupId, MemberId};

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
        let id =
            || self.seed.user_id.clone().map(|id| id.to_lowercase()).unwrap_or_else(|| hex("user", member.as_str()));
        (self.seed.status == Invitation::Accepted).then(id)
    }
}

/// A group of the seed, with everything that can change.
#[derive(Clone, Debug, Default)]
pub(crate) struct StoredGroup {
    pub(crate) name: String,
    pub(crate) created_on: Timestamp,
    pub(crate) modified_on: Timestamp,
    pub(crate) policies: Vec<PolicyBody>,
    /// How many more requests to the members are answered with 404.
    pub(crate) settling: u32,
    pub(crate) settles_at: Option<Instant>,
    pub(crate) members: BTreeMap<MemberId, Timestamp>,
    pub(crate) seed: SeedGroup,
    sorted: Option<Arc<[MemberId]>>,
}

impl StoredGroup {
    pub(crate) fn new(name: String, created_on: Timestamp, seed: SeedGroup) -> Self {
        Self { name, created_on, modified_on: created_on, seed, ..Self::default() }
    }

    pub(crate) fn has(&self, member: MemberId) -> bool {
        self.members.contains_key(&member)
    }
}

/// The present time in whole seconds, as the API writes it.
pub(crate) fn now() -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second()).unwrap_or_default()
}

fn by_email(
    people: &BTreeMap<MemberId, StoredPerson>,
    order: MemberOrder,
    members: impl Iterator<Item = MemberId>,
) -> Arc<[MemberId]> {
    let mut sorted: Vec<MemberId> = members.collect();
    let address = |id: &MemberId| people.get(id).and_then(|person| Some(person.group_email.as_ref()?.folded()));
    match order {
        MemberOrder::Address => sorted.sort_by_cached_key(address),
        MemberOrder::LocalPart => sorted.sort_by_cached_key(|id| address(id).and_then(|email| email.split('@').next())),
        MemberOrder::Id => {}
    }
    sorted.into()
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PersonOrder {
    /// By id. This is used for the orders by name, because the sandbox has no names.
    Id,
    Email,
    Status,
}

#[derive(Clone, Debug, Default)]
pub(crate) struct AccountState {
    people: BTreeMap<MemberId, StoredPerson>,
    /// By address in lower case: texts compare faster than addresses.
    by_email: BTreeMap<String, MemberId>,
    pub(crate) groups: BTreeMap<GroupId, StoredGroup>,
    /// A cache. It is emptied when people change.
    sorted_people: BTreeMap<(PersonOrder, Option<Invitation>), Arc<[MemberId]>>,
    pub(crate) catalog: Catalog,
    pub(crate) audit: AuditLog,
    /// How long the members of a group that is created cannot be reached: in requests, and in time.
    pub(crate) settling: (u32, Delay),
    pub(crate) token_owner: Option<MemberId>,
    pub(crate) member_order: MemberOrder,
    pub(crate) token_revoked: bool,
    pub(crate) history: History,
    /// The time of the last change, and one second later at each; `None` for the real time.
    pub(crate) clock: Option<Timestamp>,
    /// The number of ids created for groups and policies.
    created: u64,
}

impl AccountState {
    pub(crate) fn person(&self, id: MemberId) -> Option<&StoredPerson> {
        self.people.get(&id)
    }

    pub(crate) fn group(&self, id: GroupId) -> Option<&StoredGroup> {
        self.groups.get(&id)
    }

    pub(crate) fn groups(&self) -> impl Iterator<Item = (GroupId, &StoredGroup)> {
        self.groups.iter().map(|(id, group)| (*id, group))
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

    /// The group's members by address. Members without an address come first.
    pub(crate) fn members_by_email(&mut self, id: GroupId) -> Arc<[MemberId]> {
        let (people, order) = (&self.people, self.member_order);
        let Some(group) = self.groups.get_mut(&id) else { return Arc::new([]) };
        let members = &group.members;
        Arc::clone(group.sorted.get_or_insert_with(|| by_email(people, order, members.keys().copied())))
    }

    /// The group's members at an instant, with the time each was added.
    pub(crate) fn members_at(&self, id: GroupId, at: Instant) -> BTreeMap<MemberId, Timestamp> {
        let now = self.groups.get(&id).map(|group| group.members.clone()).unwrap_or_default();
        self.history.members_at(id, now, at)
    }

    pub(crate) fn members_by_email_at(&mut self, id: GroupId, at: Instant) -> Arc<[MemberId]> {
        if self.history.changed_since(id, at) {
            by_email(&self.people, self.member_order, self.members_at(id, at).into_keys())
        } else {
            self.members_by_email(id)
        }
    }

    /// The account's members with this status, or all, in this order.
    pub(crate) fn people_sorted(&mut self, order: PersonOrder, status: Option<Invitation>) -> Arc<[MemberId]> {
        let people = &self.people;
        let sort = || {
            let chosen = people.iter().filter(|(_, person)| status.is_none_or(|status| person.seed.status == status));
            let mut sorted: Vec<(&MemberId, &StoredPerson)> = chosen.collect();
            match order {
                PersonOrder::Id => {}
                PersonOrder::Email => sorted.sort_by_cached_key(|(_, person)| person.user_email.folded()),
                PersonOrder::Status => sorted.sort_by_key(|(_, person)| person.seed.status),
            }
            sorted.into_iter().map(|(id, _)| *id).collect()
        };
        Arc::clone(self.sorted_people.entry((order, status)).or_insert_with(sort))
    }

    fn tick(&mut self) -> Timestamp {
        match &mut self.clock {
            None => now(),
            Some(now) => {
                *now = now.saturating_add(SignedDuration::from_secs(1)).unwrap_or(*now);
                *now
            }
        }
    }

    /// Replaces the group's members; returns whether that changed anything. Members who stay keep the time they were
    /// added.
    pub(crate) fn set_members(&mut self, id: GroupId, wanted: &BTreeSet<MemberId>) -> bool {
        let unchanged =
            |group: &StoredGroup| group.members.len() == wanted.len() && wanted.iter().all(|id| group.has(*id));
        if self.groups.get(&id).is_none_or(unchanged) {
            return false;
        }
        let now = self.tick();
        let Some(group) = self.groups.get_mut(&id) else { return false };
        let since = |member: &MemberId| (*member, group.members.get(member).copied().unwrap_or(now));
        let members: BTreeMap<MemberId, Timestamp> = wanted.iter().map(since).collect();
        self.history.record(id, &group.members, &members);
        group.members = members;
        group.modified_on = now;
        group.sorted = None;
        true
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
        let mut group = StoredGroup::new(name.into(), self.tick(), SeedGroup::default());
        group.settling = self.settling.0;
        group.settles_at = Some(self.settling.1.after(Instant::now()));
        group.policies = self.stored(policies, &[]);
        self.groups.insert(id, group);
        id
    }

    fn stored(&mut self, policies: Vec<PolicyBody>, before: &[PolicyBody]) -> Vec<PolicyBody> {
        let mut new_id = || {
            self.created += 1;
            hex("new policy", &self.created.to_string())
        };
        policies.into_iter().map(|policy| policy.into_stored(before, &mut new_id)).collect()
    }

    pub(crate) fn rename_group(&mut self, id: GroupId, name: &str) -> bool {
        self.update_group(id, Some(name), None)
    }

    /// Changes a group's name, policies, or both; returns whether that changed anything.
    pub(crate) fn update_group(&mut self, id: GroupId, name: Option<&str>, policies: Option<Vec<PolicyBody>>) -> bool {
        let Some(group) = self.groups.get(&id) else { return false };
        let before = group.policies.clone();
        let name = name.unwrap_or(&group.name).to_owned();
        let policies = match policies {
            Some(policies) => self.stored(policies, &before),
            None => before.clone(),
        };
        if self.groups.get(&id).is_none_or(|group| group.name == name && before == policies) {
            return false;
        }
        let now = self.tick();
        let Some(group) = self.groups.get_mut(&id) else { return false };
        (group.name, group.policies, group.modified_on) = (name, policies, now);
        true
    }

    pub(crate) fn delete_group(&mut self, id: GroupId) -> bool {
        let Some(group) = self.groups.remove(&id) else { return false };
        self.history.record(id, &group.members, &BTreeMap::new());
        true
    }

    /// Finds a person by email or id. An unknown address becomes an accepted member.
    pub(crate) fn find_or_add_person(&mut self, who: &str) -> Option<MemberId> {
        match who.parse() {
            Ok(email) => Some(self.person_with_or_new(&email)),
            Err(_) => self.find_person(who),
        }
    }

    /// Finds a person by address, or adds an accepted member with it.
    pub(crate) fn person_with_or_new(&mut self, email: &Email) -> MemberId {
        self.person_with(email).unwrap_or_else(|| {
            // A person who had the address before may still have the derived id.
            let id = id_of_person(email, |id| !self.people.contains_key(&id));
            self.insert_person(id, StoredPerson::new(email.clone(), SeedPerson::from(email.to_string())));
            id
        })
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
        let in_groups: Vec<GroupId> = self.groups().filter(|(_, group)| group.has(id)).map(|(id, _)| id).collect();
        for group in in_groups {
            self.remove_member(group, id);
        }
        true
    }

    /// Changes a person's address, unless it is taken; returns whether that changed anything.
    pub(crate) fn change_email(&mut self, id: MemberId, email: Email) -> bool {
        let taken = self.person_with(&email).is_some_and(|other| other != id);
        let Some(person) = self.people.get_mut(&id).filter(|person| !taken && person.email.as_str() != email.as_str())
        else {
            return false;
        };
        self.by_email.remove(person.email.folded());
        let policies = std::mem::take(&mut person.policies);
        *person = StoredPerson { policies, ..StoredPerson::new(email.clone(), person.seed.clone()) };
        self.by_email.insert(email.folded().to_owned(), id);
        self.sorted_people.clear();
        self.groups.values_mut().for_each(|group| group.sorted = None);
        true
    }

    pub(crate) fn audit(&mut self, by: EditActor, request: AuditedRequest) {
        let time = self.clock.unwrap_or_else(now);
        self.audit.record(AuditRecord { time, by, request, given: None });
    }
}

/// The id of an account member with an address: the first derived id that is free.
pub(crate) fn id_of_person(email: &Email, free: impl Fn(MemberId) -> bool) -> MemberId {
    let address = email.folded();
    let mut id = derive("member", address);
    while !free(id) {
        id = derive("next member", id.as_str());
    }
    id
}

pub(crate) fn hex(kind: &str, text: &str) -> String {
    let digest = Sha256::digest(format!("convoke sandbox {kind}\n{text}"));
    digest.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

#[expect(clippy::expect_used, reason = "sixteen bytes in hex are an id, whatever the bytes")]
pub(crate) fn derive<T: std::str::FromStr<Err: std::fmt::Debug>>(kind: &str, text: &str) -> T {
    hex(kind, text).parse().expect("sixteen bytes in hex")
}
