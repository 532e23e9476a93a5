#!/usr/bin/env bash
# Runs convoke: once, or once for each pull request of a push (see change.sh). convoke writes its job summary and its
# outputs to files of this script, which passes them on. The script does not fail if convoke fails: report.sh shows the
# failure first, and result.sh ends the job.
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
  plan | apply | drift | validate | review | export | doctor) ;;
  *) fail "The command has to be plan, apply, drift, validate, review, export or doctor." ;;
esac
only base "$BASE" plan apply
only only-changed "$ONLY_CHANGED" plan apply
only due "$DUE" plan apply
only expect "$EXPECT" plan apply
only accept "$ACCEPT" apply
only format "$FORMAT" review
only account-id "$ACCOUNT_ID" plan apply drift review export doctor
only sandbox "$SANDBOX" plan apply drift review export doctor

folder=$(mktemp -d "$WORK/run.XXXXXX")

# Each value is attached to its flag, so a value cannot be interpreted as a flag.
arguments=("$COMMAND")
if [ "$COMMAND" = export ]; then
  target=$(named_files)
  [ "$(printf '%s\n' "$target" | grep -c .)" -le 1 ] || fail 'export writes one folder. Name only one in the input "files".'
  arguments+=("--out-dir=${target:-groups}")
else
  while IFS= read -r file; do
    case "$BASE$file" in
      "$file") ;;
      "$BASE"/* | "$BASE"[A-Za-z]:* | *..*) fail "With a base, files have to be below the checkout: $file is not." ;;
    esac
    arguments+=("--file=$file")
  done < <(named_files)
fi
if [ "$ONLY_CHANGED" = true ]; then arguments+=(--only-changed); fi
if [ "$DUE" = true ]; then arguments+=(--due); fi
# So that a workflow can tell whether something is due.
if [ "$COMMAND-$DUE" = plan-true ]; then arguments+=(--detailed-exitcode); fi
# A job that is run again must not take back what was merged since. convoke leaves that out if it knows --tip; else the job
# ends here. The first run of a job is not concerned: the runs go one after the other, in the order of the merges.
if [ "$COMMAND" = apply ] && [ -n "${TIP:-}" ]; then
  case "$("$CONVOKE/convoke" apply --help)" in
    *--tip*) arguments+=("--tip=$TIP") ;;
    *)
      if [ "${GITHUB_RUN_ATTEMPT:-1}" != 1 ] && ! same HEAD "$TIP"; then
        fail "The branch has changed the groups since this job was created (now at $TIP), and running it again could take that back. Nothing was changed. Run \"plan\" by hand, then \"apply\" by hand with its digest."
      fi
      ;;
  esac
fi
if [ -n "$ACCEPT" ]; then arguments+=("--accept=$ACCEPT"); fi
if [ -n "$ACCOUNT_ID" ]; then arguments+=("--account-id=$ACCOUNT_ID"); fi
if [ -n "$SANDBOX" ]; then arguments+=("--sandbox=$SANDBOX"); fi
if [ "$COMMAND" = plan ] && [ -z "$API_TOKEN$SANDBOX" ] && [ "${GITHUB_EVENT_NAME:-}" = pull_request ] \
  && [ "$(jq -r '.pull_request.head.repo.full_name // empty' "$GITHUB_EVENT_PATH")" != "$GITHUB_REPOSITORY" ]; then
  fail 'A pull request from a fork gets no secrets. Push its branch to this repository to plan it.'
fi
if [ -n "$API_TOKEN" ]; then export CLOUDFLARE_API_TOKEN=$API_TOKEN; fi
unset API_TOKEN

report_name=report.md
case "$COMMAND" in
  plan | apply | drift | validate) arguments+=(--format=github) ;;
  review)
    FORMAT=${FORMAT:-html}
    case "$FORMAT" in
      csv | html | json) report_name=review.$FORMAT ;;
      markdown) report_name=review.md ;;
      *) fail 'The format of a review has to be csv, html, json or markdown.' ;;
    esac
    arguments+=("--out=$folder/$report_name" "--format=$FORMAT")
    ;;
esac

# A canceled job sends the signal only to this process. Pass it on, so that convoke finishes requests and reports.
child='' stopped=false
trap 'stopped=true; if [ -n "$child" ]; then kill -TERM "$child" 2> /dev/null || true; fi' INT TERM

# last OUTPUT PAGES: prints the last page. "apply" writes the plan, then the report. The saved plan is gone with the
# runner, so a page does not end with its path.
last() {
  echo "<!-- convoke:$COMMAND -->"
  awk '/^<!-- convoke:[a-z]+ -->$/ { page = ""; next } { page = page $0 "\n" } END { printf "%s", page }' "$1" |
    awk '/^To apply exactly this plan:$/ { print "To apply this plan, merge the pull request, or run `apply` by hand with this digest."; cut = 1; next }
      cut && /^```$/ { cut = 0; next } !cut'
}

# value NAME: prints the last value of an output of convoke.
value() {
  sed -n "s/^$1=//p" "$into/outputs" | tail -n 1
}

# run FOLDER BASE EXPECT: runs convoke, and saves what it wrote to the folder.
run() {
  local more=()
  into=$1
  mkdir -p "$into"
  : > "$into/outputs"
  if [ -n "$2" ]; then more+=("--base=$2"); fi
  if [ -n "$3" ]; then more+=("--expect=$3"); fi
  case "$COMMAND" in
    plan) more+=("--out=$into/plan.json") ;;
    apply) more+=(--yes "--journal=$into/journal.jsonl") ;;
  esac
  if [ "$COMMAND" = doctor ]; then exec 3> "$into/doctor.txt"; else exec 3>&1; fi
  GITHUB_STEP_SUMMARY=$into/pages.md GITHUB_OUTPUT=$into/outputs "$CONVOKE/convoke" "${arguments[@]}" "${more[@]}" >&3 &
  child=$!
  if [ "$stopped" = true ]; then kill -TERM "$child" 2> /dev/null || true; fi
  while :; do
    code=0
    wait "$child" || code=$?
    if ! kill -0 "$child" 2> /dev/null; then break; fi
  done
  child=
  if [ "$COMMAND" = doctor ]; then
    cat "$into/doctor.txt"
    { echo '```text' && cat "$into/doctor.txt" && echo '```'; } >> "$GITHUB_STEP_SUMMARY"
  fi
  if [ -s "$into/pages.md" ]; then
    cat "$into/pages.md" >> "$GITHUB_STEP_SUMMARY"
    last "$into/pages.md" > "$into/report.md"
  fi
}

# The changes of the push before the last one, each with the files as they were then. A change that fails does not keep
# the next ones back, unless the account cannot be used. The exit code is that of the first change that failed.
first_failure=0
lines=0
if [ -s "$WORK/changes" ]; then lines=$(grep -c . "$WORK/changes"); fi
if [ "$lines" -gt 1 ]; then
  prefix=$(git rev-parse --show-prefix)
  at=0
  while read -r base head number digest; do
    at=$((at + 1))
    if [ "$at" = "$lines" ] || [ "$stopped" = true ]; then break; fi
    echo "Pull request #$number of $lines in this push."
    git worktree add --quiet --detach "$folder/$at/files" "$head"
    cd "$folder/$at/files/$prefix"
    GITHUB_SHA=$head CONVOKE_PULL_REQUEST=$number run "$folder/$at" "$base" "$digest"
    cd - > /dev/null
    git worktree remove --force "$folder/$at/files"
    printf '%s %s %s %s\n' "$number" "$code" "$digest" "$into/report.md" >> "$WORK/earlier"
    if [ "$first_failure" = 0 ]; then first_failure=$code; fi
    case "$code" in 0 | 3 | 4 | 5) ;; *) stopped=true ;; esac
  done < "$WORK/changes"
fi

if [ "$lines" -gt 1 ] && [ "$stopped" = true ]; then
  reason='An earlier change of this push failed, so this one was not applied. Run this job again.'
  echo "::error title=convoke::$reason"
  echo "$reason" > "$WORK/failure"
else
  CONVOKE_PULL_REQUEST=${PULL_REQUEST:-${CONVOKE_PULL_REQUEST:-}} run "$folder" "$BASE" "$EXPECT"
fi
trap - INT TERM

if [ "$first_failure" != 0 ]; then code=$first_failure; fi
status=$(value status)
if [ -z "$status" ] && [ "$code" != 0 ]; then status=failed; fi
output exit-code "$code"
output status "$status"
output digest "$(value digest)"
if [ -s "$folder/plan.json" ]; then output plan "$folder/plan.json"; fi
# A journal without a request has no evidence.
journals=$(grep -ls '"entry":"sending"' "$folder/journal.jsonl" "$folder"/*/journal.jsonl || true)
case $(printf '%s' "$journals" | grep -c .) in
  0) ;;
  1) output journal "$journals" ;;
  *)
    mkdir -p "$folder/journals"
    at=0
    while IFS= read -r journal; do
      at=$((at + 1))
      cp "$journal" "$folder/journals/$at.jsonl"
    done <<< "$journals"
    output journal "$folder/journals"
    ;;
esac
if [ "$COMMAND" = export ]; then output report "${target:-groups}"; fi
if [ -s "$folder/$report_name" ]; then output report "$folder/$report_name"; fi
