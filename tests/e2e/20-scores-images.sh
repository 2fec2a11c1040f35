#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# JPEG and PNG in, verdicts out: each one by the schema, each explained.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config
start
"$PYTHON" - <<'EOT' || FAILED=1
import io, json, os, subprocess, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
from PIL import Image

c = Client()
images = pictures(8)
for f in sorted(os.listdir(ROOT + "/tests/data")):
    if f.endswith((".jpg", ".png")) and len(images) < 14:
        images[f] = open(ROOT + "/tests/data/" + f, "rb").read()
got = c.score(images, explain="always", artifacts=["overlay"],
              context={"surface": "comment"})
check("every image gets a verdict", all(got.values()),
      [n for n, v in got.items() if not v])
got = {n: v for n, v in got.items() if v}
bad = validate(got.values())
check("every verdict passes the schema", not bad, bad[:3])
wrong = [n for n, v in got.items()
         if v["decision"] not in ("allow", "review", "block")]
check("every verdict decides", not wrong, [got[n] for n in wrong][:1])
wrong = [(n, v["image"]) for n, v in got.items()
         if (v["image"].get("width"), v["image"].get("height")) !=
         Image.open(io.BytesIO(images[n])).size or
         v["image"]["bytes"] != len(images[n])]
check("sizes are the pictures'", not wrong, wrong)
import hashlib
wrong = [n for n, v in got.items() if v["image"]["sha256"] !=
         hashlib.sha256(images[n]).hexdigest()]
check("hashes are the pictures'", not wrong, wrong)
rank = {"allow": 0, "review": 1, "block": 2}
wrong = [n for n, v in got.items() if v["decision"] != max(
    [f["decision"] for f in v.get("flags", [])] or ["allow"],
    key=rank.get)]
check("the decision is its harshest flag's", not wrong, wrong)
maps = [(n, m) for n, v in got.items() for m in v.get("maps", [])]
off = [(n, sum(m["values"]) + m["remainder"] - m["total"])
       for n, m in maps if m["method"] == "additive"]
check("maps are there when asked for", len(maps) >= len(got),
      "%d maps of %d images" % (len(maps), len(got)))
check("additive maps add up", off and
      max(abs(o[1]) for o in off) <= 1e-4, off[:3])
wrong = [n for n, m in maps if m["grid"][0] * m["grid"][1] !=
         len(m["values"])]
check("maps are as large as their grid", not wrong, wrong)
wrong = [n for n in got if not any(p[:8] == b"\x89PNG\r\n\x1a\n"
                                  for p in c.parts[n])]
check("overlays come as PNG", not wrong, wrong)
never = c.score({"never.jpg": images["p0.jpg"]}, explain="never")
check("explain: never has no map",
      "maps" not in (never["never.jpg"] or {"maps": 0}), never)
one = c.score({"one.jpg": images["p0.jpg"]}, policies=["violence"])["one.jpg"]
check("policies can be chosen", one and {s["policy"] for s in one["scores"]
                                     if s["applied"]} == {"violence"}, one)
a, b = got["p0.jpg"]["scores"], one["scores"] if one else []
pair = [(x["cosine"], y["cosine"]) for x in a for y in b
        if x["prompt"] == y["prompt"] and x["category"] == y["category"] and
        x.get("view") == y.get("view")]
# one of them may come from the embedding stored as float16
check("the same image has the same cosines at a view", pair and
      all(abs(x - y) < 5e-4 for x, y in pair), pair[:3])
run = subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                      os.environ["TMP_DIR"] + "/control.sock", "get",
                      "--json", "p0.jpg"], capture_output=True, text=True)
check("clipward get shows the stored one", run.returncode == 0 and
      json.loads(run.stdout) == got["p0.jpg"], run)
check.done()
EOT
stop
same "exit 0" 0 "$CODE"
finish
