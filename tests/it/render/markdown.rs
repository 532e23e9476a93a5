//! Snapshots of pages.

use convoke::config;
use convoke::render::markdown::{drift, failure, plan, report, stale};
use convoke::render::view::{Repository, Stale, View};

use super::samples::{self, view};

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

    **3 removals**

    - `b0000000000000000000000000000003` leaves `Developers`: `groups.yaml:8`
    - `gone@example.com` leaves `Developers`: `groups.yaml:14`, expired (until 2026-11-01)
    - `mallory@example.com` leaves `Developers`: `groups.yaml:8`

    <details><summary><code>Developers</code> +2 −3</summary>

    ```diff
    + bob@example.com
    + dave@example.com
    - b0000000000000000000000000000003
    - gone@example.com
    - mallory@example.com
    ```

    Declared at `groups.yaml:5`, `groups.yaml:8`, `groups.yaml:11`, `groups.yaml:14` · 1 pending invitation

    </details>

    <details><summary>2 differences in 1 observed group, where convoke does not write</summary>

    <p><code>Watched</code> +1 −1</p>

    ```diff
    + alice@example.com
    - dave@example.com
    ```

    Declared at `groups.yaml:19` · 1 pending invitation

    </details>

    **Expiring soon**

    - `dave@example.com` in `Developers` until 2026-12-03 (`groups.yaml:11`)

    <details><summary>1 unmanaged group</summary>

    Groups of the account that no file declares:

    - `Others` (`a0000000000000000000000000000002`)

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

    <details><summary><code>Developers</code> +1 −0</summary>

    ```diff
    + dave@example.com
    ```

    Declared at `groups.yaml:11` · 1 pending invitation

    </details>

    <details><summary>Already there before this change: +1 −3 in 1 group</summary>

    **3 removals**

    - `b0000000000000000000000000000003` leaves `Developers`: `groups.yaml:8`
    - `gone@example.com` leaves `Developers`: `groups.yaml:14`, expired (until 2026-11-01)
    - `mallory@example.com` leaves `Developers`: `groups.yaml:8`

    <p><code>Developers</code> +1 −3</p>

    ```diff
    + bob@example.com
    - b0000000000000000000000000000003
    - gone@example.com
    - mallory@example.com
    ```

    Declared at `groups.yaml:5`, `groups.yaml:8`, `groups.yaml:14`

    </details>

    <details><summary>2 differences in 1 observed group, where convoke does not write, already there before this change</summary>

    <p><code>Watched</code> +1 −1</p>

    ```diff
    + alice@example.com
    - dave@example.com
    ```

    Declared at `groups.yaml:19` · 1 pending invitation

    </details>

    **Expiring soon**

    - `dave@example.com` in `Developers` until 2026-12-03 (`groups.yaml:11`)

    <details><summary>1 unmanaged group</summary>

    Groups of the account that no file declares:

    - `Others` (`a0000000000000000000000000000002`)

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
    > - `Old` is no longer declared: convoke no longer manages a group of this name (`groups.yaml:8`)
    > - `Developers`: `mode` changes from `exact` to `additive` (`groups.yaml:6`)
    > - `Developers`: `min_members` was `2` and is no longer set (`groups.yaml:6`)

    **Other settings that this change modifies**

    - settings: `protected` now lists `alice@example.com` (`groups.yaml:4`)

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    ");
}

#[test]
fn limits_can_be_accepted() {
    insta::assert_snapshot!(plan(&samples::refused_by_limits(), view()), @"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 2 to remove in 1 of 1 group

    > [!CAUTION]
    > **Refused.** This plan cannot be applied as it is.
    >
    > - **group removals** in `Developers`: 2 of 3 members would be removed, but the limit allows at most 1 (25%, the default). Help: if you intend all of these removals, pass the digest of this plan with `--accept`

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +0 −2 | 3 → 1 |

    **2 removals**

    - `bob@example.com` leaves `Developers`: `groups.yaml:4`
    - `carol@example.com` leaves `Developers`: `groups.yaml:4`

    <details><summary><code>Developers</code> +0 −2</summary>

    ```diff
    - bob@example.com
    - carol@example.com
    ```

    Declared at `groups.yaml:4`

    </details>

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
    > **Refused.** This plan cannot be applied as it is.
    >
    > - **protected** in `Developers`: `root@example.com` would be removed, but is protected at `groups.yaml:3`. Help: keep the person in the group's list, or remove the person from `settings.protected` first
    > - **allow empty** in `Developers`: the group would be empty (members now: 1) (`groups.yaml:6`). Help: if you intend an empty group, set `allow_empty`: true

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +0 −1 | 1 → 0 |

    **1 removal**

    - `root@example.com` leaves `Developers`: `groups.yaml:6`

    <details><summary><code>Developers</code> +0 −1</summary>

    ```diff
    - root@example.com
    ```

    Declared at `groups.yaml:6`

    </details>

    Digest: `23bba39f92616e6bc80c0a0c60d898efa06bd4a5a94dacf8e3f5434ffee62960`

    Resolve these refusals first; `--accept` does not lift them.
    ");
}

#[test]
fn blocked_entries_are_a_warning() {
    insta::assert_snapshot!(plan(&samples::blocked(), view()), @r#"
    <!-- convoke:plan -->
    ### Plan: 0 to add, 0 to remove in 0 of 1 group

    2 blocked · 1 removal held

    > [!WARNING]
    > **Blocked.** These entries are declared, but cannot be applied.
    >
    > - `groups.yaml:5` in `Developer`: the account has no group with this name; did you mean "Developers"?
    > - `groups.yaml:4` in `Developers`: `alcie@example.com`: not a member of the account; did you mean `alice@example.com`?
    >
    > **Held.** These members stay until the entries are resolved.
    >
    > - `alice@example.com` in `Developers`: `groups.yaml:4`, held by `groups.yaml:4`

    | Group | Change | Members |
    | --- | --- | --- |
    | `Developers` | +0 −0, 1 held | 1 → 1 |

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    "#);
}

#[test]
fn stale_plan_is_not_applied() {
    let stale = Stale::Digest { flag: "--expect", given: convoke::plan::Digest::of(b"another") };
    let page = plan(&samples::small(), View { stale: Some(&stale), applying: true, ..view() });
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
        "[`groups.yaml:14`](https://github.com/o/r/blob/0123456789abcdef0123456789abcdef01234567/groups.yaml#L14)"
    ));
    assert!(hostile::rendered(&page).contains("<a href=\"https://github.com/o/r/blob/0123456789abcdef0123456789abcdef01234567/groups.yaml#L14\"><code>groups.yaml:14</code></a>"));
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

    - `b0000000000000000000000000000003` in `Developers`: `groups.yaml:8`
    - `mallory@example.com` in `Developers`: `groups.yaml:8`
    - `dave@example.com` in `Watched`: `groups.yaml:19`

    **Expired**

    - `gone@example.com` in `Developers`: `groups.yaml:14`, expired (until 2026-11-01)

    **Missing**

    - `bob@example.com` in `Developers`: `groups.yaml:5`
    - `dave@example.com` in `Developers`: `groups.yaml:11`, `INC-4821` cover
    - `alice@example.com` in `Watched`: `groups.yaml:19`

    **Expiring soon**

    - `dave@example.com` in `Developers` until 2026-12-03 (`groups.yaml:11`)

    <details><summary>1 unmanaged group</summary>

    Groups of the account that no file declares:

    - `Others` (`a0000000000000000000000000000002`)

    </details>

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
    insta::assert_snapshot!(report(&samples::partial_report()), @r#"
    <!-- convoke:apply -->
    ### Applied in part: 1 added, 0 removed.

    > [!CAUTION]
    > **Not everything was applied.** 1 of 6 groups in sync. · 2 groups failed · 1 group changed meanwhile · 1 group with removals that were not made · 1 group skipped · 1 blocked · Interrupted. Requests in flight were finished; no further requests were sent. · Resolve the problems above, then run `convoke apply` again.

    | Group | Result | Change | Members |
    | --- | --- | --- | --- |
    | `Developers` | done | +1 −0 | 1 → 2 |
    | `Operators` | failed | +0 −0 | 1 → 2 |
    | `Leads` | removals not made | +0 −0 | 1 → 2 |
    | `Auditors` | not finished | +0 −0 | 1 → 2 |
    | `Admins` | changed by somebody else | +0 −0 | 1 → 2 |
    | ````\u{1b}[31m</code></summary>\|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"```` | failed | +0 −0 | 1 → 2 |

    **3 changes not made**

    - `bob@example.com` not added to `Operators`: bob does not have DSR enabled (400)
    - `bob@example.com` not removed from `Leads`: not added elsewhere
    - `bob@example.com` not removed from `Auditors`: interrupted before it was sent

    **Changed by somebody else meanwhile**

    - `Admins`: `alice@example.com` was added
    - `Admins`: `bob@example.com` was removed

    **Errors**

    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````

    <details><summary>1 addition made</summary>

    - `alice@example.com` to `Developers`

    </details>

    Digest: `e146c1cabae87ddd628973bce1fdd16175d9df88247f3de9c3516f598cb0d456`
    "#);
}

#[test]
fn stale_groups_show_joined_and_left_members() {
    insta::assert_snapshot!(stale(&samples::stale_groups()), @r#"
    <!-- convoke:apply -->
    ### Not applied: the account has changed since the plan was made

    > [!CAUTION]
    > **Stale.** Nothing was changed. Make a new plan and review it.

    **What changed after the plan was made**

    - `Developers`: `new@example.com` was added
    - `Developers`: `old@example.com` was removed
    - `Leads`: the group is now named `Heads`
    - ````\u{1b}[31m</code></summary>|`**```\r\n::error::x #\u{23}[error]%0A @admin [a](http://e.vil) #1 \u{202e}<!-- {}"````: the group no longer exists
    "#);
}

#[test]
fn place_outside_the_repository_has_no_link() {
    let repository = repository();
    let mut sample = samples::small();
    for change in sample.groups.iter_mut().flat_map(|group| &mut group.changes) {
        change.origin.file = "/etc/groups.yaml".into();
    }
    let page = plan(&sample, View { repository: Some(&repository), ..view() });
    assert!(page.contains("`/etc/groups.yaml:8`") && !page.contains("/etc/groups.yaml#L"), "{page}");
}
