//! Who is meant by an email address or an id, as far as the account has been read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::BlockedReason;
use crate::model::{Email, GroupId, Member, MemberId, Observed, PersonRef, PersonStatus, Status, UserId};

/// A map by hash, seeded at random: quicker for short keys than the one of the standard library.
type Hashed<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Somebody's place among everybody: what a large account is compared by, as ids and addresses are long and lie
/// scattered in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Number(usize);

impl Number {
    /// The number as a place in a list of everybody.
    pub const fn place(self) -> usize {
        self.0
    }
}

/// Everybody the account was seen to have.
///
/// The maps that everybody is in are hashed for speed: no order shows, as they are only asked. What is rare has maps
/// of its own, so that everybody's entry stays small.
pub struct People<'a> {
    everybody: Vec<Known<'a>>,
    by_id: Hashed<MemberId, Met<'a>>,
    /// The first member that was seen with each address, by the address in lower case.
    by_email: Hashed<&'a str, Number>,
    /// The members of each group that was read, in the order of their ids.
    groups: BTreeMap<GroupId, Vec<Number>>,
    /// All members of each address that was seen with several, by the address in lower case.
    shared: BTreeMap<&'a str, BTreeSet<MemberId>>,
    /// The further addresses of each member that was seen with several.
    further: BTreeMap<Number, Vec<&'a Email>>,
    /// Who declined the invitation.
    rejected: BTreeSet<MemberId>,
    /// The members of each user, as far as the account's members were read.
    users: BTreeMap<&'a UserId, Vec<MemberId>>,
}

#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    id: &'a MemberId,
    /// The first address seen: a group's address takes precedence over the account's.
    email: Option<&'a Email>,
    status: Option<Status>,
}

#[derive(Clone, Copy, Debug)]
struct Met<'a> {
    number: Number,
    /// The member as the first group lists them. A group that shares the value adds nothing.
    told: Option<&'a Member>,
}

impl<'a> People<'a> {
    /// Gathers all that was read: the groups' lists first, then the account's members.
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
        for (group, membership) in &current.memberships {
            let numbers = membership.iter().map(|(id, member)| people.meet(id, member)).collect();
            people.groups.insert(*group, numbers);
        }
        for (id, person) in &current.people {
            let status = match &person.status {
                PersonStatus::Known(status) => Some(*status),
                PersonStatus::Rejected => {
                    // A group member has not declined, whatever the account's list says.
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
            let number = people.number(id).number;
            people.learn(number, None, status);
            person.emails.iter().for_each(|email| people.learn(number, Some(email), status));
        }
        people
    }

    /// Adds a member as a group lists them.
    fn meet(&mut self, id: &'a MemberId, member: &'a Member) -> Number {
        let met = self.number(id);
        let number = met.number;
        if !met.told.is_some_and(|told| std::ptr::eq(told, member)) {
            met.told.get_or_insert(member);
            self.learn(number, member.email.as_ref(), member.status);
        }
        number
    }

    /// The entry of somebody with this id, who gets the next number if they are new.
    fn number(&mut self, id: &'a MemberId) -> &mut Met<'a> {
        self.by_id.entry(*id).or_insert_with(|| {
            self.everybody.push(Known { id, email: None, status: None });
            Met { number: Number(self.everybody.len() - 1), told: None }
        })
    }

    fn learn(&mut self, number: Number, email: Option<&'a Email>, status: Option<Status>) {
        let Some(known) = self.everybody.get_mut(number.0) else { return };
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

    #[expect(clippy::indexing_slicing, reason = "a number is a place in this very list, which only grows")]
    fn known(&self, number: Number) -> &Known<'a> {
        &self.everybody[number.0]
    }

    /// Their id.
    pub fn id(&self, number: Number) -> MemberId {
        *self.known(number).id
    }

    /// How many there are: every number is below.
    pub const fn len(&self) -> usize {
        self.everybody.len()
    }

    /// The members of a group, in the order of their ids; nobody where the group was not read.
    pub fn members(&self, group: GroupId) -> &[Number] {
        self.groups.get(&group).map(Vec::as_slice).unwrap_or_default()
    }

    /// Whether anybody was seen with this address or id.
    pub fn knows(&self, person: &PersonRef) -> bool {
        match person {
            PersonRef::Email(email) => self.by_email.contains_key(email.folded()),
            PersonRef::Id(id) => self.by_id.contains_key(id),
        }
    }

    /// Everybody's addresses, all letters small.
    pub fn addresses(&self) -> impl Iterator<Item = (&'a str, Number)> {
        let first = self.everybody.iter().enumerate().filter_map(|(place, known)| Some((known.email?, Number(place))));
        let further = self.further.iter().flat_map(|(number, emails)| emails.iter().map(|email| (*email, *number)));
        first.chain(further).map(|(email, number)| (email.folded(), number))
    }

    /// Everybody's id as text.
    pub fn ids(&self) -> impl Iterator<Item = (&'a str, Number)> {
        self.everybody.iter().enumerate().map(|(place, known)| (known.id.as_str(), Number(place)))
    }

    /// Every address that somebody was seen with.
    pub fn emails(&self, number: Number) -> impl Iterator<Item = &'a Email> {
        let further = self.further.get(&number).into_iter().flatten().copied();
        self.known(number).email.into_iter().chain(further)
    }

    /// Everything that an entry may name a member by: their id and their addresses.
    pub fn texts(&self, id: MemberId) -> impl Iterator<Item = &'a str> {
        let number = self.by_id.get(&id).map(|met| met.number);
        number.into_iter().flat_map(|number| {
            let id: &'a MemberId = self.known(number).id;
            std::iter::once(id.as_str()).chain(self.emails(number).map(Email::folded))
        })
    }

    /// Every member of this user.
    pub fn of_user(&self, user: &UserId) -> impl Iterator<Item = MemberId> {
        self.users.get(user).into_iter().flatten().copied()
    }

    /// Every member that was seen with this address.
    pub fn with_email(&self, email: &Email) -> Vec<MemberId> {
        match self.shared.get(email.folded()) {
            Some(ids) => ids.iter().copied().collect(),
            None => self.by_email.get(email.folded()).map(|number| self.id(*number)).into_iter().collect(),
        }
    }

    /// The member a person comes to.
    ///
    /// # Errors
    ///
    /// Says why there is none. Who is similar is left out.
    pub fn find(&self, person: &PersonRef) -> Result<Number, BlockedReason> {
        let found = match person {
            PersonRef::Id(id) => self.by_id.get(id).map(|met| met.number),
            PersonRef::Email(email) => match self.shared.get(email.folded()) {
                Some(ids) => self.by_id.get(&self.choose(ids)?).map(|met| met.number),
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

    /// The id of the member a person comes to.
    ///
    /// # Errors
    ///
    /// As [`People::find`].
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        self.find(person).map(|number| self.id(number))
    }

    /// An invitation that was rejected and sent anew leaves two members with one address: the living one is meant.
    fn choose(&self, ids: &BTreeSet<MemberId>) -> Result<MemberId, BlockedReason> {
        let living: Vec<MemberId> = ids.difference(&self.rejected).copied().collect();
        match living.as_slice() {
            [] => Err(BlockedReason::RejectedInvitation),
            [id] => Ok(*id),
            _ => Err(BlockedReason::AmbiguousPerson { candidates: living }),
        }
    }

    /// A member as a plan names them.
    pub fn subject(&self, number: Number) -> Member {
        let Known { id, email, status } = *self.known(number);
        Member { id: *id, email: email.cloned(), status }
    }

    /// A member as a plan names them, who may be somebody that was never seen.
    pub fn subject_with_id(&self, id: MemberId) -> Member {
        let known = self.by_id.get(&id).map(|met| self.subject(met.number));
        known.unwrap_or(Member { id, email: None, status: None })
    }
}
