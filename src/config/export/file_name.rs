//! The names of the files that groups are written to: safe on every file system, and stable.

use std::collections::{BTreeMap, BTreeSet};

use super::Exported;
use crate::model::{GroupId, GroupName};

/// The maximum number of characters of a group's name in a file name.
const LONGEST: usize = 60;

/// Names that Windows reserves, with any extension.
const RESERVED: [&str; 6] = ["con", "prn", "aux", "nul", "com", "lpt"];

/// The file of each group. If several groups would have the same file name, or the name had to be changed, the file
/// name includes the group's id. A group's file name therefore does not depend on the other groups.
#[must_use]
pub fn file_names(groups: &BTreeMap<GroupName, Exported>) -> BTreeMap<GroupId, String> {
    let mut wanted: BTreeMap<String, u32> = BTreeMap::new();
    for name in groups.keys() {
        *wanted.entry(slug(name.as_str())).or_default() += 1;
    }
    let shared = |slug: &str| wanted.get(slug).is_some_and(|count| *count > 1);
    let mut taken: BTreeSet<String> = wanted.keys().filter(|slug| !shared(slug)).cloned().collect();
    let mut names = BTreeMap::new();
    for (name, group) in groups {
        let slug = slug(name.as_str());
        let mut unique = slug.clone();
        while shared(&slug) && (unique == slug || taken.contains(&unique)) {
            unique = format!("{unique}-{}", group.id);
        }
        taken.insert(unique.clone());
        names.insert(group.id, format!("{unique}.yaml"));
    }
    names
}

/// The name in lower-case letters and digits, with hyphens for all other characters.
fn slug(name: &str) -> String {
    let mut slug = String::new();
    for character in name.chars() {
        if character.is_ascii_alphanumeric() {
            slug.push(character.to_ascii_lowercase());
        } else if !slug.is_empty() && !slug.ends_with('-') {
            slug.push('-');
        }
        if slug.len() >= LONGEST {
            break;
        }
    }
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
