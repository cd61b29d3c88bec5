# SPDX-License-Identifier: PostgreSQL
"""The catalogue (catalogue.py): every statement, in each framing of its drivers, asked by ten sessions at once for different keys.
Each reply is compared byte for byte with PostgreSQL's own, and the server's count tells whether the statements were folded.

Many rows are tested at once: a row has a role of its own (hence an identity of its own, and a line of its own in
pg_stat_statements), and all tables are locked while the lookups are sent. A failing row is repeated alone before it is blamed.
PGFOLD_CATALOGUE=TEXT runs the rows alone whose name contains the text.
"""
import os
import re
import time

import pytest

import catalogue
import conftest
import proto
from busy import unless_busy
from catalogue import KNOWN, N, REFUSED, UNSEEN
from framings import FRAMINGS
from proto import Message

SLOTS = 45           # rows tested at once
ROUNDS = 7           # of bursts, until a row is folded; a statement that must not be has fewer
ROUNDS_REFUSED = 3
SHARE = 0.95         # of the rows that must be folded, those that have to be
DATABASE = "catalogue"
OURS = re.compile(r"pgfold_k|pgfold_q")  # in every folded text but the IN form's
VETTING = re.compile(r"pg_catalog\.pg_(settings|class|attribute|type|operator|proc|namespace|locks)")
ONLY = os.environ.get("PGFOLD_CATALOGUE", "")


@pytest.fixture(scope="module")
def database(pg):
    with pg.connect("postgres", "postgres") as c:
        c.sql("CREATE DATABASE %s" % DATABASE)
        for i in range(SLOTS):
            c.sql("CREATE ROLE slot_%d LOGIN" % i)
    with pg.admin(DATABASE) as c:
        for statement in catalogue.SCHEMA.split(";\n"):
            c.sql(statement)
        c.sql("CREATE EXTENSION pg_stat_statements")
        yield c


class Case:
    """A row in one framing, in one slot: its connections, what it got, whether it was folded."""

    def __init__(self, row, framing):
        self.row, self.framing, self.calls, self.ours, self.got, self.want, self.rounds = row, framing, None, False, None, None, 0

    def __repr__(self):
        return "%s [%s]" % (self.row.name, self.framing)

    def open(self, pool, end, slot, n):
        """Connections of a role of the slot's own. A row that must be folded takes those that its predecessor left."""
        conns = pool.pop((end, slot), None) or [end.connect("slot_%d" % slot, DATABASE) for _ in range(n)]
        for c in conns:
            for s in self.row.first:
                c.sql(s)
        statements = [FRAMINGS[self.framing].statement(c, self.row.sql) for c in conns]
        return conns, statements

    def prepare(self, pg, proxy, slot, pool):
        self.conns, self.statements = self.open(pool, proxy, slot, N)
        self.directs, (self.direct,) = self.open(pool, pg, slot, 1)
        want = masked(self.row, self.direct.prepare(self.row.values(0)))
        self.prepared = all(masked(self.row, s.prepare(self.row.values(0))) == want for s in self.statements)
        self.want = [self.directs[0].ask(self.direct.unit(self.row.values(i))) for i in range(N)]

    def send(self):
        for i, c in enumerate(self.conns):
            c.send(self.statements[i].unit(self.row.values(i)))

    def receive(self):
        self.rounds += 1
        self.got = [c.ready() for c in self.conns]

    def close(self, pg, proxy, slot, pool):
        for s in self.statements + [self.direct]:
            s.finish()
        if not self.row.why:
            pool[(proxy, slot)], pool[(pg, slot)] = self.conns, self.directs
            return
        for c in self.conns + self.directs:
            c.close()

    @property
    def folded(self):
        return self.calls is not None and self.calls <= N // 2

    @property
    def right(self):
        return self.prepared and [masked(self.row, m) for m in self.got] == [masked(self.row, m) for m in self.want]

    def difference(self):
        if not self.prepared:
            return "the replies to its Parse differ"
        for i, (got, want) in enumerate(zip(self.got, self.want)):
            if masked(self.row, got) != masked(self.row, want):
                return "values %r\n      got  %r\n      want %r" % (self.row.values(i), got[:12], want[:12])


def masked(row, messages):
    """What two runs must have in common."""
    if row.moving:
        return [m.type for m in messages if m.type == "Z"]
    out = [Message("T", b"oids of temporary tables") if m.type == "T" and row.first else m for m in messages]
    return sorted(out) if row.unordered else out


def count(admin, cases):
    """The statements of each case that reached the server, as the server counted them."""
    rows = admin.sql("SELECT rolname, query, sum(calls) FROM pg_stat_statements s JOIN pg_roles r ON r.oid = s.userid "
                     "WHERE rolname LIKE 'slot_%' AND dbid = (SELECT oid FROM pg_database WHERE datname = current_database()) GROUP BY 1, 2")
    for slot, case in enumerate(cases):
        mine = [(q, int(n)) for r, q, n in rows if r == "slot_%d" % slot]
        case.ours = case.ours or any(OURS.search(q) for q, _ in mine)
        case.calls = sum(n for q, n in mine if not VETTING.search(q) or VETTING.search(case.row.sql))


def burst(pg, admin, cases, *ends):
    """All cases' lookups at once, while every table is locked."""
    admin.sql("SELECT pg_stat_statements_reset()")
    with pg.admin(DATABASE) as locker:
        tables = locker.value("SELECT string_agg(c.oid::regclass::text, ', ') FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace "
                              "WHERE relkind IN ('r', 'p') AND nspname IN ('public', 'shop', 'Odd Schema')")
        locker.sql("BEGIN")
        locker.sql("LOCK TABLE %s IN ACCESS EXCLUSIVE MODE" % tables)
        locker.sql("REFRESH MATERIALIZED VIEW totals")  # locks it
        for case in cases:
            case.send()
        conftest.arrived(ends)
        time.sleep(0.25)
        locker.sql("COMMIT")
    for case in cases:
        case.receive()
    time.sleep(0.05)  # pgfold's own questions about the shapes
    count(admin, cases)


def run(pg, proxy, admin, cases, pool):
    """Bursts until all that must be folded are, or the rounds are used up."""
    for slot, case in enumerate(cases):
        case.prepare(pg, proxy, slot, pool)
    wrong = []
    for i in range(ROUNDS):
        left = [c for c in cases if c not in wrong and (i < ROUNDS_REFUSED or (not c.row.why and not c.folded))]
        if not left or (i and conftest.DIRECT):
            break
        burst_of(pg, admin, cases, left, pg, proxy)
        wrong += [c for c in left if not c.right]
    for slot, case in enumerate(cases):
        case.close(pg, proxy, slot, pool)


def burst_of(pg, admin, cases, left, *ends):
    kept = {c: (c.calls, c.got) for c in cases if c not in left}
    silent = [c if c in left else Silent(c) for c in cases]
    burst(pg, admin, silent, *ends)
    for c, (calls, got) in kept.items():
        c.calls, c.got = calls, got


class Silent:
    """Keeps a case's slot while it takes no part."""

    def __init__(self, case):
        self.ours, self.row = case.ours, case.row

    def send(self):
        pass

    receive = send


def judged(case):
    """What is wrong with it, or None."""
    if not case.right:
        return "a reply is not PostgreSQL's: " + case.difference()
    if case.row.why and case.ours and not conftest.DIRECT:
        return "it was folded although " + case.row.why
    return None


def all_cases():
    rows = [r for r in KNOWN + UNSEEN + REFUSED if ONLY in r.name]
    cases = [Case(r, f) for r in rows for f in r.framings]
    # Framings of one row apart, so that a chunk holds each statement once.
    return sorted(cases, key=lambda c: (bool(c.row.why), c.row.framings.index(c.framing)))


@pytest.fixture(scope="module")
def results(pg, database, long_lived):
    proxy = long_lived(batching__never_slower="off", lookahead__mode="off", pgfold__log_level="debug" if ONLY else "info")
    cases, pool = all_cases(), {}
    for i in range(0, len(cases), SLOTS):
        run(pg, proxy, database, cases[i:i + SLOTS], pool)
    for case in [c for c in cases if judged(c)]:  # alone, to be sure
        run(pg, proxy, database, [case], {})
    slow = [c for c in cases if not c.row.why and not c.folded]  # once more, where the machine was too busy for their verdicts
    for i in range(0, len(slow) if len(slow) > (1 - SHARE) * len(cases) and not conftest.DIRECT else 0, SLOTS):
        run(pg, proxy, database, slow[i:i + SLOTS], pool)
    for c in [c for conns in pool.values() for c in conns]:
        c.close()
    if ONLY and not conftest.DIRECT:  # why not
        proxy.signal(10)
        time.sleep(0.5)
        print("\n".join(sorted({m[0] or m[1] for m in re.findall(r"(a (?:shape|batch).*: .*)|(forwarded.*|lookups.*)", proxy.log())})))
    return cases


def test_every_reply_is_postgresqls(results):
    wrong = ["%r\n    %s\n    %s" % (c, c.row.sql, judged(c)) for c in results if judged(c)]
    assert not wrong, "%d of %d:\n%s" % (len(wrong), len(results), "\n".join(wrong))


def test_foldable_rows_have_answers(results):
    wrong = ["%r: %s" % (c, proto.errors(c.want[i])[0]["M"]) for c in results if not c.row.why
             for i in range(N) if proto.errors(c.want[i]) and None not in [v for _, v in c.row.values(i)]]
    empty = ["%r: no rows at all" % c for c in results if not c.row.why and not any(proto.rows(w) for w in c.want)]
    assert not wrong + empty, "\n".join(wrong + empty)


@pytest.mark.pgfold
def test_share_folded(results):
    foldable = [c for c in results if not c.row.why]
    folded = [c for c in foldable if c.folded]
    lines = ["not folded (%d statements for %d lookups): %r" % (c.calls, N, c) for c in foldable if not c.folded]
    print("\n".join(lines))
    print("folded %d of %d statements, of %d rows all %d" % (len(folded), len(foldable), len({c.row for c in foldable}),
          len({c.row for c in foldable} - {c.row for c in foldable if not c.folded})))
    with unless_busy():
        assert len(folded) >= SHARE * len(foldable), "%d of %d are folded:\n%s" % (len(folded), len(foldable), "\n".join(lines))


@pytest.mark.pgfold
def test_every_refusal_is_counted_as_sent(results):
    """What must not be folded reached the server as often as it was asked; utility statements are not counted there."""
    refused = [c for c in results if c.row.why in (catalogue.STABLE, catalogue.VOLATILE, catalogue.USER, catalogue.LOCKS, catalogue.OTHERS)]
    few = ["%r: %d" % (c, c.calls) for c in refused if c.calls < N and not any(map(proto.errors, c.want + c.got))]
    assert not few, "\n".join(few)
