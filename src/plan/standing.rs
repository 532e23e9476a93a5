//! The standing of a membership: what the account shows, compared with what the files declare.
//!
//! `review`, `drift`, `why` and the metrics speak of the same fact. They all take it from here, so that a number in
//! one of them is the number in the others.

use std::sync::Arc;

use jiff::Timestamp;
use schemars::JsonSchema;
use serde::{Serialize, Serializer};

use super::{Action, Change, GroupPlan};
use crate::model::{DesiredMember, Origin, RosterUse, Window};

/// The standing of a membership, compared with the files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It exists, and an entry declares it now.
    Declared,
    /// It exists, and no entry declares it.
    Undeclared,
    /// It exists, but its entry has ended.
    Expired,
    /// An entry declares it now, but it does not exist.
    Missing,
    /// It does not exist, and its entries are for another time.
    NotNow,
}

impl Standing {
    /// The standing of a membership with these entries, and those of the entries that it follows from.
    pub fn of(present: bool, entries: &[&DesiredMember], time: Timestamp) -> (Self, Vec<Claim>) {
        let claims = |is_meant: fn(&DesiredMember, Timestamp) -> bool| -> Vec<Claim> {
            entries.iter().filter(|entry| is_meant(entry, time)).map(|entry| Claim::of(entry, time)).collect()
        };
        let (active, ended) = (claims(DesiredMember::belongs_at), claims(DesiredMember::has_ended));
        match (present, active.is_empty(), ended.is_empty()) {
            (true, false, _) => (Self::Declared, active),
            (false, false, _) => (Self::Missing, active),
            (true, true, false) => (Self::Expired, ended),
            (true, true, true) => (Self::Undeclared, Vec::new()),
            (false, true, _) => (Self::NotNow, ended),
        }
    }

    /// The standing of a membership that a plan would change.
    pub const fn of_change(change: &Change) -> Self {
        match (change.action, change.expired) {
            (Action::Add, _) => Self::Missing,
            (Action::Remove, None) => Self::Undeclared,
            (Action::Remove, Some(_)) => Self::Expired,
        }
    }

    pub const fn name(self) -> &'static str {
        match self {
            Self::Declared => "declared",
            Self::Undeclared => "undeclared",
            Self::Expired => "expired",
            Self::Missing => "missing",
            Self::NotNow => "not now",
        }
    }

    /// The word for a difference. Drift calls a member whom no file declares unexpected.
    pub const fn drift(self) -> &'static str {
        if matches!(self, Self::Undeclared) { "unexpected" } else { self.name() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    pub missing: u64,
    pub unexpected: u64,
    pub expired: u64,
    /// The unexpected and expired members whose removal is held. They are counted above too, because they are in the
    /// group, whatever holds their removal.
    pub held: u64,
}

impl Tally {
    pub fn of<'a>(groups: impl IntoIterator<Item = &'a GroupPlan>) -> Self {
        let mut tally = Self::default();
        for group in groups {
            tally.held += group.held.len() as u64;
            for change in group.changes.iter().chain(&group.held) {
                match Standing::of_change(change) {
                    Standing::Missing => tally.missing += 1,
                    Standing::Expired => tally.expired += 1,
                    Standing::Undeclared | Standing::Declared | Standing::NotNow => tally.unexpected += 1,
                }
            }
        }
        tally
    }
}

/// A line of the files that names a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Claim {
    #[serde(flatten)]
    pub origin: Origin,
    /// The rosters between the group's list and the line, outermost first.
    #[serde(serialize_with = "roster_names")]
    #[schemars(with = "Vec<String>")]
    pub via: Arc<[RosterUse]>,
    #[serde(flatten)]
    pub window: Window,
    pub reason: Option<Arc<str>>,
    /// Whether the entry applies at the time of the document.
    pub holds: bool,
}

impl Claim {
    pub fn of(entry: &DesiredMember, time: Timestamp) -> Self {
        let terms = entry.terms.as_deref().cloned().unwrap_or_default();
        Self {
            origin: entry.origin.clone(),
            via: entry.via.clone().unwrap_or_default(),
            window: terms.window,
            reason: terms.reason,
            holds: terms.window.contains(time),
        }
    }
}

fn roster_names<S: Serializer>(via: &[RosterUse], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(via.iter().map(|used| &used.roster))
}
