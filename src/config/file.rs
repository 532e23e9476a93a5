//! Turns the tree of one file into what it declares, and checks everything that concerns this file alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::keys;
use super::node::{self, Node, Value};
use super::problem::{Lines, Position, Problem, Report, quoted};
use super::reader::{Field, Reader};
use super::{LARGEST_FILE, Source};
use crate::model::{
    AccountId, DesiredGroup, Exclusion, GroupId, GroupName, Limits, Mode, Origin, Protected, Rules, Setting, Settings,
};

/// What one file declares.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub account_id: Option<Setting<AccountId>>,
    pub settings: Option<(Origin, Settings)>,
    pub rosters: Vec<DeclaredRoster>,
    pub groups: Vec<DeclaredGroup>,
    /// Whether a part could not be read that may declare more rosters or groups.
    pub unread: bool,
}

#[derive(Debug)]
pub(super) struct DeclaredRoster {
    pub name: Arc<str>,
    pub origin: Origin,
    pub entries: Vec<Entry>,
}

#[derive(Debug)]
pub(super) struct DeclaredGroup {
    pub name: GroupName,
    /// Complete but for the members.
    pub group: DesiredGroup,
    pub entries: Vec<Entry>,
}

/// Reads a file. Problems go to the report.
pub(super) fn read(source: &Source, report: &mut Report) -> Declared {
    let file: Arc<str> = source.path.as_str().into();
    let unread = Declared { unread: true, ..Declared::default() };
    let tree = match tree(&file, source) {
        Ok(tree) => tree,
        Err(problem) => {
            report.push(*problem);
            return unread;
        }
    };
    let at = tree.at;
    let mut reader = Reader { file, report };
    match tree.value {
        Value::Mapping(entries) => reader.declared(at, entries),
        Value::Null(_) => {
            let help = "write `version: 1` and the groups, or delete the file";
            reader.refuse(Position { line: 1, column: 1 }, "the file is empty", help);
            unread
        }
        _ => {
            let help = "start with `version: 1`, then `groups:` with the groups below it";
            reader.refuse(at, "the file is not a mapping", help);
            unread
        }
    }
}

fn tree<'s>(file: &Arc<str>, source: &'s Source) -> Result<Node<'s>, Box<Problem>> {
    let problem = |at, message: &str| Problem::new(Arc::clone(file), at, message);
    if source.bytes.len() > LARGEST_FILE {
        return Err(Box::new(too_large(Arc::clone(file))));
    }
    let text = str::from_utf8(&source.bytes).map_err(|error| {
        let good = source.bytes.get(..error.valid_up_to()).unwrap_or_default();
        Box::new(problem(Some(end_of(good)), "invalid UTF-8").help("save the file as UTF-8"))
    })?;
    node::parse(text).map_err(|error| Box::new(problem(error.at, &error.message).help(error.help)))
}

/// The problem of a file that is too large to be read.
pub(super) fn too_large(file: Arc<str>) -> Problem {
    let message = format!("the file is larger than {} MiB", LARGEST_FILE >> 20);
    Problem::new(file, None, message).help("split it into several files in one folder")
}

/// The position after a text.
fn end_of(text: &[u8]) -> Position {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let (line, last) = (1u32..).zip(Lines(Some(text))).last().unwrap_or((1, b""));
    let characters = String::from_utf8_lossy(last).chars().count();
    Position { line, column: u32::try_from(characters).unwrap_or(u32::MAX).saturating_add(1) }
}

impl Reader<'_> {
    fn declared(&mut self, at: Position, entries: Vec<(Node<'_>, Node<'_>)>) -> Declared {
        let [version, account_id, settings, rosters, groups] = self.fields("the file", entries, keys::FILE);
        match version {
            Some(version) => self.version(&version),
            None => self.refuse(at, "the file has no `version`", "add the line `version: 1` at the top"),
        }
        let mut declared = Declared {
            account_id: account_id.and_then(|field| {
                let id = self.id(&field)?;
                Some(self.setting(field.key, id))
            }),
            settings: settings.map(|field| (self.origin(field.key), self.settings(field))),
            ..Declared::default()
        };
        if let Some(field) = rosters {
            match self.mapping("`rosters`", field, "write the rosters below it, or `rosters: {}`") {
                Some(entries) => declared.rosters = self.rosters(entries),
                None => declared.unread = true,
            }
        }
        if let Some(field) = groups {
            match self.mapping("`groups`", field, "write the groups below it, or `groups: {}`") {
                Some(entries) => declared.groups = self.groups(entries),
                None => declared.unread = true,
            }
        }
        declared
    }

    fn settings(&mut self, field: Field<'_>) -> Settings {
        let mut settings = Settings::default();
        let Some(entries) = self.mapping("`settings`", field, "write the settings below it, or remove it") else {
            return settings;
        };
        let [limits, protected, unmanaged_groups] = self.fields("`settings`", entries, keys::SETTINGS);
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
        settings
    }

    fn limits(&mut self, field: Field<'_>) -> Limits {
        let mut limits = Limits::default();
        let Some(entries) = self.mapping("`limits`", field, "write the limits below it, or remove it") else {
            return limits;
        };
        let found = self.fields("`limits`", entries, keys::LIMITS);
        let settings = [&mut limits.group_removals, &mut limits.total_removals];
        for ((field, setting), key) in found.into_iter().zip(settings).zip(keys::LIMITS) {
            if let Some(field) = field
                && let Some(limit) = self.limit(key, &field)
            {
                *setting = self.setting(field.key, limit);
            }
        }
        limits
    }

    fn rosters(&mut self, entries: Vec<(Node<'_>, Node<'_>)>) -> Vec<DeclaredRoster> {
        let mut rosters = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = key.at;
            let Some(name) = self.key(key) else { continue };
            self.check_name("roster", at, &name);
            let what = format!("roster {}", quoted(&name));
            let help = "list its people below it, one per line: `- alice@example.com`; or write `[]`";
            let items = self.sequence(&what, Field { key: at, node }, help).unwrap_or_default();
            let entries = self.entries(&what, items);
            rosters.push(DeclaredRoster { name: name.as_ref().into(), origin: self.origin(at), entries });
        }
        rosters
    }

    fn groups(&mut self, entries: Vec<(Node<'_>, Node<'_>)>) -> Vec<DeclaredGroup> {
        let mut groups = Vec::with_capacity(entries.len());
        for (key, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = key.at;
            let Some(name) = self.key(key) else { continue };
            self.check_name("group", at, &name);
            groups.push(self.group(&name, Field { key: at, node }));
        }
        groups
    }

    fn group(&mut self, name: &str, field: Field<'_>) -> DeclaredGroup {
        let at = field.key;
        let what = format!("group {}", quoted(name));
        let help = "write `members:` below it, and list the people below that";
        let entries = self.mapping(&what, field, help);
        let is_mapping = entries.is_some();
        let [id, mode, members, min_members, allow_empty, group_removals, max_duration, require_reason, exclusive_with] =
            self.fields(&what, entries.unwrap_or_default(), keys::GROUP);
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

    /// Reads `exclusive_with`: names of other groups, each once. Whether they are declared is checked when all files
    /// are merged.
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
