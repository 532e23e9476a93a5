//! The API of Cloudflare, as far as the membership of user groups needs it: the only place that speaks HTTP.
//!
//! From the outside in: [`Client`] names the operations; `listing` turns pages into whole lists; `call`
//! sends one request until it is answered or given up, with `pacer` deciding when the next may go; `verdict` turns
//! an answer into what it means; `http` is one exchange; `wire` is the shape of the bodies.

mod audit;
mod backoff;
mod call;
mod client;
mod config;
mod envelope;
mod error;
mod headers;
mod http;
mod listing;
mod notice;
mod pacer;
mod text;
mod verdict;
mod wire;
mod write;

#[cfg(test)]
mod tests;

pub use audit::{AuditAction, AuditActor, AuditCursor, AuditEntry, AuditPage, AuditRequest};
pub use client::{Client, MemberDetail};
pub use config::{BaseUrl, BaseUrlError, ClientConfig, ClientError, Credentials};
pub use error::{ApiError, ApiErrorKind, ApiMessage, ApiOperation};
pub use notice::{Wait, WaitReason};
pub use write::{Concern, WriteFate};
