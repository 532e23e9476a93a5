//! Converts a result or a fault into the bytes of a response.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header::{ALLOW, CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::{Value, json};

use super::alter::{Altered, alter};
use super::answer::{Rejection, Success};
use super::course::{Alteration, Ending};
use super::fault::Respond;
use super::gate::Allowance;
use crate::model::MemberId;

/// An answer before serialization.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    content: Content,
    extra: Vec<(HeaderName, String)>,
}

#[derive(Debug)]
enum Content {
    Json(Value),
    /// An RFC 9457 problem document.
    Problem(Value),
    Html(String),
}

/// What the client receives.
#[derive(Debug)]
pub(crate) enum Delivery {
    Whole(Reply),
    /// The first half of the body.
    Half(Reply),
    /// Nothing; the connection is closed.
    Nothing,
}

impl Reply {
    pub(crate) fn success(success: Success) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(success.envelope()), extra: Vec::new() }
    }

    pub(crate) fn refusal(refusal: &Rejection) -> Self {
        let retry_after = refusal.retry_after.map(|seconds| (RETRY_AFTER, seconds.to_string()));
        let allow = refusal.allow.clone().map(|methods| (ALLOW, methods));
        Self {
            status: refusal.status,
            content: Content::Json(refusal.envelope()),
            extra: retry_after.into_iter().chain(allow).collect(),
        }
    }

    fn unsuccessful() -> Self {
        Self::refusal(&Rejection::new(StatusCode::OK, 1104, "the request was not successful"))
    }

    /// The answer of a `respond` fault.
    fn other(respond: &Respond, accepts_json: bool) -> Self {
        // A status below 200 would not end the exchange.
        let ending = Some(respond.status).filter(|status| *status >= 200);
        let status = ending.and_then(|status| StatusCode::from_u16(status).ok());
        let status = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let content = if respond.html || (respond.edge && !accepts_json) {
            Content::Html(format!(
                "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>Error {status}</h1></body></html>\n"
            ))
        } else if respond.edge {
            Content::Problem(problem(status))
        } else {
            Content::Json(error(status, respond))
        };
        let usual = match status.as_u16() {
            429 if !respond.bare => Some(1),
            500 | 502 | 504 | 520..=524 if respond.edge && !respond.bare => Some(1),
            _ => None,
        };
        let mut extra = Vec::new();
        extra.extend(respond.retry_after.or(usual).map(|seconds| (RETRY_AFTER, seconds.to_string())));
        extra.extend(respond.location.clone().map(|location| (LOCATION, location)));
        Self { status, content, extra }
    }

    pub(crate) fn alter(&mut self, alteration: &Alteration) {
        if let (StatusCode::OK, Content::Json(Value::Object(envelope))) = (self.status, &mut self.content)
            && alter(envelope, alteration) == Altered::Partial
        {
            self.status = StatusCode::PARTIAL_CONTENT;
        }
    }

    /// The ids of the entries that the answer lists.
    fn listed(&self) -> Option<Vec<MemberId>> {
        let Content::Json(envelope) = &self.content else { return None };
        let id = |entry: &Value| entry.get("id")?.as_str()?.parse().ok();
        envelope.get("result")?.as_array().map(|entries| entries.iter().filter_map(id).collect())
    }

    fn into_parts(self) -> (Response, Bytes) {
        let (content_type, bytes) = match self.content {
            Content::Json(value) => ("application/json", value.to_string()),
            Content::Problem(value) => ("application/problem+json", value.to_string()),
            Content::Html(text) => ("text/html; charset=UTF-8", text),
        };
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        for (name, value) in self.extra {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        (response, bytes.into())
    }
}

fn error(status: StatusCode, respond: &Respond) -> Value {
    let reason = status.canonical_reason().unwrap_or("Unknown Error");
    let message = respond.message.as_deref().unwrap_or(reason);
    let mut envelope = Rejection::new(status, respond.code.unwrap_or(1000), message).envelope();
    if let Some(error) = envelope.pointer_mut("/errors/0").and_then(Value::as_object_mut) {
        error.extend(respond.documentation_url.iter().map(|url| ("documentation_url".into(), json!(url))));
        error.extend(respond.pointer.iter().map(|pointer| ("source".into(), json!({ "pointer": pointer }))));
    }
    envelope
}

/// An error of Cloudflare's edge, for a client that accepts JSON.
fn problem(status: StatusCode) -> Value {
    let code = status.as_u16();
    let title = format!("Error {code}: {}", status.canonical_reason().unwrap_or("Unknown Error"));
    json!({
        "type": format!("https://developers.cloudflare.com/support/troubleshooting/http-status-codes/cloudflare-5xx-errors/error-{code}/"),
        "title": title,
        "status": code,
        "detail": format!("The origin web server did not answer as expected ({code})."),
        "error_code": code,
        "error_category": "origin",
        "cloudflare_error": true,
        "retryable": code != 525 && code != 526,
    })
}

impl Delivery {
    /// What the client receives, for the true answer of a request that was carried out.
    pub(crate) fn new(ending: &Ending, accepts_json: bool, answer: Option<Reply>) -> Self {
        match (ending, answer) {
            (Ending::Answer, Some(reply)) => Self::Whole(reply),
            (Ending::Half, Some(reply)) => Self::Half(reply),
            (Ending::Unsuccessful, _) => Self::Whole(Reply::unsuccessful()),
            (Ending::Instead(respond), _) => Self::Whole(Reply::other(respond, accepts_json)),
            (Ending::Nothing | Ending::Answer | Ending::Half, _) => Self::Nothing,
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(reply) | Self::Half(reply) => Some(reply.status.as_u16()),
            Self::Nothing => None,
        }
    }

    /// The ids of the entries that the client receives.
    pub(crate) fn shown(&self) -> Option<Vec<MemberId>> {
        match self {
            Self::Whole(reply) => reply.listed(),
            Self::Half(_) | Self::Nothing => None,
        }
    }
}

/// The `cf-ray` of a request.
pub(crate) fn ray(number: u64) -> String {
    format!("{number:016x}-LOC")
}

pub(crate) fn response(delivery: Delivery, number: u64, allowance: Allowance) -> Response {
    let (mut response, body) = match delivery {
        // A body that fails immediately makes the server close the connection before it writes anything.
        Delivery::Nothing => {
            return Response::new(Body::from_stream(stream::once(async { Err::<Bytes, _>(broken()) })));
        }
        Delivery::Whole(reply) => {
            let (response, bytes) = reply.into_parts();
            (response, Body::from(bytes))
        }
        Delivery::Half(reply) => {
            let (mut response, bytes) = reply.into_parts();
            response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(bytes.len()));
            (response, half(bytes))
        }
    };
    *response.body_mut() = body;
    for (name, value) in [("cf-ray", ray(number))].into_iter().chain(allowance.headers()) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
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
