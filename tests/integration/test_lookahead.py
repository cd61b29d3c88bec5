# SPDX-License-Identifier: PostgreSQL
"""Lookahead: a loop on one connection, `for a in authors: a.books`, is answered from rows loaded ahead, with the bytes that PostgreSQL
would have sent, and never with rows that are older than promised. Black box: what the server was sent is read from its log."""
import os
import random
import signal
import time

import pytest

import ahead
import ahead_history
import conftest
import proto
import servers
from ahead import AUTHORS, BOOKS, DATABASE, PARENTS, PATIENT, RELATIONS, Loop, Reader, Relation, Watch
from busy import Late, unless_busy
from framings import FRAMINGS
from proto import query

TWO = ["simple", "pgx"]
RC, RR = "BEGIN", "BEGIN ISOLATION LEVEL REPEATABLE READ"
LEVELS = {"autocommit": None, "read committed": RC, "repeatable read": RR}
NEW = "changed"


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    return pg


@pytest.fixture(scope="module")
def made(db, long_lived):
    """A pgfold with these settings besides the patient ones."""
    def get(**settings):
        return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()} | settings)
    return get


@pytest.fixture
def proxy(made):
    return made()


@pytest.fixture
def direct(db):
    """A superuser past the proxy."""
    with db.admin(DATABASE) as c:
        for (name,) in c.sql("SELECT gid FROM pg_prepared_xacts WHERE database = '%s'" % DATABASE):
            c.sql("ROLLBACK PREPARED '%s'" % name)
        c.sql("SELECT fill_ahead()")
        yield c


@pytest.fixture
def opened():
    out = []
    yield lambda x: out.append(x) or x
    for x in out:
        x.close()


@pytest.fixture
def looping(db, direct, proxy, opened):
    """looping(framing=…, begin=…): a loop whose next key is held."""
    def make(end=None, **kw):
        return opened(Loop(db, Watch(db), end or proxy, direct=conftest.DIRECT, **kw)).hold()
    return make


def through_both(db, proxy, framing, action, **login):
    """Runs the action directly and through pgfold, compares all replies, and returns (watch, connection) of the second run."""
    got = []
    for end in (db, proxy):
        watch, reader = Watch(db), Reader(end, framing, **login)
        try:
            action(reader)
            reader.conn.sql("SELECT 'the end'")
        finally:
            reader.close()
        got.append(reader.got)
    for i, (want, have) in enumerate(zip(*got)):
        assert have == want, "reply %d" % i
    assert len(got[1]) == len(got[0])
    return watch, reader.conn


def lookups_sent(watch, conn, relation):
    return sum(s.text != relation.parents for s in watch.reads(relation.table, conn))


def assert_few(sent, lookups, share=4):
    with unless_busy():
        assert sent == lookups if conftest.DIRECT else sent <= lookups / share, "%d lookups cost %d statements" % (lookups, sent)


def loop_of(relation, keys, begin=None, parents=True):
    def action(reader):
        if begin:
            reader.say(begin)
        if parents:
            reader.ask(relation.parents)
        for values in keys:
            reader.ask(relation.sql, *values)
    return action


def check_loop(db, proxy, relation, framing, begin=None, share=4):
    relation = relation.fresh()
    keys = relation.keys(db)
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys, begin))
    assert_few(lookups_sent(watch, conn, relation), len(keys), share)


# ---- it works

@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("name", RELATIONS)
def test_relation(db, proxy, name, framing):
    check_loop(db, proxy, RELATIONS[name], framing)


@pytest.mark.parametrize("framing", [f for f in FRAMINGS if f not in TWO])
def test_framing(db, proxy, framing):
    check_loop(db, proxy, BOOKS, framing)


@pytest.mark.parametrize("name", ["to-many", "uuid", "text", "int4 to int8", "int4 to int2", "widths"])
@pytest.mark.parametrize("framing", ["npgsql", "psycopg", "pg"])
def test_parents_in_text(db, proxy, framing, name):
    """The list came in the simple protocol; the keys are asked for in another form."""
    relation = RELATIONS[name].fresh()
    keys = relation.keys(db)

    def action(reader):
        reader.say(relation.parents)
        loop_of(relation, keys, parents=False)(reader)
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(lookups_sent(watch, conn, relation), len(keys))


@pytest.mark.parametrize("framing", ["simple", "psycopg"])
@pytest.mark.parametrize("level", LEVELS)
def test_level(db, proxy, framing, level):
    check_loop(db, proxy, BOOKS, framing, LEVELS[level])


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("begin", [RC, RR])
def test_after_a_write_in_the_transaction(db, direct, proxy, framing, begin):
    """The rows that it wrote are among those loaded ahead."""
    relation = RELATIONS["to-many ordered"].fresh()
    keys, writes = relation.keys(db), ["UPDATE book SET title = 'mine ' || id", "DELETE FROM book WHERE author_id = 30"]

    def action(reader):
        reader.say(begin, *writes)
        loop_of(relation, keys)(reader)
        reader.say("ROLLBACK")
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(sum(s.text not in writes for s in watch.reads("book", conn)), len(keys))


@pytest.mark.pgfold
@pytest.mark.parametrize("framing", ["simple", "pgx", "psycopg"])
@pytest.mark.parametrize("begin", [None, RC])
def test_the_first_loop_ever(db, start_pgfold, framing, begin):
    """Nothing was learnt and nothing vetted: the catalogue tells that book.author_id references author.id."""
    check_loop(db, start_pgfold(PATIENT), BOOKS, framing, begin, share=3)


ORDERS = {
    "every third": lambda keys: keys[::3],
    "backwards": lambda keys: keys[::-1],
    "shuffled": lambda keys: random.Random(1).sample(keys, len(keys)),
    "from the middle": lambda keys: keys[PARENTS // 2:],
    "each twice": lambda keys: [k for k in keys for _ in (1, 2)],
    "there and back": lambda keys: keys + keys[::-1],
}


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("order", ORDERS)
def test_order(db, proxy, order, framing):
    relation = BOOKS.fresh()
    keys = ORDERS[order](relation.keys(db))
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys))
    again = len(keys) - len(set(map(tuple, keys)))  # these are the server's
    sent = lookups_sent(watch, conn, relation)
    assert conftest.DIRECT or sent >= again
    assert_few(sent - (0 if conftest.DIRECT else again), len(keys), 2 if order in ("every third", "shuffled") else 3)


@pytest.mark.parametrize("framing", TWO)
def test_early_break(db, proxy, framing):
    """And the list once more: what was held of the first must not be in the way. It may cost what it would directly, not more."""
    relation = BOOKS.fresh()
    keys = relation.keys(db)

    def action(reader):
        for n in (20, 40, 5, 60):
            loop_of(relation, keys[:n])(reader)
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(lookups_sent(watch, conn, relation), 125, 1)


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("begin", LEVELS.values())
def test_loop_after_loop(db, proxy, framing, begin):
    """The same page again, on the same connection."""
    relation = BOOKS.fresh()
    keys = relation.keys(db)

    def action(reader):
        for _ in range(5):
            loop_of(relation, keys, begin)(reader)
            if begin:
                reader.say("COMMIT")
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(lookups_sent(watch, conn, relation), 5 * len(keys))


PROFILES = RELATIONS["has-one"]
REVIEWS = Relation(BOOKS.sql, "SELECT id, stars FROM review WHERE book_id = $1 ORDER BY id", ["int4"], "review")


@pytest.mark.parametrize("framing", ["simple", "pgx", "psycopg"])
@pytest.mark.parametrize("begin", [None, RC])
def test_interleaved(db, proxy, framing, begin):
    """for a in authors: a.books, a.profile, [b.reviews for b in a.books]"""
    of_author, one_of_author, of_book = BOOKS.fresh(), PROFILES.fresh(), REVIEWS.fresh()
    keys = of_author.keys(db)
    with db.connect(database=DATABASE) as c:
        books = {k[0][1]: c.sql("SELECT id FROM book WHERE author_id = " + k[0][1]) for k in keys}

    def action(reader):
        if begin:
            reader.say(begin)
        reader.ask(AUTHORS)
        for (key,) in keys:
            reader.ask(of_author.sql, key)
            reader.ask(one_of_author.sql, key)
            for (book,) in books[key[1]]:
                reader.ask(of_book.sql, ("int4", book))
    watch, conn = through_both(db, proxy, framing, action)
    for table, n in (("book", len(keys)), ("profile", len(keys)), ("review", sum(map(len, books.values())))):
        assert_few(len(watch.reads(table, conn)), n, 1.5)  # how far it is ahead depends on how busy the machine is


WRITTEN = Relation(AUTHORS, "SELECT id, author_id, title FROM book WHERE author_id = $1 ORDER BY id", ["int4"], "book")
WRITER = Relation(WRITTEN.sql, "SELECT id, tenant_id, name FROM author WHERE id = $1", ["int4"], "author")


@pytest.mark.parametrize("framing", ["simple", "pgx"])
def test_relations_in_turn(db, proxy, framing):
    """for a in authors: a.profile; for b in a.books: b.reviews, b.author. The authors' list and the answers to the last have the same columns. From
    the second page on there are a few statements for each relation."""
    of_author, one_of_author, of_book, writer = WRITTEN.fresh(), PROFILES.fresh(), REVIEWS.fresh(), WRITER.fresh()
    keys, authors = of_author.keys(db), writer.sql.split(" WHERE")[0] + " ORDER BY id"
    with db.connect(database=DATABASE) as c:
        books = {k[0][1]: c.sql("SELECT id FROM book WHERE author_id = " + k[0][1]) for k in keys}

    def action(reader):
        for time in range(3):
            reader.ask(authors)
            if time == 1:
                reader.conn.sql("SELECT 'from here on'")
            for (key,) in keys:
                reader.ask(one_of_author.sql, key)
                reader.ask(of_author.sql, key)
                for (book,) in books[key[1]]:
                    reader.ask(of_book.sql, ("int4", book))
                    reader.ask(writer.sql, key)
    watch, conn = through_both(db, proxy, framing, action)
    seen = watch.seen(conn)
    after = [s.text for s in seen].index("SELECT 'from here on'")
    n = len(keys) * 2 + 2 * sum(map(len, books.values()))
    assert_few(len(seen) - after, 2 * n, 6)


@pytest.mark.parametrize("framing", ["simple", "pgx"])
def test_level_by_level(db, proxy, framing):
    """Rows that are still held are the parents of the next level: all reviews come in a few statements, though each book has its own loop."""
    of_author, of_book = BOOKS.fresh(), REVIEWS.fresh()
    keys = of_author.keys(db)
    with db.connect(database=DATABASE) as c:
        books = {k[0][1]: c.sql("SELECT id FROM book WHERE author_id = " + k[0][1]) for k in keys}

    def action(reader):
        reader.ask(AUTHORS)
        for (key,) in keys:
            reader.ask(of_author.sql, key)
            for (book,) in books[key[1]]:
                reader.ask(of_book.sql, ("int4", book))
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(len(watch.reads("review", conn)), sum(map(len, books.values())), 2)


def test_keyset_pages(db, proxy):
    relation = BOOKS.fresh()

    def action(reader):
        last = 0
        while True:
            rows = reader.ask("SELECT id, name FROM author WHERE id > $1 ORDER BY id LIMIT 20", ("int4", str(last)))
            if not rows:
                break
            for r in rows:
                reader.ask(relation.sql, ("int4", r[0].decode()))
            last = int(rows[-1][0])
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len(watch.reads("book", conn)), PARENTS, 3)


@pytest.mark.parametrize("framing", TWO)
def test_pages_of_a_cursor(db, proxy, framing):
    relation = BOOKS.fresh()

    def action(reader):
        reader.say(RC, "DECLARE c CURSOR FOR SELECT id, name FROM author ORDER BY id")
        for page in range(3):
            reader.say("FETCH 20 FROM c")
            for i in range(1, 21):
                reader.ask(relation.sql, ("int4", str(page * 20 + i)))
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(len(watch.reads("book", conn)), PARENTS, 2)


def test_pages_of_a_portal(db, proxy):
    """Execute with a row limit, as JDBC sends it with a fetch size; the portal stays open while the rows of a page are looped over.
    The first page is loaded ahead at most."""
    relation = BOOKS.fresh()

    def action(reader):
        reader.say(RC)
        reader.got.append(reader.conn.ask(proto.parse(AUTHORS, "s"), proto.bind(name="s", portal="c"), proto.describe("P", "c"), proto.execute(20, "c"), proto.SYNC))
        for page in range(3):
            for i in range(1, 21):
                reader.ask(relation.sql, ("int4", str(page * 20 + i)))
            reader.got.append(reader.conn.ask(proto.execute(20, "c"), proto.SYNC))
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len(watch.reads("book", conn)), PARENTS, 1)


def test_keys_that_find_nothing_and_null(db, proxy):
    """Parents whose key is NULL or has no rows."""
    relation = Relation("SELECT CASE WHEN id % 4 > 0 THEN id * 3 END AS id FROM author ORDER BY author.id", BOOKS.sql, ["int4"], "book").fresh()
    keys = relation.keys(db)
    through_both(db, proxy, "pg", loop_of(relation, keys))
    through_both(db, proxy, "simple", loop_of(relation, keys))


def test_keys_written_otherwise(db, proxy):
    """Equal keys in other words, and some that are no keys at all."""
    written = ["%s", " %s", "%s ", "0%s", "+%s", "0x%s", "%s.0", "x%s", "%s", "'%s'", ""]

    relation = BOOKS.fresh()

    def action(reader):
        reader.ask(AUTHORS)
        for i in range(1, PARENTS + 1):
            form = written[i % len(written)]
            reader.ask(relation.sql, ("text", form % i if "%" in form else form))
    through_both(db, proxy, "pg", action)
    through_both(db, proxy, "simple", action)


def test_other_messages_around_the_same_statement(db, proxy):
    """Result formats, Describe and row limits that change from lookup to lookup."""
    relation = BOOKS.fresh()

    def action(reader):
        reader.ask(AUTHORS)
        for i in range(1, PARENTS + 1):
            head = proto.parse(relation.sql) + proto.bind([i], result_formats=[(), (1,), (0, 1, 0, 1), (0,)][i // 2 % 4])
            tail = (b"" if i % 5 == 0 else proto.describe("P")) + proto.execute(2 if i % 7 == 0 else 0)
            reader.got.append(reader.conn.ask(head + tail + proto.SYNC))
    through_both(db, proxy, "pg", action)


def packets(keys, framing, size, between=b""):
    """`size` lookups in one packet, then their answers."""
    relation = BOOKS.fresh()

    def action(reader):
        reader.ask(AUTHORS)
        s = reader.framing.statement(reader.conn, relation.sql)
        s.prepare(keys[0])
        for at in range(0, len(keys), size):
            units = [s.unit(k) for k in keys[at:at + size]]
            units[1:1] = [between] if between else []
            reader.got.append(reader.conn.ask(b"".join(units), count=len(units)))
    return action


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("size", [2, 7])
def test_pipelined_loop(db, proxy, framing, size):
    keys = BOOKS.keys(db)
    through_both(db, proxy, framing, packets(keys, framing, size))
    through_both(db, proxy, framing, packets(keys, framing, size, query("SELECT 1/0")))
    through_both(db, proxy, framing, packets(keys, framing, size, query("INSERT INTO scratch VALUES (1, 'x')")))


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("begin", LEVELS.values())
def test_writing_loop(db, direct, proxy, framing, begin):
    """Each turn writes the rows of the next."""
    relation = RELATIONS["to-many ordered"].fresh()
    keys = relation.keys(db)

    def action(reader):
        if begin:
            reader.say(begin)
        reader.ask(AUTHORS)
        for (this,), (following,) in zip(keys[1:], keys[2:]):
            reader.ask(relation.sql, this)
            reader.say("UPDATE book SET title = 'mine' WHERE author_id = %s" % following[1])
            reader.ask(relation.sql, following)
        if begin:
            reader.say("COMMIT")
    direct.sql("UPDATE book SET title = 'mine'")
    direct.sql("UPDATE book SET title = 'first' WHERE author_id = 2")
    through_both(db, proxy, framing, action)


@pytest.mark.pgfold
def test_max_keys(db, made):
    keys = BOOKS.keys(db)
    p = made(lookahead__max_keys="5")
    for framing in TWO:
        watch, conn = through_both(db, p, framing, loop_of(BOOKS, keys))
        with unless_busy():
            assert lookups_sent(watch, conn, BOOKS) < len(keys) / 2
        assert max(len(b) for b in watch.batches("book", BOOKS.sql, conn)) <= 5


def test_nothing_is_loaded_for_a_list_of_one(db, proxy):
    def action(reader):
        for i in range(1, 30):
            key = str(i ** 3 % 59)  # not in steps
            reader.ask("SELECT id, name FROM author WHERE id = $1", ("int4", key))
            reader.ask(PROFILES.sql, ("int4", key))
    watch, conn = through_both(db, proxy, "pgx", action)
    assert all(len(keys) < 2 for keys in watch.batches("profile", PROFILES.sql, conn))


# ---- off

@pytest.mark.parametrize("framing", TWO)
def test_mode_off(db, made, framing):
    relation = BOOKS.fresh()
    keys = relation.keys(db)
    watch, conn = through_both(db, made(lookahead__mode="off"), framing, loop_of(relation, keys))
    assert lookups_sent(watch, conn, relation) == len(keys)


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("level", LEVELS)
def test_mode_snapshot(db, made, framing, level):
    relation = BOOKS.fresh()
    keys = relation.keys(db)
    watch, conn = through_both(db, made(lookahead__mode="snapshot"), framing, loop_of(relation, keys, LEVELS[level]))
    sent = lookups_sent(watch, conn, relation)
    if level == "repeatable read":
        assert_few(sent, len(keys))
    else:
        assert sent == len(keys)


@pytest.mark.parametrize("framing", TWO)
def test_never_serializable(db, proxy, framing):
    relation = BOOKS.fresh()
    keys = relation.keys(db)
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys, "BEGIN ISOLATION LEVEL SERIALIZABLE"))
    assert lookups_sent(watch, conn, relation) == len(keys)


@pytest.mark.parametrize("framing", TWO)
def test_skip_comment(db, proxy, framing):
    relation = Relation(AUTHORS, "/* pgfold:skip */ " + BOOKS.sql, ["int4"], "book")
    keys = relation.keys(db)
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys))
    assert lookups_sent(watch, conn, relation) == len(keys)


@pytest.mark.pgfold
def test_table_switched_off(db, start_pgfold):
    """The one table; the others go on."""
    p = start_pgfold(PATIENT | {"table public.book.lookahead": "off"})
    relation = BOOKS.fresh()
    keys = relation.keys(db)
    watch, conn = through_both(db, p, "pgx", loop_of(relation, keys))
    assert lookups_sent(watch, conn, relation) == len(keys)
    join = "SELECT p.id, b.id FROM profile p JOIN book b ON b.author_id = p.author_id WHERE p.author_id = $1 ORDER BY b.id"
    watch, conn = through_both(db, p, "pgx", loop_of(Relation(AUTHORS, join, ["int4"], "book"), keys))
    assert len(watch.reads("book", conn)) == len(keys)
    check_loop(db, p, PROFILES, "pgx")


# ---- asked twice

@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("begin", [None, RC])
def test_asked_twice(looping, direct, framing, begin):
    """Read ahead, not a cache: a key that was asked for is the server's from then on."""
    loop = looping(framing=framing, begin=begin)
    values = loop.keys[loop.at]
    loop.next()
    for i in range(5):
        direct.sql("UPDATE book SET title = 'turn %d' WHERE author_id = %s" % (i, values[0][1]))
        assert b"turn %d" % i in loop.again(values)[0]


@pytest.mark.parametrize("framing", TWO)
def test_polling(db, direct, proxy, opened, framing):
    """One key again and again, with the list before each, and without."""
    reader = opened(Reader(proxy, framing))
    for listed in (True, False):
        for i in range(20):
            if listed:
                reader.ask(AUTHORS)
            reader.ask(BOOKS.sql, ("int4", "5"))
            direct.sql("UPDATE book SET title = 'turn %d' WHERE author_id = 5" % i)
            assert {r[2] for r in reader.ask(BOOKS.sql, ("int4", "5"))} == {b"turn %d" % i}


# ---- what drops held answers

def titles(rows):
    return {r[2] for r in rows}


def change(direct, loop):
    direct.sql("UPDATE book SET title = '%s' WHERE author_id = %s" % (NEW, loop.key))


@pytest.mark.pgfold
@pytest.mark.parametrize("begin", LEVELS.values())
@pytest.mark.parametrize("framing", TWO)
def test_held(looping, framing, begin):
    """The control of the tests below: without an event the rows of the next key are held, and plain reads leave them."""
    loop = looping(framing=framing, begin=begin)
    for plain in (None, "SELECT id FROM scratch WHERE a = 1", "SELECT 1", "SHOW work_mem"):
        if plain:
            loop.reader.say(plain)
        values = loop.keys[loop.at]
        loop.next()
        if loop.was_sent(values):
            loop.hold()
            continue
        return
    raise Late("nothing was held after any of them")


OWN = ["COPY scratch TO STDOUT", "TRUNCATE scratch",
       "SET work_mem = '5MB'", "RESET work_mem", "SELECT set_config('work_mem', '6MB', false)", "SET ROLE app", RR,
       "DO $$BEGIN END$$", "CALL retitle_all(0)", "SELECT retitle(0)", "SELECT * FROM retitle_table(0)", "SELECT a FROM scratch FOR UPDATE",
       "CREATE TEMP TABLE t (a int)", "CREATE TABLE IF NOT EXISTS scratch (a int)", "PREPARE p AS SELECT 1", "EXPLAIN ANALYZE SELECT 1", "SELECT 1; SELECT 2",
       "LOCK scratch", "this is no SQL", "SELECT pg_advisory_lock(7)", "SELECT nextval('%s')", "DISCARD ALL", "ANALYZE scratch", "VACUUM scratch"]
OWN_INSIDE = ["SET LOCAL work_mem = '5MB'", "SELECT set_config('work_mem', '6MB', true)", "LOCK TABLE scratch", "SET LOCAL work_mem = '5MB'; COMMIT",
              "SAVEPOINT s; DO ''; ROLLBACK TO s",
              "DECLARE c CURSOR WITH HOLD FOR SELECT 1", "DECLARE c CURSOR FOR SELECT a FROM scratch FOR SHARE",
              "SELECT a FROM scratch FOR SHARE", "PREPARE TRANSACTION 'ahead'"]


def own(loop, statements):
    for s in statements.split("; ") if not statements.startswith("SELECT 1;") else [statements]:
        loop.reader.say(s)


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("statement", OWN)
def test_own_statements_drop(looping, direct, statement, framing):
    """Past the proxy the next rows are changed: only who lets go of what it holds can see it."""
    loop = looping(framing=framing)
    change(direct, loop)
    own(loop, statement)
    if loop.conn.status == "E":
        loop.reader.say("ROLLBACK")
    if statement == "DISCARD ALL":
        loop.reader.statements.clear()
    assert titles(loop.next()) == {NEW.encode()}


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("statement", OWN_INSIDE)
def test_own_statements_drop_in_a_transaction(looping, direct, statement, framing):
    loop = looping(framing=framing, begin=RC)
    change(direct, loop)
    own(loop, statement)
    if loop.conn.status == "E":
        loop.reader.say("ROLLBACK")
    try:
        assert titles(loop.next()) == {NEW.encode()}
    finally:
        for (name,) in direct.sql("SELECT gid FROM pg_prepared_xacts WHERE database = '%s'" % DATABASE):
            direct.sql("ROLLBACK PREPARED '%s'" % name)


def test_a_transaction_that_ends_takes_its_snapshot_along(looping, direct):
    """What REPEATABLE READ holds is exact inside it, and worth nothing behind it."""
    for end in ("COMMIT", "ROLLBACK"):
        direct.sql("SELECT fill_ahead()")
        loop = looping(begin=RR)
        change(direct, loop)
        values = loop.keys[loop.at]
        assert titles(loop.next()) != {NEW.encode()}
        loop.hold() if not conftest.DIRECT else None
        change(direct, loop)
        loop.reader.say(end)
        assert titles(loop.next()) == {NEW.encode()}
        assert titles(loop.again(values)) == {NEW.encode()}


@pytest.mark.parametrize("framing", TWO)
def test_own_function_call_message_drops(looping, direct, framing):
    loop = looping(framing=framing)
    oid = direct.value("SELECT 'retitle(int)'::regprocedure::oid")
    loop.conn.ask(proto.function_call(int(oid), [loop.key.encode()]))
    assert titles(loop.next()) == {NEW.encode()}


def test_own_write_with_another_unit_in_one_packet(looping, direct):
    """The write is behind a plain read, in the same packet, and the lookup behind both."""
    loop = looping(framing="simple")
    sql = query(loop.relation.sql.replace("$1", loop.key))
    got = loop.conn.ask(query("SELECT 1"), query("UPDATE book SET title = '%s' WHERE author_id = %s" % (NEW, loop.key)), sql, count=3)
    assert titles(proto.rows(got)[1:]) == {NEW.encode()}


def copy_in(c, statement, line):
    c.send(query(statement)).until("G")
    assert not proto.errors(c.ask(proto.msg("d", line.encode()), proto.msg("c")))


def copy_table(c, k):
    copy_in(c, "COPY book (id, author_id, title) FROM STDIN", "9000\t%s\tcopied\n" % k)


def opaque(c, k):
    """COPY in the extended protocol makes pgfold relay the session unread."""
    c.send(proto.parse("COPY scratch FROM STDIN"), proto.bind(), proto.execute(), proto.SYNC).until("G")
    c.ask(proto.msg("d", b"1\tx\n"), proto.msg("c"), proto.SYNC)
    while c.readable(0.1):
        c.recv()
    got = c.ask(query("UPDATE book SET title = 'changed' WHERE author_id = %s" % k))
    assert not proto.errors(got)


def extended(c, k):
    assert not proto.errors(c.ask(proto.unit("UPDATE book SET title = $1 WHERE author_id = $2", [NEW, k])))


def prepared(c, k):
    c.ask(proto.parse("UPDATE book SET title = $1 WHERE author_id = $2", "w"), proto.SYNC)
    assert not proto.errors(c.ask(proto.unit("", [NEW, k], name="w", want_parse=False)))


def pipelined(c, k):
    one = proto.unit("UPDATE book SET title = $1 WHERE author_id = $2", [NEW, k])[:-len(proto.SYNC)]
    assert not proto.errors(c.ask(one * 3 + proto.SYNC))


def call_message(c, k):
    oid = c.value("SELECT 'retitle(int)'::regprocedure::oid")
    assert not proto.errors(c.ask(proto.function_call(int(oid), [k.encode()])))


def two_phase(c, k):
    for s in ("BEGIN", "UPDATE book SET title = 'changed' WHERE author_id = " + k, "PREPARE TRANSACTION 'two'", "COMMIT PREPARED 'two'"):
        c.sql(s)


def sql_prepared(c, k):
    c.sql("PREPARE w (int) AS UPDATE book SET title = 'changed' WHERE author_id = $1")
    c.sql("EXECUTE w (%s)" % k)


def by_cursor(c, k):
    for s in ("BEGIN", "DECLARE w CURSOR FOR SELECT * FROM book WHERE author_id = %s FOR UPDATE" % k, "FETCH w",
              "UPDATE book SET title = 'changed' WHERE CURRENT OF w", "COMMIT"):
        c.sql(s)


def at_last(c, k):
    """Sent as a client does that leaves at once; the server does it all the same."""
    c.send(query("UPDATE book SET title = 'changed' WHERE author_id = %s" % k), proto.TERMINATE)
    c.to_end()


PART = Relation(AUTHORS, "SELECT title, author_id, title FROM part WHERE author_id = $1", ["int4"], "part")
PART_LOW = Relation(AUTHORS, "SELECT title, author_id, title FROM part_low WHERE author_id = $1", ["int4"], "part_low")
KIN = Relation(AUTHORS, "SELECT author_id, author_id, title FROM kin WHERE author_id = $1", ["int4"], "kin")
KIN_CHILD = Relation("SELECT author_id FROM kin_child ORDER BY 1", "SELECT author_id, author_id, title FROM kin_child WHERE author_id = $1", ["int4"], "kin_child")
DIGEST = Relation(AUTHORS, "SELECT author_id, author_id, title FROM digest WHERE author_id = $1", ["int4"], "digest")
REVIEW = Relation("SELECT id FROM book ORDER BY id", "SELECT id, book_id, stars FROM review WHERE book_id = $1", ["int4"], "review")
TAGS = RELATIONS["many-to-many"]
U = "UPDATE book SET title = 'changed' WHERE author_id = {k}"
# What another session does through the proxy, and what the loop asks for.
OTHERS = {
    "update": ([U], BOOKS),
    "update in a transaction": (["BEGIN", U, "COMMIT"], BOOKS),
    "update in a subtransaction": (["BEGIN", "SAVEPOINT s", U, "RELEASE s", "COMMIT"], BOOKS),
    "delete": (["DELETE FROM book WHERE author_id = {k}"], BOOKS),
    "insert": (["INSERT INTO book (id, author_id, title) VALUES (9000, {k}, 'changed')"], BOOKS),
    "upsert": (["INSERT INTO book SELECT * FROM book WHERE author_id = {k} ON CONFLICT (id) DO UPDATE SET title = 'changed'"], BOOKS),
    "merge": (["MERGE INTO book USING author ON author.id = book.author_id AND author.id = {k} WHEN MATCHED THEN UPDATE SET title = 'changed'"], BOOKS),
    "in a WITH": (["WITH w AS (UPDATE book SET title = 'changed' WHERE author_id = {k} RETURNING id) SELECT count(*) FROM w"], BOOKS),
    "several statements": (["SELECT 1; " + U + "; SELECT 2"], BOOKS),
    "quoted names": (['UPDATE "public"."book" SET "title" = \'changed\' WHERE "author_id" = {k}'], BOOKS),
    "a comment in front": (["/* hello */ " + U], BOOKS),
    "explain analyze": (["EXPLAIN (ANALYZE) " + U], BOOKS),
    "a long text": ([U + " /* " + "x" * 70000 + " */"], BOOKS),
    "extended": ([extended], BOOKS), "prepared": ([prepared], BOOKS), "pipelined": ([pipelined], BOOKS), "PREPARE": ([sql_prepared], BOOKS),
    "function call": ([call_message], BOOKS), "two-phase": ([two_phase], BOOKS), "cursor": ([by_cursor], BOOKS), "who leaves": ([at_last], BOOKS),
    "function": (["SELECT retitle({k})"], BOOKS),
    "function in FROM": (["SELECT * FROM retitle_table({k})"], BOOKS),
    "call": (["CALL retitle_all({k})"], BOOKS),
    "do": (["DO $$BEGIN UPDATE book SET title = 'changed' WHERE author_id = {k}; END$$"], BOOKS),
    "view": (["UPDATE book_view SET title = 'changed' WHERE author_id = {k}"], BOOKS),
    "rule": (["INSERT INTO mailbox VALUES ({k})"], BOOKS),
    "trigger": (["INSERT INTO ping VALUES ({k})"], BOOKS),
    "deferred trigger": (["BEGIN", "INSERT INTO bump VALUES ({k})", "COMMIT"], BOOKS),
    "cascade": (["DELETE FROM author WHERE id = {k}"], BOOKS),
    "cascade of a cascade": (["DELETE FROM author USING book b WHERE b.id = {k} AND author.id = b.author_id"], REVIEW),
    "a join's other table": (["UPDATE tag SET name = 'tag ' || id || clock_timestamp()"], TAGS),
    "truncate": (["TRUNCATE review"], REVIEW),
    "truncate cascade": (["TRUNCATE author CASCADE"], BOOKS),
    "copy": ([copy_table], BOOKS),
    "opaque": ([opaque], BOOKS),
    "alter": (["ALTER TABLE kin ALTER title TYPE varchar USING 'changed'"], KIN),
    "another column": (["ALTER TABLE kin RENAME title TO was", "ALTER TABLE kin ADD title text DEFAULT 'changed'"], KIN),
    "revoke": (["REVOKE ALL ON book FROM PUBLIC"], BOOKS),
    "row security": (["ALTER TABLE book ENABLE ROW LEVEL SECURITY"], BOOKS),
    "partition": (["UPDATE part_low SET title = 'changed' WHERE author_id = {k}"], PART),
    "partition detached": (["ALTER TABLE part DETACH PARTITION part_low"], PART),
    "partitioned": (["UPDATE part SET title = 'changed' WHERE author_id = {k}"], PART_LOW),
    "child": (["INSERT INTO kin_child VALUES ({k}, 'changed')"], KIN),
    "parent": (["UPDATE kin SET title = 'changed'"], KIN_CHILD),
    "refresh": (["UPDATE note SET title = 'changed'", "REFRESH MATERIALIZED VIEW digest"], DIGEST),
}
UNDO = ["ALTER TABLE kin ALTER title TYPE text", "GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC", "ALTER TABLE book DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE part ATTACH PARTITION part_low FOR VALUES FROM (0) TO (1000)",
        "ALTER TABLE kin DROP was", "SELECT fill_ahead()", "REFRESH MATERIALIZED VIEW digest"]


@pytest.fixture
def undone(db):
    """Whatever a test did to the tables is undone."""
    yield
    with db.admin(DATABASE) as c:
        for s in UNDO:
            c.ask(query(s))


def act(c, actions, k):
    for a in actions:
        a(c, k) if callable(a) else c.sql(a.replace("{k}", k))


def answer(reader, relation, values):
    return reader.ask(relation.sql, *values), reader.failure


@pytest.mark.parametrize("what", OTHERS)
@pytest.mark.parametrize("framing, begin", [("simple", None), ("pgx", RC)])
def test_others_writes_are_seen_at_once(undone, db, direct, proxy, looping, opened, what, framing, begin):
    actions, relation = OTHERS[what]
    if what in ("alter", "another column", "revoke", "row security", "partition detached", "refresh", "truncate", "truncate cascade") and begin:
        pytest.skip("waits for the transaction of the reader")
    if what == "merge" and int(direct.value("SHOW server_version_num")) < 150000:
        pytest.skip("needs PostgreSQL 15")
    with opened(proxy.connect(servers.SUPERUSER, DATABASE)) as writer:
        writer.sql("SELECT 1")
        loop = looping(relation=relation, framing=framing, begin=begin)
        if relation is REVIEW:  # a book that has reviews
            while not direct.sql("SELECT 1 FROM review WHERE book_id = " + loop.key):
                loop.next()
        relation, values = loop.relation, loop.keys[loop.at]
        old = answer(opened(Reader(db, framing)), relation, values)
        act(writer, actions, loop.key)
        got = loop.next(), loop.reader.failure
        now = answer(opened(Reader(db, framing)), relation, values)
        assert got == now
        assert got != old


@pytest.mark.pgfold
@pytest.mark.parametrize("actions", [["UPDATE scratch SET b = 'x'"], ["BEGIN", "INSERT INTO scratch VALUES (1, 'x')", "COMMIT"], ["SELECT id FROM tag WHERE id = 1"]],
                         ids=["update", "transaction", "read"])
def test_unrelated_writes_drop_nothing(proxy, looping, opened, actions):
    writer = opened(proxy.connect(servers.SUPERUSER, DATABASE))
    act(writer, actions, "0")  # known to pgfold
    loop = looping()
    act(writer, actions, "0")
    values = loop.keys[loop.at]
    loop.next()
    with unless_busy():
        assert not loop.was_sent(values)


PENDING = {
    "transaction": (["BEGIN", "UPDATE book SET title = 'changed'"], ["COMMIT"]),
    "savepoint": (["BEGIN", "SAVEPOINT s", "UPDATE book SET title = 'changed'", "RELEASE s"], ["COMMIT"]),
    "two-phase": (["BEGIN", "UPDATE book SET title = 'changed'", "PREPARE TRANSACTION 'pending'"], ["COMMIT PREPARED 'pending'"]),
    "function": (["BEGIN", "DO $$BEGIN UPDATE book SET title = 'changed'; END$$"], ["COMMIT"]),
    "trigger": (["BEGIN", "INSERT INTO ping SELECT id FROM author"], ["COMMIT"]),
    "deferred": (["BEGIN", "INSERT INTO bump SELECT id FROM author"], ["END"]),
    "chained": (["BEGIN", "UPDATE book SET title = 'changed'"], ["COMMIT AND CHAIN"]),
    "in one string": (["BEGIN", "UPDATE book SET title = 'changed'"], ["COMMIT; SELECT 1"]),
    "cascade": (["BEGIN", "UPDATE author SET id = id + 1000"], ["COMMIT"]),
}


@pytest.mark.parametrize("what", PENDING)
@pytest.mark.parametrize("framing, begin", [("simple", None), ("pgx", RC)])
def test_sent_then_loaded_then_committed(proxy, direct, looping, opened, what, framing, begin):
    """The rows were loaded behind the write and before its commit, so they are those that the commit replaces."""
    first, then = PENDING[what]
    if what == "cascade":
        direct.sql("ALTER TABLE book DROP CONSTRAINT book_author_id_fkey, "
                   "ADD CONSTRAINT book_author_id_fkey FOREIGN KEY (author_id) REFERENCES author ON DELETE CASCADE ON UPDATE CASCADE")
        first = [first[0], "DELETE FROM author"]
    with opened(proxy.connect(servers.SUPERUSER, DATABASE)) as writer:
        act(writer, first, "0")
        loop = looping(framing=framing, begin=begin)
        act(writer, then, "0")
        assert titles(loop.next()) == ({NEW.encode()} if what != "cascade" else set())


@pytest.mark.parametrize("framing, begin", [("simple", None), ("pgx", RC)])
def test_sent_and_blocked_while_rows_are_loaded(db, proxy, direct, looping, opened, framing, begin):
    """An autocommit UPDATE that waits for a row lock while the loop goes on."""
    writer = opened(proxy.connect(database=DATABASE))
    with db.admin(DATABASE) as locker:
        locker.sql("BEGIN")
        locker.sql("SELECT id FROM book FOR UPDATE")
        writer.send(query("UPDATE book SET title = 'changed'"))
        ahead.wait_active(direct, writer.pid)
        loop = looping(framing=framing, begin=begin)
        locker.sql("COMMIT")
        assert not proto.errors(writer.ready())
        assert titles(loop.next()) == {NEW.encode()}


# ---- time. A test waits for longer than a limit; none measures.

@pytest.mark.parametrize("framing", TWO)
def test_a_pause_drops(made, direct, looping, framing):
    loop = looping(made(lookahead__max_gap="500ms"), framing=framing)
    change(direct, loop)
    time.sleep(0.7)
    assert titles(loop.next()) == {NEW.encode()}


@pytest.mark.parametrize("framing", TWO)
def test_age_drops(made, direct, looping, framing):
    loop = looping(made(lookahead__max_age="800ms"), framing=framing)
    change(direct, loop)
    for _ in range(11):  # there is no pause
        time.sleep(0.1)
        loop.reader.say("SELECT 1")
    assert titles(loop.next()) == {NEW.encode()}


def test_a_snapshot_does_not_age(made, direct, looping):
    """Neither do its answers change."""
    loop = looping(made(lookahead__max_gap="400ms", lookahead__max_age="400ms"), begin=RR)
    direct.sql("UPDATE book SET title = '%s'" % NEW)
    time.sleep(0.6)
    for _ in range(5):
        assert NEW.encode() not in titles(loop.next())


# ---- REPEATABLE READ

@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("through", ["proxy", "direct"])
def test_repeatable_read_is_exact(db, proxy, direct, opened, framing, through):
    """All answers are those of one state, whoever changes rows in between. The first lookup takes the snapshot."""
    direct.sql("UPDATE book SET title = 'state 0'")
    writer = opened((proxy if through == "proxy" else db).connect(servers.SUPERUSER, DATABASE))
    reader, relation = opened(Reader(proxy, framing)), BOOKS.fresh()
    keys = relation.keys(db)
    for begin in (RR, RR + " READ ONLY", "BEGIN; SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"):
        for part in begin.split("; "):
            reader.say(part)
        reader.ask(AUTHORS)
        found = set()
        for i, values in enumerate(keys):
            found |= titles(reader.ask(relation.sql, *values))
            if i % 5 == 2:
                writer.sql("UPDATE book SET title = 'state %d'" % (i + 1))
        assert len(found) == 1
        reader.say("COMMIT")
        writer.sql("UPDATE book SET title = 'state 0'")


# ---- misfortunes

RISKY = Relation(AUTHORS, "SELECT id, author_id, title, 100 / (author_id - 25) AS x FROM book WHERE author_id = $1", ["int4"], "book")


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("begin", LEVELS.values())
def test_a_batch_fails(db, direct, proxy, framing, begin):
    """One key divides by zero: only its own lookup fails, and aborts the transaction only when it is asked."""
    relation = RISKY.fresh()
    keys = relation.keys(db)

    def action(reader):
        if begin:
            reader.say(begin)
        reader.ask(AUTHORS)
        for values in keys[:24] + keys[25:]:
            reader.ask(relation.sql, *values)
        reader.say("INSERT INTO scratch VALUES (1, 'x')")
        reader.ask(AUTHORS)
        for values in keys[:30]:
            reader.ask(relation.sql, *values)
        reader.say("SELECT 1", "ROLLBACK" if begin else "SELECT 2")
        for values in keys[30:]:
            reader.ask(relation.sql, *values)
    through_both(db, proxy, framing, action)


@pytest.mark.pgfold
def test_a_key_that_raises_an_error_is_left_out(db, proxy, opened):
    """A loop that ends before it, again and again: the batches that it makes fail are few."""
    watch, reader, relation = Watch(db), opened(Reader(proxy, "pgx")), RISKY.fresh()
    keys = relation.keys(db)
    for _ in range(6):
        watch.mark()
        reader.ask(AUTHORS)
        for values in keys[:20]:
            reader.ask(relation.sql, *values)
            assert reader.failure is None
        sent = len(watch.reads("book", reader.conn))
    with unless_busy():
        assert sent < 6, sent
    for values in keys[20:30]:
        reader.ask(relation.sql, *values)
        assert (reader.failure is None) == (values != keys[24])


HEAP = Relation(AUTHORS, "SELECT count(*) FROM heap WHERE id = $1", ["int4"], "heap")  # a scan for each key


@pytest.mark.parametrize("begin", [None, RC])
def test_statement_timeout(db, proxy, opened, begin):
    """Each scan is far below the limit, those of a batch together are above it."""
    reader = opened(Reader(proxy, "pg"))
    reader.say("SET statement_timeout = '800ms'")
    if begin:
        reader.say(begin)
    reader.ask(AUTHORS)
    for i in range(1, 41):
        assert reader.value(HEAP.sql, ("int4", str(i))) is not None and reader.failure is None, i
    assert reader.conn.status == ("T" if begin else "I")
    reader.say("COMMIT")


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("through", ["proxy", "direct"])
def test_table_dropped_in_mid_loop(db, proxy, made, direct, opened, framing, through):
    """By a session through the proxy: an error at once. Past it: an error when what is held has aged."""
    p = proxy if through == "proxy" else made(lookahead__max_age="800ms")
    relation = Relation(AUTHORS, "SELECT author_id, author_id, title FROM leaving WHERE author_id = $1", ["int4"], "leaving")
    direct.sql("CREATE TABLE leaving AS SELECT author_id, title FROM book")
    direct.sql("GRANT ALL ON leaving TO PUBLIC")
    try:
        loop = opened(Loop(db, Watch(db), p, relation, framing, direct=conftest.DIRECT)).hold()
        dropper = opened((p if through == "proxy" else db).connect(servers.SUPERUSER, DATABASE))
        dropper.sql("DROP TABLE leaving")
        if through == "direct":
            time.sleep(1)
        assert (loop.next(), loop.reader.failure) == ([], "42P01")
        assert loop.reader.ask(AUTHORS)
    finally:
        direct.sql("DROP TABLE IF EXISTS leaving")


def gone(reader, sql, values):
    """The next lookup fails as on a connection that the server has ended; it does not hang."""
    try:
        reader.ask(sql, *values)
    except (proto.Closed, ConnectionError):
        return True
    return reader.failure == "57P01"


@pytest.mark.parametrize("begin", LEVELS.values())
def test_backend_terminated_in_mid_loop(db, direct, looping, begin):
    loop = looping(begin=begin)
    direct.sql("SELECT pg_terminate_backend(%d)" % loop.conn.pid)
    servers.wait_for(lambda: direct.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % loop.conn.pid) == "0", "the backend to end")
    servers.wait_for(lambda: loop.conn.readable(0), "the news to reach the client")
    assert gone(loop.reader, loop.relation.sql, loop.keys[loop.at])
    loop = looping(begin=begin)


@pytest.mark.pgfold
def test_server_killed_in_mid_loop(start_pgfold, opened):
    server = servers.Postgres(ssl=False)
    try:
        with server.connect(servers.SUPERUSER, "postgres") as c:
            for s in servers.ROLES.split(";"):
                c.sql(s)
        ahead.make_database(server)
        p = start_pgfold(PATIENT, server="host=127.0.0.1 port=%d sslmode=disable" % server.port)
        loops = [opened(Loop(server, Watch(server), p, HEAP if i == 1 else BOOKS, begin=b)) for i, b in enumerate([None, None, RC, RR])]
        for i, loop in enumerate(loops):
            loop.next() if i == 1 else loop.hold()
        loops[1].next()  # a long batch is under way
        server.stop(signal.SIGQUIT)
        for loop in loops:
            servers.wait_for(lambda: loop.conn.readable(0), "the news to reach the client")
            assert gone(loop.reader, loop.relation.sql, loop.keys[loop.at])
        server.start(server.port)
        check_loop(server, p, BOOKS, "simple")
    finally:
        server.remove()


@pytest.mark.parametrize("how", ["close", "reset", "terminate"])
@pytest.mark.parametrize("begin", [None, RC])
def test_client_leaves_in_mid_loop(db, direct, proxy, opened, how, begin):
    """Its batch is under way: the server's connection ends, and others work."""
    loop = opened(Loop(db, Watch(db), proxy, HEAP, "pgx", begin, conftest.DIRECT))
    for _ in range(3):
        loop.next()
    if how == "terminate":
        loop.conn.send(proto.TERMINATE)
    else:
        getattr(loop.conn, how)()
    servers.wait_for(lambda: direct.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % loop.conn.pid) == "0", "the backend to end")
    check_loop(db, proxy, BOOKS, "simple")


def cancel(end, conn):
    with end.dial() as c:
        c.send(proto.cancel_request(conn.pid, conn.secret))
        assert c.drain_raw() == b""


@pytest.mark.parametrize("begin", [None, RC, RR])
def test_cancel_of_a_lookup_in_mid_loop(db, direct, proxy, opened, begin):
    """One that waits at the server; the session then is as it would be."""
    outcomes = []
    for end in (db, proxy):
        loop = opened(Loop(db, Watch(db), end, framing="pg", direct=True))
        if begin:
            loop.reader.say(begin)
        for _ in range(10):
            loop.next()
        with db.admin(DATABASE) as locker:
            locker.sql("BEGIN")
            locker.sql("LOCK TABLE note IN ACCESS EXCLUSIVE MODE")
            loop.conn.send(proto.unit("SELECT title FROM note WHERE author_id = $1", ["7"]))
            ahead.wait_active(direct, loop.conn.pid)
            servers.wait_for(lambda: direct.value("SELECT wait_event_type FROM pg_stat_activity WHERE pid = %d" % loop.conn.pid) == "Lock", "the lock")
            cancel(end, loop.conn)
            failed = loop.conn.ready()
            locker.sql("ROLLBACK")
        after = loop.next(), loop.reader.failure, loop.conn.status
        loop.reader.say("ROLLBACK")
        outcomes.append((proto.errors(failed)[0]["C"], after, [loop.next() for _ in range(10)]))
    assert outcomes[1] == outcomes[0]
    assert outcomes[0][0] == "57014"


@pytest.mark.parametrize("begin", [None, RC])
def test_cancel_while_rows_are_loaded(db, proxy, opened, begin):
    """The request may reach the client's own lookup, or nothing at all; never anything else of the loop."""
    reader = opened(Reader(proxy, "pg"))
    if begin:
        reader.say(begin)
    reader.ask(AUTHORS)
    for i in range(1, 4):
        assert reader.value(HEAP.sql, ("int4", str(i))) is not None
    cancel(proxy, reader.conn)  # nothing of the client's runs
    rows = reader.ask(HEAP.sql, ("int4", "4"))
    assert rows or reader.failure == "57014"
    if reader.failure and begin:
        assert reader.conn.status == "E"
        reader.say("ROLLBACK")
    for i in range(5, 9):
        assert reader.ask(HEAP.sql, ("int4", str(i))) and reader.failure is None
    assert {r[0] for r in reader.ask("SELECT count(*)::text FROM heap WHERE id = $1", ("int4", "9"))} == {b"3000"}


# ---- memory

@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("limits", [{"lookahead__max_session_memory": "64kB"}, {"lookahead__max_memory": "64kB"}, {}], ids=["session", "all", "default"])
def test_huge_rows(db, made, framing, limits):
    """60 kB for each key."""
    p = made(**limits)
    relation = Relation(AUTHORS, "SELECT id, body FROM big WHERE author_id = $1 ORDER BY id", ["int4"], "big").fresh()
    keys = relation.keys(db)
    through_both(db, p, framing, loop_of(relation, keys))
    if not conftest.DIRECT:
        before = p.status("VmRSS")
        for _ in range(3):
            through_both(db, p, framing, loop_of(relation, keys))
        assert p.status("VmRSS") - before < 64 << 10


def test_many_parents(db, proxy):
    """The loop stands at the beginning of 100,000 rows."""
    relation = Relation("SELECT id, name FROM many ORDER BY id", "SELECT id, name FROM many WHERE id = $1", ["int4"], "many")
    keys = relation.keys(db)[:200]
    watch, conn = through_both(db, proxy, "pg", loop_of(relation, keys))
    assert_few(lookups_sent(watch, conn, relation), len(keys))
    if not conftest.DIRECT:
        assert proxy.status("VmHWM") < 400 << 10


# ---- pools

@pytest.mark.parametrize("framing", TWO)
def test_pool(db, proxy, opened, framing):
    """The list comes over one connection, its lookups over three others, one after the other."""
    relation = BOOKS.fresh()
    keys = relation.keys(db)
    pool = [opened(Reader(proxy, framing)) for _ in range(4)]
    alone = opened(Reader(db, framing))
    sent = []
    for turn in range(5):  # the sessions are proved in the first
        watch = Watch(db)
        pool[turn % 4].ask(AUTHORS)
        for i, values in enumerate(keys):
            assert pool[(turn + 1 + i % 3) % 4].ask(relation.sql, *values) == alone.ask(relation.sql, *values)
        sent.append(len(watch.reads("book", *[r.conn for r in pool])))
    assert_few(sum(sent[2:]), 3 * len(keys), 3)


@pytest.mark.parametrize("framing", TWO)
def test_pool_of_strangers(db, direct, proxy, opened, framing):
    """What one holds is not another role's, nor one's with other settings: each lookup of theirs is sent by themselves."""
    strangers = [opened(Reader(proxy, framing, user="other")), opened(Reader(proxy, framing, application_name="stranger"))]
    tuned = opened(Reader(proxy, framing))
    tuned.say("SET search_path = public, pg_temp")
    loop = opened(Loop(db, Watch(db), proxy, framing=framing, direct=conftest.DIRECT)).hold()
    values = loop.keys[loop.at]
    direct.sql("UPDATE book SET title = '%s'" % NEW)
    for r in strangers + [tuned]:
        assert titles(r.ask(loop.relation.sql, *values)) == {NEW.encode()}


def test_pool_of_tenants(db, direct, proxy, opened):
    """The same text in two schemas."""
    for name in ("tenant_a", "tenant_b"):
        direct.sql("DROP SCHEMA IF EXISTS %s CASCADE" % name)
        direct.sql("CREATE SCHEMA " + name)
        direct.sql("GRANT ALL ON SCHEMA %s TO PUBLIC" % name)
        direct.sql("CREATE TABLE %s.own AS SELECT id, '%s ' || id AS body FROM author" % (name, name))
        direct.sql("GRANT ALL ON %s.own TO PUBLIC" % name)
    readers = {}
    for name in ("tenant_a", "tenant_b"):
        readers[name] = opened(Reader(proxy, "pg"))
        readers[name].say("SET search_path = " + name)
    both = [(name, r) for name, r in readers.items()]
    for _ in range(3):
        for name, r in both:
            r.ask("SELECT id FROM own ORDER BY id")
        for i in range(1, PARENTS + 1):
            for name, r in both if i % 2 else both[::-1]:
                assert r.value("SELECT body FROM own WHERE id = $1", ("int4", str(i))) == "%s %d" % (name, i)
        for name, r in both:  # the one becomes the other
            r.say("SET search_path = " + ("tenant_b" if name == "tenant_a" else "tenant_a"))
        both = [("tenant_b" if name == "tenant_a" else "tenant_a", r) for name, r in both]


def test_privileges_of_others(db, direct, proxy, opened):
    """Held rows are not for a role that may not read them."""
    direct.sql("CREATE TABLE IF NOT EXISTS secret AS SELECT author_id, author_id AS a, title FROM book")
    direct.sql("GRANT SELECT ON secret TO app")
    relation = Relation(AUTHORS, "SELECT author_id, a, title FROM secret WHERE author_id = $1", ["int4"], "secret")
    loop = opened(Loop(db, Watch(db), proxy, relation, "pg", direct=conftest.DIRECT)).hold()
    stranger = opened(Reader(proxy, "pg", user="other"))
    for values in loop.keys[loop.at:]:
        assert stranger.ask(loop.relation.sql, *values) == [] and stranger.failure == "42501"


# ---- waste

@pytest.mark.pgfold
def test_loops_that_break_load_less_and_less(db, start_pgfold, opened):
    """Two of sixty are asked for, again and again."""
    p = start_pgfold(PATIENT)
    reader, keys, loaded = opened(Reader(p, "pgx")), BOOKS.keys(db), []
    for _ in range(60):
        watch = Watch(db)
        reader.ask(AUTHORS)
        for values in keys[:2]:
            reader.ask(BOOKS.sql, *values)
        reader.conn.sql("SELECT 'the end'")
        loaded.append(sum(map(len, watch.batches("book", BOOKS.sql, reader.conn))))
    with unless_busy():
        assert sum(loaded[-20:]) < sum(loaded[:20]), loaded
        assert sum(loaded[-20:]) <= 20 * 4, loaded


@pytest.mark.pgfold
def test_loops_that_go_on_load_ahead_again(db, start_pgfold, opened):
    """After many that broke early."""
    reader, relation = opened(Reader(start_pgfold(PATIENT), "pgx")), BOOKS.fresh()
    keys = relation.keys(db)

    def loop(n):
        watch = Watch(db)
        reader.ask(AUTHORS)
        for values in keys[:n]:
            reader.ask(relation.sql, *values)
        return lookups_sent(watch, reader.conn, relation)
    for _ in range(20):
        loop(2)
    servers.wait_for(lambda: loop(PARENTS) <= PARENTS / 3, "a loop that is answered from held rows")


@pytest.mark.pgfold
@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("listed", [False, True])
def test_random_ids_load_nothing(db, proxy, opened, framing, listed):
    """Ids that no result has told."""
    reader, rng, watch = opened(Reader(proxy, framing)), random.Random(2), Watch(db)
    for _ in range(5):
        if listed:
            reader.ask(AUTHORS)
        for _ in range(20):
            reader.ask("SELECT id, name FROM many WHERE id = $1", ("int4", str(rng.randint(1000, 100000))))
    assert not watch.batches("many", "SELECT id, name FROM many WHERE id = $1", reader.conn)
    assert len(watch.reads("many", reader.conn)) == 100


# ---- histories

SECONDS = float(os.environ.get("PGFOLD_HISTORY", "10"))
SEED = int(os.environ.get("PGFOLD_SEED", "1"))
AGE, SLACK = 0.15, 0.05  # SLACK: for what is not counted as lateness of pgfold's clock


@pytest.mark.parametrize("limits", [{"lookahead__max_gap": "1s", "lookahead__max_age": "150ms"}, {"lookahead__max_gap": "5ms", "lookahead__max_age": "150ms"}],
                         ids=["age", "gap"])
def test_history(db, made, limits):
    """Readers loop in all isolation levels while rows change, through pgfold and past it. PGFOLD_HISTORY=SECONDS takes longer."""
    seed, end, asked, cost = SEED, time.monotonic() + SECONDS / 2, 0, 0
    while time.monotonic() < end:
        n, c = ahead_history.run(db, made(**limits), seed, min(SECONDS / 2, 10), AGE + SLACK)
        asked, cost, seed = asked + n, cost + c, seed + 1
    print("%d lookups, %d statements" % (asked, cost))
    busy = limits["lookahead__max_gap"] == "5ms"  # on a busy machine each lookup may come behind a longer pause
    with unless_busy():
        assert conftest.DIRECT or busy or cost < asked * 0.99, "%d lookups cost %d statements: there was nothing to judge" % (asked, cost)


def history(*answers, level=None, txn=None, own=None):
    """Owner 0 had versions 1 (past pgfold, at 1 s) and 2 (through it, at 2 s), its twin the same; a write of 99 was rolled back."""
    writes = {(o, v): ahead_history.Write(v * 10, v - 0.1 if v else 0.0, float(v), v == 2) for o in (0, 1) for v in (0, 1, 2)}
    out = []
    for owner, version, amount, asked in answers:
        rows = [("l", version, amount), ("r", version, -amount)]
        out.append(ahead_history.Answer(1, level, txn, owner, rows, asked, asked + 0.01, answers[0][3], own))
    return ahead_history.judge(writes, out, 0.2)


@pytest.mark.parametrize("good, bad", [
    ([(0, 0, 0, 1.1)], [(0, 0, 0, 1.3)]),  # older than the limit
    ([(0, 1, 10, 1.99)], [(0, 1, 10, 2.01)]),  # a write through pgfold
    ([(0, 2, 20, 2.5)], [(0, 3, 99, 2.5)]),  # was rolled back
    ([(0, 2, 20, 1.95)], [(0, 2, 20, 1.5)]),  # the future
    ([(0, 0, 0, 1.05), (0, 1, 10, 1.1)], [(0, 1, 10, 1.05), (0, 0, 0, 1.1)]),  # went back
])
def test_the_judge(good, bad):
    assert history(*good) == [] and len(history(*bad)) == 1
    assert history(*good, level="read committed", txn=1) == [] and len(history(*bad, level="read committed", txn=1)) == 1


@pytest.mark.parametrize("good, bad", [
    ([(0, 1, 10, 1.5), (1, 1, 10, 5.0)], [(0, 1, 10, 1.5), (1, 2, 20, 5.0)]),  # another state
    ([(0, 0, 0, 0.95), (0, 0, 0, 5.0)], [(0, 0, 0, 1.5)]),  # older than the transaction
    ([(0, 2, 20, 2.5)], [(0, 2, 21, 2.5)]),
])
def test_the_judge_of_snapshots(good, bad):
    assert history(*good, level="repeatable read", txn=1) == []
    assert history(*bad, level="repeatable read", txn=1)
    assert history((0, 3, 7, 5.0), level="repeatable read", txn=1, own=(3, 7)) == []
    assert history((0, 2, 20, 5.0), level="repeatable read", txn=1, own=(3, 7))
    assert history((0, 2, 20, 5.0), own=(3, 7))
