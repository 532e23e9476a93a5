//! The settings in a file: their keys, how they are read, and their JSON Schema.

use serde_json::{Value, json};

use super::reader::{Field, Reader};
use crate::model::{Limits, Protected, Settings};

/// The keys of the settings, in the order in which the reader takes them apart.
pub(super) const KEYS: [&str; 4] = ["limits", "protected", "unmanaged_groups", "direct_access"];
pub(super) const LIMITS: [&str; 2] = ["group_removals", "total_removals"];

impl Reader<'_> {
    pub(super) fn settings(&mut self, field: Field<'_>) -> Settings {
        let mut settings = Settings::default();
        let Some(entries) = self.mapping("`settings`", field, "write the settings below it, or remove it") else {
            return settings;
        };
        let [limits, protected, unmanaged_groups, direct_access] = self.fields("`settings`", entries, KEYS);
        if let Some(field) = limits {
            settings.limits = self.limits(field);
        }
        if let Some(field) = protected {
            let people = self.sequence("`protected`", field, "write `protected: []` for nobody").unwrap_or_default();
            let people = self.protected(people);
            let origin = |at| self.origin(at);
            settings.protected =
                people.into_iter().map(|(person, at)| Protected { person, origin: origin(at) }).collect();
        }
        if let Some(field) = unmanaged_groups
            && let Some(unmanaged) = self.unmanaged_groups(&field)
        {
            settings.unmanaged_groups = self.setting(field.key, unmanaged);
        }
        if let Some(field) = direct_access {
            settings.reports_direct_access = self.direct_access(&field).unwrap_or_default();
        }
        settings
    }

    fn limits(&mut self, field: Field<'_>) -> Limits {
        let mut limits = Limits::default();
        let Some(entries) = self.mapping("`limits`", field, "write the limits below it, or remove it") else {
            return limits;
        };
        let found = self.fields("`limits`", entries, LIMITS);
        let settings = [&mut limits.group_removals, &mut limits.total_removals];
        for ((field, setting), key) in found.into_iter().zip(settings).zip(LIMITS) {
            if let Some(field) = field
                && let Some(limit) = self.limit(key, &field)
            {
                *setting = self.setting(field.key, limit);
            }
        }
        limits
    }
}

/// The JSON Schema of the settings.
pub(super) fn schema() -> Value {
    json!({
        "description": "The settings for every plan. Only one file may have them.",
        "type": "object",
        "properties": {
            "limits": {
                "description": "How many people one plan may remove before it is refused.",
                "type": "object",
                "properties": {
                    "group_removals": { "description": "The maximum number of removals from one \
                        group: a number, or a percentage of its present members, rounded down. A percentage other than \
                        0% always allows one removal.", "default": "25%", "$ref": "#/$defs/limit" },
                    "total_removals": { "description": "The maximum number of removals in total: a \
                        number, or a percentage of all present memberships of the groups in the plan. A percentage other \
                        than 0% always allows five removals.", "default": "10%", "$ref": "#/$defs/limit" }
                },
                "additionalProperties": false
            },
            "protected": {
                "description": "People who are never removed from any group, by email or member id.",
                "type": "array",
                "items": {
                    "anyOf": [
                        { "$ref": "#/$defs/email" },
                        { "$ref": "#/$defs/id" },
                        {
                            "type": "object",
                            "properties": { "email": { "$ref": "#/$defs/email" } },
                            "required": ["email"],
                            "additionalProperties": false
                        },
                        {
                            "type": "object",
                            "properties": { "id": { "$ref": "#/$defs/id" } },
                            "required": ["id"],
                            "additionalProperties": false
                        }
                    ]
                },
                "default": []
            },
            "unmanaged_groups": {
                "description": "What a plan does about groups of the account that no file declares.",
                "default": "ignore",
                "oneOf": [
                    { "const": "ignore", "description": "Nothing." },
                    { "const": "report", "description": "The plan lists them." },
                    { "const": "refuse", "description": "The plan lists them and is refused." }
                ]
            },
            "direct_access": {
                "description": "What `drift` does about roles and policies that people have beside their groups.",
                "default": "ignore",
                "oneOf": [
                    { "const": "ignore", "description": "Nothing." },
                    { "const": "report", "description": "It reports them, protected people aside. This costs one \
                        request for each 50 members of the account." }
                ]
            }
        },
        "additionalProperties": false
    })
}
