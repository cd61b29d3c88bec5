# SPDX-License-Identifier: PostgreSQL
"""Log-in is relayed: every method, right and wrong, over TCP and Unix sockets, answers as PostgreSQL does."""
import os
import subprocess

import pytest

import proto

PASSWORD = "open sesame"
METHODS = ["app", "password_user", "md5_user", "scram_user"]


def challenge_masked(messages):
    """Salts and nonces differ from login to login; their kind and length do not."""
    return [proto.Message("R", m.body[:4] + b"*" * (len(m.body) - 4)) if m.type == "R" else m for m in messages]


def login(user, password, unix, **kw):
    def action(end):
        with end.dial(unix) as c:
            return challenge_masked(c.login(user, "app", password, **kw))
    return action


@pytest.mark.parametrize("user", METHODS)
def test_login(both, user, unix):
    got = both(login(user, PASSWORD, unix))
    assert proto.types(got)[-1] == "Z" and "K" in proto.types(got)


@pytest.mark.parametrize("user", METHODS[1:])
def test_wrong_password(both, user, unix):
    got = both(login(user, "sesame", unix))
    assert proto.errors(got)[0]["C"] == "28P01"


@pytest.mark.parametrize("user", METHODS)
def test_login_one_byte_at_a_time(both, user):
    both(login(user, PASSWORD, False, slowly=True))


def test_empty_password(both):
    assert proto.errors(both(login("password_user", "", False)))


def test_unknown_database(both, unix):
    def action(end):
        with end.dial(unix) as c:
            return c.login("app", "no_such_database")
    assert proto.errors(both(action))[0]["C"] == "3D000"


def test_unknown_role(both):
    assert proto.errors(both(login("nobody_here", None, False)))[0]["C"] == "28000"


def test_no_user(both):
    def action(end):
        with end.dial() as c:
            c.send(proto.startup({"database": "app"}))
            return c.to_end()
    assert proto.errors(both(action))[0]["C"] == "28000"


def test_backend_key_is_the_servers_own(pg, proxy):
    with proxy.connect() as c, pg.admin() as a:
        assert c.value("SELECT pg_backend_pid()") == str(c.pid)
        assert a.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % c.pid) == "1"


def test_scram_offers_no_channel_binding_through_pgfold(pg, proxy):
    for end in (pg, proxy):
        with end.dial() as c:
            assert c.login("scram_user", "app", PASSWORD)[-1].type == "Z"
            assert c.mechanisms == ["SCRAM-SHA-256"]


@pytest.mark.parametrize("user", METHODS)
def test_libpq_logs_in(proxy, user, unix):
    env = dict(os.environ, PGPASSWORD=PASSWORD)
    target = "host=%s port=%d user=%s dbname=app sslmode=prefer gssencmode=prefer" % (
        proxy.socket_dir if unix else proxy.host, proxy.port, user)
    done = subprocess.run(["psql", "-XAtc", "SELECT current_user", target], env=env, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == (user + "\n", "")


@pytest.mark.parametrize("size", [10000, 10004, 10005])
def test_longest_startup_packet(both, size):
    """PostgreSQL's limit of 10000 leaves out the length word."""
    def action(end):
        params = {"user": "app", "database": "app", "application_name": ""}
        params["application_name"] = "x" * (size - len(proto.startup(params)))
        with end.dial() as c:
            c.send(proto.startup(params))
            try:
                return proto.types(c.until("Z", "E"))
            except (proto.Closed, ConnectionResetError):
                return "closed"
    assert both(action)[-1:] == ("d" if size > 10004 else "Z")
