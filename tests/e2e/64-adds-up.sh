#!/bin/sh
# Patches and remainder make the total in every map, words and remainder in
# every text, whatever the picture, the policy, the scoring or the precision.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$TMP_DIR/in"
cat >"$TMP_DIR/softmax.yaml" <<-EOT
	schema: clipward.policy/1
	id: softmax
	version: 1
	title: One prompt and weighted ones
	templates: ["a drawing of {}.", "{}"]
	thresholds: {review: 0.3, block: 0.9}
	neutral: [a cup, {text: a cat, weight: 3}, {text: a tree, weight: 0.2}]
	explain: {when: always, top: 16}
	categories:
	  - {id: softmax.one, title: One, severity: low, prompts: [a knife]}
	  - id: softmax.weighted
	    title: Weighted
	    severity: low
	    prompts: [{text: a drop of blood, weight: 4}, {text: a bomb, weight: 0.5}]
EOT
sed -e 's/softmax/margin/g' -e 's/^thresholds:.*/thresholds: {review: 0.1, block: 0.9}/' \
    -e '/^version/a score: margin' "$TMP_DIR/softmax.yaml" >"$TMP_DIR/margin.yaml"
sed -e 's/softmax/cosine/g' -e 's/^thresholds:.*/thresholds: {review: 0.3, block: 0.9}/' \
    -e '/^version/a score: cosine' "$TMP_DIR/softmax.yaml" >"$TMP_DIR/cosine.yaml"

# pictures, and what is in no folder of them: wide, tall, tiny, half clear
"$PYTHON" - "$root/tests/data" "$TMP_DIR/in" <<-'EOT'
	import glob, os, sys
	from PIL import Image
	data, out = sys.argv[1:]
	for f in glob.glob(data + "/*.jpg") + glob.glob(data + "/*.png"):
	    os.symlink(f, f"{out}/{os.path.basename(f)}")
	im = Image.open(data + "/swords.png").convert("RGB")
	im.resize((900, 200)).save(out + "/wide.jpg")
	im.resize((90, 400)).save(out + "/tall.jpg")
	im.resize((3, 2)).save(out + "/tiny.png")
	im.putalpha(Image.linear_gradient("L").resize(im.size))
	im.save(out + "/clear.png")
EOT

# scan NAME [OPTIONS] - verdicts to $TMP_DIR/NAME; 2 would be an error
scan() {
	name=$1
	shift
	"$CW_BUILD/clipward" scan --json --explain always -m "$root/models/starter" \
	    -p "$root/policies" -p "$TMP_DIR/softmax.yaml" -p "$TMP_DIR/margin.yaml" \
	    -p "$TMP_DIR/cosine.yaml" "$@" "$TMP_DIR/in" >"$TMP_DIR/$name" 2>"$TMP_DIR/err"
	check "$name: no error" test $? -le 1
}
long=$(yes "a hand with a knife, a gun and a drop of blood" | head -n 30 | tr '\n' ' ')
for precision in fp32 int8; do
	for views in auto cover; do
		scan "$precision-$views" --precision $precision --views $views --text "blood on a knife"
	done
	scan "$precision-long-text" --precision $precision --text "$long"
	if out=$("$PYTHON" - "$precision" "$TMP_DIR/$precision"-* <<-'EOT'
		import json, sys
		maps = texts = 0
		worst = dict.fromkeys(("sum", "parts", "text", "rounding"), 0.0)
		for f in sys.argv[2:]:
		    for v in map(json.loads, open(f)):
		        assert v["maps"] and v["text"]["tokens"], v["id"]
		        for m in v["maps"]:
		            assert m["method"] == "additive" and len(m["values"]) == m["grid"][0] * m["grid"][1]
		            off = {"sum": sum(m["values"]) + m["remainder"] - m["total"],
		                   "parts": sum(m["remainder_parts"].values()) - m["remainder"]}
		            for k, x in off.items():
		                assert abs(x) <= 1e-4, f"{f} {v['id']} {m['category']}: {k} off by {x:.2e}"
		                worst[k] = max(worst[k], abs(x))
		            x = abs(m["remainder_parts"]["rounding"])
		            assert x <= 1e-4 or sys.argv[1] == "int8", f"{f} {v['id']}: {x} was rounded"
		            worst["rounding"] = max(worst["rounding"], x)
		            maps += 1
		        t = v["text"]
		        assert len(t["tokens"]) == len(t["values"])
		        x = abs(sum(t["values"]) + t["remainder"] - t["total"])
		        assert x <= 1e-4, f"{f} {v['id']}: text off by {x:.2e}"
		        worst["text"] = max(worst["text"], x)
		        texts += 1
		print(f"{sys.argv[1]}: {maps} maps, {texts} texts; furthest off:",
		      ", ".join(f"{k} {x:.1e}" for k, x in worst.items()))
	EOT
	); then
		ok "$precision: everything adds up"
		figure "$out"
	else
		not_ok "$precision: everything adds up" "$out"
	fi
done

# Maps of the last layer alone: another map, the same margin.
cat >"$TMP_DIR/config.yaml" <<-EOT
	model: {path: $root/models/starter, precision: fp32}
	explain: {layers: 1}
EOT
scan last-layer -f "$TMP_DIR/config.yaml"
if out=$("$PYTHON" - "$TMP_DIR/fp32-auto" "$TMP_DIR/last-layer" <<-'EOT'
	import json, sys
	every, last = ({(v["id"], m["category"]): m for v in map(json.loads, open(f)) for m in v["maps"]}
	               for f in sys.argv[1:])
	assert len(every.keys() & last.keys()) > 100
	for k in every.keys() & last.keys():
	    a, b = every[k], last[k]
	    assert abs(sum(b["values"]) + b["remainder"] - b["total"]) <= 1e-4, k
	    assert abs(sum(b["remainder_parts"].values()) - b["remainder"]) <= 1e-4, k
	    assert abs(a["total"] - b["total"]) <= 1e-4 or a["view"] != b["view"], k
	assert sum(every[k]["values"] != last[k]["values"] for k in every.keys() & last.keys()) > 100
EOT
); then
	ok "explain.layers: 1 adds up to the same margins"
else
	not_ok "explain.layers: 1 adds up to the same margins" "$out"
fi
finish
