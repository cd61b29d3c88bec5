# SPDX-License-Identifier: PostgreSQL
"""The framings in which drivers send a lookup, message by message: each must fold, and what comes back must be what
PostgreSQL sends, byte for byte. See Folding in conftest.py for how lookups are made to meet.

A framing is a function of key and round that gives the steps of one lookup: (bytes, types of the message that ends
the wait). The step marked RUN is the one that is sent while the table is locked."""
import contextlib
import struct
import time

import pytest

import proto
from busy import unless_busy
from proto import FLUSH, SYNC, bind, close, describe, execute, parse, query

N = 12
KEYS = [1, 2, 3, 3, 99999, -5, 2000, 0, 7, 8, 9, 10]
ITEM = "SELECT id, name, price, note FROM item WHERE id = $1"
CHILDREN = "SELECT id, body FROM child WHERE item_id = $1"
RUN = "run"
INT4 = struct.Struct("!i")


def step(*data, wait="Z"):
    return b"".join(data), wait


def run(*data):
    return b"".join(data), RUN


def one(*steps):
    return lambda sql, key, n: [run(*(s(sql, key, n) if callable(s) else s for s in steps))]


def p(sql, key, n):
    return parse(sql)


def b(sql, key, n):
    return bind([key])


FRAMINGS = {
    "psycopg, pg, Npgsql": one(p, b, describe(), execute(), SYNC),
    "flush before sync": one(p, b, describe(), execute(), FLUSH, SYNC),
    "flushes": one(p, b, FLUSH, describe(), FLUSH, execute(), FLUSH, SYNC),
    "close portal": one(p, b, describe(), execute(), close("P"), SYNC),
    "no describe": one(p, b, execute(), SYNC),
    "fetchrow": one(p, b, describe(), execute(1), SYNC),
    "fetch size": one(p, b, describe(), execute(3), SYNC),
    "fetch size, none": one(p, b, execute(50), SYNC),
}


def converse(conn, steps):
    """All messages of all steps, one after the other."""
    out = []
    for data, wait in steps:
        out += conn.send(data).until("Z" if wait == RUN else wait)
    return out


def meet(folding, conns, table, all_steps):
    """Each connection its conversation; the steps that run the lookup wait for each other behind a lock."""
    folding.reset()
    got = [[] for _ in conns]
    at = [next(i for i, s in enumerate(steps) if s[1] == RUN) for steps in all_steps]
    for c, steps, end, out in zip(conns, all_steps, at, got):
        out += converse(c, steps[:end])
    with holding(folding, table) as held:
        for c, steps, end in zip(conns, all_steps, at):
            c.send(steps[end][0])
    for c, steps, end, out in zip(conns, all_steps, at, got):
        out += c.ready()
        out += converse(c, steps[end + 1:])
    return got, folding.calls(table) if held else len(conns)


@contextlib.contextmanager
def holding(folding, table):
    """The table locked meanwhile; False when a client has it, whose unit is open in the server."""
    with folding.pg.admin("app") as c:
        c.sql("SET lock_timeout = '300ms'")
        c.sql("BEGIN")
        held = not proto.errors(c.ask(query("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE" % table)))
        yield held
        time.sleep(0.3 if held else 0)
        c.sql("ROLLBACK")


def until_folded(folding, proxy, pg, framing, sql, table, keys, rounds=3):
    """Rounds of lookups, compared with PostgreSQL's own answers each; the last ones must be folded."""
    n, good, conns = 0, 0, folding.connections(proxy, len(keys))
    with contextlib.ExitStack() as stack:
        direct = [stack.enter_context(pg.connect()) for _ in keys]
        while good < rounds:
            n += 1
            with unless_busy():
                assert n < 25, "%d lookups are not folded: %d statements reached the server" % (len(keys), calls)  # noqa: F821
            got, calls = meet(folding, conns, table, [framing(sql, k, n) for k in keys])
            for d, k, messages in zip(direct, keys, got):
                assert messages == converse(d, framing(sql, k, n)), "key %r, round %d" % (k, n)
            good += folding.direct or calls <= max(2, len(keys) // 3)
            time.sleep(0 if good else 0.1)


@pytest.mark.parametrize("sql, table", [(ITEM, "item"), (CHILDREN, "child")], ids=["item", "child"])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_framing(pg, proxy, folding, framing, sql, table):
    until_folded(folding, proxy, pg, FRAMINGS[framing], sql, table, KEYS)


# ---- statements that are prepared first

NAMED = "stmt"


def unsafe(sql, key, n):
    """postgres.js unsafe, drizzle: the unnamed statement, every time in two round trips."""
    return [step(parse(sql), describe("S"), FLUSH, wait="T"), run(bind([key]), execute(), SYNC)]


def lib_pq(sql, key, n):
    return [step(parse(sql), describe("S"), SYNC), run(bind([key]), execute(), SYNC)]


def asyncpg(sql, key, n):
    """A new name in each round: the first use of each."""
    name = "__asyncpg_stmt_%x__" % n
    return [step(parse(sql, name), describe("S", name), FLUSH, wait="T"), run(bind([key], name), execute(), SYNC)]


def asyncpg_binary(sql, key, n):
    name = "__asyncpg_stmt_%x__" % n
    return [step(parse(sql, name), describe("S", name), FLUSH, wait="T"),
            run(bind([INT4.pack(key)], name, formats=(1,), result_formats=(1,)), execute(), SYNC)]


def pgx(sql, key, n):
    name = "stmtcache_%d" % n
    return [step(parse(sql, name), describe("S", name), SYNC), run(bind([key], name), describe(), execute(), SYNC),
            step(close("S", name), SYNC)]


def pgx_cached(sql, key, n):
    name = "stmtcache_"
    first = [step(parse(sql, name), describe("S", name), SYNC)] if n == 1 else []
    return first + [run(bind([key], name), describe(), execute(), SYNC)]


def pdo(sql, key, n):
    name = "pdo_stmt_%08d" % n
    return [step(parse(sql, name), SYNC), run(bind([key], name), describe(), execute(), SYNC), step(query("DEALLOCATE " + name))]


def pdo_quoted(sql, key, n):
    name = "PDO stmt %d" % n
    return [step(parse(sql, name), SYNC), run(bind([key], name), describe(), execute(), SYNC),
            step(query('DEALLOCATE PREPARE "%s"' % name))]


def rails(sql, key, n):
    """Parse and the rest in one write; each name is used twice."""
    name = "a%d" % ((n + 1) // 2)
    return [run(parse(sql, name) if n % 2 else b"", bind([key], name), describe(), execute(), SYNC)]


def sqlx(sql, key, n):
    name = "sqlx_s_%d" % n
    return [step(parse(sql, name), describe("S", name), SYNC), run(bind([key], name), execute(), close("P"), SYNC)]


def never_run(sql, key, n):
    """Prepared and closed, and something else asked: the open unit is ended by a Sync."""
    return [step(parse(sql, "x"), describe("S", "x"), FLUSH, wait="T"), step(SYNC), step(close("S", "x"), SYNC)] + unsafe(sql, key, n)


PREPARED = {f.__name__: f for f in (unsafe, lib_pq, asyncpg, asyncpg_binary, pgx, pgx_cached, pdo, pdo_quoted, rails, sqlx,
                                    never_run)}


@pytest.mark.parametrize("framing", PREPARED)
def test_prepared(pg, proxy, folding, framing):
    until_folded(folding, proxy, pg, PREPARED[framing], ITEM, "item", KEYS)


# ---- what the client was told without the server must hold

@pytest.fixture
def lazy(pg, proxy, folding):
    """A function that opens a connection on which the given text can be prepared without the server."""
    def learn(sql):
        until_folded(folding, proxy, pg, unsafe, sql, "item", KEYS, rounds=1)
        return proxy.connect()

    def is_lazy(c, sql):
        c.ask(*(s[0] for s in unsafe(sql, 1, 0)))
        with folding.locked("item", settle=0):  # the server could not answer
            c.send(parse(sql, "probe") + describe("S", "probe") + SYNC, close("S", "probe") + SYNC)
            answered = c.readable(0.15)
        c.ready(2)
        return answered

    def connection(sql):
        """What an earlier test has taught is still known; the identity is proven behind the first ones."""
        c = proxy.connect()
        if folding.direct or any(is_lazy(c, sql) for _ in range(4)):
            return c
        c.close()
        c = learn(sql)
        with unless_busy():
            assert any(is_lazy(c, sql) for _ in range(60)), "the server is asked for what is known"
        return c
    return connection


def asked(pg, proxy, lazy, sql, script, codes_only=False):
    """The script of messages on a connection that prepares lazily, and on PostgreSQL's own."""
    def messages(c):
        out = []
        for data in script:
            out.append(c.ask(data))
        if codes_only:
            return [[(m.type, proto.fields(m.body)["C"]) if m.type == "E" else m for m in a] for a in out]
        return out
    with lazy(sql) as through, pg.connect() as direct:
        wanted = messages(direct)
        assert messages(through) == wanted
        return wanted


PREPARE_X = parse(ITEM, "x") + describe("S", "x") + SYNC
RUN_X = bind([5], "x") + execute() + SYNC
SCRIPTS = {
    "runs": [PREPARE_X, RUN_X, RUN_X],
    "describes": [PREPARE_X, describe("S", "x") + SYNC, RUN_X],
    "twice": [PREPARE_X, PREPARE_X, RUN_X],
    "twice in a unit": [PREPARE_X, parse(ITEM, "x") + bind([1], "x") + execute() + SYNC, RUN_X],
    "closed": [PREPARE_X, close("S", "x") + SYNC, RUN_X],
    "closed in a unit": [PREPARE_X, close("S", "x") + bind([5], "x") + execute() + SYNC, RUN_X],
    "closed and again": [PREPARE_X, close("S", "x") + SYNC, PREPARE_X, RUN_X],
    "deallocated": [PREPARE_X, query("DEALLOCATE x"), RUN_X],
    "deallocated, as an extended query": [PREPARE_X, proto.unit("DEALLOCATE x", []), RUN_X, query("DEALLOCATE x")],
    "deallocated twice": [PREPARE_X, query("DEALLOCATE PREPARE \"x\";"), query("DEALLOCATE x")],
    "deallocate all": [PREPARE_X, query("DEALLOCATE ALL"), RUN_X, PREPARE_X, RUN_X],
    "discard all": [PREPARE_X, query("DISCARD ALL"), RUN_X, PREPARE_X, RUN_X],
    "execute": [PREPARE_X, query("EXECUTE x(7)"), RUN_X],
    "prepare": [PREPARE_X, query("PREPARE x AS SELECT 1"), RUN_X],
    "prepared by SQL": [query("PREPARE x AS SELECT 1"), PREPARE_X, query("EXECUTE x"), RUN_X],
    "prepared by a block": [query("DO $$ BEGIN EXECUTE 'PREPARE x AS SELECT 1'; END $$"), PREPARE_X, query("EXECUTE x")],
    "deallocated by a block": [PREPARE_X, query("DO $$ BEGIN EXECUTE 'DEALLOCATE x'; END $$"), RUN_X],
    "transaction": [PREPARE_X, query("BEGIN"), RUN_X, PREPARE_X, RUN_X, query("ROLLBACK"), RUN_X],
    "transaction, first use": [PREPARE_X, query("BEGIN"), RUN_X, query("COMMIT"), RUN_X],
    "failed transaction": [PREPARE_X, query("BEGIN"), query("SELECT 1/0"), RUN_X, RUN_X, query("ROLLBACK"), RUN_X],
    "behind another statement": [PREPARE_X, parse("SELECT 1") + bind() + execute() + bind([5], "x") + execute() + SYNC, RUN_X],
    "behind an error": [PREPARE_X, parse("SELECT 1/0") + bind() + execute() + bind([5], "x") + execute() + SYNC, RUN_X],
    "named portal": [PREPARE_X, bind([5], "x", portal="p") + execute(1, "p") + execute(0, "p") + SYNC, RUN_X],
    "wrong number of values": [PREPARE_X, bind([], "x") + execute() + SYNC, RUN_X],
    "wrong value": [PREPARE_X, bind(["five"], "x") + execute() + SYNC, RUN_X],
    "search path": [PREPARE_X, query("SET search_path = pg_catalog"), RUN_X, query("RESET search_path"), RUN_X],
    "unnamed": [parse(ITEM) + describe("S") + SYNC, bind([5]) + execute() + SYNC, query("SELECT 1"), bind([5]) + execute() + SYNC],
    "unnamed, another between": [parse(ITEM) + describe("S") + SYNC, parse("SELECT 2") + SYNC, bind() + execute() + SYNC],
    "unnamed and named": [parse(ITEM) + describe("S") + SYNC, PREPARE_X, RUN_X, bind([5]) + execute() + SYNC],
    "unnamed, closed": [parse(ITEM) + describe("S") + SYNC, close("S") + SYNC, bind([5]) + execute() + SYNC],
}


@pytest.mark.parametrize("script", SCRIPTS)
def test_lazy_statement(pg, proxy, lazy, script):
    # In an aborted transaction the server refuses the Parse that was put off, not the Bind: the same error from another place.
    asked(pg, proxy, lazy, ITEM, SCRIPTS[script], codes_only=script == "failed transaction")


@pytest.mark.parametrize("past", [False, True], ids=["through the proxy", "past the proxy"])
@pytest.mark.parametrize("change", ["ALTER TABLE lazy_t ALTER b TYPE int USING b::int", "ALTER TABLE lazy_t RENAME b TO c",
                                    "DROP TABLE lazy_t", "ALTER TABLE lazy_t ADD d int"])
def test_definitions_change_between(pg, proxy, folding, change, past):
    """Told of the columns before the change, run after it: what PostgreSQL says, or at least no row of another kind."""
    sql = "SELECT * FROM lazy_t WHERE id = $1"

    def script(c, changer, n):
        with pg.connect() as d:
            d.sql("DROP TABLE IF EXISTS lazy_t")
            d.sql("CREATE TABLE lazy_t (id int PRIMARY KEY, b text)")
            d.sql("INSERT INTO lazy_t SELECT i, i::text FROM generate_series(1, 100) i")
        for i in range(n):
            c.ask(parse(sql) + describe("S") + SYNC, bind([i]) + execute() + SYNC, count=2)
            time.sleep(0.05)
        told = c.ask(parse(sql, "y") + describe("S", "y") + SYNC)
        changer.sql(change)
        return told, [[(m.type, proto.fields(m.body)["C"]) if m.type == "E" else m for m in c.ask(bind([5], "y") + execute() + SYNC)]
                      for _ in range(2)]
    with pg.connect() as direct, pg.connect() as other, proxy.connect() as through, (pg if past else proxy).connect() as changer:
        wanted = script(direct, other, 0)
        got = script(through, changer, 6)
    assert proto.types(got[0]) == proto.types(wanted[0])
    assert [[m[0] for m in a] for a in got[1]] == [[m[0] for m in a] for a in wanted[1]]
    assert got[1] == wanted[1]


# ---- several statements in one unit

def unnamed_group(sql, k):
    return parse(sql) + bind([k]) + describe() + execute()


def named_group(sql, k):
    return bind([k], "x") + execute()


@pytest.mark.parametrize("group", [unnamed_group, named_group])
@pytest.mark.parametrize("trailer", [b"", FLUSH])
def test_pipeline(pg, proxy, folding, group, trailer):
    """psycopg's pipeline mode and executemany, pgx's Batch: one Sync for all."""
    keys = [k % 7 * 300 for k in range(30)] + [99999]
    first = PREPARE_X if group is named_group else b""
    with pg.connect() as d, proxy.connect() as c:
        for conn in (d, c) if first else ():
            conn.ask(first)
        whole = b"".join(group(ITEM, k) for k in keys) + trailer + SYNC
        wanted = d.ask(whole)
        for _ in range(20):
            got, calls = folding.burst([c], [whole], "item")
            assert got == [wanted]
            if not folding.direct and calls <= 3:
                break
            time.sleep(0.05)
        with unless_busy():
            assert folding.direct or calls <= 3, "%d lookups in one unit reached the server as %d statements" % (len(keys), calls)


BROKEN = {
    "a wrong value": [("item", 1), ("item", "one"), ("item", 2)],
    "the last": [("item", 1), ("item", 2), ("item", "one")],
    "the first": [("item", "one"), ("item", 2)],
    "two texts": [("item", 1), ("child", 2), ("item", 3), ("child", 4)],
    "another statement": [("item", 1), ("now", None), ("item", 3)],
    "a write": [("item", 1), ("write", 7), ("item", 3)],
    "an error between": [("item", 1), ("error", None), ("item", 3)],
}
TEXTS = {"item": ITEM, "child": CHILDREN, "now": "SELECT count(*) FROM scratch", "write": "UPDATE scratch SET a = $1 WHERE a = -1",
         "error": "SELECT 1/0"}


@pytest.mark.parametrize("what", BROKEN)
def test_pipeline_of_all_sorts(pg, proxy, folding, what):
    whole = b"".join(parse(TEXTS[t]) + bind([] if k is None else [k]) + describe() + execute() for t, k in BROKEN[what]) + SYNC
    follow = bind([5]) + execute() + SYNC
    with pg.connect() as d, proxy.connect() as c:
        for _ in range(6):
            for conn in (d, c):
                conn.ask(query("SELECT 1"))
            for unit_ in (whole, follow, follow):
                assert c.ask(unit_) == d.ask(unit_)
            time.sleep(0.05)


@pytest.mark.parametrize("n", [1000, 10000])
@pytest.mark.parametrize("one_sync", [False, True])
def test_long_pipelines(pg, proxy, n, one_sync):
    """Neither hangs nor goes unread: what comes behind is still answered, and still folds."""
    import threading

    def ask(end):
        with end.connect() as c:
            data = b"".join(parse(ITEM) + bind([k % 2000 + 1]) + describe() + execute() + (b"" if one_sync else SYNC) for k in range(n))
            sender = threading.Thread(target=c.send, args=(data + (SYNC if one_sync else b""),))
            sender.start()
            got = c.ready(1 if one_sync else n)
            sender.join()
            return got, c.ask(PREPARE_X), c.ask(RUN_X)
    assert ask(proxy) == ask(pg)
