//! `grant` adds, extends and replaces entries, and never removes access.

use insta::assert_snapshot;

use super::*;

#[test]
fn grant_shows_the_difference_and_the_line() {
    let world = world(&ops("\n      - alice@example.com\n"));
    assert_snapshot!(run(&world, "grant carol@example.com Ops --until +8h --reason 'INC-4821 cover'"), @r#"
    exit 0
    -- stdout
    --- a/convoke.yaml
    +++ b/convoke.yaml
    @@ -4,3 +4,6 @@
         allow_empty: true
         members:
           - alice@example.com
    +      - email: carol@example.com
    +        until: 2026-12-01T20:00:00Z
    +        reason: INC-4821 cover
    add carol@example.com to group "Ops" (convoke.yaml:7)
    -- stderr
    1 file written.
    "#);
    assert_eq!(
        text_of(&world, "convoke.yaml"),
        ops(
            "\n      - alice@example.com\n      - email: carol@example.com\n        until: 2026-12-01T20:00:00Z\n        reason: INC-4821 cover\n"
        )
    );
}

#[test]
fn dry_run_prints_the_same_and_writes_nothing() {
    let text = ops(" []\n");
    let (dry, wet) = (world(&text), world(&text));
    let said = run(&dry, "grant carol@example.com Ops --dry-run").exits(0);
    assert_eq!(text_of(&dry, "convoke.yaml"), text);
    assert_eq!(said.stdout, run(&wet, "grant carol@example.com Ops").exits(0).stdout);
    assert_eq!(run(&dry, "grant carol@example.com Ops --dry-run --format json").json()["written"], false);
}

#[test]
fn json_names_each_change_with_its_new_line() {
    let world = world("version: 1\nrosters:\n  sre: []\ngroups:\n  Ops: {members: [], allow_empty: true}\n");
    let document = run(&world, "grant 4F5F0C14A2A41D5063DD301B2F829F04 --roster sre --format json").exits(0).json();
    assert_eq!(document["status"], "changes");
    assert_eq!(document["written"], true);
    let change = serde_json::json!({
        "action": "add", "person": "4f5f0c14a2a41d5063dd301b2f829f04", "roster": "sre", "file": "convoke.yaml", "line": 4
    });
    assert_eq!(document["changes"], serde_json::json!([change]));
    let document = run(&world, "grant 4f5f0c14a2a41d5063dd301b2f829f04 --roster sre --format json").exits(0).json();
    assert_eq!((&document["status"], &document["written"]), (&"unchanged".into(), &false.into()));
}

#[test]
fn several_lists_change_in_one_run_or_none() {
    let text = "version: 1\nrosters:\n  a: [x@y.z]\n  b: [x@y.z]\ngroups:\n  Ops:\n    members:\n      - roster: a\n      - roster: b\n";
    assert_eq!(after(text, "grant q@y.z --roster a --roster b"), text.replace("[x@y.z]", "[q@y.z, x@y.z]"));
    let refusal = refused(text, "grant q@y.z --roster a --roster c", 64);
    assert!(refusal.contains("no file declares a roster \"c\""), "{refusal}");
}

#[test]
fn somebody_in_the_group_already_is_left_unchanged() {
    let text = "version: 1\nrosters:\n  sre:\n    - alice@example.com\ngroups:\n  Ops:\n    members:\n      - roster: sre\n      - email: bob@example.com\n        until: 2026-12-24\n";
    let world = world(text);
    run(&world, "grant Alice@Example.com Ops --until +2w")
        .exits(0)
        .says("is already in group \"Ops\" (convoke.yaml:4)");
    run(&world, "grant bob@example.com Ops --until 2026-12-24").exits(0).says("(convoke.yaml:9)");
    assert_eq!(text_of(&world, "convoke.yaml"), text);
    run(&world, "grant bob@example.com Ops").exits(0).says("change bob@example.com in group \"Ops\" (convoke.yaml:9)");
    assert_eq!(text_of(&world, "convoke.yaml"), text.replace("        until: 2026-12-24\n", ""));
}

#[test]
fn grant_replaces_an_ended_entry() {
    let text = ops("\n      - email: a@b.c\n        until: 2026-11-01\n        reason: old\n");
    assert_eq!(after(&text, "grant a@b.c Ops"), ops("\n      - a@b.c\n"));
}

#[test]
fn gap_between_two_times_is_refused() {
    let text = ops("\n      - email: a@b.c\n        from: 2026-12-20\n");
    let refusal = refused(&text, "grant a@b.c Ops --until 2026-12-10", 65);
    assert!(refusal.starts_with("error: convoke.yaml:6:9: "), "{refusal}");
    assert!(refusal.contains("2026-12-20") && refusal.contains("2026-12-10"), "{refusal}");
    assert!(refusal.contains("run: convoke grant a@b.c Ops\n"), "{refusal}");
}

#[test]
fn suggested_spanning_command_works() {
    let world = nothing()
        .file("my groups/a.yaml", ops("\n      - email: a@b.c\n        from: 2026-12-20\n        until: 2026-12-24\n"));
    let refusal = run(&world, "grant a@b.c Ops -f 'my groups' --until +3d").exits(65).stderr;
    let command = refusal.split("convoke grant ").nth(1).unwrap().lines().next().unwrap();
    assert_eq!(command, "a@b.c Ops --until 2026-12-24 -f 'my groups'");
    run(&world, &format!("grant {command}")).exits(0);
    assert_eq!(text_of(&world, "my groups/a.yaml"), ops("\n      - email: a@b.c\n        until: 2026-12-24\n"));
}

#[test]
fn wrong_usage_is_64() {
    let text = ops("\n      - alice@example.com\n");
    for line in [
        "grant",
        "grant alice@example.com",
        "grant alice Ops",
        "grant alice@example.com Ops --roster x",
        "grant alice@example.com Ops --token-file x",
        "grant zzzzzzzzzzzzzzzzzzzzzzzzzzzzzzzz Ops",
        "grant alice@example.com Oops",
        "grant a@b.c Ops --until tomorrow",
        "grant a@b.c Ops --until 8h",
        "grant a@b.c Ops --until 2026-12-31T10:00:00",
        "grant a@b.c Ops --until 2026-11-30",
        "grant a@b.c Ops --until +0h",
        "grant a@b.c Ops --from 2026-12-31 --until 2026-12-30",
        "grant a@b.c Ops --reason ''",
        "grant a@b.c Ops --reason 'a\tb'",
    ] {
        refused(&text, line, 64);
    }
    assert!(refused(&text, "grant a@b.c Oops", 64).contains("did you mean \"Ops\"?"));
}

#[test]
fn observed_group_is_edited_with_a_note() {
    let world = world("version: 1\ngroups:\n  Ops:\n    mode: observe\n    members: [a@b.c]\n");
    run(&world, "grant d@b.c Ops").exits(0).warns("group \"Ops\" is observed: convoke does not write there");
    run(&world, "revoke d@b.c Ops").exits(0).warns("group \"Ops\" is observed: convoke does not write there");
}

#[test]
fn variables_of_other_commands_are_ignored() {
    let world = nothing()
        .file("groups/a.yaml", ops(" []\n"))
        .env("CONVOKE_FILE", "groups")
        .env("CLOUDFLARE_ACCOUNT_ID", "nonsense");
    run(&world, "grant a@b.c Ops").exits(0);
    assert!(text_of(&world, "groups/a.yaml").ends_with("members:\n      - a@b.c\n"));
}

#[test]
fn second_breach_of_one_person_is_new() {
    let text = "version: 1\nrosters:\n  web:\n    - { email: alice@example.com, until: 2027-06-01 }\ngroups:\n  Ops:\n    \
                max_duration: 30d\n    members:\n      - roster: web\n";
    let said = refused(text, "grant alice@example.com Ops --until 2028-01-01", 65);
    assert!(said.contains("max_duration"), "{said}");
}

#[test]
fn grant_names_a_probable_typo_and_a_second_person() {
    let text = ops("\n      - ann@example.com\n      - zoe@b\u{fc}cher.example\n");
    run(&world(&text), "grant amn@example.com Ops").exits(0).warns("in no list yet; did you mean ann@example.com?");
    run(&world(&text), "grant zoe@xn--bcher-kva.example Ops").exits(0).warns("did you mean zoe@b\u{fc}cher.example?");
    assert!(!run(&world(&text), "grant ann@example.com Ops").exits(0).stderr.contains("did you mean"));
    let said = refused(&text, "grant bob@example.com kim@example.com Ops", 64);
    assert!(said.contains("kim@example.com is not a group: one command edits one person"), "{said}");
    let said = refused(&text, "revoke ann@example.com kim@example.com", 64);
    assert!(said.contains("one command edits one person"), "{said}");
}

#[test]
fn times_that_cannot_be_read_say_what_to_write() {
    let text = ops("\n      - ann@example.com\n");
    assert!(refused(&text, "grant bob@example.com Ops --until +1m", 64).contains("write +30d"));
    assert!(refused(&text, "grant bob@example.com Ops --until 8h", 64).contains("write +8h"));
    let limited = text.replace("allow_empty: true", "max_duration: 90d");
    let said = refused(&limited, "grant bob@example.com Ops", 65);
    assert!(said.contains("help: use `--until +90d` or an earlier end"), "{said}");
    let said = refused(&limited, "grant bob@example.com Ops --from 2027-01-01", 65);
    assert!(said.contains("help: use `--until 2027-04-01` or an earlier"), "{said}");
}

#[test]
fn earlier_end_names_the_command_that_ends() {
    let text = ops("\n      - email: ann@example.com\n        until: 2026-12-31\n");
    let outcome = run(&world(&text), "grant ann@example.com Ops --until 2026-12-10").exits(0);
    outcome.says("unchanged: ").warns(
        "stays in group \"Ops\" until 2026-12-31; to end it earlier, run: convoke revoke ann@example.com Ops --until 2026-12-10",
    );
}

#[test]
fn address_that_begins_with_a_digit_is_plain() {
    assert_eq!(after(&ops(" []\n"), "grant 1e5@example.com Ops"), ops("\n      - 1e5@example.com\n"));
    let text = after(&ops(" []\n"), "grant 007@example.com Ops --until 2026-12-31");
    assert!(text.contains("- email: 007@example.com\n"), "{text}");
}

#[test]
fn a_reason_that_is_not_written_is_named() {
    let world = world(&ops("\n      - a@b.c\n"));
    run(&world, "grant a@b.c Ops --until 2026-12-24 --reason cover").exits(0).warns("--reason is not written");
    let said = run(&super::world(&ops("\n      - {email: a@b.c, reason: cover}\n")), "grant a@b.c Ops --reason cover")
        .exits(0);
    assert!(!said.stderr.contains("not written"), "{said}");
}
