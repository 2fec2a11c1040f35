#!/bin/sh
# shellcheck disable=SC2016,SC2119,SC2317  # sh -c words; functions with defaults, called by name
# explain, redact, embed, tokenize, and a scan whose workers are killed.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cw() {
	"$CW_BUILD/clipward" "$@" 2>"$TMP_DIR/err"
}
starter="$root/models/starter"
mkdir "$TMP_DIR/in"
client pictures "$TMP_DIR/in" 3 >"$TMP_DIR/list"
picture=$(head -n 1 "$TMP_DIR/list")
magic() {
	head -c 4 "$1" | od -An -tx1 | tr -d ' \n'
}

cw explain -m "$starter" --prompt "a knife" --faithfulness --json \
    -o "$TMP_DIR/map.png" --curves "$TMP_DIR/curves.png" "$picture" >"$TMP_DIR/out"
check "explain: flagged or not, no error" test $? -le 1
same "the map is a PNG" 89504e47 "$(magic "$TMP_DIR/map.png")"
same "the curves too" 89504e47 "$(magic "$TMP_DIR/curves.png")"
if "$PYTHON" - "$TMP_DIR/out" <<'EOT'; then
import json, sys
m = json.load(open(sys.argv[1]))["maps"][0]
parts = sum(m["remainder_parts"].values())
assert abs(sum(m["values"]) + m["remainder"] - m["total"]) < 1e-4, m
assert abs(parts - m["remainder"]) < 1e-4, m
assert m["method"] == "additive" and "drop" in m["faithfulness"], m
EOT
	ok "patches and the rest add up to the margin"
else
	not_ok "patches and the rest add up to the margin" "$(head -c 500 "$TMP_DIR/out")"
fi
for method in raw rollout similarity; do
	cw explain -m "$starter" --prompt "a knife" --method $method --json "$picture" >"$TMP_DIR/out"
	check "explain --method $method" grep -q "\"method\":\"$method\"" "$TMP_DIR/out"
done
cw explain -m "$starter" -p "$root/policies" --text "<b>a knife</b>" --html "$TMP_DIR/page.html" \
    "$TMP_DIR/in" "$TMP_DIR/absent" >"$TMP_DIR/out"
same "a page with an unreadable image: exit 2" 2 $?
same "an image to each section" 4 "$(grep -c '<section>' "$TMP_DIR/page.html")"
check "it loads nothing" sh -c '! grep -E "(src|href)=.?(http|//)|<script" "$1"' - "$TMP_DIR/page.html"
check "and quotes what people wrote" sh -c '! grep -q "<b>a" "$1"' - "$TMP_DIR/page.html"

cw redact -m "$starter" --prompt "a knife" -o "$TMP_DIR/red" "$picture"
check "redact: no error" test $? -le 1

# Two of a kind far apart: one map, but both have to go.
"$PYTHON" - "$root/tests/data/sprites/skull.png" "$TMP_DIR/two.png" <<'EOT'
import sys
from PIL import Image
one = Image.open(sys.argv[1]).convert("RGBA").resize((280, 280))
wide = Image.new("RGB", (960, 320), "white")
for x in 20, 660:
    wide.paste(one, (x, 20), one)
wide.save(sys.argv[2])
EOT
cw scan -m "$starter" -p "$root/policies" --json "$TMP_DIR/two.png" >"$TMP_DIR/out"
check "two skulls are flagged" grep -q '"decision":"block"' "$TMP_DIR/out"
cw redact -m "$starter" -p "$root/policies" -o "$TMP_DIR/none.png" "$TMP_DIR/two.png"
cw scan -m "$starter" -p "$root/policies" --json "$TMP_DIR/none.png" >"$TMP_DIR/out"
check "redacted, they are not" grep -q '"decision":"allow"' "$TMP_DIR/out"

# What a mosaic does not hide becomes grey.
"$PYTHON" - "$TMP_DIR/red.png" <<'EOT'
import sys
from PIL import Image
Image.new("RGB", (320, 320), (220, 20, 20)).save(sys.argv[1])
EOT
one_policy() {	# KEY...: a policy of one category, that a red picture is in
	cat >"$TMP_DIR/red.yaml" <<-EOT
	schema: clipward.policy/1
	id: red
	version: 1
	title: Red
	$1
	templates: ["a photo of {}."]
	categories:
	  - id: red.all
	    title: Red
	    severity: low
	    prompts: [a red circle, something red]
	    reason: {code: X-1, text: T.}
	neutral: [a dog, a green square, a blue circle, a tree, a hat, a house, a cup]
	thresholds: {review: 0.3, block: 0.5}
	EOT
}
one_policy ""
cw redact -m "$starter" -p "$TMP_DIR/red.yaml" -o "$TMP_DIR/grey.png" "$TMP_DIR/red.png"
same "a picture of one colour is flagged" 1 $?
same "and becomes grey" "(128, 128, 128)" "$("$PYTHON" -c '
import sys
from PIL import Image
print(Image.open(sys.argv[1]).convert("RGB").getpixel((160, 160)))' "$TMP_DIR/grey.png")"
one_policy "shadow: true"
cw redact -m "$starter" -p "$TMP_DIR/red.yaml" -o "$TMP_DIR/shadow.png" "$TMP_DIR/red.png"
same "a shadow policy flags nothing" 0 $?
check "and redacts nothing" test ! -e "$TMP_DIR/shadow.png"

check "something is written" test -s "$TMP_DIR/red"
check "and not the image" sh -c '! cmp -s "$1" "$2"' - "$picture" "$TMP_DIR/red"

cw embed -m "$starter" --image "$picture" --image "$TMP_DIR/absent" --text "a knife" >"$TMP_DIR/out"
same "embed: an error among three lines" "2 3" "$? $(wc -l <"$TMP_DIR/out" | tr -d ' ')"
if "$PYTHON" - "$TMP_DIR/out" <<'EOT'; then
import json, sys
a, b, c = (json.loads(l) for l in open(sys.argv[1]))
for v in a, c:
    assert abs(sum(x * x for x in v["embedding"]) - 1) < 1e-5
assert "error" in b
EOT
	ok "in the order asked for, unit length"
else
	not_ok "in the order asked for, unit length" "$(cut -c1-80 "$TMP_DIR/out")"
fi
"$PYTHON" - >"$TMP_DIR/large.jpg" <<'EOT'
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import picture
sys.stdout.buffer.write(picture(0, (800, 800), "JPEG"))
EOT
cw embed -m "$starter" --image "$TMP_DIR/large.jpg" >"$TMP_DIR/full"
cw embed -m "$starter" --image "$TMP_DIR/large.jpg" --scaled >"$TMP_DIR/scaled"
if "$PYTHON" - "$TMP_DIR/full" "$TMP_DIR/scaled" <<'EOT'; then
import json, sys
a, b = (json.load(open(f))["embedding"] for f in sys.argv[1:])
assert a != b and sum(x * y for x, y in zip(a, b)) > 0.99
EOT
	ok "embed --scaled: another decoding, nearly the same vector"
else
	not_ok "embed --scaled: another decoding, nearly the same vector" "$(cut -c1-80 "$TMP_DIR/scaled")"
fi
check "tokenize" sh -c '"$1" tokenize -m "$2" "a knife" 2>/dev/null | grep -Eq "^\[[0-9,]+\]$"' - \
    "$CW_BUILD/clipward" "$starter"

# wrong words: one line that names the option, and no worker dies of them
refused() {	# WHAT WANT-IN-MESSAGE ARGUMENT...
	what=$1 want=$2
	shift 2
	cw "$@" >"$TMP_DIR/out"
	same "$what: exit 2" 2 $?
	same "$what: says why" 1 "$(grep -c "^clipward: .*$want" "$TMP_DIR/err")"
	same "$what: in a line" 1 "$(wc -l <"$TMP_DIR/err")"
}
long=$(printf '%09000d' 0)
refused "a long text" 'scan: --text has 9000 bytes; want at most 8192' \
    scan -m "$starter" --text "$long" "$picture"
refused "a text that is none" 'explain: --text is not UTF-8' \
    explain -m "$starter" --text "$(printf '\377')" "$picture"
refused "a long prompt" 'explain: --prompt has 9000 bytes; want at most 1024' \
    explain -m "$starter" --prompt "$long" "$picture"
refused "an empty prompt" 'redact: --prompt is empty' \
    redact -m "$starter" --prompt "" -o "$TMP_DIR/x" "$picture"
refused "a neutral prompt alone" '--neutral without --prompt' \
    explain -m "$starter" --neutral "a spoon" "$picture"
refused "a category for a policy" 'want one of hate, nudity, violence' \
    explain -m "$starter" -p "$root/policies" --policy violence.weapon "$picture"
refused "redacting a directory" 'in: a directory; want one FILE' \
    redact -m "$starter" -o "$TMP_DIR/x" "$TMP_DIR/in"
refused "a file for packed weights" 'Not a directory; want a directory' \
    model prepare -m "$starter" --cache "$picture"
cw embed -m "$starter" -t "$(printf '%0100000d' 0)" -t "a knife" >"$TMP_DIR/out"
same "embed: a text that is too long, and one that is not" "2 2" "$? $(wc -l <"$TMP_DIR/out")"
check "says what is the most" grep -q '"error":"a text of 100000 bytes; want at most 65536"' "$TMP_DIR/out"

# workers killed again and again: every image is answered, in order
i=0
while [ $i -lt 400 ]; do
	i=$((i + 1))
	ln "$picture" "$TMP_DIR/in/$(printf 'x%03d' $i).jpg"
done
"$CW_BUILD/clipward" scan -m "$starter" -p "$root/policies" --views cover --workers 2 \
    --json "$TMP_DIR/in" >"$TMP_DIR/out" 2>"$TMP_DIR/err" &
scan=$!
killed=0
while alive $scan && [ $killed -lt 6 ]; do
	for w in $(ps -o pid=,args= --ppid $scan | awk '/clipward-worker/ { print $1 }'); do
		[ -s "$TMP_DIR/out" ] && kill -KILL "$w" 2>/dev/null && killed=$((killed + 1))
		break
	done
	sleep 0.1
done
wait $scan
figure "$killed workers killed under a scan of 403 images"
check "there was one to kill" test $killed -ge 1
if "$PYTHON" - "$TMP_DIR/out" <<'EOT'; then
import json, sys
v = [json.loads(l) for l in open(sys.argv[1])]
ids = [x["id"] for x in v]
assert len(v) == 403 and ids == sorted(ids), len(v)
bad = [x for x in v if x["decision"] == "error" and x["error"]["code"] != "worker_died"]
assert not bad, bad[0]
EOT
	ok "every image has its line, in order"
else
	not_ok "every image has its line, in order" "$(tail -n 3 "$TMP_DIR/err")"
fi

# workers killed while they start: others are started, and not for ever
mkdir "$TMP_DIR/bin"
cp "$CW_BUILD/clipward" "$TMP_DIR/bin"
ln -s "$CW_BUILD/plugins" "$TMP_DIR/bin/plugins"
cat >"$TMP_DIR/bin/clipward-worker" <<EOT
#!/bin/sh
echo >>"$TMP_DIR/starts"
[ "\$(wc -l <"$TMP_DIR/starts")" -gt "\$KILLED" ] || kill -KILL \$\$
exec "$CW_BUILD/clipward-worker"
EOT
chmod +x "$TMP_DIR/bin/clipward-worker"
scan_starting() {
	rm -f "$TMP_DIR/starts"
	KILLED=$1 "$TMP_DIR/bin/clipward" scan -m "$starter" -p "$root/policies" \
	    --workers 2 --json "$picture" >"$TMP_DIR/out" 2>"$TMP_DIR/err"
}
scan_starting 5
check "five killed while starting: the image has its verdict" \
    grep -q '"decision":"\(allow\|review\|block\)"' "$TMP_DIR/out"
scan_starting 1000
same "killed whenever they start: it gives up" 2 $?
check "and says why" grep -q 'signal 9' "$TMP_DIR/err"
finish
