//! The operations of the API, selected by path and method.

use std::num::NonZeroU32;

use axum::Router;
use axum::extract::{RawPathParams, Request};
use axum::routing::any;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::account::Account;
use super::answer::{Rejection, Success};
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
    #[must_use]
    pub const fn writes(self) -> bool {
        use Endpoint as E;
        matches!(
            self,
            E::CreateGroup | E::UpdateGroup | E::DeleteGroup | E::AddMembers | E::ReplaceMembers | E::RemoveMember
        )
    }
}

pub(crate) type Methods = &'static [(&'static str, Endpoint)];

const PATHS: [(&str, Methods); 14] = {
    use Endpoint as E;
    [
        ("/client/v4/user", &[("GET", E::GetUser)]),
        ("/client/v4/user/tokens/verify", &[("GET", E::VerifyToken)]),
        ("/client/v4/accounts/{account}", &[("GET", E::GetAccount)]),
        ("/client/v4/accounts/{account}/scim/v2/Groups", &[("GET", E::ListScimGroups)]),
        ("/client/v4/accounts/{account}/tokens/verify", &[("GET", E::VerifyToken)]),
        ("/client/v4/accounts/{account}/logs/audit", &[("GET", E::ListAuditLog)]),
        ("/client/v4/accounts/{account}/iam/permission_groups", &[("GET", E::ListPermissionGroups)]),
        ("/client/v4/accounts/{account}/iam/resource_groups", &[("GET", E::ListResourceGroups)]),
        ("/client/v4/accounts/{account}/members", &[("GET", E::ListPeople)]),
        ("/client/v4/accounts/{account}/members/{member}", &[("GET", E::GetPerson)]),
        ("/client/v4/accounts/{account}/iam/user_groups", &[("GET", E::ListGroups), ("POST", E::CreateGroup)]),
        (
            "/client/v4/accounts/{account}/iam/user_groups/{group}",
            &[("GET", E::GetGroup), ("PUT", E::UpdateGroup), ("DELETE", E::DeleteGroup)],
        ),
        (
            "/client/v4/accounts/{account}/iam/user_groups/{group}/members",
            &[("GET", E::ListMembers), ("POST", E::AddMembers), ("PUT", E::ReplaceMembers)],
        ),
        (
            "/client/v4/accounts/{account}/iam/user_groups/{group}/members/{member}",
            &[("GET", E::GetMember), ("DELETE", E::RemoveMember)],
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

pub(crate) fn operation(methods: Methods, method: &str, path: &str) -> Result<Endpoint, Rejection> {
    match methods.iter().find(|(taken, _)| *taken == method) {
        Some((_, operation)) => Ok(*operation),
        // An empty segment is in the place of an id.
        None if methods.is_empty() && path.contains("//") | path.ends_with('/') => Err(Rejection::bad_id(path)),
        None if methods.is_empty() => Err(Rejection::no_route(path)),
        None => {
            let allowed: Vec<&str> = methods.iter().map(|(taken, _)| *taken).collect();
            Err(Rejection::wrong_method(method, &allowed.join(", ")))
        }
    }
}

pub(crate) fn carry_out(
    state: &mut State,
    seed: &Seed,
    incoming: &Incoming,
    page_size_cap: Option<NonZeroU32>,
    as_of: Option<Instant>,
) -> Result<Success, Rejection> {
    let operation = incoming.operation.as_ref().map_err(Clone::clone)?;
    incoming.check_ids()?;
    if let (Some(mine), Some(asked)) = (seed.account_id, incoming.id::<AccountId>("account"))
        && mine != asked
    {
        return Err(Rejection::forbidden(9109, "Unauthorized to access requested resource"));
    }
    let query = Query::of(incoming)?;
    let mut call = Call { state, seed, incoming, query, page_size_cap, as_of };
    use Endpoint as E;
    if !matches!(operation, E::ListGroups | E::ListMembers | E::ListPeople | E::ListAuditLog)
        && !matches!(operation, E::ListPermissionGroups | E::ListResourceGroups | E::ListScimGroups)
    {
        call.query.finish()?;
    }
    let call = &mut call;
    match operation {
        E::ListGroups => groups::list(call),
        E::CreateGroup => groups::create(call),
        E::GetGroup => groups::shown_now(call, call.group()?).map(Success::read),
        E::UpdateGroup => groups::update(call),
        E::DeleteGroup => groups::delete(call),
        E::ListMembers => members::list(call),
        E::AddMembers => members::add(call),
        E::ReplaceMembers => members::replace(call),
        E::GetMember => members::get(call),
        E::RemoveMember => members::remove(call),
        E::ListPeople => members::list_people(call),
        E::GetPerson => members::get_person(call),
        E::ListPermissionGroups => groups::permission_groups(call),
        E::ListResourceGroups => groups::resource_groups(call),
        E::ListAuditLog => audit::list(call),
        E::GetUser => members::token_user(call),
        E::VerifyToken => members::verify_token(call),
        E::GetAccount => Ok(members::account(call)),
        E::ListScimGroups => groups::list_scim(call),
    }
}

/// The answer that claims an effect without carrying out the request. An invalid request is still refused.
pub(crate) fn claimed(
    state: &State,
    seed: &Seed,
    incoming: &Incoming,
    claim: FalseClaim,
) -> Result<Success, Rejection> {
    let mut imagined = state.clone();
    let done = carry_out(&mut imagined, seed, incoming, None, None)?;
    let members = |mut of: State| match incoming.group() {
        Some(group) => members::all_shown(&mut of, seed, group),
        None => json!([]),
    };
    let result = match claim {
        FalseClaim::Done => done.result,
        FalseClaim::DoneList => members(imagined),
        FalseClaim::Unchanged => members(state.clone()),
        FalseClaim::Empty => json!([]),
        FalseClaim::Null => Value::Null,
    };
    Ok(Success::written(result, false))
}
