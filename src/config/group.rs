//! A group in a file: its keys, how they are read, and their JSON Schema.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::entry::Entry;
use super::problem::{Position, quoted};
use super::reader::{Field, Reader};
use crate::model::{DesiredGroup, Exclusion, GroupId, GroupName, Mode, Rules, Setting};

/// The keys of a group, in the order in which the reader takes it apart.
pub(super) const KEYS: [&str; 10] = [
    "id",
    "mode",
    "members",
    "min_members",
    "allow_empty",
    "group_removals",
    "max_duration",
    "require_reason",
    "exclusive_with",
    "permissions",
];

#[derive(Debug)]
pub(super) struct DeclaredGroup {
    pub name: GroupName,
    /// Complete except for the members.
    pub group: DesiredGroup,
    pub entries: Vec<Entry>,
}

impl Reader<'_> {
    pub(super) fn group(&mut self, name: &str, field: Field<'_>) -> DeclaredGroup {
        let at = field.key;
        let what = format!("group {}", quoted(name));
        let help = "write `members:` below it, and list the people below that";
        let entries = self.mapping(&what, field, help);
        let is_mapping = entries.is_some();
        let [
            id,
            mode,
            members,
            min_members,
            allow_empty,
            group_removals,
            max_duration,
            require_reason,
            exclusive_with,
            permissions,
        ] = self.fields(&what, entries.unwrap_or_default(), KEYS);
        let members_at = members.as_ref().map_or(at, |field| field.key);
        let pin = id.and_then(|field| {
            let id: GroupId = self.id(&field)?;
            Some(self.setting(field.key, id))
        });
        let mode = mode.and_then(|field| self.mode(&field)).unwrap_or(Mode::Exact);
        let entries = match members {
            Some(field) => {
                let help = "list the people below it, one per line, or write `members: []`";
                let items = self.sequence("`members`", field, help).unwrap_or_default();
                self.entries(&what, items)
            }
            None => {
                if is_mapping {
                    self.refuse(
                        at,
                        format!("{what} has no `members`"),
                        "add `members: []` if the group has no members",
                    );
                }
                Vec::new()
            }
        };
        let group = DesiredGroup {
            origin: self.origin(at),
            pin,
            mode,
            members_origin: self.origin(members_at),
            members: Vec::new(),
            roster_entries: Vec::new(),
            min_members: min_members.and_then(|field| {
                let least = self.whole_number("min_members", &field)?;
                Some(self.setting(field.key, least))
            }),
            allow_empty: allow_empty
                .and_then(|field| {
                    let allowed = self.boolean("allow_empty", &field)?;
                    Some(self.setting(field.key, allowed))
                })
                .unwrap_or(Setting::preset(false)),
            group_removals: group_removals.and_then(|field| {
                let limit = self.limit("group_removals", &field)?;
                Some(self.setting(field.key, limit))
            }),
            rules: self.rules(name, [max_duration, require_reason, exclusive_with]),
            permissions: permissions.map(|field| self.permissions(field)),
        };
        DeclaredGroup { name: name.into(), group, entries }
    }

    fn rules(&mut self, name: &str, [max_duration, require_reason, exclusive_with]: [Option<Field<'_>>; 3]) -> Rules {
        Rules {
            max_duration: max_duration.and_then(|field| {
                let longest = self.period("max_duration", &field)?;
                Some(self.setting(field.key, longest))
            }),
            require_reason: require_reason.and_then(|field| {
                let required = self.boolean("require_reason", &field)?;
                required.then(|| self.origin(field.key))
            }),
            exclusive_with: exclusive_with.map(|field| self.exclusions(name, field)).unwrap_or_default(),
        }
    }

    fn permissions(&mut self, field: Field<'_>) -> Setting<Vec<String>> {
        let key = field.key;
        let help = "list what membership gives: `permissions: [Workers Admin, DNS on example.com]`";
        let mut permissions: Vec<String> = Vec::new();
        for node in self.sequence("`permissions`", field, help).unwrap_or_default() {
            let (at, item) = (node.at, Field { key, node });
            let Some(permission) = self.text("a permission", &item, help).map(str::to_owned) else { continue };
            if permissions.contains(&permission) {
                let message = format!("{} is listed twice in `permissions`", quoted(&permission));
                self.refuse(at, message, "remove one of the two");
            } else {
                permissions.push(permission);
            }
        }
        self.setting(key, permissions)
    }

    /// Reads `exclusive_with`: names of other groups, each once. The merge of all files checks whether they are
    /// declared.
    fn exclusions(&mut self, name: &str, field: Field<'_>) -> Vec<Exclusion> {
        let key = field.key;
        let help = "list the names of other groups: `exclusive_with: [Payments Approvers]`";
        let mut exclusions: Vec<Exclusion> = Vec::new();
        let mut seen: BTreeMap<String, Position> = BTreeMap::new();
        for node in self.sequence("`exclusive_with`", field, help).unwrap_or_default() {
            if self.report.is_full() {
                break;
            }
            let at = node.at;
            let item = Field { key, node };
            let Some(other) = self.text("a group in `exclusive_with`", &item, help) else { continue };
            if other == name {
                self.refuse(at, "a group cannot be exclusive with itself", "remove it from the list");
            } else if let Some(first) = seen.get(other).copied() {
                let message = format!("group {} is listed twice in `exclusive_with`", quoted(other));
                self.refuse_again(at, message, first, "it is first listed here");
            } else {
                seen.insert(other.to_owned(), at);
                exclusions.push(Exclusion { group: other.into(), origin: self.origin(at) });
            }
        }
        exclusions
    }
}

/// The JSON Schema of a group.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "properties": {
            "id": { "description": "The id of the group. With it, convoke finds the group by its id, and refuses the plan \
                if the account has another name for it.", "$ref": "#/$defs/id" },
            "mode": {
                "description": "What the list of members means.",
                "default": "exact",
                "oneOf": [
                    { "const": "exact", "description": "The list is complete: missing people are added, and \
                        everybody else is removed." },
                    { "const": "additive", "description": "Missing people are added. Only people whose `until` has \
                        passed are removed." },
                    { "const": "observe", "description": "The difference is reported, and nothing is written. For groups \
                        that SCIM synchronizes." }
                ]
            },
            "members": {
                "description": "The people of the group, and rosters.",
                "type": "array",
                "items": { "$ref": "#/$defs/entry" }
            },
            "min_members": {
                "description": "A plan that would leave fewer members is refused.",
                "type": "integer",
                "minimum": 0,
                "maximum": u64::MAX
            },
            "allow_empty": {
                "description": "Whether the group may become empty. Otherwise a plan that empties it is refused.",
                "type": "boolean",
                "default": false
            },
            "group_removals": { "description": "Replaces the limit of the settings for this group.", "$ref": "#/$defs/limit" },
            "max_duration": {
                "description": "For temporary access: every entry, also through rosters, must have an `until` at most \
                    this long after its `from`, or after now. If `until` is a date, the day itself does not count. Units: h, d, w.",
                "type": "string",
                "pattern": "^[1-9][0-9]*[hdw]$",
                "examples": ["8h", "90d"]
            },
            "require_reason": {
                "description": "For access that has to be justified: every entry of this list must have a `reason`, \
                    `- roster:` entries included.",
                "type": "boolean",
                "default": false
            },
            "exclusive_with": {
                "description": "For separation of duties: nobody may belong to this group and to one of these groups at \
                    the same time. Naming it in one of the two groups is enough.",
                "type": "array",
                "items": { "$ref": "#/$defs/name" },
                "uniqueItems": true,
                "examples": [["Payments Approvers"]]
            },
            "permissions": {
                "description": "What membership gives: names of permission groups, each alone for the whole account, or \
                    `NAME on RESOURCE`. If the account shows others, nobody joins the group, and drift reports it.",
                "type": "array",
                "items": { "type": "string", "minLength": 1 },
                "uniqueItems": true,
                "examples": [["Workers Admin", "DNS on example.com"]]
            }
        },
        "required": ["members"],
        "additionalProperties": false
    })
}
