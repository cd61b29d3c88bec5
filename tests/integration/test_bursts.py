# SPDX-License-Identifier: PostgreSQL
"""Pages that ask for many things at once over a pool, kind by kind, while the server is far: what a kind is followed by goes out with it. Every page is asked
for directly and through pgfold, and each reply is compared; what the server was sent is read from its log."""
import itertools
import re

import pytest

import conftest
import orm_pages
from ahead import DATABASE, Watch, fill
from busy import unless_busy
from proto import SYNC, bind, describe, execute, parse, query, rows, wire
from test_with_list import db, far, made, proxy  # noqa: F401

SIZE = 8  # connections, and lookups of each kind
PAGES = 6  # of which the first three are learnt from
SERIAL = itertools.count()

AUTHOR = "SELECT id, name FROM author WHERE id = $1"
BOOKS = "SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"
BIOS = "SELECT id, bio FROM profile WHERE author_id = $1"


class Pool:
    """Connections that ask at once. `got` has every reply, in the order of the questions."""

    def __init__(self, end, size=SIZE, known=True):
        self.conns = [end.connect(database=DATABASE) for _ in range(size)]
        self.got = []
        for c in self.conns * 3 if known else []:  # so that pgfold knows who they are
            c.sql("SELECT 1 FROM author WHERE id = 1")

    def close(self):
        for c in self.conns:
            c.close()

    def all(self, sql, keys, turn=0):
        """One lookup over each connection; `turn`: the first key goes to the connection with this number."""
        asked = [(self.conns[(i + turn) % len(self.conns)], fill(sql, [("int4", str(k))])) for i, k in enumerate(keys)]
        for c, text in asked:
            c.send(query(text))
        replies = [wire(c.ready()) for c, _ in asked]
        self.got.append(replies)
        return replies


    def in_one_unit(self, sql, keys, conn=0):
        """All lookups over one connection, with one Sync behind the last."""
        data = b"".join(parse(sql) + bind([str(k).encode()]) + describe() + execute() for k in keys)
        self.got.append(wire(self.conns[conn].ask(data + SYNC)))


def fresh(*kinds):
    """Texts that nobody has sent before."""
    n = next(SERIAL)
    return [re.sub(r" FROM ", " AS b%d FROM " % n, k, 1) for k in kinds]


def pages(db, end, action, times=PAGES, **pool):
    """[(replies, what the server was sent)] of each page. `action`: asks for one; it is given the pool and the page's number."""
    pool, out = Pool(end, **pool), []
    try:
        for n in range(times):
            watch = Watch(db)
            pool.got = []
            action(pool, n)
            out.append((pool.got, watch.settled()))
    finally:
        pool.close()
    return out


def compared(db, proxy, action, **kw):
    """The same directly and through pgfold. Returns what the server was sent page by page."""
    want, have = pages(db, db, action, **kw), pages(db, proxy, action, **kw)
    for n, ((replies, _), (through, _)) in enumerate(zip(want, have)):
        assert through == replies, "page %d" % (n + 1)
    return [seen for _, seen in have]


def of(seen, text):
    """Statements that read what this one reads, with one key or several."""
    label = re.search(r" AS (b\d+) FROM ", text).group(1)
    table = re.search(r" FROM (\w+)", text).group(1)
    return [s for s in seen if re.search(r"\b%s\b" % label, s.text) and re.search(r"\b%s\b" % table, s.text)]


def kind_by_kind(kinds, keys, turns=lambda i, n: i):
    """Asks for each kind of all keys; another connection asks for the first key each time. `keys`, by the page's number; `turns`, by the kind's and that."""
    def page(pool, n):
        for i, kind in enumerate(kinds):
            pool.all(kind, keys(n), turns(i, n))
    return page


def given(proxy, action):
    """Runs it; returns how many lookups were answered with what had been sent ahead of them."""
    counts = orm_pages.Counts(proxy)
    counts.read()
    action()
    return counts.read().get("ahead_answers", 0)


def assert_given(proxy, action, most):
    """At least half of those of the pages that are not learnt from."""
    n = given(proxy, action)
    with unless_busy():
        assert conftest.DIRECT or n >= most / 2, n


@pytest.mark.parametrize("keys", [lambda n: range(10 * n + 1, 10 * n + 1 + SIZE), lambda n: range(1, 1 + SIZE)], ids=["others", "the same"])
def test_what_follows_goes_out_with_it(db, proxy, keys):
    page = kind_by_kind(fresh(AUTHOR, BOOKS, BIOS), keys, lambda i, n: i * n)
    assert_given(proxy, lambda: compared(db, proxy, page, times=2 * PAGES), (2 * PAGES - 3) * 2 * SIZE)


@pytest.mark.parametrize("write", [False, True])
def test_in_one_unit(db, proxy, write):
    """A pipeline for each kind, over one connection."""
    kinds, ids = fresh(AUTHOR, BOOKS, BIOS), range(1, 1 + SIZE)
    with db.admin(DATABASE) as past:
        def page(pool, n):
            past.sql("UPDATE profile SET bio = 'bio %d' WHERE author_id <= %d" % (n, SIZE))
            pool.in_one_unit(kinds[0], ids)
            if write and (not n or n > PAGES):
                pool.got.append(wire(pool.conns[1].ask(query("UPDATE book SET title = 'unit %d' WHERE author_id <= %d" % (n, SIZE)))))
            pool.in_one_unit(kinds[1], ids)
            pool.in_one_unit(kinds[2], reversed(ids))
        assert_given(proxy, lambda: compared(db, proxy, page, times=2 * PAGES, size=2), (PAGES if write else 2 * PAGES - 4) * SIZE)


def test_alone(db, made):
    """One connection, whose client has sent nothing but pipelines: it has read no list."""
    proxy, kinds, ids = made(lookahead__max_keys="400"), fresh(AUTHOR, BOOKS, BIOS), range(1, 1 + SIZE)

    def page(pool, n):
        for kind in kinds:
            pool.in_one_unit(kind, ids)
    assert_given(proxy, lambda: compared(db, proxy, page, times=2 * PAGES, size=1, known=False), (2 * PAGES - 5) * 2 * SIZE)


def test_a_key_asked_for_again_is_newer(db, proxy):
    """Somebody writes past pgfold between the pages: each page shows what was true when it began."""
    kinds, ids = fresh(AUTHOR, BOOKS), range(1, 1 + SIZE)
    with db.admin(DATABASE) as past:
        def page(pool, n):
            past.sql("UPDATE book SET title = 'title %d' WHERE author_id <= %d" % (n, SIZE))
            kind_by_kind(kinds, lambda n: ids, lambda i, n: 3 * i * n)(pool, n)
        assert_given(proxy, lambda: compared(db, proxy, page, times=2 * PAGES), (2 * PAGES - 4) * SIZE)


def test_who_polls_is_told(db, proxy):
    """A connection that takes no part in the pages asks for the same row again and again, while others load it."""
    kinds = fresh(AUTHOR, BOOKS)
    with db.admin(DATABASE) as past, proxy.connect(database=DATABASE) as poller:
        def page(pool, n):
            for i, kind in enumerate(kinds):
                pool.all(kind, range(1, 1 + SIZE), i)
                past.sql("UPDATE book SET title = 'poll %d %d' WHERE author_id = 1" % (n, i))
                titles = [row[1] for row in rows(poller.ask(query(fill(kinds[1], [("int4", "1")]))))]
                assert titles and set(titles) == {b"poll %d %d" % (n, i)}
        pages(db, proxy, page)


def test_a_write_between_the_kinds(db, proxy):
    """Through pgfold: what was sent with the first kind is dropped."""
    kinds = fresh(AUTHOR, BOOKS)

    def page(pool, n):
        pool.all(kinds[0], range(1, 1 + SIZE))
        if not n or n > PAGES / 2:
            pool.got.append(wire(pool.conns[n % SIZE].ask(query("UPDATE book SET title = 'between %d' WHERE author_id <= %d" % (n, SIZE)))))
        pool.all(kinds[1], range(1, 1 + SIZE), n)
    compared(db, proxy, page)


def test_in_vain_stops(db, proxy):
    """The second kind is no longer asked for: soon it is no longer sent."""
    kinds = fresh(AUTHOR, BOOKS)

    def page(pool, n):
        kind_by_kind(kinds[:1 if n >= PAGES else 2], lambda n: range(1, 1 + SIZE))(pool, n)
    seen = compared(db, proxy, page, times=2 * PAGES)
    with unless_busy():
        assert sum(len(of(s, kinds[1])) for s in seen[PAGES + 2:]) <= 2


def test_switched_off(db, made):
    proxy = made(lookahead__with_list="off")
    page = kind_by_kind(fresh(AUTHOR, BOOKS), lambda n: range(10 * n + 1, 10 * n + 1 + SIZE))
    proxy.counts = orm_pages.Counts(proxy)
    compared(db, proxy, page)
    assert not proxy.counts.read().get("ahead_with_burst")
