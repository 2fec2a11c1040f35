#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Policies with new prompts while no new worker can start, as in the middle of
# an upgrade: refused each time, in words, and those that score go on.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

mkdir "$TMP_DIR/bin" "$TMP_DIR/policies"
cp "$CW_BUILD/clipwardd" "$CW_BUILD/clipward-gate" "$CW_BUILD/clipward-worker" "$TMP_DIR/bin"
cp -r "$CW_BUILD/plugins" "$TMP_DIR/bin/plugins"
cp "$root/policies/violence.yaml" "$TMP_DIR/policies"
launch() {
	"$TMP_DIR/bin/clipwardd" -d -f "$TMP_DIR/config.yaml" >>"$TMP_DIR/log" 2>&1 &
	DAEMON=$!
}
policy() {	# NUMBER
	sed "s/^id: .*/id: extra/; s/violence\./extra./g; 0,/      - a .*/s//      - a red circle number $1/" \
	    "$root/policies/violence.yaml" >"$TMP_DIR/policies/extra.yaml"
}
idle() {
	[ "$(status workers | grep -o '"idle"' | wc -l)" = "$1" ]
}

config "policies: $TMP_DIR/policies/
workers: {count: 4, batch: 1}
log: {to: stderr, level: notice}"
start
until_true 20 idle 4
mkdir "$TMP_DIR/in"
client pictures "$TMP_DIR/in" 24 >"$TMP_DIR/list"
# shellcheck disable=SC2046  # names without blanks
client score -p a- $(cat "$TMP_DIR/list") >/dev/null
mv "$TMP_DIR/bin/plugins/png.so" "$TMP_DIR/bin/plugins/png.gone"
for i in 1 2 3; do
	policy $i
	timeout 20 "$CW_BUILD/clipward" --socket "$SOCKET" reload >/dev/null 2>"$TMP_DIR/err"
	same "reload $i is refused" 2 $?
	check "and says why" grep -q "a new worker can't start" "$TMP_DIR/err"
done
same "one worker has made room for none" 1 "$(grep -c 'another is to try' "$TMP_DIR/log")"
check "the others are there" idle 3
client score -p b- "$(head -n 1 "$TMP_DIR/list")" >"$TMP_DIR/out"
check "and score" grep -q '"decision"' "$TMP_DIR/out"
for w in $(children); do
	[ "$w" = "$(child gate)" ] || kill -KILL "$w"
done
policy 4
timeout 20 "$CW_BUILD/clipward" --socket "$SOCKET" reload >/dev/null 2>"$TMP_DIR/err"
same "with no worker at all, too" 2 $?
check "and says so" grep -q "a new worker can't start" "$TMP_DIR/err"
mv "$TMP_DIR/bin/plugins/png.gone" "$TMP_DIR/bin/plugins/png.so"
until_true 20 idle 4
check "workers start again" idle 4
check "and the policies are taken" clipward reload
stop

# Room for two workers only, as under a limit of memory: the third is killed
# whenever it starts, which keeps nobody from making room for a successor.
mv "$TMP_DIR/bin/clipward-worker" "$TMP_DIR/bin/real-worker"
cat >"$TMP_DIR/bin/clipward-worker" <<'EOT'
#!/bin/sh
d=$(dirname "$0")
exec 9>"$d/lock"
flock 9
for i in 1 2; do
	p=$(cat "$d/slot$i" 2>/dev/null)
	if [ -z "$p" ] || ! [ -d "/proc/$p" ]; then
		echo $$ >"$d/slot$i"
		exec 9>&-
		exec "$d/real-worker"
	fi
done
kill -KILL $$
EOT
chmod +x "$TMP_DIR/bin/clipward-worker"
config "policies: $TMP_DIR/policies/
workers: {count: 3, batch: 1}
log: {to: stderr, level: notice}"
start
until_true 20 idle 2
# shellcheck disable=SC2046  # names without blanks
client score -p c- -H '{"explain":"always"}' $(cat "$TMP_DIR/list") >/dev/null
for i in 5 6; do
	policy $i
	check "a third worker that never starts keeps out no policies ($i)" \
	    timeout 20 "$CW_BUILD/clipward" --socket "$SOCKET" reload
done
finish
