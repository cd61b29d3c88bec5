# SPDX-License-Identifier: PostgreSQL
"""Limits on memory, set small and met: every answer is there, right and in its order, and what pgfold holds stays below them."""
import re
import signal
import socket
import threading

import pytest

import conftest
import proto
import servers
from busy import unless_busy

pytestmark = pytest.mark.pgfold

SMALL = {"pgfold.max_session_memory": "64kB", "pgfold.max_memory": "1MB"}
ITEM = "SELECT id, name FROM item WHERE id = $1"
SESSION = 64 * 1024
SLACK = 56 * 1024  # what one unit, one read and a batch's keys may add


def memory(p):
    """What pgfold counts, by SIGUSR1: used, most, peak, held, forwarded, sessions."""
    before = p.log().count("memory: ")
    p.signal(signal.SIGUSR1)
    servers.wait_for(lambda: p.log().count("memory: ") > before, "the counters")
    line = [x for x in p.log().splitlines() if "memory: " in x][-1]
    found = re.search(r"memory: (\d+) bytes of at most (\d+), peak (\d+); statements (\d+), groups (\d+), identities (\d+), report (\d+), "
                      r"sessions (\d+); held back (\d+) times, forwarded for it (\d+), miscounted (\d+)", line)
    names = "used most peak statements groups identities report sessions held forwarded miscounted".split()
    return dict(zip(names, map(int, found.groups())))


def gone(p):
    """All clients have left: nothing may be counted for them."""
    servers.wait_for(lambda: memory(p)["sessions"] == 0, "what sessions held to be given back")
    assert memory(p)["miscounted"] == 0


def bounded(p, most=None):
    m = memory(p)
    assert m["peak"] <= (most or m["most"]), m
    return m


def in_background(*actions):
    threads = [threading.Thread(target=a, daemon=True) for a in actions]
    for t in threads:
        t.start()
    return threads


def warm(conns, unit):
    """Until pgfold knows all that it needs for answers of its own."""
    for _ in range(12):
        for c in conns:
            c.ask(proto.parse(ITEM) + proto.describe("S") + proto.SYNC)
            c.ask(unit)


def flood(pg, p, n=20000):
    """Answers that wait behind a lookup which is blocked."""
    with p.connect() as c, p.connect() as other, pg.admin() as a:
        warm((c, other), proto.unit(ITEM, ["1"]))
        a.sql("BEGIN")
        a.sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        parse = proto.parse(ITEM) + proto.SYNC
        sender, = in_background(lambda: c.send(proto.unit(ITEM, ["2"]), *[parse] * n))
        sender.join(1)
        held = memory(p)
        a.sql("COMMIT")
        got = c.ready(n + 1)
        sender.join()
        assert proto.rows(got) == [[b"2", b"item 2"]]
        assert re.fullmatch("12T?DCZ(1Z){%d}" % n, proto.types(got)), proto.types(got)[:100]
    gone(p)
    return held


def test_answers_behind_a_blocked_lookup(pg, start_pgfold):
    p = start_pgfold(SMALL)
    flood(pg, p)
    bounded(p, 3 * SESSION + SLACK)


def test_a_cancel_request_while_the_client_is_held_back(pg, start_pgfold):
    """The lock stays: what is behind the lookup is answered all the same."""
    p, n = start_pgfold(SMALL), 5000
    with p.connect() as c, p.connect() as other, pg.admin() as a:
        warm((c, other), proto.unit(ITEM, ["1"]))
        a.sql("BEGIN")
        a.sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        sender, = in_background(lambda: c.send(proto.unit(ITEM, ["2"]), *[proto.parse(ITEM) + proto.SYNC] * n))
        conftest.arrived([other])
        with p.dial() as k:
            k.send(proto.cancel_request(c.pid, c.secret))
            k.drain_raw()
        got = c.ready(n + 1)
        sender.join()
        assert [e["C"] for e in proto.errors(got)] == ["57014"]
        assert proto.types(got).endswith("1Z" * n)
    gone(p)


def test_a_client_that_ends_while_it_is_held_back(pg, start_pgfold):
    p, n = start_pgfold(SMALL), 5000
    with p.connect() as c, p.connect() as other, pg.admin() as a:
        warm((c, other), proto.unit(ITEM, ["1"]))
        a.sql("BEGIN")
        a.sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")

        def send():
            c.send(proto.unit(ITEM, ["2"]), *[proto.parse(ITEM) + proto.SYNC] * n)
            c.sock.shutdown(socket.SHUT_WR)
        sender, = in_background(send)
        sender.join(1)
        a.sql("COMMIT")
        assert re.fullmatch("12T?DCZ(1Z){%d}" % n, proto.types(c.to_end()))
        sender.join()
    gone(p)


def test_limits_that_are_lowered_by_a_reload(pg, start_pgfold):
    p = start_pgfold(config="[pgfold]\nmax_memory = 512MB\n")
    flood(pg, p, 3000)
    p.write_config("[pgfold]\nmax_session_memory = 64kB\nmax_memory = 1MB\n")
    p.signal(signal.SIGHUP)
    servers.wait_for(lambda: "configuration reloaded" in p.log(), "the reload")
    held = flood(pg, p)
    assert held["most"] == 1 << 20 and held["used"] < 3 * SESSION + SLACK, held


def test_they_cost_little_below_the_limit(pg, start_pgfold):
    p = start_pgfold()
    assert flood(pg, p)["used"] < 2 << 20  # 20,000 of them


def test_lookups_with_large_parameters(pg, start_pgfold):
    p = start_pgfold({"pgfold.max_session_memory": "256kB", "pgfold.max_memory": "2MB"})
    sql = ITEM + " AND name <> $2"
    with p.connect() as c, p.connect() as other, pg.admin() as a:
        warm((c, other), proto.unit(sql, ["1", "y"]))
        a.sql("BEGIN")
        a.sql("LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        units = [proto.unit(sql, [i % 50 + 1, "z" * 20000]) for i in range(100)]
        sender, = in_background(lambda: c.send(*units))
        sender.join(1)
        m = memory(p)
        a.sql("COMMIT")
        got = c.ready(100)
        sender.join()
        assert [r[0] for r in proto.rows(got)] == [b"%d" % (i % 50 + 1) for i in range(100)]
        assert m["peak"] < 512 * 1024, m
        assert memory(p)["held"] > 0
    gone(p)


def test_prepared_texts(start_pgfold):
    p = start_pgfold(SMALL)
    with p.connect() as c:
        for i in range(200):
            text = "SELECT %d, '%s'" % (i, "x" * (14000 if i % 2 else 500))
            assert proto.types(c.ask(proto.parse(text, "s%d" % i) + proto.SYNC)) == "1Z"
        for i in (199, 0, 100, 198, 1):
            got = c.ask(proto.bind([], "s%d" % i) + proto.execute() + proto.SYNC)
            assert proto.rows(got)[0][0] == b"%d" % i
        assert proto.types(c.ask(proto.parse("SELECT 1", "s7") + proto.SYNC)) == "EZ"  # it is there
        bounded(p)
    gone(p)


def test_lookups_of_more_statements_than_are_remembered(start_pgfold):
    p = start_pgfold(SMALL)
    with p.connect() as c:
        for i in range(100):  # prepared, described and run by name, as drivers do
            name, sql = "q%d" % i, ITEM + " AND %d = %d" % (i, i)
            assert proto.types(c.ask(proto.parse(sql, name) + proto.describe("S", name) + proto.SYNC)) == "1tTZ"
        for again in range(3):
            for i in range(100):
                got = c.ask(proto.bind([i + 1], "q%d" % i) + proto.execute() + proto.SYNC)
                assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]], (again, i)
        bounded(p)
    gone(p)


def test_shapes_and_groups(start_pgfold):
    p = start_pgfold({"pgfold.max_memory": "1MB"})
    with p.connect() as c:
        for i in range(400):
            columns = ", ".join("id AS c%d_%d" % (i, j) for j in range(100))
            got = c.ask(proto.query("SELECT %s FROM item WHERE id = %d" % (columns, i + 1)))
            assert proto.rows(got) == [[b"%d" % (i + 1)] * 100]
        m = bounded(p)
        assert m["statements"] <= m["most"] / 2 and m["groups"] <= m["most"] / 4, m
        for i in range(400):  # groups by their constants
            got = c.ask(proto.unit(ITEM + " AND name <> $2", [i + 1, "n%d" % i + "x" * 2000]))
            assert proto.rows(got)[0][0] == b"%d" % (i + 1)
        bounded(p)
    gone(p)


def test_others_fold_meanwhile(pg, start_pgfold, folding):
    """One client has filled its own memory; that of others goes on."""
    p = start_pgfold({"pgfold.max_session_memory": "64kB", "pgfold.max_memory": "8MB"})
    with p.connect() as hog:
        for i in range(300):
            hog.ask(proto.parse(ITEM + " AND %d = %d" % (i, i), "s%d" % i) + proto.SYNC)
        conns = folding.connections(p, 6)
        units = [proto.unit(ITEM, [i + 1]) for i in range(6)]
        folding.warm(conns, units, "item")
        replies, calls = folding.burst(conns, units, "item")
        assert [proto.rows(r) for r in replies] == [[[b"%d" % (i + 1), b"item %d" % (i + 1)]] for i in range(6)]
        with unless_busy():
            assert calls <= 3  # two go out at once, the others wait for them
    bounded(p)


def test_large_values_stream_through(start_pgfold, both):
    p = start_pgfold(SMALL)
    value = "v" * (6 << 20)

    def ask(end):
        with end.connect() as c:
            got = [proto.mask(c.ask(proto.unit("SELECT length($1::text), md5($1)", [value])))]
            got += [[(m.type, len(m.body)) for m in c.ask(proto.query("SELECT repeat('x', 6000000)"))]]
            got += [proto.mask(c.ask(proto.query("SELECT length('%s')" % value)))]
            return got
    both(ask, through=p)
    bounded(p)
    gone(p)


def test_copy_streams_through(start_pgfold, both):
    p = start_pgfold(SMALL)

    def copy(end):
        with end.connect() as c:
            c.sql("CREATE TEMP TABLE t (a int, b text)")
            lines = b"".join(b"%d\t%s\n" % (i, b"y" * 1000) for i in range(5000))
            c.send(proto.query("COPY t FROM STDIN")).until("G")
            for at in range(0, len(lines), 50000):
                c.send(proto.msg("d", lines[at:at + 50000]))
            got = c.ask(proto.msg("c"))
            got += c.ask(proto.query("COPY t TO STDOUT"))
            return got + c.ask(proto.query("SELECT count(*), sum(length(b)) FROM t"))
    both(copy, through=p)
    bounded(p)
    gone(p)


def test_a_client_that_does_not_read(start_pgfold):
    p = start_pgfold(SMALL)
    with p.connect() as c, p.connect() as other:
        c.send(*[proto.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)")] * 2)
        for i in range(50):
            assert other.sql("SELECT %d" % i) == [(str(i),)]
        bounded(p, 3 * SESSION + SLACK)
        assert len(proto.rows(c.ready(2))) == 40000
    gone(p)


def test_a_long_pipeline_with_one_sync(start_pgfold, both):
    """The server answers when it is asked to; the Sync must be read for that, or not be needed."""
    p = start_pgfold(SMALL)

    def run(end):
        with end.connect() as c:
            unit = [proto.parse(ITEM, "a") + proto.describe("S", "a")]
            unit += [proto.bind([i % 100 + 1], "a") + proto.describe("P") + proto.execute() for i in range(3000)]
            sender, = in_background(lambda: c.send(*unit, proto.SYNC))
            got = c.ready()
            sender.join()
            got += c.ask(proto.unit("SELECT 1 / $1::int", ["0"]))
            return got + c.ask(proto.query("SELECT 1"))
    both(run, through=p)
    bounded(p)
    gone(p)


def test_many_statements_in_one_unit_and_many_units_at_once(start_pgfold, both):
    p = start_pgfold(SMALL)

    def run(end):
        with end.connect() as c:
            several = b"".join(proto.parse(ITEM) + proto.bind([i + 1]) + proto.describe() + proto.execute() for i in range(200))
            units = [several + proto.SYNC, *[proto.unit(ITEM, [i % 100 + 1]) for i in range(2000)],
                     *[proto.query("SELECT name FROM item WHERE id = %d" % (i % 100 + 1)) for i in range(2000)]]
            sender, = in_background(lambda: c.send(*units))
            got = c.ready(4001)
            sender.join()
            return got
    both(run, through=p)
    bounded(p)
    gone(p)


def test_savepoints_cursors_portals_and_settings(start_pgfold, both):
    p = start_pgfold(SMALL)

    def run(end):
        with end.connect() as c:
            got = c.ask(proto.query("BEGIN"))
            for i in range(100):
                got += c.ask(proto.query("SAVEPOINT s%d" % i))
                got += c.ask(proto.query("DECLARE c%d CURSOR FOR SELECT id FROM item ORDER BY id" % i))
                got += c.ask(proto.query("FETCH 3 FROM c%d" % i))
            got += c.ask(proto.query("ROLLBACK TO s50")) + c.ask(proto.query("FETCH 1 FROM c10"))
            for i in range(40):
                got += c.ask(proto.parse(ITEM) + proto.bind([i + 1], portal="p%d" % i) + proto.execute(1, "p%d" % i) + proto.SYNC)
            got += c.ask(proto.query("COMMIT"))
            for i in range(40):
                got += c.ask(proto.query("SET app.v%d = '%s'" % (i, "w" * 2000)))
                got += c.ask(proto.query("SELECT name FROM item WHERE id = %d" % (i + 1)))
            return got + c.ask(proto.query("SHOW app.v39"))
    both(run, through=p)
    bounded(p)
    gone(p)


def test_what_was_freed_goes_back_to_the_system(start_pgfold):
    p = start_pgfold()
    with p.connect() as c, p.connect() as keeper:
        before = p.status("VmRSS")
        for i in range(500):
            c.ask(proto.parse("UPDATE item SET note = '%s' WHERE id = %d" % ("x" * 60000, i), "s%d" % i) + proto.SYNC)
            if i % 20 == 0:
                keeper.ask(proto.parse("SELECT %d" % i, "k%d" % i) + proto.SYNC)  # lies between
        assert 20 << 20 < memory(p)["statements"] < 26 << 20  # three eighths of max_session_memory
    servers.wait_for(lambda: memory(p)["statements"] < 1 << 20, "what nobody has prepared any more to be forgotten")
    with open(conftest.BINARY, "rb") as f:
        sanitized = b"__asan_" in f.read()  # has an allocator of its own
    if not sanitized:
        servers.wait_for(lambda: p.status("VmRSS") < before + 8192, "it to be given back")
    gone(p)


def test_limits_that_others_make_void_are_told(server_conninfo, start_pgfold):
    p = start_pgfold({"pgfold.max_session_memory": "64kB", "pgfold.max_memory": "1MB", "batching.max_answer": "8MB"})
    assert "batching.max_answer = 8MB counts as 8kB, an eighth of pgfold.max_session_memory (64kB)" in p.log()
    assert "lookahead.max_memory" not in p.log()  # is cut, but nobody has set it
    assert " counts as " not in start_pgfold().log()
