# SPDX-License-Identifier: PostgreSQL
"""Keys that look like integers and are not, and types that the server deduces: whether such a statement is folded or not,
each reply is PostgreSQL's own."""
import struct

import pytest

from proto import query, unit

N = 20


def numeric(value, dscale):
    """numeric's binary form: digits, weight, sign, scale, and here at most one digit."""
    digits = [value] if value else []
    return struct.pack("!hhHh", len(digits), 0, 0, dscale) + b"".join(struct.pack("!h", d) for d in digits)


SHAPES = {
    # eight bytes, as an int8 has: 0.00, 0.01 … are all zero
    "numeric in eight bytes": lambda k: unit("SELECT id, name FROM item WHERE $1::numeric = id::int8", [numeric(0, k)], formats=(1,)),
    "numeric key": lambda k: unit("SELECT id, name FROM ledger WHERE $1::numeric = id", [numeric(0, k)], formats=(1,)),
    "numeric key with digits": lambda k: unit("SELECT id, name FROM ledger WHERE id = $1::numeric", [numeric(k, 0)], formats=(1,)),
    "array of text": lambda k: unit("SELECT id FROM item WHERE id = ANY (ARRAY[$1])", [k]),
    "array of quoted": lambda k: query("SELECT id FROM item WHERE id = ANY (ARRAY['%d'])" % k),
    "array with cast": lambda k: unit("SELECT id FROM item WHERE id = ANY (ARRAY[$1::int])", [k]),
    "array of integers": lambda k: query("SELECT id FROM item WHERE id = ANY (ARRAY[%d])" % k),
    "used twice": lambda k: unit("SELECT $1, id FROM item WHERE id = $1", [k]),
    "used twice, typed": lambda k: unit("SELECT $1, id FROM item WHERE id = $1", [k], types=(23,)),
    "quoted cast": lambda k: query("SELECT id, name FROM item WHERE id = '%d'::numeric" % k),
    "quoted with blank": lambda k: query("SELECT id, name FROM item WHERE id = ' %d'" % k),
    "leading zero": lambda k: query("SELECT id, name FROM item WHERE id = '00%d'" % k),
    "plus": lambda k: query("SELECT id, name FROM item WHERE id = +%d" % k),
    "decimal": lambda k: query("SELECT id, name FROM item WHERE id = %d.0" % k),
    "out of range": lambda k: query("SELECT id, name FROM item WHERE id = %d" % (2**31 + k)),
    "out of every range": lambda k: query("SELECT id, name FROM item WHERE id = %d" % (2**63 + k)),
    "out of range, quoted": lambda k: query("SELECT id, name FROM item WHERE id = '%d'" % (2**31 + k)),
    "smallint cast": lambda k: query("SELECT id, name FROM item WHERE id = %d::int2" % (32760 + k)),
    "not a number": lambda k: unit("SELECT id, name FROM item WHERE id = $1", ["x%d" % k]),
    "null": lambda k: unit("SELECT id, name FROM item WHERE id = $1", [None if k % 2 else k]),
    "text parameter": lambda k: unit("SELECT id, name FROM item WHERE id = $1", [k], types=(25,)),
    "moving time": lambda k: query("SELECT id, at < 'now' AS past FROM item WHERE id = %d AND at < 'tomorrow'" % k),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_replies_are_the_servers_own(pg, proxy, folding, shape):
    with pg.admin() as a:
        a.sql("CREATE TABLE IF NOT EXISTS ledger (id int8 PRIMARY KEY, name text)")
        a.sql("INSERT INTO ledger SELECT i, 'entry ' || i FROM generate_series(0, 40) i ON CONFLICT DO NOTHING")
        a.sql("GRANT SELECT ON ledger TO PUBLIC")
    conns = folding.connections(proxy, N)
    units = [SHAPES[shape](k) for k in range(1, N + 1)]
    with pg.connect() as d:
        expected = folding.expect(d, units)
    for _ in range(4):  # alone, vetted, folded where it can be
        replies, _ = folding.burst(conns, units, "ledger" if "ledger" in repr(units[0]) else "item")
        assert replies == expected


@pytest.mark.parametrize("make", [
    lambda k, c: query("SELECT id, name FROM item WHERE id = %d AND price > %d" % (k, c)),
    lambda k, c: unit("SELECT id, name FROM item WHERE id = $1 AND price > $2", [k, c]),
    lambda k, c: unit("SELECT id, name FROM item WHERE id = $1 LIMIT $2", [k, c]),
    lambda k, c: unit("SELECT id, name FROM item WHERE id = $1 LIMIT $2", [k, struct.pack("!h", c)], types=(0, 21), formats=(0, 1)),
    lambda k, c: unit("SELECT id, name FROM item WHERE id = $1 LIMIT $2", [k, None if c % 2 else c]),
    lambda k, c: query("SELECT id, name FROM item WHERE id = %d AND note LIKE 'n%%' LIMIT %d" % (k, c)),
], ids=["constant", "parameter", "limit", "limit int2", "limit NULL", "limit constant"])
def test_another_constant_folds_at_once(pg, proxy, folding, make):
    """What was found about a statement holds for other values of the parameters that are not its key: a page's constant is
    often another one on the next page."""
    conns = folding.connections(proxy, N)
    folding.warm(conns, [make(k, 5) for k in range(1, N + 1)], "item")
    with pg.connect() as d:
        for constant in (6, 7, 8):
            units = [make(k, constant) for k in range(1, N + 1)]
            replies, calls = folding.burst(conns, units, "item")
            assert replies == folding.expect(d, units)
            folding.assert_folded(calls, N)


def test_composite_keys(pg, proxy, folding):
    """Two values vary together, and a third that does not is no part of the key."""
    with pg.admin() as a:
        a.sql("CREATE TABLE IF NOT EXISTS pair (a int, b text, c int, v text)")
        a.sql("TRUNCATE pair")
        a.sql("INSERT INTO pair SELECT i % 5, 'b' || i % 4, 1, 'row ' || i FROM generate_series(1, 60) i")
        a.sql("GRANT SELECT ON pair TO PUBLIC")
    conns = folding.connections(proxy, N)
    keys = [(i % 5, "b%d" % (i % 4)) for i in range(N - 2)] + [(1, "nothing"), (77, "b1")]
    for make in (lambda a, b: unit("SELECT v, a, b FROM pair WHERE a = $1 AND b = $2 AND c = $3 ORDER BY v", [a, b, 1]),
                 lambda a, b: query("SELECT v, a, b FROM pair WHERE a = %d AND b = '%s' AND c = 1 ORDER BY v" % (a, b))):
        units = [make(*k) for k in keys]
        folding.folds_right(conns, units, "pair")
