# SPDX-License-Identifier: PostgreSQL
"""A text that was a plain read is none any more: past pgfold something was put behind it that changes the session which runs it."""
import itertools
import time

import pytest

import proto
from proto import query, unit

fresh = itertools.count()
N = 8
LOOKUP = "SELECT b FROM own WHERE a = $1"


@pytest.fixture
def schemas(pg):
    """Each with a table `own`; one that all read, and a function that leads from the first one to the second."""
    with pg.admin() as a:
        a.sql("DROP SCHEMA IF EXISTS trust_a, trust_b CASCADE")
        a.sql("DROP TABLE IF EXISTS trust_list CASCADE")
        for s in ("trust_a", "trust_b"):
            a.sql("CREATE SCHEMA %s" % s)
            a.sql("CREATE TABLE %s.own (a int PRIMARY KEY, b text)" % s)
            a.sql("INSERT INTO %s.own SELECT i, '%s ' || i FROM generate_series(1, 100) i" % (s, s))
        a.sql("CREATE TABLE trust_a.trust_list (n smallint)")
        a.sql("INSERT INTO trust_a.trust_list VALUES (1), (2)")
        a.sql("GRANT USAGE ON SCHEMA trust_a, trust_b TO PUBLIC")
        a.sql("GRANT SELECT ON ALL TABLES IN SCHEMA trust_a, trust_b TO PUBLIC")
        yield a
        a.sql("DROP SCHEMA trust_a, trust_b CASCADE")


SWITCH = "set_config('search_path', 'trust_b, public', false)"
CHANGES = {  # what the sessions read, and what is put behind it
    "a view in the table's place": ("SELECT n FROM trust_list ORDER BY n", [
        "ALTER TABLE trust_a.trust_list RENAME TO trust_old",
        "CREATE VIEW trust_a.trust_list AS SELECT n FROM trust_a.trust_old WHERE " + SWITCH + " <> ''"]),
    "a function that fits better": ("SELECT abs(n) FROM trust_list ORDER BY n", [
        "CREATE FUNCTION trust_a.abs(smallint) RETURNS smallint LANGUAGE sql AS $$SELECT CASE WHEN " + SWITCH + " <> '' THEN $1 END$$"]),
}


def half_go_on_elsewhere(folding, conns, units, read, settle=0.05):
    """Every second one reads what leads it to the other schema; then all ask together."""
    readers = conns[::2]
    for c in readers:
        c.send(read)
    for c in readers:
        assert proto.rows(c.ready())
    for _ in range(3):
        replies, _ = folding.burst(conns, units, "own", settle=settle)
        for i, (c, r) in enumerate(zip(conns, replies)):
            expected = b"%s %d" % (b"trust_b" if c in readers else b"trust_a", i + 1)
            assert proto.rows(r) == [[expected]], (i, c in readers)


@pytest.mark.parametrize("settle", [0.05, 0.003])
@pytest.mark.parametrize("change, how", zip(CHANGES, ["simple", "extended"]))
def test_behind_a_known_text(folding, pg, long_lived, schemas, change, how, settle):
    """The sessions that have read it go on in the other schema, in company with others that have not. It is noticed
    however little time there is: what the last batch was told of the catalogue is 10 ms old in the second case."""
    proxy = long_lived(lookahead__mode="off")
    text, statements = CHANGES[change]
    read = query(text) if how == "simple" else unit(text, [])
    conns = folding.connections(proxy, N)
    for c in conns:
        c.sql("SET search_path = trust_a, pg_catalog")
    units = [unit(LOOKUP, [i + 1]) for i in range(N)]
    folding.warm(conns, units, "own")
    for _ in range(3):
        for c in conns:
            assert proto.rows(c.ask(read))
        time.sleep(0.11)  # the catalogue is asked about what is new with this burst
        folding.burst(conns, units, "own", settle=settle)
    schemas.sql("; ".join(statements + ["GRANT SELECT ON trust_a.trust_list TO PUBLIC"]))
    half_go_on_elsewhere(folding, conns, units, read, settle)


@pytest.mark.parametrize("how", ["simple", "extended"])
def test_a_cast_of_a_users(folding, pg, long_lived, schemas, how):
    """It is there from the beginning, and leads whoever reads by it to the other schema."""
    proxy = long_lived(lookahead__mode="off")
    for s in ("CREATE TYPE trust_a.mood AS ENUM ('good')",
              "CREATE FUNCTION trust_a.of_mood(trust_a.mood) RETURNS text LANGUAGE sql AS $$SELECT " + SWITCH + "$$",
              "CREATE CAST (trust_a.mood AS text) WITH FUNCTION trust_a.of_mood(trust_a.mood)",
              "CREATE TABLE trust_a.moods AS SELECT 'good'::trust_a.mood AS m", "GRANT SELECT ON trust_a.moods TO PUBLIC"):
        schemas.sql(s)
    text = "SELECT m::text FROM moods"
    read = query(text) if how == "simple" else unit(text, [])
    conns = folding.connections(proxy, N)
    for c in conns:
        c.sql("SET search_path = trust_a, public")
    units = [unit(LOOKUP, [i + 1]) for i in range(N)]
    for _ in range(4):  # what is new in the catalogue is known by then
        folding.warm(conns, units, "own")
        time.sleep(0.15)
    half_go_on_elsewhere(folding, conns, units, read)


MADE = {
    "a trigger": ["CREATE FUNCTION trust_a.switch() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN PERFORM " + SWITCH + "; RETURN NEW; END$$",
                  "CREATE TRIGGER switch BEFORE INSERT ON trust_a.trust_log FOR EACH ROW EXECUTE FUNCTION trust_a.switch()"],
    "a default": ["CREATE FUNCTION trust_a.switched() RETURNS text LANGUAGE sql AS $$SELECT " + SWITCH + "$$",
                  "ALTER TABLE trust_a.trust_log ADD what text DEFAULT trust_a.switched()"],
}


@pytest.mark.parametrize("how", ["simple", "extended"])
@pytest.mark.parametrize("what", MADE)
def test_a_write_that_runs_something_new(folding, pg, long_lived, schemas, what, how):
    """The table that they write to was one where nothing of a user's runs."""
    proxy = long_lived(batching__check_one_in="0")
    schemas.sql("CREATE TABLE trust_a.trust_log (n int)")
    schemas.sql("GRANT ALL ON trust_a.trust_log TO PUBLIC")
    text = "INSERT INTO trust_log (n) VALUES (1) RETURNING n"
    write = query(text) if how == "simple" else unit(text, [])
    conns = folding.connections(proxy, N)
    for c in conns:
        c.sql("SET search_path = trust_a, public")
    units = [unit(LOOKUP, [i + 1]) for i in range(N)]
    for _ in range(4):
        folding.warm(conns, units, "own")
        time.sleep(0.15)
    for _ in range(3):
        for c in conns:
            assert proto.rows(c.ask(write))
        folding.burst(conns, units, "own")
    for s in MADE[what]:
        schemas.sql(s)
    half_go_on_elsewhere(folding, conns, units, write)
