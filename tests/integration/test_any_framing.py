# SPDX-License-Identifier: PostgreSQL
"""Conversations that no driver has, but PostgreSQL answers: messages of the extended protocol in any order, Query messages and
function calls among them, Syncs that are missing, COPY data where none is wanted, errors everywhere. A client that sends the
same bytes to PostgreSQL gets the same messages, and nothing ends its connection.

PGFOLD_FRAMINGS=N: so many conversations for each seed; PGFOLD_SEED=N: this seed alone."""
import os
import random

import pytest

import proto
from proto import FLUSH, SYNC, bind, close, describe, execute, msg, parse, query

ITEM = "SELECT id, name, price, note FROM item WHERE id = $1"
CHILD = "SELECT id, body FROM child WHERE item_id = $1"
THE_END = "the end of the conversation"
N = int(os.environ.get("PGFOLD_FRAMINGS", "150"))
SEEDS = [int(os.environ["PGFOLD_SEED"])] if "PGFOLD_SEED" in os.environ else [1, 2, 3, 4]

PREPARE = [parse(ITEM, "s") + describe("S", "s") + SYNC]
RUN = bind([5], "s") + execute()
UNFINISHED = {
    "query": [RUN + query("SELECT 1")],
    "flush": [RUN + FLUSH + query("SELECT 1")],
    "describe": [describe("S", "s") + query("SELECT 1")],
    "flush, in two writes": [RUN + FLUSH, query("SELECT 1")],
    "savepoint": [query("BEGIN"), query("SAVEPOINT a") + RUN + query("RELEASE a"), query("COMMIT")],
    "sync behind it": [RUN + query("SELECT 1") + SYNC, RUN + SYNC],
    "an error before it": [bind([5], "missing") + execute() + query("SELECT 1") + SYNC, RUN + SYNC],
    "an error of the query": [RUN + query("SELECT 1/0"), RUN + SYNC],
    "several": [RUN + query("SELECT 1") + RUN + query("SELECT 2") + SYNC],
    "begin": [RUN + query("BEGIN"), RUN + query("COMMIT")],
    "what it names": [RUN + query("EXECUTE s(7)")],
    "what it drops": [RUN + query("DEALLOCATE s"), RUN + SYNC],
    "function call": [RUN + proto.function_call(1397, [b"-5"]) + SYNC],  # abs()
    "empty": [FLUSH + query(";"), RUN + query("")],
    "wrong message": [msg("B", b"x") + execute() + query("SELECT 1") + SYNC, RUN + SYNC],
    "wrong describe": [msg("D", b"Xs\0") + SYNC, RUN + SYNC],
    "wrong execute": [bind([5], "s") + msg("E", b"\0") + SYNC, RUN + SYNC],
    "wrong close": [msg("C", b"S") + query("SELECT 1") + SYNC, RUN + SYNC],
    "copy data of nobody's": [RUN + msg("d", b"1\n") + msg("c") + SYNC, RUN + SYNC],
    "copy data behind": [RUN + SYNC + msg("d", b"1\n") + msg("c") + SYNC, RUN + SYNC],
    "copy": [query("COPY scratch FROM STDIN") + msg("d", b"1\tx\n") + SYNC + msg("c"), RUN + SYNC],
    "copy, sync first": [query("COPY scratch FROM STDIN"), SYNC, msg("c"), RUN + query("SELECT 1")],
    "copy, sync first, no data": [query("COPY scratch FROM STDIN"), SYNC + msg("f", b"no\0"), RUN + query("SELECT 1"), RUN + SYNC],
    "copy, flush and sync first": [query("COPY scratch FROM STDIN"), FLUSH + SYNC + FLUSH + msg("c"), RUN + query("SELECT 1")],
    "copy, wrong data, sync": [query("COPY scratch FROM STDIN") + msg("d", b"1\n") + SYNC, RUN + query("SELECT 1")],
    "copy, wrong data, sync later": [query("COPY scratch FROM STDIN"), msg("d", b"1\n"), SYNC + msg("c"), RUN + query("SELECT 1")],
    "copy, wrong data, sync, lookups": [query("COPY scratch FROM STDIN"), msg("d", b"1\n") + SYNC + RUN + SYNC + RUN + SYNC],
    "copy, flush": [query("COPY scratch FROM STDIN"), FLUSH + msg("d", b"1\tx\n") + FLUSH, msg("c"), RUN + query("SELECT 1")],
    "copy, query inside": [query("COPY scratch FROM STDIN"), msg("d", b"1\tx\n") + query("SELECT 2"), RUN + query("SELECT 1")],
    "copy, unit inside": [query("COPY scratch FROM STDIN"), RUN + SYNC, RUN + query("SELECT 1")],
    "copy that fails": [query("COPY nowhere FROM STDIN") + msg("d", b"1\tx\n") + msg("c") + SYNC, RUN + SYNC],
    "copy, all at once": [query("COPY scratch FROM STDIN") + msg("d", b"1\tx\n") + msg("c") + RUN + SYNC],
    "copy in a unit": [parse("COPY scratch FROM STDIN") + bind() + execute() + msg("d", b"1\tx\n") + msg("c") + SYNC, RUN + SYNC],
    "copy in a unit, behind a lookup": [RUN + parse("COPY scratch FROM STDIN") + bind() + execute() + SYNC + msg("d", b"1\tx\n")
                                        + msg("f", b"no\0") + SYNC, RUN + SYNC],
    "copy in a query in a unit": [RUN + query("COPY scratch FROM STDIN") + msg("d", b"1\tx\n") + msg("c"), RUN + SYNC],
}


def end():
    """Out of COPY, of a unit, of a transaction."""
    return msg("f", b"enough\0") + SYNC + query("ROLLBACK") + query("SELECT '%s'" % THE_END)


def converse(conn, chunks, pause):
    """Everything that comes, up to the answer to the last query or the connection's end. `pause`: let the server answer before the next chunk."""
    out = []
    try:
        for chunk in chunks:
            conn.send(chunk)
            while pause and conn.readable(0.02):
                out.append(conn.recv())
        conn.send(end())
        while not (out and out[-1].type == "D" and THE_END.encode() in out[-1].body):
            out.append(conn.recv())
    except (proto.Closed, BrokenPipeError, ConnectionResetError):
        return out
    return out + conn.ready()


def warm(end_):
    """A connection on which the server need not be asked for what is known."""
    c = end_.connect()
    for i in range(6):
        c.ask(parse(ITEM, "w%d" % i) + describe("S", "w%d" % i) + SYNC)
        c.ask(bind([i], "w%d" % i) + execute() + SYNC)
        c.ask(parse(CHILD) + bind([i]) + describe() + execute() + SYNC)
        c.ask(close("S", "w%d" % i) + SYNC)
    return c


@pytest.mark.parametrize("what", UNFINISHED)
@pytest.mark.parametrize("pause", [False, True], ids=["at once", "one by one"])
def test_unfinished_units(pg, proxy, what, pause):
    if "inside" in what and not pause:
        pytest.skip("PostgreSQL ends the connection, and what it has said before may be lost")
    chunks = PREPARE + UNFINISHED[what]
    with warm(proxy) as through, warm(pg) as direct:
        wanted = converse(direct, chunks, pause)
        assert converse(through, chunks, pause) == wanted
        if wanted[-1].type == "E":  # PostgreSQL has ended the connection
            return
        wanted = direct.ask(RUN + SYNC)
        assert through.ask(RUN + SYNC) == wanted


# ---- at random

TEXTS = [ITEM, ITEM, ITEM, CHILD, "SELECT 1/0", "SELECT 'x' || $1", "SELEC", "", "BEGIN", "COMMIT", "ROLLBACK", "SAVEPOINT a", "RELEASE a",
         "ROLLBACK TO a", "SELECT count(*) FROM scratch", "INSERT INTO scratch VALUES (1)", "SET LOCAL work_mem = '5MB'",
         "SELECT name, statement FROM pg_cursors", "SHOW work_mem", "BEGIN ISOLATION LEVEL REPEATABLE READ",
         "SET TRANSACTION ISOLATION LEVEL SERIALIZABLE", "LOCK TABLE scratch IN ROW SHARE MODE", "DEALLOCATE s", "EXECUTE s(3)",
         "SELECT name FROM pg_prepared_statements WHERE name !~ '^pgfold_.{32}$' ORDER BY 1",
         "DISCARD ALL", "DEALLOCATE ALL", "PREPARE s AS SELECT 2"]
NAMES = ["", "", "s", "s", "t"]
PORTALS = ["", "", "", "", "p"]


class Drawing:
    def __init__(self, seed):
        self.r = random.Random(seed)

    def text(self):
        return self.r.choice(TEXTS[:4] if self.r.random() < 0.5 else TEXTS)

    def message(self):
        r = self.r
        kind = r.choices("PBDECHSQFd", (10, 16, 8, 16, 3, 5, 12, 10, 1, 1))[0]
        if kind == "P":
            return parse(self.text(), r.choice(NAMES))
        if kind == "B":
            values = [r.choice(["1", "5", "x", str(r.randrange(3000))])] if r.random() < 0.85 else []
            return bind(values, r.choice(NAMES), r.choice(PORTALS))
        if kind == "D":
            return describe(r.choice("SP"), r.choice(NAMES))
        if kind == "E":
            return execute(r.choice([0, 0, 0, 1]), r.choice(PORTALS))
        if kind == "C":
            return close(r.choice("SP"), r.choice(NAMES))
        if kind == "F":
            return proto.function_call(1397, [b"-5"])  # abs(int4)
        if kind == "d":
            return r.choice([msg("d", b"1\tx\n"), msg("c"), msg("f", b"no\0"), query("COPY scratch FROM STDIN") + msg("d", b"2\ty\n")
                             + msg("c")])
        return {"H": FLUSH, "S": SYNC}.get(kind) or query(self.text().replace("$1", str(r.randrange(3000))))

    def piece(self):
        """What a driver would send, more or less."""
        r = self.r
        if r.random() < 0.4:
            return self.message()
        name, text = r.choice(NAMES), self.text()
        values = [str(r.randrange(2000))] if "$1" in text else []
        out = parse(text, name) if r.random() < 0.6 else b""
        if out and r.random() < 0.4:
            return out + describe("S", name) + r.choice([SYNC, SYNC, FLUSH, b""])
        out += bind(values, name) + (describe() if r.random() < 0.5 else b"") + execute()
        return out + (SYNC if r.random() < 0.7 else b"")

    def conversation(self):
        return [b"".join(self.piece() for _ in range(self.r.randrange(1, 5))) for _ in range(self.r.randrange(1, 5))]


def show(chunks):
    return " | ".join(proto.types(messages_of(c)) for c in chunks)


def messages_of(data):
    out = []
    while data:
        size = 1 + int.from_bytes(data[1:5], "big")
        out.append(proto.Message(chr(data[0]), data[5:size]))
        data = data[size:]
    return out


@pytest.mark.parametrize("seed", SEEDS)
def test_any_framing(pg, proxy, seed):
    draw = Drawing(seed)
    through, direct = warm(proxy), warm(pg)
    for i in range(N):
        if i % 10 == 9:
            through.close()
            direct.close()
            through, direct = warm(proxy), warm(pg)
        chunks, pause = draw.conversation(), draw.r.random() < 0.1
        wanted = converse(direct, chunks, pause)
        try:
            got = converse(through, chunks, pause)
        except Exception as e:
            raise AssertionError("seed %d, conversation %d: %r\n%s\n%r" % (seed, i, e, show(chunks), chunks)) from e
        assert got == wanted, "seed %d, conversation %d: %s\n%r" % (seed, i, show(chunks), chunks)
    through.close()
    direct.close()
