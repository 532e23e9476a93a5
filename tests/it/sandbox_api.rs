//! Tests of the sandbox through HTTP: every known behavior of the live API.

use convoke::sandbox::*;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::builders::{
    EditActorExt as _, EditExt as _, FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _, SeedGroupExt as _,
    SeedPersonExt as _, ShareExt as _,
};
use crate::harness::ACCOUNT;
use crate::live::LiveAccount;

mod audit;
mod chance;
mod deceit;
mod faults;
mod gate;
mod people;
mod provider;
mod reading;
mod seeds;
mod server;
mod strictness;
mod writing;

/// A sandbox with an HTTP client.
struct Given {
    sandbox: Sandbox,
    account: LiveAccount,
    http: reqwest::Client,
}

/// An answer.
struct Got {
    status: StatusCode,
    headers: reqwest::header::HeaderMap,
    text: String,
}

impl Got {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }

    /// The emails of a list of members.
    fn emails(&self) -> Vec<String> {
        assert_eq!(self.status, StatusCode::OK, "{}", self.text);
        let json = self.json();
        let entries = json["result"].as_array().unwrap().iter();
        entries.map(|entry| entry["email"].as_str().unwrap_or("?").into()).collect()
    }

    /// The first error's code, with the status.
    fn refusal(&self) -> (u16, u64) {
        let json = self.json();
        assert_eq!((&json["success"], &json["messages"], &json["result"]), (&json!(false), &json!([]), &json!(null)));
        (self.status.as_u16(), json["errors"][0]["code"].as_u64().unwrap())
    }

    fn message(&self) -> String {
        self.json()["errors"][0]["message"].as_str().unwrap().into()
    }

    fn header(&self, name: &str) -> &str {
        self.headers[name].to_str().unwrap()
    }
}

async fn given(seed: Seed) -> Given {
    // The first caller installs it. An error means that it is already installed.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let sandbox = Sandbox::start(&seed, Sandbox::ANY_PORT).await.unwrap();
    let http = reqwest::Client::builder().no_proxy().redirect(reqwest::redirect::Policy::none()).build().unwrap();
    Given { account: LiveAccount(sandbox.account()), sandbox, http }
}

/// Starts a sandbox from YAML.
async fn given_yaml(text: &str) -> Given {
    given(Seed::parse("seed.yaml".as_ref(), text).unwrap()).await
}

impl Given {
    fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.sandbox.base_url())).bearer_auth("token")
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Got, reqwest::Error> {
        let response = request.send().await?;
        let (status, headers) = (response.status(), response.headers().clone());
        Ok(Got { status, headers, text: response.text().await? })
    }

    async fn get(&self, path: &str) -> Got {
        self.send(self.request(Method::GET, path)).await.unwrap()
    }

    async fn write(&self, method: Method, path: &str, body: &Value) -> Got {
        self.try_write(method, path, body).await.unwrap()
    }

    async fn try_write(&self, method: Method, path: &str, body: &Value) -> Result<Got, reqwest::Error> {
        let request = self.request(method, path).header("content-type", "application/json").body(body.to_string());
        self.send(request).await
    }

    async fn delete(&self, path: &str) -> Got {
        self.send(self.request(Method::DELETE, path)).await.unwrap()
    }

    /// The path of the groups, followed by `rest`.
    fn groups(&self, rest: &str) -> String {
        format!("/accounts/{ACCOUNT}/iam/user_groups{rest}")
    }

    /// The path of a group.
    fn group(&self, name: &str) -> String {
        self.groups(&format!("/{}", self.account.group_id(name).unwrap()))
    }

    /// The path of a group's members, followed by `rest`.
    fn members(&self, name: &str, rest: &str) -> String {
        format!("{}/members{rest}", self.group(name))
    }

    /// The path of one membership.
    fn member(&self, name: &str, email: &str) -> String {
        self.members(name, &format!("/{}", self.id(email)))
    }

    fn id(&self, email: &str) -> String {
        self.account.person_id(email).unwrap().to_string()
    }

    /// The body that lists these people.
    fn body(&self, emails: &[&str]) -> Value {
        emails.iter().map(|email| json!({ "id": self.id(email) })).collect()
    }
}

/// An account with a group of two members, and a third person.
fn small() -> Seed {
    Seed::default().person("carol@example.com").group("Admins", ["bob@example.com", "Alice@example.com"])
}
