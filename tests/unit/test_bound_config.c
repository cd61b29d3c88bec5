// SPDX-License-Identifier: PostgreSQL
//
// set_config() with parameters: the text with constants that does the same, or none.
#include <criterion/criterion.h>
#include <string.h>

#include "batching/statement/bound_config.h"
#include "batching/statement/shape.h"
#include "protocol/buf.h"
#include "protocol/message.h"
#include "tests/unit/bytes.h"

#define BOOL    16
#define INT4    23
#define TEXT    25
#define VARCHAR 1043
#define MAX     3

static const struct row {
    const char *sql;
    uint32_t types[MAX];     // declared
    const char *formats;     // a character for each: t or b; one: of all; none: text
    const char *values[MAX]; // "NULL": NULL
    const char *wanted;      // NULL: none
} rows[] = {
    {"SELECT set_config('app.x', $1, true)", {0}, "", {"5"}, "SELECT set_config('app.x', '', true)"},
    {"SELECT set_config('app.x', $1, false)",
     {0},
     "",
     {"it's"},
     "SELECT set_config('app.x', 'it''s', false)"},
    {"SELECT set_config('app.x', $1, false)", {TEXT}, "b", {"5"}, "SELECT set_config('app.x', '5', false)"},
    {"SELECT set_config('app.x', $1, false)", {VARCHAR}, "t", {""}, "SELECT set_config('app.x', '', false)"},
    {"SELECT set_config('app.x', $1, false)", {0}, "", {"NULL"}, "SELECT set_config('app.x', NULL, false)"},
    {"SELECT set_config('role', $1, true)", {0}, "", {"a"}, "SELECT set_config('role', 'a', true)"},
    {"SELECT set_config($1, $2, $3)", {0}, "", {"app.x", "y", "YES"}, "SELECT set_config('app.x', '', true)"},
    {"SELECT set_config($1, $2, $3)",
     {0},
     "",
     {"app.x", "y", "off"},
     "SELECT set_config('app.x', 'y', false)"},
    {"SELECT set_config($1, $2, $3)",
     {TEXT, TEXT, BOOL},
     "ttb",
     {"a", "y", "\1"},
     "SELECT set_config('a', 'y', true)"},
    {"SELECT pg_catalog.set_config($2::text, $1, true), set_config('b', 'c', false)",
     {0},
     "",
     {"v", "a"},
     "SELECT set_config('a', 'v', true), set_config('b', 'c', false)"},
    {"SELECT set_config('app.x', $1::int::text, true)",
     {INT4},
     "",
     {"5"},
     "SELECT set_config('app.x', '', true)"},
    {"SELECT set_config('app.x', $1::text, true)", {INT4}, "", {"5"}, "SELECT set_config('app.x', '', true)"},
    // what the server makes of these is not known: it may call another function of that name
    {"SELECT set_config('app.x', $1, true)", {INT4}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', $1::uuid, true)", {0}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', $1::bool, true)", {0}, "", {"t"}, NULL},
    {"SELECT set_config('app.x', true, $1)", {0}, "", {"t"}, NULL},
    // and of these
    {"SELECT set_config('app.x', $1::int::text, false)", {INT4}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', $1, false)", {INT4}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', $1, false)", {0}, "", {"a\\b"}, NULL},
    {"SELECT set_config($1, 'a', true)", {0}, "", {"NULL"}, NULL},
    {"SELECT set_config($1, 'a', true)", {0}, "", {"app.x'y"}, NULL},
    {"SELECT set_config($1, 'a', true)", {0}, "", {""}, NULL},
    {"SELECT set_config('app.x', 'a', $1)", {0}, "", {"NULL"}, NULL},
    {"SELECT set_config('app.x', 'a', $1)", {0}, "", {"maybe"}, NULL},
    {"SELECT set_config('app.x', 'a', $1)", {0}, "b", {"tr"}, NULL},
    {"SELECT set_config('app.x', 'a', $1)", {TEXT}, "", {"t"}, NULL},
    {"SELECT set_config('app.x', $1, true)", {0}, "", {0}, NULL},
    {"SELECT set_config('app.x', $1, true)", {0}, "", {"1", "2"}, NULL},
    // and these are no such statements
    {"SELECT set_config('app.x', $1, true), 1", {0}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', $1, true) FROM t", {0}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', $1, true) WHERE $2", {0}, "", {"5", "t"}, NULL},
    {"SELECT set_config('app.x', $1 || 'a', true)", {0}, "", {"5"}, NULL},
    {"SELECT set_config('session_authorization', $1, true)", {0}, "", {"5"}, NULL},
    {"SELECT public.set_config('app.x', $1, true)", {0}, "", {"5"}, NULL},
    {"SELECT set_config('app.x', 'a', true)", {0}, "", {0}, NULL},
};

static void put_bind(struct buf *b, const struct row *r) {
    buf_put(b, "\0\0", 2);
    buf_put_u16(b, (uint16_t)strlen(r->formats));
    for (const char *f = r->formats; *f; f++)
        buf_put_u16(b, *f == 'b');
    uint16_t n = 0;
    while (n < MAX && r->values[n])
        n++;
    buf_put_u16(b, n);
    for (unsigned i = 0; i < n; i++) {
        bool null = strcmp(r->values[i], "NULL") == 0;
        buf_put_u32(b, null ? UINT32_MAX : (uint32_t)strlen(r->values[i]));
        buf_put(b, r->values[i], null ? 0 : strlen(r->values[i]));
    }
    buf_put_u16(b, 0);
}

static void check(struct shape_cache *c, const struct row *r) {
    uint8_t types[4 * MAX];
    enum reason why;
    struct msg_bind m;
    struct buf bind = buf_make(1000), out = buf_make(1000);
    unsigned n_types = 0;
    for (; n_types < MAX && r->types[n_types]; n_types++)
        for (int i = 0; i < 4; i++)
            types[n_types * 4 + (unsigned)i] = (uint8_t)(r->types[n_types] >> (24 - 8 * i));
    struct shape *shape = shape_extended(c, text_slice(r->sql), n_types, types, &why);
    cr_assert_not_null(shape, "%s", r->sql);
    cr_assert_eq(shape->parsed->kind == STATEMENT_OTHER, strchr(r->sql, '$') != NULL, "%s", r->sql);
    put_bind(&bind, r);
    cr_assert(msg_bind_read(bind.data, bind.len, &m));
    bool ok = bound_config_text(shape, &m, &out);
    buf_put_u8(&out, 0);
    cr_expect_eq(ok, r->wanted != NULL, "%s", r->sql);
    if (ok && r->wanted)
        cr_expect_str_eq((char *)out.data, r->wanted, "%s", r->sql);
    buf_free(&bind);
    buf_free(&out);
}

Test(bound_config, texts) {
    struct shape_cache c;
    shape_cache_init(&c, 100, 10000);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        check(&c, &rows[i]);
    shape_cache_finish(&c);
}
