//! The JSON Schema of the files, for editors: what the reader takes, as far as a schema can say it.
//!
//! The types here have the shape of the files and nothing else. The reader does not use them, because it goes on
//! after a mistake; tests hold the two together.

use std::borrow::Cow;
use std::collections::BTreeMap;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::model::{Email, Mode};

/// The JSON Schema of the files.
#[must_use]
pub fn schema() -> Schema {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<File>()
}

/// Who belongs to each user group of a Cloudflare account. Rosters and groups of several files are merged.
#[derive(JsonSchema)]
#[schemars(title = "convoke configuration", deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct File {
    /// The version of the file format.
    #[schemars(extend("const" = 1))]
    version: u32,
    /// The account that the groups are in. CLOUDFLARE_ACCOUNT_ID or --account-id can name it instead; two that
    /// differ are an error.
    #[schemars(default)]
    account_id: Id,
    /// What governs a plan as a whole. Only one file may have it.
    #[schemars(default)]
    settings: Settings,
    /// Reusable lists of people, by name. They may use each other, but not in a circle.
    #[schemars(default, extend("propertyNames" = { "pattern": NAME }))]
    #[schemars(extend("examples" = [{ "sre": ["alice@example.com", "bob@example.com"] }]))]
    rosters: BTreeMap<String, Vec<Entry>>,
    /// The groups by name. A name is declared once over all files.
    #[schemars(default, extend("propertyNames" = { "pattern": NAME }))]
    #[schemars(extend("examples" = [{ "Platform Admins": { "members": ["alice@example.com", { "roster": "sre" }] } }]))]
    groups: BTreeMap<String, Group>,
}

/// Names neither begin nor end with a blank.
const NAME: &str = r"^\S([^\u0000-\u001f\u007f]*\S)?$";

#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Settings {
    /// How much one plan may remove before it is refused.
    #[schemars(default)]
    limits: Limits,
    /// Emails or ids of people who are never removed from any group.
    #[schemars(default, extend("default" = []))]
    protected: Vec<Protected>,
    /// What becomes of groups of the account that no file declares.
    #[schemars(default, extend("default" = "ignore"))]
    unmanaged_groups: Unmanaged,
}

#[derive(Default, JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Limits {
    /// The most removals from one group: a number, or a percentage of its present members.
    #[schemars(default, extend("default" = "25%"))]
    group_removals: Limit,
    /// The most removals in all: a number, or a percentage of all present memberships of the groups in the plan.
    #[schemars(default, extend("default" = "10%"))]
    total_removals: Limit,
}

#[derive(Default, JsonSchema)]
#[schemars(rename_all = "lowercase")]
#[expect(dead_code, reason = "only its schema is used")]
enum Unmanaged {
    /// Nothing is said of them.
    #[default]
    Ignore,
    /// They are listed.
    Report,
    /// They are listed, and the plan is refused.
    Refuse,
}

#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
enum Protected {
    /// An email address.
    BareEmail(Email),
    /// The id of an account member.
    BareId(Id),
    /// A person by email address.
    Email { email: Email },
    /// A person by the id of the account member.
    Id { id: Id },
}

#[derive(JsonSchema)]
#[schemars(deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
struct Group {
    /// The id of the group. With it, a changed name is reported.
    #[schemars(default)]
    id: Id,
    /// What the list of members means.
    #[schemars(default)]
    mode: Mode,
    /// Who belongs to the group.
    members: Vec<Entry>,
    /// A plan that would leave fewer members is refused.
    #[schemars(default)]
    min_members: u64,
    /// Whether the group may become empty.
    #[schemars(default)]
    allow_empty: bool,
    /// Overrides the limit of the settings for this group.
    #[schemars(default)]
    group_removals: Limit,
}

#[derive(JsonSchema)]
#[schemars(untagged, deny_unknown_fields)]
#[expect(dead_code, reason = "only its schema is used")]
enum Entry {
    /// A person by email address.
    Bare(Email),
    /// A person by email address, perhaps for some time.
    Email {
        /// The address; upper and lower case are the same.
        email: Email,
        #[schemars(flatten)]
        terms: Terms,
    },
    /// A person by the id of the account member, perhaps for some time.
    Id {
        /// The account member's id.
        id: Id,
        #[schemars(flatten)]
        terms: Terms,
    },
    /// All whom a roster lists.
    Roster {
        /// The roster's name.
        roster: String,
    },
}

#[derive(JsonSchema)]
#[expect(dead_code, reason = "only its schema is used")]
struct Terms {
    /// From when the person belongs: the start of a day (UTC), or an instant.
    #[schemars(default)]
    from: Time,
    /// Until when the person belongs: the end of a day (UTC), or an instant.
    #[schemars(default)]
    until: Time,
    /// Why, for whoever reads the plan.
    #[schemars(default, extend("examples" = ["INC-4821 cover"]))]
    reason: Reason,
}

/// Types of which only the schema matters.
macro_rules! scalar {
    ($(#[$doc:meta])* $name:ident: $schema:tt) => {
        $(#[$doc])*
        #[derive(Default)]
        struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    };
}

scalar!(
    /// An id of the API.
    Id: { "description": "An id of the API.", "type": "string", "pattern": "^[0-9A-Fa-f]{32}$" }
);
scalar!(
    /// A number of removals, or a share of what is there.
    Limit: {
        "anyOf": [
            { "type": "integer", "minimum": 0 },
            { "type": "string", "pattern": r"^(100(\.0{1,2})?|[0-9]{1,2}(\.[0-9]{1,2})?)%$" }
        ],
        "description": "A number of removals, or a percentage.",
        "examples": [5, "25%"]
    }
);
scalar!(
    /// A day or an instant.
    Time: {
        "description": "A day in UTC, or an RFC 3339 instant.",
        "type": "string",
        "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]+)?([Zz]|[+-][0-9]{2}:[0-9]{2}))?$",
        "examples": ["2026-12-31", "2026-12-31T18:00:00Z"]
    }
);
scalar!(
    /// Some words.
    Reason: { "type": "string", "pattern": r"\S" }
);

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::config::{Source, keys, parse};

    fn validator() -> jsonschema::Validator {
        jsonschema::validator_for(schema().as_value()).unwrap()
    }

    /// Whether the schema takes a file, and whether the reader does.
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
    fn the_schema_takes_what_the_reader_takes() {
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
            entry(&json!({ "id": "4g5f0c14a2a41d5063dd301b2f829f04" })),
        ] {
            assert_eq!(verdicts(&validator, &file), (false, false), "{file}");
        }
    }

    #[test]
    fn the_schema_names_the_keys_that_the_reader_knows() {
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
        assert_eq!(keys_of(&schema), sorted(&keys::FILE));
        assert_eq!(keys_of(&defs["Settings"]), sorted(&keys::SETTINGS));
        assert_eq!(keys_of(&defs["Limits"]), sorted(&keys::LIMITS));
        assert_eq!(keys_of(&defs["Group"]), sorted(&keys::GROUP));
        let of_any = |value: &Value| -> std::collections::BTreeSet<String> {
            let variants = value["anyOf"].as_array().unwrap().iter();
            variants.filter(|variant| variant["properties"].is_object()).flat_map(keys_of).collect()
        };
        assert!(of_any(&defs["Entry"]).iter().eq(sorted(&keys::ENTRY)), "{defs:#}");
        assert!(of_any(&defs["Protected"]).iter().eq(sorted(&keys::PROTECTED)), "{defs:#}");
    }
}
