#!/bin/sh
# shellcheck disable=SC2119,SC2317  # functions with defaults, called by name
# CURVE: keys with rights, a list that is read again, strangers kept out.
# shellcheck source=tests/e2e/lib.sh
. "$(dirname "$0")/lib.sh"

"$PYTHON" - "$TMP_DIR" <<'EOT'
import sys, zmq, json, os
d = sys.argv[1]
keys = {n: [k.decode() for k in zmq.curve_keypair()]
        for n in ("server", "upload", "desk", "late")}
json.dump(keys, open(d + "/keys", "w"))
fd = os.open(d + "/secret", os.O_WRONLY | os.O_CREAT, 0o600)
os.write(fd, keys["server"][1].encode() + b"\n")
open(d + "/clients", "w").write("# who\n%s submit upload\n%s watch,reload desk\n"
                                % (keys["upload"][0], keys["desk"][0]))
EOT
cp -R "$root/policies" "$TMP_DIR/policies"
# keys of the operator's: what the daemon would refuse is refused here
line=$("$CW_BUILD/clipward" keygen --rights submit,reload "$TMP_DIR/some" 2>"$TMP_DIR/err")
same "keygen prints a client's line" "submit,reload some" "${line#* }"
same "and keeps the secret" 600 "$(stat -c %a "$TMP_DIR/some.secret")"
"$CW_BUILD/clipward" keygen --rights submit,foo "$TMP_DIR/other" >"$TMP_DIR/out" 2>"$TMP_DIR/err"
same "keygen with an unknown right" 2 $?
check "names it" grep -q 'right "foo"; want submit, watch, reload' "$TMP_DIR/err"
"$CW_BUILD/clipward" keygen "$TMP_DIR/two words" >"$TMP_DIR/out" 2>"$TMP_DIR/err"
same "keygen with a name of two words" 2 $?
same "and writes no key for them" "" "$(find "$TMP_DIR" -name 'other*' -o -name 'two*')"
config "policies: $TMP_DIR/policies/
curve: {secret_key_file: $TMP_DIR/secret, clients_file: $TMP_DIR/clients}"
start
cat >"$TMP_DIR/curve.py" <<'EOT'
import os, subprocess, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
d = os.environ["TMP_DIR"]
keys = {n: [k.encode() for k in v] for n, v in json.load(open(d + "/keys")).items()}


def curve(who):
    return {"curve_publickey": keys[who][0], "curve_secretkey": keys[who][1],
            "curve_serverkey": keys["server"][0]}


def comes_in(timeout=0.8, **kw):
    c = Client(**kw)
    c.ask("PING")
    return c.until(lambda: c.answers, timeout)


up = Client(**curve("upload"))
up.submit(picture(1), id="c1")
check("a key with submit is served", up.until(lambda: "c1" in up.verdicts))
strangers = {"an unknown key": comes_in(**curve("late")),
             "no key": comes_in(),
             "a wrong server key": comes_in(**dict(
                 curve("upload"), curve_serverkey=keys["late"][0])),
             "PLAIN": comes_in(plain_username=b"a", plain_password=b"b")}
for kind, came in strangers.items():
    check("%s is not" % kind, not came)
desk = Client(**curve("desk"))
desk.submit(picture(2), id="c2")
desk.until(lambda: desk.answers, 5)
check("watch may not submit", "c2" not in desk.accepted and desk.rejected)
sub = socket(zmq.SUB, os.environ["PUB"], subscribe=b"", **curve("desk"))
heard = False
for i in range(30):
    up.submit(picture(3), id="h%d" % i)
    heard = heard or bool(sub.poll(300))
    if heard:
        break
check("watch hears verdicts", heard)
deaf = socket(zmq.SUB, os.environ["PUB"], subscribe=b"", **curve("upload"))
beside = socket(zmq.SUB, os.environ["PUB"], subscribe=b"", **curve("desk"))
push = socket(zmq.PUSH, os.environ["PULL"], **curve("desk"))
try:
    push.send_multipart([b"CW1", b"SUBMIT", b'{"id":"sneak"}', picture(4)],
                        zmq.NOBLOCK)
except zmq.Again:
    pass
# one that came after it has heard some: so would it have
heard = False
for i in range(30):
    up.submit(picture(3), id="late%d" % i)
    heard = heard or bool(beside.poll(300))
    if heard:
        break
check("watch beside it hears", heard)
check("submit hears nothing", not deaf.poll(700))
up.answers.clear()
up.ask("GET", id="sneak")
up.until(lambda: any(h.get("id") == "sneak" for _, h in up.answers), 3)
sneak = [k for k, h in up.answers if h.get("id") == "sneak"]
check("PULL takes no job from watch", sneak == ["UNKNOWN"], sneak)
with open(d + "/clients", "w") as f:
    f.write("%s submit late\n" % keys["late"][0].decode())


def reload():
    return subprocess.run([os.environ["CW_BUILD"] + "/clipward", "--socket",
                           d + "/control.sock", "reload"],
                          capture_output=True)


with open(d + "/policies/broken.yaml", "w") as f:
    f.write("{")
check("broken policies are refused", reload().returncode != 0)
check("and the list with them", not comes_in(**curve("late")))
os.unlink(d + "/policies/broken.yaml")
pid = reload()
check("the list is read again", pid.returncode == 0, pid)
check("a new key comes in", comes_in(10, **curve("late")))
up.submit(picture(5), id="c3")
# verdicts of before may still come: only an answer about this one counts
up.until(lambda: any(h.get("id") == "c3" for _, h in up.answers), 3)
check("a removed key may no more", "c3" not in up.accepted)
s = json.loads(subprocess.run(
    [os.environ["CW_BUILD"] + "/clipward", "--socket", d + "/control.sock",
     "status", "--json"], capture_output=True).stdout)
figure("%d kinds of stranger (%s): %d heard (bound 0), %d handshakes refused "
       "by the key list" % (len(strangers), ", ".join(strangers),
                            sum(strangers.values()), s["gate"]["auth_refused"]))
check.done()
EOT
"$PYTHON" "$TMP_DIR/curve.py" || FAILED=1
stop

# The list is read again while a gate starts that was given the old one: here
# it waits for us.
mkdir "$TMP_DIR/build"
cp "$CW_BUILD/clipwardd" "$CW_BUILD/clipward-worker" "$TMP_DIR/build"
cp -R "$CW_BUILD/plugins" "$TMP_DIR/build"
cat >"$TMP_DIR/build/clipward-gate" <<EOT
#!/bin/sh
echo \$\$ >>"$TMP_DIR/gates"
until [ -e "$TMP_DIR/go" ]; do sleep 0.02; done
exec "$CW_BUILD/clipward-gate"
EOT
chmod +x "$TMP_DIR/build/clipward-gate"
touch "$TMP_DIR/go"
real=$CW_BUILD
CW_BUILD=$TMP_DIR/build
launch
CW_BUILD=$real
until_true 60 is_ready
ends
rm "$TMP_DIR/go"
kill -KILL "$(tail -n 1 "$TMP_DIR/gates")"
second_gate() {
	[ "$(wc -l <"$TMP_DIR/gates")" = 2 ]
}
check "another gate starts" until_true 10 second_gate
sed 's/ submit late$/ watch late/' "$TMP_DIR/clients" >"$TMP_DIR/fewer"
cp "$TMP_DIR/fewer" "$TMP_DIR/clients"
check "the list is read again meanwhile" clipward reload
touch "$TMP_DIR/go"
check "then it is ready" until_true 20 is_ready
"$PYTHON" - <<'EOT' || FAILED=1
import os, sys
sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *
check = Checks()
keys = {n: [k.encode() for k in v] for n, v in
        json.load(open(os.environ["TMP_DIR"] + "/keys")).items()}
c = Client(curve_publickey=keys["late"][0], curve_secretkey=keys["late"][1],
           curve_serverkey=keys["server"][0])
c.submit(picture(1), id="revoked")
c.until(lambda: c.answers, 10)
check("a right taken meanwhile is gone", "revoked" in c.rejected, c.answers)
check.done()
EOT
finish
