//! The evidence for an access review: every membership of every group of the account, compared with the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use super::people::People;
use super::{Digest, locate_groups};
use crate::model::{
    AccountId, Desired, DesiredGroup, DesiredMember, Email, GroupId, GroupName, MemberId, Membership, Mode, Observed,
    PersonRef, PersonStatus, Status,
};

/// The version of the JSON format.
const FORMAT_VERSION: u32 = 1;

/// The beginnings of memberships that were requested and that the API reports.
pub type Beginnings = BTreeMap<(GroupId, MemberId), Timestamp>;

/// The facts of a review that are neither in the files nor in the account.
#[derive(Clone, Debug)]
pub struct ReviewFacts {
    pub account_id: AccountId,
    pub time: Timestamp,
    /// The commit of the files, if CI reports it.
    pub commit: Option<String>,
    pub files_digest: Digest,
    pub requests: u64,
}

/// Every membership of every group of the account at one time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "convoke review")]
pub struct Review {
    pub format_version: u32,
    pub status: ReviewStatus,
    pub account_id: AccountId,
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub time: Timestamp,
    /// The commit of the files; null if CI does not report it.
    pub commit: Option<String>,
    /// SHA-256 over the paths and the bytes of the files.
    pub files_digest: Digest,
    /// The number of requests of the review.
    pub requests: u64,
    pub summary: ReviewSummary,
    /// Every group of the account, and every declared group that is missing in the account, by name.
    pub groups: Vec<ReviewGroup>,
}

/// Whether the declared groups are as the files declare.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ReviewStatus {
    InSync,
    Changes,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReviewSummary {
    pub groups: u64,
    /// Groups that no file declares.
    pub unmanaged_groups: u64,
    /// People who are in at least one group.
    pub people: u64,
    /// Memberships that exist, in all groups.
    pub memberships: u64,
    /// Memberships of declared groups that no entry declares.
    pub undeclared: u64,
    /// Memberships whose entry has ended.
    pub expired: u64,
    /// Declared memberships that do not exist.
    pub missing: u64,
    /// Memberships of people who have not accepted their invitation to the account.
    pub pending: u64,
    /// People in at least one group whose two-factor authentication is off.
    pub without_two_factor: u64,
}

/// The declared mode of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReviewMode {
    Exact,
    Additive,
    Observe,
    /// No file declares the group.
    Unmanaged,
}

impl ReviewMode {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Additive => "additive",
            Self::Observe => "observe",
            Self::Unmanaged => "unmanaged",
        }
    }
}

impl From<Mode> for ReviewMode {
    fn from(mode: Mode) -> Self {
        match mode {
            Mode::Exact => Self::Exact,
            Mode::Additive => Self::Additive,
            Mode::Observe => Self::Observe,
        }
    }
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReviewGroup {
    /// Null if the account does not have the group.
    pub id: Option<GroupId>,
    pub name: GroupName,
    pub mode: ReviewMode,
    /// The permission groups of the group's policies, as the list of groups shows them.
    pub grants: Vec<String>,
    /// Sorted by person.
    pub memberships: Vec<ReviewMembership>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReviewMembership {
    /// The address, or the id if there is none.
    pub person: Arc<str>,
    /// Null if the account has no such member.
    pub member_id: Option<MemberId>,
    /// The state of the invitation; null if the API does not report it.
    pub status: Option<Status>,
    /// Whether two-factor authentication is on; null if the API does not report it.
    pub two_factor: Option<bool>,
    pub state: ReviewState,
    /// The entries for the membership: the current ones, or else the ended ones.
    pub declared: Vec<ReviewEntry>,
    /// When the membership began; null if this was not requested or the API does not report it.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub began: Option<Timestamp>,
}

/// The state of a membership, compared with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ReviewState {
    /// It exists, and an entry declares it now.
    Declared,
    /// It exists, and no entry declares it.
    Undeclared,
    /// It exists, but its entry has ended.
    Expired,
    /// An entry declares it now, but it does not exist.
    Missing,
}

impl ReviewState {
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Undeclared => "undeclared",
            Self::Expired => "expired",
            Self::Missing => "missing",
        }
    }
}

/// An entry that declares a membership. The JSON is flat, because it is mostly read with spreadsheets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ReviewEntry {
    pub file: Arc<str>,
    pub line: u32,
    /// The rosters between the group's list and the entry, outermost first.
    pub via: Vec<Arc<str>>,
    pub reason: Option<Arc<str>>,
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub from: Option<Timestamp>,
    /// The first instant after the membership.
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub until: Option<Timestamp>,
}

impl From<&DesiredMember> for ReviewEntry {
    fn from(entry: &DesiredMember) -> Self {
        let terms = entry.terms.as_deref().cloned().unwrap_or_default();
        Self {
            file: Arc::clone(&entry.origin.file),
            line: entry.origin.line,
            via: entry.via.iter().flat_map(|via| via.iter()).map(|used| Arc::clone(&used.roster)).collect(),
            reason: terms.reason,
            from: terms.window.from,
            until: terms.window.until,
        }
    }
}

/// Lists every membership. The account must have been read completely: all groups, and all account members.
#[must_use]
pub fn review(desired: &Desired, observed: &Observed, facts: ReviewFacts, beginnings: &Beginnings) -> Review {
    let reviewer = Reviewer { observed, people: People::of(observed), time: facts.time, beginnings };
    let located = locate_groups(desired, observed, |_| true);
    let mut declared_by_id = BTreeMap::new();
    let mut groups = Vec::new();
    for (name, group) in &desired.groups {
        match located.get(name) {
            Some(Ok(id)) => drop(declared_by_id.insert(*id, group)),
            _ => groups.push(reviewer.group(None, name, Some(group))),
        }
    }
    for (id, group) in &observed.groups {
        groups.push(reviewer.group(Some(*id), &group.name, declared_by_id.get(id).copied()));
    }
    groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let summary = summary(&groups);
    let ReviewFacts { account_id, time, commit, files_digest, requests } = facts;
    let status = if groups.iter().all(in_sync) { ReviewStatus::InSync } else { ReviewStatus::Changes };
    Review { format_version: FORMAT_VERSION, status, account_id, time, commit, files_digest, requests, summary, groups }
}

struct Reviewer<'a> {
    observed: &'a Observed,
    people: People<'a>,
    time: Timestamp,
    beginnings: &'a Beginnings,
}

/// The entries of a group for one person.
#[derive(Default)]
struct Entries<'a> {
    active: Vec<&'a DesiredMember>,
    ended: Vec<&'a DesiredMember>,
}

impl<'a> Entries<'a> {
    fn add(&mut self, entry: &'a DesiredMember, time: Timestamp) {
        if entry.belongs_at(time) {
            self.active.push(entry);
        } else if entry.until().is_some_and(|until| until <= time) {
            self.ended.push(entry);
        }
    }

    /// The state of an existing membership, and the entries for it.
    fn state(&self) -> (ReviewState, Vec<ReviewEntry>) {
        let (state, entries) = match (self.active.is_empty(), self.ended.is_empty()) {
            (false, _) => (ReviewState::Declared, &self.active),
            (true, false) => (ReviewState::Expired, &self.ended),
            (true, true) => (ReviewState::Undeclared, &self.active),
        };
        (state, entries.iter().copied().map(ReviewEntry::from).collect())
    }
}

impl<'a> Reviewer<'a> {
    fn group(&self, id: Option<GroupId>, name: &GroupName, declared: Option<&'a DesiredGroup>) -> ReviewGroup {
        let present: Option<&Membership> =
            id.and_then(|id| self.observed.memberships.get(&id)).map(|members| &**members);
        let mut by_member: BTreeMap<MemberId, Entries<'a>> = BTreeMap::new();
        let mut unresolved: BTreeMap<&'a PersonRef, Entries<'a>> = BTreeMap::new();
        for entry in declared.iter().flat_map(|group| &group.members) {
            match self.people.resolve(&entry.person) {
                Ok(id) => by_member.entry(id).or_default().add(entry, self.time),
                Err(_) => unresolved.entry(&entry.person).or_default().add(entry, self.time),
            }
        }
        let mut memberships: Vec<ReviewMembership> = Vec::new();
        for member in present.iter().flat_map(|members| members.keys()) {
            let (state, entries) = by_member.remove(member).unwrap_or_default().state();
            memberships.push(self.membership(id, *member, state, entries));
        }
        for (member, entries) in by_member.iter().filter(|(_, entries)| !entries.active.is_empty()) {
            let (_, entries) = entries.state();
            memberships.push(self.membership(id, *member, ReviewState::Missing, entries));
        }
        for (person, entries) in unresolved.iter().filter(|(_, entries)| !entries.active.is_empty()) {
            memberships.push(ReviewMembership {
                person: person.to_string().into(),
                member_id: None,
                status: None,
                two_factor: None,
                state: ReviewState::Missing,
                declared: entries.state().1,
                began: None,
            });
        }
        memberships.sort_by_cached_key(|membership| (membership.person.to_ascii_lowercase(), membership.member_id));
        let grants = id.and_then(|id| self.observed.groups.get(&id)).map(|group| group.grants.clone());
        ReviewGroup {
            id,
            name: name.clone(),
            mode: declared.map_or(ReviewMode::Unmanaged, |group| group.mode.into()),
            grants: grants.unwrap_or_default(),
            memberships,
        }
    }

    fn membership(
        &self,
        group: Option<GroupId>,
        id: MemberId,
        state: ReviewState,
        declared: Vec<ReviewEntry>,
    ) -> ReviewMembership {
        let member = self.people.subject_with_id(id);
        let person = self.observed.people.get(&id);
        let status = person.and_then(|person| match person.status {
            PersonStatus::Known(status) => Some(status),
            PersonStatus::Rejected | PersonStatus::Other(_) => None,
        });
        ReviewMembership {
            person: member
                .email
                .as_ref()
                .map_or_else(|| id.to_string(), |email| Email::as_str(email).to_owned())
                .into(),
            member_id: Some(id),
            status: member.status.or(status),
            two_factor: person.and_then(|person| person.two_factor),
            state,
            declared,
            began: group.and_then(|group| self.beginnings.get(&(group, id)).copied()),
        }
    }
}

/// Whether the group is as the files declare. Other members are allowed in an additive group, and an unmanaged group
/// has no declarations.
fn in_sync(group: &ReviewGroup) -> bool {
    group.memberships.iter().all(|membership| match membership.state {
        ReviewState::Declared => true,
        ReviewState::Undeclared => matches!(group.mode, ReviewMode::Additive | ReviewMode::Unmanaged),
        ReviewState::Expired | ReviewState::Missing => false,
    }) && (group.id.is_some() || group.memberships.is_empty())
}

fn summary(groups: &[ReviewGroup]) -> ReviewSummary {
    let mut summary = ReviewSummary { groups: groups.len() as u64, ..ReviewSummary::default() };
    let mut people: BTreeMap<MemberId, Option<bool>> = BTreeMap::new();
    for group in groups {
        summary.unmanaged_groups += u64::from(group.mode == ReviewMode::Unmanaged);
        for membership in &group.memberships {
            match membership.state {
                ReviewState::Declared => {}
                ReviewState::Undeclared => summary.undeclared += u64::from(group.mode != ReviewMode::Unmanaged),
                ReviewState::Expired => summary.expired += 1,
                ReviewState::Missing => {
                    summary.missing += 1;
                    continue;
                }
            }
            summary.memberships += 1;
            summary.pending += u64::from(membership.status == Some(Status::Pending));
            people.extend(membership.member_id.map(|id| (id, membership.two_factor)));
        }
    }
    summary.people = people.len() as u64;
    summary.without_two_factor = people.values().filter(|on| **on == Some(false)).count() as u64;
    summary
}
