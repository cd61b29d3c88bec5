# SPDX-License-Identifier: PostgreSQL
"""What the catalogue speaks against is not folded, and the log says why in words that help."""
import time

import pytest

from busy import unless_busy
from proto import query, unit

TABLE = "CREATE TABLE vt (id int PRIMARY KEY, a text, b int); INSERT INTO vt SELECT i, 'a', i FROM generate_series(1, 9) i"
TWO = TABLE + "; CREATE TABLE u (vt_id int, c text); INSERT INTO u SELECT i % 5, 'c' || i FROM generate_series(1, 20) i"
SELECT = "SELECT id, a FROM vt WHERE id = $1"
CAST = TABLE + ("; CREATE TYPE e AS ENUM ('x'); CREATE FUNCTION c(e) RETURNS int LANGUAGE sql AS 'SELECT 1'; "
                "CREATE CAST (e AS int) WITH FUNCTION c(e)")
CAST_TO = TABLE + ("; CREATE TYPE e AS ENUM ('x'); CREATE FUNCTION c(int) RETURNS e LANGUAGE sql AS 'SELECT ''x''::e'; "
                   "CREATE CAST (int AS e) WITH FUNCTION c(int) AS IMPLICIT")
CAST_OF = TABLE + "; CREATE FUNCTION c({0}) RETURNS {1} LANGUAGE sql AS 'SELECT NULL::{1}'; CREATE CAST ({0} AS {1}) WITH FUNCTION c({0}) AS ASSIGNMENT"

# name: (set-up, statement, what the log says; None: it may be folded)
CASES = {
    "a table": (TABLE, SELECT, None),
    "no such table": ("", SELECT, "a table was not found"),
    "a view": (TABLE + "; ALTER TABLE vt RENAME TO real; CREATE VIEW vt AS SELECT * FROM real", SELECT, "no ordinary, partitioned or"),
    "row-level security": (TABLE + "; ALTER TABLE vt ENABLE ROW LEVEL SECURITY", SELECT, "row-level security"),
    "a foreign child": (TABLE + "; CREATE EXTENSION postgres_fdw; CREATE SERVER f FOREIGN DATA WRAPPER postgres_fdw; "
                        "CREATE FOREIGN TABLE child () INHERITS (vt) SERVER f", SELECT, "children that are foreign"),
    "an ordinary child": (TABLE + "; CREATE TABLE child () INHERITS (vt); INSERT INTO child VALUES (3, 'child')", SELECT, None),
    "no such column": (TABLE, "SELECT id, nothing FROM vt WHERE id = $1", "no column of its tables"),
    "a function like a column": (TABLE + "; CREATE FUNCTION f(vt) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                                 "SELECT id, vt.f FROM vt WHERE id = $1", "no column of its tables"),
    "a function of a column's name": (TABLE + "; CREATE FUNCTION a(vt) RETURNS int LANGUAGE sql AS 'SELECT 1'", SELECT,
                                      "bears the name of a user's function"),
    "a function of a column's name, of no row": (TABLE + "; CREATE FUNCTION a(text) RETURNS int LANGUAGE sql AS 'SELECT 1'", SELECT, None),
    "a function of a column's name, of anything": (TABLE + "; CREATE FUNCTION a(anyelement) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                                                   SELECT, "bears the name of a user's function"),
    "a user's operator": (TABLE + "; CREATE FUNCTION eq(int, int) RETURNS bool LANGUAGE sql VOLATILE AS 'SELECT true'; "
                          "CREATE OPERATOR public.= (LEFTARG = int, RIGHTARG = int, FUNCTION = eq)", SELECT, "operators may be a user's"),
    "a user's cast": (CAST + "; ALTER TABLE vt ADD c e", SELECT, "a cast may run a user's"),
    "a user's cast of an array's elements": (CAST + "; ALTER TABLE vt ADD c e[]", SELECT, "a cast may run a user's"),
    "a user's cast of what the statement names": (CAST, "SELECT id, a FROM vt WHERE id = $1 AND 'x'::e IS NOT NULL", "a cast may run a user's"),
    "a user's cast of nothing in it": (CAST, SELECT, None),
    "a user's cast of a type that is another table's": (CAST + "; CREATE TABLE w (c e)", SELECT, None),
    "a user's cast to a type of nothing in it": (CAST_TO, SELECT, None),
    "a user's cast to a column's type": (CAST_TO + "; ALTER TABLE vt ADD c e", SELECT, "a cast may run a user's"),
    "a user's cast to a type of an operator's": (CAST_TO + "; CREATE FUNCTION eq(e, e) RETURNS bool LANGUAGE sql IMMUTABLE AS 'SELECT true'; "
                                                 "CREATE OPERATOR = (LEFTARG = e, RIGHTARG = e, FUNCTION = eq)", SELECT, "a cast may run a user's"),
    "a user's cast between the server's types": (CAST_OF.format("int", "text[]"), SELECT, "a cast may run a user's"),
    "a user's cast between rare types": (CAST_OF.format("inet", "int"), SELECT, None),
    "a user's cast between rare types, one of a column": (CAST_OF.format("inet", "int") + "; ALTER TABLE vt ADD c inet", SELECT, "a cast may run a user's"),
    "a user's cast between rare types, one named": (CAST_OF.format("inet", "int"), "SELECT id, a FROM vt WHERE id = $1 AND '::1'::inet IS NOT NULL",
                                                    "a cast may run a user's"),
    "a user's cast between rare types, one computed": (CAST_OF.format("inet", "int"), "SELECT id, a, inet_merge(null, null) FROM vt WHERE id = $1",
                                                       "a cast may run a user's"),
    "a user's cast of a row": (TABLE + "; CREATE FUNCTION c(vt) RETURNS int LANGUAGE sql AS 'SELECT 1'; CREATE CAST (vt AS int) WITH FUNCTION c(vt)",
                               SELECT, "a cast may run a user's"),
    "a composite column": (TABLE + "; CREATE TYPE c AS (x int); ALTER TABLE vt ADD y c", SELECT, "a type may run a user's"),
    "an enum column": (TABLE + "; CREATE TYPE e AS ENUM ('x'); ALTER TABLE vt ADD y e", SELECT, None),
    "a key that is an array": (TABLE + "; ALTER TABLE vt ADD c int[]", "SELECT id FROM vt WHERE c = $1", "type of its key"),
    "the server cannot prepare it": (TABLE, "SELECT id FROM vt WHERE id = $1 AND b = 'x'", "could not prepare"),
    "a moving time": (TABLE + "; ALTER TABLE vt ADD t timestamptz", "SELECT id FROM vt WHERE id = 1 AND t < 'now'", None),
    "a partitioned table": ("CREATE TABLE vt (id int PRIMARY KEY, a text) PARTITION BY RANGE (id); CREATE TABLE p PARTITION OF vt "
                            "FOR VALUES FROM (0) TO (100); INSERT INTO vt VALUES (1, 'a'), (2, 'b')", SELECT, None),
    "two tables": (TWO, "SELECT vt.a, u.c FROM vt JOIN u ON u.vt_id = vt.id WHERE vt.id = $1", None),
    "one of them is a view": (TWO + "; CREATE VIEW v AS SELECT * FROM u", "SELECT vt.a FROM vt JOIN v ON v.vt_id = vt.id WHERE vt.id = $1",
                              "no ordinary, partitioned or"),
    "one of them has row-level security": (TWO + "; ALTER TABLE u ENABLE ROW LEVEL SECURITY",
                                           "SELECT vt.a FROM vt JOIN u ON u.vt_id = vt.id WHERE vt.id = $1", "row-level security"),
    "one in a subselect is a view": (TWO + "; CREATE VIEW v AS SELECT * FROM u",
                                     "SELECT a FROM vt WHERE id = $1 AND EXISTS (SELECT 1 FROM v WHERE v.vt_id = vt.id)", "no ordinary, part"),
    "a column of the other": (TWO, "SELECT a FROM vt, u WHERE vt.id = $1 AND c = a", None),
    "a column of none": (TWO, "SELECT vt.a FROM vt, u WHERE vt.id = $1 AND d = a", "no column of its tables"),
    "names of its own": (TWO, "SELECT x.n, count AS m FROM (SELECT count(*), a AS n FROM vt WHERE id = $1 GROUP BY a) x", None),
    "a name of its own in the wrong place": (TWO + "; CREATE FUNCTION n(vt) RETURNS int LANGUAGE sql AS 'SELECT 1'",
                                             "SELECT x.n FROM (SELECT a AS n FROM vt WHERE id = $1) x", "bears the name"),
    "a CTE": (TWO, "WITH w AS (SELECT * FROM vt WHERE id = $1) SELECT w.a FROM w", None),
    "a CTE with a table's name": (TWO, "WITH u AS (SELECT * FROM vt WHERE id = $1) SELECT u.a FROM u", None),
    "a CTE with a view's name": (TWO + "; CREATE VIEW v AS SELECT * FROM u", "WITH v AS (SELECT * FROM vt WHERE id = $1) SELECT v.a FROM v",
                                 "no ordinary, partitioned or"),
    "an aggregate": (TWO, "SELECT count(*), max(c), string_agg(c, ',' ORDER BY c) FROM u WHERE vt_id = $1", None),
    "a window function": (TWO, "SELECT c, row_number() OVER (ORDER BY c), lag(c) OVER (ORDER BY c) FROM u WHERE vt_id = $1", None),
    "json": (TWO, "SELECT json_agg(c), jsonb_build_object('c', max(c)) FROM u WHERE vt_id = $1", None),
    "an immutable function": (TWO, "SELECT upper(a), md5(a), coalesce(a, 'x') FROM vt WHERE id = $1", None),
    "the time": (TWO, "SELECT now() FROM vt WHERE id = $1", "may depend on more than its arguments"),
    "the time's age": (TWO + "; ALTER TABLE vt ADD t timestamp", "SELECT age(t) FROM vt WHERE id = $1", "may depend on more than"),
    "chance": (TWO, "SELECT a, random() FROM vt WHERE id = $1", "may depend on more than"),
    "a setting": (TWO, "SELECT current_setting('x.y', true) FROM vt WHERE id = $1", "may depend on more than"),
    "a sequence": (TWO + "; CREATE SEQUENCE s", "SELECT nextval('s') FROM vt WHERE id = $1", "may depend on more than"),
    "a user's function": (TWO + "; CREATE FUNCTION f(text) RETURNS text LANGUAGE sql IMMUTABLE AS 'SELECT $1'",
                          "SELECT f(a) FROM vt WHERE id = $1", "is a user's own"),
    "a user's function of a server's name": (TWO + "; CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text'",
                                             "SELECT lower(b) FROM vt WHERE id = $1", "is a user's own"),
    "the server's own, qualified": (TWO + "; CREATE FUNCTION lower(int) RETURNS text LANGUAGE sql AS 'SELECT $1::text'",
                                    "SELECT pg_catalog.lower(a) FROM vt WHERE id = $1", None),
    "an extension's function": (TWO + "; CREATE EXTENSION pg_trgm", "SELECT similarity(a, 'b') FROM vt WHERE id = $1", None),
    "an extension's type": (TWO + "; CREATE EXTENSION citext", "SELECT a::citext FROM vt WHERE id = $1 AND a::citext = 'A'", None),
    "a domain": (TWO + "; CREATE FUNCTION f(text) RETURNS bool LANGUAGE sql AS 'SELECT true'; CREATE DOMAIN d AS text CHECK (f(VALUE))",
                 "SELECT a::d FROM vt WHERE id = $1", "is a user's own"),
    "a function that returns a set": (TWO, "SELECT ts_parse('default', a) FROM vt WHERE id = $1", "may depend on more than"),
    "a materialised view": (TABLE + "; ALTER TABLE vt RENAME TO real; CREATE MATERIALIZED VIEW vt AS SELECT * FROM real", SELECT, None),
    "an unlogged table": (TABLE + "; ALTER TABLE vt SET UNLOGGED", SELECT, None),
}

REFUSED_BEFORE = {"a moving time"}
# Refused for other sessions, and folded here, where they come over one connection.
OWN = {"a view", "row-level security", "one of them is a view", "one of them has row-level security", "one in a subselect is a view", "a CTE with a view's name",
       "the time", "the time's age", "a setting", "a user's function"}
CHANGING = {"the time", "chance", "a sequence"}  # never the same answer twice


@pytest.fixture
def schema(pg):
    with pg.connect("postgres", "postgres") as c:
        c.sql("DROP DATABASE IF EXISTS vetting WITH (FORCE)")
        c.sql("CREATE DATABASE vetting")
    with pg.admin("vetting") as c:
        c.sql("CREATE EXTENSION pg_stat_statements")
        yield c
    with pg.connect("postgres", "postgres") as c:
        c.sql("DROP DATABASE vetting WITH (FORCE)")


def lookups(statement, n):
    if "$1" not in statement:
        return [query(statement.replace("id = 1", "id = %d" % (i + 1))) for i in range(n)]
    return [unit(statement, [i + 1]) for i in range(n)]


@pytest.mark.pgfold
@pytest.mark.parametrize("case", CASES)
def test_refusals(pg, schema, start_pgfold, case):
    setup, statement, words = CASES[case]
    for s in setup.split("; "):
        if s:
            schema.sql(s)
    schema.sql("SELECT pg_stat_statements_reset()")
    proxy = start_pgfold({"pgfold.log_level": "debug"})
    with pg.connect("postgres", "vetting") as d, proxy.connect("postgres", "vetting") as c:
        units = lookups(statement, 3)
        expected = [d.ask(u) for u in units]
        for turn in range(6 if words else 40):
            c.send(b"".join(units))
            replies = [c.ready() for _ in units]
            assert replies == expected or case in CHANGING
            folded = int(schema.value("SELECT count(*) FROM pg_stat_statements WHERE query ~ '^SELECT (pgfold_k|\"id\",)'"))
            if turn >= 5 and (folded or case in REFUSED_BEFORE):
                break
            time.sleep(0.02)
    log = proxy.log()
    folds = (words is None or case in OWN) and case not in REFUSED_BEFORE
    assert folds or not folded, folded
    with unless_busy():
        assert folded or not folds
    if words:
        assert words in log, log[-3000:]
    else:
        assert "may be" not in log and "could not" not in log and " was not found" not in log, log[-3000:]
