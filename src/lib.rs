//! Keeps the membership of Cloudflare user groups in Git.
//!
//! Files declare who belongs to each group (as [`model::Desired`]); the account is read over
//! HTTP into [`model::Current`]; a pure function compares the two into a plan that decides everything; and applying
//! carries that plan out.

pub mod model;
pub mod sandbox;
