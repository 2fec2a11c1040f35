#!/bin/sh
# An object in a corner of a wide or tall picture is found, in the view that
# has it, though the model's own centre crop never sees it.
# shellcheck disable=SC2317  # judge is called through check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

model=${CW_SHARED:-$root/../shared}/reference/toy-scenes
if [ ! -d "$model" ]; then
	skip corners "no toy-scenes model"
	finish
fi

cat >"$TMP_DIR/red.yaml" <<-EOT
	schema: clipward.policy/1
	id: red
	version: 1
	title: Red circles
	templates: ["{}"]
	score: softmax
	thresholds: {review: 0.9, block: 0.99}
	neutral: [an empty scene]
	explain: {when: flagged, top: 1}
	categories:
	  - id: red.circle
	    title: A red circle
	    severity: low
	    prompts: [a red circle]
EOT
"$PYTHON" - "$TMP_DIR" <<-'EOT'
	import sys
	import numpy as np
	from PIL import Image

	yy, xx = np.mgrid[0:96, 0:96]
	for name, (h, w) in {"wide": (96, 288), "tall": (288, 96), "strip": (96, 800)}.items():
	    for dy in (0, 1):
	        for dx in (0, 1):
	            img = np.random.default_rng(3).normal(128, 12, (h, w, 3))
	            y, x = dy * (h - 40) + 20, dx * (w - 40) + 20
	            gy, gx = np.mgrid[0:h, 0:w]
	            img[(gy - y) ** 2 + (gx - x) ** 2 <= 17 ** 2] = (200, 40, 40)
	            Image.fromarray(np.clip(img, 0, 255).astype(np.uint8)).save(f"{sys.argv[1]}/{name}-{dy}{dx}.{x}.{y}.png")
EOT

scan() {
	"$CW_BUILD/clipward" scan --json --model "$model" --policies "$TMP_DIR/red.yaml" "$@" 2>"$TMP_DIR/err"
}
# Does the winning view's crop hold the point named in the file, and do a
# map's regions?
judge() {
	"$PYTHON" - "$1" <<-'EOT'
		import json, os, sys
		v = json.loads(sys.argv[1])
		x, y = (int(n) for n in os.path.basename(v["id"]).split(".")[1:3])
		def holds(r):
		    return r[0] <= x < r[0] + r[2] and r[1] <= y < r[1] + r[3]
		assert v["decision"] != "allow", "not flagged"
		m = v["maps"][0]
		assert holds(m["crop"]), f"crop {m['crop']} does not hold {x},{y}"
		assert any(holds(r["box"]) for r in m["regions"][:1]), f"region {m['regions']} is elsewhere"
	EOT
}

found=0 missed=0
for f in "$TMP_DIR"/*.png; do
	name=$(basename "$f" | cut -d. -f1)
	check "corner-$name-is-found" judge "$(scan "$f")"
	found=$((found + 1))
	scan --views center "$f" >"$TMP_DIR/center"
	grep -q '"decision":"allow"' "$TMP_DIR/center" && missed=$((missed + 1))
done
same center-crop-alone-misses-them "$found" "$missed"
figure "no blind spots: $found corners looked at; the centre crop alone misses $missed"
finish
