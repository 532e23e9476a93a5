//! The rate limit applies to all requests of a client together.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use tokio::sync::Barrier;

use crate::server::{Reply, Server, group, paged};
use convoke::cloudflare::{ApiErrorKind, WaitReason};

#[tokio::test]
async fn rate_limit_delays_every_request() {
    let server = Server::start(|before, request| match before {
        0 => Reply::error(429, 10_429, "slow down").with("retry-after", "1"),
        _ => paged(request, 3, 500),
    });
    let server = server.await;
    let client = server.patient_client(Duration::from_secs(20));
    let mut notice = client.wait_notice();
    let held = client.user_groups();
    let others = async {
        notice.changed().await.unwrap();
        let wait = client.longest_wait().unwrap();
        let group = group();
        let all = join_all((0..5).map(|_| client.group_members(&group))).await;
        assert!(all.iter().all(Result::is_ok));
        wait
    };
    let (groups, wait) = tokio::join!(held, others);
    // The answer has no groups with names. What matters is that there is an answer.
    assert!(groups.unwrap().values().all(|group| group.name.as_str().is_empty()));
    assert_eq!(wait.why, WaitReason::RateLimit);
    let seen = server.seen();
    let refused_at = seen[0].at;
    assert!(seen[1..].iter().all(|request| request.at >= refused_at + Duration::from_secs(1)));
}

#[tokio::test]
async fn a_long_rate_limit_outdates_earlier_readings() {
    let server = Server::start(|_, request| match request.method() {
        "PUT" => Reply::error(429, 10_429, "slow down").with("retry-after", "1"),
        _ => paged(request, 3, 500),
    });
    let (server, group) = (server.await, group());
    let client = server.patient_client(Duration::from_secs(20));
    client.user_groups().await.unwrap();
    client.group_members(&group).await.unwrap();
    assert!(!client.is_outdated(Some(group.id)));
    // A PUT is not sent again, so that no request of its own has waited.
    client.replace_members(&group, &[]).await.unwrap_err();
    assert!(client.is_outdated(Some(group.id)));
    client.user_groups().await.unwrap();
    client.group_members(&group).await.unwrap();
    assert!(!client.is_outdated(Some(group.id)));
}

#[tokio::test]
async fn too_long_wait_is_reported_immediately() {
    let server = Server::start(|_, _| Reply::error(429, 10_429, "slow down").with("retry-after", "290")).await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert_eq!((error.kind, error.status, error.attempts), (ApiErrorKind::RateLimited, Some(429), 1));
    assert!(error.to_string().contains("would be allowed in 290 s"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn refusal_without_time_waits_for_the_quota() {
    let server =
        Server::start(|_, _| Reply::error(429, 10_429, "slow down").with("ratelimit", "\"default\";r=0;t=290")).await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert!(error.to_string().contains("would be allowed in 290 s"), "{error}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn retry_after_of_a_fault_is_obeyed() {
    let server = Server::start(|before, request| match before {
        0 => Reply::status(503, "").with("retry-after", "1"),
        _ => paged(request, 3, 500),
    });
    let server = server.await;
    server.patient_client(Duration::from_secs(20)).group_members(&group()).await.unwrap();
    let seen = server.seen();
    assert!(seen[1].at >= seen[0].at + Duration::from_secs(1));
}

#[tokio::test]
async fn used_up_quota_delays_requests() {
    let server = Server::start(|_, request| {
        paged(request, 3, 500)
            .with("ratelimit", "\"default\";r=0;t=250")
            .with("ratelimit-policy", "\"default\";q=1200;w=300")
    });
    let server = server.await;
    let client = server.client();
    client.group_members(&group()).await.unwrap();
    let error = client.group_members(&group()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ApiErrorKind::RateLimited, 0));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn concurrency_is_never_exceeded() {
    // The server answers only when as many requests have arrived as may be in flight. With fewer it would wait
    // forever.
    let gate = Arc::new(Barrier::new(8));
    let seen = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&seen);
    let server = Server::start(move |_, request| {
        count.fetch_add(1, Ordering::SeqCst);
        Reply::Held(Arc::clone(&gate), Box::new(paged(request, 3, 500)))
    });
    let server = server.await;
    let (client, group) = (server.client(), group());
    let all = join_all((0..32).map(|_| client.group_members(&group))).await;
    assert!(all.iter().all(Result::is_ok));
    assert_eq!(seen.load(Ordering::SeqCst), 32);
    assert_eq!(server.connections(), 8);
}

#[tokio::test]
async fn wait_in_the_body_of_a_rate_limit_is_obeyed() {
    let document = r#"{"title":"Error 1015","status":429,"retryable":false,"retry_after":2}"#;
    let server = Server::start(move |before, request| match before {
        0 => Reply::status(429, document).with("content-type", "application/problem+json"),
        _ => paged(request, 3, 500),
    });
    let server = server.await;
    server.patient_client(Duration::from_secs(20)).group_members(&group()).await.unwrap();
    let seen = server.seen();
    assert!(seen[1].at >= seen[0].at + Duration::from_secs(2));
}
