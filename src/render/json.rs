//! A plan, or a report, as JSON.

use std::io::{Result, Write};

use serde::Serialize;

/// Writes the value as indented JSON with a line end, without holding all of the text at once: that of a large plan is
/// several times as long as the plan itself.
///
/// # Errors
///
/// Fails where it cannot be written, or where the value cannot be JSON, which the documents of this crate always can.
pub fn write(mut to: impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut to, value)?;
    to.write_all(b"\n")
}
