//! Changes to a group's members. A change is sent again only if it certainly had no effect.

use std::collections::BTreeSet;

use reqwest::Method;

use super::call::{Answered, Call, Caller, Failed};
use super::error::{ApiError, ApiErrorKind};
use super::verdict::Fate;
use super::wire::{MemberRef, WriteAnswer};
use crate::model::MemberId;

/// The outcome of a change.
#[derive(Clone, Debug)]
#[must_use]
pub enum WriteFate {
    /// The API answered that it made the change.
    Answered {
        /// The members of the group after the change; `None` if the answer does not list all of them. The answer to a
        /// POST is known, but not documented, to list the whole group. The answer to a DELETE proves nothing.
        members: Option<BTreeSet<MemberId>>,
        /// The answer's `cf-ray`.
        ray: Option<String>,
    },
    /// The API evaluated the change and did not make it.
    Refused { concerns: Concern, error: ApiError },
    /// The change certainly had no effect, and waiting longer was not allowed.
    NotSent(ApiError),
    /// The answer was lost or proves nothing. The change may or may not have been made; only a reading shows it.
    Unknown(ApiError),
}

/// What a refusal is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// One of the members in the request. The API may accept the others.
    Member,
    /// The whole group, or the credentials. Splitting the request cannot help.
    Group,
}

impl WriteFate {
    #[must_use]
    pub const fn error(&self) -> Option<&ApiError> {
        match self {
            Self::Answered { .. } => None,
            Self::Refused { error, .. } | Self::NotSent(error) | Self::Unknown(error) => Some(error),
        }
    }

    /// The answer's `cf-ray`.
    #[must_use]
    pub fn ray(&self) -> Option<&str> {
        match self {
            Self::Answered { ray, .. } => ray.as_deref(),
            Self::Refused { error, .. } | Self::NotSent(error) | Self::Unknown(error) => error.ray(),
        }
    }
}

pub(super) fn body(members: &[MemberId]) -> Vec<u8> {
    let members: Vec<_> = members.iter().map(|id| MemberRef { id: *id }).collect();
    // Ids are plain text, so writing them to memory cannot fail.
    serde_json::to_vec(&members).unwrap_or_default()
}

pub(super) async fn send(caller: &Caller, call: &Call) -> WriteFate {
    send_if(caller, call, &|| true).await
}

pub(super) async fn send_if(caller: &Caller, call: &Call, may_send: &dyn Fn() -> bool) -> WriteFate {
    match caller.call_if::<WriteAnswer>(call, may_send).await {
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

/// What a refusal is about. The API refuses a whole batch because of one bad member, and does not name that member.
fn concern(method: &Method, error: &ApiError) -> Concern {
    /// Parts of messages that concern the group, in lower case.
    const ABOUT_THE_GROUP: [&str; 2] = ["scim", "policy validation"];
    let about_the_group = error.messages().iter().any(|message| {
        let message = message.message.to_lowercase();
        ABOUT_THE_GROUP.iter().any(|part| message.contains(part))
    });
    match error.kind() {
        ApiErrorKind::Refused if !about_the_group => Concern::Member,
        // A DELETE names one member. The answer means that this member is not in the group.
        ApiErrorKind::NotFound if *method == Method::DELETE => Concern::Member,
        _ => Concern::Group,
    }
}
