//! `prune`: deletes entries from the files that ended long ago.

use clap::Args;
use jiff::SignedDuration;

use super::edit::EditArgs;
use super::{Exit, Failure, Output, edit};
use crate::config::{EditRequest, Prune, parse_age};

pub const EXAMPLES: &str = "\
Examples:
  convoke prune --dry-run
  convoke prune --older-than 90d

Edits the files offline. Ended entries of additive groups stay: without them, convoke would not
remove the access.";

#[derive(Clone, Debug, Args)]
pub struct PruneArgs {
    /// Delete entries that ended longer ago than this, such as 12h, 30d or 8w
    #[arg(long, value_name = "DURATION", default_value = "30d", value_parser = parse_age)]
    pub older_than: SignedDuration,
    #[command(flatten)]
    pub edit: EditArgs,
}

pub fn run(args: &PruneArgs, output: &mut Output) -> Result<Exit, Failure> {
    edit::run(&EditRequest::Prune(Prune { older_than: args.older_than }), &args.edit, output)
}
