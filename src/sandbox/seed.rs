//! The seed of a sandbox, in YAML.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;
use std::num::NonZeroU32;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use secrecy::SecretString;
use serde::de::value::MapAccessDeserializer;
use serde::de::{Error as _, MapAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;
use serde_saphyr::{Location, Spanned};

use super::edit::{Edit, EditActor};
use super::rules::{Chance, FaultRule};
use crate::model::{AccountId, GroupId, MemberId};

const VERSION: u64 = 1;

/// The initial state of a sandbox. Everything is optional. An empty seed is an empty account that accepts any
/// credentials.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(title = "convoke sandbox seed")]
pub struct Seed {
    #[serde(deserialize_with = "known_version")]
    #[schemars(with = "u64", range(min = 1, max = 1))]
    pub version: Option<u64>,
    /// The account's id. Without it the sandbox accepts any valid id.
    pub account_id: Option<AccountId>,
    /// The only valid token (or API key). Without it every token is valid.
    #[schemars(with = "Option<String>")]
    pub token: Option<SecretString>,
    /// The email or id of the token's user. Without it the token is owned by the account.
    pub token_owner: Option<String>,
    /// What the check of the token answers. With another state than `active`, every other request is refused with 401.
    pub token_status: TokenStatus,
    /// When the token expires, as an RFC 3339 instant.
    pub token_expires_on: Option<Timestamp>,
    /// The name of the account; without it, it is called Sandbox.
    pub account_name: Option<String>,
    /// The name of the organization that the account belongs to.
    pub organization: Option<String>,
    /// How far the `Date` of the answers is ahead of the true time.
    pub clock_ahead: Delay,
    /// The order of a group's members in lists.
    pub member_order: MemberOrder,
    pub token_access: Access,
    /// The number of requests that are answered with 403 before the token works, as with a new token.
    pub token_settles: u32,
    /// The account's members. Members of groups who are not listed here are accepted account members too.
    pub people: Vec<SeedEntry<SeedPerson>>,
    /// Permission groups of the account in addition to the usual ones (labels `admin`, `admin_readonly` and others).
    pub permission_groups: Vec<SeedEntry<SeedGrantable>>,
    /// Resource groups of the account in addition to the usual one, the whole account.
    pub resource_groups: Vec<SeedEntry<SeedGrantable>>,
    pub groups: BTreeMap<String, SeedGroup>,
    /// The number of requests to a new group's members that are answered with 404.
    pub new_groups_settle: u32,
    pub latency: Delay,
    /// How far reads of a group's members lag behind writes.
    pub lag: Delay,
    /// The maximum page size, for any requested size.
    pub page_size_cap: Option<NonZeroU32>,
    /// Whether lists have `result_info`; default: yes.
    #[schemars(with = "bool")]
    pub result_info: Option<bool>,
    /// The rate limit. Without it there is none.
    pub rate_limit: Option<RateLimit>,
    /// The time at the start, an RFC 3339 instant. Each change is then one second later than the previous one.
    /// Without it changes have the present time.
    pub clock: Option<Timestamp>,
    pub audit_log: SeedAuditLog,
    /// Faults by rule. Of the rules that are due, the first applies.
    pub faults: Vec<FaultRule>,
    /// Faults by seeded chance, for requests without a rule.
    pub chance: Option<Chance>,
}

fn known_version<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u64>, D::Error> {
    match u64::deserialize(deserializer)? {
        VERSION => Ok(Some(VERSION)),
        other => Err(D::Error::custom(format!("unknown version {other}: this convoke reads version {VERSION}"))),
    }
}

#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedPerson {
    pub email: String,
    /// The id; without it one is derived from the address.
    pub id: Option<MemberId>,
    #[serde(default)]
    pub status: Invitation,
    /// Whether the person can be added to groups.
    #[serde(default = "yes")]
    pub joinable: bool,
    /// The address of the user of the membership, if it differs.
    pub user_email: Option<String>,
    /// Whether two-factor authentication is on (default: no); null: the API does not report it.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<bool>")]
    pub two_factor: Option<Option<bool>>,
    /// The address in lists of groups, if it differs; null: there is none.
    #[serde(default, deserialize_with = "given")]
    #[schemars(with = "Option<String>")]
    pub group_email: Option<Option<String>>,
    /// The names of the roles of the account member.
    #[serde(default)]
    pub roles: Vec<String>,
    /// The policies of the account member, beside those of groups.
    #[serde(default)]
    pub policies: Vec<SeedPolicy>,
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
        Self { email, joinable: true, ..Self::default() }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Invitation {
    #[default]
    Accepted,
    Pending,
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
    /// The id of the group at an identity provider, as the SCIM list shows it.
    pub external_id: Option<String>,
    /// Whether lists show the group without its name and its times.
    pub nameless: bool,
    pub members: Vec<SeedEntry<SeedMember>>,
    /// The policies. A group without policies shows no `policies`.
    pub policies: Vec<SeedPolicy>,
    /// When it was created, as an RFC 3339 instant. Without it, a group that settles has just been created.
    pub created_on: Option<Timestamp>,
    /// The undocumented `status`, such as V; without it there is none.
    pub status: Option<String>,
    /// Whether listing its members fails with "Policy validation failed".
    pub policy_invalid: bool,
    /// The number of requests for its members that are answered with 404, as for a new group.
    pub settling: u32,
}

/// A member of a group, by email or id.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedMember {
    pub email: Option<String>,
    pub id: Option<MemberId>,
    /// When the membership began, as an RFC 3339 instant.
    pub since: Option<Timestamp>,
}

impl From<String> for SeedMember {
    fn from(who: String) -> Self {
        let id = who.parse().ok();
        Self { email: id.is_none().then_some(who), id, since: None }
    }
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Access {
    #[default]
    Write,
    Read,
}

#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RateLimit {
    pub requests: u32,
    /// The length of a window, from its first request.
    pub window: Delay,
    /// The requests that are already used when the first window begins.
    #[serde(default)]
    pub spent: u32,
}

#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedPolicy {
    /// Whether the policy grants or denies the permissions.
    #[serde(default)]
    pub access: SeedPolicyAccess,
    /// The permission groups, by name or id. An unknown name becomes a permission group of the account. An unknown id
    /// is shown without a name.
    pub permission_groups: Vec<SeedEntry<SeedGrantable>>,
    /// The resource groups, by name or id. Without any, the policy applies to the whole account.
    #[serde(default)]
    pub resource_groups: Vec<SeedEntry<SeedGrantable>>,
}

/// Whether a policy grants or denies its permissions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum SeedPolicyAccess {
    #[default]
    Allow,
    /// It denies them. A seed can have such a policy; a request with one is refused.
    Deny,
}

/// A permission group or a resource group: a name, an id, or both.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedGrantable {
    pub name: Option<String>,
    /// The id; without it one is derived from the name.
    pub id: Option<String>,
    /// When a permission group ends, as Cloudflare writes it.
    pub eol_at: Option<String>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TokenStatus {
    #[default]
    Active,
    Disabled,
    Expired,
}

/// How a list of a group's members is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MemberOrder {
    #[default]
    Address,
    /// By the part of the address before the `@`.
    LocalPart,
    /// By id, so that the addresses are in no order.
    Id,
}

impl From<String> for SeedGrantable {
    fn from(text: String) -> Self {
        let is_id = text.len() == 32 && text.chars().all(|c| c.is_ascii_hexdigit());
        if is_id { Self { id: Some(text), ..Self::default() } } else { Self { name: Some(text), ..Self::default() } }
    }
}

/// The audit log. It records the writes of the sandbox's clients, edits with an actor, and the entries given here. An
/// edit without an actor leaves no entry.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SeedAuditLog {
    /// The status that refuses every reading, such as 403.
    #[schemars(range(min = 400, max = 599))]
    pub refused: Option<u16>,
    /// The fields that no entry has, as JSON pointers like /actor/email.
    pub omit: Vec<String>,
    /// The fields that have another value in every entry, as JSON pointers.
    pub set: BTreeMap<String, Value>,
    pub entries: Vec<SeedAuditEntry>,
}

/// A change before the sandbox started. It does not change the account of the seed.
#[derive(Clone, Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SeedAuditEntry {
    pub time: Timestamp,
    #[serde(default)]
    pub by: EditActor,
    /// The change. The group and the person must be in the account.
    pub edit: Edit,
}

/// An entry with its position in the text.
#[derive(Clone, Debug)]
pub struct SeedEntry<T> {
    pub value: T,
    /// `None` for an entry that was not parsed.
    pub place: Option<Location>,
}

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for SeedEntry<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Spanned { value: TextOrMap(value), referenced, .. } = Spanned::deserialize(deserializer)?;
        Ok(Self { value, place: Some(referenced) })
    }
}

impl<T: JsonSchema> JsonSchema for SeedEntry<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Entry_of_{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        schemars::json_schema!({ "anyOf": [{ "type": "string" }, generator.subschema_for::<T>()] })
    }
}

struct TextOrMap<T>(T);

impl<'de, T: Deserialize<'de> + From<String>> Deserialize<'de> for TextOrMap<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(TextOrMapVisitor(PhantomData))
    }
}

struct TextOrMapVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de> + From<String>> Visitor<'de> for TextOrMapVisitor<T> {
    type Value = TextOrMap<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an email address, an id (in quotes if it looks like a number), or a map")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(TextOrMap(T::from(text.into())))
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Self::Value, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(TextOrMap)
    }
}

/// A duration, written like `50ms` or `2s`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(try_from = "String")]
pub struct Delay(pub Duration);

impl Delay {
    pub const fn millis(millis: u64) -> Self {
        Self(Duration::from_millis(millis))
    }
}

impl TryFrom<String> for Delay {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let signed: SignedDuration =
            text.parse().map_err(|_| format!("{text:?} is not a duration: write it like 50ms or 2s"))?;
        Duration::try_from(signed).map(Self).map_err(|_| format!("{text:?} is negative"))
    }
}
