#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# kill -9 of supervisor, gate and workers under load, at any moment and aimed
# at the steps: an accepted job gets exactly one verdict.  LONG=1: 2,000 kills.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

config 'workers: {count: 2, batch: 4}
log: {to: stderr, level: notice}'
"$PYTHON" "$here/kills.py" || FAILED=1
# the ledger beside the table: what was promised is stored
sed -n 's/^A //p' "$TMP_DIR/ledger" | sort >"$TMP_DIR/promised"
sqlite3 "$TMP_DIR"/spool/*.db 'select id from verdicts' | sort >"$TMP_DIR/stored"
check "jobs were promised" test -s "$TMP_DIR/promised"
same "each of them is in the store" "" \
    "$(comm -23 "$TMP_DIR/promised" "$TMP_DIR/stored" | head -n 3)"
finish
