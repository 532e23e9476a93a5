//! `review`: every membership of the account once, in every format, or an error.

use std::collections::BTreeMap;

use convoke::model::{RunStatus, Status};
use convoke::plan::{self, Beginnings, Digest, ReviewFacts, Standing};
use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Seed, SeedGroup};

use crate::account::{AccountBuilder, member, parsed, policy};
use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given, repository};

const FILES: &str = "\
version: 1
rosters:
  sre: [alice@example.com]
groups:
  Admins:
    members:
      - roster: sre
      - email: dave@example.com
        until: 2020-11-01
        reason: INC-4821 cover
      - email: carol@example.com
        from: 2020-11-01
        until: 2999-12-31
      - email: later@example.com
        from: 2998-01-01
";

fn account() -> World {
    let seed = Seed::default()
        .group("Admins", ["alice@example.com", "mallory@example.com", "dave@example.com"])
        .group("Legacy", ["mallory@example.com"])
        .person("carol@example.com")
        .person("later@example.com");
    given(seed).file("convoke.yaml", FILES)
}

/// The rows of a review as CSV, by column names.
fn rows(world: &World, arguments: &str) -> Vec<BTreeMap<String, String>> {
    let text = world.run(&format!("review --format csv {arguments}")).exits(0).stdout;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    reader.deserialize().map(Result::unwrap).collect()
}

#[test]
fn each_membership_is_listed_once_with_its_state() {
    let rows = rows(&account(), "");
    let found: Vec<[&str; 7]> = rows
        .iter()
        .map(|row| {
            ["group", "mode", "person", "state", "declared_at", "until", "reason"].map(|column| row[column].as_str())
        })
        .collect();
    assert_eq!(
        found,
        [
            ["Admins", "exact", "alice@example.com", "declared", "convoke.yaml:3", "", ""],
            ["Admins", "exact", "carol@example.com", "missing", "convoke.yaml:11", "2999-12-31", ""],
            ["Admins", "exact", "dave@example.com", "expired", "convoke.yaml:8", "2020-11-01", "INC-4821 cover"],
            ["Admins", "exact", "mallory@example.com", "undeclared", "", "", ""],
            ["Legacy", "unmanaged", "mallory@example.com", "undeclared", "", "", ""],
            ["", "", "mallory@example.com", "in_no_file", "", "", ""],
        ]
    );
}

#[test]
fn the_head_names_account_time_commit_and_files() {
    let world = account().env("GITHUB_SHA", "0123456789abcdef0123456789abcdef01234567");
    let json = world.run("review --format json").exits(0).json();
    assert_eq!(json["status"], "changes");
    assert_eq!(json["account_id"], crate::harness::ACCOUNT);
    let time: jiff::Timestamp = json["time"].as_str().unwrap().parse().unwrap();
    assert!(time.duration_until(jiff::Timestamp::now()).as_secs() < 600, "{time}");
    // Evidence is of now.
    world.run("review --at 2026-11-24").exits(64);
    assert_eq!(json["commit"], "0123456789abcdef0123456789abcdef01234567");
    assert_eq!(json["files_digest"].as_str().unwrap().len(), 64);
    assert_eq!(json["requests"], 5);
    assert_eq!(json["summary"]["memberships"], 4);
    let text = world.run("review").exits(0).stdout;
    for part in
        ["Commit:   0123456789abcdef", "Files:    SHA-256 ", "Requests: 5", "undeclared: 1, expired: 1, missing: 1"]
    {
        assert!(text.contains(part), "{part}: {text}");
    }
}

#[test]
fn head_names_the_commit_of_any_clone_and_what_differs_from_it() {
    let world = account();
    let git = |arguments: &[&str]| {
        let identity = ["-c", "user.name=a", "-c", "user.email=a@example.com"];
        let mut command = std::process::Command::new("git");
        let output = command.arg("-C").arg(world.path(".")).args(identity).args(arguments).output().unwrap();
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    };
    git(&["init", "-q"]);
    git(&["add", "convoke.yaml"]);
    git(&["commit", "-qm", "groups"]);
    let json = world.run("review --format json").exits(0).json();
    assert_eq!((&json["commit"], &json["uncommitted"]), (&git(&["rev-parse", "HEAD"]).into(), &serde_json::json!([])));
    world.write("convoke.yaml", format!("{FILES}# more\n"));
    let json = world.run("review --format json").exits(0).json();
    assert_eq!(json["uncommitted"], serde_json::json!(["convoke.yaml"]));
    world.run("review").exits(0).says("Modified: convoke.yaml (not as in the commit)");
}

#[test]
fn groups_show_description_owners_and_present_members() {
    let about = "    description: Break glass\n    owners: [alice@example.com, sre]\n    members:\n      - roster";
    let world = account();
    world.write("convoke.yaml", FILES.replace("    members:\n      - roster", about));
    let text = world.run("review").exits(0).says("Break glass").says("alice@example.com, sre");
    text.says("): 3 members, 1 missing");
    let html = world.run("review --format html").exits(0).stdout;
    for part in ["3 members, 1 missing", "Break glass", "<td class=\"person\">alice@example.com", "class=\"again\""] {
        assert!(html.contains(part), "{part}");
    }
    let rows = rows(&world, "");
    assert_eq!(
        (rows[0]["description"].as_str(), rows[0]["owners"].as_str()),
        ("Break glass", "alice@example.com; sre")
    );
}

#[test]
fn shared_address_is_declared_for_the_member_in_the_group() {
    let sharing = [0, 1].map(|number| member(number, Some("alice@example.com"), Status::Accepted));
    let [first, second] = sharing;
    let current = AccountBuilder::default().group_of("Admins", [first]).group_of("Other", [second]).observed;
    let file = "version: 1\ngroups:\n  Admins: { members: [alice@example.com] }\n";
    let desired = parsed(&[("groups.yaml", file)]);
    let time = "2026-12-01T00:00:00Z".parse().unwrap();
    let facts = ReviewFacts {
        account_id: policy().account_id,
        account_name: None,
        organization: None,
        time,
        commit: None,
        uncommitted: Vec::new(),
        files_digest: Digest::of(b""),
        requests: 0,
    };
    let review = plan::review(&desired, &current, facts, &Beginnings::new());
    assert_eq!(review.status, RunStatus::InSync);
    let rows: Vec<Standing> = review.groups[0].memberships.iter().map(|row| row.standing).collect();
    assert_eq!(rows, [Standing::Declared]);
}

#[test]
fn an_incomplete_listing_writes_nothing() {
    let broken = FaultRule::always(Match::operation(Endpoint::ListMembers).group("Legacy"), Fault::OmitResult);
    let refused = FaultRule::always(Match::operation(Endpoint::ListMembers).group("Legacy"), Fault::status(400));
    for rule in [broken, refused] {
        let seed = Seed::default().group("Admins", ["alice@example.com"]).group("Legacy", ["bob@example.com"]);
        let world = given(seed.fault(rule)).groups(&[("Admins", &["alice@example.com"])]);
        let outcome = world.run("review --format html --out review.html").exits(69);
        assert_eq!(outcome.stdout, "");
        assert!(!world.path("review.html").exists());
    }
}

#[test]
fn dates_cost_one_request_a_membership() {
    let world = account();
    let before = rows(&world, "");
    assert!(before.iter().all(|row| row["member_since"].is_empty()));
    let requests = world.request_count();
    let outcome = world.run("review --format csv --dates").exits(0);
    assert!(outcome.stderr.contains("--dates needs 4 more requests"), "{outcome}");
    assert_eq!(world.request_count() - requests, 9);
    let dated = outcome.stdout.lines().filter(|line| line.ends_with('Z')).count();
    assert_eq!(dated, 4, "{outcome}");
}

#[test]
fn hostile_names_stay_text_in_every_format() {
    let formula = "=HYPERLINK(\"http://evil\")";
    let markup = "<script>alert(1)</script>|`</td>\u{202e}";
    let seed = Seed::default().group(formula, ["+1@example.com"]).group(markup, ["\"a<b>\"@example.com"]);
    let world = given(seed).file("convoke.yaml", "version: 1\ngroups: {}\n");
    let csv = rows(&world, "");
    assert!(csv.iter().any(|row| row["group"] == format!("'{formula}")));
    assert!(csv.iter().any(|row| row["person"] == "'+1@example.com"));
    let html = world.run("review --format html").exits(0).stdout;
    assert!(!html.contains("<script") && !html.contains('\u{202e}') && !html.contains("a<b>"), "{html}");
    let markdown = world.run("review --format markdown").exits(0).stdout;
    assert!(!markdown.contains("\n### <script"), "{markdown}");
    assert!(!world.run("review").exits(0).stdout.contains('\u{202e}'));
}

#[test]
fn the_page_is_one_file_without_scripts() {
    let html = account().run("review --format html").exits(0).stdout;
    for part in ["<!DOCTYPE html>", "@media print", "prefers-color-scheme: dark", "People and groups", "Signature"] {
        assert!(html.contains(part), "{part}");
    }
    for part in ["<script", "src=", "http://", "https://", "url("] {
        assert!(!html.contains(part), "{part}");
    }
}

#[test]
fn organization_is_reviewed_completely() {
    let folder = repository("examples/organisation");
    let world = crate::harness::nothing();
    let (groups, seed) = (folder.join("groups"), folder.join("seed.yaml"));
    let command = format!("review --format json -f {} --sandbox {}", groups.display(), seed.display());
    let json = world.run(&command).exits(0).json();
    let mut listed = 0;
    for group in json["groups"].as_array().unwrap() {
        let members = group["memberships"].as_array().unwrap();
        let mut ids: Vec<&str> = members.iter().filter_map(|member| member["member_id"].as_str()).collect();
        listed += members.iter().filter(|member| member["state"] != "missing").count();
        ids.sort_unstable();
        let all = ids.len();
        ids.dedup();
        assert_eq!(ids.len(), all, "{group}");
    }
    assert_eq!(json["summary"]["memberships"], listed);
    let states = |name: &str| -> Vec<String> {
        let group = json["groups"].as_array().unwrap().iter().find(|group| group["name"] == name).unwrap();
        let members = group["memberships"].as_array().unwrap().iter();
        members
            .map(|member| format!("{} {}", member["person"].as_str().unwrap(), member["state"].as_str().unwrap()))
            .collect()
    };
    // Determined by hand from the files and the seed.
    for (group, expected) in [
        (
            "Platform Admins",
            &[
                "alice@example.com declared",
                "bob@example.com declared",
                "chandra@example.com declared",
                "root@example.com declared",
                "tara@example.com declared",
            ][..],
        ),
        ("On Call", &["alice@example.com missing", "farah@example.com undeclared"]),
        ("Contractors", &["casey@agency.example declared", "devon@agency.example missing"]),
        ("Old Project", &["ghost@example.com undeclared"]),
    ] {
        assert_eq!(states(group), expected, "{group}");
    }
}

/// The path of Chromium. Without Chromium, the test prints that it was skipped.
fn chromium() -> Option<std::path::PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    std::env::split_paths(&path).flat_map(|folder| names.map(|name| folder.join(name))).find(|file| file.is_file())
}

#[test]
fn a_browser_shows_the_page() {
    let Some(chromium) = chromium() else {
        println!("SKIPPED: Chromium is not installed");
        return;
    };
    let world = account();
    world.run("review --format html --out review.html").exits(0);
    let page = world.path("review.html");
    let profile = tempfile::tempdir().unwrap();
    let output = std::process::Command::new(chromium)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--dump-dom"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .arg(format!("--user-data-dir={}", profile.path().display()))
        .arg(format!("file://{}", page.display()))
        .output()
        .unwrap();
    let document = String::from_utf8_lossy(&output.stdout);
    assert_eq!(document.matches("<section").count(), 3, "a matrix and two groups: {document}");
    assert!(document.contains("<td class=\"word state\">expired</td>"), "{document}");
}

#[test]
fn description_and_owners_are_shown_where_somebody_decides() {
    let seed = Seed::default().person("ann@example.com").group("Break Glass", ["root@example.com", "old@example.com"]);
    let text = "\
version: 1
rosters:
  sre: [root@example.com]
groups:
  Break Glass:
    description: For | incidents
    owners: [ann@example.com, sre, gone@example.com]
    members: [root@example.com]
";
    let world = given(seed).file("convoke.yaml", text);
    let about = "For | incidents; owners: ann@example.com, sre, gone@example.com";
    world.run("validate").exits(0);
    let review = world.run("review").exits(0).says(about);
    review.warns("convoke.yaml:7: gone@example.com, an owner of group \"Break Glass\", is not a member of the account");
    world.run("review --format markdown").exits(0).says(about);
    let csv = world.run("review --format csv").exits(0).stdout;
    assert!(csv.lines().next().unwrap().ends_with("until,description,owners,member_since"), "{csv}");
    assert!(csv.contains(",For | incidents,ann@example.com; sre; gone@example.com,\n"), "{csv}");
    let html = world.run("review --format html").exits(0).stdout;
    assert!(html.contains("For | incidents</p>") && html.contains("Owners: <b>ann@example.com, sre, "), "{html}");
    let json = world.run("review --format json").exits(0).json();
    assert_eq!(
        (&json["groups"][0]["description"], &json["groups"][0]["owners"][1]),
        (&"For | incidents".into(), &"sre".into())
    );
    assert_eq!(json["warnings"].as_array().map(Vec::len), Some(1));
    world.run("drift").exits(2).says(about);
    world.run("why root@example.com").exits(0).says(about);
    world.run_with(&["why", "--group", "Break Glass"]).exits(0).says(about);
    world.run("plan --format markdown").exits(0).says("`Break Glass` `For \\| incidents; owners: ");
    assert_eq!(world.run("plan --format json").exits(0).json()["groups"][0]["about"]["owners"][0], "ann@example.com");
}

#[test]
fn a_group_that_two_declarations_mean_is_counted_once() {
    let id = "0000000000000000000000000000aaaa";
    let admins = SeedGroup { id: id.parse().ok(), ..SeedGroup::default() };
    let mut seed = Seed::default().group("Admins", ["ann@example.com", "bob@example.com"]);
    let members = seed.groups["Admins"].members.clone();
    seed.groups.insert("Admins".into(), SeedGroup { members, ..admins });
    let file = format!(
        "version: 1\ngroups:\n  Admins:\n    members: [ann@example.com]\n  Ops:\n    id: {id}\n    members: [bob@example.com]\n"
    );
    let review = given(seed).file("convoke.yaml", file).run("review --format json").exits(0).json();
    assert_eq!(review["groups"].as_array().unwrap().len(), 1, "{review}");
    assert_eq!(review["groups"][0]["memberships"].as_array().unwrap().len(), 2, "{review}");
}
