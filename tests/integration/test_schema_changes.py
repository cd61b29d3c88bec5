# SPDX-License-Identifier: PostgreSQL
"""The schema changes while drivers hold prepared statements: each session gets, use by use, what it gets without pgfold: the same rows, or
the same error ("cached plan must not change result type"), although the server may not have seen its statements yet.

The changes come through pgfold, or by another way; then it may take `vet_max_age` until a new statement is described anew."""
import asyncio
import time

import pytest

import proto
import servers

SESSIONS = 6
CREATE = ["DROP TABLE IF EXISTS plank, plank_2 CASCADE", "CREATE TABLE plank (id int PRIMARY KEY, a int, b text)",
          "INSERT INTO plank SELECT i, i * 10, 'b' || i FROM generate_series(1, 100) i", "GRANT ALL ON plank TO PUBLIC"]
CHANGES = {
    "nothing": [],
    "a column more": ["ALTER TABLE plank ADD COLUMN c text DEFAULT 'new'"],
    "a column less": ["ALTER TABLE plank DROP COLUMN b"],
    "a column of another type": ["ALTER TABLE plank ALTER COLUMN a TYPE text"],
    "a column of another name": ["ALTER TABLE plank RENAME COLUMN b TO bb"],
    "the key of another type": ["ALTER TABLE plank ALTER COLUMN id TYPE bigint"],
    "the key a text": ["ALTER TABLE plank ALTER COLUMN id TYPE text"],
    "another table": ["CREATE TABLE plank_2 AS SELECT id, -a AS a, b || '!' AS b FROM plank", "GRANT ALL ON plank_2 TO PUBLIC",
                      "ALTER TABLE plank RENAME TO plank_old", "ALTER TABLE plank_2 RENAME TO plank", "DROP TABLE plank_old"],
    "no table": ["DROP TABLE plank"],
    "no right": ["REVOKE ALL ON plank FROM PUBLIC"],
    "row security": ["ALTER TABLE plank ENABLE ROW LEVEL SECURITY"],
    "a view": ["ALTER TABLE plank RENAME TO plank_old", "CREATE VIEW plank AS SELECT id, a + 1 AS a, b FROM plank_old", "GRANT ALL ON plank TO PUBLIC"],
    "an index less": ["ALTER TABLE plank DROP CONSTRAINT plank_pkey"],
    "not unique": ["ALTER TABLE plank DROP CONSTRAINT plank_pkey", "INSERT INTO plank SELECT id, a + 1, 'again' FROM plank"],
}
TEXTS = ["SELECT * FROM plank WHERE id = $1", "SELECT a, b FROM plank WHERE id = $1 LIMIT 1", "SELECT count(*), max(b) FROM plank WHERE id = $1"]


def run_ddl(pg, end, statements, user=servers.SUPERUSER):
    with end.connect(user) as c:
        for s in statements:
            c.sql(s)


class Asyncpg:
    name = "asyncpg"

    async def open(self, port):
        import asyncpg
        self.error = asyncpg.PostgresError
        return await asyncpg.connect("postgresql://app@127.0.0.1:%d/app?sslmode=disable" % port)

    async def ask(self, conn, text, i):
        try:
            return [tuple(r.items()) for r in await conn.fetch(text, i)]
        except self.error as e:
            return e.sqlstate
        except Exception as e:  # the driver's own: of a type that it cannot encode, say
            return type(e).__name__


class Psycopg:
    def __init__(self, threshold):
        self.threshold, self.name = threshold, "psycopg %s" % threshold

    async def open(self, port):
        import psycopg
        self.error = psycopg.Error
        return await psycopg.AsyncConnection.connect("postgresql://app@127.0.0.1:%d/app?sslmode=disable" % port, autocommit=True,
                                                     prepare_threshold=self.threshold)

    async def ask(self, conn, text, i):
        try:
            cursor = await conn.execute(text.replace("$1", "%s"), (i,))
            return [c.name for c in cursor.description], await cursor.fetchall()
        except self.error as e:
            return e.sqlstate


async def story(driver, pg, end, port, ddl_through, change, text):
    """Three bursts, the change, three bursts; then everybody anew. Answers by burst and session."""
    conns = await asyncio.gather(*(driver.open(port) for _ in range(SESSIONS)))
    late = await asyncio.gather(*(driver.open(port) for _ in range(SESSIONS)))
    got = []
    for turn in range(8):
        got.append(await asyncio.gather(*(driver.ask(c, text, (turn * 5 + n) % 30 + 1) for n, c in enumerate(conns))))
    run_ddl(pg, ddl_through, CHANGES[change])
    for turn in range(4):
        got.append(await asyncio.gather(*(driver.ask(c, text, (turn * 5 + n) % 30 + 1) for n, c in enumerate(conns + late))))
    await asyncio.gather(*(c.close() for c in conns + late))
    return got


DRIVERS = {"asyncpg": Asyncpg, "psycopg-first": lambda: Psycopg(0), "psycopg-sixth": lambda: Psycopg(5), "psycopg-never": lambda: Psycopg(None)}


def both_ways(pg, proxy, name, change, text, ddl_through):
    pytest.importorskip(name.split("-")[0])
    results = []
    for end in (pg, proxy):
        run_ddl(pg, pg, ["DROP VIEW IF EXISTS plank", "DROP TABLE IF EXISTS plank_old"] if is_view(pg) else ["DROP TABLE IF EXISTS plank_old"])
        run_ddl(pg, pg if end is pg else proxy, CREATE)
        results.append(asyncio.run(story(DRIVERS[name](), pg, end, end.port, ddl_through(end), change, text)))
    return results


def is_view(pg):
    with pg.admin() as a:
        return a.sql("SELECT relkind FROM pg_class WHERE relname = 'plank'") == [("v",)]


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", DRIVERS)
def test_a_change_that_passes_through(pg, proxy, name, change):
    """All columns, and one of the other texts: each of these with each driver, and with each change."""
    other = TEXTS[1 + (list(CHANGES).index(change) + list(DRIVERS).index(name)) % 2]
    for text in (TEXTS[0], other):
        direct, through = both_ways(pg, proxy, name, change, text, lambda end: end)
        for burst, (want, got) in enumerate(zip(direct, through)):
            assert got == want, (text, burst)


def change_unseen(pg, proxy, name, change):
    """Never a wrong row: what differs from the direct answer is at most an error that tells that the plan is old, for a while."""
    direct, through = both_ways(pg, proxy, name, change, TEXTS[0], lambda end: pg)
    for burst, (want, got) in enumerate(zip(direct, through)):
        for n, (w, g) in enumerate(zip(want, got)):
            assert g == w or g == "0A000", (burst, n)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("name", DRIVERS)
def test_a_change_that_pgfold_does_not_see(pg, proxy, name, change):
    change_unseen(pg, proxy, name, change)


def test_another_table_is_no_difference(pg, start_pgfold):
    """Whose columns have another origin. Folded answers that are compared meanwhile are old, not wrong: nothing is switched off (Pgfold.stop)."""
    change_unseen(pg, start_pgfold({"batching.check_one_in": "2"}), "psycopg-first", "another table")


# ---- statements that are prepared anew each time

ALTERED = {k: CHANGES[k] for k in ("a column more", "a column of another type", "a column of another name", "the key of another type", "another table", "a view")}
SELECT = "SELECT * FROM plank WHERE id = $1"


def ask_anew(conn, name, i):
    """Parse, Describe, Sync; Bind, Execute, Sync; as postgres.js and PDO do. What the client was told, and what it got."""
    told = conn.ask(proto.parse(SELECT, name), proto.describe("S", name), proto.SYNC)
    got = conn.ask(proto.bind([b"%d" % i], name), proto.execute(), proto.SYNC)
    if name:
        conn.ask(proto.close("S", name), proto.SYNC)
    return proto.wire(told), proto.rows(got), [e["C"] for e in proto.errors(told) + proto.errors(got)]


def begin_anew(pg, end, through):
    run_ddl(pg, pg, ["DROP VIEW IF EXISTS plank", "DROP TABLE IF EXISTS plank_old"] if is_view(pg) else ["DROP TABLE IF EXISTS plank_old"])
    run_ddl(pg, through, CREATE)


KEYS = (30, 7, 91, 16, 55, 3, 77, 41)


@pytest.mark.parametrize("change", ALTERED)
@pytest.mark.parametrize("name", ["", "s1"])
def test_a_statement_that_is_prepared_each_time_is_told_of_an_old_plan_once(pg, proxy, name, change):
    begin_anew(pg, proxy, proxy)
    with proxy.connect() as c, pg.connect() as straight:
        for i in KEYS:
            assert not ask_anew(c, name, i)[2]
        run_ddl(pg, pg, ALTERED[change])
        errors = []
        for i in KEYS:
            told, rows, error = ask_anew(c, name, i)
            errors += error
            assert error or not errors or (told, rows, []) == ask_anew(straight, name, i)
    assert errors in ([], ["0A000"])


@pytest.mark.parametrize("change", ALTERED)
@pytest.mark.parametrize("name", ["", "s1"])
def test_what_a_statement_is_described_as_is_no_older_than_rows(pg, start_pgfold, name, change):
    through = start_pgfold({"lookahead.max_age": "100ms"})
    begin_anew(pg, through, through)
    with through.connect() as c, pg.connect() as straight:
        for i in KEYS:
            ask_anew(c, name, i)
        run_ddl(pg, pg, ALTERED[change])
        time.sleep(0.15)
        for i in KEYS:
            assert ask_anew(c, name, i) == ask_anew(straight, name, i)


@pytest.mark.parametrize("parses", ["apart", "in the unit"])
def test_an_unnamed_statement_means_what_its_last_parse_meant(pg, start_pgfold, parses):
    """A table comes to stand in front, past pgfold: the plan that the server has of an earlier Parse goes on with the old one."""
    through = start_pgfold({"lookahead.max_age": "100ms"})
    run_ddl(pg, pg, ["DROP SCHEMA IF EXISTS ahead CASCADE", "CREATE SCHEMA ahead", "GRANT ALL ON SCHEMA ahead TO PUBLIC"])
    begin_anew(pg, through, through)
    try:
        with through.connect(options="-c search_path=ahead,public") as c, pg.connect(options="-c search_path=ahead,public") as straight:
            def ask(conn, i):
                if parses == "apart":
                    return ask_anew(conn, "", i)
                conn.ask(proto.parse(SELECT), proto.bind([b"%d" % i]), proto.describe("P"), proto.execute(), proto.SYNC)
                return proto.wire(conn.ask(proto.bind([b"%d" % i]), proto.execute(), proto.SYNC))
            for i in KEYS:
                ask(c, i)
            run_ddl(pg, pg, ["CREATE TABLE ahead.plank AS SELECT id, -a AS a, 'ahead' AS b FROM plank", "GRANT ALL ON ahead.plank TO PUBLIC"])
            time.sleep(0.15)
            for i in KEYS:
                assert ask(c, i) == ask(straight, i)
    finally:
        run_ddl(pg, pg, ["DROP SCHEMA ahead CASCADE"])
