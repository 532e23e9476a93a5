//! The people whom addresses and ids mean, found in the account itself, independently of the program.

use std::collections::{BTreeMap, BTreeSet};

use convoke::model::MemberId;
use convoke::sandbox::{Account, Edit};
use jiff::Timestamp;

use super::files::{DOMAIN, Entry, Files, Group};
use super::scenario::Cast;

/// The addresses that each member has, in lower case.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    addresses: BTreeMap<MemberId, BTreeSet<String>>,
    /// Every address that anybody has had.
    known: BTreeSet<String>,
    /// The people whom groups list without an address.
    hidden: BTreeSet<MemberId>,
    /// The people whose address others have changed.
    moved: BTreeSet<MemberId>,
}

impl Truth {
    pub fn of(cast: &Cast) -> Self {
        let mut truth = Self::default();
        for person in &cast.people {
            let others = [person.user_email.clone(), person.group_email.clone().flatten()];
            let id = person.id.parse().unwrap();
            if person.group_email == Some(None) {
                truth.hidden.insert(id);
            }
            let known = truth.addresses.entry(id).or_default();
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
            self.moved.insert(id);
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

    pub fn members(&self) -> impl Iterator<Item = MemberId> {
        self.addresses.keys().copied()
    }

    /// Whether a member belongs to the account, as far as the simulation knows.
    pub fn is_known(&self, member: MemberId) -> bool {
        self.addresses.get(&member).is_some_and(|addresses| !addresses.is_empty())
    }

    pub fn has_moved(&self, member: MemberId) -> bool {
        self.moved.contains(&member)
    }

    /// Everybody whom this address or id may mean.
    fn meant(&self, named: &str) -> BTreeSet<MemberId> {
        if let Ok(id) = named.parse() {
            return BTreeSet::from([id]);
        }
        let named = named.to_lowercase();
        self.addresses.iter().filter(|(_, addresses)| addresses.contains(&named)).map(|(id, _)| *id).collect()
    }

    /// Whether a member has one address, every group shows it, and no other member has it. An entry with it then means
    /// only this member.
    pub fn is_plain(&self, member: MemberId) -> bool {
        let Some(addresses) = self.addresses.get(&member).filter(|_| !self.hidden.contains(&member)) else {
            return false;
        };
        addresses.len() == 1 && addresses.iter().all(|address| self.meant(address).len() == 1)
    }

    /// Whether an entry in force has an address that several members share.
    pub fn has_shared_entries(&self, files: &Files, time: Timestamp) -> bool {
        let entries = files.groups.iter().flat_map(|group| files.entries(group));
        entries.into_iter().any(|entry| entry.belongs_at(time) && self.meant(&entry.named).len() > 1)
    }

    /// Whether a member has an address that `email_domains` allows.
    pub fn has_domain(&self, member: MemberId) -> bool {
        let addresses = self.addresses.get(&member).into_iter().flatten();
        addresses.into_iter().any(|address| address.ends_with(&format!("@{DOMAIN}")))
    }

    /// The entries that may mean a member.
    pub fn entries_of(&self, member: MemberId, entries: &[Entry]) -> Vec<Entry> {
        entries.iter().filter(|entry| self.meant(&entry.named).contains(&member)).cloned().collect()
    }

    pub fn protected(&self, files: &Files) -> BTreeSet<MemberId> {
        files.protected.iter().chain(&files.misspelled).flat_map(|named| self.meant(named)).collect()
    }

    /// Everybody whom an unresolved entry in force may mean. An entry that the newest files no longer have does not count.
    /// For the plan of a change, observed groups are not read.
    pub fn spared<'a>(
        &self,
        files: &Files,
        tip: Option<&Files>,
        is_of_change: bool,
        unresolved: impl Iterator<Item = &'a str>,
        time: Timestamp,
    ) -> BTreeSet<MemberId> {
        let mut spared: BTreeSet<MemberId> = unresolved.flat_map(|named| self.meant(named)).collect();
        for group in files.groups.iter().filter(|group| !is_of_change || group.mode != "observe") {
            let newest = tip.map(|tip| tip.group(&group.name).map(|group| tip.entries(group)).unwrap_or_default());
            let stays = |entry: &Entry| {
                let same = |other: &Entry| other.named == entry.named && other.belongs_at(time);
                newest.as_ref().is_none_or(|newest| newest.iter().any(same))
            };
            let entries = files.entries(group);
            let in_force = entries.iter().filter(|entry| entry.belongs_at(time) && stays(entry));
            spared.extend(in_force.filter_map(|entry| entry.meant.as_ref()).flat_map(|meant| self.meant(meant)));
        }
        spared
    }

    /// Everybody on the group's list whose entry means only them.
    pub fn surely_listed(&self, files: &Files, group: &Group, time: Timestamp) -> BTreeSet<MemberId> {
        let entries = files.entries(group);
        let meant = entries.iter().filter(|entry| entry.belongs_at(time)).map(|entry| self.meant(&entry.named));
        meant.filter(|meant| meant.len() == 1).flatten().collect()
    }

    /// Everybody on the group's list. If two people share an address, both count: the group's members decide which of
    /// them is meant.
    pub fn listed(&self, files: &Files, group: &Group, time: Timestamp) -> BTreeSet<MemberId> {
        let entries = files.entries(group);
        entries.iter().filter(|entry| entry.belongs_at(time)).flat_map(|entry| self.meant(&entry.named)).collect()
    }

    /// Everybody whom an ended entry of the group may mean, unless another one that surely means them is in force.
    pub fn ended(&self, files: &Files, group: &Group, time: Timestamp) -> BTreeSet<MemberId> {
        let entries = files.entries(group);
        let ended = entries.iter().filter(|entry| entry.has_ended(time)).flat_map(|entry| self.meant(&entry.named));
        &ended.collect::<BTreeSet<_>>() - &self.surely_listed(files, group, time)
    }
}
