//! The state of the server, and the handling of a request, from its arrival to the response: the rate limit, the
//! credentials, the faults and the operation.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{RawPathParams, Request as HttpRequest};
use axum::http::header::{AUTHORIZATION, RETRY_AFTER, USER_AGENT};
use axum::http::{HeaderName, StatusCode};
use axum::response::Response;
use secrecy::ExposeSecret;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::answer::{Reply, ray};
use super::build::{self, SeedError};
use super::edit::{AuditRecord, Edit, EditActor};
use super::fault::{Execution, FalseClaim, Fault, FaultPlan};
use super::members;
use super::routes::{Endpoint, Incoming, MAX_BODY, Query, Request, RoutedCall};
use super::rules::{FaultRule, Sampler, fault_by_rule};
use super::seed::{Access, Delay, RateLimit, Seed, TokenStatus};
use super::state::{AccountState, MembershipChange, StoredGroup, hex, now};
use crate::model::{AccountId, GroupId, MemberId};

/// The account of a running sandbox. Clones are handles on the same account, which outlives the server.
///
/// Groups are found by name, people by email or id.
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
        let (operation, handler) = incoming.operation.clone()?;
        self.check_credentials(incoming, operation)?;
        incoming.check_ids()?;
        if let (Some(mine), Some(asked)) = (self.seed.account_id, incoming.id::<AccountId>("account"))
            && mine != asked
        {
            return Err(Reply::forbidden(9109, "Unauthorized to access requested resource"));
        }
        let query = Query::of(incoming)?;
        if !operation.has_parameters() {
            query.finish()?;
        }
        let claim = match plan.effect {
            Execution::Claimed(claim) if operation.writes() => Some((claim, self.state.clone())),
            _ => None,
        };
        let cap = [self.seed.page_size_cap, plan.clamp].into_iter().flatten().min();
        let page_size_cap = cap.map_or(usize::MAX, |cap| cap.get() as usize);
        let as_of = Instant::now().checked_sub(self.seed.lag.0.max(plan.lag));
        self.state.request = Some(number);
        let (state, seed) = (&mut self.state, &self.seed);
        let result = handler(&mut RoutedCall { state, seed, incoming, query, page_size_cap, as_of });
        self.state.request = None;
        if let Some((claim, real)) = claim {
            let imagined = std::mem::replace(&mut self.state, real);
            let group = incoming.request.group;
            return result.map(|done| claimed(claim, &done, group, &imagined, &self.state));
        }
        if result.is_ok() && operation.writes() {
            self.audit(number, incoming);
        }
        result
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

/// The answer that claims an effect: the account is still the real one, not the imagined one.
fn claimed(
    claim: FalseClaim,
    done: &Reply,
    group: Option<GroupId>,
    imagined: &AccountState,
    real: &AccountState,
) -> Reply {
    let members = |of: &AccountState| group.map_or_else(|| json!([]), |group| members::all_shown(of, group));
    let result = match claim {
        FalseClaim::Done => done.result().clone(),
        FalseClaim::DoneList => members(imagined),
        FalseClaim::Unchanged => members(real),
        FalseClaim::Empty => json!([]),
        FalseClaim::Null => Value::Null,
    };
    Reply::written(result, false)
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

/// The live API's limit, which answers report if the seed sets none. Nothing uses it up.
const USUAL: RateLimit = RateLimit { requests: 1200, window: Delay(Duration::from_secs(300)), spent: 0 };

#[derive(Debug)]
struct RequestLimit {
    limit: Option<RateLimit>,
    ends: Option<Instant>,
    spent: u32,
}

impl RequestLimit {
    fn new(limit: Option<RateLimit>) -> Self {
        Self { limit, ends: None, spent: limit.unwrap_or(USUAL).spent }
    }

    /// Whether a request is admitted, and the headers of its answer.
    fn count(&mut self, now: Instant) -> (Result<(), Reply>, [(HeaderName, String); 2]) {
        let RateLimit { requests, window, .. } = self.limit.unwrap_or(USUAL);
        let mut left = window.0;
        if self.limit.is_some() {
            if self.ends.is_some_and(|ends| ends <= now) {
                // The seed's spent requests count only in the first window.
                (self.ends, self.spent) = (None, 0);
            }
            left = self.ends.get_or_insert_with(|| now + window.0.min(YEAR)).saturating_duration_since(now);
        }
        let reset = whole_seconds(left);
        let admitted = if self.spent < requests {
            self.spent += u32::from(self.limit.is_some());
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
