//! Tests of the whole way from files to what they declare, or to what is wrong with them.

mod accepted;
mod rendered;

use super::{Problems, Source, parse};
use crate::model::Desired;

/// Reads one file.
fn parse_one(text: &str) -> Result<Desired, Problems> {
    parse_all(&[("convoke.yaml", text)])
}

fn parse_all(files: &[(&str, &str)]) -> Result<Desired, Problems> {
    let source = |&(path, text): &(&str, &str)| Source { path: path.into(), bytes: text.into() };
    parse(&files.iter().map(source).collect::<Vec<_>>())
}

/// What is wrong with one file, as it is shown.
fn problems(text: &str) -> String {
    parse_one(text).unwrap_err().to_string()
}
