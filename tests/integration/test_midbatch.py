# SPDX-License-Identifier: PostgreSQL
"""What strikes in the middle of a batch: a crash of the server, time-outs of one session, readers that do not read, floods, refusals.
Everybody else gets the right answer, or the error that PostgreSQL gives; nothing hangs; the memory comes back.

test_failures.py has the smaller misfortunes (cancels, terminated lenders, members that leave)."""
import contextlib
import os
import signal
import threading
import time

import pytest

import conftest
import proto
import servers
from proto import query, unit

N = 20
LOOKUPS = {"simple": lambda k: query("SELECT id, name FROM item WHERE id = %d" % k),
           "extended": lambda k: unit("SELECT id, name FROM item WHERE id = $1", [k])}
FLOOD = int(os.environ.get("PGFOLD_TEST_FLOOD", "10000"))


@pytest.fixture(params=LOOKUPS)
def lookup(request):
    return LOOKUPS[request.param]


def warm_sessions(folding, end, lookup, n=N, **login):
    conns = folding.connections(end, n, **login)
    folding.warm(conns, [lookup(k) for k in range(1, n + 1)], "item")
    return conns


def send_all(conns, lookup):
    for i, c in enumerate(conns):
        c.send(lookup(i + 1))


def row_of(k):
    return [b"%d" % k, b"item %d" % k]


def check(c, i):
    got = c.ready()
    assert proto.rows(got) == [row_of(i + 1)], got


def still_fine(conns, lookup):
    send_all(conns, lookup)
    for i, c in enumerate(conns):
        check(c, i)


def waiting(admin):
    return [int(r[0]) for r in admin.sql("SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query ILIKE '%item%'")]


@contextlib.contextmanager
def own_server(**settings):
    """A PostgreSQL for one test, with the schema of all; logged in as the superuser that it has."""
    own = servers.Postgres(ssl=False, settings=settings)
    try:
        conftest.make_schema(own)
        yield own
    finally:
        own.remove()


def through(start_pgfold, pg, **settings):
    if conftest.DIRECT:
        return servers.Direct(pg)
    return start_pgfold({k.replace("__", "."): v for k, v in settings.items()}, server="host=127.0.0.1 port=%d sslmode=disable" % pg.port)


# ---- the server

def test_a_backend_is_killed(start_pgfold, lookup):
    """SIGKILL: the postmaster ends every session and starts anew. All learn of it, new ones are served, and fold."""
    with own_server() as own:
        f = conftest.Folding(own, conftest.DIRECT)
        end = through(start_pgfold, own)
        conns = warm_sessions(f, end, lookup)
        locker = own.admin()  # its lock dies with its session
        locker.sql("BEGIN; LOCK TABLE item IN ACCESS EXCLUSIVE MODE")
        send_all(conns, lookup)
        victims = servers.wait_for(lambda: waiting(f.admin), "the batch to wait")
        os.kill(victims[-1], signal.SIGKILL)
        for c in conns:
            got = c.to_end()
            assert not proto.rows(got)
            assert all(e["C"] in ("57P02", "57P03") for e in proto.errors(got)), proto.errors(got)
        servers.wait_for(own.answers, "the server to have restarted")
        locker.close()
        f.close()
        f = conftest.Folding(own, conftest.DIRECT)
        conns = warm_sessions(f, end, lookup)
        still_fine(conns, lookup)
        f.close()


def test_the_server_is_full(start_pgfold, lookup):
    """Who does not get in hears what the server says; the lookups of those who are in go on."""
    with own_server(max_connections=N + 8, superuser_reserved_connections=4, max_wal_senders=0, wal_level="minimal") as own:
        f = conftest.Folding(own, conftest.DIRECT)
        end = through(start_pgfold, own)
        conns = warm_sessions(f, end, lookup)
        more = []
        with f.locked("item"):
            send_all(conns, lookup)
            for _ in range(12):
                c = end.dial()
                got = c.login("app", "app")
                more.append((c, got))
            assert [proto.errors(g)[0]["C"] for _, g in more if proto.errors(g)][-1] == "53300"
        for i, c in enumerate(conns):
            check(c, i)
        for c, _ in more:
            c.close()
        still_fine(conns, lookup)
        f.close()


# ---- time-outs of one session among many

@pytest.mark.parametrize("setting,code", [("statement_timeout", "57014"), ("lock_timeout", "55P03")])
@pytest.mark.parametrize("how", ["SET", "SET LOCAL", "options"])
def test_one_session_has_a_timeout(proxy, folding, lookup, setting, code, how):
    """It alone hears of it, and in its time."""
    conns = warm_sessions(folding, proxy, lookup)
    if how == "options":
        hasty = folding.connections(proxy, 1, options="-c %s=400ms" % setting)[0]
    else:
        hasty = folding.connections(proxy, 1)[0]
        if how == "SET LOCAL":
            hasty.sql("BEGIN")
        hasty.sql("%s %s = '400ms'" % (how, setting))
    with folding.locked("item"):
        send_all(conns[:N // 2], lookup)
        hasty.send(lookup(7))
        send_all(conns[N // 2:], lambda k: lookup(k + N // 2))
        start = time.monotonic()
        assert proto.errors(hasty.ready())[0]["C"] == code
        assert time.monotonic() - start < 20
        assert not any(c.readable(0) for c in conns)
    for i, c in enumerate(conns):
        check(c, i)
    if how == "SET LOCAL":
        assert hasty.status == "E"
        hasty.sql("ROLLBACK")
    assert proto.rows(hasty.ask(lookup(7))) == [row_of(7)]
    still_fine(conns, lookup)


def test_idle_in_transaction_timeout_while_working(proxy, folding, lookup):
    """A session in a transaction that asks again and again is not idle, whoever's connection its lookups run on."""
    conns = warm_sessions(folding, proxy, lookup, options="-c idle_in_transaction_session_timeout=2s")
    for c in conns:
        c.sql("BEGIN")
    end = time.monotonic() + 5
    while time.monotonic() < end:
        still_fine(conns, lookup)
        time.sleep(0.05)
    for c in conns:
        c.sql("COMMIT")
    still_fine(conns, lookup)


def test_idle_in_transaction_timeout_in_a_long_batch(proxy, folding, lookup):
    """A session that waits for its answer is not idle in its transaction either."""
    conns = warm_sessions(folding, proxy, lookup, options="-c idle_in_transaction_session_timeout=2s")
    for c in conns:
        c.sql("BEGIN")
    with folding.locked("item", settle=3):
        send_all(conns, lookup)
    for i, c in enumerate(conns):
        check(c, i)
    for c in conns:
        c.sql("COMMIT")


def test_idle_in_transaction_timeout_strikes(both):
    """Truly idle, it is told so by the server."""
    def action(end):
        with end.connect(options="-c idle_in_transaction_session_timeout=1s") as c:
            c.sql("BEGIN")
            c.ask(LOOKUPS["simple"](3))
            return c.to_end()
    assert proto.errors(both(action))[0]["C"] == "25P03"


def test_transactions_are_struck(pg, proxy, folding, lookup):
    """pg_terminate_backend of some members' sessions while a batch of sessions in transactions is under way."""
    conns = warm_sessions(folding, proxy, lookup)
    for c in conns:
        c.sql("BEGIN")
    with folding.locked("item"):
        send_all(conns, lookup)
        lenders = servers.wait_for(lambda: waiting(folding.admin), "the batch to wait")
        idle = [c.pid for c in conns if c.pid not in lenders]
        victims = {lenders[0], *idle[:2]}
        for pid in victims:
            folding.admin.sql("SELECT pg_terminate_backend(%d)" % pid)
    for i, c in enumerate(conns):
        if c.pid in victims:
            assert "57P01" in [e["C"] for e in proto.errors(c.to_end())]
        else:
            check(c, i)
            assert c.status == "T"
            c.sql("COMMIT")
    still_fine_except(conns, victims, lookup)


def still_fine_except(conns, victims, lookup):
    for i, c in enumerate(conns):
        if c.pid not in victims:
            c.send(lookup(i + 1))
            check(c, i)


def test_lenders_in_transactions_are_cancelled(folding, proxy, lookup):
    """A cancelled batch must not abort the transaction of the session that lent its connection."""
    conns = warm_sessions(folding, proxy, lookup)
    for c in conns:
        c.sql("BEGIN")
    with folding.locked("item"):
        send_all(conns, lookup)
        struck = servers.wait_for(lambda: waiting(folding.admin), "the batch to wait")
        for pid in struck:
            folding.admin.sql("SELECT pg_cancel_backend(%d)" % pid)
        time.sleep(0.3)
    for i, c in enumerate(conns):
        got = c.ready()
        if proto.errors(got):
            assert proto.errors(got)[0]["C"] == "57014" and c.pid in struck and c.status == "E"
            c.sql("ROLLBACK")
        else:
            assert proto.rows(got) == [row_of(i + 1)] and c.status == "T"
            c.sql("COMMIT")
    still_fine(conns, lookup)


# ---- readers that do not read

@pytest.fixture(scope="module")
def shelves(pg):
    """Key 1 has 8 MB of rows, the others a few bytes."""
    with pg.admin() as a:
        a.sql("DROP TABLE IF EXISTS shelf")
        a.sql("CREATE TABLE shelf (id int, body text)")
        a.sql("INSERT INTO shelf SELECT 1, repeat(chr(97 + i %% 26), 20000) FROM generate_series(1, 400) i".replace("%%", "%"))
        a.sql("INSERT INTO shelf SELECT i, 'small ' || i FROM generate_series(2, 60) i")
        a.sql("CREATE INDEX ON shelf (id)")
        a.sql("GRANT SELECT ON shelf TO PUBLIC")
        a.sql("ANALYZE shelf")


SHELF = {"simple": lambda k: query("SELECT body FROM shelf WHERE id = %d" % k),
         "extended": lambda k: unit("SELECT body FROM shelf WHERE id = $1", [k])}


@pytest.mark.parametrize("kind", SHELF)
@pytest.mark.parametrize("in_transaction", [False, True])
def test_a_slow_reader_of_a_large_answer(folding, proxy, shelves, kind, in_transaction):
    """Lender or member, first or last: whoever does not read delays only itself."""
    ask = SHELF[kind]
    conns = folding.connections(proxy, N)
    folding.warm(conns, [ask(k) for k in range(2, N + 2)], "shelf")
    for place in (0, N // 2, N - 1):
        slow = proxy.dial(rcvbuf=4096)
        assert slow.login("app", "app")[-1].type == "Z"
        everyone = conns[:place] + [slow] + conns[place:]
        if in_transaction:
            for c in everyone:
                c.sql("BEGIN")
        with folding.locked("shelf"):
            for i, c in enumerate(everyone):
                c.send(ask(1 if c is slow else i + 10))
        for i, c in enumerate(everyone):
            if c is not slow:
                assert proto.rows(c.ready()) == [[b"small %d" % (i + 10)]]
        for _ in range(3):  # and life goes on
            for i, c in enumerate(conns):
                c.send(ask(i + 2))
            for i, c in enumerate(conns):
                assert proto.rows(c.ready()) == [[b"small %d" % (i + 2)]]
        assert sum(len(r[0]) for r in proto.rows(slow.ready())) == 400 * 20000
        if in_transaction:
            for c in everyone:
                c.sql("COMMIT")
        slow.close()


def test_a_slow_reader_leaves(folding, proxy, shelves):
    """The answer that it never read goes with it."""
    ask = SHELF["extended"]
    conns = folding.connections(proxy, N)
    folding.warm(conns, [ask(k) for k in range(2, N + 2)], "shelf")
    for how in ("close", "reset"):
        slow = [proxy.dial(rcvbuf=4096) for _ in range(3)]
        for s in slow:
            s.login("app", "app")
        with folding.locked("shelf"):
            for i, c in enumerate(slow + conns):
                c.send(ask(1 if c in slow else i + 2))
        for i, c in enumerate(conns):
            assert proto.rows(c.ready()) == [[b"small %d" % (i + 5)]]
        for s in slow:
            getattr(s, how)()
    for i, c in enumerate(conns):
        assert proto.rows(c.ask(ask(i + 2))) == [[b"small %d" % (i + 2)]]


# ---- floods

def in_background(work):
    """Runs it in a thread; join() of what comes back raises what it raised."""
    box = []

    def run():
        try:
            box.append((True, work()))
        except BaseException as e:  # handed to whoever joins
            box.append((False, e))
    thread = threading.Thread(target=run, daemon=True)
    thread.start()

    def join():
        thread.join(180)
        assert box, "it hangs"
        if not box[0][0]:
            raise box[0][1]
        return box[0][1]
    return join


def expected_row(k):
    return [row_of(k)] if k <= 2000 else []


def flood_keys(n, start=0):
    return [(i * 7 + start) % 2100 + 1 for i in range(n)]


def test_flood_over_one_connection(proxy, folding, lookup):
    """10,000 lookups in one go, each with its Sync."""
    warm_sessions(folding, proxy, lookup)
    keys = flood_keys(FLOOD)
    with proxy.connect() as c:
        done = in_background(lambda: c.send(*(lookup(k) for k in keys)))
        for k in keys:
            assert proto.rows(c.ready()) == expected_row(k)
        done()
        assert c.value("SELECT 1") == "1"


@pytest.mark.parametrize("named", [False, True])
def test_flood_with_one_sync(both, named):
    """10,000 lookups and one Sync, as pipeline modes send them: not a byte differs from PostgreSQL's own answer."""
    sql = "SELECT id, name FROM item WHERE id = $1"
    keys = flood_keys(FLOOD)

    def action(end):
        with end.connect() as c:
            if named:
                c.ask(proto.parse(sql, "s"), proto.describe("S", "s"), proto.SYNC)
            each = [(b"" if named else proto.parse(sql)) + proto.bind([k], "s" if named else "") + proto.describe("P") + proto.execute()
                    for k in keys]
            done = in_background(lambda: c.send(*each, proto.SYNC))
            got = c.ready()
            done()
            return got
    got = both(action)
    assert [r[0] for r in proto.rows(got)] == [b"%d" % k for k in keys if k <= 2000]


def test_flood_with_one_sync_and_an_error(both):
    """Behind the error nothing is answered, before it all is."""
    keys = flood_keys(2000)

    def action(end):
        with end.connect() as c:
            each = [unit("SELECT id, name FROM item WHERE id = $1", ["x" if i == 1234 else k])[:-5] for i, k in enumerate(keys)]
            done = in_background(lambda: c.send(*each, proto.SYNC))
            got = c.ready()
            done()
            return got + c.ask(LOOKUPS["extended"](3))
    assert proto.errors(both(action))[0]["C"] == "22P02"


def test_flood_over_fifty_connections(proxy, folding, lookup):
    """10,000 in all, pipelined on each; and the memory comes back."""
    conns = warm_sessions(folding, proxy, lookup, 50)
    each = FLOOD // len(conns)

    def round_():
        joins = []
        for j, c in enumerate(conns):
            joins.append(in_background(lambda c=c, j=j: c.send(*(lookup(k) for k in flood_keys(each, j * 13)))))
        for j, c in enumerate(conns):
            for k in flood_keys(each, j * 13):
                assert proto.rows(c.ready()) == expected_row(k)
        for join in joins:
            join()
    round_()
    if not conftest.DIRECT:
        before = proxy.status("VmRSS")
        for _ in range(2):
            round_()
        assert proxy.status("VmRSS") < before + 48 * 1024  # kB; sanitizers keep freed memory for a while
    still_fine(conns[:N], lookup)


def test_flood_that_is_abandoned(proxy, folding, lookup):
    """Clients that pipeline thousands and vanish: nobody else notices, their server sessions end."""
    conns = warm_sessions(folding, proxy, lookup)
    gone = folding.connections(proxy, 5)
    with folding.locked("item"):
        for c in gone:
            c.send(*(lookup(k) for k in flood_keys(500)))
        send_all(conns, lookup)
        time.sleep(0.2)
        for c in gone:
            c.reset()
    for i, c in enumerate(conns):
        check(c, i)
    pids = ",".join(str(c.pid) for c in gone)
    servers.wait_for(lambda: folding.admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid IN (%s)" % pids) == "0", "their sessions to end")
    still_fine(conns, lookup)
