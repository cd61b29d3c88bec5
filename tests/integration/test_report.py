# SPDX-License-Identifier: PostgreSQL
"""The report of loops: which page asks for one row after the other, and what to write instead. docs/report.md"""
import contextlib
import http.client
import json

import pytest

import conftest
import proto
import servers
from proto import SYNC, describe, parse, query, unit

pytestmark = pytest.mark.pgfold

AUTHORS, BOOKS = 60, 3
TO_MANY = "SELECT id, title FROM rbook WHERE author_id = %s ORDER BY id"
TO_ONE = "SELECT id, name FROM rauthor WHERE id = %s"


@pytest.fixture(scope="module", autouse=True)
def tables(pg):
    with pg.admin() as a:
        for s in ("DROP TABLE IF EXISTS rbook, rauthor, rlone",
                  "CREATE TABLE rauthor (id int PRIMARY KEY, name text)",
                  "CREATE TABLE rbook (id int PRIMARY KEY, author_id int REFERENCES rauthor, title text)",
                  "CREATE INDEX ON rbook (author_id)",
                  "CREATE TABLE rlone (id int PRIMARY KEY, n int)",
                  "INSERT INTO rauthor SELECT 8000 + i, 'author ' || i FROM generate_series(1, %d) i" % AUTHORS,
                  "INSERT INTO rbook SELECT i, 8001 + i %% %d, 'title ' || i FROM generate_series(1, %d) i" % (AUTHORS, AUTHORS * BOOKS),
                  "INSERT INTO rlone SELECT i, i FROM generate_series(1, 300) i",
                  "GRANT ALL ON rauthor, rbook, rlone TO PUBLIC", "ANALYZE rauthor, rbook, rlone"):
            a.sql(s)
    yield
    with pg.admin() as a:
        a.sql("DROP TABLE rbook, rauthor, rlone")


@pytest.fixture(scope="module")
def web(server_conninfo):
    """web(mode): a pgfold with HTTP for all tests of the module; its port is p.http."""
    started = {}

    def start(mode="fold"):
        if mode not in started:
            port = servers.free_port()
            # the machine may be busy: what is loaded ahead lasts
            started[mode] = servers.Pgfold(conftest.BINARY, server_conninfo, servers.PATIENT | {
                "http.listen": "127.0.0.1:%d" % port, "lookahead.max_age": "10s", "lookahead.max_gap": "1s"}, mode)
            started[mode].http = port
        return started[mode]
    yield start
    for p in started.values():
        p.stop()


def ask(p, path="/report.json"):
    c = http.client.HTTPConnection("127.0.0.1", p.http, timeout=20)
    with contextlib.closing(c):
        c.request("GET", path)
        r = c.getresponse()
        text = r.read().decode()
        assert r.status == 200, text
        return text


def report(p):
    return json.loads(ask(p))


def simple(sql, *values):
    return query(sql % values if values else sql)


def extended(sql, *values):
    return unit(sql.replace("%s", "$1"), list(values))


def named(c):
    names = {}

    def make(sql, *values):
        if sql not in names:
            names[sql] = "s%d" % len(names)
            c.ask(parse(sql.replace("%s", "$1"), names[sql]), describe("S", names[sql]), SYNC)
        return unit("", list(values), name=names[sql], want_parse=False)
    return make


FRAMINGS = {"simple": lambda c: simple, "extended": lambda c: extended, "named": named}


def page(c, make, parents, child, column, note=""):
    for row in proto.rows(c.ask(make(parents + note))):
        c.ask(make(child + note, row[column].decode()))


def loops(p):
    """By parent and child: what the report says."""
    return {(x["parent"] and x["parent"]["table"], x["child"]["table"]): x for x in report(p)["loops"]}


def advice(loop):
    return {a["for"]: a["write"] for a in loop["instead"]}


def grown(before, after, key):
    """What two reports differ by, in the numbers of one loop."""
    old = before.get(key, {})
    return {n: after[key][n] - old.get(n, 0) for n in ("pages", "asked", "sent")}


@pytest.mark.parametrize("transaction", [False, True])
@pytest.mark.parametrize("framing", FRAMINGS)
def test_loops_are_proved_in_both_directions(web, framing, transaction):
    p = web()
    before = loops(p)
    with p.connect() as c:
        make = FRAMINGS[framing](c)
        for _ in range(4):
            if transaction:
                c.ask(query("BEGIN"))
            page(c, make, "SELECT id, name FROM rauthor ORDER BY id", TO_MANY, 0)
            page(c, make, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
            if transaction:
                c.ask(query("COMMIT"))
    after = loops(p)
    many, one = ("public.rauthor", "public.rbook"), ("public.rbook", "public.rauthor")
    for key, asked in ((many, 4 * AUTHORS), (one, 4 * AUTHORS * BOOKS)):
        n = grown(before, after, key)
        assert n["asked"] == asked and n["pages"] == 4 and 0 < n["sent"] < asked / 2, (key, n)
        assert after[key]["kind"] == "proven" and after[key]["waited_seconds"] > 0 < after[key]["alone_seconds"]
    assert after[many]["direction"] == "to-many" and after[one]["direction"] == "to-one"
    assert after[many]["parent"]["columns"] == ["id"] and after[many]["child"]["columns"] == ["author_id"]
    assert after[one]["parent"]["columns"] == ["author_id"] and after[one]["child"]["columns"] == ["id"]
    assert after[many]["parent"]["statement"] == "SELECT id, name FROM rauthor ORDER BY id"
    assert after[many]["child"]["statement"] == "SELECT id, title FROM rbook WHERE author_id = $1 ORDER BY id"
    assert advice(after[many])["SQLAlchemy"] == "selectinload(Rauthor.rbooks)"
    assert advice(after[one])["Django"] == 'select_related("author")' and advice(after[one])["SQLAlchemy"] == "joinedload(Rbook.author)"


def test_what_comes_without_a_list_is_a_candidate(web):
    p = web()
    with p.connect() as c:
        for i in (7, 250, 33, 181, 92, 266):
            c.ask(extended("SELECT n FROM rlone WHERE id = %s", str(i)))
        for _ in range(9):
            c.ask(extended("SELECT n + 1 FROM rlone WHERE id = %s", "5"))  # the same again and again is no loop
    found = [x for x in report(p)["loops"] if x["child"]["table"].endswith("rlone")]
    assert [(x["kind"], x["parent"], x["asked"], x["pages"]) for x in found] == [("candidate", None, 6, 1)]
    assert "id = ANY ($1)" in advice(found[0])["SQL"] and advice(found[0])["Rails"] == "Rlone.where(id: keys)"


def test_one_key_of_a_list_is_no_loop(web):
    p = web()
    before = report(p)["totals"]
    with p.connect() as c:
        page(c, extended, "SELECT id, name FROM rauthor WHERE id = 8003", TO_MANY, 0)
        c.ask(extended("SELECT id, name FROM rauthor ORDER BY id"))
        c.ask(extended(TO_MANY, "8007"))
        c.ask(query("SELECT id, title FROM rbook WHERE author_id IN (8001, 8002, 8003)"))
    assert report(p)["totals"] == before
