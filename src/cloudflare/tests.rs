//! The client against a scripted server on a loopback port.

mod answers;
mod limits;
mod people;
mod reading;
mod server;
mod writing;

use std::time::Duration;

use super::{BaseUrl, Client, ClientConfig, Credentials};
use crate::model::GroupRef;
use crate::model::MemberId;

const ACCOUNT: &str = "023e105f4ecef8ad9ca31a8372d0c353";
const GROUP: &str = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";
const TOKEN: &str = "hunter2hunter2hunter2";

/// A client with little patience, so that what fails fails soon.
fn client(base_url: &str) -> Client {
    patient_client(base_url, Duration::from_millis(640))
}

fn patient_client(base_url: &str, max_wait: Duration) -> Client {
    Client::new(config(base_url, max_wait)).unwrap()
}

fn config(base_url: &str, max_wait: Duration) -> ClientConfig {
    ClientConfig {
        base_url: BaseUrl::parse(base_url).unwrap(),
        credentials: Credentials::Token(TOKEN.into()),
        account_id: ACCOUNT.parse().unwrap(),
        concurrency: 8.try_into().unwrap(),
        timeout: Duration::from_secs(20),
        max_wait,
        run_url: Some("https://ci.example.com/runs/7".to_owned()),
    }
}

fn group() -> GroupRef {
    GroupRef { id: GROUP.parse().unwrap(), name: "Platform Admins".into() }
}

/// The id of the member with this number.
fn id(number: usize) -> MemberId {
    format!("{number:032x}").parse().unwrap()
}

/// The address of the member with this number: in the order of the numbers.
fn email(number: usize) -> String {
    format!("person{number:05}@example.com")
}
