//! `validate`: checks the files offline.

use super::{Exit, Failure, Output, context};
use crate::cli::Shared;
use crate::render::counted;

pub fn run(shared: &Shared, output: &mut Output) -> Result<Exit, Failure> {
    let desired = context::load(shared)?;
    context::account(shared, &desired)?;
    let groups = counted(desired.groups.len() as u64, "group");
    let memberships: usize = desired.groups.values().map(|group| group.members.len()).sum();
    if !output.is_quiet() {
        output.result(&format!("Valid: {groups}, {}\n", counted(memberships as u64, "declared membership")))?;
    }
    Ok(Exit::Done)
}
