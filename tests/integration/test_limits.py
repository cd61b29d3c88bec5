# SPDX-License-Identifier: PostgreSQL
"""Limits, and the life of the process: who is turned away and how, draining, reloading."""
import os
import re
import resource
import signal
import stat
import subprocess
import time

import pytest

import ahead
import conftest
import proto
import servers

pytestmark = pytest.mark.pgfold


def refused(p, code, user="app"):
    with p.dial() as c:
        got = c.login(user, "app")
        e = proto.errors(got)[0]
        assert (e["S"], e["C"]) == ("FATAL", code), e
        assert e["V"] == "FATAL" and e["M"]
        return e


def test_too_many_clients(start_pgfold):
    p = start_pgfold({"pgfold.max_clients": 3})
    conns = [p.connect() for _ in range(3)]
    refused(p, "53300")
    conns[0].send(proto.TERMINATE).to_end()
    conns[1].close()

    def connects():
        with p.dial() as c:
            return c.login("app", "app")[-1].type == "Z"
    servers.wait_for(connects, "a place to become free")
    conns[:2] = []
    while len(conns) < 3:  # who has just gone may still hold a place
        c = p.dial()
        if c.login("app", "app")[-1].type == "Z":
            conns.append(c)
        else:
            c.close()
    refused(p, "53300")
    for c in conns:
        c.close()


def test_cancel_gets_through_when_all_places_are_taken(pg, start_pgfold):
    p = start_pgfold({"pgfold.max_clients": 1})
    with p.connect() as c, pg.admin() as a:
        c.send(proto.query("SELECT pg_sleep(60)"))
        servers.wait_for(lambda: a.value("SELECT state FROM pg_stat_activity WHERE pid = %d" % c.pid) == "active", "it to start")
        with p.dial() as k:
            k.send(proto.cancel_request(c.pid, c.secret))
            k.drain_raw()
        assert proto.errors(c.ready())[0]["C"] == "57014"


def test_server_down(start_pgfold):
    p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable" % servers.free_port())
    e = refused(p, "08001")
    assert "127.0.0.1" in e["M"] + e.get("D", "") and "refused" in e["M"] + e.get("D", "")


def test_server_socket_missing(start_pgfold):
    p = start_pgfold(server="host=/tmp/no/such/folder")
    e = refused(p, "08001")
    assert "/tmp/no/such/folder" in e["M"] + e.get("D", "")


def test_server_name_unknown(start_pgfold):
    refused(start_pgfold(server="host=no-such-name.invalid sslmode=disable"), "08001")


def test_server_restart(start_pgfold):
    own = servers.Postgres(ssl=False)
    try:
        p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable" % own.port)
        c = p.connect(servers.SUPERUSER, "postgres")
        port = own.port
        own.stop()
        assert proto.errors(c.to_end())[0]["C"] == "57P01"
        with p.dial() as d:
            assert proto.errors(d.login(servers.SUPERUSER, "postgres"))[0]["C"] == "08001"
        own.start(port)
        with p.connect(servers.SUPERUSER, "postgres") as d:
            assert d.value("SELECT 1") == "1"
        # Killed without a word: every session learns of it.
        c = p.connect(servers.SUPERUSER, "postgres")
        own.stop(signal.SIGQUIT)
        c.to_end()
    finally:
        own.remove()


def test_login_timeout(start_pgfold):
    p = start_pgfold({"pgfold.login_timeout": "2s"})
    with p.dial() as silent, p.dial() as halfway, p.connect() as logged_in:
        halfway.send(proto.startup({"user": "scram_user", "database": "app"}))
        for c in (silent, halfway):
            got = c.to_end()
            assert not proto.errors(got) or proto.errors(got)[0]["C"] in ("08P01", "57014", "28000", "08006")
        assert logged_in.value("SELECT 1") == "1"


def test_descriptors_come_back(proxy):
    for _ in range(3):
        with proxy.connect() as c:
            c.sql("SELECT 1")
    before = proxy.descriptors()
    for i in range(50):
        c = proxy.dial()
        if i % 3:
            c.login("app", "app")
        (c.close if i % 2 else c.reset)()
    servers.wait_for(lambda: proxy.descriptors() <= before, "descriptors to be closed")


# ---- SIGTERM and SIGHUP

def exits(p, seconds=servers.STOP_SECONDS):
    return p.process.wait(seconds)


def started(pg, *conns):
    with pg.admin() as a:
        for c in conns:
            ahead.wait_active(a, c.pid)


def test_sigterm_without_clients(start_pgfold):
    p = start_pgfold()
    p.signal(signal.SIGTERM)
    assert exits(p) == 0


def test_sigterm_drains(pg, start_pgfold):
    p = start_pgfold()
    idle, busy, extended = p.connect(), p.connect(), p.connect()
    busy.send(proto.query("SELECT pg_sleep(3), 'done'"))
    extended.send(proto.unit("SELECT pg_sleep(3), 'done'", []))
    started(pg, busy, extended)
    p.signal(signal.SIGTERM)
    assert proto.types(idle.to_end()) in ("E", "")
    with pytest.raises(OSError):  # no new clients
        while True:
            p.dial().close()
            time.sleep(0.02)
    for c in (busy, extended):
        got = c.to_end()
        assert proto.rows(got)[0][1] == b"done" and "Z" in proto.types(got)
    assert exits(p) == 0


def test_second_sigterm_ends_at_once(pg, start_pgfold):
    p = start_pgfold()
    c = p.connect()
    c.send(proto.query("SELECT pg_sleep(60)"))
    started(pg, c)
    p.signal(signal.SIGTERM)
    time.sleep(0.3)
    assert p.process.poll() is None
    p.signal(signal.SIGTERM)
    p.expect_exit = exits(p, 20)
    c.to_end()


def test_drain_timeout(pg, start_pgfold):
    p = start_pgfold({"pgfold.drain_timeout": "500ms"})
    c = p.connect()
    c.send(proto.query("SELECT pg_sleep(60)"))
    started(pg, c)
    p.signal(signal.SIGTERM)
    p.expect_exit = exits(p, 20)
    c.to_end()


def test_unix_socket_is_removed(start_pgfold):
    p = start_pgfold()
    assert os.path.exists(p.unix)
    p.signal(signal.SIGTERM)
    assert exits(p) == 0
    assert not os.path.exists(p.unix)


def test_stale_unix_socket_is_replaced(start_pgfold):
    p = start_pgfold()
    p.process.kill()
    p.expect_exit = exits(p)
    assert os.path.exists(p.unix)
    q = start_pgfold(listen=p.listen)
    q.port, q_folder = p.port, q.socket_dir
    q.socket_dir = p.socket_dir
    with q.connect(unix=True) as c:
        assert c.value("SELECT 1") == "1"
    q.socket_dir = q_folder


def test_sighup_reloads(pg, start_pgfold):
    text = "[pgfold]\nlog_level = %s\nmax_clients = %d\nmode = %s\n"
    p = start_pgfold(config=text % ("info", 100, "fold"))
    with p.connect() as c:
        p.write_config(text % ("debug", 100, "observe"))
        p.signal(signal.SIGHUP)
        servers.wait_for(lambda: re.search(r"pgfold\.mode|log_level", p.log()), "the reload to be reported")
        assert c.value("SELECT 1") == "1"
        # A file with a mistake changes nothing, and says so.
        p.write_config("[pgfold]\nno_such_key = 1\n")
        p.signal(signal.SIGHUP)
        servers.wait_for(lambda: "no_such_key" in p.log(), "the mistake to be reported")
        assert c.value("SELECT 1") == "1"
    with p.connect() as c:
        assert c.value("SELECT 1") == "1"


def test_sighup_with_clients_busy(start_pgfold):
    p = start_pgfold(config="[pgfold]\nlog_level = info\n")
    with p.connect() as c:
        for i in range(20):
            c.send(proto.query("SELECT name FROM item WHERE id = %d" % (i + 1)))
            p.signal(signal.SIGHUP)
            assert proto.rows(c.ready()) == [[b"item %d" % (i + 1)]]


# ---- the command line

def command(*args, **kw):
    env = {k: v for k, v in os.environ.items() if not k.startswith("PGFOLD_")}
    return subprocess.run([conftest.BINARY, *args], capture_output=True, text=True, timeout=30, env=env, **kw)


def test_version_and_help():
    assert re.match(r"pgfold .*\d+\.\d+", command("--version").stdout)
    assert "--listen" in command("--help").stdout


def test_check_config(tmp_path):
    good, bad = tmp_path / "good.ini", tmp_path / "bad.ini"
    good.write_text("[pgfold]\nlisten = 127.0.0.1:6432\nserver = host=127.0.0.1\n[batching]\nwindow = 200us\n")
    bad.write_text("[pgfold]\nlisten = 127.0.0.1:6432\n\n[batching]\nwindow = 200 parsecs\n")
    assert command("--check-config", "-c", str(good)).returncode == 0
    done = command("--check-config", "-c", str(bad))
    assert done.returncode != 0 and "bad.ini:5" in done.stderr


def test_shipped_config_is_valid():
    shipped = os.path.join(os.path.dirname(__file__), "../../config/pgfold.ini")
    done = command("--check-config", "-c", shipped)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("args", [["--no-such-flag"], ["--mode", "sideways"], ["--set", "batching.windo=1ms"],
                                  ["-c", "/no/such/file"], ["--listen", "nonsense:port"], ["--server", "no_such_keyword=1"]])
def test_mistakes_are_refused(args):
    base = [] if args[0] in ("--listen", "-c") else ["--listen", "127.0.0.1:%d" % servers.free_port()]
    done = command(*base, *args)
    assert done.returncode not in (0, -6, -11) and done.stderr


@pytest.mark.parametrize("args,says", [
    (["--listen", "127.0.0.1:70000"], "--listen: pgfold.listen: address \"127.0.0.1:70000\" has a port out of range: write one from 1 to 65535"),
    (["--listen", ":0"], "has a port out of range"), (["--listen", ":99999999999999999999"], "has a port out of range"),
    (["--listen", "127.0.0.1"], "has no port"), (["--listen", "127.0.0.1:"], "has no port"), (["--listen", "127.0.0.1:5x"], "has no port"),
    (["--listen", "x" * 400 + ":1"], "is too long"),
    (["--server", "foo=bar"], "pgfold: --server: pgfold.server: invalid connection option \"foo\"\n"),
    (["--server", "host=a password=secret port=0"], "pgfold: --server: pgfold.server: invalid port number: \"0\"\n"),
])
def test_mistakes_are_named(args, says):
    done = command("--check-config", *args)
    assert done.returncode == 1 and says in done.stderr, done.stderr


def test_port_in_use(proxy):
    done = command("--listen", "127.0.0.1:%d" % proxy.port, "--server", "host=127.0.0.1")
    assert done.returncode > 0 and str(proxy.port) in done.stderr


def test_nothing_secret_is_logged(start_pgfold):
    p = start_pgfold({"pgfold.log_level": "debug"})
    with p.connect("password_user", password="open sesame") as c:
        c.ask(proto.query("SELECT name FROM item WHERE name = 'a very private value'"))
        c.ask(proto.unit("SELECT name FROM item WHERE name = $1", ["another private value"]))
    assert "sesame" not in p.log() and "private value" not in p.log()


def test_drain_refuses_nobody(start_pgfold):
    """An idle client that is told to go has done nothing wrong."""
    p = start_pgfold()
    conns = [p.connect() for _ in range(5)]
    p.signal(signal.SIGTERM)
    for c in conns:
        assert [e["C"] for e in proto.errors(c.to_end())] == ["57P01"]
    assert exits(p) == 0
    assert "client refused" not in p.log() and "refused 0," in p.log()


def limit_files(p, n):
    hard = resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(p.process.pid, resource.RLIMIT_NOFILE, (n, hard))


def test_no_descriptors_for_the_server(start_pgfold):
    """The hint is about pgfold's own limit, not about the server."""
    p = start_pgfold()
    with p.connect() as c:
        limit_files(p, max(int(n) for n in os.listdir("/proc/%d/fd" % p.process.pid)) + 2)  # one more
        e = refused(p, "53300")
        assert "descriptors" in e["M"] and "ulimit" in e["H"] and "server" not in e["H"], e
        assert c.value("SELECT 1") == "1"
        limit_files(p, 1000)
    with p.connect() as c:
        assert c.value("SELECT 1") == "1"


@pytest.mark.parametrize("text,mode", [(None, 0o777), ("0770", 0o770), ("0700", 0o700), ("448", 0o700), ("0", 0)])
def test_unix_socket_permissions(start_pgfold, text, mode):
    old = os.umask(0o077)
    try:
        p = start_pgfold({"pgfold.unix_socket_permissions": text} if text else None)
    finally:
        os.umask(old)
    assert stat.S_IMODE(os.stat(p.unix).st_mode) == mode


@pytest.mark.parametrize("text,says", [("777", "0000 to 0777"), ("0999", "not a file mode"), ("rwx", "not a file mode"), ("-1", "not a file mode")])
def test_bad_unix_socket_permissions(text, says):
    done = command("--check-config", "--set", "pgfold.unix_socket_permissions=" + text)
    assert done.returncode != 0 and says in done.stderr and text in done.stderr


@pytest.mark.parametrize("n, groups", [(1, 1), (2, 1), (6, 3), (11, 7)])
def test_few_groups_in_a_transaction(pg, start_pgfold, n, groups):
    """The verdicts about the reads of one unit take each other's place, and the unit goes out all the same."""
    p = start_pgfold({"batching.max_groups": groups, "lookahead.max_gap": "1s"})
    texts = ["SELECT id, %d FROM item WHERE id = 7" % i for i in range(n)]
    with p.connect() as c:
        c.sql("BEGIN")
        c.sql("SELECT id, name FROM item WHERE id BETWEEN 1 AND 9 ORDER BY id")
        got = c.ask(b"".join(proto.parse(t) + proto.bind() + proto.execute() for t in texts) + proto.SYNC)
        assert proto.rows(got) == [[b"7", b"%d" % i] for i in range(n)]
        c.ask(proto.unit("SELECT id, body FROM child WHERE item_id = $1 ORDER BY id", ["5"], (23,)))
        c.sql("COMMIT")
