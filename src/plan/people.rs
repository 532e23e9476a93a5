//! Finds the members that an email address or an id means, in what was read of the account.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::blocked::{Blocked, BlockedReason};
use super::contents::Change;
use crate::model::typos::{Texts, tolerance, written};
use crate::model::{DesiredMember, Email, Member, MemberId, Membership, Observed, PersonRef, Status};

pub(super) type Hashed<K, V> = HashMap<K, V, foldhash::fast::RandomState>;

#[derive(Default)]
pub struct People<'a> {
    /// The large maps are hashed. What comes out of them is sorted, so that the order of hashing never shows.
    everybody: Hashed<MemberId, Known<'a>>,
    /// The first member with each address, by the address in lower case.
    by_email: Hashed<&'a str, &'a MemberId>,
    /// The other addresses of members who have several, in the order in which they were seen.
    further: BTreeMap<MemberId, Vec<&'a Email>>,
    /// All members of each address that several members have, by the address in lower case.
    shared: BTreeMap<&'a str, BTreeSet<MemberId>>,
    rejected: BTreeSet<MemberId>,
}

#[derive(Clone, Debug)]
struct Known<'a> {
    id: &'a MemberId,
    /// The first address that was seen: a group's has precedence over the account's.
    email: Option<&'a Email>,
    /// The same address in lower case. Comparing it here saves an access to memory for each membership.
    folded: &'a str,
    status: Option<Status>,
}

impl<'a> People<'a> {
    /// Collects everything that was read: first the groups' lists, then the account's members.
    pub fn of(current: &'a Observed) -> Self {
        let mut people = Self::default();
        for (id, member) in current.memberships.values().flat_map(|members| members.iter()) {
            people.record(id, member.email.as_ref(), member.status);
        }
        for (id, person) in &current.people {
            // A group member has not declined, even if the account's list says so.
            if person.declined && !people.everybody.contains_key(id) {
                people.rejected.insert(*id);
            }
            people.record(id, None, person.status);
            person.emails.iter().for_each(|email| people.record(id, Some(email), person.status));
        }
        people
    }

    fn record(&mut self, id: &'a MemberId, email: Option<&'a Email>, status: Option<Status>) {
        let known = self.everybody.entry(*id).or_insert_with(|| Known { id, email: None, folded: "", status });
        known.status = known.status.or(status);
        let Some(email) = email.filter(|email| known.folded != email.folded()) else { return };
        match known.email {
            None => (known.email, known.folded) = (Some(email), email.folded()),
            Some(_) => {
                let further = self.further.entry(*id).or_default();
                if further.contains(&email) {
                    return;
                }
                further.push(email);
            }
        }
        let first = *self.by_email.entry(email.folded()).or_insert(id);
        if first != id {
            self.shared.entry(email.folded()).or_insert_with(|| BTreeSet::from([*first])).insert(*id);
        }
    }

    /// Whether anybody with this address or id was seen.
    pub fn knows(&self, person: &PersonRef) -> bool {
        match person {
            PersonRef::Email(email) => self.by_email.contains_key(email.folded()),
            PersonRef::Id(id) => self.everybody.contains_key(id),
        }
    }

    fn sorted(&self) -> impl Iterator<Item = &Known<'a>> {
        let mut everybody: Vec<&Known<'a>> = self.everybody.values().collect();
        everybody.sort_unstable_by_key(|known| known.id);
        everybody.into_iter()
    }

    /// The addresses of all people, in lower case.
    pub fn addresses(&self) -> impl Iterator<Item = (&'a str, MemberId)> {
        self.sorted().flat_map(|known| self.emails(*known.id).map(|email| (email.folded(), *known.id)))
    }

    pub fn ids(&self) -> impl Iterator<Item = (&'a str, MemberId)> {
        self.sorted().map(|known| (known.id.as_str(), *known.id))
    }

    pub fn emails(&self, id: MemberId) -> impl Iterator<Item = &'a Email> {
        let first = self.everybody.get(&id).and_then(|known| known.email);
        first.into_iter().chain(self.further.get(&id).into_iter().flatten().copied())
    }

    /// Everything that an entry may name a member by: the id and the addresses.
    pub fn texts(&self, id: MemberId) -> impl Iterator<Item = &'a str> {
        let id_text = self.everybody.get(&id).map(|known| known.id.as_str());
        id_text.into_iter().chain(self.emails(id).map(Email::folded))
    }

    /// Every member whom an entry could mean: several may share an address.
    pub fn may_mean(&self, person: &PersonRef) -> Vec<MemberId> {
        match person {
            PersonRef::Email(email) => self.with_email(email),
            PersonRef::Id(id) => vec![*id],
        }
    }

    pub fn is_shared(&self, email: &Email) -> bool {
        self.shared.contains_key(email.folded())
    }

    pub fn with_email(&self, email: &Email) -> Vec<MemberId> {
        match self.shared.get(email.folded()) {
            Some(ids) => ids.iter().copied().collect(),
            None => self.by_email.get(email.folded()).map(|id| **id).into_iter().collect(),
        }
    }

    /// The member that an entry means.
    ///
    /// # Errors
    ///
    /// Why there is none. Does not include similar members.
    pub fn resolve(&self, person: &PersonRef) -> Result<MemberId, BlockedReason> {
        let mut meant = match person {
            PersonRef::Id(id) if !self.everybody.contains_key(id) => Vec::new(),
            person => self.may_mean(person),
        };
        if meant.is_empty() {
            return Err(BlockedReason::UnknownPerson { nearest: None, similar: Vec::new() });
        }
        // After a declined invitation was sent again, two members have one address. The one who has not declined is
        // meant.
        meant.retain(|id| !self.rejected.contains(id));
        match meant.as_slice() {
            [] => Err(BlockedReason::RejectedInvitation),
            [id] => Ok(*id),
            _ => Err(BlockedReason::AmbiguousPerson { candidates: meant }),
        }
    }

    /// The entries of a list by the member they mean, with everybody who is present; or by the person they name, if that
    /// is nobody or several. An address that a present member has means that member, with whomever the member shares it.
    pub fn by_member<'e>(
        &self,
        entries: impl IntoIterator<Item = &'e DesiredMember>,
        present: Option<&Membership>,
    ) -> BTreeMap<Result<MemberId, &'e PersonRef>, Vec<&'e DesiredMember>> {
        let is_present = |id: &MemberId| present.is_some_and(|present| present.contains_key(id));
        let members = present.into_iter().flat_map(|present| present.keys());
        let mut by_member: BTreeMap<_, Vec<_>> = members.map(|id| (Ok(*id), Vec::new())).collect();
        for entry in entries {
            let mut meant: Vec<_> = self.may_mean(&entry.person).into_iter().filter(is_present).map(Ok).collect();
            if meant.is_empty() {
                meant.push(self.resolve(&entry.person).map_err(|_| &entry.person));
            }
            meant.into_iter().for_each(|member| by_member.entry(member).or_default().push(entry));
        }
        by_member
    }

    /// The addresses of the members of these changes who have several.
    pub fn addresses_of<'c>(&self, changes: impl IntoIterator<Item = &'c Change>) -> BTreeMap<MemberId, Vec<Email>> {
        let ids = changes.into_iter().map(|change| change.member.id);
        ids.filter(|id| self.emails(*id).count() > 1).map(|id| (id, self.emails(id).cloned().collect())).collect()
    }

    /// Why a member may not join where addresses must be at these domains: none of the member's is. A member without an
    /// address may.
    pub fn outside(&self, id: MemberId, domains: &[String]) -> Option<BlockedReason> {
        let email = self.emails(id).next()?.clone();
        let is_allowed = |email: &Email| domains.iter().any(|domain| *domain == email.domain());
        (!self.emails(id).any(is_allowed)).then(|| BlockedReason::Domain { email, allowed: domains.to_vec() })
    }

    /// A member for a plan, who may not have been seen.
    pub fn subject(&self, id: MemberId) -> Member {
        let known = self.everybody.get(&id);
        let email = known.and_then(|known| known.email).cloned();
        Member { id, email, status: known.and_then(|known| known.status) }
    }
}

/// The maximum number of suggestions for an unknown entry.
const MOST_SHOWN: usize = 5;

/// Names the members whom each unknown entry could mean: the nearest, every tie, up to five; or those with the same part
/// before the `@`, because the address may have changed.
pub(super) fn suggest(blocked: &mut [Blocked], people: &People<'_>) {
    let is_unknown = |blocked: &Blocked| matches!(blocked.reason, BlockedReason::UnknownPerson { .. });
    // Most plans have no unknown entry, and this takes long.
    if !blocked.iter().any(is_unknown) {
        return;
    }
    let (mut addresses, mut ids) = (Texts::new(people.addresses()), Texts::new(people.ids()));
    for blocked in blocked.iter_mut().filter(|blocked| is_unknown(blocked)) {
        let Some(person) = blocked.entry.clone() else { continue };
        let text = written(&person);
        let texts = if let PersonRef::Email(_) = person { &mut addresses } else { &mut ids };
        let near = texts.nearest(text, tolerance(text));
        let least = near.first().map(|(distance, ..)| *distance);
        let nearest = near.into_iter().filter(|(distance, ..)| Some(*distance) == least);
        let mut found: Vec<(&str, MemberId)> = nearest.map(|(_, text, id)| (text, id)).collect();
        if found.is_empty() {
            found.extend(texts.moved(text));
        }
        let named = |(text, id): (&str, MemberId)| {
            let email = people.emails(id).find(|email| email.folded() == text);
            let member = people.subject(id);
            Member { email: email.cloned().or(member.email), ..member }
        };
        let similar: Vec<Member> = found.into_iter().take(MOST_SHOWN).map(named).collect();
        let nearest = similar.iter().find_map(|member| member.email.clone());
        let reason = BlockedReason::UnknownPerson { nearest, similar };
        *blocked = Blocked::new(&blocked.group, blocked.mode, Some(person), &blocked.origin, reason);
    }
}
