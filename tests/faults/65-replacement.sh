#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A worker that is killed under load is replaced in time, and the other one's
# answers hardly wait.  LONG=1: a hundred kills.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

config 'workers: {count: 2, batch: 4}
log: {to: stderr, level: notice}'
"$PYTHON" "$here/replace.py" || FAILED=1
finish
