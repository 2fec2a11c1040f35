#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# SIGTERM and `clipward drain`: no new jobs, those in hand are answered,
# the rest stays in the spool, exit 0.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP_DIR/drain.py" <<'EOT'
import os, signal, subprocess, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
how, pid = sys.argv[1], int(sys.argv[2])
images = pictures(40, 1000 if how == "TERM" else 2000)
more = picture(7)
c = Client()
for n, b in images.items():
    c.submit(b, id=how + n)
c.until(lambda: len(c.accepted) >= 20, 20)
began = time.monotonic()
if how == "TERM":
    os.kill(pid, signal.SIGTERM)
else:
    subprocess.Popen([os.environ["CW_BUILD"] + "/clipward", "--socket",
                      os.environ["TMP_DIR"] + "/control.sock", "drain"],
                     stdout=subprocess.DEVNULL)
gone = None
late = 0
refused, refused_ms = None, -1
while time.monotonic() < began + 60:
    c.poll(0.002)
    if late < 1000:
        c.submit(more, id="%slate%d" % (how, late))
        late += 1
    if refused is None and c.busy:
        refused, refused_ms = late, (time.monotonic() - began) * 1e3
    try:
        stat = open("/proc/%d/stat" % pid).read().rsplit(")")[1].split()[0]
    except OSError:
        stat = "Z"
    if stat == "Z":
        gone = time.monotonic() - began
        break
c.until(lambda: False, 0.2)
check("%s: the daemon goes" % how, gone is not None)
figure("%s: first refusal heard after %.0f ms%s, gone after %.0f ms%s, %d of "
       "%d accepted were answered" % (
           how, refused_ms, " (bound 10)" if how == "TERM" else "",
           (gone or 0) * 1e3, " (bound 5000)" if how == "TERM" else "",
           sum(n in c.verdicts for n in c.accepted), len(c.accepted)))
# What was sent before the word to stop arrived may be taken; nothing that
# was sent after the first refusal.
after = ["%slate%d" % (how, i) for i in range(refused or late, late)]
check("%s: late ones are not accepted" % how,
      not [n for n in after if n in c.accepted], after[:5])
check("%s: and are told so" % how, refused is not None or
      sum(n.startswith(how + "late") for n in c.accepted) < late, late)
if how == "TERM":
    check("TERM: within 5 s", gone and gone < 5, gone)
    # others may keep a machine busy that checks; not one that measures
    bound = 10 if os.environ.get("LONG") else 100
    check("TERM: refuses within %d ms" % bound, 0 <= refused_ms <= bound,
          refused_ms)
else:
    left = [n for n in c.accepted if n not in c.verdicts]
    check("drain: all that was accepted is answered", not left, left[:5])
with open(os.environ["TMP_DIR"] + "/accepted", "a") as f:
    f.write("".join(n + "\n" for n in c.accepted))
check.done()
EOT

config
for how in TERM drain; do
	start
	"$PYTHON" "$TMP_DIR/drain.py" $how "$DAEMON" || FAILED=1
	wait "$DAEMON"
	same "$how: exit 0" 0 $?
done
start
# shellcheck disable=SC2046
client get $(cat "$TMP_DIR/accepted") >"$TMP_DIR/got" 2>&1
same "every accepted job has its verdict" "$(wc -l <"$TMP_DIR/accepted")" \
    "$(grep -c '"decision"' "$TMP_DIR/got")"
stop

# Jobs of PULL that the gate has read when the daemon is told to go: nobody
# can be told BUSY, so they are stored.  In the daemon's way: it is stopped.
cat >"$TMP_DIR/push.py" <<'EOT'
import os, signal, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
pid = int(sys.argv[1])
os.kill(pid, signal.SIGSTOP)
push = socket(zmq.PUSH, os.environ["PULL"], linger=10000)
image = picture(1)
for i in range(120):        # 30 MB, which take their time to be stored
    push.send_multipart([b"CW1", b"SUBMIT", b'{"id":"push%d"}' % i,
                         image + b"%d" % i + bytes(250000)])
push.close()
# each PONG is a turn of the gate, and PULL has its part in each
c = Client()
for _ in range(40):
    c.ask("PING")
    c.poll(5)
    time.sleep(0.02)
os.kill(pid, signal.SIGTERM)
os.kill(pid, signal.SIGCONT)
EOT
start
"$PYTHON" "$TMP_DIR/push.py" "$DAEMON"
wait "$DAEMON"
same "TERM, jobs of PULL on their way: exit 0" 0 $?
same "they are stored" 120 "$("$PYTHON" -c '
import sqlite3, sys
db = sqlite3.connect(sys.argv[1])
print(sum(db.execute("SELECT count(*) FROM %s WHERE id LIKE \"push%%\"" %
                     t).fetchone()[0] for t in ("jobs", "verdicts")))
' "$TMP_DIR/spool/spool.db")"
finish
