# SPDX-License-Identifier: PostgreSQL
"""Statements that mappers and people write for each row of a list: each as a loop, directly and through pgfold, whose answers are compared to the byte. From
the second page on a handful of statements is left of sixty. Black box: what the server was sent is read from its log."""
import pytest

import ahead
import conftest
from ahead import DATABASE, PATIENT, Reader, Watch
from busy import unless_busy

TABLES = """
DROP SCHEMA IF EXISTS statements CASCADE;
CREATE SCHEMA statements;
CREATE TABLE statements.item (id int PRIMARY KEY, author_id int REFERENCES author ON DELETE CASCADE, kind text, price numeric(8,2), words text[], data jsonb,
       made timestamptz, deleted_at timestamptz);
INSERT INTO statements.item SELECT i, i % 60 + 1, (ARRAY['a','b','c'])[i % 3 + 1], i * 1.5, ARRAY['x', 'y' || i % 5],
       jsonb_build_object('k', i, 'list', jsonb_build_array(i, i % 7)), '2024-01-01Z'::timestamptz + i * interval '1 h',
       CASE WHEN i % 9 = 0 THEN '2024-01-01Z'::timestamptz END FROM generate_series(1, 400) i;
CREATE INDEX ON statements.item (author_id);
CREATE TABLE statements.label (item_id int, tag_id int, made timestamptz, PRIMARY KEY (item_id, tag_id));
INSERT INTO statements.label SELECT i, t, '2024-01-01Z'::timestamptz + i * interval '1 h' FROM generate_series(1, 400) i, generate_series(1, 12) t WHERE (i + t) % 7 = 0
"""
LIST = "SELECT id, name FROM author ORDER BY id"
FROM = " FROM statements.item WHERE author_id = $1"
LOOPS = {
    "latest of each": "SELECT *" + FROM + " ORDER BY made DESC LIMIT 1",
    "latest of each, fetch first": "SELECT id, made" + FROM + " ORDER BY made DESC FETCH FIRST 1 ROW ONLY",
    "exists": "SELECT EXISTS (SELECT 1" + FROM + ")",
    "one": "SELECT 1 AS one" + FROM + " LIMIT 1",
    "sum": "SELECT COALESCE(SUM(price), 0) AS total, count(*) FILTER (WHERE kind = 'a')" + FROM,
    "page": "SELECT id" + FROM + " ORDER BY id LIMIT 5 OFFSET 0",
    "soft delete": "SELECT id, kind" + FROM + " AND deleted_at IS NULL AND price < 500 ORDER BY id",
    "pivot": "SELECT t.id, t.name, l.item_id AS pivot_item_id, l.made AS pivot_made FROM tag t INNER JOIN statements.label l ON t.id = l.tag_id WHERE l.item_id = $1 ORDER BY t.id",
    "pivot, the key in ON": 'SELECT t.id, l.made AS "l.made" FROM tag AS t INNER JOIN statements.label AS l ON t.id = l.tag_id AND l.item_id = $1 ORDER BY t.id',
    "kinds": "SELECT id" + FROM + " AND kind IN ('a', 'b') AND kind = ANY (ARRAY['a', 'c']) ORDER BY id",
    "case": "SELECT id, CASE WHEN price > 100 THEN 'dear' ELSE 'cheap' END AS k" + FROM + " ORDER BY id",
    "window": "SELECT id, row_number() OVER (PARTITION BY kind ORDER BY id)" + FROM + " ORDER BY id",
    "distinct": "SELECT DISTINCT kind" + FROM + " ORDER BY kind",
    "having": "SELECT kind, count(*)" + FROM + " GROUP BY kind HAVING count(*) > 1 ORDER BY kind",
    "subselect": "SELECT i.id, (SELECT count(*) FROM statements.label l WHERE l.item_id = i.id) AS n FROM statements.item i WHERE i.author_id = $1 ORDER BY i.id",
    "like": "SELECT id" + FROM + " AND (kind LIKE 'a%' OR kind ILIKE '%C') ORDER BY id",
    "array": "SELECT id" + FROM + " AND 'x' = ANY (words) AND words && '{y1,y2}' ORDER BY id",
    "jsonb": "SELECT id, data->>'k' AS k" + FROM + " AND data @> '{\"list\": []}' AND data ? 'k' ORDER BY id",
    "lateral": "SELECT a.id, l.id AS lid FROM author a LEFT JOIN LATERAL (SELECT i.id FROM statements.item i WHERE i.author_id = a.id ORDER BY i.made DESC LIMIT 1) l ON true "
               "WHERE a.id = $1",
    "not distinct": "SELECT id FROM statements.item WHERE author_id IS NOT DISTINCT FROM $1 ORDER BY id",
    "in select": "SELECT id FROM statements.item WHERE author_id IN (SELECT $1::int) ORDER BY id",
    "json_agg": "SELECT json_agg(t) FROM (SELECT id, kind" + FROM + " ORDER BY id) t",
    "row_to_json": "SELECT row_to_json(t) FROM (SELECT id, made, price" + FROM + " ORDER BY id) t",
    "to_jsonb of a table": "SELECT to_jsonb(i) - 'words' AS j FROM statements.item i WHERE author_id = $1 ORDER BY id",
    "drizzle": 'SELECT "t0"."id", "d"."data" FROM author "t0" LEFT JOIN LATERAL (SELECT coalesce(json_agg(json_build_array("b"."id", "b"."kind")), \'[]\'::json) AS "data" FROM '
               '(SELECT * FROM statements.item "b" WHERE "b"."author_id" = "t0"."id" ORDER BY "b"."id") "b") "d" ON true WHERE "t0"."id" = $1',
    "hasura": 'SELECT coalesce(json_agg("root" ORDER BY "id"), \'[]\') AS "root" FROM (SELECT row_to_json((SELECT "_e" FROM (SELECT "_0"."id" AS "id", "_0"."kind" AS "kind") AS "_e")) '
              'AS "root", "id" FROM (SELECT * FROM statements.item WHERE ("author_id") = (($1)::int)) AS "_0") AS "_root"',
    "unnest in FROM": "SELECT i.id, u.w FROM statements.item i CROSS JOIN LATERAL unnest(i.words) WITH ORDINALITY AS u(w, n) WHERE i.author_id = $1 ORDER BY i.id, u.n",
    "elements": "SELECT i.id, e, e->>0 AS first FROM statements.item i, jsonb_array_elements(i.data->'list') e WHERE i.author_id = $1 ORDER BY i.id, e",
    "each": "SELECT i.id, key, value FROM statements.item i, jsonb_each_text(i.data) WHERE i.author_id = $1 ORDER BY i.id, key",
    "unnest in the select list": "SELECT id, unnest(words) AS w" + FROM + " ORDER BY id, w",
    "generate_series": "SELECT i.id, g FROM statements.item i, generate_series(1, i.id % 4) g WHERE i.author_id = $1 ORDER BY i.id, g",
}
ONLY_EXTENDED = ("in select",)


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    with pg.admin(DATABASE) as c:
        for statement in TABLES.strip().split(";\n"):
            c.sql(statement)
        c.sql("GRANT ALL ON SCHEMA statements TO PUBLIC")
        c.sql("GRANT ALL ON ALL TABLES IN SCHEMA statements TO PUBLIC")
        c.sql("ANALYZE statements.item, statements.label")
    return pg


@pytest.fixture(scope="module")
def proxy(db, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


def go(db, end, framing, sql, pages=2):
    """The answers of each page's loop, and how many statements the server was sent in the last page that read a table of the loop's."""
    reader, watch, answers = Reader(end, framing), Watch(db), []
    for _ in range(pages):
        listed = reader.conn.sql(LIST)
        watch.mark()
        answers.append([(reader.ask(sql, ("int4", row[0])), reader.failure) for row in listed])
        reader.conn.sql("SELECT 'the end'")
    sent = sum("statements." in s.text and "pg_catalog.pg_class" not in s.text for s in watch.seen(reader.conn))
    reader.close()
    return answers, sent


# Constants and parameters in turn. A constant of a select list without a label stays in the text.
@pytest.mark.parametrize("name, framing", [(n, "pgx" if i % 2 or n in ONLY_EXTENDED else "simple") for i, n in enumerate(LOOPS)])
def test_statements(db, proxy, name, framing):
    direct, through = go(db, db, framing, LOOPS[name]), go(db, proxy, framing, LOOPS[name])
    assert direct[0] == through[0] and direct[0][0][0][1] is None
    with unless_busy():
        assert conftest.DIRECT or through[1] <= 8, through[1]
