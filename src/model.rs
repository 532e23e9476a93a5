//! The types that all modules use: ids, emails, times, desired and observed memberships, and the status of a run.
//!
//! The module does not know where its values come from. Collections are ordered, so that output, digests and requests
//! never depend on hashing or timing.

/// Serializes types as the texts that they are shown and parsed as.
macro_rules! serialize_as_text {
    ($($name:ty),+) => { $(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+ };
}
pub(crate) use serialize_as_text;

mod desired;
mod email;
mod ends;
mod id;
mod observed;
mod origin;
mod time;
pub mod typos;

pub use desired::{
    About, Desired, DesiredGroup, DesiredMember, GroupName, Limit, Limits, Mode, PersonRef, Protected, Rules, Setting,
    Settings, Terms, Unmanaged,
};
pub use email::{Email, EmailError, comparable, composed, is_invisible};
pub use ends::kept_ends;
pub use id::{AccountId, GroupId, IdError, MemberId, UserId};
pub use observed::{
    AccessPolicy, AccountInfo, GroupRef, GroupSummary, Member, Membership, Observed, Permission, Person, ScimGroup,
    Status, TokenOwner, TokenUser,
};
pub use origin::{Origin, Position, RosterUse};
pub use time::{Period, TimeError, Window, WrittenTime, first_day, last_day, whole_second};

/// The `status` of a JSON document. If several apply, it is the first in this order. `drift` ignores guards.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// The command failed. The document has the reason.
    Failed,
    /// The plan is not the one that was reviewed. Nothing was changed.
    Stale,
    /// A guard refused the plan. Nothing was changed.
    Refused,
    /// Something declared cannot be applied.
    Blocked,
    /// Applied in part.
    Partial,
    /// Applied in full.
    Applied,
    /// There are differences.
    Changes,
    /// There is no difference.
    InSync,
    /// There was nothing to do: an edit changed nothing, or `validate` found no problem.
    Unchanged,
}
