//! The sandbox for users: `--sandbox` with any command, and `convoke sandbox`.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use insta::assert_snapshot;

use crate::harness::{World, binary, nothing};

const SEED: &str = "version: 1\npeople: [bob@example.com]\ngroups:\n  Admins:\n    members: [alice@example.com]\n";

fn world() -> World {
    nothing().file("seed.yaml", SEED).groups(&[("Admins", &["alice@example.com", "bob@example.com"])])
}

#[test]
fn commands_run_in_a_sandbox_without_credentials() {
    let world = world();
    assert_snapshot!(world.run("apply --yes --sandbox seed.yaml"), @"
    exit 0
    -- stdout
    Admins (1 -> 2 members)
      + bob@example.com  no end  convoke.yaml:8

    Plan: 1 to add, 0 to remove in 1 of 1 group
    Digest: [digest]

    done Admins: 1 added, 0 removed

    Applied: 1 added, 0 removed.
    The account is in sync: 1 group.
    ");
    world.run("drift --sandbox seed.yaml").exits(2);
}

#[test]
fn base_url_variable_does_not_affect_a_sandbox() {
    let world = world().env("CLOUDFLARE_BASE_URL", "https://api.example.com/client/v4");
    world.run("plan --sandbox seed.yaml").exits(0).says("+ bob@example.com");
}

#[test]
fn invalid_seed_is_reported_with_place() {
    let world = world().file("seed.yaml", "version: 1\ngroups:\n  Admins:\n    member: [alice@example.com]\n");
    assert_snapshot!(world.run("plan --sandbox seed.yaml"), @"
    exit 65
    -- stderr
    error: seed.yaml:4:5: unknown field `member`, expected one of id, scim, external_id, nameless, members, policies, created_on, status, policy_invalid, settling
      4 |     member: [alice@example.com]
    ");
    assert_snapshot!(world.run("plan --sandbox missing.yaml"), @"
    exit 65
    -- stderr
    error: cannot read the seed missing.yaml: No such file or directory (os error 2)
    ");
}

#[test]
#[cfg(unix)]
fn a_seed_without_an_end_is_too_large() {
    assert_snapshot!(world().run("plan --sandbox /dev/zero"), @"
    exit 65
    -- stderr
    error: cannot read the seed /dev/zero: it is larger than 67108864 bytes
    ");
}

#[test]
fn configuration_is_not_accepted_as_a_seed() {
    let file = "version: 1\nsettings: {}\ngroups:\n  Admins:\n    members: [alice@example.com]\n";
    assert_snapshot!(world().file("files.yaml", file).run("plan --sandbox files.yaml"), @"
    exit 65
    -- stderr
    error: files.yaml is a configuration, not a seed
    help: `convoke schema seed` prints the format of a seed; pass the configuration with -f
    ");
}

#[test]
fn sandbox_listens_only_on_loopback() {
    assert_snapshot!(world().run("sandbox --seed seed.yaml --listen 0.0.0.0:0"), @"
    exit 64
    -- stderr
    error: the sandbox does not check who connects, so it listens only on a loopback address such as 127.0.0.1:0, not on 0.0.0.0:0
    help: listen on a free port of a loopback address, such as 127.0.0.1:0
    ");
}

#[cfg(unix)]
#[test]
fn sandbox_prints_its_address_and_stops() {
    for signal in ["TERM", "INT"] {
        let world = world();
        let mut sandbox = start(&world);
        let mut stdout = BufReader::new(sandbox.stdout.take().unwrap());
        let mut url = String::new();
        stdout.read_line(&mut url).unwrap();
        assert!(url.starts_with("http://127.0.0.1:"), "{url}");

        let world = world
            .env("CLOUDFLARE_BASE_URL", url.trim_end())
            .env("CLOUDFLARE_API_TOKEN", "any")
            .env("CLOUDFLARE_ACCOUNT_ID", crate::harness::ACCOUNT);
        world.run("apply --yes").exits(0);
        world.run("drift").exits(0).says("No drift. 1 group in sync.");

        let killed = Command::new("kill").args(["-s", signal, &sandbox.id().to_string()]).status().unwrap();
        assert!(killed.success());
        let status = sandbox.wait().unwrap();
        assert_eq!(status.code(), Some(0), "{signal}");
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "");
    }
}

#[cfg(unix)]
fn start(world: &World) -> Child {
    Command::new(binary())
        .args(["sandbox", "--seed", "seed.yaml"])
        .env_clear()
        .current_dir(world.path(""))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}
