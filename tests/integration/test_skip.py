# SPDX-License-Identifier: PostgreSQL
"""A comment pgfold:skip keeps a statement out of folding; the same text in a constant does not. Tables that are switched off in the
settings are read like any other."""
import re
import signal
import threading

import pytest

import proto
import servers
from proto import SYNC, bind, describe, execute, parse, query, unit
from test_drivers import url

N = 24
KEYS = range(1, N + 1)
PLAIN = "SELECT id, name FROM item WHERE id = %s"
SKIPPED = "SELECT id, /* pgfold:skip */ name FROM item WHERE id = %s"
BURSTS = 5  # of which each could be the first to fold


def simple(sql, key):
    return query(sql % key)


def extended(sql, key):
    return unit(sql % "$1", [key])


def check_bursts(pg, proxy, folding, make, skipped=SKIPPED):
    conns = folding.connections(proxy, N)
    folding.warm(conns, [make(PLAIN, k) for k in KEYS], "item")  # these connections do fold
    units = [make(skipped, k) for k in KEYS]
    with pg.connect() as d:
        expected = folding.expect(d, units)
    for _ in range(BURSTS):
        replies, calls = folding.burst(conns, units, "item")
        assert replies == expected
        folding.assert_not_folded(calls, N)
    folding.warm(conns, [make(PLAIN, k) for k in KEYS], "item")  # the others still do


@pytest.mark.parametrize("make", [simple, extended])
def test_a_comment_keeps_a_statement_out(pg, proxy, folding, make):
    check_bursts(pg, proxy, folding, make)


@pytest.mark.parametrize("make", [simple, extended])
def test_wherever_it_stands(pg, proxy, folding, make):
    check_bursts(pg, proxy, folding, make, "SELECT id, name FROM item WHERE id = %s -- pgfold:skip")


@pytest.mark.parametrize("make", [simple, extended])
def test_in_a_constant_it_means_nothing(pg, proxy, folding, make):
    conns = folding.connections(proxy, N)
    units = [make("SELECT id, '/* pgfold:skip */' AS s FROM item WHERE id = %s AND name <> '/* pgfold:skip */'", k) for k in KEYS]
    folding.folds_right(conns, units, "item")


def test_prepared_statements(pg, proxy, folding):
    """Prepared by the server and not by pgfold, then executed by name."""
    conns = folding.connections(proxy, N)
    folding.warm(conns, [extended(PLAIN, k) for k in KEYS], "item")
    with pg.connect() as d:
        answers = [c.ask(parse(SKIPPED % "$1", "s"), describe("S", "s"), SYNC) for c in conns + [d]]
        assert all(a == answers[-1] for a in answers)
        units = [bind([k], "s") + execute() + SYNC for k in KEYS]
        expected = folding.expect(d, units)
    for _ in range(BURSTS):
        replies, calls = folding.burst(conns, units, "item")
        assert replies == expected
        folding.assert_not_folded(calls, N)


@pytest.mark.pgfold
def test_it_is_counted(start_pgfold):
    p = start_pgfold()
    with p.connect() as c:
        for k in KEYS:
            c.sql(SKIPPED % k)
    p.signal(signal.SIGUSR1)
    servers.wait_for(lambda: re.search(r"forwarded %d: skip \(a comment" % N, p.log()), "the reason's count")


def test_psycopg2(pg, proxy, folding):
    psycopg2 = pytest.importorskip("psycopg2")
    conns = [psycopg2.connect(url(proxy)) for _ in range(N)]
    got = {}

    def ask(c, key):
        with c.cursor() as cur:
            cur.execute(SKIPPED, (key,))
            got[key] = cur.fetchall()

    for c in conns:
        c.autocommit = True
    for _ in range(BURSTS):
        got.clear()
        threads = [threading.Thread(target=ask, args=(c, k)) for c, k in zip(conns, KEYS)]
        folding.reset()
        with folding.locked("item"):
            for t in threads:
                t.start()
        for t in threads:
            t.join()
        folding.assert_not_folded(folding.calls("item"), N)
        assert got == {k: [(k, "item %d" % k)] for k in KEYS}
    for c in conns:
        c.close()


@pytest.mark.pgfold
def test_tables_are_switched_off_and_on(start_pgfold):
    off = "[lookahead]\nmode = %s\n[table public.item]\nlookahead = %s\n[table public.\"Odd Name\"]\nlookahead = off\n"
    p = start_pgfold(config=off % ("bounded", "off"))
    with p.connect() as c:
        for mode, switch, says in (("snapshot", "on", "table public.item.lookahead changed from \"off\" to \"on\""),
                                   ("off", "off", "lookahead.mode changed from \"snapshot\" to \"off\"")):
            p.write_config(off % (mode, switch))
            p.signal(signal.SIGHUP)
            servers.wait_for(lambda: says in p.log(), says)
            for k in KEYS:
                assert proto.rows(c.ask(query("SELECT name FROM item WHERE id = %d" % k))) == [[b"item %d" % k]]
        p.write_config("[table item]\nlookahead = off\n")
        p.signal(signal.SIGHUP)
        servers.wait_for(lambda: "[table item] names no schema" in p.log(), "the mistake to be reported")
        assert c.value("SELECT 1") == "1"
