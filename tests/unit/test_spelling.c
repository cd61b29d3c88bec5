// SPDX-License-Identifier: PostgreSQL
//
// How a client writes a time that it has read: found in one pair of values, and used to write another one.
#include <criterion/criterion.h>

#include "batching/ahead/spelling.h"
#include "tests/unit/bytes.h"

// What follows from `read` and `sent` for another value; "-": nothing.
static const char *other(const char *read, const char *sent, const char *value) {
    static uint8_t out[SPELLING_MAX + 1];
    struct spelling s;
    if (!spelling_find(text_slice(read), text_slice(sent), false, &s))
        return "-";
    size_t n = spelling_write(&s, text_slice(value), out);
    out[n] = 0;
    return n ? (const char *)out : "-";
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
        {"1.50", "1.5", "17.25", "-"},
        {"2024-01-01", "2024-01-01", "2024-02-03", "2024-02-03"},
        {"", "", one, "-"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const char *found = other(cases[i].read, cases[i].sent, cases[i].value);
        cr_expect_str_eq(found, cases[i].expected, "case %zu: %s", i, found);
    }
}

Test(spelling, binary) {
    static const struct {
        const char *read;
        struct slice sent;
    } cases[] = {
        {"2000-01-01 00:00:00+00", LIT("\0\0\0\0\0\0\0\0")},
        {"2000-01-01 00:00:01.000002+00", LIT("\0\0\0\0\0\x0f\x42\x42")},
        {"2000-01-01 05:30:00+05:30", LIT("\0\0\0\0\0\0\0\0")},
        {"1999-12-31 23:59:59.999999", LIT("\xff\xff\xff\xff\xff\xff\xff\xff")},
        {"2000-01-02", LIT("\0\0\0\1")},
        {"2000-03-01", LIT("\0\0\0\x3c")},
        {"1999-12-31", LIT("\xff\xff\xff\xff")},
    };
    struct spelling s;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        cr_expect(spelling_find(text_slice(cases[i].read), cases[i].sent, true, &s), "case %zu", i);
    cr_expect_not(spelling_find(text_slice("2000-01-01"), cases[4].sent, true, &s), "another day");
    cr_expect_not(spelling_find(text_slice("12.5"), cases[4].sent, true, &s));
}

// What does not fit is cut, and then is no value of the client's.
Test(spelling, long_values) {
    struct spelling s = {0};
    uint8_t out[SPELLING_MAX], text[SPELLING_MAX + 1];
    memset(text, '1', sizeof text);
    cr_expect_eq(spelling_write(&s, (struct slice){text, sizeof text}, out), SPELLING_MAX);
    cr_expect_not(
        spelling_find((struct slice){text, sizeof text}, (struct slice){text, sizeof text}, false, &s));
}
