#!/bin/sh
# run-daemon.sh - the daemon in the foreground, its spool and sockets in a
# temporary folder that goes when it stops.
set -eu
cd "$(dirname "$0")/.."
build=${CW_BUILD:-build}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
trap : INT TERM

cat >"$dir/config.yaml" <<-EOT
	model: {path: $PWD/models/starter}
	policies: $PWD/policies/
	spool: {path: $dir/spool}
	control: {socket: $dir/control.sock}
	log: {to: stderr}
EOT
echo "ask it: $build/clipward --socket $dir/control.sock status" >&2
"$build/clipwardd" -d -f "$dir/config.yaml"
