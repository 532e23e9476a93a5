//! Tests of the decisions of `prune`.

use super::*;

const FILE: &str = "\
version: 1
rosters:
  exact:
    - email: a@x.y
      until: 2026-09-01
  shared:
    - email: a@x.y
      until: 2026-09-01
  nested: [roster: shared]
groups:
  Ops:
    members:
      - roster: exact
      - roster: shared
      # stays
      - email: a@x.y
        until: 2026-10-31
      - email: b@x.y
        until: 2026-11-01T12:00:00Z
      - email: c@x.y
        until: 2026-11-01T11:59:59Z
  Seen:
    mode: observe
    members: [{email: a@x.y, until: 2026-09-01}, {email: b@x.y, until: 2026-09-02}]
  Open:
    mode: additive
    members:
      - email: z@x.y
        until: 2026-09-01
      - roster: nested
";

#[test]
fn old_entries_are_removed_except_in_additive_groups() {
    let result = try_edit(&[("a.yaml", FILE)], "prune").unwrap();
    assert_eq!(result.kept, Some(2));
    assert_eq!(
        diff(FILE, &edited(FILE, "prune")),
        [
            "-  exact:",
            "-    - email: a@x.y",
            "-      until: 2026-09-01",
            "+  exact: []",
            "-      - email: a@x.y",
            "-        until: 2026-10-31",
            "-      - email: c@x.y",
            "-        until: 2026-11-01T11:59:59Z",
            "-    members: [{email: a@x.y, until: 2026-09-01}, {email: b@x.y, until: 2026-09-02}]",
            "+    members: []",
        ]
    );
    assert_eq!(edited(FILE, "prune/52w"), FILE);
}
