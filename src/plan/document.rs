//! A plan as others read it: the JSON that is saved, printed and applied later.
//!
//! Its structs are apart from the plan's own, so that the format changes only on purpose. Reading a document checks
//! all that can be checked without the account: its checksum, and that digest, fingerprints, operations and figures
//! follow from the rest.

mod convert;

use std::collections::BTreeSet;
use std::mem;
use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Action, Blocked, BlockedReason, Change, Digest, Expiring, Figures, GroupGuards, GroupPlan, Guard, Operation, Plan,
    Refusal, Since, UnmanagedGroup, digest, fingerprint, operations,
};
use crate::model::{AccountId, Email, GroupId, GroupName, MemberId, Mode, PersonRef, Status};

/// The version of the format that this program writes, and the only one it reads.
const FORMAT_VERSION: u32 = 1;

/// A saved plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(title = "convoke plan")]
pub struct PlanDocument {
    /// The version of this format.
    pub format_version: u32,
    /// The account planned for.
    pub account_id: AccountId,
    /// Names the plan: equal for the same account, observed members and changes.
    pub digest: Digest,
    /// The plan's figures.
    pub summary: SummaryDocument,
    /// Every group planned, by name, changed or not.
    pub groups: Vec<GroupDocument>,
    /// What is declared and cannot be applied.
    pub blocked: Vec<BlockedDocument>,
    /// What the guards object to.
    pub refusals: Vec<RefusalDocument>,
    /// Groups of the account that no file declares, where the settings ask for them.
    pub unmanaged_groups: Vec<UnmanagedDocument>,
    /// Memberships that end soon.
    pub expiring: Vec<ExpiringDocument>,
    /// SHA-256 over all the rest: tells a damaged or edited plan.
    pub checksum: Digest,
}

/// The figures of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummaryDocument {
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
    /// Declared things that cannot be applied.
    pub blocked: u64,
    /// Objections of the guards.
    pub refused: u64,
    /// Writing requests that applying would send.
    pub requests: u64,
}

/// One group's part of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GroupDocument {
    /// The group's id.
    pub id: GroupId,
    /// The group's name, as declared.
    pub name: GroupName,
    /// What the group's list means.
    pub mode: Mode,
    /// Where the group is declared.
    pub origin: OriginDocument,
    /// A hash of the observed members' ids.
    pub fingerprint: Digest,
    /// Who joins and who leaves.
    pub changes: Vec<ChangeDocument>,
    /// Removals that wait until what is blocked is resolved.
    pub held: Vec<ChangeDocument>,
    /// The requests that make the changes, in order.
    pub operations: Vec<Operation>,
    /// Bounds that also hold while the changes are made.
    pub guards: GroupGuards,
    /// Who has to be in the group afterwards, where members whom no file declares do not count.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<BTreeSet<MemberId>>,
    /// The members the group was observed to have, by id.
    pub observed: Vec<MemberDocument>,
}

/// Somebody joins or leaves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ChangeDocument {
    /// Whether they join or leave.
    pub action: Action,
    /// Who.
    pub member: MemberDocument,
    /// Where that is declared.
    pub origin: OriginDocument,
    /// The rosters between the group and the entry, outermost first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub via: Vec<RosterUseDocument>,
    /// Why, in the words of the file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Arc<str>>,
    /// When the entry ran out that held the person until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub expired: Option<Timestamp>,
    /// Whether the change under review causes it; null where that was not asked.
    pub since: Option<Since>,
    /// For a removal: when the member was added to the group, where that was asked and the API knows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Option<String>", extend("format" = "date-time"))]
    pub added_at: Option<Timestamp>,
}

/// An account member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MemberDocument {
    /// The account member's id.
    pub id: MemberId,
    /// The address; null where the API gave none.
    pub email: Option<Email>,
    /// The state of the invitation; null where the API gave none.
    pub status: Option<Status>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OriginDocument {
    /// The file's path as it was named.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
    /// The column in characters, from 1.
    pub column: u32,
}

/// A use of a roster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RosterUseDocument {
    /// The roster's name.
    pub roster: Arc<str>,
    /// Where it is named.
    pub origin: OriginDocument,
}

/// Something declared that cannot be applied.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BlockedDocument {
    /// The declared group.
    pub group: GroupName,
    /// The entry; null where it is the group itself.
    pub entry: Option<PersonRef>,
    /// Where it is declared.
    pub origin: OriginDocument,
    /// Why it cannot be applied.
    pub reason: BlockedReason,
    /// The same in words.
    pub message: String,
    /// Whether the change under review brought it; null where that was not asked.
    pub since: Option<Since>,
}

/// An objection of a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RefusalDocument {
    /// Which guard.
    pub guard: Guard,
    /// The group; null where it is about the account.
    pub group: Option<GroupName>,
    /// What it objects to.
    pub message: String,
    /// How to proceed.
    pub help: String,
    /// What was compared; null where nothing was.
    pub figures: Option<Figures>,
    /// Where the bound was set; null for a default.
    pub origin: Option<OriginDocument>,
}

/// A group of the account that no file declares.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct UnmanagedDocument {
    /// Its id.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
}

/// A membership that ends soon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ExpiringDocument {
    /// The group.
    pub group: GroupName,
    /// Who.
    pub person: PersonRef,
    /// The first instant after it.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub until: Timestamp,
    /// Where that is said.
    pub origin: OriginDocument,
}

/// Why a text is no plan that can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// Not JSON of this shape.
    #[error("it is not a whole plan as this version of convoke writes them")]
    Shape(#[from] serde_json::Error),
    /// Another version of the format.
    #[error("it has format version {0}, this version of convoke reads {FORMAT_VERSION}")]
    Version(u32),
    /// Something was changed after it was made.
    #[error("it was damaged or edited after it was made: {0}")]
    Edited(&'static str),
}

impl PlanDocument {
    /// The document of a plan.
    #[must_use]
    pub fn new(plan: &Plan) -> Self {
        let mut document = Self {
            format_version: FORMAT_VERSION,
            account_id: plan.account_id,
            digest: plan.digest,
            summary: plan.summary().into(),
            groups: plan.groups.iter().map(GroupDocument::from).collect(),
            blocked: plan.blocked.iter().map(BlockedDocument::from).collect(),
            refusals: plan.refusals.iter().map(RefusalDocument::from).collect(),
            unmanaged_groups: plan.unmanaged_groups.iter().map(UnmanagedDocument::from).collect(),
            expiring: plan.expiring.iter().map(ExpiringDocument::from).collect(),
            checksum: Digest::of(b""),
        };
        document.checksum = Digest::of_json(&document);
        document
    }

    /// Reads a document and checks it.
    ///
    /// # Errors
    ///
    /// Says what is wrong with it: another version, not whole, or changed since it was made.
    pub fn parse(bytes: &[u8]) -> Result<Self, DocumentError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } = serde_json::from_slice(bytes)?;
        if format_version != FORMAT_VERSION {
            return Err(DocumentError::Version(format_version));
        }
        let mut document: Self = serde_json::from_slice(bytes)?;
        // The checksum was made while there was none.
        let checksum = mem::replace(&mut document.checksum, Digest::of(b""));
        if checksum != Digest::of_json(&document) {
            return Err(DocumentError::Edited("its checksum does not match"));
        }
        document.checksum = checksum;
        Ok(document)
    }

    /// The plan of the document.
    ///
    /// # Errors
    ///
    /// Says which part does not follow from the others.
    pub fn into_plan(self) -> Result<Plan, DocumentError> {
        let summary = self.summary.clone();
        let plan = Plan {
            account_id: self.account_id,
            digest: self.digest,
            groups: self.groups.into_iter().map(GroupPlan::from).collect(),
            blocked: self.blocked.into_iter().map(Blocked::from).collect(),
            refusals: self.refusals.into_iter().map(Refusal::from).collect(),
            unmanaged_groups: self.unmanaged_groups.into_iter().map(UnmanagedGroup::from).collect(),
            expiring: self.expiring.into_iter().map(Expiring::from).collect(),
        };
        check(&plan, &summary)?;
        Ok(plan)
    }
}

fn check(plan: &Plan, summary: &SummaryDocument) -> Result<(), DocumentError> {
    if plan.by_id().len() != plan.groups.len() {
        return Err(DocumentError::Edited("it has a group twice"));
    }
    let mut decided = plan.groups.clone();
    operations::decide(&mut decided);
    for (group, decided) in plan.groups.iter().zip(&decided) {
        if group.fingerprint != fingerprint(group.observed.keys()) {
            return Err(DocumentError::Edited("a group's fingerprint does not match its members"));
        }
        let sound =
            |change: &Change| group.observed.contains_key(&change.member.id) == (change.action == Action::Remove);
        let mut seen = BTreeSet::new();
        let mut once = |change: &Change| seen.insert(change.member.id);
        if !group.changes.iter().chain(&group.held).all(|change| sound(change) && once(change)) {
            return Err(DocumentError::Edited("a group's changes do not match its members"));
        }
        if group.operations != decided.operations {
            return Err(DocumentError::Edited("a group's operations do not match its changes"));
        }
    }
    if plan.digest != digest::digest(plan.account_id, &plan.groups) {
        return Err(DocumentError::Edited("its digest does not match its changes"));
    }
    if SummaryDocument::from(plan.summary()) != *summary {
        return Err(DocumentError::Edited("its figures do not match its changes"));
    }
    Ok(())
}
