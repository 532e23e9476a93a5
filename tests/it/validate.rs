//! `validate` reports every problem of every file in one run, with its place and remedy.

use insta::assert_snapshot;

use crate::harness::{ACCOUNT, nothing};

#[test]
fn valid_files_are_counted() {
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
fn default_file_is_read() {
    assert_snapshot!(nothing().run("validate"), @"
    exit 65
    -- stderr
    error: there are no files: neither convoke.yaml nor the folder groups
    help: name the files with -f, or write the account's present groups to files: convoke export --out-dir groups
    ");
    nothing().groups(&[("Admins", &["alice@example.com"])]).run("validate").exits(0).says("Valid: 1 group, 1 ");
}

#[test]
fn all_problems_are_reported_in_one_run() {
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
    error: groups/first.yaml:4:21: `group_removals` must be a limit, not the text "120%"
      |     group_removals: 120%
      |                     ^
      help: write a number of removals (`group_removals: 5`), or a percentage up to 100% with at most two decimals (`group_removals: 12.5%`)

    error: groups/first.yaml:5:15: "root" is neither an email address nor an id: it has no "@"
      |   protected: [root]
      |               ^
      help: list email addresses and member ids

    error: groups/first.yaml:6:21: unknown unmanaged_groups "fail"
      |   unmanaged_groups: fail
      |                     ^
      help: expected one of: ignore, report, refuse

    error: groups/first.yaml:11:7: rosters use each other in a cycle: "a" -> "b" -> "a"
      |     - roster: a
      |       ^
      groups/first.yaml:9:7: "a" uses "b" here
      help: remove one of these entries, for example this one from roster "b"

    error: groups/first.yaml:12:1: unknown key "grups" in the file
      | grups: {}
      | ^
      help: did you mean "groups"?

    error: groups/first.yaml:15:11: unknown mode "strict"
      |     mode: strict
      |           ^
      help: expected one of: exact, additive, observe

    error: groups/first.yaml:18:9: "alice@@example.com" is not an email address: it has 2 "@"
      |       - alice@@example.com
      |         ^
      help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

    error: groups/first.yaml:20:9: BOB@example.com is listed twice in group "Admins"
      |       - BOB@example.com
      |         ^
      groups/first.yaml:19:9: it is first listed here
      help: remove one of the two

    error: groups/first.yaml:21:9: roster "ser" is not declared
      |       - roster: ser
      |         ^
      help: declare it under `rosters:` in any of the files

    error: groups/first.yaml:23:9: unknown key "untill" in an entry
      |         untill: 2026-12-31
      |         ^
      help: did you mean "until"?

    error: groups/first.yaml:26:16: `until` is not after `from`, so the entry never applies
      |         until: 2026-12-01
      |                ^
      groups/first.yaml:25:15: `from` is here
      help: a date in `until` is the last day; an instant is the first moment after

    error: groups/first.yaml:27:13: "123" is not a member id
      |       - id: 123
      |             ^
      help: a member id has 32 characters, each 0-9 or a-f

    error: groups/first.yaml:28:18: `min_members` must be a whole number, not the text "two"
      |     min_members: two
      |                  ^
      help: write a whole number without quotes, for example `min_members: 2`

    error: groups/first.yaml:29:18: `allow_empty` must be true or false, not the text "yes"
      |     allow_empty: yes
      |                  ^
      help: write `allow_empty: true` or `allow_empty: false`, without quotes

    error: groups/first.yaml:30:3: group "Billing" has no `members`
      |   Billing:
      |   ^
      help: add `members: []` if the group has no members

    error: groups/first.yaml:31:9: "not-an-id" is not a group id
      |     id: not-an-id
      |         ^
      help: a group id has 32 characters, each 0-9 or a-f

    error: groups/second.yaml:2:1: a second file has `settings`
      | settings:
      | ^
      groups/first.yaml:2:1: the first is here
      help: keep all settings in one file

    error: groups/second.yaml:5:3: roster "a" is declared twice
      |   a: []
      |   ^
      groups/first.yaml:8:3: it is first declared here
      help: merge the two, or rename one of them

    error: groups/second.yaml:7:3: group "Admins" is declared twice
      |   Admins:
      |   ^
      groups/first.yaml:14:3: it is first declared here
      help: merge the two

    19 problems
    "#);
}

#[test]
fn missing_or_unknown_version_is_refused() {
    let world = nothing().file("none.yaml", "groups: {}\n").file("two.yaml", "version: 2\n");
    assert_snapshot!(world.run("validate -f none.yaml -f two.yaml"), @r#"
    exit 65
    -- stderr
    error: none.yaml:1:1: the file has no `version`
      | groups: {}
      | ^
      help: add the line `version: 1` at the top

    error: two.yaml:1:10: `version` must be 1, not 2
      | version: 2
      |          ^
      help: this release of convoke reads only `version: 1`, without quotes

    2 problems
    "#);
}

#[test]
fn invalid_files_are_refused_with_place() {
    let world = nothing()
        .file("broken.yaml", "version: 1\ngroups:\n  Admins: [\n")
        .file("bytes.yaml", b"version: 1\n# caf\xe9\n")
        .file("empty.yaml", "")
        .file("list.yaml", "- version: 1\n")
        .file("twice.yaml", "version: 1\ngroups:\n  Admins:\n    members: []\n  Admins:\n    members: []\n");
    assert_snapshot!(world.run("validate -f broken.yaml -f bytes.yaml -f empty.yaml -f list.yaml -f twice.yaml"), @r#"
    exit 65
    -- stderr
    error: broken.yaml:3:11: invalid YAML: unclosed bracket '['
      |   Admins: [
      |           ^
      help: check the indentation, and put text in quotes that begins with a special character or contains ": "

    error: bytes.yaml:2:6: invalid UTF-8
      | # caf�
      |      ^
      help: save the file as UTF-8

    error: empty.yaml:1:1: the file is empty
      help: write `version: 1` and the groups, or delete the file

    error: list.yaml:1:1: the file is not a mapping
      | - version: 1
      | ^
      help: start with `version: 1`, then `groups:` with the groups below it

    error: twice.yaml:5:3: group "Admins" is declared twice
      |   Admins:
      |   ^
      twice.yaml:3:3: it is first declared here
      help: merge the two

    5 problems
    "#);
}

#[test]
fn empty_folder_and_missing_file_are_refused() {
    let world = nothing().file("empty/readme.txt", "nothing here");
    assert_snapshot!(world.run("validate -f empty -f missing.yaml"), @r#"
    exit 65
    -- stderr
    error: empty: there is no *.yaml or *.yml file below this folder
      help: name the folder that holds the groups with --file

    error: missing.yaml: cannot be read: No such file or directory (os error 2)
      help: name the file or folder that holds the groups with --file

    2 problems
    "#);
}

#[cfg(unix)]
#[test]
fn a_file_that_cannot_be_read_is_refused() {
    let world = nothing().file("groups/a.yaml", "version: 1\n");
    std::os::unix::fs::symlink("nowhere.yaml", world.path("groups/b.yaml")).unwrap();
    assert_snapshot!(world.run("validate -f groups"), @r#"
    exit 65
    -- stderr
    error: groups/b.yaml: the link to nowhere.yaml cannot be followed: No such file or directory (os error 2)
      help: correct the link, or remove it

    1 problem
    "#);
}

#[test]
fn yaml_aliases_that_multiply_are_refused() {
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
fn too_large_file_is_refused() {
    let world = nothing();
    std::fs::File::create(world.path("convoke.yaml")).unwrap().set_len((64 << 20) + 1).unwrap();
    assert_snapshot!(world.run("validate"), @r#"
    exit 65
    -- stderr
    error: convoke.yaml: the file is larger than 64 MiB
      help: split it into several files in one folder

    1 problem
    "#);
}

#[test]
fn differing_accounts_are_refused() {
    let file = format!("version: 1\naccount_id: {ACCOUNT}\ngroups: {{}}\n");
    let world = nothing().file("convoke.yaml", file);
    world.run(&format!("validate --account-id {ACCOUNT}")).exits(0);
    let world = world.env("CLOUDFLARE_ACCOUNT_ID", "ffffffffffffffffffffffffffffffff");
    assert_snapshot!(world.run("validate"), @"
    exit 65
    -- stderr
    error: two accounts are named: 023e105f4ecef8ad9ca31a8372d0c353 by the files at convoke.yaml:2, ffffffffffffffffffffffffffffffff by --account-id or CLOUDFLARE_ACCOUNT_ID
    help: check which account you mean, and remove the other
    ");
}

#[test]
fn names_from_a_file_cannot_steer_the_terminal() {
    let file = "version: 1\ngroups:\n  \"Ad\\e[31mmins\\u202e\":\n    members: [\"a\\e[2Jb\"]\n";
    let outcome = nothing().file("convoke.yaml", file).run("validate").exits(65);
    assert!(!outcome.stderr.contains(['\u{1b}', '\u{202e}']), "{outcome}");
}

/// Files that break each rule, with an unused roster.
const BROKEN_RULES: &str = "\
version: 1
rosters:
  finance: [erin@example.com]
  old: [zoe@example.com]
groups:
  Initiators:
    max_duration: 90d
    require_reason: true
    exclusive_with: [Approvers]
    members:
      - email: carol@example.com
        until: 2027-01-31
        reason: INC-4821 cover
      - email: dave@example.com
        until: 2026-12-31
      - roster: finance
        reason: they pay
  Approvers:
    members:
      - carol@example.com
      - email: dave@example.com
        from: 2027-01-01
";

#[test]
fn broken_rules_are_problems_of_the_files() {
    let world = nothing().file("convoke.yaml", BROKEN_RULES);
    let text = world.run("validate --at 2026-12-01");
    assert_snapshot!(text, @r#"
    exit 65
    -- stderr
    error: convoke.yaml:3:13: erin@example.com needs an `until`, because group "Initiators" has `max_duration: 90d`
      |   finance: [erin@example.com]
      |             ^
      convoke.yaml:16:9: group "Initiators" uses roster "finance" here
      convoke.yaml:7:5: `max_duration` is set here
      help: write `until: 2027-03-01` or an earlier time, here or in an entry that uses the roster

    error: convoke.yaml:11:9: carol@example.com belongs to Initiators, but is also in Approvers (convoke.yaml:20)
      |       - email: carol@example.com
      |         ^
      convoke.yaml:20:9: carol@example.com is in group "Approvers" here
      convoke.yaml:9:22: `exclusive_with` is set here
      help: remove one of the two entries, or give them times that do not overlap

    error: convoke.yaml:14:9: the entry of dave@example.com needs a `reason`, because group "Initiators" has `require_reason`
      |       - email: dave@example.com
      |         ^
      convoke.yaml:8:5: `require_reason` is set here
      help: add `reason:` to the entry, with a few words or a ticket

    3 problems
    "#);
    let github = world.run("validate --at 2026-12-01 --format github").exits(65);
    assert_eq!(github.stderr, text.stderr);
    assert_snapshot!(github.stdout, @r#"
    ::error file=convoke.yaml,line=3,col=13,title=Configuration::erin@example.com needs an `until`, because group "Initiators" has `max_duration: 90d`. convoke.yaml:16: group "Initiators" uses roster "finance" here. convoke.yaml:7: `max_duration` is set here. Help: write `until: 2027-03-01` or an earlier time, here or in an entry that uses the roster
    ::error file=convoke.yaml,line=11,col=9,title=Configuration::carol@example.com belongs to Initiators, but is also in Approvers (convoke.yaml:20). convoke.yaml:20: carol@example.com is in group "Approvers" here. convoke.yaml:9: `exclusive_with` is set here. Help: remove one of the two entries, or give them times that do not overlap
    ::error file=convoke.yaml,line=14,col=9,title=Configuration::the entry of dave@example.com needs a `reason`, because group "Initiators" has `require_reason`. convoke.yaml:8: `require_reason` is set here. Help: add `reason:` to the entry, with a few words or a ticket
    "#);
    let document = world.run("validate --at 2026-12-01 --format json").exits(65).json();
    assert_eq!(document["status"], "failed");
    assert_eq!(document["problems"].as_array().unwrap().len(), 3);
}

#[test]
fn end_can_be_within_max_duration_later() {
    let file = "version: 1\ngroups:\n  A:\n    max_duration: 30d\n    members: [{email: a@b.c, until: 2026-12-31}]\n";
    let world = nothing().file("convoke.yaml", file);
    world.run("validate --at 2026-11-30").exits(65).warns("write `until: 2026-12-30` or an earlier time");
    world.run("validate --at 2026-12-01").exits(0);
    world.run("validate --at 2026-12-01T12:00:00+01:00").exits(0);
    for wrong in ["2026-12-01T12:00", "2026-12-01T12:00:00", "2026-12-01T12:00:00+01:00[Europe/Berlin]", "tomorrow"] {
        world.run(&format!("validate --at {wrong}")).exits(64);
    }
}

#[test]
fn unused_roster_is_a_warning() {
    let file = "version: 1\nrosters:\n  a: [roster: b]\n  b: []\n  c: [x@example.com]\ngroups:\n  A:\n    members: [roster: c]\n";
    let world = nothing().file("convoke.yaml", file);
    assert_snapshot!(world.run("validate"), @r#"
    exit 0
    -- stdout
    Valid: 1 group, 1 declared membership
    -- stderr
    warning: convoke.yaml:3:3: roster "a" is not used by any group
      |   a: [roster: b]
      |   ^
      help: use it in a group with `- roster: a`, or remove it
    warning: convoke.yaml:4:3: roster "b" is not used by any group
      |   b: []
      |   ^
      help: use it in a group with `- roster: b`, or remove it
    "#);
    let document = world.run("validate --format json").exits(0).json();
    assert_eq!((&document["status"], &document["warnings"][1]["line"]), (&"unchanged".into(), &4.into()));
}

#[test]
fn an_unknown_group_in_exclusive_with_is_refused() {
    let file = "version: 1\ngroups:\n  Approvers:\n    exclusive_with: [Initiatros, Nobody, Approvers, Initiators, Initiators]\n    members: []\n  Initiators:\n    members: []\n";
    assert_snapshot!(nothing().file("convoke.yaml", file).run("validate"), @r#"
    exit 65
    -- stderr
    error: convoke.yaml:4:22: group "Initiatros" is not declared
      |     exclusive_with: [Initiatros, Nobody, Approvers, Initiators, Initiators]
      |                      ^
      help: did you mean "Initiators"?

    error: convoke.yaml:4:34: group "Nobody" is not declared
      |     exclusive_with: [Initiatros, Nobody, Approvers, Initiators, Initiators]
      |                                  ^
      help: declare the group, or remove it from `exclusive_with`

    error: convoke.yaml:4:42: a group cannot be exclusive with itself
      |     exclusive_with: [Initiatros, Nobody, Approvers, Initiators, Initiators]
      |                                          ^
      help: remove it from the list

    error: convoke.yaml:4:65: "Initiators" is listed twice in `exclusive_with`
      |     exclusive_with: [Initiatros, Nobody, Approvers, Initiators, Initiators]
      |                                                                 ^
      convoke.yaml:4:53: it is first listed here
      help: remove one of the two

    4 problems
    "#);
}

#[test]
fn probable_mistake_in_an_address_is_refused() {
    let file = "version: 1\ngroups:\n  A:\n    members:\n      - alice@example,com\n      - a@b.c,d@e.f\n      - mailto:a@b.c\n";
    assert_snapshot!(nothing().file("convoke.yaml", file).run("validate"), @r#"
    exit 65
    -- stderr
    error: convoke.yaml:5:9: "alice@example,com" is not an email address: it contains ','
      |       - alice@example,com
      |         ^
      help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

    error: convoke.yaml:6:9: "a@b.c,d@e.f" is not an email address: it has 2 "@"
      |       - a@b.c,d@e.f
      |         ^
      help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

    error: convoke.yaml:7:9: "mailto:a@b.c" is not an email address: it contains ':'
      |       - mailto:a@b.c
      |         ^
      help: write one address without a name: `- alice@example.com`; or a roster: `- roster: NAME`

    3 problems
    "#);
}

#[test]
fn tab_indentation_is_reported() {
    let indented = nothing().file("convoke.yaml", "version: 1\ngroups:\n\tA:\n\t\tmembers: []\n");
    assert_snapshot!(indented.run("validate"), @r#"
    exit 65
    -- stderr
    error: convoke.yaml:3:2: the line is indented with a tab
      |  A:
      |  ^
      help: use spaces

    1 problem
    "#);
    let list = nothing().file("convoke.yaml", "version: 1\ngroups:\n  A:\n    members:\n    \t- a@b.c\n");
    assert_snapshot!(list.run("validate"), @r#"
    exit 65
    -- stderr
    error: convoke.yaml:5:6: the line is indented with a tab
      |      - a@b.c
      |      ^
      help: use spaces

    1 problem
    "#);
}

#[cfg(unix)]
#[test]
fn pipe_is_read_unless_it_has_no_writer() {
    let world = nothing();
    let pipe = world.path("pipe");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let path = pipe.clone();
    let writer = std::thread::spawn(move || std::fs::write(path, "version: 1\ngroups:\n  A:\n    members: [a@b.c]\n"));
    world.run("validate -f pipe").exits(0).says("Valid: 1 group, 1 declared membership");
    writer.join().unwrap().unwrap();
    world.run("validate -f pipe").exits(65).warns("pipe: no program writes to this pipe");
    world.run("validate -f /dev/zero").exits(65).warns("/dev/zero: this is a device or a socket, not a file");
}

#[test]
fn the_environment_names_the_files() {
    let world = nothing()
        .file("groups/a.YAML", "version: 1\ngroups:\n  A:\n    members: [a@b.c]\n")
        .file("other.yaml", "version: 1\n")
        .env("CONVOKE_FILE", "groups");
    world.run("validate").exits(0).says("Valid: 1 group");
    world.run("validate -f other.yaml").exits(0).says("Valid: 0 groups");
}

/// A file with an invisible character at the beginning of an address, a reason and a group's name.
fn invisible(address: &str, reason: &str, group: &str) -> String {
    format!(
        "version: 1\ngroups:\n  \"{group}\":\n    members:\n      - \"{address}\"\n      - email: b@x.y\n        reason: \"{reason}\"\n"
    )
}

#[test]
fn invisible_characters_are_refused_in_addresses_and_reasons() {
    for odd in ["\\u200b", "\\u202e", "\\u3164", "\\u2800", "\\uFEFF", "\\u00ad", "\\e", "\\u00a0"] {
        let text = invisible(&format!("a{odd}@x.y"), &format!("a{odd}b"), "Ops");
        let said = nothing().file("convoke.yaml", text).run("validate").exits(65).stderr;
        assert!(said.contains("error: convoke.yaml:5:9: ") && said.contains("invisible character U+"), "{odd} {said}");
        assert!(said.contains("help: write a@x.y\n"), "{odd} {said}");
        assert!(
            said.contains("error: convoke.yaml:7:17: `reason` contains the invisible character U+"),
            "{odd} {said}"
        );
        let empty = invisible("a@x.y", odd, "Ops").replace("    members", "    require_reason: true\n    members");
        nothing().file("convoke.yaml", empty).run("validate").exits(65).warns(":8:17: `reason` contains");
        let named = invisible("a@x.y", "for a week", &format!("O{odd}ps"));
        let world = nothing().file("convoke.yaml", named);
        world.run("validate").exits(0).warns("warning: convoke.yaml:3:3: the name of group \"O").says("Valid: 1 group");
    }
    nothing().file("convoke.yaml", invisible("zo\u{eb}@x.y", "日本語 – Zoë’s", "Ops\u{e9}")).run("validate").exits(0);
}

#[test]
fn ends_that_a_guard_will_keep_are_warnings() {
    let text = "\
version: 1
settings:
  protected: [root@example.com]
rosters:
  later: [{email: bea@example.com, until: 2027-12-31}]
groups:
  Pair:
    min_members: 2
    members:
      - ann@example.com
      - {email: bea@example.com, until: 2027-06-30}
      - {roster: later, from: 2027-07-01}
  Empty:
    members:
      - {email: ann@example.com, until: 2026-12-31}
  Covered:
    members:
      - {email: ann@example.com, until: 2026-12-31}
      - {email: bea@example.com, from: 2027-01-01}
  Root:
    members:
      - ann@example.com
      - {email: root@example.com, until: 2026-12-31}
  Nobody:
    members: []
  Nobody Yet:
    allow_empty: true
    members: []
";
    assert_snapshot!(nothing().file("convoke.yaml", text).run("validate --at 2026-12-01"), @r#"
    exit 0
    -- stdout
    Valid: 6 groups, 8 declared memberships
    -- stderr
    warning: convoke.yaml:5:11: bea@example.com will stay in group "Pair" via later (convoke.yaml:12) after 2027-12-31: 1 would be left, and `min_members` is 2
      |   later: [{email: bea@example.com, until: 2027-12-31}]
      |           ^
      help: add somebody else before, or end it later
    warning: convoke.yaml:15:9: ann@example.com will stay in group "Empty" after 2026-12-31: Empty would be left empty
      |       - {email: ann@example.com, until: 2026-12-31}
      |         ^
      help: add somebody else before, or end it later
    warning: convoke.yaml:23:9: root@example.com will stay in group "Root" after 2026-12-31: `protected` keeps the person
      |       - {email: root@example.com, until: 2026-12-31}
      |         ^
      help: remove the person from `protected`
    warning: convoke.yaml:25:5: group "Nobody" has no members now, and a plan that empties it is refused
      |     members: []
      |     ^
      help: list its people, correct their times, or add `allow_empty: true`
    "#);
    let json = nothing().file("convoke.yaml", text).run("validate --at 2026-12-01 --format json").exits(0).json();
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(4));
}

#[test]
fn merge_conflict_markers_are_named_with_their_lines() {
    let text = "version: 1\ngroups:\n  Ops:\n    members:\n<<<<<<< HEAD\n      - ann@example.com\n=======\n      - bea@example.com\n>>>>>>> branch\n";
    assert_snapshot!(nothing().file("convoke.yaml", text).run("validate"), @"
    exit 65
    -- stderr
    error: convoke.yaml:5:1: the file has merge-conflict markers
      | <<<<<<< HEAD
      | ^
      convoke.yaml:7:1: another marker is here
      convoke.yaml:9:1: another marker is here
      help: keep what is right of both versions, and delete the lines of the markers

    1 problem
    ");
    let text = "version: 1\ngroups:\n  Ops:\n    members:\n      - email: a@b.c\n        reason: \"a <<<<<<< b\"\n";
    nothing().file("convoke.yaml", text).run("validate").exits(0);
}

#[test]
fn groups_that_are_too_small_now_are_warnings() {
    let text = "\
version: 1
groups:
  Over:
    members:
      - {email: ann@example.com, until: 2026-06-30}
  Few:
    min_members: 2
    members:
      - ann@example.com
  Open:
    mode: additive
    min_members: 2
    members: []
";
    let warned = nothing().file("convoke.yaml", text).run("validate --at 2026-12-01").exits(0).stderr;
    let over = "warning: convoke.yaml:4:5: group \"Over\" has no members now, and a plan that empties it is refused";
    let few = "warning: convoke.yaml:7:5: group \"Few\" has fewer people now (1) than `min_members` (2)";
    assert!(warned.contains(over) && warned.contains(few) && !warned.contains("\"Open\""), "{warned}");
}
