//! Writes the present membership of the account as files. A plan of these files is empty.
//!
//! The same account gives the same bytes. A member without an unambiguous address is written by id. A group that no
//! file can declare is reported in a comment and as a warning.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use super::node::scalar;
use super::problem::escaped;
use crate::model::{
    AccountId, Email, GroupId, GroupName, GroupRef, GroupSummary, Member, MemberId, Membership, Observed, ScimGroup,
    Status,
};

/// YAML requires a `?` before longer keys.
const LONGEST_KEY: usize = 1000;

#[derive(Clone, Debug, Default)]
pub struct Export {
    pub groups: BTreeMap<GroupName, Exported>,
    /// The groups that no file can declare, and the reasons.
    pub warnings: Vec<String>,
}

#[derive(Clone, Debug)]
pub struct Exported {
    pub id: GroupId,
    /// The group's entry in `groups`, indented, with a line end.
    pub yaml: String,
}

#[derive(Clone, Debug, Default)]
pub struct ExportExtras {
    pub permissions: bool,
    /// The groups that an identity provider probably manages. They are observed.
    pub external: BTreeSet<GroupId>,
}

/// The groups to which an identity provider gave an id: by id, else by name. The row with a group's own id decides
/// about it, whatever other rows have its name.
pub fn external_groups(current: &Observed, scim: &[ScimGroup]) -> BTreeSet<GroupId> {
    let is_external = |(id, group): &(&GroupId, &GroupSummary)| {
        let mut own = scim.iter().filter(|row| row.id == id.as_str()).peekable();
        match own.peek() {
            Some(_) => own.any(|row| row.external),
            None => scim.iter().any(|row| row.external && row.name.as_deref() == Some(group.name.as_str())),
        }
    };
    current.groups.iter().filter(is_external).map(|(id, _)| *id).collect()
}

pub fn export(current: &Observed, wanted: &BTreeSet<GroupId>, extras: &ExportExtras) -> Export {
    let owners = owners(current);
    let mut export = Export::default();
    for (id, group) in current.groups.iter().filter(|(id, _)| wanted.contains(id)) {
        let namesake = export.groups.get(&group.name);
        let why = match (undeclarable(&group.name), current.memberships.get(id), namesake) {
            (Some(why), ..) => why.to_owned(),
            (None, None, _) => {
                let cause = current.unreadable.get(id).map_or("they were not read", String::as_str);
                format!("its members cannot be read: {cause}")
            }
            (None, Some(_), Some(first)) => {
                format!("group {} has the same name; give one of them another name", first.id)
            }
            (None, Some(membership), None) => {
                let yaml = entry(*id, group, membership, &owners, extras);
                export.groups.insert(group.name.clone(), Exported { id: *id, yaml });
                continue;
            }
        };
        let shown = GroupRef { id: *id, name: group.name.clone() };
        export.warnings.push(format!("{shown} is not exported: {why}"));
    }
    export
}

/// Why no file can declare a group with this name.
fn undeclarable(name: &GroupName) -> Option<&'static str> {
    match name.as_str().trim() {
        "" => Some("its name is empty; give it a name in the account"),
        trimmed if trimmed != name.as_str() => Some("its name begins or ends with a space; change it in the account"),
        "<<" => Some("its name is the merge key of YAML; change it in the account"),
        _ => None,
    }
}

type Owners<'a> = BTreeMap<&'a Email, BTreeSet<MemberId>>;

fn owners(current: &Observed) -> Owners<'_> {
    let mut owners = Owners::new();
    for (id, member) in current.memberships.values().flat_map(|membership| membership.iter()) {
        if let Some(email) = &member.email {
            owners.entry(email).or_default().insert(*id);
        }
    }
    owners
}

fn entry(
    id: GroupId,
    group: &GroupSummary,
    membership: &Membership,
    owners: &Owners<'_>,
    extras: &ExportExtras,
) -> String {
    let key = scalar(group.name.as_str(), false);
    let mut text = if key.len() > LONGEST_KEY { format!("  ? {key}\n  :\n") } else { format!("  {key}:\n") };
    let _ = writeln!(text, "    id: {}", scalar(id.as_str(), false));
    if extras.external.contains(&id) {
        text.push_str(
            "    mode: observe  # an identity provider probably manages this group, and refuses other changes\n",
        );
    }
    if extras.permissions {
        let pins: Vec<String> = group.grants().iter().map(|grant| scalar(&grant.pin(), false)).collect();
        text.push_str(if pins.is_empty() { "    permissions: []\n" } else { "    permissions:\n" });
        pins.iter().for_each(|pin| text.push_str(&format!("      - {pin}\n")));
    }
    if membership.is_empty() {
        text.push_str("    members: []\n    allow_empty: true\n");
        return text;
    }
    text.push_str("    members:\n");
    let mut members: Vec<_> = membership.iter().collect();
    members.sort_by_key(|(id, member)| (member.email.is_none(), member.email.as_ref(), **id));
    members.into_iter().for_each(|(id, member)| text.push_str(&line(*id, member, owners)));
    text
}

fn line(id: MemberId, member: &Member, owners: &Owners<'_>) -> String {
    let is_shared = |email: &Email| owners.get(email).is_some_and(|ids| ids.len() > 1);
    let by_id = format!("id: {}", scalar(id.as_str(), false));
    let (entry, mut notes) = match &member.email {
        None => (by_id, vec!["no address".to_owned()]),
        Some(email) if Email::declared(email.as_str()).is_err() => {
            (by_id, vec![format!("has the address {}", comment(email.as_str()))])
        }
        Some(email) if is_shared(email) => {
            (by_id, vec![format!("one of several members with the address {}", comment(email.as_str()))])
        }
        Some(email) => (scalar(email.as_str(), false), Vec::new()),
    };
    if member.status == Some(Status::Pending) {
        notes.push("has not accepted the invitation yet".into());
    }
    if notes.is_empty() { format!("      - {entry}\n") } else { format!("      - {entry}  # {}\n", notes.join("; ")) }
}

/// External text in a comment. It must not end the line.
fn comment(text: &str) -> String {
    let printable = |c: char| if c.is_ascii() || c.is_alphanumeric() { c } else { '?' };
    escaped(text).chars().map(printable).collect()
}

fn head(account_id: AccountId) -> String {
    format!("version: 1\naccount_id: {}\n", scalar(account_id.as_str(), false))
}

pub fn document(export: &Export, account_id: AccountId) -> String {
    let count = export.groups.len();
    let noun = if count == 1 { "group" } else { "groups" };
    let mut text = format!("# The membership of {count} {noun}, as it is in the account.\n{}", head(account_id));
    text.extend(export.warnings.iter().map(|warning| format!("# {}\n", comment(warning))));
    text.push_str(if export.groups.is_empty() { "\ngroups: {}\n" } else { "\ngroups:\n" });
    let entries: Vec<&str> = export.groups.values().map(|group| group.yaml.as_str()).collect();
    text + &entries.join("\n")
}

pub fn group_document(group: &Exported, account_id: AccountId) -> String {
    format!("{}\ngroups:\n{}", head(account_id), group.yaml)
}

/// The maximum number of characters of a group's name in a file name.
const LONGEST: usize = 60;

/// Names that Windows reserves, with any extension.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// The file of each group. If several groups would have the same file name, or the name had to be changed, the file
/// name includes the group's id. A group's file name therefore does not depend on the other groups.
pub fn file_names(groups: &BTreeMap<GroupName, Exported>) -> BTreeMap<GroupId, String> {
    let mut by_slug: BTreeMap<String, Vec<GroupId>> = BTreeMap::new();
    for (name, group) in groups {
        by_slug.entry(slug(name.as_str())).or_default().push(group.id);
    }
    let is_taken = |slug: &str| by_slug.get(slug).is_some_and(|ids| ids.len() == 1);
    let mut names = BTreeMap::new();
    for (slug, ids) in &by_slug {
        for id in ids {
            let mut unique = slug.clone();
            while ids.len() > 1 && (unique == *slug || is_taken(&unique)) {
                unique = format!("{unique}-{id}");
            }
            names.insert(*id, format!("{unique}.yaml"));
        }
    }
    names
}

/// The name in lower-case letters and digits, with hyphens for all other characters.
fn slug(name: &str) -> String {
    let words = name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let mut slug = words.collect::<Vec<_>>().join("-").to_ascii_lowercase();
    slug.truncate(LONGEST);
    let slug = slug.trim_end_matches('-');
    let stem = slug.trim_end_matches(|c: char| c.is_ascii_digit());
    match slug {
        "" => "group".into(),
        _ if RESERVED.contains(&stem) => format!("group-{slug}"),
        _ => slug.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group_id(number: usize) -> GroupId {
        format!("{number:032}").parse().unwrap()
    }

    fn names(of: &[&str]) -> Vec<String> {
        let exported = |number| Exported { id: group_id(number), yaml: String::new() };
        let groups = of.iter().enumerate().map(|(number, name)| (GroupName::from(*name), exported(number))).collect();
        file_names(&groups).into_values().collect()
    }

    #[test]
    fn own_row_decides_whether_a_group_is_external() {
        let group = |name: &str| GroupSummary { name: name.into(), created_on: None, policies: Vec::new() };
        let groups = [(group_id(0), group("Ops")), (group_id(1), group("Dev"))].into();
        let row = |id: &str, name: &str, external| ScimGroup { id: id.into(), name: Some(name.into()), external };
        let rows = [row(group_id(0).as_str(), "Ops", false), row("x", "Ops", true), row("y", "Dev", true)];
        let external = external_groups(&Observed { groups, ..Observed::default() }, &rows);
        assert_eq!(external, BTreeSet::from([group_id(1)]));
    }

    #[test]
    fn group_names_become_safe_file_names() {
        let long = "x".repeat(500);
        let shown = names(&["Platform Admins", "../../etc/passwd", "NUL", "COM1", ".hidden", "日本", &long]);
        let long = format!("{}.yaml", "x".repeat(60));
        assert_eq!(
            shown,
            [
                "platform-admins.yaml",
                "etc-passwd.yaml",
                "group-nul.yaml",
                "group-com1.yaml",
                "hidden.yaml",
                "group.yaml",
                &long
            ]
        );
    }

    #[test]
    fn colliding_file_names_include_group_ids() {
        let (first, second) = (group_id(0), group_id(1));
        let odd = format!("a-b-{first}");
        let shown = names(&["A B", "a/b", &odd]);
        assert_eq!(
            shown,
            [format!("a-b-{first}-{first}.yaml"), format!("a-b-{second}.yaml"), format!("a-b-{first}.yaml")]
        );
    }
}
