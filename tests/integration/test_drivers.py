# SPDX-License-Identifier: PostgreSQL
"""Real drivers, each in its own way of talking: the same results directly and through pgfold."""
import asyncio
import concurrent.futures
import os
import re
import shutil
import subprocess

import pytest

import conftest
import servers
from busy import unless_busy

N = 24


def url(end, scheme="postgresql"):
    return "%s://app@127.0.0.1:%d/app" % (scheme, end.port)


def in_threads(connect, ask):
    """N threads, a connection each, ask for several ids."""
    def work(i):
        conn = connect()
        try:
            return [ask(conn, (i * 7 + k) % 2050 + 1) for k in range(20)]
        finally:
            conn.close()
    with concurrent.futures.ThreadPoolExecutor(N) as pool:
        return list(pool.map(work, range(N)))


@pytest.mark.parametrize("threshold", [0, 5, None])
@pytest.mark.parametrize("binary", [False, True])
def test_psycopg(pg, proxy, threshold, binary):
    psycopg = pytest.importorskip("psycopg")

    def run(end):
        def connect():
            return psycopg.connect(url(end), autocommit=True, prepare_threshold=threshold)

        def ask(conn, k):
            with conn.cursor(binary=binary) as cur:
                return cur.execute("SELECT * FROM item WHERE id = %s", (k,)).fetchall(), [d.type_code for d in cur.description]
        return in_threads(connect, ask)
    assert run(proxy) == run(pg)


def test_psycopg_pipeline(pg, proxy):
    psycopg = pytest.importorskip("psycopg")
    if not psycopg.capabilities.has_pipeline() if hasattr(psycopg, "capabilities") else psycopg.pq.version() < 140000:
        pytest.skip("libpq has no pipeline mode")

    def run(end):
        with psycopg.connect(url(end), autocommit=True) as conn, conn.pipeline():
            cursors = [conn.execute("SELECT id, name FROM item WHERE id = %s", (k,)) for k in range(1, 300)]
            return [c.fetchall() for c in cursors]
    assert run(proxy) == run(pg)


def test_psycopg2(pg, proxy):
    psycopg2 = pytest.importorskip("psycopg2")

    def run(end):
        def connect():
            conn = psycopg2.connect(url(end))
            conn.autocommit = True
            return conn

        def ask(conn, k):
            with conn.cursor() as cur:
                cur.execute("SELECT * FROM item WHERE id = %s", (k,))
                rows = cur.fetchall()
                return [tuple(bytes(c) if isinstance(c, memoryview) else c for c in r) for r in rows]
        return in_threads(connect, ask)
    assert run(proxy) == run(pg)


def test_psycopg2_transactions(pg, proxy):
    """The driver's default: BEGIN before the first statement, COMMIT behind."""
    psycopg2 = pytest.importorskip("psycopg2")

    def run(end):
        def ask(conn, k):
            with conn, conn.cursor() as cur:
                cur.execute("SELECT name FROM item WHERE id = %s", (k,))
                return cur.fetchall()
        return in_threads(lambda: psycopg2.connect(url(end)), ask)
    assert run(proxy) == run(pg)


@pytest.mark.parametrize("cache", [0, 100])
def test_asyncpg(pg, proxy, cache):
    asyncpg = pytest.importorskip("asyncpg")

    async def run(end):
        pool = await asyncpg.create_pool(url(end), min_size=N, max_size=N, statement_cache_size=cache)
        try:
            got = []
            for _ in range(5):
                got.append(await asyncio.gather(*(pool.fetch("SELECT * FROM item WHERE id = $1", k) for k in range(1, 100))))
            with pytest.raises(asyncpg.DivisionByZeroError):
                await pool.fetch("SELECT 1 / $1::int", 0)
            got.append(await pool.fetch("SELECT * FROM thing WHERE id = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'"))
            return [[tuple(r) for r in rows] for rows in got[0]], got[0] == got[-2], len(got[-1])
        finally:
            await pool.close()
    assert asyncio.run(run(proxy)) == asyncio.run(run(pg))


def test_asyncpg_folds(proxy, folding):
    """The point of it all, with a real driver: ids asked for at once over a pool."""
    asyncpg = pytest.importorskip("asyncpg")

    async def run():
        pool = await asyncpg.create_pool(url(proxy), min_size=N, max_size=N)
        try:
            for _ in range(40):
                folding.reset()
                with folding.locked("item", settle=0):
                    asking = asyncio.gather(*(pool.fetch("SELECT name FROM item WHERE id = $1", k) for k in range(1, N + 1)))
                    await asyncio.sleep(0.3)
                assert [[tuple(r) for r in rows] for rows in await asking] == [[("item %d" % k,)] for k in range(1, N + 1)]
                if conftest.DIRECT or folding.calls("item") <= N // 3:
                    return True
            return False
        finally:
            await pool.close()
    folded = asyncio.run(run())
    with unless_busy():
        assert folded


def test_sqlalchemy(pg, proxy):
    sqlalchemy = pytest.importorskip("sqlalchemy")
    from sqlalchemy import orm
    base = orm.declarative_base()

    class Item(base):
        __tablename__ = "item"
        id = sqlalchemy.Column(sqlalchemy.Integer, primary_key=True)
        name = sqlalchemy.Column(sqlalchemy.Text)
        children = orm.relationship("Child", order_by="Child.id")

    class Child(base):
        __tablename__ = "child"
        id = sqlalchemy.Column(sqlalchemy.BigInteger, primary_key=True)
        item_id = sqlalchemy.Column(sqlalchemy.ForeignKey("item.id"))
        body = sqlalchemy.Column(sqlalchemy.Text)

    def run(end):
        engine = sqlalchemy.create_engine(url(end, "postgresql+psycopg2"), pool_size=N)

        def page(i):
            with orm.Session(engine) as session:
                item = session.get(Item, i + 1)
                return item.name, [c.body for c in item.children]
        try:
            with concurrent.futures.ThreadPoolExecutor(N) as pool:
                return list(pool.map(page, range(200)))
        finally:
            engine.dispose()
    assert run(proxy) == run(pg)


def test_pgbench(proxy):
    """Its own schema in the database `second`; every protocol mode; no failed transaction."""
    if not servers.client_program("pgbench"):
        pytest.skip("pgbench is not installed")

    def pgbench(*options):
        done = subprocess.run([servers.client_program("pgbench"), "-h", "127.0.0.1", "-p", str(proxy.port), "-U", "app", *options, "second"],
                              capture_output=True, text=True, timeout=120)
        assert done.returncode == 0 and "aborted" not in done.stderr and "error" not in done.stderr.lower(), done.stderr
        return done.stdout
    pgbench("-i", "-q")
    for mode in ("simple", "extended", "prepared"):
        assert "processed: 2000/2000" in pgbench("-n", "-S", "-M", mode, "-c", "20", "-j", "2", "-t", "100")
        pgbench("-n", "-M", mode, "-c", "8", "-t", "20")
    # Balances add up: no update was lost, no row went astray.
    with proxy.connect(database="second") as c:
        sums = c.sql("SELECT (SELECT sum(abalance) FROM pgbench_accounts), (SELECT sum(tbalance) FROM pgbench_tellers), "
                     "(SELECT sum(bbalance) FROM pgbench_branches), (SELECT sum(delta) FROM pgbench_history)")
        assert len(set(sums[0])) == 1


@pytest.mark.skipif(not shutil.which("pg_dump"), reason="pg_dump is not installed")
def test_pg_dump(pg, proxy):
    with pg.admin() as c:
        if int(c.value("SHOW server_version_num")) // 10000 > int(re.search(r"\d+", servers.run("pg_dump", "--version")).group()):
            pytest.skip("pg_dump is older than the server")
    def dump(end):
        done = subprocess.run([shutil.which("pg_dump"), "-h", "127.0.0.1", "-p", str(end.port), "-U", servers.SUPERUSER, "-t", "item",
                               "-t", "child", "app"], capture_output=True, timeout=120, env=dict(os.environ, LC_ALL="C"))
        assert done.returncode == 0, done.stderr
        return [line for line in done.stdout.splitlines() if not line.startswith((b"\\restrict", b"\\unrestrict"))]
    assert dump(proxy) == dump(pg)
