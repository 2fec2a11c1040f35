#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Started without standard descriptors: nothing of ours takes their places.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cw() {
	timeout 60 "$CW_BUILD/clipward" "$@" 2>"$TMP_DIR/err"
}
picture="$root/tests/data/drop-of-blood.png"
cw scan -m "$root/models/starter" "$picture" >&-
same "no standard output: exit 2" 2 $?
same "and that is all there is to say" "clipward: standard output: cannot be written" \
    "$(grep -v note "$TMP_DIR/err")"
cw scan -m "$root/models/starter" --json "$picture" <&- >"$TMP_DIR/out"
check "no standard input is no matter" grep -q '"decision":"[abr]' "$TMP_DIR/out"

config "log: {to: syslog, level: err}"
timeout 60 "$CW_BUILD/clipwardd" -f "$TMP_DIR/config.yaml" <&- >&- 2>&-
same "the daemon detaches from nothing" 0 $?
DAEMON=$(status pid)
check "and serves" is_ready
clipward drain --wait >/dev/null 2>&1
gone() {
	! alive "$DAEMON"
}
check "and ends" until_true 20 gone
gone && DAEMON=
sed "s/^workers:.*/workers: 7/" "$TMP_DIR/config.yaml" >"$TMP_DIR/wrong.yaml"
timeout 60 "$CW_BUILD/clipwardd" -f "$TMP_DIR/wrong.yaml" <&- >&- 2>&-
same "a wrong file is refused all the same" 78 $?
finish
