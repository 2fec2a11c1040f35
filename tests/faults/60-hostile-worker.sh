#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# A worker that crashes, hangs or lies: its job ends alone, after two deaths at
# most, and nobody else's job is answered by it.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

evil
config "plugins: [png, $EVIL]
workers: {count: 2, batch: 4, deadline: 1500ms}"
start
gate=$(child gate)
"$PYTHON" - "$DAEMON" <<'EOT' || FAILED=1
import os, subprocess, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
daemon = sys.argv[1]
c = Client()


def workers():
    out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", daemon],
                         capture_output=True, text=True).stdout
    return {int(line.split()[0]) for line in out.splitlines()
            if "clipward-worker" in line}


def status():
    out = subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                          os.environ["TMP_DIR"] + "/control.sock", "status",
                          "--json"], capture_output=True).stdout
    return json.loads(out)


deaths = most = scored = 0
# each lie among good neighbours
tricks = ["crash", "noise 1", "wrong-id 0", "huge 1", "wrong-type 1", "spin"]
if os.environ.get("LONG"):
    tricks += ["noise %d" % k for k in range(2, 12)] + ["wrong-id 1"]
for k, trick in enumerate(tricks):
    ids = ["n%d-%d" % (k, i) for i in range(6)]
    bad = "evil-%d" % k
    for i, n in enumerate(ids):
        if i == 2:
            c.submit(b"EVIL:" + trick.encode(), id=bad)
        c.submit(picture(k * 10 + i), id=n, explain="never")
    c.until(lambda: bad in c.verdicts and all(n in c.verdicts for n in ids),
            40)
    v = c.verdicts.get(bad, {})
    check("%s: the job ends as worker_died" % trick,
          v.get("decision") == "error" and v["error"]["stage"] == "worker",
          v.get("error", "no verdict"))
    wrong = [c.verdicts.get(n, {}) for n in ids
             if c.verdicts.get(n, {}).get("decision") not in
             ("allow", "review", "block")]
    check("%s: its neighbours are scored" % trick, not wrong, wrong[:1])
    scored += len(ids) - len(wrong)
    s = status()["counters"]
    check("%s: two workers die at most" % trick,
          s["worker_deaths"] - deaths <= 2, s["worker_deaths"] - deaths)
    most = max(most, s["worker_deaths"] - deaths)
    deaths = s["worker_deaths"]
figure("%d jobs that end their worker: %d deaths each at most (bound 2), %d "
       "neighbours scored" % (len(tricks), most, scored))
check("each is in quarantine", s["quarantined"] == len(tricks),
      s["quarantined"])
# pictures on demand are drawn for themselves: whoever waits beside such a
# job never shares its batch, nor its fate
ids = ["a%d" % i for i in range(9)]
for i, n in enumerate(ids):
    if i == 4:
        c.submit(b"EVIL:spin", id="drawn", artifacts=["overlay"])
    c.submit(picture(i + 300), id=n, explain="never")
c.until(lambda: "drawn" in c.verdicts and all(n in c.verdicts for n in ids),
        40)
check("a job with artifacts hangs alone",
      c.verdicts.get("drawn", {}).get("decision") == "error" and
      all(c.verdicts.get(n, {}).get("attempt") == 1 for n in ids),
      [c.verdicts.get(n, {}).get("attempt") for n in ids])
began = time.monotonic()
c.submit(b"EVIL:log-flood 2000", id="flood")
c.until(lambda: "flood" in c.verdicts, 20)
seconds = int(time.monotonic() - began) + 2     # any that it touched
log = open(os.environ["TMP_DIR"] + "/log", "rb").read()
flood = [line for line in log.split(b"\n") if b"AAAA" in line]
check("log lines of a worker are cleaned", b"\033" not in log and
      all(b"?" in line for line in flood), flood[:1])
check("and few of a flood are kept", 1 <= len(flood) <= 50 * seconds,
      (len(flood), seconds))
bad = validate(c.verdicts.values())
check("by the schema", not bad, bad[:3])
check.done()
EOT
check "the supervisor is the same" alive "$DAEMON"
same "and the gate" "$gate" "$(child gate)"
stop

# Results that are changed on their way: numbers that are none, lengths of
# 4 GB, bytes too few, an answer given twice.
mkdir "$TMP_DIR/bin"
cp "$CW_BUILD/clipwardd" "$CW_BUILD/clipward-gate" "$TMP_DIR/bin"
ln -s "$CW_BUILD/plugins" "$TMP_DIR/bin/plugins"
printf '#!/bin/sh\nexec "%s" "%s"\n' "$PYTHON" "$here/liar.py" \
    >"$TMP_DIR/bin/clipward-worker"
chmod +x "$TMP_DIR/bin/clipward-worker"
mkdir "$TMP_DIR/policies"
cp "$root/policies/hate.yaml" "$TMP_DIR/policies"
config "policies: $TMP_DIR/policies/
workers: {count: 1, batch: 4, deadline: 5s}"
launch() {
	"$TMP_DIR/bin/clipwardd" -d -f "$TMP_DIR/config.yaml" >>"$TMP_DIR/log" 2>&1 &
	DAEMON=$!
}
launch
until_true 30 ready_or_gone
ends
"$PYTHON" - <<'EOT' || FAILED=1
import os, re, sqlite3, subprocess, sys, time
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
c = Client()


def counters():
    out = subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                          os.environ["TMP_DIR"] + "/control.sock", "status",
                          "--json"], capture_output=True).stdout
    return json.loads(out)["counters"]


others = 0
lies = ["nan-score", "inf-score", "large-score", "nan-vector", "4gb",
        "short", "twice"]
for k, lie in enumerate(lies):
    before = counters()["worker_deaths"]
    bad = "lie-%s" % lie
    ids = ["l%d-%d" % (k, i) for i in range(6)]
    for i, n in enumerate(ids):
        if i == 2:
            c.submit(picture(k + 700, form="JPEG") +
                     b"LIE:%s;" % lie.encode(), id=bad, explain="never")
        c.submit(picture(k * 7 + i + 500, form="JPEG"), id=n, explain="never")
    c.until(lambda: bad in c.verdicts and all(n in c.verdicts for n in ids),
            40)
    v = c.verdicts.get(bad, {})
    # an answer given twice was right the first time
    want = ("allow", "review", "block") if lie == "twice" else ("error",)
    check("%s: what becomes of the job" % lie, v.get("decision") in want and
          v.get("error", {}).get("code", "worker_died") == "worker_died", v)
    wrong = [c.verdicts.get(n, {}) for n in ids
             if c.verdicts.get(n, {}).get("decision") not in
             ("allow", "review", "block")]
    others += len(wrong)
    check("%s: its neighbours are scored" % lie, not wrong, wrong[:1])
    n = counters()["worker_deaths"] - before
    check("%s: the liar goes, twice at most" % lie, 1 <= n <= 2, n)
bad = validate(c.verdicts.values())
check("none of it is in a verdict", not bad, bad[:3])
figure("%d ways to lie in a result: each worker killed, %d jobs of others "
       "answered by it" % (len(lies), others))

# One that is taken over does not make the vectors that others score with.
TMP = os.environ["TMP_DIR"]


def vectors():
    db = sqlite3.connect(TMP + "/spool/spool.db")
    rows = db.execute("SELECT prompt, vector FROM text_vectors").fetchall()
    db.close()
    return dict(rows)


def reload(pattern, by):
    with open(TMP + "/policies/hate.yaml") as f:
        text = f.read()
    with open(TMP + "/policies/hate.yaml", "w") as f:
        f.write(re.sub(pattern, by, text))
    return subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                           TMP + "/control.sock", "reload"],
                          capture_output=True, text=True)


def take_over(n):
    c.submit(picture(900 + n, form="JPEG") + b"LIE:poison;",
             id="poison%d" % n, explain="never")
    c.until(lambda: "poison%d" % n in c.verdicts, 20)


before = vectors()
take_over(0)
out = reload(r"version: \d+", "version: 99")
check("vectors that are known are no worker's to make",
      out.returncode != 0 and vectors() == before, out)
take_over(1)
deaths = counters()["worker_deaths"]
began = time.monotonic()
out = reload(r"neutral:\n", "neutral:\n  - a paper boat\n")
figure("a reload on a fresh worker: %.0f ms" %
       ((time.monotonic() - began) * 1e3))
after = vectors()
made = after.pop("a paper boat", None)
check("new ones are made by a worker that has read nothing",
      out.returncode == 0 and made and made[4:] != bytes(len(made) - 4), out)
check("and the others stay", after == before, len(after))
check("whoever made room is no death", counters()["worker_deaths"] == deaths,
      counters()["worker_deaths"])

# What the supervisor's own picture should give is not the liar's to say: it
# goes, and the honest ones after it stay.
c.submit(picture(950, form="JPEG") + b"LIE:canary;", id="canary0",
         explain="never")
c.until(lambda: "canary0" in c.verdicts, 20)
deaths = counters()["worker_deaths"]
out = reload(r"version: \d+", "version: 100")
end = time.monotonic() + 20
while counters()["worker_deaths"] == deaths and time.monotonic() < end:
    time.sleep(0.05)
check("who lies about the canary goes", out.returncode == 0 and
      counters()["worker_deaths"] == deaths + 1, out)
for i in range(101, 103):
    out = reload(r"version: \d+", "version: %d" % i)
    time.sleep(1.5)             # a canary goes out once a second
c.submit(picture(951, form="JPEG"), id="canary1", explain="never")
c.until(lambda: "canary1" in c.verdicts, 20)
check("who is honest stays", out.returncode == 0 and "canary1" in c.verdicts
      and counters()["worker_deaths"] == deaths + 1, counters())
check.done()
EOT
stop

# The very first worker's memory is bad: its embedding is not taken for the
# known one, or not for long, and those after it stay.
cat >"$TMP_DIR/bin/clipward-worker" <<EOT
#!/bin/sh
[ -e "$TMP_DIR/first" ] && exec "$CW_BUILD/clipward-worker"
: >"$TMP_DIR/first"
BAD_EMBEDDING=1 exec "$PYTHON" "$here/liar.py"
EOT
: >"$TMP_DIR/log"
launch
until_true 30 ready_or_gone
ends
honest() {	# ready, and no longer by way of the one that lies
	grep -q "canary: cosine" "$TMP_DIR/log" && [ "$(status ready)" = true ]
}
until_true 20 honest
check "a worker that begins with a bad embedding goes" honest
deaths=$(status counters.worker_deaths)
check "a reload" clipward reload
client pictures "$TMP_DIR" 1 >"$TMP_DIR/list"
client score -p z- "$(cat "$TMP_DIR/list")" >"$TMP_DIR/out"
check "the next one scores" grep -q '"decision"' "$TMP_DIR/out"
same "and stays" "$deaths" "$(status counters.worker_deaths)"
finish
