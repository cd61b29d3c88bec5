# SPDX-License-Identifier: PostgreSQL
"""Lookups and writes that are sent in one flight with the BEGIN of their transaction: in its unit, as pgjdbc does, in its Query, or right behind it."""
import threading
import time

import pytest

import conftest
import proto
from ahead import Reader, Watch
from busy import unless_busy
from test_lookahead import (BOOKS, DATABASE, NEW, db, direct, made, opened, proxy,  # noqa: F401
                            titles)

COMMIT = proto.query("COMMIT")


class Riding:
    """A client whose transactions begin with the first statement. `way`: how."""

    def __init__(self, end, way, begin="BEGIN", relation=None, **login):
        self.conn, self.way, self.begin, self.got = end.connect(database=DATABASE, **login), way, begin, []
        self.relation = relation or BOOKS.fresh()
        if way == "named":
            self.conn.ask(proto.parse(begin, "S_1"), proto.parse(self.relation.sql, "S_2"), proto.describe("S", "S_2"), proto.SYNC)

    def list(self):
        return [r[0].decode() for r in proto.rows(self.conn.ask(proto.unit(self.relation.parents, [])))]

    def bytes(self, key):
        sql = self.relation.sql
        if self.way == "unit":
            return proto.parse(self.begin) + proto.bind() + proto.execute() + proto.unit(sql, [key]), 1
        if self.way == "described":
            return proto.parse(self.begin) + proto.bind() + proto.describe() + proto.execute() + proto.unit(sql, [key]), 1
        if self.way == "named":
            return proto.bind(name="S_1") + proto.execute() + proto.unit(sql, [key], name="S_2", want_parse=False), 1
        if self.way == "two units":
            return proto.query(self.begin) + proto.unit(sql, [key]), 2
        return proto.query(self.begin) + proto.query(sql.replace("$1", key)), 2

    def ask(self, key, commit=True):
        """The rows; everything that came is kept."""
        data, n = self.bytes(key)
        got = self.conn.ask(data, count=n)
        self.got.append(proto.wire([m for m in got if m.type != "N"]))  # a warning tells its line in the server's source
        if commit:
            self.got.append(proto.wire(self.conn.ask(COMMIT)))
        return proto.rows(got)

    def close(self):
        self.conn.close()


WAYS = ["unit", "described", "named", "two units", "two queries"]


def lookups_at(watch, conn, relation):
    return len([s for s in watch.reads(relation.table, conn) if s.text != relation.parents])


@pytest.mark.parametrize("way", WAYS)
def test_a_transaction_each(db, direct, proxy, opened, way):  # noqa: F811
    """Each has the answer that it has directly, to the byte, and few lookups are sent."""
    want, have = opened(Riding(db, way)), opened(Riding(proxy, way))
    have.relation = want.relation
    if way == "named":
        have = opened(Riding(proxy, way, relation=want.relation))
    for page in range(3):
        watch = Watch(db)
        for c in (want, have):
            for key in c.list()[:60]:
                c.ask(key)
        assert have.got == want.got
        sent = lookups_at(watch, have.conn, have.relation)
    with unless_busy():
        assert conftest.DIRECT or sent <= 60 / 3, "page %d: %d of 60 lookups" % (page, sent)


def held(c):
    """Goes on until an answer was given without a statement; the key that comes next."""
    keys = c.list()
    for key in keys[:12]:
        c.ask(key)
    return keys[12:]


def past(c, key):
    """The same, by the server alone."""
    return proto.rows(c.conn.ask(proto.query("/* pgfold:skip */ " + c.relation.sql.replace("$1", key))))


@pytest.mark.parametrize("way", WAYS)
def test_a_write_is_seen_at_once(db, direct, proxy, opened, way):  # noqa: F811
    c, writer = opened(Riding(proxy, way)), opened(Reader(proxy))
    keys = held(c)
    writer.say("UPDATE book SET title = '%s' WHERE author_id = %s" % (NEW, keys[0]))
    assert titles(c.ask(keys[0])) == titles(past(c, keys[0]))
    c.conn.sql("UPDATE book SET title = 'own' WHERE author_id = %s" % keys[1])
    assert titles(c.ask(keys[1])) == titles(past(c, keys[1]))


@pytest.mark.parametrize("begin", ["BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY",
                                   "SET SESSION CHARACTERISTICS"])
@pytest.mark.parametrize("way", WAYS)
def test_a_snapshot_shows_nothing_of_before(db, direct, proxy, opened, way, begin):  # noqa: F811
    """Written past pgfold: within the bounds a READ COMMITTED transaction may miss it, and one with a snapshot may not."""
    c = opened(Riding(proxy, way))
    keys = held(c)
    if begin.startswith("SET"):
        c.conn.sql("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        c.ask(keys.pop(0))
    elif way == "named":
        c.conn.ask(proto.close("S", "S_1"), proto.parse(begin, "S_1"), proto.SYNC)
    else:
        c.begin = begin
    direct.sql("UPDATE book SET title = '%s'" % NEW)
    assert titles(c.ask(keys[0])) <= {NEW.encode()}
    assert titles(c.ask(keys[1])) <= {NEW.encode()}


def test_begin_fails(db, direct, proxy, opened):  # noqa: F811
    """Its name is taken: the server skips the rest of the unit, a lookup whose answer is held."""
    got = []
    for end in (db, proxy):
        c = opened(Riding(end, "named", relation=BOOKS))
        keys = held(c)
        wrong = proto.parse("BEGIN", "S_1")
        for key in keys[:3]:
            got.append(proto.wire(c.conn.ask(wrong + c.bytes(key)[0])))
            got.append(proto.wire(c.conn.ask(proto.query("SELECT 1"))))
            got.append(c.ask(key))
    assert got[:len(got) // 2] == got[len(got) // 2:]


def test_begin_inside_a_transaction(db, direct, proxy, opened):  # noqa: F811
    """A warning, and the lookup is answered in the transaction that there is."""
    got = []
    for end in (db, proxy):
        c = opened(Riding(end, "unit", relation=BOOKS))
        keys = held(c)
        c.got = []
        for key in keys[:3]:
            c.ask(key, commit=False)
        c.conn.ask(proto.query("SELECT 1/0"))
        c.ask(keys[3], commit=False)
        c.conn.sql("ROLLBACK")
        got.append(c.got)
    assert got[0] == got[1]


@pytest.mark.parametrize("way", ["unit", "named", "two units"])
def test_in_pieces(db, direct, proxy, opened, way):  # noqa: F811
    """However the bytes are cut."""
    got = []
    for end in (db, proxy):
        c = opened(Riding(end, way, relation=BOOKS))
        keys, out = held(c), []
        data, n = c.bytes(keys[0])
        for at in range(1, len(data), 7):
            data, _ = c.bytes(keys[at % len(keys)])
            c.conn.send(data[:at])
            time.sleep(0.001)
            out.append(proto.wire(c.conn.ask(data[at:], count=n)))
            c.conn.sql("COMMIT")
        got.append(out)
    assert got[0] == got[1]


def test_more_than_a_lookup_behind_it(db, direct, proxy, opened):  # noqa: F811
    got = []
    for end in (db, proxy):
        c = opened(Riding(end, "unit", relation=BOOKS))
        keys, out = held(c), []
        begin = proto.parse("BEGIN") + proto.bind() + proto.execute()
        several = [lambda k: begin + proto.unit(BOOKS.sql, [k])[:-len(proto.SYNC)] + proto.unit(BOOKS.sql, [k]),
                   lambda k: begin + proto.unit("SELECT 1/0", []),
                   lambda k: begin + proto.unit("UPDATE book SET title = 'x' WHERE author_id = " + k, [])[:-len(proto.SYNC)] + proto.unit(BOOKS.sql, [k]),
                   lambda k: begin + proto.parse(BOOKS.sql) + proto.bind([k]) + proto.describe() + proto.execute(1) + proto.SYNC,
                   lambda k: begin + proto.parse("SELECT") + proto.SYNC,
                   lambda k: begin + proto.unit("COMMIT", [])[:-len(proto.SYNC)] + proto.unit(BOOKS.sql, [k])]
        for i, one in enumerate(several):
            for data in (one(keys[i]), proto.query("ROLLBACK")):
                out.append(proto.wire([m for m in c.conn.ask(data) if m.type != "N"]))
        got.append(out)
    assert got[0] == got[1]


@pytest.mark.pgfold
@pytest.mark.parametrize("text", ["BEGIN; INSERT INTO scratch VALUES (1, 'a;b')", "BEGIN; INSERT INTO scratch VALUES (1, 'saved')", "start transaction ; update scratch set b = 'x';"])
def test_save_then_render_in_one_query(db, direct, proxy, opened, text):  # noqa: F811
    c = opened(Riding(proxy, "unit"))
    for page in range(4):
        watch = Watch(db)
        assert not proto.errors(c.conn.ask(proto.query(text)))
        for key in c.list()[:60]:
            rows = proto.rows(c.conn.ask(proto.unit(c.relation.sql, [key])))
            assert rows == past(c, key) or page
        c.conn.sql("ROLLBACK")
        sent = lookups_at(watch, c.conn, c.relation)
        with unless_busy():
            assert page == 0 or sent <= 80, "page %d: %d of 120 lookups" % (page, sent)


@pytest.mark.parametrize("text", ["BEGIN; UPDATE book SET title = 'mine'", "BEGIN; DELETE FROM book WHERE author_id > 3"])
def test_own_write_in_the_query_of_begin(db, direct, proxy, opened, text):  # noqa: F811
    c = opened(Riding(proxy, "unit"))
    keys = held(c)
    old = past(c, keys[0])
    c.conn.ask(proto.query(text))
    for key in keys[:4]:
        assert proto.rows(c.conn.ask(proto.unit(c.relation.sql, [key]))) == past(c, key)
    c.conn.sql("ROLLBACK")
    assert c.ask(keys[0]) == old == past(c, keys[0])


def test_cancelled(db, direct, proxy, opened):  # noqa: F811
    """Cancel requests at any moment: no answer is lost, none comes twice."""
    c = opened(Riding(proxy, "unit"))
    stop = threading.Event()

    def cancel():
        while not stop.is_set():
            with proxy.dial() as x:
                x.send(proto.cancel_request(c.conn.pid, c.conn.secret))
            time.sleep(0.002)
    t = threading.Thread(target=cancel)
    t.start()
    try:
        for _ in range(3):
            keys = c.list()
            for key in keys[:30]:
                got = c.conn.ask(c.bytes(key)[0])
                assert got[-1].type == "Z"
                assert not proto.errors(got) or proto.errors(got)[0]["C"] in ("57014", "25P02"), proto.errors(got)
                c.conn.ask(proto.query("ROLLBACK"))
    finally:
        stop.set()
        t.join()
    time.sleep(0.1)
    c.conn.ask(proto.query("ROLLBACK"))
    for key in keys[:5]:
        assert c.ask(key) == past(c, key)


def test_the_server_goes(db, direct, proxy, opened):  # noqa: F811
    c = opened(Riding(proxy, "unit"))
    keys = held(c)
    direct.sql("SELECT pg_terminate_backend(%d)" % int(c.conn.value("SELECT pg_backend_pid()")))
    with pytest.raises((proto.Closed, OSError)):
        for key in keys:
            c.ask(key)
