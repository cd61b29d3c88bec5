# SPDX-License-Identifier: PostgreSQL
"""A client's end is passed on in its place: the server does what it does for a client of its own, and nothing of a
client that is gone stays behind."""
import contextlib
import os
import signal
import socket
import struct
import threading
import time

import pytest

import conftest
import proto
import servers
from proto import FLUSH, SYNC, TERMINATE, bind, describe, execute, msg, parse, query, unit

BEGIN = query("BEGIN; LOCK TABLE scratch IN SHARE ROW EXCLUSIVE MODE")
LARGE = query("SELECT 1 /* %s */" % ("x" * 3_000_000))
CALL = proto.function_call(1598, [])  # random()
OPEN = parse("INSERT INTO scratch VALUES (1, 'open')") + bind() + execute()
# What the client sends before it leaves, and the types of the messages that it waits for before that.
LAST_WORDS = {
    "nothing": (b"", ""),
    "in a transaction": (BEGIN, "Z"),
    "copy": (query("COPY scratch FROM STDIN"), "G"),
    "copy in a transaction": (BEGIN + query("COPY scratch FROM STDIN"), "ZG"),
    "copy, unread": (query("COPY scratch FROM STDIN"), ""),
    "copy with data": (BEGIN + query("COPY scratch FROM STDIN") + msg("d", b"1\tcopied\n"), "ZG"),
    "copy with a sync": (query("COPY scratch FROM STDIN") + msg("d", b"1\tcopied\n") + SYNC, "G"),
    "copy, half a row": (query("COPY scratch FROM STDIN") + msg("d", b"1\tcopied\n")[:-3], "G"),
    "copy, extended": (parse("COPY scratch FROM STDIN") + bind() + execute() + FLUSH, "G"),
    "half a large query": (LARGE[:1_500_000], ""),
    "half a large query in a transaction": (BEGIN + LARGE[:1_500_000], "Z"),
    "half a query": (BEGIN + query("SELECT 1")[:-3], "Z"),
    "half a header": (BEGIN + b"Q\0", "Z"),
    "half a bind": (BEGIN + parse("SELECT 1") + bind()[:-3], "Z"),
    "half a function call": (BEGIN + CALL[:-2], "Z"),
    "sync with a body": (BEGIN + b"S\0\0\0\x64", "Z"),
    "terminate with a body": (BEGIN + b"X\0\0\0\x64", "Z"),
    "terminate with half a body": (BEGIN + b"X\0\0\0\x64" + b"x" * 50, "Z"),
    "terminate": (BEGIN + TERMINATE, "Z"),
    "flush": (BEGIN + OPEN + FLUSH, "ZC"),
    "flush, unread": (BEGIN + OPEN + FLUSH, "Z"),
    "no sync": (OPEN, ""),
    "lookup without sync": (parse("SELECT name FROM item WHERE id = $1") + bind([3]) + describe() + execute(), ""),
    "prepare": (parse("SELECT name FROM item WHERE id = $1", "p") + describe("S", "p") + FLUSH, "T"),
    "an error without sync": (BEGIN + parse("SELECT no_such_column") + FLUSH, "ZE"),
    "cursor": (BEGIN + parse("SELECT * FROM item") + bind(portal="c") + execute(5, "c") + FLUSH, "Zs"),
    "a lookup in a transaction": (query("BEGIN") + unit("SELECT name FROM item WHERE id = $1", [3]), "ZZ"),
    "a message of no type": (BEGIN + msg("z", b"abc"), "Z"),
}


def leave(c, how):
    if how == "reset":
        c.reset()
    elif how == "half":
        c.sock.shutdown(socket.SHUT_WR)
    else:
        c.close()


def is_gone(admin, pid):
    return admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % pid) == "0"


def say(c, words):
    sent, awaited = words
    c.send(sent)
    for kind in awaited:
        c.until(kind)


@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("words", LAST_WORDS)
def test_backend_ends_with_its_client(pg, proxy, words, how):
    with pg.admin() as a, proxy.connect() as c:
        say(c, LAST_WORDS[words])
        leave(c, how)
        servers.wait_for(lambda: is_gone(a, c.pid), "the backend of a client that has gone to end")
        if how == "half":
            c.drain_raw()
    if not conftest.DIRECT:
        servers.wait_for(lambda: not close_wait(proxy), "the sockets to be closed")


def close_wait(proxy):
    """Sockets of pgfold's whose peer has closed and which it has not."""
    with open("/proc/%d/net/tcp" % proxy.process.pid) as f:
        rows = [line.split() for line in f.readlines()[1:]]
    return [r for r in rows if r[3] == "08" and int(r[1].split(":")[1], 16) == proxy.port]


@pytest.mark.parametrize("words", [w for w in LAST_WORDS if LAST_WORDS[w][0]])
def test_half_closed_client_reads_what_the_server_says(both, words):
    def action(end):
        with end.connect() as c:
            c.send(LAST_WORDS[words][0])
            c.sock.shutdown(socket.SHUT_WR)
            return c.to_end()
    both(action)


@pytest.mark.parametrize("unix", [False, True])
@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT repeat('x', 300000)", "SELECT pg_sleep(0.3)"])
def test_half_closed_client_gets_its_answers(both, sql, unix):
    def action(end):
        with end.connect(unix=unix) as c:
            c.send(query(sql), unit("SELECT name FROM item WHERE id = $1", [3]), query("SELECT 'last'"))
            c.sock.shutdown(socket.SHUT_WR)
            return c.to_end()
    assert proto.types(both(action)) == "TDCZ12TDCZTDCZ"


def test_half_closed_lookups_are_answered(pg, proxy, folding):
    """Their answers come from batches on other connections; what is behind them is run, too."""
    lookups = [unit("SELECT id, name FROM item WHERE id = $1", [k]) for k in range(1, 11)]
    conns = folding.connections(proxy, 10)
    folding.warm(conns, lookups, "item")
    with folding.locked("item"):
        for i, c in enumerate(conns):
            c.send(lookups[i], query("SELECT 'behind'"))
            c.sock.shutdown(socket.SHUT_WR)
    for i, c in enumerate(conns):
        got = c.to_end()
        assert proto.rows(got) == [[b"%d" % (i + 1), b"item %d" % (i + 1)], [b"behind"]], got


@pytest.mark.parametrize("how", ["close", "reset"])
@pytest.mark.parametrize("goodbye", [b"", TERMINATE])
def test_what_was_sent_before_is_done(pg, proxy, folding, how, goodbye):
    """Held behind the client's own lookups, which wait in batches."""
    lookups = [unit("SELECT id, name FROM item WHERE id = $1", [k]) for k in range(1, 11)]
    conns = folding.connections(proxy, 10)
    folding.warm(conns, lookups, "item")
    folding.admin.sql("DELETE FROM scratch")
    with folding.locked("item"):
        for i, c in enumerate(conns):
            c.send(lookups[i], query("INSERT INTO scratch VALUES (%d, 'last will')" % i), goodbye)
        servers.wait_for(lambda: folding.admin.value("SELECT count(*) FROM pg_locks WHERE NOT granted") != "0", "them to wait")
        for c in conns[:5]:
            leave(c, how)
    for c in conns[5:]:
        c.ready(2)
    for c in conns[:5]:
        servers.wait_for(lambda c=c: is_gone(folding.admin, c.pid), "the backends to end")
    # To a client that has reset its connection the server cannot answer, and does not go on.
    assert folding.admin.value("SELECT count(*) FROM scratch WHERE b = 'last will'") == ("10" if how == "close" else "5")


def test_unfinished_unit_runs_as_it_does_directly(pg, proxy):
    """Nobody says Sync, but what was said has been run: a sequence shows it."""
    with pg.admin() as a:
        a.sql("CREATE SEQUENCE IF NOT EXISTS ends_seq")
        a.sql("GRANT ALL ON ends_seq TO app")
        for i, end in enumerate((pg, proxy), 1):
            c = end.connect()
            c.send(parse("SELECT nextval('ends_seq')"), bind(), execute())
            c.close()
            servers.wait_for(lambda c=c: is_gone(a, c.pid), "the backend to end")
            assert a.value("SELECT last_value FROM ends_seq") == str(i)
        a.sql("DROP SEQUENCE ends_seq")


# ---- log-in

@pytest.mark.parametrize("how", ["close", "reset", "half"])
@pytest.mark.parametrize("user", ["app", "scram_user", "md5_user", "password_user"])
@pytest.mark.parametrize("more", [b"", b"p\0\0\0\x64half"])
def test_client_leaves_during_log_in(pg, proxy, user, how, more):
    with pg.admin() as a, proxy.dial() as c:
        c.send(proto.startup({"user": user, "database": "app", "application_name": "leaves"}))
        if user != "app":
            c.recv()
        c.send(more)
        leave(c, how)
        servers.wait_for(lambda: a.value("SELECT count(*) FROM pg_stat_activity WHERE usename = '%s' AND pid <> "
                                         "pg_backend_pid()" % user) == "0" or user == "app", "the backend to end")
        servers.wait_for(lambda: a.value("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'leaves'") == "0",
                         "the backend to end")
        if how == "half":
            c.drain_raw()


@pytest.mark.parametrize("words", [b"", query("SELECT 'early'"), query("SELECT 'early'") + TERMINATE, query("SELECT")[:-3]])
def test_everything_at_once(both, words):
    """The whole conversation is sent, and the sending side closed, before the server has said anything."""
    def action(end):
        with end.dial() as c:
            c.send(proto.startup({"user": "app", "database": "app"}), words)
            c.sock.shutdown(socket.SHUT_WR)
            return c.to_end()
    assert proto.types(both(action)).count("Z") == (2 if b"early" in words else 1)


# ---- servers that are no better

def cpu_seconds(p):
    with open("/proc/%d/stat" % p.process.pid) as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Silent:
    """Logs everybody in and then says, reads and closes as little as it is told."""

    def __init__(self, reads=True):
        self.reads, self.got, self.socks = reads, [], []
        self.listener = socket.socket()
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.listener.bind(("127.0.0.1", 0))
        self.listener.listen(200)
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self.accept, daemon=True).start()

    def accept(self):
        with contextlib.suppress(OSError):
            while True:
                s, _ = self.listener.accept()
                self.socks.append(s)
                s.recv(10000)
                s.sendall(msg("R", struct.pack("!I", 0)) + msg("K", struct.pack("!II", 4711, len(self.socks))) + msg("Z", b"I"))
                if self.reads:
                    threading.Thread(target=self.read, args=(s,), daemon=True).start()

    def read(self, s):
        with contextlib.suppress(OSError):
            while True:
                self.got.append(s.recv(65536))
                if not self.got[-1]:
                    return

    def close(self):
        self.listener.close()
        for s in self.socks:
            s.close()


@pytest.fixture(params=[True, False], ids=["reads", "reads nothing"])
def silent(request):
    s = Silent(request.param)
    yield s
    s.close()


@pytest.mark.pgfold
@pytest.mark.parametrize("how", ["close", "reset"])
def test_server_that_never_closes(start_pgfold, silent, how):
    """It holds no link for ever, and SIGTERM ends. A client that has asked something, and whose end is no reset, waits for its answer."""
    p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable" % silent.port)
    before, asks = p.descriptors(), [query("SELECT 1"), query("SELECT 1") + TERMINATE, LARGE[:2_000_000]]
    for words in [b"", TERMINATE, *asks]:
        c = p.connect()
        with contextlib.suppress(TimeoutError):
            c.sock.settimeout(1)
            c.send(words)
        leave(c, how)
    may_stay = 0 if how == "reset" else 2 * len(asks)
    servers.wait_for(lambda: p.descriptors() <= before + may_stay, "the links to be closed")
    p.signal(signal.SIGTERM)
    assert p.process.wait(servers.STOP_SECONDS) == 0


@pytest.mark.pgfold
@pytest.mark.parametrize("write", [query("INSERT INTO scratch VALUES (1)"), proto.unit("DELETE FROM scratch WHERE a = $1", ["1"]), query("BEGIN; UPDATE scratch SET a = 2; COMMIT")],
                         ids=["insert", "extended", "several statements"])
def test_server_that_is_silent_behind_writes(start_pgfold, write):
    """Only its answer would tell when others see them, so each link waits: that costs no work and little memory, others are served, and neither the
    server's end nor SIGTERM waits for it."""
    silent, n = Silent(), 150
    p = start_pgfold({"pgfold.drain_timeout": "1s"}, server="host=127.0.0.1 port=%d sslmode=disable" % silent.port)
    try:
        p.connect().close()
        before, memory = p.descriptors(), p.status("VmRSS")
        for _ in range(n):
            c = p.connect()
            c.send(write)
            leave(c, "reset")
        servers.wait_for(lambda: sum(b"scratch" in x for x in silent.got) >= n, "the writes")
        servers.wait_for(lambda: p.descriptors() <= before + n, "the clients' ends to be noticed")
        assert p.descriptors() >= before + n - 2, "nobody waits for the answers"
        assert p.status("VmRSS") - memory < 100 * n, "kB"
        spent = cpu_seconds(p)
        time.sleep(1)
        assert cpu_seconds(p) - spent < 0.5
        with p.connect() as c:
            assert c.status == "I"
        for s in silent.socks[:n // 2]:
            s.close()
        servers.wait_for(lambda: p.descriptors() <= before + n - n // 2 + 5, "those whose server has closed")
        p.signal(signal.SIGTERM)
        assert p.process.wait(servers.STOP_SECONDS) == 0
    finally:
        silent.close()


@pytest.mark.pgfold
@pytest.mark.parametrize("words", LAST_WORDS)
def test_sigterm_ends(pg, start_pgfold, words):
    p = start_pgfold()
    conns = [p.connect() for _ in range(3)]
    for c, how in zip(conns, ["close", "reset", "half"]):
        if "LOCK" not in repr(LAST_WORDS[words][0]) or how == "close":
            say(c, LAST_WORDS[words])
        leave(c, how)
    p.signal(signal.SIGTERM)
    assert p.process.wait(servers.STOP_SECONDS) == 0


@pytest.mark.pgfold
def test_sigterm_with_a_statement_of_a_client_that_has_gone(pg, start_pgfold):
    p = start_pgfold()
    c, unix = p.connect(), p.connect(unix=True)
    c.send(query("SELECT pg_sleep(60)"))
    unix.send(query("SELECT pg_sleep(60)"))
    c.close()
    unix.close()
    with pg.admin() as a:
        p.signal(signal.SIGTERM)
        assert p.process.wait(servers.STOP_SECONDS) == 0
        for x in (c, unix):
            a.sql("SELECT pg_terminate_backend(%d)" % x.pid)


@pytest.mark.pgfold
def test_client_that_does_not_read_its_last_words(pg, start_pgfold):
    """The server has ended the session; the client reads nothing of what there is for it."""
    p = start_pgfold({"pgfold.drain_timeout": "2s"})
    c = p.connect()
    with pg.admin() as a:
        c.send(query("SELECT repeat('x', 1000000) FROM generate_series(1, 50)"))
        servers.wait_for(lambda: a.value("SELECT wait_event FROM pg_stat_activity WHERE pid = %d" % c.pid) == "ClientWrite",
                         "the server to wait for its reader")
        a.sql("SELECT pg_terminate_backend(%d)" % c.pid)
        servers.wait_for(lambda: is_gone(a, c.pid), "the backend to end")
    p.signal(signal.SIGTERM)
    assert p.process.wait(servers.STOP_SECONDS) == 0
    c.close()


# ---- TLS, on both sides

@pytest.fixture(scope="module")
def encrypted(pg):
    p = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=require" % pg.port, {
        "pgfold.client_tls": "require", "pgfold.client_tls_cert": pg.folder + "/server.crt",
        "pgfold.client_tls_key": pg.folder + "/server.key"})
    yield p
    p.stop()


@pytest.mark.pgfold
@pytest.mark.parametrize("how", ["close", "reset", "close_notify"])
@pytest.mark.parametrize("words", ["copy in a transaction", "half a large query in a transaction", "flush", "no sync", "terminate with a body"])
def test_ends_in_tls(pg, encrypted, words, how):
    """close_notify is an end, too: the client may still read, and the server, which is told the same way, closes."""
    with pg.admin() as a, encrypted.dial() as c:
        assert c.request_tls() == b"S"
        c.start_tls()
        c.login("app", "app")
        say(c, LAST_WORDS[words])
        if how == "close_notify":
            c.sock.settimeout(servers.STOP_SECONDS)
            with contextlib.suppress(OSError):
                c.sock.unwrap()  # says it, and waits for the other side's
        else:
            leave(c, how)
        servers.wait_for(lambda: is_gone(a, c.pid), "the backend of a client that has gone to end")
