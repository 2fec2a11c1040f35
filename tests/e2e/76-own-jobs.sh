#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# With CURVE a job is its sender's: another key finds, ends and overwrites
# nothing, also after a restart; one with the right to watch sees all.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

"$PYTHON" - "$TMP_DIR" <<'EOT'
import json, os, sys, zmq
d = sys.argv[1]
keys = {n: [k.decode() for k in zmq.curve_keypair()]
        for n in ("server", "mine", "other", "desk", "boss")}
json.dump(keys, open(d + "/keys", "w"))
fd = os.open(d + "/secret", os.O_WRONLY | os.O_CREAT, 0o600)
os.write(fd, keys["server"][1].encode() + b"\n")
with open(d + "/clients", "w") as f:
    for name, rights in (("mine", "submit"), ("other", "submit"),
                         ("desk", "watch"), ("boss", "submit,watch")):
        f.write("%s %s %s\n" % (keys[name][0], rights, name))
EOT
config "curve: {secret_key_file: $TMP_DIR/secret, clients_file: $TMP_DIR/clients}"
cat >"$TMP_DIR/own.py" <<'EOT'
import os, signal, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/faults")
from daemon import *
check = Checks()
keys = {n: [k.encode() for k in v]
        for n, v in json.load(open(TMP + "/keys")).items()}


def client(end, who):
    c = Client(end, curve_publickey=keys[who][0],
               curve_secretkey=keys[who][1],
               curve_serverkey=keys["server"][0])
    c.ask("PING")
    c.until(lambda: c.answers)
    return c


def asks(c, verb, ident):
    """The answer about this id, whatever else comes."""
    c.answers.clear()
    c.ask(verb, id=ident)
    c.until(lambda: any(h.get("id") == ident for _, h in c.answers), 10)
    return [v for v, h in c.answers if h.get("id") == ident]


d = Daemon().start()
end = d.status()["endpoints"]["submit"]
mine, other, desk, boss = (client(end, n)
                           for n in ("mine", "other", "desk", "boss"))
mine.submit(picture(1), id="m1")
mine.until(lambda: "m1" in mine.verdicts)
check("its sender gets it", asks(mine, "GET", "m1") == ["VERDICT"])
check("GET: another key finds nothing",
      asks(other, "GET", "m1") == ["UNKNOWN"])
check("CANCEL: nor here", asks(other, "CANCEL", "m1") == ["UNKNOWN"])
check("GET: watch sees it", asks(desk, "GET", "m1") == ["VERDICT"])
other.submit(picture(1), id="m1")
other.until(lambda: "m1" in other.rejected, 10)
check("SUBMIT: the id is taken, though the image is the same",
      other.rejected.get("m1", {}).get("code") == "id_in_use" and
      "m1" not in other.verdicts, other.answers)
# jobs that wait: the worker stands still
worker = d.children("worker")[0]
os.kill(worker, signal.SIGSTOP)
try:
    for i in range(9):
        mine.submit(picture(i + 10), id="w%d" % i)
    mine.until(lambda: len(mine.accepted) >= 10, 10)
    check("GET: its sender sees it wait",
          asks(mine, "GET", "w8") == ["PENDING"])
    check("GET: another key finds none",
          asks(other, "GET", "w8") == ["UNKNOWN"])
    check("CANCEL: another key ends none",
          asks(other, "CANCEL", "w8") == ["UNKNOWN"] and
          asks(mine, "GET", "w8") == ["PENDING"])
    other.rejected.clear()
    other.submit(picture(18), id="w8")
    other.until(lambda: "w8" in other.rejected, 10)
    check("SUBMIT: another key joins none",
          other.rejected.get("w8", {}).get("code") == "id_in_use")
    check("CANCEL: takes the right to submit",
          asks(desk, "CANCEL", "w8") == ["REJECTED"])
    check("CANCEL: its sender ends it", asks(mine, "CANCEL", "w8") ==
          ["VERDICT"] and mine.verdicts["w8"]["error"]["code"] == "cancelled")
    asks(boss, "CANCEL", "w7")
    check("CANCEL: watch and submit may, too",
          boss.verdicts.get("w7", {}).get("decision") == "error")
    d.kill()
finally:
    try:
        os.kill(worker, signal.SIGKILL)
    except ProcessLookupError:
        pass
d.start()
end = d.status()["endpoints"]["submit"]
mine, other, desk = (client(end, n) for n in ("mine", "other", "desk"))
check("after a restart: stored verdicts are its sender's",
      asks(other, "GET", "m1") == ["UNKNOWN"] and
      asks(mine, "GET", "m1") == ["VERDICT"])
check("after a restart: and what waited",
      asks(other, "GET", "w5") == ["UNKNOWN"] and
      mine.get("w5") is not None and asks(desk, "GET", "w5") == ["VERDICT"])
figure("of 8 tries of another key to see, end or take over a job, %d came "
       "through (bound 0)" % check.failed)
check("the daemon ends well", d.kill(signal.SIGTERM) == 0)
d.stop()
check.done()
EOT
"$PYTHON" "$TMP_DIR/own.py" || FAILED=1
finish
