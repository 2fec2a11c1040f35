"""The gate by itself, with this script in the supervisor's place."""
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import zmq

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import frames as fr  # noqa: E402

BUILD = os.environ["CW_BUILD"]
ANY = "tcp://127.0.0.1:*"
LONG_MS = 10000     # for what must come: a busy machine may take its time
failed = 0


def check(what, good, why=""):
    global failed
    failed += not good
    print(("ok %s" % what) if good else "not ok %s: %s" % (what, why),
          flush=True)


class Gate:
    """A gate process and our end of its channel."""

    def __init__(self, **init):
        ours, theirs = socket.socketpair()
        ours.settimeout(10)

        def place():
            os.dup2(theirs.fileno(), 3)
            os.set_inheritable(3, True)

        self.proc = subprocess.Popen(os.environ.get("CW_GATE_PREFIX", "").split() +
                                     [BUILD + "/clipward-gate"],
                                     preexec_fn=place, pass_fds=(3,),
                                     close_fds=True)
        theirs.close()
        self.chan = ours
        self.stats, self.lines = {}, []
        fr.send(self.chan, fr.GATE_INIT, 0, fr.gate_init(**init))

    def next(self, want):
        """The next frame of the wanted type: (id, body)."""
        end = time.monotonic() + 20
        while time.monotonic() < end:
            kind, ident, body = fr.recv(self.chan)
            if kind == fr.LOG:
                self.lines.append(body[5:].decode())
            if kind == fr.GATE_STATS:
                self.stats = fr.gate_stats(body)
            if kind == want:
                return ident, body
            if kind == fr.FATAL:
                raise RuntimeError(body[8:].decode())
        raise RuntimeError("no frame %d in 20 s" % want)

    def ready(self):
        self.ends = fr.gate_ready(self.next(fr.GATE_READY)[1])
        return self

    def request(self):
        route, body = self.next(fr.GATE_REQUEST)
        return route, fr.request(body)

    def until_stats(self, good):
        end = time.monotonic() + 5
        while time.monotonic() < end:
            self.next(fr.GATE_STATS)
            if good(self.stats):
                return True
        return False

    def close(self):
        self.chan.close()
        try:
            return self.proc.wait(5)
        except subprocess.TimeoutExpired:
            self.proc.kill()
            return "killed after 5 s"


ctx = zmq.Context()


def client(kind, end, **opts):
    s = ctx.socket(kind)
    s.linger = 0
    s.rcvtimeo = s.sndtimeo = 5000
    for k, v in opts.items():
        setattr(s, k, v)
    s.connect(end)
    return s


def submit(s, header, image=b"\xff\xd8 not really"):
    s.send_multipart([b"CW1", b"SUBMIT", json.dumps(header).encode(), image])


def plain():
    g = Gate(submit=ANY, pull=ANY, pub=ANY).ready()
    check("endpoints are resolved",
          all(re.fullmatch(r"tcp://127\.0\.0\.1:\d+", e)
              for e in g.ends.values()), g.ends)
    d = client(zmq.DEALER, g.ends["submit"])
    submit(d, {"id": "a1", "context": {"text": "hé"}, "deadline_ms": 900,
               "priority": "bulk"}, b"x" * 70000)
    route, q = g.request()
    check("a job arrives whole", q["verb"] == "SUBMIT" and q["id"] == "a1" and
          q["image"] == b"x" * 70000 and q["text"] == "hé" and
          q["deadline_ms"] == 900 and q["priority"] == 1 and route > 0, q)
    fr.send(g.chan, fr.GATE_REPLY, route,
            fr.reply("ACCEPTED", '{"id":"a1","duplicate":false}'))
    fr.send(g.chan, fr.GATE_REPLY, route,
            fr.reply("VERDICT", '{"id":"a1"}', [b"\x89PNG", b""]))
    check("replies find their client", d.recv_multipart() ==
          [b"CW1", b"ACCEPTED", b'{"id":"a1","duplicate":false}'] and
          d.recv_multipart() ==
          [b"CW1", b"VERDICT", b'{"id":"a1"}', b"\x89PNG", b""])

    submit(d, {})
    _, q = g.request()
    check("an id is made up", re.fullmatch("[0-9a-f]{32}", q["id"]), q["id"])

    r = client(zmq.REQ, g.ends["submit"])
    r.send_multipart([b"CW1", b"GET", b'{"id":"a1"}'])
    route2, q = g.request()
    check("a REQ client asks", q["verb"] == "GET" and q["id"] == "a1" and
          route2 != route, q)
    fr.send(g.chan, fr.GATE_REPLY, route2, fr.reply("UNKNOWN", "{}"))
    check("a REQ client is answered",
          r.recv_multipart() == [b"CW1", b"UNKNOWN", b"{}"])
    r.send_multipart([b"CW1", b"PING"])
    check("PING is answered by the gate",
          r.recv_multipart() == [b"CW1", b"PONG", b"{}"])

    p = client(zmq.PUSH, g.ends["pull"])
    submit(p, {"id": "p1"})
    route, q = g.request()
    check("PULL takes jobs that nobody waits for",
          q["id"] == "p1" and route >> 63 == 1, (route, q))
    fr.send(g.chan, fr.GATE_REPLY, route, fr.reply("BUSY", "{}"))
    check("one that is BUSY comes again", g.request() == (route, q))
    fr.send(g.chan, fr.GATE_REPLY, route, fr.reply("ACCEPTED", "{}"))
    fr.send(g.chan, fr.GATE_REPLY, route, fr.reply("BUSY", "{}"))
    fr.send(g.chan, fr.GATE_REPLY, route + 99, fr.reply("BUSY", "{}"))

    s = client(zmq.SUB, g.ends["pub"], subscribe=b"verdict.block.")
    got = None
    s.rcvtimeo = 100
    for _ in range(50):        # a subscription takes a moment to arrive
        fr.send(g.chan, fr.GATE_PUBLISH, 0,
                fr.publish("verdict.allow.none", '{"id":"no"}'))
        fr.send(g.chan, fr.GATE_PUBLISH, 0,
                fr.publish("verdict.block.hate", '{"id":"p1"}'))
        try:
            got = s.recv_multipart()
            break
        except zmq.Again:
            pass
    check("PUB sends by topic",
          got == [b"verdict.block.hate", b"CW1", b"VERDICT", b'{"id":"p1"}'],
          got)

    broken = [
        ("no frame", [b""]), ("other version", [b"CW2", b"SUBMIT", b"{}"]),
        ("no verb", [b"CW1"]), ("unknown verb", [b"CW1", b"STEAL", b"{}"]),
        ("no header", [b"CW1", b"SUBMIT"]),
        ("no image", [b"CW1", b"SUBMIT", b"{}"]),
        ("empty image", [b"CW1", b"SUBMIT", b"{}", b""]),
        ("two images", [b"CW1", b"SUBMIT", b"{}", b"x", b"y"]),
        ("forty frames", [b"CW1", b"SUBMIT"] + [b"x"] * 40),
        ("not JSON", [b"CW1", b"SUBMIT", b"{", b"x"]),
        ("a list", [b"CW1", b"SUBMIT", b"[]", b"x"]),
        ("unknown key", [b"CW1", b"SUBMIT", b'{"id":"k","x":1}', b"x"]),
        ("bad id", [b"CW1", b"SUBMIT", b'{"id":"a b"}', b"x"]),
        ("NUL in JSON", [b"CW1", b"SUBMIT", b'{"id":"a\\u0000"}', b"x"]),
        ("long header", [b"CW1", b"SUBMIT", b'{"id":"' + b"a" * 20000 +
                         b'"}', b"x"]),
        ("deep JSON", [b"CW1", b"SUBMIT", b'{"a":' + b"[" * 9000, b"x"]),
        ("wrong hash", [b"CW1", b"SUBMIT", b'{"id":"k","sha256":"' +
                        b"0" * 64 + b'"}', b"x"]),
        ("GET without id", [b"CW1", b"GET", b"{}"]),
        ("image of GET", [b"CW1", b"GET", b'{"id":"k"}', b"x"]),
        ("large image", [b"CW1", b"SUBMIT", b'{"id":"k"}', b"x" * 1100000]),
        ("reload by a stranger", [b"CW1", b"RELOAD"]),
    ]
    for what, parts in broken:
        d.send_multipart(parts)
        a = d.recv_multipart()
        if parts == [b""]:      # taken for the delimiter of a REQ
            a = a[1:]
        h = json.loads(a[2])
        good = a[:2] == [b"CW1", b"REJECTED"] and h["code"] and h["message"]
        if b'"k"' in parts[min(2, len(parts) - 1)] and what != "image of GET":
            good = good and h["id"] == "k"
        check("rejected: " + what, good, a)
    p.send_multipart([b"what", b"ever"])
    p.send_multipart([b"CW1", b"GET", b'{"id":"a1"}'])
    submit(p, {"id": "p2"})
    check("garbage to PULL is skipped, ACCEPTED has gone",
          g.request()[1]["id"] == "p2")

    fr.send(g.chan, fr.GATE_PAUSE, 0, fr.u8(1))
    r.send_multipart([b"CW1", b"PING"])
    r.recv_multipart()
    submit(d, {"id": "b1"})
    a = d.recv_multipart()
    check("paused: SUBMIT is BUSY", a[1] == b"BUSY" and
          json.loads(a[2]) == {"id": "b1", "retry_after_ms": 50}, a)
    submit(p, {"id": "p3"})
    r.send_multipart([b"CW1", b"GET", b'{"id":"a1"}'])
    check("paused: PULL waits, GET passes", g.request()[1]["verb"] == "GET")
    fr.send(g.chan, fr.GATE_PAUSE, 0, fr.u8(0))
    check("resumed: PULL goes on", g.request()[1]["id"] == "p3")

    d.close()
    fr.send(g.chan, fr.GATE_REPLY, 999999, fr.reply("PENDING", "{}"))
    check("a reply to nobody is counted",
          g.until_stats(lambda s: s["dropped_replies"] >= 1), g.stats)
    check("malformed messages are counted",
          g.stats["malformed"] >= len(broken) - 1, g.stats)
    code = g.close()
    check("the channel's end is the gate's", code == 0, code)


def pushed():
    """What is pushed is kept until it is stored, and no more than that."""
    g = Gate(submit=ANY, pull=ANY).ready()
    d = client(zmq.DEALER, g.ends["submit"])
    p = client(zmq.PUSH, g.ends["pull"])
    sender = threading.Thread(target=lambda: [
        submit(p, {"id": "p%d" % i}) for i in range(700)])
    sender.start()
    routes = {}

    def take():
        route, q = g.request()
        routes[q["id"]] = route
        return q["id"]

    order = [take() for _ in range(512)]
    check("in order", order == ["p%d" % i for i in range(512)], order[:9])
    d.send_multipart([b"CW1", b"GET", b'{"id":"a1"}'])
    check("then no more of them", g.request()[1]["verb"] == "GET")
    for i in range(100, 150):
        fr.send(g.chan, fr.GATE_REPLY, routes["p%d" % i],
                fr.reply("ACCEPTED", "{}"))
    d.send_multipart([b"CW1", b"GET", b'{"id":"a2"}'])
    check("a hole in the middle makes no room",
          g.request()[1]["id"] == "a2")
    for i in range(100):
        fr.send(g.chan, fr.GATE_REPLY, routes["p%d" % i],
                fr.reply(("REJECTED", "ACCEPTED")[i % 2], "{}"))
    order = [take() for _ in range(150)]
    check("what is stored makes room for as many",
          order == ["p%d" % i for i in range(512, 662)], order[:9])
    for k in "p150", "p600", "p661":
        fr.send(g.chan, fr.GATE_REPLY, routes[k], fr.reply("BUSY", "{}"))
    fr.send(g.chan, fr.GATE_PAUSE, 0, fr.u8(1))
    for k in "a3", "a4":
        d.send_multipart([b"CW1", b"GET", b'{"id":"%s"}' % k.encode()])
        check("paused: they wait, GET passes", g.request()[1]["id"] == k)
        time.sleep(0.1)         # twice as long as they wait for
    fr.send(g.chan, fr.GATE_PAUSE, 0, fr.u8(0))
    again = [g.request()[1]["id"] for _ in range(3)]
    check("then three come again", again == ["p150", "p600", "p661"], again)
    fr.send(g.chan, fr.GATE_PAUSE, 0, fr.u8(1))
    for k in again:
        fr.send(g.chan, fr.GATE_REPLY, routes[k], fr.reply("BUSY", "{}"))
    g.chan.shutdown(socket.SHUT_WR)
    again = [g.request()[1]["id"] for _ in range(3)]
    check("and once more before it goes", sorted(again) ==
          ["p150", "p600", "p661"], again)
    check("ends", g.close() == 0)
    sender.join()


def slow_supervisor():
    g = Gate(submit=ANY, pending_bytes=4 << 20).ready()
    d = client(zmq.DEALER, g.ends["submit"])
    for i in range(12):
        submit(d, {"id": "s%d" % i}, b"x" * 900000)
    a = d.recv_multipart()
    check("a full buffer is BUSY", a[1] == b"BUSY", a)
    busy = 1 + sum(1 for _ in iter(lambda: d.poll(500) and
                                   d.recv_multipart(), 0))
    got = [g.request()[1]["id"] for _ in range(12 - busy)]
    check("what was not BUSY arrives", got and
          got == ["s%d" % i for i in range(len(got))], (busy, got))
    submit(d, {"id": "after"})
    check("then there is room again", g.request()[1]["id"] == "after")
    check("ends", g.close() == 0)


def slow_clients():
    """What a client does not read waits, within its bound, in order."""
    room = 16 << 20
    g = Gate(submit=ANY, reply_bytes=room).ready()
    deaf = [client(zmq.DEALER, g.ends["submit"], rcvhwm=1, rcvbuf=4096)
            for _ in range(4)]
    live = client(zmq.DEALER, g.ends["submit"])
    routes = []
    for k, s in enumerate(deaf + [live]):
        submit(s, {"id": "c%d" % k})
        routes.append(g.request()[0])
    text = "x" * 60000

    def say(route, n, parts=()):
        fr.send(g.chan, fr.GATE_REPLY, route,
                fr.reply("VERDICT", json.dumps({"n": n, "text": text}),
                         parts))

    def read_all(s):
        out = []
        while s.poll(500):
            _, verb, header, *parts = s.recv_multipart()
            h = json.loads(header)
            if verb != b"VERDICT" or h["text"] != text:
                raise RuntimeError("a damaged answer")
            out.append((h["n"], parts))
        return out

    # more than the kernel, the library's queue and less than the bound take
    for n in range(90):
        say(routes[0], n)
    check("slow: some wait", g.until_stats(lambda s: s["held_bytes"] > 0),
          g.stats)
    got = read_all(deaf[0])
    check("slow: all come, in order", [n for n, _ in got] == list(range(90)),
          [n for n, _ in got])
    check("slow: then nothing is held",
          g.until_stats(lambda s: s["held_bytes"] == 0) and
          g.stats["slow_replies"] == 0, g.stats)
    # three that never read want more than there is
    picture = b"p" * 200000
    for n in range(150):
        for route in routes[1:4]:
            say(route, n, [picture])
    check("slow: what is too much is dropped and counted",
          g.until_stats(lambda s: s["slow_replies"] > 0), g.stats)
    check("slow: all of them together stay within the bound",
          g.until_stats(lambda s: True) and
          g.stats["held_bytes"] <= room, g.stats)
    say(routes[4], 1, [picture])
    check("slow: who reads is not kept waiting",
          live.recv_multipart()[3:] == [picture])
    deaf[1].send_multipart([b"CW1", b"PING"])
    got = read_all(deaf[1])
    numbers = [n for n, _ in got]
    check("slow: what does come is whole and in order",
          numbers == sorted(set(numbers)) and
          all(p in ([], [picture]) for _, p in got), numbers)
    for s in deaf[1:]:
        s.close()
    check("slow: who goes takes its own along",
          g.until_stats(lambda s: s["held_bytes"] == 0), g.stats)
    check("slow: ends", g.close() == 0)


def slow_subscribers():
    """What waits for a subscriber that does not read has its bound."""
    g = Gate(submit=ANY, pub=ANY).ready()
    live = client(zmq.SUB, g.ends["pub"], subscribe=b"", rcvhwm=0)
    deaf = client(zmq.SUB, g.ends["pub"], subscribe=b"", rcvhwm=1,
                  rcvbuf=4096)
    text = json.dumps("x" * (1 << 20))
    heard = 0
    for n in range(600):
        fr.send(g.chan, fr.GATE_PUBLISH, 0, fr.publish("verdict.x", text))
        if n == 0:          # when both have come there is a tick of time
            while not deaf.poll(50) or not live.poll(50):
                fr.send(g.chan, fr.GATE_PUBLISH, 0,
                        fr.publish("verdict.x", "{}"))
            g.next(fr.GATE_STATS)
            g.next(fr.GATE_STATS)
        while live.poll(0):
            heard += live.recv_multipart()[3] == text.encode()
    g.until_stats(lambda s: s["published"] > 600)
    mb = int(re.search(r"VmRSS:\s+(\d+)", open(
        "/proc/%d/status" % g.proc.pid).read()).group(1)) >> 10
    check("deaf subscriber: the gate holds little", mb < 350, mb)
    while live.poll(500):
        heard += live.recv_multipart()[3] == text.encode()
    check("deaf subscriber: others hear all", heard >= 590, heard)
    check("deaf subscriber: ends", g.close() == 0)


def curve():
    pub, sec = zmq.curve_keypair()
    who = {n: zmq.curve_keypair() for n in ("all", "submit", "watch", "none")}
    rights = {"all": 7, "submit": 1, "watch": 2}
    keys = [(who[n][0], rights[n], n) for n in ("all", "submit", "watch")]
    g = Gate(submit=ANY, pull=ANY, pub=ANY, secret=sec.decode(),
             clients=keys).ready()

    def curved(kind, end, name, server=pub, **kw):
        return client(kind, end, curve_publickey=who[name][0],
                      curve_secretkey=who[name][1], curve_serverkey=server,
                      **kw)

    def pongs(s, wait=700):
        """wait ms: short for who stays out, long for who must come in."""
        s.rcvtimeo = wait
        try:
            s.send_multipart([b"CW1", b"PING"])
            return s.recv_multipart()[1] == b"PONG"
        except zmq.Again:
            return False
        finally:
            s.close()

    end = g.ends["submit"]
    check("CURVE: a known key comes in",
          pongs(curved(zmq.DEALER, end, "submit"), LONG_MS))
    check("CURVE: an unknown key stays out",
          not pongs(curved(zmq.DEALER, end, "none")))
    check("CURVE: a wrong server key stays out",
          not pongs(curved(zmq.DEALER, end, "submit",
                           zmq.curve_keypair()[0])))
    check("CURVE: NULL stays out", not pongs(client(zmq.DEALER, end)))
    check("CURVE: PLAIN stays out",
          not pongs(client(zmq.DEALER, end, plain_username=b"admin",
                           plain_password=b"admin")))
    w = curved(zmq.DEALER, end, "watch")
    submit(w, {"id": "w1"})
    a = w.recv_multipart()
    check("CURVE: watch may not submit", a[1] == b"REJECTED", a)
    s = curved(zmq.DEALER, end, "submit")
    submit(s, {"id": "s1"})
    q = g.request()[1]
    check("CURVE: the client is named", q["key"] == who["submit"][0].decode() and
          q["rights"] == 1 and q["id"] == "s1", q)
    s.send_multipart([b"CW1", b"RELOAD"])
    check("CURVE: submit may not reload",
          s.recv_multipart()[1] == b"REJECTED")
    boss = curved(zmq.DEALER, end, "all")
    boss.send_multipart([b"CW1", b"RELOAD"])
    check("CURVE: reload is passed on", g.request()[1]["verb"] == "RELOAD")

    def hears(name, wait=700):
        sub = curved(zmq.SUB, g.ends["pub"], name, subscribe=b"")
        sub.rcvtimeo = 50
        for _ in range(wait // 50):
            fr.send(g.chan, fr.GATE_PUBLISH, 0, fr.publish("verdict.x", "{}"))
            try:
                return sub.recv_multipart() != []
            except zmq.Again:
                pass
        return False

    check("CURVE: watch may listen", hears("watch", LONG_MS))
    check("CURVE: submit may not listen", not hears("submit"))

    # The right to watch goes, and with it the subscription that is open.
    subs = {n: curved(zmq.SUB, g.ends["pub"], n, subscribe=b"")
            for n in ("all", "watch")}

    def heard(names):
        """Publish until all of these have heard this very one."""
        for k in range(LONG_MS // 50):
            fr.send(g.chan, fr.GATE_PUBLISH, 0,
                    fr.publish("verdict.%d" % k, "{}"))
            if all(subs[n].poll(50) for n in names):
                break
        got = {n: 0 for n in subs}
        for n, sub in subs.items():
            while sub.poll(100):
                sub.recv_multipart()
                got[n] += 1
        return got

    check("CURVE: both hear", all(heard(("all", "watch")).values()))
    fr.send(g.chan, fr.GATE_INIT, 0, fr.gate_init(
        clients=[keys[0], keys[1], (who["watch"][0], 1, "watch")]))
    got = heard(("all",))
    check("CURVE: the one that may no more hears no more",
          got["all"] and not got["watch"], got)
    fr.send(g.chan, fr.GATE_INIT, 0, fr.gate_init(clients=keys))
    # the library does not try again by itself after a refusal
    subs["watch"] = curved(zmq.SUB, g.ends["pub"], "watch", subscribe=b"")
    check("CURVE: and again when it may",
          all(heard(("all", "watch")).values()))

    # The list changes without a restart: submit goes, none comes.
    fr.send(g.chan, fr.GATE_INIT, 0, fr.gate_init(
        clients=[keys[0], (who["none"][0], 1, "late")]))
    check("CURVE: a new key comes in later",
          pongs(curved(zmq.DEALER, end, "none"), LONG_MS))
    submit(s, {"id": "s2"})
    check("CURVE: a removed key may no more",
          s.recv_multipart()[1] == b"REJECTED")
    check("CURVE: refusals are counted",
          g.until_stats(lambda st: st["auth_refused"] >= 1), g.stats)
    check("CURVE: ends", g.close() == 0)


def stolen_identity():
    """Answers follow the key, whoever connects under its routing id."""
    pub, sec = zmq.curve_keypair()
    who = {n: zmq.curve_keypair() for n in "ab"}
    g = Gate(submit=ANY, secret=sec.decode(), clients=[
        (who[n][0], 1, n) for n in "ab"]).ready()

    def under(name, identity=b"victim"):
        """A client that has been let in, by this key and routing id."""
        s = zmq.Context().socket(zmq.DEALER)
        s.linger, s.rcvtimeo, s.identity = 0, 5000, identity
        s.curve_publickey, s.curve_secretkey = who[name]
        s.curve_serverkey = pub
        m = s.get_monitor_socket(zmq.EVENT_HANDSHAKE_SUCCEEDED)
        s.connect(g.ends["submit"])
        if not m.poll(5000):
            raise RuntimeError("not let in")
        s.disable_monitor()
        m.close()
        return s

    def leave(s):
        """Gone for sure, so that the identity is free for the next one."""
        own = s.context
        s.close()
        own.term()

    def ping(s):
        s.send_multipart([b"CW1", b"PING"])
        return s.recv_multipart()

    def job(s, ident):
        submit(s, {"id": ident})
        route, q = g.request()
        return route

    def verdict(route):
        n = g.stats.get("dropped_replies", 0)
        fr.send(g.chan, fr.GATE_REPLY, route, fr.reply("VERDICT", "{}"))
        return n

    other = under("b", b"other")
    a = under("a")
    first = job(a, "a1")
    verdict(first)
    check("identity: its owner gets the verdict",
          a.recv_multipart()[1] == b"VERDICT")
    # once more as the same client, over another connection
    leave(a)
    a = under("a")
    ping(a)
    verdict(first)
    check("identity: and when it has come again",
          a.recv_multipart()[1] == b"VERDICT")
    for says in ("nothing", "PING"):
        route = job(a, "a-" + says)
        leave(a)
        thief = under("b")
        ping(other)
        if says == "PING":
            ping(thief)
        n = verdict(route)
        dropped = g.until_stats(lambda s: s["dropped_replies"] > n)
        said = ping(thief)
        check("identity: another key that says %s gets none" % says,
              dropped and said[1] == b"PONG", (g.stats, said))
        leave(thief)
        a = under("a")
        ping(a)
    # who leaves its answers behind and comes again silently asks for them
    route = job(a, "late")
    leave(a)
    a = under("a")
    verdict(route)
    check("identity: nothing is guessed about a silent one",
          ping(a)[1] == b"PONG")
    check("identity: ends", g.close() == 0)


def refusals():
    for what, init, want in [
            ("open without CURVE", {"submit": "tcp://0.0.0.0:*"}, "curve"),
            ("a wrong endpoint", {"submit": "tcp://127.0.0.1:x"}, "bind"),
            ("a wrong name", {"connect": ["tcp://no.such.invalid:1"]},
             "no.such.invalid")]:
        g = Gate(**init)
        try:
            g.ready()
            check("refused: " + what, False, "it started")
        except RuntimeError as e:
            # 74: nobody could be asked for the name, where there is no network
            check("refused: " + what, want in str(e) and g.proc.wait(5) in
                  ((78, 74) if what == "a wrong name" else (78,)), e)
    g = Gate(submit=ANY).ready()
    g.chan.sendall(b"x" * 64)
    check("bytes that are no frame end the gate", g.proc.wait(5) == 75)
    # with more on its way than the channel takes
    g = Gate(submit=ANY).ready()
    d = client(zmq.DEALER, g.ends["submit"])
    for i in range(6):
        submit(d, {"id": "l%d" % i}, b"x" * 900000)
    d.send_multipart([b"CW1", b"PING"])
    d.recv_multipart()
    g.chan.sendall(b"x" * 64)
    got = [g.request()[1]["id"] for _ in range(6)]
    try:
        g.next(fr.FATAL)
    except EOFError:
        pass
    check("what it has taken goes before it, and its last words",
          got == ["l%d" % i for i in range(6)] and g.proc.wait(5) == 75 and
          any(w.startswith("ends reason=") for w in g.lines), (got, g.lines))


def loopback():
    """A name to look up; a minimal system may have none for it."""
    try:
        socket.gethostbyname("localhost")
        return "localhost"
    except OSError:
        return "127.0.0.1"


def sources(tmp):
    push = ctx.socket(zmq.PUSH)
    push.linger, push.sndtimeo = 0, 10000
    port = push.bind_to_random_port("tcp://127.0.0.1")
    path = tmp + "/submit.sock"
    g = Gate(submit="ipc://" + path,
             connect=["tcp://%s:%d" % (loopback(), port)]).ready()
    submit(push, {"id": "v1"})
    check("PULL connects to a ventilator", g.request()[1]["id"] == "v1")
    push.close()
    push = ctx.socket(zmq.PUSH)
    push.linger, push.sndtimeo = 0, 10000
    for _ in range(50):
        try:
            push.bind("tcp://127.0.0.1:%d" % port)
            break
        except zmq.ZMQError:
            time.sleep(0.1)
    submit(push, {"id": "v2"})
    check("and again when it comes back", g.request()[1]["id"] == "v2")
    mode = os.stat(path).st_mode & 0o777
    check("ipc files are private", mode == 0o660, oct(mode))
    d = client(zmq.DEALER, "ipc://" + path)
    d.send_multipart([b"CW1", b"PING"])
    check("ipc answers", d.recv_multipart()[1] == b"PONG")
    status = open("/proc/%d/status" % g.proc.pid).read()
    check("sandboxed", re.search(r"Seccomp:\t2", status) and
          re.search(r"NoNewPrivs:\t1", status))
    tasks = "/proc/%d/task" % g.proc.pid
    check("every thread is", all("Seccomp:\t2" in open(
        "%s/%s/status" % (tasks, t)).read() for t in os.listdir(tasks)))
    g.proc.send_signal(signal.SIGTERM)
    d.send_multipart([b"CW1", b"PING"])
    check("SIGTERM alone does not end it", d.recv_multipart()[1] == b"PONG")
    check("ipc: ends", g.close() == 0)


for part in (plain, pushed, slow_supervisor, slow_clients, slow_subscribers, curve,
             stolen_identity, refusals, lambda: sources(os.environ["TMP_DIR"])):
    try:
        part()
    except Exception as e:  # the gate died: say so, do not wait for it
        check("the gate lives", False, repr(e))
sys.stdout.flush()
os._exit(failed > 0)
