//! Reads requests strictly: everything that the API's reference does not allow is refused.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::body::Bytes;
use axum::extract::RawPathParams;
use axum::http::header::{ACCEPT, AsHeaderName, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::time::Instant;
use url::form_urlencoded;

use super::account::Request;
use super::answer::Reply;
use super::routes::{Endpoint, Handler, operation};
use super::seed::Seed;
use super::state::AccountState;
use crate::model::{GroupId, MemberId};

pub(crate) const MAX_BODY: usize = 4 * 1024 * 1024;

#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) request: Request,
    pub(crate) headers: HeaderMap,
    pub(crate) operation: Result<(Endpoint, Handler), Reply>,
    /// The ids in the path as written: `account`, `group` and `member`.
    ids: BTreeMap<String, String>,
    /// `None` if the body was too large or incomplete.
    pub(crate) body: Option<Bytes>,
}

impl Incoming {
    pub(crate) fn new(head: Parts, route: Option<&str>, params: Option<RawPathParams>, body: Option<Bytes>) -> Self {
        let (method, path) = (head.method.as_str(), head.uri.path());
        let request = Request {
            number: 0,
            method: method.into(),
            path: path.into(),
            query: head.uri.query().map(String::from),
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
        let operation = operation(route, method, path);
        let ids = params.iter().flatten().map(|(name, id)| (name.into(), id.into())).collect();
        let mut incoming = Self { request, headers: head.headers, operation, ids, body };
        // A path without an operation has no ids.
        if let Ok((endpoint, _)) = incoming.operation {
            incoming.request.operation = Some(endpoint);
            incoming.request.group = incoming.id("group");
            incoming.request.member = incoming.id("member");
            if let Endpoint::AddMembers | Endpoint::ReplaceMembers = endpoint {
                incoming.request.body_ids = incoming.member_list().unwrap_or_default();
            }
        }
        incoming
    }

    pub(crate) fn header(&self, name: impl AsHeaderName) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// An id in the path, if it is there and has the form of one.
    pub(crate) fn id<T: FromStr>(&self, name: &str) -> Option<T> {
        self.ids.get(name)?.parse().ok()
    }

    pub(crate) fn check_ids(&self) -> Result<(), Reply> {
        let valid = self.ids.values().all(|id| hexadecimal::<MemberId>(id).is_some());
        let unroutable = || Reply::unroutable(StatusCode::BAD_REQUEST, &self.request.path);
        valid.then_some(()).ok_or_else(unroutable)
    }

    /// Whether the client accepts JSON, also for errors of the edge.
    pub(crate) fn accepts_json(&self) -> bool {
        let accepted = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|part| part.split(';').next());
        types.any(|one| ["application/json", "application/problem+json"].contains(&one.trim()))
    }

    /// The requested page, if the request is for a list.
    pub(crate) fn page(&self) -> Option<u64> {
        use Endpoint as E;
        let (E::ListGroups | E::ListMembers | E::ListPeople) = self.request.operation? else { return None };
        Query::of(self).ok()?.take("page").map_or(Some(1), |page| page.parse().ok())
    }

    pub(crate) fn text(&self) -> String {
        let Request { method, path, query, .. } = &self.request;
        let query = query.as_deref().unwrap_or_default();
        let body = self.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        format!("{method} {path}?{query} {body}")
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        let Some(body) = &self.body else {
            return Err(Reply::error(StatusCode::PAYLOAD_TOO_LARGE, 413, "the request body is too large"));
        };
        let essence = self.header(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = "Invalid request headers: Content-Type must be application/json";
            return Err(Reply::bad_request(6003, message));
        }
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Reply::invalid(format!("invalid request body: {error}")),
            _ => Reply::bad_request(6007, "Malformed JSON in request body"),
        })
    }

    /// The body as a plain list of members, in order.
    pub(crate) fn member_list(&self) -> Result<Vec<MemberId>, Reply> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Listed {
            id: String,
        }
        let member = |Listed { id }: &Listed| {
            hexadecimal(id).ok_or_else(|| Reply::invalid_member(format!("{id:?} is not an identifier")))
        };
        self.json::<Vec<Listed>>()?.iter().map(member).collect()
    }
}

/// An id of the API. Other code accepts more than hexadecimal digits, because it only passes ids on.
pub(crate) fn hexadecimal<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok().filter(|_| text.chars().all(|c| c.is_ascii_hexdigit()))
}

pub(crate) struct RoutedCall<'a> {
    pub(crate) state: &'a mut AccountState,
    pub(crate) seed: &'a Seed,
    pub(crate) incoming: &'a Incoming,
    pub(crate) query: Query,
    pub(crate) page_size_cap: usize,
    /// The instant whose members are shown, because reads can lag; `None` is before every change.
    pub(crate) as_of: Option<Instant>,
}

impl RoutedCall<'_> {
    /// The account's id in the path, in lower case.
    pub(crate) fn account(&self) -> String {
        self.incoming.ids.get("account").map(|id| id.to_ascii_lowercase()).unwrap_or_default()
    }

    pub(crate) fn group(&self) -> Result<GroupId, Reply> {
        self.incoming.request.group.ok_or_else(Reply::no_group)
    }

    pub(crate) fn member(&self) -> Result<MemberId, Reply> {
        self.incoming.request.member.ok_or_else(Reply::not_in_group)
    }

    /// The parameters that every list accepts; the operation must have read its other parameters before.
    pub(crate) fn last_paging(&mut self, sizes: RangeInclusive<usize>, usual: usize) -> Result<Paging, Reply> {
        let page = self.query.take_number("page", 1..=usize::MAX)?.unwrap_or(1);
        let asked = self.query.take_number("per_page", sizes)?.unwrap_or(usual);
        let descending = self.query.take_word("direction", &[("asc", false), ("desc", true)])?.unwrap_or(false);
        self.query.finish()?;
        Ok(Paging { page, per_page: asked.min(self.page_size_cap), descending })
    }
}

/// The parameters of a query. An operation must read each of them.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn of(incoming: &Incoming) -> Result<Self, Reply> {
        let text = incoming.request.query.as_deref().unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
            if parameters.insert(key.clone(), value).is_some() {
                return Err(Reply::invalid(format!("the query parameter {key:?} is given twice")));
            }
        }
        Ok(Self(parameters))
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    /// A parameter as `read` understands it.
    pub(crate) fn take_as<T>(&mut self, key: &str, read: impl Fn(&str) -> Option<T>) -> Result<Option<T>, Reply> {
        let Some(value) = self.take(key) else { return Ok(None) };
        let cannot_be = || Reply::invalid(format!("the query parameter {key:?} cannot be {value:?}"));
        read(&value).map(Some).ok_or_else(cannot_be)
    }

    pub(crate) fn take_word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Reply> {
        self.take_as(key, |value| words.iter().find(|(word, _)| *word == value).map(|(_, meaning)| *meaning))
    }

    pub(crate) fn take_number(&mut self, key: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Reply> {
        self.take_as(key, |value| {
            // The reference says "number", and some clients write `1.0`.
            let whole = value.split_once('.').filter(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'));
            let number = whole.map_or(value, |(whole, _)| whole).parse().ok();
            number.filter(|number| range.contains(number))
        })
    }

    /// Refuses parameters that the operation did not read.
    pub(crate) fn finish(&self) -> Result<(), Reply> {
        match self.0.keys().next() {
            Some(key) => Err(Reply::invalid(format!("the query parameter {key:?} is not known"))),
            None => Ok(()),
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    pub(crate) page: usize,
    pub(crate) per_page: usize,
    pub(crate) descending: bool,
}
