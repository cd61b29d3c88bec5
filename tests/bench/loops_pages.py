# SPDX-License-Identifier: PostgreSQL
"""The loops of loops.py: the schema, and for each loop what a program does. A `Loop` has a list and what is done for each of its rows, so that it can
be broken off or gone through in another order; a `Page` is any function of a client. `direct` is not stated but measured; `wanted` is the most that
may reach the server through pgfold from the second time on. `c.mark()` counts from there on.
"""
import re
from dataclasses import dataclass
from typing import Callable

import proto

DATABASE = "loops"
SCHEMA = """
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TABLE author (id int PRIMARY KEY, tenant_id int NOT NULL, name text NOT NULL, seen timestamptz);
INSERT INTO author SELECT i, i % 3, 'author ' || i, '2024-01-01Z'::timestamptz + i * interval '1 h' FROM generate_series(1, 100) i;
CREATE TABLE book (id int PRIMARY KEY, author_id int NOT NULL REFERENCES author, tenant_id int NOT NULL, title text, at timestamptz NOT NULL);
INSERT INTO book SELECT i, i * 37 % 100 + 1, (i * 37 % 100 + 1) % 3, 'book ' || i, '2024-01-01Z'::timestamptz + i * interval '1 h' FROM generate_series(1, 500) i;
CREATE INDEX ON book (author_id);
CREATE TABLE audit (id serial PRIMARY KEY, what text);
CREATE TABLE trail (id serial PRIMARY KEY, what text);
CREATE FUNCTION stamped() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.what := NEW.what || now(); RETURN NEW; END';
CREATE TRIGGER stamped BEFORE INSERT ON trail FOR EACH ROW EXECUTE FUNCTION stamped();
CREATE VIEW book_view AS SELECT id, author_id, title FROM book WHERE at < '2030-01-01Z';
CREATE VIEW book_of_author AS SELECT b.id, b.author_id, b.title, a.name FROM book b JOIN author a ON a.id = b.author_id;
CREATE FUNCTION is_open(int) RETURNS bool STABLE LANGUAGE sql AS 'SELECT $1 IS NOT NULL';
CREATE FUNCTION tenant_of(int) RETURNS int STABLE LANGUAGE sql AS 'SELECT tenant_id FROM author WHERE id = $1';
CREATE FUNCTION books_of(int) RETURNS SETOF book STABLE LANGUAGE sql AS 'SELECT * FROM book WHERE author_id = $1';
CREATE TABLE secret (id int PRIMARY KEY, author_id int NOT NULL REFERENCES author, tenant_id int NOT NULL, title text);
INSERT INTO secret SELECT i, i * 37 % 100 + 1, i % 2 + 1, 'secret ' || i FROM generate_series(1, 500) i;
CREATE INDEX ON secret (author_id);
ALTER TABLE secret ENABLE ROW LEVEL SECURITY;
CREATE POLICY by_tenant ON secret USING (tenant_id = current_setting('app.tenant', true)::int);
CREATE TABLE comment (id int PRIMARY KEY, record_type text NOT NULL, record_id int NOT NULL, body text);
INSERT INTO comment SELECT i, (ARRAY['Author', 'Book'])[i % 2 + 1], i / 2 % 100 + 1, 'comment ' || i FROM generate_series(1, 600) i;
CREATE INDEX ON comment (record_id);
CREATE TABLE note (id int PRIMARY KEY, record_type text NOT NULL, record_id text NOT NULL, body text);
INSERT INTO note SELECT 1000 + i, 'Author', (101 - i)::text, 'note ' || i FROM generate_series(1, 100) i;
CREATE INDEX ON note (record_id);
CREATE TABLE tag (id int PRIMARY KEY, name text);
INSERT INTO tag SELECT i, 'tag ' || i FROM generate_series(1, 100) i;
CREATE TABLE post (id int PRIMARY KEY, tag_ids int[]);
INSERT INTO post SELECT i, ARRAY(SELECT (i - 1) * 5 + k FROM generate_series(1, 5) k) FROM generate_series(1, 20) i;
CREATE TABLE category (id int PRIMARY KEY, name text);
INSERT INTO category SELECT i, 'category ' || i FROM generate_series(1, 300) i;
CREATE TABLE wide (id int PRIMARY KEY, title text, posted timestamptz, {wide}, category_id int REFERENCES category, visible bool, slug text, sub_id uuid);
INSERT INTO wide SELECT i, 'wide ' || i, '2024-01-01Z'::timestamptz + i * interval '1 h', {wide_values}, i * 7 % 300 + 1, true, 's' || i, md5(i::text)::uuid
       FROM generate_series(1, 200) i;
CREATE INDEX ON wide (category_id);
CREATE TABLE orders (region int, no int, customer text, PRIMARY KEY (region, no));
INSERT INTO orders SELECT i % 20 + 1, i, 'customer ' || i FROM generate_series(1, 200) i;
CREATE TABLE line (region int, no int, n int, what text, PRIMARY KEY (region, no, n), FOREIGN KEY (region, no) REFERENCES orders);
INSERT INTO line SELECT i % 20 + 1, i, n, 'line ' || n FROM generate_series(1, 200) i, generate_series(1, 3) n;
CREATE TABLE shelf (region int, no int, n int, what text);
INSERT INTO shelf SELECT * FROM line;
CREATE INDEX ON shelf (region, no);
CREATE TABLE topic (id int PRIMARY KEY, title text, seen timestamptz, most int);
INSERT INTO topic SELECT i, 'topic ' || i, '2024-01-01Z'::timestamptz + i * interval '17 min', 1 + i % 7 FROM generate_series(1, 300) i;
CREATE TABLE message (id int PRIMARY KEY, topic_id int REFERENCES topic, created timestamptz, body text);
INSERT INTO message SELECT (t - 1) * 20 + b, t, '2024-01-01Z'::timestamptz + (t + b) * interval '16 min', 'message ' || b FROM generate_series(1, 300) t, generate_series(1, 20) b;
CREATE INDEX ON message (topic_id, created);
CREATE TYPE mood AS ENUM ({moods});
CREATE TABLE person (id int PRIMARY KEY, name text);
INSERT INTO person SELECT i, 'person ' || i FROM generate_series(1, 200) i;
CREATE TABLE friend (a int REFERENCES person, b int REFERENCES person, since int);
INSERT INTO friend SELECT i, i * 7 % 200 + 1, i FROM generate_series(1, 200) i;
CREATE INDEX ON friend (a);
CREATE INDEX ON friend (b);
CREATE TABLE node (id int PRIMARY KEY, parent_id int REFERENCES node, name text);
INSERT INTO node SELECT i, CASE WHEN i > 1 THEN (i + 2) / 4 END, 'node ' || i FROM generate_series(1, 340) i;
CREATE INDEX ON node (parent_id);
CREATE TABLE twig (id int PRIMARY KEY, parent_id int REFERENCES twig, name text);
INSERT INTO twig SELECT i, CASE WHEN i > 1 THEN (i + 2) / 4 END, 'twig ' || i FROM generate_series(1, 119) i;
CREATE INDEX ON twig (parent_id);
CREATE TABLE doc (doc_id uuid PRIMARY KEY, name text);
INSERT INTO doc SELECT md5(i::text)::uuid, 'doc ' || i FROM generate_series(1, 111) i;
CREATE TABLE part (id int PRIMARY KEY, doc_id uuid REFERENCES doc, body text);
INSERT INTO part SELECT i, md5((i % 111 + 1)::text)::uuid, 'part ' || i FROM generate_series(1, 333) i;
CREATE INDEX ON part (doc_id);
CREATE TABLE users (id int PRIMARY KEY, name text);
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 102) i;
CREATE TABLE logins (id int PRIMARY KEY, user_id int REFERENCES users, created_at timestamptz);
INSERT INTO logins SELECT i, i % 102 + 1, '2024-01-01Z'::timestamptz + i * interval '1 h' FROM generate_series(1, 408) i;
CREATE INDEX ON logins (user_id);
CREATE TABLE long_text (code text PRIMARY KEY, name text);
INSERT INTO long_text SELECT repeat(md5(i::text), 20), 'long ' || i FROM generate_series(1, 100) i
"""
WIDE = ["views", "posts", "user_id", "last_user_id", "replies", "fu1", "fu2", "fu3", "avg_time", "highest", "off_topic", "likes", "incoming", "marks", "stars"]
# By type, an expression of i that makes a hundred values.
KEYED = {
    "citext": "('Code ' || i)::citext", "numeric": "(i * 1.5)::numeric(10,2)", "date": "'2024-01-01'::date + i", "timestamptz": "'2024-01-01Z'::timestamptz + i * interval '61 min'",
    "mood": "('mood ' || i)::mood", "oid": "(100000 + i)::oid", "bpchar": "('b' || i)::bpchar(8)",
}
KEYED_TABLES = """
CREATE TABLE by_{type} (code {column} PRIMARY KEY, id int);
INSERT INTO by_{type} SELECT {value}, i FROM generate_series(1, 100) i;
CREATE TABLE item_{type} (id int PRIMARY KEY, code {column} REFERENCES by_{type}, body text);
INSERT INTO item_{type} SELECT i * 2 + k, {value}, 'item ' || i FROM generate_series(1, 100) i, generate_series(0, 1) k;
CREATE INDEX ON item_{type} (code)
"""


def make_schema(connection):
    text = SCHEMA.format(wide=", ".join(c + " int NOT NULL" for c in WIDE), wide_values=", ".join("i %% %d" % (n + 2) for n in range(len(WIDE))),
                         moods=", ".join("'mood %d'" % i for i in range(1, 101)))
    for kind, value in KEYED.items():
        column = {"bpchar": "bpchar(8)", "numeric": "numeric(10,2)"}.get(kind, kind)
        text += ";" + KEYED_TABLES.format(type=kind, column=column, value=value)
    for statement in re.split(r";\n", text.replace(";\nCREATE TABLE by_", ";\n CREATE TABLE by_")):
        if statement.strip():
            connection.sql(statement)
    for statement in ("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC", "GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO PUBLIC", "ANALYZE"):
        connection.sql(statement)


# ---- what a loop is

@dataclass
class Page:
    name: str
    row: str          # of the table of loops
    wanted: int       # statements, from the second time on; 0: nobody has said
    page: Callable    # of the client
    client: str = "psycopg2"
    times: int = 12   # on one connection
    setup: tuple = ()  # said once by each connection
    differs: bool = False  # each time is another one

    def run(self, c):
        return self.page(c)


@dataclass
class Loop(Page):
    page: Callable = None
    lists: tuple = ()
    turn: Callable = None  # (client, row)
    around: tuple = ((), ())  # said before the list and behind the loop
    counts_list: bool = True

    def run(self, c, choose=lambda rows: rows):
        for s in self.around[0]:
            c.say(s)
        for sql in self.lists:
            rows = c.list(sql)
        if not self.counts_list:
            c.mark()
        for row in choose(rows):
            self.turn(c, row)
        for s in self.around[1]:
            c.say(s)


PAGES = []


def loop(name, row, wanted, lists, turn, **kw):
    PAGES.append(Loop(name, row, wanted, lists=(lists,) if isinstance(lists, str) else lists, turn=turn, **kw))


def page(name, row, wanted, function, **kw):
    PAGES.append(Page(name, row, wanted, function, **kw))


def lookup(sql, *columns):
    """A turn that asks for it with columns of the row: ("int4", 0) …; a value that is no pair of a type and a place stands for itself."""
    def turn(c, row):
        return c.ask(sql, *((kind, row[at]) if isinstance(at, int) else (kind, at[0]) for kind, at in columns))
    return turn


def turns(*steps):
    """Several of them; a text is said."""
    def turn(c, row):
        for s in steps:
            c.say(s) if isinstance(s, str) else s(c, row)
    return turn


ID = ("int4", 0)
AUTHORS = "SELECT id, tenant_id, name FROM author ORDER BY id"
BOOKS = "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"
books = lookup(BOOKS, ID)
CLIENTS = ["psycopg2", "psycopg", "asyncpg", "pg", "postgres.js", "pgx", "pgjdbc named", "ruby", "pdo"]

# ---- to-many

for client in CLIENTS:
    loop("to-many, " + client, "to-many over integer keys", 4, AUTHORS, books, client=client)

# ---- to-one, without identity map

BOOK_LIST = "SELECT id, author_id, title FROM book ORDER BY id"
MAPPERS = {  # mapper: (statement, further values, client)
    "Django": ('SELECT "author"."id", "author"."name" FROM "author" WHERE "author"."id" = $1 LIMIT 21', (), "psycopg2"),
    "Rails": ('SELECT "author".* FROM "author" WHERE "author"."id" = $1 LIMIT $2', (("int8", ("1",)),), "ruby"),
    "Eloquent": ('select * from "author" where "author"."id" = $1 limit 1', (), "pdo"),
    "Sequelize": ('SELECT "id", "name" FROM "author" AS "Author" WHERE "Author"."id" = $1;', (), "simple"),
    "TypeORM": ('SELECT "Author"."id" AS "Author_id", "Author"."name" AS "Author_name" FROM "author" "Author" WHERE (("Author"."id" = $1)) LIMIT 1', (), "pg"),
    "GORM": ('SELECT * FROM "author" WHERE "author"."id" = $1 ORDER BY "author"."id" LIMIT 1', (), "pgx"),
}
for mapper, (sql, more, client) in MAPPERS.items():
    loop("to-one with repeats, " + mapper, "to-one, without identity map", 12, BOOK_LIST, lookup(sql, ("int4", 1), *more), client=client)
loop("to-one with repeats, in runs", "to-one, without identity map", 12, "SELECT id, author_id, title FROM book ORDER BY author_id, id",
     lookup(MAPPERS["Django"][0], ("int4", 1)))
loop("to-one with repeats, in a transaction", "to-one, without identity map", 14, BOOK_LIST, lookup(MAPPERS["Django"][0], ("int4", 1)), around=(("BEGIN",), ("COMMIT",)))

# ---- what only the session's own loop may read

WIDER = "to-many through a view; now(); a STABLE function; row-level security"
loop("through a view", WIDER, 8, AUTHORS, lookup("SELECT id, title FROM book_view WHERE author_id = $1 ORDER BY id", ID))
loop("through a view over two tables", WIDER, 8, AUTHORS, lookup("SELECT id, title, name FROM book_of_author WHERE author_id = $1 ORDER BY id", ID))
loop("with at <= now()", WIDER, 8, AUTHORS, lookup("SELECT id, title FROM book WHERE author_id = $1 AND at <= now() ORDER BY id", ID))
loop("with a STABLE function of the user's", WIDER, 8, AUTHORS, lookup("SELECT id, title FROM book WHERE author_id = $1 AND is_open(id) ORDER BY id", ID))
loop("with a STABLE function that reads a table", WIDER, 8, AUTHORS, lookup("SELECT id, title, tenant_of(author_id) FROM book WHERE author_id = $1 ORDER BY id", ID))
loop("under row-level security, by SET", WIDER, 8, AUTHORS, lookup("SELECT id, title FROM secret WHERE author_id = $1 ORDER BY id", ID), setup=("SET app.tenant = '1'",))
loop("under row-level security, by set_config in a transaction", WIDER, 12, AUTHORS, lookup("SELECT id, title FROM secret WHERE author_id = $1 ORDER BY id", ID),
     around=(("BEGIN", "SELECT set_config('app.tenant', '2', true)"), ("COMMIT",)))

# ---- something else in each turn

AUDIT = "INSERT INTO audit (what) VALUES ('seen')"
loop("an audit row in each turn", "a relation read and one audit row written in each turn", 108, AUTHORS, turns(books, AUDIT))
loop("an audit row in each turn, in a transaction", "a relation read and one audit row written in each turn", 110, AUTHORS, turns(books, AUDIT),
     around=(("BEGIN",), ("COMMIT",)))
EACH = "BEGIN, read, COMMIT; SAVEPOINT, RELEASE; a ping in each turn"
loop("BEGIN, read, COMMIT in each turn", EACH, 209, AUTHORS, turns("BEGIN", books, "COMMIT"))
loop("BEGIN READ ONLY, read, COMMIT in each turn", EACH, 209, AUTHORS, turns("BEGIN READ ONLY", books, "COMMIT"))
loop("SAVEPOINT, read, RELEASE in each turn", EACH, 211, AUTHORS, turns("SAVEPOINT s", books, "RELEASE s"), around=(("BEGIN",), ("COMMIT",)))
loop("an empty statement in each turn", EACH, 109, AUTHORS, turns(";", books), client="psycopg")
loop("-- ping in each turn", EACH, 109, AUTHORS, turns("-- ping", books), client="psycopg")
loop("SELECT 1 in each turn", EACH, 109, AUTHORS, turns("SELECT 1", books))
loop("SHOW in each turn", EACH, 109, AUTHORS, turns("SHOW transaction_isolation", books))
loop("SET to what it was, in each turn", EACH, 109, AUTHORS, turns("SET statement_timeout = '5s'", books), setup=("SET statement_timeout = '5s'",))

# ---- where the keys come from

SOURCES = "ids as text, keys integers, and the reverse; ids in an array"
AUTHOR = "SELECT id, name FROM author WHERE id = $1"
loop("ids as text, keys integers", SOURCES, 12, "SELECT id, record_type, record_id FROM note ORDER BY id", lookup(AUTHOR, ("int4", 2)))
loop("ids as text, keys integers, pgx", SOURCES, 12, "SELECT id, record_type, record_id FROM note ORDER BY id", lookup(AUTHOR, ("int4", 2)), client="pgx")
loop("ids integers, keys text", SOURCES, 12, AUTHORS, lambda c, row: c.ask("SELECT id, body FROM note WHERE record_type = 'Author' AND record_id = $1", ("text", str(row[0]))))
loop("ids integers, keys text, pgx", SOURCES, 12, AUTHORS,
     lambda c, row: c.ask("SELECT id, body FROM note WHERE record_type = 'Author' AND record_id = $1", ("text", str(row[0]))), client="pgx")


def each_of_array(at):
    def turn(c, row):
        for i in row[at]:
            c.ask("SELECT id, name FROM tag WHERE id = $1", ("int4", i))
    return turn


for client in ("psycopg2", "pgx"):
    loop("ids in an array column, " + client, SOURCES, 12, "SELECT id, tag_ids FROM post ORDER BY id", each_of_array(1), client=client)
    loop("ids in an array_agg of one row, " + client, SOURCES, 12, "SELECT array_agg(id ORDER BY id) FROM tag", each_of_array(0), client=client)
    loop("ids in an array_agg of some rows, " + client, SOURCES, 12, "SELECT id % 4, array_agg(id ORDER BY id) FROM tag GROUP BY 1", each_of_array(1), client=client)

STEPS = "keys in steps, from no list"
MESSAGE = "SELECT id, topic_id, body FROM message WHERE id = $1"


def steps(sql, keys):
    """`keys` of the time, from 0. Who asks for a key again without having read a list is answered by the server: so each time has keys of its own."""
    def run(c):
        c.time = getattr(c, "time", -1) + 1
        for i in keys(c.time):
            c.ask(sql, ("int4", i))
    return run


for client in ("psycopg2", "ruby", "pgx"):
    page("for id in range(…), " + client, STEPS, 15, steps(MESSAGE, lambda time: range(100 * time + 1, 100 * time + 101)), client=client, differs=True)
page("downwards", STEPS, 15, steps(MESSAGE, lambda time: range(6000 - 100 * time, 5900 - 100 * time, -1)), differs=True)
page("in threes", STEPS, 15, steps(MESSAGE, lambda time: range(300 * time + 1, 300 * time + 301, 3)), differs=True)
page("to-many, in steps", STEPS, 15, steps("SELECT id, body FROM message WHERE topic_id = $1 ORDER BY id", lambda time: range(100 * time + 1, 100 * time + 101)), times=3, differs=True)
page("the same range again and again", "the same, which polls (no figure: as directly)", 100, steps(AUTHOR, lambda time: range(1, 101)))

WIDE_LIST = "a SELECT * list whose foreign key is the 16th integer column"
for client in ("psycopg2", "pgx"):
    loop("SELECT *, then the category, " + client, WIDE_LIST, 6, "SELECT * FROM wide ORDER BY id",
         lambda c, row: c.ask("SELECT id, name FROM category WHERE id = $1 LIMIT 1", ("int4", row[18])), counts_list=False, client=client)
loop("SELECT *, then by a slug far behind", WIDE_LIST, 6, "SELECT * FROM wide ORDER BY id",
     lambda c, row: c.ask("SELECT id, title FROM wide WHERE slug = $1", ("text", row[20])), counts_list=False)
loop("SELECT *, then by a uuid at the end", WIDE_LIST, 6, "SELECT * FROM wide ORDER BY id",
     lambda c, row: c.ask("SELECT id, title FROM wide WHERE sub_id = $1", ("uuid", row[21])), counts_list=False)

COMPOSITE = "composite key, both columns vary"
for client in ("psycopg2", "pgx", "pdo"):
    loop("composite key, " + client, COMPOSITE, 8, "SELECT region, no, customer FROM orders ORDER BY no",
         lookup("SELECT n, what FROM line WHERE region = $1 AND no = $2 ORDER BY n", ID, ("int4", 1)), counts_list=False, client=client)
loop("composite key without a foreign key", COMPOSITE, 8, "SELECT region, no, customer FROM orders ORDER BY no",
     lookup("SELECT n, what FROM shelf WHERE region = $1 AND no = $2 ORDER BY n", ID, ("int4", 1)), counts_list=False)
loop("composite key, the list by region", COMPOSITE, 8, "SELECT region, no, customer FROM orders ORDER BY region, no",
     lookup("SELECT n, what FROM line WHERE no = $2 AND region = $1 ORDER BY n", ID, ("int4", 1)), counts_list=False)

SECOND = "a second value beside the key from the same row (created > seen)"
TOPICS = "SELECT id, title, seen, most FROM topic ORDER BY id"
for name, sql, values in [
        ("count since", "SELECT count(*) FROM message WHERE topic_id = $1 AND created > $2", (ID, ("timestamptz", 2))),
        ("rows since", "SELECT id, body FROM message WHERE topic_id = $1 AND created > $2 ORDER BY id", (ID, ("timestamptz", 2))),
        ("rows from an id on", "SELECT id, body FROM message WHERE topic_id = $1 AND id > $2 ORDER BY id LIMIT 5", (ID, ("int4", 3))),
        ("limit of the row", "SELECT id, body FROM message WHERE topic_id = $1 ORDER BY id LIMIT $2", (ID, ("int8", 3))),
        ("key in the select list", "SELECT id, body, $2::int AS t FROM message WHERE topic_id = $1 ORDER BY id", (ID, ID)),
        ("title in the select list", "SELECT id, body, $2::text AS t FROM message WHERE topic_id = $1 ORDER BY id", (ID, ("text", 1))),
        ("order by the row's", "SELECT id FROM message WHERE topic_id = $1 ORDER BY id <> $2, id", (ID, ("int4", 3)))]:
    for client in ("psycopg2", "pgx"):
        loop("%s, %s" % (name, client), SECOND, 10, TOPICS, lookup(sql, *values), counts_list=False, client=client)

TYPES = "keys of type citext, numeric, date, timestamptz, enum, oid, bpchar"
for kind in KEYED:
    for client in ("psycopg2", "psycopg", "pgx"):
        loop("%s, %s" % (kind, client), TYPES, 6, "SELECT code, id FROM by_%s ORDER BY id" % kind,
             lookup("SELECT id, body FROM item_%s WHERE code = $1 ORDER BY id" % kind, ("enum" if kind == "mood" else kind, 0)), counts_list=False, client=client)

EITHER = "a = $1 OR b = $2 with the same value twice"
PEOPLE = "SELECT id, name FROM person ORDER BY id"
for client in ("psycopg", "pgx", "pdo"):
    loop("parameters, " + client, EITHER, 6, PEOPLE, lookup("SELECT a, b, since FROM friend WHERE a = $1 OR b = $2 ORDER BY since", ID, ID), client=client)
loop("one parameter twice, pgx", EITHER, 6, PEOPLE, lookup("SELECT a, b, since FROM friend WHERE a = $1 OR b = $1 ORDER BY since", ID), client="pgx")
loop("literals", EITHER, 6, PEOPLE, lookup("SELECT a, b, since FROM friend WHERE a = $1 OR b = $1 ORDER BY since", ID))

# ---- trees


def breadth_first(table):
    def run(c, choose=lambda rows: rows):
        level = c.list("SELECT id, name FROM %s WHERE parent_id IS NULL" % table)
        while level:
            level = choose([n for r in level for n in c.ask("SELECT id, name FROM %s WHERE parent_id = $1 ORDER BY id" % table, ("int4", r[0]))])
    return run


def depth_first(table):
    def below(c, node, choose):
        for child in choose(c.ask("SELECT id, name FROM %s WHERE parent_id = $1 ORDER BY id" % table, ("int4", node))):
            below(c, child[0], choose)

    def run(c, choose=lambda rows: rows):
        for root in c.list("SELECT id, name FROM %s WHERE parent_id IS NULL" % table):
            below(c, root[0], choose)
    return run


for client in ("psycopg2", "pgx"):
    page("breadth-first, " + client, "breadth-first walk of a table that references itself", 20, breadth_first("node"), client=client)
for client in ("psycopg2", "pgx"):
    page("depth-first, " + client, "depth-first walk down a tree", 25, depth_first("twig"), client=client)

# ---- how they come

PGJDBC = "pgjdbc after its fifth use of a list"
SOME_CATEGORIES = "SELECT id, name FROM category ORDER BY id LIMIT 150"
IN_CATEGORY = "SELECT id, title FROM wide WHERE category_id = $1 ORDER BY id"


def per_column(formats, described):
    """A named list that is described once, then bound with a format for each column."""
    def run(c):
        first = not c.statements.get("list")
        if first:
            c.statements["list"] = True
            c.conn.ask(proto.parse(SOME_CATEGORIES, "L_1"), proto.bind(name="L_1"), proto.describe("P") if described == "P" else proto.describe("S", "L_1"),
                       proto.execute(), proto.SYNC)
        rows = proto.rows(c.conn.ask(proto.bind(name="L_1", result_formats=formats), proto.execute(), proto.SYNC))
        c.mark()
        for row in rows:
            c.ask(IN_CATEGORY, ("int4", int.from_bytes(row[0], "big") if formats[0] else row[0].decode()))
    return run


page("formats 1, 0", PGJDBC, 4, per_column((1, 0), "P"), client="pgjdbc named")
page("formats 1, 0, described with Parse (Postgrex, Vert.x)", PGJDBC, 4, per_column((1, 0), "S"), client="postgrex")
page("formats 0, 0", PGJDBC, 4, per_column((0, 0), "P"), client="pgjdbc named")

CAST = "a literal with a cast on the left"
DOCS = "SELECT doc_id, name FROM doc ORDER BY name"
loop("'…'::uuid = doc_id", CAST, 5, DOCS, lookup("SELECT id, body FROM part WHERE $1 = part.doc_id", ("uuid", 0)))
loop("doc_id = '…'::uuid", CAST, 5, DOCS, lookup("SELECT id, body FROM part WHERE part.doc_id = $1", ("uuid", 0)))
loop("'…' = doc_id, as a text", CAST, 5, DOCS, lambda c, row: c.ask("SELECT id, body FROM part WHERE $1 = part.doc_id", ("text", str(row[0]))))
loop("CAST('…' AS uuid) = doc_id", CAST, 5, DOCS, lambda c, row: c.ask("SELECT id, body FROM part WHERE CAST($1 AS uuid) = part.doc_id", ("text", str(row[0]))))
loop("'…'::uuid = doc_id, in a transaction", CAST, 7, DOCS, lookup("SELECT id, body FROM part WHERE $1 = part.doc_id", ("uuid", 0)), around=(("BEGIN",), ("COMMIT",)))
loop("$1::UUID = doc_id, psycopg", CAST, 5, DOCS, lookup("SELECT id, body FROM part WHERE $1::UUID = part.doc_id", ("uuid", 0)), client="psycopg")

TWICE = "the key twice in one statement"
USERS = "SELECT id, name FROM users ORDER BY id"
LATEST = ('select "logins".* from "logins" inner join (select max("logins"."id") as "id_aggregate", "logins"."user_id" from "logins" where "logins"."user_id" = $1'
          ' and "logins"."user_id" is not null group by "logins"."user_id") as "latestOfMany" on "latestOfMany"."id_aggregate" = "logins"."id"'
          ' and "latestOfMany"."user_id" = "logins"."user_id" where "logins"."user_id" = $2 and "logins"."user_id" is not null limit 1')
UNION = "SELECT id FROM logins WHERE user_id = $1 UNION ALL SELECT -id FROM users WHERE id = $2 ORDER BY 1"
JOINS = "SELECT l.id, u.name FROM users u JOIN logins l ON l.user_id = $1 AND l.created_at > '2024-01-02Z' WHERE u.id = $2 ORDER BY l.id"
for name, sql in (("latestOfMany", LATEST), ("UNION", UNION), ("two joins", JOINS)):
    for client in ("psycopg2", "pdo", "pgx"):
        loop("%s, %s" % (name, client), TWICE, 6, USERS, lookup(sql, ID, ID), client=client)

# ---- transactions

AFTER_WRITE = "transactions that begin with a write, then a loop"
SAVE = "UPDATE author SET seen = seen WHERE id = 1"


def save_then_render(n, save):
    return dict(lists="SELECT id, tenant_id, name FROM author ORDER BY id LIMIT %d" % n, turn=books, around=(("BEGIN", save), ("COMMIT",)))


loop("100 lookups behind an INSERT", AFTER_WRITE, 12, **save_then_render(100, AUDIT))
loop("100 lookups behind an UPDATE", AFTER_WRITE, 12, **save_then_render(100, SAVE))
loop("20 lookups behind an INSERT", AFTER_WRITE, 12, **save_then_render(20, AUDIT))
loop("100 lookups, BEGIN in the unit of the INSERT, pgjdbc", AFTER_WRITE, 12, **save_then_render(100, AUDIT), client="pgjdbc")
loop("100 lookups, pgx", AFTER_WRITE, 12, **save_then_render(100, AUDIT), client="pgx")
TRIGGERED = "INSERT INTO trail (what) VALUES ('saved')"
loop("100 lookups behind an INSERT with a trigger", AFTER_WRITE, 20, **save_then_render(100, TRIGGERED))
loop("100 lookups behind an INSERT with a trigger, pgjdbc", AFTER_WRITE, 20, **save_then_render(100, TRIGGERED), client="pgjdbc")
loop("100 lookups that read what was written", AFTER_WRITE, 12, lists=AUTHORS, turn=books,
     around=(("BEGIN", "UPDATE book SET title = title WHERE id = 1"), ("COMMIT",)))


def each_in_a_transaction(c):
    c.say("BEGIN")
    rows = c.list(AUTHORS)
    c.say("COMMIT")
    for row in rows:
        c.say("BEGIN")
        books(c, row)
        c.say("COMMIT")


for client in ("psycopg2", "psycopg", "pgjdbc", "pgx"):
    page("a session for each call, " + client, "BEGIN; one lookup; COMMIT", 210, each_in_a_transaction, client=client)

# ---- which list

TWO = "two lists with the same small ids"
AUTHOR_IDS, BOOK_IDS = "SELECT id, name FROM author ORDER BY name LIMIT 25", "SELECT id, title FROM book WHERE id <= 25 ORDER BY id"
COMMENTS = "SELECT id, body FROM comment WHERE record_type = $1 AND record_id = $2 ORDER BY id"


def two_lists(order, sql=COMMENTS):
    def run(c):
        authors, found = c.list(AUTHOR_IDS), c.list(BOOK_IDS)
        for kind, rows in (("Author", authors), ("Book", found))[::order]:
            for row in rows:
                c.ask(sql, ("text", kind), ("int4", row[0]))
    return run


def two_relations(c):
    authors, found = c.list(AUTHOR_IDS), c.list("SELECT id, title FROM book ORDER BY title LIMIT 25")
    for row in found:
        c.ask("SELECT id, body FROM comment WHERE record_id = $1 AND record_type = 'Book' ORDER BY id", ("int4", row[0]))
    for row in authors:
        c.ask("SELECT id, body FROM comment WHERE record_id = $1 AND record_type = 'Author' ORDER BY id", ("int4", row[0]))


def in_turn(c):
    authors, found = c.list(AUTHOR_IDS), c.list(BOOK_IDS)
    for a, b in zip(authors, found):
        c.ask(COMMENTS, ("text", "Author"), ("int4", a[0]))
        c.ask(COMMENTS, ("text", "Book"), ("int4", b[0]))


page("polymorphic comments, the newer list first", TWO, 10, two_lists(-1))
page("polymorphic comments, the older list first", TWO, 10, two_lists(1))
page("polymorphic comments, the type a constant", TWO, 10, two_relations)
page("polymorphic comments, in turn", TWO, 10, in_turn)
page("polymorphic comments, pgx", TWO, 10, two_lists(-1), client="pgx")

# ---- what else is left out

LEFT = "left out (no figure: 8 is asked for)"
for name, sql in [
        ("IS NOT DISTINCT FROM x", "SELECT id, title FROM book WHERE author_id IS NOT DISTINCT FROM $1 ORDER BY id"),
        ("IN (SELECT x)", "SELECT id, title FROM book WHERE author_id IN (SELECT $1) ORDER BY id"),
        ("a join with VALUES (x)", "SELECT b.id FROM (VALUES ($1)) v(a) JOIN book b ON b.author_id = v.a ORDER BY b.id"),
        ("json_agg(t)", "SELECT coalesce(json_agg(t), '[]') FROM (SELECT id, title FROM book WHERE author_id = $1 ORDER BY id) t"),
        ("row_to_json(t)", "SELECT row_to_json(t) FROM (SELECT id, title FROM book WHERE author_id = $1 ORDER BY id) t"),
        ("an immutable function in FROM", "SELECT b.id, g FROM book b, generate_series(1, 2) g WHERE b.author_id = $1 ORDER BY b.id, g"),
        ("a STABLE function in FROM", "SELECT id, title FROM books_of($1) ORDER BY id"),
        ("a comment behind a semicolon", "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id; -- by author"),
        ("FETCH FIRST ROW ONLY", "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id FETCH FIRST ROW ONLY")]:
    loop(name, LEFT, 8, AUTHORS, lookup(sql, ID))
loop("a text key of 640 bytes", LEFT, 8, "SELECT code FROM long_text ORDER BY name", lookup("SELECT name FROM long_text WHERE code = $1", ("text", 0)))


def value_in_text(c):
    for row in c.list(AUTHORS):
        c.answer("x", c.conn.ask(proto.unit(BOOKS.replace("$1", str(row[0])), [])), ())


def named_portals(c):
    for row in c.list(AUTHORS):
        c.answer("x", c.conn.ask(proto.parse(BOOKS), proto.bind([str(row[0])], portal="C_1"), proto.describe("P", "C_1"), proto.execute(portal="C_1"), proto.SYNC), ())


def several_with_one_sync(c):
    rows = c.list(AUTHORS)
    c.say("BEGIN")
    for at in range(0, len(rows), 5):
        c.answer("x", c.conn.ask(*(proto.parse(BOOKS) + proto.bind([str(r[0])]) + proto.describe("P") + proto.execute() for r in rows[at:at + 5]), proto.SYNC), ())
    c.say("COMMIT")


def pipelines(c):
    rows = c.list(AUTHORS)
    c.say("BEGIN")
    with c.conn.pipeline():
        cursors = [c.conn.execute(BOOKS.replace("$1", "%s"), (r[0],)) for r in rows]
        for x in cursors:
            c.keep(x.fetchall())
    c.say("COMMIT")


page("Parse Bind Describe Execute Sync with the value in the text", LEFT, 8, value_in_text, client="pg")
page("named portals", LEFT, 8, named_portals, client="pgjdbc named")
page("five lookups with one Sync, in a transaction", LEFT, 14, several_with_one_sync, client="pg")
page("psycopg's pipeline mode in a transaction", LEFT, 14, pipelines, client="psycopg")
loop("lazily parsed statements in a transaction (postgres.js)", LEFT, 10, AUTHORS, books, around=(("BEGIN",), ("COMMIT",)), client="postgres.js")
loop("in a transaction, BEGIN in the unit of the list, pgjdbc", LEFT, 10, AUTHORS, books, around=(("BEGIN",), ("COMMIT",)), client="pgjdbc")



def by_name(name):
    return next(p for p in PAGES if p.name == name)


assert len({(p.name, p.row) for p in PAGES}) == len(PAGES), "two loops with one name"
