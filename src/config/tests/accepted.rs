//! What is accepted, and what it means.

use super::*;
use crate::model::{GroupName, Limit, Mode, PersonRef, Unmanaged};

const EXAMPLE: &str = "\
version: 1
account_id: 023e105f4ecef8ad9ca31a8372d0c353

settings:
  limits:
    group_removals: 12.5%
    total_removals: 7
  protected: [root@example.com, 4f5f0c14a2a41d5063dd301b2f829f04]
  unmanaged_groups: report

rosters:
  leads:
    - carol@example.com
  sre:
    - alice@example.com
    - roster: leads

groups:
  Platform Admins:
    id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1
    mode: additive
    members:
      - dave@example.com
      - roster: sre
      - email: erin@example.com
        from: 2026-12-01
        until: 2026-12-31
        reason: INC-4821 cover
      - id: 4F5F0C14A2A41D5063DD301B2F829F04
        until: 2026-12-31T18:00:00+01:00
    min_members: 2
    allow_empty: true
    group_removals: 50%
";

fn group<'d>(desired: &'d Desired, name: &str) -> &'d crate::model::DesiredGroup {
    &desired.groups[&GroupName::from(name)]
}

/// The people of a group with where they stand and the rosters that lead there.
fn members(desired: &Desired, name: &str) -> Vec<String> {
    let describe = |member: &crate::model::DesiredMember| {
        let via: Vec<String> = member
            .via
            .iter()
            .flat_map(|via| via.iter())
            .map(|used| format!(" via {}@{}", used.roster, used.origin))
            .collect();
        format!("{} {}{}", member.person, member.origin, via.concat())
    };
    group(desired, name).members.iter().map(describe).collect()
}

#[test]
fn everything_the_format_knows_is_read() {
    let desired = parse_one(EXAMPLE).unwrap();
    assert_eq!(desired.account_id.as_ref().unwrap().value.as_str(), "023e105f4ecef8ad9ca31a8372d0c353");
    let settings = &desired.settings;
    assert_eq!(settings.limits.group_removals.value, Limit::Percent { hundredths: 1250 });
    assert_eq!(settings.limits.total_removals.value, Limit::Count(7));
    assert_eq!(settings.limits.total_removals.origin.as_ref().unwrap().to_string(), "convoke.yaml:7");
    assert_eq!(settings.unmanaged_groups.value, Unmanaged::Report);
    let protected: Vec<String> = settings.protected.iter().map(|p| p.person.to_string()).collect();
    assert_eq!(protected, ["root@example.com", "4f5f0c14a2a41d5063dd301b2f829f04"]);
    assert_eq!(members(&desired, "Platform Admins").len(), 5);
    assert_eq!(group(&desired, "Platform Admins").mode, Mode::Additive);
    assert!(matches!(group(&desired, "Platform Admins").members[0].person, PersonRef::Email(_)));
}
