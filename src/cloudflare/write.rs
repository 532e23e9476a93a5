//! Changes to a group's members: never sent again unless they were certainly not carried out.

use std::collections::BTreeSet;

use reqwest::Method;

use super::call::{Answered, Call, Caller, Failed};
use super::error::{ApiError, ApiErrorKind};
use super::verdict::Fate;
use super::wire::{MemberRef, WriteAnswer};
use crate::model::MemberId;

/// What became of a change that was sent, or was to be sent.
#[derive(Clone, Debug)]
#[must_use]
pub enum WriteFate {
    /// The API answered that it made the change.
    Answered {
        /// The members of the group after the change, as the answer lists them; `None` where it lists none, or not
        /// plainly all of them. The answer to a POST is known, but not documented, to list the whole group; the answer
        /// to a DELETE proves nothing.
        members: Option<BTreeSet<MemberId>>,
        /// Identifies the answer to Cloudflare's support.
        ray: Option<String>,
    },
    /// The API looked at the change and did not make it.
    Refused { concerns: Concern, error: ApiError },
    /// The change was certainly not carried out, and waiting longer was not allowed.
    NotSent(ApiError),
    /// The answer was lost, or proves nothing: the change may have happened or not. Only reading tells.
    Unknown(ApiError),
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// One of the members named, as far as the answer tells: the others may be accepted without that member.
    Member,
    /// The group as a whole or the credentials: sending the change in parts cannot help.
    Group,
}

impl WriteFate {
    /// What went wrong, where something did.
    #[must_use]
    pub const fn error(&self) -> Option<&ApiError> {
        match self {
            Self::Answered { .. } => None,
            Self::Refused { error, .. } | Self::NotSent(error) | Self::Unknown(error) => Some(error),
        }
    }

    /// Identifies the answer to Cloudflare's support.
    #[must_use]
    pub fn ray(&self) -> Option<&str> {
        match self {
            Self::Answered { ray, .. } => ray.as_deref(),
            Self::Refused { error, .. } | Self::NotSent(error) | Self::Unknown(error) => error.ray(),
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
pub(super) async fn send(caller: &Caller, call: &Call) -> WriteFate {
    match caller.call::<WriteAnswer>(call).await {
        Ok(Answered { result, ray }) => {
            let shows_the_group = call.message.method != Method::DELETE;
            WriteFate::Answered { members: result.members().filter(|_| shows_the_group), ray }
        }
        Err(Failed { error, fate }) => match fate {
            Fate::Refused => WriteFate::Refused { concerns: concern(&call.message.method, &error), error },
            Fate::NotSent => WriteFate::NotSent(error),
            Fate::Unknown => WriteFate::Unknown(error),
        },
    }
}

/// What a refusal is about. The API refuses a whole batch for one bad member, and does not say which one.
fn concern(method: &Method, error: &ApiError) -> Concern {
    /// Parts of messages that are about the group, in lower case.
    const ABOUT_THE_GROUP: [&str; 2] = ["scim", "policy validation"];
    let about_the_group = error.messages().iter().any(|message| {
        let message = message.message.to_lowercase();
        ABOUT_THE_GROUP.iter().any(|part| message.contains(part))
    });
    match error.kind() {
        ApiErrorKind::Refused if !about_the_group => Concern::Member,
        // A DELETE names one member, and that member is not in the group.
        ApiErrorKind::NotFound if *method == Method::DELETE => Concern::Member,
        _ => Concern::Group,
    }
}
