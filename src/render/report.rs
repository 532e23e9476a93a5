//! What came of a plan, as JSON that others read.

use serde::Serialize;

use crate::model::{Email, GroupId, GroupName, Member, MemberId, RunStatus};
use crate::plan::{Action, Digest};
use crate::report::{Difference, GroupReport, Outcome, Report, StaleGroup, Undone};

/// The version of the format.
const FORMAT_VERSION: u32 = 1;

/// What came of a plan.
#[derive(Clone, Debug, Serialize)]
pub struct ReportDocument {
    format_version: u32,
    status: RunStatus,
    /// The plan's digest.
    digest: Digest,
    /// Whether everything is now as the files, or the plan, ask for.
    complete: bool,
    /// Whether the run was told to stop.
    interrupted: bool,
    added: u64,
    removed: u64,
    blocked: u64,
    groups: Vec<GroupDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct GroupDocument {
    id: GroupId,
    name: GroupName,
    outcome: Outcome,
    added: Vec<SubjectDocument>,
    removed: Vec<SubjectDocument>,
    failed: Vec<UndoneDocument>,
    skipped: Vec<UndoneDocument>,
    stale: Option<DifferenceDocument>,
    trouble: Option<String>,
}

#[derive(Clone, Debug, Serialize)]
struct SubjectDocument {
    id: MemberId,
    email: Option<Email>,
}

#[derive(Clone, Debug, Serialize)]
struct UndoneDocument {
    action: Action,
    member: SubjectDocument,
    reason: String,
}

#[derive(Clone, Debug, Serialize)]
struct DifferenceDocument {
    added: Vec<SubjectDocument>,
    removed: Vec<SubjectDocument>,
}

/// Why a saved plan is stale.
#[derive(Clone, Debug, Serialize)]
pub struct StaleDocument {
    format_version: u32,
    status: RunStatus,
    stale: Vec<StaleGroupDocument>,
}

#[derive(Clone, Debug, Serialize)]
struct StaleGroupDocument {
    name: GroupName,
    /// Who came and went since; null where the group is gone.
    difference: Option<DifferenceDocument>,
}

impl StaleDocument {
    /// The document of groups that have changed since a plan was made.
    #[must_use]
    pub fn new(groups: &[StaleGroup]) -> Self {
        let group = |group: &StaleGroup| StaleGroupDocument {
            name: group.name.clone(),
            difference: group.difference.as_ref().map(DifferenceDocument::from),
        };
        Self { format_version: FORMAT_VERSION, status: RunStatus::Stale, stale: groups.iter().map(group).collect() }
    }
}

impl From<&Difference> for DifferenceDocument {
    fn from(Difference { added, removed }: &Difference) -> Self {
        Self { added: subjects(added), removed: subjects(removed) }
    }
}

/// How a run ended.
pub fn status(report: &Report) -> RunStatus {
    match (report.is_complete(), report.changed()) {
        (false, _) => RunStatus::Partial,
        (true, (0, 0)) => RunStatus::InSync,
        (true, _) => RunStatus::Applied,
    }
}

impl ReportDocument {
    /// The document of a report.
    #[must_use]
    pub fn new(report: &Report) -> Self {
        let (added, removed) = report.changed();
        Self {
            format_version: FORMAT_VERSION,
            status: status(report),
            digest: report.digest,
            complete: report.is_complete(),
            interrupted: report.interrupted,
            added,
            removed,
            blocked: report.blocked,
            groups: report.groups.iter().map(GroupDocument::from).collect(),
        }
    }
}

impl From<&GroupReport> for GroupDocument {
    fn from(group: &GroupReport) -> Self {
        let undone = |Undone { action, member, reason }: &Undone| UndoneDocument {
            action: *action,
            member: member.into(),
            reason: reason.clone(),
        };
        Self {
            id: group.id,
            name: group.name.clone(),
            outcome: group.outcome(),
            added: subjects(&group.added),
            removed: subjects(&group.removed),
            failed: group.failed.iter().map(undone).collect(),
            skipped: group.skipped.iter().map(undone).collect(),
            stale: group.stale.as_ref().map(DifferenceDocument::from),
            trouble: group.trouble.clone(),
        }
    }
}

impl From<&Member> for SubjectDocument {
    fn from(subject: &Member) -> Self {
        Self { id: subject.id, email: subject.email.clone() }
    }
}

fn subjects(subjects: &[Member]) -> Vec<SubjectDocument> {
    subjects.iter().map(SubjectDocument::from).collect()
}
