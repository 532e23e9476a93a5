#!/usr/bin/env bash
# Checks the action, the workflows and their scripts with zizmor, actionlint and shellcheck, which have to be installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
# The workflow in the README too.
readme=$(mktemp -d)/convoke.yml
awk '/^```yaml$/ { if (found) exit; getline; found = /^name: convoke$/ } found && /^```$/ { exit } found' README.md > "$readme"
grep -q OWNER/convoke "$readme"
zizmor --offline --no-progress action.yml .github/dependabot.yml .github/workflows/*.yml examples/ci/github/*.yaml "$readme"
actionlint .github/workflows/*.yml examples/ci/github/*.yaml "$readme"
shellcheck --external-sources --severity=warning .ci/run .github/*.sh .github/*/*.sh
