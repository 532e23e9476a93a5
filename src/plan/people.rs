//! Finds the members that an email address or an id means, in what was read of the account.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::blocked::BlockedReason;
use crate::model::{
    DesiredMember, Email, GroupId, Member, MemberId, Membership, Observed, PersonRef, PersonStatus, Status, UserId,
};

/// A map with a randomly seeded hash, which is faster for short keys than that of the standard library.
type Hashed<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

type Entries<'e> = Vec<&'e DesiredMember>;

/// The index of a person. Large accounts are compared by index, because ids and addresses are long and scattered in
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct PersonIndex(u32);

impl PersonIndex {
    /// The index in a list of all people.
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

/// Everybody who was seen in the account.
///
/// The large maps are hashed for speed. They are never iterated, so hash order cannot affect the output. Rare facts are
/// in separate maps, so that each person's entry stays small.
pub struct People<'a> {
    everybody: Vec<Known<'a>>,
    by_id: Hashed<MemberId, PersonIndex>,
    /// The first member with each address, by the address in lower case.
    by_email: Hashed<&'a str, PersonIndex>,
    /// The members of each group that was read, sorted by id.
    groups: BTreeMap<GroupId, Vec<PersonIndex>>,
    /// All members of each address that several members have, by the address in lower case.
    shared: BTreeMap<&'a str, BTreeSet<MemberId>>,
    /// The additional addresses of members with several addresses.
    further: BTreeMap<PersonIndex, Vec<&'a Email>>,
    rejected: BTreeSet<MemberId>,
    /// The members of each user, from the account members that were read.
    users: BTreeMap<&'a UserId, Vec<MemberId>>,
}

#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    id: &'a MemberId,
    /// The first address that was seen. A group's address has precedence over the account's.
    email: Option<&'a Email>,
    status: Option<Status>,
}

impl<'a> People<'a> {
    /// Collects everything that was read: first the groups' lists, then the account's members.
    pub fn of(current: &'a Observed) -> Self {
        let mut people = Self {
            everybody: Vec::new(),
            by_id: Hashed::default(),
            by_email: Hashed::default(),
            groups: BTreeMap::new(),
            shared: BTreeMap::new(),
            further: BTreeMap::new(),
            rejected: BTreeSet::new(),
            users: BTreeMap::new(),
        };
        people.add_groups(current);
        for (id, person) in &current.people {
            let status = match &person.status {
                PersonStatus::Known(status) => Some(*status),
                PersonStatus::Rejected => {
                    // A group member has not declined, even if the account's list says so.
                    if !people.by_id.contains_key(id) {
                        people.rejected.insert(*id);
                    }
                    None
                }
                PersonStatus::Other(_) => None,
            };
            if let Some(user) = &person.user_id {
                people.users.entry(user).or_default().push(*id);
            }
            let index = people.index(id);
            people.record(index, None, status);
            person.emails.iter().for_each(|email| people.record(index, Some(email), status));
        }
        people
    }

    /// Adds the members of all groups. A value that several groups share adds nothing after the first time. Its address
    /// in memory identifies it: reading the value would cost more than everything else here.
    fn add_groups(&mut self, current: &'a Observed) {
        let mut numbers: Hashed<*const Member, u32> = Hashed::default();
        let mut different: Vec<(&'a MemberId, &'a Member)> = Vec::new();
        let mut number = |id, member| {
            *numbers.entry(Arc::as_ptr(member)).or_insert_with(|| {
                let next = dense(different.len());
                different.push((id, &**member));
                next
            })
        };
        let memberships = current.memberships.iter();
        let groups: Vec<(GroupId, Vec<u32>)> = memberships
            .map(|(group, membership)| (*group, membership.iter().map(|(id, member)| number(id, member)).collect()))
            .collect();
        // Maps that grow while they are filled would take most of the time.
        self.everybody.reserve(different.len());
        self.by_id.reserve(different.len());
        self.by_email.reserve(different.len());
        let indexes: Vec<PersonIndex> = different
            .into_iter()
            .map(|(id, member)| {
                let index = self.index(id);
                self.record(index, member.email.as_ref(), member.status);
                index
            })
            .collect();
        let index = |number: u32| indexes.get(number as usize).copied();
        self.groups = groups
            .into_iter()
            .map(|(group, members)| (group, members.into_iter().filter_map(index).collect()))
            .collect();
    }

    /// The index of the person with this id. A new person gets the next index.
    fn index(&mut self, id: &'a MemberId) -> PersonIndex {
        *self.by_id.entry(*id).or_insert_with(|| {
            let next = PersonIndex(dense(self.everybody.len()));
            self.everybody.push(Known { id, email: None, status: None });
            next
        })
    }

    fn record(&mut self, index: PersonIndex, email: Option<&'a Email>, status: Option<Status>) {
        let Some(known) = self.everybody.get_mut(index.place()) else { return };
        known.status = known.status.or(status);
        let (id, Some(email)) = (*known.id, email) else { return };
        match known.email {
            None => known.email = Some(email),
            Some(first) if first == email => return,
            Some(_) => {
                let further = self.further.entry(index).or_default();
                if further.contains(&email) {
                    return;
                }
                further.push(email);
            }
        }
        let first = *self.by_email.entry(email.folded()).or_insert(index);
        if first != index {
            let first = self.id(first);
            self.shared.entry(email.folded()).or_insert_with(|| BTreeSet::from([first])).insert(id);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "every index is one of this list, which only grows")]
    fn known(&self, index: PersonIndex) -> &Known<'a> {
        &self.everybody[index.place()]
    }

    pub fn id(&self, index: PersonIndex) -> MemberId {
        *self.known(index).id
    }

    /// The members of a group, sorted by id; empty if the group was not read.
    pub fn members(&self, group: GroupId) -> &[PersonIndex] {
        self.groups.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether anybody with this address or id was seen.
    pub fn knows(&self, person: &PersonRef) -> bool {
        match person {
            PersonRef::Email(email) => self.by_email.contains_key(email.folded()),
            PersonRef::Id(id) => self.by_id.contains_key(id),
        }
    }

    fn indexed(&self) -> impl Iterator<Item = (PersonIndex, &Known<'a>)> {
        (0..).map(PersonIndex).zip(&self.everybody)
    }

    /// The addresses of all people, in lower case.
    pub fn addresses(&self) -> impl Iterator<Item = (&'a str, PersonIndex)> {
        let first = self.indexed().filter_map(|(index, known)| Some((known.email?, index)));
        let further = self.further.iter().flat_map(|(index, emails)| emails.iter().map(|email| (*email, *index)));
        first.chain(further).map(|(email, index)| (email.folded(), index))
    }

    pub fn ids(&self) -> impl Iterator<Item = (&'a str, PersonIndex)> {
        self.indexed().map(|(index, known)| (known.id.as_str(), index))
    }

    pub fn emails(&self, index: PersonIndex) -> impl Iterator<Item = &'a Email> {
        let further = self.further.get(&index).into_iter().flatten().copied();
        self.known(index).email.into_iter().chain(further)
    }

    /// Everything that an entry may name a member by: the id and the addresses.
    pub fn texts(&self, id: MemberId) -> impl Iterator<Item = &'a str> {
        let index = self.by_id.get(&id).copied();
        index.into_iter().flat_map(|index| {
            let id: &'a MemberId = self.known(index).id;
            std::iter::once(id.as_str()).chain(self.emails(index).map(Email::folded))
        })
    }

    pub fn of_user(&self, user: &UserId) -> impl Iterator<Item = MemberId> {
        self.users.get(user).into_iter().flatten().copied()
    }

    pub fn with_email(&self, email: &Email) -> Vec<MemberId> {
        match self.shared.get(email.folded()) {
            Some(ids) => ids.iter().copied().collect(),
            None => self.by_email.get(email.folded()).map(|index| self.id(*index)).into_iter().collect(),
        }
    }

    /// The member that an entry means.
    ///
    /// # Errors
    ///
    /// Why there is none. Does not include similar members.
    pub fn find(&self, person: &PersonRef) -> Result<PersonIndex, BlockedReason> {
        let found = match person {
            PersonRef::Id(id) => self.by_id.get(id).copied(),
            PersonRef::Email(email) => match self.shared.get(email.folded()) {
                Some(ids) => self.by_id.get(&self.choose(ids)?).copied(),
                None => self.by_email.get(email.folded()).copied(),
            },
        };
        match found {
            None => Err(BlockedReason::UnknownPerson { nearest: None, similar: Vec::new() }),
            Some(index) if !self.rejected.is_empty() && self.rejected.contains(self.known(index).id) => {
                Err(BlockedReason::RejectedInvitation)
            }
            Some(index) => Ok(index),
        }
    }

    /// The id of the member that an entry means.
    ///
    /// # Errors
    ///
    /// As [`People::find`].
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        self.find(person).map(|index| self.id(index))
    }

    /// The entries of a list by the member they mean, and those that mean nobody or several. An address that a present
    /// member has means that member, with whomever the member shares it.
    pub fn by_member<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e DesiredMember>,
        present: Option<&Membership>,
    ) -> (BTreeMap<MemberId, Entries<'e>>, BTreeMap<&'e PersonRef, Entries<'e>>) {
        let mut by_member: BTreeMap<MemberId, Entries<'e>> = BTreeMap::new();
        let mut unresolved: BTreeMap<&PersonRef, Entries<'e>> = BTreeMap::new();
        for entry in entries {
            let mut meant = match &entry.person {
                PersonRef::Email(email) => self.with_email(email),
                PersonRef::Id(_) => Vec::new(),
            };
            meant.retain(|id| present.is_some_and(|present| present.contains_key(id)));
            match self.resolve(&entry.person) {
                Ok(id) if meant.is_empty() => meant.push(id),
                Err(_) if meant.is_empty() => unresolved.entry(&entry.person).or_default().push(entry),
                _ => {}
            }
            meant.into_iter().for_each(|id| by_member.entry(id).or_default().push(entry));
        }
        (by_member, unresolved)
    }

    /// Those of these members who are in a group.
    pub fn those_in(&self, ids: &[MemberId], group: Option<GroupId>) -> impl Iterator<Item = PersonIndex> {
        let present = group.map_or(&[][..], |group| self.members(group));
        ids.iter().filter_map(|id| self.by_id.get(id).copied()).filter(|index| present.contains(index))
    }

    /// After a declined invitation was sent again, two members have one address. The one who has not declined is
    /// meant.
    fn choose(&self, ids: &BTreeSet<MemberId>) -> Result<MemberId, BlockedReason> {
        let living: Vec<MemberId> = ids.difference(&self.rejected).copied().collect();
        match living.as_slice() {
            [] => Err(BlockedReason::RejectedInvitation),
            [id] => Ok(*id),
            _ => Err(BlockedReason::AmbiguousPerson { candidates: living }),
        }
    }

    pub fn subject(&self, index: PersonIndex) -> Member {
        let Known { id, email, status } = *self.known(index);
        Member { id: *id, email: email.cloned(), status }
    }

    /// A member for a plan, who may not have been seen.
    pub fn subject_with_id(&self, id: MemberId) -> Member {
        let known = self.by_id.get(&id).map(|index| self.subject(*index));
        known.unwrap_or(Member { id, email: None, status: None })
    }
}

/// The index as 4 bytes. Memory cannot hold more members than that.
fn dense(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
