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
    EditError, EditRequest, Edited, Grant, ListAction, ListChange, ListName, Revoke, Spell, Unchanged, Uncompared,
    When, edit, parse_age,
};
pub use load::{
    found, holds_files, is_hidden, is_yaml, load, load_checked, load_with_sources, read_regular, read_sources,
    reads_below,
};
pub use problem::{Problem, Problems};
pub use rules::check_rules;

use std::collections::BTreeSet;

use jiff::Timestamp;

use crate::model::{Desired, DesiredGroup, GroupName, Mode, PersonRef, is_invisible, kept_ends};
use problem::{quoted, settle};

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
    parse_into(Problems::default(), sources)
}

/// Reads and merges files. Where the report already has problems, a file is missing.
fn parse_into(mut report: Problems, sources: &[Source]) -> Result<Desired, Problems> {
    let all_there = report.len() == 0;
    let declared = sources.iter().map(|source| file::read(source, &mut report)).collect();
    let desired = merge::merge(declared, all_there, &mut report);
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
        let (name, odd) = (quoted(name.as_str()), u32::from(odd));
        let message = format!("the name of group {name} contains the invisible character U+{odd:04X}");
        let help = "check that the group in the account has it too; better change both";
        Some(Problem::at(&group.origin, message).help(help))
    });
    let ends = kept_ends(desired, |_| true, time, Timestamp::MAX);
    let ends = ends.into_iter().map(|(origin, message, help)| Problem::at(&origin, message).help(help));
    let few = desired.groups.iter().filter_map(|(name, group)| too_few(name, group, time));
    settle(unused.chain(invisible).chain(few).chain(ends).collect(), sources)
}

/// The warning that a group has fewer people now than a plan may leave.
fn too_few(name: &GroupName, group: &DesiredGroup, time: Timestamp) -> Option<Problem> {
    let name = quoted(name.as_str());
    let people: BTreeSet<&PersonRef> =
        group.members.iter().filter(|entry| entry.belongs_at(time)).map(|entry| &entry.person).collect();
    let least = group.min_members.as_ref().filter(|least| (people.len() as u64) < least.value);
    let (message, help) = match least {
        // Of other groups the list is not complete.
        _ if group.mode != Mode::Exact => return None,
        None if group.allow_empty.value || !people.is_empty() => return None,
        None => (
            format!("group {name} has no members now, and a plan that empties it is refused"),
            "list its people, correct their times, or add `allow_empty: true`",
        ),
        Some(least) => (
            format!("group {name} has fewer people now ({}) than `min_members` ({})", people.len(), least.value),
            "list more people, or lower `min_members`",
        ),
    };
    let origin = least.and_then(|least| least.origin.as_ref()).unwrap_or(&group.members_origin);
    Some(Problem::at(origin, message).help(help))
}
