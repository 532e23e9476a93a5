//! A saved plan round-trips, and every edit of it is refused.

use convoke::plan::Plan;
use convoke::render::json;
use proptest::prelude::*;
use serde_json::Value;

use super::world::{Case, GroupCase, cases};
use convoke::model::Mode;

/// A plan with a bit of everything.
fn rich() -> Case {
    let group = |mode, desired: &[u8], present: &[u8], stranger| GroupCase {
        mode,
        desired: desired.iter().copied().collect(),
        present: present.iter().copied().collect(),
        stranger,
    };
    Case {
        groups: vec![
            group(Mode::Exact, &[1, 2], &[1, 3], false),
            group(Mode::Exact, &[1], &[2, 3, 4, 5], true),
            group(Mode::Observe, &[], &[6], false),
        ],
    }
}

fn saved(case: &Case) -> (Plan, String) {
    let document = case.plan();
    let mut text = Vec::new();
    json(&mut text, &document.sealed()).unwrap();
    (document, String::from_utf8(text).unwrap())
}

/// The plan in a text, if it is accepted.
fn accepted(text: &[u8]) -> Option<Plan> {
    Plan::parse(text).ok()
}

proptest! {
    #[test]
    fn saved_plan_round_trips(case in cases()) {
        let (document, text) = saved(&case);
        prop_assert_eq!(Plan::parse(text.as_bytes()).unwrap(), document);
    }

    #[test]
    fn a_plan_that_is_cut_short_is_refused(case in cases(), at in any::<prop::sample::Index>()) {
        let (_, text) = saved(&case);
        let cut = at.index(text.trim_end().len());
        prop_assert!(accepted(&text.as_bytes()[..cut]).is_none());
    }

    #[test]
    fn arbitrary_documents_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        prop_assert!(accepted(&bytes).is_none());
    }
}

#[test]
fn single_byte_edits_never_change_a_plan() {
    let (document, text) = saved(&rich());
    for (at, by) in (0..text.len()).zip(b"07a \"\xff".iter().cycle()) {
        let mut edited = text.clone().into_bytes();
        edited[at] = *by;
        // Replacing a blank with a blank, or capitalizing an id, changes nothing.
        if let Some(read) = accepted(&edited) {
            assert_eq!(read, document, "byte {at}: {}", String::from_utf8_lossy(&edited));
        }
    }
}

#[test]
fn single_field_edits_are_refused() {
    let (document, text) = saved(&rich());
    let whole: Value = serde_json::from_str(&text).unwrap();
    let mut tried = 0;
    for edited in edits(&whole) {
        tried += 1;
        let read = accepted(edited.to_string().as_bytes());
        // A missing field and null are the same for the reader, so nothing was edited.
        assert!(read.is_none_or(|read| read == document), "{edited:#}");
    }
    assert!(tried > 300, "only {tried} edits were tried");
}

#[test]
fn other_plan_version_is_named() {
    let (_, text) = saved(&rich());
    let error = Plan::parse(text.replace("\"format_version\": 1", "\"format_version\": 9").as_bytes()).unwrap_err();
    assert_eq!(error.to_string(), "it has format version 9, this version of convoke reads 1");
}

/// The value with one change, for every possible change.
fn edits(value: &Value) -> Vec<Value> {
    match value {
        Value::Null => vec![Value::from("accepted"), Value::from(1)],
        Value::Bool(is) => vec![Value::from(!is)],
        Value::Number(number) => vec![Value::from(number.as_u64().unwrap() + 1), Value::Null],
        Value::String(text) => vec![Value::from(format!("{text}0")), Value::from(text.replace(['a', 'e', '0'], "1"))]
            .into_iter()
            .filter(|edited| edited != value)
            .collect(),
        Value::Array(items) => {
            let mut all = Vec::new();
            for (at, item) in items.iter().enumerate() {
                let with = |by: &[Value]| Value::from([&items[..at], by, &items[at + 1..]].concat());
                all.extend(edits(item).into_iter().map(|edited| with(&[edited])));
                all.extend([with(&[]), with(&[item.clone(), item.clone()])]);
            }
            all
        }
        Value::Object(fields) => {
            let mut all =
                vec![Value::Object(fields.clone().into_iter().chain([("more".into(), Value::from(1))]).collect())];
            for (name, field) in fields {
                for edited in edits(field) {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), edited);
                    all.push(Value::Object(fields));
                }
                let mut fields = fields.clone();
                fields.remove(name);
                all.push(Value::Object(fields));
            }
            all
        }
    }
}
