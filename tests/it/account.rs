//! The one builder of accounts in memory, as a reading of the API gives them, with files and a policy for planning.
//! Accounts behind HTTP are seeds of the sandbox.

use std::sync::Arc;

use convoke::config::{self, Source};
use convoke::model::{Desired, GroupId, GroupSummary, Member, MemberId, Membership, Observed, Person, Status};
use convoke::plan::{Operation, Policy};
use jiff::SignedDuration;

use crate::harness::ACCOUNT;

/// The group with this number. An account's groups are numbered from 0.
pub fn group_id(number: usize) -> GroupId {
    format!("a{number:031}").parse().unwrap()
}

/// The member with this number.
pub fn member_id(number: usize) -> MemberId {
    format!("b{number:031}").parse().unwrap()
}

/// The member with this number and address.
pub fn member(number: usize, email: Option<&str>, status: Status) -> Member {
    Member { id: member_id(number), email: email.and_then(|email| email.parse().ok()), status: Some(status) }
}

#[derive(Clone, Default)]
pub struct AccountBuilder {
    pub observed: Observed,
}

impl AccountBuilder {
    /// A group with these members.
    pub fn group_of(mut self, name: &str, members: impl IntoIterator<Item = Member>) -> Self {
        let group = group_id(self.observed.groups.len());
        let members: Membership = members.into_iter().map(|member| (member.id, member)).collect();
        self.observed.groups.insert(group, GroupSummary { name: name.into(), created_on: None, policies: Vec::new() });
        self.observed.memberships.insert(group, Arc::new(members));
        self
    }

    /// A person who was looked up among the account's members. Without a status, the invitation was declined.
    pub fn person(mut self, number: usize, address: &str, status: Option<Status>) -> Self {
        let emails = [address.parse().unwrap()].into();
        let (roles, policies) = (Vec::new(), Vec::new());
        let declined = status.is_none();
        let person = Person { emails, status, declined, user_id: None, two_factor: None, roles, policies };
        self.observed.people.insert(member_id(number), person);
        self
    }
}

/// An account with these groups. People are numbered in the order of their first appearance. A member named `?` has no
/// address; a member with `~` in front is pending.
pub fn account(groups: &[(&str, &[&str])]) -> Observed {
    let mut seen: Vec<&str> = Vec::new();
    let mut account = AccountBuilder::default();
    for (name, members) in groups {
        let members = members.iter().map(|text| {
            let number = seen.iter().position(|known| known == text).unwrap_or_else(|| {
                seen.push(text);
                seen.len() - 1
            });
            let status = if text.starts_with('~') { Status::Pending } else { Status::Accepted };
            member(number, Some(text.trim_start_matches('~')), status)
        });
        account = account.group_of(name, members);
    }
    account.observed
}

/// What these files declare.
pub fn parsed(files: &[(&str, &str)]) -> Desired {
    let sources: Vec<Source> =
        files.iter().map(|(path, text)| Source { path: (*path).into(), bytes: (*text).into() }).collect();
    config::parse(&sources).unwrap_or_else(|problems| panic!("{problems}"))
}

/// The default policy of a plan. Memberships that end within a week are reported.
pub fn policy() -> Policy {
    Policy { expiring_within: SignedDuration::from_hours(7 * 24), ..Policy::new(ACCOUNT.parse().unwrap()) }
}

/// The HTTP method of an operation.
pub fn method(operation: &Operation) -> &'static str {
    match operation {
        Operation::Post(_) => "POST",
        Operation::Put(_) => "PUT",
        Operation::Delete(_) => "DELETE",
    }
}
