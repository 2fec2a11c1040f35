#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# kill -9 of supervisor, gate and workers under load, at any moment and aimed
# at the steps: an accepted job gets exactly one verdict.  LONG=1: 2,000 kills.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

config 'workers: {count: 2, batch: 4}
log: {to: stderr, level: notice}'
"$PYTHON" "$here/kills.py" || FAILED=1
same "one stored verdict an id" 0 "$(sqlite3 "$TMP_DIR"/spool/*.db \
    'select count(*) from (select id from verdicts group by id having count(*) > 1)' \
    2>&1)"
finish
