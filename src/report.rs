//! The results of applying a plan. Apply creates these values from what it saw. Every format shows them, and their
//! JSON is the output of `apply --format json`.

use std::collections::BTreeSet;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use crate::model::{GroupId, GroupName, Member, MemberId, Membership, Origin, RunStatus};
use crate::plan::{Action, Blocked, Change, Digest, GroupPlan, LeftOut, LeftOutKind, PresentAddresses, Strays};

pub const FORMAT_VERSION: u32 = 1;

/// The results of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "A convoke report")]
pub struct Report {
    pub status: RunStatus,
    pub format_version: u32,
    /// The plan's digest.
    pub digest: Digest,
    /// Whether the plan was applied, every changed group was seen at its target, and the journal has the complete
    /// record.
    pub complete: bool,
    /// Whether a signal ended the run early.
    pub interrupted: bool,
    /// Whether the API refused the credentials while changes were made.
    pub credentials_refused: bool,
    /// Whether any write was sent.
    pub wrote: bool,
    /// Why the journal is incomplete, if it is.
    pub journal_failed: Option<String>,
    /// Memberships added.
    pub added: u64,
    /// Memberships removed.
    pub removed: u64,
    /// Declared entries and groups that could not be applied.
    pub blocked: Vec<Blocked>,
    /// Removals that wait until blocked entries are resolved.
    pub held: Vec<HeldRemoval>,
    /// Changes that the files ask for and that the run did not make.
    pub left_out: Vec<LeftOut>,
    /// Whether a blocked entry or a held removal is in a group that convoke writes to.
    #[serde(skip)]
    pub is_blocked: bool,
    /// The present addresses that blocked people may have.
    #[serde(skip)]
    pub present_addresses: PresentAddresses,
    /// Whether any write may have taken effect.
    #[serde(skip)]
    pub may_have_changed: bool,
    /// Groups that differ from the plan; nothing was changed because of them.
    #[serde(skip)]
    pub stale: Vec<StaleGroup>,
    /// Whether the run planned and read every declared group, so that the report can describe the account.
    pub covers_account: bool,
    /// The requests sent to the API.
    pub requests: u64,
    /// Every group of the plan, by name.
    pub groups: Vec<GroupReport>,
}

/// A held removal of a group.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct HeldRemoval {
    pub group: GroupName,
    #[serde(flatten)]
    pub change: Change,
}

/// The results of one group.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct GroupReport {
    pub id: GroupId,
    pub name: GroupName,
    pub outcome: GroupOutcome,
    /// Why the group still differs, if it does although the plan's changes were made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<RestCause>,
    /// Whether the last complete reading of the group equals its target, and nothing in the group is blocked or held.
    pub in_sync: bool,
    /// The number of members before the first request.
    pub members_before: u64,
    /// The number of members in the last complete reading after the last request; null if there was none.
    pub members_after: Option<u64>,
    #[serde(serialize_with = "members")]
    #[schemars(with = "Vec<Member>")]
    pub added: Vec<Change>,
    #[serde(serialize_with = "members")]
    #[schemars(with = "Vec<Member>")]
    pub removed: Vec<Change>,
    /// Changes that failed: refused by the API, not confirmed by a reading, reversed by somebody else, or not tried
    /// after an error of the group.
    pub failed: Vec<UnmadeChange>,
    /// Removals that were not made, because they would break a guard, or because the member's addition to another
    /// group is not proven.
    pub kept: Vec<UnmadeChange>,
    /// Other changes that were not tried.
    pub skipped: Vec<UnmadeChange>,
    /// Members who joined or left because of somebody else.
    pub stale: Option<Difference>,
    /// Any other error.
    pub trouble: Option<String>,
}

fn members<S: Serializer>(changes: &[Change], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(changes.iter().map(|change| &change.member))
}

/// The result of a group in one word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum GroupOutcome {
    /// The group needed no change.
    InSync,
    /// Every change was made and seen.
    Done,
    /// A change failed.
    Failed,
    /// Somebody else changed the group meanwhile.
    Stale,
    /// Some removals were not made, because of a guard or to keep a member's access.
    Kept,
    /// A change was not tried.
    Skipped,
    /// The plan's changes were made, but something is blocked or held, or the group is only observed.
    Differs,
    /// The plan has no changes in the group, and this run did not read it.
    NotRead,
}

/// Why a group still differs although the plan's changes were made: the first that fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RestCause {
    /// An entry of the group, or the group, is blocked.
    Blocked,
    /// A removal is held.
    Held,
    /// The group is only observed.
    Observed,
    /// The run left out other differences of the group.
    LeftOut,
}

impl RestCause {
    pub const fn title(self) -> &'static str {
        match self {
            Self::Blocked => "Still different, blocked",
            Self::Held => "Still different, held",
            Self::Observed => "Still different, only observed",
            Self::LeftOut => "Not fully compared, because this run makes only some changes",
        }
    }
}

impl GroupOutcome {
    pub const fn word(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Stale => "changed meanwhile",
            Self::Kept => "kept",
            Self::Skipped => "skipped",
            Self::Done | Self::InSync | Self::Differs | Self::NotRead => "done",
        }
    }
}

#[derive(Clone, Debug, Serialize)]
pub struct StaleReport {
    pub status: RunStatus,
    pub format_version: u32,
    pub stale: Vec<StaleGroup>,
    pub requests: u64,
}

/// A group that differs from the saved plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct StaleGroup {
    pub name: GroupName,
    /// The group's new name in the account, if it was renamed.
    pub renamed_to: Option<GroupName>,
    /// Who joined and left; null if the group is gone, or was only renamed.
    pub difference: Option<Difference>,
    /// How what the group gives differs from its pinned permissions, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub permissions: Option<String>,
    /// The guard that refuses the plan for the account as it is now, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    /// The changes of the plan in this group.
    pub expected: Vec<Change>,
}

impl StaleGroup {
    /// A group that is gone, unless more is said.
    pub const fn new(name: GroupName) -> Self {
        Self { name, renamed_to: None, difference: None, permissions: None, refused: None, expected: Vec::new() }
    }

    /// A group with everybody who joined or left it since the plan.
    pub fn of_change(group: &GroupPlan, present: &Membership) -> Self {
        let only_in = |one: &Membership, other: &Membership| {
            one.values().filter(|member| !other.contains_key(&member.id)).cloned().collect()
        };
        let (added, removed) = (only_in(present, &group.observed), only_in(&group.observed, present));
        Self { difference: Some(Difference { added, removed }), ..Self::new(group.name.clone()) }
    }
}

/// The members who joined and left a group because of somebody else.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Difference {
    /// Members who are in the group and should not be.
    pub added: Vec<Member>,
    /// Members who are not in the group and should be.
    pub removed: Vec<Member>,
}

impl Difference {
    /// New members are named as the group lists them now, former members as in the plan.
    pub fn new(group: &GroupPlan, present: &Membership, moved: &Strays) -> Self {
        let unnamed = |id: MemberId| Member { id, email: None, status: None };
        let named = |ids: &BTreeSet<MemberId>, members: &Membership| -> Vec<Member> {
            ids.iter().map(|id| members.get(id).map_or_else(|| unnamed(*id), Member::clone)).collect()
        };
        Self { added: named(&moved.added, present), removed: named(&moved.removed, &group.observed) }
    }
}

/// A change that was not made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnmadeChange {
    pub action: Action,
    pub member: Member,
    /// Why it was not made.
    pub reason: String,
    /// The line that declares the member, or the ended entry; null if no line names the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    /// For a removal: when the entry ended that declared the member.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expired: Option<Timestamp>,
}

impl GroupReport {
    pub fn is_news(&self) -> bool {
        match self.outcome {
            GroupOutcome::InSync | GroupOutcome::NotRead => false,
            GroupOutcome::Differs => !(self.added.is_empty() && self.removed.is_empty()),
            _ => true,
        }
    }
}

impl Report {
    /// The same report with the figures and the verdict that follow from all other fields.
    #[must_use]
    pub fn judged(mut self) -> Self {
        self.added = self.groups.iter().map(|group| group.added.len() as u64).sum();
        self.removed = self.groups.iter().map(|group| group.removed.len() as u64).sum();
        self.complete = self.made_everything() && !self.interrupted;
        self.status = self.status();
        self
    }

    fn status(&self) -> RunStatus {
        if self.credentials_refused && !self.may_have_changed && !self.complete {
            RunStatus::Failed
        } else if self.is_blocked || !self.blocked.is_empty() {
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

    /// Whether everything in the plan and the files was seen to be applied.
    pub fn has_nothing_left(&self) -> bool {
        self.made_its_changes() && self.left_out.iter().all(|left_out| left_out.kind == LeftOutKind::Drift)
    }

    /// Whether everything that the run did not leave out was seen to be applied.
    pub fn made_its_changes(&self) -> bool {
        use GroupOutcome as O;
        let fine = |group: &GroupReport| matches!(group.outcome, O::InSync | O::Done | O::Differs | O::NotRead);
        !self.is_blocked && self.groups.iter().all(fine)
    }

    /// Whether everything was applied and is in the journal, even if a signal ended the run.
    pub fn made_everything(&self) -> bool {
        self.has_nothing_left() && self.journal_failed.is_none()
    }

    pub const fn has_changes(&self) -> bool {
        self.added > 0 || self.removed > 0
    }

    /// Whether the complete account was seen to be as declared.
    pub fn account_in_sync(&self) -> bool {
        self.covers_account && self.complete && self.blocked.is_empty() && self.groups.iter().all(|group| group.in_sync)
    }
}
