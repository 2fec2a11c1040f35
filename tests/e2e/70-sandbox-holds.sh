#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A decoder that tries to get out: it dies, alone, and the daemon goes on.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

evil
config "plugins: [png, $EVIL]"
start
gate=$(child gate)
"$PYTHON" - "$DAEMON" <<'EOT' || FAILED=1
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
c = Client()
pid = sys.argv[1]
SANITIZED = b"__asan_init" in open(
    os.environ["CW_BUILD"] + "/clipward-worker", "rb").read()
ANSWERED = ("open", "create", "fork", "dumpable") if SANITIZED else ()
shut = 0
for n, trick in enumerate("open create socket connect execve fork ptrace kill "
                          "mmap-exec mprotect-exec dumpable vm-read".split()):
    good, bad = "good%d" % n, "evil-" + trick
    c.submit(picture(n), id=good)
    c.until(lambda: good in c.verdicts, 20)
    c.submit(("EVIL:%s %s" % (trick, pid)).encode(), id=bad)
    c.until(lambda: bad in c.verdicts, 20)
    v = c.verdicts.get(bad, {})
    why = v.get("error", {})
    # with a sanitizer's list some calls only fail
    shut += check("%s: the worker dies of it" % trick,
                  v.get("decision") == "error" and
                  (why["stage"] == "worker" or trick in ANSWERED and
                   why["message"] == "SURVIVED %s: -1" % trick), why)
c.submit(picture(99), id="last")
check("the daemon goes on", c.until(lambda: "last" in c.verdicts, 20) and
      c.verdicts["last"]["decision"] != "error")
check("good jobs between were scored", all(
    c.verdicts.get("good%d" % n, {}).get("decision") in
    ("allow", "review", "block") for n in range(12)))
figure("%d forbidden calls tried in a worker: %d ended it%s" % (
    n + 1, shut, " or failed" if ANSWERED else ""))
bad = validate(c.verdicts.values())
check("by the schema", not bad, bad[:3])
check.done()
EOT
check "the supervisor is the same" alive "$DAEMON"
same "and the gate" "$gate" "$(child gate)"
worker=$(child worker | head -n 1)
check "no-new-privs" grep -q 'NoNewPrivs:.1' "/proc/$worker/status"
check "seccomp" grep -q 'Seccomp:.2' "/proc/$worker/status"
finish
