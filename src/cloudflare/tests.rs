//! For any answer, the client returns a value or an error.

use std::fmt::Display;

use proptest::prelude::*;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use tokio::time::Instant;

use super::answer::{ListPage, RawAnswer};
use super::answer::{classify, shown};
use super::call::{Answered, Call};
use super::config::Credentials;
use super::http::HttpAnswer;
use super::listing::Pages;
use super::retry::Retry;
use super::wire::{AccountMember, AuditEntry, Group, GroupMember, User};

const TOKEN: &str = "hunter2hunter2hunter2";
const ID: &str = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";

/// Texts that have a meaning for the client, and other texts.
fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(ID.to_owned()),
        Just("accepted".to_owned()),
        Just("a@example.com".to_owned()),
        Just("2026-08-01T10:00:00Z".to_owned()),
        any::<String>(),
    ]
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    let key = prop_oneof![
        Just("id"),
        Just("name"),
        Just("email"),
        Just("status"),
        Just("user"),
        Just("created_at"),
        Just("code"),
        Just("message"),
        Just("total_count"),
        Just("per_page"),
        Just("total_pages"),
        Just("policies"),
        Just("permission_groups"),
        Just("title"),
        Just("detail"),
        Just("actor"),
        Just("result"),
        Just("result_info"),
        Just("errors"),
        Just("success"),
    ];
    leaf.prop_recursive(4, 48, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|pairs| pairs.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
        ]
    })
}

fn classify_list<I: Ord + Copy + Display, T: DeserializeOwned>(status: u16, body: &[u8], id_of: fn(&T) -> I) {
    let (call, credentials) = (Call::sample(Retry::Read), Credentials::Token(TOKEN.into()));
    let now = Instant::now();
    let answer = || HttpAnswer {
        status,
        ray: None,
        date: None,
        allowances: Vec::new(),
        retry_after: None,
        body: Ok(body.to_vec()),
    };
    if let Ok(Answered { result: page, .. }) = classify::<ListPage<T>>(&call, &credentials, now, Ok(answer())) {
        let mut pages = Pages::new(id_of);
        let _fits_or_not = pages.add(1, 500, page).and_then(|()| pages.finish());
    }
    if let Ok(Answered { result: page, .. }) = classify::<ListPage<AuditEntry>>(&call, &credentials, now, Ok(answer()))
    {
        page.cursor();
    }
    if let Err(failure) = classify::<RawAnswer<User>>(&call, &credentials, now, Ok(answer())) {
        let texts = failure.messages.into_iter().map(|message| message.message).chain(failure.detail);
        for text in texts {
            assert!(text.chars().all(|character| !character.is_control()), "{text:?}");
            assert!(text.chars().count() < 5000);
        }
    }
    if let Ok(Answered { result: written, .. }) = classify::<RawAnswer>(&call, &credentials, now, Ok(answer())) {
        written.members();
    }
}

fn classify_all(status: u16, body: &[u8]) {
    classify_list(status, body, |group: &Group| group.id);
    classify_list(status, body, |member: &GroupMember| member.id);
    classify_list(status, body, |member: &AccountMember| member.id);
}

proptest! {
    #[test]
    fn arbitrary_json_never_causes_a_panic(status in 100_u16..600, value in value()) {
        classify_all(status, value.to_string().as_bytes());
    }

    #[test]
    fn arbitrary_results_never_cause_a_panic(result in value(), info in value(), errors in value(), success: bool) {
        let body = json!({ "success": success, "errors": errors, "result": result, "result_info": info });
        classify_all(200, body.to_string().as_bytes());
    }

    #[test]
    fn arbitrary_bytes_never_cause_a_panic(status in 100_u16..600, body in proptest::collection::vec(any::<u8>(), 0..4096)) {
        classify_all(status, &body);
    }

    #[test]
    fn texts_are_shown_on_one_line(text: String, most in 0_usize..50) {
        prop_assert!(shown(&text, most).chars().all(|character| !character.is_control()));
    }
}
