//! This machine's clock is compared with the API's, because it decides what entries with a time mean.

use convoke::sandbox::{Delay, Seed};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::builders::SeedExt as _;
use crate::harness::{ACCOUNT, TOKEN, World, given, nothing};
use crate::server::{GROUP, Reply, Server};

/// The time so many minutes from now.
fn minutes(minutes: i64) -> Timestamp {
    Timestamp::from_second((Timestamp::now() + SignedDuration::from_mins(minutes)).as_second()).unwrap()
}

/// A group in which Bob's access has these times, and an API with a clock that is ahead.
fn world(times: &str, ahead: i64) -> World {
    let ahead = std::time::Duration::from_secs(60 * ahead as u64);
    let seed = Seed { clock_ahead: Delay(ahead), ..Seed::default().person("bob@example.com") };
    let file = format!(
        "version: 1\ngroups:\n  Admins:\n    members:\n      - alice@example.com\n      - email: bob@example.com\n{times}"
    );
    given(seed.group("Admins", ["alice@example.com"])).file("convoke.yaml", file)
}

fn until(time: Timestamp) -> String {
    format!("        until: {time}\n")
}

const WARNING: &str = "this machine's clock is 1";

#[test]
fn small_difference_of_the_clocks_is_ignored() {
    let outcome = world(&until(minutes(2)), 4).run("plan").exits(0);
    assert_eq!(outcome.stderr, "", "{outcome}");
}

#[test]
fn difference_that_changes_no_entry_is_a_warning() {
    let world = world(&until(minutes(600)), 120);
    for command in ["plan", "drift --no-audit-log", "why bob@example.com", "apply --yes"] {
        let outcome = world.run(command).warns(WARNING).warns("minutes behind the API's");
        assert!(matches!(outcome.code, Some(0 | 2)), "{outcome}");
    }
}

#[test]
fn difference_that_changes_an_entry_is_an_error() {
    let times = [
        until(minutes(60)),
        format!("        from: {}\n", minutes(60)),
        until(minutes(60)).replace("until", "from") + &until(minutes(90)),
    ];
    for times in times {
        let world = world(&times, 120);
        for command in ["plan", "drift", "why bob@example.com", "apply --yes", "review"] {
            let outcome = world.run(command).exits(1).warns(WARNING);
            let said = outcome.stderr.contains("bob@example.com in group \"Admins\" (convoke.yaml:6) begins or ends");
            // A review is of now.
            let is_offered = outcome.stderr.contains("--at");
            assert!(said && is_offered == (command != "review"), "{outcome}");
        }
        assert_eq!(world.writes(), Vec::<String>::new());
        world.run(&format!("plan --at {}", minutes(0))).exits(0).warns(WARNING);
    }
}

#[test]
fn saved_addition_that_has_ended_by_the_true_time_is_not_made() {
    let world = world(&until(minutes(60)), 120);
    world.run(&format!("plan --out plan.json --at {}", minutes(0))).exits(0);
    world.run("apply plan.json --yes").exits(1).warns("has ended by then");
    assert_eq!(world.writes(), Vec::<String>::new());
}

#[test]
fn clock_that_is_ahead_of_the_api_counts_too() {
    let date = minutes(-120).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let server = Server::on_thread(
        move |_, request| {
            let result = if request.path().ends_with("/user_groups") {
                json!([{ "id": GROUP, "name": "Admins" }])
            } else {
                json!([{ "id": "4f5f0c14a2a41d5063dd301b2f829f04", "email": "bob@example.com" }])
            };
            let info = json!({ "total_count": 1 });
            let body = json!({ "success": true, "errors": [], "result": result, "result_info": info });
            Reply::json(&body).with("date", &date)
        },
        None,
    );
    let file = |from: i64| {
        let from = minutes(from);
        format!("version: 1\ngroups:\n  Admins:\n    members:\n      - email: bob@example.com\n        from: {from}\n")
    };
    let world = nothing()
        .env("CLOUDFLARE_ACCOUNT_ID", ACCOUNT)
        .env("CLOUDFLARE_API_TOKEN", TOKEN)
        .env("CLOUDFLARE_BASE_URL", &server.url());
    world.write("convoke.yaml", file(-60));
    world.run("plan").exits(1).warns("minutes ahead of the API's").warns("begins or ends between");
    world.write("convoke.yaml", file(-180));
    world.run("plan").exits(0).warns("minutes ahead of the API's");
}
