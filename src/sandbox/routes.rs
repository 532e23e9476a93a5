//! The operations of the API, selected by path and method, and their requests. Everything that the API's reference does
//! not allow is refused.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::RangeInclusive;
use std::str::FromStr;

use axum::Router;
use axum::body::Bytes;
use axum::extract::RawPathParams;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, ALLOW, AsHeaderName, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::routing::any;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;
use url::form_urlencoded;

use super::answer::Reply;
use super::fault::Fault;
use super::seed::Seed;
use super::server::{self, Account};
use super::state::AccountState;
use super::{edit, groups, members};
use crate::model::{GroupId, MemberId};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Endpoint {
    ListGroups,
    CreateGroup,
    GetGroup,
    UpdateGroup,
    DeleteGroup,
    ListMembers,
    AddMembers,
    ReplaceMembers,
    GetMember,
    RemoveMember,
    /// Lists the account's members, which rules of a group do not concern.
    ListPeople,
    ListPermissionGroups,
    ListResourceGroups,
    ListAuditLog,
    GetUser,
    VerifyToken,
    GetAccount,
    ListScimGroups,
}

impl Endpoint {
    pub fn writes(self) -> bool {
        OPERATIONS.iter().any(|(method, _, endpoint, _)| *endpoint == self && *method != "GET")
    }
}

pub(crate) type Handler = fn(&mut RoutedCall<'_>) -> Result<Reply, Reply>;

/// The part of every path that the table of operations leaves out.
const BASE: &str = "/client/v4";

/// Every operation: its method, its path, its name, and what does it.
const OPERATIONS: [(&str, &str, Endpoint, Handler); 19] = {
    use Endpoint as E;
    [
        ("GET", "/user", E::GetUser, members::token_user),
        ("GET", "/user/tokens/verify", E::VerifyToken, members::verify_token),
        ("GET", "/accounts/{account}", E::GetAccount, members::account),
        ("GET", "/accounts/{account}/scim/v2/Groups", E::ListScimGroups, groups::list_scim),
        ("GET", "/accounts/{account}/tokens/verify", E::VerifyToken, members::verify_token),
        ("GET", "/accounts/{account}/logs/audit", E::ListAuditLog, edit::list_log),
        ("GET", "/accounts/{account}/iam/permission_groups", E::ListPermissionGroups, groups::permission_groups),
        ("GET", "/accounts/{account}/iam/resource_groups", E::ListResourceGroups, groups::resource_groups),
        ("GET", "/accounts/{account}/members", E::ListPeople, members::list_people),
        ("GET", "/accounts/{account}/iam/user_groups", E::ListGroups, groups::list),
        ("POST", "/accounts/{account}/iam/user_groups", E::CreateGroup, groups::create),
        ("GET", "/accounts/{account}/iam/user_groups/{group}", E::GetGroup, groups::get),
        ("PUT", "/accounts/{account}/iam/user_groups/{group}", E::UpdateGroup, groups::update),
        ("DELETE", "/accounts/{account}/iam/user_groups/{group}", E::DeleteGroup, groups::delete),
        ("GET", "/accounts/{account}/iam/user_groups/{group}/members", E::ListMembers, members::list),
        ("POST", "/accounts/{account}/iam/user_groups/{group}/members", E::AddMembers, members::add),
        ("PUT", "/accounts/{account}/iam/user_groups/{group}/members", E::ReplaceMembers, members::replace),
        ("GET", "/accounts/{account}/iam/user_groups/{group}/members/{member}", E::GetMember, members::get),
        ("DELETE", "/accounts/{account}/iam/user_groups/{group}/members/{member}", E::RemoveMember, members::remove),
    ]
};

/// Routes requests by path. Methods are looked up later, because requests with a wrong one are logged too.
pub(crate) fn router(account: Account) -> Router {
    let paths: BTreeSet<&str> = OPERATIONS.iter().map(|(_, path, ..)| *path).collect();
    let route = |router: Router<_>, path| router.route(&format!("{BASE}{path}"), any(server::exchange));
    paths.into_iter().fold(Router::new(), route).fallback(server::exchange).with_state(account)
}

/// The operation of a method and a route, if the path has one.
pub(crate) fn operation(route: Option<&str>, method: &str, path: &str) -> Result<(Endpoint, Handler), Reply> {
    let Some(route) = route.and_then(|route| route.strip_prefix(BASE)) else {
        // An empty segment is in the place of an id.
        let lacks_id = path.contains("//") | path.ends_with('/');
        let status = if lacks_id { 400 } else { 404 };
        return Err(Reply::unroutable(status, path));
    };
    let operations = OPERATIONS.iter().filter(|(_, at, ..)| *at == route);
    if let Some((.., operation, handler)) = operations.clone().find(|(taken, ..)| *taken == method) {
        return Ok((*operation, *handler));
    }
    let allowed: Vec<&str> = operations.map(|(taken, ..)| *taken).collect();
    let message = format!("Method {method} not available for that URI.");
    Err(Reply::error(405, 7001, message).with_header(ALLOW, allowed.join(", ")))
}

pub(crate) const MAX_BODY: usize = 4 * 1024 * 1024;

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
    pub group: Option<GroupId>,
    pub member: Option<MemberId>,
    /// The ids in the body, in its order.
    pub body_ids: Vec<MemberId>,
    pub fault: Option<Fault>,
    /// The status of the answer, received or not; `None` before the answer, or if the connection was cut before the
    /// first byte.
    pub status_sent: Option<u16>,
    pub effect: bool,
    pub arrived: Instant,
    /// When its answer was ready or its connection was closed.
    pub answered: Option<Instant>,
    /// The ids that its answer listed, as sent; `None` if it was not a list.
    pub shown: Option<Vec<MemberId>>,
}

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
            incoming.request.body_ids = incoming.member_list().unwrap_or_default();
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
        let unroutable = || Reply::unroutable(400, &self.request.path);
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
        Query::of(self, usize::MAX).ok()?.take("page").map_or(Some(1), |page| page.parse().ok())
    }

    pub(crate) fn text(&self) -> String {
        let Request { method, path, query, .. } = &self.request;
        let query = query.as_deref().unwrap_or_default();
        let body = self.body.as_deref().map(String::from_utf8_lossy).unwrap_or_default();
        format!("{method} {path}?{query} {body}")
    }

    pub(crate) fn json<T: DeserializeOwned>(&self) -> Result<T, Reply> {
        let Some(body) = &self.body else {
            return Err(Reply::error(413, 413, "the request body is too large"));
        };
        let essence = self.header(CONTENT_TYPE).and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case("application/json") {
            return Err(Reply::error(400, 6003, "Invalid request headers: Content-Type must be application/json"));
        }
        serde_json::from_slice(body).map_err(|error| match error.classify() {
            serde_json::error::Category::Data => Reply::invalid(format!("invalid request body: {error}")),
            _ => Reply::error(400, 6007, "Malformed JSON in request body"),
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
}

/// The parameters of a query. An operation must read each of them.
#[derive(Debug)]
pub(crate) struct Query {
    parameters: BTreeMap<String, String>,
    pub(crate) page_size_cap: usize,
}

impl Query {
    pub(crate) fn of(incoming: &Incoming, page_size_cap: usize) -> Result<Self, Reply> {
        let text = incoming.request.query.as_deref().unwrap_or_default();
        let mut parameters = BTreeMap::new();
        for (key, value) in form_urlencoded::parse(text.as_bytes()).into_owned() {
            if parameters.insert(key.clone(), value).is_some() {
                return Err(Reply::invalid(format!("the query parameter {key:?} is given twice")));
            }
        }
        Ok(Self { parameters, page_size_cap })
    }

    pub(crate) fn take(&mut self, key: &str) -> Option<String> {
        self.parameters.remove(key)
    }

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

    /// The requested page of a list, and its `result_info`.
    pub(crate) fn page<T: Clone>(
        &mut self,
        sorted: &[T],
        sizes: RangeInclusive<usize>,
        usual: usize,
    ) -> Result<(Vec<T>, Value), Reply> {
        let page = self.take_number("page", 1..=usize::MAX)?.unwrap_or(1);
        let per_page = self.take_number("per_page", sizes)?.unwrap_or(usual).min(self.page_size_cap);
        let descending = self.take_word("direction", &[("asc", false), ("desc", true)])?.unwrap_or(false);
        let total = sorted.len();
        let places = (per_page.saturating_mul(page - 1)..total).take(per_page);
        let entry = |place| sorted.get(if descending { total - 1 - place } else { place });
        let entries: Vec<T> = places.filter_map(entry).cloned().collect();
        let info = json!({
            "page": page,
            "per_page": per_page,
            "count": entries.len(),
            "total_count": total,
            "total_pages": total.div_ceil(per_page),
        });
        Ok((entries, info))
    }

    /// Refuses parameters that the operation did not read.
    pub(crate) fn finish(&self) -> Result<(), Reply> {
        match self.parameters.keys().next() {
            Some(key) => Err(Reply::invalid(format!("the query parameter {key:?} is not known"))),
            None => Ok(()),
        }
    }
}
