//! `validate`: checks the files offline.

use super::{Exit, Failure, Output, session};
use crate::cli::{Format, ValidateArgs};
use crate::render::counted;
use crate::render::failure::ValidDocument;

pub fn run(args: &ValidateArgs, output: &mut Output) -> Result<Exit, Failure> {
    let desired = session::load(&args.files)?;
    session::account(args.account_id, &desired)?;
    let groups = desired.groups.len() as u64;
    let memberships: usize = desired.groups.values().map(|group| group.members.len()).sum();
    let memberships = memberships as u64;
    if args.format.format == Format::Json {
        output.json(&ValidDocument::new(groups, memberships))?;
    } else if !output.is_quiet() {
        let (groups, memberships) = (counted(groups, "group"), counted(memberships, "declared membership"));
        output.result(&format!("Valid: {groups}, {memberships}\n"))?;
    }
    Ok(Exit::Done)
}
