# SPDX-License-Identifier: PostgreSQL
"""Transactions that the server hears nothing of, since all that they ask for is held; and those of which it hears late, because something else is
asked for in them. To the client they are as any other."""
import threading
import time

import pytest

import conftest
import proto
from ahead import Watch
from busy import unless_busy
from proto import query
from test_lookahead import (BOOKS, DATABASE, NEW, db, direct, made, opened, proxy,  # noqa: F401
                            titles)

BEGIN, COMMIT, ROLLBACK = query("BEGIN"), query("COMMIT"), query("ROLLBACK")


class Turns:
    """A loop with a transaction in each turn, each statement after the answer to the last."""

    def __init__(self, end, relation=None):
        self.conn, self.relation = end.connect(database=DATABASE), relation or BOOKS.fresh()

    def list(self):
        return [r[0].decode() for r in self.one(self.relation.parents)[1]]

    def lookup(self, key):
        return query(self.relation.sql.replace("$1", key))

    def one(self, sql, end=COMMIT):
        """The wire of a transaction with one statement, and its rows."""
        got = [self.conn.ask(data) for data in (BEGIN, query(sql), end)]
        return b"".join(map(proto.wire, got)), proto.rows(got[1])

    def turn(self, key, end=COMMIT):
        return self.one(self.relation.sql.replace("$1", key), end)

    def held(self):
        """The keys that come next, of which the next ones are held."""
        keys = self.list()
        for key in keys[:8]:
            self.turn(key)
        return keys[8:]

    def past(self, key):
        return proto.rows(self.conn.ask(query("/* pgfold:skip */ " + self.relation.sql.replace("$1", key))))

    def close(self):
        self.conn.close()


def both(db, proxy, opened, action):  # noqa: F811
    """What comes of the action directly is what comes of it through pgfold."""
    got = []
    for end in (db, proxy):
        c = opened(Turns(end, relation=BOOKS))
        got.append(action(c, c.held()))
    assert got[0] == got[1]


@pytest.mark.parametrize("end", [COMMIT, ROLLBACK, query("END"), query("abort work;")])
def test_nothing_goes_out(db, direct, proxy, opened, end):  # noqa: F811
    want, have = opened(Turns(db)), opened(Turns(proxy))
    have.relation = want.relation
    for page in range(3):
        keys = want.list()
        assert keys == have.list()
        watch = Watch(db)
        for key in keys[:60]:
            assert want.turn(key, end) == have.turn(key, end)
        sent = len(watch.seen(have.conn))
    with unless_busy():
        assert conftest.DIRECT or sent <= 60, "%d of 180 statements" % sent  # frames and questions count, too


def scripts():
    """What is said behind a BEGIN and a lookup that is held."""
    update = "UPDATE book SET title = 'mine' WHERE author_id = %s"
    yield "write and commit", lambda k: [update % k[0], ("lookup", k[0]), "COMMIT", ("lookup", k[0])]
    yield "write and roll back", lambda k: [update % k[1], ("lookup", k[1]), "ROLLBACK", ("lookup", k[1])]
    yield "error", lambda k: ["SELECT 1/0", ("lookup", k[1]), "COMMIT", ("lookup", k[1])]
    yield "savepoint", lambda k: ["SAVEPOINT a", ("lookup", k[1]), "SELECT 1/0", "ROLLBACK TO a", ("lookup", k[2]), "COMMIT"]
    yield "level", lambda k: ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "COMMIT", ("lookup", k[1])]
    yield "read only", lambda k: ["SET TRANSACTION READ ONLY", update % k[1], "COMMIT"]
    yield "chained", lambda k: ["COMMIT AND CHAIN", ("lookup", k[1]), "COMMIT", ("lookup", k[2])]
    yield "begin again", lambda k: ["BEGIN", ("lookup", k[1]), "COMMIT", "COMMIT"]
    yield "several", lambda k: ["SELECT 1; SELECT 2", ("lookup", k[1]), "COMMIT"]
    yield "local", lambda k: ["SET LOCAL statement_timeout = '10s'", "SHOW statement_timeout", "COMMIT", "SHOW statement_timeout"]
    yield "cursor", lambda k: ["DECLARE c CURSOR FOR SELECT 1", "FETCH c", ("lookup", k[1]), "COMMIT"]
    yield "lock", lambda k: ["SELECT 1 FROM book WHERE author_id = %s FOR UPDATE" % k[1], "SELECT count(*) > 1 FROM pg_locks WHERE pid = pg_backend_pid()", "COMMIT"]
    yield "prepared", lambda k: ["PREPARE p AS SELECT 1", "EXECUTE p", "DEALLOCATE p", "COMMIT"]
    yield "nothing", lambda k: ["", "COMMIT"]


@pytest.mark.parametrize("script", [s for _, s in scripts()], ids=[n for n, _ in scripts()])
@pytest.mark.parametrize("first", [True, False], ids=["behind a lookup", "at once"])
def test_whatever_comes_behind_it(db, direct, proxy, opened, script, first):  # noqa: F811
    def action(c, keys):
        direct.sql("SELECT fill_ahead()")
        out = [proto.wire(c.conn.ask(BEGIN))]
        if first:
            out.append(proto.wire(c.conn.ask(c.lookup(keys[0]))))
        for say in script(keys[1:]):
            got = c.conn.ask(c.lookup(say[1]) if isinstance(say, tuple) else query(say))
            out.append(proto.wire([m for m in got if m.type != "N"]))
        return out
    both(db, proxy, opened, action)


def test_statements_of_the_extended_protocol(db, direct, proxy, opened):  # noqa: F811
    """BEGIN has ended the unnamed statement, and named ones are still there."""
    def action(c, keys):
        unit = proto.unit(BOOKS.sql, [keys[0]])
        out = [proto.wire(c.conn.ask(proto.parse(BOOKS.sql, "s"), proto.SYNC)), proto.wire(c.conn.ask(unit))]
        for data in (BEGIN, proto.bind([keys[1]]) + proto.execute() + proto.SYNC, ROLLBACK,
                     BEGIN, c.lookup(keys[2]), proto.bind([keys[3]], name="s") + proto.describe() + proto.execute() + proto.SYNC, COMMIT,
                     BEGIN, proto.unit(BOOKS.sql, [keys[4]]), proto.bind([keys[5]]) + proto.execute() + proto.SYNC, COMMIT,
                     BEGIN, proto.SYNC, COMMIT):
            out.append(proto.wire(c.conn.ask(data)))
        return out
    both(db, proxy, opened, action)


def test_the_time_of_a_transaction(db, direct, proxy, opened):  # noqa: F811
    """It is that of BEGIN, but for some milliseconds."""
    c = opened(Turns(proxy))
    for key in c.held()[:3]:
        c.conn.ask(BEGIN)
        c.conn.ask(c.lookup(key))
        time.sleep(0.3)
        assert c.conn.value("SELECT clock_timestamp() - now() > '200 ms'") == "t"
        c.conn.ask(COMMIT)


@pytest.mark.parametrize("commit", [True, False])
def test_a_write_of_others_is_seen(db, direct, proxy, opened, commit):  # noqa: F811
    c, writer = opened(Turns(proxy)), opened(Turns(proxy))
    keys = c.held()
    c.conn.ask(BEGIN)
    c.conn.ask(c.lookup(keys[0]))
    if commit:
        c.conn.ask(COMMIT)
    writer.conn.sql("UPDATE book SET title = '%s' WHERE author_id = %s" % (NEW, keys[1]))
    rows = proto.rows(c.conn.ask(c.lookup(keys[1])))
    assert titles(rows) == titles(c.past(keys[1]))


def test_another_default_level(db, direct, proxy, opened):  # noqa: F811
    """What is held is of no use then, so the server gets BEGIN at once."""
    c = opened(Turns(proxy))
    keys = c.held()
    c.conn.sql("SET default_transaction_isolation = 'repeatable read'")
    for key in keys[:3]:
        c.conn.ask(BEGIN)
        c.conn.ask(c.lookup(key))
        direct.sql("UPDATE book SET title = '%s' || title" % NEW)
        rows = proto.rows(c.conn.ask(c.lookup(key)))
        assert titles(rows) == titles(c.past(key))
        c.conn.ask(COMMIT)


def test_in_one_flight(db, direct, proxy, opened):  # noqa: F811
    """All statements of the transaction are sent without waiting."""
    def action(c, keys):
        out = []
        for key in keys[:6]:
            out.append(proto.wire(c.conn.ask(BEGIN, c.lookup(key), COMMIT, count=3)))
            out.append(proto.wire(c.conn.ask(BEGIN + c.lookup(key) + query("SELECT 1/0") + c.lookup(key) + COMMIT, count=5)))
        return out
    both(db, proxy, opened, action)


def test_cancelled(db, direct, proxy, opened):  # noqa: F811
    """Cancel requests at any moment: no answer is lost, none comes twice, no connection is."""
    c = opened(Turns(proxy))
    stop = threading.Event()

    def cancel():
        while not stop.is_set():
            with proxy.dial() as x:
                x.send(proto.cancel_request(c.conn.pid, c.conn.secret))
            time.sleep(0.002)
    t = threading.Thread(target=cancel)
    t.start()
    try:
        for _ in range(2):
            for key in BOOKS.keys(db)[:30]:
                for data in (BEGIN, c.lookup(key[0][1]), query("SELECT 1"), ROLLBACK):
                    got = c.conn.ask(data)
                    assert not proto.errors(got) or proto.errors(got)[0]["C"] in ("57014", "25P02"), proto.errors(got)
    finally:
        stop.set()
        t.join()
    c.conn.ask(ROLLBACK)
    keys = c.list()
    assert c.turn(keys[0])[1] == c.past(keys[0])


def test_the_server_goes(db, direct, proxy, opened):  # noqa: F811
    c = opened(Turns(proxy))
    keys = c.held()
    direct.sql("SELECT pg_terminate_backend(%d)" % int(c.conn.value("SELECT pg_backend_pid()")))
    with pytest.raises((proto.Closed, OSError)):
        for key in keys:
            c.turn(key)


@pytest.mark.parametrize("end", [COMMIT, ROLLBACK])
def test_unnamed_statement(db, proxy, opened, end):  # noqa: F811
    """Queries end the client's unnamed statement, also those that the server does not hear of."""
    def action(c, keys):
        run = proto.bind() + proto.execute() + proto.SYNC
        asked = [proto.parse("SELECT count(*) FROM generate_series(1, 7)") + run, BEGIN, end, run, proto.parse("SELECT 2") + run]
        return [proto.wire(c.conn.ask(data)) for data in asked]

    both(db, proxy, opened, action)
