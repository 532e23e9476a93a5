//! Plans of a part: the groups that a change touches, and changes that are due.

use std::collections::BTreeMap;

use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::{World, config, given, in_sync, people};

/// The number of requests by operation.
fn counts(world: &World) -> BTreeMap<String, usize> {
    world.account().request_counts().into_iter().map(|(endpoint, count)| (format!("{endpoint:?}"), count)).collect()
}

fn pair() -> Seed {
    Seed::default()
        .person("new@example.com")
        .group("Ops", ["alice@example.com", "bob@example.com", "mallory@example.com"])
        .group("Dev", ["alice@example.com", "trent@example.com"])
}

/// Ops with these entries, one per line.
fn ops(entries: &str) -> World {
    let entries: String = entries.trim().lines().map(|line| format!("      - {}\n", line.trim())).collect();
    let settings = "settings:\n  limits: { group_removals: 100% }\n";
    let file = format!("version: 1\n{settings}groups:\n  Ops:\n    members:\n{entries}");
    given(pair()).file("convoke.yaml", file)
}

/// Ops and Dev with these members, before and after the change.
fn review(base: [&[&str]; 2], head: [&[&str]; 2]) -> World {
    let file = |[ops, dev]: [&[&str]; 2]| config(&[("Ops", ops), ("Dev", dev)]);
    given(pair()).file("base/convoke.yaml", file(base)).file("convoke.yaml", file(head))
}

#[test]
fn change_of_a_roster_touches_its_groups() {
    let world = in_sync(&[40; 500], |seed| seed.person("new@example.com"));
    let base = world.read("convoke.yaml");
    let group = |text: &str, name: &str, by: &str| text.replacen(&format!("  {name}:\n    members:\n"), by, 1);
    // The members of g1 come from a roster, and only the roster changes.
    let rostered = |extra: &str| {
        let members: String = people("g1", 40).iter().map(|email| format!("    - {email}\n")).collect();
        let own: String = people("g1", 40).iter().map(|email| format!("      - {email}\n")).collect();
        let text = base.replace(&own, "");
        let text = group(&text, "g1", "  g1:\n    members:\n      - roster: team\n");
        text.replace("groups:\n", &format!("rosters:\n  team:\n{members}{extra}groups:\n"))
    };
    world.write("base.yaml", rostered(""));
    let head = rostered("    - g0-0000@example.com\n");
    world.write("convoke.yaml", group(&head, "g2", "  g2:\n    members:\n      - g0-0001@example.com\n"));
    let outcome = world.run("plan --base base.yaml --only-changed --format json").exits(0);
    let plan = outcome.json();
    let names: Vec<&str> = plan["groups"].as_array().unwrap().iter().map(|it| it["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["g1", "g2"]);
    // The people of g0 are in no group that is read, so the account's members are read.
    let requests = counts(&world);
    assert_eq!((requests["ListGroups"], requests["ListMembers"]), (1, 2), "{requests:?}");
}

#[test]
fn only_touched_groups_are_read() {
    let leaving = [
        ("Left", ["ada@example.com", "grace.hopper@example.com"]),
        ("Right", ["ada@example.com", "linus.torvalds@example.com"]),
    ];
    let world =
        in_sync(&[40; 500], |seed| leaving.iter().fold(seed, |seed, (name, members)| seed.group(name, *members)));
    let groups = |members: usize| -> String {
        let list =
            |it: &[&str; 2]| it.iter().take(members).map(|email| format!("      - {email}\n")).collect::<String>();
        leaving.iter().map(|(name, it)| format!("  {name}:\n    members:\n{}", list(it))).collect()
    };
    let files = world.read("convoke.yaml");
    world.write("base.yaml", format!("{files}{}", groups(2)));
    world.write("convoke.yaml", format!("{files}{}", groups(1)));
    world.run("plan --base base.yaml --only-changed --accept-self").exits(0).says("0 to add, 2 to remove");
    let requests = counts(&world);
    assert_eq!((requests["ListGroups"], requests["ListMembers"]), (2, 2), "{requests:?}");
}

#[test]
fn one_change_has_one_verdict_on_its_removals() {
    // A leaver is in six of twelve groups. The plan of all groups and that of the touched ones are judged alike.
    let all: Vec<String> = (0..12).map(|group| format!("g{group}")).collect();
    let mut seed = Seed::default();
    let (mut base, mut head) = (String::from("version: 1\ngroups:\n"), String::from("version: 1\ngroups:\n"));
    for (number, name) in all.iter().enumerate() {
        let own = people(name, 8);
        let leaves = if number < 6 { vec!["leaver@example.com".to_owned()] } else { Vec::new() };
        let list = |members: &[String]| format!("  {name}: {{members: [{}]}}\n", members.join(", "));
        base += &list(&[own.clone(), leaves.clone()].concat());
        head += &list(&own);
        seed = seed.group(name, [own, leaves].concat());
    }
    let world = given(seed).file("base.yaml", base).file("convoke.yaml", head.clone());
    for narrowed in ["", "--base base.yaml --only-changed"] {
        world.run(&format!("plan {narrowed}")).exits(0).says("0 to add, 6 to remove");
    }
    // A limit that forbids them forbids them in both.
    world.write("convoke.yaml", head.replace("groups:", "settings: {limits: {total_removals: 6%}}\ngroups:"));
    for narrowed in ["", "--base base.yaml --only-changed"] {
        let said = "6 memberships would be removed in total, but the limit allows at most 5 (6% of 96 declared, set at";
        world.run(&format!("plan {narrowed}")).exits(3).says(said);
    }
}

#[test]
fn ends_that_a_change_writes_count_and_are_shown_first() {
    let entries = |end: &str| {
        let gone = ["bob", "mallory"].map(|name| format!("      - {{email: {name}@example.com{end}}}\n")).concat();
        format!("version: 1\ngroups:\n  Ops:\n    members:\n      - alice@example.com\n{gone}")
    };
    let world = given(pair()).file("convoke.yaml", entries(", until: 2026-06-14"));
    let plan = |base: &str, format: &str| {
        world.write("base.yaml", entries(base));
        world.run(&format!("plan --at 2026-06-16 --base base.yaml --format {format}"))
    };
    plan(", until: 2026-06-14", "text").exits(0).says("0 to add, 2 to remove");
    for base in ["", ", until: 2026-06-20"] {
        let shown = plan(base, "text").exits(3).says("group_removals  Ops:");
        let first =
            "Access that this change ends at once, because the end that it writes has passed\n  2 members in 1 group\n";
        assert!(shown.stdout.starts_with(first), "{shown}");
        plan(base, "markdown").exits(3).says("**Access that this change ends at once").says("- 2 members in 1 group");
        plan(base, "github").exits(3).says("title=Ends access at once::2 members in 1 group");
    }
}

#[test]
fn a_broken_base_labels_nothing_and_plans_everything() {
    let world = review([&[], &[]], [&["alice@example.com"], &["alice@example.com"]]);
    world.write("base/convoke.yaml", "version: 1\ngruops: {}\n");
    let outcome = world.run("plan --base base --only-changed --format json").exits(0).warns("the base cannot be used");
    let plan = outcome.json();
    assert_eq!(plan["groups"].as_array().unwrap().len(), 2);
    assert_eq!(plan["groups"][0]["changes"][0]["since"], serde_json::Value::Null);
}

#[test]
fn loosened_settings_are_reported() {
    let world =
        review([&["alice@example.com"], &["alice@example.com"]], [&["alice@example.com"], &["alice@example.com"]]);
    let base = world.read("convoke.yaml").replace("settings:\n", "settings:\n  protected: [alice@example.com]\n");
    world.write("base/convoke.yaml", base);
    let head = world.read("convoke.yaml").replace("  Dev:\n", "  Dev:\n    mode: additive\n");
    world.write("convoke.yaml", head);
    let plan = world.run("plan --base base --only-changed --format json").exits(0).json();
    let changes: Vec<String> = plan["base_changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| format!("{} {} {} -> {}", it["group"], it["setting"], it["before"], it["after"]))
        .collect();
    assert_eq!(changes, [r#"null "protected" "alice@example.com" -> null"#, r#""Dev" "mode" "exact" -> "additive""#]);
}

#[test]
fn loosening_is_reported_in_every_format() {
    let members: [&[&str]; 2] = [&["alice@example.com"], &["alice@example.com"]];
    let world = review(members, members);
    let head = world.read("convoke.yaml").replace("  Dev:\n", "  Dev:\n    min_members: 1\n");
    world.write("base/convoke.yaml", head.replace("min_members: 1", "min_members: 2").replace("100%", "1"));
    world.write("convoke.yaml", head);
    let plan = |format: &str| world.run(&format!("plan --base base --only-changed --format {format}")).exits(0);
    let json = plan("json").json();
    let loosened = json["base_changes"].as_array().unwrap().iter().filter(|change| change["loosens"] == true);
    assert_eq!(loosened.count(), 3, "{json}");
    plan("text").says("Dev: min_members changes from 2 to 1").says("limits.group_removals changes from 1 to 100%");
    plan("markdown").says("**Loosened.**").says("in `Dev`: `min_members` changes from 2 to 1");
    plan("github").says("title=Loosened%3A Dev::min_members changes from 2 to 1");
    // An apply of the change reports it too. Without a base there is nothing to report.
    world.run("apply --yes --base base --only-changed").exits(0).says("This change loosens protections");
    assert!(!world.run("plan").exits(0).stdout.contains("loosens"));
}

#[test]
fn a_dropped_group_is_reported() {
    let world = review([&["alice@example.com"], &["alice@example.com"]], [&[], &[]]);
    world.write("convoke.yaml", config(&[("Ops", &["alice@example.com"])]));
    let plan = world.run("plan --base base --only-changed --format json").exits(0).json();
    assert_eq!(plan["base_changes"][0]["setting"], "group");
    assert_eq!(plan["summary"]["groups"], 0);
}

#[test]
fn a_leave_waits_while_another_group_misses_the_person() {
    // Dev declares mallory before and after, but does not have her.
    let dev: &[&str] = &["alice@example.com", "mallory@example.com"];
    let world = review(
        [&["alice@example.com", "bob@example.com", "mallory@example.com"], dev],
        [&["alice@example.com", "bob@example.com"], dev],
    );
    let waits = world.run("apply --yes --base base --only-changed").exits(5);
    waits.says("mallory@example.com").says("declared in Dev at convoke.yaml:12, and not there yet");
    assert_eq!(world.writes(), Vec::<String>::new());
    world.account().add("Dev", "mallory@example.com");
    world.run("apply --yes --base base --only-changed").exits(0);
    assert_eq!(world.writes(), ["DELETE Ops: mallory@example.com"]);
    assert!(world.members("Dev").contains(&"trent@example.com".into()), "nothing else of Dev is changed");
}

#[test]
fn due_applies_only_due_changes() {
    let world = ops("
        alice@example.com
        { email: mallory@example.com, until: 2026-01-01 }
        { email: new@example.com, from: 2026-01-01 }
        trent@example.com
    ");
    world.run("apply --yes --due --at 2026-02-01").exits(0);
    assert_eq!(world.writes(), ["POST Ops: new@example.com", "DELETE Ops: mallory@example.com"]);
    world.run("plan --due --at 2026-02-01 --detailed-exitcode").exits(0);
    world.run("plan --at 2026-02-01 --detailed-exitcode").exits(2);
    // Bob is not declared and trent is not added, so the group is not called in sync.
    world.run("apply --yes --due --at 2026-02-01").exits(0).says("0 of 1 group in sync.");
    assert_eq!(world.run("apply --yes --due --at 2026-02-01 --format json").exits(0).json()["status"], "changes");
}

#[test]
fn due_ignores_a_blocked_entry_without_dates() {
    let file = "version: 1
settings:
  limits: { group_removals: 100% }
groups:
  Ops:
    members:
      - alice@example.com
      - stranger@elsewhere.example
  Missing:
    members: [alice@example.com]
";
    let world = given(pair()).file("convoke.yaml", file);
    world.run("plan --due --at 2026-02-01").exits(0);
    let report = world.run("apply --yes --due --at 2026-02-01 --format json").exits(0).json();
    assert_eq!((&report["status"], &report["blocked"]), (&"changes".into(), &serde_json::json!([])));
    world.run("plan --at 2026-02-01").exits(3);
    // An entry that ends an access is applied, unless an unknown entry may mean the same person.
    let ended = file.replace("alice@example.com\n      -", "{ email: alice@example.com, until: 2026-01-01 }\n      -");
    world.write("convoke.yaml", &ended);
    world.run("plan --due --at 2026-02-01").exits(0).says("Plan: 0 to add, 1 to remove");
    world.write("convoke.yaml", ended.replace("stranger@", "alice@"));
    world.run("plan --due --at 2026-02-01").exits(3).says("alice@elsewhere.example");
}

#[test]
fn an_unexpected_digest_saves_nothing() {
    let world = review([&[], &[]], [&["alice@example.com"], &["alice@example.com"]]);
    let zeros = "0".repeat(64);
    let stale = world.run(&format!("plan --expect {zeros} --out plan.json --format json")).exits(4);
    assert_eq!(stale.json()["status"], "stale");
    assert!(!world.path("plan.json").exists());
    let digest = stale.json()["digest"].as_str().unwrap().to_owned();
    world.run(&format!("plan --expect {digest} --out plan.json")).exits(0);
    assert!(world.path("plan.json").exists());
    world.run(&format!("apply --yes --expect {digest}")).exits(0);
    world.run(&format!("apply --yes --expect {digest}")).exits(0);
}

#[test]
fn expected_digest_is_satisfied_where_only_blocked_entries_are_left() {
    let file = config(&[
        ("Ops", &["alice@example.com", "bob@example.com", "mallory@example.com", "new@example.com"]),
        ("Dev", &["alice@example.com", "trent@example.com", "stranger@elsewhere.example"]),
    ]);
    let world = given(pair()).file("convoke.yaml", file);
    let digest = world.run("plan --format json").exits(3).json()["digest"].as_str().unwrap().to_owned();
    let apply = || world.run(&format!("apply --yes --expect {digest} --format json")).exits(5).json()["status"].clone();
    assert_eq!((apply(), apply()), ("blocked".into(), "blocked".into()));
    assert_eq!(world.writes(), ["POST Ops: new@example.com"]);
}

#[test]
fn flags_without_effect_are_usage_errors() {
    let world = review([&[], &[]], [&[], &[]]);
    world.run("plan --only-changed").exits(64);
    world.run("plan --out plan.json").exits(0);
    world.run("apply plan.json --yes --due").exits(64);
    world.run("apply plan.json --yes --base base --only-changed").exits(64);
}

/// Runs the command at the end of a plan in a shell.
#[track_caller]
fn run_shown(world: &World, plan: &[&str]) -> String {
    let shown = world.run_with(plan).exits(0);
    let command = shown.stdout.lines().last().unwrap().trim().strip_prefix("convoke ").unwrap().to_owned();
    let script = format!("for word in {command}; do printf '%s\\n' \"$word\"; done");
    let words = std::process::Command::new("sh").args(["-c", &script]).output().unwrap();
    let words = String::from_utf8(words.stdout).unwrap();
    let words: Vec<&str> = words.lines().chain(["--yes"]).collect();
    world.run_with(&words).exits(0);
    command
}

#[test]
fn shown_command_applies_the_same_touched_groups() {
    let settled: &[&str] = &["alice@example.com", "trent@example.com", "new@example.com"];
    let ops: &[&str] = &["alice@example.com", "bob@example.com", "mallory@example.com"];
    let changed: &[&str] = &["alice@example.com", "bob@example.com", "mallory@example.com", "trent@example.com"];
    let world = review([ops, settled], [changed, settled]);
    let command = run_shown(&world, &["plan", "-f", "convoke.yaml", "--base", "base", "--only-changed"]);
    assert!(command.starts_with("apply -f convoke.yaml --base base --only-changed --expect "), "{command}");
    assert_eq!(world.writes(), ["POST Ops: trent@example.com"]);
    let command = run_shown(&world, &["plan", "-f", "convoke.yaml", "--base", "base"]);
    assert!(command.starts_with("apply -f convoke.yaml --base base --expect "), "{command}");
}

#[test]
fn shown_command_keeps_the_due_flag() {
    let world = ops("
        alice@example.com
        { email: mallory@example.com, until: 2026-01-01 }
        trent@example.com
    ");
    let command = run_shown(&world, &["plan", "--due", "--accept-self", "--at", "2026-02-01"]);
    // What was tried for another time must not be applied for it.
    assert!(command.starts_with("apply --due --accept-self --expect "), "{command}");
    assert_eq!(world.writes(), ["DELETE Ops: mallory@example.com"]);
}

#[test]
fn shown_command_quotes_names_for_a_shell() {
    let seed = Seed::default().person("new@example.com").group("-It's $HOME", ["alice@example.com"]);
    let world = given(seed).groups(&[("-It's $HOME", &["alice@example.com", "new@example.com"])]);
    run_shown(&world, &["plan", "--only=-It's $HOME"]);
    assert_eq!(world.members("-It's $HOME"), ["alice@example.com", "new@example.com"]);
}
