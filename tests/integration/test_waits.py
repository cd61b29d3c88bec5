# SPDX-License-Identifier: PostgreSQL
"""Nobody waits long on somebody else's connection, whatever its server process waits for: a lock that a member's own transaction
stands in the way of, a key of somebody else's that takes long, a process that is stopped. What is ours on a client's connection does
not hold it up either.

Who would wait for ever is told from who is slow: everything that is awaited has to come while the obstacle still stands."""
import contextlib
import os
import signal
import threading
import time

import pytest

import conftest
import proto
import servers
from proto import query, unit

N = 12
LOOKUPS = {"simple": lambda k: query("SELECT id, name FROM item WHERE id = %d" % k),
           "extended": lambda k: unit("SELECT id, name FROM item WHERE id = $1", [k])}


@pytest.fixture(params=LOOKUPS)
def lookup(request):
    return LOOKUPS[request.param]


@pytest.fixture
def impatient(long_lived):
    """The default; most tests have a pgfold for which time plays no part."""
    return long_lived(batching__patience="20ms", batching__timeout="10min", lookahead__max_gap="1s", lookahead__max_age="60s")


def burst(conns, lookup, first=1):
    for i, c in enumerate(conns):
        c.send(lookup(first + i))


def row_of(k):
    return [b"%d" % k, b"item %d" % k]


def check(c, k):
    got = c.ready()
    assert proto.rows(got) == [row_of(k)], got


def warm(conns, lookup):
    """Bursts until they have folded, which the server's count tells."""
    if conftest.DIRECT:
        return
    for _ in range(60):
        burst(conns, lookup)
        for i, c in enumerate(conns):
            check(c, i + 1)
        time.sleep(0.02)


@contextlib.contextmanager
def queued_change(pg, holder, sql="ALTER TABLE item ADD queued int"):
    """A change of the table that waits for `holder`'s transaction, which has read it; undone at the end."""
    admin, watch = pg.admin(), pg.admin()
    admin.send(query("BEGIN; " + sql))
    servers.wait_for(lambda: watch.sql("SELECT 1 FROM pg_stat_activity WHERE pid = %d AND wait_event_type = 'Lock'" % admin.pid),
                     "the change to be queued")
    try:
        yield watch
    finally:
        holder.sql("COMMIT")
        admin.ready()
        admin.sql("ROLLBACK")
        admin.close()
        watch.close()


@pytest.mark.parametrize("members", [1, 4])
def test_a_change_is_queued_behind_a_member(pg, folding, impatient, lookup, members):
    """Those whose transactions hold the table are answered while the change is queued, however often they ask in company with others,
    who wait for the change, as they do without a proxy."""
    conns = folding.connections(impatient, N)
    warm(conns, lookup)
    inside, outside = conns[:members], conns[members:]
    for c in inside:
        c.sql("BEGIN")
        c.ask(lookup(5))
    with queued_change(pg, inside[0]):
        burst(conns, lookup)
        for i, c in enumerate(inside):
            check(c, i + 1)
        for turn in range(20):
            burst(inside, lookup, turn + 1)
            for i, c in enumerate(inside):
                check(c, turn + 1 + i)
        assert not any(c.readable(0) for c in outside)
        for c in inside[1:]:
            c.sql("COMMIT")
    for i, c in enumerate(outside):
        check(c, members + i + 1)
    burst(conns, lookup)
    for i, c in enumerate(conns):
        check(c, i + 1)


def test_a_change_among_short_transactions(pg, folding, impatient, lookup):
    """A third of the clients in short transactions, and a change that none of them outlasts: everything ends, and soon."""
    conns = folding.connections(impatient, N)
    warm(conns, lookup)
    stop, done, failures = threading.Event(), [0] * N, []

    def work(i, c):
        try:
            while not stop.is_set():
                if i % 3 == 0:
                    c.sql("BEGIN")
                for k in range(4):
                    assert proto.rows(c.ask(lookup(i + k + 1))) == [row_of(i + k + 1)]
                if i % 3 == 0:
                    c.sql("COMMIT")
                done[i] += 1
        except BaseException as e:
            failures.append(e)
    threads = [threading.Thread(target=work, args=(i, c), daemon=True) for i, c in enumerate(conns)]
    for t in threads:
        t.start()
    with pg.admin() as admin:
        for _ in range(3):
            before = list(done)
            admin.sql("ALTER TABLE item ADD short int")
            admin.sql("ALTER TABLE item DROP short")
            servers.wait_for(lambda: failures or all(a > b for a, b in zip(done, before)), "all clients to go on", 20)
    stop.set()
    for t in threads:
        t.join(20)
    assert not failures, failures[0]
    assert not any(t.is_alive() for t in threads)


@pytest.mark.pgfold
def test_a_stopped_process(pg, folding, impatient, lookup):
    """The server process of one session is stopped, which may have to run what others asked for: that session waits, if anybody."""
    conns = folding.connections(impatient, N)
    warm(conns, lookup)
    for victim in conns:
        os.kill(victim.pid, signal.SIGSTOP)
        try:
            for turn in range(3):
                others = [c for c in conns if c is not victim]
                if turn == 0:
                    victim.send(lookup(99))
                burst(others, lookup)
                for i, c in enumerate(others):
                    check(c, i + 1)
        finally:
            os.kill(victim.pid, signal.SIGCONT)
        check(victim, 99)


@pytest.fixture(scope="module")
def slow_key(pg):
    """Key 1 takes as long as the counting of 20 million rows, key 2 four times as long, the others nothing."""
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS heap, heap_list")
        a.sql("CREATE TABLE heap (id int, n int)")
        a.sql("INSERT INTO heap SELECT 1, i FROM generate_series(1, 4500) i")
        a.sql("INSERT INTO heap SELECT 2, i FROM generate_series(1, 9000) i")
        a.sql("INSERT INTO heap SELECT i, i FROM generate_series(3, 60) i")
        a.sql("CREATE INDEX ON heap (id)")
        a.sql("CREATE TABLE heap_list (id int PRIMARY KEY, position int)")
        a.sql("INSERT INTO heap_list SELECT i, CASE i WHEN 2 THEN 30 ELSE i END FROM generate_series(2, 20) i")
        a.sql("GRANT SELECT ON heap, heap_list TO PUBLIC")
        a.sql("ANALYZE heap")


SLOW = "SELECT count(*) FROM heap a JOIN heap b ON b.id = a.id AND b.n + a.n <> 0 WHERE a.id = "
HEAP = {"simple": lambda k: query(SLOW + "%d" % k), "extended": lambda k: unit(SLOW + "$1", [k])}


@pytest.mark.parametrize("kind", HEAP)
@pytest.mark.parametrize("place", [0, N // 2, N - 1])
def test_a_slow_key(pg, folding, impatient, slow_key, kind, place):
    """Who asks for it waits, whoever lends; the others are answered meanwhile."""
    ask = HEAP[kind]
    conns = folding.connections(impatient, N)
    for _ in range(20):
        for i, c in enumerate(conns):
            c.send(ask(i + 10))
        for c in conns:
            assert proto.rows(c.ready()) == [[b"1"]]
    patient = conns[place]
    for i, c in enumerate(conns):
        c.send(ask(1 if c is patient else i + 10))
    answered = []
    while len(answered) < N:  # in the order in which they come
        for c in conns:
            if c not in answered and c.readable(0.005):
                expected = 4500 * 4500 if c is patient else 1
                assert proto.rows(c.ready()) == [[b"%d" % expected]]
                answered.append(c)
    assert answered[-1] is patient


@pytest.mark.parametrize("kind", HEAP)
@pytest.mark.parametrize("inside", [False, True])
def test_a_slow_key_that_was_loaded_ahead(pg, folding, impatient, slow_key, kind, inside):
    """A loop's coming keys are loaded behind its lookup, one of them slow: neither the loop waits for that one before it comes to it, nor
    does its client's next statement. Somebody who asks for that key alone, when the loop begins, waits all the while."""
    ask = HEAP[kind]
    with impatient.connect() as c, pg.admin() as admin:
        for turns in (2, 3, 5, 5):
            if inside:
                c.sql("BEGIN")
            keys = [int(r[0]) for r in c.sql("SELECT id FROM heap_list ORDER BY position")]
            with pg.connect() as alone:
                alone.send(ask(2))
                for k in keys[:turns]:
                    assert proto.rows(c.ask(ask(k))) == [[b"1"]]
                assert c.value("SHOW max_connections")
                assert not alone.readable(0)
                admin.sql("SELECT pg_cancel_backend(%d)" % alone.pid)
                alone.ready()
            if inside:
                c.sql("COMMIT")


@pytest.mark.pgfold
def test_the_catalogue_is_locked(pg, folding, impatient):
    """Queries of ours that wait for it do not hold up a client whose statement needs nothing from it."""
    conns = folding.connections(impatient, 4)
    for c in conns:
        c.sql("PREPARE ready AS SELECT 1")
        c.sql("EXECUTE ready")
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS latecomer")
        a.sql("CREATE TABLE latecomer (id int PRIMARY KEY, v text)")
        a.sql("INSERT INTO latecomer SELECT i, 'v' || i FROM generate_series(1, 50) i")
        a.sql("GRANT SELECT ON latecomer TO PUBLIC")
    units = [query("SELECT v FROM latecomer WHERE id = %d" % (i + 1)) for i in range(4)]
    for i, c in enumerate(conns):
        c.sql("SELECT v FROM latecomer WHERE id = %d OR id = 0" % i)
    with pg.admin() as locker:
        locker.sql("BEGIN; LOCK TABLE pg_catalog.pg_trigger IN ACCESS EXCLUSIVE MODE")
        for _ in range(3):
            for c, u in zip(conns, units):
                c.send(u)
            for i, c in enumerate(conns):
                assert proto.rows(c.ready()) == [[b"v%d" % (i + 1)]]
            for c in conns:
                c.sql("EXECUTE ready")
        locker.sql("COMMIT")
