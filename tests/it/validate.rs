//! `validate`: every problem of every file in one run, each with its place and its remedy.

use insta::assert_snapshot;

use crate::harness::{ACCOUNT, nothing};

#[test]
fn files_that_are_right_are_counted() {
    let world = nothing()
        .file("groups/a.yaml", "version: 1\nrosters:\n  sre: [alice@example.com, bob@example.com]\n")
        .file("groups/sub/b.yml", "version: 1\ngroups:\n  Admins:\n    members:\n      - roster: sre\n")
        .file("extra.yaml", "version: 1\ngroups:\n  Billing:\n    members: [carol@example.com]\n");
    assert_snapshot!(world.run("validate -f groups -f extra.yaml"), @"");
}

#[test]
fn without_a_file_named_the_usual_one_is_read() {
    assert_snapshot!(nothing().run("validate"), @"");
    nothing().groups(&[("Admins", &["alice@example.com"])]).run("validate").exits(0).says("Valid: 1 group, 1 ");
}

#[test]
fn all_problems_of_all_files_come_in_one_run() {
    let first = "\
version: 1
settings:
  limits:
    group_removals: 120%
  protected: [root]
  unmanaged_groups: fail
rosters:
  a:
    - roster: b
  b:
    - roster: a
grups: {}
groups:
  Admins:
    mode: strict
    members:
      - alice@example
      - alice@@example.com
      - bob@example.com
      - BOB@example.com
      - roster: ser
      - email: carol@example.com
        untill: 2026-12-31
      - email: dave@example.com
        from: 2026-12-31
        until: 2026-12-01
      - id: 123
    min_members: two
    allow_empty: yes
  Billing:
    id: not-an-id
";
    let second = "\
version: 1
settings:
  unmanaged_groups: report
rosters:
  a: []
groups:
  Admins:
    members: []
";
    let world = nothing().file("groups/first.yaml", first).file("groups/second.yaml", second);
    assert_snapshot!(world.run("validate -f groups"), @"");
}

#[test]
fn a_file_without_a_version_or_with_another_is_refused() {
    let world = nothing().file("none.yaml", "groups: {}\n").file("two.yaml", "version: 2\n");
    assert_snapshot!(world.run("validate -f none.yaml -f two.yaml"), @"");
}

#[test]
fn what_is_no_yaml_or_no_text_or_nothing_is_refused_with_its_place() {
    let world = nothing()
        .file("broken.yaml", "version: 1\ngroups:\n  Admins: [\n")
        .file("bytes.yaml", b"version: 1\n# caf\xe9\n")
        .file("empty.yaml", "")
        .file("list.yaml", "- version: 1\n")
        .file("twice.yaml", "version: 1\ngroups:\n  Admins:\n    members: []\n  Admins:\n    members: []\n");
    assert_snapshot!(world.run("validate -f broken.yaml -f bytes.yaml -f empty.yaml -f list.yaml -f twice.yaml"), @"");
}

#[test]
fn a_folder_without_files_and_a_file_that_is_not_there_are_refused() {
    let world = nothing().file("empty/readme.txt", "nothing here");
    assert_snapshot!(world.run("validate -f empty -f missing.yaml"), @"");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let world = nothing().file("groups/a.yaml", "version: 1\n");
    std::os::unix::fs::symlink("nowhere.yaml", world.path("groups/b.yaml")).unwrap();
    assert_snapshot!(world.run("validate -f groups"), @"");
}

#[test]
fn a_bomb_is_refused_quickly() {
    let mut bomb = String::from("version: 1\nrosters:\n  a0: &a0 [x@example.com, y@example.com]\n");
    for level in 1..40 {
        let below = level - 1;
        bomb.push_str(&format!("  a{level}: &a{level} [*a{below}, *a{below}, *a{below}, *a{below}, *a{below}]\n"));
    }
    let outcome = nothing().file("convoke.yaml", bomb).run("validate").exits(65);
    assert!(outcome.stderr.starts_with("error: convoke.yaml:"), "{outcome}");
}

#[test]
fn rosters_that_multiply_are_refused_quickly() {
    let mut bomb = String::from("version: 1\nrosters:\n  a0: [x@example.com]\n");
    for level in 1..30 {
        let below = level - 1;
        bomb.push_str(&format!("  a{level}:\n"));
        for _ in 0..10 {
            bomb.push_str(&format!("    - roster: a{below}\n"));
        }
    }
    bomb.push_str("groups:\n  Admins:\n    members:\n      - roster: a29\n");
    let outcome = nothing().file("convoke.yaml", bomb).run("validate").exits(65);
    assert!(outcome.stderr.starts_with("error: convoke.yaml:"), "{outcome}");
}

#[test]
fn a_file_that_is_too_large_is_refused() {
    let world = nothing();
    std::fs::File::create(world.path("convoke.yaml")).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_snapshot!(world.run("validate"), @"");
}

#[test]
fn two_accounts_that_differ_are_refused_and_the_same_account_twice_is_not() {
    let file = format!("version: 1\naccount_id: {ACCOUNT}\ngroups: {{}}\n");
    let world = nothing().file("convoke.yaml", file);
    world.run(&format!("validate --account-id {ACCOUNT}")).exits(0);
    let world = world.env("CLOUDFLARE_ACCOUNT_ID", "ffffffffffffffffffffffffffffffff");
    assert_snapshot!(world.run("validate"), @"");
}

#[test]
fn names_from_a_file_cannot_steer_the_terminal() {
    let file = "version: 1\ngroups:\n  \"Ad\\e[31mmins\\u202e\":\n    members: [\"a\\e[2Jb\"]\n";
    let outcome = nothing().file("convoke.yaml", file).run("validate").exits(65);
    assert!(!outcome.stderr.contains(['\u{1b}', '\u{202e}']), "{outcome}");
}
