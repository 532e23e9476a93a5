//! `plan`: its output, its requests and its exit codes.

use convoke::sandbox::{Invitation, Seed, SeedGroup, SeedPerson};
use insta::assert_snapshot;

use crate::builders::{SeedExt as _, SeedGroupExt as _, SeedPersonExt as _};
use crate::harness::{given, nothing};

fn organisation() -> Seed {
    Seed::default()
        .people(["Bob@Example.com", "erin@example.com"])
        .person(SeedPerson::of("dave@example.com").status(Invitation::Pending))
        .person(SeedPerson::of("zoe@example.com").status(Invitation::Rejected))
        .group("Admins", ["alice@example.com", "carol@example.com"])
        .group("Billing", ["Frank@example.com"])
        .group("Empty", SeedGroup::default())
}

#[test]
fn plan_shows_changes_with_their_lines() {
    let world = given(organisation()).groups(&[
        ("Admins", &["ALICE@example.com", "bob@example.com", "dave@example.com"]),
        ("Billing", &["frank@example.com"]),
        ("Empty", &[]),
    ]);
    assert_snapshot!(world.run("plan"), @"
    exit 0
    -- stdout
    Admins (2 -> 3 members)
      + Bob@Example.com    no end  convoke.yaml:8
      + dave@example.com   no end  pending  convoke.yaml:9
      - carol@example.com

    Plan: 2 to add, 1 to remove in 1 of 3 groups
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    ");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn account_in_sync_is_one_line() {
    let world = given(organisation()).groups(&[
        ("Admins", &["ALICE@EXAMPLE.COM", "Carol@Example.Com"]),
        ("Billing", &["frank@example.com"]),
        ("Empty", &[]),
    ]);
    assert_snapshot!(world.run("plan --detailed-exitcode"), @"
    exit 0
    -- stdout
    No changes. 3 groups in sync.
    ");
}

#[test]
fn detailed_exitcode_exits_2_on_differences() {
    let world = given(organisation()).groups(&[("Billing", &["frank@example.com", "erin@example.com"])]);
    world.run("plan").exits(0);
    world.run("plan --detailed-exitcode").exits(2);
}

#[test]
fn blocked_entries_have_line_and_reason() {
    let world = given(organisation()).groups(&[
        ("Admins", &["alice@example.com", "bbo@example.com", "erin@example.com"]),
        ("Biling", &["frank@example.com"]),
        ("Empty", &["zoe@example.com", "dave@example.com"]),
    ]);
    assert_snapshot!(world.run("plan --detailed-exitcode"), @r#"
    exit 3
    -- stdout
    Admins (2 -> 3 members)
      + erin@example.com  no end  convoke.yaml:9
      1 removal held until the blocked entries are resolved:
      ~ carol@example.com  held by convoke.yaml:8

    Empty (0 -> 1 member)
      + dave@example.com  no end  pending  convoke.yaml:16

    Blocked: declared, but cannot be applied
      convoke.yaml:8  Admins:
          bbo@example.com: not a member of the account; did you mean Bob@Example.com?
        help: invite the person; or correct the address in the files; or remove it with `convoke revoke bbo@example.com --everywhere`
      convoke.yaml:10  Biling: the account has no group with this name; did you mean "Billing"?
      convoke.yaml:15  Empty:
          zoe@example.com: declined the invitation to the account; invite the person again

    Plan: 2 to add, 0 to remove in 2 of 2 groups
    3 blocked
    1 removal held
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    -- stderr
    error: blocked: something that the files declare cannot be applied
    "#);
}

#[test]
fn json_plan_has_the_text_plan_content() {
    let world = given(organisation()).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    let outcome = world.run("plan --format json --at 2026-11-01").exits(0);
    assert_snapshot!(outcome.stdout, @r#"
    {
      "format_version": 1,
      "status": "changes",
      "account_id": "023e105f4ecef8ad9ca31a8372d0c353",
      "digest": "238a347c02a4a604820a3fea637e9ecb6a7e982db0f9d4fb82c99b60b32a0153",
      "time": "2026-11-01T00:00:00Z",
      "summary": {
        "groups": 1,
        "changed": 1,
        "adds": 1,
        "removes": 1,
        "observed_only": 0,
        "held": 0,
        "blocked": 0,
        "refused": 0,
        "requests": 2
      },
      "groups": [
        {
          "id": "98e0c7c51bc3ae1007232bdfe3a34776",
          "name": "Admins",
          "mode": "exact",
          "origin": {
            "file": "convoke.yaml",
            "line": 5,
            "column": 3
          },
          "guards": {
            "allow_empty": {
              "value": false,
              "origin": {
                "file": "convoke.yaml",
                "line": 6,
                "column": 5
              }
            },
            "group_removals": {
              "value": {
                "percent": {
                  "hundredths": 10000
                }
              },
              "origin": {
                "file": "convoke.yaml",
                "line": 3,
                "column": 13
              }
            }
          },
          "fingerprint": "8cc15d1ffcd3d923c22363a598771ab32ba6f1b0b1aba0d6ef68407c72c224d4",
          "changes": [
            {
              "action": "add",
              "member": {
                "id": "ef03408d6402ce5765a60dd5b18d8bae",
                "email": "Bob@Example.com",
                "status": "accepted"
              },
              "origin": {
                "file": "convoke.yaml",
                "line": 8,
                "column": 9
              },
              "since": null
            },
            {
              "action": "remove",
              "member": {
                "id": "bd44bb56158b0b1a9fcc1d5e36a7b48d",
                "email": "carol@example.com",
                "status": "accepted"
              },
              "origin": {
                "file": "convoke.yaml",
                "line": 6,
                "column": 5
              },
              "since": null
            }
          ],
          "held": [],
          "operations": [
            {
              "method": "POST",
              "members": [
                "ef03408d6402ce5765a60dd5b18d8bae"
              ]
            },
            {
              "method": "DELETE",
              "members": [
                "bd44bb56158b0b1a9fcc1d5e36a7b48d"
              ]
            }
          ],
          "observed": [
            {
              "id": "886ffe2eb149460063af60ee416b3bec",
              "email": "alice@example.com",
              "status": "accepted"
            },
            {
              "id": "bd44bb56158b0b1a9fcc1d5e36a7b48d",
              "email": "carol@example.com",
              "status": "accepted"
            }
          ]
        }
      ],
      "blocked": [],
      "refusals": [],
      "unmanaged_groups": [],
      "expiring": [],
      "requests": 4,
      "guards": {
        "total_removals": {
          "value": {
            "percent": {
              "hundredths": 10000
            }
          },
          "origin": {
            "file": "convoke.yaml",
            "line": 3,
            "column": 35
          }
        },
        "declared": 2,
        "protected": []
      },
      "checksum": "80dbff2b40915b2fcb05e4f7217db6d4ec8eb07d2b3c29e439b384852a5b893b"
    }
    "#);
}

#[test]
fn only_limits_the_plan_to_named_groups() {
    let world = given(organisation()).groups(&[
        ("Admins", &["alice@example.com", "bob@example.com"]),
        ("Billing", &["frank@example.com", "erin@example.com"]),
    ]);
    let outcome = world.run("plan --only Billing").exits(0);
    assert!(outcome.stdout.contains("Plan: 1 to add, 0 to remove in 1 of 1 group"), "{outcome}");
    assert!(!outcome.stdout.contains("Admins"), "{outcome}");
}

#[test]
fn only_refuses_undeclared_groups() {
    let world = given(organisation()).groups(&[("Billing", &["frank@example.com"])]);
    assert_snapshot!(world.run("plan --only Biling"), @r#"
    exit 64
    -- stderr
    error: --only names "Biling", which no file declares
    help: did you mean "Billing"?
    "#);
    assert_snapshot!(world.run("plan --only Sales"), @r#"
    exit 64
    -- stderr
    error: --only names "Sales", which no file declares
    help: use the group's name in the files; without --only, all groups are planned
    "#);
    assert_eq!(world.request_count(), 0);
}

#[test]
fn missing_account_or_credentials_sends_no_request() {
    let world = nothing().groups(&[("Admins", &["alice@example.com"])]);
    assert_snapshot!(world.run("plan"), @"
    exit 65
    -- stderr
    error: no account is set
    help: write account_id: in a file, set CLOUDFLARE_ACCOUNT_ID, or pass --account-id
    ");
    let world = world.env("CLOUDFLARE_ACCOUNT_ID", crate::harness::ACCOUNT);
    assert_snapshot!(world.run("plan"), @"
    exit 77
    -- stderr
    error: no credentials were found
    help: set CLOUDFLARE_API_TOKEN, or CLOUDFLARE_EMAIL with CLOUDFLARE_API_KEY, or pass --token-file; to try the files without an account, pass --sandbox
    ");
}

#[test]
fn conflicting_accounts_are_refused() {
    let file = format!("version: 1\naccount_id: {}\ngroups: {{}}\n", "f".repeat(32));
    let world = given(organisation()).file("convoke.yaml", file);
    world.run("plan").exits(65).warns("two accounts are named");
    assert_eq!(world.request_count(), 0);
}

#[test]
fn pinned_group_is_found_by_id() {
    let id = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";
    let seed = Seed::default().group("Renamed", SeedGroup::of(["alice@example.com"]).id(id.parse().unwrap()));
    let file = format!("version: 1\ngroups:\n  Admins:\n    id: {id}\n    members: [alice@example.com]\n");
    let world = given(seed).file("convoke.yaml", file);
    assert_snapshot!(world.run("plan"), @r#"
    exit 3
    -- stdout
    Refused: this plan cannot be applied
      convoke.yaml:4  pinned_name  Admins:
          the pinned group 6d7f2f5f5b1d4a0e9081fdc98d432fd1 is called "Renamed" in the account
        help: check that this is the group you mean, then correct the name in the file or rename the group in the account

    No changes. 1 group in sync.
    Digest: [digest]

    Resolve first, because --accept does not lift it: pinned_name.
    -- stderr
    error: the plan is refused: it cannot be applied
    "#);
}

#[test]
fn groups_with_equal_names_show_ids() {
    let world = given(Seed::default().group("Admins", ["alice@example.com"])).groups(&[("Admins", &[])]);
    world.account().create_group("Admins");
    let outcome = world.run("plan").exits(3);
    assert!(outcome.stdout.contains("several groups of the account have this name; pin one by id: "), "{outcome}");
}

#[test]
fn unlistable_group_is_blocked_alone() {
    let broken = SeedGroup { policy_invalid: true, ..SeedGroup::of(["alice@example.com"]) };
    let world = given(organisation().group("Broken", broken))
        .groups(&[("Broken", &["alice@example.com"]), ("Billing", &["frank@example.com", "erin@example.com"])]);
    assert_snapshot!(world.run("plan"), @"
    exit 3
    -- stdout
    Billing (1 -> 2 members)
      + erin@example.com  no end  convoke.yaml:11

    Blocked: declared, but cannot be applied
      convoke.yaml:5  Broken:
          its members cannot be read: the API refused: Policy validation failed (code 400) [status 400, cf-ray [ray]]

    Plan: 1 to add, 0 to remove in 1 of 1 group
    1 blocked
    Digest: [digest]

    To apply exactly this plan:
      convoke apply --expect [digest]
    -- stderr
    error: blocked: something that the files declare cannot be applied
    ");
}

#[test]
fn names_from_the_account_cannot_steer_the_terminal() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mal\u{202e}lory\u{200b}@example.com"]);
    let world = given(seed.group("Ad\u{1b}[2Jmins", ["alice@example.com"]))
        .file("convoke.yaml", "version: 1\nsettings: { unmanaged_groups: report, limits: { group_removals: 2 } }\ngroups:\n  Admins:\n    members: [alice@example.com]\n");
    let outcome = world.run("plan").exits(0);
    assert!(!outcome.stdout.contains(['\u{1b}', '\u{202e}', '\u{200b}']), "{outcome:?}");
}

#[test]
fn other_spellings_of_an_address_or_name_are_typos() {
    let (composed, letters) = ("\u{c6b4}\u{c601}", "\u{110b}\u{116e}\u{11ab}\u{110b}\u{1167}\u{11bc}");
    let seed = Seed::default()
        .group("New", ["ann@example.com"])
        .group("Old", ["ann@example.com", "re\u{301}ne\u{301}e\u{301}@example.com", "bob@bu\u{308}cher.example"])
        .group(composed, ["ann@example.com"]);
    let world = given(seed).groups(&[
        ("New", &["r\u{e9}n\u{e9}\u{e9}@example.com", "bob@xn--bcher-kva.example"]),
        ("Old", &["ann@example.com"]),
        (letters, &["ann@example.com"]),
    ]);
    let plan = world.run("plan --format json").exits(3).json();
    assert_eq!((plan["summary"]["removes"].as_u64(), plan["summary"]["held"].as_u64()), (Some(0), Some(3)), "{plan:#}");
    let reasons: Vec<&str> = plan["blocked"].as_array().unwrap().iter().filter_map(|b| b["message"].as_str()).collect();
    assert_eq!(reasons.len(), 3);
    assert!(reasons.iter().all(|reason| reason.contains("did you mean ")), "{reasons:#?}");
}

#[test]
fn ends_that_a_guard_will_keep_are_named_for_ninety_days() {
    let text = "version: 1\ngroups:\n  Pair:\n    min_members: 2\n    members:\n      - ann@example.com\n      - email: bob@example.com\n        until: 2027-01-31\n";
    let world = given(Seed::default().group("Pair", ["ann@example.com", "bob@example.com"])).file("convoke.yaml", text);
    let kept = "bob@example.com will stay in group \"Pair\" after 2027-01-31: 1 would be left, and `min_members` is 2";
    for format in ["text", "markdown", "json", "github"] {
        let outcome = world.run(&format!("plan --at 2026-12-01 --format {format}")).exits(0);
        let said = format!("{}{}", outcome.stdout, outcome.stderr).replace("\\\"", "\"").replace('`', "");
        assert!(said.contains("bob@example.com") && said.contains("after 2027-01-31"), "{outcome}");
    }
    world.run("plan --at 2026-12-01").exits(0).says(kept);
    assert!(!world.run("plan --at 2026-10-01").exits(0).stdout.contains("will stay"));
}

#[test]
fn person_with_another_address_is_offered_as_a_rename() {
    let seed = Seed::default().group("Ops", ["ann@example.com", "o'neil@new.example"]);
    let world = given(seed).groups(&[("Ops", &["ann@example.com", "o'neil@old.example"])]);
    let outcome = world.run("plan").exits(3);
    outcome.says("convoke rename 'o'\\''neil@old.example' 'o'\\''neil@new.example'");
}
