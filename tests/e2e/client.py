"""client.py - a client that is not ours: pyzmq against clipward-protocol(7).

As a module: Client, pictures(), validate().  As a program (endpoints come
from the environment: SUBMIT, PULL, PUB):

	client.py pictures DIR N		make N pictures, print their paths
	client.py score [-H JSON] [-p PREFIX] FILE...	submit, a verdict line each
	client.py req FILE...			the same, one by one from a REQ
	client.py push [-p PREFIX] FILE...	submit to PULL
	client.py get ID...			an answer line each
	client.py schema < VERDICTS		a line per violation; exit 1 if any
"""
import argparse
import io
import json
import os
import random
import sys
import time

import zmq

ROOT = os.environ.get("ROOT") or os.path.dirname(os.path.dirname(
    os.path.dirname(os.path.abspath(__file__))))
CTX = zmq.Context.instance()


def socket(kind, end, timeout=10.0, **options):
    s = CTX.socket(kind)
    s.linger = 0
    s.rcvtimeo = s.sndtimeo = int(timeout * 1000)
    for k, v in options.items():
        setattr(s, k, v)
    s.connect(end)
    return s


class Client:
    """A DEALER on the submit socket that keeps what it was told."""

    def __init__(self, end=None, **options):
        self.sock = socket(zmq.DEALER, end or os.environ["SUBMIT"],
                           **options)
        self.accepted = {}      # id -> duplicate
        self.verdicts = {}      # id -> verdict
        self.parts = {}         # id -> payload frames of the verdict
        self.rejected = {}      # id -> header
        self.busy = {}          # id -> retry_after_ms
        self.answers = []       # (verb, header) in order

    def submit(self, image, **header):
        self.sock.send_multipart([b"CW1", b"SUBMIT",
                                  json.dumps(header).encode(), image])

    def ask(self, verb, **header):
        self.sock.send_multipart([b"CW1", verb.encode(),
                                  json.dumps(header).encode()])

    def poll(self, timeout=0.0):
        """Take one answer; None when none comes in time."""
        if not self.sock.poll(timeout * 1000):
            return None
        version, verb, header, *parts = self.sock.recv_multipart()
        assert version == b"CW1", version
        verb, h = verb.decode(), json.loads(header)
        self.answers.append((verb, h))
        i = h.get("id")
        if verb == "ACCEPTED":
            self.accepted[i] = h["duplicate"]
        elif verb == "VERDICT":
            self.verdicts[i], self.parts[i] = h, parts
        elif verb == "REJECTED":
            self.rejected[i] = h
        elif verb == "BUSY":
            self.busy[i] = h["retry_after_ms"]
        return verb, h

    def until(self, good, timeout=30.0):
        """Take answers until good() or the time is over; good()."""
        end = time.monotonic() + timeout
        while not good():
            left = end - time.monotonic()
            if left <= 0:
                return False
            self.poll(min(left, 0.5))
        return True

    def get(self, ident, timeout=30.0):
        """The stored verdict of an id, asked for until it is there."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            self.ask("GET", id=ident)
            if self.until(lambda: self.answers and
                          self.answers[-1][1].get("id") == ident and
                          self.answers[-1][0] != "ACCEPTED", 1.0):
                verb = self.answers.pop()[0]
                if verb == "VERDICT":
                    return self.verdicts[ident]
                if verb == "UNKNOWN":
                    return None
            time.sleep(0.02)
        raise TimeoutError("no verdict of %s" % ident)

    def score(self, images, timeout=60.0, **header):
        """{name: bytes} -> {name: verdict}; BUSY ones are sent again."""
        todo, again = dict(images), []
        end = time.monotonic() + timeout
        for name, image in todo.items():
            self.submit(image, id=name, **header)
        while time.monotonic() < end:
            if all(n in self.verdicts or n in self.rejected for n in todo):
                break
            self.poll(0.05)
            now = time.monotonic()
            for name in [n for n in self.busy if n in todo]:
                again.append((now + self.busy.pop(name) / 1000, name))
            while again and again[0][0] <= now:
                name = again.pop(0)[1]
                self.submit(todo[name], id=name, **header)
        return {n: self.verdicts.get(n) for n in todo}


def picture(seed, size=None, form=None):
    """Bytes of a picture of shapes on noise; the same seed, the same bytes."""
    from PIL import Image, ImageDraw
    r = random.Random(seed)
    w, h = size or (r.randrange(64, 400), r.randrange(64, 400))
    im = Image.new("RGB", (w, h), tuple(r.randrange(256) for _ in range(3)))
    d = ImageDraw.Draw(im)
    for _ in range(r.randrange(2, 9)):
        x, y = r.randrange(w), r.randrange(h)
        box = [x, y, x + r.randrange(8, w), y + r.randrange(8, h)]
        ink = tuple(r.randrange(256) for _ in range(3))
        r.choice([d.rectangle, d.ellipse])(box, fill=ink)
    out = io.BytesIO()
    im.save(out, form or ("PNG" if seed % 3 == 2 else "JPEG"))
    return out.getvalue()


def pictures(n, first=0, **kw):
    """{name: bytes} of n pictures, JPEG and PNG."""
    return {"p%d.%s" % (i, "png" if i % 3 == 2 else "jpg"):
            picture(i, **kw) for i in range(first, first + n)}


def validate(verdicts):
    """Every violation of the shipped schema, as text."""
    import jsonschema
    path = ROOT + "/daemon/format/verdict.schema.json"
    check = jsonschema.Draft7Validator(json.load(open(path)))
    return ["%s: %s: %s" % (v.get("id"), "/".join(map(str, e.path)),
                            e.message[:200])
            for v in verdicts for e in check.iter_errors(v)]


class Checks:
    """ok / not ok lines, and the exit code they come to."""

    def __init__(self):
        self.failed = 0

    def __call__(self, name, good, why=""):
        self.failed += not good
        print("ok " + name if good else
              "not ok %s: %s" % (name, str(why)[:400]), flush=True)
        return good

    def done(self):
        sys.exit(self.failed > 0)


def figure(text):
    print("figure " + text, flush=True)


def load(files, prefix=""):
    return {prefix + os.path.basename(f): open(f, "rb").read()
            for f in files}


def main():
    p = argparse.ArgumentParser()
    p.add_argument("command")
    p.add_argument("-H", default="{}")
    p.add_argument("-p", default="")
    p.add_argument("-t", type=float, default=60.0)
    p.add_argument("args", nargs="*")
    a = p.parse_intermixed_args()
    if a.command == "pictures":
        for name, data in pictures(int(a.args[1])).items():
            path = os.path.join(a.args[0], name)
            with open(path, "wb") as f:
                f.write(data)
            print(path)
    elif a.command == "score":
        c = Client()
        got = c.score(load(a.args, a.p), a.t, **json.loads(a.H))
        for v in got.values():
            print(json.dumps(v))
        sys.exit(any(v is None for v in got.values()))
    elif a.command == "req":
        s = socket(zmq.REQ, os.environ["SUBMIT"], 30.0)
        for name, image in load(a.args, a.p).items():
            s.send_multipart([b"CW1", b"SUBMIT", json.dumps(
                {"id": name}).encode(), image])
            verb, header = s.recv_multipart()[1:3]
            while verb not in (b"VERDICT", b"REJECTED"):
                time.sleep(0.02)
                s.send_multipart([b"CW1", b"GET",
                                  json.dumps({"id": name}).encode()])
                verb, header = s.recv_multipart()[1:3]
            print(header.decode())
    elif a.command == "push":
        s = socket(zmq.PUSH, os.environ["PULL"], linger=5000)
        for name, image in load(a.args, a.p).items():
            s.send_multipart([b"CW1", b"SUBMIT", json.dumps(
                {"id": name}).encode(), image])
        s.close()
        CTX.term()
    elif a.command == "get":
        c = Client()
        for i in a.args:
            print(json.dumps(c.get(i)))
    elif a.command == "schema":
        bad = validate([json.loads(line) for line in sys.stdin])
        print("\n".join(bad))
        sys.exit(len(bad) > 0)
    else:
        sys.exit("unknown command " + a.command)


if __name__ == "__main__":
    main()
