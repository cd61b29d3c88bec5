# SPDX-License-Identifier: PostgreSQL
"""Who asks for a key again without having read a list with it since wants to know what has changed: the server answers, whatever others'
loops have loaded meanwhile. And sessions whose default is SERIALIZABLE. Rows are changed past pgfold, and time plays no part."""
import threading
import time

import pytest

import ahead
import conftest
import servers
from ahead import AUTHORS, BOOKS, DATABASE, PATIENT, Loop, Reader, Relation, Watch
from busy import unless_busy
from framings import FRAMINGS
from proto import query, rows, unit

KEY = ("int4", "40")
TWO = ["simple", "pgx"]


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    return pg


@pytest.fixture(scope="module")
def proxy(db, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


@pytest.fixture
def direct(db):
    with db.admin(DATABASE) as c:
        c.sql("SELECT fill_ahead()")
        yield c


@pytest.fixture
def opened():
    out = []
    yield lambda x: out.append(x) or x
    for x in out:
        x.close()


class Poller:
    """Asks for one key; `changed` says that the answer is the server's of this moment."""

    serial = 0

    def __init__(self, reader, relation, direct):
        self.reader, self.relation, self.direct = reader, relation, direct

    def poll(self):
        return {r[2] for r in self.reader.ask(self.relation.sql, KEY)}

    def sees(self):
        Poller.serial += 1
        self.direct.sql("UPDATE book SET title = 'state %d' WHERE author_id = %s" % (Poller.serial, KEY[1]))
        assert self.poll() == {b"state %d" % Poller.serial}


def loop_on(loop, keys=20):
    """It goes on, short of the key that is polled, which is loaded again and again."""
    loop.reader.ask(AUTHORS)
    for values in loop.keys[:keys]:
        loop.reader.ask(loop.relation.sql, *values)


@pytest.fixture
def scene(db, direct, proxy, opened):
    """A loop of a neighbour's that holds the key, and a poller of the same statement and identity."""
    def make(framing):
        loop = opened(Loop(db, Watch(db), proxy, BOOKS, framing, direct=conftest.DIRECT))
        poller = Poller(opened(Reader(proxy, framing)), loop.relation, direct)
        for _ in range(3):
            poller.reader.ask(AUTHORS)  # it is proved, and its trail is old
            poller.poll()
        loop.hold()
        return loop, poller
    return make


@pytest.mark.parametrize("framing", TWO)
def test_beside_a_loop(scene, framing):
    loop, poller = scene(framing)
    for _ in range(4):
        poller.sees()
        loop_on(loop)
        poller.sees()


@pytest.mark.parametrize("framing", TWO)
def test_among_other_keys(scene, framing):
    """It asks for others, too, and for the same by other statements."""
    loop, poller = scene(framing)
    for i in range(3):
        loop_on(loop)
        poller.sees()
        for key in range(41, 46):
            poller.reader.ask(loop.relation.sql, ("int4", str(key)))
        poller.reader.ask("SELECT id, author_id, title, %d AS n FROM book WHERE author_id = $1" % i, KEY)
        loop_on(loop)
        poller.sees()


@pytest.mark.parametrize("framing", TWO)
def test_loaded_answers_to_another_statement(scene, framing):
    """Its answers for many keys were loaded at once. That of each key has only that key, which is no list of it."""
    loop, poller = scene(framing)
    other = "SELECT id, author_id, title, 'other' AS n FROM book WHERE author_id = $1"
    for _ in range(3):
        for reader in (loop.reader, poller.reader):
            reader.ask(AUTHORS)
            for values in loop.keys[:42]:
                reader.ask(other, *values)
        poller.poll()
        poller.poll()
        poller.reader.ask(other, KEY)
        loop_on(loop)
        poller.sees()


@pytest.mark.parametrize("framing", TWO)
def test_answers_are_no_lists(scene, framing):
    """Each of its answers has the key in several rows; so has another list, which the loop does not follow."""
    loop, poller = scene(framing)
    for _ in range(3):
        loop_on(loop)
        poller.reader.ask("SELECT title, author_id AS a, position + %s - position AS b FROM book WHERE author_id = %s" % (KEY[1], KEY[1]))
        poller.sees()


@pytest.mark.parametrize("framing", TWO)
def test_a_list_before_the_last_time(scene, framing):
    """It has read the list, and asked since."""
    loop, poller = scene(framing)
    poller.reader.ask(AUTHORS)
    poller.poll()
    for _ in range(3):
        loop_on(loop)
        poller.sees()


@pytest.mark.parametrize("framing", TWO)
def test_its_own_loop(scene, framing):
    """Between two turns of its own loop, which loads the key, too."""
    loop, poller = scene(framing)
    poller.reader.ask(AUTHORS)
    poller.poll()
    for values in loop.keys[:30]:
        poller.reader.ask(loop.relation.sql, *values)
        if values[0][1] in ("5", "15", "25"):
            poller.sees()


@pytest.mark.parametrize("begin", ["BEGIN", "BEGIN; UPDATE note SET title = title"])
def test_first_inside_a_transaction(scene, begin):
    loop, poller = scene("pgx")
    for _ in range(3):
        for s in begin.split("; "):
            poller.reader.say(s)
        poller.sees()
        loop_on(loop)
        poller.sees()
        poller.reader.say("COMMIT")
        loop_on(loop)
        poller.sees()


BOOK_LIST = "SELECT id, author_id FROM book WHERE author_id BETWEEN 38 AND 42 ORDER BY position, id"
AUTHOR = "SELECT id, name FROM author WHERE id = $1"


def number(value):
    return int(value) if value.isdigit() else int.from_bytes(value, "big")


class AuthorPoller(Poller):
    """Asks for an author whom a list of books names several times."""

    def sees(self, poll=None):
        Poller.serial += 1
        self.direct.sql("UPDATE author SET name = 'state %d' WHERE id = %s" % (Poller.serial, KEY[1]))
        assert (poll or self.poll)() == {b"state %d" % Poller.serial}

    def poll(self):
        return {r[1] for r in self.reader.ask(AUTHOR, KEY)}

    def list(self):
        return [r[1] for r in self.reader.ask(BOOK_LIST)]


@pytest.fixture
def author_poller(direct, proxy, opened):
    """The statement is proved: it has gone through the list, three times."""
    def make(framing):
        poller = AuthorPoller(opened(Reader(proxy, framing)), None, direct)
        for _ in range(3):
            for row in poller.reader.ask(BOOK_LIST):
                poller.reader.ask(AUTHOR, ("int4", str(number(row[1]))))
        return poller
    return make


@pytest.mark.parametrize("framing", TWO)
def test_no_more_often_than_the_list_has_it(author_poller, framing):
    """A row of the list answers one lookup."""
    poller = author_poller(framing)
    for _ in range(3):
        times = sum(number(at) == int(KEY[1]) for at in poller.list())
        assert times > 1
        for _ in range(times):
            poller.poll()
        for _ in range(3):
            poller.sees()


IDENTITIES = ["SET application_name = 'other'", "SET work_mem = '5MB'", "SELECT set_config('timezone', 'Asia/Tokyo', false)", "RESET ALL", "DISCARD ALL"]


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("change", IDENTITIES)
def test_another_identity_between(direct, proxy, opened, framing, change):
    """It asks again as somebody else, whose lookups the list has not been told of. It has gone through the list all the same."""
    reader, relation = opened(Reader(proxy, "simple" if change == "DISCARD ALL" else framing)), BOOKS.fresh()
    for _ in range(2):
        if "ALL" in change:
            reader.conn.sql("SET application_name = 'before'")
        reader.ask(AUTHORS)
        for key in range(1, 31):
            reader.ask(relation.sql, ("int4", str(key)))
        reader.conn.sql(change)
        for key in range(1, 31):
            direct.sql("UPDATE book SET title = '%s %d' WHERE author_id = %d" % (framing, key, key))
            assert {r[2] for r in reader.ask(relation.sql, ("int4", str(key)))} <= {b"%s %d" % (framing.encode(), key)}
            direct.sql("UPDATE book SET title = 'back' WHERE author_id = %d" % key)


WAYS = ["simple", "pgx", "asyncpg", "pgjdbc named", "ruby", "psycopg named"]


@pytest.mark.parametrize("held", WAYS)
@pytest.mark.parametrize("asked", WAYS)
def test_the_same_question_in_another_way(db, direct, proxy, opened, held, asked):
    """The server has answered it with what is new: what was loaded before in the other way is not given any more."""
    if held == asked:
        return
    loop = opened(Loop(db, Watch(db), proxy, BOOKS, held, direct=conftest.DIRECT))
    loop.hold()
    values = loop.keys[loop.at]
    direct.sql("UPDATE book SET title = 'new' WHERE author_id = %s" % values[0][1])
    other = Reader.__new__(Reader)
    other.__dict__ = {**loop.reader.__dict__, "framing": FRAMINGS[asked], "statements": {}}
    sql = "/* the same */ " + loop.relation.sql.replace("SELECT", "select") + " -- again"
    assert {r[2] for r in other.ask(sql, *values)} == {b"new"}
    assert {r[2] for r in loop.reader.ask(loop.relation.sql, *values)} == {b"new"}


@pytest.mark.parametrize("framing", TWO)
def test_a_list_read_each_time(author_poller, framing):
    """What was loaded before the list came is no answer behind it."""
    poller = author_poller(framing)
    for i in range(8):
        poller.sees(lambda: poller.list() and poller.poll())
        if i % 2:
            poller.poll()


@pytest.mark.parametrize("framing", TWO)
def test_two_statements_by_one_key(author_poller, framing):
    """The answer to the one has the other's key in each of its rows."""
    poller = author_poller(framing)
    for _ in range(5):
        poller.sees(lambda: poller.reader.ask("SELECT id, author_id FROM book WHERE author_id = $1", KEY) and poller.poll())


@pytest.mark.parametrize("framing", TWO)
def test_rows_that_have_the_key_in_two_columns(scene, framing):
    """Its own answers are no lists of it."""
    poller = scene(framing)[1]
    either = "SELECT id, author_id, title FROM book WHERE author_id = $1 OR id = $1"
    poller.poll = lambda: {r[2] for r in poller.reader.ask(either, KEY) if number(r[1]) == int(KEY[1])}
    for _ in range(4):
        poller.reader.ask(AUTHORS)
        for key in ("1", "2", "3", "4", KEY[1]):
            poller.reader.ask(either, ("int4", key))
        for _ in range(4):
            poller.sees()


@pytest.mark.parametrize("framing", TWO)
def test_two_pollers(scene, proxy, opened, framing):
    """What the one has asked for is not held for the other; each sees each change."""
    loop, poller = scene(framing)
    other = Poller(opened(Reader(proxy, framing)), poller.relation, poller.direct)
    other.poll()
    for _ in range(4):
        loop_on(loop)
        poller.sees()
        other.sees()


def test_pipelined_before(scene, db):
    """Several lookups with one Sync, or one behind the other."""
    loop, poller = scene("pgx")
    conn = poller.reader.conn
    text = loop.relation.sql.replace("$1", "%s")
    for way in range(3):
        loop_on(loop)
        for key in (KEY[1], "41", "42"):
            conn.send(query(text % key))
        for _ in range(3):
            conn.ready()
        again = Poller(poller.reader, poller.relation, poller.direct)
        again.poll = lambda: {r[2] for r in conn.sql_bytes(text % KEY[1])} if hasattr(conn, "sql_bytes") else {
            r[2].encode() for r in conn.sql(text % KEY[1])}
        loop_on(loop)
        again.sees()


@pytest.mark.pgfold
def test_after_it_was_forgotten(scene, direct):
    """Ten seconds without a lookup, and pgfold gives back what it holds for it: not what it has asked for."""
    loop, poller = scene("pgx")
    poller.sees()
    stop, failed = threading.Event(), []

    def go_on():
        try:
            while not stop.wait(0.2):
                loop_on(loop, 5)
        except Exception as e:  # noqa: BLE001
            failed.append(e)
    t = threading.Thread(target=go_on)
    t.start()
    stop.wait(11)
    stop.set()
    t.join()
    assert not failed
    loop_on(loop)
    poller.sees()


@pytest.mark.pgfold
@pytest.mark.parametrize("framing", TWO)
def test_pages_are_no_polls(scene, db, framing):
    """Who reads the list again may be answered ahead again, for each key once."""
    loop, _ = scene(framing)
    for _ in range(3):
        watch = Watch(db)
        loop_on(loop, 60)
        sent = len(watch.reads("book", loop.conn))
        with unless_busy():
            assert sent <= 20, sent


# ---- SERIALIZABLE by default

DEFAULTS = {
    "SET": ({}, ["SET default_transaction_isolation = 'serializable'"]),
    "SET TO": ({}, ["SET SESSION default_transaction_isolation TO serializable"]),
    "characteristics": ({}, ["SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE"]),
    "set_config": ({}, ["SELECT set_config('default_transaction_isolation', 'serializable', false)"]),
    "by a function": ({}, ["DO $$BEGIN SET default_transaction_isolation = 'serializable'; END$$"]),
    "options": ({"options": "-c default_transaction_isolation=serializable"}, []),
    "start-up": ({"default_transaction_isolation": "serializable"}, []),
    "role": ({}, []), "database": ({}, []), "file": ({}, []),
}
BEFORE = {"role": "ALTER ROLE app SET default_transaction_isolation = 'serializable'",
          "database": "ALTER DATABASE ahead SET default_transaction_isolation = 'serializable'",
          "file": "ALTER SYSTEM SET default_transaction_isolation = 'serializable'"}
AFTER = {"role": "ALTER ROLE app RESET default_transaction_isolation", "database": "ALTER DATABASE ahead RESET default_transaction_isolation",
         "file": "ALTER SYSTEM RESET default_transaction_isolation"}


def reload_conf(admin, level):
    admin.sql("SELECT pg_reload_conf()")
    servers.wait_for(lambda: admin.value("SELECT reset_val FROM pg_settings WHERE name = 'default_transaction_isolation'") == level, "the reload")


@pytest.mark.parametrize("way", DEFAULTS)
@pytest.mark.parametrize("framing", TWO)
def test_serializable_by_default(db, proxy, direct, opened, way, framing):
    """Each lookup is the server's; but not in transactions that say otherwise."""
    login, statements = DEFAULTS[way]
    relation = BOOKS.fresh()
    try:
        if way in BEFORE:
            direct.sql(BEFORE[way])
        if way == "file":
            reload_conf(direct, "serializable")
        reader = opened(Reader(proxy, framing, **login))
        for s in statements:
            reader.say(s)
        keys = relation.keys(db)
        for _ in range(3):
            watch = Watch(db)
            reader.ask(AUTHORS)
            for i, values in enumerate(keys):
                if i % 10 == 5:
                    direct.sql("UPDATE book SET title = 'round %d' WHERE author_id = %s" % (i, keys[i][0][1]))
                    assert {r[2] for r in reader.ask(relation.sql, *values)} <= {b"round %d" % i}
                else:
                    reader.ask(relation.sql, *values)
            assert sum(watch.sent(relation.sql, values, reader.conn) for values in keys) == len(keys)
        assert reader.conn.sql("SHOW transaction_isolation") in ([["serializable"]], [("serializable",)])
    finally:
        if way in AFTER:
            direct.sql(AFTER[way])
        if way == "file":
            reload_conf(direct, "read committed")


@pytest.mark.pgfold
@pytest.mark.parametrize("level", ["repeatable read", "read uncommitted", "read committed"])
def test_other_defaults(db, proxy, opened, level):
    """Each statement has a snapshot of its own outside transactions."""
    reader, relation = opened(Reader(proxy, "pgx")), BOOKS.fresh()
    reader.say("SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL " + level)
    keys = relation.keys(db)
    for _ in range(3):
        watch = Watch(db)
        reader.ask(AUTHORS)
        for values in keys:
            reader.ask(relation.sql, *values)
    with unless_busy():
        assert len(watch.reads("book", reader.conn)) <= 15


@pytest.mark.parametrize("columns, framing", [("a.id, b.title, b.author_id", "simple"), ("b.title, b.author_id", "pgx"), ("b.author_id, b.title, a.name", "simple")])
def test_answers_that_repeat_the_key(proxy, direct, opened, framing, columns):
    """By a column that is joined with the key's: they name nothing but what was asked for. (Numbers 1 and 2 are tenants, too.)"""
    of = Relation(AUTHORS, "SELECT %s FROM author a JOIN book b ON b.author_id = a.id WHERE a.id = $1" % columns, ["int4"], "book")
    at = columns.split(", ").index("b.title")
    for time in range(2):
        relation, reader = of.fresh(), opened(Reader(proxy, framing))
        for page in range(2):
            reader.ask(AUTHORS)
            for key in range(1, 9):
                reader.ask(relation.sql, ("int4", str(key)))
            for i, key in enumerate([8, 8, 5, 3, 4, 3, 7, 8]):
                state = b"%d of %d, %d" % (i, time, page)
                direct.sql("UPDATE book SET title = '%s'" % state.decode())
                assert {r[at] for r in reader.ask(relation.sql, ("int4", str(key)))} == {state}, (page, key)


@pytest.mark.parametrize("first", ["simple", "extended"])
def test_asked_in_two_ways(proxy, direct, opened, first):
    """Answers to the statement are no lists of what they were asked for, if it is sent in another way, either."""
    Poller.serial += 1
    sql = "SELECT id, name, %d AS n FROM many WHERE id = $1" % Poller.serial
    conn = opened(Reader(proxy)).conn

    def ask(key, way):
        return rows(conn.ask(query(sql.replace("$1", str(key))) if way == "simple" else unit(sql, [str(key)])))[0][1]
    other = "simple" if first == "extended" else "extended"
    for key in (745, 721, 733, 750, 728):
        ask(key, first)
    for key in range(700, 760):
        ask(key, other)
    for key in range(715, 752):
        state = b"state %d of %d" % (key, Poller.serial)
        direct.sql("UPDATE many SET name = '%s' WHERE id = %d" % (state.decode(), key))
        assert ask(key, first) == state or key not in (745, 721, 733, 750, 728), key
    direct.sql("UPDATE many SET name = 'name ' || id WHERE id BETWEEN 700 AND 760")


@pytest.mark.pgfold
@pytest.mark.parametrize("way", ["simple", "extended"])
def test_texts_that_were_not_read_at_first(db, direct, start_pgfold, opened, way):
    """New texts took more than their share, so what the poller asked first is not known. Then it is asked for the same by a text that is read."""
    conn, keys = opened(Reader(start_pgfold({**PATIENT, "batching.parse_budget": "1ms"}))).conn, range(3, 21)
    sql = "SELECT id, author_id, title, '%s' AS way FROM book WHERE author_id = $1" % way

    def ask(key):
        return {r[2] for r in rows(conn.ask(query(sql.replace("$1", str(key))) if way == "simple" else unit(sql, [str(key)])))}
    conn.sql(AUTHORS)
    for i in range(40):
        conn.sql("SELECT %s FROM author WHERE id = 1" % ", ".join("id AS a%d" % (i + j) for j in range(40)))
    for key in keys:
        ask(key)
    time.sleep(2.5)
    for i, key in enumerate(keys):
        direct.sql("UPDATE book SET title = 'state %d' WHERE author_id = %d" % (i, key))
        assert ask(key) <= {b"state %d" % i}, key
