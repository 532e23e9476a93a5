//! JSON documents.

use std::io::{Result, Write};

use serde::Serialize;

/// Writes the value as indented JSON with a line end, without keeping the text in memory: the text of a large plan is
/// several times as large as the plan.
///
/// # Errors
///
/// If it cannot be written, or the value cannot be JSON. The documents of this crate always can.
pub fn write(mut to: impl Write, value: &impl Serialize) -> Result<()> {
    serde_json::to_writer_pretty(&mut to, value)?;
    to.write_all(b"\n")
}
