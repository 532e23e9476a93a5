//! The action and the workflows. Every script runs as its runner would run it, against an account in a sandbox and
//! mocks of the APIs of GitHub and GitLab.

mod action;
mod checkout;
mod circle;
mod drift;
mod forms;
mod github;
mod github_examples;
mod gitlab;
mod kubernetes;
mod pipeline;
mod project;
mod runner;
mod stand_in;
