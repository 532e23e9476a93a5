//! The schema accepts what the reader accepts.

use serde_json::{Value, json};

use crate::config::{SCHEMA, Source, entry, file, parse};

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn validator() -> jsonschema::Validator {
    jsonschema::validator_for(&schema()).unwrap()
}

/// Whether the schema accepts a file, and whether the reader accepts it.
fn verdicts(validator: &jsonschema::Validator, file: &Value) -> (bool, bool) {
    // JSON is YAML.
    let source = Source { path: "a.yaml".into(), bytes: file.to_string().into_bytes() };
    (validator.is_valid(file), parse(&[source]).is_ok())
}

fn group(group: &Value) -> Value {
    json!({ "version": 1, "groups": { "A": group } })
}

fn entry(entry: &Value) -> Value {
    json!({ "version": 1, "rosters": { "r": [] }, "groups": { "A": { "members": [entry] } } })
}

#[test]
fn the_schema_accepts_what_the_reader_accepts() {
    let id = "4f5f0c14a2a41d5063dd301b2f829f04";
    let validator = validator();
    for file in [
        json!({ "version": 1 }),
        json!({ "version": 1, "account_id": id, "settings": {}, "rosters": {}, "groups": {} }),
        json!({ "version": 1, "settings": { "limits": { "group_removals": "2.5%", "total_removals": 3 } } }),
        json!({ "version": 1, "settings": { "protected": ["a@b.c", id, { "email": "d@b.c" }] } }),
        json!({ "version": 1, "settings": { "unmanaged_groups": "refuse" } }),
        group(&json!({ "id": id, "mode": "observe", "members": [], "min_members": 0 })),
        group(&json!({ "members": [], "allow_empty": true, "group_removals": "100%" })),
        entry(&json!("a@b.c")),
        entry(&json!({ "email": "a@b.c", "from": "2026-01-01", "until": "2026-01-01T00:00:01.5+00:00" })),
        entry(&json!({ "id": id, "reason": "cover" })),
        entry(&json!({ "roster": "r" })),
        entry(&json!({ "roster": "r", "reason": "cover", "from": "2026-01-01", "until": "2026-02-01" })),
        entry(&json!("o'hara+x_y@sub-1.b\u{fc}cher.example")),
        group(&json!({ "members": [], "max_duration": "8h", "require_reason": true, "exclusive_with": [] })),
        json!({ "version": 1, "settings": { "email_domains": ["example.com", "b\u{fc}cher.example"] } }),
        group(&json!({ "members": [], "email_domains": [], "description": "all", "owners": ["a@b.c"] })),
        json!({ "version": 1, "groups": {
            "A": { "members": [], "exclusive_with": ["B"], "max_duration": "90d" }, "B": { "members": [] }
        } }),
    ] {
        assert_eq!(verdicts(&validator, &file), (true, true), "{file}");
    }
}

#[test]
fn the_schema_refuses_what_the_reader_refuses() {
    let validator = validator();
    for file in [
        json!({}),
        json!({ "version": 2 }),
        json!({ "version": "1" }),
        json!({ "version": 1, "x": 1 }),
        json!({ "version": 1, "account_id": "4f5f" }),
        json!({ "version": 1, "settings": null }),
        json!({ "version": 1, "settings": { "x": 1 } }),
        json!({ "version": 1, "settings": { "limits": { "total_removals": 0.25 } } }),
        json!({ "version": 1, "settings": { "limits": { "total_removals": "101%" } } }),
        json!({ "version": 1, "settings": { "limits": { "total_removals": "25 %" } } }),
        json!({ "version": 1, "settings": { "protected": ["alice"] } }),
        json!({ "version": 1, "settings": { "unmanaged_groups": "x" } }),
        json!({ "version": 1, "groups": { "A ": { "members": [] } } }),
        json!({ "version": 1, "groups": { "": { "members": [] } } }),
        group(&json!({})),
        group(&json!({ "members": null })),
        group(&json!({ "members": [], "min_members": -1 })),
        group(&json!({ "members": [], "mode": "x" })),
        group(&json!({ "members": [], "allow_empty": "true" })),
        entry(&json!("alice")),
        entry(&json!({})),
        entry(&json!({ "email": "a@b.c", "roster": "r" })),
        entry(&json!({ "email": "a@b.c", "until": "tomorrow" })),
        entry(&json!({ "email": "a@b.c", "reason": " " })),
        entry(&json!("alice@example,com")),
        entry(&json!("alice,bob@example.com")),
        entry(&json!("alice@example..com")),
        entry(&json!("alice@[1.2.3.4]")),
        group(&json!({ "members": [], "max_duration": 90 })),
        group(&json!({ "members": [], "max_duration": "0d" })),
        group(&json!({ "members": [], "max_duration": "3 months" })),
        group(&json!({ "members": [], "require_reason": "yes" })),
        group(&json!({ "members": [], "exclusive_with": "B" })),
        group(&json!({ "members": [], "exclusive_with": ["B", "B"] })),
        group(&json!({ "members": [], "email_domains": ["@example.com"] })),
        group(&json!({ "members": [], "owners": "a@b.c" })),
        group(&json!({ "members": [], "owners": ["a@b.c", "a@b.c"] })),
        group(&json!({ "members": [], "description": ["a"] })),
        entry(&json!({ "id": "4g5f0c14a2a41d5063dd301b2f829f04" })),
    ] {
        assert_eq!(verdicts(&validator, &file), (false, false), "{file}");
    }
}

#[test]
fn schema_has_the_keys_of_the_reader() {
    let schema = schema();
    let keys_of = |value: &Value| {
        let mut keys: Vec<String> = value["properties"].as_object().unwrap().keys().cloned().collect();
        keys.sort();
        keys
    };
    let sorted = |keys: &[&'static str]| {
        let mut keys = keys.to_vec();
        keys.sort_unstable();
        keys
    };
    let defs = &schema["$defs"];
    assert_eq!(keys_of(&schema), sorted(&file::KEYS));
    assert_eq!(keys_of(&defs["settings"]), sorted(&file::SETTINGS));
    assert_eq!(keys_of(&defs["settings"]["properties"]["limits"]), sorted(&file::LIMITS));
    assert_eq!(keys_of(&defs["group"]), sorted(&file::GROUP));
    let of_any = |value: &Value| -> std::collections::BTreeSet<String> {
        let variants = value["anyOf"].as_array().unwrap().iter();
        variants.filter(|variant| variant["properties"].is_object()).flat_map(keys_of).collect()
    };
    assert!(of_any(&defs["entry"]).iter().eq(sorted(&entry::KEYS)), "{defs:#}");
    assert!(
        of_any(&defs["settings"]["properties"]["protected"]["items"]).iter().eq(sorted(&entry::PROTECTED)),
        "{defs:#}"
    );
}
