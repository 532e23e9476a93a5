#!/usr/bin/env bash
# A release has the version of Cargo.toml: check-tag.sh TAG fails where the tag says something else.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
if [ "$1" != "v$version" ]; then
  echo "::error::The tag is $1, but Cargo.toml says version $version."
  exit 1
fi
