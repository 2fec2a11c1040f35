#!/bin/sh
# replay.sh - each harness of $REPLAYS over its kept corpus, a line each.
set -u
bad=0
for bin in $REPLAYS; do
	name=$(basename "$bin" | sed 's/^fuzz_//')
	if n=$(timeout 120 "$bin" "tests/fuzz/corpus/$name" 2>&1); then
		echo "ok replay-$name ($n)"
	else
		echo "$n"
		echo "not ok replay-$name"
		bad=1
	fi
done
exit $bad
