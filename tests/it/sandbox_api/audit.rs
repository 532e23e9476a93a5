use super::*;

const EVER: &str = "?since=2020-01-01&before=2100-01-01";

fn path(query: &str) -> String {
    format!("/accounts/{ACCOUNT}/logs/audit{query}")
}

async fn entries(given: &Given, query: &str) -> Vec<Value> {
    let got = given.get(&path(query)).await;
    assert_eq!(got.status, StatusCode::OK, "{}", got.text);
    got.json()["result"].as_array().unwrap().clone()
}

fn at(clock: &str) -> Seed {
    Seed { clock: Some(clock.parse().unwrap()), ..small() }
}

#[tokio::test]
async fn writes_of_clients_are_in_the_log() {
    let seed = Seed { token_owner: Some("alice@example.com".into()), ..at("2026-11-20T14:00:00Z") };
    let given = given(seed).await;
    let body = given.body(&["carol@example.com"]);
    let request = given.request(Method::POST, &given.members("Admins", "")).header("user-agent", "convoke/9 (+run)");
    let got = given.send(request.header("content-type", "application/json").body(body.to_string())).await.unwrap();
    // Reads and refused requests leave no entry.
    given.get(&given.members("Admins", "")).await;
    given.write(Method::POST, &given.members("Admins", ""), &json!([{ "id": "f".repeat(32) }])).await;
    assert!(given.delete(&given.member("Admins", "bob@example.com")).await.status.is_success());

    let log = entries(&given, EVER).await;
    let (removal, addition) = (&log[0], &log[1]);
    assert_eq!(log.len(), 2);
    assert_eq!(addition["raw"]["uri"], format!("/client/v4{}", given.members("Admins", "")));
    assert_eq!(addition["raw"]["cf_ray_id"], got.header("cf-ray"));
    assert_eq!(
        (&addition["raw"]["method"], &addition["raw"]["user_agent"], &addition["action"]["time"]),
        (&json!("POST"), &json!("convoke/9 (+run)"), &json!("2026-11-20T14:00:01Z"))
    );
    assert_eq!(addition["resource"]["request"], body);
    let user = given.get("/user").await.json()["result"].clone();
    let actor = &addition["actor"];
    assert_eq!((&actor["id"], &actor["email"]), (&user["id"], &user["email"]));
    assert_eq!((&actor["context"], &actor["type"]), (&json!("api_token"), &json!("user")));
    assert_eq!((&removal["raw"]["method"], &removal["action"]["type"]), (&json!("DELETE"), &json!("delete")));
    assert!(removal["resource"].get("request").is_none());
}

#[tokio::test]
async fn edits_with_an_actor_are_in_the_log() {
    let given = given(at("2026-11-20T14:00:00Z")).await;
    let account = &given.account;
    assert!(account.edit(&Edit::add("Admins", "mallory@example.com").by(EditActor::dashboard("dana@example.com"))));
    assert!(account.edit(&Edit::remove("Admins", "bob@example.com").by(EditActor::token("ci-legacy"))));
    let scim = EditActor { context: Some("scim".into()), ..EditActor::default() };
    assert!(account.edit(&Edit::Several(vec![Edit::rename_group("Admins", "Owners")]).by(scim)));
    // An edit without an actor, or without an effect, leaves no entry.
    assert!(account.add("Owners", "zoe@example.com"));
    assert!(!account.edit(&Edit::add("Owners", "zoe@example.com").by(EditActor::token("again"))));
    let log = entries(&given, &format!("{EVER}&direction=asc")).await;
    let recorded: Vec<Value> = log.iter().map(|entry| json!([entry["raw"]["method"], entry["actor"]])).collect();
    assert_eq!(
        recorded,
        [
            json!(["POST", { "email": "dana@example.com", "context": "dash", "type": "user" }]),
            json!(["DELETE", { "token_name": "ci-legacy", "context": "api_token", "type": "account" }]),
            json!(["PUT", { "context": "scim" }]),
        ]
    );
    assert_eq!(log[0]["resource"]["request"], json!([{ "id": given.id("mallory@example.com") }]));
    let removed = format!("/client/v4{}", given.member("Owners", "bob@example.com"));
    assert_eq!(log[1]["raw"]["uri"], removed);
    assert_eq!(log[2]["resource"]["request"], json!({ "name": "Owners" }));
}

#[tokio::test]
async fn edits_in_faults_can_have_an_actor() {
    let given = given_yaml(
        "groups: { Admins: { members: [bob@example.com] } }\nfaults: [{ do: { edit_before: { by: { actor: { email: dana@example.com, context: dash }, edit: { add: { group: Admins, member: mallory@example.com } } } } } }]",
    )
    .await;
    assert_eq!(given.get(&given.members("Admins", "")).await.emails().len(), 2);
    assert_eq!(entries(&given, EVER).await[0]["actor"]["email"], "dana@example.com");
}

#[tokio::test]
async fn the_log_is_read_page_by_page() {
    let given = given(at("2026-11-20T14:00:00Z")).await;
    for n in 0..7 {
        given.account.edit(&Edit::add("Admins", &format!("p{n}@example.com")).by(EditActor::token("t")));
    }
    for direction in ["asc", "desc"] {
        let (mut times, mut next, mut pages) = (Vec::new(), String::new(), 0);
        loop {
            let query = format!("{EVER}&limit=3&direction={direction}{next}");
            let got = given.get(&path(&query)).await.json();
            let page = got["result"].as_array().unwrap();
            times.extend(page.iter().map(|entry| entry["action"]["time"].as_str().unwrap().to_owned()));
            pages += 1;
            match got.pointer("/result_info/cursors/after") {
                Some(cursor) => next = format!("&cursor={}", cursor.as_str().unwrap()),
                None => break,
            }
        }
        let mut sorted = times.clone();
        sorted.sort_unstable();
        sorted.dedup();
        assert_eq!((pages, sorted.len()), (3, 7), "{times:?}");
        let ascending = times == sorted;
        assert_eq!(ascending, direction == "asc");
    }
}

#[tokio::test]
async fn the_log_is_read_between_two_times() {
    let given = given(at("2026-11-20T23:59:58Z")).await;
    for n in 0..4 {
        given.account.edit(&Edit::add("Admins", &format!("p{n}@example.com")).by(EditActor::token("t")));
    }
    for (query, count) in [
        ("?since=2026-11-20&before=2026-11-21", 1),
        ("?since=2026-11-21&before=2026-11-22", 2),
        ("?since=2026-11-20T23:59:59Z&before=2026-11-21T01:00:02%2B01:00", 2),
        ("?since=2026-11-22&before=2026-11-20", 0),
    ] {
        assert_eq!(entries(&given, query).await.len(), count, "{query}");
    }
    for query in [
        "?since=2026-11-20",
        "?before=2026-11-20",
        "?since=yesterday&before=2026-11-20",
        "?since=2026-11-20T00:00:00&before=2026-11-21",
        "?since=2026-11-20&before=2026-11-21&cursor=nowhere",
        "?since=2026-11-20&before=2026-11-21&limit=0",
        "?since=2026-11-20&before=2026-11-21&page=1",
    ] {
        assert_eq!(given.get(&path(query)).await.refusal(), (400, 1001), "{query}");
    }
}

#[tokio::test]
async fn seed_has_earlier_log_entries() {
    let given = given_yaml(
        "groups: { Admins: { members: [{ email: mallory@example.com, since: 2026-11-20T14:02:00Z }] } }\naudit_log:\n  omit: [/raw/user_agent]\n  set: { /account: gone, /actor/email: 7 }\n  entries:\n    - time: 2026-11-20T14:02:00Z\n      by: { email: dana@example.com, context: dash }\n      edit: { add: { group: Admins, member: mallory@example.com } }\n",
    )
    .await;
    let log = entries(&given, EVER).await;
    let entry = &log[0];
    assert_eq!((log.len(), &entry["account"]), (1, &json!("gone")));
    assert_eq!((&entry["actor"], &entry["raw"]["method"]), (&json!({ "email": 7, "context": "dash" }), &json!("POST")));
    assert!(entry["raw"].get("user_agent").is_none());
    assert_eq!(entry["resource"]["request"], given.body(&["mallory@example.com"]));
    let odd = Seed::parse(
        "seed.yaml".as_ref(),
        "audit_log: { entries: [{ time: 2026-11-20T14:02:00Z, edit: { delete_group: Nowhere } }] }",
    );
    assert!(odd.unwrap_err().to_string().contains("audit_log"));
}

#[tokio::test]
async fn the_log_can_be_refused() {
    let refused = given_yaml("audit_log: { refused: 403 }").await;
    assert_eq!(refused.get(&path(EVER)).await.refusal(), (403, 10000));
}

#[tokio::test]
async fn claimed_effects_are_not_logged() {
    let given = given(small().fault(FaultRule::once(Match::any(), Fault::Claim(FalseClaim::Done)))).await;
    given.write(Method::POST, &given.members("Admins", ""), &given.body(&["carol@example.com"])).await;
    assert!(entries(&given, EVER).await.is_empty());
}
