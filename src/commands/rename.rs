//! `rename`: replaces an address or id of a person by another in all files.

use clap::Args;

use super::edit::{self, EditArgs};
use super::{Exit, Failure, Output};
use crate::config::{EditRequest, Rename};
use crate::model::PersonRef;

pub const EXAMPLES: &str = "\
Examples:
  convoke rename ann@example.com ann.lee@example.com
  convoke rename ann@example.com 4f5f0c14a2a41d5063dd301b2f829f04 --dry-run

Edits the files offline: the account is not touched. All groups, rosters, owners and the setting
`protected` are edited. Sorted lists stay sorted. If a list has both people, their entries are
joined as `grant` would.";

#[derive(Clone, Debug, Args)]
pub struct RenameArgs {
    /// The person as the files name them: an email address, or an account member's id
    #[arg(value_name = "OLD", value_parser = parse_person)]
    pub old: PersonRef,
    /// The address or id to write instead
    #[arg(value_name = "NEW", value_parser = parse_person)]
    pub new: PersonRef,
    #[command(flatten)]
    pub edit: EditArgs,
}

fn parse_person(text: &str) -> Result<PersonRef, String> {
    edit::parse_person(text).map_err(|error| format!("`rename` renames people, not groups or rosters; {error}"))
}

pub fn run(args: &RenameArgs, output: &mut Output) -> Result<Exit, Failure> {
    let request = EditRequest::Rename(Rename { old: args.old.clone(), new: args.new.clone() });
    edit::run(&request, &args.edit, output)
}
