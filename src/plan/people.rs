//! Finds the members that an email address or an id means, in what was read of the account.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::BlockedReason;
use crate::model::{Email, GroupId, Member, MemberId, Observed, PersonRef, PersonStatus, Status, UserId};

/// A map with a randomly seeded hash, which is faster for short keys than that of the standard library.
type Hashed<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// The index of a person. Large accounts are compared by index, because ids and addresses are long and scattered in
/// memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(u32);

impl Number {
    /// The number as an index.
    pub const fn place(self) -> usize {
        self.0 as usize
    }
}

/// Everybody who was seen in the account.
///
/// The large maps are hashed for speed. They are never iterated, so hash order cannot affect the output. Rare facts are in separate maps,
/// so that each person's entry stays small.
pub struct People<'a> {
    everybody: Vec<Known<'a>>,
    by_id: Hashed<MemberId, Number>,
    /// The first member with each address, by the address in lower case.
    by_email: Hashed<&'a str, Number>,
    /// The members of each group that was read, sorted by id.
    groups: BTreeMap<GroupId, Vec<Number>>,
    /// All members of each address that several members have, by the address in lower case.
    shared: BTreeMap<&'a str, BTreeSet<MemberId>>,
    /// The additional addresses of members with several addresses.
    further: BTreeMap<Number, Vec<&'a Email>>,
    /// People who declined the invitation.
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
        people.meet(current);
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
            let number = people.number(id);
            people.learn(number, None, status);
            person.emails.iter().for_each(|email| people.learn(number, Some(email), status));
        }
        people
    }

    /// Adds the members of all groups. A value that several groups share adds nothing after the first time. Its address
    /// in memory identifies it: reading the value would cost more than everything else here.
    fn meet(&mut self, current: &'a Observed) {
        let mut met: Hashed<*const Member, u32> = Hashed::default();
        let mut different: Vec<(&'a MemberId, &'a Member)> = Vec::new();
        let mut index = |id, member| {
            *met.entry(Arc::as_ptr(member)).or_insert_with(|| {
                let next = dense(different.len());
                different.push((id, &**member));
                next
            })
        };
        let memberships = current.memberships.iter();
        let groups: Vec<(GroupId, Vec<u32>)> = memberships
            .map(|(group, membership)| (*group, membership.iter().map(|(id, member)| index(id, member)).collect()))
            .collect();
        // Maps that grow while they are filled would take most of the time.
        self.everybody.reserve(different.len());
        self.by_id.reserve(different.len());
        self.by_email.reserve(different.len());
        let numbers: Vec<Number> = different
            .into_iter()
            .map(|(id, member)| {
                let number = self.number(id);
                self.learn(number, member.email.as_ref(), member.status);
                number
            })
            .collect();
        let number = |index: u32| numbers.get(index as usize).copied();
        self.groups = groups
            .into_iter()
            .map(|(group, members)| (group, members.into_iter().filter_map(number).collect()))
            .collect();
    }

    /// The number of the person with this id. A new person gets the next number.
    fn number(&mut self, id: &'a MemberId) -> Number {
        *self.by_id.entry(*id).or_insert_with(|| {
            let next = Number(dense(self.everybody.len()));
            self.everybody.push(Known { id, email: None, status: None });
            next
        })
    }

    fn learn(&mut self, number: Number, email: Option<&'a Email>, status: Option<Status>) {
        let Some(known) = self.everybody.get_mut(number.place()) else { return };
        known.status = known.status.or(status);
        let (id, Some(email)) = (*known.id, email) else { return };
        match known.email {
            None => known.email = Some(email),
            Some(first) if first == email => return,
            Some(_) => {
                let further = self.further.entry(number).or_default();
                if further.contains(&email) {
                    return;
                }
                further.push(email);
            }
        }
        let first = *self.by_email.entry(email.folded()).or_insert(number);
        if first != number {
            let first = self.id(first);
            self.shared.entry(email.folded()).or_insert_with(|| BTreeSet::from([first])).insert(id);
        }
    }

    #[expect(clippy::indexing_slicing, reason = "a number is an index of this list, which only grows")]
    fn known(&self, number: Number) -> &Known<'a> {
        &self.everybody[number.place()]
    }

    pub fn id(&self, number: Number) -> MemberId {
        *self.known(number).id
    }

    /// The number of people. All numbers are below it.
    pub const fn len(&self) -> usize {
        self.everybody.len()
    }

    /// The members of a group, sorted by id; empty if the group was not read.
    pub fn members(&self, group: GroupId) -> &[Number] {
        self.groups.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether anybody with this address or id was seen.
    pub fn knows(&self, person: &PersonRef) -> bool {
        match person {
            PersonRef::Email(email) => self.by_email.contains_key(email.folded()),
            PersonRef::Id(id) => self.by_id.contains_key(id),
        }
    }

    fn numbered(&self) -> impl Iterator<Item = (Number, &Known<'a>)> {
        (0..).map(Number).zip(&self.everybody)
    }

    /// The addresses of all people, in lower case.
    pub fn addresses(&self) -> impl Iterator<Item = (&'a str, Number)> {
        let first = self.numbered().filter_map(|(number, known)| Some((known.email?, number)));
        let further = self.further.iter().flat_map(|(number, emails)| emails.iter().map(|email| (*email, *number)));
        first.chain(further).map(|(email, number)| (email.folded(), number))
    }

    /// The ids of all people, as text.
    pub fn ids(&self) -> impl Iterator<Item = (&'a str, Number)> {
        self.numbered().map(|(number, known)| (known.id.as_str(), number))
    }

    /// Every address of a person.
    pub fn emails(&self, number: Number) -> impl Iterator<Item = &'a Email> {
        let further = self.further.get(&number).into_iter().flatten().copied();
        self.known(number).email.into_iter().chain(further)
    }

    /// Everything that an entry may name a member by: the id and the addresses.
    pub fn texts(&self, id: MemberId) -> impl Iterator<Item = &'a str> {
        let number = self.by_id.get(&id).copied();
        number.into_iter().flat_map(|number| {
            let id: &'a MemberId = self.known(number).id;
            std::iter::once(id.as_str()).chain(self.emails(number).map(Email::folded))
        })
    }

    /// Every member of this user.
    pub fn of_user(&self, user: &UserId) -> impl Iterator<Item = MemberId> {
        self.users.get(user).into_iter().flatten().copied()
    }

    /// Every member with this address.
    pub fn with_email(&self, email: &Email) -> Vec<MemberId> {
        match self.shared.get(email.folded()) {
            Some(ids) => ids.iter().copied().collect(),
            None => self.by_email.get(email.folded()).map(|number| self.id(*number)).into_iter().collect(),
        }
    }

    /// The member that an entry means.
    ///
    /// # Errors
    ///
    /// Why there is none. Does not include similar members.
    pub fn find(&self, person: &PersonRef) -> Result<Number, BlockedReason> {
        let found = match person {
            PersonRef::Id(id) => self.by_id.get(id).copied(),
            PersonRef::Email(email) => match self.shared.get(email.folded()) {
                Some(ids) => self.by_id.get(&self.choose(ids)?).copied(),
                None => self.by_email.get(email.folded()).copied(),
            },
        };
        match found {
            None => Err(BlockedReason::UnknownPerson { nearest: None, similar: Vec::new() }),
            Some(number) if !self.rejected.is_empty() && self.rejected.contains(self.known(number).id) => {
                Err(BlockedReason::RejectedInvitation)
            }
            Some(number) => Ok(number),
        }
    }

    /// The id of the member that an entry means.
    ///
    /// # Errors
    ///
    /// As [`People::find`].
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        self.find(person).map(|number| self.id(number))
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

    /// A member for a plan.
    pub fn subject(&self, number: Number) -> Member {
        let Known { id, email, status } = *self.known(number);
        Member { id: *id, email: email.cloned(), status }
    }

    /// A member for a plan, who may not have been seen.
    pub fn subject_with_id(&self, id: MemberId) -> Member {
        let known = self.by_id.get(&id).map(|number| self.subject(*number));
        known.unwrap_or(Member { id, email: None, status: None })
    }
}

/// An index in half the space. So many members do not fit into memory that it is too large.
fn dense(index: usize) -> u32 {
    u32::try_from(index).unwrap_or(u32::MAX)
}
