//! Access beside the groups, pinned permissions and groups of an identity provider.

use convoke::sandbox::Seed;

use crate::harness::{World, given};

const FILES: &str = "
version: 1
settings: { protected: [root@example.com] }
groups:
  Admins:
    members: [alice@example.com, root@example.com]
  Old:
    members: [bob@example.com]
";

const SEED: &str = "
organization: Example Holding
account_name: Example Production
resource_groups: [{ name: example.com }]
people:
  - { email: alice@example.com, policies: [{ permission_groups: [Workers Admin] }, { permission_groups: [DNS], resource_groups: [example.com] }] }
  - { email: root@example.com, roles: [Super Administrator - All Privileges] }
  - { email: eve@example.com, roles: ['Administrator | <b>'] }
  - { email: pat@example.com, status: pending }
groups:
  Admins:
    policies: [{ permission_groups: [Workers Admin] }, { permission_groups: [{ name: Legacy, eol_at: '2027-01-31' }] }]
    members: [alice@example.com, root@example.com]
  Old:
    members: [bob@example.com]
";

fn world(seed: &str, files: &str) -> World {
    given(Seed::parse("seed.yaml".as_ref(), seed).unwrap()).file("convoke.yaml", files)
}

fn reporting() -> String {
    FILES.replace("settings: {", "settings: { direct_access: report,")
}

#[test]
fn group_without_a_name_is_shown_by_its_id() {
    let id = "7d7f2f5f5b1d4a0e9081fdc98d432fd1";
    let seed = format!("groups: {{ Hidden: {{ id: {id}, nameless: true, members: [a@example.com] }} }}\n");
    let world = given(Seed::parse("seed.yaml".as_ref(), &seed).unwrap());
    let file = |setting: &str| format!("version: 1\nsettings: {{ unmanaged_groups: {setting} }}\ngroups: {{}}\n");
    let world = world.file("convoke.yaml", file("refuse"));
    world.run("plan").exits(3).says(&format!("not declared in any file: {id}")).says(&format!("name unknown: {id}"));
    world.run("why a@example.com").exits(0).says(&format!("name unknown ({id}): a member"));
    world.run("export --out new.yaml").exits(0).warns(&format!("group {id} is not exported: its name is empty"));
}

#[test]
fn review_lists_access_beside_the_groups() {
    let world = world(SEED, FILES);
    let json = world.run("review --format json").exits(0).json();
    let rows: Vec<(&str, &str, String)> = json["beside_groups"]
        .as_array()
        .unwrap()
        .iter()
        .map(|row| (row["standing"].as_str().unwrap(), row["person"].as_str().unwrap(), row["grants"].to_string()))
        .collect();
    assert_eq!(
        rows,
        [
            ("direct", "alice@example.com", "[\"DNS on example.com\"]".to_owned()),
            ("direct", "eve@example.com", "[\"Administrator | <b>\"]".to_owned()),
            ("direct", "root@example.com", "[\"Super Administrator - All Privileges\"]".to_owned()),
            ("in_no_file", "eve@example.com", "[]".to_owned()),
            ("in_no_file", "pat@example.com", "[]".to_owned()),
            ("invited", "pat@example.com", "[]".to_owned()),
        ]
    );
    let summary = &json["summary"];
    assert_eq!([&summary["direct"], &summary["in_no_file"], &summary["invited"]], [3, 2, 1]);
    assert_eq!(json["groups"][0]["grants"].to_string(), "[\"Workers Admin\",\"Legacy (ends 2027-01-31)\"]");
    assert_eq!(
        (&json["account_name"], &json["organization"]),
        (&"Example Production".into(), &"Example Holding".into())
    );
}

#[test]
fn every_format_of_a_review_has_side_doors() {
    let world = world(SEED, FILES);
    for format in ["text", "html", "markdown"] {
        let page = world.run(&format!("review --format {format}")).exits(0).stdout;
        for text in ["eve@example.com", "pat@example.com", "Example Holding", "DNS on example.com"] {
            assert!(page.contains(text), "{format}: {text}\n{page}");
        }
        assert!(format != "html" || !page.contains("| <b>"), "{page}");
    }
    let csv = world.run("review --format csv").exits(0).stdout;
    for row in [",,,DNS on example.com,alice@example.com,", ",,,,pat@example.com,"] {
        assert!(csv.lines().any(|line| line.starts_with(row)), "{csv}");
    }
    assert!([",direct,", ",in_no_file,", ",invited,"].iter().all(|standing| csv.contains(standing)), "{csv}");
}

#[test]
fn drift_reports_direct_access_only_if_asked() {
    let quiet = world(SEED, FILES);
    quiet.run("drift").exits(0);
    assert!(
        !quiet.account().requests().iter().any(|request| request.path.ends_with("/members") && request.group.is_none())
    );
    let world = world(SEED, &reporting());
    for format in ["text", "json", "markdown", "github"] {
        let outcome = world.run(&format!("drift --format {format}")).exits(2);
        assert!(outcome.stdout.contains("eve@example.com") && outcome.stdout.contains("DNS on"), "{format}");
        assert!(!outcome.stdout.contains("root@example.com has"), "{format}: protected");
    }
    let annotations = world.run("drift --format github").exits(2);
    let of = |who: &str| annotations.stdout.lines().filter(|line| line.starts_with("::") && line.contains(who)).count();
    assert_eq!([of("eve@example.com"), of("alice@example.com"), of("root@example.com")], [1, 1, 0], "{annotations}");
    let metrics = world.run("drift --metrics-file m.prom").exits(2);
    assert!(metrics.stdout.contains("Drift: 2 people with access beside the groups. "), "{}", metrics.stdout);
    assert!(!metrics.stdout.contains("The account is in sync"), "{}", metrics.stdout);
    assert!(world.read("m.prom").contains("convoke_drift_direct_access 2"), "{}", world.read("m.prom"));
    world.run("plan --detailed-exitcode").exits(0);
    // Everybody is read, so a protected person whom the account does not have is noticed.
    world.write("convoke.yaml", reporting().replacen("root@example.com", "gone@example.com", 1));
    world.run("drift").exits(2).says("gone@example.com is protected at convoke.yaml:");
    world.write("convoke.yaml", reporting());
    // `apply` does not read it, so it does not answer for it.
    let applied = world.run("apply --yes").exits(0);
    assert!(!applied.stdout.contains("The account is in sync"), "{applied}");
    let applied = quiet.run("apply --yes").exits(0);
    assert!(applied.stdout.contains("The account is in sync"), "{applied}");
}

fn pinned(pins: &str, members: &str) -> String {
    FILES.replace(
        "    members: [alice@example.com, root@example.com]",
        &format!("    permissions: {pins}\n    members: [{members}]"),
    )
}

#[test]
fn changed_permissions_block_joins_and_hold_only_movers() {
    let seed = SEED.replace("members: [bob@example.com]", "members: [bob@example.com, eve@example.com]");
    let files = pinned("[Workers Admin]", "alice@example.com, bob@example.com")
        .replace("members: [bob@example.com]", "members: []\n    allow_empty: true\n    group_removals: 100%");
    let world = world(
        &seed,
        &files.replace("protected: [root@example.com]", "limits: { group_removals: 100%, total_removals: 100% }"),
    );
    let plan = world.run("plan --format json").exits(3).json();
    assert_eq!(plan["blocked"][0]["reason"]["gained"].to_string(), "[\"Legacy\"]");
    assert_eq!(plan["summary"]["adds"], 0);
    let (admins, old) = (&plan["groups"][0], &plan["groups"][1]);
    assert_eq!(admins["changes"][0]["member"]["email"], "root@example.com", "removals are made");
    assert_eq!(old["held"][0]["member"]["email"], "bob@example.com");
    assert_eq!(old["changes"][0]["member"]["email"], "eve@example.com");
}

#[test]
fn drift_reports_changed_permissions() {
    let world = world(SEED, &pinned("[Workers Admin, Legacy, Billing]", "alice@example.com, root@example.com"));
    world.run("drift").exits(2).says("Billing");
    world.run("plan").exits(0).says("Billing");
    assert!(world.run("drift --format markdown").exits(2).stdout.contains("Billing"));
}

#[test]
fn exported_permissions_are_in_sync() {
    let world = world(SEED, "version: 1\ngroups: {}\n");
    let export = world.run("export --permissions").exits(0).stdout;
    assert!(export.contains("    permissions:\n      - Workers Admin\n      - Legacy\n"), "{export}");
    world.write("convoke.yaml", &export);
    world.run("drift").exits(0);
    world.run("plan --detailed-exitcode").exits(0);
}

#[test]
fn exported_permissions_of_a_denying_policy_are_in_sync() {
    let denying = "policies: [{ access: deny, permission_groups: [DNS] }, ";
    let world = world(&SEED.replacen("    policies: [", &format!("    {denying}"), 1), FILES);
    let export = world.run("export --permissions").exits(0).stdout;
    assert!(export.contains("denies DNS"), "{export}");
    let world = world.file("convoke.yaml", &export);
    world.run("drift").exits(0);
    world.file("convoke.yaml", export.replace("      - denies DNS\n", "")).run("drift").exits(2).says("denies DNS");
}

#[test]
fn groups_of_an_identity_provider_are_exported_as_observed() {
    let world = world(&SEED.replace("  Old:\n", "  Old:\n    external_id: 00g1\n"), "version: 1\ngroups: {}\n");
    let export = world.run("export").exits(0).stdout;
    assert_eq!(export.matches("mode: observe  # an identity provider probably").count(), 1, "{export}");
    let faults = "faults: [{ on: { operation: list-scim-groups }, do: { respond: { status: 403 } }, times: 9 }]\n";
    let refused = self::world(&format!("{SEED}{faults}"), "version: 1\ngroups: {}\n");
    refused.run("export").exits(0).warns("SCIM cannot be read");
}

#[test]
fn why_shows_what_membership_gives() {
    let world = world(SEED, FILES);
    world.run("why alice@example.com").exits(0).says("gives: Workers Admin, Legacy (ends 2027-01-31)");
    let json = world.run("why alice@example.com --format json").exits(0).json();
    assert_eq!(json["groups"][0]["grants"][0], "Workers Admin");
}

#[test]
fn refused_write_names_the_identity_provider() {
    let seed = SEED.replace("  Old:\n", "  Old:\n    scim: true\n");
    let world = world(&seed, &FILES.replace("[bob@example.com]", "[bob@example.com, eve@example.com]"));
    let report = world.run("apply --yes").exits(5);
    assert!(
        format!("{}{}", report.stdout, report.stderr).contains("an identity provider manages this group"),
        "{report}"
    );
}

#[test]
fn hostile_names_get_through_in_no_format() {
    let seed = SEED.replace("'Administrator | <b>'", "\"=cmd()\\u202E\\e[31m::error::|<script>x\"");
    let world = world(&seed, &reporting());
    for format in ["text", "csv", "html", "markdown"] {
        let page = world.run(&format!("review --format {format}")).exits(0).stdout;
        assert!(!page.contains('\u{202E}') && !page.contains('\u{1b}'), "{format}: {page}");
        assert!(format != "html" || !page.contains("<script>x"), "{page}");
        assert!(format != "csv" || page.contains("'=cmd()"), "{page}");
    }
    for format in ["text", "markdown", "github"] {
        let page = world.run(&format!("drift --format {format}")).exits(2).stdout;
        assert!(!page.contains('\u{202E}') && !page.contains('\u{1b}'), "{format}: {page}");
    }
}

#[test]
fn group_without_a_name_is_found_by_its_pin() {
    let id = "6d7f2f5f5b1d4a0e9081fdc98d432fd1";
    let seed = SEED.replace("  Old:\n", &format!("  Old:\n    id: {id}\n    nameless: true\n"));
    let pinned =
        FILES.replace("  Old:\n", &format!("  Old:\n    id: {id}\n")).replace("[bob@", "[eve@example.com, bob@");
    let world = world(&seed, &pinned);
    world.run("plan").exits(0).says("the account shows no name for the group");
    world.run("plan --out p.plan").exits(0);
    world.run("apply p.plan --yes").exits(0);
    assert_eq!(world.members("Old"), ["bob@example.com", "eve@example.com"]);
    assert!(world.run("review").exits(0).stdout.contains("name unknown (exact,"));
    self::world(&seed, FILES).run("plan").exits(3).says("the account has no group with this name");
}

#[test]
fn saved_plan_is_stale_if_permissions_changed() {
    let files = pinned("[Workers Admin, Legacy]", "alice@example.com, root@example.com, bob@example.com");
    let before = world(SEED, &files);
    before.run("plan --out p.plan").exits(0);
    let world = world(&SEED.replace("name: Legacy", "name: Billing"), &files);
    world.write("p.plan", before.read("p.plan"));
    for format in ["text", "markdown", "json"] {
        let outcome = world.run(&format!("apply p.plan --yes --format {format}")).exits(4);
        assert!(outcome.stdout.contains("Billing"), "{outcome}");
    }
    assert_eq!(world.writes(), Vec::<String>::new());
    before.run("apply p.plan --yes").exits(0);
}

#[test]
fn undo_restores_nobody_to_a_group_that_gives_more() {
    let seed = SEED.replace("root@example.com]\n  Old", "root@example.com, bob@example.com]\n  Old");
    let files = pinned("[Workers Admin, Legacy]", "alice@example.com, root@example.com");
    let before = world(&seed, &files);
    before.run("apply --yes --journal j").exits(0);
    before.run("undo j --out u").exits(0).says("bob@example.com");
    let world = world(&SEED.replace("name: Legacy", "name: Billing"), &files);
    world.write("j", before.read("j"));
    world.run("undo j --out u").exits(3).says("bob@example.com: not added, because the group gives Billing");
}
