//! Manages the members of Cloudflare user groups from files in Git.
//!
//! Files declare who belongs to each group; [`config`] reads them into [`model::Desired`]. [`observe`] reads the
//! account over HTTP ([`cloudflare`]) into [`model::Observed`]. [`plan`] compares the two into a plan that decides
//! everything. [`render`] shows the plan. [`apply`] applies it, with a [`journal`]. [`commands`] uses these for the
//! command line ([`cli`]). [`sandbox`] is a mock of the API.
//!
//! The core ([`model`], [`config`] without loading, [`plan`], [`render`], [`report`]) does not use the network, the
//! clock, the environment or the file system.

pub mod apply;
pub mod audit;
pub mod cli;
pub mod cloudflare;
pub mod commands;
pub mod config;
pub mod doctor;
pub mod journal;
pub mod model;
pub mod observe;
pub mod plan;
pub mod render;
pub mod report;
pub mod sandbox;
