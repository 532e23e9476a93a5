//! Properties of edits over generated files with lists in many forms.

use std::fmt::Write as _;
use std::sync::Arc;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

use super::*;
use crate::model::{Desired, Window};

#[derive(Clone, Debug)]
struct GeneratedEntry {
    person: usize,
    form: u8,
    /// In days from now, if the entry has it.
    from: Option<i32>,
    until: Option<i32>,
    comments: u8,
}

#[derive(Clone, Debug)]
struct GeneratedList {
    style: u8,
    indent: usize,
    entries: Vec<GeneratedEntry>,
    /// The keys of a group before and after its list.
    keys: u8,
}

#[derive(Clone, Debug)]
struct GeneratedFile {
    rosters: Vec<GeneratedList>,
    groups: Vec<GeneratedList>,
    line_ends: &'static str,
    mark: bool,
    open_end: bool,
}

const PEOPLE: [&str; 6] =
    ["alice@x.y", "Bob@X.y", "carol@x.y", "dan.d@x.y", "4f5f0c14a2a41d5063dd301b2f829f04", "zoe@x.y"];

fn day(days: i32) -> String {
    let now: jiff::Timestamp = NOW.parse().unwrap();
    let date = now.to_zoned(jiff::tz::TimeZone::UTC).date();
    date.checked_add(jiff::Span::new().days(days)).unwrap().to_string()
}

prop_compose! {
    fn any_entry()(
        person in 0..PEOPLE.len(),
        form in 0u8..6,
        from in proptest::option::weighted(0.3, -60..40),
        length in proptest::option::weighted(0.4, 0..70),
        comments in 0u8..32,
    ) -> GeneratedEntry {
        let until = length.map(|length| from.unwrap_or(-50) + length);
        GeneratedEntry { person, form, from, until, comments }
    }
}

prop_compose! {
    fn any_list()(
        style in 0u8..9,
        indent in 0usize..5,
        mut entries in vec(any_entry(), 0..5),
        sorted: bool,
        keys in 0u8..8,
    ) -> GeneratedList {
        entries.sort_by_key(|entry| entry.person);
        entries.dedup_by_key(|entry| entry.person);
        if !sorted {
            entries.reverse();
        }
        GeneratedList { style, indent, entries, keys }
    }
}

prop_compose! {
    fn any_file()(
        rosters in vec(any_list(), 0..3),
        groups in vec(any_list(), 1..4),
        line_ends in select(&["\n", "\n", "\r\n", "\r"]),
        mark in proptest::bool::weighted(0.2),
        open_end in proptest::bool::weighted(0.3),
    ) -> GeneratedFile {
        GeneratedFile { rosters, groups, line_ends, mark, open_end }
    }
}

impl GeneratedEntry {
    fn pairs(&self) -> Vec<String> {
        let name = PEOPLE[self.person];
        let key = if name.contains('@') { "email" } else { "id" };
        let name = match self.form {
            1 => format!("'{name}'"),
            2 => format!("\"{name}\""),
            _ => name.to_owned(),
        };
        let mut pairs = vec![format!("{key}: {name}")];
        pairs.extend(self.from.map(|days| format!("from: {}", day(days))));
        pairs.extend(self.until.map(|days| format!("until: \"{}\"", day(days))));
        if self.form == 3 {
            pairs.push("reason: it's \"so\"".into());
        }
        if self.form == 4 {
            pairs.reverse();
        }
        pairs
    }

    fn is_bare(&self) -> bool {
        self.pairs().len() == 1 && PEOPLE[self.person].contains('@') && self.form < 3
    }

    fn flow(&self) -> String {
        if self.is_bare() {
            return self.pairs()[0].trim_start_matches("email: ").to_owned();
        }
        format!("{{{}}}", self.pairs().join(", "))
    }

    fn block(&self, indent: &str, text: &mut String) {
        if self.comments & 1 != 0 {
            text.push('\n');
        }
        if self.comments & 2 != 0 {
            writeln!(text, "{indent}# - above").unwrap();
        }
        let beside = if self.comments & 4 != 0 { "   # beside: it" } else { "" };
        if self.is_bare() {
            writeln!(text, "{indent}-  {}{beside}", self.flow()).unwrap();
        } else if self.form == 5 {
            writeln!(text, "{indent}- {}{beside}", self.flow()).unwrap();
        } else {
            let between = if self.comments & 8 != 0 { format!("{indent}# between\n") } else { String::new() };
            let pairs = self.pairs().join(&format!("{beside}\n{between}{indent}  "));
            writeln!(text, "{indent}- {pairs}").unwrap();
        }
        if self.comments & 16 != 0 {
            writeln!(text, "  # below").unwrap();
        }
    }
}

impl GeneratedList {
    /// Writes the list after its key.
    fn write(&self, key_indent: usize, nested: &str, text: &mut String) {
        let flow: Vec<String> = self
            .entries
            .iter()
            .map(GeneratedEntry::flow)
            .chain((!nested.is_empty()).then(|| format!("{{roster: {nested}}}")))
            .collect();
        let inner = " ".repeat(key_indent + 2);
        match (self.style, flow.is_empty()) {
            (0..=3, true) => text.push_str(" []\n"),
            (4, true) => text.push_str("   [ ]  # none\n"),
            (_, true) => text.push_str(" [\n  ]\n"),
            (4, false) => writeln!(text, " [{}]", flow.join(", ")).unwrap(),
            (5, false) => writeln!(text, " [ {} ,]  # all", flow.join(" ,")).unwrap(),
            (6, false) => writeln!(text, " [\n{inner}{}\n  ]", flow.join(&format!(",  # c\n{inner}"))).unwrap(),
            (7, false) => {
                writeln!(text, " [ # first\n\n{inner}{},\n  # last\n  ]", flow.join(&format!(",\n{inner}# x\n{inner}")))
                    .unwrap()
            }
            (8, false) => writeln!(text, "\n{inner}[{}]", flow.join(&format!(",\n{inner}  "))).unwrap(),
            _ => {
                text.push_str("  # the people\n");
                let indent = " ".repeat(key_indent + self.indent);
                if !nested.is_empty() {
                    writeln!(text, "{indent}- roster: {nested}").unwrap();
                }
                self.entries.iter().for_each(|entry| entry.block(&indent, text));
            }
        }
    }
}

impl GeneratedFile {
    fn text(&self) -> String {
        let mut text = "# a file\nversion: 1\n".to_owned();
        if !self.rosters.is_empty() {
            text.push_str("rosters:\n");
        }
        for (number, roster) in self.rosters.iter().enumerate() {
            write!(text, "  r{number}:").unwrap();
            let nested = if number == 1 { "r0" } else { "" };
            roster.write(2, nested, &mut text);
        }
        text.push_str("\ngroups:\n");
        for (number, group) in self.groups.iter().enumerate() {
            writeln!(text, "  G{number}:").unwrap();
            match group.keys & 3 {
                1 => text.push_str("    mode: additive\n"),
                2 => text.push_str("    mode: observe  # by SCIM\n"),
                _ => {}
            }
            text.push_str("    allow_empty: true\n    members:");
            let nested = if number == 0 && !self.rosters.is_empty() {
                format!("r{}", self.rosters.len() - 1)
            } else {
                String::new()
            };
            group.write(4, &nested, &mut text);
            if group.keys & 4 != 0 {
                text.push_str("    group_removals: 50%\n");
            }
        }
        if self.open_end {
            text.truncate(text.trim_end().len());
        }
        let mark = if self.mark { "\u{feff}" } else { "" };
        format!("{mark}{}", text.replace('\n', self.line_ends))
    }

    fn lists(&self) -> Vec<String> {
        let rosters = (0..self.rosters.len()).map(|number| format!("--roster/r{number}"));
        rosters.chain((0..self.groups.len()).map(|number| format!("G{number}"))).collect()
    }
}

/// The windows of each person in each group, also through rosters.
fn memberships(text: &str) -> Vec<(String, PersonRef, Window, Option<Arc<str>>)> {
    let desired: Desired = parse(&sources(&[("a.yaml", text)])).unwrap();
    let mut found = Vec::new();
    for (name, group) in &desired.groups {
        for member in &group.members {
            let terms = member.terms.as_deref().cloned().unwrap_or_default();
            found.push((name.to_string(), member.person.clone(), terms.window, terms.reason));
        }
    }
    found.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
    found
}

fn granted(text: &str, line: &str) -> Result<Edited, String> {
    outcome(&[("a.yaml", text)], line)
}

fn text_of(edited: &Edited, before: &str) -> String {
    edited.files.get(&0).map_or(before.to_owned(), String::clone)
}

/// Whether a line was removed that the request does not concern.
fn lost_comments(before: &str, after: &str, allowed: &[&str]) -> Vec<String> {
    let count = |text: &str, word: &str| text.matches(word).count();
    [
        "# - above",
        "# beside",
        "# below",
        "# between",
        "# the people",
        "# first",
        "# last",
        "# all",
        "# none",
        "# c",
        "# x",
        "# a file",
        "# by SCIM",
    ]
    .iter()
    .filter(|word| !allowed.contains(word) && count(after, word) != count(before, word))
    .map(ToString::to_string)
    .collect()
}

const TERMS: [&str; 6] =
    ["", "/--until/+14d", "/--from/+3d", "/--reason/a, b: c", "/--until/+8h/--reason/x", "/--from/+1d/--until/+2w"];

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn grant_then_revoke_restores_every_byte(file in any_file(), terms in select(&TERMS), who in select(&["bill@x.y", "aa@x.y", "zz@x.y", "#q@x.y", "ffffffffffffffffffffffffffffffff"])) {
        let text = file.text();
        for list in file.lists() {
            let edited = match granted(&text, &format!("grant/{who}/{list}{terms}")) {
                Ok(edited) => edited,
                Err(error) => return Err(TestCaseError::fail(format!("{text}\n{error}"))),
            };
            prop_assert_eq!(edited.changes.len(), 1);
            let after = text_of(&edited, &text);
            prop_assert_eq!(lost_comments(&text, &after, &[]), Vec::<String>::new(), "{}", after);
            match granted(&after, &format!("revoke/{who}/{list}")) {
                Ok(edited) if edited.changes.iter().all(|change| change.action == ListAction::Remove) => {
                    prop_assert_eq!(text_of(&edited, &after), text.clone(), "{} {}", list, after);
                }
                // In an additive group the entry must stay.
                Ok(_) => {}
                Err(error) => return Err(TestCaseError::fail(format!("{after}\n{error}"))),
            }
        }
    }

    #[test]
    fn block_diff_has_only_the_entry(mut file in any_file(), terms in select(&TERMS)) {
        for list in file.groups.iter_mut().chain(&mut file.rosters) {
            list.style %= 4;
        }
        file.line_ends = "\n";
        let text = file.text();
        for list in file.lists() {
            let after = text_of(&granted(&text, &format!("grant/bill@x.y/{list}{terms}")).unwrap(), &text);
            let lines = diff(&text, &after);
            let is_own = |line: &&String| ["bill", "from: ", "until: ", "reason: "].iter().any(|word| line.contains(word)) && line.starts_with('+');
            let other: Vec<&String> = lines.iter().filter(|line| !is_own(line)).collect();
            // An empty list loses its brackets.
            let brackets = other.len() == 2 && Some(other[0].strip_prefix('-').unwrap().replace(" []", "").as_str()) == other[1].get(1..);
            prop_assert!(other.is_empty() || brackets, "{:?} {}", other, text);
        }
    }

    #[test]
    fn revoke_takes_one_membership_and_nothing_else(file in any_file()) {
        let text = file.text();
        for number in 0..file.groups.len() {
            for who in PEOPLE {
                let Ok(edited) = granted(&text, &format!("revoke/{who}/G{number}")) else { continue };
                let after = text_of(&edited, &text);
                let mut before = memberships(&text);
                let mut changed = 0;
                for membership in memberships(&after) {
                    match before.iter().position(|other| *other == membership) {
                        Some(same) => drop(before.remove(same)),
                        None => changed += 1,
                    }
                }
                let removed = edited.changes.iter().filter(|change| change.action == ListAction::Remove).count();
                prop_assert_eq!((before.len(), changed), (edited.changes.len(), edited.changes.len() - removed));
                let own = |membership: &(String, PersonRef, Window, _)| membership.0 == format!("G{number}") && membership.1 == person(who);
                prop_assert!(before.iter().all(own));
                // Comments beside and inside the entry are removed with it.
                prop_assert_eq!(lost_comments(&text, &after, &["# beside", "# between", "# c"]), Vec::<String>::new(), "{}", after);
            }
        }
    }

    #[test]
    fn grant_takes_nothing_away(file in any_file(), who in select(&PEOPLE), terms in select(&TERMS)) {
        let text = file.text();
        for list in file.lists() {
            let Ok(edited) = granted(&text, &format!("grant/{who}/{list}{terms}")) else { continue };
            let after = text_of(&edited, &text);
            let (before, now) = (memberships(&text), memberships(&after));
            let in_force = |all: &[(String, PersonRef, Window, Option<Arc<str>>)], group: &str, person: &PersonRef, time| {
                all.iter().any(|(name, other, window, _)| name == group && other == person && window.contains(time))
            };
            for hours in (0..24 * 60).step_by(6) {
                let time = NOW.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_hours(hours);
                for (group, person, ..) in &before {
                    prop_assert!(!in_force(&before, group, person, time) || in_force(&now, group, person, time));
                }
            }
            if let (Some(_), false) = (list.strip_prefix('G'), terms.contains("from")) {
                let time = NOW.parse().unwrap();
                prop_assert!(in_force(&now, &list, &person(who), time), "{}", after);
            }
        }
    }

    #[test]
    fn revoked_person_is_out_everywhere(file in any_file(), who in select(&PEOPLE), until in select(&["", "/--until/+5d"])) {
        let text = file.text();
        let Ok(edited) = granted(&text, &format!("revoke/{who}/--everywhere{until}")) else { return Ok(()) };
        let after = text_of(&edited, &text);
        let effect = NOW.parse::<jiff::Timestamp>().unwrap() + jiff::SignedDuration::from_hours(if until.is_empty() { 0 } else { 6 * 24 });
        let whom = person(who);
        for (group, person, window, _) in memberships(&after) {
            prop_assert!(person != whom || window.until.is_some_and(|until| until <= effect), "{} {}", group, after);
        }
        let others = |text: &str| {
            memberships(text).into_iter().filter(|(_, person, ..)| *person != whom).collect::<Vec<_>>()
        };
        prop_assert_eq!(others(&text), others(&after));
    }

    #[test]
    fn prune_does_not_change_access(file in any_file(), age in select(&["0h", "30d", "6w"])) {
        let text = file.text();
        let edited = granted(&text, &format!("prune/{age}")).unwrap();
        let after = text_of(&edited, &text);
        let now: jiff::Timestamp = NOW.parse().unwrap();
        let lasting = |text: &str| {
            memberships(text).into_iter().filter(|(.., window, _)| window.until.is_none_or(|until| until >= now)).collect::<Vec<_>>()
        };
        prop_assert_eq!(lasting(&text), lasting(&after));
        prop_assert_eq!(granted(&after, &format!("prune/{age}")).unwrap().changes.len(), 0);
        prop_assert_eq!(lost_comments(&text, &after, &["# beside", "# between", "# c"]), Vec::<String>::new(), "{}", after);
    }

    #[test]
    fn rename_there_and_back_restores_every_byte(file in any_file(), who in select(&PEOPLE), new in select(&["aa@x.y", "m.m@x.y", "zz@x.y"])) {
        let text = file.text();
        let Ok(there) = granted(&text, &format!("rename/{who}/{new}")) else { return Ok(()) };
        let after = text_of(&there, &text);
        let mut expected = memberships(&text);
        for (_, other, ..) in &mut expected {
            if *other == person(who) {
                *other = person(new);
            }
        }
        expected.sort_by(|a, b| format!("{a:?}").cmp(&format!("{b:?}")));
        prop_assert_eq!(memberships(&after), expected);
        prop_assert_eq!(lost_comments(&text, &after, &[]), Vec::<String>::new(), "{}", after);
        // A bare address that becomes an id and an address again keeps its key. A list that becomes sorted stays so.
        if who.contains('@') && granted(&text, "sort/check").is_ok() {
            let back = granted(&after, &format!("rename/{new}/{who}"));
            prop_assert_eq!(back.map(|back| text_of(&back, &after)), Ok(text));
        }
    }

    #[test]
    fn sort_twice_is_sort_once(file in any_file()) {
        let text = file.text();
        let Ok(sorted) = granted(&text, "sort") else { return Ok(()) };
        let after = text_of(&sorted, &text);
        prop_assert_eq!(memberships(&after), memberships(&text));
        prop_assert_eq!(lost_comments(&text, &after, &[]), Vec::<String>::new(), "{}", after);
        let lines = |text: &str| {
            let mut lines: Vec<String> = text.split(['\n', '\r']).map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let block = file.groups.iter().chain(&file.rosters).all(|list| list.style < 4);
        prop_assert!(!block || lines(&after) == lines(&text), "{}", after);
        prop_assert_eq!(granted(&after, "sort").map(|again| again.changes.len()), Ok(0));
        prop_assert!(granted(&after, "sort/check").is_ok());
        prop_assert_eq!(granted(&text, "sort/check").is_err(), !sorted.changes.is_empty());
    }

    #[test]
    fn arbitrary_yaml_is_edited_correctly_or_refused(text in crate::config::tests::arbitrary::yaml_like(), line in select(&[
        "grant/a@b.c/A", "grant/z@b.c/A/--until/+1d", "revoke/a@b.c/A", "revoke/a@b.c/--everywhere/--until/+1d", "prune/0d", "grant/a@b.c/--roster/B", "rename/a@b.c/z@b.c", "sort",
    ])) {
        let text = format!("version: 1\ngroups:\n  A:\n    members: \n      - a@b.c\n{text}");
        if let Ok(edited) = granted(&text, line) {
            prop_assert!(parse(&sources(&[("a.yaml", &text_of(&edited, &text))])).is_ok());
        }
    }
}
