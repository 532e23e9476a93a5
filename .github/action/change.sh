#!/usr/bin/env bash
# Inspects the change that triggered this run. Outputs:
#   pull-request  the number of the pull request that it belongs to
#   touched       false if no file that declares groups differs from the base
#   base, tip     the commits with the files before the change, and at the tip of the branch
#   expect        the digest that the plan must have, which was reviewed in that pull request
# If run.sh has to apply parts of the branch one by one, "$WORK/changes" has a line for each: base, head, number and
# digest. Of a part that nobody reviewed, the digest is "-", the number can be "-" too, and "$WORK/unreviewed.LINE" has the
# reason.
set -euo pipefail
# shellcheck source=.github/action/api.sh
. "$(dirname "${BASH_SOURCE[0]}")/api.sh"

# Remove the files of an earlier use of the action in the same job.
rm -f "$WORK/failure" "$WORK/changes" "$WORK/unknown" "$WORK"/unreviewed.* "$WORK"/report.* "$WORK"/journal.*

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

# fetch_commit REF NAME: fetches a branch or commit as refs/convoke/NAME, and prints its commit. The checkout has no
# credentials (see persist-credentials). If it has some, they are replaced, because GitHub refuses two.
fetch_commit() {
  local depth=() wait
  if [ "$(git rev-parse --is-shallow-repository)" = true ]; then depth=(--depth=1); fi
  (
    git_setting "http.$GITHUB_SERVER_URL/.extraheader" ''
    git_setting "http.$GITHUB_SERVER_URL/.extraheader" \
      "AUTHORIZATION: basic $(printf 'x-access-token:%s' "$GITHUB_TOKEN" | base64 | tr -d '\n')"
    export GIT_TERMINAL_PROMPT=0
    for wait in 2 5 0; do
      git fetch --quiet --no-tags --no-recurse-submodules ${depth[@]+"${depth[@]}"} origin "+$1:refs/convoke/$2" >&2 && exit 0
      sleep "$wait"
    done
    exit 1
  ) && git rev-parse "refs/convoke/$2"
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
      tip=$(fetch_commit "$GITHUB_REF" tip) || fail "The tip of $GITHUB_REF cannot be fetched, so newer changes are not known. Nothing was changed."
      output tip "$tip"
      ;;
    plan-refs/pull/*)
      # In a shallow checkout the parent of the merge is missing. Without its files there is nothing to compare.
      parent=$(git cat-file commit HEAD | sed -n 's/^parent //p' | head -n 1)
      if [ -n "${GITHUB_BASE_REF:-}" ] && tip=$(fetch_commit "refs/heads/$GITHUB_BASE_REF" tip 2> /dev/null) && [ "$tip" != "$parent" ] \
        && { git cat-file -e "$parent" 2> /dev/null || fetch_commit "$parent" parent > /dev/null 2>&1; } && ! same "$parent" "$tip"; then
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
# at once, and a message alone proves nothing. "$WORK/unknown" has the reason if GitHub gave no usable answer. Fails if it
# refuses the request.
merged_as() {
  local found='select(.merged_at != null and (.merge_commit_sha as $sha | $ends | index($sha))) | .number' code=0 number
  rm -f "$WORK/unknown"
  number=$(guess "$1")
  if [ -n "$number" ]; then
    request GET "repos/$GITHUB_REPOSITORY/pulls/$number" "$WORK/pull.json" || code=$?
    if [ "$code" = 0 ]; then
      number=$(jq -r --argjson ends "[\"$1\"]" "$found" "$WORK/pull.json")
      if [ -n "$number" ]; then
        echo "$number"
        return 0
      fi
    fi
  fi
  # Open pull requests can contain the commit too. Only the merged one counts.
  if [ "$code" != 2 ]; then
    code=0
    pages "repos/$GITHUB_REPOSITORY/commits/$1/pulls" > "$WORK/pulls.json" || code=$?
  fi
  case "$code" in
    0) jq -r --argjson ends "$2" "[.[] | $found] | unique | if length == 1 then first else empty end" "$WORK/pulls.json" ;;
    1) return 1 ;;
    *) reason > "$WORK/unknown" ;;
  esac
}

# owner COMMIT ENDS: the same, asked again for up to a minute in all.
waits=(2 3 5 10 10 15 15 0)
owner() {
  local wait found
  for wait in "${waits[@]}"; do
    found=$(merged_as "$1" "$2") \
      || fail "The pull request of this commit ($1) cannot be looked up: $(reason). The job needs the permission \"pull-requests: write\"." >&2
    if [ -n "$found" ]; then
      echo "$found"
      return 0
    fi
    sleep "$wait"
  done
}

# digests NUMBER: prints the digests in the comments of a pull request.
digests() {
  pages "repos/$GITHUB_REPOSITORY/issues/$1/comments" > "$WORK/comments.json" || return 1
  jq -r --arg login "$login" --arg marker '<!-- convoke:plan -->' --arg name "$NAME" \
    '[.[] | select('"$OURS"') | .body | gsub("\r"; "") | split("\n")[] | capture("^Digest: `(?<digest>[0-9a-f]{64})`$").digest]
      | unique | .[]' "$WORK/comments.json"
}

# digest NUMBER: prints the one digest that was reviewed in a pull request.
digest() {
  local found
  found=$(digests "$1") || fail "The comments of #$1 cannot be read: $(reason)." >&2
  case $(printf '%s' "$found" | grep -c .) in
    0) fail "#$1 has no comment of $login with the digest of a plan. Look at a plan, then run the workflow by hand with its digest." >&2 ;;
    1) echo "$found" ;;
    *) fail "#$1 has comments with different digests. Look at a plan, then run the workflow by hand with its digest." >&2 ;;
  esac
}

# nobody COMMIT: fails because no pull request was found for a commit.
nobody() {
  if [ -s "$WORK/unknown" ]; then
    fail "The pull request of this commit ($1) cannot be looked up: $(cat "$WORK/unknown"). Run this job again." >&2
  fi
  fail "No merged pull request belongs to this commit ($1), so nobody reviewed a plan of it. Look at a plan, then run the workflow by hand with its digest. Right after a merge GitHub may not know the pull request yet: in that case run this job again." >&2
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
    if [ -z "$number" ] && [ "$expect" = reviewed ]; then
      # If the message names a pull request, that one gets the reason.
      output pull-request "$(guess "$end")"
      nobody "$end"
    fi
  fi
fi

# reviewed COMMIT NUMBER: prints the digest that was reviewed for the change that ends with this commit.
reviewed() {
  [ -n "$2" ] || nobody "$1"
  digest "$2"
}

if [ "$expect" = reviewed ]; then
  login=$(login)
  if [ ${#commits[@]} -gt 0 ]; then
    numbers=() bases=() heads=() failures=()
    for commit in "${commits[@]}"; do
      ends=$(git rev-list --first-parent "$commit^1..HEAD" | jq -R . | jq -sc .)
      failure='' number=$(GITHUB_STEP_SUMMARY=/dev/null owner "$commit" "$ends") || failure=$(cat "$WORK/failure")
      # GitHub got its minute.
      if [ -z "$number" ]; then waits=(0); fi
      last=$((${#numbers[@]} - 1))
      if [ "$last" -ge 0 ] && [ -n "$number" ] && [ "${numbers[$last]}" = "$number" ]; then
        heads[last]=$commit
      else
        numbers+=("$number") bases+=("$(git rev-parse "$commit^1")") heads+=("$commit") failures+=("$failure")
      fi
    done
    last=$((${#numbers[@]} - 1))
    # Each change stands alone: one that nobody reviewed does not keep back the others. run.sh reports it.
    for at in "${!numbers[@]}"; do
      number=${numbers[at]} failure=${failures[at]}
      if [ -z "$failure" ]; then
        expect=$(GITHUB_STEP_SUMMARY=/dev/null reviewed "${heads[at]}" "$number") || failure=$(cat "$WORK/failure")
      fi
      if [ -n "$failure" ]; then
        printf '%s\n' "$failure" > "$WORK/unreviewed.$((at + 1))"
        expect=-
        if [ -z "$number" ]; then number=$(guess "${heads[at]}"); fi
      else
        echo "The plan in #$number has the digest $expect."
      fi
      # What follows the last change touches no group, so the checkout has its files.
      if [ "$at" = "$last" ]; then heads[last]=$end; fi
      printf '%s %s %s %s\n' "${bases[at]}" "${heads[at]}" "${number:--}" "$expect" >> "$WORK/changes"
      if [ -n "$number" ]; then output pull-request "$number"; fi
    done
    rm -f "$WORK/failure"
    output base "${bases[last]}"
  else
    if [ "$fork" = false ]; then output pull-request "$number"; fi
    expect=$(reviewed "$GITHUB_SHA" "$number") || exit 1
    echo "The plan in #$number has the digest $expect."
  fi
  output expect "$expect"
  exit 0
fi
# reviewed_in NUMBER: succeeds if a comment of the pull request has the wanted digest.
reviewed_in() {
  digests "$1" | grep -Fqx "$wanted"
}

# find_reviewed: looks for the merged pull request whose plan has the wanted digest: in the newest commits that touch
# groups, first parent by first parent. Sets found, base and head. One that was rebased has several commits.
find_reviewed() {
  local commit number other='' touching=0 ends=''
  while IFS= read -r commit; do
    if ! git rev-parse --verify --quiet "$commit^1" > /dev/null || [ "$touching" = 30 ]; then break; fi
    ends="$commit $ends"
    if same "$commit^1" "$commit"; then continue; fi
    touching=$((touching + 1))
    number=$(merged_as "$commit" "$(jq -Rc 'split(" ")' <<< "$ends")") || return 1
    if [ -s "$WORK/unknown" ]; then return 1; fi
    if [ -n "$found" ]; then
      if [ "$number" != "$found" ]; then break; fi
      base=$(git rev-parse "$commit^1")
    elif [ -n "$number" ] && [ "$number" != "$other" ]; then
      other=$number
      if reviewed_in "$number"; then
        found=$number head=$commit base=$(git rev-parse "$commit^1")
      fi
    fi
  done < <(git rev-list --first-parent --max-count=300 HEAD)
}

# By hand, the digest is that of a merged pull request, whose change alone is applied, or that of a plan of everything.
wanted=${ACCEPT:-$expect} found=''
if [ "$COMMAND-$GITHUB_EVENT_NAME" = apply-workflow_dispatch ] && [ "$DUE" != true ] && [ -z "$base$SANDBOX" ] \
  && [[ $wanted =~ ^[0-9a-f]{64}$ ]]; then
  if ! { login=$(GITHUB_STEP_SUMMARY=/dev/null login 2> /dev/null) && find_reviewed; }; then
    found=''
    rm -f "$WORK/failure"
    echo "::warning title=convoke::It is not known whether this digest is that of a pull request: $(reason). The plan is of everything."
  fi
  if [ -n "$found" ]; then
    number=$found
    echo "The plan in #$number has this digest, so only its change is applied."
    printf '%s %s %s %s\n' "$base" "$head" "$number" "$wanted" > "$WORK/changes"
    output base "$base"
  fi
fi
if [ "$fork" = false ]; then output pull-request "$number"; fi
output expect "$expect"
