#!/usr/bin/env bash
# Inspects the change that triggered this run. Outputs:
#   pull-request  the number of the pull request that it belongs to
#   touched       false if no file that declares groups differs from the base
#   base, tip     the commits with the files before the change, and at the tip of the branch
#   expect        the digest that the plan must have, which was reviewed in that pull request
# For a push that holds several pull requests, "$WORK/changes" has a line for each: base, head, number and digest.
set -euo pipefail
# shellcheck source=.github/action/api.sh
. "$(dirname "${BASH_SOURCE[0]}")/api.sh"

# Remove the files of an earlier use of the action in the same job.
rm -rf "$WORK/failure" "$WORK/changes" "$WORK/earlier"

# Before anything is written: the name is a part of comments, issues and artifacts.
[[ $NAME =~ ^[A-Za-z0-9._-]*$ ]] || fail 'The input "name" may hold letters, digits, dots, underscores and hyphens.'
case "$COMMAND" in
  plan | apply) ;;
  *)
    # run.sh refuses what the command does not use.
    output base "$BASE"
    output expect "$EXPECT"
    exit 0
    ;;
esac
case "$EXPECT" in
  '' | none | reviewed) ;;
  *) [[ $EXPECT =~ ^[0-9a-f]{64}$ ]] || fail 'The input "expect" has to be a digest, "reviewed" or "none".' ;;
esac

event() {
  jq -r "$1 // empty" "$GITHUB_EVENT_PATH"
}
fork=false
if [ "$GITHUB_EVENT_NAME" = pull_request ] && [ "$(event .pull_request.head.repo.full_name)" != "$GITHUB_REPOSITORY" ]; then fork=true; fi

# commit REVISION: prints its commit.
commit() {
  git rev-parse --verify --quiet --end-of-options "$1^{commit}" \
    || fail "The checkout has no commit $1. Let actions/checkout fetch it with fetch-depth: 0." >&2
}

# committed: succeeds if the files that declare groups are as in HEAD.
committed() {
  local file
  while IFS= read -r file; do
    [ -z "$(git --literal-pathspecs status --porcelain -- "$file")" ] || return 1
  done < <(list_files)
}

# fetch_branch REF: fetches the tip of a branch and prints its commit. The checkout has no credentials (see
# persist-credentials). If it has some, they are replaced, because GitHub refuses two.
fetch_branch() {
  local depth=() wait
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then depth=(--depth=1); fi
  (
    git_setting "http.$GITHUB_SERVER_URL/.extraheader" ''
    git_setting "http.$GITHUB_SERVER_URL/.extraheader" \
      "AUTHORIZATION: basic $(printf 'x-access-token:%s' "$GITHUB_TOKEN" | base64 | tr -d '\n')"
    export GIT_TERMINAL_PROMPT=0
    for wait in 2 5 0; do
      git fetch --quiet --no-tags --no-recurse-submodules "${depth[@]}" origin "+$1:refs/convoke/tip" >&2 && exit 0
      sleep "$wait"
    done
    exit 1
  ) && git rev-parse refs/convoke/tip
}

# The files before the change. In a pull request the checkout is the merge, and its first parent is the target branch.
base=$BASE
if [ -z "$base" ] && [ "$ONLY_CHANGED" = true ]; then
  case "$GITHUB_EVENT_NAME" in
    pull_request)
      [ "$(commit HEAD)" = "$GITHUB_SHA" ] && git rev-parse --verify --quiet 'HEAD^2' > /dev/null \
        || fail 'The checkout is not the merge that GitHub made for this pull request. Remove "ref" from actions/checkout and use fetch-depth: 0, or set the input "base".'
      base='HEAD^1'
      ;;
    merge_group) base=$(event .merge_group.base_sha) ;;
    push) base=$(event .before) ;;
  esac
  [ -n "$base" ] || fail "The event \"$GITHUB_EVENT_NAME\" has no commit before the change. Set the input \"base\"."
  [[ ! $base =~ ^0+$ ]] || fail 'The branch is new, so there are no files before this push. Look at a plan, then run the workflow by hand with its digest.'
fi
if [ -n "$base" ]; then
  base=$(commit "$base")
  output base "$base"
fi

# Who reviews this change, and at which commit of the branch?
number=
case "$GITHUB_EVENT_NAME" in
  pull_request) number=$(event .pull_request.number) ;;
  # refs/heads/gh-readonly-queue/main/pr-12-COMMIT
  merge_group) if [[ $GITHUB_REF =~ /pr-([0-9]+)-[0-9a-f]+$ ]]; then number=${BASH_REMATCH[1]}; fi ;;
esac

expect=$EXPECT
if [ -z "$expect" ] && [ -z "$ACCEPT" ] && [ "$DUE" != true ]; then
  case "$COMMAND-$GITHUB_EVENT_NAME" in
    apply-workflow_dispatch) ;;
    apply-* | plan-merge_group) expect=reviewed ;;
  esac
fi
if [ "$expect" = none ]; then expect=; fi

# A change of no group needs neither convoke nor the account.
if [ -n "$base" ] && [ "$ONLY_CHANGED" = true ]; then
  touched=true
  if same "$base" HEAD && committed; then touched=false; fi
  output touched "$touched"
  if [ "$touched" = false ]; then
    # The token of a fork's pull request cannot write comments.
    if [ "$fork" = false ]; then output pull-request "$number"; fi
    echo 'No file that declares groups was changed.'
    exit 0
  fi
fi

# A job that is run again must not take back what was merged since. A plan can only warn.
if [ -z "$SANDBOX" ] && git rev-parse --is-inside-work-tree > /dev/null 2>&1; then
  case "$COMMAND-$GITHUB_REF" in
    apply-refs/heads/*)
      tip=$(fetch_branch "$GITHUB_REF") || fail "The tip of $GITHUB_REF cannot be fetched, so newer changes are not known. Nothing was changed."
      output tip "$tip"
      ;;
    plan-refs/pull/*)
      if [ -n "${GITHUB_BASE_REF:-}" ] && tip=$(fetch_branch "refs/heads/$GITHUB_BASE_REF" 2> /dev/null) && ! same 'HEAD^1' "$tip"; then
        echo "::warning title=convoke::$GITHUB_BASE_REF has changed the groups since this run was created, and this plan does not show that. Update the branch for a plan of what would be merged now."
      fi
      ;;
  esac
fi

# guess COMMIT: prints the number of a pull request in the message of its merge.
guess() {
  git log -1 --format=%s "$1" | sed -nE 's/^Merge pull request #([0-9]+) from .*$/\1/p; s/^.* \(#([0-9]+)\)$/\1/p' | head -n 1
}

# merged_as COMMIT ENDS: prints the pull request that brought this commit and that was merged as one of the commits
# ENDS. Right after a merge, GitHub's list for a commit can be empty for many seconds. The pull request itself is right
# at once, and a message alone proves nothing.
merged_as() {
  local found='select(.merged_at != null and (.merge_commit_sha as $sha | $ends | index($sha))) | .number' code=0 number
  number=$(guess "$1")
  if [ -n "$number" ] && request GET "repos/$GITHUB_REPOSITORY/pulls/$number" "$WORK/pull.json"; then
    number=$(jq -r --argjson ends "[\"$1\"]" "$found" "$WORK/pull.json")
    if [ -n "$number" ]; then
      echo "$number"
      return 0
    fi
  fi
  # Open pull requests can contain the commit too. Only the merged one counts.
  pages "repos/$GITHUB_REPOSITORY/commits/$1/pulls" > "$WORK/pulls.json" || code=$?
  if [ "$code" = 1 ]; then
    fail "The pull request of this commit cannot be looked up: $(reason). The job needs the permission \"pull-requests: write\"." >&2
  fi
  if [ "$code" = 0 ]; then
    jq -r --argjson ends "$2" "[.[] | $found] | unique | if length == 1 then first else empty end" "$WORK/pulls.json"
  fi
}

# owner COMMIT ENDS: the same, asked again for up to a minute.
owner() {
  local wait found
  for wait in 2 3 5 10 10 15 15 0; do
    found=$(merged_as "$1" "$2") || exit 1
    if [ -n "$found" ]; then
      echo "$found"
      return 0
    fi
    sleep "$wait"
  done
}

# digest NUMBER: prints the one digest that was reviewed in a pull request.
digest() {
  local digests
  pages "repos/$GITHUB_REPOSITORY/issues/$1/comments" > "$WORK/comments.json" || fail "The comments of #$1 cannot be read: $(reason)." >&2
  digests=$(jq -r --arg login "$login" --arg marker '<!-- convoke:plan -->' --arg name "$NAME" \
    '[.[] | select('"$OURS"') | .body | gsub("\r"; "") | split("\n")[] | capture("^Digest: `(?<digest>[0-9a-f]{64})`$").digest]
      | unique | .[]' "$WORK/comments.json")
  case $(printf '%s' "$digests" | grep -c .) in
    0) fail "#$1 has no comment of $login with the digest of a plan. Look at a plan, then run the workflow by hand with its digest." >&2 ;;
    1) echo "$digests" ;;
    *) fail "#$1 has comments with different digests. Look at a plan, then run the workflow by hand with its digest." >&2 ;;
  esac
}

# nobody COMMIT: no pull request was found for a commit. If its message names one, that one gets the report.
nobody() {
  local number
  number=$(guess "$1")
  if [ -n "$number" ] && [ "$fork" = false ]; then output pull-request "$number"; fi
  fail "No merged pull request belongs to this commit ($1), so nobody reviewed a plan of it. Look at a plan, then run the workflow by hand with its digest. Right after a merge GitHub may not know the pull request yet: in that case run this job again."
}

# The commits of a push that touch groups, first parent by first parent, oldest first. A pull request that was rebased
# has several of them.
commits=()
if [ "$COMMAND-$GITHUB_EVENT_NAME" = apply-push ]; then
  end=$(commit HEAD)
  if [ "$expect" = reviewed ] && [ "$ONLY_CHANGED" = true ] && [ -n "$base" ]; then
    list=$(git rev-list --first-parent --reverse "$base..HEAD")
    first=${list%%$'\n'*}
    if [ "$first" != "$list" ] && [ "$(git rev-parse --verify --quiet "$first^1")" = "$base" ]; then
      while IFS= read -r commit; do
        same "$commit^1" "$commit" || commits+=("$commit")
      done <<< "$list"
    fi
  fi
  if [ ${#commits[@]} = 0 ]; then
    number=$(owner "$end" "[\"$end\"]") || exit 1
    if [ -z "$number" ] && [ "$expect" = reviewed ]; then nobody "$end"; fi
  fi
fi

if [ "$expect" = reviewed ]; then
  login=$(login)
  if [ ${#commits[@]} -gt 0 ]; then
    numbers=() bases=() heads=()
    for commit in "${commits[@]}"; do
      ends=$(git rev-list --first-parent "$commit^1..HEAD" | jq -R . | jq -sc .)
      number=$(owner "$commit" "$ends") || exit 1
      [ -n "$number" ] || nobody "$commit"
      last=$((${#numbers[@]} - 1))
      if [ "$last" -ge 0 ] && [ "${numbers[$last]}" = "$number" ]; then
        heads[last]=$commit
      else
        numbers+=("$number") bases+=("$(git rev-parse "$commit^1")") heads+=("$commit")
      fi
    done
    last=$((${#numbers[@]} - 1))
    # What follows touches no group, so the checkout has the files of the last change.
    heads[last]=$(commit HEAD)
    for at in "${!numbers[@]}"; do
      output pull-request "${numbers[at]}"
      expect=$(digest "${numbers[at]}") || exit 1
      echo "The plan in #${numbers[at]} has the digest $expect."
      printf '%s %s %s %s\n' "${bases[at]}" "${heads[at]}" "${numbers[at]}" "$expect" >> "$WORK/changes"
    done
    number=${numbers[last]}
    output base "${bases[last]}"
  else
    [ -n "$number" ] || nobody "$GITHUB_SHA"
    if [ "$fork" = false ]; then output pull-request "$number"; fi
    expect=$(digest "$number") || exit 1
    echo "The plan in #$number has the digest $expect."
  fi
fi
if [ "$fork" = false ]; then output pull-request "$number"; fi
output expect "$expect"
