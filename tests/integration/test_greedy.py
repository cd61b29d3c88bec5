# SPDX-License-Identifier: PostgreSQL
"""One client that takes more than its part of pgfold's time, beside others: texts that are new each time, thousands of
messages at once. Counts only: what the others' lookups cost the server, what each is answered, what is known of a text."""
import itertools
import re
import signal

import pytest

import proto
import servers

pytestmark = pytest.mark.pgfold
N = 10


def not_parsed(p):
    """How many units were forwarded since their text was not looked at."""
    for _ in range(2):  # when the second counts begin, the first ones have been written
        before = p.log().count(" clients ")
        p.signal(signal.SIGUSR1)
        servers.wait_for(lambda: p.log().count(" clients ") > before, "the counters")
    found = re.findall(r"forwarded (\d+): not_parsed", p.log().split(" clients ")[-2])
    return int(found[0]) if found else 0


def new_text(i, size=8000):
    columns = ["name"]
    while sum(map(len, columns)) + 2 * len(columns) < size:
        columns.append("name AS c_%d_%d" % (i, len(columns)))
    return "SELECT " + ", ".join(columns) + " FROM item WHERE id = %d" % (i % 10 + 1)


def until_not_parsed(p, more, say):
    """Says one new text after the other, by their numbers, until so many more were not looked at. A slow machine has time for more of them."""
    wanted = not_parsed(p) + more
    for i in itertools.count():
        say(i)
        if i % 20 == 19 and not_parsed(p) >= wanted:
            return
        assert i < 5000, "every text is looked at"


def lookups(table="item", what="name"):
    return [proto.unit("SELECT %s FROM %s WHERE id = $1" % (what, table), [str(k + 1)]) for k in range(N)]


@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_new_texts_leave_others_their_folding(pg, start_pgfold, folding, extended):
    p = start_pgfold({"batching.parse_budget": "10ms"})
    conns = folding.connections(p, N)
    with p.connect() as greedy, pg.connect() as direct:
        def say(c, i):
            sql = new_text(i)
            return c.ask(proto.unit(sql, []) if extended else proto.query(sql))

        def both(i):
            assert say(greedy, i) == say(direct, i)

        until_not_parsed(p, 20, both)
        # Others come only now, and what they say is new, too.
        folding.warm(conns, lookups(), "item")
        until_not_parsed(p, 1, lambda i: both(5000 + i))
        replies, calls = folding.burst(conns, lookups(), "item")
        assert replies == folding.expect(direct, lookups())
        folding.assert_folded(calls, N)


def test_a_text_that_comes_again_is_known_later(pg, start_pgfold, folding):
    p = start_pgfold({"batching.parse_budget": "10ms"})
    conns = folding.connections(p, N)
    with pg.connect() as direct:
        for attempt in range(20):  # until the text is not looked at when it comes first
            until_not_parsed(p, 1, lambda i: conns[i % N].ask(proto.query(new_text(5000 * attempt + i))))
            long = ", ".join("name AS n%d_%d" % (attempt, i) for i in range(200))
            before = not_parsed(p)
            replies = [c.ask(u) for c, u in zip(conns, lookups(what=long))]
            assert replies == folding.expect(direct, lookups(what=long))
            if not_parsed(p) > before:
                break
        folding.warm(conns, lookups(what=long), "item")
        replies, calls = folding.burst(conns, lookups(what=long), "item")
        assert replies == folding.expect(direct, lookups(what=long))
        folding.assert_folded(calls, N)


STATEMENTS = ["BEGIN", "INSERT INTO item (id, name) VALUES (%d, 'new')", "SAVEPOINT s", "DELETE FROM item WHERE id = %d",
              "ROLLBACK TO s", "SELECT name FROM item WHERE id = %d", "ROLLBACK", "SET search_path = pg_catalog",
              "SELECT name FROM item WHERE id = 1", "RESET search_path", "SET standard_conforming_strings = off",
              "SELECT name FROM item WHERE name <> '\\'' AND id = 1", "SET standard_conforming_strings = on",
              "PREPARE p AS SELECT name FROM item WHERE id = 2", "EXECUTE p", "DEALLOCATE p", "SELECT 1; SELECT 2",
              "BEGIN ISOLATION LEVEL REPEATABLE READ", "SHOW transaction_isolation", "COMMIT",
              "DECLARE c CURSOR WITH HOLD FOR SELECT name FROM item ORDER BY id", "FETCH 2 FROM c", "CLOSE c", "DISCARD ALL"]


def answers(c, bodies, pipelined):
    if not pipelined:
        return [c.ask(b) for b in bodies]
    c.send(b"".join(bodies))
    return [c.ready() for _ in bodies]


@pytest.mark.parametrize("pipelined", [False, True], ids=["one by one", "pipelined"])
@pytest.mark.parametrize("extended", [False, True], ids=["simple", "extended"])
def test_what_is_not_read_is_answered_as_by_the_server(both, start_pgfold, extended, pipelined):
    p = start_pgfold({"batching.parse_budget": "1us"})
    # Each text is another one, so that none is ever known.
    bodies = []
    for i, sql in enumerate(STATEMENTS * 3):
        sql = sql.replace("%d", str(5000 + i)) + " /* %d */" % i + " " * (i % 7)
        bodies.append(proto.unit(sql, []) if extended and sql.count(";") == 0 else proto.query(sql))

    def talk(end):
        with end.connect() as c:
            return [proto.mask(m) for m in answers(c, bodies, pipelined)]
    both(talk, through=p)
    assert not_parsed(p) > 5


def test_a_copy_behind_a_text_that_is_not_read(both, start_pgfold):
    p = start_pgfold({"batching.parse_budget": "1us"})

    def talk(end):
        with end.connect() as c:
            c.sql("CREATE TEMP TABLE copied (a int)")
            for i in range(5):
                c.ask(proto.query("SELECT %d AS c%d" % (i, i)))
            c.send(proto.query("SELECT 7 AS seven; COPY copied FROM STDIN; SELECT count(*) AS n FROM copied"),
                   proto.msg("d", b"1\n2\n"), proto.msg("c"))
            return proto.mask(c.ready())
    both(talk, through=p)


def test_a_flood_of_messages_is_answered_in_its_order(both, start_pgfold):
    p = start_pgfold()

    def talk(end):
        with end.connect() as c, end.connect() as other:
            c.send(b"".join(proto.query("SELECT %d AS n" % i) for i in range(3000)))
            replies = [other.ask(proto.query("SELECT name FROM item WHERE id = %d" % (i % 10 + 1))) for i in range(50)]
            return [proto.mask(m) for m in replies], [proto.rows(c.ready()) for _ in range(3000)]
    both(talk, through=p)
