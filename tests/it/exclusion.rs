//! Groups that exclude each other, by who is present; waits between a reading and a write; and undo of a move.

use convoke::sandbox::{Delay, Edit, Endpoint, FalseClaim, Fault, FaultRule, Late, Match, Seed, SeedEntry, SeedPerson};

use crate::builders::{EditExt as _, FaultRuleExt as _, MatchExt as _, SeedExt as _};
use crate::harness::{World, given};

const LIMITS: &str = "version: 1\nsettings: {limits: {group_removals: 100%, total_removals: 100%}}\ngroups:\n";

fn seed() -> Seed {
    Seed::default()
        .group("Initiators", ["a@example.com", "b@example.com", "mover@example.com"])
        .group("Approvers", ["x@example.com", "y@example.com"])
}

/// Files in which the mover is to be an approver instead of an initiator.
fn files(initiators: &str, approvers: &str) -> String {
    format!(
        "{LIMITS}  Initiators: {{{initiators} members: [a@example.com, b@example.com]}}\n  \
         Approvers: {{exclusive_with: [Initiators], members: [x@example.com, y@example.com, {approvers}]}}\n"
    )
}

fn moving(initiators: &str) -> World {
    given(seed()).file("convoke.yaml", files(initiators, "mover@example.com"))
}

fn approves(world: &World) -> bool {
    world.members("Approvers").contains(&"mover@example.com".to_owned())
}

#[test]
fn mover_leaves_first_and_joins_once_seen_gone() {
    let world = moving("");
    world.run("plan").exits(0).says("after leaving Initiators");
    world.run("apply --yes").exits(0).says("The account is in sync");
    assert_eq!(
        world.writes().iter().map(|write| write.split(' ').next().unwrap()).collect::<Vec<_>>(),
        ["DELETE", "POST"]
    );
    assert!(approves(&world) && world.members("Initiators") == ["a@example.com", "b@example.com"]);
}

#[test]
fn member_who_stays_in_an_exclusive_group_does_not_join() {
    for mode in ["mode: additive,", "mode: observe,"] {
        let world = moving(mode);
        world.run("plan").exits(3).says("in Initiators, and the groups exclude each other");
        world.run("apply --yes").exits(5);
        assert!(!approves(&world), "{mode}");
    }
    for narrowed in ["--only Approvers", "--due"] {
        let world = given(seed()).file("convoke.yaml", files("", "{email: mover@example.com, from: 2026-11-20}"));
        world.run(&format!("apply --yes {narrowed} --at 2026-11-28")).exits(5);
        assert!(!approves(&world), "{narrowed}");
    }
}

#[test]
fn held_removal_blocks_the_exclusive_addition() {
    let world = moving("");
    let file = world.read("convoke.yaml").replace("b@example.com]", "b@example.com, nobody@elsewhere.example]");
    world.write("convoke.yaml", file);
    world.run("apply --yes").exits(5);
    assert!(!approves(&world));
}

#[test]
fn swap_that_breaks_min_members_needs_two_changes() {
    let seed = Seed::default().group("Initiators", ["m@example.com"]).group("Approvers", ["x@example.com"]);
    let file = |least: &str| {
        format!(
            "{LIMITS}  Initiators: {{{least} members: [x@example.com]}}\n  \
             Approvers: {{{least} exclusive_with: [Initiators], members: [m@example.com]}}\n"
        )
    };
    let world = given(seed).file("convoke.yaml", file("min_members: 1,"));
    world.run("plan").exits(3).says("min_members").says("x@example.com and m@example.com in two changes");
    world.run("apply --yes").exits(5);
    assert_eq!((world.writes(), world.members("Initiators")), (vec![], vec!["m@example.com".into()]));
    world.write("convoke.yaml", file("allow_empty: true,"));
    world.run("apply --yes").exits(0);
    assert_eq!(world.members("Initiators"), ["x@example.com"]);
}

#[test]
fn refused_exchange_says_that_the_person_is_in_neither() {
    let refusal = FaultRule::always(Match::operation(Endpoint::AddMembers), respond("{status: 400}"));
    let world = given(seed().fault(refusal)).file("convoke.yaml", files("", "mover@example.com"));
    world.run("apply --yes").exits(5).says("the member is in neither \"Approvers\" nor \"Initiators\"");
    world.account().clear_faults();
    world.run("apply --yes").exits(0);
    assert!(approves(&world));
}

#[test]
fn refused_leave_says_where_the_person_is() {
    let refusal = FaultRule::always(Match::operation(Endpoint::RemoveMember), respond("{status: 400}"));
    let world = given(seed().fault(refusal)).file("convoke.yaml", files("", "mover@example.com"));
    let outcome = world.run("apply --yes --max-wait 1s").exits(5);
    let outcome = outcome.says("mover@example.com: not added, because the member is still in \"Initiators\"");
    assert!(!outcome.stdout.contains("neither"), "{outcome}");
}

#[test]
fn exchange_joins_only_after_a_reading_without_the_member() {
    let leave = |fault| FaultRule::once(Match::operation(Endpoint::RemoveMember), fault);
    let claimed = FaultRule::always(Match::operation(Endpoint::RemoveMember), Fault::Claim(FalseClaim::Done));
    let world = given(seed().fault(claimed)).file("convoke.yaml", files("", "mover@example.com"));
    let outcome = world.run("apply --yes --max-wait 1s").exits(5);
    let outcome =
        outcome.says("no reading shows that the member has left \"Initiators\"; the member may be in neither");
    assert!(!world.writes().iter().any(|write| write.starts_with("POST")) && !approves(&world), "{outcome}");
    let late = Late { after: Delay::millis(700), status: None, hang: false };
    let world = given(seed().fault(leave(Fault::Late(late)))).file("convoke.yaml", files("", "mover@example.com"));
    world.run("apply --yes").exits(0).says("The account is in sync");
    assert!(approves(&world));
}

#[test]
fn exclusion_is_asked_again_before_a_write() {
    let wait = FaultRule::once(Match::operation(Endpoint::AddMembers), respond("{status: 429, retry_after: 2}"));
    let intrude = Edit::add("Initiators", "z@example.com");
    let intrude = FaultRule::once(Match::operation(Endpoint::ListGroups).nth(2), Fault::EditBefore(intrude));
    let file = files("", "z@example.com").replace("b@example.com]", "b@example.com, mover@example.com]");
    let seed = seed().person("z@example.com").fault(wait).fault(intrude);
    let world = given(seed).file("convoke.yaml", file);
    let outcome = world.run("apply --yes").exits(5);
    outcome.says("not added, because the member is in \"Initiators\", which excludes this group");
    assert_eq!(world.members("Approvers"), ["x@example.com", "y@example.com"]);
}

fn respond(text: &str) -> Fault {
    Fault::Respond(serde_json::from_value(yaml(text)).unwrap())
}

/// A flow mapping of plain numbers.
fn yaml(text: &str) -> serde_json::Value {
    let pairs = text.trim_matches(['{', '}']).split(", ").map(|pair| pair.split_once(": ").unwrap());
    pairs.map(|(key, value)| (key.to_owned(), serde_json::Value::from(value.parse::<u64>().unwrap()))).collect()
}

#[test]
fn echo_is_not_a_reading() {
    let echo = FaultRule::always(Match::operation(Endpoint::AddMembers), Fault::Claim(FalseClaim::DoneList));
    let world = given(seed().person("z@example.com").fault(echo)).file(
        "convoke.yaml",
        files("", "z@example.com").replace("b@example.com]", "b@example.com, mover@example.com]"),
    );
    let outcome = world.run("apply --yes --max-wait 1s").exits(5).says("the member is not in the group");
    assert!(!outcome.stdout.contains("The account is in sync"), "{outcome}");
}

#[test]
fn names_swapped_during_a_wait_stop_the_write() {
    let swap = Fault::EditBefore(Edit::SwapNames { group: "Initiators".into(), with: "Approvers".into() });
    let wait = FaultRule::once(Match::operation(Endpoint::AddMembers), respond("{status: 429, retry_after: 2}"));
    let swap = FaultRule::once(Match::operation(Endpoint::ListGroups).nth(2), swap);
    let seed = seed().person("z@example.com").fault(wait).fault(swap);
    let file = files("", "z@example.com").replace("b@example.com]", "b@example.com, mover@example.com]");
    let world = given(seed).file("convoke.yaml", file);
    world.run("apply --yes").exits(4).says("Approvers");
    let everybody = [world.members("Initiators"), world.members("Approvers")].concat();
    assert!(!everybody.contains(&"z@example.com".to_owned()), "{everybody:?}");
}

/// An account in which somebody else edits groups while the addition to Ops waits.
fn edited_while_waiting(edit: Edit) -> Seed {
    let wait = FaultRule::once(Match::operation(Endpoint::AddMembers), respond("{status: 429, retry_after: 2}"));
    let edit = FaultRule::once(Match::operation(Endpoint::ListGroups).nth(2), Fault::EditBefore(edit));
    let seed =
        Seed::default().person("new@example.com").group("Ops", ["a@example.com"]).group("Dev", ["b@example.com"]);
    seed.fault(wait).fault(edit)
}

const TWO_GROUPS: &str = "
version: 1
settings: { unmanaged_groups: refuse }
groups:
  Ops: { members: [a@example.com, new@example.com] }
  Dev: { members: [b@example.com] }
";

#[test]
fn unmanaged_group_made_during_a_wait_stops_the_write() {
    let world = given(edited_while_waiting(Edit::CreateGroup("Hand".into()))).file("convoke.yaml", TWO_GROUPS);
    for format in ["text", "markdown", "github"] {
        let world = given(edited_while_waiting(Edit::CreateGroup("Hand".into()))).file("convoke.yaml", TWO_GROUPS);
        world.run(&format!("apply --yes --format {format}")).exits(4).says("\"Hand\"");
    }
    world.run("apply --yes").exits(4).says("unmanaged_groups: 1 group of the account is not declared in any file");
    assert_eq!(world.members("Ops"), ["a@example.com"]);
}

#[test]
fn group_that_goes_or_is_renamed_during_a_run_is_not_in_sync() {
    let renamed = Edit::RenameGroup { group: "Dev".into(), to: "Developers".into() };
    for (edit, words) in
        [(Edit::DeleteGroup("Dev".into()), "the group \"Dev\" is gone"), (renamed, "\"Dev\" is called \"Developers\"")]
    {
        let file = TWO_GROUPS.replace("refuse", "ignore");
        let world = given(edited_while_waiting(edit)).file("convoke.yaml", file);
        let outcome = world.run("apply --yes").exits(5).says(words);
        assert!(!outcome.stdout.contains("The account is in sync"), "{outcome}");
        assert_eq!(world.members("Ops"), ["a@example.com", "new@example.com"]);
    }
}

#[test]
fn write_whose_reading_is_outdated_three_times_is_not_made() {
    let wait = FaultRule::always(Match::operation(Endpoint::AddMembers), respond("{status: 429, retry_after: 1}"));
    let world = given(Seed::default().person("new@example.com").group("Ops", ["a@example.com"]).fault(wait))
        .groups(&[("Ops", &["a@example.com", "new@example.com"])]);
    world.run("apply --yes").exits(5).says("each reading was outdated before the request could be sent");
    let readings = world.account().request_counts();
    assert_eq!((readings[&Endpoint::AddMembers], world.members("Ops")), (3, vec!["a@example.com".to_owned()]));
}

/// Three groups that all exclude each other, and the members whom the files declare.
fn circle(least: u64, members: [&str; 3]) -> String {
    let names = ["Build", "Review", "Release"];
    let mut file = LIMITS.to_owned();
    for (at, members) in members.iter().enumerate() {
        let others = format!("{}, {}", names[(at + 1) % 3], names[(at + 2) % 3]);
        file +=
            &format!("  {}: {{min_members: {least}, exclusive_with: [{others}], members: [{members}]}}\n", names[at]);
    }
    file
}

#[test]
fn chain_of_exclusive_groups_keeps_every_guard() {
    let seed = || {
        Seed::default()
            .group("Build", ["a@example.com", "b@example.com"])
            .group("Review", ["c@example.com"])
            .group("Release", ["d@example.com"])
    };
    // One to the next, and the last back to the first: only one order keeps a member in each group.
    let moved = ["b@example.com, d@example.com", "a@example.com", "c@example.com"];
    let world = given(seed()).file("convoke.yaml", circle(1, moved));
    let account = world.account();
    let ids = ["Build", "Review", "Release"].map(|name| account.group_id(name).unwrap());
    let mut present = ids.map(|id| account.members_at(id, tokio::time::Instant::now()));
    world.run("apply --yes").exits(0).says("The account is in sync");
    let history = account.history();
    assert_eq!(history.len(), 6, "{history:?}");
    for change in history {
        let group = ids.iter().position(|id| *id == change.group).unwrap();
        if change.joined {
            assert!(!present.iter().any(|members| members.contains(&change.member)), "{change:?}");
            present[group].insert(change.member);
        } else {
            present[group].remove(&change.member);
        }
        assert!(present.iter().all(|members| !members.is_empty()), "{change:?}");
    }
    assert_eq!(world.members("Review"), ["a@example.com"]);

    // Without anybody to spare, no order exists.
    let world = given(seed()).file("convoke.yaml", circle(1, moved).replacen("min_members: 1", "min_members: 2", 1));
    world.run("plan").exits(3).says("min_members").says("in two changes");
    world.run("apply --yes").exits(5);
    assert!(world.writes().is_empty());
}

#[test]
fn undo_of_an_exchange_keeps_out_of_both() {
    let world = moving("");
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.forget_requests();
    world.write(
        "convoke.yaml",
        files("", "z@example.com").replace("b@example.com]", "b@example.com, mover@example.com]"),
    );
    world.run("undo journal.jsonl --out undo.json").exits(0).says("after leaving Approvers");
    world.run("apply undo.json --yes").exits(0);
    let writes: Vec<String> = world.writes();
    assert!(writes[0].starts_with("DELETE") && writes[1].starts_with("POST") && writes.len() == 2, "{writes:?}");
    assert!(!approves(&world) && world.members("Initiators").contains(&"mover@example.com".to_owned()));
}

#[test]
fn undo_restores_nobody_into_an_exclusive_group() {
    let world = moving("").file("convoke.yaml", files("", "y@example.com").replace("y@example.com, y", "y"));
    world.run("apply --yes --journal journal.jsonl").exits(0);
    assert!(!world.members("Initiators").contains(&"mover@example.com".to_owned()));
    assert!(world.account().add("Approvers", "mover@example.com"));
    world.forget_requests();
    world.run("undo journal.jsonl --out undo.json").exits(3).says("in Approvers, and the groups exclude each other");
    world.run("apply undo.json --yes").exits(5);
    assert!(world.writes().is_empty());
}

#[test]
fn undo_exchanges_nobody_whose_removal_it_holds() {
    let world = given(seed().group("Guests", ["mover@example.com"]));
    let approvers = "Approvers: {exclusive_with: [Initiators], members: [x@example.com, y@example.com";
    let initiators = "Initiators: {members: [a@example.com, b@example.com]}";
    let files = |rest: &str| format!("{LIMITS}  {initiators}\n  {approvers}, mover@example.com]}}\n{rest}");
    world.write("convoke.yaml", files("  Guests: {allow_empty: true, members: []}\n"));
    world.run("apply --yes --journal journal.jsonl").exits(0);
    world.write("convoke.yaml", files(""));
    // The mover cannot come back to a group that nobody declares, and so keeps the one that they joined.
    world.run("undo journal.jsonl --out undo.json").exits(3).says("in Approvers, and the groups exclude each other");
    world.forget_requests();
    world.run("apply undo.json --yes").exits(5);
    assert_eq!((world.writes().len(), approves(&world)), (0, true));
}

#[test]
fn a_change_joins_nobody_whom_an_exclusive_group_shows() {
    // The files before the change do not declare the mover, who is still an initiator.
    let world = moving("");
    world.write("base.yaml", files("", "y@example.com").replace("y@example.com, y", "y"));
    let run = "apply --yes --base base.yaml --only-changed";
    world.run(run).exits(5).says("in Initiators, and the groups exclude each other");
    assert!(world.writes().is_empty());
    // A saved plan asks again.
    assert!(world.account().remove("Initiators", "mover@example.com"));
    world.run("plan --base base.yaml --only-changed --out plan.json").exits(0);
    assert!(world.account().add("Initiators", "mover@example.com"));
    world.run("apply plan.json --yes").exits(4);
    assert!(world.writes().is_empty());
}

#[test]
fn a_change_seen_for_another_group_is_reported() {
    let wait = FaultRule::once(Match::operation(Endpoint::RemoveMember), respond("{status: 429, retry_after: 2}"));
    let leave = Fault::EditBefore(Edit::remove("Approvers", "y@example.com"));
    let leave = FaultRule::once(Match::operation(Endpoint::ListMembers).group("Approvers").nth(2), leave);
    let group = ["x@example.com", "y@example.com", "mover@example.com"];
    let seed = Seed::default().group("Initiators", ["a@example.com", "mover@example.com"]).group("Approvers", group);
    let file = format!(
        "{LIMITS}  Initiators: {{members: [a@example.com]}}\n  \
         Approvers: {{members: [x@example.com, y@example.com, mover@example.com]}}\n"
    );
    let world = given(seed.fault(wait).fault(leave)).file("convoke.yaml", file);
    let outcome = world.run("apply --yes").exits(5).says("y@example.com");
    assert!(!outcome.stdout.contains("The account is in sync"), "{outcome}");
    assert_eq!(world.members("Initiators"), ["a@example.com"]);
}

#[test]
fn undo_removes_nobody_whom_it_cannot_restore() {
    let plain = |initiators: &str, approvers: &str| {
        format!(
            "{LIMITS}  Initiators: {{members: [a@example.com, b@example.com{initiators}]}}\n  \
             Approvers: {{members: [x@example.com, y@example.com{approvers}]}}\n"
        )
    };
    let world = given(seed()).file("convoke.yaml", plain("", ", mover@example.com"));
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let undeclared = format!("{LIMITS}  Approvers: {{members: [x@example.com, y@example.com]}}\n");
    world.write("convoke.yaml", undeclared);
    world.run("undo journal.jsonl --out undo.json").exits(3);
    world.run("apply undo.json --yes").exits(5);
    assert!(approves(&world));

    world.write("convoke.yaml", plain(", mover@example.com", ""));
    let cut: String = world.read("journal.jsonl").lines().take(3).map(|line| format!("{line}\n")).collect();
    world.write("cut.jsonl", cut);
    for format in ["text", "json", "markdown", "github"] {
        let undo = format!("undo cut.jsonl --out {format}.json --format {format}");
        world.run(&undo).exits(0).says("the journal has no end after line 3");
    }
    world.run("undo journal.jsonl --out undo2.json").exits(0);
    world.run("apply undo2.json --yes").exits(0);
    assert!(!approves(&world) && world.members("Initiators").len() == 3);
}

#[test]
fn undo_does_not_restore_access_that_has_ended() {
    let file = |until: &str| format!("{LIMITS}  Initiators: {{members: [a@example.com, b@example.com{until}]}}\n");
    let ended = file(", {email: mover@example.com, until: 2026-06-01}");
    let world = given(seed()).file("convoke.yaml", ended);
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let undo = world.run("undo journal.jsonl --out undo.json");
    undo.exits(0).says("mover@example.com is not restored to \"Initiators\": the access ended at");
    assert_eq!(world.members("Initiators"), ["a@example.com", "b@example.com"]);
}

#[test]
fn undo_restores_nobody_without_an_entry_where_rules_ask_for_one() {
    let file = |rules: &str, members: &str| {
        format!(
            "{LIMITS}  Initiators: {{{rules} members: [{{email: a@example.com, until: 2026-06-10, reason: r}}{members}]}}\n"
        )
    };
    let world = given(Seed::default().group("Initiators", ["a@example.com", "b@example.com"]));
    world.write("convoke.yaml", file("", ""));
    let at = "--at 2026-06-01";
    world.run(&format!("apply --yes --journal journal.jsonl {at}")).exits(0);
    for rule in ["max_duration: 90d", "require_reason: true"] {
        world.write("convoke.yaml", file(&format!("{rule},"), ""));
        let undo = world.run("undo journal.jsonl --out undo.json").exits(3);
        undo.says("b@example.com: not restored, because the group has").says("revert the files first");
    }
    let end = (jiff::Zoned::now().date() + jiff::ToSpan::days(30)).to_string();
    let entry = format!(", {{email: b@example.com, until: {end}, reason: r}}");
    world.write("convoke.yaml", file("require_reason: true,", &entry));
    world.run("undo journal.jsonl --out undo.json").exits(0);
    world.run("apply undo.json --yes").exits(0);
    assert_eq!(world.members("Initiators").len(), 2);
}

#[test]
fn undo_names_what_only_leaves_out() {
    let plain = format!(
        "{LIMITS}  Initiators: {{members: [a@example.com, b@example.com]}}\n  \
         Approvers: {{members: [x@example.com, y@example.com, mover@example.com]}}\n"
    );
    let world = given(seed()).file("convoke.yaml", plain);
    world.run("apply --yes --journal journal.jsonl").exits(0);
    let undo = world.run("undo journal.jsonl --out undo.json --only Approvers").exits(3);
    let undo = undo.says("mover@example.com stays in \"Approvers\", because this plan does not restore them to");
    assert!(!format!("{undo}").contains("guard") && !undo.stdout.contains("blocked"), "{undo}");
}

#[test]
fn undo_says_who_left_the_account() {
    let world = given(Seed::default().group("Team", ["a@example.com", "b@example.com"]));
    world.write("convoke.yaml", format!("{LIMITS}  Team: {{members: [a@example.com]}}\n"));
    world.run("apply --yes --journal journal.jsonl").exits(0);
    assert!(world.account().edit(&Edit::RemovePerson("b@example.com".into())));
    let undo =
        world.run("undo journal.jsonl --out undo.json").exits(3).says("no longer a member of the account; invite");
    assert!(!undo.stdout.contains("correct the address"), "{undo}");
}

#[test]
fn a_declared_exclusion_counts_although_the_other_group_has_another_name_in_the_account() {
    let bob = SeedPerson {
        id: Some("0000000000000000000000000000b0b0".parse().unwrap()),
        ..SeedPerson::from("bob@example.com".to_owned())
    };
    let mut seed = Seed::default().group("Payers", ["ann@example.com"]).group("Approvers EU", ["bob@example.com"]);
    seed.people.push(SeedEntry { value: bob, place: None });
    let file = "version: 1\ngroups:\n  Payers:\n    members: [ann@example.com, {id: 0000000000000000000000000000b0b0}]\n    \
                exclusive_with: [Approvers]\n  Approvers:\n    members: [bob@example.com]\n";
    let world = given(seed).file("convoke.yaml", file);
    world.run("apply --yes").exits(5).says("also in Approvers (convoke.yaml:7)");
    assert_eq!(world.members("Payers"), ["ann@example.com"]);
}
