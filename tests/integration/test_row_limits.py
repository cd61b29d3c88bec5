# SPDX-License-Identifier: PostgreSQL
"""Lookups inside transactions whose Execute limits the number of rows: asyncpg's fetchrow and fetchval, JDBC's setMaxRows. The portal stays open behind the
unit, and the client may execute it again. The bytes are those that PostgreSQL sends."""
import random

import pytest

import conftest
import proto
from busy import unless_busy
from test_lookahead import db, direct, made, opened, proxy, through_both  # noqa: F401
from test_wire_loops import fresh, keep

LIST = "SELECT id, name, tenant_id FROM author ORDER BY id"
ONE = "SELECT name, id FROM author WHERE id = $1"
MANY = "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"


def lookup(name, key, limit, describe=False, close=False):
    return proto.bind([key], name) + (proto.describe("P") if describe else b"") + proto.execute(limit) + (proto.close("P") if close else b"") + proto.SYNC


def prepare(reader, sql, name):
    keep(reader, reader.conn.ask(proto.parse(sql, name), proto.describe("S", name), proto.SYNC))


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("kind, limit, close", [("one", 1, False), ("count", 1, False), ("many", 500, False), ("first", 1, True)])
def test_a_loop(db, proxy, begin, kind, limit, close):
    """Each answer has at most as many rows as the client wants; or the client closes the portal itself, as sqlx does."""
    texts = {"one": ONE, "count": "SELECT count(*) FROM book WHERE author_id = $1", "many": MANY, "first": MANY}
    sql = fresh(texts[kind])

    def action(reader):
        c = reader.conn
        prepare(reader, sql, "s")
        for _ in range(3):
            reader.say(begin)
            for row in keep(reader, c.ask(proto.query(LIST))):
                keep(reader, c.ask(lookup("s", row[0], limit, close=close)))
            reader.say("COMMIT")
    watch, conn = through_both(db, proxy, "pg", action)
    sent = len(watch.reads("author" if kind == "one" else "book", conn)) - (3 if kind == "one" else 0)
    with unless_busy():
        assert conftest.DIRECT or sent <= 45


@pytest.mark.parametrize("seed", range(6))
def test_portals_that_are_executed_again(db, proxy, seed):
    """More rows than the limit are fetched from the portal, which shows its own moment; of an answer that was complete there are none."""
    one, many = fresh(ONE), fresh(MANY)

    def action(reader):
        dice, c = random.Random(seed), reader.conn
        prepare(reader, one, "one")
        prepare(reader, many, "many")
        for turn in range(6):
            reader.say("BEGIN" if turn % 2 else "BEGIN READ ONLY")
            for row in keep(reader, c.ask(proto.query(LIST)))[:dice.randrange(4, 50)]:
                if not dice.randrange(6):  # its portal has more rows, at the server
                    keep(reader, c.ask(lookup("many", row[0], dice.choice([1, 2]), dice.random() < 0.2, dice.random() < 0.1)))
                unit = lookup("one", row[0], dice.choice([0, 1, 1, 2]), dice.random() < 0.2, dice.random() < 0.1)
                last = keep(reader, c.ask(unit))
            keep(reader, c.ask(lookup("one", last[0][1], 1)))
            units = [[proto.execute(dice.choice([0, 1, 2])) + proto.SYNC], [proto.execute(1) + proto.SYNC] * 2,
                     [proto.bind([last[0][1]], "many") + proto.execute(1) + proto.bind([last[0][1]], "one") + proto.execute(1) + proto.SYNC, proto.execute() + proto.SYNC],
                     [lookup("many", last[0][1], 1), lookup("one", last[0][1], 1), proto.execute() + proto.SYNC],
                     [lookup("one", last[0][1], 1), lookup("many", last[0][1], 1), proto.execute() + proto.SYNC],
                     [proto.query("SELECT %d" % turn), lookup("one", last[0][1], 1), proto.execute() + proto.SYNC],
                     [proto.execute() + proto.execute(1) + lookup("one", last[0][1], 1), proto.execute() + proto.FLUSH + proto.execute() + proto.SYNC],
                     [proto.execute() + lookup("many", last[0][1], 1), proto.execute() + proto.describe("P") + proto.execute(2) + proto.SYNC],
                     [proto.close("P") + proto.SYNC, lookup("one", last[0][1], 1), proto.execute() + proto.close("P") + proto.SYNC, proto.execute() + proto.SYNC]][dice.randrange(9)]
            if dice.random() < 0.5:
                keep(reader, c.ask(*units, count=len(units)))
            else:
                for u in units:
                    keep(reader, c.ask(u))
            reader.say("COMMIT")
    through_both(db, proxy, "pg", action)


def test_the_portal_ends_with_its_transaction(db, proxy):
    sql = fresh(ONE)

    def action(reader):
        c = reader.conn
        prepare(reader, sql, "s")
        for end in ("COMMIT", "ROLLBACK"):
            reader.say("BEGIN")
            for row in keep(reader, c.ask(proto.query(LIST)))[:20]:
                keep(reader, c.ask(lookup("s", row[0], 1)))
            keep(reader, c.ask(proto.execute() + proto.SYNC))
            reader.say(end)
            keep(reader, c.ask(proto.execute() + proto.SYNC))
            reader.say("BEGIN")
            keep(reader, c.ask(lookup("s", b"3", 1)))
            reader.say("SELECT 1")
            keep(reader, c.ask(proto.execute() + proto.SYNC))
            reader.say("ROLLBACK")
    through_both(db, proxy, "pg", action)


@pytest.mark.parametrize("ends", ["closed", "Query", "SET", "DEALLOCATE", "answered"])
def test_a_portal_that_the_client_has_closed(db, proxy, ends):
    """It is gone, although the server, which did not hear of it, still has the one before."""
    one, many = fresh(ONE), fresh(MANY)

    def action(reader):
        c = reader.conn
        prepare(reader, one, "one")
        prepare(reader, many, "many")
        for turn in range(3):
            prepare(reader, fresh(ONE) if conftest.DIRECT else one + " ", "again%d" % turn)
            late = turn == 1 and ends != "answered"  # the server has not heard of the transaction
            rows = keep(reader, c.ask(proto.query(LIST))) if late else []
            for row in rows[:9]:
                keep(reader, c.ask(lookup("one", row[0], 1)))
            reader.say("BEGIN")
            if not late:
                rows = keep(reader, c.ask(proto.query(LIST)))
                keep(reader, c.ask(lookup("many", rows[0][0], 1)))
            for row in rows[9 if late else 0:20]:
                if ends == "Query":
                    keep(reader, c.ask(proto.query(one.replace("$1", row[0].decode()))))
                else:
                    keep(reader, c.ask(lookup("one", row[0], 1, close=ends == "closed")))
            if ends in ("SET", "DEALLOCATE"):
                reader.say("SET pgfold.tags = 'a=b'" if ends == "SET" else "DEALLOCATE again%d" % turn)
            unit = (b"" if ends == "answered" or turn % 2 else proto.describe("P")) + proto.execute() + proto.SYNC
            got = c.ask(*([unit] if turn < 2 else [unit[:-5], proto.FLUSH, proto.SYNC]))
            error = [(e["S"], e["C"], e["M"]) for e in proto.errors(got)]
            reader.got.append((error or [m.body for m in got], [m.type for m in got]))
            reader.say("SELECT 1")
            reader.say("ROLLBACK")
    through_both(db, proxy, "pg", action)
