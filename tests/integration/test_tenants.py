# SPDX-License-Identifier: PostgreSQL
"""Two tenants on the connections of one pool, through real drivers: by role, by a setting that row-level security reads, by search_path;
for the session or within a transaction. Thousands of lookups at once; no row of the other tenant, none missing.

Every row tells whose it is, so each answer is known beforehand; PGFOLD_BIN=direct proves that it is PostgreSQL's."""
import asyncio
import concurrent.futures
import contextlib
import json
import os
import random
import subprocess
import tempfile

import pytest

import conftest
import orm_pages
import proto
import servers
from busy import unless_busy

SETUP = """
DROP SCHEMA IF EXISTS tenant_a, tenant_b, shared CASCADE;
DROP OWNED BY tenant_a, tenant_b, clerk;
DROP ROLE tenant_a, tenant_b, clerk;
CREATE ROLE tenant_a;
CREATE ROLE tenant_b;
CREATE ROLE clerk LOGIN IN ROLE tenant_a, tenant_b;
CREATE SCHEMA tenant_a;
CREATE SCHEMA tenant_b;
CREATE SCHEMA shared;
GRANT USAGE ON SCHEMA tenant_a, tenant_b, shared TO PUBLIC;
CREATE TABLE tenant_a.leaflet (id int PRIMARY KEY, body text);
CREATE TABLE tenant_b.leaflet (id int PRIMARY KEY, body text);
INSERT INTO tenant_a.leaflet SELECT i, 'a' || i FROM generate_series(1, 300) i;
INSERT INTO tenant_b.leaflet SELECT i, 'b' || i FROM generate_series(1, 300) i;
CREATE TABLE shared.note (id int PRIMARY KEY, tenant text, body text);
INSERT INTO shared.note SELECT i, CASE WHEN i % 2 = 0 THEN 'tenant_a' ELSE 'tenant_b' END, 'note ' || i FROM generate_series(1, 300) i;
ALTER TABLE shared.note ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON shared.note USING (tenant = current_user OR tenant = nullif(current_setting('app.tenant', true), ''));
CREATE TABLE shared.common (id int PRIMARY KEY, body text);
INSERT INTO shared.common SELECT i, 'common ' || i FROM generate_series(1, 300) i;
CREATE TABLE shared.locked_up (id int PRIMARY KEY, body text);
INSERT INTO shared.locked_up SELECT i, 'locked up ' || i FROM generate_series(1, 300) i;
CREATE VIEW shared.mine AS SELECT id, body FROM shared.note WHERE tenant = current_user OR tenant = nullif(current_setting('app.tenant', true), '');
GRANT SELECT ON tenant_a.leaflet, tenant_b.leaflet, shared.note, shared.common, shared.mine TO PUBLIC;
GRANT SELECT ON shared.locked_up TO tenant_a;
ANALYZE
"""
# name: (statements first, statements last, what tells the tenants apart)
SCHEMES = {
    "role": (["SET ROLE %s"], [], {"role"}),
    "role and reset": (["SET ROLE %s"], ["RESET ROLE"], {"role"}),
    "role of a transaction": (["BEGIN", "SET LOCAL ROLE %s"], ["COMMIT"], {"role"}),
    "setting and path": (["SET app.tenant = '%s'", "SET search_path = %s, shared"], ["RESET ALL"], {"setting", "path"}),
    "setting": (["SET app.tenant = '%s'"], [], {"setting"}),
    "set_config": (["SELECT set_config('app.tenant', '%s', false)"], ["SELECT set_config('app.tenant', '', false)"], {"setting"}),
    "setting of a transaction": (["BEGIN", "SET LOCAL app.tenant = '%s'"], ["COMMIT"], {"setting"}),
    "set_config of a transaction": (["BEGIN", "SELECT set_config('app.tenant', '%s', true)"], ["ROLLBACK"], {"setting"}),
    "path": (["SET search_path = %s"], [], {"path"}),
    "path of a transaction": (["BEGIN READ ONLY", "SET LOCAL search_path TO %s"], ["COMMIT"], {"path"}),
    "all of them": (["SET ROLE %s", "SET app.tenant = '%s'", "SET search_path = %s, shared"], ["DISCARD ALL"], {"role", "setting", "path"}),
}
TEXTS = {
    "note": "SELECT body FROM shared.note WHERE id = $1",
    "mine": "SELECT body FROM shared.mine WHERE id = $1",
    "common": "SELECT body FROM shared.common WHERE id = $1",
    "locked_up": "SELECT body FROM shared.locked_up WHERE id = $1",
    "leaflet": "SELECT body FROM leaflet WHERE id = $1",
    "joined": "SELECT l.body, c.body FROM leaflet l JOIN shared.common c ON c.id = l.id WHERE l.id = $1",
    "counted": "SELECT count(*) FROM shared.note WHERE id = $1",
}
TENANTS = ("tenant_a", "tenant_b")
POOL, CHECKOUTS = 24, 144


@pytest.mark.pgfold
def test_what_one_tenant_has_asked_holds_for_the_others(start_pgfold):
    """An answer of the catalogue depends on no custom setting: it is asked once for all tenants. Rows stay each tenant's own."""
    p = start_pgfold()
    counts = orm_pages.Counts(p)
    texts = [TEXTS[k] for k in ("note", "mine", "common", "counted")]

    def page(tenant):
        with p.connect("clerk") as c:
            c.sql("SET app.tenant = '%s'" % tenant)
            c.sql("SELECT id FROM shared.common ORDER BY id")
            for text in texts:
                for i in range(1, 21):
                    got = c.sql(text.replace("$1", str(i)))
                    mine = (tenant == "tenant_a") == (i % 2 == 0) and tenant in TENANTS
                    expected = {"common": [("common %d" % i,)], "counted": [(str(int(mine)),)]}
                    assert got == expected.get(next(k for k in TEXTS if TEXTS[k] == text), [("note %d" % i,)] if mine else []), (tenant, text, i)
    for tenant in TENANTS:
        page(tenant)
    known = counts.read()["vettings"]
    for n in range(12):
        page("tenant %d" % n)
        page(TENANTS[n % 2])
    more = counts.read().get("vettings", 0)
    with unless_busy():
        assert more <= 4, "%d questions more, after %d" % (more, known)


NAME, BOOL = "app.tenant", 16
# Forms in which a tenant is set with parameters: (text, values by tenant, declared types, formats, for the session).
BOUND = {
    "value": ("SELECT set_config('app.tenant', $1, true)", lambda t: [t], (), (), False),
    "cast": ("select pg_catalog.set_config('app.tenant'::text, cast($1 as varchar), 't')", lambda t: [t], (), (), False),
    "all": ("SELECT set_config($1, $2, $3)", lambda t: [NAME, t, b"\1"], (25, 25, BOOL), (0, 1, 1), False),
    "several": ("SELECT set_config($2, $1, true), set_config('app.other', $1::text, true)", lambda t: [t, NAME], (), (), False),
    "computed": ("SELECT set_config('app.tenant', $1::name::text, true)", lambda t: [t], (), (), False),
    "session": ("SELECT set_config('app.tenant', $1, false)", lambda t: [t], (), (), True),
    "all of the session": ("SELECT set_config($1, $2, $3)", lambda t: [NAME, t, "off"], (), (), True),
    "session, computed": ("SELECT set_config('app.tenant', $1::name::text, false)", lambda t: [t], (), (), True),
    "mixed": ("SELECT set_config('app.tenant', $1, false), set_config('app.other', 'x', true)", lambda t: [t], (), (), True),
    "role": ("SELECT set_config('role', $1, true), set_config('app.tenant', $2, true)", lambda t: [t, ""], (), (), False),
    "no value": ("SELECT set_config('app.tenant', $1, true)", lambda t: [None], (), (), False),
}


@pytest.mark.parametrize("way", list(BOUND) + ["any"])
def test_tenants_that_are_set_with_parameters(far, way):
    """Each page sets its tenant, and sees its rows alone, through names of prepared statements and of portals, and after a ROLLBACK."""
    draw = random.Random(way)
    conns = [far.connect("clerk") for _ in range(6)]
    last = [None] * len(conns)  # what the session has set
    prepared = set()

    def look(n, tenant, ids):
        for i in ids:
            got = proto.rows(conns[n].ask(proto.unit(TEXTS["note"], [i])))
            assert got == ([[b"note %d" % i]] if tenant and visible(tenant, i) else []), (way, tenant, i)
    try:
        for _ in range(60):
            n, tenant = draw.randrange(len(conns)), draw.choice(TENANTS)
            c, form = conns[n], draw.choice(list(BOUND)) if way == "any" else way
            text, values, types, formats, session = BOUND[form]
            inside = not session or draw.random() < 0.3
            if inside:
                c.sql("BEGIN")
            if draw.random() < 0.4:
                look(n, last[n], [draw.randrange(1, 300)])
            name, portal = "set " + form if draw.random() < 0.5 else "", "by name" if inside and draw.random() < 0.3 else ""
            first = b"" if (n, name) in prepared else proto.parse(text, name, types)
            prepared.add((n, name if name else None))
            assert not proto.errors(c.ask(first + proto.bind(values(tenant), name, portal, formats) + proto.execute(portal=portal) + proto.SYNC))
            seen = None if form == "no value" else tenant
            start = draw.randrange(1, 280)
            c.ask(proto.unit("SELECT id FROM shared.common WHERE id >= $1 ORDER BY id LIMIT 12", [start]))
            look(n, seen, range(start, start + 12))
            end = draw.choice(["COMMIT", "ROLLBACK"]) if inside else ""
            if end:
                c.sql(end)
            last[n] = seen if session and end != "ROLLBACK" else last[n]
            if draw.random() < 0.3:
                look(n, last[n], [start, start + 1])
    finally:
        for c in conns:
            c.close()


@pytest.mark.pgfold
def test_a_page_whose_tenant_is_set_with_a_parameter(start_pgfold):
    """Its loop is loaded ahead, as that of one whose tenant is a constant."""
    p = start_pgfold()
    counts = orm_pages.Counts(p)
    asked = 0
    with p.connect("clerk") as c:
        for n in range(12):
            if n == 4:
                counts.read()
            c.sql("BEGIN")
            c.ask(proto.unit(BOUND["value"][0], [TENANTS[n % 2]]))
            c.sql("SELECT id FROM shared.common WHERE id <= 20 ORDER BY id")
            for i in range(1, 21):
                assert bool(proto.rows(c.ask(proto.unit(TEXTS["note"], [i])))) == visible(TENANTS[n % 2], i)
            asked += 20 * (n >= 4)
            c.sql("COMMIT")
    ahead = counts.read().get("ahead_answers", 0)
    with unless_busy():
        assert ahead >= asked * 0.8, (ahead, asked)


@pytest.fixture(scope="module", autouse=True)
def tables(pg):
    with pg.admin() as a:
        for statement in SETUP.split(";\n"):
            a.ask(proto.query(statement))  # the first ones fail the first time
        assert a.value("SELECT count(*) FROM shared.common") == "300"


def visible(tenant, i):
    return (i % 2 == 0) == (tenant == "tenant_a")


def expected(kind, tenant, i, told_by):
    """The rows, or the error's code."""
    letter = tenant[-1]
    if kind in ("note", "mine", "counted"):
        seen = visible(tenant, i) and told_by & {"role", "setting"}
        return [[1 if seen else 0]] if kind == "counted" else [["note %d" % i]] if seen else []
    if kind == "common":
        return [["common %d" % i]]
    if kind == "locked_up":  # the clerk, a member of both, inherits tenant_a's right
        return "42501" if "role" in told_by and letter == "b" else [["locked up %d" % i]]
    body = "%s%d" % (letter, i)
    return [[body]] if kind == "leaflet" else [[body, "common %d" % i]]


def checkouts(scheme):
    """[(first, [(kind, text, id)], last, answers)]: tenants by turns, and lookups that meet."""
    first, last, told_by = SCHEMES[scheme]
    out = []
    for n in range(CHECKOUTS):
        tenant = TENANTS[(n // 3) % 2]
        kinds = [k for k in TEXTS if (k not in ("leaflet", "joined") or "path" in told_by)]
        if "role" in told_by and first[0] == "BEGIN":
            kinds.remove("locked_up")  # its error would end the transaction
        lookups = [(k, TEXTS[k], (n * 5 + j) % 300 + 1) for j in range(2) for k in kinds]
        out.append(([s.replace("%s", tenant) for s in first], lookups, last, [expected(k, tenant, i, told_by) for k, _, i in lookups]))
    return out


def compare(jobs, got):
    for (first, lookups, _, answers), have in zip(jobs, got):
        for lookup, want, row in zip(lookups, answers, have):
            assert row == want, (first, lookup)
    assert len(got) == len(jobs)


def plain(rows):
    return [list(r) for r in rows]


@pytest.fixture(scope="module")
def far(pg, server_conninfo):
    """pgfold, with the server a millisecond behind it, so that lookups meet."""
    with tempfile.TemporaryDirectory(prefix="pgfold-tenants-") as folder, contextlib.ExitStack() as stack:
        relay = orm_pages.Relay(pg, folder)
        stack.callback(relay.stop)
        if conftest.DIRECT:
            yield relay
            return
        p = servers.Pgfold(conftest.BINARY, server_conninfo.replace(str(pg.port), str(relay.port)))
        stack.callback(p.stop)
        yield p


@pytest.fixture
def proxy(far):
    return far


@pytest.mark.parametrize("scheme", SCHEMES)
def test_psycopg2(proxy, scheme):
    psycopg2 = pytest.importorskip("psycopg2.pool")
    import psycopg2.errorcodes
    pool = psycopg2.pool.ThreadedConnectionPool(POOL, POOL, "host=127.0.0.1 port=%d user=clerk dbname=app sslmode=disable" % proxy.port)
    jobs = checkouts(scheme)

    def answer(cursor, text, i):
        try:
            cursor.execute(text.replace("$1", "%s"), (i,))
            return plain(cursor.fetchall())
        except psycopg2.Error as e:
            return e.pgcode

    def work(job):
        conn = pool.getconn()
        try:
            conn.autocommit = True
            with conn.cursor() as cursor:
                for s in job[0]:
                    cursor.execute(s)
                got = [answer(cursor, text, i) for _, text, i in job[1]]
                for s in job[2]:
                    cursor.execute(s)
                return got
        finally:
            pool.putconn(conn)
    with concurrent.futures.ThreadPoolExecutor(POOL) as threads:
        compare(jobs, list(threads.map(work, jobs)))
    pool.closeall()


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("cache", [0, 100])
def test_asyncpg(proxy, scheme, cache):
    """Its pool resets each connection behind a checkout, in a string of several statements; its prepared statements outlive a path."""
    asyncpg = pytest.importorskip("asyncpg")
    jobs = checkouts(scheme)

    async def answer(conn, text, i):
        try:
            return plain(await conn.fetch(text, i))
        except asyncpg.PostgresError as e:
            return e.sqlstate

    async def work(pool, job):
        async with pool.acquire() as conn:
            for s in job[0]:
                await conn.execute(s)
            got = [await answer(conn, text, i) for _, text, i in job[1]]
            for s in job[2]:
                await conn.execute(s)
            return got

    async def run():
        url = "postgresql://clerk@127.0.0.1:%d/app?sslmode=disable" % proxy.port
        async with asyncpg.create_pool(url, min_size=POOL, max_size=POOL, statement_cache_size=0 if scheme == "all of them" else cache) as pool:
            compare(jobs, await asyncio.gather(*(work(pool, j) for j in jobs)))
    asyncio.run(run())


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("named", [False, True])
def test_node_postgres(proxy, scheme, named):
    if not orm_pages.PROGRAMS["pg"][0]["installed"]():
        pytest.skip("pg is not installed")
    if named and scheme == "all of them":
        pytest.skip("DISCARD ALL drops the statements that the driver takes for prepared")
    jobs = checkouts(scheme)
    job = {"port": proxy.port, "pool": POOL, "named": named, "checkouts": [
        {"first": first, "lookups": [[text, i] for _, text, i in lookups], "last": last} for first, lookups, last, _ in jobs]}
    done = subprocess.run(["node", os.path.join(orm_pages.ORMS, "tenants_pg.js")], input=json.dumps(job), capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    got = json.loads(done.stdout)
    for (_, lookups, _, _), answers in zip(jobs, got):  # the driver gives a bigint as text
        for at, (kind, _, _) in enumerate(lookups):
            if kind == "counted":
                answers[at] = [[int(answers[at][0][0])]]
    compare(jobs, got)


@pytest.mark.parametrize("scheme", ["role", "setting", "set_config", "path", "setting and path"])
def test_sessions_that_stay_with_a_tenant(proxy, scheme):
    """Half of the connections for each, a thousand lookups: what each tenant asks for is folded among its own."""
    asyncpg = pytest.importorskip("asyncpg")
    first, _, told_by = SCHEMES[scheme]
    kinds = [k for k in ("common", "locked_up", "leaflet", "joined") if k in ("common", "locked_up") or "path" in told_by]

    async def session(n):
        conn = await asyncpg.connect("postgresql://clerk@127.0.0.1:%d/app?sslmode=disable" % proxy.port)
        for s in first:
            await conn.execute(s.replace("%s", TENANTS[n % 2]))
        return conn

    async def ask(conn, n, kind, i):
        try:
            got = plain(await conn.fetch(TEXTS[kind], i))
        except asyncpg.PostgresError as e:
            got = e.sqlstate
        assert got == expected(kind, TENANTS[n % 2], i, told_by), (TENANTS[n % 2], kind, i)

    async def run():
        conns = await asyncio.gather(*map(session, range(POOL)))
        for turn in range(40):
            kind = kinds[turn % len(kinds)]
            await asyncio.gather(*(ask(c, n, kind, (turn * 7 + n // 2) % 300 + 1) for n, c in enumerate(conns)))
        await asyncio.gather(*(c.close() for c in conns))
    if conftest.DIRECT:
        asyncio.run(run())
        return
    counts = orm_pages.Counts(proxy)
    counts.read()
    asyncio.run(run())
    got = counts.read()
    with unless_busy():
        assert got.get("folded", 0) > POOL * 40 // 4, got
