//! Pages as they are shown.

use super::page::MOST_BYTES;
use super::*;
use crate::render::samples;

#[test]
fn a_plan_without_changes_is_a_line() {
    insta::assert_snapshot!(plan(&samples::in_sync(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### No changes. 1 group in sync.

    Digest: `354bdce6dafee564d8c86af8d1667f3dd8861925da5a1ce2a3902e24aaf35704`
    "#);
}

#[test]
fn a_small_plan_says_who_gains_and_who_loses_before_the_diffs() {
    insta::assert_snapshot!(plan(&samples::small(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### Plan: 2 to add, 3 to remove in 1 of 2 groups

    2 differences in groups that are only observed

    **Who gains and who loses**

    - `Developers` gains `bob@example.com`, `dave@example.com` (pending); loses `b0000000000000000000000000000003`, `gone@example.com`, `mallory@example.com`
    - `Watched` gains `alice@example.com`; loses `dave@example.com` (pending) (observed only: nothing is written)

    **`Developers`**: 2 to add, 3 to remove

    ```diff
    @@ -1,5 +1,4 @@
     alice@example.com
    -b0000000000000000000000000000003  # groups.yaml:8
    +bob@example.com  # groups.yaml:5 via sre (groups.yaml:9)
     carol@example.com
    -gone@example.com  # groups.yaml:14, ended at the end of 2026-11-01
    -mallory@example.com  # groups.yaml:8
    +dave@example.com (pending)  # groups.yaml:11, INC-4821 cover
    ```

    **`Watched`**: 1 to add, 1 to remove (observed only: nothing is written)

    ```diff
    @@ -1 +1 @@
    -dave@example.com (pending)  # groups.yaml:19
    +alice@example.com  # groups.yaml:19
    ```

    **Ending soon**

    - `dave@example.com` in `Developers` until the end of 2026-12-03 (`groups.yaml:11`)

    **Groups of the account that no file declares**

    - `Others` (`a0000000000000000000000000000002`)

    Digest: `2fd555b5e38fbde800670c7124516b9b5c0e50f47c01e21405e6280395670b49`

    To apply exactly this plan:

    ```sh
    convoke apply --yes --expect 2fd555b5e38fbde800670c7124516b9b5c0e50f47c01e21405e6280395670b49
    ```
    "#);
}

#[test]
fn what_was_there_before_stands_apart_from_the_change_under_review() {
    insta::assert_snapshot!(plan(&samples::labelled(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### Plan: 2 to add, 3 to remove in 1 of 2 groups

    2 differences in groups that are only observed

    **Who gains and who loses by this change**

    - `Developers` gains `dave@example.com` (pending)

    **Already there before this change**

    - `Developers` gains `bob@example.com`; loses `b0000000000000000000000000000003`, `gone@example.com`, `mallory@example.com`
    - `Watched` gains `alice@example.com`; loses `dave@example.com` (pending) (observed only: nothing is written)

    **`Developers`**: 1 to add, 0 to remove

    ```diff
    @@ -2,2 +2,3 @@
     bob@example.com
     carol@example.com
    +dave@example.com (pending)  # groups.yaml:11, INC-4821 cover
    ```

    **`Developers`**: 1 to add, 3 to remove, already there before this change

    ```diff
    @@ -1,5 +1,3 @@
     alice@example.com
    -b0000000000000000000000000000003  # groups.yaml:8
    +bob@example.com  # groups.yaml:5 via sre (groups.yaml:9)
     carol@example.com
    -gone@example.com  # groups.yaml:14, ended at the end of 2026-11-01
    -mallory@example.com  # groups.yaml:8
    ```

    **`Watched`**: 1 to add, 1 to remove, already there before this change (observed only: nothing is written)

    ```diff
    @@ -1 +1 @@
    -dave@example.com (pending)  # groups.yaml:19
    +alice@example.com  # groups.yaml:19
    ```

    **Ending soon**

    - `dave@example.com` in `Developers` until the end of 2026-12-03 (`groups.yaml:11`)

    **Groups of the account that no file declares**

    - `Others` (`a0000000000000000000000000000002`)

    Digest: `2fd555b5e38fbde800670c7124516b9b5c0e50f47c01e21405e6280395670b49`

    To apply exactly this plan:

    ```sh
    convoke apply --yes --expect 2fd555b5e38fbde800670c7124516b9b5c0e50f47c01e21405e6280395670b49
    ```
    "#);
}

#[test]
fn limits_can_be_accepted_for_exactly_this_plan() {
    insta::assert_snapshot!(plan(&samples::refused_by_limits(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 2 to remove in 1 of 1 group

    **Refused: this plan is not applied as it is**

    **Who gains and who loses**

    - `Developers` loses `bob@example.com`, `carol@example.com`

    **Refused**

    - **group removals** in `Developers`: 2 of 3 members would be removed, at most 1 may be (the limit is 25%, the default). To proceed: if every one of these removals is meant, accept this very plan by its digest

    **`Developers`**: 0 to add, 2 to remove

    ```diff
    @@ -1,3 +1 @@
     alice@example.com
    -bob@example.com  # groups.yaml:4
    -carol@example.com  # groups.yaml:4
    ```

    Digest: `c28f6b7a95d17b38997ec7edc5bc2f63561b081fb283318140b3fef8fa6c8b91`

    If every one of these removals is meant, accept the limits for exactly this plan:

    ```sh
    convoke apply --yes --accept c28f6b7a95d17b38997ec7edc5bc2f63561b081fb283318140b3fef8fa6c8b91
    ```
    "#);
}

#[test]
fn a_refusal_that_no_digest_lifts_shows_no_command() {
    insta::assert_snapshot!(plan(&samples::refused(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 1 to remove in 1 of 1 group

    **Refused: this plan is not applied as it is**

    **Who gains and who loses**

    - `Developers` loses `root@example.com`

    **Refused**

    - **protected** in `Developers`: `root@example.com` would be removed, and is protected at `groups.yaml:3`. To proceed: keep them in the group's list, or take them off `settings.protected` first
    - **allow empty** in `Developers`: nobody would be left of 1 members (`groups.yaml:6`). To proceed: if the group is to be empty, say so: `allow_empty`: true

    **`Developers`**: 0 to add, 1 to remove

    ```diff
    @@ -1 +0,0 @@
    -root@example.com  # groups.yaml:6
    ```

    Digest: `87d493c2cbcbd8c1951be4e1cf821753a64a019813a104135ea43778d606cf8d`

    No digest lifts these refusals: what they name has to be resolved first.
    "#);
}

#[test]
fn blocked_entries_are_shown_with_their_lines() {
    insta::assert_snapshot!(plan(&samples::blocked(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 0 to remove in 0 of 1 group

    2 blocked · 1 removal held

    **Who gains and who loses**

    - `Developers` keeps, until what is blocked is resolved, `alice@example.com`

    **Blocked**: declared, and cannot be applied

    - `groups.yaml:5` in `Developer`: the account has no group of this name; did you mean "Developers"?
    - `groups.yaml:4` in `Developers`: `alcie@example.com`: no member of the account; did you mean `alice@example.com`?

    **`Developers`**: 0 to add, 0 to remove, 1 removal held

    Digest: `354bdce6dafee564d8c86af8d1667f3dd8861925da5a1ce2a3902e24aaf35704`
    "#);
}

#[test]
fn nothing_hostile_is_anything_but_text() {
    insta::assert_snapshot!(plan(&samples::hostile(), "convoke apply"), @r#"
    <!-- convoke:plan -->
    ### Plan: 2 to add, 3 to remove in 1 of 2 groups

    **Refused: this plan is not applied as it is** · 2 blocked · 1 removal held

    **Who gains and who loses**

    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` keeps, until what is blocked is resolved, ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil``
    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` gains ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil``, ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil`` (pending); loses ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil``, ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil``, ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil``

    **Refused**

    - **protected** in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil`` is protected in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` (````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":3````). To proceed: keep them in the group's list, or take them off `settings.protected` first
    - **allow empty** in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: ``<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil`` is protected in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` (````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":6````). To proceed: if the group is to be empty, say so: `allow_empty`: true

    **Blocked**: declared, and cannot be applied

    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":5```` in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: its members cannot be read: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````
    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":4```` in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: `alcie@example.com`: its members cannot be read: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````

    **````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````**: 0 to add, 0 to remove, 1 removal held

    **````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````**: 2 to add, 3 to remove

    ````diff
    @@ -1,5 +1,4 @@
    +<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil (pending)  # \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":11, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    +<b>|`admin`[x](//e.vil)\u{202e}::error::@e.vil  # \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":5 via sre (groups.yaml:9), \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
     alice@example.com
    -b0000000000000000000000000000003  # \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":8, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
     carol@example.com
    -gone@example.com  # \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":14, ended at the end of 2026-11-01, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    -mallory@example.com  # \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":8, \u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"
    ````

    **Ending soon**

    - `dave@example.com` in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` until the end of 2026-12-03 (````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":11````)

    **Groups of the account that no file declares**

    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` (`a0000000000000000000000000000002`)

    Digest: `354bdce6dafee564d8c86af8d1667f3dd8861925da5a1ce2a3902e24aaf35704`

    No digest lifts these refusals: what they name has to be resolved first.
    "#);
}

#[test]
fn what_came_of_a_plan_shows_what_went_wrong_first() {
    insta::assert_snapshot!(report(&samples::partial_report()), @r#"
    <!-- convoke:apply -->
    ### Applied: 1 added, 0 removed.

    1 of 5 groups in sync. · 2 groups failed · 1 group changed meanwhile · 1 group skipped · 1 blocked · Interrupted: what was in flight is finished, nothing further was begun. · Run apply again for the rest, once what stands in its way is resolved.

    **Not all done**

    - `Operators`: failed; 0 added, 0 removed
      - not added: `bob@example.com`: bob does not have DSR enabled (400)
    - `Leads`: skipped; 0 added, 0 removed
      - not removed: `bob@example.com`: not added elsewhere
    - `Admins`: changed by somebody else meanwhile, left as it is; 0 added, 0 removed
      - was added: `alice@example.com`
      - was removed: `bob@example.com`
    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: failed; 0 added, 0 removed: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````

    **Done**

    - `Developers`: done; 1 added, 0 removed

    Digest: `354bdce6dafee564d8c86af8d1667f3dd8861925da5a1ce2a3902e24aaf35704`
    "#);
}

#[test]
fn a_stale_plan_says_who_came_and_went() {
    insta::assert_snapshot!(stale(&samples::stale_groups()), @r#"
    <!-- convoke:apply -->
    ### Stale: the account has changed since the plan was made

    **What changed meanwhile**

    - `Developers`
      - was added: `new@example.com`
      - was removed: `old@example.com`
    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: the group is gone

    Nothing was changed. Make the plan anew and look at it again.
    "#);
}

#[test]
fn three_thousand_changes_in_a_group_are_cut_and_counted() {
    let page = plan(&samples::large_group(), "convoke apply");
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
    let page = plan(&samples::many_groups(), "convoke apply");
    assert!(page.len() <= MOST_BYTES, "{}", page.len());
    let shown = page.matches("```diff").count();
    let rest = format!("… {} more diffs with {} differences, not shown here.", 300 - shown, 2 * (300 - shown));
    assert!(shown == 300 || page.contains(&rest), "{shown}");
    assert!(page.contains("convoke apply --yes --expect"));
}
