//! A plan, or a report, as JSON.

use serde::Serialize;

/// The value as indented JSON with a line end.
///
/// # Errors
///
/// Fails where the value cannot be JSON, which the documents of this crate always can.
pub fn render(value: &impl Serialize) -> Result<String, serde_json::Error> {
    let mut json = serde_json::to_string_pretty(value)?;
    json.push('\n');
    Ok(json)
}
