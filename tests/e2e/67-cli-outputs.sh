#!/bin/sh
# shellcheck disable=SC2016,SC2317  # sh -c words; functions called by name
# Where -o may point: a device stays one, /dev/stdout is written to, and what
# can't be written is said before the work.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

starter="$root/models/starter"
picture="$root/tests/data/drop-of-blood.png"
redact() {
	"$CW_BUILD/clipward" redact -m "$starter" --prompt "a drop of blood" \
	    "$@" "$picture" 2>"$TMP_DIR/err"
}
magic() {
	head -c 4 "$1" | od -An -tx1 | tr -d ' \n'
}

redact -o /dev/stdout >"$TMP_DIR/direct"
same "standard output, a file" "1 89504e47" "$? $(magic "$TMP_DIR/direct")"
redact -o /dev/stdout | cat >"$TMP_DIR/piped"
check "standard output, a pipe" cmp "$TMP_DIR/direct" "$TMP_DIR/piped"
# Never a device of the machine's own: a copy of one.
if mknod "$TMP_DIR/null" c 1 3 2>/dev/null && : >"$TMP_DIR/null"; then
	redact -o "$TMP_DIR/null"
	same "a device" 1 $?
	check "stays one" test -c "$TMP_DIR/null"
else
	skip "a device stays one" "no right to make one"
fi
redact -o "$TMP_DIR/absent/out.png" -m "$TMP_DIR/no-model"
same "a folder that is not there" 2 $?
check "is said before the work, as typed" \
    grep -q "^clipward: $TMP_DIR/absent/out.png: No such file" "$TMP_DIR/err"
finish
