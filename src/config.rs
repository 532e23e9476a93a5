//! Reads the files: YAML becomes [`Desired`], or a list of all problems.
//!
//! Each file is read as a tree in which every node has its place (`node`). The tree is turned into what the file
//! declares (`file`, with `entry` and `reader`), and the files are merged and their rosters expanded (`merge`). No step
//! stops at a mistake: all problems go to one report (`problem`). What the files declare is then checked against the
//! groups' rules (`rules`). Only `load` touches the file system.

mod edit;
mod entry;
pub mod export;
mod file;
mod load;
mod merge;
mod node;
mod problem;
mod reader;
mod rules;

#[cfg(test)]
mod tests;

pub use edit::{
    EditError, EditRequest, Edited, Grant, ListAction, ListChange, ListName, Prune, Rename, Revoke, Sort, Spell,
    Unchanged, Uncompared, When, edit, parse_age,
};
pub use load::{
    found, holds_files, is_hidden, is_yaml, load, load_checked, load_with_sources, read_regular, read_sources,
};
pub use problem::{Problem, Problems};
pub use rules::{Breach, BreachKey, breaches, check_rules};

use jiff::Timestamp;

use crate::model::{Desired, Mode, is_invisible, kept_ends};
use entry::Numbers;
use problem::{ProblemReport, quoted, settle};

/// The maximum size of a file: enough for a million members.
pub const LARGEST_FILE: usize = 64 << 20;

/// The JSON Schema of the files, for editors. It describes what the reader accepts, as far as a schema can. It is
/// written by hand, because the reader has no types for the shape of the files: it continues after a mistake.
pub const SCHEMA: &str = include_str!("../schemas/config.schema.json");

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
    parse_into(ProblemReport::default(), sources)
}

/// Reads and merges files. Where the report already has problems, a file is missing.
fn parse_into(mut report: ProblemReport, sources: &[Source]) -> Result<Desired, Problems> {
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
pub fn warnings(desired: &Desired, sources: &[Source], time: Timestamp) -> Vec<Problem> {
    let unused = desired.unused_rosters.iter().map(|(name, origin)| {
        let message = format!("roster {} is not used by any group", quoted(name));
        Problem::at(origin, message).help(format!("use it in a group with `- roster: {name}`, or remove it"))
    });
    let invisible = desired.groups.iter().filter_map(|(name, group)| {
        let odd = name.as_str().chars().find(|c| is_invisible(*c))?;
        let message = format!(
            "the name of group {} contains the invisible character U+{:04X}",
            quoted(name.as_str()),
            u32::from(odd)
        );
        Some(
            Problem::at(&group.origin, message)
                .help("check that the group in the account has it too; better change both"),
        )
    });
    let ends = kept_ends(desired, |_| true, time, Timestamp::MAX);
    let ends = ends.into_iter().map(|(origin, message, help)| Problem::at(&origin, message).help(help));
    settle(unused.chain(invisible).chain(empty_groups(desired)).chain(ends).collect(), sources)
}

/// Groups without anybody that a plan may not empty.
fn empty_groups(desired: &Desired) -> impl Iterator<Item = Problem> {
    let empty = desired
        .groups
        .iter()
        .filter(|(_, group)| group.members.is_empty() && group.mode == Mode::Exact && !group.allow_empty.value);
    empty.map(|(name, group)| {
        let message = format!("group {} has no members, and a plan that empties it is refused", quoted(name.as_str()));
        Problem::at(&group.members_origin, message).help("list its people, or add `allow_empty: true`")
    })
}
