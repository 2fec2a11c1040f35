#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Without -d the command returns once jobs are taken, or says why none will be;
# under systemd the watchdog is fed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# goes [FILE] - start in the background; its exit code is $CODE
goes() {
	timeout 60 "$CW_BUILD/clipwardd" -f "${1-$TMP_DIR/config.yaml}" \
	    >"$TMP_DIR/out" 2>&1 </dev/null
	CODE=$?
}
# refused NAME CODE PATTERN - it does not start, and says why where it was asked
refused() {
	goes "$TMP_DIR/second.yaml"
	same "$1: exit $2" "$2" "$CODE"
	check "$1: said so" grep -q "^clipwardd: .*$3" "$TMP_DIR/out"
}

config
goes
same "it returns with 0" 0 "$CODE"
same "and no word" "" "$(cat "$TMP_DIR/out")"
# at once: no wait until it is ready
same "it is ready then" true "$(status ready)"
DAEMON=$(status pid)
ends
client pictures "$TMP_DIR" 1 >"$TMP_DIR/list"
check "and jobs are taken" client score "$(cat "$TMP_DIR/list")"
same "it leads a session of its own" "$DAEMON" "$(ps -o sid= -p "$DAEMON" | tr -d ' ')"
same "away from the terminal" "/dev/null /dev/null /dev/null" \
    "$(readlink "/proc/$DAEMON/fd/0" "/proc/$DAEMON/fd/1" "/proc/$DAEMON/fd/2" | xargs)"

# second LINES - a configuration beside the first one's
second() {
	mv "$TMP_DIR/config.yaml" "$TMP_DIR/first.yaml"
	config "$1
control: {socket: $TMP_DIR/other.sock}"
	mv "$TMP_DIR/config.yaml" "$TMP_DIR/second.yaml"
	mv "$TMP_DIR/first.yaml" "$TMP_DIR/config.yaml"
}
second ""
refused "the spool is another's" 74 "$TMP_DIR/spool"
second "spool: {path: $TMP_DIR/other}
queue: {submit: \"$SUBMIT\", pull: \"\"}"
refused "the address is taken" 74 'Address already in use'
second "spool: {path: $TMP_DIR/other}
model: {path: $TMP_DIR/nowhere}"
refused "a model that is not there" 78 nowhere
second "spool: {path: $TMP_DIR/other}
workers: {sandbox: maybe}"
refused "a wrong setting" 78 'want true or false'
case $CW_BUILD in
*address*) skip "no memory" "AddressSanitizer needs more" ;;
*)
	prlimit --as=60000000 "$CW_BUILD/clipwardd" -f "$TMP_DIR/second.yaml" >/dev/null 2>&1
	same "no memory: exit 71" 71 $?
	;;
esac
"$CW_BUILD/clipwardd" -x >/dev/null 2>&1
same "a wrong option: exit 64" 64 $?
check "the first one goes on" is_ready
kill "$DAEMON"
gone() {
	! alive "$DAEMON"
}
check "SIGTERM ends it" until_true 10 gone
DAEMON=

# what systemd would hear of a daemon that it wants to hear from twice a second
"$PYTHON" - "$TMP_DIR/notify" >"$TMP_DIR/heard" <<-'EOT' &
	import socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	s.settimeout(60)
	said = ""
	while "STOPPING=1" not in said:
	    said = s.recv(4096).decode()
	    print(said, flush=True)
EOT
ear=$!
until_true 5 test -S "$TMP_DIR/notify"
fed() {
	[ "$(grep -c '^WATCHDOG=1$' "$TMP_DIR/heard")" -ge 4 ]
}
config 'workers: {count: 1, batch: 4, sandbox: false}'
NOTIFY_SOCKET=$TMP_DIR/notify
WATCHDOG_USEC=500000
export NOTIFY_SOCKET WATCHDOG_USEC
start
unset NOTIFY_SOCKET WATCHDOG_USEC
check "the watchdog is fed, again and again" until_true 20 fed
check "a worker without a sandbox is logged" grep -q 'warning: .*sandbox=off' "$TMP_DIR/log"
stop
wait $ear
: >"$TMP_DIR/heard"
start
check "at the next start, too" test "$(grep -c 'warning: .*sandbox=off' "$TMP_DIR/log")" = 2
stop
finish
