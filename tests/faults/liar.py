#!/usr/bin/python3
"""liar.py - in clipward-worker's place: the real one, and a lie now and then.

Passes frames on between the supervisor (descriptor 3) and a real worker.  The
result of a picture that ends in `LIE:WORD;` is changed on its way back; the
layout is that of daemon/format/result.c for a result without maps.  After
`LIE:poison;` it is the text vectors that are made up, of every set to come,
after `LIE:canary;` the cosines of the supervisor's own picture.  With
$BAD_EMBEDDING one number of that picture's embedding is off from the start.
"""
import os
import socket
import struct
import subprocess
import threading

HEADER = struct.Struct("<4sHHQI")
JOB, POLICY_DONE, RESULT = 3, 17, 18
EMBED = 128             # floats of the starter model's vectors
BAD = {"nan": float("nan"), "inf": float("inf"), "large": 1e30}

above = socket.socket(fileno=3)
ours, theirs = socket.socketpair()
lies = {}               # ticket -> word
poison = []             # not empty: text vectors, too
canary = []             # not empty: the supervisor's picture, too


def place():
    os.dup2(theirs.fileno(), 3)
    os.set_inheritable(3, True)


subprocess.Popen([os.environ["CW_BUILD"] + "/clipward-worker"],
                 preexec_fn=place, pass_fds=(3,))
theirs.close()


def exactly(s, n):
    out = bytearray()
    while len(out) < n:
        part = s.recv(n - len(out))
        if not part:
            os._exit(0)
        out += part
    return bytes(out)


def frame(s):
    head = HEADER.unpack(exactly(s, HEADER.size))
    return head, bytearray(exactly(s, head[4]))


def down():
    while True:
        head, body = frame(above)
        at = body.rfind(b"LIE:")
        if head[1] == JOB and at != -1:
            word = body[at + 4:body.index(b";", at)].decode()
            if word == "poison":
                poison.append(word)
            elif word == "canary":
                canary.append(word)
            else:
                lies[head[3]] = word
        if head[1] == JOB and canary and b"\x06\0\0\0canary" in body[:64]:
            lies[head[3]] = "cosines"
        elif (head[1] == JOB and "BAD_EMBEDDING" in os.environ and
              b"\x06\0\0\0canary" in body[:64]):
            lies[head[3]] = "embedding"
        ours.sendall(HEADER.pack(*head) + body)


def cosines(body):
    """Offset and number of the cosines, which as many scores stand behind."""
    end = len(body) - 12        # no maps, no text
    for n in range(1, end // 8):
        at = end - 4 * n - 4
        if [struct.unpack_from("<I", body, i)[0]
                for i in (at, at - 4 * n - 4)] == [n, n]:
            return at - 4 * n, n


def embeds_at(body):
    """Offset of the first number of the first embedding."""
    at = 5
    for _ in range(3):          # code, message, format
        at += 4 + struct.unpack_from("<I", body, at)[0]
    at += 8 * 4                 # size, frames, timing
    at += 4 + 28 * struct.unpack_from("<I", body, at)[0]    # views
    return at + 8               # their width, how many numbers


def told(head, body):
    """What goes up instead of a result."""
    what, _, where = lies.pop(head[3]).partition("-")
    if what in BAD:
        # behind the scores: no maps, no text
        at = {"score": len(body) - 12, "vector": embeds_at(body)}[where]
        struct.pack_into("<f", body, at, BAD[what])
    elif what == "embedding":
        at = embeds_at(body)
        off = struct.unpack_from("<f", body, at)[0] + 0.02
        struct.pack_into("<f", body, at, off)
    elif what == "cosines":
        at, n = cosines(body)
        struct.pack_into("<%df" % n, body, at, *[0] * n)
    elif what == "4gb":
        head = head[:4] + (0xfffffff0,)
    elif what == "short":
        head = head[:4] + (len(body) - 8,)
        del body[-8:]
    elif what == "twice":
        body += HEADER.pack(*head) + body
    return HEADER.pack(*head) + body


def made_up(head, body):
    """In the place of a POLICY_DONE: prompt 0 is as far off as can be."""
    vector = struct.pack("<%df" % EMBED, 1, *[0] * (EMBED - 1))
    body = struct.pack("<BIIIII", 1, 0, EMBED, 1, 0, EMBED) + vector + bytes(4)
    return HEADER.pack(*head[:4], len(body)) + body


threading.Thread(target=down, daemon=True).start()
while True:
    h, b = frame(ours)
    above.sendall(told(h, b) if h[1] == RESULT and h[3] in lies else
                  made_up(h, b) if h[1] == POLICY_DONE and poison else
                  HEADER.pack(*h) + b)
