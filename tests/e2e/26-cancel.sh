#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# CANCEL directly behind its SUBMIT: no worker has the job, so it ends, though
# the daemon reads both at once.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config
start
"$PYTHON" - "$DAEMON" <<'EOT' || FAILED=1
import os, signal, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
pid = int(sys.argv[1])
c = Client()
os.kill(pid, signal.SIGSTOP)
for i in range(10):
    c.submit(picture(i), id="c%d" % i)
    c.ask("CANCEL", id="c%d" % i)
# the gate answers PING itself: two of them, and what came before is passed on
for _ in range(2):
    c.answers.clear()
    c.ask("PING")
    c.until(lambda: c.answers, 10)
c.answers.clear()
os.kill(pid, signal.SIGCONT)
c.until(lambda: len(c.verdicts) == 10, 20)
codes = [v.get("error", {}).get("code") for v in c.verdicts.values()]
check("each is cancelled", codes == ["cancelled"] * 10, codes)
check("ACCEPTED comes before", [v for v, h in c.answers if
                                h["id"] == "c3"] == ["ACCEPTED", "VERDICT"],
      c.answers)
c.submit(picture(1), id="c1")
c.until(lambda: c.answers[-1][0] == "VERDICT" and
        c.answers[-1][1]["id"] == "c1", 10)
check("its id has that verdict for ever",
      c.verdicts["c1"]["error"]["code"] == "cancelled", c.verdicts["c1"])
c.submit(picture(1), id="after")
check("the image is scored under another id",
      c.until(lambda: "after" in c.verdicts, 20) and
      c.verdicts["after"]["decision"] != "error", c.answers[-1])
check.done()
EOT
same "ten are counted" 10 "$(status counters.cancelled)"
same "nothing is left" 0 "$(status queue.pending)"
check "the daemon lives" alive "$DAEMON"
finish
