//! Offboarding, from the files to the account.

use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::given;

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
