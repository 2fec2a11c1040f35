#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Health and metrics over HTTP: who gets what, and what a stranger can't do.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# refused NAME PATTERN CONFIG
refused() {
	config "$3"
	timeout 30 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" >"$TMP_DIR/out" 2>&1
	same "$1: start says 78" 78 $?
	check "$1: said so" grep -q "$2" "$TMP_DIR/out"
}
refused "beyond loopback without a token" 'config\.yaml:1:.*without a token; want http\.token_file' \
    'http: {listen: "0.0.0.0:0"}'
: >"$TMP_DIR/token"
refused "an empty token" 'token: no token' \
    "http: {listen: \"127.0.0.1:0\", token_file: $TMP_DIR/token}"

# asks HEAD [BYTES] - the status of the answer; its body goes to $TMP_DIR/body.
# HEAD is a request with \r and \n as printf has them; BYTES x are added to it.
asks() {
	"$PYTHON" - "$HTTP" "$TMP_DIR/body" "$@" <<-'EOT'
		import socket, sys
		end, file, head, more = (sys.argv[1:] + ["0"])[:4]
		host, port = end.rsplit(":", 1)
		s = socket.create_connection((host, int(port)), 10)
		said = b""
		try:
		    s.sendall(head.encode().decode("unicode_escape").encode("latin-1") + b"x" * int(more))
		    s.shutdown(socket.SHUT_WR)
		    while got := s.recv(65536):
		        said += got
		except OSError:
		    pass
		head, _, body = said.partition(b"\r\n\r\n")
		open(file, "wb").write(body)
		print(head.split()[1].decode() if head else "closed")
	EOT
}
get() {		# PATH [HEADER] - the same for a whole GET
	asks "GET $1 HTTP/1.1\\r\\nHost: x\\r\\nConnection: close\\r\\n${2:+$2\\r\\n}\\r\\n"
}
listens() {
	HTTP=$(status endpoints.http)
}

config 'http: {listen: "127.0.0.1:0"}'
start
listens
same "no token is set: /metrics is for all" 200 "$(get /metrics)"
stop

printf 'a-secret of ours\nanother line\n' >"$TMP_DIR/token"
config "http: {listen: \"127.0.0.1:0\", token_file: $TMP_DIR/token}
limits: {pending: 2}"
start
listens
same "/healthz" "200 alive" "$(get /healthz) $(cat "$TMP_DIR/body")"
same "/readyz" "200 ready" "$(get /readyz) $(cat "$TMP_DIR/body")"
same "/metrics without the token" 401 "$(get /metrics)"
same "and nothing is said" "" "$(cat "$TMP_DIR/body")"
for wrong in a-secre a-secrets b-secret "a-secret of ours"; do
	same "/metrics with '$wrong'" 401 "$(get /metrics "Authorization: Bearer $wrong")"
done
same "/metrics with it, not as a bearer" 401 "$(get /metrics "Authorization: Basic a-secret")"
same "/metrics with the token" 200 "$(get /metrics "Authorization: Bearer a-secret")"
sed -n 's/^# TYPE \([^ ]*\) .*/\1/p' "$TMP_DIR/body" | sort >"$TMP_DIR/told"
sed -n 's/^\.It Li \(clipward_[a-z_]*\).*/\1/p' "$root/man/clipwardd.8" | sort >"$TMP_DIR/named"
check "metrics are those of clipwardd(8)" diff "$TMP_DIR/named" "$TMP_DIR/told"
# shellcheck disable=SC2016  # the expression is grep's
same "every line is one" "" "$(grep -Ev \
    '^(# (HELP|TYPE) clipward_.*|clipward_[a-z_]+(\{[a-z]+="[^"]*"\})? [0-9.]+)$' "$TMP_DIR/body")"
check "it is ready" grep -qx 'clipward_ready 1' "$TMP_DIR/body"

same "another path" 404 "$(get /)"
same "a path above" 404 "$(get /../etc/passwd)"
same "a query is no other path" 200 "$(get '/healthz?x=1')"
same "HEAD" 200 "$(asks 'HEAD /healthz HTTP/1.0\r\n\r\n')"
same "and no body" "" "$(cat "$TMP_DIR/body")"
for method in POST PUT DELETE; do
	same "$method" 501 "$(asks "$method /healthz HTTP/1.0\\r\\nContent-Length: 0\\r\\n\\r\\n")"
done
same "garbage" 400 "$(asks '\x00\xff\x16\x03 what\r\n\r\n')"
same "a header without end" 400 "$(asks 'GET /healthz HTTP/1.0\r\nX: ' 9000)"
same "a body that nobody wants" 413 "$(asks 'GET /healthz HTTP/1.0\r\nContent-Length: 1000000\r\n\r\n')"
# Whether the answer outruns the reset is nobody's promise here.
asks 'GET /healthz HTTP/1.0\r\nX: ' 1000000 >/dev/null
asks 'GET /healthz HTTP/1.0\r\nContent-Length: 1000000\r\n\r\n' 1000000 >/dev/null
check "the daemon goes on" is_ready

# Its only worker stands: what arrives fills the queue.
client pictures "$TMP_DIR" 4 >"$TMP_DIR/list"
worker=$(child worker)
ready_says() {	# CODE TEXT
	[ "$(get /readyz) $(cat "$TMP_DIR/body")" = "$1 $2" ]
}
fill() {	# WITH - two pictures of the list
	kill -STOP "$worker"
	# shellcheck disable=SC2046
	client push $("$1" -n 2 "$TMP_DIR/list")
}
fill head
check "a full queue is not ready" until_true 10 ready_says 503 "the queue is full"
same "and alive" 200 "$(get /healthz)"
get /metrics "Authorization: Bearer a-secret" >/dev/null
check "the metrics say so, too" grep -qx 'clipward_ready 0' "$TMP_DIR/body"
kill -CONT "$worker"
check "ready when it is worked off" until_true 20 ready_says 200 ready
fill tail
check "full again" until_true 10 ready_says 503 "the queue is full"
clipward drain >/dev/null 2>&1 &
check "draining is not ready" until_true 10 ready_says 503 draining
same "and alive, still" 200 "$(get /healthz)"
kill -CONT "$worker"
wait "$DAEMON"
same "drained: exit 0" 0 $?
finish
