"""kills.py - kill -9 anything at any moment; a synced ledger is the judge.

What a client was told is written and fsynced before the next message is read:
an ACCEPTED makes a promise, a VERDICT settles it.  At the end every promise
must have one verdict, and nobody may have been told two different ones.
"""
import hashlib
import random

from daemon import *  # noqa: F403

KILLS = int(os.environ.get("KILLS", 2000 if LONG else 26))
WINDOW = 40
r = random.Random(int(os.environ.get("SEED", "1")))


class Ledger:
    def __init__(self, path):
        self.f = open(path, "ab")
        self.accepted, self.told = set(), {}
        self.contradictions = []

    def note(self, what):
        self.f.write(what.encode() + b"\n")
        self.f.flush()
        os.fsync(self.f.fileno())

    def take(self, answer):
        verb, h = answer
        if verb == "ACCEPTED" and h["id"] not in self.accepted:
            self.note("A " + h["id"])
            self.accepted.add(h["id"])
        elif verb == "VERDICT":
            digest = hashlib.sha256(json.dumps(
                h, sort_keys=True).encode()).hexdigest()
            known = self.told.get(h["id"])
            if known is None:
                self.note("V %s %s" % (h["id"], digest))
                self.told[h["id"]] = digest
            elif known != digest:
                self.contradictions.append(h["id"])


def main():
    check = Checks()
    fix_ports()
    d = Daemon()
    st = d.start().status()
    pool = [picture(i, form="JPEG") for i in range(12)]
    ledger = Ledger(TMP + "/ledger")
    c = Client(st["endpoints"]["submit"], reconnect_ivl=20,
               reconnect_ivl_max=40)
    sent = {}           # id -> (image, when), not answered by a verdict
    n = kills = resent = 0
    by = {"supervisor": 0, "gate": 0, "worker": 0}
    trigger, due = "any", time.monotonic() + 0.2
    starting = False    # of worker deaths near a start nothing is learnt
    while kills < KILLS:
        now = time.monotonic()
        while len(sent) < WINDOW:
            ident = "k%d" % n
            # a tail behind the end makes each picture another one
            image = pool[n % len(pool)] + b"%d" % n
            sent[ident] = (image, now)
            c.submit(image, id=ident, explain="never")
            n += 1
        for ident, (image, when) in list(sent.items()):
            if now - when > 2 and ident not in ledger.accepted:
                sent[ident] = (image, now)
                c.submit(image, id=ident, explain="never")
                resent += 1
            elif now - when > 2:
                sent[ident] = (image, now)
                c.ask("GET", id=ident)
        a = c.poll(0.005)
        while a:
            ledger.take(a)
            if a[0] == "VERDICT":
                sent.pop(a[1]["id"], None)
            elif a[0] == "BUSY" and a[1]["id"] in sent:
                sent[a[1]["id"]] = (sent[a[1]["id"]][0], now - 1.8)
            c.answers.clear()
            if a[0] == trigger:         # aimed: just after this step
                due = min(due, time.monotonic() + r.random() * 0.004)
                break
            a = c.poll(0)
        c.verdicts.clear()
        c.parts.clear()
        if time.monotonic() < due:
            continue
        what = r.choices(["supervisor", "gate", "worker"], [5, 3, 4])[0]
        if what == "supervisor":
            d.kill()
            d.start(wait=0)
        else:
            pids = d.children(what)
            if not pids:
                due = time.monotonic() + 0.02
                continue
            try:
                os.kill(r.choice(pids), signal.SIGKILL)
            except ProcessLookupError:
                continue
        kills += 1
        by[what] += 1
        trigger = r.choice(["ACCEPTED", "VERDICT", "any", "any"])
        due = time.monotonic() + (0.25 + 0.35 * r.random() if
                                  what == "supervisor" else
                                  0.02 + 0.2 * r.random())
    d.wait_ready()
    end = time.monotonic() + 60
    lost = set(ledger.accepted)
    while lost and time.monotonic() < end:
        for ident in list(lost)[:200]:
            c.ask("GET", id=ident)
        stop = time.monotonic() + 1.0
        while time.monotonic() < stop and lost:
            a = c.poll(0.1)
            if a is None:
                break
            ledger.take(a)
            c.answers.clear()
            if a[0] == "VERDICT":
                lost.discard(a[1]["id"])
    check("nothing accepted is lost", not lost, sorted(lost)[:5])
    check("nobody was told two things", not ledger.contradictions,
          ledger.contradictions[:5])
    check("the daemon ends well", d.kill(signal.SIGTERM) == 0)
    figure("%d kills (%s) over %d accepted jobs: %d lost, %d contradictions; "
           "rate below %.1e a kill; %d sent again" % (
               kills, ", ".join("%d %s" % (v, k) for k, v in by.items()),
               len(ledger.accepted), len(lost), len(ledger.contradictions),
               3 / kills, resent))
    check.done()


main()
