# SPDX-License-Identifier: PostgreSQL
"""Rows pass only between sessions of one identity. Each test first proves that its lookups do fold within one identity,
then mixes in sessions that must not share, and compares every reply with what the session gets directly."""
import pytest

import conftest
import proto
import servers
from proto import query, unit

SETUP = """
DROP TABLE IF EXISTS secret CASCADE;
CREATE TABLE secret (id int PRIMARY KEY, owner text, body text);
INSERT INTO secret SELECT i, CASE WHEN i % 2 = 0 THEN 'app' ELSE 'other' END, 'body ' || i FROM generate_series(1, 60) i;
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON secret USING (owner = current_user OR owner = current_setting('app.tenant', true));
GRANT SELECT ON secret TO PUBLIC;
DROP SCHEMA IF EXISTS s1, s2 CASCADE;
CREATE SCHEMA s1;
CREATE SCHEMA s2;
CREATE TABLE s1.place (id int PRIMARY KEY, body text);
CREATE TABLE s2.place (id int PRIMARY KEY, body text);
INSERT INTO s1.place SELECT i, 's1 ' || i FROM generate_series(1, 60) i;
INSERT INTO s2.place SELECT i, 's2 ' || i FROM generate_series(1, 60) i;
CREATE TABLE s1.stamp (id int PRIMARY KEY, at timestamptz, f float8, b bytea);
INSERT INTO s1.stamp SELECT i, '2024-01-01'::timestamptz + i * interval '1 hour', i / 3.0::float8, '\\x00ff' FROM generate_series(1, 60) i;
CREATE TABLE s1.guarded (id int PRIMARY KEY, body text);
INSERT INTO s1.guarded SELECT i, 'guarded ' || i FROM generate_series(1, 60) i;
GRANT USAGE ON SCHEMA s1, s2 TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA s1, s2 TO PUBLIC;
REVOKE SELECT ON s1.guarded FROM PUBLIC;
GRANT SELECT ON s1.guarded TO app
"""
KEYS = range(1, 13)


@pytest.fixture(scope="module", autouse=True)
def tables(pg):
    with pg.admin() as a:
        for statement in SETUP.split(";\n"):
            a.sql(statement)
        a.sql("DO $$ BEGIN CREATE ROLE member LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        a.sql("GRANT app, other TO member")


LOOKUPS = {"simple": lambda sql, k: query(sql % k), "extended": lambda sql, k: unit(sql.replace("%d", "$1"), [k])}


@pytest.fixture(params=LOOKUPS)
def lookup(request):
    return LOOKUPS[request.param]


def mixed(pg, proxy, folding, lookup, sql, table, kinds):
    """kinds: [(log-in parameters, [statements run first]), …]. Sessions of all kinds ask for the same keys at once.

    A table with row security is never folded, so that its rows stay apart even where identities are equal."""
    def open_all(end):
        conns = []
        for login, first in kinds:
            for _ in KEYS:
                c, = folding.connections(end, 1, **login)
                for s in first:
                    c.ask(query(s))
                conns.append(c)
        return conns
    units = [lookup(sql, k) for _ in kinds for k in KEYS]
    conns = open_all(proxy)
    if table != "secret":
        folding.warm(conns[:len(KEYS)], units[:len(KEYS)], table)
    for _ in range(3):
        replies, calls = folding.burst(conns, units, table)
    if table == "secret":
        folding.assert_not_folded(calls, len(units))
    expected = []
    for (login, first) in kinds:
        with pg.connect(**login) as d:
            for s in first:
                d.ask(query(s))
            expected += [d.ask(lookup(sql, k)) for k in KEYS]
    assert replies == expected
    assert len({proto.wire(expected[i * len(KEYS)]) for i in range(len(kinds))}) > 1, "the kinds do not differ"
    return expected


SECRET = "SELECT body FROM secret WHERE id = %d"
GUARDED = "SELECT body FROM s1.guarded WHERE id = %d"
BY_ROLE = pytest.mark.parametrize("sql,table", [(SECRET, "secret"), (GUARDED, "guarded")])
PLACE = "SELECT body FROM place WHERE id = %d"


def test_row_security_of_two_users(pg, proxy, folding, lookup):
    got = mixed(pg, proxy, folding, lookup, SECRET, "secret", [({}, []), ({"user": "other"}, [])])
    assert sum(len(proto.rows(r)) for r in got) == len(KEYS)


def test_tenant_in_a_setting(pg, proxy, folding, lookup):
    mixed(pg, proxy, folding, lookup, SECRET, "secret", [
        ({}, []), ({}, ["SET app.tenant = 'other'"]), ({}, ["SELECT set_config('app.tenant', 'other', false)"]),
        ({}, ["SET app.tenant = 'other'", "RESET app.tenant"]), ({}, ["SET app.tenant TO 'nobody'"]),
        ({}, ["/* a comment */ SET SESSION app.tenant = other"]), ({}, ["BEGIN; SET app.tenant = 'other'; COMMIT"]),
        ({}, ["BEGIN", "SET app.tenant = 'other'", "ROLLBACK"]), ({}, ["BEGIN", "SET app.tenant = 'other'", "COMMIT"]),
        ({}, ["BEGIN", "SET LOCAL app.tenant = 'other'", "COMMIT"]), ({}, ["SET app.tenant = 'other'", "DISCARD ALL"]),
        ({}, ["SET app.tenant = 'other'", "RESET ALL"]), ({}, ["SELECT 1, set_config('app.tenant', 'other', false)"]),
        ({}, ["DO $$ BEGIN PERFORM set_config('app.tenant', 'other', false); END $$"]),
        ({"options": "-c app.tenant=other"}, [])])


@BY_ROLE
def test_set_role(pg, proxy, folding, lookup, sql, table):
    member = {"user": "member"}
    mixed(pg, proxy, folding, lookup, sql, table, [
        (member, ["SET ROLE app"]), (member, ["SET ROLE other"]), (member, []), (member, ["SET ROLE other", "RESET ALL"]),
        (member, ["SET ROLE app", "RESET ROLE"]), (member, ["SET ROLE nobody_here"]), (member, ["SET ROLE other", "SET ROLE nobody"]),
        (member, ["SET SESSION AUTHORIZATION other"]), (member, ["SET role = 'other'"]),
        (member, ["SELECT set_config('role', 'other', false)"]), (member, ["BEGIN", "SET ROLE other", "ROLLBACK"])])


@BY_ROLE
def test_session_authorization(pg, proxy, folding, lookup, sql, table):
    admin = {"user": servers.SUPERUSER}
    mixed(pg, proxy, folding, lookup, sql, table, [
        (admin, ["SET SESSION AUTHORIZATION app"]), (admin, ["SET SESSION AUTHORIZATION other"]), (admin, []),
        (admin, ["SET SESSION AUTHORIZATION other", "RESET SESSION AUTHORIZATION"]),
        (admin, ["SET SESSION AUTHORIZATION other", "DISCARD ALL"])])


def test_search_path(pg, proxy, folding, lookup):
    mixed(pg, proxy, folding, lookup, PLACE, "place", [
        ({"search_path": "s1"}, []), ({"search_path": "s2"}, []), ({"search_path": "s1"}, ["SET search_path = s2"]),
        ({"search_path": "s1"}, ["SET search_path TO s2, s1"]), ({"search_path": "s2"}, ["SET SCHEMA 's1'"]),
        ({"search_path": "s2"}, ["SET search_path = s1", "SET search_path TO DEFAULT"]), ({"options": "-csearch_path=s2"}, []),
        ({}, []), ({"search_path": "s1"}, ["SELECT pg_catalog.set_config('search_path', 's2', false)"])])


def test_temporary_table_shadows(pg, proxy, folding, lookup):
    s1 = {"search_path": "s1"}

    def masked(messages):  # a temporary table's oid differs from run to run
        return [proto.Message("T", b"") if m.type == "T" else m for m in messages]
    first = ["CREATE TEMP TABLE place AS SELECT id, 'temp ' || id AS body FROM s1.place"]
    via = ["DO $$ BEGIN EXECUTE 'CREATE TEMP TABLE place AS SELECT id, ''do '' || id AS body FROM s1.place'; END $$"]
    view = ["CREATE TEMP VIEW place AS SELECT id, 'view ' || id AS body FROM s1.place"]
    plain = folding.connections(proxy, len(KEYS), **s1)
    units = [lookup(PLACE, k) for k in KEYS]
    folding.warm(plain, units, "place")
    for statements, word in ((first, b"temp"), (via, b"do"), (view, b"view")):
        odd = folding.connections(proxy, len(KEYS), **s1)
        for c in odd:
            c.ask(query(statements[0]))
        replies, _ = folding.burst(plain + odd, units * 2, "place")
        assert [proto.rows(masked(r)) for r in replies[:len(KEYS)]] == [[[b"s1 %d" % k]] for k in KEYS]
        assert [proto.rows(masked(r)) for r in replies[len(KEYS):]] == [[[b"%s %d" % (word, k)]] for k in KEYS]
        for c in odd:
            c.close()


def test_doubt_passes(pg, proxy, folding):
    """What a function did is asked of the server; a session that it left as it was folds with the others again."""
    clean, odd = folding.connections(proxy, 10), folding.connections(proxy, 10)
    units = [query("SELECT name FROM item WHERE id = %d" % k) for k in range(1, 21)]
    for c in odd:
        c.ask(query("DO $$ BEGIN PERFORM 1; END $$"))
    for _ in range(10):  # proofs of sessions in doubt come later and later
        _, calls = folding.burst(clean + odd, units, "item")
    folding.assert_folded(calls, len(units))


def test_databases(pg, proxy, folding, lookup):
    mixed(pg, proxy, folding, lookup, "SELECT name FROM item WHERE id = %d", "item", [({}, []), ({"database": "second"}, [])])


def test_output_settings(pg, proxy, folding, lookup):
    mixed(pg, proxy, folding, lookup, "SELECT at, f, b FROM s1.stamp WHERE id = %d", "stamp", [
        ({}, []), ({}, ["SET TIME ZONE 'Asia/Tokyo'"]), ({"DateStyle": "German"}, []), ({}, ["SET extra_float_digits = 0"]),
        ({}, ["SET bytea_output = escape"]), ({"extra_float_digits": "-5"}, []), ({"TimeZone": "Asia/Tokyo"}, []),
        ({}, ["SET TIME ZONE INTERVAL '3' HOUR TO MINUTE"]), ({"client_encoding": "LATIN1"}, [])])


SETS = {"qualified": "SELECT one.sets_output", "field": "SELECT (one).sets_output", "called": "SELECT s1.sets_output(one)",
        "label of another's": "SELECT one.sets_output, (SELECT 1 AS sets_output)"}


@pytest.mark.parametrize("how", SETS)
def test_reads_that_set_something(pg, proxy, folding, lookup, how):
    """In a session that is known, behind a read that does not, each kind in a text of its own: a verdict against one counts for the others,
    one in favour not for what asks something else."""
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS s1.one CASCADE")
        a.sql("CREATE TABLE s1.one AS SELECT 1 AS n")
        a.sql("GRANT SELECT ON s1.one TO PUBLIC")
        a.sql("CREATE FUNCTION s1.sets_output(s1.one) RETURNS text LANGUAGE sql AS $$SELECT set_config('bytea_output', 'escape', false)$$")
    known = ["SET search_path = s1"] + ["SELECT body FROM s1.place WHERE id = %d" % k for k in (1, 2)]
    kinds = [({}, known + ["SELECT n AS x0, one.n FROM one"])]
    kinds += [({}, known + ["SELECT n AS x%d, one.n FROM one" % i, SETS[how] + " AS x%d FROM one" % i]) for i in (1, 2)]
    mixed(pg, proxy, folding, lookup, "SELECT b FROM s1.stamp WHERE id = %d", "stamp", kinds)


def test_constants_are_read_when_they_are_prepared(proxy, folding):
    """A statement keeps what its text meant under the settings of its Parse, also under others later."""
    sql = "SELECT id FROM s1.stamp WHERE id = $1 AND at > '02/01/2024'"  # the second of January, or the first of February
    conns = folding.connections(proxy, len(KEYS))
    first = [unit(sql, [b"%d" % (k + 30)], types=(23,), name="dated") for k in KEYS]
    later = [unit(sql, [b"%d" % (k + 30)], types=(23,), name="dated", want_parse=False) for k in KEYS]
    for c in conns:
        c.ask(query("SET DateStyle = 'ISO, DMY'"))
    folding.burst(conns, first, "stamp")
    for c in conns:
        c.ask(query("SET DateStyle = 'ISO, MDY'"))
    for _ in range(3):
        replies, _calls = folding.burst(conns, later, "stamp")
        assert [len(proto.rows(r)) for r in replies] == [1] * len(KEYS)


def test_application_names_are_apart(pg, proxy, folding, lookup):
    """A statement must be seen under the name of who asked: never one batch for two names."""
    a, b = folding.connections(proxy, 12, application_name="one"), folding.connections(proxy, 12, application_name="two")
    units = [lookup("SELECT name FROM item WHERE id = %d", k) for k in KEYS]
    folding.warm(a, units, "item")
    replies, calls = folding.burst(a + b, units * 2, "item")
    with pg.connect() as d:
        assert replies == folding.expect(d, units * 2)
    assert calls >= 2


def test_role_defaults_in_force_at_log_in(pg, proxy, folding, lookup):
    """ALTER ROLE … SET between two log-ins: same start-up packet, another identity."""
    with pg.admin() as admin:
        try:
            admin.sql("ALTER ROLE app SET search_path = s1")
            before = folding.connections(proxy, len(KEYS))
            units = [lookup(PLACE, k) for k in KEYS]
            folding.warm(before, units, "place")
            admin.sql("ALTER ROLE app SET search_path = s2")
            after = folding.connections(proxy, len(KEYS))
            replies, _ = folding.burst(before + after, units * 2, "place")
            assert [proto.rows(r) for r in replies] == [[[b"s1 %d" % k]] for k in KEYS] + [[[b"s2 %d" % k]] for k in KEYS]
        finally:
            admin.sql("ALTER ROLE app RESET search_path")


def test_definitions_change_under_a_shape(pg, proxy, folding, lookup):
    """The table is replaced by a view that depends on the user; the vetting of old must not hold."""
    with pg.admin() as admin:
        admin.sql("CREATE TABLE moving (id int PRIMARY KEY, body text)")
        admin.sql("INSERT INTO moving SELECT i, 'table ' || i FROM generate_series(1, 60) i")
        admin.sql("GRANT SELECT ON moving TO PUBLIC")
        try:
            conns = folding.connections(proxy, len(KEYS))
            units = [lookup("SELECT body FROM moving WHERE id = %d", k) for k in KEYS]
            folding.warm(conns, units, "moving")
            admin.sql("ALTER TABLE moving ADD COLUMN extra int DEFAULT 5")
            admin.sql("UPDATE moving SET body = 'changed ' || id")
            replies, _ = folding.burst(conns, units, "moving")
            assert [proto.rows(r) for r in replies] == [[[b"changed %d" % k]] for k in KEYS]
            admin.sql("ALTER TABLE moving ALTER body TYPE varchar(80)")
            replies, _ = folding.burst(conns, units, "moving")
            with pg.connect() as d:
                assert replies == folding.expect(d, units)
            admin.sql("ALTER TABLE moving RENAME TO moved")
            admin.sql("CREATE VIEW moving AS SELECT id, body || ' seen by ' || current_user AS body FROM moved")
            admin.sql("GRANT SELECT ON moving TO PUBLIC")
            replies, _ = folding.burst(conns, units, "moved")
            with pg.connect() as d:
                assert replies == folding.expect(d, units)
        finally:
            admin.sql("DROP TABLE IF EXISTS moved CASCADE")
            admin.sql("DROP TABLE IF EXISTS moving")


def test_permission_is_taken_away(pg, proxy, folding, lookup):
    with pg.admin() as admin:
        admin.sql("CREATE TABLE lent (id int PRIMARY KEY, body text)")
        admin.sql("INSERT INTO lent SELECT i, 'lent ' || i FROM generate_series(1, 60) i")
        admin.sql("GRANT SELECT ON lent TO PUBLIC")
        try:
            conns = folding.connections(proxy, len(KEYS))
            units = [lookup("SELECT body FROM lent WHERE id = %d", k) for k in KEYS]
            folding.warm(conns, units, "lent")
            admin.sql("REVOKE SELECT ON lent FROM PUBLIC")
            replies, _ = folding.burst(conns, units, "lent")
            assert [proto.errors(r)[0]["C"] for r in replies] == ["42501"] * len(KEYS)
            assert not any(proto.rows(r) for r in replies)
        finally:
            admin.sql("DROP TABLE lent")


def test_transactions_keep_to_themselves(pg, proxy, folding, lookup):
    """Uncommitted rows are seen by their own session alone; a snapshot is kept."""
    with pg.admin() as admin:
        admin.sql("DROP TABLE IF EXISTS account")
        admin.sql("CREATE TABLE account (id int PRIMARY KEY, body text)")
        admin.sql("INSERT INTO account SELECT i, 'old' FROM generate_series(1, 60) i")
        admin.sql("GRANT ALL ON account TO PUBLIC")
        sql = "SELECT body FROM account WHERE id = %d"
        plain = folding.connections(proxy, 10)
        folding.warm(plain, [lookup(sql, k + 1) for k in range(10)], "account")
        writer, snapshot = folding.connections(proxy, 2)
        snapshot.ask(query("BEGIN ISOLATION LEVEL REPEATABLE READ"))
        snapshot.ask(query("SELECT count(*) FROM account"))
        writer.ask(query("BEGIN"))
        writer.ask(query("UPDATE account SET body = 'new'"))
        for i, c in enumerate(plain):
            c.send(lookup(sql, i + 1))
        for _ in range(10):
            assert proto.rows(writer.ask(lookup(sql, 1))) == [[b"new"]]
        assert [proto.rows(c.ready()) for c in plain] == [[[b"old"]]] * 10
        writer.ask(query("COMMIT"))
        for i, c in enumerate(plain):
            c.send(lookup(sql, i + 1))
        for _ in range(10):
            assert proto.rows(snapshot.ask(lookup(sql, 1))) == [[b"old"]]
        assert [proto.rows(c.ready()) for c in plain] == [[[b"new"]]] * 10
        for c in (writer, snapshot, *plain):
            c.close()
        admin.sql("DROP TABLE account")


def test_a_pool_clears_its_connections(both, pg):
    """asyncpg does so each time one is given back. Where nothing is to be cleared pgfold answers; what was left is cleared as ever."""
    clear = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"
    lookup = proto.unit("SELECT id, name FROM item WHERE id = $1", [3])
    leaves = ["SET work_mem = '5MB'", "SELECT pg_advisory_lock(17)", "LISTEN something", "BEGIN; DECLARE kept CURSOR WITH HOLD FOR SELECT 1; COMMIT",
              "SELECT set_config('app.tenant', 'x', false)", "CREATE TEMP TABLE IF NOT EXISTS kept AS SELECT 1"]

    def action(end):
        got = []
        with end.connect() as c, end.connect() as other:
            for left in [None, *leaves, None]:
                for what in ([proto.query(left)] if left else []) + [lookup, proto.query(clear), lookup, proto.query(clear), proto.query(clear)]:
                    got += c.ask(what)
                got += c.ask(proto.query("SHOW work_mem")) + c.ask(proto.query("SELECT count(*) FROM pg_cursors")) + c.ask(proto.query("SELECT * FROM pg_listening_channels()"))
                got += other.ask(proto.query("SELECT pg_try_advisory_lock(17), pg_advisory_unlock(17)"))
                got += c.ask(proto.query("SELECT current_setting('app.tenant', true)")) + c.ask(proto.query(clear))
        return got
    both(action)


def test_what_a_pool_clears_in_vain_is_not_sent(pg, proxy):
    clear = proto.query("SELECT pg_advisory_unlock_all(); CLOSE ALL; UNLISTEN *; RESET ALL")
    with pg.admin() as a, proxy.connect() as c:
        last = "SELECT query_start FROM pg_stat_activity WHERE pid = %d" % c.pid

        def is_answered_here():
            c.sql("SELECT id, name FROM item WHERE id = 3")
            before = a.value(last)
            c.ask(clear)
            return a.value(last) == before
        if not conftest.DIRECT:
            servers.wait_for(is_answered_here, "it to be answered by pgfold")
        c.sql("SET work_mem = '5MB'")
        assert not is_answered_here()
        assert c.value("SHOW work_mem") == "4MB"
