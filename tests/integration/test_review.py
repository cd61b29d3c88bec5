# SPDX-License-Identifier: PostgreSQL
"""What an adversary tried: each test once got an answer, or an end, that PostgreSQL would not have given."""
import signal
import threading
import time

import pytest

import conftest
import proto
import servers
from proto import SYNC, bind, execute, parse, query, unit

SETUP = """
DROP SCHEMA IF EXISTS review, first CASCADE;
CREATE SCHEMA review;
CREATE SCHEMA first;
CREATE TABLE review.guarded (id int PRIMARY KEY, body text);
INSERT INTO review.guarded SELECT i, 'guarded ' || i FROM generate_series(1, 60) i;
CREATE TABLE review.stamp (id int PRIMARY KEY, at timestamptz);
INSERT INTO review.stamp SELECT i, '2024-01-01'::timestamptz + i * interval '1 hour' FROM generate_series(1, 60) i;
CREATE TABLE review.spot (id int PRIMARY KEY, body text);
INSERT INTO review.spot SELECT i, 'review ' || i FROM generate_series(1, 60) i;
CREATE TABLE review.slow (id int, body text);
INSERT INTO review.slow SELECT i, 'slow' FROM generate_series(1, 100000) i;
GRANT USAGE ON SCHEMA review, first TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA review TO PUBLIC;
REVOKE SELECT ON review.guarded FROM PUBLIC;
GRANT SELECT ON review.guarded TO app
"""
KEYS = range(1, 13)
LOOKUPS = {"simple": lambda sql, k: query(sql % k), "extended": lambda sql, k: unit(sql.replace("%d", "$1"), [k])}


@pytest.fixture(scope="module", autouse=True)
def tables(pg):
    with pg.admin() as a:
        for statement in SETUP.split(";\n"):
            a.sql(statement)
        a.sql("DO $$ BEGIN CREATE ROLE lone LOGIN NOINHERIT; EXCEPTION WHEN duplicate_object THEN NULL; END $$")
        a.sql("GRANT app TO lone")


@pytest.fixture(params=LOOKUPS)
def lookup(request):
    return LOOKUPS[request.param]


def test_discard_all_ends_a_role(pg, proxy, folding, lookup):
    """The first proof of a session was made under a role; DISCARD ALL takes the role away."""
    sql = "SELECT body FROM review.guarded WHERE id = %d"
    units = [lookup(sql, k) for k in KEYS]
    conns = folding.connections(proxy, 24, user="lone")
    for c in conns:
        c.sql("SET ROLE app")
    folding.warm(conns[:12], units, "guarded")
    folding.warm(conns[12:], units, "guarded")
    for c in conns[:12]:
        c.sql("RESET ALL")
    for c in conns[12:]:
        c.sql("DISCARD ALL")
    for _ in range(3):
        replies, _ = folding.burst(conns, units * 2, "guarded")
        assert not any(proto.errors(r) for r in replies[:12])
        assert [e["C"] for r in replies[12:] for e in proto.errors(r)] == ["42501"] * 12
        assert not any(proto.rows(r) for r in replies[12:])


def test_constants_are_read_as_the_session_reads_them(pg, proxy, folding, lookup):
    """What a time constant means depends on TimeZone when the statement is parsed."""
    sql = "SELECT at FROM review.stamp WHERE id = %d AND at >= '2024-01-01 06:00'"
    units = [lookup(sql, k) for k in KEYS]
    conns = folding.connections(proxy, 12)
    for zone in ("UTC", "Asia/Tokyo", "America/New_York", "UTC"):
        for c in conns:
            c.sql("SET TIME ZONE '%s'" % zone)
        folding.warm(conns, units, "stamp")
        replies, _ = folding.burst(conns, units, "stamp")
        with pg.connect() as d:
            d.sql("SET TIME ZONE '%s'" % zone)
            assert replies == folding.expect(d, units)


def test_table_in_front_of_another(pg, proxy, folding, lookup):
    """A table that appears earlier in search_path is the one that a new statement means."""
    path = {"search_path": "first, review"}
    units = [lookup("SELECT body FROM spot WHERE id = %d", k) for k in KEYS]
    conns = folding.connections(proxy, 12, **path)
    folding.warm(conns, units, "spot")
    with proxy.connect("postgres", "app") as admin:
        try:
            admin.sql("CREATE TABLE first.spot AS SELECT id, 'first ' || id AS body FROM review.spot")
            admin.sql("ALTER TABLE first.spot ADD PRIMARY KEY (id)")
            admin.sql("GRANT SELECT ON first.spot TO PUBLIC")
            folding.warm(conns, units, "spot")
            replies, _ = folding.burst(conns, units, "spot")
            assert [proto.rows(r) for r in replies] == [[[b"first %d" % k]] for k in KEYS]
        finally:
            admin.sql("DROP TABLE IF EXISTS first.spot")


@pytest.mark.parametrize("key", [lambda i: i % 200 + 1, lambda i: 999], ids=["many", "one large"])
def test_pipelining_client_that_reads_late(pg, start_pgfold, folding, lookup, key):
    """It gets every answer, and pgfold does not keep them all in memory meanwhile."""
    with pg.admin() as a:
        a.sql("INSERT INTO big SELECT 999, repeat('z', 1000000) ON CONFLICT DO NOTHING")
    proxy = start_pgfold()
    sql = "SELECT * FROM big WHERE id = %d"
    c, = folding.connections(proxy, 1)
    for _ in range(6):
        c.send(*[lookup(sql, k) for k in KEYS]).ready(12)
    n = 400 if key(0) == 999 else 4000
    data = b"".join(lookup(sql, key(i)) for i in range(n))
    sender = threading.Thread(target=c.sock.sendall, args=(data,), daemon=True)
    sender.start()
    time.sleep(1)
    for i in range(n):
        assert [r[0] for r in proto.rows(c.ready())] == [b"%d" % key(i)]
    sender.join()
    assert proxy.status("VmHWM") < 150_000  # of 80 MB and 400 MB that were sent


def test_unnamed_statement_after_a_failed_unit(both, folding):
    """An error keeps the server from reading the rest of a unit: what it has as unnamed statement is what it had."""
    def action(end):
        c, = folding.connections(end, 1)
        out = []
        other = unit("SELECT 'other ' || $1::text AS body", ["x"])
        lookup = unit("SELECT body FROM review.spot WHERE id = $1", [3])
        for _ in range(8):
            out += c.send(*[unit("SELECT body FROM review.spot WHERE id = $1", [k]) for k in KEYS]).ready(12)
        for bad in (parse("SELECT nonsense", "bad") + parse("SELECT 1 WHERE $1 = 1"), parse("SELECT nonsense", "bad") + bind([1]),
                    bind([1], "missing") + bind([3])):
            out += c.ask(other)
            out += c.send(lookup, lookup, lookup, lookup).ready(4)
            out += c.ask(bad + execute() + SYNC)
            out += c.ask(bind([5]) + execute() + SYNC)
        return out
    both(action)


def test_cancel_frees_the_canceller(pg, proxy, folding):
    """A client cancels a lookup whose batch runs on its own connection: the connection is free again at once."""
    units = [query("SELECT body FROM review.spot WHERE id = %d" % k) for k in KEYS]
    conns = folding.connections(proxy, 12)
    folding.warm(conns, units, "spot")
    for _ in range(2):
        folding.burst(conns, units, "spot")
    with folding.locked("spot", settle=0) as admin:
        for c, u in zip(conns, units):
            c.send(u)
        conftest.arrived(conns)
        time.sleep(0.3)
        for c in conns:
            with proxy.dial() as k:
                k.send(proto.cancel_request(c.pid, c.secret)).drain_raw()
        for c in conns:
            got = c.ready()
            assert proto.errors(got)[0]["C"] == "57014"
        for c in conns:
            c.sock.settimeout(20)
            assert c.sql("SELECT 'free'") == [("free",)]
        admin.sql("COMMIT")
    replies, _ = folding.burst(conns, units, "spot")
    with pg.connect() as d:
        assert replies == folding.expect(d, units)


def zone_of_new(pg):
    with pg.connect() as c:
        return c.value("SHOW timezone")


def test_setting_changed_by_a_reload(pg, proxy, folding, lookup):
    """The server's configuration changes under a session that has prepared constants."""
    sql = "SELECT at FROM review.stamp WHERE id = %d AND at >= '2024-01-01 06:00'"
    units = [lookup(sql, k) for k in KEYS]
    conns = folding.connections(proxy, 12)
    folding.warm(conns, units, "stamp")
    with pg.admin() as admin:
        try:
            admin.sql("ALTER SYSTEM SET timezone = 'Asia/Tokyo'")
            admin.sql("SELECT pg_reload_conf()")
            servers.wait_for(lambda: zone_of_new(pg) == "Asia/Tokyo", "the reload")
            time.sleep(0.5)  # for the other backends
            for c in conns:
                c.send(units[0])
            for i in range(3):
                replies, _ = folding.burst(conns, units, "stamp") if i else ([c.ready() for c in conns], 0)
                with pg.connect() as d:
                    expect = folding.expect(d, units if i else units[:1] * 12)
                assert [proto.rows(r) for r in replies] == [proto.rows(r) for r in expect]
        finally:
            admin.sql("ALTER SYSTEM RESET timezone")
            admin.sql("SELECT pg_reload_conf()")


def running(admin, pid):
    return "".join(q for (q,) in admin.sql("SELECT query FROM pg_stat_activity WHERE pid = %d" % pid))


@pytest.mark.pgfold
def test_server_resets_behind_its_last_words(pg, proxy):
    """A server process that ends with unread queries resets the connection, while its answers still wait to be read."""
    with pg.admin() as admin:
        c = proxy.connect()
        c.send(query("SELECT 'first' FROM pg_sleep(2)"), query("SELECT pg_sleep(60)"), query("SELECT 'never'") * 4000)
        servers.wait_for(lambda: "'first'" in running(admin, c.pid), "the first statement")
        proxy.signal(signal.SIGSTOP)
        try:
            servers.wait_for(lambda: "(60)" in running(admin, c.pid), "the second statement")
            admin.sql("SELECT pg_terminate_backend(%d)" % c.pid)
            servers.wait_for(lambda: not running(admin, c.pid), "the server process to end")
        finally:
            proxy.signal(signal.SIGCONT)
        got = c.to_end()
        assert proto.types(got)[:4] == "TDCZ" and "never" not in str(got)
        c.close()


@pytest.mark.pgfold
def test_client_resets_behind_its_last_words(pg, proxy):
    with pg.admin() as admin:
        c = proxy.connect()
        proxy.signal(signal.SIGSTOP)
        try:
            c.send(query("SELECT 1")[:10])
            c.reset()
            time.sleep(0.2)
        finally:
            proxy.signal(signal.SIGCONT)
        servers.wait_for(lambda: admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % c.pid) == "0",
                         "the server process to end", 20)


def test_named_portal_drops_its_own_statement(start_pgfold, both):
    """Binding DISCARD ALL forgets the statement that it was prepared as, whose text has left the cache by then."""
    def action(end):
        with end.connect() as c:
            out = c.ask(parse("DISCARD ALL", "d") + parse("DEALLOCATE ALL", "e") + SYNC)
            for i in range(40):
                out += c.ask(query("SELECT id x%d FROM item WHERE id = 3" % i))
                out += c.ask(parse("SELECT id y%d FROM item WHERE id = $1" % i, "n%d" % i) + SYNC)
            out += c.ask(bind([], "d", "p") + execute(0, "p") + SYNC)
            return out + c.ask(bind([], "e", "p") + execute(0, "p") + SYNC)
    both(action, through=start_pgfold({"batching.max_shapes": "16"}))


def test_reload_raises_the_limit_of_answers(pg, start_pgfold, folding):
    """A connection that was there before takes answers of the new size, too."""
    sql = "SELECT body FROM big WHERE id = %d"
    with pg.admin() as a:
        a.sql("INSERT INTO big SELECT i, repeat('z', 3000000) FROM generate_series(901, 906) i ON CONFLICT DO NOTHING")
    config = "[batching]\nmax_answer = %s\n"
    proxy = start_pgfold(config=config % "500kB")
    conns = folding.connections(proxy, 6)
    folding.warm(conns, [query(sql % k) for k in range(1, 7)], "big")
    proxy.write_config(config % "64MB")
    proxy.signal(signal.SIGHUP)
    servers.wait_for(lambda: "reloaded" in proxy.log(), "the reload")
    units = [query(sql % k) for k in range(901, 907)]
    for _ in range(3):
        replies, _ = folding.burst(conns, units, "big")
        assert [len(r[0]) for m in replies for r in proto.rows(m)] == [3000000] * 6


def test_operator_with_an_effect(pg, proxy, folding, lookup):
    """An operator of a user's changes a setting, in a statement that names neither a table nor a function."""
    with pg.admin() as a:
        a.sql("CREATE OR REPLACE FUNCTION review.go(text, text) RETURNS text LANGUAGE sql AS "
              "$$ SELECT set_config('search_path', $1 || ', ' || $2, false) $$")
        a.sql("DROP OPERATOR IF EXISTS review.|>| (text, text)")
        a.sql("CREATE OPERATOR review.|>| (LEFTARG = text, RIGHTARG = text, FUNCTION = review.go)")
        a.sql("DROP TABLE IF EXISTS first.spot2, review.spot2")
        for schema in ("first", "review"):
            a.sql("CREATE TABLE %s.spot2 AS SELECT id, '%s' AS body FROM review.spot" % (schema, schema))
            a.sql("ALTER TABLE %s.spot2 ADD PRIMARY KEY (id)" % schema)
            a.sql("GRANT SELECT ON %s.spot2 TO PUBLIC" % schema)
    units = [lookup("SELECT body FROM spot2 WHERE id = %d", k) for k in KEYS]
    conns = folding.connections(proxy, 24, search_path="review")
    folding.warm(conns[:12], units, "spot2")
    folding.warm(conns[12:], units, "spot2")
    for c in conns[12:]:
        assert not proto.errors(c.ask(unit("SELECT 'first'::text |>| 'review'::text", [])))
    for _ in range(3):
        replies, _ = folding.burst(conns, units * 2, "spot2")
        assert [proto.rows(r)[0][0] for r in replies] == [b"review"] * 12 + [b"first"] * 12
