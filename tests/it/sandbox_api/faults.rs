use super::*;

/// Adds carol to the small account's group.
async fn add_carol(given: &Given) -> Result<Got, reqwest::Error> {
    given.try_write(Method::POST, &given.members("Admins", ""), &given.body(&["carol@example.com"])).await
}

async fn given_fault(fault: Fault) -> Given {
    given(small().fault(FaultRule::once(Match::any(), fault))).await
}

fn has_carol(given: &Given) -> bool {
    given.account.members_of("Admins").contains(&"carol@example.com".into())
}

#[tokio::test]
async fn cut_before_prevents_the_change() {
    let given = given_fault(Fault::Cut(Cut::Before)).await;
    assert!(add_carol(&given).await.is_err_and(|error| error.is_request()));
    assert!(!has_carol(&given));
    let request = &given.account.requests()[0];
    assert_eq!((request.status_sent, request.effect), (None, false));
    assert!(add_carol(&given).await.is_ok());
}

#[tokio::test]
async fn cut_after_keeps_the_change() {
    let given = given_fault(Fault::Cut(Cut::After)).await;
    assert!(add_carol(&given).await.is_err_and(|error| error.is_request()));
    assert!(has_carol(&given));
    let request = &given.account.requests()[0];
    assert_eq!((request.status_sent, request.effect), (None, true));
}

#[tokio::test]
async fn reused_connection_is_cut_too() {
    for cut in [Cut::Before, Cut::After] {
        let given = given(small().fault(FaultRule::once(Match::any().nth(2), Fault::Cut(cut)))).await;
        assert_eq!(given.get(&given.groups("")).await.status, StatusCode::OK);
        assert!(add_carol(&given).await.is_err());
        assert_eq!(given.account.requests().len(), 2);
        assert_eq!(has_carol(&given), cut == Cut::After);
    }
}

#[tokio::test]
async fn a_cut_body_breaks_off_after_the_status() {
    let given = given_fault(Fault::Cut(Cut::Body)).await;
    let request = given.request(Method::GET, &given.members("Admins", ""));
    let mut response = request.send().await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
    let whole = response.content_length().unwrap();
    let mut seen = Vec::new();
    let ended = loop {
        match response.chunk().await {
            Ok(Some(bytes)) => seen.extend(bytes),
            other => break other,
        }
    };
    assert!(ended.is_err());
    assert_eq!(seen.len() as u64, whole / 2);
    assert!(seen.starts_with(b"{"));
}

#[tokio::test]
async fn respond_replaces_answer_with_or_without_effect() {
    let given = given_fault(Fault::status(503)).await;
    assert_eq!(add_carol(&given).await.unwrap().refusal(), (503, 1000));
    assert!(!has_carol(&given));

    let given =
        given_fault(Fault::Respond(Respond { status: 502, html: true, after: true, ..Respond::default() })).await;
    let got = add_carol(&given).await.unwrap();
    assert_eq!((got.status.as_u16(), got.header("content-type")), (502, "text/html; charset=UTF-8"));
    assert!(got.text.contains("<h1>"));
    assert!(has_carol(&given));
}

#[tokio::test]
async fn edge_statuses_and_redirects_can_be_sent() {
    let given = given_fault(Fault::html(520)).await;
    assert_eq!(given.get("/user").await.status.as_u16(), 520);
    let location = Some("http://127.0.0.1:9/".into());
    let given = given_fault(Fault::Respond(Respond { status: 307, location, ..Respond::default() })).await;
    assert_eq!(given.get("/user").await.header("location"), "http://127.0.0.1:9/");
}

#[tokio::test]
async fn status_429_has_retry_after() {
    let given = given_fault(Fault::rate_limited(7)).await;
    assert_eq!(given.get("/user").await.header("retry-after"), "7");
    let given = given_fault(Fault::status(429)).await;
    assert_eq!(given.get("/user").await.header("retry-after"), "1");
}

#[tokio::test]
async fn success_false_and_missing_result_can_be_injected() {
    let given = given_fault(Fault::Unsuccessful).await;
    assert_eq!(add_carol(&given).await.unwrap().refusal().0, 200);
    assert!(!has_carol(&given));

    let given = given_fault(Fault::OmitResult).await;
    let got = add_carol(&given).await.unwrap().json();
    assert_eq!(got, json!({ "success": true, "errors": [], "messages": [] }));
    assert!(has_carol(&given));
}

#[tokio::test]
async fn page_can_be_clamped_without_result_info() {
    let given = given_yaml(
        "groups: { Admins: { members: [a@example.com, b@example.com, c@example.com] } }\nfaults:\n  - { on: { page: 1 }, do: { clamp: 2 } }\n  - { on: { page: 2 }, do: omit_result_info }\n",
    )
    .await;
    let first = given.get(&given.members("Admins", "?per_page=500")).await.json();
    assert_eq!((&first["result_info"]["per_page"], &first["result_info"]["total_pages"]), (&json!(2), &json!(2)));
    let second = given.get(&given.members("Admins", "?per_page=2&page=2")).await;
    assert_eq!(second.emails(), ["c@example.com"]);
    assert!(second.json().get("result_info").is_none());
}

#[tokio::test]
async fn edits_happen_before_or_after_a_request() {
    let given = given_fault(Fault::EditBefore(Edit::remove("Admins", "alice@example.com"))).await;
    assert_eq!(given.get(&given.members("Admins", "")).await.emails(), ["bob@example.com"]);

    let given = given_fault(Fault::EditAfter(Edit::remove("Admins", "alice@example.com"))).await;
    assert_eq!(given.get(&given.members("Admins", "")).await.emails(), ["Alice@example.com", "bob@example.com"]);
    assert_eq!(given.account.members_of("Admins"), ["bob@example.com"]);
}

#[tokio::test]
async fn a_token_can_be_revoked_in_the_middle() {
    let given = given_yaml("faults: [{ on: { nth: 2 }, do: { edit_before: revoke_token } }]").await;
    assert_eq!(given.get(&given.groups("")).await.status, StatusCode::OK);
    assert_eq!(given.get(&given.groups("")).await.refusal(), (401, 1000));
}

#[tokio::test]
async fn rule_applies_to_matching_requests_until_spent() {
    let on = Match::operation(Endpoint::AddMembers).group("Admins").member("CAROL@example.com").nth(2);
    let seed = small().group("Others", ["dora@example.com"]);
    let given = given(seed.fault(FaultRule { times: 2, ..FaultRule::once(on, Fault::status(500)) })).await;
    let mut statuses = Vec::new();
    for (group, email) in [
        ("Admins", "carol@example.com"),
        ("Others", "carol@example.com"),
        ("Admins", "dora@example.com"),
        ("Admins", "carol@example.com"),
        ("Admins", "carol@example.com"),
        ("Admins", "carol@example.com"),
    ] {
        let got = given.write(Method::POST, &given.members(group, ""), &given.body(&[email])).await;
        statuses.push(got.status.as_u16());
    }
    assert_eq!(statuses, [200, 200, 200, 500, 500, 200]);
}

#[tokio::test]
async fn first_due_rule_applies() {
    let given = given(small()).await;
    given.account.push_fault(FaultRule::once(Match::any(), Fault::status(500)));
    given.account.push_fault(FaultRule::always(Match::any(), Fault::status(503)));
    assert_eq!(given.get("/user").await.status.as_u16(), 500);
    assert_eq!(given.get("/user").await.status.as_u16(), 503);
    assert_eq!(given.get("/user").await.status.as_u16(), 503);
    given.account.clear_faults();
    assert_eq!(given.get("/user").await.status.as_u16(), 403);
}

#[tokio::test]
async fn slow_request_has_no_effect_stalled_answer_has() {
    for (fault, changed) in
        [(Fault::Latency(Delay::millis(600_000)), false), (Fault::Stall(Delay::millis(600_000)), true)]
    {
        let given = given_fault(fault).await;
        let arrived = async {
            while given.account.requests().first().is_none_or(|request| changed && request.status_sent.is_none()) {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            _ = add_carol(&given) => panic!("an answer came"),
            () = arrived => {}
        }
        assert_eq!(has_carol(&given), changed);
    }
}

#[tokio::test]
async fn edits_that_find_nothing_to_change_change_nothing() {
    let given = given(small()).await;
    let before = given.account.memberships();
    let edits = [
        Edit::add("Nowhere", "alice@example.com"),
        Edit::add("Admins", "alice@example.com"),
        Edit::add("Admins", "no address"),
        Edit::remove("Admins", "carol@example.com"),
        Edit::rename_group("Nowhere", "Somewhere"),
        Edit::change_email("alice@example.com", "bob@example.com"),
        Edit::RemovePerson("nobody@example.com".into()),
        Edit::DeleteGroup("Nowhere".into()),
    ];
    for edit in edits {
        assert!(!given.account.edit(&edit), "{edit:?}");
    }
    assert_eq!(given.account.memberships(), before);
}

#[tokio::test]
async fn edge_errors_follow_the_accept_header() {
    let given = given(small().fault(FaultRule::always(Match::any(), Fault::edge(522)))).await;
    let html = given.get("/user").await;
    assert_eq!((html.status.as_u16(), html.header("content-type")), (522, "text/html; charset=UTF-8"));
    let json = given
        .send(given.request(Method::GET, "/user").header("accept", "text/plain, application/json;q=0.9"))
        .await
        .unwrap();
    assert_eq!((json.header("content-type"), json.header("retry-after")), ("application/problem+json", "1"));
    let problem = json.json();
    assert_eq!((&problem["status"], &problem["cloudflare_error"]), (&json!(522), &json!(true)));
    assert!(["type", "title", "detail"].iter().all(|field| problem[field].is_string()));
}
