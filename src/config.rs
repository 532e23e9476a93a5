//! Reads the files: YAML becomes [`Desired`], or a list of all problems.
//!
//! Each file is read as a tree in which every node has its place (`node`). The tree is turned into what the file
//! declares (`file`, with `settings`, `group`, `entry`, `time` and `value`), and the files are merged (`merge`,
//! `rosters`). No step stops at a mistake: all problems go to one report. What the files declare is then checked
//! against the groups' rules (`rules`). Only `load` touches the file system.

mod edit;
mod entry;
pub mod export;
mod file;
mod group;
mod load;
mod merge;
mod nearest;
mod node;
mod numbers;
mod problem;
mod reader;
mod rosters;
mod rules;
mod schema;
mod settings;
mod time;
mod value;
mod yaml;

#[cfg(test)]
mod tests;

pub use edit::{
    EditError, EditRequest, Edited, Grant, ListAction, ListChange, ListName, Prune, Revoke, Spell, Unchanged,
    Uncompared, When, edit, parse_age,
};
pub use load::{
    found, holds_files, is_hidden, is_yaml, load, load_checked, load_with_sources, read_regular, read_sources,
};
pub use problem::{Position, Problem, Problems};
pub use rules::{Breach, BreachKey, breaches, check_rules};
pub use schema::schema;

use crate::model::Desired;
use numbers::Numbers;
use problem::{Report, quoted, settle};

/// The maximum size of a file: enough for a million members.
pub const LARGEST_FILE: usize = 64 << 20;

/// The content of a file.
#[derive(Clone, Debug)]
pub struct Source {
    /// The path as it is shown, with `/` between its parts.
    pub path: String,
    pub bytes: Vec<u8>,
}

/// Reads and merges files.
///
/// # Errors
/// All problems of all files. The groups' rules are not checked: see [`check_rules`].
pub fn parse(sources: &[Source]) -> Result<Desired, Problems> {
    parse_into(Report::default(), sources)
}

/// Reads and merges files. Where the report already has problems, a file is missing.
fn parse_into(mut report: Report, sources: &[Source]) -> Result<Desired, Problems> {
    let all_there = report.len() == 0;
    let mut numbers = Numbers::default();
    let declared = sources.iter().map(|source| file::read(source, &mut numbers, &mut report)).collect();
    let people = numbers.count();
    // The memory is needed for the result.
    drop(numbers);
    let desired = merge::merge(declared, all_there, people, &mut report);
    report.finish(sources)?;
    Ok(desired)
}

/// What is probably a mistake in the files but does no harm, with its source line.
#[must_use]
pub fn warnings(desired: &Desired, sources: &[Source]) -> Vec<Problem> {
    let unused = desired.unused_rosters.iter().map(|(name, origin)| {
        let message = format!("roster {} is not used by any group", quoted(name));
        Problem::at(origin, message).help(format!("use it in a group with `- roster: {name}`, or remove it"))
    });
    settle(unused.collect(), sources)
}
