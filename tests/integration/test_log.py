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
        elif kind == "terminal":
            self.reader, writer = os.openpty()
        else:
            ours, theirs = socket.socketpair()
            self.reader, writer = ours.detach(), theirs.detach()
        command = [conftest.BINARY, "--listen", "127.0.0.1:%d" % self.port, "--server", server, "--set", "pgfold.log_level=debug",
                   "--set", "pgfold.log_repeats=0"]
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

    def counters(self):
        """Of the log itself, from what was read."""
        self.process.send_signal(signal.SIGUSR1)
        servers.wait_for(lambda: re.search(rb"log lines lost \d+, not repeated \d+.*\n", self.text), "the counters")
        return tuple(int(n) for n in re.search(rb"log lines lost (\d+), not repeated (\d+)", self.text).groups())

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


@pytest.mark.parametrize("kind", ["pipe", "socket", "terminal"])
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
    assert p.counters() == (dropped, 0)
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


@pytest.mark.parametrize("kind,signals", [("pipe", [signal.SIGTERM]), ("pipe", [signal.SIGUSR1, signal.SIGTERM]), ("terminal", [signal.SIGTERM])])
def test_sigterm_with_a_stalled_reader(piped, kind, signals):
    p = piped(kind)
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


def started(server, stderr, *settings, close=False):
    """A pgfold whose stderr is this file; its endpoint and process."""
    end, command = servers.Endpoint(), [conftest.BINARY]
    end.port = servers.free_port()
    for s in ("pgfold.listen=127.0.0.1:%d" % end.port, "pgfold.server=" + server, *settings):
        command += ["--set", s]
    env = {k: v for k, v in os.environ.items() if not k.startswith(("PGFOLD_", "PG"))}

    def prepare():
        servers.die_with_parent()
        if close:
            os.closerange(0, 3)
    end.process = subprocess.Popen(command, stderr=stderr, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=env, preexec_fn=prepare)

    def answers():
        assert end.process.poll() is None, "pgfold ended at once"
        with contextlib.suppress(OSError):
            end.dial().close()
            return True
    servers.wait_for(answers, "pgfold to listen")
    return end


def ends_well(end):
    end.process.send_signal(signal.SIGTERM)
    assert end.process.wait(servers.STOP_SECONDS) == 0


def refusals(end, n):
    for _ in range(n):
        with end.dial() as c:
            c.send(proto.startup({"user": "app"}, version=4 << 16)).drain_raw()


@pytest.fixture
def full_disk(tmp_path):
    """A file on a disk that has room for a page or two; freed by removing `ballast`."""
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=16k", "none", str(tmp_path)], capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")
    (tmp_path / "ballast").write_bytes(b"x" * 8192)
    try:
        yield tmp_path
    finally:
        subprocess.run(["umount", "-l", str(tmp_path)], check=True)


def test_disk_that_becomes_full(server_conninfo, full_disk):
    path = full_disk / "log"
    with open(path, "ab") as f:
        end = started(server_conninfo, f, "pgfold.log_repeats=0", "pgfold.log_format=json")
    refusals(end, 100)
    with end.connect() as c:
        assert c.value("SELECT 'served'") == "served"
    assert path.stat().st_size <= 8192
    (full_disk / "ballast").unlink()
    refusals(end, 1)
    servers.wait_for(lambda: b"No space left on device" in path.read_bytes(), "the log to go on")
    lines = path.read_bytes().decode().splitlines()
    torn = []
    for line in lines:
        try:
            event = json.loads(line)
        except ValueError:
            torn.append(line)
            continue
        if "were lost" in event["message"]:
            lost = int(event["message"].split()[0])
    assert len(torn) <= 1 and sum("client refused" in line for line in lines if line not in torn) + lost == 101
    ends_well(end)


def test_stderr_that_is_closed(server_conninfo):
    """Its number must not become that of a client's socket, which the log would be written to."""
    end = started(server_conninfo, None, "pgfold.log_level=debug", close=True)
    with end.connect() as c, end.connect() as d:
        refusals(end, 3)
        assert c.value("SELECT 'served'") == d.value("SELECT 'served'")
    assert all(os.readlink("/proc/%d/fd/%d" % (end.process.pid, n)) == "/dev/null" for n in range(3))
    ends_well(end)


def test_the_same_at_most_so_often(server_conninfo, tmp_path):
    path = tmp_path / "log"
    with open(path, "wb") as f:
        end = started(server_conninfo, f, "pgfold.log_repeats=3")
    refusals(end, 200)
    with end.dial() as c:
        c.send(b"GET / HTTP/1.1\r\n").drain_raw()
    servers.wait_for(lambda: "client closed without an answer: invalid length of startup packet" in path.read_text(), "another message, which is not held back")
    end.process.send_signal(signal.SIGUSR1)
    servers.wait_for(lambda: "not repeated" in path.read_text(), "the counters")
    ends_well(end)
    text = path.read_text()
    told = [int(n) for n in re.findall(r"WARNING: (\d+) more like this were not logged: client refused: unsupported frontend protocol", text)]
    assert told and text.count("client refused: unsupported frontend") - len(told) + sum(told) == 200
    assert int(re.search(r"not repeated (\d+)", text).group(1)) <= sum(told)
    assert text.count("client refused: unsupported frontend") < 20
