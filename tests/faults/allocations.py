"""allocations.py - every n-th request for memory is refused, n by n.

In supervisor, gate and worker, while they start, work and reload.  Whatever
comes of it must be an error, a clean end or a job done again; a process that
aborts or meets a signal is a crash, except where a library that is not ours
aborts itself.
"""
import ctypes
import mmap
import os
import re
import signal
import socket as so
import subprocess
import sys
import time

sys.path.insert(0, os.environ["ROOT"] + "/tests/faults")
from daemon import *  # noqa: E402,F403
import frames as fr  # noqa: E402

MOST = 2000
SHORT_S = 1.0           # of each phase, when not LONG
LEAST = 6               # values of n of each phase, however long they take
CLEAN, LIBRARY, CRASH = "clean", "library", "crash"


class Shared(ctypes.Structure):
    _fields_ = [(n, ctypes.c_uint64)
                for n in ("every", "asked", "refused", "ended")] + [
        ("where", ctypes.c_char * 1024), ("died", ctypes.c_char * 1024)]


class Shim:
    """The file shared with failmalloc.c, and the environment that loads it."""

    def __init__(self, program, late=False):
        path = TMP + "/fail." + program
        with open(path, "wb") as f:
            f.write(bytes(4096))
        self.file = open(path, "r+b")
        self.map = mmap.mmap(self.file.fileno(), 4096)
        self.s = Shared.from_buffer(self.map)
        self.env = {"LD_PRELOAD": TMP + "/failmalloc.so", "FAIL_FILE": path,
                    "FAIL_PROGRAM": program}
        if late:
            self.env["FAIL_LATE"] = "1"

    def arm(self, n):
        self.s.every = 0
        self.s.asked = self.s.refused = self.s.ended = 0
        self.s.where = self.s.died = b""
        self.hung = False
        self.s.every = n

    def outcome(self):
        """CLEAN, LIBRARY or CRASH, and what says so."""
        s = self.s
        # libseccomp may go round in circles; clipwardd ends a gate that is
        # not ready in 10 s, as this script did
        if self.hung and self.frames(s.where)[0].startswith("libsec"):
            return LIBRARY, self.frames(s.where)[0] + "; hung"
        if s.ended in (0, 1):
            return CLEAN, ""
        died, where = self.frames(s.died), self.frames(s.where)
        text = "%s in %s; refused in %s" % (
            "abort" if s.ended in (2, 106) else "signal %d" %
            (s.ended - 100), " < ".join(died[:6]), " < ".join(where[:8]))
        # libseccomp, short of memory, loads a list without some calls, which
        # is then met as a call that is not allowed
        if s.ended == 100 + signal.SIGSYS and where[0].startswith("libsec"):
            return LIBRARY, where[0]
        if died and not died[0].startswith("clipward"):
            return LIBRARY, died[0] + "; " + text
        return CRASH, text

    @staticmethod
    def frames(text):
        return [f for f in text.decode().split(" < ")
                if not f.startswith(("failmalloc", "libc.so"))] or ["?"]


def numbers():
    """All of 1 to MOST; or some of every size, for as long as there is time."""
    if LONG:
        return list(range(1, MOST + 1))
    out, n = [], 1
    while n <= MOST:
        out.append(n)
        n += max(1, n // 3)
    # small ones end soonest, large ones reach deepest: by turns
    return sorted(out, key=lambda n: (out.index(n) * 7 % 5, n))


class Phase:
    def __init__(self, name, program, late=False):
        self.name, self.shim = name, Shim(program, late)
        self.hit = []           # each n that something was refused for
        self.runs = self.refused = 0
        self.library, self.bad, self.libraries = 0, [], set()

    def run(self, once):
        """once(n, shim) -> None, or what went wrong besides a crash."""
        began = time.monotonic()
        for n in numbers():
            self.shim.arm(n)
            wrong = once(n, self.shim)
            refused = self.shim.s.refused
            self.runs += 1
            self.refused += refused
            if refused > 0:
                self.hit.append(n)
            how, text = self.shim.outcome()
            if how == LIBRARY:
                self.library += 1
                self.libraries.add(re.split(r"[-.+]", text)[0])
            if how == LIBRARY and os.environ.get("VERBOSE"):
                print("#", n, text)
            if how == CRASH or wrong:
                self.bad.append("n=%d: %s %s" % (n, wrong or "", text))
            if LONG and refused == 0 and how == CLEAN:
                break           # it never asks n times: nor for more
            if (not LONG and len(self.hit) >= LEAST and
                    time.monotonic() - began > SHORT_S):
                break
        check("%s: no crash" % self.name, not self.bad,
              "; ".join(self.bad[:3]))
        check("%s: refused for %d values of n or more" % (self.name, LEAST),
              len(self.hit) >= LEAST, (self.hit, self.runs))
        if os.environ.get("VERBOSE"):
            for b in self.bad:
                print("#", self.name, b)
            print("#", self.name, self.runs, "runs", self.refused, "refused",
                  self.library, "ended by", self.libraries,
                  "%.1f s" % (time.monotonic() - began), "last n", n)
        return self


# ---- worker: the command line starts it, and knows what it said

files = [TMP + "/a.jpg", TMP + "/b.png"]
for i, f in enumerate(files):
    with open(f, "wb") as out:
        out.write(picture(i * 2))
check = Checks()


def scan(n, shim):
    p = subprocess.run(
        [BUILD + "/clipward", "scan", "--json", "--model",
         os.environ["ROOT"] + "/models/starter", "--policies",
         os.environ["ROOT"] + "/policies"] + files, capture_output=True,
        env=dict(os.environ, **shim.env), timeout=120)
    if p.returncode not in (0, 1, 2):
        return "scan ended with %d: %s" % (p.returncode, p.stderr[-200:])
    if p.returncode == 2 and not p.stderr and b'"error"' not in p.stdout:
        return "scan failed without a word"
    return None


# ---- gate: this script in the supervisor's place

def gate(n, shim):
    ours, theirs = so.socketpair()
    ours.settimeout(10)
    every, shim.s.every = shim.s.every, (n if gate.starting else 0)

    def place():
        os.dup2(theirs.fileno(), 3)
        os.set_inheritable(3, True)

    proc = subprocess.Popen([BUILD + "/clipward-gate"], preexec_fn=place,
                            pass_fds=(3,), stderr=subprocess.DEVNULL,
                            env=dict(os.environ, **shim.env))
    theirs.close()
    try:
        gate_talk(ours, n, shim)
    except (EOFError, OSError):
        pass                    # it has ended; how is in the shim
    finally:
        ours.close()
        try:
            code = proc.wait(5)
        except subprocess.TimeoutExpired:
            proc.kill()
            proc.wait()
            shim.hung = True
            return None if shim.outcome()[0] == LIBRARY else "does not end"
    # a list without some calls may lack those that tell the shim's file
    if code < 0 and shim.s.ended == 0:
        shim.s.ended = 100 - code
    return None


def gate_talk(chan, n, shim):
    fr.send(chan, fr.GATE_INIT, 0, fr.gate_init(
        submit="tcp://127.0.0.1:*", pub="tcp://127.0.0.1:*"))
    while True:
        kind, _, body = fr.recv(chan)
        if kind == fr.FATAL:
            return
        if kind == fr.GATE_READY:
            break
    shim.s.every = n
    c = Client(fr.gate_ready(body)["submit"], timeout=1)
    c.ask("PING")
    c.submit(b"not an image", id="x")
    end = time.monotonic() + 0.5    # what it had no room for, it drops
    try:
        while time.monotonic() < end:
            kind, route, body = fr.recv(chan)
            if kind == fr.GATE_REQUEST:
                fr.send(chan, fr.GATE_REPLY, route, fr.reply(
                    "ACCEPTED", '{"id":"x","duplicate":false}'))
                fr.send(chan, fr.GATE_PUBLISH, 0, fr.publish("a", "{}"))
                break
        c.poll(0.5)
    finally:
        c.sock.close()


# ---- supervisor

def quick_stop(d):
    d.proc.send_signal(signal.SIGTERM)
    try:
        return d.proc.wait(20)
    except subprocess.TimeoutExpired:
        d.kill()
        return None


def supervisor_start(n, shim):
    mark = os.path.getsize(TMP + "/log") if os.path.exists(TMP + "/log") else 0
    d = Daemon(**shim.env).start(wait=0)
    end = time.monotonic() + 20
    while time.monotonic() < end and d.proc.poll() is None:
        st = d.status()
        if st and st.get("ready"):
            break
        time.sleep(0.01)
    code = quick_stop(d) if d.proc.poll() is None else d.proc.returncode
    if code is None:
        return "does not end"
    if code not in (0, 134) and os.path.getsize(TMP + "/log") == mark:
        return "ended with %d without a word" % code
    return None


class Work:
    """One daemon through a job and a reload for each n; back when it ends."""

    def __init__(self):
        self.d = self.c = None
        self.jobs = 0

    def up(self, shim):
        if self.d is None or self.d.proc.poll() is not None:
            shim.s.every, every = 0, shim.s.every
            self.d = Daemon(**shim.env).start()
            self.c = Client(self.d.status()["endpoints"]["submit"])
            shim.s.every = every
        return self.c

    def command(self, line):
        s = so.socket(so.AF_UNIX)
        s.settimeout(1)
        try:
            s.connect(TMP + "/control.sock")
            s.sendall(line + b"\n")
            return s.recv(1 << 16)
        except OSError:
            return b""
        finally:
            s.close()

    def once(self, n, shim):
        c = self.up(shim)
        shim.arm(n)
        ident = "j%d" % n
        self.jobs += 1
        c.submit(picture(n % 7), id=ident, explain="always")
        told = c.until(lambda: ident in c.verdicts or ident in c.busy or
                       ident in c.rejected, 0.3)
        self.command(b'{"cmd":"reload"}')
        self.command(b'{"cmd":"status"}')
        shim.s.every = 0
        if self.d.proc.poll() is not None:
            self.up(shim)
            return None         # judged by how it ended
        if ident in c.accepted and ident not in c.verdicts:
            try:
                v = c.get(ident, 20)
            except TimeoutError:
                v = None
            if v is None:
                return "an accepted job has no verdict (%s)" % told
        if not self.d.wait_ready(20):
            return "is not ready again"
        return None


phases = []
only = os.environ.get("PHASE", "")


def phase(name, program, once, late=False):
    if only in name:
        phases.append(Phase(name, program, late).run(once))


phase("worker, start and two jobs", "clipward-worker", scan)
phase("worker, policies and two jobs", "clipward-worker", scan, late=True)
gate.starting = True
phase("gate, start", "clipward-gate", gate)
gate.starting = False
phase("gate, messages", "clipward-gate", gate)
phase("supervisor, start and stop", "clipwardd", supervisor_start)
work = Work()
phase("supervisor, job and reload", "clipwardd", work.once)
if work.d is not None:
    check("it ends well after all that", quick_stop(work.d) == 0)
runs = sum(len(p.hit) for p in phases)
library = sum(p.library for p in phases)
figure("allocations: %d refused in %d runs, every n-th for %d values of n or "
       "more in each of %d phases, the largest %d: "
       "%d crashes of ours; %d times %s ended itself; bound %.2f %%" % (
           sum(p.refused for p in phases), runs,
           min((len(p.hit) for p in phases), default=0), len(phases),
           max((n for p in phases for n in p.hit), default=0),
           sum(len(p.bad) for p in phases), library,
           ", ".join(sorted(set().union(*[p.libraries for p in phases])))
           or "no library", 300.0 / max(runs, 1)))
check.done()
