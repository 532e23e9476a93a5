//! `revoke`: takes a person out of groups or rosters in the files.

use super::{Exit, Failure, Output, edit};
use crate::cli::RevokeArgs;
use crate::config::{EditRequest, Revoke};

pub fn run(args: &RevokeArgs, output: &mut Output) -> Result<Exit, Failure> {
    let lists = (!args.everywhere).then(|| args.lists());
    let request = EditRequest::Revoke(Revoke { person: args.person.clone(), lists, until: args.until.clone() });
    edit::run(&request, &args.edit, output)
}
