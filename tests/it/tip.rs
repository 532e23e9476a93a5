//! `apply --tip`: the plan selects the changes, and the newest files decide.

use std::process::Command;

use convoke::sandbox::Seed;

use crate::builders::SeedExt as _;
use crate::harness::{Outcome, World, config, given};

const A: &str = "alice@example.com";
const B: &str = "bob@example.com";
const C: &str = "carol@example.com";
const NEW: &str = "new@example.com";
const OTHER: &str = "other@example.com";

/// Ops with alice, bob and carol; Dev with alice; Lab with bob.
fn account() -> World {
    let seed = Seed::default().people([NEW, OTHER]).group("Ops", [A, B, C]).group("Dev", [A]).group("Lab", [B]);
    given(seed)
}

/// A version of the files with these members of Ops and Dev.
fn version(world: &World, name: &str, ops: &[&str], dev: &[&str]) {
    world.write(name, config(&[("Ops", ops), ("Dev", dev), ("Lab", &[B])]));
}

fn apply(world: &World, head: &str, base: &str, tip: &str) -> Outcome {
    world.run(&format!("apply --yes -f {head} --base {base} --only-changed --tip {tip}"))
}

#[test]
fn an_old_job_cannot_take_back_a_newer_change() {
    let world = account();
    version(&world, "v0.yaml", &[A, B, C], &[A]);
    version(&world, "v1.yaml", &[A, B, C, NEW], &[A]);
    version(&world, "v2.yaml", &[A, B, C], &[A]);
    let plan = world.run("plan -f v1.yaml --base v0.yaml --only-changed --format json").exits(0).json();
    let digest = plan["digest"].as_str().unwrap();
    apply(&world, "v1.yaml", "v0.yaml", "v1.yaml").exits(0);
    apply(&world, "v2.yaml", "v1.yaml", "v2.yaml").exits(0);
    assert_eq!(world.members("Ops"), [A, B, C]);
    world.forget_requests();
    let run = "apply --yes -f v1.yaml --base v0.yaml --only-changed --tip v2.yaml --expect";
    let again = world.run(&format!("{run} {digest}")).exits(4);
    insta::assert_snapshot!(again.stdout, @"
    Left out: changes that this run does not make
      v2.yaml:6  Ops: new@example.com is not added: the newest files do not declare the member

    Plan: 0 to add, 0 to remove in 0 of 1 group
    1 change left out
    1 group not fully compared
    Digest: 64b03a89ee253e7d1eaa04d5e2e759b7334137d93e85cfb20e8751c174af4eda

    Stale: the newest files leave nothing of it to make
    Nothing was changed. Make a new plan and review it: `convoke plan -f v1.yaml --base v0.yaml --only-changed`
    ");
    assert!(world.writes().is_empty());
    // The digest is compared first.
    world.run(&format!("{run} {}", "0".repeat(64))).exits(4);
    for format in ["markdown", "github", "json"] {
        let shown = world.run(&format!("{run} {digest} --format {format}")).exits(4);
        shown.says("the newest files do not declare the member").says("v2.yaml");
    }
    assert!(world.writes().is_empty());
}

/// What differs only from the older files is not listed as a difference.
#[test]
fn what_a_newer_change_made_is_not_left_alone() {
    let world = account();
    version(&world, "v0.yaml", &[A, B], &[A]);
    version(&world, "v1.yaml", &[A, B, NEW], &[A]);
    version(&world, "v2.yaml", &[A, B, C, NEW], &[A]);
    world.run("plan -f v1.yaml --base v0.yaml --only-changed").exits(0).says("carol@example.com");
    let applied = apply(&world, "v1.yaml", "v0.yaml", "v2.yaml").exits(0);
    assert!(!applied.stdout.contains(C), "{}", applied.stdout);
}

#[test]
fn what_the_tip_says_as_well_is_made() {
    let world = account();
    version(&world, "v0.yaml", &[A, B, C], &[A]);
    version(&world, "v1.yaml", &[A, NEW, OTHER], &[A]);
    version(&world, "v2.yaml", &[A, B, OTHER], &[A]);
    let report = apply(&world, "v1.yaml", "v0.yaml", "v2.yaml").exits(5);
    let shown = report.stdout.split_once("\ndone Ops").unwrap().1;
    insta::assert_snapshot!(shown, @"
    : 1 added, 1 removed

    Left out: changes that this run does not make
      v2.yaml:6  Ops: new@example.com is not added: the newest files do not declare the member
      v2.yaml:8  Ops: bob@example.com is not removed: the newest files declare the member

    Applied in part: 1 added, 1 removed.
    0 of 1 group in sync.
    Not fully compared, because this run makes only some changes: Ops
    The newest files say otherwise about the rest.
    ");
    assert_eq!(world.members("Ops"), [A, B, OTHER]);
    let whole = world.run("apply --yes -f v1.yaml --tip v2.yaml --format json").exits(4).json();
    assert_eq!(whole["status"], "stale");
}

#[test]
fn guards_and_settings_are_those_of_the_tip() {
    let world = account();
    version(&world, "v0.yaml", &[A, B, C], &[A]);
    version(&world, "v1.yaml", &[A, B, NEW], &[A]);
    let tip = |settings: &str| {
        let text = config(&[("Ops", &[A, B, NEW][..]), ("Dev", &[A]), ("Lab", &[B])]);
        world.write("v2.yaml", text.replace("settings:\n", &format!("settings:\n  {settings}\n")));
    };
    tip(&format!("protected: [{C}]"));
    apply(&world, "v1.yaml", "v0.yaml", "v2.yaml").exits(3).says("protected at v2.yaml:3");
    world.run("plan -f v1.yaml --base v0.yaml --only-changed --out plan.json").exits(0);
    world.run("apply plan.json --yes --tip v2.yaml").exits(3).says("protected at v2.yaml:3");
    assert!(world.writes().is_empty());
    // The old files would refuse it, the newest do not.
    let old = world.read("v1.yaml").replace("settings:\n", &format!("settings:\n  protected: [{C}]\n"));
    world.write("v1.yaml", old);
    tip("unmanaged_groups: report");
    apply(&world, "v1.yaml", "v0.yaml", "v2.yaml").exits(0);
    assert_eq!(world.members("Ops"), [A, B, NEW]);
}

#[test]
fn an_entry_that_the_tip_dropped_holds_nothing() {
    let world = account();
    let unknown = "carl@example.com";
    version(&world, "v1.yaml", &[A, B, unknown], &[A]);
    version(&world, "v2.yaml", &[A, B], &[A]);
    world.run("apply --yes -f v1.yaml").exits(5).says(unknown);
    assert_eq!(world.members("Ops"), [A, B, C], "carl may be a typo of carol");
    world.run("apply --yes -f v1.yaml --tip v2.yaml").exits(0);
    assert_eq!(world.members("Ops"), [A, B]);
}

#[test]
fn a_mover_whose_join_is_left_out_keeps_the_old_group() {
    let world = account();
    // The old change moves carol from Ops to Dev; a newer one sends her to Lab.
    let files = |name: &str, dev: &[&str], lab: &[&str]| {
        world.write(name, config(&[("Ops", &[A, B]), ("Dev", dev), ("Lab", lab)]));
    };
    version(&world, "v0.yaml", &[A, B, C], &[A]);
    files("v1.yaml", &[A, C], &[B]);
    files("v2.yaml", &[A], &[B, C]);
    let report = apply(&world, "v1.yaml", "v0.yaml", "v2.yaml");
    assert!(report.stdout.contains("run this job again after the newer one"), "{report}");
    assert_eq!((world.members("Ops"), report.code), (vec![A.into(), B.into(), C.into()], Some(4)));
    apply(&world, "v2.yaml", "v1.yaml", "v2.yaml").exits(0);
    apply(&world, "v1.yaml", "v0.yaml", "v2.yaml").exits(5);
    assert_eq!((world.members("Ops"), world.members("Lab")), (vec![A.into(), B.into()], vec![B.into(), C.into()]));
}

/// Runs git in the folder of the world.
fn git(world: &World, arguments: &[&str]) {
    let mut command = Command::new("git");
    command.current_dir(world.path(".")).args(["-c", "user.name=x", "-c", "user.email=x@example.com"]).args(arguments);
    assert!(command.output().unwrap().status.success(), "{arguments:?}");
}

#[test]
fn a_saved_plan_finds_its_files_at_a_revision() {
    let world = account();
    std::fs::create_dir(world.path("groups")).unwrap();
    let commit = |ops: &[&str]| {
        version(&world, "groups/all.yaml", ops, &[A]);
        git(&world, &["add", "groups"]);
        git(&world, &["commit", "-qm", "a change"]);
    };
    git(&world, &["init", "-q", "-b", "main"]);
    commit(&[A, B, C, NEW]);
    world.run("plan -f groups --out plan.json").exits(0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&world.read("plan.json")).unwrap()["paths"][0], "groups");
    commit(&[A, B, C]);
    world.run("apply plan.json --yes --tip main").exits(4).says("main:groups/all.yaml:");
    assert!(world.writes().is_empty());
    world.run("apply plan.json --yes --tip main~1").exits(0);
    assert_eq!(world.members("Ops").len(), 4);
    world.run("apply --yes -f groups --tip main~1").exits(4);
    // Outside a repository, a saved plan knows no paths.
    let outside = account();
    version(&outside, "v1.yaml", &[A, B, C, NEW], &[A]);
    outside.run("plan -f v1.yaml --out plan.json").exits(0);
    outside.run("apply plan.json --yes --tip main").exits(65);
    outside.run("apply plan.json --yes --tip v1.yaml").exits(0);
}

#[test]
fn files_that_cannot_be_read_at_the_tip_are_an_error() {
    let world = account();
    version(&world, "v1.yaml", &[A, B, C, NEW], &[A]);
    world.write("broken.yaml", "groups: [");
    std::fs::create_dir(world.path("empty")).unwrap();
    for tip in ["broken.yaml", "missing.yaml", "empty"] {
        let outcome = world.run(&format!("apply --yes -f v1.yaml --tip {tip}")).exits(65).warns(tip);
        assert_eq!(outcome.stderr.contains("if the files were moved"), tip == "empty", "{outcome}");
    }
    assert!(world.writes().is_empty());
}

#[test]
fn finished_work_is_not_left_to_make() {
    let world = account();
    version(&world, "v1.yaml", &[A, B, NEW], &[A]);
    world.run("plan -f v1.yaml --out plan.json").exits(0);
    world.run("apply plan.json --yes --tip v1.yaml").exits(0);
    // The newest files want both changes back, and nobody has applied them yet.
    version(&world, "v2.yaml", &[A, B, C], &[A]);
    world.run("apply plan.json --yes --tip v2.yaml").exits(4);
    version(&world, "v2.yaml", &[A, B, C, NEW], &[A]);
    let done = world.run("apply plan.json --yes --tip v2.yaml").exits(4);
    assert!(!done.stdout.contains("carol@example.com is not removed"), "{done}");
    world.run("apply plan.json --yes --tip v1.yaml").exits(0);
    // The newest files take only the join back, and did so already.
    version(&world, "v3.yaml", &[A, B], &[A]);
    world.run("apply --yes -f v3.yaml").exits(0);
    let stale = world.run("apply plan.json --yes --tip v3.yaml").exits(4);
    stale.says("new@example.com is not added: the newest files do not declare the member");
    assert_eq!(world.members("Ops"), [A, B]);
}

#[test]
fn an_exclusion_of_the_tip_names_the_person_by_address() {
    let world = account();
    version(&world, "v0.yaml", &[A, B, C], &[A]);
    version(&world, "v1.yaml", &[A, B, C], &[A, B]);
    version(&world, "v2.yaml", &[C], &[A, B]);
    world.write("v2.yaml", world.read("v2.yaml").replace("  Dev:\n", "  Dev:\n    exclusive_with: [Ops]\n"));
    let report = apply(&world, "v1.yaml", "v0.yaml", "v2.yaml");
    assert!(report.stdout.contains(&format!("{B}: in Ops, and the groups exclude each other")), "{report}");
    assert_eq!(world.members("Dev"), [A]);
}
