# SPDX-License-Identifier: PostgreSQL
"""What a loop will ask for is sent behind its list, to a server that is far: a relay delays what passes between pgfold and PostgreSQL. Every page is read
directly and through pgfold, and each reply is compared; what the server was sent is read from its log."""
import contextlib
import re
import time

import pytest

import ahead_history
import conftest
import orm_pages
import proto
import servers
from ahead import PATIENT, RELATIONS, Reader, Relation, Watch
from busy import unless_busy
from proto import query, wire
from test_lookahead import AGE, SECONDS, SEED, SLACK, db, direct, opened  # noqa: F401

DELAY_US = 5000  # there and back: long beside what a busy machine adds
PAGES = 5  # of which the first are learnt from
DERIVED = re.compile(r"LEFT JOIN LATERAL \(SELECT true AS pgfold_m")
SERIAL = [0]


@pytest.fixture(scope="module")
def far(db, tmp_path_factory):
    relay = orm_pages.Relay(db, str(tmp_path_factory.mktemp("far")), DELAY_US)
    yield relay
    relay.stop()


@pytest.fixture(scope="module")
def made(far):
    """A pgfold before the far server, with these settings besides the patient ones."""
    with contextlib.ExitStack() as stack:
        cache = {}

        def get(**settings):
            key = tuple(sorted(settings.items()))
            if key not in cache:
                cache[key] = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=disable" % far.port,
                                            servers.PATIENT | PATIENT | {k.replace("__", "."): v for k, v in settings.items()})
                stack.callback(cache[key].stop)
            return cache[key]
        yield get


@pytest.fixture
def proxy(made):
    return made()


def fresh(sql):
    """A text that nobody has sent before."""
    SERIAL[0] += 1
    return re.sub(r"( AS \w+)? FROM ", " AS l%d FROM " % SERIAL[0], sql, 1)


class Page:
    """A list, and what is asked for each of its rows; the same list again and again."""

    def __init__(self, relation, begin=None, end="COMMIT", lists=None):
        self.relation, self.begin, self.end_with = relation.fresh(), begin, end
        self.parents = lists or fresh(relation.parents)

    def read(self, reader, touch=True, behind=None):
        if self.begin:
            reader.say(self.begin)
        rows = reader.ask(self.parents)
        if behind:
            behind()
        for row in dict.fromkeys(tuple(r[:len(self.relation.kinds)]) for r in rows if touch):
            values = [c.decode() if isinstance(c, bytes) else c for c in row]
            reader.ask(self.relation.sql, *self.relation.values(values))
        if self.begin:
            reader.say(self.end_with)


def pages_of(page, end, db, framing, times=PAGES, **kw):
    """[(replies, what the server was sent)] page by page, over one connection."""
    reader, out = Reader(end, framing), []
    try:
        for _ in range(times):
            watch = Watch(db)
            reader.got = []
            page.read(reader, **kw)
            out.append((reader.got, watch.settled()))
    finally:
        reader.close()
    return out


def derived(seen):
    return [s for s in seen if DERIVED.search(s.text)]


def lookups(seen, page):
    """Statements that read the children otherwise."""
    of = re.compile(r"\b(from|join|,)\s+\"?%s\b" % page.relation.table, re.I)
    return [s for s in seen if of.search(s.text) and not DERIVED.search(s.text) and s.text != page.parents]


def check(page, db, proxy, framing, **kw):
    want, got = pages_of(page, db, db, framing), pages_of(page, proxy, db, framing, **kw)
    for n, ((replies, _), (through, _)) in enumerate(zip(want, got)):
        assert through == replies, "page %d" % (n + 1)
    return [seen for _, seen in got]


# ---- it works

WAYS = [(n, "simple") for n in ("to-one", "to-one limit", "has-one ordered", "many-to-many in ON", "count of a subselect", "polymorphic", "int4 to int2")] + [
    ("to-many", "psycopg"), ("int4 to int8", "pg"), ("uuid", "pg"), ("text", "psycopg")]


@pytest.mark.parametrize("name, framing", WAYS)
def test_relation(db, direct, proxy, name, framing):
    lists = fresh("SELECT id, title FROM book ORDER BY id LIMIT 60") if name.startswith("many-to-many") else None
    page = Page(RELATIONS[name], lists=lists)
    seen = check(page, db, proxy, framing)
    with unless_busy():
        assert any(len(derived(s)) == 1 and not lookups(s, page) for s in seen), [s.text for s in seen[-1]]


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"])
@pytest.mark.parametrize("framing", ["simple", "pg"])
def test_in_a_transaction(db, direct, proxy, framing, begin):
    page = Page(RELATIONS["to-many"], begin)
    seen = check(page, db, proxy, framing)
    # The client may be told of a COMMIT before the server runs it, which then is in what was seen of the next page.
    wanted, texts = [begin, page.parents, "COMMIT"] * len(seen), [s.text for p in seen for s in p]
    assert [t for t in texts if t in wanted][:len(wanted) - 1] == wanted[:-1]
    with unless_busy():
        assert any(len(derived(s)) == 1 and not lookups(s, page) for s in seen), [s.text for s in seen[-1]]


class Riding(Page):
    """As pgjdbc: BEGIN comes in the unit of the list, `prepared` before or not, and COMMIT is a unit, too."""

    def __init__(self, prepared):
        super().__init__(RELATIONS["to-many"])
        self.prepared, self.begins = prepared, "BEGIN" if prepared else "BEGIN READ ONLY"

    def read(self, reader, touch=True, behind=None):
        if self.prepared and not reader.got:
            reader.got.append(wire(reader.conn.ask(proto.close("S", "b"), proto.parse("BEGIN", "b"), proto.close("S", "c"), proto.parse("COMMIT", "c"), proto.SYNC)))
        name = ("b", "c") if self.prepared else ("", "")
        parses = [b"" if self.prepared else proto.parse(text) for text in (self.begins, "COMMIT")]
        rows = reader.conn.ask(parses[0], proto.bind(name=name[0]), proto.execute(1), proto.unit(self.parents, []))
        for row in proto.rows(rows) if touch else ():
            reader.ask(self.relation.sql, ("int4", row[0].decode()))
        reader.got += [wire(rows), wire(reader.conn.ask(parses[1], proto.bind(name=name[1]), proto.execute(1), proto.SYNC))]


@pytest.mark.parametrize("prepared", [True, False])
def test_begin_in_the_unit_of_the_list(db, direct, proxy, prepared):
    page = Riding(prepared)
    seen = check(page, db, proxy, "pg")
    order = [[s.text for s in p if s.text in (page.begins, "COMMIT", page.parents)] for p in seen]
    assert order == [[page.begins, page.parents, "COMMIT"]] * PAGES
    assert any(len(derived(s)) == 1 and not lookups(s, page) for s in seen), [s.text for s in seen[-1]]


def test_a_key_of_two_columns_goes_out_when_the_list_is_there(db, direct, proxy):
    page = Page(RELATIONS["composite"])
    seen = check(page, db, proxy, "simple")
    assert not any(map(derived, seen))
    with unless_busy():
        assert any(len(lookups(s, page)) == 1 for s in seen)


class Tree(Page):
    """Authors, their books, the books' reviews: depth first."""

    def __init__(self, where="TRUE", value=()):
        self.begin, self.relation = None, RELATIONS["to-many"]
        self.parents = fresh("SELECT id, name FROM author WHERE %s ORDER BY id LIMIT 20" % where)
        self.books = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")
        self.reviews = fresh("SELECT id, stars FROM review WHERE book_id = $1 ORDER BY id")
        self.value = value

    def read(self, reader, touch=True, behind=None):
        def number(cell):
            return str(cell if isinstance(cell, int) else int(cell) if cell.isdigit() else int.from_bytes(cell, "big"))
        for author in reader.ask(self.parents, *self.value):
            for book in reader.ask(self.books, ("int4", number(author[0]))):
                reader.ask(self.reviews, ("int4", number(book[0])))


WHERE = [("TRUE", ()), ("tenant_id = $1", (("int4", "1"),)), ("id BETWEEN $1 AND $2", (("int4", "5"), ("int4", "40")))]


@pytest.mark.parametrize("framing, where, value", [("psycopg", *WHERE[0]), ("simple", *WHERE[1]), ("pg", *WHERE[1]), ("psycopg", *WHERE[2])])
def test_three_levels_in_one_write(db, direct, proxy, framing, where, value):
    page = Tree(where, value)
    seen = check(page, db, proxy, framing, times=8)
    last = [s.text for s in seen[-1]]
    lazy = [[t.text for t in s if re.search(r"FROM (book|review) WHERE \w+ = (\$1|\d+) ", t.text) and not DERIVED.search(t.text)] for s in seen]
    with unless_busy():
        assert any(len(derived(s)) == 2 and not sent for s, sent in zip(seen, lazy)), last


def test_pages_whose_numbers_are_ids(db, direct, proxy, opened):
    """The books of one author after the other: the number of each is that of a book, too, which was read just now."""
    def pages(reader, watch=None):
        for n in 2, 7, 4, 1, 6, 3, 8, 5, 9:
            if watch:
                watch.mark()
            ids = [int(r[0]) for r in reader.ask(books, ("int4", str(n)))]
            for i in ids:
                reader.ask(reviews, ("int4", str(i)))
            yield watch and [s.text for s in watch.settled()]
    books = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")
    reviews = fresh("SELECT id, stars FROM review WHERE book_id = $1 ORDER BY id")
    want, got = opened(Reader(db)), opened(Reader(proxy))
    list(pages(want))
    watch = Watch(db)
    seen = list(pages(got, watch))
    assert got.got == want.got
    behind = [sum(bool(DERIVED.search(t)) for t in s) == 1 and not any(" book_id = " in t and not DERIVED.search(t) for t in s) for s in seen]
    with unless_busy():
        assert sum(behind[3:]) >= 4, (behind, seen[-1])


def test_a_list_may_have_one_row_or_none(db, direct, proxy, opened):
    """What it leads to goes out with it whatever the lists before it had."""
    books = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id LIMIT $2")
    reviews = fresh("SELECT id, stars FROM review WHERE book_id = $1 ORDER BY id")

    def pages(reader, watch=None):
        for author, rows in [(n, 3) for n in (2, 9, 4, 7)] + [(11, 1), (3, 1), (15, 0), (6, 0), (8, 5), (14, 1)]:
            if watch:
                watch.mark()
            for book in reader.ask(books, ("int4", str(author)), ("int4", str(rows))):
                reader.ask(reviews, ("int4", str(int(book[0]))))
            yield watch and [s.text for s in watch.settled()]
    want, got = opened(Reader(db)), opened(Reader(proxy))
    list(pages(want))
    watch = Watch(db)
    seen = list(pages(got, watch))
    assert got.got == want.got
    behind = [any(DERIVED.search(t) for t in s) and not any(" book_id = " in t and not DERIVED.search(t) for t in s) for s in seen]
    with unless_busy():
        assert sum(behind[4:]) >= 4, (behind, seen[-1])


def test_a_page_whose_definitions_are_asked_about_again(db, direct, proxy, opened):
    """A change of a definition makes all statements unknown. The books are asked for one by one then, each a list with reviews of its own."""
    page, reader, watch = Tree("id < 12"), opened(Reader(proxy)), Watch(db)
    for n in range(16):
        if n == 6:
            reader.conn.sql("CREATE TABLE IF NOT EXISTS with_list_none (id int)")
        watch.mark()
        page.read(reader)
    last = watch.settled()
    with unless_busy():
        assert not any(re.search(r"FROM (book|review) WHERE \w+ = \d+ ", s.text) for s in last), [s.text for s in last]


# ---- it is not always sent

def test_switched_off(db, direct, made):
    page = Page(RELATIONS["to-many"])
    assert not any(derived(s) for s in check(page, db, made(lookahead__with_list="off"), "simple"))


@pytest.mark.parametrize("lists", ["SELECT id, nextval('with_list_seq') AS x FROM author ORDER BY id",
                                   "SELECT id, name FROM author ORDER BY id FOR UPDATE",
                                   "SELECT id, with_list_count() AS x FROM author ORDER BY id"])
def test_a_list_that_does_more_than_read_runs_once(db, direct, proxy, lists):
    direct.sql("CREATE SEQUENCE IF NOT EXISTS with_list_seq; GRANT ALL ON SEQUENCE with_list_seq TO PUBLIC")
    direct.sql("CREATE OR REPLACE FUNCTION with_list_count() RETURNS int LANGUAGE plpgsql AS 'BEGIN PERFORM 1; RETURN 1; END'")
    page = Page(RELATIONS["to-many"], lists=fresh(lists))
    assert not any(derived(seen) for _, seen in pages_of(page, proxy, db, "simple"))


def test_a_view_that_does_more_than_read_now_runs_once(db, direct, proxy, opened):
    """Nobody knows that another one has replaced it: not the list's, nor the lookups'."""
    def count():
        return int(direct.sql("SELECT last_value FROM with_list_runs")[0][0])

    def define(what):
        for name, of in (("with_list_authors", "author WHERE id < 10"), ("with_list_books", "book")):
            direct.sql("CREATE OR REPLACE VIEW %s AS SELECT *, %s AS x FROM %s" % (name, what, of))
    direct.sql("CREATE SEQUENCE with_list_runs; GRANT ALL ON SEQUENCE with_list_runs TO PUBLIC")
    define("0::int8")
    direct.sql("GRANT SELECT ON with_list_authors, with_list_books TO PUBLIC")
    pages = [Page(RELATIONS["to-many"], lists=fresh("SELECT id, name, x FROM with_list_authors ORDER BY id")),
             Page(Relation("SELECT id, name FROM author WHERE id < 10 ORDER BY id", "SELECT id, x FROM with_list_books WHERE author_id = $1", ["int4"], "book"))]
    reader = opened(Reader(proxy))
    for page in pages * PAGES:
        page.read(reader)
    define("nextval('with_list_runs')")
    reader.ask(pages[0].parents)
    assert count() == 9
    reader.ask(pages[1].parents)
    reader.ask("SELECT 1")
    assert count() == 9


def test_children_that_are_not_touched_settle(db, direct, proxy):
    page, reader, watch = Page(RELATIONS["to-many"]), Reader(proxy), Watch(db)
    for n in range(60):
        page.read(reader, touch=n < 4 or n % 2)
    reader.close()
    with unless_busy():
        assert 1 <= len(derived(watch.settled())) <= 12


def test_the_lists_collation_does_not_compare_the_keys(db, direct, proxy):
    """A key that comes as a value has no collation."""
    direct.sql("DROP TABLE IF EXISTS with_list_code, with_list_coded; DROP COLLATION IF EXISTS any_case")
    direct.sql("CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false)")
    direct.sql("CREATE TABLE with_list_code (code text COLLATE any_case); CREATE TABLE with_list_coded (id int, code text)")
    direct.sql("INSERT INTO with_list_code SELECT 'code ' || i FROM generate_series(1, 9) i")
    direct.sql("INSERT INTO with_list_coded SELECT i, 'code ' || i FROM generate_series(1, 9) i UNION ALL SELECT -i, 'CODE ' || i FROM generate_series(1, 9) i")
    direct.sql("GRANT SELECT ON with_list_code, with_list_coded TO PUBLIC")
    page = Page(Relation("SELECT code FROM with_list_code ORDER BY 1", "SELECT id, code FROM with_list_coded WHERE code = $1", ["text"], "with_list_coded"))
    seen = check(page, db, proxy, "psycopg")
    with unless_busy():
        assert any(map(derived, seen))


# ---- what is given is no older than promised

def test_a_list_that_says_something_else_the_second_time(db, direct, proxy):
    """The server finds keys that are not those that the client has read. What it has not looked up is asked for; the rest is right."""
    direct.sql("CREATE OR REPLACE FUNCTION some_of(int) RETURNS bool LANGUAGE sql STABLE AS 'SELECT ($1 + extract(microseconds FROM clock_timestamp())::int) % 2 = 0'")
    page, reader, straight = Page(RELATIONS["to-many"], lists=fresh("SELECT id, name FROM author WHERE some_of(id) ORDER BY id")), Reader(proxy), Reader(db)
    for _ in range(8):
        for row in reader.ask(page.parents):
            key = ("int4", row[0].decode())
            assert reader.ask(page.relation.sql, key) == straight.ask(page.relation.sql, key)
    for r in (reader, straight):
        r.close()


@pytest.mark.parametrize("begin", [None, "BEGIN"])
@pytest.mark.parametrize("by", ["other", "own"])
def test_a_write_between_list_and_loop_is_seen(db, direct, proxy, opened, begin, by):
    page, reader, other = Page(RELATIONS["to-many"], begin), opened(Reader(proxy)), opened(Reader(proxy))
    for n in range(PAGES):
        page.read(reader)

    def write():
        (reader if by == "own" else other).conn.sql("UPDATE book SET title = 'changed'")
    reader.got = []
    page.read(reader, behind=write)
    assert sum(b"changed" in part for reply in reader.got for part in ([reply] if isinstance(reply, bytes) else [repr(reply).encode()])) > 50


def test_a_list_that_fails(db, direct, proxy, opened):
    """The batch behind it fails with it, and nobody hears of it; inside a transaction, too."""
    reader = opened(Reader(proxy))
    page = Page(RELATIONS["to-many"], lists=fresh("SELECT id, 1 / (id - (SELECT count(*) FROM scratch)) AS x FROM author ORDER BY id"))
    for begin in (None, "BEGIN"):
        page.begin = begin
        for _ in range(PAGES):
            page.read(reader)
        direct.sql("INSERT INTO scratch SELECT 7 FROM generate_series(1, 7)")
        if begin:
            reader.conn.sql(begin)
        reply = reader.conn.ask(query(page.parents))
        assert b"division by zero" in repr(wire(reply)).encode()
        assert reader.conn.status == ("E" if begin else "I")
        reader.conn.sql("ROLLBACK")
        direct.sql("TRUNCATE scratch")
        page.read(reader)


def test_a_table_that_is_another_one_now(db, direct, proxy, opened):
    """Definitions that change past pgfold: the check behind the batch tells."""
    page, reader = Page(RELATIONS["to-many"]), opened(Reader(proxy))
    for _ in range(PAGES):
        page.read(reader)
    direct.sql("ALTER TABLE book ENABLE ROW LEVEL SECURITY; CREATE POLICY nothing ON book USING (false)")
    try:
        rows = reader.ask(page.parents)
        assert [reader.ask(page.relation.sql, ("int4", r[0].decode())) for r in rows] == [[]] * len(rows)
    finally:
        direct.sql("DROP POLICY nothing ON book; ALTER TABLE book DISABLE ROW LEVEL SECURITY")


def test_history(db, tmp_path):
    """Readers loop in all isolation levels while rows change, through pgfold and past it. PGFOLD_HISTORY=SECONDS takes longer."""
    relay, watch, seed, end = orm_pages.Relay(db, str(tmp_path), 2000), Watch(db), SEED, time.monotonic() + SECONDS / 4
    p = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=disable" % relay.port,
                       servers.PATIENT | PATIENT | {"lookahead.max_gap": "1s", "lookahead.max_age": "150ms"})
    try:
        while time.monotonic() < end:
            ahead_history.run(db, p, seed, min(SECONDS / 4, 10), AGE + SLACK)
            seed += 1
    finally:
        p.stop()
        relay.stop()
    sent = len(derived(watch.settled()))
    print("%d batches were sent with their lists" % sent)
    assert sent > 0 or SECONDS < 60, "there was nothing to judge"
