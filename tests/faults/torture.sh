#!/bin/sh
# torture.sh [NAME...] - the long form of every fault test, one after another.
#
# Prints each one's figure and what failed; the whole output of each is kept
# in build/torture.  Names select: `torture.sh kills overload`.
set -u
cd "$(dirname "$0")/../.." || exit 1
out=${CW_BUILD:-build}/torture
mkdir -p "$out"
bad=0 n=0
LONG=1
export LONG

for t in tests/faults/[0-9]*.sh; do
	name=$(basename "$t" .sh)
	if [ $# -gt 0 ]; then
		chosen=
		for want in "$@"; do
			case $name in *"$want"*) chosen=1 ;; esac
		done
		[ -n "$chosen" ] || continue
	fi
	n=$((n + 1))
	began=$(date +%s)
	"$t" >"$out/$name" 2>&1
	rc=$?
	took=$(($(date +%s) - began))
	case $rc in
	0) verdict="ok  " ;;
	77) verdict="skip" ;;
	*) verdict=FAIL bad=$((bad + 1)) ;;
	esac
	printf '%s %-22s %5d s\n' "$verdict" "$name" "$took"
	grep -E '^(figure|not ok|skip)' "$out/$name" | sed 's/^/     /'
done
echo "$n torture tests, $bad failed; their output is in $out"
[ "$bad" = 0 ] && [ "$n" -gt 0 ]
