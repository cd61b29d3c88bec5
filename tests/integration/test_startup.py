# SPDX-License-Identifier: PostgreSQL
"""What comes before log-in: start-up parameters, protocol versions, requests for encryption, packets that are none."""
import contextlib
import signal
import socket
import struct

import pytest

import proto
import servers


def start(params, version=proto.PROTOCOL_3_0):
    def action(end):
        with end.dial() as c:
            c.send(proto.startup(params, version))
            out = []
            while True:
                try:
                    out.append(c.recv())
                except proto.Closed as e:
                    assert not e.rest
                    return out
                if out[-1].type == "Z":
                    return out
    return action


BASE = {"user": "app", "database": "app"}


def test_parameters_are_forwarded(both):
    got = both(start({**BASE, "application_name": "the \"app\" ü", "DateStyle": "German, DMY", "TimeZone": "Asia/Tokyo",
                      "client_encoding": "LATIN1", "search_path": "pg_catalog"}))
    assert b"application_name\0" in proto.wire(got)


def test_options(proxy):
    with proxy.connect(options="-c statement_timeout=12345 -c work_mem=1MB") as c:
        assert c.value("SHOW statement_timeout") == "12345ms"
        assert c.value("SHOW work_mem") == "1MB"


def test_extra_float_digits(both):
    def action(end):
        with end.connect(extra_float_digits="-10") as c:
            return c.ask(proto.query("SELECT 1/3.0::float8"))
    assert proto.rows(both(action)) == [[b"0.33333"]]


def test_unknown_parameter(both):
    assert proto.errors(both(start({**BASE, "no_such_setting": "1"})))[0]["C"] == "42704"


def test_bad_value(both):
    assert proto.errors(both(start({**BASE, "statement_timeout": "soon"})))[0]["C"] == "22023"


def test_repeated_parameter(both):
    both(start([*BASE.items(), ("application_name", "one"), ("application_name", "two")]))


def test_database_defaults_to_the_user(both):
    assert proto.errors(both(start({"user": "other"})))[0]["C"] == "3D000"


def test_protocol_3_2_is_negotiated(both):
    got = both(start(BASE, proto.PROTOCOL_3_2))
    assert got[0].type in "vR" and got[-1].type == "Z"


def test_protocol_options_are_negotiated(both):
    got = both(start({**BASE, "_pq_.no_such_option": "1"}))
    assert got[0].type == "v" and b"_pq_.no_such_option" in got[0].body and got[-1].type == "Z"


@pytest.mark.parametrize("version", [0x00020000, 0x00040000, 0x0003ffff, 0, 0xffffffff])
def test_other_protocol_versions(both, version):
    def action(end):
        with end.dial() as c:
            c.send(proto.startup(BASE, version))
            try:
                return c.read_exact(1)  # version 2 gets an error in that version's form
            except proto.Closed:
                return b""
    both(action)


@pytest.mark.pgfold
def test_gss_request_is_refused(proxy):
    with proxy.dial() as c:
        assert c.send(proto.special_request(proto.GSS_REQUEST)).read_exact(1) == b"N"
        assert c.login("app", "app")[-1].type == "Z"


@pytest.mark.pgfold
def test_ssl_request_without_tls_is_refused(proxy):
    with proxy.dial() as c:
        assert c.request_tls() == b"N"
        assert c.login("app", "app")[-1].type == "Z"


@pytest.mark.pgfold
def test_ssl_then_gss_request(proxy):
    with proxy.dial() as c:
        assert c.request_tls() == b"N"
        assert c.send(proto.special_request(proto.GSS_REQUEST)).read_exact(1) == b"N"
        assert c.login("app", "app")[-1].type == "Z"


REQUESTS = {name: proto.special_request(code) for name, code in (("GSSAPI encryption", proto.GSS_REQUEST), ("SSL", proto.SSL_REQUEST))}


@pytest.mark.pgfold
@pytest.mark.parametrize("names", [("GSSAPI encryption", "SSL"), ("SSL", "GSSAPI encryption")])
def test_two_requests_in_any_pieces(proxy, names):
    data = b"".join(REQUESTS[n] for n in names)
    for cut in range(len(data)):
        with proxy.dial() as c:
            assert c.send(data[:cut]).send(data[cut:]).read_exact(2) == b"NN"
            assert c.login("app", "app")[-1].type == "Z"
    with proxy.dial() as c:
        assert c.send_slowly(data).read_exact(2) == b"NN"
        assert c.login("app", "app", slowly=True)[-1].type == "Z"


@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.parametrize("rest", [proto.startup(BASE), b"GET / HTTP/1.1\r\n", proto.cancel_request(1, b"1234"), b"\0\0\0\0\0\0\0\0"])
def test_what_comes_with_a_request_is_refused(pg, both, name, rest):
    if version(pg) < 140000:
        pytest.skip("this server says so in the protocol before 3.0")

    def action(end):
        with end.dial(unix=True) as c:
            assert c.send(REQUESTS[name] + rest).read_exact(1) == b"N"
            (error,) = proto.errors(c.to_end())
            return error["C"], error["M"]
    assert both(action) == ("08P01", "received unencrypted data after %s request" % name)


@pytest.mark.pgfold
def test_a_packet_with_the_second_request(proxy):
    with proxy.dial() as c:
        c.send(b"".join(REQUESTS.values()) + proto.startup(BASE))
        assert c.read_exact(2) == b"NN" and proto.errors(c.to_end())[0]["C"] == "08P01"


SUPER = [("user", "postgres"), ("database", "app")]


@pytest.mark.parametrize("values", [["true"], ["database"], ["off", "database"], ["database", "off"], ["ON", "fA"], ["no", "Y"], ["1", "0"], ["o"],
                                    ["bogus", "off"], [""]])
def test_replication_is_what_the_last_says(both, values):
    """IDENTIFY_SYSTEM is a statement of replication alone."""
    def action(end):
        with end.dial() as c:
            got = c.send(proto.startup(SUPER + [("replication", v) for v in values])).until("Z", "E")
            if got[-1].type == "E":
                return proto.errors(got)
            return proto.errors(c.ask(proto.query("IDENTIFY_SYSTEM"))), proto.types(c.ask(proto.query("SELECT 1")))
    both(action)


@pytest.mark.pgfold
@pytest.mark.parametrize("values,opaque", [(["off", "database"], True), (["database", "OFF"], False), (["fa"], False)])
def test_replication_is_relayed_unread(start_pgfold, values, opaque):
    p = start_pgfold()
    with p.dial() as c:
        c.send(proto.startup(SUPER + [("replication", v) for v in values])).until("Z")
        for _ in range(3):
            c.ask(proto.query("SELECT name FROM item WHERE id = 1"))
    p.signal(signal.SIGUSR1)
    servers.wait_for(lambda: "looked ahead" in p.log(), "the counters")
    assert ("lookups 0," in p.log()) == opaque


def test_user_and_database_given_twice(both):
    both(start([("user", "nobody"), ("database", "none"), *BASE.items(), ("options", "-c work_mem=x"), ("options", "-c work_mem=1MB")]))


@pytest.mark.pgfold
@pytest.mark.parametrize("code", [proto.GSS_REQUEST, proto.SSL_REQUEST])
def test_repeated_requests_do_not_go_on_for_ever(proxy, code):
    with proxy.dial() as c:
        answers = 0
        with contextlib.suppress(proto.Closed, OSError):
            while answers < 100 and c.send(proto.special_request(code)).read_exact(1) == b"N":
                answers += 1
        assert 1 <= answers < 100


def test_start_up_packet_of_10000_bytes(both):
    both(start({**BASE, "application_name": "x" * (10000 - 100)}))


@pytest.mark.pgfold
def test_start_up_packet_too_large(proxy):
    with proxy.dial() as c:
        c.send(proto.startup({**BASE, "application_name": "x" * 10001}))
        assert c.to_end() == []
    with proxy.connect() as c:
        assert c.value("SELECT 1") == "1"


@pytest.mark.parametrize("length", [0, 1, 3, 4, 7, 0x7fffffff, 0x80000000, 0xffffffff])
def test_hostile_length(both, length):
    assert both(say(struct.pack("!II", length, proto.PROTOCOL_3_0))) == b""


def say(*data, half=False):
    """All that the other side says to these bytes, up to its end."""
    def action(end):
        with end.dial() as c:
            c.send(*data)
            if half:
                c.sock.shutdown(socket.SHUT_WR)
            return c.drain_raw()
    return action


def version(pg):
    with pg.admin() as c:
        return int(c.value("SHOW server_version_num"))


# A driver that ends before it has logged in says Terminate (node-postgres), which cannot be a start-up packet.
@pytest.mark.parametrize("data", [proto.TERMINATE, proto.query("SELECT 1"), b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\0\5hello",
                                  proto.special_request(proto.CANCEL_REQUEST, b"1234"), proto.special_request(proto.CANCEL_REQUEST),
                                  proto.cancel_request(1, b"1234"), proto.cancel_request(1, b"x" * 300), b"x" * 20000])
def test_what_is_no_packet_is_closed_on_without_a_word(pg, both, data):
    if data[:1] == b"\x16" and version(pg) >= 170000:
        pytest.skip("TLS from the first byte on, which this server answers; see test_tls.py")
    assert both(say(data)) == b""


@pytest.mark.parametrize("n", [0, 1, 3, 4, 5, 8, 20])
def test_an_unfinished_packet_is_closed_on_without_a_word(both, n):
    assert both(say(proto.startup(BASE)[:n], half=True)) == b""


@pytest.mark.parametrize("packet", [b"\0\0\0\x08\0\0\0\0", b"\0\0\0\x08\0\4\0\0", b"\0\0\0\x08\0\3\0\0", proto.startup({"database": "app"})])
def test_what_is_a_bad_packet_is_answered(pg, both, packet):
    if packet[4:8] == b"\0\0\0\0" and version(pg) < 140000:
        pytest.skip("this server says something else to a protocol that there is not")
    def codes(end):
        with end.dial() as c:
            got = c.send(packet).drain_raw()
            return got[:1], b"C0A000" in got, b"C08P01" in got, b"C28000" in got
    assert both(codes)[0] == b"E"


@pytest.mark.parametrize("body", [b"user", b"user\0", b"user\0app", b"user\0app\0database", b"user\0app\0\0junk", b"\0\0\0"])
def test_malformed_parameters(both, body):
    def action(end):
        with end.dial() as c:
            c.send(struct.pack("!II", 8 + len(body), proto.PROTOCOL_3_0) + body)
            got = c.to_end()
            return [e["C"] for e in proto.errors(got)]
    assert both(action)


def test_http_request(proxy):
    with proxy.dial() as c:
        c.send(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        c.drain_raw()
    with proxy.connect() as c:
        assert c.value("SELECT 1") == "1"


@pytest.mark.parametrize("data", [b"", b"\0", proto.startup(BASE)[:11]])
def test_client_that_leaves_before_log_in(proxy, data):
    for _ in range(5):
        with proxy.dial() as c:
            c.send(data)
    with proxy.connect() as c:
        assert c.value("SELECT 1") == "1"


def test_client_that_leaves_during_log_in(pg, proxy):
    for _ in range(5):
        with proxy.dial() as c:
            c.send(proto.startup({"user": "scram_user", "database": "app"}))
            c.recv()
    with pg.admin() as a:
        servers.wait_for(lambda: a.value("SELECT count(*) FROM pg_stat_activity WHERE usename = 'scram_user'") == "0",
                         "the server connections to be closed")
