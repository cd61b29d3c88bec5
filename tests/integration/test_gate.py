# SPDX-License-Identifier: PostgreSQL
"""Before log-in: nobody who can reach pgfold can hold its descriptors, its places or its time."""
import collections
import contextlib
import os
import resource
import signal
import socket
import ssl
import time

import pytest

import hostile
import proto
import servers

pytestmark = pytest.mark.pgfold
HOLDERS = sorted(set(hostile.KINDS) - {"connect_and_close", "tls_close", "wrong_packet", "wrong_password", "wrong_key", "garbage"})


def tls(pg, settings=None):
    return {"pgfold.client_tls": "allow", "pgfold.client_tls_cert": pg.folder + "/server.crt",
            "pgfold.client_tls_key": pg.folder + "/server.key"} | (settings or {})


@contextlib.contextmanager
def strangers(p, kinds, n, settle=0.5):
    """So many connections of these kinds, which stay as long as they are let."""
    s = hostile.Strangers(p.where)
    try:
        for i in range(n):
            s.start(kinds[i % len(kinds)], 600)
            s.step(0.005)
        end = time.monotonic() + settle
        while time.monotonic() < end:
            s.step(0.02)
        yield s
    finally:
        s.close()


def backends(pg, user):
    with pg.admin() as a:
        return int(a.value("SELECT count(*) FROM pg_stat_activity WHERE usename = '%s' OR (usename IS NULL AND backend_type = "
                           "'client backend')" % user))


def test_login_timeout_ends_all_of_them(pg, start_pgfold):
    p = start_pgfold(tls(pg, {"pgfold.login_timeout": "1s"}))
    with p.connect() as c:
        before, n = p.descriptors(), backends(pg, "scram_user")
        with strangers(p, HOLDERS, 3 * len(HOLDERS)) as s, p.dial() as silent, p.dial() as asked:
            asked.send(proto.startup({"user": "scram_user", "database": "app"}))
            for d in (silent, asked):
                assert [e["C"] for e in proto.errors(d.to_end())] == ["57014"]
            end = time.monotonic() + 20
            while s.running and time.monotonic() < end:
                s.step(0.05)
            assert not s.running
            servers.wait_for(lambda: p.descriptors() <= before, "descriptors to be closed")
            servers.wait_for(lambda: backends(pg, "scram_user") <= n, "the server's processes to end")
        assert c.value("SELECT 1") == "1"


def test_a_full_server_that_has_asked_for_a_password(start_pgfold):
    """Room is made by giving up those whose clients say nothing; not the one that the error is for."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable" % server.getsockname()[1])
        with p.dial() as c:
            c.send(proto.startup({"user": "app", "database": "app"}))
            with server.accept()[0] as s:
                s.recv(1000)
                s.sendall(b"R\0\0\0\x08\0\0\0\x03")
                time.sleep(1.2)
                error = b"SFATAL\0VFATAL\0C53300\0Mfull\0\0"
                s.sendall(b"E" + (len(error) + 4).to_bytes(4, "big") + error)
            assert [e["M"] for e in proto.errors(c.to_end())] == ["full"]
        assert p.process.poll() is None


@pytest.mark.parametrize("sslmode", ["disable", "require"])
def test_login_timeout_holds_for_the_server_too(start_pgfold, sslmode):
    """One that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=50) as server:
        p = start_pgfold({"pgfold.login_timeout": "1s"}, server="host=127.0.0.1 port=%d sslmode=%s" % (server.getsockname()[1], sslmode))
        before = p.descriptors()
        conns = [p.dial() for _ in range(5)]
        for c in conns:
            c.send(proto.startup({"user": "app", "database": "app"}))
        for c in conns:
            assert [e["C"] for e in proto.errors(c.to_end())] == ["57014"]
        servers.wait_for(lambda: p.descriptors() <= before, "descriptors to be closed")


@pytest.mark.parametrize("direct", [False, True])
def test_a_handshake_byte_by_byte_is_one(pg, start_pgfold, direct):
    p = start_pgfold(tls(pg))
    context, incoming, outgoing = hostile.client_context(), ssl.MemoryBIO(), ssl.MemoryBIO()
    context.set_alpn_protocols(["postgresql"])
    with p.dial() as c:
        if not direct:
            assert c.request_tls() == b"S"
        conn = context.wrap_bio(incoming, outgoing)
        while True:
            with contextlib.suppress(ssl.SSLWantReadError):
                conn.do_handshake()
                break
            c.send_slowly(outgoing.read())
            incoming.write(c.sock.recv(65536))
        conn.write(proto.startup({"user": "app", "database": "app"}))
        c.send_slowly(outgoing.read())
        incoming.write(c.sock.recv(65536))
        assert conn.read(1) == b"R"


def test_places_are_taken_from_those_who_say_nothing(pg, start_pgfold):
    p = start_pgfold(tls(pg, {"pgfold.max_logins": 4, "pgfold.login_timeout": "0"}))
    with p.connect() as c:
        before = p.descriptors()
        with strangers(p, HOLDERS, 5 * len(HOLDERS), settle=0):
            for _ in range(3):
                with p.connect("scram_user", password="open sesame") as d:
                    assert d.value("SELECT 1") == "1"
            assert p.descriptors() <= before + 2 * 4 + 8  # those of clients that have just gone, too
        assert c.value("SELECT 1") == "1"
    servers.wait_for(lambda: "max_logins" in p.log(), "the log to say so")


def test_who_answers_step_by_step_stays_before_the_silent(start_pgfold):
    """Though it has been waited for longest."""
    p = start_pgfold({"pgfold.max_logins": 4, "pgfold.login_timeout": "0"})
    with p.dial() as far, contextlib.ExitStack() as stack:
        far.send(proto.startup({"user": "password_user", "database": "app"}))
        assert far.recv().type == "R"
        for _ in range(3):
            stack.enter_context(p.dial())
        time.sleep(1.5)
        for _ in range(3):
            with p.connect() as c:
                assert c.value("SELECT 1") == "1"
        assert far.send(proto.msg("p", b"open sesame\0")).until("Z", "E")[-1].type == "Z"


def test_strangers_take_no_client_s_place(start_pgfold):
    p = start_pgfold({"pgfold.max_clients": 2})
    with strangers(p, ["login_stalls", "silent"], 20), p.connect() as a, p.connect() as b:
        assert a.value("SELECT 1") == b.value("SELECT 1") == "1"
        with p.dial() as c:
            assert proto.errors(c.login("app", "app"))[0]["C"] == "53300"


def test_strangers_take_no_process_of_the_server_s(start_pgfold):
    own = servers.Postgres(ssl=False, settings={"max_connections": 20})
    try:
        hostile.set_up(own)
        p = start_pgfold({"pgfold.login_timeout": "0"}, server="host=127.0.0.1 port=%d sslmode=disable" % own.port)
        with strangers(p, ["login_stalls"], 60, settle=1.5):
            conns = []
            for _ in range(3):
                servers.wait_for(lambda: conns.append(p.dial()) or conns[-1].login("app", "app")[-1].type == "Z", "a client to get in")
            for c in conns:
                c.close()
    finally:
        own.remove()


def test_nobody_is_told_that_it_is_in_and_then_thrown_out(start_pgfold):
    p = start_pgfold({"pgfold.max_clients": 2})
    conns = [p.dial() for _ in range(8)]
    for c in conns:
        c.send(proto.startup({"user": "app", "database": "app"}))
    got = [c.until("Z", "E") for c in conns]
    assert sorted(g[-1].type for g in got) == ["E"] * 6 + ["Z"] * 2
    for c, g in zip(conns, got):
        if g[-1].type == "E":
            assert proto.types(g) == "E" and proto.errors(g)[0]["C"] == "53300"
        c.close()
    # Places of log-ins that fail are free again.
    for _ in range(3):
        with p.dial() as c:
            assert c.login("app", "no such database")[-1].type == "E"
    def again():
        conns.append(p.dial())
        return conns[-1].login("app", "app")[-1].type == "Z"

    for _ in range(2):
        servers.wait_for(again, "a place to be free")
        assert conns[-1].value("SELECT 1") == "1"


def test_reload_is_for_log_ins_that_are_under_way(start_pgfold):
    p = start_pgfold(config="[pgfold]\nlogin_timeout = 0\n")
    with p.dial() as c:
        c.send(proto.startup({"user": "password_user", "database": "app"}))
        assert c.recv().type == "R"
        p.write_config("[pgfold]\nlogin_timeout = 1s\n")
        p.signal(signal.SIGHUP)
        assert [e["C"] for e in proto.errors(c.to_end())] == ["57014"]


@pytest.mark.parametrize("places", [1, 5])
def test_a_pool_is_served_in_turn(start_pgfold, places, unix):
    p = start_pgfold({"pgfold.max_logins": places})
    conns = [p.dial(unix) for _ in range(40)]
    for c in conns:
        c.send(proto.startup({"user": "app", "database": "app"}))
    for c in conns:
        assert c.until("Z", "E")[-1].type == "Z"
    for c in conns:
        assert c.value("SELECT 1") == "1"
        c.close()


def test_log_ins_that_fail_are_answered_in_turn(start_pgfold):
    """So many that the server gets few at a time; nobody is forgotten, and who comes meanwhile gets in."""
    p = start_pgfold()
    with p.connect() as c:
        for n in (40, 50):
            conns = [p.dial() for _ in range(n)]
            for d in conns:
                d.send(proto.startup({"user": "password_user", "database": "app"}))
            gone = conns[::8]
            for d in gone:
                d.close()
            with p.connect("md5_user", password="open sesame") as e:
                assert c.value("SELECT 1") == e.value("SELECT 1") == "1"
            for d in conns:
                if d not in gone:
                    assert d.recv().type == "R"
                    assert proto.errors(d.send(proto.msg("p", b"wrong\0")).to_end())[0]["C"] == "28P01"


def limit_files(p, n):
    hard = resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE, (n, hard))


def cpu_seconds(p):
    with open("/proc/%d/stat" % p.process.pid) as f:
        return sum(map(int, f.read().split()[13:15])) / os.sysconf("SC_CLK_TCK")


def test_descriptors_are_kept_back_for_cancel_requests(pg, start_pgfold):
    p = start_pgfold()
    with contextlib.ExitStack() as stack, pg.admin() as a:
        busy = stack.enter_context(p.connect())
        limit_files(p, p.descriptors() + 40)
        time.sleep(1.5)  # until pgfold has seen it
        for _ in range(100):
            c = stack.enter_context(p.dial())
            got = c.login("app", "app")
            if got[-1].type != "Z":
                break
        assert proto.errors(got)[0]["C"] == "53300" and "descriptors" in proto.errors(got)[0]["M"]
        with strangers(p, ["silent", "half_a_cancel", "login_stalls"], 60):
            for _ in range(3):
                busy.send(proto.query("SELECT pg_sleep(60)"))
                servers.wait_for(lambda: a.value("SELECT state FROM pg_stat_activity WHERE pid = %d" % busy.pid) == "active", "it to start")
                with p.dial() as k:
                    k.send(proto.cancel_request(busy.pid, busy.secret))
                    k.drain_raw()
                assert proto.errors(busy.ready())[0]["C"] == "57014"
    limit_files(p, 1000)


def test_cancel_requests_get_in_while_the_server_keeps_all_log_ins_waiting(pg, start_pgfold):
    p = start_pgfold({"pgfold.max_logins": 3, "pgfold.login_timeout": "0"})
    with p.connect("postgres") as c, contextlib.ExitStack() as stack:
        c.sql("BEGIN")
        c.sql("LOCK TABLE pg_catalog.pg_database")
        c.send(proto.query("SELECT pg_sleep(60)"))
        conns = [stack.enter_context(p.dial()) for _ in range(20)]
        for d in conns:
            d.send(proto.startup({"user": "app", "database": "app"}))
        time.sleep(0.5)
        with p.dial() as k:
            k.send(proto.cancel_request(c.pid, c.secret))
            assert proto.errors(c.ready())[0]["C"] == "57014"
        c.sql("ROLLBACK")
        got = [d.until("Z", "E") for d in conns]
        assert sum(g[-1].type == "Z" for g in got) >= 3 + 8
        assert {e["C"] for g in got for e in proto.errors(g)} <= {"53300"}


def test_without_descriptors_it_waits(start_pgfold):
    p = start_pgfold()
    with p.connect() as c:
        limit_files(p, 3)
        with p.dial(), p.dial() as d:
            before = cpu_seconds(p)
            time.sleep(1)
            assert cpu_seconds(p) - before < 0.5
            assert c.value("SELECT 1") == "1"
            assert p.log().count("could not accept") == 1
            limit_files(p, 1000)
            d.login("app", "app")
            assert d.value("SELECT 1") == "1"


def test_client_that_does_not_read_holds_no_drain(pg, start_pgfold):
    p = start_pgfold({"pgfold.drain_timeout": "0"})
    with p.dial(rcvbuf=4096) as c, pg.admin() as a:
        c.login("app", "app")
        c.send(proto.query("SELECT repeat('x', 1000) FROM generate_series(1, 100000)"))
        servers.wait_for(lambda: a.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % c.pid) == "ClientWrite", "it to be stuck")
        a.sql("SELECT pg_terminate_backend(%d)" % c.pid)
        servers.wait_for(lambda: a.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % c.pid) == "0", "it to end")
        p.signal(signal.SIGTERM)
        assert p.process.wait(30) == 0


def test_drain_waits_for_a_client_that_reads_slowly(start_pgfold):
    """It is in a transaction, and its server lives."""
    p = start_pgfold({"pgfold.drain_timeout": "0"})
    with p.dial(rcvbuf=4096) as c:
        c.login("app", "app")
        c.sql("BEGIN")
        c.send(proto.query("SELECT repeat('x', 1000) FROM generate_series(1, 20000)"))
        c.recv()
        p.signal(signal.SIGTERM)
        time.sleep(7)
        assert proto.types(c.ready()).endswith("CZ")
        c.sql("COMMIT")
    assert p.process.wait(30) == 0


def test_flood(pg, start_pgfold):
    """Counts alone: nothing goes wrong for those who are in, nor for those who come, nor for cancel requests."""
    p = start_pgfold(tls(pg))
    before = p.descriptors()
    out = hostile.beside(p.where, (hostile.load, 2, 3), (hostile.newcomers, 3), (hostile.cancels, 3),
                         (hostile.flood, list(hostile.KINDS), 150, 3, 2))
    for _, errors in out[:3]:
        assert not errors
    assert set(out[3]) == set(hostile.KINDS)
    assert isinstance(out[3], collections.Counter)
    servers.wait_for(lambda: p.descriptors() <= before, "descriptors to be closed")
