//! `prune`: deletes entries from the files that ended long ago.

use super::{Exit, Failure, Output, edit};
use crate::cli::PruneArgs;
use crate::config::{EditRequest, Prune};

pub fn run(args: &PruneArgs, output: &mut Output) -> Result<Exit, Failure> {
    edit::run(&EditRequest::Prune(Prune { older_than: args.older_than }), &args.edit, output)
}
