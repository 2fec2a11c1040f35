"""replaced.py WHAT - the files of the model change under a running daemon."""
import struct

from daemon import *  # noqa: F403

check = Checks()
what = sys.argv[1]
MODEL = TMP + "/model/"
POLICY = TMP + "/policies/hate.yaml"
d = Daemon().start()
c = Client(d.status()["endpoints"]["submit"])
image = picture(5, (96, 96), "JPEG")
n = 0


def cosines(timeout=20):
    """Of the same picture, under a name and with bytes of its own."""
    global n
    n += 1
    ident = "m%d" % n
    c.submit(image + b"%d" % n, id=ident, explain="never")
    c.until(lambda: ident in c.verdicts, timeout)
    v = c.verdicts.get(ident, {})
    return [s["cosine"] for s in v.get("scores", [])]


def off(a, b):
    return max([abs(x - y) for x, y in zip(a, b)] or [9])


def near(a, b):
    return len(a) == len(b) and off(a, b) < 1e-4


def log():
    return open(TMP + "/log").read()


def workers():
    return [w for w in d.status()["workers"] if w["state"] in
            ("idle", "busy")]


def wait(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def put(name, data):
    open(MODEL + "new", "wb").write(data)
    os.rename(MODEL + "new", MODEL + name)


def kill_one():
    os.kill(workers()[0]["pid"], signal.SIGKILL)


def weights():
    """The same model with the halves of its last matrix exchanged."""
    b = bytearray(open(MODEL + "model.safetensors", "rb").read())
    at = 8 + struct.unpack_from("<Q", b)[0]
    head = json.loads(b[8:at])
    first, end = next(head[k]["data_offsets"] for k in head
                      if "visual_projection" in k)
    part = bytes(b[at + first:at + end])
    half = len(part) // 2
    b[at + first:at + end] = part[half:] + part[:half]
    return bytes(b)


def colours():
    config = json.load(open(MODEL + "preprocessor_config.json"))
    config["image_mean"] = [0.1, 0.9, 0.1]
    return json.dumps(config).encode()


wait(lambda: len(workers()) == 2)
want = cosines()
kept = {}
for name, change in (("model.safetensors", weights),
                     ("preprocessor_config.json", colours)):
    kept[name] = open(MODEL + name, "rb").read()
    put(name, change())
    text = open(POLICY).read()
    open(POLICY, "w").write(re.sub(r"neutral:\n", "neutral:\n  - a boat\n",
                                   text))
    said = log().count("model state=changed")
    kill_one()
    check("%s, %s: said" % (what, name), wait(
        lambda: log().count("model state=changed") > said))
    check("%s, %s: the worker says why it goes" % (what, name),
          wait(lambda: "the model has changed since the daemon started" in
               log()))
    got = [cosines() for _ in range(20)]
    check("%s, %s: scored by the old one only" % (what, name),
          all(near(g, want) for g in got),
          [off(g, want) for g in got])
    check("%s, %s: said once" % (what, name),
          log().count("model state=changed") == said + 1)
    reload = subprocess.run([BUILD + "/clipward", "--socket",
                             TMP + "/control.sock", "reload"],
                            capture_output=True, text=True)
    check("%s, %s: no worker makes room for one like that" % (what, name),
          "the model has changed" in reload.stderr and near(cosines(), want),
          reload)
    put(name, kept[name])
    check("%s, %s: put back, it is served again" % (what, name),
          wait(lambda: len(workers()) == 2))
    open(POLICY, "w").write(text)
check("%s: the daemon ends well" % what, d.kill(signal.SIGTERM) == 0)
d.stop()
check.done()
