# SPDX-License-Identifier: PostgreSQL
"""What is pgfold's own in front of a client's statement does not hold it up, whatever the server process waits for there: a change of a
table is queued behind somebody's transaction, or the catalogue is locked, and the client's statement needs neither."""
import contextlib
import itertools

import pytest

import conftest
import proto
from busy import unless_busy
from proto import SYNC, bind, close, describe, execute, parse, query, unit
from test_waits import queued_change

fresh = itertools.count()


@pytest.fixture
def impatient(long_lived):
    return long_lived(batching__patience="20ms", batching__timeout="10min", lookahead__max_gap="1s", lookahead__max_age="60s")


@pytest.fixture
def tables(pg):
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS kept, other")
        a.sql("CREATE TABLE kept (a int PRIMARY KEY, b int)")
        a.sql("CREATE TABLE other (a int PRIMARY KEY, b int)")
        for t in ("kept", "other"):
            a.sql("INSERT INTO %s SELECT i, i * 10 FROM generate_series(1, 100) i" % t)
            a.sql("GRANT ALL ON %s TO PUBLIC" % t)
        yield a


TEXTS = ["SELECT b, %d AS n FROM kept WHERE a = $1" % i for i in range(3)]
NAMES = ["s%d" % i for i in range(len(TEXTS))]


def learn(folding, conns):
    """What the server says to these texts becomes known, on sessions of one identity."""
    for _ in range(0 if conftest.DIRECT else 30):
        for text in TEXTS:
            for i, c in enumerate(conns):
                c.send(unit(text, [i + 1]))
            for c in conns:
                c.ready()
        for text in TEXTS:
            conns[0].ask(parse(text, "x") + describe("S", "x") + SYNC, close("S", "x") + SYNC, count=2)
        with folding.locked("kept", settle=0):  # the server could not answer
            conns[1].send(parse(TEXTS[0], "x") + describe("S", "x") + SYNC, close("S", "x") + SYNC)
            here = conns[1].readable(0.5)
        conns[1].ready(2)
        if here:
            return
    with unless_busy():
        assert conftest.DIRECT, "the server is asked for what is known"


@pytest.fixture
def lazy(folding, impatient, tables):
    """A session that has statements on `kept` of which its server has not heard."""
    conns = folding.connections(impatient, 6)
    learn(folding, conns)
    for text, name in zip(TEXTS, NAMES):
        assert not proto.errors(conns[1].ask(parse(text, name) + describe("S", name) + SYNC))
    return conns[1]


@contextlib.contextmanager
def change_is_queued(pg):
    with pg.connect() as holder:
        holder.sql("BEGIN")
        holder.sql("SELECT b FROM kept WHERE a = 1")
        with queued_change(pg, holder, "ALTER TABLE kept ADD queued int"):
            yield


AGAINST = {
    "begin": [query("BEGIN")],
    "begin and a lookup": [query("BEGIN"), unit("SELECT b FROM other WHERE a = $1", [5])],
    "repeatable read": [query("BEGIN ISOLATION LEVEL REPEATABLE READ"), query("SELECT b FROM other WHERE a = 5")],
    "a write": [query("UPDATE other SET b = b WHERE a = 5")],
    "a write, extended": [unit("UPDATE other SET b = b WHERE a = $1", [5])],
    "a setting": [query("SET statement_timeout = 0")],
    "search_path": [query("SET search_path = public")],
    "several": [query("SELECT 1; SELECT 2")],
    "do": [query("DO $$BEGIN END$$")],
    "reset": [query("RESET ALL")],
    "pipeline": [parse("UPDATE other SET b = b WHERE a = $1") + bind(["5"]) + execute()
                 + parse("SELECT b FROM other WHERE a = 5") + bind() + execute() + SYNC],
    "in a transaction": [query("BEGIN"), query("SELECT count(*) FROM other"), query("UPDATE other SET b = b WHERE a = 5")],
    "create": [query("CREATE TEMP TABLE IF NOT EXISTS x_%d (a int)" % next(fresh))],
}


@pytest.mark.parametrize("what", AGAINST)
def test_prepared_statements_do_not_hold_up(pg, lazy, what):
    """Nobody waits for the change but who uses the statement, and it is there when it is used."""
    with change_is_queued(pg):
        for u in AGAINST[what]:
            got = lazy.ask(u)
            assert not proto.errors(got), proto.errors(got)
        if lazy.status == "T":
            lazy.sql("COMMIT")
    for name in NAMES:
        got = lazy.ask(bind([5], name) + describe() + execute() + SYNC)
        assert proto.rows(got)[0][0] == b"50", got


def test_the_unnamed_statement_does_not_hold_up(pg, lazy):
    """What the client has prepared without a name stays, and nobody waits for its tables but who runs it; a unit that fails before it
    comes to another one leaves it as it was."""
    lazy.ask(parse("SELECT b, 0 AS n FROM kept WHERE a = $1") + describe("S") + SYNC)
    with change_is_queued(pg):
        got = lazy.ask(parse("SELECT b FROM other WHERE a = 5", "another") + bind((), "another") + execute() + SYNC)
        assert proto.rows(got) == [[b"50"]], got
        got = lazy.ask(parse("SELECT 1/0 FROM other", "fails") + bind((), "fails") + execute() + parse("SELECT 2") + SYNC)
        assert [e["C"] for e in proto.errors(got)] == ["22012"]
    got = lazy.ask(bind([5]) + describe() + execute() + SYNC)
    assert proto.rows(got)[0][0] == b"50", got


def test_prepared_inside_a_transaction(folding, impatient, tables, pg):
    """Lookups with names of their own that were folded, and a write behind them."""
    conns = folding.connections(impatient, 6)
    learn(folding, conns)
    for c in conns:
        c.sql("BEGIN")
        c.sql("SELECT count(*) FROM other")
    for c in conns:
        c.send(unit(TEXTS[1], [5], name="inside"))
    for c in conns:
        assert proto.rows(c.ready())[0][0] == b"50"
    with contextlib.ExitStack() as stack:
        for c in conns[1:]:
            c.sql("COMMIT")
        if not conftest.DIRECT:  # there each transaction holds the table
            stack.enter_context(change_is_queued(pg))
        got = conns[0].ask(query("UPDATE other SET b = b WHERE a = 5"))
        assert proto.types(got) == "CZ" and got[-1].body == b"T", got
        got = conns[0].ask(query("DEALLOCATE inside"))
        assert proto.types(got) == "CZ" and got[-1].body == b"T", got
        conns[0].sql("COMMIT")
    for c in conns[1:]:
        assert proto.rows(c.ask(bind([5], "inside") + execute() + SYNC))[0][0] == b"50"


LOCKED = ["proc", "aggregate", "operator", "class", "attribute", "type", "namespace", "index", "rewrite", "constraint", "inherits", "policy", "statistic",
          "authid", "auth_members", "db_role_setting"]


@contextlib.contextmanager
def locked_catalogue(pg):
    with pg.admin() as admin:
        admin.sql("BEGIN")
        admin.sql("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE" % ", ".join("pg_catalog.pg_" + t for t in LOCKED))
        yield
        admin.sql("COMMIT")


@pytest.mark.parametrize("inside", [False, True])
def test_the_catalogue_is_locked(folding, pg, impatient, tables, inside):
    """pgfold asks it, the client's statement does not need it; nor does the server for the client's, whose functions its process knows.
    The first session asks what pgfold wants to know; the process of the others does not know the functions of such questions."""
    conns = folding.connections(impatient, 3)
    text = "SELECT %s FROM other WHERE b < 60 AND a > 4 ORDER BY b"
    called = ["abs(b)", "sign(b)", "mod(b, 7)", "b"]
    for c in conns:
        for _ in range(8 if c is conns[0] else 2):
            for s in ["BEGIN"] + [text % f for f in called] + ["SELECT b FROM other WHERE a = 5", "COMMIT"]:
                c.sql(s)
    with locked_catalogue(pg):
        for c in reversed(conns):
            if inside:
                c.sql("BEGIN")
            for both in ("abs(b), sign(b)", "sign(b), mod(b, 7)"):
                assert len(c.sql(text % both)) == 1
            if inside:
                c.sql("COMMIT")


def test_the_catalogue_is_locked_for_who_gives_a_statement(folding, pg, impatient, tables):
    """A prepared statement that pgfold answered itself, and gives the server in front of what may ask for it."""
    conns = folding.connections(impatient, 6)
    learn(folding, conns)
    c = conns[-1]
    write = "UPDATE other SET b = 7 WHERE a = 5"  # a trigger might ask for it
    for _ in range(2):
        c.sql(write)
    assert not proto.errors(c.ask(parse(TEXTS[1], "later") + describe("S", "later") + SYNC))
    with locked_catalogue(pg):
        c.sql(write)
    assert c.sql("EXECUTE later(5)") == [("50", "1")] and c.sql("SHOW lock_timeout") == c.sql("SHOW statement_timeout") == [("0",)]


def test_a_statement_is_given_behind_a_begin_that_is_on_its_way(folding, pg, impatient, tables):
    """What bounds the giving neither ends the client's transaction nor stays in it."""
    conns = folding.connections(impatient, 6)
    learn(folding, conns)
    sent = [query("BEGIN"), query("UPDATE other SET b = 8 WHERE a = 5"), query("SHOW lock_timeout"), query("SAVEPOINT a"), query("RELEASE a"), query("COMMIT"),
            query("EXECUTE later(5)")]
    with pg.connect() as direct:
        answers = []
        for c in (direct, conns[-1]):
            assert not proto.errors(c.ask(parse(TEXTS[1], "later") + describe("S", "later") + SYNC))
            answers.append(c.ask(*sent, count=len(sent)))
    assert answers[1] == answers[0] and proto.rows(answers[0])[0] == [b"0"]


ASKS = {
    "a function": [query("SELECT ex('EXECUTE free')")],
    "do": [query("DO $$BEGIN EXECUTE 'EXECUTE free'; END$$")],
    "several": [query("SELECT 1; EXECUTE free")],
    "execute": [query("EXECUTE free")],
    "again": [query("SELECT ex('EXECUTE free')")] * 3,
    "lock_timeout": [query("SET lock_timeout = '100ms'"), query("SELECT ex('EXECUTE free')"), query("EXECUTE s0(5)"), query("EXECUTE s0(5)"),
                     query("EXECUTE free"), query("SHOW lock_timeout")],
    "statement_timeout": [query("SET statement_timeout = '100ms'"), query("EXECUTE s0(5)"), query("EXECUTE free")],
    "in a transaction": [query("SET lock_timeout = '100ms'"), query("BEGIN"), query("SELECT count(*) FROM other"), query("EXECUTE s0(5)"),
                         query("EXECUTE free"), query("ROLLBACK"), query("EXECUTE free")],
}
FREE = "SELECT b, 7 AS n FROM other WHERE a = 5"


def told(got):
    return [(m.type, {k: proto.fields(m.body)[k] for k in "SCM"}) if m.type == "E" else (m.type, m.body) for m in got]


@pytest.mark.parametrize("what", ASKS)
def test_who_asks_for_a_prepared_statement(pg, folding, impatient, tables, what):
    """What it asks for is there, whoever has locked a table of another one, and its error is PostgreSQL's."""
    tables.sql("CREATE OR REPLACE FUNCTION ex(text) RETURNS int LANGUAGE plpgsql AS 'BEGIN EXECUTE $1; RETURN 1; END'")
    conns = folding.connections(impatient, 6)
    learn(folding, conns)
    for _ in range(6):
        for c in conns:
            c.ask(unit(FREE, []))
        conns[0].ask(parse(FREE, "x") + describe("S", "x") + SYNC, close("S", "x") + SYNC, count=2)
    answers = []
    with pg.connect() as direct:
        for c in (direct, conns[1]):
            for text, name in zip(TEXTS + [FREE], NAMES + ["free"]):
                assert not proto.errors(c.ask(parse(text, name) + describe("S", name) + SYNC))
            with folding.locked("kept", settle=0):
                got = [told(c.ask(u)) for u in ASKS[what]]
            answers.append(got + [told(c.ask(query("SELECT ex('EXECUTE s0(5)')"))),
                                  told(c.ask(query("SELECT name FROM pg_prepared_statements WHERE name !~ '^pgfold_' ORDER BY name")))])
    assert answers[1] == answers[0]
