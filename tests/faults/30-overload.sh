#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Three times what it can do: it does what it can, the rest is BUSY at once.
# LONG=1: a minute of it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

config 'limits: {pending: 60}
log: {to: stderr, level: notice}'
"$PYTHON" "$here/overload.py" || FAILED=1
finish
