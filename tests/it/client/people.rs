//! Account members are read completely: no order and no page boundary can hide a member.

use serde_json::json;

use crate::server::{Reply, Server, email, id, paged};

#[tokio::test]
async fn a_large_account_costs_a_request_a_page() {
    let server = Server::start(|_, request| paged(request, 2000, 50)).await;
    assert_eq!(server.client().account_members().await.unwrap().len(), 2000);
    assert_eq!(server.seen().len(), 40);
    assert!(server.lines()[0].contains("/members?order=user.email&direction=asc&per_page=50&page=1"));
}

#[tokio::test]
async fn members_who_share_an_address_are_all_found() {
    // Two members with one address: on one page, across a page boundary, and far apart in an unordered list.
    for (one, other) in [(3, 4), (49, 50), (7, 1999)] {
        let server = Server::start(move |_, request| {
            let Reply::Answer { status, headers, body } = paged(request, 2000, 50) else { panic!() };
            let body = String::from_utf8(body).unwrap().replace(&email(other), &email(one));
            Reply::Answer { status, headers, body: body.into_bytes() }
        })
        .await;
        let sought = email(one).parse().unwrap();
        let members = server.client().account_members().await.unwrap();
        let sharing = members.into_iter().filter(|(_, person)| person.emails.contains(&sought)).map(|(id, _)| id);
        assert_eq!(sharing.collect::<Vec<_>>(), [id(one), id(other)]);
    }
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
