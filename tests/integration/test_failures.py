# SPDX-License-Identifier: PostgreSQL
"""Whatever happens to a batch, each member gets the answer that it would have got alone, exactly once."""
import time

import pytest

import conftest
import proto
import servers
from proto import query, unit

N = 20
LOOKUPS = {"simple": lambda k: query("SELECT id, name FROM item WHERE id = %d" % k),
           "extended": lambda k: unit("SELECT id, name FROM item WHERE id = $1", [k])}


@pytest.fixture(params=LOOKUPS)
def lookup(request):
    return LOOKUPS[request.param]


@pytest.fixture
def conns(pg, proxy, folding, lookup):
    """N sessions whose lookups fold."""
    out = folding.connections(proxy, N)
    folding.warm(out, [lookup(k) for k in range(1, N + 1)], "item")
    return out


def send_all(conns, lookup):
    for i, c in enumerate(conns):
        c.send(lookup(i + 1))


def check(c, i):
    got = c.ready()
    assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]], got


def still_fine(conns, lookup):
    send_all(conns, lookup)
    for i, c in enumerate(conns):
        check(c, i)


def waiting(admin):
    """Backends that wait for a lock, which run the lookups."""
    return [int(r[0]) for r in admin.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE '%item%'")]


@pytest.mark.parametrize("how", ["close", "reset", "terminate"])
def test_members_that_leave_while_they_wait(folding, conns, lookup, how):
    left = {1, 4, 5, 11, N - 1}
    with folding.locked("item"):
        send_all(conns, lookup)
        time.sleep(0.2)
        for i in left:
            if how == "terminate":
                conns[i].send(proto.TERMINATE)
            else:
                getattr(conns[i], how)()
        time.sleep(0.1)
    stay = [c for i, c in enumerate(conns) if i not in left]
    for i, c in enumerate(conns):
        if i not in left:
            check(c, i)
    still_fine(stay, lookup)


def test_all_clients_leave(pg, proxy, folding, conns, lookup):
    with folding.locked("item"):
        send_all(conns, lookup)
        time.sleep(0.2)
        for c in conns:
            c.close()
    pids = ",".join(str(c.pid) for c in conns)
    servers.wait_for(lambda: folding.admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid IN (%s)" % pids) == "0",
                     "the server connections to end")
    with proxy.connect() as c:
        assert c.value("SELECT name FROM item WHERE id = 3") == "item 3"


def test_first_clients_leave(folding, conns, lookup):
    """Those whose lookups went out first are the lenders: what runs on their connections is not lost."""
    with folding.locked("item"):
        send_all(conns, lookup)
        time.sleep(0.2)
        lenders = waiting(folding.admin)
        for c in conns:
            if c.pid in lenders and not conftest.DIRECT:
                c.reset()
        time.sleep(0.1)
    for i, c in enumerate(conns):
        if c.pid not in lenders or conftest.DIRECT:
            check(c, i)


def test_lenders_are_terminated(folding, conns, lookup):
    """pg_terminate_backend in mid-batch: only the lender's own client loses its session."""
    with folding.locked("item") as locker:
        send_all(conns, lookup)
        lenders = servers.wait_for(lambda: waiting(folding.admin), "the batch to wait")
        victim = lenders[-1]
        folding.admin.sql("SELECT pg_terminate_backend(%d)" % victim)
    for i, c in enumerate(conns):
        if c.pid == victim:
            assert "57P01" in [e["C"] for e in proto.errors(c.to_end())]
        else:
            check(c, i)
    still_fine_except(conns, victim, lookup)


def still_fine_except(conns, victim, lookup):
    for i, c in enumerate(conns):
        if c.pid != victim:
            c.send(lookup(i + 1))
            check(c, i)


def test_batches_are_cancelled_by_the_server(folding, conns, lookup):
    """pg_cancel_backend hits a batch: its members re-run alone. Alone in flight, a member gets the cancel itself."""
    with folding.locked("item"):
        send_all(conns, lookup)
        time.sleep(0.3)
        struck = waiting(folding.admin)
        for pid in struck:
            folding.admin.sql("SELECT pg_cancel_backend(%d)" % pid)
        time.sleep(0.3)
    for i, c in enumerate(conns):
        got = c.ready()
        if proto.errors(got):
            assert proto.errors(got)[0]["C"] == "57014" and c.pid in struck
        else:
            assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]]
    still_fine(conns, lookup)


@pytest.mark.parametrize("victim", [0, 1, 2, 7, N - 1])
def test_a_member_cancels(proxy, folding, conns, lookup, victim):
    """A CancelRequest ends the canceller's statement at most: nobody else's."""
    with folding.locked("item"):
        send_all(conns, lookup)
        time.sleep(0.3)
        with proxy.dial() as k:
            k.send(proto.cancel_request(conns[victim].pid, conns[victim].secret))
            k.drain_raw()
        time.sleep(0.2)
    for i, c in enumerate(conns):
        got = c.ready()
        if i == victim and proto.errors(got):
            assert proto.errors(got)[0]["C"] == "57014"
        else:
            assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]]
    still_fine(conns, lookup)


def test_cancelled_member_is_answered_before_the_batch_ends(proxy, folding, conns, lookup):
    """It need not wait for the batch that it has left."""
    with folding.locked("item"):
        send_all(conns, lookup)
        conftest.arrived(conns)
        with proxy.dial() as k:
            k.send(proto.cancel_request(conns[-1].pid, conns[-1].secret))
            k.drain_raw()
        assert proto.errors(conns[-1].ready())[0]["C"] == "57014"
    for i, c in enumerate(conns[:-1]):
        check(c, i)
    still_fine(conns, lookup)


def test_statement_timeout(pg, proxy, folding, lookup):
    """The members' own limit, the same for all since it is part of the identity: every one gets 57014 or its rows."""
    conns = folding.connections(proxy, N, statement_timeout="3s")
    folding.warm(conns, [lookup(k) for k in range(1, N + 1)], "item")
    with folding.locked("item", settle=0.2):
        send_all(conns, lookup)
        replies = [c.ready() for c in conns]
        assert [proto.errors(r)[0]["C"] for r in replies] == ["57014"] * N
    still_fine(conns, lookup)


def test_lock_timeout(pg, proxy, folding, lookup):
    conns = folding.connections(proxy, N, lock_timeout="2500ms")
    folding.warm(conns, [lookup(k) for k in range(1, N + 1)], "item")
    with folding.locked("item", settle=0.2):
        send_all(conns, lookup)
        assert [proto.errors(c.ready())[0]["C"] for c in conns] == ["55P03"] * N
    still_fine(conns, lookup)


def test_an_error_that_only_some_members_have(pg, proxy, folding):
    """A column whose reading fails for one row: the batch errs, and only that row's asker may hear of it."""
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS divided")
        a.sql("CREATE TABLE divided (id int PRIMARY KEY, d int)")
        a.sql("INSERT INTO divided SELECT i, i - 5 FROM generate_series(1, 40) i")
        a.sql("GRANT SELECT ON divided TO PUBLIC")
    conns = folding.connections(proxy, N)
    for make in (lambda k: query("SELECT id, 100 / d FROM divided WHERE id = %d" % k),
                 lambda k: unit("SELECT id, 100 / d FROM divided WHERE id = $1", [k])):
        folding.warm(conns, [make(k) for k in range(11, N + 11)], "divided")
        units = [make(k) for k in range(1, N + 1)]
        for _ in range(3):
            replies, _ = folding.burst(conns, units, "divided")
            with pg.connect() as d:
                assert replies == folding.expect(d, units)


def test_slow_reader_in_a_batch(pg, proxy, folding):
    """A member that does not read its wide rows delays nobody else."""
    conns = folding.connections(proxy, N)
    slow = folding.connections(proxy, 1)[0]
    wide = [query("SELECT * FROM big WHERE id = %d" % (k + 1)) for k in range(N)]
    folding.warm(conns, wide, "big")
    slow.send(*(wide[k % N] for k in range(2000)))  # 40 MB that it will not read for now
    time.sleep(0.3)
    with pg.connect() as d:
        expected = folding.expect(d, wide)
    for _ in range(5):
        replies, _ = folding.burst(conns, wide, "big", lock=False)
        assert replies == expected
    got = slow.ready(2000)
    assert [r[0] for r in proto.rows(got)] == [b"%d" % (k % N + 1) for k in range(2000)]


@pytest.mark.pgfold
def test_batch_timeout(pg, long_lived, folding, lookup):
    """batching.timeout: the batch is cancelled and its members run alone, on their own connections."""
    p = long_lived(batching__timeout="500ms")
    conns = folding.connections(p, N)
    folding.warm(conns, [lookup(k) for k in range(1, N + 1)], "item")
    with folding.locked("item", settle=0):
        send_all(conns, lookup)
        servers.wait_for(lambda: len(waiting(folding.admin)) >= N - 3, "the members to run alone")
    for i, c in enumerate(conns):
        check(c, i)
    still_fine(conns, lookup)


@pytest.mark.pgfold
def test_sigterm_with_lookups_waiting(start_pgfold, folding, lookup):
    import signal
    p = start_pgfold()
    conns = folding.connections(p, N)
    folding.warm(conns, [lookup(k) for k in range(1, N + 1)], "item")
    with folding.locked("item"):
        send_all(conns, lookup)
        conftest.arrived(conns)
        p.signal(signal.SIGTERM)
        time.sleep(0.1)
    for i, c in enumerate(conns):
        got = c.to_end()
        assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]], got
    assert p.process.wait(servers.STOP_SECONDS) == 0


@pytest.mark.pgfold
def test_sigterm_while_a_verdict_is_waited_for(start_pgfold, folding):
    """What a session has not read yet, since another one's question to the catalogue is under way, is answered, too."""
    import signal
    p = start_pgfold()
    conns = folding.connections(p, N)
    folding.warm(conns, [LOOKUPS["simple"](k) for k in range(1, N + 1)], "item")
    with folding.locked("item", settle=0.1):
        for i, c in enumerate(conns):
            c.send(query("SELECT id, name AS sigterm FROM item WHERE id = %d" % (i + 1)))
        time.sleep(0.01)  # less than the 300 ms for which they wait
        p.signal(signal.SIGTERM)
    for i, c in enumerate(conns):
        got = c.to_end()
        assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]], got
    assert p.process.wait(servers.STOP_SECONDS) == 0


@pytest.mark.pgfold
def test_idle_sessions_and_lookups_leak_nothing(proxy, folding, lookup):
    """Memory after many bursts and departures is what it was after the first ones."""
    def round_():
        conns = folding.connections(proxy, N)
        for i in range(20):
            send_all(conns, lookup)
            for j, c in enumerate(conns):
                check(c, j)
        for c in conns:
            c.reset() if i % 2 else c.close()
    for _ in range(3):
        round_()
    before = proxy.status("VmRSS")
    for _ in range(10):
        round_()
    assert proxy.status("VmRSS") < before + 40 * 1024  # kB; sanitizers keep freed memory for a while
