#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A clock that jumps fires no time-out; a second daemon and an unknown spool
# are refused, and nothing is eaten.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

${CC:-cc} -std=c17 -D_GNU_SOURCE -O1 -shared -fPIC -o "$TMP_DIR/clock.so" \
    "$here/clock.c" || finish
config 'workers: {count: 1, batch: 4, deadline: 5s}'
"$PYTHON" - <<'EOT' || FAILED=1
import os, struct, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/faults")
from daemon import *
check = Checks()
if SANITIZED:
    print("skip jumping clock: a sanitizer must be preloaded first")
    sys.exit(0)
clock = TMP + "/clock"


def jump(seconds):
    with open(clock, "r+b") as f:
        f.write(struct.pack("<q", seconds))


with open(clock, "wb") as f:
    f.write(bytes(4096))
preload = TMP + "/clock.so"
d = Daemon(LD_PRELOAD=preload, CLOCK_FILE=clock).start()
c = Client(d.status()["endpoints"]["submit"])
pids = {n: d.children(n) for n in ("gate", "worker")}
n = 0
errors = 0
times = []
years = set()
for seconds in (0, 3600, -3600, 86400, -86400, 365 * 86400, -365 * 86400, 0):
    # jobs are in hand, with deadlines, while it jumps
    ids = ["c%d" % (n + i) for i in range(12)]
    for i, ident in enumerate(ids):
        c.submit(picture(n + i), id=ident, explain="never", deadline_ms=20000)
        if i == 6:
            jump(seconds)
    n += len(ids)
    began = time.monotonic()
    c.until(lambda: all(i in c.verdicts for i in ids), 15)
    times.append(time.monotonic() - began)
    wrong = [c.verdicts.get(i, {"decision": "none"}) for i in ids
             if c.verdicts.get(i, {"decision": "error"})["decision"] ==
             "error"]
    check("jump of %+d s: every job is scored" % seconds, not wrong,
          wrong[:1])
    errors += len(wrong)
    if seconds > 300 * 86400:
        c.until(lambda: False, 1.5)     # housekeeping has its look
    years |= {c.verdicts[i]["received_at"][:4] for i in ids
              if i in c.verdicts}
check("the clock did jump", len(years) >= 2, years)
check("no process was replaced", pids == {
    k: d.children(k) for k in pids}, d.status()["counters"])
check("the first verdict is still there", c.get("c0") == c.verdicts["c0"])
check("the daemon ends well", d.kill(signal.SIGTERM) == 0)
figure("%d jumps of up to a year over %d jobs: %d errors, slowest round "
       "%.0f ms" % (len(times) - 1, n, errors, max(times) * 1e3))
d.stop()
check.done()
EOT

# a spool to meet, with a verdict in it
client pictures "$TMP_DIR" 1 >/dev/null
[ -d "$TMP_DIR/spool" ] || {
	start
	client score -p first- "$TMP_DIR/p0.jpg" >/dev/null
	stop
}
# two at once: of several started together one serves
launch
first=$DAEMON
for i in 1 2 3; do
	sed "s#control: .*#control: {socket: $TMP_DIR/other$i.sock}#" \
	    "$TMP_DIR/config.yaml" >"$TMP_DIR/other$i.yaml"
	"$CW_BUILD/clipwardd" -d -f "$TMP_DIR/other$i.yaml" \
	    >"$TMP_DIR/other$i.log" 2>&1 &
	others="${others-} $!"
done
DAEMON=
serving() {
	n=0
	for p in $first $others; do
		alive "$p" && n=$((n + 1))
	done
	[ "$n" = 1 ]
}
check "of four daemons on one spool one stays" until_true 20 serving
for p in $first $others; do
	kill "$p" 2>/dev/null
done
wait

# a spool of the version before goes on: what waited is scored
db=$(ls "$TMP_DIR"/spool/*.db)
check "a spool is made one of version 1" sqlite3 -bail "$db" \
    "ALTER TABLE jobs DROP COLUMN owner;
    ALTER TABLE verdicts DROP COLUMN owner;
    UPDATE meta SET value = 1 WHERE key = 'version'"
last=$(sqlite3 "$db" 'SELECT id FROM verdicts ORDER BY received_us DESC LIMIT 1')
start
check "a spool of version 1 is served" client score -p old- "$TMP_DIR/p0.jpg"
check "and holds what it held" clipward get "$last"
stop
same "as version 2" 2 \
    "$(sqlite3 "$db" "SELECT value FROM meta WHERE key = 'version'")"

# a spool from the future is left as it is
db=$(ls "$TMP_DIR"/spool/*.db)
check "a spool is made one of version 9999" sqlite3 -bail "$db" \
    "pragma wal_checkpoint(truncate);
    update meta set value = 9999 where key = 'version'"
before=$(sqlite3 "$db" .dump | sha256sum)
timeout 20 "$CW_BUILD/clipwardd" -d -f "$TMP_DIR/config.yaml" \
    >"$TMP_DIR/out" 2>&1
code=$?
if [ $code != 0 ] && [ $code != 124 ]; then
	ok "an unknown spool version is refused"
else
	not_ok "an unknown spool version is refused" "exit $code"
fi
check "and named" grep -q 9999 "$TMP_DIR/out"
same "and left as it is" "$before" "$(sqlite3 "$db" .dump | sha256sum)"
finish
