//! The command line: usage errors and their exit codes.

use insta::assert_snapshot;

use crate::builders::SeedExt as _;
use crate::harness::{given, nothing};
use convoke::sandbox::Seed;

#[test]
fn wrong_command_line_exits_64() {
    let wrong = [
        "",
        "plam",
        "plan --onyl Admins",
        "plan extra",
        "plan --concurrency 0",
        "plan --timeout never",
        "plan --timeout 0",
        "plan --at yesterday",
        "plan --at 2026-11-24T23:00:00",
        "plan --at 2026-11-24T23:00:00+01:00[Europe/Berlin]",
        "validate --only Admins",
        "validate --sandbox seed.yaml",
        "show plan.json --only Admins",
        "export --only Admins",
        "apply plan.json -f groups",
        "apply plan.json --only Admins",
        "apply plan.json --at 2026-12-01",
        "apply plan.json --base main",
        "apply --max-age 7d",
        "apply plan.json --max-age 7",
        "plan --due --base .",
        "plan --format xml",
        "plan --account-id 123",
        "plan -v -q",
        "plan --sandbox seed.yaml --api-url http://127.0.0.1:1",
        "apply --expect abc",
        "sandbox",
        "sandbox --seed seed.yaml --listen everywhere",
        "schema nothing",
    ];
    for arguments in wrong {
        let outcome = nothing().run(arguments).exits(64);
        assert_eq!(outcome.stdout, "", "{arguments}");
        assert_ne!(outcome.stderr, "", "{arguments}");
    }
}

#[test]
fn help_and_version_are_results_and_succeed() {
    nothing().run("--version").exits(0).says("convoke 0.");
    for arguments in ["--help", "-h", "plan --help", "apply --help", "help drift"] {
        nothing().run(arguments).exits(0).says("Usage: convoke");
    }
}

#[test]
fn short_help_fits_on_a_screen() {
    let world = nothing().env("COLUMNS", "80");
    let commands = "validate plan apply drift review show why export undo grant revoke prune rename sort doctor sandbox \
                    schema completions man";
    for command in commands.split_whitespace().chain([""]) {
        let help = world.run(format!("{command} -h").trim_start()).exits(0).stdout;
        assert!(help.lines().count() <= 40, "{command}: {} lines", help.lines().count());
    }
}

#[test]
fn mistyped_flag_shows_the_nearest() {
    assert_snapshot!(nothing().run("plan --onyl Admins"), @"
    exit 64
    -- stderr
    error: unexpected argument '--onyl' found

      tip: a similar argument exists: '--only'

    Usage: convoke plan --only <GROUP>

    For more information, try '--help'.
    ");
}

#[test]
fn invalid_time_is_reported_with_a_valid_one() {
    assert_snapshot!(nothing().run("plan --at yesterday"), @r#"
    exit 64
    -- stderr
    error: invalid value 'yesterday' for '--at <TIME>': it is neither a date nor an RFC 3339 instant; write a date (2026-12-31) or an instant with its offset (2026-12-31T18:00:00Z)

    For more information, try '--help'.
    "#);
}

/// A value of a form must not become a command of the CI runner that reads the log.
#[test]
fn arguments_have_no_line_of_their_own_in_messages() {
    let world = given(Seed::default());
    for arguments in [["revoke", "x\n::add-mask::a", "B"], ["grant", "--until=x\n::error::a", "b@example.com"]] {
        let outcome = world.run_with(&arguments).exits(64);
        assert!(!outcome.stderr.lines().any(|line| line.starts_with("::")), "{outcome}");
    }
}

#[test]
fn apply_without_terminal_needs_yes() {
    let world = given(Seed::default().group("Admins", ["alice@example.com"]))
        .groups(&[("Admins", &["alice@example.com", "bob@example.com"])]);
    assert_snapshot!(world.run("apply"), @"
    exit 64
    -- stderr
    error: there is no terminal to ask on
    help: pass --yes to apply without asking
    ");
    assert_eq!(world.request_count(), 0);
}

#[test]
fn insecure_base_url_is_refused() {
    let world = nothing()
        .groups(&[("Admins", &["alice@example.com"])])
        .env("CLOUDFLARE_ACCOUNT_ID", crate::harness::ACCOUNT)
        .env("CLOUDFLARE_API_TOKEN", crate::harness::TOKEN);
    assert_snapshot!(world.run("plan --api-url http://api.example.com/client/v4"), @"
    exit 64
    -- stderr
    error: the API's URL cannot be used: http is allowed only to a loopback address, because it would expose the credentials: use https
    help: check --api-url and CLOUDFLARE_BASE_URL
    ");
}

#[cfg(target_os = "linux")] // for /dev/full
#[test]
fn closed_stdout_does_not_panic() {
    let world = nothing().groups(&[("Admins", &["alice@example.com"])]);
    for arguments in ["validate", "schema config"] {
        let output = world.shell("", arguments, ">/dev/full").output().unwrap();
        let stderr = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("cannot write the result"), "{stderr}");
        assert!(!stderr.contains("panicked"), "{stderr}");
    }
}

#[test]
fn account_variable_may_be_empty_but_not_malformed() {
    let world =
        given(Seed::default().group("Admins", ["alice@example.com"])).groups(&[("Admins", &["alice@example.com"])]);
    let empty = world.env("CLOUDFLARE_ACCOUNT_ID", "");
    empty.run("plan").exits(65).warns("no account is set");
    let world = empty.env("CLOUDFLARE_ACCOUNT_ID", "production");
    assert_snapshot!(world.run("plan").exits(64).stderr, @r"
    error: CLOUDFLARE_ACCOUNT_ID is not an account id: an id has 32 characters, this has 10
    help: copy the id from the dashboard: 32 hexadecimal digits
    ");
    let world = world.env("CLOUDFLARE_ACCOUNT_ID", "0123456789abcdef0123456789abcdef");
    assert_snapshot!(world.run("plan --account-id ffffffffffffffffffffffffffffffff").exits(65).stderr, @r"
    error: two accounts are named: ffffffffffffffffffffffffffffffff by --account-id, 0123456789abcdef0123456789abcdef by CLOUDFLARE_ACCOUNT_ID
    help: check which account you mean, and remove the other
    ");
}

#[test]
fn default_is_the_file_or_else_the_folder() {
    let text = crate::harness::config(&[("Admins", &["alice@example.com"])]);
    let world = nothing();
    let none = world.run("validate").exits(65);
    none.warns("neither convoke.yaml nor the folder groups").warns("convoke export --out-dir groups");
    world.write("groups/README.md", "no YAML");
    world.run("validate").exits(65);
    world.write("groups/below/a.yml", &text);
    world.run("validate").exits(0).says("Valid: 1 group");
    world.write("convoke.yaml", &text);
    world.run("validate").exits(64).warns("-f convoke.yaml, -f groups, or both");
    world.run("validate -f groups").exits(0);
    let world = world.env("CONVOKE_FILE", "convoke.yaml");
    world.run("validate").exits(0);
}

#[test]
fn variable_that_a_command_does_not_use_is_ignored() {
    let world = given(Seed::default().group("Admins", ["alice@example.com"])).env("CONVOKE_FILE", "not-yet.yaml");
    world.run("export").exits(0).says("Admins:");
    let world = world.groups(&[("Admins", &["alice@example.com", "alice@example.com"])]);
    world.run("schema plan").exits(0);
}
