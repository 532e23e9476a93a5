//! The metrics of `drift`.

use convoke::render::metrics::{Run, metrics};
use jiff::Timestamp;

use super::samples;

const fn run(exit_code: u8) -> Run {
    Run { began: Timestamp::constant(1_796_083_200, 250_000_000), seconds: 1.5, exit_code }
}

#[test]
fn metrics_have_all_findings() {
    let plan = samples::small();
    insta::assert_snapshot!(metrics(&run(2), Some((&plan, 3))), @r#"
    # HELP convoke_drift_success Whether the last run could compare the account with the files.
    # TYPE convoke_drift_success gauge
    convoke_drift_success 1
    # HELP convoke_drift_exit_code The exit code of the last run.
    # TYPE convoke_drift_exit_code gauge
    convoke_drift_exit_code 2
    # HELP convoke_drift_run_timestamp_seconds When the last run began.
    # TYPE convoke_drift_run_timestamp_seconds gauge
    convoke_drift_run_timestamp_seconds 1796083200.250
    # HELP convoke_drift_duration_seconds How long the last run took.
    # TYPE convoke_drift_duration_seconds gauge
    convoke_drift_duration_seconds 1.500
    # HELP convoke_drift_requests HTTP requests of the last run.
    # TYPE convoke_drift_requests gauge
    convoke_drift_requests 3
    # HELP convoke_drift_groups Groups that the files declare and the account has.
    # TYPE convoke_drift_groups gauge
    convoke_drift_groups 2
    # HELP convoke_drift_memberships Present memberships of these groups.
    # TYPE convoke_drift_memberships gauge
    convoke_drift_memberships 6
    # HELP convoke_drift_blocked Declared entries that cannot be applied.
    # TYPE convoke_drift_blocked gauge
    convoke_drift_blocked 0
    # HELP convoke_drift_refused Refusals by guards.
    # TYPE convoke_drift_refused gauge
    convoke_drift_refused 0
    # HELP convoke_drift_attributed Differences whose author the audit log names.
    # TYPE convoke_drift_attributed gauge
    convoke_drift_attributed 0
    # HELP convoke_drift_expiring Memberships that end soon.
    # TYPE convoke_drift_expiring gauge
    convoke_drift_expiring 1
    # HELP convoke_drift_unmanaged_groups Groups that no file declares, if the settings ask for them.
    # TYPE convoke_drift_unmanaged_groups gauge
    convoke_drift_unmanaged_groups 1
    # HELP convoke_drift_direct_access People with roles or policies beside their groups, if the settings ask for them.
    # TYPE convoke_drift_direct_access gauge
    convoke_drift_direct_access 0
    # HELP convoke_drift_permissions Groups that give other permissions than the files pin.
    # TYPE convoke_drift_permissions gauge
    convoke_drift_permissions 0
    # HELP convoke_drift_differences Differences between the account and the files, by kind.
    # TYPE convoke_drift_differences gauge
    convoke_drift_differences{kind="missing"} 3
    convoke_drift_differences{kind="unexpected"} 3
    convoke_drift_differences{kind="expired"} 1
    convoke_drift_differences{kind="held"} 0
    # HELP convoke_drift_group_differences Differences of a group, by kind.
    # TYPE convoke_drift_group_differences gauge
    convoke_drift_group_differences{group="Developers",id="a0000000000000000000000000000000",kind="missing"} 2
    convoke_drift_group_differences{group="Developers",id="a0000000000000000000000000000000",kind="unexpected"} 2
    convoke_drift_group_differences{group="Developers",id="a0000000000000000000000000000000",kind="expired"} 1
    convoke_drift_group_differences{group="Developers",id="a0000000000000000000000000000000",kind="held"} 0
    convoke_drift_group_differences{group="Watched",id="a0000000000000000000000000000001",kind="missing"} 1
    convoke_drift_group_differences{group="Watched",id="a0000000000000000000000000000001",kind="unexpected"} 1
    convoke_drift_group_differences{group="Watched",id="a0000000000000000000000000000001",kind="expired"} 0
    convoke_drift_group_differences{group="Watched",id="a0000000000000000000000000000001",kind="held"} 0
    "#);
}

#[test]
fn failed_run_has_few_metrics() {
    insta::assert_snapshot!(metrics(&run(69), None), @r#"
    # HELP convoke_drift_success Whether the last run could compare the account with the files.
    # TYPE convoke_drift_success gauge
    convoke_drift_success 0
    # HELP convoke_drift_exit_code The exit code of the last run.
    # TYPE convoke_drift_exit_code gauge
    convoke_drift_exit_code 69
    # HELP convoke_drift_run_timestamp_seconds When the last run began.
    # TYPE convoke_drift_run_timestamp_seconds gauge
    convoke_drift_run_timestamp_seconds 1796083200.250
    # HELP convoke_drift_duration_seconds How long the last run took.
    # TYPE convoke_drift_duration_seconds gauge
    convoke_drift_duration_seconds 1.500
    "#);
}

#[test]
fn hostile_name_stays_inside_its_label() {
    let plan = samples::hostile();
    let shown = metrics(&run(3), Some((&plan, 3)));
    let samples = shown.split('\n').filter(|line| line.contains("group=")).count();
    assert_eq!(samples, 4 * plan.groups.len());
    assert!(shown.split('\n').all(|line| line.is_empty() || line.starts_with(['#', 'c'])));
}
