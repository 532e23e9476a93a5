//! The formats, `--base`, `show`, `why`, and the help.

use std::collections::{BTreeMap, BTreeSet};

use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Seed};

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given, nothing};

fn team() -> Seed {
    Seed::default()
        .person("bob@example.com")
        .person("dave@example.com")
        .group("Admins", ["alice@example.com"])
        .group("Developers", ["alice@example.com", "mallory@example.com"])
}

const BEFORE: &str = "\
version: 1
settings: { limits: { group_removals: 100%, total_removals: 100% } }
rosters:
  sre: [alice@example.com]
groups:
  Admins:
    members: [roster: sre]
  Developers:
    members: [alice@example.com, dave@example.com]
";

/// A pull request that adds Bob to a roster. In the account, Developers had already drifted.
fn pull_request() -> World {
    let after = BEFORE.replace("sre: [alice@example.com]", "sre: [alice@example.com, bob@example.com]");
    given(team()).file("base/groups.yaml", BEFORE).file("groups/groups.yaml", after)
}

/// The label of each change, by group and address.
fn labels(plan: &serde_json::Value) -> Vec<String> {
    let groups = plan["groups"].as_array().unwrap();
    let changes = groups.iter().flat_map(|group| {
        let changes = group["changes"].as_array().unwrap();
        changes.iter().map(|change| {
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            format!("{} {}: {}", text(&group["name"]), text(&change["member"]["email"]), text(&change["since"]))
        })
    });
    changes.collect()
}

#[test]
fn differences_are_labeled_with_base() {
    let plan = pull_request().run("plan -f groups --base base --format json").exits(0).json();
    assert_eq!(
        labels(&plan),
        [
            "Admins bob@example.com: change",
            "Developers dave@example.com: before",
            "Developers mallory@example.com: before",
        ]
    );
}

#[test]
#[cfg(unix)]
fn base_can_be_a_pipe() {
    let world = pull_request();
    let piped = |text: &str| {
        let mut command = world.command();
        command.args("plan -f groups --base /dev/stdin --format json".split(' ')).write_stdin(text);
        command.output().unwrap()
    };
    let plan = serde_json::from_slice(&piped(BEFORE).stdout).unwrap();
    assert_eq!(labels(&plan).first().unwrap(), "Admins bob@example.com: change");
    // With a base that does not parse, nothing is labeled.
    let wrong = piped("version: 1\ngroup: {}\n");
    assert_eq!(wrong.status.code(), Some(0));
    let plan: serde_json::Value = serde_json::from_slice(&wrong.stdout).unwrap();
    assert!(plan["groups"][0]["changes"][0]["since"].is_null());
}

#[test]
fn moving_files_or_rosters_causes_no_difference() {
    let moved = BEFORE
        .replace(
            "  sre: [alice@example.com]",
            "  sre: [alice@example.com]\n  devs: [alice@example.com, dave@example.com]",
        )
        .replace("members: [alice@example.com, dave@example.com]", "members: [roster: devs]");
    let world = given(team()).file("base/old.yaml", BEFORE).file("groups/new.yaml", moved);
    let plan = world.run("plan -f groups --base base --format json").exits(0).json();
    let expected = ["Developers dave@example.com: before", "Developers mallory@example.com: before"];
    assert_eq!(labels(&plan), expected);
    world.run("plan -f groups --base base --format markdown").exits(0).says("### This change makes no difference");
}

#[test]
fn renaming_does_not_relabel_drift() {
    let world = given(team());
    let id = world.account().group_id("Developers").unwrap();
    world.account().rename_group("Developers", "Engineers");
    let before = BEFORE.replace("  Developers:\n", &format!("  Developers:\n    id: \"{id}\"\n"));
    let after = before
        .replace("  Developers:", "  Engineers:")
        .replace("sre", "reliability")
        .replace("dave@example.com]", "dave@example.com, bob@example.com]");
    let world = world.file("base/groups.yaml", &before).file("groups/groups.yaml", after);
    // Before the change, the pin named a group with another name. The base is refused, but still compared.
    world.run("plan -f base").exits(3);
    let plan = world.run("plan -f groups --base base --format json").exits(0).json();
    assert_eq!(
        labels(&plan),
        [
            "Engineers bob@example.com: change",
            "Engineers dave@example.com: before",
            "Engineers mallory@example.com: before",
        ]
    );
}

#[test]
fn saved_plan_is_shown_in_every_format() {
    let world = pull_request();
    let made = world.run("plan -f groups --base base --out plan.json --format markdown").exits(0).stdout;
    assert_eq!(world.run("show plan.json --format markdown").exits(0).stdout, made);
    assert_eq!(world.run("show plan.json --format json").exits(0).stdout, world.read("plan.json"));
    world.run("show plan.json").exits(0).says("+ bob@example.com").says("This change:\n\nAdmins (1 -> 2 members)");
    world.run("show groups/groups.yaml").exits(65);
}

#[test]
fn annotations_come_with_a_job_summary() {
    let summary = pull_request();
    let path = summary.path("summary.md");
    let world = summary.file("summary.md", "before\n").env("GITHUB_STEP_SUMMARY", path.to_str().unwrap());
    let shown = world.run("plan -f groups --base base --format github").exits(0);
    assert!(shown.stdout.starts_with("::notice file=groups/groups.yaml,line=4,"), "{shown}");
    assert!(!shown.stdout.contains("::notice file=groups/groups.yaml,line=9"), "{shown}");
    assert!(world.read("summary.md").starts_with("before\n<!-- convoke:plan -->\n### This change: +1 −0 in 1 group\n"));
}

#[test]
fn file_problems_use_the_requested_format() {
    let world = nothing().file("convoke.yaml", "version: 1\ngroups: { A: {} }\n");
    let github = world.run("validate --format github").exits(65);
    assert!(github.stdout.starts_with("::error file=convoke.yaml,line=2,col="), "{github}");
    let json = world.run("plan --format json").exits(65).json();
    assert_eq!((&json["exit_code"], &json["problems"][0]["line"]), (&65.into(), &2.into()));
}

#[test]
fn other_failures_are_documents_too() {
    let world = nothing().file("convoke.yaml", "version: 1\ngroups: {}\n");
    assert_eq!(world.run("plan --format json").exits(65).json()["problems"], serde_json::json!([]));
    world.run("plan --format github").exits(65).says("::error title=convoke failed::no account is set");
}

#[test]
fn why_finds_people_and_reports_unknown_ones() {
    let world = given(team()).file("convoke.yaml", BEFORE);
    world.run("why ALICE@example.com").exits(0).says("in 2 groups").says("convoke.yaml:4 via sre (convoke.yaml:7)");
    world.run("why mallory@example.com Developers").exits(0).says("Developers: a member, to be removed");
    world.run("why bob@example.com").exits(0).says("in 0 groups, declared for 0 groups");
    world.run("why nobody@example.com").exits(0).says("not a member of the account, and no file names this person");
    world.run("why alice@example.com Nowhere").exits(64);
    world.run("why alice").exits(64);
    let missing = world.run("why bob@example.com Developers --format json").exits(0).json();
    assert_eq!(missing["groups"], serde_json::json!([]));
}

#[test]
fn why_with_a_group_does_not_count_groups() {
    let file = "version: 1\ngroups:\n  Developers: { members: [bob@example.com, mallory@example.com] }\n";
    let world = given(team()).file("convoke.yaml", file);
    let text = world.run("why bob@example.com Developers").exits(0).says("Developers: declared, to be added");
    assert!(!text.stdout.contains("0 groups"), "{text}");
    // Somebody whom the account does not know.
    let file = file.replace("bob@example.com", "nobody@example.com");
    world.write("convoke.yaml", &file);
    let text = world.run("why nobody@example.com Developers").exits(0).says("not a member of the account, declared");
    assert!(!text.stdout.contains("0 groups"), "{text}");
}

#[test]
fn why_group_shows_everybody_in_a_group_with_the_lines() {
    let file = "\
version: 1
rosters:
  sre: [alice@example.com]
groups:
  Developers:
    mode: additive
    members:
      - roster: sre
      - bob@example.com
      - email: zoe@example.com
        until: 2020-01-31
      - alcie@example.com
";
    let world = given(team()).file("convoke.yaml", file);
    let text = world.run("why --group Developers").exits(0);
    let id = world.account().group_id("Developers").unwrap().to_string();
    insta::assert_snapshot!(text.stdout.replace(&id, "[id]"), @r"
    Developers (additive), id [id]: 2 members, 3 declared

    alcie@example.com: declared, and cannot be applied: not a member of the account; did you mean alice@example.com?
      convoke.yaml:12
    alice@example.com: a member, as declared
      convoke.yaml:3 via sre (convoke.yaml:8)
    bob@example.com: declared, to be added
      convoke.yaml:9
    mallory@example.com: a member and not declared, which an additive group allows
      no entry names this person
    zoe@example.com: declared for another time, and not a member now
      convoke.yaml:10, until 2020-01-31, not now
    ");
    let json = world.run("why --group Developers --format json").exits(0).json();
    assert_eq!(
        (&json["status"], &json["person"], &json["group"]),
        (&"blocked".into(), &().into(), &"Developers".into())
    );
    let rows = json["groups"].as_array().unwrap().iter();
    let rows: Vec<(&str, &str)> =
        rows.map(|row| (row["person"].as_str().unwrap(), row["standing"].as_str().unwrap())).collect();
    let standings = ["blocked", "member", "joins", "additional", "not_now"];
    assert_eq!(rows.iter().map(|(_, standing)| *standing).collect::<Vec<_>>(), standings, "{json}");
    world.run("why --group Develpers").exits(64).warns("did you mean \"Developers\"?");
    world.run("why alice@example.com --group Developers").exits(64);
    world.run("why").exits(64);
}

#[test]
fn why_reports_groups_that_cannot_be_read() {
    let refused = FaultRule::always(Match::operation(Endpoint::ListMembers).group("Auditors"), Fault::status(400));
    let world = given(team().group("Auditors", ["bob@example.com"]).fault(refused)).file("convoke.yaml", BEFORE);
    let text = world.run("why bob@example.com").exits(0);
    text.says("in 0 groups, declared for 0 groups; 1 group cannot be read")
        .says("Auditors: unknown, because its members cannot be read");
    let json = world.run("why bob@example.com --format json").exits(0).json();
    assert_eq!((&json["status"], &json["unreadable"][0]["name"]), (&"blocked".into(), &"Auditors".into()));
    let json = world.run("why bob@example.com Developers --format json").exits(0).json();
    assert_eq!((&json["status"], &json["unreadable"]), (&"in_sync".into(), &serde_json::json!([])));
}

#[test]
fn the_short_help_fits_a_screen() {
    let world = nothing();
    for command in commands().iter().map(String::as_str).chain([""]) {
        let help = world.run(&format!("{command} -h")).exits(0);
        let lines: Vec<&str> = help.stdout.lines().collect();
        assert!(lines.len() <= 40, "{command}: {} lines", lines.len());
        assert!(lines.iter().all(|line| line.chars().count() <= 100), "{help}");
        assert!(command.is_empty() || help.stdout.contains("Examples:\n  convoke "), "{help}");
    }
}

/// Every command, as the help lists them.
pub fn commands() -> Vec<String> {
    let help = nothing().run("-h").exits(0).stdout;
    let listed = help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = listed.filter_map(|line| line.strip_prefix("  ")?.split(' ').next().map(String::from));
    names.filter(|name| !name.is_empty() && name != "help").collect()
}

#[test]
fn flags_have_one_order_in_every_help() {
    let world = nothing();
    let mut after: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for command in commands() {
        let help = world.run(&format!("{command} --help")).exits(0).stdout;
        let flags = help.lines().filter_map(|line| {
            let long = line.strip_prefix("      --").or_else(|| line.strip_prefix("  -")?.get(4..));
            Some(long?.split([' ', '.']).next()?.trim_start_matches('-').to_owned())
        });
        let flags: Vec<String> = flags.collect();
        assert!(flags.len() > 2, "{help}");
        for (index, flag) in flags.iter().enumerate() {
            after.entry(flag.clone()).or_default().extend(flags[index + 1..].iter().cloned());
        }
        let logs = !["completions", "man", "schema"].contains(&command.as_str());
        assert_eq!(flags.iter().any(|flag| flag == "log-format"), logs, "{command}");
    }
    for (flag, later) in &after {
        for other in later {
            assert!(!after[other].contains(flag), "--{flag} and --{other} have no fixed order");
        }
    }
    for command in ["schema plan", "completions bash", "man"] {
        world.run(&format!("{command} --log-format json")).exits(64);
    }
}

#[test]
fn completions_and_the_manual_name_every_command() {
    let world = nothing();
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        world.run(&format!("completions {shell}")).exits(0).says("export");
    }
    world.run("man").exits(0).says("convoke\\-export(1)");
    world.run("man export").exits(0).says("convoke\\-export \\- Write");
    world.run("man nothing").exits(64);
}

#[test]
fn report_names_made_changes_with_end_reason_and_line() {
    let file = "\
version: 1
rosters:
  sre: [alice@example.com]
groups:
  Developers:
    members:
      - roster: sre
      - email: bob@example.com
        until: 2027-01-31
        reason: INC-7
      - email: mallory@example.com
        until: 2026-11-30
";
    let world = given(team()).file("convoke.yaml", file);
    let page = world.run("apply --yes --accept-self --at 2026-12-15 --format markdown").exits(0);
    page.says("- `mallory@example.com` from `Developers`, expired (until 2026-11-30) (`convoke.yaml:11`)")
        .says("- `bob@example.com` to `Developers`, until 2027-01-31, `INC-7` (`convoke.yaml:8`)");
}

#[test]
fn exit_3_says_why_on_stderr() {
    let world = given(team()).groups(&[("Developers", &["nobody@example.com"])]);
    world.run("plan").exits(3).warns("error: blocked: something that the files declare cannot be applied");
    world.run("drift").exits(3).warns("error: blocked: something that the files declare cannot be applied");
    let refused = "version: 1\nsettings: { limits: { group_removals: 0% } }\ngroups:\n  Developers: { members: [bob@example.com] }\n";
    world.write("convoke.yaml", refused);
    world.run("plan").exits(3).warns("error: the plan is refused: it cannot be applied");
    assert_eq!(world.run("drift").exits(2).stderr, "");
    let json = world.run("plan --log-format json").exits(3);
    let line: serde_json::Value = serde_json::from_str(json.stderr.lines().last().unwrap()).unwrap();
    assert_eq!(line["level"], "ERROR", "{line}");
}

#[test]
fn blocked_person_is_one_line_with_the_same_remedies_in_plan_and_report() {
    let file = "\
version: 1
rosters:
  sre: [alice@example.org, nobody@example.com]
groups:
  Developers:
    members:
      - roster: sre
  Auditors:
    members:
      - nobody@example.com
      - alice@example.org
  Admins:
    members:
      - roster: sre
";
    let seed = team().group("Admins", ["alice@example.com"]).group("Auditors", ["alice@example.com"]);
    let world = given(seed).file("convoke.yaml", file);
    let rename = "the address may have changed: `convoke rename alice@example.org alice@example.com`";
    for (command, exit) in [("plan", 3), ("apply --yes", 5)] {
        let said = world.run(command).exits(exit).stdout.replace("\n      ", " ");
        assert!(said.contains("; also in Developers; also convoke.yaml:11 in Auditors"), "{said}");
        assert_eq!(said.matches(rename).count(), if command == "plan" { 1 } else { 2 }, "{said}");
    }
    world.run("apply --yes --format markdown").exits(5).says("convoke rename alice@example.org alice@example.com");
}

#[test]
fn a_new_domain_is_named_although_another_address_is_nearer() {
    let seed = Seed::default().group("Admins", ["alice@new.example", "alicf@old.example"]);
    let file = "version: 1\ngroups:\n  Admins:\n    members: [alicf@old.example, alice@old.example]\n";
    let said = given(seed).file("convoke.yaml", file).run("plan").exits(3).stdout;
    assert!(said.contains("did you mean alicf@old.example?"), "{said}");
    assert!(said.contains("`convoke rename alice@old.example alice@new.example`"), "{said}");
}
