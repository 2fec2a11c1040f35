#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Hostile peers of every kind: good jobs keep being answered, memory and
# descriptors come back.  LONG=1: five times as much of each.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

# A sanitizer keeps 256 MB of what was freed, unless told; memory is judged here.
export ASAN_OPTIONS="quarantine_size_mb=4${ASAN_OPTIONS:+:$ASAN_OPTIONS}"
config 'log: {to: stderr, level: notice}'
"$PYTHON" "$here/peers.py" || FAILED=1
finish
