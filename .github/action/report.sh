#!/usr/bin/env bash
# Shows the result: one comment of a pull request for plan and apply, one issue for drift. Their first line identifies
# them, so a new run replaces the previous result.
set -euo pipefail
# shellcheck source=.github/action/api.sh
. "$(dirname "${BASH_SOURCE[0]}")/api.sh"

marker="<!-- convoke:$COMMAND -->"
page=$WORK/page.md
run=$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID
failure=$(cat "$WORK/failure" 2> /dev/null || true)

# write_page CHANGE REPORT: the report, or a page with the reason if there is none. An earlier result must not remain
# visible. The job summary holds each page: run.sh has written those of its reports there, and "fail" those of its reasons.
write_page() {
  local reason journal
  reason=$(cat "$WORK/unreviewed.$1" 2> /dev/null || echo "$failure")
  journal=$(cat "$WORK/journal.$1" 2> /dev/null || true)
  if [ -s "$2" ] && [ "$(head -n 1 "$2" | tr -d '\r')" = "$marker" ]; then
    cp "$2" "$page"
  elif [ "$TOUCHED" = false ]; then
    printf '%s\n## No group is changed\n\nThis pull request changes no file that declares groups.\n' "$marker" | tee "$page" >> "$GITHUB_STEP_SUMMARY"
  elif [ -n "$reason" ]; then
    failure_page "$reason" > "$page"
  else
    failure_page "$(unreported "$EXIT_CODE" "$journal")" | tee "$page" >> "$GITHUB_STEP_SUMMARY"
  fi
  named "$page"
}

# named PAGE: adds the name of this use to a page.
named() {
  if [ -n "$NAME" ]; then
    { echo "$marker" && echo "<!-- convoke:name $NAME -->" && tail -n +2 "$1"; } > "$1.named"
    mv "$1.named" "$1"
  fi
}

# ours FILE KEY: prints the number or id of the comment or issue of an earlier run.
ours() {
  jq -r --arg login "$login" --arg marker "$marker" --arg name "$NAME" "[.[] | select($OURS)] | first | $2 // empty" "$1"
}

# cannot WHAT: fails because the last request did not succeed.
cannot() {
  fail "$1: $(reason). If the permission is missing, give the job the permission that docs/ci.md names. The job summary holds the page."
}

# send METHOD PATH KEY VALUE…: sends an object of strings. "@page" is replaced with the page, cut to the size that GitHub
# accepts. "labels" and "assignees" are lists with commas.
send() {
  local method=$1 path=$2
  shift 2
  jq -n --rawfile page "$page" --arg digest "$DIGEST" '
    def fitting: if length <= 65536 then . else
      (.[:65000] | split("\n")[:-1] | join("\n"))
      + "\n\nThe page is longer than a comment can be. The summary of the job holds all of it.\n"
      + (if $digest == "" then "" else "\nDigest: `\($digest)`\n" end) end;
    $ARGS.positional as $words
    | reduce range(0; $words | length; 2) as $at ({}; .[$words[$at]] = $words[$at + 1])
    | if .body == "@page" then .body = ($page | fitting) else . end
    | with_entries(if .key == "labels" or .key == "assignees"
        then .value |= (split(",") | map(gsub("^\\s+|\\s+$"; "") | select(. != ""))) else . end)
    | with_entries(select(.value != []))' --args "$@" > "$WORK/body.json"
  request "$method" "$path" "$WORK/answer.json" "$WORK/body.json" || cannot 'The result cannot be shown on GitHub'
}

# comment NUMBER: writes the page into the one comment of this command on a pull request.
comment() {
  local comments=repos/$GITHUB_REPOSITORY/issues/$1/comments id
  pages "$comments" > "$WORK/comments.json" || cannot "The comments of #$1 cannot be read"
  id=$(ours "$WORK/comments.json" .id)
  if [ -n "$id" ]; then
    send PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" body @page
  elif [ "$TOUCHED" != false ]; then
    send POST "$comments" body @page
  fi
}

login=$(login)
# A push can hold the changes of several pull requests. One that cannot get its comment does not concern the others.
if [ -s "$WORK/changes" ]; then
  at=0 failed=false
  while read -r _ _ number digest <&4; do
    at=$((at + 1)) DIGEST=${digest#-}
    write_page "$at" "$(cat "$WORK/report.$at" 2> /dev/null || true)"
    if [ "$number" != - ]; then (comment "$number") || failed=true; fi
  done 4< "$WORK/changes"
  [ "$failed" = false ] || exit 1
  exit 0
fi
write_page 0 "$REPORT"
if [ "$COMMAND" != drift ]; then
  comment "$PULL_REQUEST"
  exit 0
fi

# A failed run compared nothing. The issue does not change, and the job fails.
case "$EXIT_CODE" in 0 | 2 | 3) ;; *) exit 0 ;; esac
issues=repos/$GITHUB_REPOSITORY/issues
pages "$issues?state=open" > "$WORK/issues.json" || cannot 'The issues cannot be read'
number=$(ours "$WORK/issues.json" .number)
# What differs, without who changed it and when, help, and the lines of the files, which move. The digest covers what a
# long page leaves out. Editing an issue notifies nobody, a comment does.
awk -v digest="$DIGEST" '
  BEGIN { print digest }
  { sub(/^> /, "") }
  !/^(- |### |[0-9])/ { next }
  # "in 1 of 2 groups": the other groups do not matter.
  /^### / { sub(/ in [0-9]+ of [0-9]+ groups?$/, "") }
  # "- unexpected `person` in `group`, added …"
  match($0, /^- [a-z]+ `[^`]*` in `[^`]*`/) { $0 = substr($0, 1, RLENGTH) }
  { gsub(/\[?`[^`]*:[0-9]+`(\]\([^)]*\))?/, ""); sub(/\. Help: .*/, ""); print }' "$page" | LC_ALL=C sort > "$WORK/differences"
differences="<!-- convoke:differences $(sha256 "$WORK/differences") -->"
printf '\n%s\n' "$differences" >> "$page"
if [ "$EXIT_CODE" = 0 ]; then
  if [ -n "$number" ]; then
    send POST "$issues/$number/comments" body 'The account matches the files again.'
    send PATCH "$issues/$number" state closed state_reason completed
  fi
elif [ -n "$number" ]; then
  known=$(jq --argjson number "$number" --arg line "$differences" \
    'any(.[]; .number == $number and (.body | gsub("\r"; "") | split("\n") | index($line)) != null)' "$WORK/issues.json")
  send PATCH "$issues/$number" body @page
  if [ "$known" = false ]; then
    send POST "$issues/$number/comments" body "The differences have changed. The description above shows them as of [this run]($run)."
  fi
else
  send POST "$issues" title "Cloudflare groups differ from the files${NAME:+ ($NAME)}" body @page \
    labels "${LABELS:-}" assignees "${ASSIGNEES:-}"
fi
