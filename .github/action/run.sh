#!/usr/bin/env bash
# Runs convoke: once, or once for each pull request of a push (see change.sh). convoke writes its job summary and its
# outputs to files of this script, which passes them on. The script does not fail if convoke fails: report.sh shows the
# failure first, and result.sh ends the job.
# Outputs: exit-code, status, digest, plan, report, journal. Of several changes, they are those of the first one that
# failed, else of the last one.
# For report.sh, "$WORK/report.N" and "$WORK/journal.N" name the files of the change in line N, or of the only one (0).
set -euo pipefail

# GitHub cancels a job by SIGINT, SIGTERM after 7.5 seconds, and SIGKILL after 2.5 more. The first two reach only this
# process. convoke gets one signal, so that it finishes requests and reports: a second one would end it at once.
child='' told='' stopped=false signals=0
pass_on() {
  if [ "$stopped" = true ] && [ "$told" != "$child" ]; then
    told=$child
    kill -TERM "$child" 2> /dev/null || true
  fi
}
trap 'stopped=true signals=$((signals + 1)); pass_on' INT TERM

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
summary=$folder/summary.md
cat "$GITHUB_STEP_SUMMARY" > "$summary" 2> /dev/null || true

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
if [ "$ONLY_CHANGED" = true ] || [ -s "$WORK/changes" ]; then arguments+=(--only-changed); fi
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

# worded: replaces the commands at the end of a page: their paths are gone with the runner.
worded() {
  local merge='' by_hand='run `apply` by hand with this digest'
  if [ "${GITHUB_EVENT_NAME:-}" = pull_request ]; then merge='merge the pull request, or '; fi
  awk -v apply="To apply this plan, $merge$by_hand." \
    -v accept="If you intend all of these removals, ${merge:+merge the pull request and then }$by_hand as \`accept\`." '
    /^To apply exactly this plan:$/ { print apply; cut = 1; next }
    /^If you intend all of these removals, lift the limits for exactly this plan:$/ { print accept; cut = 1; next }
    cut && /^````*$/ { cut = 0; next }
    !cut'
}

# last: passes on the last page. "apply" writes the plan, then the report.
last() {
  echo "<!-- convoke:$COMMAND -->"
  awk '/^<!-- convoke:[a-z]+ -->$/ { page = ""; next } { page = page $0 "\n" } END { printf "%s", page }'
}

# value NAME: prints the last value of an output of convoke.
value() {
  sed -n "s/^$1=//p" "$into/outputs" | tail -n 1
}

# instead REASON: the page and the status of a change for which convoke wrote no report.
instead() {
  failure_page "$1" > "$into/report.md"
  cat "$into/report.md" >> "$summary"
  echo status=failed >> "$into/outputs"
}

# run BASE EXPECT JOURNAL: runs convoke, and saves what it wrote to the folder "$into".
run() {
  local more=() before pages=0
  if [ -n "$1" ]; then more+=("--base=$1"); fi
  if [ -n "$2" ]; then more+=("--expect=$2"); fi
  case "$COMMAND" in
    plan) more+=("--out=$into/plan.json") ;;
    apply)
      more+=(--yes "--journal=$3")
      printf '%s\n' "$3" > "$WORK/journal.$at"
      # These remain if the runner kills this process too.
      output journal "$artifact"
      { cat "$summary" && failure_page 'The job was killed before convoke ended. The journal of the run says what was done.'; } \
        > "$GITHUB_STEP_SUMMARY"
      ;;
  esac
  if [ "$COMMAND" = doctor ]; then exec 3> "$into/doctor.txt"; else exec 3>&1; fi
  : > "$into/pages.md"
  code=130
  if [ "$stopped" = false ]; then
    GITHUB_STEP_SUMMARY=$into/pages.md GITHUB_OUTPUT=$into/outputs "$CONVOKE/convoke" "${arguments[@]}" ${more[@]+"${more[@]}"} >&3 &
    child=$!
    pass_on
    while :; do
      before=$signals code=0
      wait "$child" || code=$?
      # A signal ends the wait, and hides the exit code.
      if [ "$signals" = "$before" ]; then break; fi
    done
    child='' told=''
  fi
  if [ "$COMMAND" = doctor ]; then
    cat "$into/doctor.txt"
    { echo '```text' && cat "$into/doctor.txt" && echo '```'; } >> "$summary"
  fi
  worded < "$into/pages.md" >> "$summary"
  pages=$(grep -c '^<!-- convoke:[a-z]* -->$' "$into/pages.md" || true)
  # The page of the plan is not the report of an apply that died after it.
  case "$COMMAND-$code" in
    apply-[134] | apply-6[459] | apply-77) ;;
    apply-*) pages=$((pages - 1)) ;;
  esac
  if [ "$pages" -gt 0 ]; then
    worded < "$into/pages.md" | last > "$into/report.md"
  elif [ "$code" != 0 ] && [ "$report_name" = report.md ]; then
    instead "$(unreported "$code" "$3")"
  fi
  cat "$summary" > "$GITHUB_STEP_SUMMARY"
}

at=0
into=$folder
artifact=$folder/journal.jsonl
: > "$into/outputs"
if [ -s "$WORK/changes" ]; then
  # Each change, with the files as they were then. One that fails, or that nobody reviewed, does not keep the next ones
  # back, unless the account cannot be used: convoke compares each with the files right before it.
  artifact=$folder/journals
  mkdir "$artifact"
  lines=$(grep -c . "$WORK/changes")
  prefix=$(git rev-parse --show-prefix)
  checkout=$(git rev-parse HEAD)
  failed='' unusable=false
  while read -r base head number digest <&4; do
    at=$((at + 1))
    into=$folder/$at
    mkdir "$into"
    : > "$into/outputs"
    reason='' code=1
    if [ -s "$WORK/unreviewed.$at" ]; then
      reason=$(cat "$WORK/unreviewed.$at")
    elif [ "$stopped" = true ]; then
      reason='The job was stopped before this change. Nothing of it was changed. Run this job again.' code=130
    elif [ "$unusable" = true ]; then
      reason='An earlier change of this push failed, so this one was not applied. Run this job again.'
      echo "::error title=convoke::#$number: $reason"
    fi
    if [ -n "$reason" ]; then
      echo "Change $at of $lines is not applied. $reason"
      instead "$reason"
    else
      echo "Change $at of $lines: pull request #$number."
      export GITHUB_SHA=$head CONVOKE_PULL_REQUEST=$number
      if [ "$head" = "$checkout" ]; then
        run "$base" "$digest" "$artifact/$at.jsonl"
      else
        git worktree add --quiet --detach "$into/files" "$head"
        cd "$into/files/$prefix"
        GITHUB_WORKSPACE=$into/files run "$base" "$digest" "$artifact/$at.jsonl"
        cd - > /dev/null
        git worktree remove --force "$into/files"
      fi
      case "$code" in 0 | 3 | 4 | 5 | 65) ;; *) unusable=true ;; esac
    fi
    printf '%s\n' "$into/report.md" > "$WORK/report.$at"
    if [ "$code" != 0 ] && [ -z "$failed" ]; then failed=$code shown=$into; fi
  done 4< "$WORK/changes"
  cat "$summary" > "$GITHUB_STEP_SUMMARY"
  if [ -n "$failed" ]; then code=$failed into=$shown; fi
else
  export CONVOKE_PULL_REQUEST=${PULL_REQUEST:-${CONVOKE_PULL_REQUEST:-}}
  run "$BASE" "$EXPECT" "$artifact"
fi
trap - INT TERM

status=$(value status)
if [ -z "$status" ] && [ "$code" != 0 ]; then status=failed; fi
output exit-code "$code"
output status "$status"
output digest "$(value digest)"
if [ -s "$into/plan.json" ]; then output plan "$into/plan.json"; fi
# A journal without a request has no evidence.
if [ -d "$artifact" ]; then
  for journal in "$artifact"/*.jsonl; do
    grep -qs '"entry":"sending"' "$journal" || rm -f "$journal"
  done
  case $(find "$artifact" -type f | grep -c .) in
    0) artifact='' ;;
    1) mv "$artifact"/*.jsonl "$folder/journal.jsonl" && artifact=$folder/journal.jsonl ;;
  esac
else
  grep -qs '"entry":"sending"' "$artifact" || artifact=''
fi
if [ "$COMMAND" = apply ]; then output journal "$artifact"; fi
if [ "$COMMAND" = export ]; then output report "${target:-groups}"; fi
if [ -s "$into/$report_name" ]; then output report "$into/$report_name"; fi
