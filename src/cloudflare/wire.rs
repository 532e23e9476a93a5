//! The API operations in use, and the objects in their requests and answers. Reading is strict where the data decides
//! who belongs to a group, and lenient elsewhere: a field of the audit log that is missing or has an unexpected type is
//! `None`. Texts are not escaped: renderers must escape them for their format.

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::answer::{ListPage, RawAnswer, shown};
use super::listing::Pages;
use crate::model::{
    AccessPolicy, AccountInfo, Email, GroupId, GroupName, GroupSummary, MemberId, Permission, Person, ScimGroup,
    Status, UserId,
};

/// An operation of the API. A number is the number of members in the request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ApiOperation {
    ListGroups,
    ListGroupMembers,
    ListAccountMembers,
    ReadGroupMember(MemberId),
    ReadAuditLog,
    ReadTokenOwner,
    ReadAccount,
    VerifyToken,
    ListScimGroups,
    AddMembers(usize),
    ReplaceMembers(usize),
    RemoveMember(MemberId),
}

impl ApiOperation {
    /// The name in documents, and the words in messages.
    fn names(self) -> (&'static str, String) {
        match self {
            Self::ListGroups => ("list_groups", "list the account's user groups".into()),
            Self::ListGroupMembers => ("list_group_members", "list the members".into()),
            Self::ListAccountMembers => ("list_account_members", "list the account's members".into()),
            Self::ReadGroupMember(member) => ("read_group_member", format!("read member {member}")),
            Self::ReadAuditLog => ("read_audit_log", "read the account's audit log".into()),
            Self::ReadTokenOwner => ("read_token_owner", "read the token's user".into()),
            Self::ReadAccount => ("read_account", "read the account".into()),
            Self::VerifyToken => ("verify_token", "verify the token".into()),
            Self::ListScimGroups => ("list_scim_groups", "list the groups of identity providers".into()),
            Self::AddMembers(1) => ("add_members", "add 1 member".into()),
            Self::AddMembers(count) => ("add_members", format!("add {count} members")),
            Self::ReplaceMembers(count) => ("replace_members", format!("set all {count} members")),
            Self::RemoveMember(member) => ("remove_member", format!("remove member {member}")),
        }
    }

    pub fn name(self) -> &'static str {
        self.names().0
    }

    pub const fn is_write(self) -> bool {
        matches!(self, Self::AddMembers(_) | Self::ReplaceMembers(_) | Self::RemoveMember(_))
    }
}

impl fmt::Display for ApiOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.names().1)
    }
}

/// A value that may be missing, invalid or of another type.
fn lenient<'de, T: DeserializeOwned, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    Ok(T::deserialize(Value::deserialize(deserializer)?).ok())
}

#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub id: GroupId,
    /// Optional in the API's newest reference. Such a group can only be found by its pin.
    #[serde(default, deserialize_with = "lenient")]
    name: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    created_on: Option<Timestamp>,
    /// A group without policies does not have this key.
    #[serde(default)]
    policies: Value,
}

impl From<Group> for GroupSummary {
    fn from(wire: Group) -> Self {
        let name = GroupName(wire.name.unwrap_or_default().into());
        Self { name, created_on: wire.created_on, policies: policies(&wire.policies) }
    }
}

/// The name of a permission group, a resource group or a role, or its id.
fn name(object: &Value) -> Option<String> {
    const LONGEST_NAME: usize = 200;
    let name = object.get("name").or_else(|| object.get("id")).and_then(Value::as_str);
    name.map(|name| name.chars().take(LONGEST_NAME).collect())
}

/// The policies at a key that may be missing. An unreadable part is shown as such, not ignored.
fn policies(policies: &Value) -> Vec<AccessPolicy> {
    match policies {
        Value::Null => Vec::new(),
        Value::Array(policies) => policies.iter().map(policy).collect(),
        unreadable => vec![policy(unreadable)],
    }
}

fn policy(policy: &Value) -> AccessPolicy {
    let list = |key: &str| policy.get(key).and_then(Value::as_array).map(Vec::as_slice);
    let denies = policy.get("access").and_then(Value::as_str).is_some_and(|access| access != "allow");
    let unreadable = [Value::Null];
    let groups = list("permission_groups").unwrap_or(&unreadable);
    let scopes = list("resource_groups").unwrap_or_default();
    let resources = if scopes.is_empty() { vec![Vec::new()] } else { scopes.iter().map(resource).collect() };
    let mut grants = Vec::new();
    for group in groups {
        let ends = group.pointer("/meta/eol_at").and_then(Value::as_str).map(|ends| shown(ends, 40));
        for resource in &resources {
            let permission = name(group).unwrap_or_else(|| "a permission group that cannot be read".to_owned());
            grants.push(Permission { permission, resource: resource.clone(), denies, ends: ends.clone() });
        }
    }
    let mut ids: Vec<String> = groups.iter().map(identity).collect();
    let mut scopes: Vec<String> =
        scopes.iter().map(|group| group.get("scope").map_or_else(|| identity(group), Value::to_string)).collect();
    ids.sort_unstable();
    scopes.sort_unstable();
    AccessPolicy { grants, content: format!("{denies} {ids:?} {scopes:?}") }
}

/// The id of a permission group or resource group, or the whole object without one.
fn identity(object: &Value) -> String {
    object.get("id").and_then(Value::as_str).map_or_else(|| object.to_string(), str::to_ascii_lowercase)
}

/// The names of a resource group: its own, its scope's key and the objects; none if its scope is the whole account.
fn resource(group: &Value) -> Vec<String> {
    const ACCOUNT: &str = "com.cloudflare.api.account.";
    let scopes = match group.get("scope") {
        // Older answers have a list.
        Some(Value::Array(scopes)) => scopes.as_slice(),
        Some(scope) => std::slice::from_ref(scope),
        None => &[],
    };
    let key = |object: &Value| object.get("key").and_then(Value::as_str).map(str::to_owned);
    let is_account = |key: &str| key.strip_prefix(ACCOUNT).is_some_and(|id| !id.contains('.'));
    let mut keys = Vec::new();
    for scope in scopes {
        let objects = scope.get("objects").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        keys.extend(key(scope).filter(|key| !is_account(key)));
        keys.extend(objects.iter().filter_map(key).filter(|object| object != "*"));
    }
    if keys.is_empty() && scopes.iter().any(|scope| key(scope).is_some_and(|key| is_account(&key))) {
        return Vec::new();
    }
    let named = name(group).unwrap_or_else(|| "a resource that cannot be read".to_owned());
    std::iter::once(named).chain(keys).collect()
}

#[derive(Debug, Deserialize)]
pub(super) struct GroupMember {
    pub id: MemberId,
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<Email>,
    #[serde(default, deserialize_with = "lenient")]
    pub status: Option<Status>,
    /// When the member was added to the group; lists do not report it.
    #[serde(default, deserialize_with = "lenient")]
    pub created_at: Option<Timestamp>,
}

#[derive(Clone, Debug, Deserialize)]
pub(super) struct AccountMember {
    pub id: MemberId,
    #[serde(default, deserialize_with = "lenient")]
    email: Option<Email>,
    #[serde(default)]
    status: Value,
    #[serde(default, deserialize_with = "lenient")]
    user: Option<MemberUser>,
    #[serde(default)]
    roles: Value,
    #[serde(default)]
    policies: Value,
}

#[derive(Clone, Debug, Default, Deserialize)]
struct MemberUser {
    #[serde(default, deserialize_with = "lenient")]
    id: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "lenient", rename = "two_factor_authentication_enabled")]
    two_factor: Option<bool>,
}

impl AccountMember {
    /// The member's only address, as the list is sorted by it.
    pub(super) fn address(&self) -> Option<&Email> {
        match (&self.email, self.user.as_ref().and_then(|user| user.email.as_ref())) {
            (Some(email), Some(user)) => (email == user).then_some(user),
            (email, user) => user.or(email.as_ref()),
        }
    }

    pub(super) fn into_person(self) -> Person {
        let user = self.user.unwrap_or_default();
        // If the two addresses differ only in letter case, the member's own spelling is used.
        let mut emails: Vec<Email> = self.email.into_iter().chain(user.email).collect();
        emails.sort();
        emails.dedup();
        let role = |role: &Value| name(role).unwrap_or_else(|| "a role that cannot be read".to_owned());
        Person {
            emails: emails.into(),
            status: Status::deserialize(&self.status).ok(),
            declined: self.status == "rejected",
            user_id: user.id.as_deref().and_then(UserId::new),
            two_factor: user.two_factor,
            roles: self.roles.as_array().into_iter().flatten().map(role).collect(),
            policies: policies(&self.policies),
        }
    }
}

impl RawAnswer {
    pub fn rows(&self) -> &[Value] {
        self.result.as_array().map(Vec::as_slice).unwrap_or_default()
    }

    /// The members that a write's answer lists, unless a figure shows that the list is incomplete, or a member is listed
    /// twice. The envelope has already checked that the change was made. A result of another shape does not change that.
    pub(super) fn members(self) -> Option<BTreeSet<MemberId>> {
        let rows: Vec<GroupMember> = serde_json::from_value(self.result).ok()?;
        let page = ListPage { result: Some(rows), result_info: self.result_info };
        let mut pages = Pages::new(|member: &GroupMember| member.id);
        pages.add(1, u64::MAX, page).and_then(|()| pages.finish()).ok()?;
        Some(pages.rows.into_keys().collect())
    }
}

pub fn account_info(account: &Value) -> AccountInfo {
    let text = |pointer: &str| account.pointer(pointer).and_then(Value::as_str).filter(|text| !text.is_empty());
    let organization = |id| shown(text("/managed_by/parent_org_name").unwrap_or(id), 100);
    AccountInfo {
        name: text("/name").map(|name| shown(name, 100)),
        organization: text("/managed_by/parent_org_id").map(organization),
    }
}

/// A page of the groups in SCIM's form.
#[derive(Debug, Deserialize)]
pub(super) struct ScimPage {
    #[serde(rename = "totalResults")]
    pub total: usize,
    // SCIM may leave out an empty list.
    #[serde(default, rename = "Resources")]
    resources: Vec<Value>,
}

impl ScimPage {
    pub(super) fn groups(&self) -> Vec<ScimGroup> {
        let group = |group: &Value| {
            let text = |key: &str| group.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
            ScimGroup {
                id: text("id").unwrap_or_default().to_ascii_lowercase(),
                name: text("displayName").map(String::from),
                external: text("externalId").is_some(),
            }
        };
        self.resources.iter().map(group).collect()
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub id: String,
    #[serde(default, deserialize_with = "lenient")]
    pub email: Option<Email>,
}

const LONGEST_TEXT: usize = 2_000;

/// An entry of the audit log. Every field may be missing or have an unexpected type.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct AuditEntry(pub Value);

impl AuditEntry {
    /// The text at a JSON pointer, unless it is empty. A very long one is cut.
    pub fn text(&self, pointer: &str) -> Option<&str> {
        let text = self.0.pointer(pointer)?.as_str()?;
        let end = text.char_indices().nth(LONGEST_TEXT).map_or(text.len(), |(end, _)| end);
        text.get(..end).filter(|text| !text.is_empty())
    }

    /// The request body in the log. A text that contains JSON is parsed. `Null` if there is no body.
    pub fn body(&self) -> Value {
        match self.0.pointer("/resource/request") {
            None => Value::Null,
            Some(Value::String(text)) => serde_json::from_str(text).unwrap_or_else(|_| Value::String(text.clone())),
            Some(value) => value.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::answer::ListPage;
    use super::*;

    #[test]
    fn member_needs_only_a_valid_id() {
        let member = |text: &str| serde_json::from_str::<GroupMember>(text);
        let id = "4f5f0c14a2a41d5063dd301b2f829f04";
        for odd in ["", r#","email":null,"status":7"#, r#","email":"a b","status":"unheard of","created_at":[]"#] {
            let read = member(&format!(r#"{{"id":"{id}"{odd}}}"#)).unwrap();
            assert_eq!((read.id.as_str(), read.email, read.status, read.created_at), (id, None, None, None), "{odd}");
        }
        assert!(member(r#"{"email":"a@b"}"#).is_err());
        assert!(member(r#"{"id":"../x"}"#).is_err());
    }

    #[test]
    fn an_account_member_keeps_both_addresses() {
        let member = |rest: &str| {
            let text = format!(r#"{{"id":"4f5f0c14a2a41d5063dd301b2f829f04"{rest}}}"#);
            serde_json::from_str::<AccountMember>(&text).unwrap()
        };
        let invited = member(r#","email":"b@x","status":"pending","user":{"id":null,"email":"A@x"}"#);
        let person = invited.into_person();
        assert_eq!((person.emails.len(), person.status), (2, Some(Status::Pending)));

        let twice = member(r#","email":"A@x","user":{"email":"a@X"}"#).into_person();
        assert_eq!(twice.emails.iter().map(Email::as_str).collect::<Vec<_>>(), ["A@x"]);

        let rejected = member(r#","email":"a@x","status":"rejected","user":3"#);
        assert!(rejected.into_person().declined);
        for other in [r#","status":"new""#, ""] {
            let person = member(other).into_person();
            assert_eq!((person.status, person.declined), (None, false));
        }
    }

    fn page(body: Value) -> ListPage<AuditEntry> {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn documented_fields_are_read() {
        let page = page(json!({
            "result": [{
                "id": "f1", "action": { "time": "2026-11-20T14:02:00Z", "type": "create", "result": "success", "description": "Add" },
                "actor": { "id": "u1", "email": "dana@example.com", "type": "user", "context": "dash", "token_id": "t", "token_name": "ci" },
                "raw": { "cf_ray_id": "8a1", "method": "POST", "uri": "/accounts/a/iam", "user_agent": "curl" },
                "resource": { "request": "[{\"id\":\"1\"}]" },
            }],
            "result_info": { "cursors": { "after": "next" }, "cursor": "older" },
        }));
        let entry = &page.rows()[0];
        assert_eq!(entry.text("/action/time"), Some("2026-11-20T14:02:00Z"));
        assert_eq!(entry.text("/actor/email"), Some("dana@example.com"));
        assert_eq!(entry.body(), json!([{ "id": "1" }]));
        assert_eq!(page.cursor().as_deref(), Some("next"));
    }

    #[test]
    fn unexpected_types_are_missing_fields() {
        for odd in
            [json!(null), json!(3), json!([]), json!({}), json!({ "action": [], "actor": { "email": 7 }, "raw": 1 })]
        {
            let page = page(json!({ "result": [odd], "result_info": { "cursor": "", "cursors": 4 } }));
            let entry = &page.rows()[0];
            let texts = ["/action/time", "/actor/email", "/raw/uri"].map(|pointer| entry.text(pointer));
            assert_eq!((texts, page.cursor()), ([None; 3], None));
        }
    }

    #[test]
    fn older_log_cursor_is_read() {
        let page = page(json!({ "result": [], "result_info": { "cursor": "older" } }));
        assert_eq!(page.cursor().as_deref(), Some("older"));
    }
}
