#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A wrong file: one line that says where and what was wanted, exit 78.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# refused NAME PATTERN LINES - on start and with -n
refused() {
	config "$3"
	timeout 30 "$CW_BUILD/clipwardd" -n -f "$TMP_DIR/config.yaml" \
	    >"$TMP_DIR/out" 2>&1
	same "$1: -n says 78" 78 $?
	if grep -Eq "$2" "$TMP_DIR/out"; then
		ok "$1: named"
	else
		not_ok "$1: named" "$(tail -n 2 "$TMP_DIR/out")"
	fi
	timeout 30 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" \
	    >"$TMP_DIR/out" 2>&1
	same "$1: start says 78" 78 $?
}
refused "an unknown key" 'config\.yaml:2:[0-9]+: .*(dedline|deadline)' \
    'workers:
  dedline: 3s'
refused "a value out of range" 'config\.yaml:1:[0-9]+: .*want' \
    'workers: {count: 100000}'
refused "no YAML" 'config\.yaml:[0-9]+:[0-9]+: ' 'workers: [1,'
refused "a model that is not there" 'nowhere' "model: {path: $TMP_DIR/nowhere}"
refused "a policy that is not there" 'nowhere' "policies: $TMP_DIR/nowhere"
printf 'schema: clipward.policy/1\nid: x\nversoin: 1\n' >"$TMP_DIR/p.yaml"
refused "a wrong policy" 'p\.yaml:3:1: .*version' "policies: $TMP_DIR/p.yaml"
refused "a plugin that is not there" 'nowhere' 'plugins: [nowhere]'
refused "open to the world without CURVE" 'curve|CURVE' \
    'queue: {submit: "tcp://0.0.0.0:*", pull: ""}'
# found at start only, as -n opens nothing
echo precious >"$TMP_DIR/precious"
config "control: {socket: $TMP_DIR/precious}"
timeout 30 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" >"$TMP_DIR/out" 2>&1
same "a file in place of the control socket: start says 78" 78 $?
check "named" grep -q 'precious is there and no socket' "$TMP_DIR/out"
same "and left alone" precious "$(cat "$TMP_DIR/precious")"
config "queue: {submit: \"ipc://$TMP_DIR/precious\"}"
timeout 30 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" >"$TMP_DIR/out" 2>&1
same "or of an ipc:// endpoint: the same" 78 $?
check "named, too" grep -q 'ipc://.*precious is there and no socket' "$TMP_DIR/out"
same "and left alone, too" precious "$(cat "$TMP_DIR/precious")"
rm -f "$TMP_DIR/config.yaml"
"$CW_BUILD/clipwardd" -n -f "$TMP_DIR/config.yaml" >"$TMP_DIR/out" 2>&1
same "no file: 78" 78 $?
config
"$CW_BUILD/clipwardd" -n -f "$TMP_DIR/config.yaml" >"$TMP_DIR/out" 2>&1
same "a good one: -n says 0" 0 $?
finish
