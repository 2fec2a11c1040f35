#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Fire and forget: PUSH in, PUB out by topic, stored verdicts for who asks.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

# a name that -n takes for loopback is one to bind
config 'queue: {submit: "tcp://localhost:*", pull: "tcp://localhost:*"}'
start
"$PYTHON" - <<'EOT' || FAILED=1
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()

every = socket(zmq.SUB, os.environ["PUB"], subscribe=b"verdict.")
none = socket(zmq.SUB, os.environ["PUB"], subscribe=b"verdict.error.")
push = socket(zmq.PUSH, os.environ["PULL"])


def send(images):
    for name, image in images.items():
        push.send_multipart([b"CW1", b"SUBMIT",
                             json.dumps({"id": name}).encode(), image])


# a subscription takes a moment: send until one is heard
heard = {}
for i in range(40):
    send({"first%d" % i: picture(i)})
    if every.poll(500):
        break
check("a subscriber hears", every.poll(0))
images = pictures(6, 100)
send(images)
end = time.monotonic() + 30
while time.monotonic() < end and not set(images) <= set(heard):
    if every.poll(200):
        topic, version, verb, header, *rest = every.recv_multipart()
        v = json.loads(header)
        heard[v["id"]] = (topic.decode(), version, verb, v)
check("every job is published", set(images) <= set(heard),
      set(images) - set(heard))
wrong = [t for t, version, verb, v in heard.values()
         if version != b"CW1" or verb != b"VERDICT" or
         t.split(".")[:2] != ["verdict", v["decision"]] or
         len(t.split(".")) < 3]
check("topics name decision and policy", not wrong, wrong)
bad = validate(v for _, _, _, v in heard.values())
check("published verdicts pass the schema", not bad, bad[:3])
c = Client()
check("and are stored", all(c.get(i) == heard[i][3] for i in images
                            if i in heard))
send({"broken": b"\xff\xd8\xff\xe0 no picture"})
check("topics select", none.poll(10000) and
      json.loads(none.recv_multipart()[3])["id"] == "broken")
check.done()
EOT
finish
