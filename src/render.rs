//! Converts values into bytes: plans and reports with one file for each format, other documents with one file each.
//!
//! Names, addresses and messages are external text. Everything that is shown here passes through [`escape`].

pub mod edit;
pub mod escape;
pub mod failure;
pub mod github;
pub mod json;
pub mod markdown;
pub mod metrics;
pub mod review;
pub mod text;
pub mod view;
pub mod why;
mod words;

pub use escape::clean;
pub use words::summary;

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

/// "1 group", "2 groups".
#[must_use]
pub fn counted(count: u64, noun: &str) -> String {
    match count {
        1 => format!("1 {noun}"),
        _ => format!("{count} {noun}s"),
    }
}
