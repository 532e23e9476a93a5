//! The summary of a job that GitHub Actions shows: Markdown appended to a file that the environment names.

use std::fs::OpenOptions;
use std::io::{self, Write as _};

use super::Output;

/// Appends to the summary, where there is one. A summary that cannot be written costs nobody their result.
pub fn append(markdown: &str, output: &mut Output) {
    let Some(path) = std::env::var_os("GITHUB_STEP_SUMMARY").filter(|path| !path.is_empty()) else { return };
    let append = || -> io::Result<()> {
        let mut file = OpenOptions::new().append(true).create(true).open(&path)?;
        file.write_all(markdown.as_bytes())?;
        file.write_all(b"\n")
    };
    if let Err(error) = append() {
        output.warn(&format!("the job summary cannot be written: {error}"));
    }
}
