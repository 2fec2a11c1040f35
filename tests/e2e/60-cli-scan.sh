#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# `clipward scan` needs no daemon: a line per input, in order, and exit codes.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$TMP_DIR/in"
client pictures "$TMP_DIR/in" 5 >"$TMP_DIR/list"
echo "no picture" >"$TMP_DIR/in/text.jpg"
scan() {
	"$CW_BUILD/clipward" scan --model "$root/models/starter" \
	    --policies "$root/policies" "$@" 2>"$TMP_DIR/err"
}
# shellcheck disable=SC2046
scan --json $(cat "$TMP_DIR/list") >"$TMP_DIR/out"
code=$?
same "a line per input" 5 "$(wc -l <"$TMP_DIR/out")"
check "exit 0 or 1 without an error" test "$code" -le 1
if out=$(client schema <"$TMP_DIR/out"); then
	ok "by the schema"
else
	not_ok "by the schema" "$out"
fi
"$PYTHON" - "$TMP_DIR/out" "$TMP_DIR/list" <<'EOT' || FAILED=1
import json, sys, os, hashlib
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import Checks
check = Checks()
lines = [json.loads(l) for l in open(sys.argv[1])]
files = open(sys.argv[2]).read().split()
check("in the order given", [v["image"]["sha256"] for v in lines] ==
      [hashlib.sha256(open(f, "rb").read()).hexdigest() for f in files])
check.done()
EOT
scan --json "$TMP_DIR/in/text.jpg" "$TMP_DIR/in/absent.jpg" >"$TMP_DIR/out"
same "an error is exit 2" 2 $?
same "error verdicts for what can't be read" 2 \
    "$(grep -c '"decision":"error"' "$TMP_DIR/out")"
scan --json "$TMP_DIR/in" >"$TMP_DIR/out"
same "a folder is walked" 6 "$(wc -l <"$TMP_DIR/out")"
scan --maps "$TMP_DIR/maps" --explain always --json "$(head -n 1 "$TMP_DIR/list")" >"$TMP_DIR/out"
check "--explain always puts maps into the verdict" grep -q '"maps":\[{' "$TMP_DIR/out"
find "$TMP_DIR/maps" -name '*.png' -size +0 2>/dev/null >"$TMP_DIR/pngs"
check "--maps writes pictures" test -s "$TMP_DIR/pngs"
scan --frobnicate >/dev/null
check "a wrong option is an error" test $? -ge 2
check "and named" grep -q frobnicate "$TMP_DIR/err"
mkdir "$TMP_DIR/none"
scan "$TMP_DIR/none" >"$TMP_DIR/out"
same "a folder without files is no error" 0 $?
check "and not taken for one of harmless images" grep -q 'note: scan: no files' "$TMP_DIR/err"
same "policy --help lists its commands" 7 \
    "$("$CW_BUILD/clipward" policy --help | grep -c '^  policy ')"
for command in submit policy "policy show"; do
	# shellcheck disable=SC2086  # two words are two
	same "help $command says what $command --help does" \
	    "$("$CW_BUILD/clipward" $command --help)" \
	    "$("$CW_BUILD/clipward" help $command)"
done

# the daemon and the scan agree
config
start
f=$(head -n 1 "$TMP_DIR/list")
clipward submit --connect "$SUBMIT" --wait --json --id both "$f" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
scan --json "$f" >"$TMP_DIR/scanned"
if "$PYTHON" - "$TMP_DIR/sent" "$TMP_DIR/scanned" <<'EOT'; then
import json, sys
a, b = (json.loads(open(f).read().splitlines()[-1]) for f in sys.argv[1:])
assert a["decision"] == b["decision"], (a["decision"], b["decision"])
x, y = ([s["cosine"] for s in v["scores"]] for v in (a, b))
assert len(x) == len(y) and max(abs(p - q) for p, q in zip(x, y)) < 1e-5
EOT
	ok "scan and daemon agree"
else
	not_ok "scan and daemon agree" "$(cat "$TMP_DIR/err")"
fi

# what came of each file, by its name and by the id to ask for later
lines() {
	"$PYTHON" -c '
import json, sys
for v in map(json.loads, sys.stdin):
    print(*(v.get(k) for k in sys.argv[1:]), v.get("error", {}).get("code"))' "$@"
}
clipward submit --connect "$SUBMIT" --json --id both "$f" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
same "submit --json names the file" "$f both True None" "$(lines file id duplicate <"$TMP_DIR/sent")"
clipward submit --connect "$SUBMIT" --json -w --id third "$f" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
same "also before a verdict" "$f third False None|None third None None" \
    "$(lines file id duplicate <"$TMP_DIR/sent" | paste -sd'|')"
clipward submit --connect "$SUBMIT" --json -w "$TMP_DIR/in/absent.jpg" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
same "and where there is none" "2 $TMP_DIR/in/absent.jpg not_found" \
    "$? $(lines file <"$TMP_DIR/sent")"
clipward submit --connect "tcp://127.0.0.1:9" --timeout 1 --json "$f" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
same "and where nobody answers" "2 $f unanswered" "$? $(lines file <"$TMP_DIR/sent")"
clipward submit --connect "$SUBMIT" -w "$f" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
id=$(sed -n 's/^.* as \(cli-[^ ]*\): .*/\1/p' "$TMP_DIR/sent")
same "submit -w says what to get" "\"id\":\"$id\"" "$(clipward get --json "$id" | grep -o "\"id\":\"$id\"")"

# maps by way of the daemon have the names that scan gives them
mkdir -p "$TMP_DIR/a" "$TMP_DIR/b"
cp "$f" "$TMP_DIR/a/x.png"
cp "$f" "$TMP_DIR/b/x.png"
sent() {
	clipward submit --connect "$SUBMIT" "$@" >"$TMP_DIR/sent" 2>"$TMP_DIR/err"
}
(cd "$TMP_DIR" && scan --explain always --maps scanned.maps a b >/dev/null &&
	sent --policy violence --explain always --maps sent.maps a b)
check "submit --maps makes its directory" test -d "$TMP_DIR/sent.maps"
same "and names as scan does" "$(cd "$TMP_DIR/scanned.maps" && echo *.violence.*)" "$(cd "$TMP_DIR/sent.maps" && echo *)"
for twin in a_x b_x; do
	check "two files of one name keep their own: $twin" \
	    test -n "$(find "$TMP_DIR/sent.maps" -name "$twin.png*")"
done
sent --maps "$f" "$f"
same "a file in place of that directory is an error" 2 $?
check "and said" grep -q ': no directory; want one to write to' "$TMP_DIR/err"
clipward submit --connect foo "$f" 2>"$TMP_DIR/err"
check "a wrong endpoint is told from a right one" grep -q 'want an endpoint, tcp://' "$TMP_DIR/err"
{
	grep -v '^queue:\|^limits:' "$TMP_DIR/config.yaml"
	echo "queue: {submit: \"$SUBMIT\"}"
	echo 'limits: {bytes: 4K}'
} >"$TMP_DIR/client.yaml"
head -c 5000 /dev/zero >"$TMP_DIR/large"
clipward submit -f "$TMP_DIR/client.yaml" "$TMP_DIR/large" 2>"$TMP_DIR/err"
check "what the daemon would not take is not sent" grep -q '5000 bytes; want at most 4096' "$TMP_DIR/err"
finish
