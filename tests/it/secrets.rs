//! The token never appears in any output or file.

use convoke::sandbox::{Endpoint, Fault, FaultRule, Match, Seed};

use crate::builders::{FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{TOKEN, World, admins, given};

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
