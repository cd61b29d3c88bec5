# SPDX-License-Identifier: PostgreSQL
"""The report of loops: which page asks for one row after the other, and what to write instead. docs/report.md"""
import contextlib
import http.client
import json
import os
import subprocess
import time

import pytest

import conftest
import proto
import servers
from busy import unless_busy
from messages import FRAMINGS, extended, named, simple
from proto import query

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
    """As it is now: an answer may have been made some time ago."""
    since = time.time()
    while True:
        found = json.loads(ask(p))
        if found["now_seconds"] >= since:
            return found
        time.sleep(0.02)


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
        assert n["asked"] == asked and n["pages"] == 4 and 0 < n["sent"], (key, n)
        with unless_busy():
            assert n["sent"] < asked / 2, (key, n)
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


@pytest.fixture(scope="module")
def unlinked(pg):
    """Tables without foreign keys: numbers 1 to 60 in each, those of rshop far apart."""
    with pg.admin() as a:
        for s in ("DROP TABLE IF EXISTS rorders, rpeople, rclicks, rshop",
                  "CREATE TABLE rpeople AS SELECT i AS id, 'p' || i AS name FROM generate_series(1, 60) i",
                  "CREATE TABLE rorders AS SELECT i AS id, 1 + i % 60 AS rperson_id, i AS at FROM generate_series(1, 120) i",
                  "CREATE TABLE rclicks AS SELECT i AS id, i AS code, 'c' || i AS what FROM generate_series(1, 60) i",
                  "CREATE TABLE rshop AS SELECT i * i * 7 AS code, i AS n FROM generate_series(1, 60) i",
                  *("ALTER TABLE %s ADD PRIMARY KEY (id)" % t for t in ("rorders", "rpeople", "rclicks")), "ALTER TABLE rshop ADD PRIMARY KEY (code)",
                  "GRANT ALL ON rorders, rpeople, rclicks, rshop TO PUBLIC", "ANALYZE"):
            a.sql(s)
    yield
    with pg.admin() as a:
        a.sql("DROP TABLE rorders, rpeople, rclicks, rshop")


@pytest.mark.parametrize("parents, child, kind", [
    ("SELECT id, name FROM rpeople ORDER BY id", "SELECT id, at FROM rorders WHERE rperson_id = %s", "candidate"),  # rperson is no rpeople
    ("SELECT id AS rperson_id FROM rpeople ORDER BY id", "SELECT id, at, at FROM rorders WHERE rperson_id = %s", "proven"),
    ("SELECT id FROM rclicks ORDER BY id", "SELECT name FROM rpeople WHERE id = %s", "candidate"),  # the same numbers by chance
    ("SELECT id FROM rclicks ORDER BY id DESC", "SELECT name, id FROM rpeople WHERE id = %s", "candidate"),
    ("SELECT code FROM rshop ORDER BY code", "SELECT what FROM rclicks WHERE code = %s", "proven")])
def test_a_list_with_the_same_numbers_proves_nothing(web, unlinked, parents, child, kind):
    """Without a foreign key, names or the list's values must speak for it."""
    p = web()
    with p.connect() as c:
        keys = [r[0].decode() for r in proto.rows(c.ask(simple(parents)))]
        for k in keys:
            c.ask(simple(child, k))
    found = [x for x in report(p)["loops"] if x["child"]["statement"].startswith(child.split("%")[0])]
    assert [x["kind"] for x in found] == [kind] and found[0]["asked"] >= 59 and (found[0]["parent"] is None) == (kind == "candidate"), found


def test_one_key_of_a_list_is_no_loop(web):
    p = web()
    before = report(p)["totals"]
    with p.connect() as c:
        page(c, extended, "SELECT id, name FROM rauthor WHERE id = 8003", TO_MANY, 0)
        c.ask(extended("SELECT id, name FROM rauthor ORDER BY id"))
        c.ask(extended(TO_MANY, "8007"))
        c.ask(query("SELECT id, title FROM rbook WHERE author_id IN (8001, 8002, 8003)"))
    assert report(p)["totals"] == before


# ---- tags

def tags_of(p, key):
    return [dict(t) for t in loops(p)[key]["tags"]]


MANY, ONE = ("public.rauthor", "public.rbook"), ("public.rbook", "public.rauthor")
COMMENTS = {"sqlcommenter": "/*controller='c%d',file='app/v%d.py',line='4%d',traceparent='00-{n}-01'*/",
            "marginalia": "/*application:Shop,controller:c%d,line:/app/v%d.rb:4%d:in `index'*/",
            "pairs": "/* controller=c%d, source_location=app/v%d.py:4%d */"}


@pytest.mark.parametrize("style", COMMENTS)
@pytest.mark.parametrize("framing", FRAMINGS)
def test_tags_come_from_comments(web, framing, style):
    """In front and behind, also of prepared statements; the statement stays one shape, and its lookups are loaded ahead."""
    p = web()
    before = loops(p)
    number = list(COMMENTS).index(style) * 10 + list(FRAMINGS).index(framing)
    comment = COMMENTS[style] % ((number,) * 3)
    with p.connect() as c:
        make = FRAMINGS[framing](c)
        for i, row in enumerate(proto.rows(c.ask(make("SELECT id, name FROM rauthor ORDER BY id")))):
            sql = TO_MANY + " " + comment if i % 2 else comment + TO_MANY
            c.ask(make(sql.replace("{n}", "x" if framing == "named" else str(i)), row[0].decode()))
    after = loops(p)
    n = grown(before, after, MANY)
    assert n["asked"] == AUTHORS
    with unless_busy():
        assert n["sent"] < AUTHORS / 2
    found = [t for t in after[MANY]["tags"] if t.get("controller") == "c%d" % number]
    assert len(found) == 1 and "traceparent" not in found[0]
    assert any(site.startswith("app/v%d.py:4%d" % (number, number)) or site.startswith("/app/v%d.rb:4%d" % (number, number))
               for site in after[MANY]["call_sites"])


def test_tags_come_from_the_setting_and_the_applications_name(web):
    p = web()
    with p.connect(application_name="night shift") as c:
        page(c, extended, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
        c.ask(query("SET pgfold.tags = 'controller=by setting, route=/x'"))
        assert proto.rows(c.ask(query("SHOW pgfold.tags"))) == [[b"controller=by setting, route=/x"]]
        assert proto.rows(c.ask(query("SELECT current_setting('pgfold.tags', true)"))) == [[b"controller=by setting, route=/x"]]
        page(c, extended, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
        c.ask(query("RESET pgfold.tags"))
        assert proto.rows(c.ask(query("SHOW pgfold.tags"))) == [[b""]]
        c.ask(query("SET application_name = 'day shift'"))  # as pgjdbc does
        page(c, extended, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
    with p.connect(**{"pgfold.tags": "controller=from the start"}) as c:
        page(c, extended, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
    with p.connect(options="-c pgfold.tags=controller=options") as c:
        page(c, extended, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
    found = tags_of(p, ONE)
    for t in ({"application_name": "night shift"}, {"application_name": "day shift"}, {"controller": "by setting", "route": "/x"}, {"controller": "from the start"},
              {"controller": "options"}):
        assert t in found, (t, found)


@pytest.mark.parametrize("reset", ["RESET ALL", "DISCARD ALL", "RESET pgfold.tags", "SET pgfold.tags TO DEFAULT"])
def test_a_pool_that_resets_its_connection_resets_its_tags(web, reset):
    with web().connect(options="-c pgfold.tags=k=first") as c:
        c.ask(query("SET pgfold.tags = 'k=''mine'''"))
        assert proto.rows(c.ask(query("SHOW pgfold.tags"))) == [[b"k='mine'"]]
        c.ask(query(reset))
        assert proto.rows(c.ask(query("SHOW pgfold.tags"))) == [[b"k=first"]]


def test_lookups_with_and_without_a_comment_are_one_page(web):
    p = web()
    sql = "SELECT 'turns', title FROM rbook WHERE author_id = %s ORDER BY id"
    with p.connect(application_name="turns") as c:
        for i, row in enumerate(proto.rows(c.ask(simple("SELECT id, name FROM rauthor ORDER BY id LIMIT 20")))):
            c.ask(simple(sql + (" /* route=/turns */" if i % 2 else ""), row[0].decode()))
    assert [x["asked"] for x in report(p)["loops"] if x["child"]["statement"].startswith("SELECT ?, title")] == [20]


def test_tags_are_bounded(web):
    """20 sets for each statement; all others are (other). A name that is another one each time loses its values sooner."""
    p = web()
    sql = "SELECT title, id FROM rbook WHERE author_id = %s ORDER BY id"
    with p.connect() as c:
        for n in (*range(30), *range(30)):
            for row in proto.rows(c.ask(simple("SELECT id FROM rauthor ORDER BY id LIMIT 4"))):
                c.ask(simple(sql + " /* route=%d */" % n, row[0].decode()))
                c.ask(simple(sql.replace("title, id", "title, title") + " /* visitor=%d */" % n, row[0].decode()))
    found = {x["child"]["statement"][:20]: x["tags"] for x in report(p)["loops"]}
    assert len(found["SELECT title, id FRO"]) == 21 and {"(other)": ""} in found["SELECT title, id FRO"]
    assert len(found["SELECT title, title "]) in (16, 17) and {"visitor": "(other)"} in found["SELECT title, title "]


def test_tags_that_differ_in_each_statement_hide_no_loop(web):
    p = web()
    sql = "SELECT id, id, title FROM rbook WHERE author_id = %s ORDER BY id"
    with p.connect() as c:
        for n, row in enumerate(proto.rows(c.ask(simple("SELECT id, id FROM rauthor ORDER BY id")))):
            c.ask(simple(sql + " /* route=/authors,at=%d */" % n, row[0].decode()))
    loop = next(x for x in report(p)["loops"] if x["child"]["statement"].startswith("SELECT id, id, title"))
    assert loop["kind"] == "proven" and loop["asked"] >= AUTHORS - 4, loop
    assert {"route": "/authors", "at": "(other)"} in loop["tags"]


# ---- the other outputs

def run(p, *options):
    return subprocess.run([conftest.BINARY, "report", "--http", "http://127.0.0.1:%d" % p.http, *options], capture_output=True, text=True,
                          timeout=60)


def test_every_output_says_the_same(web, tmp_path):
    p = web()
    with p.connect() as c:
        page(c, simple, "SELECT id, name FROM rauthor ORDER BY id", TO_MANY + " /* controller=every */", 0)
    loop = loops(p)[MANY]
    time.sleep(1)
    assert "page.css" in ask(p, "/report") and "page.css" not in run(p, "--format=html").stdout  # a file has its style in itself
    for text in (run(p).stdout, run(p, "--format", "markdown").stdout, run(p, "--format=html").stdout, ask(p, "/report")):
        for part in ("public.rauthor(id) → public.rbook(author_id)", "controller=every", "selectinload(Rauthor.rbooks)", "author_id = $1",
                     "(estimate)"):
            assert part in text, (part, text)
    assert "<script" not in ask(p, "/report") and 'id="%s"' % loop["id"] in ask(p, "/report")
    kept = tmp_path / "baseline.json"
    done = run(p, "--format", "json")
    assert done.returncode == 0
    kept.write_text(done.stdout)
    assert json.loads(done.stdout)["loops"]
    done = run(p, "--baseline", str(kept))
    assert done.returncode == 0 and "0 new loops" in done.stdout
    old = json.loads(kept.read_text())
    old["loops"] = [x for x in old["loops"] if x["id"] != loop["id"]]
    kept.write_text(json.dumps(old))
    done = run(p, "--baseline", str(kept))
    assert done.returncode == 1 and "1 new loop;" in done.stdout and "rauthor" in done.stdout


def test_many_ask_for_the_report_at_once(web):
    """It is made in pieces: whoever asks meanwhile waits for it, and may go away."""
    p = web()
    with p.connect() as c:
        page(c, simple, "SELECT id FROM rauthor", TO_MANY, 0)
    time.sleep(1)  # one that was made before is too old then
    with contextlib.ExitStack() as stack:
        asked = []
        for i in range(12):
            h = stack.enter_context(contextlib.closing(http.client.HTTPConnection("127.0.0.1", p.http, timeout=30)))
            h.request("HEAD" if i % 4 == 3 else "GET", "/report" if i % 2 else "/report.json")
            asked.append(h)
            if i % 3 == 2:
                asked.pop().close()
        got = [h.getresponse() for h in asked]
        texts = [r.read().decode() for r in got]
    assert {r.status for r in got} == {200}
    found = [json.loads(t) for t in texts if t.startswith("{")]
    assert found and all(f["totals"]["loops"] == len(f["loops"]) and f["loops"] for f in found)
    pages = [t for t in texts if t.startswith("<")]
    assert pages and all(t.count("<section") == len(found[0]["loops"]) and t.endswith("</html>\n") for t in pages)


@pytest.mark.parametrize("options,says", [(["--baseline", "/no/such"], "/no/such"), (["--format", "xml"], "text, json, html or markdown"),
                                          (["--http", "ftp://x"], "no URL of HTTP"), (["--http", "127.0.0.1:1"], "http.listen"),
                                          (["--what"], "--what"), (["loops"], "loops")])
def test_what_is_wrong_is_said(web, options, says):
    done = run(web(), *options)
    assert done.returncode == 2 and says in done.stderr and not done.stdout


def console(p, sql):
    import getpass
    with p.dial(unix=True) as c:
        assert c.login(getpass.getuser(), "pgfold")[-1].type == "Z"
        got = c.ask(query(sql))
        assert not proto.errors(got), proto.errors(got)
        return [[v.decode() if v is not None else None for v in r] for r in proto.rows(got)]


def test_the_console_shows_loops_tags_and_expectations(web):
    p = web()
    console(p, "RESET STATS")
    with p.connect() as c:
        c.ask(query("SET pgfold.expect = 'statements<=500'"))
        page(c, simple, "SELECT id, name FROM rauthor ORDER BY id", TO_MANY + " /* controller=shown */", 0)
        row = next(r for r in console(p, "SHOW LOOPS") if r[4] == "public.rauthor(id)" and r[5] == "public.rbook(author_id)")
        assert row[1] == "proven" and "controller=shown" in row[7] and int(row[10]) == loops(p)[MANY]["asked"]
        row = next(r for r in console(p, "SHOW TAGS") if r[0] == "controller=shown")
        assert [int(v) for v in row[2:4]] == [AUTHORS, AUTHORS]
        scope, expects, counts, good = console(p, "SHOW EXPECTATIONS")[0]
        assert (scope, expects, good) == ("app", "statements<=500", "yes") and json.loads(counts)["statements"] == AUTHORS + 1
    console(p, "RESET STATS")
    assert report(p)["loops"] == [] and console(p, "SHOW LOOPS") == console(p, "SHOW TAGS") == []


SECRET = "planted-8461"


@pytest.mark.parametrize("mode", ["fold", "observe"])
def test_no_value_is_in_any_output(web, mode):
    """Parameters, constants, and comments in strings; the values of tags are the application's own."""
    p = web(mode)
    with p.connect() as c:
        for make in (simple, extended, named(c)):
            for row in proto.rows(c.ask(make("SELECT id, name FROM rauthor WHERE name <> '%s /* k=%s */' ORDER BY id" % (SECRET, SECRET)))):
                c.ask(make("SELECT title FROM rbook WHERE author_id = %s AND title <> " + ("'%s'" % SECRET if make is simple else "$2"),
                           row[0].decode(), *([] if make is simple else [SECRET])) if make is not simple else
                      query("SELECT title FROM rbook WHERE author_id = %s AND title <> '%s' /* tag=shown */" % (row[0].decode(), SECRET)))
        c.ask(query("SELECT '%s' /* k=v */ WHERE '" % SECRET))  # no end
        c.ask(query("SELECT '/* k=%s */'" % SECRET))
        c.ask(query("SELECT $$%s -- k=%s" % (SECRET, SECRET)))
    outputs = [ask(p, path) for path in ("/report", "/report.json", "/metrics", "/", "/stats.json")]
    outputs += [run(p, "--format", f).stdout for f in ("text", "json", "html", "markdown")]
    outputs += [repr(console(p, "SHOW " + what)) for what in ("LOOPS", "TAGS", "EXPECTATIONS", "SHAPES", "AHEAD", "REASONS", "FOLDING", "CLIENTS")]
    outputs.append(p.log())
    for text in outputs:
        assert SECRET not in text, text[max(0, text.index(SECRET) - 300):][:600]
    assert mode == "observe" or "rbook" in outputs[0]


def test_a_test_run_writes_the_same_report(pg, tmp_path):
    code = "import os, psycopg\nc = psycopg.connect(os.environ['DATABASE_URL'], autocommit=True)\n" \
           "for i, in c.execute('SELECT id FROM rauthor ORDER BY id').fetchall():\n" \
           "    c.execute('SELECT title FROM rbook WHERE author_id = %s', (i,))\n"
    out = tmp_path / "report.json"
    done = subprocess.run([conftest.BINARY, "test", "--fold", "--warn", "--report", str(out), "--", "/usr/bin/python3", "-c", code],
                          env={k: v for k, v in os.environ.items() if not k.startswith("PGFOLD_")} | {"DATABASE_URL": "postgresql://app@127.0.0.1:%d/app" % pg.port}, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    (loop,) = json.loads(out.read_text())["loops"]
    assert loop["kind"] == "proven" and loop["asked"] == AUTHORS and loop["parent"]["table"] == "public.rauthor"


def test_in_mode_observe_the_same_loops_are_listed(web):
    """What was sent is what mode fold would have sent."""
    found = {}
    for mode in ("fold", "observe"):
        p = web(mode)
        console(p, "RESET STATS")
        with p.connect() as c:
            make = named(c)
            for _ in range(5):
                page(c, make, "SELECT id, name FROM rauthor ORDER BY id", TO_MANY + " /* controller=both */", 0)
                page(c, make, "SELECT id, author_id FROM rbook ORDER BY id", TO_ONE, 1)
            for i in (7, 250, 33, 181, 92, 266):
                c.ask(make("SELECT n FROM rlone WHERE id = %s", str(i)))
        found[mode] = loops(p)
    fold, observe = found["fold"], found["observe"]
    assert {MANY, ONE} <= set(fold) and {MANY, ONE} <= set(observe)
    for key in (MANY, ONE):
        for part in ("id", "kind", "parent", "child", "direction", "pages", "asked", "instead"):
            assert fold[key][part] == observe[key][part], (key, part)
        print(key, fold[key]["sent"], observe[key]["sent"])
        with unless_busy():
            assert 0 < observe[key]["sent"] < fold[key]["asked"] / 2, key


def test_in_mode_observe_inside_transactions_alone(web):
    """As mappers ask. The catalogue is asked between the pages, and the loop is told what it says."""
    p, sql = web("observe"), "SELECT title, title, title FROM rbook WHERE author_id = %s ORDER BY id"
    with p.connect() as c:
        for _ in range(4):
            c.sql("BEGIN")
            page(c, simple, "SELECT name, id FROM rauthor ORDER BY id", sql, 1)
            c.sql("ROLLBACK")
    loop, = (x for x in report(p)["loops"] if x["child"]["statement"].startswith("SELECT title, title, title"))
    assert (loop["kind"], loop["direction"], loop["asked"]) == ("proven", "to-many", 4 * AUTHORS) and loop["pages"] >= 2, loop
    assert loop["parent"]["table"] == "public.rauthor" and advice(loop)["SQLAlchemy"] == "selectinload(Rauthor.rbooks)"


def test_lookups_with_one_sync_are_proved(web):
    """They follow nothing; the catalogue tells where their keys come from."""
    for mode in ("fold", "observe"):
        p, sql = web(mode), "SELECT title, %s FROM rbook WHERE author_id = $1" % ("id" if mode == "fold" else "title")
        with p.connect() as c:
            for _ in range(4):
                keys = [r[0].decode() for r in proto.rows(c.ask(simple("SELECT id FROM rauthor ORDER BY id")))]
                for i in range(0, len(keys), 6):
                    c.ask(b"".join(proto.unit(sql, [k])[:-len(proto.SYNC)] for k in keys[i:i + 6]), proto.SYNC)
        loop = next(x for x in report(p)["loops"] if x["child"]["statement"] == sql)
        assert loop["kind"] == "proven" and loop["parent"]["table"] == "public.rauthor" and loop["asked"] >= 3 * AUTHORS, loop
        with unless_busy():
            assert loop["sent"] <= loop["asked"] / 4, loop
