// SPDX-License-Identifier: PostgreSQL
//
// How a client writes a time that it has read: found in one pair of values, and used to write another one.
#include <criterion/criterion.h>

#include <stdio.h>

#include "batching/ahead/spelling.h"
#include "protocol/message.h"
#include "tests/unit/bytes.h"

// What follows from `read` and `sent` for another value; "-": nothing.
static const char *other(const char *read, const char *sent, const char *value) {
    static char text[SPELLING_MAX + 1];
    uint8_t out[SPELLING_MAX];
    struct spelling s;
    struct slice written;
    uint32_t type = strlen(read) == 4 ? OID_NUMERIC : strlen(read) == 10 ? 1082 : 1184;
    if (!spelling_find(type, 0, text_slice(read), 0, text_slice(sent), &s) ||
        !spelling_write(&s, text_slice(value), out, &written))
        return "-";
    snprintf(text, sizeof text, "%.*s", (int)written.len, (const char *)written.data);
    return text;
}

static const char one[] = "2024-01-01 00:17:00+00", two[] = "2024-02-03 04:05:06.78+00",
                  half[] = "2024-02-03 04:05:06.78+05:30";

Test(spelling, times) {
    static const struct {
        const char *read, *sent, *value, *expected;
    } cases[] = {
        {one, one, two, two},
        {one, "2024-01-01T00:17:00+00:00", two, "2024-02-03T04:05:06.780000+00:00"}, // Python
        {one, "2024-01-01 00:17:00+00:00", two, "2024-02-03 04:05:06.780000+00:00"},
        {one, "2024-01-01T00:17:00+00:00", half, "2024-02-03T04:05:06.780000+05:30"},
        {one, "2024-01-01T00:17:00.000Z", two, "2024-02-03T04:05:06.780Z"}, // JavaScript
        {one, "2024-01-01T00:17:00.000Z", half, "-"},
        {one, "2024-01-01T00:17:00.000+00:00", half, "2024-02-03T04:05:06.780+05:30"},
        {two, "2024-02-03T04:05:06.780000", one, "2024-01-01T00:17:00"},
        {"2024-01-01 00:17:00", "2024-01-01T00:17:00", "2024-02-03 04:05:06", "2024-02-03T04:05:06"},
        {one, "2024-01-01T00:17:01+00:00", two, "-"}, // another time
        {one, "2024-01-01T00:17:00+00:00", "infinity", "-"},
        {"infinity", "infinity", one, one},
        {"1.50", "1.50", "17.25", "17.25"},
        {"1.50", "1.5", "17.20", "17.2"}, // by way of a float
        {"1.50", "1.51", "17.25", "-"},
        {"2024-01-01", "2024-01-01", "2024-02-03", "2024-02-03"},
        {"", "", one, "-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = other(cases[i].read, cases[i].sent, cases[i].value);
        cr_expect_str_eq(found, cases[i].expected, "case %zu: %s", i, found);
    }
}

// Each is read as text and sent in binary, and the reverse; then another value goes the same way.
Test(spelling, text_and_binary) {
    static const struct {
        uint32_t type;
        const char *text;
        struct slice binary;
        const char *other;
        struct slice other_binary;
    } cases[] = {
        {1184, "2000-01-01 00:00:00+00", LIT("\0\0\0\0\0\0\0\0"), "2000-01-01 00:00:01.000002+00",
         LIT("\0\0\0\0\0\x0f\x42\x42")},
        {1114, "1999-12-31 23:59:59.999999", LIT("\xff\xff\xff\xff\xff\xff\xff\xff"), "2000-01-01 00:00:00",
         LIT("\0\0\0\0\0\0\0\0")},
        {1082, "2000-03-01", LIT("\0\0\0\x3c"), "1999-12-31", LIT("\xff\xff\xff\xff")},
        {OID_NUMERIC, "12345.60", LIT("\0\3\0\1\0\0\0\2\0\1\x09\x29\x17\x70"), "-3.00",
         LIT("\0\1\0\0\x40\0\0\2\0\3")},
        {17, "\\x00ff", LIT("\0\xff"), "\\x61", LIT("a")},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct spelling s;
        uint8_t out[SPELLING_MAX];
        struct slice sent, other = text_slice(cases[i].other);
        cr_assert(spelling_find(cases[i].type, 0, text_slice(cases[i].text), 1, cases[i].binary, &s), "%zu",
                  i);
        cr_assert(spelling_write(&s, other, out, &sent), "%zu", i);
        cr_expect(slice_same(sent, cases[i].other_binary), "case %zu", i);
        cr_assert(spelling_find(cases[i].type, 1, cases[i].binary, 0, text_slice(cases[i].text), &s), "%zu",
                  i);
        cr_assert(spelling_write(&s, cases[i].other_binary, out, &sent), "%zu", i);
        cr_expect(slice_same(sent, other), "case %zu: %.*s", i, (int)sent.len, (const char *)sent.data);
        cr_expect_not(spelling_find(cases[i].type, 0, other, 1, cases[i].binary, &s), "another value");
    }
}

// The zone is the client's.
Test(spelling, binary_times_as_text_in_a_zone) {
    struct spelling s;
    uint8_t out[SPELLING_MAX];
    struct slice sent;
    cr_assert(
        spelling_find(1184, 1, BYTES("\0\0\0\0\0\0\0\0"), 0, text_slice("2000-01-01 05:30:00+05:30"), &s));
    cr_assert(spelling_write(&s, BYTES("\0\0\0\0\0\x0f\x42\x42"), out, &sent));
    cr_expect(slice_same(sent, text_slice("2000-01-01 05:30:01.000002+05:30")));
}

// What does not fit or has no such form is no value of the client's.
Test(spelling, values_without_a_form) {
    struct spelling s;
    uint8_t out[SPELLING_MAX], text[SPELLING_MAX + 1];
    struct slice sent, longest = {text, SPELLING_MAX}, too_long = {text, SPELLING_MAX + 1};
    memset(text, '1', sizeof text);
    cr_expect(spelling_find(869, 0, longest, 0, longest, &s));
    cr_expect_not(spelling_find(869, 0, too_long, 0, too_long, &s));
    cr_assert(spelling_find(OID_NUMERIC, 0, BYTES("1.5"), 1, BYTES("\0\2\0\0\0\0\0\1\0\1\x13\x88"), &s));
    static const struct slice bad[] = {
        LIT("NaN"), LIT("1e5"), LIT("-"),     LIT("."),
        LIT("1."),  LIT(".5"),  LIT("1.2.3"), LIT("1111111111111111111111111111111111111111")};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        cr_expect_not(spelling_write(&s, bad[i], out, &sent), "%zu", i);
}
