#!/usr/bin/env python3
"""What the daemon saves: repeats, stored embeddings, cached text vectors.

usage: daemon.py [--model DIR] [--cache DIR] [--repeats N]

Starts clipwardd in a temporary folder and prints
  text        loading 200 prompts x 4 templates, cold and from the cache
  repeats     the same bytes under the same policies, answered from the store
  re-policed  the same bytes after a reload, scored from stored embeddings
  drained     SIGTERM to exit, with nothing in hand
"""
import argparse
import json
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import time

import zmq

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
PICTURES = sorted((ROOT / "tests/data").glob("*.jpg"))
IN_FLIGHT = 256


def policy(extra=""):
    words = [f"{a} {b} {c}" for a in ("small", "large", "red", "old", "broken")
             for b in ("wooden", "metal", "plastic", "paper") for c in
             ("gun", "table", "car", "house", "phone", "cup", "lamp", "boat", "bottle", "chair")]
    lines = ["schema: clipward.policy/1", "id: bench", "version: 1", "title: bench",
             'templates: ["{}", "a photo of {}.", "a picture of {}.", "a drawing of {}."]',
             "thresholds: {review: 0.6, block: 0.9}", "score: softmax", "neutral:"]
    lines += [f"  - a {w}" for w in words[:100]] + ([f"  - {extra}"] if extra else [])
    lines += ["categories:", "  - id: bench.it", "    title: it", "    severity: low", "    prompts:"]
    return "\n".join(lines + [f"      - a {w}" for w in words[100:]]) + "\n"


class Daemon:
    def __init__(self, folder, args):
        self.folder, self.clipward = folder, str(ROOT / "build/clipward")
        self.socket = str(folder / "control.sock")
        config = {"model": {"path": args.model, "cache": args.cache}, "policies": str(folder / "policies"),
                  "queue": {"submit": "tcp://127.0.0.1:*", "pull": "tcp://127.0.0.1:*"},
                  "verdicts": {"pub": "tcp://127.0.0.1:*"}, "spool": {"path": str(folder / "spool")},
                  "control": {"socket": self.socket}, "http": {"listen": ""},
                  "log": {"to": "stderr", "level": "notice"}, "plugins": []}
        (folder / "config.yaml").write_text(json.dumps(config))
        self.log = open(folder / "log", "ab")
        self.run = subprocess.Popen([str(ROOT / "build/clipwardd"), "-d", "-f", str(folder / "config.yaml")],
                                    stderr=self.log)
        end = time.monotonic() + 120
        while time.monotonic() < end and self.run.poll() is None:
            self.state = self.status()
            if self.state and self.state["gate"]["ready"]:
                break
            time.sleep(0.02)
        else:
            sys.exit("daemon: " + (folder / "log").read_text()[-500:])
        self.sock = zmq.Context.instance().socket(zmq.DEALER)
        self.sock.linger = 0
        self.sock.connect(self.state["endpoints"]["submit"])

    def status(self):
        run = subprocess.run([self.clipward, "status", "--socket", self.socket, "--json"], capture_output=True,
                             text=True, check=False)
        return json.loads(run.stdout) if run.returncode == 0 else None

    def score(self, prefix, count):
        """Verdicts per second of count jobs over the same few pictures."""
        bodies = [p.read_bytes() for p in PICTURES]
        sent = done = cached = 0
        start = time.monotonic()
        while done < count:
            while sent < count and sent - done < IN_FLIGHT:
                self.sock.send_multipart([b"CW1", b"SUBMIT", b'{"id":"%s-%d"}' % (prefix, sent),
                                          bodies[sent % len(bodies)]])
                sent += 1
            if not self.sock.poll(60000):
                sys.exit("daemon: no verdict in 60 s")
            _, verb, header, *_ = self.sock.recv_multipart()
            if verb == b"VERDICT":
                done += 1
                cached += b'"cached":true' in header
            elif verb != b"ACCEPTED":
                sys.exit(f"daemon: {verb} {header[:200]}")
        return count / (time.monotonic() - start), cached

    def last_encode_ms(self):
        found = re.findall(r"encoded=(\d+) encode_ms=(\d+)", (self.folder / "log").read_text())
        return tuple(int(n) for n in found[-1])

    def reload(self):
        start = time.monotonic()
        run = subprocess.run([self.clipward, "reload", "--socket", self.socket], capture_output=True, text=True,
                             check=False)
        if run.returncode:
            sys.exit(f"daemon: reload: {run.stderr}")
        return 1000 * (time.monotonic() - start)

    def stop(self):
        start = time.monotonic()
        self.run.send_signal(signal.SIGTERM)
        code = self.run.wait(60)
        return 1000 * (time.monotonic() - start), code


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--model", default=str(ROOT / "models/starter"))
    ap.add_argument("--cache", default="")
    ap.add_argument("--repeats", type=int, default=4000)
    args = ap.parse_args()
    with tempfile.TemporaryDirectory() as tmp:
        folder = pathlib.Path(tmp)
        args.cache = args.cache or str(folder / "cache")
        os.makedirs(args.cache, exist_ok=True)
        os.makedirs(folder / "policies")
        (folder / "policies/bench.yaml").write_text(policy())
        start = time.monotonic()
        d = Daemon(folder, args)
        ready = 1000 * (time.monotonic() - start)
        encoded, cold = d.last_encode_ms()
        name = d.state.get("model", {}).get("name", args.model)
        print(f"figure text: {name}, {encoded} prompts x 4 templates cold {cold} ms; ready after {ready:.0f} ms")
        first, _ = d.score(b"first", len(PICTURES))
        rate, cached = d.score(b"again", args.repeats)
        print(f"figure repeats: {rate:.0f} verdicts/s from the store ({cached} of {args.repeats} cached), "
              f"{first:.1f}/s the first time")
        (folder / "policies/bench.yaml").write_text(policy("one more thing"))
        took = d.reload()
        encoded, ms = d.last_encode_ms()
        print(f"figure text: reload with one new prompt {took:.0f} ms, {encoded} encoded in {ms} ms")
        rate, cached = d.score(b"other", len(PICTURES))
        reused = d.status()["counters"]["embeds_reused"]
        print(f"figure re-policed: {rate:.1f} verdicts/s, {reused} of {len(PICTURES)} from stored embeddings")
        took, code = d.stop()
        print(f"figure drained: exit {code} after {took:.0f} ms")
        start = time.monotonic()
        d = Daemon(folder, args)
        encoded, warm = d.last_encode_ms()
        print(f"figure text: second start ready after {1000 * (time.monotonic() - start):.0f} ms, "
              f"{encoded} prompts encoded ({warm} ms)")
        d.stop()


main()
