// SPDX-License-Identifier: PostgreSQL
//
// What parse_statement makes of texts: kinds and reasons, settings, what is named, keys, and texts made to
// hurt. Each result is written as one line and compared.
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/depth.h"
#include "batching/statement/parse.h"
#include "batching/statement/risk.h"
#include "batching/statement/moving_time.h"
#include "batching/statement/parsed.h"
#include "protocol/buf.h"
#include "tests/unit/statements.h"

#define MAX_TEXT  65536
#define MAX_DEPTH 100

static struct parsed *parse(const char *text) {
    return parse_statement(text, MAX_TEXT, MAX_DEPTH);
}

// ---- kinds

static const struct {
    const char *text;
    enum statement_kind kind;
    enum reason reason;
} kinds[] = {
    {"BEGIN", STATEMENT_BEGIN, REASON_NOT_SELECT},
    {"BEGIN;", STATEMENT_BEGIN, REASON_NOT_SELECT},
    {"/* x */ begin work", STATEMENT_BEGIN, REASON_NOT_SELECT},
    {"START TRANSACTION ISOLATION LEVEL SERIALIZABLE READ ONLY DEFERRABLE", STATEMENT_BEGIN,
     REASON_NOT_SELECT},
    {"COMMIT", STATEMENT_COMMIT, REASON_NOT_SELECT},
    {"END", STATEMENT_COMMIT, REASON_NOT_SELECT},
    {"COMMIT AND CHAIN", STATEMENT_COMMIT, REASON_NOT_SELECT},
    {"ROLLBACK", STATEMENT_ROLLBACK, REASON_NOT_SELECT},
    {"ABORT", STATEMENT_ROLLBACK, REASON_NOT_SELECT},
    {"SAVEPOINT a", STATEMENT_SAVEPOINT, REASON_NOT_SELECT},
    {"RELEASE a", STATEMENT_SAVEPOINT, REASON_NOT_SELECT},
    {"ROLLBACK TO SAVEPOINT a", STATEMENT_ROLLBACK_TO, REASON_NOT_SELECT},
    {"PREPARE TRANSACTION 'x'", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"COMMIT PREPARED 'x'", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"ROLLBACK PREPARED 'x'", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET LOCAL x = 1", STATEMENT_SET_LOCAL, REASON_NOT_SELECT},
    {"SET LOCAL ROLE a", STATEMENT_SET_LOCAL, REASON_NOT_SELECT},
    {"SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", STATEMENT_SET_LOCAL, REASON_NOT_SELECT},
    {"SET TRANSACTION SNAPSHOT '00-1'", STATEMENT_SET_LOCAL, REASON_NOT_SELECT},
    {"SET LOCAL SESSION AUTHORIZATION a", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET x = 1", STATEMENT_SET, REASON_NOT_SELECT},
    {"SET ROLE a", STATEMENT_SET, REASON_NOT_SELECT},
    {"SET TIME ZONE 'UTC'", STATEMENT_SET, REASON_NOT_SELECT},
    {"SET TIME ZONE INTERVAL '1' HOUR", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET SESSION AUTHORIZATION a", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET SESSION AUTHORIZATION DEFAULT", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET session_authorization = 'a'", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET SEED TO 0.5", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET transaction_isolation = 'serializable'", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET \"Transaction_Read_Only\" = on", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"RESET SESSION AUTHORIZATION", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET x FROM CURRENT", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SET x = $1", STATEMENT_OTHER, REASON_NOT_SELECT}, // libpg_query takes what the server does not,
    {"RESET x", STATEMENT_SET, REASON_NOT_SELECT},
    {"RESET ALL", STATEMENT_RESET_ALL, REASON_NOT_SELECT},
    {"DISCARD ALL", STATEMENT_DISCARD_ALL, REASON_NOT_SELECT},
    {"DISCARD PLANS", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"DISCARD TEMP", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"DEALLOCATE a", STATEMENT_DEALLOCATE, REASON_NOT_SELECT},
    {"DEALLOCATE PREPARE ALL", STATEMENT_DEALLOCATE, REASON_NOT_SELECT},
    {"SHOW x", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"LISTEN x", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"UNLISTEN *", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"NOTIFY x", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {" ;; ", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"-- ping", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"/* ping */", STATEMENT_HARMLESS, REASON_NOT_SELECT},
    {"INSERT INTO t VALUES (1)", STATEMENT_WRITE, REASON_NOT_SELECT},
    {"INSERT INTO t (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a RETURNING id",
     STATEMENT_WRITE, REASON_NOT_SELECT},
    {"UPDATE t SET a = 1, (b, c) = (2, DEFAULT) WHERE id = 2", STATEMENT_WRITE, REASON_NOT_SELECT},
    {"DELETE FROM t USING u WHERE t.id = u.id", STATEMENT_WRITE, REASON_NOT_SELECT},
    {"MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = 1 WHEN NOT MATCHED THEN INSERT "
     "VALUES (1)",
     STATEMENT_WRITE, REASON_NOT_SELECT},
    {"COPY t FROM STDIN", STATEMENT_WRITE, REASON_NOT_SELECT},
    {"COPY (SELECT a FROM t) TO STDOUT WITH (FORMAT csv)", STATEMENT_WRITE, REASON_NOT_SELECT},
    {"COPY t FROM PROGRAM 'x'", STATEMENT_OTHER, REASON_CONSTRUCT},
    {"WITH x AS (DELETE FROM t RETURNING id) SELECT * FROM x", STATEMENT_WRITE, REASON_NOT_SELECT},
    {"WITH x AS (INSERT INTO t VALUES (1) RETURNING id) SELECT id FROM x WHERE id = $1", STATEMENT_WRITE,
     REASON_NOT_SELECT},
    {"INSERT INTO t SELECT set_config('a', 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"UPDATE t SET a = 1 RETURNING set_config('a', 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"DELETE FROM t WHERE CURRENT OF c", STATEMENT_OTHER, REASON_CONSTRUCT},
    {"LOAD 'x'", STATEMENT_LOAD, REASON_NOT_SELECT},
    {"CREATE TABLE t (a int)", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"CREATE TEMP TABLE t AS SELECT 1", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"TRUNCATE t", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"LOCK TABLE t", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"DO $$BEGIN END$$", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"CALL f()", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"EXPLAIN SELECT 1", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"EXPLAIN ANALYZE DELETE FROM t", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"PREPARE a AS SELECT 1", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"EXECUTE a", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"DECLARE c CURSOR FOR SELECT 1", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"FETCH ALL FROM c", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"VACUUM", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"CHECKPOINT", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"ALTER ROLE a SET x = 1", STATEMENT_OTHER, REASON_NOT_SELECT},
    {"SELECT a INTO b FROM t", STATEMENT_OTHER, REASON_INTO},
    {"SELECT a INTO TEMP b FROM t WHERE id = $1", STATEMENT_OTHER, REASON_INTO},
    {"SELECT a INTO b FROM t UNION SELECT 1", STATEMENT_OTHER, REASON_INTO},
    {"SELECT 1; SELECT 2", STATEMENT_OTHER, REASON_MULTI_STATEMENT},
    {"SET x = 1; SET y = 2", STATEMENT_OTHER, REASON_MULTI_STATEMENT},
    {"BEGIN; COMMIT;", STATEMENT_OTHER, REASON_MULTI_STATEMENT},
    {"SELEKT 1", STATEMENT_OTHER, REASON_UNPARSABLE},
    {"SELECT 'a", STATEMENT_OTHER, REASON_UNPARSABLE},
    {"SELECT 0x1F", STATEMENT_OTHER, REASON_UNPARSABLE},
    {"SELECT $0 FROM t", STATEMENT_OTHER, REASON_CONSTRUCT},
    {"SELECT $99999 FROM t", STATEMENT_OTHER, REASON_CONSTRUCT},
    // set_config
    {"SELECT set_config('a', 'b', false)", STATEMENT_SET, REASON_FUNCTION},
    {"SELECT pg_catalog.set_config('a', 'b', false)", STATEMENT_SET, REASON_FUNCTION},
    {"SELECT set_config('a', NULL, false) AS x", STATEMENT_SET, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false), set_config('c', 'd', false)", STATEMENT_SET, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', true)", STATEMENT_SET_LOCAL, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false), set_config('c', 'd', true)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', true), set_config('c', 'd', true)", STATEMENT_SET_LOCAL, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', true), 1", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false), 1", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false) FROM t", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false) WHERE false", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false) LIMIT 0", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false) ORDER BY 1", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', false) UNION SELECT 'x'", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config($1, 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', $1, false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', $1)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b' || 'c', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b'::text, false)", STATEMENT_SET, REASON_FUNCTION},
    {"SELECT set_config('a', 'b'::bpchar, false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b'::varchar(3), false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 't'::bool::text, false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 'b', 'true')", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', true, false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('a', 5, false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config(NULL, 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('session_authorization', 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT set_config('Transaction_Isolation', 'serializable', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT public.set_config('a', 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT upper(set_config('a', 'b', false))", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT a FROM t WHERE id = $1 AND set_config('a', 'b', false) = 'b'", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT (SELECT set_config('a', 'b', false))", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT * FROM set_config('a', 'b', false)", STATEMENT_OTHER, REASON_FUNCTION},
    {"WITH x AS (SELECT set_config('a', 'b', false)) SELECT 1", STATEMENT_OTHER, REASON_FUNCTION},
    {"VALUES (set_config('a', 'b', false))", STATEMENT_OTHER, REASON_FUNCTION},
    {"SELECT \"set_config\"('a', 'b', false)", STATEMENT_SET, REASON_FUNCTION},
    // what is on no list at all
    {"SELECT xmlelement(name a)", STATEMENT_OTHER, REASON_CONSTRUCT},
    {"SELECT a FROM t TABLESAMPLE system (10) WHERE id = $1", STATEMENT_OTHER, REASON_CONSTRUCT},
    {"SELECT a FROM otherdb.s.t WHERE id = $1", STATEMENT_OTHER, REASON_CONSTRUCT},
    {"SELECT a.b.c() FROM t", STATEMENT_OTHER, REASON_CONSTRUCT},
};

Test(parse, kinds) {
    for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
        struct parsed *p = parse(kinds[i].text);
        cr_expect_eq(p->kind, kinds[i].kind, "%s: kind %d", kinds[i].text, p->kind);
        cr_expect_eq(p->reason, kinds[i].reason, "%s: %s", kinds[i].text, reason_name(p->reason));
        parsed_destroy(p);
    }
}

// ---- reads

static const struct {
    const char *text;
    enum reason reason;
} reads[] = {
    {"SELECT a FROM t WHERE id = $1", REASON_NONE},
    {"(SELECT a FROM t WHERE id = $1)", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1;", REASON_NONE},
    {"SELECT * FROM t WHERE id = $1", REASON_NONE},
    {"SELECT t.*, 1, 'x', NULL, $2 FROM t WHERE id = $1", REASON_NONE},
    {"SELECT a + 1 AS b, a::text, CAST(a AS bigint), -a, a || 'x' FROM t WHERE id = $1", REASON_NONE},
    {"SELECT CASE WHEN a THEN 1 ELSE 2 END, CASE a WHEN 1 THEN b END FROM t WHERE id = $1", REASON_NONE},
    {"SELECT coalesce(a, b), nullif(a, b), greatest(a, b), least(a, 1) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t AS x WHERE x.id = $1", REASON_NONE},
    {"SELECT a FROM s.t WHERE s.t.id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE s.t.id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b IS NULL AND c IS NOT NULL AND d IS TRUE AND e IS NOT FALSE",
     REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND (b = 1 OR NOT c) AND d IS DISTINCT FROM 2", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b IN (1, 2) AND c NOT IN ($2) AND d BETWEEN 1 AND 2", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b LIKE 'x%' AND c NOT ILIKE 'y' AND d ~ 'z'", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b = ANY ($2) AND c <> ALL (ARRAY[1, 2])", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b = ANY ($2::uuid[]) AND c = ANY (ARRAY['x']::text[])", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b = '2020-01-01'::date AND c = DATE '2020-01-01'", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND c < INTERVAL '1' DAY AND d::varchar(10) = 'x'", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND n = 'snow nowhere'", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 ORDER BY a DESC NULLS LAST, 2", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 LIMIT 1 OFFSET $2", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 FETCH FIRST ROW ONLY", REASON_NONE},
    {"SELECT ALL a FROM t WHERE id = $1", REASON_NONE},
    // keys anywhere in a WHERE or ON
    {"SELECT a FROM t WHERE id = $1 OR b = 2", REASON_NONE},
    {"SELECT a FROM t WHERE NOT id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id + 1 = $1", REASON_NONE},
    {"SELECT a FROM t WHERE lower(a) = $1", REASON_NONE},
    {"SELECT a FROM t WHERE a->>'k' = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = ANY ($1)", REASON_NONE},
    {"SELECT a FROM t WHERE id = ANY ($1::uuid[])", REASON_NONE},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[$1])", REASON_NONE},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[$1]::uuid[])", REASON_NONE},
    {"SELECT a FROM t WHERE (id, b) = ($1, $2)", REASON_NONE},
    {"SELECT a FROM t WHERE (id, b) IN (($1, $2))", REASON_NONE},
    {"SELECT a FROM t WHERE \xc3\xa4 = $1", REASON_NONE},
    {"SELECT a FROM t, u WHERE t.id = $1", REASON_NONE},
    {"SELECT a FROM t JOIN u ON t.id = u.id WHERE t.id = $1", REASON_NONE},
    {"SELECT a FROM t JOIN u ON t.id = u.id AND u.b = $1", REASON_NONE},
    {"SELECT a FROM t LEFT JOIN (u CROSS JOIN v) AS j(x, y) ON j.x = t.id WHERE t.id = $1", REASON_NONE},
    {"SELECT a FROM t FULL JOIN u USING (id) AS j WHERE j.id = $1", REASON_NONE},
    {"SELECT a FROM t NATURAL JOIN u WHERE t.id = $1", REASON_NONE},
    {"SELECT a FROM t RIGHT JOIN LATERAL (SELECT b FROM u WHERE u.c = $1) x ON true", REASON_NONE},
    {"SELECT a FROM (SELECT a FROM t WHERE id = $1) x", REASON_NONE},
    {"SELECT x.b FROM (SELECT a FROM t WHERE id = $1 LIMIT 1) AS x(b)", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND EXISTS (SELECT 1)", REASON_NONE},
    {"SELECT a FROM t WHERE EXISTS (SELECT FROM u WHERE u.id = $1)", REASON_NONE},
    {"SELECT a FROM t WHERE b IN (SELECT 1 FROM u WHERE c = $1)", REASON_NONE},
    {"SELECT a FROM t WHERE b > ALL (SELECT 1 FROM u WHERE c = $1)", REASON_NONE},
    {"SELECT a FROM t WHERE NOT (b = 1 OR (SELECT c FROM u WHERE d = $1) > 1)", REASON_NONE},
    {"SELECT EXISTS (SELECT 1 FROM t WHERE id = $1)", REASON_NONE},
    {"SELECT (SELECT count(*) FROM t WHERE id = $1) + 1, ARRAY(SELECT 1 FROM u WHERE b = $1)", REASON_NONE},
    {"SELECT coalesce((SELECT a FROM t WHERE id = $1), 0)", REASON_NONE},
    {"SELECT CASE WHEN (SELECT a FROM t WHERE id = $1) THEN 1 END", REASON_NONE},
    {"WITH x AS (SELECT a FROM t WHERE id = $1) SELECT a FROM x", REASON_NONE},
    {"WITH x(b) AS NOT MATERIALIZED (SELECT 1), y AS (SELECT 2) SELECT a FROM t, x WHERE id = $1",
     REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 UNION SELECT 2", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 EXCEPT ALL (SELECT 2 ORDER BY 1 LIMIT 3) ORDER BY 1 OFFSET 1",
     REASON_NONE},
    {"SELECT DISTINCT a FROM t WHERE id = $1", REASON_NONE},
    {"SELECT DISTINCT ON (a, 2) a FROM t WHERE id = $1 ORDER BY a", REASON_NONE},
    {"SELECT a, count(*) FROM t WHERE id = $1 GROUP BY a HAVING count(*) > 1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 GROUP BY DISTINCT ROLLUP (a, (b, c)), CUBE (d), GROUPING SETS ((), (e))",
     REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 WINDOW w AS (PARTITION BY a ORDER BY b)", REASON_NONE},
    {"SELECT count(DISTINCT a) FILTER (WHERE b), string_agg(a, ',' ORDER BY b DESC) FROM t WHERE id = $1",
     REASON_NONE},
    {"SELECT percentile_cont(0.5) WITHIN GROUP (ORDER BY a) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT sum(a) OVER (PARTITION BY b ORDER BY c ROWS BETWEEN 1 PRECEDING AND $2 FOLLOWING) FROM t "
     "WHERE id = $1",
     REASON_NONE},
    {"SELECT mine(a, b => 1) FROM t WHERE id = $1 LIMIT f()", REASON_NONE}, // the catalogue judges functions
    {"SELECT a FROM t WHERE id = $1 AND b SIMILAR TO 'x' AND c LIKE 'x' ESCAPE '!'", REASON_NONE},
    {"SELECT a AT TIME ZONE 'UTC', extract(year FROM a), trim(b), substring(b FROM 2) FROM t WHERE id = $1",
     REASON_NONE},
    {"SELECT a COLLATE \"C\" FROM t WHERE id = $1 ORDER BY b COLLATE \"C\"", REASON_NONE},
    {"SELECT a::mytype, b::s.color[], CAST($2 AS mytype) FROM t WHERE id = $1", REASON_NONE}, // and types
    {"SELECT ROW(a, b), ARRAY[a, 1], ARRAY[[1], [2]], c[1], c[$2:3] FROM t WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND c @> ARRAY['x']::text[] AND (a, b) < (1, 2)", REASON_NONE},
    {"SELECT a FROM ONLY t WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 ORDER BY (SELECT 1) LIMIT (SELECT 1)", REASON_NONE},
    {"SELECT v.column1 FROM (VALUES (1, 2), (3, $2)) AS v JOIN t ON true WHERE t.id = $1", REASON_NONE},
    {"SELECT (SELECT max(a) FROM t WHERE id = $1 GROUP BY b LIMIT 1) AS x, 'y' FROM u WHERE id = $1",
     REASON_NONE},
    {"SELECT a FROM (SELECT a, b FROM t UNION ALL SELECT c, d FROM u) x WHERE x.b = $1", REASON_NONE},
    {"TABLE t UNION SELECT a FROM t WHERE id = $1", REASON_NONE},
    // no keys
    {"TABLE t", REASON_NO_KEY},
    {"SELECT a FROM t", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id > $1", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = 5", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = $1 + 1", REASON_NONE},
    {"SELECT a FROM t WHERE id = -$1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1::int::text", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1::varchar(3)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = $1 COLLATE \"C\"", REASON_NONE},
    {"SELECT a FROM t WHERE id = lower($1 || 'x')", REASON_NONE},
    {"SELECT a FROM t WHERE s = CAST($1::text AS s.mood) AND b = $2::date::text", REASON_NONE},
    {"SELECT a FROM t WHERE id = f($1::varchar(3))", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = f($1) FILTER (WHERE true)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = f(DISTINCT $1)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = f($1 ORDER BY 1)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = f($1) OVER ()", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = f(g = $1, $1)", REASON_NONE},
    {"SELECT a FROM t WHERE id = f($1) AND f($1) > 1", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id > f($1)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE 5 = f($1)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = CASE WHEN a THEN $1 END", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = ($1 IS NULL)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = ($1)[1]", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = coalesce($1, 0)", REASON_NONE},
    {"SELECT a FROM t WHERE id = (SELECT $1)", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b > $1", REASON_NONE},
    {"SELECT $1 FROM t WHERE id = $1", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = $1 ORDER BY a = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 LIMIT $1", REASON_NONE},
    {"SELECT a FROM t WHERE f(id = $1)", REASON_NO_KEY},
    {"SELECT id = $1 FROM t", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id IN ($1, $2)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id NOT IN ($1)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id <> $1", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = ALL (ARRAY[$1])", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id < ANY (ARRAY[$1])", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[$1, $2])", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = ANY ($1::int)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = ANY ($1::varchar(3)[])", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id = b", REASON_NO_KEY},
    {"SELECT a FROM t WHERE $1 = $2", REASON_NO_KEY},
    {"SELECT a FROM t WHERE 1 = $1::int", REASON_NO_KEY},
    {"SELECT a FROM t WHERE $1::int = '1'::int", REASON_NO_KEY},
    {"SELECT a FROM t WHERE (1, 2) = ($1, $2)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE (a, b) = ($1, $2, $3)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE (a, b) < ($1, $2)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id IS NOT DISTINCT FROM $1", REASON_NONE},
    {"SELECT a FROM t WHERE (id = $1) IS TRUE", REASON_NO_KEY},
    {"SELECT a FROM t WHERE NULLIF(id, $1)", REASON_NO_KEY},
    {"SELECT a FROM t WHERE CASE id WHEN $1 THEN true END", REASON_NO_KEY},
    {"SELECT a FROM t WHERE id BETWEEN $1 AND $2", REASON_NO_KEY},
    {"SELECT a FROM t WHERE $1 IN (SELECT b FROM u)", REASON_NO_KEY},
    {"SELECT a FROM t GROUP BY a HAVING a = $1", REASON_NO_KEY},
    {"SELECT count(*) FILTER (WHERE id = $1) FROM t", REASON_NO_KEY},
    {"SELECT max((SELECT a FROM t WHERE id = $1)) FROM u", REASON_NO_KEY},
    {"SELECT lower((SELECT a FROM t WHERE id = $1))", REASON_NO_KEY},
    {"SELECT sum(a) OVER (ORDER BY (SELECT 1 FROM u WHERE id = $1)) FROM t", REASON_NO_KEY},
    {"SELECT a FROM t ORDER BY (SELECT 1 FROM u WHERE id = $1)", REASON_NO_KEY},
    {"SELECT a FROM t LIMIT (SELECT 1 FROM u WHERE id = $1)", REASON_NO_KEY},
    {"SELECT a FROM t GROUP BY a, (SELECT 1 FROM u WHERE id = $1)", REASON_NO_KEY},
    {"SELECT a FROM t GROUP BY a HAVING EXISTS (SELECT 1 FROM u WHERE id = $1)", REASON_NO_KEY},
    {"SELECT DISTINCT ON ((SELECT 1 FROM u WHERE id = $1)) a FROM t", REASON_NO_KEY},
    {"SELECT a FROM t WINDOW w AS (ORDER BY (SELECT 1 FROM u WHERE id = $1))", REASON_NO_KEY},
    {"SELECT a FROM t JOIN (VALUES ((SELECT 1 FROM u WHERE id = $1))) v ON true", REASON_NO_KEY},
    {"SELECT a FROM t WHERE NOT f()", REASON_NO_KEY},
    {"SELECT a FROM t WHERE f() IS NULL AND g() IS TRUE AND id BETWEEN f() AND 2", REASON_NO_KEY},
    // no tables
    {"SELECT 1", REASON_NO_TABLE},
    {"SELECT now()", REASON_NO_TABLE},
    {"SELECT a FROM f($1)", REASON_NO_TABLE},
    {"SELECT a FROM ROWS FROM (f($1), g(1)) WITH ORDINALITY", REASON_NO_TABLE},
    {"SELECT EXISTS (SELECT 1)", REASON_NO_TABLE},
    {"VALUES (1)", REASON_NO_TABLE},
    // refused
    {"WITH RECURSIVE x AS (SELECT 1) SELECT a FROM t WHERE id = $1", REASON_CTE},
    {"WITH RECURSIVE x(n) AS (SELECT a FROM t WHERE id = $1 UNION ALL SELECT n + 1 FROM x) SELECT n FROM x",
     REASON_CTE},
    {"SELECT a FROM t WHERE EXISTS (WITH RECURSIVE x AS (SELECT 1) SELECT 1 FROM x) AND id = $1", REASON_CTE},
    {"WITH x AS (SELECT 1 FROM y) SEARCH DEPTH FIRST BY a SET b SELECT a FROM t WHERE id = $1", REASON_CTE},
    {"SELECT a FROM t, f(1) WHERE id = $1", REASON_FUNCTION},
    {"SELECT a FROM t JOIN LATERAL unnest(t.b) u ON true WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND EXISTS (SELECT 1 FROM generate_series(1, 2))", REASON_NONE},
    {"SELECT unnest(a) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT e, u.b FROM t, jsonb_array_elements(t.c) e, unnest(d) AS u(b) WHERE id = $1", REASON_NONE},
    {"SELECT key, value, ordinality FROM t, jsonb_each(c) WITH ORDINALITY WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t, ROWS FROM (unnest(b), unnest(c)) AS x WHERE id = $1", REASON_FUNCTION},
    {"SELECT a FROM t, json_to_recordset(b) AS x(c int) WHERE id = $1", REASON_FUNCTION},
    {"SELECT a FROM t, public.f(b) WHERE id = $1", REASON_FUNCTION},
    {"SELECT max(x) FROM (SELECT a FROM t WHERE id = $1) x", REASON_CONSTRUCT},
    {"SELECT f(t) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT json_agg((SELECT x FROM (SELECT a) x)) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT coalesce(a, pg_catalog.generate_series(1, 3)) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT (SELECT jsonb_array_elements(a)) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 ORDER BY regexp_split_to_table(a, 'x')", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b < CURRENT_TIMESTAMP", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b < CURRENT_DATE - 1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 AND b = LOCALTIME(0)", REASON_NONE},
    {"SELECT lower(current_user) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT count(*) FILTER (WHERE session_user = b) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 GROUP BY a, current_schema", REASON_NONE},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[current_catalog])", REASON_NO_KEY},
    {"SELECT a FROM t JOIN u ON current_role = b WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 WINDOW w AS (ORDER BY CURRENT_TIME)", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 FOR UPDATE", REASON_LOCKING},
    {"SELECT a FROM t WHERE id = $1 FOR KEY SHARE OF t NOWAIT", REASON_LOCKING},
    {"SELECT a FROM (SELECT a FROM t WHERE id = $1 FOR UPDATE) x", REASON_LOCKING},
    {"WITH x AS (SELECT a FROM t FOR SHARE) SELECT a FROM x WHERE id = $1", REASON_LOCKING},
    {"SELECT a FROM t WHERE id = $1 AND EXISTS (SELECT 1 FROM u FOR NO KEY UPDATE)", REASON_LOCKING},
    {"SELECT FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t AS x(a, id) WHERE id = $1", REASON_NONE},
    {"SELECT a FROM t WHERE id = $1 ORDER BY a USING <", REASON_CONSTRUCT},
    {"SELECT string_agg(a, ',' ORDER BY a USING <) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 ORDER BY a FETCH FIRST 1 ROW WITH TIES", REASON_CONSTRUCT},
    {"SELECT 1 FROM (SELECT a FROM t WHERE id = $1 ORDER BY a FETCH FIRST 1 ROW WITH TIES) x",
     REASON_CONSTRUCT},
    {"SELECT GROUPING(a) FROM t WHERE id = $1 GROUP BY a", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND b::regclass = 'x'", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE b::oid IN (SELECT 'x'::regproc) AND id = $1", REASON_CONSTRUCT},
    {"SELECT a::\"char\" FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT ctid FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT t.xmin FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE tableoid = $1", REASON_CONSTRUCT},
    {"SELECT max(cmin) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT t FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT x FROM t AS x WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT count(t) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT count(t.*) FROM t WHERE id = $1", REASON_NONE},
    {"SELECT row_to_json(x) FROM (SELECT a FROM t WHERE id = $1) x", REASON_NONE},
    {"SELECT to_json(j) FROM (t CROSS JOIN u) j WHERE t.id = $1", REASON_NONE},
    {"SELECT j FROM t JOIN u USING (id) AS j WHERE t.id = $1", REASON_CONSTRUCT},
    {"SELECT x FROM t, (SELECT 1) x WHERE id = $1", REASON_CONSTRUCT},
    {"WITH x AS (SELECT 1) SELECT x FROM x, t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT (SELECT t) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT DISTINCT ON (t) a FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 ORDER BY t", REASON_CONSTRUCT},
    {"SELECT (t).a FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT (t.a).b FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT (t.a).* FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT (t.a)[1].b FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE t.* IS NULL AND id = $1", REASON_CONSTRUCT},
    {"SELECT ROW(t.*) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT ROW(t.*, 1) = ROW(1, 2, 3) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT d.s.t.a FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a OPERATOR(s.+) 1 FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id OPERATOR(pg_catalog.=) $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND b OPERATOR(s.=) ANY (SELECT 1)", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND n = 'snow today1 nowhere'", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND b < 'now'", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND b < ' Tomorrow 05:00'::timestamp", REASON_CONSTRUCT},
    {"SELECT count(*) FILTER (WHERE b > 'today') FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND b > (SELECT date 'yesterday')", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND b = 'x\\y'", REASON_CONSTRUCT},
    {"SELECT a FROM \xc3\xa4 WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT \xc3\xa4(a) FROM t WHERE id = $1", REASON_CONSTRUCT},
    {"SELECT a FROM t WHERE id = $1 AND EXISTS (SELECT 1 FROM u \xc3\xa4)", REASON_CONSTRUCT},
    {"SELECT a FROM t23456789_123456789_123456789_123456789_123456789_123456789_1234 WHERE id = $1",
     REASON_CONSTRUCT},
    {"SELECT a FROM pg_catalog.x WHERE id = $1", REASON_SYSTEM_SCHEMA},
    {"SELECT a FROM information_schema.x WHERE id = $1", REASON_SYSTEM_SCHEMA},
    {"SELECT a FROM pg_toast.x WHERE id = $1", REASON_SYSTEM_SCHEMA},
    {"SELECT a FROM pg_temp.x WHERE id = $1", REASON_SYSTEM_SCHEMA},
    {"SELECT a FROM pg_temp_3.x WHERE id = $1", REASON_SYSTEM_SCHEMA},
    {"SELECT oid FROM pg_class WHERE relname = $1", REASON_SYSTEM_SCHEMA},
    {"SELECT a FROM t WHERE id = $1 AND EXISTS (SELECT 1 FROM pg_locks)", REASON_SYSTEM_SCHEMA},
    {"SELECT a FROM t LEFT JOIN pg_class c ON true WHERE id = $1", REASON_SYSTEM_SCHEMA},
};

Test(parse, reads) {
    for (size_t i = 0; i < sizeof reads / sizeof *reads; i++) {
        struct parsed *p = parse(reads[i].text);
        cr_expect_eq(p->kind, STATEMENT_READ, "%s: kind %d", reads[i].text, p->kind);
        cr_expect_eq(p->reason, reads[i].reason, "%s: %s", reads[i].text, reason_name(p->reason));
        cr_expect_eq(p->n_keys > 0, p->reason == REASON_NONE, "%s", reads[i].text);
        parsed_destroy(p);
    }
}

Test(parse, what_asks_the_session_is_told) {
    struct parsed *p = parse("SELECT a FROM t WHERE id = $1 AND b < CURRENT_TIMESTAMP");
    cr_expect(p->asks_session);
    parsed_destroy(p);
    p = parse("SELECT a FROM t WHERE id = $1 AND b < now()"); // the catalogue tells of functions
    cr_expect_not(p->asks_session);
    parsed_destroy(p);
}

Test(parse, backslashes_are_told) {
    struct parsed *p = parse("INSERT INTO t VALUES ('a\\b')");
    cr_expect_eq(p->kind, STATEMENT_WRITE);
    cr_expect(p->setting_dependent);
    parsed_destroy(p);
    p = parse("INSERT INTO t VALUES (E'a\\b')");
    cr_expect(!p->setting_dependent);
    parsed_destroy(p);
}

// ---- lists, written as one text each

static void put_part(struct buf *b, const char *s, const char *behind) {
    if (s) {
        buf_put_text(b, s);
        buf_put_text(b, behind);
    }
}

static void put_settings(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_settings; i++) {
        put_part(b, i ? "; " : "", "");
        put_part(b, p->settings[i].name, "=");
        put_part(b, p->settings[i].value ? p->settings[i].value : "(reset)", "");
    }
}

static void put_relations(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_relations; i++) {
        put_part(b, i ? " " : "", "");
        put_part(b, p->relations[i].schema, ".");
        put_part(b, p->relations[i].name, "");
        put_part(b, p->relations[i].alias ? ":" : "", "");
        put_part(b, p->relations[i].alias, "");
        put_part(b, p->relations[i].maybe_cte ? "?" : "", "");
    }
}

static void put_columns(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_columns; i++) {
        put_part(b, i ? " " : "", "");
        put_part(b, p->columns[i].qualifier, ".");
        put_part(b, p->columns[i].name, "");
    }
}

static void put_functions(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_functions; i++) {
        put_part(b, i ? " " : "", "");
        put_part(b, p->functions[i].schema, ".");
        put_part(b, p->functions[i].name, "");
    }
}

static void put_operators(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_operators; i++) {
        put_part(b, i ? " " : "", "");
        put_part(b, p->operators[i], "");
    }
}

// $param:relation:column_sql:cast:uses, and R when plain, T at the top, A for an array, B beside the key, O if the
// order must be told, N where NULL is compared, too
static void put_keys(struct buf *b, const struct parsed *p) {
    char text[300];
    for (int i = 0; i < p->n_keys; i++) {
        const struct parsed_key *k = &p->keys[i];
        snprintf(text, sizeof text, "%s$%d:%d:%s:%s:%d%s%s%s%s%s%s", i ? " " : "", k->param, k->relation,
                 k->column_sql ? k->column_sql : "", k->cast ? k->cast : "", k->uses,
                 k->plain_right ? "R" : "", k->top ? "T" : "", k->array ? "A" : "", k->range ? "B" : "",
                 k->ordered ? "O" : "", k->nullable ? "N" : "");
        put_part(b, text, "");
        cr_expect_eq(!k->column, !k->column_sql);
    }
}

static void expect_list(const char *text, void (*put)(struct buf *, const struct parsed *),
                        const char *wanted) {
    struct buf b = buf_make(1 << 16);
    struct parsed *p = parse(text);
    put(&b, p);
    buf_put_u8(&b, 0);
    cr_expect_str_eq((char *)b.data, wanted, "%s: %s", text, (char *)b.data);
    parsed_destroy(p);
    buf_free(&b);
}

Test(parse, settings) {
    static const char *const cases[][2] = {
        {"SET x = 1", "x=1"},
        {"SET x TO '1'", "x='1'"},
        {"SET x = -1", "x=-1"},
        {"SET x = 1.50", "x=1.50"},
        {"SET x = on", "x='on'"},
        {"SET x = 99999999999", "x=99999999999"},
        {"SET search_path TO a, 'B c', \"D\", 'it''s'", "search_path='a', 'B c', 'D', 'it''s'"},
        {"SET search_path TO 'a, b'", "search_path='a, b'"},
        {"SET SCHEMA 'a'", "search_path='a'"},
        {"SET \"App\".\"Tenant\" = 'x'", "app.tenant='x'"},
        {"SET SESSION x = 1", "x=1"},
        {"SET LOCAL x = 1", "x=1"},
        {"SET x = DEFAULT", "x=(reset)"},
        {"RESET X", "x=(reset)"},
        {"RESET TIME ZONE", "timezone=(reset)"},
        {"SET TIME ZONE 'UTC'", "timezone='UTC'"},
        {"SET TIME ZONE -3.5", "timezone=-3.5"},
        {"SET TIME ZONE LOCAL", "timezone=(reset)"},
        {"SET NAMES 'utf8'", "client_encoding='utf8'"},
        {"SET ROLE a", "role='a'"},
        {"SET ROLE NONE", "role='none'"},
        {"RESET ROLE", "role=(reset)"},
        {"SET XML OPTION DOCUMENT", "xmloption='DOCUMENT'"},
        {"SET SESSION CHARACTERISTICS AS TRANSACTION ISOLATION LEVEL SERIALIZABLE, READ ONLY, NOT DEFERRABLE",
         "default_transaction_isolation='serializable'; default_transaction_read_only=1; "
         "default_transaction_deferrable=0"},
        {"SET TRANSACTION READ WRITE", "transaction_read_only=0"},
        {"BEGIN ISOLATION LEVEL REPEATABLE READ", "transaction_isolation='repeatable read'"},
        {"SELECT set_config('Search_Path', 'a, b', false)", "search_path=raw 'a, b'"},
        {"SELECT set_config('a', 'b', false), pg_catalog.set_config('c', NULL, false)",
         "a=raw 'b'; c=(reset)"},
        {"SELECT set_config('a', 'b', true)", "a=raw 'b'"},
        {"SELECT set_config('a', 'b', false), 1", ""},
        {"SET SESSION AUTHORIZATION a", ""},
        {"SET TIME ZONE INTERVAL '1' HOUR", ""},
        {"COMMIT", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_settings, cases[i][1]);
}

Test(parse, relations) {
    static const char *const cases[][2] = {
        {"SELECT a FROM t", "t"},
        {"SELECT a FROM S.\"T\" AS x", "s.T:x"},
        {"SELECT a FROM t, u JOIN v ON true, LATERAL (SELECT 1 FROM w) q WHERE EXISTS (SELECT 1 FROM z)",
         "t u v w z"},
        {"SELECT a FROM t UNION SELECT a FROM u WHERE b IN (SELECT 1 FROM t)", "t u"},
        {"SELECT a FROM t x, t y", "t:x t:y"},
        {"WITH x AS (SELECT a FROM t) SELECT a FROM x, s.x", "x? s.x t"},
        {"SELECT a FROM t FOR UPDATE OF t", "t"},
        {"INSERT INTO t SELECT a FROM u", "t u"},
        {"UPDATE t SET a = 1 FROM u WHERE b = (SELECT 1 FROM v)", "t v u"},
        {"SELECT max((SELECT 1 FROM a)) OVER (PARTITION BY (SELECT 1 FROM b) ORDER BY (SELECT 1 FROM c)) "
         "FROM d "
         "ORDER BY (SELECT 1 FROM e) LIMIT (SELECT 1 FROM f)",
         "a b c d e f"},
        {"SELECT 1 FROM f((SELECT 1 FROM a)) LEFT JOIN b ON (SELECT true FROM c) GROUP BY (SELECT 1 FROM d) "
         "HAVING (SELECT true FROM e)",
         "a b c d e"},
        {"SELECT a FROM t WHERE id = ANY (ARRAY(SELECT 1 FROM u)) AND b[(SELECT 1 FROM v)] = ROW((SELECT 1 "
         "FROM w))",
         "t u v w"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_relations, cases[i][1]);
}

Test(parse, columns) {
    static const char *const cases[][2] = {
        {"SELECT a, t.b, s.t.c, *, t.*, A FROM t WHERE \"D\" = $1 ORDER BY e", "a t.b t.c D e"},
        {"SELECT (t).f, (g(x)).h[i] FROM t", "f t h x i"},
        {"SELECT 1 FROM t WHERE EXISTS (SELECT u.x FROM u)", "u.x"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_columns, cases[i][1]);
}

Test(parse, functions) {
    static const char *const cases[][2] = {
        {"SELECT lower(a), s.f(lower(b)), count(*) FROM t", "lower s.f count"},
        {"SELECT extract(year FROM a), a AT TIME ZONE 'x', a SIMILAR TO 'b'",
         "pg_catalog.extract pg_catalog.timezone pg_catalog.similar_to_escape"},
        {"SELECT a FROM f(g(1)) WHERE EXISTS (SELECT h())", "f g h"},
        {"SELECT a::mytype, b::text, c::s.color, 'x'::regclass, d::pg_catalog.int4", "mytype s.color"},
        {"SELECT a FROM t ORDER BY f(a) LIMIT g()", "f g"},
        {"SELECT a FROM json_to_recordset('[]') AS x(a int, b mytype)", "json_to_recordset mytype"},
        {"INSERT INTO t VALUES (nextval('s')) RETURNING f(a)", "nextval f"},
        {"SELECT f(a) OVER (ORDER BY g(b)), h(c) FILTER (WHERE i(d)), j(k(x) ORDER BY l(y)), m(VARIADIC "
         "n(1))",
         "f g h i j k l m n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_functions, cases[i][1]);
}

Test(parse, operators) {
    static const char *const cases[][2] = {
        {"SELECT a + 1 FROM t WHERE b = 1 AND c = 2 OR d LIKE 'x' AND e NOT ILIKE 'y'", "+ = ~~ !~~*"},
        {"SELECT a OPERATOR(s.@@@) b", "@@@"},
        {"SELECT a FROM t WHERE a BETWEEN 1 AND 2", ">= <= < >"},
        {"SELECT a FROM t WHERE a IN (1) AND b NOT IN (2)", "= <>"},
        {"SELECT a FROM t WHERE a IN (SELECT 1)", "="},
        {"SELECT a FROM t WHERE a > ALL (SELECT 1 - 2)", "> -"},
        {"SELECT a FROM t ORDER BY a USING <<", "<<"},
        {"SELECT a FROM t ORDER BY a", "< >"},
        {"SELECT a FROM t GROUP BY a", "= < >"},
        {"SELECT DISTINCT a FROM t", "= < >"},
        {"SELECT 1 UNION SELECT 2", "= < >"},
        {"SELECT max(a) OVER (PARTITION BY b)", "= < >"},
        {"SELECT greatest(a)", "< >"},
        {"SELECT CASE a WHEN 1 THEN 2 END", "="},
        {"SELECT NULLIF(a, b)", "="},
        {"SELECT a FROM t JOIN u USING (b)", "="},
        {"SELECT a FROM t NATURAL JOIN u", "="},
        {"SELECT - a, a IS DISTINCT FROM b", "- ="},
        {"SELECT a <-> b FROM t WHERE c = ANY ($1)", "<-> ="},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_operators, cases[i][1]);
}

static const char *const keys[][2] = {
    {"SELECT a FROM t WHERE id = $1", "$1:0:\"id\"::1RT"},
    {"SELECT a FROM t WHERE ((id = $1))", "$1:0:\"id\"::1RT"},
    {"SELECT a FROM t WHERE $1 = t.Id", "$1:0:\"t\".\"id\"::1T"},
    {"SELECT a FROM s.t WHERE s.t.\"I\"\"d\" = $2", "$2:0:\"s\".\"t\".\"I\"\"d\"::1RT"},
    {"SELECT a FROM t WHERE id = $1::INTEGER", "$1:0:\"id\":int4:1T"},
    {"SELECT a FROM t WHERE CAST($1 AS uuid) = id", "$1:0:\"id\":uuid:1T"},
    {"SELECT a FROM t WHERE id = $1::mytype", "$1:0:\"id\":mytype:1T"},
    {"SELECT a FROM t WHERE id IN ($1)", "$1:0:\"id\"::1T"},
    {"SELECT a FROM t WHERE id IN ($1::int8)", "$1:0:\"id\":int8:1T"},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[$1::int4])", "$1:0:\"id\":int4:1T"},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[$1]::int4[])", "$1:0:\"id\"::1T"},
    {"SELECT a FROM t WHERE id = ANY ($1)", "$1:0:\"id\"::1TA"},
    {"SELECT a FROM t WHERE id = any ($1::int8[])", "$1:0:\"id\":int8:1TA"},
    {"SELECT a FROM t WHERE a = $2 AND (b = $1 AND c = 3) AND d > $3 LIMIT $4",
     "$2:0:\"a\"::1RT $1:0:\"b\"::1RT $3:-1:::1TBO $4:-1:::1BO"},
    {"SELECT a FROM t WHERE a = $1 AND (b = $2 OR NOT c = $3)",
     "$1:0:\"a\"::1RT $2:0:\"b\"::1R $3:0:\"c\"::1R"},
    {"SELECT $2 FROM t WHERE a = $1 AND $1 = b OR c IN ($1) AND d = $2", "$1:0:\"a\"::3R"},
    {"SELECT a FROM t WHERE (a, lower(b)) = ($1, $2)", "$1:0:\"a\"::1T $2:-1:::1T"},
    {"SELECT a FROM t WHERE lower(id) = lower($1) AND id = $2 + $3", "$1:-1:::1T $2:-1:::1T $3:-1:::1T"},
    {"SELECT a FROM t WHERE id = f($1) OR id = $1", "$1:-1:::2"},
    {"SELECT a FROM t WHERE id = $1 OR id = f($1)", "$1:0:\"id\"::2R"},
    {"SELECT a FROM t WHERE ($1, b) IN ((c, $2))", "$1:0:\"c\"::1T $2:0:\"b\"::1T"},
    {"SELECT a FROM t WHERE lower(id) = $1 AND b->>'k' = $2::text", "$1:-1:::1T $2:-1::text:1T"},
    {"SELECT a FROM t WHERE \xc3\xa4 = $1", "$1:-1:::1RT"},
    {"SELECT x.a FROM t AS x(a, id) WHERE x.id = $1", "$1:-1:::1RT"},
    {"SELECT a FROM t, s.t u WHERE t.id = $1 AND u.id = $2 AND c = $3",
     "$1:0:\"t\".\"id\"::1RT $2:1:\"u\".\"id\"::1RT $3:-1:\"c\"::1RT"},
    {"SELECT a FROM t JOIN u ON u.id = $1 AND t.b = u.b", "$1:1:\"u\".\"id\"::1R"},
    {"SELECT a FROM (SELECT a FROM t WHERE t.id = $1) AS u WHERE u.a = $2 AND b = $3",
     "$1:0:\"t\".\"id\"::1R $2:-1:\"u\".\"a\"::1RT $3:-1:\"b\"::1RT"},
    {"WITH t AS (SELECT a FROM t) SELECT a FROM t WHERE t.id = $1", "$1:-1:\"t\".\"id\"::1RT"},
    {"SELECT a FROM t WHERE EXISTS (SELECT 1 FROM t x WHERE x.id = $1 AND t.b = $1)",
     "$1:1:\"x\".\"id\"::2R"},
    {"SELECT a FROM t WHERE id IS NOT DISTINCT FROM $1", "$1:0:\"id\"::1TN"},
    {"SELECT a FROM t WHERE id IN (SELECT $1::int4)", "$1:0:\"id\":int4:1T"},
    {"SELECT a FROM t WHERE id = (SELECT $1) AND b = (SELECT $2 FROM t)", "$1:0:\"id\"::1RT"},
    {"SELECT a FROM t WHERE id NOT IN (SELECT $1)", "$1:0:\"id\"::1"},
    {"SELECT a FROM t WHERE id > ANY (SELECT $1) AND b = $2", "$2:0:\"b\"::1RT"},
    {"SELECT a FROM t WHERE id IN (SELECT $1 WHERE false)", ""},
    // Comparisons' values, where there is one row
    {"SELECT count(*) FROM t WHERE a = $1 AND b > $2", "$1:0:\"a\"::1RT $2:-1:::1TB"},
    {"SELECT count(b) FROM t WHERE $2::date >= b AND a = $1", "$1:0:\"a\"::1RT $2:-1::date:1TB"},
    {"SELECT count(*) FROM t WHERE a = $1 AND b <> $1", "$1:0:\"a\"::2RT"},
    {"SELECT count(*) FROM t WHERE a = $1 AND b > $2 AND c BETWEEN $2 AND $3",
     "$1:0:\"a\"::1RT $2:-1:::2TB $3:-1:::1TB"},
    {"SELECT count(*) FROM t WHERE a = $1 AND b IS DISTINCT FROM $2", "$1:0:\"a\"::1RT $2:-1:::1TB"},
    {"SELECT count(*) FROM t WHERE b > $1", ""},
    // where there may be several
    {"SELECT min(b), max(b) FROM t WHERE $2::date >= b AND a = $1", "$1:0:\"a\"::1RT $2:-1::date:1TBO"},
    {"SELECT a FROM t WHERE a = $1 AND b > $2", "$1:0:\"a\"::1RT $2:-1:::1TBO"},
    {"SELECT a FROM t WHERE a = $1 AND b NOT BETWEEN $2 AND $3 ORDER BY c",
     "$1:0:\"a\"::1RT $2:-1:::1TBO $3:-1:::1TBO"},
    {"SELECT a FROM t WHERE a = $1 AND b > $1", "$1:0:\"a\"::2RTO"},
    {"SELECT a FROM t WHERE a = $1 LIMIT $2 OFFSET $3::int8", "$1:0:\"a\"::1RT $2:-1:::1BO $3:-1::int8:1BO"},
    {"SELECT a FROM t WHERE a = $1 LIMIT $2 + 1", "$1:0:\"a\"::1RT"},
    {"SELECT a FROM t WHERE a = $1 ORDER BY b <> $2, c", "$1:0:\"a\"::1RT $2:-1:::1BO"},
    {"SELECT a FROM t WHERE a = $1 ORDER BY CASE WHEN b = $2 THEN 0 ELSE 1 END",
     "$1:0:\"a\"::1RT $2:-1:::1BO"},
    {"SELECT a FROM t WHERE a = $1 ORDER BY $2", "$1:0:\"a\"::1RT"},
    {"SELECT a FROM t WHERE a = $1 ORDER BY f($2, b)", "$1:0:\"a\"::1RT"},
    {"SELECT sum(b) FROM t WHERE a = $1 AND b > $2", "$1:0:\"a\"::1RT $2:-1:::1TBO"},
    {"SELECT count(*), b FROM t WHERE a = $1 AND b > $2", "$1:0:\"a\"::1RT $2:-1:::1TBO"},
    {"SELECT count(*) FROM t WHERE a = $1 AND b > $2 GROUP BY b", "$1:0:\"a\"::1RT"},
    {"SELECT DISTINCT b FROM t WHERE a = $1 AND b > $2 ORDER BY b", "$1:0:\"a\"::1RT"},
    {"SELECT b FROM t, u WHERE a = $1 AND b > $2 ORDER BY b", "$1:-1:\"a\"::1RT"},
    {"SELECT b FROM t WHERE a = $1 AND b > $2 UNION SELECT b FROM t ORDER BY b LIMIT $3", "$1:0:\"a\"::1R"},
    {"SELECT count(*) FROM (SELECT a FROM t WHERE a = $1 AND b > $2 LIMIT 3) AS u", "$1:-1:\"a\"::1R"},
    {"SELECT count(*) FROM t WHERE a = $1 AND b > (SELECT max(c) FROM u WHERE d < $2)", "$1:-1:\"a\"::1RT"},
    {"SELECT count(*) OVER () FROM t WHERE a = $1 AND b > $2", "$1:0:\"a\"::1RT"},
    // values in the select list
    {"SELECT a, $2 AS x FROM t WHERE a = $1", "$1:0:\"a\"::1RT $2:-1:::1B"},
    {"SELECT a, $1::int AS x FROM t WHERE a = $1", "$1:0:\"a\"::2RT"},
    {"SELECT COALESCE(a, $2) || 'x' AS x, b > $3 AS y FROM t, u WHERE a = $1 ORDER BY a",
     "$1:-1:\"a\"::1RT $2:-1:::1B $3:-1:::1B"},
    {"SELECT a, $2::int FROM t WHERE a = $1", "$1:0:\"a\"::1RT"},
    {"SELECT a, max($2) AS x FROM t WHERE a = $1", "$1:0:\"a\"::1RT"},
    {"SELECT DISTINCT a, $2 AS x FROM t WHERE a = $1", "$1:0:\"a\"::1RT"},
    {"SELECT a, $2 AS x FROM t WHERE a = $1 ORDER BY x", "$1:0:\"a\"::1RT"},
    {"SELECT a, $2 AS x FROM t WHERE a = $1 ORDER BY 2", "$1:0:\"a\"::1RT"},
    {"SELECT count(*), $2 AS x FROM t WHERE a = $1 GROUP BY x", "$1:0:\"a\"::1RT"},
    {"SELECT count(*), $2 AS x FROM t WHERE a = $1 GROUP BY b", "$1:0:\"a\"::1RT $2:-1:::1B"},
    {"SELECT a FROM t WHERE a = $1 UNION SELECT $2 AS a FROM t", "$1:0:\"a\"::1R"},
    {"SELECT (SELECT $2 AS x) AS y FROM t WHERE a = $1", "$1:0:\"a\"::1RT"},
    {"SELECT a FROM t WHERE id = $1 UNION SELECT b FROM t WHERE id = $2", "$1:0:\"id\"::1R $2:0:\"id\"::1R"},
};

// The columns of ORDER BY
static void put_sort(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_sort; i++)
        put_part(b, p->sort[i], "");
}

Test(parse, sort_columns) {
    static const char *const cases[][2] = {
        {"SELECT a FROM t WHERE a = $1 AND b > $2 ORDER BY c DESC NULLS LAST, t.d, lower(e), f COLLATE \"C\"",
         "cd"},
        {"SELECT b AS c, lower(d) AS e FROM t WHERE a = $1 AND b > $2 ORDER BY c, e", "b"},
        {"SELECT b AS c FROM t WHERE a = $1 AND b > $2 ORDER BY t.c", "c"},
        {"SELECT c(b) FROM t WHERE a = $1 AND b > $2 ORDER BY c", ""},
        {"SELECT * FROM t WHERE a = $1 AND b > $2 ORDER BY c", "c"},
        {"SELECT a FROM t, u WHERE a = $1 ORDER BY c", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_sort, cases[i][1]);
}

Test(parse, keys) {
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        expect_list(keys[i][0], put_keys, keys[i][1]);
}

// Not more than there is room for, and the rest is no harm.
Test(parse, many_keys) {
    struct buf b = buf_make(MAX_TEXT);
    char text[32];
    buf_put_text(&b, "SELECT a FROM t WHERE true");
    for (int i = 1; i <= 100; i++) {
        snprintf(text, sizeof text, " AND c%d = $%d", i, i);
        buf_put_text(&b, text);
    }
    buf_put_u8(&b, 0);
    struct parsed *p = parse((char *)b.data);
    cr_expect_eq(p->reason, REASON_NONE);
    cr_expect_eq(p->n_keys, PARSED_MAX_KEYS);
    cr_expect_eq(p->keys[PARSED_MAX_KEYS - 1].param, PARSED_MAX_KEYS);
    parsed_destroy(p);
    buf_free(&b);
}

static void put_labels(struct buf *b, const struct parsed *p) {
    for (int i = 0; i < p->n_labels; i++) {
        put_part(b, i ? " " : "", "");
        put_part(b, p->labels[i], "");
    }
}

Test(parse, labels) {
    static const char *const cases[][2] = {
        {"SELECT a, t.b, t.* FROM t", ""},
        {"SELECT a AS x, b \"Y\" FROM t", "x Y"},
        {"SELECT x.a FROM t x(a, id)", "a id"},
        {"SELECT x.m FROM (SELECT max(a) m, count(*), s.f(1) FROM t) AS x", "m count f"},
        {"SELECT x.q FROM (SELECT 1, 'a' FROM t) AS x(q, r)", "?column? q r"},
        {"WITH x(q, r) AS (SELECT 1 AS p) SELECT q FROM x", "q r p"},
        {"SELECT q FROM (t CROSS JOIN u) AS j(q)", "q"},
        {"SELECT a::mytype, 1::int, (CASE WHEN a THEN 1 END), b COLLATE \"C\", lower(c)::text FROM t",
         "mytype ?column? int4 case lower text"},
        {"SELECT EXISTS (SELECT 1), ARRAY(SELECT a), (SELECT b AS y), ARRAY[1], ROW(1), coalesce(a, b), "
         "greatest(a), least(a), nullif(a, b), a[1], a + 1",
         "exists ?column? array y row coalesce greatest least nullif"},
        {"SELECT v.column2 FROM (VALUES (1, 2)) v", "column1 column2"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        expect_list(cases[i][0], put_labels, cases[i][1]);
}

Test(parse, form_and_places) {
    static const struct {
        const char *text;
        bool in_form;
        size_t select_at;
        int n_params;
    } cases[] = {
        {"SELECT a FROM t WHERE id = $1", true, 6, 1},
        {"SELECT a FROM t, u WHERE id = $1", false, 6, 1},
        {"SELECT lower(a) FROM t WHERE id = $1", false, 6, 1},
        {"SELECT a FROM t WHERE id = $1 AND EXISTS (SELECT 1)", false, 6, 1},
        {"SELECT a FROM (SELECT a FROM t) t WHERE id = $1", false, 6, 1},
        {"SELECT DISTINCT a FROM t WHERE id = $1", false, 6, 1},
        {"SELECT a FROM t WHERE id = $1 GROUP BY a", false, 6, 1},
        {"SELECT a FROM t WHERE id = $1 HAVING true", false, 6, 1},
        {"SELECT a FROM t WHERE id = $1 WINDOW w AS ()", false, 6, 1},
        {"WITH x AS (SELECT 1) SELECT a FROM t WHERE id = $1", false, 17, 1},
        {"SELECT a FROM t WHERE id = $1 UNION SELECT 1", false, 6, 1},
        {"/* select */ (select a FROM t WHERE id = $2)", true, 20, 2},
        {"SELECT a FROM t WHERE id = $1 ORDER BY a", false, 6, 1},
        {"SELECT a FROM t WHERE id = $1 LIMIT $12", false, 6, 12},
        {"SELECT a FROM t WHERE id = $1 OFFSET 0", false, 6, 1},
        {"SELECT count(*) FROM t WHERE id = $1", false, 6, 1},
        {"UPDATE t SET a = $3 WHERE b = (SELECT 1)", false, 0, 3},
        {"TABLE t", false, 0, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct parsed *p = parse(cases[i].text);
        cr_expect_eq(p->in_form, cases[i].in_form, "%s", cases[i].text);
        cr_expect_eq(p->select_at, cases[i].select_at, "%s: %zu", cases[i].text, p->select_at);
        cr_expect_eq(p->n_params, cases[i].n_params, "%s: %d", cases[i].text, p->n_params);
        parsed_destroy(p);
    }
}

Test(parse, deallocate_names) {
    struct parsed *p = parse("DEALLOCATE \"A b\"");
    cr_expect_str_eq(p->name, "A b");
    parsed_destroy(p);
    p = parse("DEALLOCATE ALL");
    cr_expect_null(p->name);
    parsed_destroy(p);
    parsed_destroy(NULL);
}

// Every statement that a mapper sends is a read; which of them are lookups is in the tables above.
Test(parse, mappers_statements_are_reads) {
    for (size_t i = 0; i < n_statements; i++) {
        struct parsed *p = parse(statements[i]);
        cr_expect_eq(p->kind, STATEMENT_READ, "%s: %d", statements[i], p->kind);
        cr_expect(p->n_relations > 0, "%s", statements[i]);
        parsed_destroy(p);
    }
}

Test(parse, moving_times) {
    cr_expect(text_is_moving_time("now", 3));
    cr_expect(text_is_moving_time(" NOW ", 5));
    cr_expect(text_is_moving_time("today 05:00", 11));
    cr_expect(text_is_moving_time("05:00yesterday", 14));
    cr_expect(!text_is_moving_time("nowhere", 7));
    cr_expect(!text_is_moving_time("now", 2));
    cr_expect(!text_is_moving_time("", 0));
}

// ---- limits

Test(parse, text_length) {
    const char *text = "SELECT a FROM t WHERE id = $1";
    struct parsed *p = parse_statement(text, strlen(text), MAX_DEPTH);
    cr_expect_eq(p->reason, REASON_NONE);
    parsed_destroy(p);
    p = parse_statement(text, strlen(text) - 1, MAX_DEPTH);
    cr_expect_eq(p->kind, STATEMENT_OTHER);
    cr_expect_eq(p->reason, REASON_TEXT_TOO_LONG);
    parsed_destroy(p);
    p = parse_statement(text, SIZE_MAX, MAX_DEPTH);
    cr_expect_eq(p->reason, REASON_NONE);
    parsed_destroy(p);
}

static enum reason reason_of(const char *text, int max_depth) {
    struct parsed *p = parse_statement(text, MAX_TEXT, max_depth);
    enum reason r = p->reason;
    parsed_destroy(p);
    return r;
}

Test(parse, nesting) {
    cr_expect_eq(reason_of("SELECT a FROM t WHERE ((id = $1))", 2), REASON_NONE);
    cr_expect_eq(reason_of("SELECT a FROM t WHERE (((id = $1)))", 2), REASON_TEXT_TOO_LONG);
    cr_expect_eq(reason_of("SELECT a FROM t WHERE (id = $1)", 0), REASON_TEXT_TOO_LONG);
    cr_expect_eq(reason_of("SELECT a FROM t WHERE (id = $1)", -1), REASON_TEXT_TOO_LONG);
    cr_expect_eq(reason_of("SELECT CASE WHEN a THEN CASE WHEN b THEN 1 END END FROM t WHERE id = $1", 2),
                 REASON_NONE);
    cr_expect_eq(reason_of("SELECT CASE WHEN a THEN CASE WHEN b THEN 1 END END FROM t WHERE id = $1", 1),
                 REASON_TEXT_TOO_LONG);
    cr_expect_eq(reason_of("SELECT CASE WHEN a THEN 1 END, CASE WHEN a THEN 1 END FROM t WHERE id = $1", 1),
                 REASON_NONE);
    cr_expect_eq(reason_of("SELECT (a), (b), t.end FROM t WHERE (id = $1) AND (c)", 1), REASON_NONE);
}

// head, unit n times, tail: about 64 kB. Returns its kind.
static enum statement_kind run_hostile(const char *head, const char *unit, const char *tail, size_t size,
                                       enum reason *why) {
    struct buf b = buf_make(MAX_TEXT * 2);
    buf_put_text(&b, head);
    while (b.len + strlen(unit) + strlen(tail) < size)
        buf_put_text(&b, unit);
    buf_put_str(&b, tail);
    struct parsed *p = parse((char *)b.data);
    enum statement_kind kind = p->kind;
    *why = p->reason;
    parsed_destroy(p);
    buf_free(&b);
    return kind;
}

static const struct {
    const char *head, *unit, *tail;
    bool nests;
} hostile[] = {
    {"SELECT ", "(", "1", true},
    {"SELECT ", "[", "1", true},
    {"SELECT ", "(", "", true},
    {"", "(", "", true},
    {"SELECT ", ")", "1", true},
    {"SELECT ", "a+", "a", true},
    {"SELECT ", "a||", "a", true},
    {"SELECT ", "- ", "1", true},
    {"SELECT ", "- ", "a", true},
    {"SELECT ", "~", "a", true},
    {"SELECT ", "@ ", "a", true},
    {"SELECT ", "NOT ", "a", true},
    {"SELECT ", "NOT a = ", "b", true},
    {"SELECT ", "a BETWEEN b AND NOT ", "b", true},
    {"SELECT a", "::int", "", true},
    {"SELECT a", " COLLATE x", "", true},
    {"SELECT a", " AT TIME ZONE x", "", true},
    {"SELECT a", " ISNULL", "", true},
    {"SELECT a", " IS NOT NULL", "", true},
    {"SELECT a", " IN (1, 2)", "", true},
    {"SELECT a", " = ANY (b)", "", true},
    {"SELECT ", "CASE WHEN a THEN ", "1", true},
    {"SELECT ", "CASE WHEN t.end AND a THEN ", "1", true},
    {"SELECT ", "CASE a WHEN b, ", "1", true},
    {"SELECT 1", " UNION SELECT 1, 2", "", true},
    {"SELECT 1", " EXCEPT ALL SELECT 1", "", true},
    {"SELECT * FROM a", " JOIN b ON x AND y", "", true},
    {"SELECT * FROM a", " NATURAL JOIN b", "", true},
    {"SELECT * FROM ", "a JOIN ", "a", true},
    {"SELECT ", "f(a, ", "1", true},
    {"SELECT ", "f(a AND ", "1", true},
    {"SELECT ", "ARRAY[", "1", true},
    {"SELECT * FROM ", "(SELECT * FROM ", "a", true},
    {"SELECT ", "(SELECT ", "1", true},
    {"WITH a AS (", "WITH a AS (", "SELECT 1", true},
    {"", "create function f() returns int set a to b,c begin atomic ", "", true},
    {"SELECT a", "[1]", "", true},
    {"SELECT a", ".b", "", true},
    {"SELECT ", "1,", "1", false},
    {"SELECT ", "-1,", "1", false},
    {"SELECT ", "(a+1),", "1", false},
    {"SELECT ", "a AND ", "a", false},
    {"SELECT ", "a OR ", "a", false},
    {"SELECT ", "(a = 1 AND b = 2) OR ", "a", false},
    {"SELECT ", "a = 1 OR NOT ", "a", false},
    {"SELECT a FROM t WHERE id IN (", "$1,", "1)", false},
    {"SELECT ", "x BETWEEN 1 AND 2 AND ", "1", false},
    {"SELECT ", "CASE WHEN a THEN 1 END, ", "1", false},
    {"SELECT a FROM ", "t,", "t", false},
    {"INSERT INTO t VALUES (1)", ", (-1, f(2), 'x')", "", false},
    {"SELECT '", "''", "'", false},
    {"SELECT ", "/*", "", false},
    {"SELECT 1 ", "/**/", "", false},
    {"SELECT 1", ";", "", false},
};

Test(parse, hostile_texts) {
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        enum reason why;
        run_hostile(hostile[i].head, hostile[i].unit, hostile[i].tail, MAX_TEXT, &why);
        if (hostile[i].nests)
            cr_expect(why == REASON_TEXT_TOO_LONG || why == REASON_UNPARSABLE, "%s: %s", hostile[i].unit,
                      reason_name(why));
        else
            cr_expect_neq(why, REASON_TEXT_TOO_LONG, "%s", hostile[i].unit);
    }
}

// What is just not too deep is parsed, and does not hurt either.
Test(parse, hostile_texts_of_every_size) {
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        enum reason why;
        for (size_t size = 64; size < 20000; size += size / 4)
            run_hostile(hostile[i].head, hostile[i].unit, hostile[i].tail, size, &why);
    }
}

// A list too long to be whole must not look whole.
Test(parse, long_lists) {
    struct buf b = buf_make(MAX_TEXT);
    char name[16];
    buf_put_text(&b, "SELECT a");
    for (int i = 0; i < 2000; i++) {
        snprintf(name, sizeof name, ",f%d()", i);
        buf_put_text(&b, name);
    }
    buf_put_u8(&b, 0);
    struct parsed *p = parse((char *)b.data);
    cr_expect_eq(p->kind, STATEMENT_OTHER);
    cr_expect_eq(p->reason, REASON_CONSTRUCT);
    parsed_destroy(p);
    buf_free(&b);
}

// ---- what may fail without a row

static const struct {
    const char *text;
    enum risk untyped, int4, varchar; // of $1, by its declared type
} risky[] = {
    {"SELECT a FROM t WHERE n = $1", RISK_NONE, RISK_NONE, RISK_NONE},
    {"SELECT a FROM t WHERE n = $1::int", RISK_NONE, RISK_NONE, RISK_EMPTY},
    {"SELECT a FROM t WHERE n = $1::int8", RISK_NONE, RISK_NONE, RISK_EMPTY},
    {"SELECT a FROM t WHERE n = $1::int2", RISK_NONE, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE n = $1::text", RISK_NONE, RISK_NONE, RISK_NONE},
    {"SELECT a FROM t WHERE n = $1::text::int", RISK_EMPTY, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE n = 10 / $1", RISK_EMPTY, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE n = abs($1)", RISK_EMPTY, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE lower(n) = lower($1)", RISK_NONE, RISK_NONE, RISK_NONE},
    {"SELECT a FROM t WHERE n = ANY (ARRAY[$1]::int2[])", RISK_NONE, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE n = ANY ($1::int[])", RISK_NONE, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE (n, m) = ($1::text::int, 5)", RISK_EMPTY, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE (n = $1::text::int OR n = 1)", RISK_ALWAYS, RISK_ALWAYS, RISK_ALWAYS},
    {"SELECT count(*) FROM t WHERE n = $1::text::int", RISK_ALWAYS, RISK_ALWAYS, RISK_ALWAYS},
    {"SELECT count(*) FROM t WHERE n = $1", RISK_NONE, RISK_NONE, RISK_NONE},
    {"SELECT a FROM t WHERE m = $2 AND n = $1 AND x ~ $2", RISK_NONE, RISK_NONE, RISK_NONE},
    {"SELECT a FROM t WHERE m = $2 AND x ~ $1", RISK_EMPTY, RISK_EMPTY, RISK_EMPTY},
    {"SELECT a FROM t WHERE m IN (SELECT m FROM s WHERE n = $1::text::int)", RISK_ALWAYS, RISK_ALWAYS,
     RISK_ALWAYS},
};

Test(parse, what_may_fail_without_a_row) {
    for (size_t i = 0; i < sizeof risky / sizeof *risky; i++) {
        struct parsed *p = parse_statement(risky[i].text, 1000, 100);
        cr_assert_eq(p->reason, REASON_NONE, "%s", risky[i].text);
        cr_expect_eq(risk_of_param(p, 1, 0), risky[i].untyped, "%s", risky[i].text);
        cr_expect_eq(risk_of_param(p, 1, 23), risky[i].int4, "%s, int4", risky[i].text);
        cr_expect_eq(risk_of_param(p, 1, 1043), risky[i].varchar, "%s, varchar", risky[i].text);
        parsed_destroy(p);
    }
}
