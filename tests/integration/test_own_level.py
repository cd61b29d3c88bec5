# SPDX-License-Identifier: PostgreSQL
"""Lookups that may be loaded ahead for their own session alone: through views, with the time, with functions of users', under row-level security.

As in test_lookahead_promise.py rows are changed by a direct connection, which pgfold knows nothing of: "old" was held, "new" comes from the server."""
import contextlib
import re
import time

import proto
import pytest
import servers
from busy import Late, is_held, unless_busy
from proto import query, unit

pytestmark = pytest.mark.pgfold

KEYS = 60
SCHEMA = """
CREATE TABLE writer (id int PRIMARY KEY, name text, tenant int);
CREATE TABLE novel (id int PRIMARY KEY, writer_id int REFERENCES writer, title text, tenant int DEFAULT 1, at timestamptz DEFAULT '2024-01-01Z');
CREATE INDEX ON novel (writer_id);
CREATE TABLE tint (id int PRIMARY KEY, name text);
CREATE TABLE aside (id int);
CREATE VIEW shown AS SELECT id, writer_id, title FROM novel WHERE at < now();
CREATE VIEW joined AS SELECT n.writer_id, n.title, w.name FROM novel n JOIN writer w ON w.id = n.writer_id;
CREATE VIEW nested AS SELECT j.*, t.name AS tint FROM joined j LEFT JOIN tint t ON t.id = j.writer_id;
CREATE VIEW barrier WITH (security_barrier) AS SELECT * FROM novel WHERE tenant = 1;
CREATE FUNCTION is_fine(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT $1 IS NOT NULL';
CREATE FUNCTION title_of(int) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT title FROM novel WHERE writer_id = $1); END';
CREATE FUNCTION name_of(int) RETURNS text STABLE SECURITY DEFINER SET search_path = public LANGUAGE sql AS 'SELECT name FROM tint WHERE id = $1';
CREATE FUNCTION picky(int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN IF $1 = 25 THEN RAISE EXCEPTION ''no %'', $1; END IF; RETURN $1; END';
CREATE TABLE secret (id int PRIMARY KEY, writer_id int REFERENCES writer, title text, tenant int);
CREATE INDEX ON secret (writer_id);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON secret USING (tenant = current_setting('app.tenant', true)::int);
CREATE TABLE guarded (id int PRIMARY KEY, writer_id int REFERENCES writer, title text);
CREATE INDEX ON guarded (writer_id);
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tint ON guarded USING (EXISTS (SELECT FROM tint t WHERE t.id = writer_id AND t.name <> 'hidden'));
CREATE SEQUENCE ticks;
GRANT ALL ON SEQUENCE ticks TO PUBLIC;
CREATE FUNCTION tick(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT nextval(''ticks''); SELECT $1';
CREATE FUNCTION liar(int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''ticks''); RETURN $1; END';
CREATE FUNCTION calls_liar(int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN liar($1); END';
CREATE VIEW ticking AS SELECT writer_id, title, nextval('ticks') FROM novel;
CREATE VIEW over_ticking AS SELECT writer_id, title FROM ticking WHERE nextval > 0;
CREATE VIEW two_over AS SELECT * FROM over_ticking;
CREATE VIEW calling AS SELECT writer_id, title, calls_liar(writer_id) FROM novel;
CREATE VIEW sampling AS SELECT * FROM novel TABLESAMPLE SYSTEM (100);
CREATE VIEW locking AS SELECT * FROM novel FOR SHARE;
CREATE VIEW of_the_server AS SELECT n.writer_id, n.title, c.relname FROM novel n JOIN pg_class c ON c.oid = 'novel'::regclass;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
INSERT INTO writer SELECT i, 'writer ' || i, 1 FROM generate_series(1, 60) i;
INSERT INTO novel SELECT i, i, 'old' FROM generate_series(1, 60) i;
INSERT INTO tint SELECT i, 'tint ' || i FROM generate_series(1, 60) i;
INSERT INTO secret SELECT i, i, 'old', 1 FROM generate_series(1, 60) i;
INSERT INTO secret SELECT 100 + i, i, 'other', 2 FROM generate_series(1, 60) i;
INSERT INTO guarded SELECT i, i, 'old' FROM generate_series(1, 60) i;
ANALYZE
"""
PATIENT = {"lookahead.max_gap": "1s", "batching.check_one_in": "0", "lookahead.max_age": "60s", "console.stats_users": servers.SUPERUSER, "console.auth_database": "postgres"}

KINDS = {
    "a view": "SELECT title FROM shown WHERE writer_id = %s",
    "a view over two": "SELECT title FROM joined WHERE writer_id = %s",
    "views over views": "SELECT title FROM nested WHERE writer_id = %s",
    "a security barrier": "SELECT title FROM barrier WHERE writer_id = %s",
    "now()": "SELECT title FROM novel WHERE writer_id = %s AND at <= now()",
    "the time and the user": "SELECT title FROM novel WHERE writer_id = %s AND at <= CURRENT_TIMESTAMP AND CURRENT_USER <> ''",
    "a setting": "SELECT title FROM novel WHERE writer_id = %s AND current_setting('app.x', true) IS DISTINCT FROM 'x'",
    "an SQL function": "SELECT title FROM novel WHERE writer_id = %s AND is_fine(id)",
    "a function that reads": "SELECT title_of(writer_id) FROM novel WHERE writer_id = %s",
    "a function with rights": "SELECT title FROM novel WHERE writer_id = %s AND name_of(id) IS NOT NULL",
    "a policy by a setting": "SELECT title FROM secret WHERE writer_id = %s",
    "a policy that reads": "SELECT title FROM guarded WHERE writer_id = %s",
}


@pytest.fixture(scope="module")
def own(pg):
    with pg.admin("postgres") as c:
        c.sql("CREATE DATABASE own OWNER app")
    with pg.admin("own") as c:
        for statement in SCHEMA.strip().split(";\n"):
            c.sql(statement)
    return pg


def restore(c, title="old"):
    c.sql("UPDATE novel SET title = '%s'" % title)
    c.sql("UPDATE secret SET title = '%s' WHERE tenant = 1" % title)
    c.sql("UPDATE guarded SET title = '%s'" % title)


@pytest.fixture
def direct(own):
    with own.admin("own") as c:
        restore(c)
        yield c


@pytest.fixture
def opened():
    with contextlib.ExitStack() as stack:
        def connect(end, **kw):
            c = stack.enter_context(end.connect(database="own", **kw))
            c.sql("SET app.tenant = '1'")
            return c
        yield connect


@pytest.fixture(scope="module")
def patient(long_lived):
    return long_lived(**PATIENT)


def simple(c, sql, key):
    got = c.ask(query(sql % key))
    assert not proto.errors(got), proto.errors(got)
    return [r[0] and r[0].decode() for r in proto.rows(got)]


def extended(c, sql, key):
    got = c.ask(unit(sql % "$1", [str(key)]))
    assert not proto.errors(got), proto.errors(got)
    return [r[0] and r[0].decode() for r in proto.rows(got)]


def listed(c):
    return c.sql("SELECT id, name FROM writer ORDER BY id")


def warm(c, sql, ask=simple, keys=range(1, KEYS + 1)):
    """Goes through the loop once, so that the statement is vetted and its column known."""
    listed(c)
    for key in keys:
        ask(c, sql, key)


# Seconds. Where a batch ends depends on the pace; and what leaves a statement alone for a while, after a guess in vain or a question that failed, does so
# for a minute at most.
WAITS = (0, 0, 0, 0, 0, 1, 10, 60)


def told(c, what):
    """What pgfold says of itself."""
    with contextlib.suppress(proto.Closed, AssertionError), proto.Conn(c.where) as console:
        console.login(servers.SUPERUSER, "pgfold")
        return "\n".join(str(row) for row in console.sql(what))


def hold(c, direct, sql, ask=simple):
    """Loops until rows are held, which the direct connection makes out of date. Rows behind key 20 are held."""
    for seconds in WAITS:
        time.sleep(seconds)
        warm(c, sql, ask)
        listed(c)
        for key in range(1, 20):
            assert ask(c, sql, key) == ["old"]
        restore(direct, "new")
        if ask(c, sql, 20) == ["old"]:
            return
        restore(direct)
        c.sql("SELECT tick(1)")  # drops all
    raise Late("nothing was loaded ahead\n%s\n%s" % (told(c, "SHOW AHEAD"), told(c, "SHOW SHAPES")))


# ---- what is loaded ahead

@pytest.mark.parametrize("kind", KINDS)
def test_is_loaded_ahead(patient, opened, direct, kind):
    c = opened(patient)
    for ask in (simple, extended):
        hold(c, direct, KINDS[kind], ask)
        for key in range(21, 24):
            is_held(ask(c, KINDS[kind], key), ["old"], ["new"])
        restore(direct)


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "BEGIN; SELECT set_config('app.tenant', '1', true)"])
@pytest.mark.parametrize("kind", ["a view over two", "now()", "a function that reads", "a policy by a setting"])
def test_is_loaded_ahead_in_transactions(patient, opened, direct, kind, begin):
    c = opened(patient)
    warm(c, KINDS[kind])
    for statement in begin.split("; "):
        c.sql(statement)
    hold(c, direct, KINDS[kind])
    c.sql("COMMIT")
    steady = kind == "a view over two" and begin == "BEGIN"
    is_held(simple(c, KINDS[kind], 21), ["old" if steady else "new"], ["new"])  # now() and the settings were those of the transaction


# Views that mean the same in the next transaction, and those that may not.
STEADY = {
    "a view over two": ("joined", True),
    "views over views": ("nested", True),
    "counts": ("(SELECT writer_id, count(*) AS n, 'old' AS title FROM novel GROUP BY 1)", True),
    "the time": ("shown", False),
    "the user": ("(SELECT writer_id, title FROM novel WHERE CURRENT_USER <> '')", False),
    "a function": ("(SELECT writer_id, title FROM novel WHERE is_fine(id))", False),
    "a text read as a time": ("(SELECT writer_id, title FROM novel WHERE (title || '2024-01-01Z')::text IS NOT NULL AND at < COALESCE(NULLIF(title, title), 'now')::text::timestamptz)", False),
    "a policy": ("(SELECT writer_id, title FROM guarded)", False),
}


@pytest.mark.parametrize("what", STEADY)
def test_a_transaction_for_each_lookup(own, patient, opened, direct, what):
    text, steady = STEADY[what]
    if text.startswith("("):
        with own.admin("own") as admin:
            admin.sql("DROP VIEW IF EXISTS each_time")
            admin.sql("CREATE VIEW each_time AS " + text[1:-1])
            admin.sql("GRANT SELECT ON each_time TO PUBLIC")
        text = "each_time"
    c, sql = opened(patient), "SELECT title, '%s' AS what FROM %s WHERE writer_id = %%s" % (what, text)
    answers = []
    for turn in range(3):
        listed(c)
        for key in range(1, KEYS + 1):
            c.sql("BEGIN")
            if turn == 2 and key == 30:
                direct.sql("DELETE FROM novel WHERE writer_id > 0")
                direct.sql("DELETE FROM guarded")
            answers.append(simple(c, sql, key))
            c.sql("COMMIT")
    direct.sql("INSERT INTO novel SELECT i, i, 'old' FROM generate_series(1, 60) i")
    direct.sql("INSERT INTO guarded SELECT i, i, 'old' FROM generate_series(1, 60) i")
    held = sum(a == ["old"] for a in answers[2 * KEYS + 30:])
    assert answers[:2 * KEYS + 29] == [["old"]] * (2 * KEYS + 29) and (steady or held == 0), held
    with unless_busy():
        assert held > 5 or not steady, held


def test_a_temporary_table_emptied_at_the_end(patient, opened, direct):
    c, sql = opened(patient), "SELECT title FROM own_joined WHERE writer_id = %s"
    c.sql("CREATE TEMP TABLE own_novel (writer_id int, title text) ON COMMIT DELETE ROWS")
    c.sql("CREATE TEMP VIEW own_joined AS SELECT n.writer_id, n.title FROM own_novel n JOIN writer w ON w.id = n.writer_id")
    for _ in range(3):
        c.sql("BEGIN")
        c.sql("INSERT INTO own_novel SELECT i, 'mine' FROM generate_series(1, 60) i")
        listed(c)
        for key in range(1, 20):
            assert simple(c, sql, key) == ["mine"]
        c.sql("COMMIT")
        assert [simple(c, sql, key) for key in range(20, 24)] == [[]] * 4


def test_reads_leave_the_session_as_it_was(own, patient, opened, direct):
    """Nothing is asked of the server again and again, and what others hold stays."""
    c, other = opened(patient), opened(patient)
    hold(other, direct, KINDS["now()"])
    for sql in KINDS.values():
        simple(c, sql, 50)
        simple(c, sql, 51)
    simple(other, KINDS["now()"], 21)
    hold_again = [simple(other, KINDS["now()"], key) for key in range(22, 30)]
    for _ in range(3):
        for sql in KINDS.values():
            simple(c, sql, 52)
    assert [simple(other, KINDS["now()"], key) for key in range(30, 36)] == [hold_again[-1]] * 6


# ---- what is not

NOT = {
    "a volatile function": "SELECT title FROM novel WHERE writer_id = %s AND tick(id) > 0",
    "a function that is not what it says": "SELECT title FROM novel WHERE writer_id = %s AND liar(id) > 0",
    "one that calls it": "SELECT title FROM novel WHERE writer_id = %s AND calls_liar(id) > 0",
    "a view with one": "SELECT title FROM ticking WHERE writer_id = %s AND nextval > 0",
    "a view over it": "SELECT title FROM over_ticking WHERE writer_id = %s",
    "a view over that": "SELECT title FROM two_over WHERE writer_id = %s",
    "a view with a function": "SELECT title FROM calling WHERE writer_id = %s AND calls_liar > 0",
}


@pytest.mark.parametrize("what", NOT)
def test_nothing_volatile_runs_ahead(patient, opened, direct, what):
    c = opened(patient)
    c.sql("SELECT setval('ticks', 1000)")
    for _ in range(2):
        warm(c, NOT[what], keys=range(1, 31))
    assert direct.sql("SELECT last_value FROM ticks") == [("1060",)]


REFUSED = {
    "a transaction's number": "SELECT title, txid_current() FROM novel WHERE writer_id = %s",
    "a sample": "SELECT title FROM sampling WHERE writer_id = %s",
    "a lock in a view": "SELECT title FROM locking WHERE writer_id = %s",
    "a catalogue": "SELECT title FROM of_the_server WHERE writer_id = %s",
    "a lock": "SELECT title FROM shown WHERE writer_id = %s FOR UPDATE",
    "statistics": "SELECT title, pg_stat_get_numscans('novel'::regclass) FROM novel WHERE writer_id = %s",
    "XML": "SELECT title, table_to_xml('tint'::regclass, true, true, '') IS NULL FROM novel WHERE writer_id = %s",
}


@pytest.mark.parametrize("what", REFUSED)
def test_is_not_loaded_ahead(patient, opened, direct, what):
    c = opened(patient)
    warm(c, REFUSED[what])
    listed(c)
    for key in range(1, 20):
        simple(c, REFUSED[what], key)
    restore(direct, "new")
    assert simple(c, REFUSED[what], 20) == ["new"]


# ---- what drops it

def said(sql):
    return lambda c, other, direct: c.sql(sql)


def said_by_other(sql):
    return lambda c, other, direct: other.sql(sql)


def in_a_transaction(*statements):
    def run(c, other, direct):
        for s in statements:
            c.sql(s)
    return run


DROPS = {
    "own write below a view": ("a view over two", said("UPDATE writer SET name = name WHERE id = 1")),
    "other's write below a view": ("a view over two", said_by_other("UPDATE writer SET name = name WHERE id = 1")),
    "other's write two views down": ("views over views", said_by_other("UPDATE writer SET name = name WHERE id = 1")),
    "other's write to a table of the outer view": ("views over views", said_by_other("DELETE FROM tint WHERE id = -1")),
    "other's write through a view": ("a view over two", said_by_other("UPDATE shown SET title = title WHERE id = -1")),
    "own write where a function may read": ("a function that reads", said("INSERT INTO aside VALUES (1)")),
    "other's write where a function may read": ("a function that reads", said_by_other("INSERT INTO aside VALUES (1)")),
    "other's write to what a policy reads": ("a policy that reads", said_by_other("UPDATE tint SET name = name WHERE id = 1")),
    "own write to what a policy reads": ("a policy that reads", said("UPDATE tint SET name = name WHERE id = 1")),
    "SET": ("a policy by a setting", in_a_transaction("SET app.tenant = '2'", "SET app.tenant = '1'")),
    "set_config": ("a policy by a setting", in_a_transaction("SELECT set_config('app.tenant', '2', false)", "SELECT set_config('app.tenant', '1', false)")),
    "RESET": ("now()", said("RESET app.tenant")),
    "SET ROLE": ("a view", in_a_transaction("SET ROLE reader", "RESET ROLE")),
    "search_path": ("a view", in_a_transaction("SET search_path = pg_catalog", "RESET search_path")),
    "a view is replaced": ("a view", said_by_other("CREATE OR REPLACE VIEW shown AS SELECT id, writer_id, title FROM novel WHERE at < now()")),
    "a function is replaced": ("an SQL function", said_by_other("CREATE OR REPLACE FUNCTION is_fine(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT $1 IS NOT NULL'")),
    "a policy is altered": ("a policy by a setting", said_by_other("ALTER POLICY by_tenant ON secret USING (tenant = current_setting('app.tenant', true)::int)")),
    "a temporary table": ("a view", in_a_transaction("CREATE TEMP TABLE shown_x (a int)", "DROP TABLE shown_x")),
    "an unknown function": ("a policy by a setting", said("SELECT tick(1)")),
}


@pytest.mark.parametrize("what", DROPS)
def test_is_dropped(own, patient, opened, direct, what):
    kind, does = DROPS[what]
    direct.sql("CREATE ROLE reader; GRANT reader TO app" if not direct.sql("SELECT 1 FROM pg_roles WHERE rolname = 'reader'") else "GRANT reader TO app")
    for relation in ("shown", "writer", "novel", "secret"):
        direct.sql("GRANT SELECT ON %s TO reader" % relation)
    c = opened(patient)
    other = opened(patient, user=servers.SUPERUSER)
    hold(c, direct, KINDS[kind])
    does(c, other, direct)
    expected = ["new"] if what != "RESET" or kind != "a policy by a setting" else []
    assert simple(c, KINDS[kind], 21) == expected


KEEPS = {
    "a write to another table": ("a view over two", said_by_other("INSERT INTO aside VALUES (1)")),
    "a read of another view": ("a policy by a setting", said("SELECT count(*) FROM nested")),
    "a read with a function": ("a view", said("SELECT title_of(3) FROM writer WHERE id IN (1, 2)")),
}


@pytest.mark.parametrize("what", KEEPS)
def test_is_not_dropped(patient, opened, direct, what):
    kind, does = KEEPS[what]
    c, other = opened(patient), opened(patient)
    other.sql("INSERT INTO aside VALUES (2)")  # what a write may run is known by now
    warm(c, KINDS[kind])
    for _ in range(3):
        does(c, other, direct)
        simple(c, KINDS[kind], 1)
    for _ in range(3):
        hold(c, direct, KINDS[kind])
        does(c, other, direct)
        if simple(c, KINDS[kind], 21) == ["old"]:
            return
        restore(direct)
        c.sql("SELECT tick(1)")
    raise Late("it was dropped")


# ---- whose rows

def test_settings_that_nobody_knows_are_each_session_s_own(patient, opened, direct):
    """Two sessions of one identity, whose setting a function has made."""
    direct.sql("CREATE OR REPLACE FUNCTION become(text) RETURNS text LANGUAGE sql AS 'SELECT set_config(''app.tenant'', $1, false)'")
    one, two = opened(patient), opened(patient)
    sql = KINDS["a policy by a setting"]
    for _ in range(3):
        one.sql("SELECT become('1')")
        two.sql("SELECT become('2')")
        for c in (one, two):
            listed(c)
        for key in range(1, KEYS + 1):
            assert simple(one, sql, key) == ["old"] and simple(two, sql, key) == ["other"]
        one.send(*[unit(sql % "$1", [str(key)]) for key in range(1, 21)])
        two.send(*[unit(sql % "$1", [str(key)]) for key in range(1, 21)])
        assert [r[0] for r in proto.rows(one.ready(20))] == [b"old"] * 20
        assert [r[0] for r in proto.rows(two.ready(20))] == [b"other"] * 20


def test_a_setting_between_two_turns(patient, opened, direct):
    c = opened(patient)
    sql = KINDS["a policy by a setting"]
    listed(c)
    for key in range(1, KEYS + 1):
        tenant = key // 7 % 2 + 1
        if key % 7 == 0:
            c.sql("SET app.tenant = '%d'" % tenant)
        assert simple(c, sql, key) == [["old"], ["other"]][tenant - 1 if key >= 7 else 0]


def test_set_local_ends_with_its_transaction(patient, opened, direct):
    c = opened(patient)
    sql = KINDS["a policy by a setting"]
    warm(c, sql)
    for end in ("COMMIT", "ROLLBACK"):
        c.sql("BEGIN")
        c.sql("SET LOCAL app.tenant = '2'")
        listed(c)
        for key in range(1, 30):
            assert simple(c, sql, key) == ["other"]
        c.sql("SAVEPOINT a")
        c.sql("SET LOCAL app.tenant = '1'")
        assert simple(c, sql, 30) == ["old"]
        c.sql("ROLLBACK TO a")
        assert [simple(c, sql, key) for key in range(31, 40)] == [["other"]] * 9
        c.sql(end)
        assert [simple(c, sql, key) for key in range(40, 50)] == [["old"]] * 10


# ---- definitions that change past pgfold

def by_batches(c, sql, keys=range(1, KEYS + 1)):
    listed(c)
    return [simple(c, sql, key) for key in keys]


PAST = {
    "a view": ("a view", "CREATE OR REPLACE VIEW shown AS SELECT id, writer_id, 'changed'::text AS title FROM novel",
               "CREATE OR REPLACE VIEW shown AS SELECT id, writer_id, title FROM novel WHERE at < now()"),
    "the view below": ("views over views", "CREATE OR REPLACE VIEW joined AS SELECT n.writer_id, 'changed'::text AS title, w.name FROM novel n JOIN writer w ON w.id = n.writer_id",
                       "CREATE OR REPLACE VIEW joined AS SELECT n.writer_id, n.title, w.name FROM novel n JOIN writer w ON w.id = n.writer_id"),
    "a function": ("a function that reads", "CREATE OR REPLACE FUNCTION title_of(int) RETURNS text STABLE LANGUAGE sql AS 'SELECT ''changed''::text'",
                   "CREATE OR REPLACE FUNCTION title_of(int) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT title FROM novel WHERE writer_id = $1); END'"),
    "a policy": ("a policy by a setting", "ALTER POLICY by_tenant ON secret USING (tenant = 2)",
                 "ALTER POLICY by_tenant ON secret USING (tenant = current_setting('app.tenant', true)::int)"),
    "another policy": ("a policy by a setting", "CREATE POLICY more ON secret AS RESTRICTIVE USING (false)", "DROP POLICY more ON secret"),
    "row-level security of a table": ("now()", "ALTER TABLE novel ENABLE ROW LEVEL SECURITY", "ALTER TABLE novel DISABLE ROW LEVEL SECURITY"),
    "row-level security below a view": ("a policy that reads", "ALTER POLICY by_tint ON guarded USING (false)",
                                        "ALTER POLICY by_tint ON guarded USING (EXISTS (SELECT FROM tint t WHERE t.id = writer_id AND t.name <> 'hidden'))"),
}


@pytest.mark.parametrize("what", PAST)
def test_definitions_change_past_pgfold(own, long_lived, opened, direct, what):
    """What was held may be given for as long as max_age says; what is loaded from then on is not what the old verdict allowed."""
    kind, change, back = PAST[what]
    c = opened(long_lived(**{**PATIENT, "lookahead.max_age": "200ms"}))
    warm(c, KINDS[kind])
    assert by_batches(c, KINDS[kind]) == [["old"]] * KEYS
    with opened(own) as plain:
        try:
            direct.sql(change)
            direct.sql("SELECT pg_sleep(0.25)")
            expected = by_batches(plain, KINDS[kind])
            assert by_batches(c, KINDS[kind]) == expected and expected[0] != ["old"]
            assert by_batches(c, KINDS[kind]) == expected
        finally:
            direct.sql(back)
        direct.sql("SELECT pg_sleep(0.25)")
        assert by_batches(c, KINDS[kind]) == [["old"]] * KEYS


def test_a_function_is_declared_volatile_past_pgfold(patient, opened, direct):
    """It runs for the lookups that ask for it, and for no others."""
    direct.sql("CREATE OR REPLACE FUNCTION turns(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT $1'")
    sql = "SELECT title FROM novel WHERE writer_id = %s AND turns(id) > 0"
    c = opened(patient)
    warm(c, sql)
    assert by_batches(c, sql) == [["old"]] * KEYS
    direct.sql("SELECT setval('ticks', 1000)")
    direct.sql("CREATE OR REPLACE FUNCTION turns(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT nextval(''ticks''); SELECT $1'")
    for _ in range(2):
        assert by_batches(c, sql, range(1, 31)) == [["old"]] * 30
    assert direct.sql("SELECT last_value FROM ticks") == [("1060",)]


def test_a_check_is_added_to_a_domain_past_pgfold(patient, opened, direct):
    """It may do anything, and no batch runs it for keys that nobody has asked for."""
    direct.sql("CREATE DOMAIN counted AS int")
    direct.sql("CREATE OR REPLACE FUNCTION counts(int) RETURNS int STABLE LANGUAGE plpgsql AS 'DECLARE d counted := $1; BEGIN RETURN d; END'")
    sql = "SELECT title FROM novel WHERE writer_id = %s AND counts(id) > 0"
    c = opened(patient)
    warm(c, sql)
    assert by_batches(c, sql) == [["old"]] * KEYS
    direct.sql("SELECT setval('ticks', 1000)")
    direct.sql("ALTER DOMAIN counted ADD CHECK (tick(VALUE) > 0)")
    try:
        c.sql("SELECT tick(1)")  # drops all
        assert by_batches(c, sql, range(1, 31)) == [["old"]] * 30
        assert direct.sql("SELECT last_value FROM ticks") == [("1031",)]
    finally:
        direct.sql("DROP DOMAIN counted CASCADE")


# ---- bodies that are trees

TREES = """
CREATE FUNCTION joins(a text, b text) RETURNS text IMMUTABLE LANGUAGE sql BEGIN ATOMIC SELECT a; END;
CREATE OPERATOR |+| (LEFTARG = text, RIGHTARG = text, FUNCTION = joins);
CREATE FUNCTION counts_up(text, text) RETURNS text VOLATILE LANGUAGE sql AS 'SELECT nextval(''ticks''); SELECT $1';
CREATE OPERATOR |++| (LEFTARG = text, RIGHTARG = text, FUNCTION = counts_up);
CREATE FUNCTION by_text(k int) RETURNS text STABLE LANGUAGE sql AS 'SELECT title FROM novel WHERE writer_id = k';
CREATE FUNCTION by_tree(k int) RETURNS text STABLE LANGUAGE sql BEGIN ATOMIC SELECT title |+| 'x' FROM novel WHERE writer_id = k; END;
CREATE FUNCTION ticks_by_tree(k int) RETURNS text STABLE LANGUAGE sql BEGIN ATOMIC SELECT title |++| 'x' FROM novel WHERE writer_id = k; END;
DROP FUNCTION by_text, by_tree, ticks_by_tree;
DROP OPERATOR |+| (text, text);
DROP OPERATOR |++| (text, text);
DROP FUNCTION joins, counts_up"""


def test_a_parsed_body_names_its_operators(patient, opened, direct):
    """Operators of users' speak against a body that is a text, since none of its words is their functions' name."""
    if int(direct.value("SHOW server_version_num")) < 140000:
        pytest.skip("PostgreSQL 14 has BEGIN ATOMIC")
    statements = re.split(r";\n(?!END)", TREES.strip())
    for statement in statements[:7]:
        direct.sql(statement)
    try:
        c = opened(patient)
        for name, ahead in (("by_tree", True), ("by_text", False)):
            sql = "SELECT %s(writer_id) FROM novel WHERE writer_id = %%s" % name
            warm(c, sql)
            listed(c)
            for key in range(1, 20):
                assert simple(c, sql, key) == ["old"]
            restore(direct, "new")
            is_held(simple(c, sql, 20), ["old"] if ahead else ["new"], ["new"])
            restore(direct)
        direct.sql("SELECT setval('ticks', 1000)")
        warm(c, "SELECT ticks_by_tree(writer_id) FROM novel WHERE writer_id = %s", keys=range(1, 31))
        warm(c, "SELECT ticks_by_tree(writer_id) FROM novel WHERE writer_id = %s", keys=range(1, 31))
        assert direct.sql("SELECT last_value FROM ticks") == [("1060",)]
    finally:
        for statement in statements[7:]:
            direct.sql(statement)


# ---- errors

def outcome(c, sql, key):
    got = c.ask(query(sql % key))
    return [e["M"] for e in proto.errors(got)] or [r[0].decode() for r in proto.rows(got)]


@pytest.mark.parametrize("around", [(), ("BEGIN",)])
def test_a_function_that_raises_for_one_key(patient, opened, direct, around):
    """Its own lookup has the error; the others have their rows; a transaction is aborted by that lookup alone."""
    sql = "SELECT title FROM novel WHERE writer_id = %s AND picky(id) > 0"
    c = opened(patient)
    for _ in range(3):
        for s in around:
            c.sql(s)
        listed(c)
        for key in range(1, 41):
            if key == 25 and around:
                continue
            assert outcome(c, sql, key) == (["no 25"] if key == 25 else ["old"]), key
        if around:
            assert outcome(c, sql, 25) == ["no 25"]
            assert "aborted" in outcome(c, sql, 26)[0]
            c.sql("ROLLBACK")


# ---- temporary tables

def test_a_temporary_table_shadows(patient, opened, direct):
    c = opened(patient)
    sql = "SELECT title FROM novel WHERE writer_id = %s AND at <= now()"
    warm(c, sql)
    hold(c, direct, sql)
    c.sql("CREATE TEMP TABLE novel (id int, writer_id int, title text, at timestamptz)")
    c.sql("INSERT INTO novel SELECT i, i, 'temporary', '2024-01-01Z' FROM generate_series(1, 60) i")
    assert [simple(c, sql, key) for key in range(21, 40)] == [["temporary"]] * 19
    c.sql("DROP TABLE pg_temp.novel")
    assert [simple(c, sql, key) for key in range(40, 50)] == [["new"]] * 10


# ---- tables that are not to be loaded ahead

def test_a_table_below_is_switched_off(own, server_conninfo, start_pgfold, opened, direct):
    p = start_pgfold({**PATIENT, "pgfold.server": server_conninfo, "table public.tint.lookahead": "off"})
    c = opened(p)
    for kind, held in (("a view over two", True), ("views over views", False), ("a policy that reads", False), ("a function that reads", False)):
        warm(c, KINDS[kind])
        listed(c)
        for key in range(1, 20):
            simple(c, KINDS[kind], key)
        restore(direct, "new")
        is_held(simple(c, KINDS[kind], 20), ["old"] if held else ["new"], ["new"])
        restore(direct)


def test_explain_tells_the_level(own):
    import subprocess

    import conftest
    where = "host=127.0.0.1 port=%d user=postgres dbname=own" % own.port
    said = subprocess.run([conftest.BINARY, "explain", "--server", where], input=";\n".join(s % "$1" for s in [*KINDS.values(), *NOT.values()]), text=True,
                          check=True, timeout=60, stdout=subprocess.PIPE).stdout
    assert len(re.findall(r"level +own, not shared with other sessions: \w", said)) == len(KINDS)
    assert said.count("forwarded untouched: vet_refused") == len(NOT)
