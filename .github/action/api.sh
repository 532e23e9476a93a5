# Functions that the scripts of the action share. Needs curl and jq, which GitHub-hosted runners have.
# shellcheck shell=bash

if [ "$RUNNER_OS" = Windows ]; then
  # On Windows, jq ends its lines with a carriage return.
  jq() { command jq "$@" | tr -d '\r'; }
fi

# fail MESSAGE: ends the step with an annotation, and saves the reason for report.sh.
fail() {
  echo "::error title=convoke::$1"
  printf '%s\n' "$1" > "$WORK/failure"
  exit 1
}

# The folder for files that the scripts share. On Windows the path has backslashes.
WORK=${RUNNER_TEMP//\\//}/convoke
mkdir -p "$WORK"

# output NAME VALUE: sets an output of the step.
output() {
  printf '%s=%s\n' "$1" "$2" >> "$GITHUB_OUTPUT"
}

# list_files: prints the paths of the input "files", one per line, without surrounding blanks.
list_files() {
  printf '%s\n' "${FILES:-convoke.yaml}" | sed -e 's/^[[:space:]]*//' -e 's/[[:space:]]*$//' -e '/^$/d'
}

# sha256 FILE: prints the file's digest.
sha256() {
  if command -v sha256sum > /dev/null; then sha256sum < "$1"; else shasum -a 256 < "$1"; fi | cut -d ' ' -f 1
}

# request METHOD PATH ANSWER [BODY]: sends a request and saves the answer to a file. Fails unless the status is 2xx.
# The token is passed on stdin, so the process list does not show it.
request() {
  local method=$1 url=$GITHUB_API_URL/$2 answer=$3 body=${4:-} status
  local arguments=(--config - --silent --show-error --location --connect-timeout 20 --max-time 120)
  arguments+=(--request "$method" --header "Accept: ${ACCEPT:-application/vnd.github+json}")
  arguments+=(--output "$answer" --write-out '%{http_code}')
  # A POST is not repeated: after a lost answer it could create a second comment.
  if [ "$method" != POST ]; then arguments+=(--retry 3); fi
  if [ -n "$body" ]; then arguments+=(--header 'Content-Type: application/json' --data-binary "@$body"); fi
  status=$(printf 'header = "Authorization: Bearer %s"\n' "$GITHUB_TOKEN" | curl "${arguments[@]}" "$url") || status=000
  case "$status" in
    2??) ;;
    *)
      echo "$method $url: HTTP $status $(jq -r '.message? // empty' "$answer" 2> /dev/null || true)" >&2
      return 1
      ;;
  esac
}

# pages PATH: prints all entries of a list as one array.
pages() {
  local page=1 path=$1 folder
  local separator='?'
  case "$path" in *'?'*) separator='&' ;; esac
  folder=$(mktemp -d)
  while :; do
    request GET "$path${separator}per_page=100&page=$page" "$folder/$page.json" || return 1
    if [ "$(jq length "$folder/$page.json")" -lt 100 ]; then break; fi
    page=$((page + 1))
  done
  cat "$folder"/*.json | jq -s 'add'
  rm -r "$folder"
}

# login: prints the user of the token. Comments and issues by other authors are never read or changed.
login() {
  local folder name=
  folder=$(mktemp -d)
  echo '{"query":"{viewer{login}}"}' > "$folder/query.json"
  # On some hosts the URL of GraphQL is not below the URL of REST.
  if GITHUB_API_URL=${GITHUB_GRAPHQL_URL%/graphql} request POST graphql "$folder/answer.json" "$folder/query.json"; then
    name=$(jq -r '.data.viewer.login? // empty' "$folder/answer.json")
  fi
  rm -r "$folder"
  echo "${name:-github-actions[bot]}"
}

# The jq condition for a page of this action: by this author, with this marker and name.
# Needs the variables $login, $marker and $name.
# shellcheck disable=SC2034,SC2016 # for the scripts that read this file; jq's variables, not the shell's
OURS='(.user.login == $login and ((.body // "" | gsub("\r"; "") | split("\n")) as $lines
  | $lines[0] == $marker and (if $name == ""
    then ($lines[1] // "" | startswith("<!-- convoke:name ") | not)
    else $lines[1] == "<!-- convoke:name \($name) -->" end)))'
