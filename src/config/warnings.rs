//! What is probably a mistake in the files, but does no harm.

use super::Source;
use super::problem::{Problem, quoted, settle};
use crate::model::Desired;

/// Everything in the files that deserves a warning, with its source line.
#[must_use]
pub fn warnings(desired: &Desired, sources: &[Source]) -> Vec<Problem> {
    let unused = desired.unused_rosters.iter().map(|(name, origin)| {
        let message = format!("roster {} is not used by any group", quoted(name));
        Problem::at(origin, message).help(format!("use it in a group with `- roster: {name}`, or remove it"))
    });
    settle(unused.collect(), sources)
}
