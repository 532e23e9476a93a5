//! The content of a plan. These types are also the saved plan: their serde form is the file format.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::attribution::Attribution;
use super::base::BaseChange;
use super::blocked::Blocked;
use super::change::TouchedGroup;
use super::digest::Digest;
use super::exclusive::ExclusivePair;
use super::group::GroupPlan;
use super::guards::{PlanGuards, Refusal};
use super::later::Later;
use super::side_doors::SideDoor;
use crate::model::{
    AccountId, DesiredMember, Email, GroupId, GroupName, GroupRef, Member, MemberId, Membership, Mode, Origin,
    PersonRef, RosterUse, RunStatus,
};

/// The difference between the desired and the observed memberships, and the operations that resolve it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "convoke plan")]
pub struct Plan {
    /// The version of this format.
    pub format_version: u32,
    pub status: RunStatus,
    pub account_id: AccountId,
    /// Identifies what the plan does. It is equal for the same account, groups and changes.
    pub digest: Digest,
    /// The time of the plan. It decides which entries apply.
    pub time: Timestamp,
    pub summary: Summary,
    /// Every planned group, by name, changed or not.
    pub groups: Vec<GroupPlan>,
    /// Declared entries and groups that cannot be applied.
    pub blocked: Vec<Blocked>,
    /// The refusals of the guards. A plan with refusals is not applied.
    pub refusals: Vec<Refusal>,
    /// What the change under review does after the time of the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub later: Vec<Later>,
    /// Changes that the files ask for and that the plan does not make.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// Groups of the account that no file declares, if the settings ask for them.
    pub unmanaged_groups: Vec<GroupRef>,
    /// Memberships that end soon.
    pub expiring: Vec<Expiring>,
    /// Whether the plan leaves out something that the files declare or that `drift` reports: other groups, other changes,
    /// or access beside the groups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub narrowed: bool,
    /// Whether the plan has only changes that are due.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub due: bool,
    /// Warnings, which do not refuse the plan.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<PlanWarning>,
    /// Changes of the files under review that affect no membership directly; empty without a base.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub base_changes: Vec<BaseChange>,
    /// Whether the base has no groups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub first_adoption: bool,
    /// Whether guards refused the files before the change under review, and do not refuse these.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub was_refused: bool,
    /// What the change under review says, if the plan has nothing else. The digest then covers this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub touched: Option<Vec<TouchedGroup>>,
    /// The number of HTTP requests of the run that printed or saved the plan. The digest does not cover it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requests: Option<u64>,
    /// Why this is not the reviewed plan, if it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stale: Option<String>,
    /// The paths of the files, relative to the root of their repository, so that `apply --tip` finds them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub paths: Vec<PathBuf>,
    /// All addresses of members of the plan's changes who have several.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub addresses: BTreeMap<MemberId, Vec<Email>>,
    /// The pinned permissions of groups that somebody joins. A saved plan compares them again.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub permissions: BTreeMap<GroupId, Vec<String>>,
    /// The guards that concern more than one group, at the time of the plan.
    pub guards: PlanGuards,
    /// The exclusions of every group that somebody joins.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclusive: Vec<ExclusivePair>,
    /// The members who leave a group before they join one that excludes it, in this order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exchanges: Vec<MemberId>,
    /// Groups that were not read and decide about a change. They are read, and the plan is made again.
    #[serde(skip)]
    pub(super) unread: BTreeSet<GroupId>,
    /// SHA-256 over the rest of the file. Only a plan that is being read has one.
    #[serde(default, skip_serializing)]
    #[schemars(required)]
    pub(super) checksum: Option<Digest>,
}

/// A change that the files ask for and that this run does not make.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    pub group: GroupName,
    pub kind: LeftOutKind,
    /// The reason in words, with the place of a setting that decides it.
    pub reason: String,
    /// The line of the newest files that decides it; null if none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Origin>,
    pub change: Change,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LeftOutKind {
    /// A guard refuses it, and the run makes the rest.
    Guard,
    /// The newest files say otherwise.
    Tip,
    /// The run has reached the number of removals that one run makes. The next run continues.
    Cap,
    /// The member is not yet in another group that declares them.
    Waits,
    /// Too old for a change that the clock brings. It does not make the run partial.
    Drift,
}

/// A warning that does not refuse the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlanWarning {
    pub message: String,
    pub help: String,
    /// The place in a file that causes it.
    pub origin: Option<Origin>,
    /// What it is about, if it is a difference that `drift` reports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub difference: Option<SideDoor>,
}

impl PlanWarning {
    pub fn new(message: String, help: &str, origin: Option<Origin>) -> Self {
        Self { message, help: help.into(), origin, difference: None }
    }
}

/// A member joins or leaves a group.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Change {
    pub action: Action,
    pub member: Member,
    /// For an addition, the place of the entry. For a removal, the list that does not name the member, or the expired
    /// entry.
    pub origin: Origin,
    /// The rosters between the group and the entry, outermost first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub via: Option<Arc<[RosterUse]>>,
    /// For an addition: when the membership begins by its entry; null without a beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// For an addition: the first instant after the membership; null if it does not end.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// The reason in the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// For a removal: when the entry ended that declared the member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expired: Option<Timestamp>,
    /// For a removal: whether the limits do not count it, because the access ended within the last 31 days as the files
    /// said before, or only due changes are planned.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub exempt: bool,
    /// For a held removal: the blocked line that may mean this member.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub held_by: Option<Origin>,
    /// For an addition: the groups that exclude this one and that the member leaves first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<GroupRef>,
    /// Whether the change under review causes it; null without a base.
    pub since: Option<Since>,
    /// For a removal that existed before: whether it was held until the change under review.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub released: bool,
    /// For a removal: when the member was added to the group, if it was requested and the API reports it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub added_at: Option<Timestamp>,
    /// Who made the difference, if it was requested and the audit log has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<Box<Attribution>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The member joins the group.
    Add,
    /// The member leaves the group.
    Remove,
}

/// Whether a difference existed before the change under review.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Since {
    /// The change under review causes it.
    Change,
    /// The difference existed before.
    Before,
}

/// A membership that ends soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Expiring {
    pub group: GroupName,
    pub person: PersonRef,
    /// The first instant after the membership.
    pub until: Timestamp,
    /// The entry that ends it.
    pub origin: Origin,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Summary {
    /// Groups in the plan.
    pub groups: u64,
    /// Groups that applying would change.
    pub changed: u64,
    /// Memberships that applying would add.
    pub adds: u64,
    /// Memberships that applying would remove.
    pub removes: u64,
    /// Differences in groups that are only observed.
    pub observed_only: u64,
    /// Removals that are held.
    pub held: u64,
    /// Declared entries that cannot be applied.
    pub blocked: u64,
    /// Refusals by guards.
    pub refused: u64,
    /// Writing requests that applying would send.
    pub requests: u64,
}

impl Change {
    /// The line that names the member: the entry, or the ended entry. Nothing if the member is merely on no list.
    pub fn named_at(&self) -> Option<&Origin> {
        (self.action == Action::Add || self.expired.is_some()).then_some(&self.origin)
    }

    /// Whether the change is still to be made where these members are present.
    pub fn is_open(&self, present: &Membership) -> bool {
        present.contains_key(&self.member.id) == (self.action == Action::Remove)
    }

    /// Whether the member must leave this group first.
    pub fn waits_for(&self, group: GroupId) -> bool {
        self.after.iter().any(|first| first.id == group)
    }

    pub const fn new(action: Action, member: Member, origin: Origin) -> Self {
        Self {
            action,
            member,
            origin,
            via: None,
            from: None,
            until: None,
            reason: None,
            expired: None,
            exempt: false,
            after: Vec::new(),
            held_by: None,
            since: None,
            released: false,
            added_at: None,
            by: None,
        }
    }

    /// The addition of a member by an entry.
    pub fn addition(member: Member, entry: &DesiredMember) -> Self {
        Self {
            via: entry.via.clone(),
            from: entry.from(),
            until: entry.until(),
            reason: entry.terms.as_deref().and_then(|terms| terms.reason.clone()),
            ..Self::new(Action::Add, member, entry.origin.clone())
        }
    }
}

impl Plan {
    /// Whether the plan leaves out a change that a run should make.
    pub fn is_partial(&self) -> bool {
        self.left_out.iter().any(|left_out| left_out.kind != LeftOutKind::Drift)
    }

    pub fn has_differences(&self) -> bool {
        self.groups.iter().any(GroupPlan::differs)
    }

    /// Whether groups that convoke writes to differ. Observed groups do not count.
    pub fn has_planned_differences(&self) -> bool {
        self.groups.iter().any(|group| group.mode != Mode::Observe && group.differs())
    }

    /// Whether an entry, a group or a held removal is blocked in a group that convoke writes to.
    pub fn is_blocked(&self) -> bool {
        let holds = |group: &GroupPlan| group.mode != Mode::Observe && !group.held.is_empty();
        self.blocked.iter().any(|blocked| blocked.mode != Mode::Observe) || self.groups.iter().any(holds)
    }

    pub fn side_doors(&self, kind: SideDoor) -> u64 {
        self.warnings.iter().filter(|warning| warning.difference == Some(kind)).count() as u64
    }

    /// The number of groups that are completely as the files declare them.
    pub fn groups_in_sync(&self) -> u64 {
        self.groups.iter().filter(|group| group.in_sync()).count() as u64
    }

    /// Whether the plan covers everything that the files declare and found no difference, and no group that the settings
    /// ask to report. Only then is the account in sync.
    pub fn account_in_sync(&self) -> bool {
        !self.narrowed && !self.reports_more() && self.blocked.is_empty() && self.groups.iter().all(GroupPlan::in_sync)
    }

    /// Whether `drift` reports a difference beside the memberships of the declared groups.
    pub fn reports_more(&self) -> bool {
        !self.unmanaged_groups.is_empty() || self.warnings.iter().any(|warning| warning.difference.is_some())
    }

    /// Every change of the plan, made or held, with its group.
    pub fn differences(&self) -> impl Iterator<Item = (&GroupPlan, &Change)> {
        self.groups.iter().flat_map(|group| group.changes.iter().chain(&group.held).map(move |change| (group, change)))
    }

    pub fn removals(&self) -> impl Iterator<Item = (&GroupPlan, &Change)> {
        self.groups.iter().flat_map(|group| group.removals().map(move |change| (group, change)))
    }

    pub fn removes_anybody(&self) -> bool {
        self.removals().next().is_some()
    }

    pub fn by_id(&self) -> BTreeMap<GroupId, &GroupPlan> {
        self.groups.iter().map(|group| (group.id, group)).collect()
    }

    pub(crate) fn recount(&mut self) {
        self.summary = self.counted();
        self.status = self.judged();
    }

    fn judged(&self) -> RunStatus {
        if !self.refusals.is_empty() {
            RunStatus::Refused
        } else if self.is_blocked() || !self.blocked.is_empty() {
            RunStatus::Blocked
        } else if self.is_partial() {
            RunStatus::Partial
        } else if self.groups.iter().any(|group| group.differs() || group.left_out) {
            RunStatus::Changes
        } else {
            RunStatus::InSync
        }
    }

    pub(super) fn counted(&self) -> Summary {
        let mut summary = Summary {
            groups: self.groups.len() as u64,
            blocked: self.blocked.len() as u64,
            refused: self.refusals.len() as u64,
            ..Summary::default()
        };
        for group in &self.groups {
            summary.changed += u64::from(!group.operations.is_empty());
            summary.adds += group.additions().count() as u64;
            summary.removes += group.removals().count() as u64;
            summary.held += group.held.len() as u64;
            summary.requests += group.operations.len() as u64;
            if group.mode == Mode::Observe {
                summary.observed_only += group.changes.len() as u64;
            }
        }
        summary
    }
}
