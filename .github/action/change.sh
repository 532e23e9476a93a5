#!/usr/bin/env bash
# Inspects the change that triggered this run. Outputs:
#   pull-request  the number of the pull request that it belongs to
#   touched       false if no file that declares groups differs from the base
#   expect        the digest that the plan must have, which was reviewed in that pull request
set -euo pipefail
# shellcheck source=.github/action/api.sh
. "$(dirname "${BASH_SOURCE[0]}")/api.sh"

# Remove the files of an earlier use of the action in the same job.
rm -f "$WORK/failure"

case "$COMMAND" in plan | apply) ;; *) exit 0 ;; esac

number=
case "$GITHUB_EVENT_NAME" in
  pull_request) number=$(jq -r '.pull_request.number // empty' "$GITHUB_EVENT_PATH") ;;
  merge_group)
    # refs/heads/gh-readonly-queue/main/pr-12-COMMIT
    if [[ $GITHUB_REF =~ /pr-([0-9]+)-[0-9a-f]+$ ]]; then number=${BASH_REMATCH[1]}; fi
    ;;
  push)
    if [ "$COMMAND" = apply ]; then
      # Open pull requests can contain the commit too. Only the merged one counts.
      pages "repos/$GITHUB_REPOSITORY/commits/$GITHUB_SHA/pulls" > "$WORK/pulls.json" \
        || fail 'The pull request of this commit cannot be looked up. The job needs the permission "pull-requests: write".'
      number=$(jq -r --arg sha "$GITHUB_SHA" \
        '[.[] | select(.merged_at != null and .merge_commit_sha == $sha) | .number] | if length == 1 then first else empty end' \
        "$WORK/pulls.json")
    fi
    ;;
esac
# The token of a fork's pull request cannot write comments.
if [ "$FORK" != true ]; then output pull-request "$number"; fi

# A pull request that changes no groups needs neither convoke nor the account.
expect=$EXPECT
if [ "$COMMAND" = plan ] && [ -n "$BASE" ] && [ "$ONLY_CHANGED" = true ]; then
  git rev-parse --verify --quiet --end-of-options "$BASE^{commit}" > /dev/null \
    || fail "The checkout has no commit $BASE. Let actions/checkout fetch it with fetch-depth: 0."
  touched=false
  while IFS= read -r file; do
    # A difference and an error both count as touched. So do links, submodules and untracked files, because their
    # content can differ although Git reports no difference.
    git --literal-pathspecs diff --quiet "$BASE" -- "$file" || touched=true
    git --literal-pathspecs ls-files --stage -- "$file" | awk '{ seen = 1 } /^1[26]0000/ { other = 1 } END { exit other || !seen }' \
      || touched=true
  done < <(list_files)
  output touched "$touched"
  if [ "$touched" = false ]; then
    echo 'No file that declares groups was changed.'
    exit 0
  fi
fi

if [ -z "$expect" ] && [ -z "$ACCEPT" ] && [ "$DUE" != true ]; then
  case "$COMMAND-$GITHUB_EVENT_NAME" in apply-push | plan-merge_group) expect=reviewed ;; esac
fi
case "$expect" in
  none) expect= ;;
  reviewed)
    [ -n "$number" ] || fail 'No merged pull request belongs to this commit, so nobody reviewed a plan of it. Look at a plan, then run the workflow by hand with its digest.'
    login=$(login)
    comments=$WORK/comments.json
    pages "repos/$GITHUB_REPOSITORY/issues/$number/comments" > "$comments" || fail "The comments of #$number cannot be read."
    digests=$(jq -r --arg login "$login" --arg marker '<!-- convoke:plan -->' --arg name "$NAME" \
      '[.[] | select('"$OURS"') | .body | gsub("\r"; "") | split("\n")[] | capture("^Digest: `(?<digest>[0-9a-f]{64})`$").digest]
        | unique | .[]' "$comments")
    case $(printf '%s' "$digests" | grep -c .) in
      0) fail "#$number has no comment of $login with the digest of a plan. Look at a plan, then run the workflow by hand with its digest." ;;
      1) expect=$digests ;;
      *) fail "#$number has comments with different digests. Look at a plan, then run the workflow by hand with its digest." ;;
    esac
    echo "The plan in #$number has the digest $expect."
    ;;
esac
output expect "$expect"
