# SPDX-License-Identifier: PostgreSQL
"""How drivers put one statement on the wire. A statement is written with $1, $2 …; a value is a pair (type, text), its text
as PostgreSQL reads it, None for NULL. Each framing encodes the values in the way of its driver.

    s = FRAMINGS["asyncpg"].statement(conn, sql)
    s.prepare(values)        what the driver sends at the first use, waiting where it waits; the messages that came
    conn.send(s.unit(values)); conn.ready()       every further use: one unit, one ReadyForQuery
    s.finish()               what it sends when it is done with the statement
"""
import datetime
import decimal
import ipaddress
import re
import struct
import uuid

import proto

OIDS = {"bool": 16, "bytea": 17, "char": 18, "name": 19, "int8": 20, "int2": 21, "int4": 23, "text": 25, "oid": 26,
        "float4": 700, "float8": 701, "inet": 869, "bpchar": 1042, "varchar": 1043, "date": 1082, "time": 1083,
        "timestamp": 1114, "timestamptz": 1184, "interval": 1186, "numeric": 1700, "uuid": 2950, "jsonb": 3802,
        "int4[]": 1007, "int8[]": 1016, "text[]": 1009, "uuid[]": 2951}
INTEGERS = {"int2": "!h", "int4": "!i", "int8": "!q", "oid": "!I"}
BARE = {*INTEGERS, "numeric", "float4", "float8"}
EPOCH = datetime.datetime(2000, 1, 1)


def literal(kind, text):
    """As drivers that know no parameters write a value."""
    if text is None:
        return "NULL"
    if kind == "bool":
        return "true" if text in ("t", "true") else "false"
    if kind in BARE and re.fullmatch(r"-?[0-9.]+(e[-+]?[0-9]+)?", text):
        return text if text[0] != "-" else " " + text
    if kind == "bytea":
        return "'%s'::bytea" % text
    return "'%s'" % text.replace("'", "''")


def numeric_binary(text):
    if text == "NaN":
        return struct.pack("!hhHh", 0, 0, 0xC000, 0)
    sign, digits, exponent = decimal.Decimal(text).as_tuple()
    scale = max(0, -exponent)
    number = int("".join(map(str, digits)) or "0") * 10 ** max(0, exponent)
    pad = -scale % 4
    number *= 10 ** pad
    groups, weight = [], -(scale + pad) // 4 - 1
    while number:
        number, g = divmod(number, 10000)
        groups.append(g)
        weight += 1
    groups.reverse()
    while groups and groups[-1] == 0:
        groups.pop()
    if not groups:
        weight = 0
    return struct.pack("!hhHh", len(groups), weight, 0x4000 if sign and groups else 0, scale) + b"".join(
        struct.pack("!h", g) for g in groups)


def moment(text):
    """Microseconds since 2000; a time zone, if there is one, is +HH."""
    zone = re.search(r"([+-]\d\d)$", text[10:])
    stamp = datetime.datetime.fromisoformat(text[:len(text) - 3] if zone else text)
    if zone:
        stamp -= datetime.timedelta(hours=int(zone.group(1)))
    return (stamp - EPOCH) // datetime.timedelta(microseconds=1)


def array_binary(kind, text):
    inner = kind[:-2]
    items = [binary(inner, t) for t in text.strip("{}").split(",")] if text != "{}" else []
    head = struct.pack("!iiI", 1 if items else 0, 0, OIDS[inner])
    if items:
        head += struct.pack("!ii", len(items), 1)
    return head + b"".join(struct.pack("!i", len(i)) + i for i in items)


def binary(kind, text):
    """The type's binary form, or None where this file does not know it."""
    if kind.endswith("[]"):
        return array_binary(kind, text)
    if kind in INTEGERS:
        return struct.pack(INTEGERS[kind], int(text))
    if kind in ("text", "varchar", "bpchar", "citext", "enum", "name", "char"):
        return text.encode()
    if kind == "uuid":
        return uuid.UUID(text).bytes
    if kind == "bool":
        return b"\1" if text in ("t", "true") else b"\0"
    if kind == "bytea":
        return bytes.fromhex(text[2:])
    if kind == "numeric":
        return numeric_binary(text)
    if kind in ("float4", "float8"):
        return struct.pack("!d" if kind == "float8" else "!f", float(text))
    if kind == "date":
        return struct.pack("!i", (datetime.date.fromisoformat(text) - EPOCH.date()).days)
    if kind in ("timestamp", "timestamptz"):
        return struct.pack("!q", moment(text))
    if kind == "inet":
        net = ipaddress.ip_interface(text)
        return bytes([2 if net.version == 4 else 3, net.network.prefixlen, 0, len(net.packed)]) + net.packed
    if kind == "jsonb":
        return b"\1" + text.encode()
    return None


# How a driver turns (type, text) into (oid, format, bytes).

def as_text(kind, text):
    return 0, 0, None if text is None else text.encode()


def as_declared_text(kind, text):
    """pgjdbc: numbers and strings by their type, everything else left to the server."""
    oid = OIDS["varchar"] if kind == "text" else OIDS.get(kind, 0) if kind in (*INTEGERS, "varchar", "uuid", "numeric", "bool",
                                                                              "float8") else 0
    return oid, 0, None if text is None else text.encode()


def as_psycopg(kind, text):
    """Integers by their width, in binary; strings undeclared."""
    if text is None:
        return 0, 0, None
    if kind in INTEGERS:
        n = int(text)
        oid = 21 if -2**15 <= n < 2**15 else 23 if -2**31 <= n < 2**31 else 20
        return oid, 1, struct.pack({21: "!h", 23: "!i", 20: "!q"}[oid], n)
    if kind in ("text", "varchar", "bpchar", "citext", "enum", "name", "domain"):
        return 0, 0, text.encode()
    data = binary(kind, text) if kind in OIDS else None
    return (OIDS[kind], 1, data) if data is not None else (OIDS.get(kind, 0), 0, text.encode())


def as_binary(kind, text):
    """The server tells the types; values are binary."""
    if text is None:
        return 0, 0, None
    data = binary(kind, text)
    return (0, 1, data) if data is not None else (0, 0, text.encode())


def as_declared_binary(kind, text):
    oid, form, data = as_binary(kind, text)
    return OIDS.get(kind, 0), form, data


def fill(sql, values):
    """The statement with its values written into the text."""
    return re.sub(r"\$(\d+)", lambda m: literal(*values[int(m.group(1)) - 1]), sql)


class Statement:
    """The general case: see Framing's fields for what differs."""
    serial = 0

    def __init__(self, framing, conn, sql):
        self.f, self.conn, self.sql, self.name = framing, conn, sql, ""
        if framing.named:
            Statement.serial += 1
            self.name = framing.named % Statement.serial if "%" in framing.named else framing.named

    def _bound(self, values):
        coded = [self.f.encode(*v) for v in values]
        formats = [c[1] for c in coded]
        return proto.bind([c[2] for c in coded], self.name, "", formats if any(formats) else (),
                          (1,) if self.f.binary_results else ())

    def _parse(self, values):
        types = [self.f.encode(*v)[0] for v in values]
        return proto.parse(self.sql, self.name, types if any(types) else ())

    def prepare(self, values):
        """What comes before the units; nothing for a framing whose units stand alone."""
        if self.f.first == "flush":
            out = self.conn.send(self._parse(values), proto.describe("S", self.name), proto.msg("H")).until("T", "n", "E")
            return out + self.conn.ask(proto.SYNC if out[-1].type == "E" else self.unit(values))
        if self.f.first == "sync":
            return self.conn.ask(self._parse(values), proto.describe("S", self.name), proto.SYNC)
        if self.f.first == "parse":
            return self.conn.ask(self._parse(values), proto.SYNC)
        if self.f.first == "unit":
            return self.conn.ask(self._parse(values) + self.unit(values))
        return []

    def unit(self, values):
        if self.f.simple:
            return proto.query(fill(self.sql, values))
        return ((b"" if self.f.first else self._parse(values)) + self._bound(values)
                + (proto.describe("P") if self.f.describes else b"") + proto.execute() + proto.SYNC)

    def finish(self):
        if self.f.deallocates:
            self.conn.ask(proto.query("DEALLOCATE " + self.name))


class Framing:
    def __init__(self, *, simple=False, named="", encode=as_text, binary_results=False, first="", describes=True,
                 deallocates=False):
        self.simple, self.named, self.encode, self.binary_results = simple, named, encode, binary_results
        self.first, self.describes, self.deallocates = first, describes, deallocates

    def statement(self, conn, sql):
        return Statement(self, conn, sql)

    def can(self, kinds):
        """Whether this file knows the form in which the driver sends these types."""
        return True


FRAMINGS = {
    "simple": Framing(simple=True),
    "psycopg": Framing(encode=as_psycopg),
    "psycopg named": Framing(encode=as_psycopg, named="_pg3_%d", first="unit"),
    "asyncpg": Framing(encode=as_binary, named="__asyncpg_stmt_%x__", first="flush", describes=False, binary_results=True),
    "pg": Framing(),
    "postgres.js": Framing(named="luuqo4fozcl%d", first="flush", describes=False),
    "prisma": Framing(encode=as_binary, named="s%d", first="sync", describes=False, binary_results=True),
    "pgjdbc": Framing(encode=as_declared_text),
    "pgjdbc named": Framing(encode=as_declared_text, named="S_%d", first="unit"),
    "npgsql": Framing(encode=as_declared_binary, binary_results=True),
    "pgx": Framing(encode=as_binary, named="stmtcache_%024x", first="sync", binary_results=True),
    "ruby": Framing(named="a%d", first="parse"),
    "pdo": Framing(named="pdo_stmt_%08d", first="parse", deallocates=True),
    "postgrex": Framing(encode=as_binary, named="ecto_%d", first="sync", describes=False, binary_results=True),
    "sqlx": Framing(encode=as_declared_binary, named="sqlx_s_%d", first="sync", binary_results=True),
    "lib/pq": Framing(first="sync", describes=False),
}
