//! Who is meant by an email address or an id, as far as the account has been read.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::{BlockedReason, Subject};
use crate::model::{Current, Email, MemberId, PersonRef, PersonStatus, Status};

/// How many unknown addresses get a suggestion: each costs a comparison with everybody.
const MAX_SUGGESTIONS: usize = 50;

/// Everybody the account was seen to have.
///
/// The maps are hashed for speed: they are only asked, never walked.
pub struct People<'a> {
    by_email: HashMap<&'a Email, Candidates>,
    by_id: HashMap<MemberId, Known<'a>>,
}

/// The members that were seen with one address. Nearly always there is one.
#[derive(Clone, Debug)]
enum Candidates {
    One(MemberId),
    Several(BTreeSet<MemberId>),
}

#[derive(Clone, Debug)]
struct Known<'a> {
    /// The first address seen: the one a group lists comes before the account's.
    email: Option<&'a Email>,
    /// Any further addresses.
    others: Vec<&'a Email>,
    status: Option<Status>,
    rejected: bool,
}

impl<'a> People<'a> {
    /// Gathers all that was read: the groups' lists first, then the account's members.
    pub fn of(current: &'a Current) -> Self {
        let mut people = Self { by_email: HashMap::new(), by_id: HashMap::new() };
        for membership in current.memberships.values() {
            for (id, member) in membership.iter() {
                people.learn(*id, member.email.as_ref(), member.status, false);
            }
        }
        for (id, person) in &current.people {
            let (status, rejected) = match &person.status {
                PersonStatus::Known(status) => (Some(*status), false),
                PersonStatus::Rejected => (None, true),
                PersonStatus::Other(_) => (None, false),
            };
            people.learn(*id, None, status, rejected);
            person.emails.iter().for_each(|email| people.learn(*id, Some(email), status, rejected));
        }
        people
    }

    fn learn(&mut self, id: MemberId, email: Option<&'a Email>, status: Option<Status>, rejected: bool) {
        let known = self.by_id.entry(id).or_insert(Known { email: None, others: Vec::new(), status, rejected });
        known.status = known.status.or(status);
        let Some(email) = email else { return };
        match known.email {
            None => known.email = Some(email),
            Some(first) if first == email || known.others.contains(&email) => return,
            Some(_) => known.others.push(email),
        }
        self.by_email.entry(email).and_modify(|candidates| candidates.insert(id)).or_insert(Candidates::One(id));
    }

    /// Whether anybody was seen with this address.
    pub fn knows(&self, email: &Email) -> bool {
        self.by_email.contains_key(email)
    }

    /// Every member that was seen with this address.
    pub fn with_email(&self, email: &Email) -> Vec<MemberId> {
        match self.by_email.get(email) {
            None => Vec::new(),
            Some(Candidates::One(id)) => vec![*id],
            Some(Candidates::Several(ids)) => ids.iter().copied().collect(),
        }
    }

    /// Whether this member was seen with this address.
    pub fn has_email(&self, id: MemberId, email: &Email) -> bool {
        self.by_id.get(&id).is_some_and(|known| known.email == Some(email) || known.others.contains(&email))
    }

    /// The member a person comes to.
    ///
    /// # Errors
    ///
    /// Says why there is none. The nearest address is left out: see [`Suggestions`].
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        match person {
            PersonRef::Id(id) => match self.by_id.get(id) {
                None => Err(BlockedReason::UnknownPerson { nearest: None }),
                Some(known) if known.rejected => Err(BlockedReason::RejectedInvitation),
                Some(_) => Ok(*id),
            },
            PersonRef::Email(email) => match self.by_email.get(email) {
                None => Err(BlockedReason::UnknownPerson { nearest: None }),
                Some(Candidates::One(id)) if self.is_rejected(*id) => Err(BlockedReason::RejectedInvitation),
                Some(Candidates::One(id)) => Ok(*id),
                Some(Candidates::Several(ids)) => self.choose(ids),
            },
        }
    }

    /// An invitation that was rejected and sent anew leaves two members with one address: the living one is meant.
    fn choose(&self, ids: &BTreeSet<MemberId>) -> Result<MemberId, BlockedReason> {
        let living: Vec<MemberId> = ids.iter().copied().filter(|id| !self.is_rejected(*id)).collect();
        match living.as_slice() {
            [] => Err(BlockedReason::RejectedInvitation),
            [id] => Ok(*id),
            _ => Err(BlockedReason::AmbiguousPerson { candidates: living }),
        }
    }

    fn is_rejected(&self, id: MemberId) -> bool {
        self.by_id.get(&id).is_some_and(|known| known.rejected)
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

impl Candidates {
    fn insert(&mut self, id: MemberId) {
        match self {
            Self::One(first) if *first == id => {}
            Self::One(first) => *self = Self::Several(BTreeSet::from([*first, id])),
            Self::Several(ids) => {
                ids.insert(id);
            }
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
        let known = people.by_email.iter().filter_map(|(email, candidates)| match candidates {
            Candidates::One(id) => Some((email.folded(), (*email, *id))),
            Candidates::Several(_) => None,
        });
        Self { known: known.collect(), left: MAX_SUGGESTIONS }
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
