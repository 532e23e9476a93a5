//! Interprets answers: statuses and codes of the API become named outcomes, and texts become safe to show.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::call::{Answered, Call};
use super::config::Credentials;
use super::envelope::{Envelope, ProblemDocument};
use super::error::{ApiError, ApiErrorKind, ApiMessage, Fate};
use super::http::{HttpAnswer, TransportError};

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
    reply: Result<HttpAnswer, TransportError>,
) -> Result<Answered<T>, ApiError> {
    let answer = reply.map_err(|error| not_answered(call, credentials, error))?;
    let (status, ray) = (answer.status, answer.ray);
    let classified = match status {
        200..=299 => success(call, credentials, status, answer.body),
        _ => Err(failure(call, credentials, status, answer.body.as_deref().unwrap_or_default())),
    };
    match classified {
        Ok(result) => Ok(Answered { result, ray }),
        Err(error) => {
            let retry_in = answer.retry_after.or(error.retry_in);
            Err(ApiError { status: Some(status), ray, retry_in, ..error })
        }
    }
}

/// The wait that the body of a refusal asks for.
pub(super) fn wait_in_body(body: &[u8]) -> Option<Duration> {
    serde_json::from_slice::<ProblemDocument>(body).ok()?.retry_after()
}

// An answer counts only if nothing in it is contradictory. A contradictory answer proves nothing, not even that a
// change was refused: its fate is unknown, although its status is 200.
fn success<T: DeserializeOwned>(
    call: &Call,
    credentials: &Credentials,
    status: u16,
    body: Result<Vec<u8>, TransportError>,
) -> Result<T, ApiError> {
    let body = body.map_err(|error| not_answered(call, credentials, error))?;
    let malformed = |detail: String| call.error(ApiErrorKind::Malformed, Fate::Unknown).with_detail(detail);
    let unreadable = |why: &serde_json::Error| {
        malformed(format!("{}; it begins with: {}", fit(credentials, &why.to_string()), glimpse(credentials, &body)))
    };
    let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
    if let Some(contradiction) = envelope.contradiction() {
        return Err(ApiError { messages: messages(credentials, &envelope), ..malformed(contradiction.to_owned()) });
    }
    if status != 200 {
        return Err(malformed("only status 200 is a complete answer".to_owned()));
    }
    serde_json::from_slice(&body).map_err(|error| unreadable(&error))
}

fn failure(call: &Call, credentials: &Credentials, status: u16, body: &[u8]) -> ApiError {
    let envelope = serde_json::from_slice::<Envelope>(body).ok();
    let messages = envelope.as_ref().map(|envelope| messages(credentials, envelope)).unwrap_or_default();
    let problem = serde_json::from_slice::<ProblemDocument>(body).ok();
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
    let contradicts_itself = fate == Fate::Refused && envelope.is_some_and(|envelope| envelope.claims_success());
    let fate = if contradicts_itself { Fate::Unknown } else { fate };
    let said = problem.as_ref().and_then(ProblemDocument::summary).map(|summary| fit(credentials, &summary));
    ApiError {
        detail: match said {
            None if messages.is_empty() && !body.is_empty() => Some(glimpse(credentials, body)),
            said => said,
        },
        retry_in: problem.as_ref().and_then(ProblemDocument::retry_after),
        // The edge cannot set up TLS with the API behind it, which only an administrator can repair.
        // The document of a rate limit says not to retry at once; the limit ends all the same.
        lasting: matches!(status, 525 | 526)
            || (status != 429 && problem.as_ref().is_some_and(ProblemDocument::says_not_to_retry)),
        messages,
        ..call.error(kind, fate)
    }
}

/// The error of a call without a complete answer.
fn not_answered(call: &Call, credentials: &Credentials, error: TransportError) -> ApiError {
    match error {
        TransportError::NotConnected { lasting, detail } => {
            let error = call.error(ApiErrorKind::Unreachable, Fate::NotSent).with_detail(fit(credentials, &detail));
            ApiError { lasting, ..error }
        }
        TransportError::TimedOut => call.error(ApiErrorKind::TimedOut, Fate::Unknown),
        TransportError::Cut(detail) => {
            call.error(ApiErrorKind::Interrupted, Fate::Unknown).with_detail(fit(credentials, &detail))
        }
        TransportError::TooLarge => {
            let detail = "the body is too large for an answer of the API".to_owned();
            ApiError { lasting: true, ..call.error(ApiErrorKind::Malformed, Fate::Unknown).with_detail(detail) }
        }
    }
}

fn messages(credentials: &Credentials, envelope: &Envelope) -> Vec<ApiMessage> {
    let fit = |text: String| fit(credentials, &text);
    let shown = envelope.errors().into_iter().take(MOST_MESSAGES);
    let fit_all = |ApiMessage { code, message, pointer, documentation_url }| ApiMessage {
        code,
        message: fit(message),
        pointer: pointer.map(fit),
        documentation_url: documentation_url.map(fit),
    };
    shown.map(fit_all).collect()
}

/// The beginning of a body, or the title or the words of an HTML page.
fn glimpse(credentials: &Credentials, body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body.get(..GLIMPSE).unwrap_or(body));
    let words = if text.trim_start().starts_with('<') { html_words(&text) } else { text.into_owned() };
    if words.trim().is_empty() { "nothing".to_owned() } else { fit(credentials, &words) }
}

fn fit(credentials: &Credentials, text: &str) -> String {
    shown(&credentials.redact(text), MOST_SHOWN)
}

/// The text on one line, without terminal control characters and hidden characters, cut to `most` characters.
pub(super) fn shown(text: &str, most: usize) -> String {
    let mut plain = String::new();
    let mut characters = 0;
    for word in text.split_whitespace() {
        let gap = usize::from(!plain.is_empty());
        if characters + gap >= most {
            plain.push('…');
            break;
        }
        if gap == 1 {
            plain.push(' ');
        }
        characters += gap;
        let mut rest = word.chars();
        for character in rest.by_ref().take(most - characters) {
            plain.push(character);
            characters += 1;
        }
        if rest.next().is_some() {
            plain.push('…');
            break;
        }
    }
    // Quotes need no escape here and are frequent in messages.
    plain.escape_debug().to_string().replace("\\\"", "\"").replace("\\'", "'")
}

/// The text of an HTML page: its title, or the words between its tags.
pub(super) fn html_words(html: &str) -> String {
    let title = element(html, "title").map(|(inside, _)| words(inside));
    title.filter(|title| !title.trim().is_empty()).unwrap_or_else(|| words(html))
}

/// The content of the first element with this name, and the text after it. The end of the text closes an open
/// element.
fn element<'a>(html: &'a str, name: &str) -> Option<(&'a str, &'a str)> {
    // Lower-casing ASCII does not change any position in the text.
    let lower = html.to_ascii_lowercase();
    let begin = lower.find(&format!("<{name}"))?;
    let (_, inside) = html.get(begin..)?.split_once('>')?;
    let end = lower.get(html.len() - inside.len()..)?.find(&format!("</{name}")).unwrap_or(inside.len());
    inside.split_at_checked(end)
}

fn words(html: &str) -> String {
    let mut words = String::new();
    let mut rest = html;
    while let Some((before, tag)) = rest.split_once('<') {
        words.push_str(before);
        words.push(' ');
        let is = |name: &&str| tag.get(..name.len()).is_some_and(|start| start.eq_ignore_ascii_case(name));
        let hidden = ["script", "style"].into_iter().find(is);
        let element = hidden.and_then(|name| element(rest.get(before.len()..)?, name));
        rest = match element {
            // Hidden content ends with a tag, which the next iteration skips.
            Some((_, after)) => after,
            None => tag.split_once('>').map_or("", |(_, after)| after),
        };
    }
    words.push_str(rest);
    let entities = [("&nbsp;", " "), ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#39;", "'"), ("&amp;", "&")];
    entities.into_iter().fold(words, |words, (entity, character)| words.replace(entity, character))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cloudflare::retry::Retry;

    fn error(status: u16, body: &str) -> ApiError {
        let answer = HttpAnswer {
            status,
            ray: Some("ray-1".to_owned()),
            allowances: Vec::new(),
            retry_after: None,
            body: Ok(body.as_bytes().to_vec()),
        };
        let (call, credentials) = (Call::sample(Retry::Unsent), Credentials::Token("hunter2hunter2".into()));
        classify::<serde_json::Value>(&call, &credentials, Ok(answer)).unwrap_err()
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
        let title = "<!DOCTYPE html><HTML><Head><TITLE lang=en>502 &amp; more</TITLE><style>p { x }</style></Head>text";
        assert_eq!(html_words(title), "502 & more");
        let words = "<html><title> </title><script>var a = '<b>';</script><h1>Bad <b>gateway</b></h1><style>x";
        assert_eq!(html_words(words).split_whitespace().collect::<Vec<_>>(), ["Bad", "gateway"]);
        for odd in ["<", "<title", "<title>", "<script", "<é</title>", "a<b", "<style></style", "<title>é</TITLE"] {
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
}
