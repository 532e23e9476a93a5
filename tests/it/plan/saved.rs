use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::*;
use convoke::plan::{Operation, SavedPlanError, Strays};

fn some_plan() -> Plan {
    let account = AccountBuilder::default().group("G", 0..10).group("H", [1]).accepted([20]);
    account.plan(&format!(
        "groups:\n{}{}",
        listing("G", "", (1..10).chain([20])),
        "  H: {members: [p1@example.com, typo@example.com]}\n"
    ))
}

fn json(plan: &Plan) -> serde_json::Value {
    serde_json::to_value(plan.sealed()).unwrap()
}

fn read(value: &serde_json::Value) -> Result<Plan, SavedPlanError> {
    Plan::parse(&serde_json::to_vec(value).unwrap())
}

#[test]
fn saved_plan_reads_back_unchanged() {
    let plan = some_plan();
    let again = read(&json(&plan)).unwrap();
    assert_eq!(json(&again), json(&plan));
    assert_eq!(again.digest, plan.digest);
}

#[test]
fn edit_of_any_saved_value_is_detected() {
    fn edits(value: &serde_json::Value) -> Vec<serde_json::Value> {
        match value {
            serde_json::Value::Object(fields) => fields
                .iter()
                .flat_map(|(key, inner)| {
                    edits(inner).into_iter().map(move |edited| {
                        let mut fields = fields.clone();
                        fields.insert(key.clone(), edited);
                        fields.into()
                    })
                })
                .collect(),
            serde_json::Value::Array(items) => {
                let shorter = (0..items.len()).map(|index| {
                    let mut items = items.clone();
                    items.remove(index);
                    items.into()
                });
                let inner = items.iter().enumerate().flat_map(|(index, item)| {
                    edits(item).into_iter().map(move |edited| {
                        let mut items = items.clone();
                        items[index] = edited;
                        items.into()
                    })
                });
                shorter.chain(inner).collect()
            }
            serde_json::Value::String(text) => {
                vec![text.replacen(|_: char| true, "0", 1).into(), format!("{text}0").into()]
                    .into_iter()
                    .filter(|edited: &serde_json::Value| edited != value)
                    .collect()
            }
            serde_json::Value::Number(number) => vec![(number.as_u64().unwrap() + 1).into()],
            serde_json::Value::Null => vec!["change".into()],
            serde_json::Value::Bool(truth) => vec![(!truth).into()],
        }
    }
    let edited = edits(&json(&some_plan()));
    assert!(edited.len() > 100, "{} edits", edited.len());
    for edit in edited {
        assert!(read(&edit).is_err(), "{edit:#}");
    }
}

#[test]
fn inconsistent_edit_of_resealed_plan_is_detected() {
    let mut plan = some_plan();
    plan.groups[0].operations[0] = Operation::Post(vec![member_id(4), member_id(5)]);
    assert!(matches!(read(&json(&plan)), Err(SavedPlanError::Edited(_))));
}

#[test]
fn duplicates_in_a_resealed_plan_are_refused() {
    let twice = |edit: fn(&mut Plan)| {
        let mut plan = some_plan();
        edit(&mut plan);
        read(&json(&plan)).unwrap_err().to_string()
    };
    let group = |plan: &mut Plan| plan.groups.push(plan.groups[0].clone());
    assert!(twice(group).contains("it has a group twice"));
    let change = |plan: &mut Plan| {
        let again = plan.groups[0].changes[0].clone();
        plan.groups[0].changes.push(again);
    };
    assert!(twice(change).contains("a group's changes do not match its members"));
}

#[test]
fn other_version_or_truncated_plan_is_refused() {
    let mut other = json(&some_plan());
    other["format_version"] = 2.into();
    assert!(matches!(read(&other), Err(SavedPlanError::Version(2))));
    let whole = serde_json::to_vec(&json(&some_plan())).unwrap();
    for length in 0..whole.len() {
        assert!(Plan::parse(&whole[..length]).is_err(), "{length} bytes");
    }
}

#[test]
fn digest_covers_only_changes() {
    let account = AccountBuilder::default().group("G", 0..10).group("H", [1]);
    let files = format!("groups:\n{}", listing("G", "", 1..10));
    let digest = account.plan(&files).digest;
    assert_eq!(account.plan_at(&files, "2027-01-01T00:00:00Z").digest, digest, "another time");
    assert_eq!(account.plan(&format!("# moved down\n\n{files}")).digest, digest, "other lines");
    let with = |more: &str| account.plan(&format!("{files}{more}")).digest;
    assert_eq!(with(&listing("H", "", [1])), digest, "a group without changes");
    assert_eq!(with(&listing("H", "    mode: observe\n", [2])), digest, "an observed difference");
    let grown = AccountBuilder::default().group("G", 0..11);
    assert_eq!(grown.plan(&format!("groups:\n{}", listing("G", "", 1..11))).digest, digest, "other members");
    assert_ne!(with(&listing("H", "", [1, 2])), digest, "another group's change");
    assert_ne!(account.plan(&format!("groups:\n{}", listing("G", "", 2..10))).digest, digest, "another change");
    let renamed = AccountBuilder::default().group("Renamed", 0..10);
    assert_ne!(renamed.plan(&format!("groups:\n{}", listing("Renamed", "", 1..10))).digest, digest, "another name");
    let observing = format!("groups:\n{}", listing("G", "    mode: observe\n", 1..10));
    assert_ne!(account.plan(&observing).digest, digest, "nothing would be written");
}

#[test]
fn other_account_has_another_digest() {
    let account = AccountBuilder::default().group("G", 0..10);
    let files = desired(&format!("groups:\n{}", listing("G", "", 1..10)));
    let digest = |number: usize| {
        let policy = Policy { account_id: format!("{number:032}").parse().unwrap(), ..policy() };
        plan(&files, &account.observed, &policy, Timestamp::UNIX_EPOCH).digest
    };
    assert_ne!(digest(1), digest(2), "a plan of one account is accepted for another");
    assert_eq!(digest(1), digest(1));
}

#[test]
fn group_is_fresh_at_every_planned_state() {
    let plan = some_plan();
    let group = &plan.groups[0];
    let members = |numbers: &[usize]| numbers.iter().map(|number| member_id(*number)).collect::<BTreeSet<_>>();
    let mut present: BTreeSet<MemberId> = group.observed.keys().copied().collect();
    assert!(group.moved_since(&present).is_empty(), "as seen");
    present.insert(member_id(20));
    assert!(group.moved_since(&present).is_empty(), "one change made");
    present.remove(&member_id(0));
    assert!(group.moved_since(&present).is_empty(), "all changes made");
    present.insert(member_id(30));
    present.remove(&member_id(4));
    assert_eq!(group.moved_since(&present), Strays { added: members(&[30]), removed: members(&[4]) });
}

#[test]
fn protected_address_is_checked_again_at_apply() {
    let plan = AccountBuilder::default()
        .group("G", 0..10)
        .plan(&format!("settings: {{ protected: [boss@example.com] }}\ngroups:\n{}", listing("G", "", 1..10)));
    assert_eq!(refused(&plan), []);
    let group = &plan.groups[0];
    let mut present = (*group.observed).clone();
    let renamed = member(0, Some("boss@example.com"), Status::Accepted);
    present.insert(member_id(0), renamed);
    assert_eq!(
        refused(&plan.remaining(&BTreeMap::new(), &[(group.id, Arc::new(present.clone()))].into())),
        [Guard::Protected]
    );
    present.remove(&member_id(0));
    let done = plan.remaining(&BTreeMap::new(), &[(group.id, Arc::new(present))].into());
    assert_eq!((refused(&done), done.summary.removes, done.digest), (vec![], 0, plan.digest));
}
