# SPDX-License-Identifier: PostgreSQL
"""Forwarding: each conversation is held with PostgreSQL and with pgfold, and the replies are equal byte for byte."""
import random
import socket
import struct
import threading
import time

import pytest

import conftest
import proto
import servers
from proto import FLUSH, SYNC, bind, close, describe, execute, msg, parse, query, unit

EXTENDED = [parse("SELECT $1::int + 1, $2::text"), bind([41, "x"]), describe(), execute(), SYNC]
SIMPLE = [
    "SELECT 1", "SELECT 1; SELECT 'two'; SELECT NULL", "", ";", "   ", "SELECT", "SELECT 1/0", "SELEC 1",
    "SELECT 1; SELECT 1/0; SELECT 2", "SELECT * FROM generate_series(1, 3000) g", "SELECT repeat('x', 1000000)",
    "VALUES (1, 'a'), (2, NULL)", "SHOW server_version", "EXPLAIN SELECT 1", "SET application_name = 'new name'; SELECT 1",
    "DO $$ BEGIN RAISE NOTICE 'one'; RAISE WARNING 'two'; END $$", "BEGIN; SELECT 1; ROLLBACK", "COMMIT", "BEGIN; SELECT 1/0",
    "TRUNCATE scratch; INSERT INTO scratch VALUES (1), (2) RETURNING a; UPDATE scratch SET a = 3; DELETE FROM scratch",
    "DISCARD ALL", "SET client_encoding = 'LATIN1'; SELECT '\u00fc'", "SELECT 'a\tb\nc', E'\\\\x00', '\\x00ff'::bytea",
    "SELECT * FROM item WHERE id = 7", "SELECT * FROM item WHERE id = 7; SELECT 1", "SELECT * FROM no_such_table WHERE id = 1",
    "select id /* a comment */ from item -- another\n where id = 12", "SELECT name FROM item WHERE id = '13'",
    "SELECT name FROM item WHERE id = 99999", "SELECT name FROM item WHERE id = NULL", "SELECT name FROM item WHERE id = -1",
    "SELECT name FROM item WHERE id = 99999999999999999999", "SELECT name FROM item WHERE id = 1.5",
    "SELECT label FROM thing WHERE id = 'c4ca4238-a0b9-2382-0dcc-509a6f75849b'",
    "SELECT label FROM thing WHERE id = '{C4CA4238A0B923820DCC509A6F75849B}'", "SELECT label FROM thing WHERE id = 'nonsense'",
    "SELECT body FROM child WHERE item_id = 5", "SELECT * FROM item WHERE id = 3 FOR UPDATE", "SELECT ctid, xmin FROM item WHERE id = 3",
]


@pytest.mark.parametrize("sql", SIMPLE)
def test_simple_query(both, sql):
    def action(end):
        with end.connect() as c:
            return c.ask(query(sql)) + c.ask(query("SELECT 'still here'"))
    both(action)


def test_simple_queries_pipelined(both):
    def action(end):
        with end.connect() as c:
            return c.ask(*(query(s) for s in SIMPLE if s != "DISCARD ALL"), count=len(SIMPLE) - 1)
    both(action)


@pytest.mark.parametrize("name", ["", "stmt"])
@pytest.mark.parametrize("formats", [(), (0,), (1,)])
def test_extended_query(both, name, formats):
    def action(end):
        with end.connect() as c:
            return c.ask(unit("SELECT i, i::text, NULL, 1.5::float8 FROM generate_series(1, $1::int) i", [3],
                              name=name, result_formats=formats))
    both(action)


def test_describe_and_close(both):
    def action(end):
        with end.connect() as c:
            return c.ask(parse("SELECT $1::int, $2", "s", [0, 25]), describe("S", "s"), bind([1, "a"], "s", "p"),
                         describe("P", "p"), execute(0, "p"), close("P", "p"), close("S", "s"), close("S", "never"),
                         SYNC) + c.ask(bind([], "s"), SYNC)
    got = both(action)
    assert proto.errors(got)[-1]["C"] == "26000"


def test_binary_parameters(both):
    def action(end):
        with end.connect() as c:
            values = [struct.pack("!i", 7), struct.pack("!d", 0.1), b"\x00\xff'"]
            return c.ask(unit("SELECT $1, $2, $3", values, types=(23, 701, 17), formats=(1,), result_formats=(1,)))
    both(action)


def test_portal_with_row_limits(both):
    def action(end):
        with end.connect() as c:
            return c.ask(parse("SELECT i FROM generate_series(1, 10) i"), bind(portal="p"), execute(3, "p"), execute(3, "p"),
                         FLUSH, execute(100, "p"), execute(1, "p"), close("P", "p"), SYNC)
    assert proto.types(both(action)).count("s") == 2


def test_portal_with_row_limit_across_flush(both):
    def action(end):
        with end.connect() as c:
            out = c.send(query("BEGIN")).ready()
            out += c.send(parse("SELECT * FROM item WHERE id = $1 OR id < 9"), bind([1], portal="p"), FLUSH).until("2")
            for _ in range(5):
                out += c.send(execute(2, "p"), FLUSH).until("s", "C")
            return out + c.ask(SYNC) + c.ask(query("COMMIT"))
    both(action)


def test_lookup_with_row_limit(both):
    def action(end):
        with end.connect() as c:
            return c.ask(parse("SELECT body FROM child WHERE item_id = $1"), bind([5]), describe(), execute(2), SYNC)
    assert "s" in proto.types(both(action))


def test_error_skips_to_sync(both):
    def action(end):
        with end.connect() as c:
            return c.ask(parse("SELECT 1/$1::int"), bind([0]), execute(), bind([1]), execute(), SYNC,
                         *EXTENDED, parse("SELEC"), bind(), execute(), FLUSH, SYNC, *EXTENDED, count=4)
    both(action)


def test_flush_gives_the_answer_before_sync(both):
    def action(end):
        with end.connect() as c:
            out = c.send(parse("SELECT $1::int"), describe("S"), FLUSH).until("T")
            out += c.send(bind([5]), FLUSH).until("2")
            out += c.send(execute(), FLUSH).until("C")
            return out + c.ask(SYNC)
    both(action)


def test_flush_of_a_lookup(both):
    def action(end):
        with end.connect() as c:
            out = c.send(parse("SELECT * FROM item WHERE id = $1"), bind([5]), describe(), execute(), FLUSH).until("C")
            return out + c.ask(SYNC)
    both(action)


def test_several_executes_before_one_sync(both):
    def action(end):
        with end.connect() as c:
            one = [bind([5]), execute()]
            return c.ask(parse("SELECT * FROM item WHERE id = $1"), *one, *one, FLUSH, *one, SYNC)
    both(action)


def test_sync_alone_and_sync_again(both):
    def action(end):
        with end.connect() as c:
            return c.ask(SYNC) + c.ask(SYNC, SYNC, *EXTENDED, SYNC, query("SELECT 1"), SYNC, count=6)
    both(action)


def test_empty_extended_query(both):
    def action(end):
        with end.connect() as c:
            return c.ask(parse(""), bind(), describe(), execute(), SYNC)
    assert "I" in proto.types(both(action))


def test_prepared_statement_is_replaced_and_deallocated(both):
    def action(end):
        with end.connect() as c:
            out = c.ask(unit("SELECT name FROM item WHERE id = $1", [1], name="s"))
            out += c.ask(unit("SELECT price FROM item WHERE id = $1", [1], name="s"))  # 42P05: it exists
            out += c.ask(close("S", "s"), SYNC)
            out += c.ask(unit("SELECT price FROM item WHERE id = $1", [1], name="s"))
            out += c.ask(query("DEALLOCATE s"))
            return out + c.ask(unit("", [1], name="s", want_parse=False))
    got = both(action)
    assert [e["C"] for e in proto.errors(got)] == ["42P05", "26000"]


def test_unnamed_statement_is_lost_after_simple_query(both):
    def action(end):
        with end.connect() as c:
            sql = "SELECT name FROM item WHERE id = $1"
            return c.ask(unit(sql, [1])) + c.ask(query("SELECT name FROM item WHERE id = 2")) \
                + c.ask(unit(sql, [3], want_parse=False))
    assert proto.errors(both(action))[0]["C"] == "26000"


def test_random_extended_conversations(both):
    pieces = [parse("SELECT $1::int, $2::text"), bind([1, "x"]), describe(), describe("S"), execute(), execute(1), SYNC, FLUSH,
              close("P"), close("S"), parse("SELECT 1/$1::int", "z"), bind([0], "z"), describe("S", "z"), close("S", "z"),
              parse("SELECT * FROM item WHERE id = $1", "l"), bind([3], "l"), bind(["x"], "l"), close("S", "l")]

    def action(end):
        out = []
        for seed in range(40):
            with end.connect() as c:
                sent = random.Random(seed).choices(pieces, k=40) + [SYNC]
                out += c.ask(*sent, count=sent.count(SYNC))
        return out
    both(action)


# ---- COPY, functions, notifications

def test_copy_in(both):
    def action(end):
        with end.connect() as c:
            out = c.ask(query("TRUNCATE scratch"))
            out += c.send(query("COPY scratch FROM STDIN")).until("G")
            for i in range(1000):
                c.send(msg("d", b"%d\trow %d\n" % (i, i)))
            out += c.ask(msg("c"))
            return out + c.ask(query("SELECT count(*), sum(a) FROM scratch"))
    assert proto.rows(both(action)) == [[b"1000", b"499500"]]


def test_copy_in_sent_without_waiting(both):
    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            return c.ask(query("COPY scratch (a) FROM STDIN"), msg("d", b"1\n2\n"), msg("d", b"3\n"), msg("c"), query("TABLE scratch"), count=2)
    both(action)


def test_copy_in_fails(both):
    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            out = c.send(query("COPY scratch (a) FROM STDIN")).until("G")
            out += c.ask(msg("f", b"the client gives up\0"))
            # An error in the data: the rest is dropped up to CopyDone, also a Sync within.
            out += c.ask(query("COPY scratch (a) FROM STDIN"), msg("d", b"nonsense\n"), msg("d", b"1\n"), msg("c"))
            return out + c.ask(query("SELECT count(*) FROM scratch"))
    assert [e["C"] for e in proto.errors(both(action))] == ["57014", "22P02"]


def test_copy_in_extended(both):
    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            out = c.send(parse("COPY scratch (a) FROM STDIN"), bind(), describe(), execute(), SYNC).until("G")
            # PostgreSQL drops the Sync that came before CopyDone; the one behind it counts.
            out += c.ask(msg("d", b"1\n"), FLUSH, msg("c"), SYNC)
            return out + c.ask(query("TABLE scratch"))
    both(action)


def test_copy_out(both):
    def action(end):
        with end.connect() as c:
            return c.ask(query("COPY (SELECT * FROM item ORDER BY id) TO STDOUT")) + \
                c.ask(parse("COPY item TO STDOUT (FORMAT binary)"), bind(), execute(), SYNC)
    both(action)


def test_large_copy_in(both):
    """More than every buffer on the way holds, sent at once: back-pressure in the client's direction."""
    rows = b"".join(b"%d\t%s\n" % (i, b"y" * 900) for i in range(20000))

    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            c.send(query("COPY scratch FROM STDIN"))
            for at in range(0, len(rows), 700001):
                c.send(msg("d", rows[at:at + 700001]))
            return c.ask(msg("c"), query("SELECT count(*), sum(length(b)) FROM scratch"), count=2)
    assert proto.rows(both(action)) == [[b"20000", b"18000000"]]


def test_function_call(both):
    def action(end):
        with end.connect() as c:
            return c.ask(proto.function_call(1258, [b"abc", b"def"])) + c.ask(proto.function_call(1258, [b"abc", None])) \
                + c.ask(proto.function_call(4294967295, [])) + c.ask(query("SELECT 1"))
    assert "V" in proto.types(both(action))


def test_notify_reaches_an_idle_client_at_once(proxy):
    with proxy.connect() as listener, proxy.connect() as speaker:
        listener.ask(query("LISTEN news"))
        speaker.ask(query("NOTIFY news, 'extra extra'"))
        m = listener.recv()
        assert (m.type, m.body) == ("A", struct.pack("!I", speaker.pid) + b"news\0extra extra\0")
        # A notification that lies between the answers of a folded lookup's session and the next.
        for i in range(20):
            speaker.ask(query("NOTIFY news, '%d'" % i))
            listener.send(query("SELECT name FROM item WHERE id = %d" % (i + 1)))
        got = listener.ready(20)
        assert [r[0] for r in proto.rows(got)] == [b"item %d" % (i + 1) for i in range(20)]
        while proto.types(got).count("A") < 20:
            got.append(listener.recv())


def test_notices_come_at_once(proxy):
    with proxy.connect() as c:
        c.send(query("DO $$ BEGIN RAISE NOTICE 'early'; PERFORM pg_sleep(60); END $$"))
        m = c.recv()
        assert m.type == "N" and proto.fields(m.body)["M"] == "early"


def test_parameter_changes_are_reported(both):
    def action(end):
        with end.connect() as c:
            return c.ask(query("SET TIME ZONE 'Europe/Berlin'; SET DateStyle = 'SQL'")) + c.ask(query("BEGIN; SET TIME ZONE 1")) \
                + c.ask(query("ROLLBACK"))
    assert proto.types(both(action)).count("S") == 4


# ---- transactions

def test_transactions(both):
    def action(end):
        with end.connect() as c:
            out = []
            for s in ["BEGIN", "SELECT name FROM item WHERE id = 1", "SAVEPOINT a", "SELECT 1/0", "SELECT name FROM item WHERE id = 1",
                      "ROLLBACK TO a", "SELECT name FROM item WHERE id = 2", "COMMIT", "SELECT name FROM item WHERE id = 3",
                      "BEGIN ISOLATION LEVEL REPEATABLE READ", "SELECT name FROM item WHERE id = 4", "COMMIT AND CHAIN", "ROLLBACK"]:
                out += c.ask(query(s))
            return out
    both(action)


def test_implicit_transaction_of_a_pipeline(both):
    """Statements before one Sync succeed or fail together."""
    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            c.ask(parse("INSERT INTO scratch VALUES (1)"), bind(), execute(), parse("SELECT 1/0"), bind(), execute(), SYNC)
            return c.ask(query("SELECT count(*) FROM scratch"))
    assert proto.rows(both(action)) == [[b"0"]]


# ---- sizes, speeds, framing

def test_one_byte_at_a_time(both):
    def action(end):
        with end.connect() as c:
            c.ask(query("TRUNCATE scratch"))
            sent = b"".join([query("SELECT * FROM item WHERE id = 5"), *EXTENDED, unit("SELECT * FROM item WHERE id = $1", [6]),
                             query("COPY scratch (a) FROM STDIN"), msg("d", b"1\n"), msg("c"), query("TABLE scratch")])
            return c.send_slowly(sent).ready(5)
    both(action)


def test_cut_at_every_byte(both):
    sent = b"".join([query("SELECT name FROM item WHERE id = 5"), unit("SELECT name FROM item WHERE id = $1", [6]), *EXTENDED])

    def action(end):
        out = []
        with end.connect() as c:
            for at in range(1, len(sent)):
                c.send(sent[:at])
                time.sleep(0.0005)
                out += c.ask(sent[at:], count=3)
        return out
    both(action)


@pytest.mark.parametrize("size", [8000, 8192, 16383, 16384, 65536, 1 << 20, 5000000])
def test_large_messages_both_ways(both, size):
    value = random.Random(size).randbytes(size)

    def action(end):
        with end.connect() as c:
            return c.ask(unit("SELECT $1, length($1)", [value], types=(17,), formats=(1,), result_formats=(1,)))
    assert proto.rows(both(action))[0][0] == value


def test_large_query_text(both):
    sql = "SELECT %s AS n, name FROM item WHERE id = 5" % ("1 + " * 2000 + "1")
    comment = "/* " + "x" * 3000000 + " */ SELECT name FROM item WHERE id = 6"

    def action(end):
        with end.connect() as c:
            return c.ask(query(sql)) + c.ask(query(comment)) + c.ask(unit(comment, []))
    assert [r[-1] for r in proto.rows(both(action))] == [b"item 5", b"item 6", b"item 6"]


def test_both_directions_full(proxy):
    """A client that writes without reading, while the server writes without reading: no deadlock once it reads."""
    count, sql = 400, "SELECT repeat('x', 100000), %s"
    with proxy.connect() as c:
        sent = b"".join(query(sql % ("'" + "y" * 100000 + "'")) for _ in range(count))
        writer = threading.Thread(target=c.sock.sendall, args=(sent,), daemon=True)
        writer.start()
        time.sleep(0.5)  # both directions fill
        got = sum(1 for m in c.ready(count) if m.type == "D" and len(m.body) > 200000)
        writer.join(servers.STOP_SECONDS)
        assert got == count


def test_slow_reader_delays_nobody(proxy):
    with proxy.connect() as slow, proxy.connect() as quick:
        slow.send(query("SELECT repeat('x', 1000) FROM generate_series(1, 30000)"))
        for i in range(50):
            assert quick.value("SELECT name FROM item WHERE id = %d" % (i + 1)) == "item %d" % (i + 1)
        assert sum(1 for m in slow.ready() if m.type == "D") == 30000


@pytest.mark.pgfold
def test_large_value_in_bounded_memory(proxy, start_pgfold, request):
    """64 MB each way by default, 512 MB with --large; the proxy's peak memory stays far below the value's size."""
    mb = 512 if request.config.getoption("--large") else 64
    p = start_pgfold()
    p_before = p.status("VmHWM")
    with p.connect(timeout=600) as c:
        c.send(query("SELECT repeat('x', %d * 1048576)" % mb))
        left = receive_and_drop(c)
        assert left > mb << 20
        # And towards the server: one Bind message of that size, sent in pieces.
        head = bind([b""], formats=(1,))[1 + 4:]
        body_size = len(head) + (mb << 20)
        c.send(parse("SELECT length($1::bytea)", "", (17,)), b"B", struct.pack("!I", body_size + 4),
               head[:6], struct.pack("!H", 1), struct.pack("!i", mb << 20))
        piece = b"z" * (1 << 20)
        for _ in range(mb):
            c.send(piece)
        got = c.ask(struct.pack("!H", 0), execute(), SYNC)
        assert proto.rows(got) == [[str(mb << 20).encode()]]
    assert p.status("VmHWM") - p_before < 16 * 1024  # kB


def receive_and_drop(c):
    """Reads messages up to ReadyForQuery without keeping them; the number of bytes."""
    total = 0
    while True:
        head = c.read_exact(5)
        size = struct.unpack("!I", head[1:])[0] - 4
        total += size + 5
        while size:
            got = len(c.read_exact(min(size, 1 << 16)))
            size -= got
        if head[:1] == b"Z":
            return total


# ---- endings

def test_terminate(pg, proxy):
    c = proxy.connect()
    c.send(proto.TERMINATE)
    assert c.to_end() == []
    with pg.admin() as a:
        servers.wait_for(lambda: gone(a, c.pid), "the server connection to end")


def test_client_vanishes(pg, proxy):
    closed, reset, busy = proxy.connect(), proxy.connect(), proxy.connect()
    busy.send(query("SELECT pg_sleep(0.2)"))
    closed.close()
    reset.reset()
    busy.close()
    with pg.admin() as a:
        for c in (closed, reset, busy):
            servers.wait_for(lambda: gone(a, c.pid), "the server connection to end")


def test_half_close_after_a_query(both):
    """A client may shut its sending side and still read what it asked for."""
    def action(end):
        with end.connect() as c:
            c.send(query("SELECT repeat('x', 300000)"), proto.TERMINATE)
            c.sock.shutdown(socket.SHUT_WR)
            return c.to_end()
    assert proto.types(both(action)) == "TDCZ"


def test_server_ends_the_session(both, pg):
    def action(end):
        with end.connect() as c, pg.admin() as a:
            a.sql("SELECT pg_terminate_backend(%d)" % c.pid)
            return c.to_end()
    assert proto.errors(both(action))[0]["C"] == "57P01"


def test_server_ends_the_session_in_a_query(both, pg):
    def action(end):
        with end.connect() as c, pg.admin() as a:
            c.send(query("SELECT pg_sleep(60)"))
            servers.wait_for(lambda: a.value("SELECT state FROM pg_stat_activity WHERE pid = %d" % c.pid) == "active",
                             "the query to start")
            a.sql("SELECT pg_terminate_backend(%d)" % c.pid)
            return c.to_end()
    assert proto.errors(both(action))[0]["C"] == "57P01"


def test_idle_session_timeout(both, pg):
    with pg.admin() as a:
        if int(a.value("SHOW server_version_num")) < 140000:
            pytest.skip("needs PostgreSQL 14")

    def action(end):
        with end.connect() as c:
            c.ask(query("SET idle_session_timeout = 100"))
            return c.to_end()
    assert proto.errors(both(action))[0]["C"] == "57P05"


def gone(admin, pid):
    return admin.value("SELECT count(*) FROM pg_stat_activity WHERE pid = %d" % pid) == "0"


# ---- malformed traffic

@pytest.mark.parametrize("frame", [
    b"Q\0\0\0\0", b"Q\0\0\0\3", b"Q\x80\0\0\0", b"Q\xff\xff\xff\xff", b"Q\x7f\xff\xff\xff", b"P\0\0\0\1", b"B\xff\xff\xff\xfb",
    b"S\0\0\0\3", b"S\x40\0\0\0", b"\0\0\0\0\4", b"z\0\0\0\4", b"\xff\xff\xff\xff\xff"])
def test_malformed_frame(pg, proxy, frame):
    """PostgreSQL closes, for some with an error first; pgfold always says 08P01."""
    with pg.admin() as a:  # 13 waits for bodies of any length
        waits = frame[1:2] in (b"\x40", b"\x7f") and int(a.value("SHOW server_version_num")) < 140000
    for end in (proxy,) if waits and not conftest.DIRECT else () if waits else (pg, proxy):
        with end.connect() as c:
            c.send(frame)
            codes = [e["C"] for e in proto.errors(c.to_end())]
            assert codes == ["08P01"] or (isinstance(end, (servers.Postgres, servers.Direct)) and not codes)
    with proxy.connect() as c:
        assert c.value("SELECT 1") == "1"


@pytest.mark.parametrize("body", [b"", b"\0", b"no end", b"\0\0\0", b"\0\0\0\1", b"\0\0\0\0\0\1\xff\xff\xff\x00", b"\0\0\0\0\0\1\x7f\xff\xff\xff",
                                  b"\0\0\0\0\xff\xff", b"\0\0\xff\xff\0\0"])
@pytest.mark.parametrize("kind", ["P", "B", "D", "E", "C", "Q"])
def test_malformed_body(both, kind, body):
    """A sound frame with an unsound body is the server's to judge."""
    def action(end):
        with end.connect() as c:
            c.send(parse("SELECT name FROM item WHERE id = $1"), msg(kind, body), SYNC, query("SELECT 'after'"), proto.TERMINATE)
            return c.to_end()
    both(action)
