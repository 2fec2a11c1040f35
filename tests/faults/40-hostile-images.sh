#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Hostile images: each answered in time, within bounds, never an allow on an
# error, no worker dead.  LONG=1: twenty rounds of fresh mutants on top.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

n=$("$PYTHON" "$root/tests/faults/make_corpus.py" "$TMP_DIR/corpus")
check "the corpus has 300 files or more" test "$n" -ge 300
plugins=png
for p in webp gif; do
	[ -e "$CW_BUILD/plugins/$p.so" ] && plugins="$plugins, $p"
done
config "plugins: [$plugins]"
start
"$PYTHON" - "$(child worker)" "$DAEMON" <<'EOT' || FAILED=1
import os, random, re, subprocess, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
worker = int(sys.argv[1])
folder = os.environ["TMP_DIR"] + "/corpus"
long = bool(os.environ.get("LONG"))


def status(field):
    text = open("/proc/%d/status" % worker).read()
    return int(re.search(field + r":\s+(\d+)", text).group(1))


def daemon():
    out = subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                          os.environ["TMP_DIR"] + "/control.sock", "status",
                          "--json"], capture_output=True).stdout
    return json.loads(out)


def ready():
    """Is there a worker that waits for a job?"""
    return any(w["state"] == "idle" for w in daemon()["workers"])


def corpus():
    names = sorted(os.listdir(folder))
    for n in names:
        yield n, open(folder + "/" + n, "rb").read()
    r = random.Random(40)
    for k in range(20 * len(names) if long else 0):
        n = r.choice(names)
        d = bytearray(open(folder + "/" + n, "rb").read())
        for _ in range(r.randrange(1, 6)):
            if d:
                d[r.randrange(len(d))] = r.randrange(256)
        if r.random() < 0.3:
            del d[r.randrange(len(d) + 1):]
        if d:
            yield "any-%d-%s" % (k, n), bytes(d)


c = Client()
c.submit(picture(0), id="warm", explain="never")
c.until(lambda: "warm" in c.verdicts)
base = status("VmHWM")
times, empty, bad, unlike = {}, [], [], []
for i, (name, data) in enumerate(corpus()):
    if not data:
        empty.append(name)
        continue
    ident = "%d" % i
    began = time.monotonic()
    c.submit(data, id=ident, explain="never")
    c.until(lambda: ident in c.verdicts or ident in c.rejected, 20)
    times[name] = time.monotonic() - began
    v = c.verdicts.pop(ident, None)
    c.answers.clear()
    if v is None:
        unlike.append((name, "no answer"))
        continue
    bad += validate([v])
    kind = name.split("-")[0]
    error = v["decision"] == "error"
    if error and v["error"]["stage"] == "worker":
        unlike.append((name, v["error"]["message"]))
    elif kind != "any" and error != (kind == "bad"):
        unlike.append((name, v["decision"], v.get("error")))
    if error and v.get("flags"):
        unlike.append((name, "an error with flags"))
check("every file becomes what it must", not unlike, unlike[:6])
check("every verdict passes the schema", not bad, bad[:3])
slow = sorted(times, key=times.get)[-3:]
check("each is answered in two seconds", times[slow[-1]] < 2,
      [(n, times[n]) for n in slow])
try:
    grown = (status("VmHWM") - base) / 1024
    check("the same worker lived through it", True)
    check("within 256 MB", grown < 256, "%.0f MB" % grown)
except FileNotFoundError:
    grown = -1
    check("the same worker lived through it", False)
deaths = daemon()["counters"]["worker_deaths"]
small = ["bad-jpeg-4-gigapixels.jpg", "bad-jpeg-20000-scans.jpg",
         "bad-png-60000x60000-1bit.png"]
# The small bombs once more, each as the first picture of a fresh worker, whose
# memory is not there yet: what does the refusal itself take?


def workers():
    out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", sys.argv[2]],
                         capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in out.splitlines()
            if "clipward-worker" in line]


def cpu_ms():
    return int(open("/proc/%d/schedstat" % worker).read().split()[0]) / 1e6


def forget_peak():
    """VmHWM begins anew: a worker's start takes more than any refusal."""
    try:
        with open("/proc/%d/clear_refs" % worker, "w") as f:
            f.write("5")
        return True
    except PermissionError:
        return False


ms, kb = {}, {}
for name in small:
    data = open(folder + "/" + name, "rb").read()
    before = workers()
    os.kill(before[0], 9)
    end = time.monotonic() + 20
    while time.monotonic() < end and (not workers() or workers() == before or
                                      not ready()):
        time.sleep(0.02)
    worker = workers()[0]
    known = forget_peak()
    resident, code, began = status("VmRSS"), status("RssFile"), cpu_ms()
    c.submit(data, id=name, explain="never")
    c.until(lambda: name in c.verdicts, 20)
    ms[name] = cpu_ms() - began
    # without the bytes themselves, and pages of programs touched first now
    kb[name] = (status("VmHWM") - resident - len(data) / 1024 -
                (status("RssFile") - code))
check("a bomb is refused in 10 ms", max(ms.values()) <= 10, ms)
if known:
    check("and within 1 MB beside its own bytes", max(kb.values()) <= 1024, kb)
else:
    print("skip bombs' memory: only root may reset a worker's peak")
figure("bombs refused from the header: %s (bounds 10 ms, 1024 KB)" % ", ".join(
    "%s %.1f ms" % (n[4:].rsplit(".")[0], ms[n]) +
    (" +%.0f KB" % max(kb[n], 0) if known else "") for n in small))
figure("%d hostile files, %d deaths (rate below %.1e), slowest %.0f ms (%s), "
       "memory +%.0f MB; bombs %s ms" % (
           len(times), deaths, 3 / len(times), times[slow[-1]] * 1e3,
           slow[-1], grown, ", ".join("%.0f" % (times[n] * 1e3) for n in small)))
check.done()
EOT
check "the daemon goes on" is_ready
same "no worker died but the three killed here" 3 \
    "$(status counters.worker_deaths)"
finish
