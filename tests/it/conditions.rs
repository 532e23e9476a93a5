//! The meaning of a list: modes, times, rosters, and held removals.

use insta::assert_snapshot;

use crate::harness::{given, team};

fn file(group: &str) -> String {
    format!(
        "version: 1\nsettings: {{ limits: {{ group_removals: 100%, total_removals: 100% }} }}\ngroups:\n  Admins:\n{group}"
    )
}

#[test]
fn an_additive_group_gains_and_never_loses() {
    let text = file("    mode: additive\n    members: [alice@example.com, bob@example.com]\n");
    let world = given(team()).file("convoke.yaml", text);
    assert_snapshot!(world.run("plan"), @"
    exit 0
    -- stdout
    Admins (4 -> 5 members, additive)
      + bob@example.com  no end  convoke.yaml:6

    Plan: 1 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    ");
    world.run("apply --yes").exits(0);
    assert_eq!(world.writes(), ["POST Admins: bob@example.com"]);
    world.run("plan --detailed-exitcode").exits(0).says("No changes. 1 group in sync.");
}

#[test]
fn an_observed_group_is_compared_and_never_written() {
    let text = file("    mode: observe\n    members: [alice@example.com, bob@example.com]\n");
    let world = given(team()).file("convoke.yaml", text);
    let plan = world.run("plan --detailed-exitcode").exits(0).stdout;
    assert_snapshot!(plan, @"
    Admins (4 members, observed: convoke does not write here)
      + bob@example.com      no end  convoke.yaml:6
      - mallory@example.com
      - trent@example.com
      - victor@example.com

    No changes. 0 groups in sync.
    4 differences in observed groups, where convoke does not write
    ");
    let applied = world.run("apply --yes").exits(0).stdout;
    assert_snapshot!(applied.strip_prefix(&plan).unwrap().trim_start(), @"
    Nothing was changed.
    0 of 1 group in sync.
    Still different, only observed: Admins
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn typo_holds_removals_and_keeps_additions() {
    let text = file("    members: [alice@example.com, malory@example.com, bob@example.com]\n");
    let world = given(team()).file("convoke.yaml", text);
    assert_snapshot!(world.run("apply --yes"), @"
    exit 5
    -- stdout
    Admins (4 -> 5 members)
      + bob@example.com  no end  convoke.yaml:5
      3 removals held until the blocked entries are resolved:
      ~ mallory@example.com  held by convoke.yaml:5
      ~ trent@example.com    held by convoke.yaml:5
      ~ victor@example.com   held by convoke.yaml:5

    Blocked: declared, but cannot be applied
      convoke.yaml:5  Admins:
          malory@example.com: not a member of the account; did you mean mallory@example.com?
        help: correct the address: `convoke rename malory@example.com mallory@example.com`; else invite the person, or remove the address with `convoke revoke malory@example.com --everywhere`

    Plan: 1 to add, 0 to remove in 1 of 1 group
    1 blocked
    3 removals held
    Digest: [digest]

    done Admins: 1 added, 0 removed

    Blocked: declared, but cannot be applied
      convoke.yaml:5  Admins:
          malory@example.com: not a member of the account; did you mean mallory@example.com?
        help: correct the address: `convoke rename malory@example.com mallory@example.com`; else invite the person, or remove the address with `convoke revoke malory@example.com --everywhere`

    Held: removals that wait until the blocked entries are resolved
      Admins:
          mallory@example.com; held by convoke.yaml:5: malory@example.com: not a member of the account; did you mean mallory@example.com?
      Admins:
          trent@example.com; held by convoke.yaml:5: malory@example.com: not a member of the account; did you mean mallory@example.com?
      Admins:
          victor@example.com; held by convoke.yaml:5: malory@example.com: not a member of the account; did you mean mallory@example.com?

    Applied in part: 1 added, 0 removed.
    0 of 1 group in sync.
    Still different, blocked: Admins
    1 blocked
    Resolve the problems above, then run `convoke apply` again.
    ");
    assert_eq!(world.writes(), ["POST Admins: bob@example.com"]);
}

#[test]
fn times_are_evaluated_at_the_requested_instant() {
    let text = file(
        "    members:
      - alice@example.com
      - trent@example.com
      - victor@example.com
      - email: bob@example.com
        from: 2026-12-01
      - email: mallory@example.com
        until: 2026-12-31
        reason: INC-4821 cover
",
    );
    let world = given(team()).file("convoke.yaml", text);
    world.run("plan --at 2026-11-30T23:59:59Z").exits(0).says("No changes. 1 group in sync.");
    assert_snapshot!(world.run("plan --at 2026-12-01T00:00:00Z"), @"
    exit 0
    -- stdout
    Admins (4 -> 5 members)
      + bob@example.com  no end  convoke.yaml:9

    Plan: 1 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    ");
    assert_snapshot!(world.run("plan --at 2026-12-31T23:59:59Z"), @"
    exit 0
    -- stdout
    Admins (4 -> 5 members)
      + bob@example.com  no end  convoke.yaml:9

    Expiring soon
      convoke.yaml:11  Admins: mallory@example.com until 2026-12-31

    Plan: 1 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    ");
    assert_snapshot!(world.run("plan --at 2027-01-01"), @"
    exit 0
    -- stdout
    Admins (4 -> 4 members)
      + bob@example.com      no end                      convoke.yaml:9
      - mallory@example.com  expired (until 2026-12-31)  convoke.yaml:11

    Plan: 1 to add, 1 to remove in 1 of 1 group
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    ");
}

#[test]
fn roster_members_show_their_rosters() {
    let text = "version: 1
rosters:
  leads: [carol@example.com]
  sre:
    - bob@example.com
    - roster: leads
groups:
  Admins:
    mode: additive
    members:
      - roster: sre
";
    let world = given(team()).file("convoke.yaml", text);
    assert_snapshot!(world.run("plan"), @"
    exit 0
    -- stdout
    Admins (4 -> 6 members, additive)
      + bob@example.com    no end  convoke.yaml:5 via sre (convoke.yaml:11)
      + carol@example.com  no end  convoke.yaml:3 via leads (convoke.yaml:6) via sre (convoke.yaml:11)

    Plan: 2 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    ");
}

#[test]
fn people_are_named_by_id_or_address() {
    let world = given(team());
    let id = world.account().person_id("bob@example.com").unwrap();
    world.write("convoke.yaml", file(&format!("    mode: additive\n    members: [{{ id: {id} }}]\n")));
    world.run("apply --yes").exits(0);
    assert_eq!(world.writes(), ["POST Admins: bob@example.com"]);
}

#[test]
fn changed_address_is_found_by_both_spellings() {
    let world = given(team()).groups(&[("Admins", &["alice@example.com", "robert@example.com"])]);
    world.run("plan").exits(3);
    world.account().change_email("bob@example.com", "robert@example.com");
    world.run("plan").exits(0).says("+ robert@example.com");
}
