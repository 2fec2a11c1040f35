#!/bin/sh
# torture.sh [NAME...] - the long form of every fault test, one after another.
#
# Prints a line for each promise of the table below: what was measured, the
# bound beside it, and whether every check of that script passed.  The whole
# output of each is kept in build/torture.  Names select: `torture.sh kills`.
set -u
cd "$(dirname "$0")/../.." || exit 1
CW_BUILD=${CW_BUILD:-$PWD/build}
out=$CW_BUILD/torture
mkdir -p "$out"
LONG=1 CW_TORTURE=1
export LONG CW_TORTURE CW_BUILD
bad=0 n=0 last=

chosen() {
	[ $# = 1 ] && return 0
	name=$1
	shift
	for want in "$@"; do
		case $name in *"$want"*) return 0 ;; esac
	done
	return 1
}

# run TEST NAME - its output in $out/NAME, its word in $verdict; the table is
#                 not its input
run() {
	began=$(date +%s)
	case $1 in
	unit/*) "$CW_BUILD/tests/$1" </dev/null >"$out/$2" 2>&1 ;;
	*) "tests/$1" </dev/null >"$out/$2" 2>&1 ;;
	esac
	case $? in
	0) verdict="ok  " ;;
	77) verdict=skip ;;
	*) verdict=FAIL bad=$((bad + 1)) ;;
	esac
	n=$((n + 1))
	took=$(($(date +%s) - began))
	grep -E '^(not ok|skip)' "$out/$2" | cut -c1-300 | sed 's/^/     /'
}

# promise | test | which of its lines holds the figure
while IFS='|' read -r promise test figure; do
	name=$(basename "$test" .sh)
	chosen "$name" "$@" || continue
	if [ "$test" != "$last" ]; then
		run "$test" "$name"
		last=$test
	fi
	said=$(grep -E "^(figure )?$figure" "$out/$name" | sed 's/^figure //' |
	    tr '\n' ';' | sed 's/;$//; s/;/; /g')
	[ -n "$said" ] || said="no figure; see $out/$name"
	printf '%s %-26s %s [%s, %d s]\n' "$verdict" "$promise" "$said" \
	    "$name" "$took"
done <<EOT
2 power loss|unit/test_spool|[0-9]+ prefixes
10 syslog hangs|unit/test_syslog|.*syslog
8 keys and rights|e2e/75-curve.sh|.* kinds of stranger
8 rights over jobs|e2e/76-own-jobs.sh|of 8 tries
12 hostile YAML|faults/95-hostile-yaml.sh|.*files
13 sandbox|e2e/70-sandbox-holds.sh|.*forbidden
15 the end|e2e/45-drain.sh|TERM
4 killers end alone|faults/60-hostile-worker.sh|.*deaths each
14 hostile worker|faults/60-hostile-worker.sh|.*ways to lie
3 replacement|faults/65-replacement.sh|.*kills
16 clock, spools|faults/70-clock-and-spool.sh|.*jumps
10 unreadable rows|faults/75-unreadable-row.sh|.*unreadable rows
10 full disk|faults/80-disk-full.sh|.*full disks
6 bombs|faults/40-hostile-images.sh|bombs
5 hostile images|faults/40-hostile-images.sh|.*hostile files
7 hostile peers|faults/20-hostile-peers.sh|.*attacks
7 slow readers|faults/20-hostile-peers.sh|(a client|deaf)
11 reload storm|faults/90-reload-storm.sh|.*SIGHUPs
9 overload|faults/30-overload.sh|offered
1 kills|faults/10-kills.sh|.*kills
20 allocation failure|faults/50-no-memory.sh|allocations
EOT
echo "$n torture tests, $bad failed; their output is in $out"
[ "$bad" = 0 ] && [ "$n" -gt 0 ]
