//! Plans and reports for the tests of every format.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use convoke::config::Problems;
use convoke::model::{GroupName, Member, Observed, Origin, RunStatus, Status};
use convoke::plan::{self, Action, Change, Plan, Policy};
use convoke::render::view::{Invocation, View};
use convoke::render::{FAILURE_VERSION, Failed};
use convoke::report::{Difference, FORMAT_VERSION, GroupOutcome, GroupReport, Report, StaleGroup, UnmadeChange};

use crate::account::{account, group_id, member, parsed, policy};

/// A hostile name: terminal escapes, Markdown, HTML, mentions, links, fences, annotations, YAML.
pub const HOSTILE: &str =
    "\u{1b}[31m</code></summary>|`**```\r\n::error::x ##[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}\"";

/// The command that applies the samples.
static APPLY: LazyLock<Invocation> = LazyLock::new(|| Invocation {
    words: "convoke apply -f groups".into(),
    saved: None,
    files: " -f groups".into(),
    applying: String::new(),
});

/// A plan alone: not stale, without a repository, not about to be applied.
pub fn view() -> View<'static> {
    View { invocation: Some(&APPLY), repository: None, applying: false }
}

/// A failure because of the files.
pub fn failed(problems: &Problems) -> Failed<'_> {
    Failed {
        format_version: FAILURE_VERSION,
        status: RunStatus::Failed,
        exit_code: 65,
        error: "the files are wrong".into(),
        help: None,
        problems: problems.iter().collect(),
        api: None,
        requests: None,
    }
}

/// The plan of a file for an account, at the start of December 2026.
fn plan(yaml: &str, current: &Observed) -> Plan {
    plan::plan(&parsed(&[("groups.yaml", yaml)]), current, &policy(), "2026-12-01T00:00:00Z".parse().unwrap())
}

/// The plan of files, labeled by what they were before.
fn changed(before: &str, after: &str, current: &Observed) -> Plan {
    let desired = |text: &str| parsed(&[("groups.yaml", text)]);
    let head = desired(after);
    let time = "2026-12-01T00:00:00Z".parse().unwrap();
    let policy = Policy { base: Some(Arc::new(desired(before))), ..policy() };
    plan::plan(&head, current, &policy, time).with_base(&head, current, &policy)
}

/// A plan without changes.
pub fn in_sync() -> Plan {
    plan(
        "version: 1\ngroups:\n  Developers:\n    members: [alice@example.com]\n",
        &account(&[("Developers", &["alice@example.com"])]),
    )
}

const SMALL: &str = "\
version: 1
settings:
  unmanaged_groups: report
rosters:
  sre: [alice@example.com, bob@example.com]
groups:
  Developers:
    members:
      - roster: sre
      - carol@example.com
      - email: dave@example.com
        until: 2026-12-03
        reason: INC-4821 cover
      - email: gone@example.com
        until: 2026-11-01
    group_removals: 100%
  Watched:
    mode: observe
    members: [alice@example.com]
";

/// A small plan with a bit of everything except refusals and blocked entries.
pub fn small() -> Plan {
    plan(SMALL, &small_account())
}

/// The small plan, if another one was reviewed.
pub fn stale() -> Plan {
    let plan = small();
    let reason = plan.is_other("--expect", plan::Digest::of(b"another")).unwrap();
    plan.with_stale(reason)
}

fn small_account() -> Observed {
    account(&[
        ("Developers", &["alice@example.com", "carol@example.com", "gone@example.com", "?", "mallory@example.com"]),
        ("Watched", &["~dave@example.com"]),
        ("Others", &["bob@example.com"]),
    ])
}

/// The small plan, if the change under review only adds Dave.
pub fn labeled() -> Plan {
    let before = SMALL
        .replace("      - email: dave@example.com\n        until: 2026-12-03\n        reason: INC-4821 cover\n", "");
    changed(&before, SMALL, &small_account())
}

/// A plan without changes. The change under review loosens a rule and a mode, drops a group and protects a person.
pub fn loosened() -> Plan {
    let before = "version: 1\nsettings:\n  limits: { total_removals: 5% }\ngroups:\n  Developers:\n    min_members: 2\n    \
                  members: [alice@example.com]\n  Old:\n    members: []\n";
    let after = "version: 1\nsettings:\n  limits: { total_removals: 5% }\n  protected: [alice@example.com]\ngroups:\n  \
                 Developers:\n    mode: additive\n    members: [alice@example.com]\n";
    let account = account(&[("Developers", &["alice@example.com"]), ("Old", &[])]);
    changed(before, after, &account)
}

/// A plan that only the limits refuse.
pub fn refused_by_limits() -> Plan {
    plan(
        "version: 1\ngroups:\n  Developers:\n    members: [alice@example.com]\n",
        &account(&[("Developers", &["alice@example.com", "bob@example.com", "carol@example.com"])]),
    )
}

/// A plan with a refusal that `--accept` lifts and one that it does not.
pub fn refused_twice() -> Plan {
    plan(
        "version: 1\nsettings:\n  protected: [root@example.com]\ngroups:\n  Developers:\n    members: [alice@example.com]\n",
        &account(&[("Developers", &["alice@example.com", "bob@example.com", "root@example.com"])]),
    )
}

/// A plan with people whom the account does not have.
pub fn strangers() -> Plan {
    plan(
        "version: 1\ngroups:\n  Developers:\n    members: [alice@example.com, zoe@elsewhere.test, yan@elsewhere.test]\n  \
         Operators:\n    members: [yan@elsewhere.test]\n",
        &account(&[("Developers", &["alice@example.com"]), ("Operators", &[])]),
    )
}

/// A plan with refusals that `--accept` does not lift.
pub fn refused() -> Plan {
    plan(
        "version: 1\nsettings:\n  protected: [root@example.com]\ngroups:\n  Developers:\n    members: []\n",
        &account(&[("Developers", &["root@example.com"])]),
    )
}

/// A plan with blocked entries, and a held removal.
pub fn blocked() -> Plan {
    plan(
        "version: 1\ngroups:\n  Developers:\n    members: [alcie@example.com]\n  Developer:\n    members: []\n",
        &account(&[("Developers", &["alice@example.com"])]),
    )
}

/// All external text is hostile.
pub fn hostile() -> Plan {
    let mut plan = blocked();
    let email = "<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil";
    let small = small();
    plan.groups.extend(small.groups.into_iter().take(1));
    plan.expiring = small.expiring;
    plan.unmanaged_groups = small.unmanaged_groups;
    plan.refusals = refused().refusals;
    let name = GroupName::from(HOSTILE);
    plan.groups.iter_mut().for_each(|group| {
        group.name = name.clone();
        for change in group.changes.iter_mut().chain(&mut group.held) {
            change.member.email = email.parse().ok();
            change.origin.file = HOSTILE.into();
            change.reason = Some(HOSTILE.into());
        }
    });
    plan.unmanaged_groups.iter_mut().for_each(|group| group.name = name.clone());
    plan.blocked.iter_mut().for_each(|blocked| {
        blocked.group = name.clone();
        blocked.origin.file = HOSTILE.into();
        blocked.reason = plan::BlockedReason::UnreadableGroup { cause: HOSTILE.into() };
        let entry = blocked.entry.as_ref().map(|entry| format!("{entry}: ")).unwrap_or_default();
        blocked.message = format!("{entry}{}", blocked.reason);
    });
    plan.refusals.iter_mut().for_each(|refusal| {
        refusal.group = Some(name.clone());
        refusal.message = format!("{email} is protected in {HOSTILE}");
        refusal.origin.iter_mut().for_each(|origin| origin.file = HOSTILE.into());
    });
    plan.base_changes = loosened().base_changes;
    plan.base_changes.iter_mut().for_each(|change| {
        change.group = Some(name.clone());
        change.before.iter_mut().chain(&mut change.after).for_each(|value| *value = HOSTILE.into());
        change.origin.iter_mut().for_each(|origin| origin.file = HOSTILE.into());
    });
    plan.expiring.iter_mut().for_each(|expiring| {
        expiring.group = name.clone();
        expiring.origin.file = HOSTILE.into();
    });
    // Counts the parts again.
    let refusals = std::mem::take(&mut plan.refusals);
    plan.with_refusals(refusals)
}

/// Three thousand changes in one group.
pub fn large_group() -> Plan {
    let members: Vec<String> = (0..3000).map(|n| format!("person{n:04}@example.com")).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    plan(
        "version: 1\ngroups:\n  Everybody:\n    members: []\n    allow_empty: true\n    group_removals: 100%\nsettings:\n  limits: { total_removals: 100% }\n",
        &account(&[("Everybody", &members)]),
    )
}

/// This number of groups, each with one or two additions and a removal.
pub fn many_groups(count: usize) -> Plan {
    let names: Vec<String> = (0..count).map(|n| format!("Group {n:03}")).collect();
    let mut yaml = String::from("version: 1\nsettings: { limits: { total_removals: 100% } }\ngroups:\n");
    for name in &names {
        yaml.push_str(&format!("  {name}:\n    members: [alice@example.com]\n    group_removals: 100%\n"));
    }
    let members = ["alice@example.com", "bob@example.com", "carol@example.com"];
    let groups: Vec<(&str, &[&str])> = names.iter().map(|name| (name.as_str(), &members[..])).collect();
    plan(&yaml, &account(&groups))
}

/// This number of groups of which each loses six members against a limit, and this number in which entries are blocked
/// and expired. The change under review loosens all of them, and protects people who do not exist.
pub fn much_of_everything(count: usize) -> Plan {
    let person = |number: usize| format!("p{number}@example.com");
    let people: Vec<String> = (0..10).map(person).collect();
    let people: Vec<&str> = people.iter().map(String::as_str).collect();
    let (mut before, mut after) = (String::from("version: 1\n"), String::from("version: 1\nsettings:\n  protected:\n"));
    for number in 0..count {
        after.push_str(&format!("    - stranger{number:04}@elsewhere.example\n"));
    }
    before.push_str("groups:\n");
    after.push_str("groups:\n");
    let mut groups: Vec<(String, &[&str])> = Vec::new();
    for number in 0..count {
        before.push_str(&format!(
            "  Losing {number:04}:\n    min_members: 2\n    members: [{}]\n  \
             Blocked {number:04}:\n    min_members: 2\n    members: [{}]\n",
            people.join(", "),
            person(0)
        ));
        after.push_str(&format!(
            "  Losing {number:04}:\n    members: [{}]\n  Blocked {number:04}:\n    members:\n      - {}\n      \
             - p1@nowhere{number:04}.example\n      - {{ email: {}, until: 2020-01-01 }}\n",
            people[..4].join(", "),
            person(0),
            person(1)
        ));
        groups.push((format!("Losing {number:04}"), &people));
        groups.push((format!("Blocked {number:04}"), &people[..3]));
    }
    let groups: Vec<(&str, &[&str])> = groups.iter().map(|(name, members)| (name.as_str(), *members)).collect();
    let account = account(&groups);
    changed(&before, &after, &account)
}

/// A member with an address.
fn subject(email: &str) -> Member {
    member(1, Some(email), Status::Accepted)
}

fn joined(member: &Member) -> Change {
    let origin = Origin { file: "groups.yaml".into(), line: 5, column: 9 };
    let change = serde_json::json!({ "action": "add", "member": member, "origin": origin, "since": null });
    serde_json::from_value(change).unwrap()
}

/// The report of a partial apply.
pub fn partial_report() -> Report {
    let empty = |name: &str| GroupReport {
        id: group_id(1),
        name: name.into(),
        outcome: GroupOutcome::Done,
        cause: None,
        in_sync: false,
        members_before: 1,
        members_after: Some(2),
        added: Vec::new(),
        removed: Vec::new(),
        failed: Vec::new(),
        kept: Vec::new(),
        skipped: Vec::new(),
        stale: None,
        trouble: None,
    };
    let (alice, bob) = (subject("alice@example.com"), subject("bob@example.com"));
    let reason = |reason: &str| String::from(reason);
    let groups = vec![
        GroupReport { added: vec![joined(&alice)], in_sync: true, ..empty("Developers") },
        GroupReport {
            outcome: GroupOutcome::Failed,
            failed: vec![UnmadeChange {
                action: Action::Add,
                member: bob.clone(),
                reason: reason("bob does not have DSR enabled (400)"),
                origin: Some(Origin { file: "groups.yaml".into(), line: 7, column: 9 }),
                expired: None,
            }],
            ..empty("Operators")
        },
        GroupReport {
            outcome: GroupOutcome::Kept,
            kept: vec![UnmadeChange {
                action: Action::Remove,
                member: bob.clone(),
                reason: reason("not added elsewhere"),
                origin: Some(Origin { file: "groups.yaml".into(), line: 9, column: 9 }),
                expired: Some("2026-11-01T00:00:00Z".parse().unwrap()),
            }],
            ..empty("Leads")
        },
        GroupReport {
            outcome: GroupOutcome::Skipped,
            skipped: vec![UnmadeChange {
                action: Action::Remove,
                member: bob.clone(),
                reason: reason("interrupted before it was sent"),
                origin: None,
                expired: None,
            }],
            ..empty("Auditors")
        },
        GroupReport {
            outcome: GroupOutcome::Stale,
            stale: Some(Difference { added: vec![alice], removed: vec![bob] }),
            ..empty("Admins")
        },
        GroupReport { outcome: GroupOutcome::Failed, trouble: Some(HOSTILE.into()), ..empty(HOSTILE) },
    ];
    let report = Report {
        status: RunStatus::InSync,
        format_version: FORMAT_VERSION,
        digest: in_sync().digest,
        complete: false,
        credentials_refused: false,
        journal_failed: None,
        added: 0,
        removed: 0,
        held: Vec::new(),
        left_out: Vec::new(),
        present_addresses: BTreeMap::new(),
        stale: Vec::new(),
        groups,
        blocked: hostile().blocked,
        is_blocked: true,
        covers_account: true,
        interrupted: true,
        wrote: true,
        may_have_changed: true,
        requests: 12,
    };
    report.judged()
}

/// Groups that changed after a plan was saved.
pub fn stale_groups() -> Vec<StaleGroup> {
    let difference = Difference { added: vec![subject("new@example.com")], removed: vec![subject("old@example.com")] };
    let expected = small().groups.iter().flat_map(|group| group.changes.clone()).collect();
    vec![
        StaleGroup { difference: Some(difference), expected, ..StaleGroup::new("Developers".into()) },
        StaleGroup { renamed_to: Some("Heads".into()), ..StaleGroup::new("Leads".into()) },
        StaleGroup::new(HOSTILE.into()),
    ]
}

/// The remedy for a stale plan.
pub const HELP: &str = "Make a new plan and review it: `convoke plan`";
