#!/bin/sh
# lint.sh - everything a machine can point at; a line per linter.
# shellcheck disable=SC2317  # the linters are called through run()
set -u
cd "$(dirname "$0")/../.." || exit 1
passed=0 bad=0

run() {
	name=$1
	shift
	if out=$("$@" 2>&1); then
		echo "ok lint-$name"
		passed=$((passed + 1))
	else
		echo "$out"
		echo "not ok lint-$name"
		bad=$((bad + 1))
	fi
}
werror() {
	make -s -j"$(nproc)" B=build/lint WERROR=-Werror CFLAGS='-O1 -g' all >/dev/null
}
long_files() {
	find daemon plugins -name '*.[ch]' -exec wc -l {} + |
	    awk '$2 != "total" && $1 > 600 { print $2 ": " $1 " lines, want at most 600"; bad = 1 }
		END { exit bad }'
}
check_c() {
	cppcheck -q --error-exitcode=1 --inline-suppr --std=c11 -j"$(nproc)" \
	    --enable=warning,portability,performance \
	    --suppressions-list=tests/lint/cppcheck.txt \
	    -Idaemon -I. -DCW_VERSION='"0"' daemon plugins
}
check_sh() {
	if [ -e .git ]; then
		files=$(git ls-files '*.sh' '.ci/run')
	else
		files=".ci/run $(find . -name 'build*' -prune -o -name '*.sh' -print)"
	fi || return
	# shellcheck disable=SC2086
	shellcheck -x $files
}
check_man() {
	# Our pages refer to each other before they are installed.
	said=$(mandoc -T lint -W style man/*.[1-8] 2>&1 |
	    grep -v 'referenced manual not found')
	echo "$said"
	[ -z "$said" ]
}

run werror werror
run layers tests/lint/layers.sh
run docs tests/lint/docs.sh
run length long_files
run cost python3 -m doctest tests/bench/cost.py
run cppcheck check_c
run shellcheck check_sh
run mandoc check_man
run config "${CW_BUILD:-build}/clipwardd" -n -f config.yaml
if [ -n "${CW_BUILD-}" ]; then
	mkdir -p "$CW_BUILD/tests"
	echo "$passed $bad 0" >>"$CW_BUILD/tests/tally"
fi
[ "$bad" = 0 ]
