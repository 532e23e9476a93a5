//! Snapshots of pages.

use convoke::config;
use convoke::render::markdown::{drift, failure, plan, report, stale};
use convoke::render::view::{Repository, View};

use super::samples::{self, HELP, view};

mod hostile;

fn repository() -> Repository {
    Repository {
        blob: "https://github.com/o/r/blob/0123456789abcdef0123456789abcdef01234567".into(),
        folder: "".into(),
    }
}

#[test]
fn page_without_changes_is_a_heading() {
    insta::assert_snapshot!(plan(&samples::in_sync(), view()), @"
    <!-- convoke:plan -->
    ### No changes. 1 group in sync.

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    ");
}

#[test]
fn removals_are_before_folded_diffs() {
    insta::assert_snapshot!(plan(&samples::small(), view()), @"
    <!-- convoke:plan -->
    ### Plan: 2 to add, 3 to remove in 1 of 2 groups

    2 differences in observed groups, where convoke does not write

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +2 −3 | 5 → 4 |

    `Developers` +2 −3

    ```diff
    + bob@example.com  no end  groups.yaml:5 via sre (groups.yaml:9)
    + dave@example.com  until 2026-12-03  INC-4821 cover  pending  groups.yaml:11
    - b0000000000000000000000000000003
    - gone@example.com  expired (until 2026-11-01)  groups.yaml:14
    - mallory@example.com
    ```

    <details><summary>2 differences in 1 observed group, where convoke does not write</summary>

    `Watched` +1 −1

    ```diff
    + alice@example.com  no end  groups.yaml:19
    - dave@example.com  pending
    ```

    </details>

    **Expiring soon**

    - `groups.yaml:11` in `Developers`: `dave@example.com` until 2026-12-03

    <details><summary>1 unmanaged group</summary>

    **Unmanaged.** Groups of the account that no file declares.

    - `Others`: `a0000000000000000000000000000002`

    </details>

    Digest: `4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8`

    To apply exactly this plan:

    ```sh
    convoke apply -f groups --expect 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8
    ```
    ");
}

#[test]
fn this_change_is_separate() {
    insta::assert_snapshot!(plan(&samples::labeled(), view()), @"
    <!-- convoke:plan -->
    ### This change: +1 −0 in 1 group

    Plan: 2 to add, 3 to remove in 1 of 2 groups · 2 differences in observed groups, where convoke does not write

    | Group | This change | Already there | Members |
    | --- | --- | --- | --- |
    | `Developers` | +1 −0 | +1 −3 | 5 → 4 |

    `Developers` +1 −0

    ```diff
    + dave@example.com  until 2026-12-03  INC-4821 cover  pending  groups.yaml:11
    ```

    <details><summary>Already there before this change: +1 −3 in 1 group</summary>

    `Developers` +1 −3

    ```diff
    + bob@example.com  no end  groups.yaml:5 via sre (groups.yaml:9)
    - b0000000000000000000000000000003
    - gone@example.com  expired (until 2026-11-01)  groups.yaml:14
    - mallory@example.com
    ```

    </details>

    <details><summary>2 differences in 1 observed group, where convoke does not write, already there before this change</summary>

    `Watched` +1 −1

    ```diff
    + alice@example.com  no end  groups.yaml:19
    - dave@example.com  pending
    ```

    </details>

    **Expiring soon**

    - `groups.yaml:11` in `Developers`: `dave@example.com` until 2026-12-03

    <details><summary>1 unmanaged group</summary>

    **Unmanaged.** Groups of the account that no file declares.

    - `Others`: `a0000000000000000000000000000002`

    </details>

    Digest: `4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8`

    To apply exactly this plan:

    ```sh
    convoke apply -f groups --expect 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8
    ```
    ");
}

#[test]
fn loosened_settings_are_a_warning() {
    insta::assert_snapshot!(plan(&samples::loosened(), view()), @"
    <!-- convoke:plan -->
    ### No changes. 1 group in sync.

    > [!WARNING]
    > **Loosened.** This change loosens protections.
    >
    > - `groups.yaml:8` in `Old`: no longer declared: convoke no longer manages a group of this name
    > - `groups.yaml:6` in `Developers`: mode changes from exact to additive
    > - `groups.yaml:6` in `Developers`: `min_members` was 2 and is no longer set

    **Other settings that this change modifies**

    - `groups.yaml:4`: settings: protected now lists `alice@example.com`

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    ");
}

#[test]
fn limits_can_be_accepted() {
    insta::assert_snapshot!(plan(&samples::refused_by_limits(), view()), @"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 2 to remove in 1 of 1 group

    > [!CAUTION]
    > **Refused.** This plan cannot be applied.
    >
    > - **group removals** in `Developers`: 2 of 3 members would be removed, but the limit allows at most 1 (25%, the default). Help: if you intend all of these removals, pass the digest of this plan with `--accept`

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +0 −2 | 3 → 1 |

    `Developers` +0 −2

    ```diff
    - bob@example.com
    - carol@example.com
    ```

    Digest: `aa97c70090115a6539a2038eb774a0032c737e80c153595cc593a93031560243`

    If you intend all of these removals, lift the limits for exactly this plan:

    ```sh
    convoke apply -f groups --accept aa97c70090115a6539a2038eb774a0032c737e80c153595cc593a93031560243
    ```
    ");
}

#[test]
fn other_refusals_show_no_command() {
    insta::assert_snapshot!(plan(&samples::refused(), view()), @"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 1 to remove in 1 of 1 group

    > [!CAUTION]
    > **Refused.** This plan cannot be applied.
    >
    > - **protected** in `Developers`: `root@example.com` would be removed, but is protected at `groups.yaml:3`. Help: keep the person in the group's list, or remove the person from `settings.protected` first
    > - **allow empty** `groups.yaml:6` in `Developers`: the group would be empty (members now: 1). Help: if you intend an empty group, set `allow_empty`: true

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +0 −1 | 1 → 0 |

    `Developers` +0 −1

    ```diff
    - root@example.com
    ```

    Digest: `23bba39f92616e6bc80c0a0c60d898efa06bd4a5a94dacf8e3f5434ffee62960`

    Resolve first, because `--accept` does not lift it: `allow_empty`, protected.
    ");
}

#[test]
fn blocked_entries_are_a_warning() {
    insta::assert_snapshot!(plan(&samples::blocked(), view()), @r#"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 0 to remove in 0 of 1 group

    2 blocked · 1 removal held

    > [!WARNING]
    > **Blocked.** Declared, but cannot be applied.
    >
    > - `groups.yaml:5` in `Developer`: the account has no group with this name; did you mean "Developers"?
    > - `groups.yaml:4` in `Developers`: `alcie@example.com`: not a member of the account; did you mean `alice@example.com`? Help: correct the address: `convoke rename alcie@example.com alice@example.com`; else invite the person, or remove the address with `convoke revoke alcie@example.com --everywhere`
    >
    > **Held.** Removals that wait until the blocked entries are resolved.
    >
    > - `Developers`: `alice@example.com`; held by `groups.yaml:4: alcie@example.com`: not a member of the account; did you mean `alice@example.com`?

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +0 −0, 1 held | 1 → 1 |

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    "#);
}

#[test]
fn stale_plan_is_not_applied() {
    let page = plan(&samples::stale(), View { applying: true, ..view() });
    let head: Vec<&str> = page.lines().take(6).collect();
    insta::assert_snapshot!(head.join("\n"), @"
    <!-- convoke:apply -->
    ### Not applied. Plan: 2 to add, 3 to remove in 1 of 2 groups

    2 differences in observed groups, where convoke does not write

    > [!CAUTION]
    ");
    assert!(!page.contains("To apply"), "{page}");
}

#[test]
fn places_are_links_in_a_repository() {
    let repository = repository();
    let page = plan(&samples::small(), View { repository: Some(&repository), ..view() });
    assert!(page.contains(
        "[`Developers`](https://github.com/o/r/blob/0123456789abcdef0123456789abcdef01234567/groups.yaml#L7)"
    ));
    assert!(hostile::rendered(&page).contains("<a href=\"https://github.com/o/r/blob/0123456789abcdef0123456789abcdef01234567/groups.yaml#L11\"><code>groups.yaml:11</code></a>"));
}

#[test]
fn drift_page_speaks_of_drift() {
    insta::assert_snapshot!(drift(&samples::small(), view()), @"
    <!-- convoke:drift -->
    ### Drift: 3 missing, 3 unexpected, 1 expired in 2 of 2 groups

    2 differences in observed groups, where convoke does not write

    | Group | Missing | Unexpected | Expired | Members |
    | --- | --- | --- | --- | --- |
    | `Developers` | 2 | 2 | 1 | 5 |
    | `Watched` (observed) | 1 | 1 | 0 | 1 |

    **Unexpected**

    - unexpected `b0000000000000000000000000000003` in `Developers`
    - unexpected `mallory@example.com` in `Developers`
    - unexpected `dave@example.com` in `Watched`, pending

    **Expired**

    - expired `gone@example.com` in `Developers`, until 2026-11-01 (`groups.yaml:14`)

    **Missing**

    - missing `bob@example.com` in `Developers`, no end (`groups.yaml:5`)
    - missing `dave@example.com` in `Developers`, until 2026-12-03, `INC-4821` cover, pending (`groups.yaml:11`)
    - missing `alice@example.com` in `Watched`, no end (`groups.yaml:19`)

    **Expiring soon**

    - `groups.yaml:11` in `Developers`: `dave@example.com` until 2026-12-03

    <details><summary>1 unmanaged group</summary>

    **Unmanaged.** Groups of the account that no file declares.

    - `Others`: `a0000000000000000000000000000002`

    </details>

    To keep an unexpected member, declare the person:

    ```sh
    convoke grant b0000000000000000000000000000003 Developers -f groups
    convoke grant mallory@example.com Developers -f groups
    convoke grant dave@example.com Watched -f groups
    ```

    To make the account match the files:

    ```sh
    convoke apply -f groups --expect 4db497938cdc6b4a3ac51240255552eb7928b679cdbaa9d86498cf5d671935d8
    ```
    ");
}

#[test]
fn failure_is_a_page() {
    let source = config::Source { path: "a.yaml".into(), bytes: "version: 1\ngroup: {}\n".into() };
    let problems = config::parse(&[source]).unwrap_err();
    insta::assert_snapshot!(failure(&samples::failed(&problems), "plan", None), @r#"
    <!-- convoke:plan -->
    ### `convoke plan` failed: 1 problem in the files

    > [!CAUTION]
    > **Failed** (exit code 65). Nothing was read from the account, and nothing was changed.

    **Problems**

    - `a.yaml:2`: unknown key "group" in the file. Help: did you mean "groups"?
      `group: {}`
    "#);
    for command in ["show", "undo"] {
        assert!(failure(&samples::failed(&problems), command, None).starts_with("<!-- convoke:plan -->\n"));
    }
}

#[test]
fn apply_page_shows_done_and_undone_changes() {
    insta::assert_snapshot!(report(&samples::partial_report(), None), @r#"
    <!-- convoke:apply -->
    ### Applied in part: 1 added, 0 removed.

    > [!CAUTION]
    > **Not everything was applied.** 1 of 6 groups in sync. · 2 groups failed · 1 group changed meanwhile · 1 group with removals that were not made · 1 group skipped · 2 blocked · Interrupted. Requests in flight were finished; no further requests were sent. · Run `convoke apply` again, and resolve the problems above if they remain.

    > [!WARNING]
    > **Blocked.** Declared, but cannot be applied.
    >
    > - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":5```` in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: its members cannot be read: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````
    > - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}":4```` in ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: `alcie@example.com`: its members cannot be read: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````

    | Group | Result | Change | Members |
    | --- | --- | --- | --- |
    | `Developers` | done | +1 −0 | 1 → 2 |
    | `Operators` | failed | +0 −0 | 1 → 2 |
    | `Leads` | kept | +0 −0 | 1 → 2 |
    | `Auditors` | skipped | +0 −0 | 1 → 2 |
    | `Admins` | changed meanwhile | +0 −0 | 1 → 2 |
    | ````\u{1b}[31m</code></summary>\|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` | failed | +0 −0 | 1 → 2 |

    **3 changes not made**

    - `bob@example.com` not added to `Operators`: bob does not have DSR enabled (400) `groups.yaml:7`
    - `bob@example.com` not removed from `Leads`: not added elsewhere (expired, until 2026-10-31) `groups.yaml:9`
    - `bob@example.com` not removed from `Auditors`: interrupted before it was sent

    **Changed by somebody else meanwhile**

    - `Admins`: `alice@example.com` was added
    - `Admins`: `bob@example.com` was removed

    **Errors**

    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````

    <details><summary>1 addition made</summary>

    - `alice@example.com` to `Developers`, no end (`groups.yaml:5`)

    </details>

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    "#);
}

#[test]
fn stale_groups_show_joined_and_left_members() {
    insta::assert_snapshot!(stale(&samples::stale_groups(), HELP), @r#"
    <!-- convoke:apply -->
    ### Not applied: the account has changed since the plan was made

    > [!CAUTION]
    > **Stale.** Nothing was changed. Make a new plan and review it: `convoke plan`

    **What was planned, and what is there now**

    - `Developers`: was added: `new@example.com`
    - `Developers`: was removed: `old@example.com`
    - `Developers`: planned: add `bob@example.com`, add `dave@example.com`, remove `b0000000000000000000000000000003`, remove `gone@example.com`, remove `mallory@example.com`, add `alice@example.com`, remove `dave@example.com`
    - `Leads`: the group is now named Heads
    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: the group no longer exists
    "#);
}

#[test]
fn place_outside_the_repository_has_no_link() {
    let repository = repository();
    let mut sample = samples::small();
    sample.groups.iter_mut().for_each(|group| group.origin.file = "/etc/groups.yaml".into());
    let page = plan(&sample, View { repository: Some(&repository), ..view() });
    assert!(page.contains("| `Developers` |") && !page.contains("/etc/groups.yaml#L"), "{page}");
}
