# SPDX-License-Identifier: PostgreSQL
"""The matrix of mappers and their lazy pages (orm_matrix.py), in short: each page is the same as directly, and of those that every mapper has
alike the server gets less. tests/bench/matrix.py has the figures."""
import shutil
import tempfile

import pytest

import ahead
import conftest
import orm_matrix
from busy import unless_busy

ROWS = 12
TIMES = 3  # in the first ones pgfold proves sessions, vets shapes and learns
MOST = 0.5
# Of these together the server gets at most so much, their lists and all; the others are only compared. Of lists of twelve rows a third is what can be had.
HELPED = ["to_many", "to_one", "nested", "many_to_many", "counts", "latest", "relations", "keyset", "after_write", "deferred", "refresh", "view", "uuid"]


@pytest.fixture(scope="module")
def folder():
    path = tempfile.mkdtemp(prefix="pgfold-matrix-", dir="/tmp")
    yield path
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture(scope="module")
def server(pg):
    orm_matrix.make_database(pg)
    return pg


def made(watch, application, page):
    """A page, and how many statements the server was sent for it."""
    watch.mark()
    return application.ask(page), watch.seen()


@pytest.mark.parametrize("mapper", orm_matrix.MAPPERS)
def test_pages(server, folder, start_pgfold, mapper):
    if not orm_matrix.MAPPERS[mapper]["installed"]():
        pytest.skip(mapper + " is not installed")
    watch = ahead.Watch(server)
    with orm_matrix.Application(mapper, server.port, folder, ROWS) as direct:
        direct.ask("to_many")
        expected = {page: made(watch, direct, page) for page in orm_matrix.PAGES}
    if conftest.DIRECT:
        return
    p = start_pgfold({"lookahead.max_gap": "1s", "lookahead.max_age": "60s"})
    n = of = 0
    with orm_matrix.Application(mapper, p.port, folder, ROWS) as through:
        for page, (content, seen) in expected.items():
            for turn in range(TIMES):
                got, now = made(watch, through, page)
                assert got == content, "%s, time %d" % (page, turn + 1)
            if page in HELPED:
                sent = {s.text for s in seen}
                n += sum(ahead.kind_of(s, sent) in ("client", "batch") for s in now)
                of += len(seen)
    with unless_busy():
        assert n <= MOST * of, "%d of %d statements" % (n, of)
