//! The operations of the API, selected by path and method.

use std::num::NonZeroU32;

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
use super::request::{Call, Incoming, Query};
use super::seed::Seed;
use super::state::State;
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
    GetPerson,
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

pub(crate) type Handler = fn(&mut Call<'_>) -> Result<Reply, Reply>;

/// The operations of a path: the method, what it is called, and what does it.
pub(crate) type Methods = &'static [(&'static str, Endpoint, Handler)];

const PATHS: [(&str, Methods); 14] = {
    use Endpoint as E;
    [
        ("/client/v4/user", &[("GET", E::GetUser, members::token_user)]),
        ("/client/v4/user/tokens/verify", &[("GET", E::VerifyToken, members::verify_token)]),
        ("/client/v4/accounts/{account}", &[("GET", E::GetAccount, members::account)]),
        ("/client/v4/accounts/{account}/scim/v2/Groups", &[("GET", E::ListScimGroups, groups::list_scim)]),
        ("/client/v4/accounts/{account}/tokens/verify", &[("GET", E::VerifyToken, members::verify_token)]),
        ("/client/v4/accounts/{account}/logs/audit", &[("GET", E::ListAuditLog, audit::list)]),
        (
            "/client/v4/accounts/{account}/iam/permission_groups",
            &[("GET", E::ListPermissionGroups, groups::permission_groups)],
        ),
        (
            "/client/v4/accounts/{account}/iam/resource_groups",
            &[("GET", E::ListResourceGroups, groups::resource_groups)],
        ),
        ("/client/v4/accounts/{account}/members", &[("GET", E::ListPeople, members::list_people)]),
        ("/client/v4/accounts/{account}/members/{member}", &[("GET", E::GetPerson, members::get_person)]),
        (
            "/client/v4/accounts/{account}/iam/user_groups",
            &[("GET", E::ListGroups, groups::list), ("POST", E::CreateGroup, groups::create)],
        ),
        (
            "/client/v4/accounts/{account}/iam/user_groups/{group}",
            &[
                ("GET", E::GetGroup, groups::get),
                ("PUT", E::UpdateGroup, groups::update),
                ("DELETE", E::DeleteGroup, groups::delete),
            ],
        ),
        (
            "/client/v4/accounts/{account}/iam/user_groups/{group}/members",
            &[
                ("GET", E::ListMembers, members::list),
                ("POST", E::AddMembers, members::add),
                ("PUT", E::ReplaceMembers, members::replace),
            ],
        ),
        (
            "/client/v4/accounts/{account}/iam/user_groups/{group}/members/{member}",
            &[("GET", E::GetMember, members::get), ("DELETE", E::RemoveMember, members::remove)],
        ),
    ]
};

/// Routes requests by path. Methods are looked up later, because requests with a wrong one are logged too.
pub(crate) fn router(account: &Account) -> Router {
    let unrouted = account.clone();
    let router = Router::new().fallback(move |request| server::exchange(unrouted.clone(), &[], None, request));
    PATHS.iter().fold(router, |router, (path, methods)| {
        let account = account.clone();
        let handle = move |params: Result<RawPathParams, _>, request: Request| {
            // An error means that an id is not UTF-8, so it is not an id.
            server::exchange(account.clone(), methods, params.ok(), request)
        };
        router.route(path, any(handle))
    })
}

pub(crate) fn operation(methods: Methods, method: &str, path: &str) -> Result<(Endpoint, Handler), Reply> {
    match methods.iter().find(|(taken, ..)| *taken == method) {
        Some((_, operation, handler)) => Ok((*operation, *handler)),
        // An empty segment is in the place of an id.
        None if methods.is_empty() && path.contains("//") | path.ends_with('/') => {
            Err(Reply::unroutable(StatusCode::BAD_REQUEST, path))
        }
        None if methods.is_empty() => Err(Reply::unroutable(StatusCode::NOT_FOUND, path)),
        None => {
            let allowed: Vec<&str> = methods.iter().map(|(taken, ..)| *taken).collect();
            let message = format!("Method {method} not available for that URI.");
            let refusal = Reply::error(StatusCode::METHOD_NOT_ALLOWED, 7001, message);
            Err(refusal.with_header(ALLOW, allowed.join(", ")))
        }
    }
}

pub(crate) fn carry_out(
    state: &mut State,
    seed: &Seed,
    incoming: &Incoming,
    page_size_cap: Option<NonZeroU32>,
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
    let mut call = Call { state, seed, incoming, query, page_size_cap, as_of };
    if !operation.has_parameters() {
        call.query.finish()?;
    }
    handler(&mut call)
}

/// The answer that claims an effect without carrying out the request. An invalid request is still refused.
pub(crate) fn claimed(state: &State, seed: &Seed, incoming: &Incoming, claim: FalseClaim) -> Result<Reply, Reply> {
    let mut imagined = state.clone();
    let done = carry_out(&mut imagined, seed, incoming, None, None)?;
    let members = |mut of: State| match incoming.request.group {
        Some(group) => members::all_shown(&mut of, seed, group),
        None => json!([]),
    };
    let result = match claim {
        FalseClaim::Done => done.result().cloned().unwrap_or_default(),
        FalseClaim::DoneList => members(imagined),
        FalseClaim::Unchanged => members(state.clone()),
        FalseClaim::Empty => json!([]),
        FalseClaim::Null => Value::Null,
    };
    Ok(Reply::written(result, false))
}
