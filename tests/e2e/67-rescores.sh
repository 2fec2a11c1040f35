#!/bin/sh
# What a verdict says of its prompts is enough to decide anew: under the same
# policies no verdict of several views changes, and a rescored score is the
# one that a scan gives.
# shellcheck disable=SC2317  # cw is called through check
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cw() {
	"$CW_BUILD/clipward" "$@" 2>"$TMP_DIR/err"
}
starter="$root/models/starter"
mkdir "$TMP_DIR/in"
cp "$root"/tests/data/sprites/*.png "$TMP_DIR/in"
# Wide and tall ones, whose ends the first view does not see.
"$PYTHON" - "$root/tests/data/sprites" "$TMP_DIR/in" <<-'EOT'
	import sys
	from PIL import Image
	def sprite(name):
	    im = Image.open(f"{sys.argv[1]}/{name}.png").convert("RGBA").resize((96, 96))
	    return im, im.getchannel("A")
	names = "knife", "cup", "skull", "axe"
	for i, name in enumerate(names):
	    for kind, size, ends in (("wide", (420, 100), ((0, 2), (324, 2))),
	                             ("tall", (100, 420), ((2, 0), (2, 324)))):
	        im = Image.new("RGB", size, (236, 232, 224))
	        for at, what in zip(ends, (name, names[i - 1])):
	            s, mask = sprite(what)
	            im.paste(s, at, mask)
	        im.save(f"{sys.argv[2]}/{kind}-{name}.png")
EOT
scan() {	# OUT POLICIES
	cw scan --json -m "$starter" -p "$2" "$TMP_DIR/in" >"$TMP_DIR/$1"
	check "$1: scanned" test $? -le 1
}

scan shipped "$root/policies"
check "views after the first are used, and the schema knows it" \
    "$PYTHON" - "$TMP_DIR/shipped" <<-'EOT'
	import json, os, sys
	sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
	from client import validate
	v = [json.loads(line) for line in open(sys.argv[1])]
	assert not validate(v), validate(v)
	assert sum("also" in v["neutral"][0] for v in v) > 5
	for v in v:
	    used = {i for i, view in enumerate(v["views"]) if view.get("used")}
	    if len(v["views"]) > 1:
	        assert used == {s.get("view", 0) for s in v["scores"]}, v["id"]
EOT
cw policy rescore -m "$starter" -p "$root/policies" "$TMP_DIR/shipped" >"$TMP_DIR/out"
same "the same policies change nothing" "0 $(wc -l <"$TMP_DIR/shipped") 0" \
    "$? $(sed -n 's/^\([0-9]*\) verdicts: 0 change .*milder)$/\1/p' "$TMP_DIR/err") $(wc -l <"$TMP_DIR/out")"

# Let everything pass, then flag it all: what rescore and scan say of it.
for score in softmax margin cosine; do
	none=1
	[ $score != margin ] || none=2
	for to in none all; do
		[ $to = none ] && at=$none || at=-1
		[ "$score $to" != "softmax all" ] || at=0
		mkdir "$TMP_DIR/$score-$to"
		for p in "$root"/policies/*.yaml; do
			sed "s/^score: .*/score: $score/; s/^\( *\)thresholds: .*/\1thresholds: {review: $at, block: $none}/; /^ *calibration:/d" \
			    "$p" >"$TMP_DIR/$score-$to/$(basename "$p")"
		done
	done
	scan $score.none "$TMP_DIR/$score-none"
	scan $score.all "$TMP_DIR/$score-all"
	cw policy rescore --json -m "$starter" -p "$TMP_DIR/$score-all" \
	    "$TMP_DIR/$score.none" >"$TMP_DIR/out"
	check "$score: a rescored score is the one of a scan" \
	    "$PYTHON" - "$TMP_DIR/out" "$TMP_DIR/$score.all" <<-'EOT'
		import json, sys
		new, scan = ({v["id"]: v for v in map(json.loads, open(f))} for f in sys.argv[1:])
		order = ["low", "medium", "high", "critical"]
		assert len(new) > 25, (len(new), len(scan))
		for i, got in new.items():
		    top = max(scan[i]["flags"], key=lambda f: (order.index(f["severity"]), f["score"]))
		    assert got["undecided"] == 0, got
		    assert abs(top["score"] - got["score"]) <= 1e-5, (top, got)
	EOT
done

# As versions wrote it that kept the neutral prompts of the first view alone.
"$PYTHON" - "$TMP_DIR/shipped" >"$TMP_DIR/older" <<-'EOT'
	import json, sys
	for v in map(json.loads, open(sys.argv[1])):
	    for view in v["views"]:
	        view.pop("used", None)
	    for s in v["scores"] + v["neutral"]:
	        s.pop("view", None)
	        s.pop("also", None)
	    print(json.dumps(v))
EOT
cw policy rescore --json -m "$starter" -p "$root/policies" "$TMP_DIR/older" >"$TMP_DIR/out"
check "an older verdict is decided where its flag is of the first view" \
    "$PYTHON" - "$TMP_DIR/older" "$TMP_DIR/out" <<-'EOT'
	import json, sys
	old = [json.loads(line) for line in open(sys.argv[1])]
	new = {v["id"]: v for v in map(json.loads, open(sys.argv[2]))}
	def kept(v):
	    return [f["decision"] for f in v["flags"] if f["view"] == 0 or len(v["views"]) == 1]
	rank = ["allow", "review", "block"]
	seen = set()
	for v in old:
	    want = max(kept(v), key=rank.index, default="allow")
	    got = new[v["id"]] if v["id"] in new else {"to": v["decision"]}
	    assert got["to"] == want, (got, v["flags"])
	    assert want == v["decision"] or got["undecided"] > 0, got
	    seen.add(want == v["decision"])
	assert seen == {True, False}, seen
EOT
check "the summary counts the others" grep -q ' categories are undecided$' "$TMP_DIR/err"

# A text leaves no cosines: what it decided is not decided anew.
text() {	# PICTURE TEXT - "from to undecided" of its line, or the summary
	cw scan --json -m "$starter" -p "$root/policies" --text "$2" "$1" >"$TMP_DIR/verdict"
	cw policy rescore --json -m "$starter" -p "$root/policies" "$TMP_DIR/verdict" >"$TMP_DIR/out"
	sed -n 's/.*"from":"\([a-z]*\)","to":"\([a-z]*\)".*"undecided":\([0-9]*\)}/\1 \2 \3/p' "$TMP_DIR/out"
	grep -o '[0-9]* change .*' "$TMP_DIR/err"
}
sprites=$root/tests/data/sprites
got=$(text "$sprites/cat.png" "a gun")
same "what a text flagged is undecided, and its line says so" \
    "block allow $(grep -o '"source":"text"' "$TMP_DIR/verdict" | wc -l)" "$(echo "$got" | head -n 1)"
cw policy rescore -m "$starter" -p "$root/policies" "$TMP_DIR/verdict" >"$TMP_DIR/out"
check "to people, too" grep -q 'block -> allow, [0-9]* categories undecided$' "$TMP_DIR/out"
same "a text that flags nothing leaves its category undecided" \
    "0 change (0 become harsher, 0 milder); 1 categories are undecided" "$(text "$sprites/cat.png" "a cat")"
# The text says two things; what it says less of has no score in the verdict.
for at in 1 0.7; do
	mkdir "$TMP_DIR/text-$at"
	sed "s/^\( *\)thresholds: .*/\1thresholds: {review: $at, block: 1}/; /^ *calibration:/d" \
	    "$root/policies/violence.yaml" >"$TMP_DIR/text-$at/violence.yaml"
done
cw scan --json -m "$starter" -p "$TMP_DIR/text-1" --text "a knife and a gun and blood and a skull" \
    "$sprites/cat.png" >"$TMP_DIR/verdict"
cw scan --json -m "$starter" -p "$TMP_DIR/text-0.7" --text "a knife and a gun and blood and a skull" \
    "$sprites/cat.png" >"$TMP_DIR/lower"
same "a text that flags two things when thresholds are lower" 2 \
    "$(grep -o '"source":"text"' "$TMP_DIR/lower" | wc -l)"
cw policy rescore -m "$starter" -p "$TMP_DIR/text-0.7" "$TMP_DIR/verdict" >"$TMP_DIR/out"
check "leaves all of them undecided" grep -q "; $(grep -c '^  - id:' "$root/policies/violence.yaml") categories are undecided$" "$TMP_DIR/err"
cw policy rescore -m "$starter" -p "$TMP_DIR/text-1" "$TMP_DIR/verdict" >"$TMP_DIR/out"
check "and under the same policies what it said most of" grep -q '; 1 categories are undecided$' "$TMP_DIR/err"
text "$sprites/sword.png" "a sword" >/dev/null
sed 's/"source":"text"/"source":"image"/' "$TMP_DIR/verdict" >"$TMP_DIR/image"
cw policy rescore -m "$starter" -p "$root/policies" "$TMP_DIR/image" >"$TMP_DIR/out"
check "unless the image flagged it" grep -q '0 change .*milder)$' "$TMP_DIR/err"
finish
