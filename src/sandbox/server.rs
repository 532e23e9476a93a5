//! The state of the server, and the handling of a request.

use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::time::Duration;

use tokio::time::Instant;

use super::answer::{Rejection, Success};
use super::audit::{AuditedClient, AuditedRequest};
use super::build;
use super::call::AnswerSettings;
use super::course::{Alteration, Course, CourseEffect};
use super::dealer::Dealer;
use super::fault::Fault;
use super::gate::{Allowance, Gatekeeper, RequestLimit};
use super::log::{Request, RequestLog};
use super::reply::{Delivery, Reply, ray};
use super::request::Incoming;
use super::routes;
use super::rules::{FaultRules, MatchSubject};
use super::seed::{Seed, SeedProblem};
use super::state::State;
use crate::model::MemberId;

#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) state: State,
    pub(crate) rules: FaultRules,
    pub(crate) dealer: Option<Dealer>,
    pub(crate) log: RequestLog,
    /// The number of writes that were answered or cut but not carried out yet.
    pub(crate) unlanded: usize,
    settings: AnswerSettings,
    gatekeeper: Gatekeeper,
    limit: RequestLimit,
    latency: Duration,
    pub(crate) lag: Duration,
    page_size_cap: Option<NonZeroU32>,
    result_info: bool,
    started: Instant,
}

/// The decisions about a request at its arrival.
pub(crate) struct Arrival {
    pub(crate) number: u64,
    pub(crate) allowance: Allowance,
    pub(crate) latency: Duration,
    /// Its course, unless the rate limit refuses it.
    pub(crate) admitted: Result<Course, Rejection>,
}

impl Server {
    pub(crate) fn new(seed: &Seed) -> Result<Self, SeedProblem> {
        let state = build::state(seed)?;
        let mut rules = FaultRules::default();
        seed.faults.iter().for_each(|rule| rules.push(rule.clone()));
        Ok(Self {
            settings: AnswerSettings {
                account_id: seed.account_id,
                token_owner: seed.token_owner.as_ref().and_then(|owner| state.find_person(owner)),
                token_owner_email: seed.token_owner_email.clone(),
                token_name: seed.token_name.clone(),
                member_status: seed.member_status,
            },
            rules,
            dealer: seed.chance.as_ref().map(|chance| {
                // Chance chooses among the groups and people of the seed, also after they changed.
                let groups: BTreeMap<_, _> = state.groups().map(|(id, group)| (id, group.name.clone())).collect();
                Dealer::new(chance.clone(), groups, seed.addresses())
            }),
            state,
            log: RequestLog::default(),
            unlanded: 0,
            gatekeeper: Gatekeeper::new(seed),
            limit: RequestLimit::new(seed.rate_limit, seed.rate_limit_headers),
            latency: seed.latency.0,
            lag: seed.lag.0,
            page_size_cap: seed.page_size_cap,
            result_info: seed.result_info,
            started: Instant::now(),
        })
    }

    /// Records a request, and decides its fault.
    pub(crate) fn arrival(&mut self, incoming: &Incoming) -> Arrival {
        let (group, member, body_ids) = (incoming.group(), incoming.member(), incoming.body_ids());
        let arrived = Instant::now();
        let (admitted, allowance) = self.limit.count(arrived);
        let fault = match &admitted {
            Ok(()) => self.fault(incoming, &body_ids),
            Err(_) => None,
        };
        let admitted = admitted.map(|()| Course::new(fault.as_ref()));
        let number = self.log.arrived(Request {
            number: 0,
            method: incoming.method.clone(),
            path: incoming.path.clone(),
            query: incoming.query.clone(),
            operation: incoming.endpoint(),
            group,
            member,
            body_ids,
            fault,
            status_sent: None,
            effect: false,
            arrived,
            answered: None,
            shown: None,
        });
        self.state.history.arrived(number);
        Arrival { number, allowance, latency: self.latency, admitted }
    }

    /// The fault of a request: by rule, or else by chance.
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
            operation: incoming.endpoint(),
            method: &incoming.method,
            group: group.and_then(|id| self.state.group(id)).map(|group| group.name.as_str()),
            members: &members,
            page: incoming.page(),
        };
        // Chance counts every request, so that rules do not shift the faults by chance.
        let by_rule = self.rules.choose(&subject);
        let endpoint = incoming.endpoint();
        let by_chance = self.dealer.as_mut().and_then(|dealer| dealer.choose(&incoming.said(), endpoint, group));
        by_rule.or(by_chance)
    }

    pub(crate) fn reject(&mut self, number: u64, rejection: &Rejection) -> Delivery {
        self.deliver(number, Delivery::Whole(Reply::refusal(rejection)))
    }

    /// Schedules a request for later. Returns the immediate answer, if there is one.
    pub(crate) fn put_off(&mut self, number: u64, incoming: &Incoming, course: &Course) -> Option<Delivery> {
        self.unlanded += 1;
        let at_once = !course.ending.needs_answer();
        at_once.then(|| self.deliver(number, Delivery::new(&course.ending, incoming.accepts_json(), None)))
    }

    /// Carries out a scheduled request. Its answer counts if there was no immediate answer.
    pub(crate) fn land(&mut self, number: u64, incoming: &Incoming, course: &Course) -> Delivery {
        self.unlanded = self.unlanded.saturating_sub(1);
        let answer = self.carry_out(number, incoming, course);
        let delivery = Delivery::new(&course.ending, incoming.accepts_json(), Some(answer));
        match course.ending.needs_answer() {
            true => self.deliver(number, delivery),
            false => delivery,
        }
    }

    /// Carries out a request according to its course, and returns the answer.
    pub(crate) fn answer(&mut self, number: u64, incoming: &Incoming, course: &Course) -> Delivery {
        let answer = match course.effect {
            CourseEffect::Never => None,
            _ => Some(self.carry_out(number, incoming, course)),
        };
        let delivery = Delivery::new(&course.ending, incoming.accepts_json(), answer);
        let Incoming { method, path, .. } = incoming;
        let status = delivery.status();
        tracing::debug!(number, method, path, status, ?course, "the sandbox answers");
        self.deliver(number, delivery)
    }

    fn deliver(&mut self, number: u64, delivery: Delivery) -> Delivery {
        self.log.answered(number, delivery.status(), delivery.shown());
        delivery
    }

    /// The true answer, altered according to the course, with the edits of other actors around it.
    fn carry_out(&mut self, number: u64, incoming: &Incoming, course: &Course) -> Reply {
        for edit in &course.before {
            self.state.edit(edit);
        }
        let result = self.route(number, incoming, course);
        self.log.carried_out(number, result.as_ref().is_ok_and(|success| success.effect));
        let mut reply = match result {
            Ok(success) => Reply::success(success),
            Err(rejection) => Reply::refusal(&rejection),
        };
        if !self.result_info {
            reply.alter(&Alteration::Omit("result_info"));
        }
        course.alterations.iter().for_each(|alteration| reply.alter(alteration));
        for edit in &course.after {
            self.state.edit(edit);
        }
        reply
    }

    fn route(&mut self, number: u64, incoming: &Incoming, course: &Course) -> Result<Success, Rejection> {
        let route = incoming.route.as_ref().map_err(Clone::clone)?;
        self.gatekeeper.check(&incoming.headers, route.operation, self.state.token_revoked)?;
        if let (CourseEffect::Claimed(claim), true) = (course.effect, route.operation.writes()) {
            return routes::claimed(&self.state, &self.settings, incoming, claim);
        }
        let lag = self.lag.max(course.lag);
        let as_of = (!lag.is_zero()).then(|| Instant::now().checked_sub(lag).unwrap_or(self.started));
        let cap = [self.page_size_cap, course.clamp].into_iter().flatten().min();
        self.state.history.attribute(Some(number));
        let result = routes::carry_out(&mut self.state, &self.settings, incoming, cap, as_of);
        self.state.history.attribute(None);
        if result.is_ok() && route.operation.writes() {
            self.audit(number, incoming);
        }
        result
    }

    fn audit(&mut self, number: u64, incoming: &Incoming) {
        let method = match incoming.method.as_str() {
            "POST" => "POST",
            "PUT" => "PUT",
            _ => "DELETE",
        };
        // After /client/v4/accounts/ID.
        let path = incoming.path.splitn(5, '/').nth(4).map(|rest| rest.split_once('/').map_or("", |(_, rest)| rest));
        let request = AuditedRequest {
            method,
            group: incoming.group(),
            path: format!("/{}", path.unwrap_or_default()),
            body: incoming.body.as_deref().and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default(),
        };
        let client = AuditedClient { ray: Some(ray(number)), user_agent: incoming.header("user-agent") };
        let by = self.settings.actor(&self.state, incoming.header("x-auth-key").is_some());
        self.state.audit(by, request, client);
    }
}
