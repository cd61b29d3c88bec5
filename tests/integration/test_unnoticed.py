# SPDX-License-Identifier: PostgreSQL
"""pgfold's own statements cannot be noticed: neither by what the transaction sees, nor in the server's lists of what is prepared and
open, nor by what a client may call its own."""
import itertools
import time

import pytest

import proto
from proto import SYNC, bind, close, describe, execute, parse, query

KEYS = range(1, 13)
fresh = itertools.count()
LOOKUP = "SELECT a, b AS new_%d FROM seen WHERE a = $1"
PREPARED = "SELECT name FROM pg_prepared_statements ORDER BY 1"
CURSORS = "SELECT name, statement FROM pg_cursors ORDER BY 1"


@pytest.fixture
def seen(pg):
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS seen")
        a.sql("CREATE TABLE seen (a int PRIMARY KEY, b int)")
        a.sql("INSERT INTO seen SELECT i, 0 FROM generate_series(1, 100) i")
        a.sql("GRANT ALL ON seen TO PUBLIC")
        yield a


def run(text, *values):
    return parse(text) + bind(values) + describe() + execute()


def acquainted(folding, end, **login):
    """A session that has read a list and followed it, in transactions too."""
    c, = folding.connections(end, 1, **login)
    for begin in ("BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN"):
        c.sql(begin)
        for a, _ in c.sql("SELECT a, b FROM seen ORDER BY a LIMIT 20"):
            c.ask(run("SELECT a, b FROM seen WHERE a = $1", a) + SYNC)
        c.sql("COMMIT")
        c.sql("SELECT a, b FROM seen ORDER BY a LIMIT 20")
    return c


# What stands in front of a SELECT of a new shape, in one unit with it.
WAITING = {
    "lock": (["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["LOCK TABLE seen"]),
    "lock, level set before": (["BEGIN", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"], ["LOCK TABLE seen"]),
    "lock, level set in it": (["BEGIN"], ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "LOCK TABLE seen"]),
    "lock, level set locally": (["BEGIN"], ["SET LOCAL transaction_isolation = 'repeatable read'", "LOCK TABLE seen"]),
    "lock, all in it": ([], ["BEGIN ISOLATION LEVEL REPEATABLE READ", "LOCK TABLE seen"]),
    "lock, by default": (["SET default_transaction_isolation = 'repeatable read'", "BEGIN"], ["LOCK TABLE seen"]),
    "savepoint and lock": (["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["SAVEPOINT a", "LOCK TABLE seen"]),
    "show and lock": (["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["SHOW work_mem", "LOCK TABLE seen"]),
}


@pytest.mark.parametrize("what", WAITING)
def test_snapshot_behind_a_lock(folding, proxy, seen, what):
    """The snapshot is the first SELECT's, behind the lock that its transaction has waited for."""
    before, inside = WAITING[what]
    c = acquainted(folding, proxy)
    for n in range(1, 3):
        for s in before:
            c.sql(s)
        seen.sql("BEGIN")
        seen.sql("UPDATE seen SET b = %d WHERE a = 5" % n)
        c.send(b"".join(run(s) for s in inside) + run(LOOKUP % next(fresh), 5) + run("UPDATE seen SET b = b WHERE a = $1", 5) + SYNC)
        time.sleep(0.3)
        seen.sql("COMMIT")
        got = c.ready()
        assert not proto.errors(got), proto.errors(got)
        assert proto.rows(got)[-1] == [b"5", b"%d" % n]
        c.sql("COMMIT")
        c.sql("RESET default_transaction_isolation")


FIRST = ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, DEFERRABLE",
         "SET LOCAL transaction_isolation = 'serializable'", "SET TRANSACTION SNAPSHOT '%s'"]


@pytest.mark.parametrize("first", FIRST)
@pytest.mark.parametrize("lazy", [False, True])
def test_set_transaction_comes_first(folding, pg, proxy, seen, first, lazy):
    c = acquainted(folding, proxy)
    snapshot = None
    if "%s" in first:
        seen.sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        snapshot = seen.value("SELECT pg_export_snapshot()")
        first = first % snapshot
    for form in ("one unit", "two units", "simple"):
        if lazy:  # a statement that the server may not have got yet
            name = "l%d" % next(fresh)
            for n in ("x" + name, name):
                c.ask(parse("SELECT a, b FROM seen WHERE a = $1", n) + describe("S", n) + SYNC)
        c.sql("BEGIN ISOLATION LEVEL REPEATABLE READ" if snapshot else "BEGIN")
        text = LOOKUP % next(fresh)
        if form == "one unit":
            got = c.ask(run(first) + run(text, 5) + SYNC)
        elif form == "two units":
            got = c.ask(run(first) + SYNC, run(text, 5) + SYNC, count=2)
        else:
            got = c.ask(query(first), query(text.replace("$1", "5")), count=2)
        assert not proto.errors(got), proto.errors(got)
        assert proto.rows(got) == [[b"5", b"0"]]
        c.sql("COMMIT")
    if snapshot:
        seen.sql("COMMIT")


def test_nothing_is_prepared(folding, proxy, seen):
    """As long as its connection has run no batch."""
    c, = folding.connections(proxy, 1)
    for begin in ("BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN"):
        assert c.sql(PREPARED) == []
        c.sql(begin)
        for _ in range(2):
            assert c.sql(PREPARED) == [] and c.sql(CURSORS) == [("", CURSORS)][:0]
            c.sql(LOOKUP.replace("$1", "1") % next(fresh))
            c.ask(run(LOOKUP % next(fresh), 1) + SYNC)
        assert c.value("SELECT txid_current_if_assigned()") is None
        c.sql("COMMIT")
        assert c.sql(PREPARED) == []


def test_cursors_of_ours_are_closed(folding, pg, proxy, seen):
    """Lookups of several transactions fold; what is open in each of them is what its client has opened."""
    conns = folding.connections(proxy, 12)
    units = [run("SELECT a, b FROM seen WHERE a = $1", k) + SYNC for k in KEYS]
    folding.warm(conns, units, "seen")
    for _ in range(3):
        for c in conns:
            c.sql("ROLLBACK")
            c.sql("BEGIN")
        replies, calls = folding.burst(conns, units, "seen")
        assert [proto.rows(r) for r in replies] == [[[b"%d" % k, b"0"]] for k in KEYS]
    folding.assert_folded(calls, len(conns))
    for c in conns:
        assert c.sql("SELECT name, statement FROM pg_cursors WHERE statement !~ 'pg_cursors'") == []
        assert [e["C"] for e in proto.errors(c.ask(execute() + SYNC))] == ["34000"]
        c.sql("ROLLBACK")


def test_portal_of_the_client(folding, pg, proxy, seen):
    """Its unnamed portal stays, and may be run again, whatever is asked between."""
    conns = folding.connections(proxy, 12)
    units = [query("SELECT a, b FROM seen WHERE a = %d" % k) for k in KEYS]
    folding.warm(conns, units, "seen")

    def ask(c):
        out = c.ask(query("BEGIN"))
        out += c.ask(parse("SELECT a FROM seen ORDER BY a", "list") + bind([], "list") + execute(2) + SYNC)
        out += c.ask(bind([7], "named") + execute() + SYNC)
        out += c.ask(execute(2) + SYNC)
        return out + c.ask(query("ROLLBACK"))
    name = parse("SELECT a, b FROM seen WHERE a = $1", "named") + describe("S", "named") + SYNC
    with pg.connect() as direct:
        direct.ask(name)
        wanted = ask(direct)
    for c in conns:
        c.ask(name)
        assert ask(c) == wanted


@pytest.mark.parametrize("prepare", [query("PREPARE pgfold_x AS SELECT 1"), parse("SELECT 1", "pgfold_x") + SYNC])
@pytest.mark.parametrize("between", ["SELECT 1", "SELECT 1; COMMIT"])
def test_a_name_that_is_taken(pg, proxy, prepare, between):
    """Like ours, and given by a statement, or forgotten behind several: it stays the client's."""
    with pg.connect() as direct, proxy.connect() as c:
        for text in (parse("SELECT 2", "pgfold_x") + SYNC, bind([], "pgfold_x") + execute() + SYNC):
            for first in (prepare, query(between), text):
                wanted = direct.ask(first)
                assert c.ask(first) == wanted


@pytest.mark.parametrize("name", ["pgfold_release", "pgfold_savepoint", "pgfold_vet", "pgfold_query", "pgfold_repair", None])
def test_names_are_the_clients(folding, pg, proxy, seen, name):
    """Also those that pgfold has used on its connection; what a client has called so is never touched."""
    conns = folding.connections(proxy, 12)
    units = [run("SELECT a, b FROM seen WHERE a = $1", k) + SYNC for k in KEYS]
    folding.warm(conns, units, "seen")
    for c in conns:
        c.sql("BEGIN")
    folding.burst(conns, units, "seen")
    taken = [[n for n, in c.sql(PREPARED) if n.startswith("pgfold_")] for c in conns]
    for c in conns:
        c.sql("COMMIT")
    for c, names in zip(conns, taken):
        for mine in [name] if name else names:
            got = c.ask(parse("SELECT 'mine'::text", mine) + SYNC)
            assert not proto.errors(got), proto.errors(got)
            assert proto.errors(c.ask(query("PREPARE %s AS SELECT 1" % mine)))[0]["C"] == "42P05"
    for _ in range(2):
        for c in conns:
            c.sql("BEGIN")
        replies, _ = folding.burst(conns, units, "seen")
        assert [proto.rows(r) for r in replies] == [[[b"%d" % k, b"0"]] for k in KEYS]
        for c, names in zip(conns, taken):
            for mine in [name] if name else names:
                assert proto.rows(c.ask(bind([], mine) + execute() + SYNC)) == [[b"mine"]]
            c.sql("COMMIT")
    for c, names in zip(conns, taken):
        for mine in [name] if name else names:
            c.ask(close("S", mine) + SYNC)


# Each, behind a query: what it says depends on whether there was one in its transaction.
AFTER_A_QUERY = ["SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET TRANSACTION ISOLATION LEVEL READ COMMITTED",
                 "SET TRANSACTION READ ONLY", "SET TRANSACTION READ WRITE", "SET TRANSACTION DEFERRABLE", "SET TRANSACTION NOT DEFERRABLE",
                 "SET LOCAL transaction_isolation = 'serializable'", "SET transaction_isolation TO 'repeatable read'",
                 "SET SESSION TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY", "RESET transaction_isolation",
                 "SET TRANSACTION SNAPSHOT '00000003-0000001B-1'", "SELECT set_config('transaction_isolation', 'serializable', true)",
                 "BEGIN ISOLATION LEVEL SERIALIZABLE", "START TRANSACTION READ WRITE", "DISCARD ALL", "SET LOCAL transaction_read_only = off",
                 "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL REPEATABLE READ", "SET SESSION AUTHORIZATION DEFAULT",
                 "/* a comment */ set transaction isolation level serializable", "SHOW transaction_isolation; SET TRANSACTION DEFERRABLE",
                 "DO $$BEGIN SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; END$$", "COMMIT; SET TRANSACTION READ ONLY",
                 "SAVEPOINT a; SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "SELECT pg_current_xact_id_if_assigned() IS NULL",
                 "SELECT now() = statement_timestamp()", "SELECT current_setting('transaction_isolation')"]
FORMS = {"simple": lambda text: query(text), "extended": lambda text: run(text) + SYNC,
         "behind another": lambda text: run("SHOW work_mem") + run(text) + SYNC, "behind a Flush": lambda text: parse("") + proto.FLUSH + run(text) + SYNC}


@pytest.mark.parametrize("form, begin", zip(FORMS, 2 * ["BEGIN", "BEGIN READ ONLY"]))
def test_behind_a_query_that_ran_elsewhere(folding, pg, proxy, seen, form, begin):
    conns = folding.connections(proxy, len(AFTER_A_QUERY))
    units = [run("SELECT a, b FROM seen WHERE a = $1", k + 1) + SYNC for k in range(len(conns))]
    folding.warm(conns, units, "seen")
    texts = [t for t in AFTER_A_QUERY if form == "simple" or ";" not in t]
    with pg.connect() as direct:
        for c in conns:
            c.sql(begin)
        _, calls = folding.burst(conns, units, "seen")
        folding.assert_folded(calls, len(conns))
        for c, text in zip(conns, texts):
            direct.sql(begin)
            direct.ask(units[0])
            ask = FORMS[form](text), query("SELECT current_setting('transaction_isolation')"), query("ROLLBACK"), query("RESET ALL")
            wanted = [direct.ask(u) for u in ask]
            got = [c.ask(u) for u in ask]
            assert [proto.mask(m, parameters=False) for m in got] == [proto.mask(m, parameters=False) for m in wanted], text
