# SPDX-License-Identifier: PostgreSQL
"""What lookahead promises, where it is hard to keep: transactions whose level is not what was said last, settings that go back with a
transaction, writes that no statement names, and loops of two sessions at once.

Rows are changed by a direct connection, which pgfold knows nothing of: who is answered from what was loaded ahead reads "old", who is
answered by the server reads "new". Each test shows first that its loop is answered from what is held."""
import contextlib
import os
import re
import signal
import time

import proto
import pytest
import servers
from busy import is_held
from proto import SYNC, bind, execute, parse, query, unit

pytestmark = pytest.mark.pgfold

KEYS = 40
SCHEMA = """
CREATE TABLE writer (id int PRIMARY KEY, name text);
CREATE TABLE novel (id int PRIMARY KEY, writer_id int REFERENCES writer, title text, at timestamptz);
CREATE INDEX ON novel (writer_id);
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
INSERT INTO writer SELECT i, 'writer ' || i FROM generate_series(1, 40) i;
INSERT INTO novel SELECT i, i, 'old', '2024-06-01 00:00+00' FROM generate_series(1, 40) i;
ANALYZE writer, novel
"""
PATIENT = {"lookahead.max_gap": "1s", "batching.check_one_in": "0", "lookahead.max_age": "60s"}
YOUNG = {"lookahead.max_gap": "1s", "batching.check_one_in": "0", "lookahead.max_age": "1s"}
RR = "BEGIN ISOLATION LEVEL REPEATABLE READ"


@pytest.fixture(scope="module")
def promise(pg):
    with pg.admin("postgres") as c:
        c.sql("CREATE DATABASE promise OWNER app")
    with pg.admin("promise") as c:
        for statement in SCHEMA.split(";\n"):
            c.sql(statement)
    return pg


@pytest.fixture
def direct(promise):
    with promise.admin("promise") as c:
        c.sql("UPDATE novel SET title = 'old'")
        yield c


@pytest.fixture
def opened():
    with contextlib.ExitStack() as stack:
        def connect(end, **kw):
            return stack.enter_context(end.connect(database="promise", **kw))
        yield connect


TITLE = "SELECT title FROM novel WHERE writer_id = %s"


def simple(c, key, sql=TITLE):
    got = c.ask(query(sql % key))
    assert not proto.errors(got), proto.errors(got)
    return [r[0].decode() for r in proto.rows(got)]


def extended(c, key, sql=TITLE):
    got = c.ask(unit(sql % "$1", [key]))
    assert not proto.errors(got), proto.errors(got)
    return [r[0].decode() for r in proto.rows(got)]


def listed(c):
    return c.sql("SELECT id, name FROM writer ORDER BY id")


def hold(c, direct, ask=simple, first=1):
    """Loops until rows are held, which the direct connection makes out of date. The next key; those behind it are held."""
    listed(c)
    for key in range(first, first + 9):
        assert ask(c, key) == ["old"]
    direct.sql("UPDATE novel SET title = 'new'")
    is_held(ask(c, first + 9), ["old"], ["new"])
    return first + 10


def prove(c, direct):
    """The session is proven and the lookup's group vetted, outside transactions."""
    for key in range(hold(c, direct), KEYS + 1):
        simple(c, key)
    direct.sql("UPDATE novel SET title = 'old'")


def fails(c, sql):
    assert proto.errors(c.ask(query(sql)))


def vettings(p):
    def counted():
        return re.findall(r"vettings (\d+)", p.log())
    seen = len(counted())
    p.signal(signal.SIGUSR1)
    return int(servers.wait_for(lambda: counted()[seen:], "the counters")[0])


# ---- a transaction's level

def failed_set(c):
    c.sql("BEGIN")
    c.sql("SELECT id FROM writer WHERE id = 1")
    c.sql("SAVEPOINT a")
    fails(c, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    c.sql("ROLLBACK TO a")


def second_begin(c):
    c.sql("BEGIN")
    c.sql("SELECT id FROM writer WHERE id = 1")
    c.sql("SAVEPOINT a")
    fails(c, RR)
    c.sql("ROLLBACK TO a")


def set_by_name(c):
    c.sql(RR)
    c.sql("SET transaction_isolation = 'read committed'")


def set_local_by_name(c):
    c.sql(RR)
    c.sql("SET LOCAL transaction_isolation = 'read committed'")


def reset_by_name(c):
    c.sql(RR)
    if proto.errors(c.ask(query("RESET transaction_isolation"))):
        c.sql("ROLLBACK")
        pytest.skip("PostgreSQL 16 refuses it")


def in_one_message(c):
    c.sql(RR)
    c.sql("COMMIT; BEGIN")


def in_one_unit(c):
    c.sql(RR)
    got = c.ask(parse("COMMIT"), bind(), execute(), parse("BEGIN"), bind(), execute(), SYNC)
    assert not proto.errors(got)


LEVELS = [failed_set, second_begin, set_by_name, set_local_by_name, reset_by_name, in_one_message, in_one_unit]


@pytest.mark.parametrize("begin", LEVELS)
def test_level(direct, start_pgfold, opened, begin):
    """All of them end in READ COMMITTED."""
    c = opened(start_pgfold(YOUNG))
    prove(c, direct)
    begin(c)
    listed(c)
    for key in range(1, 21):
        assert simple(c, key) == ["old"]
    assert c.value("SHOW transaction_isolation") == "read committed"
    listed(c)
    for key in range(1, 11):
        assert simple(c, key) == ["old"]
    direct.sql("UPDATE novel SET title = 'new'")
    time.sleep(1.2)
    assert simple(c, 11) == ["new"]
    c.sql("ROLLBACK")


def test_begin_while_another_loads(direct, start_pgfold, opened):
    """What another session's connection has loaded is not of this one's snapshot."""
    p = start_pgfold(PATIENT)
    first, second = opened(p), opened(p)
    prove(first, direct)
    prove(second, direct)
    pid = int(first.value("SELECT pg_backend_pid()"))
    second.sql("SET work_mem = '5MB'")  # and back: its own trail and what it holds are gone
    time.sleep(1.5)
    second.sql("SET work_mem = '4MB'")
    first.sql("SET work_mem = '4MB'")
    listed(first)
    os.kill(pid, signal.SIGSTOP)
    try:
        first.send(query(RR))
        time.sleep(0.1)
        for key in range(1, 6):
            assert simple(second, key) == ["old"]
    finally:
        os.kill(pid, signal.SIGCONT)
    first.ready()
    direct.sql("UPDATE novel SET title = 'new'")
    assert first.value("SELECT title FROM novel WHERE id = 20") == "new"
    assert simple(first, 20) == ["new"]
    first.sql("ROLLBACK")


# ---- settings that go back

AT = "SELECT title FROM novel WHERE at >= '2024-06-01 00:00' AND writer_id = %s"


def at(c, key):
    return simple(c, key, AT)


def test_set_local_time_zone(direct, start_pgfold, opened):
    """What is prepared in a transaction with a time zone of its own is not run outside it."""
    c = opened(start_pgfold(PATIENT))
    c.sql("SET TimeZone = 'UTC'")
    prove(c, direct)
    c.sql("BEGIN")
    c.sql("SET LOCAL TimeZone = 'Pacific/Honolulu'")  # 00:00 there is 10:00 in UTC
    listed(c)
    for key in range(1, 11):
        assert at(c, key) == []
    c.sql("COMMIT")
    listed(c)
    for key in range(1, 31):
        assert at(c, key) == ["old"]


@pytest.mark.parametrize("setting, title", [("app.tenant = '1'", "old"), ("lock_timeout = '9s'", "old"), ("statement_timeout = '9s'", "new"),
                                            ("search_path = public, pg_catalog", "new"), ("role = app", "new")])
def test_set_local(direct, start_pgfold, opened, setting, title):
    """Behind a setting that matters nothing is loaded ahead."""
    c = opened(start_pgfold(PATIENT))
    prove(c, direct)
    c.sql("BEGIN")
    c.sql("SET LOCAL " + setting)
    listed(c)
    for key in range(1, 11):
        assert simple(c, key) == ["old"]
    direct.sql("UPDATE novel SET title = 'new'")
    is_held(simple(c, 11), [title], ["new"])
    c.sql("ROLLBACK")


@pytest.mark.parametrize("back", ["ROLLBACK", "ROLLBACK TO a"])
def test_set_time_zone_rolled_back(direct, start_pgfold, opened, back):
    c = opened(start_pgfold(PATIENT))
    c.sql("SET TimeZone = 'UTC'")
    prove(c, direct)
    c.sql("BEGIN")
    c.sql("SAVEPOINT a")
    c.sql("SET TimeZone = 'Pacific/Honolulu'")
    listed(c)
    for key in range(1, 21):
        assert at(c, key) == []
    c.sql(back)
    if c.status == "I":  # as many as the session folds with itself
        got = c.ask(*[query(AT % key) for key in range(21, 41)], count=20)
        assert [r[0] for r in proto.rows(got)] == [b"old"] * 20
    else:
        for key in range(21, 41):
            assert at(c, key) == ["old"]


def test_verdict_under_set_local(direct, promise, start_pgfold, opened, folding):
    """The catalogue's answer under a search_path of a transaction's own says nothing about the session outside it."""
    for statement in ["CREATE SCHEMA one", "CREATE SCHEMA two", "CREATE TABLE one.doc (id int PRIMARY KEY, writer_id int, tenant text)",
                      "CREATE TABLE two.doc (LIKE one.doc INCLUDING ALL)", "GRANT USAGE ON SCHEMA one, two TO PUBLIC",
                      "GRANT ALL ON one.doc, two.doc TO PUBLIC",
                      "INSERT INTO one.doc SELECT i * 2 + j, i, (ARRAY['a', 'b'])[j + 1] FROM generate_series(1, 40) i, generate_series(0, 1) j",
                      "INSERT INTO two.doc SELECT * FROM one.doc", "ALTER TABLE one.doc ENABLE ROW LEVEL SECURITY",
                      "CREATE POLICY p ON one.doc USING (tenant = current_setting('app.tenant', true))",
                      "CREATE FUNCTION be(text) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN set_config(''app.tenant'', $1, false); END'"]:
        direct.sql(statement)
    p = start_pgfold(PATIENT)
    sql = "SELECT max(tenant) FROM doc WHERE writer_id = %s"  # of no table's column

    def be(c, tenant):
        c.sql("SET search_path = one, public")
        c.sql("SELECT be('%s')" % tenant)
        for key in range(1, 9):
            simple(c, key)
    tenants = "ab" * 6
    conns = [opened(p) for _ in tenants]
    for c, tenant in zip(conns, tenants):
        be(c, tenant)
    c = opened(p)
    be(c, "c")
    c.sql("BEGIN")
    c.sql("SET LOCAL search_path = two, public")
    listed(c)
    for key in range(1, 11):
        assert simple(c, key, sql) == ["b"]
    c.sql("COMMIT")
    with folding.locked("doc", database="promise"):
        for key, d in enumerate(conns, 1):
            d.send(query(sql % key))
    got = [[r[0].decode() for r in proto.rows(d.ready())] for d in conns]
    assert got == [[t] for t in tenants]


# ---- own writes

@pytest.mark.parametrize("begin", ["BEGIN", RR])
def test_named_portal_that_writes(direct, start_pgfold, opened, begin):
    c = opened(start_pgfold(PATIENT))
    prove(c, direct)
    c.sql(begin)
    c.ask(parse("UPDATE novel SET title = 'mine' WHERE id >= $1", "w", [23]), bind([20], "w", "later"), SYNC)
    listed(c)
    for key in range(1, 11):
        assert simple(c, key) == ["old"]
    got = c.ask(execute(portal="later"), SYNC)
    assert not proto.errors(got)
    assert simple(c, 20) == ["mine"]
    c.sql("ROLLBACK")


@pytest.mark.parametrize("ask", [simple, extended])
@pytest.mark.parametrize("begin", ["BEGIN", RR])
def test_view_that_writes(direct, start_pgfold, opened, begin, ask):
    direct.sql("CREATE OR REPLACE FUNCTION rewrite() RETURNS int LANGUAGE sql AS $$UPDATE novel SET title = 'mine'; SELECT 1$$")
    direct.sql("CREATE OR REPLACE VIEW rewriting AS SELECT id, rewrite() AS n FROM writer")
    direct.sql("GRANT ALL ON rewriting TO PUBLIC")
    direct.sql("CREATE TABLE IF NOT EXISTS noise (a int)")
    direct.sql("GRANT ALL ON noise TO PUBLIC")
    c = opened(start_pgfold(PATIENT))
    prove(c, direct)
    c.sql(begin)
    c.sql("INSERT INTO noise VALUES (1)")
    listed(c)
    for key in range(1, 11):
        assert ask(c, key) == ["old"]
    assert ask(c, 5, "SELECT n FROM rewriting WHERE id = %s") == ["1"]
    assert ask(c, 20) == ["mine"]
    c.sql("ROLLBACK")


def test_the_catalogue_is_not_asked_in_vain(direct, start_pgfold, opened):
    """Each write leaves the session in a state of its own; a few lookups between two are not worth a question each time."""
    p = start_pgfold(PATIENT)
    c = opened(p)
    prove(c, direct)
    before = vettings(p)
    c.sql("BEGIN")
    for _ in range(20):
        listed(c)
        c.sql("UPDATE writer SET name = name WHERE id = 1")
        for key in range(1, 7):
            assert simple(c, key) == ["old"]
    c.sql("COMMIT")
    assert 1 <= vettings(p) - before <= 10


@pytest.mark.parametrize("ask", [simple, extended])
def test_lock_and_read(direct, start_pgfold, opened, ask):
    c = opened(start_pgfold(PATIENT))
    prove(c, direct)
    c.sql("BEGIN")
    key = hold(c, direct, ask)
    ask(c, key, "SELECT name FROM writer WHERE id = %s FOR UPDATE")
    assert ask(c, key) == ["new"]
    c.sql("ROLLBACK")


# ---- writes that no statement names

HIDDEN = {
    "default": ["CREATE TABLE w_default (id int, n int DEFAULT rewrite())", "INSERT INTO w_default VALUES (1)"],
    "cascade": ["CREATE TABLE w_top (id int PRIMARY KEY); CREATE TABLE w_low (id int REFERENCES w_top ON DELETE CASCADE); "
                "CREATE TRIGGER t AFTER DELETE ON w_low FOR EACH ROW EXECUTE FUNCTION rewriting_trigger(); "
                "INSERT INTO w_top VALUES (1); INSERT INTO w_low VALUES (1)", "DELETE FROM w_top"],
    "partition": ["CREATE TABLE w_part (id int) PARTITION BY RANGE (id); CREATE TABLE w_part1 PARTITION OF w_part FOR VALUES FROM (0) TO (9); "
                  "CREATE TRIGGER t AFTER INSERT ON w_part1 FOR EACH ROW EXECUTE FUNCTION rewriting_trigger()", "INSERT INTO w_part VALUES (1)"],
    "child": ["CREATE TABLE w_kin (id int); CREATE TABLE w_kid () INHERITS (w_kin); INSERT INTO w_kid VALUES (1); "
              "CREATE TRIGGER t AFTER UPDATE ON w_kid FOR EACH ROW EXECUTE FUNCTION rewriting_trigger()", "UPDATE w_kin SET id = 2"],
}


@pytest.mark.parametrize("how", HIDDEN)
def test_hidden_write(direct, start_pgfold, opened, how):
    direct.sql("CREATE OR REPLACE FUNCTION rewrite() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$UPDATE novel SET title = 'new'; SELECT 1$$")
    direct.sql("CREATE OR REPLACE FUNCTION rewriting_trigger() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER AS "
               "$$BEGIN UPDATE novel SET title = 'new'; RETURN NULL; END$$")
    made, write = HIDDEN[how]
    direct.sql("DROP TABLE IF EXISTS w_default, w_low, w_top, w_part, w_kid, w_kin")
    direct.sql(made)
    direct.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
    p = start_pgfold(PATIENT)
    c, other = opened(p), opened(p)
    prove(c, direct)
    listed(c)
    for key in range(1, 11):
        assert simple(c, key) == ["old"]
    other.sql(write)
    assert simple(c, 11) == ["new"]


# ---- who waits for whom

def test_a_client_that_reads_slowly_keeps_no_other_waiting(direct, start_pgfold, opened):
    """Rows that are loaded behind its own answer come only when it has been read."""
    direct.sql("CREATE TABLE heavy (id serial PRIMARY KEY, writer_id int, body text)")
    direct.sql("INSERT INTO heavy (writer_id, body) SELECT i, 'light' FROM generate_series(2, 40) i")
    direct.sql("INSERT INTO heavy (writer_id, body) SELECT 1, repeat('heavy', 200000) FROM generate_series(1, 64)")
    direct.sql("GRANT ALL ON heavy TO PUBLIC")
    body = "SELECT body FROM heavy WHERE writer_id = %s"
    p = start_pgfold({**PATIENT, "batching.timeout": "0"})
    slow, other = opened(p), opened(p)
    for c in (other, slow):
        listed(c)
        for key in range(2, 41):
            assert simple(c, key, body) == ["light"]
    time.sleep(1.2)  # what the other one has read and loaded is given back
    listed(slow)
    slow.send(query(body % 1))
    time.sleep(0.3)
    other.sock.settimeout(20)
    assert simple(other, 2, body) == ["light"]
    assert len(proto.rows(slow.ready())) == 64


# ---- the same question never goes back

def binary(c, key):
    return [r[0].decode() for r in proto.rows(c.ask(unit(TITLE % "$1", [key], result_formats=[1])))]


def named_portal(c, key):
    got = c.ask(proto.parse(TITLE % "$1") + bind([key], portal="a") + execute(portal="a") + SYNC)
    return [r[0].decode() for r in proto.rows(got)]


@pytest.mark.parametrize("ask", [binary, named_portal])
@pytest.mark.parametrize("after", [0, 3])
def test_asked_in_another_way(direct, start_pgfold, opened, ask, after):
    """What is held was loaded before the same question was answered newer, in a form that was not held; then the list is read again."""
    c = opened(start_pgfold(PATIENT))
    key = hold(c, direct, extended) + after
    assert ask(c, key) == ["new"]
    listed(c)
    assert extended(c, key) == ["new"]
