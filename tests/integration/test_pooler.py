# SPDX-License-Identifier: PostgreSQL
"""PgBouncer between pgfold and the server. In session mode lookups fold as ever. In transaction mode one connection is
not one backend, on which everything here relies: pgfold finds out, says so, and passes on what there is."""
import asyncio
import contextlib
import os
import subprocess
import tempfile
import time

import pytest

import conftest
import proto
import servers
from proto import FLUSH, SYNC, bind, describe, execute, parse, query, unit

pytestmark = pytest.mark.pgfold

INI = """
[databases]
app = host=127.0.0.1 port={server} user=app dbname=app
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any

pool_mode = {mode}
default_pool_size = {size}
max_client_conn = 500
ignore_startup_parameters = extra_float_digits,options,search_path
"""


class PgBouncer(servers.Endpoint):
    def __init__(self, pg, mode, size=10):
        self.folder = tempfile.mkdtemp(prefix="pgfold-bouncer-", dir="/tmp")
        os.chmod(self.folder, 0o755)
        self.port = servers.free_port()
        config = os.path.join(self.folder, "pgbouncer.ini")
        with open(config, "w") as f:
            f.write(INI.format(server=pg.port, port=self.port, mode=mode, size=size))
        self.log = open(os.path.join(self.folder, "log"), "wb")
        self.process = subprocess.Popen(servers.as_postgres("/usr/sbin/pgbouncer", config), stdout=self.log, stderr=self.log,
                                        cwd="/")
        servers.wait_for(self.answers, "PgBouncer (see %s/log)" % self.folder)

    def answers(self):
        assert self.process.poll() is None, open(self.log.name).read()
        with contextlib.suppress(OSError, AssertionError):
            with self.dial() as c:
                return c.login("app", "app")[-1].type == "Z"

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture
def bouncer(pg, start_pgfold):
    """bouncer(mode): a pgfold in front of a PgBouncer of its own."""
    with contextlib.ExitStack() as stack:
        def start(mode, size=10, settings=None):
            b = PgBouncer(pg, mode, size)
            stack.callback(b.stop)
            return start_pgfold(settings, server="host=127.0.0.1 port=%d sslmode=disable" % b.port)
        yield start


def lookup(k):
    return unit("SELECT id, name FROM item WHERE id = $1", [k])


def as_asyncpg(c, k):
    """asyncpg with statement_cache_size=0: Parse and Describe up to a Flush, then the rest."""
    c.send(parse("SELECT id, name FROM item WHERE id = $1"), describe("S"), FLUSH)
    got = c.until("T")
    c.send(bind([k]), execute(), SYNC)
    return got + c.ready()


def expect_row(got, k):
    assert proto.rows(got) == [[b"%d" % k, b"item %d" % k]], (proto.errors(got), proto.types(got))


def test_session_mode_folds(bouncer, folding):
    p = bouncer("session", 50)
    conns = folding.connections(p, 20)
    folding.warm(conns, [lookup(k) for k in range(1, 21)], "item")
    replies, calls = folding.burst(conns, [lookup(k) for k in range(1, 21)], "item")
    for k, got in enumerate(replies, 1):
        expect_row(got, k)
    folding.assert_folded(calls, 20)
    assert p.log().count("pg_backend_pid()") == 1 and " ERROR: " not in p.log()
    for c in conns:
        for k in range(1, 10):
            expect_row(as_asyncpg(c, k), k)


@pytest.mark.parametrize("ask", [lambda c, k: c.ask(lookup(k)), as_asyncpg,
                                 lambda c, k: c.ask(query("SELECT id, name FROM item WHERE id = %d" % k))],
                         ids=["unit", "asyncpg", "simple"])
@pytest.mark.parametrize("n", [1, 2, 8])
def test_transaction_mode_is_passed_on(bouncer, folding, ask, n):
    """Lookups of several connections at once, again and again: every answer comes, and is right."""
    import threading
    p = bouncer("transaction", 4)
    conns = folding.connections(p, n, timeout=20)
    wrong = []

    def client(i, c):
        try:
            for k in range(1, 41):
                c.ask(query("BEGIN")) if k % 7 == 0 else None
                expect_row(ask(c, 40 * i + k), 40 * i + k)
                c.ask(query("COMMIT")) if k % 7 == 0 else None
        except Exception as e:
            wrong.append(e)
    threads = [threading.Thread(target=client, args=(i, c)) for i, c in enumerate(conns)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong, wrong
    if n > 2:
        assert p.log().count(" ERROR: ") == 1 and "transaction" in p.log()


def test_asyncpg_itself(bouncer):
    asyncpg = pytest.importorskip("asyncpg")
    p = bouncer("transaction", 4)

    async def page(pool, i):
        async with pool.acquire() as c:
            for k in range(1, 31):
                row = await c.fetchrow("SELECT id, name FROM item WHERE id = $1", 30 * i + k)
                assert row["name"] == "item %d" % (30 * i + k)

    async def run():
        async with asyncpg.create_pool(host="127.0.0.1", port=p.port, user="app", database="app", ssl=False, min_size=6,
                                       max_size=6, statement_cache_size=0, timeout=20, command_timeout=20) as pool:
            await asyncio.wait_for(asyncio.gather(*(page(pool, i) for i in range(12))), 60)
    asyncio.run(run())
