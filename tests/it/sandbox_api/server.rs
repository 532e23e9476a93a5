use std::net::{SocketAddr, TcpListener};

use super::*;

#[tokio::test]
async fn only_a_loopback_address_is_listened_on() {
    let everywhere = SocketAddr::from(([0, 0, 0, 0], 0));
    let refused = Sandbox::start(&Seed::default(), everywhere).await;
    assert!(matches!(refused, Err(SandboxError::NotLoopback(address)) if address == everywhere));
}

#[tokio::test]
async fn address_in_use_is_named_in_the_error() {
    let first = TcpListener::bind(Sandbox::ANY_PORT).unwrap();
    let address = first.local_addr().unwrap();
    let error = Sandbox::start(&Seed::default(), address).await.unwrap_err();
    assert!(error.to_string().contains(&address.to_string()), "{error}");
}

#[tokio::test]
async fn a_seed_that_contradicts_itself_is_an_error() {
    let twice = Seed::default().people(["a@example.com", "A@example.com"]);
    assert!(matches!(Sandbox::start(&twice, Sandbox::ANY_PORT).await, Err(SandboxError::Seed(_))));
}

#[tokio::test]
async fn request_log_has_all_requests() {
    let given = given(small()).await;
    let path = given.members("Admins", "");
    given.write(Method::POST, &path, &given.body(&["carol@example.com"])).await;
    let request = &given.account.requests()[0];
    assert_eq!((request.number, request.method.as_str(), request.operation), (1, "POST", Some(Endpoint::AddMembers)));
    assert_eq!(request.path, format!("/client/v4{path}"));
    assert_eq!(request.group, given.account.group_id("Admins"));
    assert_eq!(request.body_ids, [given.account.person_id("carol@example.com").unwrap()]);
    assert_eq!((request.status_sent, request.effect), (Some(200), true));
    given.account.clear_requests();
    assert!(given.account.requests().is_empty());
    given.get(&format!("{path}?page=2")).await;
    let request = &given.account.requests()[0];
    assert_eq!((request.number, request.query.as_deref()), (2, Some("page=2")));
}
