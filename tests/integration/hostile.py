# SPDX-License-Identifier: PostgreSQL
"""Connections of strangers, of all kinds, at a given rate, beside those of clients that are logged in.

    python3 tests/integration/hostile.py --binary build/pgfold --rate 2000 --seconds 300

starts a PostgreSQL and a pgfold with TLS, measures some sessions alone, then the same beside the flood, and prints throughput, the
slowest of a hundred answers, errors, how new clients fare and whether cancel requests arrive, and what the process holds. A part of
this is a test: test_gate.py. `--kinds tls_close,silent` picks some, `--hold` says how long those that say nothing stay.
"""
import argparse
import collections
import contextlib
import heapq
import multiprocessing
import os
import resource
import select
import socket
import ssl
import struct
import sys
import time

import proto
import servers

READ, WRITE = select.EPOLLIN, select.EPOLLOUT
HELLO = None  # a ClientHello, made once


def client_context():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return context


CONTEXT = client_context()


def client_hello():
    global HELLO
    if not HELLO:
        out = ssl.MemoryBIO()
        with contextlib.suppress(ssl.SSLWantReadError):
            CONTEXT.wrap_bio(ssl.MemoryBIO(), out).do_handshake()
        HELLO = out.read()
    return HELLO


# ---- what one of them does: a generator over a socket that does not block; it yields what it waits for, and for how long

def read(sock, seconds):
    """What came; b"" at the end, None when nothing came in time."""
    if not (yield READ, seconds):
        return None
    try:
        return sock.recv(4096)
    except BlockingIOError:
        return None
    except OSError:
        return b""


def until_closed(sock, seconds):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if (yield from read(sock, end - time.monotonic())) == b"":
            return True
    return False


def connect_and_close(sock, hold):
    return
    yield


def silent(sock, hold):
    yield from until_closed(sock, hold)


def garbage(sock, hold):
    sock.send(os.urandom(64))
    yield from until_closed(sock, 2)


def tls_never_begun(sock, hold):
    sock.send(proto.special_request(proto.SSL_REQUEST))
    yield from until_closed(sock, hold)


def half_a_hello(sock, hold):
    sock.send(proto.special_request(proto.SSL_REQUEST))
    yield from read(sock, hold)
    sock.send(client_hello()[:100])
    yield from until_closed(sock, hold)


def whole_hello(sock, hold):
    sock.send(proto.special_request(proto.SSL_REQUEST))
    yield from read(sock, hold)
    sock.send(client_hello())
    yield from until_closed(sock, hold)


def direct_hello(sock, hold):
    sock.send(client_hello()[:-1])
    yield from until_closed(sock, hold)


def tls_close(sock, hold):
    sock.send(proto.special_request(proto.SSL_REQUEST))
    if (yield from read(sock, hold)) != b"S":
        return
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    tls = CONTEXT.wrap_bio(incoming, outgoing)
    while True:
        try:
            tls.do_handshake()
            sock.send(outgoing.read())
            return
        except ssl.SSLWantReadError:
            if outgoing.pending:
                sock.send(outgoing.read())
            got = yield from read(sock, hold)
            if not got:
                return
            incoming.write(got)


def gss_then_nothing(sock, hold):
    sock.send(proto.special_request(proto.GSS_REQUEST))
    yield from until_closed(sock, hold)


def wrong_packet(sock, hold):
    sock.send(proto.startup({"user": "app"}, version=0x00630000))
    yield from until_closed(sock, 2)


def half_a_packet(sock, hold):
    sock.send(proto.startup({"user": "app", "database": "app"})[:-5])
    yield from until_closed(sock, hold)


def byte_by_byte(sock, hold):
    packet, end = proto.startup({"user": "app", "database": "x" * 300}), time.monotonic() + hold
    for i in range(len(packet) - 1):
        sock.send(packet[i:i + 1])
        if time.monotonic() > end or (yield from read(sock, 0.2)) == b"":
            return


def login_stalls(sock, hold):
    sock.send(proto.startup({"user": "scram_user", "database": "app"}))
    yield from until_closed(sock, hold)


def wrong_password(sock, hold):
    sock.send(proto.startup({"user": "password_user", "database": "app"}))
    if (yield from read(sock, 5)):
        sock.send(proto.msg("p", b"wrong\0"))
        yield from until_closed(sock, 5)


def wrong_key(sock, hold):
    sock.send(proto.cancel_request(1, os.urandom(4)))
    yield from until_closed(sock, 2)


def half_a_cancel(sock, hold):
    sock.send(proto.cancel_request(1, b"1234")[:-2])
    yield from until_closed(sock, hold)


KINDS = {f.__name__: f for f in (connect_and_close, silent, garbage, tls_never_begun, half_a_hello, whole_hello, direct_hello, tls_close,
                                 gss_then_nothing, wrong_packet, half_a_packet, byte_by_byte, login_stalls, wrong_password, wrong_key,
                                 half_a_cancel)}
FLOOD = ["connect_and_close", "garbage", "tls_never_begun", "tls_close", "wrong_packet", "login_stalls", "wrong_password", "wrong_key"]


class Strangers:
    """Runs them, many at once, in one thread: step() does what is due."""

    def __init__(self, where):
        self.where, self.poll, self.running, self.timers, self.n = where, select.epoll(), {}, [], 0
        self.begun = collections.Counter()

    def start(self, kind, hold):
        sock = socket.socket(socket.AF_UNIX if isinstance(self.where, str) else socket.AF_INET)
        sock.settimeout(0)
        self.begun[kind] += 1
        with contextlib.suppress(BlockingIOError):
            sock.connect(self.where)
        self.poll.register(sock, WRITE)
        self.running[sock.fileno()] = [sock, KINDS[kind](sock, hold), 0, False]  # begun?
        self.wait(sock.fileno(), 10)

    def wait(self, fd, seconds):
        self.n += 1
        self.running[fd][2] = self.n
        heapq.heappush(self.timers, (time.monotonic() + seconds, self.n, fd))

    def go_on(self, fd, ready):
        entry = self.running[fd]
        sock, steps, _, begun = entry
        entry[3] = True
        try:
            events, seconds = steps.send(ready if begun else None)
            self.poll.modify(fd, events)
            self.wait(fd, seconds)
        except (StopIteration, OSError):
            self.poll.unregister(fd)
            del self.running[fd]
            sock.close()

    def step(self, seconds):
        for fd, _ in self.poll.poll(seconds):
            if fd in self.running:
                self.go_on(fd, True)
        now = time.monotonic()
        while self.timers and self.timers[0][0] <= now:
            _, n, fd = heapq.heappop(self.timers)
            if fd in self.running and self.running[fd][2] == n:
                self.go_on(fd, False)

    def close(self):
        for sock, *_ in self.running.values():
            sock.close()
        self.poll.close()


def flood(where, kinds, rate, seconds, hold, limit=15000):
    """At so many a second, as far as this process can. How many of each kind were begun."""
    strangers, begin, n = Strangers(where), time.monotonic(), 0
    while time.monotonic() < begin + seconds:
        due = int((time.monotonic() - begin) * rate)
        for _ in range(min(due - n, 50)):
            if len(strangers.running) < limit:
                strangers.start(kinds[n % len(kinds)], hold)
            n += 1
        strangers.step(0.002)
    begun = strangers.begun
    strangers.close()
    return begun


# ---- those who are logged in

def load(where, sessions, seconds, tables=2000):
    """Each session asks again as soon as it has its answer. Latencies in milliseconds, and errors."""
    poll, conns, took, errors = select.epoll(), {}, [], []
    for i in range(sessions):
        c = proto.Conn(where)
        c.login("app", "app")
        conns[c.sock.fileno()] = [c, i, 0.0]
        poll.register(c.sock, READ)

    def ask(entry):
        entry[1] = entry[1] * 7919 % tables + 1
        entry[2] = time.monotonic()
        entry[0].send(proto.unit("SELECT name FROM item WHERE id = $1", [entry[1]]))
    for entry in conns.values():
        ask(entry)
    end = time.monotonic() + seconds
    while time.monotonic() < end and conns:
        for fd, _ in poll.poll(1):
            entry = conns[fd]
            try:
                got = entry[0].ready()
                if proto.rows(got) != [[b"item %d" % entry[1]]]:
                    errors.append(repr(got)[:200])
                took.append((time.monotonic() - entry[2]) * 1000)
                ask(entry)
            except (OSError, proto.Closed) as e:
                errors.append(repr(e))
                poll.unregister(fd)
                del conns[fd]
    for c, *_ in conns.values():
        c.close()
    return took, errors


def newcomers(where, seconds, pause=0.2):
    """A client that comes anew each time: how long until it has its first answer; and what went wrong."""
    took, errors, end = [], [], time.monotonic() + seconds
    while time.monotonic() < end:
        begin = time.monotonic()
        try:
            with proto.Conn(where, timeout=30) as c:
                got = c.login("md5_user", "app", "open sesame")
                assert got[-1].type == "Z", got
                assert c.value("SELECT 1") == "1"
            took.append((time.monotonic() - begin) * 1000)
        except (OSError, proto.Closed, AssertionError) as e:
            errors.append(repr(e)[:200])
        time.sleep(pause)
    return took, errors


def cancels(where, seconds, pause=0.5):
    """A session that is cancelled again and again: how long until it is."""
    took, errors, end = [], [], time.monotonic() + seconds
    with proto.Conn(where, timeout=30) as c:
        c.login("app", "app")
        while time.monotonic() < end:
            c.send(proto.query("SELECT pg_sleep(20)"))
            time.sleep(pause)
            begin = time.monotonic()
            try:
                with proto.Conn(where, timeout=30) as k:
                    k.send(proto.cancel_request(c.pid, c.secret))
                    k.drain_raw()
            except OSError as e:
                errors.append(repr(e))
            got = proto.errors(c.ready())
            if not got or got[0]["C"] != "57014":
                errors.append("not cancelled: %r" % got)
            took.append((time.monotonic() - begin) * 1000)
    return took, errors


# ---- all of it

def beside(where, *jobs):
    """Each job in a process of its own: (function, arguments …). What they returned."""
    def child(out, f, args):
        out.send(f(where, *args))
    pipes, processes = [], []
    for f, *args in jobs:
        ours, theirs = multiprocessing.Pipe(False)
        p = multiprocessing.get_context("fork").Process(target=child, args=(theirs, f, args), daemon=True)
        p.start()
        pipes.append(ours)
        processes.append(p)
    out = [p.recv() for p in pipes]
    for p in processes:
        p.join()
    return out


def at(sorted_times, share):
    return sorted_times[min(len(sorted_times) - 1, int(len(sorted_times) * share))] if sorted_times else float("nan")


def show(name, result, seconds):
    times, errors = sorted(result[0]), result[1]
    print("  %-10s %8.0f/s   median %7.2f  p99 %7.2f  longest %8.2f ms   errors %d%s"
          % (name, len(times) / seconds, at(times, .5), at(times, .99), at(times, 1), len(errors), " " + errors[0] if errors else ""), flush=True)


def cpu_seconds(pid):
    """Of the process and of those of its children that have ended."""
    with open("/proc/%d/stat" % pid) as f:
        return sum(map(int, f.read().rsplit(")", 1)[1].split()[11:15])) / os.sysconf("SC_CLK_TCK")


def holds(p):
    return "RSS %d kB, %d descriptors" % (p.status("VmRSS"), p.descriptors())


def set_up(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        for statement in servers.ROLES.split(";"):
            c.sql(statement)
        c.sql("CREATE DATABASE app OWNER app")
    with pg.connect(servers.SUPERUSER, "app") as c:
        c.sql("CREATE TABLE item (id int PRIMARY KEY, name text)")
        c.sql("INSERT INTO item SELECT i, 'item ' || i FROM generate_series(1, 2000) i")
        c.sql("GRANT ALL ON item TO PUBLIC")


def main():
    a = argparse.ArgumentParser()
    a.add_argument("--binary", default="build/pgfold")
    a.add_argument("--rate", type=int, default=2000)
    a.add_argument("--seconds", type=float, default=300)
    a.add_argument("--hold", type=float, default=30)
    a.add_argument("--sessions", type=int, default=1)
    a.add_argument("--floods", type=int, default=2, help="processes that make the strangers")
    a.add_argument("--kinds", default=",".join(FLOOD))
    a.add_argument("--files", type=int, help="pgfold's limit on open files")
    a.add_argument("--set", action="append", default=[])
    a = a.parse_args()
    kinds = list(KINDS) if a.kinds == "all" else a.kinds.split(",")
    pg = servers.Postgres()
    try:
        set_up(pg)
        settings = {"pgfold.client_tls": "allow", "pgfold.client_tls_cert": pg.folder + "/server.crt",
                    "pgfold.client_tls_key": pg.folder + "/server.key"}
        settings |= dict(s.split("=", 1) for s in a.set)
        p = servers.Pgfold(a.binary, "host=127.0.0.1 port=%d sslmode=disable" % pg.port, settings)
        if a.files:
            resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE, (a.files, a.files))
        quiet = min(a.seconds, 5)
        print("alone,", holds(p))
        show("load", beside(p.where, (load, a.sessions, quiet))[0], quiet)
        jobs = [(load, a.sessions, a.seconds), (newcomers, a.seconds), (cancels, a.seconds)]
        jobs += [(flood, kinds[i::a.floods], a.rate // a.floods, a.seconds, a.hold) for i in range(a.floods)]
        pids = (p.process.pid, pg.process.pid, os.getpid())
        before = [cpu_seconds(pid) for pid in pids]
        got = beside(p.where, *jobs)
        spent = [(cpu_seconds(pid) - b) / a.seconds * 100 for pid, b in zip(pids, before)]
        begun = sum(got[3:], collections.Counter())
        print("beside %.0f strangers a second, %s; of a core: pgfold %.0f %%, the server's processes that have ended %.0f %%, "
              "the clients and strangers %.0f %%" % (sum(begun.values()) / a.seconds, holds(p), *spent))
        for name, result in zip(("load", "newcomers", "cancels"), got):
            show(name, result, a.seconds)
        time.sleep(1)
        print("a second later,", holds(p))
        p.stop()
    finally:
        pg.remove()


if __name__ == "__main__":
    sys.exit(main())
