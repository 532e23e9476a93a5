//! Who is meant by an email address or an id, as far as the account has been read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{BlockedReason, Subject};
use crate::model::{Current, Email, MemberId, Membership, PersonRef, PersonStatus, Status};

/// How many unknown addresses get a suggestion: each costs a comparison with everybody.
const MAX_SUGGESTIONS: usize = 50;

/// A map by hash, seeded at random: quicker for short keys than the one of the standard library.
type Hashed<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

/// Everybody the account was seen to have.
///
/// The maps that everybody is in are hashed for speed: no order shows, as they are only asked. What is rare has maps
/// of its own, so that everybody's entry stays small.
pub struct People<'a> {
    /// The first member that was seen with each address.
    by_email: Hashed<&'a Email, MemberId>,
    by_id: Hashed<MemberId, Known<'a>>,
    /// All members of each address that was seen with several.
    shared: BTreeMap<&'a Email, BTreeSet<MemberId>>,
    /// The further addresses of each member that was seen with several.
    further: BTreeMap<MemberId, Vec<&'a Email>>,
    /// Who declined the invitation.
    rejected: BTreeSet<MemberId>,
}

#[derive(Clone, Copy, Debug)]
struct Known<'a> {
    /// The first address seen: the one a group lists comes before the account's.
    email: Option<&'a Email>,
    status: Option<Status>,
}

impl<'a> People<'a> {
    /// Gathers all that was read: the groups' lists first, then the account's members.
    pub fn of(current: &'a Current) -> Self {
        let mut people = Self {
            by_email: Hashed::default(),
            by_id: Hashed::default(),
            shared: BTreeMap::new(),
            further: BTreeMap::new(),
            rejected: BTreeSet::new(),
        };
        for membership in current.memberships.values() {
            for (id, member) in membership.iter() {
                people.learn(*id, member.email.as_ref(), member.status);
            }
        }
        for (id, person) in &current.people {
            let status = match &person.status {
                PersonStatus::Known(status) => Some(*status),
                PersonStatus::Rejected => {
                    // Whoever stands in a group has not declined, whatever the account's list says.
                    if !people.by_id.contains_key(id) {
                        people.rejected.insert(*id);
                    }
                    None
                }
                PersonStatus::Other(_) => None,
            };
            people.learn(*id, None, status);
            person.emails.iter().for_each(|email| people.learn(*id, Some(email), status));
        }
        people
    }

    fn learn(&mut self, id: MemberId, email: Option<&'a Email>, status: Option<Status>) {
        let known = self.by_id.entry(id).or_insert(Known { email: None, status });
        known.status = known.status.or(status);
        let Some(email) = email else { return };
        match known.email {
            None => known.email = Some(email),
            Some(first) if first == email => return,
            Some(_) => {
                let further = self.further.entry(id).or_default();
                if further.contains(&email) {
                    return;
                }
                further.push(email);
            }
        }
        let first = *self.by_email.entry(email).or_insert(id);
        if first != id {
            self.shared.entry(email).or_insert_with(|| BTreeSet::from([first])).insert(id);
        }
    }

    /// Whether anybody was seen with this address.
    pub fn knows(&self, email: &Email) -> bool {
        self.by_email.contains_key(email)
    }

    /// Every member that was seen with this address.
    pub fn with_email(&self, email: &Email) -> Vec<MemberId> {
        match self.shared.get(email) {
            Some(ids) => ids.iter().copied().collect(),
            None => self.by_email.get(email).copied().into_iter().collect(),
        }
    }

    /// Whether this member was seen with this address.
    pub fn has_email(&self, id: MemberId, email: &Email) -> bool {
        self.by_id.get(&id).is_some_and(|known| known.email == Some(email))
            || self.further.get(&id).is_some_and(|further| further.contains(&email))
    }

    /// The member a person comes to.
    ///
    /// # Errors
    ///
    /// Says why there is none. The nearest address is left out: see [`Suggestions`].
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        let id = match person {
            PersonRef::Id(id) => self.by_id.contains_key(id).then_some(*id),
            PersonRef::Email(email) => match self.shared.get(email) {
                Some(ids) => return self.choose(ids),
                None => self.by_email.get(email).copied(),
            },
        };
        match id {
            None => Err(BlockedReason::UnknownPerson { nearest: None }),
            Some(id) if self.rejected.contains(&id) => Err(BlockedReason::RejectedInvitation),
            Some(id) => Ok(id),
        }
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
    pub fn subject(&self, id: MemberId) -> Subject {
        let known = self.by_id.get(&id);
        Subject {
            id,
            email: known.and_then(|known| known.email).cloned(),
            status: known.and_then(|known| known.status),
        }
    }
}

/// Everybody, with the members of one group at hand: most of whom its list names are there already, and a small map
/// is far quicker to ask than that of a large account.
pub struct Nearby<'p, 'a> {
    people: &'p People<'a>,
    here: Hashed<&'p Email, MemberId>,
}

impl<'p, 'a> Nearby<'p, 'a> {
    /// Everybody, with these at hand. They must be among those the people were gathered from.
    pub fn new(people: &'p People<'a>, members: Option<&'p Membership>) -> Self {
        let mut here = Hashed::default();
        here.reserve(members.map_or(0, BTreeMap::len));
        let members = members.into_iter().flatten();
        here.extend(members.filter_map(|(id, member)| Some((member.email.as_ref()?, *id))));
        Self { people, here }
    }

    /// The member a person comes to.
    ///
    /// # Errors
    ///
    /// As [`People::resolve`].
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        match person {
            PersonRef::Email(email) if !self.people.shared.contains_key(email) => match self.here.get(email) {
                Some(id) => Ok(*id),
                None => self.people.resolve(person),
            },
            PersonRef::Email(_) | PersonRef::Id(_) => self.people.resolve(person),
        }
    }
}

/// Finds the address that was probably meant, for the first few unknown ones.
pub struct Suggestions<'a> {
    known: BTreeMap<&'a str, (&'a Email, MemberId)>,
    left: usize,
}

impl<'a> Suggestions<'a> {
    /// Suggests among everybody that was seen.
    pub fn among(people: &People<'a>) -> Self {
        let known = people.by_email.iter().filter(|(email, _)| !people.shared.contains_key(*email));
        Self { known: known.map(|(email, id)| (email.folded(), (*email, *id))).collect(), left: MAX_SUGGESTIONS }
    }

    /// The most similar address and whose it is, if any is similar enough.
    pub fn nearest(&mut self, person: &PersonRef) -> Option<(&'a Email, MemberId)> {
        let PersonRef::Email(email) = person else { return None };
        self.left = self.left.checked_sub(1)?;
        let most = likely_typos(email.folded());
        let close = self.known.iter().filter(|(other, _)| other.len().abs_diff(email.folded().len()) <= most);
        let measured = close.map(|(other, found)| (strsim::osa_distance(email.folded(), other), *found));
        let best = measured.filter(|(distance, _)| *distance <= most).min_by(|a, b| a.0.cmp(&b.0));
        best.map(|(_, found)| found)
    }
}

/// How many characters may differ before two addresses are two people's rather than one's with a typo: the shorter
/// the name, the fewer.
fn likely_typos(address: &str) -> usize {
    let name = address.split('@').next().unwrap_or_default();
    (1 + name.chars().count() / 6).min(3)
}
