#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Memory that runs out, in every process: an error, a clean end or a job done
# again, never a crash.  LONG=1: every n up to 2,000.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

if grep -q __asan_init "$CW_BUILD/clipwardd"; then
	skip "no memory" "a sanitizer has a malloc of its own"
	finish
fi
${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -shared -fPIC -o "$TMP_DIR/failmalloc.so" \
    "$here/failmalloc.c" || finish
config
"$PYTHON" "$here/allocations.py" || FAILED=1
finish
