use super::*;

#[tokio::test]
async fn adding_is_idempotent_and_echoes_the_full_set() {
    let given = given(small()).await;
    let body = given.body(&["carol@example.com", "bob@example.com"]);
    for _ in 0..2 {
        let got = given.write(Method::POST, &given.members("Admins", ""), &body).await;
        assert_eq!(got.emails(), ["Alice@example.com", "bob@example.com", "carol@example.com"]);
    }
    let effects: Vec<bool> = given.account.requests().iter().map(|request| request.effect).collect();
    assert_eq!(effects, [true, false]);
}

#[tokio::test]
async fn replacing_keeps_since_of_remaining_members() {
    let given = given(Seed { clock: "2026-02-01T00:00:00Z".parse().ok(), ..small() }).await;
    let got = given
        .write(Method::PUT, &given.members("Admins", ""), &given.body(&["carol@example.com", "alice@example.com"]))
        .await;
    assert_eq!(got.emails(), ["Alice@example.com", "carol@example.com"]);
    let since = async |email| given.get(&given.member("Admins", email)).await.json()["result"]["created_at"].clone();
    assert_eq!(since("alice@example.com").await, "2026-01-01T00:00:00Z");
    assert_eq!(since("carol@example.com").await, "2026-02-01T00:00:01Z");
}

#[tokio::test]
async fn replacing_by_nothing_empties_the_group() {
    let given = given(small()).await;
    let got = given.write(Method::PUT, &given.members("Admins", ""), &json!([])).await;
    assert_eq!(got.json()["result"], json!([]));
    assert!(given.account.members_of("Admins").is_empty());
}

#[tokio::test]
async fn an_unknown_id_fails_the_whole_write() {
    let given = given(small()).await;
    let mut body = given.body(&["carol@example.com"]);
    body.as_array_mut().unwrap().push(json!({ "id": "f".repeat(32) }));
    for method in [Method::POST, Method::PUT] {
        let got = given.write(method, &given.members("Admins", ""), &body).await;
        assert_eq!(got.refusal(), (400, 400));
        assert_eq!(given.account.members_of("Admins"), ["Alice@example.com", "bob@example.com"]);
    }
}

#[tokio::test]
async fn unjoinable_member_fails_the_whole_write() {
    let given = given(small().person(SeedPerson::of("no@example.com").not_joinable())).await;
    let body = given.body(&["carol@example.com", "no@example.com"]);
    let got = given.write(Method::POST, &given.members("Admins", ""), &body).await;
    assert_eq!(got.refusal(), (400, 400));
    assert_eq!(got.message(), "members no@example.com do not have DSR enabled");
    assert_eq!(given.account.members_of("Admins"), ["Alice@example.com", "bob@example.com"]);

    assert!(given.account.add("Admins", "no@example.com"));
    let got = given.write(Method::PUT, &given.members("Admins", ""), &given.body(&["no@example.com"])).await;
    assert_eq!(got.emails(), ["no@example.com"]);
    assert_eq!(given.delete(&given.member("Admins", "no@example.com")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn rejected_person_cannot_be_added() {
    let given = given(small().person(SeedPerson::of("no@example.com").status(Invitation::Rejected))).await;
    let got = given.write(Method::POST, &given.members("Admins", ""), &given.body(&["no@example.com"])).await;
    assert_eq!(got.refusal(), (400, 400));
}

#[tokio::test]
async fn removal_answers_with_the_member() {
    let given = given(small()).await;
    let got = given.delete(&given.member("Admins", "bob@example.com")).await;
    assert_eq!(got.json()["result"]["email"], "bob@example.com");
    assert_eq!(given.account.members_of("Admins"), ["Alice@example.com"]);
}

#[tokio::test]
async fn removing_a_non_member_is_refused_by_kind() {
    let given = given(small()).await;
    let got = given.delete(&given.member("Admins", "carol@example.com")).await;
    assert_eq!((got.refusal(), got.message().contains("not found in user group")), ((404, 404), true));
    let path = given.member("Admins", "bob@example.com");
    assert!(given.account.remove_person("bob@example.com"));
    let got = given.delete(&path).await;
    assert_eq!((got.refusal(), got.message().contains("invalid member")), ((400, 400), true));
}

#[tokio::test]
async fn a_group_that_scim_manages_refuses_changes() {
    let seed = small().group("Synced", SeedGroup::of(["alice@example.com"]).scim());
    let given = given(seed).await;
    let body = given.body(&["bob@example.com"]);
    let before = given.account.memberships();
    let refused = [
        given.write(Method::POST, &given.members("Synced", ""), &body).await,
        given.write(Method::PUT, &given.members("Synced", ""), &body).await,
        given.delete(&given.member("Synced", "alice@example.com")).await,
        given.write(Method::PUT, &given.group("Synced"), &json!({ "name": "Mine" })).await,
        given.delete(&given.group("Synced")).await,
    ];
    for got in refused {
        assert_eq!(got.refusal(), (400, 400));
        assert!(got.message().contains("SCIM"));
    }
    assert_eq!(given.account.memberships(), before);
    assert_eq!(given.get(&given.members("Synced", "")).await.emails(), ["Alice@example.com"]);
}

#[tokio::test]
async fn a_group_is_created_renamed_and_deleted() {
    let given = given(Seed { clock: "2026-02-01T00:00:00Z".parse().ok(), ..Seed::default() }).await;
    let created = given.write(Method::POST, &given.groups(""), &json!({ "name": "New" })).await.json();
    assert_eq!(created["result"]["id"], given.account.group_id("New").unwrap().as_str());
    let renamed = given.write(Method::PUT, &given.group("New"), &json!({ "name": "Newer" })).await.json();
    assert_eq!(renamed["result"]["name"], "Newer");
    assert_eq!(renamed["result"]["modified_on"], "2026-02-01T00:00:02Z");
    let path = given.group("Newer");
    assert_eq!(given.delete(&path).await.json()["result"], json!({ "id": created["result"]["id"] }));
    assert_eq!(given.get(&path).await.refusal(), (404, 404));
}

#[tokio::test]
async fn history_records_changes_with_their_request() {
    let given = given(small()).await;
    let account = &given.account;
    account.add("Admins", "dave@example.com");
    given.write(Method::PUT, &given.members("Admins", ""), &given.body(&["carol@example.com"])).await;
    account.delete_group("Admins");
    let recorded: Vec<_> =
        account.history().iter().map(|change| (change.joined, change.request, change.after)).collect();
    let by_put = |joined| (joined, Some(1), 1);
    let mut replaced = vec![by_put(false); account.history().len() - 3];
    replaced.insert(0, (true, None, 0));
    replaced.extend([by_put(true), (false, None, 1)]);
    assert_eq!(recorded, replaced);
}
