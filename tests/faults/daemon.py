"""daemon.py - start, kill and watch the daemon from Python.

For tests that must be quick about it; lib.sh made the configuration.
"""
import json
import os
import random
import re
import signal
import socket as so
import subprocess
import sys
import time

sys.path.insert(0, os.environ["ROOT"] + "/tests/e2e")
from client import *  # noqa: E402,F401,F403

BUILD = os.environ["CW_BUILD"]
TMP = os.environ["TMP_DIR"]
LONG = bool(os.environ.get("LONG"))
SANITIZED = b"__asan_init" in open(BUILD + "/clipwardd", "rb").read()


def free_port():
    """Below those that the system gives out by itself: a connection of the
    test beside this one would have it by the time the daemon asks."""
    while True:
        port = random.randrange(10000, 32000)
        with so.socket() as s:
            try:
                s.bind(("127.0.0.1", port))
                return port
            except OSError:
                pass


def fix_ports():
    """Give the configuration ports that stay the same over restarts."""
    path = TMP + "/config.yaml"
    text = open(path).read()
    text = re.sub(r"127\.0\.0\.1:\*",
                  lambda m: "127.0.0.1:%d" % free_port(), text)
    open(path, "w").write(text)


class Daemon:
    def __init__(self, **env):
        self.env = dict(os.environ, **env)
        self.proc = None
        self.starts = 0

    def start(self, wait=30.0):
        log = open(TMP + "/log", "ab")
        self.proc = subprocess.Popen(
            [BUILD + "/clipwardd", "-d", "-f", TMP + "/config.yaml"],
            stdout=log, stderr=log, env=self.env)
        log.close()
        self.starts += 1
        if wait:
            self.wait_ready(wait)
        return self

    def status(self):
        """What the control socket says, or None."""
        s = so.socket(so.AF_UNIX)
        s.settimeout(5)
        try:
            s.connect(TMP + "/control.sock")
            s.sendall(b'{"cmd":"status"}\n')
            data = b""
            while not data.endswith(b"\n"):
                part = s.recv(1 << 16)
                if not part:
                    return None
                data += part
            return json.loads(data)
        except (OSError, ValueError):
            return None
        finally:
            s.close()

    def wait_ready(self, timeout=30.0):
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            st = self.status()
            if st and st.get("ready"):
                return st
            if self.proc.poll() is not None:
                raise RuntimeError("the daemon ended with %d" %
                                   self.proc.returncode)
            time.sleep(0.02)
        raise TimeoutError("not ready in %g s" % timeout)

    def children(self, name):
        out = []
        try:
            pids = open("/proc/%d/task/%d/children" % (
                self.proc.pid, self.proc.pid)).read().split()
        except OSError:
            return out
        for p in pids:
            try:
                if ("clipward-" + name) in open(
                        "/proc/%s/cmdline" % p).read():
                    out.append(int(p))
            except OSError:
                pass
        return out

    def kill(self, sig=signal.SIGKILL):
        self.proc.send_signal(sig)
        return self.proc.wait()

    def stop(self):
        if self.proc and self.proc.poll() is None:
            self.kill()


def memory_kb(pid, field="VmRSS"):
    text = open("/proc/%d/status" % pid).read()
    return int(re.search(field + r":\s+(\d+)", text).group(1))


def descriptors(pid):
    return len(os.listdir("/proc/%d/fd" % pid))
