//! The API's answers: the envelope, errors with their codes, and the bytes of a response.

use std::io;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, DATE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use jiff::fmt::rfc2822::DateTimePrinter;
use serde::Serialize;
use serde_json::{Map, Value, json};

use super::fault::{Contradiction, Cut, Fault, Respond, contradict};
use crate::model::MemberId;

/// The answer to a request, true or not. It becomes bytes in [`Reply::into_response`].
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    status: u16,
    content_type: &'static str,
    /// A text is sent unchanged, anything else as JSON.
    body: Value,
    headers: Vec<(HeaderName, String)>,
    /// Where the connection is closed. Except in the body, the client receives nothing.
    cut: Option<Cut>,
    /// Whether the request changed the account.
    pub(crate) effect: bool,
}

impl Reply {
    fn json(status: u16, body: Value) -> Self {
        Self { status, content_type: "application/json", body, headers: Vec::new(), cut: None, effect: false }
    }

    pub(crate) fn read(result: Value) -> Self {
        Self::json(200, json!({ "success": true, "errors": [], "messages": [], "result": result }))
    }

    pub(crate) fn list(entries: Value, result_info: Value) -> Self {
        let reply = Self::read(entries);
        Self { body: with(reply.body, "result_info", Some(result_info)), ..reply }
    }

    pub(crate) fn written(result: Value, effect: bool) -> Self {
        Self { effect, ..Self::read(result) }
    }

    /// An answer in SCIM's form, without the usual envelope.
    pub(crate) fn scim(body: Value) -> Self {
        Self { content_type: "application/scim+json", ..Self::json(200, body) }
    }

    pub(crate) fn result(&self) -> &Value {
        self.body.get("result").unwrap_or(&Value::Null)
    }

    pub(crate) fn error(status: u16, code: u32, message: impl Into<String>) -> Self {
        let error = json!({ "code": code, "message": message.into() });
        Self::json(status, json!({ "success": false, "errors": [error], "messages": [], "result": null }))
    }

    pub(crate) fn with_header(mut self, name: HeaderName, value: impl ToString) -> Self {
        self.headers.push((name, value.to_string()));
        self
    }

    pub(crate) fn unroutable(status: u16, path: &str) -> Self {
        Self::error(status, 7003, format!("Could not route to {path}, perhaps your object identifier is invalid?"))
    }

    pub(crate) fn no_group() -> Self {
        Self::error(404, 404, "User group not found")
    }

    /// An account member who is not in the group.
    pub(crate) fn not_in_group() -> Self {
        Self::error(404, 404, "Member not found in user group")
    }

    /// A query or a body that the API's reference does not allow.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::error(400, 1001, message)
    }

    pub(crate) fn invalid_member(message: impl std::fmt::Display) -> Self {
        Self::error(400, 400, format!("invalid member: {message}"))
    }

    pub(crate) fn policy_invalid() -> Self {
        Self::error(400, 400, "Policy validation failed")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::error(401, 1000, "Invalid API Token")
    }

    pub(crate) fn nothing() -> Self {
        Self { cut: Some(Cut::After), ..Self::json(200, Value::Null) }
    }

    pub(crate) fn other(respond: &Respond, accepts_json: bool) -> Self {
        // A status below 200 would not end the exchange.
        let status = StatusCode::from_u16(respond.status).ok().filter(|status| !status.is_informational());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let (code, reason) = (status.as_u16(), status.canonical_reason().unwrap_or("Unknown Error"));
        let reply = if respond.html || (respond.edge && !accepts_json) {
            let head = format!("<head><title>{status}</title></head>");
            let page = format!("<!DOCTYPE html>\n<html>{head}<body><h1>Error {status}</h1></body></html>\n");
            Self { content_type: "text/html; charset=UTF-8", ..Self::json(code, page.into()) }
        } else if respond.edge {
            Self { content_type: "application/problem+json", ..Self::json(code, problem(code, reason)) }
        } else {
            Self::error(code, 1000, reason)
        };
        let has_retry_after = match code {
            429 => !respond.bare,
            500 | 502 | 504 | 520..=524 => respond.edge && !respond.bare,
            _ => false,
        };
        let retry_after =
            respond.retry_after.or(has_retry_after.then_some(1)).map(|seconds| (RETRY_AFTER, seconds.to_string()));
        let location = respond.location.clone().map(|location| (LOCATION, location));
        Self { headers: retry_after.into_iter().chain(location).collect(), ..reply }
    }

    pub(crate) fn alter(&mut self, fault: &Fault) {
        if *fault == Fault::Cut(Cut::Body) {
            self.cut = Some(Cut::Body);
        }
        let (200, Value::Object(envelope)) = (self.status, &mut self.body) else { return };
        match fault {
            Fault::OmitResultInfo => drop(envelope.remove("result_info")),
            Fault::OmitResult => drop(envelope.remove("result")),
            Fault::NumbersAsText => {
                let info = envelope.get_mut("result_info").and_then(Value::as_object_mut);
                let numbers = info.into_iter().flat_map(Map::values_mut).filter(|value| value.is_number());
                numbers.for_each(|value| *value = value.to_string().into());
            }
            Fault::Contradict(Contradiction::Partial) => self.status = 206,
            Fault::Contradict(contradiction) => contradict(envelope, *contradiction),
            _ => {}
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        self.cut.is_none_or(|cut| cut == Cut::Body).then_some(self.status)
    }

    /// The ids of the entries that the client receives.
    pub(crate) fn shown(&self) -> Option<Vec<MemberId>> {
        let id = |entry: &Value| entry.get("id")?.as_str()?.parse().ok();
        let entries = self.result().as_array().filter(|_| self.cut.is_none());
        entries.map(|entries| entries.iter().filter_map(id).collect())
    }

    pub(crate) fn into_response(self, number: u64, allowance: [(HeaderName, String); 2], ahead: Duration) -> Response {
        let bytes = match self.body {
            Value::String(text) => Bytes::from(text),
            value => value.to_string().into(),
        };
        let length = bytes.len();
        let mut response = Response::new(match self.cut {
            None => Body::from(bytes),
            Some(Cut::Body) => half(bytes),
            // A body that fails immediately makes the server close the connection before it writes anything.
            Some(_) => return Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(broken()) }))),
        });
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(self.content_type));
        let time = Timestamp::now().checked_add(ahead).ok();
        let date = time.and_then(|time| DateTimePrinter::new().timestamp_to_rfc9110_string(&time).ok());
        if self.cut.is_some() {
            headers.insert(CONTENT_LENGTH, HeaderValue::from(length));
        }
        let ray = (HeaderName::from_static("cf-ray"), ray(number));
        for (name, value) in self.headers.into_iter().chain(allowance).chain([ray]).chain(date.map(|it| (DATE, it))) {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// The object with another field, if there is a value for it.
pub(crate) fn with(mut object: Value, field: &str, value: Option<impl Serialize>) -> Value {
    if let (Some(value), Some(fields)) = (value, object.as_object_mut()) {
        fields.insert(field.into(), json!(value));
    }
    object
}

/// An error of Cloudflare's edge, for a client that accepts JSON.
fn problem(code: u16, reason: &str) -> Value {
    json!({
        "type": format!("https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-{code}/"),
        "title": format!("Error {code}: {reason}"),
        "status": code,
        "detail": format!("The origin web server did not answer as expected ({code})."),
        "error_code": code,
        "error_category": "origin",
        "cloudflare_error": true,
        "retryable": code != 525 && code != 526,
    })
}

pub(crate) fn ray(number: u64) -> String {
    format!("{number:016x}-LOC")
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}

/// The first half of the bytes, followed by a failure.
fn half(bytes: Bytes) -> Body {
    let first = bytes.slice(..bytes.len() / 2);
    // Between the two, the server can send the bytes so far.
    let rest = stream::once(async {
        tokio::task::yield_now().await;
        Err(broken())
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(rest))
}
