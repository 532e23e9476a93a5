//! The operations of the API, selected by path and method.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::http::StatusCode;
use axum::http::header::ALLOW;
use axum::routing::any;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::Account;
use super::answer::Reply;
use super::fault::FalseClaim;
use super::request::{Incoming, Query, RoutedCall};
use super::seed::Seed;
use super::state::AccountState;
use super::{audit, groups, members, server};
use crate::model::AccountId;

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
    pub const fn writes(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::CreateGroup | E::UpdateGroup | E::DeleteGroup | E::AddMembers | E::ReplaceMembers | E::RemoveMember
        )
    }

    const fn has_parameters(self) -> bool {
        use Endpoint as E;
        matches!(self, E::ListGroups | E::ListMembers | E::ListPeople | E::ListAuditLog | E::ListScimGroups)
            || matches!(self, E::ListPermissionGroups | E::ListResourceGroups)
    }
}

pub(crate) type Handler = fn(&mut RoutedCall<'_>) -> Result<Reply, Reply>;

/// Every operation: its method, its path below `/client/v4`, its name, and what does it.
const OPERATIONS: [(&str, &str, Endpoint, Handler); 19] = {
    use Endpoint as E;
    [
        ("GET", "/user", E::GetUser, members::token_user),
        ("GET", "/user/tokens/verify", E::VerifyToken, members::verify_token),
        ("GET", "/accounts/{account}", E::GetAccount, members::account),
        ("GET", "/accounts/{account}/scim/v2/Groups", E::ListScimGroups, groups::list_scim),
        ("GET", "/accounts/{account}/tokens/verify", E::VerifyToken, members::verify_token),
        ("GET", "/accounts/{account}/logs/audit", E::ListAuditLog, audit::list),
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
pub(crate) fn router(account: &Account) -> Router {
    let unrouted = account.clone();
    let router = Router::new().fallback(move |request| server::exchange(unrouted.clone(), None, None, request));
    let paths: BTreeSet<&'static str> = OPERATIONS.iter().map(|(_, path, ..)| *path).collect();
    paths.into_iter().fold(router, |router, route| {
        let account = account.clone();
        let handle = move |params: Result<RawPathParams, _>, request: Request| {
            // An error means that an id is not UTF-8, so it is not an id.
            server::exchange(account.clone(), Some(route), params.ok(), request)
        };
        router.route(&format!("/client/v4{route}"), any(handle))
    })
}

/// The operation of a method and a route, if the path has one.
pub(crate) fn operation(route: Option<&str>, method: &str, path: &str) -> Result<(Endpoint, Handler), Reply> {
    let operations = OPERATIONS.iter().filter(|(_, at, ..)| Some(*at) == route);
    if let Some((.., operation, handler)) = operations.clone().find(|(taken, ..)| *taken == method) {
        return Ok((*operation, *handler));
    }
    if route.is_none() {
        // An empty segment is in the place of an id.
        let lacks_id = path.contains("//") | path.ends_with('/');
        let status = if lacks_id { StatusCode::BAD_REQUEST } else { StatusCode::NOT_FOUND };
        return Err(Reply::unroutable(status, path));
    }
    let allowed: Vec<&str> = operations.map(|(taken, ..)| *taken).collect();
    let message = format!("Method {method} not available for that URI.");
    Err(Reply::error(StatusCode::METHOD_NOT_ALLOWED, 7001, message).with_header(ALLOW, allowed.join(", ")))
}

pub(crate) fn carry_out(
    state: &mut AccountState,
    seed: &Seed,
    incoming: &Incoming,
    page_size_cap: usize,
    as_of: Option<Instant>,
) -> Result<Reply, Reply> {
    let (operation, handler) = incoming.operation.clone()?;
    incoming.check_ids()?;
    if let (Some(mine), Some(asked)) = (seed.account_id, incoming.id::<AccountId>("account"))
        && mine != asked
    {
        return Err(Reply::forbidden(9109, "Unauthorized to access requested resource"));
    }
    let query = Query::of(incoming)?;
    let mut call = RoutedCall { state, seed, incoming, query, page_size_cap, as_of };
    if !operation.has_parameters() {
        call.query.finish()?;
    }
    handler(&mut call)
}

/// The answer that claims an effect without carrying out the request. An invalid request is still refused.
pub(crate) fn claimed(
    state: &AccountState,
    seed: &Seed,
    incoming: &Incoming,
    claim: FalseClaim,
) -> Result<Reply, Reply> {
    let mut imagined = state.clone();
    let done = carry_out(&mut imagined, seed, incoming, usize::MAX, None)?;
    let members = |of: &AccountState| match incoming.request.group {
        Some(group) => members::all_shown(of, group),
        None => json!([]),
    };
    let result = match claim {
        FalseClaim::Done => done.result().clone(),
        FalseClaim::DoneList => members(&imagined),
        FalseClaim::Unchanged => members(state),
        FalseClaim::Empty => json!([]),
        FalseClaim::Null => Value::Null,
    };
    Ok(Reply::written(result, false))
}
