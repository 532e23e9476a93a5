//! What an answer means: where statuses and codes of the API become named outcomes.

use std::time::Duration;

use serde::de::DeserializeOwned;

use super::config::Credentials;
use super::error::{ApiErrorKind, ApiMessage};
use super::http::{Answer, Loss};
use super::text::shown;
use super::wire::Envelope;

/// The most characters of a text from outside that an error shows.
const MOST_SHOWN: usize = 200;
/// The most messages of an answer that an error shows.
const MOST_MESSAGES: usize = 5;
/// The bytes of a body that are looked at to show something of it.
const GLIMPSE: usize = 2048;
/// Codes that speak of credentials whatever the status is.
const CREDENTIAL_CODES: [i64; 8] = [6003, 9103, 9106, 9107, 9109, 10_000, 10_001, 10_405];

/// What became of a write whose answer was not a success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// The API looked at it and did not do it.
    Refused,
    /// The API never looked at it.
    NotSent,
    /// It may have happened or not.
    Unknown,
}

/// Why an attempt did not succeed.
#[derive(Debug)]
pub(super) struct Failure {
    pub kind: ApiErrorKind,
    pub fate: Fate,
    pub status: Option<u16>,
    pub messages: Vec<ApiMessage>,
    pub detail: Option<String>,
    pub ray: Option<String>,
    pub retry_after: Option<Duration>,
    /// Asking again cannot help.
    pub lasting: bool,
}

impl Failure {
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

    /// Nothing further is to be sent.
    pub(super) fn stopped() -> Self {
        Self::new(ApiErrorKind::Stopped, Fate::NotSent)
    }

    fn because(mut self, detail: String) -> Self {
        self.detail = Some(detail);
        self
    }
}

/// Judges what came of attempts, without repeating the credentials should an answer hold them.
#[derive(Debug)]
pub(super) struct Judge {
    credentials: Credentials,
}

impl Judge {
    pub(super) fn new(credentials: Credentials) -> Self {
        Self { credentials }
    }

    /// The result of a success, as the body holds it.
    pub(super) fn judge<T: DeserializeOwned>(
        &self,
        reply: Result<Answer, Loss>,
    ) -> Result<(T, Option<String>), Failure> {
        let answer = reply.map_err(|loss| self.loss(loss))?;
        let judged = match answer.status {
            200..=299 => self.success(answer.body),
            status => Err(self.failure(status, answer.body.as_deref().unwrap_or_default())),
        };
        match judged {
            Ok(result) => Ok((result, answer.ray)),
            Err(failure) => Err(Failure {
                status: Some(answer.status),
                ray: answer.ray,
                retry_after: answer.retry_after,
                ..failure
            }),
        }
    }

    fn success<T: DeserializeOwned>(&self, body: Result<Vec<u8>, Loss>) -> Result<T, Failure> {
        let body = body.map_err(|loss| self.loss(loss))?;
        let malformed = |why: &serde_json::Error| {
            let detail = format!("{}; it begins with: {}", self.fit(&why.to_string()), self.glimpse(&body));
            Failure::new(ApiErrorKind::Malformed, Fate::Unknown).because(detail)
        };
        let envelope: Envelope = serde_json::from_slice(&body).map_err(|error| malformed(&error))?;
        if !envelope.success {
            return Err(self.refusal(200, &envelope));
        }
        serde_json::from_slice(&body).map_err(|error| malformed(&error))
    }

    fn failure(&self, status: u16, body: &[u8]) -> Failure {
        let envelope = serde_json::from_slice::<Envelope>(body).ok();
        let failure = match (status, &envelope) {
            (429, _) => Failure::new(ApiErrorKind::RateLimited, Fate::NotSent),
            // The server gave up waiting for the request: it may have seen all of it.
            (408, _) => Failure::new(ApiErrorKind::ServerFault, Fate::Unknown),
            (300..=399, _) => Failure::new(ApiErrorKind::Redirected, Fate::Refused),
            (400..=499, Some(envelope)) => self.refusal(status, envelope),
            (401 | 403, None) => Failure::new(ApiErrorKind::Credentials, Fate::Refused),
            (404, None) => Failure::new(ApiErrorKind::NotFound, Fate::Refused),
            (400..=499, None) => Failure::new(ApiErrorKind::Refused, Fate::Refused),
            _ => Failure::new(ApiErrorKind::ServerFault, Fate::Unknown),
        };
        match envelope {
            Some(envelope) => Failure { messages: self.messages(&envelope), ..failure },
            None if body.is_empty() => failure,
            None => failure.because(self.glimpse(body)),
        }
    }

    fn refusal(&self, status: u16, envelope: &Envelope) -> Failure {
        let messages = self.messages(envelope);
        let about_credentials = messages.iter().any(|message| CREDENTIAL_CODES.contains(&message.code));
        let kind = match status {
            _ if about_credentials => ApiErrorKind::Credentials,
            401 => ApiErrorKind::Credentials,
            403 if messages.is_empty() => ApiErrorKind::Credentials,
            404 => ApiErrorKind::NotFound,
            _ => ApiErrorKind::Refused,
        };
        Failure { messages, ..Failure::new(kind, Fate::Refused) }
    }

    fn loss(&self, loss: Loss) -> Failure {
        match loss {
            Loss::NotConnected { lasting, detail } => {
                let failure = Failure::new(ApiErrorKind::Unreachable, Fate::NotSent).because(self.fit(&detail));
                Failure { lasting, ..failure }
            }
            Loss::TimedOut => Failure::new(ApiErrorKind::TimedOut, Fate::Unknown),
            Loss::Cut(detail) => Failure::new(ApiErrorKind::Interrupted, Fate::Unknown).because(self.fit(&detail)),
            Loss::TooLarge => {
                let failure = Failure::new(ApiErrorKind::Malformed, Fate::Unknown);
                Failure { lasting: true, ..failure.because("it is larger than anything the API says".to_owned()) }
            }
        }
    }

    fn messages(&self, envelope: &Envelope) -> Vec<ApiMessage> {
        let shown = envelope.errors().into_iter().take(MOST_MESSAGES);
        shown.map(|(code, message)| ApiMessage { code, message: self.fit(&message) }).collect()
    }

    /// The beginning of a body.
    fn glimpse(&self, body: &[u8]) -> String {
        let text = String::from_utf8_lossy(body.get(..GLIMPSE).unwrap_or(body));
        if text.trim().is_empty() { "nothing".to_owned() } else { self.fit(&text) }
    }

    fn fit(&self, text: &str) -> String {
        shown(&self.credentials.redact(text), MOST_SHOWN)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(status: u16, body: &str) -> Failure {
        let answer = Answer {
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
        assert_eq!(judged(200, &errors(10_000)).kind, ApiErrorKind::Credentials);
    }

    #[test]
    fn statuses_become_outcomes() {
        let outcome = |status, body: &str| {
            let failure = judged(status, body);
            (failure.kind, failure.fate)
        };
        assert_eq!(outcome(400, &errors(400)), (ApiErrorKind::Refused, Fate::Refused));
        assert_eq!(outcome(403, &errors(1234)), (ApiErrorKind::Refused, Fate::Refused));
        assert_eq!(outcome(404, &errors(1003)), (ApiErrorKind::NotFound, Fate::Refused));
        assert_eq!(outcome(200, &errors(1000)), (ApiErrorKind::Refused, Fate::Refused));
        assert_eq!(outcome(302, ""), (ApiErrorKind::Redirected, Fate::Refused));
        assert_eq!(outcome(429, "slow down"), (ApiErrorKind::RateLimited, Fate::NotSent));
        assert_eq!(outcome(408, ""), (ApiErrorKind::ServerFault, Fate::Unknown));
        assert_eq!(outcome(522, "<html>"), (ApiErrorKind::ServerFault, Fate::Unknown));
        assert_eq!(outcome(200, "<html>"), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(200, "{}"), (ApiErrorKind::Malformed, Fate::Unknown));
        assert_eq!(outcome(200, ""), (ApiErrorKind::Malformed, Fate::Unknown));
    }

    #[test]
    fn what_the_other_side_says_is_shown_without_its_teeth() {
        let failure = judged(502, &format!("<html>\r\n\u{1b}[31m hunter2hunter2 {}", "x".repeat(9999)));
        let detail = failure.detail.unwrap();
        assert!(detail.starts_with("<html> \\u{1b}[31m [redacted] xxx"), "{detail}");
        assert!(detail.chars().count() < 250, "{detail}");
        let echoed = r#"{"success":false,"errors":[{"code":1,"message":"bad token hunter2hunter2"}]}"#;
        assert_eq!(judged(400, echoed).messages[0].message, "bad token [redacted]");
    }
}
