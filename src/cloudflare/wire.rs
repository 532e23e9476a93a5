//! The shape of the API's bodies, read as leniently as is safe: what decides who belongs where must be right, the
//! rest may be missing or odd.

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::error::ApiMessage;
use crate::model::{Email, GroupId, GroupName, GroupSummary, Member, MemberId, Person, PersonStatus, Status, UserId};

/// What every answer holds beside the contents of its result.
#[derive(Debug, Deserialize)]
pub(super) struct Envelope {
    #[serde(default)]
    success: Value,
    #[serde(default)]
    errors: Value,
    #[serde(default, deserialize_with = "is_there", rename = "result")]
    has_result: bool,
}

fn is_there<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    serde::de::IgnoredAny::deserialize(deserializer).map(|_| true)
}

impl Envelope {
    pub(super) fn claims_success(&self) -> bool {
        self.success == Value::Bool(true)
    }

    /// Why an answer with status 200 is not one to rely on.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let has_errors = match &self.errors {
            Value::Null => false,
            Value::Array(errors) => !errors.is_empty(),
            _ => true,
        };
        match &self.success {
            Value::Bool(true) if has_errors => Some("it says \"success\": true and has errors"),
            Value::Bool(true) if !self.has_result => Some("it has no \"result\""),
            Value::Bool(true) => None,
            Value::Bool(false) => Some("it says \"success\": false"),
            _ => Some("it has no \"success\""),
        }
    }

    /// The errors: what is not of their shape is passed over.
    pub(super) fn errors(&self) -> Vec<ApiMessage> {
        let entries = self.errors.as_array().map(Vec::as_slice).unwrap_or_default();
        let message = |entry: &Value| {
            let code = entry.get("code").and_then(Value::as_i64).unwrap_or_default();
            let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).map(str::to_owned);
            let message = text("/message");
            (message.is_some() || code != 0).then(|| ApiMessage {
                code,
                message: message.unwrap_or_else(|| "no message".to_owned()),
                pointer: text("/source/pointer"),
                documentation_url: text("/documentation_url"),
            })
        };
        entries.iter().filter_map(message).collect()
    }
}

/// An error of Cloudflare's edge as a problem document (RFC 9457) with Cloudflare's own members.
#[derive(Debug, Deserialize)]
pub(super) struct ProblemDocument {
    #[serde(default, deserialize_with = "text")]
    title: Option<String>,
    #[serde(default, deserialize_with = "text")]
    detail: Option<String>,
    #[serde(default)]
    status: Value,
    #[serde(default)]
    error_code: Value,
    #[serde(default, deserialize_with = "text")]
    error_name: Option<String>,
    #[serde(default, deserialize_with = "text")]
    what_you_should_do: Option<String>,
    #[serde(default)]
    retryable: Value,
    #[serde(default)]
    retry_after: Value,
}

impl ProblemDocument {
    /// What the document says, in a line; `None` where it says nothing.
    pub(super) fn summary(&self) -> Option<String> {
        let Self { title, detail, error_name, what_you_should_do, .. } = self;
        let said: Vec<&str> = [title, detail].into_iter().flatten().map(String::as_str).collect();
        if said.is_empty() {
            return None;
        }
        let number = |name: &str, value: &Value| whole_number(value).map(|number| format!("{name} {number}"));
        let facts = [error_name.clone(), number("error", &self.error_code), number("status", &self.status)];
        let facts: Vec<String> = facts.into_iter().flatten().collect();
        let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
        let advice = what_you_should_do.as_ref().map(|advice| format!("; {advice}")).unwrap_or_default();
        Some(format!("{}{facts}{advice}", said.join(": ")))
    }

    pub(super) fn says_not_to_retry(&self) -> bool {
        self.retryable == Value::Bool(false)
    }

    pub(super) fn retry_after(&self) -> Option<Duration> {
        whole_number(&self.retry_after).map(Duration::from_secs)
    }
}

/// The part of an answer that holds one thing.
#[derive(Deserialize)]
pub(super) struct Single<T> {
    pub result: T,
}

/// The part of an answer that holds a page of a list. The [`Envelope`] has proven that there is a result.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct ListPage<T> {
    /// An empty list can come as `null`.
    #[serde(default = "Vec::new", deserialize_with = "list_or_null", rename = "result")]
    pub rows: Vec<T>,
    #[serde(default)]
    result_info: Value,
}

/// The figures of a page, as far as the answer has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageInfo {
    pub page: Option<u64>,
    pub per_page: Option<u64>,
    /// The rows of this page.
    pub count: Option<u64>,
    /// The rows of all pages.
    pub total_count: Option<u64>,
    pub total_pages: Option<u64>,
}

impl PageInfo {
    /// Reads the figures; they may be written as texts.
    ///
    /// # Errors
    ///
    /// Names the figure that is there and is not a number.
    fn read(info: &Value) -> Result<Self, String> {
        match info {
            Value::Null | Value::Object(_) => {}
            // Some servers write an empty object so.
            Value::Array(entries) if entries.is_empty() => {}
            _ => return Err("its \"result_info\" is not an object".to_owned()),
        }
        let figure = |key: &str| match info.get(key) {
            None | Some(Value::Null) => Ok(None),
            Some(value) => match whole_number(value) {
                Some(number) => Ok(Some(number)),
                None => Err(format!("its {key} is not a number")),
            },
        };
        Ok(Self {
            page: figure("page")?,
            per_page: figure("per_page")?,
            count: figure("count")?,
            total_count: figure("total_count")?,
            total_pages: figure("total_pages")?,
        })
    }
}

impl<T> ListPage<T> {
    /// See [`PageInfo`].
    ///
    /// # Errors
    ///
    /// Names the figure that is there and is not a number.
    pub(super) fn info(&self) -> Result<PageInfo, String> {
        PageInfo::read(&self.result_info)
    }

    /// Where a list that is read by cursor goes on: newer answers say it at `cursors.after`, older ones at `cursor`.
    pub(super) fn cursor(&self) -> Option<String> {
        let places = ["/cursors/after", "/cursor"];
        let cursors = places.iter().filter_map(|place| self.result_info.pointer(place)?.as_str());
        cursors.map(str::to_owned).find(|cursor| !cursor.is_empty())
    }
}

/// A number of things. Some writers put counts as floating-point numbers, or as texts.
fn whole_number(value: &Value) -> Option<u64> {
    /// Up to here every whole number has its own floating-point number.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if let Value::String(text) = value {
        return text.trim().parse().ok();
    }
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

/// The user behind an account member.
#[derive(Debug, Default)]
struct MemberUser {
    id: Option<UserId>,
    email: Option<Email>,
    two_factor: Option<bool>,
}

impl AccountMember {
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

/// The part of a write's answer that may hold the members of the group. The [`Envelope`] has said that the change was
/// made; a result of another shape takes nothing from that.
#[derive(Debug, Deserialize)]
pub(super) struct WriteAnswer {
    #[serde(default)]
    result: Value,
    #[serde(default)]
    result_info: Value,
}

impl WriteAnswer {
    /// The members, unless a figure says that these are not all, or one is listed twice.
    pub(super) fn members(self) -> Option<BTreeSet<MemberId>> {
        let rows: Vec<GroupMember> = serde_json::from_value(self.result).ok()?;
        let PageInfo { page, per_page, count, total_count, total_pages } = PageInfo::read(&self.result_info).ok()?;
        let listed = rows.len() as u64;
        let members: BTreeSet<_> = rows.iter().map(|member| member.id).collect();
        let is_whole = members.len() as u64 == listed
            && count.is_none_or(|count| count == listed)
            && total_count.is_none_or(|total| total == listed)
            && per_page.is_none_or(|per_page| listed <= per_page)
            && page.is_none_or(|page| page == 1)
            && total_pages.is_none_or(|pages| pages <= 1);
        is_whole.then_some(members)
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

    fn page(text: &str) -> serde_json::Result<ListPage<GroupMember>> {
        serde_json::from_str(text)
    }

    #[test]
    fn an_empty_list_may_be_null() {
        for text in [
            r#"{"result": null, "result_info": null}"#,
            r#"{"result": null}"#,
            r#"{"result": [], "result_info": []}"#,
            r#"{"result": [], "result_info": {"total_count": null}}"#,
        ] {
            let page = page(text).unwrap();
            assert_eq!((page.rows.len(), page.info()), (0, Ok(PageInfo::default())), "{text}");
        }
    }

    #[test]
    fn a_figure_is_a_whole_number_however_it_is_written() {
        let total = |number: &str| {
            let page = page(&format!(r#"{{"result_info": {{"total_count": {number}}}}}"#)).unwrap();
            page.info().map(|info| info.total_count)
        };
        for three in ["3", "3.0", "\"3\""] {
            assert_eq!(total(three), Ok(Some(3)), "{three}");
        }
        assert_eq!(total("1e3"), Ok(Some(1000)));
        assert_eq!(total("1000000000000000000"), Ok(Some(1_000_000_000_000_000_000)));
        for nonsense in ["-1", "0.5", "1e300", "\"three\"", "\"\"", "{}", "true"] {
            assert_eq!(total(nonsense), Err("its total_count is not a number".to_owned()), "{nonsense}");
        }
        for nonsense in ["3", "[1]", "\"x\""] {
            assert!(page(&format!(r#"{{"result_info": {nonsense}}}"#)).unwrap().info().is_err(), "{nonsense}");
        }
    }

    #[test]
    fn an_answer_counts_only_without_contradiction() {
        let contradiction = |text: &str| serde_json::from_str::<Envelope>(text).unwrap().contradiction();
        for sound in ["null", "[]"] {
            let text = format!(r#"{{"success":true,"errors":{sound},"result":null}}"#);
            assert_eq!(contradiction(&text), None, "{text}");
        }
        for odd in [
            r#"{"success":true}"#,
            r#"{"success":false,"result":[]}"#,
            r#"{"result":[]}"#,
            r#"{"success":"true","result":[]}"#,
            r#"{"success":true,"errors":[{"code":1}],"result":[]}"#,
            r#"{"success":true,"errors":"none","result":[]}"#,
        ] {
            assert!(contradiction(odd).is_some(), "{odd}");
        }
    }

    #[test]
    fn a_problem_document_is_told_in_a_line() {
        let problem = |text: &str| serde_json::from_str::<ProblemDocument>(text).unwrap();
        let known = problem(
            r#"{"type":"https://x","title":"Error 1015","status":429,"detail":"Rate limited","error_code":1015,
                "error_name":"rate_limited","retryable":false,"retry_after":30,"what_you_should_do":"Wait."}"#,
        );
        assert_eq!(
            known.summary().as_deref(),
            Some("Error 1015: Rate limited (rate_limited, error 1015, status 429); Wait.")
        );
        assert!(known.says_not_to_retry());
        assert_eq!(known.retry_after(), Some(Duration::from_secs(30)));
        assert_eq!(problem(r#"{"title":3,"error_code":[]}"#).summary(), None);
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
        let invited = member(r#","email":"b@x","status":"pending","user":{"id":null,"email":"A@x"}"#);
        let person = invited.into_person();
        assert_eq!((person.emails.len(), person.status), (2, PersonStatus::Known(Status::Pending)));

        let twice = member(r#","email":"A@x","user":{"email":"a@X"}"#).into_person();
        assert_eq!(twice.emails.iter().map(Email::as_str).collect::<Vec<_>>(), ["A@x"]);

        let rejected = member(r#","email":"a@x","status":"rejected","user":3"#);
        assert_eq!(rejected.into_person().status, PersonStatus::Rejected);
        assert_eq!(member(r#","status":"new""#).into_person().status, PersonStatus::Other("new".into()));
        assert_eq!(member("").into_person().status, PersonStatus::Other("not given".into()));
    }

    #[test]
    fn errors_of_any_shape_are_read_as_far_as_they_go() {
        let errors = |text: &str| serde_json::from_str::<Envelope>(text).unwrap().errors();
        assert_eq!(errors(r#"{"success":false}"#), []);
        assert_eq!(errors(r#"{"success":false,"errors":null}"#), []);
        let odd = errors(r#"{"errors":[3,{},{"code":400,"message":"bad","source":1},{"code":1.5},{"code":9}]}"#);
        let told: Vec<_> = odd.iter().map(|error| (error.code, error.message.as_str())).collect();
        assert_eq!(told, [(400, "bad"), (9, "no message")]);
        let full = errors(
            r#"{"errors":[{"code":1,"message":"m","source":{"pointer":"/0/id"},"documentation_url":"https://d"}]}"#,
        );
        assert_eq!(full[0].pointer.as_deref(), Some("/0/id"));
        assert_eq!(full[0].documentation_url.as_deref(), Some("https://d"));
    }
}
