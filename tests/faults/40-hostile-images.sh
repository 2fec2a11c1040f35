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
"$PYTHON" - "$(child worker)" <<'EOT' || FAILED=1
import os, random, re, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
worker = int(sys.argv[1])
folder = os.environ["TMP_DIR"] + "/corpus"
long = bool(os.environ.get("LONG"))


def status(field):
    text = open("/proc/%d/status" % worker).read()
    return int(re.search(field + r":\s+(\d+)", text).group(1))


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
small = ["bad-jpeg-4-gigapixels.jpg", "bad-jpeg-20000-scans.jpg",
         "bad-png-60000x60000-1bit.png"]
figure("%d hostile files, 0 deaths (rate below %.1e), slowest %.0f ms (%s), "
       "memory +%.0f MB; bombs %s ms" % (
           len(times), 3 / len(times), times[slow[-1]] * 1e3, slow[-1],
           grown, ", ".join("%.0f" % (times[n] * 1e3) for n in small)))
check.done()
EOT
check "the daemon goes on" is_ready
same "no worker death is counted" 0 "$(status counters.worker_deaths)"
finish
