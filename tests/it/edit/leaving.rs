//! Offboarding, from the files to the account.

use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::{given, nothing};

const FILE: &str = "\
version: 1
settings:
  limits: { group_removals: 100%, total_removals: 100% }
rosters:
  web:
    - alice@example.com
    - gina@example.com
groups:
  Admins:
    members:
      - alice@example.com
      - bob@example.com
  Web:
    members:
      - roster: web
  Shop:
    mode: additive
    members:
      - roster: web
  Billing:
    mode: additive
    members:
      - alice@example.com
";

#[test]
fn leaver_is_removed_by_the_next_apply() {
    let seed = Seed::default()
        .group("Admins", ["alice@example.com", "bob@example.com"])
        .group("Web", ["alice@example.com", "gina@example.com"])
        .group("Shop", ["alice@example.com", "gina@example.com", "undeclared@example.com"])
        .group("Billing", ["alice@example.com", "undeclared@example.com"]);
    let world = given(seed).file("convoke.yaml", FILE);
    world.run("plan --detailed-exitcode").exits(0);
    world.run("revoke alice@example.com --everywhere").exits(0);
    let text = std::fs::read_to_string(world.path("convoke.yaml")).unwrap();
    // In the additive groups, and in the roster that one of them uses, the entries end and are not deleted.
    assert_eq!(text.matches("alice@example.com").count(), 2, "{text}");
    world.run("apply --yes").exits(0);
    for (group, left) in [
        ("Admins", vec!["bob@example.com"]),
        ("Web", vec!["gina@example.com"]),
        ("Shop", vec!["gina@example.com", "undeclared@example.com"]),
        ("Billing", vec!["undeclared@example.com"]),
    ] {
        assert_eq!(world.members(group), left, "{group}");
    }
    world.run("plan --detailed-exitcode").exits(0);
    world.run("prune --older-than 0h").exits(0).says("kept 2 ended entries");
    // A person who is added again by hand is removed again.
    world.account().add("Billing", "alice@example.com");
    world.run("apply --yes").exits(0);
    assert_eq!(world.members("Billing"), ["undeclared@example.com"]);
}

#[test]
fn partial_revoke_takes_what_is_allowed_and_names_the_rest() {
    let text = "\
version: 1
rosters:
  web: [alice@example.com, gina@example.com]
  lone: [alice@example.com]
groups:
  Admins:
    min_members: 2
    members: [alice@example.com, bob@example.com]
  Web:
    members: [roster: web]
  Lone:
    members: [roster: lone]
  Dev:
    members: [alice@example.com, bob@example.com]
";
    let world = nothing().file("convoke.yaml", text);
    world.run("revoke alice@example.com --everywhere --at 2026-12-01").exits(65);
    assert_eq!(world.read("convoke.yaml"), text);
    let outcome = world.run("revoke alice@example.com --everywhere --partial --at 2026-12-01").exits(65);
    let outcome = outcome.says("remove alice@example.com from group \"Dev\"").says("from roster \"web\"");
    let outcome = outcome.warns("convoke.yaml:7:5: group \"Admins\" would be left with 1, and `min_members` is 2");
    let outcome = outcome.warns("convoke.yaml:8:15: this entry stays").warns("group \"Lone\" would be left empty");
    outcome.warns("convoke.yaml:4:10: this entry stays");
    let expected = text
        .replace("web: [alice@example.com, ", "web: [")
        .replace("  Dev:\n    members: [alice@example.com, ", "  Dev:\n    members: [");
    assert_eq!(world.read("convoke.yaml"), expected);
    let json = world.run("revoke alice@example.com --everywhere --partial --format json").exits(65).json();
    assert_eq!((&json["status"], &json["written"]), (&"refused".into(), &false.into()));
    world.write("convoke.yaml", text);
    let json = world.run("revoke alice@example.com --everywhere --partial --format json").exits(65).json();
    assert_eq!((&json["status"], &json["written"]), (&"partial".into(), &true.into()));
    assert_eq!(json["problems"].as_array().map(Vec::len), Some(2));
    world.run("revoke bob@example.com Dev --partial").exits(64);
}

#[test]
fn partial_revoke_of_a_protected_person_changes_nothing() {
    let text = "version: 1\nsettings:\n  protected: [a@x.y]\ngroups:\n  Ops:\n    members: [a@x.y, b@x.y]\n";
    let world = nothing().file("convoke.yaml", text);
    let json = world.run("revoke a@x.y --everywhere --partial --format json").exits(65).json();
    assert_eq!(json["status"], "refused");
    assert_eq!(world.read("convoke.yaml"), text);
}
