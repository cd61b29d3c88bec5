# SPDX-License-Identifier: PostgreSQL
"""What the server computes from constants is computed before any row is read, and an error in it is the answer, also where there is
no row. Lookups of which some ask with such a value, all at once: each gets what PostgreSQL gives it."""
import pytest

import proto
from proto import SYNC, bind, describe, execute, parse

INT8, VARCHAR, NUMERIC = 20, 1043, 1700
SETUP = """
DROP SCHEMA IF EXISTS err CASCADE;
CREATE SCHEMA err;
CREATE DOMAIN err.positive AS int CHECK (VALUE > 0);
CREATE TYPE err.mood AS ENUM ('good', 'bad');
CREATE TABLE err.nobody (n int, s smallint, b bigint, f float8, r real, t text, d date, ts timestamp, u uuid, o oid, p err.positive,
                         m err.mood, num numeric, x int);
CREATE TABLE err.some (LIKE err.nobody);
INSERT INTO err.some SELECT i, i, i, i, i, i::text, date '2024-01-01' + i, timestamp '2024-01-01' + i * interval '1 day',
       md5(i::text)::uuid, i, i, 'good', i, 0 FROM generate_series(1, 12) i;
GRANT USAGE ON SCHEMA err TO PUBLIC;
GRANT SELECT ON ALL TABLES IN SCHEMA err TO PUBLIC
"""
# A condition with $1 for the value, and the values of twelve lookups, the wrong one among them.
NUMBERS = [str(i) for i in range(1, 12)]
DATES = ["2024-01-%02d" % i for i in range(2, 13)]
UUIDS = ["%032d" % i for i in range(11)]
CASES = {
    "text to int": ("n = $1::text::int", NUMBERS + ["abc"], "'"),
    "quoted": ("n = $1", NUMBERS + ["abc"], "'"),
    "quoted, cast": ("n = $1::int", NUMBERS + ["abc"], "'"),
    "quoted, out of range": ("n = $1::int", NUMBERS + ["99999999999"], "'"),
    "out of range": ("n = $1", NUMBERS + ["99999999999"], ""),
    "to smallint": ("s = $1::int2", NUMBERS + ["100000"], ""),
    "to int": ("n = $1::int", NUMBERS + ["99999999999"], ""),
    "quotient": ("n = 10/$1", NUMBERS + ["0"], ""),
    "product": ("n = $1*1000000", NUMBERS + ["99999"], ""),
    "power": ("f = exp($1)", NUMBERS + ["99999"], ""),
    "root": ("f = sqrt($1)", NUMBERS + ["-1"], ""),
    "number to float": ("f = $1", [n + ".5" for n in NUMBERS] + ["1" + "0" * 310 + ".5"], ""),
    "number to real": ("r = $1", [n + ".5" for n in NUMBERS] + ["1" + "0" * 50 + ".5"], ""),
    "exponent": ("f = $1", [n + ".5e1" for n in NUMBERS] + ["1e310"], ""),
    "domain": ("p = $1::err.positive", NUMBERS + ["-1"], ""),
    "domain, quoted": ("p = $1::err.positive", NUMBERS + ["-1"], "'"),
    "enum": ("m = $1", ["good"] * 11 + ["worse"], "'"),
    "enum, from text": ("m = $1::text::err.mood", ["good"] * 11 + ["worse"], "'"),
    "date": ("d = $1", DATES + ["2024-02-30"], "'"),
    "date, computed": ("d = $1::date + 1", DATES + ["5874897-12-31"], "'"),
    "date, from text": ("d = $1::text::date", DATES + ["2024-02-30"], "'"),
    "timestamp": ("ts = $1", DATES + ["never"], "'"),
    "uuid": ("u = $1", UUIDS + ["not one"], "'"),
    "uuid, from text": ("u = $1::text::uuid", UUIDS + ["not one"], "'"),
    "number": ("num = $1::text::numeric", NUMBERS + ["x"], "'"),
    "with a modifier": ("num = $1::numeric(3,1)", NUMBERS + ["12345"], "'"),
    "row": ("(n, x) = ($1::text::int, 0)", NUMBERS + ["abc"], "'"),
    "array": ("n = ANY (ARRAY[$1]::int2[])", NUMBERS + ["100000"], ""),
    "in": ("n IN ($1::text::int)", NUMBERS + ["abc"], "'"),
    "left side": ("$1::text::int = n", NUMBERS + ["abc"], "'"),
    "function": ("t = lower($1::int::text)", NUMBERS + ["abc"], "'"),
    "chr": ("t = chr($1)", NUMBERS + ["0"], ""),
    "repeated": ("n = $1 AND x = 10/$1", NUMBERS + ["0"], ""),
    "subselect": ("x IN (SELECT x FROM err.nobody WHERE n = $1::text::int)", NUMBERS + ["abc"], "'"),
    "or": ("(n = $1::text::int OR n = 1)", NUMBERS + ["abc"], "'"),
    "case": ("n = CASE WHEN x = 0 THEN $1::text::int END", NUMBERS + ["abc"], "'"),
    "bytes that are no text": ("t = $1", NUMBERS + [b"\xff\xfe"], "'"),
    "zero byte": ("t = $1", NUMBERS + [b"a\0b"], "'"),
}
PLACES = {"nobody": "SELECT n, t FROM err.nobody WHERE %s", "false": "SELECT n, t FROM err.some WHERE 1 = 0 AND %s",
          "false column": "SELECT n, t FROM err.some WHERE x = 1 AND %s", "some": "SELECT n, t FROM err.some WHERE %s",
          "count": "SELECT count(*) FROM err.nobody WHERE %s"}


@pytest.fixture(scope="module", autouse=True)
def tables(pg):
    with pg.admin() as a:
        for statement in SETUP.split(";\n"):
            a.sql(statement)


def simple(sql, value, quote):
    value = value if isinstance(value, bytes) else value.encode()
    before, *behind = sql.split("$1")
    q = quote.encode()
    return proto.msg("Q", before.encode() + b"".join(q + value + q + b.encode() for b in behind) + b"\0")


def extended(declared):
    def unit(sql, value, quote):
        return parse(sql, types=declared) + bind([value]) + describe() + execute() + SYNC
    return unit


def declared(sql, value, quote):
    """As drivers do that know the type of their value."""
    return extended((VARCHAR if quote else NUMERIC if b"." in value.encode() else INT8,))(sql, value, quote)


FORMS = {"simple": simple, "undeclared": extended(()), "declared": declared}


@pytest.fixture(scope="module")
def connections(pg, shared_proxy):
    conns = [shared_proxy[0].connect() for _ in range(12)]
    with pg.connect() as direct:
        yield direct, conns
    for c in conns:
        c.close()


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("what", CASES)
def test_values_that_fail(proxy, connections, what, form):
    direct, conns = connections
    condition, values, quote = CASES[what]
    bad = values[-1]
    if isinstance(bad, bytes) and (form == "declared" or (form == "simple" and b"\0" in bad)):
        return  # said before; a Query ends with a zero byte
    for place, text in PLACES.items():
        sql = text % condition
        units = [FORMS[form](sql, v, quote) for v in values]
        wanted = [direct.ask(u) for u in units]
        if all(proto.errors(w) for w in wanted):
            continue  # the types do not fit
        for _ in range(3):
            for c, u in zip(conns, units):
                c.send(u)
            for c, v, w in zip(conns, values, wanted):
                assert c.ready() == w, "%s, %r" % (sql, v)


@pytest.mark.parametrize("n", [1, 9])
def test_a_value_that_is_not_the_key(pg, proxy, folding, n):
    """Its plan may be one for all values by the time that the wrong one comes."""
    sql = "SELECT n, t FROM err.nobody WHERE n = $1 AND s = $2::text::int2 AND t ~ $3"
    conns = folding.connections(proxy, 12)
    with pg.connect() as direct:
        for values in [["1", "x"]] * n + [["abc", "x"], ["1", "("]]:
            units = [parse(sql) + bind([k, *values]) + describe() + execute() + SYNC for k in range(12)]
            wanted = [direct.ask(u) for u in units]
            for _ in range(2):
                for c, u in zip(conns, units):
                    c.send(u)
                assert [c.ready() for c in conns] == wanted


@pytest.mark.pgfold
@pytest.mark.parametrize("condition", ["n = $1", "n = $1::int", "t = lower($1)", "n = $1::text::int", "u = $1::uuid"])
def test_still_folds(proxy, folding, condition):
    """Values that are there."""
    sql = "SELECT n, t FROM err.some WHERE " + condition
    conns = folding.connections(proxy, 12)
    values = UUIDS if "uuid" in condition else [str(i) for i in range(1, 13)]
    if "uuid" in condition:
        values = [v for v, in conns[0].sql("SELECT u FROM err.some ORDER BY n")]
    units = [parse(sql) + bind([v]) + describe() + execute() + SYNC for v in values]
    folding.warm(conns, units, "some")
    for _ in range(10):  # some of a burst run as they were sent, to be compared, or before the others have come
        replies, calls = folding.burst(conns, units, "some")
        assert [proto.rows(r) for r in replies] == [[[b"%d" % i, b"%d" % i]] for i in range(1, 13)]
        if calls <= 4:
            break
    folding.assert_folded(calls, 12)
