#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A REQ socket's delimiter is accepted and given back; GET asks until done.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config
start
client pictures "$TMP_DIR" 4 >"$TMP_DIR/list"
# shellcheck disable=SC2046
client req $(cat "$TMP_DIR/list") >"$TMP_DIR/verdicts" 2>"$TMP_DIR/errors"
same "four answers" 4 "$(grep -c '"decision"' "$TMP_DIR/verdicts")"
if out=$(client schema <"$TMP_DIR/verdicts"); then
	ok "by the schema"
else
	not_ok "by the schema" "$out"
fi
finish
