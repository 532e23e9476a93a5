//! The result of a `drift` run in Prometheus' text format.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::escape;
use crate::plan::{Action, GroupPlan, Plan};

/// A completed run.
#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub began: Timestamp,
    /// The duration in seconds.
    pub seconds: f64,
    pub exit_code: u8,
}

/// The result of a successful run.
#[derive(Clone, Copy, Debug)]
pub struct Found<'a> {
    pub plan: &'a Plan,
    /// The HTTP requests of the run.
    pub requests: u64,
}

/// The metrics of a run. A failed run has only its success, exit code, time and duration.
#[must_use]
pub fn metrics(run: &Run, found: Option<Found<'_>>) -> String {
    let mut page = Page(String::new());
    page.gauge("success", "Whether the last run could compare the account with the files.", u64::from(found.is_some()));
    page.gauge("exit_code", "The exit code of the last run.", run.exit_code.into());
    page.head("run_timestamp_seconds", "When the last run began.");
    page.sample(
        "run_timestamp_seconds",
        "",
        &format!("{}.{:03}", run.began.as_second(), run.began.subsec_millisecond()),
    );
    page.head("duration_seconds", "How long the last run took.");
    page.sample("duration_seconds", "", &format!("{:.3}", run.seconds));
    if let Some(found) = found {
        page.found(found);
    }
    page.0
}

struct Page(String);

impl Page {
    fn head(&mut self, name: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP convoke_drift_{name} {help}\n# TYPE convoke_drift_{name} gauge");
    }

    fn sample(&mut self, name: &str, labels: &str, value: &str) {
        let _ = writeln!(self.0, "convoke_drift_{name}{labels} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, help);
        self.sample(name, "", &value.to_string());
    }

    fn found(&mut self, Found { plan, requests }: Found<'_>) {
        let memberships: usize = plan.groups.iter().map(|group| group.observed.len()).sum();
        self.gauge("requests", "HTTP requests of the last run.", requests);
        self.gauge("groups", "Groups that the files declare and the account has.", plan.groups.len() as u64);
        self.gauge("memberships", "Present memberships of these groups.", memberships as u64);
        self.gauge("blocked", "Declared entries that cannot be applied.", plan.blocked.len() as u64);
        self.gauge("refused", "Refusals by guards.", plan.refusals.len() as u64);
        self.gauge("attributed", "Differences whose author the audit log names.", plan.attributed());
        self.gauge("expiring", "Memberships that end soon.", plan.expiring.len() as u64);
        self.gauge(
            "unmanaged_groups",
            "Groups that no file declares, if the settings ask for them.",
            plan.unmanaged_groups.len() as u64,
        );
        self.head("differences", "Differences between the account and the files, by kind.");
        for (kind, count) in kinds(&plan.groups) {
            self.sample("differences", &format!("{{kind=\"{kind}\"}}"), &count.to_string());
        }
        self.head("group_differences", "Differences of a group, by kind.");
        for group in &plan.groups {
            for (kind, count) in kinds(std::slice::from_ref(group)) {
                let labels = format!(
                    "{{group=\"{}\",id=\"{}\",kind=\"{kind}\"}}",
                    escape::metric_label(group.name.as_str()),
                    group.id
                );
                self.sample("group_differences", &labels, &count.to_string());
            }
        }
    }
}

/// The number of differences of each kind: missing, unexpected and expired memberships, and held differences of
/// these.
fn kinds(groups: &[GroupPlan]) -> [(&'static str, usize); 4] {
    let (mut missing, mut unexpected, mut expired, mut held) = (0, 0, 0, 0);
    for group in groups {
        for change in &group.changes {
            *match (change.action, change.expired) {
                (Action::Add, _) => &mut missing,
                (Action::Remove, None) => &mut unexpected,
                (Action::Remove, Some(_)) => &mut expired,
            } += 1;
        }
        held += group.held.len();
    }
    [("missing", missing), ("unexpected", unexpected), ("expired", expired), ("held", held)]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    const fn run(exit_code: u8) -> Run {
        Run { began: Timestamp::constant(1_796_083_200, 250_000_000), seconds: 1.5, exit_code }
    }

    #[test]
    fn metrics_have_all_findings() {
        let plan = samples::small();
        insta::assert_snapshot!(metrics(&run(2), Some(Found { plan: &plan, requests: 3 })), @r#"
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
        let shown = metrics(&run(3), Some(Found { plan: &plan, requests: 3 }));
        let samples = shown.split('\n').filter(|line| line.contains("group=")).count();
        assert_eq!(samples, 4 * plan.groups.len());
        assert!(shown.split('\n').all(|line| line.is_empty() || line.starts_with(['#', 'c'])));
    }
}
