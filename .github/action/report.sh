#!/usr/bin/env bash
# Shows the result: one comment of a pull request for plan and apply, one issue for drift. Their first line identifies
# them, so a new run replaces the previous result.
set -euo pipefail
# shellcheck source=.github/action/api.sh
. "$(dirname "${BASH_SOURCE[0]}")/api.sh"

marker="<!-- convoke:$COMMAND -->"
page=$WORK/page.md
if [ "$TOUCHED" = false ]; then
  printf '%s\n## No group is changed\n\nThis pull request changes no file that declares groups.\n' "$marker" > "$page"
elif [ -n "$REPORT" ] && [ "$(head -n 1 "$REPORT" | tr -d '\r')" = "$marker" ]; then
  cp "$REPORT" "$page"
else
  # convoke did not run, or it wrote no page. The result of an earlier run must not remain visible.
  reason=$(cat "$WORK/failure" 2> /dev/null || true)
  if [ -z "$reason" ]; then reason="convoke ended with ${EXIT_CODE:-no exit code}."; fi
  printf '%s\n## convoke %s failed\n\n> [!CAUTION]\n> %s\n\nSee [the log of the run](%s) for details.\n' "$marker" "$COMMAND" \
    "$reason" "$GITHUB_SERVER_URL/$GITHUB_REPOSITORY/actions/runs/$GITHUB_RUN_ID" > "$page"
fi
if [ -n "$NAME" ]; then
  { echo "$marker" && echo "<!-- convoke:name $NAME -->" && tail -n +2 "$page"; } > "$page.named"
  mv "$page.named" "$page"
fi

# ours FILE: prints the number or id of the comment or issue of an earlier run.
ours() {
  jq -r --arg login "$(login)" --arg marker "$marker" --arg name "$NAME" "[.[] | select($OURS)] | first | $2 // empty" "$1"
}

# send METHOD PATH KEY VALUE…: sends an object of strings. "@page" is replaced with the page, cut to the size that GitHub accepts.
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
    | if .body == "@page" then .body = ($page | fitting) else . end' --args "$@" > "$WORK/body.json"
  request "$method" "$path" "$WORK/answer.json" "$WORK/body.json" \
    || fail "The result cannot be shown on GitHub. Give the job the permission that docs/ci.md names. The job summary holds the page."
}

if [ "$COMMAND" != drift ]; then
  comments=repos/$GITHUB_REPOSITORY/issues/$PULL_REQUEST/comments
  pages "$comments" > "$WORK/comments.json" || fail "The comments of #$PULL_REQUEST cannot be read."
  id=$(ours "$WORK/comments.json" .id)
  if [ -n "$id" ]; then
    send PATCH "repos/$GITHUB_REPOSITORY/issues/comments/$id" body @page
  elif [ "$TOUCHED" != false ]; then
    send POST "$comments" body @page
  fi
  exit 0
fi

# A failed run compared nothing. The issue does not change, and the job fails.
case "$EXIT_CODE" in 0 | 2 | 3) ;; *) exit 0 ;; esac
issues=repos/$GITHUB_REPOSITORY/issues
pages "$issues?state=open" > "$WORK/issues.json" || fail 'The issues cannot be read. The job needs the permission "issues: write".'
number=$(ours "$WORK/issues.json" .number)
if [ "$EXIT_CODE" = 0 ]; then
  if [ -n "$number" ]; then
    send POST "$issues/$number/comments" body 'The account matches the files again.'
    send PATCH "$issues/$number" state closed state_reason completed
  fi
elif [ -n "$number" ]; then
  send PATCH "$issues/$number" body @page
else
  send POST "$issues" title "Cloudflare groups differ from the files${NAME:+ ($NAME)}" body @page
fi
