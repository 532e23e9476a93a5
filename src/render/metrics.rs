//! The result of a `drift` run in Prometheus' text format.

use std::fmt::Write as _;

use jiff::Timestamp;

use super::escape;
use crate::plan::{GroupPlan, Plan, SideDoor, Tally};

#[derive(Clone, Copy, Debug)]
pub struct Run {
    pub began: Timestamp,
    pub seconds: f64,
    pub exit_code: u8,
}

/// The metrics of a run, with the differences that it found and the number of its requests. A failed run has only its
/// success, exit code, time and duration.
pub fn metrics(run: &Run, found: Option<(&Plan, u64)>) -> String {
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
    if let Some((plan, requests)) = found {
        page.found(plan, requests);
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

    fn found(&mut self, plan: &Plan, requests: u64) {
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
        self.gauge(
            "direct_access",
            "People with roles or policies beside their groups, if the settings ask for them.",
            plan.side_doors(SideDoor::DirectAccess),
        );
        self.gauge(
            "permissions",
            "Groups that give other permissions than the files pin.",
            plan.side_doors(SideDoor::Permissions),
        );
        self.head("differences", "Differences between the account and the files, by kind.");
        for (kind, count) in kinds(&plan.groups) {
            self.sample("differences", &format!("{{kind=\"{kind}\"}}"), &count.to_string());
        }
        self.head("group_differences", "Differences of a group, by kind.");
        for group in &plan.groups {
            for (kind, count) in kinds([group]) {
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

fn kinds<'a>(groups: impl IntoIterator<Item = &'a GroupPlan>) -> [(&'static str, u64); 4] {
    let Tally { missing, unexpected, expired, held } = Tally::of(groups);
    [("missing", missing), ("unexpected", unexpected), ("expired", expired), ("held", held)]
}
