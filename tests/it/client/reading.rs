//! Lists are accepted only if they are complete, and failures are retried.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::server::{
    ACCOUNT, GROUP, Reply, Server, TOKEN, client, config, email, group, id, page, paged, patient_client, unused_address,
};
use convoke::cloudflare::{ApiErrorKind, Client, Fate};
use convoke::model::{GroupSummary, Member, TokenUser, UserId};

#[tokio::test]
async fn empty_group_may_be_null() {
    for (body, requests) in [
        (r#"{"success":true,"errors":[],"messages":[],"result":null,"result_info":{"total_count":0}}"#, 1),
        (r#"{"success":true,"result":[],"result_info":{"total_count":0.0,"per_page":null}}"#, 1),
        (r#"{"success":true,"result":null,"result_info":{"count":"0"}}"#, 1),
        // Without a count, the answer must be the same twice.
        (r#"{"success":true,"errors":[],"messages":[],"result":null,"result_info":null}"#, 2),
        (r#"{"success":true,"errors":null,"result":null}"#, 2),
        (r#"{"success":true,"result":[]}"#, 2),
    ] {
        let server = Server::start(move |_, _| Reply::status(200, body)).await;
        assert!(server.client().group_members(&group()).await.unwrap().is_empty());
        assert_eq!(server.seen().len(), requests, "{body}");
    }
}

#[tokio::test]
async fn contradictory_list_is_read_four_times() {
    let rows = json!([{ "id": id(1) }, { "id": id(2) }]);
    let listed = |info: Value| json!({ "success": true, "errors": [], "result": rows, "result_info": info });
    let error = json!([{ "code": 1234, "message": "half of it is missing" }]);
    let contradictions = [
        (200, json!({ "success": true, "errors": [] })),
        (200, json!({ "success": true, "errors": [], "result_info": { "total_count": 0 } })),
        (200, json!({ "success": true, "result": null, "result_info": { "total_count": 2 } })),
        (200, json!({ "success": true, "result": null, "result_info": { "count": "2" } })),
        (200, json!({ "success": true, "result": null, "result_info": { "total_count": "none" } })),
        (200, json!({ "success": true, "result": {} })),
        (
            200,
            json!({ "success": true, "result": [{ "id": id(1) }, { "id": id(1) }], "result_info": { "total_count": 2 } }),
        ),
        (200, json!({ "success": true, "errors": error, "result": rows })),
        (200, json!({ "success": false, "errors": error, "result": rows })),
        (206, listed(json!({ "total_count": 2 }))),
        (201, listed(json!({ "total_count": 2 }))),
        (200, listed(json!({ "count": 3, "total_count": 2 }))),
        (200, listed(json!({ "total_count": 3 }))),
        (200, listed(json!({ "total_count": "1" }))),
        (200, listed(json!({ "page": 2, "total_count": 2 }))),
        (200, listed(json!({ "per_page": 1, "total_count": 2 }))),
        (200, listed(json!({ "total_count": 2, "total_pages": 2 }))),
    ];
    for (status, body) in contradictions {
        let text = body.to_string();
        let server = Server::start(move |_, request| match request.page() {
            1 => Reply::status(status, &text),
            _ => page([], json!({})),
        })
        .await;
        let error = server.client().group_members(&group()).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ApiErrorKind::Incomplete, 4), "{status} {body}: {error}");
        let first_pages = server.seen().iter().filter(|request| request.page() == 1).count();
        assert_eq!(first_pages, 4, "{status} {body}");
        let shows_errors = body["errors"].as_array().is_some_and(|errors| !errors.is_empty());
        assert_eq!(error.to_string().contains("half of it is missing (code 1234)"), shows_errors, "{error}");
    }
}

#[tokio::test]
async fn contradictory_list_is_read_again() {
    let server = Server::start(|before, request| match before {
        0 => Reply::status(200, r#"{"success":true}"#),
        1 => Reply::status(206, r#"{"success":true,"result":[]}"#),
        2 => page(0..2, json!({ "count": 3 })),
        _ => paged(request, 3, 500),
    });
    assert_eq!(server.await.client().group_members(&group()).await.unwrap().len(), 3);
}

#[tokio::test]
async fn empty_list_is_read_twice() {
    let server = Server::start(|before, request| match before {
        0 => Reply::status(200, r#"{"success":true,"result":null}"#),
        _ => paged(request, 3, 500),
    })
    .await;
    assert_eq!(server.client().group_members(&group()).await.unwrap().len(), 3);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn page_without_result_is_not_the_end() {
    let server = Server::start(|_, request| match request.page() {
        1 => page(0..3, Value::Null),
        _ => Reply::status(200, r#"{"success":true}"#),
    })
    .await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ApiErrorKind::Incomplete, 8));
}

#[tokio::test]
async fn list_costs_one_request_a_page() {
    let cost = async |total: usize| {
        let server = Server::start(move |_, request| paged(request, total, 500)).await;
        let client = server.client();
        assert_eq!(client.group_members(&group()).await.unwrap().len(), total);
        assert_eq!(client.requests(), server.seen().len() as u64);
        server.seen().len()
    };
    assert_eq!([cost(0).await, cost(1).await, cost(500).await, cost(501).await, cost(1500).await], [1, 1, 1, 2, 3]);
}

#[tokio::test]
async fn request_has_headers_and_credentials() {
    let server = Server::start(|_, request| paged(request, 3, 500)).await;
    server.client().group_members(&group()).await.unwrap();
    let request = server.seen().remove(0);
    assert_eq!(request.line, format!("GET /accounts/{ACCOUNT}/iam/user_groups/{GROUP}/members?per_page=500&page=1"));
    assert_eq!(request.header("authorization"), Some(&*format!("Bearer {TOKEN}")));
    let agent = concat!("convoke/", env!("CARGO_PKG_VERSION"), " (+https://ci.example.com/runs/7)");
    assert_eq!(request.header("user-agent"), Some(agent));
    assert_eq!(request.header("accept-encoding"), Some("gzip"));
}

#[tokio::test]
async fn compressed_answers_are_read_and_connections_are_kept() {
    let server = Server::start(|_, request| paged(request, 1500, 500).gzipped()).await;
    let client = server.client();
    assert_eq!(client.group_members(&group()).await.unwrap().len(), 1500);
    for _ in 0..5 {
        client.group_members(&group()).await.unwrap();
    }
    // Two pages are read concurrently. A connection may still be in use when the next request is sent.
    assert_eq!(server.seen().len(), 18);
    assert!(server.connections() <= 4, "{} connections", server.connections());
}

#[tokio::test]
async fn gzip_bomb_is_given_up() {
    let blanks = " ".repeat(64 << 20);
    let swollen = Reply::status(200, &blanks).gzipped();
    let server = Server::start(move |_, _| swollen.clone()).await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ApiErrorKind::Malformed, 1));
    assert!(error.to_string().contains("too large for an answer of the API"), "{error}");
}

#[tokio::test]
async fn a_clamped_page_size_is_followed() {
    let server = Server::start(|_, request| paged(request, 250, 100)).await;
    let members = server.client().group_members(&group()).await.unwrap();
    assert_eq!(members.len(), 250);
    assert_eq!(
        members[&id(249)],
        Member {
            id: id(249),
            email: Some(email(249).parse().unwrap()),
            status: Some(convoke::model::Status::Accepted)
        }
    );
    let asked: Vec<_> = server.seen().iter().map(|request| request.number("per_page").unwrap()).collect();
    assert_eq!(asked, [500, 100, 100]);
}

#[tokio::test]
async fn uncounted_list_is_read_until_empty_page() {
    let server = Server::start(|_, request| match request.page() {
        1 => page(0..3, Value::Null),
        2 => page(3..5, json!({})),
        _ => Reply::status(200, r#"{"success":true,"result":null}"#),
    })
    .await;
    assert_eq!(server.client().group_members(&group()).await.unwrap().len(), 5);
    assert_eq!(server.seen().len(), 3);
}

#[tokio::test]
async fn endlessly_repeated_page_is_given_up() {
    let server = Server::start(|_, _| page(0..3, Value::Null)).await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Incomplete);
    assert!(server.seen().len() <= 8);
}

#[tokio::test]
async fn list_changed_during_reading_is_read_again() {
    let server = Server::start(|before, request| paged(request, if before < 1 { 501 } else { 502 }, 500)).await;
    assert_eq!(server.client().group_members(&group()).await.unwrap().len(), 502);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn incomplete_list_is_an_error() {
    let total = json!({ "total_count": 4 });
    let twice = json!({ "total_count": 3 });
    for (numbers, info) in [(vec![0, 1, 2], total.clone()), (vec![0, 1, 1], twice), (vec![], total)] {
        let first = numbers.len();
        let server = Server::start(move |_, request| match request.page() {
            1 => page(numbers.clone(), info.clone()),
            _ => page([], info.clone()),
        })
        .await;
        let error = server.client().group_members(&group()).await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Incomplete, "{first} entries");
        assert_eq!(error.attempts, 4);
        assert_eq!(error.group, Some(group()));
    }
}

#[tokio::test]
async fn absurd_length_requests_no_further_page() {
    let server = Server::start(|_, _| page(0..3, json!({ "total_count": 1_000_000_000_000_000_000_u64 }))).await;
    let error = server.client().user_groups().await.unwrap_err();
    // The answer has members instead of groups.
    assert_eq!(error.kind, ApiErrorKind::Incomplete);

    let server = Server::start(|_, _| page(0..3, json!({ "total_count": 1_000_000_000_000_000_000_u64 }))).await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::Incomplete);
    assert_eq!(server.seen().len(), 4);
}

#[tokio::test]
async fn invalid_id_fails_the_reading_bad_address_does_not() {
    let with = |id: String| {
        let body = json!({ "success": true, "result": [{ "id": id, "email": "no address", "status": "new" }] });
        Reply::json(&body)
    };
    let server = Server::start(move |_, _| with("../../user".to_owned())).await;
    assert_eq!(server.client().group_members(&group()).await.unwrap_err().kind, ApiErrorKind::Incomplete);

    let server =
        Server::start(move |before, _| if before == 0 { with(id(1).to_string()) } else { page([], json!({})) });
    let members = server.await.client().group_members(&group()).await.unwrap();
    assert_eq!(members[&id(1)], Member { id: id(1), email: None, status: None });
}

#[tokio::test]
async fn edge_faults_are_retried() {
    let server = Server::start(|before, request| match before {
        0 => Reply::status(502, "<html><title>Bad gateway</title></html>"),
        1 => Reply::Cut,
        2 => Reply::CutBody { status: 200, body: r#"{"success":true,"result":["#.to_owned() },
        3 => Reply::status(200, "<html>not the API</html>"),
        4 => Reply::status(520, ""),
        _ => paged(request, 3, 500),
    });
    let server = server.await;
    let client = server.patient_client(Duration::from_secs(2));
    assert_eq!(client.group_members(&group()).await.unwrap().len(), 3);
    assert_eq!(client.requests(), 6);
}

#[tokio::test]
async fn lasting_fault_shows_the_server_message() {
    let server = Server::start(|_, _| Reply::status(502, "<html>\n\u{1b}[2J Bad gateway</html>")).await;
    let error = server.client().group_members(&group()).await.unwrap_err();
    assert_eq!(
        (error.kind, error.status, error.ray.as_deref()),
        (ApiErrorKind::ServerFault, Some(502), Some("8f00-AMS"))
    );
    assert_eq!(u64::from(error.attempts), server.seen().len() as u64);
    let text = error.to_string();
    assert!(text.starts_with(&format!(r#"cannot list the members of group "Platform Admins" ({GROUP}): "#)), "{text}");
    assert!(text.contains(": \\u{1b}[2J Bad gateway [status 502"), "{text}");
}

#[tokio::test]
async fn only_400_and_404_are_about_one_group() {
    for (status, kind) in [
        (400, ApiErrorKind::Refused),
        (404, ApiErrorKind::NotFound),
        (405, ApiErrorKind::NotAllowed),
        (409, ApiErrorKind::NotAllowed),
    ] {
        let server = Server::start(move |_, _| Reply::error(status, 1234, "Policy validation failed")).await;
        let error = server.client().group_members(&group()).await.unwrap_err();
        assert_eq!((error.kind, server.seen().len()), (kind, 1), "{status}");
        assert!(error.to_string().contains("Policy validation failed (code 1234)"));
    }
}

#[tokio::test]
async fn status_525_and_526_are_not_retried() {
    for status in [525, 526] {
        let server = Server::start(move |_, _| Reply::status(status, "<html>")).await;
        let error = server.client().group_members(&group()).await.unwrap_err();
        assert_eq!((error.kind, server.seen().len()), (ApiErrorKind::ServerFault, 1), "{status}");
    }
}

#[tokio::test]
async fn redirect_becomes_a_named_error() {
    let server = Server::start(|_, _| Reply::status(302, "").with("location", "http://127.0.0.1:1/")).await;
    let error = server.client().user_groups().await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ApiErrorKind::Redirected, 1));
}

#[tokio::test]
async fn an_endless_body_is_cut_off() {
    let server = Server::start(|_, _| Reply::status(200, " ".repeat(17 * 1024 * 1024))).await;
    let error = server.client().user_groups().await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ApiErrorKind::Malformed, 1));
}

#[tokio::test]
async fn bad_credentials_fail_soon_and_never_show() {
    for (status, code, again) in [(400, 9106, false), (401, 10_000, false), (403, 9109, true), (403, 1234, true)] {
        let server = Server::start(move |_, _| Reply::error(status, code, &format!("{TOKEN} is wrong"))).await;
        let error = server.client().user_groups().await.unwrap_err();
        assert_eq!(error.kind, ApiErrorKind::Credentials, "{status} {code}");
        assert_eq!(server.seen().len() > 1, again, "{status} {code}");
        let shown = format!("{error} {error:?} {} {:?}", error.help(), server.client());
        assert!(!shown.contains(TOKEN), "{shown}");
    }
}

#[tokio::test]
async fn new_group_or_token_is_waited_for() {
    let server = Server::start(|before, request| match before {
        0 | 1 => Reply::error(403, 10_000, "not yet"),
        2 => one_group(Timestamp::now()),
        3 | 4 | 6 => Reply::error(404, 1003, "not found"),
        7 => page([1], json!({})),
        _ => paged(request, 3, 500),
    })
    .await;
    let client = server.client();
    client.user_groups().await.unwrap();
    assert_eq!(client.group_members(&group()).await.unwrap().len(), 3);
    client.add_members(&group(), &[id(1)], &|| true).await.unwrap();
    assert_eq!(server.seen().len(), 8);
}

/// A list with one group that was created at this time.
fn one_group(created: Timestamp) -> Reply {
    let groups = json!([{ "id": GROUP, "name": "A", "created_on": created.to_string() }]);
    Reply::json(&json!({ "success": true, "result": groups, "result_info": { "total_count": 1 } }))
}

/// A clock that runs ahead can date a group years into the future, and it must not count as new for all that time.
#[tokio::test]
async fn group_missing_long_before_or_after_its_creation_is_gone() {
    for minutes in [-3, 3] {
        let created = Timestamp::now() + jiff::SignedDuration::from_mins(minutes);
        let server = Server::start(move |before, _| match before {
            0 => one_group(created),
            _ => Reply::error(404, 1003, "not found"),
        })
        .await;
        let client = server.client();
        client.user_groups().await.unwrap();
        let error = client.group_members(&group()).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ApiErrorKind::NotFound, 1));
        let error = client.add_members(&group(), &[id(1)], &|| true).await.unwrap_err();
        assert_eq!((error.kind, error.attempts), (ApiErrorKind::NotFound, 1));
    }
}

#[tokio::test]
async fn a_token_that_was_accepted_is_not_new() {
    let server = Server::start(|before, request| match before {
        0 => paged(request, 3, 500),
        _ => Reply::error(403, 10_000, "deactivated"),
    })
    .await;
    let client = server.client();
    client.group_members(&group()).await.unwrap();
    let error = client.group_members(&group()).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ApiErrorKind::Credentials, 1));
}

#[tokio::test]
async fn settling_reads_continue_after_a_stop() {
    let server = Server::start(|before, request| match before {
        0 => Reply::status(503, ""),
        _ => paged(request, 3, 500),
    })
    .await;
    let client = server.client();
    client.stop();
    let error = client.group_members(&group()).await.unwrap_err();
    assert_eq!((error.kind, server.seen().len()), (ApiErrorKind::Stopped, 0));
    assert_eq!(client.settling().group_members(&group()).await.unwrap().len(), 3);
    let error = client.settling().add_members(&group(), &[id(1)], &|| true).await.unwrap_err();
    assert_eq!(error.fate, Fate::NotSent);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn settling_reads_end_soon_after_a_stop() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let client = patient_client(&format!("http://{}", listener.local_addr().unwrap()), Duration::from_secs(600));
    client.stop();
    let error = client.settling().group_members(&group()).await.unwrap_err();
    assert_eq!(error.kind, ApiErrorKind::TimedOut);
}

#[tokio::test]
async fn closed_port_is_unreachable() {
    let error = client(&unused_address()).user_groups().await.unwrap_err();
    assert_eq!((error.kind, error.status), (ApiErrorKind::Unreachable, None));
    assert!(error.attempts > 1);
    assert!(error.to_string().contains("refused"), "{error}");
}

#[tokio::test(start_paused = true)]
async fn failing_connections_end_after_30_seconds() {
    let client = patient_client(&unused_address(), Duration::from_secs(600));
    let start = tokio::time::Instant::now();
    let error = client.user_groups().await.unwrap_err();
    assert_eq!((error.kind, start.elapsed().as_secs()), (ApiErrorKind::Unreachable, 30));
    // Later requests do not wait that long again.
    assert_eq!(client.add_members(&group(), &[id(1)], &|| true).await.unwrap_err().fate, Fate::NotSent);
    assert_eq!(start.elapsed().as_secs(), 30);
}

#[tokio::test]
async fn silent_server_times_out() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let config =
        convoke::cloudflare::ClientConfig { timeout: Duration::from_millis(20), ..config(&url, Duration::ZERO) };
    let error = Client::new(config).unwrap().user_groups().await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ApiErrorKind::TimedOut, 1));
}

#[tokio::test]
async fn group_names_are_kept_unchanged() {
    let server = Server::start(|_, _| {
        let groups = json!([{ "id": id(2), "name": "B\u{1b}" }, { "id": id(1), "name": "A" }]);
        Reply::json(&json!({ "success": true, "result": groups, "result_info": { "total_count": 2 } }))
    });
    let groups = server.await.client().user_groups().await.unwrap();
    let names: Vec<_> = groups.values().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["A", "B\u{1b}"]);
}

#[tokio::test]
async fn member_has_its_beginning() {
    let server = Server::start(|before, _| match before {
        0 => Reply::json(&json!({
            "success": true,
            "result": { "id": id(1), "email": email(1), "created_at": "2026-08-01T10:00:00Z", "user": {} },
        })),
        _ => Reply::error(404, 1003, "not found"),
    })
    .await;
    let client = server.client();
    let detail = client.group_member(&group(), id(1)).await.unwrap().unwrap();
    assert_eq!(detail.added_at, Some("2026-08-01T10:00:00Z".parse().unwrap()));
    assert_eq!(client.group_member(&group(), id(1)).await.unwrap(), None);
    assert_eq!(server.seen().len(), 2);
}

#[tokio::test]
async fn token_without_user_is_allowed() {
    for reply in [Reply::error(401, 10_000, "no"), Reply::error(403, 9109, "no"), Reply::error(404, 1003, "no")] {
        let server = Server::start(move |_, _| reply.clone()).await;
        assert_eq!(server.client().token_user().await.unwrap(), TokenUser::Nobody);
        assert_eq!(server.lines(), ["GET /user"]);
    }
    let server = Server::start(|_, _| {
        Reply::json(&json!({ "success": true, "result": { "id": "u1", "email": "a@example.com" } }))
    });
    let user = server.await.client().token_user().await.unwrap();
    let TokenUser::Known(owner) = user else { panic!("{user:?}") };
    assert_eq!((Some(owner.user_id), owner.email), (UserId::new("u1"), Some("a@example.com".parse().unwrap())));
}

#[tokio::test]
async fn group_list_has_grants() {
    let server = Server::start(|_, _| {
        let policies = json!([
            { "access": "allow", "permission_groups": [{ "id": "p1", "name": "DNS" }, { "id": "p2" }] },
            { "permission_groups": [{ "id": "p1", "name": "DNS" }, {}] },
        ]);
        let groups = json!([
            { "id": id(1), "name": "A", "status": "V" },
            { "id": id(2), "name": "B", "created_on": "2026-08-01T10:00:00Z", "policies": policies },
            { "id": id(3), "name": "C", "created_on": 7, "policies": "none" },
        ]);
        Reply::json(&json!({ "success": true, "result": groups, "result_info": { "total_count": 3 } }))
    });
    let groups = server.await.client().user_groups().await.unwrap();
    let shown = |group: &GroupSummary| group.grants().iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    let grants: Vec<_> = groups.values().map(shown).collect();
    let unreadable = "a permission group that cannot be read";
    assert_eq!(grants, ["".to_owned(), format!("DNS, p2, {unreadable}"), unreadable.to_owned()]);
    let created: Vec<_> = groups.values().map(|group| group.created_on.map(|time| time.to_string())).collect();
    assert_eq!(created, [None, Some("2026-08-01T10:00:00Z".to_owned()), None]);
}

#[tokio::test]
async fn the_audit_log_is_read_page_by_page() {
    let server = Server::start(|before, _| match before {
        0 => Reply::json(&json!({
            "success": true, "result": [{ "raw": { "uri": "/1" } }], "result_info": { "cursors": { "after": "a+b" } },
        })),
        1 => Reply::json(&json!({ "success": true, "result": [{ "raw": { "uri": "/0" } }] })),
        _ => Reply::error(403, 10_000, "no"),
    })
    .await;
    let client = server.client();
    let (since, before) = ("2026-11-01T00:00:00Z".parse().unwrap(), "2026-11-20T14:02:00.5Z".parse().unwrap());
    let first = client.audit_log(since, before, None).await.unwrap();
    let second = client.audit_log(since, before, first.cursor().as_deref()).await.unwrap();
    let uris = [&first, &second].map(|page| page.rows()[0].text("/raw/uri").unwrap());
    assert_eq!((uris, second.cursor()), (["/1", "/0"], None));
    let error = client.audit_log(since, before, None).await.unwrap_err();
    assert_eq!((error.kind, error.attempts), (ApiErrorKind::Credentials, 1));
    let query = "/logs/audit?since=2026-11-01T00%3A00%3A00Z&before=2026-11-20T14%3A02%3A00.5Z";
    assert!(server.lines()[0].ends_with(query), "{:?}", server.lines());
    assert!(server.lines()[1].ends_with(&format!("{query}&cursor=a%2Bb")), "{:?}", server.lines());
}

#[tokio::test]
async fn account_members_have_user_and_two_factor() {
    let server = Server::start(|_, request| {
        let user = json!({ "id": "AB12", "email": email(1), "two_factor_authentication_enabled": true });
        Reply::json(&json!({
            "success": true,
            "result": [
                { "id": id(1), "email": email(1), "status": "accepted", "user": user },
                { "id": id(2), "status": "accepted", "user": 3 },
            ],
            "result_info": { "page": 1, "per_page": request.number("per_page"), "count": 2, "total_count": 2 },
        }))
    })
    .await;
    let people = server.client().account_members().await.unwrap();
    let facts = |number| {
        let person = &people[&id(number)];
        (person.user_id.clone(), person.two_factor)
    };
    assert_eq!((facts(1), facts(2)), ((UserId::new("ab12"), Some(true)), (None, None)));
}
