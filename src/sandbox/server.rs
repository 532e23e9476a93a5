//! The state of the server, and the handling of a request, from its arrival to the response: the rate limit, the
//! credentials, the faults and the operation.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::extract::{RawPathParams, Request as HttpRequest};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use secrecy::ExposeSecret;
use tokio::time::{Instant, sleep};

use super::account::{Account, Request};
use super::answer::{Reply, ray};
use super::audit::AuditRecord;
use super::build::{self, SeedError};
use super::edit::EditActor;
use super::fault::{Execution, Fault, FaultPlan};
use super::request::{Incoming, MAX_BODY};
use super::routes::{self, Endpoint};
use super::rules::{Sampler, fault_by_rule};
use super::seed::{Access, Delay, RateLimit, Seed, TokenStatus};
use super::state::{AccountState, hex, now};

/// The maximum number of stored requests, because a sandbox can run for weeks.
const MOST_REQUESTS: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) state: AccountState,
    /// Its fault rules and `token_settles` are counted down.
    pub(crate) seed: Seed,
    pub(crate) sampler: Option<Sampler>,
    pub(crate) requests: BTreeMap<u64, Request>,
    /// The number of writes that were answered or cut but not carried out yet.
    pub(crate) unlanded: usize,
    limit: RequestLimit,
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
    let reply = if let Execution::Later(delay) = plan.effect {
        account.lock().unlanded += 1;
        let at_once = (!plan.needs_answer()).then(|| {
            let lost = Reply::ended(plan.ending.as_ref(), incoming.accepts_json(), None);
            account.lock().deliver(number, lost)
        });
        // The request is carried out even if the client no longer waits.
        let landing = tokio::spawn(async move {
            wait(delay).await;
            let mut server = account.lock();
            server.unlanded -= 1;
            server.answer(number, &incoming, &plan)
        });
        match at_once {
            Some(reply) => reply,
            None => landing.await.unwrap_or_else(|_| Reply::nothing()),
        }
    } else {
        account.lock().answer(number, &incoming, &plan)
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
        let sampler = seed.chance.clone().map(|chance| Sampler::new(chance, &state)).transpose()?;
        let limit = RequestLimit::new(seed.rate_limit);
        Ok(Self { state, seed: seed.clone(), sampler, requests: BTreeMap::new(), unlanded: 0, limit })
    }

    /// The number of a request, the headers about the rate limit, and what happens to the request if it is admitted.
    fn arrival(&mut self, incoming: &Incoming) -> (u64, [(HeaderName, String); 2], Result<FaultPlan, Reply>) {
        let (admitted, allowance) = self.limit.count(incoming.request.arrived);
        let fault = if admitted.is_ok() { self.fault(incoming) } else { None };
        self.state.arrived += 1;
        let number = self.state.arrived;
        self.requests.insert(number, Request { number, fault: fault.clone(), ..incoming.request.clone() });
        if self.requests.len() > MOST_REQUESTS {
            self.requests.pop_first();
        }
        (number, allowance, admitted.map(|()| FaultPlan::new(fault)))
    }

    /// The fault of a request: by rule, or else by chance.
    fn fault(&mut self, incoming: &Incoming) -> Option<Fault> {
        // Chance counts every request, so that rules do not shift the faults by chance.
        let by_rule = fault_by_rule(&mut self.seed.faults, incoming, &self.state);
        let by_chance = self.sampler.as_mut().and_then(|sampler| sampler.choose(incoming));
        by_rule.or(by_chance)
    }

    fn answer(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Reply {
        let answer = (plan.effect != Execution::Never).then(|| self.carry_out(number, incoming, plan));
        let reply = Reply::ended(plan.ending.as_ref(), incoming.accepts_json(), answer);
        let Request { method, path, .. } = &incoming.request;
        tracing::debug!(number, method, path, status = reply.status(), effect = ?plan.effect, ending = ?plan.ending, "the sandbox answers");
        self.deliver(number, reply)
    }

    /// Stores what the client receives. Only the first answer to a request reaches it.
    fn deliver(&mut self, number: u64, reply: Reply) -> Reply {
        if let Some(request) = self.requests.get_mut(&number).filter(|request| request.answered.is_none()) {
            request.answered = Some(Instant::now());
            request.status_sent = reply.status();
            request.shown = reply.shown();
        }
        reply
    }

    /// The true answer, altered according to the plan, with the edits of other actors around it.
    fn carry_out(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Reply {
        for edit in &plan.before {
            self.state.edit(edit);
        }
        let (Ok(mut reply) | Err(mut reply)) = self.route(number, incoming, plan);
        if let Some(request) = self.requests.get_mut(&number) {
            request.effect = reply.effect;
        }
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
        self.check_credentials(incoming, operation)?;
        if let (Execution::Claimed(claim), true) = (plan.effect, operation.writes()) {
            return routes::claimed(&self.state, &self.seed, incoming, claim);
        }
        let as_of = Instant::now().checked_sub(self.seed.lag.0.max(plan.lag));
        let cap = [self.seed.page_size_cap, plan.clamp].into_iter().flatten().min();
        let cap = cap.map_or(usize::MAX, |cap| cap.get() as usize);
        self.state.request = Some(number);
        let result = routes::carry_out(&mut self.state, &self.seed, incoming, cap, as_of);
        self.state.request = None;
        if result.is_ok() && operation.writes() {
            self.audit(number, incoming);
        }
        result
    }

    fn audit(&mut self, number: u64, incoming: &Incoming) {
        let Request { method, path, group, .. } = &incoming.request;
        // After /client/v4/accounts/ID.
        let path = path.splitn(6, '/').nth(5).unwrap_or_default();
        let record = AuditRecord {
            by: self.actor(incoming.header("x-auth-key").is_some()),
            method: method.clone(),
            group: *group,
            path: format!("/{path}"),
            body: incoming.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default(),
            ray: Some(ray(number)),
            user_agent: incoming.header(USER_AGENT).map(String::from),
        };
        self.state.record_request(self.state.clock.unwrap_or_else(now), record);
    }

    /// The client as the audit log shows it.
    fn actor(&self, by_key: bool) -> EditActor {
        let owner = self.state.token_owner.and_then(|id| Some((id, self.state.person(id)?)));
        EditActor {
            id: owner.and_then(|(id, person)| person.user_id(id)),
            email: owner.map(|(_, person)| person.user_email.to_string()),
            context: Some(if by_key { "api_key" } else { "api_token" }.into()),
            token_id: (!by_key).then(|| hex("token", "the token")),
            token_name: (!by_key).then(|| "the token of the sandbox".into()),
            kind: Some(if owner.is_some() { "user" } else { "account" }.into()),
        }
    }

    fn check_credentials(&mut self, incoming: &Incoming, operation: Endpoint) -> Result<(), Reply> {
        let secret = secret(incoming)?;
        let known = self.seed.token.as_ref().is_none_or(|token| token.expose_secret() == secret);
        if !known || self.state.token_revoked {
            return Err(if incoming.headers.contains_key(AUTHORIZATION) {
                Reply::unauthorized()
            } else {
                Reply::forbidden(9109, "Unknown X-Auth-Key or X-Auth-Email")
            });
        }
        if self.seed.token_status != TokenStatus::Active && operation != Endpoint::VerifyToken {
            return Err(Reply::unauthorized());
        }
        let is_new = self.seed.token_settles > 0;
        self.seed.token_settles = self.seed.token_settles.saturating_sub(1);
        if is_new || (operation.writes() && self.seed.token_access == Access::Read) {
            return Err(Reply::forbidden(10000, "Authentication error"));
        }
        Ok(())
    }
}

/// The token or the key of a request.
fn secret(incoming: &Incoming) -> Result<&str, Reply> {
    let is_word = |text: &&str| !text.is_empty() && !text.contains(' ');
    let [token, email, key] = ["authorization", "x-auth-email", "x-auth-key"].map(|name| incoming.header(name));
    let secret = match (token, email, key) {
        (None, None, None) => {
            let message = "Missing X-Auth-Key, X-Auth-Email or Authorization headers";
            return Err(Reply::bad_request(9106, message));
        }
        (Some(value), _, _) => {
            let parts = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            parts.map(|(_, token)| token)
        }
        (None, email, key) => email.filter(is_word).and(key),
    };
    secret.filter(is_word).ok_or_else(|| Reply::bad_request(6003, "Invalid request headers"))
}

#[derive(Debug)]
struct RequestLimit {
    limit: RateLimit,
    enforced: bool,
    ends: Option<Instant>,
    spent: u32,
}

impl RequestLimit {
    fn new(limit: Option<RateLimit>) -> Self {
        // Without a limit in the seed, answers report the limit of the live API, which nothing uses up.
        let usual = RateLimit { requests: 1200, window: Delay(Duration::from_secs(300)), spent: 0 };
        let enforced = limit.is_some();
        let limit = limit.unwrap_or(usual);
        Self { limit, enforced, ends: None, spent: limit.spent }
    }

    /// Whether a request is admitted, and the headers of its answer.
    fn count(&mut self, now: Instant) -> (Result<(), Reply>, [(HeaderName, String); 2]) {
        let RateLimit { requests, window, .. } = self.limit;
        let mut left = window.0;
        if self.enforced {
            if self.ends.is_some_and(|ends| ends <= now) {
                // The seed's spent requests count only in the first window.
                (self.ends, self.spent) = (None, 0);
            }
            left = self.ends.get_or_insert_with(|| window.after(now)).saturating_duration_since(now);
        }
        let reset = whole_seconds(left);
        let admitted = if self.spent < requests {
            self.spent += u32::from(self.enforced);
            Ok(())
        } else {
            let message = "Please wait and consider throttling your request speed";
            let refusal = Reply::error(StatusCode::TOO_MANY_REQUESTS, 971, message);
            Err(refusal.with_header(RETRY_AFTER, reset.to_string()))
        };
        let remaining = requests.saturating_sub(self.spent);
        let window = whole_seconds(window.0);
        let headers = [
            ("ratelimit", format!("\"default\";r={remaining};t={reset}")),
            ("ratelimit-policy", format!("\"default\";q={requests};w={window}")),
        ];
        (admitted, headers.map(|(name, value)| (HeaderName::from_static(name), value)))
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
        let mut limiter = RequestLimit::new(Some(limit));
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted = [0, 1, 3, 4, 5, 6].map(|seconds| limiter.count(at(seconds)).0.is_ok());
        assert_eq!(admitted, [true, false, false, true, true, false]);
    }

    #[test]
    fn the_latest_requests_are_remembered() {
        let mut server = Server::new(&Seed::default()).unwrap();
        let (head, ()) = axum::http::Request::new(()).into_parts();
        let incoming = Incoming::new(head, None, None, None);
        let last = (0..=MOST_REQUESTS).map(|_| server.arrival(&incoming).0).last();
        server.deliver(1, Reply::nothing());
        let numbers: Vec<u64> = server.requests.keys().copied().collect();
        assert_eq!((numbers.len(), numbers.first(), numbers.last().copied()), (MOST_REQUESTS, Some(&2), last));
    }
}
