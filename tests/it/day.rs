//! A day with convoke: from the export to corrected drift, in an account that others use at the same time.

use convoke::sandbox::{Edit, EditActor, Seed};
use serde_json::Value;

use crate::builders::{EditActorExt as _, EditExt as _, SeedExt as _};
use crate::harness::{Outcome, World, given};

/// A group that the identity provider manages, and two groups that the files declare.
fn company() -> World {
    let seed = Seed::default()
        .group("Directory", ["alice@example.com", "bob@example.com"])
        .group("Admins", ["alice@example.com", "bob@example.com", "carol@example.com"])
        .group("Payments", ["dave@example.com", "erin@example.com"]);
    given(
        ["frank", "joiner", "temp", "mallory"]
            .iter()
            .fold(seed, |seed, name| seed.person(format!("{name}@example.com"))),
    )
}

/// The present files become the base of the next change.
fn merge(world: &World) {
    for name in ["admins", "directory", "payments"] {
        world.write(&format!("base/{name}.yaml"), world.read(&format!("groups/{name}.yaml")));
    }
}

/// The plan of the change under review, as a pull request shows it.
fn reviewed(world: &World) -> Value {
    std::fs::create_dir_all(world.path("base")).unwrap();
    world.run("plan -f groups --base base --only-changed --format json --at 2999-01-01").exits(0).json()
}

/// Applies the change under review, if the plan is still the reviewed one.
fn apply(world: &World, digest: &str, more: &str) -> Outcome {
    let command = "apply -f groups --base base --only-changed --yes --at 2999-01-01 --expect";
    world.run(&format!("{command} {digest} {more}"))
}

fn digest(plan: &Value) -> String {
    plan["digest"].as_str().unwrap().into()
}

#[test]
fn export_plan_apply_and_drift_work_together() {
    let world = company();
    adopt(&world);
    change_applies_while_others_work(&world);
    an_edit_of_the_changed_group_changes_nothing(&world);
    only_the_clock_ends_temporary_access(&world);
    drift_is_reported_and_repaired(&world);
}

/// The export, and the first pull request, which has no base.
fn adopt(world: &World) {
    world.run("export --out-dir groups").exits(0);
    let directory = world.read("groups/directory.yaml");
    world.write("groups/directory.yaml", directory.replace("    members:\n", "    mode: observe\n    members:\n"));
    assert!(world.read("groups/directory.yaml").contains("mode: observe"));
    let plan = reviewed(world);
    assert_eq!(
        (plan["status"].as_str(), plan["summary"]["groups"].as_u64()),
        (Some("in_sync"), Some(2)),
        "an observed group is asked nothing"
    );
    apply(world, &digest(&plan), "").exits(0);
    assert_eq!(world.writes(), Vec::<String>::new());
    merge(world);
}

/// A reviewed change is applied although an observed group and another exact group have changed.
fn change_applies_while_others_work(world: &World) {
    let grant = ["grant", "temp@example.com", "Admins", "--until", "2999-01-31", "--reason", "INC-4821 cover"];
    world.run_with(&[&grant[..], &["-f", "groups", "--at", "2999-01-01"]].concat()).exits(0);
    world.run("revoke bob@example.com Admins -f groups").exits(0);
    let plan = reviewed(world);
    assert_eq!(plan["groups"].as_array().unwrap().len(), 1, "only the changed group is planned");
    assert_eq!([&plan["summary"]["adds"], &plan["summary"]["removes"]], [1, 1]);

    world.account().add("Directory", "joiner@example.com");
    let by_hand = Edit::add("Payments", "mallory@example.com").by(EditActor::dashboard("eve@example.com"));
    world.account().edit(&by_hand);
    apply(world, &digest(&plan), "").exits(0).says("Applied: 1 added, 1 removed.");
    assert_eq!(world.members("Admins"), ["alice@example.com", "carol@example.com", "temp@example.com"]);
    assert_eq!(world.writes(), ["POST Admins: temp@example.com", "DELETE Admins: bob@example.com"]);
    // The same job finds nothing to do the second time, and succeeds.
    apply(world, &digest(&plan), "").exits(0);
    merge(world);
    world.forget_requests();
}

/// If the changed group is edited, the plan is stale in every format, and the edit is shown.
fn an_edit_of_the_changed_group_changes_nothing(world: &World) {
    world.run("grant frank@example.com Admins -f groups").exits(0);
    let plan = reviewed(world);
    world.run("plan -f groups --base base --only-changed --out saved.json").exits(0);
    world.account().add("Admins", "mallory@example.com");
    let queue = "plan -f groups --base base --only-changed --at 2999-01-01 --expect";
    world.run(&format!("{queue} {}", digest(&plan))).exits(0).says("Already there, left alone\n  Admins: mallory@");
    world.run("apply saved.json --yes").exits(0);
    assert_eq!(world.writes(), ["POST Admins: frank@example.com"]);
    assert!(world.members("Admins").contains(&"mallory@example.com".into()));
    // Nothing is left to do for the job of the pull request.
    apply(world, &digest(&plan), "").exits(0);
    world.account().remove("Admins", "mallory@example.com");
    merge(world);
    world.forget_requests();
}

/// Expired access stays until the scheduled job ends it. That job does nothing else.
fn only_the_clock_ends_temporary_access(world: &World) {
    let there = || world.members("Admins").contains(&"temp@example.com".into());
    world.run("apply -f groups --due --yes --at 2999-01-31T23:00:00Z").exits(0);
    world.run("plan -f groups --due --at 2999-02-01").exits(0).says("0 to add, 1 to remove");
    world.run("drift -f groups --at 2999-02-01").exits(2).says("1 expired");
    // A change of another group, which another job applies.
    world.run("grant frank@example.com Payments -f groups").exits(0);
    world.run("apply -f groups --only Payments --due --yes --at 2999-02-01").exits(0);
    assert!(there());
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run("apply -f groups --due --yes --at 2999-02-01").exits(0);
    assert!(!there());
    assert_eq!(world.writes(), ["DELETE Admins: temp@example.com"]);
    assert!(world.members("Payments").contains(&"mallory@example.com".into()), "no other difference is applied");
    world.run("revoke frank@example.com Payments -f groups").exits(0);
    world.forget_requests();
}

/// The edit in the dashboard is reported with its author, and reverted.
fn drift_is_reported_and_repaired(world: &World) {
    let drift = "drift -f groups --at 2999-02-01";
    let found = world.run(drift).exits(2).says("0 missing, 2 unexpected, 0 expired in 2 of 3 groups");
    assert!(
        found.stdout.contains("unexpected mallory@example.com") && found.stdout.contains("by eve@example.com"),
        "{found}"
    );
    let page = world.run(&format!("{drift} --format markdown")).exits(2).stdout;
    assert!(page.starts_with("<!-- convoke:drift -->\n") && page.contains("mallory@example.com"), "{page}");
    assert_eq!(world.writes(), Vec::<String>::new());
    world.run("apply -f groups --yes --at 2999-02-01").exits(0);
    assert_eq!(world.writes(), ["DELETE Payments: mallory@example.com"]);
    world.run(&format!("{drift} --only Admins --only Payments")).exits(0).says("No drift. 2 groups in sync.");
    // convoke does not correct the observed group, and does not call it in sync.
    world.run(drift).exits(2).says("joiner@example.com");
}
