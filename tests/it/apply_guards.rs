//! Guards hold while a plan is applied: a newer reading of a group can only keep members in it.

use convoke::sandbox::{Cut, Edit, Endpoint, Fault, FaultRule, Match, Seed};
use serde_json::Value;

use crate::builders::{EditExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given, people};

/// Loses the answer to the first DELETE from group A, so that the group is read again. These edits are made before
/// the DELETE takes effect.
fn lost_delete(edits: impl IntoIterator<Item = Edit>, cut: Cut) -> FaultRule {
    let edits = edits.into_iter().map(Fault::EditBefore);
    let on = Match::operation(Endpoint::RemoveMember).group("A");
    FaultRule::once(on, Fault::All(edits.chain([Fault::Cut(cut)]).collect()))
}

/// A file with these settings and groups; each group has its settings and members.
fn file(settings: &str, groups: &[(&str, &str, &[String])]) -> String {
    let mut text = format!("version: 1\nsettings: {{ {settings} }}\ngroups:\n");
    for (name, settings, members) in groups {
        text += &format!("  {name}: {{ {settings} members: [{}] }}\n", members.join(", "));
    }
    text
}

/// Eight members, and a plan that removes two of them: a quarter. Another actor removes three others together with the
/// first of the two.
fn quarter_that_shrinks() -> World {
    let all = people("A", 8);
    let others = all[..3].iter().map(|email| Edit::remove("A", email));
    let seed = Seed::default().group("A", all.clone()).fault(lost_delete(others, Cut::After));
    given(seed).file("convoke.yaml", file("limits: { group_removals: 25% }", &[("A", "", &all[..6])]))
}

fn kept(report: &Value) -> Vec<&str> {
    let groups = report["groups"].as_array().unwrap().iter();
    groups.flat_map(|group| group["kept"].as_array().unwrap()).map(|kept| kept["reason"].as_str().unwrap()).collect()
}

fn deletes(world: &World) -> usize {
    world.writes().iter().filter(|write| write.starts_with("DELETE")).count()
}

#[test]
fn group_removals_use_the_latest_reading() {
    let world = quarter_that_shrinks();
    let report = world.run("apply --yes --format json").exits(5).json();
    assert_eq!(
        kept(&report),
        ["kept, because 2 of 5 members would be removed, but group_removals (25%) allows at most 1"]
    );
    assert_eq!((deletes(&world), world.members("A").len()), (1, 4));
}

#[test]
fn accepted_removals_ignore_the_latest_reading() {
    let world = quarter_that_shrinks();
    let digest = world.run("plan --format json").exits(0).json()["digest"].as_str().unwrap().to_owned();
    world.run(&format!("apply --yes --accept {digest}"));
    assert_eq!((deletes(&world), world.members("A").len()), (2, 3));
}

#[test]
fn own_changes_do_not_shift_limits() {
    // The limit allows two of eight. A reading between the two removals shows the run's own removal and addition.
    let (all, new) = (people("A", 8), people("N", 1));
    let seed = Seed::default().group("A", all.clone()).person(new[0].as_str()).fault(lost_delete([], Cut::After));
    let list = [&all[..6], &new].concat();
    let world = given(seed).file("convoke.yaml", file("limits: { group_removals: 25% }", &[("A", "", &list)]));
    world.run("apply --yes").exits(0);
    assert_eq!((deletes(&world), world.members("A").len()), (2, 7));
}

#[test]
fn lost_removal_is_not_repeated_below_minimum() {
    let all = people("A", 3);
    let leaves = Fault::EditBefore(Edit::remove("A", &all[0]));
    let seed = Seed::default()
        .group("A", all.clone())
        .fault(lost_delete([], Cut::Before))
        .fault(FaultRule::once(Match::operation(Endpoint::ListMembers).nth(2), leaves));
    let settings = "limits: { group_removals: 100% }";
    let world = given(seed).file("convoke.yaml", file(settings, &[("A", "min_members: 2,", &all[..2])]));
    let report = world.run("apply --yes --format json").exits(5).json();
    assert_eq!((deletes(&world), world.members("A").len()), (1, 2));
    let reason = report["groups"][0]["failed"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("min_members is 2, and it was not sent again"), "{reason}");
}

#[test]
fn member_with_new_protected_address_is_kept() {
    let all = people("A", 4);
    let promoted = Edit::change_email(&all[3], "boss@example.net");
    let seed = Seed::default().group("A", all.clone()).fault(lost_delete([promoted], Cut::After));
    let settings = "limits: { group_removals: 100% }, protected: [boss@example.net]";
    let world = given(seed).file("convoke.yaml", file(settings, &[("A", "", &all[..2])]));
    let report = world.run("apply --yes --format json").exits(5).json();
    assert_eq!(kept(&report), ["kept, because boss@example.net is protected at convoke.yaml:2"]);
    assert_eq!(deletes(&world), 1);
}
