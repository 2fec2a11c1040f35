#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# The id is the key: a job sent again is answered again, and scored once.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

cat >"$TMP_DIR/again.py" <<'EOT'
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
image = picture(1)
want = os.environ["TMP_DIR"] + "/verdict"
c = Client()
if sys.argv[1] == "first":
    c.submit(image, id="same")
    c.until(lambda: "same" in c.verdicts)
    check("accepted as new", c.accepted.get("same") is False, c.answers)
    json.dump(c.verdicts["same"], open(want, "w"))
    c.answers.clear()
    for _ in range(5):
        c.submit(image, id="same")
else:
    c.submit(image, id="same")
first = json.load(open(want))
n = 5 if sys.argv[1] == "first" else 1
c.until(lambda: sum(a[0] == "VERDICT" for a in c.answers) >= n, 5)
kinds = [a[0] for a in c.answers]
check(sys.argv[1] + ": never accepted as new", not any(
    k == "ACCEPTED" and not h["duplicate"] for k, h in c.answers), kinds)
check(sys.argv[1] + ": each gets the stored verdict",
      kinds.count("VERDICT") == n, kinds)
check(sys.argv[1] + ": the very same one", all(
    h == first for k, h in c.answers if k == "VERDICT"))
# several at once, before it is scored
if sys.argv[1] == "first":
    c.answers.clear()
    for _ in range(6):
        c.submit(picture(2), id="race")
    c.until(lambda: sum(k == "VERDICT" for k, _ in c.answers) >= 1, 20)
    c.until(lambda: False, 0.5)
    said = {json.dumps(h) for k, h in c.answers if k == "VERDICT"}
    check("six at once give one verdict", len(said) == 1, len(said))
    check("one of them is new", sum(
        k == "ACCEPTED" and not h["duplicate"] for k, h in c.answers) == 1,
        c.answers)
    check("each of the six is answered", len(c.answers) >= 6, c.answers)
    c.ask("GET", id="never-sent")
    c.until(lambda: c.answers[-1][0] == "UNKNOWN", 5)
    check("an id nobody sent is UNKNOWN", c.answers[-1][0] == "UNKNOWN",
          c.answers[-1])
check.done()
EOT

config
start
"$PYTHON" "$TMP_DIR/again.py" first || FAILED=1
stop
start
"$PYTHON" "$TMP_DIR/again.py" restarted || FAILED=1
same "the store holds two verdicts" 2 \
    "$(sqlite3 "$TMP_DIR"/spool/*.db 'select count(*) from verdicts' 2>&1)"
finish
