//! What files say of a membership, and what a change of them asks for. It is written from the documentation and
//! shares nothing with the program.

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::files::{Entry, Group};

/// What files say of a person in a group at a time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Says {
    In,
    Out,
    Free,
}

/// A group of the files, and its entries that name one person.
#[derive(Clone, Copy)]
pub struct About<'a> {
    pub group: Option<&'a Group>,
    pub entries: &'a [Entry],
}

impl About<'_> {
    pub fn says(self, time: Timestamp) -> Says {
        let in_force = self.entries.iter().any(|entry| entry.belongs_at(time));
        match self.group.map(|group| group.mode) {
            None | Some("observe") => Says::Free,
            _ if in_force => Says::In,
            Some("exact") => Says::Out,
            _ if self.entries.iter().any(|entry| entry.has_ended(time)) => Says::Out,
            _ => Says::Free,
        }
    }
}

/// Whether files say different things at any time.
pub fn differ(base: About<'_>, head: About<'_>) -> bool {
    let entries = base.entries.iter().chain(head.entries);
    let mut times: BTreeSet<Timestamp> =
        entries.flat_map(|entry| entry.window.from.into_iter().chain(entry.window.until)).collect();
    times.insert(Timestamp::MIN);
    times.into_iter().any(|time| base.says(time) != head.says(time))
}
