#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# valgrind.sh TEST... - unit tests, then a small daemon, under memcheck.
#
# A report fails; what a test says of its own is make check's to judge (here
# everything is thirty times slower).  memcheck knows no AVX-512, and its CPU
# says so: the AVX2 kernels run.  The daemon runs without its last doors
# (nosandbox.c), since memcheck shares its processes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

command -v valgrind >/dev/null || {
	echo "valgrind is missing; run: apt-get install -y valgrind" >&2
	exit 1
}
# libjpeg-turbo's vector code reads the margins of its rows, and drops that.
export JSIMD_FORCENONE=1
memcheck="valgrind -q --leak-check=full --show-leak-kinds=definite
    --errors-for-leak-kinds=definite --num-callers=20
    --child-silent-after-fork=yes
    --log-file=$TMP_DIR/report.%p"
# judge NAME - are there reports since the last one?
judge() {
	# what it does not know (-- PID --) is its own affair
	grep -lE '^==[0-9]+== [A-Z0-9]' "$TMP_DIR"/report* >"$TMP_DIR/which"
	if [ -s "$TMP_DIR/which" ]; then
		xargs head -n 40 <"$TMP_DIR/which"
		not_ok "valgrind $1" "$(wc -l <"$TMP_DIR/which") processes with reports"
		bad=$((bad + 1))
	else
		ok "valgrind $1"
	fi
	find "$TMP_DIR" -maxdepth 1 -name 'report*' -delete
}

bad=0
n=0
for t in "$@"; do
	name=$(basename "$t")
	$memcheck "$t" >"$TMP_DIR/out" 2>&1 ||
		echo "  ($name: $(grep -c '^\[  FAILED  \] test' "$TMP_DIR/out") of its checks fail at this speed)"
	judge "$name"
	n=$((n + 1))
done

${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -shared -fPIC -o "$TMP_DIR/nosandbox.so" \
    "$here/nosandbox.c" || finish
mkdir "$TMP_DIR/policies"
cat >"$TMP_DIR/policies/small.yaml" <<'EOT'
schema: clipward.policy/1
id: small
version: 1
title: Few texts, since each takes its time here
templates: ["a photo of {}."]
categories:
  - id: small.fruit
    title: Fruit
    severity: low
    prompts: [{text: an apple}]
neutral: ["a kitchen"]
score: softmax
thresholds: {review: 0.1, block: 0.9}
EOT
config "workers: {count: 1, batch: 4, deadline: 300s}
policies: $TMP_DIR/policies/"
LD_PRELOAD=$TMP_DIR/nosandbox.so $memcheck --trace-children=yes \
    "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" >"$TMP_DIR/log" 2>&1 &
DAEMON=$!
check "the daemon is ready" until_true 600 is_ready
ends
# shellcheck disable=SC2046  # a list of files
check "it answers" client score -t 600 -H '{"explain":"always"}' \
    $(client pictures "$TMP_DIR" 3)
check "it reloads" clipward reload
clipward status >/dev/null
stop TERM
same "it ends well" 0 "$CODE"
judge "daemon, gate and worker"
figure "valgrind: $n unit tests and a daemon with its gate and worker: $bad with reports"
finish
