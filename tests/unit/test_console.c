// SPDX-License-Identifier: PostgreSQL
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "batching/session/engine.h"
#include "batching/show/command.h"
#include "batching/show/shows.h"
#include "batching/show/table.h"
#include "protocol/frame.h"
#include "tests/unit/fixture.h"

// ---- commands

Test(console, explain_takes_its_statement_as_it_is) {
    static const char text[] = "EXPLAIN SELECT ';' /* ; */ FROM t ; SHOW STATS";
    struct command c;
    size_t n = command_read((struct slice){(const uint8_t *)text, strlen(text)}, "V", &c);
    cr_expect_eq(n, strlen("EXPLAIN SELECT ';' /* ; */ FROM t ;"), "%zu", n);
    cr_expect(slice_is(c.statement, "SELECT ';' /* ; */ FROM t", strlen("SELECT ';' /* ; */ FROM t")), "%.*s",
              (int)c.statement.len, (const char *)c.statement.data);
    cr_expect_not(command_needs_admin(COMMAND_EXPLAIN));
}

static const struct {
    const char *text;
    enum command_kind kind;
    const char *key, *value; // NULL: not looked at
} commands[] = {
    {"", COMMAND_EMPTY, NULL, NULL},
    {" -- nothing\n /* at all */ ", COMMAND_EMPTY, NULL, NULL},
    {"show stats", COMMAND_SHOW, NULL, NULL},
    {"SHOW /* x */ STATS;", COMMAND_SHOW, NULL, NULL},
    {"SELECT pools", COMMAND_SHOW, NULL, NULL},
    {"SHOW server_version", COMMAND_PARAMETER, "server_version", "15.0"},
    {"SHOW TRANSACTION ISOLATION LEVEL", COMMAND_PARAMETER, "transaction_isolation", "read committed"},
    {"SHOW TIME ZONE", COMMAND_PARAMETER, "timezone", "UTC"},
    {"select version()", COMMAND_VALUE, "version", "V"},
    {"select pg_catalog.version()", COMMAND_VALUE, "version", "V"},
    {"SELECT 1", COMMAND_VALUE, "?column?", "1"},
    {"SELECT 2", COMMAND_UNKNOWN, NULL, NULL},
    {"SHOW", COMMAND_UNKNOWN, NULL, NULL},
    {"SHOW stats x", COMMAND_UNKNOWN, NULL, NULL},
    {"SHOW \"stats\"", COMMAND_UNKNOWN, NULL, NULL},
    {"BEGIN ISOLATION LEVEL SERIALIZABLE", COMMAND_BEGIN, NULL, NULL},
    {"START TRANSACTION", COMMAND_BEGIN, NULL, NULL},
    {"end", COMMAND_COMMIT, NULL, NULL},
    {"rollback", COMMAND_ROLLBACK, NULL, NULL},
    {"SET extra_float_digits = 3", COMMAND_NOTHING, NULL, NULL},
    {"DISCARD ALL", COMMAND_NOTHING, NULL, NULL},
    {"RESET ALL", COMMAND_NOTHING, NULL, NULL},
    {"SET a.b = c", COMMAND_SET, "a.b", "c"},
    {"set a.b TO 'it''s'", COMMAND_SET, "a.b", "it's"},
    {"set a.b = ''", COMMAND_SET, "a.b", ""},
    {"EXPLAIN SELECT ';' FROM t", COMMAND_EXPLAIN, NULL, NULL},
    {"explain\n/* x */ SELECT 1", COMMAND_EXPLAIN, NULL, NULL},
    {"EXPLAIN", COMMAND_UNKNOWN, NULL, NULL},
    {"EXPLAIN ;", COMMAND_UNKNOWN, NULL, NULL},
    {"explained", COMMAND_UNKNOWN, NULL, NULL},
    {"SET a.b", COMMAND_UNKNOWN, NULL, NULL},
    {"SET a.b = c d", COMMAND_UNKNOWN, NULL, NULL},
    {"reload", COMMAND_RELOAD, NULL, NULL},
    {"RELOAD now", COMMAND_UNKNOWN, NULL, NULL},
    {"pause folding", COMMAND_PAUSE, NULL, NULL},
    {"PAUSE", COMMAND_UNKNOWN, NULL, NULL},
    {"resume folding", COMMAND_RESUME, NULL, NULL},
    {"reset stats", COMMAND_RESET_STATS, NULL, NULL},
    {"KILL 12", COMMAND_KILL, NULL, NULL},
    {"kill_client 12", COMMAND_KILL, NULL, NULL},
    {"KILL 12x", COMMAND_UNKNOWN, NULL, NULL},
    {"KILL -1", COMMAND_UNKNOWN, NULL, NULL},
    {"SHUTDOWN", COMMAND_SHUTDOWN, NULL, NULL},
    {"'", COMMAND_UNKNOWN, NULL, NULL},
    {"SELECT * FROM pg_class", COMMAND_UNKNOWN, NULL, NULL},
    {"a b c d e f g h i j k l m n o p", COMMAND_UNKNOWN, NULL, NULL},
};

Test(command, is_understood) {
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        struct command c;
        size_t n = command_read(text_slice(commands[i].text), "V", &c);
        cr_expect_eq(n, strlen(commands[i].text), "%s", commands[i].text);
        cr_expect_eq(c.kind, commands[i].kind, "%s", commands[i].text);
        if (commands[i].key)
            cr_expect_str_eq(c.key, commands[i].key, "%s", commands[i].text);
        if (commands[i].value)
            cr_expect_str_eq(c.value, commands[i].value, "%s", commands[i].text);
        if (c.kind == COMMAND_UNKNOWN)
            cr_expect_not_null(c.tag, "%s", commands[i].text);
    }
}

Test(command, ends_at_its_semicolon) {
    struct command c;
    struct slice text = text_slice("SHOW a';'; RELOAD;x");
    cr_expect_eq(command_read(text, "", &c), 10);
    text = (struct slice){text.data + 10, text.len - 10};
    cr_expect_eq(command_read(text, "", &c), 8);
    cr_expect_eq(c.kind, COMMAND_RELOAD);
}

// Whatever else there will be is an admin's, until it is said to be harmless.
Test(command, that_changes_something_needs_an_admin) {
    for (int kind = COMMAND_EMPTY; kind <= COMMAND_UNKNOWN; kind++)
        cr_expect_eq(command_needs_admin((enum command_kind)kind),
                     kind >= COMMAND_RELOAD && kind != COMMAND_UNKNOWN);
}

static const struct {
    const char *pattern, *text;
    bool matches;
} likes[] = {
    {"", "", true},       {"", "a", false},     {"%", "", true},       {"%", "abc", true},
    {"a%", "abc", true},  {"%c", "abc", true},  {"%b%", "abc", true},  {"_", "a", true},
    {"_", "", false},     {"a_c", "abc", true}, {"a_c", "ac", false},  {"%a%a%", "aa", true},
    {"%ab", "aab", true}, {"a\\%", "a%", true}, {"a\\%", "ab", false}, {"%%%", "x", true},
    {"abc", "ab", false}, {"ab", "abc", false}, {"%_", "", false},     {"A", "a", false},
};

Test(like, matches_as_in_sql) {
    for (size_t i = 0; i < sizeof likes / sizeof *likes; i++)
        cr_expect_eq(like_matches(likes[i].pattern, likes[i].text, strlen(likes[i].text)), likes[i].matches,
                     "%s LIKE %s", likes[i].text, likes[i].pattern);
}

// ---- tables

static const struct table_column columns[] = {
    {"name", TABLE_TEXT},   {"four", TABLE_INT4}, {"eight", TABLE_INT8}, {"number", TABLE_NUMERIC},
    {"time", TABLE_FLOAT8}, {"yes", TABLE_BOOL},  {NULL, TABLE_TEXT}};

static void put_row(struct table *t, const char *name, uint64_t n) {
    table_row(t);
    table_text(t, name);
    for (int i = 0; i < 3; i++)
        table_int(t, n);
    table_seconds(t, n);
    table_bool(t, n > 0);
    table_end_row(t);
}

static void expect_value(const struct buf *b, unsigned i, const void *bytes, size_t len) {
    struct frame f;
    struct slice value;
    cr_assert_eq(frame_read(b->data, b->len, &f), FRAME_OK);
    cr_assert(msg_row_column(f.body, f.body_len, i, &value));
    cr_expect(slice_is(value, bytes, len), "column %u", i);
}

Test(table, writes_texts) {
    struct buf b = buf_make(10000);
    struct table t;
    table_begin(&t, columns, &b);
    put_row(&t, "a", 5000000000);
    expect_value(&b, 0, "a", 1);
    expect_value(&b, 1, "2147483647", 10); // the largest
    expect_value(&b, 2, "5000000000", 10);
    expect_value(&b, 3, "5000000000", 10);
    expect_value(&b, 4, "5000", 4);
    expect_value(&b, 5, "t", 1);
    buf_free(&b);
}

// A tag, a name: the console's client reads UTF-8, and has no zeros in its texts.
Test(table, writes_nothing_but_utf_8) {
    static const struct {
        const char *text, *as;
    } texts[] = {{"\xc3\xa9 \xf0\x9f\x90\x98", "\xc3\xa9 \xf0\x9f\x90\x98"},
                 {"caf\xe9", "caf\\xe9"},
                 {"\xff\xfe=1", "\\xff\\xfe=1"},
                 {"\xe2\x82", "\\xe2\\x82"},
                 {"\xed\xa0\x80", "\\xed\\xa0\\x80"},
                 {"", ""}};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct buf b = buf_make(10000);
        struct table t;
        table_begin(&t, columns, &b);
        put_row(&t, texts[i].text, 1);
        expect_value(&b, 0, texts[i].as, strlen(texts[i].as));
        buf_free(&b);
    }
}

Test(table, writes_binary) {
    struct buf b = buf_make(10000);
    struct table t;
    table_begin(&t, columns, &b);
    t.formats = (const uint8_t *)"\0\1";
    t.n_formats = 1;
    put_row(&t, "a", 1234500000);
    expect_value(&b, 1, "\x49\x94\xf9\xa0", 4);
    expect_value(&b, 2, "\0\0\0\0\x49\x94\xf9\xa0", 8);
    expect_value(&b, 3, "\0\2\0\2\0\0\0\0\0\x0c\x0d\x7a", 12); // 12 3450 0000
    expect_value(&b, 4, "\x40\x93\x4a\0\0\0\0\0", 8);          // 1234.5
    expect_value(&b, 5, "\1", 1);
    buf_reset(&b);
    put_row(&t, "a", 0);
    expect_value(&b, 3, "\0\0\0\0\0\0\0\0", 8);
    buf_free(&b);
}

Test(table, keeps_rows_of_which_a_text_matches) {
    struct buf b = buf_make(10000);
    struct table t;
    table_begin(&t, columns, &b);
    t.like = "b%";
    put_row(&t, "abc", 1);
    put_row(&t, "bcd", 1);
    put_row(&t, NULL, 1);
    cr_expect_eq(t.rows, 1);
    expect_value(&b, 0, "bcd", 3);
    buf_free(&b);
}

// ---- what is shown

Test(shows, have_as_many_values_as_columns) {
    struct fixture f;
    static struct shows_period period;
    fixture_init(&f);
    fixture_start(&f, 1);
    for (int what = 0; what < CONSOLE_SHOW_COUNT; what++) {
        struct buf b = buf_make(100000);
        struct table t;
        struct shows_context c = {.engine = f.engine, .period = &period, .version = "V", .now = 1000000};
        if (what == SHOW_HELP)
            continue;
        for (int old = 0; old < 2; old++) {
            c.old = old;
            table_begin(&t, shows_columns((enum console_show)what, old), &b);
            cr_expect_leq(t.n, TABLE_COLUMNS);
            bool told = shows_rows((enum console_show)what, &c, &t);
            cr_expect(!told || t.rows == 0 || t.at == t.n, "%s: %u of %u",
                      console_show_word((enum console_show)what), t.at, t.n);
        }
        buf_free(&b);
    }
    fixture_end(&f);
}

Test(shows, have_averages_of_the_last_period) {
    struct fixture f;
    static struct shows_period period;
    fixture_init(&f);
    fixture_start(&f, 1);
    struct database_figures *d = &f.engine->figures.databases[0];
    shows_tick(&period, f.engine, 1000000);
    d->received = 6000;
    shows_tick(&period, f.engine, 2000000);
    cr_expect_eq(period.now[0].received, 0, "the period lasts");
    shows_tick(&period, f.engine, 61000000);
    cr_expect_eq(period.now[0].received, 6000);
    cr_expect_eq(period.before[0].received, 0);
    cr_expect_eq(period.before_at, 1000000);
    fixture_end(&f);
}
