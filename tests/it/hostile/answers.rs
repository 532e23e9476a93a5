//! An API that answers anything. The program removes nobody because of it.

use std::collections::BTreeSet;
use std::num::NonZeroUsize;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use convoke::apply::{self, Context, Present};
use convoke::cloudflare::{Client, ClientConfig, Credentials};
use convoke::journal::Journal;
use convoke::model::{AccountId, Desired, Status};
use convoke::observe;
use convoke::plan::{self, Plan, Policy};
use fastrand::Rng;
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use crate::account::{AccountBuilder, member, member_id, parsed};
use crate::server::{Reply, Server, config};

/// The number of members who are and stay in the group.
const MEMBERS: usize = 7;
/// The first group of the account.
const GROUP: &str = "a0000000000000000000000000000000";

/// The maximum number of requests before the program must have ended.
const MOST_REQUESTS: usize = 3_000;

fn email(number: usize) -> String {
    format!("person{number}@example.com")
}

/// Files that declare the present group.
fn desired() -> Desired {
    let members: Vec<String> = (0..MEMBERS).map(email).collect();
    let text = format!(
        "version: 1\nsettings: {{ limits: {{ group_removals: 100%, total_removals: 100% }} }}\n\
         groups:\n  Ops:\n    allow_empty: true\n    members: [{}]\n",
        members.join(", ")
    );
    parsed(&[("convoke.yaml", &text)])
}

fn policy() -> Policy {
    Policy { expiring_within: SignedDuration::ZERO, ..Policy::new(AccountId::SANDBOX) }
}

/// A saved plan.
pub fn a_plan() -> String {
    let members = (1..MEMBERS + 2).map(|number| member(number, Some(&email(number)), Status::Accepted));
    let current = AccountBuilder::default().group_of("Ops", members).observed;
    let plan = plan::plan(&desired(), &current, &policy(), Timestamp::UNIX_EPOCH);
    serde_json::to_string(&plan.sealed()).unwrap()
}

/// The true answer for each path.
fn sound(path: &str) -> Value {
    let person = |number: usize| json!({ "id": member_id(number), "email": email(number), "status": "accepted", "user": { "email": email(number) } });
    let result: Vec<Value> = match path {
        path if path.ends_with("/user_groups") => vec![json!({ "id": GROUP, "name": "Ops" })],
        _ => (0..MEMBERS).map(person).collect(),
    };
    let count = result.len();
    json!({
        "success": true, "errors": [], "messages": [], "result": result,
        "result_info": { "page": 1, "per_page": count, "count": count, "total_count": count, "total_pages": 1 },
    })
}

/// Replaces something in the value. Complete new ids are never invented, because a list with a new id is a valid
/// list.
fn spoil(value: &mut Value, rng: &mut Rng) {
    match value {
        Value::Array(items) if !items.is_empty() && rng.u8(0..4) > 0 => {
            let at = rng.usize(..items.len());
            match rng.u8(0..6) {
                0 => drop(items.remove(at)),
                1 => items.push(items[at].clone()),
                2 => *items = items.iter().flat_map(|item| vec![item.clone(); 40]).collect(),
                _ => spoil(&mut items[at], rng),
            }
        }
        Value::Object(fields) if !fields.is_empty() && rng.u8(0..6) > 0 => {
            let key = fields.keys().nth(rng.usize(..fields.len())).unwrap().clone();
            match rng.u8(0..6) {
                0 => drop(fields.remove(&key)),
                _ => spoil(fields.get_mut(&key).unwrap(), rng),
            }
        }
        Value::String(text) if rng.bool() => *text = text.to_uppercase(),
        other => *other = odd(rng),
    }
}

fn odd(rng: &mut Rng) -> Value {
    match rng.u8(0..12) {
        0 => Value::Null,
        1 => json!(-1),
        2 => json!(u64::MAX),
        3 => json!(1e300),
        4 => json!(0),
        5 => json!(true),
        6 => json!([]),
        7 => json!({}),
        8 => json!(["../../../user/tokens", "\u{1b}[31m\u{202e}\0", "%2e%2e%2f"][rng.usize(..3)]),
        9 => json!("x".repeat(10_000)),
        10 => (0..100).fold(Value::Null, |inner, _| json!([inner])),
        _ => json!([{ "id": 7, "email": [] }]),
    }
}

/// The scripted server.
struct Peer(Server);

impl Peer {
    async fn start(answer: impl Fn(&str) -> Reply + Send + Sync + 'static) -> Self {
        Self(Server::start(move |_, request| answer(request.path())).await)
    }

    fn client(&self) -> Client {
        let credentials = Credentials::Token("a-token-of-the-tests".into());
        let config = config(&self.0.url(), Duration::from_millis(60));
        let (concurrency, account_id) = (NonZeroUsize::new(4).unwrap(), AccountId::SANDBOX);
        Client::new(ClientConfig { credentials, account_id, concurrency, ..config }).unwrap()
    }

    /// Plans and applies. Returns the plan, if there is one.
    async fn converge(&self) -> Result<Plan, String> {
        let (client, desired) = (self.client(), desired());
        let read = observe::read(&client, &desired, &policy(), Timestamp::UNIX_EPOCH, &BTreeSet::new()).await;
        let (_, plan) = read.map_err(|error| error.to_string())?;
        let journal = Journal::none();
        let context = Context {
            client: &client,
            journal: &journal,
            progress: &|_| {},
            settle_within: Duration::ZERO,
            made_plan: true,
            limits_lifted: false,
        };
        apply::apply(&plan, Present::new(), context).await;
        Ok(plan)
    }

    fn asked(&self) -> usize {
        self.0.seen().len()
    }

    #[track_caller]
    fn removed_nobody(&self, why: &dyn std::fmt::Debug) {
        let asked = self.0.lines();
        let removal = asked.iter().find(|line| line.starts_with("DELETE") || line.starts_with("PUT"));
        assert!(removal.is_none(), "{why:?} led to {removal:?}");
        let below = format!(" /accounts/{}/", AccountId::SANDBOX);
        let astray = asked.iter().find(|line| !line.contains(&below) || line.contains(".."));
        assert!(astray.is_none(), "{why:?} led to {astray:?}");
        assert!(asked.len() < MOST_REQUESTS, "{why:?} led to {} requests", asked.len());
    }
}

/// Any answer: damaged JSON, bytes, unusual statuses and headers.
fn anything(rng: &mut Rng, path: &str) -> Reply {
    let mut value = sound(path);
    match rng.u8(0..10) {
        0..3 => Reply::json(&value),
        3..8 => {
            (0..rng.u8(1..4)).for_each(|_| spoil(&mut value, rng));
            Reply::json(&value)
        }
        8 => {
            let bytes: Vec<u8> = (0..rng.usize(0..3000)).map(|_| rng.u8(..)).collect();
            Reply::Answer { status: 200, headers: Vec::new(), body: bytes }
        }
        _ => {
            let statuses = [200, 201, 204, 206, 301, 304, 400, 401, 403, 404, 409, 418, 429, 500, 503, 599];
            let headers =
                ["0", "-1", "99999999999999999999", "soon", "Wed, 21 Oct 2065 07:28:00 GMT", "\"d\";r=0;t=99999999999"];
            let header = |rng: &mut Rng| headers[rng.usize(..headers.len())];
            let answer = Reply::status(statuses[rng.usize(..statuses.len())], value.to_string());
            answer.with("retry-after", header(rng)).with("ratelimit", header(rng))
        }
    }
}

#[tokio::test]
async fn damaged_answers_never_cause_removals() {
    let mut planned = 0;
    for seed in 0..200 {
        let rng = Mutex::new(Rng::with_seed(seed));
        let peer = Peer::start(move |path| anything(&mut rng.lock().unwrap(), path)).await;
        planned += usize::from(peer.converge().await.is_ok());
        peer.removed_nobody(&seed);
    }
    assert!(planned > 20, "only {planned} times anything was planned");
}

#[tokio::test]
async fn correct_answers_are_in_sync() {
    let peer = Peer::start(|path| Reply::json(&sound(path))).await;
    let plan = peer.converge().await.unwrap();
    assert!(!plan.has_differences() && plan.blocked.is_empty(), "{plan:?}");
    assert_eq!(peer.asked(), 2);
}

#[tokio::test]
async fn endless_body_is_given_up() {
    let sent = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&sent);
    let peer = Peer::start(move |_| Reply::Endless(Arc::clone(&count))).await;
    let error = peer.converge().await.unwrap_err();
    assert!(error.contains("too large for an answer of the API"), "{error}");
    let megabytes = sent.load(Ordering::Relaxed) >> 20;
    assert!(megabytes < 50, "{megabytes} MB were taken");
}

#[tokio::test]
async fn a_list_without_an_end_is_given_up() {
    for per_page in [1, 10] {
        let next = AtomicUsize::new(0);
        let peer = Peer::start(move |path| {
            if path.ends_with("/user_groups") {
                return Reply::json(&sound(path));
            }
            let from = next.fetch_add(per_page, Ordering::Relaxed);
            let entries: Vec<Value> =
                (from..from + per_page).map(|number| json!({ "id": member_id(number) })).collect();
            Reply::json(&json!({ "success": true, "result": entries }))
        })
        .await;
        let error = peer.converge().await.unwrap_err();
        // The limit that is reached first: of pages, of entries, or of requests in five minutes.
        let bounds = ["does not end", "more than", "rate limit is reached"];
        assert!(bounds.iter().any(|bound| error.contains(bound)), "{error}");
        peer.removed_nobody(&per_page);
    }
}

#[tokio::test]
async fn huge_list_is_given_up_immediately() {
    for total in [json!(u64::MAX), json!(1_000_001), json!(900_000)] {
        let claimed = total.clone();
        let peer = Peer::start(move |path| {
            let mut value = sound(path);
            if !path.ends_with("/user_groups") {
                value["result_info"]["total_count"] = claimed.clone();
            }
            Reply::json(&value)
        })
        .await;
        let error = peer.converge().await.unwrap_err();
        assert!(error.contains("it claims to have"), "{total}: {error}");
        assert!(peer.asked() <= 1 + 4, "{total}: {} requests", peer.asked());
    }
}

#[tokio::test]
async fn duplicate_member_invalidates_the_list() {
    for again in [member_id(1).to_string(), member_id(1).to_string().to_uppercase()] {
        let peer = Peer::start(move |path| {
            let mut value = sound(path);
            if !path.ends_with("/user_groups") {
                // The figures match, but an entry is missing.
                value["result"][2] = json!({ "id": again, "email": email(1) });
            }
            Reply::json(&value)
        })
        .await;
        let error = peer.converge().await.unwrap_err();
        assert!(error.contains("twice"), "{error}");
        peer.removed_nobody(&"a member listed twice");
    }
}
