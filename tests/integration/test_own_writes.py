# SPDX-License-Identifier: PostgreSQL
"""What a connection itself does between two turns of a loop: what could have changed what is held for it drops that, and nothing else does."""
import pytest

import conftest
import proto
import servers
from ahead import AUTHORS, PATIENT, Reader
from busy import unless_busy
from test_lookahead import (BOOKS, DATABASE, NEW, OTHERS, RC, REVIEW, RR, TWO, act, change, db,  # noqa: F401
                            direct, looping, made, opened, proxy, titles, undone)

SKIP = "/* pgfold:skip */ "
ALL = "UPDATE book SET title = 'changed'"
LATER = ("who leaves", "opaque")  # these leave no connection to loop on


def asked_past(loop, relation, values):
    """The same over the same connection, without anything held."""
    return loop.reader.ask(SKIP + relation.sql, *values), loop.reader.failure


INSIDE = ["update", "insert", "upsert", "in a WITH", "function", "view", "rule", "trigger", "deferred trigger", "cascade", "a join's other table", "partition", "copy"]
CASES = [(what, "simple", None) for what in OTHERS if what not in LATER] + [(what, f, b) for what in INSIDE for f, b in (("pgx", RC), ("simple", RR))]


@pytest.mark.parametrize("what, framing, begin", CASES)
def test_seen_at_once(undone, db, direct, proxy, looping, what, framing, begin):  # noqa: F811
    actions, relation = OTHERS[what]
    if what == "merge" and int(direct.value("SHOW server_version_num")) < 150000:
        pytest.skip("needs PostgreSQL 15")
    loop = looping(relation=relation, framing=framing, begin=begin, user=servers.SUPERUSER)
    if relation is REVIEW:  # a book that has reviews
        while not direct.sql("SELECT 1 FROM review WHERE book_id = " + loop.key):
            loop.next()
    relation, values = loop.relation, loop.keys[loop.at]
    old = asked_past(loop, relation, values)
    loop.hold() if relation is not REVIEW else None
    relation, values = loop.relation, loop.keys[loop.at]
    act(loop.conn, actions, loop.key)
    got = loop.next(), loop.reader.failure
    past = asked_past(loop, relation, values)
    assert got == past or (begin and got[1] and past[1] == "25P02")  # the transaction is aborted then
    if begin is None:
        assert got != old


# What is written, and what goes back.
BACK = {
    "to a savepoint": (["SAVEPOINT s", ALL], ["ROLLBACK TO s"]),
    "to a savepoint behind an error": (["SAVEPOINT s", ALL], ["SELECT 1/0", "ROLLBACK TO s"]),
    "to a savepoint behind another": (["SAVEPOINT s", ALL, "SAVEPOINT t"], ["RELEASE t", "ROLLBACK TO SAVEPOINT s"]),
    "all": ([ALL], ["ROLLBACK"]),
    "all and chained": ([ALL], ["ROLLBACK AND CHAIN"]),
    "all behind an error": ([ALL], ["SELECT 1/0", "COMMIT"]),
    "a trigger": (["SAVEPOINT s", "INSERT INTO ping SELECT id FROM author"], ["ROLLBACK TO s"]),
    "a function": (["SELECT retitle(id) FROM author"], ["ROLLBACK"]),
    "a cascade": (["SAVEPOINT s", "DELETE FROM author WHERE id > 5"], ["ROLLBACK TO s"]),
}


@pytest.mark.parametrize("framing, begin", [("simple", RC), ("pgx", RC), ("simple", RR)])
@pytest.mark.parametrize("what", BACK)
def test_what_goes_back(undone, db, direct, looping, what, framing, begin):  # noqa: F811
    """Rows are held that show what the transaction has written."""
    first, then = BACK[what]
    loop = looping(framing=framing, begin=begin)
    act(loop.conn, first, "0")
    for _ in range(12):
        loop.next()
    for s in then:
        loop.conn.ask(proto.query(s))
    for _ in range(3):
        assert NEW.encode() not in titles(loop.next())
        values = loop.keys[loop.at]
        assert loop.next() == asked_past(loop, loop.relation, values)[0]
    loop.conn.ask(proto.query("ROLLBACK"))


NOTHING = {
    "a write to another table": (None, ["INSERT INTO scratch VALUES (1, 'x')"]),
    "one that reads the table": (None, ["INSERT INTO scratch SELECT id, title FROM book WHERE id < 3 RETURNING a"]),
    "one in a WITH": (None, ["WITH w AS (DELETE FROM scratch RETURNING a) SELECT count(*) FROM w"]),
    "a transaction": (None, ["BEGIN"]),
    "a transaction that reads": (None, ["BEGIN", "SELECT count(*) FROM tag", "COMMIT"]),
    "one that may only read": (None, ["BEGIN READ ONLY", "ROLLBACK"]),
    "a transaction that writes": (None, ["BEGIN", "INSERT INTO scratch VALUES (1, 'x')", "SAVEPOINT s", "UPDATE scratch SET b = 'y'", "ROLLBACK TO s", "COMMIT"]),
    "a savepoint": (RC, ["SAVEPOINT s", "RELEASE s"]),
    "its end": (RC, ["COMMIT"]),
    "its end behind a write": (RC, ["DELETE FROM scratch", "ROLLBACK"]),
    "the next one": (RC, ["COMMIT AND CHAIN"]),
    "SET TRANSACTION": (None, ["BEGIN", "SET TRANSACTION READ ONLY"]),
    "nothing": (None, ["", ";", "-- ping"]),
    "chance and time": (None, ["SELECT random(), clock_timestamp()", "SELECT pg_catalog.gen_random_uuid()"]),
    "the last key": (None, [lambda c, k: c.ask(proto.query("SELECT LASTVAL()"))]),
    "SHOW": (None, ["SHOW work_mem"]),
    "a setting that is set": (None, ["SET work_mem = '5MB'"]),
    "Sync": (None, [lambda c, k: c.ask(proto.SYNC)]),
    "nothing, extended": (None, [lambda c, k: c.ask(proto.unit("", []))]),
}


@pytest.mark.pgfold
@pytest.mark.parametrize("what, framing", [(what, TWO[i % 2]) for i, what in enumerate(NOTHING)])
def test_what_drops_nothing(undone, db, direct, looping, what, framing):  # noqa: F811
    begin, actions = NOTHING[what]
    loop = looping(framing=framing, begin=None)
    act(loop.conn, ["SET work_mem = '5MB'"], "0")
    loop.hold()
    if begin:
        loop.reader.say(begin)
        loop.hold()
    act(loop.conn, actions, "0")
    values = loop.keys[loop.at]
    loop.next()
    with unless_busy():
        assert not loop.was_sent(values), "nothing is held any more"


# By whichever way it gets its snapshot, it shows nothing of before.
SNAPSHOTS = {
    "BEGIN": [RR],
    "SET TRANSACTION": ["BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"],
    "a default": ["SET default_transaction_isolation = 'repeatable read'", "BEGIN"],
    "characteristics": ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "BEGIN"],
    "a snapshot of another's": None,
    "START": ["START TRANSACTION ISOLATION LEVEL SERIALIZABLE"],
}


@pytest.mark.parametrize("what, framing", [(what, TWO[i % 2]) for i, what in enumerate(SNAPSHOTS)])
def test_a_snapshot_shows_nothing_of_before(undone, db, direct, looping, opened, what, framing):  # noqa: F811
    loop = looping(framing=framing)
    assert loop.at < 17  # who is behind has no books
    change(direct, loop)
    statements = SNAPSHOTS[what]
    if not statements:
        other = opened(db.connect(database=DATABASE))
        other.sql(RR)
        statements = [RR, "SET TRANSACTION SNAPSHOT '%s'" % other.value("SELECT pg_export_snapshot()")]
    act(loop.conn, statements, "0")
    assert titles(loop.next()) == {NEW.encode()}


@pytest.mark.parametrize("framing", TWO)
def test_a_default_snapshot_set_before(undone, db, direct, looping, framing):  # noqa: F811
    """Outside transactions its loops are held, and inside nothing of them."""
    loop = looping(framing=framing)
    loop.conn.sql("SET default_transaction_isolation = 'repeatable read'")
    for _ in range(2):
        loop.hold()
        while loop.key in ("18", "19"):  # have no books
            loop.next()
        change(direct, loop)
        loop.conn.sql("BEGIN")
        assert titles(loop.next()) == {NEW.encode()}
        loop.conn.sql("COMMIT")


SET = "set_config('search_path', 'elsewhere, public', false)"
LEADS = {
    "pg_settings": "UPDATE pg_settings SET setting = 'elsewhere, public' WHERE name = 'search_path'",
    "a default": "INSERT INTO elsewhere.l_default (a) VALUES (1)",
    "a check": "INSERT INTO elsewhere.l_check (a) VALUES (1)",
    "a policy": "INSERT INTO elsewhere.l_policy (a) VALUES (1)",
    "a child's check": "UPDATE elsewhere.l_parent SET a = 2",
    "in the statement": "INSERT INTO elsewhere.l_plain (b) SELECT " + SET,
}


@pytest.fixture(scope="module")
def elsewhere(db):  # noqa: F811
    """Made before pgfold asks what runs by a write."""
    with db.admin(DATABASE) as c:
        for s in ("SCHEMA elsewhere", "TABLE elsewhere.book (id int, author_id int, title text, price numeric(8,2))", "TABLE elsewhere.l_plain (a int, b text)",
                  "TABLE elsewhere.l_default (a int, b text DEFAULT %s)" % SET, "TABLE elsewhere.l_check (a int CHECK (%s <> ''))" % SET,
                  "TABLE elsewhere.l_policy (a int)", "POLICY l ON elsewhere.l_policy WITH CHECK (%s <> '')" % SET, "TABLE elsewhere.l_parent (a int)",
                  "TABLE elsewhere.l_child (CHECK (%s <> '')) INHERITS (elsewhere.l_parent)" % SET):
            c.sql("CREATE " + s)
        for s in ("ALTER TABLE elsewhere.l_policy ENABLE ROW LEVEL SECURITY", "INSERT INTO elsewhere.l_child VALUES (1)"):
            c.sql(s)
        yield c
        c.sql("DROP SCHEMA elsewhere CASCADE")


def leads_elsewhere(loop, statement):
    loop.conn.sql(statement)
    for _ in range(5):
        assert loop.next() == []


@pytest.mark.parametrize("what", LEADS)
def test_settings_that_a_write_changes(undone, db, direct, looping, made, elsewhere, what):  # noqa: F811
    """By functions of the server's alone: pg_settings is a view that sets what is written to it."""
    elsewhere.sql("GRANT ALL ON SCHEMA elsewhere TO PUBLIC")
    elsewhere.sql("GRANT ALL ON ALL TABLES IN SCHEMA elsewhere TO PUBLIC")
    leads_elsewhere(looping(end=None if conftest.DIRECT else made(lookahead__max_keys="90")), LEADS[what])


@pytest.mark.parametrize("framing", TWO)
def test_a_lock_behind_a_write(undone, db, direct, looping, framing):  # noqa: F811
    loop = looping(framing=framing)
    change(direct, loop)
    loop.conn.sql("INSERT INTO scratch SELECT id, title FROM book WHERE id = 1 FOR UPDATE")
    assert titles(loop.next()) == {NEW.encode()}


@pytest.mark.pgfold
@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("turn", [["INSERT INTO scratch VALUES (1, 'read')"], ["SAVEPOINT s", "UPDATE scratch SET b = 'x'", "ROLLBACK TO s"], ["BEGIN", None, "COMMIT"],
                                  ["BEGIN", "INSERT INTO scratch VALUES (1, 'read')", None, "COMMIT"]], ids=["write", "savepoint", "transaction", "writing transaction"])
def test_in_each_turn(undone, db, direct, proxy, opened, turn, framing):  # noqa: F811
    """The loop, again and again on one connection; its answers are those of now."""
    inside = "SAVEPOINT s" in turn
    reader, relation = opened(Reader(proxy, framing)), BOOKS.fresh()
    for _ in range(4):
        before = counted(direct)
        if inside:
            reader.say("BEGIN")
        reader.ask(relation.parents)
        for n in range(1, 61):
            for statement in turn if None in turn else turn + [None]:
                if statement:
                    reader.say(statement)
                else:
                    assert len(reader.ask(relation.sql, ("int4", str(n)))) in (0, 3)
        if inside:
            reader.say("COMMIT")
        sent = counted(direct) - before
    with unless_busy():
        assert sent < 20, "%d of 60 lookups" % sent


def counted(direct):
    direct.sql("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
    return int(direct.value("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = s.dbid "
                            "WHERE datname = '%s' AND query ~ 'FROM book' AND query !~ 'pg_stat'" % DATABASE))


@pytest.mark.pgfold
@pytest.mark.parametrize("write", ["INSERT INTO scratch VALUES (1, 'saved')", "INSERT INTO ping VALUES (0)"], ids=["plain", "with a trigger"])
@pytest.mark.parametrize("together", [False, True])
def test_save_then_render(undone, db, direct, proxy, opened, write, together):  # noqa: F811
    """A transaction that begins with a write, again and again; also with BEGIN in the unit of the write, as pgjdbc sends it."""
    reader, relation = opened(Reader(proxy, "pgx")), BOOKS.fresh()
    for _ in range(6):
        before = counted(direct)
        units = [proto.unit("BEGIN", []), proto.unit(write, [])]
        if together:
            units = [units[0][:-len(proto.SYNC)] + units[1]]
        for u in units:
            assert not proto.errors(reader.conn.ask(u))
        reader.ask(relation.parents)
        for n in range(1, 61):
            reader.ask(relation.sql, ("int4", str(n)))
        reader.say("COMMIT")
        sent = counted(direct) - before
    with unless_busy():
        assert sent < 20, "%d of 60 lookups" % sent


# In a transaction, behind a write, and how often the server hears of the 30 statements that the driver prepares and closes.
PREPARED = {
    "a write": (RC, ["INSERT INTO scratch VALUES (1, 'x')"], 3),
    "a snapshot": (RR, ["SELECT 1"], 30),
    "a definition": (RC, ["CREATE TABLE made (a int)"], 30),
}


@pytest.mark.pgfold
@pytest.mark.parametrize("what", PREPARED)
def test_what_a_driver_prepares_each_time(undone, db, direct, looping, what):  # noqa: F811
    """PDO's way. The server hears of it where what the statement means may be another than before."""
    begin, actions, most = PREPARED[what]
    loop = looping(framing="pdo", begin=None)
    loop.hold()
    loop.reader.say(begin)
    act(loop.conn, actions, "0")
    loop.reader.ask(AUTHORS)
    loop.watch.mark()
    got = [loop.reader.ask(loop.relation.sql, *values) for values in loop.keys[:30]]
    sent = [s.text for s in loop.watch.seen()]
    assert got == [loop.reader.ask(SKIP + loop.relation.sql, *values) for values in loop.keys[:30]]
    closed = sum(s.startswith("DEALLOCATE") for s in sent)
    assert most < 30 or closed >= 25, sent
    with unless_busy():
        assert closed <= most, sent
    loop.reader.say("ROLLBACK")


# What changes the meaning of what a driver prepares next, in a transaction that has written.
MEANS = {
    "a setting": ["SET search_path = elsewhere, public"],
    "a setting for now": ["SET LOCAL search_path = elsewhere, public"],
    "by a function": ["SELECT set_config('search_path', 'elsewhere, public', false)"],
    "and back": ["SAVEPOINT s", "SET search_path = elsewhere, public", "ROLLBACK TO s"],
    "a temporary table": ["CREATE TEMP TABLE book (id int, author_id int, title varchar, price numeric(8,2))"],
}


@pytest.mark.parametrize("what", MEANS)
def test_what_a_driver_prepares_behind_a_change(undone, db, direct, proxy, opened, elsewhere, what):  # noqa: F811
    elsewhere.sql("GRANT ALL ON SCHEMA elsewhere TO PUBLIC")
    elsewhere.sql("GRANT ALL ON ALL TABLES IN SCHEMA elsewhere TO PUBLIC")
    relation, got = BOOKS.fresh(), []
    for end in (db, proxy):
        reader = opened(Reader(end, "pdo"))
        got.append([])

        def loop(first, last):
            got[-1] += [(reader.ask(relation.sql, ("int4", str(n))), reader.failure) for n in range(first, last)]
        for _ in range(3):
            reader.ask(AUTHORS)
            loop(1, 12)
            reader.say("BEGIN", "INSERT INTO scratch VALUES (1, 'x')")
            reader.ask(AUTHORS)
            loop(1, 6)
            reader.say(*MEANS[what])
            loop(6, 12)
            reader.ask(AUTHORS)
            loop(1, 12)
            reader.say("ROLLBACK")
            loop(1, 6)
    assert got[0] == got[1]


@pytest.mark.pgfold
def test_settings_that_a_domain_changes(undone, db, direct, looping, start_pgfold, elsewhere):  # noqa: F811
    """The last test: as long as there is such a domain, every write counts for all tables."""
    elsewhere.sql("CREATE DOMAIN elsewhere.d AS int CHECK (%s <> '')" % SET)
    elsewhere.sql("DROP TABLE IF EXISTS elsewhere.l_domain")
    elsewhere.sql("CREATE TABLE elsewhere.l_domain (a elsewhere.d)")
    elsewhere.sql("GRANT ALL ON SCHEMA elsewhere TO PUBLIC")
    elsewhere.sql("GRANT ALL ON ALL TABLES IN SCHEMA elsewhere TO PUBLIC")
    try:
        leads_elsewhere(looping(end=start_pgfold({**PATIENT})), "INSERT INTO elsewhere.l_domain (a) VALUES (1)")
    finally:
        elsewhere.sql("DROP DOMAIN elsewhere.d CASCADE")
