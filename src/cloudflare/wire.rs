//! The shape of the API's bodies, read as leniently as is safe: what decides who belongs where must be right, the
//! rest may be missing or odd.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use crate::model::{Email, GroupId, GroupName, GroupSummary, Member, MemberId, Person, PersonStatus, Status, UserId};

/// A code and a text, as the envelope's `errors` hold them.
pub(super) type Message = (i64, String);

/// What every answer holds beside its result.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    pub success: bool,
    #[serde(default)]
    errors: Value,
}

impl Envelope {
    /// The errors: what is not of their shape is passed over.
    pub(super) fn errors(&self) -> Vec<Message> {
        let entries = self.errors.as_array().map(Vec::as_slice).unwrap_or_default();
        let message = |entry: &Value| {
            let code = entry.get("code").and_then(Value::as_i64).unwrap_or_default();
            let text = entry.get("message").and_then(Value::as_str);
            (text.is_some() || code != 0).then(|| (code, text.unwrap_or("no message").to_owned()))
        };
        entries.iter().filter_map(message).collect()
    }
}

/// The part of an answer that holds one thing.
#[derive(Deserialize)]
pub(super) struct Single<T> {
    pub result: T,
}

/// The part of an answer that holds a page of a list.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct Page<T> {
    /// The entries: an empty list comes as `null`, or not at all.
    #[serde(default = "Vec::new", deserialize_with = "list_or_null", rename = "result")]
    pub entries: Vec<T>,
    #[serde(default)]
    result_info: Value,
}

impl<T> Page<T> {
    /// How many entries all pages hold together, where the answer says so.
    pub(super) fn total(&self) -> Option<u64> {
        whole_number(self.result_info.get("total_count")?)
    }

    /// Where a list that is read by cursor goes on: newer answers say it at `cursors.after`, older ones at `cursor`.
    pub(super) fn cursor(&self) -> Option<String> {
        let places = ["/cursors/after", "/cursor"];
        let cursors = places.iter().filter_map(|place| self.result_info.pointer(place)?.as_str());
        cursors.map(str::to_owned).find(|cursor| !cursor.is_empty())
    }
}

/// A number of things. Some writers put counts as floating-point numbers.
fn whole_number(value: &Value) -> Option<u64> {
    /// Up to here every whole number has its own floating-point number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    value.as_u64().or_else(|| {
        let number = value.as_f64()?;
        let whole = number.trunc() == number && (0.0..=EXACT).contains(&number);
        // The bounds make the conversion exact.
        whole.then_some(number as u64)
    })
}

fn list_or_null<'de, D: Deserializer<'de>, T: DeserializeOwned>(deserializer: D) -> Result<Vec<T>, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

/// A text that may be missing, or be something else altogether.
fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

/// An address, where there is a valid one.
fn email<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Email>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.parse().ok()))
}

/// A time, where there is a valid one.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Timestamp>, D::Error> {
    Ok(text(deserializer)?.and_then(|text| text.parse().ok()))
}

fn status(text: Option<&str>) -> Option<Status> {
    match text {
        Some("accepted") => Some(Status::Accepted),
        Some("pending") => Some(Status::Pending),
        _ => None,
    }
}

/// A user group.
#[derive(Debug, Deserialize)]
pub(super) struct Group {
    pub id: GroupId,
    name: String,
    #[serde(default, deserialize_with = "time")]
    created_on: Option<Timestamp>,
    /// A group without policies has no such key.
    #[serde(default)]
    policies: Value,
}

impl From<Group> for GroupSummary {
    fn from(wire: Group) -> Self {
        Self { name: GroupName(wire.name.into()), created_on: wire.created_on, grants: grants(&wire.policies) }
    }
}

/// The names of the policies' permission groups. What is there and cannot be read is not passed over in silence.
fn grants(policies: &Value) -> Vec<String> {
    const UNREADABLE: &str = "a permission group that cannot be read";
    /// A longer name is cut.
    const LONGEST_NAME: usize = 200;
    let name = |group: &Value| {
        let name = group.get("name").or_else(|| group.get("id")).and_then(Value::as_str).unwrap_or(UNREADABLE);
        name.chars().take(LONGEST_NAME).collect::<String>()
    };
    let granted = |policy: &Value| match policy.get("permission_groups") {
        Some(Value::Array(groups)) => groups.iter().map(name).collect(),
        _ => vec![UNREADABLE.to_owned()],
    };
    let names: Vec<String> = match policies {
        Value::Null => Vec::new(),
        Value::Array(policies) => policies.iter().flat_map(granted).collect(),
        _ => vec![UNREADABLE.to_owned()],
    };
    let mut seen = BTreeSet::new();
    names.into_iter().filter(|name| seen.insert(name.clone())).collect()
}

/// A member of a group.
#[derive(Debug, Deserialize)]
pub(super) struct GroupMember {
    pub id: MemberId,
    #[serde(default, deserialize_with = "email")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    /// When the member was added to the group; lists do not tell it.
    #[serde(default, deserialize_with = "time")]
    pub created_at: Option<Timestamp>,
}

impl From<GroupMember> for Member {
    fn from(wire: GroupMember) -> Self {
        Self { id: wire.id, status: status(wire.status.as_deref()), email: wire.email }
    }
}

/// A member of the account.
#[derive(Debug, Deserialize)]
pub(super) struct AccountMember {
    pub id: MemberId,
    #[serde(default, deserialize_with = "email")]
    email: Option<Email>,
    #[serde(default, deserialize_with = "text")]
    status: Option<String>,
    #[serde(default, deserialize_with = "member_user")]
    user: MemberUser,
}

/// What an account member tells of the user behind it.
#[derive(Debug, Default)]
struct MemberUser {
    id: Option<UserId>,
    email: Option<Email>,
    two_factor: Option<bool>,
}

impl AccountMember {
    /// The address that the list can be sorted by.
    pub(super) fn sort_key(&self) -> Option<&Email> {
        self.user.email.as_ref().or(self.email.as_ref())
    }

    /// Whether this is whom somebody means by the address. Who declined is not: they may have been invited again.
    pub(super) fn answers_to(&self, email: &Email) -> bool {
        let addresses = [&self.email, &self.user.email];
        self.status() != PersonStatus::Rejected && addresses.into_iter().flatten().any(|address| address == email)
    }

    /// The person.
    pub(super) fn into_person(self) -> Person {
        let status = self.status();
        // Where the two differ in case alone, the member's own spelling stands.
        let mut emails: Vec<Email> = self.email.into_iter().chain(self.user.email).collect();
        emails.sort();
        emails.dedup();
        Person { emails: emails.into(), status, user_id: self.user.id, two_factor: self.user.two_factor }
    }

    fn status(&self) -> PersonStatus {
        /// No state of an invitation needs a longer name.
        const LONGEST: usize = 40;
        match self.status.as_deref() {
            Some("rejected") => PersonStatus::Rejected,
            text => status(text).map_or_else(
                || PersonStatus::Other(super::text::shown(text.unwrap_or("not given"), LONGEST).into()),
                PersonStatus::Known,
            ),
        }
    }
}

/// Every part may be missing or of another type.
fn member_user<'de, D: Deserializer<'de>>(deserializer: D) -> Result<MemberUser, D::Error> {
    let user = Value::deserialize(deserializer)?;
    let text = |key: &str| user.get(key).and_then(Value::as_str);
    Ok(MemberUser {
        id: text("id").and_then(UserId::new),
        email: text("email").and_then(|text| text.parse().ok()),
        two_factor: user.get("two_factor_authentication_enabled").and_then(Value::as_bool),
    })
}

/// The user a token acts for.
#[derive(Debug, Deserialize)]
pub(super) struct User {
    pub id: String,
    #[serde(default, deserialize_with = "email")]
    pub email: Option<Email>,
}

/// The part of a write's answer that may hold the members of the group.
#[derive(Debug, Deserialize)]
pub(super) struct Written {
    result: Vec<GroupMember>,
    #[serde(default)]
    result_info: Value,
}

impl Written {
    /// The members, unless the answer itself says that these are not all, or lists one twice.
    pub(super) fn members(self) -> Option<BTreeSet<MemberId>> {
        let listed = self.result.len();
        let members: BTreeSet<_> = self.result.iter().map(|member| member.id).collect();
        let total = self.result_info.get("total_count").and_then(whole_number).unwrap_or(listed as u64);
        (members.len() == listed && total == listed as u64).then_some(members)
    }
}

/// Somebody in the body of a write.
#[derive(Debug, Serialize)]
pub(super) struct MemberRef {
    pub id: MemberId,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(text: &str) -> serde_json::Result<Page<GroupMember>> {
        serde_json::from_str(text)
    }

    #[test]
    fn an_empty_list_may_be_null_or_missing() {
        for text in [
            r#"{"result": null, "result_info": null}"#,
            r#"{"result": null}"#,
            r#"{}"#,
            r#"{"result": [], "result_info": []}"#,
            r#"{"result": [], "result_info": {"total_count": null}}"#,
        ] {
            let page = page(text).unwrap();
            assert_eq!((page.entries.len(), page.total()), (0, None), "{text}");
        }
    }

    #[test]
    fn a_total_is_a_whole_number_however_it_is_written() {
        let total = |number: &str| page(&format!(r#"{{"result_info": {{"total_count": {number}}}}}"#)).unwrap().total();
        assert_eq!(total("3"), Some(3));
        assert_eq!(total("3.0"), Some(3));
        assert_eq!(total("1e3"), Some(1000));
        assert_eq!(total("1000000000000000000"), Some(1_000_000_000_000_000_000));
        for nonsense in ["-1", "0.5", "1e300", "\"3\"", "{}", "true"] {
            assert_eq!(total(nonsense), None, "{nonsense}");
        }
    }

    #[test]
    fn a_member_may_lack_everything_but_a_valid_id() {
        let member = |text: &str| serde_json::from_str::<GroupMember>(text).map(|wire| (wire.id, Member::from(wire)).1);
        let id = "4f5f0c14a2a41d5063dd301b2f829f04";
        for odd in ["", r#","email":null,"status":7"#, r#","email":"a b","status":"unheard of","created_at":[]"#] {
            let read = member(&format!(r#"{{"id":"{id}"{odd}}}"#)).unwrap();
            assert_eq!(read, Member { id: id.parse().unwrap(), email: None, status: None }, "{odd}");
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
        let email = |text: &str| text.parse::<Email>().unwrap();

        let invited = member(r#","email":"b@x","status":"pending","user":{"id":null,"email":"A@x"}"#);
        assert_eq!(invited.sort_key(), Some(&email("a@x")));
        assert!(invited.answers_to(&email("a@x")) && invited.answers_to(&email("B@x")));
        let person = invited.into_person();
        assert_eq!((person.emails.len(), person.status), (2, PersonStatus::Known(Status::Pending)));

        let twice = member(r#","email":"A@x","user":{"email":"a@X"}"#).into_person();
        assert_eq!(twice.emails.iter().map(Email::as_str).collect::<Vec<_>>(), ["A@x"]);

        let rejected = member(r#","email":"a@x","status":"rejected","user":3"#);
        assert!(!rejected.answers_to(&email("a@x")));
        assert_eq!(rejected.into_person().status, PersonStatus::Rejected);
        assert_eq!(member(r#","status":"new""#).into_person().status, PersonStatus::Other("new".into()));
        assert_eq!(member("").into_person().status, PersonStatus::Other("not given".into()));
    }

    #[test]
    fn errors_of_any_shape_are_read_as_far_as_they_go() {
        let errors = |text: &str| serde_json::from_str::<Envelope>(text).unwrap().errors();
        assert_eq!(errors(r#"{"success":false}"#), []);
        assert_eq!(errors(r#"{"success":false,"errors":null}"#), []);
        let odd = errors(r#"{"success":false,"errors":[3,{},{"code":400,"message":"bad"},{"code":1.5},{"code":9}]}"#);
        assert_eq!(odd, [(400, "bad".to_owned()), (9, "no message".to_owned())]);
    }
}
