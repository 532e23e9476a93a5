//! Pages as they are shown.

use super::page::MOST_BYTES;
use super::*;
use crate::render::samples;

#[test]
fn a_plan_without_changes_is_a_line() {
    insta::assert_snapshot!(plan(&samples::in_sync()), @"");
}

#[test]
fn a_small_plan_says_who_gains_and_who_loses_before_the_diffs() {
    insta::assert_snapshot!(plan(&samples::small()), @"");
}

#[test]
fn what_was_there_before_stands_apart_from_the_change_under_review() {
    insta::assert_snapshot!(plan(&samples::labelled()), @"");
}

#[test]
fn limits_can_be_accepted_for_exactly_this_plan() {
    insta::assert_snapshot!(plan(&samples::refused_by_limits()), @"");
}

#[test]
fn a_refusal_that_no_digest_lifts_shows_no_command() {
    insta::assert_snapshot!(plan(&samples::refused()), @"");
}

#[test]
fn blocked_entries_are_shown_with_their_lines() {
    insta::assert_snapshot!(plan(&samples::blocked()), @"");
}

#[test]
fn nothing_hostile_is_anything_but_text() {
    insta::assert_snapshot!(plan(&samples::hostile()), @"");
}

#[test]
fn what_came_of_a_plan_shows_what_went_wrong_first() {
    insta::assert_snapshot!(report(&samples::partial_report()), @"");
}

#[test]
fn a_stale_plan_says_who_came_and_went() {
    insta::assert_snapshot!(stale(&samples::stale_groups()), @"");
}

#[test]
fn three_thousand_changes_in_a_group_are_cut_and_counted() {
    let page = plan(&samples::large_group());
    assert!(page.len() <= MOST_BYTES && page.len() > MOST_BYTES - 2000, "{}", page.len());
    assert!(page.starts_with(PLAN_MARKER));
    let shown = page.lines().filter(|line| line.starts_with("-person")).count();
    assert!(page.contains(&format!("… {} more changes in this group, not shown here.", 3000 - shown)), "{shown}");
    assert!(page.contains("convoke apply --yes --expect"));
    assert_eq!(page.matches("```").count() % 2, 0);
    assert_eq!(page.matches("<details>").count(), page.matches("</details>").count());
}

#[test]
fn three_hundred_groups_are_cut_and_counted() {
    let page = plan(&samples::many_groups());
    assert!(page.len() <= MOST_BYTES, "{}", page.len());
    let shown = page.matches("```diff").count();
    let rest = format!("… {} more diffs with {} differences, not shown here.", 300 - shown, 2 * (300 - shown));
    assert!(shown == 300 || page.contains(&rest), "{shown}");
    assert!(page.contains("convoke apply --yes --expect"));
}
