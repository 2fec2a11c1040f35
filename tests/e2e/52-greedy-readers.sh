#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Small questions with large answers: whoever asks fast and reads slowly is
# told BUSY, and takes neither the supervisor nor the gate from the others.
# So is who sends one image over and over, of which there is a verdict.
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
stop

cat >"$TMP_DIR/again.py" <<'EOT'
import os, re, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
image = picture(1, (16, 16), "JPEG")
c = Client()
c.submit(image, id="first", explain="never")
c.until(lambda: "first" in c.verdicts, 60)
N = 3000
todo = {b"again-%d" % i for i in range(N)}
send, got, wait, size, busy = list(todo), set(), [], 0, 0
s = socket(zmq.DEALER, os.environ["SUBMIT"], sndhwm=0, rcvhwm=0)
end = time.monotonic() + 60
while len(got) < N and time.monotonic() < end:
    for i in send:
        s.send_multipart([b"CW1", b"SUBMIT",
                          b'{"id":"%s","explain":"never"}' % i, image])
    send = []
    if s.poll(50):
        _, verb, header = s.recv_multipart()
        i = re.search(rb'"id":"([^"]*)"', header).group(1)
        if verb == b"VERDICT":
            got.add(i)
            size += len(header)
        elif verb == b"BUSY":
            busy += 1
            wait.append((time.monotonic() +
                         json.loads(header)["retry_after_ms"] / 1000, i))
    while wait and wait[0][0] <= time.monotonic():
        send.append(wait.pop(0)[1])
check("each has its verdict in the end", got == todo, (len(got), busy))
figure("one verdict given %d times, %d MB: BUSY %d times" % (
    len(got), size >> 20, busy))
check.done()
EOT

mkdir "$TMP_DIR/policies"
{
	printf '%s\n' 'schema: clipward.policy/1' 'id: many' 'version: 1' \
	    'title: Many' 'categories:' '  - id: many.things' \
	    '    title: Things' '    severity: low' '    prompts:'
	seq -f '      - a thing with the number %g' 1000
	printf '%s\n' '    reason: {code: X-1, text: None.}' \
	    'neutral: [a dog, a cat, a house, a tree]' \
	    'thresholds: {review: 0.998, block: 0.999}'
} >"$TMP_DIR/policies/many.yaml"
config "policies: $TMP_DIR/policies/
log: {to: stderr, level: notice}"
start
gate=$(child gate)
"$PYTHON" "$TMP_DIR/again.py" || FAILED=1
check "one image many times: the daemon lives" alive "$DAEMON"
same "and the gate is the same one" "$gate" "$(child gate)"
finish
