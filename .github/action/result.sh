#!/usr/bin/env bash
# Ends the job with the exit code of convoke. If an issue shows the differences or what is blocked, drift does not fail the
# job. Nor does a plan of what is due.
set -euo pipefail
case "$COMMAND-$COMMENT-$EXIT_CODE" in
  drift-true-2 | drift-true-3 | plan-*-2) exit 0 ;;
esac
exit "${EXIT_CODE:-1}"
