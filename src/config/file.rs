//! Converts the tree of one file into declarations, and checks everything that concerns only this file.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::entry::Entry;
use super::node::{self, Node, Value};
use super::problem::{Problem, Problems, numbered_lines, quoted};
use super::reader::{Field, Fields, MappingEntries, Reader};
use super::{LARGEST_FILE, Source};
use crate::model::{
    AccountId, DesiredGroup, Email, GroupName, Limits, Mode, Origin, Position, Protected, Rules, Setting, Settings,
    Unmanaged, is_invisible,
};

pub(super) const KEYS: [&str; 5] = ["version", "account_id", "settings", "rosters", "groups"];
pub(super) const SETTINGS: [&str; 5] = ["limits", "protected", "unmanaged_groups", "direct_access", "email_domains"];
pub(super) const LIMITS: [&str; 2] = ["group_removals", "total_removals"];
pub(super) const GROUP: [&str; 13] = [
    "id",
    "mode",
    "members",
    "min_members",
    "allow_empty",
    "group_removals",
    "max_duration",
    "require_reason",
    "exclusive_with",
    "email_domains",
    "permissions",
    "description",
    "owners",
];

#[derive(Clone, Debug, Default)]
pub(super) struct Declared {
    pub account_id: Option<Setting<AccountId>>,
    pub settings: Option<(Origin, Settings)>,
    pub protected: Option<DeclaredList>,
    pub rosters: Vec<DeclaredList>,
    pub groups: Vec<DeclaredGroup>,
    /// Whether an unreadable part may declare more rosters or groups.
    pub unread: bool,
}

/// A roster, the `owners` of a group, or the `protected` people.
#[derive(Clone, Debug)]
pub(super) struct DeclaredList {
    pub name: Arc<str>,
    pub origin: Origin,
    pub entries: Vec<Entry>,
}

#[derive(Clone, Debug)]
pub(super) struct DeclaredGroup {
    pub name: GroupName,
    /// Complete except for the members.
    pub group: DesiredGroup,
    pub entries: Vec<Entry>,
    pub owners: Option<DeclaredList>,
}

impl DeclaredGroup {
    /// The lists in which the group can name rosters.
    pub fn lists(&self) -> impl Iterator<Item = &[Entry]> {
        let owners = self.owners.iter().map(|list| list.entries.as_slice());
        std::iter::once(self.entries.as_slice()).chain(owners)
    }
}

/// Reads a file, and adds its problems to the report.
pub(super) fn read(source: &Source, report: &mut Problems) -> Declared {
    match tree(source) {
        Ok(tree) => declare(source, &tree, report),
        Err(problem) => {
            report.push(problem);
            Declared { unread: true, ..Declared::default() }
        }
    }
}

/// Reads what the tree of a file declares, and adds its problems to the report.
pub(super) fn declare(source: &Source, tree: &Node<'_>, report: &mut Problems) -> Declared {
    let at = tree.at;
    let mut reader = Reader { file: source.path.as_str().into(), report };
    let (at, message, help) = match &tree.value {
        Value::Mapping(entries) => return reader.declared(at, entries),
        Value::Null(_) => {
            let first = Position { line: 1, column: 1 };
            (first, "the file is empty", "write `version: 1` and the groups, or delete the file")
        }
        _ => (at, "the file is not a mapping", "start with `version: 1`, then `groups:` with the groups below it"),
    };
    reader.refuse(at, message, help);
    Declared { unread: true, ..Declared::default() }
}

pub(super) fn tree(source: &Source) -> Result<Node<'_>, Problem> {
    let problem = |position, message: &str| Problem::new(source.path.as_str().into(), position, message);
    if source.bytes.len() > LARGEST_FILE {
        let message = format!("the file is larger than {} MiB", LARGEST_FILE >> 20);
        return Err(problem(None, &message).help("split it into several files in one folder"));
    }
    let text = str::from_utf8(&source.bytes).map_err(|error| {
        let good = source.bytes.get(..error.valid_up_to()).unwrap_or_default();
        problem(Some(end_of(good)), "invalid UTF-8").help("save the file as UTF-8")
    })?;
    match conflict(source, text) {
        Some(conflict) => Err(conflict),
        None => node::parse(&source.path, text),
    }
}

/// The problem of a file with the markers of an unfinished merge.
fn conflict(source: &Source, text: &str) -> Option<Problem> {
    if !text.contains("<<<<<<< ") && !text.contains(">>>>>>> ") {
        return None;
    }
    let file: Arc<str> = source.path.as_str().into();
    let is_marker = |line: &[u8]| match line.split_at_checked(7) {
        Some((b"<<<<<<<" | b">>>>>>>" | b"|||||||", rest)) => rest.is_empty() || rest.starts_with(b" "),
        Some((b"=======", rest)) => rest.is_empty(),
        _ => false,
    };
    let lines = numbered_lines(text.as_bytes()).filter(|(_, line)| is_marker(line));
    let mut places = lines.map(|(line, _)| Origin::new(&file, Position { line, column: 1 }));
    let problem = Problem::at(&places.next()?, "the file has merge-conflict markers")
        .help("keep what is right of both versions, and delete the lines of the markers");
    Some(places.fold(problem, |problem, place| problem.related(place, "another marker is here")))
}

fn end_of(text: &[u8]) -> Position {
    let (line, last) = numbered_lines(text).last().unwrap_or((1, b""));
    let characters = String::from_utf8_lossy(last).chars().count();
    Position { line, column: u32::try_from(characters).unwrap_or(u32::MAX).saturating_add(1) }
}

impl Reader<'_> {
    fn declared(&mut self, at: Position, entries: &MappingEntries<'_>) -> Declared {
        let mut fields = self.fields("the file", entries, &KEYS);
        match fields.remove("version") {
            Some(version) => self.version(version),
            None => self.refused(at, "the file has no `version`", "add the line `version: 1` at the top"),
        };
        let account_id = self.setting(fields.remove("account_id"), |reader, field| reader.id("an account id", field));
        let mut declared = Declared { account_id, ..Declared::default() };
        if let Some(field) = fields.remove("settings") {
            let origin = self.origin(field.key);
            declared.settings = Some((origin, self.settings(field, &mut declared.protected)));
        }
        let rosters = self.named("roster", fields.remove("rosters"), Self::roster);
        let groups = self.named("group", fields.remove("groups"), Self::group);
        declared.unread = rosters.is_none() || groups.is_none();
        Declared { rosters: rosters.unwrap_or_default(), groups: groups.unwrap_or_default(), ..declared }
    }

    /// Reads the rosters or the groups, each with its name. `None` if they cannot be read.
    fn named<T>(
        &mut self,
        kind: &str,
        field: Option<Field<'_>>,
        read: fn(&mut Self, &str, Field<'_>) -> T,
    ) -> Option<Vec<T>> {
        let Some(field) = field else { return Some(Vec::new()) };
        let key = field.name;
        let help = format!("write the {key} below it, or `{key}: {{}}`");
        let entries = self.mapping(&format!("`{key}`"), field, &help)?;
        let mut named = Vec::with_capacity(entries.len());
        for (name, node) in entries {
            if self.report.is_full() {
                break;
            }
            let at = name.at;
            let Some(name) = self.key(name) else { continue };
            self.check_name(kind, at, name);
            named.push(read(self, name, Field { name: key, key: at, node }));
        }
        Some(named)
    }

    fn roster(&mut self, name: &str, field: Field<'_>) -> DeclaredList {
        let (what, origin) = (format!("roster {}", quoted(name)), self.origin(field.key));
        let help = "list its people below it, one per line: `- alice@example.com`; or write `[]`";
        DeclaredList { name: name.into(), origin, entries: self.people(&what, &what, field, help, Self::entry) }
    }

    fn settings(&mut self, field: Field<'_>, protected_list: &mut Option<DeclaredList>) -> Settings {
        let entries = self.mapping("`settings`", field, "write the settings below it, or remove it");
        let mut fields = self.fields("`settings`", entries.unwrap_or_default(), &SETTINGS);
        let limits = fields.remove("limits").map(|field| self.limits(field)).unwrap_or_default();
        *protected_list = fields.remove("protected").map(|field| {
            let (what, help) = ("`protected`", "write `protected: []` for nobody");
            let entries = self.people(what, what, field, help, Self::protected);
            DeclaredList { name: "protected".into(), origin: self.origin(field.key), entries }
        });
        let protected = protected_list
            .iter()
            .flat_map(|list| &list.entries)
            .filter_map(|entry| Some(Protected { person: entry.person()?.clone(), origin: self.origin(entry.at) }));
        let protected = protected.collect();
        let choices = [Unmanaged::Ignore, Unmanaged::Report, Unmanaged::Refuse];
        let unmanaged = self.setting(fields.remove("unmanaged_groups"), |reader, field| reader.choice(field, &choices));
        let choices = [Unmanaged::Ignore, Unmanaged::Report];
        let direct = fields.remove("direct_access").and_then(|field| self.choice(field, &choices));
        Settings {
            limits,
            protected,
            unmanaged_groups: unmanaged.unwrap_or_default(),
            reports_direct_access: direct == Some(Unmanaged::Report),
            email_domains: self.setting(fields.remove("email_domains"), Self::domains),
        }
    }

    fn limits(&mut self, field: Field<'_>) -> Limits {
        let entries = self.mapping("`limits`", field, "write the limits below it, or remove it");
        let mut fields = self.fields("`limits`", entries.unwrap_or_default(), &LIMITS);
        let (group, total) = (fields.remove("group_removals"), fields.remove("total_removals"));
        let preset = Limits::default();
        Limits {
            group_removals: self.setting(group, Self::limit).unwrap_or(preset.group_removals),
            total_removals: self.setting(total, Self::limit).unwrap_or(preset.total_removals),
        }
    }

    fn group(&mut self, name: &str, field: Field<'_>) -> DeclaredGroup {
        let at = field.key;
        let what = format!("group {}", quoted(name));
        let entries = self.mapping(&what, field, "write `members:` below it, and list the people below that");
        let is_mapping = entries.is_some();
        let mut fields = self.fields(&what, entries.unwrap_or_default(), &GROUP);
        let members = fields.remove("members");
        let members_at = members.map_or(at, |field| field.key);
        if members.is_none() && is_mapping {
            self.refuse(at, format!("{what} has no `members`"), "add `members: []` if the group has no members");
        }
        let help = "list the people below it, one per line, or write `members: []`";
        let entries = members.map(|field| self.people("`members`", &what, field, help, Self::entry));
        let owners = fields.remove("owners").map(|field| self.owners(name, field));
        let modes = [Mode::Exact, Mode::Additive, Mode::Observe];
        let group = DesiredGroup {
            origin: self.origin(at),
            pin: self.setting(fields.remove("id"), |reader, field| reader.id("a group id", field)),
            mode: fields.remove("mode").and_then(|field| self.choice(field, &modes)).unwrap_or_default(),
            members_origin: self.origin(members_at),
            members: Vec::new(),
            never: Vec::new(),
            rosters_without_reason: Vec::new(),
            min_members: self.setting(fields.remove("min_members"), Self::whole_number),
            allow_empty: self.setting(fields.remove("allow_empty"), Self::boolean).unwrap_or_default(),
            group_removals: self.setting(fields.remove("group_removals"), Self::limit),
            rules: self.rules(name, &mut fields),
            permissions: self.setting(fields.remove("permissions"), Self::permissions),
            description: fields.remove("description").and_then(|field| self.description(field)),
            owners: owners.iter().flat_map(|list| &list.entries).map(|entry| self.owner_of(entry)).collect(),
        };
        DeclaredGroup { name: name.into(), group, entries: entries.unwrap_or_default(), owners }
    }

    fn rules(&mut self, name: &str, fields: &mut Fields<'_>) -> Rules {
        let required = self.setting(fields.remove("require_reason"), Self::boolean);
        let exclusive = fields.remove("exclusive_with");
        Rules {
            max_duration: self.setting(fields.remove("max_duration"), Self::period),
            require_reason: required.filter(|required| required.value).and_then(|required| required.origin),
            exclusive_with: exclusive.and_then(|field| self.exclusions(name, field)).unwrap_or_default(),
            email_domains: self.setting(fields.remove("email_domains"), Self::domains),
        }
    }

    fn owners(&mut self, group: &str, field: Field<'_>) -> DeclaredList {
        let (whose, origin) = (format!("`owners` of group {}", quoted(group)), self.origin(field.key));
        let help = "list addresses and rosters: `owners: [alice@example.com, sre]`";
        DeclaredList { name: group.into(), origin, entries: self.people("`owners`", &whose, field, help, Self::owner) }
    }

    fn owner_of(&self, entry: &Entry) -> Setting<String> {
        let value = entry.roster().map_or_else(|| entry.who.to_string(), str::to_owned);
        Setting { value, origin: Some(self.origin(entry.at)) }
    }

    fn description(&mut self, field: Field<'_>) -> Option<String> {
        let help = "write one short line";
        let text = self.text("`description`", field, help)?.trim().to_owned();
        if text.chars().any(is_invisible) {
            self.refuse(field.node.at, "`description` has several lines, or characters that cannot be seen", help);
        }
        Some(text)
    }

    /// The texts of a list, each with its place. `what` is, for example, "a domain".
    fn texts<'n>(&mut self, what: &str, field: Field<'n>, help: &str) -> Option<Vec<(Position, &'n str)>> {
        let items = self.sequence(&format!("`{}`", field.name), field, help)?.iter();
        Some(items.filter_map(|node| Some((node.at, self.text(what, Field { node, ..field }, help)?))).collect())
    }

    /// The texts of a list. Reports those that are in it twice.
    fn distinct<'n>(&mut self, what: &str, field: Field<'n>, help: &str) -> Option<Vec<(Position, &'n str)>> {
        let texts = self.texts(what, field, help)?;
        let places = texts.iter().map(|(at, text)| (*text, *at));
        self.refuse_twice(places, |text| format!("{} is listed twice in `{}`", quoted(text), field.name));
        Some(texts)
    }

    /// Reads `email_domains`, in the form in which domains are compared.
    fn domains(&mut self, field: Field<'_>) -> Option<Vec<String>> {
        let help = "list domains without the \"@\": `email_domains: [example.com]`";
        let mut domains = Vec::new();
        for (at, text) in self.texts("a domain", field, help)? {
            match Email::declared(&format!("x@{text}")) {
                Ok(email) => domains.push(email.domain().into_owned()),
                Err(_) => self.refuse(at, format!("{} is not a domain", quoted(text)), help),
            }
        }
        Some(domains)
    }

    fn permissions(&mut self, field: Field<'_>) -> Option<Vec<String>> {
        let help = "list what membership gives: `permissions: [Workers Admin, DNS on example.com]`";
        let permissions = self.distinct("a permission", field, help)?;
        Some(permissions.into_iter().map(|(_, permission)| permission.to_owned()).collect())
    }

    /// Reads `exclusive_with`: names of other groups. The merge of all files checks whether they are declared.
    fn exclusions(&mut self, group: &str, field: Field<'_>) -> Option<BTreeMap<GroupName, Origin>> {
        let help = "list the names of other groups: `exclusive_with: [Payments Approvers]`";
        let others = self.distinct("a group in `exclusive_with`", field, help)?;
        for (at, _) in others.iter().filter(|(_, other)| *other == group) {
            self.refuse(*at, "a group cannot be exclusive with itself", "remove it from the list");
        }
        Some(others.into_iter().map(|(at, other)| (GroupName::from(other), self.origin(at))).collect())
    }
}
