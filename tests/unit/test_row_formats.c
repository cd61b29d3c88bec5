// SPDX-License-Identifier: PostgreSQL
//
// The formats of a Bind's rows: what is kept of them, and which columns get which.
#include <criterion/criterion.h>

#include "batching/ahead/row_formats.h"
#include "tests/unit/bytes.h"

// Columns of a trail at these places of their rows, all as text.
static struct trail_columns columns_at(const unsigned *at, unsigned n) {
    struct trail_columns c = {.n = n};
    for (unsigned i = 0; i < n; i++)
        c.columns[i] = (struct trail_column){.at = (uint16_t)at[i], .kind = TRAIL_INTEGER};
    return c;
}

// Formats of a Bind, all as text but for some; read from a copy of exact size.
static struct row_formats formats(unsigned n, const unsigned *binary, unsigned n_binary) {
    uint8_t bytes[2 * 1700] = {0};
    for (unsigned i = 0; i < n_binary; i++)
        bytes[2 * binary[i] + 1] = 1;
    uint8_t *copy = exact_copy(bytes, 2 * (size_t)n);
    struct row_formats f = row_formats_read((uint16_t)n, copy);
    free(copy);
    return f;
}

#define AT(...)     ((const unsigned[]){__VA_ARGS__})
#define COUNT(list) (sizeof(list) / sizeof *(list))

Test(row_formats, none_one_and_one_for_each_column) {
    static const struct {
        unsigned n, binary[2], n_binary;
        unsigned want[3]; // of the columns 0, 2 and 7
    } cases[] = {
        {0, {0}, 0, {0, 0, 0}}, {1, {0}, 0, {0, 0, 0}},    {1, {0}, 1, {1, 1, 1}}, {8, {0}, 1, {1, 0, 0}},
        {8, {2}, 1, {0, 1, 0}}, {8, {2, 7}, 2, {0, 1, 1}}, {8, {0}, 0, {0, 0, 0}}, {3, {2}, 1, {0, 1, 0}},
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        struct trail_columns c = columns_at(AT(0, 2, 7), 3);
        struct row_formats f = formats(cases[i].n, cases[i].binary, cases[i].n_binary);
        row_formats_apply(&f, &c);
        cr_assert_eq(c.n, 3);
        for (unsigned k = 0; k < 3; k++)
            cr_expect_eq(c.columns[k].format, cases[i].want[k], "case %zu, column %u", i, k);
    }
}

Test(row_formats, columns_of_unknown_format_are_taken_out) {
    struct trail_columns c = columns_at(AT(0, 255, 256, 300), 4);
    c.n_arrays = 2;
    c.arrays[0] = (struct trail_column){.at = 255, .kind = TRAIL_INTEGER};
    c.arrays[1] = (struct trail_column){.at = 256, .kind = TRAIL_INTEGER};
    struct row_formats f = formats(1600, AT(0, 255, 256, 1599), 4);
    row_formats_apply(&f, &c);
    cr_assert_eq(c.n, 2);
    cr_expect(c.n_arrays == 1 && c.arrays[0].format == 1);
    cr_expect_eq(c.columns[1].at, 255);
    cr_expect_eq(c.columns[1].format, 1);

    struct trail_columns none = columns_at(AT(0, 1), 2);
    row_formats_apply(&(struct row_formats){.unknown = true}, &none);
    cr_expect_eq(none.n, 0);
}

Test(row_formats, one_format_for_all_reaches_every_column) {
    struct trail_columns c = columns_at(AT(0, 1599), 2);
    struct row_formats f = formats(1, AT(0), 1);
    row_formats_apply(&f, &c);
    cr_assert_eq(c.n, 2);
    cr_expect_eq(c.columns[1].format, 1);
}
