# SPDX-License-Identifier: PostgreSQL
"""Keys of every type: as text, as binary and as a literal. All types are looked up at once, each in a table of its own; every
reply is PostgreSQL's own byte for byte, and the lookups of each type were folded."""
import time

import pytest

import conftest
from busy import unless_busy
from proto import query, rows, unit

N = 8  # lookups of each type at once

# name: (SQL type, its keys as text; some are in the table twice, some are not)
TYPES = {
    "int2": ("int2", ["1", "-2", "3", "32767", "4", "-32768", "0", "1"]),
    "int4": ("int4", ["1", "-2", "3", "2147483647", "4", "-2147483648", "0", "1"]),
    "int8": ("int8", ["1", "-2", "3", "9223372036854775807", "4", "-9223372036854775808", "0", "1"]),
    "oid": ("oid", ["1", "2", "3", "4294967295", "5", "6", "0", "1"]),
    "uuid": ("uuid", ["%032x" % i if i % 2 else "00000000-0000-0000-0000-%012x" % i for i in range(8)]),
    "text": ("text", ["a", "", "it's", 'say "x"', "back\\slash", "{a,b}", "NULL", "a b"]),
    "varchar": ("varchar(20)", ["a", "A", "ä", "日本", "a ", " a", "null", "%_"]),
    "bpchar": ("char(6)", ["a", "a ", "b  ", "", "abcdef", "c", "it's", "a"]),
    "one_char": ('"char"', ["a", "b", "c", "'", '"', "{", ",", "a"]),
    "name": ("name", ["a", "b", "a b", "it's", '"', "x" * 63, "c", "a"]),
    "citext": ("citext", ["a", "A", "b", "B", "it's", "c", "zz", "a"]),
    "bool": ("bool", ["t", "f", "true", "false", "1", "0", "on", "t"]),
    "numeric": ("numeric(12,4)", ["1", "1.0", "1.00", "-0.5", "12345678.1234", "NaN", "0", "1e2"]),
    "float4": ("float4", ["1.1", "0.1", "-0", "0", "NaN", "Infinity", "16777217", "1e-10"]),
    "float8": ("float8", ["1.1", "0.1", "-0", "0", "NaN", "-Infinity", "1e300", "0.30000000000000004"]),
    "money": ("money", ["1.50", "$2.00", "-3", "0", "4", "5", "6", "1.50"]),
    "date": ("date", ["2024-02-29", "2024-01-01", "infinity", "Jan 2 2024", "0001-01-01", "2024-03-01", "1999-12-31", "2024-02-29"]),
    "time": ("time", ["12:00", "12:00:00", "00:00", "23:59:59.999999", "24:00", "1:02 pm", "06:00", "12:00"]),
    "timetz": ("timetz", ["12:00+00", "13:00+01", "12:00", "00:00-08", "23:00+02", "1:02+00", "06:00+00", "12:00+00"]),
    "timestamp": ("timestamp", ["2024-01-01", "2024-01-01 00:00", "2024-01-01T12:00:00.123456", "infinity", "-infinity",
                                "2024-06-01", "1970-01-01", "2024-01-01"]),
    "timestamptz": ("timestamptz", ["2024-01-01 00:00+00", "2024-01-01 01:00+01", "2024-07-01", "infinity", "2024-01-01",
                                    "1970-01-01 00:00Z", "2024-03-31 02:30", "2024-01-01 00:00+00"]),
    "interval": ("interval", ["1 day", "24:00", "1 mon", "30 days", "-1 day", "0", "1 year 2 mons", "1 day"]),
    "bytea": ("bytea", ["\\x00", "\\x", "\\x5c22", "\\xff00ff", "\\x27", "\\x41", "\\x4141", "\\x00"]),
    "inet": ("inet", ["10.0.0.1", "10.0.0.1/24", "::1", "10.0.0.1/32", "fe80::1/64", "0.0.0.0", "1.2.3.4", "10.0.0.1"]),
    "cidr": ("cidr", ["10.0.0.0/8", "10.0.0.0/24", "::/0", "10.0.0.0", "fe80::/64", "0.0.0.0/0", "1.2.3.4", "10.0.0.0/8"]),
    "macaddr": ("macaddr", ["08:00:2b:01:02:03", "08-00-2b-01-02-03", "08002b:010203", "00:00:00:00:00:00", "08:00:2b:01:02:04",
                            "ff:ff:ff:ff:ff:ff", "08:00:2b:01:02:05", "08:00:2b:01:02:03"]),
    "bit": ("bit(4)", ["0000", "0001", "1111", "1010", "0101", "1000", "0100", "0000"]),
    "varbit": ("varbit", ["", "0", "01", "010", "1", "11", "111", "0"]),
    "jsonb": ("jsonb", ["1", "1.0", '"a"', '{"a": 1, "b": 2}', '{"b":2,"a":1}', "null", "[1, 2]", "[]"]),
    "enum": ("mood", ["sad", "ok", "it's", "sad", "happy", "ok", "a,b", "sad"]),
    "text_domain": ("label", ["a", "b", "it's", "", "c", "d", "e", "a"]),
    "int_domain": ("positive", ["1", "2", "3", "4", "5", "6", "7", "1"]),
    "hstore": ("hstore", ["a=>1", '"a"=>"1"', "a=>NULL", "", "a=>1, b=>2", "b=>2, a=>1", "c=>3", "a=>1"]),
    "int_range": ("int4range", ["[1,5)", "[1,4]", "empty", "(,)", "[1,)", "(0,4]", "[7,8)", "[1,5)"]),
    "array": ("int4[]", ["{1,2}", "{}", "{1,NULL}", "{{1,2},{3,4}}", "{2}", "[0:0]={2}", "{3}", "{1,2}"]),
}
NOT_FOLDED = {"int_range", "array"}  # their arrays are not sent
# Values that run alone: they are written in another way than a plain integer or uuid.
SPELLED = {"uuid"}


def quoted(text):
    return "'" + text.replace("'", "''") + "'"


@pytest.fixture(scope="module")
def tables(pg):
    with pg.admin() as a:
        for s in ("CREATE EXTENSION citext", "CREATE EXTENSION hstore", "CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy', 'it''s', 'a,b')",
                  "CREATE DOMAIN label AS text", "CREATE DOMAIN positive AS int CHECK (VALUE > 0)"):
            a.sql(s)
        for name, (sql_type, keys) in TYPES.items():
            a.sql("CREATE TABLE kt_%s (k %s, v text)" % (name, sql_type))
            for i, key in enumerate(keys[:6]):
                if "\\" not in key or name == "bytea":
                    a.sql("INSERT INTO kt_%s VALUES (%s, 'row %d'), (%s, 'again')" % (name, quoted(key), i, quoted(key)))
            a.sql("INSERT INTO kt_%s VALUES (NULL, 'null')" % name)
            a.sql("CREATE INDEX ON kt_%s USING btree (v)" % name)
            a.sql("GRANT SELECT ON kt_%s TO PUBLIC" % name)
        yield


def binary(conn, sql_type, text):
    """The type's binary form, as the server writes it."""
    return rows(conn.ask(unit("SELECT $1::%s" % sql_type, [text], result_formats=(1,))))[0][0]


def literal(conn, table, sql_type, key):
    return None if "\\" in key else query("SELECT v, k FROM %s WHERE k = %s ORDER BY v" % (table, quoted(key)))


def text(conn, table, sql_type, key):
    return unit("SELECT v, k FROM %s WHERE k = $1 ORDER BY v" % table, [key])


def in_binary(conn, table, sql_type, key):
    return unit("SELECT v, k FROM %s WHERE k = $1 ORDER BY v" % table, [binary(conn, sql_type, key)], formats=(1,),
                result_formats=(1,))


def one_of_array(conn, table, sql_type, key):
    return unit("SELECT v FROM %s WHERE k = ANY ($1) ORDER BY v" % table, ["{" + '"' + key.replace("\\", "\\\\").replace('"', '\\"') + '"}'])


def one_of_binary_array(conn, table, sql_type, key):
    array = rows(conn.ask(unit("SELECT ARRAY[$1::%s]" % sql_type, [key], result_formats=(1,))))[0][0]
    return unit("SELECT v FROM %s WHERE k = ANY ($1) ORDER BY v" % table, [array], formats=(1,))


def with_null(conn, table, sql_type, key):
    return unit("SELECT v FROM %s WHERE k = $1 ORDER BY v" % table, [None if key == TYPES_KEYS[table][0] else key])


def negated(conn, table, sql_type, key):
    return unit("SELECT v FROM %s WHERE NOT (k = $1) ORDER BY v LIMIT 3" % table, [key])


TYPES_KEYS = {"kt_" + name: keys for name, (_, keys) in TYPES.items()}
FORMS = {f.__name__: f for f in (literal, text, in_binary, with_null, one_of_array, one_of_binary_array, negated)}
# Arrays of these would be read as arrays of more dimensions, or mean something else.
NO_ARRAYS = {"array", "text_domain", "int_domain"}


class Kind:
    def __init__(self, folding, pg, proxy, name, form):
        self.name, self.table = name, "kt_" + name
        sql_type, keys = TYPES[name]
        with pg.connect() as d:
            units = [FORMS[form](d, self.table, sql_type, k) for k in keys]
            self.units = [u for u in units if u]
            self.expected = [d.ask(u) for u in self.units]
        self.conns = folding.connections(proxy, len(self.units))
        self.calls = None


def burst(folding, kinds):
    folding.reset()
    with folding.locked(*[k.table for k in kinds]):
        for k in kinds:
            for c, u in zip(k.conns, k.units):
                c.send(u)
    for k in kinds:
        replies = [c.ready() for c in k.conns]
        assert replies == k.expected, k.name
        k.calls = folding.calls(k.table)


def is_folded(kind, form):
    """A batch or two, and those that are written in another way."""
    alone = 2 if kind.name in SPELLED else 0
    if form == "one_of_array":  # a backslash in a text array
        alone += sum("\\" in key for key in TYPES[kind.name][1])
    return kind.calls <= len(kind.units) // 2 + alone


@pytest.mark.parametrize("form", FORMS)
def test_every_type(pg, proxy, folding, tables, form):
    names = [n for n in TYPES if not (form.startswith("one_of") and n in NO_ARRAYS)]
    for part in (names[:18], names[18:]):
        kinds = [Kind(folding, pg, proxy, n, form) for n in part]
        left = [k for k in kinds]
        for _ in range(1 if conftest.DIRECT else 12):
            burst(folding, left)
            left = [k for k in left if k.name not in NOT_FOLDED and not is_folded(k, form)]
            if not left:
                break
            time.sleep(0.05)
        with unless_busy():
            assert conftest.DIRECT or not [(k.name, k.calls) for k in left], "not folded"
        for k in kinds:
            for c in k.conns:
                c.close()
            folding.opened = [c for c in folding.opened if c not in k.conns]
