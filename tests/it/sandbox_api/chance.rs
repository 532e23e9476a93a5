use super::*;

/// An account in which half of all requests get a fault.
fn rough(seed: u64) -> Seed {
    let share = Share::percent(5);
    let chance = Chance {
        seed,
        rate_limited: share,
        server_error: share,
        html: share,
        cut_before: share,
        cut_after: share,
        cut_body: share,
        clamp: share,
        omit_result_info: share,
        edit: share,
        unsuccessful: share,
        ..Chance::default()
    };
    let groups = (0..20).map(|n| format!("Group {n:02}"));
    let seed = groups.fold(Seed::default(), |seed, name| seed.group(&name, ["a@example.com", "b@example.com"]));
    Seed { chance: Some(chance), ..seed }
}

/// The faults of each group's list, read in this order.
async fn schedule(seed: Seed, order: impl Iterator<Item = usize>) -> Vec<(String, Option<Fault>)> {
    let given = given(seed).await;
    for group in order {
        // Whether there is an answer depends on chance.
        let _ = given.send(given.request(Method::GET, &given.members(&format!("Group {group:02}"), ""))).await;
    }
    let mut met: Vec<_> = given.account.requests().into_iter().map(|request| (request.path, request.fault)).collect();
    met.sort_by(|(a, _), (b, _)| a.cmp(b));
    met
}

#[tokio::test]
async fn request_order_does_not_change_faults() {
    let forth = schedule(rough(7), 0..20).await;
    let back = schedule(rough(7), (0..20).rev()).await;
    assert_eq!(forth, back);
    let met = forth.iter().filter(|(_, fault)| fault.is_some()).count();
    assert!((3..=17).contains(&met), "{met} of 20");
    assert_ne!(schedule(rough(8), 0..20).await, forth);
}

#[tokio::test]
async fn repeated_request_succeeds() {
    let chance = Chance { server_error: Share::percent(100), per_request: Some(2), ..Chance::default() };
    let given = given(Seed { chance: Some(chance), ..small() }).await;
    let mut failed = Vec::new();
    for _ in 0..4 {
        failed.push(given.get(&given.groups("")).await.status.is_server_error());
    }
    assert_eq!(failed, [true, true, false, false]);
    assert!(given.get(&given.groups("?page=2")).await.status.is_server_error());
}

#[tokio::test]
async fn faults_without_probability_never_happen() {
    let given = given(Seed { chance: Some(Chance::default()), ..small() }).await;
    for page in 1..=50 {
        assert_eq!(given.get(&given.groups(&format!("?page={page}"))).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn chance_edits_concern_seed_people() {
    let chance = Chance { edit: Share::percent(100), ..Chance::default() };
    let given = given(Seed { chance: Some(chance), ..small().group("Others", SeedGroup::default()) }).await;
    given.get(&given.members("Admins", "")).await;
    let fault = given.account.requests()[0].fault.clone();
    let Some(Fault::EditBefore(edit) | Fault::EditAfter(edit)) = fault else { panic!("no edit: {fault:?}") };
    let (Edit::Add { group, member } | Edit::Remove { group, member }) = edit else { panic!("another edit: {edit:?}") };
    assert_eq!(group, "Admins");
    assert!(given.account.person_id(&member).is_some());
}

#[tokio::test]
async fn chance_can_rename_or_delete_groups() {
    let chance = Chance { regroup: Share::percent(100), ..Chance::default() };
    let (mut renamed, mut deleted) = (false, false);
    for seed in 0..20 {
        let given = given(Seed { chance: Some(Chance { seed, ..chance.clone() }), ..small() }).await;
        given.get(&given.members("Admins", "")).await;
        let names = given.account.memberships();
        match names.contains_key("Admins renamed") {
            true => renamed = true,
            false => deleted |= !names.contains_key("Admins"),
        }
    }
    assert!(renamed && deleted);
}

#[tokio::test]
async fn chance_can_revoke_token_and_omit_retry_after() {
    let chance = Chance { revoke_token: Share::percent(100), ..Chance::default() };
    let revoked = given(Seed { chance: Some(chance), ..small() }).await;
    assert_eq!(revoked.get(&revoked.groups("")).await.status, StatusCode::UNAUTHORIZED);
    revoked.account.clear_faults();
    revoked.account.restore_token();
    assert_eq!(revoked.get(&revoked.groups("")).await.status, StatusCode::OK);

    let chance = Chance { rate_limited_bare: Share::percent(100), ..Chance::default() };
    let bare = given(Seed { chance: Some(chance), ..small() }).await;
    let refused = bare.get(&bare.groups("")).await;
    assert_eq!(refused.status, StatusCode::TOO_MANY_REQUESTS);
    assert!(!refused.headers.contains_key("retry-after"));
}
