//! The examples work: each is planned, applied and then in sync.

use convoke::sandbox::Seed;

use crate::blocking::BlockingSandbox;
use crate::builders::SeedExt as _;
use crate::harness::{Outcome, nothing, repository};

struct Example {
    files: &'static str,
    seed: &'static str,
}

const QUICKSTART: Example =
    Example { files: "examples/quickstart/convoke.yaml", seed: "examples/quickstart/seed.yaml" };
const ORGANISATION: Example =
    Example { files: "examples/organisation/groups", seed: "examples/organisation/seed.yaml" };

/// A time within the temporary access of the examples.
const TIME: &str = "2026-12-15T12:00:00Z";

impl Example {
    fn run(&self, sandbox: &BlockingSandbox, arguments: &str) -> Outcome {
        let files = repository(self.files);
        let world = nothing()
            .env("CLOUDFLARE_BASE_URL", sandbox.base_url())
            .env("CLOUDFLARE_API_TOKEN", "any")
            .env("CLOUDFLARE_ACCOUNT_ID", crate::harness::ACCOUNT);
        world.run(&format!("{arguments} --at {TIME} -f {}", files.display()))
    }

    fn start(&self) -> BlockingSandbox {
        BlockingSandbox::start(&Seed::load(&repository(self.seed)))
    }

    #[track_caller]
    fn works(&self) {
        let sandbox = self.start();
        self.run(&sandbox, "validate").exits(0);
        self.run(&sandbox, "sort --check").exits(0);
        self.run(&sandbox, "plan --detailed-exitcode").exits(2);
        self.run(&sandbox, "apply --yes").exits(0).says("Applied: ");
        sandbox.account().clear_requests();
        self.run(&sandbox, "apply --yes").exits(0);
        assert!(sandbox.account().requests().iter().all(|request| request.method == "GET"));
    }
}

#[test]
fn quickstart_plans_applies_and_converges() {
    QUICKSTART.works();
}

#[test]
fn organization_plans_applies_and_converges() {
    ORGANISATION.works();
}

#[test]
fn organization_example_uses_every_setting() {
    let plan = ORGANISATION.run(&ORGANISATION.start(), "plan --format json").json();
    assert!(plan["summary"]["groups"].as_u64().unwrap() >= 24, "{}", plan["summary"]);
    let modes: std::collections::BTreeSet<&str> =
        plan["groups"].as_array().unwrap().iter().map(|group| group["mode"].as_str().unwrap()).collect();
    assert_eq!(modes.into_iter().collect::<Vec<_>>(), ["additive", "exact", "observe"]);
    assert_ne!(plan["expiring"].as_array().unwrap().len(), 0);
}

/// The names of all keys in a schema.
fn keys(schema: &serde_json::Value, found: &mut std::collections::BTreeSet<String>) {
    if let Some(properties) = schema.get("properties").and_then(|properties| properties.as_object()) {
        found.extend(properties.keys().cloned());
    }
    match schema {
        serde_json::Value::Object(map) => map.values().for_each(|value| keys(value, found)),
        serde_json::Value::Array(list) => list.iter().for_each(|value| keys(value, found)),
        _ => {}
    }
}

#[test]
fn organization_example_shows_every_key() {
    let mut found = std::collections::BTreeSet::new();
    let schema = std::fs::read_to_string(repository("schemas/config.schema.json")).unwrap();
    keys(&serde_json::from_str(&schema).unwrap(), &mut found);
    let files = crate::harness::files_below(ORGANISATION.files);
    let text: String = files.iter().map(|file| std::fs::read_to_string(file).unwrap()).collect();
    // The account comes from the environment.
    let missing: Vec<&String> = found
        .iter()
        .filter(|key| {
            *key != "account_id" && !text.contains(&format!("{key}: ")) && !text.contains(&format!("{key}:\n"))
        })
        .collect();
    assert!(found.len() > 25 && missing.is_empty(), "{missing:?} of {found:?}");
    assert!(text.contains("- roster: data\n        from: "), "an entry of a roster has times");
}
