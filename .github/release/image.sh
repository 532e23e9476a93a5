#!/usr/bin/env bash
# Builds and pushes both images of a release for two platforms, from the binaries of its archives in dist/. Outputs and
# prints the digests.
set -euo pipefail
image=$(printf '%s' "$IMAGE" | tr '[:upper:]' '[:lower:]')
version=${GITHUB_REF_NAME#v}
epoch=$(git log -1 --format=%ct)
for platform in amd64=x86_64 arm64=aarch64; do
  name=convoke-$version-${platform#*=}-unknown-linux-musl
  tar -xzf "dist/$name.tar.gz" -C dist "$name/convoke"
  mv "dist/$name/convoke" "dist/convoke-${platform%=*}"
done

# push OUTPUT TAG OPTION…: builds and pushes an image, and outputs its digest.
push() {
  local output=$1 tag=$2 digest
  shift 2
  docker buildx build --provenance=false --push --platform linux/amd64,linux/arm64 --build-arg BINARY=archive \
    --build-arg "SOURCE_DATE_EPOCH=$epoch" --build-arg "VERSION=$version" --build-arg "REVISION=$GITHUB_SHA" \
    --tag "$tag" --metadata-file metadata.json "$@" .
  digest=$(jq -r '."containerimage.digest"' metadata.json)
  printf '%s=%s\n' "$output" "$digest" >> "$GITHUB_OUTPUT"
  printf '`%s@%s`\n\n' "$tag" "$digest" | tee -a "$GITHUB_STEP_SUMMARY"
}
push ci-digest "$image:$version-ci" --target ci
push digest "$image:$version"
