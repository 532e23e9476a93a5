//! Reads one file: its tree becomes what it declares, with everything checked that can be checked in one file.

use std::sync::Arc;

use super::entry::Entry;
use super::keys;
use super::node::{self, Node, Value};
use super::problem::{Lines, Position, Problem, Report, quoted};
use super::reader::{Field, Reader};
use super::{LARGEST_FILE, Source};
use crate::model::{AccountId, DesiredGroup, GroupId, GroupName, Limits, Mode, Origin, Protected, Setting, Settings};

/// What one file declares.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub account_id: Option<Setting<AccountId>>,
    pub settings: Option<(Origin, Settings)>,
    pub rosters: Vec<DeclaredRoster>,
    pub groups: Vec<DeclaredGroup>,
    /// Whether something could not be read that may declare more rosters.
    pub unread_rosters: bool,
}

/// A roster as its file declares it.
#[derive(Debug)]
pub(super) struct DeclaredRoster {
    pub name: Arc<str>,
    pub origin: Origin,
    pub entries: Vec<Entry>,
}

/// A group as its file declares it.
#[derive(Debug)]
pub(super) struct DeclaredGroup {
    pub name: GroupName,
    /// All but the members.
    pub group: DesiredGroup,
    pub entries: Vec<Entry>,
}

/// Reads a file. What is wrong goes to the report.
pub(super) fn read(source: &Source, report: &mut Report) -> Declared {
    let file: Arc<str> = source.path.as_str().into();
    let unread = Declared { unread_rosters: true, ..Declared::default() };
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
            let help = "write `version: 1` and the groups, or take the file away";
            reader.refuse(Position { line: 1, column: 1 }, "the file declares nothing", help);
            unread
        }
        _ => {
            let help = "begin with `version: 1`, then `groups:` with the groups below it";
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
        Box::new(problem(Some(end_of(good)), "this byte is not UTF-8").help("save the file as UTF-8"))
    })?;
    node::parse(text).map_err(|error| Box::new(problem(error.at, &error.message).help(error.help)))
}

/// The problem of a file that is larger than any is read.
pub(super) fn too_large(file: Arc<str>) -> Problem {
    let message = format!("the file is larger than {} MiB", LARGEST_FILE >> 20);
    Problem::new(file, None, message).help("split it into several files, and name their folder")
}

/// The position behind a text.
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
            None => self.refuse(at, "the file does not say its version", "put `version: 1` on its first line"),
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
                None => declared.unread_rosters = true,
            }
        }
        if let Some(field) = groups {
            let entries = self.mapping("`groups`", field, "write the groups below it, or `groups: {}`");
            declared.groups = self.groups(entries.unwrap_or_default());
        }
        declared
    }

    fn settings(&mut self, field: Field<'_>) -> Settings {
        let mut settings = Settings::default();
        let Some(entries) = self.mapping("`settings`", field, "write the settings below it, or leave it out") else {
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
        let Some(entries) = self.mapping("`limits`", field, "write the limits below it, or leave it out") else {
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
            let help = "write its people below it, one a line: `- alice@example.com`; or `[]` for none";
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
        let help = "write `members:` below it, with the people below that";
        let entries = self.mapping(&what, field, help);
        let is_mapping = entries.is_some();
        let [id, mode, members, min_members, allow_empty, group_removals] =
            self.fields(&what, entries.unwrap_or_default(), keys::GROUP);
        let members_at = members.as_ref().map_or(at, |field| field.key);
        let pin = id.and_then(|field| {
            let id: GroupId = self.id(&field)?;
            Some(self.setting(field.key, id))
        });
        let mode = mode.and_then(|field| self.mode(&field)).unwrap_or(Mode::Exact);
        let entries = match members {
            Some(field) => {
                let help = "write its people below it, one a line; write `members: []` if it shall have none";
                let items = self.sequence("`members`", field, help).unwrap_or_default();
                self.entries(&what, items)
            }
            None => {
                if is_mapping {
                    self.refuse(at, format!("{what} has no `members`"), "write `members: []` if it shall have none");
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
        };
        DeclaredGroup { name: name.into(), group, entries }
    }
}
