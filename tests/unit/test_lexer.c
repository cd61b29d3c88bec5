// SPDX-License-Identifier: PostgreSQL
//
// The lexer and the shapes of simple-protocol texts: tables, every prefix of every sample, and libpg_query's
// scanner as the other opinion.
#include <criterion/criterion.h>
#include <pg_query.h>
#include <pg_query/pg_query.pb-c.h>
#include <stdlib.h>
#include <string.h>

#include "batching/statement/lexer.h"
#include "tests/unit/statements.h"

// Texts that are hard to lex. Those without a lexical error are compared with libpg_query too.
static const char *const samples[] = {
    "",
    "  \t\r\n\f",
    "a",
    "$1",
    "a$1$b",
    "_x1 \xc3\xa4\xff_9",
    "U&\"d\\0061\" u&\"x\"\"y\"",
    "U&'d\\0061t' u&'a''b'",
    "\"a\"\"b\" \"x\ny\"",
    "'a''b' '' ''''",
    "'back\\slash'",
    "E'a\\'b' e'\\\\' E'x''y'",
    "B'01' x'1F' b'0''1'",
    "$$a$b$$ $tag$ $x$ $$ $tagg$ $tag$",
    "$\xc3\xa4$x$\xc3\xa4$",
    "1 1.5 .5 1. 1e5 1.5e-10 1.e+3 .5E3",
    "1..10",
    "1.5.6",
    "a.b.c ..",
    "a::int b:=c d:e f => g",
    "+ - * / < > = <= >= <> != ~~* !~ || @> <@ -> ->> #>> ?| && |/ % ^",
    "a*/**/b",
    "a*/*x*/b",
    "a<--x\nb",
    "1*-1 1=-1 1<>-1 a@-b a?-b a=+-b",
    "a+--c\n1",
    "/* a /* b */ c */ d",
    "-- x\r y\n z",
    "/**/",
    "a/b",
    "(a[1],b);",
    "'a'\n'b'",
    "E'a'\n'\\'b'",
    "\"a\"\n\"b\"",
    "$1,$2)$3",
    "a`b`",
    "1-1",
    "1--1",
    "- -1",
    "x'1'y",
};

// Texts with a lexical error somewhere.
static const char *const broken[] = {
    "'a",       "\"a",    "\"\"",    "$$a",
    "$a$b",     "$a",     "$ 1",     "/*",
    "/* /* */", "E'a\\'", "E'\\",    "1e",
    "1e+",      "123abc", "1.5x",    "1x",
    "0x1F",     "1_000",  "$1a",     "\\",
    "{",        "\x01",   "'a'\n'b", "U&\"",
    "B'",       "}",      "1.5e5f",  "+++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++*",
};

static struct token nth(const char *text, int n) {
    struct lexer lx = {text, strlen(text), 0};
    struct token t = lexer_next(&lx);
    for (; n > 0 && t.type != TOKEN_END && t.type != TOKEN_ERROR; n--)
        t = lexer_next(&lx);
    return t;
}

// The n-th token of a text, from 0.
static const struct {
    const char *text;
    int n;
    enum token_type type;
    const char *bytes;
} tokens[] = {
    {"", 0, TOKEN_END, ""},
    {"  foo$1 x", 0, TOKEN_IDENT, "foo$1"},
    {"\"a\"\"b\"c", 0, TOKEN_QUOTED, "\"a\"\"b\""},
    {"U&\"a\"", 0, TOKEN_QUOTED, "U&\"a\""},
    {"U&x", 0, TOKEN_IDENT, "U"},
    {"'it''s' x", 0, TOKEN_STRING, "'it''s'"},
    {"''", 0, TOKEN_STRING, "''"},
    {"'a\\b'", 0, TOKEN_STRING_OTHER, "'a\\b'"},
    {"'a\\'b'", 0, TOKEN_STRING_OTHER, "'a\\'"},
    {"E'a\\'b' c", 0, TOKEN_STRING_OTHER, "E'a\\'b'"},
    {"n'a'", 0, TOKEN_STRING_OTHER, "n'a'"},
    {"'a'\n'b' c", 0, TOKEN_STRING_OTHER, "'a'\n'b'"},
    // libpg_query makes tokens of comments and so sees two strings here; the server sees one.
    {"'a' -- c\n -- d\n\n 'b' 'c'", 0, TOKEN_STRING_OTHER, "'a' -- c\n -- d\n\n 'b'"},
    {"'a' 'b'", 0, TOKEN_STRING, "'a'"},
    {"'a' /*\n*/ 'b'", 1, TOKEN_STRING, "'b'"},
    {"$x$a$y$b$x$c", 0, TOKEN_STRING_OTHER, "$x$a$y$b$x$"},
    {"$$a$$", 0, TOKEN_STRING_OTHER, "$$a$$"},
    {"a$$b", 0, TOKEN_IDENT, "a$$b"},
    {"$12x", 0, TOKEN_ERROR, "$12x"},
    {"$12,", 0, TOKEN_PARAM, "$12"},
    {"12", 0, TOKEN_INTEGER, "12"},
    {"1.5e10", 0, TOKEN_NUMBER, "1.5e10"},
    {".5", 0, TOKEN_NUMBER, ".5"},
    {"1..10", 0, TOKEN_INTEGER, "1"},
    {"1..10", 1, TOKEN_OPERATOR, ".."},
    {"1..10", 2, TOKEN_INTEGER, "10"},
    {"1e", 0, TOKEN_ERROR, "1e"},
    {"123abc", 0, TOKEN_ERROR, "123abc"},
    {"a*/*c*/b", 1, TOKEN_OPERATOR, "*"},
    {"a=-1", 1, TOKEN_OPERATOR, "="},
    {"a=-1", 2, TOKEN_OPERATOR, "-"},
    {"a@-1", 1, TOKEN_OPERATOR, "@-"},
    {"a!=-1", 1, TOKEN_OPERATOR, "!=-"},
    {"a::b", 1, TOKEN_OPERATOR, "::"},
    {"a:=b", 1, TOKEN_OPERATOR, ":="},
    {"a:b", 1, TOKEN_COLON, ":"},
    {"a,b", 1, TOKEN_COMMA, ","},
    {"a;b", 1, TOKEN_SEMICOLON, ";"},
    {"a.b", 1, TOKEN_DOT, "."},
    {"a[1]", 1, TOKEN_OPEN, "["},
    {"a)", 1, TOKEN_CLOSE, ")"},
    {"/* /* */ */ x", 0, TOKEN_IDENT, "x"},
    {"/* /* */ x", 0, TOKEN_ERROR, "/* /* */ x"},
    {"-- x\ny", 0, TOKEN_IDENT, "y"},
    {"-- x", 0, TOKEN_END, ""},
    {"'a", 0, TOKEN_ERROR, "'a"},
};

Test(lexer, token_types) {
    for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++) {
        struct token t = nth(tokens[i].text, tokens[i].n);
        cr_expect_eq(t.type, tokens[i].type, "%s: type %d", tokens[i].text, t.type);
        cr_expect(t.len == strlen(tokens[i].bytes) && !memcmp(tokens[i].text + t.at, tokens[i].bytes, t.len),
                  "%s: '%.*s'", tokens[i].text, (int)t.len, tokens[i].text + t.at);
    }
}

Test(lexer, words) {
    const char *text = "/* x */ -- y\n ((SeLeCt";
    struct token t = lexer_first_word(text, strlen(text));
    cr_expect(token_is(text, t, "select"));
    cr_expect(!token_is(text, t, "selec"));
    cr_expect(!token_is(text, t, "selects"));
    cr_expect(!token_is("\"select\"", nth("\"select\"", 0), "select"));
    cr_expect(!token_is("s\x05", nth("s\x05", 1), "s"));
    cr_expect_eq(lexer_first_word("(;", 2).type, TOKEN_SEMICOLON);
    cr_expect_eq(lexer_first_word("((", 2).type, TOKEN_END);
}

Test(lexer, broken_texts_end_in_an_error_and_stay_there) {
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct lexer lx = {broken[i], strlen(broken[i]), 0};
        struct token t;
        do {
            t = lexer_next(&lx);
        } while (t.type != TOKEN_END && t.type != TOKEN_ERROR);
        cr_expect_eq(t.type, TOKEN_ERROR, "%s", broken[i]);
        cr_expect_eq(lexer_next(&lx).type, TOKEN_END, "%s", broken[i]);
    }
}

// Every prefix in a block of memory of just its size, so that the sanitizer sees a read behind the end.
// Tokens do not overlap and only blanks and comments lie between them.
static void run_prefixes(const char *text) {
    struct buf out = buf_make(1 << 16);
    struct shape_text st;
    for (size_t len = 0; len <= strlen(text); len++) {
        char *copy = malloc(len ? len : 1);
        memcpy(copy, text, len);
        struct lexer lx = {copy, len, 0};
        size_t end = 0;
        for (;;) {
            struct token t = lexer_next(&lx);
            cr_assert(t.at >= end && t.at + t.len <= len, "%.*s", (int)len, text);
            end = t.at + t.len;
            if (t.type == TOKEN_END || t.type == TOKEN_ERROR)
                break;
            cr_assert(t.len > 0);
        }
        shape_text_scan(copy, len, &out, &st);
        lexer_first_word(copy, len);
        free(copy);
    }
    buf_free(&out);
}

Test(lexer, prefixes_stay_in_bounds) {
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        run_prefixes(samples[i]);
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++)
        run_prefixes(broken[i]);
    for (size_t i = 0; i < n_statements; i++)
        run_prefixes(statements[i]);
}

// libpg_query gives comments as tokens.
static size_t next_scanned(const PgQuery__ScanResult *scan, size_t at) {
    while (at < scan->n_tokens && (scan->tokens[at]->token == PG_QUERY__TOKEN__SQL_COMMENT ||
                                   scan->tokens[at]->token == PG_QUERY__TOKEN__C_COMMENT))
        at++;
    return at;
}

static void compare_with_scan(const char *text) {
    PgQueryScanResult r = pg_query_scan(text);
    struct lexer lx = {text, strlen(text), 0};
    cr_assert(!r.error, "%s: %s", text, r.error ? r.error->message : "");
    PgQuery__ScanResult *scan = pg_query__scan_result__unpack(NULL, r.pbuf.len, (const uint8_t *)r.pbuf.data);
    size_t at = 0;
    for (;;) {
        struct token t = lexer_next(&lx);
        at = next_scanned(scan, at);
        if (t.type == TOKEN_END || t.type == TOKEN_ERROR || at == scan->n_tokens) {
            cr_expect(t.type == TOKEN_END && at == scan->n_tokens, "%s: type %d, %zu of %zu", text, t.type,
                      at, scan->n_tokens);
            break;
        }
        // The scanner gives a wrong end for U&'…' and U&"…".
        bool unicode = scan->tokens[at]->token == PG_QUERY__TOKEN__UIDENT ||
                       scan->tokens[at]->token == PG_QUERY__TOKEN__USCONST;
        cr_expect((size_t)scan->tokens[at]->start == t.at &&
                      (unicode || (size_t)scan->tokens[at]->end == t.at + t.len),
                  "%s: %d-%d but %zu-%zu", text, scan->tokens[at]->start, scan->tokens[at]->end, t.at,
                  t.at + t.len);
        at++;
    }
    pg_query__scan_result__free_unpacked(scan, NULL);
    pg_query_free_scan_result(r);
}

Test(lexer, agrees_with_libpg_query) {
    for (size_t i = 0; i < n_statements; i++)
        compare_with_scan(statements[i]);
    for (size_t i = 0; i < sizeof samples / sizeof *samples; i++)
        compare_with_scan(samples[i]);
}

// ---- shapes

static const struct {
    const char *text;
    const char *shape;
    const char *values; // joined with |
} shapes[] = {
    {"SELECT a FROM t WHERE id = 5", "SELECT a FROM t WHERE id = $1", "5"},
    {"SELECT a FROM t WHERE id=5;", "SELECT a FROM t WHERE id=$1", "5"},
    {"SELECT a FROM t WHERE id=-5 ;  ", "SELECT a FROM t WHERE id=$1", "-5"},
    {"SELECT a FROM t WHERE id = - 5", "SELECT a FROM t WHERE id = - 5", ""},
    {"SELECT a FROM t WHERE id = + 5", "SELECT a FROM t WHERE id = + 5", ""},
    {"SELECT a FROM t WHERE id = - -5", "SELECT a FROM t WHERE id = - -5", ""},
    {"SELECT a FROM t WHERE id = -5::int8", "SELECT a FROM t WHERE id = -5::int8", ""},
    {"SELECT a FROM t WHERE id = 5::int8", "SELECT a FROM t WHERE id = $1::int8", "5"},
    {"SELECT a FROM t WHERE id = 1.5 AND b = -.5e3", "SELECT a FROM t WHERE id = $1 AND b = $2", "1.5|-.5e3"},
    {"SELECT a FROM t WHERE id = -1.5::int8", "SELECT a FROM t WHERE id = -1.5::int8", ""},
    {"SELECT a FROM t WHERE id = CAST(5 AS int8)", "SELECT a FROM t WHERE id = CAST($1 AS int8)", "5"},
    {"SELECT a FROM t WHERE id = cast('x' || b AS text)", "SELECT a FROM t WHERE id = cast($1 || b AS text)",
     "'x'"},
    {"SELECT a FROM t WHERE UPPER(n) = UPPER('x') AND lower('y') = m",
     "SELECT a FROM t WHERE UPPER(n) = UPPER($1) AND lower('y') = m", "'x'"},
    {"SELECT a FROM t WHERE x IN (lower('x'), upper('y'), trim('z'))",
     "SELECT a FROM t WHERE x IN (lower($1), upper($2), trim('z'))", "'x'|'y'"},
    {"SELECT lower('x') FROM t WHERE s.lower('y') = s.lower('z')",
     "SELECT lower('x') FROM t WHERE s.lower('y') = s.lower('z')", ""},
    {"SELECT a FROM t WHERE (x, y) = (1, 'b')", "SELECT a FROM t WHERE (x, y) = ($1, $2)", "1|'b'"},
    {"SELECT a FROM t WHERE (x, y) IN ((1, 'b'), (-2, 'c'))",
     "SELECT a FROM t WHERE (x, y) IN (($1, $2), ($3, $4))", "1|'b'|-2|'c'"},
    {"SELECT a FROM t WHERE x = (5)", "SELECT a FROM t WHERE x = ($1)", "5"},
    {"SELECT a FROM t WHERE x = -(5)", "SELECT a FROM t WHERE x = -(5)", ""},
    {"SELECT a FROM t WHERE x = f(5) AND y = (f(6))", "SELECT a FROM t WHERE x = f(5) AND y = (f(6))", ""},
    {"SELECT a FROM t WHERE x = (SELECT 5, 6)", "SELECT a FROM t WHERE x = (SELECT 5, 6)", ""},
    {"SELECT a FROM t WHERE (x, y) = (WITH z AS (SELECT 1, 2) SELECT 3, 4)",
     "SELECT a FROM t WHERE (x, y) = (WITH z AS (SELECT 1, 2) SELECT 3, 4)", ""},
    {"SELECT a FROM t LIMIT (5)", "SELECT a FROM t LIMIT (5)", ""},
    {"SELECT  a\n\tFROM t -- x\n WHERE id = 5", "SELECT a FROM t WHERE id = $1", "5"},
    {"/* x */ SELECT/**/a FROM t", "SELECT a FROM t", ""},
    {"SELECT a FROM t WHERE id = 5 /* trace='1' */", "SELECT a FROM t WHERE id = $1", "5"},
    {"SELECT a FROM t WHERE id = 5; -- trace", "SELECT a FROM t WHERE id = $1", "5"},
    {"/*+ SeqScan(t) */ SELECT a FROM t", "/*+ SeqScan(t) */ SELECT a FROM t", ""},
    {"SELECT a FROM t /* pgfold: off */ ;", "SELECT a FROM t /* pgfold: off */", ""},
    {"SELECT a FROM t; /* pgfold: off */", "SELECT a FROM t /* pgfold: off */", ""},
    {"SELECT a -- pgfold: off\nFROM t", "SELECT a -- pgfold: off\n FROM t", ""},
    {"SELECT a FROM t WHERE 1 = t.id", "SELECT a FROM t WHERE $1 = t.id", "1"},
    {"SELECT a FROM t WHERE (1 = t.id AND -2<x)", "SELECT a FROM t WHERE ($1 = t.id AND $2<x)", "1|-2"},
    {"SELECT a FROM t WHERE '5'::uuid = id", "SELECT a FROM t WHERE $1::uuid = id", "'5'"},
    {"SELECT a FROM t WHERE '5' :: int4=id AND 6::int8 <> b",
     "SELECT a FROM t WHERE $1 :: int4=id AND $2::int8 <> b", "'5'|6"},
    {"SELECT a FROM t WHERE '5'::pg_catalog.int4 = id", "SELECT a FROM t WHERE $1::pg_catalog.int4 = id",
     "'5'"},
    {"SELECT a FROM t WHERE '5'::\"My Type\" = id", "SELECT a FROM t WHERE $1::\"My Type\" = id", "'5'"},
    {"SELECT a FROM t WHERE '5'::double precision = id", "SELECT a FROM t WHERE $1::double precision = id",
     "'5'"},
    {"SELECT a FROM t WHERE '5'::timestamp (3) with time zone >= id",
     "SELECT a FROM t WHERE $1::timestamp (3) with time zone >= id", "'5'"},
    {"SELECT a FROM t WHERE '5'::character varying(20) = id AND 7 = b",
     "SELECT a FROM t WHERE $1::character varying(20) = id AND $2 = b", "'5'|7"},
    {"SELECT a FROM t WHERE 5::numeric(10,2) = id", "SELECT a FROM t WHERE $1::numeric(10,2) = id", "5"},
    {"SELECT a FROM t WHERE '{5}'::int[] = id AND '{}'::int[3][] = b",
     "SELECT a FROM t WHERE $1::int[] = id AND $2::int[3][] = b", "'{5}'|'{}'"},
    {"SELECT a FROM t WHERE '5'::text::int = id", "SELECT a FROM t WHERE $1::text::int = id", "'5'"},
    {"SELECT a FROM t WHERE ('5'::uuid) = id", "SELECT a FROM t WHERE ($1::uuid) = id", "'5'"},
    {"SELECT a FROM t WHERE (('5')::uuid) = id", "SELECT a FROM t WHERE (($1)::uuid) = id", "'5'"},
    {"SELECT a FROM t WHERE (5) = id AND (-6)::int8 = b",
     "SELECT a FROM t WHERE ($1) = id AND ($2)::int8 = b", "5|-6"},
    {"SELECT a FROM t WHERE ( '5'\n :: /* x */ uuid  ) = id", "SELECT a FROM t WHERE ( $1 :: uuid ) = id",
     "'5'"},
    {"SELECT a FROM t WHERE 5  ::int = id", "SELECT a FROM t WHERE $1 ::int = id", "5"},
    {"SELECT a FROM t WHERE'5'  ::int = id", "SELECT a FROM t WHERE $1 ::int = id", "'5'"},
    {"SELECT a FROM t WHERE '5'::/*+ x */uuid = id", "SELECT a FROM t WHERE $1:: /*+ x */ uuid = id", "'5'"},
    {"SELECT a FROM t WHERE -5::int8 = id", "SELECT a FROM t WHERE -5::int8 = id", ""},
    {"SELECT a FROM t WHERE (-5::int8) = id", "SELECT a FROM t WHERE (-5::int8) = id", ""},
    {"SELECT a FROM t WHERE '5'::uuid IN (id, b)", "SELECT a FROM t WHERE '5'::uuid IN (id, b)", ""},
    {"SELECT a FROM t WHERE '5'::bool AND b = 6", "SELECT a FROM t WHERE '5'::bool AND b = $1", "6"},
    {"SELECT a FROM t WHERE '5'::numeric(10,2) + 1 = id", "SELECT a FROM t WHERE '5'::numeric(10,2) + 1 = id",
     ""},
    {"SELECT a FROM t WHERE '5'::int4 BETWEEN a AND b", "SELECT a FROM t WHERE '5'::int4 BETWEEN a AND b",
     ""},
    {"SELECT a FROM t WHERE f('5'::uuid) = id AND ('5', 6) = (a, b)",
     "SELECT a FROM t WHERE f('5'::uuid) = id AND ('5', 6) = (a, b)", ""},
    {"SELECT a FROM t WHERE '5'::", "SELECT a FROM t WHERE '5'::", ""},
    {"SELECT a FROM t WHERE '5'::uuid) = id", "SELECT a FROM t WHERE '5'::uuid) = id", ""},
    {"SELECT a FROM t WHERE x::text = '5' AND '6'::text = '7'",
     "SELECT a FROM t WHERE x::text = $1 AND $2::text = $3", "'5'|'6'|'7'"},
    {"SELECT a FROM t WHERE n = 'it''s' LIMIT 1 OFFSET 0", "SELECT a FROM t WHERE n = $1 LIMIT $2 OFFSET $3",
     "'it''s'|1|0"},
    {"SELECT a FROM t WHERE id IN (1, -2,'3')", "SELECT a FROM t WHERE id IN ($1, $2,$3)", "1|-2|'3'"},
    {"SELECT a FROM t WHERE id in(1)", "SELECT a FROM t WHERE id in($1)", "1"},
    {"SELECT a FROM t WHERE id = ANY ('{1,2}')", "SELECT a FROM t WHERE id = ANY ($1)", "'{1,2}'"},
    {"SELECT a FROM t WHERE id = ANY (ARRAY[1,2])", "SELECT a FROM t WHERE id = ANY (ARRAY[$1,$2])", "1|2"},
    {"SELECT ARRAY[1,2], any (1)", "SELECT ARRAY[1,2], any (1)", ""},
    {"SELECT a FROM t WHERE id IN (f(1), 2::numeric(10))",
     "SELECT a FROM t WHERE id IN (f(1), $1::numeric(10))", "2"},
    {"SELECT a FROM t WHERE id IN (SELECT 1, 2 FROM u)", "SELECT a FROM t WHERE id IN (SELECT 1, 2 FROM u)",
     ""},
    {"SELECT a FROM t WHERE id IN (SELECT 1) AND b = ANY (SELECT '2'::text)",
     "SELECT a FROM t WHERE id IN (SELECT $1) AND b = ANY (SELECT $2::text)", "1|'2'"},
    {"SELECT a FROM t WHERE id IN (SELECT 1 FROM u) OR id = (SELECT 2) OR id IN (SELECT -3)",
     "SELECT a FROM t WHERE id IN (SELECT 1 FROM u) OR id = (SELECT 2) OR id IN (SELECT $1)", "-3"},
    {"SELECT a FROM t WHERE id IN ((SELECT 1)) AND b IN (1, (SELECT 2)) OR c IN (SELECT (3))",
     "SELECT a FROM t WHERE id IN ((SELECT 1)) AND b IN ($1, (SELECT 2)) OR c IN (SELECT (3))", "1"},
    {"SELECT a FROM t WHERE id IN (VALUES (1), (2))", "SELECT a FROM t WHERE id IN (VALUES (1), (2))", ""},
    {"SELECT 1, 'x', f(2) FROM t ORDER BY 1", "SELECT 1, 'x', f(2) FROM t ORDER BY 1", ""},
    {"SELECT a FROM t WHERE d = DATE '2020-01-01'", "SELECT a FROM t WHERE d = DATE '2020-01-01'", ""},
    {"SELECT a FROM t WHERE d = E'x'", "SELECT a FROM t WHERE d = E'x'", ""},
    {"SELECT a FROM t WHERE a='x'and b=1", "SELECT a FROM t WHERE a=$1 and b=$2", "'x'|1"},
    {"SELECT a FROM t WHERE'x'=a", "SELECT a FROM t WHERE $1=a", "'x'"},
    {"SELECT a FROM t LIMIT'5'", "SELECT a FROM t LIMIT $1", "'5'"},
    {"SELECT a FROM t LIMIT -5", "SELECT a FROM t LIMIT -5", ""},
    {"SELECT a FROM t WHERE j->'x' = 'y' AND k @> '{}'", "SELECT a FROM t WHERE j->'x' = $1 AND k @> '{}'",
     "'y'"},
    {"SELECT a FROM t WHERE a!=-5", "SELECT a FROM t WHERE a!=-5", ""},
    {"SELECT 1 AS one, a, 'x'::text AS b, -2 AS c, 3 d, f(4) AS e FROM t WHERE id = 5",
     "SELECT $1 AS one, a, $2::text AS b, $3 AS c, 3 d, f(4) AS e FROM t WHERE id = $4", "1|'x'|-2|5"},
    {"SELECT (SELECT 1 AS a, 2 AS b FROM u), 3::numeric(10, 2) as c FROM t, 4 AS x",
     "SELECT (SELECT $1 AS a, $2 AS b FROM u), $3::numeric(10, 2) as c FROM t, 4 AS x", "1|2|3"},
    {"SELECT -1::int8 AS a, 1 = b AS c, a IS DISTINCT FROM 2, 3 AS d FROM t",
     "SELECT -1::int8 AS a, 1 = b AS c, a IS DISTINCT FROM $1, $2 AS d FROM t", "2|3"},
    {"SELECT CASE WHEN a THEN 1 ELSE 2 END AS b, 3 + 4 AS c, INTERVAL '1 day' AS d FROM t GROUP BY 1, 2",
     "SELECT CASE WHEN a THEN 1 ELSE 2 END AS b, 3 + 4 AS c, INTERVAL '1 day' AS d FROM t GROUP BY 1, 2", ""},
    {"SELECT a FROM t WHERE a BETWEEN 1 AND 2 AND 3 = b",
     "SELECT a FROM t WHERE a BETWEEN $1 AND $2 AND $3 = b", "1|2|3"},
    {"SELECT a FROM t WHERE a NOT BETWEEN -1 AND'x'AND f(3)",
     "SELECT a FROM t WHERE a NOT BETWEEN $1 AND $2 AND f(3)", "-1|'x'"},
    {"SELECT a FROM t WHERE a BETWEEN b AND 2::int", "SELECT a FROM t WHERE a BETWEEN b AND $1::int", "2"},
    {"SELECT a FROM t WHERE a BETWEEN f(1) AND 2", "SELECT a FROM t WHERE a BETWEEN f(1) AND 2", ""},
    {"SELECT a FROM t WHERE a BETWEEN DATE '2020-01-01' AND 2",
     "SELECT a FROM t WHERE a BETWEEN DATE '2020-01-01' AND $1", "2"},
    {"SELECT between.a, 5 FROM t between WHERE t.between AND 2 > a",
     "SELECT between.a, 5 FROM t between WHERE t.between AND $1 > a", "2"},
    {"SELECT a FROM t WHERE a IS NOT DISTINCT FROM 1 AND b IS DISTINCT FROM 'x'",
     "SELECT a FROM t WHERE a IS NOT DISTINCT FROM $1 AND b IS DISTINCT FROM $2", "1|'x'"},
    {"SELECT EXTRACT(year FROM '2020-01-01'::date) FROM t",
     "SELECT EXTRACT(year FROM '2020-01-01'::date) FROM t", ""},
    {"SELECT s.in(5) FROM t", "SELECT s.in(5) FROM t", ""},
    {"UPDATE t SET a = 5 WHERE id = 3", "UPDATE t SET a = $1 WHERE id = $2", "5|3"},
    {"SET x = 5", "SET x = 5", ""},
    {"SET  x =  'y' ; ", "SET x = 'y'", ""},
    {"EXPLAIN SELECT a FROM t WHERE id = 5", "EXPLAIN SELECT a FROM t WHERE id = 5", ""},
    {"CREATE TABLE t (a int CHECK (a > 5))", "CREATE TABLE t (a int CHECK (a > 5))", ""},
    {"(SELECT a FROM t WHERE id = 5)", "(SELECT a FROM t WHERE id = $1)", "5"},
    {"SELECT set_config('a', 'b', false)", "SELECT set_config('a', 'b', false)", ""},
    {"", "", ""},
    {" ; ; -- x", "", ""},
    {"SELECT 1;;", "SELECT 1", ""},
};

static void put_values(struct buf *b, const char *text, const struct shape_text *st) {
    for (int i = 0; i < st->n_values; i++) {
        if (i)
            buf_put_u8(b, '|');
        buf_put(b, text + st->values[i].at, st->values[i].len);
    }
}

static bool buf_is(const struct buf *b, const char *s) {
    return b->len == strlen(s) && (b->len == 0 || !memcmp(b->data, s, b->len));
}

Test(shape_text, table) {
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct buf out = buf_make(1 << 16), values = buf_make(1 << 16);
        struct shape_text st;
        cr_expect_eq(shape_text_scan(shapes[i].text, strlen(shapes[i].text), &out, &st), SHAPE_OK, "%s",
                     shapes[i].text);
        cr_expect(buf_is(&out, shapes[i].shape), "%s: '%.*s'", shapes[i].text, (int)out.len,
                  (char *)out.data);
        put_values(&values, shapes[i].text, &st);
        cr_expect(buf_is(&values, shapes[i].values), "%s: '%.*s'", shapes[i].text, (int)values.len,
                  (char *)values.data);
        buf_free(&out);
        buf_free(&values);
    }
}

static enum shape_scan scan_only(const char *text, size_t limit) {
    struct buf out = buf_make(limit);
    struct shape_text st;
    enum shape_scan rc = shape_text_scan(text, strlen(text), &out, &st);
    buf_free(&out);
    return rc;
}

Test(shape_text, refusals) {
    cr_expect_eq(scan_only("SELECT 1; SELECT 2", 1000), SHAPE_MULTI);
    cr_expect_eq(scan_only("; SELECT 2", 1000), SHAPE_MULTI);
    cr_expect_eq(scan_only("SELECT $1", 1000), SHAPE_ERROR);
    cr_expect_eq(scan_only("SELECT 'a", 1000), SHAPE_ERROR);
    cr_expect_eq(scan_only("SELECT 'a\\b'", 1000), SHAPE_ERROR);
    cr_expect_eq(scan_only("SELECT N'a\\b'", 1000), SHAPE_ERROR);
    cr_expect_eq(scan_only("SELECT E'a\\b'", 1000), SHAPE_OK);
    cr_expect_eq(scan_only("SELECT 1 /*", 1000), SHAPE_ERROR);
    cr_expect_eq(scan_only("SELECT 1; /*", 1000), SHAPE_ERROR);
    cr_expect_eq(scan_only("SELECT abc FROM t", 10), SHAPE_TOO_MANY);
}

Test(shape_text, at_most_32_values) {
    char text[400] = "SELECT a FROM t WHERE id IN (1";
    for (int i = 1; i < SHAPE_MAX_VALUES; i++)
        strcat(text, ",1");
    size_t len = strlen(text);
    strcpy(text + len, ")");
    cr_expect_eq(scan_only(text, 1000), SHAPE_OK);
    strcpy(text + len, ",1)");
    cr_expect_eq(scan_only(text, 1000), SHAPE_TOO_MANY);
}

Test(shape_text, long_lists_are_joined) {
    static const char *const cases[][2] = {
        {"SELECT a FROM t WHERE id IN (1, 2,3 , -4,'5') AND b = 6",
         "SELECT a FROM t WHERE id IN ($1) AND b = $1"},
        {"SELECT a FROM t WHERE id IN (1) OR id IN (2, f(3), 4, 5)",
         "SELECT a FROM t WHERE id IN ($1) OR id IN ($1, f(3), $1)"},
        {"SELECT a FROM t WHERE id = ANY (ARRAY[1,\n2]) LIMIT 5",
         "SELECT a FROM t WHERE id = ANY (ARRAY[$1]) LIMIT $1"},
        {"SELECT a FROM t WHERE id IN (1, /* x */ 2)", "SELECT a FROM t WHERE id IN ($1)"},
        {"SELECT 1, 2 FROM t WHERE (a, b) IN ((1, 2), (3, 4))",
         "SELECT 1, 2 FROM t WHERE (a, b) IN (($1), ($1))"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf out = buf_make(1000);
        cr_expect_eq(shape_text_join(cases[i][0], strlen(cases[i][0]), &out), SHAPE_OK);
        cr_expect(buf_is(&out, cases[i][1]), "%.*s", (int)out.len, (char *)out.data);
        buf_free(&out);
    }
}

Test(shape_text, statement_len_leaves_the_tail_out) {
    static const char text[] = "SELECT a FROM t WHERE id = 5 ; /* x */";
    struct buf out = buf_make(1000);
    struct shape_text st;
    cr_expect_eq(shape_text_scan(text, strlen(text), &out, &st), SHAPE_OK);
    cr_expect_eq(st.statement_len, strlen("SELECT a FROM t WHERE id = 5"));
    cr_expect_eq(st.values[0].type, TOKEN_INTEGER);
    buf_free(&out);
}
