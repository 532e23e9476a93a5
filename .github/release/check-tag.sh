#!/usr/bin/env bash
# check-tag.sh TAG fails if the tag differs from the version in Cargo.toml.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
if [ "$1" != "v$version" ]; then
  echo "::error::The tag is $1, but Cargo.toml says version $version."
  exit 1
fi
