#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# To PULL, more than may wait, of large images and of small ones: who pushes is
# held up, the gate holds little of it, and all that was taken is scored.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config 'limits: {pending: 4, pending_bytes: 64M}
workers: {count: 1, batch: 1, deadline: 10m}
log: {to: stderr, level: notice}'
start
gate=$(child gate)
"$PYTHON" - "$(child worker)" "$gate" <<'EOT' || FAILED=1
import os, re, signal, sys, threading
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
worker, gate = map(int, sys.argv[1:])
os.kill(worker, signal.SIGSTOP)
blob = os.urandom(5 << 20)
sent = [0] * 6
full = [False] * 6


def push(k):
    s = socket(zmq.PUSH, os.environ["PULL"], 3.0, sndhwm=2, linger=60000)
    try:
        while sent[k] < 60:
            s.send_multipart([b"CW1", b"SUBMIT", b'{"id":"big%d.%d"}' % (
                k, sent[k]), blob[k:]])
            sent[k] += 1
    except zmq.Again:
        full[k] = True


threads = [threading.Thread(target=push, args=(k,)) for k in range(6)]
for t in threads:
    t.start()
for t in threads:
    t.join()
check("every sender waits", all(full), sent)
try:
    mb = int(re.search(r"VmRSS:\s+(\d+)", open("/proc/%d/status" % gate)
                       .read()).group(1)) >> 10
except OSError:
    mb = -1
check("the gate holds little", 0 < mb < 400, mb)
figure("6 senders of 5 MB images held up after %d of them: gate %d MB" % (
    sum(sent), mb))
os.kill(worker, signal.SIGCONT)
c = Client()
lost = {"big%d.%d" % (k, n) for k in range(6) for n in range(sent[k])}
end = time.monotonic() + 60
while lost and time.monotonic() < end:
    for i in lost:
        c.ask("GET", id=i)
    c.until(lambda: lost <= set(c.verdicts), 0.5)
    lost -= set(c.verdicts)
check("all of it is scored", not lost, len(lost))
check.done()
EOT
same "the gate is the same one" "$gate" "$(child gate)"
stop

config 'limits: {pending: 100}
workers: {count: 1, batch: 64, deadline: 10m}
log: {to: stderr, level: notice}'
start
"$PYTHON" - "$(child worker)" <<'EOT' || FAILED=1
import os, signal, subprocess, sys, threading
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
worker = int(sys.argv[1])
small = picture(1, (16, 16))


def stats():
    s = subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                        os.environ["TMP_DIR"] + "/control.sock", "status", "--json"],
                       stdout=subprocess.PIPE, check=True).stdout
    s = json.loads(s)
    n = s["counters"]
    return s["gate"]["messages"], n["accepted"] + n["cached"], n["busy"]


def push(k):
    s = socket(zmq.PUSH, os.environ["PULL"], 20.0, linger=60000)
    for n in range(500):
        s.send_multipart([b"CW1", b"SUBMIT", b'{"id":"s%d.%d","explain":'
                          b'"never"}' % (k, n), small])
    s.close()


os.kill(worker, signal.SIGSTOP)
threads = [threading.Thread(target=push, args=(k,)) for k in range(3)]
for t in threads:
    t.start()
was, now = (0, 0, 0), stats()
while was != now or now[1] < 100:
    time.sleep(0.3)
    was, now = now, stats()
check("all that is read is stored, and it is not all", now[0] == now[1] and
      100 <= now[1] < 1500 and now[2] == 0, now)
figure("of 1500 small ones the gate read %d, 100 may wait, %d are stored" %
       now[:2])
os.kill(worker, signal.SIGCONT)
for t in threads:
    t.join()
end = time.monotonic() + 60
while stats()[1] < 1500 and time.monotonic() < end:
    time.sleep(0.2)
check("in the end all are", stats()[1:] == (1500, 0), stats())
check.done()
EOT
finish
