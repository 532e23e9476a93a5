//! A write is repeated only if it certainly had no effect. Its error says which of three cases it was.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::server::{ACCOUNT, GROUP, Reply, Server, client, group, id, page, unused_address};
use convoke::cloudflare::{ApiError, ApiErrorKind, Fate, Written};
use convoke::model::MemberId;

/// The members in the answer to a write.
#[track_caller]
fn answered(written: Written) -> Option<BTreeSet<MemberId>> {
    written.unwrap().result
}

#[tokio::test]
async fn each_write_is_sent_as_documented() {
    let server = Server::start(|_, _| page([1, 2], json!(null))).await;
    let client = server.client();
    let written = client.add_members(&group(), &[id(1)], &|| true).await;
    assert_eq!(written.as_ref().unwrap().ray.as_deref(), Some("8f00-AMS"));
    assert_eq!(answered(written), Some(BTreeSet::from([id(1), id(2)])));
    answered(client.replace_members(&group(), &[id(1), id(2)]).await);
    answered(client.replace_members(&group(), &[]).await);
    assert_eq!(
        answered(client.remove_member(&group(), id(1), &|| true).await),
        None,
        "the answer to DELETE proves nothing"
    );
    let path = format!("/accounts/{ACCOUNT}/iam/user_groups/{GROUP}/members");
    let sent: Vec<_> = server.seen().into_iter().map(|request| (request.line, request.body)).collect();
    let one = format!(r#"[{{"id":"{}"}}]"#, id(1));
    let two = format!(r#"[{{"id":"{}"}},{{"id":"{}"}}]"#, id(1), id(2));
    assert_eq!(
        sent,
        [
            (format!("POST {path}"), one),
            (format!("PUT {path}"), two),
            (format!("PUT {path}"), "[]".to_owned()),
            (format!("DELETE {path}/{}", id(1)), String::new()),
        ]
    );
}

#[tokio::test]
async fn incomplete_answer_proves_nothing() {
    let twice = json!([{ "id": id(1) }, { "id": id(1) }]);
    for result in [json!(null), json!({ "id": id(1) }), json!([{ "id": "x" }]), twice] {
        let body = json!({ "success": true, "errors": [], "result": result });
        let server = Server::start(move |_, _| Reply::json(&body)).await;
        assert_eq!(answered(server.client().add_members(&group(), &[id(1)], &|| true).await), None, "{result}");
    }
    for info in [
        json!({ "total_count": 4 }),
        json!({ "total_count": "4" }),
        json!({ "count": 2 }),
        json!({ "total_pages": 2 }),
        json!({ "page": 2 }),
        json!({ "per_page": 2 }),
        json!({ "count": "many" }),
    ] {
        let figures = info.clone();
        let server = Server::start(move |_, _| page(0..3, figures.clone())).await;
        assert_eq!(answered(server.client().add_members(&group(), &[id(1)], &|| true).await), None, "{info}");
    }
}

/// The error of each kind of write if every request gets this answer.
async fn errors(reply: Reply) -> [ApiError; 3] {
    let shown = format!("{reply:?}");
    let server = Server::start(move |_, _| reply.clone()).await;
    let client = server.client();
    let written = [
        client.add_members(&group(), &[id(1)], &|| true).await,
        client.replace_members(&group(), &[id(1)]).await,
        client.remove_member(&group(), id(1), &|| true).await,
    ];
    assert_eq!(server.seen().len(), 3, "{shown}");
    written.map(Result::unwrap_err)
}

#[tokio::test]
async fn an_answer_that_proves_nothing_is_unknown() {
    for reply in [
        Reply::Cut,
        Reply::CutBody { status: 200, body: "{".to_owned() },
        Reply::status(503, "").with("retry-after", "0"),
        Reply::status(524, "<html>"),
        Reply::status(525, ""),
        Reply::status(200, "<html>"),
        Reply::status(204, ""),
        Reply::status(200, r#"{"success":true}"#),
        Reply::status(200, r#"{"success":true,"errors":[{"code":1,"message":"half done"}],"result":[]}"#),
        Reply::status(206, r#"{"success":true,"result":[]}"#),
        Reply::status(400, r#"{"success":true,"result":[]}"#),
        Reply::error(200, 1000, "do not have DSR enabled"),
        Reply::error(200, 10_000, "Authentication error"),
    ] {
        assert_eq!(errors(reply.clone()).await.map(|error| error.fate), [Fate::Unknown; 3], "{reply:?}");
    }
    let [error, ..] = errors(Reply::error(200, 1000, "do not have DSR enabled")).await;
    let reason = error.reason();
    assert!(reason.contains("do not have DSR enabled (code 1000)"), "{reason}");
}

#[tokio::test]
async fn refusal_concerns_member_or_group() {
    for (reply, concerns_one) in [
        (Reply::error(400, 400, "invalid member"), [true, true, true]),
        (Reply::CutBody { status: 400, body: "{".to_owned() }, [true, true, true]),
        (Reply::error(404, 404, "not found"), [false, false, true]),
        (Reply::error(400, 400, "managed by SCIM"), [false, false, false]),
        (Reply::error(400, 400, "Policy validation failed"), [false, false, false]),
        (Reply::error(400, 9106, "Missing header"), [false, false, false]),
        (Reply::error(401, 10_000, "no"), [false, false, false]),
        (Reply::error(403, 10_000, "no"), [false, false, false]),
        (Reply::error(403, 1234, "no"), [false, false, false]),
        (Reply::error(405, 1234, "no"), [false, false, false]),
        (Reply::error(409, 1234, "no"), [false, false, false]),
    ] {
        let found = errors(reply.clone()).await.map(|error| (error.fate, error.concerns_one_member()));
        assert_eq!(found, concerns_one.map(|concerns_one| (Fate::Refused, concerns_one)), "{reply:?}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let client = client(&unused_address());
    let add = client.add_members(&group(), &[id(1)], &|| true).await.unwrap_err();
    let replace = client.replace_members(&group(), &[id(1)]).await.unwrap_err();
    assert_eq!((add.fate, replace.fate), (Fate::NotSent, Fate::NotSent));
    assert_eq!((add.kind, replace.kind), (ApiErrorKind::Unreachable, ApiErrorKind::Unreachable));
    assert!(add.attempts > 1);
    assert_eq!(replace.attempts, 1);
}

#[tokio::test]
async fn rate_limited_post_is_repeated_put_is_not() {
    let script = |before, _: &_| match before {
        0 => Reply::error(429, 10_429, "slow down").with("retry-after", "0"),
        _ => page([1], json!(null)),
    };
    let server = Server::start(script).await;
    answered(server.client().add_members(&group(), &[id(1)], &|| true).await);
    assert_eq!(server.seen().len(), 2);

    let server = Server::start(script).await;
    let error = server.client().replace_members(&group(), &[id(1)]).await.unwrap_err();
    assert_eq!((error.fate, error.kind), (Fate::NotSent, ApiErrorKind::RateLimited));
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn put_is_not_delayed_until_outdated() {
    let server = Server::start(|_, _| Reply::error(429, 10_429, "slow down").with("retry-after", "30")).await;
    let client = server.patient_client(Duration::from_secs(60));
    for _ in 0..2 {
        let error = client.replace_members(&group(), &[id(1)]).await.unwrap_err();
        assert_eq!(error.fate, Fate::NotSent);
    }
    assert_eq!(server.seen().len(), 1);
}
