#!/usr/bin/python3
# SPDX-License-Identifier: PostgreSQL
"""Counts the round trips of nested pages: a list, the rows of each of its rows, the rows of each of these, each asked for when it is touched, depth first.

    tests/bench/nested.py [--binary PGFOLD]… [--tree 20x3x2]… [--driver psycopg2]… [--rtt MS]… [--pages 10] [--in-order] [--by number]… [--rounds 1] [--load N] [--set KEY=VALUE]… [--show PAGE] [--output FILE]

Everything is started here on free ports and stopped at the end: a throw-away PostgreSQL, a relay that puts the round-trip time in front of it and notes
what passes, and a pgfold, just started for each round. Every page is a new list of other rows, and is compared with the one that the same program makes
directly. --by says what its list is asked for by: the page's number, another number that is an id of some list (ids) or of none (far), a text, an OFFSET,
or the last id before it (keyset); the last three are for programs that write their SQL. A tree of 20x3x2 is a list of 20 rows with three each, and two of each of those; 20x3xo: each of the three names one row of another table.

Four figures for each page: its time as a multiple of the round-trip time, in which the program's own time is; "waits", the round trips that its
statements have waited for, each of whose times is rounded down below 0.8; "flights", in how many flights pgfold has sent what it sent, which a busy
machine changes least; and the statements that reached the server, pgfold's own questions included.
--touched half or never: the rows of half of the pages, or of all behind the sixth, are not gone through (Python programs that write their SQL). Then what the
server's processes have computed is told, behind the first pages, which are learnt from.
Default settings. --load keeps so many processes busy beside it. --show prints what passed the relay during that page, with its time.
"""
import argparse
import collections
import contextlib
import itertools
import json
import os
import random
import re
import statistics
import struct
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "../integration"))
import loops  # noqa: E402
import orm_pages  # noqa: E402
import servers  # noqa: E402

DATABASE = "nested"
SETTLE_SECONDS = 0.15  # between pages; a page is not the other's loop
WAITED = 0.2  # a statement that has taken 0.8 round trips has waited for one
PYTHON = ["/usr/bin/python3", "-B", "page_nested.py"]
DRIVERS = {**{d: [*PYTHON, d] for d in ("psycopg2", "transactions", "psycopg", "sqlalchemy", "autocommit", "django", "atomic")},
           "pg": ["node", "page_nested.js", "unnamed"], "pg-named": ["node", "page_nested.js", "named"],
           "pg-transactions": ["node", "page_nested.js", "transactions"], "pdo-transactions": ["php", "page_nested.php", "transactions"],
           "pdo": ["php", "page_nested.php", "prepared"], "pdo-emulated": ["php", "page_nested.php", "emulated"]}
JDBC = {"jdbc": "autocommit", "jdbc-transactions": "transactions"}
Statement = collections.namedtuple("Statement", "at text length")  # at: seconds of CLOCK_MONOTONIC


# ---- the tree

def ids_of(pages, width):
    """One number for each page, each an id of some list's."""
    return random.Random(3).sample(range(1, pages * width + 1), pages)


BY = {"number": ("int", "page = %s", lambda page, pages, width: page),
      "far": ("int", "page = %s", lambda page, pages, width: 1000003 + 7919 * page),
      "ids": ("int", "page = %s", lambda page, pages, width: ids_of(pages, width)[page - 1]),
      "text": ("text", "page = %s", lambda page, pages, width: "what page %d has" % page),
      "offset": ("int", "true", lambda page, pages, width: (page - 1) * width),
      "keyset": ("int", "id > %s", lambda page, pages, width: (page - 1) * width)}


def levels_of(tree, prefix, by):
    """[{"table", "sql", "one", "from"}]: `from` is the column of the row above that has its key."""
    out = []
    for depth, width in enumerate(tree.split("x")):
        one = width == "o"
        down = ", down" if tree.split("x")[depth + 1:depth + 2] == ["o"] else ""
        where = BY[by][1] + " ORDER BY id" if not depth else "id = %s" if one else "up = %s ORDER BY id"
        end = {"offset": " LIMIT %s OFFSET %%s" % width, "keyset": " LIMIT " + width}.get(by, "") if not depth else ""
        table = prefix + str(depth)
        out.append({"table": table, "sql": "SELECT id, name%s FROM %s WHERE %s%s" % (down, table, where, end), "one": one, "from": 2 if one else 0})
    return out


def fill(c, tree, prefix, pages, by):
    """The rows of as many pages. Tables that are named by others have a third as many rows as these."""
    n, above, widths = pages, pages, tree.split("x")
    for depth, width in enumerate(widths):
        one, table = width == "o", prefix + str(depth)
        n = max(1, n // 3) if one else n * int(width)
        below = ", down int" if widths[depth + 1:depth + 2] == ["o"] else ""
        c.sql("CREATE TABLE %s (id int PRIMARY KEY, name text NOT NULL, %s%s)" % (table, "page " + BY[by][0] if not depth else "up int", below))
        value = "1" if one else "1 + (i - 1) / %s" % width
        if not depth:
            value = "('{%s}'::%s[])[%s]" % (",".join(str(BY[by][2](page, pages, int(width))) for page in range(1, pages + 1)), BY[by][0], value)
        names = ", 1 + i * 7 %% %d" % max(1, n // 3) if below else ""
        c.sql("INSERT INTO %s SELECT i, '%s number ' || i, %s%s FROM generate_series(1, %d) i" % (table, table, value, names, n))
        c.sql("CREATE INDEX ON %s (%s)" % (table, "page" if not depth else "up"))
        if depth and one:
            c.sql("ALTER TABLE %s ADD FOREIGN KEY (down) REFERENCES %s" % (above, table))
        elif depth:
            c.sql("ALTER TABLE %s ADD FOREIGN KEY (up) REFERENCES %s" % (table, above))
        above = table
    c.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO app")
    c.sql("ANALYZE")


# ---- what passes the relay

def keys_of(bind):
    """How many keys a Bind has in its first array of integers, the first and the last."""
    at = bind.find(struct.pack("!I", 23), len(bind.split(b"\0")[1]))
    if at < 12 or struct.unpack_from("!II", bind, at - 8) != (1, 0):
        return ""
    n = struct.unpack_from("!I", bind, at + 4)[0]
    first, last = (struct.unpack_from("!i", bind, at + 16 + 8 * i)[0] for i in (0, n - 1))
    return "%d keys, %d to %d: " % (n, first, last)


class Trace:
    """Reads the relay's notes. What is sent to the server is cut into messages, however it arrives."""

    def __init__(self, file):
        self.file, self.buffer, self.up, self.texts = file, b"", {}, {}
        self.statements, self.flights, self.answers = [], 0, []
        self.answered = True

    def read(self):
        self.buffer += self.file.read()
        at = 0
        while len(self.buffer) - at >= 20:
            when, pair, length, down = struct.unpack_from("<QIII", self.buffer, at)
            if len(self.buffer) - at - 20 < length:
                break
            data = self.buffer[at + 20:at + 20 + length]
            at += 20 + length
            if down:
                self.answers.append((when / 1e9, length))
            else:
                self.sent(when / 1e9, pair, data)
        self.buffer = self.buffer[at:]

    def sent(self, at, pair, data):
        data, n = self.up.get(pair, b"") + data, 0
        started = pair in self.up
        while len(data) - n >= 5:
            head = 1 if started else 0
            size = head + struct.unpack_from("!I", data, n + head)[0]
            if len(data) - n < size:
                break
            if started:
                self.message(at, pair, data[n:n + 1], data[n + 5:n + size])
            started = started or struct.unpack_from("!I", data, n + 4)[0] not in (80877102, 80877103, 80877104)
            n += size
        if started:
            self.up[pair] = data[n:]

    def message(self, at, pair, kind, body):
        """Notes Query and Execute with their texts."""
        if kind == b"Q":
            self.statements.append(Statement(at, body[:-1].decode(errors="replace"), len(body)))
        elif kind == b"P":
            name, text = body.split(b"\0")[:2]
            self.texts[pair, name] = text.decode(errors="replace")
        elif kind == b"B":
            name = body.split(b"\0")[1]
            self.texts[pair, None] = keys_of(body) + self.texts.get((pair, name), "?"), len(body)
        elif kind == b"E":
            text, length = self.texts.get((pair, None), ("?", 0))
            self.statements.append(Statement(at, text, length))

    def take(self):
        """(statements, answers) since the last time"""
        self.read()
        got = self.statements, self.answers
        self.statements, self.answers = [], []
        return got


class Far(servers.Endpoint):
    """The server, seen over a round-trip time by a relay that notes what passes."""

    def __init__(self, pg, folder, rtt_ms):
        program = os.path.join(folder, "relay")
        if not os.path.exists(program):
            servers.run("gcc", "-O2", "-D_GNU_SOURCE", "-o", program, os.path.join(HERE, "relay.c"), "-luv")
        self.port, name = servers.free_port(), os.path.join(folder, "trace")
        self.process = subprocess.Popen([program, "--listen", "127.0.0.1:%d" % self.port, "--to", "127.0.0.1:%d" % pg.port, "--delay-us",
                                         str(int(rtt_ms * 1000)), "--trace", name], stdout=subprocess.PIPE, preexec_fn=servers.die_with_parent)
        assert self.process.stdout.readline()
        self.file = open(name, "rb")
        self.trace = Trace(self.file)

    def stop(self):
        self.process.terminate()
        self.process.wait()
        self.process.stdout.close()
        self.file.close()


# ---- pages

def program_of(driver, levels, folder):
    if driver not in JDBC:
        return [*DRIVERS[driver], json.dumps(levels)]
    return [*orm_pages.jdbc(folder, "PageNested"), JDBC[driver], *itertools.chain.from_iterable((at["sql"], str(at["from"] + 1)) for at in levels)]


class Pages(orm_pages.Program):
    def __init__(self, driver, port, levels, folder):
        env = dict(os.environ, ORM_PORT=str(port))
        super().__init__(program_of(driver, levels, folder), env, os.path.join(folder, "errors"), os.path.join(HERE, "../integration/orms"))

    def ask(self, by):
        self.process.stdin.write(json.dumps(by).encode() + b"\n")
        self.process.stdin.flush()
        return self.read()


def scattered(pages):
    """The pages' numbers in an order in which no step comes twice in a row."""
    for seed in itertools.count():
        order = random.Random(seed).sample(range(1, pages + 1), pages)
        steps = [b - a for a, b in zip(order, order[1:])]
        if all(a != b for a, b in zip(steps, steps[1:])) or pages < 4:
            return order


def waits_of(took, rtt_ms):
    return sum(int(t / rtt_ms + WAITED) for t in took)


def flights_of(statements, rtt_ms):
    """What was sent within half a round trip went together."""
    n, since = 0, float("-inf")
    for at in sorted(s.at for s in statements):
        if at > since + rtt_ms / 2000:
            n, since = n + 1, at
    return n


LEARNT = 6  # pages


def touches(how, pages):
    draw = random.Random(5)
    return [i < LEARNT or how == "all" or (how == "half" and draw.random() < 0.5) for i in range(pages)]


def computed(pg):
    """Milliseconds that the server's processes have computed."""
    with open("/proc/%d/task/%d/children" % (pg.process.pid, pg.process.pid)) as f:
        pids, total = f.read().split(), 0
    for pid in pids:
        with contextlib.suppress(OSError):
            with open("/proc/%s/task/%s/children" % (pid, pid)) as f:
                pids += f.read().split()
            with open("/proc/%s/schedstat" % pid) as f:
                total += int(f.read().split()[0])
    return total / 1e6


def run(world, port, driver, tree, by, rtt_ms, args, far):
    """[{"trips", "waits", "statements", "page"}] page by page"""
    out = []
    with Pages(driver, port, world.trees[tree, by], world.folder) as pages:
        touched = touches(args.touched, args.pages)
        for number, page in enumerate(range(1, args.pages + 1) if args.in_order else scattered(args.pages), 1):
            time.sleep(SETTLE_SECONDS)
            far.trace.take()
            cpu, value = computed(world.pg), BY[by][2](page, args.pages, int(tree.split("x")[0]))
            got = pages.ask(value if args.touched == "all" else [value, touched[number - 1]])
            time.sleep(SETTLE_SECONDS + rtt_ms / 500)
            statements, answers = far.trace.take()
            out.append(dict(trips=got["ms"] / rtt_ms, waits=waits_of(got["took"], rtt_ms), flights=flights_of(statements, rtt_ms), statements=len(statements), page=got["page"], cpu=computed(world.pg) - cpu))
            if number in args.show or (0 in args.show and number > 1 and out[-1]["flights"] > len(world.trees[tree, by])):
                show(got, statements, answers, rtt_ms)
    return out


def show(got, statements, answers, rtt_ms):
    events = [(s.at, "-> %5d %s" % (s.length, re.sub(r"\s+", " ", s.text)[:150])) for s in statements]
    events += [(at, "<- %5d" % n) for at, n in answers]
    at = got["began"]
    print("        page: %.1f ms; waited: %s" % (got["ms"], " ".join("%d:%.1f" % (i, t) for i, t in enumerate(got["took"]) if t > (1 - WAITED) * rtt_ms)))
    for t, what in sorted(events, key=lambda e: e[0]):
        print("        %7.1f %s" % ((t - at) * 1e3, what))


class World:
    def __init__(self, stack, args):
        self.folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="pgfold-nested-"))
        self.pg = servers.Postgres(ssl=False)
        stack.callback(self.pg.remove)
        with self.pg.admin("postgres") as c:
            c.sql("CREATE ROLE app LOGIN")
            c.sql("CREATE DATABASE %s" % DATABASE)
        self.trees = {}
        with self.pg.admin(DATABASE) as c:
            for i, (tree, by) in enumerate(itertools.product(args.tree, args.by)):
                prefix = "t%d_" % i
                fill(c, tree, prefix, args.pages, by)
                self.trees[tree, by] = levels_of(tree, prefix, by)


def measure(world, binary, driver, tree, by, rtt_ms, args):
    """{"direct", "rounds": [[page]], "same"}; binary None: only directly"""
    far = Far(world.pg, world.folder, rtt_ms)
    try:
        direct = run(world, far.port, driver, tree, by, rtt_ms, argparse.Namespace(pages=args.pages, show=(), in_order=args.in_order, touched=args.touched), far)
        rounds = []
        for _ in range(args.rounds):
            pgfold = servers.Pgfold(binary, "host=127.0.0.1 port=%d sslmode=disable" % far.port, {"batching.never_slower": "on", "batching.patience": "20ms", **args.settings})
            try:
                rounds.append(run(world, pgfold.port, driver, tree, by, rtt_ms, args, far))
                if args.log:
                    print(pgfold.log())
            finally:
                pgfold.stop()
        return dict(direct=direct, rounds=rounds, same=all([p["page"] for p in r] == [p["page"] for p in direct] for r in rounds))
    finally:
        far.stop()


def figures(rounds, what, form):
    return " ".join(form % statistics.median(r[i][what] for r in rounds) for i in range(len(rounds[0])))


@contextlib.contextmanager
def load(n):
    busy = [subprocess.Popen([sys.executable, "-c", "while 1: pass"], preexec_fn=servers.die_with_parent) for _ in range(n)]
    try:
        yield
    finally:
        for p in busy:
            p.kill()
            p.wait()


def arguments():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--binary", action="append", help="pgfold to measure, instead of a release build made in build-bench/; may be said several times")
    p.add_argument("--tree", action="append", help="rows of a list, of each of these, …; o: one that is named (20x3x2)")
    p.add_argument("--driver", action="append", choices=[*DRIVERS, *JDBC], help="(psycopg2)")
    p.add_argument("--rtt", action="append", type=float, help="round-trip time to the server in ms (10)")
    p.add_argument("--pages", type=int, default=10)
    p.add_argument("--in-order", action="store_true", help="pages by their numbers, which is a loop over numbers in steps")
    p.add_argument("--by", action="append", choices=BY, help="what a page's list is asked for by (number)")
    p.add_argument("--touched", choices=("all", "half", "never"), default="all")
    p.add_argument("--rounds", type=int, default=1, help="each with a pgfold just started; medians are reported")
    p.add_argument("--load", type=int, default=0, help="busy processes beside it")
    p.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="for pgfold")
    p.add_argument("--show", action="append", type=int, default=[], metavar="PAGE", help="print what passed the relay during this page; 0: during each from the second on that has waited for more than its levels")
    p.add_argument("--log", action="store_true", help="print pgfold's log")
    p.add_argument("--output", help="a file for the report, too")
    args = p.parse_args()
    args.tree, args.driver, args.rtt, args.by = args.tree or ["20x3x2"], args.driver or ["psycopg2"], args.rtt or [10], args.by or ["number"]
    args.settings = dict(s.split("=", 1) for s in args.set)
    args.binary = [os.path.abspath(b) for b in args.binary or [loops.build()]]
    return args


def report(args, cells):
    rows = [[tree, driver, by, "%g" % rtt, os.path.relpath(binary, loops.ROOT), "%.1f" % statistics.median(p["trips"] for p in c["direct"]), figures(c["rounds"], "trips", "%.1f"),
             figures(c["rounds"], "waits", "%g"), figures(c["rounds"], "flights", "%g"), figures(c["rounds"], "statements", "%g"), "" if c["same"] else "**pages differ**"] for (tree, driver, by, rtt, binary), c in cells]
    return ["# Nested pages, round trips page by page, %s UTC" % time.strftime("%Y-%m-%d %H:%M", time.gmtime()), "", "pgfold %s; %d busy processes beside; %d rounds" % (
        servers.run("git", "-C", loops.ROOT, "describe", "--always", "--dirty").strip(), args.load, args.rounds), "",
        *loops.table(["tree", "driver", "by", "ms", "pgfold", "direct", "time / round trip", "waits", "flights", "statements at the server", ""], rows)]


def cost(c):
    """What the server has computed behind the pages that are learnt from, through pgfold and directly."""
    through = statistics.median(sum(p["cpu"] for p in r[LEARNT:]) for r in c["rounds"])
    direct = sum(p["cpu"] for p in c["direct"][LEARNT:])
    return "    server: %.1f ms, directly %.1f" % (through, direct)


def main():
    args, cells = arguments(), []
    with contextlib.ExitStack() as stack:
        world = World(stack, args)
        stack.enter_context(load(args.load))
        for at in itertools.product(args.tree, args.driver, args.by, args.rtt, args.binary):
            tree, driver, by, rtt, binary = at
            cells.append((at, measure(world, binary, driver, tree, by, rtt, args)))
            c = cells[-1][1]
            print("%s %s by %s %g ms: direct %.1f\n    trips %s\n    waits %s\n    flights%s\n    sent  %s%s" % (tree, driver, by, rtt, statistics.median(p["trips"] for p in c["direct"]), figures(c["rounds"], "trips", "%5.1f"),
                  figures(c["rounds"], "waits", "%5g"), figures(c["rounds"], "flights", "%5g"), figures(c["rounds"], "statements", "%5g"), "" if c["same"] else "  PAGES DIFFER"), flush=True)
            if args.touched != "all":
                print(cost(c), flush=True)
    lines = report(args, cells)
    if args.output:
        with open(args.output, "w") as f:
            f.write("\n".join(lines) + "\n")


main()
