# shellcheck shell=sh
# lib.sh - what the end-to-end and fault scripts share; sourced, not run.
#
# A script prints `ok NAME`, `not ok NAME: why`, `skip NAME: why` and
# `figure TEXT` lines and ends with `finish`.  Everything lives in $TMP_DIR
# and goes when the script ends, daemons too.  Nothing sleeps for a fixed
# time: `until_true SECONDS COMMAND...` polls.
set -u

here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
CW_BUILD=${CW_BUILD:-$root/build}
case $CW_BUILD in /*) ;; *) CW_BUILD=$root/$CW_BUILD ;; esac
PYTHON=${PYTHON:-/usr/bin/python3}
CLIENT=$root/tests/e2e/client.py
TMP_DIR=$(mktemp -d)
export CW_BUILD PYTHON TMP_DIR ROOT="$root" PYTHONDONTWRITEBYTECODE=1
DAEMON=
FAILED=0
SOCKET=$TMP_DIR/control.sock

ok() {
	echo "ok $1"
}
not_ok() {
	echo "not ok $1: ${2-}"
	FAILED=$((FAILED + 1))
}
# check NAME COMMAND... - does it succeed?
check() {
	name=$1
	shift
	if why=$("$@" 2>&1); then
		ok "$name"
	else
		not_ok "$name" "$(echo "$why" | tail -n 3 | tr '\n' ' ')"
	fi
}
# same NAME WANT GOT
same() {
	if [ "$2" = "$3" ]; then
		ok "$1"
	else
		not_ok "$1" "got '$3', want '$2'"
	fi
}
skip() {
	echo "skip $1: ${2-}"
}
figure() {
	echo "figure $*"
}

until_true() {
	end=$(($(date +%s) + $1))
	shift
	until "$@" >/dev/null 2>&1; do
		[ "$(date +%s)" -lt "$end" ] || return 1
		sleep 0.05
	done
}

# config [LINES] - the daemon's file: free ports, all in $TMP_DIR.  Further
# lines replace the keys that start them.
config() {
	{
		echo "${1-}"
		while read -r line; do
			key=${line%%:*}
			printf '%s\n' "${1-}" | grep -q "^$key:" ||
			    printf '%s\n' "$line"
		done <<-EOT
			model: {path: $root/models/starter, cache: $TMP_DIR}
			policies: $root/policies/
			queue: {submit: "tcp://127.0.0.1:*", pull: "tcp://127.0.0.1:*"}
			verdicts: {pub: "tcp://127.0.0.1:*"}
			workers: {count: 1, batch: 4}
			spool: {path: $TMP_DIR/spool}
			control: {socket: $SOCKET}
			http: {listen: ""}
			log: {to: stderr, level: info}
			plugins: [png]
		EOT
	} >"$TMP_DIR/config.yaml"
}

clipward() {
	"$CW_BUILD/clipward" --socket "$SOCKET" "$@"
}

# status KEY[.KEY] - one value of `clipward status --json`
status() {
	clipward status --json 2>/dev/null | "$PYTHON" -c '
import json, sys
v = json.load(sys.stdin)
for k in sys.argv[1].split("."):
    v = v[k]
print(json.dumps(v) if isinstance(v, (dict, list)) else
      str(v).lower() if isinstance(v, bool) else v)' "$1" 2>/dev/null
}
is_ready() {
	[ "$(status ready)" = true ]
}
# alive PID - is it running, and not only waiting to be reaped?
alive() {
	case $(cut -d' ' -f3 "/proc/$1/stat" 2>/dev/null) in
	""|Z|X) return 1 ;;
	esac
}

# start - run the daemon on $TMP_DIR/config.yaml and wait until it is ready
launch() {
	"$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" \
	    >>"$TMP_DIR/log" 2>&1 &
	DAEMON=$!
}
ready_or_gone() {
	is_ready || ! alive "$DAEMON"
}
start() {
	launch
	until_true "${READY_S:-60}" ready_or_gone
	if ! is_ready; then
		not_ok "the daemon is ready" "$(tail -n 5 "$TMP_DIR/log" | tr '\n' ' ')"
		finish
	fi
	ends
}
# the endpoints as bound, also as environment of client.py
ends() {
	SUBMIT=$(status endpoints.submit)
	PULL=$(status endpoints.pull)
	PUB=$(status endpoints.pub)
	export SUBMIT PULL PUB
}
# stop [SIGNAL] - end the daemon and give back its exit code in $CODE
stop() {
	kill "-${1-TERM}" "$DAEMON" 2>/dev/null
	wait "$DAEMON" 2>/dev/null
	# shellcheck disable=SC2034  # for the caller
	CODE=$?
	DAEMON=
}
client() {
	"$PYTHON" "$CLIENT" "$@"
}
children() {
	ps -o pid= --ppid "$DAEMON" | tr -d ' '
}
# child NAME - pids of the daemon's children that run clipward-NAME
child() {
	ps -o pid=,args= --ppid "$DAEMON" |
	    awk -v n="clipward-$1" 'index($2, n) { print $1 }'
}

finish() {
	[ "$FAILED" = 0 ] || {
		echo "--- log"
		tail -n 40 "$TMP_DIR/log" 2>/dev/null
	}
	[ "$FAILED" = 0 ]
	exit
}
sweep() {
	if [ -n "$DAEMON" ]; then
		# its children end with it: PR_SET_PDEATHSIG
		kill -KILL "$DAEMON" 2>/dev/null
		wait "$DAEMON" 2>/dev/null
	fi
	rm -rf "$TMP_DIR"
}
trap sweep EXIT
trap 'exit 1' INT TERM HUP

# evil - build the test plugin of evil.c; $EVIL is its path
evil() {
	EVIL=$TMP_DIR/evil.so
	if ! ${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -shared -fPIC -I"$root" \
	    -o "$EVIL" "$root/tests/e2e/evil.c" 2>"$TMP_DIR/cc"; then
		not_ok "the test plugin builds" "$(head -n 3 "$TMP_DIR/cc")"
		finish
	fi
}
