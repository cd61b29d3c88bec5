# SPDX-License-Identifier: PostgreSQL
"""Random schemas, rows, statements, framings, transactions and sessions, through pgfold and at PostgreSQL itself.

Two ways, in turn:

twins      The tables do not change. Each session has a twin that sends the same bytes to PostgreSQL; every reply must be the same, byte
           for byte, or the same rows in any order where the statement leaves the order open.
history    Writers raise versions of rows, each on a connection of its own, while sessions look them up. Nobody knows the one right answer;
           but every answer must be a state that the row had between the question and the answer, a session sees its own writes, a
           version never goes back within a session, and REPEATABLE READ shows one state.

    python3 differential.py --seed N --seconds S --sessions K [--binary build/pgfold]

A failing case is made smaller (fewer sessions, then fewer statements) and printed with its seed.
"""
import argparse
import hashlib
import os
import random
import struct
import sys
import threading
import time
import uuid

import leak
import orm_pages
import proto
import servers
from framings import FRAMINGS, fill
from proto import Message, query

DATABASE = "differential"
SETTINGS_OF_PGFOLD = {"batching.never_slower": "off"}

# ---- schemas


def words(i):
    return ["", "a", "A", "a ", " a", "b", "it's", 'q"q', "x\\y", "{}", "{a,b}", "NULL", "null", "\u00fc", "\u00dc", "w%d" % i, "W%d" % i, "w%d " % i][i % 18]


# type -> (declaration, values as text). Equal values that are written differently are wanted.
TYPES = {
    "int2": ("int2", lambda i: str([0, 1, -1, 2, 32767, -32768, i % 9][i % 7])),
    "int4": ("int4", lambda i: str([0, 1, -1, 2, 2147483647, -2147483648, i % 9, i % 9, i % 5][i % 9])),
    "int8": ("int8", lambda i: str([0, 1, -1, 2**31, 2**63 - 1, -2**63, i % 9, i % 5][i % 8])),
    "text": ("text", words), "varchar": ("varchar(12)", words), "bpchar": ("char(6)", lambda i: words(i)[:6]),
    "citext": ("public.citext", words), "nocase": ("text COLLATE public.nocase", words),
    "numeric": ("numeric", lambda i: ["0", "0.0", "1", "1.0", "1.00", "-1", "NaN", "1000000000000000000000", "0.1", "0.10", "2", "2.5"][i % 12]),
    "numeric2": ("numeric(8,2)", lambda i: ["0", "1", "1.00", "2.50", "2.5", "-1.25", "99"][i % 7]),
    "float8": ("float8", lambda i: ["0", "-0", "1", "NaN", "Infinity", "-Infinity", "0.1", "1e-300", "2.5"][i % 9]),
    "float4": ("float4", lambda i: ["0", "-0", "1", "NaN", "0.1", "2.5"][i % 6]),
    "bool": ("bool", lambda i: "tf"[i % 2]),
    "uuid": ("uuid", lambda i: str(uuid.UUID(hashlib.md5(str(i % 7).encode()).hexdigest()))),
    "date": ("date", lambda i: "2024-0%d-1%d" % (i % 3 + 1, i % 4)),
    "timestamp": ("timestamp", lambda i: "2024-03-31 0%d:30:00" % (i % 5)),
    "timestamptz": ("timestamptz", lambda i: "2024-03-31 0%d:30:00+0%d" % (i % 5, i % 3)),
    "bytea": ("bytea", lambda i: "\\x" + ["", "00", "61", "5c", "ff00"][i % 5]),
    "inet": ("inet", lambda i: ["10.0.0.1", "10.0.0.1/32", "10.0.0.1/24", "::1", "10.0.0.2"][i % 5]),
    "interval": ("interval", lambda i: ["1 day", "24 hours", "1 month", "30 days", "0"][i % 5]),
    "enum": ("public.mood", lambda i: ["sad", "ok", "happy"][i % 3]),
    "domain": ("public.posint", lambda i: str(i % 6)),
    "time": ("time", lambda i: "1%d:00:00" % (i % 4)),
}
SENT_AS = {"nocase": "text", "numeric2": "numeric", "domain": "int4"}
ORDERED = [t for t in TYPES if t not in ("citext",)]


class Column:
    def __init__(self, name, kind):
        self.name, self.kind = name, kind
        self.declaration, self.value = TYPES[kind]

    @property
    def sent_as(self):
        return SENT_AS.get(self.kind, self.kind)


class Table:
    """`id` is unique and in no order that means anything; the others are what the dice say."""

    def __init__(self, rng, n):
        self.name = rng.choice(["t%d", "T%d", "order %d", "t%d_x"]) % n
        kinds = rng.sample(sorted(TYPES), rng.randint(3, 6))
        self.columns = [Column(rng.choice(["c%d", "C%d", "c %d", "select%d"]) % i, k) for i, k in enumerate(kinds)]
        self.parent = Column("parent", "int4")
        self.n_rows = rng.choice([0, 3, 30, 120])
        self.indexes = [rng.choice(self.columns) for _ in range(rng.randint(0, 2))]
        self.has_pk, self.partitioned = rng.random() < 0.8, rng.random() < 0.1

    @property
    def quoted(self):
        return '"%s"' % self.name

    def create(self, rng):
        columns = ["id int" + (" PRIMARY KEY" if self.has_pk and not self.partitioned else " NOT NULL"), "parent int"]
        columns += ['"%s" %s' % (c.name, c.declaration) for c in self.columns]
        yield "CREATE TABLE %s (%s)%s" % (self.quoted, ", ".join(columns), " PARTITION BY HASH (id)" if self.partitioned else "")
        if self.partitioned:
            for i in range(2):
                yield 'CREATE TABLE "%s p%d" PARTITION OF %s FOR VALUES WITH (MODULUS 2, REMAINDER %d)' % (self.name, i, self.quoted, i)
        ids = list(range(1, self.n_rows + 1))
        rng.shuffle(ids)
        for i in ids:
            values = [str(i), rng.choice(["NULL", str(i % 7), str(i % 4)])]
            values += ["NULL" if rng.random() < 0.1 else quoted(c.value(rng.randrange(90))) for c in self.columns]
            yield "INSERT INTO %s VALUES (%s)" % (self.quoted, ", ".join(values))
        for c in self.indexes:
            yield 'CREATE INDEX ON %s ("%s")' % (self.quoted, c.name)
        yield "CREATE INDEX ON %s (parent)" % self.quoted


def quoted(text):
    return "E'%s'" % text.replace("\\", "\\\\").replace("'", "''") if "\\" in text else "'%s'" % text.replace("'", "''")


# ---- statements

class Statement:
    """A text with $1 …, how each lookup's values come about, and whether the order of the rows is the statement's to say."""

    def __init__(self, sql, args, ordered):
        self.sql, self.args, self.ordered = sql, args, ordered  # args: [(type, function of a number, varies)]

    def values(self, rng):
        return [(kind, make(rng.randrange(90)) if varies and rng.random() > 0.03 else None if varies else make(0)) for kind, make, varies in self.args]


class Author:
    """Writes random statements over the tables; their order is total where they say ORDER BY, else it is open."""

    def __init__(self, rng, tables):
        self.rng, self.tables = rng, tables

    def key(self, n, alias, table):
        """One equality, and the argument for it."""
        rng = self.rng
        kind = rng.random()
        if kind < 0.35:
            column, arg = "id", ("int4", lambda i: str(i), True)
        elif kind < 0.55:
            column, arg = "parent", ("int4", lambda i: str(i % 8), True)
        else:
            c = rng.choice(table.columns)
            column, arg = '"%s"' % c.name, (c.sent_as, c.value, True)
        name = "%s.%s" % (alias, column) if alias else column
        forms = ["%s = $%d", "%s = $%d", "$%d = %s", "%s IN ($%d)", "(%s) = ($%d)", "((%s = $%d))", "%s IS NOT DISTINCT FROM $%d"]
        form = rng.choice(forms + (["%s IN (SELECT $%d::int4)", "%s = (SELECT $%d::int4)"] if arg[0] == "int4" else []))
        return (form % ((n, name) if form.startswith("$") else (name, n))), arg

    def where(self, alias, table, first=1):
        """Conditions for one table: text, arguments."""
        rng, parts, args = self.rng, [], []
        for _ in range(rng.choice([1, 1, 1, 1, 2])):
            text, arg = self.key(first + len(args), alias, table)
            parts.append(text)
            args.append(arg)
        c = rng.choice(table.columns)
        dot = alias + "." if alias else ""
        extra = rng.choice([None, None, None, '%s"%s" IS NOT NULL' % (dot, c.name), '%s"%s" IS NULL' % (dot, c.name), "%sid > 3" % dot, "1=1",
                            "(%sid < 60 OR %sparent IS NULL)" % (dot, dot), "%sid <> 5" % dot, "NOT (%sid = 2)" % dot, "%sparent = 3" % dot])
        if extra:
            parts.insert(rng.randint(0, len(parts)), extra)
        if rng.random() < 0.1:
            text, value = "%sid >= $%d" % (dot, first + len(args)), rng.choice("0258")
            parts.append(text)
            args.append(("int4", lambda i, v=value: v, False))
        return (" OR " if rng.random() < 0.07 else " AND ").join(parts), args

    def one_table(self):
        rng, t = self.rng, self.rng.choice(self.tables)
        alias = rng.choice(["", "", "x"])
        where, args = self.where(alias, t)
        dot = alias + "." if alias else ""
        listed = rng.choice(["%s*" % dot, "%sid" % dot, ", ".join('%s"%s"' % (dot, c.name) for c in t.columns), "%sid, 'k' AS kind, 1 AS one" % dot,
                             '%s"%s", %sid' % (dot, rng.choice(t.columns).name, dot)])
        sql = "SELECT %s FROM %s %s WHERE %s" % (listed, t.quoted, alias, where)
        ordered = rng.random() < 0.5
        if ordered:
            sql += " ORDER BY %sid%s" % (dot, rng.choice(["", " DESC", " ASC"]))
            limit = rng.choice(["", "", " LIMIT 1", " LIMIT 2 OFFSET 1", " LIMIT $%d", " OFFSET 1", " FETCH FIRST 2 ROWS ONLY"])
            if "$" in limit:
                limit = limit % (len(args) + 1)
                args = args + [("int8", lambda i: "3", False)]
            sql += limit
        return Statement(sql, args, ordered)

    def aggregate(self):
        rng, t = self.rng, self.rng.choice(self.tables)
        where, args = self.where("", t)
        c = rng.choice(t.columns)
        what = rng.choice(["count(*)", 'count("%s")' % c.name, 'count(DISTINCT "%s")' % c.name, "max(id), min(id), sum(parent)", "array_agg(id ORDER BY id)",
                           "count(*) FILTER (WHERE parent = 1) AS f, count(*)", "coalesce(max(parent), -1)", "bool_or(parent > 2)"])
        return Statement("SELECT %s FROM %s WHERE %s" % (what, t.quoted, where), args, True)

    def grouped(self):
        rng, t = self.rng, self.rng.choice(self.tables)
        where, args = self.where("", t)
        sql = rng.choice(["SELECT parent, count(*) FROM %s WHERE %s GROUP BY parent ORDER BY parent", "SELECT DISTINCT parent FROM %s WHERE %s ORDER BY parent",
                          "SELECT id, row_number() OVER (ORDER BY id DESC) FROM %s WHERE %s ORDER BY id", "SELECT parent, max(id) FROM %s WHERE %s GROUP BY 1 HAVING count(*) > 1 ORDER BY 1"])
        return Statement(sql % (t.quoted, where), args, True)

    def join(self):
        rng, a, b = self.rng, self.rng.choice(self.tables), self.rng.choice(self.tables)
        where, args = self.where("a", a)
        c, d = rng.choice(a.columns), rng.choice(b.columns)
        on = rng.choice(["b.parent = a.id", "b.id = a.parent", "b.id = a.id"])
        how = rng.choice(["JOIN", "LEFT JOIN", "JOIN", "RIGHT JOIN", "FULL JOIN"])
        listed = rng.choice(['a.id, b.id AS bid, a."%s", b."%s"' % (c.name, d.name), "a.id, b.id", "a.*, b.id AS bid", "b.*, a.id AS aid"])
        sql = "SELECT %s FROM %s a %s %s b ON %s" % (listed, a.quoted, how, b.quoted, on)
        if rng.random() < 0.2 and how == "JOIN":
            sql = "SELECT %s FROM %s a JOIN %s b ON %s AND %s" % (listed, a.quoted, b.quoted, on, where)
        else:
            sql += " WHERE " + where
        ordered = rng.random() < 0.7
        return Statement(sql + (" ORDER BY a.id, b.id" if ordered else ""), args, ordered)

    def nested(self):
        rng, a, b = self.rng, self.rng.choice(self.tables), self.rng.choice(self.tables)
        where, args = self.where("a", a)
        inner = "SELECT %%s FROM %s a WHERE %s" % (a.quoted, where.replace("%", "%%"))
        sql = rng.choice(["SELECT EXISTS (" + inner % "1" + ")", "SELECT count(*) FROM (" + inner % "a.parent" + ") q", "SELECT q.id FROM (" + inner % "a.id" + ") q ORDER BY q.id",
                          "WITH q AS (" + inner % "a.id, a.parent" + ") SELECT q.id, b.id AS bid FROM q JOIN " + b.quoted + " b ON b.id = q.parent ORDER BY 1, 2",
                          "SELECT b.id FROM " + b.quoted + " b WHERE b.id IN (" + inner % "a.parent" + ") ORDER BY b.id",
                          "SELECT b.id FROM " + b.quoted + " b WHERE EXISTS (" + inner % "1" + " AND a.parent = b.id) ORDER BY 1",
                          "SELECT json_agg(q ORDER BY q.id) FROM (" + inner % "a.id, a.parent" + ") q", "SELECT to_jsonb(q.*) FROM (" + inner % "a.*" + ") q ORDER BY q.id",
                          "SELECT coalesce(json_agg(row_to_json(q) ORDER BY q.id), '[]') AS j, count(q) FROM (" + inner % "a.id" + ") q",
                          "SELECT q.id, n, u FROM (" + inner % "a.id" + ") q, generate_series(1, q.id % 4) AS g(n), unnest(ARRAY[q.id, n]) u ORDER BY 1, 2, 3",
                          "SELECT q.id, e.value FROM (" + inner % "a.*" + ") q, jsonb_each(to_jsonb(q)) AS e WHERE e.key = 'parent' ORDER BY 1",
                          "SELECT unnest(ARRAY[q.id, -1]) AS e FROM (" + inner % "a.id" + ") q ORDER BY 1",
                          "SELECT (" + inner % "max(a.id)" + ") AS m", inner % "a.id" + " UNION " + "SELECT id FROM " + b.quoted + " WHERE id < 3 ORDER BY 1",
                          inner % "a.id" + " EXCEPT " + "SELECT id FROM " + b.quoted + " WHERE id < 3 ORDER BY 1",
                          "SELECT b.id, (SELECT count(*) FROM " + a.quoted + " a WHERE a.parent = b.id AND " + where + ") FROM " + b.quoted + " b WHERE b.id < 9 ORDER BY 1"])
        return Statement(sql, args, True)

    def second(self):
        """Values beside the key that vary with it: in other comparisons, the select list, ORDER BY and LIMIT. A value of LIMIT may be an error."""
        rng, t = self.rng, self.rng.choice(self.tables)
        text, arg = self.key(1, "", t)
        args = [arg]
        c = rng.choice(t.columns)
        id_, count, other = ("int4", lambda i: str(i % 60), True), ("int8", lambda i: str(i % 5 - (i % 83 == 0)), True), (c.sent_as, c.value, True)

        def add(form, *more):
            first = len(args) + 1
            args.extend(more)
            return form % tuple(range(first, len(args) + 1))

        listed = rng.choice(["*", "id", "id", "id, parent", ""])
        if not listed:
            listed = add(*rng.choice([("id, $%d::int AS v", id_), ("$%d::text AS v, id", ("text", words, True)), ("id > $%d AS later, id", id_),
                                      ("COALESCE(parent, $%d) AS p, id", id_), ("CASE WHEN id < $%d THEN id ELSE $%d END AS b", id_, id_)]))
        extra = rng.choice([None, ("id > $%d", id_), ("id <= $%d", id_), ("parent <> $%d", id_), ("id BETWEEN $%d AND $%d", id_, id_), ("$%d < id", id_),
                            ("id NOT BETWEEN SYMMETRIC $%d AND $%d", id_, id_), ("parent IS DISTINCT FROM $%d", id_),
                            ('"%s" <> $%%d' % c.name, other), ('NOT ("%s" IS DISTINCT FROM $%%d)' % c.name, other)])
        where = text + (" AND " + add(*extra) if extra else "")
        order = rng.choice(["", "id", "id DESC", "parent, id", "id + 0, id", '"%s", id' % c.name, None, None])
        if order is None:
            order = add(*rng.choice([("id <> $%d, id", id_), ("CASE WHEN parent = $%d THEN 0 ELSE 1 END, id DESC", id_), ("id > $%d, id > $%d, id", id_, id_)]))
        sql = "SELECT %s FROM %s WHERE %s%s" % (listed, t.quoted, where, " ORDER BY " + order if order else "")
        if order and rng.random() < 0.5:
            sql += add(*rng.choice([(" LIMIT $%d", count), (" OFFSET $%d", count), (" LIMIT $%d OFFSET $%d", count, count), (" FETCH FIRST ($%d) ROWS ONLY", count)]))
        return Statement(sql, args, bool(order))

    def statement(self):
        return self.rng.choice([self.one_table] * 4 + [self.aggregate, self.grouped, self.join, self.join, self.nested, self.nested] + [self.second] * 3)()


# ---- twins

class Failure(AssertionError):
    pass


class Case:
    """What is sent, made beforehand from the seed, so that it can be made smaller: rounds of (session, statement, framing, values or text)."""

    def __init__(self, seed, sessions):
        rng = random.Random(seed)
        self.seed, self.n_sessions = seed, sessions
        self.schema = "d%d" % seed
        self.tables = [Table(rng, i) for i in range(rng.randint(2, 3))]
        self.ddl = [s for t in self.tables for s in t.create(rng)]
        author = Author(rng, self.tables)
        self.statements = [author.statement() for _ in range(4)]
        self.rounds = []
        names = sorted(FRAMINGS)
        for s in self.statements:
            framing = rng.choice(names)
            for _ in range(rng.randint(4, 7)):
                self.rounds.append([(i, s, framing if rng.random() < 0.9 else rng.choice(names), s.values(rng)) for i in range(sessions) for _ in range(rng.choice([1, 1, 1, 2]))])
            if rng.random() < 0.5:
                self.rounds.append([(i, None, rng.choice(["simple", "unit", "rides"]), rng.choice(["BEGIN", "BEGIN READ ONLY", "BEGIN ISOLATION LEVEL REPEATABLE READ", "COMMIT", "ROLLBACK", "SELECT 1/0", "SAVEPOINT a",
                                                                  "ROLLBACK TO a", "SET enable_seqscan = off", "SET TimeZone = 'Asia/Tokyo'", "RESET ALL"]))
                                    for i in range(sessions) if rng.random() < 0.3])

    def text(self):
        lines = ["SET search_path = %s, public;" % self.schema] + [d + ";" for d in self.ddl]
        for n, r in enumerate(self.rounds):
            for i, s, framing, values in r:
                lines.append("-- round %d, session %d: %s" % (n, i, values if s is None else "[%s] %s   %r" % (framing, s.sql, [v for _, v in values])))
        return "\n".join(lines)


class Session:
    """One connection, and the drivers' statements that it has prepared."""

    def __init__(self, end, schema):
        self.c, self.prepared = end.connect("app", DATABASE, search_path='%s, public' % schema, options="-c standard_conforming_strings=on"), {}
        self.c.sock.settimeout(60)

    def prepare(self, s, framing, values):
        """The replies to what comes before the unit, if something does."""
        if (s, framing) in self.prepared:
            return []
        self.prepared[(s, framing)] = stated = FRAMINGS[framing].statement(self.c, s.sql)
        stated.name = stated.name and "statement_%d" % len(self.prepared)  # the same at both ends
        return stated.prepare(values)

    def unit(self, s, framing, values):
        if s is not None:
            return self.prepared[(s, framing)].unit(values)
        if framing == "simple":
            return query(values)
        rides = proto.parse("SHOW work_mem") + proto.bind() + proto.execute() if framing == "rides" else b""
        return proto.parse(values) + proto.bind() + proto.execute() + rides + proto.SYNC  # as pgjdbc sends BEGIN


def is_literal(values):
    """Whether a text can carry them: what holds a backslash would have to be escaped."""
    return all(v is None or "\\" not in v or kind == "bytea" for kind, v in values)


def alike(s, got, want):
    if got == want:
        return True
    if s is None or s.ordered:
        return False
    return sorted(got) == sorted(want)


def run_case(case, pg, proxy, make=True):
    """The first difference, as text, or None."""
    with pg.admin(DATABASE) as admin:
        if make:
            admin.sql("DROP SCHEMA IF EXISTS %s CASCADE" % case.schema)
            admin.sql("CREATE SCHEMA %s" % case.schema)
            admin.sql("SET search_path = %s, public" % case.schema)
            admin.sql("; ".join(case.ddl))
            admin.sql("GRANT USAGE ON SCHEMA %s TO PUBLIC" % case.schema)
            admin.sql("GRANT SELECT ON ALL TABLES IN SCHEMA %s TO PUBLIC" % case.schema)
            admin.sql("ANALYZE")
        tables = ", ".join("%s.%s" % (case.schema, t.quoted) for t in case.tables)
        admin.sql("SET lock_timeout = '100ms'")
        ends = {}
        try:
            for i in {i for r in case.rounds for i, *_ in r}:
                ends[i] = Session(proxy, case.schema), Session(pg, case.schema)
            for n, r in enumerate(case.rounds):
                found = run_round(n, r, ends, admin, tables)
                if found:
                    return found
        finally:
            for pair in ends.values():
                for s in pair:
                    s.c.close()
            if make == "drop":
                admin.sql("DROP SCHEMA %s CASCADE" % case.schema)


def run_round(n, r, ends, admin, tables):
    r = [(i, s, "pg" if s and FRAMINGS[f].simple and not is_literal(v) else f, v) for i, s, f, v in r]
    for i, s, framing, values in r:
        if s:
            a, b = ends[i]
            got, want = a.prepare(s, framing, values), b.prepare(s, framing, values)
            if not alike(s, got, want):
                return "round %d, session %d, preparing [%s] %s\n  pgfold:     %r\n  PostgreSQL: %r" % (n, i, framing, s.sql, got, want)
    try:
        admin.sql("BEGIN; LOCK TABLE %s IN ACCESS EXCLUSIVE MODE" % tables)
    except proto.ServerError:
        pass  # a transaction has read them
    for i, s, framing, values in r:
        ends[i][0].c.send(ends[i][0].unit(s, framing, values))
    time.sleep(0.03)
    admin.sql("ROLLBACK")
    for i, s, framing, values in r:
        want = ends[i][1].c.ask(ends[i][1].unit(s, framing, values))
        try:
            got = ends[i][0].c.ready()
        except (OSError, proto.Closed) as e:
            return "round %d, session %d: no reply (%r) to %s" % (n, i, e, values if s is None else s.sql)
        if not alike(s, got, want):
            return "round %d, session %d: %s\n  pgfold:     %r\n  PostgreSQL: %r" % (
                n, i, values if s is None else "[%s] %s   %r" % (framing, fill(s.sql, values), values), got[:8], want[:8])


def shrink(case, pg, proxy, seconds=60):
    """Fewer rounds, then fewer sessions, as long as it still fails (three tries each, since it may depend on time)."""
    end = time.monotonic() + seconds

    def fails(rounds):
        kept, case.rounds = case.rounds, rounds
        if time.monotonic() < end and any(run_case(case, pg, proxy, make=False) for _ in range(3)):
            return True
        case.rounds = kept
        return False
    for piece in (8, 4, 2, 1):
        i = 0
        while i < len(case.rounds):
            i += 0 if fails(case.rounds[:i] + case.rounds[i + piece:]) else piece
    for i in range(case.n_sessions):
        fails([[x for x in r if x[0] != i] for r in case.rounds])


# ---- history

HISTORY = """
CREATE SCHEMA IF NOT EXISTS h;
DROP TABLE IF EXISTS h.thing, h.owner;
CREATE TABLE h.thing (id int PRIMARY KEY, owner int, v bigint NOT NULL);
CREATE TABLE h.owner (id int PRIMARY KEY, v bigint NOT NULL);
INSERT INTO h.thing SELECT i, i % 5, 0 FROM generate_series(1, 20) i;
INSERT INTO h.owner SELECT i, 0 FROM generate_series(1, 20) i;
GRANT USAGE ON SCHEMA h TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA h TO PUBLIC
"""
KEYS = 20
LOOKS = ["SELECT id, v FROM h.thing WHERE id = $1", "SELECT t.id, t.v FROM h.thing t WHERE t.id IN ($1)", "SELECT max(id) AS id, sum(v) AS v FROM h.thing WHERE id = $1",
         "SELECT t.id, t.v FROM h.thing t JOIN h.owner o ON o.id = t.id WHERE t.id = $1", "SELECT id, v FROM h.thing WHERE id = $1 LIMIT 1"]


class History:
    """The versions of each row, with the times between which each may have been committed. Every row is written by one writer."""

    def __init__(self):
        self.begun = {k: [(0, 0.0)] for k in range(1, KEYS + 1)}      # (version, sent at)
        self.committed = {k: [(0, 0.0)] for k in range(1, KEYS + 1)}  # (version, confirmed at)

    def least(self, key, since):
        """The version that was confirmed before then."""
        return max(v for v, at in self.committed[key] if at < since or v == 0)

    def most(self, key, until):
        """The newest that may have been visible then."""
        return max(v for v, at in self.begun[key] if at <= until)


class Writer(threading.Thread):
    def __init__(self, end, history, keys, seed, stop):
        super().__init__(daemon=True)
        self.c, self.h, self.keys, self.rng, self.stop, self.error = end.connect("app", DATABASE), history, keys, random.Random(seed), stop, None

    def run(self):
        try:
            version = 0
            while not self.stop.is_set():
                version += 1
                self.write(self.rng.choice(self.keys), version)
                time.sleep(self.rng.random() * 0.004)
        except Exception as e:  # reported by the main thread
            self.error = e
        finally:
            self.c.close()

    def write(self, key, version):
        """In a transaction or not, rolled back now and then; looks at its own row before and behind."""
        whole, back = self.rng.random() < 0.6, self.rng.random() < 0.2
        old = self.h.committed[key][-1][0]
        if whole:
            self.c.sql("BEGIN")
            self.expect(key, old)
        self.h.begun[key].append((version, time.monotonic())) if not (whole and back) else None
        self.c.sql("UPDATE h.thing SET v = %d WHERE id = %d" % (version, key))
        if whole:
            self.expect(key, version)
            self.c.sql("ROLLBACK" if back else "COMMIT")
        if not (whole and back):
            self.h.committed[key].append((version, time.monotonic()))
        self.expect(key, old if whole and back else version)

    def expect(self, key, version):
        for sql in self.rng.sample(LOOKS, 2):
            got = proto.rows(self.c.ask(proto.unit(sql, [key]) if self.rng.random() < 0.5 else query(sql.replace("$1", str(key)))))
            if got != [[b"%d" % key, b"%d" % version]]:
                raise Failure("a writer does not see its own state: %s, key %d: got %r, want version %d" % (sql, key, got, version))


def check_history(h, sql, key, sent, received, got, floor):
    rows = proto.rows(got)
    if proto.errors(got) or len(rows) != 1 or int(rows[0][0]) != key:
        raise Failure("%s, key %d: %r" % (sql, key, got))
    version, least, most = int(rows[0][1]), h.least(key, sent), h.most(key, received)
    known = {v for v, _ in h.begun[key]}
    if version < least or version > most or version not in known:
        raise Failure("%s, key %d: version %d, but between question and answer it was %d to %d (%s)" % (sql, key, version, least, most, "known" if version in known else "never committed"))
    if version < floor:
        raise Failure("%s, key %d: version %d behind %d in the same session" % (sql, key, version, floor))
    return version


class Reader:
    """A session of pgfold's that looks rows up, alone or in transactions."""

    def __init__(self, conn):
        self.conn = conn
        self.floors = {}  # of each key: the version that it has shown
        self.frozen = None  # what a REPEATABLE READ transaction has shown, and since when it may

    def change_transaction(self, rng):
        """Ends what there is, and may begin another one of either level."""
        self.conn.sql("COMMIT")
        self.frozen = None
        if rng.random() >= 0.5:
            return
        if rng.random() >= 0.5:
            self.conn.sql("BEGIN")
            return
        self.conn.sql("BEGIN ISOLATION LEVEL REPEATABLE READ")
        self.frozen = dict.fromkeys(range(1, KEYS + 1))
        self.conn.sql("SELECT 1")  # takes the snapshot
        self.frozen["at"] = time.monotonic()

    def ask(self, rng, sql, extended):
        self.key, self.sent = rng.randint(1, KEYS), time.monotonic()
        self.conn.send(proto.unit(sql, [self.key]) if extended else query(sql.replace("$1", str(self.key))))

    def check_answer(self, h, sql):
        key, got, received = self.key, self.conn.ready(), time.monotonic()
        if self.frozen is None:
            self.floors[key] = check_history(h, sql, key, self.sent, received, got, self.floors.get(key, 0))
            return
        version = int(proto.rows(got)[0][1])
        if self.frozen[key] not in (None, version) or version > h.most(key, self.frozen["at"]):
            raise Failure("%s, key %d: version %d in a REPEATABLE READ transaction that has seen %r" % (sql, key, version, self.frozen))
        self.frozen[key] = version


def read_in_bursts(rng, h, readers, proxy):
    """One statement of all readers, which they may ask at once. Returns how many were asked."""
    sql, extended = rng.choice(LOOKS), rng.random() < 0.5
    for r in readers:
        if rng.random() < 0.05:
            r.change_transaction(rng)
    with leak.held(proxy if rng.random() < 0.7 else None):
        for r in readers:
            r.ask(rng, sql, extended)
    for r in readers:
        r.check_answer(h, sql)
    return len(readers)


def run_history(seed, seconds, sessions, pg, proxy):
    """Readers go through pgfold, all from this thread, in bursts; writers too, each in its own."""
    rng, h, stop = random.Random(seed), History(), threading.Event()
    with pg.admin(DATABASE) as admin:
        for s in HISTORY.strip().split(";\n"):
            admin.sql(s)
    writers = [Writer(proxy, h, [k for k in range(1, KEYS + 1) if k % 4 == i], seed + i, stop) for i in range(4)]
    readers = [Reader(proxy.connect("app", DATABASE)) for _ in range(sessions)]
    try:
        for w in writers:
            w.start()
        end, n = time.monotonic() + seconds, 0
        while time.monotonic() < end:
            n += read_in_bursts(rng, h, readers, proxy)
            broken = [w.error for w in writers if w.error]
            if broken:
                raise broken[0]
        return n
    finally:
        stop.set()
        for w in writers:
            w.join(10)
        for r in readers:
            r.conn.close()


# ---- the run

def make_database(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("CREATE DATABASE %s" % DATABASE)
        if not c.sql("SELECT 1 FROM pg_roles WHERE rolname = 'app'"):
            c.sql("CREATE ROLE app LOGIN")
    with pg.admin(DATABASE) as c:
        for s in ("CREATE EXTENSION citext", "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy')", "CREATE DOMAIN posint AS int CHECK (VALUE >= 0)",
                  "CREATE COLLATION nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"):
            c.sql(s)


def run_twins(seed, pg, proxy, sessions, shrinks=True):
    case = Case(seed, sessions)
    found = run_case(case, pg, proxy, make=True)
    if not found:
        with pg.admin(DATABASE) as admin:
            admin.sql("DROP SCHEMA %s CASCADE" % case.schema)
        return
    if shrinks:
        shrink(case, pg, proxy)
    raise Failure("seed %d: %s\nmade smaller:\n%s" % (seed, found, case.text()))


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=time.time_ns() % 1000000)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--sessions", type=int, default=16)
    parser.add_argument("--delay-us", type=int, default=0, help="the server is so far away from pgfold, there and back")
    parser.add_argument("--binary", default=os.environ.get("PGFOLD_BIN", os.path.join(os.path.dirname(__file__), "../../build/pgfold")))
    args = parser.parse_args()
    pg = servers.Postgres(ssl=False)
    try:
        make_database(pg)
        server = orm_pages.Relay(pg, pg.folder, args.delay_us) if args.delay_us else pg
        proxy = servers.Direct(pg) if args.binary == "direct" else servers.Pgfold(args.binary, "host=127.0.0.1 port=%d sslmode=disable" % server.port, SETTINGS_OF_PGFOLD)
        end, seed = time.monotonic() + args.seconds, args.seed
        try:
            while time.monotonic() < end:
                run_twins(seed, pg, proxy, args.sessions)
                if seed % 5 == 0:
                    run_history(seed, 5, args.sessions, pg, proxy)
                seed += 1
            print("seeds %d to %d, no difference" % (args.seed, seed - 1))
        except Failure as e:
            print(e)
            sys.exit(1)
        finally:
            print("%d lookups were folded" % leak.folded(proxy))
            proxy.stop()
            if server is not pg:
                server.stop()
    finally:
        pg.remove()


if __name__ == "__main__":
    main()
