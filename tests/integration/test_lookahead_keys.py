# SPDX-License-Identifier: PostgreSQL
"""Which keys loops are followed by: of all types and formats, from the end of a wide list, as text for integers and the reverse, out of
arrays. And what must not become of that: errors where the server would give none, and rows loaded for nothing."""
import pytest

import ahead
from ahead import PATIENT, Reader, Relation, Watch
from busy import unless_busy
from test_lookahead import assert_few, check_loop, lookups_sent, loop_of, through_both

DATABASE_TABLES = """
CREATE EXTENSION IF NOT EXISTS citext;
CREATE TYPE ahead_mood AS ENUM (%s);
CREATE TABLE keyed (id int PRIMARY KEY, uid uuid, code text);
INSERT INTO keyed SELECT i, md5(i::text)::uuid, i::text FROM generate_series(1, 60) i;
CREATE TABLE remark (id int, type text, record_id text, body text);
INSERT INTO remark SELECT 1000 + i, 'keyed', (61 - i)::text, 'remark ' || i FROM generate_series(1, 60) i;
CREATE TABLE bag (id int PRIMARY KEY, ids int[], bigs bigint[], uids uuid[], codes text[], doc jsonb);
INSERT INTO bag SELECT g, array_agg(id ORDER BY id), array_agg(id::bigint ORDER BY id), array_agg(uid ORDER BY id), array_agg(code ORDER BY id), jsonb_agg(id ORDER BY id)
    FROM keyed, LATERAL (SELECT 100 + id / 10) x(g) GROUP BY g;
CREATE TABLE broad (id int PRIMARY KEY, %s, keyed_id int, slug text, uid uuid);
INSERT INTO broad SELECT i, %s, 61 - i, 'slug ''' || i, md5(i::text)::uuid FROM generate_series(1, 60) i;
CREATE TABLE mixed (id int PRIMARY KEY, what text);
INSERT INTO mixed SELECT i, CASE i %% 4 WHEN 0 THEN 'word ' || i WHEN 1 THEN '99999999999999999999' WHEN 2 THEN '0' || i ELSE i::text END FROM generate_series(1, 60) i
"""
# By name: the type, a value of i, what a framing is told.
KINDS = {
    "citext": ("citext", "('Code ' || i)::citext", "citext"), "enum": ("ahead_mood", "('mood ' || i)::ahead_mood", "enum"),
    "numeric": ("numeric(10,2)", "i * 1.5", "numeric"), "date": ("date", "'2024-01-01'::date + i", "date"),
    "timestamptz": ("timestamptz", "'2024-01-01Z'::timestamptz + i * interval '61.5 min'", "timestamptz"),
    "oid": ("oid", "(4000000000 + i)::oid", "oid"), "bpchar": ("bpchar(8)", "'b' || i", "text"), "macaddr": ("macaddr", "('08:00:2b:01:02:' || to_char(i, 'FM00'))::macaddr", "macaddr"),
    "long text": ("text", "repeat(md5(i::text), 30)", "text"),
}


@pytest.fixture(scope="module")
def db(pg):
    ahead.make_database(pg)
    with pg.admin(ahead.DATABASE) as c:
        if c.sql("SELECT 1 FROM pg_class WHERE relname = 'keyed'"):
            return pg
        columns = ["c%d int" % i if i % 3 else "c%d timestamptz" % i for i in range(50)]
        values = ["i %% %d" % (i + 2) if i % 3 else "'2024-01-01Z'::timestamptz + i * interval '1 h'" for i in range(50)]
        text = DATABASE_TABLES % (", ".join("'mood %d'" % i for i in range(1, 61)), ", ".join(columns), ", ".join(values).replace("%%", "%"))
        for name, (kind, value, _) in KINDS.items():
            table = "by_" + name.replace(" ", "_")
            text += "; CREATE TABLE %s (code %s PRIMARY KEY, id int); INSERT INTO %s SELECT %s, i FROM generate_series(1, 60) i" % (table, kind, table, value)
        for statement in text.split(";"):
            c.sql(statement)
        c.sql("GRANT ALL ON ALL TABLES IN SCHEMA public TO PUBLIC")
    return pg


@pytest.fixture(scope="module")
def proxy(db, long_lived):
    return long_lived(**{k.replace(".", "__"): v for k, v in PATIENT.items()})


@pytest.fixture
def opened():
    out = []
    yield lambda x: out.append(x) or x
    for x in out:
        x.close()


@pytest.mark.parametrize("framing", ["simple", "psycopg", "pgx"])
@pytest.mark.parametrize("name", KINDS)
def test_type(db, proxy, name, framing):
    if name == "macaddr" and framing == "pgx":
        pytest.skip("the framing has no binary form of it")
    table, kind = "by_" + name.replace(" ", "_"), KINDS[name][2]
    check_loop(db, proxy, Relation("SELECT code FROM %s ORDER BY id" % table, "SELECT id FROM %s WHERE code = $1" % table, [kind], table), framing)


@pytest.mark.parametrize("framing", ["simple", "pgx", "pgjdbc"])
@pytest.mark.parametrize("column,kind,target", [("keyed_id", "int4", "id"), ("uid", "uuid", "uid"), ("slug", "text", None)])
def test_the_end_of_a_wide_list(db, proxy, framing, column, kind, target):
    sql = "SELECT id, code FROM keyed WHERE %s = $1" % target if target else "SELECT id, c1 FROM broad WHERE slug = $1"
    relation = Relation("SELECT * FROM broad ORDER BY id", sql, [kind], "keyed" if target else "broad").fresh()
    with db.connect(database=ahead.DATABASE) as c:
        keys = [[(kind, r[0])] for r in c.sql("SELECT %s FROM broad ORDER BY id" % column)]
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys))
    assert_few(lookups_sent(watch, conn, relation), len(keys))


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("parents,kind,sql", [
    ("SELECT record_id FROM remark ORDER BY id", "int4", "SELECT id, code FROM keyed WHERE id = $1"),
    ("SELECT id FROM keyed ORDER BY id", "text", "SELECT id, body FROM remark WHERE type = 'keyed' AND record_id = $1"),
    ("SELECT uid::text FROM keyed ORDER BY id", "uuid", "SELECT id, code FROM keyed WHERE uid = $1"),
    ("SELECT uid FROM keyed ORDER BY id", "text", "SELECT id, code FROM keyed WHERE uid::text = $1"),
    ("SELECT id::numeric(20,0) FROM keyed ORDER BY id", "int4", "SELECT id, code FROM keyed WHERE id = $1")])
def test_of_another_type(db, proxy, framing, parents, kind, sql):
    check_loop(db, proxy, Relation(parents, sql, [kind], "remark" if "remark WHERE" in sql else "keyed"), framing)


@pytest.mark.parametrize("framing", ["simple", "pgx"])
@pytest.mark.parametrize("column,kind,target", [("ids", "int4", "id"), ("bigs", "int8", "id"), ("uids", "uuid", "uid"), ("codes", "text", "code"), ("doc", "int4", "id")])
@pytest.mark.parametrize("parents", ["SELECT id, {} FROM bag ORDER BY id", "SELECT {} FROM bag WHERE id = 103"])
def test_array(db, proxy, framing, column, kind, target, parents):
    relation = Relation(parents.format(column), "SELECT id, code, uid FROM keyed WHERE %s = $1" % target, [kind], "keyed").fresh()
    with db.connect(database=ahead.DATABASE) as c:
        keys = [[(kind, v)] for row in c.sql(relation.parents) for v in row[-1].strip("[]{}").replace(" ", "").split(",")]
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys))
    assert_few(lookups_sent(watch, conn, relation), len(keys), 3 if len(keys) > 10 else 2)


@pytest.mark.pgfold
@pytest.mark.parametrize("framing", ["simple", "pgx"])
def test_what_the_type_does_not_have(db, proxy, framing):
    """Words, numbers that are too large and such as 07 in the list: nobody asks for them, and no batch has them."""
    relation = Relation("SELECT id, what FROM mixed ORDER BY id", "SELECT id, code FROM keyed WHERE id = $1", ["int4"], "keyed").fresh()
    keys = [[("int4", str(i))] for i in range(1, 61) if i % 4 == 3]
    watch, conn = through_both(db, proxy, framing, loop_of(relation, keys * 1))
    sent = watch.reads("keyed", conn)
    assert len(sent) <= len(keys)
    with open(watch.path, "rb") as f:
        f.seek(watch.at)
        assert b"ERROR" not in f.read()


@pytest.mark.pgfold
def test_numbers_by_chance(db, proxy, opened):
    """Keys that no list supplies stand in columns of small numbers by chance: what is loaded for them costs no more than it saves."""
    relation = Relation("SELECT %s, slug FROM broad ORDER BY id" % ", ".join("c%d" % i for i in range(50)), "SELECT id, code FROM keyed WHERE id = $1", ["int4"], "keyed").fresh()
    reader, watch = opened(Reader(proxy, "pgx")), Watch(db)
    state = 7
    for time in range(8):
        reader.ask(relation.parents)
        for _ in range(20):
            state = state * 1103515245 + 12345 & 0x7fffffff
            reader.ask(relation.sql, ("int4", str(state // 65536 % 50)))
    loaded = sum(len(b) for b in watch.batches("keyed", relation.sql, reader.conn))
    with unless_busy():
        assert loaded <= 320 and len(watch.reads("keyed", reader.conn)) <= 1.1 * 160
