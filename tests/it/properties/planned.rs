//! Properties of plans for any files and any account.

use std::collections::BTreeSet;

use convoke::model::Mode;
use convoke::plan::Action;
use proptest::prelude::*;

use super::world::{GroupCase, Spelling, carry_out, cases, ids, steps, time};
use crate::account::{group_id, member_id};

proptest! {
    #[test]
    fn applied_plan_matches_the_files(case in cases(), rotation in 0..8_usize) {
        let plan = case.plan();
        let mut present = case.present();
        for (group, operation) in steps(&plan, rotation) {
            carry_out(operation, present.get_mut(&group.id).unwrap());
        }
        for (number, case) in case.groups.iter().enumerate() {
            let (desired, before) = (ids(&case.desired), ids(&case.present));
            let expected = match case.mode {
                Mode::Exact if !case.stranger => desired,
                // The group is additive, or removals are held: present members stay.
                Mode::Exact | Mode::Additive => &desired | &before,
                Mode::Observe => before,
            };
            prop_assert_eq!(&present[&group_id(number)], &expected);
        }
    }

    #[test]
    fn planning_again_gives_nothing_to_do(case in cases()) {
        let plan = case.plan();
        let mut present = case.present();
        for (group, operation) in steps(&plan, 0) {
            carry_out(operation, present.get_mut(&group.id).unwrap());
        }
        let again = case.with_present(&present).plan();
        prop_assert_eq!(again.summary.requests, 0);
        prop_assert_eq!(again.summary.adds + again.summary.removes, 0);
        let unresolved = case.groups.iter().any(|case| case.stranger || case.mode == Mode::Observe);
        prop_assert!(unresolved || !again.has_differences());
    }

    #[test]
    fn remaining_members_never_lose_access(case in cases(), rotation in 0..8_usize) {
        let plan = case.plan();
        let mut present = case.present();
        for (group, operation) in steps(&plan, rotation) {
            let members = present.get_mut(&group.id).unwrap();
            carry_out(operation, members);
            let stay = group.target().into_iter().filter(|id| group.observed.contains_key(id));
            prop_assert!(stay.into_iter().all(|id| members.contains(&id)), "{:?} of {}", operation, group.name.as_str());
        }
    }

    #[test]
    fn movers_are_always_in_one_group(case in cases(), rotation in 0..8_usize) {
        let plan = case.plan();
        let mut present = case.present();
        for (changed, operation) in steps(&plan, rotation) {
            carry_out(operation, present.get_mut(&changed.id).unwrap());
            for leaving in plan.groups.iter().flat_map(|group| group.removals().map(move |change| (group, change))) {
                let (left, person) = (leaving.0, leaving.1.member.id);
                let joined = plan.groups.iter().filter(|group| group.additions().any(|change| change.member.id == person));
                let arrived = joined.into_iter().all(|group| present[&group.id].contains(&person));
                prop_assert!(arrived || present[&left.id].contains(&person));
            }
        }
    }

    #[test]
    fn group_with_unresolved_entry_loses_nobody(case in cases()) {
        let plan = case.plan();
        for (number, case) in case.groups.iter().enumerate().filter(|(_, case)| case.stranger) {
            let planned = plan.groups.iter().find(|planned| planned.id == group_id(number)).unwrap();
            prop_assert_eq!(planned.removals().count(), 0);
            prop_assert!(ids(&case.present).is_subset(&planned.target()));
            prop_assert!(plan.blocked.iter().any(|blocked| blocked.group == planned.name));
        }
    }

    #[test]
    fn every_change_is_in_one_operation(case in cases()) {
        for planned in &case.plan().groups {
            let mut members: BTreeSet<_> = planned.observed.keys().copied().collect();
            planned.operations.iter().for_each(|operation| carry_out(operation, &mut members));
            prop_assert_eq!(members, planned.target());
            let added = planned.changes.iter().filter(|change| change.action == Action::Add);
            prop_assert!(added.into_iter().all(|change| !planned.observed.contains_key(&change.member.id)));
        }
    }

    #[test]
    fn requests_never_exceed_a_replacement(case in cases()) {
        for planned in &case.plan().groups {
            let most = if planned.mode == Mode::Additive { 1 } else { 3 };
            prop_assert!(planned.operations.len() <= most, "{:?}", planned.operations);
        }
    }

    #[test]
    fn unapplied_parts_do_not_change_the_digest(
        case in cases(), watched in cases(), rotation in 0..5_usize, further_files in 0..3_usize, shouting: bool,
        later in 0..100_000_i64,
    ) {
        let digest = case.plan().digest;
        let spelling = Spelling { rotation, further_files, shouting, prefix: "" };
        let later = time() + jiff::SignedDuration::from_secs(later);
        prop_assert_eq!(case.plan_as(&spelling, later).digest, digest);
        // Groups that differ but are only observed, and groups without differences.
        let mut with = case;
        for group in watched.groups {
            with.groups.push(GroupCase { mode: Mode::Observe, ..group.clone() });
            with.groups.push(GroupCase { desired: group.present.clone(), stranger: false, ..group });
        }
        prop_assert_eq!(with.plan().digest, digest);
    }

    #[test]
    fn any_other_change_has_another_digest(case in cases(), at in any::<prop::sample::Index>(), person in 0..9_u8) {
        let number = at.index(case.groups.len());
        prop_assume!(case.groups[number].mode == Mode::Exact && !case.groups[number].stranger);
        let mut other = case.clone();
        let present = &mut other.groups[number].present;
        if !present.remove(&person) {
            present.insert(person);
        }
        prop_assert_ne!(case.plan().digest, other.plan().digest, "{} in group {}", member_id(usize::from(person)), number);
    }

    #[test]
    fn the_same_inputs_give_the_same_plan(case in cases()) {
        prop_assert_eq!(case.plan(), case.plan());
    }
}
