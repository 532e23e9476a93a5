#!/usr/bin/env bash
# Builds and pushes both images of a release, and outputs the digest of the default one.
set -euo pipefail
image=$(printf '%s' "$IMAGE" | tr '[:upper:]' '[:lower:]')
version=${GITHUB_REF_NAME#v}
epoch=$(git log -1 --format=%ct)
build=(docker buildx build --provenance=false --push
  --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "VERSION=$version" --build-arg "REVISION=$GITHUB_SHA")
"${build[@]}" --target ci --tag "$image:$version-ci" .
"${build[@]}" --tag "$image:$version" --metadata-file metadata.json .
printf 'digest=%s\n' "$(jq -r '."containerimage.digest"' metadata.json)" >> "$GITHUB_OUTPUT"
