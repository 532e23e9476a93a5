//! One exchange: what becomes of a request, from its arrival to the bytes of its answer.

use std::collections::BTreeMap;
use std::io;
use std::num::NonZeroU32;
use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE, LOCATION, RETRY_AFTER};
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use futures_util::{StreamExt, stream};
use serde_json::Value;
use tokio::time::Instant;

use super::account::Account;
use super::answer::{Rejection, Success};
use super::chance::Dealer;
use super::fault::{Cut, Fault, MatchSubject, Respond, Rules};
use super::gate::{Allowance, Gatekeeper, RequestLimit};
use super::log::{Log, Request};
use super::request::{Incoming, MAX_BODY};
use super::routes::{self, AnswerSettings};
use super::seed::{Seed, SeedProblem};
use super::state::State;
use crate::model::MemberId;

/// Everything a sandbox holds.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) state: State,
    pub(crate) rules: Rules,
    pub(crate) fate: Option<Dealer>,
    pub(crate) log: Log,
    settings: AnswerSettings,
    credentials: Gatekeeper,
    limiter: RequestLimit,
    latency: Duration,
    page_size_cap: Option<NonZeroU32>,
    result_info: bool,
}

/// What is decided about a request when it arrives.
struct Arrival {
    number: u64,
    quota: Allowance,
    latency: Duration,
    /// What goes wrong with it, unless the rate limit refuses it.
    admitted: Result<Option<Fault>, Rejection>,
}

/// An answer before it is bytes.
struct Reply {
    status: StatusCode,
    content: Content,
    extra: Vec<(axum::http::HeaderName, String)>,
}

enum Content {
    Json(Value),
    Html(String),
}

/// What goes out on the connection.
enum Delivery {
    Whole(Reply),
    /// The body breaks off.
    Half(Reply),
    /// Not a byte.
    Nothing,
}

/// Answers a request.
pub(crate) async fn exchange(account: Account, request: axum::extract::Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.ok();
    let incoming = Incoming::new(head, body);

    let Arrival { number, quota, latency, admitted } = account.lock().arrival(&incoming);
    wait(latency).await;
    let outcome = match admitted {
        Err(refusal) => account.lock().refuse(number, &refusal),
        Ok(fault) => {
            if let Some(Fault::Latency(more)) = fault {
                wait(more.0).await;
            }
            let outcome = account.lock().answer(number, &incoming, fault.as_ref());
            if let Some(Fault::Stall(more)) = fault {
                wait(more.0).await;
            }
            outcome
        }
    };
    response(outcome, number, quota)
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        tokio::time::sleep(duration).await;
    }
}

impl Server {
    pub(crate) fn new(seed: &Seed) -> Result<Self, SeedProblem> {
        let state = State::new(seed)?;
        let names: BTreeMap<_, _> = state.groups().map(|(id, group)| (id, group.name.clone())).collect();
        let mut rules = Rules::default();
        seed.faults.iter().for_each(|rule| rules.push(rule.clone()));
        Ok(Self {
            settings: AnswerSettings {
                account_id: seed.account_id,
                token_owner: seed.token_owner.as_ref().and_then(|owner| state.find_person(owner)),
                member_status: seed.member_status,
            },
            state,
            rules,
            fate: seed.chance.as_ref().map(|chance| Dealer::new(chance.clone(), seed, names)),
            log: Log::default(),
            credentials: Gatekeeper::new(seed),
            limiter: RequestLimit::new(seed.rate_limit),
            latency: seed.latency.0,
            page_size_cap: seed.page_size_cap,
            result_info: seed.result_info,
        })
    }

    /// Notes a request, and decides what goes wrong with it.
    fn arrival(&mut self, incoming: &Incoming) -> Arrival {
        let (group, member, body_ids) = (incoming.group(), incoming.member(), incoming.body_ids());
        let (admitted, quota) = self.limiter.count(Instant::now());
        let admitted = admitted.map(|()| self.fault(incoming, &body_ids));
        let number = self.log.arrived(Request {
            number: 0,
            method: incoming.method.clone(),
            path: incoming.path.clone(),
            query: incoming.query.clone(),
            operation: incoming.operation(),
            group,
            member,
            body_ids,
            fault: admitted.as_ref().ok().cloned().flatten(),
            status_sent: None,
            effect: false,
        });
        self.state.history.arrived(number);
        Arrival { number, quota, latency: self.latency, admitted }
    }

    /// What goes wrong with a request: by rule, or else by chance.
    fn fault(&mut self, incoming: &Incoming, body_ids: &[MemberId]) -> Option<Fault> {
        let group = incoming.group();
        let mut members = Vec::new();
        if self.rules.name_members() {
            for id in body_ids.iter().copied().chain(incoming.member()) {
                members.push(id.to_string());
                members.extend(self.state.person(id).map(|person| person.email.folded().to_owned()));
            }
        }
        let subject = MatchSubject {
            operation: incoming.operation(),
            method: &incoming.method,
            group: group.and_then(|id| self.state.group(id)).map(|group| group.name.as_str()),
            members: &members,
            page: incoming.page(),
        };
        // Chance counts every request, so that a rule that fires does not shift what chance has in store.
        let by_rule = self.rules.choose(&subject);
        let by_chance = self.fate.as_mut().and_then(|fate| fate.choose(&incoming.said(), group));
        by_rule.or(by_chance)
    }

    /// Refuses a request that was not let in.
    fn refuse(&mut self, number: u64, refusal: &Rejection) -> Delivery {
        self.log.answered(number, Some(refusal.status.as_u16()), false);
        Delivery::Whole(Reply::refusal(refusal))
    }

    /// Carries a request out as far as nothing goes wrong, and says what to answer.
    fn answer(&mut self, number: u64, incoming: &Incoming, fault: Option<&Fault>) -> Delivery {
        let (outcome, effect) = self.faulty(number, incoming, fault);
        let status = match &outcome {
            Delivery::Whole(reply) | Delivery::Half(reply) => Some(reply.status.as_u16()),
            Delivery::Nothing => None,
        };
        let Incoming { method, path, .. } = incoming;
        tracing::debug!(number, method, path, status, effect, ?fault, "the sandbox answers");
        self.log.answered(number, status, effect);
        outcome
    }

    /// The answer with what goes wrong, and whether the request changed anything.
    fn faulty(&mut self, number: u64, incoming: &Incoming, fault: Option<&Fault>) -> (Delivery, bool) {
        match fault {
            Some(Fault::Cut(Cut::Before)) => return (Delivery::Nothing, false),
            Some(Fault::Respond(respond)) if !respond.after => return (Delivery::Whole(Reply::other(respond)), false),
            Some(Fault::Unsuccessful) => return (Delivery::Whole(Reply::unsuccessful()), false),
            Some(Fault::EditBefore(edit)) => {
                self.state.edit(edit);
            }
            _ => {}
        }
        let cap = match fault {
            Some(Fault::Clamp(most)) => Some(self.page_size_cap.map_or(*most, |cap| cap.min(*most))),
            _ => self.page_size_cap,
        };
        self.state.history.attribute(Some(number));
        let result = self.carry_out(incoming, cap);
        self.state.history.attribute(None);
        let effect = result.as_ref().is_ok_and(|success| success.effect);
        let mut reply = match result {
            Ok(success) => Reply::success(success),
            Err(refusal) => Reply::refusal(&refusal),
        };
        if !self.result_info || fault == Some(&Fault::OmitResultInfo) {
            reply.omit("result_info");
        }
        let outcome = match fault {
            Some(Fault::Cut(Cut::After)) => Delivery::Nothing,
            Some(Fault::Cut(_)) => Delivery::Half(reply),
            Some(Fault::Respond(respond)) => Delivery::Whole(Reply::other(respond)),
            Some(Fault::OmitResult) => {
                reply.omit("result");
                Delivery::Whole(reply)
            }
            Some(Fault::EditAfter(edit)) => {
                self.state.edit(edit);
                Delivery::Whole(reply)
            }
            _ => Delivery::Whole(reply),
        };
        (outcome, effect)
    }

    fn carry_out(&mut self, incoming: &Incoming, cap: Option<NonZeroU32>) -> Result<Success, Rejection> {
        let route = incoming.route.as_ref().map_err(Clone::clone)?;
        self.credentials.check(&incoming.headers, route.operation, self.state.token_revoked)?;
        routes::carry_out(&mut self.state, &self.settings, incoming, cap)
    }
}

impl Reply {
    fn success(success: Success) -> Self {
        Self { status: StatusCode::OK, content: Content::Json(success.envelope()), extra: Vec::new() }
    }

    fn refusal(refusal: &Rejection) -> Self {
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

    fn omit(&mut self, field: &str) {
        if let Content::Json(Value::Object(fields)) = &mut self.content {
            fields.remove(field);
        }
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

fn response(outcome: Delivery, number: u64, quota: Allowance) -> Response {
    let (mut response, body) = match outcome {
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
    for (name, value) in [("cf-ray", ray)].into_iter().chain(quota.headers()) {
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
