// SPDX-License-Identifier: PostgreSQL
//
// Trails: what is kept of results that passed, within which bounds, and how a value is found in them.
// Descriptions and rows are made up.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/ahead/recorder.h"
#include "batching/ahead/search.h"
#include "protocol/frame.h"
#include "tests/unit/bytes.h"

enum {
    OID_BOOL = 16,
    OID_BYTEA = 17,
    OID_TEXT = 25,
    OID_OID = 26,
    OID_FLOAT8 = 701,
    OID_BPCHAR = 1042,
    OID_VARCHAR = 1043,
    OID_DATE = 1082,
    OID_TIMESTAMPTZ = 1184,
    OID_JSONB = 3802
};

struct field {
    uint32_t table;
    uint16_t attribute;
    uint32_t type;
    uint16_t format;
};

#define USERS 16384 // the first table that may be a user's

static void put_description(struct buf *b, const struct field *fields, unsigned n) {
    buf_put_u16(b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_str(b, "name");
        buf_put_u32(b, fields[i].table ? USERS + fields[i].table : 0);
        buf_put_u16(b, fields[i].attribute);
        buf_put_u32(b, fields[i].type);
        buf_put(b, "\0\4\xff\xff\xff\xff", 6);
        buf_put_u16(b, fields[i].format);
    }
}

static bool describe(struct trail_columns *c, const struct field *fields, unsigned n) {
    struct buf b = buf_make(100000);
    put_description(&b, fields, n);
    uint8_t *body = exact_copy(b.data, b.len);
    bool any = trail_columns_read(c, body, b.len);
    free(body);
    buf_free(&b);
    return any;
}

static void row(struct trail *t, const struct slice *values, unsigned n) {
    struct buf b = buf_make(1000000);
    buf_put_u16(&b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        buf_put_u32(&b, values[i].data ? (uint32_t)values[i].len : UINT32_MAX);
        buf_put(&b, values[i].data, values[i].len);
    }
    uint8_t *body = exact_copy(b.data, b.len);
    trail_row(t, body, b.len);
    free(body);
    buf_free(&b);
}

static void text_row(struct trail *t, const char *first, const char *second) {
    struct slice none = {0};
    row(t, (struct slice[]){first ? text_slice(first) : none, second ? text_slice(second) : none}, 2);
}

static const struct field id_and_name[] = {{1000, 1, OID_INT4, 0}, {1000, 2, OID_TEXT, 0}};

// A result of (id, name), ids first, first + 1 …; names n<id>.
static void record(struct trail *t, const struct trail_columns *c, unsigned first, unsigned n) {
    trail_begin(t, c);
    for (unsigned i = first; i < first + n; i++) {
        char id[16], name[16];
        snprintf(id, sizeof id, "%u", i);
        snprintf(name, sizeof name, "n%u", i);
        text_row(t, id, name);
    }
    trail_end(t);
}

static struct key integer(const char *text) {
    struct key k;
    cr_assert(key_read(OID_INT8, 0, text_slice(text), &k));
    return k;
}

static struct key text(const char *s) {
    return (struct key){.kind = KEY_RAW, .len = (uint32_t)strlen(s), .of.raw = (const uint8_t *)s};
}

// A value of one kind alone.
static struct trail_forms form(enum trail_kind kind, struct key k) {
    struct trail_forms f = {0};
    f.of[kind] = k;
    return f;
}

static bool has(struct trail *t, enum trail_kind kind, struct key k, struct trail_place *p) {
    struct trail_forms f = form(kind, k);
    *p = (struct trail_place){0};
    return trail_find(t, &f, p);
}

static unsigned places(struct trail *t, enum trail_kind kind, struct key k) {
    struct trail_forms f = form(kind, k);
    struct trail_place p = {0};
    unsigned n = 0;
    while (trail_find(t, &f, &p))
        n++;
    return n;
}

// ---- columns

Test(trail, kinds_of_types) {
    static const struct {
        uint32_t type;
        enum trail_kind kind;
    } cases[] = {{OID_INT2, TRAIL_INTEGER},   {OID_INT4, TRAIL_INTEGER},
                 {OID_INT8, TRAIL_INTEGER},   {OID_UUID, TRAIL_UUID},
                 {OID_TEXT, TRAIL_TEXT},      {OID_BPCHAR, TRAIL_TEXT},
                 {OID_VARCHAR, TRAIL_TEXT},   {OID_BOOL, TRAIL_NOTHING},
                 {OID_FLOAT8, TRAIL_NOTHING}, {OID_NUMERIC, TRAIL_OTHER},
                 {0, TRAIL_NOTHING},          {16400, TRAIL_TEXT},
                 {705, TRAIL_NOTHING},        {OID_INT4_ARRAY, TRAIL_NOTHING},
                 {OID_OID, TRAIL_INTEGER},    {OID_DATE, TRAIL_OTHER},
                 {OID_BYTEA, TRAIL_OTHER},    {OID_JSONB, TRAIL_NOTHING}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect_eq(trail_kind_of(cases[i].type), cases[i].kind, "type %u", cases[i].type);
}

Test(trail, keeps_columns_that_may_be_keys) {
    static const struct field fields[] = {{7, 1, OID_BOOL, 0},
                                          {7, 2, OID_INT8, 1},
                                          {0, 0, OID_UUID, 0},
                                          {7, 4, OID_FLOAT8, 0},
                                          {7, 5, OID_TEXT, 1}};
    struct trail_columns c;
    cr_assert(describe(&c, fields, 5));
    cr_assert_eq(c.n_row, 5);
    cr_assert_eq(c.n, 3);
    cr_expect_eq(c.columns[0].at, 1);
    cr_expect_eq(c.columns[0].format, 1);
    cr_expect_eq(c.columns[0].table, USERS + 7);
    cr_expect_eq(c.columns[0].attribute, 2);
    cr_expect_eq(c.columns[0].type, OID_INT8);
    cr_expect_eq(c.columns[1].at, 2);
    cr_expect_eq(c.columns[1].kind, TRAIL_UUID);
    cr_expect_eq(c.columns[2].at, 4);
    cr_expect_eq(c.columns[2].kind, TRAIL_TEXT);
    cr_assert_not(describe(&c, fields, 1), "nothing in it is worth keeping");
    cr_assert_not(describe(&c, fields, 0));
}

// A wide SELECT * is kept whole.
Test(trail, keeps_a_key_at_the_end_of_sixty_columns) {
    struct field fields[60];
    struct trail_columns c;
    for (unsigned i = 0; i < 60; i++)
        fields[i] = (struct field){1, (uint16_t)(i + 1), i % 3 ? OID_TEXT : OID_TIMESTAMPTZ, 0};
    fields[59].type = OID_UUID;
    cr_assert(describe(&c, fields, 60));
    cr_assert_eq(c.n, 60);
    cr_expect(c.columns[59].at == 59 && c.columns[59].kind == TRAIL_UUID);
}

// Of more columns than there is room for: names of keys first, then integers, then texts. They stay in their order.
Test(trail, keeps_likely_keys_of_many_columns) {
    struct buf b = buf_make(100000);
    struct trail_columns c;
    const unsigned n = 3 * TRAIL_MAX_COLUMNS;
    buf_put_u16(&b, (uint16_t)n);
    for (unsigned i = 0; i < n; i++) {
        bool id = i == n - 1 || i == 7;
        buf_put_str(&b, i == 7 ? "id" : id ? "authorId" : "paid");
        buf_put_u32(&b, USERS + 1);
        buf_put_u16(&b, (uint16_t)(i + 1));
        buf_put_u32(&b, id || i % 3 == 0 ? OID_TEXT : i % 3 == 1 ? OID_DATE : OID_INT4);
        buf_put(&b, "\0\4\xff\xff\xff\xff\0\0", 8);
    }
    cr_assert(trail_columns_read(&c, b.data, b.len));
    cr_assert_eq(c.n, TRAIL_MAX_COLUMNS);
    unsigned integers = 0;
    for (unsigned i = 0; i < c.n; i++) {
        integers += c.columns[i].type == OID_INT4;
        cr_expect(i == 0 || c.columns[i].at > c.columns[i - 1].at);
        cr_expect_neq(c.columns[i].type, OID_DATE);
    }
    cr_expect_eq(integers, TRAIL_MAX_COLUMNS - 2, "but for two whose names say more");
    cr_expect_eq(c.columns[c.n - 1].at, n - 1);
    buf_free(&b);
}

// What is told of the catalogue's tables is no key of a user's.
Test(trail, columns_of_the_catalogue_are_not_kept) {
    struct trail_columns c;
    struct buf b = buf_make(1000);
    for (uint32_t table = USERS - 1; table <= USERS; table++) {
        buf_reset(&b);
        buf_put_u16(&b, 1);
        buf_put(&b, "oid", 4);
        buf_put_u32(&b, table);
        buf_put_u16(&b, 1);
        buf_put_u32(&b, OID_INT4);
        buf_put(&b, "\0\4\377\377\377\377\0\0", 8);
        cr_expect_eq(trail_columns_read(&c, b.data, b.len), table == USERS);
    }
    buf_free(&b);
}

Test(trail, a_description_may_be_kept_by_its_size) {
    struct trail_columns c;
    cr_assert(describe(&c, id_and_name, 2));
    cr_expect_lt(trail_columns_size(&c), sizeof c / 4);
    cr_expect_geq(trail_columns_size(&c), offsetof(struct trail_columns, columns) + 2 * sizeof c.columns[0]);
}

Test(trail, formats_of_a_bind_message) {
    static const struct field fields[] = {
        {1, 1, OID_INT4, 0}, {1, 2, OID_BOOL, 0}, {1, 3, OID_INT4, 0}, {1, 4, OID_INT4, 0}};
    struct trail_columns c;
    cr_assert(describe(&c, fields, 4));
    trail_columns_format(&c, 1, (const uint8_t *)"\0\1");
    cr_assert(c.columns[0].format == 1 && c.columns[1].format == 1 && c.columns[2].format == 1);
    trail_columns_format(&c, 0, NULL);
    cr_assert(c.columns[0].format == 0 && c.columns[1].format == 0 && c.columns[2].format == 0);
    uint8_t *formats = exact_copy("\0\1\0\1\0\0", 6); // too few: the server will say so
    trail_columns_format(&c, 3, formats);
    cr_assert(c.columns[0].format == 1 && c.columns[1].format == 0 && c.columns[2].format == 0);
    free(formats);
}

// Wherever it is cut.
Test(trail, no_description_is_read_beyond_its_end) {
    struct buf b = buf_make(1000);
    struct trail_columns c;
    put_description(&b, id_and_name, 2);
    for (size_t len = 0; len < b.len; len++) {
        uint8_t *body = exact_copy(b.data, len);
        cr_expect_not(trail_columns_read(&c, body, len), "cut at %zu", len);
        free(body);
    }
    cr_assert(trail_columns_read(&c, b.data, b.len));
    buf_free(&b);
}

// Results of one statement are known by their description, in whatever formats they come.
Test(trail, one_source_in_all_formats) {
    struct field fields[] = {{1, 1, OID_INT4, 0}, {1, 2, OID_TEXT, 0}};
    struct trail_columns a, b;
    cr_assert(describe(&a, fields, 2));
    fields[0].format = fields[1].format = 1;
    cr_assert(describe(&b, fields, 2));
    cr_assert_eq(a.source, b.source);
    fields[1].attribute = 3;
    cr_assert(describe(&b, fields, 2));
    cr_assert_neq(a.source, b.source);
}

// ---- rows

Test(trail, values_of_each_kind_and_format) {
    static const struct field fields[] = {{1, 6, OID_TEXT, 1}, {1, 1, OID_INT2, 0}, {1, 2, OID_INT4, 1},
                                          {1, 3, OID_INT8, 1}, {1, 4, OID_UUID, 0}, {1, 5, OID_UUID, 1}};
    static const char uuid[] = "00112233-4455-6677-8899-AABBccddeeff",
                      bytes[] = "\x00\x11\x22\x33\x44\x55\x66\x77\x88\x99\xaa\xbb\xcc\xdd\xee\xff";
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, fields, 6));
    trail_init(&t, 100000);
    trail_begin(&t, &c);
    struct slice values[] = {text_slice("abc"),         text_slice("-5"),
                             BYTES("\xff\xff\xff\xfb"), BYTES("\xff\xff\xff\xff\xff\xff\xff\xfb"),
                             text_slice(uuid),          BYTES(bytes)};
    row(&t, values, 6);
    row(&t, values, 6);
    trail_end(&t);
    struct key minus_five = integer("-5"), id;
    cr_assert(key_read(OID_UUID, 1, BYTES(bytes), &id));
    cr_assert_eq(places(&t, TRAIL_INTEGER, minus_five), 3, "in all widths");
    cr_assert_eq(places(&t, TRAIL_UUID, id), 2, "in both formats");
    cr_assert_eq(places(&t, TRAIL_TEXT, text("abc")), 1);
    cr_assert_eq(places(&t, TRAIL_TEXT, text("-5")), 0, "by type, not by bytes");
    cr_assert_eq(places(&t, TRAIL_INTEGER, integer("5")), 0);
    struct key k = trail_value(t.results, 1, 0);
    struct key abc = text("abc");
    cr_assert(key_equal(&k, &abc));
    trail_clear(&t);
}

// NULL, what is too long, empty, or not plainly written has no value; the row's others have.
Test(trail, what_is_not_kept_of_a_row) {
    static const struct field fields[] = {
        {1, 1, OID_INT4, 0}, {1, 2, OID_INT4, 0}, {1, 3, OID_TEXT, 0}, {1, 4, OID_INT4, 1}};
    char longest[TRAIL_MAX_TEXT + 1], too_long[TRAIL_MAX_TEXT + 2];
    struct trail_columns c;
    struct trail t;
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = 0;
    memset(too_long, 'x', sizeof too_long - 1);
    too_long[sizeof too_long - 1] = 0;
    cr_assert(describe(&c, fields, 4));
    trail_init(&t, 100000);
    trail_begin(&t, &c);
    row(&t, (struct slice[]){text_slice("1"), {0}, text_slice(longest), BYTES("\0\0\0\1")}, 4);
    row(&t, (struct slice[]){text_slice("2"), text_slice("x"), text_slice(too_long), BYTES("\0\1")}, 4);
    row(&t, (struct slice[]){text_slice("3"), text_slice("3000000000"), text_slice(""), {0}}, 4);
    trail_end(&t);
    cr_assert_eq(t.n_results, 1);
    cr_assert_eq(t.results->n_rows, 3);
    for (uint32_t i = 0; i < 3; i++) {
        cr_expect_eq(trail_value(t.results, i, 0).kind, KEY_PLAIN, "row %u", i);
        cr_expect_eq(trail_value(t.results, i, 1).kind, KEY_NULL, "row %u", i);
        cr_expect_eq(trail_value(t.results, i, 2).kind, i ? KEY_NULL : KEY_RAW, "row %u", i);
        cr_expect_eq(trail_value(t.results, i, 3).kind, i ? KEY_NULL : KEY_PLAIN, "row %u", i);
    }
    cr_assert_eq(places(&t, TRAIL_TEXT, text(longest)), 1, "also of the first row, which was kept aside");
    struct key null = {.kind = KEY_NULL};
    cr_assert_eq(places(&t, TRAIL_INTEGER, null), 0);
    trail_clear(&t);
}

Test(trail, results_of_one_row_are_not_kept) {
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, 100000);
    record(&t, &c, 1, 0);
    record(&t, &c, 1, 1);
    cr_assert_eq(t.n_results, 0);
    record(&t, &c, 1, 2);
    cr_assert_eq(t.n_results, 1);
    cr_assert_eq(t.results->n_rows, 2);
    trail_clear(&t);
    cr_assert_eq(t.bytes, 0);
    cr_assert_eq(t.n_results, 0);
}

// From a row that is none on, the rest of the result is not kept.
Test(trail, rows_that_are_none_end_a_result) {
    static const struct slice bad[] = {
        LIT(""),
        LIT("\0"),
        LIT("\0\1\0\0\0\1x"),                   // too few columns
        LIT("\0\3\0\0\0\1x\0\0\0\1x\0\0\0\1x"), // too many
        LIT("\0\2"),                            // cut
        LIT("\0\2\0\0\0"),                      // in a length
        LIT("\0\2\0\0\0\5x"),                   // in a value
        LIT("\0\2\0\0\0\1x\0\0\0\2x"),          // in the last one
        LIT("\0\2\xff\xff\xff\xfe\0\0\0\1x"),   // longer than all there is
        LIT("\0\2\x7f\xff\xff\xff"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct trail_columns c;
        struct trail t;
        cr_assert(describe(&c, id_and_name, 2));
        trail_init(&t, 100000);
        trail_begin(&t, &c);
        text_row(&t, "1", "a");
        text_row(&t, "2", "b");
        uint8_t *body = exact_copy(bad[i].data, bad[i].len);
        trail_row(&t, body, bad[i].len);
        free(body);
        text_row(&t, "3", "c");
        trail_end(&t);
        cr_expect_eq(t.results->n_rows, 2, "case %zu", i);
        trail_clear(&t);
    }
}

// Columns behind the last that is kept need not be there.
Test(trail, rows_are_read_as_far_as_they_are_kept) {
    static const struct field fields[] = {{1, 1, OID_INT4, 0}, {1, 2, OID_FLOAT8, 0}};
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, fields, 2));
    trail_init(&t, 100000);
    trail_begin(&t, &c);
    text_row(&t, "1", NULL);
    text_row(&t, "2", "0.5");
    trail_end(&t);
    cr_assert_eq(t.results->n_rows, 2);
    trail_clear(&t);
}

// ---- arrays

// The elements of the list that was recorded of an array column, and of which source it is: "1 2 - 4".
static const char *elements(struct trail *t, uint64_t source) {
    static char out[200];
    out[0] = 0;
    for (const struct trail_result *r = t->results; r; r = r->next) {
        for (uint32_t row = 0; r->columns.source != source && row < r->n_rows; row++) {
            struct key k = trail_value(r, row, 0);
            size_t n = strlen(out);
            if (k.kind == KEY_NULL)
                snprintf(out + n, sizeof out - n, "%s-", n ? " " : "");
            else if (k.kind == KEY_PLAIN)
                snprintf(out + n, sizeof out - n, "%s%lld", n ? " " : "", (long long)get_u64(k.of.bytes));
            else
                snprintf(out + n, sizeof out - n, "%s%.*s", n ? " " : "", (int)k.len, (const char *)k.of.raw);
        }
    }
    return out;
}

enum { OID_TEXT_ARRAY = 1009, OID_FLOAT8_ARRAY = 1022 };

// Arrays in both formats, and flat JSON. What is none, has other dimensions or is cut ends there.
Test(trail, elements_of_arrays) {
    static const struct {
        uint32_t type;
        uint16_t format;
        struct slice value;
        const char *elements;
    } cases[] = {
        {OID_INT4_ARRAY, 0, LIT("{1,2,NULL,-4}"), "1 2 - -4"},
        {OID_INT8_ARRAY, 0, LIT("{1,5000000000}"), "1 5000000000"},
        {OID_INT4_ARRAY, 0, LIT("{1}"), ""}, // one predicts nothing
        {OID_INT4_ARRAY, 0, LIT("{}"), ""},
        {OID_INT4_ARRAY, 0, LIT(""), ""},
        {OID_INT4_ARRAY, 0, LIT("{{1,2},{3,4}}"), ""},
        {OID_INT4_ARRAY, 0, LIT("[0:1]={1,2}"), ""},
        {OID_INT4_ARRAY, 0, LIT("{1,2,3"), "1 2"},
        {OID_INT4_ARRAY, 0, LIT("{1,2,"), "1 2"},
        {OID_TEXT_ARRAY, 0, LIT("{a,\"b c\",\"d\\\"e\",\"\",NULL,\"NULL\"}"), "a b c d\"e - - NULL"},
        {OID_TEXT_ARRAY, 0, LIT("{a,\"b\\"), ""},
        {OID_TEXT_ARRAY, 0, LIT("{a,b,\"c"), "a b"},
        {OID_INT4_ARRAY, 1,
         LIT("\0\0\0\1\0\0\0\1\0\0\0\x17\0\0\0\3\0\0\0\1\0\0\0\4\0\0\0\7\xff\xff\xff\xff\0\0\0\4\0\0\0\x9"),
         "7 - 9"},
        {OID_INT4_ARRAY, 1,
         LIT("\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\3\0\0\0\1\0\0\0\4\0\0\0\7\0\0\0\4\0\0\0\x9\0\0\0\4\0"), "7 9"},
        {OID_INT4_ARRAY, 1, LIT("\0\0\0\0\0\0\0\0\0\0\0\x17"), ""},
        {OID_FLOAT8_ARRAY, 0, LIT("{1,2}"), ""},
        {OID_JSONB, 0, LIT("[1, 2, null, \"x\"]"), "1 2 - x"},
        {OID_JSONB, 1, LIT("\1[1, 2]"), "1 2"},
        {114, 0, LIT("[\"a\",\"b\\\"c\",\"d\"]"), "a - d"},
        {OID_JSONB, 0, LIT("[{\"id\": 1}, {\"id\": 2}]"), ""},
        {OID_JSONB, 0, LIT("{\"ids\": [1, 2]}"), ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const struct field fields[] = {{1, 1, cases[i].type, cases[i].format}, {1, 2, OID_INT4, 0}};
        struct trail_columns c;
        struct trail t;
        trail_init(&t, 100000);
        cr_assert(describe(&c, fields, 2));
        trail_begin(&t, &c);
        uint8_t *exact = exact_copy(cases[i].value.data, cases[i].value.len);
        row(&t, (struct slice[]){{exact, cases[i].value.len}, text_slice("1")}, 2);
        free(exact);
        trail_end(&t);
        expect_text(elements(&t, c.source), cases[i].elements);
        cr_expect_leq(t.n_results, 1, "case %zu: of one row nothing else is kept", i);
        trail_clear(&t);
        cr_expect_eq(t.bytes, 0, "case %zu", i);
    }
}

// The elements of all rows are one list; with the rows' other columns they are one reply.
Test(trail, arrays_of_several_rows) {
    static const struct field fields[] = {
        {1, 1, OID_INT4, 0}, {1, 2, OID_INT4_ARRAY, 0}, {1, 3, OID_TEXT_ARRAY, 0}};
    struct trail_columns c;
    struct trail t;
    struct trail_place p;
    trail_init(&t, 100000);
    cr_assert(describe(&c, fields, 3));
    c.unread = true;
    trail_begin(&t, &c);
    for (unsigned i = 0; i < 3; i++) {
        static const char *const ids[] = {"{1,2}", NULL, "{3,4,5}"};
        struct slice array = {0};
        row(&t, (struct slice[]){text_slice("7"), ids[i] ? text_slice(ids[i]) : array, text_slice("{x}")}, 3);
        cr_assert(trail_is_recording(&t));
    }
    cr_expect_not(has(&t, TRAIL_INTEGER, integer("1"), &p), "not whole yet");
    trail_end(&t);
    cr_assert_not(trail_is_recording(&t));
    cr_assert_eq(t.n_results, 3);
    cr_assert(has(&t, TRAIL_INTEGER, integer("5"), &p) && p.row == 4);
    struct trail_result *list = p.result;
    cr_assert(has(&t, TRAIL_TEXT, text("x"), &p) && p.result != list && p.result->n_rows == 3);
    cr_expect_neq(trail_origin(list, 0), trail_origin(p.result, 0));
    cr_assert(has(&t, TRAIL_INTEGER, integer("7"), &p));
    cr_expect_eq(p.result->serial, list->serial);
    trail_note_read(&t, list->serial, 5);
    for (const struct trail_result *r = t.results; r; r = r->next)
        cr_expect(!r->columns.unread && r->columns.at == 5);
    record(&t, &c, 1, 0);
    trail_clear(&t);
    cr_assert_eq(t.bytes, 0);
}

Test(trail, rows_that_were_given) {
    struct trail t;
    struct trail_columns c;
    trail_init(&t, 100000);
    cr_assert(describe(&c, id_and_name, 2));
    record(&t, &c, 1, 100);
    const struct trail_result *r = t.results;
    cr_assert(trail_was_given(r, 0) && trail_was_given(r, 99), "it was read");
    size_t before = t.bytes;
    trail_hold_back(&t, r->serial + 1, c.source, 1);
    cr_assert(trail_was_given(r, 0), "another one");
    trail_hold_back(&t, r->serial, c.source, 1);
    cr_assert_gt(t.bytes, before);
    trail_note_given(&t, r->serial, 63, 2);
    trail_note_given(&t, r->serial, 99, 5); // to its end
    for (uint32_t i = 0; i < 100; i++)
        cr_expect_eq(trail_was_given(r, i), i == 63 || i == 64 || i == 99, "row %u", i);
    record(&t, &c, 1, 3);
    r = t.results;
    trail_hold_back(&t, r->serial, c.source + 1, 1);
    cr_assert(r->forgets && trail_was_given(r, 0), "elements of arrays");
    trail_clear(&t);
    cr_assert_eq(t.bytes, 0);
}

// Lists give way as other results do, and are cut where there is no room.
Test(trail, long_arrays) {
    static const struct field fields[] = {{1, 1, OID_INT4_ARRAY, 0}};
    struct trail_columns c;
    struct trail t;
    struct buf b = buf_make(1000000);
    buf_put_u8(&b, '{');
    for (unsigned i = 0; i < 20000; i++)
        buf_put_text(&b, i ? ",1234567" : "1");
    buf_put_u8(&b, '}');
    trail_init(&t, 50000 + b.len);
    cr_assert(describe(&c, fields, 1));
    for (unsigned i = 0; i < 3; i++) {
        trail_begin(&t, &c);
        row(&t, (struct slice[]){{b.data, b.len}}, 1);
        trail_end(&t);
        cr_assert_eq(t.n_results, 1);
        cr_expect(t.results->n_rows > 1000 && t.results->n_rows < 20000);
        cr_expect_leq(t.bytes, t.max_bytes + 2048);
    }
    trail_init(&t, (trail_clear(&t), 1000)); // no room for the row itself
    trail_begin(&t, &c);
    row(&t, (struct slice[]){{b.data, b.len}}, 1);
    trail_end(&t);
    cr_expect_eq(t.n_results, 0);
    trail_clear(&t);
    buf_free(&b);
}

// ---- finding

// Up to 16 rows are searched as they are, more by an index; both say the same.
Test(trail, small_and_large_results_are_searched_alike) {
    static const unsigned sizes[] = {2, 15, 16, 17, 33, 64, 1000};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct trail_columns c;
        struct trail t;
        cr_assert(describe(&c, id_and_name, 2));
        trail_init(&t, 1000000);
        record(&t, &c, 100, sizes[s]);
        for (unsigned i = 0; i < sizes[s]; i++) {
            char id[16], name[16];
            struct trail_place p;
            snprintf(id, sizeof id, "%u", 100 + i);
            snprintf(name, sizeof name, "n%u", 100 + i);
            cr_assert(has(&t, TRAIL_INTEGER, integer(id), &p));
            cr_expect(p.column == 0 && p.row == i, "%u of %u", i, sizes[s]);
            cr_assert(has(&t, TRAIL_TEXT, text(name), &p));
            cr_expect(p.column == 1 && p.row == i, "%u of %u", i, sizes[s]);
        }
        struct trail_place p;
        cr_expect_not(has(&t, TRAIL_INTEGER, integer("99"), &p));
        cr_expect_not(has(&t, TRAIL_TEXT, text("n99"), &p));
        cr_expect_eq(trail_distinct(t.results, 0), sizes[s]);
        cr_expect_eq(t.bytes, t.results->bytes);
        trail_clear(&t);
    }
}

// Integers are looked for between the least and the greatest only; NULLs are neither.
Test(trail, values_at_the_ends_of_the_range) {
    static const char *const ids[] = {NULL, "-2000000000", "5", "-7", NULL, "2000000000"};
    for (unsigned times = 1; times <= 10; times += 9) { // without an index, and with one
        struct trail t;
        struct trail_columns c;
        struct trail_place p;
        trail_init(&t, 100000);
        cr_assert(describe(&c, id_and_name, 2));
        trail_begin(&t, &c);
        for (unsigned i = 0; i < 6 * times; i++)
            text_row(&t, ids[i % 6], "x");
        trail_end(&t);
        for (unsigned i = 0; i < 6; i++)
            cr_expect(!ids[i] || (has(&t, TRAIL_INTEGER, integer(ids[i]), &p) && p.row == i), "%u", i);
        cr_expect_not(has(&t, TRAIL_INTEGER, integer("-2000000001"), &p));
        cr_expect_not(has(&t, TRAIL_INTEGER, integer("2000000001"), &p));
        cr_expect_not(has(&t, TRAIL_INTEGER, integer("6"), &p));
        trail_clear(&t);
    }
}

// The first row stands for all with its value.
Test(trail, equal_values_count_as_the_first) {
    static const unsigned sizes[] = {12, 300};
    for (size_t s = 0; s < 2; s++) {
        struct trail_columns c;
        struct trail t;
        cr_assert(describe(&c, id_and_name, 2));
        trail_init(&t, 1000000);
        trail_begin(&t, &c);
        for (unsigned i = 0; i < sizes[s]; i++)
            text_row(&t, i % 4 == 0 ? "7" : i % 4 == 1 ? "8" : i % 4 == 2 ? "9" : NULL, "x");
        trail_end(&t);
        struct trail_place p;
        cr_assert(has(&t, TRAIL_INTEGER, integer("9"), &p));
        cr_expect_eq(p.row, 2);
        cr_expect_eq(trail_distinct(t.results, 0), 3, "NULL is none");
        unsigned n = 1;
        for (uint32_t at = p.row, last = p.row; trail_next_equal(t.results, 0, &at); last = at, n++)
            cr_expect_eq(at, last + 4);
        cr_expect_eq(n, sizes[s] / 4, "of %u rows", sizes[s]);
        struct trail_forms x = form(TRAIL_TEXT, text("x"));
        uint32_t at;
        cr_assert(trail_find_row(&t, t.results, 1, &x, &at));
        cr_expect_eq(at, 0);
        cr_assert(trail_find_equal(&t, t.results, 0, 10, &at));
        cr_expect_eq(at, 2);
        cr_assert_not(trail_find_equal(&t, t.results, 0, 11, &at), "NULL is like nothing");
        cr_expect_eq(trail_distinct(t.results, 1), 1);
        trail_clear(&t);
    }
}

Test(trail, places_come_newest_result_first_and_column_by_column) {
    static const struct field two[] = {{1, 1, OID_INT4, 0}, {1, 2, OID_INT8, 0}};
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, two, 2));
    trail_init(&t, 100000);
    trail_begin(&t, &c);
    text_row(&t, "1", "5");
    text_row(&t, "5", "6");
    trail_begin(&t, &c); // a reply that ended without its end being told
    text_row(&t, "5", "5");
    text_row(&t, "2", "9");
    struct trail_forms five = form(TRAIL_INTEGER, integer("5"));
    struct trail_place p = {0};
    cr_assert(trail_find(&t, &five, &p));
    cr_assert(p.result == t.results->next && p.column == 0 && p.row == 1,
              "what is being recorded is not searched");
    trail_end(&t);
    cr_assert_eq(places(&t, TRAIL_INTEGER, integer("5")), 4);
    p = (struct trail_place){0};
    cr_assert(trail_find(&t, &five, &p));
    cr_assert(p.result == t.results && p.column == 0 && p.row == 0);
    cr_assert(trail_find(&t, &five, &p));
    cr_assert(p.result == t.results && p.column == 1);
    trail_clear(&t);
}

// ---- bounds

static unsigned n_results(const struct trail *t) {
    unsigned n = 0;
    for (const struct trail_result *r = t->results; r; r = r->next)
        n++;
    return n;
}

Test(trail, the_oldest_result_makes_room) {
    struct trail_columns c;
    struct trail t;
    struct trail_place p;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, 1000000);
    for (unsigned i = 0; i < TRAIL_MAX_RESULTS; i++)
        record(&t, &c, 100 * i, 2);
    cr_assert(has(&t, TRAIL_INTEGER, integer("0"), &p));
    record(&t, &c, 5000, 2);
    cr_assert_eq(t.n_results, TRAIL_MAX_RESULTS);
    cr_assert_eq(n_results(&t), TRAIL_MAX_RESULTS);
    cr_assert_not(has(&t, TRAIL_INTEGER, integer("0"), &p));
    cr_assert(has(&t, TRAIL_INTEGER, integer("100"), &p));
    cr_assert(has(&t, TRAIL_INTEGER, integer("5000"), &p));
    trail_clear(&t);
}

// Of this statement, of which others have not come since.
static void record_other(struct trail *t, unsigned source, unsigned first) {
    struct trail_columns c;
    cr_assert(describe(&c, id_and_name, 2));
    c.source = source;
    record(t, &c, first, 2);
}

static bool is_kept(struct trail *t, unsigned first) {
    char id[16];
    struct trail_place p;
    snprintf(id, sizeof id, "%u", first);
    return has(t, TRAIL_INTEGER, integer(id), &p);
}

Test(trail, what_was_used_longest_ago_makes_room) {
    struct trail t;
    struct trail_place p;
    trail_init(&t, 1000000);
    for (unsigned i = 0; i < TRAIL_MAX_RESULTS; i++)
        record_other(&t, 1 + i, 100 * i);
    cr_assert(has(&t, TRAIL_INTEGER, integer("0"), &p));
    trail_touch(&t, p.result);
    trail_touch(&t, p.result); // the first already
    cr_assert(has(&t, TRAIL_INTEGER, integer("100"), &p));
    trail_note_read(&t, p.result->serial, 5);
    record_other(&t, 100, 5000);
    record_other(&t, 101, 5100);
    cr_assert(is_kept(&t, 0) && is_kept(&t, 100) && is_kept(&t, 5000));
    cr_assert(!is_kept(&t, 200) && !is_kept(&t, 300));
    for (unsigned i = 0; i < TRAIL_MAX_RESULTS; i++)
        record_other(&t, 200 + i, 10000 + 100 * i);
    cr_assert_not(is_kept(&t, 0), "of use, long ago");
    trail_clear(&t);
}

Test(trail, older_results_of_a_statement_make_room_first) {
    struct trail t;
    struct trail_place p;
    trail_init(&t, 1000000);
    record_other(&t, 1, 0);
    for (unsigned i = 1; i < 3 * TRAIL_MAX_RESULTS; i++)
        record_other(&t, 2, 100 * i);
    cr_assert(is_kept(&t, 0), "the only one of its statement");
    cr_assert(has(&t, TRAIL_INTEGER, integer("4500"), &p));
    struct trail_target *target = trail_target(p.result, 7, 0, true);
    trail_note_asked(p.result, target, 0, 1, trail_goes_on(target, 0));
    trail_note_asked(p.result, target, 1, 1, trail_goes_on(target, 1));
    record_other(&t, 3, 10000);
    cr_assert_not(is_kept(&t, 4500), "gone through to its end");
    cr_assert(is_kept(&t, 3400));
    trail_clear(&t);
}

Test(trail, memory_is_limited) {
    struct trail_columns c;
    struct trail t;
    const size_t max = 24000;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, max);
    for (unsigned i = 0; i < 40; i++) {
        record(&t, &c, 1000 * i, i % 7 * 60 + 2);
        cr_expect_leq(t.bytes, max + 2048, "after %u results", i); // a row's text may lead across it
    }
    cr_assert_gt(t.n_results, 1);
    record(&t, &c, 0, 5000);
    cr_expect_leq(t.bytes, max + 2048);
    cr_assert_eq(t.n_results, 1, "one large result takes the room of all others");
    cr_assert_lt(t.results->n_rows, 5000);
    cr_assert_gt(t.results->n_rows, 100, "as much of it as there is room for");
    size_t sum = 0;
    for (const struct trail_result *r = t.results; r; r = r->next)
        sum += r->bytes;
    cr_assert_eq(sum, t.bytes);
    trail_clear(&t);
    cr_assert_eq(t.bytes, 0);
}

// Long texts give way before rows do, and before other results. A column that lookups have followed stays.
Test(trail, long_texts_make_room_first) {
    struct trail_columns c;
    struct trail t;
    struct trail_place p;
    char body[401];
    memset(body, 'x', sizeof body);
    body[400] = 0;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, 100000);
    record(&t, &c, 5000, 20);
    for (unsigned time = 0; time < 2; time++) {
        trail_begin(&t, &c);
        for (unsigned i = 0; i < 200; i++) {
            char id[16];
            snprintf(id, sizeof id, "%u", i);
            snprintf(body, 16, "%u", i);
            body[strlen(body)] = 'x';
            text_row(&t, id, body);
        }
        trail_end(&t);
        cr_expect_eq(t.results->n_rows, 200, "all rows");
        cr_expect_eq(trail_value(t.results, 5, 1).kind, time ? KEY_RAW : KEY_NULL, "time %u", time);
        cr_expect(has(&t, TRAIL_INTEGER, integer("199"), &p) && p.row == 199);
        cr_assert(has(&t, TRAIL_TEXT, text("n5005"), &p), "the other result is there");
        cr_assert_not_null(trail_target(p.result, 9, 1, true));
    }
    cr_expect_leq(t.bytes, 110000);
    size_t sum = 0;
    for (const struct trail_result *r = t.results; r; r = r->next)
        sum += r->bytes;
    cr_assert_eq(sum, t.bytes);
    trail_clear(&t);
    cr_assert_eq(t.bytes, 0);
}

Test(trail, no_room_at_all) {
    struct trail_columns c;
    struct trail t;
    struct trail_place p;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, 0);
    record(&t, &c, 1, 10);
    cr_assert_not(has(&t, TRAIL_INTEGER, integer("1"), &p));
    trail_clear(&t);
    cr_assert_eq(t.bytes, 0);
}

Test(trail, rows_are_limited) {
    static const struct field one[] = {{1, 1, OID_INT4, 1}};
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, one, 1));
    trail_init(&t, (size_t)1 << 30);
    trail_begin(&t, &c);
    for (uint32_t i = 0; i < TRAIL_MAX_ROWS + 10; i++) {
        uint8_t value[4] = {(uint8_t)(i >> 24), (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        row(&t, &(struct slice){value, 4}, 1);
    }
    trail_end(&t);
    cr_assert_eq(t.results->n_rows, TRAIL_MAX_ROWS);
    struct trail_place p;
    cr_assert(has(&t, TRAIL_INTEGER, integer("65535"), &p));
    cr_assert_not(has(&t, TRAIL_INTEGER, integer("65536"), &p));
    trail_clear(&t);
}

// A result that is being recorded does not make room for another one: it is the newest.
Test(trail, clearing_ends_a_recording) {
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, 100000);
    trail_begin(&t, &c);
    text_row(&t, "1", "a");
    text_row(&t, "2", "b");
    cr_assert_not(trail_is_whole(&t, t.results));
    trail_clear(&t);
    text_row(&t, "3", "c");
    text_row(&t, "4", "d");
    trail_end(&t);
    cr_assert_eq(t.n_results, 0);
    cr_assert_eq(t.bytes, 0);
    trail_row(&t, (const uint8_t *)"\0\0", 2); // of no reply that has begun
    trail_clear(&t);
}

// ---- who follows it

Test(trail, origins_are_columns) {
    static const struct field both[] = {{1000, 1, OID_INT4, 0}, {0, 0, OID_INT4, 0}, {0, 0, OID_INT4, 0}},
                              other[] = {{1000, 1, OID_INT4, 0}, {0, 0, OID_INT8, 0}};
    struct trail_columns a, b;
    struct trail_result r = {0}, s = {0};
    cr_assert(describe(&a, both, 3) && describe(&b, other, 2));
    r.columns = a;
    s.columns = b;
    cr_assert_eq(trail_origin(&r, 0), trail_origin(&s, 0), "of a table: in whatever result");
    cr_assert_neq(trail_origin(&r, 1), trail_origin(&s, 1), "computed: in this one");
    cr_assert_neq(trail_origin(&r, 1), trail_origin(&r, 2));
    cr_assert_neq(trail_origin(&r, 1), 0);
}

Test(trail, targets_say_what_was_asked_for) {
    struct trail_columns c;
    struct trail t;
    cr_assert(describe(&c, id_and_name, 2));
    trail_init(&t, 100000);
    record(&t, &c, 0, 130);
    struct trail_result *r = t.results;
    cr_assert_null(trail_target(r, 5, 0, false));
    struct trail_target *target = trail_target(r, 5, 0, true);
    cr_assert_not_null(target);
    cr_assert_not(target->any);
    for (uint32_t i = 0; i < 130; i += 3)
        trail_note_asked(r, target, i, 1, trail_goes_on(target, i));
    for (uint32_t i = 0; i < 130; i++)
        cr_expect_eq(trail_was_asked(target, i), i % 3 == 0, "row %u", i);
    cr_assert(target->any && target->last_row == 129);
    cr_assert_eq(target->n_asked, 44);
    cr_assert_eq(target->run, 0, "no row beside another");
    trail_note_asked(r, target, 128, 1, trail_goes_on(target, 128));
    trail_note_asked(r, target, 127, 1, trail_goes_on(target, 127));
    trail_note_asked(r, target, 127, 1, trail_goes_on(target, 127));
    cr_assert_eq(target->run, 2);
    trail_note_asked(r, target, 5, 1, trail_goes_on(target, 5));
    cr_assert(target->run == 0 && target->longest == 2);
    cr_assert_eq(trail_target(r, 5, 0, false), target);
    cr_assert_null(trail_target(r, 5, 1, false), "another column");
    cr_assert_null(trail_target(r, 6, 0, false), "another group");
    for (uint64_t g = 10; g < 10 + TRAIL_MAX_TARGETS - 1; g++)
        cr_assert_not_null(trail_target(r, g, 0, true));
    cr_assert_eq(trail_target(r, 5, 0, false), target, "there is room for all");
    cr_assert_not_null(trail_target(r, 20, 1, true));
    cr_assert_null(trail_target(r, 5, 0, false), "the first one made room");
    target = trail_target(r, 20, 1, false);
    cr_assert_not_null(target);
    cr_assert_not(trail_was_asked(target, 0));
    trail_clear(&t);
}
