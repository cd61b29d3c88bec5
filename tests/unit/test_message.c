// SPDX-License-Identifier: PostgreSQL
//
// Bodies of messages: each well-formed one is read, and each cut of it, and it with a byte more, is refused
// without a read past its end.
#include <criterion/criterion.h>

#include "tests/unit/bytes.h"

typedef bool reader(const uint8_t *body, size_t len);

static bool read_parse(const uint8_t *body, size_t len) {
    struct msg_parse m;
    return msg_parse_read(body, len, &m);
}

static bool read_bind(const uint8_t *body, size_t len) {
    struct msg_bind m;
    return msg_bind_read(body, len, &m);
}

static bool read_target(const uint8_t *body, size_t len) {
    struct msg_target m;
    return msg_target_read(body, len, &m);
}

static bool read_execute(const uint8_t *body, size_t len) {
    struct msg_execute m;
    return msg_execute_read(body, len, &m);
}

static bool read_query(const uint8_t *body, size_t len) {
    struct slice text;
    return msg_query_read(body, len, &text);
}

static bool read_tag(const uint8_t *body, size_t len) {
    struct slice tag;
    return msg_tag_read(body, len, &tag);
}

static bool read_description(const uint8_t *body, size_t len) {
    uint16_t n;
    return msg_row_description_first(body, len, &n) > 0;
}

#define FIELD                                                                                                \
    "id\0"                                                                                                   \
    "\0\0\x40\0"                                                                                             \
    "\0\1"                                                                                                   \
    "\0\0\0\x17"                                                                                             \
    "\0\4"                                                                                                   \
    "\xff\xff\xff\xff"                                                                                       \
    "\0\0"

// A body that its reader takes, and takes in no other length.
static const struct {
    const char *name;
    reader *read;
    struct slice body;
} bodies[] = {
    {"Parse", read_parse, LIT("s1\0SELECT 1\0\0\2\0\0\0\x17\0\0\0\x19")},
    {"Parse without types", read_parse, LIT("\0\0\0\0")},
    {"Bind", read_bind, LIT("p\0s\0\0\1\0\1\0\2\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\1\0\1")},
    {"Bind of nothing", read_bind, LIT("\0\0\0\0\0\0\0\0")},
    {"Describe", read_target, LIT("Ss1\0")},
    {"Execute", read_execute, LIT("\0\0\0\0\5")},
    {"Query", read_query, LIT("SELECT 1\0")},
    {"CommandComplete", read_tag, LIT("SELECT 1\0")},
    {"RowDescription", read_description, LIT("\0\2" FIELD FIELD)},
};

static bool reads(reader *read, struct slice s, size_t len) {
    uint8_t *copy = exact_copy(s.data, len);
    bool ok = read(copy, len);
    free(copy);
    return ok;
}

Test(message, is_read_in_its_own_length_alone) {
    for (size_t i = 0; i < sizeof bodies / sizeof *bodies; i++) {
        struct buf more = buf_make(1000);
        cr_assert(reads(bodies[i].read, bodies[i].body, bodies[i].body.len), "%s", bodies[i].name);
        for (size_t cut = 0; cut < bodies[i].body.len; cut++)
            cr_assert_not(reads(bodies[i].read, bodies[i].body, cut), "%s cut at %zu", bodies[i].name, cut);
        buf_put(&more, bodies[i].body.data, bodies[i].body.len);
        buf_put_u8(&more, 0);
        cr_assert_not(bodies[i].read(more.data, more.len), "%s with a byte more", bodies[i].name);
        buf_free(&more);
    }
}

Test(message, parse_has_name_text_and_types) {
    struct msg_parse m;
    cr_assert(msg_parse_read(bodies[0].body.data, bodies[0].body.len, &m));
    cr_assert(slice_is(m.name, "s1", 2) && slice_is(m.text, "SELECT 1", 8));
    cr_assert_eq(m.n_types, 2);
    cr_assert_eq(get_u32(m.types + 4), 25);
}

Test(message, bind_has_values_and_formats) {
    struct msg_bind m;
    size_t at = 0;
    struct slice v;
    cr_assert(msg_bind_read(bodies[2].body.data, bodies[2].body.len, &m));
    cr_assert(slice_is(m.portal, "p", 1) && slice_is(m.statement, "s", 1));
    cr_assert_eq(m.n_params, 2);
    cr_assert_eq(msg_bind_param_format(&m, 1), 1);
    cr_assert(msg_bind_next_param(&m, &at, &v));
    cr_assert(slice_is(v, "\0\0\0\7", 4));
    cr_assert(msg_bind_next_param(&m, &at, &v));
    cr_assert_null(v.data);
    cr_assert_not(msg_bind_next_param(&m, &at, &v));
    cr_assert_eq(m.n_result_formats, 1);
    cr_assert_eq(get_u16(m.result_formats), 1);
}

// Counts and lengths that the body cannot hold.
static const struct {
    const char *name;
    reader *read;
    struct slice body;
} hostile[] = {
    {"65535 types", read_parse, LIT("\0\0\xff\xff\0\0\0\0")},
    {"65535 formats", read_bind, LIT("\0\0\xff\xff\0\0")},
    {"65535 parameters", read_bind, LIT("\0\0\0\0\xff\xff\0\0\0\0")},
    {"two formats for one parameter", read_bind, LIT("\0\0\0\2\0\0\0\0\0\1\0\0\0\0\0\0")},
    {"a value of -2 bytes", read_bind, LIT("\0\0\0\0\0\1\xff\xff\xff\xfe\0\0")},
    {"a value of 2147483647 bytes", read_bind, LIT("\0\0\0\0\0\1\x7f\xff\xff\xff\0\0")},
    {"65535 result formats", read_bind, LIT("\0\0\0\0\0\0\xff\xff")},
    {"neither statement nor portal", read_target, LIT("Xs\0")},
    {"65535 fields", read_description, LIT("\xff\xff" FIELD)},
    {"no fields", read_description, LIT("\0\0")},
    {"a string within the string", read_query, LIT("a\0b\0")},
};

Test(message, refuses_what_its_body_cannot_hold) {
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++)
        cr_assert_not(reads(hostile[i].read, hostile[i].body, hostile[i].body.len), "%s", hostile[i].name);
}

Test(message, row_gives_its_first_column_and_the_rest) {
    struct slice s = BYTES("\0\2\0\0\0\1"
                           "5\xff\xff\xff\xff");
    struct msg_row row;
    struct slice v;
    for (size_t cut = 0; cut < 7; cut++) {
        uint8_t *copy = exact_copy(s.data, cut);
        cr_assert_not(msg_row_read(copy, cut, &row), "cut at %zu", cut);
        free(copy);
    }
    cr_assert(msg_row_read(s.data, s.len, &row));
    cr_assert_eq(row.n_columns, 2);
    cr_assert(slice_is(row.first, "5", 1));
    cr_assert_eq(row.rest.len, 4);
    cr_assert(msg_row_column(s.data, s.len, 1, &v));
    cr_assert_null(v.data);
    cr_assert_not(msg_row_column(s.data, s.len, 2, &v));
    cr_assert_not(msg_row_column(s.data, s.len - 1, 1, &v));
    cr_assert_not(msg_row_column(NULL, 0, 0, &v));
    cr_assert_not(msg_row_read(BYTES("\0\0").data, 2, &row), "a row without columns has no first one");
}

Test(message, description_tells_the_length_of_its_first_field) {
    uint16_t n;
    struct slice s = BYTES("\0\2" FIELD "x\0"
                           "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    cr_assert_eq(msg_row_description_first(s.data, s.len, &n), 21);
    cr_assert_eq(n, 2);
}

Test(message, error_gives_the_fields_asked_for) {
    struct slice s = BYTES("SERROR\0C42601\0Mno\0\0"), v;
    cr_assert(msg_error_field(s.data, s.len, 'C', &v));
    cr_assert(slice_is(v, "42601", 5));
    cr_assert_not(msg_error_field(s.data, s.len, 'H', &v));
    for (size_t cut = 0; cut < s.len; cut++) {
        uint8_t *copy = exact_copy(s.data, cut);
        cr_assert_not(msg_error_field(copy, cut, 'H', &v));
        cr_assert_eq(msg_error_field(copy, cut, 'M', &v), cut >= 18, "cut at %zu", cut);
        free(copy);
    }
}
