use super::*;

#[tokio::test]
async fn undocumented_query_is_refused() {
    let given = given(small()).await;
    let members = given.members("Admins", "");
    let people = format!("/accounts/{ACCOUNT}/members");
    let refused = [
        (&members, "per_page=501"),
        (&members, "per_page=0"),
        (&members, "per_page=many"),
        (&members, "per_page=1e2"),
        (&members, "page=0"),
        (&members, "page=-1"),
        (&members, "page=1&page=2"),
        (&members, "direction=up"),
        (&members, "perPage=10"),
        (&members, "order=status"),
        (&people, "per_page=51"),
        (&people, "per_page=4"),
        (&people, "order=email"),
        (&people, "status=gone"),
        (&people, "fuzzyEmail=a"),
        (&given.groups(""), "id=abc"),
        (&given.group("Admins"), "page=1"),
    ];
    for (path, query) in refused {
        assert_eq!(given.get(&format!("{path}?{query}")).await.refusal(), (400, 1001), "{path}?{query}");
    }
}

#[tokio::test]
async fn body_must_be_a_list_of_ids() {
    let given = given(small()).await;
    let id = given.id("carol@example.com");
    let bodies = [
        json!({ "members": [{ "id": id }] }),
        json!([id]),
        json!([{ "id": 5 }]),
        json!([{ "id": null }]),
        json!([{ "id": id, "email": "carol@example.com" }]),
        json!([{}]),
        json!(null),
    ];
    for body in bodies {
        for method in [Method::POST, Method::PUT] {
            let got = given.write(method, &given.members("Admins", ""), &body).await;
            assert_eq!(got.refusal(), (400, 1001), "{body}");
        }
    }
    assert_eq!(given.account.members_of("Admins").len(), 2);
}

#[tokio::test]
async fn a_malformed_member_id_is_an_invalid_member() {
    let given = given(small()).await;
    for id in ["carol@example.com".into(), "z".repeat(32), String::new()] {
        let got = given.write(Method::POST, &given.members("Admins", ""), &json!([{ "id": id }])).await;
        assert_eq!(got.refusal(), (400, 400), "{id}");
    }
}

#[tokio::test]
async fn whole_number_may_have_zero_fraction() {
    let given = given(small()).await;
    let got = given.get(&given.members("Admins", "?page=1.0&per_page=500.00")).await;
    assert_eq!((got.emails().len(), &got.json()["result_info"]["page"]), (2, &json!(1)));
    for query in ["page=1.5", "page=.0", "page=1.0.0"] {
        assert_eq!(given.get(&given.members("Admins", &format!("?{query}"))).await.refusal(), (400, 1001), "{query}");
    }
}

#[tokio::test]
async fn body_must_be_declared_json() {
    let given = given(small()).await;
    let post = |content_type: &str, body: &str| {
        let request = given.request(Method::POST, &given.members("Admins", ""));
        given.send(request.header("content-type", content_type).body(String::from(body)))
    };
    assert_eq!(post("application/json", "[{").await.unwrap().refusal(), (400, 6007));
    assert_eq!(post("application/json", "").await.unwrap().refusal(), (400, 6007));
    assert_eq!(post("text/plain", "[]").await.unwrap().refusal(), (400, 6003));
    assert_eq!(post("application/json; charset=utf-8", "[]").await.unwrap().status, StatusCode::OK);
}

#[tokio::test]
async fn oversized_body_is_refused() {
    let given = given(small()).await;
    let request = given.request(Method::PUT, &given.members("Admins", "")).header("content-type", "application/json");
    // The server may close while the client still sends. Then there is no answer to check.
    if let Ok(got) = given.send(request.body(" ".repeat(5 * 1024 * 1024))).await {
        assert_eq!(got.status, StatusCode::PAYLOAD_TOO_LARGE);
    }
    assert_eq!(given.account.members_of("Admins").len(), 2);
}

#[tokio::test]
async fn a_group_needs_a_name() {
    let given = given(Seed::default()).await;
    for body in [json!({}), json!({ "name": "" }), json!({ "name": 7 }), json!({ "name": "A", "size": 1 }), json!([])] {
        assert_eq!(given.write(Method::POST, &given.groups(""), &body).await.refusal(), (400, 1001), "{body}");
    }
    assert_eq!(given.account.memberships(), [].into());
}

#[tokio::test]
async fn unknown_path_is_refused() {
    let given = given(small()).await;
    let unknown = "0".repeat(32);
    assert_eq!(given.get("/accounts").await.refusal(), (404, 7003));
    assert_eq!(given.get(&given.groups("/")).await.refusal(), (400, 7003));
    assert_eq!(given.get(&given.groups("/admins")).await.refusal(), (400, 7003));
    for missing in [format!("/{unknown}"), format!("/{unknown}/members")] {
        let got = given.get(&given.groups(&missing)).await;
        assert_eq!((got.refusal(), got.message().contains("User group")), ((404, 404), true));
    }
    assert_eq!(given.get(&given.members("Admins", "/me")).await.refusal(), (400, 7003));
    assert_eq!(given.get("/accounts/mine/members").await.refusal(), (400, 7003));
    let message = given.get(&given.groups("/")).await.message();
    assert!(message.starts_with(&format!("Could not route to /client/v4{}", given.groups("/"))), "{message}");
}

#[tokio::test]
async fn unsupported_method_is_refused() {
    let given = given(small()).await;
    let patched = given.send(given.request(Method::PATCH, &given.members("Admins", ""))).await.unwrap();
    assert_eq!((patched.refusal(), patched.header("allow")), ((405, 7001), "GET, POST, PUT"));
    assert_eq!(given.delete(&given.members("Admins", "")).await.refusal(), (405, 7001));
    assert_eq!(given.account.requests()[0].operation, None);
}

#[tokio::test]
async fn other_account_is_refused() {
    let given = given_yaml(&format!("account_id: {ACCOUNT}")).await;
    assert_eq!(given.get(&given.groups("")).await.status, StatusCode::OK);
    let other = format!("/accounts/{}/iam/user_groups", "1".repeat(32));
    assert_eq!(given.get(&other).await.refusal(), (403, 9109));
}
