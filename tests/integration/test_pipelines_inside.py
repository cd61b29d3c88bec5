# SPDX-License-Identifier: PostgreSQL
"""Inside transactions that have only read: several lookups with one Sync fold as they do outside, and statements are prepared and closed without
the server. What the client gets is what PostgreSQL sends, errors in the middle included; the log tells what reached the server."""
import pytest

import conftest
import proto
from ahead import DATABASE, Reader, Watch
from busy import unless_busy
from test_cancel import cancel, wait_active
from test_lookahead import db, direct, made, opened, proxy, through_both  # noqa: F401
from test_wire_loops import fresh, keep

SQL = "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"
FAILS = "SELECT id, 100 / (author_id - 30) FROM book WHERE author_id = $1 ORDER BY id"


def parts(keys, name="p", describes=True):
    return [proto.bind([b"%d" % k], name) + (proto.describe("P") if describes else b"") + proto.execute() for k in keys]


def warm(reader, sql, name="p"):
    """Prepared, known and vetted."""
    c = reader.conn
    keep(reader, c.ask(proto.parse(sql, name), proto.describe("S", name), proto.SYNC))
    for k in (1, 2):
        keep(reader, c.ask(*parts([k, k + 2], name), proto.SYNC))


@pytest.mark.parametrize("describes", [True, False])
@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY"])
def test_several_lookups_with_one_sync(db, proxy, begin, describes):
    sql = fresh(SQL)

    def action(reader):
        warm(reader, sql)
        for _ in range(3):
            reader.say(begin)
            for at in range(0, 60, 20):
                keep(reader, reader.conn.ask(*parts(range(at + 1, at + 21), describes=describes), proto.SYNC))
            reader.say("COMMIT")
    watch, conn = through_both(db, proxy, "pg", action)
    sent = len(watch.reads("book", conn))
    with unless_busy():
        assert sent == 184 if conftest.DIRECT else sent <= 24, sent


@pytest.mark.parametrize("spent", ["UPDATE tag SET name = name WHERE id = 1", "SET LOCAL work_mem = '5MB'", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"])
def test_other_transactions_send_them_as_they_came(db, proxy, spent):
    sql = fresh(SQL)

    def action(reader):
        warm(reader, sql)
        reader.say("BEGIN", spent)
        keep(reader, reader.conn.ask(*parts(range(1, 21)), proto.SYNC))
        reader.say("ROLLBACK")
    watch, conn = through_both(db, proxy, "pg", action)
    assert sum(watch.sent(sql, [("int4", str(k))], conn) for k in range(5, 21)) == 16


@pytest.mark.parametrize("at", [0, 7, 19])
def test_an_error_among_them_ends_the_transaction(db, proxy, at):
    """Those before it are answered, those behind it are not, and whatever comes then is refused until the end."""
    sql, good = fresh(FAILS), fresh(SQL)

    def action(reader):
        c = reader.conn
        warm(reader, sql)
        warm(reader, good, "q")
        for end in ("ROLLBACK", "COMMIT"):
            reader.say("BEGIN")
            keep(reader, c.ask(*parts(range(1, 21), "q"), proto.SYNC))
            keep(reader, c.ask(*parts(range(30 - at, 50 - at)), proto.SYNC))
            keep(reader, c.ask(*parts(range(1, 21), "q"), proto.SYNC))
            keep(reader, c.ask(proto.parse(good, "r"), proto.describe("S", "r"), proto.SYNC))
            keep(reader, c.ask(proto.query("SELECT 1")))
            reader.say(end)
            keep(reader, c.ask(*parts(range(1, 21), "q"), proto.SYNC))
    through_both(db, proxy, "pg", action)


@pytest.mark.parametrize("first", [0, 1])
def test_units_that_are_under_way_when_one_fails(db, proxy, first):
    """Three units in one flight: behind the one that fails all others fail, too, though their rows may be there."""
    sql, good = fresh(FAILS), fresh(SQL)

    def action(reader):
        c = reader.conn
        warm(reader, sql)
        warm(reader, good, "q")
        reader.say("BEGIN")
        units = [b"".join(parts(range(25, 35))) + proto.SYNC, b"".join(parts(range(1, 11), "q")) + proto.SYNC, b"".join(parts(range(11, 21), "q")) + proto.SYNC]
        if first:
            units[0] = parts([30])[0] + proto.SYNC  # a lookup by itself
        keep(reader, c.ask(*units, count=3))
        reader.say("ROLLBACK")
        keep(reader, c.ask(*units[1:], count=2))
    through_both(db, proxy, "pg", action)


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
def test_statements_are_prepared_and_closed_without_the_server(db, proxy, end):
    """As PDO does for each lookup."""
    sql = fresh(SQL)

    def action(reader):
        c = reader.conn
        for turn in range(3):
            if turn:
                reader.say("BEGIN")
            for row in keep(reader, c.ask(proto.query("SELECT id FROM author ORDER BY id"))):
                name = "pdo_%s_%d" % (row[0].decode(), turn)
                keep(reader, c.ask(proto.parse(sql, name), proto.describe("S", name), proto.SYNC))
                keep(reader, c.ask(proto.bind([row[0]], name), proto.execute(), proto.SYNC))
                keep(reader, c.ask(proto.query("DEALLOCATE " + name)))
            if turn:
                reader.say(end)
    watch, conn = through_both(db, proxy, "pg", action)
    closed = sum(s.text.startswith("DEALLOCATE") for s in watch.seen(conn))
    with unless_busy():
        assert closed == 180 if conftest.DIRECT else closed < 90, closed


@pytest.mark.parametrize("asks", ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION READ WRITE"])
def test_a_parse_is_a_query_for_what_follows(db, proxy, asks):
    """SET TRANSACTION is refused behind it (25001), as it is where the server has had it."""
    sql = fresh(SQL)

    def action(reader):
        c = reader.conn
        warm(reader, sql)
        for begin in ("BEGIN", "BEGIN READ ONLY"):
            for messages in ([proto.parse(sql, "s"), proto.describe("S", "s"), proto.SYNC], [proto.query("DEALLOCATE s")], []):
                reader.say(begin)
                if messages:
                    keep(reader, c.ask(*messages))
                reader.say(asks, "ROLLBACK")
    through_both(db, proxy, "pg", action)


def test_a_table_that_is_altered_inside(db, proxy, direct, opened):
    """The transaction gets the error of a plan that is too old, and has failed then."""
    sql = "SELECT * FROM tag WHERE id = $1"
    with proxy.connect(database=DATABASE) as c:
        for _ in range(3):
            c.ask(proto.parse(sql, "s"), proto.describe("S", "s"), proto.SYNC)
            c.ask(proto.bind([b"1"], "s"), proto.execute(), proto.SYNC)
            c.ask(proto.close("S", "s"), proto.SYNC)
        c.ask(proto.query("BEGIN"))
        c.ask(proto.parse(sql, "s"), proto.describe("S", "s"), proto.SYNC)
        try:
            direct.sql("SET lock_timeout = '200ms'")
            direct.sql("ALTER TABLE tag ADD COLUMN more int")
        except proto.ServerError:
            return  # the server has the statement: its lock is held
        try:
            got = c.ask(proto.bind([b"7"], "s"), proto.execute(), proto.SYNC)
            assert [e["C"] for e in proto.errors(got)] == ["0A000"] and got[-1].body == b"E"
            assert proto.errors(c.ask(proto.query("SELECT 1")))[0]["C"] == "25P02"
            assert c.ask(proto.query("ROLLBACK"))[-1].body == b"I"
        finally:
            direct.sql("ALTER TABLE tag DROP COLUMN more")


def test_a_cancelled_unit_aborts_its_transaction(db, proxy):
    """Its lookups wait for a batch of pgfold's; the server must know that the client was told of an error."""
    sql = fresh(SQL)

    def action(end):
        reader = Reader(end, "pg")
        c = reader.conn
        with c, db.admin(DATABASE) as locker, db.admin(DATABASE) as watcher:
            warm(reader, sql)
            reader.say("BEGIN")
            locker.sql("BEGIN")
            locker.sql("LOCK TABLE book IN ACCESS EXCLUSIVE MODE")
            c.send(*parts(range(1, 11)), proto.SYNC)
            wait_active(watcher, c.pid)
            cancel(end, c.pid, c.secret)
            got = c.ready()
            locker.sql("ROLLBACK")
            return proto.errors(got)[0]["C"], got[-1].body, proto.errors(c.ask(proto.query("SELECT 1")))[0]["C"]
    assert action(proxy) == action(db) == ("57014", b"E", "25P02")
