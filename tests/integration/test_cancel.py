# SPDX-License-Identifier: PostgreSQL
"""A CancelRequest reaches the right server connection and only it, also when it comes late."""
import re
import time

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
