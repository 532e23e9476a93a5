//! Converts values into bytes: plans and reports with one file for each format, other documents with one file each.
//!
//! Names, addresses and messages are external text. Everything that is shown here passes through [`escape`].

pub mod edit;
pub mod escape;
pub mod github;
mod html;
pub mod markdown;
pub mod metrics;
pub mod review;
mod sections;
pub mod text;
pub mod view;
pub mod why;
mod words;

pub use escape::{clean, shell_word};
pub use words::summary;

use serde::Serialize;

use crate::cloudflare::ApiError;
use crate::config::Problem;
use crate::model::RunStatus;

/// The formats of a result. `commands/show.rs` knows how each document is shown in each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For a person at a terminal
    #[default]
    Text,
    /// For a comment on a pull request
    Markdown,
    /// For programs
    Json,
    /// For a workflow of GitHub Actions: annotations, a job summary and the text
    Github,
}

/// Writes the value as indented JSON with a line end, without keeping the text in memory: the text of a large plan is
/// several times as large as the plan.
///
/// # Errors
///
/// If it cannot be written, or the value cannot be JSON. The documents of this crate always can.
pub fn json(mut to: impl std::io::Write, value: &impl serde::Serialize) -> std::io::Result<()> {
    serde_json::to_writer_pretty(&mut to, value)?;
    to.write_all(b"\n")
}

/// "1 group", "2 groups".
pub fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}

/// The version of the JSON of a failure.
pub const FAILURE_VERSION: u32 = 1;

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
