//! Hostile files are refused quickly.

use std::fmt::Write as _;

use super::*;
use crate::config::LARGEST_FILE;

/// The first problem.
fn first(text: &str) -> String {
    summary(text).into_iter().next().unwrap()
}

#[test]
fn aliases_cannot_multiply() {
    let mut text = "version: 1\na0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned();
    for level in 1..20 {
        let below = vec![format!("*a{}", level - 1); 9].join(",");
        writeln!(text, "a{level}: &a{level} [{below}]").unwrap();
    }
    assert!(first(&text).ends_with("repeats aliases too often"), "{}", first(&text));
}

#[test]
fn empty_rosters_cannot_multiply() {
    let mut text = "version: 1\ngroups: {A: {members: [roster: r30]}}\nrosters:\n  r0: []\n".to_owned();
    for level in 1..=30 {
        let below = level - 1;
        writeln!(text, "  r{level}: [roster: a{level}, roster: b{level}]").unwrap();
        writeln!(text, "  a{level}: [roster: r{below}]\n  b{level}: [roster: r{below}]").unwrap();
    }
    assert_eq!(first(&text), "2:14 with group \"A\", there are more than 5000000 memberships");
}

#[test]
fn deep_nesting_is_refused() {
    for (opening, reason) in
        [("[", "recursion limit exceeded"), ("? ", "too often"), ("{a: ", "recursion limit exceeded")]
    {
        let text = format!("version: 1\nx: \n  {}", opening.repeat(100_000));
        assert!(first(&text).ends_with(reason), "{}", first(&text));
    }
}

#[test]
fn nested_rosters_have_a_maximum_depth() {
    for order in [|n: usize| n, |n: usize| 999 - n] {
        let mut text = "version: 1\nrosters:\n".to_owned();
        for n in 0..100 {
            writeln!(text, "  r{:03}: [roster: r{:03}]", order(n), order(n + 1)).unwrap();
        }
        writeln!(text, "  r{:03}: []", order(100)).unwrap();
        let found = summary(&text);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with("rosters are nested more than 64 deep"), "{found:?}");
    }
}

#[test]
fn oversized_file_is_not_parsed() {
    let source = Source { path: "a.yaml".into(), bytes: vec![b'x'; LARGEST_FILE + 1] };
    insta::assert_snapshot!(parse(&[source]).unwrap_err(), @r#"
    error: a.yaml: the file is larger than 64 MiB
      help: split it into several files in one folder

    1 problem
    "#);
}

#[test]
fn reading_stops_after_very_many_problems() {
    let text = format!("version: 1\ngroups: {{A: {{members: [{}]}}}}", "x,".repeat(20_000));
    let problems = parse_one(&text).unwrap_err();
    assert_eq!(problems.iter().count(), 10_000);
    assert!(problems.to_string().ends_with("10000 problems or more; reading stopped after these"));
}
