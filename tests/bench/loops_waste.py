# SPDX-License-Identifier: PostgreSQL
"""What loops cost whose keys cannot be guessed, or that go through a list in another way than from its first row to its last: 25 times on one
connection, directly and through pgfold.

Everything that reaches the server counts: what the client sent, batches, what frames them, questions about the connection and about statements. A kind is
fine if neither the whole run nor its first ten loops cost more than 1.2 times as many statements as directly, and the rows of users' tables that were
read are at most 1.2 times as many, too. Blocks are those of all statements, of the catalogue's questions, too, but not what the planner reads. The time of
the server's process is given beside them: on a busy machine it varies by a third.
"""
import collections
import contextlib
import random
import sys

import loops_pages
import orm_pages
import proto
from loops_pages import AUTHOR, AUTHORS, BOOK_LIST, BOOKS, ID, Loop, Page, books, breadth_first, depth_first, lookup, turns
from loops_world import connect, note, table, vain_of

TIMES = 25
FIRST = 10
MOST = 1.2

# ---- how a list is gone through: (dice) -> (rows) -> rows


def broken_off(dice):
    return lambda rows: rows[:dice.randrange(max(len(rows), 1))]


def broken_off_early(dice):
    return lambda rows: rows[:1 + dice.randrange(5)]


def shuffled(dice):
    return lambda rows: dice.sample(list(rows), len(rows))


def never(dice):
    return lambda rows: rows[:1]


def every_third(dice):
    return lambda rows: rows[::3]


def some(dice):
    return lambda rows: [r for r in rows if not dice.randrange(8)]


def late(dice):
    return lambda rows: rows[-3:]


WAYS = {"broken off at random": broken_off, "broken off after 1 to 5": broken_off_early, "in random order": shuffled, "never looped over": never,
        "each third row": every_third, "each eighth, at random": some, "the last three": late}

# ---- kinds that loops.py has

KINDS = [loops_pages.by_name(n) for n in (
    "to-many, psycopg2", "to-many, pgx", "to-one with repeats, Django", "to-one with repeats, GORM", "to-one with repeats, in a transaction", "through a view",
    "with at <= now()", "with a STABLE function that reads a table", "under row-level security, by SET", "an audit row in each turn",
    "an audit row in each turn, in a transaction", "BEGIN, read, COMMIT in each turn", "SAVEPOINT, read, RELEASE in each turn", "ids as text, keys integers",
    "ids in an array column, psycopg2", "SELECT *, then the category, psycopg2", "composite key, psycopg2", "composite key, the list by region",
    "rows since, psycopg2", "limit of the row, pgx", "numeric, psycopg2", "literals", "'…'::uuid = doc_id", "latestOfMany, psycopg2", "UNION, pgx",
    "100 lookups behind an INSERT", "100 lookups behind an INSERT with a trigger", "100 lookups, pgx", "breadth-first, psycopg2", "breadth-first, pgx",
    "depth-first, psycopg2", "depth-first, pgx")]


def add(name, run, client="psycopg2", setup=()):
    KINDS.append(Page(name, "", 0, run, client, TIMES, setup))


def add_loop(name, lists, turn, **kw):
    KINDS.append(Loop(name, "", 0, lists=(lists,), turn=turn, **kw))


# ---- and others

def steps(sql):
    def run(c, choose):
        c.time = getattr(c, "time", -1) + 1
        for i in choose(range(200 * c.time + 1, 200 * c.time + 101)):
            c.ask(sql, ("int4", i))
    return run


def keyset(turn):
    """Five pages of twenty, each from the last one's last row on; each is gone through as the way says."""
    def run(c, choose):
        at = 0
        for _ in range(5):
            rows = c.ask("SELECT id, author_id, title FROM book WHERE id > $1 ORDER BY id LIMIT 20", ("int4", at))
            for row in choose(rows):
                turn(c, row)
            at = rows[-1][0]
    return run


def several(c, choose):
    """A page of three lists with a loop over each, and of a loop in a loop."""
    for row in choose(c.list("SELECT id, name FROM author ORDER BY id LIMIT 30")):
        for b in choose(c.ask(BOOKS, ID_OF(row))):
            c.ask("SELECT id, body FROM comment WHERE record_type = 'Book' AND record_id = $1 ORDER BY id", ID_OF(b))
    for row in choose(c.list("SELECT id, title FROM topic ORDER BY id LIMIT 30")):
        c.ask("SELECT count(*) FROM message WHERE topic_id = $1", ID_OF(row))
    for row in choose(c.list("SELECT id, author_id FROM book ORDER BY id LIMIT 30")):
        c.ask(AUTHOR, ("int4", row[1]))


def ID_OF(row):
    return ("int4", row[0])


def at_random(sql, most):
    """Keys of no list, as pgbench has them."""
    def run(c, choose):
        c.dice = getattr(c, "dice", None) or random.Random(3)
        for _ in choose(range(40)):
            c.ask(sql, ("int4", c.dice.randrange(1, most)))
    return run


def polls(c, choose):
    """A list, and then the same four keys of it again and again."""
    rows = c.list(AUTHORS)
    for _ in choose(range(20)):
        for row in rows[:4]:
            c.ask(AUTHOR, ID_OF(row))


def with_errors(c, choose):
    for row in choose(c.list(AUTHORS)):
        try:
            c.ask("SELECT id, 100 / (author_id - 50) FROM book WHERE author_id = $1 ORDER BY id", ID_OF(row))
        except Exception:
            c.got.append("failed")


def text_of_its_own(c, choose):
    """A constant in the text of a Parse, beside the parameter."""
    c.time = getattr(c, "time", 0)
    for row in choose(c.list(AUTHORS)):
        c.time += 1
        c.answer("x", c.conn.ask(proto.unit("SELECT id, title FROM book WHERE author_id = $1 AND id <> -%d ORDER BY id" % c.time, [str(row[0])])), ())


def key_in_text(c, choose):
    for row in choose(c.list(AUTHORS)):
        c.answer("x", c.conn.ask(proto.unit(BOOKS.replace("$1", str(row[0])), [])), ())


def label_of_its_own(c, choose):
    c.time = getattr(c, "time", 0)
    for row in choose(c.list(AUTHORS)):
        c.time += 1
        c.ask("SELECT id AS x%d, title FROM book WHERE author_id = $1" % c.time, ID_OF(row))


def many_statements(c, choose):
    """Each row has twelve relations, each asked for once."""
    for row in choose(c.list("SELECT id, name FROM author ORDER BY id LIMIT 12")):
        for n in range(12):
            c.ask("SELECT id, title, %d AS n FROM book WHERE author_id = $1 ORDER BY id" % n, ID_OF(row))


def statements_of_a_page(c, choose):
    """Each page has lists and statements of its own, as those of an administrator's console."""
    c.time = getattr(c, "time", 0) + 1
    for row in choose(c.list("SELECT id, name AS name%d FROM author ORDER BY id" % c.time)):
        c.ask("SELECT id, title AS title%d FROM book WHERE author_id = $1 ORDER BY id" % c.time, ID_OF(row))


add("keys in steps", steps("SELECT id, topic_id, body FROM message WHERE id = $1"))
add("keys in steps, pgx", steps("SELECT id, topic_id, body FROM message WHERE id = $1"), client="pgx")
add("keyset pages, to-many", keyset(lookup("SELECT id, body FROM comment WHERE record_type = 'Book' AND record_id = $1 ORDER BY id", ID)))
add("keyset pages, to-one", keyset(lookup(AUTHOR, ("int4", 1))))
add_loop("two relations in turn, psycopg2", BOOK_LIST, turns(lookup(AUTHOR, ("int4", 1)), lookup("SELECT id, body FROM comment WHERE record_type = 'Book' AND record_id = $1", ID)))
add_loop("two relations in turn, pgx", BOOK_LIST, turns(lookup(AUTHOR, ("int4", 1)), lookup("SELECT id, body FROM comment WHERE record_type = 'Book' AND record_id = $1", ID)),
         client="pgx")
add("three lists and a loop in a loop", several)
add("keys at random, of no list", at_random("SELECT id, topic_id, body FROM message WHERE id = $1", 6000))
add("few keys at random, of no list", at_random(AUTHOR, 30))
add("four keys again and again", polls)
add("a key that raises an error", with_errors)
add("a constant in the text of a Parse", text_of_its_own, client="pg")
add("the key in the text of a Parse", key_in_text, client="pg")
add("a label of its own in each statement", label_of_its_own)
add("twelve relations of each row", many_statements)
add("statements of its own in each page", statements_of_a_page)
add_loop("a volatile function", AUTHORS, lookup("SELECT id, title, random() < 2 FROM book WHERE author_id = $1 ORDER BY id", ID))
add_loop("a user's function that is not declared STABLE", AUTHORS, lookup("SELECT id, title, twice(id) FROM book WHERE author_id = $1 ORDER BY id", ID))
add_loop("a view that calls such a function", AUTHORS, lookup("SELECT id, title, twice FROM twice_view WHERE author_id = $1 ORDER BY id", ID))
add_loop("a write to what is read in each turn", AUTHORS, turns(books, "UPDATE book SET title = title WHERE id = -1"))
add_loop("in REPEATABLE READ", AUTHORS, books, around=(("BEGIN ISOLATION LEVEL REPEATABLE READ",), ("COMMIT",)))
add_loop("a temporary table", AUTHORS, lookup("SELECT n FROM mine WHERE author_id = $1", ID),
         setup=("CREATE TEMP TABLE mine AS SELECT id AS author_id, id AS n FROM author", "SELECT 1"))
add_loop("a connection for each page", AUTHORS, books)
KINDS[-1].anew = True
SCHEMA = """CREATE OR REPLACE FUNCTION twice(int) RETURNS int LANGUAGE sql AS 'SELECT $1 * 2';
CREATE OR REPLACE VIEW twice_view AS SELECT id, author_id, title, twice(id) FROM book;
GRANT SELECT ON twice_view TO PUBLIC;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements"""

# ---- what it costs


def server_counts(world):
    """Rows of users' tables that were read, blocks and milliseconds of statements since the last look. What a connection has counted is there once it
    is closed."""
    with world.pg.admin(loops_pages.DATABASE) as c:
        rows = c.sql("SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0) FROM pg_stat_user_tables")[0][0]
        blocks = c.sql("SELECT coalesce(sum(shared_blks_hit + shared_blks_read), 0), coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid"
                       " WHERE rolname = 'app'")[0]
        c.sql("SELECT pg_stat_statements_reset(), pg_stat_reset()")
    return dict(rows=int(rows), blocks=int(blocks[0]), calls=int(blocks[1]))


def cpu_ms(pid):
    with open("/proc/%s/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e6


def pages(world, port, of, way):
    """Runs the loops; returns what the relay had counted after the first ten, the time of the server's processes, and the answers."""
    choose, answers, first, cpu = WAYS[way](random.Random(7)), [], 0, 0.0
    times_each = 1 if getattr(of, "anew", False) else TIMES
    for at in range(0, TIMES, times_each):
        with contextlib.closing(connect(world, port, of)) as c:
            c.mark = lambda: None
            for i in range(at, at + times_each):
                of.run(c, choose) if isinstance(of, Loop) else of.page(c, choose)
                first = world.passed() - world.at if i == FIRST - 1 else first
            seen = world.watch.seen()
            cpu += cpu_ms(seen[-1].pid) if seen else 0
            answers += c.got
    return first, cpu, answers


def cost(world, port, of, way, sent=()):
    server_counts(world)
    world.mark()
    first, cpu, answers = pages(world, port, of, way)
    count, seen = note(world, sent)
    return dict(count, first=first, cpu=cpu, **server_counts(world)), answers, {s.text for s in seen}


def measure(world, binary, of, way, args):
    direct, want, sent = cost(world, world.port, of, way)
    pgfold = world.start_pgfold(binary, args.settings)
    try:
        counts = orm_pages.Counts(pgfold)
        got, have, _ = cost(world, pgfold.port, of, way, sent)
        counters = counts.read()
    finally:
        pgfold.stop()
    out = dict(name=of.name, way=way, same=want == have, keys=counters.get("ahead_keys", 0), vain=vain_of(counters), questions=got["questions"])
    for what in ("relay", "first", "rows", "blocks", "cpu"):
        out.update({what: (direct[what], got[what]), "of " + what: got[what] / max(direct[what], 1)})
    out["ok"] = out["same"] and max(out["of relay"], out["of first"], out["of rows"]) <= MOST
    return out


def run(world, binary, args):
    with world.pg.admin(loops_pages.DATABASE) as c:
        for s in SCHEMA.split(";\n"):
            c.sql(s)
    out = []
    for of in KINDS:
        for way in WAYS:
            if (args.only and not any(o in of.name for o in args.only)) or (args.way and not any(w in way for w in args.way)):
                continue
            r = measure(world, binary, of, way, args)
            out.append(r)
            print("%-42s %-24s %5d %5d %.2f  first %4d %4d %.2f  rows %.2f blocks %.2f time %.2f  %d keys, %d for nothing, %d questions %s" % (
                r["name"], way, *r["relay"], r["of relay"], *r["first"], r["of first"], r["of rows"], r["of blocks"], r["of cpu"], r["keys"], r["vain"], r["questions"],
                "ok" if r["ok"] else "NO" if r["same"] else "DIFFERS"), file=sys.stderr, flush=True)
    return out


def verdict(r):
    return "**answers differ**" if not r["same"] else "ok" if r["ok"] else "**no**"


def lines(results):
    out = table(["loop, 25 times", "list gone through", "direct", "pgfold", "statements", "first ten", "rows read", "blocks", "server's time", "questions", "keys loaded", "for nothing", "ok"],
                [[r["name"], r["way"], *r["relay"], *("%.2f" % r["of " + w] for w in ("relay", "first", "rows", "blocks", "cpu")), r["questions"], r["keys"], r["vain"],
                  verdict(r)] for r in results])
    bad = collections.Counter(r["name"] for r in results if not r["ok"])
    return out + ["", "%d of %d within %s times" % (sum(r["ok"] for r in results), len(results), MOST),
                  *("%s: %d" % b for b in bad.most_common())]
