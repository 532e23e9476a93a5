//! `doctor` against a sandbox with each trouble.

use convoke::sandbox::Seed;
use proptest::prelude::*;
use serde_json::{Value, json};

use crate::harness::{ACCOUNT, World, given, nothing};
use crate::server::{Reply, Server};

const SEED: &str = "
token_owner: alice@example.com
groups:
  Admins: { members: [alice@example.com, bob@example.com] }
";
const FILES: &str = "version: 1\ngroups:\n  Admins:\n    members: [alice@example.com, bob@example.com]\n";

fn world(seed: &str) -> World {
    given(Seed::parse("seed.yaml".as_ref(), seed).unwrap())
}

/// The check of this name, in a report with this exit code.
fn check(world: &World, name: &str, exit: i32) -> (String, String) {
    let report = world.run("doctor --format json").exits(exit).json();
    let check = report["checks"].as_array().unwrap().iter().find(|check| check["name"] == name).unwrap();
    (check["status"].as_str().unwrap().to_owned(), check["seen"].as_str().unwrap().to_owned())
}

#[test]
fn healthy_account_is_ok_with_and_without_files() {
    let world = world(SEED);
    let report = world.run("doctor --format json").exits(0).json();
    assert_eq!((&report["status"], &report["checks"][0]["seen"]), (&"ok".into(), &"a user's API token, active".into()));
    let text = world.run("doctor").exits(0).says("0 warning, 0 failed").stdout;
    assert!(text.contains("there are no files"), "{text}");
    world.write("convoke.yaml", FILES);
    world.run("doctor").exits(0).says("declared groups: 1").says("that the account does not have: 0 of 1");
}

#[test]
fn doctor_sends_only_reads() {
    let world = world(SEED).file("convoke.yaml", FILES);
    world.run("doctor").exits(0);
    assert!(world.account().requests().iter().all(|request| request.method == "GET"));
}

#[test]
fn refused_credentials_are_told_from_missing_rights() {
    let expired = world(&format!("{SEED}token_status: expired\ntoken_expires_on: 2026-01-01T00:00:00Z\n"));
    assert_eq!(
        check(&expired, "credentials", 77).1,
        "a user's API token that is disabled or expired, valid until 2026-01-01"
    );
    let refuse = |operation: &str| {
        let on = format!("on: {{ operation: {operation} }}");
        world(&format!("{SEED}faults: [{{ {on}, do: {{ respond: {{ status: 403 }} }}, times: 99 }}]\n"))
    };
    for (operation, name, status, exit) in [
        ("list-groups", "read_groups", "failed", 3),
        ("list-members", "read_members", "failed", 3),
        ("list-people", "read_account_members", "failed", 3),
        ("list-audit-log", "read_audit_log", "warning", 2),
        ("get-user", "read_user", "warning", 2),
        ("list-scim-groups", "read_scim", "warning", 2),
        ("get-account", "account", "warning", 2),
    ] {
        assert_eq!(
            check(&refuse(operation), name, exit),
            (status.into(), "refused (status 403)".into()),
            "{operation}"
        );
    }
}

/// A world in which every request of an operation gets this answer.
fn answering(operation: &str, answer: &str) -> World {
    world(&format!("{SEED}faults: [{{ on: {{ operation: {operation} }}, do: {{ respond: {answer} }}, times: 999 }}]\n"))
}

#[test]
fn every_other_check_is_made_when_one_reading_fails() {
    let failing = "{ status: 500 }";
    for (operation, name, status, exit, others) in [
        ("verify-token", "credentials", "warning", 2, 13),
        ("get-account", "account", "warning", 2, 13),
        ("list-groups", "read_groups", "failed", 69, 10),
        ("list-members", "read_members", "failed", 69, 13),
        ("list-people", "read_account_members", "failed", 69, 13),
        ("list-audit-log", "read_audit_log", "warning", 2, 13),
        ("get-user", "read_user", "warning", 2, 13),
        ("list-scim-groups", "read_scim", "warning", 2, 13),
    ] {
        let report = answering(operation, failing).run("doctor --format json --max-wait 300ms").exits(exit).json();
        assert_eq!(report["status"], status, "{operation}");
        let (ok, rest): (Vec<&Value>, Vec<&Value>) =
            report["checks"].as_array().unwrap().iter().partition(|check| check["status"] == "ok");
        assert_eq!((ok.len(), rest.len()), (others, 1), "{operation}: {report}");
        assert_eq!((&rest[0]["name"], &rest[0]["status"]), (&name.into(), &status.into()));
        assert!(rest[0]["seen"].as_str().unwrap().ends_with("the API failed (status 500)"), "{report}");
    }
}

/// A healthy account's answer, by the end of the path.
fn sound(path: &str) -> Value {
    let id = "4f5f0c14a2a41d5063dd301b2f829f04";
    let result = match path {
        path if path.ends_with("/verify") => json!({ "status": "active" }),
        path if path.ends_with("/Groups") => return json!({ "totalResults": 0 }),
        path if path.ends_with("/user_groups") => json!([{ "id": id, "name": "Admins" }]),
        path if path.ends_with("/members") => json!([{ "id": id, "email": "a@example.com" }]),
        path if path.ends_with("/audit") => json!([]),
        _ => json!({ "id": id }),
    };
    let count = result.as_array().map_or(0, Vec::len);
    json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": { "total_count": count } })
}

#[test]
fn answer_without_the_expected_content_is_no_evidence() {
    let envelope = |result: Value| json!({ "success": true, "errors": [], "messages": [], "result": result });
    for (end, name, answer, status, exit) in [
        ("/verify", "credentials", envelope(Value::Null), "warning", 2),
        ("a8372d0c353", "account", envelope(Value::Null), "warning", 2),
        ("/user", "read_user", envelope(Value::Null), "warning", 2),
        ("/Groups", "read_scim", envelope(Value::Null), "warning", 2),
        ("/Groups", "read_scim", json!({ "totalResults": 1 }), "warning", 2),
        ("/Groups", "read_scim", json!([]), "warning", 2),
        ("/Groups", "read_scim", json!({ "totalResults": 2, "Resources": [{ "id": "a" }] }), "warning", 2),
        ("/user_groups/4f5f0c14a2a41d5063dd301b2f829f04/members", "read_members", envelope(json!({})), "failed", 69),
        ("a8372d0c353/members", "read_account_members", envelope(json!({})), "failed", 69),
    ] {
        let server = Server::on_thread(
            move |_, request| {
                let path = request.path();
                Reply::json(&if path.ends_with(end) { answer.clone() } else { sound(path) })
            },
            None,
        );
        let world = nothing().env("CLOUDFLARE_BASE_URL", &server.url());
        let world = world.env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT).env("CLOUDFLARE_API_TOKEN", "hunter2hunter2");
        let seen = check(&world, name, exit);
        assert_eq!(seen.0, status, "{end}: {seen:?}");
        let said = ["does not match the API's documentation", "the list contradicts itself"];
        assert!(said.iter().any(|said| seen.1.contains(said)), "{end}: {seen:?}");
    }
}

#[test]
fn the_kind_of_refused_credentials_is_named() {
    let world = answering("get-user", "{ status: 403 }").env("CLOUDFLARE_API_TOKEN", "");
    let world = world.env("CLOUDFLARE_EMAIL", "a@example.com").env("CLOUDFLARE_API_KEY", "0123456789abcdef");
    assert_eq!(check(&world, "credentials", 2).1, "an API key of a user: refused (status 403)");
}

#[test]
fn new_token_is_given_some_seconds() {
    let world = world(&format!("{SEED}token_settles: 5\n"));
    assert_eq!(check(&world, "credentials", 0).1, "a user's API token, active");
}

#[test]
fn unreadable_file_is_named() {
    let world = world(SEED).file("broken.yaml", "version: 1\ngroups: { A: {} }\n");
    let report = world.run("doctor -f nothing.yaml -f broken.yaml").exits(3);
    report.says("problems: 2, files that cannot be read: 1").says("nothing.yaml: cannot be read");
}

#[test]
fn group_without_a_name_is_reported_without_files() {
    let world = world("token_owner: a@example.com\ngroups: { Hidden: { nameless: true }, Seen: {} }\n");
    let (status, seen) = check(&world, "unknown_names", 2);
    assert_eq!((status.as_str(), seen.as_str()), ("warning", "groups without a name in the account: 1 of 2"));
}

#[test]
fn refused_reading_is_not_said_to_be_a_change() {
    let fault = "faults: [{ on: { operation: list-groups }, do: { respond: { status: 400 } }, times: 99 }]\n";
    let plan = world(&format!("{SEED}{fault}")).file("convoke.yaml", FILES).run("plan").warns("check the account's id");
    assert!(!plan.stderr.contains("SCIM"), "{plan}");
}

#[test]
fn unreachable_api_is_unavailable() {
    let world = world(SEED).env("CLOUDFLARE_BASE_URL", "http://127.0.0.1:9");
    let outcome = world.run("doctor --max-wait 1s").exits(69).says("credentials          an API token: no connection");
    outcome.says("there are no files").warns("the API cannot be reached");
}

#[test]
fn clock_order_and_pages_are_seen() {
    let ahead = world(&format!("{SEED}clock_ahead: 10m\n"));
    let (status, seen) = check(&ahead, "clock", 2);
    assert!(status == "warning" && seen.ends_with(" seconds behind the API's") && !seen.starts_with('-'), "{seen}");
    let odd = world(&format!("{SEED}member_order: id\npage_size_cap: 1\n"));
    assert!(
        check(&odd, "read_members", 0)
            .1
            .starts_with("rows on the first page: 1 of at most 500; page 1, per_page 1, count 1, total_count 2")
    );
    let many = "groups: { A: { members: [a@b.example, b@a.example, c@a.example] } }\nmember_order: ";
    for (order, seen) in [("address", "sorted by"), ("id", "sorted by")] {
        assert!(check(&world(&format!("{many}{order}")), "read_members", 2).1.contains(seen));
    }
}

#[test]
fn declared_groups_are_compared_with_the_account() {
    let seed = "
token_owner: alice@example.com
groups:
  Admins: { id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1, external_id: 00g1, policies: [{ permission_groups: [DNS] }] }
  Hidden: { id: 7d7f2f5f5b1d4a0e9081fdc98d432fd1, nameless: true }
";
    let files = "
version: 1
groups:
  Owners: { id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1, permissions: [], members: [], allow_empty: true }
  Hidden: { id: 7d7f2f5f5b1d4a0e9081fdc98d432fd1, members: [], allow_empty: true }
";
    let world = world(seed).file("convoke.yaml", files);
    for name in ["pinned_names", "unknown_names", "pinned_permissions", "identity_provider"] {
        let (status, seen) = check(&world, name, 2);
        assert!(status == "warning" && seen.ends_with(": 1 of 2"), "{name}: {seen}");
    }
    world.run("doctor").exits(2).says("Owners is called Admins in the account").says("not pinned: [DNS]");
}

#[test]
fn broken_files_fail() {
    let world = world(SEED).file("convoke.yaml", "version: 1\ngroups: { A: {} }\n");
    assert_eq!(check(&world, "files", 3), ("failed".into(), "problems: 1".into()));
    let text = world.run("doctor").exits(3).says("convoke.yaml:2:11: group \"A\" has no `members`").stdout;
    assert!(!text.contains("\\n"), "{text}");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    #[test]
    fn document_has_no_address_name_or_id(group in "[a-z]{12,20}", person in "[a-z]{12,20}", account in "[a-z]{12,20}") {
        let seed = format!(
            "account_name: {account}\norganization: {account}\ntoken_owner: {person}@example.com\ngroups:\n  \
             {group}: {{ external_id: x, nameless: false, members: [{person}@example.com], policies: [{{ permission_groups: [{group}] }}] }}\n"
        );
        let files = format!("version: 1\ngroups:\n  {group}: {{ permissions: [], members: [{person}@example.com] }}\n  no{group}: {{ members: [] }}\n");
        let world = world(&seed).file("convoke.yaml", files);
        let text = world.run("doctor --format json").exits(2).stdout;
        for secret in [&group, &person, &account] {
            prop_assert!(!text.contains(secret.as_str()), "{text}");
        }
        prop_assert!(!text.contains('@') && !text.contains(ACCOUNT), "{text}");
        let digits = |run: &str| run.len() >= 32;
        prop_assert!(!text.split(|c: char| !c.is_ascii_hexdigit()).any(digits), "{text}");
        let report: Value = serde_json::from_str(&text).unwrap();
        prop_assert_eq!(&report["status"], "warning");
    }
}
