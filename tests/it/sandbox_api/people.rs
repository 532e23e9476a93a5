use super::*;

fn mixed() -> Seed {
    Seed::default()
        .person(SeedPerson::of("pending@example.com").status(Invitation::Pending))
        .person(SeedPerson::of("rejected@example.com").status(Invitation::Rejected))
        .people(["dora@example.com", "Carl@example.com"])
}

fn path(query: &str) -> String {
    format!("/accounts/{ACCOUNT}/members{query}")
}

#[tokio::test]
async fn account_members_have_two_addresses() {
    let given = given(mixed()).await;
    let got = given.get(&path("?status=pending")).await.json();
    let person = &got["result"][0];
    assert_eq!(
        (&person["email"], &person["user"]["email"]),
        (&json!("pending@example.com"), &json!("pending@example.com"))
    );
    assert_eq!((&person["status"], &person["user"]["id"]), (&json!("pending"), &json!(null)));
    assert_eq!(
        got["result_info"],
        json!({ "page": 1, "per_page": 20, "count": 1, "total_count": 1, "total_pages": 1 })
    );
}

#[tokio::test]
async fn account_members_can_be_ordered() {
    let given = given(mixed()).await;
    let emails = async |query: &str| given.get(&path(query)).await.emails();
    let by_email = ["Carl@example.com", "dora@example.com", "pending@example.com", "rejected@example.com"];
    assert_eq!(emails("?order=user.email").await, by_email);
    assert_eq!(
        emails("?order=user.email&direction=desc").await,
        by_email.map(String::from).into_iter().rev().collect::<Vec<_>>()
    );
    assert_eq!(emails("?order=status&per_page=50").await.last().unwrap(), "rejected@example.com");
}

#[tokio::test]
async fn a_changed_address_shows_everywhere() {
    let given = given(small()).await;
    given.get(&path("?order=user.email")).await;
    given.get(&given.members("Admins", "")).await;
    assert!(given.account.change_email("alice@example.com", "zoe@example.com"));
    assert_eq!(given.get(&path("?order=user.email")).await.emails().last().unwrap(), "zoe@example.com");
    assert_eq!(given.get(&given.members("Admins", "")).await.emails(), ["bob@example.com", "zoe@example.com"]);
}

#[tokio::test]
async fn member_and_user_address_can_differ() {
    let given = given_yaml("people: [{ email: a@example.com, user_email: b@example.com }]").await;
    let got = given.get(&path("")).await.json();
    assert_eq!(got["result"][0]["email"], "a@example.com");
    assert_eq!(got["result"][0]["user"]["email"], "b@example.com");
}

#[tokio::test]
async fn user_is_reported_for_user_tokens_only() {
    let given = given_yaml("token_owner: alice@example.com").await;
    assert_eq!(given.get("/user").await.json()["result"]["email"], "alice@example.com");
    let given = super::given(small()).await;
    assert_eq!(given.get("/user").await.refusal(), (403, 9109));
}

#[tokio::test]
async fn account_membership_decides_group_membership() {
    let given = given(small()).await;
    given.get(&path("")).await;
    assert!(given.account.add_person("new@example.com"));
    assert!(!given.account.add_person("NEW@example.com"));
    assert_eq!(given.get(&path("?order=user.email")).await.emails().len(), 4);
    let got = given.write(Method::POST, &given.members("Admins", ""), &given.body(&["new@example.com"])).await;
    assert_eq!(got.emails().last().unwrap(), "new@example.com");
    assert!(given.account.remove_person("new@example.com"));
    assert_eq!(given.get(&given.members("Admins", "")).await.emails(), ["Alice@example.com", "bob@example.com"]);
    assert_eq!(given.get(&path("?order=user.email")).await.emails().len(), 3);
}

#[tokio::test]
async fn freed_address_can_be_reused() {
    let given = given(small()).await;
    let alice = given.id("alice@example.com");
    assert!(given.account.change_email("alice@example.com", "ALICE@example.com"));
    assert!(given.account.change_email("alice@example.com", "zoe@example.com"));
    assert!(given.account.add("Admins", "alice@example.com"));
    assert_eq!(given.id("zoe@example.com"), alice);
    assert_ne!(given.id("alice@example.com"), alice);
    assert_eq!(given.account.members_of("Admins"), ["alice@example.com", "bob@example.com", "zoe@example.com"]);
}

#[tokio::test]
async fn two_factor_can_be_on_off_or_missing() {
    let given = given_yaml("people: [a@example.com, { email: b@example.com, two_factor: null }]").await;
    let got = given.get(&path("")).await.json();
    assert_eq!(got["result"][0]["user"]["two_factor_authentication_enabled"], false);
    assert!(got["result"][1]["user"].get("two_factor_authentication_enabled").is_none());
}

#[tokio::test]
async fn a_token_can_be_verified() {
    let owner = Some("alice@example.com".into());
    let given = given(Seed { token_owner: owner, ..Seed::default() }.token("token")).await;
    assert_eq!(given.get(&format!("/accounts/{ACCOUNT}/tokens/verify")).await.refusal(), (401, 1000));
    assert_eq!(given.get("/user/tokens/verify").await.json()["result"]["status"], "active");
    assert!(given.account.revoke_token());
    assert_eq!(given.get("/user/tokens/verify").await.refusal(), (401, 1000));
}
