//! Numbers the people of all lists. An address or id that many lists name is parsed, stored and later looked up once.

use std::collections::HashMap;

use super::problem::Position;
use crate::model::{Email, MemberId, PersonRef};

/// A map with a hash that is faster for short keys than that of the standard library. It is never iterated, so hash
/// order cannot affect the output.
type Hashed<K> = HashMap<K, u32, foldhash::fast::RandomState>;

/// The number of each person that the lists name.
#[derive(Debug, Default)]
pub(super) struct Numbers {
    emails: Hashed<Email>,
    ids: Hashed<MemberId>,
    /// The last entry of each person: in which list, and where.
    last: Vec<(u32, Position)>,
    /// The number of lists that were begun.
    lists: u32,
}

impl Numbers {
    /// The person that an earlier entry names with exactly this address.
    pub fn spelled(&self, address: &str) -> Option<(PersonRef, u32)> {
        let (email, number) = self.emails.get_key_value(address)?;
        (email.as_str() == address).then(|| (PersonRef::Email(email.clone()), *number))
    }

    /// The number of a person: equal people have equal numbers.
    pub fn of(&mut self, person: &PersonRef) -> u32 {
        // A file has less than 2^32 bytes.
        let next = u32::try_from(self.last.len()).unwrap_or(u32::MAX);
        let number = match person {
            PersonRef::Email(email) => *self.emails.entry(email.clone()).or_insert(next),
            PersonRef::Id(id) => *self.ids.entry(*id).or_insert(next),
        };
        if number == next {
            self.last.push((0, Position { line: 0, column: 0 }));
        }
        number
    }

    /// Begins a list: from now on, only its own entries count as duplicates.
    pub fn begin_list(&mut self) {
        self.lists += 1;
    }

    /// Adds a person to the current list, and returns the place of an entry before.
    pub fn list(&mut self, number: u32, at: Position) -> Option<Position> {
        let list = self.lists;
        let last = self.last.get_mut(number as usize)?;
        match *last {
            (before, first) if before == list => Some(first),
            _ => {
                *last = (list, at);
                None
            }
        }
    }

    /// The number of different people.
    pub fn count(&self) -> usize {
        self.last.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn email(text: &str) -> PersonRef {
        PersonRef::Email(Email::declared(text).unwrap())
    }

    #[test]
    fn equal_people_have_equal_numbers() {
        let mut numbers = Numbers::default();
        let id = PersonRef::Id("4f5f0c14a2a41d5063dd301b2f829f04".parse().unwrap());
        let all = [email("alice@example.com"), id.clone(), email("Alice@example.com"), email("bob@example.com"), id];
        assert_eq!(all.each_ref().map(|person| numbers.of(person)), [0, 1, 0, 2, 1]);
        assert_eq!(numbers.count(), 3);
    }

    #[test]
    fn spelling_is_kept() {
        let mut numbers = Numbers::default();
        numbers.of(&email("alice@example.com"));
        assert_eq!(numbers.spelled("alice@example.com"), Some((email("alice@example.com"), 0)));
        assert_eq!(numbers.spelled("Alice@example.com"), None);
    }

    #[test]
    fn duplicates_count_within_one_list() {
        let mut numbers = Numbers::default();
        let alice = numbers.of(&email("alice@example.com"));
        let at = |line| Position { line, column: 3 };
        numbers.begin_list();
        assert_eq!(numbers.list(alice, at(3)), None);
        assert_eq!(numbers.list(alice, at(4)), Some(at(3)));
        assert_eq!(numbers.list(alice, at(5)), Some(at(3)));
        numbers.begin_list();
        assert_eq!(numbers.list(alice, at(8)), None);
    }
}
