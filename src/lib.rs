//! Manages the members of Cloudflare user groups from files in Git.
//!
//! Files declare who belongs to each group ([`config`] reads them into [`model::Desired`]); [`observe`] reads the
//! account over HTTP ([`cloudflare`]) into [`model::Observed`]; [`plan`] compares the two, purely, into a plan that
//! decides everything; [`render`] shows it; and [`apply`] carries it out, with a [`journal`]. [`commands`] puts these
//! to work for the command line ([`cli`]), and [`sandbox`] is a mock of the API.
//!
//! The core ([`model`], [`config`] but for loading, [`plan`], [`render`]) knows no network, clock, environment or
//! file system.

pub mod apply;
pub mod audit;
pub mod cli;
pub mod cloudflare;
pub mod commands;
pub mod config;
pub mod journal;
pub mod model;
pub mod observe;
pub mod plan;
pub mod render;
pub mod report;
pub mod sandbox;
