//! `from`, `until` and `reason` of `- roster:` entries.

use super::*;

const TEXT: &str = "\
version: 1
rosters:
  agency:
    - ann@example.com
    - email: bea@example.com
      until: 2026-12-10
groups:
  Ops:
    max_duration: 30d
    require_reason: true
    members:
      - roster: agency
        until: 2026-12-24
        reason: INC-1
  Old:
    allow_empty: true
    members:
      # the agency left
      - roster: agency
        until: 2026-10-31
  Open:
    mode: additive
    members:
      - roster: agency
        until: 2026-10-31
";

#[test]
fn rules_count_the_end_of_the_roster_entry() {
    run(&world(TEXT), "validate").exits(0);
    let said = run(&world(&TEXT.replace("2026-12-24", "2027-01-24")), "validate").exits(65).stderr;
    assert!(said.contains("convoke.yaml:4:7: `until` of ann@example.com is more than 30d from now"), "{said}");
    assert!(said.contains("convoke.yaml:12:9: group \"Ops\" uses roster \"agency\" here"), "{said}");
    assert!(said.contains("or in an entry that uses the roster"), "{said}");
}

#[test]
fn prune_deletes_ended_roster_entries() {
    let world = world(TEXT);
    let result = run(&world, "prune --dry-run --format json").exits(0).json();
    assert_eq!(result["kept"], 1);
    let change = &result["changes"][0];
    // A roster is no person.
    assert_eq!(change["person"], serde_json::Value::Null);
    assert_eq!(
        (&change["uses"]["roster"], &change["group"], &change["line"]),
        (&"agency".into(), &"Old".into(), &19.into())
    );
    run(&world, "prune --dry-run").exits(0).says("remove roster \"agency\" from group \"Old\" (convoke.yaml:19)");
    run(&world, "prune").exits(0);
    let expected = TEXT.replace(
        "    members:\n      # the agency left\n      - roster: agency\n        until: 2026-10-31\n  Open",
        "    members: []\n      # the agency left\n  Open",
    );
    assert_eq!(text_of(&world, "convoke.yaml"), expected);
}

#[test]
fn grant_and_revoke_know_the_times_of_roster_entries() {
    let world = world(TEXT);
    run(&world, "grant ann@example.com Ops --until 2026-12-24 --reason x").exits(0).says("is already in group \"Ops\"");
    run(&world, "grant ann@example.com Ops --until 2026-12-25 --reason x").exits(0).says("add ann@example.com");
    let outcome = run(&world, "grant cleo@example.com --roster agency").exits(0);
    let outcome = outcome.warns("group \"Old\" uses roster \"agency\" until 2026-10-31, which limits the access there");
    outcome.warns("group \"Ops\" uses roster \"agency\" until 2026-12-24, which limits the access there");
    run(&world, "revoke bea@example.com Old").exits(0).says("already ends by then");
    run(&world, "revoke bea@example.com Ops")
        .exits(65)
        .warns("would remain in group \"Ops\" through roster \"agency\"");
}

#[test]
fn plan_review_and_why_show_the_end_and_both_lines() {
    let seed = Seed::default().group("Ops", ["bea@example.com"]).group("Old", ["ann@example.com"]);
    let world = given(seed.group("Open", ["ann@example.com", "zoe@example.com"])).file("convoke.yaml", TEXT);
    let plan = run(&world, "plan").exits(0).stdout;
    let place = "convoke.yaml:4 via agency (convoke.yaml:12)";
    assert!(plan.contains("+ ann@example.com  until 2026-12-24") && plan.contains(place), "{plan}");
    assert!(
        plan.contains("- ann@example.com") && plan.contains("convoke.yaml:4 via agency (convoke.yaml:24)"),
        "{plan}"
    );
    let why = run(&world, "why bea@example.com Ops").exits(0).stdout;
    assert!(why.contains("convoke.yaml:5 via agency (convoke.yaml:12), until 2026-12-10, INC-1"), "{why}");
    let why = run(&world, "why ann@example.com Ops").exits(0).stdout;
    assert!(why.contains("until 2026-12-24"), "{why}");
    let review = world.run("review --format csv").exits(0).stdout;
    assert!(review.lines().any(|line| line.contains("bea@example.com") && line.contains("INC-1")), "{review}");
}

#[test]
fn entry_without_a_common_time_has_no_effect_and_is_a_warning() {
    let text = "\
version: 1
rosters:
  sre:
    - email: ann@example.com
      until: 2026-11-15
groups:
  Open:
    mode: additive
    members:
      - bea@example.com
      - roster: sre
        from: 2026-11-20
";
    let seed = Seed::default().group("Open", ["ann@example.com", "bea@example.com"]);
    let world = given(seed).file("convoke.yaml", text);
    run(&world, "plan").exits(0).says("No changes.");
    let warned = run(&world, "validate").exits(0).stderr;
    let never =
        "ann@example.com is never in group \"Open\" via sre (convoke.yaml:11): the entry and the use of its roster";
    assert!(warned.contains(&format!("warning: convoke.yaml:4:7: {never}")), "{warned}");
    run(&world, "plan").exits(0).says(never);
    // It gives no access, so it needs no end.
    let later = text.replace("2026-11-15", "2026-12-15").replace("2026-11-20", "2026-12-20");
    run(&super::world(&later), "revoke ann@example.com Open").exits(64);
}
