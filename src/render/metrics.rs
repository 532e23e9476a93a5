//! The result of a `drift` run in Prometheus' text format.

use std::fmt::{Display, Write as _};

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
    let began = format!("{}.{:03}", run.began.as_second(), run.began.subsec_millisecond());
    page.gauge("success", "Whether the last run could compare the account with the files.", u8::from(found.is_some()));
    page.gauge("exit_code", "The exit code of the last run.", run.exit_code);
    page.gauge("run_timestamp_seconds", "When the last run began.", began);
    page.gauge("duration_seconds", "How long the last run took.", format!("{:.3}", run.seconds));
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

    fn gauge(&mut self, name: &str, help: &str, value: impl Display) {
        self.head(name, help);
        let _ = writeln!(self.0, "convoke_drift_{name} {value}");
    }

    fn found(&mut self, plan: &Plan, requests: u64) {
        let memberships: usize = plan.groups.iter().map(|group| group.observed.len()).sum();
        let (direct, permissions) = (plan.side_doors(SideDoor::DirectAccess), plan.side_doors(SideDoor::Permissions));
        let attributed = plan.differences().filter(|(_, change)| change.by.is_some()).count();
        let unmanaged = "Groups that no file declares, if the settings ask for them.";
        let direct_help = "People with roles or policies beside their groups, if the settings ask for them.";
        self.gauge("requests", "HTTP requests of the last run.", requests);
        self.gauge("groups", "Groups that the files declare and the account has.", plan.groups.len());
        self.gauge("memberships", "Present memberships of these groups.", memberships);
        self.gauge("blocked", "Declared entries that cannot be applied.", plan.blocked.len());
        self.gauge("refused", "Refusals by guards.", plan.refusals.len());
        self.gauge("attributed", "Differences whose author the audit log names.", attributed);
        self.gauge("expiring", "Memberships that end soon.", plan.expiring.len());
        self.gauge("unmanaged_groups", unmanaged, plan.unmanaged_groups.len());
        self.gauge("direct_access", direct_help, direct);
        self.gauge("permissions", "Groups that give other permissions than the files pin.", permissions);
        self.head("differences", "Differences between the account and the files, by kind.");
        for (kind, count) in kinds(&plan.groups) {
            let _ = writeln!(self.0, "convoke_drift_differences{{kind=\"{kind}\"}} {count}");
        }
        self.head("group_differences", "Differences of a group, by kind.");
        for group in &plan.groups {
            let labels = format!("group=\"{}\",id=\"{}\"", escape::metric_label(group.name.as_str()), group.id);
            for (kind, count) in kinds([group]) {
                let _ = writeln!(self.0, "convoke_drift_group_differences{{{labels},kind=\"{kind}\"}} {count}");
            }
        }
    }
}

fn kinds<'a>(groups: impl IntoIterator<Item = &'a GroupPlan>) -> [(&'static str, u64); 4] {
    let Tally { missing, unexpected, expired, held } = Tally::of(groups);
    [("missing", missing), ("unexpected", unexpected), ("expired", expired), ("held", held)]
}
