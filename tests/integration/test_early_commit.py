# SPDX-License-Identifier: PostgreSQL
"""Transactions that have only read end at once where the server is far: a relay delays what passes between pgfold and PostgreSQL. Whatever they are, they
are to the client as directly."""
import time

import pytest

import conftest
import proto
import servers
from proto import query
import orm_pages
from test_lookahead import DATABASE, db, direct, opened  # noqa: F401
from test_metrics import ask, samples

DELAY_US = 4000  # there and back
pytestmark = pytest.mark.pgfold
READ = "SELECT id, title FROM book WHERE id < 20 ORDER BY id"


@pytest.fixture(scope="module")
def farther(db, tmp_path_factory):  # noqa: F811
    relay = orm_pages.Relay(db, str(tmp_path_factory.mktemp("farther")), DELAY_US)
    yield relay
    relay.stop()


@pytest.fixture(scope="module")
def proxy(farther):
    port = servers.free_port()
    p = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=disable" % farther.port, servers.PATIENT | {"http.listen": "127.0.0.1:%d" % port})
    p.http = port
    yield p
    p.stop()


@pytest.fixture(scope="module")
def counts(proxy):
    return Counts(proxy)


class Counts:
    """What pgfold has ended early, since the last time."""

    def __init__(self, p):
        self.p, self.n = p, 0
        self.since()

    def since(self):
        before, self.n = self.n, int(samples(ask(self.p)[2])["pgfold_transactions_ended_early_total", ""])
        return self.n - before


def ended(conn, text, framing):
    """The wire of the answer."""
    if framing != "named":
        return proto.wire(conn.ask(query(text) if framing == "simple" else proto.unit(text, [], want_describe=framing == "described")))
    conn.ask(proto.parse(text, "end"), proto.SYNC)
    got = conn.ask(proto.unit("", [], name="end", want_parse=False, want_describe=False))
    return proto.wire(got + conn.ask(proto.close("S", "end"), proto.SYNC))


def ready(end):
    """A connection that is proven, and whose reads are known."""
    conn = end.connect(database=DATABASE)
    for text in ["BEGIN", READ, "COMMIT", "SELECT title FROM book WHERE id = 3"] * 2:
        conn.ask(query(text))
    return conn


def through(end, opened, script, framing="simple"):
    """The wire of a script whose last statement ends its transaction, and of what comes behind it, twice."""
    conn, out = opened(ready(end)), []
    for _ in range(2):
        out += [proto.wire(conn.ask(query(text))) for text in script[:-1]]
        out += [ended(conn, script[-1], framing), proto.wire(conn.ask(query("SELECT title FROM book WHERE id = 4")))]
    return out


BEGINS = ["BEGIN", "BEGIN READ ONLY", "START TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"]
EARLY = [([b, READ, e], f) for b, e, f in zip(BEGINS * 2, ["COMMIT", "ROLLBACK", "END", "abort work;", "COMMIT", "ROLLBACK"], ["simple", "unit", "described", "simple", "named", "named"])] + [
    (["BEGIN", "SAVEPOINT a", READ, "RELEASE a", "COMMIT"], "simple"), (["BEGIN", READ, "SAVEPOINT a", "SELECT 1/0", "ROLLBACK TO a", "COMMIT"], "simple"),
    (["BEGIN", READ, "DECLARE c CURSOR FOR " + READ, "FETCH 2 FROM c", "COMMIT"], "simple"),
    (["BEGIN", "SET LOCAL app.tenant = 'a'", READ, "COMMIT"], "simple"), (["BEGIN", "SET LOCAL lock_timeout = 100", READ, "SHOW lock_timeout", "ROLLBACK"], "unit"),
    (["SELECT set_config('app.tenant', 's', false)", "BEGIN", READ, "SELECT set_config('app.tenant', 'b', true), set_config('app.other', 'c', true)", "SHOW app.tenant", "COMMIT"], "described")]


@pytest.mark.parametrize("script, framing", EARLY)
def test_what_has_only_read(db, proxy, counts, opened, script, framing):  # noqa: F811
    counts.since()
    assert through(proxy, opened, script, framing) == through(db, opened, script, framing)
    assert counts.since() >= 3  # those of ready(), too


LATE = {"serializable": ["BEGIN ISOLATION LEVEL SERIALIZABLE", READ], "write": ["BEGIN", READ, "UPDATE book SET title = title WHERE id = 1"],
        "local": ["BEGIN", READ, "SET LOCAL work_mem = '1MB'"], "set": ["BEGIN", READ, "SET work_mem = '1MB'"], "lock": ["BEGIN", READ + " FOR UPDATE"], "table": ["BEGIN", "LOCK TABLE book"],
        "advisory": ["BEGIN", "SELECT pg_advisory_xact_lock(7)"], "notify": ["BEGIN", READ, "NOTIFY early"], "function": ["BEGIN", "SELECT pg_notify('early', 'b')"], "listen": ["BEGIN", "LISTEN early"],
        "with hold": ["BEGIN", READ, "DECLARE c%d CURSOR WITH HOLD FOR SELECT 1 / (id - 3) FROM book ORDER BY id LIMIT 5"], "failed": ["BEGIN", "SELECT 1/0"],
        "temporary": ["BEGIN", READ, "CREATE TEMP TABLE early (a int) ON COMMIT DROP"], "several": ["BEGIN", "SELECT 1; SELECT 2"],
        "hidden": ["BEGIN", READ, "SELECT set_config('work_mem', '2MB', true)"], "path": ["BEGIN", "SET LOCAL app.tenant = 'a'", "SET LOCAL search_path = public", READ], "tenant and write": ["BEGIN", "SET LOCAL app.tenant = 'a'", READ, "UPDATE book SET title = title WHERE id = 1"],
        "tenant and notify": ["BEGIN", "NOTIFY early", "SET LOCAL app.tenant = 'a'", READ], "savepoint": ["BEGIN", "SAVEPOINT a", "UPDATE book SET title = title WHERE id = 1", "ROLLBACK TO a"]}


@pytest.mark.parametrize("name", LATE)
def test_what_has_done_more(db, proxy, counts, opened, name):  # noqa: F811
    counts.since()
    script = [s % len(name) if "%d" in s else s for s in LATE[name]] + ["COMMIT"]
    want, got = through(db, opened, script), through(proxy, opened, script)
    assert [proto_mask(w) for w in got] == [proto_mask(w) for w in want]
    assert counts.since() <= 2  # those of ready()


def proto_mask(wire):
    """Without the process that has notified."""
    at = wire.find(b"A\0\0\0")
    return wire if at < 0 else wire[:at + 5] + wire[at + 9:]


def test_a_connection_that_ends_right_behind_it(db, direct, proxy, opened):  # noqa: F811
    """The server sees the end of both, and nothing hangs."""
    pids = []
    for _ in range(3):
        conn = ready(proxy)
        conn.ask(query("BEGIN"))
        pids.append(proto.rows(conn.ask(query("SELECT pg_backend_pid()")))[0][0].decode())
        conn.ask(query("BEGIN"))
        conn.ask(query(READ))
        conn.send(query("COMMIT") + proto.TERMINATE)
        assert proto.types(conn.to_end()) == "CZ"
        conn.close()
    for _ in range(100):
        left = direct.value("SELECT count(*) FROM pg_stat_activity WHERE pid IN (%s)" % ",".join(pids))
        if left == "0":
            return
        time.sleep(0.05)
    raise AssertionError(left)


def test_an_administrator_ends_it(db, direct, proxy, opened):  # noqa: F811
    """The server's FATAL reaches the client, which was told of the end, and its connection ends."""
    conn = ready(proxy)
    conn.ask(query("BEGIN"))
    pid = proto.rows(conn.ask(query("SELECT pg_backend_pid()")))[0][0].decode()
    conn.ask(query("COMMIT"))
    conn.ask(query("BEGIN"))
    conn.ask(query(READ))
    direct.sql("SELECT pg_terminate_backend(%s)" % pid)
    with pytest.raises(proto.Closed):
        got = conn.ask(query("COMMIT"))  # may have been told of the end
        got += conn.ask(query("SELECT 1"))
    conn.close()


def test_a_read_that_has_become_a_write(db, direct, proxy, counts, opened):  # noqa: F811
    """Somebody has put a function behind a view, past pgfold, and a deferred check fails at COMMIT. The client has been told of a success; its connection ends."""
    with db.admin(DATABASE) as past:
        for text in ["CREATE TABLE once (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO once VALUES (1)", "CREATE VIEW seen AS SELECT id, title FROM book", "GRANT ALL ON once, seen TO PUBLIC",
                     "CREATE FUNCTION twice(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO once VALUES (1); RETURN $1; END'"]:
            past.sql(text)
        try:
            conns = [opened(ready(proxy)) for _ in range(2)]
            for text in ["BEGIN", "SELECT id FROM seen WHERE id = 3", "COMMIT"] * 3:
                for c in conns:
                    c.sql(text)
            counts.since()
            past.sql("CREATE OR REPLACE VIEW seen AS SELECT twice(id) AS id, title FROM book")
            for text in ["BEGIN", "SELECT id FROM seen WHERE id = 4"]:
                conns[0].sql(text)
            answers = ended(conns[0], "COMMIT", "simple")
            if counts.since():
                with pytest.raises(proto.Closed):
                    answers += proto.wire(conns[0].ask(query("INSERT INTO once VALUES (2)")))
                    answers += proto.wire(conns[0].ask(query("SELECT 1")))
            else:
                assert b"23505" in answers
            for text in ["BEGIN", "SELECT id FROM seen WHERE id = 5"]:
                conns[1].sql(text)
            assert b"23505" in ended(conns[1], "COMMIT", "simple")
        finally:
            for text in ["DROP VIEW seen", "DROP FUNCTION twice", "DROP TABLE once"]:
                past.sql(text)


# ---- a Sync behind what was answered before it

RUN = proto.parse(READ) + proto.bind() + proto.describe("P") + proto.execute()
LOCKS = "SELECT id FROM book WHERE id = 5 FOR UPDATE"


def run(text, *values):
    return proto.parse(text) + proto.bind(values) + proto.execute()


def flushed(conn, parts, ends=1):
    """The wire of a unit whose parts are each sent with Flush, and answered, before its Sync; and of what comes behind."""
    out = []
    for part in parts:
        conn.send(part + proto.FLUSH)
        out.append(proto.wire(conn.until("C", "E", count=ends)))
    conn.send(proto.SYNC)
    out.append(proto.wire(conn.ready()))
    return out + [proto.wire(conn.ask(query("SELECT title FROM book WHERE id = 4")))]


FLUSHED = {"one": ([RUN], 1), "several": ([RUN * 3], 3), "in turn": ([RUN, RUN], 1), "others": ([RUN + run("SELECT count(*) FROM book")], 2),
           "lookups": ([b"".join(run("SELECT title FROM book WHERE id = $1", b"%d" % i) for i in range(1, 9))], 8), "a row": ([run("SHOW work_mem")], 1)}
WAITED = {"a write": ([RUN, run("UPDATE book SET title = title WHERE id = 5")], 1), "a lock": ([RUN, run(LOCKS)], 1), "an error": ([RUN, run("SELECT 1 / (id - 3) FROM book WHERE id = 3")], 1),
          "a transaction": ([run("BEGIN"), RUN], 1), "a setting": ([RUN, run("SET work_mem = '4MB'")], 1), "a function": ([RUN, run("SELECT set_config('work_mem', '3MB', false)")], 1),
          "notify": ([RUN, run("SELECT pg_notify('flushed', '')")], 1), "serial": ([run("SET TRANSACTION ISOLATION LEVEL SERIALIZABLE"), RUN], 1)}


def flushes(end, opened, parts, ends, level=None):  # noqa: F811
    conn, out = opened(ready(end)), []
    if level:
        conn.sql("SET default_transaction_isolation = '%s'" % level)
    for _ in range(6):
        out.append([proto_mask(w) for w in flushed(conn, parts, ends)])
        out.append(proto.wire(conn.ask(query("ROLLBACK"))) if parts[0] == run("BEGIN") else b"")
    return out


@pytest.mark.parametrize("name", FLUSHED)
def test_a_sync_behind_reads(db, proxy, counts, opened, name):  # noqa: F811
    want = flushes(db, opened, *FLUSHED[name])
    counts.since()
    assert flushes(proxy, opened, *FLUSHED[name]) == want
    assert counts.since() >= 2 + 3 or conftest.DIRECT  # two are those of ready()


@pytest.mark.parametrize("name", WAITED)
def test_a_sync_behind_more_than_reads(db, proxy, counts, opened, name):  # noqa: F811
    want = flushes(db, opened, *WAITED[name])
    counts.since()
    assert flushes(proxy, opened, *WAITED[name]) == want
    assert counts.since() <= (8 if name == "a transaction" else 2)  # its ROLLBACKs are early


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_a_sync_at_another_level(db, proxy, counts, opened, level):  # noqa: F811
    want = flushes(db, opened, [RUN], 1, level)
    counts.since()
    assert flushes(proxy, opened, [RUN], 1, level) == want
    assert counts.since() <= 2 or level != "serializable"


def test_a_write_right_behind_the_sync(db, direct, proxy, opened):  # noqa: F811
    """What is sent behind it runs behind it, in a transaction of its own."""
    for end in (db, proxy):
        conn = opened(ready(end))
        for n in range(6):
            conn.send(RUN + proto.FLUSH)
            conn.until("C")
            conn.send(proto.SYNC + run("UPDATE book SET title = 'behind %d' WHERE id = 6" % n) + proto.SYNC)
            assert proto.types(conn.ready(2)) == "Z12CZ"
            assert direct.value("SELECT title FROM book WHERE id = 6") == "behind %d" % n


def test_a_read_in_a_flushed_unit_that_has_become_a_write(db, direct, proxy, opened):  # noqa: F811
    """As above, at a Sync."""
    with db.admin(DATABASE) as past:
        for text in ["CREATE TABLE twin (id int UNIQUE DEFERRABLE INITIALLY DEFERRED)", "INSERT INTO twin VALUES (1)", "CREATE VIEW shown AS SELECT id, title FROM book", "GRANT ALL ON twin, shown TO PUBLIC",
                     "CREATE FUNCTION again(int) RETURNS int LANGUAGE plpgsql AS 'BEGIN INSERT INTO twin VALUES (1); RETURN $1; END'"]:
            past.sql(text)
        try:
            conn = opened(ready(proxy))
            for _ in range(4):
                flushed(conn, [run("SELECT id FROM shown WHERE id < 3")])
            past.sql("CREATE OR REPLACE VIEW shown AS SELECT again(id) AS id, title FROM book")
            conn.send(run("SELECT id FROM shown WHERE id < 3") + proto.FLUSH)
            conn.until("C")
            conn.send(proto.SYNC)
            answers = proto.wire(conn.ready())
            if b"23505" not in answers:  # it was told of a success
                with pytest.raises(proto.Closed):
                    conn.ask(query("INSERT INTO twin VALUES (2)"))
                    conn.ask(query("SELECT 1"))
            assert direct.value("SELECT count(*) FROM twin WHERE id = 1") == "1"
        finally:
            for text in ["DROP VIEW shown", "DROP FUNCTION again", "DROP TABLE twin"]:
                past.sql(text)
