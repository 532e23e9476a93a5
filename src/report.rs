//! What came of carrying out a plan: values that apply fills in and the renderers show.

use std::collections::BTreeSet;

use crate::model::{GroupId, GroupName, Member, MemberId, Membership};
use crate::plan::{Action, Digest, GroupPlan};

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Report {
    /// The plan's digest.
    pub digest: Digest,
    /// Every group of the plan, by name.
    pub groups: Vec<GroupReport>,
    /// How many declared things could not be applied to begin with.
    pub blocked: u64,
    /// Whether the run was told to stop.
    pub interrupted: bool,
    /// Whether the credentials were refused on the way.
    pub credentials_refused: bool,
    /// Why the end of the run could not be recorded, where it could not.
    pub journal_failed: Option<String>,
}

/// What came of one group.
#[derive(Clone, Debug)]
pub struct GroupReport {
    /// The group's id.
    pub id: GroupId,
    /// Its name.
    pub name: GroupName,
    /// Whether the plan itself leaves a difference: what is held, or only observed.
    pub differs: bool,
    /// Who joined.
    pub added: Vec<Member>,
    /// Who left.
    pub removed: Vec<Member>,
    /// What was tried in vain.
    pub failed: Vec<Undone>,
    /// What was not tried.
    pub skipped: Vec<Undone>,
    /// Who had come and gone, where the group was no longer what the plan saw.
    pub stale: Option<Difference>,
    /// Anything else that went wrong.
    pub trouble: Option<String>,
}

/// A group that is no longer what a saved plan saw.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StaleGroup {
    /// The group.
    pub name: GroupName,
    /// Who came and went; nothing where the group itself is gone.
    pub difference: Option<Difference>,
}

/// Who came to and went from a group behind a plan's back.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Who is there, and was not and is not to be.
    pub added: Vec<Member>,
    /// Who is gone, and was there and is to be.
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
        let name = |ids: &BTreeSet<MemberId>, members: &Membership| {
            let subject = |id: &MemberId| {
                let member = members.get(id);
                let (email, status) = member.map_or((None, None), |member| (member.email.clone(), member.status));
                Member { id: *id, email, status }
            };
            ids.iter().map(subject).collect()
        };
        Self { added: name(added, present), removed: name(removed, &group.observed) }
    }
}

/// A change that was not made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Undone {
    /// Joining or leaving.
    pub action: Action,
    /// Who.
    pub member: Member,
    /// Why.
    pub reason: String,
}

/// What came of a group, in a word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// There was nothing to do, or nothing left to do.
    InSync,
    /// Everything was done.
    Done,
    /// Something failed.
    Failed,
    /// Somebody changed the group meanwhile.
    Stale,
    /// Something was not tried.
    Skipped,
    /// What the plan does was done; something is held, or the group is only observed.
    Differs,
}

impl GroupReport {
    /// What came of the group.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        if !self.failed.is_empty() || self.trouble.is_some() {
            Outcome::Failed
        } else if self.stale.is_some() {
            Outcome::Stale
        } else if !self.skipped.is_empty() {
            Outcome::Skipped
        } else if self.differs {
            Outcome::Differs
        } else if self.added.is_empty() && self.removed.is_empty() {
            Outcome::InSync
        } else {
            Outcome::Done
        }
    }
}

impl Report {
    /// Whether everything the plan and the files ask for is now so, and the journal tells of all of it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.is_applied() && self.journal_failed.is_none()
    }

    /// Whether everything the plan and the files ask for is now so.
    #[must_use]
    pub fn is_applied(&self) -> bool {
        let fine =
            |group: &GroupReport| !matches!(group.outcome(), Outcome::Failed | Outcome::Stale | Outcome::Skipped);
        self.blocked == 0 && !self.interrupted && self.groups.iter().all(fine)
    }

    /// How many memberships were added and removed.
    #[must_use]
    pub fn changed(&self) -> (u64, u64) {
        let count = |of: fn(&GroupReport) -> usize| self.groups.iter().map(of).sum::<usize>() as u64;
        (count(|group| group.added.len()), count(|group| group.removed.len()))
    }
}
