#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# The daemon comes up, says so, answers, goes when told, and comes again.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# what systemd would hear
"$PYTHON" - "$TMP_DIR/notify" >"$TMP_DIR/heard" <<-'EOT' &
	import os, socket, sys
	s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
	s.bind(sys.argv[1])
	s.settimeout(60)
	while True:
	    print(s.recv(4096).decode(), flush=True)
EOT
ear=$!
until_true 5 test -S "$TMP_DIR/notify"

config
NOTIFY_SOCKET=$TMP_DIR/notify
export NOTIFY_SOCKET
began=$(date +%s%N)
launch
# a reload before that is no readiness
until_true 10 grep -q "spool path=" "$TMP_DIR/log"
kill -HUP "$DAEMON"
until_true "${READY_S:-60}" ready_or_gone
ends
check "the daemon is ready" is_ready
figure "ready after $((($(date +%s%N) - began) / 1000000)) ms"
unset NOTIFY_SOCKET
case $SUBMIT$PULL$PUB in
*\**|"") not_ok "endpoints are resolved" "$SUBMIT $PULL $PUB" ;;
tcp://127.0.0.1:*) ok "endpoints are resolved" ;;
*) not_ok "endpoints are resolved" "$SUBMIT $PULL $PUB" ;;
esac
if grep -q "reload result=refused" "$TMP_DIR/log"; then
	same "systemd hears READY=1 once, for the start" "1 STATUS=serving" \
	    "$(grep -c READY=1 "$TMP_DIR/heard") $(grep STATUS= "$TMP_DIR/heard")"
else
	skip "a reload during the start" "it came too late"
fi
check "status speaks to people" clipward status
same "the control socket is private" 600 "$(stat -c %a "$SOCKET" | sed 's/660/600/')"
check "a gate and a worker run" test "$(children | wc -l)" -ge 2

# a second daemon keeps its hands off the spool
sed "s#control: .*#control: {socket: $TMP_DIR/other.sock}#" \
    "$TMP_DIR/config.yaml" >"$TMP_DIR/second.yaml"
timeout 20 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/second.yaml" \
    >"$TMP_DIR/second.log" 2>&1
same "a second daemon on the spool: exit 74" 74 $?
check "it names the first" grep -q "another daemon, process $DAEMON" "$TMP_DIR/second.log"
sed "s#spool: .*#spool: {path: $TMP_DIR/other}#" \
    "$TMP_DIR/config.yaml" >"$TMP_DIR/second.yaml"
timeout 20 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/second.yaml" \
    >"$TMP_DIR/second.log" 2>&1
same "one on the control socket: exit 74" 74 $?
check "and the first one goes on" is_ready

# refuses WHAT CODE PATTERN - a daemon on the spool in $TMP_DIR/third
refuses() {
	sed "s#control: .*#control: {socket: $TMP_DIR/other.sock}#
		s#spool: .*#spool: {path: $TMP_DIR/third}#" \
	    "$TMP_DIR/config.yaml" >"$TMP_DIR/second.yaml"
	timeout 20 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/second.yaml" \
	    >"$TMP_DIR/second.log" 2>&1
	same "$1: exit $2" "$2" $?
	check "$1: said so" grep -q "$3" "$TMP_DIR/second.log"
}
mkdir "$TMP_DIR/third"
head -c 8192 /dev/zero | tr '\0' x >"$TMP_DIR/third/spool.db"
refuses "a spool that is no database" 74 "third/spool.db: file is not a database"
rm "$TMP_DIR/third/spool.db"
"$PYTHON" -c 'import sqlite3, sys
sqlite3.connect(sys.argv[1]).execute("CREATE TABLE other(x)")' \
    "$TMP_DIR/third/spool.db"
refuses "another program's database" 78 "third/spool.db: not a spool of clipward"

# taken WHAT PATTERN QUEUE - one on its own spool finds an address taken
taken() {
	sed "s#control: .*#control: {socket: $TMP_DIR/other.sock}#
		s#spool: .*#spool: {path: $TMP_DIR/other}#
		s#queue: .*#queue: {submit: \"$3\", pull: \"\"}#" \
	    "$TMP_DIR/config.yaml" >"$TMP_DIR/second.yaml"
	timeout 20 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/second.yaml" \
	    >"$TMP_DIR/second.log" 2>&1
	same "$1: exit 74" 74 $?
	check "$1: said so" grep -q "$2" "$TMP_DIR/second.log"
}
taken "its TCP address is taken" "bind $SUBMIT: Address already in use" "$SUBMIT"
"$PYTHON" - "$TMP_DIR/taken" <<-'EOT' &
	import socket, sys, time
	s = socket.socket(socket.AF_UNIX)
	s.bind(sys.argv[1])
	s.listen()
	time.sleep(60)
EOT
lives=$!
until_true 5 test -S "$TMP_DIR/taken"
taken "its ipc:// address is taken" "another daemon answers there" "ipc://$TMP_DIR/taken"
kill $lives
check "that socket is still there" test -S "$TMP_DIR/taken"
clipward status >"$TMP_DIR/shown"
check "status says of what is switched off: none" grep -q 'endpoints .*http none$' "$TMP_DIR/shown"

pids=$(children)
# one job in hand, so that the stop takes a while
worker=$(child worker)
is_busy() {
	status workers | grep -q '"busy"'
}
kill -STOP "$worker"
clipward submit --connect "$SUBMIT" "$TMP_DIR/config.yaml" >"$TMP_DIR/submitted" 2>&1
until_true 3 is_busy
kill -TERM "$DAEMON"
check "systemd hears STOPPING=1" until_true 3 grep -q STOPPING=1 "$TMP_DIR/heard"
kill -HUP "$DAEMON"
check "it takes a reload then" until_true 3 grep -q "reload result=ok" "$TMP_DIR/log"
same "and nothing after it" "STOPPING=1" "$(tail -n 1 "$TMP_DIR/heard")"
kill -CONT "$worker"
stop TERM
same "SIGTERM: exit 0" 0 "$CODE"
left=
for p in $pids; do
	until_true 3 test ! -d "/proc/$p" || left="$left $p"
done
same "no child is left" "" "$left"
kill $ear 2>/dev/null

start
ok "it starts again on the same spool"
stop INT
same "SIGINT: exit 0" 0 "$CODE"
finish
