#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# The JSON Lines sink: every verdict a line, as stored; rotated away, reopened.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

lines=$TMP_DIR/verdicts.jsonl
config "plugins: [png, {path: jsonl, file: $lines}]"
start
client pictures "$TMP_DIR" 6 >"$TMP_DIR/list"
# shellcheck disable=SC2046
client score $(cat "$TMP_DIR/list") | sort >"$TMP_DIR/told"
has() {
	[ "$(wc -l <"$1" 2>/dev/null)" -ge "$2" ]
}
check "a line per verdict" until_true 10 has "$lines" 6
if out=$(client schema <"$lines"); then
	ok "by the schema"
else
	not_ok "by the schema" "$out"
fi
"$PYTHON" - "$TMP_DIR/told" "$lines" <<'EOT' || FAILED=1
import json, os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import Checks
check = Checks()
told, kept = ({v["id"]: v for v in map(json.loads, open(f))}
              for f in sys.argv[1:])
check("the very verdicts", told == kept, (len(told), len(kept)))
check.done()
EOT
mv "$lines" "$lines.1"
# shellcheck disable=SC2046
client score -p again- $(cat "$TMP_DIR/list") >/dev/null
check "a rotated file is opened anew" until_true 10 has "$lines" 6
stop
start
# shellcheck disable=SC2046
client score -p third- $(head -n 1 "$TMP_DIR/list") >/dev/null
check "appended to after a restart" until_true 10 has "$lines" 7
finish
