#!/bin/sh
# run.sh GROUP TEST... - run the tests of a group, a line each, and count.
#                        JOBS=n: so many beside each other.
# run.sh total         - the sum of the groups since the last total.
#
# A unit test is a cmocka program; a script prints `ok NAME`, `not ok NAME: why`
# and `skip NAME: why` lines; one that prints none of them has failed.  What
# fails shows its whole output.
set -u

tally=$CW_BUILD/tests/tally
mkdir -p "$CW_BUILD/tests"

if [ "$1" = total ]; then
	awk '{ p += $1; f += $2; s += $3 }
	    END { printf "%d passed, %d failed, %d skipped\n", p, f, s
		  exit (f > 0 || p == 0) }' "$tally"
	rc=$?
	rm -f "$tally"
	exit $rc
fi

group=$1
shift
passed=0 failed=0 skipped=0 bad=0
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
began=$(date +%s)

# one NUMBER TEST - its output and its exit code to files
one() {
	CMOCKA_MESSAGE_OUTPUT=stdout ${TIMEOUT:-timeout -k 10 300} "$2" \
	    >"$dir/$1" 2>&1
	echo $? >"$dir/$1.rc"
}
# lane K TEST... - every JOBS-th of them, from the K-th on
lane() {
	k=$1 i=0
	shift
	for t in "$@"; do
		[ $((i % JOBS)) != "$k" ] || one $i "$t"
		i=$((i + 1))
	done
}
JOBS=${JOBS:-1}
if [ "$JOBS" -gt 1 ]; then
	k=0
	while [ $k -lt "$JOBS" ]; do
		lane $k "$@" &
		k=$((k + 1))
	done
	wait
fi

number=0
for t in "$@"; do
	name=$(basename "$t")
	[ "$JOBS" -gt 1 ] || one $number "$t"
	out=$dir/$number
	rc=$(cat "$out.rc")
	number=$((number + 1))
	case $t in
	*.sh)
		p=$(grep -c '^ok ' "$out")
		f=$(grep -c '^not ok ' "$out")
		s=$(grep -c '^skip ' "$out")
		[ "$rc" = 77 ] && [ "$s" = 0 ] && s=1
		;;
	*)
		p=$(grep -c '^\[       OK \]' "$out")
		f=$(grep -c '^\[  FAILED  \] [^0-9]' "$out")
		s=$(grep -c '^\[  SKIPPED \] [^0-9]' "$out")
		f=$((f / 2 + f % 2))	# cmocka names a failure twice
		s=$((s / 2 + s % 2))
		;;
	esac
	[ "$rc" != 0 ] && [ "$rc" != 77 ] && [ "$f" = 0 ] && f=1
	if [ $((p + f + s)) = 0 ]; then
		f=1
		echo "not ok $name: it checked nothing" >>"$out"
	fi
	passed=$((passed + p)) failed=$((failed + f)) skipped=$((skipped + s))
	if [ "$f" -gt 0 ]; then
		bad=1
		sed 's/^/    /' "$out"
		printf 'FAIL %-28s %d passed, %d failed, %d skipped (exit %d)\n' \
		    "$name" "$p" "$f" "$s" "$rc"
	else
		printf 'ok   %-28s %d passed, %d skipped\n' "$name" "$p" "$s"
		grep -hE '^skip |^\[  SKIPPED \] [^0-9]|^figure ' "$out" |
		    sort -u | sed 's/^\[  SKIPPED \]/skip/; s/^/       /'
	fi
done
echo "$passed $failed $skipped" >>"$tally"
printf '%s: %d passed, %d failed, %d skipped in %d s\n' "$group" $passed \
    $failed $skipped $(($(date +%s) - began))
exit $bad
