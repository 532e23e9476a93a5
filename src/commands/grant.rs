//! `grant`: adds a person to groups or rosters in the files.

use super::{Exit, Failure, Output, edit};
use crate::cli::GrantArgs;
use crate::config::{EditRequest, Grant};

pub fn run(args: &GrantArgs, output: &mut Output) -> Result<Exit, Failure> {
    let request = EditRequest::Grant(Grant {
        person: args.person.clone(),
        lists: args.lists(),
        from: args.from.clone(),
        until: args.until.clone(),
        reason: args.reason.clone(),
    });
    edit::run(&request, &args.edit, output)
}
