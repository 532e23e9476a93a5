//! What every other module speaks in: ids, emails, what is desired and what was observed.
//!
//! Nothing here knows where its values came from. Collections are ordered, so that nothing printed, hashed or
//! sent ever depends on hashing or timing.

mod desired;
mod email;
mod id;
mod observed;
mod origin;
mod status;
mod time;

pub use desired::{
    Desired, DesiredGroup, DesiredMember, Exclusion, GroupName, Limit, Limits, Mode, PersonRef, Protected, RosterEntry,
    Rules, Setting, Settings, Terms, Unmanaged,
};
pub use email::{Email, EmailError};
pub use id::{AccountId, GroupId, IdError, MemberId, UserId};
pub use observed::{
    GroupRef, GroupSummary, Member, Membership, Observed, Person, PersonStatus, Sharing, Status, TokenOwner, TokenUser,
};
pub use origin::{Origin, RosterUse};
pub use status::RunStatus;
pub use time::{Period, PeriodError, TimeError, Window, WrittenTime};
