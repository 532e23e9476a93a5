//! The token never appears in any output or file.

use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Seed};

use serde_json::{Value, json};

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{ACCOUNT, TOKEN, World, admins, given, nothing};
use crate::server::{GROUP, Reply, Request, Server};

fn world(seed: Seed) -> World {
    given(seed.token(TOKEN)).groups(&[("Admins", &["alice@example.com", "bob@example.com"])])
}

#[test]
fn token_never_appears_in_output_or_files() {
    let flaky = FaultRule::once(Match::operation(Endpoint::ListMembers), Fault::html(502));
    let world = world(admins().fault(flaky));
    for arguments in
        ["plan -vv --out plan.json", "plan -vvv --log-format json", "apply --yes -vv --journal journal.jsonl"]
    {
        let outcome = world.run(arguments).exits(0);
        assert!(outcome.log.len() > 200, "little was said: {outcome:?}");
        assert!(!format!("{outcome:?}").contains(TOKEN), "{outcome:?}");
    }
    for file in ["plan.json", "journal.jsonl"] {
        assert!(!world.read(file).contains(TOKEN), "{file}");
    }
}

#[test]
fn the_token_is_in_no_error() {
    // A token that was just created is refused at first, so a 403 before the first success is asked again for 15 s. A
    // short limit of all waiting covers the same requests, retries and messages.
    let refused = [(Match::any(), " --max-wait 1s"), (Match::operation(Endpoint::ListMembers), "")];
    for (requests, options) in refused {
        let world = world(admins().fault(FaultRule::always(requests, Fault::status(403))));
        for arguments in ["plan -vv", "apply --yes -vv", "drift -vv"] {
            let outcome = world.run(&format!("{arguments}{options}")).exits(77);
            assert!(!format!("{outcome:?}").contains(TOKEN), "{outcome:?}");
        }
    }
}

#[test]
fn unsendable_token_is_not_shown() {
    let world = world(admins()).env("CLOUDFLARE_API_TOKEN", "secret\u{7}secret");
    let outcome = world.run("plan -vv").exits(77);
    assert!(!format!("{outcome}{}", outcome.log).contains("secret"), "{outcome:?}");
}

#[cfg(unix)]
#[test]
fn saved_files_are_private() {
    use std::os::unix::fs::PermissionsExt as _;

    let world = world(admins());
    world.run("plan --out plan.json").exits(0);
    world.run("apply --yes --journal journal.jsonl").exits(0);
    for file in ["plan.json", "journal.jsonl"] {
        let mode = std::fs::metadata(world.path(file)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{file}: {mode:o}");
    }
}

/// An API that puts the token into every text of its answers.
fn echo(_: usize, request: &Request) -> Reply {
    let token = request.header("authorization").unwrap().trim_start_matches("Bearer ").to_owned();
    let page =
        |rows: Value| json!({ "success": true, "errors": [], "result": rows, "result_info": { "total_count": 1 } });
    let policy = json!([{ "access": "allow", "permission_groups": [{ "id": token, "name": token }] }]);
    let id = "4f5f0c14a2a41d5063dd301b2f829f04";
    let email = format!("{token}@example.com");
    let member = json!({
        "id": id, "email": email, "status": token, "roles": [{ "name": token }],
        "user": { "id": token, "email": email },
    });
    let body = match request.path().rsplit('/').next().unwrap() {
        "user_groups" => page(json!([{ "id": GROUP, "name": format!("Admins {token}"), "policies": policy }])),
        "members" => page(json!([member])),
        "audit" => page(json!([{
            "action": { "time": "2026-11-20T14:02:00Z" }, "actor": { "email": email, "context": "dash" },
            "raw": { "uri": format!("/accounts/a/iam/user_groups/{GROUP}/members/{id}"), "method": "PUT", "cf_ray_id": token },
        }])),
        "user" | ACCOUNT => {
            json!({ "success": true, "errors": [], "result": { "id": token, "name": token, "email": email } })
        }
        _ => return Reply::error(403, 1000, &token).with("cf-ray", &token),
    };
    let Reply::Answer { status, body, .. } = Reply::json(&body) else { panic!("no answer") };
    Reply::Answer { status, headers: vec![("cf-ray", token)], body }
}

#[test]
fn token_repeated_in_answers_is_redacted() {
    let server = Server::on_thread(echo, None);
    let of = |token: &str| {
        nothing()
            .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
            .env("CLOUDFLARE_API_TOKEN", token)
            .env("CLOUDFLARE_BASE_URL", &server.url())
    };
    let world = of(TOKEN);
    world.write(
        "convoke.yaml",
        format!("version: 1\ngroups:\n  Admins:\n    id: {GROUP}\n    members: []\n    allow_empty: true\n"),
    );
    for command in [
        "plan -vvv --out plan.json",
        "drift -vvv --metrics-file m.prom",
        "drift --format json",
        "review --format csv",
        "review --format json",
        "why someone@example.com -vv",
        "export -vv --format json",
        "doctor --format json",
        "apply --yes -vvv --max-wait 1s --journal journal.jsonl",
        "plan -vv --log-format json --format markdown",
    ] {
        let outcome = world.run(command);
        assert!(!format!("{outcome:?}{}", outcome.log).contains(TOKEN), "{command}: {outcome}{}", outcome.log);
    }
    for entry in std::fs::read_dir(world.path("")).unwrap() {
        let text = String::from_utf8_lossy(&std::fs::read(entry.unwrap().path()).unwrap()).into_owned();
        assert!(!text.contains(TOKEN), "{text}");
    }
    assert!(world.run("drift").stdout.contains("[redacted]@example.com"));

    let world = of("t").groups(&[("Others", &["alice@example.com"])]);
    let outcome = world.run("plan").exits(3);
    assert!(!format!("{outcome:?}").contains("redacted"), "{outcome}");
}

#[test]
fn password_of_the_ci_url_is_dropped() {
    let world = world(admins()).env("BUILD_URL", "https://user:hunter2@ci.example.com/job/7");
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let journal = world.read("journal.jsonl");
    assert!(journal.contains("https://ci.example.com/job/7") && !journal.contains("hunter2"), "{journal}");

    let server = Server::on_thread(echo, None);
    world.env("CLOUDFLARE_BASE_URL", &server.url()).run("plan");
    let agent = server.seen()[0].header("user-agent").unwrap().to_owned();
    assert!(agent.contains("(+https://ci.example.com/job/7)"), "{agent}");
}
