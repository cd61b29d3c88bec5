# SPDX-License-Identifier: PostgreSQL
"""A CancelRequest reaches the right server connection and only it, also when it comes late."""
import contextlib
import re
import signal
import socket
import struct
import threading
import time

import pytest

import proto
import servers
from proto import query, unit

SLEEP = query("SELECT pg_sleep(60)")


def cancel(end, pid, secret, unix=False):
    """Sends the request and waits for the connection to be closed, which says that it was dealt with."""
    with end.dial(unix) as c:
        c.send(proto.cancel_request(pid, secret))
        assert c.drain_raw() == b""


def wait_active(admin, pid):
    servers.wait_for(lambda: admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active'" % pid)
                     == "1", "the query to start")


def test_cancel(both, pg, unix):
    def action(end):
        with end.connect() as c, pg.admin() as a:
            c.send(SLEEP)
            wait_active(a, c.pid)
            cancel(end, c.pid, c.secret, unix)
            return c.ready() + c.ask(query("SELECT 1"))
    assert proto.errors(both(action))[0]["C"] == "57014"


def test_cancel_extended(both, pg):
    def action(end):
        with end.connect() as c, pg.admin() as a:
            c.send(unit("SELECT pg_sleep(60)", []))
            wait_active(a, c.pid)
            cancel(end, c.pid, c.secret)
            return c.ready() + c.ask(query("SELECT 1"))
    assert proto.errors(both(action))[0]["C"] == "57014"


def test_cancel_of_one_leaves_the_others(pg, proxy):
    conns = [proxy.connect() for _ in range(5)]
    with pg.admin() as a:
        for c in conns:
            c.send(SLEEP)
        for c in conns:
            wait_active(a, c.pid)
        cancel(proxy, conns[2].pid, conns[2].secret)
        assert proto.errors(conns[2].ready())[0]["C"] == "57014"
        assert not any(c.readable(0) for i, c in enumerate(conns) if i != 2)
        for c in conns:
            cancel(proxy, c.pid, c.secret)
        for i, c in enumerate(conns):
            if i != 2:
                assert proto.errors(c.ready())[0]["C"] == "57014"
            assert c.value("SELECT 1") == "1"
            c.close()


def test_wrong_key_cancels_nothing(pg, proxy):
    with proxy.connect() as c, pg.admin() as a:
        c.send(SLEEP)
        wait_active(a, c.pid)
        wrong = bytes([c.secret[0] ^ 1]) + c.secret[1:]
        for pid, secret in [(c.pid, wrong), (c.pid + 1, c.secret), (0, c.secret), (c.pid, c.secret + b"\0" * 28)]:
            cancel(proxy, pid, secret)
        for secret in (c.secret[:3], b"", c.secret * 70):  # no key has this length
            with proxy.dial() as d:
                d.send(proto.cancel_request(c.pid, secret))
                assert proto.types(d.to_end()) in ("", "E")
        assert not c.readable(0.3)
        cancel(proxy, c.pid, c.secret)
        assert proto.errors(c.ready())[0]["C"] == "57014"


def test_late_cancel_hits_nothing(proxy):
    """The statement is over, and the connection, too: nobody else may be struck."""
    over, idle = proxy.connect(), proxy.connect()
    over.sql("SELECT 1")
    over.send(proto.TERMINATE).to_end()
    cancel(proxy, over.pid, over.secret)
    cancel(proxy, idle.pid, idle.secret)
    time.sleep(0.1)
    assert idle.value("SELECT 1") == "1"


def test_cancel_is_not_forwarded_to_a_later_statement(proxy):
    """Once the request's connection is closed the server has got the signal, so the next statement runs."""
    with proxy.connect() as c:
        for i in range(30):
            cancel(proxy, c.pid, c.secret)
            time.sleep(0.01)
            assert c.value("SELECT %d" % i) == str(i)


def test_many_cancels_at_once(pg, proxy):
    with proxy.connect() as c, pg.admin() as a:
        c.send(SLEEP)
        wait_active(a, c.pid)
        ends = [proxy.dial() for _ in range(30)]
        for e in ends:
            e.send(proto.cancel_request(c.pid, c.secret))
        for e in ends:
            assert e.drain_raw() == b""
            e.close()
        assert proto.errors(c.ready())[0]["C"] == "57014"


def test_cancel_during_copy(both, pg):
    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            c.send(query("COPY scratch (a) FROM STDIN")).until("G")
            cancel(end, c.pid, c.secret)
            c.send(proto.msg("d", b"1\n"))  # PostgreSQL looks at interrupts only when data arrives
            got = c.until("E")
            # Whether the line has been read by then is chance: the error's context says so.
            got[-1] = proto.Message("E", re.sub(rb"W[^\0]*\0", b"", got[-1].body))
            return got + c.ready() + c.ask(proto.msg("c"), query("SELECT 1"))
    assert proto.errors(both(action))[0]["C"] == "57014"


# ---- many at once, and wrong ones

class Gate(servers.Endpoint):
    """Stands before PostgreSQL, and lets cancel requests through when it is told to. `held`: those that have come."""

    def __init__(self, pg):
        self.pg, self.held, self.open = pg, [], threading.Event()
        self.socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port = self.socket.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self.serve, args=(self.socket.accept()[0],), daemon=True).start()

    def serve(self, c):
        first = c.recv(65536)
        if len(first) >= 16 and struct.unpack("!I", first[4:8])[0] == proto.CANCEL_REQUEST:
            self.held.append(struct.unpack("!I", first[8:12])[0])
            self.open.wait(servers.START_SECONDS)
        s = socket.create_connection(self.pg.where)
        s.sendall(first)
        threading.Thread(target=self.copy, args=(s, c), daemon=True).start()
        self.copy(c, s)

    @staticmethod
    def copy(a, b):
        with contextlib.suppress(OSError):
            while True:
                data = a.recv(65536)
                if not data:
                    break
                b.sendall(data)
        with contextlib.suppress(OSError):
            b.shutdown(socket.SHUT_WR)

    def close(self):
        self.open.set()
        self.socket.close()


@pytest.fixture
def gate(pg):
    g = Gate(pg)
    yield g
    g.close()


@pytest.fixture
def gated(gate, start_pgfold):
    """A pgfold behind the gate that may have four cancel requests under way, two of one source."""
    return start_pgfold({"pgfold.max_cancels": "4"}, server="host=127.0.0.1 port=%d sslmode=disable" % gate.port)


def asleep(end, admin, n):
    conns = [end.connect() for _ in range(n)]
    for c in conns:
        c.send(SLEEP)
    for c in conns:
        wait_active(admin, c.pid)
    return conns


def ask_to_cancel(end, c, source=None):
    return end.dial(source=source).send(proto.cancel_request(c.pid, c.secret))


def are_cancelled(conns, requests):
    for c in conns:
        assert proto.errors(c.ready())[0]["C"] == "57014"
    for r in requests:
        assert r.drain_raw() == b""
        r.close()
    for c in conns:
        assert c.value("SELECT 1") == "1"
        c.close()


@pytest.mark.pgfold
def test_requests_for_one_session_are_one(pg, gate, gated):
    with pg.admin() as a:
        c, d = asleep(gated, a, 2)
        requests = [ask_to_cancel(gated, c) for _ in range(100)]
        servers.wait_for(lambda: gate.held == [c.pid], "the request to arrive")
        requests.append(ask_to_cancel(gated, d))
        servers.wait_for(lambda: len(gate.held) == 2, "another's request, for which there is room")
        assert gate.held == [c.pid, d.pid] and not c.readable(0.2)
        gate.open.set()
        are_cancelled([c, d], requests)
    # Those that came while it was under way meant a statement that is over, or are done by one more.
    assert set(gate.held) == {c.pid, d.pid} and len(gate.held) <= 3


@pytest.mark.pgfold
def test_one_source_leaves_room_for_others(pg, gate, gated):
    with pg.admin() as a:
        conns = asleep(gated, a, 7)
        requests = [ask_to_cancel(gated, c) for c in conns[:5]]
        servers.wait_for(lambda: len(gate.held) == 2, "as many as one source may have")
        requests += [ask_to_cancel(gated, c, "127.0.0.2") for c in conns[5:]]
        servers.wait_for(lambda: len(gate.held) == 4, "those of another source")
        assert set(gate.held[2:]) == {c.pid for c in conns[5:]}
        gate.open.set()
        are_cancelled(conns, requests)
    assert set(gate.held) == {c.pid for c in conns}


@pytest.mark.pgfold
def test_sources_take_turns(pg, gate, start_pgfold):
    p = start_pgfold({"pgfold.max_cancels": "1"}, server="host=127.0.0.1 port=%d sslmode=disable" % gate.port)
    with pg.admin() as a:
        conns = asleep(p, a, 8)
        requests = [ask_to_cancel(p, c) for c in conns[:7]]
        servers.wait_for(lambda: len(gate.held) == 1, "the first one")
        with p.connect() as c:
            c.value("SELECT 1")  # the others have been read
        requests.append(ask_to_cancel(p, conns[7], "127.0.0.2"))
        with p.connect() as c:
            c.value("SELECT 1")
        gate.open.set()
        are_cancelled(conns, requests)
    assert gate.held.index(conns[7].pid) <= 2


@pytest.mark.pgfold
def test_a_request_that_waits_is_done_though_its_sender_has_gone(pg, gate, start_pgfold):
    p = start_pgfold({"pgfold.max_cancels": "1"}, server="host=127.0.0.1 port=%d sslmode=disable" % gate.port)
    with pg.admin() as a:
        c, d, e = asleep(p, a, 3)
        first = ask_to_cancel(p, c)
        servers.wait_for(lambda: gate.held == [c.pid], "the first one")
        ask_to_cancel(p, d).close()
        gone = ask_to_cancel(p, e)
        e.close()  # whose session ends while it waits
        gate.open.set()
        are_cancelled([c, d], [first])
        assert gone.drain_raw() == b""


@pytest.mark.pgfold
def test_requests_that_wait_do_not_hold_the_end(pg, gate, gated):
    with pg.admin() as a:
        conns = asleep(gated, a, 4)
        requests = [ask_to_cancel(gated, c) for c in conns for _ in range(3)]
        servers.wait_for(lambda: len(gate.held) == 2, "two of them")
        gated.signal(signal.SIGTERM)
        servers.wait_for(lambda: "draining" in gated.log(), "the first signal to be taken")
        gated.signal(signal.SIGTERM)
        assert gated.process.wait(servers.STOP_SECONDS) == 0
        for c in conns + requests:
            c.close()


@pytest.mark.pgfold
def test_wrong_keys_are_slow_logged_and_in_nobodys_way(pg, start_pgfold):
    p = start_pgfold({"pgfold.log_repeats": "5"})
    with pg.admin() as a:
        c, = asleep(p, a, 1)
        wrong = bytes([c.secret[0] ^ 1]) + c.secret[1:]
        began = time.monotonic()
        for _ in range(4):
            cancel(p, c.pid, wrong)
        assert time.monotonic() - began >= 0.05 + 0.1 + 0.2 + 0.4
        before = p.descriptors()
        flood = [p.dial().send(proto.cancel_request(c.pid + i % 2, wrong)) for i in range(200)]
        with p.connect() as d:
            assert d.value("SELECT 1") == "1" and p.descriptors() <= before + 2 + 8
        assert not c.readable(0)
        cancel(p, c.pid, c.secret)
        assert proto.errors(c.ready())[0]["C"] == "57014"
        for f in flood:
            assert f.drain_raw() == b""
            f.close()
        c.close()
    p.signal(signal.SIGUSR1)
    servers.wait_for(lambda: "with a wrong key 204" in p.log(), "the counter")
    assert 5 <= len(re.findall(r"WARNING: wrong key in cancel request for process %d, from 127.0.0.1" % c.pid, p.log())) < 20
    assert 5 <= p.log().count("did not match any session") < 20
    for key in (wrong, c.secret):
        assert key.hex() not in p.log() and str(int.from_bytes(key, "big")) not in p.log()
