//! A write is sent again only if it was certainly not carried out, and its error says which of the three it was.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::super::{ApiErrorKind, WriteError};
use super::reading::unused_address;
use super::server::{Reply, Server, page};
use super::{ACCOUNT, GROUP, client, group, id};

#[tokio::test]
async fn each_write_is_sent_as_documented() {
    let server = Server::start(|_, _| page([1, 2], json!(null))).await;
    let client = server.client();
    let answer = client.add_members(&group(), &[id(1)]).await.unwrap();
    assert_eq!(answer.members, Some(BTreeSet::from([id(1), id(2)])));
    assert_eq!(answer.ray.as_deref(), Some("8f00-AMS"));
    client.replace_members(&group(), &[id(1), id(2)]).await.unwrap();
    client.replace_members(&group(), &[]).await.unwrap();
    client.remove_member(&group(), id(1)).await.unwrap();
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
async fn an_answer_that_is_not_plainly_the_whole_group_claims_nothing() {
    for result in
        [json!(null), json!({ "id": id(1) }), json!([{ "id": "x" }]), json!([{ "id": id(1) }, { "id": id(1) }])]
    {
        let body = json!({ "success": true, "errors": [], "result": result });
        let server = Server::start(move |_, _| Reply::json(&body)).await;
        let answer = server.client().add_members(&group(), &[id(1)]).await.unwrap();
        assert_eq!(answer.members, None, "{result}");
    }
    let server = Server::start(|_, _| page(0..3, json!({ "total_count": 4 }))).await;
    assert_eq!(server.client().add_members(&group(), &[id(1)]).await.unwrap().members, None);
    let server = Server::start(|_, _| Reply::status(200, r#"{"success":true}"#)).await;
    assert_eq!(server.client().remove_member(&group(), id(1)).await.unwrap().members, None);
}

#[tokio::test]
async fn a_lost_answer_is_unknown_at_once() {
    let lost = [
        Reply::Cut,
        Reply::CutBody { status: 200, body: "{".to_owned() },
        Reply::status(503, "").with("retry-after", "0"),
        Reply::status(524, "<html>"),
        Reply::status(200, "<html>"),
    ];
    for reply in lost {
        let script = reply.clone();
        let server = Server::start(move |_, _| script.clone()).await;
        let client = server.client();
        let errors = [
            client.add_members(&group(), &[id(1)]).await.unwrap_err(),
            client.replace_members(&group(), &[id(1)]).await.unwrap_err(),
            client.remove_member(&group(), id(1)).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| matches!(error, WriteError::Unknown(_))), "{reply:?}: {errors:?}");
        assert_eq!(server.seen().len(), 3, "{reply:?}");
    }
}

#[tokio::test]
async fn what_the_api_did_not_do_is_refused() {
    let refusals = [
        Reply::error(400, 400, "invalid member"),
        Reply::error(404, 1003, "not found"),
        Reply::error(403, 10_000, "no"),
        Reply::error(200, 1000, "do not have DSR enabled"),
        Reply::CutBody { status: 400, body: "{".to_owned() },
    ];
    for reply in refusals {
        let script = reply.clone();
        let server = Server::start(move |_, _| script.clone()).await;
        let client = server.client();
        let errors = [
            client.add_members(&group(), &[id(1)]).await.unwrap_err(),
            client.replace_members(&group(), &[id(1)]).await.unwrap_err(),
            client.remove_member(&group(), id(1)).await.unwrap_err(),
        ];
        assert!(errors.iter().all(|error| matches!(error, WriteError::Refused(_))), "{reply:?}: {errors:?}");
        assert_eq!(server.seen().len(), 3, "{reply:?}");
    }
}

#[tokio::test]
async fn without_a_connection_nothing_was_sent() {
    let client = client(&unused_address());
    let add = client.add_members(&group(), &[id(1)]).await.unwrap_err();
    let replace = client.replace_members(&group(), &[id(1)]).await.unwrap_err();
    let WriteError::NotSent(add) = add else { panic!("{add:?}") };
    let WriteError::NotSent(replace) = replace else { panic!("{replace:?}") };
    assert_eq!((add.kind(), replace.kind()), (ApiErrorKind::Unreachable, ApiErrorKind::Unreachable));
    assert!(add.attempts() > 1);
    assert_eq!(replace.attempts(), 1);
}

#[tokio::test]
async fn after_a_rate_limit_an_addition_is_repeated_and_a_replacement_is_not() {
    let script = |before, _: &_| match before {
        0 => Reply::error(429, 10_429, "slow down").with("retry-after", "0"),
        _ => page([1], json!(null)),
    };
    let server = Server::start(script).await;
    server.client().add_members(&group(), &[id(1)]).await.unwrap();
    assert_eq!(server.seen().len(), 2);

    let server = Server::start(script).await;
    let error = server.client().replace_members(&group(), &[id(1)]).await.unwrap_err();
    assert!(matches!(&error, WriteError::NotSent(error) if error.kind() == ApiErrorKind::RateLimited), "{error:?}");
    assert_eq!(server.seen().len(), 1);
}

#[tokio::test]
async fn a_replacement_is_not_held_back_until_it_has_aged() {
    let server = Server::start(|_, _| Reply::error(429, 10_429, "slow down").with("retry-after", "30")).await;
    let client = server.patient_client(Duration::from_secs(60));
    for _ in 0..2 {
        let error = client.replace_members(&group(), &[id(1)]).await.unwrap_err();
        assert!(matches!(error, WriteError::NotSent(_)), "{error:?}");
    }
    assert_eq!(server.seen().len(), 1);
}
