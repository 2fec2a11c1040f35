#!/bin/sh
# coverage.sh - lines of our own parsers that the unit tests and the fuzz
# corpora run, file by file, beside the bound.
#
# Built with gcc --coverage in a folder of its own.  LIMIT=90 per cent; every
# file has to reach it.  KEEP=1 adds to the counts of the last run.
set -u
cd "$(dirname "$0")/.." || exit 1
limit=${LIMIT:-90}
b=build-coverage

# Whatever reads bytes that somebody else wrote.
parsers="$(echo daemon/format/*.c daemon/conf/*.c)
    daemon/worker/decode.c daemon/worker/jpeg.c daemon/worker/exif.c
    daemon/worker/plugin.c
    daemon/model/safetensors.c daemon/model/model_config.c
    daemon/model/doc.c daemon/model/tokenizer_load.c daemon/model/bpe.c
    daemon/model/tokenizer.c daemon/model/lookup.c
    daemon/gate/message.c daemon/gate/zap.c daemon/gate/endpoint.c
    daemon/supervisor/link.c daemon/supervisor/child_log.c
    daemon/supervisor/spool_jobs.c daemon/supervisor/spool_cache.c
    plugins/png/png.c plugins/png/moving.c plugins/webp.c plugins/gif.c"

mkdir -p $b
[ -n "${KEEP-}" ] || find $b -name '*.gcda' -delete 2>/dev/null
# Tests may fail here for want of speed; make check is what judges them.
make -s -k B=$b CFLAGS='-Og -g --coverage' OPT= HARDEN=-fPIE \
    LDFLAGS=--coverage unit replay >$b/log 2>&1 ||
	echo "some tests failed, see $b/log" >&2

# "path lines-run lines" of every source that a count file speaks of
find $b -name '*.gcda' | sort | while read -r counts; do
	gcov -n "$counts" 2>/dev/null
done | awk -v list="$parsers" -v limit="$limit" '
	BEGIN { n = split(list, want, /[ \n\t]+/) }
	/^File / { file = substr($2, 2, length($2) - 2) }
	/^Lines executed:/ {
		sub(/^Lines executed:/, ""); sub(/%/, "")
		if (!(file in of) || $1 > run[file]) {
			run[file] = $1; of[file] = $3
		}
	}
	END {
		printf "%-36s %6s %8s\n", "parser", "lines", "run %"
		for (i = 1; i <= n; i++) {
			f = want[i]
			if (f == "")
				continue
			files++
			low = run[f] + 0 < limit
			bad += low
			total += of[f]
			hit += of[f] * run[f] / 100
			printf "%-36s %6d %8.2f%s\n", f, of[f], run[f], \
			    low ? "  below " limit : ""
		}
		printf "figure coverage: %.1f %% of %d lines in %d parsers," \
		    " %d of them below %d %%\n", 100 * hit / total, total, \
		    files, bad, limit
		exit bad > 0
	}'
