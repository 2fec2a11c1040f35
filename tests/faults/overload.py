"""overload.py - three times what the daemon can do, for a while.

First what it can do at most, with a sender that keeps it just full; then
senders that offer three times that and do not wait.
"""
import itertools
import random
import threading

from daemon import *  # noqa: F403

check = Checks()
SECONDS = int(os.environ.get("SECONDS", 60 if LONG else 3))
d = Daemon().start()
END = d.status()["endpoints"]["submit"]
pool = [picture(i, (224, 224), "JPEG") for i in range(16)]
serial = itertools.count()
HEADER = '{"id":"%s","explain":"never"}'
ID = re.compile(rb'"id":"([^"]*)"')


def image():
    n = next(serial)
    return "o%d" % n, pool[n % 16] + b"%d" % n


def done():
    s = d.status()["counters"]
    return s["allow"] + s["review"] + s["block"] + s["error"]


def at_most(seconds):
    """Images a second with a window that never runs empty."""
    c = Client(END)
    out, began, first, n = 0, time.monotonic(), None, 0
    while time.monotonic() - began < seconds + 0.5:
        while out < 40:
            ident, data = image()
            c.submit(data, id=ident, explain="never")
            out += 1
        a = c.poll(0.1)
        if a and a[0] in ("VERDICT", "BUSY"):
            out -= 1
            if first is None and time.monotonic() - began > 0.5:
                first, n = time.monotonic(), 0
            n += a[0] == "VERDICT"
        c.answers.clear()
        c.verdicts.clear()
        c.parts.clear()
    rate = n / (time.monotonic() - first)
    end = time.monotonic() + 10
    while out > 0 and time.monotonic() < end:
        a = c.poll(0.1)
        out -= bool(a) and a[0] in ("VERDICT", "BUSY")
    c.sock.close()
    return rate


class Flood(threading.Thread):
    """Offers rate images a second, whatever comes back."""

    def __init__(self, rate, seconds):
        super().__init__()
        self.rate, self.seconds = rate, seconds
        self.busy_ms, self.sent_at = [], {}
        self.n = {"ACCEPTED": 0, "VERDICT": 0, "BUSY": 0, "other": 0}
        self.sent, self.promised = 0, set()

    def run(self):
        c = Client(END)
        began = time.monotonic()
        while True:
            now = time.monotonic()
            if now - began > self.seconds:
                break
            while self.sent < (now - began) * self.rate:
                ident, data = image()
                self.sent_at[ident] = time.monotonic()
                c.sock.send_multipart([b"CW1", b"SUBMIT", (HEADER % ident).encode(),
                                       data])
                self.sent += 1
            self.take(c, 0.002)
        end = time.monotonic() + 20
        while (self.promised or len(self.sent_at)) and \
                time.monotonic() < end:
            self.take(c, 0.1)
        c.sock.close()

    def take(self, c, wait):
        """Every answer there is.  Only ids are read: what this costs, the
        daemon on the same machine does not have."""
        wait *= 1000
        while c.sock.poll(wait):
            wait = 0
            verb, header = c.sock.recv_multipart()[1:3]
            verb = verb.decode()
            ident = ID.search(header)[1].decode()
            self.n[verb if verb in self.n else "other"] += 1
            sent = self.sent_at.pop(ident, None)
            if verb == "BUSY" and sent:
                self.busy_ms.append((time.monotonic() - sent) * 1e3)
            if verb == "ACCEPTED":
                self.promised.add(ident)
            if verb == "VERDICT":
                self.promised.discard(ident)


# By turns, so that whatever else the machine does meanwhile falls on both.
ROUNDS = 6 if LONG else 1
tops, rates, floods, kb = [], [], [], None
grown = {}
for _ in range(ROUNDS):
    tops.append(at_most(4 if LONG else 2))
    pids = {"supervisor": d.proc.pid, "gate": d.children("gate")[0]}
    kb = kb or {n: memory_kb(p) for n, p in pids.items()}
    flood = [Flood(tops[-1] * 1.5, SECONDS / ROUNDS) for _ in range(2)]
    before, began = done(), time.monotonic()
    for f in flood:
        f.start()
    time.sleep(SECONDS / ROUNDS)
    rates.append((done() - before) / (time.monotonic() - began))
    for n, p in pids.items():
        grown[n] = max(grown.get(n, 0), (memory_kb(p) - kb[n]) / 1024)
    for f in flood:
        f.join()
    floods += flood
top, rate = sum(tops) / ROUNDS, sum(rates) / ROUNDS
busy = sorted(ms for f in floods for ms in f.busy_ms)
n = {k: sum(f.n[k] for f in floods) for k in floods[0].n}
lost = sum(len(f.promised) for f in floods)
unanswered = sum(len(f.sent_at) for f in floods)
check("throughput stays", rate >= (0.95 if LONG else 0.8) * top,
      "%.0f of %.0f a second" % (rate, top))
check("the rest is BUSY", n["BUSY"] > 0 and n["other"] == 0, n)
check("nobody is left without an answer", unanswered == 0, unanswered)
check("what is accepted is answered", lost == 0, lost)
p = {k: busy[int(len(busy) * k)] if busy else -1 for k in (0.5, 0.99)}
check("BUSY comes soon", 0 <= p[0.99 if LONG else 0.5] < 50, p)
check("memory stays", all(g < 128 for g in grown.values()), grown)
figure("offered %.0f/s of %.0f/s possible: %.0f%% of top throughput (bound "
       "95), BUSY p50 %.1f ms p99 %.1f ms (bound 50), memory %s" % (
           sum(f.sent for f in floods) / SECONDS, top, 100 * rate / top,
           p[0.5], p[0.99], ", ".join("%s %+.0f MB" % g
                                      for g in grown.items())))
d.stop()
check.done()
