//! The failure of a command, as JSON.

use serde::Serialize;

use crate::cloudflare::ApiError;
use crate::config::Problem;
use crate::model::RunStatus;

pub const FORMAT_VERSION: u32 = 1;

#[derive(Clone, Debug, Serialize)]
pub struct Failed<'a> {
    pub format_version: u32,
    pub status: RunStatus,
    pub exit_code: u8,
    pub error: String,
    /// The remedy.
    pub help: Option<&'a str>,
    /// The problems of the files, if they are the reason.
    pub problems: Vec<&'a Problem>,
    /// The failed request to the API, if there is one.
    pub api: Option<&'a ApiError>,
    /// The requests sent to the API; null if the command failed before it could send any.
    pub requests: Option<u64>,
}
