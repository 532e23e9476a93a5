//! Reading any input gives declarations or problems, and written text reads back.

use std::fmt::Write as _;

use proptest::collection::{btree_map, vec};
use proptest::prelude::*;

use super::*;
use crate::model::{Limit, Mode, PersonRef};

/// Pieces of YAML in any order. The parser accepts far more of it than of random text.
pub(in crate::config) fn yaml_like() -> impl Strategy<Value = String> {
    const PIECES: [&str; 40] = [
        "version: 1\n",
        "groups:",
        "rosters:",
        "settings:",
        "members:",
        "limits:",
        "protected:",
        "account_id:",
        "A",
        "B",
        "mode: ",
        "exact",
        "roster: ",
        "email: ",
        "id: ",
        "from: ",
        "until: ",
        "reason: ",
        "a@b.c",
        "2026-12-01",
        "25%",
        "4f5f0c14a2a41d5063dd301b2f829f04",
        "- ",
        "\n",
        "\n  ",
        "\n    ",
        "\n      ",
        "[",
        "]",
        "{",
        "}",
        ", ",
        ": ",
        "&x ",
        "*x",
        "'",
        "\"",
        "null",
        "<<",
        "é\u{202e}\u{feff}",
    ];
    vec(prop_oneof![9 => prop::sample::select(&PIECES).prop_map(str::to_owned), 1 => any::<String>()], 0..60)
        .prop_map(|pieces| pieces.concat())
}

/// Any valid name of a group or a roster.
fn name() -> impl Strategy<Value = String> {
    any::<String>().prop_filter("a name of visible text", |name| {
        !name.is_empty() && name.trim() == name && !name.chars().any(char::is_control)
    })
}

#[derive(Clone, Debug)]
struct Group {
    mode: Mode,
    min_members: Option<u64>,
    limit: Option<Limit>,
    people: Vec<(PersonRef, Option<(i64, i64)>)>,
}

fn person() -> impl Strategy<Value = PersonRef> {
    prop_oneof![
        "[a-z0-9.+_-]{1,20}@[a-z]{1,9}\\.[a-z]{2,3}".prop_map(|email| PersonRef::Email(email.parse().unwrap())),
        "[0-9a-f]{32}".prop_map(|id| PersonRef::Id(id.parse().unwrap())),
        "[0-9]{32}".prop_map(|id| PersonRef::Id(id.parse().unwrap())),
    ]
}

prop_compose! {
    fn any_group()(
        mode in prop::sample::select(&[Mode::Exact, Mode::Additive, Mode::Observe]),
        min_members in proptest::option::of(any::<u64>()),
        limit in proptest::option::of(prop_oneof![
            any::<u64>().prop_map(Limit::Count),
            (0u32..=10_000).prop_map(|hundredths| Limit::Percent { hundredths }),
        ]),
        people in btree_map(person(), proptest::option::of((0i64..1_000_000_000, 1i64..1_000_000_000)), 0..8),
    ) -> Group {
        Group { mode, min_members, limit, people: people.into_iter().collect() }
    }
}

fn written(groups: &std::collections::BTreeMap<String, Group>) -> String {
    let mut text = "version: 1\ngroups:\n".to_owned();
    for (name, group) in groups {
        // JSON's quoting is valid in YAML.
        writeln!(text, "  ? {}\n  : mode: {}", serde_json::to_string(name).unwrap(), group.mode).unwrap();
        group.min_members.iter().for_each(|least| writeln!(text, "    min_members: {least}").unwrap());
        group.limit.iter().for_each(|limit| writeln!(text, "    group_removals: {limit}").unwrap());
        writeln!(text, "    members:{}", if group.people.is_empty() { " []" } else { "" }).unwrap();
        for (person, window) in &group.people {
            let key = if matches!(person, PersonRef::Email(_)) { "email" } else { "id" };
            writeln!(text, "    - {key}: {person}").unwrap();
            if let Some((from, length)) = window {
                let at = |second| jiff::Timestamp::from_second(second).unwrap();
                writeln!(text, "      from: {}\n      until: {}", at(*from), at(from + length)).unwrap();
            }
        }
    }
    text
}

proptest! {
    #[test]
    fn arbitrary_files_never_panic(bytes in vec(any::<u8>(), 0..300)) {
        let result = parse(&[Source { path: "a\u{1b}.yaml".into(), bytes }]);
        prop_assert!(result.map_or_else(|problems| problems.to_string().contains("problem"), |_| true));
    }

    #[test]
    fn arbitrary_yaml_never_panics(files in vec(yaml_like(), 1..3)) {
        let files: Vec<_> = files.iter().map(|text| ("a.yaml", text.as_str())).collect();
        if let Err(problems) = parse_all(&files) {
            let shown = problems.to_string();
            prop_assert!(!shown.chars().any(|c| c.is_control() && c != '\n' || c == '\u{202e}'), "{shown:?}");
        }
    }

    #[test]
    fn written_yaml_reads_back(groups in btree_map(name(), any_group(), 1..5)) {
        let text = written(&groups);
        let desired = parse_one(&text).map_err(|problems| TestCaseError::fail(format!("{text}\n{problems}")))?;
        prop_assert_eq!(
            desired.groups.keys().map(|name| name.as_str()).collect::<Vec<_>>(),
            groups.keys().collect::<Vec<_>>()
        );
        for (read, group) in desired.groups.values().zip(groups.values()) {
            prop_assert_eq!(read.mode, group.mode);
            prop_assert_eq!(read.min_members.as_ref().map(|setting| setting.value), group.min_members);
            prop_assert_eq!(read.group_removals.as_ref().map(|setting| setting.value), group.limit);
            let people: Vec<_> = read.members.iter().map(|member| {
                let window = member.terms.as_deref().map(|terms| {
                    let (from, until) = (terms.window.from.unwrap().as_second(), terms.window.until.unwrap().as_second());
                    (from, until - from)
                });
                (member.person.clone(), window)
            }).collect();
            prop_assert_eq!(people, group.people.clone());
        }
    }
}
