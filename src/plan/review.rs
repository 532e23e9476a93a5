//! The evidence for an access review: every membership of every group of the account, compared with the files.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::contents::PlanWarning;
use super::digest::Digest;
use super::inputs::all_groups;
use super::people::People;
use super::side_doors::{BesideGroups, BesideStanding, beside_groups};
use super::standing::{Claim, Standing};
use crate::model::{
    About, AccountId, Desired, DesiredGroup, DesiredMember, Email, GroupId, GroupName, GroupSummary, Member, MemberId,
    Mode, Observed, PersonRef, RunStatus, Setting, Status,
};

const FORMAT_VERSION: u32 = 1;

/// The beginnings of memberships that were requested and that the API reports.
pub type Beginnings = BTreeMap<(GroupId, MemberId), Timestamp>;

/// The facts of a review that are neither in the files nor in the groups.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReviewFacts {
    pub account_id: AccountId,
    /// Null if the token may not read it.
    pub account_name: Option<String>,
    /// The organization that the account belongs to, if any. Its Super Administrators have every right without being
    /// members.
    pub organization: Option<String>,
    pub time: Timestamp,
    /// The commit of the files; null outside a Git repository, if CI does not report it either.
    pub commit: Option<String>,
    /// The files that differ from the commit.
    pub uncommitted: Vec<String>,
    /// SHA-256 over the SHA-256 of each file, in order, one a line.
    pub files_digest: Digest,
    /// The number of requests of the review.
    pub requests: u64,
}

/// Every membership of every group of the account at one time.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "convoke review")]
pub struct Review {
    pub format_version: u32,
    /// `in_sync` or `changes`: whether the declared groups are as the files declare.
    pub status: RunStatus,
    #[serde(flatten)]
    pub facts: ReviewFacts,
    pub summary: ReviewSummary,
    /// Every group of the account, and every declared group that is missing in the account, by name.
    pub groups: Vec<ReviewGroup>,
    /// Members of the account with access beside the groups, by standing and person.
    pub beside_groups: Vec<BesideGroups>,
    /// Owners of groups who are not members of the account.
    pub warnings: Vec<PlanWarning>,
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
    /// Members with roles or policies of their own.
    pub direct: u64,
    /// Members of the account whom no file names in any group.
    pub in_no_file: u64,
    /// Members who have not accepted their invitation, in groups or not.
    pub invited: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ReviewGroup {
    /// Null if the account does not have the group.
    pub id: Option<GroupId>,
    pub name: GroupName,
    /// The declared mode, or `unmanaged`.
    #[serde(serialize_with = "mode_or_unmanaged")]
    #[schemars(with = "String", extend("enum" = ["exact", "additive", "observe", "unmanaged"]))]
    pub mode: Option<Mode>,
    #[serde(flatten)]
    pub about: About,
    /// The permission groups of the group's policies, as the list of groups shows them: `NAME`, or `NAME on RESOURCE`
    /// where they are limited to one, with the end of those that Cloudflare retires.
    pub grants: Vec<String>,
    /// Sorted by person.
    pub memberships: Vec<ReviewMembership>,
}

impl ReviewGroup {
    /// The numbers of members, and of declared people who are missing.
    pub fn figures(&self) -> (u64, u64) {
        let missing = self.memberships.iter().filter(|it| it.standing == Standing::Missing).count();
        ((self.memberships.len() - missing) as u64, missing as u64)
    }
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
    #[serde(rename = "state")]
    pub standing: Standing,
    /// The entries for the membership: the current ones, or else the ended ones.
    pub declared: Vec<Claim>,
    /// When the membership began; null if this was not requested or the API does not report it.
    pub began: Option<Timestamp>,
}

#[expect(clippy::ref_option, reason = "serde passes a reference to the field")]
fn mode_or_unmanaged<S: Serializer>(mode: &Option<Mode>, serializer: S) -> Result<S::Ok, S::Error> {
    match mode {
        Some(mode) => mode.serialize(serializer),
        None => serializer.serialize_str("unmanaged"),
    }
}

/// Lists every membership. The account must have been read completely: all groups, and all account members.
pub fn review(desired: &Desired, observed: &Observed, facts: ReviewFacts, beginnings: &Beginnings) -> Review {
    let reviewer = Reviewer { observed, people: People::of(observed), time: facts.time, beginnings };
    let mut all = all_groups(desired, observed);
    // If two declarations match the same group, one by name and one by id, the last one is used.
    let last: BTreeMap<GroupId, &GroupName> = all.iter().filter_map(|(name, id, _)| Some(((*id)?, *name))).collect();
    all.retain(|(name, id, _)| id.is_none_or(|id| last.get(&id) == Some(name)));
    let mut groups: Vec<_> = all.into_iter().map(|(name, id, declared)| reviewer.group(name, id, declared)).collect();
    groups.sort_by(|a, b| (&a.name, a.id).cmp(&(&b.name, b.id)));
    let beside_groups = beside_groups(desired, observed);
    let mut summary = summary(&groups);
    let count = |standing| beside_groups.iter().filter(|row| row.standing == standing).count() as u64;
    summary.direct = count(BesideStanding::Direct);
    summary.in_no_file = count(BesideStanding::InNoFile);
    summary.invited = count(BesideStanding::Invited);
    let status = if groups.iter().all(in_sync) { RunStatus::InSync } else { RunStatus::Changes };
    let warnings = unknown_owners(desired, &reviewer.people);
    Review { format_version: FORMAT_VERSION, status, facts, summary, groups, beside_groups, warnings }
}

fn unknown_owners(desired: &Desired, people: &People<'_>) -> Vec<PlanWarning> {
    let owners = desired.groups.iter().flat_map(|(name, group)| group.owners.iter().map(move |owner| (name, owner)));
    let is_unknown = |owner: &str| Email::declared(owner).is_ok_and(|email| people.with_email(&email).is_empty());
    let unknown = owners.filter(|(_, owner)| is_unknown(&owner.value));
    let warning = |(name, owner): (&GroupName, &Setting<String>)| {
        let message = format!("{}, an owner of group {:?}, is not a member of the account", owner.value, name.as_str());
        PlanWarning::new(message, "name somebody else as owner, or correct the address", owner.origin.clone())
    };
    unknown.map(warning).collect()
}

struct Reviewer<'a> {
    observed: &'a Observed,
    people: People<'a>,
    time: Timestamp,
    beginnings: &'a Beginnings,
}

impl Reviewer<'_> {
    fn group(&self, name: &GroupName, id: Option<GroupId>, declared: Option<&DesiredGroup>) -> ReviewGroup {
        let present = id.and_then(|id| self.observed.memberships.get(&id)).map(|members| &**members);
        let entries = declared.iter().flat_map(|group| &group.members);
        let by_member = self.people.by_member(entries, present).into_iter();
        let all = by_member.map(|(member, entries)| self.membership(id, member, &entries));
        let mut memberships: Vec<_> = all.filter(|membership| membership.standing != Standing::NotNow).collect();
        memberships.sort_by_cached_key(|membership| (membership.person.to_ascii_lowercase(), membership.member_id));
        let listed = id.and_then(|id| self.observed.groups.get(&id));
        ReviewGroup {
            id,
            // A pinned group can have another name in the account than in the files.
            name: listed.map_or_else(|| name.clone(), |group| group.name.shown().into()),
            mode: declared.map(|group| group.mode),
            about: declared.map(DesiredGroup::about).unwrap_or_default(),
            grants: listed.map(GroupSummary::shown_grants).unwrap_or_default(),
            memberships,
        }
    }

    fn membership(
        &self,
        group: Option<GroupId>,
        member: Result<MemberId, &PersonRef>,
        entries: &[&DesiredMember],
    ) -> ReviewMembership {
        let present = group.and_then(|group| self.observed.memberships.get(&group));
        let is_present = |member| present.is_some_and(|present| present.contains_key(&member));
        let (standing, declared) = Standing::of(member.is_ok_and(is_present), entries, self.time);
        let subject = member.map(|id| self.people.subject(id));
        let person = subject.as_ref().map_or_else(|person| (*person).clone(), Member::person);
        ReviewMembership {
            person: person.to_string().into(),
            member_id: member.ok(),
            status: subject.ok().and_then(|subject| subject.status),
            two_factor: member.ok().and_then(|id| self.observed.people.get(&id)?.two_factor),
            standing,
            declared,
            began: group.zip(member.ok()).and_then(|membership| self.beginnings.get(&membership).copied()),
        }
    }
}

/// Whether the group is as the files declare. Other members are allowed in an additive group, and an unmanaged group
/// has no declarations.
fn in_sync(group: &ReviewGroup) -> bool {
    group.memberships.iter().all(|membership| match membership.standing {
        Standing::Declared | Standing::NotNow => true,
        Standing::Undeclared => matches!(group.mode, Some(Mode::Additive) | None),
        Standing::Expired | Standing::Missing => false,
    }) && (group.id.is_some() || group.memberships.is_empty())
}

fn summary(groups: &[ReviewGroup]) -> ReviewSummary {
    let mut summary = ReviewSummary { groups: groups.len() as u64, ..ReviewSummary::default() };
    let mut people: BTreeMap<MemberId, Option<bool>> = BTreeMap::new();
    for group in groups {
        summary.unmanaged_groups += u64::from(group.mode.is_none());
        for membership in &group.memberships {
            match membership.standing {
                Standing::Declared | Standing::NotNow => {}
                Standing::Undeclared => summary.undeclared += u64::from(group.mode.is_some()),
                Standing::Expired => summary.expired += 1,
                Standing::Missing => {
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
