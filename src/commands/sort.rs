//! `sort`: sorts the addresses of every list in the files.

use clap::Args;

use super::edit::{self, EditArgs};
use super::{Exit, Failure, Output};
use crate::config::{EditRequest, Sort};

pub const EXAMPLES: &str = "\
Examples:
  convoke sort
  convoke sort --check

Edits the files offline. Addresses are sorted without regard to letter case, in groups and rosters.
Entries by id and uses of rosters keep their places. Comment lines directly above an entry move with it.";

#[derive(Clone, Debug, Args)]
pub struct SortArgs {
    /// Write nothing; exit with 65 and the lines that are out of order
    #[arg(long)]
    pub check: bool,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn run(args: &SortArgs, output: &mut Output) -> Result<Exit, Failure> {
    edit::run(&EditRequest::Sort(Sort { check: args.check }), &args.edit, output)
}
