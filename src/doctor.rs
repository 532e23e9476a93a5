//! What `doctor` found: a document that has no address, name or id, so that it can be sent to the maintainers.
//!
//! `seen` and `help` are made of fixed words and numbers only. Everything that comes from the account or the files
//! goes into `details`, which the text shows and the document leaves out.

use std::collections::BTreeSet;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value;

use crate::cloudflare::{ApiError, ApiErrorKind};
use crate::model::{Desired, GroupId, Mode, Observed};
use crate::plan::{compare_permissions, locate_groups};

const FORMAT_VERSION: u32 = 1;

/// The result of `doctor`. It has no address, name or id.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(title = "convoke doctor")]
pub struct Diagnosis {
    pub format_version: u32,
    pub status: CheckStatus,
    pub convoke: &'static str,
    pub checks: Vec<Check>,
    pub requests: u64,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Check {
    /// What was checked, such as `credentials` or `clock`.
    pub name: &'static str,
    pub status: CheckStatus,
    /// What was seen, in fixed words and numbers.
    pub seen: String,
    /// What to do; null if there is nothing to do.
    pub help: Option<&'static str>,
    /// Names and addresses, which the text shows and the document leaves out.
    #[serde(skip)]
    pub details: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CheckStatus {
    Ok,
    /// Something to look at. Convoke works.
    Warning,
    /// Convoke cannot do its work.
    Failed,
}

impl CheckStatus {
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl Diagnosis {
    pub fn new(checks: Vec<Check>, requests: u64) -> Self {
        let status = checks.iter().map(|check| check.status).max().unwrap_or(CheckStatus::Ok);
        Self { format_version: FORMAT_VERSION, status, convoke: env!("CARGO_PKG_VERSION"), checks, requests }
    }
}

impl Check {
    pub fn ok(name: &'static str, seen: impl Into<String>) -> Self {
        Self { name, status: CheckStatus::Ok, seen: seen.into(), help: None, details: Vec::new() }
    }

    pub fn warning(name: &'static str, seen: impl Into<String>, help: &'static str) -> Self {
        Self { status: CheckStatus::Warning, help: Some(help), ..Self::ok(name, seen) }
    }

    pub fn failed(name: &'static str, seen: impl Into<String>, help: &'static str) -> Self {
        Self { status: CheckStatus::Failed, help: Some(help), ..Self::ok(name, seen) }
    }

    /// A reading that failed. `help` is what a refusal means for convoke.
    pub fn refused(name: &'static str, error: &ApiError, status: CheckStatus, help: &'static str) -> Self {
        let what = match error.kind {
            ApiErrorKind::Credentials | ApiErrorKind::NotAllowed | ApiErrorKind::Refused => "refused".to_owned(),
            kind => kind.to_string(),
        };
        let code = error.status.map(|code| format!(" (status {code})")).unwrap_or_default();
        // The account's id may be wrong where convoke cannot do without what is not found.
        let is_meant = error.is_refusal() && !(status == CheckStatus::Failed && error.kind == ApiErrorKind::NotFound);
        let help = if is_meant { help } else { error.help() };
        Self { status, help: Some(help), details: vec![error.reason()], ..Self::ok(name, format!("{what}{code}")) }
    }

    /// A warning if anything is in the list of what should not be.
    fn without(name: &'static str, list: Vec<String>, total: usize, what: &str, help: &'static str) -> Self {
        let seen = format!("{what}: {} of {total}", list.len());
        if list.is_empty() { Self::ok(name, seen) } else { Self::warning(name, seen, help).with(list) }
    }

    #[must_use]
    pub fn with(mut self, details: impl IntoIterator<Item = String>) -> Self {
        self.details.extend(details);
        self
    }
}

/// The groups that only a pin can find.
pub fn unknown_names(observed: &Observed) -> Check {
    let nameless = observed.groups.iter().filter(|(_, group)| group.name.as_str().is_empty());
    let nameless = nameless.map(|(id, _)| id.to_string()).collect();
    let help = "declare them with `id`: only the pin finds them";
    Check::without("unknown_names", nameless, observed.groups.len(), "groups without a name in the account", help)
}

/// The figures of a list's first page, in words.
pub fn figures(rows: usize, asked: usize, info: &Value) -> String {
    let number = |key: &str| match info.get(key) {
        Some(Value::Number(number)) => Some(number.to_string()),
        Some(Value::String(text)) if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(format!("{text} as text"))
        }
        _ => None,
    };
    let keys = ["page", "per_page", "count", "total_count", "total_pages"];
    let known: Vec<String> = keys.into_iter().filter_map(|key| Some(format!("{key} {}", number(key)?))).collect();
    let known = if known.is_empty() { "no figures".to_owned() } else { known.join(", ") };
    format!("rows on the first page: {rows} of at most {asked}; {known}")
}

/// The order of a list of members, in words.
pub fn order(rows: &[Value]) -> &'static str {
    let email = |row: &Value| Some(row.get("email")?.as_str()?.to_lowercase());
    let Some(emails) = rows.iter().map(email).collect::<Option<Vec<String>>>() else {
        return "some rows have no address, so the order is unknown";
    };
    let local = |email: &String| email.split('@').next().unwrap_or_default().to_owned();
    match emails.len() {
        0 | 1 => "too few rows to see an order",
        _ if emails.is_sorted() && emails.is_sorted_by_key(local) => "sorted by address",
        _ if emails.is_sorted() => "sorted by the whole address",
        _ if emails.is_sorted_by_key(local) => "sorted by the part before the @",
        _ => "not sorted by address",
    }
}

/// What the files say about groups, compared with the list of groups.
pub fn declared_groups(desired: &Desired, observed: &Observed, external: &BTreeSet<GroupId>) -> Vec<Check> {
    let located = locate_groups(desired, observed, |_| true);
    let (mut missing, mut renamed, mut changed, mut managed) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (name, group) in &desired.groups {
        let found = located.get(name).and_then(|located| located.as_ref().ok());
        let Some((id, summary)) = found.and_then(|id| Some((id, observed.groups.get(id)?))) else {
            missing.push(name.to_string());
            continue;
        };
        if !summary.name.as_str().is_empty() && summary.name != *name {
            renamed.push(format!("{name} is called {} in the account", summary.name));
        }
        let pins = group.permissions.as_ref();
        if let Some((lost, gained)) = pins.and_then(|pins| compare_permissions(&pins.value, summary)) {
            changed.push(format!("{name}: not given: [{}], not pinned: [{}]", lost.join(", "), gained.join(", ")));
        }
        if external.contains(id) && group.mode != Mode::Observe {
            managed.push(name.to_string());
        }
    }
    let total = desired.groups.len();
    let check = |name, list, what, help| Check::without(name, list, total, what, help);
    let help = "create them, or correct their names or ids";
    let missing = check("declared_groups", missing, "declared groups that the account does not have", help);
    let help = "rename the group, or change its name in the files";
    let renamed = check("pinned_names", renamed, "groups with another name in the account", help);
    let help = "find out who changed the policies, then correct them or `permissions`";
    let changed = check("pinned_permissions", changed, "groups with other permissions than pinned", help);
    let what = "groups that an identity provider probably manages, without `mode: observe`";
    let help = "write `mode: observe`: the API refuses other changes of such groups";
    vec![missing, renamed, changed, check("identity_provider", managed, what, help)]
}
