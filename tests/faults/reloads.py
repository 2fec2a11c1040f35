"""reloads.py - SIGHUP every 50 ms under load, between two policy sets."""
import threading

from daemon import *  # noqa: F403

check = Checks()
SECONDS = int(os.environ.get("SECONDS", 60 if LONG else 3))
LEAST = 40      # verdicts of a round: in fewer its first, alone, weigh too much
POLICY = TMP + "/policies/one.yaml"
TEXT = """schema: clipward.policy/1
id: one
version: %d
title: %s
templates: ["a photo of {}."]
categories:
%s
neutral: [a dog, a cat, a house, a tree, a cup, a road, a chair, a hat]
thresholds: {review: 0.55, block: 0.85}
"""
CATEGORY = """  - id: one.%s
    title: T
    severity: low
    prompts: [%s]
    reason: {code: X-1, text: T.}"""
SETS = [TEXT % (1, "First", CATEGORY % ("a", "a red circle, a knife")),
        TEXT % (2, "Second", "\n".join([
            CATEGORY % ("b", "a green square"),
            CATEGORY % ("c", "a blue bird, a boat, a gun")]))]
PROMPTS = [{("one.a", "a red circle"), ("one.a", "a knife")},
           {("one.b", "a green square"), ("one.c", "a blue bird"),
            ("one.c", "a boat"), ("one.c", "a gun")}]


def write(k):
    with open(POLICY + ".new", "w") as f:
        f.write(SETS[k])
    os.rename(POLICY + ".new", POLICY)


write(0)
d = Daemon().start()
c = Client(d.status()["endpoints"]["submit"])


def current():
    return d.status()["policies"]["hash"]


hashes = {current(): 0}
write(1)
d.proc.send_signal(signal.SIGHUP)
c.until(lambda: current() not in hashes, 10)
hashes.setdefault(current(), 1)
check("two sets", len(hashes) == 2, hashes)

pool = [picture(i, form="JPEG") for i in range(12)]
n = 0


def load(seconds, hup, most=6):
    """Latencies of a steady stream, most jobs at a time, a SIGHUP every hup
    seconds unless 0; mixed-up verdicts in wrong."""
    global n
    times, sent, wrong, used, hups = [], {}, [], set(), 0
    began = time.monotonic()
    next_hup = began
    k = 0
    more = True
    while more or sent:
        now = time.monotonic()
        more = more and (now - began < seconds or len(times) < LEAST)
        if now - began > seconds + 30:
            break
        if hup and more and now >= next_hup:
            write(k)
            k = 1 - k
            d.proc.send_signal(signal.SIGHUP)
            hups += 1
            next_hup += hup
        while len(sent) < most and more:
            ident = "r%d" % n
            sent[ident] = time.monotonic()
            c.submit(pool[n % 12] + b"%d" % n, id=ident, explain="never")
            n += 1
        a = c.poll(0.005)
        if not a or a[0] != "VERDICT":
            c.answers.clear()
            continue
        v = a[1]
        times.append(time.monotonic() - sent.pop(v["id"]))
        which = hashes.get(v["policies"]["hash"])
        used.add(which)
        if which is None or {(s["category"], s["prompt"])
                             for s in v.get("scores", [])} != PROMPTS[which]:
            wrong.append(v)
        c.answers.clear()
        c.verdicts.clear()
        c.parts.clear()
    return sorted(times), wrong, len(sent), used, hups


# Peace and storm by turns, so that whatever else the machine does meanwhile
# falls on both.
calm, stormy, mixed, lost, used, hups = [], [], [], 0, set(), 0
for _ in range(12 if LONG else 3):
    took, wrong, left, _, _ = load(SECONDS / 30 if LONG else 0.7, 0)
    calm += took
    mixed += wrong
    lost += left
    took, wrong, left, sets, sent_hups = load(SECONDS / (12 if LONG else 3),
                                              0.05)
    stormy += took
    mixed += wrong
    lost += left
    used |= sets
    hups += sent_hups
check("no verdict mixes two sets", not mixed, mixed[:1])
check("none is lost", lost == 0, lost)
check("both sets were used", used == {0, 1}, used)
p = [sorted(t)[int(len(t) * 0.99)] for t in (calm, stormy)]
spare = 0.005 if LONG else 0.1
check("p99 stays", p[1] < p[0] * 1.2 + spare, p)
s = d.status()
figure("%d SIGHUPs (%d reloads), %d verdicts: %d lost, %d mixed; p99 %.0f ms, "
       "in peace %.0f ms: %+.0f%% (bound +20%% and %.0f ms)" % (
           hups, s["counters"]["reloads"], len(stormy), lost, len(mixed),
           p[1] * 1e3, p[0] * 1e3, 100 * (p[1] / p[0] - 1), spare * 1e3))

# As fast as they can be sent: jobs go on between two reloads, of which there
# are always some that wait.
def counted():
    s = d.status()
    return s["policies"]["generation"], s["counters"]["batches"]


before = counted()
took, wrong, left, _, hups = load(1, 0.001, 24)
sets, batches = (b - a for a, b in zip(before, counted()))
check("none is lost in a flood", left == 0 and not wrong, (left, wrong[:1]))
check("a batch between two sets", sets <= batches + 2,
      (sets, batches))
figure("%d SIGHUPs in a second: %d new sets, %d batches, %d verdicts" % (
    hups, sets, batches, len(took)))
check("the daemon ends well", d.kill(signal.SIGTERM) == 0)
d.stop()
check.done()
