# SPDX-License-Identifier: PostgreSQL
"""A reader of the log that stalls delays nobody; what it missed is counted."""
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import threading

import pytest

import conftest
import proto
import servers

pytestmark = pytest.mark.pgfold


class Piped(servers.Endpoint):
    """A pgfold whose stderr is a pipe, or a socket, that nobody reads yet."""

    def __init__(self, server, kind, *settings):
        self.port = servers.free_port()
        if kind == "pipe":
            self.reader, writer = os.pipe()
        else:
            ours, theirs = socket.socketpair()
            self.reader, writer = ours.detach(), theirs.detach()
        command = [conftest.BINARY, "--listen", "127.0.0.1:%d" % self.port, "--server", server, "--set", "pgfold.log_level=debug"]
        for s in settings:
            command += ["--set", s]
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PGFOLD_", "PG"))}
        self.process = subprocess.Popen(command, stderr=writer, stdin=subprocess.DEVNULL, env=env, preexec_fn=servers.die_with_parent)
        os.close(writer)
        servers.wait_for(self.answers, "pgfold to listen")

    def answers(self):
        assert self.process.poll() is None, "pgfold ended at once"
        with contextlib.suppress(OSError):
            self.dial().close()
            return True

    def fill(self):
        """Far more lines than fit anywhere."""
        for _ in range(4000):
            with self.dial() as c:
                c.send(proto.startup({"user": "app"}, version=4 << 16)).drain_raw()

    def read(self, until):
        """Reads on in a thread; the lines, once one matches."""
        self.text = b""

        def go():
            with contextlib.suppress(OSError):
                while True:
                    got = os.read(self.reader, 65536)
                    if not got:
                        return
                    self.text += got
        threading.Thread(target=go, daemon=True).start()
        servers.wait_for(lambda: re.search(until, self.text), "the log to go on")
        return self.text.decode()

    def end(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


@pytest.fixture
def piped(server_conninfo):
    with contextlib.ExitStack() as stack:
        def start(*args):
            p = Piped(server_conninfo, *args)
            stack.callback(p.end)
            return p
        yield start


@pytest.mark.parametrize("kind", ["pipe", "socket"])
def test_stalled_reader(piped, kind):
    p = piped(kind)
    with p.connect() as c:
        p.fill()
        assert c.value("SELECT 'served'") == "served"
    text = p.read(rb"[0-9]+ log lines were dropped")
    dropped = int(re.search(r"WARNING: ([0-9]+) log lines were dropped", text).group(1))
    assert dropped > 0
    with p.connect() as c:
        assert c.value("SELECT 'logged'") == "logged"
    p.process.send_signal(signal.SIGTERM)
    assert p.process.wait(servers.STOP_SECONDS) == 0
    servers.wait_for(lambda: b"looked ahead" in p.text, "the last lines")
    lines = p.text.decode().splitlines()
    assert all(re.match(r"\d{4}-\d\d-\d\dT[\d:.]+Z pgfold\[\d+\] (session \d+ )?(DEBUG|INFO|WARNING): ", line) for line in lines)
    # Nothing is lost but what was counted: a line for each that was refused, two for the others.
    assert sum(" DEBUG: " in line or "client refused" in line for line in lines) + dropped == 4004


def test_stalled_reader_of_json(piped):
    p = piped("pipe", "pgfold.log_format=json")
    p.fill()
    text = p.read(rb"log lines were dropped[^\n]*\n")
    events = [json.loads(line) for line in text.splitlines()[:-1]]
    assert any(e["level"] == "WARNING" and "were dropped" in e["message"] for e in events)


@pytest.mark.parametrize("signals", [[signal.SIGTERM], [signal.SIGUSR1, signal.SIGTERM]])
def test_sigterm_with_a_stalled_reader(piped, signals):
    p = piped("pipe")
    p.fill()
    for s in signals:
        p.process.send_signal(s)
    assert p.process.wait(servers.STOP_SECONDS) == 0


def test_reader_that_has_gone(piped):
    p = piped("pipe")
    os.close(p.reader)
    p.fill()
    with p.connect() as c:
        assert c.value("SELECT 'served'") == "served"
    p.process.send_signal(signal.SIGTERM)
    assert p.process.wait(servers.STOP_SECONDS) == 0
