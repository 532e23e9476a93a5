//! The requests of the Terraform provider's acceptance tests. After each step the group must read as it was written,
//! or the provider would plan a change forever.

use super::*;

/// The parts of a group that the provider stores in its state.
fn kept(group: &Value) -> Value {
    let ids = |list: &Value| list.as_array().unwrap().iter().map(|one| json!({ "id": one["id"] })).collect::<Value>();
    let policies = group.get("policies").map(|policies| {
        let kept = policies.as_array().unwrap().iter().map(|policy| {
            json!({
                "access": policy["access"],
                "permission_groups": ids(&policy["permission_groups"]),
                "resource_groups": ids(&policy["resource_groups"]),
            })
        });
        kept.collect::<Vec<_>>()
    });
    match policies {
        Some(policies) => json!({ "name": group["name"], "policies": policies }),
        None => json!({ "name": group["name"] }),
    }
}

/// Sends a group, and checks that every reading shows it as it was sent. Returns its path and the result.
async fn put_group(given: &Given, path: Option<&str>, body: &Value) -> (String, Value) {
    let got = match path {
        Some(path) => given.write(Method::PUT, path, body).await,
        None => given.write(Method::POST, &given.groups(""), body).await,
    };
    let written = got.json()["result"].clone();
    assert_eq!(kept(&written), *body, "{}", got.text);
    let path = given.groups(&format!("/{}", written["id"].as_str().unwrap()));
    assert_eq!(given.get(&path).await.json()["result"], written);
    let name = body["name"].as_str().unwrap();
    assert_eq!(given.get(&given.groups(&format!("?name={name}"))).await.json()["result"], json!([written]));
    (path, written)
}

async fn first_id(given: &Given, kind: &str) -> Value {
    let got = given.get(&format!("/accounts/{ACCOUNT}/iam/{kind}")).await.json();
    assert_eq!((&got["result_info"]["count"], &got["result_info"]["page"]), (&json!(1), &json!(1)), "{got}");
    got["result"][0]["id"].clone()
}

fn policy(permission_groups: &[&Value], resource_group: &Value) -> Value {
    let permission_groups: Vec<Value> = permission_groups.iter().map(|id| json!({ "id": id })).collect();
    json!({ "access": "allow", "permission_groups": permission_groups, "resource_groups": [{ "id": resource_group }] })
}

#[tokio::test]
async fn group_without_policies_lifecycle() {
    let given = given(Seed::default()).await;
    let (path, created) = put_group(&given, None, &json!({ "name": "basic" })).await;
    for name in ["basic-updated", "basic"] {
        let (same, renamed) = put_group(&given, Some(&path), &json!({ "name": name })).await;
        assert_eq!((&same, &renamed["created_on"]), (&path, &created["created_on"]));
    }
    assert_eq!(given.delete(&path).await.json()["result"], json!({ "id": created["id"] }));
    assert_eq!(given.get(&path).await.refusal(), (404, 404));
}

#[tokio::test]
async fn group_with_policies_reads_back() {
    let given = given(Seed::default()).await;
    let admin = first_id(&given, "permission_groups?label=admin").await;
    let readonly = first_id(&given, "permission_groups?label=admin_readonly").await;
    let everything = first_id(&given, "resource_groups").await;
    let body = json!({ "name": "granted", "policies": [policy(&[&admin], &everything)] });
    let (path, created) = put_group(&given, None, &body).await;
    assert_eq!(created["policies"][0]["permission_groups"][0]["name"], "Administrator");
    assert_eq!(
        created["policies"][0]["resource_groups"][0]["scope"]["key"],
        format!("com.cloudflare.api.account.{ACCOUNT}")
    );

    // Writing the same again changes nothing, not even the time.
    let (_, again) = put_group(&given, Some(&path), &body).await;
    assert_eq!(again, created);

    for order in [[&readonly, &admin], [&admin, &readonly]] {
        let swapped = json!({ "name": "granted", "policies": [policy(&order, &everything)] });
        let (_, changed) = put_group(&given, Some(&path), &swapped).await;
        assert_ne!(changed["policies"][0]["id"], created["policies"][0]["id"]);
    }
    let two =
        json!({ "name": "granted", "policies": [policy(&[&readonly], &everything), policy(&[&admin], &everything)] });
    put_group(&given, Some(&path), &two).await;

    // A name alone keeps the policies; an empty list removes them.
    let renamed = given.write(Method::PUT, &path, &json!({ "name": "renamed" })).await.json();
    assert_eq!(kept(&renamed["result"])["policies"], two["policies"]);
    let emptied = given.write(Method::PUT, &path, &json!({ "policies": [] })).await.json();
    assert_eq!(kept(&emptied["result"]), json!({ "name": "renamed" }));
}

#[tokio::test]
async fn impossible_policies_are_refused() {
    let given = given(small()).await;
    let id = json!("c8fed203ed3043cba015a93ad1616f1f");
    let good = policy(&[&id], &id);
    let with = |field: &str, value: Value| {
        let mut policy = good.clone();
        policy[field] = value;
        json!({ "name": "odd", "policies": [policy] })
    };
    for body in [
        with("access", json!("deny")),
        with("access", json!("maybe")),
        with("permission_groups", json!([{}])),
        with("resource_groups", json!([{ "id": "" }])),
    ] {
        for (method, path) in [(Method::POST, given.groups("")), (Method::PUT, given.group("Admins"))] {
            let got = given.write(method, &path, &body).await;
            assert_eq!((got.refusal(), got.message()), ((400, 400), "Policy validation failed".into()), "{body}");
        }
    }
    let again = with("id", json!("023e105f4ecef8ad9ca31a8372d0c353"));
    let got = given.write(Method::PUT, &given.group("Admins"), &again).await;
    assert_eq!((got.refusal(), got.message()), ((400, 400), "Cannot re-use policy IDs".into()));
    for body in [json!({ "name": "odd", "policies": [7] }), json!({ "name": "odd", "policies": [{}] })] {
        assert_eq!(given.write(Method::POST, &given.groups(""), &body).await.refusal(), (400, 1001), "{body}");
    }
    assert_eq!(given.account.memberships().len(), 1);
    assert!(given.get(&given.group("Admins")).await.json()["result"].get("policies").is_none());
}

#[tokio::test]
async fn members_are_added_replaced_and_emptied() {
    let seed = Seed { new_groups_settle: 1, ..Seed::default() }.people(["zoe@example.com", "amy@example.com"]);
    let given = given(seed).await;
    let (path, _) = put_group(&given, None, &json!({ "name": "team" })).await;
    let members = format!("{path}/members");
    let listed = given.get(&format!("/accounts/{ACCOUNT}/members?status=accepted")).await.json();
    let ids: Vec<Value> =
        listed["result"].as_array().unwrap().iter().map(|member| json!({ "id": member["id"] })).collect();
    let read = async || {
        let json = given.get(&members).await.json();
        json["result"].as_array().map(|list| list.iter().map(|one| json!({ "id": one["id"] })).collect::<Vec<_>>())
    };
    // A new group has no members path for a moment; the provider retries.
    assert_eq!(given.write(Method::POST, &members, &json!(ids[..1])).await.refusal(), (404, 404));
    for (method, wanted) in
        [(Method::POST, &ids[..1]), (Method::PUT, &ids[..]), (Method::PUT, &ids[1..]), (Method::PUT, &ids[..0])]
    {
        let got = given.write(method, &members, &json!(wanted)).await;
        assert_eq!(got.json()["result"].as_array().unwrap().len(), wanted.len(), "{}", got.text);
        assert_eq!(read().await.unwrap_or_default(), wanted);
    }
    assert_eq!(given.get(&path).await.json()["result"]["name"], "team");
    assert_eq!(given.delete(&path).await.status, StatusCode::OK);
    assert_eq!(given.get(&members).await.refusal(), (404, 404));
}

#[tokio::test]
async fn group_names_are_unique() {
    let given = given(small().group("Others", SeedGroup::default())).await;
    for (method, path) in [(Method::POST, given.groups("")), (Method::PUT, given.group("Others"))] {
        let got = given.write(method, &path, &json!({ "name": "Admins" })).await;
        assert_eq!((got.refusal(), got.message().contains("already in use")), ((400, 400), true));
    }
    assert_eq!(given.write(Method::PUT, &given.group("Others"), &json!({ "name": "Others" })).await.status, 200);
}

#[tokio::test]
async fn permission_and_resource_groups_can_be_filtered() {
    let given = given_yaml(
        "permission_groups: [Payments]\nresource_groups: [{ name: Zone A, id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1 }]",
    )
    .await;
    let count = async |query: &str| {
        let json = given.get(&format!("/accounts/{ACCOUNT}/iam/{query}")).await.json();
        json["result_info"]["total_count"].as_u64().unwrap()
    };
    assert_eq!(count("permission_groups").await, 8);
    assert_eq!(count("permission_groups?label=billing").await, 1);
    assert_eq!(count("permission_groups?name=Payments").await, 1);
    assert_eq!(count("permission_groups?label=nothing").await, 0);
    assert_eq!(count("resource_groups").await, 2);
    assert_eq!(count("resource_groups?id=6d7f2f5f5b1d4a0e9081fdc98d432fd1").await, 1);
    assert_eq!(count("resource_groups?name=Zone%20A").await, 1);
    let odd = given.get(&format!("/accounts/{ACCOUNT}/iam/resource_groups?label=a")).await;
    assert_eq!(odd.refusal(), (400, 1001));
}

#[tokio::test]
async fn seed_has_group_policies() {
    let given = given_yaml(
        "groups:\n  Odd: { policies: [{ access: deny, permission_groups: [Secret, 4f5f0c14a2a41d5063dd301b2f829f04] }], status: V }\n  Plain: {}\n",
    )
    .await;
    let json = given.get(&given.groups("")).await.json();
    let (odd, plain) = (&json["result"][0], &json["result"][1]);
    assert_eq!((&odd["status"], &odd["policies"][0]["access"]), (&json!("V"), &json!("deny")));
    assert_eq!(odd["policies"][0]["permission_groups"][0]["name"], "Secret");
    let nameless = json!({ "id": "4f5f0c14a2a41d5063dd301b2f829f04" });
    assert_eq!(odd["policies"][0]["permission_groups"][1], nameless);
    assert_eq!(odd["policies"][0]["resource_groups"][0]["name"], "com.cloudflare.api.account.*");
    assert!(plain.get("policies").is_none() && plain.get("status").is_none());
    assert_eq!(
        given.get(&format!("/accounts/{ACCOUNT}/iam/permission_groups?name=Secret")).await.json()["result"][0]["name"],
        "Secret"
    );
}
