#!/bin/sh
# pictures.sh - the pictures of README.md, made by the demo: the maps of the
# first three of these images that it flags.
set -eu
cd "$(dirname "$0")/.."
out=${CW_BUILD:-$PWD/build}/demo
log=$(mktemp)
trap 'rm -f "$log"' EXIT
tests/demo.sh >"$log" || {
	cat "$log" >&2
	exit 1
}
n=0
for image in drop-of-blood.png swords.png bomb-and-cup.jpg knife-on-table.jpg \
    middle-finger.jpg skull.png bikini.png; do
	if [ ! -f "$out/$image.0.png" ] || [ "$n" = 3 ]; then
		continue
	fi
	n=$((n + 1))
	to=man/heatmap$([ $n = 1 ] || echo "-$n").png
	cp "$out/$image.0.png" "$to"
	echo "$to: $image"
done
[ "$n" = 3 ] || {
	echo "pictures.sh: the demo flags $n of these images; want 3" >&2
	exit 1
}
