# SPDX-License-Identifier: PostgreSQL
"""`server` is a libpq connection string: several hosts, what kind of server is wanted, sockets, URIs; replication."""
import struct

import pytest

import conftest
import proto
import servers
from proto import query

SUPER = servers.SUPERUSER


@pytest.fixture(scope="module")
def standby(pg):
    conftest.program("pg_basebackup")
    s = servers.Postgres(standby_of=pg)
    yield s
    s.remove()


def in_recovery(p):
    with p.connect(SUPER, "postgres") as c:
        return c.value("SELECT pg_is_in_recovery()") == "t"


@pytest.mark.pgfold
@pytest.mark.parametrize("form", [
    "host={dir} port={port}", "host=127.0.0.1 port={port}", "hostaddr=127.0.0.1 port={port} sslmode=disable",
    "host=localhost port={port} connect_timeout=5 keepalives_idle=30 tcp_user_timeout=5000",
    "postgresql://127.0.0.1:{port}/?sslmode=disable", "postgresql:///?host={dir}&port={port}", "host=127.0.0.1,127.0.0.1 port={port}"])
def test_forms(pg, start_pgfold, form):
    p = start_pgfold(server=form.format(dir=pg.socket_dir, port=pg.port))
    with p.connect() as c:
        assert c.value("SHOW port") == str(pg.port)


@pytest.mark.pgfold
def test_hosts_are_tried_in_order(pg, start_pgfold):
    p = start_pgfold(server="host=127.0.0.1,/no/such,127.0.0.1 port=%d,1,%d sslmode=disable" % (servers.free_port(), pg.port))
    with p.connect("scram_user", password="open sesame") as c:
        assert c.value("SHOW port") == str(pg.port)


@pytest.mark.pgfold
@pytest.mark.parametrize("attrs,recovery", [("any", True), ("primary", False), ("read-write", False), ("standby", True),
                                            ("read-only", True), ("prefer-standby", True)])
def test_target_session_attrs(pg, standby, start_pgfold, attrs, recovery):
    p = start_pgfold(server="host=127.0.0.1,127.0.0.1 port=%d,%d sslmode=disable target_session_attrs=%s" % (
        standby.port, pg.port, attrs))
    assert in_recovery(p) == recovery
    # Cancel goes to the host that the session is on.
    with p.connect(SUPER, "postgres") as c:
        c.send(query("SELECT pg_sleep(60)"))
        servers.wait_for(lambda: try_cancel(p, c), "the cancel")
        assert proto.errors(c.ready())[0]["C"] == "57014"


def try_cancel(p, c):
    with p.dial() as k:
        k.send(proto.cancel_request(c.pid, c.secret))
        k.drain_raw()
    return c.readable(0.2)


@pytest.mark.pgfold
def test_no_primary(standby, start_pgfold):
    p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable target_session_attrs=primary" % standby.port)
    with p.dial() as c:
        assert proto.errors(c.login(SUPER, "postgres"))[0]["C"] == "08001"


@pytest.mark.pgfold
def test_target_session_attrs_with_a_password(pg, standby, start_pgfold):
    """A log-in with a password can be relayed once: what is found out behind it comes too late, and is said."""
    form = "host=127.0.0.1,127.0.0.1 port=%d,%d sslmode=disable target_session_attrs=primary"
    wrong_first, right_first = (start_pgfold(server=form % ports) for ports in
                                ((standby.port, pg.port), (pg.port, standby.port)))
    for user in ("password_user", "md5_user", "scram_user"):
        with right_first.connect(user, password="open sesame") as c:
            assert c.value("SELECT pg_is_in_recovery()") == "f"
        with wrong_first.dial() as c:
            e = proto.errors(c.login(user, "app", "open sesame"))[0]
            assert e["C"] == "08001" and e["H"]


# ---- replication connections

def test_identify_system(both):
    def action(end):
        with end.connect(SUPER, "postgres", replication="true") as c:
            got = c.ask(query("IDENTIFY_SYSTEM"))
            return proto.types(got), proto.rows(got)[0][0]
    assert both(action)[0] == "TDCZ"


def test_logical_replication_takes_sql(both):
    def action(end):
        with end.connect(SUPER, "app", replication="database") as c:
            return c.ask(query("SELECT name FROM item WHERE id = 5")) + c.ask(query("SHOW port"))
    both(action)


def test_physical_replication_streams(pg, proxy):
    """COPY in both directions: WAL comes, status goes, the end is agreed on."""
    with proxy.connect(SUPER, "postgres", replication="true") as c, pg.admin() as a:
        start = proto.rows(c.ask(query("IDENTIFY_SYSTEM")))[0][2].decode()
        got = c.send(query("START_REPLICATION PHYSICAL %s" % start)).until("W")
        assert not proto.errors(got)
        a.sql("SELECT pg_logical_emit_message(false, 'test', repeat('wal', 1000000))")
        a.sql("CHECKPOINT")
        size = 0
        while size < 3000000:
            m = c.recv()
            assert m.type == "d"
            if m.body[:1] == b"w":
                size += len(m.body) - 25
                end = struct.unpack("!Q", m.body[1:9])[0] + len(m.body) - 25
                c.send(proto.msg("d", b"r" + struct.pack("!QQQQb", end, end, end, 0, 0)))
        got = c.send(proto.msg("c")).ready()
        assert proto.types([m for m in got if m.type != "d"]) == "cCCZ"
        assert len(proto.rows(c.ask(query("IDENTIFY_SYSTEM")))) == 1


def test_logical_replication_streams(pg, proxy):
    with proxy.connect(SUPER, "app", replication="database") as c, pg.admin() as a:
        got = c.ask(query("CREATE_REPLICATION_SLOT pgfold_test TEMPORARY LOGICAL pgoutput"))
        assert not proto.errors(got), got
        a.sql("DROP PUBLICATION IF EXISTS everything")
        a.sql("CREATE PUBLICATION everything FOR ALL TABLES")
        c.send(query("START_REPLICATION SLOT pgfold_test LOGICAL 0/0 (proto_version '1', publication_names 'everything')")).until("W")
        a.sql("INSERT INTO scratch VALUES (4242, 'streamed')")
        while b"streamed" not in c.recv().body:
            pass
        a.sql("DROP PUBLICATION everything")


def test_pg_basebackup(proxy, tmp_path):
    import shutil
    import subprocess
    target = tmp_path / "copy"
    done = subprocess.run([conftest.program("pg_basebackup"), "-h", "127.0.0.1", "-p", str(proxy.port), "-U", SUPER, "-D", str(target),
                           "-c", "fast", "--no-sync", "-X", "stream"], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    assert (target / "PG_VERSION").exists()
    shutil.rmtree(target)
