//! `rename` and `sort` through the program.

use super::*;

const TEXT: &str = "\
version: 1
settings:
  protected:
    - ann@example.com           # the owner
rosters:
  sre: [ann@example.com, zoe@example.com]
groups:
  Ops:
    owners: [ann@example.com, sre]
    members:
      # on call
      - email: ann@example.com
        until: 2026-12-31
      - bob@example.com
";

#[test]
fn rename_writes_the_new_address_everywhere() {
    let world = world(TEXT);
    let result = run(&world, "rename ANN@example.com kim@example.com --format json").exits(0).json();
    assert_eq!((&result["status"], &result["written"]), (&"changes".into(), &true.into()));
    let places: Vec<String> = result["changes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|change| {
            let list =
                ["group", "roster", "owners", "setting"].into_iter().find(|list| change[*list].is_string()).unwrap();
            format!(
                "{} {list} {} {}",
                change["person"].as_str().unwrap(),
                change[list].as_str().unwrap(),
                change["line"]
            )
        })
        .collect();
    assert_eq!(
        places,
        [
            "kim@example.com setting protected 4",
            "kim@example.com roster sre 6",
            "kim@example.com owners Ops 9",
            "kim@example.com group Ops 13",
        ]
    );
    let expected = TEXT.replace(
        "      # on call\n      - email: ann@example.com\n        until: 2026-12-31\n      - bob@example.com\n",
        "      - bob@example.com\n      # on call\n      - email: ann@example.com\n        until: 2026-12-31\n",
    );
    assert_eq!(text_of(&world, "convoke.yaml"), expected.replace("ann@", "kim@"));
    run(&world, "rename kim@example.com ann@example.com")
        .exits(0)
        .says("change ann@example.com in setting \"protected\"");
    assert_eq!(text_of(&world, "convoke.yaml"), TEXT);
    run(&world, "rename ann@example.com ann@example.com").exits(0).warns("Nothing to change.");
}

#[test]
fn rename_of_nobody_or_of_a_group_is_a_usage_error() {
    let said = refused(TEXT, "rename anne@example.com kim@example.com", 64);
    assert!(
        said.contains("anne@example.com is not in any list") && said.contains("did you mean ann@example.com?"),
        "{said}"
    );
    let said = refused(TEXT, "rename Ops Operations", 64);
    assert!(said.contains("`rename` renames people, not groups or rosters"), "{said}");
    refused(TEXT, "rename ann@example.com", 64);
}

#[test]
fn rename_to_somebody_in_the_list_joins_the_entries() {
    let after = after(TEXT, "rename ann@example.com bob@example.com");
    assert!(after.contains("    members:\n      # on call\n      - bob@example.com\n"), "{after}");
    assert!(
        after.contains("owners: [bob@example.com, sre]") && after.contains("- bob@example.com           # the"),
        "{after}"
    );
    let text = TEXT.replace("      - bob@example.com\n", "      - email: bob@example.com\n        from: 2027-02-01\n");
    let said = refused(&text, "rename ann@example.com bob@example.com", 65);
    assert!(said.contains("would leave a gap") && said.contains("to span both times, run: convoke grant"), "{said}");
}

#[test]
fn sort_moves_comments_with_their_entries() {
    let text = ops(
        "\n      # zoe leads\n      - zoe@x.y   # since May\n\n      - roster: r\n      - Bob@x.y\n      # a\n      - ann@x.y\n",
    ) + "rosters:\n  r: [c@x.y, b@x.y]\n";
    let said = refused(&text, "sort --check", 65);
    assert!(
        said.contains("convoke.yaml:10:9: Bob@x.y is out of order in group \"Ops\": it belongs before zoe@x.y"),
        "{said}"
    );
    assert!(said.contains("convoke.yaml:12:9: ann@x.y") && said.contains("help: run: convoke sort\n"), "{said}");
    assert!(said.contains("3 problems"), "{said}");
    let sorted = ops(
        "\n      # a\n      - ann@x.y\n\n      - roster: r\n      - Bob@x.y\n      # zoe leads\n      - zoe@x.y   # since May\n",
    ) + "rosters:\n  r: [b@x.y, c@x.y]\n";
    let world = world(&text);
    run(&world, "sort").exits(0).says("change ann@x.y in group \"Ops\" (convoke.yaml:7)");
    assert_eq!(text_of(&world, "convoke.yaml"), sorted);
    run(&world, "sort --check").exits(0).warns("Nothing to change.");
    run(&world, "sort --format json").exits(0).says("\"status\": \"unchanged\"");
}

#[test]
fn rename_may_not_leave_the_allowed_domains() {
    let text =
        "version: 1\ngroups:\n  Ops:\n    email_domains: [corp.example]\n    members:\n      - old@other.example\n";
    let refusal = refused(text, "rename old@other.example new@other.example", 65);
    assert!(refusal.contains("new@other.example"), "{refusal}");
    let world = world(text);
    run(&world, "rename old@other.example old@corp.example").exits(0);
}
