//! `validate`: checks the files offline.

use super::{Exit, Failure, Output, context};
use crate::cli::{Format, Shared};
use crate::render::counted;
use crate::render::failure::ValidDocument;

pub fn run(shared: &Shared, output: &mut Output) -> Result<Exit, Failure> {
    let desired = context::load(shared)?;
    context::account(shared, &desired)?;
    let groups = desired.groups.len() as u64;
    let memberships: usize = desired.groups.values().map(|group| group.members.len()).sum();
    let memberships = memberships as u64;
    if shared.format == Format::Json {
        output.json(&ValidDocument::new(groups, memberships))?;
    } else if !output.is_quiet() {
        let (groups, memberships) = (counted(groups, "group"), counted(memberships, "declared membership"));
        output.result(&format!("Valid: {groups}, {memberships}\n"))?;
    }
    Ok(Exit::Done)
}
