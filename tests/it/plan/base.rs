//! The comparison of the files with the files before the change under review.

use convoke::model::Desired;
use convoke::plan::{BaseChange, compare_base};

use crate::account::parsed;

fn desired(text: &str) -> Desired {
    parsed(&[("groups.yaml", text)])
}

/// The settings that differ between two texts, and whether each is loosened.
fn compared(base: &str, head: &str) -> Vec<String> {
    let changes = compare_base(&desired(base), &desired(head));
    let shown = |change: &BaseChange| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".into());
        let sign = if change.loosens { '!' } else { ' ' };
        format!("{sign} {}: {} -> {}", change.setting, text(&change.before), text(&change.after))
    };
    changes.iter().map(shown).collect()
}

const STRICT: &str = "\
version: 1
settings:
  limits: { group_removals: 1, total_removals: 5% }
  protected: [root@example.com]
  unmanaged_groups: refuse
  direct_access: report
groups:
  Payments:
    id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1
    permissions: [Billing, DNS on example.com]
    min_members: 2
    group_removals: 10%
    max_duration: 30d
    require_reason: true
    exclusive_with: [Approvers]
    members:
      - { email: a@example.com, until: 2026-12-01, reason: x }
      - { email: b@example.com, until: 2026-12-01, reason: x }
  Approvers:
    members: [c@example.com]
";

const LOOSE: &str = "\
version: 1
settings:
  limits: { group_removals: 2, total_removals: 50% }
groups:
  Payments:
    mode: additive
    min_members: 1
    allow_empty: true
    group_removals: 3
    max_duration: 90d
    members:
      - { email: a@example.com, until: 2026-12-01, reason: x }
      - { email: b@example.com, until: 2026-12-01, reason: x }
  Approvers:
    members: [c@example.com]
";

#[test]
fn every_loosened_setting_is_reported() {
    insta::assert_snapshot!(compared(STRICT, LOOSE).join("\n"), @"
    ! limits.group_removals: 1 -> 2
    ! limits.total_removals: 5% -> 50%
    ! direct_access: report -> ignore
    ! unmanaged_groups: refuse -> ignore
    ! protected: root@example.com -> -
    ! mode: exact -> additive
    ! id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1 -> -
    ! min_members: 2 -> 1
    ! allow_empty: false -> true
    ! group_removals: 10% -> 3
    ! permissions: Billing, DNS on example.com -> -
    ! max_duration: 30d -> 90d
    ! require_reason: true -> -
    ! exclusive_with: Approvers -> -
    ");
}

#[test]
fn tightening_is_not_called_loosening() {
    let told = compared(LOOSE, STRICT);
    let loosened: Vec<&String> = told.iter().filter(|line| line.starts_with('!')).collect();
    // A number and a percentage cannot be compared.
    assert_eq!(loosened, ["! group_removals: 3 -> 10%"]);
    assert_eq!(told.len(), compared(STRICT, LOOSE).len());
}

#[test]
fn equal_files_differ_in_nothing() {
    assert!(compare_base(&desired(STRICT), &desired(STRICT)).is_empty());
}

#[test]
fn dropped_group_is_loosened() {
    let head = STRICT.replace("  Approvers:\n    members: [c@example.com]\n", "");
    let head = head.replace("    exclusive_with: [Approvers]\n", "");
    assert_eq!(compared(STRICT, &head), ["! group: declared -> -", "! exclusive_with: Approvers -> -"]);
}

#[test]
fn pinned_group_with_another_name_is_not_dropped() {
    let head = STRICT.replace("  Payments:", "  Payers:");
    assert_eq!(compared(STRICT, &head), ["  name: Payments -> Payers"]);
    let loose = head.replace("    min_members: 2\n", "");
    assert_eq!(compared(STRICT, &loose), ["  name: Payments -> Payers", "! min_members: 2 -> -"]);
}

#[test]
fn exclusion_may_move_to_the_other_group() {
    let head = STRICT.replace("    exclusive_with: [Approvers]\n", "");
    assert_eq!(compared(STRICT, &head), ["! exclusive_with: Approvers -> -"]);
    let head = head + "    exclusive_with: [Payments]\n";
    let changes = compared(STRICT, &head);
    assert_eq!(changes, ["  exclusive_with: - -> Payments", "  exclusive_with: Approvers -> -"]);
}

#[test]
fn default_has_no_place() {
    let head = STRICT.replace("  limits: { group_removals: 1, total_removals: 5% }\n", "");
    let changes = compare_base(&desired(STRICT), &desired(&head));
    assert_eq!(changes.len(), 2);
    assert!(changes.iter().all(|change| change.loosens && change.after.is_some() && change.origin.is_none()));
}

#[test]
fn explicit_default_is_not_a_change() {
    let plain = "version: 1\ngroups: {}\n";
    let said = "version: 1\nsettings: { limits: { group_removals: 25% }, unmanaged_groups: ignore }\ngroups: {}\n";
    assert_eq!(compared(plain, said), Vec::<String>::new());
}
