# SPDX-License-Identifier: PostgreSQL
"""Transactions: lookups in READ COMMITTED transactions that have only read fold with one another and with those outside;
all others are the server's own affair. No failure of a batch may be seen by the transaction of who lent its connection."""
import contextlib
import threading
import time

import psycopg2
import pytest

import conftest
import proto
import servers
from busy import unless_busy
from proto import query, unit

N = 16
SQL = "SELECT id, name, price FROM item WHERE id = %d"
BEGINS = {
    "begin": "BEGIN",
    "start": "START TRANSACTION",
    "read committed": "BEGIN ISOLATION LEVEL READ COMMITTED",
    "read uncommitted": "BEGIN TRANSACTION ISOLATION LEVEL READ UNCOMMITTED READ ONLY",
    "set": "BEGIN; SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "cursor": "BEGIN; DECLARE c CURSOR FOR SELECT id FROM thing; FETCH 2 FROM c",
}
SPENT = {
    "repeatable read": ["BEGIN ISOLATION LEVEL REPEATABLE READ"],
    "serializable": ["START TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
    "set transaction": ["BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"],
    "write": ["BEGIN", "INSERT INTO scratch VALUES (1)"],
    "set local": ["BEGIN", "SET LOCAL work_mem = '5MB'"],
    "set": ["BEGIN", "SET work_mem = '5MB'"],
    "unknown cursor": ["BEGIN", "DECLARE c CURSOR FOR SELECT pg_backend_pid(), nextval('child_id_seq')"],
    "cursor to lock": ["BEGIN", "DECLARE c CURSOR FOR SELECT id FROM thing WHERE id = '%s' FOR UPDATE" % ("0" * 32)],
    "cursor to hold": ["BEGIN", "DECLARE c CURSOR WITH HOLD FOR SELECT id FROM thing"],
    "lock": ["BEGIN", "LOCK TABLE scratch IN ROW SHARE MODE"],
    "for update": ["BEGIN", "SELECT id FROM thing WHERE id = '%s' FOR UPDATE" % ("0" * 32)],
    "function": ["BEGIN", "SELECT pg_advisory_xact_lock_shared(1)"],
}


def simple(key):
    return query(SQL % key)


def extended(key):
    return unit("SELECT id, name, price FROM item WHERE id = $1", [key])


FORMS = {"simple": simple, "extended": extended}


def tell(conns, *statements):
    for c in conns:
        for s in statements:
            for part in s.split("; "):
                c.sql(part)


def prove(folding, conns, units):
    """Outside transactions until the sessions are proven and the shape is vetted."""
    folding.warm(conns, units, "item")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("begin", BEGINS)
def test_read_committed_folds(pg, proxy, folding, begin, form):
    units = [FORMS[form](k) for k in range(1, N + 1)]
    conns = folding.connections(proxy, N)
    prove(folding, conns, units)
    tell(conns, BEGINS[begin])
    replies, calls = folding.burst(conns, units, "item")
    with pg.connect() as d:
        tell([d], BEGINS[begin])
        assert replies == folding.expect(d, units)
    folding.assert_folded(calls, N)
    assert [c.status for c in conns] == ["T"] * N
    tell(conns, "COMMIT")
    assert [c.status for c in conns] == ["I"] * N


def test_the_first_transaction_of_new_sessions_folds(proxy, folding):
    """BEGIN is the first that they say, as psycopg2's sessions do: they are proved in front of it."""
    units = [FORMS["simple"](k) for k in range(1, N + 1)]
    prove(folding, folding.connections(proxy, N), units)  # the shape is vetted, and no more
    conns = folding.connections(proxy, N)
    tell(conns, "BEGIN")
    replies, calls = folding.burst(conns, units, "item")
    folding.assert_folded(calls, N)
    assert [c.status for c in conns] == ["T"] * N


def test_inside_and_outside_fold_together(pg, proxy, folding):
    units = [simple(k) for k in range(1, N + 1)]
    conns = folding.connections(proxy, N)
    prove(folding, conns, units)
    tell(conns[:N // 2], "BEGIN")
    replies, calls = folding.burst(conns, units, "item")
    with pg.connect() as d:
        outside = folding.expect(d, units)
        tell([d], "BEGIN")
        inside = folding.expect(d, units)
    assert replies == inside[:N // 2] + outside[N // 2:]
    folding.assert_folded(calls, N)


@pytest.mark.parametrize("spent", SPENT)
def test_others_do_not_fold(proxy, folding, spent):
    units = [simple(k) for k in range(1, N + 1)]
    conns = folding.connections(proxy, N)
    prove(folding, conns, units)
    tell(conns, *SPENT[spent])
    replies, calls = folding.burst(conns, units, "item")
    folding.assert_not_folded(calls, N)
    assert [proto.rows(r)[0][0] for r in replies] == [b"%d" % k for k in range(1, N + 1)]
    tell(conns, "ROLLBACK")


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
@pytest.mark.parametrize("way", ["role", "database", "options", "set", "characteristics", "set_config"])
def test_default_isolation(pg, proxy, folding, way, level):
    """Whatever gave the session its default level."""
    units = [simple(k) for k in range(1, N + 1)]
    name = "iso_%s_%s" % (way.replace("_", ""), level[0])
    statement = {"set": "SET default_transaction_isolation = '%s'", "set_config":
                 "SELECT set_config('default_transaction_isolation', '%s', false)", "characteristics":
                 "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL %s"}.get(way)
    with pg.connect(servers.SUPERUSER, "app") as admin:
        admin.sql("DROP ROLE IF EXISTS %s" % name)
        admin.sql("CREATE ROLE %s LOGIN" % name)
        if way == "role":
            admin.sql("ALTER ROLE %s SET default_transaction_isolation = '%s'" % (name, level))
        if way == "database":
            admin.sql("ALTER ROLE %s IN DATABASE app SET default_transaction_isolation = '%s'" % (name, level))
    login = {"options": "-c default_transaction_isolation=" + level.replace(" ", "\\ ")} if way == "options" else {}
    conns = folding.connections(proxy, N, user="app" if way == "options" else name, **login)
    if statement:
        tell(conns, statement % level)
    prove(folding, conns, units)
    tell(conns, "BEGIN")
    assert conns[0].value("SHOW transaction_isolation") == level
    _, calls = folding.burst(conns, units, "item")
    folding.assert_not_folded(calls, N)
    tell(conns, "COMMIT", "BEGIN ISOLATION LEVEL READ COMMITTED")
    _, calls = folding.burst(conns, units, "item")
    folding.assert_folded(calls, N)


def test_repeatable_read_keeps_its_snapshot(pg, proxy, folding):
    units = [simple(k) for k in range(1, N + 1)]
    conns = folding.connections(proxy, N)
    prove(folding, conns, units)
    tell(conns[:N // 2], "BEGIN ISOLATION LEVEL REPEATABLE READ")
    for c in conns[:N // 2]:
        c.ask(simple(5))
    with pg.connect() as w:
        w.sql("UPDATE item SET name = 'changed' WHERE id <= %d" % N)
        try:
            replies, _ = folding.burst(conns, units, "item", lock=False)
        finally:
            w.sql("UPDATE item SET name = 'item ' || id WHERE id <= %d" % N)
    names = [proto.rows(r)[0][1] for r in replies]
    assert names == [b"item %d" % k for k in range(1, N // 2 + 1)] + [b"changed"] * (N // 2)


def test_own_writes_are_seen_by_their_transaction_alone(proxy, folding):
    units = [simple(7)] * N
    conns = folding.connections(proxy, N)
    prove(folding, conns, [simple(k) for k in range(1, N + 1)])
    tell(conns, "BEGIN")
    conns[0].sql("UPDATE item SET name = 'mine' WHERE id = 7")
    names = [proto.rows(r)[0][1] for r in folding.burst(conns, units, "item", lock=False)[0]]
    assert names == [b"mine"] + [b"item 7"] * (N - 1)
    conns[0].sql("ROLLBACK")
    assert conns[0].sql(SQL % 7)[0][1] == "item 7"


def test_rollback_to_a_savepoint(proxy, folding):
    """What was written before the savepoint stays; and savepoints of any name are the client's."""
    conns = folding.connections(proxy, N)
    units = [simple(k) for k in range(1, N + 1)]
    prove(folding, conns, units)
    tell(conns, "BEGIN", "SAVEPOINT pgfold_guard")
    _, calls = folding.burst(conns, units, "item")
    folding.assert_folded(calls, N)
    tell(conns, "INSERT INTO scratch VALUES (41)", "SAVEPOINT b", "INSERT INTO scratch VALUES (42)",
         "ROLLBACK TO SAVEPOINT b")
    assert [c.sql("SELECT a FROM scratch WHERE a IN (41, 42)") for c in conns] == [[("41",)]] * N
    tell(conns, "ROLLBACK TO SAVEPOINT pgfold_guard")
    replies, _ = folding.burst(conns, units, "item", lock=False)
    assert [proto.rows(r)[0][0] for r in replies] == [b"%d" % k for k in range(1, N + 1)]
    assert [c.sql("SELECT a FROM scratch WHERE a IN (41, 42)") for c in conns] == [[]] * N
    tell(conns, "COMMIT")


def test_a_batch_that_fails_leaves_the_transaction(pg, proxy, folding):
    """One of the keys makes the batch fail: only its own transaction may notice."""
    with pg.connect(servers.SUPERUSER, "app") as admin:
        admin.sql("CREATE TABLE IF NOT EXISTS fragile (id int PRIMARY KEY, d int)")
        admin.sql("TRUNCATE fragile")
        admin.sql("INSERT INTO fragile SELECT i, i - 5 FROM generate_series(1, 50) i")
        admin.sql("GRANT ALL ON fragile TO PUBLIC")
    good = [query("SELECT id, 10 / d FROM fragile WHERE id = %d" % k) for k in range(6, 6 + N)]
    bad = good[:3] + [query("SELECT id, 10 / d FROM fragile WHERE id = 5")] + good[4:]
    conns = folding.connections(proxy, N)
    folding.warm(conns, good, "fragile")
    tell(conns, "BEGIN")
    for _ in range(6):  # some of the first are compared with the originals
        _, calls = folding.burst(conns, good, "fragile")
        if folding.folded(calls, N):
            break
    folding.assert_folded(calls, N)
    tell(conns, "COMMIT", "BEGIN")
    for _ in range(3):
        replies, _ = folding.burst(conns, bad, "fragile")
        with pg.connect() as d:
            for u, r in zip(bad, replies):
                if d.status == "I":
                    d.sql("BEGIN")
                assert d.ask(u) == r
                if d.status == "E":
                    d.sql("ROLLBACK")
        assert [c.status for c in conns] == ["T"] * 3 + ["E"] + ["T"] * (N - 4)
        tell(conns, "ROLLBACK", "BEGIN")
    tell(conns, "COMMIT")


def test_cancel_inside(proxy, folding):
    """Who cancels a lookup that waits has its transaction aborted, as ever; the others notice nothing."""
    units = [simple(k) for k in range(1, N + 1)]
    conns = folding.connections(proxy, N)
    prove(folding, conns, units)
    tell(conns, "BEGIN")
    with folding.locked("item"):
        for c, u in zip(conns, units):
            c.send(u)
        conftest.arrived(conns)
        for i in (0, 5, N - 1):
            with proxy.dial() as k:
                k.send(proto.cancel_request(conns[i].pid, conns[i].secret))
                k.to_end()
        cancelled = [conns[i].ready() for i in (0, 5, N - 1)]
    for r in cancelled:
        assert [proto.fields(m.body)["C"] for m in r if m.type == "E"] == ["57014"]
    for i, c in enumerate(conns):
        if i in (0, 5, N - 1):
            assert c.status == "E"
            c.sql("ROLLBACK")
        else:
            assert proto.rows(c.ready())[0][0] == b"%d" % (i + 1)
            assert c.status == "T"
    assert conns[0].sql("SELECT 1") == [("1",)]


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("form", sorted(FORMS))
def test_cancel_of_a_shape_that_is_not_vetted(proxy, folding, form, inside):
    """The catalogue's answer on it waits for the lock, too: it holds up neither who cancels nor what comes next."""
    text = "SELECT id, name AS %s_%s FROM item WHERE id = " % (form, inside)
    conns = folding.connections(proxy, 3)
    prove(folding, conns, [simple(k) for k in range(1, 4)])
    if inside:
        tell(conns, "BEGIN")
    with folding.locked("item"):
        for i, c in enumerate(conns):
            c.send(query(text + "%d" % i) if form == "simple" else unit(text + "$1", [i]))
        conftest.arrived(conns)
        for c in conns:
            with proxy.dial() as k:
                k.send(proto.cancel_request(c.pid, c.secret))
                k.to_end()
            assert [e["C"] for e in proto.errors(c.ready())] == ["57014"]
            assert c.status == ("E" if inside else "I")
            c.sql("ROLLBACK")
            assert c.value("SELECT 1") == "1"


def test_statement_timeout_inside(proxy, folding):
    """The batch runs into it: then each of them does so by itself."""
    units = [simple(k) for k in range(1, N + 1)]
    conns = folding.connections(proxy, N)
    tell(conns, "SET statement_timeout = '2s'")
    prove(folding, conns, units)
    tell(conns, "BEGIN")
    with folding.locked("item", settle=0):
        for c, u in zip(conns, units):
            c.send(u)
        replies = [c.ready() for c in conns]
    assert [[proto.fields(m.body)["C"] for m in r if m.type == "E"] for r in replies] == [["57014"]] * N
    tell(conns, "ROLLBACK")
    _, calls = folding.burst(conns, units, "item", lock=False)
    assert calls <= N


@pytest.mark.pgfold
def test_sessions_that_live_in_transactions(pg, proxy, folding):
    """psycopg2: every statement is inside a transaction. Nobody ever looks something up outside one."""
    port = proxy.port if hasattr(proxy, "port") else pg.port
    with contextlib.ExitStack() as stack:
        conns = [psycopg2.connect(host="127.0.0.1", port=port, user="app", dbname="app") for _ in range(N)]
        for c in conns:
            stack.callback(c.close)
        together = threading.Barrier(N)

        def page(c, first):
            with c.cursor() as cur:
                cur.execute("SELECT id FROM child WHERE item_id < 3")
                cur.fetchall()
                for k in range(first, first + 10):
                    together.wait(30)
                    cur.execute("SELECT body, id FROM big WHERE id = %s", (k,))
                    assert cur.fetchone()[1] == k
            c.rollback()
        calls = []
        for _ in range(6):
            folding.reset()
            threads = [threading.Thread(target=page, args=(c, i + 1)) for i, c in enumerate(conns)]
            for t in threads:
                t.start()
            for t in threads:
                t.join()
            calls.append(folding.calls("big"))
        with unless_busy():
            assert calls[-1] < N * 10 * 0.7, calls
