#!/bin/sh
# soak.sh - the daemon at full load; does its memory grow?
#
# MODEL=models/starter SECONDS_=60 WORKERS=2 BATCH=8 PICTURES="FILE..."
# Prints jobs, rate, and for every process the slope of its resident memory
# over the second half, its descriptors, and the proportional set size.
set -eu
cd "$(dirname "$0")/../.."
build=${CW_BUILD:-$PWD/build}
model=${MODEL:-$PWD/models/starter}
dir=$(mktemp -d)
daemon=
stop() {
	if [ -n "$daemon" ] && kill "$daemon" 2>/dev/null; then
		wait "$daemon" || :
	fi
	rm -rf "$dir"
}
trap stop EXIT
trap 'exit 1' INT TERM

cat >"$dir/config.yaml" <<-EOT
	model: {path: $model, cache: ${CACHE:-$dir/cache}}
	policies: $PWD/policies/
	queue: {submit: "tcp://127.0.0.1:*", pull: "tcp://127.0.0.1:*"}
	verdicts: {pub: "tcp://127.0.0.1:*"}
	workers: {count: ${WORKERS:-2}, batch: ${BATCH:-8}}
	spool: {path: $dir/spool}
	control: {socket: $dir/control.sock}
	http: {listen: ""}
	log: {to: stderr, level: notice}
	plugins: [png]
EOT
mkdir -p "${CACHE:-$dir/cache}"
"$build/clipwardd" -d -f "$dir/config.yaml" 2>"$dir/log" &
daemon=$!
# shellcheck disable=SC2086
"${PYTHON:-/usr/bin/python3}" tests/faults/soak.py "$build/clipward" "$dir/control.sock" "$daemon" "${SECONDS_:-60}" \
    ${PICTURES:-tests/data/*.jpg} || {
	tail -n 20 "$dir/log" >&2
	exit 1
}
