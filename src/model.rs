//! The types that all modules use: ids, emails, times, desired and observed memberships, and the status of a run.
//!
//! The module does not know where its values come from. Collections are ordered, so that output, digests and requests
//! never depend on hashing or timing.

mod desired;
mod email;
mod ends;
mod id;
mod observed;
mod origin;
mod status;
mod time;
pub mod typos;
mod unicode;

pub use desired::{
    Desired, DesiredGroup, DesiredMember, Exclusion, GroupName, Limit, Limits, Mode, PersonRef, Protected, RosterEntry,
    Rules, Setting, Settings, Terms, Unmanaged,
};
pub use email::{Email, EmailError};
pub use ends::kept_ends;
pub use id::{AccountId, GroupId, IdError, MemberId, UserId};
pub use observed::{
    AccessPolicy, AccountInfo, GroupRef, GroupSummary, Member, Membership, Observed, Permission, Person, PersonStatus,
    ScimGroup, Status, TokenOwner, TokenUser,
};
pub use origin::{Origin, Position, RosterUse};
pub use status::RunStatus;
pub use time::{Period, PeriodError, TimeError, Window, WrittenTime, first_day, last_day};
pub use unicode::{comparable, composed, is_invisible};
