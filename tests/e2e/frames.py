"""frames.py - our processes' frames, for tests that play one of them.

The layouts are those of daemon/format/frame.h, gate_msg.h and job.h, written
down a second time on purpose: a change there that is not meant shows here.
"""
import struct

VERSION = 5
HEADER = struct.Struct("<4sHHQI")
LOG, FATAL = 32, 33
GATE_INIT, GATE_READY, GATE_REQUEST, GATE_REPLY = 48, 49, 50, 51
GATE_PUBLISH, GATE_PAUSE, GATE_STATS = 52, 53, 54
VERBS = ["SUBMIT", "GET", "CANCEL", "PING", "RELOAD"]
ANSWERS = ["ACCEPTED", "VERDICT", "REJECTED", "BUSY", "PENDING", "UNKNOWN",
           "PONG"]
STATS = ["messages", "malformed", "rejected", "busy", "replies",
         "dropped_replies", "published", "auth_refused", "clients", "slow_replies",
         "held_bytes"]


def u8(v):
    return struct.pack("<B", v)


def u32(v):
    return struct.pack("<I", v)


def u64(v):
    return struct.pack("<Q", v)


def blob(b):
    if isinstance(b, str):
        b = b.encode()
    return u32(len(b)) + b


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        assert self.at + n <= len(self.data), "frame too short"
        self.at += n
        return self.data[self.at - n:self.at]

    def u8(self):
        return self.take(1)[0]

    def u32(self):
        return struct.unpack("<I", self.take(4))[0]

    def u64(self):
        return struct.unpack("<Q", self.take(8))[0]

    def blob(self):
        return self.take(self.u32())

    def str(self):
        return self.blob().decode()

    def end(self):
        assert self.at == len(self.data), "bytes left over"


def send(sock, kind, ident=0, body=b"", flags=0):
    sock.sendall(HEADER.pack(b"CWF1", kind, flags, ident, len(body)) + body)


def recv_exactly(sock, n):
    out = bytearray()
    while len(out) < n:
        part = sock.recv(n - len(out))
        if not part:
            raise EOFError("channel closed after %d of %d" % (len(out), n))
        out += part
    return bytes(out)


def recv(sock):
    """(type, id, body) of the next frame."""
    head = HEADER.unpack(recv_exactly(sock, HEADER.size))
    assert head[0] == b"CWF1", head
    return head[1], head[3], recv_exactly(sock, head[4])


def gate_init(submit="", pull="", pub="", connect=(), secret="", clients=(),
              max_bytes=1 << 20, pending_bytes=8 << 20, reply_bytes=8 << 20,
              retry_ms=50):
    body = u32(VERSION) + blob(submit) + blob(pull) + blob(pub) + u32(len(connect))
    body += b"".join(blob(c) for c in connect) + blob(secret)
    body += u32(len(clients))
    for key, rights, name in clients:
        body += blob(key) + u32(rights) + blob(name)
    return body + u64(max_bytes) + u64(pending_bytes) + u64(reply_bytes) + \
        u32(retry_ms)


def gate_ready(body):
    r = Reader(body)
    out = {"submit": r.str(), "pull": r.str(), "pub": r.str()}
    r.end()
    return out


def gate_stats(body):
    r = Reader(body)
    out = {name: r.u64() for name in STATS}
    r.end()
    return out


def request(body):
    r = Reader(body)
    q = {"verb": VERBS[r.u32()], "key": r.str(), "rights": r.u32()}
    if r.u8():
        q["id"], q["sha256"] = r.str(), r.str()
        q["text"], q["surface"], q["uploader"] = r.str(), r.str(), r.str()
        q["policies"] = [r.str() for _ in range(r.u32())]
        q["explain"] = (r.u32(), r.u8())
        q["method"], q["faithfulness"] = r.u32(), r.u8()
        q["deadline_ms"], q["priority"] = r.u32(), r.u32()
        q["artifacts"] = r.u32()
        q["embeds"] = r.take(4 * r.u32())
        q["image"] = r.blob()
    r.end()
    return q


def reply(answer, header, parts=()):
    return (u32(ANSWERS.index(answer)) + blob(header) + u32(len(parts)) +
            b"".join(blob(p) for p in parts))


def publish(topic, header):
    return blob(topic) + blob(header)
