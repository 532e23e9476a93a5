//! A stand-in for GitHub's API: comments, issues, pull requests of a commit, tags and releases.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use serde_json::{Value, json};
use tokio::sync::oneshot;

/// The token of the job, and the user it acts for.
pub const TOKEN: &str = "ghs_of_the_job";
pub const BOT: &str = "github-actions[bot]";

/// What GitHub keeps.
#[derive(Debug, Default)]
pub struct Kept {
    /// Comments by the number of their issue or pull request.
    pub comments: Vec<Value>,
    pub issues: Vec<Value>,
    /// The pull requests of a commit.
    pub pulls: BTreeMap<String, Value>,
    /// What tags and other references point at.
    pub commits: BTreeMap<String, String>,
    pub release: Option<Value>,
    /// Files of the release, by the number of the asset.
    pub assets: Vec<Vec<u8>>,
    /// Every request but those that read, and `METHOD path` of each.
    pub writes: Vec<String>,
    /// Answered with 403, as without the permission.
    pub forbidden: Option<&'static str>,
}

pub struct Github {
    pub kept: Arc<Mutex<Kept>>,
    address: std::net::SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Github {
    pub fn start() -> Self {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let router = Router::new().fallback(answer).with_state(Arc::clone(&kept));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async move {
                let listener = tokio::net::TcpListener::from_std(listener).unwrap();
                let served = axum::serve(listener, router).with_graceful_shutdown(async {
                    let _ = stopped.await;
                });
                served.await.unwrap();
            });
        });
        Self { kept, address, stop: Some(stop), thread: Some(thread) }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The bodies of a pull request's comments.
    pub fn comments(&self, number: u64) -> Vec<String> {
        let kept = self.kept.lock().unwrap();
        let of = kept.comments.iter().filter(|comment| comment["issue"] == number);
        of.map(|comment| comment["body"].as_str().unwrap().to_owned()).collect()
    }

    /// Adds a comment by somebody.
    pub fn comment(&self, number: u64, login: &str, body: &str) {
        let mut kept = self.kept.lock().unwrap();
        let id = 1000 + kept.comments.len();
        kept.comments.push(json!({ "id": id, "issue": number, "user": { "login": login }, "body": body }));
    }
}

impl Drop for Github {
    fn drop(&mut self) {
        drop(self.stop.take());
        let _ = self.thread.take().unwrap().join();
    }
}

type Answer = (StatusCode, Vec<u8>);

async fn answer(
    State(kept): State<Arc<Mutex<Kept>>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Answer {
    let authorization = headers.get("authorization").and_then(|value| value.to_str().ok());
    if authorization != Some(&format!("Bearer {TOKEN}")) {
        return (StatusCode::UNAUTHORIZED, br#"{"message":"Bad credentials"}"#.to_vec());
    }
    let mut kept = kept.lock().unwrap();
    if method != Method::GET && uri.path() != "/graphql" {
        kept.writes.push(format!("{method} {}", uri.path()));
    }
    if kept.forbidden.is_some_and(|part| method != Method::GET && uri.path().contains(part)) {
        return (StatusCode::FORBIDDEN, br#"{"message":"Resource not accessible by integration"}"#.to_vec());
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    match route(&mut kept, &method, &uri, &body) {
        Some(answer) => answer,
        None => (StatusCode::NOT_FOUND, br#"{"message":"Not Found"}"#.to_vec()),
    }
}

fn found(value: &Value) -> Option<Answer> {
    Some((StatusCode::OK, value.to_string().into_bytes()))
}

fn route(kept: &mut Kept, method: &Method, uri: &Uri, body: &Value) -> Option<Answer> {
    let parts: Vec<&str> = uri.path().trim_matches('/').split('/').collect();
    if parts == ["graphql"] {
        return found(&json!({ "data": { "viewer": { "login": BOT } } }));
    }
    let ["repos", _, _, rest @ ..] = parts.as_slice() else { return None };
    match (method.as_str(), rest) {
        ("GET", ["commits", sha, "pulls"]) => found(kept.pulls.get(*sha).unwrap_or(&json!([]))),
        ("GET", ["commits", name]) => found(&json!({ "sha": kept.commits.get(*name)? })),
        ("GET", ["git", "ref", "tags", tag]) => {
            found(&json!({ "object": { "type": "tag", "sha": format!("tag-{}", kept.commits.get(*tag)?) } }))
        }
        ("GET", ["git", "tags", sha]) => {
            found(&json!({ "object": { "type": "commit", "sha": sha.strip_prefix("tag-")? } }))
        }
        ("GET", ["releases", "tags", _]) => found(kept.release.as_ref()?),
        ("GET", ["releases", "assets", id]) => {
            let asset = kept.assets.get(id.parse::<usize>().ok()?)?;
            Some((StatusCode::OK, asset.clone()))
        }
        ("GET", ["issues", number, "comments"]) => {
            let of = kept.comments.iter().filter(|comment| is(comment, "issue", number));
            found(&page(of, uri))
        }
        ("POST", ["issues", number, "comments"]) => {
            let id = 1000 + kept.comments.len();
            let number: u64 = number.parse().ok()?;
            kept.comments.push(json!({ "id": id, "issue": number, "user": { "login": BOT }, "body": said(body)? }));
            Some((StatusCode::CREATED, b"{}".to_vec()))
        }
        ("PATCH", ["issues", "comments", id]) => {
            let comment = kept.comments.iter_mut().find(|comment| is(comment, "id", id))?;
            comment["body"] = said(body)?;
            found(&json!({}))
        }
        ("GET", ["issues"]) => found(&page(kept.issues.iter().filter(|issue| issue["state"] == "open"), uri)),
        ("POST", ["issues"]) => {
            let number = 1 + kept.issues.len();
            kept.issues.push(json!({
                "number": number, "state": "open", "user": { "login": BOT },
                "title": body["title"], "body": said(body)?,
            }));
            Some((StatusCode::CREATED, b"{}".to_vec()))
        }
        ("PATCH", ["issues", number]) => {
            let issue = kept.issues.iter_mut().find(|issue| is(issue, "number", number))?;
            issue.as_object_mut()?.extend(body.as_object()?.clone());
            found(&json!({}))
        }
        _ => None,
    }
}

/// Whether a number of an entry is the one in the path.
fn is(entry: &Value, key: &str, in_path: &str) -> bool {
    in_path.parse().is_ok_and(|number: u64| entry[key] == number)
}

/// The body of a comment or issue. GitHub takes no more than this.
fn said(body: &Value) -> Option<Value> {
    let text = body["body"].as_str()?;
    (!text.is_empty() && text.chars().count() <= 65_536).then(|| text.into())
}

/// The entries of the page that was asked for.
fn page<'a>(entries: impl Iterator<Item = &'a Value>, uri: &Uri) -> Value {
    let query = uri.query().unwrap_or_default();
    let number = |name: &str, default: usize| {
        let mut values = query.split('&').filter_map(|pair| pair.strip_prefix(&format!("{name}=")));
        values.next_back().map_or(default, |value| value.parse().unwrap())
    };
    let (size, page) = (number("per_page", 30), number("page", 1));
    entries.skip((page - 1) * size).take(size).cloned().collect()
}
