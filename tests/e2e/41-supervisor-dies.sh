#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# kill -9 of the supervisor under load: what was ACCEPTED has its verdict
# after the next start.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config
start
"$PYTHON" - "$DAEMON" >"$TMP_DIR/accepted" <<'EOT' || FAILED=1
import os, signal, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
c = Client()
for n, b in pictures(80).items():
    c.submit(b, id=n)
c.until(lambda: len(c.accepted) >= 40, 20)
os.kill(int(sys.argv[1]), signal.SIGKILL)
c.until(lambda: False, 0.3)
for n in c.accepted:
    print(n, json.dumps(c.verdicts.get(n)))
EOT
wait "$DAEMON" 2>/dev/null
n=$(wc -l <"$TMP_DIR/accepted")
check "some were accepted" test "$n" -ge 40
start
"$PYTHON" - "$TMP_DIR/accepted" <<'EOT' || FAILED=1
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
c = Client()
told = {line.split(" ", 1)[0]: json.loads(line.split(" ", 1)[1])
        for line in open(sys.argv[1])}
got = {}
for n in told:
    try:
        got[n] = c.get(n)
    except TimeoutError:
        got[n] = None
lost = [n for n in told if not got[n]]
check("every accepted job has its verdict", not lost, lost[:5])
other = [n for n in told if told[n] and told[n] != got[n]]
check("no verdict that was told has changed", not other, other[:5])
figure("%d accepted, %d told, %d lost" %
       (len(told), sum(v is not None for v in told.values()), len(lost)))
check.done()
EOT
idle() {
	[ "$(status queue.pending)" = 0 ]
}
check "nothing is left to do" until_true 20 idle
finish
