//! `validate`: every problem of every file in one run, each with its place and its remedy.

use insta::assert_snapshot;

use crate::harness::{ACCOUNT, nothing};

#[test]
fn files_that_are_right_are_counted() {
    let world = nothing()
        .file("groups/a.yaml", "version: 1\nrosters:\n  sre: [alice@example.com, bob@example.com]\n")
        .file("groups/sub/b.yml", "version: 1\ngroups:\n  Admins:\n    members:\n      - roster: sre\n")
        .file("extra.yaml", "version: 1\ngroups:\n  Billing:\n    members: [carol@example.com]\n");
    assert_snapshot!(world.run("validate -f groups -f extra.yaml"), @"
    exit 0
    -- stdout
    Valid: 2 groups, 3 declared memberships
    ");
}

#[test]
fn without_a_file_named_the_usual_one_is_read() {
    assert_snapshot!(nothing().run("validate"), @"
    exit 65
    -- stderr
    error: convoke.yaml: cannot be read: No such file or directory (os error 2)
      help: name the file or folder that holds the groups with --file

    1 problem
    ");
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
    assert_snapshot!(world.run("validate -f groups"), @r#"
    exit 65
    -- stderr
    error: groups/first.yaml:4:21: "120%" is not a limit: it is more than 100%
      |     group_removals: 120%
      |                     ^
      help: write 100% to set no limit

    groups/first.yaml:5:15: "root" is neither an email address nor an id: it has 0 "@", an address has one
      |   protected: [root]
      |               ^
      help: list email addresses and member ids

    groups/first.yaml:6:21: unknown unmanaged_groups "fail"
      |   unmanaged_groups: fail
      |                     ^
      help: what can stand here: ignore, report, refuse

    groups/first.yaml:11:7: rosters name each other in a circle: "a" -> "b" -> "a"
      |     - roster: a
      |       ^
      groups/first.yaml:9:7: "a" names "b" here
      help: take one of the rosters out of another, for example this one out of "b"

    groups/first.yaml:12:1: unknown key "grups" in the file
      | grups: {}
      | ^
      help: did you mean "groups"?

    groups/first.yaml:15:11: unknown mode "strict"
      |     mode: strict
      |           ^
      help: what can stand here: exact, additive, observe

    groups/first.yaml:18:9: "alice@@example.com" is not an email address: it has 2 "@", an address has one
      |       - alice@@example.com
      |         ^
      help: write one address: `- alice@example.com`

    groups/first.yaml:20:9: BOB@example.com is in the list of group "Admins" twice
      |       - BOB@example.com
      |         ^
      groups/first.yaml:19:9: it is listed here first
      help: take one of the two out

    groups/first.yaml:21:9: no file declares a roster "ser"
      |       - roster: ser
      |         ^
      help: declare it below `rosters:`, in any of the files: `ser: […]`

    groups/first.yaml:23:9: unknown key "untill" in an entry
      |         untill: 2026-12-31
      |         ^
      help: did you mean "until"?

    groups/first.yaml:26:16: nobody would ever belong: `until` is not after `from`
      |         until: 2026-12-01
      |                ^
      groups/first.yaml:25:15: `from` stands here
      help: an `until` day is the last day; an `until` instant is the first moment after

    groups/first.yaml:27:13: "123" is not a member id: its length is 3
      |       - id: 123
      |             ^
      help: a member id is 32 of the characters 0-9 and a-f

    groups/first.yaml:28:18: `min_members` must be a whole number, this is the text "two"
      |     min_members: two
      |                  ^
      help: write a whole number, for example `min_members: 2`

    groups/first.yaml:29:18: `allow_empty` must be true or false, this is the text "yes"
      |     allow_empty: yes
      |                  ^
      help: write `allow_empty: true`

    groups/first.yaml:30:3: group "Billing" has no `members`
      |   Billing:
      |   ^
      help: write `members: []` if it shall have none

    groups/first.yaml:31:9: "not-an-id" is not a group id: it holds "n"
      |     id: not-an-id
      |         ^
      help: a group id is 32 of the characters 0-9 and a-f

    groups/second.yaml:2:1: `settings` stands in a second file
      | settings:
      | ^
      groups/first.yaml:2:1: it stands here first
      help: keep all settings in one file

    groups/second.yaml:5:3: roster "a" is declared twice
      |   a: []
      |   ^
      groups/first.yaml:8:3: it is declared here first
      help: put all its people into one of the two, or rename one

    groups/second.yaml:7:3: group "Admins" is declared twice
      |   Admins:
      |   ^
      groups/first.yaml:14:3: it is declared here first
      help: put all its members into one of the two

    19 problems
    "#);
}

#[test]
fn a_file_without_a_version_or_with_another_is_refused() {
    let world = nothing().file("none.yaml", "groups: {}\n").file("two.yaml", "version: 2\n");
    assert_snapshot!(world.run("validate -f none.yaml -f two.yaml"), @r#"
    exit 65
    -- stderr
    error: none.yaml:1:1: the file does not say its version
      | groups: {}
      | ^
      help: put `version: 1` on its first line

    two.yaml:1:10: version "2" of the file format is not known
      | version: 2
      |          ^
      help: this release reads `version: 1`

    2 problems
    "#);
}

#[test]
fn what_is_no_yaml_or_no_text_or_nothing_is_refused_with_its_place() {
    let world = nothing()
        .file("broken.yaml", "version: 1\ngroups:\n  Admins: [\n")
        .file("bytes.yaml", b"version: 1\n# caf\xe9\n")
        .file("empty.yaml", "")
        .file("list.yaml", "- version: 1\n")
        .file("twice.yaml", "version: 1\ngroups:\n  Admins:\n    members: []\n  Admins:\n    members: []\n");
    assert_snapshot!(world.run("validate -f broken.yaml -f bytes.yaml -f empty.yaml -f list.yaml -f twice.yaml"), @r#"
    exit 65
    -- stderr
    error: broken.yaml:3:11: this cannot be read as YAML: unclosed bracket '['
      |   Admins: [
      |           ^
      help: check the indentation, and quote text that begins with a special character or holds ": "

    bytes.yaml:2:6: this byte is not UTF-8
      | # caf�
      |      ^
      help: save the file as UTF-8

    empty.yaml:1:1: the file declares nothing
      help: write `version: 1` and the groups, or take the file away

    list.yaml:1:1: the file is not a mapping
      | - version: 1
      | ^
      help: begin with `version: 1`, then `groups:` with the groups below it

    twice.yaml:5:3: group "Admins" is declared twice
      |   Admins:
      |   ^
      twice.yaml:3:3: it is declared here first
      help: put all its members into one of the two

    5 problems
    "#);
}

#[test]
fn a_folder_without_files_and_a_file_that_is_not_there_are_refused() {
    let world = nothing().file("empty/readme.txt", "nothing here");
    assert_snapshot!(world.run("validate -f empty -f missing.yaml"), @"
    exit 65
    -- stderr
    error: empty: there is no *.yaml or *.yml file below this folder
      help: name the folder that holds the groups with --file

    missing.yaml: cannot be read: No such file or directory (os error 2)
      help: name the file or folder that holds the groups with --file

    2 problems
    ");
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let world = nothing().file("groups/a.yaml", "version: 1\n");
    std::os::unix::fs::symlink("nowhere.yaml", world.path("groups/b.yaml")).unwrap();
    assert_snapshot!(world.run("validate -f groups"), @"
    exit 65
    -- stderr
    error: groups/b.yaml: cannot be read: No such file or directory (os error 2)
      help: name the file or folder that holds the groups with --file

    1 problem
    ");
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
    assert_snapshot!(world.run("validate"), @"
    exit 65
    -- stderr
    error: convoke.yaml: the file is larger than 64 MiB
      help: split it into several files, and name their folder

    1 problem
    ");
}

#[test]
fn two_accounts_that_differ_are_refused_and_the_same_account_twice_is_not() {
    let file = format!("version: 1\naccount_id: {ACCOUNT}\ngroups: {{}}\n");
    let world = nothing().file("convoke.yaml", file);
    world.run(&format!("validate --account-id {ACCOUNT}")).exits(0);
    let world = world.env("CLOUDFLARE_ACCOUNT_ID", "ffffffffffffffffffffffffffffffff");
    assert_snapshot!(world.run("validate"), @"
    exit 65
    -- stderr
    error: two accounts are named: 023e105f4ecef8ad9ca31a8372d0c353 by the files at convoke.yaml:2, ffffffffffffffffffffffffffffffff by --account-id or CLOUDFLARE_ACCOUNT_ID
    help: make sure which account is meant, and drop the other
    ");
}

#[test]
fn names_from_a_file_cannot_steer_the_terminal() {
    let file = "version: 1\ngroups:\n  \"Ad\\e[31mmins\\u202e\":\n    members: [\"a\\e[2Jb\"]\n";
    let outcome = nothing().file("convoke.yaml", file).run("validate").exits(65);
    assert!(!outcome.stderr.contains(['\u{1b}', '\u{202e}']), "{outcome}");
}
