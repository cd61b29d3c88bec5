# SPDX-License-Identifier: PostgreSQL
"""The first page of a nested loop, in a transaction, of texts that nobody has sent before: pgfold asks the catalogue about each of them, and the client does not
wait for what it asks. And what is asked may fail: the client's transaction goes on as if nothing had been asked."""
import os
import re
import time

import pytest

import ahead
import conftest
import orm_pages
import proto
import servers
from ahead import Reader
from busy import unless_busy
from test_cancel import cancel
from test_lookahead import db, opened  # noqa: F401
from test_with_list import fresh, made  # noqa: F401

DELAY_US = 20000  # there and back: long beside what the catalogue's answers take
WAITED = 0.8 * DELAY_US / 1e6  # seconds
LEVELS = ("SELECT id, name FROM author WHERE id BETWEEN 20 AND 39 ORDER BY id", "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id",
          "SELECT id, stars FROM review WHERE book_id = $1 ORDER BY id")


@pytest.fixture(scope="module")
def far(db, tmp_path_factory):
    relay = orm_pages.Relay(db, str(tmp_path_factory.mktemp("far")), DELAY_US)
    yield relay
    relay.stop()


class Timed(Reader):
    """Counts what has waited for the server."""
    waits = 0

    def timed(self, ask, *what):
        began = time.monotonic()
        got = ask(*what)
        self.waits += time.monotonic() - began >= WAITED
        return got

    def say(self, *statements):
        self.timed(super().say, *statements)

    def ask(self, sql, *values):
        return self.timed(super().ask, sql, *values)


def text_of(cell):
    return cell.decode() if isinstance(cell, bytes) else str(cell)


def page(reader, levels, begin="BEGIN", ends="COMMIT"):
    reader.say(begin)
    authors = reader.ask(levels[0])
    assert len(authors) == 20
    for author in authors:
        for book in reader.ask(levels[1], ("int4", text_of(author[0]))):
            reader.ask(levels[2], ("int4", text_of(book[0])))
    reader.say(ends)


def read(end, opened, levels, framing="simple", **kw):
    reader = opened(Timed(end, framing))
    reader.say("BEGIN", "SELECT id FROM tag ORDER BY id", "COMMIT")  # the connection is proven
    reader.got, reader.waits = [], 0
    page(reader, levels, **kw)
    return reader


@pytest.mark.parametrize("end", ["COMMIT", "ROLLBACK"])
@pytest.mark.parametrize("framing", ["simple", "pg"])
def test_waits(db, far, made, opened, framing, end):
    """The list, with BEGIN; the first child; the first two grandchildren; and one more where the catalogue answers slowly."""
    levels = [fresh(sql) for sql in LEVELS]
    want = read(db, opened, levels, framing, ends=end)
    got = read(made(), opened, levels, framing, ends=end)
    assert got.got == want.got
    with unless_busy():
        assert got.waits <= len(levels) + 2, got.waits


@pytest.mark.pgfold
def test_a_page_without_foreign_keys(db, far, opened):
    """With the usual max_age: the pace of the outer loop is the client's, not the server's, so all that is left of it is loaded at once."""
    with db.admin(ahead.DATABASE) as a:
        for table, columns, rows in (("author", "id int PRIMARY KEY, name text", "i, 'a'"), ("book", "id int PRIMARY KEY, author_id int, title text", "i, i / 3, 'b'"),
                                     ("review", "id int PRIMARY KEY, book_id int, stars int", "i, i / 3, 5")):
            a.sql("DROP TABLE IF EXISTS loose_%s" % table)
            a.sql("CREATE TABLE loose_%s (%s)" % (table, columns))
            a.sql("INSERT INTO loose_%s SELECT %s FROM generate_series(1, 900) i" % (table, rows))
            a.sql("GRANT SELECT ON loose_%s TO PUBLIC" % table)
        for index in ("book (author_id)", "review (book_id)"):
            a.sql("CREATE INDEX ON loose_" + index)
    levels = [re.sub(r" FROM (\w+)", r" FROM loose_\1", fresh(sql)) for sql in LEVELS]
    p = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=disable" % far.port)
    try:
        want, got = read(db, opened, levels), read(p, opened, levels)
        assert got.got == want.got
        with unless_busy():
            assert got.waits <= 14, got.waits  # 16 and more where the outer loop's waits counted
    finally:
        p.stop()


@pytest.mark.parametrize("level", ["REPEATABLE READ", "READ COMMITTED READ ONLY"])
def test_levels(db, far, made, opened, level):
    levels = [fresh(sql) for sql in LEVELS]
    begin = "BEGIN ISOLATION LEVEL " + level
    assert read(made(), opened, levels, begin=begin).got == read(db, opened, levels, begin=begin).got


# ---- what is asked fails

OWN = "first_page"
REFUSED = {"the question": "to_regclass(text)", "what is in front of it": "pg_relation_is_updatable(regclass, bool)", "its settings": "set_config(text, text, bool)"}


@pytest.fixture(scope="module")
def own(db):
    """A database of its own: {refused: function}"""
    with db.admin("postgres") as c:
        c.sql("CREATE DATABASE %s OWNER app" % OWN)
    with db.admin(OWN) as c:
        for statement in ("CREATE TABLE author (id int PRIMARY KEY, name text)", "CREATE TABLE book (id int PRIMARY KEY, author_id int REFERENCES author, title text)",
                          "CREATE TABLE review (id int PRIMARY KEY, book_id int REFERENCES book, stars int)", "CREATE TABLE tag (id int PRIMARY KEY)",
                          "INSERT INTO author SELECT i, 'author ' || i FROM generate_series(1, 60) i", "INSERT INTO book SELECT i, 1 + i % 60, 'book ' || i FROM generate_series(1, 180) i",
                          "INSERT INTO review SELECT i, 1 + i % 180, i % 5 FROM generate_series(1, 360) i", "GRANT ALL ON ALL TABLES IN SCHEMA public TO app"):
            c.sql(statement)
    yield db
    with db.admin("postgres") as c:
        c.sql("DROP DATABASE %s WITH (FORCE)" % OWN)


@pytest.fixture(params=REFUSED)
def refused(own, request):
    function = "pg_catalog." + REFUSED[request.param]
    with own.admin(OWN) as c:
        c.sql("REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC" % function)
    yield function
    with own.admin(OWN) as c:
        c.sql("GRANT EXECUTE ON FUNCTION %s TO PUBLIC" % function)


def failing(end, monkeypatch, opened, levels, framing):
    monkeypatch.setattr(ahead, "DATABASE", OWN)
    reader = opened(Reader(end, framing))
    for write in range(2):
        reader.say("BEGIN", "SAVEPOINT mine")
        page(reader, levels, begin="SAVEPOINT below", ends="RELEASE SAVEPOINT below")
        reader.say("INSERT INTO tag VALUES (%d)" % write, "SELECT id FROM tag ORDER BY id", "ROLLBACK TO SAVEPOINT mine", "SELECT id FROM tag", "SELECT 1 / 0")
        reader.ask(levels[1], ("int4", "7"))
        reader.say("ROLLBACK TO SAVEPOINT mine", "SELECT count(*) FROM book", "COMMIT", "SELECT count(*) FROM tag")
    return reader.got


def denied(pg):
    with open(os.path.join(pg.folder, "log"), errors="replace") as f:
        return f.read().count("permission denied for function")


@pytest.mark.parametrize("framing", ["simple", "pg", "psycopg"])
def test_fails(own, far, made, opened, refused, monkeypatch, framing):
    levels = [fresh(sql) for sql in LEVELS]
    want = failing(own, monkeypatch, opened, levels, framing)
    before = denied(own)
    assert failing(made(), monkeypatch, opened, levels, framing) == want
    assert denied(own) > before


GUARDS = ["pgfold_guard", "PGFOLD_Guard", '"pgfold_guard"', 'U&"\\0070gfold_guard"', "/* a */ pgfold_guard"]


@pytest.fixture(scope="module")
def near(db):
    p = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=disable" % db.port, servers.PATIENT | ahead.PATIENT)
    yield p
    p.stop()


def guarded(end, opened, texts, framing, guard, level):
    """The client's own savepoint has the name of pgfold's, and its first, second or third lookup fails, behind which something is asked."""
    reader = opened(Reader(end, framing))
    reader.say("BEGIN", "SELECT id FROM tag ORDER BY id", "COMMIT")
    for text in texts[1:]:
        reader.say("BEGIN ISOLATION LEVEL " + level, "SAVEPOINT " + guard, texts[0])
        for key in ("20", "21", "22"):
            reader.ask(text, ("int4", key))
        reader.say("SELECT count(*) FROM book", "ROLLBACK TO SAVEPOINT " + guard, "SELECT count(*) FROM book")
        reader.ask(text, ("int4", "30"))
        reader.say("ROLLBACK", "SELECT count(*) FROM book")
    return reader.got


@pytest.mark.parametrize("framing", ["simple", "psycopg", "pg"])
@pytest.mark.parametrize("guard", ["pgfold_guard", "PGFOLD_Guard", '"pgfold_guard"', 'U&"\\0070gfold_guard"', "/* a */ pgfold_guard"])
@pytest.mark.parametrize("level", ["READ COMMITTED", "REPEATABLE READ"])
def test_savepoint_of_the_same_name(db, far, made, near, opened, framing, guard, level):
    with db.connect("app", ahead.DATABASE) as c:
        wrong = [c.value("SELECT min(id) FROM book WHERE author_id = %d" % key) for key in (20, 21, 22)]
    want = None
    for end in (db, near, made()):
        texts = [LEVELS[0]] + [LEVELS[1].replace(", title", ", 1 / (id - %s) AS title" % id_) for id_ in wrong]
        texts = [re.sub(r"\bl([0-9]+)\b", lambda m: "l" + m.group(1).zfill(6), fresh(text)) for text in texts]  # of one length
        got = [re.sub(rb"\bl[0-9]+\b", b"l", reply) for reply in guarded(end, opened, texts, framing, guard, level)]
        want = want or got
        assert got == want


def test_cancel(db, far, made, opened):
    """A cancel request while what is asked is under way: the transaction fails or goes on by what the client's own statement does."""
    levels = [fresh(sql) for sql in LEVELS]
    reader = opened(Reader(made(), "simple"))
    reader.say("BEGIN", levels[0])
    reader.conn.send(proto.query(levels[1].replace("$1", "20")))
    time.sleep(DELAY_US / 2e6)
    cancel(made(), reader.conn.pid, reader.conn.secret)
    reply = reader.conn.ready()
    status = reply[-1].body
    codes = [e["C"] for e in proto.errors(reply)]
    assert (status, codes) in ((b"T", []), (b"E", ["57014"])), (status, codes)
    reader.say("ROLLBACK")
    assert reader.value("SELECT count(*) FROM author") == "60"


# ---- what neither the client nor the server has

CLEAR = "SELECT pg_advisory_unlock_all();\nCLOSE ALL;\nUNLISTEN *;\nRESET ALL;"  # asyncpg's


def unnamed(end, opened, between, rounds):
    """What a Query leaves of the unnamed statement, whether the server gets it or not: nothing."""
    reader = opened(Reader(end, "simple"))
    reader.say("BEGIN", "SELECT id FROM tag ORDER BY id", "COMMIT")
    parses, runs = proto.parse("SELECT id FROM tag WHERE id = $1"), proto.bind(["1"]) + proto.execute() + proto.SYNC
    for _ in range(rounds):
        reader.got.append(proto.wire(reader.conn.ask(parses + runs)))
        reader.say(*between)
        time.sleep(DELAY_US / 1e6)  # what is asked is known then
    for unit in (runs, parses + runs):
        reader.got.append(proto.wire(reader.conn.ask(unit)))
    return reader.got


@pytest.mark.parametrize("between, rounds", [(("BEGIN",), 1), (("BEGIN", "COMMIT"), 1), (("begin", "rollback", "begin", "commit"), 1), ((CLEAR,), 6)])
def test_unnamed(db, far, made, opened, between, rounds):
    assert unnamed(made(), opened, between, rounds) == unnamed(db, opened, between, rounds)
