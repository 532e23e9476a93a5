//! Changes to a group's members: sent at most once more than certain, their outcome told apart from their answer.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::Value;

use super::call::{Answered, Call, Caller, Failed};
use super::error::ApiError;
use super::verdict::Fate;
use super::wire::{MemberRef, Written};
use crate::model::MemberId;

/// What the API answered to a change it made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WriteAnswer {
    /// The members of the group after the change, as the answer lists them; nothing where it lists none, or not
    /// plainly all of them. An addition's answer is known, but not documented, to list the whole group.
    pub members: Option<BTreeSet<MemberId>>,
    /// What identifies the answer to Cloudflare's support.
    pub ray: Option<String>,
}

/// A change that was not plainly made.
#[derive(Clone, Debug)]
pub enum WriteError {
    /// The API looked at it and did not do it.
    Refused(ApiError),
    /// It was certainly not carried out, and it was not allowed to wait longer.
    NotSent(ApiError),
    /// The answer was lost or cannot be read: it may have happened or not. Only reading tells.
    Unknown(ApiError),
}

impl WriteError {
    /// What went wrong.
    #[must_use]
    pub fn error(&self) -> &ApiError {
        let (Self::Refused(error) | Self::NotSent(error) | Self::Unknown(error)) = self;
        error
    }
}

impl fmt::Display for WriteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.error().fmt(f)
    }
}

impl std::error::Error for WriteError {}

impl From<Failed> for WriteError {
    fn from(Failed { error, fate }: Failed) -> Self {
        match fate {
            Fate::Refused => Self::Refused(error),
            Fate::NotSent => Self::NotSent(error),
            Fate::Unknown => Self::Unknown(error),
        }
    }
}

/// The body that names these members.
pub(super) fn body(members: &[MemberId]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|id| MemberRef { id: *id }).collect();
    // Ids are plain texts: writing them to memory cannot fail.
    serde_json::to_vec(&members).unwrap_or_default()
}

/// Sends a change.
pub(super) async fn send(caller: &Caller, call: &Call) -> Result<WriteAnswer, WriteError> {
    // The envelope has said that it succeeded: a result of another shape takes nothing from that.
    let Answered { result, ray } = caller.call::<Value>(call).await?;
    let members = serde_json::from_value(result).ok().and_then(Written::members);
    Ok(WriteAnswer { members, ray })
}
