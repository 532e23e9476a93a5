//! The cycle of an access request: the form, the plan of its pull request, the merge, the end of the access, pruning,
//! and the review at each point.

use super::action::{ADMINS, Setting, setting, succeeded};
use super::forms::{ACCESS, request, submit};
use super::github_examples::{apply, plan};

/// Checks out `main` into the folder of the account.
fn check_out(setting: &Setting) {
    for path in setting.origin.git(&["ls-tree", "-r", "--name-only", "main", "groups"]).lines() {
        let text = setting.origin.git(&["show", &format!("main:{path}")]);
        setting.world.write(path, text + "\n");
    }
}

/// The review's entry for Carol: her state, the end, the reason.
fn reviewed(setting: &Setting) -> Option<[String; 3]> {
    let text = setting.world.run("review -f groups --format csv").exits(0).stdout;
    let mut reader = csv::Reader::from_reader(text.as_bytes());
    let columns = reader.headers().unwrap().clone();
    let column = |name: &str| columns.iter().position(|column| column == name).unwrap();
    let rows: Vec<csv::StringRecord> = reader.records().map(Result::unwrap).collect();
    let mut carols = rows.iter().filter(|row| &row[column("person")] == "carol@example.com");
    let row = carols.find(|row| &row[column("group")] == "Admins")?;
    Some(["state", "until", "reason"].map(|name| row[column(name)].to_owned()))
}

fn state(name: &str) -> Option<[String; 3]> {
    Some([name, "2999-12-31", "INC-1 cover"].map(str::to_owned))
}

#[test]
fn access_is_requested_granted_ended_and_tidied() {
    let Some(setting) = setting() else { return };
    let world = &setting.world;
    let without = ["alice@example.com", "bob@example.com"];
    let with = ["alice@example.com", "bob@example.com", "carol@example.com"];
    check_out(&setting);
    assert_eq!(reviewed(&setting), None);

    // The request, and the review of its pull request.
    world.forget_requests();
    let (job, ..) = submit(&setting, ACCESS, request("carol@example.com", "Admins", "2999-12-31", "INC-1 cover"));
    succeeded(&job);
    assert_eq!(world.request_count(), 0, "the form does not speak to the account");
    let event = setting.pull_request_of("convoke/access-77-1");
    succeeded(&plan(&setting, &event));
    let comment = &setting.github.comments(7)[0];
    assert!(comment.contains("### This change: +1 −0 in 1 group"), "{comment}");
    assert!(comment.contains("+ carol@example.com"), "{comment}");
    assert_eq!(world.members("Admins"), without);

    // The merge grants the access.
    succeeded(&apply(&setting, &setting.merged(&event)));
    assert_eq!(world.members("Admins"), with);
    assert!(setting.github.comments(7)[1].contains("carol@example.com"));
    check_out(&setting);
    assert_eq!(reviewed(&setting), state("declared"));

    // The access ends with its day, not earlier.
    world.run("apply -f groups --due --yes --at 2999-12-31T23:59:59Z").exits(0);
    assert_eq!(world.members("Admins"), with);
    assert_eq!(reviewed(&setting), state("declared"));
    world.run("drift -f groups --at 3000-01-01").exits(2).says("1 expired");
    world.run("apply -f groups --due --yes --at 3000-01-01").exits(0);
    assert_eq!(world.members("Admins"), without);
    assert_eq!(reviewed(&setting), state("missing"));

    // Pruning removes the ended entry and changes nothing in the account.
    world.run("prune -f groups --at 3000-01-15").exits(0);
    assert_ne!(world.read("groups/admins.yaml"), ADMINS);
    world.run("prune -f groups --at 3000-03-01").exits(0);
    assert_eq!(world.read("groups/admins.yaml"), ADMINS);
    world.run("plan -f groups --detailed-exitcode").exits(0).says("No changes. 2 groups in sync.");
    assert_eq!(reviewed(&setting), None);
}
