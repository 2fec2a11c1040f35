#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# What is no good image gets an error verdict: stage, code, text; no flag.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

config 'limits: {pixels: 4M}'
start
worker=$(child worker)
"$PYTHON" - <<'EOT' || FAILED=1
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
jpg, png = picture(4, (200, 150), "JPEG"), picture(5, (200, 150), "PNG")
bad = {
    "text": b"hello, world\n" * 40,
    "one-byte": b"\xff",
    "jpeg-header-only": jpg[:20],
    "jpeg-half": jpg[:len(jpg) // 2],
    "jpeg-65500": jpg[:163] + jpg[163:].replace(
        b"\x00\x96\x00\xc8", b"\xff\xdc\xff\xdc", 1),
    "png-half": png[:len(png) // 2],
    "png-crc": png[:40] + bytes([png[40] ^ 255]) + png[41:],
    "png-huge": png[:16] + b"\x00\x00\xea\x60\x00\x00\xea\x60" + png[24:],
    "gif-no-plugin": b"GIF89a\x01\x00\x01\x00\x80\x00\x00" + b"\0" * 30,
    "too-many-pixels": picture(6, (2100, 2100), "PNG"),
    "zeros": bytes(5000),
    "pdf": b"%PDF-1.4\n" + b"x" * 500,
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
}
good = {"good%d.jpg" % i: picture(i, form="JPEG") for i in range(4)}
c = Client()
mixed = {}
for i, (n, b) in enumerate(bad.items()):
    mixed[n] = b
    if i < 4:
        mixed["good%d.jpg" % i] = good["good%d.jpg" % i]
got = c.score(mixed)
for n in bad:
    v = got[n]
    check("error verdict: " + n, v and v["decision"] == "error" and
          v["error"]["stage"] in ("decode", "preprocess") and
          v["error"]["code"] and v["error"]["message"] and
          not v.get("flags"), v)
check("good ones between them are scored", all(
    got[n] and got[n]["decision"] != "error" for n in good),
    [got[n] for n in good])
viol = validate(v for v in got.values() if v)
check("error verdicts pass the schema", not viol, viol[:3])
check.done()
EOT
same "no worker died of it" "$worker" "$(child worker)"
finish
