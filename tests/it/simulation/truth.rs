//! The people whom addresses and ids mean, found in the account itself, independently of the program.

use std::collections::{BTreeMap, BTreeSet};

use convoke::model::MemberId;
use convoke::sandbox::{Account, Edit};

use super::files::{Files, Group};
use super::scenario::Cast;

/// The addresses that each member has, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    addresses: BTreeMap<MemberId, BTreeSet<String>>,
    /// Every address that anybody has had.
    known: BTreeSet<String>,
}

impl Truth {
    pub fn of(cast: &Cast) -> Self {
        let mut truth = Self::default();
        for person in &cast.people {
            let others = [person.user_email.clone(), person.group_email.clone().flatten()];
            let known = truth.addresses.entry(person.id.parse().unwrap()).or_default();
            known.extend([person.email.clone()].into_iter().chain(others.into_iter().flatten()));
        }
        truth.known = truth.addresses.values().flatten().cloned().collect();
        truth
    }

    /// Makes a change as another actor.
    pub fn edit(&mut self, account: &Account, edit: &Edit) {
        let about = match edit {
            Edit::ChangeEmail { member, to } => account.person_id(member).map(|id| (id, Some(to.clone()))),
            Edit::RemovePerson(who) => account.person_id(who).map(|id| (id, None)),
            _ => None,
        };
        if account.edit(edit)
            && let Some((id, address)) = about
        {
            self.known.extend(address.clone());
            self.addresses.insert(id, address.into_iter().collect());
        }
    }

    /// Updates people who came back to the account with another id.
    pub fn refresh(&mut self, account: &Account) {
        for address in &self.known {
            if let Some(id) = account.person_id(address) {
                self.addresses.entry(id).or_default().insert(address.clone());
            }
        }
    }

    /// Everybody whom this address or id may mean.
    fn meant(&self, named: &str) -> BTreeSet<MemberId> {
        if let Ok(id) = named.parse() {
            return BTreeSet::from([id]);
        }
        let named = named.to_lowercase();
        self.addresses.iter().filter(|(_, addresses)| addresses.contains(&named)).map(|(id, _)| *id).collect()
    }

    pub fn protected(&self, files: &Files) -> BTreeSet<MemberId> {
        files.protected.iter().chain(&files.misspelled).flat_map(|named| self.meant(named)).collect()
    }

    /// Everybody whom an unresolved entry may mean.
    pub fn spared<'a>(&self, files: &'a Files, unresolved: impl Iterator<Item = &'a str>) -> BTreeSet<MemberId> {
        let misspelled = files.groups.iter().flat_map(|group| &group.misspelled).map(String::as_str);
        misspelled.chain(unresolved).flat_map(|named| self.meant(named)).collect()
    }

    /// Everybody on the group's list whose entry means only them.
    pub fn surely_listed(&self, group: &Group) -> BTreeSet<MemberId> {
        let meant = group.members.iter().map(|named| self.meant(named));
        meant.filter(|meant| meant.len() == 1).flatten().collect()
    }

    /// Everybody on the group's list. If two people share an address, both count: the group's members decide which of
    /// them is meant.
    pub fn listed(&self, group: &Group) -> BTreeSet<MemberId> {
        group.members.iter().flat_map(|named| self.meant(named)).collect()
    }
}
