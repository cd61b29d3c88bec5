# SPDX-License-Identifier: PostgreSQL
"""Looks for rows that reach a session that may not see them, and for any other answer that is not PostgreSQL's.

Many sessions go through pgfold; each has a twin that is connected to PostgreSQL itself and sends the same bytes. Between
bursts of lookups, which pgfold would like to fold, sessions change what they are and what they see in every way that we know of:
roles, settings, search paths, temporary tables, transactions, log-ins; and the database and the server's configuration change under all
of them while nobody has anything under way: roles change their names, too. Every row says who may see it; every reply, error or row,
must be the twin's byte for byte.

    python3 leak.py --seed N --seconds S --sessions K [--storm] [--binary build/pgfold]

--storm: definitions change while lookups are under way, so that there is no twin: the answer before the change or the one behind it,
and never another tenant's row.

starts its own PostgreSQL. A failure prints the seed, the turn and the whole history of the session.
"""
import argparse
import contextlib
import os
import random
import re
import signal
import struct
import sys
import time

import proto
import servers
from proto import Message, bind, describe, execute, parse, query, unit

DATABASE = "leak"
SETTINGS_OF_PGFOLD = {"batching.never_slower": "off"}
KEYS, EPOCH = 12, 24
STORM_DATABASE, STORM_ROLES = "storm", ["storm_a", "storm_b", "storm_c", "storm_group"]
SETUP = """
CREATE SCHEMA s1; CREATE SCHEMA s2;
CREATE TABLE s1.place (id int PRIMARY KEY, body text); CREATE TABLE s2.place (id int PRIMARY KEY, body text);
INSERT INTO s1.place SELECT i, 's1 place ' || i FROM generate_series(1, 12) i; INSERT INTO s2.place SELECT i, 's2 place ' || i FROM generate_series(1, 12) i;
CREATE TABLE s1.part (id int PRIMARY KEY, place_id int, body text); CREATE TABLE s2.part (id bigint PRIMARY KEY, place_id int, body varchar(40));
INSERT INTO s1.part SELECT i, i % 12 + 1, 's1 part ' || i FROM generate_series(1, 36) i; INSERT INTO s2.part SELECT i, i % 12 + 1, 's2 part ' || i FROM generate_series(1, 36) i;
CREATE TABLE doc (id int PRIMARY KEY, owner text, tenant text, body text);
INSERT INTO doc SELECT i, CASE i % 3 WHEN 0 THEN 'leak_a' WHEN 1 THEN 'leak_b' ELSE 'leak_group' END, 't' || i % 3, 'doc ' || i FROM generate_series(1, 12) i;
UPDATE doc SET body = 'of ' || owner || ' and ' || tenant || ': ' || id;
ALTER TABLE doc ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON doc USING (owner = current_user OR tenant = current_setting('app.tenant', true));
CREATE TABLE of_a (id int PRIMARY KEY, body text); INSERT INTO of_a SELECT i, 'for leak_a ' || i FROM generate_series(1, 12) i;
CREATE TABLE of_group (id int PRIMARY KEY, body text); INSERT INTO of_group SELECT i, 'for leak_group ' || i FROM generate_series(1, 12) i;
CREATE TABLE fact (id int PRIMARY KEY, at timestamptz, d date, f float8, b bytea, iv interval, t text, n int);
INSERT INTO fact SELECT i, '2024-03-01 12:00+00'::timestamptz + i * interval '1 hour', '2024-01-01'::date + i, i / 3.0::float8, decode(md5(i::text), 'hex'),
  i * interval '1 day 2 hours', 'gr\u00fc\u00df ' || i, 0 FROM generate_series(1, 12) i;
CREATE TABLE moving (id int PRIMARY KEY, body text); INSERT INTO moving SELECT i, 'moving ' || i FROM generate_series(1, 12) i;
CREATE VIEW invoker WITH (security_invoker) AS SELECT id, body FROM doc;
CREATE VIEW definer AS SELECT id, body || ' seen by ' || current_user AS body FROM of_a;
CREATE TABLE trap (n int); CREATE FUNCTION spring() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''search_path'', ''s'' || NEW.n, false); RETURN NULL; END';
CREATE TRIGGER spring BEFORE INSERT ON trap FOR EACH ROW EXECUTE FUNCTION spring();
CREATE FUNCTION sneak(text) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN PERFORM set_config(''search_path'', $1, false); RETURN 1; END';
CREATE FUNCTION sneak_stable(text) RETURNS int LANGUAGE plpgsql STABLE AS 'BEGIN PERFORM set_config(''app.tenant'', $1, false); RETURN 1; END';
CREATE FUNCTION sneak_local(text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS 'BEGIN PERFORM set_config(''search_path'', $1, true); RETURN 1; END';
CREATE FUNCTION sneak_role(text) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN EXECUTE ''SET ROLE '' || $1; RETURN 1; END';
CREATE FUNCTION with_set() RETURNS int LANGUAGE plpgsql SET search_path = s2 AS 'BEGIN PERFORM set_config(''app.tenant'', ''t2'', false); RETURN 1; END';
CREATE FUNCTION sneak_temp() RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN CREATE TEMP TABLE IF NOT EXISTS place AS SELECT id, ''temp place '' || id AS body FROM s1.place; RETURN 1; END';
CREATE PROCEDURE call_it(text) LANGUAGE plpgsql AS 'BEGIN PERFORM set_config(''search_path'', $1, false); END';
CREATE FUNCTION run_it(text) RETURNS int LANGUAGE plpgsql VOLATILE AS 'BEGIN EXECUTE $1; RETURN 1; END';
CREATE TABLE s1.peek AS SELECT id, body FROM s1.place; CREATE VIEW s2.peek AS SELECT id, body FROM s2.place WHERE public.sneak('s1, public') = 1;
GRANT USAGE ON SCHEMA s1, s2 TO PUBLIC; GRANT SELECT ON ALL TABLES IN SCHEMA s1, s2 TO PUBLIC; GRANT SELECT ON doc, fact, moving, invoker, definer TO PUBLIC;
GRANT INSERT ON trap TO PUBLIC; GRANT SELECT ON of_a TO leak_a; GRANT SELECT ON of_group TO leak_group; GRANT CREATE ON SCHEMA public TO PUBLIC
"""
ROLES = ["leak_a", "leak_b", "leak_group", "leak_c"]
# Values of the configuration, the first one when it begins. The path of a role or database may be what the configuration says by
# chance, and no more when it is read anew: only a batch that knows when its lender has read it can tell.
STAMPED = True  # batches know that, and whether what they read is what was vetted
CONFIGURATION = [("search_path", ["s1, public", "s2, public"] if STAMPED else ["s1, public"]), ("bytea_output", ["hex", "escape"]), ("DateStyle", ["'ISO, MDY'", "'German'"]),
                 ("TimeZone", ["'UTC'", "'Asia/Tokyo'"]), ("extra_float_digits", ["1", "-5"])]

# What sessions ask, {k} being the key. The same words mean different rows for different sessions. Half of all are of the first ones.
N_COMMON = 13
COMPUTED = "SELECT body || ' ' AS b FROM place WHERE id = {k}"  # whose column names no table
LOOKUPS = [
    COMPUTED,
    "SELECT id, body FROM place WHERE id = {k}", "SELECT body FROM place WHERE id = {k}", "SELECT * FROM part WHERE id = {k}", "SELECT id, at, d, f, b, iv FROM fact WHERE id = {k}", "SELECT t, n FROM fact WHERE id = {k}",
    "SELECT * FROM moving WHERE id = {k}", "SELECT body FROM moving WHERE id = {k}", "SELECT body FROM of_a WHERE id = {k}", "SELECT body FROM of_group WHERE id = {k}",
    "SELECT id, body FROM part WHERE place_id = {k} ORDER BY id", "SELECT count(*) FROM part WHERE place_id = {k}",
    "SELECT p.body, q.body FROM place p JOIN part q ON q.place_id = p.id WHERE p.id = {k} ORDER BY q.id",
    "SELECT EXISTS (SELECT 1 FROM part WHERE place_id = {k})", "SELECT id FROM part WHERE place_id = {k} ORDER BY id DESC LIMIT 1",
    "SELECT body FROM s1.place WHERE id = {k}", "SELECT id, body FROM doc WHERE id = {k}", "SELECT d.body FROM doc d JOIN place p ON p.id = d.id WHERE p.id = {k}",
    "SELECT id, body FROM invoker WHERE id = {k}",
    "SELECT id, body FROM definer WHERE id = {k}", "SELECT at::text, f::text, d::text FROM fact WHERE id = {k}",
    "SELECT id, body, 'x\\y' AS s FROM place WHERE id = {k}", "WITH p AS (SELECT * FROM place WHERE id = {k}) SELECT body FROM p",
    "SELECT id, body FROM fact_or_place WHERE id = {k}", "SELECT id FROM fact WHERE at = '2024-03-01 13:00'::timestamptz AND id = {k}",
    "SELECT body FROM place WHERE body = 's1 place {k}'", "SELECT t FROM fact WHERE d = '02/01/2024' AND id = {k}", "SELECT body FROM peek WHERE id = {k}",
]
SETTINGS = ["search_path = s1", "search_path = s2", "search_path = s2, s1, public", "search_path TO DEFAULT", "search_path = s1, public", "app.tenant = 't1'", "app.tenant = 't2'",
            "app.tenant TO ''", "DateStyle = 'German'", "DateStyle = 'SQL, DMY'", "TimeZone = 'Asia/Tokyo'", "TIME ZONE 'America/New_York'", "TIME ZONE INTERVAL '3' HOUR TO MINUTE",
            "extra_float_digits = 0", "extra_float_digits = -3", "bytea_output = escape", "IntervalStyle = iso_8601", "client_encoding = 'LATIN1'", "NAMES 'UTF8'",
            "standard_conforming_strings = off", "standard_conforming_strings = on", "backslash_quote = off", "row_security = off", "row_security = on", "statement_timeout = '1h'",
            "enable_seqscan = off", "default_transaction_isolation = 'repeatable read'", "default_transaction_read_only = on", "default_transaction_read_only = off",
            "search_path = nowhere", "no_such_setting = 1", "TimeZone = 'Nowhere/Land'", "ROLE leak_group", "ROLE leak_b", "ROLE NONE", "ROLE leak_forbidden", "ROLE 'leak_group'",
            "SESSION AUTHORIZATION leak_a", "SESSION AUTHORIZATION leak_b", "SESSION AUTHORIZATION DEFAULT", "SCHEMA 's2'", "SESSION search_path = s2", "application_name = 'z'",
            "plan_cache_mode = force_generic_plan", "transform_null_equals = on", "lc_numeric = 'C'", "xmlbinary = hex", "work_mem = '1MB'", "jit = off"]
FAMILIES = [[s for s in SETTINGS if re.match(f, s)] for f in ("search_path", "search_path|SCHEMA", "app.tenant", "DateStyle|TimeZone|TIME", "ROLE", "SESSION AUTH|ROLE",
                                                             "extra_float|bytea|Interval", "client_enc|NAMES|standard", "search_path|TimeZone")]
OTHER_CHANGES = [
    "RESET ALL", "RESET ROLE", "RESET search_path", "RESET SESSION AUTHORIZATION", "RESET app.tenant", "RESET TimeZone", "DISCARD ALL", "DISCARD ALL", "DISCARD PLANS", "DISCARD TEMP",
    "SELECT set_config('search_path', 's2', false)", "SELECT set_config('search_path', 's1', true)", "SELECT pg_catalog.set_config('app.tenant', 't2', false)",
    "SELECT id, set_config('search_path', 's2', false) FROM s1.place WHERE id = 3", "SELECT id FROM s1.place WHERE set_config('app.tenant', 't1', false) = 't1' AND id = 1",
    "SELECT set_config(name, 's2', false) FROM (VALUES ('search_path')) v(name)", "SELECT public.sneak('s2')", "SELECT public.sneak('s1, public')", "SELECT public.sneak_stable('t1')",
    "SELECT public.sneak_local('s2')", "SELECT public.sneak_role('leak_group')", "SELECT public.sneak_role('none')", "SELECT public.with_set()", "SELECT public.sneak_temp()",
    "SELECT * FROM public.sneak('s2') AS f(n)", "SELECT body FROM s1.place WHERE id = public.sneak('s2')", "INSERT INTO public.trap VALUES (2)", "INSERT INTO public.trap VALUES (1)",
    "DO $$ BEGIN PERFORM set_config('search_path', 's2', false); END $$", "DO $$ BEGIN SET ROLE leak_group; END $$", "DO 'BEGIN RESET ROLE; END'", "CALL public.call_it('s2')",
    "CALL public.call_it('s1, public')", "/* comment */ SET search_path = s2", "-- comment\nSET app.tenant = 't2'", "/* /* nested */ */ SET ROLE leak_group", "  ;SET search_path = s2",
    "SET search_path = s2; SET app.tenant = 't1'", "SET search_path = s2; SELECT 1/0", "SELECT 1; SET ROLE leak_group", "set Search_Path to S2", 'SET "search_path" = "s2"',
    "SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL READ COMMITTED", "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY", "SET LOCAL search_path = s2",
    "CREATE TEMP TABLE place AS SELECT id, 'temp place ' || id AS body FROM s1.place", "CREATE TEMP VIEW place AS SELECT id, 'temp view ' || id AS body FROM s2.place",
    "CREATE TEMP TABLE fact_or_place AS SELECT id, 'temp ' || id AS body FROM s1.place", "DROP TABLE IF EXISTS pg_temp.place", "DROP VIEW IF EXISTS pg_temp.place",
    "CREATE TABLE pg_temp.moving AS SELECT id, 'temp moving ' || id AS body FROM s1.place", "SELECT id, 'into ' || body AS body INTO TEMP part FROM s1.place",
    "PREPARE sp AS SELECT set_config('search_path', 's2', false)", "EXECUTE sp", "DEALLOCATE ALL", "DEALLOCATE sp", "PREPARE q (int) AS SELECT body FROM place WHERE id = $1",
    "EXECUTE q(3)", "EXECUTE q(4)", "LISTEN x", "UNLISTEN *", "LOAD 'auto_explain'", "EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) SELECT 1 WHERE public.sneak('s2') = 0", "SHOW search_path", "SELECT current_schemas(true)",
    "SELECT current_user, session_user", "COPY (SELECT public.sneak('s2')) TO STDOUT", "VALUES (public.sneak('s1'))", "SELECT pg_advisory_unlock_all()", "SELECT 1/0", "SELEC 1",
    "DECLARE c CURSOR WITH HOLD FOR SELECT public.sneak('s2')", "FETCH ALL FROM c", "CLOSE c", "SELECT count(*) FROM pg_catalog.pg_class WHERE relname = 'place'",
    "SELECT count(*) FROM peek", "SELECT count(*) FROM peek", "SELECT public.run_it('SET search_path = s2')", "SELECT public.run_it('SET search_path = s1, public')", "SELECT public.run_it('RESET ALL')",
    "SELECT public.run_it('SET app.tenant = ''t1''')", "SELECT public.run_it('SET ROLE leak_group')", "SELECT public.run_it('SET bytea_output = hex')", "SELECT public.run_it('SET TimeZone = ''UTC''')",
    "SELECT public.run_it('SET SESSION AUTHORIZATION DEFAULT')", "DO $$ BEGIN EXECUTE 'SET search_path = s2'; END $$", "DO $$ BEGIN EXECUTE 'SET DateStyle = ''ISO, MDY'''; END $$",
    "SET ROLE leak_c", "SET SESSION AUTHORIZATION leak_c", "CREATE TEMP TABLE unrelated (id int)", "SELECT nextval('pg_temp.nothing')", "ANALYZE trap",
]
TRANSACTIONS = ["BEGIN", "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ", "START TRANSACTION READ ONLY", "BEGIN ISOLATION LEVEL SERIALIZABLE", "COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK", "SAVEPOINT a",
                "SAVEPOINT b", "ROLLBACK TO a", "RELEASE a", "ROLLBACK TO b", "COMMIT AND CHAIN", "ROLLBACK AND CHAIN", "END", "ABORT", "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
                "SET LOCAL search_path = s2", "SET LOCAL ROLE leak_group", "SET LOCAL app.tenant = 't2'", "SET LOCAL TimeZone = 'Asia/Tokyo'"]



def swapped(a, b):
    return "ALTER ROLE {0} RENAME TO leak_swap; ALTER ROLE {1} RENAME TO {0}; ALTER ROLE leak_swap RENAME TO {1}".format(a, b)


# What the database does to everybody, while nobody has anything under way.
GLOBAL_CHANGES = [
    swapped("leak_a", "leak_b"), swapped("leak_a", "leak_group"), swapped("leak_b", "leak_c"), swapped("leak_c", "leak_group"), swapped("leak_a", "leak_c"),
    "DROP OWNED BY leak_c; DROP ROLE leak_c; CREATE ROLE leak_c LOGIN; GRANT leak_c TO leak_super", "GRANT SELECT ON of_a TO leak_c", "REVOKE SELECT ON of_a FROM leak_c",
    "UPDATE fact SET n = n + 1, t = 'changed ' || n || ' ' || id", "UPDATE s1.place SET body = body || '.' WHERE length(body) < 200", "UPDATE of_a SET body = body || '!' WHERE length(body) < 200",
    "ALTER ROLE leak_a SET search_path = s2", "ALTER ROLE leak_a SET search_path = s1, public", "ALTER ROLE leak_a RESET ALL", "ALTER ROLE leak_b IN DATABASE leak SET app.tenant = 't1'",
    "ALTER ROLE leak_b IN DATABASE leak RESET ALL", "ALTER DATABASE leak SET app.tenant = 't2'", "ALTER DATABASE leak RESET app.tenant", "ALTER ROLE leak_b SET role = leak_group",
    "ALTER ROLE leak_b RESET role", "REVOKE SELECT ON s2.place FROM PUBLIC", "GRANT SELECT ON s2.place TO PUBLIC", "REVOKE SELECT ON s1.part FROM PUBLIC", "GRANT SELECT ON s1.part TO PUBLIC",
    "GRANT SELECT ON of_a TO leak_b", "REVOKE SELECT ON of_a FROM leak_b", "REVOKE USAGE ON SCHEMA s2 FROM PUBLIC", "GRANT USAGE ON SCHEMA s2 TO PUBLIC", "GRANT leak_group TO leak_a",
    "REVOKE leak_group FROM leak_a", "GRANT SELECT (id) ON of_group TO leak_b", "REVOKE SELECT (id) ON of_group FROM leak_b",
    "DROP POLICY own ON doc; CREATE POLICY own ON doc USING (tenant = current_setting('app.tenant', true))", "DROP POLICY own ON doc; CREATE POLICY own ON doc USING (owner = current_user)",
    "DROP POLICY own ON doc; CREATE POLICY own ON doc USING (owner = session_user OR tenant = current_setting('app.tenant', true))", "ALTER TABLE fact ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE fact DISABLE ROW LEVEL SECURITY", "CREATE POLICY odd ON fact USING (id % 2 = CASE WHEN current_user = 'leak_a' THEN 0 ELSE 1 END)", "DROP POLICY IF EXISTS odd ON fact",
    "ALTER TABLE s1.place ENABLE ROW LEVEL SECURITY; DROP POLICY IF EXISTS p ON s1.place; CREATE POLICY p ON s1.place USING (id % 2 = 0 OR current_user <> 'leak_b')",
    "ALTER TABLE s1.place DISABLE ROW LEVEL SECURITY", "CREATE TABLE s1.moving AS SELECT id, 's1 moving ' || id AS body FROM s1.place; GRANT SELECT ON s1.moving TO PUBLIC", "DROP TABLE IF EXISTS s1.moving",
    "DROP TABLE IF EXISTS moving; DROP VIEW IF EXISTS moving; CREATE TABLE moving (id int PRIMARY KEY, body text); GRANT SELECT ON moving TO PUBLIC; "
    "INSERT INTO moving SELECT i, 'moved ' || i FROM generate_series(1, 12) i",
    "ALTER TABLE moving RENAME TO moved; CREATE VIEW moving AS SELECT id, 'view for ' || current_user AS body FROM moved; GRANT SELECT ON moving TO PUBLIC",
    "DROP VIEW moving; ALTER TABLE moved RENAME TO moving", "ALTER TABLE moving RENAME COLUMN body TO text", "ALTER TABLE moving RENAME COLUMN text TO body", "ALTER TABLE moving ADD extra int DEFAULT 7",
    "ALTER TABLE moving DROP extra", "ALTER TABLE moving ALTER id TYPE bigint", "ALTER TABLE moving ALTER id TYPE int", "ALTER TABLE moving ALTER body TYPE varchar(80)", "ALTER TABLE moving ALTER body TYPE text",
    "ALTER TABLE moving DROP CONSTRAINT moving_pkey; INSERT INTO moving (id) VALUES (3), (3)", "DELETE FROM moving WHERE body IS NULL; ALTER TABLE moving ADD CONSTRAINT moving_pkey PRIMARY KEY (id)",
    "CREATE TABLE fact_or_place AS SELECT id, 'public ' || id AS body FROM s1.place; GRANT SELECT ON fact_or_place TO PUBLIC", "DROP TABLE IF EXISTS fact_or_place",
    "CREATE VIEW fact_or_place AS SELECT id, current_user || ' ' || id AS body FROM s1.place; GRANT SELECT ON fact_or_place TO PUBLIC", "DROP VIEW IF EXISTS fact_or_place",
    "CREATE OR REPLACE VIEW definer AS SELECT id, body || ' shown to ' || current_user AS body FROM of_a", "ALTER VIEW invoker RESET (security_invoker)", "ALTER VIEW invoker SET (security_invoker)",
]


def make_database(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        for role in ROLES + ["leak_forbidden"]:
            c.sql("CREATE ROLE %s LOGIN" % role)
        c.sql("CREATE ROLE leak_super LOGIN SUPERUSER")
        c.sql("GRANT leak_group TO leak_a")
        c.sql("GRANT leak_a, leak_b, leak_c TO leak_super")
        c.sql("CREATE DATABASE %s" % DATABASE)
    with pg.admin(DATABASE) as c:
        for statement in SETUP.replace("\\u00fc", "\u00fc").replace("\\u00df", "\u00df").split(";\n"):
            c.sql(statement)
    with pg.connect(servers.SUPERUSER, "postgres") as c:  # the storm's roles and settings are its own: the others swap theirs
        for role in STORM_ROLES:
            c.sql("CREATE ROLE %s LOGIN" % role)
        c.sql("GRANT storm_group TO storm_a")
        c.sql("CREATE DATABASE %s TEMPLATE %s" % (STORM_DATABASE, DATABASE))


class Failure(AssertionError):
    pass


def mask(messages, temporary, told):
    """Table oids of temporary tables differ between the twins, and with them the messages that name their schema's number. `told`: when
    a process of the server tells of a new configuration depends on when it was spoken to."""
    out = []
    for m in messages:
        if told and m.type == "S" and m.body.startswith((b"DateStyle", b"TimeZone")):
            continue
        if temporary and m.type == "T":
            m = Message("T", columns_without_tables(m.body))
        elif m.type in "EN":
            m = Message(m.type, re.sub(rb"pg_temp_\d+", b"pg_temp", m.body))
        elif temporary and m.type == "D":
            m = Message("D", re.sub(rb"....pg_temp_\d+", b"pg_temp", m.body, flags=re.S))
        out.append(m)
    return out


def columns_without_tables(body):
    n, at, out = struct.unpack_from("!H", body)[0], 2, []
    for _ in range(n):
        end = body.index(b"\0", at) + 1
        out.append(body[at:end] + body[end + 6:end + 18])
        at = end + 18
    return b"".join(out)


class Session:
    """A connection through pgfold and its twin; what is sent to one is sent to the other."""

    def __init__(self, world, number):
        self.world, self.rng, self.number, self.history, self.pending = world, world.rng, number, [], 0
        self.ends = None
        self.log_in()

    def log_in(self, alike=False):
        rng = self.rng
        user = rng.choice(["leak_a", "leak_a", "leak_a", "leak_b", "leak_b", "leak_super"] if rng.random() < 0.9 else ["leak_group", "leak_c"])
        more = {} if rng.random() < 0.75 else rng.choice([
            {"search_path": "s2"}, {"search_path": "s2"}, {"options": "-c search_path=s2"}, {"options": "-c app.tenant=t1"}, {"application_name": "x"}, {"TimeZone": "Asia/Tokyo"},
            {"client_encoding": "LATIN1"}, {"options": "-c role=leak_group"}, {"DateStyle": "German"}])
        if alike:
            user, more = "leak_a", {}
        self.close()
        self.history = ["-- log in as %s %r" % (user, more)]
        self.temporary = self.prepared = self.changed = self.told = False
        opened = []
        for end in (self.world.proxy, self.world.pg):
            c = end.dial(timeout=60)
            got = c.login(user, DATABASE, **more)
            opened.append((c, proto.mask(got)))
        self.ends = [c for c, _ in opened]
        self.compare("log-in", opened[0][1], opened[1][1])
        if opened[0][1][-1].type != "Z":  # refused by both, as when a default role was taken away
            self.log_in()

    def close(self):
        for c in self.ends or []:
            c.close()
        self.ends = None

    def send(self, data, count, text):
        self.history.append(text)
        for c in self.ends:
            c.send(data)
        self.pending += count

    def receive(self):
        if not self.pending:
            return
        n, self.pending = self.pending, 0
        try:
            got = self.ends[0].ready(n)
        except (OSError, proto.Closed) as e:
            raise Failure(self.report("no reply: %r" % e))
        self.compare("reply", got, self.ends[1].ready(n))

    def compare(self, what, got, want):
        got, want = [mask(m, self.temporary, self.told) for m in (got, want)]
        if got != want:
            i = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
            raise Failure(self.report("%s differs at message %d\n  pgfold:     %r\n  PostgreSQL: %r\n  before: %r" % (
                what, i, got[i:i + 3], want[i:i + 3], got[max(0, i - 4):i])))

    def report(self, what):
        return "seed %d, turn %d, session %d: %s\nhistory of the session:\n  %s\nchanges of the database:\n  %s" % (
            self.world.seed, self.world.turn, self.number, what, "\n  ".join(self.history), "\n  ".join(self.world.history[-30:]))

    # -- what it sends

    def lookup(self, sql, framing):
        """`framing`: how this turn's lookups are sent; most sessions of an application send alike."""
        k, rng = self.rng.randint(0, KEYS + 1), self.rng
        kind, types, fmt, results = framing if rng.random() < 0.85 else a_framing(rng)
        if kind == "simple" or "'s1 place" in sql or "\\" in sql:
            self.send(query(sql.format(k=k)), 1, sql.format(k=k))
        elif kind == "unnamed":
            value = struct.pack("!i", k) if fmt else k
            self.send(unit(sql.format(k="$1"), [value], types, fmt, results, want_describe=rng.random() < 0.97), 1, "P B D E %s [%d]" % (sql, k))
        else:
            name = "n%d" % LOOKUPS.index(sql)
            self.prepare(sql, kind)
            self.send(bind([k], name) + (describe("P") if kind == "described" else b"") + execute() + proto.SYNC, 1, "B E %s [%d]" % (name, k))

    def prepare(self, sql, kind):
        name = "n%d" % LOOKUPS.index(sql)
        if kind in ("named", "described") and name not in (self.prepared or ()):
            self.send(parse(sql.format(k="$1"), name) + describe("S", name) + proto.SYNC, 1, "P %s: %s" % (name, sql))
            self.prepared = (self.prepared or set()) | {name}

    def statement(self, sql):
        if re.search(r"TEMP|pg_temp|DISCARD|sneak_temp", sql):
            self.temporary = True
        if re.search(r"DEALLOCATE ALL|DISCARD ALL", sql):
            self.prepared = False
        if self.rng.random() < 0.75 or ";" in sql:
            self.send(query(sql), 1, sql)
        else:
            self.send(unit(sql, []), 1, "P B D E " + sql)

    def change(self, statements):
        self.changed = True
        for sql in statements:
            if isinstance(sql, list):  # values as parameters
                self.send(unit("SELECT set_config($1, $2, $3)", sql), 1, "set_config by parameters %r" % sql)
            elif isinstance(sql, tuple):
                self.send(b"".join(parse(s) + bind() + describe() + execute() for s in sql) + proto.SYNC, 1, "in one unit: %s" % "; ".join(sql))
            else:
                self.statement(sql)


def a_framing(rng):
    return rng.choice([("simple", (), (), ()), ("simple", (), (), ()), ("unnamed", (), (), ()), ("unnamed", (), (), (1,)), ("unnamed", (23,), (1,), (1,)),
                       ("unnamed", (23,), (), ()), ("described", (), (), ()), ("named", (), (), ())])


def a_change(rng, gentle):
    """Statements that one session sends, one after the other. A gentle one leaves definitions alone, as far as pgfold can tell: behind
    others it asks the catalogue anew about every shape, so that little is folded."""
    kind = rng.random() * (0.45 if gentle and rng.random() < 0.8 else 1)
    if gentle and kind >= 0.45:
        kind = 0.65 + rng.random() * 0.35
    if kind < 0.45:
        return [rng.choice(["SET ", "SET ", "SET ", "SET ", "SET LOCAL ", "set  "]) + rng.choice(SETTINGS)]
    if kind < 0.65:
        return [rng.choice(OTHER_CHANGES)]
    if kind < 0.8:
        return [rng.choice(TRANSACTIONS)]
    if kind < 0.85:
        return [rng.choice([["search_path", "s2", "f"], ["app.tenant", "t1", "t"], ["role", "leak_group", "f"], ["app.tenant", "t1", "f"], ["app.tenant", "t2", "f"], ["search_path", "s1, public", "f"],
                            ["DateStyle", "ISO, MDY", "f"], ["search_path", "s2", "t"]])]
    return rng.choice([["BEGIN", "SET search_path = s2", "ROLLBACK"], ["BEGIN", "SAVEPOINT a", "SET ROLE leak_group", "ROLLBACK TO a", "COMMIT"],
                       ["BEGIN", "SET LOCAL search_path = s2", "COMMIT"], ["BEGIN", "SET app.tenant = 't1'", "COMMIT"], ["SET ROLE leak_forbidden", "SET search_path = s2"],
                       ["BEGIN", "SET search_path = s2", "SELECT 1/0", "COMMIT"], ["BEGIN", "SET TimeZone = 'Asia/Tokyo'", "SAVEPOINT a", "ROLLBACK TO a", "COMMIT"],
                       ["BEGIN", "SET LOCAL ROLE leak_group"], ["BEGIN", "SET search_path = s2"], ["BEGIN", "SELECT 1/0"],
                       ["SET search_path = s2", "SELECT count(*) FROM peek"], [("SET search_path = s2", "SELECT count(*) FROM peek")], ["RESET search_path", "SELECT count(*) FROM peek"],
                       ["BEGIN", "SET LOCAL search_path = s2", "SELECT count(*) FROM peek", "COMMIT"], [("SET ROLE leak_group", "SELECT public.sneak('s2')")],
                       ["DISCARD ALL", "SELECT count(*) FROM peek"], [("RESET ALL", "SELECT count(*) FROM peek")]])


class World:
    def __init__(self, pg, proxy, seed, sessions):
        self.pg, self.proxy, self.seed, self.rng, self.turn, self.history = pg, proxy, seed, random.Random(seed), 0, []
        self.admin = pg.admin(DATABASE)
        self.admin.sql("SET lock_timeout = '50ms'")
        self.admin.sql("SET search_path = s1, public")
        self.sessions, self.configuration = [], {}
        for name, values in CONFIGURATION:
            self.configure(name, values[0])
        self.tell()
        self.sessions = [Session(self, i) for i in range(sessions)]

    def close(self):
        for s in self.sessions:
            s.close()
        for name, _ in CONFIGURATION:
            self.configure(name, None)
        self.tell()
        self.admin.close()

    def configure(self, name, value):
        self.admin.sql("ALTER SYSTEM SET %s = %s" % (name, value) if value else "ALTER SYSTEM RESET %s" % name)
        self.configuration[name] = value
        self.history.append("turn %d: the configuration gets %s = %s" % (self.turn, name, value))

    def tell(self):
        """The configuration is read anew; every process of the server has been told when this returns."""
        when = "SELECT extract(epoch FROM pg_conf_load_time())"
        with self.pg.admin(DATABASE) as c:
            before = float(c.value(when))
            c.sql("SELECT pg_reload_conf()")

        def is_read():  # the first process takes new connections when it has told the others
            with self.pg.admin(DATABASE) as c:
                return float(c.value(when)) > before
        servers.wait_for(is_read, "the configuration")
        for s in self.sessions:
            s.told = True

    def change_configuration(self, name=None):
        """To another value, if it has one, when the name is given."""
        name, values = self.rng.choice([c for c in CONFIGURATION if name in (None, c[0])])
        now = self.configuration[name]
        self.configure(name, self.rng.choice([v for v in values if v != now or len(values) == 1]))
        self.tell()

    def begin_theme(self):
        """Roles that will swap their names, with sessions of before and behind; or sessions of which half have been given what the others
        have by default, which will be something else."""
        rng, self.quiet = self.rng, 14
        if self.theme == "roles":
            self.lookups = ["SELECT body FROM of_a WHERE id = {k}", "SELECT body FROM of_group WHERE id = {k}"]
            for s in self.sessions:
                s.log_in(True)
            return
        self.lookups = ["SELECT id, at, d, f, b, iv FROM fact WHERE id = {k}", COMPUTED]
        self.changing = rng.choice([name for name, values in CONFIGURATION if len(values) > 1])
        for i, s in enumerate(self.sessions):
            s.log_in(True)
            if i % 2:
                s.change(["SELECT public.run_it($$SET %s = %s$$)" % (self.changing, self.configuration[self.changing])])

    def go_on_with_theme(self):
        if self.theme == "configuration":
            self.change_configuration(self.changing)
            return
        self.change_database(swapped("leak_a", self.rng.choice(["leak_b", "leak_group", "leak_c"])))
        for s in self.rng.sample(self.sessions, len(self.sessions) // 2):
            s.log_in(True)

    def change_database(self, statement=None):
        statement = statement or self.rng.choice(GLOBAL_CHANGES)
        try:
            self.admin.sql("BEGIN; %s; COMMIT" % statement)
            self.history.append("turn %d: %s" % (self.turn, statement))
        except proto.ServerError:
            self.admin.sql("ROLLBACK")

    def calm(self):
        """All transactions end, so that the database can be changed; most sessions get back what they were."""
        for s in self.sessions:
            s.statement("ROLLBACK")
            if s.changed and self.rng.random() < 0.5:
                s.statement("DISCARD ALL")
        for s in self.sessions:
            s.receive()
        for _ in range(self.rng.randint(0, 4)):
            self.change_database()
        if self.rng.random() < 0.5:
            self.change_configuration()

    @contextlib.contextmanager
    def tables_locked(self):
        """Lookups sent meanwhile wait in pgfold together. Not while a transaction keeps us from it."""
        locked = False
        if self.rng.random() < 0.85:
            try:
                self.admin.sql("BEGIN; LOCK TABLE s1.place, s2.place, s1.part, s2.part, fact, doc, of_a, of_group IN ACCESS EXCLUSIVE MODE")
                locked = True
            except proto.ServerError:
                pass
        yield
        if locked:
            time.sleep(0.03)
        self.admin.sql("ROLLBACK")

    def one_turn(self):
        """A burst of lookups, and in its midst sessions that change. Some turns belong together: their lookups are the same few."""
        rng = self.rng
        if self.turn % EPOCH == 0:
            self.calm()
            self.lookups, self.framing, self.gentle = [rng.choice(LOOKUPS[:N_COMMON]), rng.choice(LOOKUPS)], a_framing(rng), rng.random() < 0.7
            self.quiet = rng.choice([5, 8, 14])  # turns without any change
            family = rng.choice(FAMILIES) if rng.random() < 0.7 else []
            alike = rng.random() < 0.3  # sessions that differ in a setting and in nothing else
            if alike:
                self.lookups, self.quiet, family = [COMPUTED], 14, FAMILIES[0]
            self.theme = rng.choice(["roles", "configuration"] + 5 * [None])
            if self.theme:
                self.begin_theme()
            for s in self.sessions if not self.theme else ():  # a session that has changed often is rarely proven; new ones are at once
                if alike or (s.changed and rng.random() < 0.85):
                    s.log_in(alike)
                if family and rng.random() < 0.6:  # as pools do with a new connection
                    s.change(["SET " + rng.choice(family)])
        elif self.theme and self.turn % EPOCH == self.quiet // 2:
            self.go_on_with_theme()
        elif self.turn % EPOCH >= self.quiet and rng.random() < 0.3:
            if rng.random() < 0.8:
                self.change_database()
            else:
                self.change_configuration()
        self.turn += 1
        for s in self.sessions:
            for sql in self.lookups:
                s.prepare(sql, self.framing[0])
        for s in self.sessions:
            s.receive()
        share = 0 if self.turn % EPOCH < self.quiet else rng.choice([0, 0.1, 0.3])
        fashion = a_change(rng, self.gentle)  # sessions of one application do the same
        with self.tables_locked(), held(self.proxy if not share and rng.random() < 0.3 else None):
            for s in rng.sample(self.sessions, len(self.sessions)):
                self.take_part(s, rng.random() < share, fashion)
        for s in self.sessions:
            s.receive()

    def take_part(self, s, changes, fashion):
        rng = self.rng
        if changes and rng.random() < 0.05:
            s.receive()
            s.log_in()
        if changes and rng.random() < 0.7:
            s.change(fashion if rng.random() < 0.7 else a_change(rng, self.gentle))
        for _ in range(rng.choice([1, 1, 2, 3, 5])):
            s.lookup(rng.choice(self.lookups) if rng.random() < 0.95 else rng.choice(LOOKUPS), self.framing)
            if changes and rng.random() < 0.3:
                s.change(fashion if rng.random() < 0.5 else a_change(rng, self.gentle))


@contextlib.contextmanager
def held(proxy):
    """pgfold stands still meanwhile, so that what is sent to it comes at once. None: it does not."""
    process = getattr(proxy, "process", None)
    if process:
        process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        if process:
            process.send_signal(signal.SIGCONT)


def folded(proxy):
    """How many lookups were answered from batches, by the proxy's own count."""
    if not hasattr(proxy, "signal"):
        return 0
    proxy.signal(signal.SIGUSR1)
    before = len(re.findall(r"folded \d+ in", proxy.log()))
    servers.wait_for(lambda: len(re.findall(r"folded \d+ in", proxy.log())) > before or before, "the counters", 10)
    time.sleep(0.2)
    return int(re.findall(r"folded (\d+) in", proxy.log())[-1])


def run(pg, proxy, seed, seconds, sessions, turns=None):
    """Raises Failure. Returns the number of turns."""
    world = World(pg, proxy, seed, sessions)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and (not turns or world.turn < turns):
            world.one_turn()
        world.calm()
    finally:
        world.close()
    return world.turn


# ---- what happens while lookups are under way

STORM_SETUP = """
CREATE TABLE own (id int, tenant text, body text, PRIMARY KEY (id, tenant)); CREATE POLICY mine ON own USING (tenant IN ('*', current_setting('app.tenant', true)));
CREATE TABLE kept (id int PRIMARY KEY, tenant text, body text); CREATE TABLE shelf (id int, tenant text, body text, PRIMARY KEY (id, tenant)); CREATE TABLE shelf_of_roles (id int, tenant text, body text, PRIMARY KEY (id, tenant));
INSERT INTO own SELECT i, '*', '* ' || i FROM generate_series(1, 12) i; INSERT INTO kept SELECT * FROM own; INSERT INTO shelf SELECT * FROM own;
INSERT INTO shelf_of_roles SELECT i, t, t || ' ' || i FROM generate_series(1, 12) i, unnest(ARRAY['storm_a', 'storm_b', 'storm_group']) t;
CREATE POLICY mine ON shelf_of_roles USING (tenant = current_user); ALTER TABLE shelf_of_roles ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON own, shelf, shelf_of_roles TO PUBLIC; GRANT SELECT ON kept TO storm_a, storm_b, storm_group
"""
# Who reads `kept` takes its snapshot behind looking at its rights, and REVOKE takes no lock that would keep them together: hence LOCK.
# Two states of each table, and what leads from one to the other: rows that are for somebody are there while they are guarded.
TOGGLES = {
    "own": ["ALTER TABLE own ENABLE ROW LEVEL SECURITY; DELETE FROM own; INSERT INTO own SELECT i, t, t || ' ' || i FROM generate_series(1, 12) i, unnest(ARRAY['t1', 't2', 't3']) t",
            "DELETE FROM own; INSERT INTO own SELECT i, '*', '* ' || i FROM generate_series(1, 12) i; ALTER TABLE own DISABLE ROW LEVEL SECURITY"],
    "kept": ["LOCK TABLE kept; REVOKE SELECT ON kept FROM storm_b, storm_group; UPDATE kept SET tenant = 'storm_a', body = 'storm_a ' || id", "UPDATE kept SET tenant = '*', body = '* ' || id; GRANT SELECT ON kept TO storm_b, storm_group"],
    "shelf": ["ALTER TABLE shelf RENAME TO shelf_open; ALTER TABLE shelf_of_roles RENAME TO shelf", "ALTER TABLE shelf RENAME TO shelf_of_roles; ALTER TABLE shelf_open RENAME TO shelf"],
}
# What changes nothing of who may see what.
STIRS = ["ALTER POLICY mine ON own USING (tenant IN ('*', current_setting('app.tenant', true)))", "DROP POLICY mine ON own; CREATE POLICY mine ON own USING (tenant = '*' OR tenant = current_setting('app.tenant', true))",
         "CREATE POLICY more ON own AS RESTRICTIVE USING (true)", "DROP POLICY IF EXISTS more ON own", "ALTER TABLE own FORCE ROW LEVEL SECURITY", "GRANT SELECT ON own TO storm_c", "REVOKE SELECT ON own FROM storm_c"]
WAYS = {"plainly": lambda sql: "BEGIN; %s; COMMIT" % sql, "in a function": lambda sql: "SELECT public.run_it($_$%s$_$)" % sql, "by EXECUTE": lambda sql: "DO $do$ BEGIN EXECUTE $_$%s$_$; END $do$" % sql}
TENANTS = {"SET": lambda t: query("SET app.tenant = '%s'" % t), "set_config": lambda t: query("SELECT set_config('app.tenant', '%s', false)" % t),
           "parameters": lambda t: unit("SELECT set_config('app.tenant', $1, false)", [t]), "all by parameters": lambda t: unit("SELECT set_config($1, $2, $3)", ["app.tenant", t, "f"]),
           "function": lambda t: query("SELECT public.sneak_stable('%s')" % t), "EXECUTE": lambda t: query("SELECT public.run_it('SET app.tenant = ''%s''')" % t),
           "DO": lambda t: query("DO $$ BEGIN PERFORM set_config('app.tenant', '%s', false); END $$" % t)}
ROLE_WAYS = {"SET": "SET ROLE %s", "set_config": "SELECT set_config('role', '%s', false)", "function": "SELECT public.sneak_role('%s')", "DO": "DO $$ BEGIN SET ROLE %s; END $$"}


class Tenant:
    """A connection through pgfold, without a twin; who it is is known."""

    def __init__(self, world, number):
        self.world, self.number, self.asked = world, number, []
        self.user = ["storm_a", "storm_a", "storm_b"][number % 3]
        self.conn = world.proxy.connect(self.user, STORM_DATABASE, timeout=60)
        self.role, self.tenant, self.history = self.user, None, []
        self.become()

    def become(self):
        rng = self.world.rng
        if rng.random() < 0.8:
            way, self.tenant = self.world.way if rng.random() < 0.8 else rng.choice(list(TENANTS)), rng.choice(["t1", "t2", "t3"])
            self.history.append("%s by %s" % (self.tenant, way))
            self.said(self.conn.ask(TENANTS[way](self.tenant)))
        if self.user == "storm_a" and rng.random() < 0.5:
            way, self.role = rng.choice(list(ROLE_WAYS)), rng.choice(["storm_a", "storm_group"])
            self.history.append("role %s by %s" % (self.role, way))
            self.said(self.conn.ask(query(ROLE_WAYS[way] % self.role)))

    def said(self, got):
        if proto.errors(got):
            raise Failure("seed %d, turn %d: session %d cannot become what it shall: %r\n  %s" % (
                self.world.seed, self.world.turn, self.number, proto.errors(got), "; ".join(self.history[-6:])))

    def ask(self, table, extended):
        k = self.world.rng.randint(1, 12)
        sql = "SELECT tenant, body FROM public.%s WHERE id = " % table
        self.conn.send(unit(sql + "$1", [k], (23,)) if extended else query(sql + str(k)))
        self.asked.append((table, k))

    def check(self):
        """The rows before the change, those behind it, or that they may not be read."""
        asked, self.asked = self.asked, []
        for table, k in asked:
            got = self.conn.ready()
            rows, codes = proto.rows(got), [e["C"] for e in proto.errors(got)]
            own = self.tenant if table == "own" else self.role
            allowed = [["*"], [own] if own else []]
            if table == "kept" and self.role != "storm_a":
                allowed = [["*"]]
            refused = table == "kept" and codes == ["42501"]
            if not refused and (codes or [r[0].decode() for r in rows] not in allowed or any(r[1] != b"%s %d" % (r[0], k) for r in rows)):
                raise Failure("seed %d, turn %d: session %d of %s, role %s, tenant %s, asks %s for %d and gets %r %r\n  %s\n  %s" % (
                    self.world.seed, self.world.turn, self.number, self.user, self.role, self.tenant, table, k, rows, codes, "; ".join(self.history[-6:]), "\n  ".join(self.world.history[-12:])))


class Storm:
    def __init__(self, pg, proxy, seed, sessions):
        self.pg, self.proxy, self.seed, self.rng, self.turn, self.history, self.state = pg, proxy, seed, random.Random(seed), 0, [], dict.fromkeys(TOGGLES, 0)
        self.past, self.through = pg.connect(servers.SUPERUSER, STORM_DATABASE, timeout=60), proxy.connect(servers.SUPERUSER, STORM_DATABASE, timeout=60)
        self.way = self.rng.choice(list(TENANTS))
        self.sessions = [Tenant(self, i) for i in range(sessions)]

    def close(self):
        for c in [self.past, self.through] + [s.conn for s in self.sessions]:
            c.close()

    def change(self):
        """Returns the connection that now owes a reply."""
        rng = self.rng
        end, way, table = rng.choice(["past pgfold", "past pgfold", "through it"]), rng.choice(list(WAYS)), rng.choice(list(TOGGLES))
        self.stirs = rng.random() < 0.2
        sql = rng.choice(STIRS) if self.stirs else TOGGLES[table][self.state[table]]
        if not self.stirs:
            self.state[table] ^= 1
        self.history.append("turn %d: %s, %s: %s" % (self.turn, end, way, sql))
        conn = self.past if end == "past pgfold" else self.through
        conn.send(query(WAYS[way](sql)))
        return conn

    def end_change(self, conn):
        got = []
        while not (got and got[-1].type == "Z"):
            got += conn.ready()
        if proto.errors(got) and conn.status != "I":
            conn.ask(query("ROLLBACK"))
        assert self.stirs or not proto.errors(got), (self.history[-1], proto.errors(got))

    def one_turn(self):
        rng = self.rng
        self.turn += 1
        if self.turn % 40 == 0:
            self.way = rng.choice(list(TENANTS))
        for s in self.sessions:
            if rng.random() < 0.03:
                s.become()
        table, extended, changing = rng.choice(list(TOGGLES)), rng.random() < 0.5, None
        when = rng.randrange(len(self.sessions)) if rng.random() < 0.2 else -1
        with held(self.proxy if rng.random() < 0.7 else None):
            for i, s in enumerate(rng.sample(self.sessions, len(self.sessions))):
                s.ask(table if rng.random() < 0.9 else rng.choice(list(TOGGLES)), extended)
                if i == when:
                    changing = self.change()
            if changing is self.past and rng.random() < 0.5:
                self.end_change(changing)
                changing = None
        for s in self.sessions:
            s.check()
        if changing:
            self.end_change(changing)


def storm(pg, proxy, seed, seconds, sessions, turns=None):
    """In a database of its own. Raises Failure. Returns the number of turns."""
    with pg.admin(STORM_DATABASE) as c:
        for statement in ["DROP TABLE IF EXISTS own, kept, shelf, shelf_of_roles, shelf_open"] + STORM_SETUP.strip().split(";\n"):
            c.sql(statement)
    world = Storm(pg, proxy, seed, sessions)
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end and (not turns or world.turn < turns):
            world.one_turn()
    finally:
        world.close()
    return world.turn


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=32)
    parser.add_argument("--storm", action="store_true")
    parser.add_argument("--binary", default=os.environ.get("PGFOLD_BIN", os.path.join(os.path.dirname(__file__), "../../build/pgfold")))
    args = parser.parse_args()
    pg = servers.Postgres(ssl=False)
    try:
        make_database(pg)
        proxy = servers.Direct(pg) if args.binary == "direct" else servers.Pgfold(args.binary, "host=127.0.0.1 port=%d sslmode=disable" % pg.port, SETTINGS_OF_PGFOLD)
        print("seed %d, %d sessions, %d s" % (args.seed, args.sessions, args.seconds), flush=True)
        try:
            print("%d turns, no difference" % (storm if args.storm else run)(pg, proxy, args.seed, args.seconds, args.sessions))
        except Failure as e:
            print(e)
            sys.exit(1)
        finally:
            print("%d lookups were folded" % folded(proxy))
            proxy.stop()
    finally:
        pg.remove()


if __name__ == "__main__":
    main()
