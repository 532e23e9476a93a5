#!/usr/bin/env bash
# Runs convoke once. convoke writes its job summary and its outputs to files of this script, which passes them on.
# The script does not fail if convoke fails: report.sh shows the failure first, and result.sh ends the job.
# Outputs: exit-code, status, digest, plan, report, journal.
set -euo pipefail
# shellcheck source=.github/action/api.sh
. "$(dirname "${BASH_SOURCE[0]}")/api.sh"

# only INPUT VALUE COMMAND…: ends the step if an input is set that the command does not use.
only() {
  local input=$1 value=$2 command
  shift 2
  for command in "$@"; do if [ "$command" = "$COMMAND" ]; then return; fi; done
  case "$value" in '' | false) ;; *) fail "The input \"$input\" is not for the command \"$COMMAND\"." ;; esac
}

case "$COMMAND" in
  plan | apply | drift | validate | review) ;;
  *) fail "The command has to be plan, apply, drift, validate or review." ;;
esac
only base "$BASE" plan apply
only only-changed "$ONLY_CHANGED" plan apply
only due "$DUE" plan apply
only expect "$EXPECT" plan apply
only accept "$ACCEPT" apply
only format "$FORMAT" review
only account-id "$ACCOUNT_ID" plan apply drift review
only sandbox "$SANDBOX" plan apply drift review
[[ $NAME =~ ^[A-Za-z0-9._-]*$ ]] || fail 'The input "name" may hold letters, digits, dots, underscores and hyphens.'

folder=$(mktemp -d "$WORK/run.XXXXXX")
: > "$folder/outputs"

# Each value is attached to its flag, so a value cannot be interpreted as a flag.
arguments=("$COMMAND")
while IFS= read -r file; do arguments+=("--file=$file"); done < <(list_files)

if [ -n "$BASE" ]; then
  commit=$(git rev-parse --verify --quiet --end-of-options "$BASE^{commit}") \
    || fail "The checkout has no commit $BASE. Let actions/checkout fetch it with fetch-depth: 0."
  # The complete tree of that commit. A path that it does not have is an empty base.
  export GIT_INDEX_FILE=$folder/index
  prefix=$(git rev-parse --show-prefix)
  git read-tree "$commit"
  (cd "$(git rev-parse --show-toplevel)" && git checkout-index --all --prefix="$folder/base/")
  unset GIT_INDEX_FILE
  mkdir -p "$folder/base"
  while IFS= read -r file; do
    case "$file" in
      /* | [A-Za-z]:* | .. | ../* | */.. | */../*) fail "With a base, files have to be below the checkout: $file is not." ;;
    esac
    arguments+=("--base=$folder/base/$prefix$file")
  done < <(list_files)
fi

if [ "$ONLY_CHANGED" = true ]; then arguments+=(--only-changed); fi
if [ "$DUE" = true ]; then arguments+=(--due); fi
if [ -n "$EXPECT" ]; then arguments+=("--expect=$EXPECT"); fi
if [ -n "$ACCEPT" ]; then arguments+=("--accept=$ACCEPT"); fi
if [ -n "$ACCOUNT_ID" ]; then arguments+=("--account-id=$ACCOUNT_ID"); fi
if [ -n "$SANDBOX" ]; then arguments+=("--sandbox=$SANDBOX"); fi
if [ "$COMMAND" = plan ] && [ -z "$API_TOKEN$SANDBOX" ] && [ "$FORK" = true ]; then
  fail 'A pull request from a fork gets no secrets. Push its branch to this repository to plan it.'
fi
if [ -n "$API_TOKEN" ]; then export CLOUDFLARE_API_TOKEN=$API_TOKEN; fi
unset API_TOKEN

report=$folder/report.md
case "$COMMAND" in
  plan) arguments+=("--out=$folder/plan.json" --format=github) ;;
  apply) arguments+=(--yes "--journal=$folder/journal.jsonl" --format=github) ;;
  drift | validate) arguments+=(--format=github) ;;
  review)
    FORMAT=${FORMAT:-html}
    case "$FORMAT" in
      csv | html | json) report=$folder/review.$FORMAT ;;
      markdown) report=$folder/review.md ;;
      *) fail 'The format of a review has to be csv, html, json or markdown.' ;;
    esac
    arguments+=("--out=$report" "--format=$FORMAT")
    ;;
esac

# convoke appends its pages: apply writes the plan, then the report.
pages=$folder/pages.md
# A canceled job sends the signal only to this script. Pass it on, so that convoke finishes requests and reports.
GITHUB_STEP_SUMMARY=$pages GITHUB_OUTPUT=$folder/outputs "$CONVOKE/convoke" "${arguments[@]}" &
child=$!
trap 'kill -TERM "$child" 2> /dev/null || true' INT TERM
while :; do
  code=0
  wait "$child" || code=$?
  if ! kill -0 "$child" 2> /dev/null; then break; fi
done
trap - INT TERM

value() {
  sed -n "s/^$1=//p" "$folder/outputs" | tail -n 1
}
status=$(value status)
if [ -z "$status" ] && [ "$code" != 0 ]; then status=failed; fi
output exit-code "$code"
output status "$status"
output digest "$(value digest)"
if [ -s "$folder/plan.json" ]; then output plan "$folder/plan.json"; fi
# A journal without a request has no evidence.
if grep -qs '"entry":"sending"' "$folder/journal.jsonl"; then output journal "$folder/journal.jsonl"; fi
if [ -s "$pages" ]; then
  cat "$pages" >> "$GITHUB_STEP_SUMMARY"
  # The last page is the result.
  { echo "<!-- convoke:$COMMAND -->" && awk '/^<!-- convoke:[a-z]+ -->$/ { page = ""; next } { page = page $0 "\n" } END { printf "%s", page }' "$pages"; } > "$folder/report.md"
fi
if [ -s "$report" ]; then output report "$report"; fi
