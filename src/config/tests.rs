//! Tests from files to declarations, or to problems.

mod accepted;
pub(super) mod arbitrary;
mod hostile;
mod rendered;
mod rendered_entries;
mod rendered_files;
mod schema;

use super::{Problems, Source, parse};
use crate::model::{Desired, DesiredGroup, DesiredMember, GroupName};

/// Reads one file.
fn parse_one(text: &str) -> Result<Desired, Problems> {
    parse_all(&[("convoke.yaml", text)])
}

fn parse_all(files: &[(&str, &str)]) -> Result<Desired, Problems> {
    parse(&sources(files))
}

pub(super) fn sources(files: &[(&str, &str)]) -> Vec<Source> {
    files.iter().map(|(path, text)| Source { path: (*path).into(), bytes: (*text).into() }).collect()
}

/// The problems of one file, as shown.
fn problems(text: &str) -> String {
    parse_one(text).unwrap_err().to_string()
}

/// The problems of a group's list, as shown.
fn entry_problems(entries: &str) -> String {
    problems(&format!("version: 1\ngroups:\n  Ops:\n    members:{entries}"))
}

/// The problems, one line each.
fn summary(text: &str) -> Vec<String> {
    let line = |problem: &super::Problem| {
        let position = problem.position.map_or(String::new(), |at| format!("{}:{} ", at.line, at.column));
        format!("{position}{}", problem.message)
    };
    parse_one(text).unwrap_err().iter().map(line).collect()
}

fn group<'d>(desired: &'d Desired, name: &str) -> &'d DesiredGroup {
    &desired.groups[&GroupName::from(name)]
}

/// The people of a group, with their places and rosters.
fn members(desired: &Desired, name: &str) -> Vec<String> {
    let describe = |member: &DesiredMember| {
        let via = member.via.iter().flat_map(|via| via.iter());
        let via: String = via.map(|used| format!(" via {} at {}", used.roster, used.origin)).collect();
        format!("{} at {}{via}", member.person, member.origin)
    };
    group(desired, name).members.iter().map(describe).collect()
}
