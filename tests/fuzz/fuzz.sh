#!/bin/sh
# fuzz.sh - fuzz every parser of outside bytes with libFuzzer.
#
# TIME=60 seconds a target; TARGET=name for one; TIME=0 only builds.  New
# inputs go to build/fuzz/corpus/NAME; what is worth keeping is merged into
# tests/fuzz/corpus/NAME with MERGE=1.
set -eu
cd "$(dirname "$0")/../.."
time=${TIME:-60}
command -v clang >/dev/null || {
	echo "clang is missing; run: apt-get install -y clang libclang-rt-14-dev" >&2
	exit 1
}
# The plugins, too, are instrumented: they are most of what decodes.
san="-fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=undefined"
plugins=
for p in png webp gif; do plugins="$plugins build/fuzz/plugins/$p.so"; done
# shellcheck disable=SC2086
make -s -j"$(nproc)" B=build/fuzz CC=clang CFLAGS="-O1 -g $san" \
    HARDEN=-fPIE WARN= build/fuzz/libunit.a $plugins
export CW_BUILD="$PWD/build/fuzz"

bad=0
for src in tests/fuzz/fuzz_${TARGET:-*}.c; do
	name=$(basename "$src" .c | sed 's/^fuzz_//')
	bin=build/fuzz/fuzz_$name
	corpus=build/fuzz/corpus/$name
	kept=tests/fuzz/corpus/$name
	mkdir -p "$corpus" "$kept"
	# shellcheck disable=SC2046
	clang -std=c17 -D_GNU_SOURCE -Idaemon -I. -g -O1 \
	    -fsanitize=fuzzer,address,undefined -fno-sanitize-recover=undefined \
	    -rdynamic -o "$bin" "$src" build/fuzz/libunit.a $(make -s print-libs)
	[ "$time" != 0 ] || continue
	if "$bin" -max_total_time="$time" -timeout=10 -rss_limit_mb=2048 \
	    -max_len=65536 -print_final_stats=1 -artifact_prefix="build/fuzz/$name-" \
	    "$corpus" "$kept" >"build/fuzz/$name.log" 2>&1; then
		execs=$(sed -n 's/^stat::number_of_executed_units: //p' "build/fuzz/$name.log")
		echo "ok fuzz-$name: $execs runs in $time s, 0 crashes"
	else
		tail -n 30 "build/fuzz/$name.log"
		echo "not ok fuzz-$name: see build/fuzz/$name.log"
		bad=1
	fi
	if [ -n "${MERGE-}" ]; then
		"$bin" -merge=1 -max_len=4096 "$kept" "$corpus" >/dev/null 2>&1
	fi
done
exit $bad
