//! How a command ends.

use std::fmt;

use crate::cloudflare::{ApiError, ApiErrorKind};
use crate::config::Problems;
use crate::model::RunStatus;
use crate::render::{FAILURE_VERSION, Failed};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    Done = 0,
    Other = 1,
    Differences = 2,
    Refused = 3,
    Stale = 4,
    Partial = 5,
    Usage = 64,
    Data = 65,
    Unavailable = 69,
    Credentials = 77,
    Interrupted = 130,
}

impl Exit {
    /// Every exit code with its meaning, and what the manual page and the README add to it. The help shows only the
    /// meaning.
    pub const MEANINGS: [(Self, &'static str, &'static str); 11] = [
        (Self::Done, "done", "; in sync, or a plan was made"),
        (Self::Other, "any other failure", ", for example of a side output such as the journal's end"),
        (Self::Differences, "differences", " (drift, plan --detailed-exitcode)"),
        (
            Self::Refused,
            "refused by a guard, or blocked",
            " (plan, drift, undo): something declared cannot be applied; nothing was changed",
        ),
        (Self::Stale, "stale: not the plan that was reviewed", "; nothing was changed"),
        (
            Self::Partial,
            "applied in part",
            ", or a changed group is not at its target; the report says what and why (none after a second Ctrl-C)",
        ),
        (Self::Usage, "the command line is wrong", ""),
        (
            Self::Data,
            "a file is wrong, or an edit of it was refused",
            "; or the account is not named, named twice or not found",
        ),
        (Self::Unavailable, "the API cannot be reached or misbehaves", ""),
        (Self::Credentials, "the credentials were refused", ""),
        (Self::Interrupted, "interrupted before the first write", ""),
    ];

    pub const fn code(self) -> u8 {
        self as u8
    }
}

#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    pub error: anyhow::Error,
    pub help: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), help: None }
    }

    /// A failure with its cause. `context` says what could not be done.
    pub fn caused(exit: Exit, context: impl Into<String>, error: impl Into<anyhow::Error>) -> Self {
        Self::new(exit, error.into().context(context.into()))
    }

    pub fn message(exit: Exit, message: impl fmt::Display) -> Self {
        Self::new(exit, anyhow::anyhow!("{message}"))
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }

    /// The problems of the files, if they are the reason.
    pub fn problems(&self) -> Option<&Problems> {
        self.error.downcast_ref()
    }

    /// The document of the failure, after so many requests if any could be sent.
    pub fn failed(&self, requests: Option<u64>) -> Failed<'_> {
        let problems: Vec<_> = self.problems().into_iter().flat_map(Problems::iter).collect();
        Failed {
            format_version: FAILURE_VERSION,
            status: RunStatus::Failed,
            exit_code: self.exit.code(),
            error: if problems.is_empty() { self.to_string() } else { "the files are wrong".into() },
            help: self.help.as_deref(),
            problems,
            api: self.error.downcast_ref(),
            requests,
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<Problems> for Failure {
    fn from(problems: Problems) -> Self {
        Self::new(Exit::Data, problems)
    }
}

impl From<ApiError> for Failure {
    fn from(error: ApiError) -> Self {
        let exit = match error.kind {
            ApiErrorKind::Credentials => Exit::Credentials,
            ApiErrorKind::NotFound => Exit::Data,
            _ => Exit::Unavailable,
        };
        let help = error.help();
        Self::new(exit, error).with_help(help)
    }
}
