//! The environment of a GitHub Actions step: where the files are on the web, and where the summary and the outputs
//! are written.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use super::Output;
use crate::model::RunStatus;
use crate::plan::Digest;
use crate::render::view::Repository;

/// The repository and commit of the job, so that places can be links.
pub fn repository() -> Option<Repository> {
    let text = |name| variable(name)?.into_string().ok();
    let server = text("GITHUB_SERVER_URL")?;
    let (name, commit) = (text("GITHUB_REPOSITORY")?, text("GITHUB_SHA")?);
    let harmless = |c: char| c.is_ascii_alphanumeric() || "-._~:/".contains(c);
    let blob = format!("{}/{name}/blob/{commit}", server.trim_end_matches('/'));
    let is_address = blob.starts_with("https://") || blob.starts_with("http://");
    (is_address && blob.chars().all(harmless)).then(|| Repository { blob, folder: folder().unwrap_or_default() })
}

/// The current folder, relative to the root of the checkout.
fn folder() -> Option<String> {
    let root = Path::new(&variable("GITHUB_WORKSPACE")?).canonicalize().ok()?;
    let here = std::env::current_dir().ok()?.canonicalize().ok()?;
    Some(here.strip_prefix(root).ok()?.to_str()?.replace('\\', "/"))
}

/// Appends to the job summary, if there is one. A summary that cannot be written does not affect the result.
pub fn append_summary(markdown: &str, output: &mut Output) {
    if let Err(error) = append_to("GITHUB_STEP_SUMMARY", markdown) {
        output.warn(&format!("the job summary cannot be written: {error}"));
    }
}

/// Sets the outputs `status` and `digest` of the step, if it can have outputs.
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

/// Appends lines to the file named by a variable, if it is set.
fn append_to(name: &str, lines: &str) -> io::Result<()> {
    let Some(path) = variable(name) else { return Ok(()) };
    let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
    file.write_all(lines.as_bytes())?;
    file.write_all(b"\n")
}

fn variable(name: &str) -> Option<OsString> {
    std::env::var_os(name).filter(|value| !value.is_empty())
}
