#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Bytes seen before are not scored again, unless what a score depends on has
# changed since.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cp -r "$root/models/starter" "$TMP_DIR/model"
client pictures "$TMP_DIR" 1 >"$TMP_DIR/list"
picture=$(cat "$TMP_DIR/list")

runs=0
# cached WANT WHAT [CONFIG-LINES] - under this configuration, was it scored?
cached() {
	runs=$((runs + 1))
	config "model: {path: $TMP_DIR/model, cache: $TMP_DIR}
${3-}"
	start
	got=$(client score -p "r$runs-" -H '{"explain":"always"}' "$picture" |
	    "$PYTHON" -c 'import json, sys
print(str(json.load(sys.stdin)["cached"]).lower())')
	same "$2" "$1" "$got"
	stop
}
cached false "a picture is scored"
cached true "and known after a restart"
check "the log does not make its score up" grep -q \
    'verdict job=r2-[^ ]* action=[a-z]* policy=[^ ]* cached=true ms=' "$TMP_DIR/log"
cached false "other limits.frames: scored again" "limits: {frames: 3}"
cached false "other explain.layers: scored again" "explain: {layers: 2}"
cached false "other plugins: scored again" "plugins: []"
cached true "the first settings: still known"
sed 's/0.48145466/0.5/' "$TMP_DIR/model/preprocessor_config.json" \
    >"$TMP_DIR/new" && mv "$TMP_DIR/new" "$TMP_DIR/model/preprocessor_config.json"
cached false "another preprocessor_config.json: scored again"
finish
