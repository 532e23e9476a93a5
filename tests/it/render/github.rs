//! Annotations for GitHub.

use convoke::config::{Source, parse};
use convoke::plan::Plan;
use convoke::render::github::{failure, plan, report, stale};

use super::samples::{self, HELP, view};

fn annotations(of: &Plan) -> String {
    plan(of, view(), "TEXT\n").split("::stop-commands::").next().unwrap().to_owned()
}

#[test]
fn a_plan_without_changes_has_no_annotations() {
    assert_eq!(annotations(&samples::in_sync()), "");
}

#[test]
fn changes_are_annotated_on_their_lines() {
    insta::assert_snapshot!(annotations(&samples::small()), @"
    ::warning file=groups.yaml,line=11,col=9,title=Expiring soon%3A Developers::dave@example.com until 2026-12-03
    ::notice file=groups.yaml,line=5,col=28,title=To add%3A Developers::bob@example.com (no end)
    ::notice file=groups.yaml,line=8,col=5,title=To remove%3A Developers::b0000000000000000000000000000003, mallory@example.com
    ::notice file=groups.yaml,line=11,col=9,title=To add%3A Developers::dave@example.com (until 2026-12-03, INC-4821 cover, pending)
    ::notice file=groups.yaml,line=14,col=9,title=To remove%3A Developers::gone@example.com (expired (until 2026-11-01))
    ::notice file=groups.yaml,line=19,col=5,title=Not declared (observed)%3A Watched::dave@example.com (pending)
    ::notice file=groups.yaml,line=19,col=15,title=Missing (observed)%3A Watched::alice@example.com (no end)
    ");
}

#[test]
fn earlier_differences_have_no_annotation() {
    insta::assert_snapshot!(annotations(&samples::labeled()), @"
    ::warning file=groups.yaml,line=11,col=9,title=Expiring soon%3A Developers::dave@example.com until 2026-12-03
    ::notice file=groups.yaml,line=11,col=9,title=To add%3A Developers::dave@example.com (until 2026-12-03, INC-4821 cover, pending)
    ");
}

#[test]
fn loosened_settings_are_warnings() {
    insta::assert_snapshot!(annotations(&samples::loosened()), @"
    ::warning title=Loosened%3A Old::no longer declared: convoke no longer manages a group of this name
    ::warning file=groups.yaml,line=6,col=3,title=Loosened%3A Developers::mode changes from exact to additive
    ::warning title=Loosened%3A Developers::min_members was 2 and is no longer set
    ");
}

#[test]
fn refused_and_blocked_entries_are_errors() {
    let both = annotations(&samples::refused()) + &annotations(&samples::blocked());
    insta::assert_snapshot!(both, @r#"
    ::error title=Refused%3A Developers::root@example.com would be removed, but is protected at groups.yaml:3. Help: keep the person in the group's list, or remove the person from settings.protected first
    ::error file=groups.yaml,line=6,col=5,title=Refused%3A Developers::the group would be empty (members now: 1). Help: if you intend an empty group, set allow_empty: true
    ::notice file=groups.yaml,line=6,col=5,title=To remove%3A Developers::root@example.com
    ::error file=groups.yaml,line=5,col=3,title=Blocked%3A Developer::the account has no group with this name; did you mean "Developers"?
    ::error file=groups.yaml,line=4,col=15,title=Blocked%3A Developers::alcie@example.com: not a member of the account; did you mean alice@example.com? Help: correct the address: `convoke rename alcie@example.com alice@example.com`; else invite the person, or remove the address with `convoke revoke alcie@example.com --everywhere`
    ::warning title=Held%3A Developers::alice@example.com; held by groups.yaml:4: alcie@example.com: not a member of the account; did you mean alice@example.com?
    "#);
}

#[test]
fn hostile_text_is_never_a_command() {
    let shown = plan(&samples::hostile(), view(), "::error::x\n");
    insta::assert_snapshot!(shown, @r#"
    ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=3,col=15,title=Refused%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil is protected in \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}". Help: keep the person in the group's list, or remove the person from settings.protected first
    ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=6,col=5,title=Refused%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil is protected in \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}". Help: if you intend an empty group, set allow_empty: true
    ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=5,col=3,title=Blocked%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=4,col=15,title=Blocked%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::alcie@example.com: its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ::warning title=Loosened%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::no longer declared: convoke no longer manages a group of this name
    ::warning file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=6,col=3,title=Loosened%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::mode changes from \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}" to \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ::warning title=Loosened%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::min_members was \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}" and is no longer set
    ::warning title=Held%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"; held by groups.yaml:4
    ::warning file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=11,col=9,title=Expiring soon%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::dave@example.com until 2026-12-03
    ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=5,col=28,title=To add%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil (no end, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}")
    ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=8,col=5,title=To remove%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil (\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"), <b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil (\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}")
    ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=11,col=9,title=To add%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil (until 2026-12-03, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}", pending)
    ::notice file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=14,col=9,title=To remove%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil (expired (until 2026-11-01), \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}")
    ::stop-commands::7792eac3d59557e263a23b5a23993bb816d65424f290c277da9ed65d7a90bd15
    ::error::x
    ::7792eac3d59557e263a23b5a23993bb816d65424f290c277da9ed65d7a90bd15::
    "#);
}

#[test]
fn more_annotations_than_github_shows_are_counted() {
    let shown = annotations(&samples::many_groups(300));
    let lines: Vec<&str> = shown.lines().collect();
    assert_eq!(lines.len(), 10);
    assert_eq!(lines[9], "::notice title=convoke::291 more, see the log");
}

#[test]
fn failures_and_stale_groups_are_errors() {
    let both = report(&samples::partial_report(), "TEXT") + &stale(&samples::stale_groups(), HELP, "TEXT");
    insta::assert_snapshot!(both, @r#"
    ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=5,col=3,title=Blocked%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ::error file=\u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}",line=4,col=15,title=Blocked%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::alcie@example.com: its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ::error file=groups.yaml,line=7,col=9,title=Apply%3A Operators::bob@example.com was not added: bob does not have DSR enabled (400)
    ::error title=Apply%3A Admins::somebody else changed the group meanwhile
    ::error title=Apply%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%250A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ::warning file=groups.yaml,line=9,col=9,title=Apply%3A Leads::bob@example.com was not removed: not added elsewhere (expired, until 2026-10-31)
    ::warning title=Apply%3A Auditors::bob@example.com was not removed: interrupted before it was sent
    ::stop-commands::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386
    TEXT
    ::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386::
    ::error title=Stale%3A Developers::the group has changed since the plan was made: was added: new@example.com; was removed: old@example.com; planned: add bob@example.com, add dave@example.com, remove b0000000000000000000000000000003, remove gone@example.com, remove mallory@example.com, add alice@example.com, remove dave@example.com. Nothing was changed. Make a new plan and review it: `convoke plan`
    ::error title=Stale%3A Leads::the group has changed since the plan was made: the group is now named Heads. Nothing was changed. Make a new plan and review it: `convoke plan`
    ::error title=Stale%3A \u{1b}[31m</code></summary>|`**```\r\n%3A%3Aerror%3A%3Ax #\u{23}[error]%250A @admin [a](http%3A//e.vil) #1 \u{202e}<!-- {}"::the group has changed since the plan was made: the group no longer exists. Nothing was changed. Make a new plan and review it: `convoke plan`
    ::stop-commands::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386
    TEXT
    ::e4ba216b53e675d3ce45a8584de79ecc013718ef83ebd53f29d47d97af594386::
    "#);
}

#[test]
fn file_problems_are_annotated_on_their_line() {
    let source = Source { path: "a,b:c.yaml".into(), bytes: "version: 1\ngroup: {}\n".into() };
    let problems = parse(&[source]).unwrap_err();
    insta::assert_snapshot!(failure(&samples::failed(&problems)), @r#"::error file=a%2Cb%3Ac.yaml,line=2,col=1,title=Configuration::unknown key "group" in the file. Help: did you mean "groups"?"#);
}
