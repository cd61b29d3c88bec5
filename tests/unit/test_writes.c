// SPDX-License-Identifier: PostgreSQL
//
// Writes: which tables a statement writes to, and what a database remembers of that and for how long. Plain
// calls and tables of texts.
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/trust/vet.h"
#include "batching/trust/writes.h"
#include "batching/statement/parse.h"
#include "batching/statement/parse_write.h"
#include "batching/statement/parsed.h"
#include "batching/trust/write_set.h"
#include "tests/unit/bytes.h"

static uint64_t table(const char *name) {
    return write_table(text_slice(name));
}

// ---- databases

Test(writes, a_database_goes_by_its_name) {
    struct database *table_of = NULL;
    struct database *a = database_for(&table_of, BYTES("user\0alice\0database\0shop\0"));
    struct database *b = database_for(&table_of, BYTES("database\0shop\0user\0bob\0options\0-c x=y\0"));
    struct database *c = database_for(&table_of, BYTES("user\0shop\0"));
    struct database *d = database_for(&table_of, BYTES("user\0shop\0database\0\0"));
    struct database *e = database_for(&table_of, BYTES("user\0alice\0"));
    cr_assert(a && a == b && a == c && a == d && e != a && a->refs == 4);
    database_unref(&table_of, a);
    database_unref(&table_of, b);
    database_unref(&table_of, c);
    database_unref(&table_of, e);
    cr_assert_eq(d, database_for(&table_of, BYTES("user\0shop\0")));
    database_unref(&table_of, d);
    database_unref(&table_of, d);
    database_unref(&table_of, NULL);
    cr_assert_null(table_of);
}

#define TEN  "0123456789"
#define LONG TEN TEN TEN TEN TEN TEN "012"

Test(writes, a_database_goes_by_what_the_server_leaves_of_its_name) {
    struct database *table_of = NULL;
    struct database *a = database_for(&table_of, BYTES("user\0alice\0database\0" LONG "\0"));
    struct database *b =
        database_for(&table_of, BYTES("user\0alice\0database\0other\0database\0" LONG "3\0"));
    struct database *c = database_for(&table_of, BYTES("user\0" LONG "xy\0database\0\0"));
    cr_assert(a && a == b && a == c);
    for (int i = 0; i < 3; i++)
        database_unref(&table_of, a);
    cr_assert_null(table_of);
}

Test(writes, a_startup_packet_that_is_cut_off_names_what_it_names) {
    struct database *table_of = NULL;
    struct database *a = database_for(&table_of, BYTES("user\0alice\0database\0sh"));
    struct database *b = database_for(&table_of, BYTES("user\0alice\0database"));
    struct database *c = database_for(&table_of, BYTES("user\0alice\0"));
    struct database *none = database_for(&table_of, (struct slice){0});
    cr_assert(a && a == b && a == c && none && none != a);
    for (int i = 0; i < 3; i++)
        database_unref(&table_of, a);
    database_unref(&table_of, none);
}

static struct write_set set_of(const char *first, const char *second) {
    uint64_t *tables = malloc(2 * sizeof *tables);
    cr_assert_not_null(tables);
    tables[0] = table(first);
    tables[1] = table(second);
    return write_set_make(tables, 2);
}

Test(writes, a_write_changes_what_it_is_a_writer_of) {
    struct database d = {0};
    struct write_set set = set_of("books", "authors"), none = {0}, all = {.all = true};
    database_note(&d, table("books"));
    uint64_t seq = d.seq;
    cr_assert(!database_has_changed(&d, seq, &set) && !database_has_changed(&d, seq, &all));
    database_note(&d, table("tags"));
    cr_assert(!database_has_changed(&d, seq, &set) && database_has_changed(&d, seq, &all));
    database_note(&d, table("authors"));
    cr_assert(database_has_changed(&d, seq, &set) && !database_has_changed(&d, seq, &none));
    cr_assert(!database_has_changed(&d, d.seq, &set));
    database_note(&d, WRITES_ALL);
    cr_assert(database_has_changed(&d, d.seq - 1, &set) && database_has_changed(&d, d.seq - 1, &none));
    write_set_free(&set);
    cr_assert(set.all && !set.tables);
}

Test(writes, what_was_forgotten_counts_as_changed) {
    struct database d = {0};
    struct write_set set = set_of("books", "authors");
    for (unsigned i = 0; i < WRITES_LOG; i++)
        database_note(&d, table("tags"));
    cr_assert(!database_has_changed(&d, 0, &set));
    database_note(&d, table("tags"));
    cr_assert(database_has_changed(&d, 0, &set) && !database_has_changed(&d, 1, &set));
    write_set_free(&set);
}

Test(writes, a_set_is_sorted_and_has_no_table_twice) {
    struct write_set set = set_of("books", "books"), copy = write_set_copy(&set);
    cr_assert(set.n == 1 && copy.n == 1 && copy.tables != set.tables && copy.tables[0] == set.tables[0]);
    write_set_free(&set);
    write_set_free(&copy);
    set = set_of("a", "b");
    cr_assert(set.n == 2 && set.tables[0] < set.tables[1]);
    write_set_free(&set);
    copy = write_set_copy(&set);
    cr_assert(copy.all && !copy.tables);
}

Test(writes, long_names_are_one_however_they_are_cut) {
    char name[101], same[64];
    memset(name, 'x', 100);
    name[100] = 0;
    memcpy(same, name, 63);
    same[63] = 0;
    cr_assert_eq(table(name), table(same));
    cr_assert_neq(table("books"), table("book"));
}

// ---- statements

// The tables that the statement was noted for, or "any"; and that its end notes the same.
static const char *written(const struct parsed *p) {
    static char text[400];
    static const char *const names[] = {"t", "u", "Odd \"one\"", "s"};
    struct database d = {0};
    struct pending_writes w = {0};
    writes_sent(&d, &w, p);
    uint64_t n = d.seq, first = d.last[0];
    writes_ended(&d, &w);
    cr_assert(d.seq == 2 * n && d.last[n] == first && !w.all && !w.n);
    strcpy(text, first == WRITES_ALL ? "any" : "");
    for (uint64_t i = 0; i < n && first != WRITES_ALL; i++) {
        const char *name = "?";
        for (size_t k = 0; k < sizeof names / sizeof *names; k++)
            name = d.last[i] == table(names[k]) ? names[k] : name;
        strcat(strcat(text, *text ? " " : ""), name);
    }
    return text;
}

static void check_write(const char *sql, const char *expected) {
    char *exact = (char *)exact_copy(sql, strlen(sql));
    struct parsed *p = parse_write(exact, strlen(sql));
    cr_assert(p && p->kind == STATEMENT_WRITE);
    const char *tables = written(p);
    cr_expect_str_eq(tables, expected, "%s: %s", sql, tables);
    parsed_destroy(p);
    free(exact);
}

static enum reason reason_of(const char *sql) {
    struct parsed *p = parse_write(sql, strlen(sql));
    enum reason why = p->reason;
    parsed_destroy(p);
    return why;
}

Test(writes, one_that_locks_what_it_reads) {
    cr_assert_eq(reason_of("INSERT INTO t SELECT a FROM u FOR UPDATE"), REASON_LOCKING);
    cr_assert_eq(reason_of("UPDATE t SET a = 1 WHERE id IN (SELECT id FROM t FOR NO KEY UPDATE SKIP LOCKED)"),
                 REASON_LOCKING);
    cr_assert_eq(reason_of("DELETE FROM t USING (SELECT id FROM u for share) x"), REASON_LOCKING);
    cr_assert_eq(reason_of("INSERT INTO t VALUES (1) ON CONFLICT (id) DO UPDATE SET a = 2"),
                 REASON_NOT_SELECT);
    cr_assert_eq(reason_of("UPDATE t SET a = substring('abc' FROM 1 FOR 2)"), REASON_NOT_SELECT);
}

Test(writes, what_goes_back_is_noted_and_still_pending) {
    struct database d = {0};
    struct pending_writes w = {.n = 1, .tables = {table("t")}};
    struct write_set t = {.n = 1, .tables = (uint64_t[]){table("t")}};
    writes_returned(&d, &w);
    cr_assert(database_has_changed(&d, 0, &t) && w.n == 1);
    uint64_t seq = d.seq;
    writes_ended(&d, &w);
    cr_assert(database_has_changed(&d, seq, &t) && !w.n);
}

Test(writes, the_table_of_a_plain_write) {
    check_write("INSERT INTO t (a, b) VALUES ($1, $2) RETURNING id", "t");
    check_write("insert into T values (1, 'x'), (2, now()), (3, nextval('s'))", "t");
    check_write("INSERT INTO t AS x (a) VALUES ($1) ON CONFLICT (a) DO UPDATE SET a = EXCLUDED.a", "t");
    check_write("INSERT INTO public.t DEFAULT VALUES;", "t");
    check_write("INSERT INTO \"public\".\"Odd \"\"one\"\"\" SELECT lower(a) FROM v", "Odd \"one\"");
    check_write("INSERT INTO t(a) SELECT a FROM u WHERE a IN (1, 2) FOR UPDATE", "t");
    check_write("/* page=1 */ UPDATE ONLY t * SET a = COALESCE($1, a), (b, c) = (1, 2) WHERE id = $2", "t");
    check_write("UPDATE t SET a = v.a FROM (VALUES (1, 2)) AS v (id, a) WHERE t.id = v.id", "t");
    check_write("UPDATE t SET a = pg_catalog.lower(b), c = CAST($1 AS varchar(10))", "t");
    check_write("DELETE FROM ONLY s.t USING u WHERE t.id = u.id AND EXISTS (SELECT 1 FROM v)", "t");
    check_write("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN UPDATE SET a = 1 "
                "WHEN MATCHED THEN DELETE WHEN NOT MATCHED THEN INSERT (a) VALUES (u.a)",
                "t");
}

Test(writes, a_write_that_may_reach_further_writes_to_any) {
    static const char *const texts[] = {
        "INSERT INTO t VALUES (f(1))",
        "INSERT INTO t VALUES (\"lower\" ( 1 ), \"F\"(2))",
        "INSERT INTO t VALUES (public.lower('a'))",
        "UPDATE t SET a = x.public.lower('a')",
        "INSERT INTO t WITH x AS (DELETE FROM u RETURNING *) SELECT * FROM x",
        "INSERT INTO t WITH x AS MATERIALIZED (UPDATE u SET a = 1 RETURNING *) SELECT * FROM x",
        "UPDATE t SET a = 1; DELETE FROM u",
        "INSERT INTO other.public.t VALUES (1)",
        "INSERT INTO U&\"\\0074\" VALUES (1)",
        "INSERT INTO t\xc3\xa4 VALUES (1)",
        "INSERT INTO \"t\xc3\xa4\" VALUES (1)",
        "INSERT INTO \"\" VALUES (1)",
        "INSERT INTO t VALUES ('open",
        "INSERT t VALUES (1)",
        "DELETE t",
        "UPDATE",
        "UPDATE 1",
        "DELETE FROM ONLY (t)",
        "COPY t FROM STDIN",
        "WITH x AS (SELECT 1) DELETE FROM t",
        "",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        check_write(texts[i], "any");
}

Test(writes, a_long_write_is_not_read) {
    struct buf b = buf_make(100000);
    buf_put_text(&b, "INSERT INTO t VALUES ('");
    while (b.len < 16382)
        buf_put_u8(&b, 'x');
    buf_put_text(&b, "')");
    struct parsed *p = parse_write((const char *)b.data, b.len);
    cr_assert_str_eq(written(p), "t");
    parsed_destroy(p);
    buf_put_u8(&b, ' ');
    p = parse_write((const char *)b.data, b.len);
    cr_assert_str_eq(written(p), "any");
    parsed_destroy(p);
    buf_free(&b);
}

static void check_parsed(const char *sql, const char *expected) {
    struct parsed *p = parse_statement(sql, 10000, 50);
    const char *tables = written(p);
    cr_expect_str_eq(tables, expected, "%s: %s", sql, tables);
    parsed_destroy(p);
}

Test(writes, all_tables_of_a_statement_that_was_parsed) {
    check_parsed("WITH x AS (DELETE FROM t RETURNING id) INSERT INTO u SELECT id FROM x, s", "u ? s t");
    check_parsed("WITH x AS (DELETE FROM t RETURNING f(id)) SELECT * FROM x", "any");
    check_parsed("COPY t FROM STDIN", "t");
    check_parsed("COPY (SELECT f(1)) TO STDOUT", "any");
    check_parsed("MERGE INTO t USING u ON t.id = u.id WHEN MATCHED THEN DELETE", "t u");
    check_parsed("DELETE FROM t\xc3\xa4", "any");
    check_parsed("DELETE FROM \"t\n\"", "any");
    check_parsed("DELETE FROM a, 1", "any");
    check_parsed("CREATE TABLE t (a int)", "any");
    check_parsed("DO 'BEGIN END'", "any");
    cr_assert_str_eq(written(NULL), "any");
}

Test(writes, many_tables_of_one_transaction_are_all) {
    struct database d = {0};
    struct pending_writes w = {0};
    char sql[40];
    for (int i = 0; i <= WRITES_PENDING; i++) {
        for (int twice = 0; twice < 2; twice++) {
            snprintf(sql, sizeof sql, "DELETE FROM t%d", i);
            struct parsed *p = parse_write(sql, strlen(sql));
            writes_sent(&d, &w, p);
            parsed_destroy(p);
        }
        cr_assert_eq(w.all, i == WRITES_PENDING);
    }
    cr_assert_eq(d.seq, 2 * (WRITES_PENDING + 1));
    writes_ended(&d, &w);
    cr_assert_eq(d.seq, 2 * (WRITES_PENDING + 1) + 1);
    cr_assert_eq(d.last[d.seq - 1], WRITES_ALL);
    writes_ended(&d, &w);
    cr_assert_eq(d.seq, 2 * (WRITES_PENDING + 1) + 1);
}
