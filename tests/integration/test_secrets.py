# SPDX-License-Identifier: PostgreSQL
"""What a log-in says does not stay in memory, and a crash would not leave it in a file."""
import os
import resource
import secrets
import signal

import pytest

import conftest
import proto
import servers

pytestmark = pytest.mark.pgfold


def memory_of(pid):
    """All that the process can write to."""
    with open("/proc/%d/maps" % pid) as maps, open("/proc/%d/mem" % pid, "rb", 0) as memory:
        for line in maps:
            place, mode = line.split()[:2]
            low, high = (int(n, 16) for n in place.split("-"))
            if mode.startswith("rw") and high - low < 1 << 26:  # a sanitizer's own are larger
                try:
                    memory.seek(low)
                    yield memory.read(high - low)
                except (OSError, ValueError, OverflowError):  # a part that is not there
                    continue


def new_secret():
    """Repeats itself, so that each part of it, from 15 bytes on, has the mark in it."""
    mark = secrets.token_hex(4)
    return mark, mark * 100


def found(end, mark):
    return sum(part.count(mark.encode()) for part in memory_of(end.process.pid))


@pytest.fixture(scope="module")
def ends(pg, long_lived):
    files = {"pgfold__client_tls_cert": pg.folder + "/server.crt", "pgfold__client_tls_key": pg.folder + "/server.key"}
    both = servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=require" % pg.port, {
        "pgfold.client_tls": "allow", "pgfold.client_tls_cert": pg.folder + "/server.crt", "pgfold.client_tls_key": pg.folder + "/server.key"})
    yield {"plain": long_lived(), "client": long_lived(pgfold__client_tls="allow", **files), "both": both}
    both.stop()


def dial(ends, which):
    c = ends[which].dial()
    if which != "plain":
        assert c.request_tls() == b"S"
        c.start_tls()
    return c


def test_the_search_finds_something(ends):
    mark, _ = new_secret()
    with ends["plain"].connect() as c:
        c.send(proto.parse("SELECT '%s'" % mark)[:-3])  # the beginning of a message is kept
        servers.wait_for(lambda: found(ends["plain"], mark), "the statement to be found")


@pytest.mark.parametrize("which,right,pieces", [("plain", True, 1), ("plain", False, 7), ("client", True, 7), ("both", True, 1), ("both", False, 7)])
def test_password_is_wiped(pg, ends, which, right, pieces):
    mark, secret = new_secret()
    with pg.admin("postgres") as a:
        a.sql("ALTER ROLE password_user PASSWORD '%s'" % (secret if right else "another"))
    try:
        with dial(ends, which) as c:
            c.send(proto.startup({"user": "password_user", "database": "app"})).until("R")
            message = proto.msg("p", proto.cstr(secret))
            for i in range(pieces):
                c.send(message[len(message) * i // pieces:len(message) * (i + 1) // pieces])
                if i < 2 < pieces:
                    conftest.arrived([c])
            assert c.until("Z", "E")[-1].type == ("Z" if right else "E")
            if not right:
                c.to_end()
            assert found(ends[which], mark) == 0
    finally:
        with pg.admin("postgres") as a:
            a.sql("ALTER ROLE password_user PASSWORD 'open sesame'")


def test_password_of_a_client_that_leaves(ends):
    mark, secret = new_secret()
    with dial(ends, "plain") as c:
        c.send(proto.startup({"user": "password_user", "database": "app"})).until("R")
        c.send(proto.msg("p", proto.cstr(secret))[:-300])
        conftest.arrived([c])
    conftest.arrived([c])
    assert found(ends["plain"], mark) == 0


def test_core_dumps(start_pgfold):
    def limit(p):
        return resource.prlimit(p.process.pid, resource.RLIMIT_CORE)
    _, hard = resource.getrlimit(resource.RLIMIT_CORE)
    config = "[pgfold]\ncore_dumps = %s\n"
    p = start_pgfold(config=config % "on")
    assert limit(p) == (hard, hard)
    p.write_config(config % "off")
    p.signal(signal.SIGHUP)
    servers.wait_for(lambda: limit(p) == (0, hard), "the reload")
    assert limit(start_pgfold()) == (0, hard)
    assert (os.geteuid() == 0) == ("WARNING: pgfold runs as root" in p.log())
