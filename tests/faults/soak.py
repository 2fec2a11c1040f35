#!/usr/bin/env python3
"""Keep a daemon busy and watch its processes.

usage: soak.py CLIPWARD CONTROL_SOCKET PID SECONDS PICTURE...

Every job is a different picture (a few bytes are appended behind the end of
image), so that no answer comes from the store.  64 jobs are kept in flight.
"""
import json
import os
import subprocess
import sys
import time

import zmq

IN_FLIGHT = 64


def wait_ready(clipward, socket, pid, deadline=120):
    end = time.monotonic() + deadline
    while time.monotonic() < end:
        if not os.path.exists(f"/proc/{pid}"):
            sys.exit("soak: the daemon ended")
        run = subprocess.run([clipward, "status", "--socket", socket, "--json"],
                             capture_output=True, text=True, check=False)
        if run.returncode == 0 and json.loads(run.stdout)["gate"]["ready"]:
            return json.loads(run.stdout)
        time.sleep(0.1)
    sys.exit("soak: the daemon was not ready in time")


def family(pid):
    """The daemon and its children: {pid: name}."""
    out = {}
    for p in os.listdir("/proc"):
        if not p.isdigit():
            continue
        try:
            with open(f"/proc/{p}/stat", encoding="utf-8") as f:
                name, rest = f.read().rsplit(")", 1)
        except OSError:
            continue
        if p == str(pid) or rest.split()[1] == str(pid):
            out[int(p)] = name.split("(", 1)[1]
    return out


def memory(pid):
    """(rss, pss, private) in KiB."""
    rows = {}
    with open(f"/proc/{pid}/smaps_rollup", encoding="utf-8") as f:
        for line in f:
            key, _, value = line.partition(":")
            if value.endswith("kB\n"):
                rows[key] = int(value.split()[0])
    return rows["Rss"], rows["Pss"], rows["Private_Clean"] + rows["Private_Dirty"]


def slope(points):
    """Least squares, y per x."""
    n = len(points)
    mx, my = sum(x for x, _ in points) / n, sum(y for _, y in points) / n
    var = sum((x - mx) ** 2 for x, _ in points)
    return sum((x - mx) * (y - my) for x, y in points) / var if var else 0.0


def main():
    clipward, socket, pid, seconds, *names = sys.argv[1:]
    pictures = [open(n, "rb").read() for n in names]
    status = wait_ready(clipward, socket, int(pid))
    sock = zmq.Context().socket(zmq.DEALER)
    sock.linger = 0
    sock.connect(status["endpoints"]["submit"])
    start = time.monotonic()
    end, sampled = start + float(seconds), start
    sent = done = busy = 0
    samples = {p: [] for p in family(pid)}
    while done < sent or time.monotonic() < end:
        while sent - done < IN_FLIGHT and time.monotonic() < end:
            body = pictures[sent % len(pictures)] + sent.to_bytes(8, "little")
            sock.send_multipart([b"CW1", b"SUBMIT", json.dumps({"id": f"soak-{sent}"}).encode(), body])
            sent += 1
        if not sock.poll(60000):
            sys.exit(f"soak: {sent - done} jobs unanswered for 60 s")
        _, verb, *_ = sock.recv_multipart()
        if verb == b"VERDICT":
            done += 1
        elif verb == b"BUSY":
            busy, done = busy + 1, done + 1
        elif verb != b"ACCEPTED":
            sys.exit(f"soak: {verb.decode()}")
        if time.monotonic() - sampled > 1:
            sampled = time.monotonic()
            for p in samples:
                samples[p].append((done, memory(p)[0]))
    took = time.monotonic() - start
    print(f"figure soak: {done} jobs in {took:.0f} s, {done / took:.1f} images/s, {busy} busy")
    now = family(pid)
    for p, name in sorted(now.items()):
        rss, pss, private = memory(p)
        half = samples.get(p, [])[len(samples.get(p, [])) // 2:]
        grow = slope(half) * 100000 / 1024 if len(half) > 2 else float("nan")
        print(f"figure soak: {name:16} rss {rss / 1024:7.1f} MB  pss {pss / 1024:7.1f} MB  private "
              f"{private / 1024:7.1f} MB  slope {grow:+8.2f} MB per 100,000 jobs  "
              f"{len(os.listdir(f'/proc/{p}/fd'))} descriptors")
    lost = sorted(set(samples) - set(now))
    print(f"{'not ok' if lost else 'ok'} soak-children-lived{': lost ' + str(lost) if lost else ''}")
    sys.exit(1 if lost else 0)


main()
