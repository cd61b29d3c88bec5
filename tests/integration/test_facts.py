# SPDX-License-Identifier: PostgreSQL
"""What vetting asks the catalogue for lookahead: which columns supply a key, and whose writes count. The query is taken from the server's
log and asked again, since nobody is told its answer.
"""
import re
import subprocess

import pytest

import conftest
import servers

pytestmark = pytest.mark.pgfold
SCHEMA = """
CREATE TABLE author (id int PRIMARY KEY, a int, b int, UNIQUE (a, b));
CREATE TABLE book (id int PRIMARY KEY, author_id int REFERENCES author ON DELETE CASCADE, x int, y int,
                   FOREIGN KEY (y, x) REFERENCES author (a, b));
CREATE TABLE article (id int PRIMARY KEY, author_id int REFERENCES author ON UPDATE SET NULL);
CREATE TABLE review (id int PRIMARY KEY, book_id int REFERENCES book ON DELETE CASCADE);
CREATE TABLE note (id int PRIMARY KEY, book_id int REFERENCES book);
CREATE TABLE event (id int, book_id int REFERENCES book, PRIMARY KEY (id)) PARTITION BY RANGE (id);
CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10);
CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20);
CREATE TABLE watched (id int);
CREATE FUNCTION watch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE TRIGGER w BEFORE INSERT ON watched FOR EACH ROW EXECUTE FUNCTION watch();
CREATE TABLE searched (id int, t text, v tsvector);
CREATE TRIGGER s BEFORE INSERT ON searched FOR EACH ROW EXECUTE FUNCTION tsvector_update_trigger(v, 'pg_catalog.english', t);
CREATE TABLE "Ruled, by one" (id int);
CREATE RULE r AS ON INSERT TO "Ruled, by one" DO ALSO DELETE FROM note;
CREATE TABLE "w\u00e4tched" (id int);
CREATE TRIGGER w BEFORE INSERT ON "w\u00e4tched" FOR EACH ROW EXECUTE FUNCTION watch();
CREATE VIEW seen AS SELECT * FROM note;
CREATE TABLE other (id int PRIMARY KEY)
"""


@pytest.fixture(scope="module")
def facts():
    """facts(text): the links as a list of (candidate, column), and the set of writers; None: all."""
    pg = servers.Postgres(ssl=False, settings={"log_statement": "all"})
    with pg.admin("postgres") as c:
        for statement in SCHEMA.split(";\n"):
            c.sql(statement)

    def ask(text):
        where = "host=127.0.0.1 port=%d user=postgres dbname=postgres" % pg.port
        subprocess.run([conftest.BINARY, "explain", "--server", where], input=text, text=True, check=True, timeout=60,
                       stdout=subprocess.DEVNULL)
        with open(pg.folder + "/log") as f:
            query = re.findall(r"LOG:  execute pgfold_vet[^ ]*: (WITH RECURSIVE .*)", f.read())[-1]
        with pg.admin("postgres") as c:
            row = c.sql(query)[0]  # … links, writers, whether it stands alone; then nine of what is below it
            columns = {(o, n): name for o, n, name in c.sql(
                "SELECT attrelid, attnum, attrelid::regclass || '.' || attname FROM pg_attribute WHERE attnum > 0")}
        row = row[:-9] if "o_steps" in query else row
        numbers, *called = (row[-3] or "").split("\n")
        links = [link.split(":") for link in numbers.split(",") if link]
        assert [columns[o, a] for _, o, a, _ in links] == [name.removeprefix("public.") for name in called if name]
        n, *names = (row[-2] or "").split("\n")
        assert not row[-2] or int(n) == len(names)
        return [(int(k), columns[o, a]) for k, o, a, _ in links], set(names) if row[-2] else None
    yield ask
    pg.remove()


def test_a_primary_key(facts):
    links, writers = facts("SELECT * FROM author WHERE id = 1")
    assert links[0] == (0, "author.id") and set(links) == {(0, "author.id"), (0, "book.author_id"), (0, "article.author_id")}
    assert writers == {"author"}, "what references it is no writer of it"


def test_a_foreign_key(facts):
    links, writers = facts("SELECT * FROM book WHERE author_id = 1")
    assert links == [(0, "book.author_id"), (0, "author.id"), (0, "article.author_id")]
    assert writers == {"book", "author"}


def test_cascades_go_on(facts):
    assert facts("SELECT * FROM review WHERE id = 1")[1] == {"review", "book", "author"}
    assert facts("SELECT * FROM article WHERE id = 1")[1] == {"article", "author"}
    assert facts("SELECT * FROM note WHERE id = 1")[1] == {"note"}


def test_a_composite_key_goes_by_position(facts):
    links, _ = facts("SELECT * FROM book WHERE x = 1 AND y = 2")
    assert links == [(0, "book.x"), (1, "book.y"), (0, "author.b"), (1, "author.a")]


def test_partitions_in_both_directions(facts):
    tree = {"event", "event_1", "event_2"}
    for table in sorted(tree):
        links, writers = facts("SELECT * FROM %s WHERE book_id = 1" % table)
        assert writers is None, "past pgfold a partition may get another name, or be a new one"
        assert links[:2] == [(0, table + ".book_id"), (0, "book.id")]
        assert {c for _, c in links[2:]} >= {"review.book_id", "note.book_id"}


def test_a_join(facts):
    links, writers = facts("SELECT * FROM review r JOIN book b ON b.id = r.book_id WHERE b.author_id = 1")
    assert links == [(0, "book.author_id"), (0, "author.id"), (0, "article.author_id")]
    assert writers == {"review", "book", "author"}


def test_a_candidate_without_a_plain_column(facts):
    links, writers = facts("SELECT * FROM other WHERE id = 1 + 0 AND id = 1")
    assert links == [(1, "other.id")] and writers == {"other"}
