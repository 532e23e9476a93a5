//! The failure of a command, as JSON.

use serde::Serialize;

use crate::config::Problem;
use crate::model::{GroupRef, RunStatus};

/// The version of the format.
pub const FORMAT_VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize)]
pub struct Failed<'a> {
    pub format_version: u32,
    pub status: RunStatus,
    pub exit_code: u8,
    /// The error with its causes.
    pub error: String,
    /// The remedy.
    pub help: Option<&'a str>,
    /// The problems of the files, if they are the reason.
    pub problems: Vec<&'a Problem>,
    /// The failed request to the API, if there is one.
    pub api: Option<FailedRequest<'a>>,
    /// The requests sent to the API; null if the command failed before it could send any.
    pub requests: Option<u64>,
}

/// A request to the API that failed.
#[derive(Clone, Debug, Serialize)]
pub struct FailedRequest<'a> {
    /// The operation, such as `list_group_members`.
    pub operation: &'static str,
    /// The group of the operation.
    pub group: Option<&'a GroupRef>,
    /// The HTTP status of the last answer; null if there was none.
    pub status: Option<u16>,
    /// The API's code for the error; null if there is none.
    pub code: Option<i64>,
    /// The API's message, or else the error.
    pub message: String,
    /// The `cf-ray` of the last answer, for Cloudflare's support.
    pub ray: Option<&'a str>,
    pub attempts: u32,
}
