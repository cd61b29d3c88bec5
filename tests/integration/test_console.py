# SPDX-License-Identifier: PostgreSQL
"""The console: who gets in, what it says in both protocols to real clients, and what an admin may do."""
import asyncio
import contextlib
import os
import subprocess
import time

import pytest

import proto
import servers

pytestmark = pytest.mark.pgfold
ADMIN, STATS = "app", "reader"
SHOWS = ("STATS", "STATS_TOTALS", "STATS_AVERAGES", "TOTALS", "POOLS", "DATABASES", "CLIENTS", "SERVERS", "USERS", "LISTS", "CONFIG", "ALL", "STATE",
         "VERSION", "FOLDING", "SHAPES", "REASONS", "AHEAD")
# Of PgBouncer 1.25.
COUNTS = "server_assignment_count xact_count query_count".split()
TIMES = "xact_time query_time wait_time client_parse_count server_parse_count bind_count".split()
SOCKETS = ("type user database replication state addr port local_addr local_port connect_time request_time wait wait_us close_needed ptr link "
           "remote_pid tls application_name prepared_statements id")
COLUMNS = {
    "STATS": ["database"] + ["total_" + c for c in COUNTS] + ["total_received", "total_sent"] + ["total_" + c for c in TIMES] + [
        "avg_" + c for c in COUNTS] + ["avg_recv", "avg_sent"] + ["avg_" + c for c in TIMES],
    "STATS_TOTALS": ["database"] + COUNTS + ["bytes_received", "bytes_sent"] + TIMES,
    "STATS_AVERAGES": ["database"] + COUNTS + ["bytes_received", "bytes_sent"] + TIMES,
    "POOLS": "database user cl_active cl_waiting cl_active_cancel_req cl_waiting_cancel_req sv_active sv_active_cancel sv_being_canceled sv_idle "
             "sv_used sv_tested sv_login maxwait maxwait_us pool_mode load_balance_hosts".split(),
    "DATABASES": "name host port database force_user pool_size min_pool_size reserve_pool_size server_lifetime pool_mode load_balance_hosts "
                 "max_connections current_connections max_client_connections current_client_connections paused disabled".split(),
    "CLIENTS": SOCKETS.split(), "SERVERS": SOCKETS.split(),
    "USERS": "name pool_size reserve_pool_size pool_mode max_user_connections current_connections max_user_client_connections "
             "current_client_connections".split(),
    "LISTS": ["list", "items"], "CONFIG": ["key", "value", "default", "changeable"], "STATE": ["key", "value"], "VERSION": ["version"],
}
SECRET = "planted-7713"


@pytest.fixture
def bouncer(long_lived):
    return long_lived(console__admin_users=" app ,other", console__stats_users="reader")


@pytest.fixture(scope="module", autouse=True)
def users(pg):
    with pg.admin() as c:
        for name in ("reader", "stranger"):
            with contextlib.suppress(Exception):
                c.sql("CREATE ROLE %s LOGIN" % name)


def console(p, user=ADMIN, database="pgfold", **kw):
    return p.connect(user=user, database=database, **kw)


def columns(messages):
    body = next(m for m in messages if m.type == "T").body
    names, at = [], 2
    for _ in range(int.from_bytes(body[:2], "big")):
        end = body.index(b"\0", at)
        names.append((body[at:end].decode(), int.from_bytes(body[end + 7:end + 11], "big")))
        at = end + 19
    return names


def test_pgbouncers_columns(bouncer):
    with console(bouncer) as c:
        for show, names in COLUMNS.items():
            got = columns(c.ask(proto.query("SHOW %s" % show)))
            assert [n for n, _ in got] == names, show
        types = dict(columns(c.ask(proto.query("SHOW STATS"))))
        assert types["database"] == 25 and types["total_query_count"] == 1700
        assert dict(columns(c.ask(proto.query("SHOW POOLS"))))["cl_active"] == 23


def test_both_protocols_say_the_same(bouncer):
    with console(bouncer) as c:
        for show in SHOWS:
            simple = c.ask(proto.query("SHOW " + show))
            extended = c.ask(proto.parse("SHOW " + show), proto.bind(), proto.describe("P"), proto.execute(), proto.msg("S"))
            assert columns(extended) == columns(simple), show
            assert [m.type for m in extended if m.type not in "D"] == ["1", "2", "T", "C", "Z"], show


def test_rows_come_in_parts(bouncer):
    with console(bouncer) as c:
        got = c.ask(proto.parse("SHOW LISTS"), proto.bind(), proto.execute(limit=5), proto.execute(limit=5), proto.execute(), proto.msg("S"))
    assert "".join(m.type for m in got) == "12" + "DDDDDs" + "DDDDDs" + "DDDDC" + "Z"


def test_what_is_counted_is_shown(bouncer):
    with bouncer.connect(database="second") as c, console(bouncer) as admin:
        before = stats(admin)
        for i in range(7):
            c.sql("SELECT name FROM item WHERE id = %d" % i)
        after = stats(admin)
        assert after["total_query_count"] - before["total_query_count"] == 7
        assert after["total_xact_count"] - before["total_xact_count"] == 7
        assert after["total_received"] > before["total_received"] and after["total_sent"] > before["total_sent"]
        rows = admin.sql("SHOW CLIENTS LIKE 'second'")
        assert len(rows) == 1 and rows[0][:3] == ("C", "app", "second")
        pools = [r for r in admin.sql("SHOW POOLS") if r[0] == "second"]
        assert pools[0][1:3] == ("app", "1")


def stats(c):
    got = c.ask(proto.query("SHOW STATS LIKE 'second'"))
    names = [n for n, _ in columns(got)]
    rows = proto.rows(got)
    assert len(rows) == 1
    return {n: int(v) for n, v in zip(names[1:], rows[0][1:])}


# ---- who gets in


def refusal(p, user, database="pgfold", **kw):
    with p.dial() as c:
        got = c.login(user, database, **kw)
    return proto.errors(got)[0]["C"] if proto.errors(got) else None


def test_nobody_else_gets_in(bouncer, proxy):
    assert refusal(bouncer, "stranger") == "42501"
    assert refusal(bouncer, "app", "pgbouncer") is None and refusal(bouncer, "reader") is None
    assert refusal(bouncer, "no_such_user") == "28000"
    assert refusal(proxy, "app") == "42501", "the lists are empty"


@pytest.mark.parametrize("target", ["any", "read-write"])
@pytest.mark.parametrize("user", ["password_user", "md5_user", "scram_user"])
def test_passwords_are_the_servers(pg, start_pgfold, user, target):
    p = start_pgfold({"console.admin_users": user, "pgfold.client_tls": "allow", "pgfold.client_tls_cert": pg.folder + "/server.crt",
                      "pgfold.client_tls_key": pg.folder + "/server.key"},
                     server="host=127.0.0.1 port=%d sslmode=require target_session_attrs=%s" % (pg.port, target))
    for tls in (False, True):
        for password, state in (("open sesame", None), ("wrong", "28P01")):
            with p.dial() as c:
                if tls:
                    assert c.request_tls() == b"S"
                    c.start_tls()
                got = c.login(user, "pgfold", password)
                assert (proto.errors(got)[0]["C"] if proto.errors(got) else None) == state
                assert state or c.sql("SHOW VERSION")
    with pg.admin() as c:
        servers.wait_for(lambda: c.sql("SELECT count(*) FROM pg_stat_activity WHERE usename = '%s'" % user) == [("0",)], "the server's connections to be closed")


def test_a_user_whom_the_server_does_not_let_in(pg, bouncer):
    with pg.admin() as c:
        c.sql("ALTER ROLE other NOLOGIN")
        try:
            assert refusal(bouncer, "other") == "28000", "it authenticates, and may not log in"
        finally:
            c.sql("ALTER ROLE other LOGIN")
    assert refusal(bouncer, "other") is None


def test_who_may_only_look(bouncer):
    with console(bouncer, STATS) as c:
        for show in SHOWS:
            assert not proto.errors(c.ask(proto.query("SHOW " + show)))
        for command in ("RELOAD", "SET pgfold.log_level = debug", "PAUSE FOLDING", "RESUME FOLDING", "KILL 1", "KILL_CLIENT 1", "RESET STATS", "SHUTDOWN",
                        "SHOW LISTS; SHUTDOWN", "/* x */ shutdown -- y"):
            assert proto.errors(c.ask(proto.query(command)))[0]["C"] == "42501", command
            got = c.ask(proto.parse(command.split("; ")[-1]), proto.bind(), proto.execute(), proto.msg("S"))
            assert proto.errors(got)[0]["C"] == "42501", command
    assert bouncer.process.poll() is None


def test_the_user_who_runs_pgfold(start_pgfold):
    p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable" % servers.free_port())  # without a server
    with console(p, "whoever", unix=True) as c:
        assert c.sql("SHOW STATE")[0] == ("active", "yes")
        assert not proto.errors(c.ask(proto.query("RELOAD")))


# ---- an admin


def test_settings_until_the_next_start(start_pgfold):
    p = start_pgfold({"console.admin_users": "app"})
    with console(p) as c:
        assert not proto.errors(c.ask(proto.query("SET lookahead.max_keys = 7")))
        assert c.sql("SHOW CONFIG LIKE 'lookahead.max_keys'") == [("lookahead.max_keys", "7", "500", "yes")]
        assert not proto.errors(c.ask(proto.query("RELOAD")))
        assert c.sql("SHOW CONFIG LIKE 'lookahead.max_keys'")[0][1] == "7"
        for wrong in ("SET lookahead.max_keys = many", "SET no.such = 1", "SET pgfold.listen = '127.0.0.1:1'", "SET lookahead.max_keys"):
            assert proto.errors(c.ask(proto.query(wrong))), wrong
        assert ("pgfold.server", "…") == c.sql("SHOW CONFIG LIKE 'pgfold.server'")[0][:2]


def test_the_emergency_brake(start_pgfold):
    p = start_pgfold({"console.admin_users": "app"})
    with console(p) as c, p.connect() as client:
        assert not proto.errors(c.ask(proto.query("PAUSE FOLDING")))
        assert ("folding_paused", "yes") in c.sql("SHOW STATE")
        client.sql("SELECT name FROM item WHERE id = 1")
        assert [r for r in c.sql("SHOW REASONS") if r[0] == "observe"]
        c.sql("RELOAD")
        assert ("folding_paused", "yes") in c.sql("SHOW STATE")
        c.sql("RESUME FOLDING")
        assert ("folding_paused", "no") in c.sql("SHOW STATE")
        c.sql("RESET STATS")
        assert c.sql("SHOW FOLDING")[0][0] == "0"


def test_kill_and_shutdown(start_pgfold):
    p = start_pgfold({"console.admin_users": "app"})
    with console(p) as c, p.connect() as client, p.connect() as busy:
        busy.sql("BEGIN")
        victim = min(c.sql("SHOW CLIENTS"), key=lambda r: int(r[-1]))
        assert not proto.errors(c.ask(proto.query("KILL %s" % victim[-1])))
        assert proto.errors(client.to_end())[0]["C"] == "57P01"
        assert proto.errors(c.ask(proto.query("KILL 999999")))
        assert not proto.errors(c.ask(proto.query("SHUTDOWN")))
        servers.wait_for(lambda: "draining" in p.log(), "the drain")
        assert c.sql("SHOW STATE")[0] == ("active", "yes"), "the console answers to the end"
        busy.sql("COMMIT")
        servers.wait_for(lambda: p.process.poll() is not None, "the end")


def test_who_is_taken_from_the_list_may_do_nothing_more(start_pgfold):
    p = start_pgfold({"console.admin_users": "app", "console.stats_users": "reader"})
    with console(p) as admin, console(p, STATS) as reader:
        assert reader.sql("SHOW VERSION")
        admin.sql("SET console.stats_users = ''")
        assert proto.errors(reader.ask(proto.query("SHOW VERSION")))[0]["C"] == "42501"
        admin.sql("SET console.admin_users = reader")
        assert proto.errors(admin.ask(proto.query("RELOAD")))[0]["C"] == "42501"
        assert not proto.errors(reader.ask(proto.query("RELOAD")))


# ---- strangers


def test_a_busy_console_delays_no_statement(bouncer):
    n = 500
    with console(bouncer) as c, bouncer.connect() as client:
        c.send(proto.query("SHOW CONFIG") * n)
        took = []
        for i in range(50):
            begun = time.monotonic()
            client.sql("SELECT name FROM item WHERE id = %d" % i)
            took.append(time.monotonic() - begun)
        assert sorted(took)[25] < 0.5
        assert sum(m.type == "C" for m in c.ready(n)) == n


def test_no_sql_and_no_nonsense(bouncer):
    with console(bouncer) as c:
        for text in ("SELECT * FROM pg_class", "SHOW", "SHOW NOTHING", "SHOW STATS STATS", "SHOW STATS LIKE", "SHOW STATS LIKE 'a' 'b'", "'", "\"", "KILL x",
                     "SET a.b =", "PAUSE", "DROP TABLE item", "SHOW " + "x" * 60000):
            assert len(proto.errors(c.ask(proto.query(text)))) == 1, text
        assert [m.type for m in c.ask(proto.query(" ; -- nothing\n"))] == ["I", "Z"]
        assert c.sql("SELECT 1") == [("1",)]
        for unit in ((proto.bind(name="nothing"),), (proto.describe("P", "nothing"),), (proto.execute(portal="nothing"),), (proto.parse("SHOW A B C"),),
                     (proto.parse("SHOW STATS"), proto.bind(("1",)))):
            got = c.ask(*unit, proto.execute(), proto.msg("S"))
            assert len(proto.errors(got)) == 1 and got[-1].type == "Z"
        for i in range(100):
            c.ask(proto.parse("SHOW STATS", "s%d" % i), proto.msg("S"))
        assert c.sql("SHOW VERSION")[0][0].startswith("pgfold ")


@pytest.mark.parametrize("bytes_sent", [b"\0" * 100, b"Q\0\0\0\4", b"Q\xff\xff\xff\xff", b"d\0\0\0\4", b"Q\0\1\0\0" + b"x" * 70000])
def test_what_is_no_message_ends_it(bouncer, bytes_sent):
    with console(bouncer) as c:
        c.send(bytes_sent)
        c.drain_raw()
    with console(bouncer) as c:
        assert c.sql("SELECT 1") == [("1",)]


def test_a_transaction_of_a_driver(bouncer):
    with console(bouncer) as c:
        assert c.ask(proto.query("BEGIN"))[-1].body == b"T"
        assert c.ask(proto.query("SHOW NOTHING"))[-1].body == b"E"
        assert proto.errors(c.ask(proto.query("SHOW STATS")))[0]["C"] == "25P02"
        assert c.ask(proto.query("ROLLBACK"))[-1].body == b"I"


def test_a_newer_protocol_is_negotiated(bouncer):
    for unix in (False, True):
        with bouncer.dial(unix) as c:
            c.send(proto.startup({"user": "app", "database": "pgfold", "_pq_.test_protocol_negotiation": ""}, 0x30000 + 9999))
            first = c.recv()
            assert first.type == "v" and first.body == b"\0\3\0\2" + b"\0\0\0\1" + b"_pq_.test_protocol_negotiation\0"
            assert c.until("Z")[-1].body == b"I"


def test_the_console_has_room_when_there_is_none(start_pgfold):
    p = start_pgfold({"console.admin_users": "app", "pgfold.max_clients": "1"})
    with p.connect(), console(p) as c:
        assert c.sql("SHOW LISTS LIKE 'used_clients'") == [("used_clients", "1")]
        assert refusal(p, "app", "app") == "53300"
        more = [console(p) for _ in range(15)]
        assert refusal(p, "app") == "53300"
        for m in more:
            m.close()


def test_nothing_shows_a_value(start_pgfold):
    p = start_pgfold({"console.admin_users": "app", "pgfold.log_level": "debug"})
    with p.connect() as c, console(p) as admin:
        c.sql("SELECT name FROM item WHERE note = '%s'" % SECRET)
        c.sql("SET app.tenant = '%s'" % SECRET)
        c.sql("SELECT '%s'" % SECRET)
        c.ask(proto.unit("SELECT name FROM item WHERE note = $1", (SECRET,)))
        for show in SHOWS:
            assert not any(SECRET in (v or "") for row in admin.sql("SHOW " + show) for v in row), show
        assert any("item" in row[1] for row in admin.sql("SHOW SHAPES"))
    assert SECRET not in p.log()


def explained(c, statement, extended=False):
    unit = (proto.parse("EXPLAIN " + statement), proto.bind(), proto.describe("P"), proto.execute(), proto.msg("S"))
    got = c.ask(*unit) if extended else c.ask(proto.query("EXPLAIN %s; " % statement))
    assert columns(got) == [("QUERY PLAN", 25)], got
    return "\n".join(m.body[6:].decode() for m in got if m.type == "D")


@pytest.mark.parametrize("extended", [False, True])
def test_explain(bouncer, extended):
    with bouncer.connect(database="second") as one, bouncer.connect(database="second") as two, console(bouncer, STATS) as c:
        for i in range(30):  # at once, until the catalogue was asked
            one.send(proto.query("SELECT name AS explained FROM item WHERE id = %d" % i))
            two.send(proto.query("SELECT name AS explained FROM item WHERE id = %d" % (100 + i)))
            one.ready(), two.ready()
        for text in ("id = $1", "id = 7713"):
            said = explained(c, "SELECT name AS explained FROM item WHERE " + text, extended)
            assert "verdict   a lookup" in said and "catalogue allows it, form IN" in said and "7713" not in said, said
        said = explained(c, "SELECT a FROM nowhere WHERE b = '%s'" % SECRET, extended)
        assert "catalogue was not asked" in said and SECRET not in said, said
        said = explained(c, "SELECT a\nFORM t WHERE b = '%s'" % SECRET, extended)
        assert "unparsable" in said and "(line 2, column 6)" in said and SECRET not in said, said
        assert "forwarded untouched: locking" in explained(c, "SELECT name FROM item WHERE id = 1 FOR UPDATE", extended)
        assert "too long" in explained(c, "SELECT name FROM item WHERE id IN (%s)" % ", ".join("1" for _ in range(9000)), extended)
        assert c.sql("SELECT 1") == [("1",)]


# ---- real clients


def test_psql(bouncer):
    psql = servers.client_program("psql")
    env = {k: v for k, v in os.environ.items() if not k.startswith("PG")}

    def say(*commands):
        return subprocess.run([psql, "-X", "-h", "127.0.0.1", "-p", str(bouncer.port), "-U", "app", "-d", "pgfold", "-At",
                               *[a for c in commands for a in ("-c", c)]], capture_output=True, text=True, timeout=30, env=env)
    assert "query_count" in say("SHOW TOTALS").stdout
    assert "SHOW HELP" in say("SHOW HELP").stderr
    assert say("\\d").returncode != 0


def test_psycopg3(bouncer):
    psycopg = pytest.importorskip("psycopg")
    for binary in (False, True):
        with psycopg.connect(host="127.0.0.1", port=bouncer.port, user="app", dbname="pgfold") as c:  # not autocommit: BEGIN comes first
            for show in SHOWS:
                cur = c.cursor(binary=binary)
                cur.execute("SHOW " + show)
                rows = cur.fetchall()
                assert all(len(r) == len(cur.description) for r in rows)
            cur.execute("SHOW LISTS")
            assert all(isinstance(n, int) for _, n in cur.fetchall())


def test_asyncpg(bouncer):
    asyncpg = pytest.importorskip("asyncpg")
    async def run():
        c = await asyncpg.connect(host="127.0.0.1", port=bouncer.port, user="app", database="pgfold", ssl=False)
        for show in SHOWS:
            for row in await c.fetch("SHOW " + show):
                dict(row)
        got = {r["name"]: r["value"] for r in await c.fetch("SHOW TOTALS")}
        assert "total_query_count" in got
        await c.close()
    asyncio.run(run())


def test_debians_exporter(bouncer, monkeypatch):
    """It reads columns that PgBouncer had when it was written, by their names."""
    monkeypatch.syspath_prepend(os.path.join(os.environ.get("PGFOLD_UNPACKED", ""), "usr/lib/python3/dist-packages"))
    psycopg2 = pytest.importorskip("psycopg2")
    module = pytest.importorskip("prometheus_pgbouncer_exporter.collectors", reason="prometheus-pgbouncer-exporter is not installed")
    c = psycopg2.connect(database="pgbouncer", user="app", port=bouncer.port, host="127.0.0.1")
    c.set_session(autocommit=True)
    with contextlib.closing(c), bouncer.connect():
        for collector in (module.StatsCollector(None, c), module.PoolsCollector(None, c), module.DatabasesCollector(None, c)):
            assert [f for f in collector.collect() if f.samples]
        assert list(module.ListsCollector(c).collect())
