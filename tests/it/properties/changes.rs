//! Successive versions of files, each planned with only its change, in an account that others change too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use convoke::model::{Desired, Mode, Observed, Status};
use convoke::plan::{Action, LeftOutKind, Plan, Policy, plan};
use jiff::Timestamp;
use proptest::prelude::*;

use crate::account::{AccountBuilder, group_id, member, member_id, parsed, policy};

/// Names that no typo turns into another.
const PEOPLE: [&str; 5] = ["ada.lovelace", "grace", "linus.torvalds.senior", "q", "zoe_washburne"];
const GROUPS: [&str; 3] = ["Red", "Green", "Blue"];
const NOW: &str = "2026-06-15T12:00:00Z";

/// An entry: always, until a day that has passed, until one that has not, from one that has not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Term {
    Always,
    Ended,
    Ends,
    Begins,
}

#[derive(Clone, Debug, PartialEq)]
struct Group {
    mode: Mode,
    /// By person: the term, and whether the entry names the person by id.
    entries: BTreeMap<usize, (Term, bool)>,
}

type Files = Vec<Option<Group>>;

fn address(person: usize) -> String {
    format!("{}@example.com", PEOPLE[person])
}

fn files() -> impl Strategy<Value = Files> {
    let term = prop_oneof![
        4 => Just(Term::Always), 1 => Just(Term::Ended), 1 => Just(Term::Ends), 1 => Just(Term::Begins)
    ];
    let mode = prop_oneof![5 => Just(Mode::Exact), 2 => Just(Mode::Additive), 1 => Just(Mode::Observe)];
    let entries = prop::collection::btree_map(0..PEOPLE.len(), (term, prop::bool::weighted(0.2)), 0..5);
    let group = (mode, entries).prop_map(|(mode, entries)| Group { mode, entries });
    prop::collection::vec(prop::option::weighted(0.9, group), GROUPS.len())
}

fn written(files: &Files) -> Desired {
    let mut text =
        String::from("version: 1\nsettings: {limits: {group_removals: 100%, total_removals: 100%}}\ngroups:\n");
    for (name, group) in GROUPS.iter().zip(files).filter_map(|(name, group)| Some((name, group.as_ref()?))) {
        let mode = group.mode;
        text.push_str(&format!("  {name}:\n    mode: {mode}\n    allow_empty: true\n    members:"));
        text.push_str(if group.entries.is_empty() { " []\n" } else { "\n" });
        for (person, (term, by_id)) in &group.entries {
            let who =
                if *by_id { format!("id: {}", member_id(*person)) } else { format!("email: {}", address(*person)) };
            let when = match term {
                Term::Always => "",
                Term::Ended => ", until: 2026-06-01",
                Term::Ends => ", until: 2026-07-31",
                Term::Begins => ", from: 2026-07-01",
            };
            text.push_str(&format!("      - {{{who}{when}}}\n"));
        }
    }
    let text = if files.iter().all(Option::is_none) { "version: 1\ngroups: {}\n".to_owned() } else { text };
    parsed(&[("convoke.yaml", &text)])
}

/// What the files say of a person in a group in May, in June and in August: in, out or free.
fn says(group: Option<&Group>, person: usize) -> [Option<bool>; 3] {
    let Some(group) = group.filter(|group| group.mode != Mode::Observe) else { return [None; 3] };
    let term = group.entries.get(&person).map(|(term, _)| *term);
    let is_in = match term {
        None => [false; 3],
        Some(Term::Always) => [true; 3],
        Some(Term::Ended) => [true, false, false],
        Some(Term::Ends) => [true, true, false],
        Some(Term::Begins) => [false, false, true],
    };
    let ended = match term {
        Some(Term::Ended) => [false, true, true],
        Some(Term::Ends) => [false, false, true],
        _ => [false; 3],
    };
    std::array::from_fn(|at| (is_in[at] || ended[at] || group.mode == Mode::Exact).then_some(is_in[at]))
}

fn account(present: &[BTreeSet<usize>]) -> Observed {
    let mut account = AccountBuilder::default();
    for (name, members) in GROUPS.iter().zip(present) {
        let members = members.iter().map(|person| member(*person, Some(&address(*person)), Status::Accepted));
        account = account.group_of(name, members.collect::<Vec<_>>());
    }
    let known = Some(Status::Accepted);
    let people = 0..PEOPLE.len();
    let account = people.fold(account, |account, person| account.person(person, &address(person), known));
    Observed { knows_everybody: true, ..account.observed }
}

fn changing(base: &Files, head: &Files, present: &[BTreeSet<usize>]) -> Plan {
    let policy = Policy { base: Some(Arc::new(written(base))), only_changed: true, accept_self: true, ..policy() };
    plan(&written(head), &account(present), &policy, NOW.parse::<Timestamp>().unwrap())
}

/// Makes the changes of a plan.
fn make(plan: &Plan, present: &mut [BTreeSet<usize>]) {
    for group in &plan.groups {
        let at = (0..GROUPS.len()).find(|at| group_id(*at) == group.id).unwrap();
        for change in group.carried_out() {
            let person = (0..PEOPLE.len()).find(|person| member_id(*person) == change.member.id).unwrap();
            let done = match change.action {
                Action::Add => present[at].insert(person),
                Action::Remove => present[at].remove(&person),
            };
            assert!(done, "{change:?}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    /// A plan of a change makes what the change asks for and nothing else, whatever others do, and its digest is that
    /// of the files. What waits for another group is made once the person is there.
    #[test]
    fn a_change_is_made_and_nothing_else(
        versions in prop::collection::vec(files(), 2..5),
        start in prop::collection::vec(prop::collection::btree_set(0..PEOPLE.len(), 0..4), GROUPS.len()),
        noise in prop::collection::vec((0..GROUPS.len(), 0..PEOPLE.len(), any::<bool>()), 4),
    ) {
        let mut present = start;
        for (step, (base, head)) in versions.iter().zip(versions.iter().skip(1)).enumerate() {
            let plan = changing(base, head, &present);
            prop_assert!(plan.refusals.is_empty() && plan.blocked.is_empty(), "{:?} {:?}", plan.refusals, plan.blocked);
            let before = present.clone();
            make(&plan, &mut present);
            for (at, group) in GROUPS.iter().enumerate() {
                for (person, name) in PEOPLE.iter().enumerate() {
                    let (old, new) = (says(base[at].as_ref(), person), says(head[at].as_ref(), person));
                    let expected = if old == new { None } else { new[1] };
                    let waits = plan.left_out.iter().any(|left| {
                        left.kind == LeftOutKind::Waits
                            && left.group.as_str() == *group
                            && left.change.member.id == member_id(person)
                    });
                    let (was, is) = (before[at].contains(&person), present[at].contains(&person));
                    prop_assert!(!waits || is, "{group} {name} waits");
                    if let Some(expected) = expected.filter(|_| !waits) {
                        prop_assert_eq!(is, expected, "{} {}", group, name);
                    } else {
                        prop_assert_eq!(is, was, "{} {} is not in the change", group, name);
                    }
                }
            }
            // Run again, it has nothing more to do.
            let again = changing(base, head, &present);
            prop_assert!(again.groups.iter().all(|group| group.changes.is_empty()));
            let becomes_exact = base.iter().zip(head).any(|(base, head)| {
                let mode = |group: &Option<Group>| group.as_ref().map_or(Mode::Observe, |group| group.mode);
                mode(head) == Mode::Exact && mode(base) != Mode::Exact
            });
            if let Some((at, person, joins)) = noise.get(step).copied() {
                if joins { present[at].insert(person) } else { present[at].remove(&person) };
            }
            if !becomes_exact {
                prop_assert_eq!(again.digest, plan.digest);
                prop_assert_eq!(changing(base, head, &present).digest, plan.digest);
            }
        }
    }
}
