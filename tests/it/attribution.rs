//! `drift` names who made each unexpected change, as far as the audit log proves it.

use convoke::sandbox::{Edit, EditActor, Endpoint, Seed, SeedAuditLog};
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::builders::{EditActorExt as _, EditExt as _, SeedExt as _};
use crate::harness::{World, given, nothing};
use crate::server::{ACCOUNT, GROUP, Reply, Server, TOKEN, email, id, paged};

fn seed() -> Seed {
    Seed::default()
        .person("mallory@example.com")
        .person("oscar@example.com")
        .person("peggy@example.com")
        .group("Admins", ["alice@example.com", "bob@example.com"])
}

fn world(audit: SeedAuditLog) -> World {
    let mut seed = seed();
    seed.audit_log = audit;
    given(seed).groups(&[("Admins", &["alice@example.com", "bob@example.com"])])
}

fn edit(world: &World, by: Option<EditActor>, edit: Edit) {
    let edit = match by {
        Some(by) => edit.by(by),
        None => edit,
    };
    assert!(world.account().edit(&edit));
}

fn scim() -> EditActor {
    EditActor { context: Some("scim".into()), email: Some("idp@example.com".into()), ..EditActor::default() }
}

#[test]
fn drift_names_the_author_of_changes() {
    let world = world(SeedAuditLog::default());
    edit(&world, Some(EditActor::dashboard("dana@example.com")), Edit::add("Admins", "mallory@example.com"));
    edit(&world, Some(EditActor::token("ci-legacy")), Edit::remove("Admins", "bob@example.com"));
    edit(&world, Some(scim()), Edit::add("Admins", "oscar@example.com"));
    edit(&world, None, Edit::add("Admins", "peggy@example.com"));
    let text = world.run("drift").exits(2).stdout;
    // The facts about a person are on their line or on the next one.
    let about = |person: &str| {
        let (_, rest) = text.split_once(person).unwrap();
        rest.split("\n  ").take_while(|part| !part.starts_with(['u', 'm'])).collect::<String>()
    };
    let (mallory, bob) = (about("mallory@example.com"), about("bob@example.com"));
    assert!(mallory.contains("added 20") && mallory.contains(" UTC by dana@example.com in the dashboard"), "{text}");
    assert!(bob.contains("removed 20") && bob.contains("by token ci-legacy (ray "), "{text}");
    assert!(about("oscar@example.com").contains("by the identity provider (idp@example.com, SCIM)"), "{text}");
    let peggy = about("peggy@example.com");
    assert!(peggy.contains("added 20") && !peggy.contains(" by "), "{text}");
    assert!(!text.contains("probably"), "{text}");

    let markdown = world.run("drift --format markdown").exits(2).stdout;
    assert!(markdown.contains("by `dana@example.com` in the dashboard"), "{markdown}");
    let github = world.run("drift --format github").exits(2).stdout;
    assert!(github.contains("by token ci-legacy (ray "), "{github}");
    let json = world.run("drift --format json --metrics-file convoke.prom").exits(2).json();
    let changes = json["groups"][0]["changes"].as_array().unwrap();
    let of = |email: &str| &changes.iter().find(|change| change["member"]["email"] == email).unwrap()["by"];
    assert_eq!(of("mallory@example.com")["actor"], "dana@example.com");
    assert_eq!(of("mallory@example.com")["certain"], true);
    assert!(of("mallory@example.com")["ray"].is_string());
    assert_eq!(of("bob@example.com")["kind"], "token");
    assert!(of("peggy@example.com").is_null());
    assert!(world.read("convoke.prom").contains("\nconvoke_drift_attributed 3\n"));
}

#[test]
fn an_entry_without_a_body_is_only_probable() {
    let world = world(SeedAuditLog { omit: vec!["/resource/request".into()], ..SeedAuditLog::default() });
    edit(&world, Some(EditActor::dashboard("dana@example.com")), Edit::add("Admins", "mallory@example.com"));
    world.run("drift").exits(2).says("probably added 20").says("by dana@example.com in the dashboard");
}

#[test]
fn entry_without_actor_has_no_author() {
    let world = world(SeedAuditLog { omit: vec!["/actor".into()], ..SeedAuditLog::default() });
    edit(&world, Some(EditActor::dashboard("dana@example.com")), Edit::add("Admins", "mallory@example.com"));
    let text = world.run("drift").exits(2).stdout;
    assert!(text.contains("by somebody that the audit log does not name") && !text.contains("dana"), "{text}");
}

#[test]
fn a_log_that_is_refused_changes_nothing_else() {
    for status in [403, 404] {
        let world = world(SeedAuditLog { refused: Some(status), ..SeedAuditLog::default() });
        edit(&world, None, Edit::add("Admins", "mallory@example.com"));
        edit(&world, None, Edit::remove("Admins", "bob@example.com"));
        let outcome = world.run("drift").exits(2);
        assert_eq!(outcome.stderr.matches("the audit log cannot be read").count(), 1, "{outcome}");
        assert!(outcome.stdout.contains("mallory@example.com"), "{outcome}");
    }
}

#[test]
fn log_is_read_only_for_differences() {
    let world = world(SeedAuditLog::default());
    world.run("drift").exits(0);
    let asked = |world: &World| world.account().request_counts().get(&Endpoint::ListAuditLog).copied().unwrap_or(0);
    assert_eq!(asked(&world), 0);
    edit(&world, None, Edit::remove("Admins", "bob@example.com"));
    world.run("drift --no-audit-log").exits(2);
    assert_eq!(asked(&world), 0);
    assert_eq!(world.account().request_counts().get(&Endpoint::GetMember), None);
    world.run("drift").exits(2);
    assert_eq!(asked(&world), 1);
}

#[test]
fn a_run_of_convoke_is_named_as_such() {
    let world = world(SeedAuditLog::default())
        .env("GITHUB_SERVER_URL", "https://git.example.com")
        .env("GITHUB_REPOSITORY", "owner/access")
        .env("GITHUB_RUN_ID", "42");
    world.write("other.yaml", crate::harness::config(&[("Admins", &["alice@example.com", "mallory@example.com"])]));
    world.run("apply --yes -f other.yaml").exits(0);
    let text = world.run("drift").exits(2).stdout;
    assert!(text.contains("by convoke in run https://git.example.com/owner/access/actions/runs/42"), "{text}");
}

#[test]
fn forged_user_agent_does_not_name_a_run() {
    let set = std::iter::once(("/raw/user_agent".to_owned(), json!("convoke/0.1.0 (+https://ci.example.com/7)")));
    let world = world(SeedAuditLog { set: set.collect(), ..SeedAuditLog::default() });
    edit(&world, Some(EditActor::dashboard("dana@example.com")), Edit::add("Admins", "mallory@example.com"));
    edit(&world, Some(EditActor::token("ci")), Edit::remove("Admins", "bob@example.com"));
    let text = world.run("drift").exits(2).stdout;
    let (mallory, bob) = text.split_at(text.find("bob@example.com").unwrap().max(text.find("mallory").unwrap()));
    let (mallory, bob) = if mallory.contains("mallory") { (mallory, bob) } else { (bob, mallory) };
    assert!(
        mallory.contains("by dana@example.com in the dashboard") && !mallory.contains("ci.example.com/7"),
        "{text}"
    );
    assert!(bob.contains("in run https://ci.example.com/7"), "{text}");
}

#[test]
fn later_requests_make_an_author_only_probable() {
    // A PUT that lists somebody who is already present, and one that does not list somebody who has already left.
    let list = |world: &World, people: &[&str]| {
        world.write("other.yaml", crate::harness::config(&[("Admins", people)]));
        world.run("apply --yes --accept-self -f other.yaml").exits(0);
    };
    let many = ["p1@example.com", "p2@example.com", "p3@example.com", "p4@example.com"];
    let seed = |audit| {
        let mut seed = seed().people(many);
        seed.audit_log = audit;
        seed
    };
    let world = given(seed(SeedAuditLog::default())).groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    for person in many {
        edit(&world, None, Edit::add("Admins", person));
    }
    edit(&world, Some(EditActor::dashboard("dana@example.com")), Edit::add("Admins", "mallory@example.com"));
    edit(&world, Some(EditActor::dashboard("dana@example.com")), Edit::remove("Admins", "bob@example.com"));
    let certain = |world: &World| {
        let json = world.run("drift --format json").exits(2).json();
        let changes = json["groups"][0]["changes"].as_array().unwrap().clone();
        ["mallory@example.com", "bob@example.com"].map(|email| {
            let by = &changes.iter().find(|change| change["member"]["email"] == email).unwrap()["by"];
            by["certain"].as_bool().unwrap()
        })
    };
    assert_eq!(certain(&world), [true, true]);
    list(&world, &["alice@example.com", "mallory@example.com"]);
    assert!(world.writes().iter().any(|write| write.starts_with("PUT")), "{:?}", world.writes());
    assert_eq!(certain(&world), [false, false]);
}

#[test]
fn at_most_ten_log_pages_are_read() {
    let world = world(SeedAuditLog::default());
    for _ in 0..700 {
        edit(&world, Some(EditActor::token("noise")), Edit::remove("Admins", "alice@example.com"));
        edit(&world, Some(EditActor::token("noise")), Edit::add("Admins", "alice@example.com"));
    }
    edit(&world, None, Edit::remove("Admins", "bob@example.com"));
    let outcome = world.run("drift").exits(2);
    assert_eq!(world.account().request_counts().get(&Endpoint::ListAuditLog), Some(&10), "{outcome}");
}

#[test]
fn expired_membership_has_no_author() {
    let world = world(SeedAuditLog::default());
    let text = "version: 1\ngroups:\n  Admins:\n    members: [alice@example.com, { email: bob@example.com, until: 2026-01-01 }]\n";
    world.write("convoke.yaml", text);
    world.run("drift").exits(2).says("expired");
    let counts = world.account().request_counts();
    assert_eq!((counts.get(&Endpoint::ListAuditLog), counts.get(&Endpoint::GetMember)), (None, None));
}

#[test]
fn placeholder_for_a_time_is_no_time() {
    // The ends of the calendar, and the zero time of a common language.
    for time in [Timestamp::MAX, Timestamp::MIN, "0001-01-01T00:00:00Z".parse().unwrap()] {
        let answer = |result: Value| {
            let info = json!({ "page": 1, "per_page": 500, "count": 1, "total_count": 1 });
            let body = json!({ "success": true, "errors": [], "messages": [], "result": result, "result_info": info });
            Reply::json(&body)
        };
        let server = Server::on_thread(
            move |_, request| match request.path().rsplit('/').next().unwrap_or_default() {
                "user_groups" => answer(json!([{ "id": GROUP, "name": "Admins" }])),
                "members" => paged(request, 2, 500),
                "audit" => answer(json!([])),
                _ => answer(json!({ "id": id(1), "email": email(1), "created_at": time.to_string() })),
            },
            None,
        );
        let world = nothing()
            .groups(&[("Admins", &[&email(0)])])
            .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
            .env("CLOUDFLARE_API_TOKEN", TOKEN)
            .env("CLOUDFLARE_BASE_URL", &server.url());
        let drift = world.run("drift").exits(2).says(&format!("unexpected {}", email(1)));
        assert!(!drift.stdout.contains("added"), "{drift}");
        let log: Vec<String> = server.lines().into_iter().filter(|line| line.contains("/logs/audit")).collect();
        // The log is read as for a member without a time.
        assert_eq!(log.len(), 1, "{log:?}");
        assert!(log[0].contains("since=20"), "{log:?}");
    }
}
