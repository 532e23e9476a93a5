//! The keys of the file format, each list in the order in which the reader takes a mapping apart.

pub(super) const FILE: [&str; 5] = ["version", "account_id", "settings", "rosters", "groups"];
pub(super) const SETTINGS: [&str; 3] = ["limits", "protected", "unmanaged_groups"];
pub(super) const LIMITS: [&str; 2] = ["group_removals", "total_removals"];
pub(super) const GROUP: [&str; 9] = [
    "id",
    "mode",
    "members",
    "min_members",
    "allow_empty",
    "group_removals",
    "max_duration",
    "require_reason",
    "exclusive_with",
];
pub(super) const ENTRY: [&str; 6] = ["email", "id", "roster", "from", "until", "reason"];
pub(super) const PROTECTED: [&str; 2] = ["email", "id"];
