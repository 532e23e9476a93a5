use super::*;

const FULL: &str = r"
version: 1
account_id: 023e105f4ecef8ad9ca31a8372d0c353
token: secret
token_owner: alice@example.com
token_access: read
token_settles: 1
people:
  - alice@example.com
  - email: bob@example.com
    id: 4f5f0c14a2a41d5063dd301b2f829f04
    status: pending
    joinable: false
    user_email: robert@example.com
    group_email: null
    two_factor: null
permission_groups: [Payments, { name: Odd, id: c8fed203ed3043cba015a93ad1616f1f }]
resource_groups: [Zone A]
groups:
  Platform Admins:
    id: 6d7f2f5f5b1d4a0e9081fdc98d432fd1
    scim: true
    settling: 1
    policy_invalid: true
    created_on: 2026-01-05T10:00:00Z
    status: V
    policies:
      - { access: deny, permission_groups: [Payments, c8fed203ed3043cba015a93ad1616f1f], resource_groups: [Zone A] }
      - permission_groups: [{ name: New, eol_at: '2027-01-31' }]
    members:
      - alice@example.com
      - 4f5f0c14a2a41d5063dd301b2f829f04
      - { email: carol@example.com, since: 2026-01-05T10:00:00Z }
  Empty: {}
new_groups_settle: 1
clock: 2026-02-01T00:00:00Z
lag: 1ms
audit_log:
  refused: 403
  omit: [/actor]
  set: { /raw/method: 7 }
  entries:
    - time: 2026-01-05T10:00:00Z
      by: { id: u, email: dana@example.com, context: dash, token_id: t, token_name: ci, type: user }
      edit: { add: { group: Platform Admins, member: alice@example.com } }
latency: 1ms
page_size_cap: 100
result_info: false
rate_limit: { requests: 40, window: 4s, spent: 0 }
faults:
  - on: { operation: add-members, group: Platform Admins, member: carol@example.com, page: 2, nth: 3 }
    do: { respond: { status: 429, retry_after: 1 } }
    times: 2
  - do: { latency: 2s }
  - do: { cut: after }
  - do: { edit_before: { rename_group: { group: Empty, to: Full } } }
  - do: omit_result
  - do: { late: { after: 1s, status: 504, hang: true } }
  - do: { claim: done_list }
  - do: { lag: 1s }
  - do: { contradict: total_count_low }
  - do: { respond: { status: 520, edge: true } }
  - do: { all: [numbers_as_text, unsuccessful_after, { edit_after: { several: [{ swap_names: { group: Empty, with: B } }] } }] }
  - do: { edit_before: { by: { actor: { email: dana@example.com }, edit: { remove: { group: Empty, member: a@example.com } } } } }
chance: { seed: 7, latency: 5%, edit: 0.5 %, lag: 1%, lag_time: 1s, contradict: 1%, numbers_as_text: 1%, claim: 1%, late: 1%, late_time: 1s, swap_names: 1%, unsuccessful_after: 1%, edge: 1% }
";

fn parse(text: &str) -> Result<Seed, SeedError> {
    Seed::parse("seed.yaml".as_ref(), text)
}

fn error(text: &str) -> String {
    parse(text).unwrap_err().to_string()
}

#[tokio::test]
async fn seed_can_set_everything() {
    let seed = parse(FULL).unwrap();
    assert_eq!(seed.faults[0].on.nth, std::num::NonZeroU32::new(3));
    assert_eq!(seed.faults[1].fault, Fault::Latency(Delay::millis(2000)));
    assert_eq!(seed.chance.as_ref().unwrap().latency, Share::percent(5));
    let given = given(seed).await;
    assert_eq!(
        given.account.members_of("Platform Admins"),
        ["alice@example.com", "bob@example.com", "carol@example.com"]
    );
    assert_eq!(given.id("bob@example.com"), "4f5f0c14a2a41d5063dd301b2f829f04");
    assert_eq!(given.account.group_id("Platform Admins").unwrap().as_str(), "6d7f2f5f5b1d4a0e9081fdc98d432fd1");
    assert!(given.account.members_of("Empty").is_empty());
}

#[tokio::test]
async fn very_long_durations_are_accepted() {
    let ages = "2562047788015215h";
    for text in [
        format!("lag: {ages}"),
        format!("rate_limit: {{ requests: 1, window: {ages} }}"),
        format!("chance: {{ lag: 100%, lag_time: {ages} }}"),
        format!("faults: [{{ do: {{ all: [{{ latency: {ages} }}, {{ latency: {ages} }}, {{ stall: {ages} }}] }} }}]"),
    ] {
        let sandbox = Sandbox::start(&parse(&text).unwrap(), Sandbox::ANY_PORT).await;
        assert!(sandbox.is_ok(), "{text}");
    }
}

#[test]
fn seed_matches_its_schema() {
    let schema = serde_json::to_value(schemars::schema_for!(Seed)).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let full: Value = serde_saphyr::from_str(FULL).unwrap();
    if let Err(error) = validator.validate(&full) {
        panic!("{error} at {}", error.instance_path());
    }
    assert!(!validator.is_valid(&json!({ "peeple": [] })));
    assert!(!validator.is_valid(&json!({ "groups": { "A": { "members": [5] } } })));
}

#[test]
fn an_empty_seed_is_an_empty_account() {
    assert!(parse("{}").is_ok());
    assert!(parse("").is_ok());
    assert!(parse("# nothing yet\n").is_ok());
}

#[tokio::test]
async fn chance_is_the_same_in_every_run() {
    let id = async || given(small()).await.account.person_id("alice@example.com").unwrap();
    assert_eq!(id().await, id().await);
}

#[test]
fn seed_error_shows_place_and_line() {
    let texts = [
        "people:\n  - alice@example.com\nbroups: {}\n",
        "people:\n  - alice@example.com\n  - ALICE@example.com\n",
        "people:\n  - { email: alice@example.com, staus: pending }\n",
        "people:\n  - 12\n",
        "groups:\n  Admins:\n    members:\n      - alice\n",
        "groups:\n  Admins:\n    members: [a@example.com, A@example.com]\n",
        "groups:\n  Admins: {}\n  Admins: {}\n",
        "latency: soon\n",
        "version: 2\n",
        "clock: noon\n",
        "faults: [{ do: { respond: { status: 99 } } }]\n",
        "chance: { edit: 60%, html: 41% }\n",
        "people: [\n",
    ];
    // The list of all keys grows with the format, so cut it.
    let errors = texts.map(|text| match error(text).split_once(", expected one of") {
        Some((before, after)) => {
            let rest = after.split_once('\n').map_or(String::new(), |(_, rest)| format!("\n{rest}"));
            format!("{before}{rest}")
        }
        None => error(text),
    });
    insta::assert_snapshot!(errors.join("\n"), @r#"
    seed.yaml:3:1: unknown field `broups`
      3 | broups: {}
    seed.yaml:3:5: ALICE@example.com is listed twice: addresses are compared without case
      3 |   - ALICE@example.com
    seed.yaml:2:33: unknown field `staus`
      2 |   - { email: alice@example.com, staus: pending }
    seed.yaml:2:5: invalid type: integer `12`, expected an email address, an id (in quotes if it looks like a number), or a map
      2 |   - 12
    seed.yaml:4:9: "alice" is not an email address: it has no "@"
      4 |       - alice
    seed.yaml:3:30: group "Admins" lists the same person twice
      3 |     members: [a@example.com, A@example.com]
    seed.yaml:3:3: duplicate mapping key `Admins` is not allowed here
      3 |   Admins: {}
    seed.yaml:1:10: "soon" is not a duration: write it like 50ms or 2s
      1 | latency: soon
    seed.yaml:1:10: unknown version 2: this convoke reads version 1
      1 | version: 2
    seed.yaml:1:8: failed to parse four digit integer as year: invalid digit, expected 0-9 but got n
      1 | clock: noon
    seed.yaml:1:37: 99 is not a status to answer with: use 200 to 599
      1 | faults: [{ do: { respond: { status: 99 } } }]
    seed.yaml: chance: the percentages add up to more than 100%
    seed.yaml:1:9: unclosed bracket '['
      1 | people: [
    "#);
}

#[test]
fn a_seed_never_shows_its_token() {
    assert!(!format!("{:?}", parse(FULL).unwrap()).contains("secret"));
}
