#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# The gate by itself: a script in the supervisor's place, pyzmq as its peers.
# To measure the sandbox's list: CW_GATE_PREFIX="strace -f -o FILE" $0
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

if "$PYTHON" "$here/05-gate-alone.py"; then
	finish
fi
exit 1
