# SPDX-License-Identifier: PostgreSQL
"""Folding: lookups that arrive together reach the server as few statements, and each gets the bytes it would have got.

The table is locked while the lookups are sent, so that they pile up in pgfold; see Folding in conftest.py. Through
PostgreSQL itself (PGFOLD_BIN=direct) the same tests prove that what they expect is right."""
import random
import struct
import time
import uuid

import pytest

import conftest
import proto
from busy import unless_busy
from proto import SYNC, bind, describe, execute, parse, query, unit

N = 30
KEYS = [1, 2, 3, 3, 3, 99999, 0, -5, 1, 6, 2000, 2147483647, -2147483648] + list(range(7, 7 + N - 13))
INT4 = struct.Struct("!i")


def simple(sql):
    return lambda key: query(sql % key)


def extended(sql, **kw):
    return lambda key: unit(sql, [key], **kw)


SHAPES = {
    "simple": ("item", KEYS, simple("SELECT * FROM item WHERE id = %d")),
    "simple quoted": ("item", KEYS, simple("SELECT name FROM item WHERE id = '%d'")),
    "simple reversed": ("item", KEYS, simple("SELECT id, name FROM item WHERE %d = id")),
    "simple alias": ("item", KEYS, simple('SELECT "i"."name" AS "i_name", i.id FROM "item" AS "i" WHERE "i"."id" = %d')),
    "simple constants": ("item", KEYS, simple("SELECT id, 'x' AS c, 5 FROM item WHERE id = %d AND flag = true AND ratio < 1e9")),
    "simple comment": ("item", KEYS, simple("/* page 1 */ SELECT id FROM item -- why\n WHERE id = %d ; ")),
    "simple no key column": ("item", KEYS, simple("SELECT note, raw, at FROM item WHERE id = %d")),
    "text": ("item", KEYS, extended("SELECT * FROM item WHERE id = $1")),
    "typed": ("item", KEYS, extended("SELECT * FROM item WHERE id = $1", types=(23,))),
    "binary results": ("item", KEYS, extended("SELECT * FROM item WHERE id = $1", result_formats=(1,))),
    "mixed results": ("item", KEYS, extended("SELECT id, name, price FROM item WHERE id = $1", result_formats=(1, 0, 1))),
    "binary": ("item", KEYS, lambda k: unit("SELECT * FROM item WHERE id = $1", [INT4.pack(k)], types=(23,), formats=(1,),
                                            result_formats=(1,))),
    "int8 parameter": ("item", KEYS, lambda k: unit("SELECT * FROM item WHERE id = $1", [struct.pack("!q", k)], types=(20,),
                                                    formats=(1,))),
    "second parameter": ("item", KEYS, lambda k: unit("SELECT name FROM item WHERE flag = $1 AND id = $2", ["t", k])),
    "in list": ("item", KEYS, extended("SELECT id, name FROM item WHERE id IN ($1)")),
    "cast": ("item", KEYS, extended("SELECT id, name FROM item WHERE id = $1::int")),
    "children": ("child", KEYS, simple("SELECT * FROM child WHERE item_id = %d")),
    "children extended": ("child", KEYS, extended("SELECT id, body FROM child WHERE item_id = $1", result_formats=(1,))),
    "wide": ("big", [k % 210 for k in range(N)], simple("SELECT * FROM big WHERE id = %d")),
    "wide extended": ("big", [k % 210 for k in range(N)], extended("SELECT * FROM big WHERE id = $1")),
}
UUIDS = [str(uuid.UUID(__import__("hashlib").md5(str(i).encode()).hexdigest())) for i in range(1, N)] + [str(uuid.UUID(int=0))]
SHAPES["uuid"] = ("thing", UUIDS, lambda k: query("SELECT * FROM thing WHERE id = '%s'" % k))
SHAPES["uuid text"] = ("thing", UUIDS, extended("SELECT * FROM thing WHERE id = $1"))
SHAPES["uuid binary"] = ("thing", UUIDS, lambda k: unit("SELECT * FROM thing WHERE id = $1", [uuid.UUID(k).bytes], types=(2950,),
                                                        formats=(1,), result_formats=(1,)))


@pytest.mark.parametrize("shape", SHAPES)
def test_concurrent_lookups(pg, proxy, folding, shape):
    table, keys, make = SHAPES[shape]
    units = [make(k) for k in keys]
    conns = folding.connections(proxy, N)
    folding.folds_right(conns, units, table)


@pytest.mark.parametrize("binary", [False, True])
@pytest.mark.parametrize("sends_describe", [False, True])
def test_named_statements(pg, proxy, folding, binary, sends_describe):
    """Prepared once on each connection, then executed alone, as drivers do; with and without a Describe each time."""
    sql = "SELECT id, name, price, note, at, ratio FROM item WHERE id = $1"

    def prepare(c):
        return c.ask(parse(sql, "s1", (23,)), describe("S", "s1"), SYNC)

    def make(k):
        return unit("", [INT4.pack(k) if binary else k], name="s1", want_parse=False, want_describe=sends_describe,
                    formats=(1,) if binary else (), result_formats=(1,) if binary else ())
    units = [make(k) for k in KEYS]
    conns = folding.connections(proxy, N)
    with pg.connect() as d:
        prepared = prepare(d)
        assert all(prepare(c) == prepared for c in conns)
        folding.warm(conns, units, "item")
        replies, calls = folding.burst(conns, units, "item")
        assert replies == folding.expect(d, units)
    folding.assert_folded(calls, N)


def test_named_statements_of_different_names(pg, proxy, folding):
    """The name is the connection's own affair; the text makes the shape."""
    conns = folding.connections(proxy, N)
    for i, c in enumerate(conns):
        c.ask(parse("SELECT name FROM item WHERE id = $1", "stmt_%d" % i), describe("S", "stmt_%d" % i), SYNC)
    units = [unit("", [k], name="stmt_%d" % i, want_parse=False) for i, k in enumerate(KEYS)]
    folding.warm(conns, units, "item")
    replies, calls = folding.burst(conns, units, "item")
    with pg.connect() as d:
        assert replies == folding.expect(d, [unit("SELECT name FROM item WHERE id = $1", [k], want_parse=False, name="x")
                                             if i else parse("SELECT name FROM item WHERE id = $1", "x") + SYNC
                                             for i, k in enumerate([0] + KEYS)])[1:]
    folding.assert_folded(calls, N)


def test_prepare_and_execute_in_one_unit(pg, proxy, folding):
    """Parse (named), Bind, Describe, Execute, Sync the first time; then the statement must exist on its own connection."""
    sql = "SELECT id, name FROM item WHERE id = $1"
    conns = folding.connections(proxy, N)
    warm_up = folding.connections(proxy, N)
    folding.warm(warm_up, [unit(sql, [k]) for k in KEYS], "item")
    first = [unit(sql, [k], name="n") for k in KEYS]
    replies, _ = folding.burst(conns, first, "item")
    with pg.connect() as d:
        assert replies[0] == d.ask(first[0])
        again = [unit("", [k], name="n", want_parse=False) for k in KEYS]
        expected = folding.expect(d, again)
        assert [r[1:] for r in replies[1:]] == [e for e in expected[1:]]
        assert [c.ask(u) for c, u in zip(conns, again)] == expected
        # SQL-level view of it: the server knows the statement.
        assert {c.value("SELECT count(*) FROM pg_prepared_statements WHERE name = 'n'") for c in conns} == {"1"}


def test_different_shapes_at_once(pg, proxy, folding):
    """Several groups pile up together; nothing crosses from one to another."""
    makes = [simple("SELECT * FROM item WHERE id = %d"), simple("SELECT name FROM item WHERE id = %d"),
             extended("SELECT * FROM item WHERE id = $1"), extended("SELECT * FROM item WHERE id = $1", result_formats=(1,)),
             simple("SELECT * FROM item WHERE id = %d AND flag"), simple("SELECT count(*) FROM item WHERE id = %d")]
    units = [makes[i % len(makes)](KEYS[i // len(makes) % len(KEYS)]) for i in range(90)]
    conns = folding.connections(proxy, len(units))
    folding.warm(conns, units, "item")
    replies, calls = folding.burst(conns, units, "item")
    with pg.connect() as d:
        assert replies == folding.expect(d, units)


def test_different_constants_are_different_lookups(pg, proxy, folding):
    """Only the key varies within a batch: other constants and parameters must be equal."""
    units = [query("SELECT id, name, '%s' FROM item WHERE id = %d AND price > %d" % ("ab"[i % 2], KEYS[i], i % 3))
             for i in range(N)]
    units += [unit("SELECT id, $2::text FROM item WHERE id = $1 AND price > $3", [KEYS[i], "ab"[i % 2], i % 3]) for i in range(N)]
    conns = folding.connections(proxy, len(units))
    folding.warm(conns, units, "item")
    replies, _ = folding.burst(conns, units, "item")
    with pg.connect() as d:
        assert replies == folding.expect(d, units)


def test_volatile_and_locking_lookups_are_not_folded(pg, proxy, folding):
    for sql in ["SELECT id, clock_timestamp() < now() + interval '1 day' FROM item WHERE id = %d", "SELECT id FROM item WHERE id = %d FOR UPDATE",
                "SELECT id, random() >= 0 FROM item WHERE id = %d", "SELECT id, current_user FROM item WHERE id = %d"]:
        units = [query(sql % k) for k in range(1, 11)]
        conns = folding.connections(proxy, 10)
        for _ in range(3):
            replies, calls = folding.burst(conns, units, "item")
        with pg.connect() as d:
            assert replies == folding.expect(d, units)
        folding.assert_not_folded(calls, 10)
        for c in conns:
            c.close()


def test_lone_lookup_goes_out_at_once(proxy, folding):
    """Nothing of its shape in flight: the server gets exactly what the client sent."""
    c, = folding.connections(proxy, 1)
    folding.reset()
    for k in random.Random(1).sample(range(1, 40), 39):  # in steps they would be loaded ahead
        assert proto.rows(c.ask(query("SELECT name FROM item WHERE id = %d" % k))) == [[b"item %d" % k]]
    folding.assert_not_folded(folding.calls("item"), 39)


def test_parse_error_of_a_key(pg, proxy, folding):
    """One key that the server refuses: its sender gets the error, the others their rows."""
    units = [unit("SELECT name FROM item WHERE id = $1", [k]) for k in KEYS]
    conns = folding.connections(proxy, N)
    folding.warm(conns, units, "item")
    for bad in ("x", "99999999999", "", " 7 ", "0x10", None, "1.0", "+5", "007"):
        units[3] = unit("SELECT name FROM item WHERE id = $1", [bad])
        replies, _ = folding.burst(conns, units, "item")
        with pg.connect() as d:
            assert replies == folding.expect(d, units)


def test_simple_keys_out_of_range(pg, proxy, folding):
    texts = ["99999999999", "-99999999999", "9223372036854775808", "1.0", "1e2", "NULL", "'7'", "' 7'", "'x'", "007", "+7", "- 7",
             "7::int8", "7 + 0", "(7)", "0", "'0007'", "-2147483648", "2147483648", "1_000", "0x10"]
    makes = [query("SELECT name FROM item WHERE id = %s" % t) for t in texts]
    conns = folding.connections(proxy, len(makes))
    folding.warm(conns[:10], [query("SELECT name FROM item WHERE id = %d" % k) for k in KEYS[:10]], "item")
    replies, _ = folding.burst(conns, makes, "item")
    with pg.connect() as d:
        assert replies == folding.expect(d, makes)


# ---- one session that pipelines

@pytest.mark.parametrize("make", [simple("SELECT * FROM item WHERE id = %d"), extended("SELECT * FROM item WHERE id = $1")],
                         ids=["simple", "extended"])
def test_pipelined_lookups(pg, proxy, folding, make):
    units = [make(k % 2100) for k in range(300)]
    c, = folding.connections(proxy, 1)
    with pg.connect() as d:
        expected = [m for u in units for m in d.ask(u)]
    for _ in range(20):  # the first rounds vet the shape
        folding.reset()
        with folding.locked("item"):
            c.send(*units)
        assert c.ready(len(units)) == expected
        calls = folding.calls("item")
        if conftest.DIRECT or calls < 100:
            break
        time.sleep(0.1)
    folding.assert_folded(calls, len(units))


def test_ten_thousand_pipelined_lookups(pg, proxy, folding):
    c, = folding.connections(proxy, 1)
    keys = [k * 7 % 2100 for k in range(10000)]
    import threading
    sent = b"".join(unit("SELECT id, name FROM item WHERE id = $1", [k]) for k in keys)
    writer = threading.Thread(target=c.sock.sendall, args=(sent,), daemon=True)
    writer.start()
    got = c.ready(10000)
    writer.join()
    assert [int(r[0]) for r in proto.rows(got)] == [k for k in keys if 1 <= k <= 2000]


def test_order_of_pipelined_statements(pg, proxy, folding):
    """Lookups, then a transaction that writes, then lookups again: replies in order, and each sees what it must."""
    def action(end):
        c, = folding.connections(end, 1)
        c.ask(query("DELETE FROM scratch; INSERT INTO scratch SELECT i, 'old' FROM generate_series(1, 20) i"))
        look = [query("SELECT a, b FROM scratch WHERE a = %d" % k) for k in (1, 2, 3, 2, 1, 50)]
        write = [query(s) for s in ("BEGIN", "UPDATE scratch SET b = 'new' WHERE a = 2", "INSERT INTO scratch VALUES (50, 'fifty')")]
        late = [unit("SELECT a, b FROM scratch WHERE a = $1", [k]) for k in (2, 50)]
        sent = look + write + look + late + [query("ROLLBACK")] + look + [query("SELECT 1/0")] + look + [SYNC] + late
        return c.ask(*sent, count=len(sent))
    assert action(proxy) == action(pg)


def test_writes_between_pipelined_lookups(pg, proxy, folding):
    c, = folding.connections(proxy, 1)
    c.ask(query("TRUNCATE scratch; INSERT INTO scratch VALUES (1, '0')"))
    sent = []
    for i in range(200):
        sent += [query("SELECT b FROM scratch WHERE a = 1"), query("UPDATE scratch SET b = '%d' WHERE a = 1" % (i + 1))]
    got = c.ask(*sent, count=len(sent))
    assert [r[0] for r in proto.rows(got)] == [b"%d" % i for i in range(200)]


def test_read_after_anothers_write(pg, proxy, folding):
    """A lookup sent after another session's write was confirmed sees it, however full the group is."""
    readers, (writer,) = folding.connections(proxy, 10), folding.connections(proxy, 1)
    writer.ask(query("TRUNCATE scratch; INSERT INTO scratch SELECT i, '0' FROM generate_series(1, 20) i"))
    for i in range(1, 60):
        for n, c in enumerate(readers[:5]):
            c.send(query("SELECT b FROM scratch WHERE a = %d" % (n + 1)))
        writer.ask(query("UPDATE scratch SET b = '%d'" % i))
        for n, c in enumerate(readers[5:]):
            c.send(query("SELECT b FROM scratch WHERE a = %d" % (n + 1)))
        assert [proto.rows(c.ready())[0][0] for c in readers[5:]] == [b"%d" % i] * 5
        assert all(int(proto.rows(c.ready())[0][0]) in (i - 1, i) for c in readers[:5])


def test_lookups_with_other_traffic_behind(pg, proxy, folding):
    """Each session pipelines a lookup and something that is none; the order holds in each."""
    conns = folding.connections(proxy, N)
    lookups = [query("SELECT name FROM item WHERE id = %d" % k) for k in KEYS]
    folding.warm(conns, lookups, "item")
    with folding.locked("item"):
        for i, c in enumerate(conns):
            c.send(lookups[i], query("SELECT %d" % i), lookups[i], unit("SELECT $1::text", ["x%d" % i]), lookups[-1 - i])
    with pg.connect() as d:
        for i, c in enumerate(conns):
            sent = [lookups[i], query("SELECT %d" % i), lookups[i], unit("SELECT $1::text", ["x%d" % i]), lookups[-1 - i]]
            assert c.ready(5) == d.ask(*sent, count=5)


def test_max_keys(pg, long_lived, folding):
    p = long_lived(batching__max_keys="4")
    conns = folding.connections(p, N)
    units = [query("SELECT name FROM item WHERE id = %d" % k) for k in range(1, N + 1)]
    folding.warm(conns, units, "item")
    replies, calls = folding.burst(conns, units, "item")
    with pg.connect() as d:
        assert replies == folding.expect(d, units)
    assert conftest.DIRECT or N // 4 <= calls
    with unless_busy():
        assert conftest.DIRECT or calls < N


def test_window(pg, long_lived, folding):
    p = long_lived(batching__window="5ms")
    conns = folding.connections(p, N)
    units = [query("SELECT name FROM item WHERE id = %d" % k) for k in range(1, N + 1)]
    folding.folds_right(conns, units, "item")


def test_observe_forwards_all(pg, long_lived, folding):
    p = long_lived("observe")
    conns = folding.connections(p, N)
    units = [query("SELECT name FROM item WHERE id = %d" % k) for k in KEYS] 
    for _ in range(4):
        replies, calls = folding.burst(conns, units, "item")
        folding.assert_not_folded(calls, N)
    with pg.connect() as d:
        assert replies == folding.expect(d, units)
    units = [unit("SELECT name FROM item WHERE id = $1", [k]) for k in KEYS]
    replies, calls = folding.burst(conns, units, "item")
    folding.assert_not_folded(calls, N)


def test_answer_larger_than_the_limit(pg, long_lived, folding):
    """A batch whose answer passes max_answer: its members run alone, and get what is theirs."""
    p = long_lived(batching__max_answer="100000")
    conns = folding.connections(p, N)
    units = [query("SELECT * FROM big WHERE id = %d" % (k + 1)) for k in range(N)]
    with pg.connect() as d:
        expected = folding.expect(d, units)
    for _ in range(4):
        replies, _ = folding.burst(conns, units, "big")
        assert replies == expected
