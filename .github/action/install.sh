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

version=${VERSION:-}
version=${version#v}
if [ -z "$version" ] || [ "$version" = source ]; then
  version=$(sed -n 's/^version = "\(.*\)"$/\1/p' "$root/Cargo.toml" | head -n 1)
fi
[[ $version =~ ^[0-9A-Za-z.+-]+$ ]] || fail 'The input "version" has to be a release, such as 0.1.0, or "source".'
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

# asked METHOD PATH ANSWER: as request. A refusal, such as 404, is an answer. An API that fails is not a reason to build
# from source: it fails the step.
asked() {
  local code=0
  request "$@" || code=$?
  if [ "$code" = 2 ]; then fail "The release cannot be looked up: $(reason). Run this job again." >&2; fi
  return "$code"
}

# tagged_commit: prints the commit of the release's tag.
tagged_commit() {
  asked GET "repos/$ACTION_REPOSITORY/git/ref/tags/$tag" "$answer" || return 1
  if [ "$(jq -r .object.type "$answer")" = tag ]; then
    asked GET "repos/$ACTION_REPOSITORY/git/tags/$(jq -r .object.sha "$answer")" "$answer" || return 1
  fi
  jq -r .object.sha "$answer"
}

# used_commit: prints the commit of the reference that the workflow names.
used_commit() {
  if [[ $ACTION_REF =~ ^[0-9a-f]{40}$ ]]; then
    echo "$ACTION_REF"
  else
    asked GET "repos/$ACTION_REPOSITORY/commits/$(jq -rn --arg ref "$ACTION_REF" '$ref | @uri')" "$answer" || return 1
    jq -r .sha "$answer"
  fi
}

# asset NAME FILE: downloads a file of the release.
asset() {
  local id
  id=$(jq -r --arg name "$1" '[.assets[] | select(.name == $name) | .id] | first // empty' "$WORK/release.json")
  [ -n "$id" ] || return 1
  MEDIA_TYPE=application/octet-stream asked GET "repos/$ACTION_REPOSITORY/releases/assets/$id" "$2"
}

# missing REASON: what to do without a release. A release that the workflow asks for is not replaced by a build.
missing() {
  if [ -n "${VERSION:-}" ]; then fail "There is no convoke $version to use: $1."; fi
  build "$1"
}

# ended: ends the step if a command in a subshell failed it. Else the answer was a refusal.
ended() {
  if [ -s "$WORK/failure" ]; then exit 1; fi
}

rm -f "$WORK/failure"
if [ "${VERSION:-}" = source ]; then build 'the workflow asks for it'; fi
[ -n "$ACTION_REPOSITORY" ] && [ -n "$ACTION_REF" ] || missing 'the action is used from a checkout'
[ -n "$target" ] || missing "there are no releases for $RUNNER_OS on $RUNNER_ARCH"
if [ -z "${VERSION:-}" ]; then
  released=$(tagged_commit) || { ended && build "$ACTION_REPOSITORY has no tag $tag"; }
  used=$(used_commit) || { ended && build "the commit of $ACTION_REF is not known"; }
  [ "$released" = "$used" ] || build "$ACTION_REF is not the commit of $tag"
fi
asked GET "repos/$ACTION_REPOSITORY/releases/tags/$tag" "$WORK/release.json" || missing "there is no release $tag"

archive=convoke-$version-$target.tar.gz
asset "$archive" "$WORK/$archive" || missing "the release $tag has no $archive"
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
