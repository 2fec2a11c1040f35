#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Every program is built hard, and the unit's fence has no gap.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# hard PROGRAM - what hardening-check says of it is yes, line for line.  Only
# frames of many pages have the loop by which it knows stack clash protection.
hard() {
	hardening-check "$CW_BUILD/$1" >"$TMP_DIR/said" 2>&1
	code=$?
	bad=$(sed 1d "$TMP_DIR/said" |
	    grep -Ev ': yes|^ Stack clash protection: unknown')
	echo "${bad:-exit $code}"
	[ "$code" = 0 ] && [ -z "$bad" ] && grep -q ': yes' "$TMP_DIR/said"
}
sanitized() {
	grep -qE '__(asan|msan|tsan|ubsan)_' "$CW_BUILD/clipwardd"
}
for p in clipwardd clipward-gate clipward-worker clipward; do
	if ! command -v hardening-check >/dev/null; then
		skip "$p is hardened" "no hardening-check"
	elif sanitized; then
		skip "$p is hardened" "sanitizers go without"
	else
		check "$p is hardened" hard $p
	fi
done

if ! command -v systemd-analyze >/dev/null; then
	skip "the unit is right" "no systemd-analyze"
	skip "its exposure is at most 1.1" "no systemd-analyze"
	finish
fi
unit=$TMP_DIR/clipwardd.service
sed "s,/usr/local/sbin,$CW_BUILD," "$root/systemd/clipwardd.service" >"$unit"
# An unknown key is a line, not an exit code.
systemd-analyze verify --man=no "$unit" >"$TMP_DIR/said" 2>&1
code=$?
if grep -q 'clipwardd\.service' "$TMP_DIR/said"; then
	not_ok "the unit is right" "$(head -n 3 "$TMP_DIR/said")"
elif [ $code != 0 ]; then
	skip "the unit is right" "systemd-analyze verify can't run: $(head -n 1 "$TMP_DIR/said")"
else
	ok "the unit is right"
fi
if ! systemd-analyze --help | grep -q -- --offline; then
	skip "its exposure is at most 1.1" "systemd-analyze is too old"
	finish
fi
check "its exposure is at most 1.1" \
    systemd-analyze security --no-pager --offline=true --threshold=11 "$unit"
finish
