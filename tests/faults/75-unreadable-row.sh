#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A stored job that can't be read: the others go on, it is tried for some
# seconds, and then its bytes are in quarantine, not gone.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

config
start
"$PYTHON" - "$DAEMON" <<'EOT' || FAILED=1
import os, signal, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
c = Client()
for n, b in pictures(60).items():
    c.submit(b, id=n)
c.until(lambda: len(c.accepted) >= 30, 20)
os.kill(int(sys.argv[1]), signal.SIGKILL)
EOT
wait "$DAEMON" 2>/dev/null
# the first two of those that wait lose a byte
"$PYTHON" - "$TMP_DIR" <<'EOT' || FAILED=1
import sqlite3, sys
db = sqlite3.connect(sys.argv[1] + "/spool/spool.db")
bad = [r[0] for r in db.execute("SELECT id FROM jobs ORDER BY seq LIMIT 2")]
rest = [r[0] for r in db.execute("SELECT id FROM jobs ORDER BY seq")][2:]
for i in bad:
    db.execute("UPDATE jobs SET payload = substr(payload, 1, bytes - 1)"
               " WHERE id = ?", (i,))
db.commit()
open(sys.argv[1] + "/bad", "w").write("\n".join(bad))
open(sys.argv[1] + "/rest", "w").write("\n".join(rest))
EOT
start
"$PYTHON" - "$TMP_DIR" <<'EOT' || FAILED=1
import os, re, sqlite3, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
d = sys.argv[1]
bad, rest = (open(d + "/" + n).read().split() for n in ("bad", "rest"))
check("there is something to do", len(bad) == 2 and len(rest) > 5, len(rest))
c = Client()
got = [c.get(n)["decision"] for n in rest]
check("the others are scored", "error" not in got, got)
got = [c.get(n) for n in bad]
check("the unreadable ones end as errors of the spool",
      [v.get("error", {}).get("code") for v in got] == ["spool"] * 2, got)
log = open(d + "/log").read()
reads = [int(n) for n in re.findall(r"quarantine job=\S+ reads=(\d+)", log)]
check("not at the first failure", len(reads) == 2 and min(reads) >= 5, reads)
db = sqlite3.connect("file:%s/spool/spool.db?mode=ro" % d, uri=True)
kept = db.execute("SELECT id, reason, length(payload) > 100 FROM quarantine"
                  " ORDER BY id").fetchall()
check("their bytes are in quarantine",
      kept == [(n, "unreadable", 1) for n in sorted(bad)], kept)
figure("2 unreadable rows among %d: set aside after %d tries, %d others scored" % (
    len(rest) + 2, min(reads), len(rest)))
check.done()
EOT
same "nothing is left to do" 0 "$(status queue.pending)"
finish
