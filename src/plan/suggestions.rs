//! Finds the address that was probably meant by an unknown one.

use std::collections::BTreeMap;

use super::people::{Number, People};
use crate::model::{Email, PersonRef};

/// How many unknown addresses get a suggestion: each costs a comparison with everybody.
const MAX_SUGGESTIONS: usize = 50;

/// Finds the address that was probably meant, for the first few unknown ones.
pub struct Suggestions<'a> {
    known: BTreeMap<&'a Email, Number>,
    left: usize,
}

impl<'a> Suggestions<'a> {
    /// Suggests among everybody that was seen.
    pub fn among(people: &People<'a>) -> Self {
        Self { known: people.unshared().collect(), left: MAX_SUGGESTIONS }
    }

    /// The most similar address and whose it is, if any is similar enough.
    pub fn nearest(&mut self, person: &PersonRef) -> Option<(&'a Email, Number)> {
        let PersonRef::Email(email) = person else { return None };
        self.left = self.left.checked_sub(1)?;
        let most = likely_typos(email.folded());
        let length = email.folded().len();
        let close = self.known.iter().filter(|(other, _)| other.folded().len().abs_diff(length) <= most);
        let measured =
            close.map(|(other, number)| (strsim::osa_distance(email.folded(), other.folded()), other, number));
        let best = measured.filter(|(distance, ..)| *distance <= most).min_by_key(|(distance, ..)| *distance);
        best.map(|(_, email, number)| (*email, *number))
    }
}

/// How many characters may differ before two addresses are two people's rather than one's with a typo: the shorter
/// the name, the fewer.
fn likely_typos(address: &str) -> usize {
    let name = address.split('@').next().unwrap_or_default();
    (1 + name.chars().count() / 6).min(3)
}
