use super::*;

fn staff(count: usize) -> Seed {
    Seed::default().group("Staff", (0..count).map(|n| format!("p{n:04}@example.com")).collect::<Vec<_>>())
}

#[tokio::test]
async fn an_empty_group_lists_as_null() {
    let given = given(Seed::default().group("Nobody", SeedGroup::default())).await;
    let got = given.get(&given.members("Nobody", "")).await.json();
    assert_eq!((&got["result"], &got["result_info"]["total_count"]), (&json!(null), &json!(0)));
}

#[tokio::test]
async fn members_are_sorted_by_email_without_case() {
    let given = given(small()).await;
    let got = given.get(&given.members("Admins", "")).await;
    assert_eq!(got.emails(), ["Alice@example.com", "bob@example.com"]);
    let json = got.json();
    assert_eq!(json["result"][0]["status"], "accepted");
    assert_eq!(
        json["result_info"],
        json!({ "page": 1, "per_page": 100, "count": 2, "total_count": 2, "total_pages": 1 })
    );
}

#[tokio::test]
async fn pages_have_every_member_once() {
    let given = given(staff(1200)).await;
    let mut all = Vec::new();
    for (page, count) in [(1, 500), (2, 500), (3, 200)] {
        let got = given.get(&given.members("Staff", &format!("?page={page}&per_page=500"))).await;
        assert_eq!(got.json()["result_info"]["count"], count);
        assert_eq!(got.json()["result_info"]["total_pages"], 3);
        all.extend(got.emails());
    }
    assert_eq!(all, given.account.members_of("Staff"));
    let beyond = given.get(&given.members("Staff", "?page=4&per_page=500")).await;
    assert_eq!(beyond.json()["result"], json!([]));
    assert_eq!(beyond.json()["result_info"]["total_count"], 1200);
    let last = given.get(&given.members("Staff", "?direction=desc&per_page=1")).await;
    assert_eq!(last.emails(), ["p1199@example.com"]);
}

#[tokio::test]
async fn pages_smaller_than_requested_are_allowed() {
    let mut seed = staff(45);
    seed.page_size_cap = std::num::NonZeroU32::new(20);
    let given = given(seed).await;
    let got = given.get(&given.members("Staff", "?per_page=500&page=3")).await;
    assert_eq!(
        got.json()["result_info"],
        json!({ "page": 3, "per_page": 20, "count": 5, "total_count": 45, "total_pages": 3 })
    );
}

#[tokio::test]
async fn members_are_filtered_by_email() {
    let given = given(small()).await;
    assert_eq!(given.get(&given.members("Admins", "?fuzzyEmail=ALICE%40")).await.emails(), ["Alice@example.com"]);
    assert_eq!(given.get(&given.members("Admins", "?fuzzyEmail=zoe")).await.json()["result"], json!(null));
}

#[tokio::test]
async fn groups_are_sorted_and_filtered() {
    let given = given(small().group("Zoo", ["z@example.com"]).group("Boat Admins", SeedGroup::default())).await;
    let names = async |query: &str| {
        let json = given.get(&given.groups(query)).await.json();
        let groups = json["result"].as_array().unwrap().clone();
        groups.iter().map(|group| group["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(names("").await, ["Admins", "Boat Admins", "Zoo"]);
    assert_eq!(names("?direction=desc&per_page=2").await, ["Zoo", "Boat Admins"]);
    assert_eq!(names("?name=Admins").await, ["Admins"]);
    assert_eq!(names("?fuzzyName=admin").await, ["Admins", "Boat Admins"]);
    let id = given.account.group_id("Zoo").unwrap();
    assert_eq!(names(&format!("?id={id}")).await, ["Zoo"]);
}

#[tokio::test]
async fn group_has_id_name_and_times() {
    let given = given(small()).await;
    let got = given.get(&given.group("Admins")).await.json();
    assert_eq!(
        got["result"],
        json!({
            "id": given.account.group_id("Admins").unwrap(),
            "name": "Admins",
            "created_on": "2026-01-01T00:00:00Z",
            "modified_on": "2026-01-01T00:00:00Z",
        })
    );
}

#[tokio::test]
async fn membership_has_its_beginning() {
    let given = given_yaml(
        "clock: 2026-02-01T00:00:00Z\ngroups:\n  Admins:\n    members:\n      - { email: alice@example.com, since: 2026-01-05T10:00:00Z }\n",
    )
    .await;
    let got = given.get(&given.member("Admins", "alice@example.com")).await.json();
    assert_eq!(got["result"]["created_at"], "2026-01-05T10:00:00Z");
    assert_eq!(got["result"]["user"]["email"], "alice@example.com");
    given.account.add("Admins", "bob@example.com");
    let got = given.get(&given.member("Admins", "bob@example.com")).await.json();
    assert_eq!(got["result"]["created_at"], "2026-02-01T00:00:01Z");
}

#[tokio::test]
async fn missing_membership_is_not_found() {
    let given = given(small()).await;
    assert_eq!(given.get(&given.member("Admins", "carol@example.com")).await.refusal(), (404, 404));
}

#[tokio::test]
async fn a_pending_member_has_no_user_yet() {
    let person = SeedPerson::of("new@example.com").status(Invitation::Pending);
    let given = given(Seed::default().person(person).group("Admins", ["new@example.com"])).await;
    assert_eq!(given.get(&given.members("Admins", "")).await.json()["result"][0]["status"], "pending");
    let user = &given.get(&given.member("Admins", "new@example.com")).await.json()["result"]["user"];
    assert!(user.get("id").is_none());
}

#[tokio::test]
async fn email_can_be_missing() {
    let given = given_yaml(
        "people: [{ email: alice@example.com, group_email: null }]\ngroups: { Admins: { members: [alice@example.com] } }",
    )
    .await;
    let got = given.get(&given.members("Admins", "")).await.json();
    assert_eq!(got["result"], json!([{ "id": given.id("alice@example.com"), "status": "accepted" }]));
}

#[tokio::test]
async fn result_info_can_be_missing_everywhere() {
    let given = given(Seed { result_info: Some(false), ..small() }).await;
    assert!(given.get(&given.members("Admins", "")).await.json().get("result_info").is_none());
    assert!(given.get(&given.groups("")).await.json().get("result_info").is_none());
}

#[tokio::test]
async fn group_with_invalid_policy_lists_no_members() {
    let given = given_yaml("groups: { Odd: { policy_invalid: true, members: [alice@example.com] } }").await;
    let got = given.get(&given.members("Odd", "")).await;
    assert_eq!((got.refusal(), got.message()), ((400, 400), "Policy validation failed".into()));
}

#[tokio::test]
async fn new_group_has_no_members_path_yet() {
    let given = given(Seed { new_groups_settle: 2, ..Seed::default() }).await;
    let got = given.write(Method::POST, &given.groups(""), &json!({ "name": "New" })).await;
    assert_eq!(got.status, StatusCode::OK);
    for _ in 0..2 {
        assert_eq!(given.get(&given.members("New", "")).await.refusal(), (404, 404));
        assert_eq!(given.get(&given.group("New")).await.status, StatusCode::OK);
    }
    assert_eq!(given.get(&given.members("New", "")).await.status, StatusCode::OK);
}

#[tokio::test]
async fn a_hundred_thousand_memberships_are_served_in_order() {
    let people: Vec<String> = (0..2000).map(|n| format!("p{n:04}@example.com")).collect();
    let groups = (0..200).map(|g| (format!("Group {g:03}"), people.iter().skip(g * 7).take(500).cloned()));
    let seed = groups.fold(Seed::default(), |seed, (name, members)| seed.group(&name, members.collect::<Vec<_>>()));
    let given = given(seed).await;
    for (name, members) in given.account.memberships() {
        assert_eq!(given.get(&given.members(&name, "?per_page=500")).await.emails(), members);
    }
    assert_eq!(given.account.request_counts(), [(Endpoint::ListMembers, 200)].into());
}
