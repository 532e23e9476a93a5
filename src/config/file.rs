//! Converts the tree of one file into declarations, and checks everything that concerns only this file.

use std::sync::Arc;

use super::entry::Entry;
use super::group::DeclaredGroup;
use super::node::{self, Node, Value};
use super::numbers::Numbers;
use super::problem::{Lines, Position, Problem, Report, quoted};
use super::reader::{Field, Reader};
use super::{LARGEST_FILE, Source};
use crate::model::{AccountId, Origin, Setting, Settings};

/// The keys of a file, in the order in which the reader takes it apart.
pub(super) const KEYS: [&str; 5] = ["version", "account_id", "settings", "rosters", "groups"];

/// What one file declares.
#[derive(Debug, Default)]
pub(super) struct Declared {
    pub account_id: Option<Setting<AccountId>>,
    pub settings: Option<(Origin, Settings)>,
    pub rosters: Vec<DeclaredRoster>,
    pub groups: Vec<DeclaredGroup>,
    /// Whether an unreadable part may declare more rosters or groups.
    pub unread: bool,
}

#[derive(Debug)]
pub(super) struct DeclaredRoster {
    pub name: Arc<str>,
    pub origin: Origin,
    pub entries: Vec<Entry>,
}

/// Reads a file, and adds its problems to the report.
pub(super) fn read(source: &Source, numbers: &mut Numbers, report: &mut Report) -> Declared {
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
    let mut reader = Reader { file, numbers, report };
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
        let [version, account_id, settings, rosters, groups] = self.fields("the file", entries, KEYS);
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
}
