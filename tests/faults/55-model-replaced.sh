#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Another model is put in the place of the one that is served: a worker that
# reads it is not given work, and nothing is scored by it under the old name.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

for what in no a; do
	cache=$TMP_DIR/cache
	[ $what = a ] || cache=
	rm -rf "$TMP_DIR/model" "$TMP_DIR/spool"
	cp -r "$root/models/starter" "$TMP_DIR/model"
	rm -rf "$TMP_DIR/policies"
	mkdir "$TMP_DIR/policies"
	cp "$root/policies/hate.yaml" "$TMP_DIR/policies"
	config "model: {path: $TMP_DIR/model, cache: \"$cache\"}
policies: $TMP_DIR/policies/
workers: {count: 2, batch: 1}
log: {to: stderr, level: notice}"
	: >"$TMP_DIR/log"
	"$PYTHON" "$here/replaced.py" "$what cache" || FAILED=1
done
finish
