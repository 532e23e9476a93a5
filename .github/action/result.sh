#!/usr/bin/env bash
# Ends the job with the exit code of convoke. If an issue shows the differences or what is blocked, drift does not fail the
# job.
set -euo pipefail
case "$COMMAND-$COMMENT-$EXIT_CODE" in
  drift-true-2 | drift-true-3) exit 0 ;;
esac
exit "$EXIT_CODE"
