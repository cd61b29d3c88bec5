# SPDX-License-Identifier: PostgreSQL
"""Values beside the key that come from the same row of the list. They decide the plan of a statement, and with it the order of rows that no ORDER BY
tells apart: so they are part of the key only where the answer has one row, or an index says that ORDER BY tells all rows apart. Black box: a loop
directly and through pgfold, whose answers are compared to the byte; what the server was sent is read from its log."""
import time

import pytest

import ahead
import conftest
from ahead import DATABASE, PATIENT, Reader, Watch
from busy import unless_busy

TABLES = """
DROP SCHEMA IF EXISTS second CASCADE;
CREATE SCHEMA second;
CREATE TABLE second.topic (id int PRIMARY KEY, seen timestamptz, n int, most int8);
INSERT INTO second.topic SELECT i, '2024-01-01Z'::timestamptz + i * interval '17 min', i * 7 % 40, 1 + i % 5 FROM generate_series(1, 60) i;
CREATE TABLE second.plain AS SELECT (t * 37 % 61) * 20 + b AS id, t AS topic, b AS n, '2024-01-01Z'::timestamptz + (t + b / 3) * interval '16 min' AS created
       FROM generate_series(1, 60) t, generate_series(1, 12) b ORDER BY b, t;
CREATE TABLE second.pk (LIKE second.plain);
ALTER TABLE second.pk ADD PRIMARY KEY (id);
CREATE TABLE second.two (LIKE second.plain);
ALTER TABLE second.two ADD PRIMARY KEY (topic, n);
CREATE TABLE second.nulls (LIKE second.plain, UNIQUE (id));
CREATE TABLE second.deferred (LIKE second.plain, UNIQUE (id) DEFERRABLE);
CREATE TABLE second.some (LIKE second.plain);
CREATE UNIQUE INDEX ON second.some (id) WHERE n < 99;
CREATE TABLE second.other (LIKE second.plain);
ALTER TABLE second.other ADD PRIMARY KEY (n, id);
CREATE TABLE second.dropped (LIKE second.plain, CONSTRAINT one PRIMARY KEY (id))
"""
COPIES = ["pk", "two", "nulls", "deferred", "some", "other", "dropped"]
LIST = "SELECT id, seen, n, most, n + 3 AS m, most - 1 AS skip FROM second.topic ORDER BY id"
KINDS = ["int4", "timestamptz", "int4", "int8", "int4", "int8"]
ID, SEEN, N, MOST, M, SKIP = range(6)
SINCE = "SELECT id, n FROM second.%s WHERE topic = $1 AND created > $2 ORDER BY %s"

# The statement, which columns of the list supply its values, and whether the second one is part of the key.
LOOPS = {
    "the primary key": (SINCE % ("pk", "id"), [ID, SEEN], True),
    "the primary key, among others": (SINCE % ("pk", "created DESC, id, n"), [ID, SEEN], True),
    "by its label": ("SELECT n AS m, id AS k FROM second.pk WHERE topic = $1 AND created > $2 ORDER BY k", [ID, SEEN], True),
    "of two columns one is the key": (SINCE % ("two", "n"), [ID, SEEN], True),
    "no label": ("SELECT n AS id, topic FROM second.pk WHERE topic = $1 AND created > $2 ORDER BY id", [ID, SEEN], False),
    "an expression": (SINCE % ("pk", "id + 0"), [ID, SEEN], False),
    "no unique index": (SINCE % ("plain", "id"), [ID, SEEN], False),
    "no column of it": (SINCE % ("pk", "created"), [ID, SEEN], False),
    "no order": ("SELECT id, n FROM second.pk WHERE topic = $1 AND created > $2", [ID, SEEN], False),
    "a part of it": (SINCE % ("other", "id"), [ID, SEEN], False),
    "it may be null": (SINCE % ("nulls", "id"), [ID, SEEN], False),
    "it may be deferred": (SINCE % ("deferred", "id"), [ID, SEEN], False),
    "of some rows": (SINCE % ("some", "id"), [ID, SEEN], False),
    "one row": ("SELECT n, created FROM second.pk WHERE id = $1 AND created > $2", [ID, SEEN], True),
    "two values": ("SELECT id FROM second.pk WHERE topic = $1 AND n BETWEEN $2 AND $3 ORDER BY id", [ID, N, M], True),
    "it is not equal": ("SELECT id FROM second.pk WHERE topic = $1 AND n IS DISTINCT FROM $2 ORDER BY id", [ID, N], True),
    "limit": ("SELECT id FROM second.pk WHERE topic = $1 ORDER BY id DESC LIMIT $2", [ID, MOST], True),
    "limit, no order": ("SELECT id FROM second.pk WHERE topic = $1 LIMIT $2", [ID, MOST], False),
    "limit and offset": ("SELECT id FROM second.pk WHERE topic = $1 ORDER BY id LIMIT $2 OFFSET $3", [ID, MOST, SKIP], True),
    "order": ("SELECT id FROM second.pk WHERE topic = $1 ORDER BY n <> $2, id", [ID, N], True),
    "order by a case": ("SELECT id FROM second.pk WHERE topic = $1 ORDER BY CASE WHEN n > $2 THEN 0 ELSE 1 END, id", [ID, N], True),
    "select list": ("SELECT id, $2::timestamptz AS seen, n > $3 AS more FROM second.plain WHERE topic = $1", [ID, SEEN, N], True),
    "select list, sorted by it": ("SELECT id, $2::int4 AS m FROM second.plain WHERE topic = $1 ORDER BY m", [ID, N], False),
}


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    with pg.admin(DATABASE) as c:
        for statement in TABLES.strip().split(";\n"):
            c.sql(statement)
        for table in COPIES:
            c.sql("INSERT INTO second.%s SELECT * FROM second.plain" % table)
        c.sql("GRANT ALL ON SCHEMA second TO PUBLIC")
        c.sql("GRANT ALL ON ALL TABLES IN SCHEMA second TO PUBLIC")
        c.sql("ANALYZE")
    return pg


@pytest.fixture(scope="module")
def proxy(db, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


def go(db, end, framing, sql, columns, pages=3, rows=None, between=None):
    """The answers of each page's loop with its errors, how many of its lookups the server was sent in the last page, and whether any statement had
    several values in the key."""
    reader, watch, whole, answers = Reader(end, framing), Watch(db), Watch(db), []
    for page in range(pages):
        if between and page == pages - 1:
            between()
        listed = rows or reader.conn.sql(LIST)
        watch.mark()
        answers.append([(reader.ask(sql, *((KINDS[c], row[c]) for c in columns)), reader.failure) for row in listed])
        reader.conn.sql("SELECT 'the end'")
    table = sql.split("second.")[1].split()[0]
    sent = watch.reads("second\\.%s" % table, reader.conn)
    several = any("AS pgfold_k" in s.text and s.text.count("pg_catalog.unnest(") > 1 for s in whole.reads("second\\.%s" % table, reader.conn))
    reader.close()
    return answers, len(sent), several


@pytest.mark.parametrize("framing", ["pgx"])
@pytest.mark.parametrize("name", LOOPS)
def test_which_are_keys(db, proxy, name, framing):
    sql, columns, is_key = LOOPS[name]
    direct, through = go(db, db, framing, sql, columns), go(db, proxy, framing, sql, columns)
    assert direct[0] == through[0] and not any(failure for page in direct[0] for _, failure in page)
    if not conftest.DIRECT:
        assert is_key or not through[2]
        with unless_busy():
            assert not is_key or through[1] <= 12 and through[2], through[1:]


@pytest.mark.parametrize("name", ["the primary key", "limit", "order", "two values", "select list"])
def test_constants_in_the_text(db, proxy, name):
    sql, columns, _ = LOOPS[name]
    direct, through = go(db, db, "simple", sql, columns), go(db, proxy, "simple", sql, columns)
    assert direct[0] == through[0]
    with unless_busy():
        assert through[1] <= 12 or conftest.DIRECT


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("name", ["limit", "limit and offset"])
def test_some_values_are_errors(db, proxy, name, framing):
    """An error of one value is nobody else's, and no answer."""
    sql, columns, _ = LOOPS[name]
    with db.connect(database=DATABASE) as c:
        rows = [tuple(r) for r in c.sql("SELECT id, seen, n, CASE WHEN id % 7 = 0 THEN -1 ELSE most END, n, CASE WHEN id % 11 = 0 THEN -1 ELSE most END FROM second.topic ORDER BY id")]
    direct, through = go(db, db, framing, sql, columns, rows=rows), go(db, proxy, framing, sql, columns, rows=rows)
    assert any(failure for _, failure in direct[0][0])
    assert direct[0] == through[0]


def test_the_index_goes(db, proxy):
    """Past pgfold, between two loops: from then on ORDER BY tells nothing, and the second value is no key."""
    sql, columns = SINCE % ("dropped", "id"), [ID, SEEN]
    sql = sql.replace(" FROM ", " AS at_%d FROM " % time.monotonic_ns(), 1)  # a text that nothing is known of

    def change():
        with db.admin(DATABASE) as c:
            c.sql("ALTER TABLE second.dropped DROP CONSTRAINT one")
            c.sql("INSERT INTO second.dropped SELECT id, topic, n + 100, created FROM second.dropped")

    with db.admin(DATABASE) as c:
        c.sql("TRUNCATE second.dropped")
        c.sql("INSERT INTO second.dropped SELECT * FROM second.plain")
        c.sql("ALTER TABLE second.dropped DROP CONSTRAINT IF EXISTS one, ADD CONSTRAINT one PRIMARY KEY (id)")
    before = go(db, proxy, "pgx", sql, columns)
    after = go(db, proxy, "pgx", sql, columns, between=change)
    direct = go(db, db, "pgx", sql, columns)
    assert direct[0][-1] == after[0][-1]
    assert conftest.DIRECT or after[1] >= 55, after[1:]
    with unless_busy():
        assert conftest.DIRECT or before[1] <= 12 and before[2], before[1:]
