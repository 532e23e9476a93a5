//! Members whom an unknown entry may mean.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::blocked::BlockedReason;
use super::compare::local_part;
use super::people::People;
use crate::model::typos::{self, Texts};
use crate::model::{Member, MemberId, PersonRef};

/// The maximum number of suggestions for an unknown entry.
const MOST_SHOWN: usize = 5;

type ByLocalPart<'p> = BTreeMap<Cow<'p, str>, Vec<(&'p str, MemberId)>>;

/// Looks for similar addresses and ids. What a search needs is collected at the first one.
pub struct Similar<'p, 'a> {
    people: &'p People<'a>,
    addresses: Option<Texts<'a, MemberId>>,
    ids: Option<Texts<'a, MemberId>>,
    /// The addresses by the part before the `@`.
    locals: Option<ByLocalPart<'p>>,
}

impl<'p, 'a> Similar<'p, 'a> {
    pub const fn new(people: &'p People<'a>) -> Self {
        Self { people, addresses: None, ids: None, locals: None }
    }

    /// The reason, with the nearest candidates if the person is unknown.
    pub fn suggest(&mut self, person: &PersonRef, mut reason: BlockedReason) -> BlockedReason {
        if let BlockedReason::UnknownPerson { nearest, similar } = &mut reason {
            *similar = self.members(person);
            *nearest = similar.iter().find_map(|member| member.email.clone());
        }
        reason
    }

    /// The nearest candidates, with the address that is near: every tie, up to five.
    fn members(&mut self, person: &PersonRef) -> Vec<Member> {
        let people = self.people;
        let texts = match person {
            PersonRef::Email(_) => self.addresses.get_or_insert_with(|| Texts::new(people.addresses())),
            PersonRef::Id(_) => self.ids.get_or_insert_with(|| Texts::new(people.ids())),
        };
        let text = typos::written(person);
        let found = texts.nearest(text, typos::tolerance(text));
        let named = |(text, id): (&str, MemberId)| {
            let email = people.emails(id).find(|email| email.folded() == text);
            let member = people.subject(id);
            Member { email: email.cloned().or(member.email), ..member }
        };
        if found.is_empty() {
            return self.at_another_domain(text).into_iter().map(named).collect();
        }
        let least = found.first().map(|(distance, ..)| *distance);
        let nearest = found.into_iter().filter(|(distance, ..)| Some(*distance) == least);
        nearest.take(MOST_SHOWN).map(|(_, text, id)| named((text, id))).collect()
    }

    /// The addresses with the same part before the `@`: the address may have changed.
    fn at_another_domain(&mut self, text: &str) -> Vec<(&'p str, MemberId)> {
        let people = self.people;
        let locals = self.locals.get_or_insert_with(|| {
            let mut locals = ByLocalPart::new();
            for (address, id) in people.addresses() {
                if let Some(local) = local_part(address) {
                    locals.entry(local).or_default().push((address, id));
                }
            }
            locals
        });
        let same = local_part(text).and_then(|local| locals.get(&*local)).into_iter().flatten();
        same.copied().take(MOST_SHOWN).collect()
    }
}
