//! What stands at the end of each command's help.

pub const EXIT_CODES: &str = "\
Exit codes:
  0  done, or in sync         4  stale: the account has changed   69  the API cannot be reached
  1  anything else            5  applied in part                  77  credentials refused
  2  differences             64  the command line is wrong
  3  refused, or blocked     65  a file is wrong

Begin with:
  convoke export --out-dir groups      what the account has, as files
  convoke plan -f groups               what would change
  convoke COMMAND --help               all flags of a command, with examples";

pub const TOP: &str = "\
Exit codes:
   0  done; in sync, or a plan was made
   1  anything else
   2  differences (drift, plan --detailed-exitcode)
   3  refused by a guard, or something declared cannot be applied; nothing was changed
   4  stale: the account is not what the plan was made from; nothing was changed
   5  applied in part: the report says what failed or was blocked
  64  the command line is wrong
  65  a file is wrong
  69  the API cannot be reached, or misbehaves
  77  credentials refused

Environment:
  CLOUDFLARE_API_TOKEN                   the token; or:
  CLOUDFLARE_EMAIL, CLOUDFLARE_API_KEY   a user and their global key
  CLOUDFLARE_ACCOUNT_ID                  as --account-id
  CLOUDFLARE_BASE_URL                    as --api-url
  GITHUB_STEP_SUMMARY                    the job summary that --format github appends to
  NO_COLOR, COLUMNS                      no colour; the width of the text";

pub const VALIDATE: &str = "\
Examples:
  convoke validate
  convoke validate -f groups --format github";

pub const PLAN: &str = "\
Examples:
  convoke plan
  convoke plan --out plan.json
  convoke plan -f groups --base main/groups --format markdown
  convoke plan --sandbox seed.yaml";

pub const APPLY: &str = "\
Examples:
  convoke apply
  convoke apply --yes --expect DIGEST --journal journal.jsonl
  convoke apply plan.json --yes

DIGEST is what plan prints. The same account and files give the same digest, so a plan that was
reviewed needs no file to be applied exactly.";

pub const DRIFT: &str = "\
Examples:
  convoke drift
  convoke drift --quiet --metrics-file /var/lib/node_exporter/convoke.prom";

pub const SHOW: &str = "\
Examples:
  convoke show plan.json
  convoke show plan.json --format markdown > comment.md";

pub const WHY: &str = "\
Examples:
  convoke why alice@example.com
  convoke why alice@example.com 'Platform Admins'";

pub const EXPORT: &str = "\
Examples:
  convoke export > convoke.yaml
  convoke export --out-dir groups
  convoke export Developers 'Platform Admins'

A plan of what was exported is empty. Groups are pinned by id; members that no address names are
written by id.";

pub const SANDBOX: &str = "\
Examples:
  convoke sandbox --seed seed.yaml --listen 127.0.0.1:8787
  CLOUDFLARE_API_TOKEN=any convoke plan --api-url http://127.0.0.1:8787/client/v4";

pub const SCHEMA: &str = "\
Examples:
  convoke schema config > config.schema.json";

pub const COMPLETIONS: &str = "\
Examples:
  convoke completions bash > /etc/bash_completion.d/convoke
  convoke completions zsh > ~/.zfunc/_convoke";

pub const MAN: &str = "\
Examples:
  convoke man | man -l -
  convoke man plan > convoke-plan.1";
