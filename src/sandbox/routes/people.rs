//! The account's members, and the token and its user.

use serde_json::{Value, json};

use crate::model::MemberId;
use crate::sandbox::answer::{Rejection, Success};
use crate::sandbox::call::{RouteCall, page};
use crate::sandbox::id;
use crate::sandbox::request::PageSizes;
use crate::sandbox::seed::Invitation;
use crate::sandbox::state::{Order, StoredPerson};

const PAGE_SIZES: PageSizes = PageSizes { least: 5, most: 50, usual: 20 };

/// The sandbox has no names of people, so they are all equal when sorted by name.
const ORDERS: [(&str, Order); 4] = [
    ("user.first_name", Order::Id),
    ("user.last_name", Order::Id),
    ("user.email", Order::Email),
    ("status", Order::Status),
];

const STATUSES: [(&str, Invitation); 3] =
    [("accepted", Invitation::Accepted), ("pending", Invitation::Pending), ("rejected", Invitation::Rejected)];

fn shown(id: MemberId, person: &StoredPerson) -> Value {
    let mut user = json!({
        "id": person.user_id(id),
        "email": person.user_email,
        "first_name": null,
        "last_name": null,
    });
    if let (Some(fields), Some(two_factor)) = (user.as_object_mut(), person.two_factor) {
        fields.insert("two_factor_authentication_enabled".into(), json!(two_factor));
    }
    json!({
        "id": id,
        "email": person.email,
        "status": person.status.as_str(),
        "roles": [],
        "policies": [],
        "user": user,
    })
}

pub(super) fn list(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    let order = call.query.take_word("order", &ORDERS)?.unwrap_or(Order::Email);
    let status = call.query.take_word("status", &STATUSES)?;
    let paging = call.query.take_paging(&PAGE_SIZES)?;
    call.query.finish()?;
    let sorted = call.state.people_sorted(order, status);
    let (ids, info) = page(&sorted, paging, call.page_size_cap);
    let people = ids.into_iter().filter_map(|id| Some(shown(id, call.state.person(id)?)));
    Ok(Success::page(people.collect(), info))
}

pub(super) fn get(mut call: RouteCall<'_>) -> Result<Success, Rejection> {
    std::mem::take(&mut call.query).finish()?;
    let id = call.ids.member()?;
    let person = call.state.person(id).ok_or_else(|| Rejection::not_found("Member not found in the account"))?;
    Ok(Success::read(shown(id, person)))
}

pub(super) fn user(call: RouteCall<'_>) -> Result<Success, Rejection> {
    call.query.finish()?;
    let owner = call.settings.token_owner.and_then(|id| Some((id, call.state.person(id)?)));
    let no_user = || Rejection::forbidden(9109, "Valid user-level authentication not found");
    let (member, person) = owner.ok_or_else(no_user)?;
    Ok(Success::read(json!({
        "id": person.user_id(member).ok_or_else(no_user)?,
        "email": call.settings.owner_email(person),
        "first_name": null,
        "last_name": null,
    })))
}

pub(super) fn verify(call: RouteCall<'_>) -> Result<Success, Rejection> {
    call.query.finish()?;
    Ok(Success::read(json!({ "id": id::of_token(), "status": "active" })))
}
