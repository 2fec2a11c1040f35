#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Policies change under way: a good set is taken whole, a bad one not at all.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$TMP_DIR/policies"
cp "$root/policies/violence.yaml" "$root/policies/hate.yaml" "$TMP_DIR/policies"
config "policies: $TMP_DIR/policies/"
start
client pictures "$TMP_DIR" 1 >"$TMP_DIR/list"
picture=$(cat "$TMP_DIR/list")

# scored_under ID - the policies' hash and ids that scored a picture
scored_under() {
	client score -p "$1-" -H '{"explain":"never"}' "$picture" |
	    "$PYTHON" -c 'import json, sys
v = json.load(sys.stdin)
print(v["policies"]["hash"], *sorted({s["policy"] for s in v["scores"]}))'
}
first=$(status policies.hash)
same "scored under the first set" "$first hate violence" "$(scored_under a)"

cat >"$TMP_DIR/policies/extra.yaml" <<-'EOT'
	schema: clipward.policy/1
	id: extra
	version: 1
	title: Something else
	templates: ["a photo of {}."]
	categories:
	  - id: extra.shape
	    title: A shape
	    severity: low
	    prompts: [a red circle, a green square]
	    reason: {code: X-1, text: A shape.}
	neutral: [a dog, a cat, a house]
	score: softmax
	thresholds: {review: 0.55, block: 0.85}
EOT
check "clipward reload takes a good set" clipward reload
second=$(status policies.hash)
check "its hash is another" test "$second" != "$first"
same "scored under the second set" "$second extra hate violence" \
    "$(scored_under b)"

cp "$TMP_DIR/policies/extra.yaml" "$TMP_DIR/good"
sed 's/severity: low/severity: lowish/' "$TMP_DIR/good" \
    >"$TMP_DIR/policies/extra.yaml"
if clipward reload >"$TMP_DIR/out" 2>&1; then
	not_ok "a bad set is refused" "exit 0"
else
	ok "a bad set is refused"
fi
check "file, line and column are named" \
    grep -q 'extra\.yaml:9:[0-9]*: ' "$TMP_DIR/out"
check "in the log the error is one value" \
    grep -q 'refused error="[^"]*\\"lowish\\"[^"]*" generation=' "$TMP_DIR/log"
same "the second set stays" "$second" "$(status policies.hash)"
same "and scores" "$second extra hate violence" "$(scored_under c)"

sed 's/version: 1/version: 2/' "$TMP_DIR/good" >"$TMP_DIR/policies/extra.yaml"
is_third() {
	[ "$(status policies.hash)" != "$second" ]
}
kill -HUP "$DAEMON"
check "SIGHUP takes a good set" until_true 10 is_third
kill -HUP "$DAEMON"
printf '%s\n' '%' >"$TMP_DIR/policies/extra.yaml"
third=$(status policies.hash)
kill -HUP "$DAEMON"
check "SIGHUP on a bad set says so in the log" \
    until_true 10 grep -q 'extra\.yaml:[0-9]*:[0-9]*' "$TMP_DIR/log"
same "and keeps the old one" "$third" "$(status policies.hash)"

# expecting DECISION - a set, and what it is to decide of the picture: a
# threshold of 0 gives every one to review
expecting() {
	sed 's/review: 0.55, block: 0.85/review: 0, block: 1/' "$TMP_DIR/good"
	echo "tests: [{image: $(basename "$picture"), expect: $1}]"
}
cp "$picture" "$TMP_DIR/policies"
expecting allow >"$TMP_DIR/policies/extra.yaml"
if clipward reload >"$TMP_DIR/out" 2>&1; then
	not_ok "a set that fails its own test is refused" "exit 0"
else
	ok "a set that fails its own test is refused"
fi
check "the test is named" grep -q \
    "extra\.yaml: test $(basename "$picture") gives review; want allow" "$TMP_DIR/out"
same "the old set stays" "$third" "$(status policies.hash)"
same "and scores" "$third extra hate violence" "$(scored_under d)"
expecting review >"$TMP_DIR/policies/extra.yaml"
check "one that passes it is taken" clipward reload
check "as another set" test "$(status policies.hash)" != "$third"
same "which decides" review "$(client score -p e- "$picture" | "$PYTHON" -c 'import json, sys
print(json.load(sys.stdin)["decision"])')"
rm "$TMP_DIR/policies/$(basename "$picture")"
fourth=$(status policies.hash)
if clipward reload >"$TMP_DIR/out" 2>&1; then
	not_ok "a test whose picture is not there is refused" "exit 0"
else
	ok "a test whose picture is not there is refused"
fi
same "the set before it stays" "$fourth" "$(status policies.hash)"
check "the daemon goes on" is_ready

# Nobody waits for ever, however many ask while a reload is under way.
sed 's/version: 1/version: 3/' "$TMP_DIR/good" >"$TMP_DIR/policies/extra.yaml"
worker=$(child worker)
kill -STOP "$worker"
"$PYTHON" - "$SOCKET" "$worker" <<'EOT' >"$TMP_DIR/answers"
import collections, json, os, signal, socket, sys
peers = []
for i in range(40):
    s = socket.socket(socket.AF_UNIX)
    s.settimeout(10)
    s.connect(sys.argv[1])
    s.sendall(b'{"cmd":"reload"}\n')
    peers.append(s)
    # an answer to another's question: the reload before it has been read
    t = socket.socket(socket.AF_UNIX)
    t.connect(sys.argv[1])
    t.sendall(b'{"cmd":"get","id":"x"}\n')
    t.recv(100)
    t.close()
os.kill(int(sys.argv[2]), signal.SIGCONT)
said = collections.Counter()
for s in peers:
    try:
        a = json.loads(s.makefile().readline())
        said["ok" if a["ok"] else a["error"][:21]] += 1
        s.sendall(b'{"cmd":"reload"}\n')
        said["again"] += json.loads(s.makefile().readline())["ok"]
    except OSError as e:
        said[str(e)] += 1
print(*("%s: %d" % i for i in sorted(said.items())), sep=", ")
EOT
same "of 40 who ask 17 wait, 23 are told that they can't, all may ask again" \
    "again: 40, ok: 17, too many reloads wait: 23" "$(cat "$TMP_DIR/answers")"
check "the daemon still goes on" is_ready
finish
