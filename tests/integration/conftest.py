# SPDX-License-Identifier: PostgreSQL
"""Fixtures. PGFOLD_BIN names the binary under test; PGFOLD_BIN=direct runs the tests against PostgreSQL itself, which
proves that what they expect is what PostgreSQL does (tests of pgfold's own behaviour are then skipped).

`pg` is one PostgreSQL for the run, `proxy` one pgfold before it; `start_pgfold` starts another with settings of its own.
`both` runs the same actions on either and compares what came back byte for byte.
"""
import contextlib
import os
import signal
import sys
import time

import pytest

sys.path.insert(0, os.path.dirname(__file__))

import busy  # noqa: E402
import proto  # noqa: E402
import servers  # noqa: E402

BINARY = os.environ.get("PGFOLD_BIN", os.path.join(os.path.dirname(__file__), "../../build/pgfold"))
DIRECT = BINARY == "direct"
SCHEMA = """
CREATE EXTENSION pg_stat_statements;
CREATE TABLE item (id int PRIMARY KEY, name text, price numeric(10,2), note varchar(40), at timestamptz, ratio float8,
                   raw bytea, flag bool);
INSERT INTO item SELECT i, 'item ' || i, i * 1.25, CASE WHEN i % 3 = 0 THEN NULL ELSE repeat('n', i % 40) END,
       '2024-01-01'::timestamptz + i * interval '1 hour', i / 3.0::float8, decode(md5(i::text), 'hex'), i % 2 = 0
       FROM generate_series(1, 2000) i;
CREATE TABLE child (id bigserial PRIMARY KEY, item_id int, body text);
INSERT INTO child (item_id, body) SELECT i % 400 + 1, 'child ' || i FROM generate_series(1, 2000) i;
CREATE INDEX ON child (item_id);
CREATE TABLE thing (id uuid PRIMARY KEY, label text);
INSERT INTO thing SELECT md5(i::text)::uuid, 'thing ' || i FROM generate_series(1, 500) i;
CREATE TABLE scratch (a int, b text);
CREATE TABLE big (id bigint PRIMARY KEY, body text);
INSERT INTO big SELECT i, repeat(chr(97 + i::int % 26), 20000) FROM generate_series(1, 200) i;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
ANALYZE
"""


def pytest_addoption(parser):
    parser.addoption("--large", action="store_true", help="values of 512 MB instead of 64 MB")


def pytest_configure(config):
    config.addinivalue_line("markers", "pgfold: tests pgfold's own behaviour; skipped with PGFOLD_BIN=direct")
    config.pluginmanager.register(busy)
    signal.signal(signal.SIGTERM, lambda *_: pytest.exit("terminated", 1))


def pytest_collection_modifyitems(items):
    for item in items:
        if DIRECT and item.get_closest_marker("pgfold"):
            item.add_marker(pytest.mark.skip(reason="a test of pgfold's own behaviour; PGFOLD_BIN is direct"))


def program(name):
    """A program of the server under test; without it the test is skipped."""
    path = servers.pg_bin(name)
    if not os.path.exists(path):
        pytest.skip("PG_BIN has no %s" % name)
    return path


def arrived(conns):
    """Waits until pgfold has read what these have sent: it reads its sockets in turn, so who comes later is answered later.
    One that stops takes nobody new, which is no failure here."""
    for where in {c.where for c in conns}:
        with contextlib.suppress(OSError, proto.Closed, AssertionError), proto.Conn(where, timeout=10) as c:
            for _ in range(2 if c.login(servers.SUPERUSER, "postgres")[-1].type == "Z" else 0):
                c.sql("SELECT 1")


def make_schema(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        for statement in servers.ROLES.split(";"):
            c.sql(statement)
        c.sql("CREATE DATABASE app OWNER app")
        c.sql("CREATE DATABASE second OWNER app")
    for database in ("app", "second"):
        with pg.connect(servers.SUPERUSER, database) as c:
            for statement in SCHEMA.split(";\n"):
                c.sql(statement)
    with pg.connect(servers.SUPERUSER, "second") as c:
        c.sql("UPDATE item SET name = 'second ' || name")


@pytest.fixture(scope="session")
def pg():
    server = servers.Postgres()
    try:
        make_schema(server)
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def server_conninfo(pg):
    return "host=127.0.0.1 port=%d sslmode=disable" % pg.port


@pytest.fixture(scope="session")
def shared_proxy(pg, server_conninfo):
    """Holds the one pgfold of the run; a new one takes the place of one that crashed."""
    holder = [servers.Direct(pg) if DIRECT else servers.Pgfold(BINARY, server_conninfo, servers.PATIENT)]
    yield holder
    holder[0].stop()


@pytest.fixture
def proxy(shared_proxy, server_conninfo):
    yield shared_proxy[0]
    if not DIRECT and shared_proxy[0].process.poll() is not None:  # the test that caused it is blamed, the next ones run
        dead, shared_proxy[0] = shared_proxy[0], servers.Pgfold(BINARY, server_conninfo, servers.PATIENT)
        log = dead.log()
        dead.expect_exit = dead.process.returncode
        with contextlib.suppress(AssertionError):
            dead.stop()
        pytest.fail("pgfold died during this test:\n" + log[-6000:])


@pytest.fixture(scope="session")
def long_lived(pg, server_conninfo):
    """For settings that several tests share: long_lived(key="value")."""
    with contextlib.ExitStack() as stack:
        cache = {}

        def get(mode=None, **settings):
            key = (mode, tuple(sorted(settings.items())))
            if key not in cache:
                cache[key] = servers.Direct(pg) if DIRECT else servers.Pgfold(
                    BINARY, server_conninfo, servers.PATIENT | {k.replace("__", "."): v for k, v in settings.items()}, mode)
                stack.callback(cache[key].stop)
            return cache[key]
        yield get


@pytest.fixture
def start_pgfold(pg, server_conninfo):
    """start_pgfold({"pgfold.login_timeout": "1s"}, server=…, mode=…): a pgfold for this test alone."""
    with contextlib.ExitStack() as stack:
        def start(settings=None, server=None, **kw):
            p = servers.Pgfold(BINARY, server or server_conninfo, servers.PATIENT | (settings or {}), **kw)
            stack.callback(p.stop)
            return p
        yield start


@pytest.fixture(params=["tcp", "unix"])
def unix(request):
    return request.param == "unix"


@pytest.fixture
def both(pg, proxy):
    """both(action): action(end) for PostgreSQL and for pgfold; what they return must be equal, byte for byte.

    Messages are masked for BackendKeyData alone. Returns what PostgreSQL gave, so that the test can look into it."""
    def run(action, through=None):
        results = []
        for end in (pg, through or proxy):
            got = action(end)
            if isinstance(got, list) and got and isinstance(got[0], proto.Message):
                got = proto.mask(got)
            results.append(got)
        assert results[1] == results[0]
        return results[0]
    return run


class Folding:
    """Piles lookups up behind a table lock, so that they wait in pgfold together, and counts what reached the server."""

    def __init__(self, pg, direct):
        self.pg, self.direct = pg, direct
        self.admin = pg.admin()
        self.opened = []

    def close(self):
        for c in self.opened + [self.admin]:
            c.close()

    def connections(self, end, n, **login):
        out = [end.connect(**login) for _ in range(n)]
        self.opened += out
        return out

    @contextlib.contextmanager
    def locked(self, *tables, database="app", settle=0.3):
        """The tables locked while the body runs; what the body sent has time to arrive before they are released."""
        with self.pg.admin(database) as c:
            c.sql("BEGIN")
            for t in tables:  # of that name in every schema
                for (name,) in c.sql("SELECT oid::regclass FROM pg_class WHERE relname = '%s' AND relkind = 'r' AND "
                                     "relpersistence <> 't'" % t):
                    c.sql("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE" % name)
            yield c
            if not self.direct:
                arrived(self.opened)
            time.sleep(settle)
            if c.status == "T":
                c.sql("COMMIT")

    def reset(self):
        self.admin.sql("SELECT pg_stat_statements_reset()")

    def calls(self, table):
        """Statements that read the table, as the server counted them. What they were is kept for who complains."""
        self.seen = self.admin.sql("SELECT calls, rows, query FROM pg_stat_statements WHERE "
                                   "query ~* E'from\\\\s+(only\\\\s+)?([a-z0-9_\"]+\\\\.)?\"?%s\\\\M'" % table)
        return sum(int(calls) for calls, _, _ in self.seen)

    def burst(self, conns, units, table, lock=True, settle=0.05):
        """Each connection, one of `connections`, sends its unit while the table is locked; replies by connection and the server's count."""
        self.reset()
        if lock:
            with self.locked(table, settle=settle):
                for c, u in zip(conns, units):
                    c.send(u)
        else:
            for c, u in zip(conns, units):
                c.send(u)
        replies = [c.ready() for c in conns[:len(units)]]
        return replies, self.calls(table)

    def warm(self, conns, units, table):
        """Repeats the burst until it is folded: pgfold has then vetted the shape and proven the sessions, which it does for some of
        them at a time. Some bursts never fold into a few statements (keys of many values, many shapes): several that were
        folded in part will do."""
        if self.direct:
            return
        parts = 0
        for _ in range(40):
            _, calls = self.burst(conns, units, table)
            parts += calls < len(units)
            if self.folded(calls, len(units)) or parts == 8:
                return
            time.sleep(0.1)
        raise busy.Late("%d lookups of one shape are not folded: %d statements reached the server" % (len(units), calls))

    def expect(self, conn, units):
        """What PostgreSQL itself answers to each unit."""
        return [conn.ask(u) for u in units]

    def folds_right(self, conns, units, table):
        """Each burst has the answers of PostgreSQL, and one of three is folded once they are warm: in the middle of one a verdict
        may be renewed, and then a part of it waits for nobody. Returns the answers."""
        self.warm(conns, units, table)
        for _ in range(3):
            replies, calls = self.burst(conns, units, table)
            with self.pg.connect() as d:
                assert replies == self.expect(d, units)
            if self.folded(calls, len(units)):
                return replies
        self.assert_folded(calls, len(units))
        return replies

    @staticmethod
    def folded(calls, lookups):
        return calls <= max(2, lookups // 3)

    def assert_folded(self, calls, lookups):
        if not self.direct:
            with busy.unless_busy():
                assert self.folded(calls, lookups), "%d lookups cost %d statements: %s" % (lookups, calls, self.seen)

    def assert_not_folded(self, calls, lookups):
        assert calls == lookups


@pytest.fixture
def folding(pg):
    f = Folding(pg, DIRECT)
    yield f
    f.close()
