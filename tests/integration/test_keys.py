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
