#!/usr/bin/env python3
"""Send pictures to a running clipwardd and show what it says of them.

usage: demo.py CLIPWARD CONTROL_SOCKET DAEMON_PID OUT_DIR PICTURE...

The client is pyzmq and thirty lines; everything below main() only draws.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

import zmq

COLOUR = sys.stdout.isatty() and "NO_COLOR" not in os.environ
DECISION = {"allow": "32", "review": "33", "block": "31", "error": "35"}


def people():
    """What a person says of the sample pictures: {name: "allow" or "flag"}."""
    path = pathlib.Path(__file__).parent / "data/people.txt"
    lines = [line.split() for line in path.read_text().splitlines()]
    return {name: word for name, word in (x for x in lines if len(x) == 2)}


PEOPLE = people()


def paint(text, code):
    return f"\x1b[{code}m{text}\x1b[0m" if COLOUR else text


def endpoint(clipward, socket, pid, deadline=60):
    """Where the daemon takes jobs, once it is ready."""
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if not os.path.exists(f"/proc/{pid}"):
            sys.exit("demo: the daemon ended")
        run = subprocess.run([clipward, "status", "--socket", socket, "--json"],
                             capture_output=True, text=True, check=False)
        if run.returncode == 0:
            status = json.loads(run.stdout)
            if status["gate"]["ready"]:
                return status["endpoints"]["submit"]
        time.sleep(0.05)
    sys.exit("demo: the daemon was not ready in time")


def submit(sock, name, picture):
    header = {"id": name, "explain": "flagged", "artifacts": ["overlay"]}
    sock.send_multipart([b"CW1", b"SUBMIT", json.dumps(header).encode(), picture])


def receive(sock):
    """The next VERDICT: (verdict, its map pictures)."""
    while sock.poll(30000):
        _, verb, header, *parts = sock.recv_multipart()
        if verb == b"VERDICT":
            return json.loads(header), parts
        if verb != b"ACCEPTED":
            sys.exit(f"demo: {verb.decode()} {header.decode()}")
    sys.exit("demo: no verdict in time")


def heat(values, grid):
    """The map as characters: positive evidence dark, negative blank."""
    top = max(max(values), 1e-9)
    shades = " .:-=+*#%@"
    for row in range(grid[1]):
        line = values[row * grid[0]:(row + 1) * grid[0]]
        cells = "".join(shades[max(0, min(9, int(9.99 * v / top)))] * 2 for v in line)
        print("      |" + paint(cells, "36") + "|")


def show(verdict, pictures, out):
    decision = verdict["decision"]
    print(f"{paint(decision.upper().ljust(7), DECISION[decision])} {verdict['id']}")
    if decision == "error":
        e = verdict["error"]
        print(f"      {e['stage']}: {e['code']}: {e['message']}")
        return
    best = sorted(verdict["scores"], key=lambda s: -s["score"])[:2]
    for s in best:
        print(f"      {s['score']:.3f}  cosine {s['cosine']:+.3f}  {s['category']}: {s['prompt']}")
    for flag in verdict["flags"]:
        print(f"      flag {flag['category']} ({flag['severity']}), {flag['score']:.3f} >= "
              f"{flag['threshold']:.2f}: {flag['reason']['text']}")
    for m in verdict.get("maps", [])[:1]:
        print(f"      why \"{m['prompt']}\": patches {sum(m['values']):+.2f} + rest {m['remainder']:+.2f}"
              f" = {m['total']:+.2f} logits; crop {m['crop']}")
        heat(m["values"], m["grid"])
    person = PEOPLE.get(verdict["id"])
    if person and (person == "allow") != (decision == "allow"):
        print(paint(f"      wrong: a person would {person} it", "35"))
    for i, png in enumerate(pictures):
        path = out / f"{verdict['id']}.{i}.png"
        path.write_bytes(png)
        print(f"      map picture: {os.path.relpath(path)}")


def main():
    clipward, socket, pid, out, *names = sys.argv[1:]
    sock = zmq.Context().socket(zmq.DEALER)
    sock.linger = 0
    sock.connect(endpoint(clipward, socket, pid))
    for name in names:
        submit(sock, os.path.basename(name), pathlib.Path(name).read_bytes())
    verdicts = [receive(sock) for _ in names]
    for verdict, pictures in sorted(verdicts, key=lambda v: v[0]["id"]):
        show(verdict, pictures, pathlib.Path(out))
    judged = [v for v, _ in verdicts if v["id"] in PEOPLE]
    agreed = sum((PEOPLE[v["id"]] == "allow") == (v["decision"] == "allow") for v in judged)
    seen = sum(len(v["scores"]) if "scores" in v else 0 for v, _ in verdicts)
    print(f"{agreed} of {len(judged)} as a person would decide; the rest is marked wrong")
    print(f"{len(verdicts)} verdicts, {seen} prompt scores; the JSON lines are in "
          f"{os.path.relpath(out)}/verdicts.jsonl")


main()
