# SPDX-License-Identifier: PostgreSQL
"""TLS on either leg, in every mode; what is stuffed before it; the one combination that cannot work."""
import contextlib
import os
import re
import select
import signal
import ssl
import subprocess

import pytest

import conftest
import proto
import servers

PASSWORD = "open sesame"
SIMPLE = "SELECT ssl, version FROM pg_stat_ssl WHERE pid = pg_backend_pid()"


@pytest.fixture(scope="module")
def tls(pg, long_lived):
    """A pgfold with a certificate of its own; plain to the server."""
    def get(mode="allow"):
        return long_lived(pgfold__client_tls=mode, pgfold__client_tls_cert=pg.folder + "/server.crt",
                          pgfold__client_tls_key=pg.folder + "/server.key")
    return get


def conversation(c):
    big = os.urandom(300000)
    return c.ask(proto.query("SELECT name FROM item WHERE id = 5")) + \
        c.ask(proto.unit("SELECT $1", [big], types=(17,), formats=(1,), result_formats=(1,)))


def over_tls(end, **kw):
    c = end.dial()
    assert c.request_tls() == b"S"
    return c.start_tls(**kw)


@pytest.mark.parametrize("mode", ["allow", "require"])
@pytest.mark.parametrize("user", ["app", "password_user", "md5_user", "scram_user"])
def test_client_tls(pg, tls, mode, user):
    with over_tls(tls(mode), cafile=pg.cafile, server_name="localhost") as c, pg.connect() as d:
        assert c.login(user, "app", PASSWORD)[-1].type == "Z"
        assert c.sock.version() in ("TLSv1.2", "TLSv1.3")
        assert proto.types(conversation(c)) == proto.types(conversation(d))


def test_allow_takes_plain_clients(tls):
    with tls("allow").connect() as c:
        assert c.value("SELECT 1") == "1"


@pytest.mark.pgfold
def test_require_refuses_plain_clients(tls):
    with tls("require").dial() as c:
        got = c.login("app", "app")
        assert proto.errors(got)[0]["C"] == "28000" and "TLS" in proto.errors(got)[0]["M"] + proto.errors(got)[0].get("H", "")


def test_old_tls_is_refused(tls):
    with tls().dial() as c:
        assert c.request_tls() == b"S"
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
        with pytest.raises((ssl.SSLError, ConnectionError)):
            context.wrap_socket(c.sock)


@pytest.mark.pgfold
def test_direct_tls(pg, tls):
    """As libpq 17's sslnegotiation=direct: the handshake first, without a request, ALPN postgresql."""
    with tls("require").dial().start_tls(alpn="postgresql", cafile=pg.cafile) as c:
        assert c.sock.selected_alpn_protocol() == "postgresql"
        assert c.login("scram_user", "app", PASSWORD)[-1].type == "Z"
        assert len(proto.rows(conversation(c))) == 2


@pytest.mark.pgfold
@pytest.mark.parametrize("alpn", [None, "http/1.1"])
def test_direct_tls_without_the_right_alpn_is_refused(tls, alpn):
    with tls("require").dial() as c:
        try:
            c.start_tls(alpn=alpn)
            c.send(proto.startup({"user": "app", "database": "app"}))
            assert "R" not in proto.types(c.to_end())
        except (ssl.SSLError, OSError):
            pass


def test_alpn_of_a_requested_handshake(tls):
    with over_tls(tls(), alpn="postgresql") as c:
        assert c.login("app", "app")[-1].type == "Z"


@pytest.mark.pgfold
def test_records_of_at_most_8_kb(tls):
    """Some libpq clients stall on larger ones. The records' headers are read from the raw stream."""
    with tls().dial() as c:
        assert c.request_tls() == b"S"
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        tls_object = context.wrap_bio(incoming, outgoing)
        seen, sizes, plain = bytearray(), [], bytearray()

        def turn(action):
            while True:
                try:
                    result = action()
                    c.sock.sendall(outgoing.read())
                    return result
                except ssl.SSLWantReadError:
                    c.sock.sendall(outgoing.read())
                    chunk = c.sock.recv(65536)
                    assert chunk
                    seen.extend(chunk)
                    incoming.write(chunk)
        turn(tls_object.do_handshake)
        turn(lambda: tls_object.write(proto.startup({"user": "app", "database": "app"}) +
                                      proto.query("SELECT repeat('x', 500000)")))
        while len(plain) < 500000:
            plain += turn(lambda: tls_object.read(65536))
        at = 0
        while at + 5 <= len(seen):
            sizes.append(int.from_bytes(seen[at + 3:at + 5], "big"))
            at += 5 + sizes[-1]
        assert max(sizes) <= 8192 + 256 and len(sizes) > 50


@pytest.mark.pgfold
@pytest.mark.parametrize("stuffed", [proto.startup({"user": "app", "database": "app"}), b"\0", b"Q\0\0\0\5\0"])
def test_plaintext_behind_the_request_closes(tls, stuffed):
    with tls().dial() as c:
        c.send(proto.special_request(proto.SSL_REQUEST) + stuffed)
        got = c.drain_raw()
        assert got in (b"", b"S") or got[:1] == b"E" or got[:2] == b"SE"
        assert b"R\0\0\0\x08\0\0\0\0" not in got


def test_nonsense_instead_of_a_handshake(tls):
    for junk in (b"\x16\x03\x01\xff\xff", b"hello", b"\x16\x03\x01\0\x05hello"):
        with tls().dial() as c:
            c.request_tls()
            c.send(junk)
            c.sock.shutdown(1)
            c.drain_raw()
    with tls().connect() as c:
        assert c.value("SELECT 1") == "1"


def test_one_byte_of_tls_at_a_time(tls):
    with tls().dial() as c:
        c.send_slowly(proto.special_request(proto.SSL_REQUEST))
        assert c.read_exact(1) == b"S"
        c.start_tls()
        assert c.login("scram_user", "app", PASSWORD, slowly=True)[-1].type == "Z"
        assert len(proto.rows(conversation(c))) == 2


def test_cancel_over_tls(pg, tls):
    with over_tls(tls()) as c, pg.admin() as a:
        c.login("app", "app")
        c.send(proto.query("SELECT pg_sleep(60)"))
        servers.wait_for(lambda: a.value("SELECT state FROM pg_stat_activity WHERE pid = %d" % c.pid) == "active",
                         "the query to start")
        with over_tls(tls()) as other:
            other.send(proto.cancel_request(c.pid, c.secret))
            other.drain_raw()
        assert proto.errors(c.ready())[0]["C"] == "57014"


# ---- which keys, versions and ciphers

def without_settings():
    return {k: v for k, v in os.environ.items() if not k.startswith("PGFOLD_")}


def checked(pg, user, **settings):
    """--check-config with these settings of [pgfold], as a user: exit code and what was said."""
    values = {"client_tls": "require", "client_tls_cert": pg.folder + "/server.crt", "client_tls_key": pg.folder + "/server.key", **settings}
    command = ["setpriv", "--reuid=" + user, "--clear-groups"] if user else []
    command += [conftest.BINARY, "--check-config"] + [a for k, v in values.items() for a in ("--set", "pgfold.%s=%s" % (k, v))]
    done = subprocess.run(command, capture_output=True, text=True, env=without_settings())
    return done.returncode, done.stdout + done.stderr


@pytest.fixture
def key(pg, tmp_path):
    """A copy of the server's key: key(mode, owner) sets who may read it."""
    tmp_path.chmod(0o755)
    for parent in list(tmp_path.parents)[:2]:
        parent.chmod(0o755)
    path = tmp_path / "copy.key"
    path.write_bytes(open(pg.folder + "/server.key", "rb").read())

    def change(mode, owner=0, group=0):
        path.chmod(mode)
        os.chown(path, owner, group)
        return str(path)
    return change


@pytest.mark.pgfold
@pytest.mark.skipif(os.geteuid() != 0, reason="changes owners")
def test_key_of_others(pg, key):
    """Root's file may be readable by a group that pgfold's user is in; a file of a third one is refused."""
    import pwd
    postgres, nobody = pwd.getpwnam("postgres"), pwd.getpwnam("nobody").pw_uid
    if subprocess.run(["setpriv", "--reuid=postgres", conftest.BINARY, "--version"], capture_output=True).returncode:
        pytest.skip("another user cannot run this binary")
    def refused(*who, user="postgres"):
        code, said = checked(pg, user, client_tls_key=key(*who))
        assert code in (0, 1) and (code == 0) == (said == "configuration is valid\n"), said
        return said if code else None
    assert refused(0o600, postgres.pw_uid) is None
    assert "has group or world access: make it u=rw (0600)" in refused(0o640, postgres.pw_uid)
    assert "has group or world access" in refused(0o604, postgres.pw_uid)
    assert "must be owned by" in refused(0o644, nobody)
    assert refused(0o640, 0, user=None) is None
    assert "has group or world access" in refused(0o644, 0, user=None)
    assert "has group or world access" in refused(0o644, nobody, user=None)
    assert "Permission denied" in refused(0o600, 0)
    subprocess.run(["setpriv", "--reuid=postgres", "--regid=%d" % postgres.pw_gid, "--clear-groups", conftest.BINARY, "--check-config",
                    "--set", "pgfold.client_tls=allow", "--set", "pgfold.client_tls_cert=%s/server.crt" % pg.folder,
                    "--set", "pgfold.client_tls_key=" + key(0o640, 0, postgres.pw_gid)], check=True, capture_output=True,
                   env=without_settings())


@pytest.mark.pgfold
def test_key_that_became_readable_is_refused_at_a_reload(pg, start_pgfold, key):
    path = key(0o600)
    p = start_pgfold({"pgfold.client_tls": "require", "pgfold.client_tls_cert": pg.folder + "/server.crt", "pgfold.client_tls_key": path})
    os.chmod(path, 0o644)
    p.signal(signal.SIGHUP)
    servers.wait_for(lambda: re.search("was not reloaded: .*group or world access", p.log()), "the reload to be refused")
    with over_tls(p) as c:
        assert c.login("app", "app")[-1].type == "Z"


@pytest.mark.pgfold
@pytest.mark.parametrize("settings,says", [({"client_tls_min_version": "SSLv3"}, "TLSv1.2, TLSv1.3"), ({"client_tls_ciphers": "nonsense"}, "pgfold: --set: pgfold.client_tls_ciphers: \"nonsense\" names no cipher"),
                                           ({"client_tls_key": "/none"}, "pgfold: --set: pgfold.client_tls_key: could not access private key file"),
                                           ({"client_tls_cert": "/none"}, "pgfold: --set: pgfold.client_tls_cert: could not load certificate file"),
                                           ({"client_tls_ciphers": ""}, "client_tls_ciphers is empty")])
def test_bad_settings(pg, settings, says):
    code, said = checked(pg, None, **settings)
    assert code == 1 and says in said


@pytest.mark.pgfold
@pytest.mark.parametrize("settings,note", [
    ({"client_tls_min_version": "TLSv1"}, "pgfold.client_tls_min_version is below TLSv1.2, but pgfold.client_tls_ciphers has no cipher for such versions; "),
    ({"client_tls_min_version": "TLSv1", "client_tls_ciphers": "ALL:@SECLEVEL=0"}, None),
    ({"client_tls": "disable"}, "neither used nor checked while pgfold.client_tls = disable: pgfold.client_tls_cert, pgfold.client_tls_key; "),
])
def test_notes_of_settings_that_do_nothing(pg, settings, note):
    code, said = checked(pg, None, **settings)
    assert code == 0 and said.splitlines()[0] == "configuration is valid"
    assert said.count("note: ") == (note is not None) and (note or "") in said


def handshake(end, ciphers=None, version=None):
    """The version and the cipher; None where there is no agreement."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1
    if version:
        context.maximum_version = version
    if ciphers:
        context.set_ciphers(ciphers + ":@SECLEVEL=0")
    with end.dial() as c:
        assert c.request_tls() == b"S"
        try:
            c.sock = context.wrap_socket(c.sock)
            return c.sock.version(), c.sock.cipher()[0]
        except (ssl.SSLError, ConnectionError):
            return None


OLD = ["AES128-SHA", "AES256-SHA256", "AES128-GCM-SHA256", "ECDHE-RSA-AES128-SHA", "ECDHE-RSA-AES256-SHA384", "DHE-RSA-AES128-SHA256", "ADH-AES128-GCM-SHA256"]
TLS12 = ssl.TLSVersion.TLSv1_2


@pytest.mark.pgfold
def test_ciphers_of_the_default(tls):
    for cipher in OLD:
        assert handshake(tls(), cipher, TLS12) is None, cipher
    for cipher in ("ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"):
        assert handshake(tls(), cipher, TLS12) == ("TLSv1.2", cipher)
    assert handshake(tls())[0] == "TLSv1.3"


@pytest.mark.pgfold
def test_ciphers_and_versions_of_the_settings(pg, long_lived):
    def get(**settings):
        return long_lived(pgfold__client_tls="allow", pgfold__client_tls_cert=pg.folder + "/server.crt",
                          pgfold__client_tls_key=pg.folder + "/server.key", **settings)
    assert handshake(get(pgfold__client_tls_min_version="1.3"), version=TLS12) is None
    assert handshake(get(pgfold__client_tls_min_version="1.3"))[0] == "TLSv1.3"
    old = get(pgfold__client_tls_min_version="TLSv1", pgfold__client_tls_ciphers="AES128-SHA:DHE-RSA-AES128-GCM-SHA256:@SECLEVEL=0")
    assert handshake(old, "AES128-SHA", TLS12) == ("TLSv1.2", "AES128-SHA")
    assert handshake(old, "DHE-RSA-AES128-GCM-SHA256", TLS12) == ("TLSv1.2", "DHE-RSA-AES128-GCM-SHA256")
    assert handshake(old, "AES128-SHA", ssl.TLSVersion.TLSv1) == ("TLSv1", "AES128-SHA")


# ---- the server's leg

@pytest.mark.pgfold
@pytest.mark.parametrize("sslmode,encrypted", [("disable", "f"), ("allow", "f"), ("prefer", "t"), ("require", "t"),
                                               ("verify-ca", "t"), ("verify-full", "t")])
def test_server_sslmode(pg, start_pgfold, sslmode, encrypted):
    root = " sslrootcert=" + pg.cafile if sslmode.startswith("verify") else ""
    p = start_pgfold(server="host=localhost hostaddr=127.0.0.1 port=%d sslmode=%s%s" % (pg.port, sslmode, root))
    for user in ("app", "md5_user", "scram_user"):
        with p.connect(user, password=PASSWORD) as c:
            assert c.sql(SIMPLE)[0][0] == encrypted
            assert len(proto.rows(conversation(c))) == 2


@pytest.mark.pgfold
def test_server_name_is_checked(pg, start_pgfold, tmp_path):
    p = start_pgfold(server="host=wrong.example hostaddr=127.0.0.1 port=%d sslmode=verify-full sslrootcert=%s"
                     % (pg.port, pg.cafile))
    with p.dial() as c:
        assert proto.errors(c.login("app", "app"))[0]["C"] == "08001"


@pytest.mark.pgfold
def test_server_authority_is_checked(pg, start_pgfold, tmp_path):
    subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "3", "-subj", "/CN=another",
                    "-keyout", tmp_path / "k", "-out", tmp_path / "c"], check=True, capture_output=True)
    p = start_pgfold(server="host=localhost hostaddr=127.0.0.1 port=%d sslmode=verify-ca sslrootcert=%s"
                     % (pg.port, tmp_path / "c"))
    with p.dial() as c:
        assert proto.errors(c.login("app", "app"))[0]["C"] == "08001"


@pytest.mark.pgfold
def test_hba_refusal_of_plain_is_relayed(pg, proxy):
    """sslmode=disable, and the server wants TLS: its own words reach the client."""
    with pg.dial() as d, proxy.dial() as c:
        assert c.login("tls_user", "app") == d.login("tls_user", "app")


# ---- both legs

@pytest.fixture(scope="module")
def tls_twice(pg):
    p = servers.Direct(pg) if conftest.DIRECT else servers.Pgfold(conftest.BINARY, "host=127.0.0.1 port=%d sslmode=require" % pg.port, {
        "pgfold.client_tls": "allow", "pgfold.client_tls_cert": pg.folder + "/server.crt",
        "pgfold.client_tls_key": pg.folder + "/server.key"})
    yield p
    p.stop()


@pytest.mark.parametrize("user", ["app", "password_user", "md5_user", "scram_user"])
def test_both_legs(tls_twice, user):
    """A client that does no channel binding (gs2 flag n) gets through."""
    with over_tls(tls_twice) as c:
        assert c.login(user, "app", PASSWORD)[-1].type == "Z"
        assert len(proto.rows(conversation(c))) == 2
        if user == "scram_user" and not conftest.DIRECT:
            assert c.mechanisms == ["SCRAM-SHA-256"]


@pytest.mark.pgfold
def test_both_legs_with_channel_binding_get_a_clear_error(tls_twice):
    """Flag y: "I could bind the channel, but you offer no -PLUS" looks like a downgrade to the server."""
    with over_tls(tls_twice) as c:
        e = proto.errors(c.login("scram_user", "app", PASSWORD, binding=b"y,,"))[0]
        assert "channel binding" in e["M"] + e.get("D", "") and e.get("H"), e
        assert e["S"] == "FATAL" and len(e["C"]) == 5


@pytest.mark.pgfold
def test_both_legs_with_libpq(tls_twice):
    def psql(extra):
        return subprocess.run(["psql", "-XAtc", "SELECT 1", "host=127.0.0.1 port=%d user=scram_user dbname=app %s" % (
            tls_twice.port, extra)], env=dict(os.environ, PGPASSWORD=PASSWORD), capture_output=True, text=True)
    refused = psql("sslmode=require")
    assert refused.returncode and "channel binding" in refused.stderr
    assert psql("sslmode=require channel_binding=disable").stdout == "1\n"
    assert psql("sslmode=disable").stdout == "1\n"


def test_both_directions_full_over_tls(tls_twice):
    """The deadlock that a TLS pair is prone to: each side waits for the other to read."""
    sql = proto.query("SELECT repeat('x', 100000), '%s'" % ("y" * 100000))
    with over_tls(tls_twice) as c:
        c.login("app", "app")
        c.sock.setblocking(False)
        out, got, want = memoryview(sql * 60), 0, 60 * 200000
        while got < want:
            r, w, _ = select.select([c.sock], [c.sock] if out else [], [], proto.TIMEOUT)
            assert r or w, "neither direction moves"
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                if w:  # reads only when no more can be written
                    out = out[c.sock.send(out[:16384]):]
                    continue
            with contextlib.suppress(ssl.SSLWantReadError, ssl.SSLWantWriteError):
                got += len(c.sock.recv(1 << 16))
