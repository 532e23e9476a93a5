//! What GitHub Actions takes from a step by files that the environment names: the summary of the job, and outputs.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use super::Output;
use crate::model::RunStatus;
use crate::plan::Digest;

/// Appends to the summary, where there is one. A summary that cannot be written costs nobody their result.
pub fn append(markdown: &str, output: &mut Output) {
    if let Err(error) = append_to("GITHUB_STEP_SUMMARY", markdown) {
        output.warn(&format!("the job summary cannot be written: {error}"));
    }
}

/// Sets the outputs `status` and `digest` of the step, where it can have outputs.
pub fn set_outputs(status: RunStatus, digest: Option<Digest>, output: &mut Output) {
    let status = serde_json::to_value(status).unwrap_or_default();
    let mut lines = format!("status={}", status.as_str().unwrap_or_default());
    if let Some(digest) = digest {
        lines.push_str(&format!("\ndigest={digest}"));
    }
    if let Err(error) = append_to("GITHUB_OUTPUT", &lines) {
        output.warn(&format!("the outputs of the step cannot be written: {error}"));
    }
}

/// Appends lines to the file that a variable names, if it names one.
fn append_to(variable: &str, lines: &str) -> io::Result<()> {
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()) else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
    file.write_all(lines.as_bytes())?;
    file.write_all(b"\n")
}
