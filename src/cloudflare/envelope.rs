//! The common structure of the API's answers: success, errors, and one object or a page of a list.

use std::time::Duration;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use super::error::ApiMessage;
use super::headers::LONGEST;

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
    pub(super) fn claims_success(&self) -> bool {
        self.success == Value::Bool(true)
    }

    /// Why an answer with status 200 cannot be used.
    pub(super) fn contradiction(&self) -> Option<&'static str> {
        let has_errors = match &self.errors {
            Value::Null => false,
            Value::Array(errors) => !errors.is_empty(),
            _ => true,
        };
        match &self.success {
            Value::Bool(true) if has_errors => Some("it has \"success\": true and errors"),
            Value::Bool(true) if !self.has_result => Some("it has no \"result\""),
            Value::Bool(true) => None,
            Value::Bool(false) => Some("it has \"success\": false"),
            _ => Some("it has no \"success\""),
        }
    }

    /// The errors. Malformed entries are ignored.
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

/// An error of Cloudflare's edge as a problem document (RFC 9457), with Cloudflare's own fields.
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
    /// The document in one line; `None` if it has no text.
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
        whole_number(&self.retry_after).map(|seconds| Duration::from_secs(seconds).min(LONGEST))
    }
}

/// An answer whose result is one object.
#[derive(Deserialize)]
pub(super) struct Single<T> {
    pub result: T,
}

/// An answer whose result is a page of a list. The [`Envelope`] has already checked that there is a result.
#[derive(Debug, Deserialize)]
#[serde(bound = "T: DeserializeOwned")]
pub(super) struct ListPage<T> {
    /// An empty list can be `null`.
    #[serde(default = "Vec::new", deserialize_with = "list_or_null", rename = "result")]
    pub rows: Vec<T>,
    #[serde(default)]
    result_info: Value,
}

/// The figures of a page that the answer has.
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
    /// See [`PageInfo`].
    ///
    /// # Errors
    ///
    /// Names the figure that is present but not a number.
    pub(super) fn info(&self) -> Result<PageInfo, String> {
        PageInfo::read(&self.result_info)
    }

    /// The cursor of the next page: `cursors.after` in newer answers, `cursor` in older ones.
    pub(super) fn cursor(&self) -> Option<String> {
        let places = ["/cursors/after", "/cursor"];
        let cursors = places.iter().filter_map(|place| self.result_info.pointer(place)?.as_str());
        cursors.map(str::to_owned).find(|cursor| !cursor.is_empty())
    }
}

/// A count. Some servers write counts as floating-point numbers or texts.
fn whole_number(value: &Value) -> Option<u64> {
    /// Whole numbers up to this one are exact as floating-point numbers.
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

/// A text that may be missing or have another type.
pub(super) fn text<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<String>, D::Error> {
    Ok(match Value::deserialize(deserializer)? {
        Value::String(text) => Some(text),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

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
            assert_eq!((page.rows.len(), page.info()), (0, Ok(PageInfo::default())), "{text}");
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
    fn errors_of_any_shape_are_read() {
        let errors = |text: &str| serde_json::from_str::<Envelope>(text).unwrap().errors();
        assert_eq!(errors(r#"{"success":false}"#), []);
        assert_eq!(errors(r#"{"success":false,"errors":null}"#), []);
        let odd = errors(r#"{"errors":[3,{},{"code":400,"message":"bad","source":1},{"code":1.5},{"code":9}]}"#);
        let shown: Vec<_> = odd.iter().map(|error| (error.code, error.message.as_str())).collect();
        assert_eq!(shown, [(400, "bad"), (9, "no message")]);
        let full = errors(
            r#"{"errors":[{"code":1,"message":"m","source":{"pointer":"/0/id"},"documentation_url":"https://d"}]}"#,
        );
        assert_eq!(full[0].pointer.as_deref(), Some("/0/id"));
        assert_eq!(full[0].documentation_url.as_deref(), Some("https://d"));
    }
}
