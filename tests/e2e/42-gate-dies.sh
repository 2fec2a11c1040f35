#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# SIGKILL to the gate: another one on the same endpoints, clients reconnect,
# nothing that was accepted is lost.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config
start
"$PYTHON" - "$(child gate)" <<'EOT' || FAILED=1
import os, signal, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
images = pictures(40)
c = Client()
for n, b in images.items():
    c.submit(b, id=n)
c.until(lambda: len(c.accepted) >= 10, 20)
began = time.monotonic()
os.kill(int(sys.argv[1]), signal.SIGKILL)
other = Client()
other.ask("PING")
check("another gate answers", other.until(lambda: other.answers, 10))
figure("network back after %.0f ms" % ((time.monotonic() - began) * 1e3))
accepted = list(c.accepted)
lost = [n for n in accepted if other.get(n) is None]
check("accepted jobs have verdicts", not lost, lost)
again = Client()
got = again.score(images)
check("the others are sent again and scored", all(got.values()))
twice = [n for n in accepted if again.accepted.get(n) is False]
check("the accepted ones were known", not twice, twice)
check.done()
EOT
same "the endpoint is the same" "$SUBMIT" "$(status endpoints.submit)"
same "one gate death is counted" 1 "$(status counters.gate_deaths)"

# one that hangs is as good as dead
hung=$(child gate)
replaced() {
	[ -n "$(child gate)" ] && [ "$(child gate)" != "$hung" ] && is_ready
}
kill -STOP "$hung"
check "a gate that hangs is replaced" until_true 20 replaced
finish
