#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# SIGHUP every 50 ms under load: no verdict mixes two sets, none is lost.
# LONG=1: a minute of it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

mkdir "$TMP_DIR/policies"
config "policies: $TMP_DIR/policies/
log: {to: stderr, level: warning}"
"$PYTHON" "$here/reloads.py" || FAILED=1
finish
