//! Reads the files: YAML becomes [`Desired`], or a list of all that is wrong with it.
//!
//! Each file is read as a tree in which everything knows its place (`node`); the tree is walked into what the file
//! declares (`file`, with `entry`, `time` and `value`); and what all files declare is merged (`merge`,
//! `rosters`). No step stops at a mistake: whatever is wrong goes to one report. Only [`load`] touches the file
//! system.

mod edit;
mod entry;
mod file;
mod keys;
mod load;
mod merge;
mod nearest;
mod node;
mod problem;
mod reader;
mod rosters;
mod schema;
mod time;
mod value;

#[cfg(test)]
mod tests;

pub use edit::{
    EditError, EditRequest, Edited, Grant, ListAction, ListChange, ListName, Prune, Revoke, Spell, Unchanged, Uncompared, When,
    edit, parse_age,
};
pub use load::{load, load_with_sources, read_regular};
pub use problem::{Position, Problem, Problems};
pub use schema::schema;

use crate::model::Desired;
use problem::Report;

/// The most bytes of a file that is read: a million members with room to spare.
const LARGEST_FILE: usize = 64 << 20;

/// A file's content.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as it is shown, with `/` between its parts.
    pub path: String,
    /// The bytes.
    pub bytes: Vec<u8>,
}

/// Reads and merges files.
///
/// # Errors
/// If anything is wrong with any of them: all of it.
pub fn parse(sources: &[Source]) -> Result<Desired, Problems> {
    parse_into(Report::default(), sources)
}

/// Reads and merges files; where the report already holds problems, some file could not be had at all.
fn parse_into(mut report: Report, sources: &[Source]) -> Result<Desired, Problems> {
    let all_there = report.len() == 0;
    let declared = sources.iter().map(|source| file::read(source, &mut report)).collect();
    let desired = merge::merge(declared, all_there, &mut report);
    report.finish(sources)?;
    Ok(desired)
}
