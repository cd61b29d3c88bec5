# SPDX-License-Identifier: PostgreSQL
"""What a verdict rests on changes past pgfold, right behind lookups that fold: the next burst, without a pause, is answered as PostgreSQL
answers it then. Every batch proves itself, so there is no time in which an old verdict is believed."""
import re
import signal
import time

import pytest

import servers
from busy import Late
from proto import SYNC, bind, describe, execute, parse, query, rows, unit

SESSIONS, EACH = 4, 8
LONG = {"batching.vet_max_age": "3600s", "batching.check_one_in": "0", "lookahead.mode": "off"}

# name: (set-up as superuser, statement with %d for the key, what happens past pgfold, settings of the sessions)
PLANK = ("CREATE TABLE plank (id int PRIMARY KEY, tenant int, v text); "
         "INSERT INTO plank SELECT i, i % 2, 'v' || i FROM generate_series(1, 200) i; CREATE INDEX ON plank (tenant)")
BY_ID, BY_TEXT = "SELECT id, tenant, v FROM plank WHERE id = %d", "SELECT id, v FROM plank WHERE v = 'V%d'"
POLICY = "CREATE POLICY p ON plank USING (tenant = current_setting('app.tenant', true)::int)"
CASES = {
    "row-level security": (PLANK + "; " + POLICY, BY_ID, ["ALTER TABLE plank ENABLE ROW LEVEL SECURITY"]),
    "row-level security, by a function": (
        PLANK + "; " + POLICY + "; CREATE FUNCTION secure() RETURNS void LANGUAGE plpgsql AS "
        "$$BEGIN EXECUTE 'ALTER TABLE plank ENABLE ROW LEVEL SECURITY'; END$$", BY_ID, ["SELECT secure()"]),
    "row-level security of the second table": (
        PLANK + "; CREATE TABLE nail AS SELECT id, id AS plank FROM plank; CREATE POLICY p ON nail USING (id < 0)",
        "SELECT p.id, n.id FROM plank p LEFT JOIN nail n ON n.plank = p.id WHERE p.id = %d", ["ALTER TABLE nail ENABLE ROW LEVEL SECURITY"]),
    "a table in front": (PLANK + "; CREATE SCHEMA front", BY_ID, ["CREATE TABLE front.plank AS SELECT id, 7 AS tenant, 'front' AS v FROM public.plank"]),
    "a table in front, by SELECT INTO": (PLANK + "; CREATE SCHEMA front", BY_ID, ["SELECT id, 7 AS tenant, 'front' AS v INTO front.plank FROM public.plank"]),
    "a view in front": (PLANK + "; CREATE SCHEMA front", BY_ID, ["CREATE VIEW front.plank AS SELECT id, -tenant AS tenant, 'front' AS v FROM public.plank"]),
    "a schema renamed to stand in front": (
        PLANK + "; CREATE SCHEMA back; CREATE TABLE back.plank AS SELECT id, 7 AS tenant, 'back' AS v FROM public.plank",
        BY_ID, ["ALTER SCHEMA back RENAME TO front"]),
    "another table of the name": (PLANK, BY_ID, ["ALTER TABLE plank RENAME TO old", "CREATE TABLE plank AS SELECT id, 9 AS tenant, 'new' AS v FROM old"]),
    "a view of the name": (PLANK, BY_ID, ["ALTER TABLE plank RENAME TO old", "CREATE VIEW plank AS SELECT id, 9 AS tenant, 'new' AS v FROM old"]),
    "columns that swap names": (PLANK + "; UPDATE plank SET tenant = 500 - id", BY_ID, [
        "BEGIN; ALTER TABLE plank RENAME id TO x; ALTER TABLE plank RENAME tenant TO id; ALTER TABLE plank RENAME x TO tenant; COMMIT"]),
    "the key's type": (PLANK + "; CREATE EXTENSION citext", BY_TEXT, ["ALTER TABLE plank ALTER v TYPE citext"]),
    "a table that inherits": (PLANK, BY_ID, ["CREATE TABLE more () INHERITS (plank)", "INSERT INTO more SELECT id, 3, 'more' FROM plank"]),
    "another table that takes its place and gives it back": (PLANK + "; CREATE TABLE other AS SELECT id, 5 AS tenant, 'other' AS v FROM plank; " + POLICY, BY_ID, [
        *["BEGIN; ALTER TABLE plank RENAME TO x; ALTER TABLE other RENAME TO plank; ALTER TABLE x RENAME TO other; COMMIT"] * 2,
        "ALTER TABLE plank ENABLE ROW LEVEL SECURITY"]),
    "schemas that swap names": (
        PLANK + "; CREATE SCHEMA back; CREATE TABLE back.plank AS SELECT id, 7 AS tenant, 'back' AS v FROM public.plank; "
        "GRANT ALL ON SCHEMA back TO PUBLIC; GRANT ALL ON back.plank TO PUBLIC", BY_ID,
        ["BEGIN; ALTER SCHEMA public RENAME TO x; ALTER SCHEMA back RENAME TO public; COMMIT"]),
    "no right to the schema": (PLANK, BY_ID, ["REVOKE ALL ON SCHEMA public FROM PUBLIC"]),
    "not unique any more": (PLANK, BY_ID, ["ALTER TABLE plank DROP CONSTRAINT plank_pkey", "INSERT INTO plank SELECT id, 5, 'again' FROM plank"]),
    "no right to read": (PLANK, BY_ID, ["REVOKE ALL ON plank FROM PUBLIC"]),
    "no right to a column": (PLANK, BY_ID, ["REVOKE ALL ON plank FROM PUBLIC", "GRANT SELECT (id, v) ON plank TO PUBLIC"]),
    "a function of the name": (
        PLANK + "; ALTER TABLE plank ALTER v TYPE varchar", "SELECT id, lower(v) FROM plank WHERE id = %d",
        ["CREATE FUNCTION public.lower(varchar) RETURNS text LANGUAGE sql STABLE AS $$SELECT 'of ' || current_setting('app.tenant', true)$$"]),
    "an operator of the name": (
        PLANK + "; ALTER TABLE plank ALTER v TYPE varchar; CREATE FUNCTION public.mine(varchar, varchar) RETURNS bool LANGUAGE sql STABLE AS "
        "$$SELECT current_setting('app.tenant', true) = '1'$$", "SELECT id, v FROM plank WHERE id = %d AND v <> 'v3'::varchar",
        ["CREATE OPERATOR public.<> (LEFTARG = varchar, RIGHTARG = varchar, FUNCTION = public.mine)"]),
}


# Databases whose search_path puts others' operators in front of the server's own.
PATHS = {"an operator in front of the server's": "public, pg_catalog", "a new schema in front of the server's": "front, PG_Catalog, public"}
for name, path in PATHS.items():
    CASES[name] = (
        PLANK + "; CREATE FUNCTION public.mine(int, int) RETURNS bool LANGUAGE sql STABLE AS "
        "$$SELECT current_setting('app.tenant', true) = '1' AND $1 OPERATOR(pg_catalog.=) $2$$", BY_ID,
        ["CREATE SCHEMA IF NOT EXISTS front", "CREATE OPERATOR %s.= (LEFTARG = int, RIGHTARG = int, FUNCTION = public.mine)" % path.split(",")[0]])


def name_of(case):
    return case.replace(" ", "_").replace(",", "").replace("'", "")


def set_up(pg, statements, path="front, public"):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("DROP DATABASE IF EXISTS stamp WITH (FORCE)")
        c.sql("CREATE DATABASE stamp")
    with pg.admin("stamp") as c:
        c.ask(query(statements))
        c.sql("GRANT ALL ON SCHEMA public TO PUBLIC")
        c.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
        c.sql("ALTER DATABASE stamp SET search_path = " + path)
        c.sql("ALTER DATABASE stamp SET pg_stat_statements.track = 'none'")


def allow_front(pg):
    with pg.admin("stamp") as c:
        c.ask(query("GRANT ALL ON SCHEMA front TO PUBLIC; GRANT ALL ON ALL TABLES IN SCHEMA front TO PUBLIC"))
        c.ask(query("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC"))


def send(conns, text, way, first):
    for i, c in enumerate(conns):
        units = []
        for k in range(EACH):
            key = 1 + (first + i * EACH + k) % 190
            if way == "query":
                units.append(query(text % key))
            else:
                units.append(unit(text.replace("%d", "$1").replace("'V$1'", "$1"), [("V%d" if "'V%d'" in text else "%d") % key]))
        c.send(*units)


def burst(conns, text, way, first=0):
    """All of them at once; the replies of each, as messages."""
    send(conns, text, way, first)
    return [[(m.type, m.body) for m in c.ready(EACH)] for c in conns]


def folded(proxy):
    """Lookups folded so far, as pgfold counts them."""
    def counts():
        return re.findall(r"folded (\d+) in \d+ batches", proxy.log())
    before = len(counts())
    proxy.signal(signal.SIGUSR1)
    return int(servers.wait_for(lambda: counts()[before:], "pgfold's counters")[-1])


def until_folding(proxy, conns, text, way):
    """Bursts until some of their lookups fold."""
    for attempt in range(30):
        before = folded(proxy)
        burst(conns, text, way, attempt)
        burst(conns, text, way, attempt + 7)
        if folded(proxy) > before + SESSIONS:
            return True
        time.sleep(0.02)
    raise Late("nothing folds, so there is nothing to test\n" + proxy.log()[-2000:])


def is_sealed(pg):
    """The last statement of a batch is its check, or, under a seal, the folded statement itself."""
    with pg.admin("stamp") as c:
        return c.sql("SELECT 1 FROM pg_stat_activity WHERE query LIKE '%ANY (COALESCE((SELECT $1 WHERE%' AND state = 'idle'")


def until_sealed(pg, conns, text, way):
    """Bursts until folded statements prove themselves."""
    for attempt in range(60):
        burst(conns, text, way, attempt * 3)
        if is_sealed(pg):
            return True
    raise Late("no batch without a check")


def without_order(got):
    """Replies as PostgreSQL gives them, but for table OIDs' order of rows, which no statement here asks for."""
    return [sorted(x for x in one) for one in got]


@pytest.mark.pgfold
@pytest.mark.parametrize("way", ["query", "unit"])
@pytest.mark.parametrize("case", CASES, ids=name_of)
def test_what_changes_past_pgfold(pg, start_pgfold, case, way):
    statements, text, changes = CASES[case]
    set_up(pg, statements, PATHS.get(case, "front, public"))
    proxy = start_pgfold(LONG)
    proxy.may_differ = True
    conns = [proxy.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    direct = [pg.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    for i, c in enumerate(conns + direct):  # the tenant comes in a way that no proxy can follow
        c.ask(query("DO $$BEGIN PERFORM set_config('app.tenant', '%d', false); END$$" % (i % 2)))
    assert until_folding(proxy, conns, text, way)
    if text == BY_ID and case not in PATHS:
        assert until_sealed(pg, conns, text, way)
    with pg.admin("stamp") as c:
        for change in changes:
            got = c.ask(query(change))
            assert not any(m.type == "E" for m in got), got
    if "right" not in case:
        allow_front(pg)
    for again in range(3):
        wanted, got = burst(direct, text, way, again * 3), burst(conns, text, way, again * 3)
        assert without_order(got) == without_order(wanted), "burst %d behind the change" % again
    for c in conns + direct:
        c.close()


@pytest.mark.pgfold
def test_a_table_in_front_of_what_was_prepared(pg, start_pgfold):
    """PostgreSQL goes on with the table that a statement was prepared with as long as nothing makes it plan anew."""
    set_up(pg, PLANK + "; CREATE SCHEMA front")
    proxy = start_pgfold(LONG)
    conns = [proxy.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    direct = [pg.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    for c in conns + direct:
        c.ask(parse("SELECT id, tenant, v FROM plank WHERE id = $1", "s", [23]), describe("S", "s"), SYNC)

    def ask(ends, first):
        for i, c in enumerate(ends):
            for k in range(EACH):
                c.send(bind([str(1 + (first + i * EACH + k) % 190)], "s"), execute(), SYNC)
        return [[row for row in rows(c.ready(EACH))] for c in ends]
    ask(direct, 0)
    for attempt in range(30):
        before = folded(proxy)
        ask(conns, attempt)
        if folded(proxy) > before + SESSIONS:
            break
    else:
        raise Late("nothing folds")
    with pg.admin("stamp") as c:
        c.sql("CREATE TABLE front.plank AS SELECT id, 7 AS tenant, 'front' AS v FROM public.plank")
        c.sql("GRANT ALL ON SCHEMA front TO PUBLIC")
        c.sql("GRANT ALL ON front.plank TO PUBLIC")
    for again in range(3):
        wanted, got = ask(direct, again), ask(conns, again)
        assert got == wanted, "burst %d" % again
    for c in conns + direct:
        c.close()


@pytest.mark.pgfold
def test_roles_that_change_names(pg, start_pgfold):
    """A role is renamed while its sessions live, and another one made under its name."""
    set_up(pg, PLANK)
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        for statement in ("DROP ROLE IF EXISTS mover", "DROP ROLE IF EXISTS moved", "CREATE ROLE mover LOGIN"):
            c.sql(statement)
    with pg.admin("stamp") as c:
        c.sql("REVOKE ALL ON plank FROM PUBLIC")
        c.sql("GRANT SELECT ON plank TO mover")
    proxy = start_pgfold(LONG)
    old = [proxy.connect("mover", "stamp", timeout=60) for _ in range(SESSIONS)]
    assert until_folding(proxy, old, BY_ID, "query") and until_sealed(pg, old, BY_ID, "query")
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("ALTER ROLE mover RENAME TO moved")
        c.sql("CREATE ROLE mover LOGIN")
    new = [proxy.connect("mover", "stamp", timeout=60) for _ in range(SESSIONS)]
    for again in range(4):
        send(old, BY_ID, "query", again)
        send(new, BY_ID, "query", again)
        assert all(sum(m.type == "D" for m in c.ready(EACH)) == EACH for c in old)
        for c in new:
            got = c.ready(EACH)
            assert not [m for m in got if m.type == "D"] and sum(m.type == "E" for m in got) == EACH, "rows that it may not read"
    for c in old + new:
        c.close()
    with pg.admin("stamp") as c:
        c.sql("REVOKE ALL ON plank FROM moved")
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("DROP ROLE mover")
        c.sql("DROP ROLE moved")


def failed(proxy):
    def counts():
        return re.findall(r"failed batches (\d+)", proxy.log())
    before = len(counts())
    proxy.signal(signal.SIGUSR1)
    return int(servers.wait_for(lambda: counts()[before:], "pgfold's counters")[-1])


@pytest.mark.pgfold
@pytest.mark.parametrize("event", ["ANALYZE plank", "GRANT SELECT ON plank TO app", "SELECT pg_reload_conf()", "UPDATE plank SET v = v || '!'",
                                   "VACUUM FULL plank"])
def test_a_seal_that_breaks_is_made_anew(pg, start_pgfold, event):
    """Nothing has changed, but the server reads the statement anew: the answers are right, and soon proved by themselves again."""
    set_up(pg, PLANK)
    proxy = start_pgfold(LONG)
    conns = [proxy.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    direct = [pg.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    assert until_folding(proxy, conns, BY_ID, "unit")
    for again in range(2):
        assert until_sealed(pg, conns, BY_ID, "unit")
        with pg.admin("stamp") as c:
            c.sql(event)
        wanted, got = burst(direct, BY_ID, "unit", again), burst(conns, BY_ID, "unit", again)
        assert [x for one in without_order(got) for x in one if x[0] != "S"] == [x for one in without_order(wanted) for x in one if x[0] != "S"]
    assert until_sealed(pg, conns, BY_ID, "unit")
    for c in conns + direct:
        c.close()


@pytest.mark.pgfold
def test_keys_without_rows(pg, start_pgfold):
    """Where batches without a row are usual, they are checked, and do not fail again and again."""
    set_up(pg, PLANK)
    proxy = start_pgfold(LONG)
    conns = [proxy.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    assert until_folding(proxy, conns, BY_ID, "unit") and until_sealed(pg, conns, BY_ID, "unit")
    with pg.admin("stamp") as c:
        c.sql("DELETE FROM plank")
    before = failed(proxy)
    for again in range(20):
        for got in burst(conns, BY_ID, "unit", again):
            assert [t for t, _ in got] == ["1", "2", "T", "C", "Z"] * EACH or not [t for t, _ in got if t == "D"]
    assert failed(proxy) - before <= 2 * SESSIONS
    for c in conns:
        c.close()


# What others change without waiting for who only reads the table.
BESIDE_A_READER = {
    "a table in front": ["CREATE TABLE front.plank AS SELECT id, 7 AS tenant, 'front' AS v FROM public.plank",
                         "GRANT ALL ON SCHEMA front TO PUBLIC", "GRANT ALL ON front.plank TO PUBLIC"],
    "a schema renamed to stand in front": ["DROP SCHEMA front", "ALTER SCHEMA back RENAME TO front"],
    "a table that inherits": ["CREATE TABLE more () INHERITS (plank)", "INSERT INTO more SELECT id, 3, 'more' FROM plank"],
    "no right to read": ["REVOKE readers FROM app"],
    "no right of a role that gave it": ["REVOKE ALL ON plank FROM readers"],
    "no right to the schema": ["REVOKE ALL ON SCHEMA public FROM PUBLIC"],
}


@pytest.mark.pgfold
@pytest.mark.parametrize("way", ["query", "unit"])
@pytest.mark.parametrize("sealed", [True, False])
@pytest.mark.parametrize("case", BESIDE_A_READER, ids=name_of)
def test_changes_beside_a_lender_inside_a_transaction(pg, start_pgfold, case, sealed, way):
    """A process whose transaction holds the table's lock hears of changes late, and answers from what it knows. Directly, that is between it and
    its client; pgfold may not give such an answer to others."""
    set_up(pg, PLANK + "; CREATE SCHEMA front; CREATE SCHEMA back; GRANT ALL ON SCHEMA back TO PUBLIC; "
           "CREATE TABLE back.plank AS SELECT id, 7 AS tenant, 'back' AS v FROM public.plank; GRANT ALL ON back.plank TO PUBLIC")
    with pg.admin("stamp") as c:
        c.ask(query("DROP ROLE IF EXISTS readers"))
        c.ask(query("CREATE ROLE readers; GRANT readers TO app; REVOKE ALL ON plank FROM PUBLIC; GRANT SELECT ON plank TO readers"))
    proxy = start_pgfold(LONG)
    proxy.may_differ = True
    conns = [proxy.connect("app", "stamp", timeout=60) for _ in range(SESSIONS)]
    direct = pg.connect("app", "stamp", timeout=60)
    assert until_folding(proxy, conns, BY_ID, way)
    assert not sealed or until_sealed(pg, conns, BY_ID, way)
    lenders, last = conns[:-1], conns[-1]
    for c in [*conns, direct]:
        c.ask(query("BEGIN"))
    for again in range(4):
        burst(lenders, BY_ID, way, again * 3)
    with pg.admin("stamp") as c:
        for change in BESIDE_A_READER[case]:
            got = c.ask(query(change))
            assert not any(m.type == "E" for m in got), got
    for c in [*lenders, last, direct]:  # the last one cannot lend: its transaction has no snapshot yet
        c.send(query(BY_ID % 101) if way == "query" else unit(BY_ID.replace("%d", "$1"), ["101"]))
    for c in lenders:
        c.ready()
    wanted, got = [(m.type, m.body) for m in direct.ready()], [(m.type, m.body) for m in last.ready()]
    for c in [*conns, direct]:
        c.close()
    with pg.admin("stamp") as c:
        c.ask(query("DROP OWNED BY readers; DROP ROLE readers"))
    assert got == wanted
