//! Errors in a seed, with their positions.

use std::fmt;
use std::path::{Path, PathBuf};

use super::entry::SeedPlace;

#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    #[error("cannot read the seed {}", .path.display())]
    Unreadable { path: PathBuf, source: std::io::Error },
    #[error("the seed {} is larger than {most} bytes", .path.display())]
    TooLarge { path: PathBuf, most: u64 },
    #[error("{0}")]
    Invalid(Box<Invalid>),
}

/// An error in a seed's text.
#[derive(Debug)]
pub struct Invalid {
    pub path: PathBuf,
    pub place: Option<SeedPlace>,
    pub source_line: Option<String>,
    pub message: String,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, place, source_line, message } = self;
        write!(f, "{}:", path.display())?;
        if let Some(SeedPlace { line, column }) = place {
            write!(f, "{line}:{column}:")?;
        }
        write!(f, " {message}")?;
        if let (Some(SeedPlace { line, .. }), Some(source_line)) = (place, source_line) {
            write!(f, "\n  {line} | {source_line}")?;
        }
        Ok(())
    }
}

#[derive(Debug)]
pub(crate) struct SeedProblem {
    pub(crate) place: Option<SeedPlace>,
    pub(crate) message: String,
}

pub(crate) fn problem(place: Option<SeedPlace>, message: impl Into<String>) -> SeedProblem {
    SeedProblem { place, message: message.into() }
}

impl SeedError {
    pub(crate) fn from_yaml(path: &Path, text: &str, error: &serde_saphyr::Error) -> Self {
        let place = error.location().map(SeedPlace::from);
        let whole = error.without_snippet().render_with_formatter(&serde_saphyr::UserMessageFormatter);
        // The library may repeat the position at the end of its message.
        let said = place.and_then(|SeedPlace { line, column }| {
            let suffix = format!(" at line {line}, column {column}");
            whole.strip_suffix(&suffix).map(String::from)
        });
        Self::from_problem(path, text, problem(place, said.unwrap_or(whole)))
    }

    pub(crate) fn from_problem(path: &Path, text: &str, SeedProblem { place, message }: SeedProblem) -> Self {
        let source_line = place.and_then(|place| {
            let line = usize::try_from(place.line).ok()?.checked_sub(1)?;
            let shown = text.lines().nth(line)?.chars().filter(|c| !c.is_control()).take(160);
            Some(shown.collect())
        });
        Self::Invalid(Box::new(Invalid { path: path.into(), place, source_line, message }))
    }
}
