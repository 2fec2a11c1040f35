#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# SIGKILL to workers in mid-job: every job still gets exactly one verdict.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config 'workers: {count: 2, batch: 4}'
start
"$PYTHON" - <<'EOT' || FAILED=1
import os, random, signal, subprocess, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
daemon = subprocess.run(
    [os.environ["CW_BUILD"] + "/clipward", "--socket",
     os.environ["TMP_DIR"] + "/control.sock", "status", "--json"],
    capture_output=True).stdout
daemon = json.loads(daemon)["pid"]


def workers():
    out = subprocess.run(["ps", "-o", "pid=,args=", "--ppid", str(daemon)],
                         capture_output=True, text=True).stdout
    return [int(line.split()[0]) for line in out.splitlines()
            if "clipward-worker" in line]


r = random.Random(40)
images = pictures(120)
sub = socket(zmq.SUB, os.environ["PUB"], subscribe=b"verdict.")
c = Client()
for n, b in images.items():
    c.submit(b, id=n)
kills = 0
end = time.monotonic() + 60
while len(c.verdicts) < len(images) and time.monotonic() < end:
    c.poll(0.05)
    if kills < 6 and len(c.verdicts) > 10 * kills:
        alive = workers()
        if alive:
            os.kill(r.choice(alive), signal.SIGKILL)
            kills += 1
check("six workers were killed", kills == 6, kills)
check("every job is accepted once", len(c.accepted) == len(images) and
      not any(c.accepted.values()), len(c.accepted))
lost = set(images) - set(c.verdicts)
check("every job has its verdict", set(c.verdicts) == set(images), lost)
verdicts = [h["id"] for k, h in c.answers if k == "VERDICT"]
check("and exactly one", len(verdicts) == len(set(verdicts)),
      len(verdicts))
wrong = [v for v in c.verdicts.values() if v["decision"] == "error" and
         v["error"]["stage"] != "worker"]
check("none is wrongly an error of its own", not wrong, wrong[:2])
retried = sum(v["attempt"] > 1 for v in c.verdicts.values())
check("some were tried again", retried > 0, retried)
check("the store says the same", all(
    c.get(n) == v for n, v in list(c.verdicts.items())[:20]))
bad = validate(c.verdicts.values())
check("by the schema", not bad, bad[:3])
figure("%d kills, %d jobs, %d tried again, %d lost" %
       (kills, len(images), retried, len(lost)))
check.done()
EOT
stop
same "exit 0" 0 "$CODE"

# A job whose worker is killed from outside each time: four tries, no more.
evil
config "plugins: [png, $EVIL]
workers: {count: 1, batch: 1}"
start
printf 'EVIL:spin' >"$TMP_DIR/spin"
client score "$TMP_DIR/spin" >"$TMP_DIR/verdict" &
asker=$!
has_job_or_verdict() {
	status workers | grep -q '"busy"' || test -s "$TMP_DIR/verdict"
}
kills=0
while until_true 10 has_job_or_verdict && [ ! -s "$TMP_DIR/verdict" ] &&
    [ $kills -lt 8 ]; do
	worker=$(child worker)
	kill -KILL "$worker"
	kills=$((kills + 1))
	until_true 10 test ! -d "/proc/$worker"
done
wait $asker
same "killed four times, its attempts are 4" "worker_died 4 4" \
    "$("$PYTHON" -c 'import json, sys
v = json.load(sys.stdin)
print(v["error"]["code"], v["attempt"])' <"$TMP_DIR/verdict") $kills"
stop
finish
