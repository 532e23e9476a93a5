//! Reads requests strictly: everything that the API's reference does not allow is refused.

use std::collections::BTreeMap;

use axum::body::Bytes;
use axum::http::header::{ACCEPT, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, StatusCode};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use url::form_urlencoded;

use super::answer::Rejection;
use super::endpoint::{Endpoint, Route, route};
use crate::model::{AccountId, GroupId, MemberId};

/// The maximum size of a body.
pub(crate) const MAX_BODY: usize = 4 * 1024 * 1024;

/// A request as it arrived.
#[derive(Debug)]
pub(crate) struct Incoming {
    pub(crate) method: String,
    pub(crate) path: String,
    pub(crate) query: Option<String>,
    pub(crate) headers: HeaderMap,
    pub(crate) route: Result<Route, Rejection>,
    /// `None` if the body was too large or incomplete.
    pub(crate) body: Option<Bytes>,
}

impl Incoming {
    pub(crate) fn new(head: Parts, body: Option<Bytes>) -> Self {
        let (method, path) = (head.method.as_str(), head.uri.path());
        Self {
            route: route(method, path),
            method: method.into(),
            path: path.into(),
            query: head.uri.query().map(String::from),
            headers: head.headers,
            body,
        }
    }

    pub(crate) fn header(&self, name: &str) -> Option<String> {
        self.headers.get(name).and_then(|value| value.to_str().ok()).map(String::from)
    }

    pub(crate) fn endpoint(&self) -> Option<Endpoint> {
        self.route.as_ref().ok().map(|route| route.operation)
    }

    /// The group in the path, if it is a valid id.
    pub(crate) fn group(&self) -> Option<GroupId> {
        self.route.as_ref().ok()?.group.as_ref()?.parse().ok()
    }

    /// The member in the path, if it is a valid id.
    pub(crate) fn member(&self) -> Option<MemberId> {
        self.route.as_ref().ok()?.member.as_ref()?.parse().ok()
    }

    /// The ids in the body, if it is a list of members.
    pub(crate) fn body_ids(&self) -> Vec<MemberId> {
        match self.endpoint() {
            Some(Endpoint::AddMembers | Endpoint::ReplaceMembers) => self.member_list().unwrap_or_default(),
            _ => Vec::new(),
        }
    }

    /// Whether the client accepts JSON, also for errors of the edge.
    pub(crate) fn accepts_json(&self) -> bool {
        let accepted = self.headers.get_all(ACCEPT).iter().filter_map(|value| value.to_str().ok());
        let mut types = accepted.flat_map(|value| value.split(',')).filter_map(|part| part.split(';').next());
        types.any(|one| ["application/json", "application/problem+json"].contains(&one.trim()))
    }

    /// The requested page, if the request is for a list.
    pub(crate) fn page(&self) -> Option<u64> {
        use Endpoint as Op;
        let (Op::ListGroups | Op::ListMembers | Op::ListPeople) = self.endpoint()? else { return None };
        match Query::of(self).ok()?.take("page") {
            Some(page) => page.parse().ok(),
            None => Some(1),
        }
    }

    /// The complete request as one text.
    pub(crate) fn said(&self) -> String {
        let Self { method, path, query, body, .. } = self;
        let query = query.as_deref().unwrap_or_default();
        let body = body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        format!("{method} {path}?{query} {body}")
    }

    /// The body as the operation expects it.
    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Rejection> {
        let Some(body) = &self.body else {
            return Err(Rejection::new(StatusCode::PAYLOAD_TOO_LARGE, 413, "the request body is too large"));
        };
        let content_type = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            let message = "Invalid request headers: Content-Type must be application/json";
            return Err(Rejection::bad_request(6003, message));
        }
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Rejection::invalid(format!("invalid request body: {error}")),
            _ => Rejection::bad_request(6007, "Malformed JSON in request body"),
        })
    }

    /// The body as a plain list of members, in order.
    pub(crate) fn member_list(&self) -> Result<Vec<MemberId>, Rejection> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Listed {
            id: String,
        }
        self.json::<Vec<Listed>>()?.iter().map(|listed| hexadecimal(&listed.id, Rejection::invalid_id)).collect()
    }
}

impl Rejection {
    fn invalid_id(id: &str) -> Self {
        Self::invalid_member(format!("invalid member: {id:?} is not an identifier"))
    }
}

fn hexadecimal<T: std::str::FromStr>(text: &str, refusal: impl FnOnce(&str) -> Rejection) -> Result<T, Rejection> {
    let hexadecimal = text.chars().all(|c| c.is_ascii_hexdigit());
    text.parse().ok().filter(|_| hexadecimal).ok_or_else(|| refusal(text))
}

/// The ids in a path. Code never requests an id that the operation's path does not have.
pub(crate) struct Ids {
    account: Option<AccountId>,
    group: Option<GroupId>,
    member: Option<MemberId>,
}

impl Ids {
    pub(crate) fn read(route: &Route, path: &str) -> Result<Self, Rejection> {
        fn id<T: std::str::FromStr>(text: &Option<String>, path: &str) -> Result<Option<T>, Rejection> {
            text.as_deref().map(|text| hexadecimal(text, |_| Rejection::bad_id(path))).transpose()
        }
        let Route { operation: _, account, group, member } = route;
        Ok(Self { account: id(account, path)?, group: id(group, path)?, member: id(member, path)? })
    }

    pub(crate) const fn account(&self) -> Option<AccountId> {
        self.account
    }

    pub(crate) fn group(&self) -> Result<GroupId, Rejection> {
        self.group.ok_or_else(Rejection::no_group)
    }

    pub(crate) fn member(&self) -> Result<MemberId, Rejection> {
        self.member.ok_or_else(Rejection::not_in_group)
    }
}

/// The parameters of a query. An operation must read each of them.
#[derive(Debug, Default)]
pub(crate) struct Query(BTreeMap<String, String>);

impl Query {
    pub(crate) fn of(incoming: &Incoming) -> Result<Self, Rejection> {
        let text = incoming.query.as_deref().unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
            if parameters.insert(key.clone(), value).is_some() {
                return Err(Rejection::invalid(format!("the query parameter {key:?} is given twice")));
            }
        }
        Ok(Self(parameters))
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.0.remove(key)
    }

    pub(crate) fn take_word<T: Copy>(&mut self, key: &str, words: &[(&str, T)]) -> Result<Option<T>, Rejection> {
        let Some(value) = self.take(key) else { return Ok(None) };
        match words.iter().find(|(word, _)| *word == value) {
            Some((_, meaning)) => Ok(Some(*meaning)),
            None => Err(Rejection::invalid(format!("the query parameter {key:?} cannot be {value:?}"))),
        }
    }

    pub(crate) fn take_id<T: std::str::FromStr>(&mut self, key: &str) -> Result<Option<T>, Rejection> {
        let refusal = |id: &str| Rejection::invalid(format!("the query parameter {key:?} cannot be {id:?}"));
        self.take(key).map(|value| hexadecimal(&value, refusal)).transpose()
    }

    pub(crate) fn take_number(&mut self, key: &str, least: usize, most: usize) -> Result<Option<usize>, Rejection> {
        let Some(value) = self.take(key) else { return Ok(None) };
        // The reference says "number", and some clients write `1.0`.
        let whole = value.split_once('.').filter(|(_, fraction)| fraction.bytes().all(|digit| digit == b'0'));
        match whole.map_or(value.as_str(), |(whole, _)| whole).parse() {
            Ok(number) if (least..=most).contains(&number) => Ok(Some(number)),
            _ => Err(Rejection::invalid(format!("the query parameter {key:?} cannot be {value:?}"))),
        }
    }

    /// The parameters that every list accepts.
    pub(crate) fn take_paging(&mut self, sizes: &PageSizes) -> Result<Paging, Rejection> {
        Ok(Paging {
            page: self.take_number("page", 1, usize::MAX)?.unwrap_or(1),
            per_page: self.take_number("per_page", sizes.least, sizes.most)?.unwrap_or(sizes.usual),
            descending: self.take_word("direction", &[("asc", false), ("desc", true)])?.unwrap_or(false),
        })
    }

    /// Refuses parameters that the operation did not read.
    pub(crate) fn finish(self) -> Result<(), Rejection> {
        match self.0.into_keys().next() {
            Some(key) => Err(Rejection::invalid(format!("the query parameter {key:?} is not known"))),
            None => Ok(()),
        }
    }
}

/// The page sizes a list allows.
pub(crate) struct PageSizes {
    pub(crate) least: usize,
    pub(crate) most: usize,
    pub(crate) usual: usize,
}

/// The requested part of a list.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Paging {
    pub(crate) page: usize,
    pub(crate) per_page: usize,
    pub(crate) descending: bool,
}
