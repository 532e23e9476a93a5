//! `export` writes the present membership.

use convoke::sandbox::{Contradiction, Endpoint, Fault, FaultRule, Match, Seed};

use crate::builders::{FaultExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{ACCOUNT, given};

fn account() -> Seed {
    Seed::default()
        .group("Admins", ["alice@example.com", "Bob@Example.com"])
        .group("on: \"call\"", ["alice@example.com"])
        .group("A/B", ["carol@example.com"])
        .group("a b", Vec::<String>::new())
}

#[test]
fn plan_of_exported_files_is_empty() {
    let world = given(account());
    let first = world.run("export").exits(0).stdout;
    world.write("convoke.yaml", &first);
    world.run("plan --detailed-exitcode").exits(0).says("No changes. 4 groups in sync.");
    assert_eq!(world.run("export").exits(0).stdout, first);
}

#[test]
fn exported_folder_has_an_empty_plan() {
    let world = given(account());
    world.run("export --out-dir groups").exits(0).warns("4 files written to groups, 0 unchanged");
    world.run("plan -f groups --detailed-exitcode").exits(0).says("No changes. 4 groups in sync.");
    world.run("export --out-dir groups").exits(0).warns("0 files written to groups, 4 unchanged");
}

#[test]
fn export_writes_one_file_completely_or_not_at_all() {
    let refused = FaultRule::always(Match::operation(Endpoint::ListMembers).group("A/B"), Fault::status(403));
    let failing = given(account().fault(refused));
    failing.run("export --out new.yaml").exits(77);
    assert!(!failing.path("new.yaml").exists());
    let world = given(account());
    assert_eq!(world.run("export --out convoke.yaml").exits(0).stdout, "");
    world.run("plan --detailed-exitcode").exits(0).says("No changes. 4 groups in sync.");
    assert_eq!(world.run("export").exits(0).stdout, world.read("convoke.yaml"));
    // The files name the account, so they are an input.
    world.run("export --out convoke.yaml").exits(64).warns("--out would overwrite convoke.yaml");
    world.run("export --out other.yaml --out-dir groups").exits(64);
    // A failed `> convoke.yaml` leaves an empty file.
    world.write("convoke.yaml", "");
    world.run("export --out convoke.yaml").exits(0);
    world.run("plan --detailed-exitcode").exits(0);
}

#[test]
fn different_file_is_overwritten_only_with_force() {
    let world = given(account()).file("groups/admins.yaml", "mine\n");
    world.run("export --out-dir groups").exits(1).warns("already exists with other content").warns("--force");
    assert_eq!(world.read("groups/admins.yaml"), "mine\n");
    assert!(!world.path("groups/on-call.yaml").exists());
    world.run("export --out-dir groups --force").exits(0);
    assert!(world.read("groups/admins.yaml").contains("alice@example.com"));
}

#[cfg(unix)]
#[test]
fn overwritten_file_keeps_its_mode() {
    use std::os::unix::fs::PermissionsExt as _;
    let world = given(account()).file("groups/admins.yaml", "mine\n");
    let path = world.path("groups/admins.yaml");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
    world.run("export --out-dir groups --force").exits(0);
    let mode = |path: &std::path::Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&world.path("groups/on-call.yaml")), 0o644);
}

#[test]
fn export_reads_only_named_groups() {
    let world = given(account());
    let one = world.run("export Admins").exits(0).stdout;
    assert!(one.contains("Admins:") && !one.contains("carol"), "{one}");
    assert_eq!(world.request_count(), 3);
    world.run("export Nobody").exits(64).warns("the account has no group \"Nobody\"");
}

#[test]
fn contradictory_listing_exports_nothing() {
    for contradiction in [Contradiction::Count, Contradiction::NoResult, Contradiction::LostEntry] {
        let on = Match::operation(Endpoint::ListMembers).group("A/B");
        let world = given(account().fault(FaultRule::always(on, Fault::Contradict(contradiction))));
        world.run("export --out-dir groups").exits(69).warns("A/B");
        assert!(!world.path("groups").exists(), "{contradiction:?}");
        assert_eq!(world.run("export").exits(69).stdout, "", "{contradiction:?}");
    }
}

#[test]
fn export_takes_the_account_from_the_files() {
    let world = given(account()).env("CLOUDFLARE_ACCOUNT_ID", "");
    world.run("export").exits(65).warns("no account is set");
    // As `> convoke.yaml` leaves it.
    world.write("convoke.yaml", "");
    world.run("export").exits(65).warns("no account is set");
    let files = format!("version: 1\naccount_id: {ACCOUNT}\ngroups: {{}}\n");
    world.write("convoke.yaml", &files);
    world.run("export").exits(0);
    let world = given(account()).env("CLOUDFLARE_ACCOUNT_ID", "").env("CONVOKE_FILE", "access.yaml");
    world.write("access.yaml", &files);
    world.run("export").exits(0);
}

#[test]
fn named_group_that_the_files_declare_is_refused() {
    let seed = Seed::default().group("Admins", ["alice@example.com"]).group("Ops", ["alice@example.com"]);
    let world = given(seed).groups(&[("Admins", &["alice@example.com"])]);
    world.run("export Admins").exits(64).warns("group \"Admins\" is already declared at convoke.yaml:5");
    world.run("export Ops Admins -f convoke.yaml --out-dir groups").exits(64);
    assert!(!world.path("groups").exists());
    world.run("export Ops").exits(0).says("  Ops:\n");
    world.run("export").exits(0).says("  Admins:\n");
}
