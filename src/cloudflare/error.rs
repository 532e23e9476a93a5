//! Errors of API operations. Callers branch on the kind; the HTTP status is for people.

use std::fmt;
use std::time::Duration;

use super::envelope::ApiMessage;
use super::wire::ApiOperation;
use crate::model::GroupRef;

/// The kind of a failure, for callers to branch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ApiErrorKind {
    /// No connection could be made.
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
    /// What the user can do about it.
    const fn help(self) -> &'static str {
        match self {
            Self::Unreachable => "check the network, the proxy settings and the API's address (--api-url)",
            Self::Interrupted | Self::ServerFault => {
                "try again later, or allow more time with --max-wait; https://www.cloudflarestatus.com reports outages"
            }
            Self::TimedOut => "try again, or allow a request more time with --timeout",
            Self::RateLimited => {
                "run the command again when the limit has passed, or allow a longer wait with --max-wait; \
                 other programs and the dashboard share the limit of the token's user"
            }
            Self::Malformed => {
                "check the API's address (--api-url), which usually ends in /client/v4, and any proxy on the way to it"
            }
            Self::Stopped => "run again",
            Self::Incomplete => "try again when nobody is changing the account; the incomplete reading was not used",
            Self::Credentials => {
                "check that the token is active and belongs to this account, that the account id is correct, and that the \
                 token has \"Account Settings Read\" (to plan) or \"Account Settings Write\" or \"SCIM Provisioning\" (to apply)"
            }
            Self::NotFound => {
                "check the account's id, that the group still exists, and that the API's address (--api-url) ends in \
                 /client/v4"
            }
            Self::Redirected => "use the API's final URL (--api-url): redirects are not followed",
            Self::Refused | Self::NotAllowed => {
                "see the API's message; a group synchronized by SCIM cannot be changed (use mode: observe)"
            }
        }
    }
}

impl fmt::Display for ApiErrorKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Unreachable => "no connection to the API",
            Self::Interrupted => "the connection broke before the answer was complete",
            Self::TimedOut => "no answer in time",
            Self::RateLimited => "the API's rate limit is reached",
            Self::ServerFault => "the API failed",
            Self::Malformed => "the answer does not match the API's documentation",
            Self::Stopped => "stopped before it was sent",
            Self::Incomplete => "the list contradicts itself or is incomplete",
            Self::Credentials => "the credentials are refused or do not allow this",
            Self::NotFound => "not found",
            Self::Redirected => "the API's URL redirects to another address",
            Self::Refused => "the API refused",
            Self::NotAllowed => "the API does not allow this",
        })
    }
}

/// A failed operation. Its text is safe to show and never contains credentials.
#[derive(Clone, Debug)]
pub struct ApiError(Box<ErrorParts>);

#[derive(Clone, Debug)]
pub(super) struct ErrorParts {
    pub operation: ApiOperation,
    pub group: Option<GroupRef>,
    pub kind: ApiErrorKind,
    pub status: Option<u16>,
    pub messages: Vec<ApiMessage>,
    /// Further details, safe to show.
    pub detail: Option<String>,
    pub ray: Option<String>,
    pub attempts: u32,
    pub retry_in: Option<Duration>,
    /// A retry cannot help.
    pub lasting: bool,
}

impl ApiError {
    /// Converts the failure of a page into the failure of the list, after all readings.
    pub(super) fn into_incomplete(mut self, reads: u32) -> Self {
        self.0.kind = ApiErrorKind::Incomplete;
        self.0.attempts = reads;
        self
    }

    /// Whether the credentials may be the reason. A change refused with 403 may also concern only its group.
    #[must_use]
    pub fn may_concern_credentials(&self) -> bool {
        self.0.kind == ApiErrorKind::Credentials || self.0.status == Some(403)
    }

    pub(super) fn is_lasting(&self) -> bool {
        self.0.lasting
    }

    #[must_use]
    pub fn operation(&self) -> ApiOperation {
        self.0.operation
    }

    #[must_use]
    pub fn group(&self) -> Option<&GroupRef> {
        self.0.group.as_ref()
    }

    #[must_use]
    pub fn kind(&self) -> ApiErrorKind {
        self.0.kind
    }

    #[must_use]
    pub fn status(&self) -> Option<u16> {
        self.0.status
    }

    #[must_use]
    pub fn messages(&self) -> &[ApiMessage] {
        &self.0.messages
    }

    /// Further details, safe to show.
    #[must_use]
    pub fn detail(&self) -> Option<&str> {
        self.0.detail.as_deref()
    }

    /// The `cf-ray` of the last answer.
    #[must_use]
    pub fn ray(&self) -> Option<&str> {
        self.0.ray.as_deref()
    }

    /// The number of attempts.
    #[must_use]
    pub fn attempts(&self) -> u32 {
        self.0.attempts
    }

    #[must_use]
    pub fn help(&self) -> &'static str {
        self.0.kind.help()
    }

    /// The cause without the operation, for reports that name the operation and the group themselves.
    #[must_use]
    pub fn reason(&self) -> String {
        self.0.reason()
    }
}

impl From<ErrorParts> for ApiError {
    fn from(report: ErrorParts) -> Self {
        Self(Box::new(report))
    }
}

impl ErrorParts {
    fn reason(&self) -> String {
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
        let mut facts = Vec::new();
        facts.extend(self.status.map(|status| format!("status {status}")));
        facts.extend(self.ray.as_ref().map(|ray| format!("cf-ray {ray}")));
        facts.extend((self.attempts > 1).then(|| format!("{} attempts", self.attempts)));
        if !facts.is_empty() {
            reason.push_str(&format!(" [{}]", facts.join(", ")));
        }
        reason
    }
}

impl fmt::Display for ApiError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.0.operation)?;
        if let Some(group) = &self.0.group {
            let link = match self.0.operation {
                ApiOperation::AddMembers(_) => "to",
                ApiOperation::RemoveMember(_) => "from",
                _ => "of",
            };
            write!(f, " {link} {group}")?;
        }
        write!(f, ": {}", self.0.reason())
    }
}

impl std::error::Error for ApiError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_names_operation_place_cause_and_attempts() {
        let error = ApiError::from(ErrorParts {
            operation: ApiOperation::ListGroupMembers,
            group: Some(GroupRef {
                id: "6d7f2f5f5b1d4a0e9081fdc98d432fd1".parse().unwrap(),
                name: "Ad\u{1b}mins".into(),
            }),
            kind: ApiErrorKind::Credentials,
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
        });
        insta::assert_snapshot!(error, @r#"cannot list the members of group "Ad\u{1b}mins" (6d7f2f5f5b1d4a0e9081fdc98d432fd1): the credentials are refused or do not allow this: Unauthorized (code 9109, at /0/id, see https://developers.cloudflare.com/x) [status 403, cf-ray 8a1, 3 attempts]"#);
    }
}
