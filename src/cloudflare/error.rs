//! Errors of API operations. Callers branch on the kind and the fate; the HTTP status is for people.

use std::fmt;
use std::time::Duration;

use schemars::JsonSchema;
use serde::ser::SerializeStruct;
use serde::{Deserialize, Serialize, Serializer};

use super::wire::ApiOperation;
use crate::model::GroupRef;

/// The outcome of an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(rename = "Outcome")]
pub enum Fate {
    /// The API answered that it carried the operation out.
    Answered,
    /// The API refused it.
    Refused,
    /// It was certainly not carried out.
    NotSent,
    /// The answer was lost or proves nothing. The operation may or may not have been carried out.
    Unknown,
}

/// The kind of a failure, for callers to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiErrorKind {
    Unreachable,
    /// The connection broke before the answer was complete, or the answer was not HTTP.
    Interrupted,
    TimedOut,
    /// The API's rate limit does not allow the next request within the allowed wait.
    RateLimited,
    /// The API, or a proxy in front of it, failed.
    ServerFault,
    /// The answer contradicts itself or the API's documentation, or is too large. It proves nothing.
    Malformed,
    /// The run was stopped before the request was sent.
    Stopped,
    /// Every reading of the list contradicts itself or is incomplete.
    Incomplete,
    /// The credentials are refused, or do not allow this operation.
    Credentials,
    NotFound,
    /// The answer is a redirect. It is not followed, because it would send the credentials to another URL.
    Redirected,
    /// The API refused the request. It refuses a whole batch because of one bad member.
    Refused,
    /// The API does not allow the request here: a conflict, or a group that cannot be changed.
    NotAllowed,
}

impl ApiErrorKind {
    /// What happened, and what to do about it.
    const fn words(self) -> (&'static str, &'static str) {
        const LATER: &str =
            "try again later, or allow more time with --max-wait; https://www.cloudflarestatus.com reports outages";
        const REFUSED: &str =
            "see the API's message; a group synchronized by SCIM cannot be changed (use mode: observe)";
        match self {
            Self::Unreachable => {
                ("no connection to the API", "check the network, the proxy settings and the API's address (--api-url)")
            }
            Self::Interrupted => ("the connection broke before the answer was complete", LATER),
            Self::TimedOut => ("no answer in time", "try again, or allow a request more time with --timeout"),
            Self::RateLimited => (
                "the API's rate limit is reached",
                "run the command again when the limit has passed, or allow a longer wait with --max-wait; \
                 other programs and the dashboard share the limit of the token's user",
            ),
            Self::ServerFault => ("the API failed", LATER),
            Self::Malformed => (
                "the answer does not match the API's documentation",
                "check the API's address (--api-url), which usually ends in /client/v4, and any proxy on the way to it",
            ),
            Self::Stopped => ("interrupted before it was sent", "run again"),
            Self::Incomplete => (
                "the list contradicts itself or is incomplete",
                "try again when nobody is changing the account; the incomplete reading was not used",
            ),
            Self::Credentials => (
                "the credentials are refused or do not allow this",
                "check that the token is active and belongs to this account, that the account id is correct, and that the \
                 token has \"Account Settings Read\" (to plan) or \"Account Settings Write\" or \"SCIM Provisioning\" (to apply)",
            ),
            Self::NotFound => (
                "not found",
                "check the account's id, that the group still exists, and that the API's address (--api-url) ends in \
                 /client/v4",
            ),
            Self::Redirected => (
                "the API's URL redirects to another address",
                "use the API's final URL (--api-url): redirects are not followed",
            ),
            Self::Refused => ("the API refused", REFUSED),
            Self::NotAllowed => ("the API does not allow this", REFUSED),
        }
    }
}

impl fmt::Display for ApiErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.words().0)
    }
}

/// A message of the API, safe to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApiMessage {
    /// 0 if the message has no code.
    pub code: i64,
    pub message: String,
    /// The part of the request that the message is about.
    pub pointer: Option<String>,
    pub documentation_url: Option<String>,
}

impl fmt::Display for ApiMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (code {}", self.message, self.code)?;
        if let Some(pointer) = &self.pointer {
            write!(f, ", at {pointer}")?;
        }
        if let Some(url) = &self.documentation_url {
            write!(f, ", see {url}")?;
        }
        f.write_str(")")
    }
}

/// A failed operation. Its texts are safe to show and never contain credentials.
#[derive(Clone, Debug)]
pub struct ApiError {
    pub operation: ApiOperation,
    pub group: Option<GroupRef>,
    pub kind: ApiErrorKind,
    /// Whether a change may have been made all the same.
    pub fate: Fate,
    pub status: Option<u16>,
    pub messages: Vec<ApiMessage>,
    pub detail: Option<String>,
    pub ray: Option<String>,
    /// How often the request was sent, or a list was read.
    pub attempts: u32,
    /// When the next request would be allowed, if the answer or the rate limit says so.
    pub(super) retry_in: Option<Duration>,
    pub(super) lasting: bool,
}

impl ApiError {
    pub(super) fn with_detail(self, detail: String) -> Self {
        Self { detail: Some(detail), ..self }
    }

    /// Whether the credentials may be the reason. A change refused with 403 may also concern only its group.
    pub fn may_concern_credentials(&self) -> bool {
        self.kind == ApiErrorKind::Credentials || self.status == Some(403)
    }

    /// Whether the API answered, but refused or did not find what was asked for.
    pub const fn is_refusal(&self) -> bool {
        use ApiErrorKind as K;
        matches!(self.kind, K::Credentials | K::NotFound | K::Refused | K::NotAllowed)
    }

    /// Whether a refusal is about one member of the request, and the API may accept the others: it refuses a whole batch
    /// because of one, and does not name that member. Otherwise it is about the group or the credentials, and splitting
    /// the request cannot help.
    pub fn concerns_one_member(&self) -> bool {
        match self.kind {
            ApiErrorKind::Refused => !self.says("scim") && !self.says("policy validation"),
            // A DELETE names one member. The answer means that this member is not in the group.
            ApiErrorKind::NotFound => matches!(self.operation, ApiOperation::RemoveMember(_)),
            _ => false,
        }
    }

    /// Whether a message has this part, which is in lower case.
    pub fn says(&self, part: &str) -> bool {
        self.messages.iter().any(|message| message.message.to_lowercase().contains(part))
    }

    pub fn help(&self) -> &'static str {
        use ApiErrorKind as K;
        match self.kind {
            K::Refused | K::NotAllowed if !self.operation.is_write() => {
                "see the API's message, and check the account's id and the API's address (--api-url)"
            }
            _ => self.kind.words().1,
        }
    }

    /// The cause without the operation, for reports that name the operation and the group themselves.
    pub fn reason(&self) -> String {
        let mut reason = self.kind.to_string();
        if let Some(wait) = self.retry_in {
            reason.push_str(&format!(", the next request would be allowed in {} s", wait.as_secs_f64().ceil()));
        }
        for message in &self.messages {
            reason.push_str(&format!(": {message}"));
        }
        if let Some(detail) = &self.detail {
            reason.push_str(&format!(": {detail}"));
        }
        let status = self.status.map(|status| format!("status {status}"));
        let ray = self.ray.as_ref().map(|ray| format!("cf-ray {ray}"));
        let attempts = (self.attempts > 1).then(|| format!("{} attempts", self.attempts));
        let facts: Vec<String> = [status, ray, attempts].into_iter().flatten().collect();
        if !facts.is_empty() {
            reason.push_str(&format!(" [{}]", facts.join(", ")));
        }
        reason
    }
}

/// The failed request in the JSON document of a failure. Its message is the API's, or else the detail or the kind.
impl Serialize for ApiError {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let said = self.messages.first();
        let unsaid = || self.detail.clone().unwrap_or_else(|| self.kind.to_string());
        let mut request = serializer.serialize_struct("ApiError", 7)?;
        request.serialize_field("operation", self.operation.name())?;
        request.serialize_field("group", &self.group)?;
        request.serialize_field("status", &self.status)?;
        request.serialize_field("code", &said.map(|said| said.code).filter(|code| *code != 0))?;
        request.serialize_field("message", &said.map_or_else(unsaid, |said| said.message.clone()))?;
        request.serialize_field("ray", &self.ray)?;
        request.serialize_field("attempts", &self.attempts)?;
        request.end()
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.operation)?;
        if let Some(group) = &self.group {
            let link = match self.operation {
                ApiOperation::AddMembers(_) => "to",
                ApiOperation::RemoveMember(_) => "from",
                _ => "of",
            };
            write!(f, " {link} {group}")?;
        }
        write!(f, ": {}", self.reason())
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_operation_place_cause_and_attempts() {
        let error = ApiError {
            operation: ApiOperation::ListGroupMembers,
            group: Some(GroupRef {
                id: "6d7f2f5f5b1d4a0e9081fdc98d432fd1".parse().unwrap(),
                name: "Ad\u{1b}mins".into(),
            }),
            kind: ApiErrorKind::Credentials,
            fate: Fate::Refused,
            status: Some(403),
            messages: vec![ApiMessage {
                code: 9109,
                message: "Unauthorized".into(),
                pointer: Some("/0/id".into()),
                documentation_url: Some("https://developers.cloudflare.com/x".into()),
            }],
            detail: None,
            ray: Some("8a1".into()),
            attempts: 3,
            retry_in: None,
            lasting: false,
        };
        insta::assert_snapshot!(error, @r#"cannot list the members of group "Ad\u{1b}mins" (6d7f2f5f5b1d4a0e9081fdc98d432fd1): the credentials are refused or do not allow this: Unauthorized (code 9109, at /0/id, see https://developers.cloudflare.com/x) [status 403, cf-ray 8a1, 3 attempts]"#);
    }
}
