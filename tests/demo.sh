#!/bin/sh
# demo.sh - start the daemon with the starter model and the shipped policies,
# send it pictures over ZeroMQ, show its verdicts and where they come from.
set -eu
cd "$(dirname "$0")/.."
build=${CW_BUILD:-$PWD/build}
out=$build/demo
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
rm -rf "$out"
mkdir -p "$out"

cat >"$dir/config.yaml" <<-EOT
	model: {path: $PWD/models/starter}
	policies: $PWD/policies/
	queue: {submit: "tcp://127.0.0.1:*", pull: "tcp://127.0.0.1:*"}
	verdicts: {pub: "tcp://127.0.0.1:*"}
	spool: {path: $dir/spool}
	control: {socket: $dir/control.sock}
	http: {listen: ""}
	log: {to: stderr, level: notice}
	plugins:
	  - png
	  - {path: jsonl, file: $out/verdicts.jsonl}
EOT
"$build/clipwardd" -d -f "$dir/config.yaml" 2>"$out/clipwardd.log" &
daemon=$!
"${PYTHON:-/usr/bin/python3}" tests/demo.py "$build/clipward" "$dir/control.sock" "$daemon" "$out" tests/data/*.jpg tests/data/*.png || {
	cat "$out/clipwardd.log" >&2
	exit 1
}
