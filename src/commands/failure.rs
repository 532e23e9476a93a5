//! How a command ends.

use std::fmt;

use crate::cloudflare::{ApiError, ApiErrorKind, BaseUrlError, ClientError};
use crate::config::Problems;
use crate::model::RunStatus;
use crate::render::failure::{FORMAT_VERSION, Failed, FailedRequest};

/// The exit codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// Done; in sync, or a plan was made.
    Done,
    /// Any other failure.
    Other,
    Differences,
    /// Refused by a guard, or the plan has something declared that cannot be applied. Nothing was changed.
    Refused,
    /// The account changed after the plan was made. Nothing was changed.
    Stale,
    Partial,
    /// The command line is wrong.
    Usage,
    /// A file is wrong.
    Data,
    /// The API cannot be reached, or misbehaves.
    Unavailable,
    Credentials,
    /// A signal came before any change was made.
    Interrupted,
}

impl Exit {
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Other => 1,
            Self::Differences => 2,
            Self::Refused => 3,
            Self::Stale => 4,
            Self::Partial => 5,
            Self::Usage => 64,
            Self::Data => 65,
            Self::Unavailable => 69,
            Self::Credentials => 77,
            Self::Interrupted => 130,
        }
    }
}

/// Why a command failed.
#[derive(Debug)]
pub struct Failure {
    pub exit: Exit,
    /// The error with its causes.
    pub error: anyhow::Error,
    /// The remedy.
    pub help: Option<String>,
}

impl Failure {
    pub fn new(exit: Exit, error: impl Into<anyhow::Error>) -> Self {
        Self { exit, error: error.into(), help: None }
    }

    /// A failure of the system, with what could not be done.
    pub fn system(context: &'static str, error: std::io::Error) -> Self {
        Self::new(Exit::Other, anyhow::Error::new(error).context(context))
    }

    pub fn message(exit: Exit, message: impl fmt::Display) -> Self {
        Self::new(exit, anyhow::anyhow!("{message}"))
    }

    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.help = Some(help.into());
        self
    }
}

impl Failure {
    /// The problems of the files, if they are the reason.
    #[must_use]
    pub fn problems(&self) -> Option<&Problems> {
        self.error.downcast_ref()
    }

    #[must_use]
    pub fn failed(&self) -> Failed<'_> {
        let problems: Vec<_> = self.problems().into_iter().flatten().collect();
        Failed {
            format_version: FORMAT_VERSION,
            status: if self.exit == Exit::Stale { RunStatus::Stale } else { RunStatus::Failed },
            exit_code: self.exit.code(),
            error: if problems.is_empty() { self.to_string() } else { "the files are wrong".into() },
            help: self.help.as_deref(),
            problems,
            api: self.error.downcast_ref().map(failed_request),
            requests: None,
        }
    }
}

fn failed_request(error: &ApiError) -> FailedRequest<'_> {
    let said = error.messages().first();
    let unsaid = || error.detail().map_or_else(|| error.kind().to_string(), String::from);
    FailedRequest {
        operation: error.operation().name(),
        group: error.group(),
        status: error.status(),
        code: said.map(|said| said.code).filter(|code| *code != 0),
        message: said.map_or_else(unsaid, |said| said.message.clone()),
        ray: error.ray(),
        attempts: error.attempts(),
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
        let exit = match error.kind() {
            ApiErrorKind::Credentials => Exit::Credentials,
            ApiErrorKind::NotFound => Exit::Data,
            _ => Exit::Unavailable,
        };
        let help = error.help();
        Self::new(exit, error).with_help(help)
    }
}

impl From<BaseUrlError> for Failure {
    fn from(error: BaseUrlError) -> Self {
        let error = anyhow::Error::new(error).context("the API's URL cannot be used");
        Self::new(Exit::Usage, error).with_help("check --api-url and CLOUDFLARE_BASE_URL")
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let exit = match error {
            ClientError::NoCredential(_) | ClientError::OddCredential(_) => Exit::Credentials,
            ClientError::Setup(_) => Exit::Other,
        };
        Self::new(exit, error)
    }
}
