#!/usr/bin/env bash
# Builds convoke from the checkout of the action, unless the cache has it.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=.github/action/api.sh
. "$root/.github/action/api.sh"

if [ "$CACHED" != true ]; then
  command -v cargo > /dev/null || fail 'There is no release for this commit, and no cargo to build it. Install Rust in an earlier step.'
  CARGO_TARGET_DIR=$WORK/target cargo install --locked --path "$root" --root "$(dirname "$FOLDER")"
fi
"$FOLDER/convoke" --version
echo "$FOLDER" >> "$GITHUB_PATH"
