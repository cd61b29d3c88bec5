# SPDX-License-Identifier: PostgreSQL
"""From each leaf of a tree up to its root: a parent is asked for once for each answer that names it. Who asks without being given such an answer gets
the server's. Rows are changed past pgfold, and time plays no part."""
import pytest

import ahead
import conftest
from ahead import DATABASE, PATIENT, Reader, Watch
from busy import unless_busy

JOINED = "pgx, joined"
TWO = ["simple", "pgx", JOINED]
LEAVES = "SELECT id, parent_id, name FROM limb WHERE id BETWEEN 22 AND 85 ORDER BY id DESC LIMIT 60"
TREE = """
CREATE TABLE limb (id int PRIMARY KEY, parent_id int REFERENCES limb, name text);
INSERT INTO limb SELECT i, nullif((i + 2) / 4, 0), 'new' FROM generate_series(1, 85) i;
INSERT INTO limb VALUES (101, NULL, 'new'), (102, 101, 'new'), (103, 103, 'new');
UPDATE limb SET parent_id = 102 WHERE id = 101;
GRANT SELECT ON limb TO PUBLIC;
ANALYZE limb
"""


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    with pg.admin(DATABASE) as c:
        for s in TREE.split(";\n"):
            c.sql(s)
    return pg


@pytest.fixture(scope="module")
def proxy(db, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


def number(value):
    return value if value is None else int(value) if value.isdigit() else int.from_bytes(value, "big")


class Climber:
    serial = 0

    def __init__(self, db, end, framing):
        Climber.serial += 1
        self.reader, self.db = Reader(end, framing.split(",")[0]), db
        self.joined = framing == JOINED
        self.sql = ("SELECT p.id, p.parent_id, c.name, %d AS own FROM limb c LEFT JOIN limb p ON p.id = c.parent_id WHERE c.id = $1" if self.joined else
                    "SELECT id, parent_id, name, %d AS own FROM limb WHERE id = $1") % Climber.serial

    def ask(self, key):
        """The parent, and the name."""
        (row,) = self.reader.ask(self.sql, ("int4", str(key)))
        if self.joined:
            return number(row[0]), row[2].decode()
        assert number(row[0]) == key
        return number(row[1]), row[2].decode()

    def leaves(self):
        return [number(r[1]) for r in self.reader.ask(LEAVES)]

    def up(self, key):
        """The names on the way from the key to the root."""
        names = []
        while key:
            key, name = self.ask(key)
            names.append(name)
        return names

    def page(self):
        return [name for parent in self.leaves() for name in self.up(parent)]

    def change(self):
        Climber.serial += 1
        with self.db.admin(DATABASE) as c:
            c.sql("UPDATE limb SET name = 'state %d'" % Climber.serial)
        return "state %d" % Climber.serial


@pytest.fixture
def climber(db, proxy):
    out = []

    def make(framing):
        out.append(Climber(db, proxy, framing))
        return out[-1]
    yield make
    for c in out:
        c.reader.close()


@pytest.mark.parametrize("framing", TWO)
def test_each_leaf_to_the_root(db, climber, framing):
    watch, c = Watch(db), climber(framing)
    for i in range(4):
        now = c.change()
        assert c.page() == [now] * 180  # not older than the list
        before = len(watch.reads("limb", c.reader.conn)) if i == 0 else before
    sent = len(watch.reads("limb", c.reader.conn)) - before
    with unless_busy():
        assert conftest.DIRECT or sent < 100, "540 lookups cost %d statements" % sent


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("keys", [[21], [5], [1], [21, 5], [5, 1], [21, 5, 1], [103], [101, 102], [102, 101], [103, 5, 1]], ids=str)
def test_without_a_list(climber, framing, keys):
    """Each is asked for again and again, in an order in which the one names the other, in a circle, or itself."""
    c = climber(framing)
    for _ in range(2):
        c.page()
    for _ in range(6):
        now = c.change()
        for key in keys:
            assert c.ask(key)[1] == now


@pytest.mark.parametrize("framing", TWO)
@pytest.mark.parametrize("keys", [[101, 102], [103, 103], [5, 1]], ids=str)
def test_behind_a_circle(climber, framing, keys):
    """What is asked for a second time within a climb is the server's."""
    c = climber(framing)
    c.page()
    for key in 2 * keys:
        c.ask(key)
    for _ in range(4):
        now = c.change()
        assert c.ask(keys[0])[1] == now
        c.ask(keys[1])
        now = c.change()
        assert c.ask(keys[0])[1] == now


@pytest.mark.parametrize("framing", TWO)
def test_another_question_between(climber, framing):
    """An answer names what is asked for next, not what is asked for later."""
    c = climber(framing)
    for _ in range(2):
        parents = c.leaves()
        for parent in parents[:8]:
            c.up(parent)
        c.ask(parents[9])
        now = c.change()
        c.ask(21)
        assert c.ask(1)[1] == now
        assert c.ask(1)[1] == now
