//! The log of requests and answers.

use std::collections::BTreeMap;

use super::endpoint::Endpoint;
use tokio::time::Instant;

use super::fault::Fault;
use crate::model::{GroupId, MemberId};

/// The maximum number of stored requests, because a sandbox can run for weeks.
const MOST: usize = 100_000;

/// The maximum number of requests whose listed members are stored.
const MOST_SHOWN: u64 = 10_000;

/// A request that reached the sandbox.
#[derive(Clone, Debug)]
pub struct Request {
    /// From 1 in the order of arrival; the answer's `cf-ray` contains it.
    pub number: u64,
    pub method: String,
    pub path: String,
    /// The query as it was sent, without the `?`.
    pub query: Option<String>,
    /// `None` if no operation has this method and path.
    pub operation: Option<Endpoint>,
    /// The group in the path.
    pub group: Option<GroupId>,
    /// The member in the path.
    pub member: Option<MemberId>,
    /// The ids in the body, in its order.
    pub body_ids: Vec<MemberId>,
    pub fault: Option<Fault>,
    /// The status of the answer, received or not; `None` before the answer, or if the connection was cut before the
    /// first byte.
    pub status_sent: Option<u16>,
    /// Whether the request itself changed the account.
    pub effect: bool,
    pub arrived: Instant,
    /// When its answer was ready or its connection was closed.
    pub answered: Option<Instant>,
    /// The ids that its answer listed, as sent; `None` if it was not a list.
    pub shown: Option<Vec<MemberId>>,
}

#[derive(Debug, Default)]
pub(crate) struct RequestLog {
    requests: BTreeMap<u64, Request>,
    last: u64,
}

impl RequestLog {
    /// Records a request on arrival; returns its number.
    pub(crate) fn arrived(&mut self, mut request: Request) -> u64 {
        self.last += 1;
        request.number = self.last;
        self.requests.insert(self.last, request);
        if self.requests.len() > MOST {
            self.requests.pop_first();
        }
        self.last
    }

    pub(crate) fn carried_out(&mut self, number: u64, effect: bool) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.effect = effect;
        }
    }

    pub(crate) fn answered(&mut self, number: u64, status_sent: Option<u16>, shown: Option<Vec<MemberId>>) {
        if let Some(request) = self.requests.get_mut(&number) {
            request.status_sent = status_sent;
            request.answered = Some(Instant::now());
            request.shown = shown;
        }
        if let Some(past) = number.checked_sub(MOST_SHOWN).and_then(|number| self.requests.get_mut(&number)) {
            past.shown = None;
        }
    }

    pub(crate) fn requests(&self) -> impl Iterator<Item = &Request> {
        self.requests.values()
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_requests_are_remembered() {
        let request = Request {
            number: 0,
            method: "GET".into(),
            path: String::new(),
            query: None,
            operation: None,
            group: None,
            member: None,
            body_ids: Vec::new(),
            fault: None,
            status_sent: None,
            effect: false,
            arrived: Instant::now(),
            answered: None,
            shown: None,
        };
        let mut log = RequestLog::default();
        let last = (0..=MOST).map(|_| log.arrived(request.clone())).last();
        log.answered(1, Some(200), None);
        let numbers: Vec<u64> = log.requests().map(|request| request.number).collect();
        assert_eq!((numbers.len(), numbers.first(), numbers.last().copied()), (MOST, Some(&2), last));
    }
}
