# SPDX-License-Identifier: PostgreSQL
"""What is loaded ahead for nothing. Whatever drops it or keeps it from being asked for, no loop may cost the server more statements than
1.2 times what it costs directly, and eight. Black box: statements are read from the server's log, those that frame a batch
in a transaction included. Catalogue queries are none of a loop's: a statement is asked about once."""
import re

import pytest

import ahead
import conftest
import servers
from ahead import DATABASE, PATIENT, Reader, Watch
from busy import unless_busy

TABLES = """
DROP SCHEMA IF EXISTS waste CASCADE;
CREATE SCHEMA waste;
CREATE TABLE waste.topic (id int PRIMARY KEY, title text, seen timestamptz, day date, seq int, most int, score numeric, tag uuid);
CREATE TABLE waste.post (id int PRIMARY KEY, topic_id int REFERENCES waste.topic, created timestamptz, day date, body text);
CREATE TABLE waste.other (n int);
INSERT INTO waste.topic SELECT i, 'topic ' || i, timestamptz '2024-01-01' + i * interval '17 min', date '2024-01-01' + i, i * 7, 1 + i % 7, i * 1.5,
       md5(i::text)::uuid FROM generate_series(1, 100) i;
INSERT INTO waste.post SELECT (t - 1) * 10 + b, t, timestamptz '2024-01-01' + (t + b) * interval '16 min', date '2024-01-01' + t + b - 5, 'post ' || b
       FROM generate_series(1, 100) t, generate_series(1, 10) b;
CREATE INDEX ON waste.post (topic_id, created);
CREATE FUNCTION waste.twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE VIEW waste.doubled AS SELECT topic_id, waste.twice(id) FROM waste.post;
GRANT ALL ON SCHEMA waste TO PUBLIC;
GRANT ALL ON ALL TABLES IN SCHEMA waste TO PUBLIC;
ANALYZE waste.topic, waste.post
"""
LIST = "SELECT id, title, seen, day, seq, most, score, tag FROM waste.topic ORDER BY id"
ID, TITLE, SEEN, DAY, SEQ, MOST, SCORE = range(7)
KINDS = ["int4", "text", "timestamptz", "date", "int4", "int8", "numeric"]

# The loop's statement, and which columns of its list supply $1, $2 …
LOOPS = {
    "plain": ("SELECT id, body FROM waste.post WHERE topic_id = $1", [ID]),
    "count since": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND created > $2", [ID, SEEN]),
    "rows since": ("SELECT id, body FROM waste.post WHERE topic_id = $1 AND created > $2 ORDER BY id", [ID, SEEN]),
    "rows until": ("SELECT id, body FROM waste.post WHERE created <= $1 AND topic_id = $2 ORDER BY id", [SEEN, ID]),
    "by day": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND day <> $2", [ID, DAY]),
    "limit": ("SELECT id, body FROM waste.post WHERE topic_id = $1 ORDER BY id LIMIT $2", [ID, MOST]),
    "key in the select list": ("SELECT id, body, $2::int AS t FROM waste.post WHERE topic_id = $1 ORDER BY id", [ID, ID]),
    "text in the select list": ("SELECT id, body, $2::text AS t FROM waste.post WHERE topic_id = $1 ORDER BY id", [ID, TITLE]),
    "order": ("SELECT id FROM waste.post WHERE topic_id = $1 ORDER BY id <> $2, id", [ID, SEQ]),
    "from an id on": ("SELECT id FROM waste.post WHERE topic_id = $1 AND id > $2 ORDER BY id LIMIT 5", [ID, SEQ]),
    "but one": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND id <> $2", [ID, SEQ]),
    "having": ("SELECT topic_id, count(*) FROM waste.post WHERE topic_id = $1 GROUP BY topic_id HAVING count(*) > $2", [ID, MOST]),
    "computed": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND length(body) * 2 > $2", [ID, SEQ]),
    "a numeric": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND id::numeric < $2", [ID, SCORE]),
    "between": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND id BETWEEN $2 AND $3", [ID, SEQ, SEQ]),
    "three": ("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND created > $2 AND body <> $3", [ID, SEEN, TITLE]),
}
# Those that have one row, or whose order is told by an unique column, and whose second value is of the list's row: it is part of the key. In which way a client writes a time does not
# matter, as long as it writes all in the same way.
WORKS = ["plain", "count since", "rows since", "rows until", "by day", "limit", "key in the select list", "text in the select list", "order", "from an id on", "but one",
         "between", "three"]

# What else happens in each turn, before the lookup and behind it; None: it is asked again.
NOTHING = ([], [])
TURNS = {
    "own write": ([], ["INSERT INTO waste.other VALUES (1)"]),
    "own write to what is read": ([], ["UPDATE waste.post SET body = body WHERE id = -1"]),
    "own write to what is read, in a transaction": (["BEGIN", "UPDATE waste.post SET body = body WHERE id = -1"], ["COMMIT"]),
    "own write that goes back": (["BEGIN"], ["UPDATE waste.post SET body = body WHERE id = -1", "ROLLBACK"]),
    "own setting": ([], ["SET extra_float_digits = 1"]),
    "own lock": ([], ["SELECT pg_advisory_lock(1)", "SELECT pg_advisory_unlock(1)"]),
    "transaction": (["BEGIN"], ["COMMIT"]),
    "snapshot": (["BEGIN ISOLATION LEVEL REPEATABLE READ"], ["COMMIT"]),
    "savepoint": (["SAVEPOINT s"], ["RELEASE s"]),
    "definitions": ([], ["CREATE TEMP TABLE IF NOT EXISTS t (a int)"]),
    "asks twice": ([], [None]),
    "list again": ([], [LIST]),
}
LEVELS = {"autocommit": None, "read committed": "BEGIN", "repeatable read": "BEGIN ISOLATION LEVEL REPEATABLE READ"}
EVENTS = {"too old": {"lookahead.max_age": "1us"}, "paused": {"lookahead.max_gap": "1us"}, "no memory": {"lookahead.max_session_memory": "16kB"}}


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    with pg.admin(DATABASE) as c:
        for statement in TABLES.strip().split(";\n"):
            c.sql(statement)
    return pg


@pytest.fixture(scope="module")
def made(db, long_lived):
    def get(**settings):
        return long_lived(**{k.replace(".", "__"): v for k, v in (PATIENT | settings).items()})
    return get


def page(reader, sql, columns, turn=NOTHING, begin=None):
    """A list and a loop over it; returns what the loop was answered."""
    out = []
    if begin:
        reader.say(begin)
    for row in reader.conn.sql(LIST):
        values = [(KINDS[c], row[c]) for c in columns]
        for s in turn[0]:
            reader.say(s)
        out.append(reader.ask(sql, *values))
        assert reader.failure is None, reader.failure
        for s in turn[1]:
            out.append(reader.ask(sql, *values)) if s is None else reader.say(s)
    if begin:
        reader.say("COMMIT")
    return out


def cost(watch, conn):
    """Statements that the server was sent over the connection, but for questions about it and about a statement."""
    return sum(not re.search(r"pg_catalog\.pg_(class|roles|proc|settings)|pg_my_temp_schema|SHOW ALL|FROM pg_class", s.text)
               for s in watch.seen(conn))


def check(db, proxy, framing, sql, columns, pages=4, **kw):
    """Returns the statements of each page, directly and through pgfold."""
    counts, got = [], []
    for end in (db, proxy):
        reader, n = Reader(end, framing), []
        for _ in range(pages):
            watch = Watch(db)
            got.append(page(reader, sql, columns, **kw))
            reader.conn.sql("SELECT 'the end'")
            n.append(cost(watch, reader.conn))
        reader.close()
        counts.append(n)
    assert all(g == got[0] for g in got)
    for n in zip(*counts):
        with unless_busy():
            assert n[1] <= 1.2 * n[0] + 16, "statements of each page, directly and through pgfold: %s" % counts  # each batch is two statements, and each vetting three
    return counts


@pytest.mark.parametrize("framing", ["simple", "pgx", "psycopg"])
@pytest.mark.parametrize("name", LOOPS)
def test_second_values(db, made, name, framing):
    direct, through = check(db, made(), framing, *LOOPS[name])
    if name in WORKS and not conftest.DIRECT:
        with unless_busy():
            assert through[-1] <= direct[-1] / 4, (direct, through)


@pytest.mark.parametrize("level", ["read committed", "repeatable read"])
@pytest.mark.parametrize("name", ["count since", "order", "limit"])
def test_second_values_in_a_transaction(db, made, name, level):
    check(db, made(), "pgx", *LOOPS[name], begin=LEVELS[level])


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("what", TURNS)
def test_turns_that_drop(db, made, what, framing):
    check(db, made(), framing, *LOOPS["plain"], turn=TURNS[what], begin="BEGIN" if what == "savepoint" else None)


@pytest.mark.parametrize("what", EVENTS)
@pytest.mark.parametrize("level", LEVELS)
def test_events_that_drop(db, made, what, level):
    check(db, made(**EVENTS[what]), "pgx", *LOOPS["plain"], begin=LEVELS[level])


@pytest.mark.parametrize("where", ["past", "through"])
def test_somebody_writes_in_each_turn(db, made, where):
    """Through pgfold each write drops what is held."""
    proxy = made()
    with (db if where == "past" else proxy).connect(database=DATABASE) as writer:
        counts = []
        for end in (db, proxy):
            reader, n = Reader(end, "pgx"), []
            for _ in range(3):
                watch = Watch(db)
                for row in reader.conn.sql(LIST):
                    writer.sql("UPDATE waste.post SET body = body WHERE id = -1")
                    assert len(reader.ask(LOOPS["plain"][0], ("int4", row[0]))) == 10
                n.append(cost(watch, reader.conn))
            reader.close()
            counts.append(n)
    with unless_busy():
        assert all(b <= 1.2 * a + 16 for a, b in zip(*counts)), counts


@pytest.mark.parametrize("framing", ["pgx", "psycopg"])
def test_a_text_of_its_own_in_each_turn(db, made, framing):
    """A constant in the text of a statement with parameters: a shape that is asked for once."""
    counts = []
    for end in (db, made()):
        reader, n = Reader(end, framing), 0
        for page_of in range(3):
            watch = Watch(db)
            for row in reader.conn.sql(LIST):
                got = reader.ask("SELECT count(*) FROM waste.post WHERE topic_id = $1 AND created > '%s' AND id <> -%d" % (row[SEEN], page_of),
                                 ("int4", row[ID]))
                assert len(got) == 1
            n += len(watch.seen(reader.conn))  # questions about statements, too
        reader.close()
        counts.append(n)
    # What each may do is asked once, since it is the same; and whether it folds of the first ones, until that has proved to be in vain.
    with unless_busy():
        assert counts[1] <= 1.2 * counts[0] + 2 * 32 + 8, counts


OWN_TEXTS = {
    "label": "SELECT id, topic_id AS x%(n)d FROM waste.post WHERE id = %(id)d",
    "alias": "SELECT a%(n)d.id, a%(n)d.body FROM waste.post AS a%(n)d WHERE a%(n)d.id = %(id)d",
    "label in the order": "SELECT id, topic_id AS x%(n)d FROM waste.post WHERE id = %(id)d ORDER BY x%(n)d",
    "order": "SELECT id FROM waste.post WHERE id = %(id)d ORDER BY %(n)d + topic_id",
    "comment": "SELECT id /* %(n)d */ FROM waste.post WHERE id = %(id)d",
    "no lookup": "SELECT count(*) AS x%(n)d FROM waste.post WHERE id < %(id)d OR topic_id = 3",
}


@pytest.mark.parametrize("transaction", [False, True], ids=["alone", "in a transaction"])
@pytest.mark.parametrize("name", OWN_TEXTS)
def test_each_lookup_a_text_of_its_own(db, made, name, transaction):
    """What the catalogue says of one text holds for others about which it would be asked the same."""
    counts, got = [], []
    for end in (db, made()):
        with end.connect(database=DATABASE) as conn:
            watch, rows = Watch(db), []
            if transaction:
                conn.sql("BEGIN")
            for n in range(1, 101):
                rows.append(conn.sql(OWN_TEXTS[name] % {"n": n, "id": n}))
            if transaction:
                conn.sql("COMMIT")
            got.append(rows)
            counts.append(len(watch.seen(conn)))  # all of them
    assert got[0] == got[1]
    assert counts[0] >= 100 and counts[1] <= 1.2 * counts[0] + 8, counts


# ---- loops that do not go on

def pages(db, end, n, sql, choose, around=((), ())):
    """Lists, each with a loop over what `choose` takes of it. Returns what was answered, and all that the server was sent."""
    reader, out = Reader(end, "simple"), []
    watch = Watch(db)
    for _ in range(n):
        reader.say(*around[0])
        for row in choose(reader.conn.sql(LIST)):
            out.append((reader.ask(sql, ("int4", row[ID])), reader.failure))
        reader.say(*around[1])
    seen = watch.settled(reader.conn)
    reader.close()
    return out, seen


def keys(seen):
    return [len(v.split(",")) for s in seen for v in s.values if v and re.fullmatch(r"\{[\d,]+\}", v)]


@pytest.mark.pgfold
def test_the_first_row_of_each_list(db, made):
    """What one lookup says of a list is tried with a few keys beside its own, once."""
    sql = "SELECT id, body, 1 AS first FROM waste.post WHERE topic_id = $1"
    want, direct = pages(db, db, 25, sql, lambda rows: rows[:1])
    got, seen = pages(db, made(), 25, sql, lambda rows: rows[:1])
    assert got == want and sum(keys(seen)) <= 9, keys(seen)
    with unless_busy():
        assert len(seen) <= 1.2 * len(direct) + 4, [s.text[:80] for s in seen]


@pytest.mark.pgfold
def test_the_last_rows_in_a_transaction(db, made):
    """A batch for two keys takes more statements there than the two lookups."""
    sql, around = "SELECT id, body, 2 AS last FROM waste.post WHERE topic_id = $1", (("BEGIN",), ("COMMIT",))
    want, direct = pages(db, db, 20, sql, lambda rows: rows[-3:], around)
    got, seen = pages(db, made(), 20, sql, lambda rows: rows[-3:], around)
    assert got == want and not keys(seen), keys(seen)
    with unless_busy():
        assert len(seen) <= len(direct) + 24, [s.text[:80] for s in seen]


@pytest.mark.pgfold
def test_a_key_that_raises_an_error(db, made):
    """The keys in front of it and behind it are loaded all the same, and nothing is asked anew about the statement."""
    sql = "SELECT id, 100 / (topic_id - 50) FROM waste.post WHERE topic_id = $1"
    want, direct = pages(db, db, 5, sql, lambda rows: rows)
    got, seen = pages(db, made(), 5, sql, lambda rows: rows)
    assert got == want and sum(failure == "22012" for _, failure in got) == 5
    with unless_busy():
        assert len(seen) <= 0.8 * len(direct), (len(direct), len(seen))
        assert sum("WITH RECURSIVE r AS" in s.text for s in seen) <= 2, "questions"


@pytest.mark.pgfold
def test_no_proof_for_what_is_no_plain_read(db, made):
    want, direct = pages(db, db, 1, "SELECT twice FROM waste.doubled WHERE topic_id = $1", lambda rows: rows[:31])
    got, seen = pages(db, made(), 1, "SELECT twice FROM waste.doubled WHERE topic_id = $1", lambda rows: rows[:31])
    assert got == want and sum("SHOW ALL" in s.text for s in seen) <= 2  # what is below it is asked the second time
    with unless_busy():
        assert len(seen) <= 1.2 * len(direct) + 8, [s.text[:80] for s in seen]


@pytest.mark.pgfold
def test_what_stopped_works_again(db, made):
    """A loop that could not be guessed leaves no mark on one of the same statement that can."""
    sql, columns = LOOPS["limit"]
    sql = sql.replace("body", "topic_id")
    reader = Reader(made(), "pgx")
    try:
        for _ in range(3):
            page(reader, sql, columns)

        def works():
            watch = Watch(db)
            for row in reader.conn.sql(LIST):
                reader.ask(sql, ("int4", row[ID]), ("int8", "3"))
            reader.conn.sql("SELECT 'the end'")
            return cost(watch, reader.conn) < 50
        servers.wait_for(works, "a loop that is answered ahead")
    finally:
        reader.close()
