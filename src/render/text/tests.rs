//! Plans and reports as a terminal shows them.

use super::*;
use crate::render::samples;

const NARROW: Layout = Layout { width: 80, color: false };
const WIDE: Layout = Layout { width: 200, color: false };

#[test]
fn a_plan_without_changes_is_a_line() {
    assert_eq!(plan(&samples::in_sync(), "convoke apply", NARROW), "No changes. 1 group in sync.\n");
}

#[test]
fn a_small_plan_fits_a_narrow_terminal() {
    insta::assert_snapshot!(plan(&samples::small(), "convoke apply", NARROW), @r"
    Developers (5 members)
      + bob@example.com                   groups.yaml:5 via sre (groups.yaml:9)
      + dave@example.com (pending)        groups.yaml:11, INC-4821 cover
      - b0000000000000000000000000000003  groups.yaml:8
      - gone@example.com
          groups.yaml:14, ended at the end of 2026-11-01
      - mallory@example.com               groups.yaml:8

    Watched (1 member, observed only: nothing is written)
      + alice@example.com           groups.yaml:19
      - dave@example.com (pending)  groups.yaml:19

    Groups of the account that no file declares
      Others  a0000000000000000000000000000002

    Ending soon
      dave@example.com in Developers until the end of 2026-12-03  groups.yaml:11

    Plan: 2 to add, 3 to remove in 1 of 2 groups
    2 differences in groups that are only observed
    Digest: 2fd555b5e38fbde800670c7124516b9b5c0e50f47c01e21405e6280395670b49
    ");
}

#[test]
fn labels_and_places_share_a_line_on_a_wide_terminal() {
    insta::assert_snapshot!(plan(&samples::labelled(), "convoke apply", WIDE), @r"
    Developers (5 members)
      + bob@example.com                   groups.yaml:5 via sre (groups.yaml:9) [already there]
      + dave@example.com (pending)        groups.yaml:11, INC-4821 cover [this change]
      - b0000000000000000000000000000003  groups.yaml:8 [already there]
      - gone@example.com                  groups.yaml:14, ended at the end of 2026-11-01 [already there]
      - mallory@example.com               groups.yaml:8 [already there]

    Watched (1 member, observed only: nothing is written)
      + alice@example.com           groups.yaml:19 [already there]
      - dave@example.com (pending)  groups.yaml:19 [already there]

    Groups of the account that no file declares
      Others  a0000000000000000000000000000002

    Ending soon
      dave@example.com in Developers until the end of 2026-12-03  groups.yaml:11

    Plan: 2 to add, 3 to remove in 1 of 2 groups
    2 differences in groups that are only observed
    Digest: 2fd555b5e38fbde800670c7124516b9b5c0e50f47c01e21405e6280395670b49
    ");
}

#[test]
fn colours_are_the_only_difference_that_colour_makes() {
    let colored = plan(&samples::small(), "convoke apply", Layout { color: true, ..NARROW });
    assert!(colored.contains("\u{1b}[32m+ bob@example.com\u{1b}[0m"), "{colored}");
    let mut plain = colored;
    for code in ["\u{1b}[0m", "\u{1b}[1m", "\u{1b}[2m", "\u{1b}[31m", "\u{1b}[32m", "\u{1b}[33m"] {
        plain = plain.replace(code, "");
    }
    assert_eq!(plain, plan(&samples::small(), "convoke apply", NARROW));
}

#[test]
fn refused_and_blocked_plans_say_where_and_what_to_do() {
    let all = [samples::refused_by_limits(), samples::refused(), samples::blocked()];
    let shown: Vec<String> = all.iter().map(|sample| plan(sample, "convoke apply", NARROW)).collect();
    insta::assert_snapshot!(shown.join("=====\n"), @r#"
    Developers (3 members)
      - bob@example.com    groups.yaml:4
      - carol@example.com  groups.yaml:4

    Plan: 0 to add, 2 to remove in 1 of 1 group
    Digest: c28f6b7a95d17b38997ec7edc5bc2f63561b081fb283318140b3fef8fa6c8b91

    Refused
      group_removals  Developers:
        2 of 3 members would be removed, at most 1 may be (the limit is 25%, the default)
        to proceed: if every one of these removals is meant, accept this very plan by its digest

    To accept the limits for exactly this plan:
      convoke apply --accept c28f6b7a95d17b38997ec7edc5bc2f63561b081fb283318140b3fef8fa6c8b91
    =====
    Developers (1 member)
      - root@example.com  groups.yaml:6

    Plan: 0 to add, 1 to remove in 1 of 1 group
    Digest: 87d493c2cbcbd8c1951be4e1cf821753a64a019813a104135ea43778d606cf8d

    Refused
      protected  Developers:
        root@example.com would be removed, and is protected at groups.yaml:3
        to proceed: keep them in the group's list, or take them off settings.protected first
      allow_empty  Developers: nobody would be left of 1 members
        at groups.yaml:6
        to proceed: if the group is to be empty, say so: allow_empty: true
    =====
    Developers (1 member)
      1 removal held until what is blocked is resolved:
      ~ alice@example.com  groups.yaml:4

    Blocked: declared, and cannot be applied
      groups.yaml:5  Developer:
          the account has no group of this name; did you mean "Developers"?
      groups.yaml:4  Developers:
          alcie@example.com: no member of the account; did you mean alice@example.com?

    Plan: 0 to add, 0 to remove in 0 of 1 group
    2 blocked
    1 removal held
    "#);
}

#[test]
fn nothing_hostile_steers_the_terminal() {
    for shown in [
        plan(&samples::hostile(), "convoke apply", NARROW),
        report(&samples::partial_report(), NARROW),
        stale(&samples::stale_groups(), NARROW),
    ] {
        assert!(shown.chars().all(|c| c == '\n' || !c.is_control()), "{shown:?}");
        assert!(!shown.contains(['\u{202e}', '\u{200b}']) && !shown.contains("##["), "{shown}");
        assert!(shown.lines().all(|line| !line.trim_start().starts_with("::")), "{shown}");
    }
}

#[test]
fn a_large_plan_is_shown_whole() {
    let shown = plan(&samples::large_group(), "convoke apply", NARROW);
    assert_eq!(shown.lines().filter(|line| line.starts_with("  - person")).count(), 3000);
}

#[test]
fn what_was_done_in_part_says_what_was_not_and_why() {
    insta::assert_snapshot!(report(&samples::partial_report(), NARROW), @r#"
    done Developers: 1 added, 0 removed
    failed Operators: 0 added, 0 removed
      not added: bob@example.com: bob does not have DSR enabled (400)
    skipped Leads: 0 added, 0 removed
      skipped: not removed: bob@example.com: not added elsewhere
    stale Admins: 0 added, 0 removed
      somebody changed the group after the plan was made; 0 changes left undone:
        was added: alice@example.com
        was removed: bob@example.com
    failed \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}": 0 added, 0 removed
      \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"

    Applied: 1 added, 0 removed.
    1 of 5 groups in sync.
    2 groups failed
    1 group changed meanwhile
    1 group skipped
    1 blocked
    Interrupted: what was in flight is finished, nothing further was begun.
    Run apply again for the rest, once what stands in its way is resolved.
    "#);
}
