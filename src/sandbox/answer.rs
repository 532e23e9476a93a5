//! The API's answers: the envelope, and refusals with their codes.

use axum::http::StatusCode;
use serde_json::{Value, json};

#[derive(Clone, Copy, Debug)]
pub(crate) struct ResultInfo {
    pub(crate) page: usize,
    pub(crate) per_page: usize,
    pub(crate) count: usize,
    pub(crate) total_count: usize,
}

#[derive(Debug)]
pub(crate) struct Success {
    pub(crate) result: Value,
    result_info: Option<Value>,
    pub(crate) effect: bool,
}

impl Success {
    pub(crate) const fn read(result: Value) -> Self {
        Self { result, result_info: None, effect: false }
    }

    pub(crate) const fn read_with(result: Value, result_info: Value) -> Self {
        Self { result, result_info: Some(result_info), effect: false }
    }

    pub(crate) const fn written(result: Value, effect: bool) -> Self {
        Self { result, result_info: None, effect }
    }

    /// A page of a list.
    pub(crate) fn page(entries: Vec<Value>, info: ResultInfo) -> Self {
        let ResultInfo { page, per_page, count, total_count } = info;
        let total_pages = total_count.div_ceil(per_page.max(1));
        let info = json!({ "page": page, "per_page": per_page, "count": count, "total_count": total_count, "total_pages": total_pages });
        Self::read_with(Value::Array(entries), info)
    }

    pub(crate) fn envelope(self) -> Value {
        let mut envelope = json!({ "success": true, "errors": [], "messages": [], "result": self.result });
        if let (Some(info), Some(fields)) = (self.result_info, envelope.as_object_mut()) {
            fields.insert("result_info".into(), info);
        }
        envelope
    }
}

#[derive(Clone, Debug)]
pub(crate) struct Rejection {
    pub(crate) status: StatusCode,
    pub(crate) code: u32,
    pub(crate) message: String,
    pub(crate) retry_after: Option<u64>,
    /// The `Allow` header.
    pub(crate) allow: Option<String>,
}

impl Rejection {
    pub(crate) fn new(status: StatusCode, code: u32, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), retry_after: None, allow: None }
    }

    pub(crate) fn bad_request(code: u32, message: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, code, message)
    }

    pub(crate) fn no_route(path: &str) -> Self {
        Self::unroutable(StatusCode::NOT_FOUND, path)
    }

    pub(crate) fn bad_id(path: &str) -> Self {
        Self::unroutable(StatusCode::BAD_REQUEST, path)
    }

    fn unroutable(status: StatusCode, path: &str) -> Self {
        Self::new(status, 7003, format!("Could not route to {path}, perhaps your object identifier is invalid?"))
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, 404, message)
    }

    pub(crate) fn no_group() -> Self {
        Self::not_found("User group not found")
    }

    /// An account member who is not in the group.
    pub(crate) fn not_in_group() -> Self {
        Self::not_found("Member not found in user group")
    }

    pub(crate) fn wrong_method(method: &str, allowed: &str) -> Self {
        let message = format!("Method {method} not available for that URI.");
        let mut rejection = Self::new(StatusCode::METHOD_NOT_ALLOWED, 7001, message);
        rejection.allow = Some(allowed.into());
        rejection
    }

    /// A query or a body that the API's reference does not allow.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::bad_request(1001, message)
    }

    pub(crate) fn invalid_member(message: impl Into<String>) -> Self {
        Self::bad_request(400, message)
    }

    pub(crate) fn policy_invalid() -> Self {
        Self::bad_request(400, "Policy validation failed")
    }

    pub(crate) fn scim() -> Self {
        Self::bad_request(400, "the user group is synchronized by SCIM and cannot be changed or deleted here")
    }

    pub(crate) fn unauthorized() -> Self {
        Self::new(StatusCode::UNAUTHORIZED, 1000, "Invalid API Token")
    }

    pub(crate) fn forbidden(code: u32, message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, code, message)
    }

    pub(crate) fn rate_limited(retry_after: u64) -> Self {
        let mut refusal =
            Self::new(StatusCode::TOO_MANY_REQUESTS, 971, "Please wait and consider throttling your request speed");
        refusal.retry_after = Some(retry_after);
        refusal
    }

    pub(crate) fn envelope(&self) -> Value {
        json!({
            "success": false,
            "errors": [{ "code": self.code, "message": self.message }],
            "messages": [],
            "result": null,
        })
    }
}
