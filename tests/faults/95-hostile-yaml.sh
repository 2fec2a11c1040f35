#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# Hostile policies and configurations: each is refused in a second, within 64
# MB, with its line and column.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/../e2e/lib.sh"

"$PYTHON" - <<'EOT' || FAILED=1
import os, re, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/faults")
from daemon import *
check = Checks()
good = open(os.environ["ROOT"] + "/policies/violence.yaml", "rb").read()
head = good[:good.index(b"categories:")]
one = head + b"""categories:
  - id: violence.x
    title: X
    severity: low
    prompts: [%s]
    reason: {code: X-1, text: X.}
neutral: [a dog]
thresholds: {review: 0.5, block: %s}
"""
laughs = b"a: &a [lol]\n" + b"".join(
    b"%c: &%c [%s]\n" % (98 + i, 98 + i, b", ".join([b"*%c" % (97 + i)] * 9))
    for i in range(12))
bad = {
    "billion laughs": laughs, "an alias": head + b"x: &x 1\ny: *x\n",
    "100,000 [": b"a: " + b"[" * 100000, "100,000 {": b"{" * 100000,
    "100,000 - ": b"- " * 100000, "deep indent": b"".join(
        b" " * i + b"a:\n" for i in range(900)),
    "duplicate keys": good + b"\nversion: 4\n", "NaN": one % (b"a", b".nan"),
    "infinity": one % (b"a", b".inf"), "text for a number":
    one % (b"a", b"often"), "a tag": good + b"\n!!python/object x: 1\n",
    "a second document": good + b"\n---\na: 1\n",
    "a tab": good.replace(b"  ", b"\t", 3), "invalid UTF-8":
    good.replace(b"Graphic", b"\xff\xfe\xc3\x28", 1) + b"# \xff\n",
    "a NUL": good + b"x: \0\n", "no end of a quote": good + b'x: "abc',
    "an empty file": b"", "1 MB and more": good + b"#" * (1 << 20),
    "100,000 prompts": one % (b", ".join(b"p%d" % i for i in range(100000)),
                              b"0.9"),
    "long scalar": one % (b"x" * 500000, b"0.9"),
    "every byte": bytes(range(256)) * 300, "a merge": good + b"<<: {a: 1}\n",
    "an unknown key": good + b"sevrity: high\n",
}


NO_PLACE = ("1 MB and more",)


def tried(argv):
    """(exit code, seconds, KB, what it said); KB is at least our own size."""
    r, w = os.pipe()
    began = time.monotonic()
    pid = os.fork()
    if pid == 0:
        os.dup2(w, 1)
        os.dup2(w, 2)
        os.execv(argv[0], argv)
    os.close(w)
    said = b""
    while True:
        part = os.read(r, 65536)
        if not part:
            break
        said += part
    os.close(r)
    _, status, use = os.wait4(pid, 0)
    return (os.waitstatus_to_exitcode(status), time.monotonic() - began,
            use.ru_maxrss, said.decode("utf-8", "replace"))


def policy(data):
    with open(TMP + "/p.yaml", "wb") as f:
        f.write(data)
    return tried([BUILD + "/clipward", "policy", "check", TMP + "/p.yaml"])


def config(data):
    with open(TMP + "/c.yaml", "wb") as f:
        f.write(data)
    return tried([BUILD + "/clipwardd", "-n", "-f", TMP + "/c.yaml"])


base = policy(good)
check("the good one is taken", base[0] == 0, base)
worst, most, n = 0, 0, 0
for what, data in bad.items():
    for how in (policy, config):
        if how == config and what in ("an empty file", "100,000 prompts"):
            continue            # every setting has a default
        code, took, kb, said = how(data)
        n += 1
        place = re.search(r"\.yaml: " if what in NO_PLACE else
                          r"\.yaml:\d+:\d+: ", said)
        check("%s: %s" % (how.__name__, what), code > 0 and place and
              took < (1 if LONG or not SANITIZED else 10) and
              len(said) < 4000, (code, took, said[:200]))
        worst = max(worst, took)
        most = max(most, kb)
check("within 64 MB", SANITIZED or most < 65536, most)
figure("%d hostile files: all refused by name and place, slowest %.0f ms "
       "(bound 1000), at most %.0f MB in all (bound +64)" % (
           n, worst * 1e3, most / 1024))
check.done()
EOT
finish
