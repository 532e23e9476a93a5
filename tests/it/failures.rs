//! Servers that are unreachable, wrong, slow or contradictory, and refused credentials: the messages, and that no
//! conclusions are drawn from incomplete answers.

use convoke::sandbox::{Access, Delay, Endpoint, Fault, FaultRule, Match, RateLimit, Respond, Seed};
use insta::assert_snapshot;

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{TOKEN, World, given};
use crate::server::unused_address;

fn admins() -> Seed {
    Seed::default().person("bob@example.com").group("Admins", ["alice@example.com"])
}

/// The account with a fault, and files that declare one addition.
fn with(rule: FaultRule) -> World {
    joining(admins().fault(rule))
}

fn joining(seed: Seed) -> World {
    given(seed).groups(&[("Admins", &["alice@example.com", "bob@example.com"])])
}

#[test]
fn unreachable_server_is_reported_with_remedy() {
    let address = unused_address();
    let world = joining(admins()).env("CLOUDFLARE_BASE_URL", &format!("{address}/client/v4"));
    let outcome = world.run("plan --max-wait 200ms").exits(69);
    assert_snapshot!(outcome, @r"
    exit 69
    -- stderr
    error: cannot list the account's user groups: no connection to the API: Connection refused (os error 111) [[n] attempts]
    help: check the network, the proxy settings and the API's address (--api-url)
    ");
}

#[test]
fn unreachable_api_still_gives_a_markdown_page() {
    let address = unused_address();
    let world = joining(admins()).env("CLOUDFLARE_BASE_URL", &format!("{address}/client/v4"));
    let page = world.run("plan --max-wait 200ms --format markdown").exits(69).stdout;
    assert!(page.starts_with("<!-- convoke:plan -->\n### `convoke plan` failed\n"), "{page}");
    assert!(page.contains("> [!CAUTION]") && page.contains("Connection refused"), "{page}");
    assert!(!page.contains("Digest:"), "{page}");
}

#[test]
fn wrong_token_is_not_shown() {
    assert_snapshot!(joining(admins().token("another-token-0123456789-0123456789-012")).run("plan"), @r#"
    exit 77
    -- stderr
    error: cannot list the account's user groups: the credentials are refused or do not allow this: Invalid API Token (code 1000) [status 401, cf-ray [ray]]
    help: check that the token is active and belongs to this account, that the account id is correct, and that the token has "Account Settings Read" (to plan) or "Account Settings Write" or "SCIM Provisioning" (to apply)
    "#);
}

#[test]
fn read_only_token_plans_but_cannot_apply() {
    let world = joining(Seed { token_access: Access::Read, ..admins() });
    world.run("plan").exits(0).says("+ bob@example.com");
    assert_snapshot!(world.run("apply --yes"), @r#"
    exit 77
    -- stdout
    Admins (1 -> 2 members)
      + bob@example.com  no end  convoke.yaml:8

    Plan: 1 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    failed Admins: 0 added, 0 removed
      not added: bob@example.com: the credentials are refused or do not allow this: Authentication error (code 10000) [status 403, cf-ray [ray]] (convoke.yaml:8)

    Not applied: 0 added, 0 removed.
    0 of 1 group in sync.
    1 group failed
    To apply, the token needs "Account Settings Write" or "SCIM Provisioning".
    Resolve the problems above, then run `convoke apply` again.
    "#);
    assert_eq!(world.members("Admins"), ["alice@example.com"]);
}

#[test]
fn token_that_has_written_a_group_is_strong_enough() {
    let refused = FaultRule::always(Match::operation(Endpoint::AddMembers).group("Admins"), Fault::status(403));
    let seed = admins().group("Owners", ["alice@example.com"]).fault(refused);
    let both = ["alice@example.com", "bob@example.com"];
    let world = given(seed).groups(&[("Admins", &both), ("Owners", &both)]);
    let applied = world.run("apply --yes").exits(5).says("Applied in part: 1 added, 0 removed.");
    assert!(
        applied.stdout.contains("not added: bob@example.com") && !applied.stdout.contains("token needs"),
        "{applied}"
    );
}

#[test]
fn token_file_and_api_key_are_accepted() {
    let world = joining(admins().token(TOKEN)).without("CLOUDFLARE_API_TOKEN");
    world.run("plan").exits(77).warns("no credentials were found");
    world.write("token", format!("{TOKEN}\n"));
    world.run("plan --token-file token").exits(0);
    world.write("token", "\n");
    world.run("plan --token-file token").exits(77).warns("is empty");
    world.run("plan --token-file missing").exits(77).warns("cannot be read");
    let world = world.env("CLOUDFLARE_EMAIL", "alice@example.com").env("CLOUDFLARE_API_KEY", TOKEN);
    world.run("plan").exits(0);
}

#[test]
fn unknown_account_exits_65() {
    let world = with(FaultRule::always(Match::operation(Endpoint::ListGroups), Fault::status(404)));
    assert_snapshot!(world.run("plan --max-wait 200ms"), @"
    exit 65
    -- stderr
    error: cannot list the account's user groups: not found: Not Found (code 1000) [status 404, cf-ray [ray]]
    help: check the account's id, that the group still exists, and that the API's address (--api-url) ends in /client/v4
    ");
}

#[test]
fn token_of_another_account_is_refused() {
    let world = joining(Seed { account_id: Some("f".repeat(32).parse().unwrap()), ..admins() });
    assert_snapshot!(world.run("plan"), @r#"
    exit 77
    -- stderr
    error: cannot list the account's user groups: the credentials are refused or do not allow this: Unauthorized to access requested resource (code 9109) [status 403, cf-ray [ray], [n] attempts]
    help: check that the token is active and belongs to this account, that the account id is correct, and that the token has "Account Settings Read" (to plan) or "Account Settings Write" or "SCIM Provisioning" (to apply)
    "#);
}

#[test]
fn edge_error_is_retried() {
    with(FaultRule::once(Match::any(), Fault::html(502))).run("plan").exits(0).says("+ bob@example.com");
}

#[test]
fn lasting_edge_error_shows_its_status() {
    let world = with(FaultRule::always(Match::operation(Endpoint::ListMembers), Fault::html(502)));
    assert_snapshot!(world.run("plan --max-wait 200ms"), @r#"
    exit 69
    -- stderr
    error: cannot list the members of group "Admins" (98e0c7c51bc3ae1007232bdfe3a34776): the API failed: 502 Bad Gateway [status 502, cf-ray [ray], [n] attempts]
    help: try again later, or allow more time with --max-wait; https://www.cloudflarestatus.com reports outages
    "#);
}

#[test]
fn failed_request_is_an_object_in_json() {
    let world = with(FaultRule::always(Match::operation(Endpoint::ListMembers), Fault::html(502)));
    let failed = world.run("plan --max-wait 200ms --format json").exits(69).json();
    let api = &failed["api"];
    assert_eq!(failed["status"], "failed");
    assert_eq!([&api["operation"], &api["group"]["name"]], ["list_group_members", "Admins"]);
    assert_eq!(api["group"]["id"].as_str().unwrap().len(), 32);
    assert_eq!((&api["status"], &api["message"]), (&502.into(), &"502 Bad Gateway".into()));
    assert!(api["code"].is_null() && api["ray"].is_string() && api["attempts"].as_u64().unwrap() > 1, "{api}");
    assert_eq!(failed["requests"], world.request_count());

    let failed = joining(admins().token("another-token-0123456789-0123456789-012")).run("plan --format json").json();
    let api = &failed["api"];
    assert_eq!((&api["operation"], &api["group"]), (&"list_groups".into(), &serde_json::Value::Null));
    assert_eq!((&api["status"], &api["code"]), (&401.into(), &1000.into()));
    assert_eq!(api["message"], "Invalid API Token");
}

#[test]
fn exhausted_limit_delays_the_run() {
    let world = with(FaultRule::once(Match::operation(Endpoint::ListMembers), Fault::rate_limited(1)));
    world.run("plan").exits(0).says("+ bob@example.com");
}

#[test]
fn too_long_wait_is_reported_and_not_waited() {
    let world = with(FaultRule::always(Match::operation(Endpoint::ListMembers), Fault::rate_limited(250)));
    let outcome = world.run("plan --max-wait 2s").exits(69);
    assert!(outcome.stderr.contains("the next request would be allowed in"), "{outcome}");
    assert!(outcome.stderr.contains("--max-wait"), "{outcome}");
}

#[test]
fn nearly_used_window_is_not_exceeded() {
    let limit = RateLimit { requests: 1200, window: Delay::millis(2_000), spent: 1190 };
    let world = joining(Seed { rate_limit: Some(limit), ..admins() });
    world.run("plan").exits(0);
    assert!(world.account().requests().iter().all(|request| request.status_sent == Some(200)));
}

#[test]
fn redirected_request_fails_without_another() {
    let elsewhere = Respond { status: 302, location: Some("http://127.0.0.1:1/".into()), ..Respond::default() };
    let world = with(FaultRule::always(Match::any(), Fault::Respond(elsewhere)));
    assert_snapshot!(world.run("plan"), @"
    exit 69
    -- stderr
    error: cannot list the account's user groups: the API's URL redirects to another address: Found (code 1000) [status 302, cf-ray [ray]]
    help: use the API's final URL (--api-url): redirects are not followed
    ");
    assert_eq!(world.request_count(), 1);
}

#[test]
fn success_false_is_not_a_success() {
    let world = with(FaultRule::always(Match::operation(Endpoint::ListGroups), Fault::Unsuccessful));
    let outcome = world.run("apply --yes --max-wait 200ms").exits(69);
    assert!(outcome.stderr.contains("cannot list the account's user groups"), "{outcome}");
}

#[test]
fn missing_result_is_not_an_empty_list() {
    let seed = Seed::default().group("Admins", ["alice@example.com", "mallory@example.com"]);
    let omitted = FaultRule::always(Match::operation(Endpoint::ListMembers), Fault::OmitResult);
    let world = given(seed.fault(omitted)).groups(&[("Admins", &["alice@example.com"])]);
    let outcome = world.run("apply --yes --max-wait 200ms");
    assert_ne!(outcome.code, Some(0), "{outcome}");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn truncated_list_removes_nobody() {
    let members: Vec<String> = (0..20).map(|number| format!("p{number:02}@example.com")).collect();
    let names: Vec<&str> = members.iter().map(String::as_str).collect();
    let cut = FaultRule::always(Match::operation(Endpoint::ListMembers), Fault::Cut(convoke::sandbox::Cut::Body));
    let world = given(Seed::default().group("Admins", members.clone()).fault(cut)).groups(&[("Admins", &names[..5])]);
    world.run("apply --yes --max-wait 200ms").exits(69);
    assert_eq!(world.members("Admins").len(), 20);
}

#[test]
fn timeout_is_reported_with_remedy() {
    let world = with(FaultRule::always(Match::any(), Fault::Latency(Delay::millis(60_000))));
    let outcome = world.run("plan --timeout 100ms --max-wait 200ms").exits(69);
    assert!(outcome.stderr.contains("no answer in time"), "{outcome}");
    assert!(outcome.stderr.contains("--timeout"), "{outcome}");
}

#[test]
fn new_group_is_retried() {
    let world = joining(Seed { new_groups_settle: 2, ..admins() });
    world.account().create_group("New");
    world.write("convoke.yaml", crate::harness::config(&[("New", &["bob@example.com"])]));
    world.run("apply --yes").exits(0);
    assert_eq!(world.members("New"), ["bob@example.com"]);
}

#[test]
fn new_token_is_retried() {
    joining(Seed { token_settles: 2, ..admins() }).run("plan").exits(0);
}
