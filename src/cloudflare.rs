//! The part of Cloudflare's API that manages the members of user groups. Only this module uses HTTP.
//!
//! From the outside in: [`Client`] has the operations. `listing` turns pages into complete lists. `call` sends one
//! request until it is answered or given up, and `pacer` decides when the next request may be sent. `verdict`
//! interprets answers, and `write` those to writes. `http` is one exchange, with the `headers` that count. `wire`,
//! `envelope` and `audit` describe the JSON. `notice` reports waits, `backoff` measures them, `config` has the
//! credentials and limits, and `text` makes messages safe to show.

mod audit;
mod call;
mod classify;
mod client;
mod config;
mod envelope;
mod error;
mod headers;
mod http;
mod listing;
mod notice;
mod pacer;
mod retry;
mod wire;

#[cfg(test)]
mod tests;

pub use audit::{AuditActor, AuditCursor, AuditEntry, AuditPage, AuditRequest};
pub use call::Answered;
pub use client::{Client, MemberDetail, Written};
pub use config::{BaseUrl, BaseUrlError, ClientConfig, ClientError, Credentials};
pub use error::{ApiError, ApiErrorKind, ApiMessage, Concern, Fate};
pub use notice::{Wait, WaitReason};
pub use wire::ApiOperation;
