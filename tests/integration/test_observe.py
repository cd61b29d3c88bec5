# SPDX-License-Identifier: PostgreSQL
"""Mode observe: what it says that mode fold would send is what mode fold sends, loop by loop and for a burst, and it changes nothing. The same load runs
through a pgfold in each mode; both count."""
import re
import urllib.request

import pytest

import proto
import servers
from ahead import DATABASE, PATIENT, Reader, Watch, make_database
from busy import unless_busy
from framings import FRAMINGS

pytestmark = pytest.mark.pgfold
PAGES = 5
CHILDREN = "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"
AUTHOR = "SELECT id, name FROM author WHERE id = $1"


def rows(c, sql):
    return [r[0] for r in c.conn.sql(sql)]


def loop(c, sql=CHILDREN, between=(), kind="int4"):
    for key in rows(c, "SELECT id FROM author ORDER BY id"):
        c.ask(sql, (kind, key))
        for s in between:
            c.conn.sql(s)


def to_many(c):
    loop(c)


def in_a_transaction(c):
    c.conn.sql("BEGIN")
    loop(c)
    c.conn.sql("COMMIT")


def each_in_a_transaction(c):
    for key in rows(c, "SELECT id FROM author ORDER BY id"):
        c.conn.sql("BEGIN")
        c.ask(CHILDREN, ("int4", key))
        c.conn.sql("COMMIT")


def to_one(c):
    for key in rows(c, "SELECT author_id FROM book ORDER BY id"):
        c.ask(AUTHOR, ("int4", key))


def nested(c):
    for author in rows(c, "SELECT id FROM author ORDER BY id"):
        for book in c.ask(CHILDREN, ("int4", author)):
            c.ask("SELECT id, stars FROM review WHERE book_id = $1 ORDER BY id", ("int4", book[0].decode() if len(book[0]) < 4 else str(int.from_bytes(book[0], "big"))))


def with_an_audit_row(c):
    loop(c, between=("INSERT INTO scratch VALUES (1, 'x')",))


def with_writes(c):
    for i, key in enumerate(rows(c, "SELECT id FROM author ORDER BY id")):
        c.ask(CHILDREN, ("int4", key))
        if i % 20 == 19:
            c.conn.sql("UPDATE book SET price = price WHERE id = 1")


def with_a_row_limit(c):
    """As asyncpg's fetchrow and JDBC's setMaxRows ask, inside a transaction, too."""
    if not hasattr(c, "limited"):
        c.limited = c.conn.ask(proto.parse(AUTHOR, "limited"), proto.describe("S", "limited"), proto.SYNC)
    for transaction in (False, True):
        if transaction:
            c.conn.sql("BEGIN")
        for key in rows(c, "SELECT author_id FROM book ORDER BY id"):
            c.conn.ask(proto.bind([key], "limited") + proto.describe("P") + proto.execute(1) + proto.SYNC)
    c.conn.sql("COMMIT")


def pipelines(c):
    """Five lookups with one Sync."""
    keys = rows(c, "SELECT id FROM author ORDER BY id")
    for transaction in (False, True):
        if transaction:
            c.conn.sql("BEGIN")
        for i in range(0, len(keys), 5):
            c.conn.ask(b"".join(proto.unit(CHILDREN, [k])[:-len(proto.SYNC)] for k in keys[i:i + 5]), proto.SYNC)
    c.conn.sql("COMMIT")


LOOPS = [(to_many, "simple"), (to_many, "asyncpg"), (to_many, "pdo"), (in_a_transaction, "simple"), (each_in_a_transaction, "simple"), (to_one, "pgjdbc"),
         (nested, "simple"), (with_a_row_limit, "simple"), (pipelines, "simple"), (with_an_audit_row, "pgx"), (with_writes, "simple")]


class Counted:
    """A pgfold and what it has counted since the last look."""

    def __init__(self, start_pgfold, mode):
        self.http, self.mode = servers.free_port(), mode
        self.end = start_pgfold(PATIENT | {"http.listen": "127.0.0.1:%d" % self.http, "batching.max_in_flight": "2"}, mode=mode)
        self.seen = {}
        self.count()

    def count(self):
        with urllib.request.urlopen("http://127.0.0.1:%d/metrics" % self.http, timeout=20) as r:
            now = {n: float(v) for n, v in re.findall(r"^pgfold_(\S+) (\S+)$", r.read().decode(), re.M)}
        got = {n: v - self.seen.get(n, 0) for n, v in now.items()}
        self.seen = now
        return got

    def told(self):
        """(statements asked, statements sent, lookups spared), as they are or as they would be."""
        n = self.count()
        observes = self.mode == "observe"
        sent = n["statements_would_send_total" if observes else 'statements_total{side="server"}']
        spared = sum(n.get(k, 0) for k in (("lookups_would_fold_total", "lookups_would_ahead_total") if observes
                                           else ('lookups_total{outcome="folded"}', 'lookups_total{outcome="ahead"}')))
        return n['statements_total{side="client"}'], sent, spared


def assert_close(observed, folded, slack):
    """Within 5 % of what was asked, and of what was spared; `slack`: statements more."""
    asked, sent, spared = folded
    assert observed[0] == asked
    with unless_busy():
        assert abs(observed[1] - sent) <= 0.05 * asked + slack, (observed, folded)
    with unless_busy():
        assert abs(observed[2] - spared) <= 0.05 * spared + slack, (observed, folded)


@pytest.fixture
def modes(pg, start_pgfold):
    make_database(pg)
    return Counted(start_pgfold, "observe"), Counted(start_pgfold, "fold")


def run(mode, page, framing):
    c = Reader(mode.end, framing)
    for _ in range(PAGES):
        page(c)
    c.close()
    return mode.told(), c.got


def test_loops_are_estimated(modes):
    for page, framing in LOOPS:
        observed, answers = run(modes[0], page, framing)
        folded, same = run(modes[1], page, framing)
        assert answers == same, page.__name__
        assert_close(observed, folded, slack=6)
        with unless_busy():
            assert folded[1] < 0.75 * folded[0] or page is with_an_audit_row, (page.__name__, folded)


def test_a_burst_is_estimated(modes, folding):
    """Forty connections ask at once, ten times; the table is locked until all have asked."""
    counts = []
    for mode in modes:
        conns = folding.connections(mode.end, 40, database=DATABASE)
        unit = FRAMINGS["simple"].statement(conns[0], AUTHOR)
        for _ in range(3):  # proofs and verdicts
            for c in conns:
                c.ask(unit.unit([("int4", "1")]))
        mode.count()
        for _ in range(10):
            with folding.locked("author", database=DATABASE, settle=0.02):
                for i, c in enumerate(conns):
                    c.send(unit.unit([("int4", str(i + 1))]))
            for c in conns:
                c.ready()
        counts.append(mode.told())
        for c in conns:
            c.close()
        folding.opened = [c for c in folding.opened if c not in conns]
    (asked, _, spared), (_, _, folded) = counts  # a lock that lasts makes mode fold send some more
    with unless_busy():
        assert abs(spared - folded) <= 0.15 * asked, counts


def test_nothing_runs_but_what_was_said_and_questions(modes, pg):
    """What the server sees inside a transaction is what the client has said, and nothing is prepared."""
    watch = Watch(pg)
    c = Reader(modes[0].end, "simple")
    for _ in range(3):
        watch.mark()
        in_a_transaction(c)
        texts = [s.text for s in watch.seen()]
        upto = texts[:texts.index("COMMIT")]
        inside = upto[len(upto) - upto[::-1].index("BEGIN"):]  # questions outside of it have a block of their own
        assert len(inside) == 61 and all(t.startswith("SELECT id") for t in inside), inside
    assert c.conn.sql("SELECT count(*) FROM pg_prepared_statements") == [("0",)]
    c.close()
