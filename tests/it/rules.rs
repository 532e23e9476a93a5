//! The rules of groups in the program: before planning, while planning, and in the documentation.

use convoke::sandbox::{Seed, SeedPerson};

use crate::builders::{SeedExt as _, SeedPersonExt as _};
use crate::harness::{given, nothing, repository};

const EXCLUSIVE: &str = "\
version: 1
groups:
  Initiators:
    exclusive_with: [Approvers]
    members:
      - alice@example.com
      - bob@example.com
  Approvers:
    allow_empty: true
    group_removals: 100%
    members:
";

#[test]
fn the_recipes_of_the_page_are_valid() {
    let page = std::fs::read_to_string(repository("docs/rules.md")).unwrap();
    let recipes: Vec<&str> = page.split("```yaml\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(recipes.len() >= 6, "{}", recipes.len());
    for recipe in recipes {
        nothing().file("convoke.yaml", recipe).run("validate --at 2026-12-01").exits(0);
    }
}

#[test]
fn broken_rule_stops_before_reading_the_account() {
    let file = "version: 1\ngroups:\n  A:\n    max_duration: 30d\n    members: [{email: alice@example.com, until: 2026-12-31}]\n";
    let world = given(Seed::default().group("A", ["alice@example.com"])).file("convoke.yaml", file);
    for command in ["plan", "apply --yes", "drift"] {
        world.run(&format!("{command} --at 2026-11-30")).exits(65).warns("convoke.yaml:5:15: ").warns("max_duration");
    }
    assert_eq!(world.request_count(), 0);
    world.run("plan --at 2026-12-01").exits(0);
    world.run("why alice@example.com").exits(0);
}

#[test]
fn exclusive_addition_is_blocked_and_holds_nothing() {
    let seed = Seed::default()
        .group("Initiators", ["alice@example.com", "bob@example.com"])
        .group("Approvers", ["carol@example.com"]);
    let world = given(seed);
    let file = format!("{EXCLUSIVE}      - id: {}\n", world.account().person_id("bob@example.com").unwrap());
    let world = world.file("convoke.yaml", file);
    world
        .run("plan")
        .exits(3)
        .says("also in Initiators (convoke.yaml:7), and the groups exclude each other")
        .says("- carol@example.com");
    world.run("validate").exits(0);
}

#[test]
fn exclusive_memberships_that_exist_stay_and_are_reported() {
    let seed = Seed::default()
        .group("Initiators", ["alice@example.com", "bob@example.com"])
        .group("Approvers", ["bob@example.com"]);
    let world = given(seed);
    let file = format!("{EXCLUSIVE}      - id: {}\n", world.account().person_id("bob@example.com").unwrap());
    let world = world.file("convoke.yaml", file);
    let plan = world.run("plan").exits(3).says("both memberships stay until one of the entries is removed");
    assert!(!plan.stdout.contains("in sync"), "{plan}");
    assert_eq!(world.run("plan --format json").exits(3).json()["summary"]["removes"], 0);
}

#[test]
fn why_reports_what_the_plan_blocks() {
    let seed = Seed::default()
        .group("Initiators", ["alice@example.com", "bob@example.com"])
        .group("Approvers", ["bob@example.com"]);
    let world = given(seed);
    let id = world.account().person_id("bob@example.com").unwrap();
    let world = world.file("convoke.yaml", format!("{EXCLUSIVE}      - id: {id}\n"));
    let text = world.run("why bob@example.com").exits(0);
    let text = text.says("Initiators: a member, but blocked: already in both this group and Approvers");
    // The other group has the same trouble, although the plan lists it once.
    text.says("Approvers: a member, but blocked: already in both this group and Initiators (convoke.yaml:7)");
    for arguments in ["bob@example.com", "bob@example.com Initiators", "bob@example.com Approvers", &id.to_string()] {
        let json = world.run(&format!("why {arguments} --format json")).exits(0).json();
        assert_eq!(json["status"], "blocked", "{arguments}: {json}");
        for group in json["groups"].as_array().unwrap() {
            assert_eq!((&group["standing"], &group["present"]), (&"blocked".into(), &true.into()), "{json}");
        }
    }
    assert_eq!(world.run("why alice@example.com --format json").exits(0).json()["status"], "in_sync");
}

const DOMAINS: &str = "\
version: 1
settings:
  email_domains: [example.com, b\u{fc}cher.example]
rosters:
  agency: [fay@agency.example]
groups:
  Staff:
    members:
      - ann@Example.com
      - zoe@xn--bcher-kva.example
  Contractors:
    email_domains: [agency.example]
    members: [roster: agency]
  Guests:
    email_domains: []
    members: [guest@anywhere.example]
";

#[test]
fn addresses_of_other_domains_are_refused_with_their_lines() {
    nothing().file("convoke.yaml", DOMAINS).run("validate").exits(0);
    let text = DOMAINS.replace("ann@", "eve@sub.").replace("[agency.example]", "[other.example]");
    let outcome = nothing().file("convoke.yaml", text).run("validate --at 2026-12-01").exits(65);
    let outcome = outcome.warns("convoke.yaml:5:12: fay@agency.example is not allowed in group \"Contractors\"");
    let outcome = outcome.warns("convoke.yaml:13:15: group \"Contractors\" uses roster \"agency\" here");
    let outcome = outcome.warns("convoke.yaml:9:9: eve@sub.Example.com is not allowed in group \"Staff\": its ");
    outcome.warns("convoke.yaml:3:3: `email_domains` is set here").warns("or add sub.example.com to `email_domains`");
}

#[test]
fn grant_refuses_an_address_of_another_domain() {
    let world = nothing().file("convoke.yaml", DOMAINS);
    world.run("grant gus@agency.example Staff").exits(65).warns("convoke.yaml:3:3: gus@agency.example is not allowed");
    world.run("grant gus@other.example --roster agency").exits(65).warns("convoke.yaml:12:5: gus@other.example");
    world.run("grant gus@agency.example --roster agency").exits(0);
    world.run("grant gus@agency.example Guests").exits(0);
}

#[test]
fn member_of_another_domain_is_blocked_by_id() {
    let seed = Seed::default()
        .people(["gus@agency.example", "bob@example.com"])
        .group("Staff", ["ann@example.com", "fay@agency.example", "old@example.com"]);
    let world = given(seed);
    let id = |email: &str| world.account().person_id(email).unwrap();
    let text = format!(
        "version: 1\nsettings:\n  email_domains: [example.com]\ngroups:\n  Staff:\n    members:\n      - ann@example.com\n      \
         - id: {}\n      - id: {}\n      - id: {}\n",
        id("fay@agency.example"),
        id("gus@agency.example"),
        id("bob@example.com")
    );
    world.write("convoke.yaml", text);
    let outcome = world.run("plan").exits(3).says("): the address is at none of the `email_domains`: example.com");
    let outcome = outcome.says("gus@agency.example (").says("fay@agency.example (").says("+ bob@example.com");
    assert!(!outcome.stdout.contains("- fay@") && !outcome.stdout.contains("+ gus@"), "{outcome}");
    world.run("apply --yes").exits(5);
    assert_eq!(world.members("Staff"), ["ann@example.com", "bob@example.com", "fay@agency.example", "old@example.com"]);
}

#[test]
fn domain_of_an_account_member_counts_if_a_group_shows_another() {
    let ann = SeedPerson { group_email: Some(Some("ann@old.example".into())), ..SeedPerson::of("ann@example.com") };
    let world = given(Seed::default().people([ann]).group("Staff", ["ann@example.com"]).group("Ops", [] as [&str; 0]));
    let id = world.account().person_id("ann@example.com").unwrap();
    let settings = "version: 1\nsettings: {email_domains: [example.com]}";
    let staff = "Staff: {mode: observe, members: []}";
    world.write("convoke.yaml", format!("{settings}\ngroups:\n  {staff}\n  Ops: {{members: [{{id: {id}}}]}}\n"));
    world.run("apply --yes").exits(0);
    assert_eq!(world.members("Ops"), ["ann@example.com"]);
}
