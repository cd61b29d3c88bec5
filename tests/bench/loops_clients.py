# SPDX-License-Identifier: PostgreSQL
"""The clients of loops.py: real drivers, and the framings of others (tests/integration/framings.py). All have the same three calls; statements
are written with $1, $2 …, values are pairs (type, value), the value as the client's own results have it or as text.

    c.list(sql, (type, value) …)   rows, as tuples
    c.ask(sql, (type, value) …)    the same; a lookup
    c.say(sql)                     a statement without parameters, whatever it answers

`got` holds every answer, to be compared with another run's.
"""
import asyncio
import datetime
import decimal
import re
import struct
import uuid

import proto
from framings import FRAMINGS

INTEGERS = ("int2", "int4", "int8", "oid")
ARRAYS = {1005: 21, 1007: 23, 1016: 20, 1009: 25}
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=datetime.timezone.utc)


def as_python(kind, value):
    """What a program would hand a driver for a value of the type."""
    if not isinstance(value, str):
        return value
    if kind in INTEGERS:
        return int(value)
    if kind == "numeric":
        return decimal.Decimal(value)
    if kind == "uuid":
        return uuid.UUID(value)
    if kind == "date":
        return datetime.date.fromisoformat(value)
    if kind == "timestamptz":
        return datetime.datetime.fromisoformat(value + ":00" if re.search(r"[+-]\d\d$", value) else value)
    return value


def as_text(value):
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, datetime.datetime):
        return value.astimezone(datetime.timezone.utc).isoformat(" ")[:-3]  # +00, as PostgreSQL writes it
    return str(value)


class Client:
    def __init__(self, port, user, database):
        self.got = []
        self.open(dict(host="127.0.0.1", port=port, user=user, dbname=database, sslmode="disable"))

    def list(self, sql, *values):
        return self.keep(self.run(sql, values))

    ask = list

    def keep(self, rows):
        self.got.append(rows)
        return rows

    def say(self, sql):
        self.keep(self.run(sql, ()))


class Psycopg2(Client):
    """Constants in the text; BEGIN is a Query of its own, as without autocommit."""

    def open(self, where):
        import psycopg2
        import psycopg2.extras
        self.conn = psycopg2.connect(**where)
        self.conn.autocommit = True
        psycopg2.extras.register_uuid(conn_or_curs=self.conn)
        self.cursor = self.conn.cursor()

    def run(self, sql, values):
        text = re.sub(r"\$(\d+)", r"%(p\1)s", sql.replace("%", "%%")) if values else sql
        self.cursor.execute(text, {"p%d" % i: as_python(*v) for i, v in enumerate(values, 1)} if values else None)
        return self.cursor.fetchall() if self.cursor.description else []

    def close(self):
        self.conn.close()


class Psycopg(Psycopg2):
    def open(self, where):
        import psycopg
        self.conn = psycopg.connect(**where, autocommit=True)
        self.cursor = self.conn.cursor()


class Asyncpg(Client):
    def open(self, where):
        import asyncpg
        self.loop = asyncio.new_event_loop()
        self.conn = self.loop.run_until_complete(asyncpg.connect(
            host=where["host"], port=where["port"], user=where["user"], database=where["dbname"], ssl=False))

    def run(self, sql, values):
        if not values and not re.match(r"\s*(select|with)", sql, re.I):
            self.loop.run_until_complete(self.conn.execute(sql))
            return []
        return [tuple(r) for r in self.loop.run_until_complete(self.conn.fetch(sql, *(as_python(*v) for v in values)))]

    def close(self):
        self.loop.run_until_complete(self.conn.close())
        self.loop.close()


def decode(oid, form, cell):
    """A cell as text, or a list of an array's."""
    if cell is None:
        return None
    if form == 0:
        text = cell.decode()
        return text.strip("{}").split(",") if oid in ARRAYS else text
    if oid in ARRAYS:
        n, at, out = struct.unpack_from("!i", cell, 12)[0], 20, []
        for _ in range(n):
            size = struct.unpack_from("!i", cell, at)[0]
            out.append(decode(ARRAYS[oid], 1, cell[at + 4:at + 4 + size]))
            at += 4 + size
        return out
    if oid in (20, 21, 23):
        return str(int.from_bytes(cell, "big", signed=True))
    if oid == 26:
        return str(int.from_bytes(cell, "big"))
    if oid == 2950:
        return str(uuid.UUID(bytes=cell))
    if oid == 1082:
        return (EPOCH.date() + datetime.timedelta(days=struct.unpack("!i", cell)[0])).isoformat()
    if oid == 1184:
        return as_text(EPOCH + datetime.timedelta(microseconds=struct.unpack("!q", cell)[0]))
    if oid == 1700:
        n, weight, sign, scale = struct.unpack_from("!hhHh", cell)
        digits = struct.unpack_from("!%dh" % n, cell, 8)
        value = sum(decimal.Decimal(d).scaleb(4 * (weight - i)) for i, d in enumerate(digits))
        return str((-value if sign else decimal.Decimal(value)).quantize(decimal.Decimal(1).scaleb(-scale)))
    return cell.decode(errors="replace")


def columns(messages):
    """[OID] of the last RowDescription among them, or None."""
    out = None
    for m in messages:
        if m.type == "T":
            at, out = 2, []
            for _ in range(struct.unpack_from("!H", m.body)[0]):
                at = m.body.index(b"\0", at) + 1
                out.append(struct.unpack_from("!I", m.body, at + 6)[0])
                at += 18
    return out


class Framed(Client):
    """A raw client in the framing of a driver."""
    framing = ""
    begin_rides = False  # BEGIN is sent in the unit of the statement behind it

    def open(self, where):
        self.conn = proto.Conn((where["host"], where["port"]))
        assert self.conn.login(where["user"], where["dbname"])[-1].type == "Z"
        self.f, self.statements, self.types, self.pending = FRAMINGS[self.framing], {}, {}, b""

    def say(self, sql):
        if self.begin_rides and sql == "BEGIN":
            self.pending = proto.parse(sql) + proto.bind() + proto.execute()
            return
        self.answer(sql, self.conn.ask(proto.query(sql) if not self.begin_rides else proto.unit(sql, [], want_describe=False)), ())

    def ask(self, sql, *values):
        """As drivers do: prepared once, if at all; what they send in front of the first unit is asked here."""
        values = [(k, as_text(v)) for k, v in values]
        s, first = (None if self.f.deallocates else self.statements.get(sql)), []
        if s is None:
            s = self.statements[sql] = self.f.statement(self.conn, sql)
            first = s.prepare(values) if not self.pending else []
        if first and self.f.first in ("unit", "flush"):
            reply = first
        else:
            reply, self.pending = self.conn.ask(self.pending + s.unit(values)), b""
        s.finish()
        return self.answer(sql, reply, first)

    def list(self, sql, *values):
        if not values and self.framing in ("pg",):  # without parameters it is a Query
            return self.answer(sql, self.conn.ask(proto.query(sql)), ())
        return self.ask(sql, *values)

    def answer(self, sql, reply, first):
        if proto.errors(reply):
            raise RuntimeError("%s: %s" % (sql, proto.errors(reply)[0]))
        self.types[sql] = columns([*first, *reply]) or self.types.get(sql) or []
        self.got.append(proto.wire(reply))
        form = 1 if self.f.binary_results else 0
        return [tuple(decode(oid, form, c) for oid, c in zip(self.types[sql], r)) for r in proto.rows(reply)]

    def close(self):
        self.conn.close()


def framed(name, rides=False):
    return type("Framed", (Framed,), {"framing": name, "begin_rides": rides})


CLIENTS = {
    "psycopg2": Psycopg2, "psycopg": Psycopg, "asyncpg": Asyncpg, "pg": framed("pg"), "postgres.js": framed("postgres.js"), "pgx": framed("pgx"),
    "pgjdbc": framed("pgjdbc", True), "pgjdbc named": framed("pgjdbc named"), "ruby": framed("ruby"), "pdo": framed("pdo"),
    "postgrex": framed("postgrex"), "npgsql": framed("npgsql"), "simple": framed("simple"),
}
