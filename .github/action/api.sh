# Functions that the scripts of the action share. Needs curl, git and jq, which GitHub-hosted runners have.
# shellcheck shell=bash

if [ "$RUNNER_OS" = Windows ]; then
  # On Windows, jq ends its lines with a carriage return.
  jq() { command jq "$@" | tr -d '\r'; }
fi

# The folder for files that the scripts share. On Windows the path has backslashes.
WORK=${RUNNER_TEMP//\\//}/convoke
mkdir -p "$WORK"

# fail MESSAGE: ends the step with an annotation, shows the reason in the job summary, and saves it for report.sh.
fail() {
  echo "::error title=convoke::$1"
  printf '%s\n' "$1" > "$WORK/failure"
  failure_page "$1" >> "${GITHUB_STEP_SUMMARY:-/dev/null}"
  exit 1
}

# failure_page TEXT: prints the page of a command that has no result. The first line of the text is the reason.
failure_page() {
  printf '<!-- convoke:%s -->\n## convoke %s failed\n\n> [!CAUTION]\n> %s\n' "${COMMAND:-}" "${COMMAND:-}" "$(head -n 1 <<< "$1")"
  tail -n +2 <<< "$1"
  printf '\nSee [the log of the run](%s) for details.\n' "${GITHUB_SERVER_URL:-}/${GITHUB_REPOSITORY:-}/actions/runs/${GITHUB_RUN_ID:-}"
}

# unreported CODE JOURNAL: prints what is known of a convoke that ended without a report. The journal has a line before
# each request that writes, and one after its answer.
unreported() {
  local what requests='' again=' Run this job again.'
  case "$1" in
    130 | 143) what='convoke was interrupted' ;;
    129 | 13[1-9] | 14[0-9]) what="convoke was killed (exit code $1)" ;;
    '') what='The job ended before convoke did' ;;
    *) what="convoke ended with exit code $1 and without a report" again='' ;;
  esac
  if [ -s "$2" ]; then
    requests=$(jq -Rnr '
      [inputs | fromjson? | objects] as $lines
      | (reduce ($lines[] | select(.entry == "answered")) as $line ({}; .[$line.operation | tostring] = $line.outcome)) as $answers
      | [$lines[] | select(.entry == "sending")
        | { answered: "answered", refused: "refused", not_sent: "not sent" }[$answers[.seq | tostring] // ""] as $known
        | "- `\(.group.name | gsub("[`\\p{Cc}]"; "?"))`: \(.request.method), \(.adds | length) to add, \(.removes | length) to remove: "
          + ($known // "no answer, so it may have been carried out")]
      | if length > 50 then .[:50] + ["- and \(length - 50) more"] else . end | .[]' "$2" || true)
  fi
  if [ -z "$requests" ]; then
    echo "$what. Nothing was changed.$again"
  else
    printf '%s\n' "$what. These requests had been sent, and nobody has compared the groups since. The journal of this run, an artifact, tells the rest. Run this job again: it makes what is left, and reports." \
      '' "$requests"
  fi
}

# Without an input, the same files as convoke reads by default.
FILES=${FILES:-${CONVOKE_FILE:-}}

# output NAME VALUE: sets an output of the step.
output() {
  printf '%s=%s\n' "$1" "$2" >> "$GITHUB_OUTPUT"
}

# named_files: prints the paths of the input "files", one per line, without surrounding blanks.
named_files() {
  printf '%s\n' "$FILES" | sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' -e '/^$/d'
}

# list_files: prints the paths that convoke reads.
list_files() {
  if [ -n "$(named_files)" ]; then
    named_files
  elif [ -e convoke.yaml ] || [ ! -d groups ]; then
    echo convoke.yaml
  else
    echo groups
  fi
}

# sha256 FILE: prints the file's digest.
sha256() {
  if command -v sha256sum > /dev/null; then sha256sum < "$1"; else shasum -a 256 < "$1"; fi | cut -d ' ' -f 1
}

# git_setting KEY VALUE: a setting for git, and for the git that convoke runs. It is in the environment only.
git_setting() {
  local number=${GIT_CONFIG_COUNT:-0}
  export GIT_CONFIG_COUNT=$((number + 1)) "GIT_CONFIG_KEY_$number=$1" "GIT_CONFIG_VALUE_$number=$2"
}

# In a container the checkout can belong to another user than the job.
git_setting safe.directory '*'

# same COMMIT COMMIT: succeeds if the files that declare groups are the same in both. An error counts as a difference.
# So do links and submodules, because their content can differ although Git reports no difference.
same() {
  local file
  while IFS= read -r file; do
    git --literal-pathspecs diff --quiet "$1" "$2" -- "$file" 2> /dev/null || return 1
    git --literal-pathspecs ls-tree -r "$2" -- "$file" | awk '{ seen = 1 } /^1[26]0000/ { other = 1 } END { exit other || !seen }' \
      || return 1
  done < <(list_files)
}

# request METHOD PATH ANSWER [BODY]: sends a request and saves the answer to a file. The token is passed on stdin, so
# the process list does not show it. Fails with 1 if the request was refused, and with 2 if there was no usable answer.
# "$WORK/reason" has the reason. MEDIA_TYPE is the type of the answer, if it is not JSON.
request() {
  local method=$1 url=$GITHUB_API_URL/$2 answer=$3 body=${4:-} status message="" code=2
  local arguments=(--config - --silent --show-error --location --connect-timeout 20 --max-time 120)
  arguments+=(--request "$method" --header "Accept: ${MEDIA_TYPE:-application/vnd.github+json}")
  arguments+=(--output "$answer" --write-out '%{http_code}')
  # A POST is not repeated: after a lost answer it could create a second comment.
  if [ "$method" != POST ]; then arguments+=(--retry 3); fi
  if [ -n "$body" ]; then arguments+=(--header 'Content-Type: application/json' --data-binary "@$body"); fi
  rm -f "$answer"
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$GITHUB_TOKEN" | curl "${arguments[@]}" "$url") || status=000
  case "$status" in
    2??)
      if [ -n "${MEDIA_TYPE:-}" ] || jq -e 'type | . == "object" or . == "array"' "$answer" > /dev/null 2>&1; then return 0; fi
      message='not JSON. Something between the runner and GitHub answered'
      ;;
    *)
      message=$(jq -r '.message? // empty' "$answer" 2> /dev/null || true)
      case "$status-$message" in
        000-* | 408-* | 429-* | 5??-* | 403-*'rate limit'*) ;;
        *) code=1 ;;
      esac
      ;;
  esac
  printf '%s\n' "$method $url: HTTP $status${message:+ ($message)}" | tee "$WORK/reason" >&2
  return "$code"
}

# reason: prints why the last request failed.
reason() {
  cat "$WORK/reason" 2> /dev/null || echo 'The reason is not known'
}

# pages PATH: prints all entries of a list as one array. Anything but a page ends it, and so does a list without an end.
pages() {
  local page=1 path=$1 folder length separator='?' code=0
  case "$path" in *'?'*) separator='&' ;; esac
  folder=$(mktemp -d)
  while :; do
    request GET "$path${separator}per_page=100&page=$page" "$folder/page.json" || code=$?
    if [ "$code" != 0 ]; then break; fi
    length=$(jq 'if type == "array" then length else -1 end' "$folder/page.json")
    if [ "$length" -lt 0 ] || [ "$page" -gt 100 ]; then
      echo "GET $GITHUB_API_URL/$path: page $page is not a page of a list" | tee "$WORK/reason" >&2
      code=2
      break
    fi
    cat "$folder/page.json" >> "$folder/all.json"
    if [ "$length" -lt 100 ]; then break; fi
    page=$((page + 1))
  done
  if [ "$code" = 0 ]; then jq -s 'add' "$folder/all.json"; fi
  rm -r "$folder"
  return "$code"
}

# login: prints the user of the token. Comments and issues by other authors are never read or changed, so a guess would
# write a second comment. The query changes nothing, so it is repeated, although it is a POST.
login() {
  local wait code name=''
  echo '{"query":"{viewer{login}}"}' > "$WORK/query.json"
  for wait in 2 5 10 0; do
    code=0
    # On some hosts the URL of GraphQL is not below the URL of REST.
    GITHUB_API_URL=${GITHUB_GRAPHQL_URL%/graphql} request POST graphql "$WORK/login.json" "$WORK/query.json" || code=$?
    if [ "$code" != 2 ]; then break; fi
    sleep "$wait"
  done
  if [ "$code" = 0 ]; then
    name=$(jq -r '.data.viewer.login? // empty' "$WORK/login.json")
    jq -r '.errors[0].message? // "The answer names nobody"' "$WORK/login.json" > "$WORK/reason"
  fi
  [ -n "$name" ] || fail "The user of the input \"github-token\" cannot be looked up: $(reason)." >&2
  echo "$name"
}

# The jq condition for a page of this action: by this author, with this marker and name.
# Needs the variables $login, $marker and $name.
# shellcheck disable=SC2034,SC2016 # for the scripts that read this file; jq's variables, not the shell's
OURS='(.user.login == $login and ((.body // "" | gsub("\r"; "") | split("\n")) as $lines
  | $lines[0] == $marker and (if $name == ""
    then ($lines[1] // "" | startswith("<!-- convoke:name ") | not)
    else $lines[1] == "<!-- convoke:name \($name) -->" end)))'
