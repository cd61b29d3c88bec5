# SPDX-License-Identifier: PostgreSQL
"""Ways by which a statement that seems only to read does more: a function that says STABLE reaches one that writes, or that makes another tenant of
the session, by an operator, a cast, a domain, a quoted name. Nothing of the kind runs ahead, and its rows are those that PostgreSQL gives.

Each kind of way has a database of its own, since one way there closes others. Another connection goes to a twin of that database directly."""
import contextlib

import conftest
import proto
import pytest
import servers
from busy import unless_busy
from proto import query, unit
from test_own_level import PATIENT

SCHEMA = """
CREATE TABLE writer (id int PRIMARY KEY, name text);
CREATE TABLE novel (id int PRIMARY KEY, writer_id int REFERENCES writer, title text);
CREATE INDEX ON novel (writer_id);
CREATE TABLE tint (id int PRIMARY KEY, name text);
CREATE TABLE aside (id int);
CREATE TABLE secret (id int PRIMARY KEY, writer_id int REFERENCES writer, title text, tenant int);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON secret USING (tenant = current_setting('app.tenant', true)::int);
CREATE SEQUENCE ticks;
CREATE FUNCTION inner_f(int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION tickv(int) RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.ticks''); RETURN $1; END';
CREATE FUNCTION tickb(int) RETURNS bool VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.ticks''); RETURN true; END';
CREATE VIEW ticking AS SELECT *, nextval('ticks') FROM novel;
INSERT INTO writer SELECT i, 'writer ' || i FROM generate_series(1, 60) i;
INSERT INTO novel SELECT i, (i - 1) % 60 + 1, 'novel ' || i FROM generate_series(1, 120) i;
INSERT INTO tint SELECT i, 'tint ' || i FROM generate_series(1, 60) i;
INSERT INTO tint VALUES (61, 'select nextval(''ticks'')::text');
INSERT INTO secret SELECT i, (i - 1) % 60 + 1, 'of ' || (i - 1) / 60 + 1, (i - 1) / 60 + 1 FROM generate_series(1, 120) i
"""
PLPGSQL = "CREATE FUNCTION %s(int) RETURNS int STABLE LANGUAGE plpgsql AS $$%s$$"
SQL = "CREATE FUNCTION %s(int) RETURNS int STABLE LANGUAGE sql AS $$%s$$"
BECOME = "CREATE FUNCTION %s(text) RETURNS text %s AS $$%s$$"
IN_SQL = "STABLE LANGUAGE sql"
IN_PLPGSQL = "STABLE LANGUAGE plpgsql"
CALLED = "SELECT title FROM novel WHERE writer_id = %%s AND %s(id) IS NOT NULL"
FROM_VIEW = "SELECT * FROM %s WHERE writer_id = %%s"

# database: (what is made there, {way: (definition, statement)}); None: a call of the function of that name, or a view of that name. A way of the second
# list makes another tenant of the session.
BODIES = {
    "execute": PLPGSQL % ("execute", "DECLARE r int; BEGIN EXECUTE 'select next'||'val(''ticks'')' INTO r; RETURN $1; END"),
    "execute_read": PLPGSQL % ("execute_read", "DECLARE r text; BEGIN FOR r IN EXECUTE (SELECT name FROM tint WHERE id = 61) LOOP END LOOP; RETURN $1; END"),
    "execute_set": PLPGSQL % ("execute_set", "BEGIN EXECUTE format('SET app.'||'tenant = %L', 1); RETURN $1; END"),
    "escaped": PLPGSQL % ("escaped", "BEGIN PERFORM U&\"\\006eextval\"('ticks'); RETURN $1; END"),
    "with_schema": PLPGSQL % ("with_schema", "BEGIN PERFORM pg_catalog . \"nextval\" /* x */ ('ticks'); RETURN $1; END"),
    "with_schema_bare": PLPGSQL % ("with_schema_bare", "BEGIN PERFORM pg_catalog . nextval /* x */ ('ticks'); RETURN $1; END"),
    "in_capitals": PLPGSQL % ("in_capitals", "BEGIN PERFORM NextVal('ticks'); RETURN $1; END"),
    "parsed": "CREATE FUNCTION parsed(int) RETURNS int STABLE LANGUAGE sql BEGIN ATOMIC SELECT nextval('ticks') ; SELECT $1; END",
    "by_a_view": PLPGSQL % ("by_a_view", "BEGIN PERFORM * FROM ticking WHERE id = 1; RETURN $1; END"),
    "by_a_view_sql": SQL % ("by_a_view_sql", "SELECT $1 FROM ticking WHERE id = 1 AND nextval > 0"),
    "by_a_cursor": PLPGSQL % ("by_a_cursor", "DECLARE c refcursor := 'x'; BEGIN OPEN c FOR SELECT * FROM ticking WHERE id=1; FETCH c INTO c; CLOSE c; RETURN $1; END"),
    "by_a_policy": PLPGSQL % ("by_a_policy", "BEGIN PERFORM * FROM guarded WHERE id = 1; RETURN $1; END"),
    "by_a_field": PLPGSQL % ("by_a_field", "DECLARE x int; BEGIN x := (SELECT id FROM novel WHERE novel.id = $1 AND novel.chk2); RETURN $1; END"),
    "by_a_row": SQL % ("by_a_row", "SELECT $1 FROM (SELECT (n).chk2 AS z FROM novel n WHERE n.id = 1) q WHERE z"),
    "by_a_default": PLPGSQL % ("by_a_default", "BEGIN RETURN dflt($1); END"),
    "by_its_path": "CREATE FUNCTION by_its_path(int) RETURNS int STABLE LANGUAGE plpgsql SET search_path = s2 AS 'BEGIN RETURN inner_f($1); END'",
    "by_an_aggregate": PLPGSQL % ("by_an_aggregate", "BEGIN PERFORM vsum(x) FROM generate_series(1,1) x; RETURN $1; END"),
    "by_xml": PLPGSQL % ("by_xml", "BEGIN PERFORM table_to_xml('ticking'::regclass, true, true, ''); RETURN $1; END"),
    "by_a_lock": PLPGSQL % ("by_a_lock", "BEGIN PERFORM pg_advisory_lock(7); PERFORM setval('ticks', (SELECT last_value+1 FROM ticks)); RETURN $1; END"),
    "by_a_procedure": PLPGSQL % ("by_a_procedure", "BEGIN CALL pp(); RETURN $1; END"),
    "by_a_setting": PLPGSQL % ("by_a_setting", "BEGIN PERFORM set_config('app.tenant', '1', false); RETURN $1; END"),
    "by_a_quoted_name": SQL % ("by_a_quoted_name", 'SELECT "next-number"($1)'),
    "by_a_quoted_view": PLPGSQL % ("by_a_quoted_view", 'BEGIN RETURN (SELECT id FROM "tick view" WHERE id = $1); END'),
    "by_a_wide_name": PLPGSQL % ("by_a_wide_name", "BEGIN RETURN zähle($1); END"),
    "by_a_name_in_capitals": PLPGSQL % ("by_a_name_in_capitals", 'BEGIN PERFORM "NEXTVAL2"($1); RETURN $1; END'),
    "calls_that": PLPGSQL % ("calls_that", "BEGIN RETURN by_a_name_in_capitals($1); END"),
}
WAYS = {
    "bodies": ("""CREATE SCHEMA s2;
GRANT USAGE ON SCHEMA s2 TO PUBLIC;
CREATE FUNCTION s2.inner_f(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT public.tickv($1)';
CREATE FUNCTION sfn(int, int) RETURNS int VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''ticks''); RETURN coalesce($1,0)+$2; END';
CREATE AGGREGATE vsum(int) (SFUNC=sfn, STYPE=int, INITCOND='0');
CREATE FUNCTION dflt(int, int DEFAULT nextval('ticks')::int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION chk2(novel) RETURNS bool VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''ticks''); RETURN true; END';
CREATE TABLE guarded AS SELECT * FROM novel;
ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
CREATE POLICY g ON guarded USING (tickb(id));
CREATE PROCEDURE pp() LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''ticks''); END';
CREATE FUNCTION "next-number"(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT tickv($1)';
CREATE FUNCTION "NEXTVAL2"(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT tickv($1)';
CREATE FUNCTION zähle(int) RETURNS int VOLATILE LANGUAGE sql AS 'SELECT tickv($1)';
CREATE VIEW "tick view" AS SELECT id, nextval('ticks') AS n FROM novel OFFSET 0;
CREATE FUNCTION "set-tenant"(text) RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT set_config(''app.tenant'',$1,false) = $1';
CREATE FUNCTION wähle(text) RETURNS text VOLATILE LANGUAGE sql AS 'SELECT set_config(''app.tenant'',$1,false)';
CREATE FUNCTION series(int) RETURNS SETOF novel STABLE LANGUAGE sql AS 'SELECT n.* FROM novel n WHERE writer_id = $1 AND tickb(n.id)';
CREATE VIEW v_default AS SELECT *, dflt(id) AS d FROM novel;
CREATE VIEW v_aggregate AS SELECT writer_id, vsum(id) AS s FROM novel GROUP BY writer_id;
CREATE VIEW v_field AS SELECT n.*, n.chk2 AS c FROM novel n;
CREATE VIEW v_wide AS SELECT *, zähle(id) AS z FROM novel;
CREATE FUNCTION policy_sql(int) RETURNS int STABLE LANGUAGE sql BEGIN ATOMIC SELECT $1 FROM guarded WHERE id = 1; END""",
               {**{name: (text, None) for name, text in BODIES.items()}, "policy_sql": ("", CALLED % "policy_sql"),
                **{v: ("", FROM_VIEW % v) for v in ("guarded", "v_default", "v_aggregate", "v_field", "v_wide")},
                "a_series": ("", "SELECT x.title FROM novel n, series(n.writer_id) x WHERE n.writer_id = %s"),
                "a_default": ("", CALLED % "dflt"), "a_field": ("", "SELECT title FROM novel n WHERE writer_id = %s AND n.chk2")},
               {"by_escape": (BECOME % ("by_escape", IN_PLPGSQL, "BEGIN RETURN U&\"\\0073et_config\"('app.tenant', $1, false); END"), None),
                "by_name": (BECOME % ("by_name", IN_SQL, 'SELECT "wähle"($1)'), None),
                "by_bare_name": (BECOME % ("by_bare_name", IN_SQL, "SELECT wähle($1)"), None),
                "by_dash": (BECOME % ("by_dash", IN_SQL, 'SELECT "set-tenant"($1)::text'), None)}),
    "operators": ("""CREATE FUNCTION vol(int, int) RETURNS bool VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''ticks''); RETURN $1 = $2; END';
CREATE OPERATOR === (LEFTARG=int, RIGHTARG=int, FUNCTION=vol);
CREATE FUNCTION become(text,text) RETURNS text VOLATILE LANGUAGE sql AS 'SELECT set_config($1,$2,false)';
CREATE OPERATOR ==> (LEFTARG=text, RIGHTARG=text, FUNCTION=become);
CREATE VIEW v_operator AS SELECT * FROM novel WHERE writer_id === writer_id""",
                  {"by_operator": (PLPGSQL % ("by_operator", "BEGIN PERFORM 1 === 1; RETURN $1; END"), None),
                   "by_operator_path": (PLPGSQL % ("by_operator_path", "BEGIN PERFORM 1 OPERATOR(public.===) 1; RETURN $1; END"), None),
                   "parsed_operator": ("CREATE FUNCTION parsed_operator(int) RETURNS int STABLE LANGUAGE sql BEGIN ATOMIC SELECT inner_f($1) WHERE 1 === 1; END", None),
                   "v_operator": ("", FROM_VIEW % "v_operator"), "an_operator": ("", "SELECT title FROM novel WHERE writer_id = %s AND id === id")},
                  {"op_become": (BECOME % ("op_become", IN_PLPGSQL, "BEGIN RETURN 'app.tenant'::text ==> $1; END"), None)}),
    "casts": ("""CREATE TYPE wrap AS (a int);
CREATE FUNCTION tow(int) RETURNS wrap VOLATILE LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''ticks''); RETURN ROW($1)::wrap; END';
CREATE CAST (int AS wrap) WITH FUNCTION tow(int) AS IMPLICIT;
CREATE FUNCTION awrap(wrap) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT ($1).a';
CREATE VIEW v_cast AS SELECT *, awrap(id) FROM novel;
CREATE TYPE ten AS (t text);
CREATE FUNCTION toten(text) RETURNS ten VOLATILE LANGUAGE sql AS 'SELECT ROW(set_config(''app.tenant'',$1,false))::ten';
CREATE CAST (text AS ten) WITH FUNCTION toten(text)""",
              {"by_cast": (PLPGSQL % ("by_cast", "BEGIN PERFORM 1::wrap; RETURN $1; END"), None),
               "by_assignment": (PLPGSQL % ("by_assignment", "DECLARE b wrap; BEGIN b := CAST($1 AS wrap); RETURN $1; END"), None),
               "v_cast": ("", FROM_VIEW % "v_cast"), "a_cast": ("", "SELECT title, awrap(coalesce(n.id, 1)) FROM novel n WHERE writer_id = %s")},
              {"cast_become": (BECOME % ("cast_become", IN_PLPGSQL, "BEGIN RETURN ($1::ten).t; END"), None)}),
    "domains": ("""CREATE DOMAIN dom AS int CHECK (tickb(VALUE));
CREATE TYPE comp AS (a dom);
CREATE TABLE dt (id int, d dom);
CREATE VIEW v_domain AS SELECT *, writer_id::dom AS d FROM novel;
CREATE VIEW v_array AS SELECT *, ('{'||writer_id||'}')::text::dom[] AS z FROM novel;
CREATE VIEW v_composite AS SELECT *, ('('||writer_id||')')::text::comp AS z FROM novel;
CREATE VIEW v_json AS SELECT n.*, jsonb_populate_record(NULL::comp, jsonb_build_object('a', writer_id)) AS z FROM novel n;
CREATE VIEW v_record AS SELECT n.*, z.a FROM novel n, jsonb_to_record(jsonb_build_object('a', writer_id)) AS z(a dom);
CREATE FUNCTION takes(dom) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION gives(int) RETURNS dom STABLE LANGUAGE sql AS 'SELECT $1'""",
                {"by_variable": (PLPGSQL % ("by_variable", "DECLARE b dom; BEGIN b := $1; RETURN $1; END"), None),
                 "by_domain": (SQL % ("by_domain", "SELECT $1::dom::int"), None),
                 "parsed_domain": ("CREATE FUNCTION parsed_domain(int) RETURNS int STABLE LANGUAGE sql BEGIN ATOMIC SELECT $1::dom::int; END", None),
                 "by_column": (PLPGSQL % ("by_column", "DECLARE x dt.d%TYPE; BEGIN x := $1; RETURN x; END"), None),
                 "by_row": (PLPGSQL % ("by_row", "DECLARE x dt; BEGIN x.d := $1; RETURN x.d; END"), None),
                 "takes": ("", CALLED % "takes"), "gives": ("", CALLED % "gives"),
                 "takes_cast": ("", "SELECT title, takes(id::dom) FROM novel WHERE writer_id = %s"),
                 "an_array": ("", "SELECT title, ARRAY[writer_id]::dom[] FROM novel WHERE writer_id = %s"),
                 "a_composite": ("", "SELECT title, ('('||writer_id||')')::text::comp FROM novel WHERE writer_id = %s"),
                 "a_call": ("", "SELECT title, dom(writer_id) FROM novel WHERE writer_id = %s"),
                 "a_record": ("", "SELECT title, jsonb_populate_record(NULL::comp, jsonb_build_object('a', writer_id)) FROM novel WHERE writer_id = %s"),
                 **{v: ("", FROM_VIEW % v) for v in ("v_domain", "v_array", "v_composite", "v_json", "v_record")}}, {}),
    "tenants": ("""CREATE FUNCTION set_tenant(text) RETURNS bool VOLATILE LANGUAGE sql AS 'SELECT set_config(''app.tenant'',$1,false) = $1';
CREATE DOMAIN tenant AS text CHECK (set_tenant(VALUE));
CREATE VIEW v_io AS SELECT id AS writer_id, ('{2}'::text || left(name,0))::tenant[] AS t FROM tint;
CREATE VIEW v_rec AS SELECT i.id AS writer_id, z.t FROM tint i, jsonb_to_record(jsonb_build_object('t', '2', 'x', i.name)) AS z(t tenant)""", {},
                {"domain_become": (BECOME % ("domain_become", IN_PLPGSQL, "DECLARE t tenant; BEGIN t := $1; RETURN t; END"), None),
                 "result_become": ("CREATE FUNCTION result_become(text) RETURNS tenant STABLE LANGUAGE sql AS 'SELECT $1'", None),
                 "v_io": ("", "SELECT * FROM v_io WHERE writer_id = 3"), "v_rec": ("", "SELECT * FROM v_rec WHERE writer_id = 3")}),
}


def pairs(which):
    return [(database, name) for database, ways in WAYS.items() for name in ways[which]]


@pytest.fixture(scope="module")
def databases(pg):
    """Each with its twin."""
    with pg.admin("postgres") as c:
        for name, (made, ticks, tenants) in WAYS.items():
            c.sql('CREATE DATABASE "hidden %s" OWNER app' % name)
            with pg.admin("hidden %s" % name) as d:
                for sql in (SCHEMA + ";\n" + made).strip().split(";\n") + [text for text, _ in {**ticks, **tenants}.values() if text]:
                    d.sql(sql)
                d.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC")
                d.sql("ANALYZE")
            c.sql('CREATE DATABASE "twin %s" TEMPLATE "hidden %s"' % (name, name))
    return pg


class Twins:
    """Two connections that send the same: to a database through pgfold, to its twin directly."""

    def __init__(self, proxy, pg, database, stack):
        self.ends = [stack.enter_context(end.connect("app", "%s %s" % (half, database))) for end, half in ((proxy, "hidden"), (pg, "twin"))]
        self.admins = [stack.enter_context(pg.admin("%s %s" % (half, database))) for half in ("hidden", "twin")]

    def say(self, sql):
        got, want = [[(m.type, m.body) for m in c.ask(query(sql)) if m.type not in "TE"] for c in self.ends]
        assert got == want, sql

    def look(self, sql, key, extended):
        got, want = [proto.rows(c.ask(unit(sql % "$1", [str(key)]) if extended else query(sql % key))) for c in self.ends]
        assert got == want, (sql, key)

    def loop(self, sql, keys, extended=False):
        self.say("SELECT id, name FROM writer ORDER BY id")
        for key in keys:
            self.look(sql, key, extended)

    def ticks(self, to=None):
        return [int(a.value("SELECT %s" % ("setval('ticks', %d)" % to if to else "last_value FROM ticks"))) for a in self.admins]

    def both(self, *statements):
        for sql in statements:
            for a in self.admins:
                a.sql(sql)


@pytest.fixture
def twins(databases, long_lived):
    proxy = databases if conftest.DIRECT else long_lived(**{**PATIENT, "lookahead.max_age": "59s"})  # one of its own: what it asks in vain is much
    with contextlib.ExitStack() as stack:
        yield lambda database: Twins(proxy, databases, database, stack)


@pytest.mark.parametrize("database, way", pairs(1))
def test_runs_for_who_asks_alone(twins, database, way):
    t = twins(database)
    t.ticks(1000)
    for extended in (False, True):
        t.loop(WAYS[database][1][way][1] or CALLED % way, range(1, 14), extended)
    got, want = t.ticks()
    assert got == want, "it ran %d times, not %d" % (got - 1000, want - 1000)


@pytest.mark.parametrize("database, way", pairs(2))
def test_another_tenant_s_rows_are_not_given(twins, database, way):
    """The rest of a loop behind a statement by which the session becomes another tenant."""
    t, sql = twins(database), "SELECT title FROM secret WHERE writer_id = %s"
    becomes = WAYS[database][2][way][1] or "SELECT id FROM tint WHERE id = 3 AND %s('2') IS NOT NULL" % way
    for _ in range(6):
        t.say("SET app.tenant = '1'")
        t.loop(sql, range(1, 10))
        t.say(becomes)
        for key in range(10, 25):
            t.look(sql, key, False)


# ---- definitions that change past pgfold

PAST_SCHEMA = """
CREATE SCHEMA s0;
GRANT USAGE ON SCHEMA s0 TO PUBLIC;
CREATE FUNCTION mid_f(int) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN inner_f($1); END';
CREATE FUNCTION top_f(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT mid_f($1)';
CREATE TABLE tint2 AS SELECT * FROM tint;
CREATE FUNCTION reads_t(int) RETURNS text STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT name FROM tint2 WHERE id=$1); END';
CREATE VIEW w1 AS SELECT id, writer_id, title, 0 AS z FROM novel;
CREATE VIEW w2 AS SELECT * FROM w1;
CREATE VIEW w3 AS SELECT *, top_f(id) AS t FROM w2;
CREATE FUNCTION pol_f(int) RETURNS bool STABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE TABLE pold AS SELECT * FROM novel;
ALTER TABLE pold ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON pold USING (pol_f(id));
CREATE VIEW vpold AS SELECT * FROM pold;
ALTER VIEW vpold OWNER TO app;
ALTER TABLE pold OWNER TO postgres;
CREATE FUNCTION opsf(int,int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END';
CREATE OPERATOR ##= (LEFTARG=int, RIGHTARG=int, FUNCTION=opsf);
CREATE VIEW vop AS SELECT * FROM novel WHERE id ##= 1
"""
STABLE_F = "CREATE OR REPLACE FUNCTION %s STABLE LANGUAGE plpgsql AS 'BEGIN RETURN %s; END'"
TICKING_F = "CREATE OR REPLACE FUNCTION %s %s LANGUAGE plpgsql AS 'BEGIN PERFORM nextval(''public.ticks''); RETURN %s; END'"
INNER = "inner_f(int) RETURNS int"
CALLS, BELOW = "SELECT title, top_f(id) FROM novel WHERE writer_id = %s", "SELECT title, t, z FROM w3 WHERE writer_id = %s"
READS = "SELECT title, reads_t(id) FROM novel WHERE writer_id = %s"
# statement, changes, and what takes them back
PAST = {
    "the innermost is volatile": (CALLS, [TICKING_F % (INNER, "VOLATILE", "$1")], [STABLE_F % (INNER, "$1")]),
    "the innermost says stable": (CALLS, [TICKING_F % (INNER, "STABLE", "$1")], [STABLE_F % (INNER, "$1")]),
    "below a view": (BELOW, [TICKING_F % (INNER, "VOLATILE", "$1")], [STABLE_F % (INNER, "$1")]),
    "it calls another": (BELOW, [STABLE_F % (INNER, "tickv($1)")], [STABLE_F % (INNER, "$1")]),
    "a function in front on the path": (CALLS, [TICKING_F % ("s0." + INNER, "VOLATILE", "$1")], ["DROP FUNCTION s0.inner_f(int)"]),
    "the same by name": (CALLED % "inner_f", [TICKING_F % ("s0." + INNER, "VOLATILE", "$1")], ["DROP FUNCTION s0.inner_f(int)"]),
    "the lowest view": (BELOW, ["CREATE OR REPLACE VIEW w1 AS SELECT id, writer_id, title, nextval('ticks')::int*0 AS z FROM novel"],
                        ["CREATE OR REPLACE VIEW w1 AS SELECT id, writer_id, title, 0 AS z FROM novel"]),
    "a table is a view now": (READS, ["ALTER TABLE tint2 RENAME TO tint3", "CREATE VIEW tint2 AS SELECT id, name || nextval('ticks')*0 AS name FROM tint3",
                                      "GRANT SELECT ON tint2 TO PUBLIC"], ["DROP VIEW tint2", "ALTER TABLE tint3 RENAME TO tint2"]),
    "a view in front on the path": (READS, ["CREATE VIEW s0.tint2 AS SELECT id, name || nextval('public.ticks')*0 AS name FROM public.tint2",
                                            "GRANT SELECT ON s0.tint2 TO PUBLIC"], ["DROP VIEW s0.tint2"]),
    "a policy on a table in a text": (READS, ["ALTER TABLE tint2 ENABLE ROW LEVEL SECURITY", "CREATE POLICY t ON tint2 USING (tickb(id))"],
                                      ["DROP POLICY t ON tint2", "ALTER TABLE tint2 DISABLE ROW LEVEL SECURITY"]),
    "a policy's function": ("SELECT title FROM vpold WHERE writer_id = %s", [TICKING_F % ("pol_f(int) RETURNS bool", "VOLATILE", "true")],
                            [STABLE_F % ("pol_f(int) RETURNS bool", "true")]),
    "a policy": ("SELECT title FROM vpold WHERE writer_id = %s", ["ALTER POLICY p ON pold USING (tickb(id))"], ["ALTER POLICY p ON pold USING (pol_f(id))"]),
    "one policy more": ("SELECT title FROM vpold WHERE writer_id = %s", ["CREATE POLICY p2 ON pold AS RESTRICTIVE USING (tickb(id))"], ["DROP POLICY p2 ON pold"]),
    "an operator's function": ("SELECT title FROM vop WHERE writer_id = %s", [TICKING_F % ("opsf(int,int) RETURNS bool", "VOLATILE", "true")],
                               ["CREATE OR REPLACE FUNCTION opsf(int,int) RETURNS bool IMMUTABLE LANGUAGE plpgsql AS 'BEGIN RETURN true; END'"]),
}


@pytest.fixture(scope="module")
def past(databases):
    with databases.admin("postgres") as c:
        c.sql('CREATE DATABASE "hidden past" TEMPLATE "twin bodies"')
        with databases.admin("hidden past") as d:
            for sql in PAST_SCHEMA.strip().split(";\n"):
                d.sql(sql)
            d.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
        c.sql('CREATE DATABASE "twin past" TEMPLATE "hidden past"')


@pytest.mark.parametrize("what", PAST)
def test_definitions_change_past_pgfold(past, twins, what):
    sql, changes, back = PAST[what]
    t = twins("past")
    t.say("SET search_path = s0, public")
    for extended in (False, True):
        for _ in range(2):
            t.loop(sql, range(1, 14), extended)
    t.ticks(1000)
    try:
        t.both(*changes)
        for extended in (False, True):
            t.loop(sql, range(1, 14), extended)
        got, want = t.ticks()
        assert got <= want, "it ran %d times, not %d" % (got - 1000, want - 1000)
    finally:
        t.both(*back)


def test_a_database_without_any_of_it_has_the_level(databases, twins):
    """Else the tests above would prove nothing."""
    with databases.admin("postgres") as c:
        for name in ("hidden", "twin"):
            c.sql('DROP DATABASE IF EXISTS "%s plain" WITH (FORCE)' % name)
        c.sql('CREATE DATABASE "hidden plain" OWNER app')
        with databases.admin("hidden plain") as d:
            for sql in SCHEMA.strip().split(";\n"):
                d.sql(sql)
            d.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC; GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC")
            d.sql("ANALYZE")
        c.sql('CREATE DATABASE "twin plain" TEMPLATE "hidden plain"')
    t = twins("plain")
    for c in t.ends:
        c.sql("SET app.tenant = '1'")
    t.both("UPDATE novel SET title = 'old'", "UPDATE secret SET title = 'old'")
    for sql in (CALLED % "inner_f", "SELECT title FROM secret WHERE writer_id = %s"):
        sql = sql.replace("SELECT ", "SELECT 1 AS plain, ", 1)  # a shape of its own: what is dropped for others is no reason to load less
        for _ in range(3):
            t.loop(sql, range(1, 41))
        t.say("SELECT id, name FROM writer ORDER BY id")
        for key in range(1, 11):
            t.look(sql, key, False)
        t.admins[0].sql("UPDATE novel SET title = 'new'; UPDATE secret SET title = 'new'")
        got = [proto.rows(t.ends[0].ask(query(sql % key)))[0][1] for key in range(11, 31)]
        with unless_busy():
            assert conftest.DIRECT or set(got) - {b"new"}, "nothing was loaded ahead"
        t.admins[0].sql("UPDATE novel SET title = 'old'; UPDATE secret SET title = 'old'")
