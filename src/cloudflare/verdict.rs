//! Interprets answers: statuses and codes of the API become named outcomes.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::config::Credentials;
use super::envelope::ApiMessage;
use super::envelope::{Envelope, ProblemDocument};
use super::error::ApiErrorKind;
use super::http::{HttpAnswer, Loss};
use super::text::{html_words, shown};

/// The maximum length of an external text in an error.
const MOST_SHOWN: usize = 200;
/// The maximum number of an answer's messages in an error.
const MOST_MESSAGES: usize = 5;
/// The number of bytes of a body that are searched for something to show.
const GLIMPSE: usize = 16 * 1024;
/// Codes that concern credentials, whatever the status is.
const CREDENTIAL_CODES: [i64; 8] = [6003, 9103, 9106, 9107, 9109, 10_000, 10_001, 10_405];

/// The effect of a write whose answer was not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The API evaluated the request and did not apply it.
    Refused,
    /// The API did not receive or evaluate the request.
    NotSent,
    /// The request may or may not have had an effect.
    Unknown,
}

#[derive(Debug)]
pub(super) struct AttemptFailure {
    pub kind: ApiErrorKind,
    pub fate: Fate,
    pub status: Option<u16>,
    pub messages: Vec<ApiMessage>,
    pub detail: Option<String>,
    pub ray: Option<String>,
    pub retry_after: Option<Duration>,
    /// A retry cannot help.
    pub lasting: bool,
}

impl AttemptFailure {
    fn new(kind: ApiErrorKind, fate: Fate) -> Self {
        Self {
            kind,
            fate,
            status: None,
            messages: Vec::new(),
            detail: None,
            ray: None,
            retry_after: None,
            lasting: false,
        }
    }

    /// The next request would have to wait too long.
    pub(super) fn held_back() -> Self {
        Self::new(ApiErrorKind::RateLimited, Fate::NotSent)
    }

    /// The client was stopped.
    pub(super) fn stopped() -> Self {
        Self::new(ApiErrorKind::Stopped, Fate::NotSent)
    }

    fn because(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Interprets answers. It removes the credentials from texts, in case an answer repeats them.
#[derive(Debug)]
pub(super) struct Judge {
    credentials: Credentials,
}

impl Judge {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials }
    }

    /// The result of a success.
    pub(super) fn judge<T: DeserializeOwned>(
        &self,
        reply: Result<HttpAnswer, Loss>,
    ) -> Result<(T, Option<String>), AttemptFailure> {
        let answer = reply.map_err(|loss| self.loss(loss))?;
        let judged = match answer.status {
            200..=299 => self.success(answer.status, answer.body),
            status => Err(self.failure(status, answer.body.as_deref().unwrap_or_default())),
        };
        match judged {
            Ok(result) => Ok((result, answer.ray)),
            Err(failure) => Err(AttemptFailure {
                status: Some(answer.status),
                ray: answer.ray,
                retry_after: answer.retry_after.or(failure.retry_after),
                ..failure
            }),
        }
    }

    /// An answer counts only if nothing in it is contradictory. A contradictory answer proves nothing, not even that
    /// a change was refused.
    fn success<T: DeserializeOwned>(&self, status: u16, body: Result<Vec<u8>, Loss>) -> Result<T, AttemptFailure> {
        let body = body.map_err(|loss| self.loss(loss))?;
        let failure = AttemptFailure::new(ApiErrorKind::Malformed, Fate::Unknown);
        let unreadable = |why: &serde_json::Error| {
            let detail = format!("{}; it begins with: {}", self.fit(&why.to_string()), self.glimpse(&body));
            AttemptFailure::new(ApiErrorKind::Malformed, Fate::Unknown).because(detail)
        };
        let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| unreadable(&error))?;
        if let Some(contradiction) = envelope.contradiction() {
            return Err(AttemptFailure {
                messages: self.messages(&envelope),
                ..failure.because(contradiction.to_owned())
            });
        }
        if status != 200 {
            return Err(failure.because("only status 200 is a complete answer".to_owned()));
        }
        serde_json::from_slice(&body).map_err(|error| unreadable(&error))
    }

    /// The wait that the body of a refusal asks for.
    pub(super) fn wait_in_body(body: &[u8]) -> Option<Duration> {
        serde_json::from_slice::<ProblemDocument>(body).ok()?.retry_after()
    }

    fn failure(&self, status: u16, body: &[u8]) -> AttemptFailure {
        let envelope = serde_json::from_slice::<Envelope>(body).ok();
        let messages = envelope.as_ref().map(|envelope| self.messages(envelope)).unwrap_or_default();
        let problem = serde_json::from_slice::<ProblemDocument>(body).ok();
        let about_credentials = messages.iter().any(|message| CREDENTIAL_CODES.contains(&message.code));
        let (kind, fate) = match status {
            429 => (ApiErrorKind::RateLimited, Fate::NotSent),
            // The server stopped waiting for the request, but it may have received all of it.
            408 => (ApiErrorKind::ServerFault, Fate::Unknown),
            300..=399 => (ApiErrorKind::Redirected, Fate::Refused),
            401 => (ApiErrorKind::Credentials, Fate::Refused),
            400..=499 if about_credentials => (ApiErrorKind::Credentials, Fate::Refused),
            403 if messages.is_empty() => (ApiErrorKind::Credentials, Fate::Refused),
            400 => (ApiErrorKind::Refused, Fate::Refused),
            404 => (ApiErrorKind::NotFound, Fate::Refused),
            402..=499 => (ApiErrorKind::NotAllowed, Fate::Refused),
            _ => (ApiErrorKind::ServerFault, Fate::Unknown),
        };
        // An error that claims success proves nothing about a change.
        let contradicts_itself = fate == Fate::Refused && envelope.is_some_and(|envelope| envelope.claims_success());
        let fate = if contradicts_itself { Fate::Unknown } else { fate };
        let said = problem.as_ref().and_then(ProblemDocument::summary).map(|summary| self.fit(&summary));
        AttemptFailure {
            detail: match said {
                None if messages.is_empty() && !body.is_empty() => Some(self.glimpse(body)),
                said => said,
            },
            retry_after: problem.as_ref().and_then(ProblemDocument::retry_after),
            // The edge cannot set up TLS with the API behind it, which only an administrator can repair.
            // The document of a rate limit says not to retry at once; the limit ends all the same.
            lasting: matches!(status, 525 | 526)
                || (status != 429 && problem.as_ref().is_some_and(ProblemDocument::says_not_to_retry)),
            messages,
            ..AttemptFailure::new(kind, fate)
        }
    }

    fn loss(&self, loss: Loss) -> AttemptFailure {
        match loss {
            Loss::NotConnected { lasting, detail } => {
                let failure = AttemptFailure::new(ApiErrorKind::Unreachable, Fate::NotSent).because(self.fit(&detail));
                AttemptFailure { lasting, ..failure }
            }
            Loss::TimedOut => AttemptFailure::new(ApiErrorKind::TimedOut, Fate::Unknown),
            Loss::Cut(detail) => {
                AttemptFailure::new(ApiErrorKind::Interrupted, Fate::Unknown).because(self.fit(&detail))
            }
            Loss::TooLarge => {
                let failure = AttemptFailure::new(ApiErrorKind::Malformed, Fate::Unknown);
                AttemptFailure {
                    lasting: true,
                    ..failure.because("the body is too large for an answer of the API".to_owned())
                }
            }
        }
    }

    fn messages(&self, envelope: &Envelope) -> Vec<ApiMessage> {
        let fit = |text: String| self.fit(&text);
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
    fn glimpse(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body.get(..GLIMPSE).unwrap_or(body));
        let words = if text.trim_start().starts_with('<') { html_words(&text) } else { text.into_owned() };
        if words.trim().is_empty() { "nothing".to_owned() } else { self.fit(&words) }
    }

    fn fit(&self, text: &str) -> String {
        shown(&self.credentials.redact(text), MOST_SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> AttemptFailure {
        let answer = HttpAnswer {
            status,
            ray: Some("ray-1".to_owned()),
            allowances: Vec::new(),
            retry_after: None,
            body: Ok(body.as_bytes().to_vec()),
        };
        let judge = Judge::new(Credentials::Token("hunter2hunter2".into()));
        judge.judge::<serde_json::Value>(Ok(answer)).unwrap_err()
    }

    fn errors(code: i64) -> String {
        format!(r#"{{"success":false,"errors":[{{"code":{code},"message":"no"}}],"result":null}}"#)
    }

    #[test]
    fn every_documented_refusal_of_credentials_is_known() {
        for (status, code) in [(400, 9106), (400, 6003), (401, 10_000), (401, 1000), (403, 9109), (403, 10_000)] {
            assert_eq!(judged(status, &errors(code)).kind, ApiErrorKind::Credentials, "{status} {code}");
        }
        assert_eq!(judged(403, "<html>").kind, ApiErrorKind::Credentials);
    }

    #[test]
    fn statuses_become_outcomes() {
        let outcome = |status, body: &str| {
            let failure = judged(status, body);
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
        assert!(judged(525, "").lasting && judged(526, "<html>").lasting);
        assert!(!judged(524, "").lasting && !judged(502, r#"{"title":"x","retryable":true}"#).lasting);
        assert!(judged(502, r#"{"title":"x","retryable":false}"#).lasting);
        assert!(!judged(429, r#"{"title":"x","retryable":false}"#).lasting);
    }

    #[test]
    fn errors_inside_a_success_are_shown() {
        let failure = judged(200, r#"{"success":true,"errors":[{"code":7,"message":"half done"}],"result":[]}"#);
        assert_eq!(failure.messages[0].message, "half done");
        assert_eq!(failure.detail.as_deref(), Some("it has \"success\": true and errors"));
    }

    #[test]
    fn a_problem_document_is_shown() {
        let problem =
            r#"{"type":"about:blank","title":"Bad gateway","status":502,"detail":"host error hunter2hunter2"}"#;
        assert_eq!(judged(502, problem).detail.as_deref(), Some("Bad gateway: host error [redacted] (status 502)"));
    }

    #[test]
    fn texts_of_the_api_are_shown_safely() {
        let failure = judged(502, &format!("<html>\r\n\u{1b}[31m hunter2hunter2 {}", "x".repeat(9999)));
        let detail = failure.detail.unwrap();
        assert!(detail.starts_with("\\u{1b}[31m [redacted] xxx"), "{detail}");
        assert!(detail.chars().count() < 250, "{detail}");
        let echoed = r#"{"success":false,"errors":[{"code":1,"message":"bad token hunter2hunter2"}]}"#;
        assert_eq!(judged(400, echoed).messages[0].message, "bad token [redacted]");
    }
}
