"""replace.py - how soon a killed worker is replaced, and who feels it.

A steady stream of jobs keeps both workers at work, first in peace; then a
worker is killed every so often.  Jobs of the killed one are tried again
(`attempt` 2); all others are the other worker's, and their answers are
compared with those in peace.
"""
from daemon import *  # noqa: F403

check = Checks()
KILLS = 100 if LONG else 8
d = Daemon().start()
c = Client(d.status()["endpoints"]["submit"])
pool = [picture(i, (224, 224), "JPEG") for i in range(12)]
n = 0
sent = {}               # id -> when
times = {"peace": [], "other": [], "again": []}     # seconds to the verdict
errors = []


def stream(until, phase):
    """Two jobs in hand all the time, until until()."""
    global n
    while not until():
        while len(sent) < 2:
            ident = "s%d" % n
            sent[ident] = time.monotonic()
            c.submit(pool[n % 12] + b"%d" % n, id=ident, explain="never")
            n += 1
        a = c.poll(0.002)
        if not a or a[0] != "VERDICT":
            continue
        took = time.monotonic() - sent.pop(a[1]["id"])
        if a[1]["decision"] == "error":
            errors.append(a[1])
        times["again" if a[1].get("attempt", 1) > 1 else phase].append(took)
        for kept in (c.answers, c.verdicts, c.parts):
            kept.clear()


def after(seconds):
    end = time.monotonic() + seconds
    return lambda: time.monotonic() >= end


def alive():
    """Workers that can take a job: pid -> jobs its seat has done."""
    return {w["pid"]: w["jobs"] for w in d.status()["workers"]
            if w["state"] in ("idle", "busy")}


first = {}              # pid -> jobs of its seat when it was first seen


def all_have_worked():
    """Both are there and have each done a job: no back-off is due."""
    now = alive()
    for pid, jobs in now.items():
        first.setdefault(pid, jobs)
    return len(now) == 2 and all(j > first[p] for p, j in now.items())


stream(after(0.5), "peace")
times["peace"].clear()
stream(after(10 if LONG else 1.5), "peace")
replaced = []
for k in range(KILLS):
    end = after(20)
    stream(lambda: end() or all_have_worked(), "other")
    victim = sorted(alive())[k % 2]
    began = time.monotonic()
    os.kill(victim, signal.SIGKILL)
    now = [None]

    def there():
        now[0] = alive()
        return len(now[0]) == 2 and victim not in now[0]

    stream(lambda: there() or time.monotonic() - began > 10, "other")
    replaced.append(time.monotonic() - began)
replaced.sort()


def at(values, share):
    values = sorted(values)
    return values[min(int(len(values) * share), len(values) - 1)] * 1e3


p50, p99 = at(replaced, 0.5), at(replaced, 0.99)
calm, busy = at(times["peace"], 0.99), at(times["other"], 0.99)
s = d.status()["counters"]
check("each kill costs one worker", s["worker_deaths"] == KILLS,
      s["worker_deaths"])
check("no job ends as an error", not errors, errors[:1])
# The short form runs beside whatever else the machine does.
check("replaced in time", p50 <= (150 if LONG else 500) and p99 <=
      (500 if LONG else 2000), replaced)
check("the other worker's answers hardly wait",
      busy <= calm + (100 if LONG else 500), (calm, busy))
figure("%d kills: replaced after p50 %.0f ms (bound 150), p99 %.0f ms (500); "
       "the other worker's p99 %.0f ms, %+.0f ms (100)" % (
           KILLS, p50, p99, busy, busy - calm))
check("the daemon ends well", d.kill(signal.SIGTERM) == 0)
d.stop()
check.done()
