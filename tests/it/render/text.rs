//! Snapshots of plans and reports on a terminal.

use convoke::render::text::{Layout, drift, plan, report, stale};

use super::samples::{self, HELP, view};

const NARROW: Layout = Layout { width: 80, color: false };
const WIDE: Layout = Layout { width: 200, color: false };

#[test]
fn plan_without_changes_is_one_line() {
    assert_eq!(plan(&samples::in_sync(), view(), NARROW), "No changes. 1 group in sync.\n");
}

#[test]
fn small_plan_fits_a_narrow_terminal() {
    insta::assert_snapshot!(plan(&samples::small(), view(), NARROW), @"
    Developers (5 -> 4 members)
      + bob@example.com                   no end                      groups.yaml:5
          via sre (groups.yaml:9)
      + dave@example.com                  until 2026-12-03            INC-4821 cover
          pending  groups.yaml:11
      - b0000000000000000000000000000003
      - gone@example.com                  expired (until 2026-11-01)  groups.yaml:14
      - mallory@example.com

    Watched (1 member, observed: convoke does not write here)
      + alice@example.com  no end  groups.yaml:19
      - dave@example.com           pending

    Unmanaged: groups of the account that no file declares
      Others: a0000000000000000000000000000002

    Expiring soon
      groups.yaml:11  Developers: dave@example.com until 2026-12-03

    Plan: 2 to add, 3 to remove in 1 of 2 groups
    2 differences in observed groups, where convoke does not write
    Digest: 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8

    To apply exactly this plan:
      convoke apply -f groups --expect 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8
    ");
}

#[test]
fn this_change_has_its_own_section() {
    insta::assert_snapshot!(plan(&samples::labeled(), view(), WIDE), @"
    This change:

    Developers (5 -> 4 members)
      + dave@example.com  until 2026-12-03  INC-4821 cover  pending  groups.yaml:11

    Already there before this change:

    Developers (5 -> 4 members)
      + bob@example.com                   no end                      groups.yaml:5 via sre (groups.yaml:9)
      - b0000000000000000000000000000003
      - gone@example.com                  expired (until 2026-11-01)  groups.yaml:14
      - mallory@example.com

    Watched (1 member, observed: convoke does not write here)
      + alice@example.com  no end  groups.yaml:19
      - dave@example.com           pending

    Unmanaged: groups of the account that no file declares
      Others: a0000000000000000000000000000002

    Expiring soon
      groups.yaml:11  Developers: dave@example.com until 2026-12-03

    Plan: 2 to add, 3 to remove in 1 of 2 groups
    This change: 1 to add, 0 to remove in 1 group
    2 differences in observed groups, where convoke does not write
    Digest: 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8

    To apply exactly this plan:
      convoke apply -f groups --expect 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8
    ");
}

#[test]
fn loosened_settings_are_before_the_groups() {
    insta::assert_snapshot!(plan(&samples::loosened(), view(), NARROW), @"
    This change loosens protections
      groups.yaml:8  Old:
          no longer declared: convoke no longer manages a group of this name
      groups.yaml:6  Developers: mode changes from exact to additive
      groups.yaml:6  Developers: min_members was 2 and is no longer set

    Other settings that this change modifies
      groups.yaml:4  settings: protected now lists alice@example.com

    No changes. 1 group in sync.
    ");
}

#[test]
fn colors_change_nothing_else() {
    let colored = plan(&samples::small(), view(), Layout { color: true, ..NARROW });
    assert!(colored.contains("\u{1b}[32m+ bob@example.com\u{1b}[0m"), "{colored}");
    let mut plain = colored;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, plan(&samples::small(), view(), NARROW));
}

#[test]
fn refused_and_blocked_plans_show_remedies() {
    let all = [samples::refused_by_limits(), samples::refused(), samples::blocked()];
    let shown: Vec<String> = all.iter().map(|sample| plan(sample, view(), NARROW)).collect();
    insta::assert_snapshot!(shown.join("=====\n"), @r#"
    Developers (3 -> 1 member)
      - bob@example.com
      - carol@example.com

    Refused: this plan cannot be applied
      group_removals  Developers:
          2 of 3 members would be removed, but the limit allows at most 1 (25%, the default)
        help: if you intend all of these removals, pass the digest of this plan with --accept

    Plan: 0 to add, 2 to remove in 1 of 1 group
    Digest: aa97c70090115a6539a2038eb774a0032c737e80c153595cc593a93031560243

    To lift the limits for exactly this plan:
      convoke apply -f groups --accept aa97c70090115a6539a2038eb774a0032c737e80c153595cc593a93031560243
    =====
    Developers (1 -> 0 members)
      - root@example.com

    Refused: this plan cannot be applied
      protected  Developers:
          root@example.com would be removed, but is protected at groups.yaml:3
        help: keep the person in the group's list, or remove the person from settings.protected first
      groups.yaml:6  allow_empty  Developers:
          the group would be empty (members now: 1)
        help: if you intend an empty group, set allow_empty: true

    Plan: 0 to add, 1 to remove in 1 of 1 group
    Digest: 23bba39f92616e6bc80c0a0c60d898efa06bd4a5a94dacf8e3f5434ffee62960

    Resolve first, because --accept does not lift it: allow_empty, protected.
    =====
    Developers (1 member)
      1 removal held until the blocked entries are resolved:
      ~ alice@example.com  held by groups.yaml:4

    Blocked: declared, but cannot be applied
      groups.yaml:5  Developer:
          the account has no group with this name; did you mean "Developers"?
      groups.yaml:4  Developers:
          alcie@example.com: not a member of the account; did you mean alice@example.com?
        help: correct the address: `convoke rename alcie@example.com alice@example.com`; else invite the person, or remove the address with `convoke revoke alcie@example.com --everywhere`

    Plan: 0 to add, 0 to remove in 0 of 1 group
    2 blocked
    1 removal held
    "#);
}

#[test]
fn what_accept_lifts_is_told_from_the_rest() {
    let shown = plan(&samples::refused_twice(), view(), NARROW);
    let said = "Resolve first, because --accept does not lift it: protected. It lifts only: group_removals.";
    assert!(shown.contains(said), "{shown}");
}

#[test]
fn people_to_invite_are_one_list() {
    let list = "To invite: not members of the account\n  yan@elsewhere.test\n  zoe@elsewhere.test\n";
    for shown in [plan(&samples::strangers(), view(), NARROW), drift(&samples::strangers(), view(), NARROW)] {
        assert!(shown.contains(list), "{shown}");
    }
}

#[test]
fn hostile_names_cannot_send_terminal_escapes() {
    for shown in [
        plan(&samples::hostile(), view(), NARROW),
        report(&samples::partial_report(), NARROW),
        stale(&samples::stale_groups(), HELP, NARROW),
        drift(&samples::hostile(), view(), NARROW),
    ] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(!shown.contains(['\u{202e}', '\u{200b}']) && !shown.contains("##["), "{shown}");
        assert!(shown.lines().all(|line| !line.trim_start().starts_with("::")), "{shown}");
    }
}

#[test]
fn large_plan_is_shown_whole() {
    let shown = plan(&samples::large_group(), view(), NARROW);
    assert_eq!(shown.lines().filter(|line| line.starts_with("  - person")).count(), 3000);
}

#[test]
fn partial_report_shows_undone_changes() {
    insta::assert_snapshot!(report(&samples::partial_report(), NARROW).trim_start(), @r#"
    done Developers: 1 added, 0 removed
    failed Operators: 0 added, 0 removed
      not added: bob@example.com: bob does not have DSR enabled (400) (groups.yaml:7)
    kept Leads: 0 added, 0 removed
      not removed: bob@example.com: not added elsewhere (expired, until 2026-10-31, groups.yaml:9)
    skipped Auditors: 0 added, 0 removed
      skipped: not removed: bob@example.com: interrupted before it was sent
    changed meanwhile Admins: 0 added, 0 removed
      somebody else changed the group meanwhile; 0 changes not made:
        was added: alice@example.com
        was removed: bob@example.com
    failed \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}": 0 added, 0 removed
      \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"

    Blocked: declared, but cannot be applied
      \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":5  \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":
          its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
      \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":4  \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":
          alcie@example.com: its members cannot be read: \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"

    Applied in part: 1 added, 0 removed.
    1 of 6 groups in sync.
    2 groups failed
    1 group changed meanwhile
    1 group with removals that were not made
    1 group skipped
    2 blocked
    Interrupted. Requests in flight were finished; no further requests were sent.
    Run `convoke apply` again, and resolve the problems above if they remain.
    "#);
}

#[test]
fn drift_text_speaks_of_drift() {
    let shown = [samples::small(), samples::blocked(), samples::in_sync()].map(|plan| drift(&plan, view(), NARROW));
    insta::assert_snapshot!(shown.join("=====\n"), @r#"
    Developers (5 members)
      missing    bob@example.com                   no end            groups.yaml:5
          via sre (groups.yaml:9)
      missing    dave@example.com                  until 2026-12-03  INC-4821 cover
          pending  groups.yaml:11
      unexpected b0000000000000000000000000000003
      expired    gone@example.com                  until 2026-11-01  groups.yaml:14
      unexpected mallory@example.com

    Watched (1 member, observed: convoke does not write here)
      missing    alice@example.com  no end  groups.yaml:19
      unexpected dave@example.com           pending

    Unmanaged: groups of the account that no file declares
      Others: a0000000000000000000000000000002

    Expiring soon
      groups.yaml:11  Developers: dave@example.com until 2026-12-03

    Drift: 3 missing, 3 unexpected, 1 expired in 2 of 2 groups
    2 differences in observed groups, where convoke does not write

    To make the account match the files:
      convoke apply -f groups --expect 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8

    To keep an unexpected member, declare the person:
      convoke grant b0000000000000000000000000000003 Developers -f groups
      convoke grant mallory@example.com Developers -f groups
      convoke grant dave@example.com Watched -f groups
    =====
    Developers (1 member)
      unexpected alice@example.com  held by groups.yaml:4

    Blocked: declared, but cannot be applied
      groups.yaml:5  Developer:
          the account has no group with this name; did you mean "Developers"?
      groups.yaml:4  Developers:
          alcie@example.com: not a member of the account; did you mean alice@example.com?
        help: correct the address: `convoke rename alcie@example.com alice@example.com`; else invite the person, or remove the address with `convoke revoke alcie@example.com --everywhere`

    Drift: 0 missing, 1 unexpected, 0 expired in 1 of 1 group
    2 blocked
    1 removal held

    To keep an unexpected member, declare the person:
      convoke grant alice@example.com Developers -f groups
    =====
    No drift. 1 group in sync.
    The account is in sync.
    "#);
}

#[test]
fn stale_plan_shows_differences_and_no_command() {
    let shown = plan(&samples::stale(), view(), NARROW);
    insta::assert_snapshot!(shown.split("Digest:").nth(1).unwrap(), @"
     4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8

    Stale: this is not the plan that was reviewed: its digest is 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8, but --expect is ae448ac86c4e8e4dec645729708ef41873ae79c6dff84eff73360989487f08e5. The changes shown are those that would be made now
    Nothing was changed. Make a new plan and review it: `convoke plan -f groups`
    ");
}
