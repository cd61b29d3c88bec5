// SPDX-License-Identifier: PostgreSQL
//
// Keys: one form for each value however it was written, and nothing but plainly written values. Tables, in
// text and binary, each in a block of exactly its size.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/statement/key.h"
#include "tests/unit/bytes.h"

static bool text_key(uint32_t oid, const char *text, struct key *k) {
    uint8_t *copy = exact_copy(text, strlen(text));
    bool ok = key_read(oid, 0, (struct slice){copy, strlen(text)}, k);
    free(copy);
    return ok;
}

static const struct {
    uint32_t oid;
    const char *text;
    bool ok;
    int64_t value;
} integers[] = {
    {OID_INT4, "5", true, 5},
    {OID_INT4, "-5", true, -5},
    {OID_INT4, "-0", true, 0},
    {OID_INT4, "007", true, 7},
    {OID_INT2, "32767", true, 32767},
    {OID_INT2, "32768", false, 0},
    {OID_INT2, "-32768", true, -32768},
    {OID_INT2, "-32769", false, 0},
    {OID_INT4, "2147483647", true, INT32_MAX},
    {OID_INT4, "2147483648", false, 0},
    {OID_INT4, "-2147483648", true, INT32_MIN},
    {OID_INT8, "9223372036854775807", true, INT64_MAX},
    {OID_INT8, "9223372036854775808", false, 0},
    {OID_INT8, "-9223372036854775808", true, INT64_MIN},
    {OID_INT8, "-9223372036854775809", false, 0},
    {OID_INT8, "99999999999999999999", false, 0},
    {OID_INT8, "18446744073709551617", false, 0},
    {OID_INT4, "", false, 0},
    {OID_INT4, "-", false, 0},
    {OID_INT4, "+5", false, 0},
    {OID_INT4, " 5", false, 0},
    {OID_INT4, "5 ", false, 0},
    {OID_INT4, "5.0", false, 0},
    {OID_INT4, "1e3", false, 0},
    {OID_INT4, "0x10", false, 0},
    {OID_INT4, "1_000", false, 0},
    {OID_INT4, "--5", false, 0},
    {25, "5", false, 0},
};

Test(key, reads_plain_integers_in_their_range) {
    for (size_t i = 0; i < sizeof integers / sizeof *integers; i++) {
        struct key k;
        cr_assert_eq(text_key(integers[i].oid, integers[i].text, &k), integers[i].ok, "%s", integers[i].text);
        if (integers[i].ok)
            cr_assert_eq((int64_t)get_u64(k.of.bytes), integers[i].value, "%s", integers[i].text);
    }
}

// An int2 in binary and an int8 in text are the same key when they are the same number.
Test(key, one_number_is_one_key) {
    struct key text, two, four, eight;
    cr_assert(text_key(OID_INT8, "-2", &text));
    cr_assert(key_read(OID_INT2, 1, BYTES("\xff\xfe"), &two));
    cr_assert(key_read(OID_INT4, 1, BYTES("\xff\xff\xff\xfe"), &four));
    cr_assert(key_read(OID_INT8, 1, BYTES("\xff\xff\xff\xff\xff\xff\xff\xfe"), &eight));
    cr_assert(key_equal(&text, &two) && key_hash(&text, 1) == key_hash(&two, 1));
    cr_assert(key_equal(&text, &four));
    cr_assert(key_equal(&text, &eight));
}

Test(key, refuses_other_widths_and_formats) {
    struct key k;
    cr_assert_not(key_read(OID_INT4, 1, BYTES("\0\0\0\0\0\0\0\1"), &k), "8 bytes for an int4");
    cr_assert_not(key_read(OID_INT4, 1, BYTES("\0\1"), &k), "2 bytes for an int4");
    cr_assert_not(key_read(OID_INT4, 2, BYTES("\0\0\0\1"), &k), "format 2");
    cr_assert_not(key_read(OID_UUID, 1, BYTES("\0\0\0\1"), &k), "4 bytes for a uuid");
}

static const struct {
    const char *text;
    bool ok;
} uuids[] = {
    {"091f4c46-0000-4000-8000-00000000000a", true},  {"091F4C46-0000-4000-8000-00000000000A", true},
    {"091f4c4600004000800000000000000a", true},      {"{091f4c46-0000-4000-8000-00000000000a}", false},
    {"091f4c46-0000-4000-8000-00000000000", false},  {"091f4c46-0000-4000-8000-00000000000g", false},
    {"091f4c460000400080000000000-000a", false},     {"091f4c46000040008000000000000000a", false},
    {"091f4c460-000-4000-8000-00000000000a", false}, {"091f4c46-0000-4000-8000-00000000000aa", false},
};

Test(key, reads_uuids_with_their_hyphens_or_with_none) {
    struct key first, k;
    cr_assert(text_key(OID_UUID, uuids[0].text, &first));
    for (size_t i = 0; i < sizeof uuids / sizeof *uuids; i++) {
        cr_assert_eq(text_key(OID_UUID, uuids[i].text, &k), uuids[i].ok, "%s", uuids[i].text);
        if (uuids[i].ok)
            cr_assert(key_equal(&k, &first), "%s", uuids[i].text);
    }
    cr_assert(key_read(OID_UUID, 1, BYTES("\x09\x1f\x4c\x46\0\0\x40\0\x80\0\0\0\0\0\0\x0a"), &k));
    cr_assert(key_equal(&k, &first));
}

// An array of these keys as a Bind parameter, without its length.
static struct slice written(struct buf *b, uint32_t oid, uint16_t format, const struct key *keys, uint32_t n,
                            uint32_t step) {
    buf_reset(b);
    key_write_array(b, oid, format, keys, n, step);
    cr_assert_not(b->failed);
    cr_assert_eq(get_u32(b->data), b->len - 4);
    return (struct slice){b->data + 4, b->len - 4};
}

static bool same(struct slice a, struct slice b) {
    return slice_is(a, (const char *)b.data, b.len);
}

Test(key, writes_arrays_as_array_recv_reads_them) {
    struct buf b = buf_make(1000);
    struct key keys[3];
    cr_assert(text_key(OID_INT4, "7", &keys[0]) && text_key(OID_INT4, "-1", &keys[1]));
    cr_assert(key_read(OID_INT4, 1, (struct slice){0}, &keys[2]));
    cr_assert(same(written(&b, OID_INT4, 1, keys, 2, 1), BYTES("\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1"
                                                               "\0\0\0\4\0\0\0\7\0\0\0\4\xff\xff\xff\xff")));
    cr_assert(same(written(&b, OID_INT2, 1, keys, 1, 1), BYTES("\0\0\0\1\0\0\0\0\0\0\0\x15\0\0\0\1\0\0\0\1"
                                                               "\0\0\0\2\0\7")));
    cr_assert(same(written(&b, OID_INT8, 1, keys + 1, 2, 1),
                   BYTES("\0\0\0\1\0\0\0\1\0\0\0\x14\0\0\0\2\0\0\0\1"
                         "\0\0\0\x08\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")),
              "a NULL, and the flag that says so");
    cr_assert(key_read_raw(BYTES("\0\1"), false, &keys[0]));
    cr_assert(same(written(&b, 25, 1, keys, 2, 2), BYTES("\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
                                                         "\0\0\0\2\0\1\xff\xff\xff\xff")),
              "every second one");
    buf_free(&b);
}

static const struct {
    const char *value;
    bool doubled;
    const char *array;
} texts[] = {
    {"a", false, "{\"a\"}"},           {"", false, "{\"\"}"},
    {"NULL", false, "{\"NULL\"}"},     {NULL, false, "{NULL}"},
    {"a b,{}", false, "{\"a b,{}\"}"}, {"\"", false, "{\"\\\"\"}"},
    {"a\\b", false, "{\"a\\\\b\"}"},   {"it''s", false, "{\"it''s\"}"},
    {"it''s", true, "{\"it's\"}"},     {"''''", true, "{\"''\"}"},
    {"\"''", true, "{\"\\\"'\"}"},     {"\xc3\xa4", false, "{\"\xc3\xa4\"}"},
};

Test(key, writes_raw_text_in_quotes) {
    struct buf b = buf_make(1000);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct key k;
        struct slice v = texts[i].value ? text_slice(texts[i].value) : (struct slice){0};
        cr_assert(key_read_raw(v, texts[i].doubled, &k));
        cr_assert(same(written(&b, 25, 0, &k, 1, 1), text_slice(texts[i].array)), "%s", texts[i].array);
    }
    struct key two[2];
    cr_assert(key_read_raw(text_slice("a"), false, &two[0]) && key_read_raw(text_slice("b"), false, &two[1]));
    cr_assert(same(written(&b, 25, 0, two, 2, 1), text_slice("{\"a\",\"b\"}")));
    buf_free(&b);
}

Test(key, raw_keys_are_told_by_their_bytes) {
    static uint8_t bytes[KEY_MAX_RAW + 1];
    struct key a, b, null;
    cr_assert(key_read_raw(text_slice("1.0"), false, &a) && key_read_raw(text_slice("1.00"), false, &b));
    cr_assert(key_read_raw((struct slice){0}, false, &null));
    cr_assert(key_equal(&a, &a) && !key_equal(&a, &b) && !key_equal(&a, &null) && key_equal(&null, &null));
    cr_assert(key_read_raw(text_slice(""), false, &b));
    cr_assert_not(key_equal(&b, &null), "an empty string is not NULL");
    cr_assert(key_read_raw((struct slice){bytes, KEY_MAX_RAW}, false, &a));
    cr_assert_not(key_read_raw((struct slice){bytes, KEY_MAX_RAW + 1}, false, &a), "too long");
}

static const struct {
    const char *array, *element; // element NULL: not one that is plainly written
} arrays[] = {
    {"{5}", "5"},
    {"{\"a b\"}", "a b"},
    {"{\"\"}", ""},
    {"{\"NULL\"}", "NULL"},
    {"{a}", "a"},
    {"{\"{}\"}", "{}"},
    {"{\"a,b\"}", "a,b"},
    {"{it''s}", "it''s"},
    {"{}", NULL},
    {"{1,2}", NULL},
    {"{NULL}", NULL},
    {"{null}", NULL},
    {"{{1}}", NULL},
    {" {5}", NULL},
    {"{5} ", NULL},
    {"{ 5}", NULL},
    {"{5 }", NULL},
    {"{a b}", NULL},
    {"[0:0]={5}", NULL},
    {"{\"a\\\"b\"}", NULL},
    {"{\"a\",\"b\"}", NULL},
    {"{\"a\"b}", NULL},
    {"{a\\b}", NULL},
    {"5", NULL},
    {"", NULL},
    {"{\"}", NULL},
    {"{", NULL},
    {"{\"a\"\"b\"}", NULL},
};

Test(key, reads_text_arrays_of_one_element) {
    for (size_t i = 0; i < sizeof arrays / sizeof *arrays; i++) {
        struct slice element;
        uint8_t *copy = exact_copy(arrays[i].array, strlen(arrays[i].array));
        struct slice array = {copy, strlen(arrays[i].array)};
        bool ok = key_array_element(0, array, OID_INT4, &element);
        cr_assert_eq(ok, arrays[i].element != NULL, "%s", arrays[i].array);
        if (ok)
            cr_assert(same(element, text_slice(arrays[i].element)), "%s", arrays[i].array);
        free(copy);
    }
    struct slice element;
    cr_assert_not(key_array_element(0, (struct slice){0}, OID_INT4, &element), "NULL");
}

#define ARRAY(dimensions, flags, type, n, len) dimensions flags type n "\0\0\0\1" len "\0\0\0\5"
#define ONE                                    "\0\0\0\1"
#define INT                                    "\0\0\0\x17"
#define LEN                                    "\0\0\0\4"

Test(key, reads_binary_arrays_of_one_element) {
    static const struct {
        struct slice array;
        bool ok;
    } cases[] = {
        {LIT(ARRAY(ONE, "\0\0\0\0", INT, ONE, LEN)), true},
        {LIT(ARRAY(ONE, ONE, INT, ONE, LEN)), true},
        {LIT(ARRAY("\0\0\0\2", ONE, INT, ONE, LEN)), false},
        {LIT(ARRAY(ONE, "\0\0\0\2", INT, ONE, LEN)), false},
        {LIT(ARRAY(ONE, ONE, "\0\0\0\x14", ONE, LEN)), false},
        {LIT(ARRAY(ONE, ONE, INT, "\0\0\0\2", LEN)), false},
        {LIT(ARRAY(ONE, ONE, INT, ONE, "\xff\xff\xff\xff")), false},
        {LIT(ARRAY(ONE, ONE, INT, ONE, "\0\0\0\5")), false},
        {LIT("\0\0\0\0\0\0\0\0" INT), false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct slice element, a = cases[i].array;
        uint8_t *copy = exact_copy(a.data, a.len);
        bool ok = key_array_element(1, (struct slice){copy, a.len}, OID_INT4, &element);
        cr_assert_eq(ok, cases[i].ok, "%zu", i);
        if (ok)
            cr_assert(same(element, BYTES("\0\0\0\5")));
        free(copy);
    }
}

Test(key, types_have_arrays) {
    static const uint32_t oids[] = {OID_INT2, OID_INT4, OID_INT8, OID_UUID, 25, 1700, 16};
    for (size_t i = 0; i < sizeof oids / sizeof *oids; i++) {
        cr_assert_neq(key_array_type(oids[i]), 0);
        cr_assert_eq(key_element_type(key_array_type(oids[i])), oids[i]);
    }
    cr_assert_eq(key_array_type(603), 0, "box: its arrays have another delimiter");
    cr_assert_eq(key_array_type(0), 0);
    cr_assert_eq(key_element_type(0), 0);
    cr_assert(key_type_is_integer(OID_INT2) && !key_type_is_integer(OID_UUID) && !key_type_is_integer(25));
    cr_assert(key_type_is_plain(OID_UUID) && !key_type_is_plain(25) && !key_type_is_plain(0));
}
