#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# More than it may hold: BUSY with a time to wait, and nothing lost.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config 'limits: {pending: 10}'
start
"$PYTHON" - <<'EOT' || FAILED=1
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
images = pictures(100)
c = Client()
for n, b in images.items():
    c.submit(b, id=n)
c.until(lambda: len(c.accepted) + len(c.busy) >= len(images), 20)
check("each is ACCEPTED or BUSY", len(c.accepted) + len(c.busy) ==
      len(images), (len(c.accepted), len(c.busy)))
check("many are BUSY", len(c.busy) > 20, len(c.busy))
check("with a time to wait", all(0 < t <= 60000 for t in c.busy.values()),
      c.busy)
accepted = set(c.accepted)
c.until(lambda: accepted <= set(c.verdicts), 30)
check("the accepted ones are answered", accepted <= set(c.verdicts),
      accepted - set(c.verdicts))
push = socket(zmq.PUSH, os.environ["PULL"])
for n, b in pictures(60, 500).items():
    push.send_multipart([b"CW1", b"SUBMIT", json.dumps(
        {"id": "push" + n}).encode(), b])
busy = {n: images[n] for n in c.busy}
again = Client()
got = again.score(busy)
check("who waits gets in", all(got.values()))
end = time.monotonic() + 30
missing = {"push" + n for n in pictures(60, 500)}
while missing and time.monotonic() < end:
    for n in list(missing):
        again.ask("GET", id=n)
        again.until(lambda: again.answers[-1][0] in
                    ("VERDICT", "UNKNOWN", "PENDING"), 2)
        if again.answers[-1][0] == "VERDICT":
            missing.discard(n)
check("PULL waits instead of losing", not missing, len(missing))
check.done()
EOT
finish
