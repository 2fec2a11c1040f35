#!/bin/sh
# shellcheck disable=SC2016,SC2119,SC2317  # sh -c words; functions with defaults, called by name
# The life of a policy through the command line: check, lint, show, diff,
# tune, rescore, test.  Nothing here hangs on what the model thinks.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cw() {
	"$CW_BUILD/clipward" "$@" 2>"$TMP_DIR/err"
}
starter="$root/models/starter"
mkdir "$TMP_DIR/new" "$TMP_DIR/in"
client pictures "$TMP_DIR/in" 6 >"$TMP_DIR/list"

check "the shipped policies are right" cw policy check "$root/policies"
check "and wise" cw policy lint -m "$starter" "$root/policies"
cw policy diff "$root/policies" "$root/policies" >"$TMP_DIR/out"
same "a set does not differ from itself" "0 0" "$? $(wc -c <"$TMP_DIR/out" | tr -d ' ')"

# every image is flagged by a threshold of nothing, none by one of all
sed 's/^thresholds: .*/thresholds: {review: 0.0, block: 0.0}/' \
    "$root/policies/hate.yaml" >"$TMP_DIR/new/hate.yaml"
cw policy diff "$root/policies/hate.yaml" "$TMP_DIR/new/hate.yaml" >"$TMP_DIR/out"
same "a changed threshold is a difference" 1 $?
check "and named" grep -q '~ thresholds.block 0.9 -> 0' "$TMP_DIR/out"
# changed WHAT LINE WANT - a policy with that line more differs from hate.yaml
changed() {
	{
		grep -v "^${2%%:*}:" "$root/policies/hate.yaml"
		echo "$2"
	} >"$TMP_DIR/changed.yaml"
	cw policy diff "$root/policies/hate.yaml" "$TMP_DIR/changed.yaml" >"$TMP_DIR/out"
	same "$1 is a difference" "1 $3" "$? $(sed -n '2s/^  //p' "$TMP_DIR/out")"
	cw policy diff --json "$root/policies/hate.yaml" "$TMP_DIR/changed.yaml" >"$TMP_DIR/out"
	same "$1 is one in JSON" "$4" "$(cat "$TMP_DIR/out")"
}
changed "when to explain" "explain: {when: never, faithfulness: true}" \
    '~ explain.when "flagged" -> "never"' \
    '{"in":"hate","what":"explain.when","old":"flagged","new":"never"}
{"in":"hate","what":"explain.faithfulness","old":false,"new":true}'
changed "how many maps" "explain: {top: 9}" '~ explain.top 3 -> 9' \
    '{"in":"hate","what":"explain.top","old":3,"new":9}'
changed "a test" "tests: [{image: a.png, expect: block}]" '+ test: a.png' \
    '{"in":"hate","what":"test","new":"a.png"}'
cw policy lint -m "$starter" "$TMP_DIR/new" >"$TMP_DIR/out"
same "it is unwise" 1 $?
check "with its place" grep -q 'hate.yaml:[0-9]*:[0-9]*: .*flags every image' "$TMP_DIR/out"
cw scan -m "$starter" -p "$root/policies/hate.yaml" --json "$TMP_DIR/in" >"$TMP_DIR/verdicts"
cw policy rescore -m "$starter" -p "$root/policies/hate.yaml" "$TMP_DIR/verdicts" >"$TMP_DIR/out"
same "the same policy changes no verdict" "0 0" "$? $(wc -l <"$TMP_DIR/out" | tr -d ' ')"
cw policy rescore -m "$starter" -p "$TMP_DIR/new" --json "$TMP_DIR/verdicts" >"$TMP_DIR/out"
same "rescore: the other one changes some" 1 $?
cw scan -m "$starter" -p "$TMP_DIR/new" --json "$TMP_DIR/in" >"$TMP_DIR/again"
if "$PYTHON" - "$TMP_DIR/verdicts" "$TMP_DIR/out" "$TMP_DIR/again" <<'EOT'; then
import json, sys
old, changes, new = ([json.loads(l) for l in open(f)] for f in sys.argv[1:])
said = {v["id"]: v["decision"] for v in old}
said.update({c["id"]: c["to"] for c in changes})
assert said == {v["id"]: v["decision"] for v in new}, said
EOT
	ok "rescore says what scoring anew says"
else
	not_ok "rescore says what scoring anew says" "$(cat "$TMP_DIR/out")"
fi
cw policy rescore -m "$starter" -p "$TMP_DIR/new" --json <"$TMP_DIR/verdicts" >"$TMP_DIR/stdin"
check "rescore reads standard input" cmp "$TMP_DIR/out" "$TMP_DIR/stdin"
sed 's/^id: hate/id: other/; s/ hate\./ other./' "$TMP_DIR/new/hate.yaml" >"$TMP_DIR/other.yaml"
cw policy rescore -m "$starter" -p "$TMP_DIR/other.yaml" --json "$TMP_DIR/again" >"$TMP_DIR/out"
same "rescore: other prompts leave every category undecided" 6 \
    "$(grep -c '"undecided":3' "$TMP_DIR/out")"
refused() {	# WHAT WANT-IN-MESSAGE ARGUMENT...: exit 2, one line
	what=$1 want=$2
	shift 2
	cw "$@" </dev/null >"$TMP_DIR/out"
	same "$what: exit 2" 2 $?
	check "$what: says why" grep -q "^clipward: .*$want" "$TMP_DIR/err"
}
echo '{"decision":"block"}' >"$TMP_DIR/stranger"
head -c 3000 "$CW_BUILD/clipward" >"$TMP_DIR/binary"
refused "rescore of other JSON" 'stranger:1: schema is ""; want a verdict' \
    policy rescore -m "$starter" -p "$TMP_DIR/new" "$TMP_DIR/stranger"
refused "rescore of a program" 'binary:1:.*want a verdict' \
    policy rescore -m "$starter" -p "$TMP_DIR/new" "$TMP_DIR/binary"
refused "rescore of a directory" 'in: Is a directory' \
    policy rescore -m "$starter" -p "$TMP_DIR/new" "$TMP_DIR/in"

# a policy with tests: one that must hold, one that can't
picture=$(head -n 1 "$TMP_DIR/list")
{
	cat "$TMP_DIR/new/hate.yaml"
	echo "tests: [{image: $picture, expect: block}]"
} >"$TMP_DIR/tested.yaml"
check "policy test: what holds passes" cw policy test -m "$starter" "$TMP_DIR/tested.yaml"
sed 's/expect: block/expect: allow/' "$TMP_DIR/tested.yaml" >"$TMP_DIR/broken.yaml"
cw policy test -m "$starter" "$TMP_DIR/broken.yaml" >"$TMP_DIR/out"
same "policy test: what does not is exit 1" 1 $?
check "and says so" grep -q '^FAIL .*want allow, got block' "$TMP_DIR/out"
cw policy test -m "$starter" --json "$TMP_DIR/broken.yaml" >"$TMP_DIR/out"
same "and in JSON" \
    "1 {\"policy\":\"hate\",\"image\":\"$picture\",\"expect\":\"allow\",\"got\":\"block\",\"pass\":false}" \
    "$? $(cat "$TMP_DIR/out")"
sed "s,image: $picture,image: gone.png," "$TMP_DIR/tested.yaml" >"$TMP_DIR/gone.yaml"
place="gone.yaml:$(grep -n '^tests:' "$TMP_DIR/gone.yaml" | cut -d: -f1):17: test image $TMP_DIR/gone.png: No such file"
refused "policy check: a test's image that is not there" "$place" policy check "$TMP_DIR/gone.yaml"
config "policies: $TMP_DIR/gone.yaml"
"$CW_BUILD/clipwardd" -n -f "$TMP_DIR/config.yaml" >/dev/null 2>"$TMP_DIR/err"
same "clipwardd -n too" "78 1" "$? $(grep -c "$place" "$TMP_DIR/err")"
start
clipward reload 2>"$TMP_DIR/err"
same "a reload too" "2 1" "$? $(grep -c "$place" "$TMP_DIR/err")"
stop

# labels -> calibration -> a policy that passes and is applied
n=0
while read -r f; do
	n=$((n + 1))
	printf '%s\t%s\n' "$f" "$([ $((n % 2)) = 0 ] && echo hate.gesture)"
done <"$TMP_DIR/list" >"$TMP_DIR/labels"
check "policy tune fits" sh -c '"$1" policy tune -m "$2" -p "$3" "$4" >"$5"' - \
    "$CW_BUILD/clipward" "$starter" "$root/policies/hate.yaml" "$TMP_DIR/labels" "$TMP_DIR/out"
check "policy tune --precision is in percent" cw policy tune -m "$starter" \
    -p "$root/policies/hate.yaml" --precision 80 --recall 90 "$TMP_DIR/labels"
tune() {
	cw policy tune -m "$starter" -p "$root/policies/hate.yaml" "$@"
}
awk '{ printf "%s\r\n", $0 }' "$TMP_DIR/labels" >"$TMP_DIR/dos"
tune "$TMP_DIR/dos" >"$TMP_DIR/again"
same "policy tune takes lines of DOS" 0 $?
check "for what they are" cmp "$TMP_DIR/out" "$TMP_DIR/again"
echo "$TMP_DIR/absent.jpg" | cat "$TMP_DIR/labels" - >"$TMP_DIR/more"
tune "$TMP_DIR/more" >"$TMP_DIR/again"
same "an image that is missing: exit 2" 2 $?
check "it is named" grep -q 'warning: .*absent.jpg: no such file' "$TMP_DIR/err"
check "and left out" cmp "$TMP_DIR/out" "$TMP_DIR/again"
{
	cat "$TMP_DIR/labels"
	printf '\n%s\n' "a.jpg hate.gesture"
} >"$TMP_DIR/more"
refused "a space for a tab" 'more:8:6: no tab; want PATH, a tab, and categories' \
    policy tune -m "$starter" -p "$root/policies/hate.yaml" "$TMP_DIR/more"
tune "$TMP_DIR/labels" >"$TMP_DIR/out"
twice=$("$CW_BUILD/clipward" --commands | while read -r command; do
	# shellcheck disable=SC2086  # one or two words
	"$CW_BUILD/clipward" $command --help | grep -o -e ' --[a-z-]*' | sort | uniq -d
done)
same "no option has two meanings" "" "$twice"
{
	grep -v '^score:\|^thresholds:\|^heads:' "$root/policies/hate.yaml"
	sed -n 's/^    //; /^calibration/,/^thresholds/p' "$TMP_DIR/out"
} >"$TMP_DIR/tuned.yaml"
check "what it prints is a policy's own words" cw policy check "$TMP_DIR/tuned.yaml"
check "and belongs to this model" sh -c \
    '! "$1" policy lint -m "$2" "$3" 2>&1 | grep "another\|belongs to model"' - \
    "$CW_BUILD/clipward" "$starter" "$TMP_DIR/tuned.yaml"
check "policy show --words" sh -c '"$1" policy show --words -m "$2" "$3" | grep -q "(+"' - \
    "$CW_BUILD/clipward" "$starter" "$root/policies/hate.yaml"
{
	grep -v '^explain:' "$TMP_DIR/tuned.yaml"
	echo "explain: {when: never, top: 7, faithfulness: true}"
	echo "tests: [{image: $picture, expect: block}]"
} >"$TMP_DIR/whole.yaml"
cw policy show --json --words -m "$starter" "$TMP_DIR/whole.yaml" >"$TMP_DIR/out"
if "$PYTHON" - "$TMP_DIR/out" "$picture" 2>"$TMP_DIR/why" <<'EOT'; then
import json, sys
p = json.load(open(sys.argv[1]))
assert p["explain"] == {"when": "never", "top": 7, "faithfulness": True}, p["explain"]
assert p["tests"] == [{"image": sys.argv[2], "expect": "block"}], p["tests"]
c = [c["calibration"] for c in p["categories"] if "calibration" in c][0]
assert c["model"].startswith("sha256:") and len(c["model"]) == 71, c
assert c["kind"] == "platt" and len(c["date"]) == 10, c
for c in p["categories"]:
    for w in (q["words"] for q in c["prompts"]):
        assert len(w["tokens"]) == len(w["values"]) > 0, w
        assert abs(sum(w["values"]) + w["remainder"] - w["total"]) < 1e-2, w
EOT
	ok "policy show --json leaves nothing out"
else
	not_ok "policy show --json leaves nothing out" "$(tail -n 1 "$TMP_DIR/why")"
fi

# what is longer than the model reads: 30 words, and the starter's context
words=$(printf 'knife %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 \
    21 22 23 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39 40)
sed "0,/  - text: .*\|      - a nazi flag.*/s//      - $words$words/" \
    "$root/policies/hate.yaml" >"$TMP_DIR/long.yaml"
said='hate.symbol: prompt "knife knife .*makes [0-9]* tokens in its template; the model reads the first [0-9]*'
cw policy lint -m "$starter" "$TMP_DIR/long.yaml" >"$TMP_DIR/out"
check "policy lint names a prompt that is cut off" grep -q "long.yaml: policy hate, $said" "$TMP_DIR/out"
cw scan -m "$starter" -p "$TMP_DIR/long.yaml" "$picture" >/dev/null
check "scan warns of it" grep -q "warning: .*$said" "$TMP_DIR/err"
cw embed -m "$starter" -t "$words$words" -t knife >/dev/null
same "embed of a text that is cut off" 1 "$(grep -c 'warning: "knife .*tokens; the model reads' "$TMP_DIR/err")"
cw explain -m "$starter" --prompt "$words" "$picture" >/dev/null
same "explain of a prompt that is" 1 "$(grep -c 'tokens in its template' "$TMP_DIR/err")"
umlauts=$(printf 'k\303\266rper %.0s' 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20)
cw embed -m "$starter" -t "x$umlauts" >/dev/null
check "cut between characters" sh -c 'iconv -f UTF-8 -t UTF-8 "$1" >/dev/null' - "$TMP_DIR/err"
cw tokenize -m "$starter" "$words$words" >/dev/null
same "tokenize of one" 1 "$(grep -c 'warning: "knife .*tokens; the model reads' "$TMP_DIR/err")"
config "policies: $TMP_DIR/long.yaml"
for what in start "start with its vectors known"; do
	: >"$TMP_DIR/log"
	start
	same "a $what warns of it" 1 "$(grep -c "warning: policy .*$said" "$TMP_DIR/log")"
	[ "$what" = start ] && stop
done
sed -i 's/^version: .*/version: 9/' "$TMP_DIR/long.yaml"
: >"$TMP_DIR/log"
check "a reload" clipward reload
same "warns of it" 1 "$(grep -c "policy .*$said" "$TMP_DIR/log")"
warnings=$(status policies.warnings)
cp "$picture" "$TMP_DIR/tested.png"
sed -i 's/^version: .*/version: 10/' "$TMP_DIR/long.yaml"
echo "tests: [{image: tested.png, expect: block}]" >>"$TMP_DIR/long.yaml"
for i in 1 2 3; do
	cw --socket "$SOCKET" reload
	same "a set that fails its test is refused" 2 $?
	client score -p "w$i-" -H '{"explain":"always"}' "$picture" >/dev/null
done
same "the one in force is warned of once" "$warnings" "$(status policies.warnings)"
stop

# a character that the vocabulary lacks does not end a text before its rest
cp -r "$starter" "$TMP_DIR/lacks"
"$PYTHON" - "$TMP_DIR/lacks/vocab.json" <<'EOT'
import json, sys
v = json.load(open(sys.argv[1]))
del v["~</w>"]
json.dump(v, open(sys.argv[1], "w"))
EOT
cw scan -m "$TMP_DIR/lacks" -p "$root/policies" --text "~ a knife" "$root/tests/data/sprites/cat.png" >"$TMP_DIR/out"
check "what the vocabulary lacks hides nothing behind it" grep -q "violence.weapon" "$TMP_DIR/out"

# hostile files: a place, quickly
"$PYTHON" -c 'print("[" * 100000)' >"$TMP_DIR/deep.yaml"
cw policy check "$TMP_DIR/deep.yaml"
same "a hundred thousand brackets are refused" 2 $?
check "with a place" grep -q 'deep.yaml:1:17: nested deeper' "$TMP_DIR/err"
finish
