#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Every break of the form is answered with a reason, and ends nothing.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config 'limits: {bytes: 1M}'
start
gate=$(child gate)
"$PYTHON" - <<'EOT' || FAILED=1
import os, random, socket as so, struct, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
end = os.environ["SUBMIT"]
image = picture(3)

c = Client()
codes = []
for what, header in [
        ("an unknown key", {"id": "k", "colour": 1}),
        ("a number for an id", {"id": 7}),
        ("an id with a slash", {"id": "../../etc/passwd"}),
        ("a negative deadline", {"id": "k", "deadline_ms": -1}),
        ("explain: sometimes", {"id": "k", "explain": "sometimes"}),
        ("an unknown priority", {"id": "k", "priority": "urgent"}),
        ("a policy that is not there", {"id": "k2", "policies": ["absent"]}),
        ("a long text", {"id": "k", "context": {"text": "x" * 9000}}),
        ("another image's hash", {"id": "k", "sha256": "0" * 64})]:
    c.answers.clear()
    c.submit(image, **header)
    c.until(lambda: c.answers, 5)
    verb, h = c.answers[0] if c.answers else ("", {})
    check("rejected: " + what, verb == "REJECTED" and h["code"] and
          h["message"], c.answers)
    codes.append(h.get("code"))
check("each with its code", codes == ["format"] * 6 + [
    "unknown_policy", "format", "sha256"], codes)
c.answers.clear()
c.submit(b"", id="empty")
c.ask("SUBMIT", id="none")
c.submit(b"x" * (1 << 20) + b"y", id="large")
c.ask("RELOAD")
c.until(lambda: len(c.answers) == 4, 5)
check("rejected: no image, one over limits.bytes, RELOAD without CURVE",
      [(k, h["id"], h["code"]) for k, h in c.answers] ==
      [("REJECTED", "empty", "no_image"), ("REJECTED", "none", "no_image"),
       ("REJECTED", "large", "too_large"), ("REJECTED", "", "unsupported")]
      and "limits.bytes" in c.answers[2][1]["message"], c.answers)

# random multiparts, flipped bytes of a good one, then bytes that are no ZMTP
r = random.Random(30)
d = socket(zmq.DEALER, end)
good = [b"CW1", b"SUBMIT", b'{"id":"flip","explain":"never"}', b"\xff\xd8"]
n = 0
for f in range(3):
    for i in range(len(good[f])):
        m = list(good)
        b = bytearray(m[f])
        b[i] ^= 1 << r.randrange(8)
        m[f] = bytes(b)
        d.send_multipart(m)
        n += 1
for _ in range(300):
    d.send_multipart([r.randbytes(r.choice([0, 1, 3, 40, 3000]))
                      for _ in range(r.randrange(1, 12))])
    n += 1
answers = 0
while d.poll(1500):
    d.recv_multipart()
    answers += 1
check("broken messages are answered", answers >= n, (answers, n))
host, port = end[6:].rsplit(":", 1)
for i in range(40):
    s = so.create_connection((host, int(port)))
    s.sendall(r.randbytes(r.randrange(1, 500)))
    if i % 2:
        s.setsockopt(so.SOL_SOCKET, so.SO_LINGER, struct.pack("ii", 1, 0))
    s.close()
v = Client().score({"good.jpg": image})["good.jpg"]
check("a good job passes as ever", v and v["decision"] != "error", v)
check.done()
EOT
same "the gate never ended" "$gate" "$(child gate)"
finish
