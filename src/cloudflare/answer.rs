//! What an answer says: the common structure of the API's answers, and the outcome that a status and its codes mean.
//! Texts of an answer become safe to show.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use tokio::time::Instant;

use super::call::{Answered, Call};
use super::config::Credentials;
use super::error::{ApiError, ApiErrorKind, ApiMessage, Fate};
use super::http::{HttpAnswer, LONGEST};
use super::wire::ApiOperation;

/// The maximum length of an external text in an error.
const MOST_SHOWN: usize = 200;
/// The maximum number of an answer's messages in an error.
const MOST_MESSAGES: usize = 5;
/// The number of bytes of a body that are searched for something to show.
const GLIMPSE: usize = 16 * 1024;
/// Codes that concern credentials, whatever the status is.
const CREDENTIAL_CODES: [i64; 8] = [6003, 9103, 9106, 9107, 9109, 10_000, 10_001, 10_405];

/// The result of a call's answer. Credentials are removed from texts, in case an answer repeats them.
pub(super) fn classify<T: DeserializeOwned>(
    call: &Call,
    credentials: &Credentials,
    began: Instant,
    reply: Result<HttpAnswer, ApiError>,
) -> Result<Answered<T>, ApiError> {
    let answer = reply?;
    let (status, ray) = (answer.status, answer.ray);
    let classified = match status {
        200..=299 => success(call, credentials, status, answer.body),
        _ => Err(failure(call, credentials, status, answer.body.as_deref().unwrap_or_default())),
    };
    match classified {
        Ok(result) => Ok(Answered { result, ray, began }),
        Err(error) => {
            let retry_in = answer.retry_after.or(error.retry_in).filter(|_| !error.lasting);
            Err(ApiError { status: Some(status), ray, retry_in, ..error })
        }
    }
}

/// The wait that the body of a refusal asks for.
pub(super) fn wait_in_body(body: &[u8]) -> Option<Duration> {
    retry_after(&serde_json::from_slice(body).ok()?)
}

// An answer counts only if nothing in it is contradictory. A contradictory answer proves nothing, not even that a
// change was refused: its fate is unknown, although its status is 200.
fn success<T: DeserializeOwned>(
    call: &Call,
    credentials: &Credentials,
    status: u16,
    body: Result<Vec<u8>, ApiError>,
) -> Result<T, ApiError> {
    let body = body?;
    let malformed = |detail: String| call.error(ApiErrorKind::Malformed, Fate::Unknown).with_detail(detail);
    let unreadable = |why: &serde_json::Error| {
        malformed(format!("{}; it begins with: {}", fit(credentials, &why.to_string()), glimpse(credentials, &body)))
    };
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    // SCIM has a form of its own, without the usual envelope.
    if call.operation != ApiOperation::ListScimGroups
        && let Some(contradiction) = envelope.contradiction()
    {
        return Err(ApiError {
            messages: messages(credentials, &envelope.errors),
            ..malformed(contradiction.to_owned())
        });
    }
    if status != 200 {
        return Err(malformed("only status 200 is a complete answer".to_owned()));
    }
    serde_json::from_slice(&body).map_err(|error| unreadable(&error))
}

fn failure(call: &Call, credentials: &Credentials, status: u16, body: &[u8]) -> ApiError {
    // The usual envelope, or an error of Cloudflare's edge as a problem document (RFC 9457).
    let document: Value = serde_json::from_slice(body).unwrap_or_default();
    let has = |key: &str, value: bool| document.get(key) == Some(&Value::Bool(value));
    let messages = document.get("errors").map(|errors| messages(credentials, errors)).unwrap_or_default();
    let about_credentials = messages.iter().any(|message| CREDENTIAL_CODES.contains(&message.code));
    let (kind, fate) = match status {
        429 => (ApiErrorKind::RateLimited, Fate::NotSent),
        // The server stopped waiting for the request, but it may have received all of it.
        408 => (ApiErrorKind::ServerFault, Fate::Unknown),
        300..=399 => (ApiErrorKind::Redirected, Fate::Refused),
        401 => (ApiErrorKind::Credentials, Fate::Refused),
        400..=499 if about_credentials => (ApiErrorKind::Credentials, Fate::Refused),
        // A 403 on a change may concern the group. On a read it concerns the credentials.
        403 if messages.is_empty() || call.retry.reads() => (ApiErrorKind::Credentials, Fate::Refused),
        400 => (ApiErrorKind::Refused, Fate::Refused),
        404 => (ApiErrorKind::NotFound, Fate::Refused),
        402..=499 => (ApiErrorKind::NotAllowed, Fate::Refused),
        _ => (ApiErrorKind::ServerFault, Fate::Unknown),
    };
    // An error that claims success proves nothing about a change.
    let fate = if fate == Fate::Refused && has("success", true) { Fate::Unknown } else { fate };
    let said = summary(&document).map(|summary| fit(credentials, &summary));
    ApiError {
        detail: match said {
            None if messages.is_empty() && !body.is_empty() => Some(glimpse(credentials, body)),
            said => said,
        },
        retry_in: retry_after(&document),
        // The edge cannot set up TLS with the API behind it, which only an administrator can repair.
        // The document of a rate limit says not to retry at once; the limit ends all the same.
        lasting: matches!(status, 525 | 526) || (status != 429 && has("retryable", false)),
        messages,
        ..call.error(kind, fate)
    }
}

/// The beginning of a body, or the title or the words of an HTML page.
fn glimpse(credentials: &Credentials, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..GLIMPSE).unwrap_or(body));
    let words = if text.trim_start().starts_with('<') { html_words(&text) } else { text.into_owned() };
    if words.trim().is_empty() { "nothing".to_owned() } else { fit(credentials, &words) }
}

pub(super) fn fit(credentials: &Credentials, text: &str) -> String {
    shown(&credentials.redact(text), MOST_SHOWN)
}

/// The text on one line, without terminal control characters and hidden characters, cut to `most` characters.
pub(super) fn shown(text: &str, most: usize) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    let cut = line.char_indices().nth(most).and_then(|(end, _)| line.get(..end));
    let plain = cut.map(|start| format!("{}…", start.trim_end())).unwrap_or(line);
    // Quotes need no escape here and are frequent in messages.
    plain.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// The text of an HTML page: its title, or the words between its tags.
fn html_words(html: &str) -> String {
    let parts = html.split('<').filter_map(|part| part.split_once('>'));
    let is_title = |(tag, text): &(&str, &str)| {
        tag.get(..5).is_some_and(|name| name.eq_ignore_ascii_case("title")) && !text.trim().is_empty()
    };
    match parts.clone().find(is_title) {
        Some((_, title)) => title.to_owned(),
        None => parts.map(|(_, text)| text).collect::<Vec<_>>().join(" "),
    }
}

/// The fields of every answer except its result.
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
    /// Why an answer with status 200 cannot be used.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let has_errors = !self.errors.is_null() && self.errors.as_array().is_none_or(|errors| !errors.is_empty());
        match &self.success {
            Value::Bool(true) if has_errors => Some("it has \"success\": true and errors"),
            Value::Bool(true) if !self.has_result => Some("it has no \"result\""),
            Value::Bool(true) => None,
            Value::Bool(false) => Some("it has \"success\": false"),
            _ => Some("it has no \"success\""),
        }
    }
}

fn messages(credentials: &Credentials, errors: &Value) -> Vec<ApiMessage> {
    let message = |entry: &Value| {
        let code = entry.get("code").and_then(Value::as_i64).unwrap_or_default();
        let text = |pointer: &str| entry.pointer(pointer).and_then(Value::as_str).map(|text| fit(credentials, text));
        let message = text("/message");
        (message.is_some() || code != 0).then(|| ApiMessage {
            code,
            message: message.unwrap_or_else(|| "no message".to_owned()),
            pointer: text("/source/pointer"),
            documentation_url: text("/documentation_url"),
        })
    };
    errors.as_array().into_iter().flatten().filter_map(message).take(MOST_MESSAGES).collect()
}

/// A problem document in one line, with Cloudflare's own fields; `None` if it has no text.
fn summary(document: &Value) -> Option<String> {
    let text = |key: &str| document.get(key)?.as_str();
    let said: Vec<&str> = ["title", "detail"].into_iter().filter_map(text).collect();
    if said.is_empty() {
        return None;
    }
    let number = |name: &str, key: &str| Some(format!("{name} {}", whole_number(document.get(key)?)?));
    let facts = [text("error_name").map(str::to_owned), number("error", "error_code"), number("status", "status")];
    let facts: Vec<String> = facts.into_iter().flatten().collect();
    let facts = if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) };
    let advice = text("what_you_should_do").map(|advice| format!("; {advice}")).unwrap_or_default();
    Some(format!("{}{facts}{advice}", said.join(": ")))
}

/// The wait that a problem document asks for.
fn retry_after(document: &Value) -> Option<Duration> {
    whole_number(document.get("retry_after")?).map(|seconds| Duration::from_secs(seconds).min(LONGEST))
}

/// The body of an answer. The [`Envelope`] has already checked that there is a result.
#[derive(Debug, Deserialize)]
pub struct RawAnswer<T = Value> {
    pub result: T,
    #[serde(default)]
    pub result_info: Value,
}

/// A page of a list. An empty list can be `null`.
pub type ListPage<T> = RawAnswer<Option<Vec<T>>>;

/// The figures of a page that the answer has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PageInfo {
    pub page: Option<u64>,
    pub per_page: Option<u64>,
    pub count: Option<u64>,
    pub total_count: Option<u64>,
    pub total_pages: Option<u64>,
}

impl PageInfo {
    /// Reads the figures. They may be written as texts.
    ///
    /// # Errors
    ///
    /// Names the figure that is present but not a number.
    pub(super) fn read(info: &Value) -> Result<Self, String> {
        match info {
            Value::Null | Value::Object(_) => {}
            // Some servers write an empty object as an empty array.
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
    pub fn rows(&self) -> &[T] {
        self.result.as_deref().unwrap_or_default()
    }

    pub(super) fn info(&self) -> Result<PageInfo, String> {
        PageInfo::read(&self.result_info)
    }

    /// The cursor of the next page: `cursors.after` in newer answers, `cursor` in older ones.
    pub fn cursor(&self) -> Option<String> {
        let places = ["/cursors/after", "/cursor"];
        let cursors = places.iter().filter_map(|place| self.result_info.pointer(place)?.as_str());
        cursors.map(str::to_owned).find(|cursor| !cursor.is_empty())
    }
}

/// A count. Some servers write counts as floating-point numbers or texts.
fn whole_number(value: &Value) -> Option<u64> {
    /// Whole numbers up to this one are exact as floating-point numbers.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let whole = value.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=EXACT).contains(number));
    // The bounds make the conversion exact.
    value.as_u64().or_else(|| value.as_str()?.trim().parse().ok()).or(whole.map(|number| number as u64))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::retry::Retry;

    fn error(status: u16, body: &str) -> ApiError {
        let answer = HttpAnswer {
            status,
            ray: Some("ray-1".to_owned()),
            date: None,
            allowances: Vec::new(),
            retry_after: None,
            body: Ok(body.as_bytes().to_vec()),
        };
        let (call, credentials) = (Call::sample(Retry::Unsent), Credentials::Token("hunter2hunter2".into()));
        classify::<serde_json::Value>(&call, &credentials, Instant::now(), Ok(answer)).unwrap_err()
    }

    fn errors(code: i64) -> String {
        format!(r#"{{"success":false,"errors":[{{"code":{code},"message":"no"}}],"result":null}}"#)
    }

    #[test]
    fn every_documented_refusal_of_credentials_is_known() {
        for (status, code) in [(400, 9106), (400, 6003), (401, 10_000), (401, 1000), (403, 9109), (403, 10_000)] {
            assert_eq!(error(status, &errors(code)).kind, ApiErrorKind::Credentials, "{status} {code}");
        }
        assert_eq!(error(403, "<html>").kind, ApiErrorKind::Credentials);
    }

    #[test]
    fn statuses_become_outcomes() {
        let outcome = |status, body: &str| {
            let failure = error(status, body);
            (failure.kind, failure.fate)
        };
        assert_eq!(outcome(400, &errors(400)), (ApiErrorKind::Refused, Fate::Refused));
        assert_eq!(outcome(403, &errors(1234)), (ApiErrorKind::NotAllowed, Fate::Refused));
        assert_eq!(outcome(409, &errors(1234)), (ApiErrorKind::NotAllowed, Fate::Refused));
        assert_eq!(outcome(405, "<html>"), (ApiErrorKind::NotAllowed, Fate::Refused));
        assert_eq!(outcome(404, &errors(1003)), (ApiErrorKind::NotFound, Fate::Refused));
        assert_eq!(outcome(400, r#"{"success":true,"result":[]}"#), (ApiErrorKind::Refused, Fate::Unknown));
        assert_eq!(outcome(200, &errors(1000)), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(200, &errors(10_000)), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(206, r#"{"success":true,"result":[]}"#), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(200, r#"{"success":true}"#), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(302, ""), (ApiErrorKind::Redirected, Fate::Refused));
        assert_eq!(outcome(429, "slow down"), (ApiErrorKind::RateLimited, Fate::NotSent));
        assert_eq!(outcome(408, ""), (ApiErrorKind::ServerFault, Fate::Unknown));
        assert_eq!(outcome(522, "<html>"), (ApiErrorKind::ServerFault, Fate::Unknown));
        assert_eq!(outcome(200, "<html>"), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(200, "{}"), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(200, ""), (ApiErrorKind::Malformed, Fate::Unknown));
    }

    #[test]
    fn origin_tls_failures_are_not_retried() {
        assert!(error(525, "").lasting && error(526, "<html>").lasting);
        assert!(!error(524, "").lasting && !error(502, r#"{"title":"x","retryable":true}"#).lasting);
        assert!(error(502, r#"{"title":"x","retryable":false}"#).lasting);
        assert!(!error(429, r#"{"title":"x","retryable":false}"#).lasting);
    }

    #[test]
    fn errors_inside_a_success_are_shown() {
        let failure = error(200, r#"{"success":true,"errors":[{"code":7,"message":"half done"}],"result":[]}"#);
        assert_eq!(failure.messages[0].message, "half done");
        assert_eq!(failure.detail.as_deref(), Some("it has \"success\": true and errors"));
    }

    #[test]
    fn a_problem_document_is_shown() {
        let problem =
            r#"{"type":"about:blank","title":"Bad gateway","status":502,"detail":"host error hunter2hunter2"}"#;
        assert_eq!(error(502, problem).detail.as_deref(), Some("Bad gateway: host error [redacted] (status 502)"));
    }

    #[test]
    fn texts_of_the_api_are_shown_safely() {
        let failure = error(502, &format!("<html>\r\n\u{1b}[31m hunter2hunter2 {}", "x".repeat(9999)));
        let detail = failure.detail.unwrap();
        assert!(detail.starts_with("\\u{1b}[31m [redacted] xxx"), "{detail}");
        assert!(detail.chars().count() < 250, "{detail}");
        let echoed = r#"{"success":false,"errors":[{"code":1,"message":"bad token hunter2hunter2"}]}"#;
        assert_eq!(error(400, echoed).messages[0].message, "bad token [redacted]");
    }

    #[test]
    fn terminal_control_characters_are_escaped() {
        assert_eq!(shown("a\u{1b}[2Jb", 100), "a\\u{1b}[2Jb");
        assert_eq!(shown("abc\u{202e}def", 100), "abc\\u{202e}def");
        assert_eq!(shown("it's \"odd\"", 100), "it's \"odd\"");
    }

    #[test]
    fn html_page_is_shown_as_title_or_words() {
        let title = "<!DOCTYPE html><HTML><Head><TITLE lang=en>502 or more</TITLE><style>p { x }</style></Head>text";
        assert_eq!(html_words(title), "502 or more");
        let words = "<html><title> </title><h1>Bad <b>gateway</b></h1>";
        assert_eq!(html_words(words).split_whitespace().collect::<Vec<_>>(), ["Bad", "gateway"]);
        for odd in ["<", "<title", "<title>", "<é</title>", "a<b", "<titl>é</TITLE"] {
            html_words(odd);
        }
    }

    #[test]
    fn shown_text_is_one_short_line() {
        assert_eq!(shown("  one\r\n two\tthree ", 100), "one two three");
        assert_eq!(shown("one two three", 7), "one two…");
        assert_eq!(shown("one two three", 3), "one…");
        assert_eq!(shown("onetwo", 3), "one…");
        assert_eq!(shown("one", 3), "one");
        assert!(shown(&"é".repeat(100_000), 200).chars().count() <= 201);
    }

    fn page(text: &str) -> serde_json::Result<ListPage<Value>> {
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
            assert_eq!((page.rows().len(), page.info()), (0, Ok(PageInfo::default())), "{text}");
        }
    }

    #[test]
    fn whole_numbers_are_read_in_any_notation() {
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
    fn problem_document_is_shown_on_one_line() {
        let problem = |text: &str| serde_json::from_str::<Value>(text).unwrap();
        let known = problem(
            r#"{"type":"https://x","title":"Error 1015","status":429,"detail":"Rate limited","error_code":1015,
                "error_name":"rate_limited","retryable":false,"retry_after":30,"what_you_should_do":"Wait."}"#,
        );
        assert_eq!(
            summary(&known).as_deref(),
            Some("Error 1015: Rate limited (rate_limited, error 1015, status 429); Wait.")
        );
        assert_eq!(retry_after(&known), Some(Duration::from_secs(30)));
        assert_eq!(summary(&problem(r#"{"title":3,"error_code":[]}"#)), None);
    }

    #[test]
    fn errors_of_any_shape_are_read() {
        let credentials = Credentials::Token("hunter2hunter2".into());
        let errors = |text: &str| messages(&credentials, &serde_json::from_str(text).unwrap());
        assert_eq!(errors("null"), []);
        assert_eq!(errors("{}"), []);
        let odd = errors(r#"[3,{},{"code":400,"message":"bad","source":1},{"code":1.5},{"code":9}]"#);
        let shown: Vec<_> = odd.iter().map(|error| (error.code, error.message.as_str())).collect();
        assert_eq!(shown, [(400, "bad"), (9, "no message")]);
        let full = errors(r#"[{"code":1,"message":"m","source":{"pointer":"/0/id"},"documentation_url":"https://d"}]"#);
        assert_eq!(full[0].pointer.as_deref(), Some("/0/id"));
        assert_eq!(full[0].documentation_url.as_deref(), Some("https://d"));
    }
}
