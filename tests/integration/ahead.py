# SPDX-License-Identifier: PostgreSQL
"""What the tests of lookahead share: a schema with the relations that mappers know, a reader that loops in a driver's framing, and
what the server was sent, read from its own log. A lookup that the server was not sent was answered from rows loaded ahead."""
import os
import re
import time
from collections import namedtuple

import servers
from busy import unless_busy
from framings import FRAMINGS, fill
from proto import errors, query, rows, wire

DATABASE = "ahead"
PARENTS = 60
# Limits that nothing reaches unless a test waits for it.
PATIENT = {"lookahead.mode": "bounded", "lookahead.max_gap": "1s", "lookahead.max_age": "60s", "batching.check_one_in": "0"}

TABLES = """
CREATE TABLE author (id int PRIMARY KEY, tenant_id int, name text, deleted_at timestamptz);
CREATE TABLE profile (id int PRIMARY KEY, author_id int UNIQUE REFERENCES author ON DELETE CASCADE, bio text);
CREATE TABLE book (id int PRIMARY KEY, tenant_id int, author_id int REFERENCES author ON DELETE CASCADE, title text, price numeric(8,2),
                   position int, deleted_at timestamptz);
CREATE INDEX ON book (author_id);
CREATE TABLE review (id bigint PRIMARY KEY, book_id int REFERENCES book ON DELETE CASCADE, stars int2);
CREATE INDEX ON review (book_id);
CREATE TABLE tag (id int PRIMARY KEY, name text UNIQUE);
CREATE TABLE book_tag (book_id int REFERENCES book ON DELETE CASCADE, tag_id int REFERENCES tag, PRIMARY KEY (book_id, tag_id));
CREATE TABLE comment (id int PRIMARY KEY, commentable_type varchar(20), commentable_id int, body text);
CREATE INDEX ON comment (commentable_id);
CREATE TABLE account (id uuid PRIMARY KEY, code text UNIQUE, author_id int);
CREATE TABLE entry (id int PRIMARY KEY, account_id uuid REFERENCES account, account_code text REFERENCES account (code), amount int);
CREATE INDEX ON entry (account_id);
CREATE INDEX ON entry (account_code);
CREATE TABLE event (id int8 PRIMARY KEY, author_id int8 REFERENCES author ON DELETE CASCADE, what text);
CREATE INDEX ON event (author_id);
CREATE TABLE badge (id int2 PRIMARY KEY, author_id int2 REFERENCES author ON DELETE CASCADE, what text);
CREATE TABLE orders (region int, no int, customer text, PRIMARY KEY (region, no));
CREATE TABLE line (region int, no int, n int, what text, PRIMARY KEY (region, no, n), FOREIGN KEY (region, no) REFERENCES orders);
CREATE TABLE far (id int PRIMARY KEY, name text);
CREATE TABLE big (id int PRIMARY KEY, author_id int, body text);
CREATE INDEX ON big (author_id);
CREATE TABLE many (id int PRIMARY KEY, name text);
CREATE TABLE heap (id int, n int);
CREATE TABLE note (author_id int, title text);
CREATE TABLE part (author_id int, title text) PARTITION BY RANGE (author_id);
CREATE TABLE part_low PARTITION OF part FOR VALUES FROM (0) TO (1000);
CREATE TABLE part_high PARTITION OF part FOR VALUES FROM (1000) TO (2000);
CREATE TABLE kin (author_id int, title text);
CREATE TABLE kin_child () INHERITS (kin);
CREATE TABLE ping (author_id int);
CREATE TABLE mailbox (author_id int);
CREATE TABLE scratch (a int, b text);
CREATE TABLE bump (author_id int);
CREATE MATERIALIZED VIEW digest AS SELECT author_id, title FROM note;
CREATE VIEW book_view AS SELECT * FROM book;
CREATE FUNCTION retitle(int) RETURNS int LANGUAGE sql AS 'UPDATE book SET title = ''changed'' WHERE author_id = $1; SELECT 1';
CREATE FUNCTION retitle_table(int) RETURNS TABLE (n int) LANGUAGE sql AS 'UPDATE book SET title = ''changed'' WHERE author_id = $1 RETURNING id';
CREATE PROCEDURE retitle_all(int) LANGUAGE sql AS 'UPDATE book SET title = ''changed'' WHERE author_id = $1';
CREATE FUNCTION on_ping() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN UPDATE book SET title = ''changed'' WHERE author_id = NEW.author_id; RETURN NEW; END';
CREATE TRIGGER on_ping AFTER INSERT ON ping FOR EACH ROW EXECUTE FUNCTION on_ping();
CREATE CONSTRAINT TRIGGER on_bump AFTER INSERT ON bump DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION on_ping();
CREATE RULE on_mailbox AS ON INSERT TO mailbox DO ALSO UPDATE book SET title = 'changed' WHERE author_id = NEW.author_id;
INSERT INTO tag SELECT i, 'tag ' || i FROM generate_series(1, 12) i;
INSERT INTO account SELECT md5(i::text)::uuid, 'code ''' || i, i FROM generate_series(1, 60) i;
INSERT INTO entry SELECT i, md5((i % 60 + 1)::text)::uuid, 'code ''' || i % 60 + 1, i FROM generate_series(1, 180) i;
INSERT INTO orders SELECT i % 3, i, 'customer ' || i FROM generate_series(1, 60) i;
INSERT INTO line SELECT i % 3, i, n, 'line ' || n FROM generate_series(1, 60) i, generate_series(1, 2) n;
INSERT INTO far SELECT i, 'far ' || i FROM generate_series(32738, 32797) i;
INSERT INTO far SELECT 2147483647 - i, 'farther ' || i FROM generate_series(0, 9) i;
INSERT INTO big SELECT i, i % 60 + 1, repeat(chr(97 + i % 26), 20000) FROM generate_series(1, 180) i;
INSERT INTO many SELECT i, 'name ' || i FROM generate_series(1, 100000) i;
INSERT INTO heap SELECT i % 60 + 1, i FROM generate_series(1, 180000) i;
CREATE FUNCTION fill_ahead() RETURNS void LANGUAGE plpgsql AS $$BEGIN
  TRUNCATE author, profile, book, review, book_tag, comment, event, badge, note, part, kin, ping, mailbox, bump, scratch CASCADE;
  INSERT INTO author SELECT i, i % 2 + 1, 'author ' || i, CASE WHEN i % 10 = 0 THEN '2024-01-01'::timestamptz END FROM generate_series(1, 60) i;
  INSERT INTO profile SELECT i, i, 'bio ' || i FROM generate_series(1, 60) i WHERE i % 7 > 0;
  INSERT INTO book SELECT i, (i % 60 + 1) % 2 + 1, i % 60 + 1, 'book ' || i, i * 1.5, i / 60, CASE WHEN i % 9 = 0 THEN '2024-01-01'::timestamptz END
         FROM generate_series(1, 180) i WHERE i % 60 NOT IN (17, 18);
  INSERT INTO review SELECT i, (i % 60) * 3 + 1, i % 5 FROM generate_series(1, 180) i WHERE EXISTS (SELECT 1 FROM book WHERE id = (i % 60) * 3 + 1);
  INSERT INTO book_tag SELECT id, t FROM book, generate_series(1, 12) t WHERE (id + t) % 5 = 0;
  INSERT INTO comment SELECT i, (ARRAY['Author', 'Book'])[i % 2 + 1], i / 2 % 60 + 1, 'comment ' || i FROM generate_series(1, 240) i;
  INSERT INTO event SELECT i, i % 60 + 1, 'event ' || i FROM generate_series(1, 120) i;
  INSERT INTO badge SELECT i, i % 60 + 1, 'badge ' || i FROM generate_series(1, 120) i;
  INSERT INTO note SELECT i, 'note ' || i FROM generate_series(1, 60) i;
  INSERT INTO part SELECT i, 'part ' || i FROM generate_series(1, 60) i;
  INSERT INTO kin SELECT i, 'kin ' || i FROM generate_series(1, 60) i WHERE i % 2 = 0;
  INSERT INTO kin_child SELECT i, 'kin ' || i FROM generate_series(1, 60) i WHERE i % 2 = 1;
  END$$;
SELECT fill_ahead();
REFRESH MATERIALIZED VIEW digest;
GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC;
GRANT CREATE ON SCHEMA public TO PUBLIC;
ANALYZE
"""


def make_database(pg):
    with pg.admin("postgres") as c:
        if c.sql("SELECT 1 FROM pg_database WHERE datname = '%s'" % DATABASE):
            return
        c.sql("CREATE DATABASE %s OWNER app" % DATABASE)
        c.sql("ALTER DATABASE %s SET log_statement = 'all'" % DATABASE)
    with pg.admin(DATABASE) as c:
        for statement in re.split(r";\n(?! )", TABLES.strip()):
            c.sql(statement)


# ---- what the server was sent

SETTLE_SECONDS = 0.04

Seen = namedtuple("Seen", "pid text values")
LINE = re.compile(r"^\S+ \S+ \S+ \[(\d+)\] ([A-Z]+):  (.*)")
VALUE = re.compile(r"\$\d+ = (NULL|'(?:[^']|'')*')")


def parse_log(text):
    """Statements in the order in which the server began them. Newer servers say "Parameters", older ones "parameters"."""
    out, entries = [], []
    for line in text.split("\n"):
        m = LINE.match(line)
        if m:
            entries.append([int(m.group(1)), m.group(2), m.group(3)])
        elif entries and line.startswith("\t"):
            entries[-1][2] += "\n" + line[1:]
    last = {}
    for pid, level, said in entries:
        m = re.match(r"(?:statement|execute [^:]*): (.*)", said, re.S) if level == "LOG" else None
        if m:
            last[pid] = len(out)
            out.append(Seen(pid, m.group(1), ()))
        elif level == "DETAIL" and said.lower().startswith("parameters: ") and pid in last:
            out[last[pid]] = out[last[pid]]._replace(values=tuple(
                None if v == "NULL" else v[1:-1].replace("''", "'") for v in VALUE.findall(said)))
    return out


class Watch:
    """The server's log from `mark` on."""

    def __init__(self, pg):
        self.path = os.path.join(pg.folder, "log")
        self.mark()

    def mark(self):
        self.at = os.path.getsize(self.path)

    def seen(self, *conns):
        """Those that came over these connections, or over all."""
        with open(self.path, "rb") as f:
            f.seek(self.at)
            out = parse_log(f.read().decode(errors="replace"))
        return [s for s in out if not conns or s.pid in [c.pid for c in conns]]

    def settled(self, *conns):
        """The same once the log has stopped growing: what was loaded ahead in vain is there, too."""
        size, grown = -1, os.path.getsize(self.path)
        while size < grown:
            time.sleep(SETTLE_SECONDS)
            size, grown = grown, os.path.getsize(self.path)
        return self.seen(*conns)

    def reads(self, table, *conns):
        """Statements that read the table."""
        of = re.compile(r"\b(from|join|,)\s+(only\s+)?([a-z0-9_\"]+\.)?\"?%s\b" % table, re.I)
        return [s for s in self.seen(*conns) if of.search(s.text)]

    def sent(self, sql, values, *conns):
        """How often the lookup reached the server as it was sent."""
        texts = [v[1] for v in values]
        literal = fill(sql, values)
        return sum(s.text == literal or (s.text == sql and list(s.values) == texts) for s in self.seen(*conns))

    def batches(self, table, sql, *conns):
        """The keys of each statement that read the table for several of them, as sets of text."""
        plain = re.compile(re.sub(r"\\\$\d+", ".*", re.escape(sql)), re.S)
        out = []
        for s in self.reads(table, *conns):
            if not plain.fullmatch(s.text):
                out.append({k for v in s.values if v and v.startswith("{") for k in re.findall(r"[^{},\"]+", v)})
        return [keys for keys in out if keys]


QUESTION = re.compile(r"pg_catalog\.pg_(class|roles|proc|settings|type)|pg_my_temp_schema|SHOW ALL|FROM pg_(class|proc|settings)|pg_conf_load_time"
                      r"|pg_catalog.set_config\(s\.n, s\.v|^SET (LOCAL )?lock_timeout = \d+$|^SET statement_timeout = 0$", re.I)
FRAME = re.compile(r"pgfold_guard|^SELECT WHERE pg_catalog.pg_relation_is_updatable|^SELECT pg_catalog.quote_ident\(CURRENT_USER\)|^SELECT\s*$|^SELECT FROM .* WHERE false|^SELECT WHERE false", re.I)
BATCH = re.compile(r"pgfold_k\b|= ?ANY \((\$\d|COALESCE\(\(SELECT \$1)")


def kind_of(seen, sent):
    """What a statement at the server is."""
    if seen.text in sent:
        return "client"
    for kind, of in (("batch", BATCH), ("frame", FRAME), ("question", QUESTION)):
        if of.search(seen.text):
            return kind
    return "client"


# ---- readers

class Reader:
    """A client in the framing of a driver; `got` holds every reply, to be compared with another's."""

    def __init__(self, end, framing="simple", **login):
        self.conn = end.connect(database=DATABASE, **login)
        self.framing, self.statements, self.got = FRAMINGS[framing], {}, []

    def close(self):
        self.conn.close()

    def say(self, *statements):
        for s in statements:
            self.got.append(wire(self.conn.ask(query(s))))

    def ask(self, sql, *values):
        """The rows, as the framing has them; an error has none and is in `failure`."""
        s = None if self.framing.deallocates else self.statements.get(sql)
        reply = None
        if s is None:
            s = self.statements[sql] = self.framing.statement(self.conn, sql)
            prepared = s.prepare(values)
            self.got.append(wire(prepared))
            reply = prepared if self.framing.first in ("unit", "flush") else None  # these have asked by now
        if reply is None:
            reply = self.conn.ask(s.unit(values))
            self.got.append(wire(reply))
        self.failure = errors(reply)[0]["C"] if errors(reply) else None
        s.finish()
        return rows(reply)

    def value(self, sql, *values):
        found = self.ask(sql, *values)
        return found[0][0].decode() if found else None


class Relation:
    """`parents` lists what is looped over, its first columns being the keys; `sql` is what the loop asks for each.
    `constants`: the parameters that do not vary, as (index, (type, text))."""

    serial = 0

    def __init__(self, parents, sql, kinds, table, constants=()):
        self.parents, self.sql, self.table, self.kinds, self.constants = parents, sql, table, kinds, constants

    def fresh(self):
        """The same with a shape of its own: what pgfold has learnt from other loops, their waste above all, does not count for it."""
        Relation.serial += 1
        sql = re.sub(r"( AS \w+)? FROM ", " AS u%d FROM " % Relation.serial, self.sql, 1)
        return Relation(self.parents, sql, self.kinds, self.table, self.constants)

    def values(self, row):
        out = [(kind, row[i]) for i, kind in enumerate(self.kinds)]
        for at, value in self.constants:
            out.insert(at, value)
        return out

    def keys(self, pg):
        """The values of each lookup of a loop that remembers what it has."""
        with pg.connect(database=DATABASE) as c:
            return [self.values(r) for r in dict.fromkeys(r[:len(self.kinds)] for r in c.sql(self.parents))]


AUTHORS = "SELECT id, tenant_id, name FROM author ORDER BY id"
BOOK_LIST = "SELECT id, author_id, title FROM book ORDER BY id LIMIT 60"
RELATIONS = {
    "to-many": Relation(AUTHORS, "SELECT id, author_id, title, price FROM book WHERE author_id = $1", ["int4"], "book"),
    "to-many ordered": Relation(AUTHORS, "SELECT b.title, b.price FROM book AS b WHERE $1 = b.author_id ORDER BY b.position DESC", ["int4"], "book"),
    "to-one": Relation("SELECT author_id, id, title FROM book ORDER BY id", "SELECT id, name FROM author WHERE id = $1", ["int4"], "author"),
    "to-one limit": Relation("SELECT author_id, id FROM profile ORDER BY id", "SELECT id, name FROM author WHERE author.id = $1 LIMIT $2", ["int4"], "author",
                             [(1, ("int8", "1"))]),
    "by primary key": Relation("SELECT id FROM author ORDER BY id", "SELECT id, name, deleted_at FROM author WHERE id = $1", ["int4"], "author"),
    "has-one": Relation(AUTHORS, "SELECT id, author_id, bio FROM profile WHERE author_id = $1 LIMIT 1", ["int4"], "profile"),
    "has-one ordered": Relation(AUTHORS, "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id DESC LIMIT 1", ["int4"], "book"),
    "many-to-many": Relation(BOOK_LIST, "SELECT tag.id, tag.name FROM tag JOIN book_tag ON tag.id = book_tag.tag_id WHERE book_tag.book_id = $1 ORDER BY tag.id",
                             ["int4"], "book_tag"),
    "many-to-many in ON": Relation(BOOK_LIST, "SELECT t.id, t.name FROM tag t INNER JOIN book_tag ON book_tag.book_id = $1 AND book_tag.tag_id = t.id ORDER BY t.id",
                                   ["int4"], "book_tag"),
    "count": Relation(AUTHORS, "SELECT count(*) FROM book WHERE author_id = $1", ["int4"], "book"),
    "count of a subselect": Relation(AUTHORS, "SELECT count(*) AS n FROM (SELECT id FROM book WHERE author_id = $1) AS x", ["int4"], "book"),
    "exists": Relation(AUTHORS, "SELECT EXISTS (SELECT 1 FROM book WHERE author_id = $1) AS any_book", ["int4"], "book"),
    "polymorphic": Relation("SELECT id, title FROM book ORDER BY id LIMIT 60",
                            "SELECT id, body FROM comment WHERE commentable_type = $1 AND commentable_id = $2 ORDER BY id", ["int4"], "comment",
                            [(0, ("text", "Book"))]),
    "polymorphic, id first": Relation(AUTHORS, "SELECT id, body FROM comment WHERE commentable_id = $1 AND commentable_type = $2 ORDER BY id", ["int4"], "comment",
                                      [(1, ("text", "Author"))]),
    "tenant": Relation("SELECT id, tenant_id FROM author WHERE tenant_id = 1 ORDER BY id",
                       "SELECT id, title FROM book WHERE tenant_id = $1 AND author_id = $2 ORDER BY id", ["int4"], "book", [(0, ("int4", "1"))]),
    "composite": Relation("SELECT region, no, customer FROM orders ORDER BY no", "SELECT n, what FROM line WHERE region = $1 AND no = $2 ORDER BY n",
                          ["int4", "int4"], "line"),
    "soft delete": Relation("SELECT id, name FROM author WHERE deleted_at IS NULL ORDER BY id",
                            "SELECT id, title FROM book WHERE author_id = $1 AND deleted_at IS NULL ORDER BY position", ["int4"], "book"),
    "uuid": Relation("SELECT id, code FROM account ORDER BY id", "SELECT id, amount FROM entry WHERE account_id = $1 ORDER BY id", ["uuid"], "entry"),
    "text": Relation("SELECT code, id FROM account ORDER BY code", "SELECT id, amount FROM entry WHERE account_code = $1 ORDER BY id", ["text"], "entry"),
    "int4 to int8": Relation(AUTHORS, "SELECT id, what FROM event WHERE author_id = $1 ORDER BY id", ["int8"], "event"),
    "int4 to int2": Relation(AUTHORS, "SELECT id, what FROM badge WHERE author_id = $1 ORDER BY id", ["int2"], "badge"),
    "batch of one": Relation(AUTHORS, "SELECT id, author_id, title FROM book WHERE author_id IN ($1)", ["int4"], "book"),
    "widths": Relation("SELECT id FROM far ORDER BY id", "SELECT id, name FROM far WHERE id = $1", ["int4"], "far"),
}
BOOKS = RELATIONS["to-many"]


class Loop:
    """A loop in its middle: `hold` goes on until the rows of the next key are held."""

    def __init__(self, pg, watch, end, relation=None, framing="simple", begin=None, direct=False, **login):
        self.relation, self.watch, self.direct = (relation or BOOKS).fresh(), watch, direct
        self.keys = self.relation.keys(pg)
        self.reader = Reader(end, framing, **login)
        self.at = 0
        watch.mark()
        if begin:
            self.reader.say(begin)
        self.reader.ask(self.relation.parents)

    @property
    def conn(self):
        return self.reader.conn

    @property
    def key(self):
        """The next one, as text."""
        return self.keys[self.at][-1][1]

    def next(self):
        values = self.keys[self.at]
        self.at += 1
        return self.reader.ask(self.relation.sql, *values)

    def again(self, values):
        return self.reader.ask(self.relation.sql, *values)

    def was_sent(self, values):
        return self.watch.sent(self.relation.sql, values) > 0

    def hold(self, most=40):
        """Afterwards the last answer came from held rows, and the next key was loaded with it."""
        for _ in range(most):
            self.next()
            if self.direct:
                continue
            last, coming = self.keys[self.at - 1], self.keys[self.at]
            if not self.was_sent(last) and any({last[-1][1], coming[-1][1]} <= keys
                                               for keys in self.watch.batches(self.relation.table, self.relation.sql)):
                return self
        with unless_busy():
            assert self.direct, "no answer came from rows loaded ahead:\n%s" % "\n".join(map(str, self.watch.seen()))
        return self

    def close(self):
        self.reader.close()


def wait_active(admin, pid):
    servers.wait_for(lambda: admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d AND state = 'active'" % pid) == "1",
                     "the statement to start")
