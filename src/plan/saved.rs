//! Writes a plan with its checksum, and reads it back. A plan must be complete, unedited and consistent.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use super::{Action, Change, Digest, Plan, digest, fingerprint, operations};

/// The format version that this program writes and reads.
pub(super) const FORMAT_VERSION: u32 = 1;

/// Why a text is not a valid plan.
#[derive(Debug, thiserror::Error)]
pub enum SavedPlanError {
    #[error("it is truncated, or another version of convoke wrote it")]
    Shape(#[from] serde_json::Error),
    #[error("it has format version {0}, this version of convoke reads {FORMAT_VERSION}")]
    Version(u32),
    #[error("it was damaged or edited after it was created: {0}")]
    Edited(&'static str),
}

/// A plan with the checksum of its content.
#[derive(Debug, Serialize)]
pub struct SealedPlan<'p> {
    #[serde(flatten)]
    plan: &'p Plan,
    checksum: Digest,
}

impl Plan {
    /// The plan in the form that is saved and printed.
    #[must_use]
    pub fn sealed(&self) -> SealedPlan<'_> {
        SealedPlan { plan: self, checksum: Digest::of_json(self) }
    }

    /// Reads a saved plan and checks everything that does not need the account: the checksum, and that the digest,
    /// fingerprints, operations and summary match the rest.
    ///
    /// # Errors
    ///
    /// If it has another version, is truncated, or was changed.
    pub fn parse(bytes: &[u8]) -> Result<Self, SavedPlanError> {
        #[derive(Deserialize)]
        struct Version {
            format_version: u32,
        }
        let Version { format_version } = serde_json::from_slice(bytes)?;
        if format_version != FORMAT_VERSION {
            return Err(SavedPlanError::Version(format_version));
        }
        let mut plan: Self = serde_json::from_slice(bytes)?;
        // The checksum does not cover itself: it is left out when the plan is written.
        if plan.checksum.take() != Some(Digest::of_json(&plan)) {
            return Err(SavedPlanError::Edited("its checksum does not match"));
        }
        plan.check()?;
        Ok(plan)
    }

    fn check(&self) -> Result<(), SavedPlanError> {
        if self.by_id().len() != self.groups.len() {
            return Err(SavedPlanError::Edited("it has a group twice"));
        }
        let mut decided = self.groups.clone();
        operations::decide(&mut decided, self.due);
        for (group, decided) in self.groups.iter().zip(&decided) {
            if group.fingerprint != fingerprint(group.observed.keys()) {
                return Err(SavedPlanError::Edited("a group's fingerprint does not match its members"));
            }
            let sound =
                |change: &Change| group.observed.contains_key(&change.member.id) == (change.action == Action::Remove);
            let mut seen = BTreeSet::new();
            let mut once = |change: &Change| seen.insert(change.member.id);
            if !group.changes.iter().chain(&group.held).all(|change| sound(change) && once(change)) {
                return Err(SavedPlanError::Edited("a group's changes do not match its members"));
            }
            if group.operations != decided.operations {
                return Err(SavedPlanError::Edited("a group's operations do not match its changes"));
            }
        }
        if self.digest != digest::digest(self.account_id, &self.groups) {
            return Err(SavedPlanError::Edited("its digest does not match its changes"));
        }
        if self.summary != self.counted() {
            return Err(SavedPlanError::Edited("its figures do not match its changes"));
        }
        Ok(())
    }
}
