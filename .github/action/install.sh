#!/usr/bin/env bash
# Downloads the binary of the release of the commit in use. If there is none, sets "build", so that build.sh builds the
# commit. Outputs: folder, build, key.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
# shellcheck source=.github/action/api.sh
. "$root/.github/action/api.sh"

folder=$WORK/bin
mkdir -p "$folder"
output folder "$folder"

case "$RUNNER_OS-$RUNNER_ARCH" in
  Linux-X64) target=x86_64-unknown-linux-musl ;;
  Linux-ARM64) target=aarch64-unknown-linux-musl ;;
  macOS-X64) target=x86_64-apple-darwin ;;
  macOS-ARM64) target=aarch64-apple-darwin ;;
  Windows-X64) target=x86_64-pc-windows-msvc ;;
  *) target= ;;
esac

version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
tag=v$version

# build REASON: leaves the build to build.sh. The cache key depends on the source, so the cache never serves another one.
build() {
  local sources
  echo "convoke is built from source: $1."
  sources=$(cd "$root" && find Cargo.toml Cargo.lock src schemas -type f | LC_ALL=C sort | while IFS= read -r file; do
    printf '%s %s\n' "$(sha256 "$file")" "$file"
  done)
  printf '%s\n' "$sources" > "$WORK/sources"
  output build true
  output key "convoke-$RUNNER_OS-$RUNNER_ARCH-$(sha256 "$WORK/sources")"
  exit 0
}

answer=$WORK/answer.json

# tagged_commit: prints the commit of the release's tag.
tagged_commit() {
  request GET "repos/$ACTION_REPOSITORY/git/ref/tags/$tag" "$answer" || return 1
  if [ "$(jq -r .object.type "$answer")" = tag ]; then
    request GET "repos/$ACTION_REPOSITORY/git/tags/$(jq -r .object.sha "$answer")" "$answer" || return 1
  fi
  jq -r .object.sha "$answer"
}

# used_commit: prints the commit of the reference that the workflow names.
used_commit() {
  if [[ $ACTION_REF =~ ^[0-9a-f]{40}$ ]]; then
    echo "$ACTION_REF"
  else
    request GET "repos/$ACTION_REPOSITORY/commits/$(jq -rn --arg ref "$ACTION_REF" '$ref | @uri')" "$answer" || return 1
    jq -r .sha "$answer"
  fi
}

# asset NAME FILE: downloads a file of the release.
asset() {
  local id
  id=$(jq -r --arg name "$1" '[.assets[] | select(.name == $name) | .id] | first // empty' "$WORK/release.json")
  [ -n "$id" ] || return 1
  ACCEPT=application/octet-stream request GET "repos/$ACTION_REPOSITORY/releases/assets/$id" "$2"
}

[ -n "$ACTION_REPOSITORY" ] && [ -n "$ACTION_REF" ] || build 'the action is used from a checkout'
[ -n "$target" ] || build "there are no releases for $RUNNER_OS on $RUNNER_ARCH"
released=$(tagged_commit) || build "$ACTION_REPOSITORY has no tag $tag"
used=$(used_commit) || build "the commit of $ACTION_REF is not known"
[ "$released" = "$used" ] || build "$ACTION_REF is not the commit of $tag"
request GET "repos/$ACTION_REPOSITORY/releases/tags/$tag" "$WORK/release.json" || build "there is no release $tag"

archive=convoke-$version-$target.tar.gz
asset "$archive" "$WORK/$archive" || build "the release $tag has no $archive"
asset SHA256SUMS "$WORK/SHA256SUMS" || fail "The release $tag has no SHA256SUMS, so its files cannot be checked."
expected=$(tr -d '\r' < "$WORK/SHA256SUMS" | sed -n "s/^\([0-9a-f]\{64\}\) [ *]${archive//./\\.}\$/\1/p")
[ "$(sha256 "$WORK/$archive")" = "$expected" ] \
  || fail "$archive of the release $tag does not have the digest in SHA256SUMS. Nothing was run."

# Relative paths, because GNU tar interprets the colon of a Windows path as a host.
(cd "$WORK" && tar -xzf "$archive" -C bin --strip-components 1)
# Read the complete output before comparing it: a closed pipe would count as a failure.
printed=$("$folder/convoke" --version)
[ "$printed" = "convoke $version" ] || fail "The release $tag holds \"$printed\"."
echo "convoke $version is the release of $ACTION_REPOSITORY."
echo "$folder" >> "$GITHUB_PATH"
output build false
