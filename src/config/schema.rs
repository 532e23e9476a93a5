//! The JSON Schema of the files, for editors. It describes what the reader accepts, as far as a schema can.
//!
//! The schema is written by hand, because the reader has no types for the files' shape: it continues after a mistake.
//! Tests compare the two.

use schemars::{Schema, json_schema};
use serde_json::{Value, json};

use super::{group, settings};

/// The JSON Schema of the files.
#[must_use]
pub fn schema() -> Schema {
    json_schema!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "convoke configuration",
        "description": "Who belongs to each user group of a Cloudflare account. The files of a folder are merged.",
        "type": "object",
        "properties": {
            "version": { "description": "The version of the file format.", "const": 1 },
            "account_id": described("id", "The account that the groups are in. CLOUDFLARE_ACCOUNT_ID or --account-id \
                can name it instead; two that differ are an error."),
            "settings": { "$ref": "#/$defs/settings" },
            "rosters": {
                "description": "Reusable lists of people, by name. Rosters may use other rosters, but not in a cycle.",
                "type": "object",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "type": "array", "items": { "$ref": "#/$defs/entry" } },
                "examples": [{ "sre": ["alice@example.com", "bob@example.com"] }]
            },
            "groups": {
                "description": "The groups by name. Each name is declared once in all files.",
                "type": "object",
                "propertyNames": { "$ref": "#/$defs/name" },
                "additionalProperties": { "$ref": "#/$defs/group" },
                "examples": [{ "Platform Admins": { "members": ["alice@example.com", { "roster": "sre" }] } }]
            }
        },
        "required": ["version"],
        "additionalProperties": false,
        "$defs": {
            "name": { "type": "string", "pattern": r"^\S([^\u0000-\u001f\u007f]*\S)?$" },
            "id": { "type": "string", "pattern": "^[0-9A-Fa-f]{32}$" },
            "email": {
                "type": "string",
                "pattern": r#"^[^\s@"(),:;<>\[\\\]]+@[^\s@!-,/:-@\[-^`{-~.]+(\.[^\s@!-,/:-@\[-^`{-~.]+)*$"#,
                "maxLength": 90
            },
            "settings": settings::schema(),
            "limit": {
                "anyOf": [
                    { "type": "integer", "minimum": 0 },
                    { "type": "string", "pattern": r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)%$" }
                ],
                "examples": [5, "25%"]
            },
            "group": group::schema(),
            "entry": entry(),
            "time": {
                "type": "string",
                "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
                "examples": ["2026-12-31", "2026-12-31T18:00:00Z"]
            },
            "reason": {
                "description": "Why the person belongs to the group: a few words or a ticket. Plans and reviews show it.",
                "type": "string",
                "pattern": r"\S",
                "examples": ["INC-4821 cover"]
            }
        }
    })
}

/// A reference to a definition, with another description.
fn described(definition: &str, description: &str) -> Value {
    json!({ "description": description, "$ref": format!("#/$defs/{definition}") })
}

fn entry() -> Value {
    let person = |key: &str, person: Value| {
        json!({
            "type": "object",
            "properties": {
                key: person,
                "from": described("time", "When the person's access begins: the start of a day (UTC), or an instant."),
                "until": described("time", "When the person's access ends: the end of a day (UTC), or an instant."),
                "reason": { "$ref": "#/$defs/reason" }
            },
            "required": [key],
            "additionalProperties": false
        })
    };
    json!({
        "anyOf": [
            described("email", "A person, by email address."),
            person("email", described("email", "The address. Upper and lower case are the same.")),
            person("id", described("id", "The id of the account member.")),
            {
                "description": "Everybody whom a roster lists.",
                "type": "object",
                "properties": {
                    "roster": { "description": "The name of the roster.", "type": "string" },
                    "reason": { "$ref": "#/$defs/reason" }
                },
                "required": ["roster"],
                "additionalProperties": false
            }
        ]
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Source, entry, file, parse};

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(schema().as_value()).unwrap()
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
            entry(&json!({ "roster": "r", "reason": "cover" })),
            entry(&json!("o'hara+x_y@sub-1.b\u{fc}cher.example")),
            group(&json!({ "members": [], "max_duration": "8h", "require_reason": true, "exclusive_with": [] })),
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
            entry(&json!({ "roster": "r", "until": "2026-01-01" })),
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
            entry(&json!({ "id": "4g5f0c14a2a41d5063dd301b2f829f04" })),
        ] {
            assert_eq!(verdicts(&validator, &file), (false, false), "{file}");
        }
    }

    #[test]
    fn schema_has_the_keys_of_the_reader() {
        let schema = schema().to_value();
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
        assert_eq!(keys_of(&defs["settings"]), sorted(&settings::KEYS));
        assert_eq!(keys_of(&defs["settings"]["properties"]["limits"]), sorted(&settings::LIMITS));
        assert_eq!(keys_of(&defs["group"]), sorted(&group::KEYS));
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
}
