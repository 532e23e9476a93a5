//! Answers on their way to the client: from a result or a fault to the bytes of a response.

use std::io;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::Value;

use super::alter::{Altered, alter};
use super::answer::{Rejection, Success};
use super::course::{Alteration, Ending};
use super::fault::Respond;
use super::gate::Allowance;
use crate::model::MemberId;

/// An answer before it is bytes.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: StatusCode,
    content: Content,
    extra: Vec<(HeaderName, String)>,
}

#[derive(Debug)]
enum Content {
    Json(Value),
    Html(String),
}

/// What goes out on the connection.
#[derive(Debug)]
pub(crate) enum Delivery {
    Whole(Reply),
    /// The body breaks off.
    Half(Reply),
    /// Not a byte.
    Nothing,
}

impl Reply {
    pub(crate) fn success(success: Success) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(success.envelope()), extra: Vec::new() }
    }

    pub(crate) fn refusal(refusal: &Rejection) -> Self {
        let retry_after = refusal.retry_after.map(|seconds| (RETRY_AFTER, seconds.to_string()));
        Self {
            status: refusal.status,
            content: Content::Json(refusal.envelope()),
            extra: retry_after.into_iter().collect(),
        }
    }

    fn unsuccessful() -> Self {
        Self::refusal(&Rejection::new(StatusCode::OK, 1104, "the request was not successful"))
    }

    /// The answer that a fault gives in place of the API's own.
    fn other(respond: &Respond) -> Self {
        let Respond { status, retry_after, location, html, bare, after: _ } = respond;
        // A status below 200 would not end the exchange.
        let ending = Some(*status).filter(|status| *status >= 200).and_then(|status| StatusCode::from_u16(status).ok());
        let status = ending.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let reason = status.canonical_reason().unwrap_or("Unknown Error");
        let content = match html {
            true => Content::Html(format!(
                "<!DOCTYPE html>\n<html><head><title>{status}</title></head><body><h1>Error {status}</h1></body></html>\n"
            )),
            false => Content::Json(Rejection::new(status, 1000, reason).envelope()),
        };
        let limited = (status == StatusCode::TOO_MANY_REQUESTS && !bare).then_some(1);
        let mut extra = Vec::new();
        extra.extend(retry_after.or(limited).map(|seconds| (RETRY_AFTER, seconds.to_string())));
        extra.extend(location.clone().map(|location| (LOCATION, location)));
        Self { status, content, extra }
    }

    /// Makes a successful answer wrong in some way.
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

    /// The head of the response, and the bytes of its body.
    fn into_parts(self) -> (Response, Bytes) {
        let (content_type, bytes) = match self.content {
            Content::Json(value) => ("application/json", value.to_string()),
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

impl Delivery {
    /// What the client gets in the end, given the true answer of a request that was carried out.
    pub(crate) fn new(ending: &Ending, answer: Option<Reply>) -> Self {
        match (ending, answer) {
            (Ending::Answer, Some(reply)) => Self::Whole(reply),
            (Ending::Half, Some(reply)) => Self::Half(reply),
            (Ending::Unsuccessful, _) => Self::Whole(Reply::unsuccessful()),
            (Ending::Instead(respond), _) => Self::Whole(Reply::other(respond)),
            (Ending::Nothing | Ending::Answer | Ending::Half, _) => Self::Nothing,
        }
    }

    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Whole(reply) | Self::Half(reply) => Some(reply.status.as_u16()),
            Self::Nothing => None,
        }
    }

    /// The ids of the entries that the client gets to see.
    pub(crate) fn shown(&self) -> Option<Vec<MemberId>> {
        match self {
            Self::Whole(reply) => reply.listed(),
            Self::Half(_) | Self::Nothing => None,
        }
    }
}

/// The response to the request of that number.
pub(crate) fn response(delivery: Delivery, number: u64, allowance: Allowance) -> Response {
    let (mut response, body) = match delivery {
        // A body that fails at once has the server close the connection before it wrote anything.
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
    let ray = format!("{number:016x}-LOC");
    for (name, value) in [("cf-ray", ray)].into_iter().chain(allowance.headers()) {
        if let Ok(value) = HeaderValue::from_str(&value) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

fn broken() -> io::Error {
    io::Error::from(io::ErrorKind::BrokenPipe)
}

/// The first half of the bytes, and then a failure.
fn half(bytes: Bytes) -> Body {
    let first = bytes.slice(..bytes.len() / 2);
    // Between the two, the server gets to send what it has.
    let rest = stream::once(async {
        tokio::task::yield_now().await;
        Err(broken())
    });
    Body::from_stream(stream::iter([Ok(first)]).chain(rest))
}
