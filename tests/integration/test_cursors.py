# SPDX-License-Identifier: PostgreSQL
"""Pages read through cursors, each followed by a loop of lookups: the pages are the server's own, the loops are answered from rows loaded
ahead. What is no plain read, or cannot be followed, is as it was."""
import contextlib

import psycopg2
import pytest

import proto
from busy import Late, unless_busy
from proto import bind, close, describe, execute, msg, parse, query, unit

DATABASE = "cursors"
PARENTS, PAGE = 300, 100
SYNC = msg("S")
PATIENT = {"lookahead__mode": "bounded", "lookahead__max_gap": "1s", "lookahead__max_age": "60s", "batching__check_one_in": "0",
           "batching__never_slower": "off"}
TABLES = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE parent (id int PRIMARY KEY, name text);
CREATE TABLE leaf (id int PRIMARY KEY, parent_id int REFERENCES parent, body text);
CREATE INDEX ON leaf (parent_id);
CREATE TABLE other (a int);
INSERT INTO parent SELECT i, 'parent ' || i FROM generate_series(1, 300) i;
INSERT INTO leaf SELECT i, i % 300 + 1, 'leaf ' || i FROM generate_series(1, 900) i;
CREATE FUNCTION spoil(int) RETURNS int LANGUAGE plpgsql VOLATILE AS $$BEGIN UPDATE leaf SET body = 'spoilt' WHERE parent_id > $1; RETURN $1; END$$;
CREATE FUNCTION opens(c refcursor) RETURNS refcursor LANGUAGE plpgsql AS $$BEGIN OPEN c FOR SELECT id, spoil(id) FROM parent ORDER BY id; RETURN c; END$$;
CREATE FUNCTION reopens(c refcursor) RETURNS void LANGUAGE plpgsql AS $$BEGIN CLOSE c; OPEN c FOR SELECT id, spoil(id) FROM parent ORDER BY id; END$$;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
ANALYZE
"""
PARENT = "SELECT id, name FROM parent ORDER BY id"
LEAF = "SELECT id, parent_id, body FROM leaf WHERE parent_id = %s ORDER BY id"


@pytest.fixture(scope="module")
def db(pg):
    with pg.admin("postgres") as c:
        c.sql("CREATE DATABASE %s OWNER app" % DATABASE)
    with pg.admin(DATABASE) as c:
        for statement in TABLES.strip().split(";\n"):
            c.sql(statement)
    return pg


@pytest.fixture
def proxy(db, long_lived):
    return long_lived(**PATIENT)


@pytest.fixture
def admin(db):
    with db.admin(DATABASE) as c:
        yield c


def lookups(admin):
    """Statements over leaves that the server has run."""
    return int(admin.value("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = dbid WHERE datname = '%s' "
                           "AND query ~ 'leaf' AND query ~ 'parent_id' AND NOT query ~ 'pg_catalog.pg_(class|proc|type|attr)'" % DATABASE))


def dsn(end):
    return "host=127.0.0.1 port=%d dbname=%s user=app sslmode=disable" % (end.port, DATABASE)


def raw(end):
    return end.connect("app", DATABASE)


def leaf(key):
    return query(LEAF % key)


def bound_leaf(key):
    return unit(LEAF % "$1", [str(key)])


def keys(messages):
    return [int(r[0]) for r in proto.rows(messages)]


# ---- drivers

@contextlib.contextmanager
def psycopg2_connection(end, autocommit=False):
    c = psycopg2.connect(dsn(end))
    c.autocommit = autocommit
    try:
        yield c
    finally:
        c.close()


def named_cursor(end, counter, withhold=False):
    """Names that differ each time, as mappers make them."""
    with psycopg2_connection(end, withhold) as c:
        for n in range(2):
            pages, inner = [], c.cursor()
            outer = c.cursor("named_%d_%d" % (id(c), n), withhold=withhold)
            outer.itersize = PAGE
            outer.execute(PARENT)
            while rows := outer.fetchmany(PAGE):
                before = counter()
                for key, _ in rows:
                    inner.execute(LEAF, (key,))
                    rows = rows + inner.fetchall()
                pages.append((rows, counter() - before))
            outer.close()
            if not withhold:
                c.commit()
    return pages


def psycopg_cursor(end, counter, binary=False, withhold=False):
    psycopg = pytest.importorskip("psycopg")
    with psycopg.connect(dsn(end), autocommit=withhold) as c:
        for n in range(2):
            pages, inner = [], c.cursor()
            with c.cursor("server_%d" % n, binary=binary, withhold=withhold) as outer:
                outer.execute("SELECT id, name FROM parent WHERE id > %s ORDER BY id", (0,))
                while rows := outer.fetchmany(PAGE):
                    before = counter()
                    for key, _ in rows:
                        rows = rows + inner.execute(LEAF, (key,)).fetchall()
                    pages.append((rows, counter() - before))
            if not withhold:
                c.commit()
    return pages


def yield_per(end, counter):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    engine = sqlalchemy.create_engine("postgresql+psycopg2://", creator=lambda: psycopg2.connect(dsn(end)))
    with engine.connect() as c:
        for _ in range(2):
            pages = []
            with c.begin():
                result = c.execution_options(stream_results=True, max_row_buffer=PAGE).execute(sqlalchemy.text(PARENT))
                inner = c.execution_options(stream_results=False)
                for page in result.yield_per(PAGE).partitions(PAGE):
                    rows, before = [tuple(r) for r in page], counter()
                    for key, _ in page:
                        rows += [tuple(r) for r in inner.execute(sqlalchemy.text(LEAF % ":k"), {"k": key})]
                    pages.append((rows, counter() - before))
    engine.dispose()
    return pages


def asyncpg_cursor(end, counter):
    asyncpg, asyncio = pytest.importorskip("asyncpg"), pytest.importorskip("asyncio")

    async def read():
        c = await asyncpg.connect(host="127.0.0.1", port=end.port, user="app", database=DATABASE, ssl=False)
        for _ in range(2):
            pages = []
            async with c.transaction():
                outer = await c.cursor(PARENT)
                while rows := [tuple(r) for r in await outer.fetch(PAGE)]:
                    before = counter()
                    for key, _ in rows[:]:
                        rows += [tuple(r) for r in await c.fetch(LEAF % "$1", key)]
                    pages.append((rows, counter() - before))
        await c.close()
        return pages
    return asyncio.run(read())


DRIVERS = {
    "asyncpg": asyncpg_cursor,
    "psycopg2": named_cursor,
    "psycopg2 with hold": lambda end, counter: named_cursor(end, counter, withhold=True),
    "psycopg": psycopg_cursor,
    "psycopg binary": lambda end, counter: psycopg_cursor(end, counter, binary=True),
    "psycopg with hold": lambda end, counter: psycopg_cursor(end, counter, withhold=True),
    "sqlalchemy": yield_per,
}


@pytest.mark.pgfold
@pytest.mark.parametrize("driver", DRIVERS)
def test_loop_over_pages(db, proxy, admin, driver):
    def counter():
        return lookups(admin)
    expected = DRIVERS[driver](db, counter)
    got = DRIVERS[driver](proxy, counter)
    assert [rows for rows, _ in got] == [rows for rows, _ in expected]
    assert all(n >= PAGE - 1 for _, n in expected), "each has a statement"
    with unless_busy():
        assert all(n <= PAGE // 10 for _, n in got), [n for _, n in got]


# ---- messages

def loop(c, page, ask=leaf):
    return [c.ask(ask(key)) for key in keys(page)]


def through_both(db, proxy, admin, script):
    """script(connection, counter): replies. Those of PostgreSQL and of pgfold are equal, byte for byte; the counts are pgfold's."""
    got = []
    for end in (db, proxy):
        counts = []

        def counted(action, counts=counts):
            before = lookups(admin)
            result = action()
            counts.append(lookups(admin) - before)
            return result
        with raw(end) as c:
            replies = script(c, counted)
        got.append([proto.wire(proto.mask(r)) if isinstance(r, list) and r and isinstance(r[0], proto.Message) else r for r in replies])
    assert got[1] == got[0]
    return counts


def through_both_held(db, proxy, admin, script, never=False):
    """The same, until the first 20 lookups have found something held: the end of an earlier test's transaction may drop it."""
    for _ in range(3):
        if through_both(db, proxy, admin, script)[0] < 20 or never:
            return
    raise Late("nothing was held")


def warm(c):
    """The shapes are vetted, and the loop's way is known. Each loop has a list of its own: who asks the same again without one, in whichever
    way, is answered by the server, and what was loaded for it in vain makes that rest."""
    for _ in range(2):
        loop(c, c.ask(query(PARENT + " LIMIT 20")))
        loop(c, c.ask(query(PARENT + " LIMIT 20")), bound_leaf)


def flat(*replies):
    out = []
    for r in replies:
        out += r if isinstance(r, list) and r and isinstance(r[0], list) else [r]
    return out


PAGES = {
    "fetch": ("", ["FETCH 100 FROM c", "FETCH FORWARD 100 IN c", "fetch 100 c"]),
    "move": ("SCROLL", ["FETCH FORWARD 100 FROM c", "MOVE 50 IN c", "FETCH 100 c", "MOVE ABSOLUTE 0 c", "FETCH ALL FROM \"c\""]),
    "backward": ("NO SCROLL", ["FETCH 100 FROM c", "FETCH FORWARD 200 FROM c", "FETCH NEXT FROM c"]),
    "binary": ("BINARY", ["FETCH 100 FROM C", "FETCH 200 FROM c"]),
}


@pytest.mark.pgfold
@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("pages", PAGES)
def test_fetches(db, proxy, admin, pages, begin):
    options, fetches = PAGES[pages]

    def script(c, counted):
        warm(c)
        out = [c.ask(query(begin)), c.ask(query("DECLARE c %s CURSOR FOR %s" % (options, PARENT)))]
        for n, fetch in enumerate(fetches):
            out.append(c.ask(query(fetch)))
            ids = [k if pages != "binary" else int.from_bytes(k, "big") for k in (r[0] for r in proto.rows(out[-1]))]
            out += counted(lambda: [c.ask((leaf if n % 2 else bound_leaf)(int(k))) for k in ids])
        return out + [c.ask(query("CLOSE c")), c.ask(query("COMMIT"))]
    counts = through_both(db, proxy, admin, script)
    with unless_busy():
        assert sum(counts) <= PARENTS // 10, counts


@pytest.mark.pgfold
def test_what_is_held_outlasts_the_next_page(db, proxy, admin):
    """An inner cursor's page, of one row, comes between two lookups of the loop."""
    def script(c, counted):
        warm(c)
        c.sql("BEGIN")
        c.sql("DECLARE one CURSOR FOR " + PARENT)
        out = [c.ask(query("DECLARE c CURSOR FOR " + PARENT)), c.ask(query("FETCH 100 FROM c"))]
        return out + counted(lambda: flat(*[[c.ask(leaf(k)), c.ask(query("FETCH one"))] for k in keys(out[-1])]))
    counts = through_both(db, proxy, admin, script)
    with unless_busy():
        assert sum(counts) <= 10, counts


def portal_pages(c, counted, first, name="C_1"):
    out = [c.ask(first, execute(PAGE, name), SYNC)]
    for _ in range(PARENTS // PAGE):
        out += counted(lambda: loop(c, out[-1], bound_leaf))
        out.append(c.ask(execute(PAGE, name), SYNC))
    return out + [c.ask(close("P", name), SYNC), c.ask(query("COMMIT"))]


JDBC = parse("BEGIN") + bind() + execute()  # part of the first unit


@pytest.mark.pgfold
@pytest.mark.parametrize("begin", ["before", "in the unit"])
@pytest.mark.parametrize("describes", ["portal", "statement"])
def test_pages_of_a_portal(db, start_pgfold, admin, begin, describes):
    """Execute with a row limit, as pgjdbc sends it for setFetchSize. The pgfold is its own: loops that were broken off before, as others
    here are, are helped again only after a while."""
    proxy = start_pgfold({k.replace("__", "."): v for k, v in PATIENT.items()})
    first = parse(PARENT, "S_1" if describes == "statement" else "")
    if describes == "statement":
        first += describe("S", "S_1") + bind(name="S_1", portal="C_1")
    else:
        first += bind(portal="C_1") + describe("P", "C_1")

    def script(c, counted):
        warm(c)
        if begin == "before":
            c.sql("BEGIN")
        return portal_pages(c, counted, first if begin == "before" else JDBC + first)
    counts = through_both(db, proxy, admin, script)
    with unless_busy():
        assert all(n <= PAGE // 10 for n in counts), counts


@pytest.mark.pgfold
def test_pages_of_a_portal_on_a_new_pgfold(db, start_pgfold, admin):
    """Session and statement become known while the first page is read."""
    p = start_pgfold({k.replace("__", "."): v for k, v in PATIENT.items()})
    counts = through_both(db, p, admin, lambda c, counted: portal_pages(c, counted, JDBC + parse(PARENT) + bind(portal="C_1") + describe("P", "C_1")))
    with unless_busy():
        assert all(n <= PAGE // 10 for n in counts), counts


# ---- what runs for us leaves the client's cursors alone

@pytest.mark.parametrize("named", [False, True])
def test_a_failing_batch_moves_nothing(db, proxy, admin, named):
    """The batch that holds parent 50 fails; the transaction and its cursors go on, also one that was opened behind a savepoint."""
    sql = "SELECT id, 1 / (parent_id - 50) FROM leaf WHERE parent_id = %d"

    def script(c, counted):
        for n in range(2):
            for k in keys(c.ask(query(PARENT + " LIMIT 20"))):
                c.ask(query(sql % k))
        c.sql("BEGIN")
        c.sql("SAVEPOINT mine")
        if named:
            page = [c.ask(parse(PARENT), bind(portal="c"), describe("P", "c"), execute(48, "c"), SYNC)]
            more = [execute(10, "c"), SYNC]
        else:
            c.sql("DECLARE c CURSOR FOR " + PARENT)
            page, more = [c.ask(query("FETCH 48 FROM c"))], [query("FETCH 10 FROM c")]
        out = page + [c.ask(query("FETCH 1 c"))] + [c.ask(query(sql % k)) for k in keys(page[0])] + [c.ask(*more)]
        out += [c.ask(query(sql % k)) for k in keys(out[-1]) if k != 50] + [c.ask(*more)]
        return out + [c.ask(query("RELEASE mine")), c.ask(query("FETCH ALL FROM c")), c.ask(query("COMMIT"))]
    through_both(db, proxy, admin, script)


# ---- what is no plain read, or cannot be followed

SPOIL = "SELECT id, spoil(id) FROM parent ORDER BY id"
PLAIN = "DECLARE v CURSOR FOR SELECT id FROM parent"
SPOILERS = {
    "volatile": (["DECLARE v CURSOR FOR " + SPOIL], "FETCH v"),
    "volatile move": (["DECLARE v CURSOR FOR " + SPOIL], "MOVE v"),
    "volatile inner": (["DECLARE v CURSOR FOR SELECT id FROM parent WHERE spoil(id) > 0 ORDER BY id"], "FETCH v"),
    "function": (["SELECT opens('v')"], "FETCH FROM v"),
    "reopened": ([PLAIN, "SELECT reopens('v')"], "FETCH 1 v"),
    "declared again": ([PLAIN, "CLOSE v", "DECLARE v CURSOR FOR " + SPOIL], "FETCH 1 v"),
    "rolled back": (["SAVEPOINT s", PLAIN, "ROLLBACK TO s", "SELECT opens('v')"], "FETCH 1 v"),
    "savepoint": (["SAVEPOINT s", "DECLARE v CURSOR FOR " + SPOIL, "RELEASE s"], "FETCH v"),
    "do": ([PLAIN, "DO $$DECLARE c refcursor := 'v'; BEGIN CLOSE c; OPEN c FOR %s; END$$" % SPOIL], "FETCH 1 v"),
    "quoted": ([PLAIN, 'DECLARE "V" CURSOR FOR ' + SPOIL], 'FETCH "V"'),
    "long": (["DECLARE %s CURSOR FOR SELECT id FROM parent" % ("v" * 63), "CLOSE " + "v" * 70, "DECLARE %s CURSOR FOR %s" % ("v" * 64, SPOIL)],
             "FETCH " + "v" * 63),
}


@pytest.mark.pgfold
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
@pytest.mark.parametrize("spoiler", SPOILERS)
def test_a_cursor_that_writes(db, proxy, admin, spoiler, isolation):
    opening, fetch = SPOILERS[spoiler]

    def script(c, counted):
        warm(c)
        out = [c.ask(query("BEGIN ISOLATION LEVEL " + isolation))] + [c.ask(query(s)) for s in opening]
        assert c.status == "T"
        out.append(c.ask(query(PARENT + " LIMIT 40")))
        ids = keys(out[-1])
        out += counted(lambda: [c.ask(leaf(k)) for k in ids[:20]])
        out += [c.ask(query(fetch))] + [c.ask(leaf(k)) for k in ids[20:]]
        assert b"spoilt" in proto.wire(out[-1])
        return out + [c.ask(query("ROLLBACK"))]
    through_both_held(db, proxy, admin, script, never=spoiler == "do")  # which may change definitions: all is vetted anew


@pytest.mark.pgfold
@pytest.mark.parametrize("isolation", ["READ COMMITTED", "REPEATABLE READ"])
def test_a_portal_that_writes(db, proxy, admin, isolation):
    """It was bound before the rows were loaded ahead, and runs behind them."""
    def script(c, counted):
        warm(c)
        out = [c.ask(query("BEGIN ISOLATION LEVEL " + isolation))]
        out.append(c.ask(parse("UPDATE leaf SET body = 'spoilt'", "w"), bind(name="w", portal="w"), SYNC))
        out.append(c.ask(query(PARENT + " LIMIT 40")))
        ids = keys(out[-1])
        out += counted(lambda: [c.ask(leaf(k)) for k in ids[:20]])
        out += [c.ask(execute(0, "w"), SYNC)] + [c.ask(leaf(k)) for k in ids[20:]]
        assert b"spoilt" in proto.wire(out[-1])
        return out + [c.ask(query("ROLLBACK"))]
    through_both_held(db, proxy, admin, script)


ERRORS = ["FETCH nothing", "DECLARE c CURSOR FOR SELECT * FROM nothing", "DECLARE c CURSOR FOR SELECT 1", "CLOSE nothing", "FETCH",
          "DECLARE c CURSOR FOR SELECT id FROM parent FOR", "FETCH PRIOR FROM c", "DECLARE c CURSOR"]


@pytest.mark.parametrize("wrong", ERRORS)
def test_errors(db, proxy, admin, wrong):
    def script(c, counted):
        warm(c)
        out = [c.ask(query(wrong)), c.ask(query("BEGIN")), c.ask(query("DECLARE c NO SCROLL CURSOR FOR " + PARENT)), c.ask(query("FETCH 30 c"))]
        out += [c.ask(leaf(k)) for k in keys(out[-1])]
        out += [c.ask(query(wrong)), c.ask(query("FETCH 30 c")), c.ask(query("ROLLBACK")), c.ask(query("FETCH 30 c"))]
        return out + [c.ask(query(PARENT + " LIMIT 5"))] + [c.ask(leaf(k)) for k in range(1, 6)]
    through_both(db, proxy, admin, script)
