//! Plans and reports in every format.

mod failure;
mod github;
mod markdown;
mod metrics;
pub mod samples;
mod text;
mod why;
