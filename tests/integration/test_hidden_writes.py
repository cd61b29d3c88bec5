# SPDX-License-Identifier: PostgreSQL
"""Writes that no statement names: whatever of a user's runs by a statement may change any table. A loop of another session, whose rows
are held, sees each as soon as it is acknowledged.

Every table, function, operator, type and view here changes `novel` when it is used in the way that its case says; the reader holds rows
that read "old". And the reverse: what names nothing of that kind drops nothing."""
import contextlib
import time

import proto
import pytest
import servers
from busy import is_held
from proto import SYNC, bind, execute, parse, query, unit

pytestmark = pytest.mark.pgfold
DATABASE = "hidden"
USUAL = "usual"  # the same without functions of such names that each INSERT counts for all tables
NAMES = ("FUNCTION lower", 'FUNCTION "values"')
PATIENT = {"lookahead.max_gap": "1s", "batching.check_one_in": "0", "lookahead.max_age": "60s"}
FLUSH = proto.msg("H")

SCHEMA = """
CREATE TABLE writer (id int PRIMARY KEY, name text);
CREATE TABLE novel (id int PRIMARY KEY, writer_id int REFERENCES writer, title text);
CREATE INDEX ON novel (writer_id);
CREATE TABLE plain (id int PRIMARY KEY, b text DEFAULT lower('X') CHECK (length(b) < 100), n numeric(8,2), at timestamptz DEFAULT now());
CREATE INDEX ON plain (lower(b));
CREATE TABLE other (id serial PRIMARY KEY, plain_id int REFERENCES plain ON DELETE CASCADE, e text);
CREATE FUNCTION w(int) RETURNS int LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN UPDATE novel SET title = ''new''; RETURN $1; END';
CREATE FUNCTION ws(int) RETURNS int LANGUAGE sql STABLE AS 'SELECT w($1)';
CREATE FUNCTION wi(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN w($1); END';
CREATE FUNCTION wt(text) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN w(1) = 1; END';
CREATE FUNCTION lower(int) RETURNS int LANGUAGE sql AS 'SELECT w($1)';
CREATE FUNCTION "values"(int) RETURNS int LANGUAGE sql AS 'SELECT w($1)';
CREATE FUNCTION f(other) RETURNS int LANGUAGE sql AS 'SELECT w(1)';
CREATE FUNCTION tg() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM w(1); RETURN NEW; END';
CREATE FUNCTION tgd() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM w(1); RETURN OLD; END';
CREATE VIEW seen AS SELECT w(1) AS n, id FROM writer WHERE id = 1;
CREATE VIEW above AS SELECT * FROM seen;
CREATE DOMAIN d_check AS int CHECK (ws(VALUE) > 0);
CREATE DOMAIN d_over AS d_check;
CREATE DOMAIN d_default AS int DEFAULT w(1);
CREATE TYPE pair AS (a int, b d_over);
CREATE TYPE mood AS ENUM ('glad', 'sad');
CREATE FUNCTION of_mood(mood) RETURNS int LANGUAGE sql AS 'SELECT w(1)';
CREATE CAST (mood AS int) WITH FUNCTION of_mood(mood) AS ASSIGNMENT;
CREATE FUNCTION op(int, text) RETURNS bool LANGUAGE plpgsql AS 'BEGIN RETURN w(1) = 1; END';
CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = text, FUNCTION = op);
CREATE FUNCTION cmp(int, int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM w(1); RETURN btint4cmp($1, $2); END';
CREATE OPERATOR CLASS own_order FOR TYPE int USING btree AS OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >, FUNCTION 1 cmp(int, int);
CREATE FUNCTION step(int, int) RETURNS int LANGUAGE plpgsql AS 'BEGIN RETURN w($1 + $2); END';
CREATE AGGREGATE total(int) (SFUNC = step, STYPE = int, INITCOND = 0);
CREATE TABLE h_default (id int, n int DEFAULT w(1));
CREATE TABLE h_stable (id int, n int DEFAULT ws(1));
CREATE TABLE h_domain (id int, n d_check);
CREATE TABLE h_over (id int, n d_over[]);
CREATE TABLE h_ddefault (id int, n d_default);
CREATE TABLE h_pair (id int, n pair);
CREATE TABLE h_check (id int, CHECK (wi(id) > 0));
CREATE TABLE h_index (id int);
CREATE INDEX ON h_index (wi(id));
CREATE TABLE h_partial (id int);
CREATE INDEX ON h_partial (id) WHERE wi(id) > 0;
CREATE TABLE h_order (id int);
CREATE INDEX ON h_order (id own_order);
CREATE TABLE h_generated (id int, n int GENERATED ALWAYS AS (wi(id)) STORED);
CREATE TABLE h_policy (id int);
CREATE POLICY p ON h_policy WITH CHECK (wi(id) > 0);
ALTER TABLE h_policy ENABLE ROW LEVEL SECURITY;
ALTER TABLE h_policy FORCE ROW LEVEL SECURITY;
CREATE TABLE h_using (id int);
CREATE POLICY p ON h_using USING (id IN (SELECT n FROM seen));
ALTER TABLE h_using ENABLE ROW LEVEL SECURITY;
CREATE TABLE h_opcheck (id int, b text, CHECK (id ### b));
CREATE TABLE h_mood (id int);
CREATE TABLE moods (m mood);
CREATE TABLE h_trigger (id int);
CREATE TRIGGER t AFTER INSERT ON h_trigger FOR EACH ROW EXECUTE FUNCTION tg();
CREATE TABLE h_rule (id int);
CREATE RULE r AS ON INSERT TO h_rule DO ALSO UPDATE novel SET title = 'new';
CREATE TABLE h_top (id int PRIMARY KEY);
CREATE TABLE h_middle (id int PRIMARY KEY REFERENCES h_top ON DELETE CASCADE);
CREATE TABLE h_low (id int REFERENCES h_middle ON DELETE CASCADE);
CREATE TRIGGER t AFTER DELETE ON h_low FOR EACH ROW EXECUTE FUNCTION tgd();
CREATE TABLE h_part (id int) PARTITION BY RANGE (wi(id));
CREATE TABLE h_part1 PARTITION OF h_part FOR VALUES FROM (0) TO (100);
CREATE TABLE "h_\u00fc" (id int DEFAULT w(1), n int);
INSERT INTO writer SELECT i, 'writer ' || i FROM generate_series(1, 40) i;
INSERT INTO novel SELECT i, i, 'old' FROM generate_series(1, 40) i;
INSERT INTO plain SELECT i, 'b' FROM generate_series(1, 40) i;
INSERT INTO other (plain_id, e) SELECT i, 'e' FROM generate_series(1, 9) i;
INSERT INTO h_top VALUES (1), (2), (3), (4), (5), (6);
INSERT INTO h_middle VALUES (1), (2), (3), (4), (5), (6);
INSERT INTO h_low VALUES (1), (2), (3), (4), (5), (6);
INSERT INTO h_using VALUES (1);
INSERT INTO moods VALUES ('glad');
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC;
ANALYZE
"""

WRITES = {
    "a default": "INSERT INTO h_default (id) VALUES (1)",
    "a default by a stable function": "INSERT INTO h_stable (id) VALUES (1)",
    "DEFAULT VALUES": "INSERT INTO h_default DEFAULT VALUES",
    "a domain's check": "INSERT INTO h_domain VALUES (1, 1)",
    "a domain over one, in an array": "INSERT INTO h_over VALUES (1, '{1}')",
    "a domain's default": "INSERT INTO h_ddefault (id) VALUES (1)",
    "a domain in a row": "INSERT INTO h_pair VALUES (1, '(1,1)')",
    "a domain in a cast": "UPDATE plain SET n = '1'::d_check WHERE id = 1",
    "a domain in CAST": "UPDATE plain SET n = CAST('1' AS public.d_over) WHERE id = 1",
    "a check": "INSERT INTO h_check VALUES (1)",
    "an index's expression": "INSERT INTO h_index VALUES (1)",
    "an index's condition": "INSERT INTO h_partial VALUES (1)",
    "an operator class": "INSERT INTO h_order VALUES (1), (2), (3)",
    "a generated column": "INSERT INTO h_generated VALUES (1)",
    "a policy's check": "INSERT INTO h_policy VALUES (1)",
    "a policy that reads a view": "DELETE FROM h_using WHERE id = 7",
    "a check by an operator": "INSERT INTO h_opcheck VALUES (1, 'b')",
    "a cast": "INSERT INTO h_mood SELECT m FROM moods",
    "a trigger": "INSERT INTO h_trigger VALUES (1)",
    "a rule": "INSERT INTO h_rule VALUES (1)",
    "a cascade of a cascade": "DELETE FROM h_top WHERE id = (SELECT min(id) FROM h_top)",
    "a partition's key": "INSERT INTO h_part VALUES (1)",
    "a partition": "INSERT INTO h_part1 VALUES (1)",
    "a name in other letters": "INSERT INTO \"h_\u00fc\" (n) VALUES (1)",
    "INSERT SELECT of a view": "INSERT INTO other (plain_id) SELECT n FROM seen",
    "INSERT SELECT of a view of a view": "INSERT INTO other (plain_id) SELECT n FROM above",
    "UPDATE FROM a view": "UPDATE plain SET n = s.n FROM seen s WHERE plain.id = s.id",
    "DELETE USING a view": "DELETE FROM plain USING seen WHERE plain.id = 40 + seen.n",
    "a view in a subselect": "UPDATE plain SET n = (SELECT n FROM seen) WHERE id = 1",
    "a function": "UPDATE plain SET n = w(1) WHERE id = 1",
    "a function of a listed name": "UPDATE plain SET n = lower(id) WHERE id = 1",
    "a function of a keyword's name": "UPDATE plain SET n = \"values\"(id) WHERE id = 1",
    "a function written like a column": "UPDATE plain SET n = other.f FROM other WHERE plain.id = other.plain_id",
    "a function written like a field": "UPDATE plain SET n = (other).f FROM other WHERE plain.id = other.plain_id",
    "an aggregate": "UPDATE plain SET n = (SELECT total(id) FROM writer) WHERE id = 1",
    "an operator": "UPDATE plain SET b = 'x' WHERE id ### 'y' AND id = 1",
    "RETURNING": "UPDATE plain SET b = 'y' WHERE id = 1 RETURNING ws(id)",
    "a SELECT of a view": "SELECT * FROM seen",
    "a SELECT of a view of a view": "SELECT a.n FROM above a WHERE a.id = 1",
    "a SELECT of a function": "SELECT w(1)",
    "a SELECT of a function like a column": "SELECT other.f FROM other WHERE id = 1",
    "a SELECT of an operator": "SELECT id FROM plain WHERE id ### 'x' AND id = 1",
    "a SELECT of a listed name": "SELECT lower(id) FROM plain WHERE id = 1",
    "a lookup of a function": "SELECT wi(id) FROM plain WHERE id = 1",
}
CLEAN = {
    "insert": "INSERT INTO other (plain_id, e) VALUES (1, 'x')",
    "insert of what is read": "INSERT INTO other (plain_id, e) SELECT id, b FROM plain WHERE id < 3",
    "update": "UPDATE plain SET b = upper(b) || 'x', n = n + 1, at = now() WHERE id IN (1, 2)",
    "update of a join": "UPDATE plain SET b = e FROM other WHERE other.plain_id = plain.id AND b LIKE 'x%'",
    "delete": "DELETE FROM other WHERE id = 5 RETURNING id, e",
    "a type": "UPDATE plain SET n = '1'::numeric(8,2), at = CAST('2024-01-01' AS timestamptz) WHERE id = 1",
    "a read": "SELECT p.b, count(*) FROM plain p JOIN other o ON o.plain_id = p.id WHERE p.id = 1 GROUP BY p.b",
    "a constant": "SELECT 1",
}


@pytest.fixture(scope="module")
def hidden(pg):
    for database in (DATABASE, USUAL):
        with pg.admin("postgres") as c:
            c.sql("CREATE DATABASE %s OWNER app" % database)
        with pg.admin(database) as c:
            for statement in SCHEMA.split(";\n"):
                if database == DATABASE or not any(name in statement for name in NAMES):
                    c.sql(statement)
    return pg


def old(hidden, database):
    with hidden.admin(database) as c:
        c.sql("UPDATE novel SET title = 'old'")
        yield c


@pytest.fixture
def direct(hidden):
    yield from old(hidden, DATABASE)


@pytest.fixture
def usual(hidden):
    yield from old(hidden, USUAL)


@pytest.fixture(scope="module")
def shared(hidden, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


@pytest.fixture
def opened():
    with contextlib.ExitStack() as stack:
        yield lambda end, database=DATABASE, **kw: stack.enter_context(end.connect(database=database, **kw))


serial = 0


class Loop:
    """A shape of its own, so that no other loop's waste counts. The list was gone through once: many keys are loaded at a time."""

    def __init__(self, c):
        global serial
        serial += 1
        self.c, self.at, self.sql = c, 0, "SELECT title AS t%d FROM novel WHERE writer_id = %%d" % serial
        c.sql("SELECT id, name FROM writer ORDER BY id")
        for _ in range(40):
            self.next()
        self.at = 0
        c.sql("SELECT id, name FROM writer ORDER BY id")

    def next(self):
        self.at += 1
        return self.c.value(self.sql % self.at)

    def hold(self, direct):
        for _ in range(10):
            assert self.next() == "old"
        direct.sql("UPDATE novel SET title = 'new'")  # past pgfold
        is_held(self.next(), "old", "new")
        direct.sql("UPDATE novel SET title = 'old'")
        return self


def checked(got):
    assert not proto.errors(got), proto.errors(got)
    return got


WAYS = {
    "simple": lambda c, sql: checked(c.ask(query(sql))),
    "extended": lambda c, sql: checked(c.ask(unit(sql, []))),
    "in a transaction": lambda c, sql: [checked(c.ask(query(s))) for s in ("BEGIN", "INSERT INTO other (e) VALUES ('x')", sql, "COMMIT")],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", WRITES)
def test_seen_at_once(direct, shared, opened, what, way):
    user = {"user": "app"} if "policy" in what else {"user": "postgres"}
    loop = Loop(opened(shared))
    writer = opened(shared, **user)
    WAYS[way](writer, "SELECT 1")
    loop.hold(direct)
    WAYS[way](writer, WRITES[what])
    assert direct.value("SELECT DISTINCT title FROM novel") == "new", "the case is none"
    assert loop.next() == "new"


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("what", CLEAN)
def test_nothing_is_dropped(usual, shared, opened, what, way):
    loop, writer = Loop(opened(shared, USUAL)), opened(shared, USUAL)
    loop.hold(usual)
    WAYS[way](writer, CLEAN[what])
    usual.sql("UPDATE novel SET title = 'new'")  # past pgfold
    is_held(loop.next(), "old", "new")


@pytest.mark.parametrize("end", ["COMMIT", "COMMIT AND CHAIN", "END"])
def test_commit_and_flush(direct, shared, opened, end):
    """It is acknowledged, and the Sync comes later."""
    loop, writer = Loop(opened(shared)), opened(shared, user="postgres")
    loop.hold(direct)
    writer.sql("BEGIN")
    writer.sql("UPDATE novel SET title = 'new'")
    loop = Loop(loop.c)
    assert [loop.next() for _ in range(10)] == ["old"] * 10  # rows of before the commit
    writer.send(parse(end), bind(), execute(), FLUSH).until("C")
    assert loop.next() == "new"
    writer.ask(SYNC)
    writer.ask(query("ROLLBACK"))


def test_a_procedure_that_commits(direct, shared, opened):
    direct.sql("CREATE OR REPLACE PROCEDURE committing() LANGUAGE plpgsql AS 'BEGIN UPDATE novel SET title = ''new''; COMMIT; END'")
    loop, writer = Loop(opened(shared)), opened(shared, user="postgres")
    loop.hold(direct)
    writer.send(parse("CALL committing()"), bind(), execute(), FLUSH).until("C")
    assert loop.next() == "new"
    writer.ask(SYNC)


@pytest.mark.parametrize("sql", ["INSERT INTO other (e) VALUES ($1::text)", "SELECT $1 = 5", "SELECT id FROM plain WHERE id = $1"])
@pytest.mark.parametrize("declared", ["d_check", "d_over", "d_check[]", "pair"])
def test_a_parameter_declared_as_a_domain(direct, shared, opened, sql, declared):
    """No word of the statement names the type."""
    if declared in ("d_check[]", "pair") and "id = $1" not in sql:
        sql = sql.replace("$1 = 5", "$1::text").replace("WHERE", "")
    loop, writer = Loop(opened(shared)), opened(shared, user="postgres")
    oid = int(direct.value("SELECT '%s'::regtype::oid::int" % declared))
    value = {"d_check[]": "{1}", "pair": "(1,1)"}.get(declared, "1")
    if "id = $1" in sql and declared in ("d_check[]", "pair"):
        sql = "SELECT id FROM plain WHERE id::text = $1::text"
    for _ in range(2):
        direct.sql("UPDATE novel SET title = 'old'")
        loop = Loop(loop.c)
        loop.hold(direct)
        checked(writer.ask(parse(sql, "", [oid]), bind([value]), execute(), SYNC))
        assert direct.value("SELECT DISTINCT title FROM novel") == "new", "the case is none"
        assert loop.next() == "new"


LEAVING = {
    "reset": lambda c: c.reset(),
    "close": lambda c: c.close(),
    "terminate": lambda c: (c.send(proto.msg("X")), c.close()),
}


@pytest.mark.parametrize("how", LEAVING)
@pytest.mark.parametrize("sent", ["UPDATE novel SET title = 'new'", "COMMIT"])
def test_a_writer_that_leaves_before_its_answer(direct, hidden, shared, opened, how, sent):
    """The server goes on, and commits. Nothing says when but its answer."""
    loop, writer, other = Loop(opened(shared)), shared.connect(database=DATABASE, user="postgres"), opened(hidden)
    direct.sql("BEGIN")
    direct.sql("SELECT * FROM novel FOR UPDATE")
    if sent == "COMMIT":
        writer.ask(query("BEGIN"))
        writer.send(query("UPDATE novel SET title = 'new'"))
    writer.send(query(sent))
    servers.wait_for(lambda: other.value("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", "the writer to wait")
    LEAVING[how](writer)
    assert [loop.next() for _ in range(10)] == ["old"] * 10
    direct.sql("COMMIT")
    servers.wait_for(lambda: other.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % writer.pid) == "0", "its backend to end")
    now = other.value("SELECT DISTINCT title FROM novel")
    assert now == "new" or sent == "COMMIT", "the case is none"
    assert loop.next() == now


MADE = {
    "a trigger": ["CREATE TRIGGER made AFTER UPDATE ON plain FOR EACH ROW EXECUTE FUNCTION tg()", "DROP TRIGGER made ON plain"],
    "a check": ["ALTER TABLE plain ADD CONSTRAINT made CHECK (wi(id) > 0) NOT VALID", "ALTER TABLE plain DROP CONSTRAINT made"],
    "a policy": ["CREATE POLICY made ON plain USING (wi(id) > 0)", "DROP POLICY made ON plain"],
}


@pytest.mark.parametrize("how", ["through pgfold", "in a DO", "past it"])
@pytest.mark.parametrize("what", MADE)
def test_what_is_made_later(direct, shared, opened, what, how):
    """Past pgfold it is seen when something is asked of the catalogue anyway: a new shape is vetted, say."""
    make, undo = MADE[what]
    loop, writer = Loop(opened(shared)), opened(shared, user="app" if what == "a policy" else "postgres")
    maker = direct if how == "past it" else opened(shared, user="postgres")
    maker.sql("DO $do$BEGIN EXECUTE '%s'; END$do$" % make if how == "in a DO" else make)
    direct.sql("ALTER TABLE plain %s ROW LEVEL SECURITY" % ("ENABLE" if what == "a policy" else "DISABLE"))
    try:
        asker = opened(shared, user="postgres")
        for _ in range(2):  # its facts are asked for once a second at most
            time.sleep(1.1)
            Loop(asker).hold(direct)
        direct.sql("UPDATE novel SET title = 'old'")
        loop = Loop(loop.c).hold(direct)
        writer.sql("UPDATE plain SET n = 5 WHERE id = 3")
        assert direct.value("SELECT DISTINCT title FROM novel") == "new", "the case is none"
        assert loop.next() == "new"
    finally:
        direct.sql(undo)
        direct.sql("ALTER TABLE plain DISABLE ROW LEVEL SECURITY")
