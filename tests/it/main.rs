//! Tests of the program from outside: the real binary over real HTTP against the sandbox, and properties of the pure
//! core.
//!
//! A test has three parts: given (an account and files), when (a command line), then (the output and the effect).

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "a test fails by panicking, and clippy treats helpers of tests as code of the program"
)]

mod account;
mod blocking;
mod builders;
mod harness;
mod live;
mod server;

mod apply_guards;
mod apply_proofs;
mod apply_refusals;
mod apply_settling;
mod applying;
mod attribution;
#[cfg(unix)]
mod changes;
mod ci;
mod client;
mod clocks;
mod conditions;
mod confirming;
mod day;
mod dependencies;
mod doctor;
mod drift;
mod drift_figures;
mod due;
mod edit;
mod examples;
mod exclusion;
mod exported_files;
mod exporting;
mod failures;
mod formats;
mod guarded;
mod hostile;
mod journals;
mod killed;
mod names;
mod narrowed;
mod pacing;
mod plan;
mod planning;
mod properties;
mod purity;
mod readme;
mod render;
mod requests;
mod review;
mod revisions;
mod rules;
mod safety;
mod sandbox;
mod sandbox_api;
mod saved_plans;
mod scale;
mod schemas;
mod secrets;
mod security;
mod showing;
mod side_doors;
mod simulation;
mod tip;
mod unwritable;
mod usage;
mod validate;
