# SPDX-License-Identifier: PostgreSQL
"""What pgfold's own queries cost in a large database: 5,000 tables, 1,000 partitions, 2,000 foreign keys.

They are taken from the server's log and explained. Costs are the planner's and do not depend on the machine; times are printed, and their
bounds are wide."""
import re
import subprocess

import conftest
import proto
import pytest
import servers
from proto import query

pytestmark = pytest.mark.pgfold
TABLES, FOREIGN_KEYS, PARTITIONS = 5000, 2000, 1000
MAKE = """
CREATE TABLE hub (id int PRIMARY KEY, name text NOT NULL);
DO $$BEGIN FOR i IN 1..%d LOOP
  EXECUTE format('CREATE TABLE t%%s (id int PRIMARY KEY, a_id int NOT NULL, b text, c timestamptz DEFAULT now())', i);
  IF i %% 200 = 0 THEN COMMIT; END IF; END LOOP; END$$;
DO $$BEGIN FOR i IN 1..%d LOOP
  EXECUTE format('ALTER TABLE t%%s ADD FOREIGN KEY (a_id) REFERENCES %%s ON DELETE CASCADE', i, CASE WHEN i %% 2 = 0 THEN 'hub' ELSE 't' || i / 2 + 2500 END);
  IF i %% 200 = 0 THEN COMMIT; END IF; END LOOP; END$$;
CREATE TABLE ev (id int, d int, v text, PRIMARY KEY (id, d)) PARTITION BY LIST (d);
DO $$BEGIN FOR i IN 1..%d LOOP
  EXECUTE format('CREATE TABLE ev_%%s PARTITION OF ev FOR VALUES IN (%%s)', i, i);
  IF i %% 200 = 0 THEN COMMIT; END IF; END LOOP; END$$;
INSERT INTO t7 (id, a_id, b) SELECT 1, 2503, 'b' WHERE false;
INSERT INTO hub SELECT i, 'hub ' || i FROM generate_series(1, 50) i;
ANALYZE
""" % (TABLES, FOREIGN_KEYS, PARTITIONS)
SHAPES = {
    "a table": "SELECT id, b FROM t7 WHERE a_id = 1",
    "the one that many reference": "SELECT id, name FROM hub WHERE id = 1",
    "a partitioned table": "SELECT v FROM ev WHERE id = 1",
    "a partition": "SELECT v FROM ev_3 WHERE id = 1",
    "a join": "SELECT t7.b, count(*), max(lower(t8.b)) FROM t7 JOIN hub ON hub.id = t7.a_id JOIN t8 ON t8.a_id = hub.id LEFT JOIN ev ON ev.id = t8.id "
              "WHERE t7.id = 1 AND t8.b LIKE 'x%' GROUP BY t7.b ORDER BY 1",
}
VET_COST, WIDE_COST, FACTS_COST, MILLISECONDS = 6000, 10000, 15000, 500


@pytest.fixture(scope="module")
def large():
    pg = servers.Postgres(ssl=False, settings={"log_statement": "all", "max_locks_per_transaction": "1024", "fsync": "off"})
    with pg.admin("postgres") as c:
        c.sock.settimeout(300)
        for statement in re.split(r";\n(?! )", MAKE.strip()):
            assert not proto.errors(c.ask(query(statement)))
    yield pg
    pg.remove()


def explained(c, sql):
    """Its cost, and the least time of five, in milliseconds; how many functions were compiled."""
    plans = ["\n".join(r[0] for r in c.sql("EXPLAIN (ANALYZE, TIMING OFF) " + sql)) for _ in range(5)]
    times = [sum(float(t) for t in re.findall(r"(?:Planning|Execution) Time: ([\d.]+)", p)) for p in plans]
    compiled = re.search(r"Functions: (\d+)", plans[-1])
    return float(re.search(r"cost=[\d.]+\.\.([\d.]+)", plans[-1]).group(1)), min(times), int(compiled.group(1)) if compiled else 0


def log_of(pg, at=0):
    with open(pg.folder + "/log") as f:
        f.seek(at)
        return f.read()


def settings_of(log):
    return re.findall(r"(SELECT pg_catalog\.set_config\(s\.n, s\.v, true\) FROM .*? AS s\(n, v\))", log)[-1]


# pgfold explain asks for what is below a statement, too.
@pytest.mark.parametrize("what", SHAPES)
def test_a_vetting_is_small(large, what):
    at = len(log_of(large))
    where = "host=127.0.0.1 port=%d user=postgres dbname=postgres" % large.port
    subprocess.run([conftest.BINARY, "explain", "--server", where], input=SHAPES[what], text=True, check=True, timeout=60, stdout=subprocess.DEVNULL)
    log = log_of(large, at)
    sql = re.findall(r"pgfold_portal: (WITH RECURSIVE .*)", log)[-1]
    with large.admin("postgres") as c:
        for setting in ("SELECT 1", "SET enable_seqscan = off"):
            c.sql(setting)
            cost, time, compiled = explained(c, sql)
            print("%s, %s: cost %.0f, %.1f ms" % (what, setting, cost, time))
            assert cost < WIDE_COST and time < MILLISECONDS and not compiled
    with large.admin("postgres") as c:  # whatever the session has set
        for s in ("SET enable_nestloop = off", "SET enable_indexscan = off", "SET enable_bitmapscan = off", "SET jit_above_cost = 0", "BEGIN", settings_of(log)):
            c.sql(s)
        cost, time, compiled = explained(c, sql)
        print("%s, everything off: cost %.0f, %.1f ms" % (what, cost, time))
        assert cost < WIDE_COST and time < MILLISECONDS and not compiled


@pytest.mark.parametrize("begin", [None, "BEGIN"])
def test_as_it_is_sent(large, start_pgfold, begin):
    """The settings end with the unit, and nothing of ours is compiled or slow."""
    at = len(log_of(large))
    proxy = start_pgfold({"pgfold.server": "host=127.0.0.1 port=%d sslmode=disable" % large.port})
    with proxy.connect("postgres", "postgres") as c:
        c.sql("SET enable_nestloop = off")
        if begin:
            c.sql(begin)
        c.sql("SELECT id, name FROM hub ORDER BY id")
        for i in range(1, 20):
            assert c.sql("SELECT name FROM hub WHERE id = %d" % i) == [("hub %d" % i,)]
        assert c.sql("SHOW enable_nestloop") == [("off",)] and c.sql("SHOW jit") == [("on",)]
        if begin:
            c.sql("COMMIT")
    log = log_of(large, at)
    assert re.search(r"execute [^ ]*/?pgfold_portal: WITH RECURSIVE r ", log)
    vet = re.findall(r"execute [^ ]*/?pgfold_portal: (WITH RECURSIVE r .*)", log)[0]
    with large.admin("postgres") as c:
        cost, time, compiled = explained(c, vet)
    print("a question that is not wide: cost %.0f, %.1f ms" % (cost, time))
    assert cost < VET_COST and time < MILLISECONDS and not compiled
    facts = re.findall(r"; (WITH RECURSIVE f AS .*)", log)
    assert facts, "the database was not asked for"
    with large.admin("postgres") as c:
        cost, time, compiled = explained(c, facts[-1].split(" WHERE pg_catalog.concat(")[0])
    print("facts: cost %.0f, %.1f ms" % (cost, time))
    assert cost < FACTS_COST and time < MILLISECONDS and not compiled
