//! The part of Cloudflare's API that manages the members of user groups. Only this module uses HTTP.
//!
//! From the outside in: [`Client`] has the operations. `listing` turns pages into complete lists, and `search` finds
//! members without reading a complete one. `call` sends one request until it is answered or given up; `retry` decides
//! whether to repeat it, and `pacer` when the next request may be sent. `answer` says what an answer means, `http` is
//! one exchange, and `wire` describes the JSON.

mod answer;
mod call;
mod client;
mod config;
mod error;
mod http;
mod listing;
mod pacer;
mod retry;
mod search;
mod wire;

#[cfg(test)]
mod tests;

pub use answer::{ListPage, RawAnswer};
pub use call::{Answered, RETRY_TARGET};
pub use client::{Client, MemberDetail, Written};
pub use config::{BaseUrl, BaseUrlError, ClientConfig, ClientError, Credentials, without_password};
pub use error::{ApiError, ApiErrorKind, ApiMessage, Fate};
pub use pacer::{Wait, WaitReason};
pub use search::MemberSearch;
pub use wire::{ApiOperation, AuditEntry, account_info};
