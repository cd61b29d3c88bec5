# SPDX-License-Identifier: PostgreSQL
"""Random sessions that loop over lists, poll, climb from row to row and count upwards, while rows are changed through pgfold and past it. Time plays
no part, so each answer's right to be old is counted: by the rows of the lists that its session has read since, and by what its last answer named.

    python3 ahead_polls.py --seed N --count C --steps S [--binary build/pgfold]

Each seed has tables of its own, with keys of a type that the dice choose. Every write gives a row a version; versions number all writes in one order,
so that they are times. A fault is reported with the last things that happened.
"""
import argparse
import collections
import os
import random
import re

import orm_pages
import proto
import servers
from framings import FRAMINGS, binary
from proto import bind, describe, execute, parse, query

DATABASE = "polls"
N = 30          # owners
STEPS = 50      # numbers that are stepped through; some of them have no row
FIRST_TIME = 1000000  # no version is a key by chance
SETTINGS = {"lookahead.mode": "bounded", "lookahead.max_gap": "1s", "lookahead.max_age": "60s", "batching.check_one_in": "0"}
DRIVERS = ["simple", "psycopg", "pg", "pgx", "postgres.js", "pgjdbc named", "asyncpg"]

# key type: (declaration, text of the i-th)
KEYS = {
    "int4": ("int4", str), "int8": ("int8", lambda i: str(i + 2**40)), "int2": ("int2", str), "oid": ("oid", lambda i: str(i + 3 * 10**9)),
    "numeric": ("numeric", lambda i: "%d.5" % i), "citext": ("public.citext", lambda i: "Key%d" % i), "text": ("text", lambda i: "key %d" % i),
    "date": ("date", lambda i: "2024-01-%02d" % i), "timestamptz": ("timestamptz", lambda i: "2024-03-01 %02d:30:00+00" % (i % 24) if i < 24 else "2024-04-0%d 00:00:00+00" % (i - 22)),
    "enum": ("public.rank", lambda i: "rank%d" % i), "uuid": ("uuid", lambda i: "00000000-0000-4000-8000-%012d" % i), "bpchar": ("char(8)", lambda i: "k%d" % i),
}
SENT_AS = {"citext": "citext", "enum": "enum"}
STEP_TYPES = {"int4": 1, "int8": 2**40, "int2": 32767 - STEPS + 1}  # type: the first number; the last int2 is the largest there is

SCHEMA = """
CREATE TABLE owner{n} (id {key} PRIMARY KEY, val int, buddy {key} REFERENCES owner{n}, as_text text);
CREATE TABLE item{n} (id int PRIMARY KEY, owner_id {key} REFERENCES owner{n}, val int);
CREATE INDEX ON item{n} (owner_id);
CREATE TABLE tag{n} (id int PRIMARY KEY, owner_id {key}, other_id {key}, as_text text);
CREATE TABLE secret{n} (id {key}, tenant int, val int, PRIMARY KEY (id, tenant));
ALTER TABLE secret{n} ENABLE ROW LEVEL SECURITY;
CREATE POLICY p ON secret{n} USING (tenant = current_setting('app.tenant', true)::int);
CREATE TABLE step{n} (id {step} PRIMARY KEY, val int);
CREATE TABLE ping{n} (k {key}, v int);
CREATE TABLE ruled{n} (k {key}, v int);
CREATE TABLE audit{n} (a int);
CREATE VIEW owner_view{n} AS SELECT id, val FROM owner{n} WHERE '2024-01-01' < now();
CREATE VIEW both_view{n} AS SELECT o.id, i.val, i.id AS item_id FROM owner{n} o JOIN item{n} i ON i.owner_id = o.id;
CREATE VIEW item_view{n} AS SELECT * FROM item{n};
CREATE FUNCTION fine{n}(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT $1 IS NOT NULL';
CREATE FUNCTION val_of{n}(k {key}) RETURNS int STABLE LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT max(val) FROM item{n} WHERE owner_id = k); END';
CREATE FUNCTION bump{n}(x {key}, v int) RETURNS int LANGUAGE sql AS 'UPDATE item{n} SET val = v WHERE owner_id = x; SELECT v';
CREATE FUNCTION on_ping{n}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE item{n} SET val = NEW.v WHERE owner_id = NEW.k; RETURN NEW; END';
CREATE TRIGGER t AFTER INSERT ON ping{n} FOR EACH ROW EXECUTE FUNCTION on_ping{n}();
CREATE RULE r AS ON INSERT TO ruled{n} DO ALSO UPDATE item{n} SET val = NEW.v WHERE owner_id = NEW.k;
INSERT INTO owner{n} SELECT k, 0, NULL, k::text FROM keys{n};
UPDATE owner{n} SET buddy = (SELECT k FROM keys{n} WHERE i = (SELECT i / 2 FROM keys{n} z WHERE z.k = owner{n}.id));
INSERT INTO item{n} SELECT 1000 + g, k, 0 FROM generate_series(1, 90) g JOIN keys{n} ON i = g % 30 + 1;
INSERT INTO tag{n} SELECT 2000 + g, a.k, b.k, a.k::text FROM generate_series(1, 150) g JOIN keys{n} a ON a.i = g % 30 + 1 JOIN keys{n} b ON b.i = g * 7 % 30 + 1;
INSERT INTO secret{n} SELECT k, t, 0 FROM keys{n}, generate_series(1, 2) t;
INSERT INTO step{n} SELECT i + {first} - 1, 0 FROM generate_series(1, 50) i WHERE i % 10 <> 7;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
ANALYZE owner{n}, item{n}, tag{n}, secret{n}, step{n}
"""

Shape = collections.namedtuple("Shape", "sql at space names tenant", defaults=(None, None))
# `at`: the column with the version; `space`: the table whose version it is; `names`: the column that names another owner; `tenant`: whose row it is
SHAPES = {
    "owner": Shape("SELECT id, val FROM owner{n} WHERE id = $1", 1, "owner"),
    "owner limit": Shape("SELECT id, val FROM owner{n} WHERE id = $1 LIMIT 1", 1, "owner"),
    "climb": Shape("SELECT id, val, buddy FROM owner{n} WHERE id = $1", 1, "owner", 2),
    "climb joined": Shape("SELECT p.id, c.val FROM owner{n} c LEFT JOIN owner{n} p ON p.id = c.buddy WHERE c.id = $1", 1, "owner", 0),
    "items": Shape("SELECT id, val, owner_id FROM item{n} WHERE owner_id = $1 ORDER BY id", 1, "item"),
    "max": Shape("SELECT max(val) FROM item{n} WHERE owner_id = $1", 0, "item"),
    "join": Shape("SELECT o.id, i.val, i.owner_id FROM owner{n} o JOIN item{n} i ON i.owner_id = o.id WHERE o.id = $1 ORDER BY i.id", 1, "item"),
    "view": Shape("SELECT id, val FROM owner_view{n} WHERE id = $1", 1, "owner"),
    "view of two": Shape("SELECT id, val FROM both_view{n} WHERE id = $1 ORDER BY item_id", 1, "item"),
    "function": Shape("SELECT id, val FROM owner{n} WHERE id = $1 AND fine{n}(val)", 1, "owner"),
    "function that reads": Shape("SELECT id, val_of{n}(id) FROM owner{n} WHERE id = $1", 1, "item"),
    "policy": Shape("SELECT id, val, tenant FROM secret{n} WHERE id = $1", 1, "secret", None, 2),
    "step": Shape("SELECT id, val FROM step{n} WHERE id = $1", 1, "step"),
}
CLIMBS = ("climb", "climb joined")
LISTS = [
    "SELECT id FROM owner{n} ORDER BY id", "SELECT id, owner_id FROM item{n} ORDER BY id", "SELECT owner_id FROM item{n} ORDER BY owner_id, id",
    "SELECT owner_id, other_id FROM tag{n} ORDER BY id", "SELECT owner_id, owner_id AS again, other_id FROM tag{n} ORDER BY id LIMIT 60",
    "SELECT id, buddy FROM owner{n} ORDER BY id", "SELECT as_text, id FROM tag{n} ORDER BY id", "SELECT id, val FROM owner{n} ORDER BY id",
    "SELECT owner_id, count(*) FROM item{n} GROUP BY owner_id ORDER BY 1", "SELECT o.id, g FROM owner{n} o, generate_series(1, 2) g ORDER BY g, o.id",
    "SELECT id FROM owner{n} WHERE id IN ('{a}', '{b}') ORDER BY id", "SELECT owner_id FROM item{n} WHERE owner_id = '{a}'", "SELECT id FROM owner{n} WHERE id = '{a}'",
    "SELECT id, buddy, val FROM owner{n} WHERE buddy = '{a}' ORDER BY id", "SELECT id FROM owner{n} ORDER BY id OFFSET {i} LIMIT 6",
    "SELECT id, 1 / (val - val + 1) AS one FROM owner{n} ORDER BY id", "SELECT array_agg(id) AS ids FROM owner{n}", "SELECT id::text FROM owner{n} ORDER BY owner{n}.id",
    "SELECT id, val FROM owner_view{n} ORDER BY id", "SELECT a.id, b.id AS other FROM owner{n} a JOIN owner{n} b ON b.id = a.buddy ORDER BY a.id",
]
# (statement, the table that it changes)
WRITES = [
    ("UPDATE owner{n} SET val = {v} WHERE id = '{k}'", "owner"), ("UPDATE item{n} SET val = {v} WHERE owner_id = '{k}'", "item"),
    ("UPDATE secret{n} SET val = {v} WHERE id = '{k}'", "secret"), ("UPDATE item_view{n} SET val = {v} WHERE owner_id = '{k}'", "item"),
    ("WITH w AS (UPDATE item{n} SET val = {v} WHERE owner_id = '{k}' RETURNING 1) SELECT count(*) FROM w", "item"), ("INSERT INTO ping{n} VALUES ('{k}', {v})", "item"),
    ("INSERT INTO ruled{n} VALUES ('{k}', {v})", "item"), ("SELECT bump{n}('{k}', {v})", "item"), ("DO $$BEGIN PERFORM bump{n}('{k}', {v}); END$$", "item"),
    ("MERGE INTO item{n} i USING owner{n} o ON i.owner_id = o.id AND o.id = '{k}' WHEN MATCHED THEN UPDATE SET val = {v}", "item"),
    ("UPDATE owner{n} SET val = {v} FROM (SELECT 1) x WHERE id = '{k}'", "owner"), ("INSERT INTO owner{n} VALUES ('{k}') ON CONFLICT (id) DO UPDATE SET val = {v}", "owner"),
]


class Version(collections.namedtuple("Version", "number present")):
    """What a row was from this write on; number: its place among all writes."""


class Row:
    """All versions of one key in one table; `floor`: the least that anybody may be given."""

    def __init__(self, present=True):
        self.versions, self.floor = [Version(0, present)], 0

    @property
    def now(self):
        return self.versions[-1]

    def end(self, number):
        """When the version was replaced; None: it still is."""
        later = [v.number for v in self.versions if v.number > number]
        return later[0] if later else None

    def lasted_to(self, number, time):
        """Was the version what the server had to say then, or later?"""
        end = self.end(number)
        return end is None or end > time

    def read(self, number):
        """The version of an answer; None for no row: that in which there was none last. Raises KeyError when there never was such."""
        fitting = [v.number for v in self.versions if (v.present and v.number == number) if number is not None] if number is not None else [
            v.number for v in self.versions if not v.present]
        if not fitting:
            raise KeyError(number)
        return fitting[-1]


class Listed:
    """A list that a session has read: when, how many rows have each key, whose answer it is, and what was asked since."""

    def __init__(self, time, rows, of=None, asked=None):
        self.time, self.rows, self.of, self.asked, self.since = time, rows, of, asked, collections.Counter()

    def has(self, shape, k):
        """Rows with the key. Answers to the statement itself are no lists of what they were asked for."""
        return 0 if self.of == shape and self.asked == k else self.rows[k]


class Session:
    serial = 0

    def __init__(self, world):
        Session.serial += 1
        self.name, self.c = "s%d" % Session.serial, world.proxy.connect("app", DATABASE)
        self.lists, self.given, self.statements = [], {}, {}
        self.keys, self.at, self.shape, self.driver, self.tenant = [], 0, "owner", "simple", 1
        self.floor, self.named, self.way, self.in_txn = 0, None, set(), False
        self.c.sql("SET app.tenant = 1")

    def close(self):
        self.c.send(proto.TERMINATE)
        self.c.close()


def number(value):
    if value is None:
        return None
    return int(value) if re.fullmatch(rb"-?\d+", value) and len(value) != 4 else int.from_bytes(value, "big", signed=True)


class World:
    def __init__(self, pg, proxy, seed, pages=False):
        self.rng, self.pg, self.proxy, self.seed = random.Random(seed), pg, proxy, seed
        self.kind = self.rng.choice(sorted(KEYS))
        self.step_kind = self.rng.choice(sorted(STEP_TYPES))
        self.first = STEP_TYPES[self.step_kind]
        self.direct, self.over_policies = (end.connect(servers.SUPERUSER, DATABASE) for end in (pg, proxy))
        self.time, self.log, self.wrong, self.soft, self.asked, self.old = FIRST_TIME, [], [], [], 0, 0
        declaration, make = KEYS[self.kind]
        self.texts = {i: make(i) for i in range(1, N + 1)}
        self.direct.sql("CREATE TABLE keys%d (i int, k %s)" % (seed, declaration))
        self.direct.sql("INSERT INTO keys%d VALUES %s" % (seed, ", ".join("(%d, '%s')" % x for x in self.texts.items())))
        for sql in SCHEMA.format(n=seed, key=declaration, step=self.step_kind, first=self.first).strip().split(";\n"):
            self.direct.sql(sql)
        self.shown = {k.encode(): int(i) for i, k in self.direct.sql("SELECT i, k::text FROM keys%d" % seed)}
        self.shown.update({binary(self.kind, t): i for i, t in self.texts.items() if binary(self.kind, t)})
        self.table = {space: {k: Row() for k in self.texts} for space in ("owner", "item", "secret")}
        self.table["step"] = {i: Row(i % 10 != 7) for i in range(1, STEPS + 1)}
        self.sessions = []
        # The same lists again and again, and after each the same lookups, as the pages of an application have them.
        self.pages = [(t, self.rng.choice([x for x in SHAPES if x != "step"])) for t in self.rng.sample(LISTS[:10], 2)] if pages else []

    def sql_of(self, shape):
        return SHAPES[shape].sql.format(n=self.seed)

    def say(self, what):
        self.log.append(what)

    # ---- writes

    def change(self, sql, space, k, conn=None, present=True):
        """By the connection, or past pgfold."""
        self.time += 1
        self.say("%s %s" % ("past" if conn is None else "through", sql))
        (self.over_policies if conn and space == "secret" else conn or self.direct).sql(sql)
        self.table[space][k].versions.append(Version(self.time, present))
        if conn:
            self.raise_floor(space)

    def raise_floor(self, space):
        for row in self.table[space].values():
            row.floor = row.now.number

    def bump(self, space, k, conn=None):
        """The row's next version."""
        v = self.time + 1
        if space == "step":
            row, at = self.table["step"][k], k + self.first - 1
            if not row.now.present:
                return self.change("INSERT INTO step%d VALUES (%d, %d)" % (self.seed, at, v), space, k, conn)
            if self.rng.random() < 0.2:
                return self.change("DELETE FROM step%d WHERE id = %d" % (self.seed, at), space, k, conn, False)
            return self.change("UPDATE step%d SET val = %d WHERE id = %d" % (self.seed, v, at), space, k, conn)
        ways = [w for w, of in WRITES if of == space]
        sql = (self.rng.choice(ways) if conn else ways[0]).format(n=self.seed, v=v, k=self.texts[k])
        return self.change(sql, space, k, conn)

    def point_elsewhere(self, k):
        """The row names another owner, itself or none."""
        to = self.rng.choice([k, self.rng.randint(1, N), self.rng.randint(1, N), None])
        sql = "UPDATE owner%d SET val = %d, buddy = %s WHERE id = '%s'" % (self.seed, self.time + 1, "'%s'" % self.texts[to] if to else "NULL", self.texts[k])
        self.change(sql, "owner", k)

    # ---- lists

    def note_list(self, s, rows, of=None, asked=None):
        count = collections.Counter()
        for r in rows:
            count.update({self.shown[x] for cell in r if cell for x in self.cells(cell) if x in self.shown})
        s.lists.append(Listed(self.time, count, of, asked))

    @staticmethod
    def cells(cell):
        return [cell] + ([x.strip(b'"') for x in cell[1:-1].split(b",")] if cell[:1] == b"{" else [])

    def read_list(self, s):
        rng = self.rng
        a, b = (self.texts[rng.choice(s.keys) if s.keys and s.shape != "step" and rng.random() < 0.5 else rng.randint(1, N)] for _ in "ab")
        t = rng.choice(LISTS[:10] if rng.random() < 0.6 else LISTS).format(n=self.seed, a=a, b=b, i=rng.randint(1, 20))
        page = rng.choice(self.pages) if self.pages and rng.random() < 0.9 else None
        t = page[0].format(n=self.seed, a=a, b=b, i=rng.randint(1, 20)) if page else t
        way = rng.random() * (0.8 if page else 1)
        self.say("%s list %.2f %s" % (s.name, way, t))
        if way < 0.7:
            got = s.c.ask(query(t))
        elif way < 0.8:
            got = s.c.ask(parse(t) + bind() + describe() + execute() + proto.SYNC)
        elif way < 0.9:  # the rest is never read
            got = s.c.ask(parse(t) + bind() + describe() + execute(rng.randint(1, 20)) + proto.SYNC)
        else:
            got = self.fetched(s, t)
        rows = proto.rows(got)
        self.note_list(s, rows)
        s.named, s.at = None, 0
        s.keys = [k for r in rows for k in [self.shown[x] for cell in r if cell for x in self.cells(cell) if x in self.shown][:1 if len(rows) > 1 else N]]
        s.shape = rng.choice([x for x in SHAPES if x != "step"]) if rng.random() < 0.6 or s.shape == "step" else s.shape
        s.shape = page[1] if page else s.shape
        s.keys = s.keys[::-1] if rng.random() < 0.1 else s.keys

    def fetched(self, s, sql):
        inside, got = s.in_txn, []
        if not inside:
            s.c.sql("BEGIN")
        s.c.sql("DECLARE c CURSOR FOR " + sql)
        for _ in range(self.rng.randint(1, 3)):
            got += s.c.ask(query("FETCH %d FROM c" % self.rng.randint(1, 12)))
        s.c.sql("CLOSE c")
        if not inside:
            s.c.sql(self.rng.choice(["COMMIT", "ROLLBACK"]))
        return got

    def count_up(self, s):
        """No list: numbers in steps."""
        by = self.rng.choice([1, 1, 1, 2, -1, 3])
        s.keys = list(range(1, STEPS + 1))[::by][self.rng.choice([0, 0, 5, 10]):]
        s.at, s.shape, s.named = 0, "step", None
        self.say("%s steps by %d from %d" % (s.name, by, s.keys[0]))

    # ---- lookups

    def reply(self, s, shape, k):
        """The reply of one lookup, in the session's framing."""
        sql, kind, text = self.sql_of(shape), self.step_kind, str(k + self.first - 1)
        if shape != "step":
            kind, text = SENT_AS.get(self.kind, self.kind), self.texts[k]
        st = s.statements.get((s.driver, sql))
        if st is None or FRAMINGS[s.driver].deallocates:
            st = s.statements[s.driver, sql] = FRAMINGS[s.driver].statement(s.c, sql)
            prepared = st.prepare([(kind, text)])
            if FRAMINGS[s.driver].first in ("unit", "flush"):
                return prepared
        return s.c.ask(st.unit([(kind, text)]))

    def ask(self, s, shape, k, own=None):
        """own: the version that the session has written itself and not committed."""
        of, rng = SHAPES[shape], self.rng
        bumped = own is None and not s.in_txn and rng.random() < 0.5
        if bumped:
            self.bump(of.space, k)  # now it is known where the answer comes from
        self.asked += 1
        got = self.reply(s, shape, k)
        what = "%s [%s] %s(%s)" % (s.name, s.driver, shape, k)
        if proto.errors(got):
            self.wrong.append("%s: %s" % (what, proto.errors(got)[0]))
            return
        rows, row = proto.rows(got), self.table[of.space][k]
        said = number(rows[0][of.at]) if rows else None
        self.say("%s -> %s, is %s" % (what, said, row.now))
        if own is not None:
            if said != own:
                self.wrong.append("%s: %s is not its own write %s" % (what, said, own))
            return
        try:
            version = row.read(said)
        except KeyError:
            self.wrong.append("%s: %s was never committed" % (what, said))
            return
        if of.tenant and any(number(r[of.tenant]) != s.tenant for r in rows):
            self.wrong.append("%s: of another tenant than %d" % (what, s.tenant))
        self.judge(s, shape, k, row, version, what)
        self.note_answer(s, shape, k, version, rows, bumped and version == row.now.number)

    def note_answer(self, s, shape, k, version, rows, from_server):
        q, of = (shape, k, s.driver), SHAPES[shape]
        named = s.named and s.named[0] == k
        s.way = (s.way if named else set()) | {q}
        for listed in s.lists:
            for question in (q, q[:2]):
                listed.since[question] += 1
        for question in (q, q[:2]):
            s.given[question] = max(version, s.given.get(question, -1))
        name = self.shown.get(rows[0][of.names]) if of.names and len(rows) == 1 else None
        s.named = (name, version) if name else None
        if len(rows) > 1 or not from_server:
            self.note_list(s, rows, shape, k)

    def judge(self, s, shape, k, row, version, what):
        q = (shape, k, s.driver)
        if version < row.floor:
            self.wrong.append("%s: misses a write through pgfold, %d < %d" % (what, version, row.floor))
        if not row.lasted_to(version, s.floor):
            self.wrong.append("%s: %d was loaded before what has dropped all" % (what, version))
        if version < s.given.get(q, -1):
            self.wrong.append("%s: back in time, %d after %d" % (what, version, s.given[q]))
        elif version < s.given.get(q[:2], -1):
            self.soft.append("%s: back in time across framings" % what)
        if version == row.now.number:
            return
        self.old += 1
        if not self.may_be_old(s, q, k, row, version):
            self.wrong.append("%s: %d is old, it is %d now, and no list has a row left" % (what, version, row.now.number))
        elif not self.may_be_old(s, q[:2], k, row, version):
            self.soft.append("%s: old across framings" % what)

    def may_be_old(self, s, q, k, row, version):
        if q not in s.given:
            return True
        good = [x for x in s.lists if row.lasted_to(version, x.time) and x.has(q[0], k)]
        if sum(x.has(q[0], k) for x in good) > min([x.since[q] for x in good] or [0]):
            return True
        if not s.named or s.named[0] != k or (q in s.way if len(q) == 3 else any(w[:2] == q for w in s.way)):
            return False
        return row.lasted_to(version, s.named[1])

    # ---- what a session does

    def go_on(self, s):
        for _ in range(self.rng.randint(1, 8)):
            if s.at >= len(s.keys) or self.wrong:
                return
            k = s.keys[s.at]
            s.at += 1
            self.ask(s, s.shape, k)
            if s.shape != "step" and self.rng.random() < 0.15:
                self.ask(s, self.rng.choice([x for x in SHAPES if x != "step"]), k)
            if s.shape in CLIMBS and s.named and self.rng.random() < 0.7:
                self.climb(s)

    def climb(self, s):
        for _ in range(self.rng.randint(1, 8)):
            if not s.named or not s.named[0] or self.wrong:
                return
            self.ask(s, s.shape, s.named[0])

    def poll(self, s, k):
        shape, before = s.shape, s.driver
        for _ in range(self.rng.randint(1, 5)):
            if self.wrong:
                return
            self.ask(s, shape, k)
            if self.rng.random() < 0.5 and not s.in_txn:
                self.bump(SHAPES[shape].space, k)
            if self.rng.random() < 0.2:
                s.driver = self.rng.choice(DRIVERS)
        s.driver = before if self.rng.random() < 0.7 else s.driver

    def write_in_transaction(self, s, k):
        """What it writes it sees at once, and others do not; it may go back."""
        others = [x for x in self.sessions if x is not s and not x.in_txn]
        space = self.rng.choice(["owner", "item"])
        shapes = [x for x, of in SHAPES.items() if of.space == space]
        sql, v = self.rng.choice([w for w, of in WRITES if of == space]), self.time + 1
        self.say("%s transaction" % s.name)
        s.c.sql("BEGIN")
        if self.rng.random() < 0.5:
            self.ask_inside(s, shapes, k)
        s.c.sql("SAVEPOINT a")
        s.c.sql(sql.format(n=self.seed, v=v, k=self.texts[k]))
        self.say("%s wrote %s" % (s.name, sql))
        for _ in range(2):
            self.ask(s, self.rng.choice(shapes), k, own=v)
        if others and self.rng.random() < 0.5:
            x = self.rng.choice(others)
            x.in_txn = True  # nothing is written past pgfold now
            self.ask(x, self.rng.choice(shapes), k)
            x.in_txn = False
        end = self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK", "ROLLBACK TO a"])
        s.c.sql(end)
        self.say("%s %s" % (s.name, end))
        if end == "COMMIT":
            self.time = v
            self.table[space][k].versions.append(Version(v, True))
            self.raise_floor(space)
        elif end == "ROLLBACK TO a":
            self.ask_inside(s, shapes, k)
            s.c.sql("COMMIT")
        s.named = None
        self.ask(s, self.rng.choice(shapes), k)

    def ask_inside(self, s, shapes, k):
        s.in_txn = True
        self.ask(s, self.rng.choice(shapes), k)
        s.in_txn = False

    # What drops all; each is said outside of transactions.
    DROPS = ["SET app.tenant = {t}", "SELECT set_config('app.tenant', '{t}', false)", "SELECT id FROM owner{n} WHERE id = '{k}' FOR UPDATE", "LOCK TABLE audit{n}",
             "TRUNCATE audit{n}", "CREATE TEMP TABLE IF NOT EXISTS passing (a int)", "SELECT pg_advisory_lock(7), pg_advisory_unlock(7)", "DO $$BEGIN END$$", "SET work_mem = '{t}MB'"]
    KEEPS = ["INSERT INTO audit{n} VALUES (1)", "", "SHOW work_mem", "-- nothing", "SELECT 1", "SELECT count(*) FROM audit{n}", "BEGIN; COMMIT"]

    def say_something(self, s, hot):
        rng = self.rng
        if rng.random() < 0.4:
            t, old = rng.randint(1, 2), s.tenant
            sql = rng.choice(self.DROPS)
            if "tenant" in sql:
                s.tenant = t
            sql = sql.format(n=self.seed, t=t, k=self.texts[rng.randint(1, N)])
            self.say("%s says %s" % (s.name, sql))
            got = s.c.ask(query("BEGIN"), query(sql), query("COMMIT"), count=3) if sql.startswith("LOCK") else s.c.ask(query(sql))
            assert not proto.errors(got), (sql, proto.errors(got))
            if ("app.tenant" in sql and t != old) or sql.startswith(("SELECT id", "LOCK", "TRUNCATE", "DO", "SELECT pg_adv")):
                s.floor = self.time
        else:
            sql = rng.choice(self.KEEPS).format(n=self.seed)
            self.say("%s says %s" % (s.name, sql))
            s.c.ask(query(sql))
            s.named = s.named if sql in ("", "-- nothing") else None

    def step(self):
        rng, s = self.rng, self.rng.choice(self.sessions)
        hot = [(SHAPES[x.shape].space, k) for x in self.sessions for k in x.keys[max(0, x.at - 2):x.at + 5]] or [("owner", 1)]
        r = rng.random()
        if s.in_txn and r < 0.3:
            s.c.sql(rng.choice(["COMMIT", "ROLLBACK"]))
            s.in_txn = False
        elif not s.keys or s.at >= len(s.keys) or r < 0.05:
            (self.count_up if rng.random() < 0.15 else self.read_list)(s)
        elif r < 0.6:
            self.go_on(s)
        elif r < 0.7:
            self.poll(s, rng.choice(s.keys[max(0, s.at - 3):s.at + 4] or s.keys))
        elif r < 0.74:
            s.driver = rng.choice(DRIVERS)
        elif s.in_txn:
            self.go_on(s)
        elif r < 0.77:
            s.in_txn = True
            s.c.sql("BEGIN")
        elif r < 0.80:
            self.say_something(s, hot)
        elif r < 0.83 and not any(x.in_txn for x in self.sessions):
            self.bump(*rng.choice(hot), conn=s.c)
            s.named = None
        elif r < 0.85 and not any(x.in_txn for x in self.sessions):
            self.write_in_transaction(s, rng.randint(1, N))
        elif r < 0.87:
            self.sessions.remove(s)
            s.close()
            self.sessions.append(Session(self))
            self.say("new session %s" % self.sessions[-1].name)
        elif r < 0.9:
            self.point_elsewhere(rng.choice([k for space, k in hot if space != "step"] or [1]))
        else:
            for x in dict.fromkeys(rng.choice(hot) for _ in range(rng.randint(1, 4))):
                self.bump(*x)

    def run(self, steps, n_sessions):
        self.sessions = [Session(self) for _ in range(n_sessions)]
        for _ in range(steps):
            self.step()
            if self.wrong:
                break
        for s in self.sessions:
            s.close()
        self.direct.sql("DROP TABLE tag%(n)d, secret%(n)d, step%(n)d, keys%(n)d, ping%(n)d, ruled%(n)d, audit%(n)d, item%(n)d, owner%(n)d CASCADE" % {"n": self.seed})
        self.direct.close()
        self.over_policies.close()


def make_database(pg):
    with pg.connect(servers.SUPERUSER, "postgres") as c:
        c.sql("CREATE DATABASE %s" % DATABASE)
        if not c.sql("SELECT 1 FROM pg_roles WHERE rolname = 'app'"):
            c.sql("CREATE ROLE app LOGIN")
    with pg.admin(DATABASE) as c:
        c.sql("CREATE EXTENSION citext")
        c.sql("CREATE TYPE rank AS ENUM (%s)" % ", ".join("'rank%d'" % i for i in range(1, N + 1)))


def run(pg, proxy, seed, steps=150, sessions=2, pages=False):
    """Returns the world; what is wrong is in it."""
    w = World(pg, proxy, seed, pages)
    w.run(steps, sessions)
    return w


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--sessions", type=int, default=0, help="0: one to three")
    parser.add_argument("--delay-us", type=int, default=0, help="the server is so far away from pgfold, there and back; and sessions read the same pages again and again")
    parser.add_argument("--binary", default=os.environ.get("PGFOLD_BIN", os.path.join(os.path.dirname(__file__), "../../build/pgfold")))
    args = parser.parse_args()
    pg = servers.Postgres(ssl=False)
    try:
        make_database(pg)
        server = orm_pages.Relay(pg, pg.folder, args.delay_us) if args.delay_us else pg
        proxy = servers.Direct(pg) if args.binary == "direct" else servers.Pgfold(args.binary, "host=127.0.0.1 port=%d sslmode=disable" % server.port, SETTINGS)
        for seed in range(args.seed, args.seed + args.count):
            w = run(pg, proxy, seed, args.steps, args.sessions or seed % 3 + 1, args.delay_us > 0)
            print("seed %d, %s: asked %d, old %d, soft %d %s %s" % (seed, w.kind, w.asked, w.old, len(w.soft), w.soft[:1], "WRONG" if w.wrong else "well"), flush=True)
            if w.wrong:
                print("\n".join(w.log[-int(os.environ.get("POLLS_LOG", "60")):] + w.wrong[:3]))
        if args.binary != "direct":
            print(orm_pages.Counts(proxy).read())
        proxy.stop()
    finally:
        pg.remove()


if __name__ == "__main__":
    main()
