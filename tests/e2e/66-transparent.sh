#!/bin/sh
# A transparent picture is scored as stored and as shown on white and black:
# what only one of them shows is found, and the verdict says which.
# shellcheck disable=SC2317  # scan is called in different ways
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP_DIR/low.yaml" <<-EOT
	schema: clipward.policy/1
	id: low
	version: 1
	title: Whatever it is
	templates: ["a drawing of {}."]
	thresholds: {review: 0.000001, block: 1}
	neutral: [a cup, a house, a cat]
	categories:
	  - {id: low.blood, title: Blood, severity: low, prompts: [a drop of blood]}
	  - {id: low.knife, title: Knife, severity: low, prompts: [a knife]}
	  - {id: low.skull, title: Skull, severity: low, prompts: [a skull]}
	explain: {when: always, top: 3}
EOT
mkdir "$TMP_DIR/clear" "$TMP_DIR/flat"
# Each hides its object in all but one of the three, which flat/ holds too.
"$PYTHON" - "$root/tests/data/drop-of-blood.png" "$TMP_DIR" <<-'EOT'
	import sys
	from PIL import Image, ImageChops
	drop = Image.open(sys.argv[1]).convert("RGB").resize((320, 320))
	mask = drop.getchannel("G").point(lambda g: 255 if g < 140 else 0)
	full, none = Image.new("L", mask.size, 255), Image.new("L", mask.size, 0)
	def rgba(rgb, alpha):
	    im = rgb.convert("RGB")
	    im.putalpha(alpha)
	    return im
	black, white = Image.new("RGB", drop.size, "black"), Image.new("RGB", drop.size, "white")
	clear = {
	    # a black drop with black around it
	    "white": rgba(black, mask),
	    "black": rgba(white, mask),
	    # all of it clear: whoever drops the alpha sees it
	    "stored": rgba(drop, none),
	}
	for name, im in clear.items():
	    im.save(f"{sys.argv[2]}/clear/{name}.png")
	    for bg, ground in ("white", white), ("black", black):
	        Image.composite(im.convert("RGB"), ground, im.getchannel("A")).save(
	            f"{sys.argv[2]}/flat/{name}-{bg}.png")
	    im.convert("RGB").save(f"{sys.argv[2]}/flat/{name}-stored.png")
EOT
for d in clear flat; do
	"$CW_BUILD/clipward" scan --json -m "$root/models/starter" -p "$TMP_DIR/low.yaml" \
	    --precision fp32 "$TMP_DIR/$d" >"$TMP_DIR/$d.out" 2>"$TMP_DIR/err"
	check "$d pictures: no error" test $? -le 1
done
"$PYTHON" - "$TMP_DIR/clear.out" "$TMP_DIR/flat.out" <<'EOT' || FAILED=1
import json, os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import Checks
check = Checks()

def flags(path):
    out = {}
    for v in map(json.loads, open(path)):
        name = os.path.basename(v["id"])[:-4]
        for f in v["flags"]:
            view = v["views"][f["view"]]
            m = [m for m in v["maps"] if m["category"] == f["category"]][0]
            out[name, f["category"]] = f["score"], view.get("background", "stored"), m["view"] == f["view"]
    return out

clear, flat = flags(sys.argv[1]), flags(sys.argv[2])
for (name, category), (score, view, same) in sorted(clear.items()):
    on = {b: flat[f"{name}-{b}", category][0] for b in ("stored", "white", "black")}
    best = max(on, key=on.get)
    what = f"{category} of what is {'as ' if name == 'stored' else 'only on '}{name}"
    check(what + " is the harshest of the three",
          abs(score - on[best]) < 2e-3 * max(on.values()) + 1e-6, (score, on))
    check(what + " and said to be seen there",
          abs(on[view] - on[best]) < 2e-3 * on[best] + 1e-6, (view, on))
    check(what + " has its map there", same)
check("all three were looked at", len(clear) == 9, len(clear))
check("a picture that is clear all over is seen as stored",
      clear["stored", "low.blood"][1] == "stored", clear)
check.done()
EOT
finish
