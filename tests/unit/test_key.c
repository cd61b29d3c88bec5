// SPDX-License-Identifier: PostgreSQL
//
// Keys: one form for each value however it was written, and nothing but plainly written values.
#include <criterion/criterion.h>
#include <stdio.h>

#include "batching/key.h"
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
            cr_assert_eq((int64_t)get_u64(k.bytes), integers[i].value, "%s", integers[i].text);
    }
}

// An int2 in binary and an int8 in text are the same key when they are the same number.
Test(key, one_number_is_one_key) {
    struct key text, two, four, eight;
    cr_assert(text_key(OID_INT8, "-2", &text));
    cr_assert(key_read(OID_INT2, 1, BYTES("\xff\xfe"), &two));
    cr_assert(key_read(OID_INT4, 1, BYTES("\xff\xff\xff\xfe"), &four));
    cr_assert(key_read(OID_INT8, 1, BYTES("\xff\xff\xff\xff\xff\xff\xff\xfe"), &eight));
    cr_assert(memcmp(&text, &two, sizeof text) == 0);
    cr_assert(memcmp(&text, &four, sizeof text) == 0);
    cr_assert(memcmp(&text, &eight, sizeof text) == 0);
}

Test(key, refuses_null_other_widths_and_formats) {
    struct key k;
    cr_assert_not(key_read(OID_INT4, 0, (struct slice){0}, &k), "NULL");
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
    {"091f4c4600004000800000000000000a", false},     {"{091f4c46-0000-4000-8000-00000000000a}", false},
    {"091f4c46-0000-4000-8000-00000000000", false},  {"091f4c46-0000-4000-8000-00000000000g", false},
    {"091f4c460-000-4000-8000-00000000000a", false}, {"091f4c46-0000-4000-8000-00000000000aa", false},
};

Test(key, reads_uuids_in_their_canonical_form) {
    struct key first, k;
    cr_assert(text_key(OID_UUID, uuids[0].text, &first));
    for (size_t i = 0; i < sizeof uuids / sizeof *uuids; i++) {
        cr_assert_eq(text_key(OID_UUID, uuids[i].text, &k), uuids[i].ok, "%s", uuids[i].text);
        if (uuids[i].ok)
            cr_assert(memcmp(&k, &first, sizeof k) == 0, "%s", uuids[i].text);
    }
    cr_assert(key_read(OID_UUID, 1, BYTES("\x09\x1f\x4c\x46\0\0\x40\0\x80\0\0\0\0\0\0\x0a"), &k));
    cr_assert(memcmp(&k, &first, sizeof k) == 0);
}

Test(key, writes_arrays_as_array_recv_reads_them) {
    struct buf b = buf_make(1000);
    struct key keys[2];
    cr_assert(text_key(OID_INT4, "7", &keys[0]) && text_key(OID_INT4, "-1", &keys[1]));
    key_write_array(&b, OID_INT4, keys, 2);
    struct slice wanted = BYTES("\0\0\0\x24\0\0\0\1\0\0\0\0\0\0\0\x17\0\0\0\2\0\0\0\1"
                                "\0\0\0\4\0\0\0\7\0\0\0\4\xff\xff\xff\xff");
    cr_assert(slice_is((struct slice){b.data, b.len}, (const char *)wanted.data, wanted.len));
    static const struct {
        uint32_t oid;
        size_t width;
    } widths[] = {{OID_INT2, 2}, {OID_INT8, 8}, {OID_UUID, 16}};
    for (size_t i = 0; i < 3; i++) {
        buf_reset(&b);
        key_write_array(&b, widths[i].oid, keys, 2);
        cr_assert_eq(b.len, 24 + 2 * (4 + widths[i].width));
        cr_assert_eq(get_u32(b.data), b.len - 4);
    }
    buf_reset(&b);
    key_write_array(&b, 25, keys, 2);
    cr_assert(b.failed, "text has no array here");
    buf_free(&b);
}

Test(key, types_have_names_both_ways) {
    static const uint32_t oids[] = {OID_INT2, OID_INT4, OID_INT8, OID_UUID};
    for (size_t i = 0; i < 4; i++)
        cr_assert_eq(key_type_by_name(key_type_name(oids[i])), oids[i]);
    cr_assert_null(key_type_name(25));
    cr_assert_eq(key_type_by_name("text"), 0);
    cr_assert_eq(key_array_type(25), 0);
    cr_assert_not(key_type_is_integer(OID_UUID));
}
