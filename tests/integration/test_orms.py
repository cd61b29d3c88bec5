# SPDX-License-Identifier: PostgreSQL
"""Real drivers and mappers, each in its own way of asking for many things at once: the pages of orms/ are the same directly and through
pgfold, and pgfold folds of them what it should.

The server is some milliseconds away, behind a relay, so that lookups meet also where the machine is busy. PGFOLD_ORM_REPORT=FILE appends a line of
figures for each page."""
import contextlib
import json
import os
import shutil
import tempfile

import pytest

import conftest
import orm_pages
import servers
from busy import unless_busy

SHARE = 0.5  # of a page's lookups, at least, are folded; less only where the machine was busy
# What folds less, and why.
IN_TRANSACTIONS = "inside a transaction, each statement prepared anew"
FOLDS_LESS = {
    ("postgres", "transactions"): IN_TRANSACTIONS,
    ("jdbc", "transactions"): "inside a transaction, whose BEGIN is part of the unit",
    ("pg", "one"): "one connection that asks one by one",
    ("psycopg", "pipeline"): "one Sync for all, each lookup in a write of its own",
    ("jdbc", "fetch"): "a cursor",
}
ROUNDS = 6  # in the first ones pgfold proves sessions and vets shapes


@pytest.fixture(scope="module")
def folder():
    path = tempfile.mkdtemp(prefix="pgfold-orms-", dir="/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def far(pg, folder):
    """The server, three milliseconds away, with the schema of the pages."""
    orm_pages.make_schema(pg)
    relay = orm_pages.Relay(pg, folder, 3000)
    yield relay
    relay.stop()


def statements(admin):
    return int(admin.value("SELECT coalesce(sum(calls), 0) FROM pg_stat_statements s JOIN pg_database d ON d.oid = dbid WHERE datname = 'orms' "
                           "AND query ~* '(authors|books|tags|profiles|reviews)' AND NOT query ~ 'pg_catalog.pg_(class|proc|type|attr)'"))


def report(**figures):
    path = os.environ.get("PGFOLD_ORM_REPORT")
    if path:
        with open(path, "a") as f:
            f.write(json.dumps(figures) + "\n")


def run_page(library, way, end, folder, rounds, before_last=lambda: None):
    """The pages, and the fastest time of the last two."""
    with orm_pages.Page(library, way, end.port, folder) as page:
        got = [page.ask() for _ in range(rounds - 2)]
        before_last()
        got += [page.ask() for _ in range(2)]
        return [g["page"] for g in got], min(g["ms"] for g in got[-2:]), got[0]["lookups"]


@pytest.mark.parametrize("library,way", orm_pages.CASES, ids=["-".join(filter(None, c)) for c in orm_pages.CASES])
def test_page(pg, far, folder, start_pgfold, library, way):
    if not orm_pages.PROGRAMS[library][0]["installed"]():
        pytest.skip(library + " is not installed")
    expected, direct_ms, lookups = run_page(library, way, far, folder, 2)
    assert expected[0] == expected[1], "the page itself changes"
    if conftest.DIRECT:
        return
    p = start_pgfold({"pgfold.log_level": "debug", "batching.never_slower": "off"}, server="host=127.0.0.1 port=%d sslmode=disable" % far.port)
    counts = orm_pages.Counts(p)
    with pg.admin("orms") as admin:
        def begin():
            counts.read()
            admin.sql("SELECT pg_stat_statements_reset()")
        got, ms, _ = run_page(library, way, p, folder, ROUNDS, begin)
        at_server = statements(admin) / 2
    count = counts.read()
    assert all(page == expected[0] for page in got), difference(expected[0], got)
    if (library, way) not in FOLDS_LESS:
        with unless_busy():
            assert count.get("folded", 0) >= SHARE * 2 * lookups, count
    report(library=library, way=way, lookups=lookups, statements=at_server, direct_ms=round(direct_ms, 1), pgfold_ms=round(ms, 1), **{
        "counts": count, "refused": sorted({line.split("a shape is not folded: ")[1] for line in p.log().splitlines() if "a shape is not folded: " in line}),
        "failed": sorted({line.split("a batch failed")[1] for line in p.log().splitlines() if "a batch failed" in line})})


LAZY = 0.1  # of a lazy loop's statements, at most, reach the server


@pytest.mark.parametrize("library", orm_pages.LOOPS)
def test_lazy_loop(pg, far, folder, start_pgfold, library):
    """The classic N+1 page, unchanged, on one connection: the books, the profile and the reviews of each book of one author after the other."""
    if not orm_pages.PROGRAMS[library][0]["installed"]():
        pytest.skip(library + " is not installed")
    expected, direct_ms, lookups = run_page(library, "loop", pg, folder, 2)
    assert expected[0] == expected[1], "the page itself changes"
    assert lookups >= 6 * orm_pages.N
    if conftest.DIRECT:
        return
    p = start_pgfold({"lookahead.max_gap": "1s", "lookahead.max_age": "60s"})
    with pg.admin("orms") as admin:
        got, ms, _ = run_page(library, "loop", p, folder, ROUNDS, lambda: admin.sql("SELECT pg_stat_statements_reset()"))
        at_server = statements(admin) / 2
    assert all(page == expected[0] for page in got), difference(expected[0], got)
    report(library=library, way="loop", lookups=lookups, statements=at_server, direct_ms=round(direct_ms, 1), pgfold_ms=round(ms, 1))
    with unless_busy():
        assert at_server <= LAZY * lookups


TOGETHER = [("asyncpg", "fetch"), ("psycopg", "prepare"), ("django", "atomic"), ("sqlalchemy_async", "transactions"), ("sequelize", "pool"),
            ("activerecord", "prepared"), ("go", "pool"), ("jdbc", "cached")]


def test_all_libraries_at_once(far, folder, start_pgfold):
    """One pgfold for them all. They set time zones, digits and encodings of their own: no answer in another's format."""
    installed = [case for case in TOGETHER if orm_pages.PROGRAMS[case[0]][0]["installed"]()]
    expected = {case: run_page(*case, far, folder, 2)[0][0] for case in installed}
    if conftest.DIRECT:
        return
    p = start_pgfold(server="host=127.0.0.1 port=%d sslmode=disable" % far.port)
    with contextlib.ExitStack() as stack:
        pages = {case: stack.enter_context(orm_pages.Page(*case, p.port, folder)) for case in installed}
        for _ in range(4):
            for page in pages.values():
                page.start()
            for case, page in pages.items():
                got = page.read()["page"]
                assert got == expected[case], "%s: %s" % (case[0], difference(expected[case], [got]))


def difference(expected, pages):
    """The first answer that is wrong, for the eye."""
    for n, page in enumerate(pages):
        for kind, answers in expected.items():
            for i, answer in enumerate(answers):
                if page[kind][i] != answer:
                    return "page %d, %s of %d: %r instead of %r" % (n + 1, kind, i + 1, page[kind][i], answer)
    return "pages of other kinds"
