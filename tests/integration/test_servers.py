# SPDX-License-Identifier: PostgreSQL
"""What only some versions of PostgreSQL have. Run with PG_BIN on another server (docs/testing.md); what the server cannot do is skipped."""
import time

import pytest

import ahead
import conftest
import proto
import servers
from proto import query, unit

N = 12
KEYS = range(1, N + 1)
LOOKUPS = {"simple": lambda sql, k: query(sql % k), "extended": lambda sql, k: unit(sql.replace("%d", "$1"), [k])}


@pytest.fixture(params=LOOKUPS)
def lookup(request):
    return LOOKUPS[request.param]


@pytest.fixture(scope="module")
def version(pg):
    with pg.admin() as c:
        return int(c.value("SHOW server_version_num")) // 10000


@pytest.fixture
def since(version):
    def check(first):
        if version < first:
            pytest.skip("needs PostgreSQL %d" % first)
    return check


@pytest.fixture
def admin(pg):
    with pg.admin() as c:
        yield c


def made(admin, *statements):
    for s in statements:
        admin.sql(s)
    admin.sql("GRANT SELECT ON ALL TABLES IN SCHEMA public TO PUBLIC")


def folds_right(proxy, folding, lookup, sql, table):
    """The lookups fold, and each answer is PostgreSQL's."""
    units = [lookup(sql, k) for k in KEYS]
    folding.folds_right(folding.connections(proxy, N), units, table)


# ---- protocol 3.2 (18)

def test_long_cancel_keys(both, pg, version):
    """Who asks for 3.2 gets a key of 32 bytes from PostgreSQL 18 on, and can cancel with it; part of it cancels nothing."""
    def action(end):
        with end.dial() as c, pg.admin() as a:
            got = c.login("app", "app", version=proto.PROTOCOL_3_2)
            assert got[-1].type == "Z" and len(c.secret) == (32 if version >= 18 else 4)
            c.send(query("SELECT pg_sleep(60)"))
            ahead.wait_active(a, c.pid)
            for secret in (c.secret[:-1] + bytes([c.secret[-1] ^ 1]), c.secret[:4] if version >= 18 else b"\0" * 4, c.secret):
                with end.dial() as k:
                    k.send(proto.cancel_request(c.pid, secret))
                    assert k.drain_raw() == b""
                assert c.readable(0) is False or secret == c.secret
            return c.ready() + c.ask(query("SELECT 1"))
    assert proto.errors(both(action))[0]["C"] == "57014"


def test_long_keys_of_lookups_that_wait(proxy, folding, lookup):
    """A lookup in somebody's batch is cancelled by its own key."""
    conns = []
    for _ in KEYS:
        c = proxy.dial()
        assert c.login("app", "app", version=proto.PROTOCOL_3_2)[-1].type == "Z"
        conns.append(c)
    folding.opened += conns
    units = [lookup("SELECT id, name FROM item WHERE id = %d", k) for k in KEYS]
    folding.warm(conns, units, "item")
    with folding.locked("item"):
        for c, u in zip(conns, units):
            c.send(u)
        conftest.arrived(conns)
        with proxy.dial() as k:
            k.send(proto.cancel_request(conns[5].pid, conns[5].secret))
            k.drain_raw()
        if conftest.DIRECT:
            time.sleep(0.1)
    got = [c.ready() for c in conns]
    assert [e["C"] for r in got for e in proto.errors(r)] in (["57014"], [])
    for i, r in enumerate(got):
        assert proto.errors(r) and i == 5 or proto.rows(r) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]]


# ---- search_path is reported (18)

REPORTED = ["SET search_path = s_a", "SELECT set_config('search_path', 's_b', false)", "RESET search_path", "BEGIN", "SET LOCAL search_path = s_b",
            "ROLLBACK", "DO $$BEGIN PERFORM set_config('search_path', 's_a', false); END$$", "BEGIN", "SAVEPOINT s", "SET search_path = s_b",
            "ROLLBACK TO s", "COMMIT", "DISCARD ALL"]


def test_search_path_is_reported_as_it_changes(pg, proxy, folding, admin, lookup):
    """Lookups fold between the changes; each session hears of its own, in its place, and reads its own table."""
    made(admin, *["DROP SCHEMA IF EXISTS %s CASCADE" % s for s in ("s_a", "s_b")])
    for s in ("s_a", "s_b"):
        made(admin, "CREATE SCHEMA " + s, "GRANT USAGE ON SCHEMA %s TO PUBLIC" % s, "CREATE TABLE %s.spot AS SELECT id, '%s ' || id AS body "
             "FROM generate_series(1, 60) id" % (s, s), "GRANT SELECT ON %s.spot TO PUBLIC" % s)
    made(admin, "DROP TABLE IF EXISTS spot", "CREATE TABLE spot AS SELECT id, 'public ' || id AS body FROM generate_series(1, 60) id")
    units = [lookup("SELECT body FROM spot WHERE id = %d", k) for k in KEYS]
    conns = folding.connections(proxy, N)
    folding.warm(conns, units, "spot")
    with pg.connect() as d:
        for change in REPORTED:
            want = d.ask(query(change))
            for c in conns[:N // 2]:
                assert c.ask(query(change)) == want, change
            replies, _ = folding.burst(conns[:N // 2], units, "spot", lock=False)
            assert replies == folding.expect(d, units[:N // 2]), change
    for i, c in enumerate(conns):
        assert proto.rows(c.ask(units[i])) == [[b"public %d" % (i + 1)]]


# ---- tables

def test_virtual_generated_columns(pg, proxy, folding, admin, lookup, since):
    """They are computed as they are read; for some rows with an error, which is that row's asker's alone."""
    since(18)
    made(admin, "DROP TABLE IF EXISTS virt", "CREATE TABLE virt (id int PRIMARY KEY, d int, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL, "
         "part int GENERATED ALWAYS AS (100 / d) VIRTUAL)", "INSERT INTO virt (id, d) SELECT i, i - 5 FROM generate_series(1, 60) i")
    folds_right(proxy, folding, lookup, "SELECT id, twice FROM virt WHERE id = %d", "virt")
    folds_right(proxy, folding, lookup, "SELECT id, d FROM virt WHERE twice = %d", "virt")
    units = [lookup("SELECT id, part FROM virt WHERE id = %d", k) for k in KEYS]
    conns = folding.connections(proxy, N)
    for _ in range(5):
        replies, _ = folding.burst(conns, units, "virt")
        with pg.connect() as d:
            assert replies == folding.expect(d, units)
        assert [e["C"] for r in replies for e in proto.errors(r)] == ["22012"]


def test_keys_without_overlaps(pg, proxy, folding, admin, lookup, since):
    """A primary key whose first column is not unique."""
    since(18)
    made(admin, "CREATE EXTENSION IF NOT EXISTS btree_gist", "DROP TABLE IF EXISTS stay", "CREATE TABLE stay (id int, during daterange, guest text, "
         "PRIMARY KEY (id, during WITHOUT OVERLAPS))", "INSERT INTO stay SELECT i, daterange('2024-01-01'::date + n * 2, '2024-01-01'::date + n * 2 + 1), "
         "'guest ' || n FROM generate_series(1, 60) i, generate_series(1, 3) n")
    folds_right(proxy, folding, lookup, "SELECT guest FROM stay WHERE id = %d ORDER BY during", "stay")
    folds_right(proxy, folding, lookup, "SELECT guest FROM stay WHERE id = %d", "stay")


def test_named_not_null_and_keys_that_are_not_enforced(pg, proxy, folding, admin, lookup, since):
    """Both are rows of pg_constraint, which vetting reads."""
    since(18)
    made(admin, "DROP TABLE IF EXISTS leaf, branch", "CREATE TABLE branch (id int PRIMARY KEY, n int CONSTRAINT filled NOT NULL)",
         "CREATE TABLE leaf (id int PRIMARY KEY, branch_id int CONSTRAINT given NOT NULL REFERENCES branch ON DELETE CASCADE NOT ENFORCED)",
         "INSERT INTO branch SELECT i, i FROM generate_series(1, 40) i", "INSERT INTO leaf SELECT i, i % 40 FROM generate_series(1, 90) i")
    folds_right(proxy, folding, lookup, "SELECT id FROM leaf WHERE branch_id = %d ORDER BY id", "leaf")
    folds_right(proxy, folding, lookup, "SELECT n FROM branch WHERE id = %d", "branch")


def test_nulls_not_distinct(pg, proxy, folding, admin, lookup, since):
    since(15)
    made(admin, "DROP TABLE IF EXISTS sole", "CREATE TABLE sole (id int, n int UNIQUE NULLS NOT DISTINCT)",
         "INSERT INTO sole SELECT i, nullif(i, 3) FROM generate_series(1, 40) i")
    folds_right(proxy, folding, lookup, "SELECT id FROM sole WHERE n = %d", "sole")


def test_collations_that_find_more_than_is_equal(pg, proxy, folding, admin):
    """ICU, where two texts are equal whose bytes are not: each asker gets what the server finds for its own."""
    if proto.errors(admin.ask(query("CREATE COLLATION IF NOT EXISTS nocase (provider = icu, locale = 'und-u-ks-level2', deterministic = false)"))):
        pytest.skip("this server has no ICU")
    made(admin, "DROP TABLE IF EXISTS word", "CREATE TABLE word (w text COLLATE nocase PRIMARY KEY, n int)",
         "INSERT INTO word SELECT 'Word ' || i, i FROM generate_series(1, 40) i")
    texts = [form % k for k in KEYS[:4] for form in ("word %d", "WORD %d", "Word %d")]
    conns = folding.connections(proxy, len(texts))
    for make in (lambda t: query("SELECT w, n FROM word WHERE w = '%s'" % t), lambda t: unit("SELECT w, n FROM word WHERE w = $1", [t])):
        units = [make(t) for t in texts]
        assert all(len(proto.rows(r)) == 1 for r in folding.folds_right(conns, units, "word"))


# ---- one session's limits

@pytest.mark.parametrize("how", ["role", "options", "set_config"])
def test_transaction_timeout_strikes_its_own_session(pg, proxy, folding, admin, lookup, since, how):
    """In its time, also while its lookup could wait in the batch of a session that has no such limit."""
    since(17)
    admin.ask(query("CREATE ROLE hasty LOGIN IN ROLE app"))
    admin.sql("ALTER ROLE hasty RESET transaction_timeout")
    conns = folding.connections(proxy, N, user="hasty")
    units = [lookup("SELECT id, name FROM item WHERE id = %d", k) for k in KEYS]
    folding.warm(conns, units, "item")
    if how == "role":
        admin.sql("ALTER ROLE hasty SET transaction_timeout = '2s'")
    hasty, = folding.connections(proxy, 1, user="hasty", **({"options": "-c transaction_timeout=2s"} if how == "options" else {}))
    admin.sql("ALTER ROLE hasty RESET transaction_timeout")
    if how == "set_config":
        hasty.sql("SELECT set_config('transaction_timeout', '2s', false)")
    for _ in range(3):
        assert proto.rows(hasty.ask(units[2])) == [[b"3", b"item 3"]]
    with folding.locked("item"):
        for c, u in zip(conns[:N // 2], units):
            c.send(u)
        hasty.send(units[2])
        for c, u in zip(conns[N // 2:], units[N // 2:]):
            c.send(u)
        assert proto.errors(hasty.to_end())[0]["C"] == "25P04"
        assert not any(c.readable(0) for c in conns)
    for i, c in enumerate(conns):
        assert proto.rows(c.ready()) == [[b"%d" % (i + 1), b"item %d" % (i + 1)]]


# ---- statements that the parser here is too old for

NEWER = {
    "returning old and new": (18, "UPDATE book SET title = 'changed' WHERE author_id = {k} RETURNING old.title, new.title"),
    "returning with": (18, "DELETE FROM book WHERE author_id = {k} RETURNING WITH (OLD AS o) o.title"),
    "merge returning": (17, "MERGE INTO book USING author ON author.id = book.author_id AND author.id = {k} WHEN MATCHED THEN "
                            "UPDATE SET title = 'changed' RETURNING merge_action(), book.id"),
    "merge by source": (17, "MERGE INTO book USING (SELECT id FROM author WHERE id <> {k}) a ON a.id = book.author_id "
                            "WHEN NOT MATCHED BY SOURCE THEN UPDATE SET title = 'changed'"),
    "json_table": (17, "UPDATE book SET title = 'changed' FROM JSON_TABLE('[{k}]', '$[*]' COLUMNS (k int PATH '$')) j WHERE author_id = j.k"),
    "json": (16, "UPDATE book SET title = JSON_OBJECT('a': 'changed') WHERE author_id = {k}"),
}


@pytest.mark.parametrize("what", NEWER)
@pytest.mark.parametrize("framing", ["simple", "pgx"])
def test_newer_writes_are_seen_at_once(pg, proxy, version, long_lived, what, framing):
    first, sql = NEWER[what]
    if version < first:
        pytest.skip("needs PostgreSQL %d" % first)
    ahead.make_database(pg)
    end = long_lived(**{k.replace(".", "__"): v for k, v in ahead.PATIENT.items()})
    with pg.admin(ahead.DATABASE) as direct, end.connect(servers.SUPERUSER, ahead.DATABASE) as writer:
        direct.sql("SELECT fill_ahead()")
        loop = ahead.Loop(pg, ahead.Watch(pg), end, framing=framing, direct=conftest.DIRECT).hold()
        try:
            values = loop.keys[loop.at]
            old = ahead.Reader(pg, framing)
            before = old.ask(loop.relation.sql, *values)
            assert not proto.errors(writer.ask(query(sql.replace("{k}", loop.key))))
            now = old.ask(loop.relation.sql, *values)
            old.close()
            assert loop.next() == now and now != before
        finally:
            loop.close()


READS = [(16, "SELECT JSON_ARRAY(name) FROM item WHERE id = %d"), (17, "SELECT j.n FROM item, JSON_TABLE(to_jsonb(id), '$' COLUMNS (n int PATH '$')) j WHERE id = %d"),
         (16, "SELECT any_value(name) FROM item WHERE id = %d"), (16, "SELECT name FROM item WHERE id = 1_0 * %d / 1_0"), (13, "SELECT normalize(name) FROM item WHERE id = %d"),
         (14, "WITH RECURSIVE w AS (SELECT id FROM item WHERE id = %d UNION SELECT id FROM w) CYCLE id SET c USING p SELECT id, c FROM w"),
         (18, "SELECT casefold(name COLLATE \"C.UTF-8\"), uuid_extract_version(uuidv7()) FROM item WHERE id = %d")]


@pytest.mark.parametrize("first, sql", READS, ids=[s.split("(")[0].split()[-1].lower() + str(i) for i, (_, s) in enumerate(READS)])
def test_newer_reads(pg, proxy, folding, version, lookup, first, sql):
    """Folded or not: PostgreSQL's answers."""
    if version < first:
        pytest.skip("needs PostgreSQL %d" % first)
    units = [lookup(sql, k) for k in KEYS]
    conns = folding.connections(proxy, N)
    for _ in range(4):
        replies, _ = folding.burst(conns, units, "item")
        with pg.connect() as d:
            assert replies == folding.expect(d, units)
