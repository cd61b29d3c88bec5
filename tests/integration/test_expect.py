# SPDX-License-Identifier: PostgreSQL
"""Tests that fail on N+1: the setting pgfold.expect, and the program `pgfold test`. docs/testing-your-application.md"""
import json
import os
import signal
import subprocess
import sys
import time

import pytest

import conftest
import proto
import servers
from messages import FRAMINGS, extended
from proto import SYNC, query, unit

pytestmark = pytest.mark.pgfold

LIST = "SELECT id, name FROM writer ORDER BY id"
CHILD = "SELECT id, title FROM work WHERE writer_id = %s ORDER BY id"
PARENT = "SELECT id, name FROM writer WHERE id = %s"


@pytest.fixture(scope="module", autouse=True)
def tables(pg):
    with pg.admin() as a:
        for s in ("DROP TABLE IF EXISTS work, writer, lone",
                  "CREATE TABLE writer (id int PRIMARY KEY, name text)",
                  "CREATE TABLE work (id int PRIMARY KEY, writer_id int REFERENCES writer, title text)",
                  "CREATE TABLE lone (id int PRIMARY KEY, n int)",
                  "INSERT INTO writer SELECT i, 'secret' || i FROM generate_series(701, 712) i",
                  "INSERT INTO work SELECT i, 701 + i % 12, 'title ' || i FROM generate_series(1, 36) i",
                  "INSERT INTO lone SELECT i, i FROM generate_series(1, 30) i",
                  "GRANT ALL ON writer, work, lone TO PUBLIC"):
            a.sql(s)
    yield
    with pg.admin() as a:
        a.sql("DROP TABLE work, writer, lone")


@pytest.fixture(params=["observe", "fold"])
def end(request, long_lived):
    return long_lived(mode=request.param)


@pytest.fixture(params=FRAMINGS)
def framing(request):
    return FRAMINGS[request.param]


class Client:
    def __init__(self, conn, framing=FRAMINGS["simple"]):
        self.conn, self.make = conn, framing(conn)

    def ask(self, sql, *values):
        return self.conn.ask(self.make(sql, *values))

    def expect(self, text):
        return self.ask("SET pgfold.expect = '%s'" % text)

    def counts(self):
        return json.loads(proto.rows(self.ask("SELECT current_setting('pgfold.counts', true)"))[0][0])

    def ids(self, sql=LIST):
        return [int(r[0]) for r in proto.rows(self.ask(sql))]

    def fails(self, code, sql, *values):
        got = proto.errors(self.ask(sql, *values))
        assert len(got) == 1 and got[0]["C"] == code, got
        return got[0]

    def passes(self, sql, *values):
        got = self.ask(sql, *values)
        assert not proto.errors(got), proto.errors(got)
        return proto.rows(got)


@pytest.fixture
def client(end, framing):
    with end.connect() as c:
        yield Client(c, framing)


def tag(messages):
    return [m.body.rstrip(b"\0") for m in messages if m.type == "C"]


# ---- loops

@pytest.mark.parametrize("transaction", ["none", "reads", "writes", "serializable"])
def test_second_lookup_of_a_list_is_an_error(client, transaction):
    """In the statement that does it. What the server thinks of the transaction is what the client was told."""
    assert tag(client.expect("loops=0")) == [b"SET"]
    if transaction != "none":
        client.passes("BEGIN ISOLATION LEVEL SERIALIZABLE" if transaction == "serializable" else "BEGIN")
    if transaction == "writes":
        client.passes("UPDATE lone SET n = n WHERE id = 1")
    ids = client.ids()
    assert len(client.passes(CHILD, ids[0])) == 3
    error = client.fails("PF001", CHILD, ids[1])
    assert "writer_id" in error["D"] and "ORDER BY id" in error["D"] and str(ids[1]) not in error["D"]
    if transaction == "none":
        client.fails("PF001", CHILD, ids[2])
    else:
        assert client.conn.status == "E"
        assert proto.errors(client.conn.ask(query("SELECT 1")))[0]["C"] == "25P02"
        assert Client(client.conn).counts()["loops"] == 1  # answered in an aborted transaction, too
        client.passes("ROLLBACK")
    client.fails("PF001", "SET pgfold.expect = ''")
    for k in ids:
        client.passes(CHILD, k)  # nothing is expected any more


def test_to_one_and_lists_of_two(client):
    client.expect("loops=0")
    rows = client.passes("SELECT id, writer_id FROM work WHERE id < 3 ORDER BY id")
    client.passes(PARENT, int(rows[0][1]))
    client.fails("PF001", PARENT, int(rows[1][1]))


@pytest.mark.parametrize("case", ["one row", "the same twice", "no list", "in one", "join", "unrelated list"])
def test_what_is_no_loop(client, case):
    client.expect("loops=0")
    if case == "one row":
        for k in client.ids("SELECT id FROM writer WHERE id = 703"):
            client.passes(CHILD, k)
    elif case == "the same twice":
        k = client.ids()[0]
        for _ in range(6):
            client.passes(CHILD, k)
    elif case == "no list":
        for k in (703, 705):
            client.passes(CHILD, k)
    elif case == "in one":
        ids = client.ids()
        client.passes("SELECT id, title FROM work WHERE writer_id IN (%s)" % ", ".join(map(str, ids)))
    elif case == "join":
        client.passes("SELECT w.id, t.title FROM writer w JOIN work t ON t.writer_id = w.id ORDER BY 1, 2")
    else:
        ids = client.ids("SELECT id FROM work WHERE id < 5 ORDER BY id")
        for k in ids[:3]:
            client.passes("SELECT n FROM lone WHERE id = %s", k)
    assert tag(client.expect("")) == [b"SET"]


def test_repeats_without_a_list(client):
    """Five different keys of one shape count as a loop; another number may be said."""
    client.expect("loops=0")
    for k in range(1, 5):
        client.passes("SELECT n FROM lone WHERE id = %s", k)
    assert client.counts()["repeats"] == 4
    client.fails("PF001", "SELECT n FROM lone WHERE id = %s", 5)
    client.fails("PF001", "SET pgfold.expect = ''")
    client.expect("loops=0 repeats<=20")
    for k in range(1, 21):
        client.passes("SELECT n FROM lone WHERE id = %s", k)
    client.fails("PF001", "SELECT n FROM lone WHERE id = %s", 21)


def test_allowed_by_a_comment(client):
    client.expect("loops=0")
    for k in client.ids():
        client.passes("/* pgfold:allow */ " + CHILD, k)
    assert tag(client.expect("")) == [b"SET"]


def test_warning(client):
    client.expect("loops=warn")
    ids = client.ids()
    client.passes(CHILD, ids[0])
    got = client.ask(CHILD, ids[1])
    notices = [proto.fields(m.body) for m in got if m.type == "N"]
    assert [n["C"] for n in notices] == ["PF001"] and not proto.errors(got) and len(proto.rows(got)) == 3
    assert "N" not in proto.types(client.ask(CHILD, ids[2]))
    assert tag(client.expect("")) == [b"SET"]


def test_lists_and_lookups_of_different_connections(end, framing):
    """As a pool has it."""
    with end.connect() as a, end.connect() as b, end.connect() as c:
        a, b, c = Client(a, framing), Client(b, framing), Client(c, framing)
        a.expect("loops=0")
        ids = b.ids()
        a.passes(CHILD, ids[0])
        c.fails("PF001", CHILD, ids[1])
        b.fails("PF001", "SET pgfold.expect = ''")


@pytest.mark.parametrize("separate", [True, False])
def test_one_pipeline(end, separate):
    """Lookups that are sent without waiting for their answers, with a Sync each or with one for all."""
    with end.connect() as c:
        c.sql("SET pgfold.expect = 'loops=0'")
        ids = [int(r[0]) for r in proto.rows(c.ask(query(LIST)))]
        units = [extended(CHILD, k) for k in ids[:3]]
        if separate:
            got = c.ask(*units, count=3)
        else:
            got = c.ask(*[u[:-len(SYNC)] for u in units], SYNC)
        assert "PF001" in [e["C"] for e in proto.errors(got)]
        assert c.value("SELECT 1") == "1"


# ---- other metrics

def test_statements(client):
    client.expect("statements<=3")
    client.passes("BEGIN")
    client.passes("SAVEPOINT a")
    client.passes("SELECT 1")
    client.passes("SELECT relname FROM pg_catalog.pg_class LIMIT 1")
    client.passes("UPDATE lone SET n = n WHERE id = 1")
    client.passes("RELEASE a")
    client.passes("SELECT 2")
    assert client.counts() == {"statements": 3, "lookups": 0, "loops": 0, "repeats": 0}
    assert "at most 3 statements" in client.fails("PF002", "SELECT 3")["M"]
    client.passes("ROLLBACK")
    client.fails("PF002", "SET pgfold.expect = ''")
    client.passes("SELECT 3")


def test_exactly_so_many(client):
    client.expect("statements=2")
    client.passes("SELECT 1")
    client.fails("PF002", "SET pgfold.expect = ''")
    client.expect("statements=2")
    client.passes("SELECT 1")
    client.passes("SELECT 1")
    assert tag(client.expect("")) == [b"SET"]


def test_lookups(client):
    client.expect("lookups<=1 loops=99")
    client.passes(CHILD, 701)
    client.fails("PF002", CHILD, 702)


def test_bad_expectations(client):
    for text in ("loops", "loops=", "loops=x", "rows<=3", "loops=0 loops=1", "statements<=99999999999"):
        assert text.split()[-1] in client.fails("22023", "SET pgfold.expect = '%s'" % text)["M"]


# ---- the settings themselves

def test_all_ways_to_say_it(end, framing):
    with end.connect() as c:
        c = Client(c, framing)
        assert tag(c.ask("set session pgfold.expect to 'statements<=9'")) == [b"SET"]
        assert c.passes("SHOW pgfold.expect") == [[b"statements<=9"]]
        assert c.passes("SELECT current_setting('pgfold.expect')") == [[b"statements<=9"]]
        assert c.passes("SELECT set_config('pgfold.expect', 'loops=0', false)") == [[b"loops=0"]]
        assert tag(c.ask("RESET pgfold.expect")) == [b"RESET"]
        assert tag(c.ask("SET pgfold.expect TO DEFAULT;")) == [b"SET"]
        assert c.passes("SELECT current_setting('pgfold.counts', true)") == [[b""]]


PARAMETERS = ["SELECT set_config('pgfold.expect', $1, false)", "SELECT set_config($1, $2, $3)", "SELECT set_config($1::text, $2, false) AS was"]


@pytest.mark.parametrize("prepared", [False, True])
@pytest.mark.parametrize("sql", PARAMETERS)
def test_parameters(end, sql, prepared):
    n = sql.count("$")
    with end.connect() as c:
        def bound(name, value, flag):
            values = [value] if n == 1 else [name, value, flag][:n]
            return c.ask(unit("" if prepared else sql, values, name="s" if prepared else "", want_parse=not prepared))
        if prepared:
            told = c.ask(proto.parse(sql, "s"), proto.describe("S", "s"), SYNC)
            assert proto.types(told) == "1tTZ" and [m.body[:2] for m in told if m.type == "t"] == [n.to_bytes(2, "big")]
        assert proto.rows(bound("pgfold.expect", "statements<=1", "f")) == [[b"statements<=1"]]
        assert not proto.errors(c.ask(query("SELECT 1")))
        assert proto.errors(c.ask(query("SELECT 2")))[0]["C"] == "PF002"
        assert proto.errors(bound("pgfold.expect", "", "f"))[0]["C"] == "PF002"
        assert proto.errors(bound("pgfold.expect", "rows=1", "f"))[0]["C"] == "22023"
        assert not proto.errors(bound("pgfold.expect", None, "f"))
        for bad in ("loops=0" + " " * 5000, "loops\0=0"):
            assert proto.errors(bound("pgfold.expect", bad, "f"))[0]["C"] == "22023"
        if n > 1:
            assert proto.rows(bound("app.tenant", "7", "f")) == [[b"7"]]  # all others are the server's
            assert c.value("SELECT current_setting('app.tenant')") == "7"
            assert proto.errors(bound("pgfold.expct", "", "f"))[0]["C"] == "42704"
            assert proto.errors(bound("pgfold.counts", "", "f"))[0]["C"] == "55P02"


def test_parameters_right_behind_the_parse(end):
    """As asyncpg asks the first time, with a Flush, and psycopg 3 the sixth, in one flight; and where the unit does more, which is refused."""
    sql = "SELECT set_config($1, $2, $3)"
    with end.connect() as c:
        for n, flush in enumerate((True, False)):
            name = "s%d" % n
            rest = unit("", ["pgfold.expect", "statements<=7", "f"], name=name, want_parse=False)
            if flush:
                c.send(proto.parse(sql, name) + proto.describe("S", name) + proto.FLUSH)
                time.sleep(0.05)
                got = c.ask(rest)
            else:
                got = c.ask(proto.parse(sql, name), proto.describe("S", name), rest)
            assert proto.types(got) == "1tT2TDCZ" and c.value("SHOW pgfold.expect") == "statements<=7"
            c.sql("SET pgfold.expect = ''")
        one = unit("SELECT 1", [])[:-len(SYNC)]
        assert [e["C"] for e in proto.errors(c.ask(one, rest))] == ["0A000"]
        got = c.ask(proto.parse(sql, "t"), unit("", ["app.tenant", "7", "f"], name="t", want_parse=False))
        assert not proto.errors(got) and c.value("SELECT current_setting('app.tenant')") == "7"
        got = c.ask(proto.parse("SELECT nothing FROM nowhere WHERE $1 = 1", "u"), rest)  # what fails in front of it takes it along
        assert [e["C"] for e in proto.errors(got)] == ["42P01"] and proto.types(got).count("Z") == 1
        assert c.value("SHOW pgfold.expect") == ""


REFUSED = [("SET pgfold.expct = 'loops=0'", "42704"), ("SHOW \"pgfold\".\"scop\"", "42704"), ("SET pgfold.counts = 'a'", "55P02"),
           ("SELECT current_setting('pgfold.counts', true)::json", "0A000"), ("SET pgfold.expect = 'a', 'b'", "0A000"),
           ("SELECT id, set_config('pgfold.tags', name, false) FROM writer", "0A000"), ("ALTER ROLE app SET pgfold.scope = 'a'", "0A000"),
           ("WITH x AS (SELECT id FROM writer) SELECT id FROM x WHERE current_setting('pgfold.expect', true) IS NULL", "0A000")]


@pytest.mark.parametrize("sql, code", REFUSED)
@pytest.mark.parametrize("make", [query, lambda sql: unit(sql, []), lambda sql: proto.parse(sql, "s") + proto.describe("S", "s") + SYNC])
def test_nothing_is_without_effect_in_silence(end, make, sql, code):
    with end.connect() as c:
        for begin in ("SELECT 1", "BEGIN"):
            c.sql(begin)
            error, = proto.errors(c.ask(make(sql)))
            assert error["C"] == code and "pgfold." in error["M"] and "pgfold." in error["H"]
        assert c.status == "E"
        assert proto.errors(c.ask(query("SELECT 1")))[0]["C"] == "25P02"  # the server thinks so, too
        c.sql("ROLLBACK")
        c.sql("SELECT 1")


def test_several_in_one_query(end):
    with end.connect() as c:
        for sql in ("SET pgfold.expect = 'statements=0'; SELECT 1", "SELECT 1; SET pgfold.scope = 'x'"):
            assert [e["C"] for e in proto.errors(c.ask(query(sql)))] == ["0A000"]
        assert c.value("SELECT 'SET pgfold.expect = 1; ' || count(*) FROM writer WHERE name = 'pgfold.expect'") == "SET pgfold.expect = 1; 0"
        assert proto.errors(c.ask(query("SET pgfold.expect = ")))[0]["C"] == "42601"  # that is PostgreSQL's


@pytest.mark.parametrize("with_flush", [False, True])
def test_in_a_pipeline(end, with_flush):
    """Behind BEGIN, as JDBC sends it, it works. Elsewhere it is refused, with all that is behind it."""
    with end.connect() as c:
        sets, one, begin = (unit(sql, [])[:-len(SYNC)] for sql in ("SET pgfold.expect = 'statements<=1'", "SELECT 1", "BEGIN"))
        got = c.ask(one, sets, *([proto.FLUSH] if with_flush else []), one, SYNC)
        assert [e["C"] for e in proto.errors(got)] == ["0A000"] and proto.types(got).count("C") == 1
        got = c.ask(begin, sets, SYNC)
        assert not proto.errors(got) and tag(got) == [b"BEGIN", b"SET"]
        c.sql("SELECT 1")
        assert proto.errors(c.ask(query("SELECT 2")))[0]["C"] == "PF002"
        c.sql("ROLLBACK")
        assert not proto.errors(c.ask(proto.parse("SET pgfold.scope = 'x'", "s"), SYNC))
        bound = unit("", [], name="s", want_parse=False)[:-len(SYNC)]
        assert [e["C"] for e in proto.errors(c.ask(bound, one, SYNC))] == ["0A000"]


@pytest.mark.parametrize("options, code", [("-c pgfold.scop=x", "42704"), ("--pgfold.expect=loops=0", "55P02"), ("-c work_mem=4MB -cpgfold.counts=1", "55P02")])
def test_a_connection_that_begins_with_what_would_do_nothing(end, options, code):
    with pytest.raises(Exception) as refused:
        end.connect(options=options).close()
    assert code in str(refused.value) and "pgfold." in str(refused.value)


@pytest.mark.parametrize("options", ["-c pgfold.scope=my\\ worker", "--pgfold.scope=my\\ worker", "-cpgfold.scope=my\\ worker -c work_mem=4MB"])
def test_a_scope_in_the_options(end, options):
    with end.connect(options=options) as c:
        assert c.value("SHOW pgfold.scope") == "my worker"


def test_the_server_never_sees_it(pg, end, client):
    client.expect("statements<=9")
    with pg.admin() as a:
        assert a.value("SELECT count(*) FROM pg_stat_activity WHERE query ILIKE '%pgfold.' || 'expect%'") == "0"
    client.expect("")


def test_survives_rollback(client):
    client.passes("BEGIN")
    client.expect("statements<=2")
    client.passes("ROLLBACK")
    client.passes("SELECT 1")
    client.passes("SELECT 2")
    client.fails("PF002", "SELECT 3")


def test_scopes(end, framing):
    """Two tests at once do not see each other, if they say who they are; others of the database and user do."""
    with end.connect(options="-c pgfold.scope=one") as a, end.connect() as b, end.connect() as c, end.connect(user="other") as d:
        a, b, c, d = (Client(x, framing) for x in (a, b, c, d))
        assert c.passes("SHOW pgfold.scope") == [[b"app"]]
        b.ask("SET pgfold.scope = 'two'")
        a.expect("statements<=1")
        b.expect("statements<=2")
        for x in (a, b, b, c, c, c, d):
            x.passes("SELECT 1")
        a.fails("PF002", "SELECT 1")
        b.fails("PF002", "SELECT 1")
        c.expect("statements<=0")
        d.passes("SELECT 1")  # another user cannot be disturbed
        c.fails("PF002", "SELECT 1")
        for x in (a, b, c):  # whoever comes next must not find these
            x.fails("PF002", "SET pgfold.expect = ''")


def test_section_ends_with_its_last_connection(end):
    with end.connect() as c:
        c.sql("SET pgfold.scope = 'gone'")
        c.sql("SET pgfold.expect = 'statements<=0'")
    deadline = time.monotonic() + 30
    while True:
        with end.connect() as c:
            c.sql("SET pgfold.scope = 'gone'")
            if not proto.errors(c.ask(query("SELECT 1"))):
                return
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_a_broken_section_is_not_forgotten_with_its_connection(end):
    """Pools close a connection that had an error, and code may swallow it."""
    with end.connect() as c:
        c.sql("SET pgfold.scope = 'left'")
        c.sql("SET pgfold.expect = 'statements<=0'")
        assert proto.errors(c.ask(query("SELECT 1")))
    time.sleep(0.2)
    with end.connect(options="-c pgfold.scope=left") as c:
        assert not proto.errors(c.ask(query("SELECT 1")))
        assert proto.errors(c.ask(query("SET pgfold.expect = ''")))[0]["C"] == "PF002"
        assert not proto.errors(c.ask(query("SET pgfold.expect = ''")))
    with end.connect(options="-c pgfold.scope=left") as c:
        assert not proto.errors(c.ask(query("SET pgfold.expect = ''")))


def test_a_list_from_before_the_section_makes_no_loop(client):
    keys = client.ids()
    client.expect("loops=0")
    client.passes(CHILD, keys[0])
    client.passes(CHILD, keys[1])
    client.ids()
    client.passes(CHILD, keys[0])
    client.fails("PF001", CHILD, keys[1])
    client.expect("")


def test_a_pipeline_that_comes_in_pieces_is_seen(end):
    with end.connect() as c:
        c.sql("SET pgfold.expect = 'loops=0'")
        c.ask(query(LIST))
        sql = CHILD.replace("%s", "$1")
        c.send(unit(sql, ["701"])[:-len(SYNC)])
        time.sleep(0.001)
        got = c.ask(unit(sql, ["702"]))
        assert [e["C"] for e in proto.errors(got)] == ["PF001"]
        c.sql("ROLLBACK")


def test_a_pipeline_with_a_named_statement_is_seen(end):
    """As psycopg 3 sends it: the sixth time, the statement gets a name. It is told at the section's end."""
    with end.connect() as c:
        c.sql("SET pgfold.expect = 'loops=0'")
        keys = [str(k) for k in range(701, 713)]
        c.ask(query(LIST))
        sql = CHILD.replace("%s", "$1")
        units = [unit(sql, [k])[:-len(SYNC)] for k in keys[:5]] + [unit(sql, [keys[5]], name="n")[:-len(SYNC)]]
        units += [unit("", [k], name="n", want_parse=False)[:-len(SYNC)] for k in keys[6:]]
        got = c.ask(*units, SYNC)
        assert len(tag(got)) == 12
        assert proto.errors(c.ask(query("SET pgfold.expect = ''")))[0]["C"] == "PF001"


# ---- pgfold test

CONNECT = """
import os, sys
sys.path.insert(0, %r)
import psycopg2
c = psycopg2.connect(os.environ["DATABASE_URL"])
c.autocommit = True
cur = c.cursor()
def ask(sql):
    cur.execute(sql)
    return cur.fetchall()
""" % os.path.dirname(os.path.abspath(__file__))
LAZY = CONNECT + """
for (k, name) in ask("SELECT id, name FROM writer ORDER BY id"):
    ask("SELECT id, title FROM work WHERE writer_id = %d ORDER BY id" % k)
"""
EAGER = CONNECT + """
ask("SELECT w.id, t.title FROM writer w JOIN work t ON t.writer_id = w.id")
"""
PYTHON = "/usr/bin/python3"


@pytest.fixture
def run(pg):
    def start(program, *options, env=None, wait=True, drop=()):
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("PG", "PGFOLD_"))}
        environment |= {"DATABASE_URL": "postgresql+psycopg2://app:app@127.0.0.1:%d/app?sslmode=prefer" % pg.port} | (env or {})
        environment["DATABASE_URL"] = environment["DATABASE_URL"].replace("+psycopg2", "")
        for name in drop:
            del environment[name]
        command = program if isinstance(program, list) else [PYTHON, "-B", "-c", program]
        p = subprocess.Popen([conftest.BINARY, "test", *options, "--", *command], env=environment, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE, text=True)
        if not wait:
            return p
        out, err = p.communicate(timeout=120)
        assert "Sanitizer" not in err and "runtime error" not in err, err
        return p.returncode, out, err
    return start


def test_a_lazy_suite_fails(run):
    code, _, err = run(LAZY)
    assert code == 1 and "PF001" not in err.split("pgfold test:")[-1]
    assert "N+1" in err and "Traceback" in err  # the driver's stack is the call site
    report = err[err.index("pgfold test:"):]
    assert "1 loops" in report and "SELECT id, name FROM writer ORDER BY id" in report and "writer_id = $1" in report
    assert "702" not in report and "secret" not in err


def test_it_fails_even_if_the_command_does_not(run):
    code, _, err = run(LAZY.replace("    ask(", "    try: ask(") + "    except psycopg2.Error: pass\n")
    assert code == 1 and "1 loops" in err


def test_an_eager_suite_passes(run):
    code, _, err = run(EAGER)
    assert code == 0 and "0 loops" in err


PAGES = CONNECT.replace("True", "False") + """
def page(sql, *keys):
    ask(sql)
    for k in keys:
        ask("SELECT id, name FROM writer WHERE id = %d" % k)
    END
page("SELECT id, name FROM writer ORDER BY id")
for k in range(701, 709):
    page("SELECT 1", k)
"""


@pytest.mark.parametrize("end_of_test", ["c.rollback()", "c.close(); c = psycopg2.connect(os.environ['DATABASE_URL']); cur = c.cursor()",
                                         "cur.execute(\"SET pgfold.expect = 'loops=0'\")"])
@pytest.mark.parametrize("options", [(), ("--fold",)])
def test_one_lookup_in_each_of_many_tests_is_no_loop(run, end_of_test, options):
    program = PAGES.replace("END", "global c, cur; " + end_of_test)
    code, _, err = run(program, *options)
    assert code == 0 and "0 loops" in err, err
    code, _, err = run(program + "page(LIST, 701, 702)\n".replace("LIST", repr(LIST)), *options)
    assert code == 1 and "1 loops" in err, err


def test_a_loop_in_one_test_is_none_in_the_next(run):
    lazy = "\ntry: page(%r, 701, 702)\nexcept psycopg2.Error: c.rollback()\npage('SELECT 1', 703)\nprint('passed')" % LIST
    code, out, err = run(PAGES.replace("END", "c.rollback()") + lazy)
    assert code == 1 and "passed" in out and "1 loops" in err, err


def test_the_commands_own_exit_code(run):
    assert run(EAGER + "sys.exit(7)")[0] == 7
    assert run([PYTHON, "-c", "import os, signal; os.kill(os.getpid(), signal.SIGKILL)"])[0] == 128 + 9
    code, _, err = run(["/no/such/program"])
    assert code == 127 and "could not start" in err


def test_an_inert_suite_is_an_error(run):
    code, _, err = run([PYTHON, "-c", "pass"])
    assert code == 2 and "no statement came through" in err


def test_limits_and_warnings(run, tmp_path):
    assert run(EAGER + "ask('SELECT 1')", "--statements", "1")[0] == 1
    assert run(EAGER + "ask('SELECT 1')", "--statements=2")[0] == 0
    code, _, err = run(LAZY, "--warn", "--report", str(tmp_path / "report"))
    assert code == 0 and "1 loops" not in err and "1 loops" in (tmp_path / "report").read_text()
    assert run(LAZY, "--loops", "1", "--repeats", "13")[0] == 0
    assert run(LAZY, "--fold")[0] == 1


@pytest.mark.parametrize("options, proven, asked", [((), True, 2), (("--fold",), True, 2), (("pool",), True, 1), (("--loops", "1"), False, 5)])
def test_the_report_has_what_was_refused(run, tmp_path, options, proven, asked):
    """With its list and its page, also where other connections have read the list and asked for the first key."""
    program = LAZY if proven else LAZY.replace("writer_id = ", "id + 0 = 0 OR id = ")
    program = program.replace("SELECT id, title", "/*route='/writers'*/ SELECT id, title")
    if options == ("pool",):
        options = ()
        program = "pool = []\n" + program.replace("):\n    ask", "):\n    pool += [c]\n    c = psycopg2.connect(os.environ['DATABASE_URL'])\n    cur = c.cursor()\n    ask")
    code, _, err = run(program, "--report", str(tmp_path / "x.json"), *options)
    loop, = json.loads((tmp_path / "x.json").read_text())["loops"]
    assert code == 1 and loop["kind"] == ("proven" if proven else "candidate") and loop["pages"] == 1, (loop, err)
    assert loop["asked"] == asked and loop["tags"] == [{"route": "/writers"}]
    assert not proven or loop["parent"]["columns"] == ["id"] and "selectinload(Writer.works)" in str(loop["instead"])


def test_allowed_by_a_file(run, tmp_path):
    allowed = tmp_path / "allow"
    allowed.write_text("# what is known\nFROM work WHERE writer_id  # the page shows twelve\nFROM nowhere # old\n")
    code, _, err = run(LAZY, "--allow", str(allowed))
    assert code == 0 and "never needed in the list of what is allowed: FROM nowhere" in err and "FROM work WHERE" not in err
    allowed.write_text("FROM work\n")
    code, _, err = run(LAZY, "--allow", str(allowed))
    assert code == 2 and "reason" in err


def test_where_the_server_is(pg, run):
    """The forms in which frameworks write it. What asks for TLS does not reach the command, and what cannot be led is told."""
    path = EAGER.replace('"DATABASE_URL"', '"OTHER"')
    url = "postgresql://app:app@127.0.0.1:%d/app" % pg.port
    assert run(EAGER, env={"DATABASE_URL": url + "?sslmode=prefer&channel_binding=require"})[0] == 0
    assert run(EAGER, env={"DATABASE_URL": "postgresql:///app?user=app", "PGHOST": "127.0.0.1", "PGPORT": str(pg.port)})[0] == 0
    assert run(path, "--rewrite", "OTHER", env={"OTHER": url}, drop=["DATABASE_URL"])[0] == 0
    by_parts = EAGER.replace('os.environ["DATABASE_URL"]', '"dbname=app user=app"')
    assert run(by_parts, env={"DATABASE_URL": "ecto://app:app@127.0.0.1:%d/app" % pg.port})[0] == 0
    code, _, err = run(EAGER, "--rewrite", "OTHER")
    assert code == 2 and err == "pgfold test: the variable OTHER, of --rewrite, is not set\n"
    code, _, err = run(EAGER, "--rewrite", "OTHER", env={"OTHER": "mysql://x/y"})
    assert code == 2 and "OTHER is no PostgreSQL URL" in err
    code, _, err = run(EAGER, "--allow", "/no/such/file")
    assert code == 2 and err.count("\n") == 1 and "could not read" in err


def test_where_the_command_is_led(pg, run):
    code, out, _ = run(EAGER + "print(os.environ['PGHOST'], os.environ['PGPORT'], os.environ['OTHER'], os.environ['DATABASE_URL'])",
                       "--rewrite", "OTHER", env={"OTHER": "jdbc:postgresql://db.example:5432/app?ssl=true&user=app", "PGHOST": "elsewhere"})
    host, port, other, url = out.split()
    assert code == 0 and host == "127.0.0.1" and port != str(pg.port)
    assert other == "jdbc:postgresql://127.0.0.1:%s/app?user=app" % port
    assert url == "postgresql://app:app@127.0.0.1:%s/app" % port
    code, _, err = run(EAGER.replace('os.environ["DATABASE_URL"]', '"user=app password=app dbname=app"'), drop=["DATABASE_URL"],
                       env={"PGHOST": "127.0.0.1", "PGPORT": str(pg.port)})
    assert code == 0, err


@pytest.mark.parametrize("options, text", [(["--loops"], "--loops"), (["--loops", "x"], "x"), (["--what"], "--what"),
                                           (["--allow", "/no/such/file"], "/no/such/file"), (["--repeats", "1"], "--repeats")])
def test_wrong_usage(run, options, text):
    code, _, err = run(EAGER, *options)
    assert code == 2 and text in err


def test_help():
    got = subprocess.run([conftest.BINARY, "test", "--help"], capture_output=True, text=True, timeout=60)
    assert got.returncode == 0 and "--statements" in got.stdout
    assert subprocess.run([conftest.BINARY, "test"], capture_output=True, timeout=60).returncode == 2


def test_a_signal_is_the_commands(run):
    p = run(EAGER + "import time; print('ready', flush=True); time.sleep(60)", wait=False)
    assert p.stdout.readline() == "ready\n"
    p.send_signal(signal.SIGTERM)
    p.communicate(timeout=60)
    assert p.returncode == 128 + signal.SIGTERM


