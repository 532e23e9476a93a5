//! Saved plans: valid only for the account state that they were made from, continued after an interruption, and
//! refused otherwise.

use convoke::sandbox::{Edit, Endpoint, Fault, FaultRule, Match, Seed, SeedPerson};

use crate::builders::{EditExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _, SeedPersonExt as _};
use crate::harness::{World, given};

fn seed() -> Seed {
    Seed::default()
        .person("new@example.com")
        .person("other@example.com")
        .group("Ops", ["alice@example.com", "bob@example.com", "carol@example.com", "dave@example.com"])
        .group("Dev", ["alice@example.com", "bob@example.com"])
}

/// Ops loses dave and gains new; Dev does not change.
fn world() -> World {
    given(seed()).groups(&[
        ("Ops", &["alice@example.com", "bob@example.com", "carol@example.com", "new@example.com"]),
        ("Dev", &["alice@example.com", "bob@example.com"]),
    ])
}

const WRITES: [&str; 2] = ["POST Ops: new@example.com", "DELETE Ops: dave@example.com"];

#[test]
fn saved_plan_ignores_later_file_changes() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.write("convoke.yaml", "version: 1\ngroups: {}\n");
    world.run("apply plan.json --yes").exits(0);
    assert_eq!(world.writes(), WRITES);
}

#[test]
fn applied_saved_plan_writes_nothing_again() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.run("apply plan.json --yes").exits(0);
    world.forget_requests();
    let again = world.run("apply plan.json --yes").exits(0);
    again.says(
        "Nothing was changed.\n1 group in sync.\n1 group not read again, because the plan has no changes there\n",
    );
    assert!(world.writes().is_empty());
}

#[test]
fn saved_plan_continues_an_interrupted_run() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().add("Ops", "new@example.com");
    world.run("apply plan.json --yes").exits(0).says("Applied: 0 added, 1 removed.");
    assert_eq!(world.writes(), ["DELETE Ops: dave@example.com"]);
}

#[test]
fn stale_plan_writes_nothing_and_shows_changes() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().add("Ops", "other@example.com");
    world.account().remove("Ops", "alice@example.com");
    let stale = world.run("apply plan.json --yes").exits(4);
    assert!(world.writes().is_empty());
    insta::assert_snapshot!(stale.stdout, @"
    Ops (4 -> 4 members)
      + new@example.com   no end  convoke.yaml:10
      - dave@example.com

    Plan: 1 to add, 1 to remove in 1 of 2 groups
    Digest: 28999275c054fb7056f01c66bdf003a5f6837031eb84cd606ea1749e0040b936

    Stale: the account has changed since the plan was made
      Ops
        was added: other@example.com
        was removed: alice@example.com
        planned: add new@example.com, remove dave@example.com
    Nothing was changed. Make a new plan and review it: `convoke plan --out plan.json`
    ");
}

#[test]
fn group_without_changes_never_makes_a_plan_stale() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().add("Dev", "other@example.com");
    let report = world.run("apply plan.json --yes --format json").exits(0).json();
    assert_eq!(report["status"], "applied");
    assert_eq!(report["groups"][0]["outcome"], "not_read", "{report:#}");
    assert_eq!(report["groups"][1]["in_sync"], true, "{report:#}");
    world.account().delete_group("Dev");
    world.run("apply plan.json --yes").exits(0);
}

#[test]
fn stale_plans_say_what_was_planned_and_what_changed_in_every_format() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().remove("Ops", "alice@example.com");
    let json = world.run("apply plan.json --yes --format json").exits(4).json();
    let group = &json["stale"][0];
    assert_eq!((&json["status"], &group["name"]), (&"stale".into(), &"Ops".into()));
    assert_eq!(group["difference"]["removed"][0]["email"], "alice@example.com");
    assert_eq!(group["expected"][0]["member"]["email"], "new@example.com");
    let next = "Make a new plan and review it: `convoke plan --out plan.json`";
    for format in ["text", "markdown", "github"] {
        let page = world.run(&format!("apply plan.json --yes --format {format}")).exits(4).stdout.replace('`', "");
        assert!(page.contains("was removed: alice@example.com"), "{page}");
        assert!(page.contains("planned: add new@example.com, remove dave@example.com"), "{page}");
        assert!(page.contains(&next.replace('`', "")), "{page}");
    }
    let other = "a".repeat(64);
    let json = world.run(&format!("plan --expect {other} --format json")).exits(4).json();
    assert!(json["stale"].as_str().unwrap().contains(&other), "{json}");
}

#[test]
fn deleted_group_makes_a_saved_plan_stale() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().delete_group("Ops");
    world.run("apply plan.json --yes").exits(4).says("  Ops\n    the group no longer exists\n");
    assert!(world.writes().is_empty());
}

#[test]
fn a_renamed_group_makes_a_saved_plan_stale() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().rename_group("Ops", "Operations");
    world.run("apply plan.json --yes").exits(4).says("  Ops\n    the group is now named Operations\n");
    assert!(world.writes().is_empty());
}

#[test]
fn swapped_names_make_a_saved_plan_stale() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    world.account().rename_group("Ops", "Swap");
    world.account().rename_group("Dev", "Ops");
    world.account().rename_group("Swap", "Dev");
    let stale = world.run("apply plan.json --yes --format json").exits(4).json();
    assert_eq!((&stale["status"], &stale["stale"][0]["renamed_to"]), (&"stale".into(), &"Dev".into()));
    assert!(world.writes().is_empty());
}

#[test]
fn uncounted_members_do_not_make_plans_stale() {
    let world = given(seed()).file(
        "convoke.yaml",
        "version: 1\ngroups:\n  Ops: { mode: additive, members: [alice@example.com, new@example.com] }\n",
    );
    world.run("plan --out plan.json").exits(0);
    world.account().add("Ops", "other@example.com");
    world.account().remove("Ops", "bob@example.com");
    world.run("apply plan.json --yes").exits(0).says("1 group in sync.");
    world.account().remove("Ops", "alice@example.com");
    world.run("apply plan.json --yes").exits(4).says("was removed: alice@example.com");
}

/// An additive group in which the access of some people has expired. The others are not declared.
fn expired(members: &[&str]) -> World {
    let people = ["a", "b", "c", "d", "e", "f", "g", "h"].map(|name| format!("{name}@example.com"));
    let entries = members.iter().map(|member| format!("      - {{ email: {member}, until: 2020-01-01 }}\n"));
    given(Seed::default().group("Ops", people.iter().map(String::as_str).collect::<Vec<_>>())).file(
        "convoke.yaml",
        format!(
            "version: 1\ngroups:\n  Ops:\n    mode: additive\n    min_members: 6\n    members:\n{}",
            entries.collect::<String>()
        ),
    )
}

#[test]
fn saved_min_members_is_checked_again() {
    let world = expired(&["a@example.com", "b@example.com"]);
    world.run("plan --out plan.json").exits(0);
    world.account().remove("Ops", "h@example.com");
    world.account().remove("Ops", "g@example.com");
    world.forget_requests();
    let refused = world.run("apply plan.json --yes").exits(3);
    refused.says("only 4 would remain, and min_members is 6");
    let digest = world.run("show plan.json --format json").exits(0).json()["digest"].as_str().unwrap().to_owned();
    let accepted = world.run(&format!("apply plan.json --yes --accept {digest} --format json")).exits(3).json();
    assert_eq!((&accepted["status"], &accepted["refusals"][0]["guard"]), (&"refused".into(), &"min_members".into()));
    assert!(world.writes().is_empty());
}

#[test]
fn saved_limits_are_checked_again_and_accepted() {
    let world = expired(&["a@example.com", "b@example.com"]);
    let plan = world.read("convoke.yaml").replace("min_members: 6", "min_members: 1");
    world.write("convoke.yaml", plan);
    world.run("plan --out plan.json").exits(0);
    world.account().remove("Ops", "h@example.com");
    world.run("apply plan.json --yes").exits(3).says("2 of 7 members would be removed, but the limit allows at most 1");
    assert!(world.writes().is_empty());
    let digest = world.run("show plan.json --format json").exits(0).json()["digest"].as_str().unwrap().to_owned();
    world.run(&format!("apply plan.json --yes --accept {digest}")).exits(0).says("Applied: 0 added, 2 removed.");
}

#[test]
fn made_removals_do_not_count_for_limits() {
    let world = expired(&["a@example.com", "b@example.com", "c@example.com"]);
    let file = world.read("convoke.yaml").replace("min_members: 6", "min_members: 1");
    world.write("convoke.yaml", file);
    world.run("plan --out plan.json").exits(3);
    world.run("apply plan.json --yes").exits(3);
    world.account().remove("Ops", "a@example.com");
    world.account().remove("Ops", "b@example.com");
    world.run("apply plan.json --yes").exits(0).says("Applied: 0 added, 1 removed.");
}

#[test]
fn stale_outranks_refused_for_saved_plans() {
    let world = given(seed())
        .file("convoke.yaml", "version: 1\ngroups:\n  Ops: { members: [alice@example.com, bob@example.com] }\n");
    world.run("plan --out plan.json").exits(3);
    world.run("apply plan.json --yes").exits(3);
    world.account().add("Ops", "other@example.com");
    world.run("apply plan.json --yes").exits(4);
    assert!(world.writes().is_empty());
}

#[test]
fn edited_cut_or_empty_plan_is_refused() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    let whole = world.read("plan.json");
    for (damage, text) in [
        ("edited", whole.replace("dave@", "carol@")),
        ("cut", whole[..whole.len() / 2].to_owned()),
        ("empty", String::new()),
        ("not JSON", "plan".into()),
    ] {
        world.write("plan.json", text);
        let refused = world.run("apply plan.json --yes").exits(65);
        if damage == "edited" {
            insta::assert_snapshot!(refused.stderr, @"
    error: plan.json is not a valid plan file: it was damaged or edited after it was created: its checksum does not match
    help: make a new plan: convoke plan --out FILE
    ");
        }
        world.run("show plan.json").exits(65);
    }
    assert!(world.writes().is_empty());
}

#[test]
fn configuration_is_not_accepted_as_a_plan() {
    insta::assert_snapshot!(world().run("apply convoke.yaml --yes"), @"
    exit 65
    -- stderr
    error: convoke.yaml is not a valid plan file: it is truncated, or another version of convoke wrote it: expected value at line 1 column 1
    help: use -f for files that declare groups: '-f convoke.yaml'
    ");
    let world = world().file("GROUPS.YAML", "version: 1\ngroups: {}\n").file("groups/a.yaml", "");
    world.run("apply GROUPS.YAML --yes").exits(65).warns("use -f for files that declare groups: '-f GROUPS.YAML'");
    world.run("apply groups --yes").exits(65).warns("use -f for files that declare groups: '-f groups'");
    world.run("plan GROUPS.YAML").exits(64).warns("use -f for files: '-f GROUPS.YAML'");
    world.run("show missing.json").exits(65).warns("missing.json cannot be read: ");
}

#[test]
fn a_plan_of_another_account_is_refused() {
    let world = world();
    world.run("plan --out plan.json").exits(0);
    let elsewhere = world.env("CLOUDFLARE_ACCOUNT_ID", "ffffffffffffffffffffffffffffffff");
    insta::assert_snapshot!(elsewhere.run("apply plan.json --yes").exits(65).stderr, @r"
    error: the plan is for account 023e105f4ecef8ad9ca31a8372d0c353, but ffffffffffffffffffffffffffffffff is requested
    help: use the account that the plan was made for
    ");
}

#[test]
fn expected_digest_fails_closed() {
    let world = world();
    let plan = world.run("plan --format json").exits(0).json();
    let digest = plan["digest"].as_str().unwrap();
    world.account().add("Dev", "other@example.com");
    let stale = world.run(&format!("apply --yes --expect {digest}")).exits(4);
    insta::assert_snapshot!(stale.stderr, @"");
    assert!(world.writes().is_empty());
    world.account().remove("Dev", "other@example.com");
    world.run(&format!("apply --yes --expect {digest}")).exits(0);
    assert_eq!(world.writes(), WRITES);
}

#[test]
fn digest_is_independent_of_place_and_time() {
    let world = world();
    let digest = |arguments: &str| world.run(arguments).exits(0).json()["digest"].clone();
    let first = digest("plan --format json");
    world.write("elsewhere/groups.yaml", format!("# moved\n{}", world.read("convoke.yaml")));
    assert_eq!(digest("plan --format json -f elsewhere --at 2030-01-01"), first);
}

#[test]
fn put_does_not_override_a_foreign_change() {
    // Five members leave, so the group is replaced.
    let people =
        ["a@example.com", "b@example.com", "c@example.com", "d@example.com", "e@example.com", "stay@example.com"];
    let edit = Edit::add("Ops", "other@example.com");
    let seed = Seed::default()
        .person("other@example.com")
        .group("Ops", people)
        .group("Dev", ["a@example.com"])
        // The first listing is for the plan, the second is before the PUT.
        .fault(FaultRule::once(Match::operation(Endpoint::ListMembers).group("Ops").nth(2), Fault::EditBefore(edit)));
    let world = given(seed).groups(&[("Ops", &["stay@example.com"]), ("Dev", &["stay@example.com", "a@example.com"])]);
    let stale = world.run("apply --yes").exits(5);
    insta::assert_snapshot!(stale.stdout, @"
    Dev (1 -> 2 members)
      + stay@example.com  no end  convoke.yaml:10

    Ops (6 -> 1 member)
      - a@example.com
      - b@example.com
      - c@example.com
      - d@example.com
      - e@example.com

    Plan: 1 to add, 5 to remove in 2 of 2 groups
    Digest: 58f3a23d1f245a61147945588ce9f61d79d8f325059c349602a21881b22e0519

    done Dev: 1 added, 0 removed
    changed meanwhile Ops: 0 added, 0 removed
      somebody else changed the group meanwhile; 5 changes not made:
        was added: other@example.com

    Applied in part: 1 added, 0 removed.
    1 of 2 groups in sync.
    1 group changed meanwhile
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert_eq!(world.writes(), ["POST Dev: stay@example.com"]);
    assert_eq!(world.members("Ops").len(), 7);
}

#[test]
fn failed_addition_prevents_the_removal() {
    let world = given(
        Seed::default()
            .person(convoke::sandbox::SeedPerson::of("mover@example.com").not_joinable())
            .group("From", ["mover@example.com", "stay@example.com"])
            .group("To", ["stay@example.com"]),
    )
    .groups(&[("From", &["stay@example.com"]), ("To", &["stay@example.com", "mover@example.com"])]);
    let report = world.run("apply --yes").exits(5);
    insta::assert_snapshot!(report.stdout, @r#"
    From (2 -> 1 member)
      - mover@example.com

    To (1 -> 2 members)
      + mover@example.com  no end  convoke.yaml:11

    Plan: 1 to add, 1 to remove in 2 of 2 groups
    Digest: 53a4718fdb1489aac3d53690210c69159ae0fb7c7d1e1246e1e2cc5bf1bb9d6a

    kept From: 0 added, 0 removed
      not removed: mover@example.com: kept, because the addition to "To" is not proven
    failed To: 0 added, 0 removed
      not added: mover@example.com: the API refused: members mover@example.com do not have DSR enabled (code 400) [status 400, cf-ray [ray]] (convoke.yaml:11)

    Not applied: 0 added, 0 removed.
    0 of 2 groups in sync.
    1 group failed
    1 group with removals that were not made
    Resolve the problems above, then run `convoke apply` again.
    "#);
    assert_eq!(world.members("From"), ["mover@example.com", "stay@example.com"]);
}

#[test]
fn a_joiner_whose_address_has_changed_is_named() {
    let world = given(Seed::default().group("Ops", ["alice@example.com"]).people(["dave@example.com"]))
        .groups(&[("Ops", &["alice@example.com", "dave@example.com"])]);
    world.run("plan --out plan.json").exits(0);
    let changed = Edit::ChangeEmail { member: "dave@example.com".into(), to: "other@example.com".into() };
    assert!(world.account().edit(&changed));
    let report = world.run("apply plan.json --yes").exits(5);
    report.says("the address of the member dave@example.com has changed to other@example.com");
}

#[test]
fn a_saved_plan_asks_about_unmanaged_groups_again() {
    let world = world();
    let refusing = world.read("convoke.yaml").replace("settings:\n", "settings:\n  unmanaged_groups: refuse\n");
    world.write("convoke.yaml", refusing);
    world.run("plan --out plan.json").exits(0);
    world.account().create_group("By hand");
    world.run("apply plan.json --yes").exits(3).says("unmanaged_groups").says("\"By hand\"");
    assert!(world.writes().is_empty());
    world.account().delete_group("By hand");
    world.run("apply plan.json --yes").exits(0);
}

#[test]
fn a_saved_plan_asks_about_all_its_pins_again() {
    let world = world();
    let id = world.account().group_id("Dev").unwrap();
    let pinned = world.read("convoke.yaml").replace("  Dev:\n", &format!("  Dev:\n    id: {id}\n"));
    world.write("convoke.yaml", pinned);
    world.run("plan --out plan.json").exits(0);
    // Dev does not change, but the files may mean another group by now.
    world.account().rename_group("Dev", "Developers");
    world.run("apply plan.json --yes").exits(3).says("pinned_name  Dev:");
    assert!(world.writes().is_empty());
    world.account().rename_group("Developers", "Dev");
    world.run("apply plan.json --yes").exits(0);
}

#[test]
fn a_saved_plan_looks_up_protected_people_again() {
    let listed =
        |email: &str| SeedPerson { group_email: Some(Some("dave@example.com".into())), ..SeedPerson::of(email) };
    let plan = |protected: &str, then: &dyn Fn(&World)| {
        let team = ["alice@example.com", "bob@example.com", "carol@example.com", "d.ave@example.com"];
        let world = given(Seed::default().person(listed("d.ave@example.com")).group("Ops", team));
        let file = world.groups(&[("Ops", &team[..3])]);
        let text =
            file.read("convoke.yaml").replace("settings:\n", &format!("settings:\n  protected: [{protected}]\n"));
        file.write("convoke.yaml", text);
        file.run("plan --out plan.json").exits(0);
        then(&file);
        let applied = file.run("apply plan.json --yes");
        (applied, file.writes().len())
    };
    // The group lists the person by a former address.
    let (refused, writes) = plan("boss@example.org", &|world| {
        world.account().change_email("d.ave@example.com", "boss@example.org");
    });
    refused.exits(3).says("dave@example.com (protected as boss@example.org) would be removed");
    assert_eq!(writes, 0);
    // The entry names nobody any more, and may be a typo of somebody.
    let (refused, writes) = plan("zachary.w@example.com", &|world| {
        world.account().change_email("carol@example.com", "zachary.v@example.com");
    });
    refused.exits(3).says("may mean zachary.v@example.com");
    assert_eq!(writes, 0);
    let (applied, writes) = plan("nobody.like.that@example.org", &|_| ());
    applied.exits(0);
    assert_eq!(writes, 1);
}

#[test]
fn old_plan_and_plan_from_the_future_are_stale() {
    let world = world();
    world.run("plan --at 2020-01-01 --out old.json").exits(0);
    world.run("plan --at 2999-01-01 --out future.json").exits(0);
    world.run("plan --out plan.json").exits(0);
    world.run("apply old.json --yes").exits(4).says("longer ago than --max-age allows");
    world.run("apply future.json --yes --max-age 9999w").exits(4).says("which is in the future");
    for format in ["markdown", "json", "github"] {
        let stale = world.run(&format!("apply old.json --yes --format {format}")).exits(4);
        assert!(stale.stdout.to_lowercase().contains("stale"), "{stale}");
    }
    assert!(world.writes().is_empty());
    world.run("apply old.json --yes --max-age 9999w").exits(0);
    world.run("apply plan.json --yes --max-age 1h").exits(0);
}

#[test]
fn plan_that_adds_ended_access_is_stale() {
    let until = (jiff::Timestamp::now() + jiff::SignedDuration::from_secs(2)).to_string();
    let head = "version: 1\ngroups:\n  Ops:\n    mode: additive\n    members:\n";
    let seed = convoke::sandbox::Seed::default().group("Ops", ["alice@example.com"]).person("new@example.com");
    let text = format!("{head}      - {{ email: new@example.com, until: {until} }}\n");
    let world = crate::harness::given(seed).file("convoke.yaml", text);
    world.run("plan --out plan.json").exits(0).says("1 to add");
    std::thread::sleep(std::time::Duration::from_secs(3));
    world.run("apply plan.json --yes").exits(4).says("new@example.com").says("ended meanwhile");
    assert!(world.writes().is_empty());
}
