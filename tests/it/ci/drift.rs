//! A drift that gets worse while its issue is open.

use convoke::sandbox::Seed;
use serde_json::json;

use super::action::{READERS, Setting, inputs, setting, succeeded};
use crate::harness::given;

/// Files that ask for more than members.
pub const FILES: [(&str, &str); 2] = [
    (
        "groups/admins.yaml",
        "version: 1
settings: { direct_access: report }
groups:
  Admins:
    permissions: [DNS]
    members: [alice@example.com, bob@example.com]
",
    ),
    ("groups/readers.yaml", READERS),
];

/// The accounts of a drift that gets worse, and how many times the difference has changed until then.
pub fn steps() -> Vec<(Seed, usize)> {
    let joined = (jiff::Timestamp::now() - jiff::SignedDuration::from_hours(1)).to_string();
    let seed = |people: &str, policy: &str, more: &str| {
        let text = format!(
            "version: 1
people: [{people}]
groups:
  Admins:
    members: [alice@example.com, {{ email: carol@example.com, since: \"{joined}\" }}]
    policies: [{{ permission_groups: [{policy}] }}]
  Readers: {{ members: [erin@example.com, frank@example.com] }}
audit_log: {{ {more} }}
"
        );
        Seed::parse("seed.yaml".as_ref(), &text).unwrap()
    };
    let entry = "by: { email: mallory@example.com }, edit: { add: { group: Admins, member: carol@example.com } }";
    let known = &format!("entries: [{{ time: \"{joined}\", {entry} }}]");
    let (people, leader) = ("carol@example.com, dave@example.com", "{ email: dave@example.com, roles: [Owner] }");
    let promoted = format!("carol@example.com, {leader}");
    let invited = format!("{promoted}, bob@example.com");
    vec![
        (seed(people, "DNS", "refused: 403"), 0),
        // The entry in the audit log arrives later. The difference is the same.
        (seed(people, "DNS", known), 0),
        (seed(&promoted, "DNS", known), 1),
        (seed(&promoted, "Billing", known), 2),
        (seed(&promoted, "Super", "refused: 403"), 3),
        // Bob is not blocked any more, but he is missing.
        (seed(&invited, "Super", known), 4),
    ]
}

#[test]
fn issue_on_github_says_that_the_drift_changed() {
    let Some(mut setting) = setting() else { return };
    setting.origin.commit(&FILES);
    let drift = |setting: &Setting| setting.runner().action(inputs("drift", json!({})), &setting.on_main("schedule"));
    for (at, (seed, changes)) in steps().into_iter().enumerate() {
        setting.world = given(seed);
        let job = drift(&setting);
        succeeded(&job);
        assert_eq!(setting.github.comments(1).len(), changes, "{at}: {}", job.log);
    }
    let kept = setting.github.kept.lock().unwrap();
    assert_eq!(kept.issues.len(), 1);
    assert!(kept.issues[0]["body"].as_str().unwrap().contains("mallory@example.com"), "{}", kept.issues[0]["body"]);
}
