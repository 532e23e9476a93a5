//! The result of a run, in JSON documents about a plan, a run or a failure.

use serde::{Deserialize, Serialize};

/// The `status` of a JSON document. If several apply, it is the first in this order. `drift` ignores guards.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RunStatus {
    /// The command failed. The document has the reason.
    Failed,
    /// The plan is not the one that was reviewed. Nothing was changed.
    Stale,
    /// A guard refused the plan. Nothing was changed.
    Refused,
    /// Something declared cannot be applied.
    Blocked,
    /// Applied in part.
    Partial,
    /// Applied in full.
    Applied,
    /// There are differences.
    Changes,
    /// There is no difference.
    InSync,
    /// There was nothing to do: an edit changed nothing, or `validate` found no problem.
    Unchanged,
}
