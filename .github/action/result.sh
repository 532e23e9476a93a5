#!/usr/bin/env bash
# Ends the job as convoke ended. A difference that an open issue shows is no failure of the job.
set -euo pipefail
case "$COMMAND-$COMMENT-$EXIT_CODE" in
  drift-true-2 | drift-true-3) exit 0 ;;
esac
exit "$EXIT_CODE"
