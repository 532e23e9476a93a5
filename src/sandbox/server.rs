//! The state of the server, and the handling of a request, from its arrival to the response: the rate limit, the
//! credentials, the faults and the operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::rejection::RawPathParamsRejection;
use axum::extract::{MatchedPath, RawPathParams, Request as HttpRequest, State};
use axum::http::HeaderName;
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use axum::response::Response;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answer::{Reply, ray};
use super::build::{self, SeedError};
use super::edit::{AuditRecord, Edit, EditActor};
use super::fault::{FalseClaim, Fault, FaultPlan, Late};
use super::members;
use super::routes::{Endpoint, Incoming, MAX_BODY, Query, Request, RoutedCall};
use super::rules::{FaultRule, Sampler, fault_by_rule};
use super::seed::{Access, Delay, RateLimit, Seed, TokenStatus};
use super::state::{AccountState, MembershipChange, StoredGroup, hex, now};
use crate::model::{AccountId, GroupId, MemberId};

/// The account of a running sandbox. Clones are handles on the same account, which outlives the server.
///
/// Tests read the real state through it. Groups are found by name, people by email or id. `history()` has every
/// membership that began or ended, with its instant and its request. `members_at(group, instant)` returns the members of
/// a group at an instant. `requests()` has each request with the instants of its arrival and answer, the member ids in
/// its answer, and its fault. `unlanded()` is the number of late writes that were not carried out yet.
#[derive(Clone, Debug)]
pub struct Account(Arc<Mutex<Server>>);

impl Account {
    pub(crate) fn new(server: Server) -> Self {
        Self(Arc::new(Mutex::new(server)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Server> {
        // After a panic the account is still consistent, because every change is made in one step.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The addresses of the members of each group, in order.
    pub fn memberships(&self) -> BTreeMap<String, Vec<String>> {
        let state = &self.lock().state;
        let email = |id: &MemberId| state.person(*id).map_or_else(|| id.to_string(), |person| person.email.to_string());
        let emails = |group: &StoredGroup| {
            let mut emails: Vec<String> = group.members.keys().map(email).collect();
            emails.sort_by_cached_key(|email| email.to_lowercase());
            emails
        };
        state.groups.values().map(|group| (group.name.clone(), emails(group))).collect()
    }

    pub fn group_id(&self, name: &str) -> Option<GroupId> {
        self.lock().state.group_named(name)
    }

    pub fn person_id(&self, email: &str) -> Option<MemberId> {
        self.lock().state.find_person(email)
    }

    /// Makes a change as another actor; returns whether it changed anything.
    pub fn edit(&self, edit: &Edit) -> bool {
        self.lock().state.edit(edit)
    }

    pub fn restore_token(&self) {
        self.lock().state.token_revoked = false;
    }

    /// All changes of memberships since the sandbox started, in order.
    pub fn history(&self) -> Vec<MembershipChange> {
        self.lock().state.history.clone()
    }

    /// The members of a group at an instant, independent of what readings showed.
    pub fn members_at(&self, group: GroupId, at: Instant) -> BTreeSet<MemberId> {
        self.lock().state.members_at(group, Some(at)).into_keys().collect()
    }

    /// The number of writes that were answered or cut but not carried out yet.
    pub fn unlanded(&self) -> usize {
        self.lock().unlanded
    }

    /// Adds a fault rule after the existing ones.
    pub fn push_fault(&self, rule: FaultRule) {
        self.lock().seed.faults.push(rule);
    }

    /// Makes reads of a group's members lag behind writes from now on.
    pub fn set_lag(&self, lag: Duration) {
        self.lock().seed.lag = Delay(lag);
    }

    /// Ends all faults and lag. Late writes are still carried out.
    pub fn clear_faults(&self) {
        let mut server = self.lock();
        server.seed.lag = Delay::default();
        server.seed.faults.clear();
        server.sampler = None;
    }

    /// All requests in the order of arrival, up to the latest 10,000.
    pub fn requests(&self) -> Vec<Request> {
        self.lock().requests.values().cloned().collect()
    }

    pub fn clear_requests(&self) {
        self.lock().requests.clear();
    }
}

/// A longer time does not fit into an instant everywhere.
const YEAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);

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
    /// When the window of the rate limit ends, and the requests that it has admitted.
    window: Option<(Instant, u32)>,
}

pub(crate) async fn exchange(
    State(account): State<Account>,
    route: Option<MatchedPath>,
    params: Result<RawPathParams, RawPathParamsRejection>,
    request: HttpRequest,
) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, MAX_BODY).await.ok();
    // Parameters that are not UTF-8 are not ids.
    let incoming = Incoming::new(head, route.as_ref().map(MatchedPath::as_str), params.ok(), body);

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
    let reply = if let Some(Fault::Late(Late { after: Delay(delay), .. })) = plan.ending {
        account.lock().unlanded += 1;
        let at_once = plan.reply(incoming.accepts_json()).map(|lost| account.lock().deliver(number, lost));
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
        Ok(Self { state, seed: seed.clone(), sampler, requests: BTreeMap::new(), unlanded: 0, window: None })
    }

    /// The number of a request, the headers about the rate limit, and what happens to the request if it is admitted.
    fn arrival(&mut self, incoming: &Incoming) -> (u64, [(HeaderName, String); 2], Result<FaultPlan, Reply>) {
        let (admitted, allowance) = self.admit(incoming.request.arrived);
        let fault = if admitted.is_ok() { self.fault(incoming) } else { None };
        self.state.arrived += 1;
        let number = self.state.arrived;
        self.requests.insert(number, Request { number, fault: fault.clone(), ..incoming.request.clone() });
        if self.requests.len() > MOST_REQUESTS {
            self.requests.pop_first();
        }
        (number, allowance, admitted.map(|()| FaultPlan::new(fault)))
    }

    /// Whether a request is admitted, and the headers of its answer.
    fn admit(&mut self, now: Instant) -> (Result<(), Reply>, [(HeaderName, String); 2]) {
        let Some(RateLimit { requests, window, spent }) = self.seed.rate_limit else {
            // The live API's limit. Nothing uses it up.
            return (Ok(()), allowance(1200, 1200, 300, 300));
        };
        let next = now + window.0.min(YEAR);
        let (ends, spent) = match self.window {
            None => (next, spent),
            // The seed's spent requests count only in the first window.
            Some((ends, _)) if ends <= now => (next, 0),
            Some(current) => current,
        };
        let reset = whole_seconds(ends.saturating_duration_since(now));
        let is_admitted = spent < requests;
        let spent = spent + u32::from(is_admitted);
        self.window = Some((ends, spent));
        let message = "Please wait and consider throttling your request speed";
        let refusal = || Reply::error(429, 971, message).with_header(RETRY_AFTER, reset);
        let allowance = allowance(requests, requests.saturating_sub(spent), whole_seconds(window.0), reset);
        (is_admitted.then_some(()).ok_or_else(refusal), allowance)
    }

    /// The fault of a request: by rule, or else by chance.
    fn fault(&mut self, incoming: &Incoming) -> Option<Fault> {
        // Chance counts every request, so that rules do not shift the faults by chance.
        let by_rule = fault_by_rule(&mut self.seed.faults, incoming, &self.state);
        let by_chance = self.sampler.as_mut().and_then(|sampler| sampler.choose(incoming));
        by_rule.or(by_chance)
    }

    fn answer(&mut self, number: u64, incoming: &Incoming, plan: &FaultPlan) -> Reply {
        let answer = plan.is_carried_out().then(|| self.carry_out(number, incoming, plan));
        let reply = plan.reply(incoming.accepts_json()).or(answer).unwrap_or_else(Reply::nothing);
        let Request { method, path, .. } = &incoming.request;
        tracing::debug!(number, method, path, status = reply.status(), claim = ?plan.claim, ending = ?plan.ending, "the sandbox answers");
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
        let (operation, handler) = incoming.operation.clone()?;
        self.check_credentials(incoming, operation)?;
        incoming.check_ids()?;
        let asked: Option<AccountId> = incoming.id("account");
        if self.seed.account_id.zip(asked).is_some_and(|(mine, asked)| mine != asked) {
            return Err(Reply::error(403, 9109, "Unauthorized to access requested resource"));
        }
        let cap = [self.seed.page_size_cap, plan.clamp].into_iter().flatten().min();
        let query = Query::of(incoming, cap.map_or(usize::MAX, |cap| cap.get() as usize))?;
        if operation.writes() {
            query.finish()?;
        }
        let claim = plan.claim.filter(|_| operation.writes()).map(|claim| (claim, self.state.clone()));
        let as_of = Instant::now().checked_sub(self.seed.lag.0.max(plan.lag));
        self.state.request = Some(number);
        let mut call = RoutedCall { state: &mut self.state, seed: &self.seed, incoming, query, as_of };
        let done = handler(&mut call).and_then(|reply| call.query.finish().map(|()| reply));
        self.state.request = None;
        if let Some((claim, real)) = claim {
            let imagined = std::mem::replace(&mut self.state, real);
            return done.map(|done| {
                let members = |of: &AccountState| members::all_shown(of, incoming.request.group);
                let result = match claim {
                    FalseClaim::Done => done.result().clone(),
                    FalseClaim::DoneList => members(&imagined),
                    FalseClaim::Unchanged => members(&self.state),
                    FalseClaim::Empty => json!([]),
                    FalseClaim::Null => Value::Null,
                };
                Reply::written(result, false)
            });
        }
        if done.is_ok() && operation.writes() {
            self.audit(number, incoming);
        }
        done
    }

    fn audit(&mut self, number: u64, incoming: &Incoming) {
        let Request { method, path, group, .. } = &incoming.request;
        let owner = self.state.token_owner.and_then(|id| Some((id, self.state.person(id)?)));
        let by_key = incoming.header("x-auth-key").is_some();
        let by = EditActor {
            id: owner.and_then(|(id, person)| person.user_id(id)),
            email: owner.map(|(_, person)| person.user_email.to_string()),
            context: Some(if by_key { "api_key" } else { "api_token" }.into()),
            token_id: (!by_key).then(|| hex("token", "the token")),
            token_name: (!by_key).then(|| "the token of the sandbox".into()),
            kind: Some(if owner.is_some() { "user" } else { "account" }.into()),
        };
        // After /client/v4/accounts/ID.
        let path = path.splitn(6, '/').nth(5).unwrap_or_default();
        let record = AuditRecord {
            by,
            method: method.clone(),
            group: *group,
            path: format!("/{path}"),
            body: incoming.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default(),
            ray: Some(ray(number)),
            user_agent: incoming.header(USER_AGENT).map(String::from),
        };
        self.state.record_request(self.state.clock.unwrap_or_else(now), record);
    }

    fn check_credentials(&mut self, incoming: &Incoming, operation: Endpoint) -> Result<(), Reply> {
        let secret = secret(incoming)?;
        let known = self.seed.token.as_ref().is_none_or(|token| token.expose_secret() == secret);
        if !known || self.state.token_revoked {
            return Err(if incoming.headers.contains_key(AUTHORIZATION) {
                Reply::unauthorized()
            } else {
                Reply::error(403, 9109, "Unknown X-Auth-Key or X-Auth-Email")
            });
        }
        if self.seed.token_status != TokenStatus::Active && operation != Endpoint::VerifyToken {
            return Err(Reply::unauthorized());
        }
        let is_new = self.seed.token_settles > 0;
        self.seed.token_settles = self.seed.token_settles.saturating_sub(1);
        if is_new || (operation.writes() && self.seed.token_access == Access::Read) {
            return Err(Reply::error(403, 10000, "Authentication error"));
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
            return Err(Reply::error(400, 9106, "Missing X-Auth-Key, X-Auth-Email or Authorization headers"));
        }
        (Some(value), _, _) => {
            let parts = value.split_once(' ').filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"));
            parts.map(|(_, token)| token)
        }
        (None, email, key) => email.filter(is_word).and(key),
    };
    secret.filter(is_word).ok_or_else(|| Reply::error(400, 6003, "Invalid request headers"))
}

fn allowance(requests: u32, remaining: u32, window: u64, reset: u64) -> [(HeaderName, String); 2] {
    [
        (HeaderName::from_static("ratelimit"), format!("\"default\";r={remaining};t={reset}")),
        (HeaderName::from_static("ratelimit-policy"), format!("\"default\";q={requests};w={window}")),
    ]
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
        let mut server = Server::new(&Seed { rate_limit: Some(limit), ..Seed::default() }).unwrap();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let admitted = [0, 1, 3, 4, 5, 6].map(|seconds| server.admit(at(seconds)).0.is_ok());
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
