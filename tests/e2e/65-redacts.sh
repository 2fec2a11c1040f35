#!/bin/sh
# shellcheck disable=SC2119  # config and stop with their defaults
# A redacted picture keeps its format and size, and nothing of what is hidden:
# not in the pixels, not in EXIF, not in the thumbnail.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cw() {
	"$CW_BUILD/clipward" "$@" -m "$root/models/starter" 2>"$TMP_DIR/err"
}
# A photograph's extras: EXIF with a description and a thumbnail of all of
# it, a comment, a colour profile; and fine stripes over the picture, the
# detail that must be gone.
"$PYTHON" - "$root/tests/data/drop-of-blood.png" "$TMP_DIR" <<-'EOT'
	import io, struct, sys
	from PIL import Image
	im = Image.open(sys.argv[1]).convert("RGB").resize((640, 640))
	px = im.load()
	for y in range(640):
	    for x in range(y // 2 % 2 * 2, 640, 4):
	        px[x, y] = px[x + 1, y] = tuple(c * 3 // 4 for c in px[x, y])
	thumb = io.BytesIO()
	im.resize((128, 128)).save(thumb, "JPEG")
	thumb = thumb.getvalue()
	words = b"SECRET words\0\0"
	first = 8 + 2 + 12 + 4
	second = first + len(words)
	at = second + 2 + 3 * 12 + 4
	entry = lambda *e: struct.pack("<HHII", *e)
	tiff = (b"II*\0" + struct.pack("<IH", 8, 1) + entry(0x10e, 2, len(words), first) +
	        struct.pack("<I", second) + words + struct.pack("<H", 3) +
	        entry(0x103, 3, 1, 6) + entry(0x201, 4, 1, at) + entry(0x202, 4, 1, len(thumb)) +
	        struct.pack("<I", 0) + thumb)
	im.save(sys.argv[2] + "/in.jpg", quality=95, exif=b"Exif\0\0" + tiff,
	        comment=b"SECRET comment", icc_profile=b"SECRET profile " * 20)
	im.save(sys.argv[2] + "/in.png")
EOT
prompt="a drop of blood"
for kind in jpg png; do
	cw redact --prompt "$prompt" -o "$TMP_DIR/out.$kind" "$TMP_DIR/in.$kind"
	check "redact $kind" test $? -le 1
	cw redact --prompt "$prompt" --invert -o "$TMP_DIR/inv.$kind" "$TMP_DIR/in.$kind"
	check "redact --invert $kind" test $? -le 1
	cw explain --prompt "$prompt" --json "$TMP_DIR/in.$kind" >"$TMP_DIR/map.$kind"
done

config
start
"$PYTHON" - "$TMP_DIR" <<'EOT' || FAILED=1
import io, json, os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
from PIL import Image
check = Checks()
tmp = sys.argv[1]

def sharpness(im, x, y, w, h):
    """How far neighbours across differ: stripes do, averages do not."""
    px = im.convert("L").load()
    steps = [abs(px[i + 1, j] - px[i, j]) for j in range(y + 8, y + h - 8)
             for i in range(x + 8, x + w - 8)]
    return sum(steps) / len(steps)

for kind, magic in ("jpg", b"\xff\xd8"), ("png", b"\x89P"):
    was = Image.open(f"{tmp}/in.{kind}")
    for name, hidden in ("out", True), ("inv", False):
        data = open(f"{tmp}/{name}.{kind}", "rb").read()
        im = Image.open(io.BytesIO(data))
        check(f"{name}.{kind} has its format and size",
              data[:2] == magic and im.size == was.size, im.size)
        check(f"{name}.{kind} has no metadata", b"SECRET" not in data and
              b"Exif" not in data and not im.getexif() and
              "icc_profile" not in im.info and "comment" not in im.info,
              sorted(im.info))
        if kind == "jpg":
            check(f"{name}.jpg has no second picture in it",
                  data.count(b"\xff\xd8\xff") == 1)
        regions = json.load(open(f"{tmp}/map.{kind}"))["maps"][0]["regions"]
        check("there are regions", regions)
        boxes = [r["box"] for r in regions]
        inside = max(sharpness(im, *b) for b in boxes)
        before = min(sharpness(was, *b) for b in boxes)
        if hidden:
            check(f"{name}.{kind}: the detail in the regions is gone",
                  inside < before / 5, (inside, before))
        else:
            check(f"{name}.{kind}: the regions are as they were",
                  min(sharpness(im, *b) for b in boxes) > before * 0.8)
        # a corner that no region holds
        corner = (0, 0, 48, 48)
        if not any(b[0] < 48 and b[1] < 48 for b in boxes):
            kept = sharpness(im, *corner) > sharpness(was, *corner) * 0.8
            check(f"{name}.{kind}: the rest is "
                  f"{'there' if hidden else 'gone'}", kept == hidden)

c = Client()
data = open(tmp + "/in.jpg", "rb").read()
got = c.score({"a.jpg": data}, evidence="redacted", explain="always")
v, parts = got["a.jpg"], c.parts.get("a.jpg", [])
check("a verdict with evidence: redacted", v and
      v.get("evidence") == ["redacted"] and len(parts) == 1,
      v and v.get("evidence"))
check("by the schema", not validate([v]), validate([v]))
check("its frame is the redacted JPEG", parts and
      parts[0][:2] == b"\xff\xd8" and b"SECRET" not in parts[0])
got = c.score({"b.jpg": data}, artifacts=["inverted", "overlay"],
              explain="always")
v, parts = got["b.jpg"], c.parts.get("b.jpg", [])
check("evidence names every frame, in order", v and
      len(parts) == len(v["evidence"]) and
      [p[:2] == b"\xff\xd8" for p in parts] ==
      [e == "inverted" for e in v["evidence"]], v and v.get("evidence"))
check.done()
EOT
stop
finish
