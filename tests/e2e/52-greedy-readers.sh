#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Small questions with large answers: whoever asks fast and reads slowly is
# told BUSY, and takes neither the supervisor nor the gate from the others.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP_DIR/greedy.py" <<'EOT'
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
import numpy as np
from PIL import Image
check = Checks()
noise = io.BytesIO()
Image.fromarray(np.random.RandomState(0).randint(0, 255, (1500, 1500, 3), np.uint8)).save(noise, "PNG")
c = Client()
c.sock.sndhwm = 100000
c.submit(noise.getvalue(), id="big", explain="always",
         artifacts=["overlay", "redacted", "inverted"])
c.until(lambda: "big" in c.verdicts, 60)
size = sum(len(p) for p in c.parts["big"])
check("a verdict with large pictures", size > 4 << 20, size)
deaf = CTX.socket(zmq.DEALER)
deaf.rcvhwm, deaf.linger, deaf.sndhwm = 1, 0, 100000
deaf.setsockopt(zmq.RCVBUF, 4096)
deaf.connect(os.environ["SUBMIT"])
for _ in range(300):
    deaf.send_multipart([b"CW1", b"GET", b'{"id":"big"}'])
c.answers.clear()
for _ in range(150):
    c.ask("GET", id="big")
for i in range(5):
    c.submit(picture(i), id=f"after-{i}")
c.until(lambda: all(f"after-{i}" in c.verdicts for i in range(5)), 60)
check("jobs sent meanwhile are answered", len(c.verdicts) == 6, list(c.verdicts))
c.until(lambda: sum(k in ("VERDICT", "BUSY") and h["id"] == "big" for k, h in c.answers) >= 150, 30)
said = [k for k, h in c.answers if h.get("id") == "big"]
check("every question is answered", len(said) == 150, len(said))
g = Client()
g.ask("PING")
g.until(lambda: g.answers, 10)
check("a newcomer is answered", g.answers == [("PONG", {})], g.answers)
check.done()
EOT

config
start
gate=$(child gate)
"$PYTHON" "$TMP_DIR/greedy.py" || FAILED=1
check "the daemon lives" alive "$DAEMON"
same "the gate is the same one" "$gate" "$(child gate)"
finish
