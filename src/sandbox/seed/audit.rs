//! The audit log in a seed.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value;

use crate::sandbox::edit::{Edit, EditActor};
use crate::sandbox::values::Delay;

/// The audit log. It records the writes of the sandbox's clients, edits with an actor, and the entries given here. An
/// edit without an actor leaves no entry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedAuditLog {
    /// The status that refuses every reading, such as 403.
    #[schemars(range(min = 400, max = 599))]
    pub refused: Option<u16>,
    /// How long after its change an entry appears.
    pub delay: Delay,
    /// Where the answer names the next page.
    pub cursor: SeedCursor,
    /// The form of `raw.uri`.
    pub uri: SeedUri,
    /// Whether `resource.request` is the body as text instead of JSON.
    pub request_as_text: bool,
    /// The fields that no entry has, as JSON pointers like /actor/email.
    pub omit: Vec<String>,
    /// The fields that have another value in every entry, as JSON pointers.
    pub set: BTreeMap<String, Value>,
    /// Changes before the sandbox started.
    pub entries: Vec<SeedAuditEntry>,
}

/// A change before the sandbox started. It does not change the account of the seed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedAuditEntry {
    /// The time, as an RFC 3339 instant.
    #[schemars(extend("format" = "date-time"))]
    pub time: String,
    /// The actor.
    #[serde(default)]
    pub by: EditActor,
    /// The change. The group and the person must be in the account.
    pub edit: Edit,
    /// The fields that this entry does not have.
    #[serde(default)]
    pub omit: Vec<String>,
    /// The fields that have another value in this entry.
    #[serde(default)]
    pub set: BTreeMap<String, Value>,
    /// The complete entry, instead of the usual one.
    #[serde(default)]
    pub verbatim: Option<Value>,
}

/// The place of the next page's cursor in an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeedCursor {
    /// At `result_info.cursors.after`.
    #[default]
    After,
    /// At `result_info.cursor`, as older answers do.
    Cursor,
}

/// The form of a request's URI in the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum SeedUri {
    /// As `/client/v4/accounts/…`.
    #[default]
    ClientV4,
    /// As `/accounts/…`.
    Path,
    /// As `https://api.cloudflare.com/client/v4/accounts/…`.
    Host,
}
