//! What came of carrying out a plan. Apply fills these values in from what it saw; every format shows them, and their
//! JSON is the document of `apply --format json`.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{GroupId, GroupName, Member, MemberId, Membership, RunStatus};
use crate::plan::{Action, Digest, GroupPlan};

/// The version of the report's JSON.
const FORMAT_VERSION: u32 = 1;

/// What came of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "A convoke report")]
pub struct Report {
    pub status: RunStatus,
    pub format_version: u32,
    /// The plan's digest.
    pub digest: Digest,
    /// Whether every planned group was seen at its target, and the journal recorded all of it.
    pub complete: bool,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
    /// Whether the API refused the credentials while changes were made.
    pub credentials_refused: bool,
    /// Whether any request that changes something was sent.
    pub wrote: bool,
    /// Why the journal is incomplete, where it is.
    pub journal_failed: Option<String>,
    /// Memberships added.
    pub added: u64,
    /// Memberships removed.
    pub removed: u64,
    /// Declared entries and groups that could not be applied.
    pub blocked: u64,
    /// Whether any of them, or a held removal, concerns a group that convoke writes to.
    #[serde(skip)]
    pub is_blocked: bool,
    /// Whether any request that changes something may have taken effect.
    #[serde(skip)]
    pub may_have_changed: bool,
    /// Whether the run planned every declared group and read every one of them, so that it can speak of the account.
    pub covers_account: bool,
    /// The requests sent to the API.
    pub requests: u64,
    /// Every group of the plan, by name.
    pub groups: Vec<GroupReport>,
}

/// What came of one group.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GroupReport {
    pub id: GroupId,
    pub name: GroupName,
    pub outcome: GroupOutcome,
    /// Whether the last whole reading of the group equals its target, and nothing of it is blocked or held.
    pub in_sync: bool,
    /// The number of members before the first request.
    pub members_before: u64,
    /// The number of members in the last whole reading after the last request; null where there was none.
    pub members_after: Option<u64>,
    pub added: Vec<Member>,
    pub removed: Vec<Member>,
    /// Changes that were tried and did not take effect.
    pub failed: Vec<Undone>,
    /// Removals that were not made, because they would break a guard, or take a member's only access.
    pub kept: Vec<Undone>,
    /// Other changes that were not tried.
    pub skipped: Vec<Undone>,
    /// Who came and went by somebody else's doing.
    pub stale: Option<Difference>,
    /// Anything else that went wrong.
    pub trouble: Option<String>,
}

/// What came of a group, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupOutcome {
    /// The group needed no change.
    InSync,
    /// Every change was made and seen.
    Done,
    /// Something failed.
    Failed,
    /// Somebody else changed the group meanwhile.
    Stale,
    /// Some removals were not made, to keep a guard or somebody's access.
    Kept,
    /// Something was not tried.
    Skipped,
    /// The plan's changes were made; something is blocked or held, or the group is only observed.
    Differs,
    /// The plan changes nothing in the group, and this run did not read it.
    NotRead,
}

/// Why a saved plan cannot be applied any more.
#[derive(Clone, Debug, Serialize)]
pub struct StaleReport {
    pub status: RunStatus,
    pub format_version: u32,
    pub stale: Vec<StaleGroup>,
    /// The requests sent to the API.
    pub requests: u64,
}

impl StaleReport {
    #[must_use]
    pub fn new(stale: Vec<StaleGroup>, requests: u64) -> Self {
        Self { status: RunStatus::Stale, format_version: FORMAT_VERSION, stale, requests }
    }
}

/// A group that is no longer what a saved plan saw.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaleGroup {
    /// As the plan names the group.
    pub name: GroupName,
    /// The group's name in the account, where that has changed.
    pub renamed_to: Option<GroupName>,
    /// Who came and went; null where the group is gone, or was only renamed.
    pub difference: Option<Difference>,
}

/// Who came to and went from a group by somebody else's doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Members who are there and should not be.
    pub added: Vec<Member>,
    /// Members who are gone and should be there.
    pub removed: Vec<Member>,
}

impl Difference {
    /// Names those who came as the group lists them now, and those who went as the plan saw them.
    #[must_use]
    pub fn new(
        group: &GroupPlan,
        present: &Membership,
        added: &BTreeSet<MemberId>,
        removed: &BTreeSet<MemberId>,
    ) -> Self {
        let unnamed = |id: MemberId| Member { id, email: None, status: None };
        let named = |ids: &BTreeSet<MemberId>, members: &Membership| -> Vec<Member> {
            ids.iter().map(|id| members.get(id).map_or_else(|| unnamed(*id), |member| Member::clone(member))).collect()
        };
        Self { added: named(added, present), removed: named(removed, &group.observed) }
    }
}

/// A change that was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Undone {
    pub action: Action,
    pub member: Member,
    pub reason: String,
}

impl GroupReport {
    /// Whether anything was done, or went wrong.
    #[must_use]
    pub fn is_news(&self) -> bool {
        match self.outcome {
            GroupOutcome::InSync | GroupOutcome::NotRead => false,
            GroupOutcome::Differs => !(self.added.is_empty() && self.removed.is_empty()),
            GroupOutcome::Done
            | GroupOutcome::Failed
            | GroupOutcome::Stale
            | GroupOutcome::Kept
            | GroupOutcome::Skipped => true,
        }
    }
}

/// What a run as a whole came to, besides its groups.
#[derive(Clone, Debug)]
pub struct ReportFacts {
    pub digest: Digest,
    pub blocked: u64,
    /// Whether anything of it, or a removal that is held, concerns a group that convoke writes to.
    pub is_blocked: bool,
    pub covers_account: bool,
    pub interrupted: bool,
    pub credentials_refused: bool,
    pub wrote: bool,
    /// Whether any of these requests may have taken effect.
    pub may_have_changed: bool,
    pub journal_failed: Option<String>,
    pub requests: u64,
}

impl Report {
    #[must_use]
    pub fn new(facts: ReportFacts, groups: Vec<GroupReport>) -> Self {
        let ReportFacts { digest, blocked, covers_account, interrupted, credentials_refused, wrote, .. } = facts;
        let count = |of: fn(&GroupReport) -> usize| groups.iter().map(of).sum::<usize>() as u64;
        let mut report = Self {
            status: RunStatus::InSync,
            format_version: FORMAT_VERSION,
            digest,
            complete: false,
            interrupted,
            credentials_refused,
            wrote,
            journal_failed: facts.journal_failed,
            added: count(|group| group.added.len()),
            removed: count(|group| group.removed.len()),
            blocked,
            is_blocked: facts.is_blocked,
            may_have_changed: facts.may_have_changed,
            covers_account,
            requests: facts.requests,
            groups,
        };
        report.complete = report.is_applied() && report.journal_failed.is_none();
        report.status = report.status();
        report
    }

    fn status(&self) -> RunStatus {
        if self.credentials_refused && !self.may_have_changed {
            RunStatus::Failed
        } else if self.is_blocked || self.blocked > 0 {
            RunStatus::Blocked
        } else if !self.complete {
            RunStatus::Partial
        } else if self.has_changes() {
            RunStatus::Applied
        } else if self.groups.iter().any(|group| group.outcome == GroupOutcome::Differs) {
            RunStatus::Changes
        } else {
            RunStatus::InSync
        }
    }

    /// The same report once the journal could not record its end.
    #[must_use]
    pub fn with_journal_failure(mut self, error: String) -> Self {
        self.journal_failed.get_or_insert(error);
        self.complete = false;
        self.status = self.status();
        self
    }

    /// Whether everything that the plan and the files ask for was seen to be so.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        let fine = |group: &GroupReport| match group.outcome {
            GroupOutcome::InSync | GroupOutcome::Done | GroupOutcome::Differs | GroupOutcome::NotRead => true,
            GroupOutcome::Failed | GroupOutcome::Stale | GroupOutcome::Kept | GroupOutcome::Skipped => false,
        };
        !self.is_blocked && !self.interrupted && self.groups.iter().all(fine)
    }

    /// Whether the run changed anything.
    #[must_use]
    pub const fn has_changes(&self) -> bool {
        self.added > 0 || self.removed > 0
    }

    /// Whether the whole account was seen to be as declared.
    #[must_use]
    pub fn account_in_sync(&self) -> bool {
        self.covers_account && self.complete && self.groups.iter().all(|group| group.in_sync)
    }
}
