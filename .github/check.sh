#!/usr/bin/env bash
# Checks the action, the workflows and their scripts with zizmor, actionlint and shellcheck, which have to be installed.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
zizmor --offline --no-progress action.yml .github/dependabot.yml .github/workflows/*.yml examples/ci/github/*.yaml
actionlint .github/workflows/*.yml examples/ci/github/*.yaml
shellcheck --external-sources --severity=warning .ci/run .github/*.sh .github/*/*.sh
