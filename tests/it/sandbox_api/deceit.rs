//! Reads that lag, contradictory lists, effects that are claimed or late, and edits around a write.

use std::collections::BTreeSet;

use clap::ValueEnum as _;
use tokio::time::{Duration, Instant};

use super::*;

const ALL: [&str; 3] = ["Alice@example.com", "bob@example.com", "carol@example.com"];
const TWO: [&str; 2] = ["Alice@example.com", "bob@example.com"];

async fn post_carol(given: &Given) -> Result<Got, reqwest::Error> {
    given.try_write(Method::POST, &given.members("Admins", ""), &given.body(&["carol@example.com"])).await
}

async fn list(given: &Given) -> Got {
    given.get(&given.members("Admins", "")).await
}

/// Waits until the sandbox has done something.
async fn until(done: impl Fn() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn reads_lag_behind_writes() {
    let given = given(small()).await;
    // No test takes this long, so every read shows the beginning.
    given.account.set_lag(Duration::from_secs(3600));
    assert_eq!(post_carol(&given).await.unwrap().emails(), ALL);
    assert!(given.delete(&given.member("Admins", "bob@example.com")).await.status.is_success());
    assert_eq!(list(&given).await.emails(), TWO);
    assert_eq!(given.get(&given.member("Admins", "carol@example.com")).await.status, StatusCode::NOT_FOUND);
    let bob = given.get(&given.member("Admins", "bob@example.com")).await.json();
    assert_eq!(bob["result"]["created_at"], "2026-01-01T00:00:00Z");
    given.account.set_lag(Duration::ZERO);
    assert_eq!(list(&given).await.emails(), ["Alice@example.com", "carol@example.com"]);
}

#[test]
fn lag_follows_a_paused_clock() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let seed = Seed { lag: Delay::millis(500), ..small() };
        let account = Sandbox::start(&seed, Sandbox::ANY_PORT).await.unwrap().account();
        let group = account.group_id("Admins").unwrap();
        tokio::time::advance(Duration::from_secs(1)).await;
        let joined = Instant::now();
        account.edit(&Edit::add("Admins", "carol@example.com"));
        for (millis, expected) in [(0, 2), (499, 2), (1, 3), (1000, 3)] {
            tokio::time::advance(Duration::from_millis(millis)).await;
            let then = Instant::now() - seed.lag.0;
            assert_eq!(account.members_at(group, then).len(), expected, "{:?}", joined.elapsed());
        }
    });
}

#[tokio::test]
async fn single_read_can_lag() {
    let given = given_yaml(
        "groups: { Admins: { members: [alice@example.com] } }\nfaults: [{ on: { operation: list-members, nth: 2 }, do: { lag: 1h } }]",
    )
    .await;
    assert!(given.account.add("Admins", "bob@example.com"));
    let mut counts = Vec::new();
    for _ in 0..3 {
        counts.push(list(&given).await.emails().len());
    }
    assert_eq!(counts, [2, 1, 2]);
}

#[tokio::test]
async fn every_contradiction_shows_in_the_answer() {
    for contradiction in Contradiction::value_variants() {
        for members in [0, 1, 3] {
            let emails: Vec<String> = (0..members).map(|n| format!("p{n}@example.com")).collect();
            let rule = FaultRule::once(Match::any(), Fault::Contradict(*contradiction));
            let given = given(Seed::default().group("Admins", emails).fault(rule)).await;
            let wrong = list(&given).await;
            assert!(contradicts(&wrong), "{contradiction:?} of {members}: {} {}", wrong.status, wrong.text);
            assert!(!contradicts(&list(&given).await), "{members}");
        }
    }
}

/// Whether a list of one page contradicts itself.
fn contradicts(got: &Got) -> bool {
    let json = got.json();
    let (result, info) = (json.get("result"), &json["result_info"]);
    let entries = result.and_then(Value::as_array).map_or(0, Vec::len) as u64;
    let ids: BTreeSet<_> =
        result.and_then(Value::as_array).into_iter().flatten().map(|entry| entry["id"].to_string()).collect();
    let differs = |field: &str, right: u64| info.get(field).is_some_and(|value| value != right);
    got.status != StatusCode::OK
        || json["errors"] != json!([])
        || result.is_none()
        || ids.len() as u64 != entries
        || differs("count", entries)
        || differs("total_count", entries)
        || differs("total_pages", u64::from(entries > 0))
        || differs("page", 1)
        || info.get("per_page").is_some_and(|size| size.as_u64().unwrap() < entries.max(1))
}

#[tokio::test]
async fn one_page_alone_can_be_contradictory() {
    let rule = FaultRule::once(Match::any().page(2), Fault::Contradict(Contradiction::NoResult));
    let given = given(small().fault(rule)).await;
    assert_eq!(given.get(&given.members("Admins", "?per_page=1")).await.emails(), ["Alice@example.com"]);
    let second = given.get(&given.members("Admins", "?per_page=1&page=2")).await.json();
    assert_eq!((second.get("result"), &second["result_info"]["total_count"]), (None, &json!(2)));
}

#[tokio::test]
async fn numbers_can_be_written_as_text() {
    let given =
        given_yaml("groups: { Admins: { members: [alice@example.com] } }\nfaults: [{ do: numbers_as_text }]").await;
    let info = list(&given).await.json()["result_info"].clone();
    assert_eq!(info, json!({ "page": "1", "per_page": "100", "count": "1", "total_count": "1", "total_pages": "1" }));
}

#[tokio::test]
async fn effect_can_be_falsely_claimed() {
    for (claim, expected) in [
        (FalseClaim::Done, json!(ALL)),
        (FalseClaim::DoneList, json!(ALL)),
        (FalseClaim::Unchanged, json!(TWO)),
        (FalseClaim::Empty, json!([])),
        (FalseClaim::Null, json!(null)),
    ] {
        for method in [Method::POST, Method::PUT] {
            let given = given(small().fault(FaultRule::once(Match::any(), Fault::Claim(claim)))).await;
            let got = given.write(method, &given.members("Admins", ""), &given.body(&ALL)).await;
            let result = &got.json()["result"];
            let shown = result.as_array().map(|list| list.iter().map(|entry| entry["email"].clone()).collect());
            assert_eq!((got.status, shown.unwrap_or(Value::Null)), (StatusCode::OK, expected.clone()));
            assert_eq!(given.account.members_of("Admins"), TWO);
            assert!(given.account.history().is_empty() && !given.account.requests()[0].effect);
        }
    }
}

#[tokio::test]
async fn removal_can_be_falsely_claimed() {
    for (claim, expected) in [
        (FalseClaim::Done, json!("bob@example.com")),
        (FalseClaim::DoneList, json!(["Alice@example.com"])),
        (FalseClaim::Unchanged, json!(TWO)),
        (FalseClaim::Empty, json!([])),
        (FalseClaim::Null, json!(null)),
    ] {
        let given = given(small().fault(FaultRule::once(Match::any(), Fault::Claim(claim)))).await;
        let got = given.delete(&given.member("Admins", "bob@example.com")).await;
        let shown = match got.json()["result"].take() {
            Value::Array(list) => list.iter().map(|entry| entry["email"].clone()).collect(),
            Value::Object(one) => one["email"].clone(),
            other => other,
        };
        assert_eq!((got.status, shown), (StatusCode::OK, expected));
        assert_eq!(given.account.members_of("Admins"), TWO);
    }
}

#[tokio::test]
async fn invalid_request_is_refused_not_claimed() {
    let given = given(small().fault(FaultRule::always(Match::any(), Fault::Claim(FalseClaim::Done)))).await;
    assert_eq!(list(&given).await.json()["result_info"]["total_count"], 2);
    assert!(given.account.revoke_token());
    assert_eq!(post_carol(&given).await.unwrap().refusal(), (401, 1000));
    given.account.restore_token();
    let got = given.write(Method::POST, &given.members("Admins", ""), &json!([{ "id": "f".repeat(32) }])).await;
    assert_eq!(got.refusal(), (400, 400));
}

#[tokio::test]
async fn write_can_take_effect_after_lost_answer() {
    for (late, status) in [
        (Late { after: Delay::millis(20), ..Late::default() }, None),
        (Late { after: Delay::millis(20), status: Some(504), ..Late::default() }, Some(504)),
    ] {
        let given = given(small().fault(FaultRule::once(Match::any(), Fault::Late(late)))).await;
        assert_eq!(post_carol(&given).await.ok().map(|got| got.status.as_u16()), status);
        until(|| given.account.unlanded() == 0).await;
        assert_eq!(given.account.members_of("Admins"), ALL);
        let (request, change) = (&given.account.requests()[0], &given.account.history()[0]);
        assert_eq!((request.status_sent, request.effect, change.request), (status, true, Some(request.number)));
        assert!(change.at > request.answered.unwrap());
    }
}

#[tokio::test]
async fn write_takes_effect_after_client_gave_up() {
    let late = Late { after: Delay::millis(50), hang: true, ..Late::default() };
    let given = given(small().fault(FaultRule::once(Match::any(), Fault::Late(late)))).await;
    tokio::select! {
        _ = post_carol(&given) => panic!("an answer came"),
        () = until(|| given.account.unlanded() == 1) => {}
    }
    assert_eq!(given.account.members_of("Admins"), TWO);
    until(|| given.account.unlanded() == 0).await;
    assert_eq!(given.account.members_of("Admins"), ALL);
}

#[tokio::test]
async fn a_client_that_waits_gets_the_late_answer() {
    let late = Late { after: Delay::millis(5), hang: true, ..Late::default() };
    let given = given(small().fault(FaultRule::once(Match::any(), Fault::Late(late)))).await;
    assert_eq!(post_carol(&given).await.unwrap().emails(), ALL);
}

#[tokio::test]
async fn write_can_take_effect_despite_failed_answer() {
    let given = given(small().fault(FaultRule::once(Match::any(), Fault::UnsuccessfulAfter))).await;
    assert_eq!(post_carol(&given).await.unwrap().refusal().0, 200);
    assert_eq!(given.account.members_of("Admins"), ALL);

    let respond = Respond { status: 400, after: true, ..Respond::default() };
    let given = super::given(small().fault(FaultRule::once(Match::any(), Fault::Respond(respond)))).await;
    assert_eq!(post_carol(&given).await.unwrap().refusal().0, 400);
    assert_eq!(given.account.members_of("Admins"), ALL);
}

#[tokio::test]
async fn one_request_can_have_several_faults() {
    let given = given_yaml(
        "people: [carol@example.com]\ngroups: { Admins: { members: [alice@example.com] } }\nfaults:\n  - do:\n      all:\n        - edit_before: { add: { group: Admins, member: zoe@example.com } }\n        - edit_after: { remove: { group: Admins, member: alice@example.com } }\n        - cut: after\n",
    )
    .await;
    assert!(post_carol(&given).await.is_err());
    assert_eq!(given.account.members_of("Admins"), ["carol@example.com", "zoe@example.com"]);
}

#[tokio::test]
async fn groups_can_swap_names_around_the_nth_request() {
    let given = given_yaml(
        "groups: { Admins: { members: [alice@example.com] }, Others: { members: [bob@example.com] } }\nfaults:\n  - on: { operation: list-members, nth: 2 }\n    do: { edit_before: { several: [{ swap_names: { group: Admins, with: Others } }, { add: { group: Admins, member: zoe@example.com } }] } }\n",
    )
    .await;
    let (admins, others) = (given.members("Admins", ""), given.members("Others", ""));
    assert_eq!(given.get(&admins).await.emails(), ["alice@example.com"]);
    assert_eq!(given.get(&others).await.emails(), ["bob@example.com", "zoe@example.com"]);
    assert_eq!(given.account.members_of("Others"), ["alice@example.com"]);
    assert!(!given.account.edit(&Edit::swap_names("Admins", "Admins")));
    assert!(!given.account.edit(&Edit::swap_names("Admins", "Nowhere")));
}

#[tokio::test]
async fn past_members_can_be_read() {
    let given = given(small()).await;
    let group = given.account.group_id("Admins").unwrap();
    let start = Instant::now();
    let before = given.account.member_ids_of("Admins");
    tokio::time::sleep(Duration::from_millis(2)).await;
    post_carol(&given).await.unwrap();
    let after = given.account.member_ids_of("Admins");
    given.account.delete_group("Admins");
    let request = &given.account.requests()[0];
    let answered = request.answered.unwrap();
    assert_eq!(given.account.members_at(group, start), before);
    assert_eq!(given.account.members_at(group, answered), after);
    assert!(start < request.arrived && request.arrived <= answered);
    assert_eq!(request.shown.clone().unwrap().into_iter().collect::<BTreeSet<_>>(), after);
    assert!(given.account.members_at(group, Instant::now()).is_empty());
}

#[tokio::test]
async fn chance_uses_each_fault_where_possible() {
    let whole = Share::percent(100);
    type Case = (Chance, fn(&Fault) -> bool, bool);
    let cases: [Case; 6] = [
        (Chance { lag: whole, ..Chance::default() }, |fault| matches!(fault, Fault::Lag(_)), false),
        (Chance { contradict: whole, ..Chance::default() }, |fault| matches!(fault, Fault::Contradict(_)), false),
        (Chance { numbers_as_text: whole, ..Chance::default() }, |fault| *fault == Fault::NumbersAsText, false),
        (Chance { claim: whole, ..Chance::default() }, |fault| matches!(fault, Fault::Claim(_)), true),
        (Chance { late: whole, ..Chance::default() }, |fault| matches!(fault, Fault::Late(_)), true),
        (Chance { unsuccessful_after: whole, ..Chance::default() }, |fault| *fault == Fault::UnsuccessfulAfter, true),
    ];
    for (chance, is, of_writes) in cases {
        let given = given(Seed { chance: Some(chance), ..small() }).await;
        list(&given).await;
        let _ = post_carol(&given).await;
        let met: Vec<bool> = given.account.requests().iter().map(|r| r.fault.as_ref().is_some_and(is)).collect();
        assert_eq!(met, [!of_writes, of_writes], "{:?}", given.account.requests()[0].fault);
    }
    let chance = Chance { swap_names: whole, ..Chance::default() };
    let seeds = (0..8).map(|seed| Chance { seed, ..chance.clone() });
    let mut swapped = 0;
    for chance in seeds {
        let given = given(Seed { chance: Some(chance), ..small().group("Others", ["dora@example.com"]) }).await;
        list(&given).await;
        swapped += u32::from(given.account.members_of("Others") == TWO);
    }
    assert!((1..8).contains(&swapped), "{swapped} of 8");
}
