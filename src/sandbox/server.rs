//! The state of the server, and the handling of a request, from its arrival to the response: the rate limit, the
//! credentials, the faults and the operation.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{RawPathParams, Request as HttpRequest};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};

use super::account::{Account, Request, RequestLog};
use super::answer::{Reply, ray};
use super::audit::AuditedRequest;
use super::build::{self, SeedError};
use super::edit::EditActor;
use super::fault::{Execution, Fault, FaultPlan};
use super::members::owner_email;
use super::request::{Incoming, MAX_BODY};
use super::routes::{self, Endpoint};
use super::rules::{FaultRules, Sampler};
use super::seed::{Access, Delay, RateLimit, RateLimitHeaders, Seed, TokenStatus};
use super::state::{AccountState, hex};

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) state: AccountState,
    pub(crate) rules: FaultRules,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) log: RequestLog,
    /// The number of writes that were answered or cut but not carried out yet.
    pub(crate) unlanded: usize,
    pub(crate) lag: Duration,
    seed: Seed,
    /// The number of requests that are still refused because the token is new.
    settles: u32,
    limit: RequestLimit,
    started: Instant,
}

pub(crate) async fn exchange(
    account: Account,
    route: Option<&str>,
    params: Option<RawPathParams>,
    request: HttpRequest,
) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.ok();
    let incoming = Incoming::new(head, route, params, body);

    let (number, allowance, plan) = account.lock().arrival(&incoming);
    let Seed { latency, clock_ahead, .. } = account.lock().seed;
    wait(latency.0).await;
    let reply = match plan {
        Err(refusal) => account.lock().deliver(number, refusal),
        Ok(plan) => serve(account, number, incoming, plan).await,
    };
    reply.into_response(number, allowance, clock_ahead.0)
}

async fn serve(account: Account, number: u64, incoming: Incoming, plan: FaultPlan) -> Reply {
    wait(plan.latency).await;
    let stall = plan.stall;
    let reply = match plan.effect {
        Execution::Later(delay) => {
            let at_once = account.lock().put_off(number, &incoming, &plan);
            // The request is carried out even if the client no longer waits.
            let landing = tokio::spawn(async move {
                wait(delay).await;
                account.lock().land(number, &incoming, &plan)
            });
            match at_once {
                Some(reply) => reply,
                None => landing.await.unwrap_or_else(|_| Reply::nothing()),
            }
        }
        _ => account.lock().answer(number, &incoming, &plan),
    };
    wait(stall).await;
    reply
}

async fn wait(duration: Duration) {
    if !duration.is_zero() {
        sleep(duration).await;
    }
}

impl Server {
    pub(crate) fn new(seed: &Seed) -> Result<Self, SeedError> {
        let state = build::state(seed)?;
        let mut rules = FaultRules::default();
        seed.faults.iter().for_each(|rule| rules.push(rule.clone()));
        Ok(Self {
            rules,
            sampler: seed.chance.as_ref().map(|chance| {
                // Chance chooses among the groups and people of the seed, also after they changed.
                let groups: BTreeMap<_, _> = state.groups().map(|(id, group)| (id, group.name.clone())).collect();
                Sampler::new(chance.clone(), groups, seed.addresses())
            }),
            state,
            log: RequestLog::default(),
            unlanded: 0,
            settles: seed.token_settles,
            limit: RequestLimit::new(seed.rate_limit, seed.rate_limit_headers),
            lag: seed.lag.0,
            seed: seed.clone(),
            started: Instant::now(),
        })
    }

    /// The number of a request, the headers about the rate limit, and what happens to the request if it is admitted.
    fn arrival(&mut self, incoming: &Incoming) -> (u64, Vec<(HeaderName, String)>, Result<FaultPlan, Reply>) {
        let (admitted, allowance) = self.limit.count(incoming.request.arrived);
        let fault = if admitted.is_ok() { self.fault(incoming) } else { None };
        let number = self.log.arrived(Request { fault: fault.clone(), ..incoming.request.clone() });
        self.state.history.arrived(number);
        (number, allowance, admitted.map(|()| FaultPlan::new(fault)))
    }

    /// The fault of a request: by rule, or else by chance.
    fn fault(&mut self, incoming: &Incoming) -> Option<Fault> {
        // Chance counts every request, so that rules do not shift the faults by chance.
        let by_rule = self.rules.choose(incoming, &self.state);
        let sampler = self.sampler.as_mut();
        let Request { operation, group, .. } = incoming.request;
        let by_chance = sampler.and_then(|sampler| sampler.choose(&incoming.text(), operation, group));
        by_rule.or(by_chance)
    }

    /// Schedules a request for later. Returns the immediate answer, if there is one.
    fn put_off(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Option<Reply> {
        self.unlanded += 1;
        let at_once = !plan.needs_answer();
        at_once.then(|| self.deliver(number, Reply::ended(plan.ending.as_ref(), incoming.accepts_json(), None)))
    }

    /// Carries out a scheduled request. Its answer counts if there was no immediate answer.
    fn land(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Reply {
        self.unlanded = self.unlanded.saturating_sub(1);
        let answer = self.carry_out(number, incoming, plan);
        let reply = Reply::ended(plan.ending.as_ref(), incoming.accepts_json(), Some(answer));
        if plan.needs_answer() { self.deliver(number, reply) } else { reply }
    }

    fn answer(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Reply {
        let answer = (plan.effect != Execution::Never).then(|| self.carry_out(number, incoming, plan));
        let reply = Reply::ended(plan.ending.as_ref(), incoming.accepts_json(), answer);
        let Request { method, path, .. } = &incoming.request;
        tracing::debug!(number, method, path, status = reply.status(), effect = ?plan.effect, ending = ?plan.ending, "the sandbox answers");
        self.deliver(number, reply)
    }

    fn deliver(&mut self, number: u64, reply: Reply) -> Reply {
        self.log.answered(number, reply.status(), reply.shown());
        reply
    }

    /// The true answer, altered according to the plan, with the edits of other actors around it.
    fn carry_out(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Reply {
        for edit in &plan.before {
            self.state.edit(edit);
        }
        let result = self.route(number, incoming, plan);
        let (Ok(mut reply) | Err(mut reply)) = result;
        self.log.carried_out(number, reply.effect);
        if self.seed.result_info == Some(false) {
            reply.alter(&Fault::OmitResultInfo);
        }
        plan.alterations.iter().for_each(|fault| reply.alter(fault));
        for edit in &plan.after {
            self.state.edit(edit);
        }
        reply
    }

    fn route(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Result<Reply, Reply> {
        let (operation, _) = incoming.operation.clone()?;
        self.check_credentials(&incoming.headers, operation)?;
        if let (Execution::Claimed(claim), true) = (plan.effect, operation.writes()) {
            return routes::claimed(&self.state, &self.seed, incoming, claim);
        }
        let lag = self.lag.max(plan.lag);
        let as_of = (!lag.is_zero()).then(|| Instant::now().checked_sub(lag).unwrap_or(self.started));
        let cap = [self.seed.page_size_cap, plan.clamp].into_iter().flatten().min();
        self.state.history.attribute(Some(number));
        let result = routes::carry_out(&mut self.state, &self.seed, incoming, cap, as_of);
        self.state.history.attribute(None);
        if result.is_ok() && operation.writes() {
            self.audit(number, incoming);
        }
        result
    }

    fn audit(&mut self, number: u64, incoming: &Incoming) {
        let Request { method, path, group, .. } = &incoming.request;
        let method = match method.as_str() {
            "POST" => "POST",
            "PUT" => "PUT",
            _ => "DELETE",
        };
        // After /client/v4/accounts/ID.
        let path = path.splitn(6, '/').nth(5).unwrap_or_default();
        let request = AuditedRequest {
            method,
            group: *group,
            path: format!("/{path}"),
            body: incoming.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default(),
            ray: Some(ray(number)),
            user_agent: incoming.header(USER_AGENT).map(String::from),
        };
        let by = self.actor(incoming.header("x-auth-key").is_some());
        self.state.audit(by, request);
    }

    /// The client as the audit log shows it.
    fn actor(&self, by_key: bool) -> EditActor {
        let owner = self.state.token_owner.and_then(|id| Some((id, self.state.person(id)?)));
        let name = self.seed.token_name.clone();
        let token_name = (!by_key).then(|| name.unwrap_or_else(|| "the token of the sandbox".into()));
        EditActor {
            id: owner.and_then(|(id, person)| person.user_id(id)),
            email: owner.map(|(_, person)| owner_email(&self.seed, person)),
            context: Some(if by_key { "api_key" } else { "api_token" }.into()),
            token_id: token_name.is_some().then(|| hex("token", "the token")),
            token_name,
            kind: Some(if owner.is_some() { "user" } else { "account" }.into()),
        }
    }
}

/// The live API's limit, which answers report if the seed sets none.
const USUAL: RateLimit = RateLimit { requests: 1200, window: Delay(Duration::from_secs(300)), spent: 0 };

impl Server {
    fn check_credentials(&mut self, headers: &HeaderMap, operation: Endpoint) -> Result<(), Reply> {
        let known = knows(&self.seed, headers)?;
        if !known || self.state.token_revoked {
            return Err(if headers.contains_key(AUTHORIZATION) {
                Reply::unauthorized()
            } else {
                Reply::forbidden(9109, "Unknown X-Auth-Key or X-Auth-Email")
            });
        }
        if self.seed.token_status != TokenStatus::Active && operation != Endpoint::VerifyToken {
            return Err(Reply::unauthorized());
        }
        let is_new = self.settles > 0;
        self.settles = self.settles.saturating_sub(1);
        if is_new || (operation.writes() && self.seed.token_access == Access::Read) {
            return Err(Reply::forbidden(10000, "Authentication error"));
        }
        Ok(())
    }
}

fn knows(seed: &Seed, headers: &HeaderMap) -> Result<bool, Reply> {
    let is_word = |text: &&str| !text.is_empty() && !text.contains(' ');
    let word = |value: &HeaderValue| value.to_str().ok().filter(is_word).map(String::from);
    let bearer = |value: &HeaderValue| {
        let (scheme, token) = value.to_str().ok()?.split_once(' ')?;
        Some(token).filter(|token| scheme.eq_ignore_ascii_case("bearer") && is_word(token)).map(String::from)
    };
    let secret = match (headers.get(AUTHORIZATION), headers.get("x-auth-email"), headers.get("x-auth-key")) {
        (Some(value), _, _) => bearer(value),
        (None, Some(email), Some(key)) => word(email).and_then(|_| word(key)),
        (None, None, None) => {
            let message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
            return Err(Reply::bad_request(9106, message));
        }
        _ => None,
    };
    let secret = secret.ok_or_else(|| Reply::bad_request(6003, "Invalid request headers"))?;
    Ok(seed.token.as_ref().is_none_or(|token| token.expose_secret() == secret))
}

#[derive(Debug)]
struct RequestLimit {
    limit: RateLimit,
    spelling: RateLimitHeaders,
    enforced: bool,
    ends: Option<Instant>,
    spent: u32,
}

impl RequestLimit {
    fn new(limit: Option<RateLimit>, spelling: RateLimitHeaders) -> Self {
        let enforced = limit.is_some();
        let limit = limit.unwrap_or(USUAL);
        Self { limit, spelling, enforced, ends: None, spent: limit.spent }
    }

    /// Whether a request is admitted, and the headers of its answer.
    fn count(&mut self, now: Instant) -> (Result<(), Reply>, Vec<(HeaderName, String)>) {
        let RateLimit { requests, window, .. } = self.limit;
        if !self.enforced {
            return (Ok(()), self.headers(window.0));
        }
        let ends = match self.ends {
            Some(ends) if now < ends => ends,
            over => {
                // The seed's spent requests count only in the first window.
                if over.is_some() {
                    self.spent = 0;
                }
                window.after(now)
            }
        };
        self.ends = Some(ends);
        let left = ends.saturating_duration_since(now);
        if self.spent >= requests {
            let message = "Please wait and consider throttling your request speed";
            let refusal = Reply::error(StatusCode::TOO_MANY_REQUESTS, 971, message);
            return (Err(refusal.with_header(RETRY_AFTER, whole_seconds(left).to_string())), self.headers(left));
        }
        self.spent += 1;
        (Ok(()), self.headers(left))
    }

    fn headers(&self, left: Duration) -> Vec<(HeaderName, String)> {
        use RateLimitHeaders as H;
        let RateLimit { requests, window, .. } = self.limit;
        let (remaining, reset) = (requests.saturating_sub(self.spent), whole_seconds(left));
        let mut headers = Vec::new();
        let mut add = |name, value| headers.push((HeaderName::from_static(name), value));
        if matches!(self.spelling, H::Ratelimit | H::Both) {
            add("ratelimit", format!("\"default\";r={remaining};t={reset}"));
            add("ratelimit-policy", format!("\"default\";q={requests};w={}", whole_seconds(window.0)));
        }
        if matches!(self.spelling, H::XRatelimit | H::Both) {
            add("x-ratelimit-limit", requests.to_string());
            add("x-ratelimit-remaining", remaining.to_string());
            add("x-ratelimit-reset", reset.to_string());
        }
        headers
    }
}

/// Seconds, rounded up, so that the wait is long enough.
fn whole_seconds(duration: Duration) -> u64 {
    duration.as_secs() + u64::from(duration.subsec_nanos() > 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_new_window_lets_requests_in_again() {
        let limit = RateLimit { requests: 2, window: Delay(Duration::from_secs(4)), spent: 1 };
        let mut limiter = RequestLimit::new(Some(limit), RateLimitHeaders::default());
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted = [0, 1, 3, 4, 5, 6].map(|seconds| limiter.count(at(seconds)).0.is_ok());
        assert_eq!(admitted, [true, false, false, true, true, false]);
    }
}
