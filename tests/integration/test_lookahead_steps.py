# SPDX-License-Identifier: PostgreSQL
"""Loops over numbers that no list supplies. Few statements, nothing old for who asks for the same numbers again, and little loaded in vain."""
import pytest

import ahead
import conftest
from ahead import PATIENT, Reader, Relation, Watch
from busy import unless_busy
from test_lookahead import lookups_sent, through_both

FRAMINGS = ["simple", "psycopg", "pgx", "pgjdbc"]


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    return pg


@pytest.fixture(scope="module")
def proxy(db, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


@pytest.fixture
def opened():
    out = []
    yield lambda x: out.append(x) or x
    for x in out:
        x.close()


@pytest.fixture
def direct(db):
    with db.admin(ahead.DATABASE) as c:
        yield c
        c.sql("UPDATE many SET name = 'name ' || id WHERE name <> 'name ' || id")


def many():
    return Relation("", "SELECT id, name FROM many WHERE id = $1", ["int4"], "many").fresh()



@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("begin", [None, "BEGIN"])
@pytest.mark.parametrize("step", [1, -1, 3])
def test_twelve_loops(db, proxy, framing, begin, step):
    relation, times, length = many(), 12, 50

    def action(reader):
        for time in range(times):
            if begin:
                reader.say(begin)
            first = 1000 * time + (500 if time % 2 else 700)
            for i in range(length):
                reader.ask(relation.sql, ("int4", str(first + step * i)))
            if begin:
                reader.say("COMMIT")
    watch, conn = through_both(db, proxy, framing, action)
    sent = lookups_sent(watch, conn, relation)
    with unless_busy():
        assert sent == times * length if conftest.DIRECT else sent <= times * 12, "%d of %d statements" % (sent, times * length)


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("sql", ["SELECT n, what FROM line WHERE region = 1 AND no = $1 ORDER BY n", "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"])
def test_other_shapes(db, proxy, framing, sql):
    relation = Relation("", sql, ["int4"], "line" if "line" in sql else "book").fresh()
    watch, conn = through_both(db, proxy, framing, lambda r: [r.ask(relation.sql, ("int4", str(i))) for i in range(1, 61)])
    with unless_busy():
        assert conftest.DIRECT or lookups_sent(watch, conn, relation) <= 20


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("first,step", [(2147483600, 1), (2147483637, 3), (-2147483648 + 40, -1)])
def test_the_end_of_the_type(db, proxy, framing, first, step):
    relation = many()
    keys = [k for k in range(first, first + 41 * step, step) if -2**31 <= k < 2**31]
    watch, _ = through_both(db, proxy, framing, lambda r: [r.ask(relation.sql, ("int4", str(k))) for k in keys])
    with open(watch.path, "rb") as f:
        f.seek(watch.at)
        assert b"ERROR" not in f.read()


@pytest.mark.parametrize("framing", FRAMINGS)
def test_who_asks_for_the_same_numbers_again(proxy, direct, opened, framing):
    """Each round is answered by the server, while a neighbour goes through the same numbers for the first time, and steps of the poller's own
    lead there."""
    relation, poller = many(), opened(Reader(proxy, framing))
    keys = range(200, 220)
    for time in range(6):
        for key in list(range(195 - 10 * time, 200)) * (time % 2):  # comes by steps to what it asks again
            poller.ask(relation.sql, ("int4", str(key)))
        neighbour = opened(Reader(proxy, framing))
        for key in range(180, 205):
            neighbour.ask(relation.sql, ("int4", str(key)))
        if time:
            direct.sql("UPDATE many SET name = 'time %d' WHERE id BETWEEN 200 AND 220" % time)
        got = [poller.ask(relation.sql, ("int4", str(key)))[0][1] for key in keys]
        assert got == [b"time %d" % time if time else b"name %d" % key for key in keys]


@pytest.mark.parametrize("framing", ["simple", "pgx"])
def test_one_that_is_asked_for_again_in_the_middle(proxy, direct, opened, framing):
    relation, reader = many(), opened(Reader(proxy, framing))
    for i in range(300, 340):
        reader.ask(relation.sql, ("int4", str(i)))
        direct.sql("UPDATE many SET name = 'new %d' WHERE id = %d" % (i, i - 2))
        assert reader.ask(relation.sql, ("int4", str(i - 2)))[0][1] == b"new %d" % i
        reader.ask(relation.sql, ("int4", str(i)))


@pytest.mark.parametrize("framing", FRAMINGS)
@pytest.mark.parametrize("own", [True, False])
def test_a_write_through_pgfold(proxy, direct, opened, framing, own):
    relation, reader, other = many(), opened(Reader(proxy, framing)), opened(Reader(proxy))
    writer = reader if own else other
    for i in range(400, 460):
        if i % 7 == 0:
            writer.say("UPDATE many SET name = 'written' WHERE id = %d" % (i + 1))
        assert reader.ask(relation.sql, ("int4", str(i)))[0][1] == (b"written" if i % 7 == 1 and i > 405 else b"name %d" % i)


@pytest.mark.pgfold
@pytest.mark.parametrize("length", [3, 4, 5, 8])
def test_short_ones(db, proxy, opened, length):
    """Loops that stop after a few steps cost hardly more than directly."""
    relation, reader, watch, loops = many(), opened(Reader(proxy, "pgx")), Watch(db), 40
    for time in range(loops):
        for i in range(length):
            reader.ask(relation.sql, ("int4", str(10000 + 100 * time + i)))
    sent = len(watch.reads("many", reader.conn))
    keys = sum(len(b) for b in watch.batches("many", relation.sql, reader.conn))
    with unless_busy():
        assert sent <= 1.1 * loops * length + 8 and keys <= 12 * loops


@pytest.mark.pgfold
def test_random_keys(db, proxy, opened):
    relation, reader, watch, state = many(), opened(Reader(proxy, "pgx")), Watch(db), 7
    for _ in range(300):
        state = state * 1103515245 + 12345 & 0x7fffffff
        reader.ask(relation.sql, ("int4", str(20000 + state // 65536 % 30000)))
    assert not watch.batches("many", relation.sql, reader.conn)
