#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# No room on the disk, no descriptors, no syslog: nothing accepted is lost,
# and it comes back by itself.
if [ -z "${CW_OWN_MOUNTS-}" ]; then
	CW_OWN_MOUNTS=1
	export CW_OWN_MOUNTS
	for how in "-m" "-Urm"; do
		if unshare $how true 2>/dev/null; then
			exec unshare $how "$0" "$@"
		fi
	done
	echo "skip disk full: this user may not make a mount namespace"
	exit 77
fi
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

mkdir "$TMP_DIR/disk"
if ! mount -t tmpfs -o size=24m none "$TMP_DIR/disk" 2>/dev/null; then
	skip "disk full" "no tmpfs can be mounted here"
	exit 77
fi
trap 'umount -l "$TMP_DIR/disk" 2>/dev/null; sweep' EXIT
config "spool: {path: $TMP_DIR/disk/spool}
workers: {count: 1, batch: 4}
log: {to: syslog}"
"$PYTHON" - <<'EOT' || FAILED=1
import os, resource, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/faults")
from daemon import *
check = Checks()
d = Daemon().start()
check("it starts without a syslog to write to", True)
END = d.status()["endpoints"]["submit"]
c = Client(END)
filler = TMP + "/disk/filler"
pool = [picture(i, (300, 300), "JPEG") for i in range(8)]
n = 0


def submit(k=1):
    global n
    ids = []
    for _ in range(k):
        ids.append("f%d" % n)
        c.submit(pool[n % 8] + b"%d" % n + bytes(40000), id=ids[-1],
                 explain="never")
        n += 1
    return ids


def fill():
    """Leave not a page."""
    fd = os.open(filler, os.O_CREAT | os.O_WRONLY)
    size = 1 << 20
    while size >= 4096:
        try:
            os.write(fd, bytes(size))
        except OSError:
            size //= 2
    os.close(fd)


push = socket(zmq.PUSH, d.status()["endpoints"]["pull"], 10.0, linger=60000)
pushed = set()


def push_some(k):
    """To PULL, which answers nothing: what it takes has to be stored."""
    for _ in range(k):
        ident = "p%d" % len(pushed)
        push.send_multipart([b"CW1", b"SUBMIT",
                             b'{"id":"%s","explain":"never"}' % ident.encode(),
                             pool[len(pushed) % 8] + ident.encode()])
        pushed.add(ident)


other = Client(END)
backs, gone = [], set()
for round_ in range(3 if LONG else 2):
    submit(20)
    c.until(lambda: len(c.accepted) + len(c.busy) > 4 + 20 * round_, 10)
    fill()
    # read at once, so that a job and its end are undone together
    d.proc.send_signal(signal.SIGSTOP)
    late = submit(1)
    c.ask("CANCEL", id=late[0])
    other.answers.clear()
    other.ask("CANCEL", id=late[0])
    late += submit(19)
    push_some(20)
    for _ in range(2):
        c.ask("PING")
        c.until(lambda: c.answers[-1:] == [("PONG", {})], 10)
        c.answers.clear()
    d.proc.send_signal(signal.SIGCONT)
    c.until(lambda: all(i in c.accepted or i in c.busy or i in c.verdicts
                        for i in late), 20)
    check("round %d: a full disk is BUSY" % round_,
          any(i in c.busy for i in late),
          [k for k, _ in c.answers[-5:]])
    other.until(lambda: other.answers, 10)
    check("round %d: who cancels hears of it" % round_, other.answers)
    check("round %d: it lives" % round_, d.proc.poll() is None)
    os.unlink(filler)
    began = time.monotonic()
    back = False
    while time.monotonic() - began < 10 and not back:
        i = submit()[0]
        c.until(lambda: i in c.accepted or i in c.busy, 1)
        back = i in c.accepted
        if not back:
            time.sleep(0.05)
    backs.append(time.monotonic() - began)
    check("round %d: back in five seconds" % round_,
          back and backs[-1] < 5, backs[-1])
    accepted = set(c.accepted)
    c.until(lambda: accepted <= set(c.verdicts), 30)
    lost = accepted - set(c.verdicts)
    gone |= lost
    check("round %d: nothing accepted is lost" % round_, not lost,
          sorted(lost)[:5])
    wrong = [v for v in c.verdicts.values() if v["decision"] == "error"]
    check("round %d: no verdict is an error" % round_, not wrong, wrong[:1])

# What is undone is not counted: jobs are cancelled, and expire, while their
# verdicts can't be stored.
base = d.status()["counters"]
worker = d.children("worker")[0]
os.kill(worker, signal.SIGSTOP)
held = submit(12)
for i in held[8:10]:
    c.submit(pool[0] + bytes(60000), id=i + "x", deadline_ms=300)
c.until(lambda: all(i in c.accepted for i in held + [held[9] + "x"]), 10)
fill()
# More than the database's log may have room for within itself, if not at once.
for i in range(4):
    large = "large%d" % i
    c.submit(pool[0] + bytes(6 << 20), id=large)
    c.until(lambda: large in c.busy or large in c.accepted, 10)
    if large in c.busy:
        break
check("a full disk has no room for a large one", large in c.busy)
for k in range(20):
    submit()
    c.ask("CANCEL", id=held[-1])
    c.until(lambda: False, 0.03)
os.unlink(filler)
os.kill(worker, signal.SIGCONT)
held += [i + "x" for i in held[8:10]]
c.until(lambda: all(i in c.verdicts for i in held), 20)
s = d.status()["counters"]
codes = [c.verdicts.get(i, {}).get("error", {}).get("code") for i in held]
check("cancelled and expired are counted once, when stored",
      s["cancelled"] - base["cancelled"] == codes.count("cancelled") and
      s["expired"] - base["expired"] == codes.count("deadline") and
      s["spool_failures"] > base["spool_failures"],
      (codes, {k: s[k] - base[k] for k in s if s[k] != base[k]}))

# no descriptor for a new worker, nor for a control connection
c.until(lambda: set(c.accepted) <= set(c.verdicts), 60)
soft, hard = resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE)
fds = len(os.listdir("/proc/%d/fd" % d.proc.pid))
resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE, (fds, hard))
for pid in d.children("worker"):
    os.kill(pid, signal.SIGKILL)
resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE, (max(fds - 1, 3), hard))
held = submit(5)
c.until(lambda: False, 0.7)
check("no descriptors: it lives", d.proc.poll() is None)
resource.prlimit(d.proc.pid, resource.RLIMIT_NOFILE, (soft, hard))
began = time.monotonic()
c.until(lambda: all(i in c.verdicts for i in held), 10)
check("no descriptors: back in five seconds",
      all(i in c.verdicts for i in held) and
      time.monotonic() - began < 5.5, time.monotonic() - began)
c.until(lambda: set(c.accepted) <= set(c.verdicts), 30)
gone |= set(c.accepted) - set(c.verdicts)
check("and nothing accepted is lost at the end", not gone, sorted(gone)[:5])
end = time.monotonic() + 20
while pushed - set(c.verdicts) and time.monotonic() < end:
    for i in pushed - set(c.verdicts):
        c.ask("GET", id=i)
    c.until(lambda: pushed <= set(c.verdicts), 0.5)
check("nor what was pushed meanwhile", pushed <= set(c.verdicts),
      len(pushed - set(c.verdicts)))
check("the daemon ends well", d.kill(signal.SIGTERM) == 0)
figure("%d accepted over %d full disks: %d lost, back after %.0f ms at most "
       "(bound 5000)" % (len(c.accepted), len(backs), len(gone),
                         max(backs) * 1e3))
d.stop()
check.done()
EOT
finish
