//! The seed of a sandbox, in YAML.

use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroU32;

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer};

use super::chance::Chance;
use super::rules::FaultRule;
use super::values::Delay;
use crate::model::{AccountId, GroupId, MemberId};

mod audit;
mod entry;
mod error;
mod policy;

pub use audit::{SeedAuditEntry, SeedAuditLog, SeedCursor, SeedUri};
pub use entry::{SeedEntry, SeedPlace};
pub use error::SeedError;
pub(crate) use error::{SeedProblem, problem};
pub use policy::{SeedGrantable, SeedPolicy, SeedPolicyAccess};

/// The version of the format.
const VERSION: u64 = 1;

/// The initial state of a sandbox. Everything is optional. An empty seed is an empty account that accepts any
/// credentials.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "convoke sandbox seed")]
pub struct Seed {
    /// The format's version.
    #[serde(deserialize_with = "known_version")]
    #[schemars(range(min = 1, max = 1))]
    pub version: u64,
    /// The account's id. Without it the sandbox accepts any valid id.
    pub account_id: Option<AccountId>,
    /// The only valid token (or API key). Without it every token is valid.
    pub token: Option<SeedToken>,
    /// The email or id of the token's user. Without it the token is owned by the account.
    pub token_owner: Option<String>,
    /// The login address of the token's user, if it differs from the account member's.
    pub token_owner_email: Option<String>,
    /// The token's name in the audit log.
    pub token_name: Option<String>,
    /// The permissions of the token.
    pub token_access: Access,
    /// The number of requests that are answered with 403 before the token works, as with a new token.
    pub token_settles: u32,
    /// The account's members. Members of groups who are not listed here are accepted account members too.
    pub people: Vec<SeedEntry<SeedPerson>>,
    /// Permission groups of the account in addition to the usual ones (labels `admin`, `admin_readonly` and others).
    pub permission_groups: Vec<SeedEntry<SeedGrantable>>,
    /// Resource groups of the account in addition to the usual one, the whole account.
    pub resource_groups: Vec<SeedEntry<SeedGrantable>>,
    /// The user groups by name.
    pub groups: BTreeMap<String, SeedGroup>,
    /// The number of requests to a new group's members that are answered with 404.
    pub new_groups_settle: u32,
    /// How long requests to a new group's members are answered with 404.
    pub new_groups_settle_for: Delay,
    /// The duration of every request.
    pub latency: Delay,
    /// How far reads of a group's members lag behind writes.
    pub lag: Delay,
    /// The maximum page size, for any requested size.
    pub page_size_cap: Option<NonZeroU32>,
    /// Whether lists have `result_info`.
    pub result_info: bool,
    /// Whether group members have their `status`.
    pub member_status: bool,
    /// The rate limit. Without it there is none.
    pub rate_limit: Option<RateLimit>,
    /// The time at the start, an RFC 3339 instant. Each change is then one second later than the previous one.
    /// Without it changes have the present time.
    #[schemars(extend("format" = "date-time"))]
    pub clock: Option<String>,
    /// The audit log.
    pub audit_log: SeedAuditLog,
    /// The spelling of the rate limit headers.
    pub rate_limit_headers: RateLimitHeaders,
    /// Faults by rule. Of the rules that are due, the first applies.
    pub faults: Vec<FaultRule>,
    /// Faults by seeded chance, for requests without a rule.
    pub chance: Option<Chance>,
}

impl Default for Seed {
    fn default() -> Self {
        Self {
            version: VERSION,
            account_id: None,
            token: None,
            token_owner: None,
            token_owner_email: None,
            token_name: None,
            token_access: Access::default(),
            token_settles: 0,
            people: Vec::new(),
            permission_groups: Vec::new(),
            resource_groups: Vec::new(),
            groups: BTreeMap::new(),
            new_groups_settle: 0,
            new_groups_settle_for: Delay::default(),
            latency: Delay::default(),
            lag: Delay::default(),
            page_size_cap: None,
            result_info: true,
            member_status: true,
            rate_limit: None,
            audit_log: SeedAuditLog::default(),
            rate_limit_headers: RateLimitHeaders::default(),
            clock: None,
            faults: Vec::new(),
            chance: None,
        }
    }
}

impl Seed {
    /// Every address of a person or a member in the seed, in lower case.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let people = self.people.iter().map(|entry| &entry.value.email);
        let members = self.groups.values().flat_map(|group| &group.members);
        let members = members.filter_map(|entry| entry.value.email.as_ref());
        let mut addresses: Vec<String> = people.chain(members).map(|email| email.to_lowercase()).collect();
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }

    /// The JSON schema of the format.
    #[must_use]
    pub fn schema() -> schemars::Schema {
        schemars::schema_for!(Self)
    }
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    match u64::deserialize(deserializer)? {
        VERSION => Ok(VERSION),
        other => Err(D::Error::custom(format!("unknown version {other}: this convoke reads version {VERSION}"))),
    }
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedPerson {
    pub email: String,
    /// The id; without it one is derived from the address.
    pub id: Option<MemberId>,
    /// The state of the invitation.
    #[serde(default)]
    pub status: Invitation,
    /// Whether the person can be added to groups.
    #[serde(default = "yes")]
    pub joinable: bool,
    /// The address of the user of the membership, if it differs.
    pub user_email: Option<String>,
    /// The id of the user of the membership; without it one is derived.
    pub user_id: Option<String>,
    /// Whether two-factor authentication is on (default: no); null: the API does not report it.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<bool>")]
    pub two_factor: Option<Option<bool>>,
    /// The address in lists of groups, if it differs; null: there is none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub group_email: Option<Option<String>>,
}

/// Distinguishes an explicit null from a missing field.
fn given<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

const fn yes() -> bool {
    true
}

impl From<String> for SeedPerson {
    fn from(email: String) -> Self {
        Self {
            email,
            id: None,
            status: Invitation::default(),
            joinable: true,
            user_email: None,
            user_id: None,
            two_factor: None,
            group_email: None,
        }
    }
}

/// The status of an account member.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Invitation {
    /// The person has joined.
    #[default]
    Accepted,
    /// The person has not answered the invitation.
    Pending,
    /// The person has declined.
    Rejected,
}

impl Invitation {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Pending => "pending",
            Self::Rejected => "rejected",
        }
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedGroup {
    /// The id; without it one is derived from the name.
    pub id: Option<GroupId>,
    /// Whether SCIM manages the group. The API then refuses to change or delete it.
    pub scim: bool,
    /// The members.
    pub members: Vec<SeedEntry<SeedMember>>,
    /// The policies. A group without policies shows no `policies`.
    pub policies: Vec<SeedPolicy>,
    /// When it was created, as an RFC 3339 instant. Without it, a group that settles has just been created.
    #[schemars(extend("format" = "date-time"))]
    pub created_on: Option<String>,
    /// The undocumented `status`, such as V; without it there is none.
    pub status: Option<String>,
    /// Whether listing its members fails with "Policy validation failed".
    pub policy_invalid: bool,
    /// The number of requests for its members that are answered with 404, as for a new group.
    pub settling: u32,
    /// How long requests to its members are answered with 404.
    pub settling_for: Option<Delay>,
}

/// A member of a group, by email or id.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedMember {
    /// The address of an account member.
    pub email: Option<String>,
    /// The id of an account member.
    pub id: Option<MemberId>,
    /// When the membership began, as an RFC 3339 instant.
    #[schemars(extend("format" = "date-time"))]
    pub since: Option<String>,
}

impl From<String> for SeedMember {
    fn from(who: String) -> Self {
        match who.parse() {
            Ok(id) => Self { id: Some(id), ..Self::default() },
            Err(_) => Self { email: Some(who), ..Self::default() },
        }
    }
}

/// The permissions of a token.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    /// Read and write.
    #[default]
    Write,
    /// Read only.
    Read,
}

/// A rate limit.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    /// The requests in a window.
    pub requests: u32,
    /// The length of a window, from its first request.
    pub window: Delay,
    /// The requests that are already used when the first window begins.
    #[serde(default)]
    pub spent: u32,
}

/// The headers that report the rate limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum RateLimitHeaders {
    /// `Ratelimit` and `Ratelimit-Policy`.
    #[default]
    Ratelimit,
    /// `x-ratelimit-limit`, `x-ratelimit-remaining` and `x-ratelimit-reset`.
    XRatelimit,
    /// All of them.
    Both,
    /// None of them.
    None,
}

/// A token that cannot be printed.
#[derive(Clone)]
pub struct SeedToken(SecretString);

impl SeedToken {
    pub(crate) fn is(&self, other: &str) -> bool {
        self.0.expose_secret() == other
    }

    #[must_use]
    pub fn secret(&self) -> SecretString {
        self.0.clone()
    }
}

impl From<String> for SeedToken {
    fn from(token: String) -> Self {
        Self(SecretString::from(token))
    }
}

impl fmt::Debug for SeedToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

impl<'de> Deserialize<'de> for SeedToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self::from)
    }
}

impl JsonSchema for SeedToken {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "SeedToken".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        schemars::json_schema!({ "type": "string" })
    }
}
