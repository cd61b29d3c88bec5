# SPDX-License-Identifier: PostgreSQL
"""Loops over lists and lookups in the less usual of the ways in which drivers put them on the wire. The bytes are those that PostgreSQL sends; the
server's log tells how many lookups reached it."""
import pytest

import ahead
import proto
from ahead import Reader, Watch
from test_lookahead import assert_few, db, direct, made, opened, proxy, through_both  # noqa: F401

LIST = "SELECT id, name, tenant_id FROM author ORDER BY id"
SERIAL = [0]


def fresh(sql):
    """A shape of its own."""
    SERIAL[0] += 1
    return sql.replace(" FROM ", " AS w%d FROM " % SERIAL[0], 1)


def keep(reader, reply):
    reader.got.append(proto.wire(reply))
    return proto.rows(reply)


def integer(cell, form):
    return str(int.from_bytes(cell, "big", signed=True)) if form else cell.decode()


# ---- formats of columns

@pytest.mark.parametrize("formats", [(1, 0, 1), (0, 0, 1), (1, 0, 0)])
@pytest.mark.parametrize("portal", ["", "C_1"])
def test_a_list_with_a_format_for_each_column(db, proxy, formats, portal):
    """Described once, and bound again later: nothing in the reply tells the formats. JDBC does so after its fifth use of a statement."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")
    sent = []

    def action(reader):
        c = reader.conn
        keep(reader, c.ask(proto.parse(LIST, "S_1"), proto.bind(name="S_1"), proto.describe("P"), proto.execute(), proto.SYNC))
        reader.statements[sql] = statement = reader.framing.statement(c, sql)
        for _ in range(3):
            rows = keep(reader, c.ask(proto.bind(name="S_1", portal=portal, result_formats=formats), proto.execute(portal=portal), proto.SYNC))
            for row in rows:
                keep(reader, c.ask(statement.unit([("int4", integer(row[0], formats[0]))])))
                sent.append(row)
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len(watch.reads("book", conn)), len(sent) // 2, 8)


@pytest.mark.parametrize("size", [20, 300])
def test_a_portal_with_a_format_for_each_column_in_pages(db, proxy, size):
    """A portal whose rows are fetched later, in a transaction."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")

    def action(reader):
        c = reader.conn
        statement = reader.framing.statement(c, sql)
        keep(reader, c.ask(proto.parse(LIST, "S_2"), proto.describe("S", "S_2"), proto.SYNC))
        for _ in range(2):
            reader.say("BEGIN")
            rows = keep(reader, c.ask(proto.bind(name="S_2", portal="C_2", result_formats=(1, 0, 1)), proto.execute(size, "C_2"), proto.SYNC))
            while rows:
                for row in rows:
                    keep(reader, c.ask(statement.unit([("int4", integer(row[0], 1))])))
                rows = keep(reader, c.ask(proto.execute(size, "C_2"), proto.SYNC)) if size < 60 else []
            reader.say("COMMIT")
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len(watch.reads("book", conn)), 120, 2 if size < 60 else 6)


@pytest.mark.parametrize("formats", [(1, 0), (0, 1), (1, 1)])
def test_lookups_with_a_format_for_each_column(db, proxy, formats):
    """Each answer comes in the formats that its own Bind asks for, those loaded ahead, too."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")

    def action(reader):
        c = reader.conn
        keep(reader, c.ask(proto.parse(sql, "S_3"), proto.describe("S", "S_3"), proto.SYNC))
        for _ in range(2):
            for row in keep(reader, c.ask(proto.query(LIST))):
                keep(reader, c.ask(proto.bind([row[0]], "S_3", result_formats=formats), proto.execute(), proto.SYNC))
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len(watch.reads("book", conn)), 120, 8)


def test_lookups_whose_formats_change_in_the_loop(db, proxy):
    """JDBC's fifth use: the same statement, from now on partly in binary. Nothing loaded in one format answers the other."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")

    def action(reader):
        c = reader.conn
        keep(reader, c.ask(proto.parse(sql, "S_4"), proto.describe("S", "S_4"), proto.SYNC))
        for i, row in enumerate(keep(reader, c.ask(proto.query(LIST)))):
            formats = () if i < 4 else (1, 0) if i % 20 else (0, 1)
            keep(reader, c.ask(proto.bind([row[0]], "S_4", result_formats=formats), proto.execute(), proto.SYNC))
    through_both(db, proxy, "pg", action)


# ---- constants with a cast on the left

CASTS = {
    "'%s'::int4 = b.author_id": 1, "'%s'::int8 = b.author_id": 1, "%s::int8=b.author_id": 1, "('%s'::int4) = b.author_id": 1, "('%s')::pg_catalog.int4 = b.author_id": 1,
    "(( %s )) = b.author_id": 1, "'%s'::text::int = b.author_id": 0, "'%s'::numeric(10,2) = b.author_id": 0, "'%s'::double precision = b.author_id": 0,
    "'%s' :: character varying(20) = b.author_id::text": 0, "'%s'::varchar(1) = b.author_id::text": 0, "'{%s}'::int[] = ARRAY[b.author_id]": 0,
    "'%s'::oid = b.author_id::oid": 0, "'2024-01-01'::timestamp (3) with time zone = b.deleted_at AND b.author_id = %s": 1, "'%s'::int4::bool AND b.author_id = 7": 0,
}


@pytest.mark.parametrize("begin", [None, "BEGIN"])
@pytest.mark.parametrize("where", CASTS)
def test_a_cast_on_the_left(db, proxy, where, begin):
    sql = fresh("SELECT b.id, b.title FROM book b WHERE " + where + " ORDER BY b.id")

    def action(reader):
        if begin:
            reader.say(begin)
        for _ in range(2):
            for row in keep(reader, reader.conn.ask(proto.query(LIST))):
                reader.say(sql.replace("%s", row[0].decode()))
    watch, conn = through_both(db, proxy, "simple", action)
    if CASTS[where]:
        assert_few(len(watch.reads("book", conn)), 120, 6)


@pytest.mark.parametrize("texts", [("'5'::int4", "'x'::int4"), ("'5'::numeric(4,2)", "'50000'::numeric(4,2)"), ("5::int2", "70000::int2")])
def test_a_cast_on_the_left_that_fails(db, proxy, texts):
    """The error is PostgreSQL's own, and so are the answers around it."""
    sql = fresh("SELECT id, title FROM book WHERE ? = author_id ORDER BY id")

    def action(reader):
        keep(reader, reader.conn.ask(proto.query(LIST)))
        for i in range(40):
            reader.say(sql.replace("?", texts[i % 10 == 9].replace("5", str(i + 1) if i % 10 < 9 else "5", 1)))
    through_both(db, proxy, "simple", action)


# ---- comments

COMMENTS = ["{};", "{}; -- tag {}", "{} ; /* traceparent='00-{}-01' */", "/* traceparent='00-{n}' */ {}", "-- request {n}\n{} ;\n-- {n}\n", "/* a;{n} */ {} -- b;{n}", "{}\n/*{}*/\n",
            "/* {n} */ /* x */ {} /* {n} */ ; ; /* y */"]


def comment(form, sql, n):
    return form.replace("{}", sql, 1).replace("{}", str(n)).replace("{n}", str(n))


@pytest.mark.parametrize("framing", ["simple", "pg", "lib/pq", "pgjdbc"])
@pytest.mark.parametrize("form", COMMENTS)
def test_comments_that_differ_each_time(db, proxy, form, framing):
    """They make no shape of their own, wherever they stand."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")
    n = [0]

    def action(reader):
        for _ in range(2):
            for row in keep(reader, reader.conn.ask(proto.query(LIST))):
                n[0] += 1
                reader.ask(comment(form, sql, n[0]), ("int4", row[0].decode()))
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(len(watch.reads("book", conn)), 120, 8)


@pytest.mark.parametrize("framing", ["simple", "pg"])
def test_semicolons_in_constants_and_comments(db, proxy, direct, framing):  # noqa: F811
    """A text that holds one is still one statement: what is known of others stays, and so does what is held."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 AND title <> 'a; SELECT b' ORDER BY id")

    def action(reader):
        for _ in range(2):
            for i, row in enumerate(keep(reader, reader.conn.ask(proto.query(LIST)))):
                if i == 30:
                    reader.say("INSERT INTO scratch VALUES (1, 'a; b -- c')", "SELECT /* ; */ 'a;b'")
                reader.ask(sql, ("int4", row[0].decode()))
    watch, conn = through_both(db, proxy, framing, action)
    assert_few(len(watch.reads("book", conn)), 120, 3)


@pytest.mark.parametrize("text", ["SELECT 1 AS a; SELECT 2 AS b", "SELECT ';'; SELECT 2", "SELECT 1; /* x */ ; SELECT 2 -- ;", "SELECT 1 /* ; */; -- x\n SELECT 2", ";", "; ;/* x */",
                                  "SELECT ';", "SELECT 1; /* ", "UPDATE scratch SET b = ';'; SELECT 'b'", "SELECT $$;$$; SELECT E';\\';', 3", "SELECT 1;;;"])
def test_several_statements_are_several(db, proxy, text):
    through_both(db, proxy, "simple", lambda reader: [reader.say(text) for _ in range(3)])


@pytest.mark.parametrize("front", ["", "/* trace 4711 */ ", "-- one\n\n  /* two */"])
def test_an_error_of_a_statement_that_is_given_late_has_its_position(db, proxy, direct, opened, front):  # noqa: F811
    """pgfold answers the Parse. When the server gets the statement, the table has gone: the error tells where it stood in the client's text."""
    sql, got = fresh("SELECT id, n FROM fleeting WHERE id = $1"), []
    for end in (db, proxy):
        direct.sql("CREATE TABLE fleeting (id int PRIMARY KEY, n int)")
        direct.sql("GRANT ALL ON fleeting TO PUBLIC")
        reader = opened(Reader(end, "pg"))
        for n in (3, 11, 4, 17, 8, 2, 26):  # in steps they would be loaded ahead
            for messages in ((proto.parse(sql, "late%d" % n), proto.describe("S", "late%d" % n)), (proto.bind([b"%d" % n], "late%d" % n), proto.execute())):
                keep(reader, reader.conn.ask(*messages, proto.SYNC))
        watch = Watch(db)
        keep(reader, reader.conn.ask(proto.parse(front + sql, "late"), proto.describe("S", "late"), proto.SYNC))
        direct.sql("DROP TABLE fleeting")
        keep(reader, reader.conn.ask(proto.bind([b"30"], "late"), proto.execute(), proto.SYNC))
        got.append(reader.got[-1])
    assert b"fleeting" in got[0] and got[0] == got[1]
    assert not watch.reads("fleeting", reader.conn)


# ---- values in the text of a Parse

def literal_unit(sql, formats=(), name="", describe=True, limit=0):
    return proto.parse(sql, name) + proto.bind(name=name, result_formats=formats) + (proto.describe("P") if describe else b"") + proto.execute(limit) + proto.SYNC


LITERAL = {"to-many": "SELECT id, title FROM book WHERE author_id = {} ORDER BY id", "ActiveRecord": 'SELECT "author".* FROM "author" WHERE "author"."id" = {} LIMIT 1',
           "count": "SELECT count(*) FROM book WHERE author_id = {} /* app:x,n:{} */", "cast": "SELECT id FROM book WHERE '{}'::int4 = book.author_id ORDER BY 1",
           "two": "SELECT id, title FROM book WHERE author_id = {} AND tenant_id = 1 + {} % 2 ORDER BY id"}


@pytest.mark.parametrize("begin", [None, "BEGIN"])
@pytest.mark.parametrize("formats", [(), (1,), (0,)])
@pytest.mark.parametrize("kind", ["to-many", "ActiveRecord", "count", "cast"])
def test_values_in_the_text_of_a_parse(db, proxy, kind, formats, begin):
    """As Rails sends them with prepared_statements: false, and whoever writes values into the text and has them sent in the extended protocol."""
    sql = fresh(LITERAL[kind]) if kind != "ActiveRecord" else LITERAL[kind]

    def action(reader):
        c = reader.conn
        for _ in range(2):
            if begin:
                keep(reader, c.ask(literal_unit(begin, describe=False)))
            for row in keep(reader, c.ask(literal_unit(LIST))):
                keep(reader, c.ask(literal_unit(sql.replace("{}", row[0].decode()), formats)))
            if begin:
                keep(reader, c.ask(literal_unit("COMMIT", describe=False)))
    watch, conn = through_both(db, proxy, "simple", action)
    sent = watch.reads("author" if kind == "ActiveRecord" else "book", conn)
    assert_few(len([s for s in sent if s.text != LIST]), 120, 6)


def test_the_same_lookup_in_both_protocols(db, proxy):
    """What was loaded for one framing answers the other, in the formats of the one that asks."""
    sql = fresh(LITERAL["to-many"])

    def action(reader):
        c = reader.conn
        for i, row in enumerate(keep(reader, c.ask(proto.query(LIST)))):
            text = sql.replace("{}", row[0].decode())
            keep(reader, c.ask(*[[proto.query(text)], [literal_unit(text)], [literal_unit(text, (1,), describe=False)], [literal_unit(text, (0, 1))], [literal_unit(text, limit=2)]][i % 5]))
    through_both(db, proxy, "simple", action)


@pytest.mark.parametrize("after", ["bind", "describe", "close", "parse", "named", "query", "error", "pipeline"])
def test_the_unnamed_statement_holds_its_own_values(db, proxy, after):
    """A lookup that was answered without the server has prepared the unnamed statement all the same, with its constants."""
    sql = fresh(LITERAL["to-many"])
    again = proto.bind() + proto.describe("P") + proto.execute() + proto.SYNC
    then = {"bind": again, "describe": proto.describe("S") + proto.SYNC, "close": proto.close("S") + proto.SYNC + again, "parse": proto.parse("SELECT 'x'") + proto.SYNC + again,
            "named": proto.parse("SELECT 7", "n") + proto.SYNC + again, "query": proto.query("SELECT 1") + again, "error": proto.parse("SELEC") + proto.SYNC + again,
            "pipeline": proto.bind() + proto.execute() + proto.bind() + proto.execute() + proto.SYNC}[after]
    counts = {"close": 2, "parse": 2, "named": 2, "query": 2, "error": 2}

    def action(reader):
        c = reader.conn
        for row in keep(reader, c.ask(proto.query(LIST))):
            keep(reader, c.ask(literal_unit(sql.replace("{}", row[0].decode()))))
            if int(row[0]) % 3 == 0:
                reader.got.append(proto.wire(c.ask(then, count=counts.get(after, 1))))
                keep(reader, c.ask(proto.parse("", "n2"), proto.close("S", "n"), proto.close("S", "n2"), proto.SYNC))
    through_both(db, proxy, "simple", action)


@pytest.mark.parametrize("texts", ["SELECT id FROM book WHERE author_id = {}; SELECT 1", "SELECT id FROM book WHERE author_id = '{}x'", "SELECT id FROM book WHERE author_id = {} AND",
                                   "SELECT id FROM book WHERE author_id = {} AND id = $1", "SELECT id FROM nowhere WHERE author_id = {}", "SELECT 10 / (author_id - 5) FROM book WHERE author_id = {}",
                                   "SELECT id FROM book WHERE author_id = {} FOR UPDATE", "SELECT id FROM book WHERE author_id = {} ORDER BY {}", "DELETE FROM book WHERE author_id = -{}",
                                   "SELECT set_config('a.b', '{}', false) WHERE {} = {}", "SELECT current_setting('a.b', true) FROM author WHERE id = {}"])
@pytest.mark.parametrize("formats", [(), (1,), (0, 1, 0)])
def test_values_in_the_text_of_other_statements(db, proxy, direct, texts, formats):  # noqa: F811
    """Errors in every place, and what is no lookup: as PostgreSQL has it."""
    def action(reader):
        c = reader.conn
        for row in keep(reader, c.ask(proto.query(LIST)))[:25]:
            keep(reader, c.ask(literal_unit(texts.replace("{}", row[0].decode()), formats)))
    through_both(db, proxy, "simple", action)


def test_polling_with_values_in_the_text(db, proxy, direct, opened):  # noqa: F811
    """Asked again, without the list: the server answers, also where the answer before came with another unit's framing."""
    sql = fresh(LITERAL["to-many"])
    loop = opened(Reader(proxy, "simple"))
    c = loop.conn
    for _ in range(3):
        rows = keep(loop, c.ask(proto.query(LIST)))
        for row in rows[:20]:
            keep(loop, c.ask(literal_unit(sql.replace("{}", row[0].decode()))))
        text = sql.replace("{}", rows[30][0].decode())
        c.ask(proto.parse(text), proto.bind(), proto.execute(), proto.parse("SELECT 1"), proto.bind(), proto.execute(), proto.SYNC)
        direct.sql("UPDATE book SET title = title || '!' WHERE author_id = %s" % rows[30][0].decode())
        last = None
        for unit in (proto.parse(text) + proto.bind() + proto.execute() + proto.parse("SELECT 1") + proto.bind() + proto.execute() + proto.SYNC, literal_unit(text), literal_unit(text)):
            got = [r for r in proto.rows(c.ask(unit)) if len(r) == 2]
            assert got and (last is None or got == last), "an answer that is older than one given before"
            last = got


@pytest.mark.parametrize("lists", ["to-many", "to-one"])
def test_formats_that_change_once(db, proxy, lists):
    """JDBC's fifth use of a lookup: what was loaded in text is in vain, and its rows are no list for the rest of the loop."""
    listed, sql, table = {"to-many": (LIST, fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id"), "book"),
                          "to-one": ("SELECT author_id, id FROM book ORDER BY author_id, id", fresh("SELECT id, name FROM author WHERE id = $1"), "author")}[lists]

    def action(reader):
        c, n = reader.conn, [0]
        for _ in range(4):
            for row in keep(reader, c.ask(proto.query(listed))):
                n[0] += 1
                if n[0] <= 4:
                    keep(reader, c.ask(proto.parse(sql), proto.bind([row[0]]), proto.describe("P"), proto.execute(), proto.SYNC))
                elif n[0] == 5:
                    keep(reader, c.ask(proto.parse(sql, "S_9"), proto.bind([row[0]], "S_9"), proto.describe("P"), proto.execute(), proto.SYNC))
                else:
                    keep(reader, c.ask(proto.bind([row[0]], "S_9", result_formats=(1, 0)), proto.execute(), proto.SYNC))
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len([s for s in watch.reads(table, conn) if s.text != listed]), 4 * 60, 6)


def test_a_list_in_the_unit_of_begin(db, proxy):
    """JDBC from the fifth transaction on: BEGIN and the list are both named by then, and neither is described."""
    sql = fresh("SELECT id, title FROM book WHERE author_id = $1 ORDER BY id")

    def action(reader):
        c = reader.conn
        keep(reader, c.ask(proto.parse("BEGIN", "S_b"), proto.parse("COMMIT", "S_c"), proto.parse(LIST, "S_l"), proto.describe("S", "S_l"), proto.parse(sql, "S_k"),
                           proto.describe("S", "S_k"), proto.SYNC))
        for _ in range(4):
            rows = keep(reader, c.ask(proto.bind(name="S_b"), proto.execute(), proto.bind(name="S_l", result_formats=(1, 0, 1)), proto.execute(), proto.SYNC))
            for row in rows:
                keep(reader, c.ask(proto.bind([integer(row[0], 1).encode()], "S_k"), proto.execute(), proto.SYNC))
            keep(reader, c.ask(proto.bind(name="S_c"), proto.execute(1), proto.SYNC))
    watch, conn = through_both(db, proxy, "pg", action)
    assert_few(len(watch.reads("book", conn)), 4 * 60, 6)
