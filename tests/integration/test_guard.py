# SPDX-License-Identifier: PostgreSQL
"""What pgfold measures and checks by itself: shapes that lose by being folded, and folded answers against the originals'."""
import re
import signal
import threading
import time

import pytest

import servers
from proto import query, unit

pytestmark = pytest.mark.pgfold

TABLES = """
DROP TABLE IF EXISTS slow_note, quick_note;
CREATE TABLE slow_note (id int PRIMARY KEY, item_id int, body text);
INSERT INTO slow_note SELECT i, i % 5000, repeat('x', 200) FROM generate_series(1, 200000) i;
CREATE TABLE quick_note (id int PRIMARY KEY, item_id int, body text);
INSERT INTO quick_note SELECT i, i % 500, 'note ' || i FROM generate_series(1, 5000) i;
CREATE INDEX ON quick_note (item_id);
GRANT ALL ON slow_note, quick_note TO PUBLIC;
"""


@pytest.fixture(scope="module")
def tables(pg):
    with pg.connect(servers.SUPERUSER, "app") as c:
        for statement in TABLES.strip().split(";\n"):
            c.sql(statement)
        c.sql("VACUUM ANALYZE slow_note")
        c.sql("VACUUM ANALYZE quick_note")


def crowd(end, n, seconds, make):
    """n clients in a closed loop; make(i, turn) is a client's next unit. What went wrong comes back."""
    stop, failures = time.monotonic() + seconds, []

    def run(i):
        try:
            with end.connect() as c:
                turn = 0
                while time.monotonic() < stop:
                    c.ask(make(i, turn))
                    turn += 1
        except Exception as e:  # noqa: BLE001
            failures.append(repr(e))
    threads = [threading.Thread(target=run, args=(i,)) for i in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    return failures


def counters(p):
    """The last block of counters in the log, by name."""
    before = p.log().count("clients ")
    p.signal(signal.SIGUSR1)
    servers.wait_for(lambda: p.log().count("clients ") > before, "the counters")
    time.sleep(0.5)
    log = p.log()
    text = log[log.rindex("clients "):]
    found = {name: int(n) for name, n in re.findall(r"(checked|differences|not decided|folded|alone|failed batches) (\d+)", text)}
    found |= {name: int(n) for n, name in re.findall(r"forwarded (\d+): (\w+)", text)}
    return found, text


def test_key_without_an_index_is_left_alone(start_pgfold, tables):
    p = start_pgfold({"batching.never_slower": "on", "batching.max_in_flight": "1"})
    p.may_differ = True  # scans of a large table begin where another one is
    for _ in range(5):  # the machine may be busy with something else
        assert not crowd(p, 8, 4, lambda i, turn: query("SELECT id FROM slow_note WHERE item_id = %d" % ((i * 613 + turn) % 5000)))
        found, text = counters(p)
        print(text)
        if found.get("slower", 0):
            break
    # How many depends on what else the machine does; tests/unit/test_guard.c says when.
    if not found.get("slower", 0):
        pytest.skip("folding was not slower here: " + text)


def test_figures_of_a_shape(start_pgfold, tables):
    p = start_pgfold({"batching.never_slower": "on"})
    assert not crowd(p, 16, 4, lambda i, turn: query("SELECT body FROM quick_note WHERE item_id = %d" % ((i * 31 + turn) % 500)))
    found, text = counters(p)
    print(text)
    assert found["folded"] > 0, text  # how many is a matter of what else the machine does
    assert re.search(r"shape [0-9a-f]{16}: \d+ folded, \d+ as sent;.*: SELECT body FROM quick_note WHERE item_id = \$1", text)


def test_answers_that_grow_too_large_make_smaller_batches(start_pgfold, pg):
    p = start_pgfold({"batching.max_answer": "100kB", "batching.never_slower": "on"})
    assert not crowd(p, 16, 2, lambda i, turn: query("SELECT body FROM big WHERE id = %d" % ((i * 7 + turn) % 200 + 1)))
    found, text = counters(p)
    print(text)
    assert found["folded"] > 0 and found["failed batches"] < 20, text


MIX = [
    lambda k: query("SELECT id, name, price, at FROM item WHERE id = %d" % k),
    lambda k: unit("SELECT id, body FROM quick_note WHERE item_id = $1", [k % 500]),
    lambda k: unit("SELECT id, body FROM quick_note WHERE item_id = $1 ORDER BY id DESC LIMIT 3", [k % 500], types=(23,),
                   result_formats=(1,)),
    lambda k: unit("SELECT * FROM item WHERE id = $1 AND flag = $2", [k, "t"], want_describe=False),
]


@pytest.mark.parametrize("settings, mode", [({}, "verify"), ({"batching.check_one_in": "1"}, "fold")])
def test_everything_checked(start_pgfold, tables, settings, mode):
    p = start_pgfold(settings, mode=mode)
    assert not crowd(p, 16, 4, lambda i, turn: MIX[(i // 4 + turn) % len(MIX)]((i * 97 + turn) % 2100))
    found, text = counters(p)
    print(text)
    assert found["differences"] == 0 and found["checked"] > 100, text


def test_what_others_write_meanwhile_is_no_difference(start_pgfold, tables, pg):
    p = start_pgfold(mode="verify")

    def make(i, turn):
        if i == 0:
            return query("UPDATE quick_note SET body = 'turn %d' WHERE id %% 7 = 0 AND item_id < 100" % turn)
        return query("SELECT id, body FROM quick_note WHERE item_id = %d" % ((i + turn) % 100))
    for _ in range(10):  # until a write came between
        assert not crowd(p, 12, 5, make)
        found, text = counters(p)
        if found["checked"] > 100 and found["not decided"] > 0:
            break
    print(text)
    assert found["differences"] == 0 and found["checked"] > 100 and found["not decided"] > 0, text


def test_a_share_is_checked_in_mode_fold(start_pgfold, tables):
    p = start_pgfold()
    for _ in range(20):  # until there were enough for one to be checked, on a busy machine, too
        assert not crowd(p, 16, 3, lambda i, turn: query("SELECT id, name FROM item WHERE id = %d" % ((i * 97 + turn) % 2100)))
        found, text = counters(p)
        if found["folded"] > 3000:
            break
    assert 1 <= found["checked"] < 20 + found["folded"] // 200 and found["differences"] == 0, text
