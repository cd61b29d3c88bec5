# SPDX-License-Identifier: PostgreSQL
"""Is the folded text exact? For each lookup of the catalogue, and for statements made to tell a value from a column, PostgreSQL
itself is asked: the folded statement must describe the same columns (name, table, attribute, type, modifier) behind its ordinal,
and give each key's rows as the original does, in the same order. pgfold is not involved, only its recogniser and rewriter (the
program `folded` of the build). What vetting would refuse is not told here.
"""
import json
import os
import subprocess

import pytest
from psycopg import pq

import catalogue
import conftest
import framings
from catalogue import ID, KNOWN, N, UNSEEN, Row, ints

PROGRAM = os.path.join(os.path.dirname(conftest.BINARY), "tests", "folded")
pytestmark = pytest.mark.skipif(not os.path.exists(PROGRAM), reason="needs the build's program `folded`")
OID = framings.OIDS
INT = ("int4", ints(*range(1, N + 1)))
TEXT = ("text", ["book %d" % i for i in range(N)])


def one(name, sql, *args):
    return Row(name, sql, list(args) or [ID], [])


# Constants with a meaning of their own, names that could change, levels of aggregates, positions, nesting.
TRICKY = [
    one("positions", "SELECT author_id, 7, count(*) FROM books WHERE author_id = $1 GROUP BY 1, 2 ORDER BY 3, 1"),
    one("distinct on a position", "SELECT DISTINCT ON (1) author_id, id FROM books WHERE author_id = $1 ORDER BY 1, 2 DESC"),
    one("names made up", "SELECT 1, 'x', NULL, a.id + 1, a.id::text, CASE WHEN a.id > 1 THEN a.name END, CASE WHEN true THEN 1 END, coalesce(a.name), "
        "nullif(a.id, 5), greatest(a.id, 3), ARRAY[1], ROW(1, 2), EXISTS (SELECT 1), (SELECT count(*) FROM books b WHERE b.author_id = a.id), "
        "ARRAY(SELECT 1), a.id IS NULL, lower(a.name), '2020-01-01'::date, upper(a.name) COLLATE \"C\" FROM authors a WHERE a.id = $1"),
    one("key in the select list's subselect", "SELECT (SELECT count(*) FROM books WHERE author_id = $1), (SELECT max(stars) FROM reviews WHERE book_id = $1)"),
    one("key in a subselect of a grouped select", "SELECT tenant_id, (SELECT name FROM authors WHERE id = $1), count(*) FROM books GROUP BY tenant_id ORDER BY 1"),
    one("key in a subselect beside an aggregate", "SELECT count(*), sum(id) FROM books b WHERE EXISTS (SELECT 1 FROM authors a WHERE a.id = b.author_id AND a.id = $1)"),
    one("a comparison's value", "SELECT count(*), count(title), bool_and(title <> 'book 9') FROM books WHERE author_id = $1 AND id > $2", ID, INT),
    one("comparisons' values", "SELECT count(*) FROM books WHERE $1 >= id AND author_id = $2 AND title <> $3", INT, ID, TEXT),
    one("outer aggregate", "SELECT (SELECT max(b.id)) FROM books b WHERE b.author_id = $1"),
    one("aggregates all", "SELECT count(*), count(DISTINCT tenant_id), sum(price), avg(price), min(title), string_agg(title, ',' ORDER BY id DESC), "
        "array_agg(id ORDER BY position), bool_or(id > 5) FILTER (WHERE id > 3), percentile_cont(0.5) WITHIN GROUP (ORDER BY id) FROM books WHERE author_id = $1"),
    one("having", "SELECT tenant_id FROM books WHERE author_id = $1 GROUP BY tenant_id HAVING count(*) > 1 ORDER BY 1"),
    one("no group", "SELECT 1 FROM books WHERE author_id = $1 HAVING count(*) > 2"),
    one("grouping sets", "SELECT tenant_id, category_id, count(*) FROM books WHERE author_id = $1 GROUP BY GROUPING SETS ((tenant_id), (category_id), ()) "
        "ORDER BY 1, 2"),
    one("cube", "SELECT tenant_id, category_id, count(*) FROM books WHERE author_id = $1 GROUP BY CUBE (tenant_id, category_id) ORDER BY 1, 2"),
    one("windows", "SELECT id, row_number() OVER w, sum(price) OVER (PARTITION BY tenant_id ORDER BY id ROWS BETWEEN 1 PRECEDING AND CURRENT ROW), "
        "count(*) OVER () FROM books WHERE author_id = $1 WINDOW w AS (ORDER BY title DESC, id) ORDER BY id"),
    one("filtered by a window", "SELECT x.id FROM (SELECT id, row_number() OVER (PARTITION BY author_id ORDER BY id DESC) AS n FROM books) x "
        "JOIN books b ON b.id = x.id WHERE x.n = 1 AND b.author_id = $1"),
    one("union", "SELECT id, title FROM books WHERE author_id = $1 UNION SELECT id, name FROM authors WHERE id = $1 ORDER BY 1, 2"),
    one("union all with limits", "(SELECT id FROM books WHERE author_id = $1 ORDER BY id LIMIT 2) UNION ALL (SELECT id FROM authors WHERE id = $1 LIMIT 1)"),
    one("except", "SELECT id FROM books WHERE author_id = $1 EXCEPT SELECT book_id::int FROM reviews ORDER BY 1 LIMIT 3 OFFSET 1"),
    one("intersect of types", "SELECT author_id FROM books WHERE author_id = $1 INTERSECT SELECT id::bigint FROM authors"),
    one("in brackets", "(SELECT id FROM books WHERE author_id = $1 ORDER BY id LIMIT 2)"),
    one("in brackets with offset", "(SELECT id FROM books WHERE author_id = $1 ORDER BY id OFFSET 1)"),
    one("in brackets twice", "((SELECT id FROM books WHERE author_id = $1 ORDER BY id))"),
    one("with", "WITH a AS (SELECT id, name FROM authors WHERE id = $1) SELECT a.name, b.title FROM a JOIN books b ON b.author_id = a.id ORDER BY b.id"),
    one("with, twice used", "WITH a AS MATERIALIZED (SELECT id FROM authors WHERE id = $1), b AS (SELECT * FROM a) SELECT x.id, y.id FROM a x, b y, a z"),
    one("with that shadows", "WITH authors AS (SELECT id + 1 AS id FROM authors WHERE id = $1) SELECT id FROM authors"),
    one("with inside", "SELECT x.n FROM (WITH a AS (SELECT count(*) AS n FROM books WHERE author_id = $1) SELECT n FROM a) x"),
    one("natural join", "SELECT * FROM books NATURAL JOIN (SELECT id AS author_id, name FROM authors) a WHERE author_id = $1 ORDER BY id"),
    one("using", "SELECT * FROM book_tags bt JOIN (SELECT id AS tag_id, name FROM tags) t USING (tag_id) WHERE bt.book_id = $1 ORDER BY tag_id"),
    one("right join", "SELECT b.id, a.name FROM books b RIGHT JOIN authors a ON a.id = b.author_id AND b.tenant_id = 1 WHERE a.id = $1 ORDER BY b.id"),
    one("full join", "SELECT p.id, a.id FROM profiles p FULL JOIN authors a ON a.id = p.author_id WHERE a.id = $1"),
    one("key in a left join's on", "SELECT a.id, p.bio FROM authors a LEFT JOIN profiles p ON p.author_id = a.id AND p.id = $1 WHERE a.id < 4 ORDER BY a.id"),
    one("join of joins", "SELECT j.x, l.y FROM (authors a JOIN books b ON b.author_id = a.id) AS j(x, t) JOIN LATERAL (SELECT j.x + 1 AS y) l ON true "
        "WHERE j.x = $1 ORDER BY 1, 2"),
    one("lateral", "SELECT a.id, l.title FROM authors a CROSS JOIN LATERAL (SELECT title FROM books b WHERE b.author_id = a.id ORDER BY id LIMIT 1) l WHERE a.id = $1"),
    one("key in a lateral subselect", "SELECT a.id, l.id FROM authors a LEFT JOIN LATERAL (SELECT b.id FROM books b WHERE b.author_id = $1 AND b.tenant_id = "
        "a.tenant_id ORDER BY b.id LIMIT 1) l ON true WHERE a.id < 5 ORDER BY 1"),
    one("values", "SELECT b.id, v.column2 FROM books b JOIN (VALUES (1, 'one'), (2, 'two')) v ON v.column1 = b.tenant_id WHERE b.author_id = $1 ORDER BY b.id"),
    one("table renamed", "SELECT x.a, x.b FROM authors AS x(a, b) WHERE x.a = $1"),
    one("derived and renamed", "SELECT y.p FROM (SELECT id, name FROM authors WHERE id = $1) AS y(o, p)"),
    one("three levels down", "SELECT z.id FROM (SELECT y.id FROM (SELECT x.id FROM (SELECT id FROM books WHERE author_id = $1) x) y) z ORDER BY 1"),
    one("in, exists, any, all", "SELECT id FROM authors a WHERE id IN (SELECT author_id FROM books WHERE author_id = $1) AND EXISTS (SELECT 1 FROM books b WHERE "
        "b.author_id = a.id AND b.author_id = $1) AND id = ANY (SELECT author_id FROM books WHERE author_id = $1) AND id >= ALL (SELECT 1)"),
    one("not and or", "SELECT id FROM authors WHERE NOT (id = $1 OR id > 5) OR name = 'author 30' ORDER BY id"),
    one("expression", "SELECT id FROM books WHERE author_id + 1 = $1 ORDER BY id"),
    one("lower", "SELECT id FROM authors WHERE upper(name) = $1", ("text", ["AUTHOR %d" % i for i in range(N)])),
    one("computed", "SELECT id FROM authors WHERE lower(name) = lower($1)", ("text", ["AUTHOR %d" % i for i in range(N)])),
    one("django iexact", 'SELECT "authors"."id" FROM "authors" WHERE UPPER("authors"."name"::text) = UPPER($1)', ("text", ["AUTHOR %d" % i for i in range(N)])),
    one("sum", "SELECT id FROM books WHERE author_id = ($1 + 1) ORDER BY id"),
    one("casts one on the other", "SELECT id FROM kinds WHERE e = CAST($1::text AS mood) ORDER BY id", ("text", ["sad", "ok", "happy"])),
    one("computed twice", "SELECT id FROM books WHERE author_id = $1 OR id = coalesce($1, 5) ORDER BY id"),
    one("collated value", "SELECT id FROM authors WHERE name = $1 COLLATE \"C\"", ("text", ["author %d" % i for i in range(N)])),
    one("computed in a subselect", "SELECT id FROM books b WHERE EXISTS (SELECT 1 FROM authors a WHERE a.id = b.author_id AND upper(a.name) = upper($1)) ORDER BY 1",
        ("text", ["AUTHOR %d" % i for i in range(N)])),
    one("jsonb", "SELECT id FROM kinds WHERE j->>'k' = $1 ORDER BY id", ("text", ints(*range(N)))),
    one("row", "SELECT id FROM books WHERE (author_id, title) = ($1, $2) ORDER BY id", INT, TEXT),
    one("row in", "SELECT id FROM books WHERE (author_id, title) IN (($1, $2)) ORDER BY id", INT, TEXT),
    one("two keys", "SELECT id FROM books WHERE author_id = $1 AND title = $2 ORDER BY id", INT, TEXT),
    one("three keys", "SELECT id FROM books WHERE author_id = $1 OR title = $2 OR id = $3 ORDER BY id", INT, TEXT, ID),
    one("another value", "SELECT id FROM books WHERE author_id = $1 AND tenant_id = $2 AND title <> $3 LIMIT $4", ID, ("int4", "1"), ("text", "it's"), ("int8", "3")),
    one("typed literals", "SELECT id FROM comments WHERE post_id = $1 AND created_at > DATE '2024-01-03' AND created_at < '2025-01-01'::timestamptz + INTERVAL '1 day' "
        "AND created_at > timestamptz '2023-01-01' + '5'::interval day AND body::varchar(7) = 'comment' ORDER BY id"),
    one("fetch", "SELECT id FROM books WHERE author_id = $1 ORDER BY id OFFSET 1 ROWS FETCH NEXT 2 ROWS ONLY"),
    one("limit all", "SELECT id FROM books WHERE author_id = $1 ORDER BY id LIMIT ALL"),
    one("limit null", "SELECT id FROM books WHERE author_id = $1 ORDER BY id LIMIT NULL OFFSET NULL"),
    one("labels that are words", "SELECT id AS \"limit\", title AS offset, price AS \"select\" FROM books WHERE author_id = $1 ORDER BY \"limit\""),
    one("duplicate columns", "SELECT *, a.*, id, b.id, b.id FROM (SELECT id AS bid, author_id FROM books) b(id, aid) JOIN authors a(x) ON a.x = b.aid "
        "WHERE a.x = $1 ORDER BY b.id"),
    one("no blanks", "SELECT id FROM books WHERE(author_id=$1)AND(id>0)ORDER BY\tid"),
    one("comments", "/* a */ SELECT id -- b\nFROM books /* c /* d */ */ WHERE author_id = $1 -- $2 'x\n ORDER BY id -- end"),
    one("a comment at the end", "SELECT id FROM books WHERE author_id = $1 AND title = 'book 1' -- '"),
    one("dollar quotes", "SELECT id, $$it's $1$$, $a$ $$ $a$ FROM books WHERE author_id = $1 ORDER BY id"),
    one("unknown constants", "SELECT 'a' AS x, NULL AS y, '5' || id FROM books WHERE author_id = $1 ORDER BY id"),
    one("empty strings", "SELECT id, '' AS e FROM authors WHERE name = $1 AND '' = ''", ("text", ["author %d" % i for i in range(N)])),
    one("casts of the key", "SELECT id FROM authors WHERE id = CAST($1 AS integer) AND tenant_id IN (0, 1, 2)"),
    one("array of one", "SELECT id FROM books WHERE author_id = ANY ($1) ORDER BY id", ("int4[]", ["{%d}" % i for i in range(N)])),
    one("array of one, cast", "SELECT id FROM books WHERE author_id = ANY ($1::int[]) ORDER BY id", ("int4[]", ["{%d}" % i for i in range(N)])),
    one("array of an element", "SELECT id FROM books WHERE author_id = ANY (ARRAY[$1]::int[]) ORDER BY id"),
    one("star of a join", "SELECT b.*, a.name FROM books b, authors a WHERE b.author_id = a.id AND a.id = $1 ORDER BY b.id"),
    one("subscripts", "SELECT ar[1], ar[1:2], (ARRAY[id, 5])[2] FROM kinds WHERE id = $1"),
    one("system types", "SELECT c, v, n2, iv, ba, nm FROM kinds WHERE id = $1"),
    one("interval values", "SELECT id FROM kinds WHERE iv = $1 ORDER BY id", ("interval", ["%d days" % i for i in range(N)])),
    one("char padding", "SELECT id FROM kinds WHERE c = $1 ORDER BY id", ("bpchar", ["ch%d%s" % (i, " " * (i % 3)) for i in range(N)])),
    one("collation", "SELECT id FROM authors WHERE name COLLATE \"C\" = $1 ORDER BY name COLLATE \"C\"", ("text", ["author %d" % i for i in range(N)])),
    one("between, like, distinct from", "SELECT id FROM books WHERE author_id = $1 AND id BETWEEN SYMMETRIC 100 AND 1 AND title LIKE 'book%' ESCAPE '!' AND "
        "title NOT SIMILAR TO 'x' AND deleted_at IS NOT DISTINCT FROM NULL ORDER BY id"),
]


def statement(row, i, constants):
    return "Q" + framings.fill(row.sql, row.values(i)) if constants else "P" + row.sql


def recognise(statements):
    given = b"".join(s.encode() + b"\0" for s in statements)
    done = subprocess.run([PROGRAM], input=given, capture_output=True, check=True)
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


class Server:
    def __init__(self, pg):
        self.c = pq.PGconn.connect(("host=127.0.0.1 port=%d user=postgres dbname=exact" % pg.port).encode())
        assert self.c.status == pq.ConnStatus.OK, self.c.error_message
        done = self.c.exec_(b"SELECT typarray, oid FROM pg_type WHERE typarray <> 0")
        self.arrays = {int(done.get_value(i, 1)): int(done.get_value(i, 0)) for i in range(done.ntuples)}

    def prepare(self, name, sql, types):
        done = self.c.prepare(name, sql.encode(), types)
        if done.status != pq.ExecStatus.COMMAND_OK:
            return done.error_message.decode(), None
        d = self.c.describe_prepared(name)
        columns = [(d.fname(i), d.ftable(i), d.ftablecol(i), d.ftype(i), d.fmod(i)) for i in range(d.nfields)]
        return [d.param_type(i) for i in range(d.nparams)], columns

    def run(self, name, values):
        done = self.c.exec_prepared(name, [None if v is None else v.encode() for v in values])
        if done.status != pq.ExecStatus.TUPLES_OK:
            return done.error_message.decode()
        return [tuple(done.get_value(r, c) for c in range(done.nfields)) for r in range(done.ntuples)]


@pytest.fixture(scope="module")
def server(pg):
    with pg.connect("postgres", "postgres") as c:
        c.sql("CREATE DATABASE exact")
    with pg.admin("exact") as c:
        for s in catalogue.SCHEMA.split(";\n"):
            c.sql(s)
    return Server(pg)


def quoted(text):
    return '"%s"' % text.replace("\\", "\\\\").replace('"', '\\"')


def constant(text):
    """A constant as it was written: its text, and the type that the server gives it."""
    if text[0] == "'":
        return text[1:-1].replace("''", "'"), 0
    if not text.lstrip("-").isdigit():
        return text, OID["numeric"]
    number = int(text)
    return text, OID["int4"] if -2**31 <= number < 2**31 else OID["int8"] if -2**63 <= number < 2**63 else OID["numeric"]


class Trial:
    """One row, in one protocol: what its lookups have in common and what varies."""

    typed = False  # the types of the parameters are declared, as some drivers do

    def __init__(self, row, constants, found):
        self.row, self.constants, self.found = row, constants, found
        self.values = [self.key_values(i) for i in range(N)]
        varies = [len({v[k] for v in self.values}) > 1 for k in range(len(found[0]["keys"]))]
        self.mask = sum(1 << k for k, v in enumerate(varies) if v)

    def key_values(self, i):
        keys = self.found[i]["keys"]
        if self.constants:
            return [constant(k["value"])[0] for k in keys]
        return [self.row.values(i)[k["param"] - 1][1] for k in keys]

    def chosen(self):
        return [k for k in range(len(self.found[0]["keys"])) if self.mask >> k & 1]

    def declared(self):
        if self.constants:
            return [constant(self.found[0]["keys"][k]["value"])[1] for k in self.chosen()]
        return [OID.get(kind, 0) if self.typed else 0 for kind, _ in self.row.args]

    def place(self, k, n):
        """The number of the parameter that the n-th chosen key, k, comes in."""
        return n if self.constants else self.found[0]["keys"][k]["param"] - 1

    def parameters(self, i):
        """Of the original."""
        if not self.constants:
            return [v for _, v in self.row.values(i)]
        return [self.values[i][k] for k in self.chosen()]

    def arrays(self):
        """Of the folded text: one element each, or the whole of them."""
        out = self.parameters(0)
        for n, k in enumerate(self.chosen()):
            array = self.found[0]["keys"][k]["array"]
            items = [v[k].strip("{}") if array else v[k] for v in self.values]
            out[self.place(k, n)] = "{%s}" % ",".join(map(quoted, items))
        return out


def types_of_arrays(server, trial, types):
    out = list(types)
    for n, k in enumerate(trial.chosen()):
        at = trial.place(k, n)
        if not trial.found[0]["keys"][k]["array"]:
            out[at] = server.arrays[types[at]]
    return out


def differences(server, trial):
    forms = next(m for m in trial.found[0]["masks"] if m["mask"] == trial.mask)
    types, columns = server.prepare(b"o", forms["original"], trial.declared())
    if columns is None and not trial.constants and not trial.typed:
        trial.typed = True  # ARRAY[$1] is an array of text unless its type is declared
        return differences(server, trial)
    if columns is None:
        return "original: %s\n%s" % (types, forms["original"])
    want = [server.run(b"o", trial.parameters(i)) for i in range(N)]
    server.c.exec_(b"DEALLOCATE o")
    broken = [w for w in want if isinstance(w, str)]
    if broken:
        return "original: " + broken[0]
    got_types, got_columns = server.prepare(b"f", forms["lateral"], types_of_arrays(server, trial, types))
    if got_columns is None:
        return "folded: %s\n%s" % (got_types, forms["lateral"])
    rows = server.run(b"f", trial.arrays())
    server.c.exec_(b"DEALLOCATE f")
    if got_columns[1:] != columns:
        return "columns:\n  %r\n  %r" % (got_columns[1:], columns)
    if isinstance(rows, str):
        return "folded: " + rows
    for i in range(N):
        got = [r[1:] for r in rows if int(r[0]) == i + 1]
        same = sorted(got, key=repr) == sorted(want[i], key=repr) if trial.row.unordered else got == want[i]
        if not same:
            return "rows of %r:\n  %r\n  %r\n%s" % (trial.parameters(i), got[:9], want[i][:9], forms["lateral"])
    return None


def trials(rows, constants):
    every = recognise([statement(r, i, constants) for r in rows for i in range(N)])
    for at, row in enumerate(rows):
        found = every[at * N:at * N + N]
        if any(f["reason"] != "none" for f in found):
            yield row, next(f["reason"] for f in found if f["reason"] != "none")
            continue
        yield row, Trial(row, constants, found)


def has_null(row):
    return any(v is None for i in range(N) for _, v in row.values(i))


def check(server, rows, constants, may_stay=()):
    wrong, tried = [], 0
    for row, trial in trials([r for r in rows if not has_null(r)], constants):
        if isinstance(trial, str) or not trial.mask:
            if row not in may_stay:
                wrong.append("%s: no lookup (%s)\n  %s" % (row.name, trial if isinstance(trial, str) else "no key varies", row.sql))
            continue
        tried += 1
        for trial.typed in (False,) if constants else (False, True):
            what = differences(server, trial)
            if what:
                wrong.append("%s: %s" % (row.name, what))
    assert not wrong, "%d of %d:\n%s" % (len(wrong), tried, "\n".join(wrong))
    assert tried


def test_catalogue_with_parameters(server):
    check(server, KNOWN + UNSEEN, False)


def test_tricky_with_parameters(server):
    check(server, TRICKY, False)


# true and false stay in the text, and a string with a backslash may end elsewhere.
def test_catalogue_with_constants(server):
    check(server, KNOWN + UNSEEN, True, may_stay=KNOWN + UNSEEN)


def test_tricky_with_constants(server):
    rows = [r for r in TRICKY if r.name not in ("dollar quotes", "comments")]
    check(server, rows, True)
