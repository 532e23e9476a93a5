use super::*;

async fn shown(given: &Given, headers: &[(&str, &str)]) -> (u16, u64) {
    let request = given.http.get(format!("{}{}", given.sandbox.base_url(), given.groups("")));
    let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
    let got = given.send(request).await.unwrap();
    if got.status == StatusCode::OK { (200, 0) } else { got.refusal() }
}

#[tokio::test]
async fn credentials_are_missing_malformed_wrong_or_right() {
    let given = given(Seed::default().token("good")).await;
    assert_eq!(shown(&given, &[]).await, (400, 9106));
    assert_eq!(shown(&given, &[("authorization", "good")]).await, (400, 6003));
    assert_eq!(shown(&given, &[("authorization", "Bearer ")]).await, (400, 6003));
    assert_eq!(shown(&given, &[("authorization", "Basic good")]).await, (400, 6003));
    assert_eq!(shown(&given, &[("authorization", "Bearer bad")]).await, (401, 1000));
    assert_eq!(shown(&given, &[("authorization", "Bearer good")]).await, (200, 0));
    assert_eq!(shown(&given, &[("x-auth-key", "good")]).await, (400, 6003));
    assert_eq!(shown(&given, &[("x-auth-email", "a@example.com"), ("x-auth-key", "bad")]).await, (403, 9109));
    assert_eq!(shown(&given, &[("x-auth-email", "a@example.com"), ("x-auth-key", "good")]).await, (200, 0));
}

#[tokio::test]
async fn seed_without_token_accepts_any_token() {
    let given = given(Seed::default()).await;
    assert_eq!(shown(&given, &[("authorization", "Bearer anything")]).await, (200, 0));
    assert_eq!(shown(&given, &[]).await, (400, 9106));
}

#[tokio::test]
async fn new_token_is_forbidden_for_a_while() {
    let given = given(Seed { token_settles: 2, ..Seed::default() }).await;
    let statuses = [(); 3].map(|()| ("authorization", "Bearer token"));
    let mut got = Vec::new();
    for header in statuses {
        got.push(shown(&given, &[header]).await);
    }
    assert_eq!(got, [(403, 10000), (403, 10000), (200, 0)]);
}

#[tokio::test]
async fn revoked_token_is_refused() {
    let given = given(small()).await;
    assert_eq!(given.get(&given.groups("")).await.status, StatusCode::OK);
    assert!(given.account.revoke_token());
    assert_eq!(given.get(&given.groups("")).await.refusal(), (401, 1000));
}

#[tokio::test]
async fn read_only_token_changes_nothing() {
    let given = given(Seed { token_access: Access::Read, ..small() }).await;
    assert_eq!(given.get(&given.members("Admins", "")).await.status, StatusCode::OK);
    let got = given.write(Method::PUT, &given.members("Admins", ""), &json!([])).await;
    assert_eq!(got.refusal(), (403, 10000));
    assert_eq!(given.account.members_of("Admins").len(), 2);
}

#[tokio::test]
async fn answers_have_ray_and_rate_limit() {
    let given = given(small()).await;
    for path in [given.groups(""), given.members("Admins", ""), "/nowhere".into(), "/user".into()] {
        let got = given.get(&path).await;
        assert_eq!(got.header("content-type"), "application/json");
        assert_eq!(got.header("ratelimit"), "\"default\";r=1200;t=300");
        assert_eq!(got.header("ratelimit-policy"), "\"default\";q=1200;w=300");
        let number = given.account.requests().last().unwrap().number;
        assert_eq!(got.header("cf-ray"), format!("{number:016x}-LOC"));
    }
}

#[tokio::test]
async fn exceeded_rate_limit_refuses_until_window_ends() {
    let given = given_yaml("rate_limit: { requests: 3, window: 1h, spent: 1 }").await;
    let mut got = Vec::new();
    for _ in 0..4 {
        let answer = given.get(&given.groups("")).await;
        let retry_after = answer.headers.get("retry-after").map(|value| value.to_str().unwrap().to_owned());
        got.push((answer.status.as_u16(), answer.header("ratelimit").to_owned(), retry_after));
        assert_eq!(answer.header("ratelimit-policy"), "\"default\";q=3;w=3600");
    }
    let refused = (429, "\"default\";r=0;t=3600".to_owned(), Some("3600".to_owned()));
    assert_eq!(got[0], (200, "\"default\";r=1;t=3600".into(), None));
    assert_eq!(got[1], (200, "\"default\";r=0;t=3600".into(), None));
    assert_eq!(got[2..], [refused.clone(), refused]);
}

#[tokio::test]
async fn rate_limited_request_has_no_other_fault() {
    let limit = RateLimit { requests: 1, window: Delay(std::time::Duration::from_secs(3600)), spent: 0 };
    let rule = FaultRule::once(Match::any().nth(2), Fault::EditBefore(Edit::DeleteGroup("Admins".into())));
    let given = given(Seed { rate_limit: Some(limit), ..small() }.fault(rule)).await;
    given.get(&given.groups("")).await;
    assert_eq!(given.get(&given.groups("")).await.refusal().0, 429);
    assert_eq!(given.account.requests()[1].fault, None);
    assert!(given.account.group_id("Admins").is_some());
}
