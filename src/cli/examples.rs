//! The end of each command's help.

pub const TOP: &str = "\
Start here:
  convoke export --out-dir groups    write the account's present groups as files
  convoke plan -f groups             show what would change

Exit codes:
  0  done, or in sync      4  stale: plan again   69  the API cannot be reached or misbehaves
  2  differences           5  applied in part     77  credentials refused
  3  refused or blocked   64  usage               65  a file is wrong     1  anything else";

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

`plan` prints DIGEST. The same changes have the same digest, so a reviewed plan can be applied
exactly without its file.";

pub const DRIFT: &str = "\
Examples:
  convoke drift
  convoke drift --quiet --metrics-file /var/lib/node_exporter/convoke.prom";

pub const REVIEW: &str = "\
Examples:
  convoke review -f groups --format html --out review.html
  convoke review -f groups --format csv > review.csv

The exit code is 0 whatever the review finds. If anything cannot be read, nothing is written.";

pub const SHOW: &str = "\
Examples:
  convoke show plan.json
  convoke show plan.json --format markdown > comment.md";

pub const WHY: &str = "\
Examples:
  convoke why alice@example.com
  convoke why alice@example.com 'Platform Admins'

`convoke grant` and `convoke revoke` edit the lines that it shows.";

pub const EXPORT: &str = "\
Examples:
  convoke export > convoke.yaml
  convoke export --out-dir groups
  convoke export Developers 'Platform Admins'

A plan of the exported files is empty. Groups are pinned by id. Members without an address of their
own are written by id.";

pub const UNDO: &str = "\
Examples:
  convoke undo journal.jsonl --out undo.json
  convoke apply undo.json

Revert the files too. Otherwise the next apply makes the same changes again.";

pub const SANDBOX: &str = "\
Examples:
  convoke sandbox --seed seed.yaml --listen 127.0.0.1:8787
  CLOUDFLARE_API_TOKEN=any convoke plan --api-url http://127.0.0.1:8787/client/v4";

pub const GRANT: &str = "\
Examples:
  convoke grant alice@example.com 'Platform Admins' --until +8h --reason 'INC-4821 cover'
  convoke grant bob@example.com --roster sre

Edits the files offline: the account is not touched. `plan` then shows what the edit changes.
Somebody who is in for all of that time is left unchanged; an entry that ends earlier or begins
later is widened. Access is never taken away.";

pub const REVOKE: &str = "\
Examples:
  convoke revoke alice@example.com 'Platform Admins'
  convoke revoke alice@example.com --roster sre --until 2026-12-31
  convoke revoke alice@example.com --everywhere

Edits the files offline: the account is not touched. In additive groups, and in rosters that they
use, the entry stays and ends now: that is what takes the access away at the next apply.";

pub const PRUNE: &str = "\
Examples:
  convoke prune --dry-run
  convoke prune --older-than 90d

Edits the files offline. Ended entries of additive groups stay: they keep the access away.";

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
