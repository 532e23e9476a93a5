//! A mock of GitHub's API: comments, issues, pull requests of a commit, tags and releases.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::stand_in::{StandIn, found, page, parts};
use crate::server::{Reply, Request};

/// The token of the job, and its user.
pub const TOKEN: &str = "ghs_of_the_job";
pub const BOT: &str = "github-actions[bot]";

/// The state of the mock.
#[derive(Debug, Default)]
pub struct Kept {
    pub comments: Vec<Value>,
    pub issues: Vec<Value>,
    /// The pull requests of a commit.
    pub pulls: BTreeMap<String, Value>,
    /// The commits of tags and other references.
    pub commits: BTreeMap<String, String>,
    pub release: Option<Value>,
    /// Files of the release, by asset number.
    pub assets: Vec<Vec<u8>>,
    /// `METHOD path` of every request that writes.
    pub writes: Vec<String>,
    /// How often the pull requests of a commit are not known yet.
    pub lag: usize,
    /// Requests whose path contains this get this answer.
    pub broken: Option<(&'static str, u16, &'static str)>,
    /// How many of the next queries for the user get 502.
    pub unavailable: usize,
    /// Writes whose path contains this are answered with 403, as without the permission.
    pub forbidden: Option<&'static str>,
}

pub type Github = StandIn<Kept>;

pub fn start() -> Github {
    StandIn::start(Kept::default(), answer)
}

impl Github {
    /// The bodies of a pull request's comments.
    pub fn comments(&self, number: u64) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let of = kept.comments.iter().filter(|comment| comment["issue"] == number);
        of.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Adds a comment by another user.
    pub fn comment(&self, number: u64, login: &str, body: &str) {
        let mut kept = self.kept.lock().unwrap();
        let id = 1000 + kept.comments.len();
        kept.comments.push(json!({ "id": id, "issue": number, "user": { "login": login }, "body": body }));
    }
}

fn answer(kept: &mut Kept, request: &Request) -> Option<Reply> {
    if request.header("authorization") != Some(&format!("Bearer {TOKEN}")) {
        return Some(Reply::status(401, r#"{"message":"Bad credentials"}"#));
    }
    let media = if request.path().contains("/releases/assets/") { "octet-stream" } else { "vnd.github+json" };
    if request.header("accept") != Some(&format!("application/{media}")) {
        return Some(Reply::status(415, r#"{"message":"Unsupported media type"}"#));
    }
    if kept.unavailable > 0 && request.path() == "/graphql" {
        kept.unavailable -= 1;
        return Some(Reply::status(502, "<html>"));
    }
    let broken = kept.broken.filter(|(part, ..)| request.path().contains(part));
    if request.path() == "/graphql" && broken.is_none() {
        return found(&json!({ "data": { "viewer": { "login": BOT } } }));
    }
    if request.method() != "GET" && request.path() != "/graphql" {
        kept.writes.push(format!("{} {}", request.method(), request.path()));
        if kept.forbidden.is_some_and(|part| request.path().contains(part)) {
            return Some(Reply::status(403, r#"{"message":"Resource not accessible by integration"}"#));
        }
    }
    if let Some((_, status, body)) = broken {
        return Some(Reply::status(status, body));
    }
    let parts = parts(request);
    let ["repos", _, _, rest @ ..] = parts.as_slice() else { return None };
    match request.method() {
        "GET" => read(kept, request, rest),
        _ => write(kept, request, rest),
    }
}

fn read(kept: &mut Kept, request: &Request, path: &[&str]) -> Option<Reply> {
    match path {
        ["commits", _, "pulls"] if kept.lag > 0 => {
            kept.lag -= 1;
            found(&json!([]))
        }
        ["pulls", number] => {
            let all = kept.pulls.values().flat_map(|list| list.as_array().unwrap());
            found(all.into_iter().find(|pull| is(pull, "number", number))?)
        }
        ["commits", sha, "pulls"] => found(kept.pulls.get(*sha).unwrap_or(&json!([]))),
        ["commits", name] => found(&json!({ "sha": kept.commits.get(*name)? })),
        ["git", "ref", "tags", tag] => {
            found(&json!({ "object": { "type": "tag", "sha": format!("tag-{}", kept.commits.get(*tag)?) } }))
        }
        ["git", "tags", sha] => found(&json!({ "object": { "type": "commit", "sha": sha.strip_prefix("tag-")? } })),
        ["releases", "tags", _] => found(kept.release.as_ref()?),
        ["releases", "assets", id] => Some(Reply::status(200, kept.assets.get(id.parse::<usize>().ok()?)?.clone())),
        ["issues", number, "comments"] => {
            page(request, kept.comments.iter().filter(|comment| is(comment, "issue", number)))
        }
        ["issues"] => page(request, kept.issues.iter().filter(|issue| issue["state"] == "open")),
        _ => None,
    }
}

fn write(kept: &mut Kept, request: &Request, path: &[&str]) -> Option<Reply> {
    let body: Value = serde_json::from_slice(request.body.as_bytes()).ok()?;
    match (request.method(), path) {
        ("POST", ["issues", number, "comments"]) => {
            let id = 1000 + kept.comments.len();
            let number: u64 = number.parse().ok()?;
            kept.comments.push(json!({ "id": id, "issue": number, "user": { "login": BOT }, "body": said(&body)? }));
        }
        ("PATCH", ["issues", "comments", id]) => {
            let comment = kept.comments.iter_mut().find(|comment| is(comment, "id", id))?;
            comment["body"] = said(&body)?;
        }
        ("POST", ["issues"]) => {
            let number = 1 + kept.issues.len();
            kept.issues.push(json!({
                "number": number, "state": "open", "user": { "login": BOT },
                "title": body["title"], "body": said(&body)?,
                "labels": body["labels"], "assignees": body["assignees"],
            }));
        }
        ("PATCH", ["issues", number]) => {
            let issue = kept.issues.iter_mut().find(|issue| is(issue, "number", number))?;
            issue.as_object_mut()?.extend(body.as_object()?.clone());
        }
        _ => return None,
    }
    Some(Reply::status(201, "{}"))
}

/// Whether a number of an entry is the one in the path.
fn is(entry: &Value, key: &str, in_path: &str) -> bool {
    in_path.parse().is_ok_and(|number: u64| entry[key] == number)
}

/// The body of a comment or issue, up to GitHub's maximum length.
fn said(body: &Value) -> Option<Value> {
    let text = body["body"].as_str()?;
    (!text.is_empty() && text.chars().count() <= 65_536).then(|| text.into())
}
