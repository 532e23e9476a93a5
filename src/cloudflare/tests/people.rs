//! Finding account members costs few requests, and nobody is called unknown without a look at the whole list.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::json;

use super::server::{Reply, Request, Server, page, paged};
use super::{email, id};
use crate::model::{Email, MemberId, Person};

async fn find(server: &Server, numbers: &[usize], ids: &[MemberId]) -> BTreeMap<MemberId, Person> {
    let emails: BTreeSet<Email> = numbers.iter().map(|number| email(*number).to_uppercase().parse().unwrap()).collect();
    let ids = ids.iter().copied().collect();
    server.client().find_account_members(&emails, &ids).await.unwrap()
}

fn people(total: usize) -> impl Fn(usize, &Request) -> Reply {
    move |_, request| paged(request, total, 50)
}

#[tokio::test]
async fn nobody_sought_costs_nothing() {
    let server = Server::start(people(2000)).await;
    assert!(find(&server, &[], &[]).await.is_empty());
    assert!(server.seen().is_empty());
}

#[tokio::test]
async fn a_few_among_many_are_found_like_words_in_a_dictionary() {
    let server = Server::start(people(2000)).await;
    let found = find(&server, &[37, 1234], &[]).await;
    assert!(found.contains_key(&id(37)) && found.contains_key(&id(1234)));
    assert!(server.seen().len() <= 7, "{:?}", server.lines());
    assert!(server.lines()[0].contains("/members?order=user.email&direction=asc&per_page=50&page=1"));

    for sought in (0..2000).step_by(97) {
        let server = Server::start(people(2000)).await;
        assert!(find(&server, &[sought], &[]).await.contains_key(&id(sought)));
        assert!(server.seen().len() <= 7, "{sought}: {:?}", server.lines());
    }
}

#[tokio::test]
async fn who_is_not_found_was_looked_for_everywhere() {
    let server = Server::start(people(2000)).await;
    let found = find(&server, &[5000], &[]).await;
    assert_eq!((found.len(), server.seen().len()), (2000, 40));
}

#[tokio::test]
async fn an_order_that_lies_hides_nobody() {
    // The pages come backwards.
    let server = Server::start(|_, request| {
        let from = (40 - request.page()) * 50;
        page(from..from + 50, json!({ "total_count": 2000, "per_page": 50 }))
    });
    let server = server.await;
    assert!(find(&server, &[3], &[]).await.contains_key(&id(3)));
    assert_eq!(server.seen().len(), 40);
}

#[tokio::test]
async fn many_or_an_id_are_found_by_reading_everything_once() {
    let server = Server::start(people(2000)).await;
    let many: Vec<_> = (0..2000).step_by(100).collect();
    assert_eq!(find(&server, &many, &[]).await.len(), 2000);
    assert_eq!(server.seen().len(), 40);

    let server = Server::start(people(2000)).await;
    assert!(find(&server, &[], &[id(1999)]).await.contains_key(&id(1999)));
    assert_eq!(server.seen().len(), 40);
}

#[tokio::test]
async fn a_list_that_changes_during_the_search_is_read_anew() {
    let server = Server::start(|before, request| paged(request, if before < 3 { 2000 } else { 2001 }, 50)).await;
    let found = find(&server, &[2000], &[]).await;
    assert_eq!(found.len(), 2001);
}

#[tokio::test]
async fn who_declined_and_was_invited_again_is_found() {
    // The rejected invitation stands where the address is looked for; the new one, with the same address, does not.
    let server = Server::start(|_, request| {
        let reply = paged(request, 2000, 50);
        let Reply::Answer { status, headers, body } = reply else { panic!("{reply:?}") };
        let mut body: serde_json::Value = serde_json::from_slice(&body).unwrap();
        for entry in body["result"].as_array_mut().unwrap() {
            if entry["email"] == email(0) {
                entry["status"] = "rejected".into();
            }
            if entry["email"] == email(1999) {
                entry["email"] = email(0).into();
            }
        }
        Reply::Answer { status, headers, body: body.to_string().into_bytes() }
    });
    let server = server.await;
    let found = find(&server, &[0], &[]).await;
    assert!(found.contains_key(&id(0)) && found.contains_key(&id(1999)));
}

#[tokio::test]
async fn all_account_members_come_with_both_addresses() {
    let server = Server::start(|_, _| {
        let result = json!([
            { "id": id(1), "email": "a@example.com", "status": "accepted", "user": { "id": "x", "email": "b@example.com" } },
            { "id": id(2), "email": "c@example.com", "status": "pending", "user": { "id": null, "email": null } },
        ]);
        Reply::json(&json!({ "success": true, "result": result, "result_info": { "total_count": 2 } }))
    });
    let members = server.await.client().account_members().await.unwrap();
    let emails: Vec<_> = members.values().map(|person| person.emails.len()).collect();
    assert_eq!(emails, [2, 1]);
}
