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
