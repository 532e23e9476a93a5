//! The account of a running sandbox, with short forms of edits by others.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

use convoke::model::MemberId;
use convoke::sandbox::{Account, Edit, Endpoint};
use tokio::time::Instant;

use crate::builders::EditExt as _;

#[derive(Clone, Debug)]
pub struct LiveAccount(pub Account);

impl Deref for LiveAccount {
    type Target = Account;

    fn deref(&self) -> &Account {
        &self.0
    }
}

/// Each edit returns whether it changed anything.
impl LiveAccount {
    pub fn add(&self, group: &str, member: &str) -> bool {
        self.edit(&Edit::add(group, member))
    }

    pub fn remove(&self, group: &str, member: &str) -> bool {
        self.edit(&Edit::remove(group, member))
    }

    pub fn add_person(&self, email: &str) -> bool {
        self.edit(&Edit::AddPerson(email.into()))
    }

    pub fn remove_person(&self, who: &str) -> bool {
        self.edit(&Edit::RemovePerson(who.into()))
    }

    pub fn change_email(&self, who: &str, to: &str) -> bool {
        self.edit(&Edit::change_email(who, to))
    }

    pub fn create_group(&self, name: &str) -> bool {
        self.edit(&Edit::CreateGroup(name.into()))
    }

    pub fn rename_group(&self, name: &str, to: &str) -> bool {
        self.edit(&Edit::rename_group(name, to))
    }

    pub fn delete_group(&self, name: &str) -> bool {
        self.edit(&Edit::DeleteGroup(name.into()))
    }

    pub fn revoke_token(&self) -> bool {
        self.edit(&Edit::RevokeToken)
    }

    /// The emails of a group's members, sorted; empty if there is no such group.
    pub fn members_of(&self, group: &str) -> Vec<String> {
        self.memberships().remove(group).unwrap_or_default()
    }

    /// The ids of a group's members; empty if there is no such group.
    pub fn member_ids_of(&self, group: &str) -> BTreeSet<MemberId> {
        self.group_id(group).map(|group| self.members_at(group, Instant::now())).unwrap_or_default()
    }

    pub fn request_counts(&self) -> BTreeMap<Endpoint, usize> {
        let operations = self.requests().into_iter().filter_map(|request| request.operation);
        operations.fold(BTreeMap::new(), |mut counts, operation| {
            *counts.entry(operation).or_default() += 1;
            counts
        })
    }
}
